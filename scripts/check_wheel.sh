#!/usr/bin/env bash
# Builds the source archive and of it the wheel, checks what they hold and say of themselves, and uses
# the wheel as somebody without this repository would: in a fresh environment and from an empty folder.
# PYTHON names the interpreter (python3.11).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "check_wheel: $*" >&2
    exit 1
}

"${PYTHON:-python3.11}" -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --disable-pip-version-check "$@"; }

echo "check_wheel: the source archive and the wheel built of it"
"${PYTHON:-python3.11}" -m venv "$work/tools"
"$work/tools/bin/python" -m pip --disable-pip-version-check install --quiet build twine
"$work/tools/bin/python" -m build --outdir "$work/dist" "$root" >"$work/build" 2>&1 ||
    fail "building: $(tail -20 "$work/build")"
"$work/tools/bin/python" -m twine check --strict "$work"/dist/*
wheel=$(ls "$work"/dist/combgrad-*.whl)
"$work/tools/bin/python" "$root/scripts/check_archives.py" "$work"/dist/*
mkdir "$work/empty"
cd "$work/empty"
export NUMBA_CACHE_DIR=$work/kernels OMP_NUM_THREADS=1

echo "check_wheel: the bare library"
pip install --quiet -c "$root/constraints.txt" "$wheel"
"$work/venv/bin/python" - <<'END'
import torch

from combgrad import CombinatorialLayer, gradients, solvers

costs = torch.tensor([[3.0, 1.0, 2.0]], requires_grad=True)
solution = CombinatorialLayer(solvers.TopK(1), gradients.Identity())(costs)
assert solution.tolist() == [[0.0, 1.0, 0.0]], solution
END
if said=$("$work/venv/bin/combgrad" 2>&1); then
    fail "training began without what it needs"
fi
[[ $said == *"pip install 'combgrad[experiments]'"* ]] || fail "no remedy in: $said"

echo "check_wheel: the experiments"
pip install --quiet -c "$root/constraints.txt" "$wheel[experiments]"
combgrad() { "$work/venv/bin/combgrad" "$@" 2>"$work/stderr" || fail "$*: $(cat "$work/stderr")"; }
combgrad experiment=tsp5 profile=smoke >/dev/null
combgrad -m experiment=tsp5 profile=smoke seed=0,1 >"$work/sweep"
grep -q "1 skipped, 1 done" "$work/sweep" || fail "the sweep says: $(cat "$work/sweep")"
combgrad tables 6 --profile smoke >"$work/table"
grep -q "(2, 2 own)" "$work/table" || fail "the table is: $(cat "$work/table")"
combgrad tables 6 --all --save >/dev/null
combgrad figures 8b --profile smoke >/dev/null
combgrad report --all >/dev/null
for made in results/own/{tables/table6.md,figures/figure8b-smoke-not-run.svg,report/index.html}; do
    [[ -s $made ]] || fail "there is no $made"
done
records=(results/own/tsp5-*.json)
((${#records[@]} == 2)) || fail "there are ${#records[@]} records"
grep -q '"command": "combgrad experiment=tsp5' "${records[0]}" || fail "a record's command"
[[ $(ls -A) == $'.cache\noutputs\nresults' ]] || fail "the folder holds: $(ls -A)"
echo "check_wheel: the wheel works"

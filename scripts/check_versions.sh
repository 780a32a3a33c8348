#!/usr/bin/env bash
# The tests of the bare library at both ends of what pyproject.toml allows, each in a fresh
# environment: the oldest packages on the oldest Python, the newest on the newest.
#
#   scripts/check_versions.sh            both; each downloads gigabytes where torch comes with CUDA
#   scripts/check_versions.sh oldest     PYTHON_OLDEST names its interpreter (python3.11)
#   scripts/check_versions.sh newest     PYTHON_NEWEST likewise (python3.13)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Solvers and gradient methods are built from their YAMLs, so that hydra is needed here as well, and
# hard instances are those of the benchmarks, which have a progress bar.
tools=(pytest pytest-timeout pytest-xdist hypothesis networkx tqdm 'hydra-core>=1.3.2,<1.4')

lower_bounds() {
    "$1" - <<'END'
import re
import tomllib

with open("pyproject.toml", "rb") as file:
    wanted = tomllib.load(file)["project"]["dependencies"]
for name, lowest in (re.match(r"(\w+)>=([\d.]+)", word).groups() for word in wanted):
    print(f"{name}=={lowest}{'.0' * (2 - lowest.count('.'))}")
END
}

# All but what tests the experiments and their networks, which have a torch of their own.
core_tests() {
    grep -rLE "combgrad\.(experiments|guards|networks|runs)|pytorch_lightning|torchvision" \
        tests/unit tests/solvers --include='test_*.py' | sort
}

check() { # NAME INTERPRETER PINS...
    local name=$1 interpreter=$2
    shift 2
    "$interpreter" -m venv "$work/$name"
    local python=$work/$name/bin/python
    "$python" -m pip --disable-pip-version-check install --quiet \
        -e "$root[solvers]" "${tools[@]}" "$@"
    echo "check_versions: $name: $("$python" - <<'END'
import platform
from importlib.metadata import version

names = ("torch", "numpy", "scipy", "numba")
print("Python", platform.python_version(), *(f"{name} {version(name)}" for name in names))
END
)"
    # The first test of each solver also compiles it.
    # shellcheck disable=SC2046
    NUMBA_CACHE_DIR=$work/kernels-$name OMP_NUM_THREADS=1 \
        "$python" -m pytest -q -n 2 -p no:cacheprovider -o timeout=900 $(core_tests)
}

wanted=("${@:-oldest newest}")
for which in ${wanted[*]}; do
    case $which in
        oldest)
            interpreter=${PYTHON_OLDEST:-python3.11}
            pins=$(lower_bounds "$interpreter")
            # shellcheck disable=SC2086
            check oldest "$interpreter" $pins
            ;;
        newest) check newest "${PYTHON_NEWEST:-python3.13}" torch numpy scipy numba ;;
        *)
            echo "check_versions: there is no $which; there are oldest and newest" >&2
            exit 2
            ;;
    esac
done

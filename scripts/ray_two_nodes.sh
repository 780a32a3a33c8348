#!/usr/bin/env bash
# A Ray cluster of two nodes on this machine, with one CPU each, for trying out sweeps.
#
#   eval "$(scripts/ray_two_nodes.sh up)"     start it, and tell this shell where it is
#   scripts/ray_two_nodes.sh status
#   scripts/ray_two_nodes.sh down             stop it and remove its folder
#
# It leaves other Rays of this machine alone. COMBGRAD_RAY names another folder than the default
# below TMPDIR, PYTHON another Python than that of .venv.
set -euo pipefail

state=${COMBGRAD_RAY:-${TMPDIR:-/tmp}/combgrad-ray-$(id -u)}
python=${PYTHON:-$(dirname "$0")/../.venv/bin/python}
# Addresses that only this machine has; Ray would replace 127.0.0.1 by one that others reach.
readonly address=127.0.0.2:26379
# Ray listens on every network all the same and runs what it is sent, so it must ask for a token;
# of its own accord it would leave one in the home folder.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$state/token RAY_USAGE_STATS_ENABLED=0

# Exit code for those who want to do without where there is none.
readonly NOT_INSTALLED=3

say() { printf 'ray: %s\n' "$*" >&2; }

fail() { # exit code, message
    say "$2"
    exit "$1"
}

ray() { "$python" -m ray.scripts.scripts "$@"; }

# The pid file outlives its process, and the number may be someone else's by then.
pid_of() { # name
    local pid
    pid=$(cat "$state/$1.pid" 2>/dev/null) || return 1
    [[ $(ps -o args= -p "$pid") == *"ray.scripts.scripts start"* ]] && echo "$pid"
}

start() { # name, options of `ray start`...
    local name=$1
    shift
    pid_of "$name" >/dev/null && return
    # With --block the process is the parent of all it starts, and takes them with it when it ends.
    rm -f "$state/$name.log"
    setsid "$python" -m ray.scripts.scripts start --block --num-cpus=1 \
        --object-store-memory=100000000 --min-worker-port=0 --max-worker-port=0 \
        --dashboard-agent-listen-port=0 "$@" >"$state/$name.log" 2>&1 </dev/null &
    echo $! >"$state/$name.pid"
    wait_for "$name"
}

wait_for() { # name
    local deadline=$((SECONDS + 90))
    until grep -qs 'Ray runtime started' "$state/$1.log"; do
        sleep 0.5 # before the first look too: the process may not have its name yet
        pid_of "$1" >/dev/null && ((SECONDS < deadline)) ||
            fail 1 "$1 did not come up; its log is $state/$1.log"
    done
}

up() {
    "$python" -c 'import ray' 2>/dev/null ||
        fail "$NOT_INSTALLED" "no Ray in $python; install combgrad[sweep]"
    # A folder of its own also keeps this cluster's address out of the file that every later Ray on
    # this machine would read.
    mkdir -p "$state"
    [[ -s $state/token ]] ||
        (umask 077 && head -c 32 /dev/urandom | sha256sum | head -c 64 >"$state/token")
    start head --head --port="${address#*:}" --node-ip-address="${address%:*}" \
        --include-dashboard=false --temp-dir="$state/head"
    start second --address="$address" --node-ip-address=127.0.0.3 --temp-dir="$state/second"
    say "up: two nodes, one CPU each"
    printf 'export RAY_ADDRESS=%s RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=%q\n' \
        "$address" "$RAY_AUTH_TOKEN_PATH"
}

down() {
    local pid
    [[ -d $state ]] || { say "nothing to take down" && return; }
    for name in second head; do
        pid=$(pid_of "$name") || continue
        kill "$pid"
        for _ in {1..200}; do
            pid_of "$name" >/dev/null || continue 2
            sleep 0.1
        done
        fail 1 "$name ($pid) did not stop within 20 s"
    done
    rm -rf "$state"
    say "down"
}

status() {
    local pid missing=0
    for name in head second; do
        if pid=$(pid_of "$name"); then say "$name runs ($pid)"; else
            say "$name does not run"
            missing=1
        fi
    done
    ((missing == 0)) || exit 1
    ray status --address="$address"
}

case ${1:-} in
up | down | status) "$1" ;;
*) fail 1 "usage: $0 up | down | status" ;;
esac

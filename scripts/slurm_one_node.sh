#!/usr/bin/env bash
# A Slurm of one node for trying out sweeps, with its own folder, key, ports and accounting.
#
#   eval "$(scripts/slurm_one_node.sh up)"     start it, and tell this shell where it is
#   scripts/slurm_one_node.sh status
#   scripts/slurm_one_node.sh down             stop it and remove its folder
#
# It leaves a Slurm that is already on the machine alone, needs no systemd, and runs jobs as the
# user who started it. COMBGRAD_SLURM names another folder than the default below TMPDIR.
set -euo pipefail

state=${COMBGRAD_SLURM:-${TMPDIR:-/tmp}/combgrad-slurm-$(id -u)}
export SLURM_CONF=$state/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

# Not Slurm's own ports, so that a real one can run beside it.
readonly control_port=16817 node_port=16818 accounting_port=16819
readonly daemons=(munged mariadbd slurmdbd slurmctld slurmd)
readonly packages="slurm-wlm slurmdbd munge mariadb-server-core mariadb-client-core"

# Exit code for those who want to do without where there is none.
readonly NOT_INSTALLED=3

say() { printf 'slurm: %s\n' "$*" >&2; }

fail() { # exit code, message
    say "$2"
    exit "$1"
}

# A pid file outlives its process: the number may be someone else's by then, or a zombie's.
pid_of() { # name
    local pid
    pid=$(cat "$state/run/$1.pid" 2>/dev/null) || return 1
    [[ $(ps -o stat=,comm= -p "$pid") =~ ^[^Z][^\ ]*\ +$1$ ]] && echo "$pid"
}

wait_for() { # seconds, what, command...
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || fail 1 "$what did not come up; its log is in $state/log"
        sleep 0.2
    done
}

check_installed() {
    local missing=()
    for program in "${daemons[@]}" munge sbatch sacctmgr mariadb mariadb-install-db; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    ((${#missing[@]} == 0)) ||
        fail "$NOT_INSTALLED" "not installed: ${missing[*]}. On Debian:
    apt-get install --no-install-recommends $packages"
}

write_configuration() {
    local user host
    user=$(id -un)
    host=$(hostname -s)
    mkdir -p "$state"/{run,log,munge,database,spool,control}
    chmod 711 "$state" "$state/munge"
    chmod 700 "$state/database" "$state/run"
    [[ -s $state/munge/key ]] || (umask 077 && head -c 1024 /dev/urandom >"$state/munge/key")
    cat >"$SLURM_CONF" <<CONFIGURATION
ClusterName=combgrad
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$control_port
SlurmdPort=$node_port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$state/munge/socket
StateSaveLocation=$state/control
SlurmdSpoolDir=$state/spool
SlurmctldPidFile=$state/run/slurmctld.pid
SlurmdPidFile=$state/run/slurmd.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
KillWait=10
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$accounting_port
AccountingStoragePass=$state/munge/socket
JobAcctGatherType=jobacct_gather/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=one Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONFIGURATION
    (umask 077 && cat >"$state/slurmdbd.conf") <<CONFIGURATION
AuthType=auth/munge
AuthInfo=socket=$state/munge/socket
DbdHost=$(hostname -s)
DbdAddr=127.0.0.1
DbdPort=$accounting_port
SlurmUser=$user
PidFile=$state/run/slurmdbd.pid
LogFile=$state/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
CONFIGURATION
}

start_munged() {
    munged --key-file="$state/munge/key" --socket="$state/munge/socket" \
        --pid-file="$state/run/munged.pid" --seed-file="$state/munge/seed" \
        --log-file="$state/log/munged.log"
    wait_for 10 munged munge --socket="$state/munge/socket" --no-input
}

start_mariadbd() {
    local folder=$state/database
    if [[ ! -d $folder/data ]]; then
        mariadb-install-db --no-defaults --datadir="$folder/data" --user="$(id -un)" \
            --auth-root-authentication-method=normal --skip-test-db >"$state/log/mariadbd.log"
    fi
    # Reached through the socket in a folder of this user only, hence neither port nor password.
    setsid mariadbd --no-defaults --datadir="$folder/data" --user="$(id -un)" \
        --socket="$folder/socket" --pid-file="$state/run/mariadbd.pid" --skip-networking \
        --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
        >>"$state/log/mariadbd.log" 2>&1 </dev/null &
    wait_for 60 mariadbd mariadb --no-defaults --socket="$folder/socket" --user=root -e 'select 1'
}

start_slurmdbd() {
    SLURM_CONF=$state/slurmdbd.conf MYSQL_UNIX_PORT=$state/database/socket slurmdbd
    wait_for 60 slurmdbd sacctmgr --noheader show cluster
    sacctmgr --immediate add cluster combgrad >/dev/null 2>&1 || true
}

start_slurmctld() {
    slurmctld
    wait_for 30 slurmctld scontrol ping
}

start_slurmd() {
    slurmd
    wait_for 60 "slurmd (an idle node)" node_is_idle
}

node_is_idle() { sinfo --noheader --format=%T | grep -Eq '^(idle|mixed|allocated)$'; }

up() {
    check_installed
    write_configuration
    for daemon in "${daemons[@]}"; do
        pid_of "$daemon" >/dev/null || "start_$daemon" >&2
    done
    say "up, with $(nproc) CPUs; its logs are in $state/log"
    printf 'export SLURM_CONF=%q\n' "$SLURM_CONF"
}

down() {
    local pid
    [[ -d $state ]] || { say "nothing to take down" && return; }
    for ((at = ${#daemons[@]} - 1; at >= 0; at--)); do
        pid=$(pid_of "${daemons[at]}") || continue
        kill "$pid"
        for _ in {1..150}; do
            pid_of "${daemons[at]}" >/dev/null || continue 2
            sleep 0.1
        done
        fail 1 "${daemons[at]} ($pid) did not stop within 15 s"
    done
    rm -rf "$state"
    say "down"
}

status() {
    local pid missing=0
    for daemon in "${daemons[@]}"; do
        if pid=$(pid_of "$daemon"); then say "$daemon runs ($pid)"; else
            say "$daemon does not run"
            missing=1
        fi
    done
    ((missing == 0)) || exit 1
    sinfo
    squeue
}

case ${1:-} in
up | down | status) "$1" ;;
*) fail 1 "usage: $0 up | down | status" ;;
esac

# shellcheck shell=bash disable=SC2034  # variables of the files that read this one
# Where things are, and the bounded waits that up, down and service share.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
state=${CE_ENGINES_STATE:-/run/container-executor-engines}/slurm
cache=${CE_ENGINES_CACHE:-$(cd "$here/../../.." && pwd)/.cache/engines}/slurm
jobs=$state/jobs
user=cejob
partition='batch'
cgroups=(/sys/fs/cgroup/{memory,freezer}/container-executor-slurm)
mark=etc/container-executor-rig   # in the rig's root folder; holds $state

say() { printf 'slurm: %s\n' "$*" >&2; }

die() { say "$@"; exit 1; }

# The program that keeps the rig's namespaces open.
holder() { cat "$state/holder.pid" 2>/dev/null; }

# Runs a command as root inside the rig.
inside() { nsenter --target "$(holder)" --mount --uts --root --wd "$@"; }

# wait_for SECONDS LOG WHAT COMMAND...: polls COMMAND; gives up with the tail of LOG (a path inside the rig).
wait_for() {
    local end=$((SECONDS + $1)) log=$2 what=$3
    shift 3
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= end)); then
            tail -n 15 "/proc/$(holder)/root$log" >&2 || say "no log $log"
            die "$what did not happen in time; the end of $log is above"
        fi
        sleep 0.05
    done
}

is_up() { [[ -e $state/ready ]] && inside scontrol ping && [[ $(nodes_idle) == 2 ]]; }

nodes_idle() { inside sinfo --noheader --Node --states=idle,mixed,allocated,completing --responding --format=%N | sort -u | wc -l; }

# start_daemon NAME COMMAND...: in the background of the rig, with a log and a pid file there.
start_daemon() {
    local name=$1
    shift
    # shellcheck disable=SC2016  # $0 and $@ are the inner shell's
    inside setsid --fork sh -c 'echo $$ >"/run/rig/$0.pid"; exec "$@" >>"/var/log/rig/$0.log" 2>&1' "$name" "$@" \
        </dev/null >/dev/null 2>&1
}

daemon_pid() { cat "/proc/$(holder)/root/run/rig/$1.pid"; }

#!/bin/sh
# What runs out: ids, descriptors, groups, and the daemon itself.  Each is told
# clearly, ends nothing else, and is over when there is more.
# shellcheck disable=SC2016
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2154,SC2317,SC3045 # T comes from lib.sh; called by check
. "${BRIG_SRCDIR:?}/tests/lib.sh"
# shellcheck source=../leaks.sh
. "$BRIG_SRCDIR/tests/leaks.sh"

BASE=$leaks_base
setup exhaust
command -v prlimit >/dev/null 2>&1 || {
    echo "1..0 # SKIP prlimit (util-linux) is not installed"
    exit 77
}
all='default exec allow;  default read allow;  default write allow;'

# begin COUNT [LINE...]: a brigd with so many job uids.
begin() {
    begin_count=$1
    shift
    write_conf "$@"
    leaks_uids "$begin_count"
    cat >"$T/policy/default.policy" <<EOP
profile default { $all }
profile limited { $all  limit memory 256M;  limit procs 50; }
EOP
    start_brigd
}
pid_of() {
    brig --json status | python3 -c "
import json, sys
print(*[p['pid'] for p in json.load(sys.stdin)['processes']
        if p['role'] == '$1'])"
}
descriptors() {
    find "/proc/$1/fd" -mindepth 1 | wc -l
}
# files PID N: its limit of open files from now on.
files() {
    prlimit --pid "$1" --nofile="$2:$3"
}
# refused TEXT: brig's own status, and why.
refused() {
    rc=0
    timeout 30 brig run -- true </dev/null >"$T/out" 2>&1 || rc=$?
    if grep -q "$1" "$T/out" && [ "$rc" = 125 ]; then
        return
    fi
    echo "status $rc"
    cat "$T/out"
    return 1
}
runs() {
    rc=0
    timeout 30 brig run -- sh -c 'exit 7' </dev/null >"$T/out" 2>&1 || rc=$?
    [ "$rc" = 7 ] || {
        echo "status $rc"
        cat "$T/out"
        return 1
    }
}
end_jobs() {
    while read -r j; do
        brig kill -s KILL "$j" >/dev/null 2>&1
        brig wait "$j" >/dev/null 2>&1
    done <"$T/jobs"
    : >"$T/jobs"
}

# ---- limits of the host ------------------------------------------------------

# few [LINE...]: what brigd -n says with 700 open files at most.
few() {
    write_conf "$@"
    leaks_uids 100
    echo "profile default { $all }" >"$T/policy/default.policy"
    (
        ulimit -n 700
        exec setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource \
            brigd -n -f "$T/brigd.conf"
    ) >"$T/out" 2>&1
}
lowered() {
    few && grep "max-jobs is 9: the limit of open files is 700" "$T/out"
}
too_many() {
    ! few "max-jobs 50" && grep "max-jobs 50 takes 1512 open files" "$T/out"
}
check "a low limit of open files lowers the default of max-jobs" lowered
check "control: it is as it is where it fits" few "max-jobs 9"
check "a max-jobs that is set and does not fit is an error" too_many

# ---- ids --------------------------------------------------------------------

begin 3
check "the daemon comes to rest" leaks_before
background setpriv --reuid=$((BASE + 1)) --clear-groups sleep 100
stray=$LAST_PID
sleep 1.1
for i in 1 2; do
    brig submit -- sleep 100 >>"$T/jobs"
done
# A job that is queued has no uid yet.
all_run() {
    while read -r j; do
        brig show "$j" | grep -Eq '^state +running' || return 1
    done <"$T/jobs"
}
not_strays() {
    while read -r j; do
        brig show "$j"
    done <"$T/jobs" >"$T/out"
    if [ "$(grep -c '^host uid' "$T/out")" = 2 ] &&
        ! grep -Eq "^host uid +$((BASE + 1))\$" "$T/out"; then
        return
    fi
    cat "$T/out"
    return 1
}
check "two jobs run beside a process that has a job uid" wait_for 30 all_run
check "no uid is shared with a process of the host" not_strays
check "without a free uid a job is refused" \
    refused "no job uid is free: of 3, 1 belong"
stop "$stray"
check "and runs when there is one" wait_for 10 runs
# The one that ran may not have been put away yet.
wait_for 10 sh -c 'brig submit -- sleep 100 >>"$T/jobs"'
check "one job more than max-jobs is refused" refused "3 jobs are open already"
end_jobs
check "nothing of these is left" leaks_none
stop_brigd

# ---- one user's share ---------------------------------------------------------

user=$((BASE + 500))
as_user() {
    setpriv --reuid $user --regid $user --clear-groups env HOME="$T/user" "$@"
}
second_refused() {
    rc=0
    as_user timeout 30 brig run -w "$T/user" -- true </dev/null >"$T/out" 2>&1 ||
        rc=$?
    if grep -q "1 of your jobs are open already" "$T/out" && [ "$rc" = 125 ]; then
        return
    fi
    echo "status $rc"
    cat "$T/out"
    return 1
}
begin 8 "max-jobs 3" "max-jobs-per-user 1"
mkdir -p "$T/user"
chown $user:$user "$T/user"
as_user brig submit -w "$T/user" -- sleep 100 >>"$T/jobs"
check "a user's job more than max-jobs-per-user is refused" second_refused
check "somebody else's runs" runs
end_jobs
check "and the user's next when that one has ended" \
    wait_for 10 as_user brig run -w "$T/user" -- true
stop_brigd

# ---- descriptors ------------------------------------------------------------

# More than the 50 jobs below: an id rests a while after its job.
begin 60
brig run -- true
check "a daemon with more ids comes to rest" leaks_before
control=$(pid_of control)
keyd=$(pid_of keyd)
hard=$(awk '/^Max open files/ { print $5 }' "/proc/$BRIGD_PID/limits")
soft=$(awk '/^Max open files/ { print $4 }' "/proc/$BRIGD_PID/limits")
files "$BRIGD_PID" $(($(descriptors "$BRIGD_PID") + 90)) "$hard"
i=0
while [ $i -lt 40 ]; do
    i=$((i + 1))
    brig submit -- sleep 100 >>"$T/jobs" 2>/dev/null
done
check "control: some jobs run before descriptors are short" wait_for 10 \
    sh -c 'brig ps | grep -q running'
check "then a job is refused" refused "no descriptors left"
check "the daemon is the same, and its processes" sh -c '
    kill -0 "$0" && [ "$1" = "$2" ]' "$BRIGD_PID" \
    "$control $keyd" "$(pid_of control) $(pid_of keyd)"
files "$BRIGD_PID" $(($(descriptors "$BRIGD_PID") + 2)) "$hard"
check "with almost none a job is refused, too" refused "no descriptors left"
kill -9 "$keyd"
sleep 1
files "$BRIGD_PID" "$soft" "$hard"
another_keyd() {
    now=$(pid_of keyd)
    [ -n "$now" ] && [ "$now" != "$keyd" ]
}
check "a process that died meanwhile comes back" wait_for 20 another_keyd
check "and jobs run again" wait_for 20 runs
end_jobs
check "nothing of those jobs is left" leaks_none

hard=$(awk '/^Max open files/ { print $5 }' "/proc/$control/limits")
if files "$control" "$(descriptors "$control")" "$hard" 2>/dev/null; then
    rc=0
    timeout 2 brig status >/dev/null 2>&1 || rc=$?
    check "control: without descriptors control accepts nobody" test $rc = 124
    files "$control" "$hard" "$hard"
    check "with some it goes on" wait_for 10 brig status
    check "it is the same control" test "$(pid_of control)" = "$control"
else
    skip "without descriptors control accepts nobody, but goes on" \
        "no CAP_SYS_RESOURCE to limit another user's process"
fi

# ---- groups -----------------------------------------------------------------

group=
while read -r dir; do
    [ ! -w "$dir/cgroup.max.descendants" ] || group=$dir
done 2>/dev/null <"$T/state/cgroups"
if [ -n "$group" ]; then
    echo 0 >"$group/cgroup.max.descendants"
    check "without a group a job is refused" refused "cgroup"
    echo max >"$group/cgroup.max.descendants"
    check "and runs when there can be one" runs
    check "nothing of it is left" leaks_none
else
    skip "without a group a job is refused" "no cgroup v2 here"
fi

# ---- the daemon itself --------------------------------------------------------

# Whoever has a job's uid, or a file of this brigd's jobs open.
survivors() {
    python3 - "$T/state/jobs/" $BASE 60 <<'EOP'
import os
import sys
jobs, base, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        found = base <= os.stat(f'/proc/{pid}').st_uid < base + count
        for fd in os.listdir(f'/proc/{pid}/fd'):
            found |= os.readlink(f'/proc/{pid}/fd/{fd}').startswith(jobs)
    except OSError:
        continue
    if found:
        print(pid)
EOP
}
none_survives() {
    [ -z "$(survivors)" ]
}
i=0
while [ $i -lt 50 ]; do
    i=$((i + 1))
    profile=default
    [ $((i % 3)) != 0 ] || profile=limited
    brig submit -p $profile -- sh -c 'sleep 1000 & setsid sleep 1000 & wait' \
        >>"$T/jobs"
done
check "50 jobs run" wait_for 20 \
    sh -c '[ "$(brig ps | grep -c running)" = 50 ]'
check "control: they have processes" test "$(survivors | wc -l)" -ge 200
kill -9 "$BRIGD_PID"
wait "$BRIGD_PID" 2>/dev/null
check "when brigd is killed, all of them die" wait_for 20 none_survives
if [ -n "$group" ]; then
    check "control: their groups are left" test -d "$group/$(
        tail -n 1 "$T/jobs")"
fi
start_brigd
check "the next one finds no job running" sh -c '
    for j in $(cat "$0"); do brig show $j; done |
        awk "/^state/ { n++; if (\$2 != \"lost\") exit 1 }
            END { exit n != 50 }"' "$T/jobs"
check "and runs jobs" runs
check "and has cleaned up after the former" leaks_none
check "the record of both holds" brig audit verify
finish

#!/bin/sh
# stress-ng (Debian) in a limited job: the daemon lives, other jobs go on and
# new ones start, and nothing is left behind.
# shellcheck disable=SC2016
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2154,SC2317 # T comes from lib.sh; called by check
. "${BRIG_SRCDIR:?}/tests/lib.sh"
# shellcheck source=../leaks.sh
. "$BRIG_SRCDIR/tests/leaks.sh"

SECONDS_EACH=${STRESS_SECONDS-3}
setup stress
command -v stress-ng >/dev/null 2>&1 || {
    echo "1..0 # SKIP stress-ng is not installed"
    exit 77
}
write_conf
leaks_uids 100
all='default exec allow;  default read allow;  default write allow;'
cat >"$T/policy/default.policy" <<EOP
profile default { $all }
profile stress { $all
    limit memory 256M;  limit procs 64;  limit disk 32M;  limit inodes 2000;
    limit files 500;  limit cpu-weight 20;  limit output 1M; limit wall 60s; }
EOP
start_brigd

# Who is there, and how often each had to be started.
own() {
    brig --json status | python3 -c '
import json, sys
for p in json.load(sys.stdin)["processes"]:
    if p["role"] not in ("shim", "front", "back"):
        print(p["role"], p["pid"], p["restarts"])'
}
beats() {
    brig logs "$neighbour" | tail -n 1
}
goes_on() {
    now=$(beats)
    wait_for 20 sh -c '[ "$(brig logs "$0" | tail -n 1)" -gt "$1" ]' \
        "$neighbour" "$now"
}
others_start() {
    for i in 1 2 3; do
        timeout 20 brig run -- sh -c "echo said $i; exit $i" </dev/null \
            >"$T/other" 2>&1
        rc=$?
        if [ "$rc" != "$i" ] || ! grep -qx "said $i" "$T/other"; then
            echo "job $i ended with $rc"
            cat "$T/other"
            return 1
        fi
    done
}
# bogo NAME: how much work stress-ng says it did.
bogo() {
    awk -v k="$1" '/metrc/ && $4 == k && $5 ~ /^[0-9]+$/ { n = $5 }
        END { print n + 0 }' "$T/out.$1"
}

brig run -- true
check "the daemon comes to rest" leaks_before
own >"$T/own"
neighbour=$(brig submit -- sh -c 'i=0
    while :; do i=$((i+1)); echo $i; sleep 0.1; done')
check "a neighbour runs" wait_for 10 sh -c '[ -n "$(brig logs "$0")" ]' \
    "$neighbour"

# stress NAME OPTION...: beside it others run; its end is its own affair, but
# brig must not be what failed.
stress() {
    name=$1
    shift
    background timeout 90 brig run -p stress -- stress-ng --temp-path /tmp \
        --timeout "${SECONDS_EACH}s" --metrics-brief --"$name" 4 "$@" \
        >"$T/out.$name" 2>&1 </dev/null
    job=$LAST_PID
    sleep 1
    check "$name: others start meanwhile" others_start
    check "$name: the neighbour goes on" goes_on
    check "$name: the daemon answers" timeout 10 brig status
    rc=0
    wait "$job" || rc=$?
    n=$(bogo "$name")
    if [ "$n" -gt 0 ]; then
        ok "$name: control, it did some work"
    elif grep -q -i "operation not permitted\|EPERM\|skipped\|not implemented" \
        "$T/out.$name"; then
        skip "$name: control, it did some work" "the filter refuses it"
    else
        not_ok "$name: control, it did some work"
        diag "status $rc"
        tail -n 20 "$T/out.$name" | sed 's/^/# /'
    fi
    # Refused (3, 4), failed by a limit (2), killed by one (137, 143).
    case $rc in
    0 | 2 | 3 | 4 | 137 | 143) ok "$name: it ends, whatever it met" ;;
    *)
        not_ok "$name: it ends, whatever it met"
        diag "status $rc"
        tail -n 20 "$T/out.$name" | sed 's/^/# /'
        ;;
    esac
}
for name in ${STRESSORS-fork vm open io sock seccomp}; do
    case $name in
    vm) stress vm --vm-bytes 200M ;;
    *) stress "$name" ;;
    esac
done

own >"$T/own.after"
check "the daemon's processes are the same, none started again" \
    diff "$T/own" "$T/own.after"
brig kill -s KILL "$neighbour"
brig wait "$neighbour" >/dev/null 2>&1
check "nothing is left behind" leaks_none
check "the record holds" brig audit verify
finish

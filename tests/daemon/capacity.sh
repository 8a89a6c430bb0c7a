#!/bin/sh
# Many jobs, in sequence, side by side and idle: each ends as it should, and
# nothing of them is left.
# shellcheck disable=SC2016
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2154,SC2317,SC3045 # T comes from lib.sh; called by check
. "${BRIG_SRCDIR:?}/tests/lib.sh"
# shellcheck source=../leaks.sh
. "$BRIG_SRCDIR/tests/leaks.sh"

# A mount that one of the controls makes is to be nobody else's.
[ "${BRIG_CAPACITY-}" = apart ] || [ "$(id -u)" != 0 ] ||
    BRIG_CAPACITY=apart exec unshare --mount --propagation private sh "$0"
ROW=${CAPACITY_ROW-500}   # jobs in sequence
WIDE=${CAPACITY_WIDE-50}  # at a time
IDLE=${CAPACITY_IDLE-200} # and doing nothing

setup capacity
write_conf "max-jobs $IDLE"
leaks_uids "$IDLE"
all='default exec allow;  default read allow;  default write allow;'
cat >"$T/policy/default.policy" <<EOP
profile default { $all }
profile limited { $all  limit memory 256M;  limit procs 50; }
profile home { $all  sandbox home keep mine;  limit disk 8M; }
profile staged { $all  sandbox workspace staged;  limit disk 8M; }
EOP
# As most systems start a daemon: not enough for so many jobs.
files=$(ulimit -Hn)
ulimit -Sn 1024
start_brigd

job_files() {
    [ "$(brig run -- sh -c 'ulimit -Hn' </dev/null)" = \
        $((files < 65536 ? files : 65536)) ]
}
open_jobs() {
    brig --json ps | python3 -c '
import json, sys
jobs = json.load(sys.stdin)["jobs"]
print(sum(j["state"] == sys.argv[1] for j in jobs))' "$1"
}
all_run() {
    [ "$(open_jobs running)" = "$IDLE" ]
}
none_runs() {
    [ "$(open_jobs running)" = 0 ]
}

check "brigd has descriptors for all its jobs" sh -c '
    [ "$(awk "/^Max open files/ { print \$4 }" "/proc/$0/limits")" -ge \
        $(($1 * 12)) ]' "$BRIGD_PID" "$IDLE"
check "a job gets the limit that brigd was started with" job_files

# ---- the census finds what is left ----------------------------------------

check "the daemon comes to rest" leaks_before
cp "$T/leaks.before" "$T/leaks.control"
background unshare --net setpriv --reuid=$((leaks_base + 7)) --clear-groups sleep 100
stray=$LAST_PID
mkfifo "$T/hold"
background python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
open(sys.argv[2]).read()' "$T/run/brigd.sock" "$T/hold"
client=$LAST_PID
mkdir "$T/run/left" "$T/mnt"
mount -t tmpfs none "$T/mnt"
group=$(head -n 1 "$T/state/cgroups" 2>/dev/null)
[ -z "$group" ] || mkdir "$group/j-99999"
sleep 0.5
leaks_census >"$T/leaks.after"
diff "$T/leaks.before" "$T/leaks.after" >"$T/found"
for what in 'process stray sleep' 'namespaces: net' 'mounts of brigd' \
    'descriptor of control: socket' 'file run/left'; do
    check "control: the census finds a leaked ${what%% *}" \
        grep -q "> .*$what" "$T/found"
done
if [ -n "$group" ]; then
    check "control: the census finds a leaked group" \
        grep -q "> 1 groups in" "$T/found"
    rmdir "$group/j-99999"
else
    skip "control: the census finds a leaked group" "no cgroups here"
fi
stop "$stray"
stop "$client"
umount "$T/mnt"
rmdir "$T/run/left"
check "control: and says when it is gone" leaks_none

# ---- in sequence, and side by side ----------------------------------------

# Statuses that tell the jobs apart.
i=0
bad=0
while [ $i -lt "$ROW" ]; do
    i=$((i + 1))
    profile=default
    [ $((i % 10)) != 0 ] || profile=limited
    rc=0
    brig run -p $profile -- sh -c "exit $((i % 100))" </dev/null \
        >>"$T/out" 2>&1 || rc=$?
    [ $rc = $((i % 100)) ] || {
        bad=$((bad + 1))
        echo "job $i ended with $rc"
    }
done >"$T/wrong"
check "$ROW jobs in a row end with their statuses" sh -c \
    'cat "$0" "$1"; [ ! -s "$0" ] && [ ! -s "$1" ]' "$T/wrong" "$T/out"
check "they leave nothing" leaks_none

seq "$ROW" | xargs -P "$WIDE" -n 1 sh -c '
    rc=0
    timeout 120 brig run -- sh -c "exit $(($1 % 100))" </dev/null \
        >"$0.$1" 2>&1 || rc=$?
    [ $rc = $(($1 % 100)) ] ||
        echo "job $1 ended with $rc: $(cat "$0.$1")"' \
    "$T/out" >"$T/wrong"
check "$ROW jobs, $WIDE at a time, end with their statuses" sh -c \
    'cat "$0"; [ ! -s "$0" ]' "$T/wrong"
check "they leave nothing, either" leaks_none

# ---- with every layer ------------------------------------------------------

# A direct and a staged workspace, a kept home, a terminal, by number.
mkdir "$T/ws"
cat >"$T/layers.sh" <<'EOS'
i=$1
case $((i % 4)) in
0) set -- -w "$T/ws" ;;
1) set -- -w "$T/ws" -p staged ;;
2) set -- -p home ;;
3) set -- -t ;;
esac
rc=0
timeout 120 brig run "$@" -- sh -c "echo $i >x$i; exit $i" </dev/null \
    >"$T/layer.$i" 2>&1 || rc=$?
[ $rc = "$i" ] || {
    # One job at a time has a home.
    [ $((i % 4)) = 2 ] && grep -q "in use" "$T/layer.$i"
} || echo "job $i ended with $rc: $(cat "$T/layer.$i")"
EOS
sh "$T/layers.sh" 1 >"$T/wrong"
sh "$T/layers.sh" 2 >>"$T/wrong"
discard() {
    brig --json ps -a | python3 -c '
import json, sys
for j in json.load(sys.stdin)["jobs"]:
    if j["state"] == "review":
        print(j["id"])' | while read -r j; do
        brig discard "$j" >/dev/null || echo "$j cannot be discarded"
    done >>"$T/wrong"
}
discard
check "the daemon comes to rest with a home" leaks_before
seq 3 42 | xargs -P 10 -n 1 sh "$T/layers.sh" >>"$T/wrong"
wait_for 20 none_runs
discard
check "40 jobs with every layer end with their statuses" sh -c \
    'cat "$0"; [ ! -s "$0" ]' "$T/wrong"
check "the direct ones wrote" test -e "$T/ws/x4" -a ! -e "$T/ws/x5"
check "they leave nothing" leaks_none

# ---- idle ------------------------------------------------------------------

i=0
while [ $i -lt "$IDLE" ]; do
    i=$((i + 1))
    profile=default
    [ $((i % 4)) != 0 ] || profile=limited
    brig submit -p $profile -- sleep 1000 >>"$T/jobs" || break
done
check "$IDLE idle jobs run at once" wait_for 60 all_run
check "each has a uid of its own" sh -c '
    for j in $(cat "$0"); do brig show $j; done |
        awk "/^host uid/ { n++; if (seen[\$3]++) exit 1 }
            END { exit n != '"$IDLE"' }"' "$T/jobs"
rc=0
brig run -- true </dev/null >"$T/out" 2>&1 || rc=$?
check "one more is refused with brig's status" test $rc = 125
check "and told why" grep -q "$IDLE jobs are open already" "$T/out"
first=$(head -n 1 "$T/jobs")
check "a job among them answers" sh -c 'brig kill -s TERM "$0" &&
    { brig wait "$0"; [ $? = 143 ]; }' "$first"
check "and its place can be had" wait_for 10 \
    sh -c 'brig run -- sh -c "exit 9" </dev/null; [ $? = 9 ]'
sed 1d "$T/jobs" | xargs -n 20 -P 4 sh -c '
    for j in "$@"; do brig kill -s KILL "$j"; done' sh
sed 1d "$T/jobs" | while read -r j; do
    rc=0
    brig wait "$j" >/dev/null 2>&1 || rc=$?
    [ $rc = 137 ] || echo "$j ended with $rc"
done >"$T/wrong"
check "all end as killed" sh -c 'cat "$0"; [ ! -s "$0" ]' "$T/wrong"
check "no job is left open" none_runs
check "idle jobs leave nothing" leaks_none
check "the record of it all holds" brig audit verify
finish

#!/bin/sh
# A job that abuses its proxy, and a proxy whose partners stand still: nothing
# ends, memory stays bounded, nothing leaves without its record.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
command -v python3 >/dev/null || {
    echo "1..0 # SKIP needs python3"
    exit 77
}
attack_setup attack-abuse
G="https://good.test:$GOOD"
auth='-H "Authorization: Bearer $GOOD_TOKEN"'
cp "$BRIG_SRCDIR/tests/attack/front_abuse.py" "$T/ws/"

# procs EXPRESSION: rows of the status for which it holds, "role pid rss".
procs() {
    brig --json status | python3 -c "
import json, sys
for p in json.load(sys.stdin)['processes']:
    if $1:
        print(p['role'], p['pid'], p.get('rss_kb', 0))"
}

brig submit -w "$T/ws" -- sh -c "
    python3 /workspace/front_abuse.py $GOOD $PLAIN >/workspace/abuse.out 2>&1
    curl -sS -m 20 $auth $G/after-abuse >/workspace/after 2>&1
    touch /workspace/abuse.done; sleep 60" >"$T/id"
wait_for 10 test -e "$T/ws/abuse.out"
procs 'p["role"] in ("front", "back")' | cut -d' ' -f1,2 >"$T/before"
check "34 control: front and back of the job run" grep -q back "$T/before"
check "34 the abuse comes to its end" wait_for 200 test -e "$T/ws/abuse.done"
check "34 control: all of it was done" \
    grep -q "done many_uploads" "$T/ws/abuse.out"
check "34 pipelined requests are answered, each once" \
    grep -q "pipelined 50" "$T/ws/abuse.out"
check "34 the same job is served afterwards" grep -q ok "$T/ws/after"
procs 'p["role"] in ("front", "back")' | cut -d' ' -f1,2 >"$T/after"
check "34 by the same processes" cmp "$T/before" "$T/after"
while read -r role pid; do
    rss=$(awk '/VmRSS/ { print $2 }' "/proc/$pid/status")
    check "34 $role has not kept the memory ($rss kB)" test "$rss" -lt 65536
done <"$T/after"
brig kill -s KILL "$(cat "$T/id")" >/dev/null 2>&1 || :

# Rotation reaches running jobs, whatever the length.
brig submit -w "$T/ws" -- sh -c "
    n=0; until [ -e /workspace/rotated ]; do sleep 0.1; done
    curl -sS -m 20 $auth $G/leak?rotated; echo stub=\$GOOD_TOKEN
    touch /workspace/rot.done" >"$T/id"
new=$(random_token)$(random_token)
printf %s "$new" | brig secret rotate good >/dev/null
touch "$T/ws/rotated"
check "14 the running job goes on" wait_for 20 test -e "$T/ws/rot.done"
check "14 with the new, longer value" reached good.test "Bearer $new"
brig logs "$(cat "$T/id")" >"$T/job.out" 2>&1
check "14 control: the job got the echo" job_says raw=
OLD=$CANARY
CANARY=$new
check "14 which holds no spelling of it" no_canary "$T/job.out"
CANARY=$OLD

# Partners that stand still.
for role in audit keyd; do
    pid=$(procs "p['role'] == '$role'" | cut -d' ' -f2)
    brig submit -w "$T/ws" -- sh -c "
        curl -sS -m 20 $G/before-$role >/workspace/ready-$role
        until [ -e /workspace/stopped-$role ]; do sleep 0.1; done
        curl -sS -m 40 -X POST -d x $auth $G/while-$role \
            >/workspace/still-$role 2>&1
        touch /workspace/still-$role.done; sleep 20" >"$T/id"
    wait_for 20 test -s "$T/ws/ready-$role"
    kill -STOP "$pid"
    touch "$T/ws/stopped-$role"
    wait_for 40 test -e "$T/ws/still-$role.done"
    not_reached good.test "/while-$role" && stood=yes || stood=no
    kill -CONT "$pid"
    check "76 $role stands still: the request is refused" \
        grep -q _unavailable "$T/ws/still-$role"
    check "76 $role stands still: nothing was sent" test "$stood" = yes
    brig kill -s KILL "$(cat "$T/id")" >/dev/null 2>&1 || :
done
sleep 1
check "76 nothing is sent later" not_reached good.test /while-
attack_end

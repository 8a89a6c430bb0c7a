#!/bin/sh
# The real value is nowhere that a job can look, in no log, and not in the
# memory of the process that parses the agent's bytes; and it is at the origin.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup canary
cp "$BRIG_SRCDIR/tests/e2e/search.py" "$T/ws/"

# A long exchange with the real value in it, so that everything is live while
# the search goes on.
brig submit -w "$T/ws" -- sh -c "curl -sS -N -H \"Authorization: Bearer \$GOOD_TOKEN\" \
    https://good.test:$GOOD/leak https://good.test:$GOOD/sse/300/100 >/workspace/live.out 2>&1" >"$T/live"
live=$(cat "$T/live")
check "control: an exchange with the real value is under way" \
    wait_for 10 reached good.test "Bearer $CANARY"

# In the jail: every process, every file, every answer.
job "curl -sS -D - -H \"Authorization: Bearer \$GOOD_TOKEN\" https://good.test:$GOOD/leak https://good.test:$GOOD/echo
python3 /workspace/search.py jail"
check "control: the search in the jail read processes and files" \
    grep -qE '^searched [0-9]+ files, [0-9]+ processes' "$T/job.out"
check "control: the search in the jail finds the stub" \
    job_says "found stub"
check "no spelling of the real value in anything the job received or found" \
    no_canary "$T/job.out"

# From outside, as root, in all spellings: what the live job's jail holds.
{ spellings "$CANARY"; } >"$T/spellings"
jailed=$(brig --json show "$live" | python3 -c \
    'import json, sys; print(json.load(sys.stdin)["job"]["pid"])')
sed -n 's/^raw=//p' "$T/ws/live.out" | head -n 1 >"$T/stub"
python3 "$BRIG_SRCDIR/tests/e2e/search.py" inside "$jailed" <"$T/stub" \
    >"$T/inside.control" 2>&1
check "control: the search of the jail from outside finds the stub" \
    grep -q '^found .*environ' "$T/inside.control"
python3 "$BRIG_SRCDIR/tests/e2e/search.py" inside "$jailed" \
    <"$T/spellings" >"$T/inside.found" 2>&1
check "the search was one: files and processes" \
    grep -qE '^searched [1-9][0-9]* files, [1-9][0-9]* processes' "$T/inside.found"
check "no spelling of the real value in any process or file of the jail" \
    sh -c '! grep "^found" "$0"' "$T/inside.found"

# The memory of each of brig's processes.
pids() {
    brig --json status | python3 -c "
import json, sys
for p in json.load(sys.stdin)['processes']:
    if p['role'] == '$1':
        print(p['pid'])"
}
memory() {
    for memory_pid in $(pids "$1"); do
        python3 "$BRIG_SRCDIR/tests/e2e/search.py" memory "$memory_pid" \
            <"$T/spellings"
    done
}
check "control: a memory scan finds the real value in back" \
    sh -c 'test -n "$0"' "$(memory back)"
memory front >"$T/front.found"
check "front's memory has no spelling of the real value" \
    test ! -s "$T/front.found"
check "control: a scan of front was a scan: it finds the origin's name" sh -c '
    for p in "$@"; do echo good.test |
        python3 "$BRIG_SRCDIR/tests/e2e/search.py" memory "$p"; done | grep -q .' \
    sh "$(pids front | head -n 1)"
for role in shim control audit dns parent; do
    memory $role >"$T/$role.found"
    check "$role's memory has no spelling of the real value" \
        test ! -s "$T/$role.found"
done
brig logs "$live" >"$T/live.log" 2>&1
brig kill -s KILL "$live" >/dev/null 2>&1 || :
check "not in the live job's output" no_canary "$T/ws/live.out" "$T/live.log"
check "not in the workspace, the job store or the sealed vault" sh -c '
    find "$T/ws" "$T/state" "$T/log" -type f >"$T/files"
    while read -r f; do
        if grep -aliF -f "$T/spellings" "$f"; then exit 1; fi
    done <"$T/files"'
attack_end

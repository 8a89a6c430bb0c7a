#!/bin/sh
# kill -9 of each process during a 100 MB transfer: the action fails closed or
# ends whole, the daemon recovers, another job goes on, the log verifies.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup kill
G="https://good.test:$GOOD"

# pid_of ROLE JOB-NUMBER
pid_of() {
    brig --json status | python3 -c "
import json, sys
for p in json.load(sys.stdin)['processes']:
    if p['role'] == '$1' and str(p['job'] or 'j-0').split('-')[-1] == '$2':
        print(p['pid'])"
}

# The other job: a request every 200 ms, all of them logged.
brig submit -w "$T/ws" -- sh -c "i=0; while :; do i=\$((i + 1))
    curl -sS -m 5 -o /dev/null -w \"%{http_code}\n\" https://evil.test:$EVIL/other-\$i >>/workspace/other.log 2>&1
    sleep 0.2; done" >"$T/other"
check "control: another job makes requests" \
    wait_for 10 grep -q 200 "$T/ws/other.log"

for role in front back keyd audit control; do
    rm -f "$T/ws/start" "$T/ws/result" "$T/ws/after" "$T/ws/down"
    brig submit -w "$T/ws" -- sh -c "
        echo >/workspace/start
        curl -sS --limit-rate 30M -o /workspace/down \
            -H \"Authorization: Bearer \$GOOD_TOKEN\" $G/bytes/104857600 \
            2>/workspace/err
        echo \"\$? \$(stat -c %s /workspace/down)\" >/workspace/result
        i=0; while [ \$i -lt 40 ]; do i=\$((i + 1))
            curl -sSf -m 5 -H \"Authorization: Bearer \$GOOD_TOKEN\" \
                $G/after-$role >/workspace/after 2>&1 && break
            sleep 0.25; done; sleep 1" >"$T/job"
    number=$(sed 's/.*-//' "$T/job")
    wait_for 10 sh -c 'test "$(stat -c %s "$T/ws/down" 2>/dev/null || echo 0)" -gt 1000000'
    case $role in
    front | back) pid=$(pid_of $role "$number") ;;
    *) pid=$(pid_of $role 0) ;;
    esac
    check "$role: control, it runs during the transfer" test -n "$pid"
    kill -9 "$pid"
    check "$role: the transfer ends" wait_for 30 test -s "$T/ws/result"
    read -r status size <"$T/ws/result"
    case $role in
    front | back)
        check "$role: it fails with an error" test "$status" != 0
        check "$role: which says something" test -s "$T/ws/err"
        ;;
    *)
        check "$role: it ends whole or with an error (status $status, $size bytes)" \
            sh -c 'test "$0" != 0 || test "$1" = 104857600' "$status" "$size"
        ;;
    esac
    check "$role: the same job works again soon" \
        wait_for 20 grep -q ok "$T/ws/after"
    check "$role: and its stub is still swapped" \
        sh -c 'grep -F "/after-$0" "$1" | grep -qF "$2"' "$role" \
        "$T/good.test.rec" "$CANARY"
    check "$role: a new process has taken its place" wait_for 10 sh -c '
        brig --json status | python3 -c "
import json, sys
p = [p for p in json.load(sys.stdin)[\"processes\"]
     if p[\"role\"] == \"$0\" and p[\"pid\"] != $1]
sys.exit(0 if p else 1)"' "$role" "$pid"
    : >"$T/ws/other.log"
    check "$role: the other job goes on" \
        wait_for 10 grep -q 200 "$T/ws/other.log"
    check "$role: the audit chain verifies" brig audit verify
    brig kill -s KILL "$(cat "$T/job")" >/dev/null 2>&1 || :
done
check "the jobs are still known" sh -c 'brig ps -a | grep -q "$(cat "$T/other")"'
check "a new job runs" brig run -- true
brig kill -s KILL "$(cat "$T/other")" >/dev/null 2>&1 || :
: >"$T/job.out"
attack_end

#!/bin/sh
# Ten thousand idle connections of one job, and a hundred that send a byte now
# and then: another job does not notice, and the memory comes back.
# shellcheck disable=SC2016
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
COUNT=10000
attack_setup idle
cp "$BRIG_SRCDIR/tests/e2e/idle.py" "$T/ws/"

# front_of JOB: the process id of its front.
front_of() {
    brig --json status | python3 -c "
import json, sys
for p in json.load(sys.stdin)['processes']:
    if p['role'] == 'front' and p['job'] == '$1':
        print(p['pid'])"
}
rss() {
    awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}
held() {
    [ "$(awk '{ n += $1; k++ } END { print n + 0, k }' "$T/ws/held")" = \
        "$COUNT $((COUNT / 500 + 1))" ]
}

# The other job: a request every 100 ms, its status and time.
mkdir "$T/other"
brig submit -w "$T/other" -- sh -c "while :; do
    curl -sS -m 20 -o /dev/null -w '%{http_code} %{time_total}\n' \
        https://evil.test:$EVIL/other >>/workspace/log 2>&1
    sleep 0.1; done" >"$T/other.id"
wait_for 20 grep -q 200 "$T/other/log"

: >"$T/ws/held"
brig submit -w "$T/ws" -- sh -c "
    curl -sS -o /dev/null http://plain.test:$PLAIN/first
    touch /workspace/ready; until [ -e /workspace/go ]; do sleep 0.1; done
    python3 /workspace/idle.py $PLAIN $GOOD $COUNT >/workspace/out 2>&1
    curl -sS -m 20 http://plain.test:$PLAIN/after >/workspace/after 2>&1
    touch /workspace/done; sleep 60" >"$T/id"
wait_for 20 test -e "$T/ws/ready"
front=$(front_of "$(cat "$T/id")")
before=$(rss "$front")
wc -l <"$T/other/log" >"$T/mark"
touch "$T/ws/go"
check "$COUNT connections of one job are held" wait_for 120 held
during=$(rss "$front")
diag "front: $before kB before, $during kB with $COUNT connections"
check "each costs less than 16 kB" \
    test "$((during - before))" -lt $((COUNT * 16))
# Longer than FRONT_HEAD_MS.
sleep 33
touch "$T/ws/leave"
check "they go" wait_for 60 test -e "$T/ws/done"
check "every one of them was held to the end" grep -q "failed 0" "$T/ws/out"
check "who sends a head byte by byte is cut off" grep -q "cut 100" "$T/ws/loris"
check "the job is served afterwards" grep -q ok "$T/ws/after"
check "by the same front" test "$(front_of "$(cat "$T/id")")" = "$front"
returned() {
    [ "$(rss "$front")" -lt $((before + 8192)) ]
}
check "its memory comes back" wait_for 10 returned
diag "front: $(rss "$front") kB afterwards"
tail -n "+$(($(cat "$T/mark") + 1))" "$T/other/log" >"$T/other.new"
check "control: the other job went on ($(wc -l <"$T/other.new") requests)" \
    test "$(wc -l <"$T/other.new")" -gt 50
check "all of its requests were answered" \
    sh -c '! grep -v "^200 " "$0"' "$T/other.new"
check "none of them waited for 5 seconds" \
    awk '$2 >= 5 { bad = 1 } END { exit bad }' "$T/other.new"
diag "slowest of the other job: $(awk '$2 > m { m = $2 } END { print m }' "$T/other.new") s"
attack_end

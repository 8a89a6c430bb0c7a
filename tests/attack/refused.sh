#!/bin/sh
# An HTTP/2 server that refuses what it has begun to answer: the request is not
# sent again, whatever the answer waits for.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
command -v python3 >/dev/null || {
    echo "1..0 # SKIP needs python3"
    exit 77
}
attack_setup attack-refused
make_cert refuse.test
: >"$T/refuse.seen"
echo head >"$T/refuse.mode"
background python3 "$BRIG_SRCDIR/tests/attack/rogue_h2.py" \
    "$T/refuse.test.pem" "$T/refuse.test.key" "$T/refuse.mode" \
    "$T/refuse.seen" >"$T/refuse.out"
wait_for 10 grep -q listening "$T/refuse.out"
REFUSE=$(awk '/listening/ { print $2 }' "$T/refuse.out")
stop_brigd
echo "resolve refuse.test 127.0.0.1" >>"$T/brigd.conf"
attack_policy "allow http {GET,HEAD,POST} https://refuse.test:$REFUSE/**;" \
    "allow net 127.0.0.1:$REFUSE;"
start_brigd
printf %s "$CANARY" | brig secret add refuse --host "refuse.test:$REFUSE" \
    --capture /token:.access_token --env REFUSE_TOKEN >/dev/null
R="https://refuse.test:$REFUSE"

# seen N: the server has seen so many requests, and they are forgotten.
seen() {
    seen_n=$(wc -l <"$T/refuse.seen")
    : >"$T/refuse.seen"
    test "$seen_n" = "$1" || {
        echo "$seen_n requests, not $1"
        return 1
    }
}

echo none >"$T/refuse.mode"
job "curl -sS -m 20 $R/"
check "control: what is refused before it is answered is sent again, once" \
    seen 2
check "control: the job is told" job_says upstream_broken
echo head >"$T/refuse.mode"
job "curl -sS -m 20 $R/"
check "control: an answer that is passed on at once is cut" seen 1
job "curl -sS -m 20 $R/token"
check "an answer that waits for its tokens is given up" seen 1
check "and the job told so" job_says upstream_broken

# The record of the request is on its way for as long as audit stands still.
pid=$(brig --json status | python3 -c "
import json, sys
for p in json.load(sys.stdin)['processes']:
    if p['role'] == 'audit':
        print(p['pid'])")
brig submit -w "$T/ws" -- sh -c "
    curl -sS -m 20 $R/first >/workspace/ready 2>&1
    until [ -e /workspace/stopped ]; do sleep 0.1; done
    curl -sS -m 40 $R/early >/workspace/early 2>&1
    touch /workspace/early.done" >"$T/id"
wait_for 20 test -s "$T/ws/ready"
check "control: the first of them was seen" seen 1
kill -STOP "$pid"
touch "$T/ws/stopped"
wait_for 40 test -s "$T/refuse.seen"
wait_for 40 test -e "$T/ws/early.done"
kill -CONT "$pid"
check "an answer that waits for its record is given up" seen 1
check "the job is told of that, too" grep -q upstream_broken "$T/ws/early"
attack_end

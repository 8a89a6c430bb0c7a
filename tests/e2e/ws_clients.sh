#!/bin/sh
# WebSocket through a jail's proxy with real programs at both ends: over
# HTTP/1.1, and inside of HTTP/2.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
/usr/bin/python3 -c 'import websockets' 2>/dev/null || {
    echo "1..0 # SKIP needs python3-websockets"
    exit 77
}
attack_setup ws-clients
make_cert ws.test
background /usr/bin/python3 "$BRIG_SRCDIR/tests/e2e/ws_play.py" server \
    "$T/ws.test.pem" "$T/ws.test.key" >"$T/ws.out" 2>"$T/ws.err"
wait_for 20 grep -q listening "$T/ws.out"
WS=$(awk '/listening/ { print $2 }' "$T/ws.out")
stop_brigd
echo "resolve ws.test 127.0.0.1" >>"$T/brigd.conf"
attack_policy "allow http GET https://ws.test:$WS/{echo,refused};" \
    "allow http GET https://ws.test:$WS/count/**;" \
    "allow net 127.0.0.1:$WS;"
start_brigd
printf %s "$CANARY" | brig secret add ws --host "ws.test:$WS" \
    --surface header:Authorization --env WS_TOKEN >/dev/null
cp "$BRIG_SRCDIR/tests/e2e/ws_play.py" "$BRIG_SRCDIR/tests/e2e/ws_http2.js" \
    "$T/ws/"

check "the client comes to its end" job \
    "/usr/bin/python3 /workspace/ws_play.py client wss://ws.test:$WS"
check "messages of any size come back, and a clean close" job_says echoed
check "fragments are one message" job_says fragmented
check "a reader that pauses misses nothing" job_says counted
check "fifty at a time" job_says fifty
check "a refusal of the server is its own" job_says refused
check "a path that policy does not allow is denied" job_says denied
check "the server got the real value in the handshake" \
    grep -qF "handshake /echo Bearer $CANARY" "$T/ws.out"
check "and never heard of the path that is denied" \
    sh -c '! grep -q forbidden "$0"' "$T/ws.out"
if command -v node >/dev/null; then
    before=$(grep -c "handshake /echo Bearer" "$T/ws.out")
    check "node: inside of HTTP/2" job \
        "node /workspace/ws_http2.js https://ws.test:$WS"
    check "node: the same message came back" job_says "echoed over HTTP/2"
    check "node: it was the same to the server" \
        test "$(grep -c "handshake /echo Bearer" "$T/ws.out")" -gt "$before"
else
    skip "node: inside of HTTP/2" "node is missing"
fi
attack_end

#!/bin/sh
# A real WebSocket server and client: compressed or not, fragmented or large,
# what the agent says reaches the server with the value in the place of the
# stub, and the agent never sees the value.
# shellcheck disable=SC2016
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
PY=/usr/bin/python3
$PY -c 'import websockets' 2>/dev/null || {
    echo "1..0 # SKIP needs python3-websockets"
    exit 77
}
attack_setup websocket
make_cert ws.test free.test
background $PY "$BRIG_SRCDIR/tests/e2e/ws_origin.py" "$T/ws.test.pem" \
    "$T/ws.test.key" "$T/ws.rec" >"$T/ws.out" 2>"$T/ws.err"
wait_for 10 grep -q listening "$T/ws.out"
WS=$(awk '/listening/ { print $2 }' "$T/ws.out")
cp "$BRIG_SRCDIR/tests/e2e/ws_client.py" "$T/ws/"
stop_brigd
printf "resolve %s 127.0.0.1\n" ws.test free.test >>"$T/brigd.conf"
attack_policy "allow http GET https://ws.test:$WS/**;" \
    "allow http GET https://free.test:$WS/**;" "allow net 127.0.0.1:$WS;"
start_brigd
printf %s "$CANARY" | brig secret add ws --host "ws.test:$WS" \
    --surface header:Authorization --surface ws:text --env WS_TOKEN \
    >"$T/add.out" 2>&1 || cat "$T/add.out"

# Outside: the server leaks what it is sent.
SSL_CERT_FILE="$T/ca.pem" timeout 20 $PY - >"$T/outside.out" 2>&1 <<EOF
import asyncio, ssl, websockets
async def main():
    t = ssl.create_default_context(cafile="$T/ca.pem")
    async with websockets.connect("wss://127.0.0.1:$WS/", ssl=t,
            server_hostname="ws.test",
            extra_headers={"Authorization": "Bearer $CANARY"}) as w:
        await w.send("fragments")
        print(await w.recv())
asyncio.run(main())
EOF
check "control: the server leaks what it is sent" \
    grep -q "<$CANARY>" "$T/outside.out"

for how in deflate plain; do
    : >"$T/ws.rec"
    job "$PY /workspace/ws_client.py wss://ws.test:$WS/ \"\$WS_TOKEN\" $how
        echo stub=\$WS_TOKEN"
    stub=$(sed -n 's/^stub=//p' "$T/job.out")
    check "$how: the client hears all answers" job_says "closed 4000 $stub"
    [ $how = plain ] ||
        check "$how: is agreed on with both" sh -c '
            grep -q "^extensions permessage-deflate" "$0" &&
            grep -q "^open .* permessage-deflate" "$1"' \
            "$T/job.out" "$T/ws.rec"
    check "$how: the handshake carries the value" \
        grep -q "^open $CANARY" "$T/ws.rec"
    check "$how: text messages carry the value" sh -c '
        test "$(grep -cF "text {\"auth\":\"$0\"}" "$1")" = 3' \
        "$CANARY" "$T/ws.rec"
    check "$how: also one in fragments" grep -qxF "text $CANARY" "$T/ws.rec"
    check "$how: also a large one" \
        grep -q "^text zzzz.*z$CANARY\$" "$T/ws.rec"
    check "$how: binary messages keep the stub" \
        grep -qxF "binary $stub" "$T/ws.rec"
    check "$how: the stub is in the answers" sh -c '
        test "$(grep -cF "leak -> {\"token\":\"$0\"}" "$1")" = 3 &&
        test "$(grep -cF "fragments -> <$0>" "$1")" = 3 &&
        grep -qF "big 600040 $0" "$1" &&
        grep -qF "binary -> b'"'\\\\x00"'$0" "$1"' "$stub" "$T/job.out"
    check "$how: the value is not" no_canary "$T/job.out"
    check "$how: the stub in a binary message is on record" \
        audited SE101 WebSocket
done

: >"$T/ws.rec"
cat >"$T/ws/free.py" <<EOF
import asyncio, sys, websockets
async def main():
    async with websockets.connect("wss://free.test:$WS/") as w:
        print(w.response_headers.get("Sec-WebSocket-Extensions"))
        await w.send("free " + sys.argv[1])
        print(await w.recv())
        await w.send("x" * 100000)
        print(len(await w.recv()))
asyncio.run(main())
EOF
job "$PY /workspace/free.py \"\$WS_TOKEN\"; echo stub=\$WS_TOKEN"
stub=$(sed -n 's/^stub=//p' "$T/job.out")
check "a host without a credential: messages pass as they are" sh -c '
    grep -q "^100006" "$2" && grep -qF "heard free $0" "$2" &&
    grep -qF "text free $0" "$1"' "$stub" "$T/ws.rec" "$T/job.out"
check "and the stub in one is on record, compressed and masked as it was" \
    audited SE101 free.test
attack_end

#!/bin/sh
# HTTP/2 and gRPC through a jail's proxy, with real programs at both ends, and
# in any mix with HTTP/1.1.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

here=$BRIG_SRCDIR/tests/e2e

# started NAME COMMAND...: an origin as NAME.test; sets ORIGIN_PORT.
started() {
    started_name=$1
    shift
    background "$@" >"$T/$started_name.out" 2>"$T/$started_name.err"
    wait_for 20 grep -q listening "$T/$started_name.out"
    ORIGIN_PORT=$(awk '/listening/ { print $2 }' "$T/$started_name.out")
}

attack_setup http2
make_cert node.test
started node node "$here/http2_origin.js" "$T/node.test.pem" \
    "$T/node.test.key"
NODE=$ORIGIN_PORT
GRPC=
if /usr/bin/python3 -c 'import grpc' 2>/dev/null; then
    make_cert grpc.test
    started grpc /usr/bin/python3 "$here/grpc_play.py" server \
        "$T/grpc.test.pem" "$T/grpc.test.key"
    GRPC=$ORIGIN_PORT
fi
NGHTTPD=
if command -v nghttpd >/dev/null && command -v nghttp >/dev/null; then
    make_cert nghttpd.test
    mkdir -p "$T/www"
    echo "from nghttpd" >"$T/www/index.html"
    NGHTTPD=$((20000 + $$ % 10000))
    background nghttpd -d "$T/www" --echo-upload --trailer='x-end: 1' \
        "$NGHTTPD" "$T/nghttpd.test.key" "$T/nghttpd.test.pem" \
        >"$T/nghttpd.out" 2>&1
fi
stop_brigd
echo "resolve node.test 127.0.0.1
resolve grpc.test 127.0.0.1
resolve nghttpd.test 127.0.0.1" >>"$T/brigd.conf"
attack_policy "allow http {GET,POST,HEAD} https://node.test:$NODE/**;" \
    "allow net 127.0.0.1:$NODE;" \
    "allow http POST https://grpc.test:${GRPC:-1}/**;" \
    "deny http POST https://grpc.test:${GRPC:-1}/t.T/Denied;" \
    "allow net 127.0.0.1:${GRPC:-1};" \
    "allow http {GET,POST,HEAD} https://nghttpd.test:${NGHTTPD:-2}/**;" \
    "allow net 127.0.0.1:${NGHTTPD:-2};"
start_brigd
printf %s "$CANARY" | brig secret add node --host "node.test:$NODE" \
    --surface header:Authorization --env NODE_TOKEN >/dev/null
[ -z "$GRPC" ] ||
    printf %s "$CANARY" | brig secret add grpc --host "grpc.test:$GRPC" \
        --surface header:Authorization --env GRPC_TOKEN >/dev/null
cp "$here/http2_client.js" "$here/grpc_play.py" "$T/ws/"
N=https://node.test:$NODE

check "the origin speaks HTTP/2 and nothing else" sh -c '
    curl -sS --http2 --cacert "$T/ca.pem" --resolve "node.test:$0:127.0.0.1" \
        -w "%{http_version}" "https://node.test:$0/x" | grep -q "^2" &&
    ! curl -sSf --http1.1 --cacert "$T/ca.pem" \
        --resolve "node.test:$0:127.0.0.1" "https://node.test:$0/x"' "$NODE"
for mine in http2 http1.1; do
    check "curl --$mine to an HTTP/2 origin" job "
        curl -sSf --$mine -w '%{http_version}' \
            -H \"Authorization: Bearer \$NODE_TOKEN\" $N/$mine"
    check "curl --$mine: the origin got the real value" \
        grep -qF "GET /$mine Bearer $CANARY" "$T/node.err"
    check "curl --$mine: the job got its stub back" no_canary "$T/job.out"
    check "curl --$mine: body up and down" job "
        head -c 3000000 /dev/urandom >up
        curl -sSf --$mine --data-binary @up -o down $N/echo && cmp up down"
    check "curl --$mine: chunked body" job "
        curl -sSf --$mine -H 'Transfer-Encoding: chunked' --data-binary @up \
            -o down $N/echo && cmp up down"
    check "curl --$mine: HEAD" job "curl -sSf --$mine -I $N/head"
    check "curl --$mine to an HTTP/1.1 origin" job "
        curl -sSf --$mine https://good.test:$GOOD/mixed-$mine"
done
check "curl: the version is what was asked for" job "
    test \$(curl -sSf --http2 -o /dev/null -w '%{http_version}' $N/v) = 2
    test \$(curl -sSf --http1.1 -o /dev/null -w '%{http_version}' $N/v) = 1.1"
check "curl: ten at once to an HTTP/2 origin" job "
    seq 10 | sed 's,.*,url = \"$N/p&\",' >urls
    test \$(curl -sSf --parallel --http2 -K urls | grep -c '^GET /p') = 10"

# play WHAT: tests/e2e/http2_client.js in a jail.
play() {
    job "node http2_client.js $1 $N" && job_says "done $1"
}
check "node: both directions of a stream take turns" play talk
before=$(grep -c ^connection "$T/node.err")
check "node: 200 streams on a connection" play many
check "node: the origin got them on a few connections, too" \
    [ $(($(grep -c ^connection "$T/node.err") - before)) -le 3 ]
check "node: trailers" play trailers
check "node: a slow reader stops the origin, and only its own stream" \
    play slow
check "node: a reset ends one stream" play reset
check "node: what is cancelled does not disturb others" play cancel
check "node: an origin that closes connections is dialled again" play goaway

if [ -n "$NGHTTPD" ]; then
    H=https://nghttpd.test:$NGHTTPD
    check "nghttp: from nghttpd" job "nghttp $H/ | grep -q 'from nghttpd'"
    check "nghttp: upload comes back" job "
        head -c 500000 /dev/urandom >up
        nghttp -d up $H/echo >down && cmp up down"
    check "h2load: 2000 requests, 16 streams of 2 connections" sh -c '
        timeout 60 brig run -w "$T/ws" -- h2load -n 2000 -c 2 -m 16 "$0/" \
            >"$T/h2load.out" 2>&1
        grep -q "2000 succeeded, 0 failed" "$T/h2load.out" ||
            { cat "$T/h2load.out"; false; }' "$H"
else
    skip "nghttp and nghttpd" "nghttp2-client and nghttp2-server are missing"
fi
if [ -n "$GRPC" ]; then
    check "grpc: calls of all kinds, errors, refusals, 100 at once" job \
        "/usr/bin/python3 grpc_play.py client grpc.test:$GRPC"
    check "grpc: they were played" job_says "done grpc"
    check "grpc: the server got the real value" \
        grep -qF "auth Bearer $CANARY" "$T/grpc.err"
else
    skip "grpc" "python3-grpcio is missing"
fi
check "nothing of the real value in the workspace" sh -c \
    '! grep -rqF "$0" "$T/ws"' "$CANARY"

finish

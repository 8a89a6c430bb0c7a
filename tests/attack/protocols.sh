#!/bin/sh
# Attacks by way of other protocols: proxies inside the proxy, upgrades, odd
# TLS hellos; and an approval used twice.  Numbers: README.md here.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-protocols

make_cert rogue.test
: >"$T/rogue.raw"
background python3 "$BRIG_SRCDIR/tests/attack/rogue_101.py" \
    "$T/rogue.test.pem" "$T/rogue.test.key" "$T/rogue.raw" >"$T/rogue.out"
wait_for 10 grep -q listening "$T/rogue.out"
ROGUE=$(awk '/listening/ { print $2 }' "$T/rogue.out")
stop_brigd
sed -i "s/^resolve evil.test.*/&\nresolve rogue.test 127.0.0.1/" "$T/brigd.conf"
attack_policy "allow http {GET,POST} https://rogue.test:$ROGUE/**;" \
    "allow net 127.0.0.1:$ROGUE;" "ask timeout 3s then deny;" \
    "ask http GET https://other.test:$OTHER/a12;"
start_brigd
E="https://evil.test:$EVIL"

# 12: what somebody allowed one job is not allowed to another.
background sh -c '
    i=0
    while [ $i -lt 100 ]; do
        id=$(brig asks 2>/dev/null | awk "/A-/ { print \$1; exit }")
        [ -z "$id" ] || { brig approve "$id" >/dev/null; break; }
        i=$((i + 1)); sleep 0.1
    done'
job "curl -sS -o /dev/null -w '%{http_code}\n' https://other.test:$OTHER/a12"
check "12 control: approved, the request is served" job_says 200
job "curl -sS -o /dev/null -w '%{http_code}\n' https://other.test:$OTHER/a12"
check "12 the same request of another job is asked about anew" job_says 403
check "12 it was served once" sh -c \
    '[ "$(grep -c /a12 "$0")" = 1 ]' "$T/other.test.rec"

# 25: tunnels through the listener that proxy variables would name.
job "curl -sS -m 10 -x http://127.0.0.1:3128 -o /dev/null \
    -w 'plain %{http_code}\n' http://plain.test:$PLAIN/a25-control
curl -sS -m 10 -x http://127.0.0.1:3128 -o /dev/null \
    -w 'tunnel %{http_connect}\n' $E/a25-tunnel
curl -sS -m 10 --connect-to evil.test:$EVIL:good.test:$GOOD -o /dev/null \
    -w 'sni %{http_code}\n' $E/a25-sni
printf 'CONNECT evil.test:$EVIL HTTP/1.1\r\nHost: good.test:$GOOD\r\n\r\nGET /a25-inner HTTP/1.1\r\nHost: evil.test:$EVIL\r\n\r\n' |
    timeout 10 openssl s_client -quiet -ign_eof -connect good.test:$GOOD \
        -servername good.test 2>/dev/null | head -n 1"
check "25 control: that listener is there, and judges" job_says "plain 200"
check "25 CONNECT is refused" job_says "tunnel 405"
check "25 CONNECT inside a connection is refused" job_says " 405 "
check "25 the name of one host on the way to another is refused" \
    job_does_not_say "sni 200"
check "25 nothing of it arrived" not_reached evil.test /a25

# 26: SOCKS, with a NUL in the name.
job 'python3 - <<"PY_END"
import socket
for greet in (b"\x05\x01\x00", b"\x04\x01\x00\x50\x00\x00\x00\x01x\x00evil.test\x00"):
    s = socket.create_connection(("127.0.0.1", 3128), 5)
    s.settimeout(5)
    try:
        s.sendall(greet)
        s.sendall(b"\x05\x01\x00\x03\x14evil.test\x00.good.test"
                  + ('"$EVIL"').to_bytes(2, "big"))
        s.sendall(b"GET /a26 HTTP/1.0\r\n\r\n")
        got = b""
        while (more := s.recv(4096)):
            got += more
    except OSError as e:
        got = str(e).encode()
    print("socks", got[:2] in (b"\x05\x00", b"\x00\x5a"))
PY_END'
check "26 nobody speaks SOCKS" sh -c '[ "$(grep -c "socks False" "$0")" = 2 ]' \
    "$T/job.out"
check "26 nothing arrived" not_reached evil.test /a26

# 30: upgrades, and servers that switch protocols unasked.
job "curl -sS --http2 http://plain.test:$PLAIN/a30-h2c -o /dev/null \
    -w 'h2c %{http_code} %{http_version}\n'
curl -sS -m 10 --http2-prior-knowledge http://plain.test:$PLAIN/a30-pri \
    -o /dev/null -w 'pri %{http_code}\n'
curl -sS --http2-prior-knowledge http://plain.test:$PLAIN/a30-pri?x -m 10 \
    -H 'Host: evil.test' -o /dev/null -w 'host %{http_code}\n'"
check "30 an upgrade to h2c is not followed" job_says "h2c 200 1.1"
check "30 a preface in the clear is judged as any request or refused" sh -c '
    grep -qE "pri (000|2|4|5)" "$0" && ! grep -q "host 200" "$0"' "$T/job.out"
direct_curl rogue.test "$ROGUE" -m 3 --http1.1 "https://rogue.test:$ROGUE/x" ||
    :
job 'python3 - <<"PY_END"
import socket, ssl
def talk(head):
    s = ssl.create_default_context().wrap_socket(
        socket.create_connection(("rogue.test", '"$ROGUE"')),
        server_hostname="rogue.test")
    s.settimeout('"$(bound 5)"')
    s.sendall(head)
    got = b""
    try:
        while len(got) < 4096:
            more = s.recv(4096)
            if not more:
                break
            got += more
            if b"101" in got.split(b"\r\n")[0]:
                s.sendall(b"RAW-BYTES-OF-THE-AGENT")
    except OSError:
        pass
    print(got.decode("latin-1"))
at = "rogue.test:'"$ROGUE"'"
talk(("GET /a HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % at).encode())
talk(("GET /b HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket"
      "\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" % at).encode())
PY_END'
check "30 control: the server answers 101 to anything" python3 -c '
import socket, ssl, sys
c = ssl.create_default_context(cafile=sys.argv[1])
s = c.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[2]))),
                  server_hostname="rogue.test")
s.sendall(b"GET / HTTP/1.1\r\n\r\n")
got = b""
while b"RAW-BYTES" not in got:
    got += s.recv(4096)
s.sendall(b"CONTROL")
assert b" 101 " in got' "$T/ca.pem" "$ROGUE"
check "30 unasked, or without the right answer to the key: 502" sh -c '
    [ "$(grep -c "HTTP/1.1 502" "$0")" = 2 ]' "$T/job.out"
check "30 no raw byte of the server came through" \
    job_does_not_say RAW-BYTES-OF-THE-SERVER
check "30 nor one of the agent" sh -c '! grep -q AGENT "$0"' "$T/rogue.raw"

# 32: hellos without a name, in pieces, and large ones.
job 'cat >/tmp/hello.py <<"PY_END"
import socket, ssl, sys, time
def go(label, host, name, piece=0, big=False, verify=True):
    ctx = ssl.create_default_context()
    if not verify or name is None:
        ctx.check_hostname = False
        ctx.verify_mode = ssl.CERT_NONE
    if big:
        ctx.set_alpn_protocols(["x%0250d" % i for i in range(62)] +
                               ["http/1.1"])
    i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
    t = ctx.wrap_bio(i, o, server_hostname=name)
    s = socket.create_connection((host, PORT), 10)
    s.settimeout(10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    def flush(piece):
        data = o.read()
        if not piece:
            s.sendall(data)
            return
        for k in range(0, len(data), piece):
            s.sendall(data[k:k + piece])
    try:
        while True:
            try:
                t.do_handshake()
                break
            except ssl.SSLWantReadError:
                flush(piece)
                i.write(s.recv(65536) or (_ for _ in ()).throw(OSError("end")))
        t.write(("GET /a32-%s HTTP/1.1\r\nHost: evil.test:%d\r\n"
                 "Connection: close\r\n\r\n" % (label, PORT)).encode())
        flush(0)
        while True:
            try:
                got = t.read(4096)
                break
            except ssl.SSLWantReadError:
                i.write(s.recv(65536) or (_ for _ in ()).throw(OSError("end")))
        print(label, got.split(b"\r\n")[0].decode())
    except (OSError, ssl.SSLError) as e:
        print(label, "failed", e)
PORT = int(sys.argv[1])
go("whole", "evil.test", "evil.test")
go("bytes", "evil.test", "evil.test", piece=1)
go("big", "evil.test", "evil.test", big=True)
go("noname", "evil.test", None)
go("literal", "127.0.0.77", None)
go("other", "evil.test", "good.test", verify=False)
PY_END
python3 /tmp/hello.py '"$EVIL"
check "32 control: a usual hello is served" job_says "whole HTTP/1.1 200"
check "32 one in pieces of a byte, likewise" job_says "bytes HTTP/1.1 200"
check "32 one of 16 kB is served or refused" sh -c \
    'grep -qE "^big (HTTP/1.1 200|failed)" "$0"' "$T/job.out"
check "32 without a name: that behind the address dialled" sh -c \
    'grep -qE "^noname (HTTP/1.1 200|failed)" "$0"' "$T/job.out"
check "32 without a name, to a bare address: not served" \
    job_does_not_say "literal HTTP/1.1 200"
check "32 with the name of another host: not served" \
    job_does_not_say "other HTTP/1.1 200"
check "32 nor has that arrived" sh -c \
    '! grep -E "a32-(literal|other)" "$T"/*.rec'

G=https://good.test:$GOOD
# A POST that the server is asked to take for a DELETE, which no rule allows.
printf -- '--b\r\nContent-Disposition: form-data; name="_method"\r\n\r\n%s\r\n--b--\r\n' \
    DELETE >"$T/ws/parts"
printf '_method=DELETE' | gzip >"$T/ws/form.gz"
job "
say() {
    name=\$1
    shift
    curl -sS -m $(bound 10) -o /dev/null -w \"\$name %{http_code}\\n\" \"\$@\"
}
say control -d '_method=PUT&a=b' $G/method-control
say query -d a=b '$G/method-query?_method=DELETE'
say encoded -d a=b '$G/method-encoded?%5Fmethod=%44ELETE'
say field -d a=b -H 'X-HTTP-Method-Override: DELETE' $G/method-field
say form -d 'a=b&_method=DELETE' $G/method-form
say php -d '.method=DELETE' $G/method-php
say twice -d '_method=POST&_method=DELETE' $G/method-twice
say parts -H 'Content-Type: multipart/form-data; boundary=b' \
    --data-binary @parts $G/method-parts
say json -H 'Content-Type: application/json' \
    -d '{\"\\u005fmethod\":\"DELETE\"}' $G/method-json
say gzip -H 'Content-Encoding: gzip' --data-binary @form.gz $G/method-gzip
say chunked -H 'Transfer-Encoding: chunked' -d _method=DELETE $G/method-chunked
"
check "method control: another method that is allowed may be asked for" \
    job_says "control 200"
for way in query encoded field form php twice parts json gzip chunked; do
    check "method $way: a method that no rule allows is refused" \
        job_says "$way 403"
done
# What it has got of a form has no end, so that no request was made of it.
check "method: no server was asked for it" sh -c '
    ! grep -E "/method-(query|encoded|field)" "$T/good.test.rec" &&
    ! grep -F "DELETE" "$T/good.test.rec"'
attack_end

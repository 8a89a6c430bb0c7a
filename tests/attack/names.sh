#!/bin/sh
# Attacks through names: DNS over other transports, and names whose addresses
# change between the check and the connection.  Runs in a network namespace of
# its own with a resolver whose answers are the attacker's.
# shellcheck disable=SC2016
if [ "${BRIG_IN_NETNS-}" != 1 ] && [ "$(id -u)" = 0 ]; then
    BRIG_IN_NETNS=1
    export BRIG_IN_NETNS
    exec unshare --net --mount --propagation private -- "$0" "$@"
fi
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

# 93.184.216.34 is "a host on the internet", 192.0.2.53 the resolver.
ip link set lo up
for a in 93.184.216.34/32 192.0.2.53/32 169.254.169.254/32 10.9.8.7/32; do
    ip addr add "$a" dev lo
done
names_resolv=$(mktemp)
echo "nameserver 192.0.2.53" >"$names_resolv"
mount --bind "$names_resolv" "$(readlink -f /etc/resolv.conf)"
rm -f "$names_resolv"
attack_setup attack-names 'allow http * http://**.names.example/**;'

# Every address serves HTTP and says which it is; the resolver answers by name:
# first.* a global address once and a private one from then on, both.* the two
# together, and so on.  853 and the datagram ports only record.
cat >"$T/world.py" <<'EOF'
import select, socket, sys
log = open(sys.argv[1], 'a', buffering=1)
PUBLIC, PRIVATE, META, LOCAL = ('93.184.216.34', '10.9.8.7',
                                '169.254.169.254', '127.0.0.1')
ANSWERS = {'both': [PUBLIC, PRIVATE], 'htob': [PRIVATE, PUBLIC],
           'meta': [PUBLIC, META], 'self': [PUBLIC, LOCAL],
           'plain': [PUBLIC], 'mapped': []}
asked = {}
socks = {}


def add(kind, addr, port, name):
    s = socket.socket(socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((addr, port))
    if kind == socket.SOCK_STREAM:
        s.listen(20)
    socks[s] = name


for a in (PUBLIC, PRIVATE, META, LOCAL):
    add(socket.SOCK_STREAM, a, 80, f'http-{a}')
for a in (PUBLIC, '192.0.2.53'):
    add(socket.SOCK_STREAM, a, 853, 'dot')
    add(socket.SOCK_DGRAM, a, 853, 'doq')
add(socket.SOCK_DGRAM, '192.0.2.53', 53, 'dns')
add(socket.SOCK_STREAM, '192.0.2.53', 53, 'dns-tcp')
log.write('ready\n')


def answer(q):
    n, labels = 12, []
    while q[n]:
        labels.append(q[n + 1:n + 1 + q[n]].decode('latin1'))
        n += q[n] + 1
    qtype = q[n + 1] << 8 | q[n + 2]
    name = '.'.join(labels)
    log.write(f'dns {name} {qtype}\n')
    first = labels[0] if labels else ''
    ips = ANSWERS.get(first, [])
    if first.startswith('first') and qtype == 1:
        asked[name] = asked.get(name, 0) + 1
        ips = [PUBLIC] if asked[name] == 1 else [PRIVATE]
    rr = b''
    if qtype == 1:
        for ip in ips:
            rr += b'\xc0\x0c\0\1\0\1\0\0\0\0\0\4' + socket.inet_aton(ip)
    if qtype == 28 and first == 'mapped':
        rr = b'\xc0\x0c\0\x1c\0\1\0\0\0\0\0\x10' + b'\0' * 10 + \
            b'\xff\xff' + socket.inet_aton(PRIVATE)
    count = len(ips) if qtype == 1 else (1 if rr else 0)
    return q[:2] + b'\x81\x80\0\1' + count.to_bytes(2, 'big') + \
        b'\0\0\0\0' + q[12:n + 5] + rr


while True:
    for s in select.select(list(socks), [], [])[0]:
        name = socks[s]
        if s.type == socket.SOCK_DGRAM:
            data, peer = s.recvfrom(4096)
            if name == 'dns':
                s.sendto(answer(data), peer)
            else:
                log.write(f'{name} {data!r}\n')
            continue
        c, _ = s.accept()
        c.settimeout(2)
        try:
            data = c.recv(4096)
            log.write(f'{name} {data!r}\n')
            body = name.encode()
            c.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n'
                      b'Connection: close\r\n\r\n%s' % (len(body), body))
        except OSError:
            log.write(f'{name} connected\n')
        c.close()
EOF
background python3 "$T/world.py" "$T/world.log"
wait_for 5 grep -q ready "$T/world.log"
saw() { grep -qF -e "$1" "$T/world.log"; }
not_saw() { if grep -F -e "$1" "$T/world.log"; then return 1; fi; }
probe=$T/ws/brig-probe

# 36: names asked over TLS, QUIC or HTTPS instead of port 53.
outside "$probe" tcp 93.184.216.34 853 control-36-dot
outside "$probe" udp 93.184.216.34 853 control-36-doq
outside curl -sS -m 5 "http://93.184.216.34/dns-query?dns=control-36-doh"
check "36 control: the three resolvers are there on the host" sh -c '
    grep -q control-36-dot "$0" && grep -q control-36-doq "$0" &&
    grep -q control-36-doh "$0"' "$T/world.log"
job 'timeout 8 /workspace/brig-probe tcp 93.184.216.34 853 mark-36-dot
timeout 8 /workspace/brig-probe tcp 192.0.2.53 53 mark-36-tcp53
/workspace/brig-probe udp 93.184.216.34 853 mark-36-doq
curl -sS -m 8 "http://93.184.216.34/dns-query?dns=mark-36-doh"
curl -sS -m 8 -H "Content-Type: application/dns-message" \
    --data-binary mark-36-post https://dns.resolver.test/dns-query
curl -sS -m 8 --doh-url http://93.184.216.34/dns-query http://mark-36-curl.example2/'
check "36 none of them is reached from a jail" not_saw mark-36
check "36 the refusals are recorded" audited NT4 93.184.216.34

# 37: the address that is checked is the address that is dialled.
outside curl -sS -m 5 http://first-control.names.example/
check "37 control: on the host the name leads to the global address first" \
    grep -q http-93.184.216.34 "$T/outside.out"
outside curl -sS -m 5 http://first-control.names.example/
check "37 control: and to the private one when asked again" \
    grep -q http-10.9.8.7 "$T/outside.out"
job 'for i in 1 2 3; do curl -sS -m 10 http://first.names.example/a37-$i; echo; done'
check "37 control: the first request arrives at the global address" \
    saw "http-93.184.216.34 b'GET /a37-1"
check "37 later ones never arrive at the private address" \
    not_saw "http-10.9.8.7 b'GET /a37"
check "37 the job is told why" job_says '"error"'
outside curl -sS -m 5 http://htob.names.example/
check "37 control: a host takes the private one of two addresses" \
    grep -q "http-" "$T/outside.out"
job 'for n in both htob meta self mapped; do
    for i in 1 2; do curl -sS -m 10 http://$n.names.example/a37-$n; echo; done; done
curl -sS -m 10 http://plain.names.example/a37-plain'
check "37 control: a name with a global address alone works" \
    saw "http-93.184.216.34 b'GET /a37-plain"
for a in 10.9.8.7 169.254.169.254 127.0.0.1; do
    check "37 a name with two addresses does not lead to $a" \
        not_saw "http-$a b'GET /a37"
done
check "37 and it is recorded" audited NT401 names.example
attack_end

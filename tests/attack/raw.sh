#!/bin/sh
# Connections that are not HTTP: what a net rule opens, and attempts to get
# more through it.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

# Servers on loopback: "first" speaks first, "echo" and "other" after the
# client, "web" is an HTTP server of the administrator's.
setup_ports() {
    python3 - "$1" <<'EOF'
import socket, sys
socks = [socket.socket() for _ in range(5)]
for s in socks: s.bind(('127.0.0.1', 0))
open(sys.argv[1], 'w').write(' '.join(str(s.getsockname()[1]) for s in socks))
EOF
}
ports=$(mktemp)
setup_ports "$ports"
read -r FIRST ECHO OTHER_RAW WEB TLSRAW <"$ports" || :
rm -f "$ports"

attack_setup attack-raw \
    "allow net raw.test:$FIRST as banner;" \
    "allow net {raw.test,inside.test}:$ECHO;" \
    "allow net 127.0.0.1:$FIRST; allow net 127.0.0.1:$ECHO;" \
    "allow net 127.0.0.1:$WEB;" \
    "allow net {raw.test,closed.test}:$TLSRAW; allow net 127.0.0.1:$TLSRAW;" \
    "allow http GET http://raw.test:$WEB/open/**;"


cat >"$T/world.py" <<'EOF'
import socket, sys, threading
log = open(sys.argv[1], 'a', buffering=1)
def serve(name, port, banner, addr):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((addr, port)); s.listen(20)
    def talk(c):
        c.settimeout(20)
        try:
            if banner: c.sendall(b'220 hello from ' + name.encode() + b'\r\n')
            while True:
                d = c.recv(65536)
                log.write(f'{name} {d!r}\n')
                if not d: break
                c.sendall(d)
            c.sendall(b'bye\n')
        except OSError as e:
            log.write(f'{name} {e}\n')
        c.close()
    def loop():
        while True:
            c, _ = s.accept()
            threading.Thread(target=talk, args=(c,), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
names = ['first', 'echo', 'other', 'web']
for n, p in zip(names, sys.argv[2:6]):
    serve(n, int(p), n == 'first', '127.0.0.1')
serve('private', int(sys.argv[3]), False, '127.0.0.9')
log.write('ready\n')
threading.Event().wait()
EOF
background python3 "$T/world.py" "$T/world.log" "$FIRST" "$ECHO" "$OTHER_RAW" \
    "$WEB"
wait_for 5 grep -q ready "$T/world.log"
saw() { grep -qF -e "$1" "$T/world.log"; }
not_saw() { if grep -F -e "$1" "$T/world.log"; then return 1; fi; }

# One that is not HTTP inside of TLS.
make_cert raw.test
cat >"$T/tls.py" <<'EOF'
import socket, ssl, sys
ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
ctx.load_cert_chain(sys.argv[2], sys.argv[3])
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(10)
log = open(sys.argv[4], 'a', buffering=1)
while True:
    c, _ = s.accept()
    c.settimeout(5)
    try:
        t = ctx.wrap_socket(c, server_side=True)
        d = t.recv(1000)
        log.write(f'tls {d!r}\n')
        t.sendall(b'250 ' + d)
        t.unwrap()
    except OSError as e:
        log.write(f'tls {e}\n')
    c.close()
EOF
background python3 "$T/tls.py" "$TLSRAW" "$T/raw.test.pem" "$T/raw.test.key" \
    "$T/world.log"

stop_brigd
write_conf "resolve good.test 127.0.0.1" "resolve evil.test 127.0.0.1" \
    "resolve other.test 127.0.0.1" "resolve plain.test 127.0.0.1" \
    "resolve raw.test 127.0.0.1" "resolve closed.test 127.0.0.1" \
    "resolve inside.test 127.0.0.9"
start_brigd

# A client: HOST PORT TEXT; waits for a banner if TEXT is "-".  Prints what
# comes, and how it ended.
cat >"$T/ws/talk.py" <<'EOF'
import socket, sys
host, port, text = sys.argv[1], int(sys.argv[2]), sys.argv[3]
try:
    s = socket.create_connection((host, port), 10)
    s.settimeout(10)
    if text == '-':
        print('BANNER', s.recv(200))
        text = 'after banner'
    for piece in text.split('|'):
        s.sendall(piece.encode())
    s.shutdown(socket.SHUT_WR)
    got = b''
    while True:
        d = s.recv(65536)
        if not d: break
        got += d
    print('GOT', got)
except OSError as e:
    print('ENDED', e)
EOF
talk="python3 /workspace/talk.py"

outside python3 "$T/ws/talk.py" 127.0.0.1 "$OTHER_RAW" control-other
check "control: the servers answer on the host" \
    grep -q "GOT b'control-otherbye" "$T/outside.out"

job "$talk raw.test $ECHO marker-echo"
check "an allowed name and port is reached by whoever speaks first" \
    job_says "GOT b'marker-echobye"
check "and the connection is recorded before and after" \
    audited NT101 raw.test "$ECHO"
check "with its bytes" audited NT201 raw.test '"sent":11'
job "$talk raw.test $FIRST -"
check "a server that speaks first is heard" \
    job_says "BANNER b'220 hello from first"
check "by the rule that is named in the record" audited NT101 '"banner"'

job "$talk raw.test $OTHER_RAW marker-port; $talk closed.test $ECHO marker-name
$talk closed.test $FIRST -; $talk raw.test 443 marker-443
$talk raw.test 80 marker-80"
check "another port, another name, ports 80 and 443: nothing arrives" \
    not_saw marker-port
for m in name 443 80; do
    check "nothing of marker-$m" not_saw "marker-$m"
done
check "a banner is not had either" job_does_not_say BANNER
check "each attempt is recorded" audited NT408 closed.test

# The name is allowed, the address behind it is not.
outside python3 "$T/ws/talk.py" 127.0.0.9 "$ECHO" control-private
check "control: the private server answers on the host" saw control-private
job "$talk inside.test $ECHO marker-private"
check "an allowed name opens no address that no rule names" \
    not_saw marker-private
check "and that is recorded" audited NT401 inside.test

# HTTP rules are not got around by speaking first, late, or not HTTP.
outside python3 "$T/ws/talk.py" 127.0.0.1 "$WEB" control-web
check "control: the web server takes anything on the host" saw control-web
cat >"$T/ws/late.py" <<'EOF'
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
s.settimeout(10)
time.sleep(float(sys.argv[3]))
try:
    s.sendall(sys.argv[4].encode().replace(b'~', b'\r\n'))
    print(s.recv(2000))
except OSError as e:
    print('ENDED', e)
EOF
job "for h in raw.test 127.0.0.1 127.0.0.2; do
python3 /workspace/late.py \$h $WEB 1 'DELETE /marker-late HTTP/1.1~Host: raw.test:$WEB~~'
python3 /workspace/late.py \$h $WEB 0 'marker-raw~'
python3 /workspace/late.py \$h $WEB 1 'marker-raw-late~'
done"
check "what http rules deny is not sent by one who waits" not_saw marker-late
check "nor as something that is not HTTP" not_saw marker-raw
job "python3 /workspace/late.py raw.test $WEB 1 \
'GET /open/marker-ok HTTP/1.1~Host: raw.test:$WEB~~'"
check "one who waits for long and speaks HTTP then is let through" \
    saw marker-ok

# In TLS: both ends are verified, and what goes through is looked at.
cat >"$T/ws/tls.py" <<'EOF'
import os, socket, ssl, sys
text = sys.argv[3].replace('STUB', os.environ['GOOD_TOKEN'])
try:
    s = ssl.create_default_context().wrap_socket(
        socket.create_connection((sys.argv[1], int(sys.argv[2])), 10),
        server_hostname=sys.argv[1])
    s.settimeout(10)
    s.sendall(text.encode() + b'\r\n')
    print('GOT', s.recv(1000))
except OSError as e:
    print('ENDED', e)
EOF
job "python3 /workspace/tls.py raw.test $TLSRAW 'EHLO marker-tls'"
check "a protocol in TLS passes by its net rule" job_says "GOT b'250 EHLO marker-tls"
check "and is recorded as one in TLS" audited NT101 '"tls":true' raw.test
job "python3 /workspace/tls.py closed.test $TLSRAW 'EHLO marker-wrong'"
check "a server with another's certificate gets nothing" not_saw marker-wrong
job "python3 /workspace/tls.py raw.test $TLSRAW 'AUTH begin-intls STUB'"
check "a stub in TLS does not leave either" not_saw begin-intls
check "and is a leak in the log" audited SE401 '"tls":true'

# Stubs leave in no connection.
cat >"$T/ws/leak.py" <<'EOF'
import base64, os, socket, sys, time
stub = os.environ['GOOD_TOKEN']
forms = {'plain': [stub], 'split': list(stub),
         'base64': [base64.b64encode(b'x' + stub.encode()).decode()],
         'hex': [stub.encode().hex()]}
for name, pieces in forms.items():
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
    s.settimeout(5)
    try:
        s.sendall(b'begin-' + name.encode() + b' ')
        print('ECHO', s.recv(100))
        for p in pieces:
            s.sendall(p.encode()); time.sleep(0.005)
        print('THROUGH', name, s.recv(100)[-3:])
        s.sendall(b'end-' + name.encode())
        time.sleep(0.2)
        s.sendall(b'!')
        s.recv(100); s.recv(100)
    except OSError as e:
        print('CUT', name, e)
EOF
job "python3 /workspace/leak.py raw.test $ECHO"
for f in plain split base64 hex; do
    check "a stub in a connection ends it ($f)" job_says "CUT $f"
    check "control: the connection was open before ($f)" saw "begin-$f"
    check "and nothing follows ($f)" not_saw "end-$f"
done
check "that is a leak in the log" audited SE401 raw.test

# A person is asked.
attack_policy "ask net raw.test:$ECHO;" "allow net 127.0.0.1:$ECHO;"
brig policy reload >/dev/null
background sh -c "timeout $(bound 60) brig run -w '$T/ws' -- \
    $talk raw.test $ECHO marker-asked >'$T/ask.out' 2>&1 </dev/null"
wait_for 10 sh -c 'brig asks | grep -q A-'
brig asks >"$T/asks.txt" 2>&1
check "control: nothing is sent before somebody has answered" \
    not_saw marker-asked
check "the question names host and port" grep -q "raw.test:$ECHO" "$T/asks.txt"
brig approve "$(grep -o 'A-[0-9]*' "$T/asks.txt" | head -n 1)" >/dev/null
check "and the connection is made when it is allowed" \
    wait_for 10 saw marker-asked

# What the policy takes back ends.
attack_policy "allow net raw.test:$ECHO;" "allow net 127.0.0.1:$ECHO;"
brig policy reload >/dev/null
cat >"$T/ws/hold.py" <<'EOF'
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
s.settimeout(20)
s.sendall(b'marker-held')
print('ECHO', s.recv(100), flush=True)
try:
    print('END', s.recv(100), flush=True)
except OSError as e:
    print('CUT', e, flush=True)
EOF
background sh -c "timeout $(bound 60) brig run -w '$T/ws' -- \
    python3 /workspace/hold.py raw.test $ECHO >'$T/hold.out' 2>&1 </dev/null"
check "control: a connection is open" \
    wait_for 10 grep -q "ECHO b'marker-held'" "$T/hold.out"
attack_policy "allow net 127.0.0.1:$ECHO;"
brig policy reload >/dev/null
check "a reload without the rule cuts it" wait_for 10 grep -q CUT "$T/hold.out"
attack_end

#!/bin/sh
# psql in a job logs in to a real PostgreSQL with a stub for a password.  The
# server wants SCRAM-SHA-256 (or MD5, for one role) over TLS; attempts to use
# the stub elsewhere, and servers that are not what they should be.
# shellcheck disable=SC2016
# shellcheck source=../lib.sh
. "$BRIG_SRCDIR/tests/lib.sh"
pg=
for d in /usr/lib/postgresql/*/bin; do
    [ -x "$d/initdb" ] && [ -x "$d/postgres" ] && pg=$d
done
if [ -z "$pg" ] || ! command -v psql >/dev/null; then
    echo "1..0 # SKIP needs postgresql and postgresql-client"
    exit 0
fi
setup postgres
make_ca
make_cert db.test
make_cert other.test

# REAL must be nowhere in the jail; AGENT is not even a role.
REAL=$(head -c 48 /dev/urandom | base64 -w0 | tr -dc A-Za-z0-9 | cut -c1-32)
# initdb wants a user that has a name.
PGUID=$(id -u postgres 2>/dev/null || id -u nobody)
read -r PORT FAKE PLAIN RELAY <<EOF
$(python3 -c '
import socket
s = [socket.socket() for _ in range(4)]
for x in s: x.bind(("127.0.0.1", 0))
print(*(x.getsockname()[1] for x in s))')
EOF

# The server: a process of its own user, which must not be root.
as_pg() {
    setpriv --reuid "$PGUID" --regid "$PGUID" --clear-groups \
        env -i PATH="$pg:/usr/bin:/bin" LANG=C.UTF-8 HOME="$T/pg" "$@"
}
mkdir "$T/pg"
cp "$T/db.test.pem" "$T/pg/server.crt"
cp "$T/db.test.key" "$T/pg/server.key"
chmod 600 "$T/pg/server.key"
chown -R "$PGUID:$PGUID" "$T/pg"
printf '%s' "$REAL" >"$T/pw"
chmod 644 "$T/pw"
as_pg initdb -D "$T/pg/data" -U admin --auth=scram-sha-256 \
    --pwfile="$T/pw" --no-sync >"$T/initdb.log" 2>&1 || {
    tail -n 5 "$T/initdb.log" | sed 's/^/# /'
    echo "1..0 # SKIP initdb does not work here"
    exit 0
}
cat >"$T/pg/data/pg_hba.conf" <<EOF
hostssl all app     127.0.0.1/32 scram-sha-256
hostssl all oldapp  127.0.0.1/32 md5
hostssl all plain   127.0.0.1/32 password
hostssl all admin   127.0.0.1/32 scram-sha-256
hostnossl all all   127.0.0.1/32 reject
EOF
chown "$PGUID:$PGUID" "$T/pg/data/pg_hba.conf"
background setpriv --reuid "$PGUID" --regid "$PGUID" --clear-groups \
    env -i PATH="$pg:/usr/bin:/bin" LANG=C.UTF-8 HOME="$T/pg" \
    postgres -D "$T/pg/data" -p "$PORT" -k "$T/pg" \
    -c listen_addresses=127.0.0.1 -c ssl=on \
    -c ssl_cert_file="$T/pg/server.crt" -c ssl_key_file="$T/pg/server.key" \
    -c fsync=off -c log_statement=all -c log_connections=on \
    -c shared_buffers=16MB >"$T/pg.log" 2>&1
PG_PID=$LAST_PID
direct() {
    PGPASSWORD=$REAL PGSSLROOTCERT=$T/ca.pem timeout 20 psql \
        "host=db.test hostaddr=127.0.0.1 port=$PORT user=$1 dbname=postgres sslmode=verify-full" \
        -Atc "$2"
}
wait_for 20 direct admin 'select 1'
direct admin "create role app login password '$REAL';
    set password_encryption = md5;
    create role oldapp login password '$REAL';
    create role plain login password '$REAL'" >/dev/null 2>"$T/roles.log"
check "control: the real password opens the database on the host" \
    direct app 'select 1'
check "control: nothing else does" sh -c \
    "! PGPASSWORD=wrong psql 'host=127.0.0.1 port=$PORT user=app dbname=postgres' -Atc 'select 1'"

mkdir "$T/ws"
mkdir -p "$T/policy"
cat >"$T/policy/default.policy" <<EOF
profile default {
    default exec allow;  default read allow;  default write allow;
    allow net {db,second}.test:$PORT;  allow net other.test:{$PORT,$FAKE,$PLAIN};
    allow net db.test:{$FAKE,$PLAIN,$RELAY};
    allow net {127.0.0.1:$PORT,127.0.0.1:$FAKE,127.0.0.1:$PLAIN};
    allow net 127.0.0.1:$RELAY;
}
EOF
write_conf "resolve db.test 127.0.0.1" "resolve other.test 127.0.0.1" \
    "resolve second.test 127.0.0.1"
start_brigd
secret() {
    printf %s "$REAL" | brig secret add "$@" >/dev/null
}
secret app --kind postgres --host "db.test:$PORT" --user app --env PGPASSWORD
secret oldapp --kind postgres --host "db.test:$PORT" --user oldapp \
    --env OLD_PASSWORD
secret plain --kind postgres --host "db.test:$PORT" --user plain \
    --env PLAIN_PASSWORD
secret fake --kind postgres --host "db.test:$FAKE" --env FAKE_PASSWORD
secret notls --kind postgres --host "db.test:$PLAIN" --env NOTLS_PASSWORD
secret relay --kind postgres --host "db.test:$RELAY" --user app \
    --env RELAY_PASSWORD

job() {
    job_rc=0
    timeout 60 brig run -w "$T/ws" -- sh -c "$1" >"$T/job.out" 2>&1 \
        </dev/null || job_rc=$?
    return $job_rc
}
says() { grep -qF -e "$1" "$T/job.out" || { cat "$T/job.out"; return 1; }; }
# A row with nothing but 1.
no_row() { if grep -x 1 "$T/job.out"; then return 1; fi; }
says_not() { if grep -F -e "$1" "$T/job.out"; then return 1; fi; }
audited() {
    lines=$(cat "$T"/log/*.jsonl)
    for word in "$@"; do
        lines=$(printf '%s\n' "$lines" | grep -F -e "$word") || {
            echo "no record with $*"
            tail -n 4 "$T"/log/*.jsonl
            return 1
        }
    done
}
Q="psql -At 'host=db.test port=$PORT user=app dbname=postgres"

job 'echo "stub $PGPASSWORD"'
check "the job has a stub of the same length" sh -c \
    "[ \"\$(sed -n 's/^stub //p' '$T/job.out' | tr -d '\n' | wc -c)\" = ${#REAL} ]"
check "which is not the password" says_not "$REAL"

for mode in disable prefer require verify-full; do
    job "$Q sslmode=$mode' -c 'select current_user, 6 * 7'"
    check "psql logs in with the stub, sslmode $mode" says 'app|42'
done
check "the login is on record with its credential" \
    audited NT101 '"postgres"' '"app"' db.test
check "and the release of the password" audited KY101 '"app"' postgres
check "the server was spoken to over TLS by SCRAM" \
    grep -q "SSL enabled" "$T/pg.log"
job "$Q sslmode=require' -c 'select ssl, version from pg_stat_ssl
where pid = pg_backend_pid()'"
check "TLS 1.3 between brig and the server" says 't|TLSv1.3'
job "psql -At 'host=db.test port=$PORT user=app dbname=postgres' \
    -c 'select count(*), sum(length(v)) from (select repeat(chr(97 + i % 26), 1000) as v from generate_series(1, 20000) i) t' \
    -c \"select repeat('x', 3000000)\" | wc -c"
check "large results pass whole" says 3000016
job "PGPASSWORD=\$OLD_PASSWORD psql -At \
    'host=db.test port=$PORT user=oldapp dbname=postgres' -c 'select 1 + 1'"
check "a server that wants MD5 gets it, over TLS" says 2
job "PGPASSWORD=\$PLAIN_PASSWORD psql -At \
    'host=db.test port=$PORT user=plain dbname=postgres' -c 'select 1 + 2'"
check "a server that wants the password itself, too" says 3

# Channel binding (SCRAM-SHA-256-PLUS): somebody in the middle who has a
# certificate for the server's name, from an authority that is trusted, can read
# a login on but is told apart by the server.
make_cert relay.test db.test
cat >"$T/relay.py" <<'RELAY_END'
import socket, ssl, sys, threading
port, to, cert, key = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:5]
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', port))
s.listen(10)
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain(cert, key)
client = ssl._create_unverified_context()
def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for x in (a, b):
        try:
            x.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
def talk(c):
    try:
        first = c.recv(8)
        c.sendall(b'S')
        c = server.wrap_socket(c, server_side=True)
        up = socket.create_connection(('127.0.0.1', to))
        up.sendall(first)
        up.recv(1)
        up = client.wrap_socket(up)
    except OSError:
        return
    threading.Thread(target=pump, args=(c, up), daemon=True).start()
    pump(up, c)
while True:
    threading.Thread(target=talk, args=(s.accept()[0],), daemon=True).start()
RELAY_END
background python3 "$T/relay.py" "$RELAY" "$PORT" "$T/relay.test.pem" \
    "$T/relay.test.key"
through() {
    PGPASSWORD=$REAL PGSSLROOTCERT=$T/ca.pem timeout 20 psql \
        "host=db.test hostaddr=127.0.0.1 port=$RELAY user=app dbname=postgres sslmode=verify-full channel_binding=$1" \
        -Atc 'select 40 + 3' >"$T/through.out" 2>&1
}
check "control: without channel binding a login goes through a relay" \
    wait_for 5 through disable
through require || :
check "control: with it the server notices" sh -c \
    '! grep -q 43 "$0" && grep -q "channel binding" "$0"' "$T/through.out"
job "PGPASSWORD=\$RELAY_PASSWORD psql -At \
    'host=db.test port=$RELAY user=app dbname=postgres' -c 'select 40 + 3'"
check "a login of brig's does not go through a relay" says_not 43
check "since the server has been told whose certificate brig saw" \
    says 'channel binding'

# What is bound is a hash as the certificate's signature has it (RFC 5929).
for hash in sha384 sha512; do
    openssl x509 -req "-$hash" -in "$T/db.test.csr" -CA "$T/ca.pem" \
        -CAkey "$T/ca.key" -CAcreateserial -days 2 -extfile "$T/db.test.ext" \
        -out "$T/pg/server.crt" 2>>"$T/openssl.log"
    kill -HUP "$PG_PID"
    sleep 0.5
    job "$Q sslmode=require' -c 'select current_user, 6 * 7'"
    check "a certificate signed with $hash: psql logs in" says 'app|42'
    check "control: and that server presents it" sh -c "
        PGPASSWORD=wrong openssl s_client -starttls postgres -connect \
            127.0.0.1:$PORT </dev/null 2>/dev/null | openssl x509 -noout \
            -text | grep -qi 'ecdsa-with-$hash'"
done

# A query is cancelled: another connection, with the key of this one.
job "(sleep 2; kill -INT \$(pgrep -x psql)) & \
    psql -At 'host=db.test port=$PORT user=app dbname=postgres' \
    -c 'select pg_sleep(30)'"
check "a query is cancelled through the proxy" \
    says 'canceling statement due to user request'

job "PGPASSWORD=\${PGPASSWORD}x $Q' -c 'select 1'"
check "a wrong stub is refused" says 'placeholder of credential app'
job "PGPASSWORD=$(printf '%s' "$REAL" | rev) $Q' -c 'select 1'"
check "and any other password" says 'placeholder of credential app'
job "psql -At 'host=db.test port=$PORT user=admin dbname=postgres' -c 'select 1'"
check "a role without a credential is refused" says 'role "admin"'
job "PGPASSWORD=\$OLD_PASSWORD $Q' -c 'select 1'"
check "the stub of another role is refused" says 'placeholder of credential app'
check "each refusal is on record" audited NT501 'placeholder of credential app'
job "$Q dbname=nothere' -c 'select 1'"
check "what the server refuses is told in its words" \
    says 'database "nothere" does not exist'

# Elsewhere.  second.test is the same server by a name without a credential.
job "psql -At 'host=second.test port=$PORT user=app dbname=postgres' -c 'select 1'"
check "the stub is no password at another name of the server" no_row
check "there the server itself has refused it" says failed
job "psql -At 'host=denied.test port=$PORT user=app' -c 'select 1'"
check "a host that no rule names is refused in PostgreSQL's words" \
    says 'FATAL:  brig: '
job "psql -At 'host=db.test port=1 user=app' -c 'select 1'"
check "and so is another port" says 'FATAL:  brig: '

# A server of the attacker's: MODE is what it does.
cat >"$T/fake.py" <<'EOF'
import os, socket, ssl, struct, sys, threading, base64, hashlib, hmac
port, cert, key, log, modefile = int(sys.argv[1]), *sys.argv[2:6]
out = open(log, 'ab', buffering=0)
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', port)); s.listen(10)
def msg(t, b): return t + struct.pack('>I', len(b) + 4) + b
def auth(code, b=b''): return msg(b'R', struct.pack('>I', code) + b)
def get(c):
    h = b''
    while len(h) < 5:
        d = c.recv(5 - len(h))
        if not d: raise OSError('end')
        h += d
    n = struct.unpack('>I', h[1:])[0] - 4
    b = b''
    while len(b) < n: b += c.recv(n - len(b))
    out.write(b'GOT ' + h[:1] + b' ' + b + b'\n')
    return b
def first(c):
    n = struct.unpack('>I', c.recv(4))[0] - 4
    b = b''
    while len(b) < n: b += c.recv(n - len(b))
    out.write(b'FIRST ' + b + b'\n')
    return b
def talk(c):
    mode = open(modefile).read().strip()
    out.write(b'MODE ' + mode.encode() + b'\n')
    b = first(c)
    if mode == 'notls':
        c.sendall(b'N'); out.write(b'AFTER ' + c.recv(2000) + b'\n'); return
    if mode == 'stuffed':
        c.sendall(b'S' + auth(0)); out.write(b'AFTER ' + c.recv(2000) + b'\n'); return
    c.sendall(b'S')
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); ctx.load_cert_chain(cert, key)
    c = ctx.wrap_socket(c, server_side=True)
    first(c)
    if mode == 'cleartext':
        c.sendall(auth(3)); get(c)
        c.sendall(auth(0) + msg(b'Z', b'I'))
        get(c)
    elif mode == 'noproof' or mode == 'badproof' or mode == 'echo':
        c.sendall(auth(10, b'SCRAM-SHA-256\0\0'))
        b = get(c)
        nonce = b.split(b'r=')[1]
        c.sendall(auth(11, b'r=' + nonce + b'EVIL,s=' + base64.b64encode(b'salt') + b',i=4096'))
        get(c)
        if mode == 'badproof': c.sendall(auth(12, b'v=' + base64.b64encode(b'x' * 32)))
        if mode == 'echo':
            c.sendall(msg(b'E', b'SFATAL\0C28P01\0Mno such password as ' + os.environ['REAL'].encode() + b'\0\0'))
            return
        c.sendall(auth(0) + msg(b'Z', b'I'))
        get(c)
    elif mode == 'iterations':
        c.sendall(auth(10, b'SCRAM-SHA-256\0\0'))
        nonce = get(c).split(b'r=')[1]
        c.sendall(auth(11, b'r=' + nonce + b'X,s=AAAA,i=2000000000'))
        get(c)
    elif mode == 'gss':
        c.sendall(auth(7)); get(c)
    elif mode == 'huge':
        c.sendall(b'R' + struct.pack('>I', 0x7fffffff) + b'x' * 100000); get(c)
def run(c):
    try: talk(c)
    except Exception as e: out.write(b'END ' + str(e).encode() + b'\n')
    c.close()
while True:
    c, _ = s.accept()
    threading.Thread(target=run, args=(c,), daemon=True).start()
EOF
echo start >"$T/mode"
REAL=$REAL background python3 "$T/fake.py" "$FAKE" "$T/db.test.pem" \
    "$T/db.test.key" "$T/fake.log" "$T/mode"
REAL=$REAL background python3 "$T/fake.py" "$PLAIN" "$T/other.test.pem" \
    "$T/other.test.key" "$T/plain.log" "$T/mode"
wait_for 5 sh -c "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", $FAKE))'"
fake() {
    echo "$1" >"$T/mode"
    job "PGPASSWORD=\$FAKE_PASSWORD timeout 20 psql -At \
        'host=${2-db.test} port=$FAKE user=app dbname=postgres' -c 'select 1'" || :
}
fake notls
check "without TLS there is no login" says 'offers no TLS'
check "and nothing is said to that server" sh -c \
    "! grep -q 'AFTER .' '$T/fake.log'"
fake stuffed
check "what a server sends before TLS counts for nothing" no_row
fake noproof
check "a server that has no proof of the password is not believed" \
    says 'knows the password'
fake badproof
check "nor one whose proof is wrong" says 'knows the password'
fake iterations
check "a server cannot keep brig busy" says 'iterations'
fake gss
check "a login that is no password is refused" says 'kind of login'
fake huge
check "a message without end is refused" says 'malformed'
fake echo
check "the password in the server's words turns into the stub" \
    says 'no such password as'
check "and is not seen" says_not "$REAL"
fake cleartext
check "control: a verified server may have the password itself" \
    grep -q "GOT p $REAL" "$T/fake.log"
echo cleartext >"$T/mode"
job "PGPASSWORD=\$NOTLS_PASSWORD timeout 20 psql -At \
    'host=db.test port=$PLAIN user=app dbname=postgres' -c 'select 1'"
check "a server with another's certificate gets nothing" says 'TLS with the server'
check "not even the name of the role" sh -c "! grep -q 'FIRST .*app' '$T/plain.log'"
# A database of the attacker's, by a name of its own, that asks for the stub.
ask_evil() {
    job "echo \"stub $1\"; PGPASSWORD=$1 timeout 20 psql -At \
        'host=other.test port=$PLAIN user=app sslmode=require' -c 'select 1'" || :
}
ask_evil none-of-ours
check "control: that server gets the passwords it asks for" \
    grep -q 'GOT p none-of-ours' "$T/plain.log"
ask_evil '$FAKE_PASSWORD'
stub=$(sed -n 's/^stub //p' "$T/job.out" | tr -d '\r\n')
check "but no stub" sh -c \
    "[ -n '$stub' ] && ! grep -qF '$stub' '$T/plain.log'"
check "and that was an attempt to leak it" audited SE401 other.test

background sh -c "timeout 60 brig run -w '$T/ws' -- sh -c \
    \"(echo 'select 40 + 2;'; sleep 30) | $Q'\" >'$T/held.out' 2>&1 </dev/null"
check "control: a connection is open" wait_for 15 grep -q '^42' "$T/held.out"
brig secret revoke app >/dev/null
check "a revoked credential's connections are cut" \
    wait_for 10 sh -c "cat '$T'/log/*.jsonl | grep NT501 | grep -q revoked"
job "$Q' -c 'select 1'"
check "a revoked credential opens nothing" no_row
brig secret rm app >/dev/null 2>&1 || :
check "the password is nowhere in the logs of brig" sh -c \
    "! grep -rqF '$REAL' '$T/log' '$T/brigd.log' '$T/job.out'"
check "the audit log verifies" brig audit verify
finish

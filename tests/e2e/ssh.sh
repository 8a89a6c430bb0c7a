#!/bin/sh
# ssh and git in a job log in to a real sshd with a key that is not in the
# jail: an agent's socket leads to keyd, which signs for the session with that
# host and for nothing else.
# shellcheck disable=SC2016
# shellcheck source=../lib.sh
. "$BRIG_SRCDIR/tests/lib.sh"
if [ ! -x /usr/sbin/sshd ] || ! command -v ssh-keygen >/dev/null; then
    echo "1..0 # SKIP needs openssh-server and openssh-client"
    exit 0
fi
if grep -q '^root:!' /etc/shadow 2>/dev/null; then
    echo "1..0 # SKIP root's account is locked, and sshd lets nobody in"
    exit 0
fi
setup ssh
make_ca
read -r PORT EVIL <<EOF
$(python3 -c '
import socket
s = [socket.socket() for _ in range(2)]
for x in s: x.bind(("127.0.0.1", 0))
print(*(x.getsockname()[1] for x in s))')
EOF
[ -d /run/sshd ] || mkdir -m 755 /run/sshd

# sshd NAME PORT: with a host key of its own; everybody who has one of our keys
# may log in as root.
sshd_start() {
    ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$T/$1.host"
    cat >"$T/$1.conf" <<EOF
ListenAddress 127.0.0.1
Port $2
HostKey $T/$1.host
AuthorizedKeysFile $T/authorized
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PidFile none
AllowAgentForwarding yes
LogLevel VERBOSE
EOF
    background /usr/sbin/sshd -D -e -f "$T/$1.conf" 2>"$T/$1.log"
    wait_for 5 grep -q 'Server listening' "$T/$1.log"
}
for t in ed25519 ecdsa rsa; do
    ssh-keygen -q -t $t -N '' -C "$t" -f "$T/key.$t"
    cat "$T/key.$t.pub" >>"$T/authorized"
done
# The same as PEM, and one that nobody is to have.
cp "$T/key.ecdsa" "$T/key.pem"
ssh-keygen -q -p -N '' -m PEM -f "$T/key.pem" >/dev/null
sshd_start good "$PORT"
sshd_start evil "$EVIL"
host_line() { printf '[%s]:%s %s\n' "$1" "$2" "$(cut -d' ' -f1,2 "$T/$3.host.pub")"; }

mkdir "$T/ws"
chmod 755 "$T/ws"
{ host_line ssh.test "$PORT" good; host_line evil.test "$EVIL" evil; } >"$T/ws/known"
cp "$T"/key.*.pub "$T/ws/"
ssh-keygen -q -t ed25519 -N '' -f "$T/ws/own"
cat >"$T/ws/config" <<EOF
Host *
    UserKnownHostsFile /workspace/known
    StrictHostKeyChecking yes
    User root
    BatchMode yes
    ConnectTimeout 20
Host ssh.test
    Port $PORT
Host evil.test
    Port $EVIL
EOF
direct() {
    ssh -F "$T/ws/config" -o UserKnownHostsFile="$T/ws/known" \
        -o HostKeyAlias="[$1]:$2" -o IdentitiesOnly=yes -i "$3" -p "$2" \
        root@127.0.0.1 "$4"
}
check "control: the key opens the host" direct ssh.test "$PORT" "$T/key.ed25519" true
check "control: and the other host" direct evil.test "$EVIL" "$T/key.ed25519" true
check "control: another key does not" sh -c "! ssh -F '$T/ws/config' \
    -o UserKnownHostsFile='$T/ws/known' -o HostKeyAlias='[ssh.test]:$PORT' \
    -o IdentitiesOnly=yes -i '$T/ws/own' -p $PORT root@127.0.0.1 true"

mkdir -p "$T/policy"
cat >"$T/policy/default.policy" <<EOF
profile default {
    default exec allow;  default read allow;  default write allow;
    allow net ssh.test:$PORT;  allow net evil.test:$EVIL;
    allow net {127.0.0.1:$PORT,127.0.0.1:$EVIL};
}
EOF
write_conf "resolve ssh.test 127.0.0.1" "resolve evil.test 127.0.0.1"
start_brigd

job() {
    job_rc=0
    timeout 60 brig run -w "$T/ws" -- sh -c "$1" >"$T/job.out" 2>&1 \
        </dev/null || job_rc=$?
    return $job_rc
}
says() { grep -qF -e "$1" "$T/job.out" || { cat "$T/job.out"; return 1; }; }
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
SSH='ssh -F /workspace/config'

job 'echo "sock=$SSH_AUTH_SOCK"; ls -la /tmp'
check "without such a credential there is no agent" says_not ssh-agent

secret() {
    name=$1 key=$2
    shift 2
    { cat "$key"; host_line ssh.test "$PORT" good; } |
        brig secret add "$name" --kind ssh --host "ssh.test:$PORT" "$@" >/dev/null
}
check "a key with its host is taken" secret ed25519 "$T/key.ed25519" --user root
check "an ECDSA key, too" secret ecdsa "$T/key.pem"
check "and RSA" secret rsa "$T/key.rsa"
printf 'x' | brig secret add bad --kind ssh --host ssh.test >"$T/bad.out" 2>&1
check "what is no key is refused" sh -c "test -s '$T/bad.out' && ! brig secret list | grep -q bad"
ssh-keygen -q -t ed25519 -N secret -f "$T/locked"
brig secret add locked --kind ssh --host ssh.test <"$T/locked" >"$T/bad.out" 2>&1
check "a key with a passphrase is refused" grep -q passphrase "$T/bad.out"

job 'echo "sock=$SSH_AUTH_SOCK"; ssh-add -l; ls -la $SSH_AUTH_SOCK
grep -rl "PRIVATE KEY" /home /tmp /etc/ssh /workspace 2>/dev/null'
check "the job has an agent" says sock=/tmp/.ssh-agent
check "with the names of the credentials" says 'ed25519 (ED25519)'
check "and no key but its own is in the jail" sh -c \
    "[ \"\$(grep -c '^/' '$T/job.out')\" = 1 ] && grep -qx /workspace/own '$T/job.out'"

for t in ed25519 ecdsa rsa; do
    job "$SSH -o IdentitiesOnly=yes -i /workspace/key.$t.pub ssh.test 'echo $t \$((6 * 7))'"
    check "ssh logs in with the $t key" says "$t 42"
done
check "what is signed is on record" audited KY103 '"ed25519"' '"root"' ssh.test
check "and so is the connection" audited NT101 ssh.test '"tcp"'
job "env -u SSH_AUTH_SOCK $SSH ssh.test true || echo failed"
check "control: without the agent there is no login" says failed

# git over ssh.
git init -q --bare -b main "$T/repo.git"
job "export GIT_SSH_COMMAND='$SSH'
git clone -q ssh://ssh.test:$PORT$T/repo.git /tmp/clone && cd /tmp/clone &&
    git config user.email a@b && git config user.name a &&
    echo pushed >file && git add file && git commit -qm one &&
    git push -q origin HEAD:main && echo PUSHED"
check "git clones and pushes over ssh" says PUSHED
check "what was pushed is there" sh -c \
    "git --git-dir='$T/repo.git' show main:file | grep -q pushed"

# Another host, though it would take the key.
job "$SSH -o IdentitiesOnly=yes -i /workspace/key.ed25519.pub evil.test 'echo in' || echo failed"
check "a host whose key was not given gets no signature" says failed
check "though it was asked" audited KY104 'not one that was given'
check "and nobody is logged in there" sh -c \
    "[ \"\$(grep -c 'Accepted publickey' '$T/evil.log')\" = 1 ]"

# Forwarded, the agent signs for no hop behind the first one.
job "$SSH -A -o IdentitiesOnly=yes -i /workspace/key.ed25519.pub ssh.test \
    'echo first; ssh -F $T/ws/config -o UserKnownHostsFile=$T/ws/known \
    -o HostKeyAlias=[ssh.test]:$PORT -p $PORT root@127.0.0.1 echo second'"
check "control: the first hop is there" says first
check "the agent signs for no second hop" says_not second

# Whoever talks to the agent without ssh.
cat >"$T/ws/agent.py" <<'EOF'
import os, socket, struct
def s(b): return struct.pack('>I', len(b)) + b
def talk(*msgs):
    c = socket.socket(socket.AF_UNIX); c.settimeout(10)
    c.connect(os.environ['SSH_AUTH_SOCK'])
    out = []
    for m in msgs:
        c.sendall(s(m))
        h = b''
        try:
            while len(h) < 4:
                d = c.recv(4 - len(h))
                if not d: raise OSError('closed')
                h += d
            b = b''
            while len(b) < struct.unpack('>I', h)[0]: b += c.recv(65536)
            out.append(b)
        except OSError as e:
            out.append(str(e).encode())
    return out
ids = talk(b'\x0b')[0]
n = struct.unpack('>I', ids[5 - 4:5])[0]
klen = struct.unpack('>I', ids[5:9])[0]
key = ids[9:9 + klen]
alg = key[4:4 + struct.unpack('>I', key[:4])[0]]
print('KEYS', n)
def auth(session, method=b'publickey', extra=b''):
    return (s(session) + b'\x32' + s(b'root') + s(b'ssh-connection') + s(method)
            + b'\x01' + s(alg) + s(key) + extra)
def sign(data): return b'\x0d' + s(key) + s(data) + struct.pack('>I', 0)
def bind(host, session, sig, fwd=b'\0'):
    return b'\x1b' + s(b'session-bind@openssh.com') + s(host) + s(session) + s(sig) + fwd
import base64
good = base64.b64decode(open('/workspace/known').readline().split()[2])
print('ANY', talk(sign(b'anything at all'))[0])
print('UNBOUND', talk(sign(auth(b'x' * 32)))[0])
print('FORGED', talk(bind(good, b'x' * 32, s(b'ssh-ed25519') + s(b'\0' * 64)), sign(auth(b'x' * 32)))[1])
print('NOSIG', talk(bind(good, b'x' * 32, b''), sign(auth(b'x' * 32)))[1])
print('FORWARD', talk(bind(good, b'x' * 32, b'', b'\1'), sign(auth(b'x' * 32)))[1])
print('ADD', talk(b'\x11' + s(b'ssh-ed25519') + s(b'x' * 32))[0])
print('REMOVE', talk(b'\x13')[0])
print('LOCK', talk(b'\x16' + s(b'x'))[0])
c = socket.socket(socket.AF_UNIX); c.settimeout(10); c.connect(os.environ['SSH_AUTH_SOCK'])
c.sendall(b'\xff\xff\xff\xff' + b'x' * 1000)
try: print('HUGE', c.recv(10))
except OSError as e: print('HUGE', b'')
EOF
job 'python3 /workspace/agent.py; ssh-add /workspace/own; ssh-add -D; ssh-add -l | wc -l'
check "control: the agent answers" says 'KEYS 3'
for m in ANY UNBOUND FORGED NOSIG FORWARD ADD REMOVE LOCK; do
    check "the agent refuses ($m)" says "$m b'\\x05'"
done
check "a message without end ends the connection" says "HUGE b''"
check "unbound and forged requests are on record" audited KY104 'not bound to a host'
check "the keys are still the same three" sh -c "tail -n 1 '$T/job.out' | grep -qx 3"

# One job that asks without end gets no more than its share.
cat >"$T/ws/flood.py" <<'EOF'
import os, socket, struct
n = 0
try:
    c = socket.socket(socket.AF_UNIX); c.settimeout(10)
    c.connect(os.environ['SSH_AUTH_SOCK'])
    for i in range(2000):
        c.sendall(b'\0\0\0\x01\x0b')
        h = c.recv(4)
        if len(h) < 4: break
        b = b''
        while len(b) < struct.unpack('>I', h)[0]: b += c.recv(65536)
        n += 1
except OSError: pass
print('ANSWERED', n)
EOF
job 'python3 /workspace/flood.py'
check "control: the agent answers many" sh -c \
    "[ \"\$(sed -n 's/^ANSWERED //p' '$T/job.out' | tr -d '\r')\" -ge 200 ]"
check "but not all of a flood" sh -c \
    "[ \"\$(sed -n 's/^ANSWERED //p' '$T/job.out' | tr -d '\r')\" -lt 1000 ]"
check "which is on record" audited NT407 'SSH agent'

# The rule goes: no signature, though the key and the session are right.
cat >"$T/policy/default.policy" <<EOF
profile default {
    default exec allow;  default read allow;  default write allow;
    allow net 127.0.0.1:$PORT;
}
EOF
brig policy reload >/dev/null
job "$SSH -o IdentitiesOnly=yes -i /workspace/key.rsa.pub ssh.test 'echo in' || echo failed; ssh-add -l"
check "without the net rule there is no way to the host" says failed
check "control: the agent is there still" says 'rsa (RSA)'
sed "s/allow net 127/allow net ssh.test:$PORT;  allow net 127/" \
    "$T/policy/default.policy" >"$T/policy/new" &&
    mv "$T/policy/new" "$T/policy/default.policy"
brig policy reload >/dev/null

brig secret revoke ed25519 >/dev/null
job "ssh-add -l; $SSH -o IdentitiesOnly=yes -i /workspace/key.ed25519.pub ssh.test 'echo in' || echo failed"
check "a revoked key is not there any more" says_not 'ed25519 (ED25519)'
check "and opens nothing" says failed
check "no line of a private key is in the logs" sh -c \
    "! grep -rqF -e '$(sed -n 4p "$T/key.ed25519")' -e '$(sed -n 4p "$T/key.rsa")' \
        '$T/log' '$T/brigd.log' '$T/job.out'"
check "the audit log verifies" brig audit verify
finish

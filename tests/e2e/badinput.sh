#!/bin/sh
# Bad input: from policy authors, from clients of the control socket, from
# users of the command.  Each mistake is one clear error, and nothing else
# suffers.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup badinput

# says WORDS STATUS COMMAND...: one line on stderr with the words, that status.
says() {
    says_words=$1
    says_status=$2
    shift 2
    says_rc=0
    timeout 30 "$@" >"$T/says.out" 2>"$T/says.err" </dev/null || says_rc=$?
    cat "$T/says.err"
    [ "$says_rc" = "$says_status" ] || {
        echo "status $says_rc, not $says_status"
        return 1
    }
    [ "$(wc -l <"$T/says.err")" = 1 ] || return 1
    grep -qiE -e "$says_words" "$T/says.err"
}
mkdir -p "$T/theirs"
chown 4242:4242 "$T/theirs"
check "unknown profile: named, and what there is" \
    says 'profile.*nosuch.*default' 125 brig run -p nosuch -- true
check "missing workspace" \
    says 'nosuchdir' 125 brig run -w "$T/nosuchdir" -- true
check "workspace that is a file" \
    says 'director' 125 brig run -w "$T/brigd.conf" -- true
check "workspace of somebody else" \
    says 'own' 125 brig run -w "$T/theirs" -- true
check "no such socket" \
    says 'brigd|socket' 125 brig --socket "$T/none.sock" run -- true
chmod 711 "$T" "$T/run"
chmod 600 "$T/run/brigd.sock"
check "unreadable socket" says 'permission|group' 125 \
    setpriv --reuid=65534 --regid=65534 --clear-groups \
    "$BRIG_BUILDDIR/brig" --socket "$T/run/brigd.sock" run -- true
check "command not found: 127" says 'nosuchcommand' 127 brig run -- nosuchcommand
check "command denied: 126" sh -c '
    printf "profile nolist { default exec allow; default read allow; deny exec ls ...; }\n" >>"$T/policy/default.policy"
    brig policy reload >/dev/null
    brig run -p nolist -- ls / >"$T/o" 2>&1; test $? = 126 && grep -q "denied by policy" "$T/o"'
check "unknown job" says 'j-99999' 1 brig show j-99999
check "unknown ask" says 'A-99999' 1 brig approve A-99999
check "a short secret is refused, with the reason" sh -c '
    printf abc | brig secret add s --host h.example 2>"$T/e" && exit 1
    grep -qi "8 to\|short\|least" "$T/e" && ! grep -q abc "$T/e"'
check "a secret with a line break is refused" sh -c '
    printf "abcdefgh12345\nxyz" | brig secret add s --host h.example 2>"$T/e" && exit 1
    ! grep -q abcdefgh "$T/e"'

check "bad lines on the control socket close that connection only" \
    python3 - "$T/run/brigd.sock" <<'EOF'
import json, socket, sys
path = sys.argv[1]
def connect():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(path)
    return s
def ask(s, o):
    s.sendall((json.dumps(o) + '\n').encode())
    return json.loads(s.makefile().readline())
steady = connect()
assert ask(steady, {'v': 1, 'id': 1, 'op': 'status'})['ok']
bad = [
    b'{"v":1,"id":1,"op":"status"\n',
    b'{"v":1,"id":1,"op":"status","op":"hello"}\n',
    b'not json\n',
    b'[1,2,3]\n',
    b'"x"\n',
    b'\n',
    b'{"v":1,"id":1,"op":' + b'[' * 5000 + b']' * 5000 + b'}\n',
    b'{"v":1,"id":1,"op":"' + b'x' * (2 << 20) + b'"}\n',
    b'{"v":1,"id":1,"op":"status","x":"\xff\xfe"}\n',
    b'{"v":1,"id":"one","op":"status"}\n',
    b'{"v":99,"id":1,"op":"status"}\n',
    b'\0\0\0\0\n',
]
for b in bad:
    s = connect()
    try:
        s.sendall(b)
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    data = b''
    try:
        while True:
            part = s.recv(65536)
            if not part:
                break
            data += part
    except ConnectionResetError:
        pass
    if data:
        assert json.loads(data.split(b'\n')[0])['ok'] is False, (b[:40], data)
    s.close()
# Half a line and gone; nothing at all and gone.
for b in (b'{"v":1,', b''):
    s = connect()
    s.sendall(b)
    s.close()
# Well-formed requests that ask for nonsense leave the connection open.
for o in ({'v': 1, 'id': 2, 'op': 'nosuch'},
          {'v': 1, 'id': 3, 'op': 'job.show'},
          {'v': 1, 'id': 4, 'op': 'job.run', 'argv': []},
          {'v': 1, 'id': 5, 'op': 'job.run', 'argv': ['a'], 'env': {'A=B': 'x'}, 'detach': True},
          {'v': 1, 'id': 6, 'op': 'job.kill', 'job': 'j-1; rm', 'signal': 'TERM'}):
    r = ask(steady, o)
    assert r['ok'] is False and r['id'] == o['id'], r
    assert '\n' not in r['error']['message']
assert ask(steady, {'v': 1, 'id': 9, 'op': 'status'})['ok']
EOF

check "brigd -n finds mistakes in brigd.conf, with their places" sh -c '
    printf "socket /x\nnosuch 1\njob-uids abc 5\n" >"$T/bad.conf"
    brigd -n -f "$T/bad.conf" >"$T/n.out" 2>&1 && exit 1
    grep -q "bad.conf:2" "$T/n.out" && grep -q "bad.conf:3" "$T/n.out"'
check "brigd -n accepts the good one" brigd -n -f "$T/brigd.conf"
check "a policy with mistakes is not loaded; the old one stays" sh -c '
    cp "$T/policy/default.policy" "$T/keep"
    echo "alow exec ls;" >>"$T/policy/default.policy"
    brig policy reload >"$T/r.out" 2>&1 && exit 1
    grep -q "default.policy:" "$T/r.out" || exit 1
    cp "$T/keep" "$T/policy/default.policy"
    brig run -- true'
check "a policy file that others can write is an error" sh -c '
    chmod 666 "$T/policy/default.policy"
    brig policy reload >"$T/r.out" 2>&1 && exit 1
    chmod 644 "$T/policy/default.policy"; grep -qi "writ" "$T/r.out"'
: >"$T/job.out"
attack_end

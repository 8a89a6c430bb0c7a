#!/bin/sh
# The table of processes, read from /proc: who runs as whom, with which
# capabilities, behind which filter, with which descriptors and root.
# shellcheck source=../lib.sh
. "$BRIG_SRCDIR/tests/lib.sh"
setup processes
write_conf "log-level debug"
printf 'profile default {\n default exec allow; default read allow; default write allow;\n}\n' \
    >"$T/policy/default.policy"
start_brigd
brig submit -- sleep 60 >"$T/job"
wait_for 10 sh -c 'brig ps | grep -q running'
# front and back are started last, and as root.
confined() {
    brig --json status >"$T/status.json"
    python3 -c 'import json, sys
p = json.load(sys.stdin)["processes"]
sys.exit(sum(q["role"] in ("front", "back") and q["uid"] != 0
             for q in p) != 2)' <"$T/status.json"
}
wait_for 10 confined
check "every process is as the table says" python3 - "$T/status.json" "$BRIGD_PID" \
    "$JOB_UIDS" <<'EOF'
import json, os, sys

# role: (uid, capabilities that may be held, how many of that role)
NONE = 0
TRACE = 1 << 19 | 1 << 5      # CAP_SYS_PTRACE, CAP_KILL
TABLE = {
    'parent': (0, None, 1),
    'control': (1879099001, NONE, 1),
    'keyd': (1879099002, NONE, 1),
    'audit': (1879099003, NONE, 1),
    'dns': (1879099004, NONE, 1),
    'shim': (0, TRACE, 1),
    # Waits for a job, to build its jail: what a shim has until then.
    'spare': (0, None, 1),
    'front': (1879099005, NONE, 1),
    'back': (1879099006, NONE, 1),
}
FULL = (1 << 41) - 1
status = json.load(open(sys.argv[1]))
bad = []
seen = {}


def check(ok, text):
    if not ok:
        bad.append(text)


def proc(pid):
    out = {}
    for line in open(f'/proc/{pid}/status'):
        key, _, value = line.partition(':')
        out[key] = value.strip()
    return out


for p in status['processes']:
    role, pid = p['role'], p['pid']
    if role == 'shim' and not p['job']:
        role = 'spare'
    if role == 'jail':
        continue
    seen[role] = seen.get(role, 0) + 1
    if role not in TABLE:
        bad.append(f'unknown role {role}')
        continue
    uid, caps, _ = TABLE[role]
    s = proc(pid)
    # A shim looks at files as its job (the fourth id).
    fs = int(sys.argv[3]) if role == 'shim' else uid
    check(s['Uid'].split() == [str(uid)] * 3 + [str(fs)],
          f'{role}: uid {s["Uid"]}')
    check(s['Gid'].split() == s['Uid'].split(), f'{role}: gid {s["Gid"]}')
    check(s['Groups'] in ('', '0') or s['Groups'] == s['Gid'].split()[0],
          f'{role}: groups {s["Groups"]}')
    if role != 'spare':
        check(s['NoNewPrivs'] == '1', f'{role}: no_new_privs')
        check(s['Seccomp'] == '2', f'{role}: seccomp {s["Seccomp"]}')
    for key in ('CapInh', 'CapAmb'):
        check(int(s[key], 16) == 0, f'{role}: {key} {s[key]}')
    for key in ('CapPrm', 'CapEff', 'CapBnd'):
        have = int(s[key], 16)
        if caps is None:
            check(have & FULL != FULL, f'{role}: {key} is everything')
        elif key != 'CapBnd' or role != 'shim':
            check(have & ~caps == 0, f'{role}: {key} {s[key]}')
    # What brig status says is what /proc says.
    check(p['uid'] == uid, f'{role}: status says uid {p["uid"]}')
    check(p['seccomp'] == int(s['Seccomp']), f'{role}: status says seccomp {p["seccomp"]}')
    check(int(p['caps_effective'], 16) == int(s['CapEff'], 16),
          f'{role}: status says caps {p["caps_effective"]}')
    root = os.readlink(f'/proc/{pid}/root')
    if role in ('control', 'keyd', 'audit', 'front', 'back'):
        check(root != '/', f'{role}: root is /')
    names = []
    try:
        names = [n for n in os.listdir(f'/proc/{pid}/root')]
    except OSError:
        pass
    if role in ('keyd', 'front', 'back'):
        check(names == [], f'{role}: root holds {names}')
    limits = open(f'/proc/{pid}/limits').read()
    core = [l for l in limits.splitlines() if l.startswith('Max core')][0]
    check(core.split()[4] == '1', f'{role}: {core}')
    # Descriptors: no directory, no regular file that is not its own.
    for fd in os.listdir(f'/proc/{pid}/fd'):
        try:
            to = os.readlink(f'/proc/{pid}/fd/{fd}')
        except OSError:
            continue
        fine = to.startswith(('socket:', 'anon_inode:', 'pipe:', '/memfd:',
                              '/dev/null', '/dev/pts', '/dev/ptmx', 'net:'))
        # Namespaces that the next jail will live in.
        if role == 'spare' and to.startswith(('mnt:', 'ipc:', 'uts:')):
            continue
        own = {'keyd': 'vault', 'audit': 'audit', 'control': 'jobs.db',
               'shim': '', 'spare': '/proc',
               'parent': ''}.get(role)
        # stderr is wherever the log goes.
        check(fine or fd in ('0', '1', '2') or
              (own is not None and own in to), f'{role}: fd {fd} is {to}')

for role, (_, _, n) in TABLE.items():
    check(seen.get(role, 0) == n, f'{role}: {seen.get(role, 0)} of {n}')
exes = {os.readlink(f'/proc/{p["pid"]}/exe') for p in status['processes']
        if p['role'] == 'shim'}
check(all(e.endswith('brig-shim') for e in exes), f'shim is {exes}')
for b in bad:
    print(b)
sys.exit(1 if bad else 0)
EOF
check "the table can be read by people, too" sh -c \
    'brig status | grep -E "keyd .*1879099002"'
brig kill -s KILL "$(cat "$T/job")" >/dev/null
check "the per-job processes end with the job" wait_for 10 sh -c '
    [ "$(brig --json status | grep -cE "\"(shim|front|back)\"")" = 1 ]'
spare() {
    brig --json status | python3 -c 'import json, sys
print(*[p["pid"] for p in json.load(sys.stdin)["processes"]
        if p["role"] == "shim" and not p["job"]])'
}
old=$(spare)
kill -9 "$old"
# A shim that is dying but not yet known to be would be given the job.
wait_for 10 sh -c "! kill -0 $old 2>/dev/null"
check "a job starts while no shim waits for it" brig run -- true
another() {
    new=$(spare) && [ -n "$new" ] && [ "$new" != "$old" ]
}
check "another shim waits soon" wait_for 10 another
printf 'profile default {\n default exec deny;\n}\n' >"$T/policy/default.policy"
brig policy reload >/dev/null
check "it has the policy that is in force" sh -c \
    'brig run -- true; [ $? = 126 ]'
finish

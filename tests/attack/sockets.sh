#!/bin/sh
# Attacks through sockets and descriptors: programs of the host that listen on
# a path, jobs that help each other, descriptors that travel, and an allowed
# service used with somebody else's key.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-sockets
probe=$T/ws/brig-probe

# 42: sockets with a path, of the kind that docker, ssh-agent and D-Bus have.
cat >"$T/listen.py" <<'EOF'
import os, select, socket, sys
log = open(sys.argv[1], 'a', buffering=1)
socks = {}
for path in sys.argv[2:]:
    for kind, name in ((socket.SOCK_STREAM, 'stream'),
                       (socket.SOCK_DGRAM, 'dgram')):
        s = socket.socket(socket.AF_UNIX, kind)
        s.bind(path + '.' + name)
        os.chmod(path + '.' + name, 0o777)
        if kind == socket.SOCK_STREAM:
            s.listen(9)
        socks[s] = path + '.' + name
log.write('ready\n')
while True:
    for s in select.select(list(socks), [], [])[0]:
        if s.type == socket.SOCK_STREAM:
            c, _ = s.accept()
            log.write(f'connected {socks[s]}\n')
            c.close()
        else:
            log.write(f'got {s.recv(100)!r}\n')
EOF
mkdir -m 777 "$T/run-host" /tmp/.brig-attack-$$
# It must go even if the script is stopped.
trap 'rm -rf /tmp/.brig-attack-$$; cleanup' EXIT
background python3 "$T/listen.py" "$T/listen.log" "$T/run-host/docker" \
    "/tmp/.brig-attack-$$/agent"
wait_for 5 grep -q ready "$T/listen.log"
for s in "$T/run-host/docker" "/tmp/.brig-attack-$$/agent"; do
    outside setpriv --reuid "$JOB_UIDS" --clear-groups "$probe" unix "$s.stream"
    check "42 control: any user of the host can connect to ${s##*/}" \
        grep -q worked "$T/outside.out"
    job "/workspace/brig-probe unix $s.stream" || :
    check "42 the job cannot: ${s##*/} is not there" job_does_not_say worked
done
job 'find / -xdev -type s 2>/dev/null; find /run /var /tmp -type s 2>/dev/null
env | grep -E "SSH_AUTH_SOCK|DBUS|DISPLAY|XDG_RUNTIME|DOCKER_HOST|GPG"; echo end' ||
    :
check "42 no socket and no pointer to one in the jail" sh -c '
    test "$(cat "$0")" = end' "$T/job.out"

# 43: an unconnected datagram socket that is pointed at a path later.
cat >"$T/ws/redirect.py" <<'EOF'
import socket, sys
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
for name, attempt in (
        ('sendto', lambda: a.sendto(b'mark-43-sendto', sys.argv[1])),
        ('connect', lambda: (a.connect(sys.argv[1]), a.send(b'mark-43-connect'))),
        ('sendmsg', lambda: a.sendmsg([b'mark-43-sendmsg'], [], 0, sys.argv[1]))):
    try:
        attempt()
        print(name, 'worked')
    except OSError as e:
        print(name, e)
EOF
outside python3 "$T/ws/redirect.py" "$T/run-host/docker.dgram"
check "43 control: all three ways work on the host" sh -c '
    test "$(grep -c worked "$0")" = 3' "$T/outside.out"
check "43 control: and arrive" wait_for 3 grep -q mark-43-sendmsg "$T/listen.log"
: >"$T/listen.log"
job "python3 /workspace/redirect.py $T/run-host/docker.dgram" || :
check "43 none works in the jail" job_does_not_say worked
check "43 and nothing arrives" sh -c '! grep mark-43 "$0"' "$T/listen.log"

# 45: a job that listens, and another that would use it as its way out.
# Neither the loopback, nor abstract names, nor /tmp and /dev/shm are shared.
cat >"$T/ws/relay.py" <<'EOF'
import os, select, socket, sys, time
socks = []
for fam, addr in ((socket.AF_INET, ('0.0.0.0', 4545)),
                  (socket.AF_UNIX, '\0relay-45'), (socket.AF_UNIX, '/tmp/relay'),
                  (socket.AF_UNIX, '/dev/shm/relay')):
    s = socket.socket(fam)
    s.bind(addr)
    s.listen(5)
    socks.append(s)
print('listening', flush=True)
end = time.time() + float(sys.argv[1])
while time.time() < end:
    for s in select.select(socks, [], [], 0.2)[0]:
        s.accept()[0].sendall(b'relay-45-reached')
EOF
cat >"$T/ws/user.py" <<'EOF'
import socket, sys
n = 0
for fam, addr in ((socket.AF_INET, ('127.0.0.1', 4545)),
                  (socket.AF_INET, ('10.45.45.45', 4545)),
                  (socket.AF_UNIX, '\0relay-45'), (socket.AF_UNIX, '/tmp/relay'),
                  (socket.AF_UNIX, '/dev/shm/relay')):
    s = socket.socket(fam)
    s.settimeout(3)
    try:
        s.connect(addr)
        print(addr, s.recv(100))
    except OSError as e:
        print(addr, e)
EOF
job 'python3 /workspace/relay.py 6 & sleep 1; python3 /workspace/user.py' || :
check "45 control: within one job the relay is reached" \
    job_says relay-45-reached
brig submit -w "$T/ws" -- python3 /workspace/relay.py 20 >"$T/relay"
wait_for 10 sh -c 'brig logs "$0" | grep -q listening' "$(cat "$T/relay")"
job 'python3 /workspace/user.py' || :
check "45 another job does not reach it" job_does_not_say relay-45-reached
outside python3 "$T/ws/user.py"
check "45 nor does the host" sh -c '! grep relay-45-reached "$0"' "$T/outside.out"
brig kill -s KILL "$(cat "$T/relay")" >/dev/null 2>&1 || :

# 46: descriptors.  What the submitter has open does not come along, and a
# socket in a workspace that two jobs share carries no descriptor out of a jail.
echo outside-46 >"$T/secret46"
exec 7<"$T/secret46" 8<"$T"
sh -c 'cat <&7' >"$T/outside.out"
check "46 control: a child of the submitter inherits the descriptor" \
    grep -q outside-46 "$T/outside.out"
exec 7<"$T/secret46"
job 'for fd in /proc/self/fd/*; do echo "$fd $(readlink "$fd")"; done
cat <&7; cat /proc/self/fd/8/secret46; cat /proc/1/fd/* 2>/dev/null | head -c 100' ||
    :
exec 7<&- 8<&-
check "46 it is not there in the job" job_does_not_say outside-46
check "46 control: the list shows the standard streams" \
    job_says "/proc/self/fd/1 pipe:"
check "46 nor anything but these" awk '/^\/proc\/self\/fd\// {
    n = $1; sub(/.*\//, "", n)
    if (n > 2 && $2 != "" && $2 !~ /^\/proc\/[0-9]+\/fd$/) { print; bad = 1 } }
    END { exit bad }' "$T/job.out"

# 47: an allowed service, used with a key of the attacker's own.
key="Bearer attacker-47-$(head -c 9 /dev/urandom | od -An -tx1 | tr -d ' \n')"
direct_curl good.test "$GOOD" -H "Authorization: $key" \
    "https://good.test:$GOOD/a47-control"
check "47 control: the service takes the attacker's key on the host" \
    reached good.test "$key"
job "curl -sS -m 10 -H 'Authorization: $key-jail' https://good.test:$GOOD/a47-header
curl -sS -m 10 -u attacker:$key-jail https://good.test:$GOOD/a47-basic
curl -sS -m 10 -H 'Proxy-Authorization: $key-jail' https://good.test:$GOOD/a47-proxy
curl -sS -m 10 -H 'Authorization: $key-jail' -H \"Authorization: Bearer \$GOOD_TOKEN\" \
    https://good.test:$GOOD/a47-two" || :
check "47 it does not arrive from a job" not_reached good.test "$key-jail"
check "47 nor encoded" not_reached good.test \
    "$(printf 'attacker:%s-jail' "$key" | base64 -w0 | cut -c1-30)"
job "curl -sS -m 10 -H \"Authorization: Bearer \$GOOD_TOKEN\" https://good.test:$GOOD/a47-own"
check "47 control: the credential bound to the host does" \
    reached good.test "$CANARY"
attack_end

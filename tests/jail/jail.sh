#!/bin/bash
# shellcheck disable=SC2016,SC2012
# What a workload cannot do, and what must keep working.  Every refusal has a
# control: the same attempt outside the jail, which must get somewhere, or the
# refusal would prove nothing.
set -u
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
probe=$build/tests/jail/probe

tmp=$(mktemp -d /var/tmp/brig-jail.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
ws=$tmp/ws
mkdir "$ws"
cp "$probe" "$ws/probe"
chown -R 1234:1235 "$ws"
chmod 755 "$tmp"

jail() { "$run" -w "$ws" "$@"; }

# refused CLAIM ATTEMPT ERRNO [CONTROL]: inside it fails with ERRNO; outside
# it does not (or gives CONTROL, where even root gets an error of its own).
refused()
{
	local in out want=${4:-ok}

	out=$(cd "$tmp" && "$probe" "$2" 2>/dev/null </dev/null)
	if [ "$out" != "$want" ]; then
		skip "$1" "control outside gives $out"
		return
	fi
	in=$(jail ./probe "$2" 2>/dev/null </dev/null)
	is "$in" "$3" "$1"
}

is "$(jail id -u)" 1000 job_is_an_ordinary_user_inside
is "$(jail sh -c 'echo hi')" hi command_runs
jail sh -c 'exit 7'
is $? 7 exit_status_is_the_jobs
jail sh -c 'kill -9 $$'
is $? 137 signal_is_reported
jail /nonexistent 2>/dev/null
is $? 127 missing_command_is_127
jail /etc/passwd 2>/dev/null
is $? 126 file_that_cannot_run_is_126

is "$("$run" -T sh -c 'tty; stty size; echo x >/dev/tty; test -t 0; echo $?' |
    tr -d '\r' | tr '\n' ' ')" "/dev/pts/0 24 80 x 0 " terminal_of_its_own

# files
test -s /etc/shadow
ok $? control_host_has_etc_shadow
is "$(jail sh -c 'cat /etc/shadow' 2>/dev/null)" "" cannot_read_host_etc_shadow
echo canary >"$tmp/canary"
chmod 644 "$tmp/canary"
is "$(cat "$tmp/canary")" canary control_canary_is_readable_outside
is "$(jail cat "$tmp/canary" 2>/dev/null)" "" cannot_read_host_files
is "$(jail cat ../../canary "/proc/1/root$tmp/canary" 2>/dev/null)" "" \
    cannot_reach_host_through_proc_1_root
ln -s "$tmp/canary" "$ws/link"
is "$(jail cat link 2>/dev/null)" "" link_out_of_the_workspace_leads_nowhere
is "$(cat "$ws/link")" canary control_link_works_outside
test -n "$(ls -A /sys)"
ok $? control_the_host_has_sys
is "$(jail sh -c 'ls -A /sys 2>/dev/null')" "" no_sys
# The mount refuses, not the mode bits: EROFS.
for d in /usr /etc; do
	test -w "$d"
	ok $? "control_root_can_write$d"
	is "$(jail sh -c 'echo x >"$1/brig-x"' sh "$d" 2>&1 |
	    grep -c 'Read-only')" 1 "cannot_write$d"
	test ! -e "$d/brig-x"
	ok $? "nothing_appeared_in$d"
done
is "$(jail cat /etc/resolv.conf)" "nameserver 127.0.0.53" resolver_is_ours
is "$(jail sh -c 'cd; pwd')" /home/agent home_is_outside_tmp
is "$(jail sh -c 'echo a >/tmp/f; echo b >~/f; cat /tmp/f ~/f' | tr -d '\n')" \
    ab tmp_and_home_are_writable
is "$(jail sh -c 'cat $SSL_CERT_FILE' | sha256sum)" \
    "$(sha256sum </etc/ssl/certs/ca-certificates.crt)" ca_variables_name_the_bundle
is "$("$run" -e 'SSL_CERT_FILE=/x' -e 'FOO=1' -e 'FOO=2' sh -c \
    'echo $SSL_CERT_FILE $FOO')" "/etc/ssl/certs/ca-certificates.crt 2" \
    environment_cannot_override_the_ca

# workspace
is "$(jail stat -c %u:%g .)" 1000:1000 workspace_belongs_to_the_job_inside
jail sh -c 'echo x >made'
is "$(stat -c %u:%g "$ws/made")" 1234:1235 files_made_belong_to_the_submitter
echo root >"$ws/roots"
jail sh -c 'echo y >roots' 2>/dev/null
is "$(cat "$ws/roots")" root files_of_others_cannot_be_written
is "$("$run" sh -c 'echo z >f && cat f')" z scratch_workspace_without_a_directory
mkdir "$tmp/other"
ln -s "$ws" "$tmp/alias"
"$run" -w "$tmp/alias" true 2>"$tmp/err"
is $? 125 workspace_path_with_a_link_is_refused
grep -q '^jailtest: workspace: ' "$tmp/err" || grep -q workspace "$tmp/err"
ok $? error_names_the_step
is "$(jail -x noexec-workspace ./probe tcp 2>/dev/null)" "" noexec_workspace
is "$("$run" -x noexec-tmp sh -c 'cp /bin/true /tmp/t; /tmp/t 2>/dev/null; echo $?')" \
    126 noexec_tmp
is "$("$run" sh -c 'cp /bin/true /tmp/t; /tmp/t 2>/dev/null; echo $?')" 0 \
    control_tmp_exec

# processes
is "$(jail sh -c 'ls -d /proc/[0-9]*' | grep -c -v '/proc/[2-9]$')" 0 \
    sees_only_own_pids
test -d "/proc/$$"
ok $? control_host_has_more_pids
is "$(jail grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status |
    awk '{print $2}' | sort -u)" 0000000000000000 caps_empty
is "$(jail awk '/NoNewPrivs|Seccomp:/ {print $2}' /proc/self/status |
    tr '\n' ' ')" "1 2 " no_new_privs_and_filter
is "$(jail cat /proc/self/uid_map | awk '{print $1, $3}')" "1000 1" \
    one_id_is_mapped
is "$(jail cat /proc/self/setgroups)" deny setgroups_denied
is "$(jail sh -c 'cat /proc/1/environ 2>/dev/null')" "" pid_1_is_not_readable
is "$(jail awk '/core file/ {print $5, $6}' /proc/self/limits)" "1 1" \
    no_core_files_and_none_piped_to_the_host
is "$(jail sh -c 'ls -l /proc/self/fd | wc -l')" 5 no_descriptor_leaks_in
exec 9</etc/hostname
is "$(jail sh -c 'cat <&9' 2>/dev/null)" "" callers_descriptors_are_closed
exec 9<&-
jail sh -c 'setsid sleep 1000.'$$' >/dev/null 2>&1 & exit 0'
sleep 0.1
is "$(pgrep -u 64321 -c -f "^sleep 1000.$$")" 0 nothing_survives_the_workload

# system calls
refused io_uring_refused io_uring ENOSYS
refused userns_refused userns EPERM
refused clone_userns_refused clone_userns EPERM
refused clone_untraced_refused clone_untraced EPERM
refused clone3_is_not_there clone3 ENOSYS EINVAL
refused openat2_is_not_there openat2 ENOSYS EINVAL
refused mount_api_refused fsopen EPERM
refused bpf_refused bpf EPERM EINVAL
refused ptrace_refused ptrace EPERM
refused sibling_memory_is_read_only sibling_mem EROFS
refused keyring_refused keyctl EPERM
refused userfaultfd_refused userfaultfd EPERM
refused raw_sockets_refused raw EPERM
is "$(jail ./probe netlink)" ok addresses_can_be_asked_for
is "$(jail -x strict ./probe netlink)" EAFNOSUPPORT strict_refuses_netlink
is "$(unshare -n "$probe" link_down)" ok control_root_changes_links
is "$(jail ./probe link_down)" EPERM links_cannot_be_changed
is "$(jail -x nested ./probe link_down)" EPERM nor_in_a_nested_jail
refused sock_diag_refused sock_diag EPROTONOSUPPORT
refused packet_with_high_bits_refused high_family EAFNOSUPPORT
refused packet_sockets_refused packet EAFNOSUPPORT
refused vsock_refused vsock EAFNOSUPPORT
refused alg_refused alg EAFNOSUPPORT
refused mptcp_refused mptcp EPROTONOSUPPORT
is "$(jail ./probe tcp)" ok tcp_sockets_work
refused tiocsti_refused tiocsti EPERM ENOTTY
refused tiocsti_with_high_bits_refused tiocsti_high EPERM ENOTTY
refused tioclinux_refused tioclinux EPERM ENOTTY
refused cannot_make_setuid chmod_setuid EPERM
refused cannot_make_setgid chmod_setgid EPERM
refused cannot_make_setuid_by_fchmodat2 fchmodat2_setuid EPERM
refused cannot_make_setuid_by_open open_setuid EPERM
refused cannot_make_setuid_by_tmpfile tmpfile_setuid EPERM
refused cannot_make_setuid_by_mknod mknod_setuid EPERM
refused cannot_make_devices mknod_device EPERM
refused executable_memfd_refused memfd_exec EACCES
is "$(jail ./probe memfd_plain)" ok plain_memfd_works
if [ "$("$probe" memfd_exec)" = ok ]; then
	is "$(jail -x memfd-exec ./probe memfd_exec)" ok \
	    memfd_exec_can_be_allowed
else
	skip memfd_exec_can_be_allowed "this kernel has no MFD_EXEC"
fi
refused chroot_refused chroot EPERM
refused cannot_become_root setuid_root EINVAL
is "$(unshare --pid --fork --kill-child "$probe" kill_init)" ok \
    control_a_plain_pid_namespace_lets_signal_pid_1
if "$build/brig" doctor | grep -q 'signals and abstract sockets by'; then
	skip cannot_signal_pid_1 "Landlock has no signal scope before ABI 6"
else
	is "$(jail ./probe kill_init)" EPERM cannot_signal_pid_1
fi
is "$(jail sh -c 'trap "" TERM HUP; kill -9 1; kill -STOP 1; kill -TERM 1
    kill -HUP 1; sleep 0.1; echo alive' 2>/dev/null)" alive \
    signals_to_pid_1_harm_nothing
read -r up _ </proc/uptime
if unshare --time true 2>/dev/null && [ "${up%.*}" -gt 60 ]; then
	is "$(jail sh -c 'read -r up _ </proc/uptime
	    [ "${up%.*}" -lt 60 ] && echo "short, as it began"')" \
	    "short, as it began" uptime_of_the_host_is_hidden
else
	skip uptime_of_the_host_is_hidden "no time namespace, or a young host"
fi
# killed CLAIM ATTEMPT: inside it dies by SIGSYS; the control may run it, or
# show that this kernel has no such table, which gives an errno.
killed()
{
	local out

	out=$(cd "$tmp" && "$probe" "$2" 2>/dev/null)
	if [ "$out" != ok ]; then
		skip "control_$1" "outside it gives ${out:-a signal}"
	else
		ok 0 "control_$1"
	fi
	jail ./probe "$2" >/dev/null 2>&1
	is $? 159 "$1"
}
killed int80_kills int80
killed x32_kills x32

# network: -c prints what the capture sockets got
py='
import socket, sys
fam = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
s = socket.socket(fam, kind)
s.connect((sys.argv[2], int(sys.argv[3])))
if kind == socket.SOCK_DGRAM:
    s.send(b"hello")
'
captured()
{
	is "$("$run" -c python3 -c "$py" "$1" "$2" "$3" 2>&1)" \
	    "capture $1 $4 port $3" "$5"
}
if command -v python3 >/dev/null; then
	unshare -n python3 -c "$py" tcp 203.0.113.7 4431 2>/dev/null
	test $? -ne 0
	ok $? control_a_bare_namespace_reaches_nothing
	captured tcp 93.184.216.34 443 ::ffff:93.184.216.34 ipv4_is_captured
	captured tcp 203.0.113.7 4431 ::ffff:203.0.113.7 any_port_is_captured
	captured tcp 169.254.169.254 80 ::ffff:169.254.169.254 \
	    metadata_address_is_captured
	captured tcp 10.1.2.3 22 ::ffff:10.1.2.3 private_address_is_captured
	captured tcp 2606:2800::1 22 2606:2800::1 ipv6_is_captured
	captured udp 8.8.8.8 53 ::ffff:8.8.8.8 dns_to_anyone_is_captured
	captured udp 203.0.113.7 5353 ::ffff:203.0.113.7 udp_is_captured
	captured udp 2001:4860:4860::8888 53 2001:4860:4860::8888 \
	    udp_over_ipv6_is_captured
	captured udp 127.0.0.1 53 ::ffff:127.0.0.1 loopback_port_53_is_ours
	is "$("$run" -c python3 -c "$py" udp 127.0.0.53 53 2>&1)" \
	    "capture dns 127.0.0.53" resolver_socket_is_ours
	server='
import socket
for fam, addr in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    l = socket.socket(fam, socket.SOCK_STREAM)
    l.bind((addr, 3000)); l.listen(1)
    c = socket.socket(fam, socket.SOCK_STREAM); c.connect((addr, 3000))
    s, _ = l.accept(); s.send(b"served"); print(c.recv(6).decode())
'
	is "$("$run" -c python3 -c "$server" 2>&1)" "served
served" loopback_server_works
	own='
import socket
l = socket.socket(); l.bind(("93.184.216.34", 8443)); l.listen(1)
socket.create_connection(("93.184.216.34", 8443))
l.setblocking(False)
try: l.accept(); print("stolen")
except BlockingIOError: print("kept")
'
	is "$("$run" -c python3 -c "$own" 2>&1)" "kept
capture tcp ::ffff:93.184.216.34 port 8443" \
	    job_cannot_take_a_captured_address
	ptys='
import os, sys
n = 0
try:
    while n < 300: os.openpty(); n += 1
except OSError: pass
print(n)
'
	is "$(python3 -c "$ptys")" 300 control_the_host_has_300_terminals
	is "$("$run" python3 -c "$ptys")" 256 a_job_has_256_terminals
	is "$("$run" python3 -c 'import os; print(len(os.listdir(
	    "/proc/self/net/dev_snmp6")))' 2>&1)" 1 only_loopback_exists
fi

# path rules
mkdir -p "$ws/.git/hooks" "$ws/app/sub" "$ws/src"
for f in .env app/sub/.env.local app/k.pem .git/config src/a.c; do
	echo "data" >"$ws/$f"
done
ln -sf ../src/a.c "$ws/app/l.pem"
chown -R -h 1234:1235 "$ws"
rules=(-r '-r:workspace/**/.env' -r '-r:workspace/**/.env.*'
    -r '-r:workspace/**/*.pem' -r '-w:workspace/.git/config'
    -r '-w:workspace/.git/hooks/**')
is "$(jail sh -c 'cat .env app/sub/.env.local app/k.pem' | grep -c data)" 3 \
    control_files_are_readable_without_rules
is "$(jail "${rules[@]}" cat .env app/sub/.env.local app/k.pem 2>/dev/null)" "" \
    deny_read_masks
is "$(jail "${rules[@]}" cat src/a.c app/l.pem)" "data
data" deny_read_masks_nothing_else
jail "${rules[@]}" sh -c 'mv app app2; cat app2/k.pem' >"$tmp/out" 2>/dev/null
is "$(cat "$tmp/out")" "" deny_read_survives_rename_of_the_directory
is "$(jail "${rules[@]}" sh -c 'echo x >.git/hooks/post; echo x >.git/config;
    rm -f .git/config; mv .git .g && mkdir -p .git/hooks &&
    echo x >.git/hooks/post' 2>/dev/null; cat "$ws/.git/config";
    ls "$ws/.git/hooks")" data deny_write_cannot_be_moved_away
mkdir "$ws/lib" && chown 1234:1235 "$ws/lib"
gap='mkdir -p lib/hooks; echo x >lib/hooks/post; echo x >lib/config'
jail -r '-w:workspace/lib/config' -r '-w:workspace/lib/hooks/**' \
    sh -c "$gap" 2>/dev/null
is "$(cat "$ws/lib/config" "$ws/lib/hooks/"* 2>/dev/null)" "" \
    deny_write_covers_what_is_not_there_yet
jail sh -c "$gap"
is "$(cat "$ws/lib/config" "$ws/lib/hooks/post")" "x
x" control_without_rules_they_are_made
jail "${rules[@]}" sh -c 'echo x >.git/index'
is "$(cat "$ws/.git/index")" x deny_write_leaves_the_rest_writable
allow=(-x deny-read -x deny-write -r '+r:workspace/**'
    -r '+w:workspace/build/**')
is "$(jail "${allow[@]}" sh -c '{ echo x >build/y; echo x >src/y; echo x >y; } \
    2>/dev/null'; cd "$ws" && ls build src y 2>/dev/null | tr '\n' ' ')" \
    "build: y  src: a.c " allow_write_only_where_named
is "$(jail -x deny-read -r '+r:workspace/src/**' sh -c 'cat src/a.c .env' \
    2>/dev/null)" data allow_read_only_where_named

rm -rf "$ws"
finish

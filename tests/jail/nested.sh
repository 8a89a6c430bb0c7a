#!/bin/bash
# shellcheck disable=SC2016
# A nested jail: a sandbox of the job's own works in it, and what the job can
# do with the capabilities of its own namespace ends at the jail's edge.
set -u
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

tmp=$(mktemp -d /var/tmp/brig-nested.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
ws=$tmp/ws
mkdir -p "$ws/hooks"
echo data >"$ws/.env"
chown -R 1234:1235 "$ws"
chmod 755 "$tmp"

jail() { "$run" -w "$ws" -r '-r:workspace/**/.env' -r '-w:workspace/hooks/**' "$@"; }
# As root of a user and a mount namespace, in a nested jail.
inner() { jail -x nested unshare -Urm sh -c "$1" 2>/dev/null; }

if command -v bwrap >/dev/null; then
	own='bwrap --unshare-all --ro-bind / / --dev /dev --proc /proc'
	own="$own --tmpfs /tmp --bind /workspace /workspace"
	is "$(jail -x nested sh -c "$own sh -c 'echo in; set -- /proc/[0-9]*
	    echo \$#; echo x >made; cat made; ls /sys/'" 2>/dev/null |
	    tr '\n' ' ')" "in 2 x " bubblewrap_works_with_a_proc_of_its_own
	is "$(jail -x nested sh -c "$own sh -c 'cat /workspace/.env'" 2>/dev/null)" \
	    "" what_is_masked_stays_masked_in_it
	is "$(jail -x nested sh -c "bwrap --unshare-all --share-net --dev-bind / / sh -c 'readlink /proc/self/ns/net'; readlink
	    /proc/self/ns/net" 2>/dev/null | sort -u | wc -l)" 1 \
	    its_network_can_be_the_captured_one
	is "$(jail sh -c "$own echo in" 2>&1 | grep -c "No permissions")" 1 \
	    control_it_does_not_work_in_a_default_jail
fi
is "$(jail unshare -Ur id -u 2>/dev/null)" "" no_user_namespace_by_default
is "$(jail -x strict unshare -Ur id -u 2>/dev/null)" "" nor_under_strict
is "$(inner 'id -u')" 0 root_in_its_own_namespace
is "$(inner 'mount -t tmpfs t /tmp && echo mounted')" mounted control_it_mounts

is "$(inner 'umount /workspace/.env || umount -l /workspace; cat /workspace/.env')" \
    "" a_mask_cannot_be_unmounted
is "$(inner 'mkdir /tmp/b; mount --rbind /workspace /tmp/b && echo bound
    umount /tmp/b/.env; cat /tmp/b/.env')" bound nor_in_a_copy_of_the_tree
is "$(inner 'mkdir /tmp/b; mount --bind /workspace /tmp/b && cat /tmp/b/.env')" \
    "" nor_left_out_of_one
is "$(inner 'mkdir /tmp/u /tmp/w /tmp/o; mount -t overlay o -o \
    lowerdir=/workspace,upperdir=/tmp/u,workdir=/tmp/w,userxattr /tmp/o &&
    cat /tmp/o/.env')" "" nor_seen_through_by_an_overlay
is "$(inner 'for d in / /usr /etc /dev /workspace/hooks; do
    mount -o remount,bind,rw $d && echo $d; : >$d/x && echo $d; done')" "" \
    what_is_read_only_stays_so
test ! -e "$ws/hooks/x"
is $? 0 and_nothing_was_written
is "$(unshare -m sh -c 'mkdir /tmp/brig-s.$$ && mount -t sysfs s /tmp/brig-s.$$ &&
    echo mounted; rmdir /tmp/brig-s.$$ 2>/dev/null' 2>/dev/null)" mounted \
    control_sysfs_can_be_mounted
rmdir /tmp/brig-s.* 2>/dev/null
is "$(inner 'for t in sysfs proc cgroup2 debugfs tracefs devtmpfs ext4 bpf; do
    mount -t $t x /tmp && echo $t; done')" "" \
    file_systems_of_the_host_cannot_be_mounted
is "$(inner 'ip link set lo down && echo down; hostname x && echo named')" "" \
    the_network_and_name_of_the_jail_stay
is "$(inner 'mknod /tmp/n c 1 3 && echo made')" "" no_device_nodes
is "$(inner 'cp /bin/true /tmp/t && chmod u+s /tmp/t && echo set')" "" \
    no_setuid_files
is "$(inner 'ls -d /proc/1 && nsenter -t 1 -m true && echo in')" "" \
    pid_1_and_its_namespaces_are_out_of_reach
is "$(inner 'echo 1 >/proc/sys/kernel/core_pattern && echo written
    echo 0 >/proc/sys/vm/memfd_noexec && echo written
    echo b >/proc/sysrq-trigger && echo written')" "" \
    settings_of_the_host_cannot_be_written
is "$(jail -x nested unshare -Urmn sh -c 'ip link set lo up && echo up
    ls /sys' 2>/dev/null)" up a_network_of_its_own_is_empty
is "$(jail -x nested awk '/^(CapEff|NoNewPrivs|Seccomp):/ {print $2}' \
    /proc/self/status | tr '\n' ' ')" "0000000000000000 1 2 " \
    the_job_itself_has_no_capability

# Policies that this kind of jail could obey only in part are refused.
for o in deny-read deny-write noexec-tmp noexec-workspace; do
	jail -x nested -x $o true 2>"$tmp/err"
	is "$? $(grep -c 'config: .*nested' "$tmp/err")" "125 1" \
	    "nested_with_${o}_is_refused"
done
finish

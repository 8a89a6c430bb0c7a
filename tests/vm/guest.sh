#!/bin/bash
# Pid 1 of the virtual machine of check-vm.sh: mount what a booted system has
# mounted, run the tests listed in /brig/tests, switch off.  What the tests
# say goes to the second serial line, ttyS1.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8

# What systemd says is its own affair.
if grep -q brig=systemd /proc/cmdline; then
	sh /brig/src/tests/vm/into.sh / /brig/inst /brig/src/tests/vm/systemd.sh \
		/dev/ttyS1
	exec /lib/systemd/systemd --show-status=no
fi

# at PLACE TYPE OPTIONS: unless the initramfs has mounted it.
at()
{
	mkdir -p "$1" 2>/dev/null
	mountpoint -q "$1" || mount -t "$2" -o "$3" "$2" "$1"
}
at /proc proc nosuid,nodev,noexec
at /sys sysfs nosuid,nodev,noexec
at /dev devtmpfs mode=755
at /dev/pts devpts gid=5,mode=620,ptmxmode=666
at /dev/shm tmpfs nosuid,nodev
at /run tmpfs nosuid,nodev,mode=755
at /sys/kernel/security securityfs nosuid
at /sys/fs/bpf bpf nosuid
at /sys/fs/cgroup cgroup2 nosuid,nsdelegate
ln -sfn /proc/self/fd /dev/fd
# As systemd does: our own group is a leaf, controllers go to all others.
mkdir -p /sys/fs/cgroup/init.scope /sys/fs/cgroup/system.slice
echo 1 >/sys/fs/cgroup/init.scope/cgroup.procs
read -ra controllers </sys/fs/cgroup/cgroup.controllers
for c in "${controllers[@]}"; do
	echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control
done 2>/dev/null
# Groups of jobs below one that no process is in: the tests' brigd shares its
# own with the test.
mkdir -p /sys/fs/cgroup/system.slice/tests
for c in "${controllers[@]}"; do
	echo "+$c" >/sys/fs/cgroup/system.slice/cgroup.subtree_control
done 2>/dev/null
export BRIG_CGROUP_PARENT=/system.slice/tests
echo guest >/proc/sys/kernel/hostname
echo "127.0.0.1 localhost guest" >/etc/hosts
ip link set lo up
# As udev's static nodes do on a booted system.
for m in loop overlay squashfs; do
	modprobe $m
done
ulimit -n 65536
exec >/dev/ttyS1 2>&1 </dev/null
stty -opost </dev/ttyS1

export BRIG_SRCDIR=/brig/src BRIG_BUILDDIR=/brig/build CC=gcc
export CMOCKA_MESSAGE_OUTPUT=TAP TMPDIR=/var/tmp
# Emulated processors are slow, more so beside other work.
export BRIG_PATIENCE=20 BRIG_TRIES=15
cd /brig/build || exit 1
echo "# guest: $(uname -sr), Landlock and others: $(cat /sys/kernel/security/lsm)"
echo "# guest: cgroup v2: $(cat /sys/fs/cgroup/cgroup.controllers)"
echo "# guest: AppArmor: $(cat /sys/module/apparmor/parameters/enabled)"
./brig doctor | sed 's/^/# doctor: /'
while read -r t; do
	case $t in
	-\ *)
		export "${t#- }"
		continue
		;;
	*.sh) command=("$BRIG_SRCDIR/$t") ;;
	*) command=(sh "$BRIG_SRCDIR/tests/tap.sh" "./$t") ;;
	esac
	echo "# guest: $t at $(cut -d. -f1 /proc/uptime) s"
	# Seen at once, and not waited for what a test leaves behind.
	: >/var/tmp/out
	timeout -k 10 "${BRIG_TEST_TIMEOUT-5400}" "${command[@]}" \
		>/var/tmp/out 2>&1 </dev/null &
	tail -n +1 -f -s 0.5 --pid=$! /var/tmp/out |
		sed -u "s|^\(\(not \)\?ok\) [0-9]* *-*|\1 $t:|"
	wait $!
	rc=$?
	case $rc in
	0 | 77) ;;
	1) dmesg | grep -v -e EXT4-fs -e loop[0-9] | tail -n 8 | sed 's/^/# kernel: /' ;;
	*)
		# cmocka counts what failed.
		grep -q '^not ok' /var/tmp/out && [ $rc -lt 100 ] ||
			echo "not ok $t: ended with status $rc"
		;;
	esac
done </brig/tests
echo "# tests: end"
sync
sleep 1
echo o >/proc/sysrq-trigger
sleep 60

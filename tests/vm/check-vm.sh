#!/bin/sh
# make check-vm: the tests of the jail in a virtual machine with Debian 12's
# own kernel (6.1: Landlock ABI 2, cgroup v2, AppArmor), without a network.
#
#   check-vm.sh TEST...     paths below the source or build tree; - NAME=VALUE
#                           words set an environment variable for all of them
#
# tests/vm/systemd.sh among them is run by a systemd, in a second boot.
#
# Root only (mmdebstrap, ownership in the images).  Needs the Debian packages
# qemu-system-x86 and mmdebstrap; the guest's packages come from the mirror of
# this host, once: work files stay in $BRIG_BUILDDIR/tests/vm.  qemu emulates
# (TCG), so that it runs wherever this script does; BRIG_VM_ACCEL=kvm is
# faster where it works.
set -eu
umask 022
: "${BRIG_BUILDDIR:?}" "${BRIG_SRCDIR:?}"
work=$BRIG_BUILDDIR/tests/vm
accel=${BRIG_VM_ACCEL-tcg}
die() {
    echo "check-vm: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || die "needs root"
[ $# -gt 0 ] || die "no tests named"
command -v qemu-system-x86_64 >/dev/null ||
    die "qemu-system-x86_64 is not installed (apt-get install qemu-system-x86)"
mkdir -p "$work"

sh "$BRIG_SRCDIR/tests/vm/root.sh" "$work"

# The build, each time: programs, generated files and the sources the tests
# read.
brig=$work/brig
rm -rf "$brig"
mkdir -p "$brig/src" "$brig/build"
(cd "$BRIG_SRCDIR" && tar -cf - --exclude=.git --exclude=./.quickstart \
    --exclude=autom4te.cache --exclude=./build --exclude='*.o' --exclude='*.a' \
    .) | tar -xf - -C "$brig/src"
(cd "$BRIG_BUILDDIR" && find . -path ./tests/vm -prune -o -path ./tests/kernel \
    -prune -o -type f -perm -u+x -print0 | tar -cf - --null -T -) |
    tar -xf - -C "$brig/build"
cp "$BRIG_SRCDIR/tests/vm/guest.sh" "$brig/init"
chmod 755 "$brig/init"
: >"$brig/tests"
boots=
for t; do
    case $t in
    tests/vm/systemd.sh) boots="$boots systemd" ;;
    *) printf '%s\n' "$t" >>"$brig/tests" ;;
    esac
done
[ ! -s "$brig/tests" ] || boots="tests$boots"
# The test may run below another make, whose job server is not for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL
make -s -C "$BRIG_BUILDDIR" install DESTDIR="$brig/inst" \
    >"$work/inst.log" 2>&1 || die "make install failed, see $work/inst.log"
rm -f "$work/brig.img"
truncate -s 1G "$work/brig.img"
mke2fs -q -t ext4 -L brig -d "$brig" "$work/brig.img"
rm -rf "$brig"

# The console of the kernel goes to a file, what the tests say to a second
# serial line.
: >"$work/tests.log"
for boot in $boots; do
    echo "# booting ($accel, $boot)"
    timeout "${BRIG_VM_TIMEOUT-14400}" qemu-system-x86_64 -M q35 \
        -accel "$accel" -cpu max -m "${BRIG_VM_MEMORY-2048}" -smp 2 \
        -nodefaults -display none -no-reboot -nic none \
        -kernel "$work/vmlinuz" -initrd "$work/initrd" \
        -append "root=LABEL=root rw console=ttyS0 quiet panic=-1 init=/sbin/brig-vm brig=$boot" \
        -drive "file=$work/root.img,if=virtio,format=raw,snapshot=on" \
        -drive "file=$work/brig.img,if=virtio,format=raw,snapshot=on" \
        -serial "file:$work/console.log" -serial stdio </dev/null |
        tee -a "$work/tests.log"
    grep -q "^# $boot: end\$" "$work/tests.log" || {
        tail -n 20 "$work/console.log" >&2
        echo "not ok - the guest ran to its end ($boot)" |
            tee -a "$work/tests.log"
    }
done
awk '/^ok .*# SKIP/ { s++; next }
    /^ok / { p++ }
    /^not ok/ { f++ }
    END { printf "%d passed, %d failed, %d skipped\n", p, f, s
          exit (f > 0 || p == 0) }' "$work/tests.log"

#!/bin/sh
# make check-vm: the tests of the jail in a virtual machine with Debian 12's
# own kernel (6.1: Landlock ABI 2, cgroup v2, AppArmor), without a network.
#
#   check-vm.sh TEST...     paths below the source or build tree; - NAME=VALUE
#                           words set an environment variable for all of them
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
tree=$work/tree
accel=${BRIG_VM_ACCEL-tcg}
# What the tests need to run, as opposed to what the build needs.
packages="linux-image-cloud-amd64 initramfs-tools kmod apparmor bash procps
    iproute2 util-linux e2fsprogs squashfs-tools xz-utils keyutils
    libcmocka0 libseccomp2 libcap2 libcap2-bin libnl-3-200 libnl-route-3-200
    libjansson4 libsqlite3-0 python3 openssl ca-certificates curl git
    nginx-light nodejs bubblewrap strace mandoc stress-ng gcc libc6-dev make
    perl busybox toybox rust-coreutils ripgrep vim-tiny less man-db tcc
    openssh-client systemd-sysv dbus"

die() {
    echo "check-vm: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || die "needs root"
[ $# -gt 0 ] || die "no tests named"
for tool in mmdebstrap qemu-system-x86_64 mke2fs; do
    command -v $tool >/dev/null || die "$tool is not installed" \
        "(apt-get install qemu-system-x86 mmdebstrap e2fsprogs)"
done
mkdir -p "$work"

# The root file system, made again when the list of packages changes.
# shellcheck disable=SC2086
stamp=$(printf '%s ' $packages)
if [ "$(cat "$work/root.stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "# making the guest's root file system (log: $work/root.log)"
    rm -rf "$tree" "$work/root.img" "$work/root.stamp"
    # shellcheck disable=SC2086
    mmdebstrap --variant=minbase --include="$(echo $packages | tr ' ' ',')" \
        bookworm "$tree" >"$work/root.log" 2>&1 ||
        die "mmdebstrap failed, see $work/root.log"
    cp "$tree"/boot/vmlinuz-* "$work/vmlinuz"
    cp "$tree"/boot/initrd.img-* "$work/initrd"
    rm -rf "$tree/var/cache/apt/archives" "$tree/var/lib/apt/lists" \
        "${tree:?}/boot"
    mkdir "$tree/brig"
    printf '#!/bin/sh\nmount -t ext4 LABEL=brig /brig\nexec /brig/init\n' \
        >"$tree/sbin/brig-vm"
    chmod 755 "$tree/sbin/brig-vm"
    truncate -s 3G "$work/root.img"
    mke2fs -q -t ext4 -L root -d "$tree" "$work/root.img"
    rm -rf "$tree"
    printf %s "$stamp" >"$work/root.stamp"
fi

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
printf '%s\n' "$@" >"$brig/tests"
rm -f "$work/brig.img"
truncate -s 1G "$work/brig.img"
mke2fs -q -t ext4 -L brig -d "$brig" "$work/brig.img"
rm -rf "$brig"

# The console of the kernel goes to a file, what the tests say to a second
# serial line.
echo "# booting ($accel)"
: >"$work/tests.log"
timeout "${BRIG_VM_TIMEOUT-5400}" qemu-system-x86_64 -M q35 -accel "$accel" \
    -cpu max -m "${BRIG_VM_MEMORY-2048}" -smp 2 -nodefaults -display none \
    -no-reboot -nic none -kernel "$work/vmlinuz" -initrd "$work/initrd" \
    -append "root=LABEL=root rw console=ttyS0 quiet panic=-1 init=/sbin/brig-vm" \
    -drive "file=$work/root.img,if=virtio,format=raw,snapshot=on" \
    -drive "file=$work/brig.img,if=virtio,format=raw,snapshot=on" \
    -serial "file:$work/console.log" -serial stdio </dev/null |
    tee "$work/tests.log"
grep -q '^# guest: end$' "$work/tests.log" || {
    tail -n 20 "$work/console.log" >&2
    echo "not ok - the guest ran to its end"
}
awk '/^ok .*# SKIP/ { s++; next }
    /^ok / { p++ }
    /^not ok/ { f++ }
    END { printf "%d passed, %d failed, %d skipped\n", p, f, s
          exit (f > 0 || p == 0) }' "$work/tests.log"

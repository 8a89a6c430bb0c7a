#!/bin/sh
# root.sh WORK: make WORK/tree, Debian 12 with what the tests need and systemd,
# and from it WORK/root.img, WORK/vmlinuz and WORK/initrd, unless they are
# there.  The packages come from the mirror of this host.  Root only.
set -eu
work=${1:?}
tree=$work/tree
# What the tests need to run, as opposed to what the build needs.
packages="linux-image-cloud-amd64 initramfs-tools kmod apparmor bash procps
    iproute2 util-linux e2fsprogs squashfs-tools xz-utils keyutils
    libcmocka0 libseccomp2 libcap2 libcap2-bin
    libjansson4 libsqlite3-0 libarchive13 libnghttp2-14 libbrotli1
    libzstd1 zlib1g python3 openssl ca-certificates curl git
    nginx-light nodejs bubblewrap strace mandoc stress-ng gcc libc6-dev make
    perl busybox toybox rust-coreutils ripgrep vim-tiny less man-db tcc
    openssh-client systemd-sysv dbus attr"

die() {
    echo "root.sh: $*" >&2
    exit 1
}

# shellcheck disable=SC2086
stamp=$(printf '%s ' $packages)
[ "$(cat "$work/root.stamp" 2>/dev/null)" != "$stamp" ] || exit 0
for tool in mmdebstrap mke2fs; do
    command -v $tool >/dev/null ||
        die "$tool is not installed (apt-get install mmdebstrap e2fsprogs)"
done
echo "# making the guest's root file system (log: $work/root.log)"
# One that was interrupted may have left mounts of the host in there.
rm -rf --one-file-system "$tree"
rm -f "$work/root.img" "$work/root.stamp"
# shellcheck disable=SC2086
unshare -m --propagation private mmdebstrap --variant=minbase \
    --include="$(echo $packages | tr ' ' ',')" bookworm "$tree" >"$work/root.log" 2>&1 ||
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
printf %s "$stamp" >"$work/root.stamp"

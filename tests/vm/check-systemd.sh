#!/bin/sh
# make check-systemd: brigd.service below a systemd of its own, in a container
# of systemd-nspawn with the kernel of this host.  Root only; packages:
# systemd-container mmdebstrap.  Work files stay in $BRIG_BUILDDIR/tests/vm.
set -eu
umask 022
: "${BRIG_BUILDDIR:?}" "${BRIG_SRCDIR:?}"
work=$BRIG_BUILDDIR/tests/vm
[ "$(id -u)" = 0 ] || {
    echo "check-systemd: needs root" >&2
    exit 1
}
command -v systemd-nspawn >/dev/null || {
    echo "check-systemd: systemd-nspawn is not installed" \
        "(apt-get install systemd-container)" >&2
    exit 1
}
# All mounts are ours alone, and end with us.
[ -n "${BRIG_UNSHARED-}" ] ||
    BRIG_UNSHARED=1 exec unshare -m --propagation private sh "$0"
mkdir -p "$work"
sh "$BRIG_SRCDIR/tests/vm/root.sh" "$work"
rm -rf "$work/inst" "$work/out"
mkdir -p "$work/out" "$work/layers"
# The test may run below another make, whose job server is not for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL
make -s -C "$BRIG_BUILDDIR" install DESTDIR="$work/inst" >"$work/inst.log" 2>&1
# Left by a container that was killed.
rm -rf /run/systemd/nspawn/propagate/brig-systemd 2>/dev/null || :
# What this boot changes is in memory.
mount -t tmpfs -o size=512m brig-systemd "$work/layers"
mkdir "$work/layers/upper" "$work/layers/work" "$work/layers/root"
mount -t overlay -o "lowerdir=$work/tree,upperdir=$work/layers/upper,workdir=$work/layers/work" \
    brig-systemd "$work/layers/root"
root=$work/layers/root
cp "$BRIG_SRCDIR/tests/vm/systemd.sh" "$root/brig/systemd.sh"
sh "$BRIG_SRCDIR/tests/vm/into.sh" "$root" "$work/inst" /brig/systemd.sh \
    /brig/out/tests.log
mkdir "$root/brig/out"
timeout 600 systemd-nspawn -q -D "$root" --register=no --keep-unit \
    --private-network --capability=all \
    --system-call-filter="@memlock @known bpf" --console=pipe \
    --machine=brig-systemd --bind="$work/out:/brig/out" \
    --boot </dev/null >"$work/nspawn.log" 2>&1 || :
cat "$work/out/tests.log"
grep -q '^# systemd: end$' "$work/out/tests.log" || {
    tail -n 20 "$work/nspawn.log" | sed 's/^/# /'
    echo "not ok - the container ran to its end"
    exit 1
}
! grep '^not ok' "$work/out/tests.log" >/dev/null

#!/bin/sh
# make check-arm64: the sources compiled for aarch64, and the deny stub run
# there, by qemu's emulation of a user's program.  That has no ptrace: that the
# tracer puts the stub into a process is tested on the machine one has.
set -u
: "${BRIG_BUILDDIR:?}" "${BRIG_SRCDIR:?}"
cross=${BRIG_ARM64_CC-aarch64-linux-gnu-gcc}
emulator=${BRIG_ARM64_RUN-qemu-aarch64}
work=$BRIG_BUILDDIR/tests/arm64

for tool in "${cross%% *}" "${emulator%% *}"; do
    command -v "$tool" >/dev/null || {
        echo "check-arm64: $tool is not there: apt-get install qemu-user" \
            "gcc-aarch64-linux-gnu libc6-dev-arm64-cross" >&2
        exit 1
    }
done
mkdir -p "$work"
cd "$BRIG_BUILDDIR" || exit 1

# Headers of libraries are the same but for a few, which this machine's stand
# in for: nothing of it is linked.
others=/usr/include/$(${CC:-cc} -print-multiarch)
compile() {
    $cross -std=gnu11 -O1 -Wall -Wextra -Wno-unused-parameter \
        -Wno-missing-field-initializers -Werror -DHAVE_CONFIG_H \
        -DBRIG_SYSCONFDIR='"/etc"' -DBRIG_LIBEXECDIR='"/usr/libexec/brig"' \
        -include config.h -I. -I"$BRIG_SRCDIR" \
        -idirafter "$others" "$@"
}

bad=0
for f in "$BRIG_SRCDIR"/base/*.c "$BRIG_SRCDIR"/policy/*.c \
    "$BRIG_SRCDIR"/sandbox/*.c "$BRIG_SRCDIR"/proxy/*.c \
    "$BRIG_SRCDIR"/daemon/*.c "$BRIG_SRCDIR"/inferd/*.c; do
    compile -fsyntax-only "$f" 2>"$work/errors" && continue
    bad=1
    sed 's/^/# /' "$work/errors" | head -n 10
done
[ $bad = 0 ] && echo "# every source compiles for aarch64"

compile -static -o "$work/stub" "$BRIG_SRCDIR/tests/jail/stub.c" \
    "$BRIG_SRCDIR/sandbox/trace_stub.c" "$BRIG_SRCDIR"/base/*.c || exit 1
STUB=$work/stub TARGET_CC=$cross RUN=$emulator \
    sh "$BRIG_SRCDIR/tests/jail/stub.sh" || bad=1
exit $bad

#!/bin/sh
# Attacks below the C library: foreign system call tables, io_uring, new
# namespaces.  The probe runs outside first, to show that the kernel has it.
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-syscalls
probe=$T/ws/brig-probe

# attempt NUMBER WHAT PROBE...: control outside, then the same in the jail.
attempt() {
    attempt_name="$1 $2"
    shift 2
    attempt_rc=0
    unshare --mount "$probe" "$@" >"$T/outside.out" 2>&1 || attempt_rc=$?
    if [ $attempt_rc = 3 ]; then
        # Still run it: a kernel that lacks it must not be needed to refuse.
        job "/workspace/brig-probe $*" || :
        check "$attempt_name: refused" job_does_not_say worked
        skip "$attempt_name: control" "not in this kernel: $(cat "$T/outside.out")"
        return
    fi
    check "$attempt_name: control, it works outside" test $attempt_rc = 0
    job_rc=0
    job "/workspace/brig-probe $*" || job_rc=$?
    check "$attempt_name: the probe ran in the jail" test -s "$T/job.out"
    check "$attempt_name: refused in the jail" sh -c \
        '! grep -q worked "$0"' "$T/job.out"
}

attempt 61 "i386 system call by int 0x80" int80
attempt 61 "x32 system call" x32
attempt 62 "io_uring" uring
attempt 63 "unshare a user namespace" unshare
attempt 63 "clone into a user namespace" clone
attempt 63 "clone3 into a user namespace" clone3
attempt 63 "setns" setns
attempt 63 "mount" mount
attempt 65 "ptrace" ptrace
attempt 65 "memory of a sibling by process_vm_writev" vm-write
attempt 65 "memory of a sibling by /proc" mem
attempt 65 "descriptors of a sibling" getfd

# 63: the tools that people have, too.
unshare -Ur id -u >"$T/outside.out" 2>&1
check "63 unshare(1): control" grep -qx 0 "$T/outside.out"
job 'unshare -Ur id -u; unshare -Urm mount -t tmpfs none /tmp && echo mounted; exit 0'
check "63 unshare(1) gives no root in the jail" sh -c \
    '! grep -qxE "0|mounted" "$0"' "$T/job.out"

job 'grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status'
check "63 no capability, no_new_privs, seccomp filter" sh -c '
    ! grep -E "^Cap(Inh|Prm|Eff|Bnd|Amb)" "$0" | grep -qv 0000000000000000 &&
    grep -q "^NoNewPrivs:[[:space:]]*1" "$0" &&
    grep -q "^Seccomp:[[:space:]]*2" "$0"' "$T/job.out"
attack_end

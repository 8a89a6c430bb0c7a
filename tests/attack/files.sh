#!/bin/sh
# Attacks on files: links, races, handles, devices, and things that would act
# later with somebody else's rights.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-files
cat >>"$T/policy/default.policy" <<'EOF'
profile masked {
    default exec allow;  default read allow;  default write allow;
    deny read workspace/.env;
    deny write workspace/locked/**;
}
EOF
brig policy reload >/dev/null

# 49: the name of the workspace becomes a link while the job is started.
mkdir -p "$T/race/real" "$T/race/other"
echo right >"$T/race/real/mark"
echo outside-49 >"$T/race/other/mark"
cat >"$T/swap.py" <<'EOF'
import ctypes, os, sys, time
os.chdir(sys.argv[1])
os.symlink('other', 'link')
libc = ctypes.CDLL(None, use_errno=True)
EXCHANGE, CWD = 2, -100
print('swapping', flush=True)
end = time.time() + 60
while time.time() < end:
    libc.renameat2(CWD, b'real', CWD, b'link', EXCHANGE)
EOF
background python3 "$T/swap.py" "$T/race" >"$T/swap.out"
SWAP=$LAST_PID
wait_for 5 grep -q swapping "$T/swap.out"
n=0
while ! outside cat "$T/race/real/mark" || ! grep -q outside-49 "$T/outside.out"; do
    n=$((n + 1))
    [ $n -lt 200 ] || break
done
check "49 control: on the host the name leads elsewhere now and then" \
    grep -q outside-49 "$T/outside.out"
: >"$T/race.out"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    timeout "$(bound 30)" brig run -w "$T/race/real" -- cat mark >>"$T/race.out" 2>&1 ||
        :
done
stop "$SWAP"
# What the submitter's own name led to at that moment may be either folder;
# what must not be is a job in one folder that was named as the other.
check "49 each job ran in a folder that was opened as itself, or was refused" \
    sh -c '! grep -vE "^(right|outside-49|brig: )" "$0"' "$T/race.out"

# 52: a hard link out of what is denied or read-only to where one may write.
echo "secret-52" >"$T/ws/.env"
mkdir -p "$T/ws/locked"
echo "locked-52" >"$T/ws/locked/file"
chmod 666 "$T/ws/locked/file"
ln "$T/ws/.env" "$T/ws/control-52"
check "52 control: on the host a hard link gives another name" \
    grep -q secret-52 "$T/ws/control-52"
rm "$T/ws/control-52"
masked() {
    timeout "$(bound 60)" brig run -p masked -w "$T/ws" -- sh -c "$1" \
        >"$T/job.out" 2>&1 </dev/null || :
}
masked 'cd /workspace
ln .env copy-52; ln -L .env copy-52b; cat .env copy-52 copy-52b
mv .env moved-52; cat moved-52; cp .env c52; cat c52
ln locked/file link-52; echo changed-52 >>link-52; echo changed-52 >>locked/file
mv locked unlocked; echo changed-52 >>unlocked/file
python3 -c "
import os
fd = os.open(\".\", os.O_RDONLY)
for src in (\".env\", \"locked/file\"):
    try:
        os.link(src, \"py-52\", src_dir_fd=fd, dst_dir_fd=fd)
        print(open(\"py-52\").read())
        os.unlink(\"py-52\")
    except OSError as e: print(e)
"
ln /etc/passwd /workspace/p52; ln /usr/bin/true /tmp/t52
ls /workspace/p52 /tmp/t52 && echo linked-52'
check "52 what may not be read is read under no name" job_does_not_say secret-52
check "52 and is still there" grep -q secret-52 "$T/ws/.env"
check "52 what may not be written is as it was" sh -c '
    test "$(cat "$0")" = locked-52' "$T/ws/locked/file"
check "52 nothing of the read-only tree is linked out" job_does_not_say linked-52

# 53: links of /proc that lead past names.
job 'ls /proc/self/root/ | tr "\n" " "
cat /proc/self/root/'"$T"'/ca.key /proc/thread-self/root/etc/shadow \
    /proc/1/root/etc/shadow /proc/1/cwd/'"$T"'/ca.key 2>&1
cat /proc/self/cwd/../../../../../etc/shadow
for fd in /proc/1/fd/* /dev/fd/*; do cat "$fd/../../etc/shadow" </dev/null 2>/dev/null; done
python3 -c "
import os
d = os.open(\"/proc/self/ns\", os.O_RDONLY)
for n in os.listdir(d):
    try: os.open(\"/proc/1/ns/\" + n, os.O_RDONLY); print(\"opened-53\", n)
    except OSError as e: pass
"' || :
check "53 control: the file is there on the host" test -s "$T/ca.key"
check "53 control: so are the password hashes" grep -q '^root:' /etc/shadow
check "53 no link of /proc leads to either" sh -c '
    ! grep -E "PRIVATE KEY|^root:.*:.*:.*:.*:.*:" "$0"' "$T/job.out"
check "53 nor to the namespaces of pid 1" job_does_not_say opened-53

# 58: files by handle, and the mount API.
cat >"$T/ws/handle.py" <<'EOF'
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
buf = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + b'\0' * 128, 136)
mid = ctypes.c_int()
r = libc.name_to_handle_at(-100, sys.argv[1].encode(), buf,
                           ctypes.byref(mid), 0)
print('name_to_handle_at', 'worked' if r == 0 else os.strerror(ctypes.get_errno()))
if r != 0:      # ext4: inode 2 is the root of the file system
    buf = ctypes.create_string_buffer(struct.pack('IiII', 8, 1, 2, 0), 136)
d = os.open(os.path.dirname(sys.argv[1]) or '/', os.O_RDONLY)
fd = libc.open_by_handle_at(d, buf, os.O_RDONLY)
print('open_by_handle_at', 'worked' if fd >= 0 else os.strerror(ctypes.get_errno()))
for name, nr, args in (('open_tree', 428, (-100, b'/usr', 1)),
                       ('move_mount', 429, (-100, b'/usr', -100, b'/tmp', 0)),
                       ('fsopen', 430, (b'tmpfs', 0)),
                       ('fspick', 433, (-100, b'/tmp', 0)),
                       ('mount_setattr', 442, (-100, b'/usr', 0, bytes(32), 32)),
                       ('umount2', 166, (b'/workspace', 2)),
                       ('pivot_root', 155, (b'/tmp', b'/tmp'))):
    r = libc.syscall(nr, *args)
    e = ctypes.get_errno()
    print(name, 'worked' if r >= 0 else os.strerror(e))
EOF
outside unshare -m python3 "$T/ws/handle.py" "$T/ca.pem"
check "58 control: handles and the mount API work for root on the host" sh -c '
    grep -q "open_by_handle_at worked" "$0" && grep -q "open_tree worked" "$0" &&
    grep -q "fsopen worked" "$0"' "$T/outside.out"
job 'python3 /workspace/handle.py /workspace/.env' || :
check "58 control: the program runs in the jail" job_says open_by_handle_at
check "58 no file by handle, no mount" sh -c '
    ! grep -v "^name_to_handle_at" "$0" | grep worked' "$T/job.out"

# 59: what would act with more rights, now or later.
cp /bin/id "$T/ws/rootid"
chmod 4755 "$T/ws/rootid"
outside setpriv --reuid 65534 --clear-groups "$T/ws/rootid" -u
check "59 control: a setuid program works on the host" grep -qx 0 "$T/outside.out"
job '/workspace/rootid -u; ls -l /workspace/rootid
cp /bin/id /workspace/mine; chmod 6755 /workspace/mine; /workspace/mine -u
mknod /workspace/disk b 254 0 && echo made-59
mknod /workspace/mem c 1 1 && echo made-59; mknod /tmp/null c 1 3 && echo made-59
mknod /workspace/whiteout c 0 0 && echo made-59
setcap cap_sys_admin+ep /workspace/mine 2>/dev/null && echo made-59
python3 -c "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for nr, name in ((323, \"userfaultfd\"),):
    print(name, \"made-59\" if libc.syscall(nr, 0) >= 0 else os.strerror(ctypes.get_errno()))
try: os.setxattr(\"/workspace/mine\", \"security.capability\", bytes(20)); print(\"made-59\")
except OSError as e: print(e)
"
echo x >/proc/sys/kernel/core_pattern && echo made-59
echo :x:E::x::/bin/true: >/proc/sys/fs/binfmt_misc/register && echo made-59
echo b >/proc/sysrq-trigger && echo made-59; ls /sys/kernel && echo made-59' || :
check "59 setuid gives nothing in the jail" sh -c '! grep -qx 0 "$0"' "$T/job.out"
check "59 no device, capability, handler or fault handler is made" \
    job_does_not_say made-59
check "59 what the job made belongs to the owner of the workspace" sh -c '
    test "$(stat -c %u "$0/ws/mine")" = "$(stat -c %u "$0/ws")"' "$T"
check "59 and is no device" sh -c '
    ! find "$0/ws" \( -type b -o -type c \) | grep .' "$T"
attack_end

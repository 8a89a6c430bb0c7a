#!/bin/sh
# Homes that outlive their job and roots of jobs, through the daemon: each has a
# control run without the setting.
# shellcheck disable=SC2016,SC2119
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2317
. "$BRIG_SRCDIR/tests/lib.sh"
setup homes

is() {
    [ "$1" = "$2" ] || {
        echo "got '$1', wanted '$2'"
        return 1
    }
}
says() {
    grep -qF -- "$1" "$T/out" || {
        cat "$T/out"
        return 1
    }
}
# run PROFILE COMMAND: output in $T/out, exit status in $rc.
run() {
    run_profile=$1
    shift
    rc=0
    timeout 60 brig run -p "$run_profile" -- sh -c "$@" >"$T/out" 2>&1 \
        </dev/null || rc=$?
}
# state JOB: its state word.
state() {
    brig show --json "$1" | sed -n 's/^ *"state": "\(.*\)",*$/\1/p'
}
in_state() {
    is "$(state "$1")" "$2"
}
homes() {
    brig home list --json | sed -n 's/^ *"name": "\(.*\)".*$/\1/p' | tr '\n' ' '
}

# A shim of its own folder, beside which the unpacking takes its time.
mkdir "$T/bin"
cp "$BRIG_BUILDDIR/brig-shim" "$T/bin/"
cp "$BRIG_BUILDDIR/brig-unpack" "$T/bin/real-unpack"
slow() {
    printf '#!/bin/sh\n%s\nexec %s/bin/real-unpack\n' "$1" "$T" \
        >"$T/bin/brig-unpack"
    chmod 755 "$T/bin/brig-unpack"
}
slow ''
root=$T/root
mkdir -p "$root/bin" "$root/usr" "$root/opt"
busybox=$(command -v busybox)
cp -L "$busybox" "$root/bin/"
for lib in $(ldd "$busybox" | grep -o '/[^ ]*'); do
    mkdir -p "$root$(dirname "$lib")"
    cp -L "$lib" "$root$lib"
done
ln -s busybox "$root/bin/sh"
ln -s busybox "$root/bin/cat"
for i in 1 2 3; do
    echo "image $i" >"$root/opt/which"
    tar -C "$root" -cf "$T/$i.tar" .
done
head -c 500k "$T/1.tar" >"$T/cut.tar"

write_conf
sed -i "s,^shim .*,shim $T/bin/brig-shim," "$T/brigd.conf"
all='default exec allow;  default read allow;  default write allow;'
cat >"$T/policy/homes.policy" <<EOF
profile default { $all }
profile keep { $all  sandbox home keep mine; }
profile small { $all  sandbox home keep small;  limit disk 8M; }
profile folder { $all  sandbox root $root; }
profile one { $all  sandbox root $T/1.tar; }
profile two { $all  sandbox root $T/2.tar; }
profile three { $all  sandbox root $T/3.tar;  sandbox home keep both; }
profile cut { $all  sandbox root $T/cut.tar; }
EOF
start_brigd

if [ -e /dev/loop-control ] && [ -x /usr/sbin/mkfs.ext4 ]; then
    run default 'echo x >~/f'
    run default 'ls -A ~'
    check "control: a home is gone with its job" is "$(cat "$T/out")" ""
    run keep 'echo kept >~/f'
    run keep 'cat ~/f; stat -c %U ~ ~/f'
    check "a kept one is there for the next job" is "$(cat "$T/out")" "kept
agent
agent"
    run small 'head -c 20M /dev/zero >~/f'
    check "limit disk holds for it" says "No space left"
    check "brig home list names both" is "$(homes)" "mine small "
    brig home list >"$T/out"
    check "and tells how large they may become" says " 17.0M"

    job=$(brig submit -p keep -- sleep 60)
    wait_for 10 in_state "$job" running
    run keep 'true'
    check "two jobs do not share a home at once" is $rc 125
    check "the second is told why" says \
        "home mine is in use by another job: wait for its end"
    check "in one line" is "$(wc -l <"$T/out")" 1
    brig home list >"$T/out"
    check "brig home list says so" says "in use"
    rc=0
    brig home rm mine >"$T/out" 2>&1 || rc=$?
    check "it cannot be removed now" is $rc 1
    check "and why" says "home mine is in use by a job"
    brig kill -s KILL "$job"
    brig wait "$job" >/dev/null 2>&1
    run keep 'cat ~/f'
    check "after the job was killed it is free, and whole" is \
        "$(cat "$T/out")" kept
    stop_brigd
    start_brigd
    run keep 'cat ~/f'
    check "it outlives the daemon" is "$(cat "$T/out")" kept
    check "brig home rm removes it" brig home rm mine
    check "and nothing else" is "$(homes)" "small "
    check "who did is on record" grep -q \
        '"code":"JB104".*"home":"mine"' "$T/log/audit.jsonl"
    run keep 'ls -A ~'
    check "the next one is empty" is "$(cat "$T/out")" ""
    for bad in ../x .x '' -u; do
        brig home rm "$bad" >/dev/null 2>&1
        [ $? = 64 ] || break
    done
    check "what is no name is refused" is "$bad" -u
    rc=0
    brig home rm none >"$T/out" 2>&1 || rc=$?
    check "so is one that is not there" is "$rc $(grep -c 'home none' \
        "$T/out")" "1 1"
    as_other() {
        setpriv --reuid 4242 --regid 4242 --clear-groups env \
            "BRIG_SOCKET=$BRIG_SOCKET" "$T/bin/brig" "$@"
    }
    cp "$BRIG_BUILDDIR/brig" "$T/bin/"
    if as_other status >/dev/null 2>&1; then
        check "others have their own" is "$(as_other home list --json |
            grep -c name)" 0
        rc=0
        as_other home rm -u 0 small >"$T/out" 2>&1 || rc=$?
        check "and do not remove those of root" is "$rc $(homes)" \
            "1 mine small "
        check "which they are told" says "for root and members"
    else
        skip "others have their own" "this socket is root's alone"
    fi
else
    skip "kept homes" "no loop devices or no mkfs.ext4"
fi

# ---- roots ---------------------------------------------------------------
run default 'cat /opt/which 2>/dev/null'
check "control: the system is the host's" is "$(cat "$T/out")" ""
run folder 'cat /opt/which'
check "a folder is the system" is "$(cat "$T/out")" "image 3"
run one 'cat /opt/which'
check "an archive is the system" is "$(cat "$T/out")" "image 1"
run cut true
check "one that is cut off is an error" is "$rc $(wc -l <"$T/out")" "125 1"
check "that names it" says "sandbox root $T/cut.tar: "

# Longer than a job may take to start.
slow 'sleep 22'
job=$(brig submit -p two -- cat /opt/which)
busy() { brig show "$job" | grep -q 'busy with *unpacking its root'; }
check "what takes so long is shown" wait_for 5 busy
brig wait "$job"
check "a job waits for an archive that takes its time" is \
    "$(brig logs "$job")" "image 2"
slow 'exec sleep 600'
job=$(brig submit -p three -- true)
wait_for 5 busy
uid=$(brig show --json "$job" | sed -n 's/^ *"host_uid": \([0-9]*\),*$/\1/p')
kids() { pgrep -u "$uid" | wc -l; }
some() { [ "$(kids)" -gt 0 ]; }
check "control: something unpacks" wait_for 5 some
brig kill "$job"
check "it can be killed meanwhile" wait_for 10 in_state "$job" killed
none() { is "$(kids)" 0; }
check "with what unpacks" wait_for 5 none
slow ''
run three 'cat /opt/which; echo h >~/f; cat ~/f'
check "the next job begins anew" is "$(cat "$T/out")" "image 3
h"
finish

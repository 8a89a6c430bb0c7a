#!/bin/sh
# Bad configuration: one clear line before anything starts, and nothing is left
# half-made: mounts, loop devices, processes, groups and folders of jobs are
# compared before and after each case.
# shellcheck disable=SC2016,SC2119
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2317
. "$BRIG_SRCDIR/tests/lib.sh"
# File systems are mounted for some cases, where nobody else sees them.
if [ -z "${BRIG_BADCONFIG_NS-}" ] && [ "$(id -u)" = 0 ]; then
    BRIG_BADCONFIG_NS=1
    export BRIG_BADCONFIG_NS
    exec unshare -m --propagation private "$0" "$@"
fi
setup badconfig
trap 'rc=$?; cd /; umount -l "$T"/mnt/* 2>/dev/null; (exit $rc); cleanup' EXIT

is() {
    [ "$1" = "$2" ] || {
        echo "got '$1', wanted '$2'"
        return 1
    }
}

# Below brigd, and below that.  A shim that waits is as good as none.
processes() {
    ps -o pid=,comm= --ppid "$BRIGD_PID" >"$T/children"
    awk '$2 != "brig-shim" || n++ { print $2 }' "$T/children" | sort
    ps -o comm= --ppid "$(awk '{ printf "%s%s", s, $1; s = "," }' \
        "$T/children")" | sort
}

# What must not change: mounts but for their numbers, loop devices of ours,
# processes below brigd, groups of jobs, what is staged or half-unpacked.
snapshot() {
    cut -d ' ' -f 3- /proc/self/mountinfo
    losetup -a | grep -F "$T" || :
    [ -z "${BRIGD_PID-}" ] || processes
    for dir in $groups; do
        echo "$dir"/j-*
    done
    find "$T/state/jobs" -mindepth 2 -type d 2>/dev/null
    find "$T/state/roots" "$T/state/homes" -name '.new*' 2>/dev/null
}
groups=
unchanged() {
    snapshot >"$T/after"
    cmp -s "$T/before" "$T/after" || {
        diff "$T/before" "$T/after"
        return 1
    }
}

# ---- brigd does not start ------------------------------------------------

# no_start NAME TEXT [LINE...]: with these lines of brigd.conf, later ones in
# the place of the usual ones.
no_start() {
    no_start_name=$1
    no_start_text=$2
    shift 2
    write_conf
    for line in "$@"; do
        case $line in
        user*) key=${line% *} ;;
        *) key=${line%% *} ;;
        esac
        sed -i "/^$key /d" "$T/brigd.conf"
        echo "$line" >>"$T/brigd.conf"
    done
    snapshot >"$T/before"
    rc=0
    timeout 20 brigd -f "$T/brigd.conf" >"$T/out" 2>&1 </dev/null || rc=$?
    # A mistake in a policy is shown with the line it is in.
    check "$no_start_name: brigd does not start" is \
        "$rc $(grep -c -- "$no_start_text" "$T/out") $(grep -cv \
            -e "$no_start_text" -e 'policy is not valid:$' -e '^  ' \
            "$T/out")" "1 1 0"
    grep -q -- "$no_start_text" "$T/out" || sed 's/^/# /' "$T/out"
    check "$no_start_name: nothing is left" unchanged
    [ ! -e "$T/run/brigd.sock" ] || not_ok "$no_start_name: a socket is left"
    rm -rf "$T/state" "$T/log" "$T/run"
}

echo 'profile default { default exec allow; }' >"$T/default.policy"
mkdir -p "$T/policy"
cp "$T/default.policy" "$T/policy/"
write_conf
check "control: the usual configuration is right" brigd -n -f "$T/brigd.conf"
no_start 'too few job uids' '5 job uids are too few for max-jobs 10' 'job-uids 1879100000 5' 'max-jobs 10'
no_start 'no job uids' 'brigd.conf:14:21: expected a number' 'job-uids 1879100000 0'
no_start 'job uids of the system' 'brigd.conf:14:10: expected a number' 'job-uids 100 200'
no_start 'job uids beyond the last' 'run past the last' 'job-uids 4294967200 200'
no_start 'job uids that a role has' 'back process lies in the job-uids' \
    'job-uids 1879100000 200' 'user back 1879100003:1879100003'
no_start 'job uids of nobody in subuid' 'subuid' 'job-uids subuid brig-none-x'
no_start 'two roles of one uid' '1879099005' 'user back 1879099005:1879099005'
no_start 'a group for jobs that is not there' 'cgroup' 'cgroups required' \
    'cgroup-parent /brig-none/such'
no_start 'a shim that is not there' "$T/none" "shim $T/none"
no_start 'certificates that are not there' "$T/none" "extra-ca $T/none"
# Certificates of authorities: one that does not decode is told by its file and
# its place in it, and trust in the others does not hide it.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout /dev/null -out "$T/one.pem" -subj /CN=one -days 2 2>/dev/null
(cat "$T/one.pem" && sed 's/^MII/M!I/' "$T/one.pem") >"$T/noise.pem"
(cat "$T/one.pem" && sed '/END/d' "$T/one.pem") >"$T/cut.pem"
(cat "$T/one.pem" "$T/one.pem" && sed '3s/....$/AAAA/;2s/^..../AAAA/' \
    "$T/one.pem") >"$T/other.pem"
openssl x509 -in "$T/one.pem" -outform DER -out "$T/one.der"
for kind in ca-roots extra-ca 'extra-ca api.test'; do
    no_start "$kind: noise for a certificate" \
        "^brigd: CA certificates $T/noise.pem: certificate 2 is not base64$" \
        "$kind $T/noise.pem"
    no_start "$kind: a certificate that is cut off" \
        "$T/cut.pem: certificate 2 is cut off$" "$kind $T/cut.pem"
    no_start "$kind: base64 of something else" \
        "$T/other.pem: certificate 3 is base64 of something else$" \
        "$kind $T/other.pem"
    no_start "$kind: a certificate in DER" \
        "$T/one.der: holds no certificate in PEM$" "$kind $T/one.der"
done
write_conf "extra-ca $T/noise.pem"
check "brigd -n says it as well" sh -c '! brigd -n -f "$0" 2>"$1" &&
    grep -q "noise.pem: certificate 2" "$1"' "$T/brigd.conf" "$T/out"
no_start 'no policy' "$T/none" "policy $T/none"
echo 'profile default { sandbox root tarball; }' >"$T/bad.policy"
no_start 'a mistake in the policy' 'bad.policy:1:32' "policy $T/bad.policy"
echo 'profile default { sandbox home keep ../../etc; }' >"$T/bad.policy"
no_start 'a home by a path' 'bad.policy:1:37' "policy $T/bad.policy"
chmod 666 "$T/default.policy"
no_start 'a policy that anybody can write' 'default.policy' \
    "policy $T/default.policy"
chmod 644 "$T/default.policy"
no_start 'a directive that there is not' 'brigd.conf:' 'sandbox root'
: >"$T/file"
no_start 'a file as state-dir' "$T/file" "state-dir $T/file"
no_start 'a folder of state-dir that is not there' "$T/none" \
    "state-dir $T/none/state"
no_start 'a socket that is in nothing' "$T/none" "socket $T/none/brigd.sock"
mkdir -p "$T/mnt/ro" "$T/mnt/over" "$T/mnt/lower" "$T/mnt/tmp"
if mount -t tmpfs -o ro none "$T/mnt/ro" 2>/dev/null; then
    no_start 'a state-dir that cannot be written' "$T/mnt/ro" \
        "state-dir $T/mnt/ro/state"
else
    skip 'a state-dir that cannot be written' 'no tmpfs can be mounted here'
fi

# ---- jobs do not start ---------------------------------------------------

# An overlay: neither a workspace nor what holds layers of one.
over=
mount -t tmpfs -o mode=755 none "$T/mnt/tmp" &&
    mkdir "$T/mnt/tmp/l" "$T/mnt/tmp/u" "$T/mnt/tmp/w" &&
    mount -t overlay -o "lowerdir=$T/mnt/tmp/l,upperdir=$T/mnt/tmp/u,workdir=$T/mnt/tmp/w" \
        none "$T/mnt/over" 2>/dev/null && over=$T/mnt/over
mkdir "$T/ws" "$T/emptyroot" "$T/theirs"
chmod 777 "$T/theirs"
head -c 300k /dev/urandom >"$T/noise.tar"
tar -C /etc -cf - passwd | head -c 700 >"$T/cut.tar"
printf 'hsqs' | cat - "$T/noise.tar" >"$T/noise.sqfs"
cp "$T/one.pem" "$T/extra.pem"
write_conf "extra-ca $T/extra.pem"
all='default exec allow;  default read allow;  default write allow;'
cat >"$T/policy/default.policy" <<EOF
profile default { $all }
profile r-none { $all  sandbox root $T/none; }
profile r-noise { $all  sandbox root $T/noise.tar; }
profile r-cut { $all  sandbox root $T/cut.tar; }
profile r-sqfs { $all  sandbox root $T/noise.sqfs; }
profile r-empty { $all  sandbox root $T/emptyroot; }
profile r-theirs { $all  sandbox root $T/theirs; }
profile r-home { $all  sandbox root $T/noise.tar;  sandbox home keep r; }
profile t-none { $all  sandbox tree /opt/brig-none; }
profile t-proc { $all  sandbox tree /proc/sys; }
profile h-bad { $all  sandbox home keep bad; }
profile h-tree { $all  sandbox home keep fine;  sandbox tree /opt/brig-none; }
profile staged { $all  sandbox workspace staged; }
profile s-tree { $all  sandbox workspace staged;  sandbox tree /opt/brig-none;
    limit disk 8M; }
EOF
start_brigd

# no_job NAME TEXT ARGUMENT...: of brig run.
no_job() {
    no_job_name=$1
    no_job_text=$2
    shift 2
    rc=0
    timeout 30 brig run "$@" -- true >"$T/out" 2>&1 </dev/null || rc=$?
    check "$no_job_name: the job does not start" is \
        "$rc $(wc -l <"$T/out") $(grep -c -- "$no_job_text" "$T/out")" "125 1 1"
    grep -q -- "$no_job_text" "$T/out" || sed 's/^/# /' "$T/out"
    check "$no_job_name: nothing is left" settled
}
# What is there between two jobs: the first leaves what all share, a shim that
# waits, and folders of state-dir.
idle() {
    snapshot >"$T/before"
    sleep 0.5
    snapshot | cmp -s "$T/before" - &&
        ! grep -qE 'brig-(shim|places)' "$T/before"
}
settled() {
    wait_for 5 unchanged || unchanged
}
check "control: a job runs" brig run -w "$T/ws" -- true
groups=$(find /sys/fs/cgroup -maxdepth 6 -type d -name "brig-*-$(stat -c %i \
    "$T/state" | xargs printf %x)" 2>/dev/null)
wait_for 10 idle

# At a reload all stays as it is, the policy as well, and jobs go on starting.
generation() {
    brig policy show | sed -n 's/^generation \([0-9]*\).*/\1/p'
}
before=$(generation)
cp "$T/noise.pem" "$T/extra.pem"
check "certificates that have gone bad: a reload is refused" sh -c '
    ! brig policy reload >"$0" 2>&1 &&
        grep -q "extra.pem: certificate 2 is not base64" "$0"' "$T/out"
check "the policy has not changed either" is "$before" "$(generation)"
check "jobs start as before" brig run -w "$T/ws" -- true
cp "$T/one.pem" "$T/extra.pem"
check "control: mended, a reload is done" brig policy reload
wait_for 10 idle

no_job 'no such root' "sandbox root $T/none: " -p r-none
no_job 'noise for an archive' "sandbox root $T/noise.tar: " -p r-noise
no_job 'an archive that is cut off' "sandbox root $T/cut.tar: " -p r-cut
no_job 'noise for an image' "sandbox root $T/noise.sqfs: " -p r-sqfs
no_job 'a root without a system' "sandbox root $T/emptyroot: " -p r-empty
no_job 'a root that anybody can write' "sandbox root $T/theirs: " -p r-theirs
no_job 'a root that is bad, with a home' "sandbox root $T/noise.tar: " -p r-home
no_job 'no such tree' 'sandbox tree /opt/brig-none: not a folder' -p t-none
no_job 'a tree where the jail has its own' 'sandbox tree /proc/sys: ' -p t-proc
mkdir -p "$T/state/homes/0"
chmod 700 "$T/state/homes" "$T/state/homes/0"
cp "$T/noise.tar" "$T/state/homes/0/bad"
if [ -e /dev/loop-control ] && [ -x /usr/sbin/mkfs.ext4 ]; then
    no_job 'a home that is noise' 'home bad: ' -p h-bad
    brig run -p h-tree -- true >/dev/null 2>&1
    no_job 'a home, and another mistake' 'sandbox tree /opt/brig-none: ' -p h-tree
    no_job 'a layer with a limit, and another mistake' \
        'sandbox tree /opt/brig-none: ' -p s-tree -w "$T/ws"
else
    skip 'a home that is noise' 'no loop devices or no mkfs.ext4'
fi
no_job 'a staged job without a workspace' 'staged job needs a workspace' \
    -p staged
check "control: a staged job runs" brig run -p staged -w "$T/ws" -- true
if [ -n "$over" ]; then
    no_job 'a workspace whose ids cannot be mapped' \
        "$over is on overlay, which this kernel cannot mount with mapped" \
        -w "$over"
    no_job 'the same, staged' "$over is on overlay, which" -p staged -w "$over"
    mkdir "$over/sub"
    no_job 'a folder in it' "$over/sub is on overlay" -w "$over/sub"
else
    skip 'a workspace whose ids cannot be mapped' 'no overlay can be mounted'
fi
no_job 'the whole host as workspace' '/ is the whole host' -w /
check "control: after all that a job runs" brig run -w "$T/ws" -- true
stop_brigd
unset BRIGD_PID

# Layers of staged jobs below a state-dir that is an overlay itself.
if [ -n "$over" ]; then
    mkdir "$over/state"
    sed -i "s,^state-dir .*,state-dir $over/state," "$T/brigd.conf"
    start_brigd
    check "control: a job that is not staged runs there" brig run -w "$T/ws" \
        -- true
    wait_for 10 idle
    no_job 'layers on a file system that cannot hold them' \
        'state-dir' -p staged -w "$T/ws"
    check "and leaves no layers" is "$(find "$over/state/jobs" -mindepth 2 \
        -type d)" ""
    stop_brigd
else
    skip 'layers on a file system that cannot hold them' \
        'no overlay can be mounted'
fi
finish

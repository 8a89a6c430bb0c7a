# Helpers of the shell tests, the demo and the benchmarks: TAP, a private CA,
# origins, and a brigd of one's own.  Source it with BRIG_BUILDDIR set (make
# check does), then call `setup NAME`.  Everything lives below $T, a fresh
# folder; what was started is stopped by pid when the script ends.
#
#   setup NAME             $T, PATH, traps
#   make_ca                $T/ca.pem, $T/ca.key
#   make_cert NAME...      $T/NAME.pem, .key for DNS names (first names the file)
#   start_origin NAME      brig-origin as https://NAME on 127.0.0.1, sets
#                          ORIGIN_PORT; records to $T/NAME.rec
#   write_conf [LINE...]   $T/brigd.conf: private directories, own role ids
#   start_brigd            starts it, waits until it answers, sets BRIGD_PID
#   stop_brigd             and wait
#   bound SECONDS          of what would hang: times $BRIG_PATIENCE, a factor
#                          for machines that are slow
#   wait_for SECONDS COMMAND...   until it succeeds, within that bound
#   ok NAME / not_ok NAME / skip NAME REASON / check NAME COMMAND...
#   finish                 the plan line; exit status
# shellcheck shell=sh

test_n=0
test_bad=0
test_pids=

ok() {
    test_n=$((test_n + 1))
    echo "ok $test_n - $1"
}

not_ok() {
    test_n=$((test_n + 1))
    test_bad=1
    echo "not ok $test_n - $1"
}

skip() {
    test_n=$((test_n + 1))
    echo "ok $test_n - $1 # SKIP $2"
}

# check NAME COMMAND...: ok if the command succeeds; its output on failure.
check() {
    check_name=$1
    shift
    check_rc=0
    "$@" >"$T/check.out" 2>&1 || check_rc=$?
    if [ $check_rc = 0 ]; then
        ok "$check_name"
    else
        not_ok "$check_name"
        diag "status $check_rc of: $*"
        sed 's/^/# /' "$T/check.out" | head -n 30
    fi
}

diag() {
    printf '%s\n' "$*" | sed 's/^/# /'
}

finish() {
    [ $test_bad = 0 ] || [ ! -e "$T/brigd.log" ] ||
        tail -n 30 "$T/brigd.log" | sed 's/^/# brigd.log: /'
    if [ $test_bad != 0 ] && [ -n "${BRIGD_PID-}" ] &&
        ! kill -0 "$BRIGD_PID" 2>/dev/null; then
        finish_rc=0
        wait "$BRIGD_PID" 2>/dev/null || finish_rc=$?
        diag "brigd has ended, with status $finish_rc"
    fi
    echo "1..$test_n"
    exit $test_bad
}

# background COMMAND...: start it, stop it at the end; sets LAST_PID.
background() {
    "$@" &
    LAST_PID=$!
    test_pids="$test_pids $LAST_PID"
}

# stop PID: TERM, then KILL after five seconds, and reap.
stop() {
    kill "$1" 2>/dev/null || :
    stop_i=0
    while kill -0 "$1" 2>/dev/null && [ $stop_i -lt 50 ]; do
        sleep 0.1
        stop_i=$((stop_i + 1))
    done
    kill -9 "$1" 2>/dev/null || :
    wait "$1" 2>/dev/null || :
}

cleanup() {
    cleanup_rc=$?
    trap '' INT TERM
    for cleanup_pid in $test_pids; do
        stop "$cleanup_pid"
    done
    [ -n "${BRIG_KEEP-}" ] || [ -z "${T-}" ] || rm -rf "$T"
    exit $cleanup_rc
}

setup() {
    [ -n "${BRIG_BUILDDIR-}" ] || {
        echo "Bail out! BRIG_BUILDDIR is not set"
        exit 1
    }
    [ "$(id -u)" = 0 ] || {
        echo "1..0 # SKIP needs root to build jails"
        exit 77
    }
    T=$(mktemp -d "${TMPDIR:-/tmp}/brig-$1-XXXXXX")
    chmod 755 "$T"
    PATH=$BRIG_BUILDDIR:$BRIG_BUILDDIR/tests/origin:$PATH
    BRIG_SOCKET=$T/run/brigd.sock
    export PATH BRIG_SOCKET T
    trap cleanup EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

bound() {
    echo $(($1 * ${BRIG_PATIENCE-1}))
}

# 1 when it never does.
wait_for() {
    wait_i=$((20 * $(bound "$1")))
    shift
    until "$@" >/dev/null 2>&1; do
        wait_i=$((wait_i - 1))
        if [ $wait_i -le 0 ]; then
            echo "wait_for: it never came: $*" >&2
            return 1
        fi
        sleep 0.05
    done
}

make_ca() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout "$T/ca.key" -out "$T/ca.pem" -subj "/CN=brig test CA" \
        -days 2 2>"$T/openssl.log"
}

make_cert() {
    cert_file=$1
    cert_san=
    for cert_name in "$@"; do
        cert_san="$cert_san${cert_san:+,}DNS:$cert_name"
    done
    printf 'subjectAltName=%s\n' "$cert_san" >"$T/$cert_file.ext"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout "$T/$cert_file.key" -out "$T/$cert_file.csr" \
        -subj "/CN=$cert_file" 2>>"$T/openssl.log" &&
        openssl x509 -req -in "$T/$cert_file.csr" -CA "$T/ca.pem" \
            -CAkey "$T/ca.key" -CAcreateserial -days 2 \
            -extfile "$T/$cert_file.ext" -out "$T/$cert_file.pem" \
            2>>"$T/openssl.log"
}

# start_origin NAME [plain]: sets ORIGIN_PORT and ORIGIN_PID.
start_origin() {
    : >"$T/$1.rec"
    if [ "${2-}" = plain ]; then
        background brig-origin -r "$T/$1.rec" >"$T/$1.out"
    else
        make_cert "$1"
        background brig-origin -c "$T/$1.pem" -k "$T/$1.key" \
            -r "$T/$1.rec" >"$T/$1.out"
    fi
    # shellcheck disable=SC2034
    ORIGIN_PID=$LAST_PID
    wait_for 5 grep -q listening "$T/$1.out"
    # shellcheck disable=SC2034
    ORIGIN_PORT=$(awk '/listening/ { print $2 }' "$T/$1.out")
}

# Role ids far from any account; nothing is added to the system.  Each script
# has job uids of its own, so that several may run at once.
JOB_UIDS=$((1879200000 + $$ % 10000 * 1000))
write_conf() {
    mkdir -p "$T/state" "$T/log" "$T/run" "$T/policy"
    {
        cat <<EOF
socket $T/run/brigd.sock
state-dir $T/state
log-dir $T/log
run-dir $T/run
policy $T/policy
shim $BRIG_BUILDDIR/brig-shim
user control 1879099001:1879099001
user keyd 1879099002:1879099002
user audit 1879099003:1879099003
user dns 1879099004:1879099004
user front 1879099005:1879099005
user back 1879099006:1879099006
job-uids $JOB_UIDS 200
admin-group 0
EOF
        [ ! -e "$T/ca.pem" ] || echo "extra-ca $T/ca.pem"
        [ -z "${BRIG_CGROUP_PARENT-}" ] ||
            echo "cgroup-parent $BRIG_CGROUP_PARENT"
        for conf_line in "$@"; do
            printf '%s\n' "$conf_line"
        done
    } >"$T/brigd.conf"
}

start_brigd() {
    background brigd -f "$T/brigd.conf" 2>>"$T/brigd.log"
    BRIGD_PID=$LAST_PID
    wait_for 10 brig status || {
        tail -n 20 "$T/brigd.log" | sed 's/^/# /'
        echo "Bail out! brigd does not answer"
        exit 1
    }
}

stop_brigd() {
    stop "$BRIGD_PID"
}

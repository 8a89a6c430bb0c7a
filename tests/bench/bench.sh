#!/bin/sh
# make bench: brig beside its peers, in turn, in the same run.  Prints one JSON
# object a line: name, unit, median, p99, peer, peer_median, ratio (brig's
# median over the peer's; for times lower is better, for rates higher).
#
#   make bench              everything
#   make bench BENCH=http   jail | run | exec | compile | apply | http | rss | idle
# shellcheck source=../lib.sh
set -u
. "$BRIG_SRCDIR/tests/lib.sh"
what=${1-all}
here=$BRIG_SRCDIR/tests/bench

fail() {
    echo "bench: $*" >&2
    exit 1
}
need() {
    command -v "$1" >/dev/null 2>&1 ||
        fail "$1 is not installed: make bench-peers"
}
case $what in
all | jail | run | exec | compile | apply | http | rss | idle) ;;
*) fail "no part $what: jail, run, exec, compile, apply, http, rss or idle" ;;
esac
[ "$(id -u)" = 0 ] || fail "needs root to build jails"
case $what in
exec | compile | apply | idle) ;;
*)
    need bwrap
    need squid
    need sslsplit
    need mitmdump
    need h2load
    need nginx
    ;;
esac
need python3
setup bench
PATH=$BRIG_BUILDDIR/tests/bench:$BRIG_BUILDDIR/tests/jail:$PATH
figures() {
    python3 "$here/figures.py" "$@" || exit 1
}
bench_groups=
# Jobs outlive brigd, so they are ended while it can still be asked to.
end() {
    end_rc=$?
    trap '' HUP INT TERM
    [ ! -s "$T/job" ] ||
        while read -r end_job; do
            brig kill -s KILL "$end_job" >/dev/null 2>&1
        done <"$T/job"
    for group in $bench_groups; do
        rmdir "$group" || sleep 1 && rmdir "$group" 2>/dev/null
    done
    (exit $end_rc)
    cleanup
}
trap end EXIT
wants() {
    [ "$what" = all ] || [ "$what" = "$1" ]
}

if wants jail; then
    # The same filter for both: the one that brig puts on a job.
    brig-jailtest --bpf >"$T/filter.bpf" || fail "no filter"
    [ -s "$T/filter.bpf" ] || fail "no filter"
    # brig's jails are in groups of their own, as those of jobs are.
    in_groups=
    for group in /sys/fs/cgroup /sys/fs/cgroup/memory /sys/fs/cgroup/pids \
        /sys/fs/cgroup/cpu; do
        if [ -e $group/cgroup.procs ] && mkdir $group/brig-bench.$$; then
            bench_groups="$bench_groups $group/brig-bench.$$"
            in_groups="$in_groups -g $group/brig-bench.$$"
        fi
    done
    # As brigd starts them: some of it was made while it waited for a job.
    # And all of it, with a process that has yet to be started, as bwrap.
    brig-spawn "${BENCH_ROUNDS-200}" \
        "@brig-jailtest$in_groups -L /bin/true" \
        "brig-jailtest$in_groups /bin/true" \
        "bwrap --unshare-all --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --cap-drop ALL --die-with-parent --seccomp 9 /bin/true 9<$T/filter.bpf" \
        >"$T/spawn" || fail "jail_start"
    sed 2d "$T/spawn" >"$T/spawn.ahead"
    sed 1d "$T/spawn" >"$T/spawn.cold"
    figures spawn jail_start bwrap "$T/spawn.ahead"
    figures spawn jail_start_cold bwrap "$T/spawn.cold"
fi
[ "$what" != jail ] || exit 0

make_ca
make_cert bench.test cred.test
mkdir -p "$T/www"
head -c 128 /dev/urandom >"$T/www/small"
head -c 1048576 /dev/urandom >"$T/www/1M"
head -c 104857600 /dev/urandom >"$T/www/big"
cat >"$T/nginx.conf" <<EOF
daemon off; master_process off; worker_processes 1; error_log $T/nginx.log;
pid $T/nginx.pid;
events { worker_connections 512; }
http {
    access_log off; sendfile on; tcp_nodelay on; keepalive_requests 10000000;
    client_body_temp_path $T/n1; proxy_temp_path $T/n2;
    fastcgi_temp_path $T/n3; uwsgi_temp_path $T/n4; scgi_temp_path $T/n5;
    server {
        listen 127.0.0.1:19443 ssl; listen 127.0.0.1:19444 ssl http2;
        server_name bench.test cred.test; root $T/www;
        ssl_certificate $T/bench.test.pem; ssl_certificate_key $T/bench.test.key;
        location / { default_type application/octet-stream; }
    }
}
EOF
write_conf "resolve bench.test 127.0.0.1" "resolve cred.test 127.0.0.1"
# More than its jobs, and no other test's.
sed -i "s/^job-uids .*/job-uids 1879670000 400/" "$T/brigd.conf"
cat >"$T/policy/default.policy" <<EOF
profile default { default exec allow; default read allow; default write allow;
    allow http GET https://{bench,cred}.test:{19443,19444,19445}/**;
    allow net 127.0.0.1:{19443,19444,19445}; }
profile untraced { default exec allow; default read allow;
    default write allow; sandbox trace off; }
profile staged { default exec allow; default read allow; default write allow;
    sandbox workspace staged; }
EOF
start_brigd

if wants run; then
    brig-spawn 100 "brig run -- true" "true" >"$T/spawn" </dev/null ||
        fail "run_true"
    figures spawn run_true exec "$T/spawn"
fi

if wants exec; then
    mkdir -p "$T/exec"
    cat >"$T/exec/loop.sh" <<'EOF'
i=0
while [ $i -lt 2000 ]; do /bin/true; i=$((i + 1)); done
EOF
    brig-spawn "${BENCH_ROUNDS-7}" \
        "brig run -w $T/exec -- sh /workspace/loop.sh" \
        "brig run -p untraced -w $T/exec -- sh /workspace/loop.sh" \
        "sh $T/exec/loop.sh" >"$T/spawn" </dev/null || fail "exec_mediated"
    figures spawn exec_mediated untraced "$T/spawn"
fi

if wants compile; then
    mkdir -p "$T/compile"
    cp -r "$BRIG_SRCDIR/base" "$BRIG_SRCDIR/policy" "$T/compile/"
    cp "$BRIG_BUILDDIR/config.h" "$T/compile/"
    cat >"$T/compile/Makefile" <<'EOF'
SRC = $(wildcard base/*.c policy/*.c)
all: $(SRC:.c=.o)
.c.o:
	$(CC) -O2 -g -std=gnu11 -I. -include config.h -c -o $@ $<
EOF
    brig-spawn "${BENCH_ROUNDS-3}" \
        "brig run -w $T/compile -- make -s -B -j2" \
        "make -C $T/compile -s -B -j2" >"$T/spawn" </dev/null ||
        fail "compile"
    figures spawn compile outside "$T/spawn"
fi

if wants apply; then
    cat >"$T/write.py" <<'EOF'
import os
for d in range(100):
    os.mkdir('d%d' % d)
    for f in range(100):
        with open('d%d/f%d' % (d, f), 'wb') as o:
            o.write(os.urandom(100 + (d * 100 + f) % 8000))
EOF
    clock() { date +%s%N; }
    # timed COMMAND...: sets $took, in nanoseconds.
    timed() {
        timed_from=$(clock)
        "$@" >"$T/timed.out" 2>&1 || fail "$*: $(cat "$T/timed.out")"
        took=$(($(clock) - timed_from))
    }
    : >"$T/apply"
    apply_i=0
    while [ $apply_i -lt "${BENCH_ROUNDS-5}" ]; do
        rm -rf "$T/apply.ws" "$T/apply.up" "$T/apply.copy"
        mkdir "$T/apply.ws" "$T/apply.copy"
        job=$(brig submit -p staged -w "$T/apply.ws" -- \
            python3 -c "$(cat "$T/write.py")") || fail "apply_10k"
        brig wait "$job" || fail "apply_10k: the job failed"
        # The same files for the peer, as warm.
        cp -a "$T/state/jobs/${job#j-}/staged/tree/upper" "$T/apply.up" ||
            fail "apply_10k: what is staged is not there"
        sync
        if [ $((apply_i % 2)) = 0 ]; then
            timed brig apply "$job"
            apply_took=$took
            sync
            timed cp -a "$T/apply.up/." "$T/apply.copy/"
        else
            timed cp -a "$T/apply.up/." "$T/apply.copy/"
            sync
            cp_took=$took
            timed brig apply "$job"
            apply_took=$took
            took=$cp_took
        fi
        [ "$(find "$T/apply.ws" -type f | wc -l)" = 10000 ] ||
            fail "apply_10k: not all of it has landed"
        echo "$apply_took $took" >>"$T/apply"
        apply_i=$((apply_i + 1))
    done
    figures pairs apply_10k "cp -a" "$T/apply"
fi

if wants rss; then
    brig submit -- sleep 600 >"$T/job" || fail "rss_front_back"
    wait_for 10 sh -c "brig show $(cat "$T/job") | grep -q running" ||
        fail "the job does not start"
    sleep 1
    brig --json status >"$T/status"
    figures rss "$T/status"
    brig kill -s KILL "$(cat "$T/job")" >/dev/null
    rm "$T/job"
fi

if wants idle; then
    i=0
    while [ $i -lt 200 ]; do
        i=$((i + 1))
        brig submit -- sleep 600 >>"$T/job" || fail "jobs_idle_200"
    done
    wait_for 60 sh -c '[ "$(brig ps | grep -c running)" = 200 ]' ||
        fail "200 jobs do not run"
    sleep 2
    brig --json status >"$T/status"
    figures idle "$T/status" "$BRIGD_PID"
    while read -r job; do
        brig kill -s KILL "$job" >/dev/null
        brig wait "$job" >/dev/null 2>&1
    done <"$T/job"
    rm "$T/job"
fi

if wants http; then
    # shellcheck source=proxy.sh
    . "$here/proxy.sh"
fi

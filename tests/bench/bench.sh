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
make_cert bench.test
mkdir -p "$T/www"
head -c 128 /dev/urandom >"$T/www/small"
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
        listen 127.0.0.1:19443 ssl; server_name bench.test; root $T/www;
        ssl_certificate $T/bench.test.pem; ssl_certificate_key $T/bench.test.key;
        location / { default_type application/octet-stream; }
    }
}
EOF
write_conf "resolve bench.test 127.0.0.1"
# More than its jobs, and no other test's.
sed -i "s/^job-uids .*/job-uids 1879670000 400/" "$T/brigd.conf"
cat >"$T/policy/default.policy" <<EOF
profile default { default exec allow; default read allow; default write allow;
    allow http GET https://bench.test:19443/**; allow net 127.0.0.1:19443; }
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
    background nginx -c "$T/nginx.conf"
    mkdir -p "$T/squid"
    cat "$T/ca.pem" "$T/ca.key" >"$T/squid/ca.pem"
    echo "127.0.0.1 bench.test" >"$T/squid/hosts"
    cat >"$T/squid.conf" <<EOF
http_port 127.0.0.1:18902 ssl-bump cert=$T/squid/ca.pem generate-host-certificates=on dynamic_cert_mem_cache_size=4MB
sslcrtd_program /usr/lib/squid/security_file_certgen -s $T/squid/db -M 4MB
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
tls_outgoing_options cafile=$T/ca.pem
acl SSL_ports port 19443
http_access allow all
hosts_file $T/squid/hosts
cache deny all
access_log none
cache_log $T/squid/cache.log
pid_filename $T/squid/squid.pid
coredump_dir $T/squid
cache_effective_user proxy
shutdown_lifetime 1 seconds
EOF
    /usr/lib/squid/security_file_certgen -c -s "$T/squid/db" -M 4MB >/dev/null
    chown -R proxy:proxy "$T/squid"
    background squid -N -f "$T/squid.conf" 2>"$T/squid.err"
    wait_for 10 grep -q Accepting "$T/squid/cache.log" || {
        tail -n 5 "$T/squid/cache.log" "$T/squid.err" >&2
        fail "squid does not start"
    }
    wait_for 10 grep -q . "$T/nginx.pid" || fail "nginx does not start"
    mkdir -p "$T/ws"
    cp "$BRIG_BUILDDIR/tests/bench/brig-load" "$T/ws/"
    echo "127.0.0.1 bench.test" >"$T/hosts"
    # load NAME WHO ARGUMENTS...: one measurement, appended to $T/NAME.WHO.
    load() {
        load_out=$T/$1.$2
        load_who=$2
        shift 2
        case $load_who in
        direct) unshare --mount --propagation private sh -c '
            mount --bind "$T/hosts" /etc/hosts && exec brig-load "$@"' sh \
            -C "$T/ca.pem" "$@" ;;
        squid) unshare --mount --propagation private sh -c '
            mount --bind "$T/hosts" /etc/hosts && exec brig-load "$@"' sh \
            -x 127.0.0.1:18902 -C "$T/ca.pem" "$@" ;;
        brig) brig run -w "$T/ws" -- /workspace/brig-load \
            -C /etc/ssl/certs/ca-certificates.crt "$@" </dev/null ;;
        esac >>"$load_out" || fail "$load_who: $*: failed"
    }
    for _ in 1 2 3 4 5; do
        for who in direct squid brig; do
            load keepalive $who -c 8 -n 8000 bench.test:19443 /small
            load newconn $who -c 4 -n 400 -r 1 bench.test:19443 /small
            load big $who -c 1 -n 1 bench.test:19443 /big
        done
    done
    figures load http_keepalive_c8 rps "$T/keepalive"
    figures load http_newconn_c4 rps "$T/newconn"
    figures load http_100MB MB/s "$T/big"
fi

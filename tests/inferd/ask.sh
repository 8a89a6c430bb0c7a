# What the tests of inferd as a server ask it with; behind tests/lib.sh.
#
#   serve FILE OPTIONS...  starts inferd on $sock, its messages in FILE; sets
#                          `server`
#   ask PATH OPTIONS...    the body of the answer, its status on the last line
#   says STATUS PATTERN PATH OPTIONS...   checks them
#   count_of NAME          a figure of /metrics
#   other UID OPTIONS...   curl as another user
#   ends PID               told to end, it does well
#   refuses PATTERN COMMAND...   fails with a line like this
# shellcheck shell=sh disable=SC2034
inferd=$BRIG_BUILDDIR/inferd/inferd
sock=$T/inferd.sock
someone=1879099077

serve() {
    log=$1
    shift
    background "$inferd" -m "$T/tiny.gguf" --socket "$sock" \
        --socket-mode 0666 --context 4096 --kv-memory 256M "$@" 2>"$log"
    server=$LAST_PID
    wait_for 60 curl -s --unix-socket "$sock" http://x/health || {
        sed 's/^/# /' "$log"
        echo "Bail out! inferd does not serve"
        exit 1
    }
}

ask() {
    path=$1
    shift
    curl -sS --max-time "$(bound 60)" --unix-socket "$sock" \
        -w '\n%{http_code}\n' "$@" "http://inferd.brig$path"
}

says() {
    status=$1
    pattern=$2
    shift 2
    ask "$@" >"$T/said"
    cat "$T/said"
    [ "$(tail -n 1 "$T/said")" = "$status" ] && grep -q "$pattern" "$T/said"
}

count_of() {
    ask /metrics | sed -n "s/^inferd_$1 //p"
}

other() {
    other_uid=$1
    shift
    setpriv --reuid="$other_uid" --regid="$other_uid" --clear-groups \
        curl -sS --max-time "$(bound 60)" --unix-socket "$sock" "$@"
}

ends() {
    kill "$1"
    wait "$1"
}

refuses() {
    pattern=$1
    shift
    "$@" >"$T/refused" 2>&1 && return 1
    cat "$T/refused"
    grep -q "$pattern" "$T/refused"
}

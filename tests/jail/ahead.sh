#!/bin/bash
# A jail whose namespaces and tree were made before there was a job is like any
# other: the cases of jail.sh, so; and it is not used when the host's files
# have changed meanwhile.
set -u
. "${BRIG_SRCDIR:?}/tests/lib.sh"
setup ahead
PATH=$BRIG_BUILDDIR/tests/jail:$PATH

# serve COMMAND...: run in a server of jails after `$change` was done to a
# private copy of the host's /etc; the server begins before that.
serve() {
    mkdir -p "$T/ws" "$T/etc"
    cp -a /etc/. "$T/etc/"
    change=$change unshare --mount --propagation private bash -c '
        mount --bind "$T/etc" /etc
        coproc brig-jailtest -L -w "$T/ws" "$@"
        read -r -n 1 -t 20 -u "${COPROC[0]}" byte && [ "$byte" = 2 ] || exit 1
        eval "$change"
        echo -n g >&"${COPROC[1]}"
        read -r -n 1 -t 20 -u "${COPROC[0]}" byte && [ "$byte" = 1 ]
    ' bash "$@"
}

change=:
# shellcheck disable=SC2016
check "a jail made ahead runs a job in a tree of its own" \
    serve sh -c 'cat /etc/services >/workspace/a && [ "$(hostname)" = brig ] &&
        grep -q "127.0.1.1 brig" /etc/hosts && test ! -w /etc/hosts'
check "it has the host's files" cmp /etc/services "$T/ws/a"
change='echo "brigtest 9/tcp" >/etc/services'
check "a job runs after the host's files have changed" \
    serve sh -c 'cat /etc/services >/workspace/b'
check "and sees them as they are now" grep -q '^brigtest' "$T/ws/b"
change='rm /etc/services'
check "what the host has removed is not there" \
    serve sh -c '! test -e /etc/services'
mkdir "$T/below"
: >"$T/below/new"
change='mount --bind "$T/below" /usr/share/doc'
check "what is mounted below /usr meanwhile is there" \
    serve sh -c 'test -e /usr/share/doc/new'

BRIG_JAIL_AHEAD=1 "$BRIG_SRCDIR/tests/jail/jail.sh" >"$T/out"
failed=$?
grep -v -e '^ok' -e '^1\.\.' "$T/out" | head -n 40
count=$(grep -c '^ok' "$T/out")
check "all $count cases of jail.sh hold in one" [ $failed = 0 ]
finish

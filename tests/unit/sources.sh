#!/bin/sh
# Checks on the sources: who may include whom, libraries kept to their places,
# functions that are not used here, file lengths.  Prints TAP.
cd "${BRIG_SRCDIR:-.}" || exit 1
n=0
bad=0

# check NAME OUTPUT: ok when OUTPUT is empty.
check() {
    n=$((n + 1))
    if [ -z "$2" ]; then
        echo "ok $n - $1"
    else
        bad=1
        echo "not ok $n - $1"
        echo "$2" | sed 's/^/# /'
    fi
}

# includes FOLDER: "file: header" of every project header it includes.
includes() {
    grep -Hn '^#include "' "$1"/*.[ch] 2>/dev/null |
        sed 's/:[0-9]*:#include "/: /; s/"$//'
}

arrow() {
    from=$1
    shift
    allowed=$(echo "$from $*" | tr ' ' '|')
    check "$from includes only $from $*" \
        "$(includes "$from" | grep -vE ": ($allowed)/")"
}

arrow base
arrow policy base
arrow sandbox base
arrow proxy policy base
arrow inferd proxy base
check "inferd takes only pure parsers from proxy" "$(includes inferd |
    grep ': proxy/' | grep -vE ': proxy/(http1|json_read|json_string|netaddr|wire)\.h')"
arrow daemon sandbox proxy policy base

# only PATTERN PLACES-REGEX: the header may be included nowhere else.
only() {
    check "<$1> only in $2" "$(grep -HnE "^#include <$1" \
        base/*.[ch] policy/*.[ch] sandbox/*.[ch] proxy/*.[ch] \
        inferd/*.[ch] daemon/*.[ch] 2>/dev/null | grep -vE "^($2)")"
}

only 'seccomp\.h' 'sandbox/'
only 'sys/capability\.h' 'sandbox/'
only 'openssl/ssl\.h' 'proxy/tls'
only 'sqlite3\.h' 'daemon/store\.c'
only 'jansson\.h' 'daemon/'
only 'archive\.h' 'sandbox/unpack\.c'

# Calls that overrun, run a shell, or hide errors.  Comments do not count.
banned='sprintf|vsprintf|strcpy|strcat|strncpy|strncat|strtok|atoi|atol|gets|alloca|system|popen|tmpnam|mktemp'
check "no banned function" "$(grep -nE "(^|[^a-zA-Z0-9_>.\"])($banned)[[:space:]]*\(" \
    base/*.c policy/*.c sandbox/*.c proxy/*.c inferd/*.c daemon/*.c \
    2>/dev/null |
    grep -vE ':[0-9]+:[[:space:]]*(\*|/\*)')"

# An early return would free what was on the stack.
check "no buffer is cleaned up that was not set" \
    "$(grep -nE 'cleanup_buf struct buf [a-z_]+;' base/*.c policy/*.c \
        sandbox/*.c proxy/*.c inferd/*.c daemon/*.c 2>/dev/null)"

check "no file over 800 lines" "$(find base policy sandbox proxy inferd daemon tests \
    \( -name '*.c' -o -name '*.h' -o -name '*.sh' \) -exec wc -l {} + |
    awk '$1 > 800 && $2 != "total"')"

check "every header has an include guard and a purpose" "$(
    for h in base/*.h policy/*.h sandbox/*.h proxy/*.h inferd/*.h \
        daemon/*.h; do
        [ -e "$h" ] || continue
        head -n 1 "$h" | grep -q '^/\*' || echo "$h: no opening comment"
        grep -q '^#ifndef BRIG_' "$h" || echo "$h: no guard"
    done)"

check "no path of one machine" "$(grep -rnE '(^|[^0-9a-zA-Z])/(root|work)/|/home/[a-z]+/' \
    base policy sandbox proxy inferd daemon contrib man tests README.md HACKING.md \
    SECURITY.md 2>/dev/null | grep -vE '/home/(agent|\*|user|you)/|tests/unit/sources\.sh|/root/\*\*|tests/fuzz/corpus')"

# It would be found in place of that one by whatever else runs there.
check "no script has the name of a module of Python" "$(python3 -c '
import pathlib, sys
for p in pathlib.Path("tests").rglob("*.py"):
    if p.stem in sys.stdlib_module_names:
        print(p)')"

echo "1..$n"
exit $bad

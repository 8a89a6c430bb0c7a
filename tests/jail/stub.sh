#!/bin/sh
# The deny stub says why and exits with 126, wherever it is put.  For another
# machine: STUB, its stub program, TARGET_CC, a compiler for it, and RUN, what
# runs its programs here (tests/arm64/check-arm64.sh).
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2016 # the scripts are for another shell
. "${BRIG_SRCDIR:?}/tests/lib.sh"

setup stub
export STUB="${STUB:-$BRIG_BUILDDIR/tests/jail/stub}" RUN="${RUN-}" T
TARGET_CC=${TARGET_CC:-${CC:-cc}}

# says TEXT WHERE: on standard error, all of it, and the status.
says() {
    sh -c '$RUN "$STUB" "$1" "$0" >"$T/out" 2>"$T/err"
        test $? = 126 && ! test -s "$T/out" &&
        printf %s "$0" | cmp - "$T/err"' "$1" "$2"
}
long=$(head -c 512 /dev/zero | tr '\0' x)
check "a reason" says "brig: denied: rule 7" run
check "no reason" says "" run
check "the longest reason" says "$long" run
lengths() {
    for n in 1 2 3 4 5 6 7 8 9; do
        says "$(echo "$long" | head -c "$n")" run || return 1
    done
}
check "a reason of any length" lengths
check "at the end of a page" says "brig: denied: rule 7" end
check "nobody hears it: 126 all the same" sh -c '
    $RUN "$STUB" run unheard 2>&-; test $? = 126'

cat >"$T/victim.c" <<'X'
#include <stdio.h>
int
main(void)
{
	puts("ran");
	return 0;
}
X
for how in -static "-static-pie"; do
    # shellcheck disable=SC2086
    if ! $TARGET_CC $how -o "$T/victim" "$T/victim.c" 2>"$T/cc"; then
        skip "a program ($how) with it in the place of its first instruction" \
            "$TARGET_CC cannot make one"
        continue
    fi
    check "a program ($how), untouched: it runs" sh -c '
        test "$($RUN "$T/victim")" = ran'
    check "a program ($how) with it in the place of its first instruction" \
        sh -c '
        $RUN "$STUB" into "$T/victim" "brig: denied: victim" &&
        $RUN "$T/victim" >"$T/out" 2>"$T/err"
        test $? = 126 && ! test -s "$T/out" &&
        test "$(cat "$T/err")" = "brig: denied: victim"'
done
finish

#!/bin/sh
# corpus.sh bypass|allowed: the cases of that folder against one brigd.
# shellcheck source=../lib.sh
. "$BRIG_SRCDIR/tests/lib.sh"
setup "corpus-$1"
here=$BRIG_SRCDIR/tests/policy
write_conf
{
    cat "$here/bypass/P.policy"
    /usr/bin/python3 "$here/casefile.py" policy "$here/$1"
} >"$T/policy/default.policy"
brig policy check "$T/policy" >"$T/check.out" 2>&1 || {
    sed 's/^/# /' "$T/check.out"
    echo "Bail out! the policy of the cases does not load"
    exit 1
}

# What every case starts from: $T/template/ws is the workspace.
mkdir -p "$T/template/ws/d" "$T/template/home" "$T/template/outside"
(
    cd "$T/template/ws" || exit 1
    echo "outside here" >../outside/x
    echo hello >f
    git init -q -b main . &&
        git init -q --bare -b main origin.git &&
        git add f &&
        git -c user.name=a -c user.email=a@example.org commit -q -m first &&
        git remote add origin ./origin.git || exit 1
    echo precious >x
    echo precious >d/x
    # shellcheck disable=SC2016
    printf '#!/bin/sh\n: >"${0%%/*}/evil-ran"\n' >evil
    chmod 755 evil
    cp "$BRIG_BUILDDIR/tests/policy/execprobe" .
    printf '%s\n' x d evil execprobe origin.git >.git/info/exclude
) >"$T/template.log" 2>&1 || {
    sed 's/^/# /' "$T/template.log"
    echo "Bail out! the workspace of the cases cannot be made"
    exit 1
}
cat >"$T/evil.c" <<'END'
#include <fcntl.h>
static __attribute__((constructor)) void evil(void)
{ (void)open("evil-ran", O_CREAT | O_WRONLY, 0600); }
END
${CC:-cc} -shared -fPIC -o "$T/evil.so" "$T/evil.c" 2>"$T/evil.log" ||
    diag "no evil.so: $(cat "$T/evil.log")"
start_brigd
rc=0
/usr/bin/python3 "$here/casefile.py" "$1" "$here/$1" || rc=1
[ $rc = 0 ] || tail -n 30 "$T/brigd.log" | sed 's/^/# brigd.log: /'
exit $rc

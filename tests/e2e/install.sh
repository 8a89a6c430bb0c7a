#!/bin/sh
# What make install puts where, with which modes; that it runs from there, and
# that an edited configuration survives another install and an uninstall.
# shellcheck source-path=SCRIPTDIR/../..
. "${BRIG_SRCDIR:?}/tests/lib.sh"
setup install

# The test may run below another make, whose job server is not for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL
D=$T/root
build() {
    make -s -C "$BRIG_BUILDDIR" "$@" "DESTDIR=$D"
}

# dir VARIABLE: a directory as the makefile has it.
dir() {
    make -s -C "$BRIG_BUILDDIR" --no-print-directory \
        --eval="print-dir: ; @echo \$($1)" print-dir
}

bindir=$(dir bindir)
sbindir=$(dir sbindir)
libexec=$(dir pkglibexecdir)
conf=$(dir brigconfdir)
unit=$(dir systemdsystemunitdir)/brigd.service
engine=$(dir systemdsystemunitdir)/inferd.service

# mode WANT FILE: its mode, and that root owns it.
mode() {
    mode_is=$(stat -c '%a %u:%g' "$D$2") || return 1
    [ "$mode_is" = "$1 0:0" ] || {
        echo "$2: $mode_is, want $1 0:0"
        return 1
    }
}

check "make install" build install
check "brig" mode 755 "$bindir/brig"
check "brigd" mode 755 "$sbindir/brigd"
check "inferd" mode 755 "$sbindir/inferd"
check "brig-shim" mode 755 "$libexec/brig-shim"
for file in "$unit" "$engine" "$conf/brigd.conf" "$conf/inferd.env" "$conf/policy.d/default.policy" \
    "$(dir sysusersdir)/brig.conf" "$(dir tmpfilesdir)/brig.conf" \
    "$(dir bashcompletiondir)/brig.bash" \
    "$(dir bashcompletiondir)/inferd.bash" \
    "$(dir brigexamplesdir)/coding.policy" "$(dir man1dir)/brig.1" \
    "$(dir man5dir)/brigd.conf.5" "$(dir man5dir)/brig.policy.5" \
    "$(dir man7dir)/brig-control.7" "$(dir man8dir)/brigd.8" \
    "$(dir man8dir)/inferd.8"; do
    check "${file##*/} in ${file%/*}" mode 644 "$file"
done
check "nothing is set-id, or for others to write" sh -c \
    "! find '$D' ! -type l -perm /6022 | grep ."
check "nothing of the tests is installed" sh -c \
    "! find '$D' -name '*test*' -o -name '*probe*' -o -name '*fuzz*' | grep ."

check "brigd looks for the shim where it is" \
    grep -qaF "$libexec/brig-shim" "$D$sbindir/brigd"
check "brigd looks for the configuration where it is" \
    grep -qaF "$conf/brigd.conf" "$D$sbindir/brigd"
check "the unit starts what was installed" \
    grep -qxF "ExecStart=$sbindir/brigd -f $conf/brigd.conf" "$D$unit"
check "and that of the engine" \
    grep -q "^ExecStart=$sbindir/inferd -m " "$D$engine"
check "no placeholder is left in them" \
    sh -c "! grep '@[a-z]*@' '$D$unit' '$D$engine'"

PATH=$D$bindir:$D$sbindir:$PATH
# The process users need not exist on the machine that tests.
write_conf
{
    cat "$D$conf/brigd.conf"
    grep '^user ' "$T/brigd.conf"
    echo "policy $D$conf/policy.d"
} >"$T/sample.conf"
check "the sample configuration and policy are valid" \
    brigd -n -f "$T/sample.conf"
check "brig policy check on the installed policy" \
    brig policy check "$D$conf/policy.d"
for file in "$D$(dir brigexamplesdir)"/*.policy; do
    check "brig policy check on ${file##*/}" brig policy check "$file"
done

sed -i "s|^shim .*|shim $D$libexec/brig-shim|" "$T/brigd.conf"
cp "$D$conf/policy.d/default.policy" "$T/policy/"
start_brigd
check "a job runs with what was installed" brig run -- true
stop_brigd

echo "log-level debug" >>"$D$conf/brigd.conf"
cp "$D$conf/brigd.conf" "$T/edited"
check "make install again" build install
check "an edited configuration is kept" cmp "$T/edited" "$D$conf/brigd.conf"
check "make uninstall" build uninstall
find "$D" ! -type d >"$T/left"
check "only the edited configuration is left" \
    test "$(cat "$T/left")" = "$D$conf/brigd.conf"
finish

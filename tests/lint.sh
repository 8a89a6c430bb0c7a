#!/bin/sh
# make lint: format, shell, spelling, man pages.  Says what is wrong and ends
# with a non-zero status if anything is.
cd "${1:-.}" || exit 1
rc=0

need() {
    command -v "$1" >/dev/null 2>&1 || {
        echo "lint: $1 is not installed (./quickstart deps installs it)" >&2
        exit 1
    }
}

run() {
    echo "lint: $1"
    shift
    "$@" || rc=1
}

need shellcheck
need codespell
need mandoc
format=clang-format
command -v $format >/dev/null 2>&1 || format=clang-format-14
need $format

sources=$(find base policy sandbox proxy inferd daemon tests -name '*.[ch]')
scripts=$(find . \( -path ./.quickstart -o -path ./build-aux \) -prune \
    -o -name '*.sh' -print
    echo ./quickstart ./.ci/run)
pages=$(find man -name '*.[1-8]')

# shellcheck disable=SC2086
run "clang-format" $format --dry-run -Werror $sources
# shellcheck disable=SC2086
run "shellcheck" shellcheck -x -P SCRIPTDIR -e SC1091,SC2154,SC2016,SC2119,SC2317 $scripts
# shellcheck disable=SC2086
run "codespell" codespell -q 3 -S '*/corpus/*,*.policy' \
    -L 'fo,ans,te,ue,crate,nd,inout,alow,allos,sharable,inh,nin,anothe,nothink' \
    $sources $scripts $pages ./*.md contrib
# Debian's own pages are not this tree's business.
for page in $pages; do
    out=$(mandoc -T lint -W warning "$page" 2>&1) || {
        echo "$out"
        rc=1
    }
done
exit $rc

#!/bin/sh
# Unpack llama.cpp from Debian unstable into a folder of its own, with the
# libraries that it wants and its headers; nothing is installed.  What runs it is
# DIR/llama-bench, and DIR/with runs a program that is linked to it.
#
#   infer-peers.sh DIR      BRIG_MIRROR: another mirror than deb.debian.org
set -eu
dir=$1
mirror=${BRIG_MIRROR-http://deb.debian.org/debian}
keys=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
    echo "bench-infer-peers: $*" >&2
    exit 1
}
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] ||
    fail "apt and dpkg of Debian on amd64 are needed"
[ -r $keys ] || fail "$keys is missing: install debian-archive-keyring"

rm -rf "$dir"
mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" \
    "$dir/apt/parts" "$dir/root"
cd "$dir"
dir=$PWD
# As if nothing were installed, so that all of it comes; and far from the
# system's own sources and state.
: >apt/status
echo "deb [arch=amd64 signed-by=$keys] $mirror unstable main" >apt/sources
cat >apt/conf <<END
Dir::Etc::sourcelist "$dir/apt/sources";
Dir::Etc::sourceparts "$dir/apt/parts";
Dir::Etc::preferences "$dir/apt/none";
Dir::Etc::preferencesparts "$dir/apt/parts";
Dir::State "$dir/apt";
Dir::State::lists "$dir/apt/lists";
Dir::State::status "$dir/apt/status";
Dir::Cache "$dir/apt/cache";
APT::Sandbox::User "";
APT::Architecture "amd64";
Acquire::Languages "none";
END
APT_CONFIG=$dir/apt/conf
export APT_CONFIG
apt-get -q update || fail "no list of packages from $mirror"
apt-cache show llama.cpp-tools >/dev/null 2>&1 ||
    fail "$mirror has no llama.cpp-tools in unstable now"
apt-get -q -y -d --no-install-recommends install llama.cpp-tools \
    libllama-dev libggml-dev ||
    fail "llama.cpp-tools or a library of it cannot be had from $mirror"
for deb in apt/cache/archives/*.deb; do
    dpkg-deb -x "$deb" root
done
version=$(apt-cache policy llama.cpp-tools |
    sed -n 's/^ *Candidate: *//p')
rm -rf apt

lib=$dir/root/usr/lib/x86_64-linux-gnu
# Which of its builds suits the processor: in the order of its own preference,
# and what each needs beside the one after it.
cpu=
has() {
    for flag; do
        grep -qw "$flag" /proc/cpuinfo || return 1
    done
}
pick() {
    name=$1
    shift
    if [ -z "$cpu" ] && has "$@" &&
        [ -e "$lib/ggml/backends0/libggml-cpu-$name.so" ]; then
        cpu=$name
    fi
}
pick sapphirerapids avx512f avx512_vnni avx512_bf16 amx_int8 amx_tile
pick zen4 avx512f avx512_vnni avx512_bf16 avx512vbmi
pick cooperlake avx512f avx512_vnni avx512_bf16
pick icelake avx512f avx512_vnni avx512vbmi
pick cascadelake avx512f avx512_vnni
pick skylakex avx512f avx512bw
pick alderlake avx2 avx_vnni
pick haswell avx2 fma f16c bmi2
pick x64 sse2
[ -n "$cpu" ] || fail "no build of it for this processor in $lib"

# By its own loader and libraries, which may be newer than the system's.
cat >with <<END
#!/bin/sh
GGML_BACKEND_PATH=$lib/ggml/backends0/libggml-cpu-$cpu.so exec \\
    $lib/ld-linux-x86-64.so.2 --library-path $lib:$lib/llama "\$@"
END
cat >llama-bench <<END
#!/bin/sh
exec $dir/with $dir/root/usr/bin/llama-bench "\$@"
END
chmod 755 with llama-bench
echo "$version $cpu" >version
./llama-bench --help >help 2>&1 || true
if ! grep -q n-gen help; then
    cat help >&2
    fail "llama-bench does not run here"
fi
rm -f help
echo "llama.cpp $version ($cpu) is in $dir"

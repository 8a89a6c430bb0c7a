#!/bin/sh
# make check-llama: models of every architecture, of random weights, computed
# here and by the llama.cpp that make bench-infer-peers has unpacked.
#
# A line says how far apart the logits are.  Weights in F32 must give the same
# but for the order of sums, quantised ones what another engine's rounding
# allows (tests/inferd/same_logits.c).
set -u
: "${BRIG_BUILDDIR:?}" "${BRIG_SRCDIR:?}"
peer=$BRIG_BUILDDIR/tests/bench/llama.cpp
mk=$BRIG_BUILDDIR/inferd/inferd-mkmodel
same=$BRIG_BUILDDIR/tests/inferd/same_logits
lib=$peer/root/usr/lib/x86_64-linux-gnu
bad=0
vocab=160

fail() {
    echo "check-llama: $*" >&2
    exit 1
}
if [ ! -x "$peer/with" ] || [ ! -r "$peer/root/usr/include/llama.h" ]; then
    fail "no llama.cpp in $peer: make bench-infer-peers"
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Its libraries are of a newer C library than this system's.
${CC:-cc} -O1 -Wall -Werror -o "$work/llama-logits" \
    -I "$peer/root/usr/include" "$BRIG_SRCDIR/tests/inferd/llama_logits.c" \
    "$lib/libllama.so" "$lib/libggml.so" "$lib/libggml-base.so" \
    -Wl,--allow-shlib-undefined || fail "cannot compile what asks llama.cpp"
echo "# llama.cpp $(cat "$peer/version")"

# compare WHAT MODE ARCH OPTION..: WHAT is said in the line; MODE: of same_logits.
compare() {
    what=$1 mode=$2 arch=$3 said=
    shift 3
    # As many keys as queries where llama.cpp knows nothing else.
    if [ "$arch" = olmoe ]; then
        set -- --kv-heads 4 "$@"
    fi
    if "$mk" --arch "$arch" --tokens none --vocab $vocab "$@" \
        "$work/m.gguf" 2>"$work/errors" &&
        "$peer/with" "$work/llama-logits" "$work/m.gguf" "$work/m.logits" \
            <"$work/tokens" 2>>"$work/errors" &&
        said=$("$same" ${mode:+"$mode"} "$work/m.gguf" "$work/m.logits" \
            2>>"$work/errors"); then
        echo "ok $arch $what: $said"
        return
    fi
    bad=1
    echo "not ok $arch $what: $said"
    sed 's/^/# /' "$work/errors" | tail -n 5
}

# Longer than a window and several pages of keys.
awk -v v=$vocab 'BEGIN {
    srand(7)
    for (i = 0; i < 300; i++)
        print int(rand() * v)
}' >"$work/tokens"

# What there is beside the defaults of each architecture.
variants() {
    case $1 in
    qwen3moe)
        compare "YaRN" "" "$1" --type f32 --yarn 4 --ctx 64
        compare "scaled positions" "" "$1" --type f32 --rope-scale 2
        ;;
    llama)
        compare "dense" "" "$1" --type f32 --experts 0
        compare "factors" "" "$1" --type f32 --experts 0 --extras
        ;;
    deepseek2)
        # So many layers are what llama.cpp takes it from.
        compare "queries of full rank, softmax, raw weights" "" "$1" \
            --type f32 --layers 27 --q-rank 0 --raw-weights
        compare "sigmoid, bias, scale" "" "$1" --type f32 --gate sigmoid \
            --extras --expert-scale 2.5
        compare "groups" "" "$1" --type f32 --gate sigmoid --biases \
            --groups 4 --groups-used 2
        compare "YaRN" "" "$1" --type f32 --yarn 40 --ctx 64 \
            --yarn-scores 0.0707
        compare "YaRN as of Kimi K2" "" "$1" --type f32 --yarn 32 --ctx 64 \
            --yarn-scores 0.1 --gate sigmoid
        compare "two leading layers, two shared experts, short heads" "" \
            "$1" --type f32 --lead 2 --shared 2 --kv-rank 64 --q-rank 32 \
            --head 48 --rope-dims 16
        compare "a layer for guesses" "" "$1" --type f32 --nextn 1
        ;;
    qwen3next | qwen35moe)
        compare "more states to a key, attention in each other layer" "" "$1" \
            --type f32 --states 6 --interval 2
        compare "a state to each key, taps, YaRN" "" "$1" --type f32 \
            --states 2 --taps 3 --yarn 4 --ctx 64
        compare "sizes as of real ones" "" "$1" --type f32 --state 128 \
            --state-keys 4 --states 8 --head 256 --layers 8 --rope-dims 64
        if [ "$1" = qwen3next ]; then
            compare "as in old files" "" "$1" --type f32 --fused
        else
            compare "layers for guesses" "" "$1" --type f32 --nextn 1
        fi
        ;;
    deepseek4)
        compare "YaRN" "" "$1" --type f32 --yarn 16 --ctx 64
        compare "scaled positions" "" "$1" --type f32 --rope-scale 2
        compare "limits that are met" "" "$1" --type f32 --limit 0.3
        compare "no limits, raw weights" "" "$1" --type f32 --limit 0 \
            --raw-weights
        compare "few rows chosen, few rounds" "" "$1" --type f32 --chosen 3 \
            --rounds 3 --layers 7
        compare "all rows seen, three layers of fixed experts" "" "$1" \
            --type f32 --chosen 100 --fixed 3
        compare "more groups of heads, two shared experts" "" "$1" \
            --type f32 --heads 8 --out-groups 4 --out-rank 64 --shared 2 \
            --window 100 --rope-dims 64
        compare "layers for guesses" "" "$1" --type f32 --nextn 1
        ;;
    glm4moe)
        compare "biases, norms" "" "$1" --type f32 --biases --qk-norm
        compare "groups" "" "$1" --type f32 --groups 4 --groups-used 2 \
            --expert-scale 2.5
        compare "two leading layers, two shared experts, layers for guesses" \
            "" "$1" --type f32 --lead 2 --shared 2 --nextn 2
        compare "softmax, all layers with experts" "" "$1" --type f32 \
            --lead 0 --gate softmax --rope-dims 64
        ;;
    esac
}

known=$("$mk" --help | sed -n '/^  --arch NAME/,/^  --preset/p' |
    sed 's/^  --arch NAME//; /^  --/d; s/,\| or / /g; s/ or$//' | tr '\n' ' ')
[ -n "$known" ] || fail "which architectures are there?"
for arch in $known; do
    for seed in 1 2 3; do
        compare "F32, seed $seed" "" "$arch" --type f32 --seed $seed
    done
    for type in q8_0 q4_k; do
        compare "$type" --quantised "$arch" --type $type
    done
    variants "$arch"
done
exit $bad

#!/bin/sh
# inferd-mkmodel writes what inferd --check reads: every architecture, type and
# vocabulary; and each says in one line what it cannot do.  Prints TAP.
bin=${BRIG_BUILDDIR:-.}/inferd
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
bad=0

# ok NAME COMMAND...: the command succeeds.
ok() {
    n=$((n + 1))
    name=$1
    shift
    if "$@" >"$dir/out" 2>&1; then
        echo "ok $n - $name"
    else
        bad=1
        echo "not ok $n - $name"
        sed 's/^/# /' "$dir/out"
    fi
}

make_model() {
    rm -f "$dir"/m*.gguf
    "$bin/inferd-mkmodel" "$@" "$dir/m.gguf"
}

# checks PATTERN OPTIONS...: the model of the options is fine and says that.
checks() {
    pattern=$1
    shift
    make_model "$@" && "$bin/inferd" --check "$dir/m.gguf" --json \
        >"$dir/json" && cat "$dir/json" && grep -q "$pattern" "$dir/json"
}

# fails PATTERN COMMAND...: status 1 and one line that says so.
fails() {
    pattern=$1
    shift
    "$@" >"$dir/said" 2>&1
    rc=$?
    cat "$dir/said"
    [ "$rc" = 1 ] && [ "$(wc -l <"$dir/said")" = 1 ] &&
        grep -q "$pattern" "$dir/said"
}

for arch in qwen3moe qwen3 llama olmoe gpt-oss glm4moe deepseek2 qwen3next \
    qwen35moe deepseek4; do
    ok "a model of $arch is read" checks "\"arch\":\"$arch\"" \
        --arch $arch --layers 2
    ok "a model of $arch with every tensor that it may have is read" \
        checks "\"arch\":\"$arch\"" --arch $arch --layers 2 --extras
done
ok "a llama without experts is read" checks '"experts":0,' --arch llama \
    --experts 0 --layers 2
ok "the model for benchmarks has more bits in some layers" \
    checks '"Q6_K":{"tensors":3,' --preset bench --layers 3 --embd 256 \
    --heads 2 --kv-heads 2 --experts 2 --used 1 --expert-ff 256 --vocab 263
for type in F32 F16 BF16 Q8_0 Q4_0 Q4_K Q5_K Q6_K Q2_K Q3_K MXFP4 IQ4_NL \
    IQ4_XS IQ2_XXS; do
    ok "matrices of type $type are read" checks "\"$type\":{\"tensors\":" \
        --type $type --layers 1 --vocab 263
done
ok "types by class are read" checks '"Q5_K".*"MXFP4"' --layers 1 \
    --type-ffn MXFP4 --type-down Q8_0 --type-attn Q5_K --type-embd F16 \
    --type-output BF16 --type-router F16
ok "one matrix for embedding and output" checks '"params":7613184' --tied
ok "SentencePiece" checks '"tokeniser":"llama"' --tokens spm --vocab 286
ok "no vocabulary" checks '"tokeniser":"none"' --tokens none --vocab 128
ok "a large vocabulary" checks '"vocabulary":200000' --vocab 200000 \
    --layers 1 --type Q4_0
ok "where malloc asks for large pages, too" \
    env GLIBC_TUNABLES=glibc.malloc.hugetlb=1 "$bin/inferd" --check \
    "$dir/m.gguf"
ok "positions by YaRN" checks '"arch":"gpt-oss"' --arch gpt-oss --yarn 4 \
    --rope-base 150000 --window 64

ok "layers of different kinds, and some that are not computed" \
    checks '"layers":3,.*"experts":8,.*"dense_layers":2,"idle_layers":1,' \
    --arch glm4moe --layers 3 --nextn 1 \
    --lead 2 --shared 2 --groups 4 --groups-used 2 --expert-scale 2.5 \
    --rope-dims 16 --biases --qk-norm
ok "heads of low rank" checks '"q_rank":0,"kv_rank":64,' --arch deepseek2 \
    --q-rank 0 --kv-rank 64 --head 48 --rope-dims 16 --gate sigmoid --biases \
    --raw-weights --yarn 40 --yarn-scores 0.0707 --type Q8_0
ok "a rank of an architecture without is refused" fails \
    "qwen3moe with queries or keys of low rank" "$bin/inferd-mkmodel" \
    --kv-rank 64 "$dir/m.gguf"
ok "layers that keep a state" \
    checks '"layers":5,.*"idle_layers":1,.*"state_layers":4,"state_bytes":6144,' \
    --arch qwen35moe --layers 5 --nextn 1 --interval 5 --taps 3 --state 8 \
    --state-keys 2 --states 4 --type Q8_0 --type-attn F16
ok "several streams and squeezed rows" \
    checks '"layers":7,.*"idle_layers":1,"q_rank":128,"kv_rank":0,"state_layers":5,' \
    --arch deepseek4 --layers 7 --nextn 1 --streams 2 --rounds 3 --chosen 9 \
    --choosers 3 --chooser 96 --fixed 2 --out-groups 1 --out-rank 32 \
    --q-rank 128 --limit 7 --type Q8_0
ok "heads that choose rows with no number of them are refused" fails \
    "without a number of chosen rows" "$bin/inferd-mkmodel" --arch deepseek4 \
    --chosen 0 "$dir/m.gguf"
ok "tables are no type of weights" fails "unknown type 'I32'" \
    "$bin/inferd-mkmodel" --type I32 "$dir/m.gguf"
ok "the matrices of old files" checks '"arch":"qwen3next"' --arch qwen3next \
    --fused
ok "layers of states without one of attention are refused" fails \
    "without an interval" "$bin/inferd-mkmodel" --arch qwen3next \
    --interval 0 "$dir/m.gguf"
ok "leading layers of an architecture without are refused" fails \
    "qwen3moe with leading dense layers" "$bin/inferd-mkmodel" --lead 1 \
    --ff 256 "$dir/m.gguf"

split() {
    make_model --split 3 && [ -e "$dir/m-00003-of-00003.gguf" ] &&
        "$bin/inferd" --check "$dir/m-00001-of-00003.gguf" --json |
        grep '"files":3'
}
ok "three files are one model" split

same() {
    make_model --seed 7 && mv "$dir/m.gguf" "$dir/first" &&
        make_model --seed 7 && cmp "$dir/m.gguf" "$dir/first" &&
        make_model --seed 8 && ! cmp -s "$dir/m.gguf" "$dir/first"
}
ok "the same request makes the same bytes, another seed others" same

sealed() {
    make_model && (cd "$dir" && sha256sum m.gguf >SHA256SUMS) &&
        "$bin/inferd" --check "$dir/m.gguf" --seal \
            --manifest "$dir/SHA256SUMS" --json | grep '"sealed":true'
}
ok "a sealed model is that of its manifest" sealed
printf x | dd of="$dir/m.gguf" bs=1 seek=400000 conv=notrunc 2>/dev/null
ok "a changed one is refused" fails "not the manifest's" "$bin/inferd" \
    --check "$dir/m.gguf" --seal --manifest "$dir/SHA256SUMS"
head -c 3000000 "$dir/m.gguf" >"$dir/cut.gguf"
ok "half a model is refused" fails "after the end of the file" "$bin/inferd" \
    --check "$dir/cut.gguf"

mk=$bin/inferd-mkmodel
ok "rows that no block divides are refused" fails "no multiple of the 256" \
    "$mk" --embd 200 --head 50 "$dir/m.gguf"
ok "an unknown type is refused" fails "Q9_Z" "$mk" --type Q9_Z "$dir/m.gguf"
ok "an unknown architecture is refused" fails "'mamba'" "$mk" --arch mamba \
    "$dir/m.gguf"
ok "too few tokens are refused" fails "not 263-" "$mk" --vocab 10 \
    "$dir/m.gguf"
ok "uneven heads are refused" fails "unevenly" "$mk" --kv-heads 3 \
    "$dir/m.gguf"
ok "another name is refused" fails "does not end in .gguf" "$mk" "$dir/model"

echo "1..$n"
exit $bad

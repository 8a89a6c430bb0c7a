# What computes a net: architectures, blocks, keys and values, draws.
libinferd_a_SOURCES += \
	inferd/arch_glm4moe.c \
	inferd/arch_deepseek2.c \
	inferd/arch_deepseek4.c \
	inferd/arch_gpt_oss.c \
	inferd/arch_llama.c \
	inferd/arch_olmoe.c \
	inferd/arch_qwen3.c \
	inferd/arch_qwen35moe.c \
	inferd/arch_qwen3moe.c \
	inferd/arch_qwen3next.c \
	inferd/block.c inferd/block.h \
	inferd/block_attend.c \
	inferd/block_attention.c \
	inferd/block_delta.c inferd/delta.h \
	inferd/block_ffn.c \
	inferd/block_mla.c inferd/block_mla.h \
	inferd/block_sparse.c inferd/block_sparse.h \
	inferd/block_squeeze.c inferd/block_squeeze.h \
	inferd/block_streams.c inferd/block_streams.h \
	inferd/kv.c inferd/kv.h inferd/kv_int.h \
	inferd/kv_slab.c inferd/kv_slab.h \
	inferd/kv_state.c \
	inferd/mat.c inferd/mat.h \
	inferd/net.c inferd/net.h inferd/net_bind.h \
	inferd/rope.c inferd/rope.h \
	inferd/router.c inferd/router.h \
	inferd/run.c inferd/run.h \
	inferd/sample.c inferd/sample.h \
	inferd/steer.c inferd/steer.h

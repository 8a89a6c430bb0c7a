# Text of people and of models: to tokens, into prompts, out of answers.
noinst_LIBRARIES += libchat.a
libchat_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT)
libchat_a_SOURCES = \
	inferd/api.h inferd/api_int.h inferd/api_field.c \
	inferd/api_read.c inferd/api_read_chat.c inferd/api_read_history.c \
	inferd/api_read_messages.c inferd/api_read_params.c \
	inferd/api_read_responses.c inferd/api_read_tools.c \
	inferd/api_write.c inferd/api_write_chat.c \
	inferd/api_write_messages.c inferd/api_write_responses.c \
	inferd/guide.c inferd/guide.h \
	inferd/draft.c inferd/draft.h \
	inferd/grammar.c inferd/grammar.h inferd/grammar_int.h \
	inferd/grammar_build.c inferd/grammar_json.c \
	inferd/mask.c \
	inferd/pattern.c inferd/pattern.h inferd/pattern_int.h \
	inferd/pattern_parse.c \
	inferd/schema.c inferd/schema_int.h \
	inferd/schema_array.c inferd/schema_key.c inferd/schema_number.c \
	inferd/schema_object.c inferd/schema_shape.c \
	inferd/schema_string.c inferd/schema_values.c \
	inferd/json_mend.c inferd/json_mend.h \
	inferd/json_same.c inferd/json_tree.c inferd/json_tree.h \
	inferd/call_loop.c inferd/call_loop.h \
	inferd/toolcall.c inferd/toolcall.h inferd/toolcall_int.h \
	inferd/toolcall_place.c \
	inferd/toolcall_json.c inferd/toolcall_tags.c \
	inferd/replay.c inferd/replay.h \
	inferd/stoptext.c inferd/stoptext.h \
	inferd/template.c inferd/template.h inferd/template_int.h \
	inferd/template_chatml.c inferd/template_harmony.c \
	inferd/deepseek_marks.h inferd/template_deepseek.c \
	inferd/template_glm.c inferd/template_mistral.c \
	inferd/tok.c inferd/tok.h inferd/tok_int.h \
	inferd/tok_map.c inferd/tok_merge.c \
	inferd/tok_pre.c inferd/tok_pre.h inferd/tok_pre_deepseek.c \
	inferd/tok_vocab.c \
	inferd/unicode.c inferd/unicode.h inferd/unicode_int.h \
	inferd/unicode_table.c \
	inferd/vocab_same.c inferd/vocab_same.h
EXTRA_DIST += inferd/unicode_gen.py

# Fuzz harnesses.  With --enable-fuzzers (clang) each is a libFuzzer program;
# else feed.c gives it a main() that feeds tests/fuzz/corpus/NAME, each file
# twice, so that `make check` runs it everywhere.  To add one: a file
# fuzz_NAME.c, a corpus folder, and three lines as below.
FUZZ_LIST =
if FUZZERS
FUZZ_FEED =
else
FUZZ_FEED = tests/fuzz/feed.c
endif

FUZZ_LIST += tests/fuzz/fuzz_cursor
tests_fuzz_fuzz_cursor_SOURCES = tests/fuzz/fuzz_cursor.c $(FUZZ_FEED)
tests_fuzz_fuzz_cursor_LDADD = libbase.a
tests_fuzz_fuzz_cursor_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_ws
tests_fuzz_fuzz_ws_SOURCES = tests/fuzz/fuzz_ws.c tests/proxy/ws_run.h \
	$(FUZZ_FEED)
tests_fuzz_fuzz_ws_LDADD = libproxy.a libbase.a $(CODEC_LIBS)
tests_fuzz_fuzz_ws_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_codec
tests_fuzz_fuzz_codec_SOURCES = tests/fuzz/fuzz_codec.c $(FUZZ_FEED)
tests_fuzz_fuzz_codec_LDADD = libproxy.a libbase.a $(CODEC_LIBS)
tests_fuzz_fuzz_codec_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_copysource
tests_fuzz_fuzz_copysource_SOURCES = tests/fuzz/fuzz_copysource.c $(FUZZ_FEED)
tests_fuzz_fuzz_copysource_LDADD = libproxy.a libpolicy.a libbase.a
tests_fuzz_fuzz_copysource_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_scrub
tests_fuzz_fuzz_scrub_SOURCES = tests/fuzz/fuzz_scrub.c $(FUZZ_FEED)
tests_fuzz_fuzz_scrub_LDADD = libproxy.a libbase.a
tests_fuzz_fuzz_scrub_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_sigv4
tests_fuzz_fuzz_sigv4_SOURCES = tests/fuzz/fuzz_sigv4.c $(FUZZ_FEED)
tests_fuzz_fuzz_sigv4_LDADD = libproxy.a libbase.a $(CRYPTO_LIBS)
tests_fuzz_fuzz_sigv4_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_json_string
tests_fuzz_fuzz_json_string_SOURCES = tests/fuzz/fuzz_json_string.c \
	$(FUZZ_FEED)
tests_fuzz_fuzz_json_string_LDADD = libproxy.a libbase.a
tests_fuzz_fuzz_json_string_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_credspec
tests_fuzz_fuzz_credspec_SOURCES = tests/fuzz/fuzz_credspec.c $(FUZZ_FEED)
tests_fuzz_fuzz_credspec_LDADD = libproxy.a libpolicy.a libbase.a
tests_fuzz_fuzz_credspec_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_json_read
tests_fuzz_fuzz_json_read_SOURCES = tests/fuzz/fuzz_json_read.c $(FUZZ_FEED)
tests_fuzz_fuzz_json_read_LDADD = libproxy.a libbase.a
tests_fuzz_fuzz_json_read_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_override
tests_fuzz_fuzz_override_SOURCES = tests/fuzz/fuzz_override.c $(FUZZ_FEED)
tests_fuzz_fuzz_override_LDADD = libproxy.a libbase.a
tests_fuzz_fuzz_override_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_model
tests_fuzz_fuzz_model_SOURCES = tests/fuzz/fuzz_model.c $(FUZZ_FEED)
tests_fuzz_fuzz_model_LDADD = libproxy.a libpolicy.a libbase.a
tests_fuzz_fuzz_model_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_swap
tests_fuzz_fuzz_swap_SOURCES = tests/fuzz/fuzz_swap.c $(FUZZ_FEED)
tests_fuzz_fuzz_swap_LDADD = libproxy.a libbase.a
tests_fuzz_fuzz_swap_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_swap_body
tests_fuzz_fuzz_swap_body_SOURCES = tests/fuzz/fuzz_swap_body.c $(FUZZ_FEED)
tests_fuzz_fuzz_swap_body_LDADD = libproxy.a libbase.a
tests_fuzz_fuzz_swap_body_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_trace_image
tests_fuzz_fuzz_trace_image_SOURCES = tests/fuzz/fuzz_trace_image.c $(FUZZ_FEED)
tests_fuzz_fuzz_trace_image_LDADD = libsandbox.a libbase.a
tests_fuzz_fuzz_trace_image_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_unpack
tests_fuzz_fuzz_unpack_SOURCES = tests/fuzz/fuzz_unpack.c $(FUZZ_FEED)
tests_fuzz_fuzz_unpack_LDADD = libsandbox.a libbase.a
tests_fuzz_fuzz_unpack_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_dnswire
tests_fuzz_fuzz_dnswire_SOURCES = tests/fuzz/fuzz_dnswire.c $(FUZZ_FEED)
tests_fuzz_fuzz_dnswire_LDADD = libproxy.a libbase.a
tests_fuzz_fuzz_dnswire_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_ssh_agent
tests_fuzz_fuzz_ssh_agent_SOURCES = tests/fuzz/fuzz_ssh_agent.c $(FUZZ_FEED)
tests_fuzz_fuzz_ssh_agent_LDADD = libproxy.a libbase.a $(PROXY_LIBS)
tests_fuzz_fuzz_ssh_agent_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_pgwire
tests_fuzz_fuzz_pgwire_SOURCES = tests/fuzz/fuzz_pgwire.c $(FUZZ_FEED)
tests_fuzz_fuzz_pgwire_LDADD = libproxy.a libbase.a $(PROXY_LIBS)
tests_fuzz_fuzz_pgwire_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_connect
tests_fuzz_fuzz_connect_SOURCES = tests/fuzz/fuzz_connect.c $(FUZZ_FEED)
tests_fuzz_fuzz_connect_LDADD = libproxy.a libbase.a $(PROXY_LIBS)
tests_fuzz_fuzz_connect_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_http1_request
tests_fuzz_fuzz_http1_request_SOURCES = tests/fuzz/fuzz_http1_request.c \
	tests/proxy/http1_run.h $(FUZZ_FEED)
tests_fuzz_fuzz_http1_request_LDADD = libproxy.a libbase.a
tests_fuzz_fuzz_http1_request_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_http1_response
tests_fuzz_fuzz_http1_response_SOURCES = tests/fuzz/fuzz_http1_response.c \
	tests/proxy/http1_run.h $(FUZZ_FEED)
tests_fuzz_fuzz_http1_response_LDADD = libproxy.a libbase.a
tests_fuzz_fuzz_http1_response_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_wire
tests_fuzz_fuzz_wire_SOURCES = tests/fuzz/fuzz_wire.c $(FUZZ_FEED)
tests_fuzz_fuzz_wire_LDADD = libproxy.a libbase.a
tests_fuzz_fuzz_wire_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_upstream_h2
tests_fuzz_fuzz_upstream_h2_SOURCES = tests/fuzz/fuzz_upstream_h2.c $(FUZZ_FEED)
tests_fuzz_fuzz_upstream_h2_LDADD = libproxy.a libbase.a $(PROXY_LIBS)
tests_fuzz_fuzz_upstream_h2_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_keyd
tests_fuzz_fuzz_keyd_SOURCES = tests/fuzz/fuzz_keyd.c $(FUZZ_FEED)
tests_fuzz_fuzz_keyd_LDADD = libproxy.a libpolicy.a libbase.a $(PROXY_LIBS)
tests_fuzz_fuzz_keyd_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_vault
tests_fuzz_fuzz_vault_SOURCES = tests/fuzz/fuzz_vault.c $(FUZZ_FEED)
tests_fuzz_fuzz_vault_LDADD = libproxy.a libbase.a $(PROXY_LIBS)
tests_fuzz_fuzz_vault_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_jobspec
tests_fuzz_fuzz_jobspec_SOURCES = tests/fuzz/fuzz_jobspec.c daemon/jobspec.c \
	$(FUZZ_FEED)
tests_fuzz_fuzz_jobspec_LDADD = libbase.a
tests_fuzz_fuzz_jobspec_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_policy_load
tests_fuzz_fuzz_policy_load_SOURCES = tests/fuzz/fuzz_policy_load.c $(FUZZ_FEED)
tests_fuzz_fuzz_policy_load_LDADD = libpolicy.a libbase.a
tests_fuzz_fuzz_policy_load_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_policy_eval
tests_fuzz_fuzz_policy_eval_SOURCES = tests/fuzz/fuzz_policy_eval.c $(FUZZ_FEED)
tests_fuzz_fuzz_policy_eval_LDADD = libpolicy.a libbase.a
tests_fuzz_fuzz_policy_eval_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_tok
tests_fuzz_fuzz_tok_SOURCES = tests/fuzz/fuzz_tok.c \
	tests/inferd/vocab_small.c tests/inferd/vocab_small.h $(FUZZ_FEED)
tests_fuzz_fuzz_tok_LDADD = libchat.a libbase.a
tests_fuzz_fuzz_tok_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_toolcall
tests_fuzz_fuzz_toolcall_SOURCES = tests/fuzz/fuzz_toolcall.c $(FUZZ_FEED)
tests_fuzz_fuzz_toolcall_LDADD = libchat.a libproxy.a libbase.a
tests_fuzz_fuzz_toolcall_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_api
tests_fuzz_fuzz_api_SOURCES = tests/fuzz/fuzz_api.c $(FUZZ_FEED)
tests_fuzz_fuzz_api_LDADD = libchat.a libproxy.a libbase.a
tests_fuzz_fuzz_api_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)
FUZZ_LIST += tests/fuzz/fuzz_schema
tests_fuzz_fuzz_schema_SOURCES = tests/fuzz/fuzz_schema.c $(FUZZ_FEED)
tests_fuzz_fuzz_schema_LDADD = libchat.a libproxy.a libbase.a
tests_fuzz_fuzz_schema_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

# The tables of each process, played through real channels.
FUZZ_PLAY = tests/fuzz/play.c tests/fuzz/play.h $(FUZZ_FEED)

FUZZ_LIST += tests/fuzz/fuzz_control
tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz_control.c $(FUZZ_PLAY)
tests_fuzz_fuzz_control_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_control_LDADD = libcontrol.a libproxy.a libpolicy.a libjobspec.a \
	libbase.a $(JANSSON_LIBS) $(SQLITE_LIBS)
tests_fuzz_fuzz_control_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_parent
tests_fuzz_fuzz_parent_SOURCES = tests/fuzz/fuzz_parent.c \
	daemon/parent_attach.c daemon/parent_audit.c daemon/parent_cgroup.c \
	daemon/parent_files.c daemon/parent_home.c daemon/parent_inferd.c \
	daemon/parent_job.c \
	daemon/parent_msg.c daemon/parent_uids.c daemon/parent_vault.c \
	daemon/parent_proc.c \
	daemon/parent_spare.c daemon/parent_stage.c daemon/parent_status.c \
	daemon/parent_wire.c $(FUZZ_PLAY)
tests_fuzz_fuzz_parent_LDADD = libcontrol.a libsandbox.a libproxy.a libpolicy.a \
	libjobspec.a libbase.a $(SECCOMP_LIBS) $(CAP_LIBS)
tests_fuzz_fuzz_parent_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_stage
tests_fuzz_fuzz_stage_SOURCES = tests/fuzz/fuzz_stage.c $(FUZZ_FEED)
tests_fuzz_fuzz_stage_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_stage_LDADD = libcli.a libstage.a libjobspec.a libsandbox.a \
	libbase.a $(JANSSON_LIBS) $(SECCOMP_LIBS) $(CAP_LIBS) \
	$(CRYPTO_LIBS)
tests_fuzz_fuzz_stage_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_audit
tests_fuzz_fuzz_audit_SOURCES = tests/fuzz/fuzz_audit.c $(FUZZ_PLAY)
tests_fuzz_fuzz_audit_LDADD = libaudit.a libbase.a $(MD_LIBS) \
	$(CRYPTO_LIBS)
tests_fuzz_fuzz_audit_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_dns
tests_fuzz_fuzz_dns_SOURCES = tests/fuzz/fuzz_dns.c $(FUZZ_PLAY)
tests_fuzz_fuzz_dns_LDADD = libbase.a
tests_fuzz_fuzz_dns_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_front_h2
tests_fuzz_fuzz_front_h2_SOURCES = tests/fuzz/fuzz_front_h2.c \
	tests/fuzz/play_wire.c $(FUZZ_PLAY)
tests_fuzz_fuzz_front_h2_LDADD = libproxy.a libpolicy.a libbase.a $(PROXY_LIBS)
tests_fuzz_fuzz_front_h2_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_front
tests_fuzz_fuzz_front_SOURCES = tests/fuzz/fuzz_front.c \
	tests/fuzz/play_wire.c $(FUZZ_PLAY)
tests_fuzz_fuzz_front_LDADD = libproxy.a libpolicy.a libbase.a $(PROXY_LIBS)
tests_fuzz_fuzz_front_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_back
tests_fuzz_fuzz_back_SOURCES = tests/fuzz/fuzz_back.c \
	tests/fuzz/play_wire.c $(FUZZ_PLAY)
tests_fuzz_fuzz_back_LDADD = libproxy.a libpolicy.a libbase.a $(PROXY_LIBS)
tests_fuzz_fuzz_back_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_shim
tests_fuzz_fuzz_shim_SOURCES = tests/fuzz/fuzz_shim.c \
	daemon/shim_attach.c daemon/shim_cgroup.c daemon/shim_facts.c \
	daemon/shim_files.c daemon/shim_judge.c daemon/shim_start.c \
	daemon/shim_tally.c \
	$(FUZZ_PLAY)
tests_fuzz_fuzz_shim_LDADD = librelay.a libjobspec.a libsandbox.a \
	libpolicy.a libbase.a \
	$(SECCOMP_LIBS) $(CAP_LIBS) $(MD_LIBS)
tests_fuzz_fuzz_shim_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_relay
tests_fuzz_fuzz_relay_SOURCES = tests/fuzz/fuzz_relay.c $(FUZZ_FEED)
tests_fuzz_fuzz_relay_LDADD = librelay.a libbase.a
tests_fuzz_fuzz_relay_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_timing
tests_fuzz_fuzz_timing_SOURCES = tests/fuzz/fuzz_timing.c $(FUZZ_FEED)
tests_fuzz_fuzz_timing_LDADD = libcli.a libbase.a
tests_fuzz_fuzz_timing_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_gguf
tests_fuzz_fuzz_gguf_SOURCES = tests/fuzz/fuzz_gguf.c \
	tests/inferd/gguf_run.h $(FUZZ_FEED)
tests_fuzz_fuzz_gguf_LDADD = $(INFERD_LIBS)
tests_fuzz_fuzz_gguf_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

check_PROGRAMS += $(FUZZ_LIST)
if !FUZZERS
TESTS += $(FUZZ_LIST)
endif
EXTRA_DIST += tests/fuzz/faults
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/feed.c

# make fuzz-smoke: with --enable-fuzzers, FUZZ_RUNS inputs made from each
# corpus.  New inputs go to a scratch folder, never into the corpus.
FUZZ_RUNS = 2000
fuzz-smoke: $(FUZZ_LIST)
if FUZZERS
	@for f in $(FUZZ_LIST); do \
		n=$${f##*/fuzz_}; d=`mktemp -d` || exit 1; \
		./$$f -runs=$(FUZZ_RUNS) -seed=1 -max_len=65536 -verbosity=0 \
		    -artifact_prefix=fuzz-$$n- "$$d" \
		    $(srcdir)/tests/fuzz/corpus/$$n >fuzz-$$n.log 2>&1; rc=$$?; \
		rm -rf "$$d"; \
		test $$rc = 0 || { tail -n 30 fuzz-$$n.log; exit 1; }; \
		echo "fuzz_$$n: $(FUZZ_RUNS) runs"; \
	done
else
	@echo "fuzz-smoke: configure with CC=clang --enable-fuzzers" >&2; exit 1
endif

.PHONY: fuzz-smoke

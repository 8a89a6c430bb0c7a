# proxy/: sources, added to the one makefile.
noinst_LIBRARIES += libproxy.a
libproxy_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT)
libproxy_a_SOURCES =
# What a program that links libproxy.a links after it.
PROXY_LIBS = $(SSL_LIBS) $(CRYPTO_LIBS) $(NGHTTP2_LIBS) $(CODEC_LIBS)

# HTTP semantics between front and back, HTTP/1.1.
libproxy_a_SOURCES += \
	proxy/http1.c proxy/http1.h proxy/http1_write.c \
	proxy/json_read.c proxy/json_read.h \
	proxy/model.c proxy/model.h proxy/model_usage.c \
	proxy/roles.h \
	proxy/wire.c proxy/wire.h

# TLS of both sides.
libproxy_a_SOURCES += \
	proxy/tls.c proxy/tls.h proxy/tls_int.h \
	proxy/tls_bio.c proxy/tls_binding.c proxy/tls_client.c proxy/tls_identity.c proxy/tls_server.c \
	proxy/tls_session.c

# What a credential is for: keyd, back, control and brig agree on it.
libproxy_a_SOURCES += \
	proxy/credspec.c proxy/credspec.h proxy/credspec_text.c

# keyd and its parts.
libproxy_a_SOURCES += \
	proxy/keyd.c proxy/keyd.h \
	proxy/keyd_ca.c \
	proxy/keyd_capture.c proxy/keyd_release.c proxy/keyd_secret.c \
	proxy/keyd_sign.c proxy/keyd_ssh.c \
	proxy/keyd_limit.c proxy/keyd_renew.c \
	proxy/mint.c proxy/mint.h \
	proxy/prf.c proxy/prf.h \
	proxy/stub.c proxy/stub.h \
	proxy/vault.c proxy/vault.h proxy/vault_int.h proxy/vault_rewrite.c \
	proxy/vault_log.c proxy/vault_log.h

libproxy_a_SOURCES += proxy/dns.c

# back: decision of record, credentials, the way out.
libproxy_a_SOURCES += \
	proxy/back.c proxy/back.h proxy/back_ask.c proxy/back_body.c \
	proxy/back_override.c proxy/back_sign.c \
	proxy/override.c proxy/override.h \
	proxy/back_capture.c \
	proxy/back_exchange.c \
	proxy/back_inferd.c \
	proxy/back_judge.c proxy/back_model.c proxy/back_model.h \
	proxy/back_early.c proxy/back_owed.c proxy/back_record.c proxy/back_request.c \
	proxy/back_response.c proxy/back_scrub.c proxy/back_steps.c proxy/back_stream.c \
	proxy/back_pg.c proxy/back_pg.h proxy/back_ssh.c proxy/back_ssh.h \
	proxy/back_pipe.c proxy/back_raw.c proxy/back_raw.h \
	proxy/back_copy.c proxy/back_elsewhere.c \
	proxy/copysource.c proxy/copysource.h \
	proxy/back_via.c \
	proxy/binding.c proxy/binding.h \
	proxy/charset.c proxy/charset.h \
	proxy/codec.c proxy/codec.h proxy/codec_int.h \
	proxy/codec_decode.c proxy/codec_encode.c \
	proxy/deny.c proxy/deny.h \
	proxy/json_string.c proxy/json_string.h \
	proxy/dial.c proxy/dial.h proxy/dial_int.h proxy/dial_proxy.c \
	proxy/dialer.c \
	proxy/netaddr.c proxy/netaddr.h \
	proxy/scan.c proxy/scan.h \
	proxy/scrub.c proxy/scrub.h \
	proxy/shape.c proxy/shape.h \
	proxy/stub_prefix.c proxy/stub_prefix.h \
	proxy/seek.c proxy/seek.h proxy/seek_filter.c proxy/seek_int.h \
	proxy/seek_match.c proxy/seek_rewrite.c \
	proxy/swap.c proxy/swap.h proxy/swap_int.h \
	proxy/swap_apply.c proxy/swap_basic.c \
	proxy/swap_split.c proxy/swap_target.c \
	proxy/back_ws.c proxy/back_ws.h proxy/ws.c proxy/ws.h \
	proxy/upstream.c proxy/upstream.h proxy/upstream_int.h \
	proxy/upstream_conn.c proxy/upstream_h1.c proxy/upstream_h2.c \
	proxy/upstream_h2_in.c proxy/upstream_pool.c

# Protocols that are not HTTP.
libproxy_a_SOURCES += \
	proxy/pgwire.c proxy/pgwire.h \
	proxy/ssh_key.c proxy/ssh_key.h proxy/sshwire.c proxy/sshwire.h \
	proxy/scram.c proxy/scram.h

# front: capture sockets, DNS, the agent's side of HTTP.
libproxy_a_SOURCES += \
	proxy/dnswire.c proxy/dnswire.h \
	proxy/front.c proxy/front.h \
	proxy/front_conn.c proxy/front_crl.c proxy/front_dns.c \
	proxy/front_grpc.c proxy/front_grpc.h \
	proxy/front_ws.c proxy/ws_key.c proxy/ws_key.h \
	proxy/front_http.c proxy/front_h2.c proxy/front_h2.h \
	proxy/front_h2_stream.c proxy/front_exchange.c \
	proxy/front_listen.c proxy/front_raw.c proxy/front_request.c \
	proxy/front_tls.c \
	proxy/pool.c proxy/pool.h

# Stubs in bodies, and signatures.
libproxy_a_SOURCES += \
	proxy/sign_chunks.c proxy/sign_chunks.h \
	proxy/sign_hash.c proxy/sign_hash.h \
	proxy/sign_mac.c proxy/sign_mac.h \
	proxy/sign_sigv4.c proxy/sign_sigv4.h \
	proxy/sign_url.c proxy/sign_url.h \
	proxy/swap_body.c proxy/swap_body.h

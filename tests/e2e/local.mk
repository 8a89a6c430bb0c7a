# End to end: the installed commands against a private brigd and real programs.
E2E_LIST = tests/e2e/run.sh tests/e2e/clients.sh tests/e2e/codings.sh tests/e2e/git.sh \
	tests/e2e/http2.sh \
	tests/e2e/canary.sh tests/e2e/memory.sh tests/e2e/capture.sh \
	tests/e2e/sign.sh \
	tests/e2e/vault.sh \
	tests/e2e/processes.sh tests/e2e/kill.sh tests/e2e/badinput.sh \
	tests/e2e/install.sh tests/e2e/terminal.sh tests/e2e/output.sh \
	tests/e2e/trust.sh tests/e2e/model.sh
E2E_LIST += tests/e2e/idle.sh tests/e2e/ws_clients.sh
E2E_LIST += tests/e2e/postgres.sh tests/e2e/ssh.sh
E2E_LIST += tests/e2e/websocket.sh tests/e2e/inferd.sh
TESTS += $(E2E_LIST)
EXTRA_DIST += $(E2E_LIST) tests/e2e/http2_client.js \
	tests/e2e/http2_origin.js tests/e2e/grpc_play.py \
	tests/e2e/search.py tests/e2e/git_origin.py tests/e2e/sign_origin.py tests/e2e/oauth_origin.py tests/e2e/model_origin.py \
	tests/e2e/terminal.py
EXTRA_DIST += tests/e2e/idle.py tests/e2e/ws_client.py \
	tests/e2e/ws_origin.py
EXTRA_DIST += tests/e2e/ws_play.py tests/e2e/ws_http2.js
E2E_PKG = tests/e2e/packages.sh
TESTS += $(E2E_PKG)
EXTRA_DIST += $(E2E_PKG) tests/e2e/packages_origin.py

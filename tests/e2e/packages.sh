#!/bin/sh
# Package managers, unmodified, in the jail against a private registry: each has
# a stub where its manual puts the token, and the registry sees the real one.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

# registry NAME [TOKENS... MIRROR]: sets PORT; records to $T/NAME.seen.
registry() {
    registry_name=$1
    shift
    make_cert "$registry_name"
    : >"$T/$registry_name.seen"
    background python3 "$BRIG_SRCDIR/tests/e2e/packages_origin.py" \
        "$T/$registry_name.pem" "$T/$registry_name.key" \
        "https://$registry_name" "$T/$registry_name.seen" "$@" \
        >"$T/$registry_name.out" 2>"$T/$registry_name.err"
    wait_for 10 grep -q listening "$T/$registry_name.out"
    PORT=$(awk '/listening/ { print $2 }' "$T/$registry_name.out")
}

# token NAME SURFACE VARIABLE VALUE: a secret of the registry.
token() {
    printf %s "$4" | brig secret add "$1" --host "reg.test:$REG" \
        --surface "$2" --env "$3" >/dev/null
}

# seen WHAT PATH [HOST]: a request for PATH with that credential.
seen() {
    grep -qE "^[A-Z]+ $2(\?[^ ]*)? $1 " "$T/${3-reg.test}.seen" || {
        cut -d' ' -f1-3 "$T/${3-reg.test}.seen" | tail -n 12
        return 1
    }
}

# not_seen WHAT [HOST]: no line of the record has it.
not_seen() {
    ! grep -E -e "$1" "$T/${2-reg.test}.seen"
}

# in_jail CLIENT COMMAND...: it can be run there; a skip if not.
in_jail() {
    in_jail_client=$1
    shift
    job "cd /workspace && HOME=/workspace/home $*" || {
        skip "$in_jail_client" "$* does not work in a jail on this machine"
        return 1
    }
}

# with_home SCRIPT: a job whose home outlives it, in the workspace, where it
# writes down its stubs, too: they are new for every job.
with_home() {
    job "set -e; export HOME=/workspace/home; mkdir -p \$HOME
        cd /workspace
        printf '%s\n' \"\$NPM_TOKEN\" \"\$NPM_TOKEN_BASIC\" \
            \"\$PIP_TOKEN\" \"\$CARGO_REGISTRIES_CORP_TOKEN\" \
            \"\$GO_TOKEN\" >>stubs
        $1" || {
        cat "$T/job.out"
        return 1
    }
}

# stopped CREDENTIAL SCRIPT: a job that took it elsewhere, and failed.
stopped() {
    ! with_home "$2" &&
        audited '"SE401"' '"cdn.test"' "\"credential\":\"$1\""
}

# The tokens, in every spelling, are nowhere below the paths.
no_token() {
    for no_token_value in "$NPM" "$PIP" "$CARGO" "$GO"; do
        spellings "$no_token_value"
    done >"$T/spellings"
    ! grep -raliF -f "$T/spellings" "$@"
}

found_token() {
    ! no_token "$@" >/dev/null
}

# The registry and the mirror never saw the stub of a job.
no_stub() {
    [ "$(grep -cE '^.{20}' "$T/ws/stubs")" -ge 5 ] &&
        ! grep -vE '.{20}' "$T/ws/stubs" &&
        ! grep -F -f "$T/ws/stubs" "$T/reg.test.seen" "$T/cdn.test.seen" &&
        ! sent_basic reg.test | grep -F -f "$T/ws/stubs"
}

# sent_basic HOST: what stood in Basic authentication, decoded.
sent_basic() {
    grep -oE 'Basic [A-Za-z0-9+/=]+' "$T/$1.seen" | while read -r _ word; do
        printf %s "$word" | base64 -d
        echo
    done
}

attack_setup packages
NPM=$(random_token)
PIP=$(random_token)
CARGO=$(random_token)
GO=$(random_token)
registry cdn.test
CDN=$PORT
registry reg.test "$NPM" "$PIP" "$CARGO" "$GO" "https://cdn.test:$CDN"
REG=$PORT
stop_brigd
echo "resolve reg.test 127.0.0.1" >>"$T/brigd.conf"
echo "resolve cdn.test 127.0.0.1" >>"$T/brigd.conf"
attack_policy "allow http {GET,PUT} https://reg.test:$REG/**;" \
    "allow http {GET,PUT} https://cdn.test:$CDN/**;" \
    "allow net 127.0.0.1:$REG; allow net 127.0.0.1:$CDN;"
start_brigd
token npm header:Authorization NPM_TOKEN "$NPM"
token npm-basic basic NPM_TOKEN_BASIC "$NPM"
token pip basic PIP_TOKEN "$PIP"
token cargo header:Authorization CARGO_REGISTRIES_CORP_TOKEN "$CARGO"
token go basic GO_TOKEN "$GO"

# Control: the registry wants a token, and the mirror writes down what it gets.
direct_curl reg.test "$REG" -o /dev/null -w '%{http_code}' \
    -H "Authorization: Bearer no" "https://reg.test:$REG/npm/@corp/widget"
check "the registry refuses a wrong token" grep -q 401 "$T/outside.out"
check "and has it on record" seen other /npm/@corp/widget
direct_curl cdn.test "$CDN" -o /dev/null -H "Authorization: Bearer no" \
    "https://cdn.test:$CDN/npm/@corp/control"
check "so has another host" seen other /npm/@corp/control cdn.test
direct_curl reg.test "$REG" -o /dev/null -H "Authorization: Bearer $NPM" \
    "https://reg.test:$REG/npm/@corp/widget"
check "and a search finds what the registry had" found_token \
    "$T/reg.test.seen"
: >"$T/reg.test.seen"
: >"$T/cdn.test.seen"

with_home true

# npm: the variable is named in .npmrc,
# https://docs.npmjs.com/using-private-packages-in-a-ci-cd-workflow.
N="//reg.test:$REG/npm/"
QUIET='export npm_config_audit=false npm_config_fund=false
    npm_config_update_notifier=false npm_config_fetch_retries=0;'
if in_jail npm "npm --version"; then
    mkdir -p "$T/ws/npm"
    echo '{"name": "job", "version": "1.0.0"}' >"$T/ws/npm/package.json"
    cat >"$T/ws/npm/.npmrc" <<EOF
@corp:registry=https:$N
$N:_authToken=\${NPM_TOKEN}
EOF
    check "npm: install" with_home "$QUIET cd npm
        npm install @corp/widget @corp/moved
        test \"\$(node -p 'require(\"@corp/widget\")')\" = 'widget 1.0.0'
        test \"\$(node -p 'require(\"@corp/moved\")')\" = 'moved 1.0.0'"
    check "npm: the index saw the real token" seen real /npm/@corp%2fwidget
    check "npm: so did the download" seen real \
        /npm/@corp/widget/-/widget-1.0.0.tgz
    check "npm: a redirect to another host is followed without it" seen none \
        /npm/@corp/moved/-/moved-1.0.0.tgz cdn.test
    rm -rf "$T/ws/npm/node_modules" "$T/ws/home/.npm"
    check "npm: ci, from the lock file" with_home "$QUIET cd npm; npm ci
        test -e node_modules/@corp/widget/index.js"
    check "npm: whoami" with_home "$QUIET cd npm
        test \"\$(npm whoami --registry https:$N)\" = robot"
    check "npm: publish" with_home "$QUIET mkdir -p gadget; cd gadget
        cp ../npm/.npmrc .
        echo '{\"name\": \"@corp/gadget\", \"version\": \"2.0.0\"}' \
            >package.json; npm publish"
    check "npm: that had the real token, too" grep -qE \
        '^PUT /npm/@corp(%2f|/)gadget real ' "$T/reg.test.seen"
    check "npm: login by user and password" with_home "$QUIET
        mkdir -p basic; cd basic
        printf '%s\n' '@corp:registry=https:$N' '$N:username=robot' \
            '$N:_password='\$(printf %s \"\$NPM_TOKEN_BASIC\" | base64 -w0) \
            >.npmrc
        npm view @corp/widget version | grep -q 1.0.0"
    check "npm: another host gets nothing" stopped npm "$QUIET
        mkdir -p wrong; cd wrong
        echo '//cdn.test:$CDN/npm/:_authToken=\${NPM_TOKEN}' >.npmrc
        npm view --registry https://cdn.test:$CDN/npm/ @corp/wrong"
fi

# pip: the stub in the URL of the index, or in ~/.netrc,
# https://pip.pypa.io/en/stable/topics/authentication/.
P="reg.test:$REG/pip/simple/"
INSTALL="/usr/bin/python3 -m pip install --no-cache-dir --no-input
    --disable-pip-version-check --retries 0 -q"
INSTALL=$(echo "$INSTALL" | tr '\n' ' ')
if in_jail pip "/usr/bin/python3 -m pip --version"; then
    check "pip: install, token in the URL of the index" with_home "
        export PIP_INDEX_URL=\"https://__token__:\$PIP_TOKEN@$P\"
        $INSTALL --target site widget moved; cd site
        /usr/bin/python3 -c '
import widget, moved
assert widget.what == \"widget 1.0\" and moved.what == \"moved 1.0\"'"
    check "pip: the index saw the real token" seen real /pip/simple/widget/
    check "pip: so did the download" seen real \
        /pip/files/widget-1.0-py3-none-any.whl
    check "pip: a redirect to another host is followed without it" seen none \
        /pip/files/moved-1.0-py3-none-any.whl cdn.test
    check "pip: install, token in netrc" with_home "
        echo \"machine reg.test login __token__ password \$PIP_TOKEN\" \
            >\$HOME/.netrc; chmod 600 \$HOME/.netrc
        $INSTALL --target site2 --index-url https://$P widget
        test -e site2/widget.py"
    check "pip: index in a configuration file" with_home "
        rm \$HOME/.netrc
        printf '[global]\nindex-url = https://__token__:%s@%s\n' \
            \"\$PIP_TOKEN\" $P >pip.conf
        PIP_CONFIG_FILE=/workspace/pip.conf $INSTALL --target site3 widget
        test -e site3/widget.py"
    check "pip: another host gets nothing" stopped pip "
        $INSTALL --target site4 \
            --index-url https://__token__:\$PIP_TOKEN@cdn.test:$CDN/pip/wrong/ \
            widget"
fi

# cargo sets LD_LIBRARY_PATH for all that it starts.
if in_jail cargo "cargo --version && rustc --version && cc --version"; then
    mkdir -p "$T/ws/plain/src"
    printf '[package]\nname = "plain"\nversion = "0.1.0"\n' \
        >"$T/ws/plain/Cargo.toml"
    echo 'fn main() { println!("cargo:rustc-env=N=42"); }' \
        >"$T/ws/plain/build.rs"
    echo 'fn main() { println!("{}", env!("N")); }' >"$T/ws/plain/src/main.rs"
    build='cd plain && CARGO_HOME=/tmp/cargo cargo run --offline --quiet'
    check "cargo: build is refused without a word of the policy" sh -c \
        '! brig run -w "$T/ws" -- sh -c "$0" >"$T/job.out" 2>&1 &&
            grep -q "built-in: LD_\*" "$T/job.out"' "$build"
    echo 'profile cargo extends default { sandbox variable LD_LIBRARY_PATH; }' \
        >>"$T/policy/default.policy"
    brig policy reload >/dev/null
    rm -rf "$T/ws/plain/target"
    check "cargo: build with sandbox variable LD_LIBRARY_PATH" sh -c \
        '[ "$(brig run -p cargo -w "$T/ws" -- sh -c "$0")" = 42 ]' "$build"
fi

# cargo: the variable of the registry, or what `cargo login` writes,
# https://doc.rust-lang.org/cargo/reference/registry-authentication.html.
# Registries that want a token for downloads: since 1.74.
if in_jail cargo "cargo --version" &&
    { [ "$(awk '{ split($2, v, "."); print v[2] + 0 }' "$T/job.out")" -ge 74 ] ||
        { skip cargo "$(cat "$T/job.out") sends no token for downloads" &&
            false; }; }; then
    mkdir -p "$T/ws/crate/src" "$T/ws/crate/.cargo"
    cat >"$T/ws/crate/Cargo.toml" <<EOF
[package]
name = "gadget"
version = "2.0.0"
edition = "2021"
description = "d"
license = "MIT"
[dependencies]
widget = { version = "1", registry = "corp" }
moved = { version = "1", registry = "corp" }
EOF
    cat >"$T/ws/crate/.cargo/config.toml" <<EOF
[registries.corp]
index = "sparse+https://reg.test:$REG/cargo/index/"
[registry]
global-credential-providers = ["cargo:token"]
[net]
retry = 0
EOF
    echo 'pub fn f() -> String { [widget::WHAT, moved::WHAT].concat() }' \
        >"$T/ws/crate/src/lib.rs"
    check "cargo: fetch" with_home "cd crate; cargo fetch
        grep -q 'widget 1.0.0' \
            \$HOME/.cargo/registry/src/*/widget-1.0.0/src/lib.rs
        grep -q 'moved 1.0.0' \
            \$HOME/.cargo/registry/src/*/moved-1.0.0/src/lib.rs"
    check "cargo: the index saw the real token" seen real \
        /cargo/index/wi/dg/widget
    check "cargo: so did the download" seen real \
        /cargo/dl/widget/1.0.0/download
    check "cargo: a redirect to another host is followed without it" seen none \
        /cargo/dl/moved/1.0.0/download cdn.test
    check "cargo: login, then publish without the variable" with_home "cd crate
        printf %s \"\$CARGO_REGISTRIES_CORP_TOKEN\" |
            cargo login --registry corp
        unset CARGO_REGISTRIES_CORP_TOKEN
        grep -q token \$HOME/.cargo/credentials.toml
        cargo publish --registry corp --allow-dirty --no-verify"
    check "cargo: that had the real token, too" seen real \
        /cargo/api/v1/crates/new
    check "cargo: another host gets nothing" stopped cargo "
        sed -i s,reg.test:$REG/cargo/index,cdn.test:$CDN/cargo/wrong, \
            crate/.cargo/config.toml
        rm -rf \$HOME/.cargo crate/Cargo.lock; cd crate
        cargo fetch"
fi

# go: the stub in the URL of the proxy, or in ~/.netrc,
# https://go.dev/ref/mod#private-module-proxy-auth.
G="reg.test:$REG/go"
GOENV='export GOSUMDB=off GOFLAGS=-modcacherw GOTOOLCHAIN=local'
if in_jail go "go version"; then
    mkdir -p "$T/ws/gomod"
    check "go: get, token in the URL of the proxy" with_home "$GOENV
        export GOPROXY=\"https://robot:\$GO_TOKEN@$G\"; cd gomod
        rm -f \$HOME/.netrc
        go mod init job.test; go get corp.test/widget corp.test/moved
        go mod verify
        grep -q 'What = \"widget 1.0.0\"' \
            \$(go list -m -f '{{.Dir}}' corp.test/widget)/what.go"
    check "go: the index saw the real token" seen real \
        /go/corp.test/widget/@v/list
    check "go: so did the download" seen real \
        /go/corp.test/widget/@v/v1.0.0.zip
    check "go: a redirect to another host is followed without it" seen none \
        /go/corp.test/moved/@v/v1.0.0.zip cdn.test
    check "go: download, token in netrc" with_home "$GOENV
        echo \"machine reg.test login robot password \$GO_TOKEN\" \
            >\$HOME/.netrc; chmod 600 \$HOME/.netrc
        go clean -modcache
        GOPROXY=https://$G go mod download corp.test/widget@v1.0.0"
    check "go: another host gets nothing" stopped go "$GOENV
        go clean -modcache
        export GOPROXY=\"https://robot:\$GO_TOKEN@cdn.test:$CDN/go/wrong\"
        go mod download corp.test/widget@v1.0.0"
fi

check "the registry had the real tokens or none" not_seen \
    '^[A-Z]+ [^ ]+ other '
check "the other host had none" not_seen '^[A-Z]+ [^ ]+ (other|real) ' cdn.test
check "nor a request that was meant to bring one" not_seen \
    '@corp(%2f|/)wrong|/(pip|go)/wrong' cdn.test
check "no stub went out" no_stub
check "the configuration files of the clients hold no real token" \
    no_token "$T/ws"
check "and no audit record, either" no_token "$T/log"
attack_end

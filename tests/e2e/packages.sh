#!/bin/sh
# Package managers with the token of a private registry: the stub is set up in
# the job the way each of them wants it, and the registry gets the token.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

attack_setup packages
make_cert pkg.test
background python3 "$BRIG_SRCDIR/tests/e2e/packages_origin.py" \
    "$T/pkg.test.pem" "$T/pkg.test.key" "$CANARY" \
    >"$T/pkg.test.out" 2>"$T/pkg.test.err"
wait_for 10 grep -q listening "$T/pkg.test.out"
PKG=$(awk '/listening/ { print $2 }' "$T/pkg.test.out")
stop_brigd
echo "resolve pkg.test 127.0.0.1" >>"$T/brigd.conf"
attack_policy "allow http {GET,HEAD,POST} https://pkg.test:$PKG/**;" \
    "allow net 127.0.0.1:$PKG;"
start_brigd
printf %s "$CANARY" | brig secret add pkg --host "pkg.test:$PKG" \
    --surface header:Authorization --surface basic --env PKG_TOKEN >/dev/null

# has PROGRAM...: can a job run it?
has() {
    PATH=/usr/bin:/bin "$@" >/dev/null 2>&1
}
# client NAME SCRIPT: it gets its package, and the registry the token only.
client() {
    check "$1: the package arrives" job "set -e; cd /tmp; $2"
    check "$1: the registry got the token" sh -c '
        grep -q "token ok $1" "$T/pkg.test.err" &&
        ! grep "token wrong" "$T/pkg.test.err"' - "$3"
}
without() {
    skip "$1: the package arrives" "$1 is missing"
    skip "$1: the registry got the token" "$1 is missing"
}

check "control: the registry wants a token" sh -c '
    curl -sS --cacert "$T/ca.pem" --resolve "pkg.test:$1:127.0.0.1" \
        -o /dev/null -w "%{http_code}" "https://pkg.test:$1/brigpkg" |
        grep -q 401' - "$PKG"
if has npm --version; then
    client npm "printf '%s\n' 'registry=https://pkg.test:$PKG/' \
        '//pkg.test:$PKG/:_authToken=\${PKG_TOKEN}' >.npmrc
        echo '{\"name\":\"x\",\"version\":\"1.0.0\"}' >package.json
        npm install --no-audit --no-fund --no-update-notifier brigpkg
        grep -q 1.0.0 node_modules/brigpkg/package.json" /brigpkg/-/
else
    without npm
fi
if has /usr/bin/python3 -m pip --version; then
    client pip "/usr/bin/python3 -m pip download --no-deps --no-cache-dir \
        --disable-pip-version-check -d out \
        -i https://bob:\$PKG_TOKEN@pkg.test:$PKG/simple/ brigpkg
        test -s out/brigpkg-1.0.0-py3-none-any.whl" /files/
else
    without pip
fi
if has go version; then
    client go "export HOME=/tmp GOPATH=/tmp/go GOCACHE=/tmp/cache \
        GOPROXY=https://pkg.test:$PKG/go GOSUMDB=off GOTOOLCHAIN=local
        echo \"machine pkg.test login bob password \$PKG_TOKEN\" >.netrc
        /usr/bin/go mod init x >/dev/null 2>&1
        /usr/bin/go mod download brig.example/mod@v1.0.0
        test -s go/pkg/mod/brig.example/mod@v1.0.0/mod.go" /go/
else
    without go
fi
# Registries with a token came with cargo 1.74.
if has sh -c '/usr/bin/cargo --version | grep -qE "1\.(7[4-9]|[89]|[1-9][0-9]{2})"'; then
    client cargo "export HOME=/tmp CARGO_HOME=/tmp/.cargo
        export CARGO_REGISTRIES_BRIG_TOKEN=\$PKG_TOKEN
        mkdir -p .cargo src && : >src/lib.rs
        printf '%s\n' '[registries.brig]' \
            'index = \"sparse+https://pkg.test:$PKG/cargo/\"' '[registry]' \
            'global-credential-providers = [\"cargo:token\"]' >.cargo/config.toml
        printf '%s\n' '[package]' 'name = \"x\"' 'version = \"1.0.0\"' \
            '[dependencies]' \
            'brigpkg = { version = \"1\", registry = \"brig\" }' >Cargo.toml
        /usr/bin/cargo fetch
        ls .cargo/registry/cache/*/brigpkg-1.0.0.crate" /cargo/dl/
else
    skip "cargo: the package arrives" "cargo is missing or old"
    skip "cargo: the registry got the token" "cargo is missing or old"
fi
attack_end

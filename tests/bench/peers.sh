#!/bin/sh
# Install what the benchmarks compare with, from Debian.
set -eu
[ "$(id -u)" = 0 ] || { echo "bench-peers: run as root" >&2; exit 1; }
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    # Neither squid nor nginx is to start as a service here.
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT
fi
packages="bubblewrap squid-openssl sslsplit mitmproxy nghttp2-client python3"
command -v nginx >/dev/null 2>&1 || packages="$packages nginx-light"
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    $packages

#!/bin/sh
# into.sh ROOT INSTALLED SYSTEMD.SH OUT: put what "make install" installed into
# a root folder, and a unit that runs SYSTEMD.SH (as ROOT names it) when
# systemd has booted there, writes to OUT and switches off.
set -eu
root=$1
cp -a "$2/." "$root/"
conf=$(cd "$root" && find etc usr/local/etc -path '*/brig/brigd.conf')
# What is on the serial line when the machine is switched off is lost.
cat >"$root/etc/systemd/system/brig-check.service" <<EOF
[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
ExecStart=/bin/sh -c 'exec >$4 2>&1; ! [ -t 1 ] || stty -opost <$4; \
    echo "# systemd: \$\$(uname -r)"; \
    sh $3 /${conf%/*}; echo "# systemd: end"; sleep 2'
EOF
mkdir -p "$root/etc/systemd/system/default.target.wants"
ln -sf ../brig-check.service \
    "$root/etc/systemd/system/default.target.wants/brig-check.service"
# Nothing else is wanted of this machine; a terminal is not there.
for unit in getty@tty1.service nginx.service systemd-networkd.service \
    systemd-resolved.service apt-daily.timer apt-daily-upgrade.timer \
    man-db.timer e2scrub_reap.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

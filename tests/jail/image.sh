#!/bin/bash
# shellcheck disable=SC2016,SC2034,SC2015
# A folder, an archive or an image in the place of the host's /usr; what hostile
# ones try, and that what is refused leaves nothing behind.
set -u
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
export BRIG_UNPACK=$build/brig-unpack
busybox=$(command -v busybox)
if [ -z "$busybox" ]; then
	skip_all "no busybox"
fi

# Others mount and unmount meanwhile.
if [ -z "${BRIG_TEST_NS-}" ]; then
	BRIG_TEST_NS=1 exec unshare -m --propagation private "$0" "$@"
fi

tmp=$(mktemp -d /var/tmp/brig-image.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
mkdir "$tmp/ws" "$tmp/state" "$tmp/root" "$tmp/evil" "$tmp/outside"
chown 1234:1235 "$tmp/ws"
echo host >"$tmp/outside/f"

# A system in a folder.
cd "$tmp/root" || exit 1
mkdir -p bin usr/bin etc/ssl opt/tool proc/x dev home/x tmp/x var/lib
cp -L "$busybox" bin/busybox
for l in $(ldd "$busybox" | grep -o '/[^ ]*'); do
	mkdir -p ".$(dirname "$l")"
	cp -L "$l" ".$l"
done
for a in sh cat ls touch mkdir grep sort stat head sleep; do
	ln -s busybox bin/$a
done
echo ID=image >etc/os-release
echo root:hash >etc/shadow
echo image >opt/tool/f
ln -s /etc/shadow opt/absolute
ln opt/tool/f opt/hard
cd / || exit 1
tar -C "$tmp/root" -cf "$tmp/r.tar" .
gzip -k "$tmp/r.tar"
xz -k "$tmp/r.tar"
tar -C "$tmp/root" -caf "$tmp/r.tar.zst" . 2>/dev/null || rm -f "$tmp/r.tar.zst"
kinds="root r.tar r.tar.gz r.tar.xz"
[ ! -e "$tmp/r.tar.zst" ] || kinds="$kinds r.tar.zst"
if [ -e /dev/loop-control ] && command -v mksquashfs >/dev/null &&
    { grep -qw squashfs /proc/filesystems || modprobe -nq squashfs; }; then
	mksquashfs "$tmp/root" "$tmp/r.sqfs" -quiet -no-progress >/dev/null
	kinds="$kinds r.sqfs"
else
	skip squashfs_image "no loop devices, squashfs or mksquashfs"
fi

jail() { "$run" -S "$tmp/state" -w "$tmp/ws" "$@"; }
# What must be as it was: mounts, loop devices, processes, half-made folders.
left()
{
	cut -d ' ' -f 3- /proc/self/mountinfo
	losetup -a | grep "$tmp"
	for p in $(pgrep -x brig-unpack); do
		readlink "/proc/$p/cwd"
	done | grep "$tmp"
	find "$tmp/state/roots" -maxdepth 1 -name .new 2>/dev/null
}

is "$("$run" sh -c 'grep ^ID= /etc/os-release; ls /opt/tool' 2>/dev/null |
    grep -c image)" 0 control_without_it_the_system_is_the_hosts
for k in $kinds; do
	image=$tmp/$k
	is "$(jail -I "$image" sh -c 'cat /etc/os-release /opt/tool/f /opt/hard
	    id -u; ls -A /root /boot 2>/dev/null; cat /opt/absolute 2>/dev/null
	    ls /usr/bin | head -n 1' 2>/dev/null)" "ID=image
image
image" "the_system_is_that_of_${k//./_}"
	is "$(jail -I "$image" sh -c 'for d in / /usr /bin /opt /opt/tool /etc; do
	    touch $d/x 2>/dev/null && echo $d; done; echo x >/workspace/f
	    cat /workspace/f; rm /workspace/f 2>/dev/null')" x \
	    "nothing_of_it_can_be_written_${k//./_}"
	is "$(jail -I "$image" sh -c 'grep -E " /(bin|opt|usr) " /proc/mounts |
	    grep -vc "ro,nosuid,nodev"; ls -d /proc/self >/dev/null; ls /dev/null
	    ls -A /home; ls -A /tmp')" "0
/dev/null
agent" "its_own_proc_dev_home_tmp_do_not_count_${k//./_}"
done
rm -rf "$tmp/root.gone"
is "$(find "$tmp/state/roots" -maxdepth 1 -type d -name '????????*' | wc -l)" \
    "$(for k in $kinds; do case $k in *tar*) echo; esac; done | wc -l)" \
    an_archive_is_unpacked_once
cp "$tmp/r.tar" "$tmp/copy.tar"
is "$(jail -I "$tmp/copy.tar" cat /opt/tool/f; find "$tmp/state/roots" \
    -maxdepth 1 -type d -name '????????*' | wc -l)" "image
$(for k in $kinds; do case $k in *tar*) echo; esac; done | wc -l)" \
    the_same_content_elsewhere_is_known
is "$(find "$tmp/state/roots" ! -uid 0 | wc -l) $(stat -c %a \
    "$tmp/state/roots")" "0 700" what_was_unpacked_is_roots
# Two at once unpack it once.
rm -rf "$tmp/state/roots"
jail -I "$tmp/r.tar" cat /opt/tool/f >"$tmp/a" &
jail -I "$tmp/r.tar" cat /opt/tool/f >"$tmp/b"
wait
is "$(cat "$tmp/a" "$tmp/b"; find "$tmp/state/roots" -maxdepth 1 -type d \
    -name '????????*' | wc -l)" "image
image
1" two_jobs_at_once_share_it

# Few are kept.
for i in 1 2 3 4 5 6; do
	cp "$tmp/r.tar" "$tmp/n$i.tar"
	head -c "$i" /dev/zero >>"$tmp/n$i.tar"
done
mkfifo "$tmp/go"
jail -I "$tmp/r.tar" sh -c 'echo there; read -r _; cat /opt/tool/f' \
    <"$tmp/go" >"$tmp/out" &
exec 9>"$tmp/go"
for i in $(seq 100); do grep -q there "$tmp/out" && break; sleep 0.05; done
for i in 1 2 3 4 5 6; do
	jail -I "$tmp/n$i.tar" sh -c : 9>&-
done
is "$(find "$tmp/state/roots" -maxdepth 1 -type d -name '????????*' | wc -l)" \
    5 four_are_kept_and_that_of_a_running_job
is "$(find "$tmp/state/roots" -name 'at-*' | wc -l)" 5 \
    and_no_more_is_remembered
echo >&9
exec 9>&-
wait
is "$(tail -n 1 "$tmp/out")" image the_running_job_still_has_its_own
is "$(jail -I "$tmp/n1.tar" cat /opt/tool/f)" image \
    one_that_was_removed_is_unpacked_again

# Who may write the image.
bad()
{
	local before after

	before=$(left)
	timeout 60 "$run" -S "$tmp/state" -w "$tmp/ws" -I "$1" true 2>"$tmp/err"
	is "$? $(wc -l <"$tmp/err") $(grep -c "sandbox root $1: .*$2" \
	    "$tmp/err")" "125 1 1" "$3"
	[ "$(wc -l <"$tmp/err")" = 1 ] && grep -q "$2" "$tmp/err" ||
	    sed 's/^/# /' "$tmp/err"
	after=$(left)
	[ "$before" = "$after" ] || is "$after" "$before" "${3}_leaves_nothing"
}
cp "$tmp/r.tar" "$tmp/w.tar"
chmod 666 "$tmp/w.tar"
bad "$tmp/w.tar" 'others than root' others_can_write_the_archive
chmod 644 "$tmp/w.tar"
chown 1234 "$tmp/w.tar"
bad "$tmp/w.tar" 'others than root' somebody_elses_archive
mkdir "$tmp/theirs"
cp "$tmp/r.tar" "$tmp/theirs/"
chown 1234 "$tmp/theirs"
bad "$tmp/theirs/r.tar" 'others than root' in_a_folder_of_somebody_else
ln -s r.tar "$tmp/link.tar"
bad "$tmp/link.tar" 'link.tar' behind_a_symbolic_link
bad "$tmp/none.tar" 'No such file' not_there
mkfifo "$tmp/pipe"
bad "$tmp/pipe" 'neither folder nor file' a_pipe
mkdir "$tmp/empty"
bad "$tmp/empty" 'neither /usr nor /bin' a_folder_without_a_system

# Not an archive, or not a whole one.
: >"$tmp/zero"
bad "$tmp/zero" '' an_empty_file
head -c 100k /dev/urandom >"$tmp/noise"
bad "$tmp/noise" '' noise
head -c 600k "$tmp/r.tar" >"$tmp/cut.tar"
bad "$tmp/cut.tar" '' an_archive_that_is_cut_off
head -c 300k "$tmp/r.tar.gz" >"$tmp/cut.tar.gz"
bad "$tmp/cut.tar.gz" '' a_compressed_archive_that_is_cut_off
head -c 300k "$tmp/r.tar.xz" >"$tmp/cut.tar.xz"
bad "$tmp/cut.tar.xz" '' an_xz_archive_that_is_cut_off
{ head -c 500k "$tmp/r.tar.gz"; head -c 200k /dev/zero; } >"$tmp/bad.tar.gz"
bad "$tmp/bad.tar.gz" '' a_compressed_archive_with_other_bytes_in_it
printf 'hsqs' | cat - "$tmp/noise" >"$tmp/bad.sqfs"
bad "$tmp/bad.sqfs" '' a_squashfs_image_of_noise
if [ -e "$tmp/r.sqfs" ]; then
	head -c 200k "$tmp/r.sqfs" >"$tmp/cut.sqfs"
	bad "$tmp/cut.sqfs" '' a_squashfs_image_that_is_cut_off
fi

# Hostile entries.
make_evil()
{
	python3 - "$tmp/root" "$tmp/evil" "$tmp/outside" <<'PY'
import io, os, sys, tarfile
root, out, outside = sys.argv[1:]
def member(name, kind=tarfile.REGTYPE, link="", data=b"", mode=0o644, size=None):
    t = tarfile.TarInfo(name)
    t.type, t.linkname, t.mode = kind, link, mode
    t.size = len(data) if size is None else size
    return t, data
def make(name, *members):
    with tarfile.open(f"{out}/{name}.tar", "w", format=tarfile.GNU_FORMAT) as t:
        for d in "bin", "lib", "lib64":
            if os.path.exists(f"{root}/{d}"):
                t.add(f"{root}/{d}", d)
        for m, data in members:
            t.addfile(m, io.BytesIO(data))
S, H = tarfile.SYMTYPE, tarfile.LNKTYPE
x = b"evil\n"
make("absolute", member(outside + "/evil", data=x))
make("up", member("../../../outside/evil", data=x))
make("up-middle", member("bin/../../evil", data=x))
make("link-up", member("opt", S, "../../outside"))
make("through-link", member("opt", S, outside), member("opt/evil", data=x))
make("over-link", member("opt", S, outside + "/f"), member("opt", data=x))
make("hard-out", member("opt", H, outside + "/f"))
make("hard-up", member("opt", H, "../../outside/f"))
make("hard-link", member("opt", S, outside + "/f"), member("o2", H, "opt"))
make("hard-none", member("opt", H, "nothing"))
make("char", member("opt/null", tarfile.CHRTYPE))
make("block", member("opt/sda", tarfile.BLKTYPE))
make("pipe", member("opt/pipe", tarfile.FIFOTYPE))
make("twice", member("opt/f", data=x), member("opt/f", data=x))
make("deep", member("/".join(["d"] * 120) + "/f", data=x))
make("file-as-folder", member("opt", data=x), member("opt/f", data=x))
# Claims more than it holds.
with tarfile.open(f"{out}/claims.tar", "w") as t:
    t.add(root + "/bin", "bin")
    t.fileobj.write(member("opt", size=1 << 40)[0].tobuf())
# Fine, in the end.
make("setuid", member("opt/su", data=x, mode=0o6755),
     member("opt/dir", tarfile.DIRTYPE, mode=0o7777))
make("etc-link", member("etc", S, outside), member("workspace", S, "/bin"),
     member("proc", S, "/bin"), member("home", S, "/bin"),
     member("var", S, "/bin"), member("opt", S, "/proc/1/root"))
make("usr-link", member("usr", S, "/"))
PY
	# A hole of 40 GB, and a few bytes that unpack to many.
	truncate -s 40G "$tmp/evil/hole"
	tar -C "$tmp" -cSf "$tmp/evil/sparse.tar" evil/hole root/bin \
	    --transform 's,^root/,,'
	rm "$tmp/evil/hole"
	truncate -s 200M "$tmp/evil/bomb"
	tar -C "$tmp/evil" -czf "$tmp/evil/bomb.tar.gz" bomb
	rm "$tmp/evil/bomb"
}
make_evil
touch "$tmp/stamp"
bad "$tmp/evil/absolute.tar" 'absolute path' entry_with_an_absolute_name
bad "$tmp/evil/up.tar" 'leads out' entry_that_climbs
bad "$tmp/evil/up-middle.tar" 'leads out' entry_that_climbs_on_the_way
bad "$tmp/evil/link-up.tar" 'leads out' link_that_climbs
bad "$tmp/evil/through-link.tar" 'not a folder' entry_behind_a_link
bad "$tmp/evil/over-link.tar" 'File exists' entry_over_a_link
bad "$tmp/evil/hard-out.tar" 'absolute path' hard_link_to_an_absolute_name
bad "$tmp/evil/hard-up.tar" 'leads out' hard_link_that_climbs
bad "$tmp/evil/hard-link.tar" 'linked to no file' hard_link_to_a_link
bad "$tmp/evil/hard-none.tar" 'linked to no file' hard_link_to_nothing
for k in char block pipe; do
	bad "$tmp/evil/$k.tar" 'a device, pipe or socket' "entry_of_kind_$k"
done
bad "$tmp/evil/twice.tar" 'File exists' the_same_name_twice
bad "$tmp/evil/deep.tar" 'too deep' too_deep
bad "$tmp/evil/file-as-folder.tar" 'not a folder' a_file_used_as_a_folder
bad "$tmp/evil/claims.tar" '' a_size_that_is_not_there
before=$(left)
jail -I "$tmp/evil/usr-link.tar" true 2>"$tmp/err"
is "$? $(grep -c 'image: link /usr: File exists' "$tmp/err") $(left)" \
    "125 1 $before" usr_that_is_a_link
size=$(du -sk "$tmp/state" | cut -f 1)
jail -I "$tmp/evil/sparse.tar" true 2>/dev/null
is $(($(du -sk "$tmp/state" | cut -f 1) - size < 20000)) 1 a_hole_takes_no_room
is "$(unshare -m sh -c 'mount --make-rprivate /
    mount -t tmpfs -o size=32m,mode=755 none "$1"
    "$2" -S "$1" -I "$3" true 2>&1; ls "$1/roots"; df --output=used "$1" |
    tail -n 1' sh "$tmp/ws" "$run" "$tmp/evil/bomb.tar.gz" |
    sed 's/^.*bomb: larger than.*$/refused/; s/^at-.*$//; s/ *[0-9]$//')" \
    "refused

lock" a_bomb_does_not_fill_the_disk
is "$(cat "$tmp/outside"/*)" host nothing_was_written_outside
is "$(find "$tmp/outside" -newer "$tmp/stamp")" "" nor_touched
is "$(jail -I "$tmp/evil/setuid.tar" stat -c %a /opt/su /opt/dir)" "755
777" set_id_and_sticky_bits_are_dropped
# Where the jail mounts its own the image has links.
is "$(jail -I "$tmp/evil/etc-link.tar" sh -c 'cat /etc/f 2>/dev/null
    cat /etc/passwd | head -n 1; ls -A ~; ls /proc/self/status
    cat '"$tmp/outside/f /opt$tmp/outside/f"' 2>/dev/null
    echo x >/workspace/f && cat /workspace/f')" "root:x:0:0:root:/:/usr/sbin/nologin
/proc/self/status
x" links_where_the_jail_mounts_lead_nowhere
cp -r "$tmp/root" "$tmp/links"
rm -r "$tmp/links/etc" "$tmp/links/dev" "$tmp/links/home"
ln -s "$tmp/outside" "$tmp/links/etc"
ln -s / "$tmp/links/dev"
ln -s "$tmp/outside" "$tmp/links/workspace"
ln -s "$tmp/outside" "$tmp/links/home"
is "$(jail -I "$tmp/links" sh -c 'cat /etc/f /home/f 2>/dev/null; ls /dev/null
    echo y >/workspace/f; echo z >~/f'; cat "$tmp/outside/f" "$tmp/ws/f")" \
    "/dev/null
host
y" links_in_a_folder_lead_nowhere

# What a crash leaves is swept by the next.
mkdir -p "$tmp/state/roots/.new/a/b"
chmod 0 "$tmp/state/roots/.new/a"
cp "$tmp/r.tar" "$tmp/next.tar"
echo >>"$tmp/next.tar"
is "$(jail -I "$tmp/next.tar" cat /opt/tool/f)" image a_half_made_one_is_swept
chmod 755 "$tmp/state/roots"
cp "$tmp/next.tar" "$tmp/last.tar"
echo >>"$tmp/last.tar"
bad "$tmp/last.tar" "not root's alone" a_cache_open_to_others
BRIG_UNPACK=/nonexistent
chmod 700 "$tmp/state/roots"
bad "$tmp/last.tar" 'nonexistent: No such file' no_program_to_unpack_with
settled()
{
	local i

	for i in $(seq 100); do
		losetup -a | grep -q "$tmp" || return 0
		sleep 0.05
	done
	return 1
}
settled
ok $? no_loop_device_is_left

finish

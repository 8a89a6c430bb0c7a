"""Everything of a brigd and its jobs that could stay behind, one thing a line.

  leaks.py PID DIR BASE COUNT

PID is the parent, DIR holds run/ and state/, BASE and COUNT are its job uids.
Compare two of them, taken when no job runs.  Not listed is what is meant to
stay: the folder, output and timing of a job that has ended.
"""
import collections
import glob
import os
import re
import sys

out = collections.Counter()
spaces = {name: set() for name in
          ('cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts')}


def text(path):
    try:
        with open(path, 'rb') as f:
            return f.read().decode(errors='replace')
    except OSError:
        return ''


def links(folder):
    """What the entries of a folder of /proc point to."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            yield name, os.readlink(f'{folder}/{name}')
        except OSError:
            pass


def role_of(pid):
    args = text(f'/proc/{pid}/cmdline').split('\0')
    if '-x' in args:
        return args[args.index('-x') + 1]
    return os.path.basename(args[0]) or text(f'/proc/{pid}/comm').strip()


def processes():
    """Of the daemon's tree, and whoever has a job's uid."""
    children, uid = collections.defaultdict(list), {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        stat = text(f'/proc/{pid}/stat').rpartition(')')[2].split()
        try:
            uid[int(pid)] = os.stat(f'/proc/{pid}').st_uid
        except OSError:
            continue
        if stat:
            children[int(stat[1])].append(int(pid))
    tree = [parent]
    for pid in tree:
        tree += children[pid]
    strays = [p for p, u in uid.items()
              if base <= u < base + count and p not in tree]
    return tree, strays


def descriptors(pid, role):
    for fd, to in links(f'/proc/{pid}/fd'):
        kind = re.sub(r'^([a-z]+):\[\d+\]$', r'\1', to)
        if fd == '2' or kind.startswith('/proc/'):
            continue
        out[f'descriptor of {role}: {kind}'] += 1
        # One without a process lives on by its descriptor.
        if kind in spaces:
            spaces[kind].add(to)
        info = text(f'/proc/{pid}/fdinfo/{fd}')
        for what in ('tfd', 'inotify'):
            n = len(re.findall(rf'^{what}\b', info, re.M))
            if n:
                out[f'watched by {role}: {what}'] += n


def mounts(pid):
    return text(f'/proc/{pid}/mountinfo').count('\n')


def main():
    tree, strays = processes()
    for pid in tree + strays:
        role = 'brigd' if pid == parent else role_of(pid)
        if pid in strays:
            role = 'stray ' + role
        out['process ' + role] += 1
        descriptors(pid, role)
        for name, to in links(f'/proc/{pid}/ns'):
            spaces[name.partition('_')[0]].add(to)
    for name, ids in spaces.items():
        out['namespaces: ' + name] = len(ids)
    out['mounts of brigd'] = mounts(parent)
    out['mounts of the host'] = mounts('self')
    name = 'brig-%x-%x' % (os.stat(folder + '/state').st_dev,
                           os.stat(folder + '/state').st_ino)
    for top in glob.glob('/sys/fs/cgroup') + glob.glob('/sys/fs/cgroup/*'):
        for at, dirs, _ in os.walk(top):
            if os.path.basename(at) == name:
                out[f'groups in {at}'] = sum(
                    len(d) for _, d, _ in os.walk(at))
                dirs.clear()
    for path in glob.glob('/sys/block/loop*/loop/backing_file'):
        file = text(path).strip()
        if file.startswith(folder):
            out['loop device of ' + file] += 1
    for sub in ('run', 'state'):
        for at, dirs, files in os.walk(f'{folder}/{sub}'):
            for f in files + dirs:
                path = os.path.relpath(f'{at}/{f}', folder)
                if not re.fullmatch(r'state/jobs/\d+(/(output|timing))?', path):
                    out['file ' + path] += 1
    for d in ('/tmp', '/dev/shm', '/var/tmp', '/run'):
        for f in os.scandir(d):
            try:
                if base <= f.stat(follow_symlinks=False).st_uid < base + count:
                    out['file of a job: ' + f.path] += 1
            except OSError:
                pass
    for line in sorted(out):
        print(out[line], line)


parent, folder = int(sys.argv[1]), sys.argv[2]
base, count = int(sys.argv[3]), int(sys.argv[4])
main()

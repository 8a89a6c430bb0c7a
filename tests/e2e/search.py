"""Searching for what must not be there.

  search.py jail          in a jail: every readable file and /proc entry; prints
                          whatever looks like a token, and what it searched
  search.py memory PID    as root outside: patterns on stdin, one a line, in
                          the readable memory of a process; prints those found
  search.py places PID    the same, and one line for each copy with the name of
                          the region it is in
  search.py inside PID    as root outside: the same patterns in everything the
                          jail of that process holds: environ, cmdline, maps,
                          memory of its processes, every file but /usr's
"""
import os
import re
import sys

TOKEN = re.compile(rb'ghp_[A-Za-z0-9]{36}')


def regions(pid):
    for line in open(f'/proc/{pid}/maps'):
        span, perms, _, _, _, *name = line.split()
        if perms.startswith('r') and '[v' not in line:
            start, end = [int(x, 16) for x in span.split('-')]
            yield ' '.join(name) or 'anonymous', start, end


def named_memory(pid):
    """Names and bytes of a process's regions, but for those unreadable."""
    try:
        with open(f'/proc/{pid}/mem', 'rb', 0) as mem:
            for name, start, end in regions(pid):
                try:
                    mem.seek(start)
                    yield name, mem.read(min(end - start, 64 << 20))
                except (OSError, ValueError, OverflowError):
                    continue
    except OSError:
        return


def memory(pid):
    for _, block in named_memory(pid):
        yield block


def search_memory(pid):
    wanted = [l.encode() for l in sys.stdin.read().split('\n') if l]
    for block in memory(pid):
        for w in wanted_in(wanted, block):
            print(f'{pid}: {w[:12].decode()}...')


def search_places(pid):
    wanted = [l.encode() for l in sys.stdin.read().split('\n') if l]
    for name, block in named_memory(pid):
        for w in wanted:
            print(f'{pid} {name} {w[:12].decode()}...\n' * block.count(w),
                  end='')


def wanted_in(wanted, data):
    low = data.lower()
    return [w for w in wanted
            if w in data or (len(w) > 60 and w.lower() in low)]


def search_inside(pid):
    wanted = [l.encode() for l in sys.stdin.read().split('\n') if l]
    namespace = os.readlink(f'/proc/{pid}/ns/pid')
    files = processes = 0

    def report(where, data):
        for w in wanted_in(wanted, data):
            print(f'found {where}: {w[:12].decode()}...')

    for other in filter(str.isdigit, os.listdir('/proc')):
        try:
            if os.readlink(f'/proc/{other}/ns/pid') != namespace:
                continue
        except OSError:
            continue
        processes += 1
        for name in ('environ', 'cmdline', 'maps', 'auxv', 'status'):
            report(f'{other}/{name}', open(f'/proc/{other}/{name}', 'rb').read())
        for block in memory(other):
            report(f'{other}/mem', block)
    root = f'/proc/{pid}/root'
    for top, dirs, names in os.walk(root):
        if top == root:
            dirs[:] = [d for d in dirs if d not in ('proc', 'usr', 'dev')]
        for name in names:
            path = os.path.join(top, name)
            if os.path.isfile(path) and not os.path.islink(path):
                report(path[len(root):], open(path, 'rb').read(32 << 20))
                files += 1
    print(f'searched {files} files, {processes} processes')


def search_jail():
    stub = os.environ['GOOD_TOKEN'].encode()
    files = processes = 0

    def report(where, data):
        for token in set(TOKEN.findall(data)):
            print('found stub' if token == stub else token.decode(), where)

    for pid in filter(str.isdigit, os.listdir('/proc')):
        processes += 1
        for name in ('environ', 'cmdline', 'maps', 'auxv', 'status'):
            try:
                report(f'{pid}/{name}', open(f'/proc/{pid}/{name}', 'rb').read())
            except OSError:
                pass
        for block in memory(pid):
            report(f'{pid}/mem', block)
    for top, dirs, names in os.walk('/'):
        dirs[:] = [d for d in dirs if os.path.join(top, d) not in
                   ('/proc', '/usr/lib', '/usr/share', '/usr/include')]
        for name in names:
            path = os.path.join(top, name)
            try:
                if not os.path.isfile(path) or os.path.islink(path):
                    continue
                report(path, open(path, 'rb').read(8 << 20))
                files += 1
            except OSError:
                pass
    print(f'searched {files} files, {processes} processes')


if sys.argv[1] == 'memory':
    search_memory(int(sys.argv[2]))
elif sys.argv[1] == 'places':
    search_places(int(sys.argv[2]))
elif sys.argv[1] == 'inside':
    search_inside(int(sys.argv[2]))
else:
    search_jail()

"""Use up what a host has, as far as a job gets; every wish is bounded.

One line a thing: its name, how much of it was had, and what ended it.
"""
import errno
import mmap
import os
import resource
import signal
import subprocess
import sys

MIB = 1 << 20


def say(what, count, why):
    os.write(2, f'{what} {count} {why}\n'.encode())


def why(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def fill(folder, wish):
    name, got, end = os.path.join(folder, 'full'), 0, 'all'
    block = b'x' * MIB
    try:
        with open(name, 'wb', buffering=0) as f:
            while got < wish:
                n = f.write(block)
                got += n
                if n < MIB:
                    raise OSError(errno.ENOSPC, '')
    except OSError as e:
        end = why(e)
    os.unlink(name)
    say('bytes ' + folder, got // MIB, end)


def sparse(folder, wish):
    """A huge size is free; what stands in it is not."""
    name, end, got = os.path.join(folder, 'sparse'), 'all', 0
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(fd, 1 << 40)
        while got < wish:
            os.pwrite(fd, b'x' * MIB, got * (1 << 30))
            got += MIB
    except OSError as e:
        end = why(e)
    os.close(fd)
    os.unlink(name)
    say('sparse ' + folder, got // MIB, end)


def names(folder, wish):
    base, got, end = os.path.join(folder, 'many'), 0, 'all'
    os.mkdir(base)
    try:
        for got in range(wish):
            os.close(os.open(f'{base}/{got}', os.O_CREAT | os.O_WRONLY))
        got = wish
    except OSError as e:
        end = why(e)
    subprocess.run(['rm', '-r', base], check=True)
    say('names ' + folder, got, end)


def descriptors(wish):
    fds, end = [], 'all'
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wish + 50, wish + 50))
    except (OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        while len(fds) < wish:
            fds.append(os.dup(0))
    except OSError as e:
        end = why(e)
    for fd in fds:
        os.close(fd)
    say('descriptors', len(fds), end)


def processes(wish):
    pids, end = [], 'all'
    try:
        while len(pids) < wish:
            pid = os.fork()
            if pid == 0:
                os.setsid()
                signal.pause()
                os._exit(0)
            pids.append(pid)
    except OSError as e:
        end = why(e)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    say('processes', len(pids), end)


def memory(wish):
    """In a child: it may be killed for it."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        try:
            with open('/proc/self/oom_score_adj', 'w') as f:
                f.write('1000')         # this one, not the one that counts
        except OSError:
            pass
        for _ in range(wish // MIB):
            page = mmap.mmap(-1, MIB)
            page[:] = b'x' * MIB
            kept.append(page)
            os.write(w, b'.')
        os._exit(0)
    os.close(w)
    got = 0
    while chunk := os.read(r, 4096):
        got += len(chunk)
    _, status = os.waitpid(pid, 0)
    end = 'all' if status == 0 else f'signal {status & 127}'
    say('memory', got, end)


def output(wish):
    block = b'flood of output %d\n' % os.getpid() * 4096
    got = 0
    while got < wish:
        got += os.write(1, block)
    say('output', got // MIB, 'all')


kept = []
if sys.argv[1] == 'files':
    for place in ('/tmp', '/home/agent', '/dev/shm'):
        fill(place, 64 * MIB)
        sparse(place, 64 * MIB)
        names(place, 2000)
elif sys.argv[1] == 'kernel':
    descriptors(400)
    processes(200)
elif sys.argv[1] == 'memory':
    memory(400 * MIB)
elif sys.argv[1] == 'output':
    output(64 * MIB)
os.write(2, b'flooded-60\n')

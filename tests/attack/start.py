"""start.py HOW FILE: run rm FILE in a way that has no ordinary path."""
import ctypes
import os
import sys

how, victim = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
machine = os.uname().machine
EXECVEAT = {'x86_64': 322, 'aarch64': 281}[machine]
MEMFD_CREATE = {'x86_64': 319, 'aarch64': 279}[machine]
MFD_EXEC = 0x10
AT_EMPTY_PATH = 0x1000
argv = (ctypes.c_char_p * 3)(b'rm', victim.encode(), None)
env = (ctypes.c_char_p * 1)(None)


def fail(what):
    sys.exit(f'{what}: {os.strerror(ctypes.get_errno())}')


def execveat(fd, path=b'', flags=AT_EMPTY_PATH):
    libc.syscall(EXECVEAT, fd, path, argv, env, flags)
    fail('execveat')


def by_proc(fd):
    os.set_inheritable(fd, True)
    os.execv(f'/proc/self/fd/{fd}', ['rm', victim])


def memfd(flags):
    fd = libc.syscall(MEMFD_CREATE, b'x', flags)
    if fd < 0:
        fail('memfd_create')
    os.write(fd, open('/bin/rm', 'rb').read())
    return fd


def unlinked():
    path = f'/tmp/brig-start-{os.getpid()}'
    with open(path, 'wb') as f:
        f.write(open('/bin/rm', 'rb').read())
    os.chmod(path, 0o755)
    fd = os.open(path, os.O_RDONLY)
    os.unlink(path)
    return fd


ways = {
    'memfd': lambda: execveat(memfd(0)),
    'memfd-exec': lambda: execveat(memfd(MFD_EXEC)),
    'memfd-proc': lambda: by_proc(memfd(0)),
    'execveat': lambda: execveat(os.open('/bin/rm', os.O_RDONLY)),
    'o-path': lambda: execveat(os.open('/bin/rm', os.O_PATH)),
    'proc-fd': lambda: by_proc(os.open('/bin/rm', os.O_RDONLY)),
    'dirfd': lambda: execveat(os.open('/usr/bin', os.O_RDONLY), b'rm', 0),
    'unlinked': lambda: execveat(unlinked()),
    'unlinked-proc': lambda: by_proc(unlinked()),
}
ways[how]()

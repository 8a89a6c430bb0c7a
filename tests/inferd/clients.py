"""Clients of inferd for tests/inferd/serve.sh.

  raw SOCKET [UID]       what standard input says, as it is, as that user;
                         prints the answer until the server closes
  crowd SOCKET N         N clients at once and one that reads nothing until
                         they have been answered; prints "ok" at the end
  hangup SOCKET TEXT     asks for TEXT to be gone on with, and is gone when the
                         first event has come
  crush SOCKET UID       as root, five agents that take all connections there
                         are and more; prints "ok" if others, UID among them,
                         are served nevertheless
  inherit N COMMAND...   runs COMMAND with a listening socket of 127.0.0.1 as
                         descriptor 3, told as systemd tells it; port N
  vector FILE WIDTH      a control vector for what the second layer leaves
"""
import json
import os
import re
import resource
import socket
import struct
import sys
import threading


def dial(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return s


def request(path, body):
    text = json.dumps(body).encode()
    return (b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
            % (path.encode(), len(text))) + text


def read_until(s, end):
    got = b""
    while end not in got:
        piece = s.recv(65536)
        if not piece:
            raise SystemExit("closed after %r" % got[-200:])
        got += piece
    return got


def raw(path, uid=None):
    if uid:
        os.setresuid(int(uid), int(uid), int(uid))
    s = dial(path)
    s.sendall(sys.stdin.buffer.read())
    while True:
        piece = s.recv(65536)
        if not piece:
            return
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def asking(stream):
    return request("/v1/chat/completions", {
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 40, "stream": stream})


def crowd(path, n):
    slow = dial(path)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(asking(True))
    failed = []

    def one(i):
        try:
            s = dial(path)
            s.sendall(asking(i % 2 == 0))
            got = read_until(s, b"[DONE]" if i % 2 == 0 else b'"usage"')
            assert b" 200 OK" in got
        except BaseException as e:
            failed.append(repr(e))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(int(n))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    read_until(slow, b"[DONE]")
    print(failed[0] if failed else "ok")


def hangup(path, text):
    s = dial(path)
    s.sendall(request("/v1/completions", {
        "prompt": text, "max_tokens": 4000, "temperature": 0,
        "stream": True}))
    read_until(s, b"\n\n")
    s.close()


def get(s, target, agent=None):
    if agent:
        s.sendall(b"AGENT %s\n" % agent.encode())
    s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target.encode())
    got = b""
    while b"\r\n\r\n" not in got:
        piece = s.recv(65536)
        if not piece:
            return got
        got += piece
    head, body = got.split(b"\r\n\r\n", 1)
    n = int(re.search(rb"Content-Length: (\d+)", head).group(1))
    while len(body) < n:
        body += s.recv(65536)
    return head + b"\r\n\r\n" + body


def crush(path, uid):
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    quiet = dial(path)
    assert b" 200 OK" in get(quiet, "/health", "job:1/quiet")
    loud = []
    for i in range(5 * 256):
        loud.append(dial(path))
        got = get(loud[-1], "/health", "job:1/loud%d" % (i // 256))
        assert b" 200 OK" in got, got
        # One of them has more than its share.
        if i == 255:
            got = get(dial(path), "/health", "job:1/loud0")
            assert b" 503 " in got and b"Retry-After: " in got, got
    assert b" 200 OK" in get(dial(path), "/health", "job:1/new")
    pid = os.fork()
    if pid == 0:
        os.setresuid(int(uid), int(uid), int(uid))
        os._exit(b" 200 OK" not in get(dial(path), "/health"))
    assert os.waitpid(pid, 0)[1] == 0
    assert b" 200 OK" in get(quiet, "/health")
    got = get(dial(path), "/metrics").decode()
    n = [int(x) for x in re.findall(
        r'connections{agent="job:1/loud\d"} (\d+)', got)]
    assert len(n) == 5 and min(n) > 150 and sum(n) <= 1024, n
    print("ok")


def inherit(port, *command):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", int(port)))
    s.listen(5)
    print(s.getsockname()[1], flush=True)
    if s.fileno() != 3:
        os.dup2(s.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    os.execvp(command[0], command)


def vector(path, width):
    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()

    n = int(width)
    head = (b"GGUF" + struct.pack("<IQQ", 3, 1, 1)
            + text("general.architecture") + struct.pack("<I", 8)
            + text("controlvector")
            + text("direction.1") + struct.pack("<IQIQ", 1, n, 0, 0))
    head += b"\0" * (-len(head) % 32)
    with open(path, "wb") as f:
        f.write(head + b"".join(
            struct.pack("<f", 1 if i % 3 else -2) for i in range(n)))


globals()[sys.argv[1]](*sys.argv[2:])

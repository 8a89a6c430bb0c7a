"""make bench-tenants: how soon is the engine free when a client hangs up while
its prompt is read?

  hangup.py INFERD MODEL

Starts INFERD on MODEL and hangs up TRIES times, at another place of the prompt
each time.  Prints a JSON line of milliseconds from close() until /metrics says
that nothing runs; 1 if one of them is more than LIMIT_MS.
"""
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time

TRIES = 30
LIMIT_MS = 100
PROMPT = 6000


def dial(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return s


class Metrics:
    """One connection that is kept, so that a look costs little."""

    def __init__(self, path):
        self.s = dial(path)

    def running(self):
        self.s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while b"# EOF" not in got:
            got += self.s.recv(65536)
        for line in got.split(b"\n"):
            if line.startswith(b"inferd_running "):
                return int(line.split()[1])
        raise SystemExit("no inferd_running in /metrics")


def ask(path, tokens):
    """A prompt that nobody has asked before, as a stream."""
    words = "".join(random.choice("0123456789abcdef") for _ in range(tokens))
    body = json.dumps({"prompt": words, "max_tokens": 1, "stream": True})
    s = dial(path)
    s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\n"
              b"Content-Length: %d\r\n\r\n%s"
              % (len(body), body.encode()))
    return s


def begun(s):
    """Until a part of its prompt has been read."""
    got = b""
    while b" tokens read" not in got:
        piece = s.recv(65536)
        if not piece:
            raise SystemExit("closed after %r" % got[-300:])
        got += piece


def until(metrics, n):
    for _ in range(60000):
        if metrics.running() == n:
            return
        time.sleep(0.0005)
    raise SystemExit("%d completions do not run" % n)


def one(path, metrics):
    s = ask(path, PROMPT)
    begun(s)
    time.sleep(random.uniform(0.05, 0.3))
    until(metrics, 1)
    start = time.monotonic()
    s.close()
    until(metrics, 0)
    return (time.monotonic() - start) * 1000


def main(inferd, model):
    folder = tempfile.mkdtemp(prefix="brig-hangup-")
    path = os.path.join(folder, "s")
    server = subprocess.Popen([inferd, "-m", model, "--socket", path,
                               "--context", "8192", "--kv-memory", "1G"],
                              stderr=subprocess.DEVNULL)
    failed = 0
    try:
        for _ in range(600):
            try:
                metrics = Metrics(path)
                break
            except OSError:
                time.sleep(0.1)
        ms = sorted(one(path, metrics) for _ in range(TRIES))
        failed = ms[-1] > LIMIT_MS
        print(json.dumps({"name": "hangup", "unit": "ms", "n": TRIES,
                          "p50": round(ms[TRIES // 2], 1),
                          "max": round(ms[-1], 1)}))
    finally:
        server.terminate()
        server.wait()
        if os.path.exists(path):
            os.unlink(path)
        os.rmdir(folder)
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""A company's proxy for upstream_proxy.sh: CONNECT and absolute-form, Basic.

    corp_proxy.py LOG USER:PASSWORD

Every name is 127.0.0.1 to it, and a path that ends in "/not-found" gets a page
with all that it was asked and by whom.  It prints its port, and writes to LOG a line for
each request: STATUS METHOD TARGET, then the fields it got, each after a tab.
"""
import base64
import socket
import sys
import threading
from urllib.parse import urlsplit

LOG = open(sys.argv[1], "w")
WANT = "Basic " + base64.b64encode(sys.argv[2].encode()).decode()


def copy(src, dst):
    try:
        while True:
            data = src.recv(65536)
            if not data:
                break
            dst.sendall(data)
        dst.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def log(status, head):
    LOG.write(str(status) + " " + "\n\t".join(head) + "\n")
    LOG.flush()


def handle(conn):
    data = b""
    while b"\r\n\r\n" not in data:
        more = conn.recv(4096)
        if not more:
            return
        data += more
    text, rest = data.split(b"\r\n\r\n", 1)
    head = text.decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    fields = {f.split(":", 1)[0].lower(): f.split(":", 1)[1].strip()
              for f in head[1:]}
    if fields.get("proxy-authorization") != WANT:
        log(407, head)
        conn.sendall(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n"
                     b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        return
    if method != "CONNECT" and not target.startswith("http://"):
        log(400, head)
        conn.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n"
                     b"Connection: close\r\n\r\n")
        return
    if target.endswith("/not-found"):
        # A page that is meant to help with finding out why.
        log(502, head)
        page = text + b"\r\n" + sys.argv[2].encode()
        conn.sendall(b"HTTP/1.1 502 No\r\nX-Said: %s\r\nContent-Length: %d\r\n"
                     b"Connection: close\r\n\r\n" % (
                         fields["proxy-authorization"].encode(),
                         len(page)) + page)
        return
    if method == "CONNECT":
        port = int(target.rsplit(":", 1)[1])
    else:
        port = urlsplit(target).port or 80
    log(200, head)
    with socket.create_connection(("127.0.0.1", port)) as up:
        if method == "CONNECT":
            conn.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            url = urlsplit(target)
            path = url.path + ("?" + url.query if url.query else "")
            kept = [f for f in head[1:]
                    if not f.lower().startswith(("proxy-", "connection:"))]
            up.sendall("\r\n".join([method + " " + path + " HTTP/1.1"] + kept
                       + ["Connection: close", "", ""]).encode("latin-1"))
        up.sendall(rest)
        threading.Thread(target=copy, args=(conn, up), daemon=True).start()
        copy(up, conn)


def serve(conn):
    with conn:
        try:
            handle(conn)
        except (OSError, ValueError) as e:
            sys.stderr.write(repr(e) + "\n")


def main():
    lsock = socket.create_server(("127.0.0.1", 0), backlog=32)
    print("listening", lsock.getsockname()[1], flush=True)
    while True:
        threading.Thread(
            target=serve, args=(lsock.accept()[0],), daemon=True).start()


main()

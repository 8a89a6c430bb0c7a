"""TLS servers for certs.sh, one a line of the list: NAME PEM [MIN MAX].

Each listens on a port of its own on 127.0.0.1, or on NAME if it is an address, takes any key and any digest,
and says "NAME PORT" once all listen; requests go to the record as they come.
"""
import socket
import ssl
import sys
import threading

VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.2": ssl.TLSVersion.TLSv1_2,
            "1.3": ssl.TLSVersion.TLSv1_3}


def context(pem, low, high):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.set_ciphers("ALL:@SECLEVEL=0")
    ctx.minimum_version = VERSIONS[low]
    ctx.maximum_version = VERSIONS[high]
    ctx.load_cert_chain(pem)
    return ctx


def answer(name, conn, record):
    head = b""
    while b"\r\n\r\n" not in head:
        more = conn.recv(4096)
        if not more:
            return
        head += more
    record.write(name + " " + head.split(b"\r\n")[0].decode() + "\n")
    record.flush()
    body = b"really " + name.encode() + b"\n"
    conn.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
                 b"Content-Length: %d\r\n\r\n" % len(body) + body)


def serve(name, lsock, ctx, record):
    while True:
        raw, _ = lsock.accept()
        raw.settimeout(10)
        try:
            with ctx.wrap_socket(raw, server_side=True) as conn:
                answer(name, conn, record)
        except (OSError, ssl.SSLError):
            raw.close()


def main():
    record = open(sys.argv[2], "w")
    ports = []
    for line in open(sys.argv[1]):
        name, pem, low, high = (line.split() + ["1.0", "1.3"])[:4]
        ip = "127.0.0.1" if name.strip("0123456789.") else name
        lsock = socket.create_server((ip, 0), backlog=16)
        ports.append((name, lsock.getsockname()[1]))
        threading.Thread(target=serve, daemon=True, args=(
            name, lsock, context(pem, low, high), record)).start()
    for name, port in ports:
        print(name, port)
    print("ready", 0, flush=True)
    threading.Event().wait()


main()

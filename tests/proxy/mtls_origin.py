"""A TLS server that wants a client certificate of the CA, for mtls.sh.

    mtls_origin.py PEM CA

It prints its port, and answers with the name in the client's certificate.
"""
import socket
import ssl
import sys
import threading


def handle(ctx, raw):
    raw.settimeout(10)
    try:
        with ctx.wrap_socket(raw, server_side=True) as conn:
            cert = conn.getpeercert()
            name = dict(x[0] for x in cert["subject"]) if cert else {}
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = conn.recv(4096)
                    if not more:
                        return
                    data += more
                data = data.split(b"\r\n\r\n", 1)[1]
                body = ("client " + name.get("commonName", "nobody") +
                        " from " + str(conn.getpeername()[1]) + "\n").encode()
                conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
                             % len(body) + body)
    except OSError:
        raw.close()


def main():
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(sys.argv[1])
    ctx.load_verify_locations(sys.argv[2])
    ctx.verify_mode = (ssl.CERT_OPTIONAL if sys.argv[3:] == ["optional"]
                       else ssl.CERT_REQUIRED)
    lsock = socket.create_server(("127.0.0.1", 0), backlog=32)
    print("listening", lsock.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=handle, daemon=True,
                         args=(ctx, lsock.accept()[0])).start()


main()

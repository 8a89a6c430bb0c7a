"""relay.py PORT TO-PORT LOG: connections to PORT go on to TO-PORT, and LOG gets
a line for each request line and each status line that passes."""
import re
import socket
import sys
import threading

LINES = re.compile(
    rb"^((?:GET|HEAD|POST|PUT|DELETE|OPTIONS) [^ \r\n]+) HTTP/1\.1\r$"
    rb"|^(HTTP/1\.1 [0-9]{3})[^\r\n]*\r$", re.M)


def carry(source, sink, log):
    rest = b""
    while True:
        try:
            data = source.recv(65536)
        except OSError:
            data = b""
        if not data:
            break
        sink.sendall(data)
        whole, _, rest = (rest + data).rpartition(b"\n")
        for found in LINES.finditer(whole + b"\n"):
            log.write((found[1] or found[2]).decode() + "\n")
            log.flush()
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def main():
    port, to, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    log = open(path, "a")
    listener = socket.create_server(("127.0.0.1", port))
    print("listening", listener.getsockname()[1], flush=True)
    while True:
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", to))
        for pair in (near, far), (far, near):
            threading.Thread(
                target=carry, args=(*pair, log), daemon=True).start()


main()

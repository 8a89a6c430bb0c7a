"""A token endpoint and an API as real ones are.

oauth_origin.py CERT KEY SECRET RECORD: TLS on a port of its own, "listening
PORT" on stdout.  RECORD gets every request (method, path, Authorization, body)
and every token that is issued, one JSON object a line.

POST /oauth/token   grant_type client_credentials (with client_secret=SECRET,
                    or as Basic) or refresh_token, in a form or in JSON;
                    refresh tokens are used once.  ?as=gzip|form|text|cookie
                    answers in another way.
GET  /api           200 with a valid access token, else 401
GET  /mirror        what Authorization held, in many spellings
GET  /other/token   an access token, from a path that nobody declared
"""

import base64
import gzip
import http.server
import json
import secrets
import socketserver
import ssl
import sys
import threading
import urllib.parse

SECRET, RECORD = sys.argv[3], sys.argv[4]
lock = threading.Lock()
access, refresh = set(), set()


def record(**what):
    with lock, open(RECORD, "a", encoding="ascii") as f:
        f.write(json.dumps(what) + "\n")


def issue(kinds):
    new = {k: "%s_%s" % (k[:3], secrets.token_hex(20)) for k in kinds}
    access.add(new["access_token"])
    if "refresh_token" in new:
        refresh.add(new["refresh_token"])
    record(issued=list(new.values()))
    return new


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, ctype="application/json", extra=()):
        if isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", ctype)
        self.send_header("Content-Length", str(len(body)))
        for name, value in extra:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def token(self):
        return self.headers.get("Authorization", "").split(" ")[-1]

    def do_GET(self):
        path = self.path.split("?")[0]
        record(method="GET", path=self.path,
               authorization=self.headers.get("Authorization", ""))
        if path == "/api":
            if self.token() in access:
                self.answer(200, '{"ok":true}')
            else:
                self.answer(401, '{"ok":false}')
        elif path == "/mirror":
            v = self.token()
            self.answer(200, "\n".join([
                v, base64.b64encode(v.encode()).decode(), v.encode().hex(),
                "".join("%%%02X" % c for c in v.encode())]), "text/plain",
                [("X-Mirror", v)])
        elif path == "/other/token":
            self.answer(200, json.dumps(issue(["access_token"])))
        else:
            self.answer(404, "{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = body.decode()
        record(method="POST", path=self.path, body=text,
               authorization=self.headers.get("Authorization", ""))
        if "json" in self.headers.get("Content-Type", ""):
            args = json.loads(text)
        else:
            args = dict(urllib.parse.parse_qsl(text))
        grant = args.get("grant_type")
        basic = base64.b64encode(("app:" + SECRET).encode()).decode()
        known = args.get("client_secret") == SECRET or self.token() == basic
        old = args.get("refresh_token")
        if grant == "refresh_token" and old in refresh:
            refresh.discard(old)
        elif grant != "client_credentials" or not known:
            self.answer(400, '{"error":"invalid_grant"}')
            return
        new = issue(["access_token", "refresh_token"])
        whole = dict(new, token_type="Bearer", expires_in=3600)
        how = urllib.parse.urlsplit(self.path).query
        if how == "as=form":
            self.answer(200, urllib.parse.urlencode(whole),
                        "application/x-www-form-urlencoded")
        elif how == "as=text":
            self.answer(200, repr(whole), "text/plain")
        elif how == "as=gzip":
            self.answer(200, gzip.compress(json.dumps(whole).encode()),
                        extra=[("Content-Encoding", "gzip")])
        elif how == "as=cookie":
            self.answer(200, json.dumps(whole), extra=[
                ("Set-Cookie", "t=" + new["access_token"]),
                ("X-Refresh", base64.b64encode(
                    new["refresh_token"].encode()).decode())])
        else:
            self.answer(200, json.dumps(whole, indent=1))


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server = Server(("127.0.0.1", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", server.server_address[1], flush=True)
server.serve_forever()

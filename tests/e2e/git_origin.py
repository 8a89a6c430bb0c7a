"""git http-backend behind TLS and Basic authentication, for a test.

usage: git_origin.py CERT KEY PROJECT-ROOT USER:PASSWORD
Prints "listening PORT"; says on stderr whether each credential was right.
"""
import base64
import http.server
import os
import ssl
import subprocess
import sys

cert, key, root, want = sys.argv[1:5]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def body(self):
        if 'chunked' in self.headers.get('Transfer-Encoding', ''):
            data = b''
            while True:
                size = int(self.rfile.readline().split(b';')[0], 16)
                data += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return data
        return self.rfile.read(int(self.headers.get('Content-Length', 0)))

    def refuse(self):
        self.send_response(401)
        self.send_header('WWW-Authenticate', 'Basic realm="git"')
        self.send_header('Content-Length', '0')
        self.end_headers()

    def serve(self):
        data = self.body()
        auth = self.headers.get('Authorization', '')
        if not auth:
            return self.refuse()
        given = base64.b64decode(auth.split()[-1]).decode()
        print('auth', 'ok' if given == want else 'wrong', file=sys.stderr,
              flush=True)
        if given != want:
            return self.refuse()
        path, _, query = self.path.partition('?')
        env = dict(os.environ, GIT_PROJECT_ROOT=root, GIT_HTTP_EXPORT_ALL='1',
                   REQUEST_METHOD=self.command, PATH_INFO=path,
                   QUERY_STRING=query, REMOTE_USER='bob',
                   CONTENT_TYPE=self.headers.get('Content-Type', ''),
                   CONTENT_LENGTH=str(len(data)),
                   HTTP_CONTENT_ENCODING=self.headers.get(
                       'Content-Encoding', ''),
                   GIT_PROTOCOL=self.headers.get('Git-Protocol', ''))
        out = subprocess.run(['git', 'http-backend'], input=data, env=env,
                             stdout=subprocess.PIPE, check=False).stdout
        head, _, rest = out.partition(b'\r\n\r\n')
        status = 200
        fields = []
        for line in head.decode().split('\r\n'):
            name, _, value = line.partition(': ')
            if name == 'Status':
                status = int(value.split()[0])
            else:
                fields.append((name, value))
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)

    do_GET = do_POST = serve

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print('listening', server.server_address[1], flush=True)
server.serve_forever()

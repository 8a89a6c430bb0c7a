"""git http-backend and a store of large files (git-lfs's batch API) behind TLS
and Basic authentication, for a test.

usage: git_origin.py CERT KEY PROJECT-ROOT USER:PASSWORD
Prints "listening PORT"; says on stderr whether each credential was right.
"""
import base64
import hashlib
import http.server
import json
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

    def reply(self, status, data, kind='application/vnd.git-lfs+json'):
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def lfs_batch(self, data):
        asked = json.loads(data)
        objects = []
        for o in asked['objects']:
            there = os.path.exists(os.path.join(root, o['oid']))
            href = 'https://%s/lfs/%s' % (self.headers['Host'], o['oid'])
            if there != (asked['operation'] == 'upload'):
                o['actions'] = {asked['operation']: {'href': href}}
            objects.append(o)
        self.reply(200, json.dumps(
            {'transfer': 'basic', 'objects': objects}).encode())

    def lfs_object(self, data):
        path = os.path.join(root, os.path.basename(self.path))
        if self.command == 'PUT':
            if hashlib.sha256(data).hexdigest() != os.path.basename(path):
                return self.reply(422, b'{}')
            with open(path, 'wb') as f:
                f.write(data)
            print('lfs stored', file=sys.stderr, flush=True)
            return self.reply(200, b'{}')
        with open(path, 'rb') as f:
            return self.reply(200, f.read(), 'application/octet-stream')

    def serve(self):
        data = self.body()
        auth = self.headers.get('Authorization', '')
        if not auth:
            print('auth none', file=sys.stderr, flush=True)
            return self.refuse()
        given = base64.b64decode(auth.split()[-1]).decode()
        print('auth', 'ok' if given == want else 'wrong', file=sys.stderr,
              flush=True)
        if given != want:
            return self.refuse()
        path, _, query = self.path.partition('?')
        if path.endswith('/info/lfs/objects/batch'):
            return self.lfs_batch(data)
        if path.startswith('/lfs/'):
            return self.lfs_object(data)
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

    do_GET = do_POST = do_PUT = serve

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print('listening', server.server_address[1], flush=True)
server.serve_forever()

"""A provider of language models: answers in the shapes of OpenAI, Anthropic and
Gemini, plain or as server-sent events, compressed if asked for and ?gzip.

    model_origin.py CERT KEY TOKEN      prints "listening PORT", then a line for
                                        each call: shape, model, "key ok|wrong"
"""
import gzip
import http.server
import json
import ssl
import sys
import time

CERT, KEY, TOKEN = sys.argv[1:4]


def usage(shape):
    return {'openai': {'usage': {'prompt_tokens': 19, 'completion_tokens': 10,
                                 'prompt_tokens_details':
                                 {'cached_tokens': 5}}},
            'anthropic': {'usage': {'input_tokens': 25, 'output_tokens': 15,
                                    'cache_read_input_tokens': 100}},
            'gemini': {'usageMetadata': {'promptTokenCount': 8,
                                         'candidatesTokenCount': 6,
                                         'thoughtsTokenCount': 3}}}[shape]


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def body(self):
        if self.headers.get('Transfer-Encoding') == 'chunked':
            got = b''
            while (n := int(self.rfile.readline(), 16)) > 0:
                got += self.rfile.read(n)
                self.rfile.readline()
            self.rfile.readline()
            return got
        return self.rfile.read(int(self.headers.get('Content-Length', 0)))

    def do_POST(self):
        got = self.body()
        path = self.path.split('?')[0]
        shape = ('gemini' if '/models/' in path else
                 'anthropic' if path.startswith('/v1/messages') else 'openai')
        asked = json.loads(got)
        model = asked.get('model') or path.split('/')[-1].split(':')[0]
        key = ' '.join(self.headers.get_all('Authorization', []) +
                       self.headers.get_all('x-api-key', []))
        print(shape, model, 'key', 'ok' if TOKEN in key else 'wrong',
              flush=True)
        if asked.get('stream') or 'stream' in path:
            self.events(shape)
            return
        data = json.dumps({'text': 'x' * 20000, **usage(shape)}).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        if '?gzip' in self.path and 'gzip' in self.headers.get(
                'Accept-Encoding', ''):
            data = gzip.compress(data)
            self.send_header('Content-Encoding', 'gzip')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'{}')

    def events(self, shape):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        for event in ({'delta': 'a'}, {'delta': 'b'}, usage(shape)):
            data = b'data: ' + json.dumps(event).encode() + b'\n\n'
            self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))
            self.wfile.flush()
            time.sleep(0.2)
        self.wfile.write(b'0\r\n\r\n')


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Provider)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERT, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
print('listening', server.server_address[1], flush=True)
server.serve_forever()

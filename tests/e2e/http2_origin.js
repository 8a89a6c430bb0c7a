// An HTTP/2 origin on node's own implementation: http2_origin.js CERT KEY.
//   /echo    body and a trailer with its length
//   /talk    an answer to each piece of the body, as it comes
//   /pour    64 MiB; /poured says how much of it has been taken so far
//   /reset   a stream that ends in the middle
//   /goaway  an answer after which the connection takes no more streams
//   anything else: method, path and Authorization
'use strict';
const http2 = require('http2');
const fs = require('fs');

const total = 64 << 20;
let poured = 0;

function pour(stream) {
	const piece = Buffer.alloc(65536);
	let left = total;
	poured = 0;
	stream.respond({ ':status': 200 });
	const more = () => {
		while (left > 0) {
			left -= piece.length;
			const room = stream.write(piece, () => {
				poured += piece.length;
			});
			if (!room) {
				stream.once('drain', more);
				return;
			}
		}
		stream.end();
	};
	more();
}

const server = http2.createSecureServer({
	cert: fs.readFileSync(process.argv[2]),
	key: fs.readFileSync(process.argv[3]),
});
server.on('session', () => console.error('connection'));
server.on('stream', (stream, head) => {
	const path = head[':path'];
	let bytes = 0;

	stream.on('error', () => {});
	console.error(head[':method'], path, head.authorization || '-');
	switch (path) {
	case '/echo':
		stream.respond({ ':status': 200 }, { waitForTrailers: true });
		stream.on('wantTrailers', () =>
			stream.sendTrailers({ 'x-bytes': String(bytes) }));
		stream.on('data', (d) => { bytes += d.length; });
		stream.pipe(stream);
		break;
	case '/talk':
		stream.respond({ ':status': 200 });
		stream.on('data', (d) => stream.write('got ' + d));
		stream.on('end', () => stream.end());
		break;
	case '/pour':
		pour(stream);
		break;
	case '/poured':
		stream.respond({ ':status': 200 });
		stream.end(String(poured));
		break;
	case '/reset':
		stream.respond({ ':status': 200 });
		stream.write('half', () =>
			stream.destroy(new Error('half')));
		break;
	case '/goaway':
		stream.respond({ ':status': 200 });
		stream.end('bye');
		stream.session.close();
		break;
	default:
		stream.respond({ ':status': 200, 'content-type': 'text/plain' });
		stream.end(head[':method'] + ' ' + path + ' ' +
		    (head.authorization || '-') + '\n');
	}
});
server.listen(0, '127.0.0.1', () =>
	console.log('listening', server.address().port));

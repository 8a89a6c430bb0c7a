// What a job does over HTTP/2: http2_client.js WHAT ORIGIN.
'use strict';
const http2 = require('http2');
const assert = require('assert');

const [what, origin] = process.argv.slice(2);
const session = http2.connect(origin);

function open(path, extra) {
	const stream = session.request({ ':path': path, ...extra });
	stream.setEncoding('latin1');
	return stream;
}

function whole(path, extra) {
	return new Promise((resolve, reject) => {
		const stream = open(path, extra);
		let body = '';
		stream.on('data', (d) => { body += d; });
		stream.on('end', () => resolve(body));
		stream.on('error', reject);
		stream.end();
	});
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const plays = {
	// An answer to each piece before the next one is said.
	async talk() {
		const stream = open('/talk', { ':method': 'POST' });
		let said = '', heard;
		stream.on('data', (d) => {
			said += d;
			if (said.endsWith('.'))
				heard();
		});
		for (let i = 0; i < 50; i++) {
			const got = new Promise((r) => { heard = r; });
			said = '';
			stream.write(String(i) + '.');
			await got;
			assert.strictEqual(said, 'got ' + i + '.');
		}
		const end = new Promise((r) => stream.once('end', r));
		stream.end();
		await end;
	},
	async many() {
		const all = [];
		for (let i = 0; i < 200; i++)
			all.push(whole('/n' + i));
		const said = await Promise.all(all);
		said.forEach((s, i) => assert.strictEqual(s, `GET /n${i} -\n`));
	},
	async trailers() {
		const stream = open('/echo', { ':method': 'POST' });
		const trailers = new Promise((r) => stream.once('trailers', r));
		stream.resume();
		stream.write('12345');
		stream.end('678');
		assert.strictEqual((await trailers)['x-bytes'], '8');
	},
	// Who does not read is not sent to; others are.
	async slow() {
		const stream = open('/pour');
		let got = 0;
		stream.pause();
		await new Promise((r) => stream.once('response', r));
		await sleep(1000);
		const before = Number(await whole('/poured'));
		console.log('poured', before);
		assert(before < 4 << 20);
		stream.on('data', (d) => { got += d.length; });
		stream.resume();
		await new Promise((r) => stream.once('end', r));
		assert.strictEqual(got, 64 << 20);
	},
	async reset() {
		const stream = open('/reset');
		stream.on('error', () => {});
		stream.resume();
		const code = await new Promise((resolve) =>
			stream.on('close', () => resolve(stream.rstCode)));
		assert.notStrictEqual(code, 0);
		assert.strictEqual(await whole('/after'), 'GET /after -\n');
	},
	async cancel() {
		const stream = open('/pour');
		await new Promise((r) => stream.once('data', r));
		stream.on('error', () => {});
		stream.close(http2.constants.NGHTTP2_CANCEL);
		assert.strictEqual(await whole('/after'), 'GET /after -\n');
	},
	async goaway() {
		for (let i = 0; i < 20; i++)
			assert.strictEqual(await whole('/goaway'), 'bye');
	},
};

plays[what]().then(() => {
	console.log('done', what);
	process.exit(0);
}, (e) => {
	console.error(e);
	process.exit(1);
});

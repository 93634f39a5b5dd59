// x_steps.js PORT USER PASSWORD STEP...: the X protocol, frame by frame, for
// what no driver does.  A line of output for each answer; STEPs are
//	silence		says nothing for half a second: what comes is told
//	get		the capabilities: tls, and the ways to log in
//	set		session_connect_attrs, and nothing else
//	tls		tls, and nothing else; then TLS
//	both		both in one message; then TLS
//	at-once		TLS without having asked for it
//	garbage		what is no frame
//	plain sha256	log in
const crypto = require('crypto');
const net = require('net');
const tls = require('tls');

const [port, user, password, ...steps] = process.argv.slice(2);

const GET = 1, SET = 2, START = 4, CONTINUE = 5; // to the server
const OK = 0, ERROR = 1, CAPABILITIES = 2, CHALLENGE = 3, LOGGED_IN = 4,
	NOTICE = 11;

// --- protobuf ---------------------------------------------------------------

function varint(n) {
	return n < 128 ? Buffer.of(n)
		: Buffer.concat([Buffer.of(n & 127 | 128), varint(n >> 7)]);
}
function field(number, ...parts) {
	const body = Buffer.concat(parts.map(part => Buffer.from(part)));
	return Buffer.concat([Buffer.of(number << 3 | 2), varint(body.length),
		body]);
}
function fields(bytes) {
	const all = [];
	let at = 0;
	const number = () => {
		let n = 0, shift = 0;
		while (bytes[at] & 128)
			n |= (bytes[at++] & 127) << shift, shift += 7;
		return n | bytes[at++] << shift;
	};
	while (at < bytes.length) {
		const key = number();
		let value = number();
		if ((key & 7) === 2)
			value = bytes.subarray(at, at += value);
		all.push([key >> 3, value]);
	}
	return all;
}
const first = (bytes, number) =>
	(fields(bytes).find(([n]) => n === number) || [])[1];

const any = bytes => [Buffer.of(8, 1), field(2, bytes)];
const string = text =>
	Buffer.concat([Buffer.of(8, 8), field(9, field(1, text))]);
const capability = (name, ...value) =>
	field(1, field(1, name), field(2, ...value));
const TLS = capability('tls', ...any(Buffer.of(8, 7, 0x40, 1)));
const ATTRIBUTES = capability('session_connect_attrs', Buffer.of(8, 2),
	field(3, field(1, field(1, 'word'), field(2, ...any(string('x'))))));

// --- frames -----------------------------------------------------------------

let socket, received = Buffer.alloc(0), ended = false, wake = () => {};

function attach(s) {
	socket = s;
	s.on('data', data => {
		received = Buffer.concat([received, data]);
		wake();
	});
	const end = () => {
		ended = true;
		wake();
	};
	s.on('end', end).on('error', end).on('close', end);
}
function send(type, body = Buffer.alloc(0)) {
	const head = Buffer.alloc(5);
	head.writeUInt32LE(body.length + 1);
	head[4] = type;
	socket.write(Buffer.concat([head, body]));
}
async function frame() {
	for (;;) {
		const len = received.length < 4 ? Infinity
			: received.readUInt32LE() + 4;
		if (received.length >= len) {
			const type = received[4], body = received.subarray(5, len);
			received = received.subarray(len);
			return { type, body };
		}
		if (ended)
			return { type: 'end' };
		await new Promise(resolve => { wake = resolve; });
	}
}
// The answer; what a server says of its own accord is passed over.
async function answer() {
	let f;
	do {
		f = await frame();
	} while (f.type === NOTICE);
	if (f.type === ERROR)
		throw new Error(`error ${first(f.body, 2)} ${first(f.body, 3)}`);
	if (f.type === 'end')
		throw new Error('closed');
	return f;
}
async function expect(type) {
	const f = await answer();
	if (f.type !== type)
		throw new Error(`type ${f.type}`);
	return f.body;
}

// --- steps ------------------------------------------------------------------

async function secure() {
	const plain = socket;
	plain.removeAllListeners();
	const s = tls.connect({ socket: plain, rejectUnauthorized: false });
	await new Promise((resolve, reject) =>
		s.once('secureConnect', resolve).once('error', reject));
	s.removeAllListeners('error');
	attach(s);
	return `ok ${s.getProtocol()}`;
}
async function set(...capabilities) {
	send(SET, field(1, ...capabilities));
	await expect(OK);
	return 'ok';
}
async function logIn(mechanism, secret) {
	const who = mechanism === 'PLAIN' ? [field(2, `\0${user}\0${secret()}`)]
		: [];
	send(START, Buffer.concat([field(1, mechanism), ...who]));
	if (mechanism !== 'PLAIN') {
		const nonce = first(await expect(CHALLENGE), 1).subarray(0, 20);
		send(CONTINUE, field(1, `\0${user}\0${secret(nonce)}`));
	}
	await expect(LOGGED_IN);
	return 'logged in';
}
function scramble(nonce) {
	const sha256 = (...parts) => parts.reduce((hash, part) =>
		hash.update(part), crypto.createHash('sha256')).digest();
	const once = sha256(password), mask = sha256(sha256(once), nonce);
	return once.map((byte, i) => byte ^ mask[i]).toString('hex');
}
const act = {
	silence: () => new Promise(resolve => setTimeout(() =>
		resolve(`heard ${received.length} bytes`), 500)),
	get: async () => {
		send(GET);
		const list = fields(await expect(CAPABILITIES)).map(([, c]) => c);
		const named = name =>
			list.find(c => String(first(c, 1)) === name);
		const on = named('tls') &&
			first(first(first(named('tls'), 2), 2), 8);
		const ways = String(named('authentication.mechanisms'))
			.match(/PLAIN|MYSQL41|SHA256_MEMORY/g);
		return `first=${first(list[0], 1)} tls=${on} ways=${ways}`;
	},
	set: () => set(ATTRIBUTES),
	tls: async () => `${await set(TLS)}, ${await secure()}`,
	both: async () => `${await set(TLS, ATTRIBUTES)}, ${await secure()}`,
	'at-once': secure,
	garbage: async () => {
		socket.write('GET / HTTP/1.1\r\n\r\n');
		return `type ${(await answer()).type}`;
	},
	plain: () => logIn('PLAIN', () => password),
	sha256: () => logIn('SHA256_MEMORY', scramble),
};

async function main() {
	attach(net.connect(+port, '127.0.0.1'));
	for (const step of steps)
		console.log(await act[step]().catch(error => error.message));
}
setTimeout(() => {
	console.log('nothing for ten seconds');
	process.exit(1);
}, 10000);
main().then(() => process.exit(0));

// mysql.js: answers each line of standard input by one of its own.
//
// A line is KEY=VALUE, separated by tabs: id, which the answer begins with;
// driver (mysql2, mysql, mariadb), host, port, user, password; ca, a file, or
// tls=yes without one, or tls=no; compress=yes; and
//	do=ask		who am I, the word, and the server leg's cipher
//	do=change	the same as user2, password2, by COM_CHANGE_USER
//	do=large	nine megabytes: how many came, their hash, and
//			whether they were compressed
const crypto = require('crypto');
const fs = require('fs');
const readline = require('readline');
const util = require('util');

// The three drivers, each as connect, query, change, end.
function callbacks(connection) {
	const call = name => util.promisify(connection[name].bind(connection));
	return {
		query: async sql => (await call('query')({ sql, rowsAsArray: true }))
			.map(row => Object.values(row)),
		change: options => call('changeUser')(options),
		connect: call('connect'),
		end: () => connection.destroy(),
	};
}

async function open(driver, options) {
	if (driver === 'mariadb') {
		const connection = await require('mariadb').createConnection({
			...options, rowsAsArray: true, allowPublicKeyRetrieval: true });
		return {
			query: async sql => (await connection.query(sql)).map(row => row),
			change: options => connection.changeUser(options),
			end: () => connection.destroy(),
		};
	}
	const connection = callbacks(require(driver).createConnection(options));
	await connection.connect();
	return connection;
}

function options(request) {
	const tls = { rejectUnauthorized: true };
	if (request.ca)
		tls.ca = fs.readFileSync(request.ca);
	if (request.driver === 'mysql2')
		tls.verifyIdentity = true;
	const all = {
		host: request.host, port: +request.port, user: request.user,
		password: request.password, database: 'app', connectTimeout: 20000,
	};
	if (request.ca || request.tls === 'yes')
		all.ssl = tls;
	if (request.compress === 'yes')
		all.compress = true;
	return all;
}

async function ask(connection, word) {
	const who = await connection.query(`SELECT CURRENT_USER(), '${word}'`);
	const cipher = await connection.query("SHOW STATUS LIKE 'Ssl_cipher'");
	return `${who[0].join('|')}|${cipher[0][1] || 'clear'}`;
}

async function large(connection) {
	const rows = await connection.query(
		"SELECT REPEAT('0123456789abcde\n', 589824)");
	const text = rows[0][0];
	const compressed = await connection.query(
		"SHOW STATUS LIKE 'Compression'");
	return `${text.length}|` + crypto.createHash('md5').update(text)
		.digest('hex') + `|${compressed[0][1]}`;
}

async function answer(request) {
	const connection = await open(request.driver, options(request));
	try {
		if (request.do === 'large')
			return await large(connection);
		if (request.do === 'change')
			await connection.change({ user: request.user2,
				password: request.password2, database: 'app' });
		return await ask(connection, request.word);
	} finally {
		connection.end();
	}
}

(async () => {
	for await (const line of readline.createInterface(process.stdin)) {
		const request = Object.fromEntries(line.split('\t').map(
			pair => [pair.slice(0, pair.indexOf('=')),
				pair.slice(pair.indexOf('=') + 1)]));
		let said;
		try {
			said = 'ok ' + await answer(request);
		} catch (error) {
			said = `error ${error.errno ?? error.code} ` +
				`${error.sqlState ?? '-'} ${error.message}`;
		}
		console.log(`${request.id} ${said}`.replace(/\s+/g, ' '));
	}
})();

// xdevapi.js JSON: one question by MySQL's own driver of the X protocol.
//
// JSON has port, user, password; tls (true or false), ca, a file; auth;
// attributes: false for none, otherwise "mark" is one, which the driver sends
// in clear, with its request for TLS; word, which is asked for; large: true.
// Prints
//	ok USER|WORD|the server leg's cipher|the attribute as the server has it
//	ok BYTES HASH		of something large
//	error CODE TEXT
const crypto = require('crypto');
const fs = require('fs');
const xdevapi = require('@mysql/xdevapi');

const request = JSON.parse(process.argv[2]);

const question = `SELECT CURRENT_USER(), '${request.word}',
	(SELECT VARIABLE_VALUE FROM performance_schema.session_status
		WHERE VARIABLE_NAME = 'Mysqlx_ssl_cipher'),
	(SELECT ATTR_VALUE FROM performance_schema.session_connect_attrs
		WHERE PROCESSLIST_ID = CONNECTION_ID() AND ATTR_NAME = 'mark')`;
const megabytes = "SELECT REPEAT('0123456789abcdef', 589824)";

function options() {
	const tls = { enabled: request.tls };
	if (request.ca)
		tls.ca = fs.readFileSync(request.ca, 'utf8');
	const all = {
		host: 'localhost', port: request.port, user: request.user,
		password: request.password, connectTimeout: 20000, tls,
		connectionAttributes: request.attributes === false
			? false : { mark: 'mark' },
	};
	if (request.auth)
		all.auth = request.auth;
	return all;
}

async function ask() {
	const session = await xdevapi.getSession(options());
	const sql = request.large ? megabytes : question;
	const row = (await session.sql(sql).execute()).fetchOne();
	await session.close();
	if (!request.large)
		return row.map(value => value || '-').join('|');
	const hash = crypto.createHash('md5').update(row[0]).digest('hex');
	return `${row[0].length} ${hash}`;
}

ask().then(
	answer => {
		console.log(`ok ${answer}`);
		process.exit(0);
	},
	error => {
		console.log(`error ${error.info ? error.info.code : '-'} ` +
			error.message);
		process.exit(1);
	});

// tds_query.js DRIVER ENCRYPTION CA PASSWORD SQL PORT...
//
// Asks what listens on each PORT of localhost, with tedious, tedious19 or
// mssql; a line for each: the port and the row, or "error", its code and why.
// ENCRYPTION is what the driver's PRELOGIN is to say (it never says "off").
// A CA that is "-" is none, and nothing is verified.  With SQL of
// "cancel ROWS" tedious cancels a query at its first row and asks another.
const fs = require('fs');

const [driver, encryption, ca, password, sql, ...ports] =
	process.argv.slice(2);
const encrypt = { not_sup: false, on: true, strict: 'strict' }[encryption];
const TIMEOUT = 15000;

function options(port) {
	return {
		// A log-in in clear shows on the wire by this; in it the
		// password is veiled.
		appName: password,
		encrypt,
		port,
		connectTimeout: TIMEOUT,
		requestTimeout: TIMEOUT,
		trustServerCertificate: ca === '-',
		cryptoCredentialsDetails:
			ca === '-' ? {} : { ca: fs.readFileSync(ca) },
	};
}

// Resolves to the row, or to "cancelled" if it should be and was.
function ask(connection, text, cancel) {
	const { Request } = require(driver);
	return new Promise((resolve, reject) => {
		let row = 'no row';
		const request = new Request(text, error => {
			if (cancel && error && error.code === 'ECANCEL')
				resolve('cancelled');
			else if (error)
				reject(error);
			else
				resolve(row);
		});
		request.on('row', columns => {
			row = columns.map(column => column.value).join('|');
			if (cancel)
				connection.cancel();
		});
		connection.execSql(request);
	});
}

async function askTwice(connection) {
	const rows = sql.split(' ')[1];
	const first = await ask(connection, "select n, replicate('x', 50) " +
		`from numbers(${rows})`, true);
	const second = await ask(connection, "select 'goes on'");
	return `${first}, ${second}`;
}

function tedious(port) {
	const { Connection } = require(driver);
	const connection = new Connection({
		server: 'localhost',
		authentication: {
			type: 'default',
			options: { userName: 'app', password },
		},
		options: options(port),
	});
	return new Promise((resolve, reject) => {
		connection.on('error', reject);
		connection.connect(error => {
			if (error) {
				connection.close();
				reject(error);
				return;
			}
			const asked = sql.startsWith('cancel ') ?
				askTwice(connection) : ask(connection, sql);
			asked.then(resolve, reject).finally(
				() => connection.close());
		});
	});
}

async function mssql(port) {
	const { ConnectionPool } = require('mssql');
	const pool = new ConnectionPool({
		server: 'localhost',
		port,
		user: 'app',
		password,
		connectionTimeout: TIMEOUT,
		requestTimeout: TIMEOUT,
		options: options(port),
	});
	pool.on('error', () => {});
	try {
		await pool.connect();
		const result = await pool.request().query(sql);
		return Object.values(result.recordset[0]).join('|');
	} finally {
		await pool.close();
	}
}

(async () => {
	const through = driver === 'mssql' ? mssql : tedious;
	for (const port of ports) {
		let said;
		try {
			said = await through(Number(port));
		} catch (error) {
			said = `error ${error.code} ${error.message}`;
		}
		console.log(port, said.replace(/\s+/g, ' '));
	}
	process.exit(0);
})();

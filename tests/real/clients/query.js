// query.js OPTIONS SQL: prints the row, or why there is none.  OPTIONS are
// those of the driver, as JSON; a file's name stands for ssl.ca.
const fs = require('fs');
const { Client } = require('pg');

const [options, sql] = process.argv.slice(2);
const settings = JSON.parse(options);
if (settings.ssl)
	settings.ssl.ca = fs.readFileSync(settings.ssl.ca);

(async () => {
	const client = new Client({ ...settings, connectionTimeoutMillis: 20000 });
	await client.connect();
	const result = await client.query({ text: sql, rowMode: 'array' });
	console.log(result.rows[0].join('|'));
	await client.end();
})().catch(error => {
	console.log('error', error.code, error.message);
	process.exit(1);
});

// ora_query.js WALLET WORD DESCRIPTOR...
//
// Connects with node-oracledb (thin) to each; a line for each, of what comes of
// it: there is no Oracle behind a double, so that is always an error.  WALLET
// is a folder with ewallet.pem, or "-" (and what is trusted comes from
// NODE_EXTRA_CA_CERTS).  WORD is the user's name.
const oracledb = require('oracledb');

const [wallet, word, ...descriptors] = process.argv.slice(2);

(async () => {
	for (const descriptor of descriptors) {
		let said = 'a session';
		try {
			await oracledb.getConnection({
				user: word,
				password: 'secret',
				connectString: descriptor,
				transportConnectTimeout: 15,
				...(wallet === '-' ? {} :
					{ walletLocation: wallet }),
			});
		} catch (error) {
			said = `${error.code} ${error.message}`;
		}
		console.log(said.replace(/\s+/g, ' '));
	}
	process.exit(0);
})();

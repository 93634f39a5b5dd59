// mongo_query.js WHAT TEXT URI...: asks the MongoDB at each URI; a line for
// each: what came of it, or "error", the error's code and why.
//
//	round	stores a document with TEXT, finds it, counts it
//	batches	1000 documents, and 100 of them in a reply
//	large	48 MB in one message, and three documents of 16 MB back
//	rest:S	nothing for S seconds, then a ping; failed heartbeats are counted
//	moves:F	who is primary, by storing something; once more, when file F.go is
//		there, which whoever waits for F.ready makes
const fs = require('fs');
const { MongoClient } = require('mongodb');

const [what, text, ...uris] = process.argv.slice(2);
const [name, how] = what.split(':');

const pause = ms => new Promise(done => setTimeout(done, ms));

function primary(client) {
	const servers = client.topology.description.servers.values();
	return [...servers].find(server => server.isWritable).address;
}

const ask = {
	async round(client) {
		const collection = client.db('app').collection('round');
		const { insertedId } = await collection.insertOne({ text });
		const found = await collection.findOne({ _id: insertedId });
		const count = await collection.countDocuments({ _id: insertedId });
		return `${found.text}|${count}|${primary(client)}`;
	},
	async batches(client) {
		const collection = client.db('app').collection(`batches${Date.now()}`);
		await collection.insertMany(
			[...Array(1000).keys()].map(n => ({ n, text })));
		const found = await collection.find({}, { batchSize: 100 }).toArray();
		return found.length;
	},
	async large(client) {
		const collection = client.db('app').collection(`large${Date.now()}`);
		await collection.insertMany([0, 1, 2].map(n => (
			{ _id: n, text: String(n).repeat(15990000) })));
		const found = await collection.find().toArray();
		return found.map(document => document.text.length).join('|');
	},
	async rest(client, beats) {
		await client.db('admin').command({ ping: 1 });
		await pause(Number(how) * 1000);
		await client.db('admin').command({ ping: 1 });
		return `rested|${beats.bad} of ${beats.good + beats.bad} failed`;
	},
	async moves(client) {
		const collection = client.db('app').collection('moves');
		await collection.insertOne({ text });
		const before = primary(client);
		fs.writeFileSync(`${how}.ready`, '');
		while (!fs.existsSync(`${how}.go`))
			await pause(20);
		await collection.insertOne({ text });
		return `${before}|${primary(client)}`;
	},
};

async function at(uri) {
	const beats = { good: 0, bad: 0 };
	const client = new MongoClient(uri);
	client.on('serverHeartbeatSucceeded', () => beats.good++);
	client.on('serverHeartbeatFailed', () => beats.bad++);
	try {
		await client.connect();
		return await ask[name](client, beats);
	} finally {
		await client.close();
	}
}

(async () => {
	for (const uri of uris) {
		let said;
		try {
			said = `ok ${await at(uri)}`;
		} catch (error) {
			said = `error ${error.code} ${error.name} ${error.message}`;
		}
		console.log(said.replace(/\s+/g, ' '));
	}
	process.exit(0);
})();

// mongo_query.js WHAT TEXT URI...: asks the MongoDB at each URI; a line for
// each: what came of it, or "error", the error's code and why.
//
//	round	stores a document with TEXT, finds it, counts it
//	batches	1000 documents, and 100 of them in a reply
//	large	48 MB in one message, and three documents of 16 MB back
//	rest:S	nothing for S seconds, then a ping; failed heartbeats are counted
const { MongoClient } = require('mongodb');

const [what, text, ...uris] = process.argv.slice(2);
const [name, seconds] = what.split(':');

const ask = {
	async round(client) {
		const collection = client.db('app').collection('round');
		const { insertedId } = await collection.insertOne({ text });
		const found = await collection.findOne({ _id: insertedId });
		const count = await collection.countDocuments({ _id: insertedId });
		const servers = client.topology.description.servers.values();
		const writable = [...servers].find(server => server.isWritable);
		return `${found.text}|${count}|${writable.address}`;
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
		await new Promise(done => setTimeout(done, Number(seconds) * 1000));
		await client.db('admin').command({ ping: 1 });
		return `rested|${beats.bad} of ${beats.good + beats.bad} failed`;
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

"""mongo_query.py WHAT TEXT URI...: asks the MongoDB at each URI; a line for
each: what came of it, or "error", the error's code and why.

    round   stores a document with TEXT, finds it, counts it
    batches 1000 documents, and 100 of them in a reply
    large   48 MB in one message, and three documents of 16 MB back
    rest:S  nothing for S seconds, then a ping; failed heartbeats are counted
    moves:F who is primary, by storing something; once more, when file F.go is
            there, which whoever waits for F.ready makes
"""
import os
import sys
import time

import pymongo
from pymongo import monitoring

WHAT, _, HOW = sys.argv[1].partition(':')
TEXT = sys.argv[2]


class Beats(monitoring.ServerHeartbeatListener):
    def __init__(self):
        self.good = self.bad = 0

    def started(self, event):
        pass

    def succeeded(self, event):
        self.good += 1

    def failed(self, event):
        self.bad += 1


def ask_round(client, _):
    collection = client.app.round
    number = collection.insert_one({'text': TEXT}).inserted_id
    found = collection.find_one({'_id': number})['text']
    count = collection.count_documents({'_id': number})
    return f'{found}|{count}|{client.address[0]}:{client.address[1]}'


def ask_batches(client, _):
    collection = client.app[f'batches{time.time()}']
    collection.insert_many([{'n': n, 'text': TEXT} for n in range(1000)])
    return sum(1 for _ in collection.find({}, batch_size=100))


def ask_large(client, _):
    collection = client.app[f'large{time.time()}']
    collection.insert_many([{'_id': n, 'text': str(n) * 15990000}
                            for n in range(3)])
    return '|'.join(str(len(d['text'])) for d in collection.find())


def ask_rest(client, beats):
    client.admin.command('ping')
    time.sleep(int(HOW))
    client.admin.command('ping')
    return f'rested|{beats.bad} of {beats.good + beats.bad} failed'


def ask_moves(client, _):
    collection = client.app.moves
    collection.insert_one({'text': TEXT})
    before = client.address
    with open(f'{HOW}.ready', 'w'):
        pass
    while not os.path.exists(f'{HOW}.go'):
        time.sleep(0.02)
    collection.insert_one({'text': TEXT})
    return '{}:{}|{}:{}'.format(*before, *client.address)


def ask(uri):
    beats = Beats()
    client = pymongo.MongoClient(uri, event_listeners=[beats])
    try:
        return globals()[f'ask_{WHAT}'](client, beats)
    finally:
        client.close()


for word in sys.argv[3:]:
    try:
        said = f'ok {ask(word)}'
    except Exception as error:                  # whatever the driver raises
        code = getattr(error, 'code', None)
        said = f'error {code} {type(error).__name__} {error}'
    print(' '.join(said.split()), flush=True)

"""mongo.py --port PORT [OPTION]...

A double of MongoDB: hello in every way that drivers say it, a replica set's
topology, SCRAM-SHA-256 and MONGODB-X509, and a store in memory.  In clear, or
with --cert in TLS.  SIGUSR1 changes the version of the topology, as an
election would, so that every hello that is waiting is answered; who is primary
from then on is what --primary-file says.
"""
import base64
import hashlib
import hmac
import itertools
import os
import signal
import threading
import time

import bsonwire as b
import common

MESSAGE_MAX = 48000000
DOCUMENT_MAX = 16 * 1024 * 1024
ITERATIONS = 4096
FIRST_BATCH = 101
UNAUTHORIZED, FAILED, NO_COMMAND, NO_CURSOR = 13, 18, 59, 43
NOT_PRIMARY = 10107
WITHOUT_LOGIN = {'hello', 'ismaster', 'isMaster', 'saslStart', 'saslContinue',
                 'authenticate', 'ping', 'buildInfo', 'buildinfo',
                 'endSessions'}


class CommandError(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Topology:
    """What hello says of the replica set, and its version."""

    def __init__(self, options):
        self.options = options
        self.process, self.counter = b.ObjectId(os.urandom(12)), 0
        self.changed = threading.Condition()

    def change(self):
        with self.changed:
            if self.options.primary_file:
                with open(self.options.primary_file) as file:
                    self.options.primary = file.read().strip()
            self.counter += 1
            self.changed.notify_all()

    def version(self):
        return {'processId': self.process, 'counter': b.Int64(self.counter)}

    def is_primary(self):
        return not self.options.set_name or \
            self.options.me == self.options.primary

    def fields(self):
        o, primary = self.options, self.is_primary()
        fields = {'isWritablePrimary': primary, 'ismaster': primary}
        if o.set_name:
            fields.update({
                'setName': o.set_name, 'setVersion': 1,
                'secondary': not primary, 'hosts': names(o.hosts),
                'passives': names(o.passives), 'arbiters': names(o.arbiters),
                'primary': o.primary, 'me': o.me,
                'electionId': b.ObjectId(bytes(12)),
                'lastWrite': {'opTime': {'ts': b.Timestamp(1 << 32),
                                         't': b.Int64(1)},
                              'lastWriteDate': now()}})
            for name in ('passives', 'arbiters'):
                if not fields[name]:
                    del fields[name]
        return fields


def names(text):
    return text.split(',') if text else []


def now():
    return b.Datetime(time.time() * 1000)


class Scram:
    """The server's side of SCRAM-SHA-256, RFC 5802 and 7677."""

    def __init__(self, options):
        self.options = options
        self.first, self.ok, self.user = '', False, ''

    def start(self, payload):
        gs2, bare = payload[:3], payload[3:].decode()
        if gs2 != b'n,,':
            raise CommandError(FAILED, f'gs2 header {gs2!r}')
        fields = dict(part.split('=', 1) for part in bare.split(','))
        self.user = fields['n'].replace('=2C', ',').replace('=3D', '=')
        self.nonce = fields['r'] + base64.b64encode(os.urandom(18)).decode()
        self.salt = os.urandom(16)
        said = 'r=%s,s=%s,i=%d' % (
            self.nonce, base64.b64encode(self.salt).decode(), ITERATIONS)
        self.first = f'{bare},{said}'
        return said.encode()

    def finish(self, payload):
        said = payload.decode()
        without, _, proof = said.partition(',p=')
        if without != f'c=biws,r={self.nonce}':
            raise CommandError(FAILED, 'Authentication failed.')
        salted = hashlib.pbkdf2_hmac(
            'sha256', self.options.password.encode(), self.salt, ITERATIONS)
        key = mac(salted, b'Client Key')
        text = f'{self.first},{without}'.encode()
        signed = mac(hashlib.sha256(key).digest(), text)
        wanted = bytes(x ^ y for x, y in zip(key, signed))
        self.ok = (self.user == self.options.user and hmac.compare_digest(
            wanted, base64.b64decode(proof)))
        if not self.ok:
            raise CommandError(FAILED, 'Authentication failed.')
        signature = mac(mac(salted, b'Server Key'), text)
        return b'v=' + base64.b64encode(signature)


def mac(key, text):
    return hmac.new(key, text, 'sha256').digest()


class Store:
    """Collections, and cursors over what is left of an answer."""

    def __init__(self):
        self.lock = threading.Lock()
        self.collections, self.cursors = {}, {}
        self.numbers = itertools.count(1)

    def insert(self, space, documents):
        with self.lock:
            self.collections.setdefault(space, []).extend(documents)

    def find(self, space, wanted):
        with self.lock:
            return [document for document in self.collections.get(space, ())
                    if all(document.get(name) == value
                           for name, value in wanted.items())]

    def first(self, space, documents, size):
        """A cursor's first batch; the rest waits for getMore."""
        batch, rest = cut(documents, size)
        number = 0
        if rest:
            number = next(self.numbers)
            self.cursors[number] = rest
        return {'cursor': {'firstBatch': batch, 'id': b.Int64(number),
                           'ns': space}, 'ok': 1.0}

    def more(self, space, number, size):
        if number not in self.cursors:
            raise CommandError(NO_CURSOR, f'cursor id {number} not found')
        batch, rest = cut(self.cursors.pop(number), size)
        if rest:
            self.cursors[number] = rest
        return {'cursor': {'nextBatch': batch, 'ns': space,
                           'id': b.Int64(number if rest else 0)}, 'ok': 1.0}


def cut(documents, size):
    """No more than size, and no more than a reply may hold."""
    total, count = 0, 0
    for document in documents[:size]:
        total += len(b.encode(document))
        if count and total > DOCUMENT_MAX:
            break
        count += 1
    return documents[:count], documents[count:]


class Session:
    def __init__(self, options, topology, store, note, stream, conn):
        self.options, self.topology, self.store = options, topology, store
        self.note, self.stream, self.conn = note, stream, conn
        self.user, self.scram = None, None
        self.requests = itertools.count(1)
        self.peer = ''
        if isinstance(stream, common.Secured):
            self.peer = stream.tls.facts()['peer']

    def run(self):
        while True:
            length = int.from_bytes(self.stream.peek(4), 'little')
            if not b.HEAD < length <= MESSAGE_MAX:
                raise common.Refused(f'a message of {length} bytes')
            data = self.stream.read(length)
            if int.from_bytes(data[12:16], 'little') == b.OP_COMPRESSED:
                self.note('violation', what='OP_COMPRESSED, not negotiated')
                raise common.Refused('OP_COMPRESSED')
            self.answer(b.Message(data))

    def answer(self, message):
        name = message.name
        if name in ('hello', 'ismaster', 'isMaster'):
            self.hello(message)
            return
        self.note('command', name=name, bytes=message.length,
                  opcode=message.opcode)
        try:
            if self.options.auth and not self.user and \
                    name not in WITHOUT_LOGIN:
                raise CommandError(
                    UNAUTHORIZED, f'command {name} requires authentication')
            document = self.carry_out(name, message.command)
        except CommandError as error:
            document = {'ok': 0.0, 'errmsg': str(error), 'code': error.code,
                        'codeName': 'Error'}
            if error.code == NOT_PRIMARY:       # by this some drivers know
                document['errorLabels'] = ['RetryableWriteError']
        if not message.flags & b.MORE_TO_COME:
            self.send(message, document)

    def send(self, message, document, flags=0):
        self.stream.write(b.reply(message, document, next(self.requests),
                                  flags))

    # --- hello -------------------------------------------------------------

    def hello(self, message):
        command = message.command
        known = command.get('topologyVersion')
        wait = command.get('maxAwaitTimeMS', 0) / 1000
        exhaust = bool(message.flags & b.EXHAUST_ALLOWED)
        self.note('hello_command', opcode=message.opcode, name=message.name,
                  await_ms=int(wait * 1000), exhaust=exhaust,
                  speculative=(command.get('speculativeAuthenticate') or {}
                               ).get('mechanism'),
                  compression=command.get('compression'),
                  loadBalanced=command.get('loadBalanced'))
        while True:
            if known and not self.wait(known, wait):
                raise common.Closed('while a hello waited')
            document = self.hello_document(command)
            more = exhaust and known is not None
            self.send(message, document, b.MORE_TO_COME if more else 0)
            self.note('hello_reply', exhaust=more,
                      counter=self.topology.counter)
            if not more:
                return
            known = document['topologyVersion']

    def wait(self, known, seconds):
        """Until the topology is another, or that long; false: the client has
        left."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with self.topology.changed:
                if self.topology.counter != known['counter'] or \
                        self.topology.process != known['processId']:
                    return True
                self.topology.changed.wait(min(left, 0.2))
            if self.stream.waiting():
                self.stream.peek(1)             # raises Closed
                self.note('violation', what='bytes while a hello waited')
                return False
        return True

    def hello_document(self, command):
        document = self.topology.fields()
        document.update({
            'topologyVersion': self.topology.version(),
            'maxBsonObjectSize': DOCUMENT_MAX, 'helloOk': True,
            'maxMessageSizeBytes': MESSAGE_MAX, 'maxWriteBatchSize': 100000,
            'localTime': now(), 'logicalSessionTimeoutMinutes': 30,
            'connectionId': self.conn, 'minWireVersion': 0,
            'maxWireVersion': 21, 'readOnly': False})
        if 'saslSupportedMechs' in command:
            document['saslSupportedMechs'] = ['SCRAM-SHA-256']
        speculative = command.get('speculativeAuthenticate')
        if speculative:
            try:
                document['speculativeAuthenticate'] = self.log_in(speculative)
            except CommandError as error:
                self.note('auth', ok=False, why=str(error), speculative=True)
        document['ok'] = 1.0
        return document

    # --- logging in --------------------------------------------------------

    def log_in(self, command):
        if 'authenticate' in command:
            return self.log_in_x509(command)
        if command.get('mechanism') != 'SCRAM-SHA-256':
            raise CommandError(FAILED, 'Unsupported mechanism')
        self.scram = Scram(self.options)
        said = self.scram.start(bytes(command['payload']))
        return {'conversationId': 1, 'done': False, 'payload': said}

    def log_in_x509(self, command):
        if command.get('mechanism') != 'MONGODB-X509' or not self.peer:
            raise CommandError(FAILED, 'No verified subject name available '
                               'from client')
        asked = command.get('user', self.peer)
        if asked != self.peer:
            raise CommandError(FAILED, 'There is no x.509 client certificate '
                               'matching the user.')
        self.user = self.peer
        self.note('auth', ok=True, user=self.user, mechanism='MONGODB-X509')
        return {'dbname': '$external', 'user': self.user, 'ok': 1.0}

    def log_in_more(self, command):
        if self.scram is None:
            raise CommandError(FAILED, 'No SASL session state found')
        if self.scram.ok:                       # the empty exchange
            return {'conversationId': 1, 'done': True, 'payload': b'',
                    'ok': 1.0}
        try:
            said = self.scram.finish(bytes(command['payload']))
        except CommandError:
            self.note('auth', ok=False, user=self.scram.user,
                      mechanism='SCRAM-SHA-256')
            raise
        self.user = self.scram.user
        self.note('auth', ok=True, user=self.user, mechanism='SCRAM-SHA-256')
        return {'conversationId': 1, 'done': True, 'payload': said, 'ok': 1.0}

    # --- commands ----------------------------------------------------------

    def carry_out(self, name, command):
        space = f"{command.get('$db')}.{command.get(name)}"
        if name == 'getMore':
            space = f"{command.get('$db')}.{command.get('collection')}"
            return self.store.more(space, int(command[name]),
                                   command.get('batchSize') or FIRST_BATCH)
        if name in ('saslStart', 'authenticate'):
            return {**self.log_in(command), 'ok': 1.0}
        if name == 'saslContinue':
            return self.log_in_more(command)
        if name == 'insert':
            if not self.topology.is_primary():
                raise CommandError(NOT_PRIMARY, 'not primary')
            self.store.insert(space, command['documents'])
            return {'n': len(command['documents']), 'ok': 1.0}
        if name == 'find':
            found = self.store.find(space, command.get('filter', {}))
            limit = abs(command.get('limit', 0)) or len(found)
            return self.store.first(space, found[:limit], command.get(
                'batchSize', FIRST_BATCH))
        if name == 'aggregate':
            found = self.aggregate(space, command['pipeline'])
            return self.store.first(space, found, command.get(
                'cursor', {}).get('batchSize', FIRST_BATCH))
        if name in ('ping', 'endSessions', 'killCursors'):
            return {'ok': 1.0}
        if name in ('buildInfo', 'buildinfo'):
            return {'version': '7.0.0', 'versionArray': [7, 0, 0, 0],
                    'ok': 1.0}
        if name == 'connectionStatus':
            users = [{'user': self.user}] if self.user else []
            return {'authInfo': {'authenticatedUsers': users}, 'ok': 1.0}
        raise CommandError(NO_COMMAND, f"no such command: '{name}'")

    def aggregate(self, space, pipeline):
        found = self.store.find(space, {})
        for stage in pipeline:
            (what, value), = stage.items()
            if what == '$match':
                found = [d for d in found if all(
                    d.get(n) == v for n, v in value.items())]
            elif what == '$limit':
                found = found[:value]
            elif what == '$count':
                found = [{value: len(found)}] if found else []
            elif what == '$group':              # what countDocuments() says
                found = [{'_id': value['_id'], 'n': len(found)}]
            else:
                raise CommandError(40324, f'Unrecognized stage: {what}')
        return found


def main():
    parser = common.arguments(__doc__)
    parser.add_argument('--auth', action='store_true',
                        help='refuse what is said before a login')
    parser.add_argument('--set-name', default='', help='a replica set')
    parser.add_argument('--hosts', default='', help='NAME:PORT,...')
    parser.add_argument('--passives', default='')
    parser.add_argument('--arbiters', default='')
    parser.add_argument('--primary', default='')
    parser.add_argument('--primary-file', default='')
    parser.add_argument('--me', default='')
    options = parser.parse_args()
    context = common.tls_context(options)
    log = common.Log(options.log)
    topology, store = Topology(options), Store()
    signal.signal(signal.SIGUSR1, lambda *_: topology.change())

    def connection(conn, sock):
        def note(event, **values):
            log.event(conn, event, **values)
        stream = common.accept(common.Wire(sock, options.bits), context, note)
        Session(options, topology, store, note, stream, conn).run()

    common.serve(options, log, connection)


main()

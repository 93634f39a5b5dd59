"""common.py - what the doubles share: a listener, an event log, and TLS whose
records can be seen one by one.

A double is one process on one port of loopback.  Each connection is a thread.
Events are lines of JSON, at once in the file: {"conn": 3, "event": "login"...}
"""
import argparse
import json
import select
import socket
import ssl
import struct
import sys
import threading
import warnings

HANDSHAKE, ALERT, APPLICATION = 0x16, 0x15, 0x17
RECORD_HEAD, RECORD_MAX = 5, 16384
LINGER = 3


class Closed(Exception):
    """The peer has ended the connection."""


class Refused(Exception):
    """We end it; what was to be said has been said."""


class Log:
    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, 'a', encoding='utf-8') if path else sys.stdout

    def event(self, conn, event, **values):
        line = json.dumps({'conn': conn, 'event': event, **values})
        with self.lock:
            self.file.write(line + '\n')
            self.file.flush()


# --- the socket ------------------------------------------------------------

class Wire:
    """A socket that is read by exact counts, and written whole or in bits."""

    def __init__(self, sock, bits=0):
        self.sock = sock
        self.bits = bits
        self.ahead = bytearray()

    def read(self, count):
        while len(self.ahead) < count:
            self._more()
        data = bytes(self.ahead[:count])
        del self.ahead[:count]
        return data

    def peek(self, count):
        while len(self.ahead) < count:
            self._more()
        return bytes(self.ahead[:count])

    def _more(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise Closed('in order' if not self.ahead else 'in a message')
        self.ahead += data

    def waiting(self, seconds=0):
        """Has the peer sent something that was not read yet?"""
        return bool(self.ahead or
                    select.select([self.sock], [], [], seconds)[0])

    def write(self, data):
        if not self.bits:
            self.sock.sendall(data)
            return
        for at in range(0, len(data), self.bits):
            self.sock.sendall(data[at:at + self.bits])
            select.select([], [], [], 0.0002)   # a segment of its own

    def drain(self):
        """Until the peer has closed."""
        while self.sock.recv(65536):
            pass


# --- TLS -------------------------------------------------------------------

class Tls:
    """A server's side of TLS over memory: records in, records out."""

    def __init__(self, context):
        self.inside, self.outside = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.sni = None
        self.object = context.wrap_bio(self.inside, self.outside,
                                       server_side=True)

    def handshake(self, data):
        """Takes what has come; what is to be sent, and whether it is done."""
        self.inside.write(data)
        try:
            self.object.do_handshake()
            return self.outside.read(), True
        except ssl.SSLWantReadError:
            return self.outside.read(), False

    def open(self, record):
        """What one record holds."""
        self.inside.write(record)
        plain = b''
        try:
            while True:
                data = self.object.read(65536)
                if not data:
                    raise Closed('close_notify')
                plain += data
        except ssl.SSLWantReadError:
            return plain
        except ssl.SSLZeroReturnError:
            raise Closed('close_notify') from None

    def seal(self, data):
        at = 0
        while at < len(data):
            at += self.object.write(data[at:at + RECORD_MAX])
        return self.outside.read()

    def facts(self):
        peer = self.object.getpeercert() or {}
        return {'tls': self.object.version(),
                'cipher': self.object.cipher()[0],
                'alpn': self.object.selected_alpn_protocol(),
                'resumed': self.object.session_reused,
                'peer': subject(peer)}


class Secured:
    """A Wire within TLS, once that is up; records do not matter."""

    def __init__(self, wire, tls):
        self.wire, self.tls, self.sock = wire, tls, wire.sock
        self.ahead = bytearray()

    def read(self, count):
        data = self.peek(count)
        del self.ahead[:count]
        return data

    def peek(self, count):
        while len(self.ahead) < count:
            self.ahead += self.tls.open(read_record(self.wire))
        return bytes(self.ahead[:count])

    def waiting(self, seconds=0):
        return bool(self.ahead) or self.wire.waiting(seconds)

    def write(self, data):
        self.wire.write(self.tls.seal(data))


def accept(wire, context, note):
    """A listener that is TLS from the first byte if it has a certificate, and
    else in clear: what to read from and to write to."""
    first = wire.peek(1)[0]
    if (context is not None) != (first == HANDSHAKE):
        note('first_byte', first=first)
        raise Refused(f'begins with {first:#04x}')
    if context is None:
        return wire
    head = wire.peek(RECORD_HEAD)
    note('hello', **client_hello(
        wire.peek(RECORD_HEAD + struct.unpack_from('!H', head, 3)[0])))
    tls = Tls(context)
    tls_accept(wire, tls)
    note('tls', **tls.facts())
    return Secured(wire, tls)


def subject(certificate):
    """As RFC 2253 writes it, the last RDN first."""
    short = {'commonName': 'CN', 'organizationName': 'O', 'countryName': 'C',
             'organizationalUnitName': 'OU'}
    return ','.join('+'.join(f'{short.get(name, name)}={value}'
                             for name, value in rdn)
                    for rdn in reversed(certificate.get('subject', ())))


def read_record(wire):
    head = wire.peek(RECORD_HEAD)
    return wire.read(RECORD_HEAD + struct.unpack_from('!H', head, 3)[0])


def tls_accept(wire, tls):
    """The handshake of a protocol that begins with it, record by record."""
    done = False
    while not done:
        out, done = tls_step(wire, tls, read_record(wire))
        wire.write(out)


def tls_step(wire, tls, data):
    try:
        return tls.handshake(data)
    except ssl.SSLError:
        wire.write(tls.outside.read())          # the alert
        raise


def client_hello(record):
    """Name, ALPN and versions that a ClientHello in one record offers."""
    found = {'sni': None, 'alpn_offered': [], 'versions': []}
    try:
        at = RECORD_HEAD + 4 + 2 + 32
        at += 1 + record[at]
        at += 2 + struct.unpack_from('!H', record, at)[0]
        at += 1 + record[at] + 2
        while at < len(record):
            kind, length = struct.unpack_from('!HH', record, at)
            hello_extension(found, kind, record[at + 4:at + 4 + length])
            at += 4 + length
    except (IndexError, struct.error):
        found['cut'] = True
    return found


def hello_extension(found, kind, data):
    if kind == 0:
        found['sni'] = data[5:].decode('ascii', 'replace')
    elif kind == 16:
        at = 2
        while at < len(data):
            name = data[at + 1:at + 1 + data[at]]
            found['alpn_offered'].append(name.decode('ascii', 'replace'))
            at += 1 + data[at]
    elif kind == 43:
        found['versions'] = [f'{v:04x}' for (v,) in
                             struct.iter_unpack('!H', data[1:])]


def tls_context(options, alpn=()):
    if not options.cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():             # old versions, on purpose
        warnings.simplefilter('ignore')
        context.minimum_version = version(options.tls_min)
        context.maximum_version = version(options.tls_max)
    if options.ciphers:
        context.set_ciphers(options.ciphers)
    context.load_cert_chain(options.cert, options.key)
    if not options.tickets:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if options.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(options.client_ca)
    return context


def version(text):
    return {'1.0': ssl.TLSVersion.TLSv1, '1.1': ssl.TLSVersion.TLSv1_1,
            '1.2': ssl.TLSVersion.TLSv1_2,
            '1.3': ssl.TLSVersion.TLSv1_3}[text]


# --- a double --------------------------------------------------------------

def arguments(text, tls_max='1.3'):
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--port', type=int, required=True)
    parser.add_argument('--address', default='127.0.0.1')
    parser.add_argument('--log', help='events; default: standard output')
    parser.add_argument('--cert', help='chain, the leaf first')
    parser.add_argument('--key')
    parser.add_argument('--client-ca', help='demand a certificate by it')
    parser.add_argument('--tls-min', default='1.2')
    parser.add_argument('--tls-max', default=tls_max)
    parser.add_argument('--ciphers')
    parser.add_argument('--tickets', action='store_true')
    parser.add_argument('--user', default='app')
    parser.add_argument('--password', default='secret')
    parser.add_argument('--bits', type=int, default=0, metavar='N',
                        help='send no more than N bytes at once')
    return parser


def ending(error):
    """What the log says of an end."""
    return f'{type(error).__name__}: {error}'


def run(connection, log, conn, sock):
    try:
        connection(conn, sock)
        log.event(conn, 'end', why='done')
    except (Closed, Refused, ssl.SSLError) as error:
        log.event(conn, 'end', why=ending(error))
    except (OSError, ValueError, IndexError, KeyError,
            struct.error) as error:
        log.event(conn, 'end', why=ending(error), fault=True)
    finally:
        leave(sock)


def leave(sock):
    """Closes so that the last words arrive: not while bytes are unread."""
    try:
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(LINGER)
        while sock.recv(65536):
            pass
    except OSError:
        pass
    sock.close()


def serve(options, log, connection):
    """connection(number, socket), in a thread for each, until killed."""
    listener = socket.create_server((options.address, options.port),
                                    backlog=128)
    log.event(0, 'ready', port=options.port)
    conn = 0
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conn += 1
        log.event(conn, 'open')
        threading.Thread(target=run, args=(connection, log, conn, sock),
                         daemon=True).start()

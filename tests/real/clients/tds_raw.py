"""tds_raw.py DOUBLES PORT PASSWORD WHAT [ARGUMENT]...

A client that speaks TDS as drivers seldom do, to what listens on PORT.  It
verifies nothing.  DOUBLES is the folder that has tdswire.py.  WHAT:

    answer E            the ENCRYPTION answered to E; open or closed then
    replied E           the PRELOGIN that answers E, in hexadecimal
    query E [SQL]       a login after PRELOGIN says E, and a query
    slow E              the same, a byte at a time
    together            PRELOGIN and ClientHello in one segment
    inject              LOGIN7 in clear in the segment of an ON
    clear E             LOGIN7 in clear, whatever was answered
    old VERSION         LOGIN7 without PRELOGIN: 70000000, 71000001
    long E              LOGIN7 of more than one packet
    joined              login-only: LOGIN7's packet in TLS and those that
                        follow it in clear in one segment
    alert [late]        login-only: TLS is taken leave of, late: when the
                        log-in has been answered
    tls13               nothing but TLS 1.3, wrapped
    strict [ALPN]       TLS before all else
    merge E, split E    a batch of many packets in records that are too large,
                        too small
    batch E KB SIZE     a batch of so many kilobytes in packets of SIZE
    attention E ROWS    stop in the middle of a result
    smp E [KB SIZE]     two sessions in one, their packets in turns

Prints a line: what came of it, or "error" and why.
"""
import hashlib
import socket
import ssl
import struct
import sys

sys.path.insert(0, sys.argv[1])
import tdswire as w                             # noqa: E402

PORT, PASSWORD, WHAT = int(sys.argv[2]), sys.argv[3], sys.argv[4]
ARGUMENTS = sys.argv[5:]
SECONDS = 15
VERSION = 0x74000004
RECORD_MAX = 16384


class Said(Exception):
    """An ERROR of the server's."""


class Client:
    def __init__(self, version=VERSION, bits=0):
        self.sock = socket.create_connection(('127.0.0.1', PORT), SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.version, self.bits = version, bits
        self.tls, self.size = None, 4096
        self.ahead, self.sealed = b'', b''
        self.smp = {}                           # sid: [sent, received]

    # --- bytes -------------------------------------------------------------

    def send(self, data):
        step = self.bits or len(data) or 1
        for at in range(0, len(data), step):
            self.sock.sendall(data[at:at + step])

    def receive(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError('closed by the server')
        return data

    def write(self, data):
        """In TLS: in one record, if it fits."""
        if self.tls is None:
            self.send(data)
            return
        at = 0
        while at < len(data):
            at += self.tls.write(data[at:at + RECORD_MAX])
        self.send(self.outside.read())

    def read(self, count):
        while len(self.ahead) < count:
            if self.tls is None:
                self.ahead += self.receive()
                continue
            try:
                self.ahead += self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.inside.write(self.receive())
        data, self.ahead = self.ahead[:count], self.ahead[count:]
        return data

    def packet(self):
        head = self.read(w.HEAD)
        if head[0] != w.SMP:
            return head + self.read(w.unit_length(head) - w.HEAD)
        head += self.read(w.SMP_HEAD - w.HEAD)
        body = self.read(w.unit_length(head) - w.SMP_HEAD)
        _, flags, sid, _, seq, _ = struct.unpack('<BBHIII', head)
        if flags == w.SMP_DATA:
            state = self.smp[sid]
            state[1] = seq
            if seq % 2 == 0:                    # the window opens again
                self.write(w.smp(w.SMP_ACK, sid, state[0], seq + 4))
        return body or self.packet()

    def message(self):
        payload = b''
        while True:
            packet = self.packet()
            payload += packet[w.HEAD:]
            if packet[1] & w.EOM:
                return packet[0], payload

    # --- up to the login ---------------------------------------------------

    def prelogin(self, encryption, mars=0, more=b''):
        options = {w.VERSION_OPTION: bytes([9, 0, 0, 0, 0, 0]),
                   w.ENCRYPTION_OPTION: bytes([encryption]),
                   w.INSTANCE_OPTION: b'\0', w.THREAD_OPTION: bytes(4),
                   w.MARS_OPTION: bytes([mars])}
        self.write(next(w.packets(w.PRELOGIN, w.prelogin_write(options))) +
                   more)

    def answered(self):
        kind, body = self.message()
        if kind != w.REPLY:
            raise Said(f'PRELOGIN answered by type {kind:#04x}')
        return w.prelogin_read(body)[w.ENCRYPTION_OPTION][0]

    def tls_new(self, alpn=None, least=ssl.TLSVersion.TLSv1_2,
                most=ssl.TLSVersion.TLSv1_2):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version, context.maximum_version = least, most
        if alpn:
            context.set_alpn_protocols([alpn])
        self.inside, self.outside = ssl.MemoryBIO(), ssl.MemoryBIO()
        return context.wrap_bio(self.inside, self.outside,
                                server_hostname='localhost')

    def wrapped(self, tls, begun=False):
        """The handshake, each flight in a message."""
        while True:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            out = self.outside.read()
            if out and not begun:
                self.send(b''.join(w.packets(w.PRELOGIN, out)))
            begun = False
            if done:
                break
            self.inside.write(self.message()[1])
        self.tls = tls

    def negotiate(self, encryption, mars=0):
        self.prelogin(encryption, mars)
        answer = self.answered()
        if (encryption, answer) == (w.OFF, w.OFF):
            leg = 'login'
        else:
            leg = 'full' if answer in (w.ON, w.REQ) else 'clear'
        if leg == 'clear' and encryption == w.ON:
            raise Said('the server has no encryption')
        if leg != 'clear':
            self.wrapped(self.tls_new())
        return leg

    def log_in(self, leg='clear', sspi=b'', size=4096):
        body = w.login_write('' if sspi else 'app', PASSWORD, self.version,
                             sspi, size)
        for packet in w.packets(w.LOGIN7, body):
            self.write(packet)
            if leg == 'login':                  # TLS ends with the first
                self.tls = None
        return self.result()

    # --- after it ----------------------------------------------------------

    def headers(self):
        if not w.modern(self.version):
            return b''
        return struct.pack('<IIHQI', 22, 18, 2, 0, 1)

    def batch_packets(self, sql):
        return list(w.packets(w.BATCH, self.headers() +
                              sql.encode('utf-16-le'), self.size))

    def query(self, sql):
        for packet in self.batch_packets(sql):
            self.write(packet)
        return self.result()

    def result(self):
        return Result(self, self.message()[1])


class Result:
    """What the tokens of a reply say."""

    def __init__(self, client, data):
        self.rows, self.columns, self.last = 0, [], []
        self.status, at = 0, 0
        modern = w.modern(client.version)
        while at < len(data):
            kind, at = data[at], at + 1
            if kind == 0x81:
                at = self.read_columns(data, at, client.version)
            elif kind == 0xd1:
                at = self.read_row(data, at)
            elif kind in (0xfd, 0xfe, 0xff):
                self.status = struct.unpack_from('<H', data, at)[0]
                at += 12 if modern else 8
            elif kind == 0x79:
                at += 4
            else:
                length = struct.unpack_from('<H', data, at)[0]
                self.token(client, kind, data[at + 2:at + 2 + length])
                at += 2 + length

    def token(self, client, kind, data):
        if kind == 0xaa:
            number, _, severity, length = struct.unpack_from('<IBBH', data)
            text = data[8:8 + 2 * length].decode('utf-16-le')
            raise Said(f'{number}/{severity} {text}')
        if kind == 0xe3 and data[0] == 4:
            client.size = int(data[2:2 + 2 * data[1]].decode('utf-16-le'))
        elif kind == 0xe3 and data[0] in (0x14, 0x15):
            raise Said('a routing reply came through')

    def read_columns(self, data, at, version):
        count = struct.unpack_from('<H', data, at)[0]
        at, self.columns = at + 2, []
        for _ in range(count):
            at += 6 if w.modern(version) else 4
            self.columns.append(data[at])
            if data[at] == 0x26:
                at += 2
            else:
                at += 3 + (0 if version == w.TDS70 else 5)
            at += 1 + 2 * data[at]
        return at

    def read_row(self, data, at):
        self.rows, self.last = self.rows + 1, []
        for kind in self.columns:
            if kind == 0x26:
                self.last.append(int.from_bytes(
                    data[at + 1:at + 1 + data[at]], 'little'))
                at += 1 + data[at]
                continue
            length = struct.unpack_from('<H', data, at)[0]
            text = data[at + 2:at + 2 + length]
            self.last.append(text.decode('cp1252' if kind == w.VARCHAR
                                         else 'utf-16-le'))
            at += 2 + length
        return at

    def __str__(self):
        return '|'.join(str(value) for value in self.last)


SQL = "select 'hello', tls(), packets()"


def do_answer(encryption):
    client = Client()
    client.prelogin(int(encryption))
    answer = client.answered()
    client.sock.settimeout(1)
    try:
        state = 'closed' if client.sock.recv(1) == b'' else 'talks'
    except socket.timeout:
        state = 'open'
    return f'{answer} {state}'


def do_replied(encryption):
    client = Client()
    client.prelogin(int(encryption))
    return client.message()[1].hex()


def do_query(encryption, sql=SQL):
    client = Client()
    client.log_in(client.negotiate(int(encryption)))
    return client.query(sql)


def do_slow(encryption):
    client = Client(bits=1)
    client.log_in(client.negotiate(int(encryption)))
    return client.query(SQL)


def do_together():
    client = Client()
    tls = client.tls_new()
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = next(w.packets(w.PRELOGIN, client.outside.read()))
    client.prelogin(w.ON, more=hello)
    answer = client.answered()
    client.inside.write(client.message()[1])
    client.wrapped(tls)
    client.log_in('full')
    return f'{answer} {client.query(SQL)}'


def login_packets(client):
    return b''.join(w.packets(w.LOGIN7, w.login_write(
        'app', PASSWORD, client.version)))


def do_inject():
    client = Client()
    client.prelogin(w.ON, more=login_packets(client))
    return f'{client.answered()} {client.result()}'


def do_clear(encryption):
    client = Client()
    client.prelogin(int(encryption))
    answer = client.answered()
    client.send(login_packets(client))
    client.result()
    return f'{answer} logged in'


def do_old(version):
    client = Client(int(version, 16))
    client.log_in()
    return client.query(SQL)


def do_long(encryption):
    client = Client()
    sspi = bytes(range(256)) * 24
    client.log_in(client.negotiate(int(encryption)), sspi)
    short = hashlib.sha256(sspi).hexdigest()[:16]
    return f'{short} {client.query(SQL)}'


def do_joined():
    client = Client()
    leg = client.negotiate(w.OFF)
    if leg != 'login':
        return f'{leg}, not login-only'
    first, *rest = w.packets(w.LOGIN7, w.login_write(
        '', '', client.version, bytes(9000)))
    client.tls.write(first)
    client.tls = None
    client.send(client.outside.read() + b''.join(rest))
    client.result()
    return client.query(SQL)


def do_alert(when=''):
    client = Client()
    leg = client.negotiate(w.OFF)
    if leg != 'login':
        return f'{leg}, not login-only'
    client.write(login_packets(client))
    tls, client.tls = client.tls, None
    if when:
        client.result()
    try:
        tls.unwrap()
    except ssl.SSLWantReadError:
        client.send(client.outside.read())
    if not when:
        client.result()
    return client.query(SQL)


def do_tls13():
    client = Client()
    client.prelogin(w.ON)
    client.answered()
    client.wrapped(client.tls_new(least=ssl.TLSVersion.TLSv1_3,
                                  most=ssl.TLSVersion.TLSv1_3))
    return 'a handshake of TLS 1.3'


def strict(alpn=None):
    client = Client()
    tls = client.tls_new(alpn, most=ssl.TLSVersion.TLSv1_3)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            client.send(client.outside.read())
            client.inside.write(client.receive())
        except ssl.SSLError:
            client.send(client.outside.read())
            raise
    client.send(client.outside.read())
    client.tls = tls
    client.version = w.TDS80
    client.prelogin(w.NOT_SUP)
    return client, client.answered()


def do_strict(alpn='tds/8.0'):
    client, answer = strict(None if alpn == '-' else alpn)
    client.log_in()
    return (f'{answer} {client.tls.selected_alpn_protocol()} '
            f'{client.query(SQL)}')


def do_merge(encryption):
    client = Client()
    client.log_in(client.negotiate(int(encryption)), size=512)
    client.write(b''.join(client.batch_packets(long_batch(60))))
    return client.result()


def do_split(encryption):
    client = Client()
    client.log_in(client.negotiate(int(encryption)))
    data = b''.join(client.batch_packets(long_batch(60)))
    for at in range(0, len(data), 700):
        client.write(data[at:at + 700])
    return client.result()


def long_batch(kilobytes):
    text = 'x' * (kilobytes * 512 - 200)        # two bytes each
    return f"select 'hello', tls(), packets(), len('{text}')"


def do_batch(encryption, kilobytes, size):
    client = Client()
    if encryption == 'strict':
        client, _ = strict('tds/8.0')
        client.log_in(size=int(size))
    else:
        client.log_in(client.negotiate(int(encryption)), size=int(size))
    return f'{client.size} {client.query(long_batch(int(kilobytes)))}'


def do_attention(encryption, rows):
    client = Client()
    client.log_in(client.negotiate(int(encryption)))
    for packet in client.batch_packets(f"select n, 'a row', replicate('x', 50)"
                                       f" from numbers({rows})"):
        client.write(packet)
    first = client.packet()
    client.write(next(w.packets(w.ATTENTION, b'')))
    result = Result(client, first[w.HEAD:] + client.message()[1])
    stopped = result.rows < int(rows) and client.result().status & w.ATTN
    return f"{'stopped' if stopped else 'not stopped'} {client.query(SQL)}"


def do_smp(encryption, kilobytes=2, size=512):
    client = Client()
    client.log_in(client.negotiate(int(encryption), mars=1), size=int(size))
    batches = {}
    for sid in (0, 1):
        client.smp[sid] = [0, 0]
        client.write(w.smp(w.SMP_SYN, sid, 0, 4))
        batches[sid] = client.batch_packets(
            f"{long_batch(int(kilobytes))}, 's{sid}'")
    for pair in zip(*batches.values()):         # their packets in turns
        for sid, packet in enumerate(pair):
            client.smp[sid][0] += 1
            client.write(w.smp(w.SMP_DATA, sid, client.smp[sid][0], 4,
                               packet))
    first, second = client.result(), client.result()
    return f'{client.size} {first} {second}'


try:
    print(globals()[f'do_{WHAT}'](*ARGUMENTS))
except (Said, OSError, EOFError, ValueError, KeyError) as error:
    print('error', type(error).__name__, error)

"""tds.py --port PORT --encryption off|on|not_sup|strict [OPTION]...

A double of SQL Server, written from MS-TDS: PRELOGIN, TLS within it or before
it, LOGIN7, and answers to what sql.py knows of SQL.  It keeps the rules that
SQL Server keeps, and notes in its log what a client did that SQL Server
would not have taken: above all, whether each TLS record of the client's held
one TDS packet, no more and no less.
"""
import hashlib
import ssl
import struct
import time

import common
import sql
import tdswire as w

WRAPPED_MAX = 4096
TLS_PACKET_MAX, PACKET_MAX, PACKET_MIN = 16383, 32767, 512
VIOLATIONS_LOGGED = 5
LINGER = 5
PROCEDURES = {10: 'sp_executesql', 13: 'sp_prepexec', 15: 'sp_unprepare'}


def answer_for(setting, asked):
    """What ENCRYPTION is answered with, and whether that is the end."""
    if setting == 'off':
        return (w.ON if asked in (w.ON, w.REQ) else asked), False
    if setting == 'on':
        return {w.OFF: (w.REQ, False), w.ON: (w.ON, False),
                w.REQ: (w.ON, False), w.NOT_SUP: (w.REQ, True)}[asked]
    return w.NOT_SUP, asked in (w.ON, w.REQ)


def leg_for(asked, answered):
    if answered in (w.ON, w.REQ):
        return 'full'
    return 'login' if (asked, answered) == (w.OFF, w.OFF) else 'clear'


class Transport:
    """TDS packets of one connection, in clear, in TLS, in SMP."""

    def __init__(self, wire, note):
        self.wire, self.note = wire, note
        self.tls, self.plain = None, b''
        self.smp, self.sid = {}, 0              # sid: [received, sent, window]
        self.queue, self.parts = [], {}
        self.units = self.records = self.violations = self.largest = 0

    def violation(self, what, **values):
        self.violations += 1
        if self.violations <= VIOLATIONS_LOGGED:
            self.note('violation', what=what, **values)

    # Reading: units, packets, messages.

    def unit(self):
        """The next TDS or SMP packet."""
        if self.tls is None:
            self.swallow_alert()
            data = self.wire.read(w.unit_length(self.wire.peek(w.HEAD)))
        else:
            length = w.unit_length(self.plain)
            while length is None or len(self.plain) < length:
                self.record()
                length = w.unit_length(self.plain)
            data, self.plain = self.plain[:length], self.plain[length:]
        self.units += 1
        self.largest = max(self.largest, len(data))
        return data

    def swallow_alert(self):
        """Where TLS has ended with the login, its close_notify may come."""
        while self.wire.peek(2) == b'\x15\x03':
            common.read_record(self.wire)

    def record(self):
        """One record of the client's: the rule is that it holds one unit."""
        if not 0x14 <= self.wire.peek(1)[0] <= 0x17:
            self.violation('clear', head=self.wire.peek(w.HEAD).hex())
            raise common.Refused('bytes in clear where TLS was agreed')
        data = self.tls.open(common.read_record(self.wire))
        if not data:
            return
        self.records += 1
        length = w.unit_length(self.plain + data)
        if self.plain and not self.goes_on(length, len(data)):
            self.violation('a unit in several records', bytes=len(data))
        elif not self.plain and len(data) != min(
                length or 0, common.RECORD_MAX):
            self.violation('not one unit in a record', bytes=len(data),
                           unit=length)
        self.plain += data

    def goes_on(self, length, more):
        """With the head of SMP a packet may be longer than any record."""
        return length > len(self.plain) == common.RECORD_MAX and \
            length == len(self.plain) + more

    def pump(self):
        """One unit more: into the queue, or what SMP has to do."""
        data = self.unit()
        if data[0] != w.SMP:
            self.queue.append((0, data))
            return
        _, flags, sid, length, seq, window = struct.unpack_from(
            '<BBHIII', data)
        if flags == w.SMP_SYN:
            self.smp[sid] = [0, 0, window]
            return
        self.smp[sid][2] = window
        if flags == w.SMP_FIN:
            self.raw(w.smp(w.SMP_FIN, sid, self.smp[sid][1],
                           self.smp[sid][0] + 4))
        elif flags == w.SMP_DATA:
            self.smp[sid][0] = seq
            self.queue.append((sid, data[w.SMP_HEAD:length]))

    def message(self):
        """Type, status, payload and number of packets of the next one; what
        is written from now on is its answer."""
        while True:
            while not self.queue:
                self.pump()
            sid, packet = self.queue.pop(0)
            parts = self.parts.setdefault(sid, [])
            parts.append(packet)
            if packet[1] & w.EOM:
                break
        self.sid = sid
        del self.parts[sid]
        if len({part[0] for part in parts}) != 1:
            self.violation('types mixed in a message')
        return (packet[0], parts[0][1],
                b''.join(part[w.HEAD:] for part in parts), len(parts))

    def attention(self, seconds=0):
        """Has the client asked to stop?  Waits that long."""
        while self.plain or self.wire.waiting(seconds):
            self.pump()
            if self.queue and self.queue[-1][1][0] == w.ATTENTION:
                self.queue.pop()
                return True
            seconds = 0
        return False

    # Writing.

    def raw(self, data):
        self.wire.write(self.tls.seal(data) if self.tls else data)

    def packet(self, data):
        if not self.smp:
            self.raw(data)
            return
        state = self.smp[self.sid]
        while state[1] == state[2]:             # the window is closed
            self.pump()
        state[1] += 1
        self.raw(w.smp(w.SMP_DATA, self.sid, state[1], state[0] + 4, data))


class Reply:
    """A message to the client while it is made; stops at an attention."""

    def __init__(self, transport, size):
        self.transport, self.room = transport, size - w.HEAD
        self.buffer, self.number, self.stopped = b'', 0, False

    def add(self, data):
        self.buffer += data
        while len(self.buffer) > self.room:
            self.send(0, self.buffer[:self.room])
            self.buffer = self.buffer[self.room:]
            self.stopped = self.stopped or self.transport.attention()

    def send(self, status, data):
        self.number += 1
        head = struct.pack('!BBHHBB', w.REPLY, status, w.HEAD + len(data), 51,
                           self.number & 0xff, 0)
        self.transport.packet(head + data)

    def end(self):
        self.send(w.EOM, self.buffer)


class Session:
    def __init__(self, options, context, note, wire):
        self.options, self.context, self.note = options, context, note
        self.wire, self.transport = wire, Transport(wire, note)
        self.leg, self.version, self.size = 'clear', w.TDS72, WRAPPED_MAX
        self.login, self.facts = {}, {}

    def run(self):
        if self.options.misbehave == 'silence':
            self.wire.drain()
            return
        first = self.wire.peek(1)[0]
        strict = self.options.encryption == 'strict'
        if strict != (first == common.HANDSHAKE):
            raise common.Refused(f'begins with {first:#04x}')
        if strict:
            self.direct()
        self.begin()
        try:
            self.serve()
        finally:
            t = self.transport
            self.note('sums', units=t.units, records=t.records,
                      violations=t.violations, largest=t.largest,
                      smp=len(t.smp))

    # --- before the login --------------------------------------------------

    def secured(self, **values):
        self.note('tls', leg=self.leg, **self.transport.tls.facts(), **values)

    def direct(self):
        self.leg = 'strict'
        inside = common.accept(self.wire, self.context, self.note)
        self.transport.tls = inside.tls

    def begin(self):
        """Up to where LOGIN7 is expected."""
        kind = self.first_kind()
        if kind == w.PRELOGIN:
            self.prelogin()
        elif kind == w.LOGIN7:
            self.note('no_prelogin')
            if self.options.encryption == 'on':
                raise common.Refused('LOGIN7 without PRELOGIN')
        else:
            raise common.Refused(f'begins with type {kind:#04x}')
        self.log_in()

    def first_kind(self):
        """The type of the next packet, which stays to be read."""
        if self.transport.tls is None:
            return self.wire.peek(1)[0]
        while not self.transport.queue:
            self.transport.pump()
        return self.transport.queue[0][1][0]

    def prelogin(self):
        _, _, body, count = self.transport.message()
        asked = w.prelogin_read(body)
        code = asked.get(w.ENCRYPTION_OPTION, bytes([w.NOT_SUP]))[0]
        self.note('prelogin', encryption=code, body=body.hex(),
                  packets=count, present=w.ENCRYPTION_OPTION in asked)
        if self.leg == 'strict':
            self.prelogin_reply(asked, w.NOT_SUP)
            return
        answered, over = answer_for(self.options.encryption, code & 0x1f)
        if self.options.answer is not None:
            answered = self.options.answer
            over = False
        self.prelogin_reply(asked, answered)
        if over:
            self.wire.sock.shutdown(1)
            if self.wire.waiting(LINGER):
                self.after_the_end()
            raise common.Refused('ENCRYPTION does not agree')
        self.leg = leg_for(code & 0x1f, answered)
        if self.leg != 'clear':
            self.wrapped()

    def after_the_end(self):
        """What comes where a client should have gone."""
        try:
            data = self.wire.peek(1)
            self.note('after_end', type=data[0])
        except common.Closed:
            pass

    def prelogin_reply(self, asked, answered):
        options = {w.VERSION_OPTION: bytes([16, 0, 0x10, 0, 0, 0]),
                   w.ENCRYPTION_OPTION: bytes([answered])}
        if self.options.misbehave == 'no_encryption':
            del options[w.ENCRYPTION_OPTION]
        if w.INSTANCE_OPTION in asked:
            options[w.INSTANCE_OPTION] = b'\0'
        if w.THREAD_OPTION in asked:
            options[w.THREAD_OPTION] = b''
        if w.MARS_OPTION in asked:
            options[w.MARS_OPTION] = asked[w.MARS_OPTION]
        if w.TRACE_OPTION in asked:
            options[w.TRACE_OPTION] = b''
        if w.FEDAUTH_OPTION in asked:
            options[w.FEDAUTH_OPTION] = asked[w.FEDAUTH_OPTION]
        if self.options.misbehave == 'garbage':
            self.wire.write(b'HTTP/1.1 400 Bad Request\r\n\r\n')
            raise common.Refused('garbage sent')
        body = w.prelogin_write(options)
        self.note('prelogin_reply', encryption=answered, body=body.hex())
        if self.options.misbehave == 'prelogin_type':
            self.transport.raw(next(w.packets(w.PRELOGIN, body)))
            return
        for packet in w.packets(w.REPLY, body):
            self.transport.raw(packet)
        if self.options.misbehave == 'prelogin_more':
            self.transport.raw(next(w.packets(w.REPLY, b'\xfd' + bytes(12))))

    def wrapped(self):
        """TLS in packets of type 0x12, a flight in each message."""
        tls, done, flights, largest = common.Tls(self.context), False, 0, 0
        while not done:
            data, size = self.flight()
            flights, largest = flights + 1, max(largest, size)
            if flights == 1:
                self.note('hello', **common.client_hello(data))
            try:
                out, done = tls.handshake(data)
            except ssl.SSLError:
                self.send_flight(tls.outside.read())
                raise
            self.send_flight(out)
        self.transport.tls = tls
        self.secured(flights=flights, largest=largest)

    def flight(self):
        data, size = b'', 0
        while True:
            if self.wire.peek(1)[0] not in (w.PRELOGIN, w.REPLY):
                self.note('not_wrapped', type=self.wire.peek(1)[0])
                if self.wire.peek(1)[0] == w.LOGIN7:
                    self.transport.violation('LOGIN7 in clear')
                raise common.Refused('no TLS where it was agreed')
            packet = self.transport.unit()
            data += packet[w.HEAD:]
            size = max(size, len(packet))
            if len(packet) > WRAPPED_MAX:
                self.transport.violation('a handshake packet too large',
                                         bytes=len(packet))
            if packet[1] & w.EOM:
                return data, size

    def send_flight(self, data):
        if not data:
            return
        kind = int(self.options.handshake_type, 0)
        self.wire.write(b''.join(w.packets(
            kind, data, self.options.handshake_packet,
            eom_each=self.options.misbehave == 'eom_each')))

    # --- the login ---------------------------------------------------------

    def log_in(self):
        clear = self.transport.tls is None
        body, count = self.read_login()
        self.login = w.login_read(body)
        self.version = self.login['version']
        password, sspi = self.login['password'], self.login['sspi']
        refusal = self.judge()
        self.note('login', clear=clear, leg=self.leg, packets=count,
                  ok=refusal is None, sspi=len(sspi),
                  sspi_hash=hashlib.sha256(sspi).hexdigest()[:16],
                  **{key: self.login.get(key) for key in (
                      'user', 'server', 'app', 'database', 'host',
                      'packet_size', 'flags', 'features')},
                  tds=f'{self.version:08x}', password=len(password))
        tls = self.transport.tls
        self.facts = {'tls': tls.facts()['tls'] if tls else self.leg,
                      'login': self.login['user'], 'user': self.login['user'],
                      'server': self.login['server']}
        if refusal:
            self.tell(w.error(*refusal, self.version) +
                      w.done(self.version, w.FAILED))
            raise common.Refused(f'login: {refusal[0]}')
        self.accept()

    def read_login(self):
        """LOGIN7 whole; under login-only its first packet ends TLS."""
        if self.leg != 'login':
            kind, _, body, count = self.transport.message()
            if kind != w.LOGIN7:
                raise common.Refused(f'type {kind:#04x} where LOGIN7 belongs')
            return body, count
        packet, count = self.transport.unit(), 1
        if self.transport.plain:
            self.transport.violation('more than a packet in TLS')
        self.transport.tls = None
        body = packet[w.HEAD:]
        while not packet[1] & w.EOM:
            packet = self.transport.unit()
            body, count = body + packet[w.HEAD:], count + 1
        return body, count

    def judge(self):
        """Why this login is refused, or None."""
        wanted, name = self.options.server_name, self.login['server']
        if wanted and name.split('.')[0].split(',')[0].lower() != wanted:
            return 40532, f"Cannot open server '{name}' requested by the " \
                "login.  The login failed."
        if self.login['sspi'] or (self.login['user'], self.login['password']
                                  ) == (self.options.user,
                                        self.options.password):
            return None
        return 18456, f"Login failed for user '{self.login['user']}'."

    def accept(self):
        asked = self.login['packet_size'] or WRAPPED_MAX
        most = TLS_PACKET_MAX if self.transport.tls else PACKET_MAX
        size = max(PACKET_MIN, min(asked, most, self.options.max_packet))
        out = w.envchange(1, w.b_text('master'), w.b_text('master'))
        if self.version != w.TDS70:
            out += w.envchange(7, b'\5' + w.COLLATION, b'\0')
        out += w.loginack(self.version)
        if size != WRAPPED_MAX or self.login['packet_size']:
            out += w.envchange(4, w.b_text(str(size)), w.b_text('4096'))
        if self.options.routing:
            where, _, database = self.options.routing.partition('/')
            host, _, port = where.rpartition(':')
            out += w.routing(host, int(port), database or None)
        self.tell(out + w.done(self.version))
        self.size = size

    def tell(self, tokens):
        reply = Reply(self.transport, self.size)
        reply.add(tokens)
        reply.end()

    # --- after it ----------------------------------------------------------

    def serve(self):
        while True:
            kind, status, body, count = self.transport.message()
            self.note('message', type=kind, bytes=len(body), packets=count)
            reply = Reply(self.transport, self.size)
            if status & (w.RESET | w.RESET_KEEP):
                reply.add(w.envchange(18, b'\0', b'\0'))
            if kind in (w.BATCH, w.RPC, w.TRANSACTION):
                if w.modern(self.version):
                    body = body[struct.unpack_from('<I', body)[0]:]
                self.facts['packets'] = count
                {w.BATCH: self.batch, w.RPC: self.rpc,
                 w.TRANSACTION: self.transaction}[kind](reply, body)
            else:
                reply.add(w.done(self.version, w.ATTN if
                                 kind == w.ATTENTION else 0))
            reply.end()
            if reply.stopped:                   # told in a message of its own
                self.note('attention', packets=reply.number)
                self.tell(w.done(self.version, w.ATTN))

    def batch(self, reply, body):
        self.answer(reply, body.decode('utf-16-le'), w.DONE)

    def answer(self, reply, text, kind):
        try:
            answer = sql.answer(text, self.facts)
        except sql.Error as error:
            reply.add(w.error(error.number, str(error), self.version, 16) +
                      w.done(self.version, w.FAILED, kind=kind))
            return
        more = w.MORE if kind == w.DONE_IN_PROC else 0
        count = 0
        if answer.wait:
            reply.stopped = self.transport.attention(answer.wait)
        for values in answer.rows() if answer.names else ():
            if reply.stopped:
                break
            if not count:
                reply.add(w.columns(self.version, values, answer.names))
            count += 1
            reply.add(w.row(values))
        if reply.stopped:
            kind, more = w.DONE, w.FAILED
        reply.add(w.done(self.version, more, count, kind))

    def rpc(self, reply, body):
        """sp_executesql and sp_prepexec, whose text is to be carried out, and
        sp_unprepare."""
        length = struct.unpack_from('<H', body)[0]
        if length == 0xffff:
            number, at = struct.unpack_from('<H', body, 2)[0], 4
            name = PROCEDURES.get(number, f'procedure {number}')
        else:
            name, at = text(body, 2, 2 * length)
            name = name.lower()
        if name not in PROCEDURES.values():
            reply.add(w.error(2812, f"Could not find stored procedure "
                              f"'{name}'.", self.version, 16) +
                      w.done(self.version, w.FAILED, kind=w.DONE_PROC))
            return
        values = parameters(body, at + 2, self.version)
        if name != 'sp_unprepare':
            self.answer(reply, values[0 if name == 'sp_executesql' else 2],
                        w.DONE_IN_PROC)
        if reply.stopped:
            return
        reply.add(b'\x79' + bytes(4))
        if name == 'sp_prepexec':
            reply.add(w.return_value(self.version, 1))
        reply.add(w.done(self.version, kind=w.DONE_PROC))

    def transaction(self, reply, body):
        what = struct.unpack_from('<H', body)[0]
        descriptor = struct.pack('<BQ', 8, 1)
        if what == 5:
            reply.add(w.envchange(8, descriptor, b'\0'))
        elif what in (7, 8):
            reply.add(w.envchange(what + 2, b'\0', descriptor))
        reply.add(w.done(self.version))


def parameters(body, at, version):
    """The values of an RPC's parameters, as far as they are understood."""
    values = []
    while at < len(body) and body[at] not in (0x80, 0xff):
        at += 1 + 2 * body[at] + 1              # its name, its status
        value, at = parameter(body, at, 0 if version == w.TDS70 else 5)
        values.append(value)
    return values


def parameter(body, at, collation):
    """One of type INTN, NTEXT, NVARCHAR or NVARCHAR(MAX), and its end."""
    kind, at = body[at], at + 1
    if kind == 0x26:
        length = body[at + 1]
        return body[at + 2:at + 2 + length], at + 2 + length
    if kind == 0x63:
        at += 4 + collation
        length = struct.unpack_from('<I', body, at)[0]
        return text(body, at + 4, 0 if length == 0xffffffff else length)
    if kind != 0xe7:
        raise ValueError(f'a parameter of type {kind:#04x}')
    most = struct.unpack_from('<H', body, at)[0]
    at += 2 + collation
    length = struct.unpack_from('<H', body, at)[0]
    if most == 0xffff:
        return long_text(body, at + 8)
    return text(body, at + 2, 0 if length == 0xffff else length)


def text(body, at, length):
    return body[at:at + length].decode('utf-16-le'), at + length


def long_text(body, at):
    """In chunks, up to one of no length."""
    data = b''
    while (length := struct.unpack_from('<I', body, at)[0]) != 0:
        data += body[at + 4:at + 4 + length]
        at += 4 + length
    return data.decode('utf-16-le'), at + 4


def main():
    parser = common.arguments(__doc__, tls_max='1.3')
    parser.add_argument('--encryption', required=True,
                        choices=('off', 'on', 'not_sup', 'strict'))
    parser.add_argument('--answer', type=int,
                        help='answer PRELOGIN so, whatever was asked')
    parser.add_argument('--misbehave', default='', choices=(
        '', 'silence', 'garbage', 'no_encryption', 'prelogin_type',
        'prelogin_more', 'eom_each'))
    parser.add_argument('--handshake-type', default='0x12')
    parser.add_argument('--handshake-packet', type=int, default=WRAPPED_MAX)
    parser.add_argument('--max-packet', type=int, default=PACKET_MAX)
    parser.add_argument('--routing', help='HOST:PORT[/DATABASE]')
    parser.add_argument('--server-name',
                        help='refuse logins to any other, as Azure does')
    parser.add_argument('--wrapped-tls13', action='store_true',
                        help='offer TLS 1.3 where it is wrapped')
    options = parser.parse_args()
    if options.encryption != 'strict' and not options.wrapped_tls13 \
            and options.tls_max == '1.3':
        options.tls_max = '1.2'
    alpn = ('tds/8.0',) if options.encryption == 'strict' else ()
    context = common.tls_context(options, alpn)
    log = common.Log(options.log)

    def connection(conn, sock):
        def note(event, **values):
            log.event(conn, event, at=round(time.monotonic(), 3), **values)
        Session(options, context, note,
                common.Wire(sock, options.bits)).run()

    common.serve(options, log, connection)


main()

"""ase.py --port PORT [OPTION]...

A double of SAP ASE's listener: TDS 5.0, in clear or, with --cert, in TLS from
the first byte.  It takes a login record, says what it is capable of, and
answers what sql.py knows.  Who asks for it in the record is sent a key that its
password is to come under.
"""
import hashlib
import os
import struct

import common
import sql

LOGIN, QUERY, REPLY, ATTENTION, NORMAL = 0x02, 0x01, 0x04, 0x06, 0x0f
EOM, HEAD = 0x01, 8
PACKET = 512

LANGUAGE, CAPABILITY, LOGINACK = 0x21, 0xe2, 0xad
EED, ENVCHANGE, ROWFMT, ROW, DONE = 0xe5, 0xe3, 0xee, 0xd1, 0xfd
ACCEPTED, REFUSED, NEGOTIATE = 5, 6, 7
MSG, PARAMFMT, PARAMS, LONGBINARY = 0x65, 0xec, 0xd7, 0xe1
SEC_ENCRYPT4, SEC_LOGPWD3, KEY_LEN = 0x1e, 0x1f, 300
FAILED, COUNT, ATTN = 0x02, 0x10, 0x20

# Where the login record has them: a field of that many bytes, then how many
# of them are used.
FIELDS = {'host': (0, 30), 'user': (31, 30), 'password': (62, 30),
          'app': (140, 30), 'server': (171, 30), 'library': (462, 10),
          'language': (480, 30), 'charset': (525, 30), 'size': (557, 6)}
INT2_ORDER, TDS_VERSION, SECURE, RECORD = 124, 458, 514, 568
ENCRYPT = 0x01
LOW_FIRST = 3
LOGIN_FAILED = 4002


class Session:
    def __init__(self, options, note, stream):
        self.options, self.note, self.stream = options, note, stream
        self.order, self.size, self.facts = '<', PACKET, {}

    # --- packets -----------------------------------------------------------

    def message(self):
        """Type and payload of the next one."""
        payload = b''
        while True:
            kind, status, length = struct.unpack('!BBH', self.stream.peek(4))
            payload += self.stream.read(length)[HEAD:]
            if length > self.size:
                self.note('violation', what='a packet too large',
                          bytes=length)
            if status & EOM:
                return kind, payload

    def send(self, tokens):
        room = self.size - HEAD
        parts = [tokens[at:at + room] for at in range(0, len(tokens), room)]
        for part in parts:
            self.stream.write(struct.pack(
                '!BBHI', REPLY, EOM if part is parts[-1] else 0,
                HEAD + len(part), 0) + part)

    def pack(self, form, *values):
        return struct.pack(self.order + form, *values)

    # --- tokens ------------------------------------------------------------

    def token(self, kind, data):
        return self.pack('BH', kind, len(data)) + data

    def done(self, status=0, rows=0):
        return self.pack('BHHI', DONE, status | (COUNT if rows else 0), 0,
                         rows)

    def error(self, number, text, severity=14):
        text = text.encode('latin-1', 'replace')
        return self.token(EED, self.pack('IBB', number, 1, severity) +
                          b'\x05ZZZZZ' + self.pack('BHH', 0, 0, len(text)) +
                          text + b'\x06double' + b'\0' + self.pack('H', 1))

    def envchange(self, kind, new, old):
        return self.token(ENVCHANGE, bytes([kind, len(new)]) + new +
                          bytes([len(old)]) + old)

    def loginack(self, status):
        return self.token(LOGINACK, bytes([status, 5, 0, 0, 0, 6]) +
                          b'double' + bytes([0x10, 0, 0, 0]))

    def columns(self, values, columns):
        out = self.pack('H', len(values))
        for value, name in zip(values, columns):
            out += bytes([len(name)]) + name.encode() + b'\0'
            out += self.pack('I', 7 if isinstance(value, int) else 2)
            out += b'\x38' if isinstance(value, int) else b'\x27\xff'
            out += b'\0'                        # no locale
        return self.token(ROWFMT, out)

    def row(self, values):
        out = bytes([ROW])
        for value in values:
            if isinstance(value, int):
                out += self.pack('i', value)
            else:
                data = value.encode('latin-1', 'replace')[:255]
                out += bytes([len(data)]) + data
        return out

    # --- a session ---------------------------------------------------------

    def run(self):
        self.log_in()
        while True:
            kind, payload = self.message()
            self.note('message', type=kind, bytes=len(payload),
                      text=payload[:200].decode('latin-1'))
            if kind == ATTENTION:
                self.send(self.done(ATTN))
            elif kind == QUERY:
                self.answer(payload)
            elif kind == NORMAL and payload[:1] == bytes([LANGUAGE]):
                length = struct.unpack_from(self.order + 'I', payload, 1)[0]
                self.answer(payload[6:5 + length])
            else:                               # a logout, and what is unknown
                self.send(self.done())

    def log_in(self):
        kind, record = self.message()
        if kind != LOGIN or len(record) < RECORD:
            raise common.Refused(f'type {kind:#04x}, {len(record)} bytes, '
                                 'where a login record belongs')
        login = {name: record[at:at + min(size, record[at + size])].decode()
                 for name, (at, size) in FIELDS.items()}
        self.order = '<' if record[INT2_ORDER] == LOW_FIRST else '>'
        sealed = record[SECURE] & ENCRYPT
        ok = login['user'] == self.options.user and (
            self.unsealed() if sealed
            else login['password'] == self.options.password)
        secured = isinstance(self.stream, common.Secured)
        self.facts = {'tls': self.stream.tls.facts()['tls'] if secured
                      else 'clear', 'login': login['user']}
        self.note('login', ok=ok, clear=not secured, sealed=bool(sealed),
                  tds=record[TDS_VERSION:TDS_VERSION + 4].hex(),
                  bytes=len(record),
                  **{k: v for k, v in login.items() if k != 'password'})
        if not ok:
            self.send(self.loginack(REFUSED) +
                      self.error(LOGIN_FAILED, 'Login failed.') +
                      self.done(FAILED))
            raise common.Refused('login')
        out = self.envchange(1, b'master', b'')
        if login['charset']:
            out += self.envchange(3, login['charset'].encode(), b'')
        out += self.loginack(ACCEPTED)
        if record[RECORD:RECORD + 1] == bytes([CAPABILITY]):
            out += record[RECORD:]
        self.send(out + self.done())

    def unsealed(self):
        """A key goes out, and what comes back is to be made of it.  A digest
        in the place of RSA: nobody between could tell."""
        key = os.urandom(KEY_LEN)
        fmt = self.pack('H', 1) + b'\0\0' + self.pack('I', 0) + bytes(
            [LONGBINARY]) + self.pack('I', KEY_LEN) + b'\0'
        self.send(self.loginack(NEGOTIATE) + bytes([MSG, 3, 1]) +
                  self.pack('H', SEC_ENCRYPT4) + self.token(PARAMFMT, fmt) +
                  bytes([PARAMS]) + self.pack('I', KEY_LEN) + key +
                  self.done())
        kind, payload = self.message()
        want = b''.join(
            hashlib.sha256(key + self.options.password.encode() + bytes([i]))
            .digest() for i in range(8))
        return (kind == NORMAL and payload[:1] == bytes([MSG]) and
                payload[3:5] == self.pack('H', SEC_LOGPWD3) and
                payload.endswith(want))

    def answer(self, text):
        try:
            answer = sql.answer(text.decode('latin-1'), self.facts)
        except sql.Error as error:
            self.send(self.error(error.number, str(error), 16) +
                      self.done(FAILED))
            return
        out, count = b'', 0
        for values in answer.rows() if answer.names else ():
            if not count:
                out += self.columns(values, answer.names)
            count += 1
            out += self.row(values)
        self.send(out + self.done(0, count))


def main():
    options = common.arguments(__doc__).parse_args()
    context = common.tls_context(options)
    log = common.Log(options.log)

    def connection(conn, sock):
        def note(event, **values):
            log.event(conn, event, **values)
        stream = common.accept(common.Wire(sock, options.bits), context, note)
        Session(options, note, stream).run()

    common.serve(options, log, connection)


main()

"""ase_raw.py [--tls CA NAME] PORT PASSWORD WHAT [ARGUMENT]...: TDS 5.0 byte by
byte, for what no client can be had to do.

    login PACKETS    a log-in of that many packets
    bytes            one that arrives byte by byte
    high             in the other order of bytes
    old              of version 4.2
    half             of which the end is missing: the client leaves
    sealed           whose password goes under a key that the server sends
    hold             logged in, until its input ends

Prints what is answered, token by token.  With --tls it is `openssl s_client`
that speaks to the server, by a CA and with a name.
"""
import hashlib
import socket
import struct
import subprocess
import sys

LOGIN, NORMAL, HEAD, PACKET, EOM = 0x02, 0x0f, 8, 512, 0x01
EED, ERROR, LOGINACK, DONE, MSG = 0xe5, 0xaa, 0xad, 0xfd, 0x65
PARAMFMT, PARAMS, LONGBINARY = 0xec, 0xd7, 0xe1
NEGOTIATE, ENCRYPT = 7, 0x01
SEC_ENCRYPT4, SEC_LOGPWD3 = 0x1e, 0x1f
CAPABILITY = 0xe2
CAPABILITIES = bytes.fromhex('010e000060088181e80f6d7ffffffffe'
                             '020e0000000000000000000268000000')


class Socket:
    def __init__(self, port):
        self.sock = socket.create_connection(('127.0.0.1', port), 20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, data):
        self.sock.sendall(data)

    def some(self):
        return self.sock.recv(65536)


class Program:
    def __init__(self, port, ca, name):
        self.process = subprocess.Popen(
            ['openssl', 's_client', '-connect', f'127.0.0.1:{port}', '-quiet',
             '-no_ign_eof', '-verify_return_error', '-CAfile', ca,
             '-verify_hostname', name, '-servername', name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def some(self):
        return self.process.stdout.read1(65536)


class Client:
    def __init__(self, stream, order='<'):
        self.stream, self.order, self.ahead = stream, order, b''

    def pack(self, form, *values):
        return struct.pack(self.order + form, *values)

    def unpack(self, form, data, at=0):
        return struct.unpack_from(self.order + form, data, at)

    def read(self, count):
        while len(self.ahead) < count:
            data = self.stream.some()
            if not data:
                raise EOFError
            self.ahead += data
        data, self.ahead = self.ahead[:count], self.ahead[count:]
        return data

    def message(self):
        payload = b''
        while True:
            _, status, length = struct.unpack('!BBH', self.read(4))
            if length > PACKET:
                raise ValueError(f'a packet of {length} bytes')
            payload += self.read(length - 4)[4:]
            if status & EOM:
                return payload

    def packets(self, kind, payload):
        room = PACKET - HEAD
        parts = [payload[at:at + room] for at in range(0, len(payload), room)]
        return b''.join(
            struct.pack('!BBHI', kind, EOM if part is parts[-1] else 0,
                        HEAD + len(part), 0) + part for part in parts)

    def record(self, password, version=5, sealed=False):
        def field(text, room=30):
            return text.encode().ljust(room, b'\0') + bytes([len(text)])
        low = self.order == '<'
        record = field('machine') + field('app') + field(
            '' if sealed else password) + field('1')
        record += bytes([3 if low else 2, 1 if low else 0, 6, 10, 9, 1])
        record = record.ljust(140, b'\0') + field('raw') + field('localhost')
        record += field('', 255) + bytes([version, 0, 0, 0]) + field('raw', 10)
        record = record.ljust(480, b'\0') + field('us_english')
        record = record.ljust(514, b'\0') + bytes([ENCRYPT if sealed else 0])
        record = record.ljust(525, b'\0') + field('iso_1') + b'\0'
        return (record + field('512', 6)).ljust(568, b'\0')

    def tokens(self):
        """What a message says: a list of words, and what a key may be."""
        data, at, words, key = self.message(), 0, [], b''
        while at < len(data):
            kind = data[at]
            if kind == DONE:
                words.append('done %d' % self.unpack('H', data, at + 1))
                at += 9
            elif kind == MSG:
                words.append('msg %d' % self.unpack('H', data, at + 3))
                at += 2 + data[at + 1]
            elif kind == PARAMS:
                length = self.unpack('I', data, at + 1)[0]
                key = data[at + 5:at + 5 + length]
                at += 5 + length
            else:
                length = self.unpack('H', data, at + 1)[0]
                words += self.word(kind, data[at + 3:at + 3 + length])
                at += 3 + length
        return words, key

    def word(self, kind, body):
        if kind == LOGINACK:
            return ['ack %d' % body[0]]
        if kind not in (EED, ERROR):
            return []
        number, state, severity = self.unpack('IBB', body)
        at = 6
        if kind == EED:
            at += 1 + body[at] + 3
        length = self.unpack('H', body, at)[0]
        text = body[at + 2:at + 2 + length].decode('latin-1')
        return ['%s %d/%d/%d %s' % ('eed' if kind == EED else 'error', number,
                                    severity, state, text)]

    def answer(self):
        print(', '.join(self.tokens()[0]), flush=True)

    def seal(self, password):
        """Not RSA, but as long, and nobody between could tell."""
        words, key = self.tokens()
        print(', '.join(words), flush=True)
        sealed = b''.join(hashlib.sha256(key + password.encode() + bytes([i]))
                          .digest() for i in range(8))
        fmt = self.pack('H', 1) + b'\0\0' + self.pack('I', 0) + bytes(
            [LONGBINARY]) + self.pack('I', len(sealed)) + b'\0'
        self.stream.write(self.packets(NORMAL, bytes([MSG, 3, 1]) + self.pack(
            'H', SEC_LOGPWD3) + bytes([PARAMFMT]) + self.pack(
                'H', len(fmt)) + fmt + bytes([PARAMS]) + self.pack(
                    'I', len(sealed)) + sealed))


def main(args):
    tls = None
    if args[0] == '--tls':
        tls, args = args[1:3], args[3:]
    port, password, what = int(args[0]), args[1], args[2]
    stream = Program(port, *tls) if tls else Socket(port)
    client = Client(stream, '>' if what == 'high' else '<')
    record = client.record(password, 4 if what == 'old' else 5,
                           what == 'sealed')
    if what != 'old':
        more = CAPABILITIES
        if what == 'login':     # and some that nobody has heard of
            more = more.ljust(int(args[3]) * (PACKET - HEAD) - len(record) - 3,
                              b'\0')
        record += bytes([CAPABILITY]) + client.pack('H', len(more)) + more
    data = client.packets(LOGIN, record)
    if what == 'half':
        stream.write(data[:PACKET])
        return
    for part in ([data[at:at + 1] for at in range(len(data))]
                 if what == 'bytes' else [data]):
        stream.write(part)
    if what == 'sealed':
        client.seal(password)
    client.answer()
    if what == 'hold':
        sys.stdin.read()


try:
    main(sys.argv[1:])
except EOFError:
    print('closed')

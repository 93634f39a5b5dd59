"""tdswire.py - the messages of TDS 7.x, as bytes: MS-TDS and [MC-SMP].

What both the double and the client of a test's own (clients/tds_raw.py) read
and write.  Nothing here knows of sockets.
"""
import struct

BATCH, OLD_LOGIN, RPC, REPLY, ATTENTION = 0x01, 0x02, 0x03, 0x04, 0x06
TRANSACTION, LOGIN7, SSPI, PRELOGIN, SMP = 0x0e, 0x10, 0x11, 0x12, 0x53
EOM, RESET, RESET_KEEP = 0x01, 0x08, 0x10
HEAD, SMP_HEAD = 8, 16
SMP_SYN, SMP_ACK, SMP_FIN, SMP_DATA = 1, 2, 4, 8

# What ENCRYPTION says.
OFF, ON, NOT_SUP, REQ = 0, 1, 2, 3
VERSION_OPTION, ENCRYPTION_OPTION, MARS_OPTION = 0, 1, 4
INSTANCE_OPTION, THREAD_OPTION, TRACE_OPTION = 2, 3, 5
FEDAUTH_OPTION = 6

TDS70, TDS71, TDS72, TDS80 = 0x70000000, 0x71000000, 0x72000000, 0x08000000


def unit_length(data):
    """The length of the TDS or SMP packet that begins here; None: too short.
    """
    if data[:1] == bytes([SMP]):
        return struct.unpack_from('<I', data, 4)[0] if len(data) >= 8 else None
    return struct.unpack_from('!H', data, 2)[0] if len(data) >= 4 else None


def packets(kind, payload, size=4096, status=0, eom_each=False):
    """A message, cut into packets of at most size bytes."""
    room = size - HEAD
    parts = [payload[at:at + room] for at in range(0, len(payload), room)]
    parts = parts or [b'']
    for number, part in enumerate(parts, 1):
        last = EOM if eom_each or number == len(parts) else 0
        yield struct.pack('!BBHHBB', kind, status | last, HEAD + len(part),
                          0, number & 0xff, 0) + part


def smp(flags, sid, seq, window, data=b''):
    return struct.pack('<BBHIII', SMP, flags, sid, SMP_HEAD + len(data), seq,
                       window) + data


# --- PRELOGIN --------------------------------------------------------------

def prelogin_read(body):
    """Its options in order, as {token: value}."""
    options, at = {}, 0
    while body[at] != 0xff:
        token, offset, length = struct.unpack_from('!BHH', body, at)
        if offset + length > len(body):
            raise ValueError(f'PRELOGIN option {token} ends outside')
        options[token] = body[offset:offset + length]
        at += 5
    return options


def prelogin_write(options):
    head, data = b'', b''
    start = 5 * len(options) + 1
    for token, value in options.items():
        head += struct.pack('!BHH', token, start + len(data), len(value))
        data += value
    return head + b'\xff' + data


# --- LOGIN7 ----------------------------------------------------------------

TEXTS = {36: 'host', 40: 'user', 44: 'password', 48: 'app', 52: 'server',
         60: 'library', 64: 'language', 68: 'database', 82: 'attach',
         86: 'new_password'}


def login_read(body):
    length, version, size = struct.unpack_from('<III', body, 0)
    if length != len(body):
        raise ValueError(f'LOGIN7 says {length} bytes and has {len(body)}')
    login = {'version': version, 'packet_size': size,
             'flags': body[24:28].hex()}
    fixed = 94 if version >= TDS72 or version == TDS80 else 86
    for at, name in TEXTS.items():
        if at + 4 > fixed:
            continue
        start, count = struct.unpack_from('<HH', body, at)
        if start + 2 * count > length:
            raise ValueError(f'LOGIN7 {name} ends outside')
        value = body[start:start + 2 * count]
        if 'password' in name:
            value = password_turn(value, back=True)
        login[name] = value.decode('utf-16-le')
    start, count = struct.unpack_from('<HH', body, 78)
    if count == 0xffff and fixed == 94:
        count = struct.unpack_from('<I', body, 90)[0] or count
    if start + count > length:
        raise ValueError('LOGIN7 SSPI ends outside')
    login['sspi'] = body[start:start + count]
    if body[27] & 0x10:
        login['features'] = features_read(body)
    return login


def features_read(body):
    """The ids of its FeatureExt; a wrong offset does not get through here."""
    start, count = struct.unpack_from('<HH', body, 56)
    if count < 4 or start + 4 > len(body):
        raise ValueError('LOGIN7 has no offset of its features')
    at, found = struct.unpack_from('<I', body, start)[0], []
    while body[at] != 0xff:
        found.append(body[at])
        at += 5 + struct.unpack_from('<I', body, at + 1)[0]
    return found


def password_turn(data, back=False):
    if back:
        data = bytes(b ^ 0xa5 for b in data)
    data = bytes((b << 4 | b >> 4) & 0xff for b in data)
    return data if back else bytes(b ^ 0xa5 for b in data)


def login_write(user, password, version=0x74000004, sspi=b'', size=4096,
                server='db.test'):
    fixed = 94 if version >= TDS72 or version == TDS80 else 86
    body = bytearray(fixed)
    struct.pack_into('<III', body, 4, version, size, 7)
    body[24], body[25] = 0xe0, 0x83 if sspi else 0x03
    values = {'host': 'tester', 'user': user, 'password': password,
              'app': 'tds_raw', 'server': server, 'library': 'tds_raw'}
    for at, name in TEXTS.items():
        if at + 4 > fixed:
            continue
        value = values.get(name, '').encode('utf-16-le')
        struct.pack_into('<HH', body, at, len(body), len(value) // 2)
        body += password_turn(value) if 'password' in name else value
    struct.pack_into('<HH', body, 56, len(body), 0)
    struct.pack_into('<HH', body, 78, len(body), len(sspi))
    body += sspi
    struct.pack_into('<I', body, 0, len(body))
    return bytes(body)


# --- tokens of a reply -----------------------------------------------------

COLLATION = bytes.fromhex('0904d00034')


def b_text(text):
    return bytes([len(text)]) + text.encode('utf-16-le')


def us_text(text):
    return struct.pack('<H', len(text)) + text.encode('utf-16-le')


def token(kind, data):
    return struct.pack('<BH', kind, len(data)) + data


def error(number, text, version, severity=14, state=1, server='double'):
    line = struct.pack('<I' if modern(version) else '<H', 1)
    return token(0xaa, struct.pack('<IBB', number, state, severity) +
                 us_text(text) + b_text(server) + b_text('') + line)


def envchange(kind, new, old):
    return token(0xe3, bytes([kind]) + new + old)


def routing(host, port, database=None):
    value = struct.pack('<BH', 0, port) + us_text(host)
    if database is not None:
        value += us_text(database)
    return envchange(0x14 if database is None else 0x15,
                     struct.pack('<H', len(value)) + value, b'\0\0')


def loginack(version):
    # The client's version comes back with its bytes the other way round.
    version = {TDS70: 0x07000000, TDS71: 0x07010000}.get(version, version)
    return token(0xad, b'\1' + struct.pack('>I', version) +
                 b_text('Microsoft SQL Server') + bytes([16, 0, 0x10, 0]))


def modern(version):
    return version >= TDS72 or version == TDS80


DONE, DONE_PROC, DONE_IN_PROC = 0xfd, 0xfe, 0xff
MORE, FAILED, COUNT, ATTN = 0x01, 0x02, 0x10, 0x20


def done(version, status=0, rows=0, kind=DONE):
    if rows:
        status |= COUNT
    return struct.pack('<BHHQ' if modern(version) else '<BHHI', kind, status,
                       0xc1 if status & COUNT else 0, rows)


VARCHAR, NVARCHAR = 0xa7, 0xe7


def text_type(value):
    """VARCHAR, so that a test finds its canary on the wire; N'text' is not.
    """
    return VARCHAR if type(value) is str else NVARCHAR


def columns(version, values, names):
    """COLMETADATA for a row like this: numbers, and texts."""
    out = struct.pack('<BH', 0x81, len(values))
    for value, name in zip(values, names):
        out += struct.pack('<IH' if modern(version) else '<HH', 0, 9)
        if isinstance(value, int):
            out += b'\x26\x04'                  # INTN(4)
        else:
            out += struct.pack('<BH', text_type(value), 8000)
            out += COLLATION if version != TDS70 else b''
        out += b_text(name)
    return out


def row(values):
    out = b'\xd1'
    for value in values:
        if isinstance(value, int):
            out += struct.pack('<Bi', 4, value)
        else:
            data = value.encode('cp1252' if text_type(value) == VARCHAR
                                else 'utf-16-le')
            out += struct.pack('<H', len(data)) + data
    return out


def return_value(version, value):
    """An output parameter, a number, without a name."""
    out = struct.pack('<BHB', 0xac, 0, 0) + b'\1'
    out += struct.pack('<IH' if modern(version) else '<HH', 0, 0)
    return out + b'\x26\x04' + struct.pack('<Bi', 4, value)

"""bsonwire.py - BSON, and MongoDB's messages OP_MSG, OP_QUERY and OP_REPLY.

Values are those of Python; what BSON tells apart and Python does not has a
class here, so that a document that was stored comes back as it was.
"""
import struct

OP_REPLY, OP_QUERY, OP_COMPRESSED, OP_MSG = 1, 2004, 2012, 2013
CHECKSUM, MORE_TO_COME, EXHAUST_ALLOWED = 1 << 0, 1 << 1, 1 << 16
HEAD = 16


class Int64(int):
    pass


class Datetime(int):
    """Milliseconds since 1970."""


class Timestamp(int):
    pass


class ObjectId(bytes):
    pass


class Binary(bytes):
    """With a subtype that is not 0."""
    subtype = 0

    @classmethod
    def of(cls, subtype, data):
        made = cls(data)
        made.subtype = subtype
        return made


# --- BSON ------------------------------------------------------------------

def encode(document):
    body = b''.join(element(name, value) for name, value in document.items())
    return struct.pack('<i', len(body) + 5) + body + b'\0'


def element(name, value):
    kind, data = encoded(value)
    return bytes([kind]) + name.encode() + b'\0' + data


def encoded(value):
    if isinstance(value, bool):
        return 8, bytes([value])
    if isinstance(value, (Int64, Datetime, Timestamp)):
        kind = {Int64: 18, Datetime: 9, Timestamp: 17}[type(value)]
        return kind, struct.pack('<q', value)
    if isinstance(value, int):
        return 16, struct.pack('<i', value)
    if isinstance(value, float):
        return 1, struct.pack('<d', value)
    if isinstance(value, str):
        data = value.encode() + b'\0'
        return 2, struct.pack('<i', len(data)) + data
    if isinstance(value, ObjectId):
        return 7, bytes(value)
    if isinstance(value, bytes):
        return 5, struct.pack('<iB', len(value),
                              getattr(value, 'subtype', 0)) + value
    if isinstance(value, dict):
        return 3, encode(value)
    if isinstance(value, list):
        return 4, encode({str(n): v for n, v in enumerate(value)})
    if value is None:
        return 10, b''
    raise ValueError(f'no BSON for {type(value)}')


def decode(data, at=0):
    """A document, and where it ends."""
    end = at + struct.unpack_from('<i', data, at)[0]
    if end > len(data) or end < at + 5 or data[end - 1]:
        raise ValueError('a document that is not whole')
    at += 4
    document = {}
    while data[at]:
        kind = data[at]
        stop = data.index(b'\0', at + 1)
        name = data[at + 1:stop].decode()
        document[name], at = decoded(kind, data, stop + 1)
    if at != end - 1:
        raise ValueError('a document that ends before its end')
    return document, end


FIXED = {1: ('<d', float), 9: ('<q', Datetime), 16: ('<i', int),
         17: ('<q', Timestamp), 18: ('<q', Int64)}


def decoded(kind, data, at):
    if kind in FIXED:
        form, made = FIXED[kind]
        return (made(struct.unpack_from(form, data, at)[0]),
                at + struct.calcsize(form))
    if kind == 2:
        end = at + 4 + struct.unpack_from('<i', data, at)[0]
        return data[at + 4:end - 1].decode(), end
    if kind == 3:
        return decode(data, at)
    if kind == 4:
        document, end = decode(data, at)
        return list(document.values()), end
    if kind == 5:
        length, subtype = struct.unpack_from('<iB', data, at)
        value = data[at + 5:at + 5 + length]
        return (Binary.of(subtype, value) if subtype else value,
                at + 5 + length)
    if kind == 7:
        return ObjectId(data[at:at + 12]), at + 12
    if kind == 8:
        return data[at] == 1, at + 1
    if kind == 10:
        return None, at
    raise ValueError(f'BSON of type {kind}')


# --- messages --------------------------------------------------------------

class Message:
    """A command, however it was sent; id and opcode are for the reply."""

    def __init__(self, data):
        self.length, self.id, _, self.opcode = struct.unpack_from('<4i', data)
        self.flags, self.command = 0, {}
        if self.opcode == OP_MSG:
            self.read_msg(data)
        elif self.opcode == OP_QUERY:
            self.read_query(data)
        else:
            raise ValueError(f'opcode {self.opcode}')
        self.name = next(iter(self.command))

    def read_msg(self, data):
        self.flags = struct.unpack_from('<I', data, HEAD)[0]
        at = HEAD + 4
        end = len(data) - (4 if self.flags & CHECKSUM else 0)
        while at < end:
            kind, at = data[at], at + 1
            if kind == 0:
                document, at = decode(data, at)
                self.command = {**document, **self.command}
            elif kind == 1:
                at = self.read_sequence(data, at)
            else:
                raise ValueError(f'section of kind {kind}')

    def read_sequence(self, data, at):
        end = at + struct.unpack_from('<i', data, at)[0]
        stop = data.index(b'\0', at + 4)
        name, at = data[at + 4:stop].decode(), stop + 1
        documents = []
        while at < end:
            document, at = decode(data, at)
            documents.append(document)
        self.command[name] = documents
        return at

    def read_query(self, data):
        stop = data.index(b'\0', HEAD + 4)
        space = data[HEAD + 4:stop].decode()
        if not space.endswith('.$cmd'):
            raise ValueError(f'OP_QUERY of {space}')
        self.command, _ = decode(data, stop + 1 + 8)
        self.command = self.command.get('$query', self.command)
        self.command['$db'] = space[:-len('.$cmd')]


def reply(message, document, request, flags=0):
    body = encode(document)
    if message.opcode == OP_QUERY:
        opcode, head = OP_REPLY, struct.pack('<iqii', 8, 0, 0, 1)
    else:
        opcode, head = OP_MSG, struct.pack('<IB', flags, 0)
    return struct.pack('<4i', HEAD + len(head) + len(body), request,
                       message.id, opcode) + head + body

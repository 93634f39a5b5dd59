"""tnswire.py - Oracle Net's packets, as both ends of a test write and read them.

A head is 8 bytes: length (16 bits), checksum, type, flags, checksum of the
head.  Once ACCEPT has agreed on version 315 or later the length is 32 bits,
in place of the first two.  All integers are big-endian.
"""
import re
import struct

import common

CONNECT, ACCEPT, REFUSE, REDIRECT, DATA = 1, 2, 4, 5, 6
RESEND, MARKER, CONTROL = 11, 12, 14

HEAD, DATA_HEAD = 8, 10
LARGE_SINCE, FLAGS2_SINCE = 315, 318
PACKET_MAX = 1 << 21

# Flags of a head.
HAS_DATA, FOLLOWS_REDIRECT, TLS_AGAIN = 0x02, 0x04, 0x08

# What CONNECT and ACCEPT offer: urgent data, and a check whether it arrives.
OOB_OPTIONS, OOB_CHECK = 0x0600, 0x00000001
NO_SERVICES = 0x0c                              # no native encryption
CONNECT_HEAD, INLINE_MAX = 74, 230


def packet(kind, body, flags=0, large=False):
    size = HEAD + len(body)
    if large:
        return struct.pack('!IBBH', size, kind, flags, 0) + body
    return struct.pack('!HHBBH', size, 0, kind, flags, 0) + body


def data(body, large=False, flags=0):
    return packet(DATA, struct.pack('!H', flags) + body, large=large)


def read(wire, large=False):
    """Type, flags and body of the next packet."""
    head = wire.peek(HEAD)
    size = struct.unpack_from('!I' if large else '!H', head)[0]
    if not HEAD <= size <= PACKET_MAX:
        raise common.Refused(f'a packet of {size} bytes: {head.hex()}')
    whole = wire.read(size)
    return whole[4], whole[5], whole[HEAD:]


def connect(text, flags=0, head=CONNECT_HEAD, behind=False, options=0x0c01,
            flags2=OOB_CHECK, version=319):
    """CONNECT, and the packets of data behind it if it is to be there."""
    fixed = bytearray(head)
    struct.pack_into('!HHHHHHH', fixed, 8, version, 300, options, 8192, 32767,
                     0x4f98, 0)
    struct.pack_into('!H', fixed, 22, 1)
    struct.pack_into('!HHI', fixed, 24, len(text), head, 0)
    fixed[32:34] = b'\x84\x84'
    if head >= 66:
        struct.pack_into('!II', fixed, 58, 8192, 2097152)
    if head >= 74:
        struct.pack_into('!I', fixed, 70, flags2)
    body = bytes(fixed[HEAD:])
    if not behind:
        return packet(CONNECT, body + text, flags)
    return packet(CONNECT, body, flags) + b''.join(
        data(text[at:at + 8182]) for at in range(0, len(text), 8182))


def accept(version, sdu=8192, oob=False):
    options = 0x0001 | (OOB_OPTIONS if oob else 0)
    body = bytearray(41 - HEAD)
    struct.pack_into('!HHHH', body, 0, version, options, min(sdu, 65535),
                     32767)
    body[14:16] = bytes((NO_SERVICES, NO_SERVICES))
    struct.pack_into('!II', body, 24, sdu, 2097152)
    if version >= FLAGS2_SINCE:
        body += struct.pack('!I', OOB_CHECK if oob else 0)
    return packet(ACCEPT, bytes(body))


def accept_read(body):
    """Version, options and flags2."""
    version, options = struct.unpack_from('!HH', body)
    flags2 = 0
    if version >= FLAGS2_SINCE:
        flags2 = struct.unpack_from('!I', body, 41 - HEAD)[0]
    return version, options, flags2


def refuse(code, text=None):
    text = text or (f'(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR={code})(ERROR_STACK='
                    f'(ERROR=(CODE={code})(EMFI=4))))')
    return packet(REFUSE, struct.pack('!BBH', 4, 0, len(text)) +
                  text.encode())


def redirect(text, behind=False, flags=0):
    size = struct.pack('!H', len(text))
    if behind:
        return packet(REDIRECT, size, flags) + data(text)
    return packet(REDIRECT, size + text, flags)


def find(text, name):
    """The value of a simple parameter of a descriptor, or None."""
    found = re.search(rf'\({name}\s*=\s*([^()]*)\)', text, re.IGNORECASE)
    return found[1].strip() if found else None


# --- what is said after ACCEPT -----------------------------------------------

def ub(value):
    """An integer as TTC writes it: how many bytes, and they."""
    size = (value.bit_length() + 7) // 8
    return bytes((size,)) + value.to_bytes(size, 'big')


def ttc_error(number, text, since_20c):
    """The message that ends a call with an ORA-error."""
    return (b'\x04' + bytes(28) + ub(number) + b'\0' +
            (bytes(2) if since_20c else b'') +
            bytes((len(text),)) + text.encode())


ANO, ANO_VERSION = 0xdeadbeef, 0x0b200200


def services_none():
    """The answer to a driver that asks for native encryption all the same:
    each of its four services is there, and does nothing."""
    version = struct.pack('!HHI', 4, 5, ANO_VERSION)
    status = struct.pack('!HHH', 2, 6, 31)
    array = struct.pack('!HHIHIHHHH', 18, 1, ANO, 3, 4, 4, 1, 2, 3)
    none = struct.pack('!HHB', 1, 2, 0)
    off = struct.pack('!HHH', 2, 6, 0xfbff)
    body = (struct.pack('!HHI', 4, 3, 0) + version + status + array +
            struct.pack('!HHI', 1, 2, 0) + version + off +
            struct.pack('!HHI', 2, 2, 0) + version + none +
            struct.pack('!HHI', 3, 2, 0) + version + none)
    return struct.pack('!IHIHB', ANO, 13 + len(body), ANO_VERSION, 4, 0) + body

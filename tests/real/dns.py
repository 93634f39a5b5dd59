"""dns.py ADDRESS ZONE: a name server that answers as a file says.

ZONE has lines "NAME TTL IPV4-ADDRESS...", and is read at every question, so a
name's addresses change when the file is replaced.  What is not in it does not
exist; a name without addresses has none.  Each question is a line of output.
"""
import socket
import struct
import sys

TYPE_A, CLASS_IN, NXDOMAIN = 1, 1, 3


def zone():
    with open(sys.argv[2], encoding='ascii') as lines:
        entries = (line.split() for line in lines)
        return {e[0]: (int(e[1]), e[2:]) for e in entries if e}


def question(packet):
    """The name and the type asked for, and where the question ends."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode('ascii'))
        at += 1 + packet[at]
    kind = struct.unpack_from('!H', packet, at + 1)[0]
    return '.'.join(labels).lower(), kind, at + 5


def answer(packet):
    name, kind, end = question(packet)
    print(kind, name, flush=True)
    names = zone()
    ttl, addresses = names.get(name, (0, []))
    if kind != TYPE_A:
        addresses = []
    flags = 0x8580 | (0 if name in names else NXDOMAIN)
    reply = packet[:2] + struct.pack('!5H', flags, 1, len(addresses), 0, 0)
    reply += packet[12:end]
    for address in addresses:
        reply += struct.pack('!HHHIH', 0xc00c, TYPE_A, CLASS_IN, ttl, 4)
        reply += socket.inet_aton(address)
    return reply


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((sys.argv[1], 53))
    print('ready', flush=True)
    while True:
        data, client = server.recvfrom(4096)
        try:
            server.sendto(answer(data), client)
        except (IndexError, ValueError, struct.error) as error:
            print('bad question', error, flush=True)

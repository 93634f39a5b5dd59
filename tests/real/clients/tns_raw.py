"""tns_raw.py DOUBLES PORT LEG SERVICE WHAT [ARGUMENT]...

A client of Oracle Net that asks the double for what no driver would show.
DOUBLES is the folder of tnswire.py, PORT one of 127.0.0.1 or ADDRESS:PORT, LEG
clear, tls or tls12, and WHAT

    connect [SIZE [HEAD [behind]]]  CONNECT with SIZE bytes of data; what came
    forsaken connect|close      that in the session of TLS that RESEND ended
    sni NAME                    ClientHello with this name
    both BYTES                  that many given and taken; their hash
    echo TEXT
    oob                         urgent data offered; what ACCEPT agreed to
    urgent                      and one byte of it sent, whatever was agreed
    pairs COUNT SIZE PORT LEG   so many answers of SIZE bytes, here and at
                                PORT in turns; the medians in microseconds,
                                and their ratio

One line comes of it; of whatever goes wrong, "error" and why.
"""
import hashlib
import socket
import ssl
import statistics
import sys
import time

sys.path.insert(0, sys.argv[1])
import common                                   # noqa: E402
import tnswire as w                             # noqa: E402

SECONDS = 30
CHUNK = 8000


class Client:
    def __init__(self, port, leg, sni=None):
        host, _, port = str(port).rpartition(':')
        sock = socket.create_connection((host or '127.0.0.1', int(port)),
                                        SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.raw = sock
        if leg != 'clear':
            sock = secured(sock, leg, sni)
        self.wire, self.large = common.Wire(sock), False

    def connect(self, service, size=0, head=w.CONNECT_HEAD, behind=False):
        text = (f'(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME={service})'
                '(PAD=')
        text += 'x' * (size - len(text) - 3) + ')))'
        self.hash = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.wire.write(w.connect(text.encode(), head=head, behind=behind))
        kind, _, body = w.read(self.wire)
        if kind == w.REFUSE:
            text = body[4:].decode('ascii', 'replace')
            return f'refuse {w.find(text, "ERR")} {text}'
        if kind != w.ACCEPT:
            return f'type {kind}'
        version, options, flags2 = w.accept_read(body)
        self.large = version >= w.LARGE_SINCE
        return f'accept {version} {options:04x} {flags2:08x}'

    def read(self):
        kind, _, body = w.read(self.wire, self.large)
        if kind != w.DATA:
            raise common.Refused(f'type {kind}')
        return body[2:]

    def row(self, size):
        """Asks for one; the seconds that it took."""
        begun = time.monotonic()
        self.say(f'row {size}')
        if len(self.read()) != size:
            raise common.Refused('a row of another size')
        return time.monotonic() - begun

    def say(self, text):
        self.wire.write(w.data(text.encode(), self.large))


def secured(sock, leg, sni):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if leg == 'tls12':
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context.wrap_socket(sock, server_hostname=sni)


def do_connect(client, service, size='200', head=str(w.CONNECT_HEAD),
               behind=''):
    said = client.connect(service, int(size), int(head), behind == 'behind')
    return f'{said} {client.hash}'


def do_forsaken(client, service, how):
    """After RESEND something is said in the session that is to be dropped."""
    said = client.connect(service)
    try:
        if how == 'close':
            client.wire.sock.unwrap()
        else:
            client.connect(service)
    except (OSError, common.Closed):
        pass
    return said


def do_sni(client, service, _):
    return client.connect(service)


def do_echo(client, service, text):
    said = client.connect(service)
    client.say('echo ' + text)
    return f'{said} {client.read().decode()}'


def do_both(client, service, count):
    client.connect(service)
    count, got = int(count), 0
    client.say(f'give {count}')
    while got < count:
        body = client.read()
        got += len(body)
        if body.strip(b'.'):
            raise common.Refused('other bytes than were sent')
    digest, block = hashlib.sha256(), bytes(range(250)) * (CHUNK // 250)
    client.say(f'take {count}')
    for at in range(0, count, CHUNK):
        part = block[:count - at]
        digest.update(part)
        client.wire.write(w.data(part, client.large))
    same = client.read().decode() == f'{digest.hexdigest()} 0'
    return f'got {got} sent {count} {"same" if same else "other"}'


def do_oob(client, service):
    return client.connect(service)


def do_urgent(client, service):
    said = client.connect(service)
    client.raw.send(b'!', socket.MSG_OOB)
    client.say('echo after')
    return f'{said} {client.read().decode()}'


def do_pairs(client, service, count, size, port, leg):
    """In turns, as what else goes on is then the same for both."""
    both = [client, Client(port, leg)]
    count, size, took = int(count), int(size), ([], [])
    for one in both:
        one.connect(service)
    for _ in range(count):
        for one, times in zip(both, took):
            times.append(one.row(size))
    here, there = (statistics.median(times) * 1e6 for times in took)
    return f'{here:.1f} {there:.1f} {here / there:.2f}'


def main():
    port, leg, service, what, *arguments = sys.argv[2:]
    try:
        client = Client(port, leg,
                        arguments[0] if what == 'sni' else None)
        said = globals()[f'do_{what}'](client, service, *arguments)
    except (OSError, common.Closed, common.Refused) as error:
        said = f'error {common.ending(error)}'
    print(said)


main()

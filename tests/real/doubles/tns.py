"""tns.py --port PORT [OPTION]...

A double of an Oracle listener and of what a session meets behind it.  With a
certificate it is TCPS: TLS from the first byte.  What it answers depends on
the SERVICE_NAME that CONNECT asks for: --service NAME=STEPS[;STEPS], where
STEPS are what is answered on one connection, in turn, and those behind the
semicolon are for a CONNECT that a redirect has sent (default: accept).  No
NAME: for whatever has no other (default: refuse).

    accept                      and then what Session.talk() knows
    refuse[:CODE]               12514, unless told
    resend                      once more, please
    resend8                     and in a fresh TLS session on the same socket
    redirect:PROTOCOL:HOST:PORT[:how]
                                PORT 0 is its own.  how: letters, b: behind in
                                a DATA packet, d: with data that asks for the
                                service "moved"
    redirects:TEXT              to whatever TEXT says
    silence, garbage, close     none of it

It notes what each CONNECT has said, and as a violation what a listener would
not take: above all anything that is said inside a TLS session that has been
given up.
"""
import argparse
import hashlib
import select
import socket
import struct
import time

import common
import tnswire as w

CHUNK = 8000
OPENING = b'\x01\x06'                           # TTC's first message
SERVICES = b'\xde\xad\xbe\xef'                  # before it, perhaps
ANSWER = 20000                                  # ORA-20000: the user's own


class Urgent(common.Wire):
    """A wire on which a byte of urgent data is noticed."""

    def __init__(self, sock, bits, note):
        super().__init__(sock, bits)
        self.note = note
        self.poll = select.poll()
        self.poll.register(sock, select.POLLIN | select.POLLPRI)

    def _more(self):
        for _, what in self.poll.poll():
            if what & select.POLLPRI:
                self.note('oob', byte=self.sock.recv(
                    1, socket.MSG_OOB).hex())
        super()._more()


class Session:
    def __init__(self, options, contexts, note, wire):
        self.options, self.contexts, self.note = options, contexts, note
        self.wire = self.io = wire
        self.handshakes = self.connects = 0
        self.redirected = self.large = False
        self.tls, self.text, self.driver = None, '', ''

    def violation(self, what, **values):
        self.note('violation', what=what, **values)

    def run(self):
        self.secure()
        steps = None
        while True:
            flags = self.read_connect()
            if steps is None:
                steps = iter(self.steps(flags))
            step = next(steps, 'close')
            self.note('step', step=step)
            kind, _, argument = step.partition(':')
            if not getattr(self, f'do_{kind}')(argument):
                return

    def steps(self, flags):
        scripts = self.options.scripts
        script = scripts.get(w.find(self.text, 'SERVICE_NAME') or '',
                             scripts.get('', 'refuse'))
        first, _, moved = script.partition(';')
        self.redirected = bool(flags & w.FOLLOWS_REDIRECT)
        return ((moved or 'accept') if self.redirected else first).split(',')

    # --- TLS ---------------------------------------------------------------

    def secure(self):
        """A handshake, with the certificate that is due."""
        context = self.contexts[min(self.handshakes, len(self.contexts) - 1)]
        self.io = common.accept(self.wire, context, self.note)
        if context is not None:
            self.handshakes += 1
            self.tls = self.io.tls.facts()
            if self.tls['resumed']:
                self.violation('a session of TLS was resumed')

    def forsaken(self):
        """What the client says first after TLS was to begin anew."""
        first = self.wire.peek(1)[0]
        if first == common.HANDSHAKE:
            return
        record = common.read_record(self.wire)
        if first == common.ALERT:
            self.violation('an alert in the old session')
        elif first == common.APPLICATION:
            try:
                said = self.io.tls.open(record)
                self.violation('data in the old session', head=said[:8].hex())
            except common.Closed:
                self.violation('close_notify in the old session')
        else:
            self.violation('no TLS', head=record[:8].hex())
        raise common.Refused('the old session was used')

    # --- CONNECT -----------------------------------------------------------

    def read_connect(self):
        kind, flags, body = w.read(self.io)
        if kind != w.CONNECT:
            self.violation('no CONNECT', type=kind)
            raise common.Refused(f'type {kind} where CONNECT belongs')
        self.connects += 1
        size, offset = struct.unpack_from('!HH', body, 24 - w.HEAD)
        text, behind = body[offset - w.HEAD:], 0
        while len(text) < size:
            kind, _, more = w.read(self.io)
            if kind != w.DATA:
                raise common.Refused(f'type {kind} where data belongs')
            text, behind = text + more[2:], behind + 1
        if len(text) != size:
            self.violation('more data than announced', bytes=len(text))
        self.text = text.decode('latin-1')
        self.note_connect(flags, body, offset, behind)
        return flags

    def note_connect(self, flags, body, offset, behind):
        fixed = body[:offset - w.HEAD] + bytes(w.CONNECT_HEAD)
        version, _, options = struct.unpack_from('!HHH', fixed)
        text = self.text
        self.note('connect', flags=flags, version=version, offset=offset,
                  options=f'{options:04x}', na=fixed[24:26].hex(),
                  flags2='-' if offset < w.CONNECT_HEAD else
                  fixed[62:66].hex(), bytes=len(text), behind=behind,
                  oob=bool(options & w.OOB_OPTIONS or
                           offset >= w.CONNECT_HEAD and fixed[65] & 1),
                  hash=hashlib.sha256(text.encode('latin-1')
                                      ).hexdigest()[:16],
                  service=w.find(text, 'SERVICE_NAME'),
                  protocol=w.find(text, 'PROTOCOL'),
                  host=w.find(text, 'HOST'), port=w.find(text, 'PORT'),
                  tls=self.tls['tls'] if self.tls else None,
                  peer=self.tls['peer'] if self.tls else None)

    # --- answers: is there to be another CONNECT? --------------------------

    def do_accept(self, _):
        version = self.options.version
        self.io.write(w.accept(version, oob=self.options.oob))
        self.large = version >= w.LARGE_SINCE
        self.talk()
        return False

    def do_refuse(self, code):
        self.io.write(w.refuse(int(code or 12514), self.options.text))
        return False

    def do_resend(self, _):
        self.io.write(w.packet(w.RESEND, b''))
        return True

    def do_resend8(self, _):
        self.io.write(w.packet(w.RESEND, b'', w.TLS_AGAIN))
        if self.tls:
            self.forsaken()
            self.secure()
        return True

    def do_redirect(self, argument):
        protocol, host, port, *how = argument.split(':')
        address = (f'(ADDRESS=(PROTOCOL={protocol})(HOST={host})'
                   f'(PORT={int(port) or self.options.port}))').encode()
        how, flags = how[0] if how else '', 0
        if 'd' in how:
            flags = w.HAS_DATA
            address += b'\0(DESCRIPTION=' + address + \
                b'(CONNECT_DATA=(SERVICE_NAME=moved)))'
        self.io.write(w.redirect(address, 'b' in how, flags))
        return False

    def do_redirects(self, text):
        self.io.write(w.redirect(text.encode()))
        return False

    def do_garbage(self, _):
        self.io.write(b'HTTP/1.1 400 Bad Request\r\n\r\n')
        return False

    def do_silence(self, _):
        self.wire.drain()
        return False

    def do_close(self, _):
        return False

    # --- after ACCEPT ------------------------------------------------------

    def read(self):
        """The body of the next DATA packet; what markers say is noted."""
        while True:
            kind, _, body = w.read(self.io, self.large)
            if kind == w.DATA:
                return body[2:]
            self.note('packet', type=kind, body=body.hex()[:64])

    def write(self, body):
        for at in range(0, len(body), CHUNK):
            self.io.write(w.data(body[at:at + CHUNK], self.large))

    def talk(self):
        """To a driver one answer: an error that says how it has come here.
        To a client of ours whatever it asks, until it leaves."""
        driver = False
        try:
            while True:
                body = self.read()
                name, _, argument = body.partition(b' ')
                if driver or body.startswith(OPENING):
                    driver = self.answer_driver(body)
                elif body.startswith(SERVICES):
                    self.write(w.services_none())
                else:
                    getattr(self, f'say_{name.decode("ascii")}')(argument)
        except common.Closed as end:
            self.note('left', how=str(end))

    def answer_driver(self, body):
        """The same to whatever it asks: some go on after the first error."""
        if body.startswith(OPENING):
            self.driver = body[3:].split(b'\0')[0].decode('ascii', 'replace')
        text = (f'ORA-{ANSWER}: {self.options.word} '
                f'tls={self.tls["tls"] if self.tls else None} '
                f'handshakes={self.handshakes} connects={self.connects} '
                f'redirected={self.redirected} '
                f'service={w.find(self.text, "SERVICE_NAME")}')
        self.note('driver', name=self.driver, text=text, bytes=len(body),
                  word=self.options.word.encode() in body)
        self.write(w.ttc_error(ANSWER, text, self.driver.startswith('node')))
        return True

    def say_echo(self, body):
        self.write(body)

    def say_give(self, count):
        self.write(b'.' * int(count))

    def say_take(self, count):
        digest, left = hashlib.sha256(), int(count)
        while left > 0:
            body = self.read()
            digest.update(body)
            left -= len(body)
        self.write(f'{digest.hexdigest()} {left}'.encode())

    def say_row(self, count):
        """One packet, as a fetch is answered with."""
        self.io.write(w.data(b'.' * int(count), self.large))


def contexts(options):
    """For the first handshake of a connection, and for those after it."""
    first = common.tls_context(options)
    if not options.second:
        return [first]
    again = argparse.Namespace(**vars(options))
    again.cert, again.key = options.second
    return [first, common.tls_context(again)]


def main():
    parser = common.arguments(__doc__)
    parser.add_argument('--service', action='append', default=[],
                        metavar='NAME=STEPS[;STEPS]')
    parser.add_argument('--version', type=int, default=319)
    parser.add_argument('--oob', action='store_true',
                        help='ACCEPT agrees to urgent data')
    parser.add_argument('--text', help='what REFUSE says')
    parser.add_argument('--word', default='hello',
                        help='in the answer to a driver')
    parser.add_argument('--second', nargs=2, metavar=('CERT', 'KEY'),
                        help='for a second handshake on a connection')
    options = parser.parse_args()
    options.scripts = dict(one.split('=', 1) for one in options.service)
    both = contexts(options)
    log = common.Log(options.log)

    def connection(conn, sock):
        def note(event, **values):
            log.event(conn, event, at=round(time.monotonic(), 3), **values)
        session = Session(options, both, note,
                          Urgent(sock, options.bits, note))
        try:
            session.run()
        except ConnectionResetError:            # how some drivers leave
            raise common.Closed('reset') from None

    common.serve(options, log, connection)


main()

#!/usr/bin/env python3
"""Once a session has ended, its secrets are in no memory of the proxy's.

usage: test_wiped.py DBTLS CERTS

Both peers of the proxy write down the secrets of their connections; while the
session lives some of them are found in the proxy's memory (or the search would
be worth nothing), and after it none is.
"""
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

DBTLS, CERTS = sys.argv[1:]


def keys(*paths):
    for path in paths:
        with open(path) as lines:
            for line in lines:
                fields = line.split()
                if len(fields) == 3 and not line.startswith("#"):
                    yield fields[0], bytes.fromhex(fields[2])


def memory(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as m:
        for line in maps:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not found:
                continue
            first, end = (int(x, 16) for x in found.groups())
            m.seek(first)
            try:
                yield m.read(end - first)
            except OSError:
                pass


def found(pid, wanted):
    seen = set()
    for part in memory(pid):
        seen |= {name for name, value in wanted if value in part}
    return seen


def until(what):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def context(kind, log):
    c = ssl.SSLContext(kind)
    c.minimum_version = ssl.TLSVersion.TLSv1_3
    c.keylog_filename = log
    return c


class Proxy:
    def __init__(self, folder, records, server):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log = f"{folder}/{records}.log"
        conf = f"{folder}/{records}.conf"
        with open(conf, "w") as f:
            f.write(f"""threads = 1; endpoints = ( {{ name = "wiped";
engine = "tls"; listen = "127.0.0.1:{self.port}"; server = "127.0.0.1:{server}";
ssl_mode = "verify-full"; server_name = "db.test"; ca = "{CERTS}/ca.crt";
client_tls = {{ mode = "require"; cert = "{CERTS}/good.chain.pem";
key = "{CERTS}/good.key"; }}; tls = {{ records = "{records}"; }}; }} );""")
        with open(self.log, "w") as out:
            self.process = subprocess.Popen([DBTLS, "run", "-c", conf],
                                            stdout=out, stderr=out)
        self.says("event=start")

    def says(self, word):
        if not until(lambda: word in open(self.log).read()):
            sys.exit(f"no {word}: {open(self.log).read()}")


def serve(listener, log):
    c = context(ssl.PROTOCOL_TLS_SERVER, log)
    c.load_cert_chain(f"{CERTS}/good.chain.pem", f"{CERTS}/good.key")
    s = c.wrap_socket(listener.accept()[0], server_side=True)
    s.recv(100)
    s.sendall(b"answer")
    try:
        s.recv(100)  # the end
        s.unwrap()
    except OSError:
        pass
    s.close()


def session(folder, records):
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = Proxy(folder, records, listener.getsockname()[1])
    logs = [f"{folder}/{records}.{side}" for side in ("server", "client")]
    server = threading.Thread(target=serve, args=(listener, logs[0]))
    server.start()
    c = context(ssl.PROTOCOL_TLS_CLIENT, logs[1])
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    client = c.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port)))
    client.sendall(b"question")
    assert client.recv(100) == b"answer"
    wanted = list(keys(*logs))
    alive = found(proxy.process.pid, wanted)
    client.unwrap()
    client.close()
    server.join()
    proxy.says("event=session.close")
    left = found(proxy.process.pid, wanted)
    proxy.process.terminate()
    proxy.process.wait()
    if len(wanted) < 8 or not alive:
        sys.exit(f"{records}: nothing was found while it lived: {wanted}")
    print(f"{records}: {len(wanted)} secrets, {len(alive)} of them in memory "
          f"while it lived, {len(left)} after it {sorted(left)}")
    return not left


if os.geteuid() != 0:
    print("skipped: only root may look into a process that allows no dumps")
    sys.exit(77)
with tempfile.TemporaryDirectory() as work:
    sys.exit(0 if all([session(work, "openssl"), session(work, "direct")])
             else 1)

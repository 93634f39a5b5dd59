"""tls_front.py PORT TARGET CA NAME: what it gets on PORT of loopback in clear
goes in TLS to the port TARGET, whose certificate must be by CA and for NAME.

For clients that have no TLS of their own.
"""
import select
import socket
import ssl
import sys
import threading

PORT, TARGET, CA, NAME = sys.argv[1:]
context = ssl.create_default_context(cafile=CA)


def received(source):
    """What there is, if that is anything: a ticket of TLS is not."""
    source.settimeout(0)
    try:
        return source.recv(65536)
    except ssl.SSLWantReadError:
        return None
    finally:
        source.settimeout(20)


def copy(client, server):
    """One thread for both directions: TLS is not to be read while written."""
    while True:
        readable = [server] if server.pending() else select.select(
            [client, server], [], [])[0]
        for source in readable:
            data = received(source)
            if data == b'':
                return
            if data:
                (client if source is server else server).sendall(data)


def carry(client):
    with client:
        try:
            raw = socket.create_connection(('127.0.0.1', int(TARGET)), 10)
            with context.wrap_socket(raw, server_hostname=NAME) as server:
                copy(client, server)
        except OSError as error:
            print(error, flush=True)


with socket.create_server(('127.0.0.1', int(PORT))) as listener:
    print('ready', flush=True)
    while True:
        threading.Thread(target=carry, args=(listener.accept()[0],),
                         daemon=True).start()

"""tls_front.py PORT TARGET CA NAME: what it gets on PORT of loopback in clear
goes in TLS to the port TARGET, whose certificate must be by CA and for NAME.

For clients that have no TLS of their own.
"""
import socket
import ssl
import sys
import threading

PORT, TARGET, CA, NAME = sys.argv[1:]
context = ssl.create_default_context(cafile=CA)


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def carry(client):
    with client:
        try:
            raw = socket.create_connection(('127.0.0.1', int(TARGET)), 10)
            server = context.wrap_socket(raw, server_hostname=NAME)
        except OSError as error:
            print(error, flush=True)
            return
        with server:
            threading.Thread(target=copy, args=(client, server),
                             daemon=True).start()
            copy(server, client)


with socket.create_server(('127.0.0.1', int(PORT))) as listener:
    print('ready', flush=True)
    while True:
        threading.Thread(target=carry, args=(listener.accept()[0],),
                         daemon=True).start()

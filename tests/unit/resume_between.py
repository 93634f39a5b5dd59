"""resume_between.py PORT SERVER-PORT WAY: between dbtls and its server.

What the file WAY says is done with each connection, once dbtls has said hello:
"pass" passes it on, "hold" says nothing until dbtls leaves, "close" closes it
if it offers a session to be resumed.  A line of output says so for each.
"""
import socket
import sys
import threading

HELLO_SESSION = 43  # record, message, version, random
PRE_SHARED_KEY = 41


def number(hello, at):
    return int.from_bytes(hello[at:at + 2], 'big')


def offers(hello):
    at = HELLO_SESSION
    at += 1 + hello[at]
    at += 2 + number(hello, at)  # suites
    at += 1 + hello[at] + 2      # compression
    while at < len(hello):
        if number(hello, at) == PRE_SHARED_KEY:
            return True
        at += 4 + number(hello, at + 2)
    return False


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client):
    with client:
        hello = client.recv(65536)
        if not hello:
            return
        with open(sys.argv[3], encoding='ascii') as f:
            way = f.read().strip()
        offered = offers(hello)
        print(way, 'offered' if offered else 'none', flush=True)
        if way == 'hold':
            client.recv(1)
        if way == 'hold' or (way == 'close' and offered):
            return
        with socket.create_connection(('127.0.0.1', int(sys.argv[2]))) as s:
            s.sendall(hello)
            back = threading.Thread(target=pump, args=(s, client))
            back.start()
            pump(client, s)
            back.join()


with socket.create_server(('127.0.0.1', int(sys.argv[1]))) as listener:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,)).start()

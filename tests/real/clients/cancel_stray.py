"""cancel_stray.py PORT: a cancel request whose key no session has.

Prints "closed" when the connection is ended in order, as a server does.
"""
import os
import socket
import struct
import sys

with socket.create_connection(('127.0.0.1', int(sys.argv[1])), 20) as s:
    s.sendall(struct.pack('!II', 16, 80877102) + os.urandom(8))
    print('closed' if s.recv(1) == b'' else 'answered')

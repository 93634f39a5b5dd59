"""psycopg3_cancel.py CONNINFO cancel|cancel_safe: the same with psycopg 3.

cancel() is libpq's old way, a request in clear; cancel_safe() its new one,
which goes the way that the connection went.  Prints "canceled, goes on" and
the version of the protocol, or what went wrong.
"""
import sys
import threading

import psycopg

connection = psycopg.connect(sys.argv[1], autocommit=True)
ended = threading.Event()


def cancel():
    """Again and again: one that comes before the query is lost."""
    while not ended.wait(0.2):
        try:
            getattr(connection, sys.argv[2])()
        except psycopg.Error as error:
            print('cancel failed:', error)
            break


thread = threading.Thread(target=cancel)
thread.start()
try:
    connection.execute('SELECT pg_sleep(20)')
    print('not canceled')
except psycopg.errors.QueryCanceled:
    print('canceled', end='')
finally:
    ended.set()
    thread.join()
while True:
    try:
        row = connection.execute("SELECT ', goes on'").fetchone()
        break
    except psycopg.errors.QueryCanceled:
        pass
print(row[0], connection.pgconn.full_protocol_version)

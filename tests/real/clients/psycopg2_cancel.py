"""psycopg2_cancel.py CONNINFO: a query that is cancelled by another thread.

Prints "canceled, goes on", or what went wrong.
"""
import sys
import threading

import psycopg2

connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
cursor = connection.cursor()
ended = threading.Event()


def cancel():
    """Again and again: one that comes before the query is lost."""
    while not ended.wait(0.2):
        connection.cancel()


thread = threading.Thread(target=cancel)
thread.start()
try:
    cursor.execute('SELECT pg_sleep(20)')
    print('not canceled')
except psycopg2.errors.QueryCanceled:
    print('canceled', end='')
finally:
    ended.set()
    thread.join()
while True:
    try:
        cursor.execute("SELECT ', goes on'")
        break
    except psycopg2.errors.QueryCanceled:
        pass
print(cursor.fetchone()[0])

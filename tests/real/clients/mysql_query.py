"""mysql_query.py: answers each line of standard input by one of its own.

As mysql.js has it; the drivers are pymysql and mysqldb.  do=blob sends forty
megabytes in one statement and takes them back.
"""
import hashlib
import random
import sys

import MySQLdb
import pymysql

BLOB = 40 << 20


def connect(request):
    options = {'host': request['host'], 'port': int(request['port']),
               'user': request['user'], 'password': request['password'],
               'database': 'app', 'charset': 'utf8mb4',
               'connect_timeout': 20}
    if request['driver'] == 'mysqldb':
        if 'ca' in request:
            options['ssl'] = {'ca': request['ca']}
        return MySQLdb.connect(**options)
    if 'ca' in request:
        options['ssl'] = {'ca': request['ca'], 'check_hostname': True}
    else:
        options['ssl_disabled'] = True
    options['max_allowed_packet'] = 2 * BLOB
    options['password'] = request['password'].encode()  # it takes Latin-1
    return pymysql.connect(**options)


def ask(cursor, word):
    cursor.execute(f"SELECT CURRENT_USER(), '{word}'")
    user, word = cursor.fetchone()
    cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
    return f"{user}|{word}|{cursor.fetchone()[1] or 'clear'}"


def large(cursor):
    cursor.execute("SELECT REPEAT('0123456789abcde\n', 589824)")
    text = cursor.fetchone()[0]
    cursor.execute("SHOW STATUS LIKE 'Compression'")
    return (f'{len(text)}|{hashlib.md5(text.encode()).hexdigest()}|'
            f'{cursor.fetchone()[1]}')


def blob(cursor):
    sent = random.Random(request['port']).randbytes(BLOB)
    cursor.execute('CREATE TEMPORARY TABLE b (v LONGBLOB)')
    cursor.execute('INSERT INTO b VALUES (_binary %s)', (sent,))
    cursor.execute('SELECT v FROM b')
    got = cursor.fetchone()[0]
    return f"{len(got)} bytes, {'the same' if got == sent else 'OTHERS'}"


def answer(request):
    connection = connect(request)
    try:
        if request['do'] == 'change':
            connection.change_user(request['user2'], request['password2'],
                                   'app')
        cursor = connection.cursor()
        if request['do'] == 'blob':
            return blob(cursor)
        if request['do'] == 'large':
            return large(cursor)
        return ask(cursor, request['word'])
    finally:
        connection.close()


for line in sys.stdin:
    request = dict(pair.split('=', 1) for pair in
                   line.rstrip('\n').split('\t'))
    try:
        said = 'ok ' + answer(request)
    except Exception as error:  # whatever a driver makes of it is its answer
        code = error.args[0] if len(error.args) > 1 else '-'
        said = f'error {code} - {type(error).__name__}: {error}'
    print(request['id'], ' '.join(said.split()), flush=True)

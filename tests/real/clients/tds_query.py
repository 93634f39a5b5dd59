"""tds_query.py DRIVER ENCRYPTION CA PASSWORD SQL PORT...

Asks what listens on each PORT of localhost, with pymssql or pytds; a line for
each: the port and the row, or "error" and why.  ENCRYPTION is what the
driver's PRELOGIN is to say; a CA that is "-" is none, and nothing is verified.
(pymssql reads freetds.conf for that.)
"""
import sys

DRIVER, ENCRYPTION, CA, PASSWORD, SQL = sys.argv[1:6]
SECONDS = 15


def pymssql_connect(port):
    import pymssql
    return pymssql.connect(server='localhost', port=str(port), user='app',
                           password=PASSWORD, login_timeout=SECONDS,
                           timeout=SECONDS)


def pytds_connect(port):
    import pytds
    options = {}
    if ENCRYPTION != 'not_sup':
        options = {'cafile': CA, 'validate_host': False,
                   'enc_login_only': ENCRYPTION == 'off'}
    return pytds.connect('localhost', port=port, user='app',
                         password=PASSWORD, login_timeout=SECONDS,
                         timeout=SECONDS, autocommit=True, **options)


def ask(port):
    connection = globals()[f'{DRIVER}_connect'](port)
    try:
        cursor = connection.cursor()
        cursor.execute(SQL)
        return '|'.join(str(value) for value in cursor.fetchone())
    finally:
        connection.close()


for word in sys.argv[6:]:
    try:
        said = ask(int(word))
    except Exception as error:                  # whatever a driver raises
        said = f'error {type(error).__name__} {error}'
    print(word, ' '.join(said.split()), flush=True)

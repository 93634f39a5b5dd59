"""ora_query.py WALLET WORD DESCRIPTOR...

Connects with python-oracledb (thin) to each; a line for each, of what comes of
it: there is no Oracle behind a double, so that is always an error.  WALLET is
a folder with ewallet.pem, or "-".  WORD is the user's name.
"""
import sys

import oracledb

WALLET, WORD = sys.argv[1:3]
options = {} if WALLET == '-' else {'wallet_location': WALLET}

for descriptor in sys.argv[3:]:
    try:
        oracledb.connect(user=WORD, password='secret', dsn=descriptor,
                         tcp_connect_timeout=15, **options)
        said = 'a session'
    except Exception as error:                  # whatever a driver raises
        said = f'{type(error).__name__} {error}'
    print(' '.join(said.split()), flush=True)

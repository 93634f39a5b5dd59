"""psycopg3_query.py CONNINFO SQL: prints the row, or why there is none."""
import sys

import psycopg

try:
    with psycopg.connect(sys.argv[1]) as connection:
        row = connection.execute(sys.argv[2]).fetchone()
        print('|'.join(str(value) for value in row))
except psycopg.Error as error:
    print('error', error.sqlstate, error)

"""psycopg2_query.py CONNINFO SQL: prints the row, or why there is none."""
import sys

import psycopg2

try:
    connection = psycopg2.connect(sys.argv[1])
    cursor = connection.cursor()
    cursor.execute(sys.argv[2])
    print('|'.join(str(value) for value in cursor.fetchone()))
except psycopg2.Error as error:
    print('error', error.pgcode, error)

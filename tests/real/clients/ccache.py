"""ccache.py FILE: a Kerberos ticket that no server would take.

With it in KRB5CCNAME libpq believes that it could encrypt by GSSAPI, and so
begins with a GSSENCRequest.  (MIT's file format of a credential cache, 4.)
"""
import struct
import sys
import time

REALM = b'DBTLS.TEST'


def data(octets):
    return struct.pack('!I', len(octets)) + octets


def principal(*names):
    parts = b''.join(data(name) for name in names)
    return struct.pack('!II', 1, len(names)) + data(REALM) + parts


now = int(time.time())
AES256 = 18
credential = principal(b'app') + principal(b'krbtgt', REALM)
credential += struct.pack('!H', AES256) + data(bytes(32))
credential += struct.pack('!IIII', now, now, now + 3600, 0)
credential += struct.pack('!BI', 0, 0)         # is_skey, flags
credential += struct.pack('!II', 0, 0)         # addresses, authorization data
credential += data(b'ticket') + data(b'')

with open(sys.argv[1], 'wb') as cache:
    cache.write(struct.pack('!HH', 0x0504, 0) + principal(b'app') + credential)

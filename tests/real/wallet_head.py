#!/usr/bin/env python3
"""The header of an auto-login wallet, and the password that it hides.

usage: wallet_head.py aes|des [HOST USER] >HEADER

With HOST and USER it is auto_login_local.  The password, whose bytes are all
printable, goes to standard error.  Written from what is known of the format
and the openssl program alone: a second opinion on conf/wallet_sso.c.
"""
import hashlib
import hmac
import os
import subprocess
import sys

AES_IV = "c034d8311c02cef851f0144b81ed4bf2"


def encipher(cipher, key, iv, plain, *options):
    return subprocess.run(
        ["openssl", "enc", "-" + cipher, "-K", key, "-iv", iv, *options],
        input=plain, stdout=subprocess.PIPE, check=True).stdout


def password_of(hidden, where):
    if not where:
        return hidden
    mac = hmac.new("".join(where).encode(), hidden, hashlib.sha1).digest()
    return bytes((b & 127) % 127 + 1 for b in mac[:16])


def printable(text):
    return all(33 <= b <= 126 for b in text)


def main(seal, *where):
    password = b""
    while not printable(password) or not password:
        hidden = os.urandom(16)
        if not where:
            hidden = hidden.hex()[:16].encode()
        password = password_of(hidden, where)
    if seal == "aes":
        key = os.urandom(16)
        body = b"\x06" + key + encipher(
            "aes-128-cbc", key.hex(), AES_IV, hidden, "-nopad")
    else:
        key = os.urandom(8)
        sealed = encipher("des-ede3-cbc", key.hex() * 3, "0" * 16, hidden)
        body = b"\x35" + (key + sealed).hex().encode()
    kind = b"8" if where else b"6"
    sys.stdout.buffer.write(
        b"\xa1\xf8\x4e" + kind + (6).to_bytes(4, "big")
        + len(body).to_bytes(4, "big") + body)
    print(password.decode(), file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])

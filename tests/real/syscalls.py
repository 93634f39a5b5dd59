#!/usr/bin/env python3
"""Which system calls of a program would its unit not allow?

usage: syscalls.py UNIT... <STRACE-OUTPUT

Reads SystemCallFilter= of the units as systemd does: lists add to what is
allowed, those with a tilde take away from it.  Prints the calls, or nothing.
"""
import re
import subprocess
import sys


def expand(word):
    if not word.startswith("@"):
        return {word}
    said = subprocess.run(["systemd-analyze", "syscall-filter", word],
        check=True, capture_output=True, text=True).stdout
    calls = set()
    for line in said.splitlines()[1:]:
        line = line.strip()
        if line and not line.startswith("#"):
            calls |= expand(line)
    return calls


def allowed(files):
    calls = {"execve"}	# systemd's own, to begin with
    for file in files:
        with open(file, encoding="utf-8") as lines:
            for line in lines:
                match = re.match(r"SystemCallFilter=(~?)(.*)", line)
                for word in match[2].split() if match else []:
                    if match[1]:
                        calls -= expand(word)
                    else:
                        calls |= expand(word)
    return calls


seen = set()
for line in sys.stdin:
    match = re.match(r"(?:\d+ +)?([a-z_][a-z0-9_]*)\(", line)
    if match:
        seen.add(match[1])
if "connect" not in seen:
    sys.exit("no session was seen")
print(*sorted(seen - allowed(sys.argv[1:])))

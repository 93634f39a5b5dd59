#!/bin/bash
# bridge-check.sh - is this bridge fit to have clients?
#
#	bridge-check.sh PORT...
#
# It is if the rules are in force and dbtls listens on each PORT and takes what
# comes.  Nothing is connected to: a look each second leaves no trace in the
# log.  A database that cannot be reached is no reason to say no: the other
# bridge would not reach it either.
set -u
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

nft -t list table inet dbtls_bridge >/dev/null 2>&1 || {
	echo "no rules in force; run bridge-up.sh" >&2
	exit 1
}
for port; do
	# Connections that wait, and how many may.
	ss -Hltn "sport = :$port" | awk '
		NF > 3 { listens = 1; if ($2 >= $3) stuck = 1 }
		END { exit !listens || stuck }' || {
		echo "nobody takes what comes to port $port" >&2
		exit 1
	}
done

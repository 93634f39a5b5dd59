#!/bin/bash
# fetches.sh - what a read of a hundred rows costs more through dbtls
#
#	bench/fetches.sh [BUILD]
#
# A client of Oracle Net fetches 10 KB from one server in turns by its own TLS
# and in clear through dbtls, which has the TLS, $FETCHES (10000) times each; the
# server takes so many microseconds over each answer as $THINKS (0 500 1000
# 2000) says.  Printed are the medians of a round trip and their ratio: how much
# of it dbtls is depends on what else there is of it, and on loopback there is no
# network.  $BUSY_POLL_US (0) is dbtls' busy_poll_us.  It wants a machine that
# does nothing else.
set -u
TREE=$(cd "$(dirname "$0")/.." && pwd)
BUILD=$(realpath "${1:-$TREE/build/gcc}")
readonly TREE BUILD FETCHES=${FETCHES:-10000} THINKS=${THINKS:-0 500 1000 2000}
readonly BUSY_POLL_US=${BUSY_POLL_US:-0}

fail() { # WHY
	echo "fetches.sh: $1" >&2
	[ ! -s "$WORK/proxy.log" ] || tail -n 5 "$WORK/proxy.log" >&2
	exit 1
}

clean() {
	local status=$?
	# shellcheck disable=SC2086 # those that there are
	{ kill ${proxy:-} $clients && wait ${proxy:-} $clients; } 2>/dev/null
	rm -rf "$WORK"
	exit "$status"
}

free_port() {
	local try number
	for try in {1..50}; do
		number=$((20000 + (RANDOM + try) % 10000))
		(exec 3<>"/dev/tcp/127.0.0.1/$number") 2>/dev/null && continue
		echo "$number"
		return 0
	done
	fail "no free port"
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

clients=''
WORK=$(mktemp -d /tmp/dbtls-bench.XXXXXX)
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
CERTS=$BUILD/certs
"$TREE/tests/certs.sh" "$CERTS" >/dev/null || fail "no certificates"

mkfifo "$WORK/ask" "$WORK/told"
# shellcheck disable=SC2086 # words
"$BUILD/bench/fetches" "$CERTS/good.chain.pem" "$CERTS/good.key" \
	"$CERTS/ca.crt" db.test "$FETCHES" $THINKS <"$WORK/ask" >"$WORK/told" &
clients=$!
exec 4>"$WORK/ask" 5<"$WORK/told"
read -r server <&5 || fail "the server does not start"
port=$(free_port)
cat >"$WORK/dbtls.conf" <<-CONF
	threads = 1; log = { level = "notice"; };
	endpoints = ( { name = "fetches"; engine = "oracle";
	    listen = "127.0.0.1:$port"; server = "127.0.0.1:$server";
	    ssl_mode = "verify-full"; server_name = "db.test";
	    ca = [ "$CERTS/ca.crt" ]; busy_poll_us = $BUSY_POLL_US; } );
CONF
"$BUILD/proxy/dbtls" run -c "$WORK/dbtls.conf" >"$WORK/proxy.log" 2>&1 &
proxy=$!
end=$((SECONDS + 10))
until listens "$port"; do
	[ "$SECONDS" -lt "$end" ] || fail "dbtls does not start"
	sleep 0.05
done
echo "$port" >&4
echo "$FETCHES fetches of 10 KB each; medians in microseconds:"
printf '%-14s %10s %10s %10s %8s\n' "server takes" direct through more ratio
while read -r thinks direct through <&5; do
	awk -v t="$thinks" -v d="$direct" -v p="$through" 'BEGIN {
		printf "%-14d %10.1f %10.1f %10.1f %8.3f\n", \
			t, d, p, p - d, p / d }'
done
wait "$clients" || fail "no answer"
clients=''

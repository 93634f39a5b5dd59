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
. "$(dirname "$0")/lib.sh"
readonly FETCHES=${FETCHES:-10000} THINKS=${THINKS:-0 500 1000 2000}
readonly BUSY_POLL_US=${BUSY_POLL_US:-0}

port=''
bench_begin fetches "${1:-}"
mkfifo "$WORK/ask" "$WORK/told"
# shellcheck disable=SC2086 # words
"$BUILD/bench/fetches" "$CERTS/good.chain.pem" "$CERTS/good.key" \
	"$CERTS/ca.crt" db.test "$FETCHES" $THINKS <"$WORK/ask" >"$WORK/told" &
clients=$!
# shellcheck disable=SC2034 # lib.sh stops it
PID[clients]=$clients
exec 4>"$WORK/ask" 5<"$WORK/told"
read -r server <&5 || fail "the server does not start"
free_port port
cat >"$WORK/dbtls.conf" <<-CONF
	threads = 1; log = { level = "notice"; };
	endpoints = ( { name = "fetches"; engine = "oracle";
	    listen = "127.0.0.1:$port"; server = "127.0.0.1:$server";
	    ssl_mode = "verify-full"; server_name = "db.test";
	    ca = [ "$CERTS/ca.crt" ]; busy_poll_us = $BUSY_POLL_US; } );
CONF
start proxy "$BUILD/proxy/dbtls" run -c "$WORK/dbtls.conf"
await 20 listens "$port" || fail "dbtls does not start"
echo "$port" >&4
echo "$FETCHES fetches of 10 KB each; medians in microseconds:"
printf '%-14s %10s %10s %10s %8s\n' "server takes" direct through more ratio
while read -r thinks direct through <&5; do
	awk -v t="$thinks" -v d="$direct" -v p="$through" 'BEGIN {
		printf "%-14d %10.1f %10.1f %10.1f %8.3f\n", \
			t, d, p, p - d, p / d }'
done
wait "$clients" || fail "no answer"
unset 'PID[clients]'

#!/bin/bash
# busy_poll_us: while there is traffic the thread does not sleep from one round
# trip to the next, and without any it sleeps all the same.  What that saves is
# for bench/fetches.sh to say: it is the less, the busier the machine is.
#
# usage: test_busy_poll.sh DBTLS FETCHES CERTS
set -u
# shellcheck source=tests/unit/lib.sh
. "${0%/*}/lib.sh"

dbtls=$1
fetches=$2
certs=$3
work=$(mktemp -d)
proxy=''
# Of a core, in thousandths: what sleeping costs at most.
readonly IDLE_MOST=50 TRIPS=1000
trap 'kill $proxy 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT

run() { # BUSY_POLL_US SERVER
	port=$(free_port)
	cat >"$work/dbtls.conf" <<-CONF
		threads = 1;
		endpoints = ( { name = "a"; engine = "oracle";
		    listen = "127.0.0.1:$port"; server = "127.0.0.1:$2";
		    server_name = "db.test"; ca = [ "$certs/ca.crt" ];
		    busy_poll_us = $1; } );
	CONF
	rm -f "$work/log"
	"$dbtls" run -c "$work/dbtls.conf" >"$work/log" 2>&1 &
	proxy=$!
	wait_for grep -qs event=start "$work/log" || complain 'it does not start'
}

end() {
	kill "$proxy"
	wait "$proxy" || complain "status $?"
	proxy=''
}

# Nanoseconds on a CPU, all threads.
used() {
	cat "/proc/$proxy"/task/*/schedstat | awk '{ n += $1 } END { print n }'
}

# How often a thread has gone to sleep.
slept() {
	cat "/proc/$proxy"/task/*/status |
		awk '/^voluntary_ctxt/ { n += $2 } END { print n }'
}

# A thousand round trips, and how often it slept in them.
sleeps_in() { # BUSY_POLL_US
	local server line before
	coproc TOOL { exec "$fetches" "$certs/good.chain.pem" \
		"$certs/good.key" "$certs/ca.crt" db.test "$TRIPS" 0; }
	read -r server <&"${TOOL[0]}"
	run "$1" "$server"
	before=$(slept)
	echo "$port" >&"${TOOL[1]}"
	read -r line <&"${TOOL[0]}" || complain 'no answer'
	sleeps=$(($(slept) - before))
	echo "busy_poll_us $1: $TRIPS trips, $sleeps sleeps; $line"
	end
}

# A session that is open, and says nothing.
idle() {
	local before after
	run 1000 1
	exec 3<>"/dev/tcp/127.0.0.1/$port"
	printf '\0\0' >&3 # half a length: it waits for the rest
	sleep 0.2
	before=$(used)
	sleep 1 # the time that is measured
	after=$(used)
	exec 3>&-
	echo "idle: $(((after - before) / 1000000)) thousandths of a core"
	[ $(((after - before) / 1000000)) -le $IDLE_MOST ] ||
		complain 'it does not sleep'
	end
}

idle
sleeps_in 0
without=$sleeps
sleeps_in 1000
[ "$without" -gt $((TRIPS / 2)) ] || complain 'it does not sleep without'
[ "$sleeps" -lt $((without / 4)) ] || complain 'it sleeps with it'
exit $failed

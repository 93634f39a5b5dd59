#!/bin/bash
# micro.sh - what dbtls spends, by counting instead of by the clock
#
#	bench/micro/micro.sh [BUILD [DBTLS]]
#
# Counts system calls (strace), instructions (valgrind's callgrind) and memory
# per session, round trip, megabyte and negotiation, and compares each with the
# most that budget.txt allows.  A count does not know how busy the machine is,
# so what grows here has grown.  What depends a little on how the kernel cuts a
# stream is counted again when it is over, up to $TRIES (4) times: a machine
# that is busy only ever adds to it.
#
# 0: all are within their budgets; 1: not so; 77: strace or valgrind does not
# work here.  $DBTLS (BUILD/proxy/dbtls) is whose figures these are.
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
TREE=$(cd "$HERE/../.." && pwd)
BUILD=$(realpath "${1:-$TREE/build/gcc}")
DBTLS=${2:-$BUILD/proxy/dbtls}
readonly HERE TREE BUILD DBTLS BUDGET=${BUDGET:-$HERE/budget.txt}

proxy='' micro='' sink='' failed=0 before=0 counted=0 tries=${TRIES:-4}

fail() { # WHY
	echo "micro.sh: $1" >&2
	[ ! -s "$WORK/log" ] || tail -n 5 "$WORK/log" >&2
	exit 1
}

clean() {
	local status=$?
	stop_proxy
	# shellcheck disable=SC2086 # those that there are
	{ kill $micro $sink && wait $micro $sink; } 2>/dev/null
	rm -rf "$WORK"
	exit "$status"
}

# Until COMMAND succeeds, for twenty seconds.
await() {
	local end=$((SECONDS + 20))
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# --- who takes part --------------------------------------------------------

free_ports() { # N
	local try number taken=' '
	while [ "$(wc -w <<<"$taken")" -lt "$1" ]; do
		for try in {1..50}; do
			number=$((20000 + (RANDOM + try) % 10000))
			[[ $taken == *" $number "* ]] && continue
			(exec 3<>"/dev/tcp/127.0.0.1/$number") 2>/dev/null ||
				break
		done
		taken+="$number "
	done
	echo "$taken"
}

start_peers() {
	mkfifo "$WORK/ask" "$WORK/told"
	"$BUILD/bench/micro/micro" "$CERTS/good.chain.pem" "$CERTS/good.key" \
		<"$WORK/ask" >"$WORK/told" &
	micro=$!
	exec 4>"$WORK/ask" 5<"$WORK/told"
	read -r database <&5 || fail "the database does not start"
	"$BUILD/bench/tds_sink" "$CERTS/good.chain.pem" "$CERTS/good.key" \
		>"$WORK/sink" &
	sink=$!
	await test -s "$WORK/sink" || fail "the SQL server does not start"
}

endpoint() { # ENGINE PORT SERVER MODE MORE [NAME]
	local verify=''
	[ "$4" = none ] || verify="server_name = \"db.test\";
		ca = [ \"$CERTS/ca.crt\" ];"
	echo "{ ${6:-name = \"$1-$4\";} engine = \"$1\"; ssl_mode = \"$4\";
		listen = \"127.0.0.1:$2\"; server = \"127.0.0.1:$3\";
		$verify $5 }"
}

write_config() {
	read -r tls direct postgres plain tds < <(free_ports 5)
	{
		echo 'threads = 1; endpoints = ('
		endpoint tls "$tls" "$database" verify-full ''
		echo ,
		endpoint tls "$direct" "$database" verify-full \
			"tls = { records = \"direct\"; };" 'name = "direct";'
		echo ,
		endpoint postgres "$postgres" "$database" verify-full ''
		echo ,
		endpoint postgres "$plain" "$database" none ''
		echo ,
		endpoint sqlserver "$tds" "$(<"$WORK/sink")" verify-full \
			"tls = { direct = true; };"
		echo ');'
	} >"$WORK/dbtls.conf"
}

start_proxy() { # COMMAND THAT RUNS IT...
	: >"$WORK/log"
	"$@" "$DBTLS" run -c "$WORK/dbtls.conf" >"$WORK/log" 2>&1 &
	proxy=$!
	await grep -q 'event=start' "$WORK/log" || fail "dbtls does not start"
}

stop_proxy() {
	[ -z "$proxy" ] || { kill "$proxy" && wait "$proxy"; } 2>/dev/null
	proxy=''
}

tell() { # LINE: to both ends of the session
	local answer
	echo "$1" >&4
	read -r answer <&5 || fail "$1: no answer"
	[ "$answer" = ok ] || fail "$1: $answer"
}

# As one message in packets of 8000 bytes, each of which is a record.
send_packets() { # MEGABYTES
	"$BUILD/bench/tds_source" "$tds" "$1" 8000 "$proxy" >/dev/null ||
		fail "SQL Server: no answer"
}

# --- counting --------------------------------------------------------------

# Each sets $counted: how many since it was last asked.

# One file per thread, one line per call.
count_calls() {
	local now
	now=$(cat "$WORK"/calls.* | wc -l)
	counted=$((now - before)) before=$now
}

count_instructions() {
	before=$((before + 1))
	vgdb --pid="$proxy" dump >/dev/null 2>&1 ||
		fail "valgrind does not answer"
	counted=$(sed -n 's/^totals: //p' "$WORK/grind.$before")
	[ -n "$counted" ] || fail "valgrind has counted nothing"
}

# --- comparing -------------------------------------------------------------

most() { # NAME
	awk -v name="$1" '$1 == name { print $2; found = 1 }
		END { exit !found }' "$BUDGET" || fail "$1 has no budget"
}

within() { # COST MOST
	awk -v cost="$1" -v most="$2" 'BEGIN { exit !(cost <= most) }'
}

report() { # NAME COST
	local verdict='' most
	most=$(most "$1") || exit 1
	within "$2" "$most" || {
		verdict='*** over'
		failed=1
	}
	printf '%-34s %12s %12s %s\n' "$1" "$2" "$most" "$verdict"
}

# The least that COMMAND costs, by UNITS, in as many tries as it may need.
figure() { # NAME UNITS COUNT COMMAND...
	local name=$1 units=$2 count=$3 try cost least=''
	shift 3
	for ((try = 0; try < tries; try++)); do
		"$count"
		"$@"
		"$count"
		cost=$(awk -v c="$counted" -v u="$units" \
			'BEGIN { printf "%.2f", c / u }')
		if [ -z "$least" ] || within "$cost" "$least"; then
			least=$cost
		fi
		within "$least" "$(most "$name")" && break
	done
	report "$name" "$least"
}

# --- what is measured ------------------------------------------------------

# What only the first costs is no part of it.
warm_up() {
	local port
	for port in "$tls tls" "$direct tls" "$postgres postgres" \
		"$plain plain"; do
		tell "sessions $port 2"
		tell "open $port 2"
		tell "trips 3 64"
		tell "to-server 1"
		tell "to-client 1 16384"
		tell close
	done
	send_packets 1
}

sessions() { # PREFIX COUNT N
	figure "$1.session.tls" "$3" "$2" tell "sessions $tls tls $3"
	figure "$1.session.postgres" "$3" "$2" \
		tell "sessions $postgres postgres $3"
	figure "$1.session.plain" "$3" "$2" tell "sessions $plain plain $3"
}

trips() { # PREFIX COUNT TRIPS
	tell "open $tls tls 1"
	figure "$1.trip.1" "$3" "$2" tell "trips $3 64"
	tell "open $tls tls 63"
	figure "$1.trip.64" $((64 * $3 / 8)) "$2" tell "trips $(($3 / 8)) 64"
	tell close
	tell "open $plain plain 1"
	figure "$1.trip.plain" "$3" "$2" tell "trips $3 64"
	tell close
}

bulk() { # PREFIX COUNT MEGABYTES
	tell "open $tls tls 1"
	figure "$1.megabyte.to-server" "$3" "$2" tell "to-server $3"
	figure "$1.megabyte.to-client" "$3" "$2" tell "to-client $3 16384"
	figure "$1.megabyte.to-client.512" "$3" "$2" tell "to-client $3 512"
	tell close
	tell "open $plain plain 1"
	figure "$1.megabyte.plain" "$3" "$2" tell "to-server $3"
	tell close
	tell "open $direct tls 1"
	figure "$1.direct.to-server" "$3" "$2" tell "to-server $3"
	figure "$1.direct.to-client" "$3" "$2" tell "to-client $3 16384"
	tell close
	figure "$1.megabyte.sqlserver" "$3" "$2" send_packets "$3"
}

system_calls() {
	start_proxy strace -D -ff -o "$WORK/calls"
	before=0
	warm_up
	sessions calls count_calls 20
	trips calls count_calls 160
	bulk calls count_calls 48
	stop_proxy
}

instructions() {
	start_proxy valgrind --tool=callgrind \
		--callgrind-out-file="$WORK/grind"
	before=0
	warm_up
	sessions instructions count_instructions 4
	trips instructions count_instructions 40
	bulk instructions count_instructions 6
	stop_proxy
}

anonymous_kb() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$proxy/status"; }
count_memory() {
	local now
	now=$(anonymous_kb)
	counted=$(((now - before) * 1024)) before=$now
}

# Idle, after one round trip, and all of it that is not the kernel's.
idle() { # PORT KIND N
	tell "open $1 $2 $3"
	tell "trips 1 64"
}
memory() {
	local n=400 tries=1 kind
	for kind in tls plain; do
		start_proxy
		idle "${!kind}" "$kind" 50
		figure "memory.$kind" "$n" count_memory \
			idle "${!kind}" "$kind" "$n"
		tell close
		stop_proxy
	done
}

# The steps alone, in pieces of all sizes, as its transcript has it.
negotiation() { # ENGINE TRANSCRIPT
	local folder=$TREE/tests/negotiator/transcripts/$1 cost
	mkdir "$WORK/$1"
	cp "$folder/$2.txt" "$WORK/$1"
	[ ! -f "$folder/names" ] || cp "$folder/names" "$WORK/$1"
	valgrind --tool=callgrind --callgrind-out-file="$WORK/$1.out" \
		--collect-atstart=no --toggle-collect=neg_step \
		"$BUILD/tests/negotiator/transcripts" "$WORK/$1" \
		>"$WORK/log" 2>&1 || fail "$1: its transcript does not pass"
	cost=$(sed -n 's/^totals: //p' "$WORK/$1.out")
	report "instructions.negotiation.$1" "$cost"
}

negotiations() {
	local engine
	for engine in postgres redshift mysql mariadb mysqlx sqlserver sybase \
		mongodb; do
		negotiation "$engine" leg_plain_to_tls
	done
	negotiation oracle leg_plain_to_tls_accept
	negotiation tls plain_client
}

# Sessions may not be traced everywhere.
skip() { # WHY
	echo "micro.sh: skipped: $1"
	exit 77
}

WORK=$(mktemp -d /tmp/dbtls-micro.XXXXXX)
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
strace -o "$WORK/none" true 2>"$WORK/log" || skip "strace: $(<"$WORK/log")"
valgrind --tool=none true 2>"$WORK/log" ||
	skip "valgrind: $(tail -n 1 "$WORK/log")"
CERTS=$BUILD/certs
"$TREE/tests/certs.sh" "$CERTS" >/dev/null || fail "no certificates"
start_peers
write_config
printf '%-34s %12s %12s\n' "" counted most
system_calls
instructions
memory
negotiations
exit "$failed"

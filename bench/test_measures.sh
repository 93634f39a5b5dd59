#!/bin/bash
# test_measures.sh - whether the measurements can tell
#
#	bench/test_measures.sh BUILD
#
# A byte changed on the way is found; a proxy that does more is seen to; work
# of others is noticed, and work of ours is not taken for it; a goal is judged
# as it says.
. "$(dirname "$0")/lib.sh"
bench_begin measures "${1:-}"
readonly LOAD=$BUILD/bench/load
failures=0

check() { # TEXT COMMAND...
	local text=$1
	shift
	if "$@"; then
		echo "ok       $text"
	else
		echo "NOT OK   $text"
		failures=$((failures + 1))
	fi
}

relay() { # NAME [OPTION]: listens on ${port[NAME]}
	free_port "port[$1]"
	start "$1" "$BUILD/bench/copy" "${port[$1]}" "$back" "${@:2}"
	await 10 listens "${port[$1]}" || fail "$1 does not start"
}

bulk() { # NAME [NAME=VALUE]...
	"$LOAD" bulk port="${port[$1]}" pid="${PID[$1]}" listen="$back" \
		limit=30 tls=none ours=$$ "${@:2}" 2>"$WORK/error"
}

# --- bytes -------------------------------------------------------------------

verified() { # RELAY DIRECTION
	bulk "$1" verify=1 connections=4 bytes=3000000 direction="$2" >/dev/null
}
found() { # DIRECTION
	! verified flips "$1" &&
		grep -q 'bytes are not those' "$WORK/error"
}

# With TLS there is a second way, by which bytes are looked at.
through_dbtls() { # DIRECTION
	"$LOAD" bulk port="$tls_port" listen="$back" limit=30 verify=1 \
		connections=4 bytes=3000000 direction="$1" record=5000 \
		cert="$CERTS/good.chain.pem" key="$CERTS/good.key" >/dev/null
}
dbtls_begin() {
	free_port tls_port
	cat >"$WORK/dbtls.conf" <<-CONF
		threads = 1; log = { level = "warn"; };
		endpoints = ( { name = "bench"; engine = "tls";
		listen = "127.0.0.1:$tls_port"; server = "127.0.0.1:$back";
		server_name = "db.test"; ca = "$CERTS/ca.crt"; } );
	CONF
	start dbtls "$BUILD/proxy/dbtls" run -c "$WORK/dbtls.conf"
	await 20 listens "$tls_port" || fail "dbtls does not start"
}

# --- processors --------------------------------------------------------------

seconds_taken() { # RELAY
	for _ in 1 2 3; do
		bulk "$1" bytes=30000000 | grep -oE 'cpu=[0-9.]+'
	done | cut -d= -f2 | median
}
costs_more() {
	local plain slow
	plain=$(seconds_taken plain)
	slow=$(seconds_taken slow)
	echo "         plain $plain s, slowed down $slow s"
	awk -v p="$plain" -v s="$slow" 'BEGIN { exit !(s > 1.5 * p && p > 0) }'
}

spin() { # shellcheck disable=SC2016 # for that shell
	exec bash -c 'while :; do :; done'
}
others() { # OURS: what others took while nothing of ours ran
	"$LOAD" window ours="$1" -- sleep 0.5 | grep -oE 'others=[0-9.]+' |
		cut -d= -f2
}
noticed() {
	local x
	x=$(others "$(printf '%s' "${PID[plain]}")")
	awk -v x="$x" 'BEGIN { exit !(x > 0.2) }'
}
# The same moment, with and without the one who spins among ours.
not_ours() {
	local all rest
	all=$(others "${PID[plain]}")
	rest=$(others $$)
	echo "         others $all, of which not ours $rest"
	awk -v a="$all" -v r="$rest" 'BEGIN { exit !(a - r > 0.15) }'
}

# --- the report --------------------------------------------------------------

# Five rounds: dbtls against a peer twice as dear.
raw() { # NOISY
	local r
	for r in 1 2 3 4 5; do
		echo "$r bulk x dbtls bytes=1000000000 seconds=1 cpu=0.5 noisy=$1"
		echo "$r bulk x peer bytes=1000000000 seconds=1 cpu=1.0 noisy=0"
	done
}
goals() {
	echo 'easy | bulk x cpu_gb | bulk x cpu_gb : peer | 0.6 | -'
	echo 'hard | bulk x cpu_gb | bulk x cpu_gb : peer nobody | 0.4 | 0.4'
	echo 'more | bulk x gb_s | - | >= 0.9 | -'
}
judged() { # RAW-NOISE ROUNDS GOAL REGEX
	goals >"$WORK/goals"
	raw "$1" | head -n $(($2 * 2)) >"$WORK/raw"
	awk -f "$TREE/bench/report.awk" -v rounds="$2" "$WORK/goals" \
		"$WORK/raw" | grep -E "^\| $3 " | grep -qE "$4"
}
drawn() {
	raw 0 | sed 's/ x / up-1-16384 /' | awk -f "$TREE/bench/plot.awk" |
		python3 -c 'import sys, xml.dom.minidom as m
sys.exit(len(m.parse(sys.stdin).getElementsByTagName("rect")) != 2)'
}

declare -A port=()
back='' tls_port=''
free_port back
relay plain
relay flips flip=100000
relay slow burn=60
dbtls_begin
for direction in up down; do
	check "$direction: bytes that are right pass" verified plain $direction
	check "$direction: a changed byte is found" found $direction
	check "$direction: and right they are in TLS" through_dbtls $direction
done
check "a proxy that does more is seen to" costs_more
start spinner spin
check "others are noticed" noticed
check "what is ours is not the others'" not_ours
stop spinner TERM
check "a goal is met" judged 0 5 easy '0\.500 \(0\.6\): met'
check "a goal is missed, and by how much" \
	judged 0 5 hard '0\.500 \(0\.4\): \*\*missed by 25 %\*\*'
check "what was not measured is said" judged 0 5 hard 'not measured'
check "a goal may want more, not less" judged 0 5 more '1\.000 \(0\.9\): met'
check "noise is not failure" judged 1 5 hard 'noisy, 0 quiet'
check "four rounds are too few" judged 0 4 easy 'too few rounds'
check "the picture is one" drawn
[ $failures = 0 ]

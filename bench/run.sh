#!/bin/bash
# run.sh - dbtls beside its peers and beside what cannot be had for less
#
#	bench/run.sh [--install] [--build FOLDER] [PART...]
#
# All proxies run at once and are measured in turns, each cell of the table
# $ROUNDS (5) times: by one generator with both ends, on another processor, in
# a network of its own where that is allowed (root).  PARTs, all by default:
#
#	bulk		throughput with TLS, both ways, against the limit too
#	trips		64 bytes there and back on 1, 64 and 1000 connections
#	handshakes	full and resumed, ECDSA and RSA
#	idle		memory of idle connections
#	calls		system calls per megabyte and per trip (perf)
#	plain		without TLS: copied and spliced
#	ends		clients' TLS ended
#	postgres	COPY, logical replication, pgbench
#	mysql		binary log streamed
#
# $MEGABYTES (300) is the size of a bulk run, $SECONDS (0.5) the length of a
# timed one, $IDLE (1000 5000) how many connections are idle, of which only the
# first is measured in every round, and $PEERS a list of those to compare with
# (all that there are).  A run during which others took over $QUIET (0.2) of a
# processor is done again, up to $AGAIN (10) times and while that is on time
# for $LIMIT (1140) seconds in all, and else marked noisy.  After $LIMIT
# nothing is begun any more.  Results: BUILD/bench-results/ (or
# $RESULTS) has raw.txt, table.md and bulk.svg.
#
# --install gets the peers from Debian, and what PostgreSQL and MySQL need into
# the cache of the real tests; what is not there is left out by name.
LENGTH=${LENGTH:-$SECONDS}
[ "$LENGTH" != 0 ] || LENGTH=0.5
SECONDS=0
. "$(dirname "$0")/lib.sh"
. "$TREE/bench/peers.sh"
readonly ROUNDS=${ROUNDS:-5} MEGABYTES=${MEGABYTES:-300} LENGTH
readonly IDLE=${IDLE:-1000 5000}
readonly LIMIT=${LIMIT:-1140} QUIET=${QUIET:-0.2} AGAIN=${AGAIN:-10}
readonly SUITE=${SUITE:-TLS_AES_256_GCM_SHA384}
readonly ALL_PARTS='bulk trips handshakes idle calls plain ends postgres mysql'
readonly STEP=60	# seconds that any one run may take

round=0
hurry=''	# not empty: only those of whom goals speak

# --- one measurement ---------------------------------------------------------

tls_of() { # FLAVOR: which of the generator's ends has TLS
	case $1 in
	tls | poll) echo back ;;
	ends) echo front ;;
	plain) echo none ;;
	esac
}

load_command() { # FLAVOR PEER MODE [NAME=VALUE]...: sets $command
	local name=$1/$2
	command=(taskset -c "$LOAD_CPU" "$BUILD/bench/load" "$3"
		port="${AT[$name]}" listen="$BACK" pid="${PID[$name]}" ours=$$
		tls="$(tls_of "$1")" suite="$SUITE" limit="$STEP"
		cert="$CERTS/good.chain.pem" key="$CERTS/good.key"
		ca="$CERTS/ca.crt" "${@:4}")
}
load() {
	local command
	load_command "$@"
	"${command[@]}"
}

over() { [ "$SECONDS" -ge "$LIMIT" ]; }
# Has this round had its share of the time?
late() { [ $((SECONDS * ROUNDS)) -ge $((LIMIT * round)) ]; }
is_quiet() { # LINE
	[[ $1 =~ others=([0-9.]+) ]] || return 0
	awk -v o="${BASH_REMATCH[1]}" -v q="$QUIET" 'BEGIN { exit !(o <= q) }'
}

# Runs COMMAND, which prints a line, until others left it alone.
measure() { # PART CELL PEER COMMAND...
	local part=$1 cell=$2 peer=$3 line try noisy=1 status
	shift 3
	for ((try = 0; ; try++)); do
		line=$("$@" 2>"$WORK/load.err")
		status=$?
		if [ $status != 0 ]; then
			echo "$round $part $cell $peer failed=1"
			echo "$BENCH: $part $cell $peer: status $status," \
				"$(tail -n 1 "$WORK/load.err")" >&2
			return 1
		fi
		if is_quiet "$line"; then
			noisy=0
			break
		fi
		if [ "$try" -ge "$AGAIN" ] || late; then
			break
		fi
	done
	echo "$round $part $cell $peer $line again=$try noisy=$noisy"
}

# Every round begins with another one, so that nobody is always the first.
in_turns() { # FLAVOR
	local list=() n
	for peer in $(peers_of "$1"); do
		[[ $peer != socat* ]] || [ -z "$hurry" ] || continue
		[ -z "${PID[$1/$peer]:-}" ] || list+=("$peer")
	done
	n=${#list[@]}
	[ "$n" -gt 0 ] || return 0
	printf '%s\n' "${list[@]:round % n}" "${list[@]:0:round % n}"
}

each() { # FLAVOR PART CELL MODE [NAME=VALUE]...
	local flavor=$1 part=$2 cell=$3 peer
	shift 3
	for peer in $(in_turns "$flavor"); do
		! over || return 1
		measure "$part" "$cell" "$peer" load "$flavor" "$peer" "$@" &&
			continue
		# Who has died is missing in this cell and no longer.
		alive "$flavor/$peer" || peer_start "$flavor" "$peer"
	done
}

start_all() { # FLAVOR
	local peer
	for peer in $(peers_of "$1"); do
		[ -n "${PID[$1/$peer]:-}" ] || peer_start "$1" "$peer"
	done
}

# --- bytes are verified first ------------------------------------------------

verify_all() { # FLAVOR
	local flavor=$1 peer direction bytes=4000000
	for peer in $(peers_of "$flavor"); do
		[ -n "${PID[$flavor/$peer]:-}" ] || continue
		for direction in up down; do
			load "$flavor" "$peer" bulk verify=1 connections=8 \
				bytes=$bytes direction=$direction record=5000 \
				>/dev/null && continue
			echo "$BENCH: $flavor/$peer $direction: wrong bytes," \
				"left out" >&2
			echo "0 verify $flavor $peer failed=1" >>"$RAW"
			stop "$flavor/$peer"
			break
		done
	done
}

# --- parts -------------------------------------------------------------------
# begin_PART once, if there is one; then PART in each round.

megabytes() { # RECORD
	local m=$MEGABYTES
	[ "$1" != 512 ] || m=$(((m + 3) / 4))
	echo $((m * 1000000))
}

limits() {
	local key
	for key in good rsa; do
		measure limits "${key/good/ecdsa}" openssl \
			taskset -c "$PROXY_CPU" "$BUILD/bench/load" limits \
			seconds=0.2 ca="$CERTS/ca.crt" suite="$SUITE" \
			cert="$CERTS/$key.chain.pem" key="$CERTS/$key.key" \
			limit=$STEP
	done
}

# What the generator does with nobody between its ends.
ceiling() {
	local direction
	for direction in up down; do
		measure ceiling $direction-1 generator taskset -c "$LOAD_CPU" \
			"$BUILD/bench/load" bulk port="$BACK" listen="$BACK" \
			tls=none bytes="$(megabytes 16384)" \
			direction=$direction ours=$$ limit=$STEP
	done
	measure ceiling trips-64 generator taskset -c "$LOAD_CPU" \
		"$BUILD/bench/load" trips port="$BACK" listen="$BACK" \
		tls=none connections=64 seconds="$LENGTH" ours=$$ limit=$STEP
}

begin_bulk() {
	start_all tls
	[ -n "${PID[plain/copy]:-}" ] || peer_start plain copy
	verify_all tls
}
bulk_cell() { # DIRECTION CONNECTIONS RECORD
	each tls bulk "$1-$2-$3" bulk direction="$1" connections="$2" \
		record="$3" bytes="$(megabytes "$3")"
}
part_bulk() {
	local n record direction
	ceiling
	limits
	for direction in up down; do
		measure limits $direction-1 copy load plain copy bulk \
			direction=$direction bytes="$(megabytes 16384)"
		bulk_cell $direction 1 16384
	done
	for n in 8 64; do
		bulk_cell up $n 16384
		bulk_cell down $n 16384
	done
	for record in 8192 512; do
		for n in 1 8 64; do
			bulk_cell down $n $record
		done
	done
}

begin_trips() {
	start_all tls
	start_all poll
}
part_trips() {
	local n
	for n in 1 64 1000; do
		# A process for each of a thousand is its own punishment.
		each tls trips $n trips connections=$n seconds="$LENGTH"
	done
	each poll trips 1 trips connections=1 seconds="$LENGTH"
}

begin_handshakes() { start_all tls; }
part_handshakes() {
	local key resume
	[[ " $PARTS " == *" bulk "* ]] || limits
	for key in good rsa; do
		for resume in 0 1; do
			each tls handshakes "${key/good/ecdsa}-$resume" \
				handshakes resume=$resume seconds="$LENGTH" \
				cert="$CERTS/$key.chain.pem" \
				key="$CERTS/$key.key"
		done
	done
}

# Each in a process that has not done anything before.
idle_one() { # FLAVOR PEER CONNECTIONS [CELL NAME=VALUE]
	peer_stop "$1" "$2"
	peer_start "$1" "$2" && measure idle "${4:-$1-$3}" "$2" \
		load "$1" "$2" idle connections="$3" "${5:-resume=1}"
}
idle_counts() {
	# shellcheck disable=SC2086 # a list
	printf '%s\n' $IDLE | if [ "$round" = 1 ]; then
		cat
	else
		head -n 1
	fi
}
part_idle() {
	local flavor peer n
	for flavor in tls plain; do
		for peer in $(peers_of $flavor); do
			! over || return
			[[ $peer != socat* && $peer != *64 ]] || continue
			for n in $(idle_counts); do
				idle_one $flavor "$peer" "$n"
			done
			# A server that gives no tickets, as PostgreSQL does not.
			[[ $flavor-$peer != tls-d* ]] || idle_one tls "$peer" \
				"${IDLE%% *}" tls-no-tickets resume=0
		done
	done
}

# perf counts what enters the kernel, and slows nobody down by much.
counted() { # FLAVOR PEER MODE [NAME=VALUE]...
	local command pid=${PID[$1/$2]} line calls
	load_command "$@"
	pid=$(echo "$pid" "$(cat "/proc/$pid/task/$pid/children")" |
		xargs | tr ' ' ,)
	line=$(perf stat -x, -e raw_syscalls:sys_enter -o "$WORK/perf" \
		-p "$pid" -- "${command[@]}") || return 1
	calls=$(awk -F, '/sys_enter/ { print $1 }' "$WORK/perf")
	[ -n "$calls" ] && echo "$line calls=$calls"
}
begin_calls() {
	start_all tls
	has perf && perf stat -e raw_syscalls:sys_enter true 2>/dev/null ||
		echo "$BENCH: no perf that counts here: no system calls" >&2
}
calls_cell() { # CELL MODE [NAME=VALUE]...
	local cell=$1 peer
	shift
	for peer in $(in_turns tls); do
		! over || return 0
		measure calls "$cell" "$peer" counted tls "$peer" "$@"
	done
}
part_calls() {
	local direction n
	perf stat -e raw_syscalls:sys_enter true 2>/dev/null || return 0
	for direction in up down; do
		calls_cell $direction-1 bulk direction=$direction \
			bytes=$((MEGABYTES * 250000))
	done
	for n in 1 64; do
		calls_cell trips-$n trips connections=$n seconds=0.2
	done
}

begin_plain() {
	start_all plain
	verify_all plain
}
part_plain() {
	local direction n
	for n in 1 64; do
		for direction in up down; do
			# Nothing is encrypted: it would be over too soon.
			each plain plain $direction-$n bulk connections=$n \
				direction=$direction \
				bytes=$((MEGABYTES * 3000000))
		done
	done
	each plain plain trips-64 trips connections=64 seconds="$LENGTH"
}

begin_ends() {
	start_all ends
	verify_all ends
}
part_ends() {
	local direction
	for direction in up down; do
		each ends ends $direction-1 bulk direction=$direction \
			bytes="$(megabytes 16384)"
	done
	each ends ends trips-64 trips connections=64 seconds="$LENGTH"
	each ends ends handshakes-0 handshakes seconds="$LENGTH"
}

# --- all ---------------------------------------------------------------------

usage() {
	sed -n '2,/^LENGTH/s/^# \{0,1\}//p' "$0"
	exit 2
}

read_arguments() {
	PARTS='' INSTALL='' FOLDER=''
	while [ $# -gt 0 ]; do
		case $1 in
		--install) INSTALL=yes ;;
		--build)
			FOLDER=${2:-}
			shift
			;;
		-*) usage ;;
		*)
			[[ " $ALL_PARTS " == *" $1 "* ]] || usage
			PARTS+=" $1"
			;;
		esac
		shift
	done
	PARTS=${PARTS:-$ALL_PARTS}
}

install_all() {
	. "$TREE/contrib/needs.sh"
	# shellcheck disable=SC2086 # a list
	needs $PEER_PACKAGES linux-perf util-linux iproute2 ||
		echo "$BENCH: some peers cannot be had" >&2
	real_install
}

# A network of our own: nobody else's ports, one congestion control, and no
# limit to how many connections may have been closed a moment ago.
enter_network() {
	BENCH_NETWORK=shared
	unshare --net true 2>/dev/null || return 0
	rm -rf "$WORK"
	BENCH_NETWORK=own exec unshare --net "$0" "$@"
}
furnish_network() {
	[ "$BENCH_NETWORK" = own ] || return 0
	ip link set lo up || fail "no loopback"
	sysctl -qw net.ipv4.tcp_congestion_control=reno 2>/dev/null
	sysctl -qw net.ipv4.ip_local_port_range='32768 65000' 2>/dev/null
	sysctl -qw net.core.somaxconn=4096 2>/dev/null
}

choose_processors() {
	PROXY_CPU=0 LOAD_CPU=1
	[ "$(nproc --all)" -gt 1 ] || LOAD_CPU=0
	# Servers and clients are where the generator is.
	taskset -cp $LOAD_CPU $$ >/dev/null
}

describe() {
	local peer
	echo "machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo |
		head -n 1), $(nproc --all) processors, Linux $(uname -r)"
	echo "network: $BENCH_NETWORK; suite: $SUITE; rounds: $ROUNDS"
	for peer in dbtls haproxy nginx stunnel hitch socat pgbouncer; do
		! has "$(program_of $peer)" ||
			echo "$peer: $(peer_version $peer)"
	done
	echo "linked with $("$BUILD/bench/load" version)"
	real_versions
	echo "missing: $(peer_missing | xargs)"
}

report() {
	awk -f "$TREE/bench/report.awk" -v rounds="$ROUNDS" \
		"$TREE/bench/goals.txt" "$RAW" >"$RESULTS/table.md"
	awk -f "$TREE/bench/plot.awk" "$RAW" >"$RESULTS/bulk.svg"
}

run_rounds() {
	local part
	for part in $PARTS; do
		[ "$(type -t "begin_$part")" != function ] || "begin_$part"
	done
	for ((round = 1; round <= ROUNDS; round++)); do
		# The first one is longer by a minute than the others.
		[ $(((SECONDS - 60) * ROUNDS)) -lt $((LIMIT * (round - 1))) ] ||
			hurry=yes
		for part in $PARTS; do
			! over || break
			echo "round $round: $part ($SECONDS s)" >&2
			"part_$part" >>"$RAW"
		done
	done
}

main() {
	read_arguments "$@"
	bench_begin bench "${FOLDER:-}"
	. "$TREE/bench/real.sh"
	RESULTS=${RESULTS:-$BUILD/bench-results}
	RAW=$RESULTS/raw.txt
	mkdir -p "$RESULTS"
	rm -f "$RESULTS"/*
	if [ -z "${BENCH_NETWORK:-}" ]; then
		[ -z "$INSTALL" ] || install_all
		real_prepare
		enter_network "$@"
	fi
	furnish_network
	choose_processors
	free_port BACK
	ulimit -n "$(ulimit -Hn)"
	describe | sed 's/^/# /' | tee "$RAW" >&2
	run_rounds
	report
	cat "$RESULTS/table.md"
	echo "results: $RESULTS" >&2
}

main "$@"

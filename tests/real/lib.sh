# shellcheck shell=bash
#
# lib.sh - what a theme of the real tests is written with
#
#	. "$(dirname "$0")/lib.sh"
#	theme_begin NAME		a work folder, ports, the clean-up
#	check TEXT REGEX COMMAND...	one line, counted
#	theme_end			the sums; fails if a check has
#
# A theme runs alone as well: tests/real/cancel.sh.  It needs $DBTLS, the
# program, and $CANARY_TOOL, both found in $BUILD (default: build/gcc).
# DBTLS_KEEP=1 keeps its work folder.

set -u
REAL=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TREE=$(cd "$REAL/../.." && pwd)
BUILD=${BUILD:-$TREE/build/gcc}
DBTLS=${DBTLS:-$BUILD/proxy/dbtls}
CANARY_TOOL=${CANARY_TOOL:-$BUILD/tests/real/canary}
readonly REAL TREE

# A machine may point every TLS library at certificates of its own.
unset SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE \
	OPENSSL_CONF NODE_EXTRA_CA_CERTS
unset "${!PG@}"
export LC_ALL=C.UTF-8

# What must never be seen on a server leg; part of every test's data.
readonly CANARY=canary-5b1e9f0c7a

. "$REAL/roots.sh"
. "$REAL/postgres.sh"
. "$REAL/mysql.sh"

declare -A PID=()	# of what start() started, by name
passed=0 failed=0 skipped=0

# --- a theme ---------------------------------------------------------------

theme_begin() { # NAME
	THEME=$1
	# Not under TMPDIR: /tmp is what servers in their roots see as well.
	WORK=$(mktemp -d "/tmp/dbtls-$THEME.XXXXXX")
	chmod 711 "$WORK"
	trap theme_clean EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	ports_choose
	[ -x "$DBTLS" ] || {
		echo "$THEME: no program at $DBTLS; set BUILD or DBTLS" >&2
		exit 1
	}
}

theme_clean() {
	local status=$? name
	trap '' INT TERM HUP
	for name in "${!PID[@]}"; do
		stop "$name" INT 5
	done
	if [ -n "${DBTLS_KEEP:-}" ]; then
		echo "$THEME: kept $WORK" >&2
	else
		rm -rf "$WORK"
	fi
	exit "$status"
}

theme_end() {
	[ "$failed" = 0 ] || theme_logs
	echo "$THEME: $passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
	exit
}

theme_logs() {
	local file lines
	for file in "$WORK"/*.log; do
		[ -s "$file" ] || continue
		lines=5
		[[ $file != */proxy* ]] || lines=40
		echo "--- the end of ${file##*/}"
		tail -n $lines "$file" | cut -c1-400
	done
	echo "---"
}

# What cannot be on this machine ends the theme, by name and not as a failure.
theme_skip() { # WHY
	skip "all of $THEME" "$1"
	theme_end
}

# --- checks ----------------------------------------------------------------

pass() { # TEXT
	passed=$((passed + 1))
	printf 'ok       %s\n' "$1"
}

fail() { # TEXT WHY
	failed=$((failed + 1))
	printf 'NOT OK   %s: %.2000s\n' "$1" "$2"
}

skip() { # TEXT WHY
	skipped=$((skipped + 1))
	printf 'skipped  %s: %s\n' "$1" "$2"
}

# Does what COMMAND prints, on one line, match?
check() { # TEXT REGEX COMMAND...
	local text=$1 want=$2 out
	shift 2
	out=$("$@" 2>&1 </dev/null | tr '\n\t\0' '  .')
	out=${out%% }
	if [[ $out =~ $want ]]; then
		pass "$text: $(printf '%.100s' "$out")"
	else
		fail "$text" "$out (wanted: $want)"
	fi
}

# Does COMMAND succeed?
check_ok() { # TEXT COMMAND...
	local text=$1 out
	shift
	if out=$("$@" 2>&1 </dev/null); then
		pass "$text"
	else
		fail "$text" "status $?: $out"
	fi
}

# Do two numbers or texts agree?
check_same() { # TEXT GOT WANT
	if [ "$2" = "$3" ]; then
		pass "$1: $2"
	else
		fail "$1" "got $2, wanted $3"
	fi
}

check_most() { # TEXT GOT LIMIT
	if [ "$2" -le "$3" ]; then
		pass "$1: $2 (at most $3)"
	else
		fail "$1" "$2, more than $3"
	fi
}

# Until COMMAND succeeds; 1 when the time is over.
await() { # SECONDS COMMAND...
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		sleep 0.03
	done
}

# Milliseconds, for measuring.
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# --- processes -------------------------------------------------------------

# In the background, its output in $WORK/NAME.log, its pid in ${PID[NAME]}.
start() { # NAME COMMAND...
	local name=$1
	shift
	(
		exec </dev/null >>"$WORK/$name.log" 2>&1
		trap - INT TERM HUP EXIT
		if [ "$(type -t "$1")" = function ]; then
			"$@" # functions that are started end with exec
		else
			exec "$@"
		fi
	) &
	PID[$name]=$!
}

alive() { # NAME
	kill -0 "${PID[$1]}" 2>/dev/null
}
gone() { ! alive "$1"; }

# Stops it and sets $status to how it ended; KILL when SECONDS are over.
stop() { # NAME [SIGNAL] [SECONDS]
	local pid=${PID[$1]:-}
	status=0
	[ -n "$pid" ] || return 0
	{ # bash would tell of each that a signal ended
		kill -"${2:-TERM}" "$pid"
		await "${3:-20}" gone "$1" || kill -KILL "$pid"
		wait "$pid"
		status=$?
	} 2>/dev/null
	unset "PID[$1]"
}

log_has() { # NAME REGEX
	grep -qE -- "$2" "$WORK/$1.log"
}

# --- ports -----------------------------------------------------------------
# Three ranges, below those the kernel hands to clients: "plain" for client
# legs without TLS, "secret" for whatever must show no plain text, "other".

# shellcheck disable=SC2034 # next_*: read through a name in port_new()
ports_choose() {
	local try used port
	used=" $(awk 'FNR > 1 { split($2, a, ":"); print a[2] }' \
		/proc/net/tcp /proc/net/tcp6 | while read -r port; do
		printf '%d ' "0x$port"
	done)"
	for try in {1..50}; do
		PORTS=$((10000 + (RANDOM + try) % 42 * 500))
		for ((port = PORTS; port < PORTS + 500; port++)); do
			[[ $used == *" $port "* ]] && continue 2
		done
		next_plain=$PORTS
		next_secret=$((PORTS + 300))
		next_other=$((PORTS + 400))
		return 0
	done
	echo "$THEME: no 500 free ports in a row" >&2
	exit 1
}

port_new() { # VARIABLE plain|secret|other
	local -n next=next_$2
	printf -v "$1" %d "$next"
	next=$((next + 1))
}

port_open() { # PORT [ADDRESS]
	(exec 3<>"/dev/tcp/${2:-127.0.0.1}/$1") 2>/dev/null
}

# --- the wire --------------------------------------------------------------

wire_begin() {
	[ -x "$CANARY_TOOL" ] || return 0
	start wire "$CANARY_TOOL" lo "$CANARY" \
		"plain:$PORTS-$((PORTS + 299))" \
		"secret:$((PORTS + 300))-$((PORTS + 399))"
	await 5 log_has wire '^capturing' || {
		unset 'PID[wire]'
		return 0
	}
}

wire_end() {
	if [ -z "${PID[wire]:-}" ]; then
		skip "the wire" "no libpcap, or it may not capture here"
		return 0
	fi
	stop wire
	check "wire: the canary is seen where a client leg is plain" \
		'plain segments=[1-9][0-9]* bytes=[0-9]+ found=[1-9]' \
		cat "$WORK/wire.log"
	check "wire: and never where TLS is promised" \
		'secret segments=[1-9][0-9]* bytes=[1-9][0-9]* found=0 ' \
		cat "$WORK/wire.log"
	check "wire: nothing was missed" 'dropped=0$' cat "$WORK/wire.log"
}

# --- certificates ----------------------------------------------------------
# Those of tests/certs.sh, which says what they are, in $PKI.

certs_make() {
	PKI=$WORK/pki
	bash "$TREE/tests/certs.sh" "$CACHE/certs" && cp -a "$CACHE/certs" "$PKI"
}

# --- dbtls -----------------------------------------------------------------
# endpoint() adds to the list that dbtls_run() starts a process with, whose
# name begins with "proxy".

endpoints=()

endpoint() { # NAME PORT SERVER MODE [SETTINGS]
	endpoints+=("{ name = \"$1\"; engine = \"${ENGINE:-postgres}\";
    listen = \"127.0.0.1:$2\"; server = \"$3\"; ssl_mode = \"$4\";
    ${5:-} }")
}

# Settings, with the folder of certificates put in for @.
here() { echo "${1//@/$PKI}"; }

dbtls_config() { # FILE [SETTINGS]
	local IFS=,
	cat >"$1" <<-CONF
		log = { level = "debug"; format = "text"; to = "stderr"; };
		${2:-threads = 2;}
		endpoints = ( ${endpoints[*]} );
	CONF
}

dbtls_run() { # NAME [SETTINGS]
	dbtls_config "$WORK/$1.conf" "${2:-}"
	endpoints=()
	dbtls_again "$1"
}

# Once more with the configuration that it had.
dbtls_again() { # NAME
	local name=$1
	: >"$WORK/$name.log"
	start "$name" "$DBTLS" run -c "$WORK/$name.conf"
	await 20 dbtls_settled "$name"
	alive "$name" && log_has "$name" 'event=start' && return 0
	fail "dbtls starts ($name)" "$(tail -n 5 "$WORK/$name.log")"
	return 1
}

dbtls_settled() { log_has "$1" 'event=start' || gone "$1"; }

# Until every session that began to relay has ended.
dbtls_idle() { await 20 dbtls_is_idle "$1"; } # NAME
dbtls_is_idle() {
	[ "$(grep -c 'event=session.open ' "$WORK/$1.log")" = \
		"$(grep -c 'event=session.close ' "$WORK/$1.log")" ]
}

dbtls_descriptors() { # NAME
	find "/proc/${PID[$1]}/fd" -type l | wc -l
}

# The last line of an event about an endpoint, whole.
dbtls_line() { # NAME EVENT ENDPOINT
	grep -E "event=$2 .*endpoint=\"?$3\"?( |\$)" "$WORK/$1.log" |
		tail -n 1
}

# The value of a key in that line, without its quotes.
dbtls_value() { # NAME EVENT ENDPOINT KEY
	dbtls_line "$1" "$2" "$3" |
		grep -oE " $4=(\"([^\"\\]|\\\\.)*\"|[^ ]*)" |
		sed "s/^ $4=//; s/^\"//; s/\"\$//"
}

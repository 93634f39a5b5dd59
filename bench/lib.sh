# shellcheck shell=bash
#
# lib.sh - what measurements are written with
#
#	. "$(dirname "$0")/lib.sh"
#	bench_begin NAME [BUILD]	$TREE, $BUILD, $CERTS, a work folder,
#					and the clean-up
#	start NAME COMMAND...		in the background, by name
#	stop NAME			and gone
#	await SECONDS COMMAND...	until it succeeds
#	free_port VARIABLE		a port of 127.0.0.1 that nobody has
#	listens PORT			somebody has it, without asking him
#	fail WHY [MORE]			the end, or with MORE only said
#
# Whatever was started is stopped by its pid, however the script ends.
set -u
TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly TREE

# A machine may point every TLS library at certificates of its own.
unset SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE OPENSSL_CONF
export LC_ALL=C.UTF-8

declare -A PID=()	# of what start() started, by name
declare -A STOP_BY=()	# the signal for those that want another than INT
declare -A PORT_TAKEN=()

readonly BLINK=0.03	# seconds between two looks

bench_begin() { # NAME [BUILD]
	BENCH=$1
	BUILD=$(realpath "${2:-$TREE/build/gcc}")
	CERTS=$BUILD/certs
	[ -x "$BUILD/proxy/dbtls" ] || {
		echo "$BENCH: no program in $BUILD; give the build's folder" >&2
		exit 2
	}
	WORK=$(mktemp -d "/tmp/dbtls-$BENCH.XXXXXX")
	chmod 711 "$WORK"
	trap bench_clean EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	"$TREE/tests/certs.sh" "$CERTS" >/dev/null || fail "no certificates"
}

bench_clean() {
	local status=$? name
	trap '' INT TERM HUP
	for name in "${!PID[@]}"; do
		stop "$name"
	done
	rm -rf "$WORK"
	exit "$status"
}

# With MORE, as the functions of the real tests call it, it is said and no more:
# what fails is left out.
fail() { # WHY [MORE]
	local log
	echo "$BENCH: $1${2:+: $2}" >&2
	[ $# = 1 ] || return 0
	for log in "$WORK"/*.log; do
		[ ! -s "$log" ] || {
			echo "--- ${log##*/}"
			tail -n 5 "$log"
		} >&2
	done
	exit 1
}

await() { # SECONDS COMMAND...
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		sleep $BLINK
	done
}

# Its output is in $WORK/NAME.log, its pid in ${PID[NAME]}.
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

alive() { kill -0 "${PID[$1]}" 2>/dev/null; } # NAME
gone() { ! alive "$1"; }

stop() { # NAME [SIGNAL]
	local pid=${PID[$1]:-}
	[ -n "$pid" ] || return 0
	{ # bash would tell of each that a signal ended
		kill -"${2:-${STOP_BY[$1]:-INT}}" "$pid"
		await 5 gone "$1" || kill -KILL "$pid"
		wait "$pid"
	} 2>/dev/null
	unset "PID[$1]"
}

# Nobody is asked: a proxy would go to its server for us.
listens() { # PORT
	local hex
	hex=$(printf %04X "$1")
	grep -qE "^ *[0-9]+: (0100007F|00000000):$hex 00000000:0000 0A " \
		/proc/net/tcp
}

free_port() { # VARIABLE
	local try number
	for try in {1..50}; do
		number=$((10000 + (RANDOM + try) % 20000))
		[ -z "${PORT_TAKEN[$number]:-}" ] || continue
		! listens "$number" || continue
		PORT_TAKEN[$number]=yes
		printf -v "$1" %d "$number"
		return 0
	done
	fail "no free port"
}

# The median of the numbers on standard input.
median() {
	sort -g | awk '{ v[NR] = $1 } END {
		if (NR) print NR % 2 ? v[(NR + 1) / 2] : \
			(v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

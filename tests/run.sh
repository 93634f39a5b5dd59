#!/bin/bash
# run.sh - every test there is, from any folder
#
#	tests/run.sh [--quick] [PATTERN...]
#
# installs what the tests need (Debian 12, root), builds in build/ and runs
#
#	ctest		with gcc: units, transcripts, seeds, loop, checks
#	asan, tsan	the same with sanitizers, without the checks
#	clang, fuzz	clang, and each fuzzer for $FUZZ_SECONDS (60)
#	real		tests/real/*.sh: real servers and their clients
#
# --quick leaves out clang, its analysis, fuzz and real.  With PATTERNs (regular expressions)
# only what matches runs: "real/cancel", "unit/relay", "^asan".  Its last line
# is the sum, and its status is not 0 if anything failed.
#
# $DBTLS_BUILD is another folder to build in.  What is downloaded for the real
# tests is kept in $DBTLS_CACHE (~/.cache/dbtls).
set -u
TREE=$(cd "$(dirname "$0")/.." && pwd)
OUT=${DBTLS_BUILD:-$TREE/build}
readonly TREE OUT

readonly PACKAGES='build-essential cmake ninja-build pkg-config libssl-dev
	libconfig-dev libevent-dev libcunit1-dev libpcap-dev openssl python3
	iproute2 clang clang-format clang-tidy libclang-rt-14-dev llvm
	shellcheck valgrind strace nftables keepalived systemd socat procps'
readonly THEMES='commands clients cancel replication matrix wire load failover
	mysql-matrix mysql-sessions mysql-refusals mysql-proof
	mysql-verdicts mysql-wire mysql-commands mysql-replication
	mysql-router mysql-blocked mysqlx sqlserver ase mongodb wallets
	oracle ktls bridge nat-bridge proxy-protocol'
readonly THEME_SECONDS=900 FUZZ_SECONDS=${FUZZ_SECONDS:-60}

# A machine may point every TLS library at certificates of its own.
unset SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE OPENSSL_CONF
export LC_ALL=C.UTF-8
export ASAN_OPTIONS=detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1

. "$TREE/contrib/needs.sh"

passed=0 failed=0 skipped=0 failures=''
quick='' patterns='' child=''

# --- sums ------------------------------------------------------------------

failure() { # NAME WHY
	failed=$((failed + 1))
	failures+="$1: $2"$'\n'
	printf '*** %s: %s\n' "$1" "$2"
}

wanted() { # NAME
	[ -z "$patterns" ] || [[ $1 =~ $patterns ]]
}
# Might a pattern mean something below this name?
wanted_below() { # NAME
	[ -z "$patterns" ] || [[ $patterns != *"^"* ]] || wanted "$1" ||
		[[ $patterns == *"^$1"* ]]
}

title() {
	printf '\n=== %s (%d s)\n' "$1" "$SECONDS"
}

# In the background and waited for, so that a signal ends it at once.
run_child() { # SECONDS COMMAND...
	local seconds=$1
	shift
	timeout -k 20 "$seconds" "$@" &
	child=$!
	wait "$child"
	local status=$?
	child=''
	return "$status"
}
stopped() {
	trap '' INT TERM HUP
	[ -z "$child" ] || { kill "$child" && wait "$child"; } 2>/dev/null
	failure "the run" "was stopped"
	sums
	exit 1
}
# What failed stands at the very end, where it is looked for.
sums() {
	[ -z "$failures" ] || printf '\nfailed:\n%s' "$failures"
	printf '\n%d passed, %d failed, %d skipped\n' \
		"$passed" "$failed" "$skipped"
}

# --- building --------------------------------------------------------------

# $targets: what to build, if not all.
build() { # NAME CMAKE-OPTION...
	local name=$1 log=$OUT/$1.log
	shift
	title "build $name"
	mkdir -p "$OUT"
	# shellcheck disable=SC2016 # for the inner shell
	if TARGETS=${targets:-} run_child 1800 bash -c \
		'cmake -G Ninja "$@" && ninja -C "$0" $TARGETS' \
		"$OUT/$name" "$@" -S "$TREE" -B "$OUT/$name" >"$log" 2>&1; then
		tail -n 1 "$log"
		return 0
	fi
	grep -vE '^(\[|--)' "$log" | tail -n 60
	failure "build $name" "see above, or $log"
	return 1
}
preset() { echo "$TREE/contrib/cmake/presets/$1.cmake"; }

# --- ctest -----------------------------------------------------------------

# An attribute of the suite in a JUnit file.
junit() { # FILE ATTRIBUTE
	tr '\n\t' '  ' <"$1" | grep -oE '<testsuite [^>]*' |
		grep -oE " $2=\"[0-9]+" | grep -oE '[0-9]+$'
}

ctest_counts() { # FILE
	local tests failures missing
	tests=$(junit "$1" tests)
	failures=$(junit "$1" failures)
	missing=$(($(junit "$1" skipped) + $(junit "$1" disabled)))
	passed=$((passed + tests - failures - missing))
	failed=$((failed + failures))
	skipped=$((skipped + missing))
}

ctest_failures() { # FOLDER NAME
	local log=$1/Testing/Temporary/LastTestsFailed.log
	[ ! -s "$log" ] || failures+=$(sed "s/^[0-9]*:/$2: /" "$log")$'\n'
}

ctest_names() { # FOLDER PREFIX: those wanted, as one expression
	ctest --test-dir "$1" -N | sed -n 's/^ *Test *#[0-9]*: //p' |
		while read -r name; do
		wanted "$2$name" && printf '^%s$|' "${name//./\\.}"
	done | sed 's/|$//'
}

run_ctest() { # NAME PREFIX CTEST-OPTION...
	local name=$1 dir=$OUT/$1 names junit=$OUT/$1.junit.xml
	names=$(ctest_names "$dir" "$2")
	shift 2
	[ -n "$names" ] || return 0
	title "ctest $name"
	rm -f "$junit" "$dir/Testing/Temporary/LastTestsFailed.log"
	run_child 1800 ctest --test-dir "$dir" -R "$names" "$@" -j 2 \
		--timeout $((300 + FUZZ_SECONDS)) --output-on-failure --output-junit "$junit"
	if [ -s "$junit" ]; then
		ctest_counts "$junit"
		ctest_failures "$dir" "$name"
	else
		failure "ctest $name" "did not come to its end"
	fi
}

# --- fuzzers ---------------------------------------------------------------

fuzz_targets() {
	sed -n 's/^dbtls_fuzz(\([a-z_]*\) .*/fuzz_\1 seeds_\1/p' \
		"$TREE/tests/fuzz/CMakeLists.txt"
}

run_fuzzers() {
	run_ctest fuzz '' -L fuzz
	tr -d '\r' <"$OUT/fuzz/Testing/Temporary/LastTest.log" | sed -nE \
		-e 's/^[0-9]+\/[0-9]+ Test: (fuzz.*)/\1/p' \
		-e 's/^stat::(number_of_executed_units: .*)/    \1/p'
}

# --- real ------------------------------------------------------------------

run_theme() { # NAME
	local log=$OUT/real-$1.log sums
	title "real/$1"
	# shellcheck disable=SC2016 # for the inner shell
	BUILD=$OUT/gcc run_child $THEME_SECONDS \
		bash -c 'set -o pipefail; "$0" 2>&1 | tee "$1"' \
		"$TREE/tests/real/${1//-/_}.sh" "$log"
	sums=$(tail -n 1 "$log" | sed -nE "s/^$1: ([0-9]+) passed, \
([0-9]+) failed, ([0-9]+) skipped\$/\1 \2 \3/p")
	if [ -z "$sums" ]; then
		failure "real/$1" "did not come to its end"
		return
	fi
	read -r p f s <<<"$sums"
	[ "$f" = 0 ] || failures+=$(grep '^NOT OK ' "$log" |
		sed "s#^NOT OK *#real/$1: #")$'\n'
	passed=$((passed + p))
	failed=$((failed + f))
	skipped=$((skipped + s))
}

# --- all -------------------------------------------------------------------

while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=yes ;;
	-*)
		sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
		exit 2
		;;
	*) patterns+="${patterns:+|}$1" ;;
	esac
	shift
done
trap stopped INT TERM HUP

# shellcheck disable=SC2086 # a list
needs $PACKAGES || exit 1

analysis=()
[ -z "$quick" ] || analysis=(-E '^check/tidy$')
build gcc && run_ctest gcc '' "${analysis[@]}"
for sanitizer in asan tsan; do
	wanted_below $sanitizer || continue
	build $sanitizer -C "$(preset $sanitizer)" &&
		run_ctest $sanitizer "$sanitizer/" -E '^check'
done
if [ -z "$quick" ]; then
	if wanted clang; then
		build clang -D CMAKE_C_COMPILER=clang && passed=$((passed + 1))
	fi
	if [ -z "$patterns" ] || [[ $patterns == *fuzz* ]]; then
		targets=$(fuzz_targets) build fuzz -C "$(preset fuzz)" \
			-D DBTLS_FUZZ_SECONDS="$FUZZ_SECONDS" && run_fuzzers
	fi
	for theme in $THEMES; do
		wanted "real/$theme" && run_theme "$theme"
	done
fi

title "the end"
if [ $((passed + failed + skipped)) = 0 ]; then
	failure "the run" "nothing matches $patterns"
fi
sums
[ "$failed" = 0 ]

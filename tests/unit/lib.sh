# shellcheck shell=bash
# lib.sh - what the tests of the whole program have in common; sourced, with
# $failed as what main's status is made of

# shellcheck disable=SC2034 # of whoever sources it
failed=0

complain() {
	echo "FAIL $*"
	failed=1
}

# Until the command succeeds, for at most 20 seconds.
wait_for() { # COMMAND...
	local end=$((SECONDS + 20))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; } # PORT

free_port() {
	local try number
	for try in {1..50}; do
		number=$((20000 + (RANDOM + try) % 10000))
		listens "$number" || break
	done
	echo "$number"
}

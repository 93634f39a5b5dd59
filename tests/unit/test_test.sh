#!/bin/bash
# `dbtls test` as a process: its arguments, its exit status, its two forms of
# output, and the file of --save-ca.  What it finds out about servers is tested
# in tests/loop/probe.c.
#
# usage: test_test.sh DBTLS CERTS
set -u
export LC_ALL=C
unset SSL_CERT_FILE SSL_CERT_DIR

dbtls=$1
certs=$2
work=$(mktemp -d)
pid=
failures=0

stop() {
	if [ -n "$pid" ]; then
		kill "$pid"
		wait "$pid"
	fi
	rm -rf "$work"
} 2>/dev/null
trap stop EXIT

fail() {
	echo "$*"
	failures=$((failures + 1))
}

# The status, and a pattern for all that is said on both outputs.
expect() { # STATUS PATTERN ARGUMENT...
	local status=$1 pattern=$2 output got=0
	shift 2
	output=$("$dbtls" test "$@" 2>&1 </dev/null) || got=$?
	[ $got -eq "$status" ] || fail "test $*: status $got: $output"
	# shellcheck disable=SC2254 # it is a pattern
	case $output in
	$pattern) ;;
	*) fail "test $*: not as \"$pattern\": $output" ;;
	esac
}

# A server that speaks TLS at once, at a port of its own.
start() { # CERTIFICATE
	local end=$((SECONDS + 20))
	# Its standard input must not end, or it would.
	mkfifo "$work/stdin"
	exec 9<>"$work/stdin"
	openssl s_server -accept 127.0.0.1:0 -naccept 100 \
		-cert "$certs/$1.chain.pem" -key "$certs/$1.key" \
		>"$work/server" 2>&1 <&9 &
	pid=$!
	until port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$work/server") &&
		[ -n "$port" ]; do
		[ $SECONDS -lt $end ] || {
			fail "no server: $(cat "$work/server")"
			exit 1
		}
		sleep 0.02
	done
}

arguments() {
	local flags=(--engine tls --server 127.0.0.1:1)
	expect 2 'dbtls: test: what is to be tested?*'
	expect 2 'dbtls: test: an endpoint by flags needs --engine and *' \
		--engine tls
	expect 2 'dbtls: test: an endpoint of a file and one by flags *' \
		name "${flags[@]}"
	expect 2 'dbtls: test: an endpoint of a file and one by flags *' \
		-c x "${flags[@]}"
	expect 2 '*--serve: unknown option; did you mean --server?' --serve x
	expect 2 '*.ca: is missing;*' "${flags[@]}"
	expect 2 '*"prefer" is refused:*' "${flags[@]}" --ssl-mode prefer
	local seconds
	for seconds in 0 -1 x 1x nan inf 1e9; do
		expect 2 'dbtls: --timeout: *' "${flags[@]}" \
			--ssl-mode require --timeout "$seconds"
	done
	expect 3 '*connect *FAIL*refused *connect' "${flags[@]}" \
		--ssl-mode require
	services
	expect 3 '*resolve *FAIL*' --engine tls --server no-such.invalid:1 \
		--ssl-mode require
}

# What is wrong with a name is said before anything is dialled.
services() {
	local option name oracle=(--engine oracle --server 127.0.0.1:1
		--ssl-mode require)
	for option in --service --sid; do
		expect 2 "dbtls: $option: default is an endpoint of engine tls, *" \
			"${flags[@]}" --ssl-mode require $option shop
		for name in 'a(b' 'a)' 'a b' $'a\nb' $'a\001' 'a=b' 'é'; do
			expect 2 "dbtls: $option: the name has a blank, *" \
				"${oracle[@]}" $option "$name"
		done
		expect 2 "dbtls: $option: the name is longer than 255 bytes*" \
			"${oracle[@]}" $option "$(printf 'x%.0s' {1..256})"
		expect 2 "dbtls: $option: *" "${oracle[@]}" $option=
		expect 3 '*connect *FAIL*refused *connect' "${oracle[@]}" \
			$option shop.example.com
	done
	expect 2 'dbtls: test: --service and --sid exclude each other*' \
		"${oracle[@]}" --service a --sid b
}

verdicts() {
	local flags=(--engine tls --server "127.0.0.1:$port" --server-name
		db.test)
	expect 0 '*negotiate  ok *handshake  ok *chain *ok *names *ok *not tried*' \
		"${flags[@]}" --ca "$certs/ca.crt"
	expect 1 '*chain *FAIL*CN=ca,*remedy:*refused *untrusted' \
		"${flags[@]}" --ca "$certs/ca2.crt"
	expect 1 '*names *FAIL*db.test, not x.test*remedy:*' --engine tls \
		--server "127.0.0.1:$port" --server-name x.test \
		--ca "$certs/ca.crt"
	expect 1 '*"reason": "untrusted"*' "${flags[@]}" \
		--ca "$certs/ca2.crt" --json
}

files() {
	cat >"$work/conf" <<-END
		endpoints = ( { name = "first"; engine = "tls";
		    listen = "127.0.0.1:2"; ssl_mode = "verify-ca";
		    server = [ "127.0.0.1:$port", "127.0.0.1:1" ];
		    ca = "$certs/ca.crt"; } );
	END
	expect 2 '*did you mean first?' -c "$work/conf" frist
	expect 2 '*dbtls check* lists them' -c "$work/conf" zebra
	# Both are tested, and the worse one counts.
	expect 3 "first: tls 127.0.0.1:$port*not tried*first: tls 127.0.0.1:1*FAIL*" \
		-c "$work/conf" first
}

# Kept whatever the verdict, for us alone, and over nothing else.
saved() {
	local flags=(--engine tls --server "127.0.0.1:$port" --server-name
		db.test)
	expect 1 '*they prove nothing before*' "${flags[@]}" \
		--ca "$certs/ca2.crt" --save-ca "$work/saved"
	[ "$(stat -c %a "$work/saved")" = 600 ] || fail "mode of --save-ca"
	openssl x509 -in "$work/saved" -outform DER |
		cmp -s - <(openssl x509 -in "$certs/good.crt" -outform DER) ||
		fail "--save-ca keeps another certificate"
	expect 0 '*' "${flags[@]}" --ca "$work/saved"
	cp "$work/saved" "$work/before"
	expect 2 '*saved is there already; *' "${flags[@]}" \
		--ca "$certs/ca.crt" --save-ca "$work/saved"
	cmp -s "$work/saved" "$work/before" || fail "--save-ca overwrites"
	ln -s "$work/elsewhere" "$work/link"
	expect 2 '*link is there already; *' "${flags[@]}" \
		--ca "$certs/ca.crt" --save-ca "$work/link"
	[ ! -e "$work/elsewhere" ] || fail "--save-ca follows a link"
	expect 3 '*no certificate was shown*' --engine tls --server \
		127.0.0.1:1 --ssl-mode require --save-ca "$work/none"
	[ ! -e "$work/none" ] || fail "--save-ca leaves an empty file"
}

json() {
	"$dbtls" test --engine tls --server "127.0.0.1:$port" --ca \
		"$certs/ca.crt" --server-name db.test --json |
		python3 -c '
import json, sys
d = json.load(sys.stdin)
s = d["servers"][0]
assert d["mode"] == "verify-full" and d["login"] == "not tried"
assert s["ok"] is True and s["reason"] is None
assert s["tls"]["secured"] is True
assert s["chain"][0]["names"] == "db.test"
assert [x["step"] for x in s["steps"]] == ["resolve", "connect", "negotiate",
    "handshake", "chain", "names", "expiry"]
' || fail "--json is not as promised"
}

arguments
start good
verdicts
files
saved
json
[ $failures -eq 0 ]

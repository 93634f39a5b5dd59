#!/bin/bash
# `dbtls verify`: its exit status, its first words, and that its JSON is one
# document.  What it judges is tested in test_trust.c.
#
# usage: test_verify.sh DBTLS CERTS
set -u
export LC_ALL=C
unset SSL_CERT_FILE SSL_CERT_DIR

dbtls=$1
cd "$2" || exit 1
failures=0

fail() {
	echo "$*"
	failures=$((failures + 1))
}

# The status, and a pattern for all that is said on both outputs.
expect() { # STATUS PATTERN ARGUMENT...
	local status=$1 pattern=$2 output got=0
	shift 2
	output=$("$dbtls" verify "$@" 2>&1 </dev/null) || got=$?
	[ $got -eq "$status" ] || fail "verify $*: status $got: $output"
	# shellcheck disable=SC2254 # it is a pattern
	case $output in
	$pattern) ;;
	*) fail "verify $*: not as \"$pattern\": $output" ;;
	esac
}

verdicts() {
	local full=(--ca ca.crt --server-name db.test)
	expect 0 'accepted: verify-full, verified full*' "${full[@]}" good.crt
	expect 0 'accepted: verify-full*' "${full[@]}" --server-name x.test \
		good.der
	expect 0 'accepted: verify-ca, verified ca*' --ssl-mode VERIFY_CA \
		--ca ca.crt other.crt
	expect 0 'accepted: require, verified none*' --ssl-mode require \
		expired.crt
	expect 0 '*warning: the name is only in the CN*' "${full[@]}" cn.crt
	expect 0 '*certificate 1: CN=inter,*anchor: CN=ca,*' "${full[@]}" \
		inter-leaf.chain.pem
	expect 0 '*' --ca ca.crt --server-dn CN=orders dn.crt
	expect 0 '*' --ca ca.crt --server-dn \
		'C=DE,CN=Orders,OU=a+OU=b,O="Example, Inc."' dn.crt

	expect 1 'refused: name_mismatch: *other.test, not db.test*remedy: *' \
		"${full[@]}" other.crt
	expect 1 'refused: untrusted: *CN=ca2,*' "${full[@]}" unknown.crt
	expect 1 'refused: expired: * 2021-01-01T00:00:00Z*' "${full[@]}" \
		expired.crt
	expect 1 'refused: not_yet_valid:*' "${full[@]}" notyet.crt
	expect 1 'refused: weak: *(RSA, 1024 bits)*' "${full[@]}" weak.crt
	expect 1 'refused: wrong_usage:*' "${full[@]}" eku.crt
	expect 1 'refused: revoked:*' "${full[@]}" --crl crl.pem revoked.crt
	expect 1 'refused: crl_expired:*' "${full[@]}" --crl crl-expired.pem \
		good.crt
	expect 1 'refused: name_mismatch:*' "${full[@]}" --no-cn cn.crt
	expect 1 'refused: wrong_usage:*' "${full[@]}" --profile webpki \
		noeku.crt
	expect 1 'refused: name_mismatch:*' --ca ca.crt --server-dn CN=x dn.crt
	expect 1 'refused: untrusted:*' --ca system --server-name db.test \
		good.crt
}

times() {
	local full=(--ca ca.crt --server-name db.test)
	expect 0 '*' "${full[@]}" --at 2020-12-31T23:59:59Z expired.crt
	expect 1 'refused: expired:*' "${full[@]}" \
		--at 2021-01-01T00:00:01Z expired.crt
	expect 0 '*' "${full[@]}" --at 2021-01-01T01:59:59+02:00 expired.crt
	expect 1 'refused: expired:*' "${full[@]}" \
		--at 2020-12-31T22:00:01-02:00 expired.crt
	expect 0 '*' "${full[@]}" --at 1600000000 expired.crt
	expect 1 'refused: not_yet_valid:*' "${full[@]}" --at 1 expired.crt
}

pins() {
	local pin
	pin=sha256//$(openssl x509 -in good.crt -noout -pubkey |
		openssl pkey -pubin -outform DER |
		openssl dgst -sha256 -binary | base64)
	expect 0 'accepted: require, verified pin*' --ssl-mode require \
		--pin "$pin" good.crt
	expect 1 'refused: pin_mismatch:*' --ssl-mode require --pin "$pin" \
		upper.crt
	expect 1 'refused: pin_mismatch:*' --ca ca.crt --server-name db.test \
		--pin "$pin" upper.crt
}

wrong_usage() {
	local full=(--ca ca.crt --server-name db.test)
	expect 2 'dbtls: *' "${full[@]}"
	expect 2 'dbtls: *' "${full[@]}" good.crt other.crt
	expect 2 'dbtls: --ca: *' --server-name db.test good.crt
	expect 2 'dbtls: *needs a name*' --ca ca.crt good.crt
	expect 2 'dbtls: --ssl-mode: *plaintext*' "${full[@]}" \
		--ssl-mode prefer good.crt
	expect 2 'dbtls: --ssl-mode: *' "${full[@]}" --ssl-mode none good.crt
	expect 2 'dbtls: --ssl-mode: *' "${full[@]}" --ssl-mode x good.crt
	expect 2 'dbtls: --profile: *' "${full[@]}" --profile x good.crt
	expect 2 'dbtls: --at: *' "${full[@]}" --at now good.crt
	expect 2 'dbtls: --at: *' "${full[@]}" --at 2020-01-01T00:00:00 good.crt
	expect 2 'dbtls: --pin: *' "${full[@]}" --pin x good.crt
	expect 2 'dbtls: --server-dn: *' --ca ca.crt --server-dn x good.crt
	expect 2 'dbtls: --server-dn: *' --ca ca.crt --server-dn CN=x \
		--ssl-mode verify-ca good.crt
	expect 2 'dbtls: --crl: *' --ssl-mode require --crl crl.pem good.crt
	expect 2 'dbtls: --no-cn: *' --ssl-mode require --no-cn good.crt
	expect 2 'dbtls: --server-dn: *' --ssl-mode require --server-dn CN=x \
		good.crt
	expect 2 'dbtls: nosuch: *' "${full[@]}" nosuch
	expect 2 'dbtls: withkey.pem: block 2*' --ca withkey.pem \
		--server-name db.test good.crt
	expect 2 'dbtls: *' --nosuch
	expect 0 'dbtls: --ca: *no effect*accepted*' --ssl-mode require \
		--ca ca.crt good.crt
}

json() {
	local file out
	command -v python3 >/dev/null || return
	for file in good other nul dn v1; do
		out=$("$dbtls" verify --json --ca ca.crt --server-name db.test \
			$file.crt)
		python3 -c 'import json, sys; d = json.loads(sys.argv[1])
assert d["accepted"] == (d["reason"] is None)
assert d["chain"][0]["sha256"] and d["mode"] == "verify-full"' "$out" ||
			fail "verify --json $file.crt: $out"
	done
}

# Neither openssl.cnf nor the environment says what is good.
environment() {
	local cnf
	cnf=$(mktemp)
	printf '%s\n' 'openssl_conf = a' '[a]' 'alg_section = b' '[b]' \
		'default_properties = fips=yes' >"$cnf"
	export OPENSSL_CONF=$cnf SSL_CERT_FILE=$PWD/ca.crt SSL_CERT_DIR=$PWD
	expect 0 '*' --ca ca.crt --server-name db.test good.crt
	expect 1 'refused: untrusted:*' --ca system --server-name db.test \
		good.crt
	unset OPENSSL_CONF SSL_CERT_FILE SSL_CERT_DIR
	rm "$cnf"
}

verdicts
times
pins
wrong_usage
json
environment
[ $failures -eq 0 ]

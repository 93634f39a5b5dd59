#!/bin/bash
# `dbtls check`: its exit status, what it shows of an endpoint, and that its
# JSON is one document.  What it refuses is tested in test_config.c.
#
# usage: test_check.sh DBTLS CERTS
set -u
export LC_ALL=C
unset SSL_CERT_FILE SSL_CERT_DIR

dbtls=$1
certs=$(cd "$2" && pwd) || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
ln -s "$certs" certs
failures=0

fail() {
	echo "$*"
	failures=$((failures + 1))
}

# The status, and a pattern for all that is said on both outputs, spaces made
# one.
expect() { # STATUS PATTERN ARGUMENT...
	local status=$1 pattern=$2 output got=0
	shift 2
	output=$("$dbtls" check "$@" 2>&1 </dev/null) || got=$?
	output=$(tr -s ' \n' '  ' <<<"$output")
	[ $got -eq "$status" ] || fail "check $*: status $got: $output"
	# shellcheck disable=SC2254 # it is a pattern
	case $output in
	$pattern) ;;
	*) fail "check $*: not as \"$pattern\": $output" ;;
	esac
}

fingerprint() {
	openssl x509 -in "certs/$1" -noout -fingerprint -sha256 |
		sed 's/.*=//; s/://g' | tr A-F a-f
}

cat >good.conf <<'END'
user = "nobody";
endpoints = (
  { name = "orders"; engine = "postgres";
    listen = [ "127.0.0.1:5432", "[::1]:5432" ];
    server = ( "db.test",
      { address = "10.0.0.7:77"; server_name = "b.test";
        pin = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; } );
    ca = [ "certs/ca.crt", "certs/ca2.crt" ]; crl = "certs/crl.pem";
    identity = { cert = "certs/client.crt"; key = "certs/client.key"; };
    timeouts = { idle = 600; };
    labels = { team = "x y"; };
  },
  { name = "old"; engine = "redshift";
    listen = "0.0.0.0:5439";
    server = "old.test";
    ssl_mode = "require";
    tls = { min = "1.0"; seclevel = 0; };
    client_tls = { mode = "require"; cert = "certs/proxy.chain.pem";
      key = "certs/proxy.key"; ca = "certs/clients.crt";
      verify = "require"; };
    allow = [ "10.0.0.0/8", "fd00::/8" ]; deny = "10.0.0.1";
    max_sessions = 7;
    user_timeout = 30;
  },
  { name = "plain"; engine = "tls";
    listen = "unix:/tmp/x"; server = "127.0.0.1:1"; ssl_mode = "none"; }
);
END

shows() {
	expect 0 'good.conf: good; 3 endpoints, * 1 warning *' -c good.conf
	expect 0 "* user nobody (uid $(id -u nobody)), once it listens *" \
		-c good.conf
	expect 0 '* privileges capabilities: none; no new privileges, no core *' \
		-c good.conf
	expect 0 '* orders (postgres) listen 127.0.0.1:5432 \[::1\]:5432 *' \
		--config=good.conf
	expect 0 '* clients cleartext, from this machine only *' -c good.conf
	expect 0 '* ssl_mode verify-full: *' -c good.conf
	expect 0 '* server db.test:5432 name db.test SNI db.test *' -c good.conf
	expect 0 '* 10.0.0.7:77 name b.test pin sha256//AAAA*AAA= SNI b.test *' \
		-c good.conf
	expect 0 "* anchors 2 certificates CN=ca,*, until 2045-*Z *" \
		-c good.conf
	expect 0 "* $(fingerprint ca.crt) *" -c good.conf
	expect 0 "* CRLs CN=ca,*, next update 20*" -c good.conf
	expect 0 "* identity CN=client, until * $(fingerprint client.crt) *" \
		-c good.conf
	expect 0 '* TLS TLSv1.2 TLSv1.3, security level 2 ciphers *' \
		-c good.conf
	expect 0 '* groups *X25519*' -c good.conf
	expect 0 '* postgres channel_binding = "auto" *' -c good.conf
	expect 0 '* settings timeouts.idle=600 labels team=x y *' -c good.conf
	expect 0 '* DMS alone yes *' -c good.conf
}

shows_what_is_old() {
	expect 0 '* old (redshift) LEGACY *' -c good.conf
	expect 0 '* clients TLS allow 10.0.0.0/8 fd00::/8 deny 10.0.0.1/32 *' \
		-c good.conf
	expect 0 "* $(fingerprint proxy.crt) names *proxy.test* verify require *" \
		-c good.conf
	expect 0 '* their CAs CN=clients,*' -c good.conf
	expect 0 '* TLS TLSv1 TLSv1.1 TLSv1.2 TLSv1.3, security level 0 *' \
		-c good.conf
	expect 0 '* ssl_mode require: *neither chain nor name is checked *' \
		-c good.conf
	expect 0 '* settings *max_sessions=7*' -c good.conf
	expect 0 '* DMS alone no: its own connection is already TLS*' \
		-c good.conf
	expect 0 '* warning: endpoints\[1\].user_timeout: *' -c good.conf
	expect 0 '* ssl_mode none: cleartext*' -c good.conf
}

# Settings of every kind; of files only where they are, and whose key it is.
umask 077
openssl genrsa -out own.key 2048 2>/dev/null
openssl genrsa -out server.key 2048 2>/dev/null
openssl pkey -in server.key -pubout -out server.pub
hash='*0123456789ABCDEF0123456789ABCDEF01234567'
echo "app $hash" >proof
cat >mysql.conf <<'END'
endpoints = (
  { name = "one"; engine = "aurora"; listen = "127.0.0.1:1"; server = "db.test";
    ca = "certs/ca.crt"; mysql = { probe = 250; rsa_key = "own.key"; }; },
  { name = "two"; engine = "mariadb"; listen = "127.0.0.1:2";
    server = "127.0.0.1"; ssl_mode = "none";
    client_tls = { mode = "require"; cert = "certs/good.chain.pem";
      key = "certs/good.key"; };
    mysql = { server_public_key = "server.pub";
      certificate_proof = "proof"; }; },
  { name = "three"; engine = "mysql"; listen = "127.0.0.1:3";
    server = "db.test"; ssl_mode = "require"; }
);
END

key_fingerprint() { # FILE
	openssl pkey -in "$1" -pubout -outform DER | sha256sum | cut -d ' ' -f 1
}

shows_settings_of_engines() {
	local own server
	own=$(key_fingerprint own.key)
	server=$(key_fingerprint server.key)
	expect 0 "mysql.conf: good; * one (mysql) * mysql probe = 250 \
rsa_key = \"own.key\" $own server_public_key: none \
get_server_public_key = false certificate_proof: none DMS alone yes *" \
		-c mysql.conf
	expect 0 "* two (mariadb) * mysql probe = 0 rsa_key: none, one is made \
at start; * server_public_key = \"server.pub\" $server \
get_server_public_key = false certificate_proof = \"proof\" *" -c mysql.conf
	expect 0 '* three (mysql) * DMS alone no*' -c mysql.conf
	json mysql.conf "d['endpoints'][0]['options'] == { 'probe': 250,
		'rsa_key': { 'file': 'own.key', 'sha256': '$own' },
		'server_public_key': None, 'get_server_public_key': False,
		'certificate_proof': None }"
	json mysql.conf "d['endpoints'][1]['options'] == { 'probe': 0,
		'rsa_key': None, 'get_server_public_key': False,
		'server_public_key': { 'file': 'server.pub',
			'sha256': '$server' },
		'certificate_proof': { 'file': 'proof' } }"
	local said
	said=$("$dbtls" check -c mysql.conf && "$dbtls" check --json \
		-c mysql.conf) || fail "check: $said"
	[[ $said != *"${hash#?}"* && $said != *PRIVATE* ]] ||
		fail "check shows what is in a secret file: $said"
}

cat >pairs.conf <<'END'
endpoints = (
  { name = "set"; engine = "mongodb"; ssl_mode = "require";
    listen = [ "127.0.0.1:27017", "[::1]:27018" ];
    server = ( "one.test", "[fd00::2]:27018" );
    mongodb = { hosts = "rewrite"; }; },
  { name = "one"; engine = "mongodb"; ssl_mode = "require";
    listen = [ "127.0.0.1:1", "[::1]:1" ]; server = ( "one.test", "two.test" );
  }
);
END

shows_what_stands_for_what() {
	expect 0 '* listen 127.0.0.1:27017, which stands for one.test:27017 *' \
		-c pairs.conf
	expect 0 '* \[::1\]:27018, which stands for \[fd00::2\]:27018 *' \
		-c pairs.conf
	expect 0 '* one (mongodb) listen 127.0.0.1:1 \[::1\]:1 clients *' \
		-c pairs.conf
	json pairs.conf "d['endpoints'][0]['pairs'] == [
		{ 'listen': '127.0.0.1:27017', 'server': 'one.test' },
		{ 'listen': '[::1]:27018', 'server': '[fd00::2]:27018' } ]"
	json pairs.conf "d['endpoints'][1]['pairs'] == []"
	sed 's/"one.test", //' pairs.conf >odd.conf
	expect 2 'dbtls: odd.conf:3: endpoints\[0\].listen: has 2 addresses, *' \
		-c odd.conf
}

cat >front.conf <<'END'
endpoints = (
  { name = "front"; engine = "mariadb"; listen = "127.0.0.1:3306";
    server = "10.0.0.7"; ssl_mode = "require"; source = "client";
    proxy_protocol = { accept = [ "10.0.1.4", "fd00::/8" ]; send = "v2"; };
    max_session_rate = 50; }
);
END

# Who is believed for whom it speaks; what the process keeps; that root stays
# root is a warning where root asks.
shows_who_stands_in_front() {
	expect 0 '* PROXY from 10.0.1.4/32 fd00::/8 *' -c front.conf
	expect 0 '* settings *max_session_rate=50 proxy_protocol.send="v2" *' \
		-c front.conf
	expect 0 '* user whoever starts it privileges capabilities: cap_net_raw *' \
		-c front.conf
	json front.conf "d['endpoints'][0]['proxy_protocol_accept'] ==
		[ '10.0.1.4/32', 'fd00::/8' ]"
	json front.conf "d['privileges'] == { 'user': None,
		'capabilities': 'cap_net_raw', 'no_new_privileges': True,
		'core_dumps': False }"
	[ "$(id -u)" -ne 0 ] ||
		expect 0 '* warning: user: is not set: started by root, *' \
			-c front.conf
	sed '1i user = "nobody-at-all";' front.conf >whose.conf
	expect 2 '* user: there is no user "nobody-at-all"; make one, *' \
		-c whose.conf
}

refuses() {
	sed 's/seclevel = 0/ciphers = "NONSENSE"/' good.conf >ciphers.conf
	expect 2 '*dbtls: ciphers.conf:13: endpoint old: tls.ciphers: *' \
		-c ciphers.conf
	echo 'nonsense = 1;' >bad.conf
	expect 2 'dbtls: bad.conf:1: nonsense: is unknown*' -c bad.conf
	expect 2 'dbtls: nowhere.conf: cannot be opened*' -c nowhere.conf
	expect 2 'dbtls: --nonsense: *' --nonsense
	expect 2 'dbtls: operand: *' operand
}

json() { # FILE EXPRESSION
	"$dbtls" check --json -c "$1" 2>/dev/null |
		python3 -c "import json, sys; d = json.load(sys.stdin)
assert ($2), d" || fail "check --json -c $1: not $2"
}

says_it_in_json() {
	json good.conf 'd["good"] and len(d["endpoints"]) == 3'
	json good.conf 'not d["errors"] and len(d["warnings"]) == 1'
	json good.conf 'd["endpoints"][0]["ssl_mode"] == "verify-full"'
	json good.conf 'd["endpoints"][0]["servers"][1]["names"] == ["b.test"]'
	json good.conf 'd["endpoints"][0]["settings"]["timeouts.idle"] == "600"'
	json good.conf 'not d["endpoints"][0]["legacy"]'
	json good.conf 'd["endpoints"][1]["legacy"]'
	json good.conf 'd["endpoints"][1]["client"]["tls"]["seclevel"] == 2'
	json good.conf "'$(fingerprint ca.crt)' ==
		d['endpoints'][0]['anchors'][0]['sha256']"
	json good.conf 'd["endpoints"][0]["dms_alone"]'
	json bad.conf 'not d["good"] and d["errors"][0]["line"] == 1'
	json bad.conf 'd["errors"][0]["path"] == "nonsense"'
}

shows
shows_what_is_old
shows_settings_of_engines
shows_what_stands_for_what
shows_who_stands_in_front
refuses
says_it_in_json
[ $failures -eq 0 ]

#!/bin/bash
# mysql_proof.sh - clients of MariaDB 11.4 and later that know no CA: they trust
# the certificate of a server that proves by the password that it is its own.
# Here it is ours, and dbtls proves it if it was given the password's hash
# (certificate_proof).  T x T and T x P, the client's leg first.
. "$(dirname "$0")/lib.sh"
. "$REAL/mysql_drivers.sh"

declare -A port=()
# Those that know of such proofs.
readonly VERIFIERS=(mariadb118 mariadb connectorj3)
readonly REFUSED='(NOT trusted|[Ss]elf.signed|PKIX|certificate)'

# --- servers and endpoints -------------------------------------------------

begin() { # NAME CERTIFICATE|- [OPTION]...
	local name=$1 certificate=$2
	shift 2
	port_new "port[$name]" secret
	my_data "$name" mariadb118 || return 1
	[ "$certificate" = - ] || my_certificate "$name" "$certificate"
	my_start "$name" "${port[$name]}" "$@"
}

add() { # NAME SERVER MODE FRONT|- [SETTINGS]
	local front range=plain
	[ "$4" = - ] || {
		range=secret
		front="client_tls = { mode = \"require\";
			cert = \"$PKI/$4.crt\"; key = \"$PKI/$4.key\"; };"
	}
	port_new "port[$1]" "$range"
	endpoint "$1" "${port[$1]}" "127.0.0.1:${port[$2]}" "$3" \
		"${5:-} ${front:-}"
}

proof() { # FILE
	echo "mysql = { certificate_proof = \"$WORK/$1\"; };"
}

endpoints_all() {
	local trust own
	trust="server_name = \"db.test\"; ca = [ \"$PKI/ca.crt\" ];"
	own="server_name = \"db.test\"; ca = [ \"$PKI/selfsigned.crt\" ];"
	ENGINE=mariadb
	add PT secure verify-full - "$trust"
	add TT secure verify-full selfsigned "$trust"
	add TP plain none selfsigned
	add TT.proof secure verify-full selfsigned "$trust $(proof hashes)"
	add TP.proof plain none selfsigned "$(proof hashes)"
	add ZT.proof zero require selfsigned "$(proof hashes)"
	add TT.stale secure verify-full selfsigned "$trust $(proof stale)"
	add TP.stale plain none selfsigned "$(proof stale)"
	add TT.ca secure verify-full many "$trust"
	add TP.ca plain none many
	add TT.same own verify-full selfsigned "$own"
}

# What a server keeps of each password, in the words of certificate_proof.
hashes() { # SERVER
	my_admin "$1" "SELECT CONCAT(User, ' ',
		JSON_VALUE(Priv, '\$.authentication_string'))
		FROM mysql.global_priv
		WHERE User IN ('native', 'ed25519', 'parsec')"
}
# Each has that of another's password.
stale() { # SERVER
	my_admin "$1" "CREATE USER n2 IDENTIFIED VIA mysql_native_password
			USING PASSWORD('other')" \
		"CREATE USER e2 IDENTIFIED VIA ed25519 USING PASSWORD('other')" \
		"CREATE USER p2 IDENTIFIED VIA parsec USING PASSWORD('other')" \
		"SELECT CONCAT(CASE User WHEN 'n2' THEN 'native' WHEN 'e2'
			THEN 'ed25519' ELSE 'parsec' END, ' ',
			JSON_VALUE(Priv, '\$.authentication_string'))
			FROM mysql.global_priv WHERE User IN ('n2', 'e2', 'p2')"
}

# --- questions -------------------------------------------------------------

# By a name that is not local, for which libmariadb would look at nothing.
ask() { # CLIENT USER PORT [KEY=VALUE]...
	local word=bare
	[[ $3 != *TT* ]] || word=$CANARY
	my_ask "$1" "$2" "${port[$3]}" T host=db.test ca=- "word=$word" "${@:4}"
}

for_all() { # TEXT REGEX ENDPOINT [KEY=VALUE]...
	local client user
	for client in "${VERIFIERS[@]}"; do
		has "$client" || continue
		for user in native ed25519 parsec; do
			check "$1: $client, $user" "$2" \
				ask "$client" "$user" "$3" "${@:4}"
		done
	done
}
has() { # CLIENT
	[[ " ${MY_CLIENTS[*]} " == *" $1 "* ]]
}

fingerprint() { # NAME
	openssl x509 -in "$PKI/$1.crt" -outform DER | sha256sum | cut -c1-64
}

# --- the theme -------------------------------------------------------------

theme_begin mysql-proof
my_have mariadb118 || theme_skip "trixie's packages cannot be had"
certs_make
my_clients_have
wire_begin
begin secure good || theme_end
begin plain - || theme_end
begin zero - --ssl || theme_end
begin own selfsigned || theme_end
(
	umask 077
	hashes secure >"$WORK/hashes"
	stale secure >"$WORK/stale"
)
check_same "hashes of passwords" "$(wc -l <"$WORK/hashes")" 3
check_same "and of others" "$(wc -l <"$WORK/stale")" 3
endpoints_all
dbtls_run proxy || theme_end

for_all "a server's own certificate, directly" '^ok ' zero
for_all "T x T, our own certificate: refused by the client" "^error .*$REFUSED" TT
for_all "T x P, our own certificate: refused by the client" "^error .*$REFUSED" TP
for_all "T x T, proved" '^ok ' TT.proof
for_all "T x P, proved" '^ok ' TP.proof
for_all "T x T, proved, the server has its own" '^ok ' ZT.proof
for_all "T x T, hashes of other passwords: refused by the client" \
	"^error .*$REFUSED" TT.stale
for_all "T x P, hashes of other passwords: refused by the client" \
	"^error .*$REFUSED" TP.stale
for_all "T x T, the server's certificate and key" '^ok ' TT.same

check "P x T: a client that verifies wants TLS" '^error 2026 ' \
	ask mariadb118 native PT
check "P x T: a client that was told of no TLS" '^ok ' \
	ask mariadb118 native PT option=--skip-ssl word="$CANARY"
for legs in TT TP; do
	for_all "$legs, by a CA that is known" '^ok ' $legs.ca \
		"ca=$PKI/ca.crt"
	for user in native ed25519 parsec; do
		check "$legs, our certificate by its fingerprint, $user" \
			'^ok ' ask mariadb118 $user $legs \
			"option=--ssl-fp=$(fingerprint selfsigned)"
		check "$legs, another's fingerprint, $user" '^error 2026 ' \
			ask mariadb118 $user $legs \
			"option=--ssl-fp=$(fingerprint good)"
		check "$legs, the client does not care, $user" '^ok ' \
			ask mariadb118 $user $legs \
			option=--disable-ssl-verify-server-cert
		check "$legs, proved, a wrong password, $user" \
			"^error .*(Access denied|$REFUSED)" \
			ask mariadb118 $user $legs.proof password=wrong
	done
done

check_same "no session failed by a fault of ours" \
	"$(grep -c 'reason=internal' "$WORK/proxy.log")" 0
check_same "no hash in the log" "$(grep -cFf <(cut -d' ' -f2 "$WORK/hashes") \
	"$WORK/proxy.log")" 0
stop proxy
check_same "dbtls ends with status" "$status" 0
wire_end
theme_end

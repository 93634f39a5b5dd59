#!/bin/bash
# mysql_commands.sh - the commands against MySQL and MariaDB: what `dbtls test`
# sees and advises, of servers with a certificate, with one they made for
# themselves, without TLS, and full; that it never logs in; and whose RSA key
# `check` and the log say that clients are given.
. "$(dirname "$0")/lib.sh"

readonly MOST=10	# connections of a server: MariaDB has no fewer
readonly -A NAME_OF=([mysql97]="MySQL 9.7" [mariadb118]="MariaDB 11.8")
readonly -A ENGINE_OF=([mysql97]=mysql [mariadb118]=mariadb)

exits() { # TEXT STATUS REGEX COMMAND...
	local text=$1 want=$2 regex=$3 out code
	shift 3
	out=$("$@" 2>&1 </dev/null)
	code=$?
	if [ "$code" = "$want" ] && [[ $out =~ $regex ]]; then
		pass "$text: status $code"
	else
		fail "$text" "status $code, wanted $want and $regex: $out"
	fi
}

probe() { # SERVER PORT [OPTION...]
	"$DBTLS" test --engine "${ENGINE_OF[$1]}" \
		--server "127.0.0.1:$2" "${@:3}"
}

# As my_start, but with what the server makes itself where it has no other.
start_self_made() { # NAME SERVER PORT
	local options
	mapfile -t options < <(my_common "$2" "$WORK/$1")
	start "$1" my_server_exec "$2" "${options[@]}" --skip-name-resolve \
		--bind-address=127.0.0.1 --port="$3"
	await 60 my_ready "$1" && alive "$1" && return 0
	fail "$2 starts ($1)" "$(tail -n 20 "$WORK/$1.log")"
	return 1
}

a_login() { # SERVER PORT
	case $1 in
	mysql97) mysql app "$2" --ssl-mode=REQUIRED -e "SELECT 'welcome'" ;;
	*) mariadb 118 app "$2" --ssl --disable-ssl-verify-server-cert \
		-e "SELECT 'welcome'" ;;
	esac
}

# --- servers ---------------------------------------------------------------

with_certificate() { # SERVER
	local name=${NAME_OF[$1]} p
	port_new p secret
	my_data "$1" "$1" && my_certificate "$1" good &&
		my_start "$1" "$p" --max-connections=$MOST --general-log=ON \
			--general-log-file="$WORK/$1/general" || return
	exits "$name: a good certificate" 0 \
		'negotiate +ok .*handshake +ok +TLSv1.3.*names +ok .*db\.test' \
		probe "$1" "$p" --ca "$PKI/ca.crt" --server-name db.test
	exits "$name: a wrong name, and which it has" 1 \
		'names +FAIL .*db\.test, not wrong\.test.*remedy.*name_mismatch' \
		probe "$1" "$p" --ca "$PKI/ca.crt" --server-name wrong.test
	exits "$name: an unknown CA, and which is missing" 1 \
		'chain +FAIL .*CN=ca.*remedy.*untrusted' \
		probe "$1" "$p" --ca "$PKI/ca2.crt" --server-name db.test
	exits "$name: mode none" 0 'negotiate +ok .*not tried' \
		probe "$1" "$p" --ssl-mode none
	check_same "$name: how many of these tried to log in" \
		"$(grep -cv "adm@localhost" <(connects "$1"))" 0
	check "$name: and one that does is seen" '^welcome$' a_login "$1" "$p"
	check "$name: as it is" 'app@' connects "$1"
	full "$1" "$p"
	my_stop "$1"
}
connects() { grep -aw Connect "$WORK/$1/general"; } # NAME

# One more than may be is let in, for a superuser to be.
full() { # SERVER PORT
	local name=${NAME_OF[$1]} i fd guests=()
	for ((i = 0; i <= MOST; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/$2"
		guests+=("$fd")
	done
	await 10 is_full "$1" "$2" || fail "$name: is full" "it is not"
	exits "$name: full, whatever may be believed of that" 3 \
		'negotiate +FAIL unverified: .*too many connections.*remedy' \
		probe "$1" "$2" --ca "$PKI/ca.crt"
	exits "$name: full, mode none" 3 \
		'negotiate +FAIL server has too many connections.*remedy' \
		probe "$1" "$2" --ssl-mode none
	for fd in "${guests[@]}"; do
		exec {fd}>&-
	done
}
is_full() { ! probe "$1" "$2" --ssl-mode none; } # SERVER PORT

without_tls() { # SERVER
	local name=${NAME_OF[$1]} p
	port_new p other
	my_data "plain-$1" "$1" && my_start "plain-$1" "$p" || return
	exits "$name without TLS: verify-full" 1 \
		'negotiate +FAIL .*remedy: .*TLS.*tls_refused' \
		probe "$1" "$p" --ca "$PKI/ca.crt"
	exits "$name without TLS: mode none" 0 'negotiate +ok' \
		probe "$1" "$p" --ssl-mode none
	my_stop "plain-$1"
}

# What it makes of itself names no host.
self_made() { # SERVER
	local name=${NAME_OF[$1]} p made=self-$1
	port_new p secret
	my_data "$made" "$1" && start_self_made "$made" "$1" "$p" || return
	exits "$name, self-made: require encrypts" 0 \
		'handshake +ok.*chain +- .*not checked' \
		probe "$1" "$p" --ssl-mode require
	case $1 in
	mysql97)
		exits "$name, self-made: verify-full, and what would do" 1 \
			'chain +FAIL.*remedy: MySQL made .*ca\.pem.*verify-ca' \
			probe "$1" "$p" --ca "$PKI/ca.crt"
		exits "$name, self-made: its ca.pem, and no name" 1 \
			'chain +ok.*names +FAIL.*remedy: MySQL made' \
			probe "$1" "$p" --ca "$WORK/$made/ca.pem"
		exits "$name, self-made: its ca.pem, verify-ca" 0 \
			'chain +ok .*Auto_Generated_CA_Certificate' \
			probe "$1" "$p" --ca "$WORK/$made/ca.pem" \
			--ssl-mode verify-ca ;;
	*)
		exits "$name, self-made: verify-full, and what would do" 1 \
			'chain +FAIL.*remedy: MariaDB makes .*ssl_cert' \
			probe "$1" "$p" --ca "$PKI/ca.crt" ;;
	esac
	my_stop "$made"
}

# On a port of its own, of a server with TLS and of one without.
x_protocol() {
	local secret x p plain_x
	port_new secret secret
	port_new x secret
	port_new p other
	port_new plain_x other
	my_data x mysql97 && my_certificate x good &&
		my_start x "$secret" --mysqlx=ON --mysqlx-port="$x" \
			--mysqlx-bind-address=127.0.0.1 || return
	exits "X protocol: a good certificate" 0 'negotiate +ok.*names +ok' \
		"$DBTLS" test --engine mysqlx --server "127.0.0.1:$x" \
		--ca "$PKI/ca.crt" --server-name db.test
	exits "X protocol: mode none" 0 'negotiate +ok.*not tried' "$DBTLS" \
		test --engine mysqlx --server "127.0.0.1:$x" --ssl-mode none
	exits "X protocol: another engine's port" 1 'negotiate +FAIL' \
		"$DBTLS" test --engine mysqlx --server "127.0.0.1:$secret" \
		--ca "$PKI/ca.crt" --timeout 2
	my_stop x
	my_data plain-x mysql97 &&
		my_start plain-x "$p" --mysqlx=ON --mysqlx-port="$plain_x" \
			--mysqlx-bind-address=127.0.0.1 || return
	exits "X protocol without TLS" 1 \
		'negotiate +FAIL.*remedy: .*TLS.*tls_refused' "$DBTLS" test \
		--engine mysqlx --server "127.0.0.1:$plain_x" \
		--ca "$PKI/ca.crt"
	my_stop plain-x
}

# --- whose key -------------------------------------------------------------

key_fingerprint() { # FILE
	openssl pkey -in "$1" -pubout -outform DER | sha256sum | cut -d ' ' -f 1
}
# What a client without TLS is given.
given() { # PORT FILE
	mysql app "$1" --ssl-mode=DISABLED --get-server-public-key \
		-e "SELECT 'welcome'"
}

keyed_endpoint() { # NAME PORT SETTINGS
	ENGINE=mysql endpoint "$1" "$2" "127.0.0.1:$secret" verify-full \
		"ca = [ \"$PKI/ca.crt\" ]; server_name = \"db.test\"; $3"
}

keys() {
	local p own made secret
	port_new secret secret
	port_new own plain
	port_new made plain
	my_data keyed mysql97 && my_certificate keyed good &&
		my_start keyed "$secret" || return
	(umask 077 && openssl genrsa -out "$WORK/own.key" 2048 2>/dev/null)
	keyed_endpoint own "$own" 'mysql = { rsa_key = "own.key"; };'
	keyed_endpoint made "$made" ''
	dbtls_run proxy || return
	check "check: the configured key" "$(key_fingerprint "$WORK/own.key")" \
		"$DBTLS" check -c "$WORK/proxy.conf"
	check "check: no key configured" 'rsa_key: none, one is made at start' \
		"$DBTLS" check -c "$WORK/proxy.conf"
	check_same "log: the configured key" \
		"$(dbtls_value proxy listen own rsa_key)" \
		"$(key_fingerprint "$WORK/own.key")"
	check "log: the key that was made" '^[0-9a-f]{64}$' \
		dbtls_value proxy listen made rsa_key
	for p in own made; do
		my_flush keyed
		check "a cold login under the key \"$p\"" '^welcome$' \
			given "${!p}"
	done
	stop proxy
	my_stop keyed
}

theme_begin mysql-commands
for server in mysql97 mariadb118; do
	my_have $server || theme_skip "Debian's packages cannot be had"
done
certs_make
for server in mysql97 mariadb118; do
	with_certificate $server
	without_tls $server
	self_made $server
done
x_protocol
keys
theme_end

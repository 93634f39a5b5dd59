#!/bin/bash
# mysql_refusals.sh - logins over MySQL that cannot be, and what each client
# prints then; beside each, what makes it work.  P is a leg in clear, T one with
# TLS, the client's first.
. "$(dirname "$0")/lib.sh"
. "$REAL/mysql_drivers.sh"

declare -A port=()
readonly LOUD="mysql97 mariadb118 pymysql" # whose words are shown whole

# --- servers and endpoints -------------------------------------------------

begin() { # SERVER: one with TLS, one without
	local server=$1 plain=plain-$1
	port_new "port[$server]" secret
	port_new "port[$plain]" other
	my_data "$server" "$server" && my_data "$plain" "$server" &&
		my_certificate "$server" good clients || return 1
	# Who has come and says nothing is not to be sent away meanwhile.
	my_start "$server" "${port[$server]}" --connect-timeout=300 &&
		my_start "$plain" "${port[$plain]}" && my_console "$server"
}

# An endpoint for a client leg in clear, and one for TLS.
add() { # NAME SERVER MODE SETTINGS
	local leg
	for leg in P T; do
		add_one "$leg.$1" "$leg" "${@:2}"
	done
}
add_one() { # NAME LEG SERVER MODE SETTINGS
	local range=plain front=''
	if [ "$2" = T ]; then
		range=secret
		front="client_tls = { mode = \"require\";
			cert = \"$PKI/proxy.crt\"; key = \"$PKI/proxy.key\"; };"
	fi
	port_new "port[$1]" "$range"
	endpoint "$1" "${port[$1]}" "$3" "$4" "${5:-} $front"
}

readonly TRUST='server_name = "db.test"; ca = [ "@/ca.crt" ];'

endpoints_of() { # SERVER
	local s=$1 at=127.0.0.1:${port[$1]} trust key
	trust=$(here "$TRUST")
	ENGINE=mysql
	[ "$s" = mysql97 ] || ENGINE=mariadb
	add "full.$s" "$at" verify-full "$trust"
	add "none.$s" "$at" none ''
	add "identity.$s" "$at" verify-full "$trust $(here 'identity = {
		cert = "@/client.crt"; key = "@/client.key"; };')"
	add "misnamed.$s" "$at" verify-full "${trust/db.test/wrong.test}"
	add "unknown.$s" "$at" verify-full "${trust/ca.crt/ca2.crt}"
	add "required.$s" "127.0.0.1:${port[plain-$s]}" require ''
	add "nobody.$s" 127.0.0.1:9 verify-full "$trust"
	add "one.$s" "$at" verify-full "$trust max_sessions = 1;"
	[ "$s" = mysql97 ] || return 0
	key=$WORK/$s/public_key.pem
	add "key.$s" "$at" none "mysql = { server_public_key = \"$key\"; };"
	add "asked.$s" "$at" none 'mysql = { get_server_public_key = true; };'
	add "stranger.$s" "$at" none \
		"mysql = { server_public_key = \"$WORK/ours.pem\"; };"
	add "ours.$s" "$at" verify-full \
		"$trust mysql = { rsa_key = \"$WORK/ours.key\"; };"
}

rsa_key() {
	(umask 077 && openssl genrsa -out "$WORK/ours.key" 2048) 2>/dev/null &&
		openssl pkey -in "$WORK/ours.key" -pubout -out "$WORK/ours.pem"
}

# --- questions -------------------------------------------------------------

ask() { # CLIENT USER ENDPOINT [KEY=VALUE]...; its name begins with the leg
	local word=$CANARY
	[[ $3 =~ ^.\.(full|ours|identity)\. ]] || word=bare
	my_ask "$1" "$2" "${port[$3]}" "${3:0:1}" "word=$word" "${@:4}"
}
cold() { # the same, after the server has forgotten all passwords
	my_flush "${3##*.}"
	ask "$@"
}

# What every client prints (but $but), each checked; the loudest are shown as
# they are.
each_says() { # TEXT REGEX USER ENDPOINT
	local client answer
	for client in "${MY_CLIENTS[@]}"; do
		[ "${but:-}" != "$client" ] || continue
		answer=$(ask "$client" "$3" "$4")
		if [[ $answer =~ $2 ]]; then
			pass "$1: $client"
		else
			fail "$1: $client" "$answer (wanted: $2)"
		fi
		[[ " $LOUD " != *" $client "* ]] ||
			printf '         %s\n' "$(printed "$client" "$answer")"
	done
}
printed() { # CLIENT ANSWER
	local number sqlstate text
	read -r _ number sqlstate text <<<"$2"
	if [ "$sqlstate" = - ]; then
		echo "$1: $text"
	else
		echo "$1: ERROR $number ($sqlstate): $text"
	fi
}
reason() { # TEXT ENDPOINT REASON
	check_same "$1, and logged" \
		"$(dbtls_value proxy session.refused "$2" reason)" "$3"
}

# --- what is checked -------------------------------------------------------

certificates() { # SERVER
	local s=$1 leg
	for leg in P T; do
		each_says "$s: the server has another name, $leg" \
			'^error 1045 (28000|-) .*wrong\.test' app "$leg.misnamed.$s"
		reason "$s: the server has another name" "$leg.misnamed.$s" \
			name_mismatch
		each_says "$s: the server is of another CA, $leg" \
			'^error 1045 (28000|-) .*(CA|issuer|anchor)' app \
			"$leg.unknown.$s"
		reason "$s: the server is of another CA" "$leg.unknown.$s" \
			untrusted
	done
}

# Before the greeting no client listens for a sqlstate.  libmariadb puts the
# number into its own words if it wants TLS, and Connector/J 2 never says it.
early() { # NUMBER
	echo "^error ($1 |2002 .*cannot be verified: $1 |-1 08000 ).*dbtls: "
}
before_greeting() { # SERVER
	local s=$1 leg
	for leg in P T; do
		each_says "$s: the server has no TLS, $leg" \
			"$(early 1043)server does not offer TLS" app \
			"$leg.required.$s"
		reason "$s: the server has no TLS" "$leg.required.$s" tls_refused
		each_says "$s: nobody is there, $leg" \
			"$(early 1105)could not connect" app "$leg.nobody.$s"
		reason "$s: nobody is there" "$leg.nobody.$s" connect
	done
}

# Connections that say nothing take all places but the superuser's.
too_many() { # SERVER
	local s=$1 fd held=() said='Too many connections'
	my_admin "$s" 'SET GLOBAL max_connections = 10'
	while [ ${#held[@]} -lt 12 ]; do
		exec {fd}<>"/dev/tcp/127.0.0.1/${port[$s]}"
		held+=("$fd")
	done
	check "$s: too many connections, directly" "^error 1040 .*$said" \
		my_ask mysql97 app "${port[$s]}" P word=bare
	each_says "$s: too many connections, mode none" \
		"^error (1040|-1) .*$said" app "P.none.$s"
	each_says "$s: too many connections, verify-full" \
		"$(early 1040)unverified: server has too many" app "P.full.$s"
	each_says "$s: too many connections, verify-full, TLS" \
		"$(early 1040)unverified: server has too many" app "T.full.$s"
	for fd in "${held[@]}"; do
		exec {fd}>&-
	done
	my_admin "$s" 'SET GLOBAL max_connections = 200'
	check_ok "$s: and again when they have gone" \
		await 20 asked_ok "P.full.$s"
}
asked_ok() { [[ $(ask mysql97 app "$1") == ok* ]]; } # ENDPOINT

# This one knows no plugin of that server's, and goes no further.
unable() { # SERVER
	[ "$1" != mysql97 ] || echo mysql
}

accounts() { # SERVER
	local s=$1 leg but
	but=$(unable "$s")
	for leg in P T; do
		check "$s: an account that requires TLS, $leg x T" '^ok ssl@' \
			cold mysql97 ssl "$leg.full.$s"
		each_says "$s: an account that requires TLS, $leg x P" \
			'^error 1045 (28000|-) .*Access denied.*ssl_mode' ssl \
			"$leg.none.$s"
		check "$s: an account by certificate, dbtls has one, $leg" \
			'^ok x509@' cold mysql97 x509 "$leg.identity.$s"
		check "$s: an account by certificate, dbtls has none, $leg" \
			'^error 1045 28000 Access denied for user' \
			cold mysql97 x509 "$leg.full.$s"
		check "$s: a wrong password, $leg x T" "^error 1045 28000 \
Access denied for user 'app'@'[a-z0-9.]+' \(using password: YES\)\$" \
			ask mysql97 app "$leg.full.$s" password=wrong
		check "$s: nobody of that name, $leg x T" \
			"^error 1045 28000 Access denied for user 'nobody'" \
			ask mysql97 nobody "$leg.full.$s"
	done
}

insisting() { # SERVER that takes nobody without TLS
	local s=$1 but
	but=$(unable "$s")
	my_admin "$s" 'SET GLOBAL require_secure_transport = ON'
	check "$s insists on TLS: P x T" '^ok app@' \
		cold mysql97 app "P.full.$s"
	each_says "$s insists on TLS: P x P" '^error 3159 ' app "P.none.$s"
	my_admin "$s" 'SET GLOBAL require_secure_transport = OFF'
}

# mysqldb, which asks for TLS, does without all the same, with a server as well.
listeners() { # SERVER
	local s=$1 client want='^error .*(SSL|ssl|secure)'
	for client in "${MY_CLIENTS[@]}"; do
		check "$s: a listener that requires TLS: $client in clear" \
			'^error 3159 (HY000|-) .*TLS' \
			my_ask "$client" app "${port[T.full.$s]}" P word=bare
		[ "$client" != mysqldb ] || continue
		check "$s: a server without TLS: $client wants it" "$want" \
			my_ask "$client" app "${port[plain-$s]}" T host=db.test
		check "$s: a listener without TLS: $client wants it" "$want" \
			my_ask "$client" app "${port[P.full.$s]}" T
	done
	reason "$s: a listener that requires TLS" "T.full.$s" client_tls
	check "$s: a listener without TLS: mysql prefers it" \
		"app@%"$'\t'"$CANARY|app@%.$CANARY" mysql app \
		"${port[P.full.$s]}" --ssl-mode=PREFERRED \
		--get-server-public-key -e "SELECT CURRENT_USER(), '$CANARY'"
}

# One that stays, and another.
limit() { # SERVER
	local s=$1
	my_driver "stays-$s" my_stay "$s"
	check_ok "$s: one session, as many as may be" \
		await 20 log_has proxy "event=session.open .*P\.one\.$s"
	each_says "$s: one session too many" "$(early 1040)too many" app \
		"P.one.$s"
	reason "$s: one session too many" "P.one.$s" limit
	stop "stays-$s"
}
my_stay() { # SERVER
	my_exec mysql97 "MYSQL_PWD=$(my_password app)" mysql --no-defaults \
		--protocol=TCP --host=127.0.0.1 --port="${port[P.one.$1]}" \
		--user=app --ssl-mode=DISABLED --get-server-public-key
}

# A password that its owner sends only if he is given a key, or knows one.
keys() { # SERVER
	local s=$1 no=--skip-get-server-public-key pin=retrieval=false
	local theirs=$WORK/$s/public_key.pem ways
	for ways in "directly ${port[$s]}" "P x P ${port[P.asked.$s]}" \
		"P x T ${port[P.full.$s]}"; do
		my_flush "$s"
		check "$s: mysql may ask for no key, cold, ${ways% *}" \
			'^error 2061 HY000 .*requires secure connection' \
			my_ask mysql97 app "${ways##* }" P word=bare option=$no
		for client in connectorj2 connectorj3; do
			check "$s: $client may ask for no key, ${ways% *}" \
				'^error .*[Pp]ublic ?[Kk]ey' my_ask $client \
				app "${ways##* }" P word=bare $pin
		done
	done
	check "$s: mysql may ask for no key, warm, P x T" '^ok app@' \
		warm_then mysql97 app "P.full.$s" option=$no
	check "$s: the server's key is pinned, P x P" '^ok app@' cold mysql97 \
		app "P.none.$s" "option=--server-public-key-path=$theirs"
	check "$s: the server's key is pinned, P x T" \
		'^error 1045 28000 .*a key that is not ours' cold mysql97 \
		app "P.full.$s" "option=--server-public-key-path=$theirs"
	reason "$s: the server's key is pinned" "P.full.$s" auth
	for client in connectorj2 connectorj3; do
		check "$s: the server's key is pinned in $client, P x P" \
			'^ok app@' cold $client app "P.none.$s" "key=$theirs"
		check "$s: the server's key is pinned in $client, P x T" \
			'^error 1045 28000 .*a key that is not ours' \
			cold $client app "P.full.$s" "key=$theirs"
	done
	check "$s: our key is pinned, P x T" '^ok app@' cold mysql97 app \
		"P.ours.$s" "option=--server-public-key-path=$WORK/ours.pem"
}
warm_then() { # CLIENT USER ENDPOINT [KEY=VALUE]...
	cold "${@:1:3}" >/dev/null
	ask "$@"
}

# The password must be encrypted where it goes on without TLS.
no_key() { # SERVER
	local s=$1 user but
	but=$(unable "$s")
	for user in caching sha256; do
		each_says_cold "$s: $user, T x P, no key is configured" \
			'^error 1045 (28000|-) .*mysql.server_public_key.*get_server' \
			$user "T.none.$s"
		check "$s: $user, T x P, the server's key is configured" \
			"^ok $user@" cold mysql97 $user "T.key.$s"
		check "$s: $user, T x P, the server's key is asked for" \
			"^ok $user@" cold mysql97 $user "T.asked.$s"
		check "$s: $user, T x P, another's key is configured" \
			'^error 1045 28000 ' cold mysql97 $user "T.stranger.$s"
	done
	check "$s: caching, T x P, no key is configured, warm" '^ok caching@' \
		warm_up mysql97 caching "T.none.$s"
}
each_says_cold() { # TEXT REGEX USER ENDPOINT
	my_flush "${4##*.}"
	each_says "$@"
}
warm_up() { # CLIENT USER ENDPOINT: first where there is a key
	cold "$1" "$2" "${3/none/key}" >/dev/null
	ask "$@"
}

# --- the theme -------------------------------------------------------------

theme_begin mysql-refusals
certs_make
my_clients_have
rsa_key || theme_skip "no RSA key can be made"
wire_begin
present=()
for server in mysql97 mariadb118; do
	if ! my_have "$server"; then
		skip "$server" "its packages cannot be had"
	elif begin "$server"; then
		present+=("$server")
		endpoints_of "$server"
	fi
done
[ ${#present[@]} -gt 0 ] || theme_end
dbtls_run proxy || theme_end

for server in "${present[@]}"; do
	certificates "$server"
	before_greeting "$server"
	too_many "$server"
	accounts "$server"
	insisting "$server"
	listeners "$server"
	limit "$server"
	[ "$server" != mysql97 ] || keys "$server"
	[ "$server" != mysql97 ] || no_key "$server"
done

check_same "no session failed by a fault of ours" \
	"$(grep -c 'reason=internal' "$WORK/proxy.log")" 0
check_same "no password in the log" "$(grep -c "$CANARY" "$WORK/proxy.log")" 0
stop proxy
check_same "dbtls ends with status" "$status" 0
wire_end
theme_end

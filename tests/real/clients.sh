#!/bin/bash
# clients.sh - which clients come through which pair of legs, and how; what
# those print that are turned away.  P is a leg in clear, T one with TLS, the
# client's first.
. "$(dirname "$0")/lib.sh"
. "$REAL/drivers.sh"

declare -A port=() # of endpoints, by name
readonly QUERY="SELECT current_user, '$CANARY', coalesce((SELECT version
	FROM pg_stat_ssl WHERE pid = pg_backend_pid()), 'clear')"
# The same without what must not be seen, for a server leg in clear.
readonly BARE="SELECT current_user, coalesce((SELECT version
	FROM pg_stat_ssl WHERE pid = pg_backend_pid()), 'clear')"

# --- servers and endpoints -------------------------------------------------

server() { # VERSION: one with TLS, and one without
	local v=$1
	port_new "secure$v" secret
	port_new "plain$v" other
	local secure=secure$v plain=plain$v
	pg_data "secure$v" "$v" && pg_data "plain$v" "$v" || return 1
	pg_certificate "secure$v" good clients
	pg_start "secure$v" "${!secure}" || return 1
	PG_TLS=off pg_start "plain$v" "${!plain}"
}

add() { # NAME plain|secret SERVER MODE SETTINGS
	local p
	port_new p "$2"
	port[$1]=$p
	endpoint "$1" "$p" "$3" "$4" "$5"
}

readonly TRUST='ca = [ "@/ca.crt" ]; server_name = "db.test";'
readonly FRONT='cert = "@/proxy.crt"; key = "@/proxy.key";'

legs() { # VERSION
	local v=$1 secure=secure$1 plain=plain$1 ca front same
	secure=localhost:${!secure} plain=127.0.0.1:${!plain}
	ca=$(here "$TRUST")
	front=$(here "client_tls = { mode = \"require\"; $FRONT };")
	same=$(here 'client_tls = { mode = "require";
		cert = "@/good.crt"; key = "@/good.key"; };')
	add "PT$v" plain "$secure" verify-full "$ca"
	add "PP$v" plain "$plain" none ''
	add "TT$v" secret "$secure" verify-full "$ca $front"
	add "TP$v" secret "$plain" none "$front"
	add "AT$v" plain "$secure" verify-full "$ca ${front/require/allow}"
	add "same$v" secret "$secure" verify-full "$ca $same"
	add "bare$v" plain "$secure" none ''
	add "pass$v" plain "$secure" verify-full \
		"$ca postgres = { channel_binding = \"pass\"; };"
	add "strip$v" secret "$secure" verify-full \
		"$ca $front postgres = { channel_binding = \"strip\"; };"
	add "direct$v" plain "$secure" verify-full "$ca tls = { direct = true; };"
	add "identity$v" plain "$secure" verify-full "$ca $(here \
		'identity = { cert = "@/client.crt"; key = "@/client.key"; };')"
}

# Those that need one version only.
special() { # VERSION
	local v=$1 secure=secure$1 plain=plain$1 ca pin
	secure=localhost:${!secure} plain=127.0.0.1:${!plain}
	ca=$(here "$TRUST")
	pin=$(openssl x509 -in "$PKI/good.crt" -noout -pubkey |
		openssl pkey -pubin -outform DER |
		openssl dgst -sha256 -binary | base64)
	ENGINE=redshift add redshift plain "$secure" verify-full "$ca"
	add mutual secret "$secure" verify-full "$ca $(here "client_tls = {
		mode = \"require\"; $FRONT ca = [ \"@/clients.crt\" ];
		verify = \"require\"; };")"
	add optional secret "$secure" verify-full "$ca $(here "client_tls = {
		mode = \"require\"; $FRONT ca = [ \"@/clients.crt\" ];
		verify = \"optional\"; };")"
	add pinned plain "$secure" require "pin = [ \"sha256//$pin\" ];"
	add unpinned plain "$secure" require \
		"pin = [ \"sha256//$(head -c 32 /dev/zero | base64)\" ];"
	add unknown plain "$secure" verify-full \
		"$(here "${TRUST/ca.crt/ca2.crt}")"
	add misnamed plain "$secure" verify-full "${ca/db.test/wrong.test}"
	add no_tls plain "$plain" require ''
	add nobody plain 127.0.0.1:9 verify-full "$ca"
	add nowhere plain nowhere.invalid:5432 verify-full "$ca"
	endpoints+=("{ name = \"socket\"; engine = \"postgres\";
		listen = \"unix:$WORK/.s.PGSQL.5432\"; server = \"$secure\";
		ssl_mode = \"verify-full\"; $ca }")
	plain=plain$v
	add to_socket plain "unix:$WORK/plain$v/.s.PGSQL.${!plain}" none ''
}

# --- questions -------------------------------------------------------------

# Conninfo of an endpoint.  TLS on the client's leg is asked for by options.
at() { # ENDPOINT USER [OPTIONS]
	echo "host=localhost hostaddr=127.0.0.1 port=${port[$1]} user=$2" \
		"password=$2-$CANARY dbname=app ${3:-}"
}
readonly CLEAR=sslmode=disable
tls() { echo "sslmode=verify-full sslrootcert=$PKI/ca.crt ${1:-}"; }

libpq() { # TEXT REGEX VERSION CONNINFO
	check "$1" "$2" psql "$3" "$4" -c "$QUERY"
}

# --- what is checked -------------------------------------------------------

accounts() { # VERSION: SCRAM, md5 and a password in clear, on all four pairs
	local v=$1 user tls leg want
	tls=$(tls channel_binding=disable)
	for user in app md5 clear; do
		for leg in "PP clear $CLEAR" "PT TLS $CLEAR" "TP clear $tls" \
			"TT TLS $tls"; do
			read -r leg want options <<<"$leg"
			libpq "server $v: $user, $leg" "^$user\|$CANARY\|$want" \
				"$v" "$(at "$leg$v" $user "$options")"
		done
	done
}

versions_meet() { # SERVER-VERSION PSQL-VERSION
	libpq "server $1, psql $2: P x T" "^app\|$CANARY\|TLSv1.3" "$2" \
		"$(at "PT$1" app)"
	libpq "server $1, psql $2: T x T" "^app\|$CANARY\|TLSv1.3" "$2" \
		"$(at "TT$1" app "$(tls channel_binding=disable)")"
	[ "$2" != 15 ] || return 0
	libpq "server $1, psql $2: direct TLS to dbtls" \
		"^app\|$CANARY\|TLSv1.3" "$2" "$(at "TT$1" app \
			"$(tls 'channel_binding=disable sslnegotiation=direct')")"
	[ "$2" = 18 ] || return 0
	libpq "server $1, psql $2: protocol 3.2" "^app\|$CANARY\|TLSv1.3" "$2" \
		"$(at "PT$1" app 'max_protocol_version=3.2')"
}

binding() { # VERSION: the rules of SCRAM's channel binding
	local v=$1 tls own cb=channel_binding
	local refusal='FATAL:.*channel.binding'
	tls=$(tls)
	own="host=db.test $tls"
	libpq "server $v: P x P, binding required" 'channel binding' "$v" \
		"$(at "PP$v" app "$CLEAR $cb=require")"
	libpq "server $v: P x T, PLUS is stripped" "^app\|$CANARY\|TLS" "$v" \
		"$(at "PT$v" app "$CLEAR")"
	libpq "server $v: P x T with pass, psql gives up" \
		'server offered SCRAM-SHA-256-PLUS .* over a non-SSL' "$v" \
		"$(at "pass$v" app "$CLEAR")"
	libpq "server $v: T x P, binding preferred" "^app\|$CANARY\|clear" "$v" \
		"$(at "TP$v" app "$tls")"
	libpq "server $v: T x P, binding required" \
		'channel binding is required' "$v" \
		"$(at "TP$v" app "$tls $cb=require")"
	libpq "server $v: T x T, another certificate: told by dbtls" \
		"$refusal" "$v" "$(at "TT$v" app "$tls")"
	check "server $v: and the reason logged" '^auth$' \
		dbtls_value proxy session.refused "TT$v" reason
	libpq "server $v: T x T, not binding" "^app\|$CANARY\|TLS" "$v" \
		"$(at "TT$v" app "$tls $cb=disable")"
	libpq "server $v: T x T with strip: told by dbtls" "$refusal" "$v" \
		"$(at "strip$v" app "$tls")"
	for want in prefer disable require; do
		libpq "server $v: T x T, the server's certificate, $want" \
			"^app\|$CANARY\|TLS" "$v" \
			"$(at "same$v" app "$own $cb=$want")"
	done
}

client_leg() { # VERSION: what a listener takes
	local v=$1 mode binding=channel_binding=disable
	libpq "server $v: a listener without TLS, prefer" "^app\|$CANARY" "$v" \
		"$(at "PT$v" app sslmode=prefer)"
	libpq "server $v: a listener without TLS, require" \
		'server does not support SSL' "$v" \
		"$(at "PT$v" app sslmode=require)"
	libpq "server $v: a listener that requires TLS, disable" \
		'FATAL:.*TLS' "$v" "$(at "TT$v" trusted "$CLEAR")"
	check "server $v: and the reason logged" '^client_tls$' \
		dbtls_value proxy session.refused "TT$v" reason
	for mode in allow prefer require; do
		libpq "server $v: a listener that requires TLS, $mode" \
			"^trusted\|$CANARY" "$v" \
			"$(at "TT$v" trusted "sslmode=$mode")"
	done
	libpq "server $v: a listener that allows TLS, disable" \
		"^app\|$CANARY\|TLS" "$v" "$(at "AT$v" app "$CLEAR")"
	libpq "server $v: a listener that allows TLS, verify-full" \
		"^app\|$CANARY\|TLS" "$v" \
		"$(at "AT$v" app "$(tls $binding)")"
}

server_leg() { # VERSION: the server's own rules judge the server's leg
	local v=$1
	check "server $v: hostssl, server leg with TLS" '^trusted\|TLS' \
		psql "$v" "$(at "PT$v" trusted dbname=tlsonly)" -c "$BARE"
	check "server $v: hostssl, server leg in clear" 'FATAL:.*pg_hba' \
		psql "$v" "$(at "bare$v" trusted dbname=tlsonly)" -c "$BARE"
	check "server $v: hostnossl, server leg in clear" '^trusted\|clear' \
		psql "$v" "$(at "bare$v" trusted dbname=plainonly)" -c "$BARE"
	check "server $v: hostnossl, server leg with TLS" 'FATAL:.*pg_hba' \
		psql "$v" "$(at "PT$v" trusted dbname=plainonly)" -c "$BARE"
	libpq "server $v: an account by certificate, dbtls has one" \
		"^cert\|$CANARY\|TLS" "$v" "$(at "identity$v" cert)"
	libpq "server $v: an account by certificate, dbtls has none" \
		'FATAL:.*certificate' "$v" "$(at "PT$v" cert)"
	libpq "server $v: certificate and password" "^certpw\|$CANARY\|TLS" \
		"$v" "$(at "identity$v" certpw)"
	if [ "$v" = 15 ]; then
		libpq "server $v: direct TLS, which it does not have" \
			'FATAL' "$v" "$(at "direct$v" app)"
	else
		libpq "server $v: direct TLS to the server" \
			"^app\|$CANARY\|TLS" "$v" "$(at "direct$v" app)"
	fi
}

client_certificates() { # VERSION
	local v=$1 tls mine stranger
	tls=$(tls channel_binding=disable)
	mine="sslcert=$PKI/client.crt sslkey=$PKI/client.key"
	stranger="sslcert=$PKI/client-bad.crt sslkey=$PKI/client-bad.key"
	libpq "a client certificate is required and shown" "^app\|$CANARY" \
		"$v" "$(at mutual app "$tls $mine")"
	libpq "required and not shown" 'certificate' "$v" \
		"$(at mutual app "$tls")"
	check "and the reason logged" '^client_certificate$' \
		dbtls_value proxy session.refused mutual reason
	libpq "required, and that of another CA shown" 'alert|certificate' \
		"$v" "$(at mutual app "$tls $stranger")"
	libpq "optional and not shown" "^app\|$CANARY" "$v" \
		"$(at optional app "$tls")"
	libpq "optional, and that of another CA shown" 'alert|certificate' \
		"$v" "$(at optional app "$tls $stranger")"
}

# psql that has a Kerberos ticket asks for encryption by GSSAPI first: the
# answer is no, whatever the server would say, and then all is as always.
gssapi() { # VERSION
	local v=$1
	python3 "$REAL/clients/ccache.py" "$WORK/ccache"
	PSQL_ENV=("KRB5CCNAME=FILE:$WORK/ccache")
	libpq "server $v: GSSENCRequest is answered" \
		"server doesn't support GSSAPI" "$v" \
		"$(at "PT$v" app gssencmode=require)"
	libpq "server $v: GSSENCRequest, then in clear" "^app\|$CANARY\|TLS" \
		"$v" "$(at "PT$v" app gssencmode=prefer)"
	libpq "server $v: GSSENCRequest, then SSLRequest" \
		"^app\|$CANARY\|TLS" "$v" "$(at "TT$v" app \
		"gssencmode=prefer $(tls channel_binding=disable)")"
	PSQL_ENV=()
}

psycopg() { # VERSION
	local v=$1 n ask
	for n in 2 3; do
		ask=HAVE_PSYCOPG$n
		[ -n "${!ask}" ] || continue
		ask=psycopg${n}_query
		check "psycopg $n: P x T" "^app\|$CANARY\|TLS" \
			$ask "$(at "PT$v" app)" "$QUERY"
		check "psycopg $n: T x T, not binding" "^app\|$CANARY\|TLS" \
			$ask "$(at "TT$v" app "$(tls channel_binding=disable)")" \
			"$QUERY"
		check "psycopg $n: T x T, binding" 'error .*channel.binding' \
			$ask "$(at "TT$v" app "$(tls)")" "$QUERY"
		check "psycopg $n: refused" 'error .*wrong\.test' \
			$ask "$(at misnamed app)" "$QUERY"
	done
}

jdbc() { # VERSION
	local v=$1 front="sslmode=verify-full&sslrootcert=$PKI/ca.crt"
	[ -n "$HAVE_JDBC" ] || return 0
	check "pgjdbc: P x T" "^app\|$CANARY\|TLS" \
		jdbc_query "$(url "PT$v" app sslmode=disable)" "$QUERY"
	check "pgjdbc: T x T, not binding" "^app\|$CANARY\|TLS" jdbc_query \
		"$(url "TT$v" app "$front&channelBinding=disable")" "$QUERY"
	check "pgjdbc: T x T, binding" 'error 28000 .*channel.binding' \
		jdbc_query "$(url "TT$v" app "$front")" "$QUERY"
	check "pgjdbc: refused" 'error 28000 .*wrong\.test' \
		jdbc_query "$(url misnamed app sslmode=disable)" "$QUERY"
	check "pgjdbc: nobody there" 'error 57P03 ' \
		jdbc_query "$(url nobody app sslmode=disable)" "$QUERY"
}
url() { # ENDPOINT USER OPTIONS
	echo "jdbc:postgresql://localhost:${port[$1]}/app?user=$2\
&password=$2-$CANARY&gssEncMode=disable&$3"
}

node() { # VERSION
	local v=$1 tls
	[ -n "$HAVE_NODE" ] || return 0
	tls="\"ssl\": {\"ca\": \"$PKI/ca.crt\"}"
	check "node's pg: P x T" "^app\|$CANARY\|TLS" \
		node_query "$(json "PT$v" app)" "$QUERY"
	check "node's pg: T x T" "^app\|$CANARY\|TLS" \
		node_query "$(json "TT$v" app "$tls")" "$QUERY"
	check "node's pg: T x T, binding" 'error 28000 .*binds its log-in' \
		node_query "$(json "TT$v" app \
			"$tls, \"enableChannelBinding\": true")" "$QUERY"
	check "node's pg: T x T, the server's certificate, binding" \
		"^app\|$CANARY\|TLS" node_query "$(json "same$v" app \
			"$tls, \"host\": \"db.test\",
			\"enableChannelBinding\": true")" "$QUERY"
	check "node's pg: refused" 'error 28000 .*wrong\.test' \
		node_query "$(json misnamed app)" "$QUERY"
	check "node's pg: nobody there" 'error 57P03 ' \
		node_query "$(json nobody app)" "$QUERY"
}
json() { # ENDPOINT USER [MORE]
	echo "{\"host\": \"localhost\", \"port\": ${port[$1]}, \"user\": \"$2\",
		\"password\": \"$2-$CANARY\", \"database\": \"app\" ${3:+, $3}}"
}

refused() { # VERSION ENDPOINT REASON REGEX: what psql prints, what is logged
	local reason
	libpq "refused, $3" "FATAL: .*($4)" "$1" "$(at "$2" app "$CLEAR")"
	reason=$(dbtls_value proxy session.refused "$2" reason)
	check_same "refused, and logged" "$reason" "$3"
}

refusals() { # VERSION
	refused "$1" unknown untrusted 'CA|issuer|anchor'
	refused "$1" misnamed name_mismatch 'wrong\.test'
	refused "$1" unpinned pin_mismatch 'pin'
	refused "$1" no_tls tls_refused 'TLS'
	refused "$1" nobody connect 'refused|connect'
	refused "$1" nowhere resolve 'nowhere\.invalid|resolve'
}

others() { # VERSION
	libpq "engine redshift" "^app\|$CANARY\|TLS" "$1" "$(at redshift app)"
	libpq "mode require with the server's pin" "^app\|$CANARY\|TLS" "$1" \
		"$(at pinned app)"
	libpq "listening on a unix socket" "^app\|$CANARY\|TLS" "$1" \
		"host=$WORK user=app password=app-$CANARY dbname=app"
	libpq "a server on a unix socket" "^adm\|$CANARY\|clear" "$1" \
		"$(at to_socket adm)"
}

# --- the theme -------------------------------------------------------------

theme_begin clients
certs_make
drivers_have
wire_begin
versions=()
for v in 15 17 18; do
	if ! pg_have "$v"; then
		skip "PostgreSQL $v" "its packages cannot be had"
	elif server "$v"; then
		versions+=("$v")
		legs "$v"
	fi
done
[ ${#versions[@]} -gt 0 ] || theme_end
newest=${versions[-1]}
special "$newest"
dbtls_run proxy || theme_end

for v in "${versions[@]}"; do
	for psql_version in "${versions[@]}"; do
		versions_meet "$v" "$psql_version"
	done
	accounts "$v"
	binding "$v"
	client_leg "$v"
	server_leg "$v"
	gssapi "$v"
done
client_certificates "$newest"
psycopg "$newest"
jdbc "$newest"
node "$newest"
refusals "$newest"
others "$newest"

check_same "no session failed by a fault of ours" \
	"$(grep -c 'reason=internal' "$WORK/proxy.log")" 0
check_same "no password in the log" "$(grep -c "$CANARY" "$WORK/proxy.log")" 0
stop proxy
check_same "dbtls ends with status" "$status" 0
wire_end
theme_end

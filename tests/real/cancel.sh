#!/bin/bash
# cancel.sh - a running query is cancelled through every kind of leg: by psql's
# ^C, by libpq's old and new ways, by pgjdbc's timeout, and within protocol 3.2
# with its longer keys.  Each time the session goes on.
. "$(dirname "$0")/lib.sh"
. "$REAL/drivers.sh"

declare -A port=() # of endpoints, by name

server() { # VERSION
	local v=$1
	port_new "secure$v" secret
	local secure=secure$v trust front
	pg_data "server$v" "$v" || return 1
	pg_certificate "server$v" good
	pg_start "server$v" "${!secure}" || return 1
	trust="ca = [ \"$PKI/ca.crt\" ]; server_name = \"db.test\";"
	front="client_tls = { mode = \"require\"; cert = \"$PKI/proxy.crt\";
		key = \"$PKI/proxy.key\"; };"
	add "PT$v" plain "$trust"
	add "TT$v" secret "$trust $front"
	add "AT$v" plain "$trust ${front/require/allow}"
	[ "$v" = 15 ] || add "direct$v" secret \
		"$trust $front tls = { direct = true; };"
}
add() { # NAME plain|secret SETTINGS, for $secure
	local p
	port_new p "$2"
	port[$1]=$p
	endpoint "$1" "$p" "localhost:${!secure}" verify-full "$3"
}

at() { # ENDPOINT [OPTIONS]
	local tls="sslmode=verify-full sslrootcert=$PKI/ca.crt"
	[[ $1 != PT* ]] || tls=sslmode=disable
	echo "host=localhost hostaddr=127.0.0.1 port=${port[$1]} user=app" \
		"password=app-$CANARY dbname=app channel_binding=disable" \
		"application_name=$1 $tls ${2:-}"
}

sleeping() { # ENDPOINT VERSION
	[ "$(admin "server$2" postgres "SELECT count(*) FROM pg_stat_activity
		WHERE application_name = '$1' AND query LIKE '%pg_sleep%'
		AND state = 'active'")" = 1 ]
}

interrupt() { # ENDPOINT SERVER-VERSION PSQL-VERSION
	local text="server $2, psql $3, ^C, ${1%[0-9][0-9]}" began
	: >"$WORK/psql.log"
	start psql pg_exec "$3" psql -X -A -t -w -d "$(at "$1")" \
		-c 'SELECT pg_sleep(20)' -c "SELECT 'goes on'"
	if ! await 10 sleeping "$1" "$2"; then
		fail "$text" "no query: $(cat "$WORK/psql.log")"
		stop psql
		return
	fi
	began=$(now_ms)
	kill -INT "${PID[psql]}"
	await 10 gone psql
	check "$text" 'canceling statement due to user request' \
		cat "$WORK/psql.log"
	check_most "$text: milliseconds" $(($(now_ms) - began)) 1000
	stop psql
}

by_driver() { # TEXT WANTED COMMAND...
	local began
	began=$(now_ms)
	check "$1" "$2" "${@:3}"
	check_most "$1: milliseconds" $(($(now_ms) - began)) 5000
}

libpq_ways() { # ENDPOINT VERSION
	local text="server $2, ${1%[0-9][0-9]}" new='' on='^canceled, goes on'
	if [ -n "$HAVE_PSYCOPG2" ] && [[ $1 != direct* ]]; then
		by_driver "$text: old libpq" "$on" psycopg2_cancel "$(at "$1")"
	fi
	[ -n "$HAVE_PSYCOPG3" ] || return 0
	by_driver "$text: new libpq, the old way" "$on" \
		psycopg3_cancel "$(at "$1")" cancel
	by_driver "$text: new libpq, the new way" "$on" \
		psycopg3_cancel "$(at "$1")" cancel_safe
	[ "$2" != 18 ] || new=' 30002$'
	by_driver "$text: protocol 3.2" "$on$new" psycopg3_cancel \
		"$(at "$1" max_protocol_version=3.2)" cancel_safe
	by_driver "$text: protocol 3.2, the old way" "$on$new" psycopg3_cancel \
		"$(at "$1" max_protocol_version=3.2)" cancel
	[[ $1 == TT* || $1 == direct* ]] || return 0
	by_driver "$text: direct TLS to dbtls" "$on" psycopg3_cancel \
		"$(at "$1" sslnegotiation=direct)" cancel_safe
}

descriptors_are() { [ "$(dbtls_descriptors proxy)" = "$1" ]; }

theme_begin cancel
certs_make
drivers_have
wire_begin
versions=()
for v in 15 17 18; do
	if ! pg_have "$v"; then
		skip "PostgreSQL $v" "its packages cannot be had"
	elif server "$v"; then
		versions+=("$v")
	fi
done
[ ${#versions[@]} -gt 0 ] || theme_end
dbtls_run proxy || theme_end
newest=${versions[-1]}

# The first session leaves behind what is made once.
check "a first session" "^$CANARY" psql "$newest" "$(at "PT$newest")" \
	-c "SELECT '$CANARY'"
dbtls_idle proxy
before=$(dbtls_descriptors proxy)
for v in "${versions[@]}"; do
	for name in "PT$v" "TT$v" "AT$v" "direct$v"; do
		[ -n "${port[$name]:-}" ] || continue
		interrupt "$name" "$v" "$v"
		libpq_ways "$name" "$v"
	done
done
interrupt "TT$newest" "$newest" "${versions[0]}"
interrupt "PT${versions[0]}" "${versions[0]}" "$newest"
if [ -n "$HAVE_JDBC" ]; then
	check "pgjdbc's timeout, P x T" '^error 57014 ' jdbc_query \
		"jdbc:postgresql://localhost:${port[PT$newest]}/app?user=app\
&password=app-$CANARY&sslmode=disable" 'SELECT pg_sleep(20)' 1
	check "pgjdbc's timeout, T x T" '^error 57014 ' jdbc_query \
		"jdbc:postgresql://localhost:${port[TT$newest]}/app?user=app\
&password=app-$CANARY&sslmode=verify-full&sslrootcert=$PKI/ca.crt\
&channelBinding=disable" 'SELECT pg_sleep(20)' 1
fi
for name in "PT$newest" "TT$newest"; do
	check "a cancel with a key that no session has, $name" '^closed$' \
		python3 "$REAL/clients/cancel_stray.py" "${port[$name]}"
done
await 10 descriptors_are "$before"
check_same "descriptors after all, as before" \
	"$(dbtls_descriptors proxy)" "$before"
check_same "no session failed by a fault of ours" \
	"$(grep -c 'reason=internal' "$WORK/proxy.log")" 0
stop proxy
check_same "dbtls ends with status" "$status" 0
wire_end
theme_end

#!/bin/bash
# commands.sh - the commands against a real server: `dbtls test` with what it
# sees and advises, its exit status, JSON; `run` without a file, a listener
# that is taken, and how it ends.
. "$(dirname "$0")/lib.sh"

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

probe() { # PORT CA NAME [OPTION...]
	local port=$1 ca=$2 name=$3
	shift 3
	"$DBTLS" test --engine postgres --server "127.0.0.1:$port" \
		--ca "$PKI/$ca.crt" --server-name "$name" "$@"
}

is_json() { "$@" | python3 -m json.tool; }

# Does dbtls, asked by psql, say the same as `dbtls test`?
query() { # PORT
	psql 15 "host=127.0.0.1 port=$1 user=trusted dbname=app sslmode=disable" \
		-c "SELECT ssl, 'answered' FROM pg_stat_ssl
		    WHERE pid = pg_backend_pid()"
}

theme_begin commands
pg_have 15 || theme_skip "bookworm's packages cannot be had"
certs_make
port_new secure secret
port_new clear other
port_new listen plain
port_new flags plain
pg_data server 15
pg_certificate server good
pg_start server "$secure" || theme_end
pg_data without 15
PG_TLS=off pg_start without "$clear" || theme_end

# --- test ------------------------------------------------------------------
exits "test: a good server" 0 'names +ok .*db\.test' \
	probe "$secure" ca db.test
exits "test: a wrong name, and which it has" 1 \
	'names +FAIL .*db\.test, not wrong\.test.*remedy.*name_mismatch' \
	probe "$secure" ca wrong.test
exits "test: an unknown CA, and which is missing" 1 \
	'chain +FAIL .*CN=ca.*remedy.*untrusted' probe "$secure" ca2 db.test
exits "test: a server without TLS" 1 'negotiate +FAIL .*tls_refused' \
	probe "$clear" ca db.test
exits "test: nobody there" 3 'connect +FAIL .*remedy' probe 9 ca db.test
exits "test: no such name" 3 'resolve +FAIL .*remedy' "$DBTLS" test --engine \
	postgres --server nowhere.invalid:5432 --ca "$PKI/ca.crt"
exits "test: a mode that falls back" 2 'prefer' \
	probe "$secure" ca db.test --ssl-mode prefer
exits "test: a file that is not there" 2 'missing\.crt' \
	probe "$secure" missing db.test
check_ok "test: JSON of a good server" \
	is_json probe "$secure" ca db.test --json
check_ok "test: JSON of a refusal" is_json probe "$secure" ca2 db.test --json
exits "test: what the server showed is kept" 1 '' \
	probe "$secure" ca2 db.test --save-ca "$WORK/shown.pem"
check_same "test: and is what the server has" \
	"$(openssl x509 -in "$WORK/shown.pem" -noout -fingerprint -sha256)" \
	"$(openssl x509 -in "$PKI/good.crt" -noout -fingerprint -sha256)"

# --- check, and test of an endpoint ----------------------------------------
endpoint one "$listen" "127.0.0.1:$secure" verify-full "ca = [
	\"$PKI/ca.crt\" ]; server_name = \"db.test\"; timeouts = { drain = 1; };"
dbtls_run proxy || theme_end
exits "check: a good file" 0 'one.*postgres.*verify-full.*db\.test' \
	"$DBTLS" check -c "$WORK/proxy.conf"
check_ok "check: its JSON" is_json "$DBTLS" check -c "$WORK/proxy.conf" --json
exits "test: an endpoint of the file" 0 'names +ok' \
	"$DBTLS" test one -c "$WORK/proxy.conf"
exits "test: an endpoint that is not in it" 2 'two' \
	"$DBTLS" test two -c "$WORK/proxy.conf"
check "and a session through it" '^t\|answered$' query "$listen"

# --- run -------------------------------------------------------------------
exits "run: the listener of another dbtls" 2 "served by pid ${PID[proxy]}" \
	"$DBTLS" run -c "$WORK/proxy.conf"
exits "run: open to everybody" 2 'client_tls' "$DBTLS" run --engine postgres \
	--listen "0.0.0.0:$flags" --server "127.0.0.1:$secure" \
	--ca "$PKI/ca.crt"
start proxy-flags "$DBTLS" run --engine postgres --listen "127.0.0.1:$flags" \
	--server "127.0.0.1:$secure" --ca "$PKI/ca.crt" --server-name db.test
await 10 port_open "$flags"
check "run: one endpoint, without a file" '^t\|answered$' query "$flags"
stop proxy-flags INT
check_same "run: status after SIGINT" "$status" 0

start session pg_exec 15 psql -X -d "host=127.0.0.1 port=$listen user=trusted \
dbname=app sslmode=disable" -c 'SELECT pg_sleep(60)'
await 10 log_has proxy 'event=session.open.*session=2 '
began=$(now_ms)
stop proxy
took=$(($(now_ms) - began))
check_same "run: status after SIGTERM with a session open" "$status" 0
check_most "run: milliseconds that it waited" $took 3000
check_same "run: and no fewer than the drain time" \
	$((took >= 900)) 1
check "run: the session's end" '^drain$' \
	dbtls_value proxy session.close one reason
theme_end

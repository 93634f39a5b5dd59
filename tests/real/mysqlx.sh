#!/bin/bash
# mysqlx.sh - the X protocol of MySQL 9.7 with MySQL's own driver, over all four
# pairs of legs: what works, what cannot, and in whose words.
. "$(dirname "$0")/lib.sh"

readonly NPM_XDEVAPI='@mysql/xdevapi@8.0.35'
readonly LEGS=(PP PT TP TT)
readonly LARGE_MD5=61482370e31f50cadf6b0de1dd6a4d04
readonly CIPHER='TLS_[A-Z0-9_]+' PASSWORD=x-secret
declare -A port=()

# --- clients ---------------------------------------------------------------

xdevapi_is() {
	[ "$(cat "$CACHE/xdevapi/.made-of" 2>/dev/null)" = "$NPM_XDEVAPI" ]
}
xdevapi_make() {
	! xdevapi_is || return 0
	. "$TREE/contrib/needs.sh"
	command -v npm >/dev/null || needs npm || return 1
	rm -rf "$CACHE/xdevapi"
	mkdir -p "$CACHE/xdevapi"
	echo '{ "private": true }' >"$CACHE/xdevapi/package.json"
	(cd "$CACHE/xdevapi" && npm install --no-audit --no-fund --silent \
		--ignore-scripts --omit=dev "$NPM_XDEVAPI" >&2) || return 1
	echo "$NPM_XDEVAPI" >"$CACHE/xdevapi/.made-of"
}
xdevapi_have() {
	root_make node-sid sid nodejs node-pg || return 1
	xdevapi_is || cache_locked xdevapi_make || return 1
	cp -r "$REAL/clients" "$WORK/clients"
	cp -r --reflink=auto "$CACHE/xdevapi/node_modules" "$WORK/clients"
}

ask() { # ENDPOINT LEG [JSON]...: as in clients/xdevapi.js
	local tls=false
	[[ $2 != T ]] || tls="true, \"ca\": \"$PKI/ca.crt\""
	(in_root -t 30 node-sid node "$WORK/clients/xdevapi.js" "{
		\"port\": ${port[$1]}, \"user\": \"app\", \"tls\": $tls,
		\"password\": \"${USER_PASSWORD-$PASSWORD}\",
		\"word\": \"$(word "$1.$2")\" ${3:+, $3} }")
}
# Nothing that must not be seen where it would be.
word() { # ENDPOINT.LEG
	case $1 in
	TT.T | AT.? | PT.P) echo "$CANARY" ;;
	*) echo bare ;;
	esac
}
steps() { # ENDPOINT STEP...
	(in_root -t 30 node-sid node "$WORK/clients/x_steps.js" "${port[$1]}" \
		app "$PASSWORD" "${@:2}")
}

# --- servers and endpoints -------------------------------------------------

begin_server() {
	port_new classic other
	port_new "port[direct]" secret
	my_data server mysql97 && my_certificate server good &&
		my_start server "$classic" --mysqlx=ON \
			--mysqlx-bind-address=127.0.0.1 \
			--mysqlx-port="${port[direct]}" --performance-schema=ON &&
		my_admin server "ALTER USER app IDENTIFIED BY '$PASSWORD'" \
			"GRANT SELECT ON performance_schema.* TO app"
}
# One without TLS.
begin_bare() {
	port_new bare_classic other
	port_new bare other
	my_data bare mysql97 && my_start bare "$bare_classic" --mysqlx=ON \
		--mysqlx-bind-address=127.0.0.1 --mysqlx-port="$bare"
}

begin_endpoint() { # NAME SERVER-PORT MODE FRONT [SETTINGS]
	local front=
	[ "$4" = off ] || front="client_tls = { mode = \"$4\";
		cert = \"$PKI/proxy.crt\"; key = \"$PKI/proxy.key\"; };"
	port_new "port[$1]" "$(range "$1")"
	endpoint "$1" "${port[$1]}" "127.0.0.1:$2" "$3" "${5:-} $front"
}
range() { # NAME
	case $1 in
	T*) echo secret ;;
	*) echo plain ;;
	esac
}
verified() { # CA
	echo "server_name = \"db.test\"; ca = [ \"$PKI/$1.crt\" ];"
}

begin_endpoints() {
	local legs mode front
	for legs in "${LEGS[@]}"; do
		mode=none front=off
		[[ $legs != ?T ]] || mode=verify-full
		[[ $legs != T? ]] || front=require
		begin_endpoint "$legs" "${port[direct]}" $mode $front \
			"$([ $mode = none ] || verified ca)"
	done
	begin_endpoint AT "${port[direct]}" verify-full allow "$(verified ca)"
	begin_endpoint AP "${port[direct]}" none allow
	begin_endpoint Twrong "${port[direct]}" verify-full require \
		"$(verified ca2)"
	begin_endpoint Pwrong "${port[direct]}" verify-full off \
		"$(verified ca2)"
	begin_endpoint bare "$bare" require allow
	begin_endpoint barenone "$bare" none allow
	begin_endpoint classic "$classic" require allow
	port_new nobody other
	begin_endpoint nobody "$nobody" require allow
}

# --- what is checked -------------------------------------------------------

matrix() {
	local in_clear
	check 'direct, in clear: the driver has no way to log in' \
		'^error 1045 MYSQL41 authentication is not supported' \
		ask direct P
	check 'direct, in clear: the server takes no PLAIN' \
		'^error 1251 Invalid authentication method PLAIN' \
		ask direct P '"auth": "PLAIN"'
	check 'direct, TLS' "^ok app@%\|bare\|$CIPHER\|mark" ask direct T
	in_clear=$(ask direct P)
	check_same 'PP as direct' "$(ask PP P)" "$in_clear"
	check 'PP, PLAIN: as direct' \
		'^error 1251 Invalid authentication method PLAIN' \
		ask PP P '"auth": "PLAIN"'
	check_same 'PT, nothing said of how: as direct' "$(ask PT P)" \
		"$in_clear"
	check 'PT, PLAIN' "^ok app@%\|$CANARY\|$CIPHER\|mark" \
		ask PT P '"auth": "PLAIN"'
	check 'TP, nothing said of how' \
		'^error 1251 Invalid authentication method PLAIN' ask TP T
	check 'TT, nothing said of how' \
		"^ok app@%\|$CANARY\|$CIPHER\|mark" ask TT T
	check 'TT, TLS asked for in a message of its own' \
		"^ok app@%\|$CANARY\|$CIPHER\|-" ask TT T '"attributes": false'
	check 'allow, with TLS' "^ok app@%\|$CANARY\|$CIPHER\|mark" ask AT T
	check 'allow, without' "^ok app@%\|$CANARY\|$CIPHER\|mark" \
		ask AT P '"auth": "PLAIN"'
	check 'TT is verified, says the log' '^full$' \
		dbtls_value proxy session.open TT verified
	USER_PASSWORD=wrong check 'TT, a wrong password' \
		"^error 1045 Access denied for user 'app'" ask TT T
}

# The server knows the password from the log-ins before.
other_ways() {
	local legs
	for legs in PP PT AP AT; do
		check "$legs in clear: SHA256_MEMORY, once the server has seen \
the password" '^logged in$' steps $legs sha256
	done
	for legs in TP TT AP AT; do
		check "$legs: SHA256_MEMORY within TLS" \
			'^ok, ok TLSv1.3 logged in$' steps $legs tls sha256
	done
	my_admin server 'FLUSH PRIVILEGES' "ALTER USER app IDENTIFIED BY \
'$PASSWORD'"
	check 'direct: SHA256_MEMORY, which it has not' \
		'^ok, ok TLSv1.3 error 1045 Access denied' \
		steps direct tls sha256
	check 'TT: SHA256_MEMORY, the same' \
		'^ok, ok TLSv1.3 error 1045 Access denied' \
		steps TT tls sha256
}

large() {
	check 'direct: nine megabytes' "^ok 9437184 $LARGE_MD5" \
		ask direct T '"large": true'
	check 'TT: nine megabytes' "^ok 9437184 $LARGE_MD5" \
		ask TT T '"large": true'
	check 'PT: nine megabytes' "^ok 9437184 $LARGE_MD5" \
		ask PT P '"large": true, "auth": "PLAIN"'
}

# Each leg has a tls of its own, and a server says whether it is in use.
capabilities() {
	local known=SHA256_MEMORY both start='ok, ok TLSv1.3' idle used
	both=PLAIN,$known
	idle='first=tls tls=0 ways=' used='first=tls tls=1 ways='
	check 'direct: tls is there, and then in use' \
		"^$idle$known $start $used$both\$" steps direct get tls get
	check 'AT: the same' "^$idle$both $start $used$both\$" \
		steps AT get tls get
	check 'AP: tls is ours, the ways are its' \
		"^$idle$known $start $used$known\$" steps AP get tls get
	check 'TT: until it is used there is little more' \
		"^${idle}MYSQL41,$known $start $used$both\$" \
		steps TT get tls get
	check 'PT: none is offered' \
		"^first=authentication.mechanisms tls=undefined ways=$both\$" \
		steps PT get
	check 'no TLS at the server: ours all the same' \
		"^$idle$known $start $used$known\$" \
		steps barenone get tls get
}

# What no driver of ours does, but others do.
orders() {
	local denied="error 5001 Capability prepare failed for 'tls'"
	check 'TT: attributes before TLS' '^ok ok, ok TLSv1.3 logged in$' \
		steps TT set tls plain
	check 'TT: attributes before and with TLS' \
		'^ok ok, ok TLSv1.3 logged in$' steps TT set both plain
	check 'AT: attributes before TLS' '^ok ok, ok TLSv1.3 logged in$' \
		steps AT set tls plain
	check 'TT: TLS twice, as direct' \
		"^ok, ok TLSv1.3 $denied: dbtls: TLS is up already logged in\$" \
		steps TT tls tls plain
	check 'direct: TLS twice' \
		"^ok, ok TLSv1.3 $denied logged in\$" \
		steps direct tls tls plain
	check 'PT: TLS is not offered, and the client goes on' \
		"^$denied: dbtls: this listener does not offer TLS.* logged in\$" \
		steps PT tls plain
	check 'AT: who says nothing hears nothing' '^heard 0 bytes' \
		steps AT silence
	check 'AT: garbage is no frame' '^closed' steps AT garbage
	check 'AT: TLS must be asked for' 'socket|disconnected|closed|ECONN' \
		steps AT at-once
}

refusals() {
	local untrusted='server certificate was issued by a CA that is missing'
	check 'TT: TLS is demanded' \
		'^error 3159 dbtls: client does not use TLS, which this listener demands' \
		ask TT P
	check 'TT: TLS is demanded, PLAIN' '^error 3159 dbtls: client does not' \
		ask TT P '"auth": "PLAIN"'
	check 'PT: TLS is not offered: in the words of the driver' \
		'^error 5001 .*does not support TLS' ask PT T
	check 'the wrong certificate, TLS' "^error 1045 dbtls: $untrusted" \
		ask Twrong T
	check 'the wrong certificate, in clear' "^error 1045 dbtls: $untrusted" \
		ask Pwrong P
	check 'no TLS at the server' \
		'^error 1045 dbtls: server answered with an error when asked for TLS' \
		ask bare T
	check 'and not a word of it is repeated' '^0$' \
		sh -c "grep -c 'prepare failed' '$WORK/proxy.log'"
	check 'the port of the classic protocol' \
		'^error 1045 dbtls: server does not speak the X protocol.*33060' \
		ask classic T
	check 'no server' '^error 1053 dbtls: could not connect' ask nobody T
	check 'the reason is logged' '^untrusted$' \
		dbtls_value proxy session.refused Twrong reason
	check 'and that of a server without TLS' '^tls_refused$' \
		dbtls_value proxy session.refused bare reason
	check 'and that of a client without' '^client_tls$' \
		dbtls_value proxy session.refused TT reason
}

# MySQL Router as a client that somebody else wrote, and as a server.
router() {
	local config=$WORK/router/router.conf
	port_new "port[router]" plain
	mkdir "$WORK/router"
	cat >"$config" <<-CONF
		[DEFAULT]
		logging_folder=
		runtime_folder=$WORK/router
		data_folder=$WORK/router
		[routing:x]
		bind_address=127.0.0.1
		bind_port=${port[router]}
		destinations=127.0.0.1:${port[TT]}
		routing_strategy=first-available
		protocol=x
		client_ssl_mode=DISABLED
		server_ssl_mode=REQUIRED
	CONF
	chown -R 64999:64999 "$WORK/router"
	start router in_root -u mysql97 mysqlrouter -c "$config"
	if ! await 20 port_open "${port[router]}"; then
		fail 'the router starts' "$(tail -n 5 "$WORK/router.log")"
		return
	fi
	check 'MySQL Router asks for TLS, and its client logs in' \
		'^logged in$' steps router plain
	stop router
}

# --- the theme -------------------------------------------------------------

theme_begin mysqlx
certs_make
ENGINE=mysqlx
my_have mysql97 || theme_skip "MySQL cannot be had"
xdevapi_have || theme_skip "npm's package cannot be had"
wire_begin
begin_all() {
	begin_server && begin_bare && begin_endpoints && dbtls_run proxy
}
begin_all || theme_end
refusals
matrix
other_ways
large
capabilities
orders
router
wire_end
theme_end

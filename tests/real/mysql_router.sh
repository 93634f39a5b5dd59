#!/bin/bash
# mysql_router.sh - the same logins through dbtls and through MySQL Router,
# where one leg has TLS and the other has not, as one table.  A login is cold
# when the server has forgotten the password (FLUSH PRIVILEGES, a restart) and
# caching_sha2_password wants the whole of it; warm, when it has just seen it.
. "$(dirname "$0")/lib.sh"
. "$REAL/mysql_drivers.sh"

# Ways to the server.  Those through Router are called after client_ssl_mode,
# server_ssl_mode or server_ssl_verify, and the key of Router's certificate,
# which it has only where a client may have TLS.
readonly -A WAY=(
	[direct_P]="directly, in clear"
	[direct_T]="directly, with TLS"
	[disabled_required]="PxT, Router DISABLED to REQUIRED"
	[disabled_preferred]="PxT, Router DISABLED to PREFERRED"
	[disabled_verify]="PxT, Router DISABLED to REQUIRED, verified"
	[preferred_verify_ec]="PxT, Router PREFERRED (EC key) to REQUIRED, verified"
	[preferred_verify_rsa]="PxT, Router PREFERRED (RSA key) to REQUIRED, verified"
	[dbtls_add]="PxT, dbtls none to verify-full"
	[required_disabled_ec]="TxP, Router REQUIRED (EC key) to DISABLED"
	[required_disabled_rsa]="TxP, Router REQUIRED (RSA key) to DISABLED"
	[dbtls_drop]="TxP, dbtls require to none"
)
readonly ROUTED=(disabled_required disabled_preferred disabled_verify
	preferred_verify_ec preferred_verify_rsa
	required_disabled_ec required_disabled_rsa)
readonly ORDER=(direct_P direct_T "${ROUTED[@]:0:5}" dbtls_add
	"${ROUTED[@]:5}" dbtls_drop)
declare -A port=()	# of ways, by name
declare -A count=()	# logins that worked, by way

leg_of() { # WAY: the client's
	case ${WAY[$1]} in
	*"with TLS" | TxP*) echo T ;;
	*) echo P ;;
	esac
}

# --- Router ----------------------------------------------------------------

router_defaults() { # FOLDER
	cat <<-CONF
		[DEFAULT]
		logging_folder=$1
		runtime_folder=$1
		data_folder=$1
		connect_timeout=5
		max_connect_errors=100000
		[logger]
		level=info
	CONF
}

# Its own way to add a certificate, to demand TLS and to verify.
router_way() { # WAY
	local client server=REQUIRED verify=DISABLED certificate=
	client=${1%%_*}
	case $1 in
	*_disabled*) server=DISABLED ;;
	*_preferred) server=PREFERRED ;;
	*_verify*) verify=VERIFY_IDENTITY ;;
	esac
	case $1 in
	*_ec) certificate=good ;;
	*_rsa) certificate=rsa ;;
	esac
	cat <<-CONF
		[routing:$1]
		bind_address=127.0.0.1
		bind_port=${port[$1]}
		destinations=db.test:$server_port
		routing_strategy=first-available
		protocol=classic
		client_ssl_mode=${client^^}
		server_ssl_mode=$server
		server_ssl_verify=$verify
		server_ssl_ca=$WORK/router/ca.crt
	CONF
	[ -z "$certificate" ] || cat <<-CONF
		client_ssl_cert=$WORK/router/$certificate.crt
		client_ssl_key=$WORK/router/$certificate.key
	CONF
}

router_run() {
	local way name folder=$WORK/router
	install -d -o 64999 -g 64999 -m 700 "$folder"
	for name in ca.crt {good,rsa}.{crt,key}; do
		my_install "$PKI/$name" "$folder/$name"
	done
	router_defaults "$folder" >"$folder/router.conf"
	for way in "${ROUTED[@]}"; do
		port_new "port[$way]" other
		router_way "$way" >>"$folder/router.conf"
	done
	start router in_root -u mysql97 mysqlrouter -c "$folder/router.conf"
	await 20 port_open "${port[$way]}" && alive router && return 0
	fail "MySQL Router starts" "$(tail -n 5 "$WORK/router.log" "$folder"/*.log)"
	return 1
}

router_version() {
	(in_root -t 10 mysql97 mysqlrouter --version)
}

# --- the others ------------------------------------------------------------

server_begin() {
	port_new server_port other
	port[direct_P]=$server_port
	port[direct_T]=$server_port
	my_data mysql mysql97 && my_certificate mysql good &&
		my_start mysql "$server_port"
}

# On the client's leg its certificate is the server's, by the same name.
dbtls_ways() {
	port_new "port[dbtls_add]" other
	port_new "port[dbtls_drop]" other
	ENGINE=mysql endpoint add "${port[dbtls_add]}" \
		"127.0.0.1:$server_port" verify-full \
		"server_name = \"db.test\"; ca = [ \"$PKI/ca.crt\" ];"
	ENGINE=mysql endpoint drop "${port[dbtls_drop]}" \
		"127.0.0.1:$server_port" none \
		"mysql = { get_server_public_key = true; };
		client_tls = { mode = \"require\"; cert = \"$PKI/good.crt\";
			key = \"$PKI/good.key\"; };"
	dbtls_run proxy
}

clients_begin() {
	cp -r "$REAL/clients" "$WORK/clients"
	MY_CLIENTS=(mysql97)
	my_client_is "sid's packages cannot be had" pymysql my_python
	my_client_is "npm's packages cannot be had" mysql2 my_node
}

# --- logins ----------------------------------------------------------------

log_in() { # CLIENT ACCOUNT cold|warm WAY
	my_flush mysql
	[ "$3" = cold ] || my_ask mysql97 "$2" "$server_port" T \
		host=db.test word=warm >"$WORK/warmed"
	my_ask "$1" "$2" "${port[$4]}" "$(leg_of "$4")" host=db.test word=bare
}

# In the table: "ok", the number of an error, or "-" if it has none.
short() { # ANSWER
	case $1 in
	ok*) echo ok ;;
	error\ [0-9]*) cut -d ' ' -f2 <<<"$1" ;;
	*) echo - ;;
	esac
}

# A row of the table, and what must be right in it.
row() { # CLIENT ACCOUNT cold|warm
	local way answer cells=() cipher='(TLS_|ECDHE-)[A-Z0-9_-]+'
	local -A said=()
	for way in "${ORDER[@]}"; do
		answer=$(log_in "$1" "$2" "$3" "$way")
		said[$way]=$answer
		cells+=("$(short "$answer")")
		[[ $answer != ok* ]] || count[$way]=$((${count[$way]:-0} + 1))
	done
	printf "%-8s  %-8s  %-5s$(printf '%6s' "${cells[@]}")\n" "$1" "$2" \
		"$3" >>"$WORK/table"
	rows=$((rows + 1))
	check "$1, $2, $3, ${WAY[dbtls_add]}" "^ok $2@%\|bare\|$cipher$" \
		echo "${said[dbtls_add]}"
	check "$1, $2, $3, ${WAY[dbtls_drop]}" "^ok $2@%\|bare\|clear$" \
		echo "${said[dbtls_drop]}"
}

table() {
	local i
	echo "How each reaches the server:"
	for i in "${!ORDER[@]}"; do
		printf '%4d  %s\n' $((i + 1)) "${WAY[${ORDER[$i]}]}"
	done
	printf "%-8s  %-8s  %-5s$(printf '%6d' $(seq ${#ORDER[@]}))\n" \
		client account cache
	cat "$WORK/table"
}

# Router hands a password on only under the key of its own certificate, which
# must be RSA; else it is what the server has seen before that gets in.  One
# more has been seen to, once: what Router keeps is not ours to say.
router_is() {
	local way want most
	for way in "${ROUTED[@]}"; do
		want=$((rows / 4)) # a fourth is caching and warm
		[ "$way" != preferred_verify_rsa ] || want=$rows
		most=$((want < rows ? want + 1 : rows))
		check "logins that work, of $rows: ${WAY[$way]}" \
			"^($want|$most)\$" echo "${count[$way]:-0}"
	done
}

theme_begin mysql-router
my_have mysql97 || theme_skip "sid's packages cannot be had"
certs_make
server_begin || theme_end
router_run || theme_end
dbtls_ways || theme_end
clients_begin
rows=0
for client in "${MY_CLIENTS[@]}"; do
	for account in caching sha256; do
		row "$client" "$account" cold
		row "$client" "$account" warm
	done
done
for way in direct_P direct_T dbtls_add dbtls_drop; do
	check_same "logins that work, of $rows: ${WAY[$way]}" \
		"${count[$way]:-0}" "$rows"
done
router_is
check "MySQL Router" 'Ver [0-9.]+' router_version
table
stop mysql KILL # not needed any more
stop proxy
check_same "dbtls ends with status" "$status" 0
theme_end

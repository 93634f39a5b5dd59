#!/bin/bash
# ase.sh - SAP ASE: TDS 5.0, whose TLS begins with the connection.
#
# No client of it here has TLS: where a client's leg is to have it, a small
# program (clients/tls_front.py) puts TLS around what the client says.
. "$(dirname "$0")/lib.sh"
. "$REAL/drivers_tds.sh"
. "$REAL/doubles.sh"

declare -A port=()	# of doubles, endpoints and fronts, by name
readonly BARE="select 'hello' as a, tls() as b, 42 as c"
readonly SQL="select '$CANARY' as a, tls() as b, 42 as c"
readonly CLIENTS='tsql13 tsql15 bsqldb13 bsqldb15 jtds'

double() { # NAME plain|secret|other OPTION...
	local name=$1 p
	port_new p "$2"
	port[$name]=$p
	double_start "$name" ase "$p" "${@:3}" || theme_end
}

# TLS around what a client says to PORT; the front's own port is NAME's.
front_tls() { # NAME PORT
	local p
	port_new p other
	port[$1]=$p
	start "front-$1" python3 "$REAL/clients/tls_front.py" "$p" "$2" \
		"$PKI/ca.crt" localhost
	await 10 log_has "front-$1" '^ready'
}

# A certificate whose CN alone says which server it is, as ASE has it.
named_make() { # NAME CN
	openssl req -new -newkey rsa:2048 -nodes -subj "/CN=$2" \
		-keyout "$PKI/$1.key" -out "$WORK/$1.csr" 2>/dev/null &&
		openssl x509 -req -in "$WORK/$1.csr" -CA "$PKI/ca.crt" \
			-CAkey "$PKI/ca.key" -days 30 -set_serial "0x${RANDOM}7" \
			-out "$PKI/$1.crt" 2>/dev/null &&
		cp "$PKI/$1.crt" "$PKI/$1.chain.pem"
}

said_at() { grep "^$1 " <<<"$2"; } # PORT SAID

# --- the doubles alone -----------------------------------------------------

# shellcheck disable=SC2046 # words
doubles_start() {
	double alone-clear other
	double alone-tls other $(double_tls proxy)
	front_tls to-tls "${port[alone-tls]}"
	front_tls to-clear "${port[alone-clear]}"
}

clients_alone() {
	local client said
	for client in $CLIENTS; do
		have "$client" || continue
		said=$(ase_ask "$client" not_sup - "$BARE" \
			"${port[alone-clear]}" "${port[alone-tls]}" \
			"${port[to-tls]}" "${port[to-clear]}" 2>&1)
		check "$client, the server in clear" "^[0-9]+ hello\|clear\|42" \
			said_at "${port[alone-clear]}" "$said"
		check "$client, the server has TLS: nothing" '^[0-9]+ [^|]+$' \
			said_at "${port[alone-tls]}" "$said"
		check "$client, TLS around it" "^[0-9]+ hello\|TLSv1\.3\|42" \
			said_at "${port[to-tls]}" "$said"
		check "$client, TLS around it, the server in clear: nothing" \
			'^[0-9]+ [^|]+$' said_at "${port[to-clear]}" "$said"
	done
	check_rules "the clients keep the rules" alone-clear alone-tls
	check_events "no login in clear where there is TLS" alone-tls login 0 \
		'"clear": true'
}

# --- the tables ------------------------------------------------------------
# A client's leg (with TLS: through a front) by client_tls, a server's by mode
# and by whether it has TLS; sqlserver.txt says what the words mean.

client_leg() { # clear|tls CLIENT_TLS
	case $1:$2 in
	clear:require) echo refused ;;
	tls:off) echo closed ;;
	*) echo "$1" ;;
	esac
}

# A server in clear that is spoken to in TLS says something else, or leaves; one
# with TLS leaves when it is spoken to in clear, and nobody can say why.
server_leg() { # MODE clear|tls
	case $1:$2 in
	none:clear) echo clear ;;
	none:tls) echo lost ;;
	*:clear) echo 'tls_refused|handshake|protocol|connect' ;;
	*) echo tls ;;
	esac
}

here() { echo "${1//@/$PKI}"; }
trust() { # MODE
	case $1 in
	verify-full) here 'ca = [ "@/ca.crt" ]; server_dn = "CN=ORDERS";' ;;
	verify-ca) here 'ca = [ "@/ca.crt" ];' ;;
	esac
}
front() { # CLIENT_TLS
	[ "$1" = off ] || here "client_tls = { mode = \"$1\";
		cert = \"@/proxy.crt\"; key = \"@/proxy.key\"; };"
}
add() { # NAME plain|secret|other SERVER MODE [SETTINGS]
	local p
	port_new p "$2"
	port[$1]=$p
	ENGINE=sybase endpoint "$1" "$p" "127.0.0.1:$3" "$4" "${5:-}"
}

readonly FRONTS='off allow require' MODES='none require verify-ca verify-full'

# shellcheck disable=SC2046
matrix_doubles() {
	named_make orders ORDERS || fail "a certificate" "could not be made"
	double tls secret $(double_tls orders)
	double tls-too other $(double_tls orders)	# spoken to in clear
	double clear other
}

matrix_endpoints() {
	local mode front server name where
	for mode in $MODES; do
		for server in clear tls; do
			for front in $FRONTS; do
				name=$front.$mode.$server where=plain
				[ "$front" != require ] || where=secret
				[ "$mode:$server" != none:tls ] || server=tls-too
				add "$name" $where "${port[$server]}" "$mode" \
					"$(trust "$mode") $(front "$front")"
				server=${server%-too}
			done
		done
	done
}

matrix_fronts() {
	local name
	for name in "${!port[@]}"; do
		[[ $name =~ ^(off|allow|require)\. ]] || continue
		front_tls "tls:$name" "${port[$name]}"
	done
}

cell() { # CLIENT LEG FRONT MODE SERVER LINE
	local client server name=$3.$4.$5 want text
	text="$1 $2, client_tls $3, $4, the server $5"
	client=$(client_leg "$2" "$3")
	server=$(server_leg "$4" "$5")
	case $client:$server in
	clear:clear | tls:clear) want="^[0-9]+ $CANARY\|clear\|42\$" ;;
	clear:tls | tls:tls) want="^[0-9]+ $CANARY\|TLSv1\.[23]\|42\$" ;;
	closed:*) want='^[0-9]+ [^|]+$' server='client_tls|protocol' ;;
	refused:*) want='TLS' server="client_tls|$server" ;;
	*:lost) want='^[0-9]+ [^|]+$' ;;
	*) want='dbtls' ;;
	esac
	check "$text" "$want" echo "$6"
	[[ ! $server =~ ^(clear|tls|lost)$ ]] || return 0
	check "$text: the reason" "^($server)\$" \
		dbtls_value proxy session.refused "$name" reason
}

matrix() {
	local client leg front mode server prefix ports said name
	for client in tsql13 tsql15 jtds; do
		have "$client" || continue
		for leg in clear tls; do
			prefix='' ports=()
			[ $leg = clear ] || prefix=tls:
			for name in "${!port[@]}"; do
				[[ $name =~ ^$prefix(off|allow|require)\. ]] &&
					ports+=("${port[$name]}")
			done
			said=$(ase_ask "$client" not_sup - "$SQL" \
				"${ports[@]}" 2>&1)
			matrix_rows "$client" "$leg" "$said"
		done
	done
}
matrix_rows() { # CLIENT LEG SAID
	local name
	for front in $FRONTS; do
		for mode in $MODES; do
			for server in clear tls; do
				name=$prefix$front.$mode.$server
				cell "$1" "$2" "$front" "$mode" "$server" \
					"$(said_at "${port[$name]}" "$3")"
			done
		done
	done
}

# --- names, and old servers ------------------------------------------------

# shellcheck disable=SC2046
names_endpoints() {
	local name
	double host other $(double_tls cn)
	double san other $(double_tls good)
	double parts other $(double_tls dn)
	double impostor other $(double_tls unknown)
	double old other --tls-min 1.0 --tls-max 1.1 \
		--ciphers DEFAULT:@SECLEVEL=0 $(double_tls rsa)
	double rsa-kx other --tls-max 1.2 --ciphers AES128-SHA \
		$(double_tls rsa)
	while IFS=: read -r name double settings; do
		add "$name" other "${port[$double]}" verify-full \
			"$(here "ca = [ \"@/ca.crt\" ];") $settings"
	done <<-TABLE
		cn-is-it:tls:server_dn = "CN=ORDERS";
		cn-other-case:tls:server_dn = "CN=orders";
		cn-other:tls:server_dn = "CN=SALES";
		cn-not-asked:tls:server_name = "db.test";
		cn-as-host:host:server_name = "db.test";
		dn-not-host:san:server_dn = "CN=db.test";
		dn-whole:parts:server_dn = "C=DE,O=Example\\\\, Inc.,OU=a+OU=b,CN=Orders";
		dn-part:parts:server_dn = "C=DE,CN=Orders";
		other-ca:impostor:server_dn = "CN=unknown";
		old-refused:old:server_name = "db.test";
		old-admitted:old:server_name = "db.test"; tls = { min = "1.0"; seclevel = 0; };
		kx-refused:rsa-kx:server_name = "db.test";
		kx-admitted:rsa-kx:server_name = "db.test"; tls = { ciphers = "AES128-SHA"; };
	TABLE
	add nobody other 9 verify-full "$(trust verify-full)"
}

names() {
	local name want
	have tsql15 || return 0
	while read -r name want; do
		if [ "$want" = ok ]; then
			check "$name" "$CANARY\|TLS" ase_ask tsql15 not_sup - \
				"$SQL" "${port[$name]}"
			continue
		fi
		check "$name: the client reads why" 'dbtls|TLS|certificate' \
			ase_ask tsql15 not_sup - "$SQL" "${port[$name]}"
		check "$name: the reason" "^($want)\$" \
			dbtls_value proxy session.refused "$name" reason
	done <<-TABLE
		cn-is-it ok
		cn-other-case name_mismatch
		cn-other name_mismatch
		cn-not-asked name_mismatch
		cn-as-host ok
		dn-not-host name_mismatch
		dn-whole ok
		dn-part name_mismatch
		other-ca untrusted
		old-refused weak|handshake
		old-admitted ok
		kx-refused weak|handshake
		kx-admitted ok
		nobody connect
	TABLE
	if have jtds; then
		check "jTDS prints why" 'ORDERS|SALES' ase_ask jtds not_sup - \
			"$SQL" "${port[cn-other]}"
	fi
	check "check says that an endpoint is weak" 'LEGACY' \
		"$DBTLS" check -c "$WORK/proxy.conf"
}

# --- the theme -------------------------------------------------------------

theme_begin ase
certs_make
drivers_tds_have
doubles_start
clients_alone
if ! engine_known sybase; then
	skip "dbtls" "it has no engine sybase"
	theme_end
fi

wire_begin
matrix_doubles
matrix_endpoints
names_endpoints
dbtls_run proxy || theme_end
matrix_fronts
matrix
names
check_rules "no rule broken" tls clear
check_events "no login in clear where there is TLS" tls login 0 \
	'"clear": true'
check_same "no session failed by a fault of ours" \
	"$(grep -c 'reason=internal' "$WORK/proxy.log")" 0
check_same "no password in the log" "$(grep -c "$CANARY" "$WORK/proxy.log")" 0
stop proxy
check_same "dbtls ends with status" "$status" 0
wire_end
theme_end

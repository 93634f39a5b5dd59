#!/bin/bash
# ase.sh - SAP ASE: TDS 5.0, whose TLS begins with the connection.
#
# No client of it here has TLS: FreeTDS 1.5 begins with it if told to, and then
# says a PRELOGIN, as to SQL Server.  Where a client's leg is to have TLS, a
# small program (clients/tls_front.py) puts it around what the client says.
. "$(dirname "$0")/lib.sh"
. "$REAL/drivers_tds.sh"
. "$REAL/doubles.sh"
readonly ENGINE=sybase NAMED='server_dn = "CN=ORDERS"'

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

readonly FRONTS='off allow require' MODES='none require verify-ca verify-full'

# shellcheck disable=SC2046
matrix_doubles() {
	named_make orders ORDERS || fail "a certificate" "could not be made"
	double tls secret $(double_tls orders)
	double tls-too other $(double_tls orders)	# spoken to in clear
	double clear other
}

# Where clients in clear meet a listener that demands TLS, what they say is
# seen: that one is not where nothing may be.
matrix_endpoints() {
	local mode front server where at
	for mode in $MODES; do
		for server in clear tls; do
			at=$server
			[ "$mode:$server" != none:tls ] || at=tls-too
			for front in $FRONTS; do
				where=plain
				[ "$front" != require ] || where=secret
				add "$front.$mode.$server" $where \
					"${port[$at]}" "$mode" \
					"$(trust "$mode") $(front "$front")"
			done
			add "clear.$mode.$server" other "${port[$at]}" \
				"$mode" "$(trust "$mode") $(front require)"
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

cell() { # CLIENT LEG FRONT MODE SERVER NAME LINE
	local client server want text
	text="$1 $2, client_tls $3, $4, the server $5"
	client=$(client_leg "$2" "$3")
	server=$(server_leg "$4" "$5")
	case $client:$server in
	clear:clear | tls:clear) want="^[0-9]+ $CANARY\|clear\|42\$" ;;
	clear:tls | tls:tls) want="^[0-9]+ $CANARY\|TLSv1\.[23]\|42\$" ;;
	closed:*) want='^[0-9]+ [^|]+$' server='client_tls' ;;
	refused:*) want='dbtls: client does not use TLS' server=client_tls ;;
	*:lost) want='^[0-9]+ [^|]+$' ;;
	*) want='dbtls: ' ;;
	esac
	check "$text" "$want" echo "$7"
	[[ ! $server =~ ^(clear|tls|lost)$ ]] || return 0
	check "$text: the reason" "^($server)\$" \
		dbtls_value proxy session.refused "$6" reason
}

# What a client's leg is to go to: the listener, or a front of it.
matrix_at() { # LEG FRONT MODE SERVER
	case $1:$2 in
	clear:require) echo "clear.$3.$4" ;;
	front:*) echo "tls:$2.$3.$4" ;;
	*) echo "$2.$3.$4" ;;
	esac
}

matrix() {
	local client leg
	for client in tsql13 tsql15 jtds; do
		have "$client" || continue
		for leg in clear front; do
			matrix_ask "$client" "$leg"
		done
	done
}
matrix_ask() { # CLIENT LEG
	local front mode server said name ports=()
	for name in "${!port[@]}"; do
		case $2:$name in
		clear:off.* | clear:allow.* | clear:clear.* | front:tls:*)
			ports+=("${port[$name]}")
			;;
		esac
	done
	said=$(ase_ask "$1" not_sup - "$SQL" "${ports[@]}" 2>&1)
	for front in $FRONTS; do
		for mode in $MODES; do
			for server in clear tls; do
				matrix_cell "$1" "$2" "$front" "$mode" "$server"
			done
		done
	done
}
matrix_cell() { # CLIENT LEG FRONT MODE SERVER
	local at leg=tls
	at=$(matrix_at "$2" "$3" "$4" "$5")
	[ "$2" != clear ] || leg=clear
	cell "$1" $leg "$3" "$4" "$5" "${at#tls:}" \
		"$(said_at "${port[$at]}" "$said")"
}

# --- names -----------------------------------------------------------------

# shellcheck disable=SC2046
names_endpoints() {
	local name double settings
	double host other $(double_tls cn)
	double san other $(double_tls good)
	double parts other $(double_tls dn)
	double impostor other $(double_tls unknown)
	while IFS=: read -r name double settings; do
		add "$name" other "${port[$double]}" verify-full \
			"$(here "ca = [ \"@/ca.crt\" ];") $settings"
	done <<-TABLE
		cn-is-it:tls:server_dn = "CN=ORDERS";
		cn-other-case:tls:server_dn = "CN=orders";
		cn-other:tls:server_dn = "CN=SALES";
		cn-part:tls:server_dn = "CN=ORDER";
		cn-not-asked:tls:server_name = "db.test";
		cn-as-host:host:server_name = "db.test";
		san-as-host:san:server_name = "db.test";
		san-other:san:server_name = "other.test";
		dn-not-host:san:server_dn = "CN=db.test";
		dn-whole:parts:server_dn = "C=DE,O=Example\\\\, Inc.,OU=a+OU=b,CN=Orders";
		dn-part:parts:server_dn = "C=DE,CN=Orders";
		other-ca:impostor:server_dn = "CN=unknown";
		pinned:tls:server_dn = "CN=ORDERS"; pin = "$(pin_of san)";
	TABLE
	add of-one other "${port[tls]}" verify-full "$(here "ca = [ \"@/ca.crt\" ];
		server_dn = \"CN=SALES\";")"
	of_one_overrides
	add nobody other 9 verify-full "$(trust verify-full)"
}

# The server's own name takes the place of the endpoint's.
of_one_overrides() {
	endpoints[-1]=${endpoints[-1]/server = \"127.0.0.1:${port[tls]}\"/server = \
		{ address = \"127.0.0.1:${port[tls]}\"; server_dn = \"CN=ORDERS\"; \}}
}

pin_of() { # CERTIFICATE
	printf 'sha256//%s' "$(openssl x509 -in "$PKI/good.crt" -noout -pubkey |
		openssl pkey -pubin -outform DER |
		openssl dgst -sha256 -binary | base64)"
}

names() {
	local name want client text
	while read -r name want text; do
		for client in tsql13 jtds; do
			have $client || continue
			name_checked $client "$name" "$want" "$text"
		done
	done <<-TABLE
		cn-is-it ok
		cn-other-case ok
		cn-other name_mismatch 4002.*ORDERS
		cn-part name_mismatch 4002.*ORDERS
		cn-not-asked name_mismatch 4002.*ORDERS
		cn-as-host ok
		san-as-host ok
		san-other name_mismatch 4002.*db\.test
		dn-not-host name_mismatch 4002
		dn-whole ok
		dn-part name_mismatch 4002
		other-ca untrusted 4002.*dbtls
		pinned pin_mismatch 4002.*dbtls
		of-one ok
		nobody connect 40613.*could.not.connect
	TABLE
}
name_checked() { # CLIENT NAME WANT TEXT
	if [ "$3" = ok ]; then
		check "$2, $1" "$CANARY\|TLS" ase_ask "$1" not_sup - "$SQL" \
			"${port[$2]}"
		return
	fi
	check "$2: $1 prints why" "$4" ase_ask "$1" not_sup - "$SQL" \
		"${port[$2]}"
	check "$2: the reason" "^$3\$" \
		dbtls_value proxy session.refused "$2" reason
}

# --- servers that are old --------------------------------------------------
# TLS 1.0 at most, and a key exchange by RSA; TLS 1.2, but no newer exchange.

# shellcheck disable=SC2046
old_endpoints() {
	double old other --tls-min 1.0 --tls-max 1.0 \
		--ciphers AES128-SHA:@SECLEVEL=0 $(double_tls rsa)
	double rsa-kx other --tls-max 1.2 --ciphers AES128-SHA \
		$(double_tls rsa)
	add old-refused other "${port[old]}" verify-full \
		"$(here "ca = [ \"@/ca.crt\" ];") server_name = \"db.test\";"
	add kx other "${port[rsa-kx]}" verify-full \
		"$(here "ca = [ \"@/ca.crt\" ];") server_name = \"db.test\";"
}

old() {
	local remedy said
	check "an old server is refused, tsql prints what to do" \
		'4002.*tls = \{ min = "1\.0"; seclevel = 0; \}' \
		ase_ask tsql13 not_sup - "$SQL" "${port[old-refused]}"
	check "an old server is refused: the reason" '^weak$' \
		dbtls_value proxy session.refused old-refused reason
	check_events "nothing was said to it" old login 0
	check "an exchange by RSA in TLS 1.2 is not weak" "$CANARY\|TLSv1\.2" \
		ase_ask tsql13 not_sup - "$SQL" "${port[kx]}"
	said=$("$DBTLS" test old-refused -c "$WORK/proxy.conf" 2>&1)
	remedy=$(grep -oE 'tls = \{ [^}]*\};' <<<"$said" | head -n 1)
	check "dbtls test prints the line that would admit it" \
		'^tls = \{ min = "1\.0"; seclevel = 0; \};$' echo "$remedy"
	check "check does not call it weak" '^0 ' legacy_of proxy
	add old-admitted other "${port[old]}" verify-full \
		"$(here "ca = [ \"@/ca.crt\" ];") server_name = \"db.test\"; $remedy"
	dbtls_run proxy-old || return 0
	check "an old server is admitted by that line" "$CANARY\|TLSv1\|42" \
		ase_ask tsql13 not_sup - "$SQL" "${port[old-admitted]}"
	check "the log says how" 'TLSv1 cipher=AES128-SHA ' \
		dbtls_line proxy-old session.open old-admitted
	check "check calls that weak" '^[1-9][0-9]* ' legacy_of proxy-old
	stop proxy-old
	check_same "dbtls ends with status" "$status" 0
}
legacy_of() { # NAME
	"$DBTLS" check -c "$WORK/$1.conf" >"$WORK/check.txt" 2>&1
	echo "$(grep -c LEGACY "$WORK/check.txt") times"
}

# --- byte by byte ----------------------------------------------------------

raw() { # PORT WHAT [ARGUMENT]...
	timeout -k 2 60 python3 "$REAL/clients/ase_raw.py" "$1" \
		"$TDS_PASSWORD" "${@:2}"
}
raw_tls() { # PORT WHAT [ARGUMENT]...
	timeout -k 2 60 python3 "$REAL/clients/ase_raw.py" --tls "$PKI/ca.crt" \
		localhost "$1" "$TDS_PASSWORD" "${@:2}"
}

logins() {
	local how ask at secured=${port[require.verify-full.tls]}
	for how in raw raw_tls; do
		at=${port[off.verify-full.tls]} ask="in clear"
		[ $how = raw ] || at=$secured ask="in TLS of openssl s_client"
		check "a log-in of 2 packets $ask" '^ack 5, done 0$' \
			$how "$at" login 2
		check "of 3 packets $ask" '^ack 5, done 0$' $how "$at" login 3
		check "of 100 packets $ask" '^ack 5, done 0$' \
			$how "$at" login 100
		check "byte by byte $ask" '^ack 5, done 0$' $how "$at" bytes
		check "high bytes first $ask" '^ack 5, done 0$' $how "$at" high
		check "a password under the server's key $ask" \
			'^ack 7, msg 30, done 0 ack 5, done 0$' \
			$how "$at" sealed
	done
	at=${port[cn-other]}
	check "a log-in of 20 packets is refused" \
		'^eed 4002/14/1 dbtls: .*, ack 6, done 2$' raw "$at" login 20
	check "one in clear where TLS is demanded" \
		'^eed 4002/14/1 dbtls: client does not use TLS.*, ack 6, done 2$' \
		raw "${port[clear.verify-full.tls]}" login 2
	check "one of high bytes first" \
		'^eed 4002/14/1 dbtls: .*, ack 6, done 2$' raw "$at" high
	check "one of version 4" '^error 4002/14/1 dbtls: .*, done 2$' \
		raw "$at" old
	check "one that is too long: nothing" '^closed$' raw "$at" login 100
	SECS=5 check "one of SQL Server, in TLS: nothing" '^[0-9]+[^|]*$' ase_ask \
		tsql15 strict "$PKI/ca.crt" "$SQL" "$secured"
	check "one of SQL Server: the reason" '^protocol$' dbtls_value proxy \
		session.refused require.verify-full.tls reason
	raw "$at" half
	check "and a client that leaves in the middle is no fault" \
		'^eed 4002/14/1' raw "$at" login 2
}

# --- too many --------------------------------------------------------------

limit_endpoints() {
	add one other "${port[tls]}" verify-full \
		"$(trust verify-full) max_sessions = 1;"
}
limit() {
	local client
	start holder hold_one
	await 20 log_has holder '^ack 5'
	for client in tsql13 jtds; do
		have $client || continue
		check "one too many: $client prints why" '1601.*dbtls: ' \
			ase_ask $client not_sup - "$SQL" "${port[one]}"
	done
	check "one too many: the reason" '^limit$' \
		dbtls_value proxy session.refused one reason
	stop holder
	await 20 log_has proxy 'event=session.close .*endpoint=one '
	check "the next is let in" '^ack 5' raw "${port[one]}" login 2
}
hold_one() {
	exec python3 "$REAL/clients/ase_raw.py" "${port[one]}" \
		"$TDS_PASSWORD" hold < <(exec sleep 600)
}

# --- what the log says -----------------------------------------------------

log_says() {
	if have jtds; then
		check "who a client is" 'user="app" program="jTDS"' \
			dbtls_line proxy session.open off.verify-full.tls
	fi
	check_same "no session failed by a fault of ours" \
		"$(grep -c 'reason=internal' "$WORK/proxy.log")" 0
	check_same "no password in the log" \
		"$(grep -c "$CANARY" "$WORK/proxy.log")" 0
}

# --- the theme -------------------------------------------------------------

theme_begin ase
certs_make
drivers_tds_have
doubles_start
clients_alone

wire_begin
matrix_doubles
matrix_endpoints
names_endpoints
old_endpoints
limit_endpoints
dbtls_run proxy || theme_end
matrix_fronts
matrix
log_says
names
old
logins
limit
check_rules "no rule broken" tls clear
check_events "no login in clear where there is TLS" tls login 0 \
	'"clear": true'
stop proxy
check_same "dbtls ends with status" "$status" 0
wire_end
theme_end

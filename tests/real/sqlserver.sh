#!/bin/bash
# sqlserver.sh - TDS: what drivers say to a server, alone and through dbtls.
#
# First the doubles are asked by the real clients themselves, in every mode:
# what is seen then is what the tables of sqlserver.txt begin with.  Then each
# client in each mode meets each listener in front of each server, and each
# cell must be what the tables say.  Then the rules one by one.
. "$(dirname "$0")/lib.sh"
. "$REAL/drivers_tds.sh"
. "$REAL/doubles.sh"
readonly ENGINE=sqlserver NAMED='server_name = "db.test"'

declare -A port=()	# of doubles and endpoints, by name
readonly BARE="select 'hello' as a, tls() as b, 42 as c"
readonly SQL="select '$CANARY' as a, tls() as b, 42 as c"
# $CLIENTS and $MATRIX_CLIENTS may be set, to look at some of them only.
readonly CLIENTS=${CLIENTS:-'tsql13 tsql15 bsqldb13 bsqldb15 odbc13 odbc15 pymssql22
	pymssql23 pytds111 pytds116 jtds tedious19 tedious mssql'}
# One of a kind is enough where the cells are many.
readonly MATRIX_CLIENTS=${MATRIX_CLIENTS:-'tsql13 tsql15 bsqldb15 odbc15 pymssql23 pytds116 jtds
	tedious19 tedious mssql'}
readonly SETTINGS='off on not_sup strict'

drivers_of() { # CLIENT: its name in the tables
	case $1 in
	pytds*) echo pytds ;;
	jtds) echo jtds ;;
	tedious* | mssql) echo node ;;
	*) echo freetds ;;
	esac
}

raw() { # PORT WHAT [ARGUMENT]...
	timeout -k 2 60 python3 "$REAL/clients/tds_raw.py" "$REAL/doubles" \
		"$1" "${TDS_SECRET:-$TDS_PASSWORD}" "${@:2}"
}

as_stranger() { # PORT WHAT [ARGUMENT]...
	local TDS_SECRET=wrong
	raw "$@"
}

double() { # NAME plain|secret|other OPTION...
	local name=$1 p
	port_new p "$2"
	port[$name]=$p
	double_start "$name" tds "$p" "${@:3}" || theme_end
}

# --- the doubles alone -----------------------------------------------------

# What a client that is met by no one but the server comes to.
# shellcheck disable=SC2046,SC2086 # words
doubles_start() {
	local s
	for s in $SETTINGS; do
		double "alone-$s" other --encryption "$s" $(double_tls proxy)
	done
	double alone-req other --encryption off --answer 3 $(double_tls proxy)
}

# 1.2 of MS-TDS: what the server answers, and whether it closes.
answers_alone() {
	local want
	while read -r s asked want; do
		check "the double, $s, is asked $asked" "^$want\$" \
			raw "${port[alone-$s]}" answer "$asked"
	done <<-TABLE
		off 0 0 open
		off 1 1 open
		off 2 2 open
		off 3 1 open
		on 0 3 open
		on 1 1 open
		on 2 3 closed
		on 3 1 open
		not_sup 0 2 open
		not_sup 1 2 closed
		not_sup 2 2 open
		not_sup 3 2 closed
	TABLE
}

# What the version of TLS says of a leg, or that there is none.
alone_wanted() { # CLIENT MODE SETTING
	case $2:$3 in
	strict:strict) echo 'TLSv1.3' ;;
	strict:* | *:strict | not_sup:on | old:on | on:not_sup) echo - ;;
	not_sup:* | old:* | off:not_sup) echo clear ;;
	off:off) echo login ;;
	*) echo 'TLSv1\.2' ;;
	esac
}

clients_alone() {
	local client mode said s want line
	for client in $CLIENTS; do
		have "$client" || continue
		for mode in $(tds_modes "$client"); do
			said=$(tds_ask "$client" "$mode" - "$BARE" \
				"${port[alone-off]}" "${port[alone-on]}" \
				"${port[alone-not_sup]}" "${port[alone-strict]}" \
				2>&1)
			for s in $SETTINGS; do
				line=$(grep "^${port[alone-$s]} " <<<"$said")
				alone_cell "$client" "$mode" "$s" "$line"
			done
		done
	done
}

alone_cell() { # CLIENT MODE SETTING LINE
	local want text="$1 $2, the server $3, no dbtls"
	want=$(alone_wanted "$1" "$2" "$3")
	if [ "$1:$2:$3" = jtds:off:off ]; then
		check "$text (jTDS: as it falls out)" 'hello\|login|Socket closed' \
			echo "$4"
	elif [ "$want" = - ]; then
		check "$text: nothing" '^[0-9]+ [^|]*$' echo "$4"
	else
		check "$text" "^[0-9]+ hello\|$want\|42\$" echo "$4"
	fi
}

# What the drivers do that dbtls has to reckon with.
habits_alone() {
	double_mark alone-not_sup
	double_mark alone-req
	if have tedious19; then
		tds_ask tedious19 on - "$BARE" "${port[alone-not_sup]}" >/dev/null
		check_events "tedious 19 with encrypt goes on in clear" \
			alone-not_sup after_end 1 '"type": 16'
	fi
	double_mark alone-not_sup
	if have tedious; then
		tds_ask tedious on - "$BARE" "${port[alone-not_sup]}" >/dev/null
		check_events "tedious 20 does not" alone-not_sup after_end 0
	fi
	for client in tsql13 tsql15 pytds116 tedious; do
		have "$client" || continue
		case $client in
		tsql*) want='hello\|TLSv1\.2' ;;
		*) want='[Ee]ncryption' ;;
		esac
		check "$client says NOT_SUP, and is answered REQ" "$want" \
			tds_ask "$client" not_sup - "$BARE" "${port[alone-req]}"
	done
	if have odbc15; then
		ODBC_OPTIONS=';MARS_Connection=yes' check \
			"FreeTDS with MARS" 'hello\|TLSv1\.2' \
			tds_ask odbc15 on - "$BARE" "${port[alone-off]}"
		check_same "which is SMP" \
			"$(event_value alone-off sums smp)" 1
	fi
}

# The double must be able to see what it is there for.
rules_alone() {
	local off=${port[alone-off]} e what
	check_rules "the drivers keep the rules" alone-off alone-on \
		alone-strict
	for what in merge split; do
		double_mark alone-off
		raw "$off" $what 1 >/dev/null
		check "and a client that does not ($what) is noticed" \
			'^[1-9]' event_value alone-off sums violations
	done
	double_mark alone-off
	for e in 0 1 2; do
		check "a byte at a time, $e" '^hello\|' raw "$off" slow $e
		check "LOGIN7 of two packets, $e" '^[0-9a-f]{16} hello\|' \
			raw "$off" long $e
		check "two sessions in one, $e" '\|s0 .*\|s1' raw "$off" smp $e
		check "an attention, $e" '^stopped hello' \
			raw "$off" attention $e 200000
		for size in 512 8000 16383; do
			check "300 KB in packets of $size, $e" \
				"^$size hello\|.*\|153400" \
				raw "$off" batch $e 300 $size
			check "the same in SMP, twice" \
				"^$size hello\|.*\|153400\|s0 hello.*\|s1" \
				raw "$off" smp $e 300 $size
		done
	done
	for what in joined alert 'alert late'; do
		# shellcheck disable=SC2086 # words
		check "login-only, its end: $what" '^hello\|login' \
			raw "$off" $what
	done
	check "PRELOGIN and ClientHello at once" '^1 hello\|TLSv1\.2' \
		raw "$off" together
	check "TLS 1.3 alone" 'error SSLError' raw "$off" tls13
	check "LOGIN7 without PRELOGIN, TDS 7.0" '^hello\|clear' \
		raw "$off" old 70000000
	check "TDS 8.0 without ALPN" '^2 None hello\|TLSv1\.3' \
		raw "${port[alone-strict]}" strict -
	check_events "and the rules are kept" alone-off violation 0
}

# --- the tables ------------------------------------------------------------

declare -A CLIENT_LEG=() SERVER_LEG=()
columns=()	# MODE.SETTING, in the order of the file

tables_read() {
	local kind a b c d e
	while read -r kind a b c d e; do
		if [ "$kind" = client ]; then
			CLIENT_LEG[$a,$b,off]=$c
			CLIENT_LEG[$a,$b,allow]=$d
			CLIENT_LEG[$a,$b,require]=$e
		else
			SERVER_LEG[$a.$b]=$c
			columns+=("$a.$b")
		fi
	done < <(grep -v '^#' "$REAL/sqlserver.txt")
}

# shellcheck disable=SC2046,SC2086
matrix_doubles() {
	local s
	for s in off on; do
		double "$s" secret --encryption "$s" $(double_tls rsa)
		double "clear-$s" other --encryption "$s" $(double_tls rsa)
	done
	double strict secret --encryption strict $(double_tls good)
	double not_sup secret --encryption not_sup
	double clear-not_sup other --encryption not_sup
}

matrix_endpoints() {
	local column mode setting front where direct
	for column in "${columns[@]}"; do
		mode=${column%.*} setting=${column##*.} direct=''
		[ "$mode" != none ] || setting=clear-$setting
		if [[ $mode == direct-* ]]; then
			mode=${mode#direct-} direct='tls = { direct = true; };'
		fi
		for front in off allow require; do
			where=plain
			[ $front != require ] || where=secret
			add "$front.$column" $where "${port[$setting]}" \
				"$mode" "$(trust "$mode") $direct $(front $front)"
		done
	done
}

# Is the log's word for the client's leg the right one?
leg_agrees() { # LEG LOGGED
	case $1 in
	clear) [ "$2" = cleartext ] ;;
	login) [ "$2" = 'login-only TLSv1.2' ] ;;
	tls) [[ $2 == TLSv1.2* ]] ;;
	strict) [[ $2 == TLSv1.[23]* ]] ;;
	*) true ;;
	esac
}

cell() { # CLIENT MODE FRONT COLUMN LINE: says what is wrong, and nothing else
	local name=$3.$4 leg server logged
	leg=${CLIENT_LEG[$(drivers_of "$1"),$2,$3]}
	server=${SERVER_LEG[$4]}
	# A server that wants PRELOGIN, and is not asked, leaves without a word.
	[ "$2:$server" != old:tls_refused ] || server=connect
	case $leg:$server in
	clear:clear | login:clear | tls:clear | strict:clear) want='clear' ;;
	clear:tls | login:tls | tls:tls | strict:tls) want='TLSv1\.2' ;;
	clear:strict | login:strict | tls:strict | strict:strict)
		want='TLSv1\.3' ;;
	flaky:*)
		[[ $5 =~ ($CANARY|closed|18456|40613) ]] || echo "$5"
		return
		;;
	*)	cell_refused "$leg" "$server" "$name" "$5"
		return
		;;
	esac
	[[ $5 =~ ^[0-9]+\ $CANARY\|$want\|42$ ]] || {
		echo "no answer over $want: $5"
		return
	}
	logged=$(dbtls_value proxy session.open "$name" client_leg)
	leg_agrees "$leg" "$logged" || echo "client_leg=$logged, not $leg"
}

# Who says why depends on how far the client's leg came.
cell_refused() { # CLIENT-LEG SERVER-LEG NAME LINE
	local reason=$2 logged
	case $1 in
	refused | closed) reason=client_tls ;;
	leaves) reason=- ;;
	esac
	# When a server that is no good is met first, that may be said.
	logged=$(dbtls_value proxy session.refused "$3" reason)
	if [[ $4 == *$CANARY* ]]; then
		echo "it should not have been let in: $4"
	elif [ "$reason" != - ] && [ "$logged" != "$reason" ] &&
		[ "$logged" != "$2" ]; then
		echo "refused as ${logged:-nothing}, not as $reason: $4"
	elif [[ $1 =~ ^(clear|login|tls|strict|refused)$ ]] &&
		! [[ $4 =~ (18456|40613|[Ee]ncrypt|TLS) ]]; then
		echo "the client does not know why: $4"
	fi
}

matrix() {
	local client mode front column cells=0
	for client in $MATRIX_CLIENTS; do
		have "$client" || continue
		for mode in $(tds_modes "$client"); do
			for front in off allow require; do
				matrix_row "$client" "$mode" "$front"
			done
		done
	done
	echo "         $cells cells of the matrix"
}

matrix_row() { # CLIENT MODE FRONT
	local ports=() said line wrong before=$failed marks='' text
	for column in "${columns[@]}"; do
		ports+=("${port[$3.$column]}")
	done
	said=$(tds_ask "$1" "$2" "$(matrix_ca "$1" "$2")" "$SQL" \
		"${ports[@]}" 2>&1)
	for column in "${columns[@]}"; do
		line=$(grep "^${port[$3.$column]} " <<<"$said")
		text=$(cell "$1" "$2" "$3" "$column" "${line:-no line}")
		cells=$((cells + 1))
		if [ -z "$text" ]; then
			passed=$((passed + 1))
			marks+=.
		else
			failed=$((failed + 1))
			marks+=F
			wrong+="            $column: ${text:0:300}"$'\n'
		fi
	done
	if [ "$failed" = "$before" ]; then
		printf 'ok       %-10s %-8s %-8s %s\n' "$1" "$2" "$3" "$marks"
	else
		printf 'NOT OK   %-10s %-8s %-8s %s\n%s' "$1" "$2" "$3" "$marks" \
			"$wrong"
	fi
}

# Node's drivers verify by it; jTDS cannot.
matrix_ca() { # CLIENT MODE
	case $(drivers_of "$1"):$2 in
	node:on | freetds:on | freetds:off | *:strict) echo "$PKI/ca.crt" ;;
	*) echo - ;;
	esac
}

matrix_sums() {
	local name
	check_rules "one packet in a record, and no rule broken" off on strict
	for name in off on strict; do
		check_events "no LOGIN7 in clear at $name" "$name" login 0 \
			'"clear": true'
		check_events "all log-ins at $name are good" "$name" login 0 \
			'"ok": false'
	done
	for name in not_sup clear-on; do
		check_events "no LOGIN7 reaches $name" "$name" login 0
	done
	check_events "and nothing where TLS was refused" not_sup after_end 0
	for name in off on; do
		check_events "each flight is a message, in packets of 4096" \
			"$name" tls 0 '"flights": [013-9]'
		check_events "no session is resumed" "$name" tls 0 \
			'"resumed": true'
	done
	check_events "TDS 8.0 is asked for by ALPN" strict tls 0 '"alpn": null'
}

# --- the rules, one by one -------------------------------------------------

# A certificate that, with its chain, is larger than a TDS packet.
big_make() {
	local i san=DNS:db.test,DNS:localhost,IP:127.0.0.1
	for ((i = 0; i < 150; i++)); do
		san+=,DNS:a-name-to-make-it-large-$i.db.test
	done
	openssl req -new -newkey rsa:2048 -nodes -subj /CN=big \
		-keyout "$PKI/big.key" -out "$WORK/big.csr" 2>/dev/null &&
		openssl x509 -req -in "$WORK/big.csr" -CA "$PKI/ca.crt" \
			-CAkey "$PKI/ca.key" -days 30 -set_serial 77001 \
			-out "$PKI/big.crt" 2>/dev/null \
			-extfile <(echo "subjectAltName=$san") &&
		cp "$PKI/big.crt" "$PKI/big.chain.pem"
	[ "$(openssl x509 -in "$PKI/big.crt" -outform DER | wc -c)" -gt 4500 ]
}

# shellcheck disable=SC2046,SC2086
rules_doubles() {
	local on="other --encryption on" rsa
	rsa=$(double_tls rsa)
	double chain $on $(double_tls big)
	double unknown $on $(double_tls unknown)
	double misnamed $on $(double_tls other)
	double says0 $on --answer 0 $rsa
	double says2 $on --answer 2 $rsa
	double silence $on --misbehave silence
	double garbage $on --misbehave garbage
	double nothing $on --misbehave no_encryption $rsa
	double type12 $on --misbehave prelogin_type $rsa
	double type04 $on --handshake-type 0x04 $rsa
	double each $on --misbehave eom_each --handshake-packet 512 \
		$(double_tls big)
	double more $on --misbehave prelogin_more $rsa
	double bits $on --bits 1 $rsa
	double tls13 $on --wrapped-tls13 --tls-min 1.3 $rsa
	double route $on --routing 127.0.0.1:9 $rsa
	double route-db $on --routing 127.0.0.1:9/app $rsa
	double azure $on --server-name a $(double_tls many)
}

readonly PEERS='chain unknown misnamed says0 says2 silence garbage nothing
	type12 type04 each more bits tls13 route route-db'

rules_endpoints() {
	local trust name
	trust=$(trust verify-full)
	for name in $PEERS; do
		add "to-$name" other "${port[$name]}" verify-full "$trust
			timeouts = { handshake = 5.0; };"
	done
	add insist secret "${port[off]}" verify-full "$trust"
	add front-chain other "${port[off]}" verify-full \
		"$trust $(front require big)"
	add keep other "${port[azure]}" verify-full "$trust
		sqlserver = { rewrite_server_name = \"off\"; };"
	rename rewrite verify-full "ca = [ \"$PKI/ca.crt\" ];
		server_name = \"a.test\";"
	rename rewrite-host verify-ca "$(trust verify-ca)"
}

# A server that is dialled by the name localhost.
rename() { # NAME MODE TRUST
	local p
	port_new p other
	port[$1]=$p
	endpoint "$1" "$p" "localhost:${port[azure]}" "$2" \
		"$3 sqlserver = { rewrite_server_name = \"on\"; };"
}

# What each of the listeners answers, 1.6 of the notes on the wire.
listeners_answer() {
	local front asked want
	while read -r front asked want; do
		check "client_tls $front is asked $asked" "^$want\$" \
			raw "${port[$front.verify-full.off]}" answer "$asked"
	done <<-TABLE
		off 0 2 open
		off 1 1 open
		off 2 2 open
		off 3 1 open
		allow 0 0 open
		allow 1 1 open
		allow 2 2 open
		allow 3 1 open
		require 0 3 open
		require 1 1 open
		require 2 3 open
		require 3 1 open
	TABLE
}

# What is refused: who said what, and what the client and the log say.
peer_refused() { # NAME REASONS REGEX [NUMBER]
	check "$1: the client reads why" "^error Said ${4:-18456}/.*($3)" \
		raw "${port[to-$1]}" query 2
	check "$1: the reason logged" "^($2)\$" \
		dbtls_value proxy session.refused "to-$1" reason
	check_events "$1: no LOGIN7 came" "$1" login 0
}

peers() {
	local p name
	peer_refused unknown untrusted 'CA|issuer|anchor|trust'
	peer_refused misnamed name_mismatch 'db\.test'
	peer_refused says0 downgrade 'TLS|[Ee]ncrypt'
	peer_refused says2 downgrade 'TLS|[Ee]ncrypt'
	peer_refused nothing downgrade 'TLS|[Ee]ncrypt'
	peer_refused garbage protocol '.'
	peer_refused type12 protocol '.'
	peer_refused more handshake 'not TLS'
	peer_refused silence timeout '.' 40613
	peer_refused tls13 weak 'no version of TLS'
	for name in chain type04 bits; do
		check "$name: a session" '^hello\|TLSv1\.2' \
			raw "${port[to-$name]}" query 2
	done
	check "a flight in many messages: TLS tells where it ends" \
		'^hello\|TLSv1\.2' raw "${port[to-each]}" query 2
	for name in route route-db; do
		check "$name: not passed on, and the client reads why" \
			'^error Said 18456/14 dbtls: .*past the proxy' \
			raw "${port[to-$name]}" query 2
		check_same "$name: the reason logged" "$(dbtls_value proxy \
			session.refused "to-$name" reason)" redirect
	done
	for name in chain type04 bits; do
		check_rules "the rules" "$name"
	done
}

server_names() {
	check "ServerName is rewritten" '^hello\|' \
		raw "${port[rewrite]}" query 2
	check_same "to the server's name" \
		"$(event_value azure login server)" a.test
	check "which is that of its address if it has no other" \
		'^error Said 40532/.*localhost' \
		raw "${port[rewrite-host]}" query 2
	check "or kept, and Azure does not take it" \
		'^error Said 40532/.*db\.test' raw "${port[keep]}" query 2
	for client in tsql15 tedious pytds116 jtds; do
		have "$client" || continue
		double_mark azure
		check "$client: LOGIN7 is whole after it" \
			"^[0-9]+ $CANARY\|TLS" tds_ask "$client" not_sup - \
			"$SQL" "${port[rewrite]}"
		check_events "$client: and ServerName is another" azure login \
			1 '"server": "a.test"'
	done
}

# Client legs that drivers seldom have, in front of a server with TLS.
odd_clients() {
	local p=${port[allow.verify-full.off]} e size strict what
	double_mark off
	for e in 0 1 2; do
		check "a byte at a time, $e" '^hello\|TLSv1\.2' raw "$p" slow $e
		check "LOGIN7 of two packets, $e" '^988ad1e27179852c hello\|TLS' \
			raw "$p" long $e
		check "two sessions in one, $e" 'TLSv1\.2.*\|s0 .*\|s1' \
			raw "$p" smp $e
		check "an attention, $e" '^stopped hello' \
			raw "$p" attention $e 200000
		check "many packets in a record, $e" 'TLSv1\.2\|122\|30520' \
			raw "$p" merge $e
		check "records that end anywhere, $e" 'TLSv1\.2\|15\|30520' \
			raw "$p" split $e
		for size in 512 8000 16383; do
			check "300 KB in packets of $size, $e" \
				"^$size hello\|TLSv1\.2\|.*\|153400" \
				raw "$p" batch $e 300 $size
			check "the same in SMP, twice" \
				"^$size hello\|TLSv1\.2.*\|153400\|s0 .*\|s1" \
				raw "$p" smp $e 300 $size
		done
	done
	for what in joined alert 'alert late'; do
		# shellcheck disable=SC2086 # words
		check "login-only, its end: $what" '^hello\|TLSv1\.2' \
			raw "$p" $what
	done
	check "the server's own errors pass" \
		'^error Said 50000/16 own words' raw "$p" query 1 \
		"raiserror('own words', 16, 1)"
	check "a log-in that the server refuses" \
		"^error Said 18456/14 Login failed for user 'app'" \
		as_stranger "$p" query 0
	check "PRELOGIN and ClientHello at once" '^1 hello\|TLSv1\.2' \
		raw "$p" together
	check "TDS 8.0 without ALPN" 'None hello\|TLSv1\.2' raw "$p" strict -
	check "TDS 8.0, 300 KB in packets of 16383" '16383 hello\|TLSv1\.2' \
		raw "$p" batch strict 300 16383
	check_events "one packet in a record, always" off violation 0
	check "all records are so" '^[1-9]' event_value off sums records
	strict=${port[allow.direct-verify-full.strict]}
	double_mark strict
	for e in 0 1 2 strict; do
		check "7.x and 8.0 in front of 8.0, $e" \
			'^8000 hello\|TLSv1\.3\|.*\|153400' \
			raw "$strict" batch $e 300 8000
	done
	check_events "one packet in a record there too" strict violation 0
}

# What must not come to a server.
intruders() {
	local p=${port[allow.verify-full.off]}
	local require=${port[require.verify-full.off]} client
	double_mark off
	check "TLS 1.3 alone: told why, at once" 'PROTOCOL_VERSION' \
		raw "$p" tls13
	check "LOGIN7 in clear behind an ON" '^error' raw "$p" inject
	check "LOGIN7 in clear after ON was agreed" '^error' raw "$p" clear 1
	check "LOGIN7 in clear where TLS is required: told why" \
		'^error Said 18456/.*(TLS|[Ee]ncrypt)' raw "$require" clear 2
	check_same "and the reason logged" "$(dbtls_value proxy \
		session.refused require.verify-full.off reason)" client_tls
	check "LOGIN7 without PRELOGIN where TLS is required: told why" \
		'^error Said 18456/.*(TLS|[Ee]ncrypt)' \
		raw "$require" old 71000001
	check_events "none of it came to the server" off login 0
	double_mark not_sup
	double_mark off
	for client in tedious19 tedious mssql; do
		have "$client" || continue
		check "$client with encrypt, listeners without TLS" \
			'( error ESOCKET .*handshake failure.*){3}' tds_ask "$client" \
			on "$PKI/ca.crt" "$SQL" "${port[off.verify-full.off]}" \
			"${port[off.verify-full.not_sup]}" "${port[insist]}"
	done
	check_events "LOGIN7 never came to the server" off login 0
	check_events "nor to the other" not_sup login 0
	# That it was never on the wire is what wire_end() says of this port.
	check_same "and why is logged" "$(dbtls_value proxy \
		session.refused insist reason)" client_tls
}

# jTDS before encryption: LOGIN7 is the first thing that it says.
without_prelogin() {
	local version want column
	for version in 70000000 71000001; do
		while read -r column want; do
			check "TDS $version without PRELOGIN: $column" "$want" \
				raw "${port[$column]}" old $version
		done <<-TABLE
			off.none.off ^hello\|clear
			allow.none.off ^hello\|clear
			off.verify-full.off ^hello\|TLSv1\.2
			allow.verify-full.on ^hello\|TLSv1\.2
			off.direct-verify-full.strict ^hello\|TLSv1\.3
			off.verify-full.not_sup ^error.Said.18456
			off.none.on ^error
		TABLE
	done
}

# The ENCRYPTION byte is rewritten in place, and nothing else is.
one_byte() {
	local direct through reply
	double_mark alone-off
	double_mark off
	raw "${port[alone-off]}" query 2 >/dev/null
	direct=$(event_value alone-off prelogin body)
	raw "${port[off.verify-full.off]}" query 2 >/dev/null
	through=$(event_value off prelogin body)
	check_same "PRELOGIN differs in so many bytes" \
		"$(differences "$direct" "$through")" 1
	reply=$(raw "${port[off.verify-full.off]}" replied 2)
	check_same "and the answer to it" "$(differences "$reply" \
		"$(event_value off prelogin_reply body)")" 1
	check_same "SNI is the server's name" "$(event_value off hello sni)" \
		db.test
	check_events "no more than TLS 1.2 is offered" off hello 0 0304
}
differences() { # HEX HEX
	cmp -l <(fold -w 2 <<<"$1") <(fold -w 2 <<<"$2") 2>&1 | grep -c .
}

# Drivers that stop, and drivers with sessions in one.
drivers_besides() {
	local p=${port[allow.verify-full.off]} client
	for client in tedious19 tedious; do
		have "$client" || continue
		check "$client cancels 200000 rows, and goes on" \
			'cancelled, goes on' tds_ask "$client" on "$PKI/ca.crt" \
			"cancel 200000" "$p"
	done
	if have odbc15; then
		ODBC_OPTIONS=';MARS_Connection=yes' check "FreeTDS with MARS" \
			"$CANARY\|TLSv1\.2" tds_ask odbc15 on "$PKI/ca.crt" \
			"$SQL" "$p"
		check_same "which is SMP" "$(event_value off sums smp)" 1
	fi
	for client in tsql13 tsql15 pymssql23 pytds116 jtds tedious mssql; do
		have "$client" || continue
		check "$client reads a chain of more than 4 KB" \
			"$CANARY\|TLSv1\.2" tds_ask "$client" on - "$SQL" \
			"${port[front-chain]}"
		check "$client prints why" 'db\.test' tds_ask "$client" \
			not_sup - "$SQL" "${port[to-misnamed]}"
		check "$client prints that it was to be sent on" \
			'past the proxy' tds_ask "$client" \
			not_sup - "$SQL" "${port[to-route]}"
	done
}

# --- a third opinion -------------------------------------------------------
# nmap speaks PRELOGIN only to port 1433, so that is where dbtls listens, on an
# address of loopback that nothing else uses.

nmap_add() {
	local address=127.14.33.$((RANDOM % 250 + 1))
	port[nmap]=$address
	endpoints+=("{ name = \"nmap\"; engine = \"sqlserver\";
		listen = \"$address:1433\"; ssl_mode = \"verify-full\";
		server = \"127.0.0.1:${port[off]}\"; $(trust verify-full)
		$(front require) }")
}
nmap_says() {
	(in_root -t 120 nmap-sid \
		LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/blas nmap -n -Pn -p 1433 --script \
		ssl-enum-ciphers,ssl-cert,ms-sql-info "${port[nmap]}")
}
nmap_asks() {
	root_make nmap-sid sid nmap || {
		skip "nmap" "it cannot be had"
		return 0
	}
	nmap_says >"$WORK/nmap.log" 2>&1
	check "nmap finds TLS 1.2 in PRELOGIN" 'TLSv1\.2:.*ECDHE' \
		cat "$WORK/nmap.log"
	check "and no TLS before it" 'least strength: A' cat "$WORK/nmap.log"
	check "and dbtls' certificate" 'Subject: commonName=proxy' \
		cat "$WORK/nmap.log"
}

# --- the theme -------------------------------------------------------------

theme_begin sqlserver
certs_make
big_make || fail "a large certificate" "could not be made"
drivers_tds_have
tables_read
doubles_start
answers_alone
clients_alone
habits_alone
rules_alone
if ! engine_known sqlserver; then
	skip "dbtls" "it has no engine sqlserver"
	theme_end
fi

wire_begin
matrix_doubles
rules_doubles
matrix_endpoints
rules_endpoints
nmap_add
dbtls_run proxy || theme_end
matrix
matrix_sums
listeners_answer
one_byte
peers
server_names
odd_clients
intruders
without_prelogin
drivers_besides
nmap_asks
check_same "no end is taken for a stream that was cut" \
	"$(grep -cE 'reason=(client|server)_truncated' "$WORK/proxy.log")" 0
check_same "no session failed by a fault of ours" \
	"$(grep -c 'reason=internal' "$WORK/proxy.log")" 0
check_same "no password in the log" \
	"$(sed -E 's/ program=("[^"]*"|[^ ]*)//' "$WORK/proxy.log" |
		grep -c "$CANARY")" 0
stop proxy
check_same "dbtls ends with status" "$status" 0
wire_end
theme_end

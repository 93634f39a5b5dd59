#!/bin/bash
# oracle.sh - Oracle Net: a listener that says "again", "again in another TLS"
# and "over there", and drivers that hear nothing of it through dbtls.
#
# First the double is met by the drivers themselves.  Then each driver, in clear
# and in TLS, asks each server for each of those answers; what comes back in the
# end is an error of the double's that tells how the session has come to it.
# Names are known to dbtls and not to the clients: this runs with a hosts file
# of its own.
. "$(dirname "$0")/lib.sh"

if [ "${1:-}" != inside ]; then
	exec unshare --mount --propagation private -- "$0" inside
fi
. "$REAL/drivers_oracle.sh"
. "$REAL/doubles.sh"

declare -A port=()	# of doubles and endpoints, by name
readonly CLIENTS=${CLIENTS:-$ORACLE_CLIENTS}
readonly SERVERS='clear tls12 tls13'
readonly HOSTS='ora1.db ora2.db ora3.db scan.other'
readonly ANSWERS='accept refuse resend resend8 redirect behind data
	databehind redirect8'

double() { # NAME plain|secret|other OPTION...
	local name=$1 p
	port_new p "$2"
	port[$name]=$p
	double_start "$name" tns "$p" --word "$CANARY" "${@:3}" || theme_end
}

raw() { # ENDPOINT LEG SERVICE WHAT [ARGUMENT]...
	timeout -k 2 60 python3 "$REAL/clients/tns_raw.py" "$REAL/doubles" \
		"${port[$1]}" "${@:2}"
}

# What a double knows, by the service that is asked for.
services() { # tcp|tcps HOST
	local it=redirect:$1:$2:0 one
	for one in accept=accept refuse=refuse resend=resend,accept \
		resend8=resend8,accept "redirect=$it" "behind=$it:b" \
		"data=$it:d" "databehind=$it:bd" 'moved=refuse;accept' \
		"redirect8=$it;resend8,accept" \
		resend4=resend,resend,resend,resend,accept \
		resend5=resend,resend,resend,resend,resend,accept \
		resend84=resend8,resend8,resend8,resend8,accept \
		"loop=$it;$it" silence=silence garbage=garbage close=close; do
		echo --service "$one"
	done
}

# What a driver reads of a session, or of a refusal.
wanted() { # ANSWER TLS
	local handshakes=1 connects=1 redirected=False service=$1
	case $1 in
	refuse)
		echo '(NJS-518|DPY-6001).*"refuse" is not registered'
		return
		;;
	resend) connects=2 ;;
	resend8) connects=2 handshakes=2 ;;
	redirect8) connects=2 handshakes=2 redirected=True ;;
	redirect | behind) redirected=True ;;
	data | databehind) redirected=True service=moved ;;
	esac
	[ "$2" != None ] || handshakes=0
	echo "ORA-20000: $CANARY tls=$2 handshakes=$handshakes $(
	)connects=$connects redirected=$redirected service=$service( |\$)"
}

tls_of() { # SERVER
	local -A tls=([clear]=None [tls12]='TLSv1\.2' [tls13]='TLSv1\.3')
	echo "${tls[$1]}"
}

# --- the doubles alone -----------------------------------------------------

# shellcheck disable=SC2046 # words
doubles_alone() {
	double alone-clear other $(services tcp localhost)
	double alone-tls12 other $(services tcps localhost) \
		$(double_tls proxy) --tls-max 1.2
	double alone-tls13 other $(services tcps localhost) \
		$(double_tls proxy) --tickets
	double alone-oob other --service accept=accept --oob
}

# node takes flag 8 for TLS where there is none; this python follows no
# redirect that is in the packet itself, and forgets to say that it does.
knows() { # CLIENT ANSWER SERVER
	case $1:$2:$3 in
	node:*8:clear) return 1 ;;
	python:redirect* | python:behind:* | python:*data*) return 1 ;;
	esac
}

clients_alone() {
	local client server answer said protocol
	for client in $CLIENTS; do
		have "$client" || continue
		for server in $SERVERS; do
			protocol=tcps
			[ "$server" != clear ] || protocol=tcp
			for answer in $ANSWERS; do
				knows "$client" "$answer" "$server" || continue
				check "$client alone, $server, $answer" \
					"$(wanted "$answer" "$(tls_of "$server")")" \
					ora_ask "$client" "$(ora_name $protocol \
						"${port[alone-$server]}" "$answer")"
			done
		done
	done
	check_rules "the drivers keep the rules" alone-clear alone-tls12 \
		alone-tls13
}

# The double must see what it is there for.
rules_alone() {
	local leg how want
	if have python; then
		double_mark alone-oob
		ora_ask python "$(ora_name tcp "${port[alone-oob]}" accept)" \
			>/dev/null
		check_events "python alone sends urgent data" alone-oob oob 1
	fi
	while read -r leg how want; do
		double_mark "alone-${leg/%tls/tls13}"
		check "where TLS begins anew, the old one ($leg) says $how" \
			'^type 11' \
			raw "alone-${leg/%tls/tls13}" "$leg" resend8 forsaken \
			"$how"
		check "which is noticed" "$want in the old session" \
			events "alone-${leg/%tls/tls13}" violation
	done <<-TABLE
		tls connect data
		tls12 connect data
		tls close close_notify
		tls12 close alert
	TABLE
}

# --- the matrix ------------------------------------------------------------

front() { # clear|tls
	[ "$1" = clear ] || echo "client_tls = { mode = \"require\";
		cert = \"$PKI/proxy.chain.pem\"; key = \"$PKI/proxy.key\"; };"
}

add() { # NAME plain|secret|other HOST:PORT MODE [SETTINGS]
	local p trust=''
	port_new p "$2"
	port[$1]=$p
	[[ $4 != verify-* ]] || trust="ca = [ \"$PKI/ca.crt\" ];"
	ENGINE=oracle endpoint "$1" "$p" "$3" "$4" "$trust ${5:-}"
}

# ora1.db has a certificate for ora1.db.internal, or for that of OTHER.
member_make() { # NAME [OTHER]
	openssl req -new -newkey rsa:2048 -nodes \
		-subj "/C=DE/O=Example/CN=$1" -keyout "$PKI/$1.key" \
		-out "$WORK/$1.csr" 2>/dev/null &&
		openssl x509 -req -in "$WORK/$1.csr" -CA "$PKI/ca.crt" \
			-CAkey "$PKI/ca.key" -days 30 -set_serial "0x${RANDOM}7" \
			-out "$PKI/$1.crt" 2>/dev/null -extfile \
			<(echo "subjectAltName=DNS:${2:-$1}.internal") &&
		cp "$PKI/$1.crt" "$PKI/$1.chain.pem"
}

# shellcheck disable=SC2046 # words
matrix_start() {
	local server leg mode where more
	double clear other $(services tcp ora1.db.internal)
	double tls12 secret $(services tcps ora1.db.internal) \
		$(double_tls ora1.db) --tls-max 1.2
	double tls13 secret $(services tcps ora1.db.internal) \
		$(double_tls ora1.db) --tickets
	for server in $SERVERS; do
		mode=verify-full
		[ "$server" != clear ] || mode=none
		for leg in clear tls; do
			where=plain more=''
			[ $leg = clear ] || where=secret
			[ $leg:$mode != tls:none ] ||
				more='cleartext_server = true;'
			add "$leg-$server" $where \
				"ora1.db.internal:${port[$server]}" $mode \
				"$(front $leg) $more"
		done
	done
}

matrix() {
	local client server leg
	for client in $CLIENTS; do
		have "$client" || continue
		for leg in clear tls; do
			for server in $SERVERS; do
				matrix_row "$client" "$leg" "$server"
			done
		done
	done
	# shellcheck disable=SC2086 # names
	check_rules "what comes from dbtls" $SERVERS
	for server in $SERVERS; do
		check_events "no urgent data is offered to $server" "$server" \
			connect 0 '"oob": true'
		check_events "none has come to $server" "$server" oob 0
	done
	check "the service is still asked for in the driver's own words" \
		'"protocol": "tcps?", "host": "localhost"' \
		events tls13 connect
	check_same "SNI is the server's name" "$(event_value tls13 hello sni)" \
		ora1.db.internal
}

matrix_row() { # CLIENT LEG SERVER
	local names=() answer said protocol=tcps i=0
	[ "$2" = tls ] || protocol=tcp
	for answer in $ANSWERS; do
		names+=("$(ora_name $protocol "${port[$2-$3]}" "$answer")")
	done
	mapfile -t said < <(ora_ask "$1" "${names[@]}" 2>/dev/null)
	for answer in $ANSWERS; do
		check "$1, $2 to $3, $answer" \
			"$(wanted "$answer" "$(tls_of "$3")")" \
			echo "${said[i]:-no line}"
		i=$((i + 1))
	done
}

# --- the rules, one by one -------------------------------------------------

pin_of() { # CERTIFICATE
	openssl x509 -in "$PKI/$1.crt" -noout -pubkey |
		openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary |
		base64 | sed 's,^,sha256//,'
}

# shellcheck disable=SC2046 # words
rules_start() {
	local name
	double ora2 other --service accept=accept --service 'moved=accept' \
		$(double_tls ora2.db)
	double scan other $(double_tls scan.other)
	double ora1 other $(services tcps ora1.db.internal) \
		--service accept2="redirect:tcps:ora2.db.internal:${port[ora2]}" \
		--service tcp="redirect:tcp:ora1.db.internal:${port[clear]}" \
		--service wrong="redirect:tcps:ora3.db.internal:0" \
		--service address=redirect:tcps:127.0.0.1:0 \
		--service address2=redirect:tcps:127.0.0.2:0 \
		--service scan="redirect:tcps:scan.other.internal:${port[scan]}" \
		$(double_tls ora1.db)
	double dn other $(services tcps ora1.db.internal) $(double_tls dn)
	double mtls other $(services tcps ora1.db.internal) \
		$(double_tls ora1.db) --client-ca "$PKI/clients.crt"
	for name in unknown expired other; do
		double "then-$name" other --service again=resend8,accept \
			$(double_tls ora1.db) --second \
			"$PKI/$name.chain.pem" "$PKI/$name.key"
	done
	double then-ora2 other --service again=resend8,accept \
		$(double_tls ora1.db) --second "$PKI/ora2.db.chain.pem" \
		"$PKI/ora2.db.key"
	# The name and the CA are right, and it is another certificate.
	member_make renewed ora1.db
	double then-renewed other --service again=resend8,accept \
		$(double_tls ora1.db) --second "$PKI/renewed.chain.pem" \
		"$PKI/renewed.key"
	for name in 315 317 318; do
		double v$name other --service accept=accept --oob \
			--version $name $(double_tls ora1.db)
	done
	double bits other $(services tcps ora1.db.internal) \
		$(double_tls ora1.db) --bits 1
	double oob other --service accept=accept --oob
}

# One has a service that says nothing, and one takes its time over each byte.
patience_with() { # DOUBLE
	case $1 in
	ora1) echo 4.0 ;;
	*) echo 30.0 ;;
	esac
}

rules_endpoints() {
	local name host=ora1.db.internal
	for name in ora1 mtls bits v315 v317 v318 then-unknown then-expired \
		then-other then-ora2 then-renewed; do
		add "to-$name" other "$host:${port[$name]}" verify-full \
			"timeouts = { handshake = $(patience_with "$name"); };"
	done
	add to-oob other "$host:${port[oob]}" none
	add to-require other "$host:${port[ora1]}" require
	add require-then-renewed other "$host:${port[then-renewed]}" require
	add to-listed other "$host:${port[ora1]}" verify-full \
		'oracle = { redirect_allow = [ "*.other.internal" ]; };'
	add to-identity other "$host:${port[mtls]}" verify-full \
		"identity = { cert = \"$PKI/client.crt\";
			key = \"$PKI/client.key\"; };"
	add to-dn other "$host:${port[dn]}" verify-full \
		'server_dn = "CN=Orders";'
	add to-pin other "$host:${port[ora1]}" verify-full \
		"pin = [ \"$(pin_of ora1.db)\" ];"
	add to-dn-ora1 other "$host:${port[ora1]}" verify-full \
		'server_dn = "CN=ora1.db";'
	add to-other-dn other "$host:${port[dn]}" verify-full \
		'server_dn = "CN=Others";'
	add to-sni other "$host:${port[ora1]}" verify-full \
		'oracle = { sni = true; };'
	add to-nothing other "$host:1" verify-full
	add to-one other "$host:${port[ora1]}" verify-full 'max_sessions = 1;'
}

# What the client is told and what the log says.
refused() { # TEXT ENDPOINT SERVICE REASON NUMBER
	check "$1: the client is told $5" "^refuse $5 " \
		raw "$2" clear "$3" connect
	check_same "$1: the reason logged" \
		"$(dbtls_value proxy session.refused "$2" reason)" "$4"
}

redirects() {
	check "to a host of the same domain" '^accept 319 ' \
		raw to-ora1 clear accept2 connect
	check "which is asked for by its own name" 'ora2\.db\.internal' \
		event_value ora2 hello sni
	check_events "and told that this follows a redirect" ora2 connect 1 \
		'"flags": 4'
	check "to an address of the same name" '^accept 319 ' \
		raw to-ora1 clear address connect
	refused "to an address that it has not" to-ora1 address2 redirect 28860
	refused "to a host elsewhere" to-ora1 scan redirect 28860
	check_events "which hears nothing of it" scan open 0
	refused "to the same under require" to-require scan redirect 28860
	refused "to where the certificate has another name" to-ora1 wrong \
		name_mismatch 29024
	refused "to where the key is another than is pinned" to-pin accept2 \
		pin_mismatch 29024
	refused "to where the subject is another" to-dn-ora1 accept2 \
		name_mismatch 29024
	check "and all is right where it came from" '^accept .*' \
		raw to-pin clear redirect8 connect
	check_events "and ora2 has heard no more" ora2 connect 1
	double_mark clear
	for name in ora1 require; do
		refused "into the clear ($name)" "to-$name" tcp redirect 28860
	done
	check_events "where nothing comes" clear open 0
	refused "round and round" to-ora1 loop redirect 28860
	check "to a host that is listed" '^accept 319 ' \
		raw to-listed clear scan connect
	check_events "with a handshake" scan connect 1 '"tls": "TLSv1.3"'
}

# The second handshake is judged like the first.
second_handshakes() {
	local name reason
	while read -r name reason; do
		refused "the second certificate is $name" "to-then-$name" \
			again "$reason" 29024
		check_events "CONNECT came once" "then-$name" connect 1
	done <<-TABLE
		unknown untrusted
		expired expired
		other name_mismatch
		ora2 name_mismatch
		renewed pin_mismatch
	TABLE
	refused "the second certificate is another, under require" \
		require-then-renewed again pin_mismatch 29024
	check "four times anew" '^accept ' raw to-ora1 clear resend84 connect
	check "four times again" '^accept ' raw to-ora1 clear resend4 connect
	refused "and no fifth" to-ora1 resend5 protocol 28860
	check "with the client's certificate each time" '^accept ' \
		raw to-identity clear redirect8 connect
	check_events "it was seen in all three sessions" mtls connect 3 \
		'"peer": "CN=client'
	check "and without it" '^refuse' raw to-mtls clear resend8 connect
	check "server_dn" '^accept ' raw to-dn clear redirect8 connect
	refused "another server_dn" to-other-dn accept name_mismatch 29024
	check "a byte at a time" '^accept ' raw to-bits clear redirect8 connect
	check_rules "no session that was given up is used" ora1 mtls bits \
		then-unknown then-ora2 then-renewed
}

connects() {
	local size behind said
	for size in 60 230 231 1000 4000 8182 20000 65535; do
		for behind in '' behind; do
			[ "$behind" = behind ] || [ "$size" -lt 65400 ] ||
				continue
			said=$(raw to-ora1 clear resend8 connect "$size" 74 \
				$behind)
			check "data of $size bytes $behind" '^accept ' echo "$said"
			check_same "is the same at the end" \
				"$(event_value ora1 connect hash)" \
				"${said##* }"
		done
	done
	for size in 58 70; do
		check "a head of $size bytes" '^accept ' \
			raw to-ora1 clear accept connect 200 $size
		check_same "which stays so" \
			"$(event_value ora1 connect offset)" $size
	done
	for size in "a name" S4.svc1.V3.319; do
		check "the client's SNI is $size" '^accept ' \
			raw tls-tls13 tls accept sni "${size// /-}"
	done
	check "service in SNI" '^accept ' raw to-sni clear accept connect
	check "as Oracle 23ai reads it" '^S6\.accept\.V3\.319$' \
		event_value ora1 hello sni
}

after_accept() {
	local leg server name
	for leg in clear tls; do
		for server in $SERVERS; do
			check "1 MB both ways, $leg to $server" \
				'^got 1048576 sent 1048576 same$' \
				raw "$leg-$server" $leg accept both 1048576
		done
	done
	for name in 315 317 318; do
		check "version $name, offered urgent data" \
			"^accept $name 0001 00000000\$" \
			raw to-v$name clear accept oob
		check "1 MB both ways, version $name" '^got .* same$' \
			raw to-v$name clear accept both 1048576
	done
	check "urgent data where it was not agreed" '^accept .* after$' \
		raw to-oob clear accept urgent
	check_events "goes no further" oob oob 0
	if have python; then
		check "python, in clear to a server that would have it" \
			"ORA-20000: $CANARY" ora_ask python \
			"$(ora_name tcp "${port[to-oob]}" accept)"
		check_events "sends none" oob oob 0
	fi
}

refusals() {
	local client
	refused "no server" to-nothing accept connect 12541
	refused "a server that is silent" to-ora1 silence timeout 12170
	refused "a server that is none" to-ora1 garbage protocol 28860
	check "a server that leaves" '^refuse ' raw to-ora1 clear close connect
	for client in $CLIENTS; do
		have "$client" || continue
		check "$client prints the number" '12541' ora_ask "$client" \
			"$(ora_name tcp "${port[to-nothing]}" accept)"
		check "$client prints that of a certificate" '29024' ora_ask \
			"$client" "$(ora_name tcp "${port[to-ora1]}" wrong)"
	done
	check "TNS where TLS is wanted" '^refuse 28860 ' \
		raw tls-tls13 clear accept connect
	check_same "the reason logged" \
		"$(dbtls_value proxy session.refused tls-tls13 reason)" client_tls
	check "TLS where none is" '^error' raw to-ora1 tls accept connect
}

# A listener is asked without a service, and answers all the same; or for one.
# shellcheck disable=SC2046 # words
probes_start() {
	local name script to=redirect:tcps:ora1.db.internal:0
	while read -r name script; do
		double "probe-$name" other --service "=$script" \
			$(double_tls ora1.db)
		add "probe-$name" other "ora1.db.internal:${port[probe-$name]}" \
			verify-full
	done <<-TABLE
		ping refuse:0
		refuse refuse
		sid refuse:12505
		again resend,resend,refuse
		anew resend8,refuse
		moved $to:b;resend8,refuse
		away redirect:tcps:scan.other.internal:${port[scan]}
		clear redirect:tcp:ora1.db.internal:${port[clear]}
	TABLE
	# What is asked for by name, a ping does not meet.
	double probe-named other --service '=refuse:0' $(double_tls ora1.db) \
		--service accept=resend8,accept --service no=refuse:12514 \
		--service "moved=$to:b;resend,resend8,accept" \
		--service "movedno=$to;resend8,refuse" --tickets
	add probe-named other "ora1.db.internal:${port[probe-named]}" \
		verify-full
	double probe-wrong other --service '=refuse:0' \
		--service accept=resend8,accept $(double_tls ora1.db) \
		--second "$PKI/ora2.db.chain.pem" "$PKI/ora2.db.key"
	add probe-wrong other "ora1.db.internal:${port[probe-wrong]}" \
		verify-full
	add probe-plain other "ora1.db.internal:${port[clear]}" none
}

probe() { # NAME [OPTION]...
	"$DBTLS" test "$1" -c "$WORK/proxy.conf" "${@:2}" 2>/dev/null
	echo "status $?"
}
probes() {
	local name status word
	while read -r name status word; do
		check "dbtls test: a listener that says: $name" \
			"$word.*status $status\$" probe "probe-$name"
	done <<-TABLE
		ping 0 answer +ok +the listener is there; .*--service
		refuse 0 answer +ok +REFUSE, TNS-12514.*remedy: .lsnrctl services
		sid 0 answer +ok +REFUSE, TNS-12505: .*no such SID
		again 0 answer +ok +RESEND: .*CONNECT.*and once more; REFUSE, TNS-
		anew 0 again +ok +RESEND with flag 8: .*server process.*same socket.*; TLSv1.3.*TNS-12514
		moved 0 redirect +ok +REDIRECT: .*; to ora1.*TNS-12514
		away 1 redirect +FAIL.*redirect_allow
		clear 1 FAIL +server sends us on to a place without TLS
	TABLE
	check "dbtls test: another server_dn" 'CN=Orders.*status 1' \
		probe to-other-dn
	check_rules "and breaks no rule" probe-refuse probe-again probe-anew \
		probe-moved
	check_events "it says that it follows a redirect" probe-moved connect \
		2 '"flags": 4'
}

probes_of_services() {
	local endpoint service status word
	while read -r endpoint service status word; do
		check "dbtls test --service $service, $endpoint" \
			"$word.*status $status\$" \
			probe "probe-$endpoint" --service "$service"
	done <<-TABLE
		named accept 0 again +ok +RESEND with flag 8: .*answer +ok +ACCEPT
		named no 3 answer +FAIL +REFUSE, TNS-12514: .*remedy: .lsnrctl.*refused +connect
		named moved 0 again +ok .*redirect +ok .*answer +ok +RESEND: .*; ACCEPT
		named movedno 3 again +ok .*redirect +ok .*answer +FAIL +REFUSE, TNS-12514
		wrong accept 1 again +ok .*ended by us, because of the certificate.*name_mismatch
		plain resend 0 negotiate +ok .*answer +ok +RESEND: .*; ACCEPT
		plain refuse 3 answer +FAIL +REFUSE, TNS-12514
	TABLE
	check "where a ping sees nothing of all that" \
		'answer +ok +the listener is there.*status 0' probe probe-wrong
	check "dbtls test --sid" 'TNS-12514.*status 3$' probe probe-refuse \
		--sid ORCL
	check_rules "which breaks no rule either" probe-named probe-wrong
	check "it asks as drivers do" '"service": "accept", "protocol": "tcps", '$(
	)'"host": "ora1.db.internal"' events probe-named connect
	check_events "and leaves in order what has accepted" probe-named left 2 \
		'"how": "close_notify"'
}

# What the small fetches of a CDC task pay: printed, and no verdict.
pairs_show() {
	local leg said
	for leg in clear tls; do
		said=$(raw "$leg-tls13" $leg accept pairs "${PAIRS:-10000}" \
			10000 "${port[tls13]}" tls)
		echo "         fetches of 10000 bytes, $leg to TLS:" \
			"microseconds through dbtls, in TLS direct, ratio: $said"
	done
}

# --- the theme -------------------------------------------------------------

# --- a server of 2010 ------------------------------------------------------
# As the cloud's guide has it, without a tool of Oracle's: TLS 1.0, AES256-SHA, a
# key of 1024 bits, a self-signed certificate of version 1, which goes into a
# wallet for whoever connects.

old_certificate() {
	openssl req -new -newkey rsa:1024 -nodes -keyout "$PKI/old.key" \
		-subj /CN=ora2010 -out "$WORK/old.csr" 2>/dev/null &&
		openssl x509 -req -in "$WORK/old.csr" -signkey "$PKI/old.key" \
			-days 3650 -sha1 -out "$PKI/old.chain.pem" 2>/dev/null
}

old_add() { # [SETTINGS]
	ENGINE=oracle endpoint old-one "${port[old-one]}" \
		"localhost:${port[old]}" verify-ca \
		"ca = [ \"$WORK/wallet\" ]; ${1:-}"
}

# shellcheck disable=SC2046 # words
old_server() {
	local client p
	mkdir "$WORK/wallet"
	check_ok "old: its certificate" old_certificate
	check "old: which goes into a wallet" 'auto-login wallet of 1 certificate' \
		"$DBTLS" cert wallet --ca "$PKI/old.chain.pem" \
		--out "$WORK/wallet"
	double old secret --service accept=accept $(double_tls old) \
		--tls-min 1.0 --tls-max 1.0 --ciphers AES256-SHA@SECLEVEL=0
	port_new p plain
	port[old-one]=$p
	old_add
	dbtls_config "$WORK/strict.conf"
	endpoints=()
	check "old: refused as it is, and what would admit it" \
		'tls = \{ min = "1\.0"; seclevel = 0; \};.*refused +weak' \
		"$DBTLS" test old-one -c "$WORK/strict.conf"
	old_add 'tls = { min = "1.0"; seclevel = 0; };'
	dbtls_run proxy-old || return
	check "old: check marks it" LEGACY \
		"$DBTLS" check -c "$WORK/proxy-old.conf"
	for client in $CLIENTS; do
		have "$client" || continue
		check "old: $client gets there" "ORA-20000: $CANARY tls=TLSv1 " \
			ora_ask "$client" "$(ora_name tcp "${port[old-one]}" \
				accept)"
	done
	check_same "old: verified, as the log has it" \
		"$(dbtls_value proxy-old session.open old-one verified |
			sort -u)" ca
	check "old: with" 'AES256-SHA' \
		dbtls_value proxy-old session.open old-one cipher
	stop proxy-old
}

theme_begin oracle
certs_make
{
	cat /etc/hosts
	for name in $HOSTS; do
		echo "127.0.0.1 $name.internal"
		member_make "$name"
	done
} >"$WORK/hosts"
mount --bind "$WORK/hosts" "$(realpath /etc/hosts)" ||
	theme_skip "no hosts file of its own can be had"
drivers_oracle_have
doubles_alone
clients_alone
rules_alone
if ! engine_known oracle; then
	skip "dbtls" "it has no engine oracle"
	theme_end
fi

wire_begin
matrix_start
rules_start
rules_endpoints
probes_start
dbtls_run proxy || theme_end
matrix
redirects
second_handshakes
connects
after_accept
refusals
probes
probes_of_services
pairs_show
check_same "no session failed by a fault of ours" \
	"$(grep -c 'reason=internal' "$WORK/proxy.log")" 0
check_same "no canary in the log" "$(grep -c "$CANARY" "$WORK/proxy.log")" 0
stop proxy
check_same "dbtls ends with status" "$status" 0
old_server
wire_end
theme_end

#!/bin/bash
# mongodb.sh - MongoDB: TLS from the first byte, and a hello that tells where
# the members of a replica set are, which is not where dbtls is.
#
# The members' names are known to dbtls and not to the clients, as it is where
# a proxy is needed: so this runs with a hosts file of its own.
. "$(dirname "$0")/lib.sh"

if [ "${1:-}" != inside ]; then
	exec unshare --mount --propagation private -- "$0" inside
fi
. "$REAL/drivers_tds.sh"
. "$REAL/doubles.sh"
readonly ENGINE=mongodb NAMED='server_name = "db.test"'

declare -A port=()	# of doubles and endpoints, by name
readonly CLIENTS='pymongo3 pymongo4 mongodb'
readonly FRONTS='off allow require' MODES='none require verify-ca verify-full'

double() { # NAME plain|secret|other OPTION...
	local name=$1 p
	port_new p "$2"
	port[$name]=$p
	double_start "$name" mongo "$p" "${@:3}" || theme_end
}

# What a client leg is like; NAMED clients verify the name that they dial.
uri() { # PORT clear|tls|x509 [OPTIONS]
	local who="app:$TDS_PASSWORD@" tls="tls=true&tlsCAFile=$PKI/ca.crt"
	case $2 in
	clear) tls='' ;;
	x509)
		who='' tls+="&authMechanism=MONGODB-X509"
		tls+="&tlsCertificateKeyFile=$PKI/client.both.pem"
		;;
	esac
	echo "mongodb://$who${HOST:-localhost}:$1/?serverSelectionTimeoutMS=$(
	)${PATIENCE:-8000}${tls:+&$tls}${3:+&$3}"
}

round() { # CLIENT URI...
	mongo_ask "$1" round "$CANARY" "${@:2}"
}
round_bare() { # CLIENT URI...
	mongo_ask "$1" round hello "${@:2}"
}

# A certificate for a member of the set.
member_make() { # NAME
	openssl req -new -newkey rsa:2048 -nodes -subj "/CN=$1" \
		-keyout "$PKI/$1.key" -out "$WORK/$1.csr" 2>/dev/null &&
		openssl x509 -req -in "$WORK/$1.csr" -CA "$PKI/ca.crt" \
			-CAkey "$PKI/ca.key" -days 30 -set_serial "0x${RANDOM}7" \
			-out "$PKI/$1.crt" 2>/dev/null -extfile \
			<(echo "subjectAltName=DNS:$1.internal") &&
		cp "$PKI/$1.crt" "$PKI/$1.chain.pem"
}

# --- the doubles alone -----------------------------------------------------

readonly ELSEWHERE='--auth --set-name rs0 --primary db1.internal:27017
	--hosts db1.internal:27017,db2.internal:27017 --me db1.internal:27017
	--arbiters db3.internal:27017'

# shellcheck disable=SC2046,SC2086 # words
doubles_start() {
	double alone-clear other --auth
	double alone-tls other --auth $(double_tls proxy)
	double alone-x509 other --auth $(double_tls proxy) \
		--client-ca "$PKI/clients.crt"
	double alone-set other $ELSEWHERE
	cat "$PKI/client.crt" "$PKI/client.key" >"$PKI/client.both.pem"
}

clients_alone() {
	local client clear tls set PATIENCE
	clear=${port[alone-clear]} tls=${port[alone-tls]} set=${port[alone-set]}
	for client in $CLIENTS; do
		have "$client" || continue
		check "$client, in clear" '^ok hello\|1\|localhost' \
			round_bare "$client" "$(uri "$clear" clear)"
		check "$client, TLS" '^ok hello\|1\|localhost' \
			round_bare "$client" "$(uri "$tls" tls)"
		check "$client, its certificate is its user" '^ok hello' \
			round_bare "$client" "$(uri "${port[alone-x509]}" x509)"
		check "$client, another password" \
			'^error 18 .*Authentication failed' round_bare "$client" \
			"mongodb://app:wrong@localhost:$clear/"
		check "$client, a set that is elsewhere, direct" '^ok hello' \
			round_bare "$client" "$(uri "$set" clear \
				directConnection=true)"
		PATIENCE=2000
		check "$client, a set that is elsewhere" \
			"$(elsewhere "$client")" \
			round_bare "$client" "$(uri "$set" clear)"
		check "$client, a set that is elsewhere, by name" \
			'^error .*db1\.internal' round_bare "$client" \
			"$(uri "$set" clear replicaSet=rs0)"
		PATIENCE=8000
		check "$client, replies in batches" '^ok 1000' \
			mongo_ask "$client" batches "x" "$(uri "$tls" tls)"
	done
	check "the subject that the double saw" '^CN=client$' \
		event_value alone-x509 auth user
	check_rules "the drivers keep the rules" alone-clear alone-tls \
		alone-x509 alone-set
	check "speculative authentication is used" '^[1-9]' \
		events_count alone-clear hello_command '"SCRAM-SHA-256"'
}
# pymongo 3 does not discover what it is not asked to.
elsewhere() { # CLIENT
	if [ "$1" = pymongo3 ]; then
		echo '^ok hello'
	else
		echo '^error .*db1\.internal'
	fi
}

# --- the tables ------------------------------------------------------------

# shellcheck disable=SC2046
matrix_doubles() {
	double tls secret --auth $(double_tls good)
	double tls-too other --auth $(double_tls good)	# spoken to in clear
	double clear other --auth
}

matrix_endpoints() {
	local mode front server name where
	for mode in $MODES; do
		for server in clear tls; do
			for front in $FRONTS; do
				name=$front.$mode.$server where=plain
				[ "$front" != require ] || where=secret
				[ "$mode:$server" != none:tls ] || server="tls-too"
				add "$name" $where "${port[$server]}" "$mode" \
					"$(trust "$mode") $(front "$front")"
				server=${server%-too}
			done
		done
	done
}

cell() { # CLIENT LEG FRONT MODE SERVER
	local client server name=$3.$4.$5 want text PATIENCE=1500
	text="$1 $2, client_tls $3, $4, the server $5"
	client=$(client_leg "$2" "$3")
	server=$(server_leg "$4" "$5")
	case $client:$server in
	clear:clear | tls:clear | clear:tls | tls:tls)
		want="^ok $CANARY\|1\|" PATIENCE=20000
		;;
	closed:*) want='^error' server='client_tls|protocol' ;;
	refused:*) want='^error .*TLS' server="client_tls|$server" ;;
	*:lost)
		want='^error .*dbtls.*(closed|TLS)'
		server='connect|tls_refused'
		;;
	*) want='^error .*dbtls' ;;
	esac
	check "$text" "$want" round "$1" \
		"$(uri "${port[$name]}" "$2" directConnection=true)"
	[[ ! $server =~ ^(clear|tls)$ ]] || return 0
	check "$text: the reason" "^($server)\$" \
		dbtls_value proxy session.refused "$name" reason
}

matrix() {
	local client leg front mode server
	for client in $CLIENTS; do
		have "$client" || continue
		for leg in clear tls; do
			for front in $FRONTS; do
				for mode in $MODES; do
					for server in clear tls; do
						cell "$client" $leg "$front" \
							"$mode" $server
					done
				done
			done
		done
	done
}

# --- the rest --------------------------------------------------------------

# shellcheck disable=SC2046
others_start() {
	double x509 other --auth $(double_tls good) \
		--client-ca "$PKI/clients.crt"
	double misnamed other --auth $(double_tls other)
	double unknown other --auth $(double_tls unknown)
	double bulk other --auth $(double_tls good)	# more than can be watched
	add bulk-front other "${port[bulk]}" verify-full "$(trust verify-full)"
	add as-client other "${port[x509]}" verify-full "$(trust verify-full)
		$(here 'identity = { cert = "@/client.crt";
			key = "@/client.key"; };')"
	add to-misnamed other "${port[misnamed]}" verify-full \
		"$(trust verify-full)"
	add to-unknown other "${port[unknown]}" verify-full \
		"$(trust verify-full)"
	add to-nobody other 9 verify-full "$(trust verify-full)"
}

refused() { # CLIENT ENDPOINT REASON REGEX
	local PATIENCE=1500
	check "$1 reads why: $3" "^error .*$4" round "$1" \
		"$(uri "${port[$2]}" clear directConnection=true)"
	check_same "and the reason logged" \
		"$(dbtls_value proxy session.refused "$2" reason)" "$3"
}

others() {
	local client p direct=directConnection=true
	p=${port[off.verify-full.tls]}
	for client in $CLIENTS; do
		have "$client" || continue
		refused "$client" to-misnamed name_mismatch 'db\.test'
		refused "$client" to-unknown untrusted 'CA|issuer|anchor|trust'
		refused "$client" to-nobody connect 'refused|connect'
		check "$client: dbtls' certificate is the user" "^ok $CANARY" \
			round "$client" "mongodb://localhost:${port[as-client]}/$(
			)?$direct&authMechanism=MONGODB-X509"
		check "$client: replies in batches" '^ok 1000' mongo_ask \
			"$client" batches x "$(uri "$p" clear $direct)"
		check "$client: 48 MB there and back" \
			'^ok 15990000\|15990000\|15990000' mongo_ask "$client" \
			large x "$(uri "${port[bulk-front]}" clear $direct)"
	done
	check "in one message" '^4[78][0-9]{6}$' longest bulk
	check_same "SNI is the server's name" "$(event_value tls hello sni)" \
		db.test
}
longest() { # NAME: the bytes of the largest message
	events "$1" command | grep -oE '"bytes": [0-9]+' |
		grep -oE '[0-9]+' | sort -n | tail -n 1
}

# A hello that is waited for longer than anything else takes.
rests() {
	local client uri
	uri=$(uri "${port[off.verify-full.tls]}" clear directConnection=true)
	for client in pymongo4 mongodb; do
		have "$client" || continue
		double_mark tls
		check "$client rests for 13 seconds" '^ok rested\|0 of' \
			mongo_ask "$client" rest:13 x "$uri"
		check "with hellos that wait (exhaust)" '^[1-9]' \
			events_count tls hello_command '"exhaust": true'
	done
}

# --- a replica set ---------------------------------------------------------

readonly MEMBERS='db1 db2 db3'

# db3 is a member that cannot become primary.
set_start() {
	local name p hosts='' passive
	for name in $MEMBERS; do
		member_make "$name" || fail "a certificate" "could not be made"
		port_new p secret
		port[$name]=$p
		[ "$name" = db3 ] || hosts+=${hosts:+,}$name.internal:$p
	done
	passive=db3.internal:${port[db3]}
	echo "db1.internal:${port[db1]}" >"$WORK/primary"
	for name in $MEMBERS; do
		# shellcheck disable=SC2046
		double_start "$name" mongo "${port[$name]}" --auth --set-name rs0 \
			$(double_tls "$name") --hosts "$hosts" --passives \
			"$passive" --primary "db1.internal:${port[db1]}" \
			--me "$name.internal:${port[$name]}" \
			--primary-file "$WORK/primary" || theme_end
	done
}
elect() { # NAME
	local name
	echo "$1.internal:${port[$1]}" >"$WORK/primary"
	for name in $MEMBERS; do
		kill -USR1 "${PID[$name]}"
	done
}

# The endpoint of the set: a listen address for each member, in their order.
set_endpoint() { # NAME plain|secret pass|rewrite SETTINGS
	local name p listen='' server=''
	for name in $MEMBERS; do
		port_new p "$2"
		port[$1-$name]=$p
		listen+="${listen:+, }\"127.0.0.1:$p\""
		server+="${server:+, }\"$name.internal:${port[$name]}\""
	done
	endpoints+=("{ name = \"$1\"; engine = \"mongodb\";
		listen = [ $listen ]; server = [ $server ];
		ssl_mode = \"verify-full\"; $(here 'ca = [ "@/ca.crt" ];')
		mongodb = { hosts = \"$3\"; }; ${4:-} }")
}

set_client() { # CLIENT
	local client=$1 name options primary HOST=127.0.0.1
	primary=127.0.0.1:${port[set-db1]}
	for name in $MEMBERS; do
		for options in '' replicaSet=rs0; do
			# pymongo 3 stays where it is unless a set is named.
			[ "$client$options" != pymongo3 ] || [ "$name" = db1 ] ||
				continue
			check "$client discovers the set from \
$name${options:+, $options}" \
				"^ok $CANARY\|1\|(localhost|$primary)" round \
				"$client" "$(uri "${port[set-$name]}" clear \
				"$options")"
		done
	done
}

replica_set() {
	local client name PATIENCE HOST=127.0.0.1
	for client in $CLIENTS; do
		have "$client" || continue
		set_client "$client"
		check "$client discovers the set in TLS" "^ok $CANARY" round \
			"$client" "$(uri "${port[set-tls-db2]}" tls \
			replicaSet=rs0)"
		PATIENCE=2000
		check "$client, hosts = pass: the members' own names" \
			'^error .*db1\.internal' round "$client" \
			"$(uri "${port[pass-db1]}" clear replicaSet=rs0)"
		PATIENCE=8000
	done
	for name in $MEMBERS; do
		check "$name was said hello to" '[1-9]' events_count "$name" \
			hello_command
		check_rules "no rule broken" "$name"
	done
	check "what is written goes to the primary" '^[1-9]' \
		events_count db1 command '"insert"'
	check_same "and nowhere else" "$(events_count db2 command \
		'"insert"')$(events_count db3 command '"insert"')" 00
}
events_count() { events "$@" | wc -l; }

# The topology changes while hellos are waited for: those that come in one
# after the other, unasked, are rewritten as well.
set_changes() {
	local client told pid HOST=127.0.0.1
	for client in pymongo4 mongodb; do
		have "$client" || continue
		double_mark db1
		mongo_ask "$client" rest:6 x \
			"$(uri "${port[set-db1]}" clear replicaSet=rs0)" \
			>"$WORK/rest.out" 2>&1 &
		pid=$!
		await 20 waits_for_hello
		for _ in 1 2 3; do
			told=$(events_count db1 hello_reply)
			kill -USR1 "${PID[db1]}"
			await 5 told_again
		done
		wait $pid
		check "$client, three elections in a rest" '^ok rested\|0 of' \
			cat "$WORK/rest.out"
		check "told by hellos that nobody asked for" '^([3-9]|..+)$' \
			events_count db1 hello_reply '"exhaust": true'
	done
}
# Writes follow the primary, and stay behind dbtls.
set_elects() {
	local client pid F=$WORK/moves HOST=127.0.0.1
	for client in $CLIENTS; do
		have "$client" || continue
		rm -f "$F.ready" "$F.go"
		mongo_ask "$client" "moves:$F" x \
			"$(uri "${port[set-db1]}" clear replicaSet=rs0)" \
			>"$WORK/moves.out" 2>&1 &
		pid=$!
		await 20 test -e "$F.ready"
		elect db2
		touch "$F.go"
		wait $pid
		check "$client follows the primary" "^ok $HOST:$(
		)${port[set-db1]}\|$HOST:${port[set-db2]}" \
			cat "$WORK/moves.out"
		elect db1
	done
}

# The others are still found.
set_lacks() {
	local client HOST=127.0.0.1
	stop db3
	for client in $CLIENTS; do
		have "$client" || continue
		check "$client does without a member that is down" \
			"^ok $CANARY" round "$client" \
			"$(uri "${port[set-db1]}" clear replicaSet=rs0)"
	done
	check "nobody is dialled in its place" ":${port[db3]}: .*refused" \
		dbtls_value proxy session.refused set detail
}
waits_for_hello() { [ -n "$(events db1 hello_command '"exhaust": true')" ]; }
told_again() { [ "$(events_count db1 hello_reply)" -gt "$told" ]; }

# --- the theme -------------------------------------------------------------

theme_begin mongodb
certs_make
{
	cat /etc/hosts
	for name in $MEMBERS; do
		echo "127.0.0.1 $name.internal"
	done
} >"$WORK/hosts"
mount --bind "$WORK/hosts" "$(realpath /etc/hosts)" ||
	theme_skip "no hosts file of its own can be had"
drivers_mongo_have
doubles_start
clients_alone
if ! engine_known mongodb; then
	skip "dbtls" "it has no engine mongodb"
	theme_end
fi

wire_begin
matrix_doubles
matrix_endpoints
others_start
set_start
set_endpoint set plain rewrite
set_endpoint set-tls secret rewrite "$(front require)"
set_endpoint pass plain pass
dbtls_run proxy || theme_end
matrix
others
rests
replica_set
set_changes
set_elects
set_lacks
check_rules "no rule broken" tls clear bulk
check_same "no session failed by a fault of ours" \
	"$(grep -c 'reason=internal' "$WORK/proxy.log")" 0
check_same "no password in the log" "$(grep -c "$CANARY" "$WORK/proxy.log")" 0
stop proxy
check_same "dbtls ends with status" "$status" 0
wire_end
theme_end

#!/bin/bash
# bridge.sh - transparent endpoints on a host between two networks: a client, a
# bridge and two hosts of databases, each in a network namespace of its own
# that goes with this process.  Connections are brought by REDIRECT and by
# TPROXY, over IPv4 and IPv6; nothing is forwarded, so what arrives has gone
# through dbtls.
. "$(dirname "$0")/lib.sh"
. "$REAL/doubles.sh"

readonly v=15
# What is downloaded must be so before there is another network.
if [ "${1:-}" != inside ]; then
	pg_have $v
	my_have mariadb118
	exec 9</proc/self/ns/net
	exec unshare --net --mount --propagation private -- "$0" inside
fi

readonly PORT=15001 PG=5432 MY=3306 ORA=1521
readonly ONE=10.91.2.2 TWO=10.91.3.2 CLIENT=10.91.1.2
readonly ONE6=fd91:2::2 TWO6=fd91:3::2 CLIENT6=fd91:1::2
readonly NEAR=10.91.1.1 FROM=10.91.2.1 FROM6=fd91:2::1	# the bridge's own

# --- the networks ----------------------------------------------------------

host() { # NAME NUMBER
	ip netns add "$1" &&
		ip link add "$1" type veth peer name eth netns "$1" &&
		ip address add "10.91.$2.1/24" dev "$1" &&
		ip address add "fd91:$2::1/64" dev "$1" nodad &&
		ip link set "$1" up && ip -n "$1" link set lo up &&
		ip -n "$1" address add "10.91.$2.2/24" dev eth &&
		ip -n "$1" address add "fd91:$2::2/64" dev eth nodad &&
		ip -n "$1" link set eth up &&
		ip -n "$1" route add default via "10.91.$2.1" &&
		ip -n "$1" -6 route add default via "fd91:$2::1"
}

network() {
	ip link set lo up && mkdir -p /run/netns &&
		mount -t tmpfs none /run/netns &&
		host client 1 && host one 2 && host two 3 || return 1
	echo 'nameserver 127.0.0.1' >"$WORK/resolv.conf"
	mount --bind "$WORK/resolv.conf" "$(realpath /etc/resolv.conf)"
	# What has the mark is for a socket of this machine.
	ip rule add fwmark 1 lookup 100 &&
		ip route add local 0.0.0.0/0 dev lo table 100 &&
		ip -6 rule add fwmark 1 lookup 100 &&
		ip -6 route add local ::/0 dev lo table 100
}

# So that answers to a client's address come back to the socket that has it.
readonly ANSWERS='meta l4proto tcp socket transparent 1 meta mark set 1 accept'

rules_none() { nft flush ruleset; }

rules_redirect() {
	nft -f - <<-NFT
		flush ruleset
		table inet between {
			chain marks {
				type filter hook prerouting priority mangle
				$ANSWERS
			}
			chain nat {
				type nat hook prerouting priority dstnat
				iifname client ip daddr $NEAR accept
				iifname client meta l4proto tcp redirect to :$PORT
			}
		}
	NFT
}

rules_tproxy() {
	nft -f - <<-NFT
		flush ruleset
		table inet between {
			chain marks {
				type filter hook prerouting priority mangle
				$ANSWERS
				iifname client ip daddr $NEAR accept
				iifname client meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:$PORT meta mark set 1 accept
				iifname client meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:$PORT meta mark set 1 accept
			}
		}
	NFT
}

# A rule that somebody has written without care.
rules_careless() { # ADDRESS
	nft -f - <<-NFT
		table inet careless {
			chain out {
				type nat hook output priority -100
				ip daddr $1 tcp dport $PG redirect to :$PORT
			}
		}
	NFT
}

# --- databases -------------------------------------------------------------

hba() {
	echo 'local all adm trust'
	echo 'hostssl all all 10.91.0.0/16 trust'
	echo 'hostssl all all fd91::/16 trust'
}

postgres() { # NAME NAMESPACE ADDRESS ADDRESS6 CERTIFICATE
	pg_data "$1" $v && pg_certificate "$1" "$5" || return 1
	hba >"$WORK/$1/pg_hba.conf"
	ROOT_NETWORK=/run/netns/$2 PG_ADDRESS=$3,$4 pg_start "$1" $PG
}

maria() {
	my_data maria mariadb118 && my_certificate maria good || return 1
	ROOT_NETWORK=/run/netns/two MY_ADDRESS=$TWO my_start maria $MY
}

# A double of Oracle's: no other engine here is sent on by its servers.
oracle() {
	local service options=()
	for service in stay=accept "own=redirect:tcps:$ONE:0" \
		"near=redirect:tcps:10.91.2.3:$ORA"; do
		options+=(--service "$service")
	done
	# shellcheck disable=SC2046 # words
	start ora nsenter --net=/run/netns/one python3 \
		"$REAL/doubles/tns.py" --address $ONE --port $ORA \
		--log "$WORK/ora.events" $(double_tls good) "${options[@]}"
	await 10 double_ready ora
}
ask_oracle() { # SERVICE
	nsenter --net=/run/netns/client timeout -k 2 30 python3 \
		"$REAL/clients/tns_raw.py" "$REAL/doubles" "$ONE:$ORA" \
		clear "$1" connect
}

# Who is it, by whom was it reached, and is that TLS?
readonly WHO="SELECT host(inet_server_addr()), host(client_addr), ssl
	FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
	WHERE pid = pg_backend_pid()"

# From the client's network.
ask() { # ADDRESS [SQL] [PORT]
	ROOT_NETWORK=/run/netns/client psql $v "host=$1 port=${3:-$PG}
		user=trusted dbname=app sslmode=disable connect_timeout=8" \
		-c "${2:-$WHO}"
}
ask_maria() {
	ROOT_NETWORK=/run/netns/client mariadb 118 app "$MY" --host="$TWO" \
		--skip-ssl -e "SELECT user(), VARIABLE_VALUE <> '' FROM
		information_schema.SESSION_STATUS
		WHERE VARIABLE_NAME = 'SSL_CIPHER'"
}

# --- dbtls -----------------------------------------------------------------

bridge() { # NAME ENGINE SERVER MODE [SETTINGS]
	endpoints+=("{ name = \"$1\"; engine = \"$2\"; server = $3;
	    listen = $listen; transparent = \"$how\"; ssl_mode = \"$4\";
	    allow = [ \"10.91.0.0/16\", \"fd91:1::/64\" ];
	    client_tls = { mode = \"off\"; }; ${5:-} }")
}
trust() { # NAME
	echo "ca = [ \"$PKI/ca.crt\" ]; server_name = \"$1\";"
}

# The last refusal, whosever it is.
refusal() { # KEY
	grep 'event=session.refused' "$WORK/proxy.log" | tail -n 1 |
		grep -oE " $1=(\"[^\"]*\"|[^ ]*)" | sed "s/^ $1=//; s/\"//g"
}
events() { grep -c "event=$1 .*$2" "$WORK/proxy.log"; } # EVENT REGEX

proxy() {
	dbtls_run proxy || theme_end
}

# --- what holds for both ways ----------------------------------------------

three_endpoints() {
	bridge one postgres "[ \"10.91.2.0/24:$PG\", \"[fd91:2::/64]:$PG\" ]" \
		verify-full "$(trust db.test) $1"
	bridge two postgres "[ \"$TWO:$PG\", \"[$TWO6]:$PG\" ]" \
		verify-full "$(trust a.test) $1"
	bridge maria mariadb "\"$TWO:$MY\"" verify-full \
		"$(trust db.test) $1"
}

chosen() { # WHAT FROM FROM6
	check "$how: $1, IPv4" "^$ONE\|$2\|t\$" ask $ONE
	check "$how: $1, IPv6" "^$ONE6\|$3\|t\$" ask $ONE6
	check "$how: another endpoint of the listener, IPv4" \
		"^$TWO\|${2/2.1/3.1}\|t\$" ask $TWO
	check "$how: and IPv6" "^$TWO6\|${3/2::1/3::1}\|t\$" ask $TWO6
	check "$how: and one of another engine" "^app@${2/2.1/3.1}.1\$" ask_maria
}

logged() {
	check "$how: the log names the endpoint and the name it verified" \
		'^full db.test$' echo "$(dbtls_value proxy session.open one \
		verified) $(dbtls_value proxy session.open one name)"
	check "$how: and where it went" "^\[$ONE6\]:$PG\$" \
		dbtls_value proxy session.open one server
	check "$how: and the other's name" '^a.test$' \
		dbtls_value proxy session.open two name
}

strangers() {
	check "$how: nobody's address" 'server closed|closed the connection' \
		ask 10.91.3.77
	check_same "$how: and the reason logged" "$(refusal reason)" no_endpoint
	check_same "$how: with where it was going" "$(refusal server)" \
		"10.91.3.77:$PG"
	check_same "$how: and no endpoint" "$(refusal endpoint)" ''
	check "$how: nobody's port" 'closed' ask $TWO 'SELECT 1' 5433
	check_same "$how: and the reason logged" "$(refusal reason)" no_endpoint
	check "$how: nobody's address, IPv6" 'closed' ask fd91:3::77
	check_same "$how: and the reason logged" "$(refusal server)" \
		"[fd91:3::77]:$PG"
}

away() {
	check "$how: a host of the network that is away" \
		'FATAL:.*could not connect' ask 10.91.2.9
	check "$how: and what is logged" \
		'^cannot connect to 10.91.2.0/24:5432: 10.91.2.9 ' refusal detail
	pg_stop one
	check "$how: a database that is away" 'FATAL:.*could not connect' \
		ask $ONE
	check "$how: and what is logged" "$ONE connection refused" \
		refusal detail
	check "$how: another endpoint is not" "^$TWO" ask $TWO
	again_one
	check "$how: it is back" "^$ONE" ask $ONE
}
again_one() {
	ROOT_NETWORK=/run/netns/one PG_ADDRESS=$ONE,$ONE6 pg_start one $PG
}

to_itself() {
	check "$how: the listener itself" 'closed' ask $NEAR 'SELECT 1' $PORT
	check_same "$how: and the reason logged" "$(refusal reason)" loop
}

# With the client's address the kernel itself drops what comes back by lo.
loops() {
	local before opened
	rules_careless $ONE
	before=$(events session.refused reason=loop)
	opened=$(events session.refused .)
	check "$how: our own connection comes back" 'FATAL' ask $ONE
	check_same "$how: it is known" \
		$(($(events session.refused reason=loop) - before)) 1
	check_same "$how: and goes round once" \
		$(($(events session.refused .) - opened)) 2
	check "$how: others are not concerned" "^$TWO" ask $TWO
	nft delete table inet careless
	check "$how: without the rule" "^$ONE" ask $ONE
}

sleeping() { # NAME
	[ "$(admin "$1" postgres "SELECT count(*) FROM pg_stat_activity
		WHERE query LIKE '%pg_sleep%' AND state = 'active'
		AND pid <> pg_backend_pid()")" = 1 ]
}
cancels() {
	ROOT_NETWORK=/run/netns/client start "old.$how" pg_exec $v psql -X -A \
		-t -d "host=$ONE port=$PG user=trusted dbname=app
		sslmode=disable" -c 'SELECT pg_sleep(60)'
	await 10 sleeping one
	kill -INT "${PID[old.$how]}"
	await 10 gone "old.$how"
	check "$how: a cancel finds its session" 'canceling statement' \
		cat "$WORK/old.$how.log"
	stop "old.$how"
}

# Sends so much to PostgreSQL, which answers with the same.
much() {
	nsenter --net=/run/netns/client timeout -k 2 20 python3 - $ONE $PG <<-'END'
		import socket, struct, sys
		def message(kind, body):
		    return kind + struct.pack(">I", 4 + len(body)) + body
		with socket.create_connection(sys.argv[1:], 5) as s:
		    s.settimeout(5)
		    s.sendall(message(b"", b"\0\3\0\0user\0trusted\0database\0app\0\0"))
		    s.sendall(message(b"Q", b"SELECT '" + b"x" * 4000000 + b"'\0"))
		    s.sendall(message(b"X", b""))
		    print("whole" if sum(len(some) for some in iter(
		        lambda: s.recv(65536), b"")) > 4000000 else "cut")
	END
}

# A firewall that drops what belongs to no connection it knows: both legs of a
# session have the client's address, and must not be taken for one.
stateful() {
	local chain
	for chain in input output forward; do
		nft -f - <<-NFT
			table inet stateful {
				chain $chain {
					type filter hook $chain priority 0
					ct state invalid drop
				}
			}
		NFT
	done
	for _ in {1..8}; do
		much
	done >"$WORK/stateful" 2>&1
	check_same "$how: and through a firewall with a state, eight times" \
		"$(sort "$WORK/stateful" | uniq -c | xargs)" '8 whole'
	nft delete table inet stateful
}

both() { # REDIRECT|TPROXY
	how=$1
	listen="[ \"0.0.0.0:$PORT\", \"[::]:$PORT\" ]"
	[ "$how" = redirect ] ||
		listen="[ \"127.0.0.1:$PORT\", \"[::1]:$PORT\" ]"
	rules_none
	"rules_$how"
	three_endpoints ''
	proxy
	chosen "one listener, three endpoints" $FROM $FROM6
	logged
	strangers
	away
	cancels
	[ "$how" = tproxy ] || to_itself
	loops
	stop proxy
	check_same "$how: dbtls ends with status" "$status" 0
	three_endpoints 'source = "client";'
	proxy
	check "$how: the client's own address, IPv4" "^$ONE\|$CLIENT\|t\$" \
		ask $ONE
	check "$how: and IPv6" "^$ONE6\|$CLIENT6\|t\$" ask $ONE6
	check "$how: and in MariaDB" "^app@$CLIENT.1\$" ask_maria
	for _ in {1..20}; do
		ask $ONE
	done | sort | uniq -c >"$WORK/many"
	check "$how: twenty times" "^ *20 $ONE\|$CLIENT\|t\$" cat "$WORK/many"
	stateful
	stop proxy
}

# --- the choice ------------------------------------------------------------

told() {
	how=redirect listen="\"0.0.0.0:$PORT\""
	rules_redirect
	bridge net postgres "\"10.91.0.0/16:$PG\"" verify-full \
		"$(trust db.test)"
	bridge host postgres "\"$TWO:$PG\"" verify-full "$(trust a.test)"
	bridge wrong postgres "\"10.91.2.0/25:$PG\"" verify-full \
		"$(trust other.test)"
	bridge denied postgres "\"10.91.4.0/24:$PG\"" require \
		'deny = [ "10.91.1.0/24" ];'
	bridge few postgres "\"$TWO:5999\"" require 'max_sessions = 1;'
	endpoints+=("{ name = \"plain\"; engine = \"postgres\";
	    listen = \"$NEAR:6432\"; server = \"$TWO:$PG\";
	    allow = [ \"10.91.1.0/24\" ]; client_tls = { mode = \"off\"; };
	    source = \"client\"; $(trust a.test) }")
	proxy
	check "what is not transparent may keep the client's address too" \
		"^$TWO\|$CLIENT\|t\$" ask $NEAR "$WHO" 6432
	check "a test is told which address of the network" \
		'names +ok .* bridge +- +not tried' \
		"$DBTLS" test net --to $ONE -c "$WORK/proxy.conf"
	check "and must be" 'is a network.*name one with --to' \
		"$DBTLS" test net -c "$WORK/proxy.conf"
	check "of one engine: who goes nowhere is told" \
		'FATAL:.*no endpoint of the proxy has that destination' \
		ask 10.92.0.1
	check_same "and it is logged" "$(refusal reason)" no_endpoint
	check "who goes to the listener is told" \
		'FATAL:.*the destination is the proxy itself' \
		ask $NEAR 'SELECT 1' $PORT
	check "the longest prefix wins" "^$TWO" ask $TWO
	check "and says what name is expected" '^a.test$' \
		dbtls_value proxy session.open host name
	check "a name that the certificate has not" 'FATAL:.*other.test' \
		ask $ONE
	check_same "and the reason logged" \
		"$(refusal endpoint) $(refusal reason)" 'wrong name_mismatch'
	check "who may not use the endpoint" 'closed' ask 10.91.4.9
	check_same "and the reason logged" \
		"$(refusal endpoint) $(refusal reason)" 'denied not_allowed'
	stop proxy
}

# A server that sends its clients on is followed to where this one was going,
# and to no other address of its network.
redirects() {
	how=redirect listen="\"0.0.0.0:$PORT\""
	rules_redirect
	bridge ora oracle "\"10.91.2.0/24:$ORA\"" verify-full \
		"$(trust db.test)"
	proxy
	check "a listener of Oracle" '^accept ' ask_oracle stay
	check "which redirects to itself" '^accept ' ask_oracle own
	check "and to another address of the network" '^refuse 28860' \
		ask_oracle near
	check_same "and the reason logged" \
		"$(refusal endpoint) $(refusal reason)" 'ora redirect'
	stop proxy
}

name_is() { # LINE...: from now on
	printf '%s\n' "$@" >"$WORK/zone.new"
	mv "$WORK/zone.new" "$WORK/zone"
}
dns_start() {
	start dns python3 "$REAL/dns.py" 127.0.0.1 "$WORK/zone"
	await 10 log_has dns '^ready'
}
# Is there somebody whom dbtls has not accepted yet?
queued() {
	[ "$(ss -Hltn sport = ":$PORT" | awk '{ n += $2 } END { print n }')" = 1 ]
}
takes() { # ADDRESS: on each thread
	for _ in {1..6}; do
		ask "$1" 2>/dev/null | grep -q "^$1" || return 1
	done
}

by_name() {
	how=redirect listen="\"0.0.0.0:$PORT\""
	name_is "x.c.test 1 $ONE" 'y.c.test 1 10.91.2.99'
	dns_start || return
	bridge x postgres "\"x.c.test:$PG\"" verify-full "ca = [ \"$PKI/ca.crt\" ];"
	bridge y postgres "\"y.c.test:$PG\"" verify-full "ca = [ \"$PKI/ca.crt\" ];"
	kill -STOP "${PID[dns]}"
	proxy
	start early ask $ONE
	await 5 queued
	kill -CONT "${PID[dns]}"
	await 10 gone early
	check "by name: who comes before its answer waits" "^$ONE" \
		cat "$WORK/early.log"
	stop early
	check "by name: the certificate bears the name" '^\*.c.test$' \
		dbtls_value proxy session.open x name
	check "by name: another address" 'FATAL:.*no endpoint' ask $TWO
	name_is "x.c.test 1 $TWO" 'y.c.test 1 10.91.2.99'
	check_ok "by name: it moves" await 10 takes $TWO
	check "by name: where it was counts for a while" "^$ONE" ask $ONE
	stop dns
	await 10 log_has proxy 'event=server.unresolved'
	check "by name: nobody answers, and what was known holds" "^$TWO" \
		ask $TWO
	: >"$WORK/dns.log"
	name_is "x.c.test 1 $TWO" "y.c.test 1 $TWO"
	dns_start
	check_ok "by name: two names have one address" await 20 \
		log_ambiguous
	check_same "by name: nobody is let through" "$(refusal reason)" \
		no_endpoint
	stop dns
	stop proxy
}
log_ambiguous() {
	! ask "$TWO" && log_has proxy 'event=route.ambiguous'
}

outside() { nsenter --net=/proc/self/fd/9 "$@"; }
surroundings() {
	outside nft list ruleset
	outside ip rule
	outside ip -o link
}

# --- all of it -------------------------------------------------------------

theme_begin bridge
[ "$(id -u)" = 0 ] || theme_skip "only root may make networks"
type -P nft >/dev/null || theme_skip "there is no nft"
if ! pg_have $v || ! my_have mariadb118; then
	theme_skip "packages cannot be had"
fi
network 2>"$WORK/network.log" ||
	theme_skip "no network can be made: $(tail -n 1 "$WORK/network.log")"
rules_redirect 2>"$WORK/network.log" || theme_skip "nftables cannot redirect"
before=$(surroundings)
certs_make
postgres one one $ONE $ONE6 many || theme_end
postgres two two $TWO $TWO6 many || theme_end
maria || theme_end
oracle || theme_end
both redirect
both tproxy
told
redirects
by_name
check_ok "nothing is left outside" [ "$before" = "$(surroundings)" ]
theme_end

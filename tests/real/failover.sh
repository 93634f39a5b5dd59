#!/bin/bash
# failover.sh - a server's name changes its address, as Aurora's does when the
# writer moves: sessions that begin later than the answer's TTL go to the new
# one, those under way stay, and their cancels find them.  In a network of its
# own, with a name server and two PostgreSQLs on 127.0.0.2 and 127.0.0.3.
. "$(dirname "$0")/lib.sh"

if [ "${1:-}" != inside ]; then
	exec unshare --net --mount --propagation private -- "$0" inside
fi

readonly v=15 TTL=2 ONE=127.0.0.2 TWO=127.0.0.3

name_is() { # ADDRESS...: from now on
	echo "cluster.c.test $TTL $*" >"$WORK/zone.new"
	mv "$WORK/zone.new" "$WORK/zone"
}

network() {
	ip link set lo up || return 1
	echo 'nameserver 127.0.0.1' >"$WORK/resolv.conf"
	mount --bind "$WORK/resolv.conf" "$(realpath /etc/resolv.conf)"
}

dns_start() {
	: >"$WORK/dns.log"
	start dns python3 "$REAL/dns.py" 127.0.0.1 "$WORK/zone"
	await 10 log_has dns '^ready'
}
questions() { grep -c 'cluster.c.test' "$WORK/dns.log"; }

server() { # NAME ADDRESS
	pg_data "$1" "$v"
	pg_certificate "$1" "${3:-many}"
	PG_ADDRESS=$2 pg_start "$1" "$database"
}

ask() {
	psql $v "host=127.0.0.1 port=$listen user=trusted dbname=app
		sslmode=disable" -c 'SELECT host(inet_server_addr())'
}
# Eight in a row, as each thread of dbtls has answers of its own.
all_are() { # ADDRESS, or nothing where all are to be refused
	for _ in {1..8}; do
		[ "$(ask 2>/dev/null)" = "$1" ] || return 1
	done
}

sleeping() { # NAME
	[ "$(admin "$1" postgres "SELECT count(*) FROM pg_stat_activity
		WHERE query LIKE '%pg_sleep%' AND state = 'active'
		AND pid <> pg_backend_pid()")" = 1 ]
}

# The last session that went elsewhere began within the TTL of the change, and
# a quarter of it for asking.
follows() { # TEXT ADDRESS BEFORE
	local began now last=0 address
	await 10 all_are "$3"
	began=$(now_ms)
	name_is "$2"
	while now=$(($(now_ms) - began)) && [ $now -lt $((TTL * 2000)) ]; do
		address=$(ask)
		[ "$address" = "$2" ] || last=$now
	done
	check_most "$1: milliseconds until the last has noticed" \
		"$last" $((TTL * 1250))
	check_same "$1: and from then on" "$address" "$2"
}

theme_begin failover
pg_have $v || theme_skip "bookworm's packages cannot be had"
network 2>/dev/null || theme_skip "no network namespace can be had"
certs_make
port_new listen plain
port_new database secret
name_is $ONE
dns_start || theme_end
server one $ONE || theme_end
server two $TWO || theme_end
endpoint cluster "$listen" "cluster.c.test:$database" verify-full \
	"ca = [ \"$PKI/ca.crt\" ];"
dbtls_run proxy || theme_end

check "a name is resolved" "^$ONE\$" ask
# Two threads ask for two kinds of address, once in each TTL that this takes.
before=$(questions) began=$(now_ms)
for _ in {1..20}; do
	ask
done >/dev/null
ttls=$((($(now_ms) - began) / (TTL * 1000) + 1))
check_most "questions asked by 20 sessions in a row" \
	$(($(questions) - before)) $((4 * ttls))

start old pg_exec $v psql -X -A -t -d "host=127.0.0.1 port=$listen \
user=trusted dbname=app sslmode=disable" -c 'SELECT pg_sleep(60)' \
	-c 'SELECT host(inet_server_addr())'
await 10 sleeping one
follows "the name moves to another address" $TWO $ONE
check_ok "a session under way stays where it is" sleeping one
kill -INT "${PID[old]}"
await 10 gone old
check "and its cancel goes there as well" 'canceling statement' \
	cat "$WORK/old.log"
stop old
follows "the name moves back" $ONE $TWO

name_is $TWO $ONE
pg_stop two
await 10 all_are $ONE
check "one of two addresses is dead" "^$ONE\$" ask
server two $TWO other || theme_end
name_is $TWO
await 10 all_are ''
check "the new address shows another name" 'FATAL:.*cluster\.c\.test' ask
check "and that is the reason logged" '^name_mismatch$' \
	dbtls_value proxy session.refused cluster reason

name_is $ONE
await 10 all_are $ONE
stop dns
sleep $((TTL + 1)) # longer than what is known may be used
check "the name server is gone" 'FATAL:.*(resolv|cluster\.c\.test)' ask
check "and that is the reason logged" '^resolve$' \
	dbtls_value proxy session.refused cluster reason
dns_start
await 20 all_are $ONE
check "the name server is back" "^$ONE\$" ask
stop proxy
check_same "dbtls ends with status" "$status" 0
theme_end

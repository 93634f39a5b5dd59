#!/bin/bash
# nat_bridge.sh - what contrib/ has for a bridge, in network namespaces: rules
# that are set up and taken down without a trace, what they catch and what they
# never let through, names, replication across a bridge in verify-full, a pair
# of bridges of which one is lost, and the units of systemd.
#
#	client 10.91.0.10 --+            +-- 10.92.0.10 PostgreSQL
#	                    |            |
#	             10.91.0.1 (of a or b)
#	                    |            |
#	                    +-- a .0.2 --+
#	                    +-- b .0.3 --+-- 10.92.0.20 MariaDB
#
# The same for fd91::/64 and fd92::/64.
. "$(dirname "$0")/lib.sh"

# What is downloaded must be so before there is another network.
if [ "${1:-}" != inside ]; then
	pg_have 17
	my_have mariadb118
	exec unshare --net --mount --propagation private -- "$0" inside
fi

readonly BRIDGE=$TREE/contrib/nat-bridge
readonly PG=10.92.0.10 MARIA=10.92.0.20 LATER=10.92.0.30 CLIENT=10.91.0.10
# The same of IPv6; at $PASSED there is the first's PostgreSQL as well.
readonly PG6=fd92::10 MARIA6=fd92::20 PASSED=fd92::30

# --- networks --------------------------------------------------------------

net() { # NAMESPACE COMMAND...
	ip netns exec "$@"
}

# An interface into one of the two networks, which are switches; it has no
# addresses but these, which would come in the middle of a test.  What forwards
# asks for its neighbours from one of its link's.
plug() { # NAMESPACE INTERFACE SWITCH ADDRESS...
	local address
	ip link add "$1-$2" type veth peer name "$2" netns "$1" &&
		ip link set "$1-$2" master "$3" up &&
		ip -n "$1" link set "$2" addrgenmode none &&
		ip -n "$1" link set "$2" up || return 1
	for address in "${@:4}"; do
		if [[ $address == *:* ]]; then
			ip -n "$1" address add "$address" dev "$2" nodad
		else
			ip -n "$1" address add "$address" dev "$2"
		fi
	done
}

networks_make() {
	local name
	ip link set lo up && mkdir -p /run/netns &&
		mount -t tmpfs none /run/netns || return 1
	for name in client a b db; do
		ip netns add $name && ip -n $name link set lo up || return 1
	done
	for name in clients databases; do
		ip link add $name type bridge forward_delay 0 &&
			ip link set $name up || return 1
	done
	plug client eth0 clients $CLIENT/24 fd91::10/64 &&
		plug a eth0 clients 10.91.0.2/24 10.91.0.1/24 fd91::2/64 \
			fd91::1/64 &&
		plug a eth1 databases 10.92.0.2/24 fd92::2/64 fe80::2/64 &&
		plug b eth0 clients 10.91.0.3/24 fd91::3/64 &&
		plug b eth1 databases 10.92.0.3/24 fd92::3/64 fe80::3/64 &&
		plug db eth0 databases $PG/24 $MARIA/24 $LATER/24 \
			$PG6/64 $MARIA6/64 $PASSED/64 || return 1
	for name in a b; do
		net $name sysctl -qw net.ipv4.ip_forward=1 \
			net.ipv6.conf.all.forwarding=1
	done
	ip -n client route add default via 10.91.0.1 &&
		ip -n client -6 route add default via fd91::1 &&
		ip -n db route add default via 10.92.0.2 &&
		ip -n db -6 route add default via fd92::2 &&
		echo "$PG db.test" >"$WORK/hosts" &&
		mount --bind "$WORK/hosts" /etc/hosts &&
		: >"$WORK/resolv.conf" &&
		mount --bind "$WORK/resolv.conf" "$(realpath /etc/resolv.conf)"
}

# --- bridges ---------------------------------------------------------------

# Which endpoint has which mode; their database's addresses are what clients
# connect to.
bridge_config() { # FILE
	cat >"$1" <<-CONF
		threads = 2;
		log = { level = "debug"; to = "stderr"; };
		endpoints = (
		  { name = "orders"; engine = "postgres"; transparent = "tproxy";
		    listen = [ "0.0.0.0:15432", "[::]:15432" ];
		    server = ( { address = "10.92.0.8/29:5432";
		                 server_name = "db.test"; },
		               { address = "[fd92::/64]:5432";
		                 server_name = "db.test"; } );
		    ssl_mode = "verify-full"; ca = "$PKI/ca.crt";
		    client_tls = { mode = "off"; };
		    allow = [ "10.91.0.0/24", "fd91::/64" ];
		    keepalive = { idle = 1; interval = 1; count = 2; };
		    timeouts = { drain = 0.5; }; },
		  { name = "stock"; engine = "mariadb";
		    transparent = "redirect";
		    listen = [ "0.0.0.0:13306", "[::]:13306" ];
		    server = [ "$MARIA:3306", "[$MARIA6]:3306" ];
		    server_name = "db.test";
		    ssl_mode = "verify-full"; ca = "$PKI/ca.crt";
		    client_tls = { mode = "off"; };
		    allow = [ "10.91.0.0/24", "fd91::/64" ]; timeouts = { drain = 0.5; }; },
		  { name = "byname"; engine = "postgres";
		    transparent = "redirect";
		    listen = [ "0.0.0.0:13306", "[::]:13306" ];
		    server = "db.test:5433";
		    ssl_mode = "verify-full"; ca = "$PKI/ca.crt";
		    client_tls = { mode = "off"; };
		    allow = [ "10.91.0.0/24", "fd91::/64" ]; } );
	CONF
}

bridge_run() { # NAMESPACE [family]
	local name=proxy-${2:-$1}
	: >"$WORK/$name.log"
	start "$name" ip netns exec "$1" "$DBTLS" run \
		-c "$WORK/${2:-bridge}.conf"
	await 20 dbtls_settled "$name"
	alive "$name" && log_has "$name" 'event=start' && return 0
	fail "dbtls starts ($name)" "$(tail -n 5 "$WORK/$name.log")"
	return 1
}

bridge() { # NAMESPACE up|down [OPTION...]
	net "$1" env DBTLS="$DBTLS" DBTLS_BRIDGE_STATE="$WORK/state-$1" \
		"$BRIDGE/bridge-$2.sh" "${@:3}"
}

# Everything that a bridge could leave behind.
state() { # NAMESPACE
	# shellcheck disable=SC2016 # for the inner shell
	net "$1" sh -c 'nft list ruleset
		for f in -4 -6; do ip $f rule; ip $f route show table all; done
		sysctl -a 2>/dev/null | grep "^net\." | grep -v conntrack_count
		ls /run/dbtls-bridge 2>/dev/null'
}

# Without what changes by itself.
rules_of() { # NAMESPACE
	net "$1" nft -s list ruleset | sed 's/ expires [0-9a-z]*//'
}

# --- clients and servers ---------------------------------------------------

pg_client() { # HOST PORT SQL
	(ROOT_NETWORK=/run/netns/client SECS=${SECS:-20} psql 17 \
		"host=$1 port=$2 sslmode=disable user=app dbname=app
		password=app-$CANARY connect_timeout=${WAIT:-5}" -c "$3")
}
readonly WHO='SELECT ssl, host(client_addr) FROM pg_stat_ssl
	JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid()'

maria_client() { # SQL [HOST]
	(ROOT_NETWORK=/run/netns/client mariadb 118 app 3306 \
		--host="${2:-$MARIA}" --skip-ssl -e "$1")
}

databases_start() {
	local hba
	pg_data primary 17 && pg_certificate primary good || return 1
	for hba in 'hostssl all' 'hostssl replication'; do
		printf '%s all 0.0.0.0/0 scram-sha-256\n' "$hba"
		printf '%s all ::/0 scram-sha-256\n' "$hba"
	done >>"$WORK/primary/pg_hba.conf"
	ROOT_NETWORK=/run/netns/db PG_ADDRESS='*' pg_start primary 5432 ||
		return 1
	admin primary app 'CREATE TABLE t (id int PRIMARY KEY, v text)' \
		'CREATE PUBLICATION pub FOR TABLE t' \
		"INSERT INTO t SELECT i, md5(i::text)
			FROM generate_series(1, 1000) i"
	my_data source mariadb118 && my_certificate source good || return 1
	ROOT_NETWORK=/run/netns/db MY_ADDRESS=$MARIA,$MARIA6 my_start source 3306 \
		--server-id=1 --gtid-domain-id=1 || return 1
	my_admin source "USE app" \
		"CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200))" \
		"INSERT INTO t SELECT seq, MD5(seq) FROM seq_1_to_1000"
}

# --- what is tested --------------------------------------------------------

rules_without_a_trace() {
	local settings
	net a nft -f - <<-RULES
		table inet others {
			chain c { type filter hook forward priority 0; }
		}
	RULES
	settings=net.ipv4.conf.eth0.send_redirects
	net a sysctl -qw $settings=1
	state a >"$WORK/before"
	check_ok "rules: set up" bridge a up -c "$WORK/bridge.conf"
	rules_of a >"$WORK/rules"
	check_ok "rules: set up again" bridge a up -c "$WORK/bridge.conf"
	rules_of a >"$WORK/again"
	check_ok "rules: which changes nothing" \
		diff "$WORK/rules" "$WORK/again"
	check "rules: their table is there" 'table inet dbtls_bridge' \
		net a nft list tables
	check "rules: what is marked is delivered here" \
		'fwmark 0xdb lookup 219' net a ip rule
	check "settings: no client is shown another way" ' = 0' \
		net a sysctl $settings
	check "settings: but others' are as they were" ' = 1' \
		net b sysctl $settings
	check_ok "rules: taken down" bridge a down
	state a >"$WORK/after"
	check_ok "rules: nothing of them is left: rules, routes, settings" \
		diff "$WORK/before" "$WORK/after"
	check_ok "rules: taken down again" bridge a down
	state a >"$WORK/after"
	check_ok "rules: which changes nothing either" \
		diff "$WORK/before" "$WORK/after"
	check_ok "rules: and the folder of the state has gone" \
		test ! -e "$WORK/state-a"
}

rules_with_other_options() {
	state a >"$WORK/before"
	bridge a up -c "$WORK/bridge.conf" --mark 5 --table 100
	check_ok "rules: set up with another mark" \
		bridge a up -c "$WORK/bridge.conf" --mark 6 --table 101
	check "rules: there is one rule for what is marked" \
		'^101: from all fwmark 0x6 lookup 101$' \
		sh -c "ip -n a rule | grep fwmark"
	rules_of a >"$WORK/rules"
	echo 'endpoints = ( );' >"$WORK/broken.conf"
	check "rules: a configuration with an error is told" 'dbtls: .*broken' \
		bridge a up -c "$WORK/broken.conf"
	rules_of a >"$WORK/again"
	check_ok "rules: and changes nothing" diff "$WORK/rules" "$WORK/again"
	bridge a down
	state a >"$WORK/after"
	check_ok "rules: nothing is left of either" \
		diff "$WORK/before" "$WORK/after"
}

# nft fails so often, and then does what it is told.
nft_fails() { # TIMES
	seq "$1" >"$WORK/fails"
	cat >"$WORK/bin/nft" <<-SH
		#!/bin/sh
		[ -s "$WORK/fails" ] || exec $(type -P nft) "\$@"
		sed -i 1d "$WORK/fails"
		exit 1
	SH
	chmod +x "$WORK/bin/nft"
}
bridge_fails() { # up|down
	! PATH=$WORK/bin:$PATH bridge a "$1" -c "$WORK/bridge.conf"
}

rules_midway() {
	mkdir "$WORK/bin"
	state a >"$WORK/before"
	nft_fails 1
	check_ok "rules: the kernel refuses them" bridge_fails up
	state a >"$WORK/after"
	check_ok "rules: and nothing is left half up" \
		diff "$WORK/before" "$WORK/after"
	check_ok "rules: nor of the state" test ! -e "$WORK/state-a"
	bridge a up -c "$WORK/bridge.conf"
	rules_of a >"$WORK/rules"
	nft_fails 1
	check_ok "rules: those anew are refused" bridge_fails up
	rules_of a >"$WORK/again"
	check_ok "rules: those that are in force stay" \
		diff "$WORK/rules" "$WORK/again"
	nft_fails 1
	check_ok "rules: what cannot be taken down is told" bridge_fails down
	check_ok "rules: and can be tried again" bridge a down
	state a >"$WORK/after"
	check_ok "rules: nothing is left then" \
		diff "$WORK/before" "$WORK/after"
}

# The table of routes may have been given a name.
rules_named_table() {
	local names=/etc/iproute2/rt_tables
	[ -e $names ] || return 0
	echo '219 bridge' >"$WORK/rt_tables"
	mount --bind "$WORK/rt_tables" $names
	bridge a up -c "$WORK/bridge.conf"
	check_ok "rules: set up again where their table has a name" \
		bridge a up -c "$WORK/bridge.conf"
	bridge a down
	check_same "rules: and nothing of it is left" \
		"$(net a ip rule | grep -c fwmark)" 0
	umount $names
}

show_rules() {
	printf 'shown    the rules for three endpoints\n'
	"$DBTLS" bridge rules -c "$WORK/bridge.conf" | sed 's/^/         /'
}

# The host would forward all of it, and dbtls is not there.
nothing_in_clear() {
	check "without rules the host forwards" 'no encryption|^t|^f|hba' \
		pg_client $PG 5432 "$WHO"
	bridge a up -c "$WORK/bridge.conf" --pass $MARIA
	check "no dbtls: what tproxy would take is refused" 'refused|reset' \
		pg_client $PG 5432 "$WHO"
	check "no dbtls: of IPv6 as well" 'refused|reset' \
		pg_client fd92::10 5432 "$WHO"
	check "no dbtls: so is what goes to a port of a name's" \
		'refused|reset' pg_client $PG 5433 "$WHO"
	check "no dbtls: packets that were reset are counted" \
		'packets [1-9]' net a nft list chain inet dbtls_bridge guard
	check_same "what is let pass is not caught" \
		"$(maria_client 'SELECT 1')" 1
	check "but only that" "Can't connect|111" \
		maria_client 'SELECT 1' $MARIA6
	bridge a down
	bridge a up -c "$WORK/bridge.conf" --pass $MARIA6
	check_same "what is let pass of IPv6 is not caught" \
		"$(maria_client 'SELECT 1' $MARIA6)" 1
	check "but only that, either" "Can't connect|111" \
		maria_client 'SELECT 1'
	bridge a down
	bridge a up -c "$WORK/bridge.conf"
	check "no dbtls: what would be redirected is refused" \
		"Can't connect|111" maria_client 'SELECT 1'
	check "no dbtls: and so it is of IPv6" \
		"Can't connect|111" maria_client 'SELECT 1' $MARIA6
}

connections() {
	check "tproxy: a connection to the database's own address" '^t\|' \
		pg_client $PG 5432 "$WHO"
	check_same "tproxy: dbtls verified the name that the endpoint has" \
		"$(dbtls_value proxy-a session.open orders verified)" full
	check "tproxy: of IPv6" '^t\|' pg_client fd92::10 5432 "$WHO"
	check "redirect: a connection to the database's own address" 'TLS' \
		maria_client "SHOW STATUS LIKE 'Ssl_version'"
	check_same "redirect: dbtls verified the name" \
		"$(dbtls_value proxy-a session.open stock verified)" full
	check "redirect: of IPv6" 'TLS' \
		maria_client "SHOW STATUS LIKE 'Ssl_version'" $MARIA6
	check "redirect: and of IPv6" '^full .fd92::20.:3306$' \
		opened proxy-a stock
}
opened() { # NAME ENDPOINT: what was verified of whom, last
	dbtls_value "$1" session.open "$2" verified
	dbtls_value "$1" session.open "$2" server
}

# db.test is 10.92.0.10 until the hosts file says otherwise.
names() {
	check "names: the set has what the name is" \
		"$PG . 5433 .*byname" \
		net a nft list set inet dbtls_bridge named_4_13306
	start second ip netns exec db socat \
		TCP4-LISTEN:5433,fork,reuseaddr TCP4:$PG:5432
	await 10 net db sh -c "ss -Hltn 'sport = :5433' | grep -q ."
	check "names: a connection to it" '^t\|' pg_client $PG 5433 "$WHO"
	check_same "names: none of IPv6 is in the set" "$(net a nft list set \
		inet dbtls_bridge named_6_13306 | grep -c elements)" 0
	check "names: and there is no connection to one" 'refused|reset' \
		pg_client $PG6 5433 "$WHO"
	check "names: to another address at that port there is none" \
		'refused|reset' pg_client $LATER 5433 "$WHO"
	echo "$LATER db.test" >"$WORK/hosts"
	check_ok "names: asked for again" \
		bridge a up --names -c "$WORK/bridge.conf"
	check "names: the set has the new address, and the old a while" \
		"$PG . 5433.*$LATER . 5433" \
		net a nft list set inet dbtls_bridge named_4_13306
	await 20 moved
	check "names: a connection to the new address" '^t\|' \
		pg_client $LATER 5433 "$WHO"
	echo "" >"$WORK/hosts"
	check_same "names: one that nobody knows is no failure" \
		"$(bridge a up --names -c "$WORK/bridge.conf" 2>&1 |
			grep -o 'byname: db.test')" 'byname: db.test'
	check "names: and its addresses stay" "$LATER . 5433" \
		net a nft list set inet dbtls_bridge named_4_13306
	echo "$PG db.test" >"$WORK/hosts"
	stop second
}
# The proxy looks for itself when the name's time is over.
moved() { [[ $(pg_client "$LATER" 5433 "$WHO") == t* ]]; }

replication() {
	pg_data subscriber 17
	ROOT_NETWORK=/run/netns/client PG_TLS=off pg_start subscriber 5432 \
		wal_retrieve_retry_interval=200ms || return
	admin subscriber app 'CREATE TABLE t (id int PRIMARY KEY, v text)'
	check_ok "PostgreSQL: CREATE SUBSCRIPTION across the bridge" \
		admin subscriber app "CREATE SUBSCRIPTION sub CONNECTION
		'host=$PG port=5432 sslmode=disable user=repl dbname=app
		password=repl-$CANARY' PUBLICATION pub"
	my_data replica mariadb118
	ROOT_NETWORK=/run/netns/client my_start replica 3306 --server-id=2 \
		--read-only=ON || return
	my_admin replica "CHANGE MASTER TO MASTER_HOST = '$MARIA',
		MASTER_PORT = 3306, MASTER_USER = 'repl',
		MASTER_PASSWORD = '$(my_password repl)', MASTER_SSL = 0,
		MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = slave_pos" \
		"START SLAVE"
	follow "what was there"
	rows 1001 2000
	follow "what is written"
	check_same "PostgreSQL: the subscription's connection, as the primary \
sees it" "$(admin primary postgres "SELECT bool_and(ssl) FROM pg_stat_replication
		JOIN pg_stat_ssl USING (pid)")" t
	check_same "replication: what dbtls verified" \
		"$(dbtls_value proxy-a session.open orders verified) \
$(dbtls_value proxy-a session.open stock verified)" "full full"
}
rows() { # FIRST LAST
	admin primary app "INSERT INTO t SELECT i, md5(i::text)
		FROM generate_series($1, $2) i"
	my_admin source "USE app" "INSERT INTO t SELECT seq, MD5(seq)
		FROM seq_$1_to_$2"
}
pg_digest() { admin "$1" app "SELECT count(*), md5(string_agg(id || v, ','
	ORDER BY id)) FROM t"; }
my_digest() { my_admin "$1" 'CHECKSUM TABLE app.t' | cut -f2; }
pg_follows() { [ "$(pg_digest subscriber)" = "$(pg_digest primary)" ]; }
my_follows() { [ "$(my_digest replica)" = "$(my_digest source)" ]; }
follow() { # WHAT
	await 30 pg_follows
	check_same "PostgreSQL: the subscription has $1" \
		"$(pg_digest subscriber)" "$(pg_digest primary)"
	await 30 my_follows
	check_same "MariaDB: the replica has $1" \
		"$(my_digest replica)" "$(my_digest source)"
}

# --- IPv6, an address of its own, this host's programs ----------------------

# What bridge.conf, which is for two hosts, has not.
family_config() { # FILE
	local common
	common="engine = \"postgres\"; server_name = \"db.test\";
		ssl_mode = \"verify-full\"; ca = \"$PKI/ca.crt\";
		client_tls = { mode = \"off\"; };
		allow = [ \"10.91.0.0/24\", \"10.92.0.0/24\", \"fd91::/64\",
			\"fd92::/64\" ];"
	cat >"$1" <<-CONF
		threads = 1;
		log = { level = "debug"; to = "stderr"; };
		endpoints = (
		  { name = "six"; transparent = "redirect"; $common
		    listen = "[::]:16432"; server = "[fd92::/64]:5432"; },
		  { name = "exact"; transparent = "redirect"; $common
		    listen = [ "10.91.0.2:16433", "[fd91::2]:16433" ];
		    server = [ "$PG:5434", "[$PG6]:5434" ]; },
		  { name = "loopback"; transparent = "tproxy"; $common
		    listen = "[::1]:16434"; server = "[$PG6]:5435"; } );
	CONF
}

# A program of this host's: root's, as dbtls is, or somebody else's.
here() { # root|db HOST PORT
	local options=()
	[ "$1" = root ] || options=(-u)
	(ROOT_NETWORK=/run/netns/a in_root "${options[@]}" -t 20 pg17 \
		"PATH=$(pg_bin 17):/usr/bin" psql -X -A -t -w -d "host=$2
		port=$3 sslmode=disable user=app dbname=app connect_timeout=5
		password=app-$CANARY" -c "$WHO")
}

families() {
	local port
	family_config "$WORK/family.conf"
	for port in 5434 5435; do
		start "at-$port" ip netns exec db socat \
			"TCP6-LISTEN:$port,ipv6only=0,fork,reuseaddr" \
			TCP4:$PG:5432
		await 10 net db sh -c "ss -Hltn 'sport = :$port' | grep -q ."
	done
	bridge a down
	check_ok "families: the kernel takes the rules" bridge a up \
		-c "$WORK/family.conf" --pass $PASSED --local root
	bridge_run a family || return
	families_from_elsewhere
	families_from_here
	stop proxy-family
	check "families: no dbtls: one of this host's is refused" 'refused' \
		here db $PG6 5432
	check "families: no dbtls: by dnat as well" 'refused' \
		here db $PG6 5434
	check "families: no dbtls: and so is a client" 'refused|reset' \
		pg_client $PG6 5434 "$WHO"
	bridge a down
	stop at-5434
	stop at-5435
	bridge a up -c "$WORK/bridge.conf"
}

families_from_elsewhere() {
	check "families: redirect of IPv6 alone" '^t\|fd92::2$' \
		pg_client $PG6 5432 "$WHO"
	check "families: and what was verified" '^full .fd92::10.:5432$' \
		opened proxy-family six
	check "families: IPv4 has no endpoint there" 'no encryption' \
		pg_client $PG 5432 "$WHO"
	check "families: what is let pass goes on as it is" 'no encryption' \
		pg_client $PASSED 5432 "$WHO"
	check "families: dnat to an address of IPv6" '^t\|' \
		pg_client $PG6 5434 "$WHO"
	check "families: and what was verified by it" '^full .fd92::10.:5434$' \
		opened proxy-family exact
	check "families: dnat to one of IPv4" '^t\|' \
		pg_client $PG 5434 "$WHO"
	check "families: tproxy to loopback of IPv6" '^t\|' \
		pg_client $PG6 5435 "$WHO"
}

families_from_here() {
	check "--local: a program of this host's is caught" '^t\|' \
		here db $PG6 5432
	check "--local: with its own address" '^\[?fd92::2\]?' \
		dbtls_value proxy-family session.open six client
	check "--local: by dnat of IPv6" '^t\|' here db $PG6 5434
	check "--local: by dnat of IPv4" '^t\|' here db $PG 5434
	check "--local: dbtls's own user is not" 'no encryption' \
		here root $PG6 5432
	check "--local: nor is what is let pass" 'no encryption' \
		here db $PASSED 5432
	check "--local: what tproxy cannot catch here is refused" \
		'refused|reset' here db $PG6 5435
	check "--local: which is counted" \
		'fixed_6_16434 counter packets [1-9]' \
		net a nft list chain inet dbtls_bridge guard_local
}

# --- the pair --------------------------------------------------------------

# The example as it is, but for names and addresses.
pair_config() { # NAMESPACE OWN-ADDRESS PRIORITY PEER
	sed -e "s/^\trouter_id .*/router_id bridge-$1/" \
		-e "s/priority .*/priority $3/" \
		-e "s/unicast_src_ip .*/unicast_src_ip $2/" \
		-e "/unicast_peer/,/}/s/10\.0\.0\.3.*/$4/" \
		-e 's/10\.0\.0\.1/10.91.0.1/; s/10\.1\.0\.1/10.92.0.1/' \
		"$BRIDGE/keepalived.conf" >"$WORK/keepalived-$1.conf"
}
pair_start() { # NAMESPACE
	start "keepalived-$1" ip netns exec "$1" keepalived -n -l -D \
		-f "$WORK/keepalived-$1.conf" -p "$WORK/keepalived-$1.pid" \
		-r "$WORK/vrrp-$1.pid" -c "$WORK/checkers-$1.pid"
}
has_address() { # NAMESPACE
	net "$1" ip address show dev eth0 | grep -q ' 10\.91\.0\.1/'
}

# keepalived takes no script that somebody else could write, nor one in a folder
# of /tmp: what the package installs is where it would be, for this theme alone,
# whose mounts go when it does.
readonly OVER=/mnt
installed() {
	mount -t tmpfs -o mode=755 none "$OVER" &&
		mkdir "$OVER"/{upper,work} && mount -t overlay none \
		-o "lowerdir=/usr/share,upperdir=$OVER/upper" \
		-o "workdir=$OVER/work" /usr/share || return 1
	install -D -t /usr/share/dbtls/nat-bridge "$BRIDGE"/*.sh || return 1
	cat >"$OVER/systemctl" <<-END
		#!/bin/sh
		# In its place: ends what is open on a host, if it runs there.
		host=\$(ip netns identify \$\$)
		echo "\$host \$*" >>$WORK/systemctl.log
		pid=\$(cat $WORK/proxy-\$host.pid 2>/dev/null) || exit 0
		[ -z "\$pid" ] || kill -TERM "\$pid"
	END
	chmod 755 "$OVER/systemctl"
	mount --bind "$OVER/systemctl" "$(realpath /usr/bin/systemctl)"
}

pair_make() {
	installed || return 1
	net a ip address delete 10.91.0.1/24 dev eth0
	net db ip route replace default via 10.92.0.1
	pair_config a 10.91.0.2 100 10.91.0.3
	pair_config b 10.91.0.3 90 10.91.0.2
	bridge b up -c "$WORK/bridge.conf"
	bridge_run b
	pair_start a
	await 20 has_address a || return 1
	pair_start b
	await 20 log_has keepalived-b 'Entering BACKUP'
}

# A psql that stays, and says what it is told to.
session_open() { # NAME
	mkfifo "$WORK/$1.in"
	ROOT_NETWORK=/run/netns/client start "$1" session_exec "$WORK/$1.in"
	exec 8>"$WORK/$1.in"
	echo 'SELECT 42 AS here;' >&8
	await 10 log_has "$1" '^42$'
}
session_exec() { # FIFO
	exec <"$1"
	pg_exec 17 psql -X -A -t -w -d "host=$PG port=5432 sslmode=disable
		user=app dbname=app password=app-$CANARY"
}

connects() { [ "$(WAIT=2 pg_client "$PG" 5432 'SELECT 1')" = 1 ]; }
new_connection() { # TEXT BEGAN
	await 15 connects
	check_most "$1: milliseconds until a new connection works" \
		$(($(now_ms) - $2)) 5000
}

session_over() { # TEXT NAME PROXY REASONS
	check_ok "$1: a session that was open ends, with a line" \
		await 10 log_has "$3" "session.close .*endpoint=orders .*reason=($4) "
	echo 'SELECT 43 AS there;' >&8
	check_ok "$1: and its client is told" \
		await 10 log_has "$2" \
		'closed the connection|terminat|reset by peer|could not receive'
	exec 8>&-
	await 5 gone "$2"
	stop "$2"
}

failover() {
	local began before unit
	if ! pair_make; then
		fail "the pair" "a does not become active: \
$(tail -n 5 "$WORK/keepalived-a.log")"
		return
	fi
	check_ok "the pair: a has the address, by its own keepalived" has_address a
	check_ok "the pair: b has not" not has_address b
	for unit in a b; do
		check_same "the pair: keepalived of $unit has no objection" \
			"$(grep -iE 'security|unsafe|disabl|unknown|not found' \
				"$WORK/keepalived-$unit.log")" ""
	done
	session_open first
	check "the pair: a session across a" . \
		dbtls_line proxy-a session.open orders

	# dbtls ends on a; its host stays.
	began=$(now_ms)
	kill -TERM "${PID[proxy-a]}"
	new_connection "dbtls stopped" "$began"
	check_ok "dbtls stopped: b has the address" has_address b
	session_over "dbtls stopped" first proxy-a drain
	stop proxy-a
	check_same "dbtls stopped: its status" "$status" 0
	bridge_run a
	# It was there before, when the pair began.
	await 10 was_backup a 2
	check_ok "dbtls is back on a: it does not take the address back" \
		not await 4 has_address a
	check_ok "dbtls is back on a: b keeps the address" has_address b

	# b is lost with its host: its cables are pulled.
	session_open second
	echo "${PID[proxy-b]}" >"$WORK/proxy-b.pid"
	await 10 fit a
	before=$(told b)
	began=$(now_ms)
	ip link set b-eth0 down
	ip link set b-eth1 down
	new_connection "host lost" "$began"
	check_ok "host lost: a has the address" has_address a
	session_over "host lost" second proxy-b \
		'keepalive|drain|client_reset|server_reset'
	check_same "host lost: how often systemd was told there, meanwhile" \
		$(($(told b) - before)) 1
	check_same "the pair: all that systemd was told" "$(cut -d' ' -f2- \
		"$WORK/systemctl.log" | sort -u)" \
		'try-restart --no-block dbtls.service'
}
not() { ! "$@"; }
was_backup() { # NAMESPACE TIMES
	[ "$(grep -c 'Entering BACKUP STATE$' "$WORK/keepalived-$1.log")" = \
		"$2" ]
}
told() { grep -c "^$1 " "$WORK/systemctl.log"; } # NAMESPACE
fit() { net "$1" "$BRIDGE/bridge-check.sh" 15432 13306; }

check_script() {
	check_ok "health: fit while dbtls runs" fit a
	check "health: a port that nobody listens on" 'nobody takes .* 15999' \
		net a "$BRIDGE/bridge-check.sh" 15432 15999
	check "health: no rules" 'no rules in force' \
		net client "$BRIDGE/bridge-check.sh" 15432
}

# --- systemd ---------------------------------------------------------------

units() {
	local dir=$WORK/units unit
	install -d "$dir/dbtls.service.d"
	for unit in "$TREE"/contrib/systemd/*.{service,timer}; do
		sed "s|/usr/share/dbtls/nat-bridge|$BRIDGE|
			s|^ExecStart=dbtls|ExecStart=$DBTLS|" "$unit" \
			>"$dir/${unit##*/}"
	done
	unit_check dbtls.service 2.0
	cp "$TREE/contrib/systemd/dbtls-bridge.conf" \
		"$dir/dbtls.service.d/bridge.conf"
	unit_check dbtls.service 2.0 " of a bridge"
	for unit in "$dir"/*.{service,timer}; do
		check_same "systemd-analyze verify ${unit##*/}" \
			"$(systemd-analyze verify --man=no "$unit" 2>&1)" ""
	done
}
unit_check() { # UNIT MOST [TEXT]
	local exposure
	exposure=$(systemd-analyze security --offline=true --no-pager \
		"$WORK/units/$1" | grep -oE 'level for .*: [0-9.]+' |
		grep -oE '[0-9.]+$')
	if awk -v e="$exposure" -v m="$2" 'BEGIN { exit !(e != "" && e <= m) }'
	then
		pass "systemd-analyze security $1${3:-}: $exposure (at most $2)"
	else
		fail "systemd-analyze security $1${3:-}" "$exposure, more than $2"
	fi
}

# As the unit of a bridge runs it: nobody's user, one capability, and of system
# calls those that the unit allows.
as_a_service() {
	local name=proxy-unit
	: >"$WORK/calls"
	chmod 666 "$WORK/calls"
	start $name ip netns exec a setpriv --reuid=64999 --regid=64999 \
		--clear-groups --no-new-privs --bounding-set=-all,+net_raw \
		--inh-caps=-all,+net_raw --ambient-caps=-all,+net_raw \
		strace -f -o "$WORK/calls" "$DBTLS" run -c "$WORK/bridge.conf"
	await 30 dbtls_settled $name
	check "as a service: a connection by tproxy" '^t\|' \
		pg_client $PG 5432 "$WHO"
	# strace passes no signal on.
	kill -TERM "$(sed -n 's/.*event=start .* pid=\([0-9]*\).*/\1/p' \
		"$WORK/$name.log")"
	await 20 gone $name
	stop $name
	check_same "as a service: it ends with status" "$status" 0
	check_same "as a service: system calls that its unit does not allow" \
		"$(python3 "$REAL/syscalls.py" \
			"$TREE/contrib/systemd/dbtls.service" \
			"$TREE/contrib/systemd/dbtls-bridge.conf" \
			<"$WORK/calls")" ""
}

# --- throughput ------------------------------------------------------------

throughput() {
	local out
	out=$(MEGABYTES=${BRIDGE_MEGABYTES:-32} ROUNDS=1 \
		"$TREE/bench/bridge.sh" "$BUILD" 2>&1)
	printf '%s\n' "$out" | sed 's/^/         /'
	check "throughput: what the bridge leaves of the path's" \
		'verify-full.*[0-9]\.[0-9]' echo "$out"
}

theme_begin nat-bridge
for tool in nft ip keepalived systemd-analyze socat strace; do
	command -v $tool >/dev/null || theme_skip "there is no $tool"
done
certs_make
units
networks_make 2>"$WORK/networks.log" ||
	theme_skip "no network namespaces here: $(cat "$WORK/networks.log")"
bridge_config "$WORK/bridge.conf"
rules_without_a_trace
rules_with_other_options
rules_midway
rules_named_table
show_rules

if ! pg_have 17 || ! my_have mariadb118; then
	skip "all with databases" "their packages cannot be had"
	theme_end
fi
databases_start || theme_end
nothing_in_clear
families
as_a_service
if bridge_run a; then
	check_script
	connections
	names
	replication
	failover
fi
throughput
theme_end

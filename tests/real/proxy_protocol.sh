#!/bin/bash
# proxy_protocol.sh - who connects, through load balancers: HAProxy in front,
# by versions 1 and 2 of the PROXY protocol; MariaDB behind, and HAProxy before
# PostgreSQL, which are told by dbtls; what is no header, or from nobody who may
# send one; and what the process may do that takes all this, once started by
# root.
#
# The client and one database have a network namespace each, as the theme
# itself has, and all of them go with this process.
. "$(dirname "$0")/lib.sh"

readonly v=17
haproxy_have() { root_make haproxy bookworm haproxy dash; }
# What is downloaded must be so before there is another network.
if [ "${1:-}" != inside ]; then
	pg_have $v
	my_have mariadb118
	haproxy_have
	exec unshare --net --mount --propagation private -- "$0" inside
fi

readonly NEAR=10.93.1.1 CLIENT=10.93.1.2 FAR=10.93.2.2 PG=5432 MY=3306
readonly TRANSPARENT=15001

host() { # NAME NUMBER
	ip netns add "$1" &&
		ip link add "$1" type veth peer name eth netns "$1" &&
		ip address add "10.93.$2.1/24" dev "$1" &&
		ip link set "$1" up && ip -n "$1" link set lo up &&
		ip -n "$1" address add "10.93.$2.2/24" dev eth &&
		ip -n "$1" link set eth up &&
		ip -n "$1" route add default via "10.93.$2.1"
}

# What has the mark is for a socket of this machine.
network() {
	ip link set lo up && mkdir -p /run/netns &&
		mount -t tmpfs none /run/netns && host client 1 && host far 2 &&
		ip rule add fwmark 1 lookup 100 &&
		ip route add local 0.0.0.0/0 dev lo table 100
}

rules() {
	nft -f - <<-NFT
		flush ruleset
		table inet between {
			chain marks {
				type filter hook prerouting priority mangle
				meta l4proto tcp socket transparent 1 meta mark set 1 accept
				iifname client ip daddr $FAR meta l4proto tcp tproxy ip to 127.0.0.1:$TRANSPARENT meta mark set 1 accept
			}
		}
	NFT
}

# --- databases, and HAProxy ------------------------------------------------

databases() {
	pg_data near $v && pg_certificate near good &&
		pg_start near $PG && my_data maria mariadb118 &&
		my_certificate maria good || return 1
	my_start maria $MY --proxy-protocol-networks=127.0.0.1 || return 1
	# Only who comes from there may be this one.
	my_admin maria "CREATE USER far@'$CLIENT' IDENTIFIED BY 'far-$CANARY'"
	pg_data far $v && pg_certificate far good || return 1
	printf '%s\n' 'local all adm trust' \
		'hostssl all all 10.93.0.0/16 trust' >"$WORK/far/pg_hba.conf"
	ROOT_NETWORK=/run/netns/far PG_ADDRESS=$FAR pg_start far $PG
}

# A way through HAProxy: from where clients come, to which dbtls, how.
ways=()
way() { # NAME BIND SERVER
	ways+=("listen $1" "	bind $2" "	server s $3")
}

haproxy_run() {
	{
		printf '%s\n' global "	log stdout format raw local0" \
			defaults '	mode tcp' '	log global' \
			'	timeout connect 5s' '	timeout client 60s' \
			'	timeout server 60s' "${ways[@]}"
	} >"$WORK/haproxy.cfg"
	cat "$PKI"/good.{chain.pem,key} >"$WORK/haproxy.pem"
	chmod 600 "$WORK/haproxy.pem"
	start haproxy in_root haproxy haproxy -db -f "$WORK/haproxy.cfg"
	await 10 port_open "$way_v1" $NEAR && alive haproxy && return 0
	fail "HAProxy starts" "$(tail -n 5 "$WORK/haproxy.log")"
	return 1
}

# --- clients ---------------------------------------------------------------

readonly AT_PG="SELECT host(client_addr), ssl FROM pg_stat_activity
	JOIN pg_stat_ssl USING (pid) WHERE pid = pg_backend_pid()"

pg() { # PORT [SETTINGS] [SQL]
	ROOT_NETWORK=/run/netns/client psql "$v" "host=$NEAR port=$1
		user=trusted dbname=app sslmode=disable connect_timeout=8
		${2:-}" -c "${3:-SELECT 'in'}"
}

maria() { # USER PORT [OPTION]...
	ROOT_NETWORK=/run/netns/client mariadb 118 "$1" "$2" --host="$NEAR" \
		--skip-ssl "${@:3}" -e "SELECT user(), VARIABLE_VALUE <> ''
		FROM information_schema.SESSION_STATUS
		WHERE VARIABLE_NAME = 'SSL_CIPHER'"
}

# Says TEXT (of printf) to a port from this host or from the client's; prints
# what comes back, and then "closed".
say() { # NAMESPACE|- PORT TEXT [ADDRESS]
	local enter=(nsenter --net="/run/netns/$1") at=127.0.0.1
	if [ "$1" = - ]; then enter=(); else at=${4:-$NEAR}; fi
	# shellcheck disable=SC2016 # it is that shell's to expand
	"${enter[@]}" timeout 20 bash -c '
		exec 3<>"/dev/tcp/$0/$1" && printf "$2" >&3
		cat <&3 2>/dev/null | tr "\0" "."
		echo closed' "$at" "$2" "$3"
}

line() { grep "event=$1 " "$WORK/proxy.log" | tail -n 1; } # EVENT
key() { # EVENT KEY
	line "$1" | grep -oE " $2=(\"[^\"]*\"|[^ ]*)" |
		sed "s/^ $2=//; s/\"//g"
}
count() { grep -c "$1" "$WORK/proxy.log"; } # REGEX

# --- in --------------------------------------------------------------------

front() { # NAME PORT [SETTINGS]
	endpoint "$1" "$2" "127.0.0.1:$PG" verify-full "server_name = \"db.test\";
		ca = [ \"$PKI/ca.crt\" ]; ${3:-}"
}
readonly FRONT='proxy_protocol = { accept = "127.0.0.1"; };'
readonly OPEN="client_tls = { mode = \"off\"; }; allow = \"10.93.0.0/16\";"

endpoints_in() {
	local port
	for port in front denied few slow; do
		port_new "$port" other
	done
	for port in v1 v2 ssl denied few local; do
		port_new "way_$port" other
	done
	front front "$front" "$FRONT"
	front denied "$denied" "$FRONT deny = \"$CLIENT\";"
	front few "$few" "$FRONT max_sessions_per_client = 1;"
	front slow "$slow" "$FRONT timeouts = { first_byte = 1; };"
	# HAProxy's health checks have headers of their own: LOCAL.
	way v1 "$NEAR:$way_v1" "127.0.0.1:$front send-proxy"
	way v2 "$NEAR:$way_v2" "127.0.0.1:$front send-proxy-v2"
	way ssl "$NEAR:$way_ssl ssl crt $WORK/haproxy.pem alpn postgresql" \
		"127.0.0.1:$front send-proxy-v2-ssl"
	way denied "$NEAR:$way_denied" "127.0.0.1:$denied send-proxy-v2"
	way few "$NEAR:$way_few" "127.0.0.1:$few send-proxy-v2"
	way checked "$NEAR:$way_local" "127.0.0.1:$front send-proxy-v2 check inter 200ms"
}

through() { # NAME PORT [SETTINGS]
	check "in: $1" '^in$' pg "$2" "${3:-}"
	check "in: $1: whom the log has" "^$CLIENT:[0-9]+ 127.0.0.1:" \
		echo "$(key session.open client) $(key session.open via)"
}

fronts() {
	through "send-proxy" "$way_v1"
	through "send-proxy-v2" "$way_v2"
	through "send-proxy-v2-ssl" "$way_ssl" \
		'sslmode=require sslnegotiation=direct'
	check "in: send-proxy-v2-ssl: the TLS that ended in front" '^TLSv1.3$' \
		key session.open via_tls
	check "in: who is denied by the address in the header" 'closed' \
		pg "$way_denied"
	check "in: and is logged" "^not_allowed $CLIENT:[0-9]+ 127.0.0.1" \
		echo "$(key session.refused reason)" \
		"$(key session.refused client) $(key session.refused via)"
	through "one whose health is checked" "$way_local"
	check_same "in: health checks are not refused" \
		"$(count 'event=session.refused.*client=127')" 0
	check_ok "in: and were there" await 5 checks_seen
}
checks_seen() { [ "$(count 'level=debug.*client=127.*via=127')" -gt 2 ]; }

# Two from one address, one from another, all by the same HAProxy.
counted() {
	ROOT_NETWORK=/run/netns/client start sleeper pg_exec $v psql -X -d \
		"host=$NEAR port=$way_few user=trusted dbname=app
		sslmode=disable" -c 'SELECT pg_sleep(60)'
	await 10 log_has proxy 'event=session.open .*endpoint=few'
	check "in: a second of one client" 'too many connections' pg "$way_few"
	check "in: another's first" '^in$' psql $v "host=$NEAR port=$way_few
		user=trusted dbname=app sslmode=disable" -c "SELECT 'in'"
	stop sleeper
	# The server does not notice while it sleeps.
	admin near postgres "SELECT pg_terminate_backend(pid) FROM
		pg_stat_activity WHERE query LIKE '%pg_sleep(60)%'
		AND pid <> pg_backend_pid()" >"$WORK/terminated"
}

refused() { # WHAT REASON DETAIL NAMESPACE PORT TEXT
	check "in: $1" '^closed$' say "$4" "$5" "$6"
	check "in: $1: what is logged" "^$2 .*$3" \
		echo "$(key session.refused reason) $(key session.refused detail)"
}

malformed() {
	local startup='\0\0\0\x08\x04\xd2\x16\x2f' took
	local v2='\r\n\r\n\0\r\nQUIT\n'
	refused "no header" protocol 'did not begin with a PROXY header' \
		- "$front" "$startup"
	refused "half a header, and the end" protocol 'ended within|no end' \
		- "$front" "PROXY TCP4 $(printf 'x%.0s' {1..120})"
	refused "addresses of another family" protocol 'none of the family' \
		- "$front" 'PROXY TCP4 ::1 ::1 1 2\r\n'
	refused "a version that nobody knows" protocol 'nobody knows' \
		- "$front" "$v2\\x31\\x11\\0\\x0c............"
	refused "a wrong checksum" protocol 'wrong checksum' - "$front" \
		"$v2\\x21\\x11\\0\\x13............\\x03\\0\\x04abcd"
	refused "a header longer than any" protocol 'too long' \
		- "$front" "$v2\\x21\\x11\\xff\\xff"
	took=$(now_ms)
	refused "a header that does not come to its end" timeout \
		'waiting for the PROXY header' - "$slow" 'PROXY TCP4 10.0.'
	took=$(($(now_ms) - took))
	check "in: it is given up after a second" '^[1-9][0-9]{3}$' \
		echo "$took"
}

strangers() {
	check "in: who is no load balancer" '^closed$' say client "$open_in" \
		'PROXY TCP4 10.93.1.1 10.93.1.1 1 2\r\n'
	check "in: and is logged" "^not_allowed $CLIENT:.*proxy_protocol.accept" \
		echo "$(key session.refused reason)" \
		"$(key session.refused client)" \
		"$(key session.refused detail)"
}

# --- out -------------------------------------------------------------------

open_to() { # NAME PORT SERVER MODE SETTINGS
	endpoints+=("{ name = \"$1\"; engine = \"$ENGINE\";
	    listen = \"$NEAR:$2\"; server = \"127.0.0.1:$3\";
	    ssl_mode = \"$4\"; $OPEN $5 }")
}

endpoints_out() {
	local send='proxy_protocol = { send = "v2"; };' port
	local trust="ca = [ \"$PKI/ca.crt\" ]; server_name = \"db.test\";"
	for port in open_in out silent out_none out_tls before_pg to_pg both \
		way_both lost; do
		port_new "$port" other
	done
	ENGINE=postgres open_to open_in "$open_in" $PG none "$FRONT"
	ENGINE=mariadb open_to out "$out" $MY verify-full "$trust $send"
	ENGINE=mariadb open_to silent "$silent" $MY verify-full "$trust"
	ENGINE=mariadb open_to out_none "$out_none" $MY none "$send"
	ENGINE=mariadb endpoint both "$both" "127.0.0.1:$MY" verify-full \
		"$trust proxy_protocol = { accept = \"127.0.0.1\"; send = \"v2\"; };"
	way both "$NEAR:$way_both" "127.0.0.1:$both send-proxy"
	# PostgreSQL has no PROXY protocol, so HAProxy takes it off.
	ENGINE=postgres
	endpoints+=("{ name = \"to_pg\"; engine = \"postgres\";
	    listen = \"$NEAR:$to_pg\"; server = \"127.0.0.1:$before_pg\";
	    ssl_mode = \"verify-full\"; $trust $send
	    client_tls = { mode = \"require\"; cert = \"$PKI/good.chain.pem\";
		key = \"$PKI/good.key\"; };
	    allow = \"10.93.0.0/16\"; }")
	ways+=('listen before_pg' "	bind 127.0.0.1:$before_pg accept-proxy"
		'	log-format "told %ci:%cp %fi %[fc_pp_authority]"'
		"	server s 127.0.0.1:$PG")
	ENGINE=postgres open_to lost "$lost" $PG verify-full "$trust $send"
}

backs() {
	check "out: MariaDB sees the client" "^app@$CLIENT.1\$" maria app "$out"
	check "out: without a header it sees dbtls" '^app@127.0.0.1.1$' \
		maria app "$silent"
	check "out: in clear" "^app@$CLIENT.0\$" maria app "$out_none"
	check "out: an account of the client's address" "^far@$CLIENT.1\$" \
		maria far "$out"
	check "out: which it is not without a header" 'Access denied' \
		maria far "$silent"
	check "out: HAProxy in front, MariaDB behind" "^app@$CLIENT.1\$" \
		maria app "$way_both"
	check "out: HAProxy before PostgreSQL takes the header" '^in$' \
		pg "$to_pg" "sslmode=verify-full sslrootcert=$PKI/ca.crt
			host=db.test hostaddr=$NEAR"
	check_ok "out: and was told the client, and the name it asked for" \
		await 5 grep -qE "told $CLIENT:[0-9]+ $NEAR db.test" \
		"$WORK/haproxy.log"
	check "out: a server that does not expect it" 'FATAL' pg "$lost"
	check "out: dbtls test tells it that it is for nobody" \
		'told by a PROXY header that it is for nobody' \
		"$DBTLS" test -c "$WORK/proxy.conf" out
	check_ok "out: and succeeds" "$DBTLS" test -c "$WORK/proxy.conf" out
}

# --- privileges ------------------------------------------------------------

# Of every thread, one value.
of_threads() { # KEY
	sed -n "s/^$1:[	 ]*//p" "/proc/${PID[proxy]}/task/"*/status | sort -u
}

# As nobody; PTRACE_SEIZE, which stops nothing: 0, or -1 if it may not.
seize() { # PID
	setpriv --reuid=nobody --clear-groups /usr/bin/python3 -c '
import ctypes, sys
libc = ctypes.CDLL(None)
libc.ptrace.argtypes = [ctypes.c_long] * 4
print(libc.ptrace(0x4206, int(sys.argv[1]), 0, 0))' "$1"
}

# Where that would be allowed but for us.
seizable() {
	start other setpriv --reuid=nobody --clear-groups sleep 60
	await 5 others_user
	check_same "of another process of that user it may" \
		"$(seize "${PID[other]}")" 0
	stop other
}
others_user() { [ "$(stat -c %U "/proc/${PID[other]}")" = nobody ]; }

is_nobody() { # WHAT CAPABILITIES NAME
	local id
	id=$(id -u nobody)
	check_same "$1: the user of every thread" "$(of_threads Uid)" \
		"$id	$id	$id	$id"
	check_same "$1: its groups" "$(of_threads Groups | tr -d ' ')" ''
	check_same "$1: capabilities" "$(of_threads CapEff) $(of_threads \
		CapPrm) $(of_threads CapInh)" "$2 $2 0000000000000000"
	check_same "$1: what could be had by exec" \
		"$(of_threads CapBnd) $(of_threads NoNewPrivs)" "$2 1"
	check "$1: what the log says" \
		"nobody .* $3 yes off" echo "$(key start user)" \
		"$(key start uid)" "$(key start capabilities)" \
		"$(key start no_new_privs)" "$(key start core_dumps)"
	check "$1: the same user may not look in" 'denied|not permitted' \
		setpriv --reuid=nobody --clear-groups \
		cat "/proc/${PID[proxy]}/environ"
	check_same "$1: nor attach to it" "$(seize "${PID[proxy]}")" -1
}

transparent() { # [SETTINGS]
	endpoints+=("{ name = \"far\"; engine = \"postgres\";
	    listen = \"127.0.0.1:$TRANSPARENT\"; transparent = \"tproxy\";
	    server = \"$FAR:$PG\"; ssl_mode = \"verify-full\";
	    server_name = \"db.test\"; ca = [ \"$PKI/ca.crt\" ]; $OPEN
	    ${1:-} }")
	dbtls_run proxy 'threads = 2; user = "nobody";' || theme_end
}

far() {
	ROOT_NETWORK=/run/netns/client psql "$v" "host=$FAR port=$PG
		user=trusted dbname=app sslmode=disable connect_timeout=8" \
		-c "$AT_PG"
}

# Listening for others' addresses has been done by then, and dialling from
# them has not.
kept() {
	rules
	[ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo 0)" != 0 ] ||
		seizable
	transparent
	is_nobody "tproxy" 0000000000000000 none
	check "tproxy: connections still come, with no capability at all" \
		'^10.93.2.1\|t$' far
	stop proxy
	transparent 'source = "client";'
	is_nobody "source client" 0000000000002000 cap_net_raw
	check "source client: the database sees the client" "^$CLIENT\|t\$" far
	check "source client: that is what check says" \
		'capabilities: cap_net_raw; no new privileges, no core dumps' \
		"$DBTLS" check -c "$WORK/proxy.conf"
	stop proxy
	check_same "dbtls ends with status" "$status" 0
}

# A startup of PostgreSQL behind a header that names another destination, to
# the place that the kernel knows.
announced() { # DESTINATION PORT
	local header="PROXY TCP4 10.93.1.9 $1 1 $2\r\n" startup
	startup='\0\0\0\x23\0\3\0\0user\0trusted\0database\0app\0\0'
	say client "$PG" "$header${startup}X\0\0\0\x04" "$FAR"
}

# Where a session goes is the kernel's to say, and no header's.
meant() {
	transparent "proxy_protocol = { accept = \"$CLIENT\"; };"
	check "tproxy and a header: the session is served" 'server_version' \
		announced 10.93.2.77 6000
	check_same "tproxy and a header: it goes where the kernel says" \
		"$(key session.open client) $(key session.open server)" \
		"10.93.1.9:1 $FAR:$PG"
	check "tproxy and a header: nobody's place, whatever the header says" \
		'^closed$' say client 6000 \
		"PROXY TCP4 10.93.1.9 $FAR 1 $PG\\r\\n" "$FAR"
	check_same "tproxy and a header: that is logged" \
		"$(key session.refused reason) $(key session.refused server)" \
		"no_endpoint $FAR:6000"
	check "tproxy and a header: none" '^closed$' \
		say client "$PG" '\0\0\0\x08\x04\xd2\x16\x2f' "$FAR"
	check_same "tproxy and a header: that is logged" \
		"$(key session.refused reason)" protocol
	stop proxy
}

# The file of a socket, and the log, are the user's; and the log can be opened
# anew where its folder lets him.
files() {
	mkdir "$WORK/files"
	chown nobody "$WORK/files"
	endpoints+=("{ name = \"unix\"; engine = \"postgres\";
	    listen = \"unix:$WORK/files/socket\"; ssl_mode = \"none\";
	    server = \"127.0.0.1:1\"; }")
	dbtls_config "$WORK/files.conf" "user = \"nobody\"; threads = 1;"
	sed -i "s|to = \"stderr\"|to = \"$WORK/files/log\"|" "$WORK/files.conf"
	endpoints=()
	start files "$DBTLS" run -c "$WORK/files.conf"
	await 10 grep -qs event=listen "$WORK/files/log"
	check_same "files: whose they are" "$(stat -c %U:%a \
		"$WORK/files/"{log,socket} | xargs)" 'nobody:640 nobody:660'
	mv "$WORK/files/log" "$WORK/files/old"
	kill -USR1 "${PID[files]}"
	check_ok "files: SIGUSR1 makes a new log" await 5 \
		grep -qs log.reopened "$WORK/files/log"
	chown root "$WORK/files"
	mv "$WORK/files/log" "$WORK/files/older"
	kill -USR1 "${PID[files]}"
	check_ok "files: where it may not, the old one goes on" await 5 \
		grep -qs log.failed "$WORK/files/older"
	stop files
	check_same "files: dbtls ends with status" "$status" 0
}

# --- all of it -------------------------------------------------------------

theme_begin proxy-protocol
[ "$(id -u)" = 0 ] || theme_skip "only root may make networks"
type -P nft >/dev/null || theme_skip "there is no nft"
if ! pg_have $v || ! my_have mariadb118 || ! haproxy_have; then
	theme_skip "packages cannot be had"
fi
network 2>"$WORK/network.log" ||
	theme_skip "no network can be made: $(tail -n 1 "$WORK/network.log")"
certs_make
databases || theme_end
endpoints_in
endpoints_out
dbtls_run proxy || theme_end
haproxy_run || theme_end
fronts
counted
malformed
strangers
backs
stop haproxy
stop proxy
check_same "dbtls ends with status" "$status" 0
kept
meant
files
theme_end

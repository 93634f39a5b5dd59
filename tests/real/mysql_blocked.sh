#!/bin/bash
# mysql_blocked.sh - health checks: a server blocks an address (error 1129)
# after so many handshakes in a row that came to nothing, and behind a proxy
# that is everybody's address.  A MySQL and a MariaDB that block after five,
# across a veth, because loopback is never blocked.
. "$(dirname "$0")/lib.sh"

# What is downloaded must be so before there is another network.
if [ "${1:-}" != inside ]; then
	my_have mysql97
	my_have mariadb118
	exec unshare --net --mount --propagation private -- "$0" inside
fi

readonly NEAR=10.77.0.1 FAR=10.77.0.2
readonly MOST=5		# max_connect_errors of both
readonly CHECKS=50 PROBE=1000
readonly -A NAME_OF=([mysql97]="MySQL 9.7" [mariadb118]="MariaDB 11.8")
declare -A port=()	# of servers and endpoints, by name

network() {
	ip link set lo up && mkdir -p /run/netns &&
		mount -t tmpfs none /run/netns && ip netns add far &&
		ip link add near type veth peer name far netns far &&
		ip address add $NEAR/24 dev near && ip link set near up &&
		ip -n far address add $FAR/24 dev far &&
		ip -n far link set far up && ip -n far link set lo up
}

server() { # SERVER: named as its root
	local p
	port_new p secret
	port[$1]=$p
	my_data "$1" "$1" && my_certificate "$1" good || return 1
	# A host is told from another by its name, which must be found.
	printf '%s\n' '127.0.0.1 localhost' "$NEAR near.test" >"$WORK/hosts"
	mount --bind "$WORK/hosts" "$ROOTS/$1/etc/hosts"
	ROOT_NETWORK=/run/netns/far MY_ADDRESS=$FAR my_start "$1" "$p" \
		--skip-name-resolve=OFF --performance-schema=ON \
		--max-connect-errors=$MOST
}

legs() { # SERVER
	local server=$FAR:${port[$1]} engine=mysql trust
	[ "$1" = mysql97 ] || engine=mariadb
	trust="server_name = \"db.test\"; ca = [ \"$PKI/ca.crt\" ];"
	add "$1.probe" "$server" verify-full \
		"$trust mysql = { probe = $PROBE; };"
	add "$1.eager" "$server" verify-full "$trust"
	add "$1.none" "$server" none ''
	add "$1.wrong" "$server" verify-full "${trust/ca.crt/ca2.crt}"
}
add() { # NAME SERVER MODE SETTINGS
	local p
	port_new p plain
	port[$1]=$p
	ENGINE=$engine endpoint "$1" "$p" "$2" "$3" "$4"
}

# --- what a server counted -------------------------------------------------

# Every connection that it accepted, that which asks among them.
connections() { # SERVER
	my_admin "$1" "SHOW GLOBAL STATUS LIKE 'Connections'" | cut -f2
}
# How many more since $before, less that which asks.
dials() { # SERVER
	echo $(($(connections "$1") - before - 1))
}

# Errors in a row, how often it was blocked, handshakes that came to nothing.
# shellcheck disable=SC2016
host() { # SERVER
	my_admin "$1" "SELECT SUM_CONNECT_ERRORS, COUNT_HOST_BLOCKED_ERRORS,
	    COUNT_HANDSHAKE_ERRORS FROM performance_schema.host_cache
	    WHERE IP = '$NEAR'" | tr '\t' ' '
}
# shellcheck disable=SC2053 # a pattern
host_is() { [[ $(host "$1") == $2 ]]; } # SERVER PATTERN

unblock() { # SERVER
	case $1 in
	mysql97) my_admin "$1" 'TRUNCATE performance_schema.host_cache' ;;
	*) my_admin "$1" 'FLUSH HOSTS' ;;
	esac
}

# --- health checks ---------------------------------------------------------

leave() { # ADDRESS PORT: as soon as there is a connection
	(exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}
read_and_leave() { # ADDRESS PORT: once the server has spoken
	(exec 3<>"/dev/tcp/$1/$2" && head -c 5 <&3) 2>/dev/null
}
stay_and_leave() { # ADDRESS PORT: well before the probe's time is over
	(exec 3<>"/dev/tcp/$1/$2" && sleep 0.1) 2>/dev/null
}
many() { # TIMES COMMAND...
	local i
	for ((i = 0; i < $1; i++)); do
		"${@:2}"
	done >/dev/null
}
# Until dbtls has nothing left of them.
at_rest() { [ "$(dbtls_descriptors proxy)" = "$rest" ]; }

log_in() { # PORT [OPTION]...
	mysql app "$1" "${@:2}" -e "SELECT 'welcome'"
}

# --- what is checked -------------------------------------------------------

control() { # SERVER
	local name=${NAME_OF[$1]} direct=${port[$1]}
	many $MOST leave $FAR "$direct"
	await 10 host_is "$1" "$MOST *"
	check "$name, directly: $MOST checks that leave, and it blocks" \
		"ERROR 1129 .*Host '$NEAR' is blocked" \
		log_in "$direct" --host=$FAR --ssl-mode=REQUIRED
	unblock "$1"
}

probe() { # SERVER
	local name=${NAME_OF[$1]} before p=${port[$1.probe]}
	before=$(connections "$1")
	many $CHECKS leave 127.0.0.1 "$p"
	many $((MOST + 1)) stay_and_leave 127.0.0.1 "$p"
	await 10 at_rest
	check "$name, probe = $PROBE: after $CHECKS checks that leave at once \
and $((MOST + 1)) later, a login" '^welcome$' log_in "$p" --get-server-public-key
	# What had been dialled before the login was accepted before it.
	check_same "$name, probe = $PROBE: connections that it saw, the \
login's among them" "$(dials "$1")" 1
	check_same "$name, probe = $PROBE: its errors, blocks and bad \
handshakes" "$(host "$1")" "0 0 0"
}

# Without a probe there is no telling a check from a client.
eager() { # SERVER
	local name=${NAME_OF[$1]} before p=${port[$1.eager]}
	unblock "$1"
	before=$(connections "$1")
	many $CHECKS leave 127.0.0.1 "$p"
	await 10 at_rest
	printf 'measured %s, probe = 0: %d of %d checks that leave at once were dialled\n' \
		"$name" "$(dials "$1")" $CHECKS
	unblock "$1"
	many $MOST read_and_leave 127.0.0.1 "$p"
	await 10 host_is "$1" "$MOST *"
	check "$name, probe = 0: errors, blocks, bad handshakes after $MOST \
checks that read a greeting" "^$MOST 0 $MOST\$" host "$1"
}

# The address of dbtls is blocked now.
blocked() { # SERVER
	local name=${NAME_OF[$1]}
	local full=${port[$1.eager]} none=${port[$1.none]}
	check "$name blocks us, verify-full: mysql reads our words" \
		'^ERROR 1129 \(HY000\): dbtls: .*unverified' log_in "$full"
	check "$name blocks us, verify-full: mariadb reads our words" \
		'^ERROR 1129 \(HY000\): dbtls: .*unverified' \
		mariadb 118 app "$full" --skip-ssl -e 'SELECT 1'
	check "$name blocks us, verify-full: and not the server's" \
		'^no words of its$' without_its_words "$full"
	check "$name blocks us, none: mysql reads the server's words" \
		"^ERROR 1129 \(HY000\): Host '$NEAR' is blocked" log_in "$none"
	check "$name blocks us: why, as logged" \
		'reason=connect detail="unverified: server blocks' \
		dbtls_line proxy session.refused "$1.eager"
	unblock "$1"
	check "$name: unblocked, and a login works" '^welcome$' \
		log_in "$full" --get-server-public-key
}
without_its_words() { # PORT
	log_in "$1" 2>&1 | grep -qE 'is blocked|admin' ||
		echo 'no words of its'
}

# Nor is it told from one by a server when dbtls turns away from it.
untrusted() { # SERVER
	local name=${NAME_OF[$1]}
	unblock "$1"
	many $MOST log_in "${port[$1.wrong]}" 2>/dev/null
	await 10 host_is "$1" "$MOST *"
	check "$name: errors, blocks, bad handshakes after $MOST sessions \
whose certificate was not trusted" "^$MOST 0 $MOST\$" host "$1"
	unblock "$1"
}

theme_begin mysql-blocked
network 2>/dev/null || theme_skip "no network namespace can be had"
certs_make
servers=()
for s in mysql97 mariadb118; do
	if ! my_have "$s"; then
		skip "${NAME_OF[$s]}" "its packages cannot be had"
	elif server "$s"; then
		servers+=("$s")
	fi
done
[ ${#servers[@]} -gt 0 ] || theme_end
for s in "${servers[@]}"; do
	control "$s"
	legs "$s"
done
dbtls_run proxy || theme_end
rest=$(dbtls_descriptors proxy)
for s in "${servers[@]}"; do
	probe "$s"
	eager "$s"
	blocked "$s"
	untrusted "$s"
	stop "$s" KILL # not needed any more
done
stop proxy
check_same "dbtls ends with status" "$status" 0
theme_end

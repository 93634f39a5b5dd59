#!/bin/bash
# bridge.sh - what a transparent bridge leaves of the path's throughput
#
#	bench/bridge.sh [BUILD]
#
# A client, a router and a server, in network namespaces that go with this
# script.  The server sends $MEGABYTES (400) to the client, $ROUNDS (7) times:
#
#	path		the router forwards, plain or TLS from end to end
#	redirect	dbtls on the router takes the connection, by REDIRECT
#	tproxy		or by TPROXY
#
# and the medians are printed, each with its ratio to the same bytes on the
# same path without dbtls.  Of verify-full there are two: to TLS from end to
# end, which is as much work, and to plain text, which the client had before.
# It wants root, and a machine that does nothing else.
set -u
TREE=$(cd "$(dirname "$0")/.." && pwd)
if [ "${1:-}" != inside ]; then
	BUILD=$(realpath "${1:-$TREE/build/gcc}")
	export BUILD
	exec unshare --net --mount --propagation private -- "$0" inside
fi
readonly TREE BUILD MEGABYTES=${MEGABYTES:-400} ROUNDS=${ROUNDS:-7}
readonly DBTLS=$BUILD/proxy/dbtls CERTS=$BUILD/certs SERVER=10.93.2.2
pids=()

fail() { # WHY
	echo "bridge.sh: $1" >&2
	[ ! -s "$WORK/proxy.log" ] || tail -n 5 "$WORK/proxy.log" >&2
	exit 1
}

clean() {
	local status=$?
	{ kill "${pids[@]}" && wait "${pids[@]}"; } 2>/dev/null
	rm -rf "$WORK"
	exit "$status"
}

# Until COMMAND succeeds, for ten seconds.
await() {
	local end=$((SECONDS + 10))
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

host() { # NAME NUMBER
	ip netns add "$1" && ip link add "$1" type veth peer name eth netns "$1" &&
		ip address add "10.93.$2.1/24" dev "$1" && ip link set "$1" up &&
		ip -n "$1" address add "10.93.$2.2/24" dev eth &&
		ip -n "$1" link set eth up && ip -n "$1" link set lo up &&
		ip -n "$1" route add default via "10.93.$2.1"
}

network() {
	ip link set lo up && mkdir -p /run/netns &&
		mount -t tmpfs none /run/netns && host client 1 &&
		host server 2 && sysctl -qw net.ipv4.ip_forward=1
}

# Plain on ports that are even, TLS on odd ones.
server() {
	exec ip netns exec server python3 - "$CERTS" "$SERVER" <<-'END'
		import socket, ssl, sys, threading
		tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		tls.load_cert_chain(sys.argv[1] + "/good.chain.pem",
		    sys.argv[1] + "/good.key")
		block = bytes(1 << 18)
		def serve(s, secret):
		    if secret:
		        s = tls.wrap_socket(s, server_side=True)
		    with s, s.makefile("rb") as words:
		        left = int(words.readline() or 0) << 20
		        while left > 0:
		            s.sendall(block)
		            left -= len(block)
		def listen(port):
		    at = socket.create_server((sys.argv[2], port))
		    while True:
		        s = at.accept()[0]
		        threading.Thread(target=serve, args=(s, port % 2),
		            daemon=True).start()
		for port in range(7000, 7006):
		    threading.Thread(target=listen, args=(port,)).start()
	END
}

# Prints megabytes a second.
client() { # PORT MEGABYTES [tls]
	ip netns exec client python3 - "$SERVER" "$@" <<-'END'
		import socket, ssl, sys, time
		block = memoryview(bytearray(1 << 18))
		s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 30)
		if sys.argv[4:]:
		    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
		    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
		    s = tls.wrap_socket(s)
		left = int(sys.argv[3]) << 20
		begun = time.monotonic()
		s.sendall(b"%s\n" % sys.argv[3].encode())
		while left > 0:
		    n = s.recv_into(block)
		    if n == 0:
		        sys.exit("the server has ended early")
		    left -= n
		print(int(sys.argv[3]) / (time.monotonic() - begun))
	END
}

endpoint() { # NAME HOW LISTEN PORT SETTINGS
	echo "{ name = \"$1\"; engine = \"tls\"; transparent = \"$2\";
	    listen = \"0.0.0.0:$3\"; server = \"$SERVER:$4\";
	    client_tls = { mode = \"off\"; }; allow = \"10.93.1.0/24\"; $5 }"
}

bridge() {
	local none='ssl_mode = "none";'
	local full="server_name = \"db.test\"; ca = \"$CERTS/ca.crt\";"
	{
		echo 'threads = 1; log = { level = "notice"; }; endpoints = ('
		endpoint redirect-none redirect 15001 7002 "$none"
		echo ,
		endpoint redirect-full redirect 15001 7003 "$full"
		echo ,
		endpoint tproxy-none tproxy 15002 7004 "$none"
		echo ,
		endpoint tproxy-full tproxy 15002 7005 "$full"
		echo ');'
	} >"$WORK/dbtls.conf"
	"$DBTLS" bridge rules -c "$WORK/dbtls.conf" >"$WORK/up" ||
		fail "no rules"
	sh "$WORK/up" || fail "the kernel does not take the rules"
	"$DBTLS" run -c "$WORK/dbtls.conf" >"$WORK/proxy.log" 2>&1 &
	pids+=($!)
}

run() { # NAME PORT [tls]
	echo "$1 $(client "$2" "$MEGABYTES" "${@:3}")" | grep ' [0-9]' ||
		fail "$1: no answer"
}

sums() {
	sort -k1,1 -k2,2n "$WORK/runs" | awk '
		function median(list,    a, n) {
			n = split(list, a, " ")
			return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
		}
		function show(text, name, to,    r) {
			r = median(list[name])
			printf "%-34s %9.0f", text, r
			if (to != "")
				printf " %9.2f", r / median(list[to])
			if (to == "path-tls")
				printf " %9.2f", r / median(list["path-plain"])
			printf "\n"
		}
		{ list[$1] = list[$1] " " $2 }
		END {
			printf "%-34s %9s %9s %9s\n", "", "MB/s", "to same", \
				"to plain"
			show("path, plain", "path-plain", "")
			show("path, TLS from end to end", "path-tls", "")
			show("redirect, none", "redirect-none", "path-plain")
			show("tproxy, none", "tproxy-none", "path-plain")
			show("redirect, verify-full", "redirect-full", "path-tls")
			show("tproxy, verify-full", "tproxy-full", "path-tls")
		}'
}

WORK=$(mktemp -d /tmp/dbtls-bench.XXXXXX)
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
"$TREE/tests/certs.sh" "$CERTS" >/dev/null || fail "no certificates"
network || fail "no network namespaces"
server &
pids+=($!)
bridge
for port in {7000..7005}; do
	how=$([ "$port" = 7001 ] && echo tls)
	# shellcheck disable=SC2086 # one word or none
	await client "$port" 1 $how || fail "port $port: nobody answers"
done
for ((round = 0; round < ROUNDS; round++)); do
	run path-plain 7000
	run path-tls 7001 tls
	run redirect-none 7002
	run redirect-full 7003
	run tproxy-none 7004
	run tproxy-full 7005
done >"$WORK/runs"
echo "$ROUNDS rounds of $MEGABYTES megabytes to the client; medians:"
sums

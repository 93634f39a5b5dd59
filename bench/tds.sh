#!/bin/bash
# tds.sh - what one TDS packet per TLS record costs
#
#	bench/tds.sh [BUILD]
#
# The same bytes, as one message in packets of three sizes, go through the same
# process to the same server: once by engine sqlserver, which seals each packet
# as a record of its own, and once by engine tls, which knows no packets.  The
# client's leg is plain, the server's TLS 1.2 and 1.3 (TDS 8.0, tls.direct).  All
# are run in turns, $ROUNDS (7) times with $MEGABYTES (400) each, and the medians
# are printed: throughput, the proxy's time on processors, and their ratios.
# It wants a machine that does nothing else.
. "$(dirname "$0")/lib.sh"
readonly MEGABYTES=${MEGABYTES:-400} ROUNDS=${ROUNDS:-7}
readonly SIZES=${SIZES:-4096 8000 16383} VERSIONS=${VERSIONS:-1.2 1.3}
readonly ENGINES='sqlserver tls'

declare -A PORT=()	# of dbtls, by engine and version
port=''

endpoint() { # ENGINE VERSION
	local direct=''
	free_port port
	PORT[$1-$2]=$port
	[ "$1" = tls ] || direct='direct = true;'
	cat <<-END
		{ name = "$1-${2/./-}"; engine = "$1"; ssl_mode = "verify-full";
		  listen = "127.0.0.1:$port"; server = "127.0.0.1:$(<"$WORK/sink.log")";
		  server_name = "db.test"; ca = [ "$CERTS/ca.crt" ];
		  tls = { min = "$2"; max = "$2"; $direct }; }
	END
}

begin() {
	local e v port separator=''
	start sink "$BUILD/bench/tds_sink" "$CERTS/good.chain.pem" \
		"$CERTS/good.key"
	await 10 test -s "$WORK/sink.log" || fail "the server does not start"
	{
		echo 'threads = 1; log = { level = "notice"; }; endpoints = ('
		for e in $ENGINES; do
			for v in $VERSIONS; do
				echo "$separator"
				endpoint "$e" "$v"
				separator=,
			done
		done
		echo ');'
	} >"$WORK/dbtls.conf"
	start proxy "$BUILD/proxy/dbtls" run -c "$WORK/dbtls.conf"
	await 20 "$BUILD/bench/tds_source" "$port" 0 4096 "${PID[proxy]}" ||
		fail "dbtls does not start"
}

run() { # ENGINE VERSION SIZE
	echo "$1 $2 $3 $("$BUILD/bench/tds_source" "${PORT[$1-$2]}" \
		"$MEGABYTES" "$3" "${PID[proxy]}")" | grep whole= ||
		fail "$1, TLS $2, packets of $3: no answer"
}

# The rule is kept where it is to be, and the bytes are the same.
check() {
	awk -v megabytes="$MEGABYTES" '
		{ split($0, f, /[ =]/) }
		f[1] == "sqlserver" && f[9] != f[11] {
			print "tds.sh: a record was not one packet: " $0
			bad = 1
		}
		f[7] < (megabytes - 1) * 1024 * 1024 {
			print "tds.sh: bytes are missing: " $0
			bad = 1
		}
		END { exit bad }' "$WORK/runs" >&2
}

sums() {
	sort -k1,3 "$WORK/runs" | awk -v megabytes="$MEGABYTES" '
		function median(list,    a, n, i, j, t) {
			n = split(list, a, " ")
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && a[j] + 0 < a[j - 1] + 0; j--) {
					t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
				}
			return n % 2 ? a[(n + 1) / 2] : \
				(a[n / 2] + a[n / 2 + 1]) / 2
		}
		{
			key = $1 " " $2 " " $3
			time[key] = time[key] " " $4
			cpu[key] = cpu[key] " " $5
			seen[$2 " " $3] = 1
		}
		END {
			printf "%-8s %-7s %28s   %34s\n", "", "", \
				"------- megabytes/s -------", \
				"-- seconds of processor per GB --"
			printf "%-8s %-7s %9s %9s %8s   %11s %11s %10s\n", \
				"TLS", "packet", "rule", "without", "ratio", \
				"rule", "without", "ratio"
			for (k in seen) {
				r = megabytes / median(time["sqlserver " k])
				w = megabytes / median(time["tls " k])
				rc = median(cpu["sqlserver " k]) / megabytes * 1024
				wc = median(cpu["tls " k]) / megabytes * 1024
				split(k, f, " ")
				printf "%-8s %-7d %9.0f %9.0f %8.3f   " \
					"%11.3f %11.3f %10.3f\n", f[1], f[2], \
					r, w, r / w, rc, wc, rc / wc | \
					"sort -k1,1 -k2,2n"
			}
		}'
}

bench_begin tds "${1:-}"
begin
for ((round = 0; round < ROUNDS; round++)); do
	for size in $SIZES; do
		for version in $VERSIONS; do
			for engine in $ENGINES; do
				run "$engine" "$version" "$size"
			done
		done
	done
done >"$WORK/runs"
check || exit 1
echo "$ROUNDS rounds of $MEGABYTES megabytes each; medians:"
sums

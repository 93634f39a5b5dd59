#!/bin/bash
# mysql_replication.sh - replicas of MySQL 9.7 and of MariaDB 10.11 and 11.8,
# semi-synchronous and by GTID, whose source is dbtls in verify-full: one on a
# leg in clear, one on a leg with TLS.  They follow as rows are written, at
# rest, and after the proxy and after the source have been away.
. "$(dirname "$0")/lib.sh"

# A family is a source, its replicas and what stands between them:
# "SOURCE-SERVER REPLICA-SERVER LEG...", a leg being "plain" or "tls".
readonly -A FAMILY=(
	[mysql97]="mysql97 mysql97 plain tls"
	[mariadb118]="mariadb118 mariadb118 plain tls"
	[mariadb1011]="mariadb1011 mariadb118 plain"
)
readonly -A NAME_OF=([mysql97]="MySQL 9.7" [mariadb118]="MariaDB 11.8"
	[mariadb1011]="MariaDB 10.11")
readonly BLOB=20000000	# bytes of one value: more than one packet can hold
declare -A port=()	# of sources and endpoints, by name
families=()

# --- words that differ -----------------------------------------------------

shell() { # NAME OPTION...: becomes the command line, as superuser
	local program=(mariadb --no-defaults --skip-ssl)
	[ "${MY_SERVER_OF[$1]}" != mysql97 ] || program=(mysql --no-defaults)
	my_exec "${MY_SERVER_OF[$1]}" "${program[@]}" \
		--socket="$(my_socket "$1")" -u adm "${@:2}"
}

is_mysql() { [ "$1" = mysql97 ]; } # FAMILY
source_of() { echo "source-$1"; } # FAMILY
replicas() { # FAMILY
	local leg legs
	read -r _ _ legs <<<"${FAMILY[$1]}"
	for leg in $legs; do
		echo "$1-$leg"
	done
}

# A session waits for a replica's word, and half a second at most.
source_options() { # FAMILY
	if is_mysql "$1"; then
		printf '%s\n' --plugin-load-add=semisync_source.so \
			--loose-rpl-semi-sync-source-enabled=ON \
			--loose-rpl-semi-sync-source-timeout=500 \
			--binlog-transaction-compression=ON \
			--performance-schema=ON
	else
		printf '%s\n' --rpl-semi-sync-master-enabled=ON \
			--rpl-semi-sync-master-timeout=500 \
			--log-bin-compress=ON --gtid-domain-id=1
	fi
	echo --server-id=1
}
replica_options() { # FAMILY LEG
	if is_mysql "$1"; then
		printf '%s\n' --plugin-load-add=semisync_replica.so \
			--loose-rpl-semi-sync-replica-enabled=ON \
			--performance-schema=ON --replica-net-timeout=5
	else
		printf '%s\n' --rpl-semi-sync-slave-enabled=ON \
			--slave-net-timeout=5
		[ "$2" = plain ] || echo --slave-compressed-protocol=ON
	fi
	echo --read-only=ON
}

change_source() { # FAMILY LEG, in the words of MySQL
	cat <<-SQL
		CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1',
		SOURCE_PORT = ${port[$1-$2]}, SOURCE_USER = 'repl_$2',
		SOURCE_PASSWORD = '$(my_password "repl_$2")',
		SOURCE_CONNECT_RETRY = 1,
		SOURCE_HEARTBEAT_PERIOD = 0.5, SOURCE_SSL_CA = '$WORK/ca.crt',
	SQL
	case $2 in
	plain) echo "SOURCE_SSL = 0," ;;
	tls) echo "SOURCE_SSL = 1, SOURCE_SSL_VERIFY_SERVER_CERT = 1," ;;
	esac
	# Compressed as well: one of them by zstd, the other by zlib.
	case $1-$2 in
	mysql97-plain) echo "SOURCE_COMPRESSION_ALGORITHMS = 'zstd',
		GET_SOURCE_PUBLIC_KEY = 1," ;;
	mysql97-tls) echo "SOURCE_COMPRESSION_ALGORITHMS = 'zlib'," ;;
	esac
	if is_mysql "$1"; then
		echo "SOURCE_RETRY_COUNT = 1000, SOURCE_AUTO_POSITION = 1"
	else
		echo "SOURCE_USE_GTID = slave_pos"
	fi
}
change_master() { # FAMILY LEG, in those of MariaDB
	change_source "$@" | sed 's/REPLICATION SOURCE/MASTER/; s/SOURCE_/MASTER_/g'
}

semisync() { # FAMILY clients|yes_tx|no_tx
	local word=Rpl_semi_sync_source_$2
	is_mysql "$1" || word=${word/source/master}
	my_admin "$(source_of "$1")" "SHOW STATUS LIKE '$word'" | cut -f2
}

heartbeats() { # FAMILY REPLICA
	if is_mysql "$1"; then
		my_admin "$2" "SELECT COUNT_RECEIVED_HEARTBEATS
			FROM performance_schema.replication_connection_status"
	else
		my_admin "$2" "SHOW STATUS LIKE 'Slave_received_heartbeats'" |
			cut -f2
	fi
}

# Are both threads at work, and is there no error?
clean() { # FAMILY REPLICA
	(shell "$2" --vertical -e 'SHOW REPLICA STATUS') |
		grep -E '(IO|SQL)_Running:|Last_(IO|SQL)_Errno:' |
		sed 's/^ *[^:]*: *//' | tr '\n' ' '
}
is_clean() { [ "$(clean "$1" "$2")" = "Yes Yes 0 0 " ]; }
all_clean() { each_replica is_clean; }
each_replica() { # COMMAND... with FAMILY and REPLICA
	local family replica
	for family in "${families[@]}"; do
		for replica in $(replicas "$family"); do
			"$@" "$family" "$replica" || return 1
		done
	done
}

# --- making them -----------------------------------------------------------

source_make() { # FAMILY
	local family=$1 name leg legs server
	name=$(source_of "$family")
	read -r server _ legs <<<"${FAMILY[$family]}"
	port_new p secret
	port[$name]=$p
	my_data "$name" "$server" && my_certificate "$name" good || return 1
	source_start "$family" || return 1
	my_admin "$name" "USE app" \
		"CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200))" \
		"CREATE TABLE b (id INT PRIMARY KEY, v LONGBLOB)"
	for leg in $legs; do
		account_make "$name" "repl_$leg"
		leg_make "$family" "$leg"
	done
}

# One for each leg: a login by the one would warm those by the other.
account_make() { # NAME USER
	my_admin "$1" "SET sql_log_bin = 0" "CREATE USER $2
		IDENTIFIED BY '$(my_password "$2")' REQUIRE SSL" \
		"GRANT REPLICATION SLAVE ON *.* TO $2"
}
source_start() { # FAMILY
	local name options
	name=$(source_of "$1")
	mapfile -t options < <(source_options "$1")
	my_start "$name" "${port[$name]}" "${options[@]}"
}

leg_make() { # FAMILY LEG
	local kind=plain settings="server_name = \"db.test\";
		ca = [ \"$PKI/ca.crt\" ]; timeouts = { drain = 0.5; };"
	[ "$2" = plain ] || {
		kind=secret
		settings+="client_tls = { mode = \"require\";
			cert = \"$PKI/proxy.crt\"; key = \"$PKI/proxy.key\"; };"
	}
	port_new p $kind
	port[$1-$2]=$p
	ENGINE=${1%%[0-9]*} endpoint "$1-$2" "$p" \
		"127.0.0.1:${port[$(source_of "$1")]}" "${MODE_OF[$2]}" \
		"$settings"
}
readonly -A MODE_OF=([plain]=verify-full [tls]=verify-identity)

replica_make() { # FAMILY LEG SERVER-ID
	local name=$1-$2 server p options
	read -r _ server _ <<<"${FAMILY[$1]}"
	my_data "$name" "$server" || return 1
	port_new p other
	mapfile -t options < <(replica_options "$1" "$2")
	my_start "$name" "$p" --server-id="$3" "${options[@]}" || return 1
	if is_mysql "$1"; then
		my_admin "$name" "$(change_source "$1" "$2")" "START REPLICA"
	else
		my_admin "$name" "$(change_master "$1" "$2")" "START REPLICA"
	fi
}

# --- rows ------------------------------------------------------------------

# Each a transaction of its own, a thousand a second at most.
stream() { # FIRST LAST
	local id
	for ((id = $1; id <= $2; id++)); do
		echo "INSERT INTO t VALUES ($id, CONCAT('$CANARY ', SHA2($id, 256)));"
		((id % 50)) || sleep 0.05
		[ ! -e "$WORK/enough" ] || return
	done
}
writer() { # FAMILY FIRST LAST
	local name
	name=$(source_of "$1")
	exec < <(stream "$2" "$3")
	shell "$name" app
}
rows() { (writer "$@"); } # FAMILY FIRST LAST

# A value that needs several packets, and that nothing can compress.
blob() { # FAMILY
	head -c $BLOB /dev/urandom >"$WORK/blob"
	chmod 644 "$WORK/blob"
	my_admin "$(source_of "$1")" \
		"INSERT INTO app.b VALUES (1, LOAD_FILE('$WORK/blob'))"
}

counted() { # NAME
	my_admin "$1" 'SELECT COUNT(*), MAX(id) FROM app.t' \
		'SELECT SUM(LENGTH(v)) FROM app.b' | tr '\n\t' '  '
}
has_all() { # FAMILY REPLICA
	[ "$(counted "$2")" = "$(counted "$(source_of "$1")")" ]
}
all_have_all() { each_replica has_all; }

gtid() { # FAMILY NAME slave|binlog
	if is_mysql "$1"; then
		my_admin "$2" 'SELECT @@gtid_executed'
	else
		my_admin "$2" "SELECT @@gtid_$3_pos"
	fi
}

# One number for all that a server has.
checksum() { # NAME
	my_admin "$1" 'CHECKSUM TABLE app.t, app.b' | cut -f2 | tr '\n' ' '
}

follow() { # WHEN
	local family replica began
	began=$(now_ms)
	await 60 all_have_all
	printf 'measured every replica has every row %s: after %d ms\n' "$1" \
		$(($(now_ms) - began))
	await 20 all_clean
	for family in "${families[@]}"; do
		for replica in $(replicas "$family"); do
			follows "$family" "$replica" "$1"
		done
		synchronous "$family" "$1"
	done
}
follows() { # FAMILY REPLICA WHEN
	local from
	from=$(source_of "$1")
	check_same "$2 follows $3: its rows, the last, and bytes in blobs" \
		"$(counted "$2")" "$(counted "$from")"
	check_same "$2: checksums" "$(checksum "$2")" "$(checksum "$from")"
	check_same "$2: where it is, by GTID" "$(gtid "$1" "$2" slave)" \
		"$(gtid "$1" "$from" binlog)"
	check_same "$2: threads at work, and errors" "$(clean "$1" "$2")" \
		"Yes Yes 0 0 "
}

declare -A acknowledged=()
synchronous() { # FAMILY WHEN
	local acks clients
	await 10 semisync_clients "$1"
	acks=$(semisync "$1" yes_tx)
	clients=$(semisync "$1" clients)
	if [ "$acks" -gt "${acknowledged[$1]:-0}" ]; then
		pass "${NAME_OF[$1]}: $clients semi-synchronous replicas, and \
commits that they acknowledged $2: $((acks - ${acknowledged[$1]:-0}))"
	else
		fail "${NAME_OF[$1]}: semi-synchronous $2" \
			"$clients clients, $acks commits acknowledged in all"
	fi
	acknowledged[$1]=$acks
}
semisync_clients() { # FAMILY: are all of them?
	[ "$(semisync "$1" clients)" = "$(replicas "$1" | wc -l)" ]
}

# --- what is checked -------------------------------------------------------

# Nobody writes, and neither end takes the other for dead.
at_rest() {
	local family replica began
	local -A before=() open=()
	began=$(now_ms)
	for family in "${families[@]}"; do
		for replica in $(replicas "$family"); do
			before[$replica]=$(heartbeats "$family" "$replica")
			open[$replica]=$(sessions "$replica")
		done
	done
	for family in "${families[@]}"; do
		for replica in $(replicas "$family"); do
			await 20 heard "$family" "$replica" \
				$((before[$replica] + 5))
			check_same "$replica: at rest, five heartbeats came \
within $(($(now_ms) - began)) ms, and new sessions" \
				"$(($(sessions "$replica") - open[$replica]))" 0
		done
	done
	check_most "at rest: milliseconds for five heartbeats of 500" \
		$(($(now_ms) - began)) 10000
}
heard() { [ "$(heartbeats "$1" "$2")" -ge "$3" ]; }
sessions() { # ENDPOINT
	grep -cE "event=session.open .*endpoint=\"?$1\"?( |\$)" "$WORK/proxy.log"
}

# What a source says of the connections of its replicas.
# shellcheck disable=SC2016
dump_status() { # FAMILY VARIABLE
	my_admin "$(source_of "$1")" "SELECT s.VARIABLE_VALUE
		FROM performance_schema.status_by_thread s
		JOIN performance_schema.threads t USING (THREAD_ID)
		WHERE t.PROCESSLIST_COMMAND LIKE 'Binlog Dump%'
		AND s.VARIABLE_NAME = '$2' ORDER BY 1" | tr '\n' ' '
}
compressed() { # of MySQL alone, which tells
	check_same "MySQL 9.7: compression of the two" \
		"$(dump_status mysql97 Compression_algorithm)" "zlib zstd "
	check_same "MySQL 9.7: TLS of the two, as the source sees it" \
		"$(dump_status mysql97 Ssl_version)" "TLSv1.3 TLSv1.3 "
}

verified() { # FAMILY REPLICA
	local leg='^cleartext$'
	[[ $2 == *-plain ]] || leg='^TLSv1'
	check_same "$2: what dbtls verified" \
		"$(dbtls_value proxy session.open "$2" verified)" full
	check "$2: its own leg" "$leg" \
		dbtls_value proxy session.open "$2" client_leg
}

writers_start() { # FIRST
	local family
	rm -f "$WORK/enough"
	for family in "${families[@]}"; do
		start "writer-$family" writer "$family" "$1" $(($1 + 59999))
	done
}
writers_stop() {
	local family
	: >"$WORK/enough"
	for family in "${families[@]}"; do
		await 20 gone "writer-$family"
		stop "writer-$family"
		check_same "${NAME_OF[$family]}: who wrote ends with status" \
			"$status" 0
	done
	rm "$WORK/enough"
}
# Every replica has rows from N on.
beyond() { # N FAMILY REPLICA
	[ "$(my_admin "$3" 'SELECT MAX(id) FROM app.t')" -gt "$1" ]
}
all_beyond() { each_replica beyond "$1"; }

proxy_away() {
	local family last began
	writers_start 10000
	await 20 all_beyond 10000
	stop proxy
	check_same "dbtls ends in the middle of it with status" "$status" 0
	dbtls_again proxy
	began=$(now_ms)
	last=$(my_admin "$(source_of "${families[0]}")" \
		'SELECT MAX(id) FROM app.t')
	await 30 all_beyond "$last"
	printf 'measured every replica receives again: %d ms after dbtls was back\n' \
		$(($(now_ms) - began))
	for family in "${families[@]}"; do
		check_ok "${NAME_OF[$family]} was written to meanwhile" \
			alive "writer-$family"
	done
	writers_stop
	follow "after the proxy was away"
}

# The passwords that a source has seen are forgotten: logins are cold again.
source_away() {
	local family
	for family in "${families[@]}"; do
		kill "${PID[$(source_of "$family")]}"
	done
	for family in "${families[@]}"; do
		my_stop "$(source_of "$family")"
		acknowledged[$family]=0
	done
	for family in "${families[@]}"; do
		source_start "$family"
		rows "$family" 100000 100500
	done
	# A commit waits for replicas only once they are there again.
	await 30 all_have_all
	for family in "${families[@]}"; do
		await 20 semisync_clients "$family"
		rows "$family" 100501 101000
	done
	follow "after the source was away"
}

# They would take ten seconds each, and are not needed any more.
servers_end() {
	local family name
	for family in "${families[@]}"; do
		for name in $(replicas "$family") "$(source_of "$family")"; do
			stop "$name" KILL
		done
	done
}

refusals() { # but those that the source's absence explains
	grep 'event=session.refused' "$WORK/proxy.log" |
		grep -v 'reason=connect ' | cut -c1-300
}

theme_begin mysql-replication
certs_make
install -m 644 "$PKI/ca.crt" "$WORK/ca.crt"
wire_begin
for family in mysql97 mariadb118 mariadb1011; do
	read -r source replica _ <<<"${FAMILY[$family]}"
	if ! my_have "$source" || ! my_have "$replica"; then
		skip "${NAME_OF[$family]}" "its packages cannot be had"
	elif source_make "$family"; then
		families+=("$family")
	fi
done
[ ${#families[@]} -gt 0 ] || theme_end
dbtls_run proxy || theme_end

id=10
for family in "${families[@]}"; do
	rows "$family" 1 1000
	blob "$family"
	my_flush "$(source_of "$family")"
	for leg in plain tls; do
		[[ " ${FAMILY[$family]} " == *" $leg "* ]] || continue
		replica_make "$family" "$leg" $((id++))
	done
done
await 30 all_clean
for family in "${families[@]}"; do
	rows "$family" 1001 2000
done
follow "as rows are written"
each_replica verified
[[ " ${families[*]} " != *" mysql97 "* ]] || compressed
at_rest
proxy_away
source_away
check_same "dbtls refused nobody that the source would have let in" \
	"$(refusals)" ""
servers_end
stop proxy
check_same "dbtls ends with status" "$status" 0
wire_end
theme_end

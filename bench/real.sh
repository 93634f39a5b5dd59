# shellcheck shell=bash
#
# real.sh - real work: PostgreSQL 15 and MySQL 9.7 with their own programs, as
# the real tests unpack them
#
#	real_prepare	while there is still a network to get them from
#	begin_postgres part_postgres begin_mysql part_mysql
#
# Servers and clients share one processor; the proxy has the other.  What is
# measured is the proxy alone.
REAL=$TREE/tests/real
# shellcheck disable=SC2034 # the three below read them
readonly REAL CANARY=bench PKI=$BUILD/certs
. "$REAL/roots.sh"
. "$REAL/postgres.sh"
. "$REAL/mysql.sh"

readonly PG=15 MY=mysql97
readonly PG_ROWS=$((MEGABYTES * 500)) PG_CHANGES=$((MEGABYTES * 100))
readonly MY_ROWS=$(((MEGABYTES + 3) / 4))
readonly CLIENTS=8 TRANSACTIONS=1500 LOGINS=30

wanted() { [[ " $PARTS " == *" $1 "* ]]; } # PART

real_prepare() {
	! wanted postgres || pg_have $PG ||
		echo "$BENCH: PostgreSQL cannot be had" >&2
	! wanted mysql || my_have $MY ||
		echo "$BENCH: MySQL cannot be had" >&2
	return 0
}
real_versions() {
	! wanted postgres || [ ! -d "$ROOTS/pg$PG" ] ||
		(pg_exec $PG postgres --version)
	! wanted mysql || [ ! -d "$ROOTS/$MY" ] || {
		(my_exec $MY mysqld --version)
		(my_exec $MY mysqlrouter --version)
	}
}

# The proxy's work while COMMAND runs, after the WORDS that say what was done.
worked() { # FLAVOR PEER WORDS COMMAND...
	local line
	line=$(timeout -k 5 $STEP "$BUILD/bench/load" window \
		pid="${PID[$1/$2]}" ours=$$ -- "${@:4}") || return 1
	echo "$3 $line"
}

# --- PostgreSQL --------------------------------------------------------------

begin_postgres() {
	free_port PG_BACK
	install -m 644 "$CERTS/ca.crt" "$WORK/ca.crt"
	[ -d "$ROOTS/pg$PG" ] && pg_data primary $PG &&
		pg_certificate primary proxy &&
		pg_start primary "$PG_BACK" shared_buffers=512MB \
			max_wal_size=8GB autovacuum=off && pg_fill &&
		start_all postgres
}
pg_fill() {
	admin primary app 'ALTER ROLE trusted REPLICATION' \
		'CREATE UNLOGGED TABLE bulk AS SELECT i, repeat(md5(i::text),
		    15) AS v FROM generate_series(1, '"$PG_ROWS"') i' \
		'CREATE TABLE change (i int, v text)' \
		'GRANT SELECT ON bulk TO trusted' &&
		admin primary app "SELECT FROM
		    pg_create_logical_replication_slot('kept', 'test_decoding')" &&
		admin primary app "INSERT INTO change SELECT i, repeat('x', 500)
		    FROM generate_series(1, $PG_CHANGES) i" \
		    'SELECT pg_switch_wal()' >/dev/null || return 1
	PG_END=$(admin primary app 'SELECT pg_current_wal_lsn()')
	PG_BYTES=$(admin primary app "SELECT sum(length(v) + length(i::text) + 2)
	    FROM bulk")
	# What test_decoding writes of one change, with what says where it is.
	CHANGE_BYTES=$((PG_CHANGES * 600))
}

pg_peers() {
	[ -n "${PID[primary]:-}" ] && in_turns postgres
}
pg_info() { # PEER
	echo "host=127.0.0.1 port=${AT[postgres/$1]} user=trusted" \
		"dbname=app sslmode=disable"
}
pg_work() { # PEER WORDS PROGRAM ARG...
	worked postgres "$1" "$2" "$REAL/in_root" "$ROOTS/pg$PG" \
		"PATH=$(pg_bin $PG):/usr/bin" PGSSLMODE=disable \
		PGUSER=trusted "${@:3}"
}

pg_copy() { # PEER
	pg_work "$1" "bytes=$PG_BYTES" psql -X -q -d "$(pg_info "$1")" \
		-c 'COPY bulk TO STDOUT'
}
pg_logical() { # PEER
	local slot=run_$1
	admin primary app "SELECT FROM
	    pg_copy_logical_replication_slot('kept', '$slot')" || return 1
	pg_work "$1" "bytes=$CHANGE_BYTES" pg_recvlogical \
		-d "$(pg_info "$1")" --slot="$slot" --start -f - --no-loop \
		--endpos="$PG_END"
	local status=$?
	await 5 admin primary app "SELECT pg_drop_replication_slot('$slot')"
	return $status
}
pg_select() { # PEER TRANSACTIONS [OPTION]...
	pg_work "$1" "transactions=$((CLIENTS * $2))" pgbench -n -c $CLIENTS \
		-t "$2" -f "$WORK/select.sql" "${@:3}" -h 127.0.0.1 \
		-p "${AT[postgres/$1]}" app
}

part_postgres() {
	local peer
	echo 'SELECT 1;' >"$WORK/select.sql"
	for peer in $(pg_peers); do
		! over || return 0
		measure postgres copy "$peer" pg_copy "$peer"
		measure postgres select "$peer" pg_select "$peer" $TRANSACTIONS
		measure postgres reconnect "$peer" pg_select "$peer" $LOGINS -C
		# PgBouncer passes no replication.
		[ "$peer" = pgbouncer ] ||
			measure postgres logical "$peer" pg_logical "$peer"
	done
}

# --- MySQL -------------------------------------------------------------------

begin_mysql() {
	free_port MY_BACK
	install -m 644 "$CERTS/ca.crt" "$WORK/ca.crt"
	[ -d "$ROOTS/$MY" ] && my_data source $MY &&
		my_certificate source good && my_start source "$MY_BACK" &&
		my_fill && start_all mysql
}
# It takes no notice of an INT.
# shellcheck disable=SC2034,SC2154 # lib.sh reads it; a name, no variable
STOP_BY[source]=TERM

# One binary log holds all of it, and the next one nothing.
my_fill() {
	local n
	mkdir -p "$WORK/binlog"
	my_admin source 'FLUSH BINARY LOGS' 'CREATE TABLE app.t (v LONGBLOB)' ||
		return 1
	for ((n = 0; n < MY_ROWS; n++)); do
		echo "INSERT INTO app.t VALUES (repeat('$n ', 250000));"
	done >"$WORK/fill.sql"
	my_admin source "$(<"$WORK/fill.sql")" || return 1
	read -r BINLOG BINLOG_BYTES _ < <(my_admin source 'SHOW BINARY LOGS' |
		tail -n 1)
	my_admin source 'FLUSH BINARY LOGS' &&
		my_client $MY mysql repl "$MY_BACK" --ssl-mode=REQUIRED \
			-e 'SELECT 1' >/dev/null
}

my_binlog() { # PEER
	worked mysql "$1" "bytes=$BINLOG_BYTES" "$REAL/in_root" "$ROOTS/$MY" \
		"MYSQL_PWD=$(my_password repl)" mysqlbinlog --no-defaults \
		--read-from-remote-server --raw --ssl-mode=DISABLED \
		--host=127.0.0.1 --port="${AT[mysql/$1]}" --user=repl \
		--get-server-public-key --result-file="$WORK/binlog/$1." "$BINLOG"
}
part_mysql() {
	local peer
	[ -n "${PID[source]:-}" ] || return 0
	for peer in $(in_turns mysql); do
		! over || return 0
		measure mysql binlog "$peer" my_binlog "$peer"
		rm -f "$WORK/binlog/"*
	done
}

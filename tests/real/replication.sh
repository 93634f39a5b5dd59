#!/bin/bash
# replication.sh - every kind of PostgreSQL replication, through dbtls in
# verify-full, of 15, 17 and 18: a logical subscription, pg_recvlogical,
# pg_basebackup with streamed WAL and the standby made of it.  Each goes on
# where it was after the proxy has been away.  Keys are changed every hundred
# records, by OpenSSL (15) and by us (17, 18).
. "$(dirname "$0")/lib.sh"

# Standby, subscriber and reader try again soon after a connection ended.
readonly RETRY=wal_retrieve_retry_interval=200ms

via() { # VERSION: conninfo through the proxy, in clear
	local port=port$1
	echo "host=127.0.0.1 port=${!port} sslmode=disable" \
		"user=repl password=repl-$CANARY dbname=app"
}

primary() { # VERSION
	local v=$1 server records=direct
	[ "$v" != 15 ] || records=openssl
	port_new server secret
	port_new "port$v" plain
	pg_data "primary$v" "$v" || return 1
	pg_certificate "primary$v" good
	pg_start "primary$v" "$server" || return 1
	admin "primary$v" app 'CREATE TABLE t (id int PRIMARY KEY, v text)' \
		'CREATE PUBLICATION pub FOR TABLE t'
	rows "$v" 1 1000
	local port=port$v
	endpoint "pg$v" "${!port}" "localhost:$server" verify-full \
		"server_name = \"db.test\"; ca = [ \"$PKI/ca.crt\" ];
		timeouts = { drain = 0.5; }; rekey_records = 100;
		tls = { records = \"$records\"; };"
}

rows() { # VERSION FIRST LAST
	admin "primary$1" app "INSERT INTO t SELECT i, '$CANARY ' || md5(i::text)
	    FROM generate_series($2, $3) i"
}

# One number for all that a table holds.
digest() { # CLUSTER DATABASE
	admin "$1" "$2" \
		"SELECT count(*), md5(string_agg(id || v, ',' ORDER BY id)) FROM t"
}
caught_up() { # CLUSTER DATABASE VERSION
	[ "$(digest "$1" "$2")" = "$(digest "primary$3" app)" ]
}
await_rows() { # TEXT CLUSTER DATABASE VERSION
	if await 20 caught_up "$2" "$3" "$4"; then
		pass "$1: $(digest "$2" "$3")"
	else
		fail "$1" "has $(digest "$2" "$3"), the primary \
$(digest "primary$4" app)"
	fi
}

subscription() { # VERSION
	local v=$1 port
	port_new port other
	pg_data "subscriber$v" "$v"
	PG_TLS=off pg_start "subscriber$v" "$port" $RETRY || return
	admin "subscriber$v" app 'CREATE TABLE t (id int PRIMARY KEY, v text)'
	check_ok "PostgreSQL $v: CREATE SUBSCRIPTION" admin "subscriber$v" \
		app "CREATE SUBSCRIPTION sub CONNECTION '$(via "$v")'
		PUBLICATION pub"
	await_rows "PostgreSQL $v: the subscription copies what was there" \
		"subscriber$v" app "$v"
}

reader() { # VERSION
	local v=$1
	# shellcheck disable=SC2046 # each option a word
	check_ok "PostgreSQL $v: pg_recvlogical makes its slot" \
		pg_run "$v" pg_recvlogical -d "$(via "$v")" --slot=reader \
		--create-slot -P test_decoding
	start "reader$v" pg_exec "$v" pg_recvlogical -d "$(via "$v")" \
		--slot=reader --start -f "$WORK/reader$v.out" -F 0 -s 1
}
pg_run() { (SECS=60 pg_exec "$@"); }

has_row() { # VERSION ID
	grep -q "id\[integer\]:$2 " "$WORK/reader$1.out"
}
await_reader() { # TEXT VERSION ID
	if await 20 has_row "$2" "$3"; then
		pass "$1"
	else
		fail "$1" "row $3 not in $(tail -n 2 "$WORK/reader$2.out")"
	fi
}

standby() { # VERSION
	local v=$1 port dir=$WORK/standby$1
	port_new port other
	install -d -o 64999 -g 64999 -m 700 "$dir"
	check_ok "PostgreSQL $v: pg_basebackup -X stream" backup "$v" "$dir"
	sed -i "s|$WORK/primary$v|$dir|" "$dir/postgresql.conf"
	PG_VERSION_OF[standby$v]=$v
	PG_TLS=off pg_start "standby$v" "$port" $RETRY || return
	await_rows "PostgreSQL $v: the standby has the rows" \
		"standby$v" app "$v"
}
backup() { # VERSION FOLDER
	(SECS=60 in_root -u -t 60 "pg$1" "PATH=$(pg_bin "$1"):/usr/bin" \
		pg_basebackup -d "$(via "$1")" -D "$2" -X stream -R \
		-c fast --no-sync)
}

senders() { # VERSION: replication connections that the primary sees in TLS
	admin "primary$1" postgres "SELECT count(*) FROM pg_stat_replication r
		JOIN pg_stat_ssl s USING (pid) WHERE s.ssl"
}
three_senders() { [ "$(senders "$1")" = 3 ]; }

follow() { # VERSION FIRST LAST WHEN
	local v=$1
	await_rows "PostgreSQL $v: the subscription follows $4" \
		"subscriber$v" app "$v"
	await_rows "PostgreSQL $v: the standby follows $4" \
		"standby$v" app "$v"
	await_reader "PostgreSQL $v: pg_recvlogical follows $4" "$v" "$3"
	await 20 three_senders "$v"
	check_same "PostgreSQL $v: replication connections in TLS $4" \
		"$(senders "$v")" 3
}

theme_begin replication
certs_make
wire_begin
versions=()
for v in 15 17 18; do
	if pg_have "$v"; then
		primary "$v" && versions+=("$v")
	else
		skip "PostgreSQL $v" "its packages cannot be had"
	fi
done
[ ${#versions[@]} -gt 0 ] || theme_end
dbtls_run proxy || theme_end

for v in "${versions[@]}"; do
	subscription "$v"
	reader "$v"
	standby "$v"
	rows "$v" 1001 2000
	follow "$v" 1001 2000 "as rows are written"
	check "PostgreSQL $v: dbtls verified the server's name" '^full$' \
		dbtls_value proxy session.open "pg$v" verified
done

# Away, while the primaries go on.
stop proxy
check_same "dbtls ends with status" "$status" 0
for v in "${versions[@]}"; do
	rows "$v" 2001 3000
done
dbtls_again proxy
for v in "${versions[@]}"; do
	rows "$v" 3001 4000
	follow "$v" 3001 4000 "after the proxy was away"
done
for v in "${versions[@]}"; do
	check_same "PostgreSQL $v: pg_recvlogical has each row once" \
		"$(grep -o 'id\[integer\]:[0-9]*' "$WORK/reader$v.out" |
			sort -u | wc -l)" 3000
	for name in "reader$v" "standby$v" "subscriber$v" "primary$v"; do
		pg_stop "$name"
	done
done
stop proxy
wire_end
theme_end

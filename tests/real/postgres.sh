# shellcheck shell=bash
#
# postgres.sh - PostgreSQL 15, 17 and 18 of Debian, with their own programs
#
#	pg_have VERSION				its packages are there, or 1
#	pg_data NAME VERSION			a fresh cluster
#	pg_start NAME PORT [SETTING=VALUE]...	and its server, with TLS
#	pg_stop NAME
#	admin NAME DATABASE SQL...		as superuser, socket
#	psql VERSION CONNINFO [OPTION]...	in the foreground
#	pg_exec VERSION [VAR=VALUE]... PROGRAM ARG...	becomes it
#
# $SECS limits the time of what runs in the foreground.

declare -A PG_VERSION_OF=() PG_PORT_OF=()
PG_ENV=()	# of servers to be started: VAR=VALUE
PSQL_ENV=()	# of psql

pg_suite() { # VERSION
	case $1 in
	15) echo bookworm ;;
	17) echo trixie ;;
	18) echo sid ;;
	esac
}

pg_have() { # VERSION
	root_make "pg$1" "$(pg_suite "$1")" "postgresql-$1" \
		"postgresql-client-$1" dash
}

pg_bin() { echo "/usr/lib/postgresql/$1/bin"; }

# A server's programs run as "db", the only user that it accepts.
pg_exec_as_db() { # VERSION [VAR=VALUE]... PROGRAM ARG...
	local version=$1
	shift
	in_root -u "pg$version" "PATH=$(pg_bin "$version"):/usr/bin" "$@"
}

pg_exec() { # VERSION [VAR=VALUE]... PROGRAM ARG...
	local version=$1 limit=()
	shift
	[ -z "${SECS:-}" ] || limit=(-t "$SECS")
	in_root "${limit[@]}" "pg$version" "PATH=$(pg_bin "$version"):/usr/bin" \
		PGCONNECT_TIMEOUT=20 "$@"
}

psql() { # VERSION CONNINFO [OPTION]...
	local version=$1 conninfo=$2
	shift 2
	(SECS=${SECS:-30} pg_exec "$version" "${PSQL_ENV[@]}" \
		psql -X -A -t -w -d "$conninfo" "$@")
}

admin() { # NAME DATABASE SQL...
	local version=${PG_VERSION_OF[$1]} name=$1 database=$2 sql options=()
	shift 2
	for sql; do
		options+=(-c "$sql")
	done
	(pg_exec "$version" psql -X -A -t -q -v ON_ERROR_STOP=1 -h \
		"$WORK/$name" -p "${PG_PORT_OF[$name]}" -U adm -d "$database" "${options[@]}")
}

# Accounts, made once: whose name says how the server lets them in.
pg_accounts() {
	cat <<-SQL
		CREATE ROLE app LOGIN PASSWORD 'app-$CANARY';
		CREATE ROLE trusted LOGIN;
		CREATE ROLE clear LOGIN PASSWORD 'clear-$CANARY';
		CREATE ROLE cert LOGIN;
		CREATE ROLE certpw LOGIN PASSWORD 'certpw-$CANARY';
		CREATE ROLE repl LOGIN REPLICATION PASSWORD 'repl-$CANARY';
		SET password_encryption = 'md5';
		CREATE ROLE md5 LOGIN PASSWORD 'md5-$CANARY';
		GRANT pg_read_all_data, pg_monitor TO repl, app;
		CREATE DATABASE app OWNER app;
		CREATE DATABASE tlsonly OWNER app;
		CREATE DATABASE plainonly OWNER app;
	SQL
}

pg_hba() {
	cat <<-HBA
		local     all         adm                   trust
		hostssl   tlsonly     trusted  127.0.0.0/8  trust
		host      tlsonly     all      127.0.0.0/8  reject
		hostnossl plainonly   trusted  127.0.0.0/8  trust
		host      plainonly   all      127.0.0.0/8  reject
		hostssl   all         cert     127.0.0.0/8  cert map=m
		hostssl   all         certpw   127.0.0.0/8  scram-sha-256 clientcert=verify-ca
		host      all         trusted  127.0.0.0/8  trust
		host      all         md5      127.0.0.0/8  md5
		host      all         clear    127.0.0.0/8  password
		host      all         all      127.0.0.0/8  scram-sha-256
		host      replication repl     127.0.0.0/8  scram-sha-256
	HBA
}

# What initdb makes is kept, as it takes a second each time.
pg_template() { # VERSION
	local version=$1 kept=$CACHE/pg$1 made=$WORK/template$1 stamp
	stamp="$(cat "$ROOTS/pg$1/.made-of") $(declare -f pg_accounts)"
	[ "$(cat "$kept/.made-of" 2>/dev/null)" = "$stamp" ] && return 0
	mkdir -p "$made"
	chown 64999:64999 "$made"
	(pg_exec_as_db "$version" initdb -D "$made" -U adm --auth=trust \
		--locale=C.UTF-8 --encoding=UTF8 --no-sync --no-instructions) \
		>"$WORK/initdb.log" 2>&1 || return 1
	pg_accounts | (pg_exec_as_db "$version" postgres --single -D \
		"$made" postgres) >>"$WORK/initdb.log" 2>&1
	! grep -E 'ERROR|FATAL' "$WORK/initdb.log" >&2 || return 1
	echo "$stamp" >"$made/.made-of"
	rm -rf "$kept"
	mv "$made" "$kept"
}

# Nothing here has to outlive a crash of the machine.
pg_settings() { # FOLDER
	cat <<-CONF
		unix_socket_directories = '$1'
		fsync = off
		full_page_writes = off
		synchronous_commit = off
		shared_buffers = 32MB
		max_connections = 100
		wal_level = logical
		jit = off
	CONF
}

pg_data() { # NAME VERSION
	pg_template "$2" || return 1
	cp -a --reflink=auto "$CACHE/pg$2" "$WORK/$1"
	pg_settings "$WORK/$1" >>"$WORK/$1/postgresql.conf"
	pg_hba >"$WORK/$1/pg_hba.conf"
	echo 'm client cert' >"$WORK/$1/pg_ident.conf"
	PG_VERSION_OF[$1]=$2
}

# The certificate that a server shows from its next start or reload on, and
# the CA of its clients'.
pg_certificate() { # NAME CERTIFICATE [CLIENT-CA]
	pg_install "$PKI/$2.chain.pem" "$WORK/$1/server.crt"
	pg_install "$PKI/$2.key" "$WORK/$1/server.key"
	[ -z "${3:-}" ] || pg_install "$PKI/$3.crt" "$WORK/$1/client-ca.crt"
}
pg_install() { install -o 64999 -g 64999 -m 600 "$1" "$2"; }

# PG_TLS=off: without.
pg_start() { # NAME PORT [SETTING=VALUE]...
	local name=$1 port=$2 version=${PG_VERSION_OF[$1]} setting options=()
	shift 2
	PG_PORT_OF[$name]=$port
	for setting in "ssl=${PG_TLS:-on}" "$@"; do
		options+=(-c "$setting")
	done
	[ ! -e "$WORK/$name/client-ca.crt" ] ||
		options+=(-c ssl_ca_file=client-ca.crt)
	start "$name" pg_exec_as_db "$version" "${PG_ENV[@]}" postgres \
		-D "$WORK/$name" -c port="$port" \
		-c listen_addresses="${PG_ADDRESS:-127.0.0.1}" "${options[@]}"
	await 20 pg_ready "$name" && return 0
	fail "PostgreSQL $version starts ($name)" \
		"$(tail -n 20 "$WORK/$name.log")"
	return 1
}

pg_ready() { # NAME
	(pg_exec "${PG_VERSION_OF[$1]}" pg_isready -q -U adm -h "$WORK/$1" \
		-d postgres -p "${PG_PORT_OF[$1]}")
}

# INT is its fast shutdown.
pg_stop() { stop "$1" INT; }

# Reads its files again; returns when new connections see what they say.
pg_reload() { # NAME
	local before
	before=$(admin "$1" postgres 'SELECT pg_conf_load_time()')
	kill -HUP "${PID[$1]}"
	await 10 pg_reloaded "$1" "$before"
}
pg_reloaded() {
	[ "$(admin "$1" postgres 'SELECT pg_conf_load_time()')" != "$2" ]
}

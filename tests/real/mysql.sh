# shellcheck shell=bash
#
# mysql.sh - MySQL 9.7, MariaDB 10.11 and 11.8 of Debian, with their programs
#
# SERVER is one of mysql97, mariadb1011, mariadb118, and names a root too.
#
#	my_have SERVER				its packages are there, or 1
#	my_data NAME SERVER			a fresh folder of data
#	my_certificate NAME CERTIFICATE [CA]	what the server shows, from its
#						next start or my_reload on,
#						and the CA of its clients'
#	my_start NAME PORT [OPTION]...		and its server, with TLS if it
#						has a certificate
#	my_stop NAME
#	my_reload NAME				reads its certificate again
#	my_admin NAME SQL...			as superuser, by the socket
#	my_flush NAME				forgets the passwords that it
#						has seen: logins are cold
#	my_socket NAME				prints the path of its socket
#
#	mysql USER PORT [OPTION]...		the command lines, in batch
#	mariadb 1011|118 USER PORT [OPTION]...	mode, on 127.0.0.1 if no
#						other --host is given
#	my_client SERVER PROGRAM USER PORT [OPTION]...	any client program:
#						mysqlbinlog, mariadb-dump...
#	my_exec SERVER [VAR=VALUE]... PROGRAM ARG...	becomes it
#
# A server without a certificate has no TLS.  OPTIONs of my_start come after
# ours, so they win: --require-secure-transport=ON --max-connections=3
# --mysqlx=ON --mysqlx-port=N --server-id=2 --skip-name-resolve=OFF (without
# which no host is ever blocked).  Binary logs are on, GTIDs in MySQL as well.
#
# Accounts, whose password is my_password USER unless $MY_PASSWORD is set, and
# is made of $CANARY.  Their hosts are "%" and their database is "app":
#	app		the server's own favourite plugin
#	caching sha256 native ed25519 parsec	of that plugin; my_plugins
#			SERVER prints which of them there are
#	empty odd	app with no password, and with one that is no ASCII
#	ssl x509	REQUIRE SSL, REQUIRE X509
#	repl		may replicate
# $SECS limits the time of what runs in the foreground.

declare -A MY_SERVER_OF=()
MY_ADDRESS=127.0.0.1	# that servers listen on
MY_ENV=()		# of servers to be started: VAR=VALUE

my_have() { # SERVER
	case $1 in
	mysql97) root_make mysql97 sid mysql-server-core mysql-client-core \
		mysql-router dash ;;
	mariadb1011) my_have_mariadb "$1" bookworm ;;
	mariadb118) my_have_mariadb "$1" trixie ;;
	esac
}
# Plugins and mariadb-binlog are in packages that want a system around them.
my_have_mariadb() { # SERVER SUITE
	root_make "$1" "$2" mariadb-server-core mariadb-client-core \
		only:mariadb-server only:mariadb-client dash
}

my_exec() { # SERVER [VAR=VALUE]... PROGRAM ARG...
	local server=$1 limit=()
	shift
	[ -z "${SECS:-}" ] || limit=(-t "$SECS")
	in_root "${limit[@]}" "$server" "$@"
}

# A server's programs run as "db": they refuse to be root.
my_server_exec() { # SERVER OPTION...
	local server=$1 program=mysqld
	[ "$1" = mysql97 ] || program=mariadbd
	shift
	in_root -u "$server" "${MY_ENV[@]}" "$program" --no-defaults "$@"
}

my_socket() { echo "$WORK/$1/socket"; }

# --- accounts --------------------------------------------------------------

my_plugins() { # SERVER: USER and plugin of each, one a line
	case $1 in
	mysql97)
		echo 'caching caching_sha2_password'
		echo 'sha256 sha256_password' ;;
	mariadb1011) printf '%s\n' 'native mysql_native_password' \
		'ed25519 ed25519' ;;
	mariadb118) printf '%s\n' 'native mysql_native_password' \
		'ed25519 ed25519' 'parsec parsec' ;;
	esac
}

my_password() { # USER
	case $1 in
	adm | empty) ;;
	odd) echo "pässwörd £€🔑 \"'-$CANARY" ;;
	*) echo "$1-$CANARY" ;;
	esac
}

# One statement a line, as both --init-file and --bootstrap want them.
my_accounts() { # SERVER
	local user plugin password
	echo "CREATE DATABASE app;"
	echo "CREATE USER adm@localhost;"
	echo "GRANT ALL ON *.* TO adm@localhost WITH GRANT OPTION;"
	my_plugins "$1" | while read -r user plugin; do
		echo "CREATE USER '$user' IDENTIFIED $(my_identified "$1" \
			"$plugin" "$(my_password "$user")");"
		echo "GRANT ALL ON app.* TO '$user';"
	done
	for user in app empty odd ssl x509 repl; do
		password=$(my_password $user)
		echo "CREATE USER '$user' IDENTIFIED BY '${password//\'/\'\'}';"
		echo "GRANT ALL ON app.* TO '$user';"
	done
	echo "ALTER USER 'ssl' REQUIRE SSL;"
	echo "ALTER USER 'x509' REQUIRE X509;"
	echo "GRANT REPLICATION SLAVE ON *.* TO repl;"
	case $1 in
	mysql97) echo "GRANT REPLICATION CLIENT ON *.* TO repl;" ;;
	*) echo "GRANT BINLOG MONITOR ON *.* TO repl;" ;;
	esac
}
my_identified() { # SERVER PLUGIN PASSWORD
	case $1 in
	mysql97) echo "WITH $2 BY '$3'" ;;
	*) echo "VIA $2 USING PASSWORD('$3')" ;;
	esac
}

# --- data ------------------------------------------------------------------

# Nothing here has to outlive a crash of the machine.
my_common() { # SERVER FOLDER
	printf '%s\n' --datadir="$2" --socket="$2/socket" \
		--pid-file="$2/pid" --log-bin=binlog --secure-file-priv= \
		--local-infile=ON --max-connections=200 \
		--max-allowed-packet=128M --performance-schema=OFF \
		--innodb-buffer-pool-size=32M --innodb-doublewrite=OFF \
		--innodb-flush-log-at-trx-commit=0 --sync-binlog=0 \
		--innodb-flush-method=nosync
	case $1 in
	mysql97) printf '%s\n' --mysqlx=OFF --mysqlx-socket="$2/x.socket" \
		--innodb-redo-log-capacity=8M --gtid-mode=ON \
		--enforce-gtid-consistency=ON --binlog-row-image=full ;;
	*)	printf '%s\n' --innodb-log-file-size=8M \
			--plugin-load-add=auth_ed25519
		[ "$1" = mariadb1011 ] ||
			echo --plugin-load-add=auth_parsec ;;
	esac
}

my_initialize() { # SERVER FOLDER
	local common
	mapfile -t common < <(my_common "$1" "$2" && echo --skip-log-bin)
	case $1 in
	mysql97) (my_server_exec "$1" "${common[@]}" --initialize-insecure) ;;
	*) my_bootstrap_sql "$1" | (my_server_exec "$1" "${common[@]}" \
		--bootstrap --log-warnings=0 --enforce-storage-engine=) ;;
	esac
}

# What mariadb-install-db feeds to its server, less its help tables.
my_bootstrap_sql() { # SERVER
	local share=$ROOTS/$1/usr/share/mysql name=mysql
	[ ! -d "$ROOTS/$1/usr/share/mariadb" ] || {
		share=$ROOTS/$1/usr/share/mariadb
		name=mariadb
	}
	printf '%s\n' 'CREATE DATABASE mysql;' 'USE mysql;'
	cat "$share/${name}"_{system_tables,performance_tables}.sql \
		"$share/${name}_system_tables_data.sql" \
		"$share/maria_add_gis_sp_bootstrap.sql" \
		"$share/${name}_sys_schema.sql"
	echo "DELETE FROM mysql.global_priv WHERE User='';"
}

# A server that nobody can reach makes the accounts and is stopped.
my_accounts_make() { # SERVER FOLDER
	local common made
	mapfile -t common < <(my_common "$1" "$2" && echo --skip-log-bin)
	my_accounts "$1" >"$2/accounts.sql"
	start template my_server_exec "$1" "${common[@]}" \
		--skip-networking --init-file="$2/accounts.sql"
	await 60 my_answers "$1" "$2/socket" 'SELECT 1' &&
		my_answers "$1" "$2/socket" "SHOW GRANTS FOR repl" |
		grep -q 'REPLICATION SLAVE'
	made=$?
	stop template
	return $made
}

my_template_stamp() { # SERVER
	echo "$(cat "$ROOTS/$1/.made-of") $(my_accounts "$1") $(declare -f \
		my_common my_initialize my_bootstrap_sql my_accounts_make)"
}
my_template_is() { # SERVER
	[ "$(cat "$CACHE/$1/.made-of" 2>/dev/null)" = \
		"$(my_template_stamp "$1")" ]
}

# Made once and kept: it takes three seconds each time.
my_template() { # SERVER
	my_template_is "$1" || cache_locked my_template_make "$1"
}
my_template_make() { # SERVER
	local server=$1 kept=$CACHE/$1 made=$WORK/template-$1
	! my_template_is "$server" || return 0
	mkdir -p "$made"
	chown 64999:64999 "$made"
	my_initialize "$server" "$made" >"$WORK/initialize.log" 2>&1 || return 1
	my_accounts_make "$server" "$made" >>"$WORK/initialize.log" 2>&1 ||
		return 1
	rm -f "$made"/{auto.cnf,*.pem,accounts.sql}
	my_template_stamp "$server" >"$made/.made-of"
	rm -rf "$kept"
	mv "$made" "$kept"
}

my_data() { # NAME SERVER
	if ! my_template "$2"; then
		fail "the data of $2" "$(tail -n 5 "$WORK/initialize.log" \
			"$WORK/template.log")"
		return 1
	fi
	cp -a --reflink=auto "$CACHE/$2" "$WORK/$1"
	MY_SERVER_OF[$1]=$2
}

my_certificate() { # NAME CERTIFICATE [CLIENT-CA]
	my_install "$PKI/$2.chain.pem" "$WORK/$1/server.crt"
	my_install "$PKI/$2.key" "$WORK/$1/server.key"
	[ -n "${3:-}" ] || return 0
	# MySQL wants its own certificate to be of one of these as well.
	cat "$PKI"/{ca,"$3"}.crt >"$WORK/cas.crt"
	my_install "$WORK/cas.crt" "$WORK/$1/client-ca.crt"
}
my_install() { install -o 64999 -g 64999 -m 600 "$1" "$2"; }

# --- servers ---------------------------------------------------------------

my_tls() { # NAME
	local folder=$WORK/$1
	if [ -e "$folder/server.crt" ]; then
		printf '%s\n' --ssl-cert="$folder/server.crt" \
			--ssl-key="$folder/server.key"
	elif [ "${MY_SERVER_OF[$1]}" = mysql97 ]; then
		echo --tls-version=
	else
		echo --skip-ssl
	fi
	[ ! -e "$folder/client-ca.crt" ] ||
		echo --ssl-ca="$folder/client-ca.crt"
}

my_start() { # NAME PORT [OPTION]...
	local name=$1 port=$2 server=${MY_SERVER_OF[$1]} options
	shift 2
	mapfile -t options < <(my_common "$server" "$WORK/$name" &&
		my_tls "$name")
	# Once said, MySQL does not take it back.
	[[ $* == *skip-name-resolve* ]] || options+=(--skip-name-resolve)
	start "$name" my_server_exec "$server" "${options[@]}" \
		--bind-address="$MY_ADDRESS" --port="$port" "$@"
	await 60 my_ready "$name" && alive "$name" && return 0
	fail "$server starts ($name)" "$(tail -n 20 "$WORK/$name.log")"
	return 1
}

# Or it has ended: the caller asks.
my_ready() { # NAME
	gone "$1" || my_admin "$1" 'SELECT 1'
}

my_stop() { stop "$1"; } # NAME

my_reload() { # NAME
	case ${MY_SERVER_OF[$1]} in
	mysql97) my_admin "$1" 'ALTER INSTANCE RELOAD TLS' ;;
	*) my_admin "$1" 'FLUSH SSL' ;;
	esac
}

my_flush() { my_admin "$1" 'FLUSH PRIVILEGES'; } # NAME

my_admin() { # NAME SQL...
	local name=$1 IFS=';'
	shift
	my_answers "${MY_SERVER_OF[$name]}" "$(my_socket "$name")" "$*"
}
my_answers() { # SERVER SOCKET SQL
	local words=(mariadb --no-defaults --skip-ssl)
	[ "$1" != mysql97 ] || words=(mysql --no-defaults)
	(my_exec "$1" "${words[@]}" --socket="$2" -u adm --batch \
		--skip-column-names -e "$3")
}

# --- clients ---------------------------------------------------------------

# MariaDB's verify nothing by themselves if the password is not an option, and
# MySQL's complain if it is.
my_client() { # SERVER PROGRAM USER PORT [OPTION]...
	local server=$1 program=$2 user=$3 port=$4 password env=() option=()
	shift 4
	password=${MY_PASSWORD-$(my_password "$user")}
	case $server in
	mysql97) env=("MYSQL_PWD=$password") ;;
	*) option=("--password=$password") ;;
	esac
	(SECS=${SECS:-30} my_exec "$server" "${env[@]}" "$program" \
		--no-defaults --protocol=TCP --host=127.0.0.1 --port="$port" \
		--user="$user" "${option[@]}" "$@")
}

mysql() { # USER PORT [OPTION]...
	my_client mysql97 mysql "$1" "$2" --batch --skip-column-names "${@:3}"
}

mariadb() { # 1011|118 USER PORT [OPTION]...
	my_client "mariadb$1" mariadb "$2" "$3" --batch --skip-column-names \
		"${@:4}"
}

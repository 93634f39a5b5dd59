#!/bin/bash
# mysql_sessions.sh - what goes through a session of MySQL once it is open, over
# all four pairs of legs: much at once, compressed, in both directions, another
# user, and binary logs.  Every login is cold.
. "$(dirname "$0")/lib.sh"
. "$REAL/mysql_drivers.sh"

readonly LEGS=(PP PT TP TT)
LARGE_MD5=$(yes 0123456789abcde | head -n 589824 | md5sum | cut -c1-32)
readonly LARGE_MD5
declare -A port=()

# --- servers and endpoints -------------------------------------------------

begin() { # SERVER
	local server=$1 legs mode front
	port_new "port[$server]" secret
	my_data "$server" "$server" && my_certificate "$server" good &&
		my_start "$server" "${port[$server]}" && my_console "$server" ||
		return 1
	ENGINE=mysql
	[ "$server" = mysql97 ] || ENGINE=mariadb
	for legs in "${LEGS[@]}"; do
		mode='none' front=
		[[ $legs != ?T ]] || mode=verify-full
		[[ $legs != T? ]] || front="client_tls = { mode = \"require\";
			cert = \"$PKI/proxy.crt\"; key = \"$PKI/proxy.key\"; };"
		port_new "port[$legs.$server]" "$(range "$legs")"
		endpoint "$legs.$server" "${port[$legs.$server]}" \
			"127.0.0.1:${port[$server]}" "$mode" \
			"$(settings "$mode") $front"
	done
}
range() { # LEGS
	case $1 in
	P*) echo plain ;;
	T*) echo secret ;;
	esac
}
settings() { # MODE
	if [ "$1" = verify-full ]; then
		echo "server_name = \"db.test\"; ca = [ \"$PKI/ca.crt\" ];"
	elif [ "$ENGINE" = mysql ]; then
		echo 'mysql = { get_server_public_key = true; };'
	fi
}

# What is asked on these legs, cold: the same as of the server itself.
ask() { # CLIENT SERVER LEGS USER [KEY=VALUE]...
	local word=$CANARY
	[[ $3 != ?P ]] || word=bare
	my_flush "$2"
	my_ask "$1" "$4" "${port[$3.$2]}" "${3:0:1}" "word=$word" "${@:5}"
}
has() { # CLIENT
	[[ " ${MY_CLIENTS[*]} " == *" $1 "* ]]
}
for_each() { # "CLIENT..." SERVER FUNCTION ARG...: FUNCTION CLIENT LEGS ARG...
	local client legs clients=$1 server=$2 function=$3
	shift 3
	for client in $clients; do
		for legs in "${LEGS[@]}"; do
			! has "$client" || "$function" "$client" "$server" \
				"$legs" "$@"
		done
	done
}

# The options of a command line on these legs.
options() { # SERVER LEGS
	case $1.$2 in
	mysql97.P?) echo --ssl-mode=DISABLED --get-server-public-key ;;
	mysql97.T?) echo --ssl-mode=VERIFY_IDENTITY --ssl-ca="$PKI/ca.crt" ;;
	*.P?) echo --skip-ssl ;;
	*.T?) echo --ssl --ssl-verify-server-cert --ssl-ca="$PKI/ca.crt" ;;
	esac
}
shell() { # SERVER PROGRAM USER LEGS ARG...: that server's own programs
	local options
	read -ra options <<<"$(options "$1" "$4")"
	my_client "$1" "$2" "$3" "${port[$4.$1]}" "${options[@]}" \
		--host=localhost "${@:5}"
}

# --- what is checked -------------------------------------------------------

another_user() { # CLIENT SERVER LEGS USER
	check "$2, $3: $1 becomes $4, cold" "^ok $4@%" ask "$1" "$2" "$3" app \
		do=change user2="$4" password2="$(my_password "$4")"
	check "$2, $3: $1 becomes $4, warm" "^ok $4@%" my_ask "$1" app \
		"${port[$3.$2]}" "${3:0:1}" word=bare do=change user2="$4" \
		password2="$(my_password "$4")"
	check "$2, $3: $1 becomes $4 with a wrong password" '^error 1045 ' \
		ask "$1" "$2" "$3" app do=change user2="$4" password2=wrong
}

# What is compressed is not seen: a change of user that needs more than the fast
# way works where the legs are alike, and where nothing may be compressed because
# the password would go to the server in clear.
another_user_compressed() { # CLIENT SERVER LEGS USER
	local want="^ok $4@%"
	[ "$3" != PT ] || want='^error 1045 '
	check "$2, $3: $1, compressed, becomes $4, cold" "$want" \
		ask "$1" "$2" "$3" empty do=change user2="$4" \
		password2="$(my_password "$4")" compress=yes
}

is_compressed() { # LEGS: whether what wants to be is
	[ "$1" = TP ] && echo OFF || echo ON
}
large() { # CLIENT SERVER LEGS [KEY=VALUE]...
	check "$2, $3: $1, nine megabytes ${*:4}" \
		"^ok 9437184\|$LARGE_MD5\|$([ $# = 3 ] && echo OFF ||
			is_compressed "$3")" \
		ask "$1" "$2" "$3" app do=large "${@:4}"
}

large_shell() { # SERVER LEGS OPTION...
	check "$1, $2: the command line, nine megabytes, ${*:3}" \
		"^$LARGE_MD5 $(is_compressed "$2")" large_in_shell "$@"
}
large_in_shell() { # SERVER LEGS OPTION...
	local program=mariadb
	[ "$1" != mysql97 ] || program=mysql
	my_flush "$1"
	shell "$1" "$program" app "$2" --batch --raw --skip-column-names "${@:3}" \
		-e "SELECT REPEAT('0123456789abcde\n', 589824)" |
		head -c -1 | md5sum | cut -c1-32
	shell "$1" "$program" app "$2" --batch --skip-column-names "${@:3}" \
		-e "SHOW STATUS LIKE 'Compression'" | cut -f2
}

blob() { # CLIENT SERVER LEGS
	check "$2, $3: $1, forty megabytes there and back" \
		'^ok 41943040 bytes, the same' ask "$1" "$2" "$3" app do=blob
}

# A file whose packets read like COM_CHANGE_USER, of so many that the numbers of
# packets go round, so that they have its number as well; and the hash of each.
load_file() {
	python3 - "$WORK/load" <<-'PYTHON'
		import hashlib
		import sys
		with open(sys.argv[1] + '.bin', 'wb') as data, \
		        open(sys.argv[1] + '.sums', 'w') as sums:
		    for i in range(2000):
		        line = b'\x11app\0\x07secret\0app\0\x2d\0'
		        line += (b'sha256_password\0', b'caching_sha2_password\0',
		                 b'')[i % 3]
		        line += b'%04d' % i
		        line += b'x' * (4095 - len(line))
		        data.write(line + b'\n')
		        print(hashlib.sha256(line).hexdigest(), file=sums)
	PYTHON
}
load() { # SERVER LEGS
	check "$1, $2: LOAD DATA LOCAL of 2000 packets" \
		"^2000 $(sort "$WORK/load.sums" | md5sum | cut -c1-32)" \
		load_in_shell "$1" "$2"
}
load_in_shell() { # SERVER LEGS
	local program=mariadb
	[ "$1" != mysql97 ] || program=mysql
	my_flush "$1"
	shell "$1" "$program" app "$2" --batch --skip-column-names \
		--local-infile=1 --net-buffer-length=4096 app -e "
		CREATE TEMPORARY TABLE t (v VARBINARY(4100));
		LOAD DATA LOCAL INFILE '$WORK/load.bin' INTO TABLE t
			CHARACTER SET binary FIELDS ESCAPED BY '';
		SELECT SHA2(v, 256) FROM t ORDER BY 1" >"$WORK/loaded.sums"
	echo "$(wc -l <"$WORK/loaded.sums")" \
		"$(md5sum <"$WORK/loaded.sums" | cut -c1-32)"
}

# --- binary logs -----------------------------------------------------------

binlog_program() { # SERVER
	case $1 in
	mysql97) echo mysqlbinlog ;;
	*) echo mariadb-binlog ;;
	esac
}
binlog_first() { # SERVER
	my_admin "$1" 'SHOW BINARY LOGS' | head -n 1 | cut -f1
}

binlog() { # SERVER LEGS
	my_admin "$1" "CREATE TABLE app.\`read_$2\` (word VARCHAR(99))"
	my_flush "$1"
	check "$1, $2: $(binlog_program "$1") reads the log" \
		"CREATE TABLE app.\`read_$2\`" binlog_said "$1" "$2"
}
binlog_said() { # SERVER LEGS
	shell "$1" "$(binlog_program "$1")" repl "$2" \
		--read-from-remote-server --to-last-log \
		"$(binlog_first "$1")" \
		>"$WORK/binlog.txt" 2>&1 || tail -n 2 "$WORK/binlog.txt"
	grep "CREATE TABLE" "$WORK/binlog.txt"
}

# It stays, and what is written then is seen then.
binlog_live() { # SERVER LEGS
	local name=live.$2.$1
	my_flush "$1"
	start "$name" shell_live "$1" "$2" --read-from-remote-server --raw \
		--stop-never --result-file="$WORK/$name-" \
		--stop-never-slave-server-id=$((++replicas)) "$(binlog_first "$1")"
	await 20 live_has "$name" "read_$2"
	my_admin "$1" "CREATE TABLE app.\`live_$2\` (word VARCHAR(99))"
	check_ok "$1, $2: --stop-never sees what is written later" \
		await 20 live_has "$name" "live_$2"
	stop "$name" KILL
}
shell_live() { # SERVER LEGS OPTION...
	local options
	read -ra options <<<"$(options "$1" "$2")"
	my_exec "$1" "MYSQL_PWD=$(my_password repl)" "$(binlog_program "$1")" \
		--no-defaults --protocol=TCP --host=localhost \
		--port="${port[$2.$1]}" --user=repl "${options[@]}" "${@:3}"
}
live_has() { # NAME TEXT
	grep -qa "$2" "$WORK/$1-"*
}
replicas=1000

# --- the theme -------------------------------------------------------------

theme_begin mysql-sessions
certs_make
my_clients_have
load_file || theme_skip "no file to load"
wire_begin
present=()
for server in mysql97 mariadb118; do
	if ! my_have "$server"; then
		skip "$server" "its packages cannot be had"
	elif begin "$server"; then
		present+=("$server")
	fi
done
[ ${#present[@]} -gt 0 ] || theme_end
dbtls_run proxy || theme_end

for server in "${present[@]}"; do
	case $server in
	mysql97)
		for user in caching sha256; do
			for_each "mysql2 mysqldb" "$server" another_user $user
		done
		for_each mysql2 "$server" another_user_compressed caching
		ways=('--compression-algorithms=zlib,uncompressed'
			'--compression-algorithms=zstd,uncompressed') ;;
	*)
		for user in native ed25519; do
			for_each "mariadb mysqldb" "$server" another_user $user
		done
		for_each mysql "$server" another_user native
		ways=(--compress) ;;
	esac
	for legs in "${LEGS[@]}"; do
		binlog "$server" "$legs"
		binlog_live "$server" "$legs"
		load "$server" "$legs"
		for way in "${ways[@]}"; do
			large_shell "$server" "$legs" "$way"
		done
	done
	for_each "mysql2 mariadb pymysql connectorj2 connectorj3" "$server" large
	for_each "mysql2 mariadb connectorj2 connectorj3" "$server" large \
		compress=yes
	for_each pymysql "$server" blob
done

check_same "no session failed by a fault of ours" \
	"$(grep -c 'reason=internal' "$WORK/proxy.log")" 0
stop proxy
check_same "dbtls ends with status" "$status" 0
wire_end
theme_end

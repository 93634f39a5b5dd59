# shellcheck shell=bash
#
# mysql_drivers.sh - the clients of MySQL, each asking the same question
#
#	my_clients_have			makes them ready, after certs_make;
#					$MY_CLIENTS lists those there are, and
#					the others are skipped
#	my_ask CLIENT USER PORT LEG [KEY=VALUE]...
#
# asks as USER on a LEG that is P (in clear) or T (TLS, with the name of the
# host and the certificate verified), and prints one line:
#
#	ok USER|WORD|CIPHER		of the server's own leg, or "clear"
#	error NUMBER SQLSTATE TEXT	"-" for what this client does not say
#
# KEYs: host (localhost), ca ($PKI/ca.crt; "-": TLS, and no CA is known), word,
# password, compress=yes, do=..., as clients/mysql.js has them, and, for the
# command lines, option=OPTION.  CLIENTs:
#
#	mysql97 mariadb1011 mariadb118	the command lines
#	mysql2 mysql mariadb		of npm
#	pymysql mysqldb			Python; mysqldb is on libmariadb
#	connectorj2 connectorj3		MariaDB Connector/J 2.7 and 3.5
#
#	my_console NAME			my_flush NAME is quick from then on

MY_CLIENTS=()

readonly NPM_PACKAGES='mysql2@3.24.6 mysql@2.18.1 mariadb@3.5.4'

my_clients_have() {
	local server
	[ -d "$WORK/clients" ] || cp -r "$REAL/clients" "$WORK/clients"
	for server in mysql97 mariadb1011 mariadb118; do
		my_client_is "its packages cannot be had" $server my_have $server
	done
	my_client_is "npm's packages cannot be had" \
		"mysql2 mysql mariadb" my_node
	my_client_is "sid's packages cannot be had" \
		"pymysql mysqldb" my_python
	my_client_is "trixie's packages cannot be had" \
		connectorj2 my_java_2
	my_client_is "sid's package cannot be had" \
		connectorj3 my_java_3
}
my_client_is() { # WHY-NOT "CLIENT..." COMMAND...
	local why=$1 clients=$2
	shift 2
	if "$@"; then
		# shellcheck disable=SC2206 # a list
		MY_CLIENTS+=($clients)
	else
		skip "$clients" "$why"
	fi
}

# --- making them -----------------------------------------------------------

npm_is() {
	[ "$(cat "$CACHE/npm/.made-of" 2>/dev/null)" = "$NPM_PACKAGES" ]
}
npm_make() {
	! npm_is || return 0
	. "$TREE/contrib/needs.sh"
	command -v npm >/dev/null || needs npm || return 1
	rm -rf "$CACHE/npm"
	mkdir -p "$CACHE/npm"
	echo '{ "private": true }' >"$CACHE/npm/package.json"
	# shellcheck disable=SC2086 # a list
	(cd "$CACHE/npm" && npm install --no-audit --no-fund --silent \
		--ignore-scripts --omit=dev $NPM_PACKAGES >&2) || return 1
	echo "$NPM_PACKAGES" >"$CACHE/npm/.made-of"
}

my_node() {
	root_make node-sid sid nodejs node-pg || return 1
	npm_is || cache_locked npm_make || return 1
	cp -r --reflink=auto "$CACHE/npm/node_modules" "$WORK/clients"
	my_driver node in_root node-sid node "$WORK/clients/mysql.js"
}
my_python() {
	root_make python-mysql sid python3-pymysql python3-mysqldb \
		python3-cryptography python3-nacl || return 1
	my_driver python in_root python-mysql python3 \
		"$WORK/clients/mysql_query.py"
}

# Both run in the Java of one root.
my_java_2() {
	root_make jdbc-mysql trixie openjdk-21-jdk-headless \
		only:libmariadb-java || return 1
	my_java javac -d "$WORK/clients" "$WORK/clients/MysqlQuery.java" >&2 ||
		return 1
	my_java_driver java2 jdbc-mysql
}
my_java_3() {
	root_make jdbc-sid sid only:libmariadb-java || return 1
	my_java_driver java3 jdbc-sid
}
my_java() { # PROGRAM ARG...
	(in_root -t 60 jdbc-mysql \
		PATH=/usr/lib/jvm/java-21-openjdk-amd64/bin "$@")
}
# Java has a store of CAs, which is not to hold any of the tests'.
my_java_store() {
	[ -e "$WORK/clients/cas.p12" ] || my_java keytool -importcert -noprompt \
		-file "$PKI/ca2.crt" -alias ca2 -storepass changeit \
		-keystore "$WORK/clients/cas.p12" >"$WORK/keytool.log" 2>&1
}
my_java_driver() { # NAME ROOT-OF-THE-DRIVER
	my_java_store || return 1
	cp "$ROOTS/$2/usr/share/java/mariadb-java-client.jar" \
		"$WORK/clients/$1.jar"
	my_driver "$1" in_root jdbc-mysql \
		PATH=/usr/lib/jvm/java-21-openjdk-amd64/bin \
		java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC \
		-Djavax.net.ssl.trustStore="$WORK/clients/cas.p12" \
		-Djavax.net.ssl.trustStorePassword=changeit -cp \
		"$WORK/clients/$1.jar:$WORK/clients" MysqlQuery
}

# --- a driver that runs on, and is asked by a line -------------------------

declare -A MY_TO=() MY_FROM=() # descriptors, by name

my_driver() { # NAME COMMAND...
	local name=$1 pipe=$WORK/$1.pipe to from
	shift
	mkfifo "$pipe.to" "$pipe.from"
	start "$name" my_driver_run "$pipe" "$@"
	exec {to}>"$pipe.to" {from}<"$pipe.from"
	MY_TO[$name]=$to
	MY_FROM[$name]=$from
}
my_driver_run() { # PIPE COMMAND...
	exec <"$1.to" >"$1.from"
	shift
	"$@"
}

# Its answer to these pairs; a late one, to what came before, is passed over.
my_driver_ask() { # NAME KEY=VALUE...
	local name=$1 id=$EPOCHREALTIME line IFS=$'\t'
	shift
	echo "id=$id"$'\t'"$*" >&"${MY_TO[$name]}"
	while read -r -t 60 -u "${MY_FROM[$name]}" line; do
		[[ $line != "$id "* ]] || {
			echo "${line#* }"
			return
		}
	done
	echo "error - - $name did not answer"
}

# A superuser's session that stays, because a new one for each flush takes more
# time than all the rest.
my_console() { # NAME
	local server=${MY_SERVER_OF[$1]} words=(mariadb --skip-ssl)
	[ "$server" != mysql97 ] || words=(mysql)
	my_driver "console-$1" in_root "$server" "${words[0]}" --no-defaults \
		"${words[@]:1}" --socket="$(my_socket "$1")" -u adm --batch \
		--skip-column-names --unbuffered
}
my_flush() { # NAME
	local id=$EPOCHREALTIME line
	if [ -z "${MY_TO[console-$1]:-}" ]; then
		my_admin "$1" 'FLUSH PRIVILEGES'
		return
	fi
	echo "FLUSH PRIVILEGES; SELECT '$id';" >&"${MY_TO[console-$1]}"
	while read -r -t 20 -u "${MY_FROM[console-$1]}" line; do
		[ "$line" != "$id" ] || return 0
	done
	return 1
}

# --- the question ----------------------------------------------------------

my_ask() { # CLIENT USER PORT LEG [KEY=VALUE]...
	local client=$1 user=$2 port=$3 leg=$4 host=localhost ca=$PKI/ca.crt \
		word=$CANARY do=ask password more=() pair
	password=$(my_password "$user")
	shift 4
	for pair; do
		case $pair in
		host=* | ca=* | word=* | password=* | do=*)
			printf -v "${pair%%=*}" %s "${pair#*=}" ;;
		*) more+=("$pair") ;;
		esac
	done
	# To libmariadb "localhost" is a socket.
	[ "$client" != mysqldb ] || host=${host/localhost/127.0.0.1}
	case $client in
	mysql97) my_ask_mysql ;;
	mariadb1011 | mariadb118) my_ask_mariadb ;;
	*)	my_driver_ask "$(my_driver_of "$client")" driver="$client" \
			"host=$host" "port=$port" "user=$user" \
			"password=$password" "word=$word" "do=$do" \
			"$(my_ask_tls)" "${more[@]}" ;;
	esac
}
my_ask_tls() {
	case $leg$ca in
	P*) echo tls=no ;;
	T-) echo tls=yes ;;
	T*) echo "ca=$ca" ;;
	esac
}
my_driver_of() { # CLIENT
	case $1 in
	mysql2 | mysql | mariadb) echo node ;;
	pymysql | mysqldb) echo python ;;
	connectorj2) echo java2 ;;
	connectorj3) echo java3 ;;
	esac
}

# These see the variables of my_ask().
my_ask_mysql() {
	case $leg$ca in
	P*)	set -- --ssl-mode=DISABLED --get-server-public-key ;;
	T-)	set -- --ssl-mode=REQUIRED ;;
	T*)	set -- --ssl-mode=VERIFY_IDENTITY --ssl-ca="$ca" ;;
	esac
	my_ask_shell mysql "$@"
}
my_ask_mariadb() {
	case $leg$ca in
	P*)	set -- --skip-ssl ;;
	T-)	set -- ;; # what it does by itself
	T*)	set -- --ssl --ssl-verify-server-cert --ssl-ca="$ca" ;;
	esac
	my_ask_shell mariadb "$@"
}
my_ask_shell() { # PROGRAM OPTION...
	local program=$1 pair said
	shift
	for pair in "${more[@]}"; do
		case $pair in
		option=*) set -- "$@" "${pair#option=}" ;;
		esac
	done
	said=$(MY_PASSWORD=$password my_client "$client" "$program" "$user" \
		"$port" --host="$host" --batch --skip-column-names "$@" app \
		-e "SELECT CURRENT_USER(), '$word';
			SHOW STATUS LIKE 'Ssl_cipher'" 2>&1)
	my_said "$?" <<<"$said"
}
my_said() { # STATUS; what a command line has printed on stdin
	awk -F '\t' -v status="$1" '
	status == 0 && /^Ssl_cipher/ { cipher = $2 == "" ? "clear" : $2; next }
	status == 0 && NF == 2 { who = $1 "|" $2; next }
	match($0, /^ERROR [0-9]+ \([0-9A-Z]+\)/) {
		split($0, w, /[ ()]+/)
		code = w[2] " " w[3]
		sub(/^[^:]*: /, "")
	}
	{ text = text " " $0 }
	END {
		if (status == 0)
			print "ok " who "|" cipher
		else
			print "error " (code == "" ? "- -" : code) text
	}'
}

# shellcheck shell=bash
#
# drivers_tds.sh - the clients of SQL Server, SAP ASE and MongoDB
#
#	drivers_tds_have, drivers_mongo_have	make them ready
#	have CLIENT				is it there?
#	tds_modes CLIENT			those that it has
#	tds_ask CLIENT MODE CA SQL PORT...	one line for each port:
#						PORT and the row, or an error
#
# Programs of Debian come from two suites: FreeTDS 1.3 (bookworm) knows no TDS
# 8.0, 1.5 (sid) does; pymongo 3 does not discover a replica set unless told,
# 4 does.  What npm has is installed into node's folder, in the versions below.

. "$TREE/contrib/needs.sh"

readonly NPM_PACKAGES='tedious@20.3.9 tedious19@npm:tedious@19.2.2
	mssql@12.7.14 mongodb@7.9.0'

declare -A HAVE=()
have() { [ -n "${HAVE[$1]:-}" ]; } # CLIENT

# $CLIENTS are those named, where MAKE has succeeded.
drivers_try() { # WHAT CLIENTS MAKE...
	local client
	if "${@:3}"; then
		for client in $2; do
			HAVE[$client]=yes
		done
	else
		skip "$1" "it cannot be had"
	fi
}

drivers_copy() {
	[ -d "$WORK/clients" ] || cp -r "$REAL/clients" "$WORK/clients"
}

# tsql and so on print what they were told; unixodbc wants a folder to write.
drivers_tds_have() {
	drivers_copy
	drivers_try "FreeTDS 1.3" 'tsql13 bsqldb13 odbc13 pymssql22 pytds111' \
		root_make tds-bookworm bookworm freetds-bin tdsodbc unixodbc \
		python3-pymssql python3-tds python3-openssl \
		python3-pkg-resources
	drivers_try "FreeTDS 1.5" 'tsql15 bsqldb15 odbc15 pymssql23 pytds116' \
		root_make tds-sid sid freetds-bin tdsodbc unixodbc \
		python3-pymssql python3-tds python3-openssl
	drivers_try "jTDS" jtds jtds_have
	drivers_try "tedious" 'tedious tedious19 mssql' npm_have
}

drivers_mongo_have() {
	drivers_copy
	drivers_try "pymongo 3" pymongo3 \
		root_make mongo-bookworm bookworm python3-pymongo
	drivers_try "pymongo 4" pymongo4 \
		root_make mongo-sid sid python3-pymongo
	drivers_try "node's mongodb" mongodb npm_have
}

jtds_have() {
	root_make jtds trixie openjdk-21-jdk-headless libjtds-java &&
		jtds_java javac -d "$WORK/clients" \
			"$WORK/clients/TdsQuery.java" >&2
}

npm_have() {
	npm_install npm "$NPM_PACKAGES"
}

# npm is this machine's; what it installs has to be in the root to be seen.
npm_install() { # NAME PACKAGES
	local folder=$ROOTS/node-npm/opt/$1
	root_make node-npm sid nodejs || return 1
	[ "$(cat "$folder/.made-of" 2>/dev/null)" != "$2" ] || return 0
	command -v npm >/dev/null || needs npm || return 1
	rm -rf "$folder" "$folder.new"
	mkdir -p "$folder.new"
	# Its own list of CAs may be older than the machine's.
	# shellcheck disable=SC2086 # a list
	NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt timeout 300 \
		npm install --prefix "$folder.new" --ignore-scripts --no-audit \
		--no-fund --no-package-lock --loglevel=error \
		$2 >&2 || return 1
	echo "$2" >"$folder.new/.made-of"
	mv "$folder.new" "$folder"
}

# --- asking ----------------------------------------------------------------
# MODE is what the client's PRELOGIN is to say: not_sup, off, on; or strict;
# or old, which is no PRELOGIN at all.  A CA of "-": nothing is verified.

readonly TDS_PASSWORD=app-$CANARY

# The modes that a client has.
tds_modes() { # CLIENT
	case $1 in
	tsql13 | bsqldb13 | odbc13 | pymssql22) echo not_sup off on ;;
	tsql15 | bsqldb15 | odbc15 | pymssql23) echo not_sup off on strict ;;
	pytds*) echo not_sup off on ;;
	jtds) echo old off on ;;
	tedious | tedious19 | mssql) echo not_sup on strict ;;
	esac
}

tds_ask() { # CLIENT MODE CA SQL PORT...
	local client=$1 mode=$2 ca=$3 sql=$4
	shift 4
	# Strict is never without verification.
	[ "$mode" != strict ] || ca=$PKI/ca.crt
	case $client in
	tsql* | bsqldb* | odbc*) freetds_each "$client" "$mode" "$ca" "$sql" "$@" ;;
	pymssql*)
		tds_root "$client" "$mode" "$ca" python3 \
			"$WORK/clients/tds_query.py" pymssql "$mode" "$ca" \
			"$TDS_PASSWORD" "$sql" "$@"
		;;
	pytds*)
		[ "$ca" != - ] || ca=$PKI/ca.crt # it always wants one
		tds_root "$client" "$mode" "$ca" python3 \
			"$WORK/clients/tds_query.py" pytds "$mode" "$ca" \
			"$TDS_PASSWORD" "$sql" "$@"
		;;
	jtds) jtds_ask sqlserver "$mode" "$sql" "$@" ;;
	*)	(in_root -t 300 node-npm NODE_PATH=/opt/npm/node_modules \
			node "$WORK/clients/tds_query.js" "$client" "$mode" \
			"$ca" "$TDS_PASSWORD" "$sql" "$@") ;;
	esac
}

declare -rA ENCRYPTION=([not_sup]=off [off]=request [on]=require
	[strict]=strict)

# FreeTDS reads what a connection is to be like from a file.
freetds_conf() { # FILE MODE CA
	cat >"$1" <<-CONF
		[global]
		tds version = ${TDS_VERSION:-7.4}
		encryption = ${ENCRYPTION[$2]}
		connect timeout = 15
		${TDS_CONF:-}
	CONF
	[ "$3" = - ] || echo "ca file = $3" >>"$1"
	printf '%s\n' '[localhost]' 'host = localhost' >>"$1"
}

tds_root() { # CLIENT MODE CA COMMAND...
	local root=tds-bookworm conf=$WORK/freetds-$1-$2.conf
	case $1 in
	tsql15 | bsqldb15 | odbc15 | pymssql23 | pytds116) root=tds-sid ;;
	esac
	freetds_conf "$conf" "$2" "$3"
	(in_root -t "${SECS:-100}" "$root" "FREETDSCONF=$conf" "${@:4}")
}

# These are started for each port; their last words are put on one line.
freetds_each() { # CLIENT MODE CA SQL PORT...
	local client=$1 mode=$2 ca=$3 sql=$4 port said
	shift 4
	for port; do
		said=$(SECS=${SECS:-20} "${client%1?}_ask" "$client" "$mode" \
			"$ca" "$sql" "$port" 2>&1 | tr -s '\n\t\r ' ' ')
		echo "$port ${said% }"
	done
}
tsql_ask() { # CLIENT MODE CA SQL PORT
	printf '%s\ngo\nexit\n' "$4" | tds_root "$1" "$2" "$3" tsql -o qh \
		-t '|' -H localhost -p "$5" -U app -P "$TDS_PASSWORD"
}
bsqldb_ask() {
	printf '%s\n' "$4" | tds_root "$1" "$2" "$3" TDSPORT="$5" bsqldb -q \
		-h -t '|' -S localhost -U app -P "$TDS_PASSWORD"
}
odbc_ask() {
	local driver=/usr/lib/x86_64-linux-gnu/odbc/libtdsodbc.so
	printf '%s\n' "$4" | tds_root "$1" "$2" "$3" TDSPORT="$5" isql -b \
		-d'|' -v -k "DRIVER=$driver;SERVERNAME=localhost;UID=app;$(
		)PWD=$TDS_PASSWORD${ODBC_OPTIONS:-}"
}

jtds_ask() { # sqlserver|sybase MODE SQL PORT...
	local -A ssl=([old]=off [off]=request [on]=require)
	local url="jdbc:jtds:$1://localhost:%/master;loginTimeout=15"
	url+=";ssl=${ssl[$2]:-off}${JTDS_OPTIONS:-}"
	jtds_java java -XX:TieredStopAtLevel=1 \
		-Djdbc.drivers=net.sourceforge.jtds.jdbc.Driver -cp \
		"/usr/share/java/jtds.jar:$WORK/clients" TdsQuery "$url" \
		"$TDS_PASSWORD" "${@:3}"
}
jtds_java() {
	(in_root -t 200 jtds PATH=/usr/lib/jvm/java-21-openjdk-amd64/bin "$@")
}

# What comes of each URI, a line each; the programs say what WHAT can be.
mongo_ask() { # CLIENT WHAT TEXT URI...
	local -A root=([pymongo3]=mongo-bookworm [pymongo4]=mongo-sid)
	if [ "$1" = mongodb ]; then
		(in_root -t "${SECS:-100}" node-npm \
			NODE_PATH=/opt/npm/node_modules \
			node "$WORK/clients/mongo_query.js" "${@:2}")
	else
		(in_root -t "${SECS:-100}" "${root[$1]}" \
			python3 "$WORK/clients/mongo_query.py" "${@:2}")
	fi
}

# SAP ASE: TDS 5.0.
ase_ask() { # CLIENT MODE CA SQL PORT...
	if [ "$1" = jtds ]; then
		jtds_ask sybase "$2" "${@:4}"
	else
		TDS_VERSION=5.0 freetds_each "$@"
	fi
}

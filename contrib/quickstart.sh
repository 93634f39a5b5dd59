#!/bin/bash
# quickstart.sh - dbtls at work, from nothing, in a minute
#
#	contrib/quickstart.sh [--keep]
#
# On Debian 12, as root.  Installs what is missing, builds dbtls in
# build/quickstart, makes a certificate, starts a PostgreSQL with TLS that will
# be thrown away, and dbtls before it.  A psql that speaks no TLS then gets its
# answer through dbtls, and is turned away where the name in the certificate is
# another.  Everything is stopped and removed in the end; with --keep it runs
# on, and how to connect and to stop it is printed.
#
# Nothing of the machine's own PostgreSQL is touched: this one has a folder of
# its own under /tmp, and a port that is free.
set -euo pipefail
TREE=$(cd "$(dirname "$0")/.." && pwd)
BUILD=$TREE/build/quickstart
readonly TREE BUILD

# A machine may point every TLS library at certificates of its own.
unset SSL_CERT_FILE SSL_CERT_DIR OPENSSL_CONF "${!PG@}"
export LC_ALL=C.UTF-8

. "$TREE/contrib/needs.sh"

keep='' work='' no_cluster='' pids=()

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { sed 's/^/    /'; }
die() {
	printf 'quickstart: %s\n' "$*" >&2
	exit 1
}

clean() {
	local status=$?
	trap '' INT TERM HUP
	if [ -n "$keep" ] && [ $status = 0 ]; then
		return
	fi
	[ ${#pids[@]} -eq 0 ] || kill -INT "${pids[@]}" 2>/dev/null || true
	wait
	rm -rf ${work:+"$work"} ${no_cluster:+"$no_cluster"}
	[ $status = 0 ] || echo "quickstart: failed" >&2
}

# Until COMMAND succeeds, ten seconds at most.
await() { # WHAT LOG COMMAND...
	local what=$1 log=$2 tries
	shift 2
	for ((tries = 0; tries < 200; tries++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.05
	done
	tail -n 20 "$log" >&2
	die "$what"
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free_port() {
	local port
	while port=$((20000 + RANDOM % 10000)); do
		port_is_free $port && break
	done
	echo $port
}

# Becomes COMMAND as the user postgres, which owns what is in $work/data.
as_postgres() { # COMMAND...
	exec setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"
}

# --- the parts -------------------------------------------------------------

# Installing PostgreSQL would start one for the whole machine: not for us.
no_cluster() {
	local dir=/etc/postgresql-common/createcluster.d
	[ -n "$(needs_missing postgresql-common)" ] || return 0
	mkdir -p $dir
	no_cluster=$dir/dbtls-quickstart.conf
	echo 'create_main_cluster = off' >"$no_cluster"
}

install_what_is_missing() {
	step "1. What is needed"
	no_cluster
	needs build-essential cmake ninja-build pkg-config libssl-dev \
		libconfig-dev libevent-dev openssl postgresql ||
		die "could not install what is needed"
	[ -z "$no_cluster" ] || rm -f "$no_cluster"
	PG=$(find /usr/lib/postgresql -name postgres -path '*/bin/*' |
		sort -V | tail -n 1)
	[ -n "$PG" ] || die "no PostgreSQL server was installed"
	PG=${PG%/postgres}
	"$PG/postgres" --version | show
}

build() {
	step "2. dbtls is built, in $BUILD"
	mkdir -p "$BUILD"
	if ! { cmake -G Ninja -S "$TREE" -B "$BUILD" -D BUILD_TESTING=OFF &&
		ninja -C "$BUILD" dbtls; } >"$BUILD/build.log" 2>&1; then
		tail -n 40 "$BUILD/build.log" >&2
		die "the build failed; see $BUILD/build.log"
	fi
	DBTLS=$BUILD/proxy/dbtls
	"$DBTLS" --version | show
}

# A CA, and by it a certificate for db.example.
certificates() {
	step "3. A certificate authority, and a certificate for db.example"
	cd "$work"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout ca.key -out ca.pem -days 2 -subj '/CN=quickstart CA' \
		-addext keyUsage=critical,keyCertSign 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout server.key -subj /CN=quickstart 2>/dev/null |
		openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial \
			-days 2 -out server.pem -extfile <(printf '%s\n' \
			subjectAltName=DNS:db.example \
			extendedKeyUsage=serverAuth) 2>/dev/null
	cd - >/dev/null
	openssl x509 -in "$work/server.pem" -noout -ext subjectAltName \
		-issuer | show
}

start_postgresql() {
	step "4. A PostgreSQL that admits nobody without TLS"
	install -d -o postgres -g postgres -m 700 "$work/data"
	(as_postgres "$PG/initdb" -D "$work/data" -U postgres --auth=trust \
		--no-sync) >"$work/postgresql.log" 2>&1 ||
		{ cat "$work/postgresql.log" >&2 && die "initdb failed"; }
	install -o postgres -m 600 "$work/server.pem" "$work/server.key" \
		"$work/data"
	printf '%s\n' 'local all all trust' \
		'hostssl all all 127.0.0.1/32 trust' >"$work/data/pg_hba.conf"
	server=$(free_port)
	as_postgres "$PG/postgres" -D "$work/data" -p "$server" \
		-c listen_addresses=127.0.0.1 -c fsync=off -c ssl=on \
		-c unix_socket_directories="$work/data" \
		-c ssl_cert_file=server.pem -c ssl_key_file=server.key \
		</dev/null >>"$work/postgresql.log" 2>&1 &
	pids+=($!)
	await "PostgreSQL did not start" "$work/postgresql.log" \
		"$PG/pg_isready" -h 127.0.0.1 -p "$server"
	echo "127.0.0.1:$server, pid ${pids[0]}" | show
}

start_dbtls() {
	step "5. dbtls before it, in verify-full"
	right=$(free_port)
	wrong=$((right + 1))
	cat >"$work/dbtls.conf" <<-CONF
		endpoints = (
		  { name = "right";
		    engine = "postgres";
		    listen = "127.0.0.1:$right";
		    server = "127.0.0.1:$server";
		    server_name = "db.example";
		    ssl_mode = "verify-full";
		    ca = [ "$work/ca.pem" ]; },
		  { name = "wrong";
		    engine = "postgres";
		    listen = "127.0.0.1:$wrong";
		    server = "127.0.0.1:$server";
		    server_name = "other.example";
		    ssl_mode = "verify-full";
		    ca = [ "$work/ca.pem" ]; }
		);
	CONF
	show <"$work/dbtls.conf"
	"$DBTLS" run -c "$work/dbtls.conf" </dev/null \
		>"$work/dbtls.log" 2>&1 &
	pids+=($!)
	await "dbtls did not start" "$work/dbtls.log" \
		grep -q event=start "$work/dbtls.log"
	printf '    \n    dbtls run -c %s, pid %d\n' "$work/dbtls.conf" \
		"${pids[1]}"
}

ask() { # PORT
	"$PG/psql" -X "host=127.0.0.1 port=$1 user=postgres sslmode=disable" \
		-c "SELECT version AS tls, cipher FROM pg_stat_ssl
		    WHERE pid = pg_backend_pid()"
}

the_query() {
	step "6. psql without TLS, straight to the server: refused"
	! ask "$server" >"$work/said" 2>&1 || die "the server let it in"
	show <"$work/said"
	step "7. psql without TLS, through dbtls: the server sees TLS"
	ask "$right" >"$work/said" 2>&1 ||
		{ cat "$work/said" "$work/dbtls.log" >&2 && die "refused"; }
	show <"$work/said"
	echo "and dbtls writes:" | show
	grep event=session.open "$work/dbtls.log" | show
}

the_refusal() {
	step "8. The same server, asked for another name: refused"
	! ask "$wrong" >"$work/said" 2>&1 || die "the wrong name was accepted"
	show <"$work/said"
	echo "and dbtls writes:" | show
	grep event=session.refused "$work/dbtls.log" | show
}

kept() {
	disown "${pids[@]}"
	cat >"$work/stop" <<-STOP
		kill -INT ${pids[*]}
		for pid in ${pids[*]}; do
			while kill -0 \$pid 2>/dev/null; do sleep 0.1; done
		done
		rm -r "$work"
	STOP
	cat <<-TEXT

		It is all running. Connect, and be refused, with

		    psql "host=127.0.0.1 port=$right user=postgres sslmode=disable"
		    psql "host=127.0.0.1 port=$wrong user=postgres sslmode=disable"

		What dbtls makes of its configuration, and of the server:

		    $DBTLS check -c $work/dbtls.conf
		    $DBTLS test right -c $work/dbtls.conf
		    $DBTLS test wrong -c $work/dbtls.conf

		Its log is $work/dbtls.log. Stop and remove all of it with

		    sh $work/stop
	TEXT
}

case ${1:-} in
'') ;;
--keep) keep=yes ;;
*)
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d'
	exit 2
	;;
esac
[ "$(id -u)" = 0 ] || die "run it as root: it installs packages, and starts \
PostgreSQL as another user"
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
install_what_is_missing
build
work=$(mktemp -d /tmp/dbtls-quickstart.XXXXXX)
chmod 711 "$work"
certificates
start_postgresql
start_dbtls
the_query
the_refusal
if [ -n "$keep" ]; then
	kept
else
	step "Done; what was started is stopped, and $work removed."
fi

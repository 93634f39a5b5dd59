# shellcheck shell=bash
#
# peers.sh - the proxies that are measured, and how each is set up
#
#	peers_of FLAVOR			those that there are, dbtls first
#	peer_start FLAVOR PEER		as FLAVOR/PEER, on ${AT[FLAVOR/PEER]}
#	peer_stop FLAVOR PEER
#	peer_version PEER
#	peer_missing			names of those that are not installed
#
# FLAVOR is what the proxy does: "tls" adds TLS toward the server, whose chain
# and name it verifies, and so do "postgres" and "mysql" in these protocols;
# "ends" ends a client's TLS; "plain" passes bytes.  One process, or worker, or
# thread of events, as each comes; on one processor.
#
# $BACK, $PG_BACK and $MY_BACK are the servers' ports.

# shellcheck disable=SC2034 # run.sh goes there
declare -A AT=()	# ports, by FLAVOR/PEER

# shellcheck disable=SC2034 # run.sh installs them
readonly PEER_PACKAGES='haproxy nginx-core libnginx-mod-stream stunnel4 hitch
	socat pgbouncer'
readonly PEERS_TLS='dbtls direct haproxy haproxy64 nginx nginx64 stunnel
	socat socat64'
readonly PEERS_POLL=poll	# dbtls that polls for a while before it sleeps
readonly PEERS_ENDS='dbtls hitch'
readonly PEERS_POSTGRES='dbtls direct stunnel pgbouncer'
readonly PEERS_MYSQL='dbtls direct router'
readonly PEERS_PLAIN='dbtls copy haproxy haproxy-splice nginx nginx64 socat64'

readonly DIRECT='records = "direct";' POLL='busy_poll_us = 50;'

program_of() { # PEER
	case $1 in
	dbtls | direct | poll) echo "$BUILD/proxy/dbtls" ;;
	copy) echo "$BUILD/bench/copy" ;;
	haproxy*) echo haproxy ;;
	nginx*) echo nginx ;;
	stunnel) echo stunnel4 ;;
	socat*) echo socat ;;
	*) echo "$1" ;;
	esac
}
# Debian has some of them where only root looks.
has() { PATH=$PATH:/usr/sbin:/sbin type -P "$1" >/dev/null; }

peer_there() { # PEER
	[ -z "${PEERS:-}" ] || [[ " dbtls copy poll $PEERS " == *" $1 "* ]] ||
		return 1
	if [ "$1" = router ]; then
		[ -x "$ROOTS/mysql97/usr/bin/mysqlrouter" ]
		return
	fi
	has "$(program_of "$1")" || return 1
	case $1 in
	direct) dbtls_has "tls = { $DIRECT };" ;;
	poll) dbtls_has "$POLL" ;;
	esac
}

peers_of() { # FLAVOR
	local list peer
	case $1 in
	tls) list=$PEERS_TLS ;;
	poll) list=$PEERS_POLL ;;
	ends) list=$PEERS_ENDS ;;
	plain) list=$PEERS_PLAIN ;;
	postgres) list=$PEERS_POSTGRES ;;
	mysql) list=$PEERS_MYSQL ;;
	esac
	for peer in $list; do
		peer_there "$peer" && echo "$peer"
	done
}

peer_missing() {
	local peer
	for peer in haproxy nginx stunnel hitch socat pgbouncer; do
		has "$(program_of $peer)" || echo "$peer"
	done
	dbtls_has "tls = { $DIRECT };" || echo tls.records=direct
	dbtls_has "$POLL" || echo busy_poll_us
}

peer_version() { # PEER
	case $1 in
	dbtls) "$BUILD/proxy/dbtls" --version ;;
	haproxy) haproxy -v ;;
	nginx) nginx -v 2>&1 ;;
	stunnel) stunnel4 -version 2>&1 | grep -m 1 '^stunnel' ;;
	hitch) hitch --version ;;
	socat) socat -V | sed -n 2p ;;
	pgbouncer) pgbouncer --version ;;
	esac | head -n 1
}

peer_start() { # FLAVOR PEER
	local name=$1/$2 port log=$1-$2
	mkdir -p "$WORK/$1"
	free_port port
	# shellcheck disable=SC2034 # as above
	AT[$name]=$port
	start "$name" on_proxy "peer_${2//-/_}" "$1" "$port" "$WORK/$name"
	await 10 peer_settled "$name" "$port"
	alive "$name" && listens "$port" && return 0
	echo "$BENCH: $log does not start: $(tail -n 2 "$WORK/$name.log")" >&2
	stop "$name"
	return 1
}
peer_settled() { listens "$2" || gone "$1"; } # NAME PORT
peer_stop() { stop "$1/$2"; } # FLAVOR PEER

# Becomes COMMAND on the processor that is the proxy's.
on_proxy() { # COMMAND...
	taskset -cp "$PROXY_CPU" $BASHPID >/dev/null 2>&1
	PATH=$PATH:/usr/sbin:/sbin
	"$@"
}

# What the server is called, and where it is.
name_of() { # FLAVOR
	[ "$1" = postgres ] && echo localhost || echo db.test
}
back_of() { # FLAVOR
	case $1 in
	postgres) echo "$PG_BACK" ;;
	mysql) echo "$MY_BACK" ;;
	*) echo "$BACK" ;;
	esac
}

# --- dbtls -------------------------------------------------------------------

dbtls_mode() { # FLAVOR PORT RECORDS
	case $1 in
	ends) cat <<-END
		ssl_mode = "none"; client_tls = { mode = "require";
		cert = "$CERTS/good.chain.pem"; key = "$CERTS/good.key"; };
		END
		;;
	plain) echo 'ssl_mode = "none";' ;;
	*) cat <<-END
		ssl_mode = "verify-full"; server_name = "$(name_of "$1")";
		ca = [ "$CERTS/ca.crt" ]; $3
		END
		;;
	esac
}
dbtls_config() { # FLAVOR PORT RECORDS
	local engine=tls
	[[ $1 != postgres && $1 != mysql ]] || engine=$1
	cat <<-CONF
		threads = 1; log = { level = "warn"; };
		endpoints = ( { name = "bench"; engine = "$engine";
		listen = "127.0.0.1:$2"; server = "127.0.0.1:$(back_of "$1")";
		$(dbtls_mode "$@") } );
	CONF
}
# Does this dbtls know a setting?
dbtls_has() { # SETTING
	dbtls_config tls 1 "$1" >"$WORK/has.conf"
	"$BUILD/proxy/dbtls" check -c "$WORK/has.conf" >/dev/null 2>&1
}
dbtls_run() { # FLAVOR PORT FILE RECORDS
	dbtls_config "$1" "$2" "$4" >"$3.conf"
	exec "$BUILD/proxy/dbtls" run -c "$3.conf"
}
peer_dbtls() { dbtls_run "$@" ''; }
peer_direct() { dbtls_run "$@" "tls = { $DIRECT };"; }
peer_poll() { dbtls_run tls "$2" "$3" "$POLL"; }
peer_copy() { exec "$BUILD/bench/copy" "$2" "$BACK"; } # FLAVOR PORT FILE

# --- HAProxy -----------------------------------------------------------------

haproxy_run() { # FLAVOR PORT FILE GLOBAL DEFAULTS
	local server=''
	[ "$1" != tls ] || server="ssl verify required ca-file $CERTS/ca.crt \
verifyhost db.test sni str(db.test)"
	cat >"$3.conf" <<-CONF
		global
		    nbthread 1
		    maxconn 5200
		    $4
		defaults
		    mode tcp
		    maxconn 5200
		    timeout connect 10s
		    timeout client 10m
		    timeout server 10m
		    $5
		listen bench
		    bind 127.0.0.1:$2
		    server db 127.0.0.1:$BACK $server
	CONF
	exec haproxy -db -q -f "$3.conf"
}
peer_haproxy() { haproxy_run "$@" '' ''; }
peer_haproxy64() { haproxy_run "$@" 'tune.bufsize 65536' ''; }
peer_haproxy_splice() {
	haproxy_run "$@" '' 'option splice-request
		    option splice-response'
}

# --- nginx -------------------------------------------------------------------

nginx_run() { # FLAVOR PORT FILE SETTING
	local module tls='' modules
	modules=/usr/lib/nginx/modules/ngx_stream_module.so
	[ ! -e $modules ] || module="load_module $modules;"
	[ "$1" != tls ] || tls="proxy_ssl on; proxy_ssl_verify on;
		proxy_ssl_trusted_certificate $CERTS/ca.crt;
		proxy_ssl_name db.test; proxy_ssl_server_name on;
		proxy_ssl_protocols TLSv1.2 TLSv1.3;"
	cat >"$3.conf" <<-CONF
		${module:-}
		user root; worker_processes 1; daemon off;
		pid $3.pid; error_log $3.log error;
		worker_rlimit_nofile 20000;
		events { worker_connections 16000; }
		stream { server { listen 127.0.0.1:$2 backlog=4096;
		proxy_pass 127.0.0.1:$BACK; $4 $tls } }
	CONF
	exec nginx -c "$3.conf"
}
peer_nginx() { nginx_run "$@" ''; }
peer_nginx64() { nginx_run "$@" 'proxy_buffer_size 64k;'; }

# --- stunnel, socat, hitch ---------------------------------------------------

peer_stunnel() { # FLAVOR PORT FILE
	local protocol=''
	[ "$1" != postgres ] || protocol='protocol = pgsql'
	cat >"$3.conf" <<-CONF
		foreground = yes
		debug = 3
		pid =
		socket = l:TCP_NODELAY=1
		socket = r:TCP_NODELAY=1
		[bench]
		client = yes
		accept = 127.0.0.1:$2
		connect = 127.0.0.1:$(back_of "$1")
		CAfile = $CERTS/ca.crt
		verifyChain = yes
		checkHost = $(name_of "$1")
		sni = $(name_of "$1")
		TIMEOUTclose = 0
		$protocol
	CONF
	exec stunnel4 "$3.conf"
}

socat_run() { # FLAVOR PORT SIZE
	local to=TCP:127.0.0.1:$BACK,nodelay
	[ "$1" != tls ] || to="OPENSSL:127.0.0.1:$BACK,cafile=$CERTS/ca.crt,\
commonname=db.test,snihost=db.test,verify=1,nodelay"
	exec socat -b "$3" "TCP-LISTEN:$2,bind=127.0.0.1,fork,reuseaddr,\
nodelay,backlog=4096" "$to"
}
peer_socat() { socat_run "$1" "$2" 8192; }
peer_socat64() { socat_run "$1" "$2" 65536; }

peer_hitch() { # FLAVOR PORT FILE
	umask 077
	cat "$CERTS/good.key" "$CERTS/good.chain.pem" >"$3.pem"
	cat >"$3.conf" <<-CONF
		frontend = "[127.0.0.1]:$2"
		backend = "[127.0.0.1]:$BACK"
		pem-file = "$3.pem"
		workers = 1
		daemon = off
		user = "nobody"
		quiet = on
		tls-protos = TLSv1.2 TLSv1.3
	CONF
	exec hitch --config="$3.conf"
}

# --- PgBouncer, MySQL Router -------------------------------------------------

peer_pgbouncer() { # FLAVOR PORT FILE
	cat >"$3.conf" <<-CONF
		[databases]
		app = host=localhost port=$(back_of "$1") user=trusted
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $2
		unix_socket_dir =
		auth_type = any
		pool_mode = session
		max_client_conn = 1000
		default_pool_size = 100
		server_tls_sslmode = verify-full
		server_tls_ca_file = $WORK/ca.crt
		server_tls_protocols = tlsv1.3
		log_connections = 0
		log_disconnections = 0
		logfile =
	CONF
	chmod 644 "$3.conf"
	exec setpriv --reuid=65534 --regid=65534 --clear-groups \
		pgbouncer -q "$3.conf"
}

peer_router() { # FLAVOR PORT FILE
	local folder=$3.d
	install -d -o 64999 -g 64999 -m 700 "$folder"
	cat >"$folder/router.conf" <<-CONF
		[DEFAULT]
		logging_folder=$folder
		runtime_folder=$folder
		data_folder=$folder
		max_connect_errors=100000
		[logger]
		level=warning
		[routing:bench]
		bind_address=127.0.0.1
		bind_port=$2
		destinations=db.test:$(back_of "$1")
		routing_strategy=first-available
		protocol=classic
		client_ssl_mode=DISABLED
		server_ssl_mode=REQUIRED
		server_ssl_verify=VERIFY_IDENTITY
		server_ssl_ca=$WORK/ca.crt
	CONF
	in_root -u mysql97 mysqlrouter -c "$folder/router.conf"
}

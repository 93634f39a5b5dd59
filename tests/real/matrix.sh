#!/bin/bash
# matrix.sh - the verdict matrix of PostgreSQL, with psql as the oracle: see
# verdicts.sh.  Where they differ, differences.txt says why.
. "$(dirname "$0")/lib.sh"
. "$REAL/verdicts.sh"

# shellcheck disable=SC2034 # of verdicts.sh
readonly ORACLE=psql DIFFERENCES=differences.txt

ask_dbtls() { # ROW MODE
	verdict psql 15 "host=127.0.0.1 port=${port[$1.$2]} user=trusted
		dbname=${DATABASE:-app} sslmode=disable" -c 'SELECT 1'
}

ask_oracle() { # MODE ASKED CA CRL
	local options
	case $1 in
	none) options=sslmode=disable ;;
	require) options=sslmode=require ;;
	*)	options="sslmode=$1 sslrootcert=$(ca_files "$3")"
		[ "$4" = - ] || options+=" sslcrl=$PKI/$4.pem" ;;
	esac
	verdict psql 15 "host=$2 hostaddr=127.0.0.1 port=$server user=trusted
		dbname=${DATABASE:-app} $options" -c 'SELECT 1'
}

show() { # SHOWN: the server shows it from now on
	local name=${1%/alone} before after
	pg_certificate server "$name"
	[[ $1 != */alone ]] || pg_install "$PKI/$name.crt" \
		"$WORK/server/server.crt"
	before=$(grep -c 'not reloaded' "$WORK/server.log")
	pg_reload server
	after=$(grep -c 'not reloaded' "$WORK/server.log")
	[ "$before" = "$after" ]
}

# --- the theme -------------------------------------------------------------

theme_begin matrix
pg_have 15 || theme_skip "bookworm's packages cannot be had"
certs_make
verdicts_files
port_new server secret
pg_data server 15
pg_certificate server good
PG_ENV=("OPENSSL_CONF=$WORK/weak.cnf")
pg_start server "$server" || theme_end
PG_ENV=()

# And one that has no TLS at all.
port_new without other
pg_data without 15
PG_TLS=off pg_start without "$without" || theme_end

verdicts_endpoints
row_endpoints server-insists db.test ca -
tls_server=$server
server=$without
row_endpoints server-without-tls db.test ca -
server=$tls_server
dbtls_run proxy || theme_end

verdicts_rows
show good
DATABASE=tlsonly row server-insists - db.test ca - -
server=$without
row server-without-tls - db.test ca - tls_refused
verdicts_end
stop proxy
theme_end

#!/bin/bash
# mysql_verdicts.sh - the verdict matrix of MySQL, with its own command line as
# the oracle (--ssl-mode=VERIFY_CA, VERIFY_IDENTITY): see verdicts.sh.  Where
# they differ, mysql_differences.txt says why.
. "$(dirname "$0")/lib.sh"
. "$REAL/verdicts.sh"

# shellcheck disable=SC2034 # of verdicts.sh
readonly ORACLE=mysql DIFFERENCES=mysql_differences.txt

# Every name that is asked for leads to this machine, and the server is there.
readonly NAMES='db.test a.db.test db.test. x.allowed.test'

ask_dbtls() { # ROW MODE
	verdict mysql empty "${port[$1.$2]}" --ssl-mode=DISABLED -e 'SELECT 1'
}

ask_oracle() { # MODE ASKED CA CRL
	local options
	case $1 in
	none) options=(--ssl-mode=DISABLED) ;;
	require) options=(--ssl-mode=REQUIRED) ;;
	verify-ca) options=(--ssl-mode=VERIFY_CA) ;;
	verify-full) options=(--ssl-mode=VERIFY_IDENTITY) ;;
	esac
	[[ $1 != verify-* ]] || options+=(--ssl-ca="$(ca_files "$3")")
	[[ $4 == - || $1 != verify-* ]] || options+=(--ssl-crl="$PKI/$4.pem")
	verdict named_mysql --no-defaults --protocol=TCP --host="$2" \
		--port="$server" --user=empty "${options[@]}" -e 'SELECT 1'
}

# In a root with names of its own.
named_mysql() { # OPTION...
	local root=$ROOTS/mysql97
	# shellcheck disable=SC2016 # for the inner shell
	IN_ROOT_MOUNTS=own unshare --mount --propagation private -- bash -c '
		mount --bind "$0" "$1/etc/hosts" && exec "${@:2}"' \
		"$WORK/hosts" "$root" "$REAL/in_root" -t 20 "$root" mysql "$@"
}

# The server warns of what it cannot verify itself, and shows it all the same.
show() { # SHOWN
	local name=${1%/alone}
	my_certificate server "$name"
	[[ $1 != */alone ]] || my_install "$PKI/$name.crt" \
		"$WORK/server/server.crt"
	my_admin server 'ALTER INSTANCE RELOAD TLS NO ROLLBACK ON ERROR' \
		'SHOW WARNINGS' >"$WORK/reload.log" 2>&1 &&
		! grep -v 'Invalid certificates' "$WORK/reload.log"
}

# --- the theme -------------------------------------------------------------

theme_begin mysql-verdicts
my_have mysql97 || theme_skip "sid's packages cannot be had"
certs_make
verdicts_files
echo "127.0.0.1 $NAMES" >"$WORK/hosts"
port_new server secret
my_data server mysql97
my_certificate server good
MY_ADDRESS=127.0.0.1,127.0.0.2,::1
MY_ENV=("OPENSSL_CONF=$WORK/weak.cnf")
my_start server "$server" || theme_end
MY_ENV=()

# And one that has no TLS at all.
port_new without other
my_data without mysql97
my_start without "$without" || theme_end

ENGINE=mysql
verdicts_endpoints
row_endpoints server-insists db.test ca -
tls_server=$server
server=$without
row_endpoints server-without-tls db.test ca -
server=$tls_server
dbtls_run proxy || theme_end

verdicts_rows
show good
my_admin server 'SET GLOBAL require_secure_transport = ON'
row server-insists - db.test ca - -
server=$without
row server-without-tls - db.test ca - tls_refused
verdicts_end
stop proxy
theme_end

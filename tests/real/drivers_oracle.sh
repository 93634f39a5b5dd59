# shellcheck shell=bash
#
# drivers_oracle.sh - the clients of Oracle, both thin: no library of Oracle's
#
#	drivers_oracle_have			makes them ready
#	ora_name PROTOCOL PORT SERVICE [MORE]	a connect descriptor
#	ora_ask CLIENT DESCRIPTOR...		one line for each: what came
#
# CLIENT is node or python.  They trust $PKI/ca.crt, each in its own way: node's
# driver wants a key in the file that the other takes as it is.  What a driver
# may be told of besides is in the descriptor.

. "$REAL/drivers_tds.sh"

# shellcheck disable=SC2034 # for the theme
readonly ORACLE_CLIENTS='node python'
readonly NPM_ORACLE='oracledb@26.0.0'

drivers_oracle_have() {
	drivers_copy
	drivers_try "node-oracledb" node npm_install npm-oracle "$NPM_ORACLE"
	drivers_try "python-oracledb" python \
		root_make oracle-sid sid python3-oracledb
	mkdir -p "$WORK/wallet"
	cp "$PKI/ca.crt" "$WORK/wallet/ewallet.pem"
}

ora_name() { # tcp|tcps PORT SERVICE [MORE]
	echo "(DESCRIPTION=(RETRY_COUNT=0)(ADDRESS=(PROTOCOL=$1)(HOST=localhost)$(
	)(PORT=$2))(CONNECT_DATA=(SERVICE_NAME=$3))${4:-})"
}

ora_ask() { # CLIENT DESCRIPTOR...
	local client=$1
	shift
	case $client in
	node)	(in_root -t "${SECS:-100}" node-npm \
			NODE_PATH=/opt/npm-oracle/node_modules \
			NODE_EXTRA_CA_CERTS="$PKI/ca.crt" \
			node "$WORK/clients/ora_query.js" - "$CANARY" "$@") ;;
	python)	(in_root -t "${SECS:-100}" oracle-sid \
			python3 "$WORK/clients/ora_query.py" "$WORK/wallet" \
			"$CANARY" "$@") ;;
	esac
}

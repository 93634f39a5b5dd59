#!/bin/bash
# matrix.sh - the verdict matrix: the same server asked by psql in a mode, and
# by dbtls for a psql that speaks no TLS.  Where they differ, differences.txt
# has to say why; `dbtls verify` must agree with the proxy.  The rows, and the
# word with which verify-full refuses each, are in matrix.txt.
. "$(dirname "$0")/lib.sh"

readonly MODES=(none require verify-ca verify-full)
declare -A port=()	# of endpoints: row.MODE

rows() { grep -v '^#' "$REAL/matrix.txt"; }

ca_files() { # NAME+NAME, into one file whose name is printed
	local file=$WORK/anchors-$1.pem
	[ -e "$file" ] || eval "cat $PKI/{${1//+/,},}.crt" >"$file" 2>/dev/null
	echo "$file"
}

# --- dbtls -----------------------------------------------------------------

row_endpoints() { # ROW ASKED CA CRL
	local mode settings name
	for mode in "${MODES[@]}"; do
		settings=''
		[ "$mode" = none ] || settings="server_name = \"$2\";"
		if [[ $mode == verify-* ]]; then
			settings+=" ca = [ \"$(ca_files "$3")\" ];"
			[ "$4" = - ] || settings+=" crl = [ \"$PKI/$4.pem\" ];"
		fi
		name="$1.$mode"
		port_new "port[$name]" plain
		endpoint "$name" "${port[$name]}" "127.0.0.1:$server" "$mode" \
			"$settings"
	done
}

ask_dbtls() { # ROW MODE
	verdict psql 15 "host=127.0.0.1 port=${port[$1.$2]} user=trusted
		dbname=${DATABASE:-app} sslmode=disable" -c 'SELECT 1'
}

offline() { # ROW MODE SHOWN ASKED CA CRL
	local chain=$PKI/$3.chain.pem options=()
	[[ $3 != */alone ]] || chain=$PKI/${3%/alone}.crt
	[[ $2 != verify-* ]] || options+=(--ca "$(ca_files "$5")")
	[[ $6 == - || $2 != verify-* ]] || options+=(--crl "$PKI/$6.pem")
	verdict "$DBTLS" verify --ssl-mode "$2" --server-name "$4" \
		"${options[@]}" "$chain"
}

# --- libpq -----------------------------------------------------------------

ask_psql() { # MODE ASKED CA CRL
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

# "ok" or "no"; what was said is kept for a failure's line.
verdict() { # COMMAND...
	if "$@" >"$WORK/said" 2>&1 </dev/null; then
		echo ok
	else
		echo no
	fi
}

# --- one row ---------------------------------------------------------------

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

difference() { # ROW MODE LIBPQ DBTLS: is it listed?
	grep -q "^$1 $2 $3 $4 ." "$REAL/differences.txt"
}

cell() { # ROW MODE SHOWN ASKED CA CRL REFUSED: sets $text, adds to $wrong
	local row=$1 mode=$2 libpq dbtls reason=
	libpq=$(ask_psql "$mode" "$4" "$5" "$6")
	dbtls=$(ask_dbtls "$row" "$mode")
	[ "$dbtls" = ok ] || reason=$(dbtls_value proxy session.refused \
		"$row.$mode" reason)
	text="$libpq $dbtls ${reason:--}"
	if [ "$libpq" != "$dbtls" ] &&
		! difference "$row" "$mode" "$libpq" "$dbtls"; then
		wrong+=" $mode: libpq says $libpq, dbtls $dbtls, and the \
difference is not listed;"
	elif [ "$libpq" = "$dbtls" ] && grep -q "^$row $mode " \
		"$REAL/differences.txt"; then
		wrong+=" $mode: the listed difference no longer occurs;"
	fi
	[ "$mode" != verify-full ] || [ "${reason:--}" = "$7" ] ||
		wrong+=" $mode: refused as ${reason:--}, not as $7;"
	# There is no handshake offline that could fail.
	[ "$mode" = none ] || [ "$3" = - ] || [ "$reason" = handshake ] ||
		[ "$(offline "$row" "$mode" "$3" "$4" "$5" "$6")" = "$dbtls" ] ||
		wrong+=" $mode: dbtls verify does not agree with the proxy;"
}

# Each cell counts as a check; the line is the table's.
row() { # ROW SHOWN ASKED CA CRL REFUSED
	local mode wrong='' text line
	line=$(printf '%-22s %-14s' "$1" "$3")
	for mode in "${MODES[@]}"; do
		local before=$wrong
		cell "$1" "$mode" "${@:2}"
		if [ "$wrong" = "$before" ]; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
		fi
		# shellcheck disable=SC2086 # three words
		line+=$(printf ' | %-2s %-2s %-13s' $text)
	done
	if [ -z "$wrong" ]; then
		echo "ok       $line"
	else
		echo "NOT OK   $line"
		echo "        $wrong"
	fi
}

# --- the theme -------------------------------------------------------------

theme_begin matrix
pg_have 15 || theme_skip "bookworm's packages cannot be had"
certs_make

# The CRLs that a chain through inter2, which ca has revoked, needs.
(
	cd "$PKI" &&
		openssl ca -config .db/inter2/conf -gencrl -crldays 30 \
			2>/dev/null &&
		cat crl-ca.pem
) >"$WORK/crl-inter2.pem" && mv "$WORK/crl-inter2.pem" "$PKI/"

# A server that shows even what is too weak for the machine's settings.
cat >"$WORK/weak.cnf" <<-'CONF'
	openssl_conf = all
	[all]
	ssl_conf = ssl
	[ssl]
	system_default = defaults
	[defaults]
	CipherString = DEFAULT:@SECLEVEL=0
CONF
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

while read -r name shown asked ca crl refused; do
	row_endpoints "$name" "$asked" "$ca" "$crl"
done < <(rows)
row_endpoints server-insists db.test ca -
tls_server=$server
server=$without
row_endpoints server-without-tls db.test ca -
server=$tls_server
dbtls_run proxy || theme_end

printf '         %-22s %-14s' row asked
printf ' | %-19s' "${MODES[@]}"
printf '\n         %-22s %-14s' '' ''
printf ' | %-19s' 'psql, dbtls, reason'{,,,}
echo
while read -r name shown asked ca crl refused; do
	if show "$shown"; then
		row "$name" "$shown" "$asked" "$ca" "$crl" "$refused"
	else
		fail "$name" "the server does not take $shown: \
$(tail -n 3 "$WORK/server.log")"
	fi
done < <(rows)
show good
DATABASE=tlsonly row server-insists - db.test ca - -
server=$without
row server-without-tls - db.test ca - tls_refused

while read -r name mode _; do
	[ -n "${port[$name.$mode]:-}" ] ||
		fail "differences.txt" "$name $mode is no cell of the matrix"
done < <(grep -v '^#' "$REAL/differences.txt")
stop proxy
theme_end

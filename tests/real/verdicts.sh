# shellcheck shell=bash
#
# verdicts.sh - the verdict matrix: the same server asked by its own client in
# a mode, and by dbtls for a client that speaks no TLS.  Where they differ, a
# file has to say why; `dbtls verify` must agree with the proxy.  The rows, and
# the word with which verify-full refuses each, are in matrix.txt.
#
# The theme says whose verdicts are compared, and how they are had:
#
#	ORACLE DIFFERENCES		a word, and a file of this folder
#	ask_oracle MODE ASKED CA CRL	"ok" if its client logs in, or "no":
#					see verdict()
#	ask_dbtls ROW MODE		the same through ${port[ROW.MODE]}
#	show SHOWN			the server shows this from now on
#	server				the port of that server
#
# and calls verdicts_files, verdicts_endpoints (and row_endpoints for rows of
# its own), dbtls_run, verdicts_rows (and row) and verdicts_end.

# shellcheck disable=SC2153 # DBTLS and ORACLE are no misspelling
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

offline() { # ROW MODE SHOWN ASKED CA CRL
	local chain=$PKI/$3.chain.pem options=()
	[[ $3 != */alone ]] || chain=$PKI/${3%/alone}.crt
	[[ $2 != verify-* ]] || options+=(--ca "$(ca_files "$5")")
	[[ $6 == - || $2 != verify-* ]] || options+=(--crl "$PKI/$6.pem")
	verdict "$DBTLS" verify --ssl-mode "$2" --server-name "$4" \
		"${options[@]}" "$chain"
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

difference() { # ROW MODE ORACLE DBTLS: is it listed?
	grep -q "^$1 $2 $3 $4 ." "$REAL/$DIFFERENCES"
}

cell() { # ROW MODE SHOWN ASKED CA CRL REFUSED: sets $text, adds to $wrong
	local row=$1 mode=$2 oracle dbtls reason=
	oracle=$(ask_oracle "$mode" "$4" "$5" "$6")
	dbtls=$(ask_dbtls "$row" "$mode")
	[ "$dbtls" = ok ] || reason=$(dbtls_value proxy session.refused \
		"$row.$mode" reason)
	text="$oracle $dbtls ${reason:--}"
	if [ "$oracle" != "$dbtls" ] &&
		! difference "$row" "$mode" "$oracle" "$dbtls"; then
		wrong+=" $mode: $ORACLE says $oracle, dbtls $dbtls, and the \
difference is not listed;"
	elif [ "$oracle" = "$dbtls" ] && grep -q "^$row $mode " \
		"$REAL/$DIFFERENCES"; then
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

# --- all rows --------------------------------------------------------------

verdicts_files() {
	# The CRLs that a chain through inter2, which ca has revoked, needs.
	(
		cd "$PKI" &&
			openssl ca -config .db/inter2/conf -gencrl -crldays 30 \
				2>/dev/null &&
			cat crl-ca.pem
	) >"$WORK/crl-inter2.pem" && mv "$WORK/crl-inter2.pem" "$PKI/"
	# For a server that shows even what is too weak for the machine's.
	cat >"$WORK/weak.cnf" <<-'CONF'
		openssl_conf = all
		[all]
		ssl_conf = ssl
		[ssl]
		system_default = defaults
		[defaults]
		CipherString = DEFAULT:@SECLEVEL=0
	CONF
}

verdicts_endpoints() {
	local name asked ca crl
	while read -r name _ asked ca crl _; do
		row_endpoints "$name" "$asked" "$ca" "$crl"
	done < <(rows)
}

verdicts_rows() {
	local name shown asked ca crl refused
	printf '         %-22s %-14s' row asked
	printf ' | %-19s' "${MODES[@]}"
	printf '\n         %-22s %-14s' '' ''
	printf ' | %-19s' "$ORACLE, dbtls, reason"{,,,}
	echo
	while read -r name shown asked ca crl refused; do
		if show "$shown"; then
			row "$name" "$shown" "$asked" "$ca" "$crl" "$refused"
		else
			fail "$name" "the server does not take $shown: \
$(tail -n 3 "$WORK/server.log")"
		fi
	done < <(rows)
}

# What is listed must be there.
verdicts_end() {
	local name mode
	while read -r name mode _; do
		[ -n "${port[$name.$mode]:-}" ] || fail "$DIFFERENCES" \
			"$name $mode is no cell of the matrix"
	done < <(grep -v '^#' "$REAL/$DIFFERENCES")
}

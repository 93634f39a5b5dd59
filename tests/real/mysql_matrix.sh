#!/bin/bash
# mysql_matrix.sh - which client logs in with which plugin, over every pair of
# legs, cold and warm.  The rows are in mysql_matrix.txt: what each client makes
# of each account when it asks the server itself.  That is run here as well, in
# clear and with TLS, and through dbtls nothing may be different: what works
# works, and what fails fails with the same number and the same words.
#
# A server is cold after FLUSH PRIVILEGES, when it has forgotten the passwords
# that it has seen and caching_sha2_password wants the whole of it once more.
. "$(dirname "$0")/lib.sh"
. "$REAL/mysql_drivers.sh"

readonly SERVERS=(mysql97 mariadb1011 mariadb118)
# Ways to the server: itself; a socket, and the four modes, through dbtls.
readonly WAYS=(direct unix none require verify-ca verify-full)
declare -A port=() trials=([cold]=0 [warm]=0)

rows() { grep -v '^#' "$REAL/mysql_matrix.txt"; }

# --- servers and endpoints -------------------------------------------------

server_begin() { # SERVER
	local server=$1
	port_new "port[$server]" secret
	my_data "$server" "$server" && my_certificate "$server" good &&
		my_start "$server" "${port[$server]}" && my_console "$server"
}

# A server with TLS on the way to it is given its key without TLS as well: what
# goes wrong in clear must not be a key that dbtls may not ask for.
way_settings() { # MODE
	[ "$1" = none ] || echo 'server_name = "db.test";'
	[[ $1 != verify-* ]] || echo "ca = [ \"$PKI/ca.crt\" ];"
	[ "$1" != none ] || [ "$ENGINE" != mysql ] ||
		echo 'mysql = { get_server_public_key = true; };'
}

server_endpoints() { # SERVER
	local server=$1 way target mode front
	front="client_tls = { mode = \"require\"; cert = \"$PKI/proxy.crt\";
		key = \"$PKI/proxy.key\"; };"
	for way in "${WAYS[@]:1}"; do
		target=127.0.0.1:${port[$server]}
		mode=$way
		if [ "$way" = unix ]; then
			target=unix:$(my_socket "$server")
			mode=none
		fi
		port_new "port[P.$way.$server]" plain
		port_new "port[T.$way.$server]" secret
		endpoint "P.$way.$server" "${port[P.$way.$server]}" \
			"$target" "$mode" "$(way_settings "$mode")"
		endpoint "T.$way.$server" "${port[T.$way.$server]}" \
			"$target" "$mode" "$(way_settings "$mode") $front"
	done
}

# --- one trial -------------------------------------------------------------

# What must not be seen is said where the server's leg has TLS.
ask() { # CLIENT SERVER ACCOUNT LEG WAY
	local client=$1 server=$2 account=$3 leg=$4 way=$5
	case $way$leg in
	directP) my_ask "$client" "$account" "${port[$server]}" P \
		host=db.test word=bare ;;
	directT) my_ask "$client" "$account" "${port[$server]}" T \
		host=db.test ;;
	none? | unix?) my_ask "$client" "$account" \
		"${port[$leg.$way.$server]}" "$leg" word=bare ;;
	*) my_ask "$client" "$account" "${port[$leg.$way.$server]}" "$leg" ;;
	esac
}

# What a session that worked must have said of its server leg.
wanted_answer() { # ACCOUNT LEG WAY
	local user=$1
	case $3$2 in
	directP | none? | unix?) echo "^ok $user@%\|bare\|clear$" ;;
	*) echo "^ok $user@%\|$CANARY\|(TLS_|ECDHE-)[A-Z0-9_-]+$" ;;
	esac
}

# A failure without what differs from one connection to the next.
manner() { # ANSWER
	sed -E 's/(localhost|db\.test|127\.0\.0\.1)/HOST/g; s/[0-9]{3,}/N/g
		s/\(conn=[^)]*\)//' <<<"${1#error +([^ ])}"
}

trial() { # CLIENT SERVER ACCOUNT LEG WAY HEAT EXPECTED; sets $text, $wrong
	local leg=$4 way=$5 heat=$6 expected=$7 answer got
	[ "$heat" = warm ] || my_flush "$2"
	answer=$(ask "${@:1:5}")
	trials[$heat]=$((trials[$heat] + 1))
	got=$(cut -d' ' -f2 <<<"$answer")
	[[ $answer == error* ]] || got=ok
	[ "$way" != direct ] || manner[$leg]=$(manner "$answer")
	text+=" $got"
	if [ "$got" != "$expected" ]; then
		wrong+=$'\n'"         $leg $way $heat: $answer"
	elif [ "$got" = ok ]; then
		[[ $answer =~ $(wanted_answer "$3" "$leg" "$way") ]] ||
			wrong+=$'\n'"         $leg $way $heat: $answer"
	elif [ "$(manner "$answer")" != "${manner[$leg]}" ]; then
		wrong+=$'\n'"         $leg $way $heat: $answer"
		wrong+=$'\n'"         not as directly: ${manner[$leg]}"
	fi
}

# Each trial counts; the line is the table's.
row() { # CLIENT SERVER ACCOUNT P T
	local leg way heat line wrong='' before expected
	local -A manner=()
	line=$(printf '%-12s %-12s %-8s' "$1" "$2" "$3")
	for leg in P T; do
		expected=$4
		[ "$leg" = P ] || expected=$5
		line+=" | $leg"
		for way in "${WAYS[@]}"; do
			local text=''
			for heat in cold warm; do
				before=$wrong
				trial "$1" "$2" "$3" "$leg" "$way" "$heat" \
					"$expected"
				if [ "$wrong" = "$before" ]; then
					passed=$((passed + 1))
				else
					failed=$((failed + 1))
				fi
			done
			# shellcheck disable=SC2086 # two words
			line+=$(printf ' %4.4s %-4.4s' $text)
		done
	done
	if [ -z "$wrong" ]; then
		echo "ok       $line"
	else
		echo "NOT OK   $line$wrong"
	fi
}

# --- the theme -------------------------------------------------------------

theme_begin mysql-matrix
certs_make
my_clients_have
wire_begin
present=()
for server in "${SERVERS[@]}"; do
	if ! my_have "$server"; then
		skip "$server" "its packages cannot be had"
	elif server_begin "$server"; then
		present+=("$server")
		ENGINE=mysql
		[ "$server" = mysql97 ] || ENGINE=mariadb
		server_endpoints "$server"
	fi
done
[ ${#present[@]} -gt 0 ] || theme_end
dbtls_run proxy || theme_end

printf '         %-34s' 'client, server, account'
printf ' |  '
printf ' %-9s' "${WAYS[@]}" | sed 's/ *$//'
printf '\n         %-34s     each: cold warm\n' ''
while read -r client server account on_p on_t; do
	[[ " ${MY_CLIENTS[*]} " == *" $client "* ]] || continue
	[[ " ${present[*]} " == *" $server "* ]] || continue
	row "$client" "$server" "$account" "$on_p" "$on_t"
done < <(rows)
echo "trials: ${trials[cold]} cold, ${trials[warm]} warm"

check_same "no session failed by a fault of ours" \
	"$(grep -c 'reason=internal' "$WORK/proxy.log")" 0
check_same "no password in the log" "$(grep -c "$CANARY" "$WORK/proxy.log")" 0
stop proxy
check_same "dbtls ends with status" "$status" 0
wire_end
theme_end

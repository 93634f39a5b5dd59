#!/bin/bash
# mysql_wire.sh - what of a session of MySQL can be read on the wire: nothing
# where TLS is promised, and nowhere the password.  The word that is watched for
# is in the question and in every password; first it must be seen where a
# server's leg is in clear, or its silence would say nothing.
. "$(dirname "$0")/lib.sh"
. "$REAL/mysql_drivers.sh"

readonly MANY="SELECT repeat('$CANARY ', 60000)"
declare -A port=()

watch_begin() {
	: >"$WORK/wire.log"
	wire_begin
	[ -n "${PID[wire]:-}" ] || theme_skip "capturing is not allowed here"
}
watch_end() {
	stop wire
	check "nothing was missed" 'dropped=0$' cat "$WORK/wire.log"
}
found() { # RANGE: how often the word was seen
	sed -n "s/^$1 .* found=//p" "$WORK/wire.log"
}
bytes() { # RANGE
	sed -n "s/^$1 .* bytes=\([0-9]*\) .*/\1/p" "$WORK/wire.log"
}
check_least() { # TEXT GOT LIMIT
	if [ "$2" -ge "$3" ]; then
		pass "$1: $2 (at least $3)"
	else
		fail "$1" "$2, fewer than $3"
	fi
}

many() { # ENDPOINT
	mysql app "${port[$1]}" --ssl-mode=DISABLED --get-server-public-key \
		-e "$MANY" | wc -c
}

# Every login sends the password, and it is not in the question.
log_in() { # CLIENT USER LEG ENDPOINT
	my_flush server
	check "$4: $1 as $2, cold" "^ok $2@%\|bare\|" \
		my_ask "$1" "$2" "${port[$4]}" "$3" word=bare
}
log_in_all() { # LEG ENDPOINT
	local client user
	for client in "${MY_CLIENTS[@]}"; do
		for user in caching sha256; do
			case $client.$user in
			mysql.* | connectorj3.sha256) ;; # have no such plugin
			*) log_in "$client" "$user" "$1" "$2" ;;
			esac
		done
	done
}

# Compression would hide from dbtls that a password is asked for.
change_compressed() { # USER LEG ENDPOINT
	my_flush server
	check "$3: mysql2, compressed, becomes $1, cold" "^ok $1@%" \
		my_ask mysql2 empty "${port[$3]}" "$2" word=bare do=change \
		user2="$1" password2="$(my_password "$1")" compress=yes
}

# --- the theme -------------------------------------------------------------

theme_begin mysql-wire
[ -x "$CANARY_TOOL" ] || theme_skip "there is no libpcap"
my_have mysql97 || theme_skip "sid's packages cannot be had"
certs_make
my_clients_have
port_new "port[server]" secret
my_data server mysql97
my_certificate server good
my_start server "${port[server]}" || theme_end
my_console server

at=127.0.0.1:${port[server]}
trust="server_name = \"db.test\"; ca = [ \"$PKI/ca.crt\" ];"
front="client_tls = { mode = \"require\"; cert = \"$PKI/proxy.crt\";
	key = \"$PKI/proxy.key\"; };"
key="mysql = { get_server_public_key = true; };"
ENGINE=mysql
for name in PP PT; do
	port_new "port[$name]" plain
done
for name in TP TT; do
	port_new "port[$name]" secret
done
endpoint PP "${port[PP]}" "$at" none
endpoint PT "${port[PT]}" "$at" verify-full "$trust"
endpoint TP "${port[TP]}" "$at" none "$key $front"
endpoint TT "${port[TT]}" "$at" verify-full "$trust $front"
dbtls_run proxy || theme_end

# Two CPUs may swap two segments, and a word between them is missed.
watch_begin
check "P x P, mode none" '^1080001$' many PP
watch_end
check_least "the word is seen on the client's leg" "$(found plain)" 59990
check_least "and on the server's" "$(found secret)" 59990

watch_begin
check "P x T, verify-full" '^1080001$' many PT
watch_end
check_least "the word is seen on the client's leg" "$(found plain)" 59990
check_same "and never on the server's" "$(found secret)" 0
check_least "of which there was enough, bytes" "$(bytes secret)" 1000000

watch_begin
log_in_all T TP
log_in_all T TT
change_compressed caching T TP
change_compressed sha256 T TP
watch_end
check_same "T x P, T x T: no password is seen" "$(found secret)" 0
check_least "of logins there was enough, bytes" "$(bytes secret)" 10000

watch_begin
log_in_all P PP
log_in_all P PT
watch_end
check_same "P x P, P x T: no password is seen on the client's leg" \
	"$(found plain)" 0
check_same "nor on the server's" "$(found secret)" 0
check_least "of logins there was enough, bytes" "$(bytes plain)" 10000

check_same "no password in the log" "$(grep -c "$CANARY" "$WORK/proxy.log")" 0
stop proxy
check_same "dbtls ends with status" "$status" 0
theme_end

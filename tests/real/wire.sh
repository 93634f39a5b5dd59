#!/bin/bash
# wire.sh - the watch on the wire is watched itself: it must see the word where
# a server leg is in clear, and where it is cut in two, or its silence in the
# other themes says nothing.
. "$(dirname "$0")/lib.sh"

# 60,000 times the word, in segments that end where they like, and once in the
# question.  Two CPUs may swap two segments, and a word between them is missed.
readonly MANY="SELECT repeat('$CANARY ', 60000)"
readonly SAID=60001 SWAPPED=10

found() { # RANGE: how often the word was seen
	sed -n "s/^$1 .* found=//p" "$WORK/wire.log"
}
check_seen() { # TEXT RANGE
	check_most "$1: words missed" $((SAID - $(found "$2"))) $SWAPPED
}

theme_begin wire
[ -x "$CANARY_TOOL" ] || theme_skip "there is no libpcap"
pg_have 15 || theme_skip "bookworm's packages cannot be had"
certs_make
port_new clear secret # where TLS is promised, and not kept
port_new kept secret
port_new none plain
port_new full plain
pg_data clear 15
PG_TLS=off pg_start clear "$clear" || theme_end
pg_data kept 15
pg_certificate kept good
pg_start kept "$kept" || theme_end
endpoint none "$none" "127.0.0.1:$clear" none
endpoint full "$full" "127.0.0.1:$kept" verify-full \
	"server_name = \"db.test\"; ca = [ \"$PKI/ca.crt\" ];"
dbtls_run proxy || theme_end

ask() { # PORT
	SECS=60 psql 15 "host=127.0.0.1 port=$1 user=trusted dbname=app
		sslmode=disable" -c "$MANY" | wc -c
}

wire_begin
[ -n "${PID[wire]:-}" ] || theme_skip "capturing is not allowed here"
check "through a server leg in clear" '^1080001$' ask "$none"
stop wire
check "nothing was missed" 'dropped=0$' cat "$WORK/wire.log"
check_seen "seen on the client leg" plain
check_seen "and on the server leg as well" secret

: >"$WORK/wire.log"
wire_begin
check "through a server leg with TLS" '^1080001$' ask "$full"
stop wire
check "nothing was missed" 'dropped=0$' cat "$WORK/wire.log"
check_seen "seen on the client leg" plain
check_same "and never on the server leg" "$(found secret)" 0
check "of which there was enough" 'secret segments=[0-9]+ bytes=1[0-9]{6}' \
	cat "$WORK/wire.log"
stop proxy
theme_end

#!/bin/bash
# ktls_inside.sh WORK DBTLS PEER NEWER - the part of ktls.sh that runs on a
# kernel with TLS: prints "ok TEXT" or "bad TEXT", and other lines to be shown.
# NEWER is a root with a newer OpenSSL, which comes with its own libc.
set -u
WORK=$1 DBTLS=$2 PEER=$3 NEWER=$4
REAL=$(cd "$(dirname "$0")" && pwd)
readonly WORK DBTLS PEER NEWER REAL
readonly PROXY=7001 SERVER=7002
# What follows is short, and many: their sum is what it takes.
readonly BULK=4 BRIEF=1
# One record for each leg with TLS 1.3 of each run.
WRONG=0

ok() { echo "ok $1"; }
bad() { echo "bad $1"; }

# A program as it is, or with the newer OpenSSL.
with() { # own|newer COMMAND...
	local which=$1
	shift
	if [ "$which" = own ]; then
		exec "$@"
	fi
	exec "$NEWER/lib64/ld-linux-x86-64.so.2" --library-path \
		"$NEWER/usr/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu" "$@"
}

stat_of() { awk -v n="$1" '$1 == n { print $2 }' /proc/net/tls_stat; }

config() { # CLIENT SERVER [TLS] [ENDPOINT]
	local client='' mode=none
	[ "$1" = plain ] || client="client_tls = { mode = \"require\";
		cert = \"$WORK/peer.pem\"; };"
	[ "$2" = plain ] || mode=require
	[ "$1$2" != tlsplain ] || client+=" cleartext_server = true;"
	cat >"$WORK/dbtls.conf" <<-CONF
		threads = 1;
		log = { level = "debug"; };
		endpoints = ( { name = "in"; engine = "${ENGINE:-tls}";
		    listen = "127.0.0.1:$PROXY"; server = "127.0.0.1:$SERVER";
		    ssl_mode = "$mode"; $client
		    tls = { ktls = "on"; ${3:-} }; ${4:-} } );
	CONF
}

await() { # SECONDS COMMAND...
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		sleep 0.02
	done
}

listening() { grep -q event=listen "$WORK/dbtls.log"; }

dbtls_start() { # own|newer
	: >"$WORK/dbtls.log"
	(with "$1" "$DBTLS" run -c "$WORK/dbtls.conf") \
		>>"$WORK/dbtls.log" 2>&1 &
	pid=$!
	await 10 listening || bad "dbtls starts: $(tail -n 3 "$WORK/dbtls.log")"
}

dbtls_stop() {
	kill -TERM "$pid" 2>/dev/null
	wait "$pid" || bad "dbtls ends well: $?"
	grep -E 'level=err|AddressSanitizer|runtime error' "$WORK/dbtls.log" |
		sed 's/^/bad /'
}

# One dbtls, one run of the peers.
run() { # TEXT DBTLS-SSL PEER-SSL CLIENT SERVER PEER-ARGUMENT...
	local text=$1 ours=$2 theirs=$3 client=$4 server=$5 line
	shift 5
	[[ " $* " == *" -v 1.2 "* ]] ||
		WRONG=$((WRONG + $(legs_of "$client" "$server")))
	dbtls_start "$ours"
	(with "$theirs" "$PEER" -c "$client" -s "$server" -p $PROXY \
		-l $SERVER -k "$WORK/peer.pem" "$@") 2>&1 |
		while read -r line; do
			case $line in
			"ok "*) ok "$text: ${line#ok }" ;;
			*) bad "$text: ${line#bad }" ;;
			esac
		done
	dbtls_stop
}

legs_of() { # CLIENT SERVER
	local n=0
	[ "$1" = plain ] || n=$((n + 1))
	[ "$2" = plain ] || n=$((n + 1))
	echo $n
}

# The sums of a whole run must be in the log as well.
in_log() { # TEXT WANTED
	local got
	got=$(grep -c "event=session.close .*ktls=$2" "$WORK/dbtls.log")
	if [ "$got" -gt 5 ]; then
		ok "$1: the log says ktls=$2 of $got sessions"
	else
		bad "$1: the log says ktls=$2 of $got sessions"
	fi
}

# --- Oracle ----------------------------------------------------------------
# Its server drops the TLS session that CONNECT has come in and wants another,
# on the same socket: which a kernel that has the first could not do.

oracle() {
	local legs client leg word many double
	: >"$WORK/tns.events"
	PYTHONDONTWRITEBYTECODE=1 python3 "$REAL/doubles/tns.py" \
		--port $SERVER --log "$WORK/tns.events" --tls-min 1.3 \
		--cert "$WORK/peer.pem" --key "$WORK/peer.pem" \
		--service again=resend8,accept \
		--service held=resend8,silence >"$WORK/tns.out" 2>&1 &
	double=$!
	await 20 grep -q '"ready"' "$WORK/tns.events" ||
		bad "Oracle: the double starts: $(tail -n 1 "$WORK/tns.out")"
	for legs in 'plain clear server 1' 'tls tls both 2'; do
		read -r client leg word many <<<"$legs"
		ENGINE=oracle config "$client" tls
		dbtls_start own
		oracle_held "$leg"
		oracle_again "$leg" "$word" "$many"
		dbtls_stop
	done
	kill "$double"
	wait "$double" 2>/dev/null
	if grep -q '"violation"' "$WORK/tns.events"; then
		bad "Oracle: $(grep -m 1 '"violation"' "$WORK/tns.events")"
	fi
}

raw() { # LEG SERVICE WHAT [ARGUMENT]...
	PYTHONDONTWRITEBYTECODE=1 exec timeout 30 python3 \
		"$REAL/clients/tns_raw.py" "$REAL/doubles" $PROXY "$@"
}

# In the second TLS session, and before ACCEPT.
oracle_held() { # LEG
	local before client
	before=$(stat_of TlsTxSw)
	: >"$WORK/tns.events"
	(raw "$1" held connect) >/dev/null 2>&1 &
	client=$!
	if await 20 grep -q '"step": "silence"' "$WORK/tns.events"; then
		same "Oracle, $1: legs that the kernel has before ACCEPT" \
			$(($(stat_of TlsTxSw) - before)) 0
	else
		bad "Oracle, $1: the second CONNECT: $(tail -n 1 \
			"$WORK/tns.events")"
	fi
	kill "$client"
	wait "$client" 2>/dev/null
}

oracle_again() { # LEG KTLS LEGS
	local sent received
	sent=$(stat_of TlsTxSw)
	received=$(stat_of TlsRxSw)
	same "Oracle, $1: bytes each way after RESEND and ACCEPT" \
		"$(raw "$1" again both 300000)" 'got 300000 sent 300000 same'
	await 10 grep -q 'event=session.close .*bytes_to_server=[0-9]\{6\}' \
		"$WORK/dbtls.log"
	same "Oracle, $1: the log" "$(grep event=session.close \
		"$WORK/dbtls.log" | tail -n 1 | grep -o "ktls=[a-z]*")" "ktls=$2"
	same "Oracle, $1: legs that were sealed by it" \
		$(($(stat_of TlsTxSw) - sent)) "$3"
	same "Oracle, $1: and opened" \
		$(($(stat_of TlsRxSw) - received)) "$3"
}

same() { # TEXT GOT WANTED
	if [ "$2" = "$3" ]; then
		ok "$1: $2"
	else
		bad "$1: got $2, wanted $3"
	fi
}

library_of() { # own|newer
	dbtls_start "$1"
	dbtls_stop
	grep -oE 'openssl="[^"]*"' "$WORK/dbtls.log"
}

config plain tls
echo "tls_stat at first:"
cat /proc/net/tls_stat
echo "Linux $(uname -r); own $(library_of own), newer $(library_of newer)"
"$DBTLS" check -c "$WORK/dbtls.conf" | grep 'kernel TLS'

# Each path, with each OpenSSL on each side.
for legs in 'plain tls server' 'tls tls both' 'tls plain client'; do
	read -r client server word <<<"$legs"
	config "$client" "$server"
	for libraries in 'own own' 'own newer' 'newer own' 'newer newer'; do
		read -r ours theirs <<<"$libraries"
		bulk=$BRIEF
		[ "$libraries" != 'own own' ] || bulk=$BULK
		run "OpenSSL $ours, peers' $theirs" "$ours" "$theirs" \
			"$client" "$server" \
			-n "$(legs_of "$client" "$server")" -m $bulk
		in_log "OpenSSL $ours, peers' $theirs" "$word"
	done
done

# Each suite; and new keys of our own.
for suite in TLS_AES_128_GCM_SHA256 TLS_CHACHA20_POLY1305_SHA256; do
	config tls tls "ciphersuites = \"$suite\";"
	run "$suite" own own tls tls -n 2 -m $BRIEF -u $suite
done
config tls tls '' 'rekey_records = 100;'
run "a key for 100 records" own own tls tls -n 2 -m $BULK -r

# Where TLS is asked for, and the session has been followed before it is handed
# over.
for legs in 'plain tls server' 'tls tls both' 'tls plain client'; do
	read -r client server word <<<"$legs"
	ENGINE=postgres config "$client" "$server"
	run "PostgreSQL" own own "$client" "$server" \
		-n "$(legs_of "$client" "$server")" -m $BRIEF -a
	in_log "PostgreSQL" "$word"
done
oracle

# What the kernel is not given goes on in dbtls.
config tls tls 'max = "1.2";'
run "TLS 1.2 stays in dbtls" own own tls tls -n 0 -m $BRIEF -v 1.2

# Every leg was both sealed and opened by the kernel, none is left, and of the
# records that could not be opened each was one of the peers' wrong ones.
echo "tls_stat at the end:"
cat /proc/net/tls_stat
stat_is() { # NAME NUMBER [least]
	local is
	is=$(stat_of "$1")
	if [ "$is" = "$2" ] || { [ -n "${3:-}" ] && [ "$is" -gt "$2" ]; }; then
		ok "tls_stat: $1 is $is"
	else
		bad "tls_stat: $1 is $is, wanted ${3:-} $2"
	fi
}
stat_is TlsCurrTxSw 0
stat_is TlsCurrRxSw 0
stat_is TlsTxSw 200 least
stat_is TlsRxSw "$(stat_of TlsTxSw)"
stat_is TlsTxRekeyError 0
stat_is TlsRxRekeyError 0
stat_is TlsTxRekeyOk 100 least
stat_is TlsRxRekeyOk "$(stat_of TlsRxRekeyReceived)"
stat_is TlsDecryptError $WRONG
exit 0

#!/bin/bash
# ktls_inside.sh WORK DBTLS PEER NEWER - the part of ktls.sh that runs on a
# kernel with TLS: prints "ok TEXT" or "bad TEXT", and other lines to be shown.
# NEWER is a root with a newer OpenSSL, which comes with its own libc.
set -u
WORK=$1 DBTLS=$2 PEER=$3 NEWER=$4
readonly WORK DBTLS PEER NEWER
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
		endpoints = ( { name = "in"; engine = "tls";
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

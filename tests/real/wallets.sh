#!/bin/bash
# wallets.sh - Oracle wallets of every kind, as `ca`, as identity and for the
# client leg before a real PostgreSQL; `dbtls cert` with the openssl program
# as a second opinion; and the procedure by which a server of 2010 was reached
# with orapki, without it: TLS 1.0, AES256-SHA, an RSA key of 1024 bits, a
# certificate of version 1.
. "$(dirname "$0")/lib.sh"

readonly PASSWORD=horse-battery
readonly KINDS='made sso des local p12 old-p12 rc2 pem'

exits() { # TEXT STATUS REGEX COMMAND...
	local text=$1 want=$2 regex=$3 out code
	shift 3
	out=$("$@" 2>&1 </dev/null)
	code=$?
	if [ "$code" = "$want" ] && [[ $out =~ $regex ]]; then
		pass "$text: status $code"
	else
		fail "$text" "status $code, wanted $want and $regex: $out"
	fi
}

cert() { "$DBTLS" cert "$@"; }

# --- wallets ---------------------------------------------------------------

# What is in one: the root of servers, that of clients, or somebody's
# certificate with its key and, in $WORK/HAS.more, what else there is.  The
# server's is by a CA in the middle, and trusts the clients' root besides.
readonly HAS='trust clients client server'
declare -Ar OWN=([client]=client [server]=inter-leaf) \
	ROOT=([trust]=ca [clients]=clients)

p12() { # FILE PASSWORD HAS [OPTION]...
	local what=(-nokeys -in "$PKI/${ROOT[$3]:-}.crt") own=${OWN[$3]:-}
	[ -z "$own" ] || what=(-inkey "$PKI/$own.key" -in "$PKI/$own.crt"
		-certfile "$WORK/$3.more")
	PW=$2 openssl pkcs12 -export "${what[@]}" -passout env:PW \
		-out "$1" "${@:4}"
}

readonly LIKE_ORAPKI=(-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES
	-macalg sha1 -iter 10000)

sso() { # FILE HAS SEAL [HOST USER]
	python3 "$REAL/wallet_head.py" "${@:3}" >"$1" 2>"$WORK/word" &&
		p12 "$WORK/inside.p12" "$(cat "$WORK/word")" "$2" \
			"${LIKE_ORAPKI[@]}" &&
		cat "$WORK/inside.p12" >>"$1"
}

# Where a wallet of KIND is.
path() { # KIND HAS
	local folder=$WORK/wallet/$1-$2
	case $1 in
	made) echo "$folder" ;; # the folder is named, not the file
	sso | des | local) echo "$folder/cwallet.sso" ;;
	p12 | old-p12 | rc2) echo "$folder/ewallet.p12" ;;
	pem) echo "$folder/ewallet.pem" ;;
	esac
}

wallet_make() { # KIND HAS
	local at what own=${OWN[$2]:-}
	at=$(path "$1" "$2")
	mkdir -p "$WORK/wallet/$1-$2"
	case $1 in
	made)
		what=(--ca "$PKI/${ROOT[$2]:-clients}.crt")
		[ -z "$own" ] || what+=(--cert "$PKI/$own.chain.pem"
			--key "$PKI/$own.key")
		cert wallet "${what[@]}" --out "$at"
		;;
	sso) sso "$at" "$2" aes ;;
	des) sso "$at" "$2" des ;;
	local) sso "$at" "$2" aes ora1 oracle ;;
	p12) p12 "$at" "$PASSWORD" "$2" ;;
	old-p12) p12 "$at" "$PASSWORD" "$2" "${LIKE_ORAPKI[@]}" ;;
	rc2) p12 "$at" "$PASSWORD" "$2" -legacy ;;
	pem)
		if [ -z "$own" ]; then
			cat "$PKI/${ROOT[$2]}.crt"
		else
			openssl pkcs8 -topk8 -in "$PKI/$own.key" \
				-passout "pass:$PASSWORD"
			cat "$PKI/$own.crt" "$WORK/$2.more"
		fi >"$at"
		;;
	esac
}

access() { # KIND: the settings that open it
	case $1 in
	p12 | old-p12 | rc2 | pem)
		echo "wallet_password_file = \"$WORK/password\";"
		;;
	local) echo 'wallet_host = "ora1.example.com"; wallet_user = "oracle";' ;;
	esac
}

options() { # KIND: the same for the command, in $OPTIONS
	OPTIONS=()
	case $1 in
	p12 | old-p12 | rc2 | pem) OPTIONS=(--password-file "$WORK/password") ;;
	local) OPTIONS=(--wallet-host ora1 --wallet-user oracle) ;;
	esac
}

# --- sessions --------------------------------------------------------------

declare -A port=()

query() { # ENDPOINT USER
	psql 15 "host=127.0.0.1 port=${port[$1]} user=$2 dbname=app \
sslmode=disable" -c "SELECT current_user, ssl, client_dn FROM pg_stat_ssl
	WHERE pid = pg_backend_pid()"
}

add() { # NAME SETTINGS [plain|secret]
	port_new "port[$1]" "${3:-plain}"
	endpoint "$1" "${port[$1]}" "127.0.0.1:$server" verify-full \
		"server_name = \"db.test\"; $2"
}

# The client leg's certificate out of one wallet, its anchors out of another.
add_front() { # NAME KIND HAS-ANCHORS
	add "$1" "ca = [ \"$PKI/ca.crt\" ]; client_tls = {
		mode = \"require\"; cert = \"$(path "$2" server)\";
		ca = [ \"$(path "$2" "$3")\" ]; verify = \"require\"; };
		$(access "$2")" secret
}

add_endpoints() {
	local kind
	for kind in $KINDS; do
		add "$kind.ca" "ca = [ \"$(path "$kind" trust)\" ];
			$(access "$kind")"
		add "$kind.identity" "ca = [ \"$PKI/ca.crt\" ];
			identity = { cert = \"$(path "$kind" client)\"; };
			$(access "$kind")"
	done
	for kind in $KINDS; do
		add_front "$kind.front" "$kind" clients
		# One that has both, as a server's usually does.
		add_front "$kind.one" "$kind" server
	done
	# A client's wallet trusts whom it has, and that is not this server.
	add other.ca "ca = [ \"$(path sso client)\" ];"
	add own.password "ca = [ \"$PKI/ca.crt\" ]; identity = {
		cert = \"$(path p12 client)\";
		password_file = \"$WORK/password\"; };
		wallet_password_file = \"/nowhere\";"
}

sessions() {
	local kind
	port_new server secret
	pg_data server 15
	pg_certificate server good clients
	pg_start server "$server" || return
	add_endpoints
	dbtls_run proxy || return
	for kind in $KINDS; do
		check "$kind as ca: verified" '^trusted\|t\|$' \
			query "$kind.ca" trusted
		check "$kind as identity: who it says" '^cert\|t\|/CN=client$' \
			query "$kind.identity" cert
	done
	check "a wallet that trusts others" 'ours|untrusted|does not trust|CN=ca' \
		query other.ca trusted
	check "and the log says why" '^untrusted$' \
		dbtls_value proxy session.refused other.ca reason
	for kind in $KINDS; do
		fronts "$kind"
	done
	check "identity.password_file wins" '^cert\|t\|/CN=client$' \
		query own.password cert
	stop proxy
}

# The client has the root alone: what is between comes out of the wallet.
front() { # ENDPOINT [CERTIFICATE]
	local mine="sslcert=/nonexistent sslkey=/nonexistent"
	[ -z "${2:-}" ] || mine="sslcert=$PKI/$2.crt sslkey=$PKI/$2.key"
	psql 15 "host=db.test hostaddr=127.0.0.1 port=${port[$1]} dbname=app \
user=trusted sslmode=verify-full sslrootcert=$PKI/ca.crt $mine" \
		-c "SELECT current_user, ssl FROM pg_stat_ssl
			WHERE pid = pg_backend_pid()"
}

# Whose certificates a client is sent, the leaf's first.
sent() { # ENDPOINT
	openssl s_client -connect "127.0.0.1:${port[$1]}" -starttls postgres \
		-showcerts </dev/null 2>/dev/null |
		sed -n 's/^ *[0-9] s:.*CN = //p'
}

fronts() { # KIND
	local name
	for name in "$1.front" "$1.one"; do
		check "$name: the chain is verified, and so is the client's" \
			'^trusted\|t$' front "$name" client
		check "$name: a client of another CA" 'alert unknown ca' \
			front "$name" client-bad
		check "$name: and the log says why" '^client_certificate .*ca2' \
			refused_for "$name"
	done
	check "$1.front: a client without a certificate" \
		'alert certificate required' front "$1.front"
	check "$1.one: the anchors in it are not shown" \
		'^inter-leaf inter$' sent "$1.one"
}
refused_for() { # ENDPOINT
	dbtls_value proxy session.refused "$1" reason
	dbtls_value proxy session.refused "$1" detail
}

# --- what is refused, with file, line and setting --------------------------

check_one() { # SETTINGS
	cat >"$WORK/one.conf" <<-CONF
		endpoints = ( { name = "one"; engine = "postgres";
		listen = "127.0.0.1:1"; server = "127.0.0.1:2";
		$1 } );
	CONF
	"$DBTLS" check -c "$WORK/one.conf"
}

refusals() {
	local client at
	client=$(path sso client)
	exits "a password that is wrong" 2 \
		"one.conf:3: .*ca.*ewallet.p12: does not open with the password" \
		check_one "ca = \"$(path p12 trust)\";
			wallet_password_file = \"$PKI/wrong.password\";"
	exits "a password that is missing" 2 \
		'one.conf:3: .*ca.*ewallet.p12: needs a password' \
		check_one "ca = \"$(path p12 trust)\";"
	exits "of another host" 2 'made on another host or by another user' \
		check_one "ca = \"$(path 'local' trust)\";
			wallet_host = \"ora2\"; wallet_user = \"oracle\";"
	exits "RC2 without the legacy provider" 1 \
		'RC2-CBC, which OpenSSL has only in its legacy provider' \
		env OPENSSL_MODULES=/nonexistent "$DBTLS" cert show \
		"$(path rc2 trust)" --password-file "$WORK/password"
	exits "DES without the legacy provider" 0 'header: sealed with DES' \
		env OPENSSL_MODULES=/nonexistent "$DBTLS" cert show \
		"$(path des client)"
	exits "no key in an identity" 2 'identity.cert.*has no private key' \
		check_one "ca = \"$PKI/ca.crt\";
			identity = { cert = \"$(path sso trust)\"; };"
	exits "a key beside a wallet" 2 'identity.*has its key inside' \
		check_one "ca = \"$PKI/ca.crt\"; identity = {
			cert = \"$client\"; key = \"$PKI/client.key\"; };"
	exits "no key in client_tls.cert" 2 \
		'one.conf:4: .*client_tls.cert.*has no private key' \
		check_one "ca = \"$PKI/ca.crt\"; client_tls = {
			mode = \"require\"; cert = \"$(path sso clients)\"; };"
	exits "client_tls.key beside a wallet" 2 \
		'client_tls.*has its key inside' \
		check_one "ca = \"$PKI/ca.crt\"; client_tls = {
			mode = \"require\"; cert = \"$(path sso server)\";
			key = \"$PKI/inter-leaf.key\"; };"
	exits "a password of client_tls.ca that is missing" 2 \
		'client_tls.ca.*ewallet.p12: needs a password' \
		check_one "ca = \"$PKI/ca.crt\"; client_tls = {
			mode = \"require\"; verify = \"require\";
			cert = \"$(path sso server)\";
			ca = \"$(path p12 clients)\"; };"
	exits "words that open nothing" 2 'wallet_user.*has no effect' \
		check_one "ssl_mode = \"require\"; wallet_user = \"oracle\";"
	at=$WORK/open.sso
	install -m 644 "$client" "$at"
	exits "a key that others may read" 2 'open.sso: holds a secret.*0644' \
		check_one "ca = \"$at\";"
	head -c 500 "$client" >"$at"
	exits "cut" 2 'open.sso: the PKCS#12 in it cannot be read' \
		check_one "ca = \"$at\";"
	printf '\xa1\xf8\x4e6\0\0\0\5' | dd of="$at" conv=notrunc 2>/dev/null
	exits "version 5" 2 'open.sso: .*its version is 5, of Oracle 10g' \
		check_one "ca = \"$at\";"
	exits "a folder without one" 2 'is a folder without a wallet' \
		check_one "ca = \"$WORK/empty\";"
}

# --- dbtls cert ------------------------------------------------------------

is_json() { "$@" | python3 -m json.tool; }

shows() {
	local kind
	for kind in $KINDS; do
		options "$kind"
		check "$kind: what is in it" "private key: EC .*of certificate \
0.*CN=client.*CN=clients" \
			cert show "$(path "$kind" client)" "${OPTIONS[@]}"
		check_ok "$kind: as JSON" is_json cert show \
			"$(path "$kind" client)" "${OPTIONS[@]}" --json
	done
	check "never the key" '^0$' eval "cert show '$(path sso client)' |
		grep -c PRIVATE"
}


key_digest() { openssl pkey -in "$1" -pubout | sha256sum; }

from_hex() { # as printf %b has it
	local hex=$1
	while [ -n "$hex" ]; do
		printf '\\x%s' "${hex:0:2}"
		hex=${hex:2}
	done
}

# The password of a header of kind AES, found by openssl, into $PW.
read_head() { # FILE
	local hex
	hex=$(head -c 45 "$1" | od -An -v -tx1 | tr -d ' \n')
	check "the header as Oracle's" \
		'^a1f84e36000000060000002106$' printf %s "${hex:0:26}"
	hex=$(printf %b "$(from_hex "${hex:58:32}")" |
		openssl enc -d -aes-128-cbc -nopad -K "${hex:26:32}" \
			-iv c034d8311c02cef851f0144b81ed4bf2 |
		od -An -v -tx1 | tr -d ' \n')
	printf -v PW %b "$(from_hex "$hex")"
	export PW
}

round_trip() {
	local from=$WORK/trip back=$WORK/back
	mkdir "$from" "$back"
	check_ok "trip: PEM to a wallet" cert wallet --ca "$PKI/ca.crt" \
		--cert "$PKI/inter-leaf.chain.pem" \
		--key "$PKI/inter-leaf.key" --out "$from"
	check_same "trip: of mode" "$(stat -c %a "$from/cwallet.sso")" 600
	exits "trip: not twice" 1 'is there already' cert wallet --ca \
		"$PKI/ca.crt" --out "$from"
	read_head "$from/cwallet.sso"
	tail -c +46 "$from/cwallet.sso" >"$WORK/trip.p12"
	check_ok "trip: OpenSSL opens what is inside" openssl pkcs12 \
		-in "$WORK/trip.p12" -passin env:PW -nodes -out "$WORK/trip.all"
	unset PW
	check_same "trip: and finds certificates" \
		"$(grep -c BEGIN.CERT "$WORK/trip.all")" 3
	check_ok "trip: the wallet to PEM" cert export "$from" \
		--out "$WORK/trip.pem" --key-out "$WORK/trip.key"
	check_same "trip: the key's mode" "$(stat -c %a "$WORK/trip.key")" 600
	check_same "trip: the same key" \
		"$(key_digest "$WORK/trip.key")" \
		"$(key_digest "$PKI/inter-leaf.key")"
	check_ok "trip: the leaf first, with its chain" openssl verify \
		-CAfile "$PKI/ca.crt" -untrusted "$WORK/trip.pem" \
		"$WORK/trip.pem"
	check_ok "trip: PEM to a wallet again" cert wallet --ca \
		"$PKI/ca.crt" --cert "$WORK/trip.pem" --key "$WORK/trip.key" \
		--out "$back/again.sso"
	check_same "trip: with the same in it" \
		"$(cert show "$back/again.sso" | tail -n +2 | sha256sum)" \
		"$(cert show "$from" | tail -n +2 | sha256sum)"
	exits "export: not over a file" 1 'is there already' cert export \
		"$from" --out "$WORK/trip.pem"
	check_ok "export: unless it must" cert export "$from" \
		--out "$WORK/trip.pem" --force
	exits "export: no key where there is none" 1 'has no private key' \
		cert export "$(path sso trust)" --key-out "$WORK/none.key"
	exits "export: never to standard output" 2 'to a file only' \
		cert export "$from" --key-out -
	exits "export: the key is not replaced by another name of its" 1 \
		'is the file that the key was written to' cert export "$from" \
		--out "$WORK/trip.key" --key-out "$WORK/./trip.key" --force
	check "export: and is still one" '^1$' grep -c 'BEGIN PRIVATE' \
		"$WORK/trip.key"
	exits "verify: against a wallet under a password" 0 'CN=ca' \
		"$DBTLS" verify --ssl-mode verify-ca --ca "$(path p12 trust)" \
		--password-file "$WORK/password" "$PKI/good.crt"
	exits "wallet: a key of another" 1 'does not belong' cert wallet \
		--cert "$PKI/good.crt" --key "$PKI/client.key" \
		--out "$WORK/none.sso"
	exits "show: no such file" 2 'No such file' cert show "$WORK/none.sso"
}

# --- a server of 2010 ------------------------------------------------------
# As the cloud's guide has it: a self-signed certificate in the server's wallet,
# exported, and added as trusted to a wallet for the client.

old_server() {
	openssl req -new -newkey rsa:1024 -nodes -keyout "$WORK/old.key" \
		-subj /CN=ora2010 -out "$WORK/old.csr" 2>/dev/null
	openssl x509 -req -in "$WORK/old.csr" -signkey "$WORK/old.key" \
		-days 3650 -sha1 -out "$WORK/old.crt" 2>/dev/null
	port_new old secret
	start old openssl s_server -accept "127.0.0.1:$old" -rev -quiet \
		-cert "$WORK/old.crt" -key "$WORK/old.key" -tls1 \
		-cipher AES256-SHA@SECLEVEL=0
	await 10 port_open "$old"
}

old_config() { # NAME [SETTINGS]
	port_new "port[$1]" plain
	ENGINE=tls endpoint "$1" "${port[$1]}" "127.0.0.1:$old" verify-ca \
		"ca = [ \"$WORK/oracle\" ]; ${2:-}"
	dbtls_config "$WORK/$1.conf"
	endpoints=()
}

echoed() { # PORT: what a server answers that turns lines round
	exec 3<>"/dev/tcp/127.0.0.1/$1"
	printf '%s\n' "$CANARY" >&3
	timeout 10 head -n 1 <&3
}

owners_procedure() {
	local lines='tls = { min = "1.0"; seclevel = 0; };'
	old_server || return
	check "old: its certificate is of version 1, its key of 1024 bits" \
		'Version: 1 .*1024 bit' openssl x509 -in "$WORK/old.crt" \
		-noout -text
	mkdir "$WORK/oracle"
	exits "old: its certificate into a wallet" 0 '1 certificate' \
		cert wallet --ca "$WORK/old.crt" --out "$WORK/oracle"
	exits "old: which shows it" 0 'none.*CN=ora2010.*RSA 1024' \
		cert show "$WORK/oracle"
	old_config strict
	exits "old: refused as it is, and how to admit it" 1 \
		'tls = \{ min = "1.0"; seclevel = 0; \};.*refused +weak' \
		"$DBTLS" test strict -c "$WORK/strict.conf"
	old_config admitted "$lines"
	check "old: check marks it" 'LEGACY' \
		"$DBTLS" check -c "$WORK/admitted.conf"
	exits "old: then it is verified" 0 \
		'handshake +ok +TLSv1, AES256-SHA.*chain +ok' \
		"$DBTLS" test admitted -c "$WORK/admitted.conf"
	dbtls_again admitted || return
	check "old: and a session gets through" \
		"^$(rev <<<"$CANARY")\$" echoed "${port[admitted]}"
	check "old: as the log has it" '^ca$' \
		dbtls_value admitted session.open admitted verified
	check "old: with" '^TLSv1$' \
		dbtls_value admitted session.open admitted tls
	stop admitted
	stop old
}

theme_begin wallets
umask 077
certs_make
echo "$PASSWORD" >"$WORK/password"
mkdir "$WORK/empty"
cp "$PKI/clients.crt" "$WORK/client.more"
cat "$PKI/clients.crt" "$PKI/inter.crt" >"$WORK/server.more"
for kind in $KINDS; do
	for what in $HAS; do
		check_ok "made: $kind $what" wallet_make "$kind" "$what"
	done
done
wire_begin
if pg_have 15; then
	sessions
else
	skip "sessions" "bookworm's packages cannot be had"
fi
refusals
shows
round_trip
owners_procedure
wire_end
theme_end

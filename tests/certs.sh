#!/bin/bash
# Makes the certificates that unit, loop and real tests use, good ones and one
# for every way in which a certificate can be wrong.
#
# usage: certs.sh FOLDER
#
# Fast (ECDSA P-256 unless it says otherwise), and done once: a folder that
# this very script has filled before is left alone.  Several may ask at once.
#
# Every certificate NAME is in NAME.crt (itself alone), NAME.key (mode 0600) and
# NAME.chain.pem (what a well-installed server sends: itself, then the CAs in
# the middle, no root).  "asked" below means: the client wants db.test.
#
# CAs, all of them CN=NAME
#   ca          the root that tests trust
#   ca2         another root, which nobody trusts
#   fake        a root with the name of ca and another key
#   inter       by ca
#   inter2      by ca, revoked by it              oldinter  by ca, expired
#   nc          by ca, may issue for allowed.test and 10.0.0.0/8 only
#   ncip        by ca, may issue for 127.0.0.0/8 only, says nothing of names
#   short       by ca, pathlen 0; deep is a CA by it, all the same
#   plain       a root without keyUsage
#   old         a root that has expired
#   clients     a root for client certificates
#
# Right for db.test
#   good        SAN db.test, by ca                upper     SAN DB.TEST
#   many        SAN a.test, b.test, db.test, *.c.test
#   wildcard    SAN *.test                        inter-leaf  by inter
#   cn          no SAN, CN=db.test                cn-ip-san CN=db.test, SAN IP
#   ed25519  p384  rsa (2048)  rsapss (2048, PSS key)       by their names
#   noeku       no extendedKeyUsage               v1        version 1, CN=db.test
#   plain-leaf  by plain                          old-leaf  by old, in date
#   dn          SAN db.test, subject C=DE, O=Example, Inc., OU=a+OU=b, CN=Orders
#   nc-good     by nc, SAN x.allowed.test (asked for that name)
#
# Names that are wrong, or right for something else only
#   other       SAN other.test                    cn-san-wrong CN=db.test,
#   wildcard-deep     SAN *.db.test                         SAN other.test
#   wildcard-partial  SAN d*.test                 wildcard-bare SAN *
#   dot         SAN db.test. (with the dot)       noname    no SAN, no CN
#   nul         SAN db.test\0.evil.test           nul-cn    CN=db.test\0.evil.test
#   ip          SAN 127.0.0.1, ::1                ip-cn     no SAN, CN=127.0.0.1
#   ip-cn-dns   CN=127.0.0.1, SAN db.test         ip-dns    SAN DNS:127.0.0.1
#
# Wrong
#   expired  notyet       selfsigned (SAN db.test)          revoked
#   unknown     by ca2                            impostor  by fake
#   eku         for clients only                  weak      RSA 1024
#   sha1        signed with SHA-1                 curve     secp256k1: no webpki
#   nc-san      by nc, SAN db.test                nc-cn     by nc, CN=db.test
#   nc-ip-cn    by nc, CN=127.0.0.1               ncip-cn   by ncip, the same
#   notca       issued by good
#   critical    an unknown critical extension     deep-leaf by deep: pathlen
#   inter2-leaf by inter2                         oldinter-leaf  by oldinter
#
# Others
#   proxy       SAN localhost, proxy.test, 127.0.0.1, ::1: for client legs
#   client      CN=client, by clients, for clients only
#   client-bad  CN=client, by ca2
#
# CRLs
#   crl.pem         of ca, inter and inter2: all that a chain to ca needs
#   crl-ca.pem      of ca alone                   crl-inter.pem  of inter
#   crl-inter2.pem  of inter2                     crl-fake.pem   of fake
#   crl-nc.pem      of nc                         crl-ca.der     in DER
#   crl-expired.pem of ca and inter, out of date
#
# Files in other shapes
#   bundle.pem  ca2, ca (twice), inter, with text around, bag attributes, CRLF
#   indented.pem  cut.pem (no END)  garbled.pem (base64 spoilt)  empty.pem
#   withkey.pem ca and a private key              ca.der, good.der
#   good.enc.key, good.enc.old.key  the key of good, encrypted (PKCS #8 and the
#               traditional way); the password is in good.password, and
#               wrong.password holds another
#   good.key.der, good.enc.key.der  PKCS #8 in DER
#   good.pem    key, chain and leaf of inter-leaf in one file, in no order
set -eu
export LC_ALL=C
unset OPENSSL_CONF SSL_CERT_FILE SSL_CERT_DIR

if [ $# -ne 1 ]; then
	echo "usage: $0 FOLDER" >&2
	exit 2
fi
script=$(sha256sum <"$0")
mkdir -p "$1"
cd "$1"
exec 9>.lock
flock 9
if [ -e .stamp ] && [ "$(cat .stamp)" = "$script" ]; then
	exit 0
fi
rm -f .stamp
umask 077

SINCE=20200101000000Z
UNTIL=20450101000000Z
PAST=20210101000000Z
FUTURE=20440101000000Z

# What a caller may set for one certificate: `KEY=rsa:2048 leaf ...`.
KEY=ec:P-256
EKU=serverAuth
MD=sha256
FROM=$SINCE
TO=$UNTIL

# The database of one CA, which `openssl ca` keeps revocations in.
ca_database() { # CA
	mkdir -p ".db/$1"
	: >".db/$1/index"
	echo 1000 >".db/$1/serial"
	echo 01 >".db/$1/crlnumber"
	cat >".db/$1/conf" <<-END
		[ca]
		default_ca = this
		[this]
		database = .db/$1/index
		serial = .db/$1/serial
		crlnumber = .db/$1/crlnumber
		new_certs_dir = .db/$1
		certificate = $1.crt
		private_key = $1.key
		default_md = sha256
		policy = any
		preserve = yes
		unique_subject = no
		crl_extensions = crl
		[crl]
		authorityKeyIdentifier = keyid
		[any]
		countryName = optional
		organizationName = optional
		organizationalUnitName = optional
		commonName = optional
		[req]
		distinguished_name = any_name
		[any_name]
	END
}

# A key of $KEY, and the request for a certificate with it.
request() { # NAME SUBJECT
	local kind=${KEY%%:*} size=${KEY#*:}
	local -a how
	case $kind in
	ec) how=(-newkey ec -pkeyopt "ec_paramgen_curve:$size") ;;
	rsa) how=(-newkey "rsa:$size") ;;
	rsa-pss) how=(-newkey rsa-pss -pkeyopt "rsa_keygen_bits:$size") ;;
	*) how=(-newkey "$kind") ;;
	esac
	openssl req -config .db/ca/conf -new -utf8 -batch "${how[@]}" -nodes \
		-keyout "$1.key" -out "$1.csr" -subj "$2" 2>.log
}

# A certificate by CA, exactly with these extensions.
issue() { # CA NAME SUBJECT EXTENSION...
	local ca=$1 name=$2 subject=$3
	shift 3
	request "$name" "$subject"
	printf '%s\n' "$@" >.ext
	openssl ca -config ".db/$ca/conf" -batch -notext -md "$MD" \
		-startdate "$FROM" -enddate "$TO" -extfile .ext \
		-in "$name.csr" -out "$name.crt" 2>.log
	rm "$name.csr"
	cp "$name.crt" "$name.chain.pem"
	if [ -e "$ca.chain.pem" ]; then
		cat "$ca.chain.pem" >>"$name.chain.pem"
	fi
}

# By ca and without its database, which flattens RDNs and adds extensions.
issue_plainly() { # NAME SERIAL OPTION...
	local name=$1 serial=$2
	shift 2
	openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -days 7000 \
		-set_serial "$serial" -out "$name.crt" "$@" 2>.log
	rm "$name.csr"
	cp "$name.crt" "$name.chain.pem"
}

# One for a server, unless $EKU says otherwise.
leaf() { # CA NAME SUBJECT EXTENSION...
	local ca=$1 name=$2 subject=$3
	shift 3
	issue "$ca" "$name" "$subject" basicConstraints=CA:FALSE \
		keyUsage=critical,digitalSignature \
		${EKU:+"extendedKeyUsage=$EKU"} subjectKeyIdentifier=hash \
		authorityKeyIdentifier=keyid "$@"
}

middle() { # CA NAME EXTENSION...
	local ca=$1 name=$2
	shift 2
	ca_database "$name"
	issue "$ca" "$name" "/O=dbtls test/CN=$name" \
		keyUsage=critical,keyCertSign,cRLSign \
		subjectKeyIdentifier=hash authorityKeyIdentifier=keyid "$@"
}

# A root has no NAME.chain.pem: servers do not send it.
root() { # NAME SUBJECT EXTENSION...
	local name=$1 subject=$2
	shift 2
	ca_database "$name"
	request "$name" "$subject"
	printf '%s\n' basicConstraints=critical,CA:TRUE \
		subjectKeyIdentifier=hash "$@" >.ext
	openssl ca -config ".db/$name/conf" -selfsign -batch -notext -md sha256 \
		-startdate "$FROM" -enddate "$TO" -extfile .ext \
		-in "$name.csr" -out "$name.crt" 2>.log
	rm "$name.csr"
}

make_cas() {
	local usage=keyUsage=critical,keyCertSign,cRLSign
	root ca "/O=dbtls test/CN=ca" $usage
	root ca2 "/O=dbtls test/CN=ca2" $usage
	root fake "/O=dbtls test/CN=ca" $usage
	root plain "/O=dbtls test/CN=plain"
	TO=$PAST root old "/O=dbtls test/CN=old" $usage
	root clients "/O=dbtls test/CN=clients" $usage
	middle ca inter basicConstraints=critical,CA:TRUE
	middle ca inter2 basicConstraints=critical,CA:TRUE
	TO=$PAST middle ca oldinter basicConstraints=critical,CA:TRUE
	middle ca nc basicConstraints=critical,CA:TRUE \
		"nameConstraints=critical,permitted;DNS:allowed.test,$(
		)permitted;IP:10.0.0.0/255.0.0.0"
	middle ca ncip basicConstraints=critical,CA:TRUE \
		"nameConstraints=critical,permitted;IP:127.0.0.0/255.0.0.0"
	middle ca short basicConstraints=critical,CA:TRUE,pathlen:0
	middle short deep basicConstraints=critical,CA:TRUE
}

make_right() {
	local san=subjectAltName=DNS:db.test
	leaf ca good /CN=good $san
	leaf ca upper /CN=upper subjectAltName=DNS:DB.TEST
	leaf ca many /CN=many \
		subjectAltName=DNS:a.test,DNS:b.test,DNS:db.test,DNS:*.c.test
	leaf ca wildcard /CN=wildcard subjectAltName=DNS:*.test
	leaf inter inter-leaf /CN=inter-leaf $san
	leaf ca cn /CN=db.test
	leaf ca cn-ip-san /CN=db.test subjectAltName=IP:127.0.0.1
	KEY=ed25519 leaf ca ed25519 /CN=ed25519 $san
	KEY=ec:P-384 leaf ca p384 /CN=p384 $san
	KEY=rsa:2048 leaf ca rsa /CN=rsa $san
	KEY=rsa-pss:2048 leaf ca rsapss /CN=rsapss $san
	EKU='' leaf ca noeku /CN=noeku $san
	leaf plain plain-leaf /CN=plain-leaf $san
	leaf old old-leaf /CN=old-leaf $san
	request dn '/C=DE/O=Example, Inc./OU=a+OU=b/CN=Orders'
	issue_plainly dn 4098 -extfile <(echo $san)
	leaf nc nc-good /CN=nc-good subjectAltName=DNS:x.allowed.test
	leaf ca proxy /CN=proxy \
		subjectAltName=DNS:localhost,DNS:proxy.test,IP:127.0.0.1,IP:::1
	request v1 /CN=db.test
	issue_plainly v1 4096
}

# A subjectAltName with bytes that the command line will not take.
san_of_bytes() { # HEX
	local length=$((${#1} / 2))
	printf 'subjectAltName=DER:30%02x82%02x%s' $((length + 2)) $length "$1"
}

make_wrong_names() {
	local nul
	leaf ca other /CN=other subjectAltName=DNS:other.test
	leaf ca cn-san-wrong /CN=db.test subjectAltName=DNS:other.test
	leaf ca wildcard-deep /CN=wildcard-deep subjectAltName=DNS:*.db.test
	leaf ca wildcard-partial /CN=wildcard-partial subjectAltName=DNS:d*.test
	leaf ca wildcard-bare /CN=wildcard-bare subjectAltName=DNS:*
	leaf ca dot /CN=dot subjectAltName=DNS:db.test.
	leaf ca noname "/O=dbtls test"
	nul=$(printf 'db.test\0.evil.test' | od -An -v -tx1 | tr -d ' \n')
	leaf ca nul /CN=nul "$(san_of_bytes "$nul")"
	leaf ca ip /CN=ip subjectAltName=IP:127.0.0.1,IP:::1
	leaf ca ip-cn /CN=127.0.0.1
	leaf ca ip-cn-dns /CN=127.0.0.1 subjectAltName=DNS:db.test
	leaf ca ip-dns /CN=ip-dns subjectAltName=DNS:127.0.0.1
}

# DER of TAG around what it reads; between 128 and 65535 bytes, or fewer.
der_wrap() { # TAG
	local hex length
	hex=$(od -An -v -tx1 | tr -d ' \n')
	length=$(printf '%04x' $((${#hex} / 2)))
	if [ ${#hex} -lt 256 ]; then
		hex=$1${length#??}$hex
	else
		hex=${1}82$length$hex
	fi
	# shellcheck disable=SC2001 # each pair of digits, which only sed can do
	printf %b "$(sed 's/../\\x&/g' <<<"$hex")"
}

# The command line takes no NUL: it is put where a '#' was, and what was
# changed is signed by hand.
make_nul_cn() {
	local ecdsa_sha256='\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02'
	leaf ca nul-cn "/CN=db.test#.evil.test"
	openssl asn1parse -in nul-cn.crt -strparse 4 -noout -out .der >.log
	sed -i 's/db\.test#/db.test\x00/' .der
	{
		cat .der
		printf %b "$ecdsa_sha256"
		{
			printf '\0'
			openssl dgst -sha256 -sign ca.key .der
		} | der_wrap 03
	} | der_wrap 30 | openssl x509 -inform DER -out nul-cn.crt
	cp nul-cn.crt nul-cn.chain.pem
}

make_wrong() {
	local san=subjectAltName=DNS:db.test
	TO=$PAST leaf ca expired /CN=expired $san
	FROM=$FUTURE leaf ca notyet /CN=notyet $san
	leaf ca revoked /CN=revoked $san
	leaf ca2 unknown /CN=unknown $san
	leaf fake impostor /CN=impostor $san
	EKU=clientAuth leaf ca eku /CN=eku $san
	KEY=rsa:1024 leaf ca weak /CN=weak $san
	MD=sha1 leaf ca sha1 /CN=sha1 $san
	KEY=ec:secp256k1 leaf ca curve /CN=curve $san
	leaf nc nc-san /CN=nc-san $san
	leaf nc nc-cn /CN=db.test
	leaf nc nc-ip-cn /CN=127.0.0.1
	leaf ncip ncip-cn /CN=127.0.0.1
	ca_database good
	leaf good notca /CN=notca $san
	leaf ca critical /CN=critical $san 1.2.3.4=critical,DER:0500
	leaf deep deep-leaf /CN=deep-leaf $san
	leaf inter2 inter2-leaf /CN=inter2-leaf $san
	leaf oldinter oldinter-leaf /CN=oldinter-leaf $san
	request selfsigned /CN=selfsigned
	printf '%s\n' $san extendedKeyUsage=serverAuth >.ext
	openssl x509 -req -in selfsigned.csr -key selfsigned.key -days 7000 \
		-extfile .ext -out selfsigned.crt 2>.log
	rm selfsigned.csr
	cp selfsigned.crt selfsigned.chain.pem
	EKU=clientAuth leaf clients client /CN=client
	EKU=clientAuth leaf ca2 client-bad /CN=client
}

crl() { # CA FILE LAST NEXT
	openssl ca -config ".db/$1/conf" -gencrl -md sha256 \
		-crl_lastupdate "$3" -crl_nextupdate "$4" -out "$2" 2>.log
}

make_crls() {
	local ca
	openssl ca -config .db/ca/conf -revoke revoked.crt 2>.log
	openssl ca -config .db/ca/conf -revoke inter2.crt 2>.log
	for ca in ca inter inter2 nc fake; do
		crl $ca crl-$ca.pem $SINCE $UNTIL
	done
	crl ca .crl-ca $SINCE $PAST
	crl inter .crl-inter $SINCE $PAST
	cat .crl-ca .crl-inter >crl-expired.pem
	cat crl-ca.pem crl-inter.pem crl-inter2.pem >crl.pem
	openssl crl -in crl-ca.pem -outform DER -out crl-ca.der
}

make_bundle() {
	{
		echo "# anchors of the test"
		openssl x509 -in ca2.crt -text
		printf 'Bag Attributes\n    friendlyName: ca\n'
		printf 'subject=CN = ca\nKey Attributes: <No Attributes>\n'
		sed 's/$/\r/' ca.crt
		cat inter.crt ca.crt
		echo "# the end"
	} >bundle.pem
}

make_shapes() {
	make_bundle
	sed 's/^/  /' ca.crt >indented.pem
	{ cat ca.crt; head -n -1 ca2.crt; } >cut.pem
	{ cat ca.crt; sed '3s/^..../!!!!/' ca2.crt; } >garbled.pem
	: >empty.pem
	cat ca.crt good.key >withkey.pem
	openssl x509 -in ca.crt -outform DER -out ca.der
	openssl x509 -in good.crt -outform DER -out good.der
	echo "correct horse" >good.password
	echo "battery staple" >wrong.password
	openssl pkcs8 -topk8 -in good.key -out good.enc.key \
		-passout file:good.password
	openssl ec -aes128 -in good.key -out good.enc.old.key \
		-passout file:good.password 2>.log
	openssl pkcs8 -topk8 -in good.key -outform DER -out good.enc.key.der \
		-passout file:good.password
	openssl pkcs8 -topk8 -nocrypt -in good.key -outform DER \
		-out good.key.der
	cat ca2.crt inter.crt inter-leaf.key inter-leaf.crt >good.pem
}

# What openssl says is worth reading only if it failed.
trap '[ -e .stamp ] || cat .log >&2' EXIT
make_cas
make_right
make_wrong_names
make_nul_cn
make_wrong
make_crls
make_shapes
rm -rf .ext .log .der .crl-ca .crl-inter
chmod a+r ./*.crt ./*.chain.pem ./crl* ./*.der bundle.pem
chmod go-r ./*.key.der
echo "$script" >.stamp

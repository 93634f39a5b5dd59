# shellcheck shell=bash
#
# pki.sh - the certificates of a theme, made on the spot
#
#	pki_make FOLDER
#
# makes in FOLDER, each as NAME.crt and NAME.key:
#	ca	and by it: server (localhost, db.test, 127.0.0.1),
#		client (CN=client)
#	front	another CA, for client legs, and by it: proxy (localhost,
#		127.0.0.1), user (CN=user)
# (tests/certs.sh makes the many that are wrong in some way.)

pki_key() { # FILE
	openssl genpkey -quiet -algorithm EC \
		-pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null ||
		openssl ecparam -name prime256v1 -genkey -noout -out "$1"
	chmod 600 "$1"
}

pki_ca() { # FOLDER NAME
	pki_key "$1/$2.key"
	openssl req -x509 -new -key "$1/$2.key" -out "$1/$2.crt" -days 30 \
		-subj "/CN=dbtls test $2" \
		-addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign,cRLSign
}

pki_leaf() { # FOLDER CA NAME EXTENSION...
	local dir=$1 ca=$2 name=$3
	shift 3
	pki_key "$dir/$name.key"
	openssl req -new -key "$dir/$name.key" -subj "/CN=$name" |
		openssl x509 -req -CA "$dir/$ca.crt" -CAkey "$dir/$ca.key" \
			-CAserial "$dir/$ca.srl" -CAcreateserial -days 30 \
			-out "$dir/$name.crt" -extfile <(printf '%s\n' \
			basicConstraints=CA:FALSE \
			keyUsage=digitalSignature "$@") 2>/dev/null
}

pki_make() { # FOLDER
	local names=DNS:localhost,DNS:db.test,IP:127.0.0.1
	mkdir -p "$1"
	pki_ca "$1" ca
	pki_leaf "$1" ca server extendedKeyUsage=serverAuth \
		subjectAltName=$names
	pki_leaf "$1" ca client extendedKeyUsage=clientAuth
	pki_ca "$1" front
	pki_leaf "$1" front proxy extendedKeyUsage=serverAuth \
		subjectAltName=$names
	pki_leaf "$1" front user extendedKeyUsage=clientAuth
}

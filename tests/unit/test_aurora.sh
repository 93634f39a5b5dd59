#!/bin/bash
# The table of names in conf/examples/aurora.conf, against a certificate of the
# shape that it describes.
#
# usage: test_aurora.sh DBTLS CERTS EXAMPLE
set -eu
export LC_ALL=C
unset SSL_CERT_FILE SSL_CERT_DIR

dbtls=$1
certs=$2
example=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
rows=0

# ENDPOINT, the whole name and yes or no, of each row.
table() {
	awk -F '\t+' '
	/^#\tendpoint\t/ {
		suffix = ""
		if (match($3, /before \.[^ ]*/))
			suffix = substr($3, RSTART + 7, RLENGTH - 7)
		inside = 1
		next
	}
	!/^#\t/ { inside = 0 }
	inside { split($3, w, / +/); print $2, w[1] suffix, w[2] }' "$example"
}

name_of() { table | awk -v "row=$1" '$1 == row { print $2 }'; }

# What the instance shows that the row "instance" is about.
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	-keyout "$work/key" -subj "/CN=$(name_of instance)" \
	-out "$work/csr" 2>/dev/null
printf 'subjectAltName = DNS:%s, DNS:%s, DNS:%s\n' "$(name_of instance)" \
	"$(name_of cluster)" "$(name_of reader)" >"$work/extensions"
openssl x509 -req -in "$work/csr" -CA "$certs/ca.crt" -CAkey "$certs/ca.key" \
	-days 2 -extfile "$work/extensions" -out "$work/crt" 2>/dev/null

while read -r row name accepted; do
	rows=$((rows + 1))
	got=no
	"$dbtls" verify --ssl-mode verify-full --ca "$certs/ca.crt" \
		--server-name "$name" "$work/crt" >"$work/said" 2>&1 && got=yes
	[ "$got" = "$accepted" ] || {
		failures=$((failures + 1))
		echo "$row: $name: $accepted in the table: $(cat "$work/said")"
	}
	[ "$got" = yes ] || grep -q name_mismatch "$work/said" || {
		failures=$((failures + 1))
		echo "$row: refused for another reason: $(cat "$work/said")"
	}
done < <(table)

# What the example advises for the two that are not accepted.
advised=$(sed -n 's/^#\tserver_name = "\(.*\)";$/\1/p' "$example")
[ "$advised" = "$(name_of cluster)" ] || {
	failures=$((failures + 1))
	echo "server_name = \"$advised\" is not what the certificate bears"
}
[ $rows -eq 6 ] && [ $failures -eq 0 ]

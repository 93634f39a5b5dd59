#!/bin/bash
# Is every deployment of NETWORKS.md whole, and does dbtls take its
# configuration?  Each has a picture, a configuration, rules for both sides and
# the address that the database sees.  The README of a bridge has another
# configuration.
#
# usage: networks.sh SOURCE_DIR DBTLS CERTS
set -u
export LC_ALL=C

text=$1/contrib/NETWORKS.md
dbtls=$2
certs=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

complain() {
	echo "FAIL $*"
	failed=1
}

# A file for each section, N.md, and one for each configuration in it, N.K.conf.
awk -v work="$work" '
	/^## [0-9]+\. / { n = $2 + 0; k = 0 }
	n == 0 { next }
	{ print > (work "/" n ".md") }
	/^```/ {
		if (into != "") {
			close(into)
			into = ""
		} else if ($0 == "```conf") {
			into = work "/" n "." ++k ".conf"
			next
		}
	}
	into != "" { print > into }' "$text"
sed -n '/^```conf$/,/^```$/{/^```/!p}' \
	"$1/contrib/nat-bridge/README.md" >"$work/readme.conf"

sections=0 configurations=0
for section in "$work"/[0-9]*.md; do
	[ -e "$section" ] || break
	sections=$((sections + 1))
	title=$(head -n 1 "$section")
	for part in '^```$' '^```conf$' '^| side | ingress | egress |$' \
		'^| database\|^| remote firewall and database\|^| DocumentDB' \
		'^\*\*The database sees\*\*'; do
		grep -q -- "$part" "$section" ||
			complain "$title: there is no $part"
	done
done
for file in "$work"/*.conf; do
	[ -e "$file" ] || break
	configurations=$((configurations + 1))
	sed -i "s|\"/etc/dbtls/[^\"]*\"|\"$certs/ca.crt\"|" "$file"
	"$dbtls" check -c "$file" >"$work/out" 2>&1 ||
		complain "${file##*/}: $(cat "$work/out")"
	# As whom it runs is not a matter of networks.
	warnings=$(grep ' warning: ' "$work/out" | grep -v ' warning: user: ')
	[ -z "$warnings" ] || complain "${file##*/}: $warnings"
	grep -q transparent "$file" || continue
	"$dbtls" bridge rules -c "$file" >"$work/out" 2>&1 ||
		complain "${file##*/}: $(cat "$work/out")"
done
[ "$sections" -ge 7 ] || complain "there are $sections sections only"
[ "$configurations" -gt "$sections" ] ||
	complain "there are $configurations configurations only"
[ $failed = 1 ] ||
	echo "networks: $sections cases, $configurations configurations"
exit $failed

#!/bin/bash
# Do the manual pages say what the program says?  Every setting with its
# default, every command, every reason; and no setting that does not exist.
#
# usage: manual.sh SOURCE_DIR PRINT_OPTIONS DBTLS
set -eu

conf=$1/contrib/man/dbtls.conf.5
page=$1/contrib/man/dbtls.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

complain() {
	echo "FAIL $*"
	failed=1
}

# NAME, or NAME = DEFAULT, from the table and from the page.
"$2" | awk -F '\t' '{
	sub(/^endpoints\[\]\./, "", $1)
	print $1 ($3 ~ /^\(none|^\(required/ ? "" : " = " $3)
}' | sort >"$work/table"
sed -n '/^\.SH SETTINGS/,/^\.SH FILES/{/^\.TP/{n;s/\\-/-/g;s/^\.B //p}}' \
    "$conf" | grep -vxE 'none|require|verify-ca|verify-full' |
	sort >"$work/page"
diff "$work/table" "$work/page" >"$work/diff" ||
	complain "the table of settings (<) and dbtls.conf(5) (>) differ:" \
	    "$(cat "$work/diff")"

: >"$work/missing"
"$3" --help >"$work/help" || complain "$3 --help failed"
sed -n 's/^  dbtls \([a-z][a-z]*\).*/\1/p' "$work/help" | sort -u |
	while read -r command; do
	grep -q "dbtls $command\>" "$page" ||
		echo "dbtls(1) does not have the command $command"
done >>"$work/missing"
sed -n 's/.*\[REASON_[A-Z_]*\] = { "\([a-z_]*\)".*/\1/p' \
    "$1/protocols/reason.c" >"$work/reasons"
[ -s "$work/reasons" ] || echo "no reason found" >>"$work/missing"
while read -r reason; do
	[ "$reason" = none ] || grep -qw "$reason" "$page" ||
		echo "dbtls(1) does not have the reason $reason"
done <"$work/reasons" >>"$work/missing"
while read -r line; do
	complain "$line"
done <"$work/missing"

if command -v groff >/dev/null; then
	for file in "$conf" "$page"; do
		groff -ww -mandoc -Tutf8 "$file" 2>&1 >/dev/null |
			sed 's/^/FAIL /' >"$work/groff"
		[ ! -s "$work/groff" ] || { cat "$work/groff"; failed=1; }
	done
fi
[ $failed = 1 ] || echo "manual: $(wc -l <"$work/table") settings," \
    "$(wc -l <"$work/reasons") reasons"
exit $failed

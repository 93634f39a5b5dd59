#!/bin/bash
# Do the manual pages say what the program says?  Every setting with its
# default, every command, every reason, every event; and no setting and no event
# that does not exist.
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

# What is logged: an event's name is the argument after the level.  In log.c it
# is a parameter, too.
events_of() { # FILE
	tr -s '\n\t ' ' ' <"$1" | grep -oE \
	    -e '\<(log_open|line_begin)\([^,]*,[^,]*,[^,)]*' \
	    -e '\<log_event\([^,]*,[^,)]*' | while read -r call; do
		grep -oE '"[^"]*"' <<<"$call" || [ "${1##*/}" = log.c ] ||
			echo "$call in $1" >>"$work/nameless"
	done | tr -d '"'
}
: >"$work/nameless"
find "$1/proxy" "$1/conf" "$1/protocols" -name '*.c' |
	while read -r file; do events_of "$file"; done |
	sort -u >"$work/events"
[ ! -s "$work/nameless" ] ||
	complain "an event that is not named where it is logged:" \
	    "$(cat "$work/nameless")"
sed -n '/^\.SH LOG/,/^\.SH PRIVILEGES/{/^\.TP/{n;s/^\.BR\{0,1\} //p}}' "$page" |
	tr -d '",' | tr -s ' ' '\n' | sort >"$work/page"
diff "$work/events" "$work/page" >"$work/diff" ||
	complain "the events that are logged (<) and dbtls(1) (>) differ:" \
	    "$(cat "$work/diff")"

if command -v groff >/dev/null; then
	for file in "$conf" "$page"; do
		groff -ww -mandoc -Tutf8 "$file" 2>&1 >/dev/null |
			sed 's/^/FAIL /' >"$work/groff"
		[ ! -s "$work/groff" ] || { cat "$work/groff"; failed=1; }
	done
fi
[ $failed = 1 ] || echo "manual: $(wc -l <"$work/table") settings," \
    "$(wc -l <"$work/reasons") reasons, $(wc -l <"$work/events") events"
exit $failed

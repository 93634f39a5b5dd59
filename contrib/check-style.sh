#!/bin/bash
# What a machine can check of the style, it checks here: layout, length,
# nesting, banned calls, headers that do not compile alone, scripts with
# faults.  One violation a line, as FILE:LINE: TEXT.
#
# usage: check-style.sh [SOURCE_DIR]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/..}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C

FORMAT_VERSION=14
LIBRARIES="openssl libevent libconfig"

violations() {
	tee -a "$work/violations"
}

say_skipped() {
	echo "style: not checked: $1"
}

list_files() {
	find . -name .git -prune -o -name 'build*' -type d -prune -o \
	    -type f -print | sed 's,^\./,,' | sort >"$work/all"
	grep -E '\.[ch]$' "$work/all" >"$work/sources" || true
	grep -E '\.h$' "$work/all" >"$work/headers" || true
	# Scripts are known by their first line.
	while read -r file; do
		case $(head -c 64 "$file" | head -n 1 | tr -d '\0') in
		'#!'*sh) echo "$file" ;;
		esac
	done <"$work/all" >"$work/scripts"
	grep -E '\.(sh|bash)$' "$work/all" |
		sort -u - "$work/scripts" -o "$work/scripts" || true
	grep -E '(^|/)CMakeLists\.txt$|\.cmake$|\.py$|\.awk$|\.conf$' \
	    "$work/all" | cat - "$work/sources" "$work/scripts" |
		sort >"$work/text"
}

check_layout() {
	if ! command -v clang-format >/dev/null; then
		say_skipped "layout, clang-format is not installed"
	elif ! clang-format --version |
	    grep -q "version $FORMAT_VERSION\."; then
		say_skipped "layout, clang-format is not $FORMAT_VERSION"
	else
		xargs -r clang-format --dry-run -Werror --ferror-limit=1 \
		    <"$work/sources" 2>&1 | sed -n \
		    's,^\([^ :]*:[0-9]*\):.*clang-format-violations.*,\1: '`
		    `'not as clang-format has it,p' | violations
	fi
}

check_sources() {
	: >"$work/functions"
	xargs -r awk -v functions="$work/functions" \
	    -f "$here/check-style.awk" <"$work/sources" | violations
}

# What has no place in any file: things to be done, and the paths of the
# machine on which it was written.
check_words() {
	local todo='(^|[^A-Za-z])(TO''DO|FIX''ME|XX''X|HA''CK)([^A-Za-z]|$)'
	local paths='(^|[^A-Za-z0-9_.])/(wo''rk|ro''ot|ho''me)/[A-Za-z]'
	xargs -r grep -HnE "$todo" <"$work/text" | sed -E \
	    's/^([^:]*:[0-9]+):.*/\1: something left to be done/' | violations
	xargs -r grep -HnE "$paths" <"$work/text" | sed -E \
	    's/^([^:]*:[0-9]+):.*/\1: a path of one machine/' | violations
	grep -vE '\.[ch]$' "$work/text" | xargs -r grep -Hn '[[:space:]]$' |
		sed -E 's/^([^:]*:[0-9]+):.*/\1: space at the end of '`
		`'the line/' | violations
}

check_headers() {
	local flags
	flags="-std=c11 -D_GNU_SOURCE -I. -Wall -Werror -fsyntax-only"
	# shellcheck disable=SC2086 # lists of words
	flags="$flags $(pkg-config --cflags $LIBRARIES 2>/dev/null || true)"
	while read -r header; do
		# Twice, because the guard must hold.
		printf '#include "%s"\n#include "%s"\nint unused;\n' \
		    "$header" "$header" >"$work/alone.c"
		# shellcheck disable=SC2086
		${CC:-cc} $flags "$work/alone.c" 2>"$work/cc" ||
			echo "$header:1: does not compile alone: $(grep -m 1 \
			    -o 'error: .*' "$work/cc")"
	done <"$work/headers" | violations
}

check_scripts() {
	: >"$work/sound"
	while read -r script; do
		if bash -n "$script" 2>"$work/bash"; then
			echo "$script" >>"$work/sound"
		else
			echo "$script:1: $(head -n 1 "$work/bash")"
		fi
	done <"$work/scripts" | violations
	if command -v shellcheck >/dev/null; then
		xargs -r shellcheck -x -S warning -f gcc <"$work/sound" |
			sed -E 's/^([^:]*:[0-9]+):[0-9]+: [a-z]+:/\1:/' |
			violations
	else
		say_skipped "scripts, shellcheck is not installed"
	fi
	grep -E '\.py$' "$work/all" | while read -r script; do
		! command -v python3 >/dev/null || python3 -c \
		    'import ast, sys; ast.parse(open(sys.argv[1]).read())' \
		    "$script" 2>/dev/null || echo "$script:1: not Python"
	done | violations
}

: >"$work/violations"
list_files
check_layout
check_sources
check_words
check_headers
check_scripts || true

sort -rn "$work/functions" | head -n 5 | while read -r lines depth where name
do
	echo "style: $where: $name(): $lines lines, $depth levels"
done
printf 'style: %d functions, %d over 60 lines; ' \
    "$(wc -l <"$work/functions")" \
    "$(awk '$1 > 60' "$work/functions" | wc -l)"
printf '%d sources, %d scripts: %d violations\n' \
    "$(wc -l <"$work/sources")" "$(wc -l <"$work/scripts")" \
    "$(wc -l <"$work/violations")"
[ ! -s "$work/violations" ]

#!/bin/sh
# Runs clang-tidy over every source file, as contrib/clang-tidy says, on all
# cores.  A file is looked at again only if it, a header of ours that it sees,
# the checks or the flags have changed: what was found clean is remembered in
# BUILD_DIR/tidy by its hash.
#
# usage: check-tidy.sh SOURCE_DIR BUILD_DIR
#
# BUILD_DIR/tidy/flags, written by cmake, has clang's flags, one a line.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
SKIPPED=77 # for ctest
VERSION=14

# check-tidy.sh --one FILE: prints what is wrong with it.
if [ "$1" = --one ]; then
	file=$2
	flags=$(cat "$TIDY/flags")
	# shellcheck disable=SC2086 # a list of flags
	key=$( (echo "$file"; cat "$TIDY/flags" "$here/clang-tidy" "$0"
		clang -MM $flags "$file" | tr -d '\\' | tr ' ' '\n' |
		    grep '\.[ch]$' | sort -u | xargs cat) | sha256sum |
		cut -d ' ' -f 1)
	if [ -e "$TIDY/clean/$key" ]; then
		touch "$TIDY/clean/$key"
		exit 0
	fi
	echo "$file" >>"$TIDY/analysed"
	case $file in
	# Tests count and compare with numbers, print as they please, and run
	# under sanitizers.
	tests/*|bench/*) less='-clang-analyzer-*,-cert-err3*,'`
	    `'-misc-no-recursion,-readability-magic-numbers' ;;
	# A configuration nests, and its readers with it; a peer's bytes never
	# make us recurse.
	conf/*) less='-misc-no-recursion' ;;
	*) less= ;;
	esac
	# shellcheck disable=SC2086
	if clang-tidy --quiet --config-file="$here/clang-tidy" \
	    --checks="$less" "$file" -- $flags >"$TIDY/out.$$" 2>&1; then
		: >"$TIDY/clean/$key"
	else
		sed -n "s,^$PWD/\(\./\)*,,; s/: error: /: /p" "$TIDY/out.$$" |
			sed 's/,-warnings-as-errors\]$/]/' | sort -u
		[ -s "$TIDY/out.$$" ] || echo "$file:1: clang-tidy failed"
	fi
	rm -f "$TIDY/out.$$"
	exit 0
fi

if ! clang-tidy --version 2>/dev/null | grep -q "version $VERSION\."; then
	echo "tidy: not checked: clang-tidy $VERSION is not installed"
	exit $SKIPPED
fi
TIDY=$(cd "$2" && pwd)/tidy
export TIDY
mkdir -p "$TIDY/clean"
: >"$TIDY/analysed"
cd "$1"
# shellcheck disable=SC2046 # the folders that are there
find $(ls -d protocols conf proxy tests bench 2>/dev/null) -name '*.c' |
	sort >"$TIDY/files"
# The newest files are the most likely to have changed, and go first.
xargs ls -t <"$TIDY/files" | xargs -n 1 -P "$(nproc)" "$here/check-tidy.sh" \
    --one | sort -u >"$TIDY/found"
find "$TIDY/clean" -type f -mtime +30 -delete
cat "$TIDY/found"
printf 'tidy: %d files, %d of them new or changed: %d violations\n' \
    "$(wc -l <"$TIDY/files")" "$(wc -l <"$TIDY/analysed")" \
    "$(wc -l <"$TIDY/found")"
[ ! -s "$TIDY/found" ]

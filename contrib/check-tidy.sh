#!/bin/sh
# Runs clang-tidy over every source file, as contrib/clang-tidy says, on all
# cores.  A file is looked at again only if it, a header of ours that it sees,
# the checks or the flags have changed: what was found clean is remembered in
# BUILD_DIR/tidy by its hash.
#
# usage: check-tidy.sh SOURCE_DIR BUILD_DIR
#
# BUILD_DIR has cmake's compile_commands.json; BUILD_DIR/tidy/warnings, which
# cmake writes too, has those of clang's warnings that gcc does not know.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
SKIPPED=77 # for ctest
VERSION=14
# The analyzer gives up on a function after so many states; clang's own 225000
# takes twice the time and has found nothing more here.
ANALYZER_NODES=75000

# check-tidy.sh --one FILE: prints what is wrong with it.
if [ "$1" = --one ]; then
	file=$2
	key=$( (grep -B 1 "\"file\": \"$PWD/$file\"" \
		"$BUILD/compile_commands.json"
		cat "$TIDY/warnings" "$here/clang-tidy" "$0"
		clang -MM -I. "$file" | tr -d '\\' | tr ' ' '\n' |
		    grep '\.[ch]$' | sort -u | xargs cat) | sha256sum |
		cut -d ' ' -f 1)
	if [ -e "$TIDY/clean/$key" ]; then
		touch "$TIDY/clean/$key"
		exit 0
	fi
	echo "$file" >>"$TIDY/analysed"
	case $file in
	# Tests count and compare with numbers, print and start what they
	# please, write what is malicious, and run under sanitizers.
	tests/*|bench/*) less='-clang-analyzer-*,-cert-e*,-misc-misl*,'`
	    `'-misc-no-recursion,-readability-magic-numbers,'`
	    `'-bugprone-macro-parentheses' ;;
	# A configuration nests, and its readers with it; a peer's bytes never
	# make us recurse.
	conf/*) less='-misc-no-recursion' ;;
	*) less= ;;
	esac
	# shellcheck disable=SC2046 # a list
	if clang-tidy --quiet --config-file="$here/clang-tidy" \
	    --checks="$less" -p "$BUILD" --extra-arg=-I. \
	    --extra-arg=-Wno-unknown-warning-option \
	    --extra-arg=-Xclang --extra-arg=-analyzer-config \
	    --extra-arg=-Xclang --extra-arg=max-nodes=$ANALYZER_NODES \
	    $(sed 's/^/--extra-arg=/' "$TIDY/warnings") "$file" \
	    >"$TIDY/out.$$" 2>&1; then
		: >"$TIDY/clean/$key"
	else
		sed -n "s,^$PWD/\(\./\)*,,; s/: \(fatal \)*error: /: /p" \
		    "$TIDY/out.$$" | sed 's/,-warnings-as-errors\]$/]/' |
			grep '^[^ :]*:[0-9]*:[0-9]*: ' ||
			echo "$file:1: clang-tidy failed:" \
			    "$(grep -m 1 error "$TIDY/out.$$")"
	fi
	rm -f "$TIDY/out.$$"
	exit 0
fi

if ! clang-tidy --version 2>/dev/null | grep -q "version $VERSION\."; then
	echo "tidy: not checked: clang-tidy $VERSION is not installed"
	exit $SKIPPED
fi
BUILD=$(cd "$2" && pwd)
TIDY=$BUILD/tidy
export BUILD TIDY
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

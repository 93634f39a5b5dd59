#!/bin/sh
# Compares what every source file includes, calls and keeps with the table of
# layers in contrib/layers.txt.
#
# usage: check-layers.sh SOURCE_DIR [BUILD_DIR [TABLE]]
#
# Without a build folder only the includes are looked at.
set -eu

usage() {
	echo "usage: check-layers.sh SOURCE_DIR [BUILD_DIR [TABLE]]" >&2
	exit 2
}

[ $# -ge 1 ] && [ $# -le 3 ] || usage
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$1" && pwd)
build=${2:+$(cd "$2" && pwd)}
table=${3:-$here/layers.txt}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$source"
# shellcheck disable=SC2046 # the folders that are there
find $(ls -d protocols conf proxy tests bench 2>/dev/null) \
    -name '*.[ch]' | sort >"$work/files"
[ -s "$work/files" ] || { echo "layers: no source in $source" >&2; exit 2; }
xargs grep -Hn '^[[:space:]]*#[[:space:]]*include' \
    <"$work/files" >"$work/includes" || true
: >"$work/symbols"
if [ -n "$build" ]; then
	cd "$build"
	find . -name '*.c.o' | sed 's,^\./,,' | sort >"$work/objects"
	[ -s "$work/objects" ] ||
		{ echo "layers: no object in $build; build first" >&2; exit 2; }
	xargs nm -A -f sysv <"$work/objects" >"$work/symbols"
fi

: >"$work/edges"
status=0
awk -v table="$(basename "$table")" -v edges="$work/edges" \
    -v objects="${build:+1}" -f "$here/check-layers.awk" \
    input=table "$table" input=files "$work/files" \
    input=includes "$work/includes" input=symbols "$work/symbols" || status=1

# Headers that include each other: include guards would hide it.
if ! tsort <"$work/edges" >/dev/null 2>"$work/cycle"; then
	sed -n 's/^tsort: \(.*\.h\)$/\1: is part of a cycle of includes/p' \
	    "$work/cycle"
	status=1
fi
exit $status

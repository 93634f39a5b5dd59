#!/bin/sh
# Seeds a small tree with one violation of each kind and expects
# contrib/check-layers.sh to find each of them, and nothing else.
#
# usage: test_layers.sh SOURCE_DIR CC
set -eu

check=$1/contrib/check-layers.sh
cc=$2
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/src/protocols" "$tree/src/proxy" "$tree/src/conf"
failed=0

put() { # FILE LINE...
	file=$tree/src/$1
	shift
	printf '%s\n' "$@" >"$file"
}

# Compiles as cmake would, into a fresh build folder.
build() {
	rm -rf "$tree/build"
	for file in "$tree"/src/*/*.c; do
		folder=$(basename "$(dirname "$file")")
		into=$tree/build/$folder/CMakeFiles/dbtls.dir
		mkdir -p "$into"
		"$cc" -fPIC -O1 -I"$tree/src" -c "$file" \
		    -o "$into/$(basename "$file").o"
	done
}

reset() {
	rm -f "$tree"/src/*/*
	put protocols/pure.h 'int pure_answer(void);'
	put protocols/pure.c '#include "protocols/pure.h"' \
	    '#include <string.h>' \
	    'int pure_answer(void) { return (int)strlen("four"); }'
	put proxy/leg.h 'int leg_answer(int fd);'
	put proxy/leg.c '#include "proxy/leg.h"' '#include <sys/socket.h>' \
	    '#include "protocols/pure.h"' \
	    'static const char *const words[] = { "a", "b" };' \
	    'int leg_answer(int fd) { return *words[0] +' \
	    '    (int)send(fd, "", 0, 0) + pure_answer(); }'
	put conf/config.h 'int config_load(void);'
	put conf/config.c '#include "conf/config.h"' \
	    'int config_load(void) { return 0; }'
}

# NAME EXPECTED-LINE ("" for none)
expect() {
	build
	status=0
	"$check" "$tree/src" "$tree/build" >"$tree/out" 2>&1 || status=$?
	found=$(grep -v '^layers: ' "$tree/out" || true)
	[ -z "$2" ] && wanted=0 || wanted=1
	if [ "$found" = "$2" ] && [ $status -eq $wanted ]; then
		echo "ok   $1"
	else
		echo "FAIL $1: status $status, expected: $2; found:"
		cat "$tree/out"
		failed=1
	fi
	reset
}

reset
expect clean_tree_passes ""

put protocols/pure.h '#include <stdio.h>' 'int pure_answer(void);'
expect library_header_is_seen "protocols/pure.h:1: includes <stdio.h>: \
layer protocols may not see c"

put protocols/spare.h '#include <zlib.h>'
expect unknown_header_is_seen "protocols/spare.h:1: <zlib.h> is in no library \
of layers.txt"

put proxy/leg.h '#include "proxy/session.h"' 'int leg_answer(int fd);'
put proxy/session.h 'struct session;'
expect layer_above_is_seen "proxy/leg.h:1: includes \"proxy/session.h\": \
layer leg may not see layer session"

put proxy/session.h 'struct session;'
put proxy/leg.h '#include "session.h"' 'int leg_answer(int fd);'
expect relative_include_is_seen "proxy/leg.h:1: \"session.h\" is no file of \
ours; write it from the top of the tree"

put protocols/pure.c 'void *malloc(unsigned long n);' \
    'int pure_answer(void) { return *(int *)malloc(4); }'
expect call_without_header_is_seen "protocols/pure.c: uses malloc: \
layer protocols may not use c"

put conf/config.c 'int SSL_connect(void *s);' \
    'int config_load(void) { return SSL_connect(0); }'
expect openssl_call_is_seen "conf/config.c: uses SSL_connect: \
layer configuration may not use openssl"

put conf/config.c 'int leg_answer(int fd);' \
    'int config_load(void) { return leg_answer(0); }'
expect call_upwards_is_seen "conf/config.c: uses leg_answer of proxy/leg.c: \
layer configuration may not use layer leg"

put proxy/leg.c 'int leg_answer(int fd) {' \
    '    static int calls; return fd + ++calls; }'
expect hidden_state_is_seen "proxy/leg.c: calls can change, and outlives \
every session; make it const or a struct's"

put proxy/stray.c 'int stray(void) { return 0; }'
expect file_without_layer_is_seen "proxy/stray.c: is in no layer of layers.txt"

put proxy/leg.h '#ifndef A' '#define A' '#include "proxy/leg_b.h"' '#endif'
put proxy/leg_b.h '#include "proxy/leg.h"'
sed 's,proxy/leg\.\*,proxy/leg*.*,' "$1/contrib/layers.txt" >"$tree/table"
build
if "$check" "$tree/src" "$tree/build" "$tree/table" >"$tree/out" 2>&1 ||
    [ "$(grep -c 'is part of a cycle' "$tree/out")" -ne 2 ]; then
	echo "FAIL cycle_is_seen"
	cat "$tree/out"
	failed=1
else
	echo "ok   cycle_is_seen"
fi

printf 'layer a\n\tfiles a/*\n\tlayers b\nlayer b\n\tfiles b/*\n' \
    >"$tree/table"
if "$check" "$tree/src" "" "$tree/table" 2>&1 |
    grep -q 'layer a cannot use b, it is not below it'; then
	echo "ok   table_cannot_hold_a_cycle"
else
	echo "FAIL table_cannot_hold_a_cycle"
	failed=1
fi
exit $failed

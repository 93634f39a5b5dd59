#!/bin/sh
# A seeded fault is found, found again, and once it is mended the file is not
# looked at any more until a header of it changes.
#
# usage: test_tidy.sh SOURCE_DIR
set -eu

check=$1/contrib/check-tidy.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/src/proxy" "$tree/build/tidy"
echo -Wcomma >"$tree/build/tidy/warnings"
cat >"$tree/build/compile_commands.json" <<END
[ {
  "directory": "$tree/build",
  "command": "gcc -I$tree/src -std=c11 -Wall -Wlogical-op -c $tree/src/proxy/a.c",
  "file": "$tree/src/proxy/a.c"
} ]
END
failed=0

put() { # EXPRESSION
	cat >"$tree/src/proxy/a.c" <<END
#include "proxy/a.h"

int
first(const int *list)
{
	return $1;
}
END
}

expect() { # NAME PATTERN STATUS
	status=0
	"$check" "$tree/src" "$tree/build" >"$tree/out" 2>&1 || status=$?
	if [ $status = 77 ]; then
		cat "$tree/out"
		exit 77
	fi
	if grep -q "$2" "$tree/out" && [ $status -eq "$3" ]; then
		echo "ok   $1"
	else
		echo "FAIL $1: status $status, expected: $2; found:"
		cat "$tree/out"
		failed=1
	fi
}

echo 'int first(const int *list);' >"$tree/src/proxy/a.h"
put 'list == 0 ? *list : 1'
expect fault_is_found \
    "proxy/a.c:6:21: Dereference of null pointer .*NullDereference" 1
expect fault_is_found_again "1 files, 1 of them .*: 1 violations" 1
put 'list == 0 ? 1 : *list'
expect mended_file_is_clean "1 files, 1 of them .*: 0 violations" 0
expect clean_file_is_remembered "1 files, 0 of them .*: 0 violations" 0
echo 'int first(const int *other);' >"$tree/src/proxy/a.h"
expect change_of_header_is_seen "proxy/a.h:1:5: .*inconsistent-declaration" 1
put 'list == 0 ? 1 : 1 + (1 && list)'
echo 'int first(const int *list); int' >"$tree/src/proxy/a.h"
expect broken_file_is_a_violation "proxy/a.c:" 1
exit $failed

#!/bin/sh
# Is the program hardened as contrib/cmake/flags.cmake wants it?  Asks the
# program itself, because a flag that is given may yet have no effect.
#
# usage: hardening.sh PROGRAM FORTIFIED
#
# FORTIFIED is empty for builds without an optimizer and for sanitizers.
set -eu

program=$1
failed=0
export LC_ALL=C

expect() { # NAME PATTERN READELF-OPTION
	if readelf -W "$3" "$program" | grep -qE "$2"; then
		echo "ok   $1"
	else
		echo "FAIL $1: readelf $3 has no $2"
		failed=1
	fi
}

expect position_independent 'Type: *DYN .*(Position-Independent|Shared)' -h
expect relocations_read_only 'GNU_RELRO' -l
expect bound_at_start 'FLAGS_1.* NOW.* PIE' -d
expect stack_not_executable 'GNU_STACK .* RW ' -l
expect stack_protected '__stack_chk_fail' -s
if [ -n "$2" ]; then
	expect fortified '__(memcpy|snprintf|vsnprintf|fprintf|printf)_chk' -s
fi
if readelf -Wd "$program" | grep -E 'RPATH|RUNPATH|TEXTREL'; then
	echo "FAIL no_search_path_no_text_relocation"
	failed=1
fi
exit $failed

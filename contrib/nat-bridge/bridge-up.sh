#!/bin/bash
# bridge-up.sh - makes this host a bridge for the transparent endpoints
#
#	bridge-up.sh [-c FILE] [OPTION of dbtls bridge rules]...
#	bridge-up.sh --names [-c FILE] [OPTION...]
#
# sets the kernel's settings (sysctl.conf beside this file, and once), puts the
# rules and routes in force and fills the sets of names.  It may be run again
# at any time, after a change of the configuration for example.  With --names
# it does only the last, which has to be done each minute.
#
# What the settings were, and how to take everything down, is kept in
# $DBTLS_BRIDGE_STATE (/run/dbtls-bridge) for bridge-down.sh.  $DBTLS is the
# program.
set -euo pipefail
umask 077
export LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

HERE=$(cd "$(dirname "$0")" && pwd)
STATE=${DBTLS_BRIDGE_STATE:-/run/dbtls-bridge}
DBTLS=${DBTLS:-dbtls}
readonly HERE STATE DBTLS

# Each setting as PATH VALUE; a star in its name stands for every interface.
settings() { # FILE
	local key value path
	while IFS='= ' read -r key value; do
		[[ $key == [a-z]* ]] || continue
		for path in /proc/sys/${key//.//}; do
			[ ! -e "$path" ] || echo "$path $value"
		done
	done <"$1"
}

# Those that are what they should be already are not ours to put back.
settings_set() {
	local path value was
	settings "$HERE/sysctl.conf" | while read -r path value; do
		was=$(tr '\t' ' ' <"$path")
		[ "$was" != "$value" ] || continue
		grep -qsF "$path " "$STATE/settings" ||
			echo "$path $was" >>"$STATE/settings"
		echo "$value" >"$path"
	done
}

# How to take down is kept before anything is up: it must not depend on a
# configuration that may have changed, nor on options to be remembered.
keep_way_down() { # OPTION...
	"$DBTLS" bridge rules --down "$@" >"$STATE/down.new"
	if [ -e "$STATE/down" ] && ! cmp -s "$STATE/down.new" "$STATE/down"; then
		# The table is exchanged: only routes may be left over.
		sed '/^nft /,/^RULES$/d' "$STATE/down" >>"$STATE/left-over"
	fi
	mv "$STATE/down.new" "$STATE/down"
}

# Of other options.  The rules of then stay until those of now take their place:
# what they mark and nobody takes meanwhile is refused, and not let by in clear.
routes_left_over() {
	[ -e "$STATE/left-over" ] || return 0
	sh "$STATE/left-over"
	rm -f "$STATE/left-over"
}

# A name that nobody knows at the moment is no reason to do without the rest.
names_ask() { # OPTION...
	local status=0
	"$DBTLS" bridge rules --names "$@" >"$STATE/names" || status=$?
	[ "$status" = 0 ] || [ "$status" = 3 ]
}

# What could not be put up is not left half up, if there was nothing before.
# Rules that are in force stay so, whatever fails: without them all would go on
# in clear.
finish() { # STATUS
	rm -f "$STATE"/{up,names,down.new}
	[ "$1" != 0 ] && [ -n "$first" ] || return 0
	exec {lock}>&-
	"$HERE/bridge-down.sh"
}

only_names=''
if [ "${1:-}" = --names ]; then
	only_names=yes
	shift
fi
mkdir -p "$STATE"
exec {lock}>"$STATE/lock"
flock "$lock"
first=yes
[ ! -e "$STATE/down" ] || first=''
trap 'finish $?' EXIT
# Asked for before the new sets are there, and empty.
names_ask "$@"
if [ -z "$only_names" ]; then
	"$DBTLS" bridge rules "$@" >"$STATE/up"
	keep_way_down "$@"
	settings_set
	routes_left_over
	sh "$STATE/up"
	first=''
fi
sh "$STATE/names"

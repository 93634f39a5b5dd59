#!/bin/bash
# bridge-down.sh - undoes what bridge-up.sh has done, all of it
#
#	bridge-down.sh
#
# takes the rules and routes away and puts the kernel's settings back to what
# they were.  It may be run again, and where bridge-up.sh never was.
#
# From then on a host that forwards lets clients through to the databases as
# they are, in clear.
set -euo pipefail
umask 077
export LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

STATE=${DBTLS_BRIDGE_STATE:-/run/dbtls-bridge}
readonly STATE

[ -d "$STATE" ] || exit 0
exec {lock}>"$STATE/lock"
flock "$lock"
for script in down left-over; do
	[ ! -e "$STATE/$script" ] || sh "$STATE/$script"
	rm -f "$STATE/$script"
done
if [ -e "$STATE/settings" ]; then
	# An interface that has gone since has taken its settings with it.
	while read -r path value; do
		[ ! -e "$path" ] || echo "$value" >"$path"
	done <"$STATE/settings"
	rm -f "$STATE/settings"
fi
rm -f "$STATE/lock"
rmdir "$STATE" 2>/dev/null || :

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
# What cannot be undone now is kept, to be tried again; the rest is undone.
status=0
for script in down left-over; do
	[ -e "$STATE/$script" ] || continue
	if sh "$STATE/$script"; then
		rm -f "$STATE/$script"
	else
		status=1
	fi
done
if [ -e "$STATE/settings" ]; then
	# An interface that has gone since has taken its settings with it.
	while read -r path value; do
		[ ! -e "$path" ] || echo "$value" >"$path"
	done <"$STATE/settings"
	rm -f "$STATE/settings"
fi
if [ $status != 0 ]; then
	echo "bridge-down.sh: not all of it is down; see above, and try again" >&2
	exit $status
fi
rm -f "$STATE"/{lock,up,names,down.new}
rmdir "$STATE" 2>/dev/null || :

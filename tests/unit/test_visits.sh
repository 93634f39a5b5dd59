#!/bin/bash
# Who connects to a transparent listener itself: probes, which leave at once and
# are none of the log's business, and clients that nobody has brought.
#
# usage: test_visits.sh DBTLS
set -u

# shellcheck source=tests/unit/lib.sh
. "${0%/*}/lib.sh"

dbtls=$1
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -KILL "$pid"; rm -rf "$work"' EXIT

# How many lines of the log there are.
lines() { # WANTED REGEX
	[ "$(grep -c -- "$2" "$work/log" 2>/dev/null)" = "$1" ]
}

ports() { # HOW-MANY
	python3 - "$1" <<-'END'
		import socket, sys
		held = [socket.create_server(("127.0.0.1", 0))
		    for _ in range(int(sys.argv[1]))]
		print(*(s.getsockname()[1] for s in held))
	END
}

# Connects to each of the ports, and leaves; or stays to say something, or to
# hear what there is to be heard.
visit() { # leave|talk|wait PORT...
	python3 - "$@" <<-'END'
		import socket, sys
		for port in sys.argv[2:]:
		    with socket.create_connection(("127.0.0.1", int(port))) as s:
		        s.settimeout(20)
		        if sys.argv[1] == "leave":
		            continue
		        if sys.argv[1] == "talk":
		            s.sendall(b"\0\0\0\x0b\0\3\0\0\0\0\0")
		        try:
		            print(s.recv(999) or "nothing")
		        except ConnectionResetError:
		            print("nothing")
	END
}

read -r postgres mysql both strange <<<"$(ports 4)"
bridge='transparent = "redirect"; server = "192.0.2.1"; ssl_mode = "require";
    client_tls = { mode = "off"; }; allow = "127.0.0.1";'
cat >"$work/conf" <<END
log = { level = "debug"; to = "$work/log"; };
endpoints = (
  { name = "a"; engine = "postgres"; $bridge
    listen = [ "127.0.0.1:$postgres", "127.0.0.1:$both" ]; },
  { name = "b"; engine = "mysql"; $bridge
    listen = [ "127.0.0.1:$mysql", "127.0.0.1:$both" ]; },
  { name = "c"; engine = "postgres"; $bridge deny = "127.0.0.0/8";
    listen = "127.0.0.1:$strange"; } );
END
"$dbtls" run -c "$work/conf" &
pid=$!
wait_for lines 1 event=start || {
	complain "no start"
	exit 1
}

visit leave "$postgres" "$mysql" "$both"
wait_for lines 3 'event=session.close level=debug .*reason=client_closed' ||
	complain "probes: $(cat "$work/log")"
lines 0 session.refused || complain "a probe is refused"
visit leave "$strange"
wait_for lines 1 'refused level=notice .*reason=loop' ||
	complain "a stranger's probe is not told of"
visit talk "$postgres" | grep -q 'the destination is the proxy itself' ||
	complain "who speaks is not told"
[ "$(visit talk "$both")" = nothing ] ||
	complain "of two engines: who speaks is told something"
visit wait "$mysql" | grep -q 'the destination is the proxy itself' ||
	complain "who waits for a greeting is not told"
lines 4 'event=session.refused level=notice .*reason=loop' ||
	complain "refusals: $(grep refused "$work/log")"

kill -TERM "$pid"
wait "$pid" || complain "status $?"
pid=
[ $failed = 0 ] && echo "visits: as they should be"
exit $failed

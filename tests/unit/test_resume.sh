#!/bin/bash
# Sessions of `openssl s_server` through the whole proxy: of those that come
# after the first of each thread, 98 of a hundred at least are resumed; and no
# client can end that by leaving, but a server can.
#
# usage: test_resume.sh DBTLS CERTS
set -u
# shellcheck source=tests/unit/lib.sh
. "${0%/*}/lib.sh"
unset SSL_CERT_FILE SSL_CERT_DIR

dbtls=$1
certs=$2
work=$(mktemp -d)
proxy='' server='' between='' threads=2
readonly CONNECTIONS=150 SHARE=98 LEAVERS=5
trap 'kill $proxy $server $between 2>/dev/null; wait 2>/dev/null
	rm -rf "$work"' EXIT

serve() { # OPTION...
	port=$(free_port)
	openssl s_server -accept "127.0.0.1:$port" -quiet -rev \
		-cert "$certs/good.chain.pem" -key "$certs/good.key" "$@" \
		>"$work/server.log" 2>&1 &
	server=$!
	wait_for listens "$port" || complain "no server: $(cat "$work/server.log")"
}

run() { # SETTINGS
	listen=$(free_port)
	cat >"$work/dbtls.conf" <<-CONF
		threads = $threads;
		endpoints = ( { name = "a"; engine = "tls";
		    listen = "127.0.0.1:$listen"; accept = "reuseport";
		    server = "127.0.0.1:$port"; server_name = "db.test";
		    ca = [ "$certs/ca.crt" ]; $1 } );
	CONF
	rm -f "$work/log"
	"$dbtls" run -c "$work/dbtls.conf" >"$work/log" 2>&1 &
	proxy=$!
	wait_for grep -qs event=start "$work/log" ||
		complain "no proxy: $(cat "$work/log")"
}

# One at a time: the server serves no two at once.
converse() { # CONNECTIONS
	local i answer
	for ((i = 0; i < $1; i++)); do
		answer=
		exec 3<>"/dev/tcp/127.0.0.1/$listen"
		echo one >&3
		read -r -t 20 answer <&3
		exec 3>&-
		[ "$answer" = eno ] || complain "an answer: $answer"
	done
}

end() {
	kill "$proxy" "$server"
	wait "$proxy" "$server" 2>/dev/null
	proxy='' server=''
}

count() { # REGEX
	grep -Ec "event=session.open.*$1" "$work/log"
}

counted() { # REGEX TIMES
	[ "$(count "$1")" -ge "$2" ]
}

share() { # TEXT
	local all resumed
	converse "$CONNECTIONS"
	wait_for counted '' "$CONNECTIONS"
	all=$(($(count '') - threads))
	resumed=$(count ' resumed=yes .*verified=full name="db.test"')
	echo "$1: $resumed of $all resumed"
	[ $((resumed * 100)) -ge $((all * SHARE)) ] ||
		complain "$1: $resumed of $all resumed"
}

for version in -tls1_2 -tls1_3; do
	for records in openssl direct; do
		serve $version
		run "tls = { records = \"$records\"; };"
		share "$version, records $records"
		end
	done
done

# Session identifiers, where the server gives no tickets.
serve -tls1_2 -no_ticket
run ''
share 'without tickets'
end

serve
run 'tls = { resume = false; };'
converse 10
wait_for counted '' 10
[ "$(count ' resumed=yes ')" = 0 ] || complain 'resumed although it is off'
[ "$(count ' resumed=no ')" = 10 ] || complain 'not counted'
end

stand_between() {
	local behind=$port
	port=$(free_port)
	python3 "${0%/*}/resume_between.py" "$port" "$behind" "$work/way" \
		>"$work/between.log" 2>&1 &
	between=$!
	wait_for listens "$port" || complain 'nobody stands between'
}
between_says() { # WORDS TIMES
	[ "$(grep -c "^$1$" "$work/between.log")" = "$2" ]
}

# Clients that go while the server is at it.
threads=1
serve -tls1_3
echo pass >"$work/way"
stand_between
run ''
converse 2
echo hold >"$work/way"
for ((i = 1; i <= LEAVERS; i++)); do
	exec 3<>"/dev/tcp/127.0.0.1/$listen"
	echo one >&3
	wait_for between_says 'hold offered' "$i" ||
		complain "after $i that left none is offered"
	exec 3>&-
done
echo pass >"$work/way"
converse 1
wait_for counted ' resumed=yes ' 2 ||
	complain 'clients that left have ended resumption'

# And a server that goes when it is offered a session: not three times.
echo close >"$work/way"
for ((i = 1; i <= 2; i++)); do
	exec 3<>"/dev/tcp/127.0.0.1/$listen"
	echo one >&3
	read -r -t 20 answer <&3 && complain "from whom? $answer"
	exec 3>&-
done
converse 2
between_says 'close offered' 2 || complain "$(cat "$work/between.log")"
between_says 'close none' 2 || complain 'never without a session'
kill "$between"
wait "$between" 2>/dev/null
between=''
end

exit $failed

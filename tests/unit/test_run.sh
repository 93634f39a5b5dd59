#!/bin/bash
# `dbtls run` as a process: what it says to whoever starts it, its signals, its
# log file and its exit status.
#
# usage: test_run.sh DBTLS
set -u
# shellcheck source=tests/unit/lib.sh
. "${0%/*}/lib.sh"

dbtls=$1
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -KILL "$pid"; rm -rf "$work"' EXIT

# Arguments that are refused, with this on standard error.
refused() { # PATTERN ARGUMENT...
	local pattern=$1 status
	shift
	"$dbtls" "$@" >"$work/out" 2>"$work/err"
	status=$?
	[ $status = 2 ] || complain "dbtls $*: status $status"
	[ ! -s "$work/out" ] || complain "dbtls $*: standard output"
	grep -q -- "^dbtls: $pattern" "$work/err" ||
		complain "dbtls $*: $(head -1 "$work/err")"
}

has() { # WORD FILE
	grep -qs -- "$1" "$2"
}

start() { # ARGUMENT...
	"$dbtls" run "$@" &
	pid=$!
}

# The exit status of what start() began.
ended() { # WANTED
	local status
	wait "$pid"
	status=$?
	pid=
	[ $status = "$1" ] || complain "status $status, not $1"
}

usage() {
	refused 'no command; see .dbtls --help.'
	refused 'rnu: no such command; did you mean run?' rnu
	refused 'zebra: no such command; see .dbtls --help.' zebra
	refused 'zebra: run takes options only; ' run zebra
	refused '--lisen: unknown option; did you mean --listen?' run --lisen
	refused 'run: an endpoint by flags needs --engine, ' run --engine tls
	refused 'run: -c and an endpoint by flags exclude each other; ' \
		run -c x --engine tls
	refused "$work/none: cannot be opened: " run -c "$work/none"
	refused 'help: there is no command zebra; ' help zebra
	refused 'zebra: one too many, after run; ' help run zebra
}

information() {
	"$dbtls" --version >"$work/out" || complain "--version: status $?"
	grep -q '^dbtls [0-9]' "$work/out" || complain "version of dbtls"
	grep -q '^OpenSSL ' "$work/out" || complain "version of OpenSSL"
	grep -q '^libevent ' "$work/out" || complain "version of libevent"
	"$dbtls" --version >/dev/full 2>"$work/err"
	[ $? = 4 ] || complain "--version to a full device succeeds"
	"$dbtls" run --help >"$work/out" || complain "run --help: status $?"
	"$dbtls" help run >"$work/err" || complain "help run: status $?"
	cmp -s "$work/out" "$work/err" || complain "run --help is not help run"
}

# A configuration with its log in a file.
configure() { # LISTEN
	cat >"$work/conf" <<-END
		threads = 2;
		log = { format = "json"; to = "$work/log"; };
		endpoints = ( { name = "a"; engine = "postgres";
		    listen = [ "$1", "unix:$work/socket" ];
		    server = "127.0.0.1:1"; ssl_mode = "none"; } );
	END
}

port() {
	sed -n 's/.*"address":"127.0.0.1:\([0-9]*\)".*/\1/p' "$work/log"
}

process() {
	local held=
	configure 127.0.0.1:0
	start -c "$work/conf"
	wait_for has '"address":"unix:' "$work/log" || complain "no start"
	[ "$(stat -c %a "$work/log" "$work/socket" | xargs)" = "640 660" ] ||
		complain "modes of the log and the socket"
	shielded
	has '"client_leg":"cleartext","mode":"none"' "$work/log" ||
		complain "the mode and the clear client leg are not told"
	has '"event":"config.loaded".*"sha256":"[0-9a-f]*",' "$work/log" ||
		complain "the hash of the file is not told"

	# Only root may look at what another of us has open.
	[ "$(id -u)" -eq 0 ] && held="served by pid $pid (dbtls); "
	configure "127.0.0.1:$(port)"
	refused "a: listen 127.0.0.1:$(port): $held" run -c "$work/conf"
	configure 127.0.0.1:0
	refused "a: listen unix:$work/socket: served by pid $pid (dbtls); " \
		run -c "$work/conf"

	mv "$work/log" "$work/log.1"
	kill -USR1 "$pid"
	wait_for has '"event":"log.reopened"' "$work/log" ||
		complain "SIGUSR1 does not reopen the log"

	kill -TERM "$pid"
	ended 0
	has '"event":"stop"' "$work/log" || complain "no stop in the log"
	[ ! -e "$work/socket" ] || complain "the socket is left behind"
}

status_is() { # LINE
	grep -qxE -- "$1" "/proc/$pid/status" ||
		complain "/proc/PID/status has no $1:" \
			"$(grep "^${1%%:*}:" "/proc/$pid/status")"
}

# Whoever runs it: no core, no look from outside, nothing to be gained.
shielded() {
	status_is 'NoNewPrivs:	1'
	grep -q '^Max core file size  *0  *0 ' "/proc/$pid/limits" ||
		complain "a core may be dumped"
	[ "$(stat -c %u "/proc/$pid/maps")" = 0 ] ||
		complain "the process is dumpable"
}

# Started by root: somebody else from then on, in every thread, and for good.
becomes_nobody() {
	local uid task
	[ "$(id -u)" -eq 0 ] || return 0
	uid=$(id -u nobody)
	mkdir "$work/run"
	chmod 755 "$work"
	chown nobody "$work/run"
	rm -f "$work/log" "$work/socket"
	configure 127.0.0.1:0
	sed -i "s|\"$work/log\"|\"$work/run/log\"|; 1i user = \"nobody\";
		s|unix:$work/|unix:$work/run/|" "$work/conf"
	# A core would be found there, as far as the machine's pattern goes.
	cd "$work/run" || return
	ulimit -c unlimited
	# It has groups to lose.
	setpriv --groups=4,24 "$dbtls" run -c "$work/conf" &
	pid=$!
	cd "$OLDPWD" || return
	wait_for has '"address":"unix:' "$work/run/log" || complain "no start"
	status_is "Uid:	$uid	$uid	$uid	$uid"
	status_is "Gid:	$(id -g nobody).*"
	status_is 'Groups:[	 ]*'
	for task in "/proc/$pid/task/"*; do
		[ "$(sed -n 's/^CapPrm:\t//p' "$task/status")" = \
			0000000000000000 ] || complain "a thread has a capability"
	done
	status_is 'CapBnd:	0*'
	shielded
	setpriv --reuid=nobody --clear-groups cat "/proc/$pid/environ" \
		>/dev/null 2>&1 && complain "the same user may look in"
	[ "$(stat -c %U:%a "$work/run/log" "$work/run/socket" | xargs)" = \
		"nobody:640 nobody:660" ] ||
		complain "the log and the socket are somebody else's"
	has '"user":"nobody","uid":[0-9]*,"capabilities":"none","no_new_privs":"yes","core_dumps":"off"' \
		"$work/run/log" || complain "the log does not say what it is"
	mv "$work/run/log" "$work/log.1"
	kill -USR1 "$pid"
	wait_for has '"event":"log.reopened"' "$work/run/log" ||
		complain "nobody cannot reopen the log"
	kill -ABRT "$pid"
	ended 134
	[ -z "$(find "$work/run" -name 'core*')" ] ||
		complain "a core was dumped"
	rm -f "$work/run/socket"
	sed -i '1s/.*/user = "nobody-at-all";/' "$work/conf"
	refused 'user: there is no user "nobody-at-all"; ' run -c "$work/conf"
	chown -R nobody "$work"
	sed -i '1s/.*/user = "daemon";/' "$work/conf"
	setpriv --reuid=nobody --clear-groups "$dbtls" run -c "$work/conf" \
		2>"$work/err"
	[ $? = 2 ] || complain "nobody becomes daemon"
	has 'only root can become "daemon"' "$work/err" ||
		complain "nobody becomes daemon: $(head -1 "$work/err")"
}

# Who may write to the folder of the log does not choose what root writes to.
led_astray() {
	[ "$(id -u)" -eq 0 ] || return 0
	configure 127.0.0.1:0
	: >"$work/shadow"
	rm -f "$work/log"
	ln -s shadow "$work/log"
	chown -h nobody "$work/log"
	refused "log.to $work/log: .*symbolic links" run -c "$work/conf"
	rm "$work/log"
	ln "$work/shadow" "$work/log"
	refused "log.to $work/log: " run -c "$work/conf"
	[ ! -s "$work/shadow" ] || complain "root writes where it was led"
	rm "$work/log"
}

# Nothing is written into what takes the place of standard error.
closed() {
	rm -f "$work/log"
	start -c "$work/conf" <&- >&- 2>&-
	wait_for has '"address":"unix:' "$work/log" || complain "no start"
	[ "$(readlink "/proc/$pid/fd/2")" = /dev/null ] ||
		complain "standard error is something else"
	kill -INT "$pid"
	ended 0
}

flags() {
	start --engine postgres --listen 127.0.0.1:0 --server 127.0.0.1:1 \
		--ssl-mode none 2>"$work/err"
	wait_for has 'event=listen.*endpoint=default' "$work/err" ||
		complain "no endpoint by flags"
	kill -TERM "$pid"
	ended 0
}

# A CA of that many days.
authority() { # FILE DAYS
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$work/key" -out "$1" -days "$2" \
		-subj "/CN=good for $2 days" 2>"$work/err" ||
		complain "openssl: $(cat "$work/err")"
}

# Told once for two endpoints with the same file.
expiring() {
	authority "$work/29" 29
	authority "$work/40" 40
	cat >"$work/conf" <<-END
		log = { to = "$work/expiring"; };
		endpoints = (
		  { name = "a"; engine = "postgres"; listen = "127.0.0.1:0";
		    server = "127.0.0.1:1"; ca = [ "$work/29", "$work/40" ]; },
		  { name = "b"; engine = "postgres"; listen = "unix:$work/b";
		    server = "127.0.0.1:1"; ca = [ "$work/29", "$work/40" ]; } );
	END
	start -c "$work/conf"
	wait_for has 'expiring level=warn .* what=ca subject="CN=good for 29 ' \
		"$work/expiring" || complain "not told"
	kill -TERM "$pid"
	ended 0
	[ "$(grep -c 'certificate.expiring' "$work/expiring")" = 1 ] ||
		complain "an anchor is told more than once, or one too many"
}

# A service manager: ready means that it listens, and the end is announced.
manager() { # SOCKET CONNECT-TO
	python3 - "$1" "$2" <<-'END'
		import socket, sys
		told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		told.settimeout(20)
		told.bind(sys.argv[1])
		print("bound", flush=True)
		ready = told.recv(4096).decode().split("\n")
		client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		client.connect(sys.argv[2])
		print("ready" if "READY=1" in ready else ready, flush=True)
		stopping = told.recv(4096).decode().split("\n")
		print("stopping" if "STOPPING=1" in stopping else stopping,
		    *[s for s in stopping if s.startswith("EXTEND")], flush=True)
	END
}

notified() {
	configure 127.0.0.1:0
	manager "$work/notify" "$work/socket" >"$work/told" 2>&1 &
	local manager=$!
	wait_for has bound "$work/told" || complain "no manager"
	NOTIFY_SOCKET=$work/notify start -c "$work/conf"
	wait_for has ready "$work/told" ||
		complain "the manager was not told: $(cat "$work/told")"
	kill -TERM "$pid"
	wait "$manager"
	grep -qx 'stopping EXTEND_TIMEOUT_USEC=40000000' "$work/told" ||
		complain "of the end it was told $(cat "$work/told")"
	ended 0

	NOTIFY_SOCKET=$work/none start -c "$work/conf"
	wait_for has '"event":"notify.failed".*cannot be told' "$work/log" ||
		complain "a manager that is away is not logged"
	kill -TERM "$pid"
	ended 0
}

usage
information
process
notified
closed
flags
expiring
led_astray
becomes_nobody
[ $failed = 0 ] && echo "run: as it should be"
exit $failed

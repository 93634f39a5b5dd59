#!/bin/bash
# ktls.sh - kernel TLS: user-mode Linux, whose kernel has it, runs dbtls between
# peers that do whatever TLS can do; this machine's kernel, if it has none,
# shows what dbtls does without.
#
# Function can be tested there, speed cannot: that kernel has one CPU and no AES
# instructions.
. "$(dirname "$0")/lib.sh"

readonly BOOT_SECONDS=20 INSIDE_SECONDS=240
PEER=$BUILD/tests/real/ktls_peer

# --- this machine's kernel -------------------------------------------------

# Does it have kernel TLS that a key can be changed of, for all that dbtls
# says?
here_has() {
	"$DBTLS" check -c "$WORK/auto.conf" | grep -q 'kernel TLS for TLS 1.3'
}

here_config() { # FILE KTLS PORT SERVER
	cat >"$WORK/$1.conf" <<-CONF
		threads = 1;
		log = { level = "debug"; };
		endpoints = ( { name = "here"; engine = "tls";
		    listen = "127.0.0.1:$3"; server = "127.0.0.1:$4";
		    ssl_mode = "require"; tls = { ktls = "$2"; }; } );
	CONF
}

here_checks() {
	local port server
	port_new port plain
	port_new server secret
	here_config auto auto "$port" "$server"
	here_config on on "$port" "$server"
	if here_has; then
		skip "a kernel without TLS" "this machine's has it"
		return
	fi
	check "on: check says what is wrong" \
		'tls.ktls: is "on", but this kernel .*set it to "auto"' \
		"$DBTLS" check -c "$WORK/on.conf"
	check "on: and run does not start" \
		'endpoint here: tls.ktls: is "on", but this kernel ' \
		"$DBTLS" run -c "$WORK/on.conf"
	check "auto: check says that it is not used, and why" \
		'kernel TLS not used: this kernel ' \
		"$DBTLS" check -c "$WORK/auto.conf"
	dbtls_again auto || return
	lines "auto, without it" "$PEER" -c plain -s tls -p "$port" \
		-l "$server" -k "$WORK/peer.pem"
	stop auto
	check "auto: the log says so" 'event=ktls.unavailable .*endpoint=here' \
		cat "$WORK/auto.log"
	check_same "auto: of no session the kernel had the records" \
		"$(grep -c 'event=session.close .*ktls=' "$WORK/auto.log")" 0
}

# Each line of COMMAND's is a check of its own.
lines() { # TEXT COMMAND...
	local text=$1 verdict line n=0
	shift
	while read -r verdict line; do
		n=$((n + 1))
		case $verdict in
		ok) pass "$text: $line" ;;
		*) fail "$text" "$verdict $line" ;;
		esac
	done < <("$@" 2>&1 </dev/null)
	[ "$n" -gt 0 ] || fail "$text" "nothing came of it"
}

# --- user-mode Linux -------------------------------------------------------
# Its root is this machine's, read-only but for $WORK.

uml_stage() {
	cat >"$WORK/stage" <<-STAGE
		#!/bin/sh
		PATH=/usr/sbin:/usr/bin:/sbin:/bin
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mountpoint -q /dev || mount -t devtmpfs dev /dev
		[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
		mount -t hostfs none $WORK -o /host$WORK
		ip link set lo up
		echo $WORK/modprobe >/proc/sys/kernel/modprobe
		$WORK/modprobe tls
		: >$WORK/booted
		env LC_ALL=C.UTF-8 HOME=/ bash $REAL/ktls_inside.sh $WORK \\
			$DBTLS $PEER $ROOTS/ssl-trixie </dev/null \\
			>$WORK/inside.out 2>$WORK/inside.log
		echo \$? >$WORK/inside.status
		echo 1 >/proc/sys/kernel/sysrq
		echo o >/proc/sysrq-trigger
		sleep 5
	STAGE
	printf '#!/bin/sh\nexec chroot %s /sbin/modprobe "$@"\n' \
		"$ROOTS/uml-sid" >"$WORK/modprobe"
	chmod 755 "$WORK/stage" "$WORK/modprobe"
}

# In a mount namespace of its own, where all of this machine is at /host.
uml() {
	# shellcheck disable=SC2016 # for the inner shell
	exec unshare --mount --propagation private bash -c '
		mkdir -p "$1/host" && mount --rbind / "$1/host" || exit 125
		IN_ROOT_MOUNTS=own exec "$2" "$1" HOME=/tmp TMPDIR=/dev/shm \
			"${@:3}"
	' uml "$ROOTS/uml-sid" "$REAL/in_root" linux.uml mem=512M \
		rootfstype=hostfs rootflags=/host/ ro init="$WORK/stage" \
		con0=null,fd:1 con=null quiet panic=-1
}

uml_have() {
	root_make uml-sid sid user-mode-linux kmod || return 1
	ln -sfn uml/modules "$ROOTS/uml-sid/usr/lib/modules"
}

inside_over() { [ -e "$WORK/inside.status" ] || gone uml; }

# What came of it, as far as it came.
inside_lines() {
	local verdict line
	while read -r verdict line; do
		case $verdict in
		ok) pass "inside: $line" ;;
		bad) fail "inside" "$line" ;;
		*) echo "         $verdict $line" ;;
		esac
	done <"$WORK/inside.out"
}

inside() {
	uml_stage
	start uml uml
	await $BOOT_SECONDS test -e "$WORK/booted" || {
		skip "kernel TLS in user-mode Linux" \
			"it does not boot here: $(tail -n 1 "$WORK/uml.log")"
		return
	}
	await $INSIDE_SECONDS inside_over ||
		fail "user-mode Linux" "it did not come to its end"
	inside_lines
	check_same "all of it was run" "$(cat "$WORK/inside.status")" 0
	stop uml KILL
}

theme_begin ktls
[ -x "$PEER" ] || theme_skip "there is no $PEER"
certs_make
cat "$PKI/good.chain.pem" "$PKI/good.key" >"$WORK/peer.pem"
chmod 600 "$WORK/peer.pem"
here_checks
if uml_have && root_make ssl-trixie trixie libssl3t64; then
	inside
else
	skip "kernel TLS in user-mode Linux" "its packages cannot be had"
fi
theme_end

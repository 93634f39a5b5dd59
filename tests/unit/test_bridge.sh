#!/bin/bash
# `dbtls bridge rules`: the rules that it prints for a configuration, and what
# it refuses.  That the kernel takes them, and what they then do, is tested in
# tests/real/nat_bridge.sh.
#
# usage: test_bridge.sh DBTLS CERTS
set -u
export LC_ALL=C

dbtls=$1
certs=$(cd "$2" && pwd) || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
ln -s "$certs/ca.crt" ca.crt
failures=0

fail() {
	echo "$*"
	failures=$((failures + 1))
}

endpoint() { # NAME HOW LISTEN SERVERS [SETTINGS]
	echo "{ name = \"$1\"; engine = \"mysql\"; transparent = \"$2\";
	    listen = [ $3 ]; server = ( $4 ); ssl_mode = \"verify-ca\";
	    ca = \"ca.crt\";
	    client_tls = { mode = \"off\"; };
	    allow = [ \"10.0.0.0/8\", \"fd00::/8\" ]; ${5:-} }"
}
configure() { # ENDPOINT...
	local IFS=,
	echo "endpoints = ( $* );" >dbtls.conf
}

rules() { # OPTION...
	"$dbtls" bridge rules -c dbtls.conf "$@" >out 2>err
}
# Is there such a line, spaces made one?
has() { # TEXT LINE
	tr -s ' \t' '  ' <out | sed 's/^ //; s/ $//' | grep -qxF -- "$2" ||
		fail "$1: no line \"$2\": $(cat out err | head -c 4000)"
}
has_not() { # TEXT PATTERN
	! grep -qE -- "$2" out || fail "$1: $(grep -E -- "$2" out)"
}
refused() { # TEXT PATTERN OPTION...
	local text=$1 pattern=$2 status=0
	shift 2
	rules "$@" || status=$?
	[ $status = 2 ] || fail "$text: status $status"
	grep -qE "^dbtls: .*$pattern" err || fail "$text: $(cat err)"
	[ ! -s out ] || fail "$text: something is printed all the same"
}

three=(
	"$(endpoint orders tproxy '"0.0.0.0:15432", "[::]:15432"' \
		'"10.1.0.20:5432", "[fd00:1::20]:5432"' 'source = "client";')"
	"$(endpoint fleet redirect '"0.0.0.0:13306"' \
		'"10.2.0.0/16:3306", "10.2.7.7:3306", "10.2.7.7:3307"')"
	"$(endpoint name redirect '"0.0.0.0:13306"' '"db.test:3308"')"
)
configure "${three[@]}"
rules || fail "three endpoints: status $?"
has "a fixed address" '10.1.0.20 . 5432 comment "orders",'
has "one of IPv6, in a set of its own" 'fd00:1::20 . 5432 comment "orders",'
has "a network" '10.2.0.0/16 . 3306 comment "fleet",'
has "what is within another is left out" \
	'# 10.2.7.7 . 3306 of fleet is within another'
has "at another port it is not" '10.2.7.7 . 3307 comment "fleet",'
has "a name is told of" '# db.test:3308 of name'
has_not "and is in no set" 'db\.test \.'
has "redirect" 'meta l4proto tcp ip daddr . tcp dport @fixed_4_13306 redirect to :13306'
has "redirect by name" 'meta l4proto tcp ip daddr . tcp dport @named_4_13306 redirect to :13306'
has "tproxy" 'meta l4proto tcp ip daddr . tcp dport @fixed_4_15432 tproxy ip to :15432 meta mark set 219 accept'
has "tproxy of IPv6" 'meta l4proto tcp ip6 daddr . tcp dport @fixed_6_15432 tproxy ip6 to :15432 meta mark set 219 accept'
has "answers are delivered" 'meta l4proto tcp socket wildcard 0 socket transparent 1 meta mark set 219 accept'
has "a route for them" 'ip -6 route replace local default dev lo table 219'
has "what is missed is refused" 'ip daddr . tcp dport @fixed_4_13306 counter reject with tcp reset'
has "and wherever a name may be next" 'tcp dport @ports_4_13306 counter reject with tcp reset'
has_not "nothing is done for this host's own" 'output|skuid'
grep -q "^# $(sha256sum <dbtls.conf | cut -d' ' -f1)\.$" out ||
	fail "the script does not say what it is for"

rules --interface eth0 -i eth1.7 --pass 10.2.9.0/24 --pass fd00:9::1 \
	--local dbtls --mark 0x10 --table 77 || fail "options: status $?"
has "interfaces" 'iifname { "eth0", "eth1.7" } meta l4proto tcp ip daddr . tcp dport @fixed_4_13306 redirect to :13306'
has "let pass" 'elements = { 10.2.9.0/24 }'
has "let pass, of IPv6" 'ip6 daddr @pass_6 accept'
has "this host's own" 'meta skuid != dbtls meta l4proto tcp ip daddr . tcp dport @fixed_4_13306 redirect to :13306'
has "what stays on this host is not refused, as what was redirected" \
	'fib daddr type local accept'
has "this host's own that is missed is refused" 'meta skuid != dbtls ip daddr . tcp dport @fixed_4_15432 counter reject with tcp reset'
has "the mark" 'ip -4 rule add pref 77 fwmark 0x10 lookup 77'

# An address of its own, not all; TPROXY may end at loopback.
configure "$(endpoint a redirect '"10.0.0.1:13306"' '"10.2.0.0/16:3306"')" \
	"$(endpoint b tproxy '"127.0.0.1:13307"' '"10.3.0.0/16:3306"')" \
	"$(endpoint c redirect '"10.0.0.2:13306"' '"10.4.0.0/16:3306"')"
rules || fail "addresses: status $?"
has "to one address" 'meta l4proto tcp ip daddr . tcp dport @fixed_4_13306 dnat ip to 10.0.0.1:13306'
has "to loopback" 'meta l4proto tcp ip daddr . tcp dport @fixed_4_13307 tproxy ip to 127.0.0.1:13307 meta mark set 219 accept'
has "the same port elsewhere" 'meta l4proto tcp ip daddr . tcp dport @fixed_4_13306_2 dnat ip to 10.0.0.2:13306'

# Answers to clients' addresses, and nothing to catch.
configure "$(endpoint a redirect '"0.0.0.0:1"' '"10.2.0.1:3306"' |
	sed 's/transparent = "redirect";/source = "client";/')"
rules || fail "source = client alone: status $?"
has "answers" 'meta l4proto tcp socket wildcard 0 socket transparent 1 meta mark set 219 accept'
has_not "nothing is caught" '@fixed|chain (catch|guard)'

configure "$(endpoint a redirect '"127.0.0.1:13306"' '"10.2.0.1:3306"')"
refused "redirected to loopback" 'cannot be redirected to loopback; listen on 0\.0\.0\.0:13306'
configure "$(endpoint a redirect '"0.0.0.0:1"' '"10.2.0.0/16:3306"')" \
	"$(endpoint b tproxy '"0.0.0.0:2"' '"10.2.1.0/24:3306"')"
refused "two listeners for one destination" 'is also in .* at another listen address'
configure "$(endpoint a redirect '"0.0.0.0:1"' '"10.2.0.1:3306"' |
	sed 's/transparent = "redirect";//')"
refused "nothing transparent" 'no endpoint is transparent'
configure "${three[0]}"
refused "local connections by tproxy" '--local: ' --local dbtls

# shellcheck disable=SC2016 # that is what must not get through
for word in 'a;b' "a'b" 'a"b' 'a b' '' '$x' '-x' '0123456789abcdef'; do
	refused "interface $word" '--interface: ' "--interface=$word"
	[ "$word" = 0123456789abcdef ] ||
		refused "user $word" '--local: ' "--local=$word"
	refused "mark $word" '--mark: ' "--mark=$word"
done
refused "everything is let pass" '--pass: ' --pass 0.0.0.0/0
refused "no network" '--pass: ' --pass x
refused "a table of the kernel's" '--table: ' --table 254
refused "a mark of nothing" '--mark: ' --mark 0
refused "two at once" '--down and --names' --down --names
"$dbtls" bridge 2>err && fail "no word: success"
grep -q 'it takes the word rules' err || fail "no word: $(cat err)"

# Without a configuration.
"$dbtls" bridge rules --down -c none >out || fail "down: status $?"
has "down" 'delete table inet dbtls_bridge'
has "down: routes" 'ip -6 route del local default dev lo table 219 2>/dev/null || :'

# Names: what the hosts file has, and what nobody has.
configure "$(endpoint name redirect '"0.0.0.0:1", "[::]:1"' '"localhost:3308"')"
rules --names || fail "names: status $?"
has "of IPv4" 'add element inet dbtls_bridge named_4_1 { 127.0.0.1 . 3308 timeout 300s comment "name" }'
has "of IPv6" 'add element inet dbtls_bridge named_6_1 { ::1 . 3308 timeout 300s comment "name" }'
has "anew" 'delete element inet dbtls_bridge named_4_1 { 127.0.0.1 . 3308 }'
has_not "families are kept apart" 'named_4_1 { ::1|named_6_1 { 127'
configure "$(endpoint name redirect '"0.0.0.0:1", "[::]:1"' '"no-such.invalid:3308"')"
rules --names || :
[ "$(grep -c no-such.invalid err)" = 1 ] || fail "not told once: $(cat err)"

[ $failures = 0 ] && echo "bridge: as it should be"
exit $((failures > 0))

#!/bin/bash
# Seeds a copy of the manual pages, and of the code that they are held to, with
# one fault of each kind, and expects manual.sh to find it.
#
# usage: test_manual.sh SOURCE_DIR PRINT_OPTIONS DBTLS
set -eu

source=$1
shift
tree=$(mktemp -d)
trap 'rm -rf "$tree" "$tree.out"' EXIT
mkdir "$tree/contrib"
failed=0

# NAME FILE EDIT WHAT-IS-SAID: with FILE as sed's EDIT leaves it.
expect() {
	local name=$1 file=$2 edit=$3 said=$4 status=0
	shift 4
	rm -rf "$tree"/{conf,contrib/man,protocols,proxy}
	cp -r "$source"/{conf,protocols,proxy} "$tree"
	cp -r "$source/contrib/man" "$tree/contrib"
	sed -i "$edit" "$tree/$file"
	[ -z "$edit" ] || ! cmp -s "$source/$file" "$tree/$file" || {
		echo "FAIL $name: nothing is seeded"
		failed=1
	}
	"$source/tests/checks/manual.sh" "$tree" "${tools[@]}" \
	    >"$tree.out" 2>&1 || status=$?
	if grep -qe "$said" "$tree.out" &&
	    [ $status -eq $((${#edit} > 0)) ]; then
		echo "ok   $name"
	else
		echo "FAIL $name: status $status: $(cat "$tree.out")"
		failed=1
	fi
}
tools=("$@")

page=contrib/man/dbtls.1
expect pages_as_they_are_pass $page '' '^manual: '
expect setting_without_its_default contrib/man/dbtls.conf.5 \
    's/^\(\.B ssl_mode\) = .*/\1/' '^< ssl_mode = verify-full$'
expect command_that_is_left_out $page 's/dbtls verify/dbtls judge/' \
    'does not have the command verify$'
expect reason_that_is_left_out $page 's/no_endpoint/no endpoint/' \
    'does not have the reason no_endpoint$'
expect event_that_is_left_out $page '/^\.B tls\.key_limit$/d' \
    '^< tls\.key_limit$'
expect event_that_does_not_exist $page 's/^\.B worker\.failed$/.B no.such/' \
    '^> no\.such$'
expect event_of_a_line_of_two $page 's/, " log\.reopened "//' \
    '^< log\.reopened$'
expect new_event proxy/worker.c 's/"worker\.failed"/"worker.new"/' \
    '^< worker\.new$'
expect event_that_is_one_of_two proxy/session_log.c \
    's/"session\.refused"/"session.new"/' '^< session\.new$'
expect event_by_another_name proxy/worker.c 's/"worker\.failed"/event/' \
    'not named where it is logged: log_event(LEVEL_ERR, event in '
exit $failed

#!/bin/bash
# Seeds a small tree with one fault of each kind and expects
# contrib/check-style.sh to find each of them, and nothing else.
#
# usage: test_style.sh SOURCE_DIR
set -eu

SKIPPED=77 # for ctest
for tool in clang-format shellcheck; do
	command -v $tool >/dev/null || { echo "no $tool"; exit $SKIPPED; }
done
check=$1/contrib/check-style.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree" "$tree".*' EXIT
mkdir "$tree/proxy" "$tree/tests"
cp "$1/.clang-format" "$tree"
failed=0

# NAME FILE EXPECTED-LINE...: looks at FILE, as it came on standard input.
expect() {
	local name=$1 file=$2 status=0
	shift 2
	cat >"$tree/$file"
	"$check" "$tree" >"$tree.out" 2>&1 || status=$?
	grep -v '^style: ' "$tree.out" >"$tree.found" || true
	if printf '%s\n' "$@" | sed '/^$/d' |
	    cmp -s - "$tree.found" && [ $status -eq $(($# > 0)) ]; then
		echo "ok   $name"
	else
		echo "FAIL $name: status $status, expected:"
		printf '%s\n' "$@"
		echo "found:"
		cat "$tree.out"
		failed=1
	fi
	rm -f "$tree/$file" "$tree.out" "$tree.found"
}

# A function of so many lines.
function_of() {
	echo 'void'
	echo 'f(void)'
	echo '{'
	for _ in $(seq $(($1 - 4))); do
		printf '\tg();\n'
	done
	echo '}'
}

expect clean_file_passes proxy/a.c <<'END'
/* It's fine: "strcpy(a, b)" and // are only talked about. */
#define TWICE(x) ((x) + (x))

static const char *const quote[] = { "// no comment \" sprintf(", "'" };

int
f(int a)
{
	struct g g = { .a = TWICE(a), .b = { 1, 2 } };

	TAILQ_FOREACH(i, &g.list, link) {
		if (a == '"')
			break;
		else if (a == '\'')
			continue;
	}
	switch (a) {
	case 1:
		if (g.a)
			return 2;
	}
	return quote[0][a];
}
END
function_of 60 | expect sixty_lines_pass proxy/a.c
function_of 61 | expect sixty_one_do_not proxy/a.c \
    "proxy/a.c:1: f() has 61 lines, more than 60"
expect three_levels_pass proxy/a.c <<'END'
void
f(void)
{
	for (;;)
		while (1)
			if (g())
				h();
			else if (i())
				j();
	if (1) {
	} else if (2) {
	} else if (3) {
	} else if (4) {
	} else if (5) {
	}
}
END
expect four_levels_do_not proxy/a.c \
    "proxy/a.c:9: f() nests 4 levels deep, more than 3" <<'END'
void
f(void)
{
	switch (1) {
	case 1:
		do {
			LIST_FOREACH(a, b, c)
				if (g())
					h();
		} while (1);
	}
}
END
expect nesting_in_else_is_seen proxy/a.c \
    "proxy/a.c:10: f() nests 4 levels deep, more than 3" <<'END'
void
f(void)
{
	if (a) {
		b();
	} else {
		while (c)
			while (d)
				if (e)
					g();
	}
}
END
expect layout_is_seen proxy/a.c \
    "proxy/a.c:1: not as clang-format has it" <<'END'
int f(void)
{
	return 0;
}
END
printf 'int a; \n' | expect space_at_end_is_seen proxy/a.c \
    "proxy/a.c:1: not as clang-format has it" \
    "proxy/a.c:1: space at the end of the line"
printf '/*\n * %s\n */\n' "$(printf '%080d' 0)" |
	expect long_line_is_seen proxy/a.c \
	    "proxy/a.c:2: 83 columns, more than 80"
printf 'static int a = /* \303\266 */ 1;\n' | expect not_ascii_is_seen \
    proxy/a.c "proxy/a.c:1: not ASCII"
expect banned_calls_are_seen proxy/a.c "proxy/a.c:4: calls strcpy()" \
    "proxy/a.c:5: calls atoi()" "proxy/a.c:6: calls sscanf()" <<'END'
void
f(void)
{
	strcpy(a, b);
	c = atoi(d);
	sscanf(a, "%d", &c);
}
END
echo 'int a; // a comment' | expect line_comment_is_seen proxy/a.c \
    "proxy/a.c:1: a // comment; write /* */"
echo '#define LEAVE return 1' |
	expect macro_that_returns_is_seen proxy/a.c \
	    "proxy/a.c:1: a macro that returns or jumps"
echo 'typedef struct a b;' | expect typedef_is_seen proxy/a.c \
    "proxy/a.c:1: a typedef of a struct"
printf '/* %s: this too */\n' 'TO''DO' | expect note_to_self_is_seen \
    proxy/a.c "proxy/a.c:1: something left to be done"
printf 'path = "/%s/me/key.pem";\n' 'ho''me' | expect machine_path_is_seen \
    tests/a.conf "tests/a.conf:1: a path of one machine"
echo 'int f(struct b *b, size_t n);' | expect dependent_header_is_seen \
    proxy/a.h "proxy/a.h:1: does not compile alone: error: unknown type name \
'size_t'"
printf '#!/bin/sh\nif true\n' | expect broken_script_is_seen tests/a \
    "tests/a:1: tests/a: line 3: syntax error: unexpected end of file"
# shellcheck disable=SC2016
printf '#!/bin/sh\necho "$nowhere"\n' | expect faulty_script_is_seen tests/a \
    "tests/a:2: nowhere is referenced but not assigned. [SC2154]"
exit $failed

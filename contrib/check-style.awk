# What contrib/check-style.sh wants to know of C sources: reads them as lines
# and as tokens, prints violations as FILE:LINE: TEXT, and writes one line for
# each function to the file `functions`: LINES NESTING FILE:LINE NAME.

BEGIN {
	COLUMNS = 80
	FUNCTION_LINES = 60
	NESTING = 3
	n = split("alloca atof atoi atol atoll asctime bcopy bzero ctime " \
	    "ctime_r fscanf gethostbyname getpw gets getwd gmtime index " \
	    "inet_addr inet_aton inet_ntoa localtime longjmp mktemp rand " \
	    "rindex scanf setjmp signal sigsetjmp sleep sprintf " \
	    "strcat strcpy strncat strncpy strtok tempnam tmpnam usleep " \
	    "vsprintf stpcpy siglongjmp srand", list, " ")
	for (i = 1; i <= n; i++)
		banned[list[i]] = 1
	banned_in_product["sscanf"] = 1 # an overflow is undefined
}

function complain(line, text) {
	print file ":" line ": " text
}

# The width of a line with tabs of 8.
function width(s,    w, at) {
	w = 0
	while ((at = index(s, "\t")) > 0) {
		w += at - 1
		w += 8 - w % 8
		s = substr(s, at + 1)
	}
	return w + length(s)
}

function check_line(s) {
	if (s ~ /[ \t\r]$/)
		complain(FNR, "space at the end of the line")
	if (s ~ /^\t* +\t/ || (!in_comment && s ~ /^\t*        /))
		complain(FNR, "spaces where a tab belongs")
	if (s ~ /[^\t -~]/)
		complain(FNR, "not ASCII")
	if (width(s) > COLUMNS)
		complain(FNR, width(s) " columns, more than " COLUMNS)
}

# The line without comments, and with nothing inside quotes.
function code_of(s,    out, at, rest) {
	out = ""
	while (s != "") {
		if (in_comment) {
			at = index(s, "*/")
			if (at == 0)
				return out
			in_comment = 0
			s = substr(s, at + 2)
			continue
		}
		if (!match(s, /"|'|\/\*|\/\//))
			return out s
		rest = substr(s, RSTART)
		out = out substr(s, 1, RSTART - 1)
		if (substr(rest, 1, 2) == "/*") {
			in_comment = 1
			out = out " "
			s = substr(rest, 3)
		} else if (substr(rest, 1, 2) == "//") {
			complain(FNR, "a // comment; write /* */")
			return out
		} else if (match(rest, /^"([^"\\]|\\.)*"/)) {
			out = out "\"\""
			s = substr(rest, RLENGTH + 1)
		} else if (match(rest, /^'([^'\\]|\\.)*'/)) {
			out = out "0"
			s = substr(rest, RLENGTH + 1)
		} else {
			s = substr(rest, 2)
		}
	}
	return out
}

function add_tokens(s) {
	while (match(s, /[A-Za-z_][A-Za-z_0-9]*|[^ \t]/)) {
		token[++ntokens] = substr(s, RSTART, RLENGTH)
		line_of[ntokens] = FNR
		s = substr(s, RSTART + RLENGTH)
	}
}

function check_macro(s) {
	if (s ~ /(^|[^A-Za-z_0-9])(return|goto)([^A-Za-z_0-9]|$)/)
		complain(FNR, "a macro that returns or jumps")
}

# From an opening bracket to the one that closes it.
function balanced(i,    depth) {
	depth = 0
	for (; i <= ntokens; i++) {
		if (token[i] ~ /^[({[]$/)
			depth++
		else if (token[i] ~ /^[)}\]]$/ && --depth == 0)
			return i
	}
	return ntokens
}

# Past one statement; `deepest` learns how deep it goes.
function statement(i, depth,    t) {
	if (depth > deepest) {
		deepest = depth
		deepest_line = line_of[i]
	}
	t = token[i]
	if (t == "{") {
		for (i++; i <= ntokens && token[i] != "}"; )
			i = statement(i, depth)
		return i + 1
	}
	if (t == "do") {
		i = statement(i + 1, depth + 1)
		return past_semicolon(i)
	}
	if (t == "for" || t == "while" || t == "switch" ||
	    t ~ /_FOREACH(_|$)/)
		return statement(balanced(i + 1) + 1, depth + 1)
	if (t == "if") {
		i = statement(balanced(i + 1) + 1, depth + 1)
		if (token[i] != "else")
			return i
		return statement(i + 1, token[i + 1] == "if" ? depth : \
		    depth + 1)
	}
	if (t == "case" || t == "default") {
		while (i <= ntokens && token[i] != ":")
			i++
		return i + 1
	}
	if (token[i + 1] == ":" && t ~ /^[A-Za-z_]/)
		return i + 2
	return past_semicolon(i)
}

function past_semicolon(i) {
	while (i <= ntokens && token[i] != ";")
		i = (token[i] ~ /^[({[]$/) ? balanced(i) + 1 : i + 1
	return i + 1
}

function check_function(start, open, name,    end, lines) {
	end = balanced(open)
	lines = line_of[end] - line_of[start] + 1
	deepest = 0
	statement(open, 0)
	print lines, deepest, file ":" line_of[start], name >functions
	if (lines > FUNCTION_LINES)
		complain(line_of[start], name "() has " lines \
		    " lines, more than " FUNCTION_LINES)
	if (deepest > NESTING)
		complain(deepest_line, name "() nests " deepest \
		    " levels deep, more than " NESTING)
	return end
}

function check_tokens(    i, start, name) {
	start = 1
	for (i = 1; i <= ntokens; i++) {
		if (token[i] == "signal" && token[i + 4] ~ /^SIG_/)
			continue # no handler: means the same everywhere
		if (token[i + 1] == "(" && (token[i] in banned ||
		    (token[i] in banned_in_product && file !~ /^tests\//)))
			complain(line_of[i], "calls " token[i] "()")
		if (token[i] == "packed")
			complain(line_of[i], "a packed struct")
		if (token[i] == "typedef" &&
		    token[i + 1] ~ /^(struct|union|enum)$/)
			complain(line_of[i], "a typedef of a " token[i + 1])
	}
	for (i = 1; i <= ntokens; i++) {
		if (token[i] == ";") {
			start = i + 1
		} else if (token[i] == "(" || token[i] == "[") {
			if (token[i - 1] ~ /^[A-Za-z_]/ &&
			    token[i - 1] != "__attribute__")
				name = token[i - 1]
			i = balanced(i)
		} else if (token[i] == "{") {
			if (token[i - 1] == ")") {
				i = check_function(start, i, name)
				start = i + 1
			} else {
				i = balanced(i)
			}
		}
	}
}

function end_of_file() {
	if (file == "")
		return
	check_tokens()
	delete token
	delete line_of
	ntokens = 0
}

FNR == 1 {
	end_of_file()
	file = FILENAME
	in_comment = in_macro = 0
}

{
	check_line($0)
	code = code_of($0)
	if (in_macro || code ~ /^[ \t]*#/) {
		if (code ~ /^[ \t]*#[ \t]*define/)
			defines = 1
		if (defines)
			check_macro(code)
		in_macro = code ~ /\\$/
		if (!in_macro)
			defines = 0
	} else {
		add_tokens(code)
	}
}

END {
	end_of_file()
}

# The judge of contrib/check-layers.sh, which says what each input is by
# setting `input`: table, files, includes, symbols.

function complain(where, text) {
	print where ": " text
	violations++
}

# Does one of these patterns match all of `text`?
function matches(text, patterns,    list, n, i, re) {
	n = split(patterns, list, " ")
	for (i = 1; i <= n; i++) {
		re = list[i]
		gsub(/[.+?()\[\]{}^$|\\]/, "\\\\&", re)
		gsub(/\*/, "[^/]*", re)
		if (text ~ ("^" re "$"))
			return 1
	}
	return 0
}

function listed(word, words) {
	return index(" " words " ", " " word " ") > 0
}

function layer_of(file,    i) {
	if (file in layer_cache)
		return layer_cache[file]
	for (i = 1; i <= nlayers; i++)
		if (matches(file, patterns_of[layer[i]]))
			return layer_cache[file] = layer[i]
	return layer_cache[file] = ""
}

function library_of_header(header,    i) {
	for (i = 1; i <= nlibraries; i++)
		if (matches(header, headers_of[library[i]]))
			return library[i]
	return ""
}

# FORTIFY and C99 give some functions other names.
function plain_symbol(s) {
	if (s ~ /^__.*_chk$/)
		return substr(s, 3, length(s) - 6)
	sub(/^__isoc99_/, "", s)
	return s
}

function library_of_symbol(symbol,    i) {
	if (symbol in symbol_cache)
		return symbol_cache[symbol]
	for (i = 1; i <= nlibraries; i++)
		if (matches(symbol, symbols_of[library[i]]))
			break
	if (i > nlibraries && plain_symbol(symbol) != symbol)
		return symbol_cache[symbol] = \
		    library_of_symbol(plain_symbol(symbol))
	return symbol_cache[symbol] = i > nlibraries ? "" : library[i]
}

# proxy/CMakeFiles/dbtls.dir/commands/run.c.o was made of
# proxy/commands/run.c; "" if that is none of our files.
function source_of(object) {
	sub(/CMakeFiles\/[^\/]*\.dir\//, "", object)
	sub(/\.o$/, "", object)
	while (object ~ /[^\/]*\/__\//)
		sub(/[^\/]*\/__\//, "", object)
	return (object in is_file) ? object : ""
}

input == "table" {
	sub(/#.*/, "")
	if (NF == 0)
		next
	where = FILENAME ":" FNR
	key = $1
	$1 = ""
	sub(/^ +/, "")
	if (key == "library") {
		library[++nlibraries] = current = $0
	} else if (key == "layer") {
		layer[++nlayers] = current = $0
		known[current] = 1
	} else if (key == "headers") {
		headers_of[current] = headers_of[current] " " $0
	} else if (key == "symbols") {
		symbols_of[current] = symbols_of[current] " " $0
	} else if (key == "files") {
		patterns_of[current] = patterns_of[current] " " $0
	} else if (key == "libraries") {
		libraries_of[current] = libraries_of[current] " " $0
	} else if (key == "except") {
		exceptions_of[current] = exceptions_of[current] " " $0
	} else if (key == "state") {
		state_of[current] = state_of[current] " " $0
	} else if (key == "layers") {
		for (i = 1; i <= NF; i++)
			if (!($i in known) || $i == current)
				complain(where, "layer " current \
				    " cannot use " $i ", it is not below it")
		layers_of[current] = layers_of[current] " " $0
	} else {
		complain(where, "not understood: " key)
	}
	next
}

input == "files" {
	is_file[$0] = 1
	file[++nfiles] = $0
	if (layer_of($0) == "")
		complain($0, "is in no layer of " table)
	next
}

# FILE:LINE:#include ...
input == "includes" {
	nincludes++
	split($0, part, ":")
	where = part[1] ":" part[2]
	from = layer_of(part[1])
	if (from == "")
		next
	if (match($0, /<[^>]*>/)) {
		header = substr($0, RSTART + 1, RLENGTH - 2)
		owner = library_of_header(header)
		if (owner == "")
			complain(where, "<" header "> is in no library of " \
			    table)
		else if (!listed(owner, libraries_of[from]))
			complain(where, "includes <" header ">: layer " from \
			    " may not see " owner)
	} else if (match($0, /"[^"]*"/)) {
		header = substr($0, RSTART + 1, RLENGTH - 2)
		print part[1] " " header >edges
		to = layer_of(header)
		if (!(header in is_file))
			complain(where, "\"" header "\" is no file of ours; " \
			    "write it from the top of the tree")
		else if (header !~ /\.h$/)
			complain(where, "includes \"" header "\", no header")
		else if (to != from && !listed(to, layers_of[from]))
			complain(where, "includes \"" header "\": layer " \
			    from " may not see layer " to)
	} else {
		complain(where, "not understood: " part[3])
	}
	next
}

# nm -A -f sysv: OBJECT:NAME |value|class|type|size|line|section
input == "symbols" && /\|/ {
	n = split($0, part, "|")
	object = part[1]
	sub(/\.o:.*/, ".o", object)
	name = substr(part[1], length(object) + 2)
	gsub(/ /, "", name)
	class = part[3]
	section = part[n]
	gsub(/ /, "", class)
	gsub(/[ \t]/, "", section)
	source = source_of(object)
	if (source == "")
		next
	if (!(source in has_object)) {
		has_object[source] = 1
		nobjects++
	}
	if (class == "U" || class == "w" || class == "v") {
		wanted[++nwanted] = source SUBSEP name
	} else {
		if (class ~ /[A-Z]/)
			definers[name] = definers[name] " " source
		if (name ~ /^__asan_|^__tsan_/ || name ~ /^__odr_asan/)
			instrumented[source] = 1
		if (class ~ /[bBdDC]/ && section !~ /^\.data\.rel\.ro/)
			state[++nstate] = source SUBSEP name
	}
}

function check_call(source, symbol,    from, list, n, i, to, owner) {
	from = layer_of(source)
	if (listed(symbol, exceptions_of[from]))
		return
	n = split(definers[symbol], list, " ")
	for (i = 1; i <= n; i++) {
		to = layer_of(list[i])
		if (to == from || listed(to, layers_of[from]))
			return
	}
	if (n > 0) {
		complain(source, "uses " symbol " of " list[1] ": layer " \
		    from " may not use layer " to)
		return
	}
	owner = library_of_symbol(symbol)
	if (owner == "")
		complain(source, "uses " symbol ": in no library of " table)
	else if (owner != "compiler" && !listed(owner, libraries_of[from]))
		complain(source, "uses " symbol ": layer " from \
		    " may not use " owner)
}

END {
	for (i = 1; i <= nwanted; i++) {
		split(wanted[i], part, SUBSEP)
		if (!(wanted[i] in seen)) {
			seen[wanted[i]] = 1
			nsymbols++
			check_call(part[1], part[2])
			if (part[2] ~ /^__(asan|tsan)_init/)
				instrumented[part[1]] = 1
		}
	}
	for (i = 1; i <= nstate; i++) {
		split(state[i], part, SUBSEP)
		name = part[2] # gcc says name.1, clang function.name
		sub(/\.[0-9]+$/, "", name)
		sub(/^.*\./, "", name)
		if (part[1] in instrumented)
			continue
		if (!matches(name, state_of[layer_of(part[1])]))
			complain(part[1], name " can change, and outlives " \
			    "every session; make it const or a struct's")
	}
	for (i = 1; i <= nfiles; i++)
		if (file[i] ~ /\.c$/ && file[i] ~ /^(protocols|conf|proxy)\// \
		    && objects && !(file[i] in has_object))
			complain(file[i], "has no object in the build folder" \
			    "; build first, and list it in CMakeLists.txt")
	printf "layers: %d layers, %d files, %d includes", nlayers, nfiles,
	    nincludes
	if (objects)
		printf ", %d objects, %d uses of a symbol", nobjects, nsymbols
	printf ": %d violations\n", violations
	exit violations > 0
}

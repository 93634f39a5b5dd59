# report.awk - raw lines to tables, and goals to met or missed
#
#	awk -f report.awk -v rounds=N goals.txt raw.txt
#
# A figure is a name of its own, "bulk up-1-16384 cpu_gb"; of each there are
# as many values as rounds.  A goal is judged by the median of the ratios of
# each round.

function median(list,    a, n, i, j, t) {
	n = split(list, a, " ")
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && a[j] + 0 < a[j - 1] + 0; j--) {
			t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
		}
	if (n == 0)
		return ""
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}

function put(figure, peer, x) {
	value[figure, peer, round] = x
	all[figure, peer] = all[figure, peer] " " x
	loud[figure, peer, round] = f["noisy"] + 0
	dirty[figure, peer] += f["noisy"]
}

# What a raw line says, as figures.
function figures(part, cell, peer,    key) {
	key = part " " cell
	if (!(key in known)) {
		known[key] = ++keys
		key_at[keys] = key
	}
	if (!((key, peer) in known)) {
		known[key, peer] = 1
		peers_at[key] = peers_at[key] " " peer
	}
	if ("bytes" in f && f["bytes"] > 0) {
		put(key " cpu_gb", peer, f["cpu"] / f["bytes"] * 1e9)
		put(key " gb_s", peer, f["bytes"] / f["seconds"] / 1e9)
		if ("calls" in f)
			put(key " calls_mb", peer, f["calls"] / f["bytes"] * 1e6)
	}
	if ("trips" in f && f["trips"] > 0) {
		put(key " cpu_us", peer, f["cpu"] / f["trips"] * 1e6)
		put(key " trips_s", peer, f["trips"] / f["seconds"])
		put(key " p50_us", peer, f["p50"])
		put(key " p99_us", peer, f["p99"])
		if ("calls" in f)
			put(key " calls_trip", peer, f["calls"] / f["trips"])
	}
	if ("handshakes" in f && f["handshakes"] > 0) {
		put(key " cpu_us", peer, f["cpu"] / f["handshakes"] * 1e6)
		put(key " per_s", peer, f["handshakes"] / f["seconds"])
		put(key " resumed", peer, \
			f["secured"] ? f["resumed"] / f["secured"] : 0)
	}
	if ("connections" in f)
		put(key " kib", peer, f["grown_kib"] / f["connections"])
	if ("transactions" in f && f["transactions"] > 0) {
		put(key " cpu_us", peer, f["cpu"] / f["transactions"] * 1e6)
		put(key " per_s", peer, f["transactions"] / f["seconds"])
	}
	if ("aes" in f) {
		put(key " aes_gb", peer, f["aes"])
		put(key " full_us", peer, f["full"])
		put(key " resumed_us", peer, f["resumed"])
	}
}

# The least of several peers in this round; "" if nobody has a value.
function least(figure, peers, r,    a, n, i, best) {
	best = ""
	n = split(peers, a, " ")
	for (i = 1; i <= n; i++) {
		if (!((figure, a[i], r) in value))
			continue
		noise += loud[figure, a[i], r]
		if (best == "" || value[figure, a[i], r] < best)
			best = value[figure, a[i], r]
	}
	return best
}

# What a goal divides by: "-" nothing, "L CELL" the limit of a direction, or
# "FIGURE : PEERS".
function divisor(by, r, peer,    a, l) {
	if (by == "-")
		return 1
	if (by ~ /^L /) {
		sub(/^L /, "", by)
		l = least("limits " by " cpu_gb", "copy", r)
		a[1] = least("limits ecdsa aes_gb", "openssl", r)
		return l == "" || a[1] == "" ? "" : l + a[1]
	}
	split(by, a, / *: */)
	sub(/SAME/, peer, a[2])
	return least(a[1], a[2], r)
}

# One goal of one peer: its ratio, and the verdict.
function judge(figure, by, peer, limit, least_wanted,    r, x, d, clean, any, n, ratio) {
	if (limit == "-")
		return "| - "
	for (r = 1; r <= rounds; r++) {
		noise = 0
		x = least(figure, peer, r)
		d = divisor(by, r, peer)
		if (x == "" || d == "" || d == 0)
			continue
		any = any " " x / d
		if (noise == 0) {
			clean = clean " " x / d
			n++
		}
	}
	if (any == "")
		return sprintf("| not measured (%s) ", limit)
	ratio = median(n >= 5 ? clean : any)
	if (n < 5)
		return sprintf("| %.3f (%s): %s, %d quiet rounds ", ratio, \
			limit, split(any, d_unused, " ") < 5 ? \
			"too few rounds" : "noisy", n)
	if (least_wanted ? ratio >= limit : ratio <= limit)
		return sprintf("| %.3f (%s): met ", ratio, limit)
	return sprintf("| %.3f (%s): **missed by %.0f %%** ", ratio, limit, \
		(ratio / limit - 1) * (least_wanted ? -100 : 100))
}

function print_goals(    i, g, figure, wanted) {
	print "## Goals\n"
	print "Each is the median of the rounds' ratios, with what is " \
		"wanted in brackets.\n"
	print "| goal | records = openssl | records = direct |"
	print "|---|---|---|"
	for (i = 1; i <= goals; i++) {
		split(goal[i], g, / *\| */)
		wanted = sub(/^>= */, "", g[4])
		sub(/^>= */, "", g[5])
		printf "| %s %s%s|\n", g[1], \
			judge(g[2], g[3], g[6] == "" ? "dbtls" : g[6], g[4], \
				wanted), \
			judge(g[2], g[3], "direct", g[5], wanted)
	}
	print ""
}

function print_key(key,    a, p, n, m, i, j, names, row) {
	m = split("cpu_gb gb_s cpu_us trips_s p50_us p99_us per_s resumed " \
		"kib calls_mb calls_trip aes_gb full_us resumed_us", names, " ")
	n = split(peers_at[key], p, " ")
	row = "| " key " |"
	for (j = 1; j <= m; j++) {
		for (i = 1; i <= n; i++)
			if ((key " " names[j], p[i]) in all)
				break
		used[j] = i <= n
		if (used[j])
			row = row " " names[j] " |"
	}
	print row
	gsub(/[^|]+/, "---", row)
	print row
	for (i = 1; i <= n; i++) {
		row = "| " p[i] (failed[key, p[i]] ? " (failed " \
			failed[key, p[i]] " times)" : "") " |"
		for (j = 1; j <= m; j++)
			if (used[j])
				row = row " " shown(key " " names[j], p[i]) " |"
		print row
	}
	print ""
}

function shown(figure, peer,    x) {
	if (!((figure, peer) in all))
		return "-"
	x = median(all[figure, peer])
	return sprintf(x >= 1000 ? "%.0f" : x >= 100 ? "%.1f" : \
		x >= 10 ? "%.2f" : "%.3f", x) (dirty[figure, peer] ? "*" : "")
}

FNR == 1 { file++ }
file == 1 {
	if ($0 !~ /^#/ && NF > 0)
		goal[++goals] = $0
	next
}
/^#/ {
	head = head "- " substr($0, 3) "\n"
	next
}
{
	delete f
	round = $1
	for (i = 5; i <= NF; i++) {
		split($i, pair, "=")
		f[pair[1]] = pair[2]
	}
	if ("failed" in f) {
		failed[$2 " " $3, $4]++
		failures++
	} else
		figures($2, $3, $4)
	runs++
	again += f["again"]
	noisy += f["noisy"]
}
END {
	print "# What was measured\n"
	print head
	printf "%d runs, %d done again for noise, %d noisy all the same " \
		"(marked * below), %d failed.\n\n", runs, again, noisy, failures
	print_goals()
	print "## Medians\n"
	for (k = 1; k <= keys; k++)
		print_key(key_at[k])
}

# plot.awk - bulk throughput's cost as a picture: SVG, light and dark
#
#	awk -f plot.awk raw.txt >bulk.svg
#
# Four panels, each with the medians of all proxies, the least first, and where
# it is known the limit as a line: two copies of each byte, and AES.

function median(list,    a, n, i, j, t) {
	n = split(list, a, " ")
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && a[j] + 0 < a[j - 1] + 0; j--) {
			t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
		}
	if (n == 0)
		return 0
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}

# Names of a cell's peers in $order[1..], the least first.
function sort_peers(cell,    n, i, j, t, p) {
	n = split(peers[cell], p, " ")
	for (i = 1; i <= n; i++) {
		order[i] = p[i]
		cost[p[i]] = median(costs[cell, p[i]])
		for (j = i; j > 1 && cost[order[j]] < cost[order[j - 1]]; j--) {
			t = order[j]; order[j] = order[j - 1]; order[j - 1] = t
		}
	}
	return n
}

function text(x, y, class, words) {
	printf "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>\n", \
		x, y, class, words
}

function long_name(peer) {
	if (peer == "dbtls")
		return "dbtls"
	if (peer == "direct")
		return "dbtls, direct"
	sub(/64$/, " 64k", peer)
	sub(/^haproxy/, "HAProxy", peer)
	return peer
}

function bar(x, y, peer,    length_, ours) {
	ours = peer == "dbtls" || peer == "direct"
	length_ = cost[peer] * SCALE
	text(x + NAMES - 8, y + 11, ours ? "ours" : "name", \
		long_name(peer))
	printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"14\" " \
		"rx=\"2\" class=\"%s\"/>\n", x + NAMES, y, length_, \
		ours ? "mine" : "other"
	text(x + NAMES + length_ + 5, y + 11, "value", \
		sprintf("%.2f", cost[peer]))
}

function panel(x, y, cell, title, limit,    i, n, at) {
	text(x, y, "title", title)
	n = sort_peers(cell)
	for (i = 1; i <= n; i++)
		bar(x, y + 12 + (i - 1) * STEP, order[i])
	if (limit > 0) {
		at = x + NAMES + limit * SCALE
		printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" " \
			"y2=\"%.1f\" class=\"limit\"/>\n", at, at, y + 8, \
			y + 12 + n * STEP
		text(at + 4, y + 22 + n * STEP, "value", \
			sprintf("limit %.2f", limit))
	}
}

/^#/ { next }
{
	delete f
	for (i = 5; i <= NF; i++) {
		split($i, pair, "=")
		f[pair[1]] = pair[2]
	}
}
$2 == "bulk" && f["bytes"] > 0 {
	if (!(($3, $4) in costs))
		peers[$3] = peers[$3] " " $4
	costs[$3, $4] = costs[$3, $4] " " f["cpu"] / f["bytes"] * 1e9
}
$2 == "limits" && $4 == "copy" && f["bytes"] > 0 {
	copies[$3] = copies[$3] " " f["cpu"] / f["bytes"] * 1e9
}
$2 == "limits" && $3 == "ecdsa" { aes = aes " " f["aes"] }

END {
	WIDTH = 840; NAMES = 100; STEP = 19; HALF = WIDTH / 2
	shown = split("up-1-16384 down-1-16384 up-64-16384 down-64-16384", \
		cells, " ")
	most = 0
	rows = 0
	for (i = 1; i <= shown; i++) {
		n = sort_peers(cells[i])
		rows = n > rows ? n : rows
		if (n > 0 && cost[order[n]] > most)
			most = cost[order[n]]
	}
	SCALE = most > 0 ? (HALF - NAMES - 70) / most : 0
	tall = 12 + rows * STEP + 50
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d " \
		"%d\" role=\"img\" aria-label=\"Seconds of processor for a " \
		"gigabyte, by proxy\">\n", WIDTH, 40 + 2 * tall
	print "<style>"
	print "text { font: 12px system-ui, sans-serif; fill: #444 }"
	print ".head { font-size: 15px; font-weight: 600; fill: #111 }"
	print ".title { font-weight: 600; fill: #222 }"
	print ".name { text-anchor: end } " \
		".ours { text-anchor: end; font-weight: 600 }"
	print ".value { font-size: 11px; fill: #666 }"
	print ".other { fill: #a8b0ba } .mine { fill: #1f6feb }"
	print ".limit { stroke: #d1242f; stroke-width: 1.5; " \
		"stroke-dasharray: 4 3 }"
	print "@media (prefers-color-scheme: dark) {"
	print "text { fill: #bbb } .head, .title { fill: #eee }"
	print ".value { fill: #999 } .other { fill: #5c6672 }"
	print ".mine { fill: #58a6ff } .limit { stroke: #ff7b72 } }"
	print "</style>"
	text(8, 20, "head", "Seconds of processor for a gigabyte: less is better")
	a = median(aes)
	l_up = a > 0 ? median(copies["up-1"]) + a : 0
	l_down = a > 0 ? median(copies["down-1"]) + a : 0
	panel(8, 48, cells[1], "1 connection, client to server", l_up)
	panel(8 + HALF, 48, cells[2], "1 connection, server to client", l_down)
	panel(8, 48 + tall, cells[3], "64 connections, client to server", 0)
	panel(8 + HALF, 48 + tall, cells[4], \
		"64 connections, server to client", 0)
	print "</svg>"
}

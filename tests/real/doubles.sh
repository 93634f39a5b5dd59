# shellcheck shell=bash
#
# doubles.sh - servers that cannot be had, played by doubles/*.py
#
#	double_start NAME KIND PORT [OPTION]...	KIND is tds, mongo, ase or tns
#	double_tls CERTIFICATE			options: of $PKI, with its chain
#	double_mark NAME			events before this do not count
#	events NAME EVENT [REGEX]		their lines, as JSON
#	event_value NAME EVENT KEY		of the last one
#	check_events TEXT NAME EVENT COUNT [REGEX]

declare -A MARK=()

double_start() { # NAME KIND PORT [OPTION]...
	local name=$1 kind=$2 port=$3
	shift 3
	: >"$WORK/$name.events"
	start "$name" python3 "$REAL/doubles/$kind.py" --port "$port" \
		--log "$WORK/$name.events" --password "$TDS_PASSWORD" "$@"
	await 10 double_ready "$name" && return 0
	fail "the double starts ($name)" "$(tail -n 3 "$WORK/$name.log")"
	return 1
}
double_ready() { grep -q '"ready"' "$WORK/$1.events"; }

double_tls() { # CERTIFICATE
	echo --cert "$PKI/$1.chain.pem" --key "$PKI/$1.key"
}

double_mark() { # NAME
	MARK[$1]=$(wc -l <"$WORK/$1.events")
}

events() { # NAME EVENT [REGEX]
	tail -n +$((${MARK[$1]:-0} + 1)) "$WORK/$1.events" |
		grep "\"event\": \"$2\"" | grep -E -- "${3:-}"
}

# Strings without their quotes.
event_value() { # NAME EVENT KEY
	events "$1" "$2" | tail -n 1 |
		grep -oE "\"$3\": (\"[^\"]*\"|\[[^]]*\]|[^,}]*)" |
		sed -E "s/^\"$3\": //; s/^\"(.*)\"\$/\1/"
}

check_events() { # TEXT NAME EVENT COUNT [REGEX]
	local count
	count=$(events "$2" "$3" "${5:-}" | wc -l)
	if [ "$count" = "$4" ]; then
		pass "$1: $4"
	else
		fail "$1" "$count, wanted $4: $(events "$2" "$3" "${5:-}" |
			tail -n 3)"
	fi
}

# What each double of KIND would not have taken from a client, in all.
check_rules() { # TEXT NAME...
	local text=$1 name
	shift
	for name; do
		check_events "$text ($name)" "$name" violation 0
		check_events "$name did not fail itself" "$name" end 0 '"fault"'
	done
}

# --- dbtls in front of them ------------------------------------------------
# $ENGINE is the theme's, and $NAMED the setting by which it names the server.

# What a leg becomes: the client's by client_tls, the server's by mode.
client_leg() { # clear|tls CLIENT_TLS
	case $1:$2 in
	clear:require) echo refused ;;
	tls:off) echo closed ;;
	*) echo "$1" ;;
	esac
}
# A server in clear that is spoken to in TLS says something else, or leaves; one
# with TLS leaves when it is spoken to in clear, and nobody can say why.
server_leg() { # MODE clear|tls
	case $1:$2 in
	none:clear) echo clear ;;
	none:tls) echo lost ;;
	*:clear) echo 'tls_refused|handshake|protocol|connect' ;;
	*) echo tls ;;
	esac
}

trust() { # MODE
	case $1 in
	verify-full) echo "ca = [ \"$PKI/ca.crt\" ]; $NAMED;" ;;
	verify-ca) echo "ca = [ \"$PKI/ca.crt\" ];" ;;
	esac
}
front() { # CLIENT_TLS [CERTIFICATE]
	[ "$1" = off ] || echo "client_tls = { mode = \"$1\";
		cert = \"$PKI/${2:-proxy}.chain.pem\";
		key = \"$PKI/${2:-proxy}.key\"; };"
}
add() { # NAME plain|secret|other SERVER MODE [SETTINGS]
	local p
	port_new p "$2"
	port[$1]=$p
	endpoint "$1" "$p" "127.0.0.1:$3" "$4" "${5:-}"
}

# Does this dbtls know the engine?
engine_known() { # ENGINE
	cat >"$WORK/engine.conf" <<-CONF
		endpoints = ( { name = "e"; engine = "$1"; ssl_mode = "none";
			listen = "127.0.0.1:1"; server = "127.0.0.1:2"; } );
	CONF
	"$DBTLS" check -c "$WORK/engine.conf" >/dev/null 2>&1
}

# shellcheck shell=bash
#
# drivers.sh - the clients besides psql, each asking one question
#
#	drivers_have			makes them ready; skips what is not there
#	psycopg2_query CONNINFO SQL
#	psycopg3_query CONNINFO SQL	libpq 18
#	jdbc_query URL SQL [TIMEOUT]
#	node_query JSON SQL
#	psycopg2_cancel CONNINFO
#	psycopg3_cancel CONNINFO cancel|cancel_safe
#
# A query prints the row's columns between bars, or "error SQLSTATE TEXT".
# HAVE_PSYCOPG2 and so on are empty where a client is not there.

HAVE_PSYCOPG2='' HAVE_PSYCOPG3='' HAVE_JDBC='' HAVE_NODE=''

# shellcheck disable=SC2034 # the HAVE_*
drivers_have() {
	cp -r "$REAL/clients" "$WORK/clients"
	if root_make python-bookworm bookworm python3-psycopg2; then
		HAVE_PSYCOPG2=yes
	else
		skip "psycopg2" "bookworm's packages cannot be had"
	fi
	if root_make python-sid sid python3-psycopg python3-psycopg-c; then
		HAVE_PSYCOPG3=yes
	else
		skip "psycopg 3" "sid's packages cannot be had"
	fi
	if root_make node-sid sid nodejs node-pg; then
		HAVE_NODE=yes
	else
		skip "node's pg" "sid's packages cannot be had"
	fi
	if root_make jdbc trixie openjdk-21-jdk-headless \
		libpostgresql-jdbc-java && java_compile; then
		HAVE_JDBC=yes
	else
		skip "pgjdbc" "trixie's packages cannot be had"
	fi
}

java() { # PROGRAM ARG...
	(in_root -t 60 jdbc "PATH=/usr/lib/jvm/java-21-openjdk-amd64/bin" "$@")
}
java_compile() {
	java javac -d "$WORK/clients" "$WORK/clients/Query.java" >&2
}

psycopg2_query() {
	(in_root -t 30 python-bookworm python3 \
		"$WORK/clients/psycopg2_query.py" "$@")
}
psycopg3_query() {
	(in_root -t 30 python-sid python3 \
		"$WORK/clients/psycopg3_query.py" "$@")
}
node_query() {
	(in_root -t 30 node-sid node "$WORK/clients/query.js" "$@")
}
jdbc_query() {
	java java -XX:TieredStopAtLevel=1 -cp \
		"/usr/share/java/postgresql.jar:$WORK/clients" Query "$@"
}
psycopg2_cancel() {
	(in_root -t 40 python-bookworm python3 \
		"$WORK/clients/psycopg2_cancel.py" "$@")
}
psycopg3_cancel() {
	(in_root -t 40 python-sid python3 \
		"$WORK/clients/psycopg3_cancel.py" "$@")
}

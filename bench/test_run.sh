#!/bin/bash
# test_run.sh - run.sh still measures: a little of everything that needs no
# peers and no servers
#
#	bench/test_run.sh BUILD
. "$(dirname "$0")/lib.sh"
bench_begin test-run "${1:-}"

# Cells of which there must be figures, of dbtls.
readonly CELLS='bulk:up-1-16384 bulk:down-64-512 trips:64 handshakes:ecdsa-0
	handshakes:rsa-1 plain:down-1 ends:up-1 idle:tls-40'

LENGTH=0.05 IDLE=40 ROUNDS=1 MEGABYTES=2 AGAIN=0 PEERS=direct RESULTS=$WORK/results \
	"$TREE/bench/run.sh" --build "$BUILD" bulk trips handshakes plain \
	ends idle >"$WORK/table" 2>"$WORK/run.log" || fail "run.sh fails"
! grep failed= "$WORK/results/raw.txt" || fail "a run has failed"
for cell in $CELLS; do
	grep -q "^1 ${cell/:/ } dbtls [a-z]*=" "$WORK/results/raw.txt" ||
		fail "no figures of dbtls: $cell"
done
grep -q '^| bulk, 1 connection, client to server: CPU / L | [0-9]' \
	"$WORK/table" || fail "no goals"
grep -q '<rect' "$WORK/results/bulk.svg" || fail "no picture"
echo "$(grep -c '^1 ' "$WORK/results/raw.txt") runs, $SECONDS seconds"

#!/bin/sh
# What `make bench` runs: asv over the given commits, a line a case as it is counted, then the pages.
# Usage: BIN=<venv>/bin COUNTER=callgrind|readable bench.sh RANGE [asv run's options]
set -eu
case $COUNTER in
callgrind) configuration=asv.conf.json ;;
readable) configuration=asv.readable.conf.json ;;
*) echo "COUNTER is '$COUNTER'; known are callgrind and readable" >&2; exit 1 ;;
esac
mkdir -p .asv
HARNESS_PROGRESS=$(pwd)/.asv/progress.txt
: >"$HARNESS_PROGRESS"
# Without a selection asv wants every case, so idle cores may run ahead through the whole suite.
[ $# -gt 1 ] || export HARNESS_AHEAD=suite
export HARNESS_PROGRESS

"$BIN/asv" --config "$configuration" machine --yes
tail -n 0 -f "$HARNESS_PROGRESS" &
follower=$!
trap 'kill $follower 2>/dev/null' EXIT
status=0
"$BIN/asv" --config "$configuration" run --show-stderr "$@" || status=$?
[ "$status" -eq 0 ] || echo "asv run ended with status $status: see above; the evidence is in .asv/failures" >&2
"$BIN/asv" --config "$configuration" publish
echo "counts and profiles: .asv/counts    pages: .asv/html/index.html (see them with $BIN/asv preview)"
exit "$status"

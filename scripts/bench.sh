#!/bin/sh
# What `make bench` runs: asv over the given commits, a line a case as it is counted, then the pages.
# Usage: BIN=<venv>/bin bench.sh RANGE [asv run's options]
set -eu
mkdir -p .asv
HARNESS_PROGRESS=$(pwd)/.asv/progress.txt
: >"$HARNESS_PROGRESS"
# Without a selection asv wants every case, so idle cores may run ahead through the whole suite.
[ $# -gt 1 ] || export HARNESS_AHEAD=suite
export HARNESS_PROGRESS

"$BIN/asv" machine --yes
tail -n 0 -f "$HARNESS_PROGRESS" &
follower=$!
trap 'kill $follower 2>/dev/null' EXIT
status=0
"$BIN/asv" run --show-stderr "$@" || status=$?
[ "$status" -eq 0 ] || echo "asv run ended with status $status: see above; the evidence is in .asv/failures" >&2
"$BIN/asv" publish
echo "counts and profiles: .asv/counts    pages: .asv/html/index.html (see them with $BIN/asv preview)"
exit "$status"

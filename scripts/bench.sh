#!/bin/sh
# What `make bench` and `make releases` run: asv over the given commits, a line a case as it is counted, what each
# benchmark took, then the pages.
# Usage: BIN=<venv>/bin COUNTER=callgrind|readable|releases SUITE=quick|default|full [BENCH=REGEX] bench.sh RANGE [options]
set -eu
case $COUNTER in
callgrind) configuration=asv.conf.json counter=callgrind ;;
readable) configuration=asv.readable.conf.json counter=readable ;;
releases) configuration=asv.releases.conf.json counter=readable ;;
*) echo "COUNTER is '$COUNTER'; known are callgrind and readable" >&2; exit 1 ;;
esac
range=$1
shift
case $SUITE in
quick) bench='^(dtensor|guards|runtime_overhead|wrappers)\.(?!Add1.*(True|inference|requires))' ;;
default) bench= ;;
full) bench= && export HARNESS_SUITE=full ;;
*) echo "SUITE is '$SUITE'; known are quick, default and full" >&2; exit 1 ;;
esac
bench=${BENCH:-$bench}
# Callgrind gives one number a run: of the others it would only be said, at length, that they are skipped.
[ -n "$bench" ] || [ "$counter" = readable ] || bench='\.track_instructions'
# asv goes through all that is selected, so idle cores may run ahead as far.
export HARNESS_AHEAD=suite HARNESS_BENCH="$bench"
mkdir -p .asv
HARNESS_PROGRESS=$(pwd)/.asv/progress.txt
: >"$HARNESS_PROGRESS"
export HARNESS_PROGRESS

"$BIN/asv" --config "$configuration" machine --yes
tail -n 0 -f "$HARNESS_PROGRESS" &
follower=$!
trap 'kill $follower 2>/dev/null' EXIT
status=0
"$BIN/asv" --config "$configuration" run --show-stderr ${bench:+--bench "$bench"} "$@" "$range" || status=$?
[ "$status" -eq 0 ] || echo "asv run ended with status $status: see above; the evidence is in .asv/failures" >&2
"$BIN/python" -m harness costs --counter "$counter" || true
"$BIN/asv" --config "$configuration" publish
echo "counts and profiles: .asv/counts    pages: .asv/html/index.html (see them with $BIN/asv preview)"
exit "$status"

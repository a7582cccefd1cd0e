#!/bin/sh
# Benchmarks: each prints what it measures, and at the end a table of ratios
# against the limits and peers.
#   sh tests/bench/run.sh [NAME...]     all, or some of: train round launch
#                                       mnist memory checkpoint saving
#                                       quickstart silos noise transform dpsgd
#                                       private journal accountant settle
#                                       verify solver
# BUILD names another build folder, BENCH_TIMES how often to measure. Nothing
# here is a test: a limit that was missed is a line in the table. README.md says
# how to read it.
set -eu
cd "$(dirname "$0")/../.."
. jobs/mpi-env.sh
here=tests/bench
build=${BUILD:-$PWD/build}
export BUILD="$build"
python=/usr/bin/python3
# Tuning left in the environment is nobody's own speed.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE || true
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# No __pycache__ beside the scripts.
export PYTHONDONTWRITEBYTECODE=1
[ $# -gt 0 ] ||
    set -- train round launch mnist memory checkpoint saving quickstart silos \
        noise transform dpsgd private journal accountant settle \
        verify solver

sh jobs/packages.sh build data tests node bench
echo "== build $build"
mkdir -p "$build/bench"
log=$build/bench/build.log
cmake -S . -B "$build" -DCOVEY_TESTS=ON >"$log" 2>&1 ||
    { cat "$log" >&2; exit 1; }
targets=$(cd $here && ls bench_*.c | sed 's/\.c$//')
# shellcheck disable=SC2086
cmake --build "$build" -j "$(nproc)" --target covey make_outbox $targets >>"$log" 2>&1 ||
    { tail -n 40 "$log" >&2; exit 1; }

# Rows for the table, from benchmarks that end with 1 when a limit is missed.
row() { # WHAT MEASURED LIMIT
    awk -v what="$1" -v m="$2" -v l="$3" 'BEGIN {
        printf "row\t%s\t%s\tat least %s\t%.2f\t%s\n", what, m, l, m / l,
            (m + 0 >= l + 0) ? "yes" : "no" }'
}
train() {
    sh $here/bench_train.sh "$build" "${BENCH_TIMES:-3}" >"$out/train" || true
    cat "$out/train"
    # "batch 256: covey/torch 1.32 (limit 1.1) ok"; batch 32 has no limit.
    sed -n 's/^batch 256: \(.*\) \([0-9.]*\) (limit \([0-9.]*\)).*/\2 \3 \1/p' \
        "$out/train" | while read -r value limit what; do
        row "training, batch 256, $what" "$value" "$limit"
    done
}
checkpoint() {
    "$build/tests/bench/bench_checkpoint" "$build/bench" >"$out/checkpoint" ||
        true
    cat "$out/checkpoint"
    sed -n 's/^ratio \([0-9.]*\), limit \([0-9.]*\).*/\1 \2/p' \
        "$out/checkpoint" | while read -r value limit; do
        row "checkpoint / plain write + fsync, 10^7 parameters" "$value" \
            "$limit"
    done
}
bench() {
    case $1 in
    train | checkpoint) "$1" ;;
    round) mpirun -n 4 "$build/tests/bench/bench_round" ;;
    noise | transform | dpsgd | accountant) "$build/tests/bench/bench_$1" ;;
    solver)
        for ranks in 2 4; do
            mpirun -n $ranks "$build/tests/bench/bench_solver" || return 1
        done ;;
    private) mpirun -n 4 "$build/tests/bench/bench_private_round" ;;
    journal) "$build/tests/bench/bench_journal" "$build/bench" ;;
    launch | mnist | memory | saving | quickstart | silos | settle | verify)
        $python "$here/bench_$1.py" ;;
    *) echo "run.sh: no benchmark called '$1'" >&2; return 2 ;;
    esac
}

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
: >"$out/rows"
failed=0
for name in "$@"; do
    echo "== $name (load $(cut -d ' ' -f 1 /proc/loadavg))"
    bench "$name" >"$out/now" 2>&1 || { failed=1; echo "$name failed"; }
    grep -v '^row	' "$out/now" || true
    grep '^row	' "$out/now" >>"$out/rows" || true
done

echo
awk -F '\t' 'BEGIN { f = "%-58s %12s  %-28s %6s  %s\n"
        printf f, "what", "measured", "limit or peer", "ratio", "reached" }
    { printf f, $2, $3, $4, $5, $6 }' "$out/rows"
exit $failed

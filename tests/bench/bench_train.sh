#!/bin/sh
# Local training against PyTorch and against the core's matrix product rate,
# one thread each, alternately, best of several.
#
#   bench_train.sh BUILD_FOLDER [TIMES [SECONDS]]
#
# Limits: 1.1 x PyTorch's samples/s, 0.75 of the core's sgemm rate. Exit 1 if
# one is missed. PyTorch runs with OpenBLAS's own choice of kernels and with
# the AVX-512 ones; the better counts.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:?usage: bench_train.sh BUILD_FOLDER [TIMES [SECONDS]]}
times=${2:-3}
seconds=${3:-3}
python=${PYTHON:-/usr/bin/python3}
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
# Tuning left in the environment is neither side's best.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

i=0
while [ "$i" -lt "$times" ]; do
    i=$((i + 1))
    "$build/tests/bench/bench_train" "$seconds" 1 >>"$out/covey"
    "$python" "$here/bench_train.py" "$seconds" >>"$out/torch"
    if grep -q avx512dq /proc/cpuinfo; then
        OPENBLAS_CORETYPE=SkylakeX \
            "$python" "$here/bench_train.py" "$seconds" >>"$out/skylakex"
    fi
done
touch "$out/skylakex"

best() { # FILE KEY
    awk -v k="$2" '$1 == k && $2 > m { m = $2 } END { print m + 0 }' "$out/$1"
}
missed=0
limit() { # NAME VALUE LIMIT
    verdict=ok
    if awk -v v="$2" -v l="$3" 'BEGIN { exit !(v < l) }'; then
        verdict=MISSED
        missed=1
    fi
    echo "$1 $2 (limit $3) $verdict"
}

echo "covey:  $(awk '$1 == "kernels" { print $2; exit }' "$out/covey") kernels," \
    "sgemm $(best covey sgemm) GF/s by OpenBLAS" \
    "$(awk '$1 == "blas" { print $2; exit }' "$out/covey")"
for batch in 256 32; do
    ours=$(best covey "samples_$batch")
    plain=$(best torch "samples_$batch")
    tuned=$(best skylakex "samples_$batch")
    theirs=$(awk -v a="$plain" -v b="$tuned" 'BEGIN { print (a > b ? a : b) }')
    gflops=$(best covey "gflops_$batch")
    echo "batch $batch: covey $ours samples/s, $gflops GF/s;" \
        "momentum $(best covey "momentum_$batch")"
    echo "batch $batch: torch $plain samples/s," \
        "with OPENBLAS_CORETYPE=SkylakeX $tuned;" \
        "momentum $(best torch "momentum_$batch")"
    limit "batch $batch: covey/torch" \
        "$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.2f", a / b }')" 1.1
    limit "batch $batch: share of sgemm" \
        "$(awk -v a="$gflops" -v b="$(best covey sgemm)" \
            'BEGIN { printf "%.2f", a / b }')" 0.75
done
exit $missed

#!/bin/sh
# From nothing to a trained model: installs what is missing, builds, trains an
# MLP on Fashion-MNIST over four silos, and shows the result. Safe to run again:
# an interrupted run is continued, a finished one is done anew.
set -eu
cd "$(dirname "$0")/.."
. jobs/mpi-env.sh

echo "== packages"
sh jobs/packages.sh build data

echo "== build"
cmake -S . -B build >build.log 2>&1 || { cat build.log >&2; exit 1; }
cmake --build build -j "$(nproc)" --target covey >>build.log 2>&1 ||
    { tail -n 40 build.log >&2; exit 1; }
rm -f build.log
covey=build/covey

echo "== data"
work=quickstart
source=/usr/share/datasets/fashion-mnist
mkdir -p "$work"
for part in train t10k; do
    case $part in train) out=train.h5 ;; *) out=test.h5 ;; esac
    [ -s "$work/$out" ] ||
        $covey convert "$source/$part-images-idx3-ubyte.gz" "$work/$out"
done
cp jobs/quickstart.yaml "$work/job.yaml"
$covey check "$work/job.yaml"

echo "== train"
done_rounds=$($covey inspect RUN --json 2>/dev/null |
    sed -n 's/.*"round": \([0-9]*\), "rounds": \([0-9]*\).*/\1 \2/p' || true)
case $done_rounds in
"") ;;
*) [ "${done_rounds% *}" -lt "${done_rounds#* }" ] || rm -rf RUN ;;
esac
mpirun -n 4 $covey run "$work/job.yaml" --out RUN --resume

echo "== result"
$covey inspect RUN/run.h5

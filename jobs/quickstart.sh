#!/bin/sh
# From nothing to a trained model: installs what is missing, builds, trains on
# Fashion-MNIST over four silos, masked and with privacy for every image, and shows
# the result. Safe to run again: an interrupted run is continued, a finished one is
# done anew.
set -eu
cd "$(dirname "$0")/.."
. jobs/mpi-env.sh

echo "== packages"
sh jobs/packages.sh build data

echo "== build (one to three minutes)"
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
# This script's own run only: RUN may hold another one.
run=$work/RUN
rounds=$($covey inspect "$run" --json 2>/dev/null |
    sed -n 's/.*"round": \([0-9]*\), "rounds": \([0-9]*\).*/\1 \2/p' || true)
if [ -n "$rounds" ] && [ "${rounds% *}" -ge "${rounds#* }" ]; then
    echo "a finished run is there; training anew"
    rm -rf "$run"
fi
# An unfinished one of an older version's job cannot be continued.
job=$($covey check "$work/job.yaml" | sed -n 's/^job .*digest \([0-9a-f]*\).*/\1/p')
saved=$($covey inspect "$run" --json 2>/dev/null |
    sed -n 's/.*"job_digest": "\([0-9a-f]*\)".*/\1/p' || true)
case $saved in
"" | "$job"*) ;;
*) echo "a run of another job is there; training anew"
    rm -rf "$run" ;;
esac
mpirun -n 4 $covey run "$work/job.yaml" --out "$run" --resume
# RUN: the newest quickstart, under a short name, unless it is something else.
if [ -L RUN ] || [ ! -e RUN ]; then
    ln -sfn "$run" RUN
else
    echo "RUN holds something else and was left alone; the result is in $run"
fi

echo "== result"
$covey inspect "$run"
echo
echo "next: a job of your own, README section 'A first job of your own'"

#!/bin/sh
# From nothing to a trained model and paid silos: installs what is missing, builds,
# trains on Fashion-MNIST over four silos, masked and with privacy for every image,
# shows the result, settles proofs and rewards on a local Base-like node, and verifies
# the run against it. Safe to run again: an interrupted run is continued, a finished
# one is done anew.
set -eu
cd "$(dirname "$0")/.."
. jobs/mpi-env.sh

echo "== packages"
sh jobs/packages.sh build data node

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

echo "== local node (127.0.0.1 only, gone when this script ends)"
anvil=$(sh tests/chain/tools.sh)
lead="--key $work/lead.key.json --password-file $work/lead.pass"
if [ ! -s "$work/lead.key.json" ]; then # worth nothing: for this node alone
    (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$work/lead.pass")
    $covey keys new --out "$work/lead.key.json" --password-file "$work/lead.pass" >/dev/null 2>&1
fi
address=$($covey keys show "$work/lead.key.json" | sed -n 's/^address *//p')
printf '{"config": {"chainId": 31337}, "difficulty": "0x0", "gasLimit": "0x3938700",
"alloc": {"%s": {"balance": "0x56bc75e2d63100000"}}}\n' "$address" >"$work/genesis.json"
trap 'kill $anvil_pid 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
# The first contract of a key on a fresh chain has always the same address, so an
# interrupted run's job stays the same.
contracts=""
for port in 8545 18545 28545 38545; do
    node=http://127.0.0.1:$port
    "$anvil" --network optimism --chain-id 31337 --init "$work/genesis.json" \
        --host 127.0.0.1 --port $port --quiet >"$work/node.log" 2>&1 &
    anvil_pid=$!
    tries=0 # another program may have the port (a node that a kill -9 left): then
    # this one ends at once, and what answers there is not it
    while [ $tries -lt 50 ] && kill -0 $anvil_pid 2>/dev/null; do
        sleep 0.2
        kill -0 $anvil_pid 2>/dev/null || break
        contracts=$($covey chain deploy --network local $lead --rpc "$node" \
            --window 1 --test-token 5000 2>"$work/deploy.log") &&
            kill -0 $anvil_pid 2>/dev/null && break 2
        contracts=""
        tries=$((tries + 1))
    done
    kill $anvil_pid 2>/dev/null || true
done
[ -n "$contracts" ] || { cat "$work/node.log" "$work/deploy.log" >&2; exit 3; }
echo "$contracts"
word() { echo "$contracts" | sed -n "s/^$1 *//p"; }

{
    cat jobs/quickstart.yaml
    echo "chain:"
    echo "  network: local"
    echo "  federation: \"$(word federation)\""
    echo "  rewards: {token: \"$(word token)\", sponsor: \"$address\", pool: \"1000\", method: equal}"
} >"$work/job.yaml"
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
echo "== settle: the federation takes in the silos, and gets the proofs"
$covey chain register "$run" $lead --rpc "$node"
$covey settle "$run" $lead --rpc "$node"
echo "== rewards: funded, posted, open to objections for a second, claimed"
$covey rewards "$run" --fund $lead --rpc "$node"
$covey settle "$run" $lead --rpc "$node" --quiet
sleep 2
$covey rewards "$run" --claim $lead --rpc "$node"
$covey rewards "$run" --rpc "$node"
echo
echo "== verify"
$covey verify "$run" --rpc "$node"
echo
echo "next: a job of your own, README section 'A first job of your own'"

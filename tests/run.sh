#!/bin/sh
# Installs what the tests need, builds, and runs all tests:
#   sh tests/run.sh             everything
#   sh tests/run.sh PATTERN     tests whose name contains PATTERN
# A test is an executable or script; its output goes to build/tests/log/NAME,
# and is shown when it fails. A test that hangs has failed.
set -eu
cd "$(dirname "$0")/.."
. jobs/mpi-env.sh
pattern=${1:-}
limit=300
passed=0
failed=0
log=$PWD/build/tests/log
export COVEY="$PWD/build/covey" COVEY_ASAN="$PWD/build-asan/covey"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Open MPI itself leaks at exit; leaks of ours are looked for in unit tests.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
export UBSAN_OPTIONS=print_stacktrace=1

echo "== packages"
sh jobs/packages.sh build data tests node fuzz

build() { # folder, cmake options
    dir=$1
    shift
    echo "== build $dir"
    mkdir -p "$dir"
    cmake -S . -B "$dir" -DCOVEY_TESTS=ON -DCOVEY_WERROR=ON "$@" >"$dir/configure.log" 2>&1 ||
        { cat "$dir/configure.log" >&2; exit 1; }
    cmake --build "$dir" -j "$(nproc)" >"$dir/build.log" 2>&1 ||
        { tail -n 60 "$dir/build.log" >&2; exit 1; }
}
build build
build build-asan -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g" \
    -DCOVEY_SANITIZE=address,undefined
build build-nompi -DCOVEY_MPI=OFF -DCOVEY_TESTS=OFF
build build-mpich -DCOVEY_TESTS=OFF -DMPI_C_COMPILER=mpicc.mpich
mkdir -p "$log"

run() { # name, command...
    name=$1
    shift
    case $name in *"$pattern"*) ;; *) return 0 ;; esac
    out=$log/$(echo "$name" | tr '/ ' '__')
    start=$(date +%s)
    rc=0
    timeout -k 10 $limit "$@" >"$out" 2>&1 </dev/null || rc=$?
    if [ $rc = 0 ]; then
        passed=$((passed + 1))
        echo "ok    $name ($(($(date +%s) - start)) s)"
    else
        failed=$((failed + 1))
        echo "FAIL  $name (exit $rc)"
        tail -n 40 "$out" | sed 's/^/      /'
    fi
}

echo "== tests"
for script in tests/core/test_*.sh; do
    run "${script#tests/}" sh "$script"
done
for dir in build build-asan; do
    for exe in "$dir"/tests/core/test_* "$dir"/tests/privacy/test_* \
        "$dir"/tests/io/test_* "$dir"/tests/solver/test_* \
        "$dir"/tests/chain/test_* "$dir"/tests/jobs/test_*; do
        run "$exe" "$exe"
    done
    for exe in "$dir"/tests/mpi/test_*; do
        for n in 1 2 3 4; do
            run "$exe -n $n" mpirun -n $n "$exe"
        done
    done
done
for script in tests/e2e/test_*.py tests/fault/test_*.py; do
    run "${script#tests/}" /usr/bin/python3 "$script"
done
# What meets replies of nodes, key files, raw transactions and formulas; longer runs
# are a command of their own.
run fuzz sh tests/fuzz/run.sh 20 rlp abi rpc keystore formula

echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]

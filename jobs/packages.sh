#!/bin/sh
# Install the Debian packages that are named and missing; nothing else.
#   sh jobs/packages.sh build|data|node|tests|bench|fuzz ...
# Works without a network when everything is there.
set -eu

build="build-essential cmake pkg-config openmpi-bin libopenmpi-dev
libscalapack-openmpi-dev libopenblas-dev libhdf5-dev libyaml-dev libssl-dev zlib1g-dev
libsecp256k1-dev nettle-dev libjansson-dev libcurl4-openssl-dev
libsqlite3-dev"
data="dataset-fashion-mnist"
tests="libcmocka-dev libmpich-dev mpich libscalapack-mpich-dev libsodium-dev hdf5-tools python3 python3-numpy python3-h5py
python3-sklearn jq strace r-base-core r-cran-survival r-cran-mlmrev"
fuzz="clang"
bench="python3 python3-numpy python3-h5py python3-sklearn python3-torch
python3-mpi4py r-base-core"

have() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

wanted=""
for set in "$@"; do
    case $set in
    build)
        wanted="$wanted $build"
        # Another MPI that is in use already is as good as Open MPI, with a
        # ScaLAPACK of its own: Debian's if it is Debian's.
        if command -v mpicc >/dev/null && ! have libopenmpi-dev; then
            wanted=$(echo $wanted | tr ' ' '\n' | grep -v openmpi | tr '\n' ' ')
            ! have libmpich-dev || wanted="$wanted libscalapack-mpich-dev"
        fi ;;
    data) wanted="$wanted $data" ;;
    node) # One that is not Debian's does as well, and bars Debian's.
        command -v npm >/dev/null || wanted="$wanted npm" ;;
    tests) wanted="$wanted $tests" ;;
    fuzz) command -v clang >/dev/null || wanted="$wanted $fuzz" ;;
    bench) wanted="$wanted $bench" ;;
    *) echo "packages.sh: unknown set '$set'" >&2; exit 2 ;;
    esac
done

missing=""
for p in $wanted; do
    have "$p" || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

echo "installing:$missing"
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif command -v sudo >/dev/null; then
    sudo="sudo"
else
    echo "packages.sh: need root or sudo to install:$missing" >&2
    exit 3
fi
$sudo apt-get -o DPkg::Lock::Timeout=900 update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get -o DPkg::Lock::Timeout=900 \
    install -y -qq --no-install-recommends $missing >/dev/null

#!/bin/sh
# Builds the fuzzers of this folder with clang, ASan and UBSan into build-fuzz/,
# and runs each of them:
#   sh tests/fuzz/run.sh                        all, 20 seconds each
#   sh tests/fuzz/run.sh SECONDS [NAME...]      e.g. 60 rlp abi
# Corpora stay in build-fuzz/corpus/NAME and are taken up again; an input that
# was found goes to build-fuzz/found/. One line per fuzzer; exit 1 on a finding.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-20}
[ $# = 0 ] || shift
case $seconds in
'' | *[!0-9]*)
    echo "run.sh: expected SECONDS [NAME...], found '$seconds'" >&2
    exit 2 ;;
esac
if [ $# = 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=${source#tests/fuzz/fuzz_}
        set -- "$@" "${name%.c}"
    done
fi
for name in "$@"; do
    [ -f "tests/fuzz/fuzz_$name.c" ] || {
        echo "run.sh: there is no tests/fuzz/fuzz_$name.c" >&2
        exit 2
    }
done
sh jobs/packages.sh build fuzz

out=build-fuzz
mkdir -p $out/found
# -fsanitize=fuzzer defines the macro that switches checksums of headers off.
flags="-g -O1 -std=gnu17 -D_GNU_SOURCE -DCOVEY_VERSION=\"fuzz\" -I.
-fno-omit-frame-pointer -ffp-contract=off -fsanitize=address,undefined
-fno-sanitize-recover=all $(pkg-config --cflags hdf5-serial)"

# A room as a library; a source is compiled again if it or a header is newer.
build_room() { # room
    mkdir -p "$out/$1"
    newest=$(ls -t tests/fuzz/run.sh core/*.h "$1"/*.h | head -n 1)
    for source in "$1"/*.c; do
        object=$out/${source%.c}.o
        [ -f "$object" ] && [ "$object" -nt "$source" ] &&
            [ "$object" -nt "$newest" ] || echo "$source"
    done | xargs -r -P "$(nproc)" -I{} sh -c 'source=$1; shift
        exec clang "$@" -fsanitize=fuzzer-no-link -c "$source" \
            -o "build-fuzz/${source%.c}.o"' sh {} $flags
    rm -f "$out/lib$1.a"
    for source in "$1"/*.c; do
        echo "$out/${source%.c}.o"
    done | xargs ar rcs "$out/lib$1.a"
}

# A fuzzer names its room by what it includes.
room_of() { # name
    if grep -q '#include "chain/' "tests/fuzz/fuzz_$1.c"; then
        echo chain
    else
        echo io
    fi
}

build_fuzzer() { # name, room
    case $2 in
    chain) libs="-lcurl -ljansson -lsqlite3 -lnettle -lsecp256k1" ;;
    io) libs="$(pkg-config --libs hdf5-serial) -lyaml -lz" ;;
    esac
    # shellcheck disable=SC2086
    clang $flags -fsanitize=fuzzer "tests/fuzz/fuzz_$1.c" "$out/lib$2.a" \
        $out/libcore.a $libs -lcrypto -lpthread -lm -o "$out/fuzz_$1"
}

# Longest input: small ones are faster, but a sample must fit.
longest() { # name
    case $1 in
    checkpoint) echo 40000 ;;
    hdf5) echo 16384 ;;
    journal | idx) echo 8192 ;;
    *) echo 4096 ;;
    esac
}

rooms=$(for name in "$@"; do room_of "$name"; done | sort -u)
for room in core $rooms; do
    build_room "$room"
done
for name in "$@"; do
    build_fuzzer "$name" "$(room_of "$name")"
done

# One fuzzer; its line, and 1 on a finding.
fuzz() { # name
    corpus=$out/corpus/$1
    log=$out/$1.log
    mkdir -p "$corpus"
    if "$out/fuzz_$1" -max_total_time="$seconds" -timeout=30 \
        -max_len="$(longest "$1")" -artifact_prefix="$out/found/$1-" \
        -print_final_stats=1 "$corpus" >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        features=$(sed -n 's/.*cov: \([0-9]*\) ft: \([0-9]*\) .*/\1 \2/p' \
            "$log" | tail -n 1)
        echo "ok    $1 ($seconds s, $runs inputs, ${features% *} edges)"
    else
        echo "FAIL  $1: see $log; what was found:"
        grep -aE 'bug:|ERROR:|runtime error:|SUMMARY:|Test unit written' \
            "$log" | head -n 8 | sed 's/^/      /'
        return 1
    fi
}

# As many at a time as there are cores.
failed=0
while [ $# -gt 0 ]; do
    pids=""
    for core in $(seq "$(nproc)"); do
        [ $# -gt 0 ] || break
        fuzz "$1" &
        pids="$pids $!"
        shift
    done
    for pid in $pids; do
        wait "$pid" || failed=$((failed + 1))
    done
done
[ $failed = 0 ]

#!/bin/sh
# Who may use whom: the #include lines against DESIGN's table.
set -eu
cd "$(dirname "$0")/../.."
bad=0
check() { # room, rooms it may include
    room=$1
    shift
    ls "$room"/*.[ch] >/dev/null 2>&1 || return 0
    allowed=$(echo "$room" "$@" | tr ' ' '|')
    found=$(grep -nE '^#include "' "$room"/*.[ch] |
        grep -vE "#include \"($allowed)/" || true)
    if [ -n "$found" ]; then
        echo "$room/ may include only: $room $*"
        echo "$found"
        bad=1
    fi
}
outside() { # header pattern, files that may include it
    pattern=$1
    shift
    found=$(grep -rnE "^#include <($pattern)" --include='*.[ch]' \
        core privacy mpi solver io chain jobs 2>/dev/null |
        grep -vE "^($1)" || true)
    if [ -n "$found" ]; then
        echo "<$pattern> belongs in $1 only"
        echo "$found"
        bad=1
    fi
}
check core
check privacy core
check mpi core
check solver core mpi privacy
check io core
check chain core
check jobs core privacy mpi solver io chain
outside 'mpi\.h' 'mpi/|jobs/run\.c|solver/(block_cyclic\.h|scalapack\.)'
# ScaLAPACK has no header that could be looked for: its names.
found=$(grep -rnwE '(C?blacs_|Csys2blacs_|p[ds](potr|syev|gemr))[a-z0-9_]*' \
    --include='*.[ch]' core privacy mpi solver io chain jobs |
    grep -v '^solver/scalapack\.c:' || true)
if [ -n "$found" ]; then
    echo "ScaLAPACK belongs in solver/scalapack.c only"
    echo "$found"
    bad=1
fi
outside 'hdf5' 'io/'
outside 'yaml' 'io/'
outside 'cblas|openblas|lapack' 'solver/blas'
outside 'zlib' 'io/'
outside 'secp256k1|nettle|jansson|sqlite3' 'chain/'
outside 'curl' 'chain/rpc'
# A header named like a system one would be found instead of it.
for h in */*.h; do
    if [ -e "/usr/include/$(basename "$h")" ] &&
        grep -rqE "^#include \"$(basename "$h")\"" --include='*.[ch]' .; then
        echo "$h hides a system header"
        bad=1
    fi
done
[ $bad = 0 ] && echo "rooms ok"
exit $bad

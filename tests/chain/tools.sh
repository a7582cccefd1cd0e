#!/bin/sh
# The Ethereum node and the contract tools that the tests use, as
# chain/contracts/package-lock.json pins them (names, versions, digests), in
# chain/contracts/node_modules.
#   anvil=$(sh tests/chain/tools.sh)    installs what is missing, prints the
#                                       path of the node
# Does nothing, and needs no network, when they are there.  No script of a
# package is run.
set -eu
cd "$(dirname "$0")/../../chain/contracts"
anvil=$PWD/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil
# What is installed: a copy of the list, written last.
stamp=node_modules/.installed

# Tests that run side by side install once.
exec 9<package-lock.json
flock 9

there() {
    cmp -s package-lock.json "$stamp" && [ -x "$anvil" ]
}

if ! there; then
    command -v npm >/dev/null || {
        echo "tools.sh: npm is missing; sh jobs/packages.sh node" >&2
        exit 3
    }
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    try=1
    # A download may fail for a moment; what came is in npm's cache.
    until npm ci --ignore-scripts --no-audit --no-fund --prefer-offline \
        9<&- >"$log" 2>&1; do
        if [ $try = 4 ]; then
            cat "$log" >&2
            echo "tools.sh: npm ci failed $try times" >&2
            exit 3
        fi
        sleep $((try * 2))
        try=$((try + 1))
    done
    cp package-lock.json "$stamp"
    there || { echo "tools.sh: no node at $anvil after npm ci" >&2; exit 3; }
fi
echo "$anvil"

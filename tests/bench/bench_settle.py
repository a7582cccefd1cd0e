"""1,000 rounds of 3 silos to a local node with the real contracts, in batches of
50: seconds of `covey settle` from its start to its end, signatures verified, every
transaction simulated, kept and followed to its block."""
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
os.environ.setdefault("COVEY", os.path.join(os.environ["BUILD"], "covey"))
import evm
from settle_fixture import Federation, report

ROUNDS, BATCH, LIMIT = 1000, 50, 20


def main():
    times = int(os.environ.get("BENCH_TIMES", "3"))
    seconds = []
    with tempfile.TemporaryDirectory() as folder, evm.Anvil() as node:
        federation = Federation(node, folder)
        for i in range(times):
            run = os.path.join(folder, "run%d" % i)
            about = federation.outbox(run, run=i + 1, rounds=ROUNDS, every=10)
            start = time.monotonic()
            r = report(run, node.url, "--batch", BATCH)
            seconds.append(time.monotonic() - start)
            federation.check(about, ROUNDS)
            print("settled %d rounds in %d transactions, %d gas a round: %.2f s" %
                  (ROUNDS, r["transactions"]["mined"], r["gas_used"] // ROUNDS,
                   seconds[-1]))
    m = sorted(seconds)[len(seconds) // 2]
    print("row\tsettle, %d rounds in batches of %d, local node\t%.2f s\tat most %d s"
          "\t%.2f\t%s" % (ROUNDS, BATCH, m, LIMIT, m / LIMIT,
                          "yes" if m <= LIMIT else "no"))


main()

"""`covey verify` without a network: a run of 100 rounds with 10^6 parameters, four
silos, masks, record-level noise, a chain and rewards; then the same with an update
clip a silo.  Limit 2 s.  BENCH_ROUNDS sets another number of rounds.
"""
import json
import os
import subprocess
import time

import numpy as np

import bench

LIMIT = 2.0
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "100"))
ADDRESS = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
JOB = """\
covey: 1
name: verify
silos: {count: 4, prefix: s}
data: {format: csv, target: label, target_levels: ["0", "1"]}
simulate: {source: d.csv, test: t.csv}
model: {kind: mlp, hidden: [9900]}
training: {rounds: %d, weights: equal, local: {steps: 2, batch: 8}}
secure_aggregation: {collusion: 1}
privacy: %s
checkpoint: {every: 10, keep: 0}
chain:
  network: local
  federation: "%s"
  rewards: {token: "%s", sponsor: "%s", pool: "1000.0", method: equal}
"""
PRIVACY = (("record-level privacy", "{unit: record, noise_multiplier: 1.0, clip: 1.0, "
            "sampling: 0.1}"),
           ("silo-level privacy", "{unit: silo, noise_multiplier: 1.0, clip: 1.0}"))


def write_rows(path, rows, seed):
    g = np.random.default_rng(seed)
    x, y = g.normal(size=(rows, 98)), g.integers(0, 2, rows)
    with open(path, "w") as f:
        f.write(",".join("f%d" % j for j in range(98)) + ",label\n")
        for row, label in zip(x, y):
            f.write(",".join("%.4g" % v for v in row) + ",%d\n" % label)


folder = bench.folder("verify")
write_rows(os.path.join(folder, "d.csv"), 320, 1)
write_rows(os.path.join(folder, "t.csv"), 80, 2)
for name, privacy in PRIVACY:
    job = bench.write(os.path.join(folder, "job.yaml"),
                      JOB % ((ROUNDS, privacy) + 3 * (ADDRESS,)))
    run = os.path.join(folder, "RUN")
    subprocess.run(["rm", "-rf", run], check=True)
    subprocess.run([bench.COVEY, "run", job, "--out", run, "-q"], check=True,
                   env=bench.ENV)
    best = 1e9
    for _ in range(bench.times(5)):
        start = time.monotonic()
        told = subprocess.run([bench.COVEY, "verify", run, "--json"],
                              check=True, env=bench.ENV, stdout=subprocess.PIPE)
        best = min(best, time.monotonic() - start)
    assert json.loads(told.stdout)["verdict"] == "holds"
    n = bench.inspect(run)["model"]["parameters"]
    size = os.path.getsize(os.path.join(run, "run.h5"))
    bench.say("%s: %d rounds, %d parameters, run.h5 of %.1f MB" %
              (name, ROUNDS, n, size / 1e6))
    bench.row("verify, %s, %d rounds, 10^6 parameters" % (name, ROUNDS),
              "%.2f s" % best, "%.0f s" % LIMIT, best / LIMIT, best < LIMIT)

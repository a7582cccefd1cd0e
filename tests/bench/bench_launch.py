"""Launch to first round: 4 ranks, data already HDF5, against a bare mpirun of a
program that calls MPI_Init and MPI_Finalize, in turns.  Limit: 0.3 s more.
"""
import os
import re

import bench

EXTRA = 0.3

data = bench.fashion()
folder = bench.folder("launch")
job = bench.write(os.path.join(folder, "job.yaml"), """\
covey: 1
name: launch
silos: {count: 4, prefix: s}
data: {target: label}
simulate: {source: %s/train.h5, test: %s/test.h5, partition: modulo}
model: {kind: mlp, hidden: [200], activation: relu}
training:
  rounds: 1
  local: {steps: 1, batch: 32, learning_rate: 0.1}
""" % (data, data))
bare = os.path.join(bench.BUILD, "tests", "bench", "bench_bare")
run = os.path.join(folder, "RUN")

best_bare = best = 1e9
for _ in range(bench.times(7)):
    best_bare = min(best_bare, bench.timed(bench.mpirun(4, bare)))
    start = bench.first_round_starts(bench.covey_lines(4, job, run))
    if start < best:
        best = start
        with open(os.path.join(run, "covey.log")) as f:
            steps = re.findall(r"seconds_(\w+)=([0-9.]+)",
                               next((l for l in f if "set_up" in l), ""))
bench.say("of which, rank 0: " +
          ", ".join("%s %s s" % (k, v) for k, v in steps))
bench.row("launch to first round, 4 ranks", "%.2f s" % best,
          "bare mpirun %.2f s + %.1f s" % (best_bare, EXTRA),
          best / (best_bare + EXTRA), best <= best_bare + EXTRA)

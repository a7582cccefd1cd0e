"""The share of a round that saving takes, 10^7 parameters, 4 ranks, a checkpoint
after each round.  No limit is set; the first round's part is left out.
"""
import os

import h5py
import numpy as np

import bench

folder = bench.folder("saving")
g = np.random.default_rng(0)
with h5py.File(os.path.join(folder, "d.h5"), "w") as f:
    f["x"] = g.normal(size=(4096, 10)).astype(np.float32)
    f["y"] = g.integers(0, 3, 4096).astype(np.int32)
job = bench.write(os.path.join(folder, "job.yaml"), """\
covey: 1
name: saving
silos: {count: 4, prefix: s}
data: {target: label, target_type: category}
simulate: {source: d.h5}
model: {kind: mlp, hidden: [3150, 3150], activation: relu}
training:
  rounds: 5
  local: {epochs: 1, batch: 128, learning_rate: 0.01}
""")
run = os.path.join(folder, "RUN")
bench.timed(bench.mpirun(4, bench.COVEY, "run", job, "--out", run, "-q"))
train, total, evaluate, save = (c[1:].mean() for c in bench.history(
    run, "seconds_train", "seconds_sum", "seconds_evaluate", "seconds_save"))
whole = train + total + evaluate + save
bench.say("a round of %.2f s: train %.2f (1,024 rows a silo), sum %.2f, "
          "evaluate %.2f, save %.2f" % (whole, train, total, evaluate, save))
print("row\tsaving, share of a round at 10^7 parameters\t%.2f s\t"
      "round %.2f s\t%.2f\t-" % (save, whole, save / whole))

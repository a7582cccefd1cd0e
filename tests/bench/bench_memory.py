"""Peak resident memory of a rank with 10^7 parameters, less that of the same job
with a few, in model-sized buffers of float32.  Limit: 3 beyond the parameters,
the strategy's own state, the data (the same in both) and the activations.

With one rank a silo and with four silos on one rank; with and without local
momentum; strategies with state; a resumed run.  Every run saves checkpoints.
"""
import os
import re
import subprocess
import sys

import numpy as np

import bench

LIMIT = 3.0
HERE = os.path.dirname(os.path.abspath(__file__))
folder = bench.folder("memory")


def data():
    g = np.random.default_rng(0)
    x = g.normal(size=(2000, 10))
    y = (x @ g.normal(size=(10, 3))).argmax(1)
    with open(os.path.join(folder, "d.csv"), "w") as f:
        f.write(",".join("f%d" % j for j in range(10)) + ",label\n")
        for row, label in zip(x, y):
            f.write(",".join("%.6g" % v for v in row) + ",%d\n" % label)
    bench.convert(os.path.join(folder, "d.csv"), os.path.join(folder, "d.h5"))


# Two wide layers: many parameters, few activations.
WIDTH = {"big": 3150, "tiny": 2}


def job(size, strategy, momentum, rounds):
    return bench.write(os.path.join(folder, size + ".yaml"), """\
covey: 1
name: memory
silos: {count: 4, prefix: s}
data: {target: label, target_type: category, test_fraction: 0.2}
simulate: {source: d.h5}
model: {kind: mlp, hidden: [%d, %d], activation: relu}
training:
  strategy: %s
  rounds: %d
  local: {steps: 2, batch: 16, learning_rate: 0.01, momentum: %g}
""" % (WIDTH[size], WIDTH[size], strategy, rounds, momentum))


def activations(path):
    """Bytes that `covey check` names."""
    text = subprocess.check_output([bench.COVEY, "check", path]).decode()
    number, unit = re.search(r"([0-9.]+) (\w+) for\s+activations", text).groups()
    return float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


def peak(ranks, path, *more):
    bench.timed(bench.mpirun(ranks, bench.PYTHON, os.path.join(HERE, "peak.py"),
                             folder, bench.COVEY, "run", path, "--out",
                             os.path.join(folder, "RUN"), "-q", *more))
    kb = 0
    for r in range(ranks):
        with open(os.path.join(folder, "peak.%d" % r)) as f:
            kb = max(kb, int(f.read()))
    return 1024.0 * kb


def measure(ranks, strategy, state, momentum, resumed=False):
    """state: model-sized vectors of the strategy on a rank."""
    bytes_of, extra = {}, {}
    for size in WIDTH:
        subprocess.check_call(["rm", "-rf", os.path.join(folder, "RUN")])
        path = job(size, strategy, momentum, 2)
        bytes_of[size] = peak(ranks, path)
        if resumed:
            bytes_of[size] = peak(ranks, job(size, strategy, momentum, 3),
                                  "--resume")
        extra[size] = activations(path)
    n = bench.inspect(os.path.join(folder, "RUN"))["model"]["parameters"]
    if n > 1000: # the last one was the tiny one
        sys.exit("bench_memory: expected the tiny model")
    w = WIDTH["big"]
    n = 10 * w + w + w * w + w + 3 * w + 3
    grown = bytes_of["big"] - bytes_of["tiny"]
    acts = extra["big"] - extra["tiny"]
    # To a tenth: pages that MPI shares and page tables grow as well.
    buffers = round((grown - acts) / (4.0 * n) - 1 - state, 1)
    what = "%s%s%s, %d rank%s" % (strategy,
                                  ", local momentum" if momentum else "",
                                  ", resumed" if resumed else "", ranks,
                                  "" if ranks == 1 else "s")
    bench.say("%s: %.0f MB and %.0f MB; grown by %.2f x the model, of which "
              "parameters 1, state %d, activations %.2f" %
              (what, bytes_of["big"] / 1e6, bytes_of["tiny"] / 1e6,
               grown / (4.0 * n), state, acts / (4.0 * n)))
    bench.row("memory, 10^7 parameters: " + what, "%.1f buffers" % buffers,
              "%.0f buffers" % LIMIT, buffers / LIMIT, buffers <= LIMIT)


data()
for ranks in (4, 1):
    measure(ranks, "fedavg", 0, 0.0)
    measure(ranks, "fedavg", 0, 0.9)
measure(4, "fedadam", 2, 0.0)
measure(4, "fedavg", 0, 0.0, resumed=True)
# A control for the server; one for each silo, and its next value.
measure(4, "scaffold", 1 + 2, 0.0)
measure(1, "scaffold", 1 + 4 * 2, 0.0)

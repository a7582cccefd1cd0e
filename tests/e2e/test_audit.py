"""Auditing a run from outside: can somebody who holds the model tell which of
many canary records were trained on?  One run with many canaries, each in or out
by a coin (Steinke, Nasr, Jagielski 2023): of m guesses no more than a binomial
with p = e^eps / (1 + e^eps) can be right.  The bound that the guesses prove must
stay below the stated epsilon; with the noise next to nothing it must not."""
import math
import os

import h5py
import numpy as np

from harness import inspect, main, mpirun, test, write_csv
from secure_sites import make_sites, secure_job

NAMES = ("a", "b", "c", "d")
M = 400  # canaries, each with a feature of its own
DOUBT = 1e-6


def binomial_tail(m, v, p):
    """P(at least v of m)."""
    logs = [math.lgamma(m + 1) - math.lgamma(k + 1) - math.lgamma(m - k + 1) +
            k * math.log(p) + (m - k) * math.log1p(-p) for k in range(v, m + 1)]
    top = max(logs)
    return math.exp(top) * sum(math.exp(x - top) for x in logs)


def proved_epsilon(right, m):
    """The largest epsilon that so many right guesses refute."""
    if binomial_tail(m, right, 0.5) > DOUBT:
        return 0.0
    lo, hi = 0.0, 30.0
    for _ in range(60):
        mid = (lo + hi) / 2
        p = 1.0 / (1.0 + math.exp(-mid))
        lo, hi = (mid, hi) if binomial_tail(m, right, p) < DOUBT else (lo, mid)
    return lo


def write_data(sites, seed):
    """Ordinary rows at every site; at the first the canaries that are in."""
    g = np.random.default_rng(seed)
    inside = g.integers(0, 2, M).astype(bool)
    names = ["f0", "f1"] + ["c%d" % j for j in range(M)]
    for i, n in enumerate(NAMES):
        x = np.zeros((60, 2 + M))
        x[:, :2] = g.normal(size=(60, 2))
        y = (x[:, 0] > 0).astype(int)
        if i == 0:
            canary = np.zeros((int(inside.sum()), 2 + M))
            canary[np.arange(len(canary)), 2 + np.flatnonzero(inside)] = 3.0
            x = np.vstack([x, canary])
            y = np.concatenate([y, np.full(len(canary), 2)])
        write_csv(os.path.join(sites, n + ".csv"), x, y, names=names)
    return inside


def audit(folder, privacy, local, seed):
    """One run: stated epsilon at delta 1e-5, and right guesses of M."""
    sites = make_sites(folder, NAMES)
    inside = write_data(sites, seed)
    job = secure_job(folder, NAMES, rest="privacy: %s\n" % privacy,
                     secure="{collusion: 1}", rounds=1, local=local)
    run = os.path.join(folder, "RUN")
    mpirun(4, "run", job, "--silo-dir", sites, "--out", run)
    with h5py.File(os.path.join(run, "run.h5")) as f:
        w = f["/model/params/dense1/weight"][:]  # (3, 2 + M)
    # A canary that was in has pulled its feature's weights to class 2.
    score = w[2, 2:] - 0.5 * (w[0, 2:] + w[1, 2:])
    low, high = np.quantile(score, (0.25, 0.75))
    guess = score > low + 0.3 * (high - low)
    return inspect(run)["privacy"]["epsilon"], int((guess == inside).sum())


LOCAL = "{steps: 12, batch: 60, learning_rate: 0.5}"
RECORD = "{unit: record, noise_multiplier: %g, clip: 1.0, sampling: 0.5%s}"


def check(folder, noise):
    stated, right = audit(os.path.join(folder, "on"),
                          RECORD % (3.5, noise), LOCAL, 1)
    proved = proved_epsilon(right, M)
    print("stated %.3f, right %d of %d, proved %.3f" %
          (stated, right, M, proved))
    assert 1.0 < stated < 2.8
    assert proved <= stated
    # The same with (nearly) no noise: the audit has the power to see it.
    off, right = audit(os.path.join(folder, "off"),
                       RECORD % (0.001, noise), LOCAL, 2)
    print("without noise: right %d, proved %.3f" %
          (right, proved_epsilon(right, M)))
    assert proved_epsilon(right, M) > stated


@test
def distributed_noise_keeps_its_word(folder):
    check(folder, "")


@test
def local_noise_keeps_its_word(folder):
    check(folder, ", noise: local")


@test
def the_bound_is_a_bound(folder):
    assert proved_epsilon(M // 2, M) == 0.0
    assert 3.0 < proved_epsilon(M, M) < 3.6
    # About p = 3/4 is epsilon ln 3, less what chance may have added.
    assert 0.5 < proved_epsilon(3 * M // 4, M) < math.log(3)


if __name__ == "__main__":
    main()

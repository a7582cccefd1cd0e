"""Fits that are killed end with the same bytes as those that are not; and what a
site that knows the rows of its earlier fits refuses to forget."""
import os
import random
import shutil

import numpy as np

from faults import together
from fit_sites import (COX, FIVE, GLM, LOGIT, fit_job, fit_sites, result_of,
                       rows_of, run_fit, wide_sites)
from harness import main, parameters, test
from kills import finish, killed, ranks_of, rounds_since, wait_until
from ledgers import attempts, call_library, calling

MASKED_GLM = LOGIT % ("x1 + x2 + x3 * x4 + x5 + x6 + x7 + x8 + C(g)", "")
PLAIN_COX = COX % ("x1 + x2 + x3 + x4 + C(g)", "")


def homes(folder, names, masked, model, rows=4000, cols=8, name="base", every=1):
    """A folder with sites and job."""
    home = os.path.join(folder, name)
    os.makedirs(home)
    fit_sites(home, names, [rows_of(rows, k, cols) for k in range(len(names))],
              masked)
    fit_job(os.path.join(home, "sites"), names, model, masked,
            rest="checkpoint: {every: %d}\n" % every)
    return home


def homes_of_wide(folder):
    home = os.path.join(folder, "base")
    os.makedirs(home)
    wide_sites(home, "abc")
    return home


def again(base, name):
    """The sites as they were before any run."""
    home = os.path.join(os.path.dirname(base), name)
    shutil.copytree(base, home, ignore=shutil.ignore_patterns("RUN", "state-*"))
    return home


def go(home, ranks, *more, **kw):
    sites = os.path.join(home, "sites")
    return run_fit(ranks, os.path.join(sites, "job.yaml"), sites, os.path.join(home, "RUN"), *more,
                   **kw)


def killed_at_random(folder, masked, model, ranks, seed, every):
    """Eight runs, each killed once or twice by the clock and gone on with on
    other numbers of ranks."""
    base, hits = homes(folder, FIVE, masked, model, every=every), []
    for n in ranks:
        home = again(base, "once-%d" % n)
        go(home, n)
        want = result_of(os.path.join(home, "RUN"))
        if n == ranks[0]:
            reference = want
        assert want == reference, n

    def one(k):
        dice = random.Random(100 * seed + k)
        home, more = again(base, "killed-%d" % k), []
        out = os.path.join(home, "RUN")
        for after in sorted(dice.sample(range(reference["round"]), 1 + k % 2)):
            n = dice.choice(ranks)
            if killed(os.path.join(home, "sites"), out, n, *more, rank=dice.choice([None, *range(n)]),
                      after=after, delay=dice.uniform(
                          0, 0.25 if after == 0 else 0.012)):
                hits.append(after)
            more = ["--resume"]
        go(home, dice.choice(ranks), *more)
        assert result_of(out) == reference, k
        assert [f for f in os.listdir(out) if ".tmp." in f] == []
    together([lambda k=k: one(k) for k in range(8)], 2)
    print("   %d kills in time, after rounds %s" % (len(hits), sorted(hits)))
    assert len(hits) >= 5 and max(hits) >= 1


@test
def masked_glm_killed_at_random(folder):
    killed_at_random(folder, True, MASKED_GLM, (2, 3, 5), 1, 2)


@test
def plain_cox_killed_at_random(folder):
    killed_at_random(folder, False, PLAIN_COX, (1, 2, 3, 5), 2, 1)


@test
def ranks_that_share_a_silo(folder):
    """On as many ranks the bytes are the same; on others nearly."""
    base = homes(folder, "ab", False, GLM % ("gaussian", "y ~ x1 + x2 + C(g)", ""))
    homes_of = {}
    for n in (2, 4):
        homes_of[n] = again(base, "once-%d" % n)
        go(homes_of[n], n)
    for k, (first, then) in enumerate(((4, 4), (4, 2), (2, 4))):
        home = again(base, "killed-%d" % k)
        out = os.path.join(home, "RUN")
        killed(os.path.join(home, "sites"), out, first, rank=first - 1, after=2)
        go(home, then, "--resume")
        want = os.path.join(homes_of[then], "RUN")
        if first == then:
            assert result_of(out) == result_of(want)
        assert np.allclose(parameters(out), parameters(want), rtol=1e-8,
                           atol=1e-10, equal_nan=True)


# ---- at chosen calls ----------------------------------------------------------------


def calls_of(home, library, rank, ranks):
    """What one rank of an undisturbed run calls, from where rows are noted on."""
    trace = os.path.join(home, "trace")
    go(home, ranks, env=calling(library, home, rank, trace=trace))
    with open(trace) as f:
        lines = f.read().splitlines()
    first = next(k for k, v in enumerate(lines) if ".rows.tmp" in v) + 1
    return lines, first


def killed_at_calls(folder, base, ranks, resumed, seed, number, rank):
    """One kill at each moment that matters, and `number` others by seed."""
    library, dice = call_library(folder), random.Random(seed)
    home = again(base, "trace")
    lines, first = calls_of(home, library, rank, ranks)
    reference = result_of(os.path.join(home, "RUN"))
    told = {}
    for k, v in enumerate(lines, 1):
        for what in ("rows.tmp", "silo-%s.rows" % "abc"[rank], "attempt run",
                     "Allreduce masked", "Reduce_scatter masked", "computed run",
                     "signed run"):
            if what in v:
                told.setdefault(what, []).append(k)
    # The first and the last of each kind, one that is begun; and any.
    moments = {m for found in told.values() for m in (found[0], found[-1])}
    moments |= set(dice.sample(range(first, len(lines)), number))

    def one(at):
        home = again(base, "killed-%d" % at)
        go(home, ranks, expect=set(range(1, 256)) | {-9},
           env=calling(library, home, rank, at), said=False)
        before = [e["round"] for e in attempts(home, "b")]
        go(home, dice.choice(resumed), "--resume")
        assert result_of(os.path.join(home, "RUN")) == reference, lines[at - 1]
        shutil.rmtree(home)
        return max(before, default=0)
    found = []
    together([lambda m=m: found.append(one(m)) for m in sorted(moments)], 2)
    print("   %d kills, in rounds %s; %s" % (len(found), sorted(found),
                                            {k: len(v) for k, v in told.items()}))
    assert len(set(found)) > 2
    return told


@test
def masked_glm_killed_at_calls(folder):
    base = homes(folder, "abc", True, LOGIT % ("x1 + x2 + C(g)", ""), rows=200)
    killed_at_calls(folder, base, 3, (3,), 3, 6, 1)


@test
def masked_ridge_in_parts_killed_at_calls(folder):
    """Of a matrix that no rank holds whole."""
    base = homes_of_wide(folder)
    told = killed_at_calls(folder, base, 3, (3,), 4, 2, 2)
    assert len(told["Reduce_scatter masked"]) == 17  # panels


# ---- rows of earlier fits ------------------------------------------------------------


if __name__ == "__main__":
    main()

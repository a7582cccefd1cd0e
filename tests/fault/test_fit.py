"""Fits that are killed end with the same bytes as those that are not; and what a
site that knows the rows of its earlier fits refuses to forget."""
import hashlib
import os
import random
import shutil
import struct

import numpy as np

from faults import together
from fit_sites import (COX, FIVE, GLM, LOGIT, WIDE_RIDGE, csv_text, fit_job,
                       fit_sites, result_of, rows_of, run_fit, wide_sites)
from harness import main, parameters, test, write
from kills import killed
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
    fit_job(wide_sites(home, "abc"), "abc", WIDE_RIDGE, True)
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


def killed_at_calls(folder, base, ranks, resumed, seed, number, rank, kinds):
    """One kill at each moment that matters (the first and the last call of these
    kinds), and `number` others by seed."""
    library, dice = call_library(folder), random.Random(seed)
    home = again(base, "trace")
    lines, first = calls_of(home, library, rank, ranks)
    reference = result_of(os.path.join(home, "RUN"))
    told = {}
    for k, v in enumerate(lines, 1):
        for what in kinds:
            if what in v:
                told.setdefault(what, []).append(k)
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
    assert max(found) > 1
    return told


@test
def masked_glm_killed_at_calls(folder):
    base = homes(folder, "abc", True, LOGIT % ("x1 + x2 + C(g)", ""), rows=200)
    killed_at_calls(folder, base, 3, (3,), 3, 5, 1, (
        "rows.tmp", "attempt run", "Allreduce masked", "computed run",
        "signed run"))


@test
def masked_ridge_in_parts_killed_at_calls(folder):
    """Of a matrix that no rank holds whole."""
    base = homes_of_wide(folder)
    told = killed_at_calls(folder, base, 3, (3,), 4, 2, 2, (
        "Reduce_scatter masked",))
    assert len(told["Reduce_scatter masked"]) == 17  # panels


# ---- rows of earlier fits ------------------------------------------------------------

NAMES = ("a", "b", "c")
LIMITS = "disclosure: {min_rows: 10, min_cell: 1, rows_per_parameter: 0}\n"


def row_sites(folder, name, masked):
    """A folder whose sites have made a fit; the first of them has kept a copy of
    what it knew after it."""
    home = os.path.join(folder, name)
    os.makedirs(home)
    sites = fit_sites(home, NAMES, [rows_of(60, k) for k in range(3)], masked)
    fit_job(sites, NAMES, LOGIT % ("x1 + x2", ""), masked, disclosure=LIMITS)
    go(home, 3)
    shutil.copy(rows_path(home), rows_path(home) + ".kept")
    return home


def rows_path(home, name="b"):
    return os.path.join(home, "sites", "state-" + name, "silo-%s.rows" % name)


def set_rows(home, data):
    with open(rows_path(home), "wb") as f:
        f.write(data)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def change_rows(home, skip=0, seed=1, name="b"):
    """Other rows: the old ones without the first few, or all new ones."""
    d = rows_of(60, seed)
    write(os.path.join(home, "sites", name + ".csv"),
          csv_text({k: v[skip:] for k, v in d.items()}))


def fits_again(home, expect=0, words=(), **kw):
    """Once more, in a folder of its own."""
    shutil.rmtree(os.path.join(home, "RUN"))
    journal = os.path.join(os.path.dirname(rows_path(home)), "silo-b.journal")
    before = read(journal) if os.path.exists(journal) else b""
    r = go(home, 3, expect=expect, words=words, **kw)
    if r.code:
        assert not os.path.exists(os.path.join(home, "RUN", "run.h5"))
        if before:  # nothing was spent, so nothing was sent
            assert read(journal).count(b"attempt run=") == \
                before.count(b"attempt run=")
    return r


@test
def a_file_of_rows_that_is_damaged(folder):
    damaged = ["silo b: ", "rows of earlier fits is damaged.*backup"]
    for masked in (True, False):
        home = row_sites(folder, "m%d" % masked, masked)
        good = read(rows_path(home))
        # A name, a key; partners, the number of rows, their hashes; a digest.
        assert len(good) == 24 + 40 + 60 * 8 + 16 and good[:8] == b"covrows1"
        cases = [b"", good[:10], good[:24], good[:60], good[:-1], good[:-17],
                 good + b"x", good + good, b"covrows2" + good[8:],
                 b"\x89HDF\r\n\x1a\n" + bytes(600), bytes(len(good)),
                 (b"a,b\n" + b"1,2\n" * 100)]
        for at in (9, 24, 58, 63, 200, len(good) - 1):
            cases.append(good[:at] + bytes([good[at] ^ 16]) + good[at + 1:])
        # Whole, but its sets are longer than it is, or end in the middle.
        for n in (61, 2**61, 2**64 - 1):
            cases.append(sealed(good[:56] + struct.pack("<Q", n) + good[64:-16]))
        cases.append(sealed(good[:-16] + b"1234"))
        for data in cases if masked else cases[::4]:
            set_rows(home, data)
            fits_again(home, 6, damaged)
            assert read(rows_path(home)) == data  # nobody has mended it
        with open(os.path.join(home, "sites", "state-b", "silo-b.log")) as f:
            assert "silo-b.rows" in f.read()
        set_rows(home, good)
        fits_again(home)
        assert read(rows_path(home)) == good


FEW = ["silo b: its rows .* differ from those of an earlier fit by fewer than 10"]


def sealed(data):
    return data + hashlib.sha256(data).digest()[:16]


@test
def a_file_of_rows_that_is_gone_or_old(folder):
    gone = ["silo b: the file that knows the rows of its earlier fits is gone"]
    home = row_sites(folder, "masked", True)
    os.remove(rows_path(home))
    fits_again(home, 4, gone)
    change_rows(home, 5)  # the same place, other content
    fits_again(home, 4, gone)
    change_rows(home)
    shutil.copy(rows_path(home) + ".kept", rows_path(home))
    fits_again(home)
    # Rows that have grown by many are fine; and one less than those is not,
    # unless the site has put back the file from before: its folder is its own
    # (PROTOCOL, "Differences").
    more = rows_of(60, 1), rows_of(30, 77)
    d = {k: np.concatenate([m[k] for m in more]) for k in more[0]}
    path = os.path.join(home, "sites", "b.csv")
    write(path, csv_text(d))
    fits_again(home)
    write(path, csv_text({k: v[1:] for k, v in d.items()}))
    fits_again(home, 4, FEW)
    shutil.copy(rows_path(home) + ".kept", rows_path(home))
    fits_again(home)
    # Without masks there is no journal: a file that is gone begins anew.
    home = row_sites(folder, "plain", False)
    change_rows(home, 1)
    fits_again(home, 4, FEW)
    os.remove(rows_path(home))
    fits_again(home)
    # A set of another silo, whole: its key is another one, so nothing is known.
    home = row_sites(folder, "foreign", True)
    shutil.copy(rows_path(home, "c"), rows_path(home))
    fits_again(home)


@test
def a_file_of_rows_that_cannot_be_written(folder):
    """A folder in its place, or where its new version would be: root may write
    everywhere, so rights would say nothing here."""
    home = row_sites(folder, "folder", True)
    os.remove(rows_path(home))
    os.makedirs(os.path.join(rows_path(home), "x"))
    fits_again(home, 2, ["silo b: expected a file"])
    # No file may grow beyond 30 kB; those of a run that has just begun are
    # small, this one is 40 kB. (The limit is for the rank: mpirun has files of
    # its own.)
    home = homes(folder, "abc", False, LOGIT % ("x1 + x2", ""), rows=5000,
                 name="full")
    go(home, 1, expect=3, words=["silo a: cannot write: "],
       env={"OMPI_MCA_btl": "self"}, wrap=["sh", "-c", 'ulimit -f 60; exec "$@"', "sh"])
    assert os.listdir(os.path.dirname(rows_path(home, "a"))) == ["silo-a.log"]
    go(home, 0)
    assert os.path.exists(rows_path(home, "a"))


@test
def rows_of_a_fit_that_was_killed(folder):
    """Before its first checkpoint, but after it had begun to send."""
    library = call_library(folder)
    base = homes(folder, "abc", True, LOGIT % ("x1 + x2", ""), rows=60)
    fit_job(os.path.join(base, "sites"), "abc", LOGIT % ("x1 + x2", ""), True,
            disclosure=LIMITS)
    home = again(base, "trace")
    lines, _ = calls_of(home, library, 1, 3)
    first = next(k for k, v in enumerate(lines, 1) if "Allreduce masked" in v)
    noted = next(k for k, v in enumerate(lines, 1) if "rows.tmp" in v)
    for name, at, then in (("sent", first + 1, 4), ("sending", first, 4),
                           ("noting", noted, 0)):
        home = again(base, name)
        go(home, 3, expect=set(range(1, 256)), said=False,
           env=calling(library, home, 1, at))
        assert not os.path.exists(os.path.join(home, "RUN", "run.h5"))
        same_rows = os.path.join(folder, "same-" + name)
        shutil.copytree(home, same_rows)
        change_rows(home, 1)
        fits_again(home, then, FEW)
        fits_again(same_rows)


if __name__ == "__main__":
    main()

"""Masked and private runs that are killed, stopped, copied and put back: what is
sent again is what was sent before, or is paid for again, and noise comes from
nothing that others know."""
import glob
import math
import os
import shutil

import numpy as np

from faults import together
from harness import blobs, inspect, main, test, write, write_csv
from kills import outcome, same
from ledgers import (NAMES, attempts, call_library, calling,
                     check_agreement, check_charged, check_epsilon, copy, entries,
                     epsilon_of, job, journal_bytes, journal_path, run,
                     run_folder, saved, spent)
from secure_sites import make_sites

NOISE = "noise_multiplier: 2"
FOUR = ("a", "b", "c", "d")


def halted(folder, what=NOISE, rounds=2, then=3, names=NAMES, **kw):
    """A folder with a run that has ended after `rounds`, and its job, which has
    been extended to `then`."""
    base = os.path.join(folder, "base")
    os.makedirs(base)
    make_sites(base, names, rows=(24,))
    job(base, what, names, rounds=rounds, **kw)
    run(base, "-q", ranks=len(names))
    job(base, what, names, rounds=then, **kw)
    return base


def digest(folder, out="RUN"):
    return inspect(run_folder(folder, out))["model"]["digest"]


def silos_of(folder):
    return sorted(os.path.basename(p)[:-4] for p in
                  glob.glob(os.path.join(folder, "sites", "*.key")))


# ---- kills at every call of a round ------------------------------------------------


_traces = {}


def trace_of(folder, base, library, rank):
    """What one rank of a resumed run calls, a line a call."""
    if (base, rank) not in _traces:
        dry = copy(base, "dry-%d" % rank)
        trace = os.path.join(folder, "trace-%d" % rank)
        run(dry, "-q", "--resume", ranks=len(silos_of(base)),
            env=calling(library, dry, rank, trace=trace))
        with open(trace) as f:
            _traces[base, rank] = [line.strip() for line in f]
        shutil.rmtree(dry)
    return _traces[base, rank]


def moments(folder, base, library, rank, number):
    """{moment of the round: N of the call before which it ends}."""
    lines = trace_of(folder, base, library, rank)

    def find(words, start=0):
        return next((i for i, l in enumerate(lines)
                     if i >= start and all(w in l for w in words)), None)

    spend = find(["attempt run=", "round=%d " % number])
    masked = find(["masked"], spend)
    signed = find(["signed run=", "round=%d " % number])
    found = {"spending": spend + 1, "written": spend + 2, "spent": spend + 3,
             "sum": masked + 1, "summed": masked + 2}
    if signed:
        found.update(signing=signed + 1, signed=signed + 3)
    renamed = find(["rename", "run.h5"], masked)
    if renamed and rank == 0:
        found.update(saving=renamed, saved=renamed + 2)
    return found


def calls_of_round(folder, base, library, rank, number, every):
    """N of the calls from the end of its set-up to its last signature: the
    moments above, and one in `every`."""
    lines = trace_of(folder, base, library, rank)
    known = moments(folder, base, library, rank, number)
    first = max(i for i in range(known["spending"] - 1)
                if "MPI_A" not in lines[i]) + 2
    # What ends a run after that are files of MPI's own.
    last = max(i for i, l in enumerate(lines) if "MPI_" in l) + 1
    work = sorted({*range(first, last + 1, every), *known.values()})
    assert first < known["spending"] < known["sum"] < known["signed"] <= last
    half = [(rank, n, True) for n in work if lines[n - 1].startswith("pwrite")
            and ".journal" in lines[n - 1]]
    return [(rank, n) for n in work] + half


def undisturbed(base):
    """What the run is without a kill."""
    case = copy(base, "straight")
    run(case, "-q", "--resume")
    return outcome(run_folder(case))


def killed_and_resumed(base, library, rank, at, half=False):
    """What two runs leave: one that is killed at that call, one that goes on."""
    case = copy(base, "case-%d-%d%s" % (rank, at, "-half" * half))
    r = run(case, "-q", "--resume", expect=None,
            env=calling(library, case, rank, at, half))
    assert r.code != 0, "was not killed"
    stop = {n: attempts(case, n) for n in NAMES}
    run(case, "-q", "--resume")
    return case, stop


@test
def masked_run_killed_at_any_call_ends_with_the_same_bytes(folder):
    base = halted(folder, None, data="standardize: pooled")
    reference = undisturbed(base)
    library = call_library(folder)
    hits = []

    def one(rank, at, half=False):
        case, stop = killed_and_resumed(base, library, rank, at, half)
        same(run_folder(case), reference)
        check_agreement(case)
        for number in (0, 3):
            new = [e["attempt"] for e in attempts(case, "a")
                   if e["round"] == number]
            assert new == list(range(new[0], new[0] + len(new))) and new[0] <= 2
        hits.append(len(new))
        assert {spent(case, n) for n in NAMES} == {0}
        shutil.rmtree(case)

    work = calls_of_round(folder, base, library, 0, 3, 16) + \
        calls_of_round(folder, base, library, 2, 3, 8)
    together([lambda w=w: one(*w) for w in work], 2)
    print("   %d kills; attempts that round 3 took: %s" %
          (len(work), {n: hits.count(n) for n in sorted(set(hits))}))
    assert {1, 2} <= set(hits)


@test
def private_run_killed_at_any_call_repeats_or_pays_again(folder):
    base = halted(folder)
    reference = undisturbed(base)
    library = call_library(folder)
    kinds = []

    def one(rank, at, half=False):
        case, stop = killed_and_resumed(base, library, rank, at, half)
        check_charged(case)
        check_agreement(case)
        knew = sum(stop[n][-1]["round"] == 3 for n in NAMES)
        paid = max(spent(case, n) for n in NAMES)
        newest = [attempts(case, n)[-1] for n in NAMES]
        if knew in (0, 3):
            # Nobody had sent anything, or all draw again what they drew.
            assert paid == 3, (rank, at, knew)
            assert all(e["draw"] == 1 and e["attempt"] <= 2 for e in newest)
            same(run_folder(case), reference)
        else:  # not in all journals: nobody knows what the others would do
            assert paid == 4, (rank, at, knew)
            assert all(e["draw"] == e["attempt"] == 2 for e in newest)
            assert digest(case) != reference["digest"]
        check_epsilon(saved(case)["epsilon"], 2, paid)
        kinds.append((knew, paid))
        shutil.rmtree(case)

    work = calls_of_round(folder, base, library, 0, 3, 10) + \
        calls_of_round(folder, base, library, 1, 3, 6)
    together([lambda w=w: one(*w) for w in work], 2)
    print("   %d kills; journals that knew the attempt, sums paid for: %s" %
          (len(work), {k: kinds.count(k) for k in sorted(set(kinds))}))
    assert {0, 3} <= {k for k, _ in kinds}


@test
def many_rounds_after_a_checkpoint_are_repeated_for_nothing(folder):
    """With local state that moves with every round, and a checkpoint in three."""
    base = halted(folder, NOISE + ", epsilon: 50", rounds=3, then=6,
                  strategy="scaffold", rest="checkpoint: {every: 3}\n")
    reference = undisturbed(base)
    library = call_library(folder)
    for number, moment in ((5, "summed"), (6, "summed")):
        at = moments(folder, base, library, 2, number)[moment]
        case = copy(base, "case-%d" % number)
        run(case, "-q", "--resume", expect=None,
            env=calling(library, case, 2, at))
        assert max(e["round"] for e in attempts(case, "a")) == number
        run(case, "-q", "--resume", ranks=3)
        assert inspect(run_folder(case))["model"]["digest"] == \
            reference["digest"]
        assert [spent(case, n) for n in NAMES] == [6, 6, 6]
        check_charged(case)
        check_agreement(case)
        check_epsilon(saved(case)["epsilon"], 2, 6)
        redone = [e for e in attempts(case, "a") if e["attempt"] == 2]
        assert [e["round"] for e in redone] == list(range(4, number + 1))


# ---- when it cannot be what it was ---------------------------------------------


def lost_after_the_sum(folder, base, name, library, rank=1):
    """A copy whose round 3 all silos have sent, and that no checkpoint has."""
    at = moments(folder, base, library, rank, 3)["summed"]
    case = copy(base, name)
    run(case, "-q", "--resume", expect=None, ranks=len(silos_of(base)),
        env=calling(library, case, rank, at))
    assert {attempts(case, n)[-1]["round"] for n in silos_of(base)} == {3}
    assert inspect(run_folder(case))["round"] == 2
    return case


@test
def another_vector_is_paid_for_again(folder):
    base = halted(folder)
    library = call_library(folder)
    straight = copy(base, "straight")
    run(straight, "-q", "--resume")
    case = lost_after_the_sum(folder, base, "secret", library)
    os.unlink(os.path.join(case, "sites", "state-b", "silo-b.secret"))
    run(case, "-q", "--resume")
    for name in NAMES:
        told = [(e["attempt"], e["draw"], e["steps"])
                for e in attempts(case, name) if e["round"] == 3]
        assert told == [(1, 1, 1), (2, 2, 1)], told
    check_charged(case)
    check_agreement(case)
    assert digest(case) != digest(straight)
    public = saved(case)
    assert sum(l["steps"] for l in public["ledger"]) == 4
    check_epsilon(public["epsilon"], 2, 4)
    check_epsilon(inspect(run_folder(case))["history"][-1]["epsilon"], 2, 4)

    # Other data are not even looked at: their sum would show what has changed.
    case = lost_after_the_sum(folder, base, "data", library)
    path = os.path.join(case, "sites", "b.csv")
    with open(path) as f:
        text = f.read()
    write(path, text[:-2] + ("1" if text[-2] == "0" else "0") + "\n")
    before = journal_bytes(case)
    run(case, "-q", "--resume", expect=2, says=["silo b", "data have changed"])
    assert journal_bytes(case) == before


@test
def a_budget_that_the_lost_round_has_used_up(folder):
    """The last round that the budget allows is lost: what was paid for may be
    sent again, and nothing else."""
    cap = (epsilon_of(2, 3) + epsilon_of(2, 4)) / 2
    base = halted(folder, NOISE + ", epsilon: %.5f" % cap, then=30)
    for name in NAMES:
        with open(os.path.join(base, "sites", name + ".yaml"), "a") as f:
            f.write("limits: {epsilon: %.5f}\n" % cap)
    straight = copy(base, "straight")
    run(straight, "--resume", says=["would pass the budget"])
    library = call_library(folder)
    case = lost_after_the_sum(folder, base, "case", library)
    other = copy(case, "other")
    run(case, "--resume", says=["allows 1 further round",
                                "would pass the budget"])
    same(run_folder(case), outcome(run_folder(straight)))
    assert [spent(case, n) for n in NAMES] == [3, 3, 3]
    check_charged(case)

    os.unlink(os.path.join(other, "sites", "state-c", "silo-c.secret"))
    before = journal_bytes(other)
    run(other, "--resume", expect=4, says=["round 3 was sent before"])
    assert journal_bytes(other) == before
    assert inspect(run_folder(other))["round"] == 2


@test
def a_lost_round_of_records_is_paid_for_again(folder):
    """Its steps are not kept one by one, so none is ever repeated."""
    what = ("privacy: {unit: record, noise_multiplier: 1.5, epsilon: 40, "
            "delta: 1.0e-5, clip: 1, sampling: 0.3}\n")
    kw = dict(rest=what, local="{steps: 3, batch: 8, learning_rate: 0.1}")
    base = halted(folder, None, **kw)
    library = call_library(folder)
    case = lost_after_the_sum(folder, base, "case", library)
    run(case, "-q", "--resume")
    for name in NAMES:
        told = [(e["round"], e["attempt"], e["draw"], e["steps"])
                for e in attempts(case, name)]
        assert told == [(1, 1, 1, 3), (2, 1, 1, 3), (3, 1, 1, 3), (3, 2, 2, 3)]
    check_agreement(case)
    straight = copy(base, "straight")
    run(straight, "-q", "--resume")
    assert digest(case) != digest(straight)
    found = [sum(l["steps"] for l in saved(f)["ledger"])
             for f in (straight, case)]
    assert found == [9, 12]
    assert saved(case)["epsilon"] > saved(straight)["epsilon"]


# ---- where noise comes from, and how much ------------------------------------------


BIG = "{kind: mlp, hidden: [%d]}"
STILL = "{steps: 1, batch: 8, learning_rate: 1.0e-12}"
WIDE = "target_type: category"


def weights(path):
    import h5py
    parts = []
    with h5py.File(path, "r") as f:
        f["/model/params"].visititems(
            lambda _, d: parts.append(np.array(d).ravel())
            if isinstance(d, h5py.Dataset) else None)
    return np.concatenate(parts).astype(np.float64)


def change(folder, out="RUN", first=1):
    """Of the model in the round after `first`."""
    a, b = (weights(os.path.join(folder, out, "round-%06d.h5" % r))
            for r in (first, first + 1))
    return b - a


def correlation(a, b):
    return float(np.corrcoef(a, b)[0, 1])


@test
def noise_comes_from_the_sites_secrets_alone(folder):
    kw = dict(model=BIG % 1000, local=STILL, data=WIDE,
              training="  weights: equal\n  seed: 7\n")
    base = halted(folder, rounds=1, then=3, **kw)
    noise, later = {}, {}
    for name, lost in (("straight", ""), ("again", ""), ("one", "b"),
                       ("all", NAMES)):
        case = copy(base, name)
        for silo in lost:
            os.unlink(os.path.join(case, "sites", "state-" + silo,
                                   "silo-%s.secret" % silo))
        run(case, "-q", "--resume")
        noise[name], later[name] = change(case), change(case, first=2)
    run(base, "-q", out="NEW")  # the same job, seed, secrets: another run
    noise["new"] = change(base, "NEW")
    d = len(noise["new"])
    assert d >= 10000
    error = 1 / math.sqrt(d)
    assert (noise["again"] == noise["straight"]).all()
    assert abs(correlation(noise["all"], noise["straight"])) < 5 * error
    assert abs(correlation(noise["new"], noise["straight"])) < 5 * error
    # Two of three shares are what they were.
    assert abs(correlation(noise["one"], noise["straight"]) - 2 / 3) < 5 * error
    # From then on the models differ, and the same noise on another update would
    # show what has changed, even to a site that was put back, journal and all.
    assert (later["again"] == later["straight"]).all()
    assert abs(correlation(later["one"], later["straight"])) < 5 * error
    # Nor does one round tell of the next.
    assert abs(correlation(noise["new"], change(base, "NEW", 2))) < 5 * error
    assert abs(correlation(noise["straight"], later["straight"])) < 5 * error

    # Without noise the same job twice is the same model, seed by seed.
    kw["local"] = "{steps: 2, batch: 8, learning_rate: 0.1}"
    found = []
    for seed, out in ((7, "P1"), (7, "P2"), (8, "P3")):
        kw["training"] = "  weights: equal\n  seed: %d\n" % seed
        job(base, None, rounds=2, **kw)
        run(base, "-q", out=out)
        found.append(digest(base, out))
    assert found[0] == found[1] != found[2]


@test
def noise_is_as_much_as_it_should_be(folder):
    """d coordinates: the variance is known to sqrt(2/d), here 0.8 %, and held to
    five times that. Half the noise is 100 such errors away; shares made for n
    instead of n - collusion silos at least 17 % of the variance, 20 errors; both
    are seen with a chance of practically one."""
    z, clip = 3.0, 1.0
    for n, t in ((3, 1), (4, 1), (4, 2), (6, 1), (6, 2)):
        names = FOUR[:3] if n == 3 else "abcdef"[:n]
        case = os.path.join(folder, "%d-%d" % (n, t))
        os.makedirs(case)
        make_sites(case, names, rows=(24,))
        job(case, "noise_multiplier: %g" % z, names, rounds=2, local=STILL,
            model=BIG % 3000, data=WIDE, secure="{collusion: %d}" % t)
        run(case, "-q", ranks=n)
        noise = change(case)
        d, p = len(noise), saved(case)
        assert d >= 30000
        # The sensitivity is the clip, and a little for the grid.
        sensitivity = p["sensitivity"] * 2.0 ** p["grid_exponent"]
        assert clip < sensitivity < 1.01 * clip, p
        assert p["noise_multiplier"] == z and p["honest"] == n - t
        expected = (z * sensitivity)**2 * n / (n - t) / n**2
        error = math.sqrt(2 / d)
        off = (np.var(noise) / expected - 1) / error
        print("   %d silos, %d may collude: variance off by %+.1f errors" %
              (n, t, off))
        assert abs(off) < 5, (n, t, np.var(noise), expected)
        assert abs(np.mean(noise)) < 5 * math.sqrt(expected / d)
        kurtosis = np.mean(noise**4) / np.var(noise)**2
        assert abs(kurtosis - 3) < 5 * math.sqrt(24 / d), kurtosis
        # Would half the noise, or shares for n silos, have been seen?
        assert (1 - 0.25) / error > 50
        assert (1 - (n - t) / n) / error > 15


# ---- ranks -----------------------------------------------------------------------------


@test
def simulated_silos_on_any_number_of_ranks(folder):
    write_csv(os.path.join(folder, "all.csv"), *blobs(120, seed=5))
    rest = ("simulate: {source: all.csv, partition: iid}\n")

    def prepare(rounds):
        job(folder, NOISE, silos="{count: 5, prefix: s}", rounds=rounds,
            rest=rest)

    def on(ranks, out, *more, **kw):
        return run(folder, "-q", *more, ranks=ranks, out=out, sites=None, **kw)

    prepare(2)
    on(4, "BASE")
    prepare(4)
    found = []
    for ranks in (4, 2, 0, 5):
        out = "on-%d" % ranks
        shutil.copytree(run_folder(folder, "BASE"), run_folder(folder, out))
        on(ranks, out, "--resume")
        found.append(outcome(run_folder(folder, out)))
    assert all(f == found[0] for f in found)
    # Killed on some, repeated on others.
    library = call_library(folder)
    trace = os.path.join(folder, "trace")
    shutil.copytree(run_folder(folder, "BASE"), run_folder(folder, "DRY"))
    on(2, "DRY", "--resume", env=calling(library, folder, 1, trace=trace))
    with open(trace) as f:
        sums = [i for i, l in enumerate(f, 1) if "masked" in l]
    assert len(sums) == 2
    for at in (sums[0] + 1, sums[1] + 1):
        out = "killed-%d" % at
        shutil.copytree(run_folder(folder, "BASE"), run_folder(folder, out))
        on(2, out, "--resume", expect=None, env=calling(library, folder, 1, at))
        on(3, out, "--resume")
        same(run_folder(folder, out), found[0])
        told = [e for e in entries(os.path.join(
            folder, out, "state", "simulated.journal"))
            if e["kind"] == "attempt"]
        assert sum(e["steps"] for e in told) == 4
        assert [e["draw"] for e in told] == [1] * len(told) and len(told) == 5


@test
def sites_on_fewer_ranks(folder):
    """Silos of one process are one operator: their noise is not counted on, so a
    round that was lost is not the same on fewer ranks."""
    base = halted(folder, names=FOUR)
    few = copy(base, "few")
    run(few, "-q", "--resume", ranks=2)
    check_charged(few, FOUR)
    check_agreement(few, FOUR)
    assert [spent(few, n) for n in FOUR] == [3] * 4
    shares = [e["shares"] for e in attempts(few, "a")]
    assert shares == ["3", "3", "2"], shares
    check_epsilon(saved(few)["epsilon"], 2, 3)

    case = lost_after_the_sum(folder, base, "case", call_library(folder))
    before = journal_bytes(case, FOUR)
    run(case, "-q", "--resume", ranks=0, expect=4, says=["one operator"])
    assert journal_bytes(case, FOUR) == before
    run(case, "-q", "--resume", ranks=2)
    check_charged(case, FOUR)
    check_agreement(case, FOUR)
    assert [spent(case, n) for n in FOUR] == [4] * 4
    check_epsilon(saved(case)["epsilon"], 2, 4)

    # Masks alone: the sum is the same whoever runs the silos.
    plain = os.path.join(folder, "plain")
    os.makedirs(plain)
    base = halted(plain, None, names=FOUR)
    found = []
    for ranks in (4, 2, 3):
        case = copy(base, "on-%d" % ranks)
        run(case, "-q", "--resume", ranks=ranks)
        found.append(outcome(run_folder(case)))
    assert all(f == found[0] for f in found)


# ---- put back -----------------------------------------------------------------------------


def records(folder):
    with open(os.path.join(folder, "RUN", "records.log")) as f:
        return [dict(w.split("=", 1) for w in line.split()) for line in f]


def put_back(case, rounds, newest=3):
    for r in range(newest - rounds + 1, newest + 1):
        os.unlink(os.path.join(case, "RUN", "round-%06d.h5" % r))
    shutil.copy(os.path.join(case, "RUN", "round-%06d.h5" % (newest - rounds)),
                os.path.join(case, "RUN", "run.h5"))


@test
def put_back_after_signing(folder):
    base = halted(folder, rounds=3, then=4)
    first = {(r["round"], r["silo"]): r["record"] for r in records(base)}
    assert len(first) == 9 and len(set(first.values())) == 3
    assert {r["supersedes"] for r in records(base)} == {"-"}

    two = copy(base, "two")
    put_back(two, 2)
    before = journal_bytes(two)
    run(two, "--resume", expect=6,
        says=["has signed round 3", "checkpoint is of round 1",
              "older state", "restore the newest checkpoint"])
    assert journal_bytes(two) == before and len(records(two)) == 9

    reference = undisturbed(base)

    def damage(case):
        """The newest checkpoint; the one before is still there."""
        for name in ("run.h5", "round-000003.h5"):
            path = os.path.join(case, "RUN", name)
            if os.path.exists(path):
                with open(path, "r+b") as f:
                    f.seek(os.path.getsize(path) // 2)
                    f.write(b"\xff" * 64)

    for name, harm in (("one", lambda c: put_back(c, 1)), ("damaged", damage)):
        one = copy(base, name)
        kept = os.path.join(folder, "kept-" + name)
        shutil.copy(os.path.join(one, "RUN", "run.h5"), kept)
        harm(one)
        run(one, "-q", "--resume")
        same(run_folder(one), reference)
        assert [spent(one, n) for n in NAMES] == [4, 4, 4]
        check_charged(one)
        # Round 3 was signed twice, and the second time says what it replaces.
        again = [r for r in records(one)[9:] if r["round"] == "3"]
        assert {r["silo"] for r in again} == set(NAMES) and len(again) == 3
        for r in again:
            assert r["attempt"] == "2"
            assert r["supersedes"] == first["3", r["silo"]] != r["record"]
        assert {r["supersedes"] for r in records(one)[9:]
                if r["round"] != "3"} == {"-"}
        for n in NAMES:
            told = [e for e in entries(journal_path(one, n))
                    if e["kind"] == "signed" and e["round"] == 3]
            assert [e["supersedes"] for e in told] == ["-", first["3", n]]
        if name == "damaged":
            continue
        # What was superseded does not come back.
        for r in (3, 4):
            os.unlink(os.path.join(one, "RUN", "round-%06d.h5" % r))
        shutil.copy(kept, os.path.join(one, "RUN", "run.h5"))
        before = journal_bytes(one)
        run(one, "--resume", expect=6, says=["older state"])
        assert journal_bytes(one) == before


@test
def put_back_and_drawn_anew(folder):
    """One round back, and one silo has another secret: superseded, and paid for."""
    base = halted(folder, rounds=3, then=3)
    kept = os.path.join(folder, "kept")
    shutil.copy(os.path.join(base, "RUN", "run.h5"), kept)
    put_back(base, 1)
    os.unlink(os.path.join(base, "sites", "state-a", "silo-a.secret"))
    run(base, "-q", "--resume")
    assert [spent(base, n) for n in NAMES] == [4, 4, 4]
    check_charged(base)
    check_agreement(base)
    check_epsilon(saved(base)["epsilon"], 2, 4)
    assert len({r["supersedes"] for r in records(base)
                if r["round"] == "3" and r["attempt"] == "2"}) == 1
    # The record that was superseded is not signed again.
    os.unlink(os.path.join(base, "RUN", "round-000003.h5"))
    shutil.copy(kept, os.path.join(base, "RUN", "run.h5"))
    before = journal_bytes(base)
    run(base, "--resume", expect=6, says=["older state"])
    assert journal_bytes(base) == before


main()

"""A run that was killed goes on and ends with the same bytes as one that was not.

Kills come at random moments, by seed: in set-up, in training, in saving; and at
every single step on disk that a checkpoint is made of.
"""
import glob
import os
import random
import shutil

import numpy as np

from kills import (NAMES, killed, outcome, run, same, seal, step_library,
                   stepping, whole)
from harness import (STRATEGIES, blobs, inspect, job_text, main, parameters,
                     test, write, write_csv, write_silos)

ROWS = (30, 20, 40, 16)
MLP = "{kind: mlp, hidden: [4]}"


def job(folder, **kw):
    kw.setdefault("model", MLP)
    kw.setdefault("rounds", 60)
    return write(os.path.join(folder, "job.yaml"), job_text(NAMES, **kw))


def slow(local):
    """More local work: rounds long enough for a kill to find the one meant."""
    return local.replace("epochs: ", "epochs: 10").replace("rate: 0.", "rate: 0.0")


def resumed_from(out):
    """The rounds from which the starts in the run's log went on."""
    with open(os.path.join(out, "covey.log")) as f:
        return [int(line.rsplit("round=", 1)[1]) for line in f
                if " run_start " in line]


def states(folder, name):
    """{round: path} of one silo's local state."""
    found = glob.glob(os.path.join(folder, "state-%s" % name, "*",
                                   "silo-%s-*.h5" % name))
    return {int(p[-9:-3]): p for p in found}


# ---- at random moments --------------------------------------------------------


def kill_and_resume(folder, out, dice, rounds, ranks=(4, 2, 1, 3, 0), kills=3):
    """Several kills, one of them in set-up, each on another number of ranks;
    then the rest undisturbed. Returns how many kills came in time."""
    moments = [0] + sorted(dice.randrange(1, rounds - 20)
                           for _ in range(kills - 1))
    more, hits = [], 0
    for after in moments:
        n = dice.choice(ranks)
        victim = dice.choice([None, *range(n)])
        delay = dice.uniform(0, 0.15 if after == 0 else 0.004)
        hits += killed(folder, out, n, *more, rank=victim, after=after, delay=delay)
        more = ["--resume"]
    run(folder, out, dice.choice(ranks), "--resume", "-q")
    return hits


@test
def every_strategy_at_random_moments(folder):
    write_silos(folder, NAMES, rows=ROWS)
    dice, hits = random.Random(1), 0
    for strategy, options in STRATEGIES.items():
        local = options.get("local", "{epochs: 1, batch: 16, learning_rate: 0.1}")
        job(folder, strategy=strategy, local=slow(local))
        once = os.path.join(folder, "once-" + strategy)
        run(folder, once, 0, "-q")
        out = os.path.join(folder, "killed-" + strategy)
        hits += kill_and_resume(folder, out, dice, 60)
        same(out, outcome(once))
        assert [f for f in os.listdir(out) if ".tmp." in f] == []
    print("   %d kills, %d in time" % (3 * len(STRATEGIES), hits))
    assert hits > len(STRATEGIES)  # else this is no test of anything


@test
def any_checkpoint_rhythm_and_some_silos(folder):
    write_silos(folder, NAMES, rows=ROWS)
    dice = random.Random(2)
    for i, (every, keep, participation) in enumerate(
            [(7, 0, 0.5), (4, 1, 0.75), (1, 3, 0.5), (9, 3, 1)]):
        job(folder, strategy="scaffold",
            training="  participation: %g\n" % participation,
            rest="checkpoint: {every: %d, keep: %d}\n" % (every, keep))
        once = os.path.join(folder, "once-%d" % i)
        run(folder, once, 0, "-q")
        out = os.path.join(folder, "killed-%d" % i)
        kill_and_resume(folder, out, dice, 60, kills=2)
        same(out, outcome(once))
        kept = glob.glob(os.path.join(out, "round-*.h5"))
        assert len(kept) == keep, kept
        for name in NAMES:
            assert max(states(folder, name)) == 60


@test
def ranks_that_share_a_silo(folder):
    """On as many ranks the bytes are the same; on others only nearly."""
    write_silos(folder, NAMES[:2], rows=ROWS)
    for strategy in ("scaffold", "fednova"):
        write(os.path.join(folder, "job.yaml"),
              job_text(NAMES[:2], model=MLP, strategy=strategy, rounds=30,
                       **STRATEGIES[strategy]))
        once = os.path.join(folder, "once-" + strategy)
        run(folder, once, 4, "-q")
        out = os.path.join(folder, "killed-" + strategy)
        killed(folder, out, 4, rank=1, after=9)
        killed(folder, out, 4, "--resume", rank=2, after=20)
        copy = os.path.join(folder, "copy-" + strategy)
        shutil.copytree(out, copy)
        stash = os.path.join(folder, "stash")
        for name in NAMES[:2]:
            shutil.copytree(os.path.join(folder, "state-" + name),
                            os.path.join(stash, name))
        run(folder, out, 4, "--resume", "-q")
        same(out, outcome(once))
        for name in NAMES[:2]:
            shutil.rmtree(os.path.join(folder, "state-" + name))
            shutil.move(os.path.join(stash, name),
                        os.path.join(folder, "state-" + name))
        run(folder, copy, 2, "--resume", "-q")
        assert np.allclose(parameters(copy), parameters(once), rtol=1e-3,
                           atol=1e-4)
        shutil.rmtree(stash)


# ---- at every step on disk ------------------------------------------------------


def steps_of_save(trace, number):
    """Which of a rank's steps (from 1) make up its number-th save. Each save
    begins with the same file: the rank's first silo, or run.h5."""
    with open(trace) as f:
        steps = f.read().splitlines()
    first = next(s for s in steps if s.startswith("rename "))
    starts = [i for i, s in enumerate(steps) if s == first] + [len(steps)]
    # The temporary file is synced before it gets that name.
    return list(range(starts[number - 1], starts[number])), steps


def every_step(folder, ranks, keep, strategy):
    """Each rank in turn: kill it before each step on disk of the third save."""
    library = step_library(folder)
    write(os.path.join(folder, "job.yaml"),
          job_text(NAMES[:2], strategy=strategy, rounds=4,
                   rest="checkpoint: {keep: %d}\n" % keep))
    once, out = os.path.join(folder, "once"), os.path.join(folder, "killed")
    run(folder, once, ranks, "-q")
    reference = outcome(once)
    for rank in range(ranks) if ranks else [None]:
        trace = os.path.join(folder, "trace-%s" % rank)
        run(folder, out, ranks, "-q",
            env=stepping(library, folder, rank, trace=trace))
        shutil.rmtree(out)
        tries, steps = steps_of_save(trace, 3)
        assert len(tries) >= 4, steps
        for at in tries:
            p = run(folder, out, ranks, "-q", expect=None,
                    env=stepping(library, folder, rank, at))
            assert p.code != 0, (rank, at)
            whole(out)
            run(folder, out, ranks, "--resume", "-q")
            same(out, reference)
            # At most the round under way is lost.
            assert resumed_from(out)[-1] in (2, 3), (rank, steps[at - 1])
            assert [f for f in os.listdir(out) if ".tmp." in f] == []
            shutil.rmtree(out)
    shutil.rmtree(once)


@test
def every_step_of_saving_with_local_state(folder):
    write_silos(folder, NAMES[:2], rows=ROWS)
    every_step(folder, 2, 1, "scaffold")


@test
def every_step_of_saving_nothing_kept(folder):
    write_silos(folder, NAMES[:2], rows=ROWS)
    every_step(folder, 0, 0, "scaffold")


# ---- local state that is not in step ------------------------------------------


def halted(folder, rounds=8, ranks=2, names=NAMES[:2], keep=3):
    """base/: a run that has ended and is about to be extended; job(rounds=14)."""
    base = os.path.join(folder, "base")
    os.mkdir(base)
    write_silos(base, names, rows=ROWS)
    scaffold(base, names, rounds, keep)
    run(base, os.path.join(base, "run"), ranks, "-q")
    return base


def scaffold(folder, names=NAMES[:2], rounds=14, keep=3):
    write(os.path.join(folder, "job.yaml"),
          job_text(names, model=MLP, strategy="scaffold", rounds=rounds,
                   training="  seed: 3\n",
                   rest="checkpoint: {keep: %d}\n" % keep))


def copy_of(base, name):
    """All of base/ again, its job extended; returns (folder, run)."""
    folder = os.path.join(os.path.dirname(base), name)
    shutil.copytree(base, folder)
    scaffold(folder)
    return folder, os.path.join(folder, "run")


def damage(path):
    with open(path, "r+b") as f:
        f.seek(-40, os.SEEK_END)  # values; between them there are holes
        f.write(b"\xd5" * 40)


def read(path):
    with open(path, "rb") as f:
        return f.read()


@test
def local_state_behind_ahead_removed_or_damaged(folder):
    base = halted(folder)
    straight, out = copy_of(base, "straight")
    run(straight, out, 2, "--resume", "-q")
    reference = outcome(out)
    assert sorted(states(base, "a")) == [5, 6, 7, 8]

    def b_behind(case):
        os.unlink(states(case, "b")[8])

    def b_far_behind(case):
        os.unlink(states(case, "b")[8])
        os.unlink(states(case, "b")[7])

    def both_differ(case):
        os.unlink(states(case, "b")[8])
        damage(states(case, "a")[7])

    def b_damaged(case):
        damage(states(case, "b")[8])

    def b_cut_short(case):
        os.truncate(states(case, "b")[8], 700)

    def b_of_another_run(case):
        other, run_folder = copy_of(base, "other")
        shutil.rmtree(run_folder)
        run(other, run_folder, 2, "-q")
        new = next(d for d in glob.glob(os.path.join(other, "state-b", "*"))
                   if not os.path.exists(d.replace("other", "base")))
        shutil.copy(os.path.join(new, "silo-b-000014.h5"), states(case, "b")[8])

    def all_ahead(case):
        """run.h5 a round behind all silos, and the rounds kept with it."""
        shutil.copy(os.path.join(case, "run", "round-000007.h5"),
                    os.path.join(case, "run", "run.h5"))
        os.unlink(os.path.join(case, "run", "round-000008.h5"))

    for i, (harm, start) in enumerate((
            (b_behind, 7), (b_far_behind, 6), (both_differ, 6), (b_damaged, 7),
            (b_cut_short, 7), (b_of_another_run, 7), (all_ahead, 7))):
        case, out = copy_of(base, harm.__name__)
        harm(case)
        r = run(case, out, 1 + i % 2, "--resume")
        same(out, reference)
        assert resumed_from(out)[-1] == start, harm
        told = [l for l in r.err.splitlines() if "passed_over" in l]
        assert len(told) == (harm is not all_ahead), r.err


@test
def local_state_that_is_gone(folder):
    base = halted(folder)
    for name, ranks in (("none", 1), ("none-2", 2)):
        case, out = copy_of(base, name)
        shutil.rmtree(os.path.join(case, "state-b"))
        before = {p: read(p) for p in glob.glob(os.path.join(out, "*.h5"))}
        r = run(case, out, ranks, "--resume", expect=6)
        assert len(r.messages) == 1, r.err
        assert "silo b" in r.messages[0] and "state" in r.messages[0], r.err
        assert case + "/state" not in r.err, r.err
        after = {p: read(p) for p in glob.glob(os.path.join(out, "*.h5"))}
        assert before == after


@test
def states_of_two_attempts_are_never_mixed(folder):
    """The rounds 7 and 8 of RUN and those of the sites come from different
    attempts: as many ranks share silos in one of them, they differ a little."""
    base = halted(folder, rounds=6)
    straight, _ = copy_of(base, "straight")
    run(straight, os.path.join(straight, "run"), 2, "--resume", "-q")
    mixed, other = (os.path.join(folder, n) for n in ("mixed", "other"))
    for case, ranks in ((mixed, 2), (other, 4)):
        shutil.copytree(base, case)
        scaffold(case, rounds=8)
        run(case, os.path.join(case, "run"), ranks, "--resume", "-q")
    assert outcome(os.path.join(mixed, "run"))["digest"] != \
        outcome(os.path.join(other, "run"))["digest"]
    for name in NAMES[:2]:
        shutil.rmtree(os.path.join(mixed, "state-" + name))
        shutil.copytree(os.path.join(other, "state-" + name),
                        os.path.join(mixed, "state-" + name))
    scaffold(mixed)
    run(mixed, os.path.join(mixed, "run"), 2, "--resume", "-q")
    same(os.path.join(mixed, "run"),
         outcome(os.path.join(straight, "run")))
    assert resumed_from(os.path.join(mixed, "run"))[-1] == 6


@test
def rounds_that_were_lost_do_not_crowd_out_those_that_count(folder):
    """Back at round 6 of 8, keeping less than before, killed when one silo has
    saved round 7 and the other has not: round 6 must still be there."""
    base = halted(folder, ranks=0)
    straight, out = copy_of(base, "straight")
    run(straight, out, 0, "--resume", "-q")
    case, out = copy_of(base, "case")
    scaffold(case, keep=0)
    for lost in (7, 8):
        os.unlink(states(case, "b")[lost])
    library = step_library(folder)
    trace = os.path.join(folder, "trace")
    dry = os.path.join(folder, "dry")
    shutil.copytree(case, dry)
    run(dry, os.path.join(dry, "run"), 0, "--resume", "-q",
        env=stepping(library, dry, None, trace=trace))
    with open(trace) as f:  # round 6 is saved once more, then round 7
        at = [i for i, s in enumerate(f, 1) if "silo-b.h5.tmp" in s][1]
    run(case, out, 0, "--resume", "-q", expect=-9,
        env=stepping(library, case, None, at))
    assert 7 in states(case, "a") and 7 not in states(case, "b")
    run(case, out, 0, "--resume", "-q")
    same(out, outcome(os.path.join(straight, "run")))
    assert resumed_from(out)[-2:] == [6, 6]


@test
def falling_back_may_be_killed_as_well(folder):
    """A run that falls back saves that round anew: kills at steps of that."""
    base = halted(folder, ranks=0)
    straight, out = copy_of(base, "straight")
    run(straight, out, 0, "--resume", "-q")
    reference = outcome(out)
    os.unlink(states(base, "b")[8])
    library = step_library(folder)
    for at in range(1, 25, 3):
        case, out = copy_of(base, "case")
        run(case, out, 0, "--resume", "-q", expect=-9,
            env=stepping(library, case, None, at))
        whole(out)
        run(case, out, 0, "--resume", "-q")
        same(out, reference)
        assert resumed_from(out)[-1] == 7, at
        shutil.rmtree(case)


@test
def simulated_silos_keep_their_state_in_the_run(folder):
    write_csv(os.path.join(folder, "all.csv"), *blobs(240, seed=5))
    write(os.path.join(folder, "job.yaml"),
          job_text("{count: 9, prefix: s}", model="{kind: softmax}",
                   strategy="scaffold", rounds=25, data="test_fraction: 0.2",
                   training="  participation: 0.4\n",
                   rest="simulate: {source: all.csv, partition: dirichlet}\n"))
    once, out = os.path.join(folder, "once"), os.path.join(folder, "killed")
    run(folder, once, 0, "-q", data=False)
    killed(folder, out, 2, rank=1, after=4, data=False)
    killed(folder, out, 0, "--resume", after=14, data=False)
    run(folder, out, 3, "--resume", "-q", data=False)
    same(out, outcome(once))


# ---- runs that are continued on purpose ---------------------------------------


@test
def a_run_is_extended(folder):
    write_silos(folder, NAMES, rows=ROWS)
    options = dict(strategy="fedadam", training="  participation: 0.5\n")
    job(folder, rounds=20, **options)
    once, out = os.path.join(folder, "once"), os.path.join(folder, "extended")
    run(folder, once, 0, "-q")
    for rounds, ranks in ((5, 4), (9, 1), (20, 2)):
        job(folder, rounds=rounds, rest="checkpoint: {every: 4}\n", **options)
        run(folder, out, ranks, "--resume", "-q")
        assert inspect(out)["round"] == inspect(out)["rounds"] == rounds
    same(out, outcome(once))
    # Through already: nothing happens, and nothing is an error.
    before = read(os.path.join(out, "run.h5"))
    run(folder, out, 2, "--resume", "-q")
    assert read(os.path.join(out, "run.h5")) == before


@test
def a_run_that_has_converged_stays_so(folder):
    write_silos(folder, NAMES, rows=ROWS)
    job(folder, model="{kind: linear}", rounds=200,
        local="{epochs: 1, batch: 40, learning_rate: 0.02}",
        training="  tolerance: 0.01\n")
    out = os.path.join(folder, "run")
    r = run(folder, out, 0)
    assert "converged" in r.err
    reference = outcome(out)
    assert reference["round"] < 200
    r = run(folder, out, 2, "--resume")
    assert "converged" in r.err
    same(out, reference)


@test
def a_checkpoint_of_an_older_program(folder):
    """Whose job had fewer keys, hence another digest; and one whose job is
    really another."""
    import h5py
    write_silos(folder, NAMES, rows=ROWS)
    job(folder, rounds=8)
    once = os.path.join(folder, "once")
    run(folder, once, 0, "-q")
    for old, new, expect in ((b"    proximal: 0", b"# no such key", 0),
                             (b"    batch: 16", b"    batch: 17", 2),
                             (b"    batch: 16", b"    botch: 16", 2)):
        out = os.path.join(folder, "old")
        job(folder, rounds=4)
        run(folder, out, 0, "-q")
        files = {os.stat(p).st_ino: p for p in glob.glob(out + "/*.h5")}
        for path in files.values():  # run.h5 is also the newest kept one
            with h5py.File(path, "r+") as f:
                text = bytes(f["job"][()])
                assert text.count(old) == 1, text
                f["job"][()] = np.bytes_(text.replace(old, new.ljust(len(old))))
                f.attrs.modify("job_digest", np.bytes_("ab" * 32))
            seal(path)
        job(folder, rounds=8)
        r = run(folder, out, 0, "--resume", expect=expect)
        if expect:
            assert len(r.messages) == 1 and "another job" in r.messages[0], r.err
        else:
            same(out, outcome(once))
            assert resumed_from(out) == [0, 4]
        shutil.rmtree(out)


@test
def what_another_run_left_in_the_folder(folder):
    """Kept rounds of another run are not this run's, of whatever job."""
    write_silos(folder, NAMES, rows=ROWS)
    once, out = os.path.join(folder, "once"), os.path.join(folder, "run")
    job(folder, rounds=9, training="  seed: 5\n")
    run(folder, os.path.join(folder, "other-job"), 0, "-q")
    job(folder, rounds=12)
    run(folder, once, 0, "-q")
    job(folder, rounds=5)
    run(folder, out, 0, "-q")
    job(folder, rounds=12)
    for old, new in (("once/round-000012", 4), ("once/round-000012", 6),
                     ("other-job/round-000009", 3)):
        shutil.copy(os.path.join(folder, old + ".h5"),
                    os.path.join(out, "round-%06d.h5" % new))
    r = run(folder, out, 0, "--resume")
    assert resumed_from(out)[-1] == 5, r.err
    same(out, outcome(once))


main()

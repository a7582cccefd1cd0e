"""What a private run may spend: the job's budget, each site's own over all runs,
and what does not refill them."""
import glob
import os
import re
import shutil
import signal

import h5py

from kills import seal, wait_until
from harness import finish, inspect, main, parameters, test, write
from ledgers import (DELTA, NAMES, SLACK, attempts, check_agreement,
                     check_charged, check_epsilon, copy, entries, epsilon_of, job,
                     journal_bytes, journal_path, launch, multiplier_of, run,
                     run_folder, saved, spent)
from secure_sites import make_sites

ALLOWS = re.compile(r"the budget allows (\d+) (?:further )?rounds")


def epsilons(folder, out="RUN"):
    report = inspect(run_folder(folder, out))
    return [h["epsilon"] for h in report["history"]], report["privacy"]


def set_limits(folder, name, text, data=None):
    """limits of one site; data: another file than NAME.csv."""
    path = os.path.join(folder, "sites", name + ".yaml")
    with open(path) as f:
        lines = [l for l in f.read().splitlines() if not l.startswith("limits:")]
    if data:
        lines = ["data: " + data if l.startswith("data:") else l for l in lines]
    write(path, "\n".join(lines) + "\n" + (text and "limits: %s\n" % text))


# ---- the job's budget ------------------------------------------------------------


@test
def epsilon_never_passes_the_job_s(folder):
    make_sites(folder, NAMES, rows=(24,))
    job(folder, "epsilon: 2", rounds=3)
    run(folder, "--progress", "log", says=["epsilon at most 2 at delta 1e-05"])
    told, privacy = epsilons(folder)
    z = privacy["noise_multiplier"]
    assert z >= multiplier_of(2, 3) and z < multiplier_of(2, 3) * (1 + SLACK)
    for i, epsilon in enumerate(told):
        check_epsilon(epsilon, z, i + 1)
    assert told == sorted(told) and 2 * (1 - SLACK) < told[-1] <= 2, told
    found = saved(folder)
    assert found["epsilon"] == privacy["epsilon"] == told[-1]
    assert found["epsilon_cap"] == 2 and found["noise_multiplier"] == z
    assert sum(l["steps"] for l in found["ledger"]) == 3
    assert [spent(folder, n) for n in NAMES] == [3, 3, 3]
    check_charged(folder)
    check_agreement(folder)

    before = journal_bytes(folder), parameters(run_folder(folder))
    for rounds in (4, 400):
        job(folder, "epsilon: 2", rounds=rounds)
        run(folder, "--resume", says=["would pass the budget of epsilon 2",
                                      "%d were planned" % rounds])
        assert journal_bytes(folder) == before[0]
        assert (parameters(run_folder(folder)) == before[1]).all()
    assert epsilons(folder)[0] == told


@test
def rounds_said_are_the_rounds_taken(folder):
    make_sites(folder, NAMES, rows=(24,))
    for z, rounds in ((2.0, 5), (0.8, 1), (9.0, 12)):
        # A cap between what `rounds` cost and what one more would.
        cap = (epsilon_of(z, rounds) + epsilon_of(z, rounds + 1)) / 2
        out = "z%g" % z
        what = "noise_multiplier: %g, epsilon: %.6f" % (z, cap)
        job(folder, what, rounds=rounds + 20)
        r = run(folder, "--progress", "log", out=out,
                says=["one more round would pass the budget"])
        assert ALLOWS.search(r.err).group(1) == str(rounds), r.err
        told, privacy = epsilons(folder, out)
        assert len(told) == rounds and max(told) <= cap
        check_epsilon(told[-1], z, rounds)
        assert privacy["rounds_left"] == 0 and privacy["noise_multiplier"] == z
    assert spent(folder, "a") == spent(folder, "c") == 5 + 1 + 12
    # Stopped half-way, it says what is left.
    job(folder, "noise_multiplier: 9, epsilon: %.6f" % cap, rounds=4)
    r = run(folder, "--progress", "log", out="half")
    assert ALLOWS.search(r.err).group(1) == "12"
    job(folder, "noise_multiplier: 9, epsilon: %.6f" % cap, rounds=40)
    r = run(folder, "--resume", "--progress", "log", out="half",
            says=["one more round would pass the budget"])
    assert ALLOWS.search(r.err).group(1) == "8"
    assert len(epsilons(folder, "half")[0]) == 12
    # Not even one.
    job(folder, "noise_multiplier: 2, epsilon: %.6f" % (epsilon_of(2, 1) * .99))
    before = journal_bytes(folder)
    run(folder, out="none", expect=4, says=["allows no single round"])
    assert journal_bytes(folder) == before
    assert not os.path.exists(os.path.join(folder, "none"))


# ---- a site's own limit -------------------------------------------------------------


@test
def limits_of_a_site(folder):
    make_sites(folder, NAMES, rows=(24,))
    job(folder, "epsilon: 2", rounds=3)
    run(folder, "-q", out="first")  # makes the states
    shutil.rmtree(os.path.join(folder, "first"))
    for name in NAMES:
        shutil.rmtree(os.path.join(folder, "sites", "state-" + name))
    low = "%.4f" % (epsilon_of(multiplier_of(2, 3), 3, 1e-6) - 0.01)
    for name, limit in (("a", "{epsilon: 1.99}"), ("c", "{epsilon: 1.99}"),
                        ("b", "{epsilon: 0.01, delta: 1.0e-5}"),
                        ("c", "{epsilon: 2, delta: 0.9e-5}"),
                        ("a", "{epsilon: %s, delta: 1.0e-6}" % low),
                        ("b", "{delta: 1.0e-7}")):
        set_limits(folder, name, limit)
        r = run(folder, expect=4, says=["silo %s:" % name, "limit"])
        assert not os.path.exists(run_folder(folder))
        assert [attempts(folder, n) for n in NAMES] == [[], [], []]
        assert "round 1" not in r.out + r.err
        # The site's limit and what it has spent are for itself to see.
        assert "1.99" not in r.out + r.err and low not in r.out + r.err
        with open(os.path.join(folder, "sites", "state-" + name,
                               "silo-%s.log" % name)) as f:
            assert "of 3 rounds after what the journal knows" in f.read()
        set_limits(folder, name, "")
    for i, limit in enumerate(("{epsilon: 2}", "{epsilon: 8}",
                               "{epsilon: 2, delta: 1.0e-5}",
                               "{epsilon: 2, delta: 1.0e-3}",
                               "{delta: 1.0e-5}")):
        for name in NAMES:  # data of this run alone
            set_limits(folder, name, limit)
            shutil.rmtree(os.path.join(folder, "sites", "state-" + name))
        run(folder, "-q", out="ok-%d" % i)
        assert [spent(folder, n) for n in NAMES] == [3, 3, 3]


@test
def a_limit_as_high_as_the_job_s_cap_is_high_enough(folder):
    """Rounds that the job's own cap will not let it take need no budget."""
    make_sites(folder, NAMES, rows=(24,))
    cap = (epsilon_of(2, 3) + epsilon_of(2, 4)) / 2
    job(folder, "noise_multiplier: 2, epsilon: %.4f" % cap, rounds=50)
    for name in NAMES:
        set_limits(folder, name, "{epsilon: %.4f, delta: %g}" % (cap, DELTA))
    run(folder, says=["would pass the budget"])
    assert spent(folder, "a") == 3


@test
def a_limit_and_a_job_without_noise(folder):
    """Nothing bounds what such a job tells, so no limit allows it."""
    make_sites(folder, NAMES, rows=(24,))
    set_limits(folder, "b", "{epsilon: 100}")
    job(folder, None)
    run(folder, expect=4, says=["silo b", "limits"])
    assert not os.path.exists(run_folder(folder))
    assert [attempts(folder, n) for n in NAMES
            if os.path.exists(journal_path(folder, n))] in ([], [[]] * 3)
    job(folder, None, secure=None)
    run(folder, expect=4, says=["silo b", "limits"])
    set_limits(folder, "b", "{min_silos: 3}")
    job(folder, None)
    run(folder, "-q")


# ---- over all runs -------------------------------------------------------------------


def change_a_byte(case):
    path = os.path.join(case, "sites", "a.csv")
    with open(path) as f:
        text = f.read()
    at = text.rindex(".") + 1  # a decimal of the last row
    write(path, text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1:])


def move_data(case):
    os.rename(os.path.join(case, "sites", "a.csv"),
              os.path.join(case, "sites", "moved.csv"))
    set_limits(case, "a", "{epsilon: 2.2}", "moved.csv")


def loose_delta(case):
    """With which any epsilon is small."""
    job(case, "epsilon: 2", rounds=3)
    path = os.path.join(case, "job.yaml")
    with open(path) as f:
        text = f.read()
    write(path, text.replace("delta: 1.0e-5", "delta: 0.4"))


def delete_run(case):
    shutil.rmtree(run_folder(case))


def delete_checkpoints(case):
    for path in glob.glob(os.path.join(case, "RUN", "*.h5")):
        os.unlink(path)


def other_name(case):
    job(case, "epsilon: 2", rounds=3)
    path = os.path.join(case, "job.yaml")
    with open(path) as f:
        text = f.read()
    write(path, text.replace("name: test", "name: tset"))


def roll_back(rounds):
    def back(case):
        for r in range(4 - rounds, 4):
            os.unlink(os.path.join(case, "RUN", "round-%06d.h5" % r))
        shutil.copy(os.path.join(case, "RUN", "round-%06d.h5" % (3 - rounds)),
                    os.path.join(case, "RUN", "run.h5"))
    return back


def new_secret(case):
    os.unlink(os.path.join(case, "sites", "state-a", "silo-a.secret"))


def spent_base(folder):
    """A run that has used most of site a's limit of 2.2."""
    base = os.path.join(folder, "base")
    os.makedirs(base)
    make_sites(base, NAMES, rows=(24,))
    set_limits(base, "a", "{epsilon: 2.2}")
    job(base, "epsilon: 2", rounds=3)
    run(base, "-q")
    return base


@test
def nothing_refills_a_site_s_budget(folder):
    # Every case at one path: the place of the data is one of their names.
    base = os.path.join(folder, "as-it-was")
    case = spent_base(folder)
    os.rename(case, base)
    nothing = lambda case: None
    for name, trick, args, codes in (
            ("another folder", nothing, {"out": "OTHER"}, (4,)),
            ("run deleted", delete_run, {}, (4,)),
            ("another name", other_name, {"out": "OTHER"}, (4,)),
            ("data moved", move_data, {"out": "OTHER"}, (4,)),
            ("data changed", change_a_byte, {"out": "OTHER"}, (4,)),
            ("data changed, resumed", change_a_byte, {}, (2,)),
            ("checkpoints deleted", delete_checkpoints, {}, (4,)),
            ("loose delta", loose_delta, {"out": "OTHER"}, (4,)),
            ("new secret", new_secret, {"out": "OTHER"}, (4,)),
            ("two rounds back", roll_back(2), {}, (6,))):
        shutil.copytree(base, case)
        trick(case)
        more = [] if "out" in args or trick is delete_run else ["--resume"]
        before = journal_bytes(case)
        r = run(case, *more, expect=None, **args)
        assert r.code in codes, (name, r.code, r.err)
        assert len(r.messages) == 1 and "silo a" in r.messages[0], r.err
        assert journal_bytes(case) == before, name
        if codes == (4,):
            assert "limit" in r.messages[0], r.err
        shutil.rmtree(case)


@test
def a_run_goes_on_only_with_what_its_budget_has_left(folder):
    """Copies and older states of a run, made longer, with the sites' states as
    they are now."""
    base = spent_base(folder)
    job(base, "epsilon: 2", rounds=9)
    digest = inspect(run_folder(base))["model"]["digest"]

    copied = copy(base, "copied")
    shutil.copytree(run_folder(copied), run_folder(copied, "COPY"))
    before = journal_bytes(copied)
    for out in ("COPY", "RUN"):
        run(copied, "--resume", out=out, says=["would pass the budget"])
        assert journal_bytes(copied) == before

    # One round back: it is sent again as it was, which costs nothing, and then
    # the budget ends as before.
    back = copy(base, "back")
    roll_back(1)(back)
    run(back, "--resume", says=["would pass the budget"])
    assert inspect(run_folder(back))["model"]["digest"] == digest
    assert [spent(back, n) for n in NAMES] == [3, 3, 3]
    check_charged(back)
    assert sum(l["steps"] for l in saved(back)["ledger"]) == 3

    # The same with another secret: what would be sent is new, and too much.
    fresh = copy(base, "fresh")
    roll_back(1)(fresh)
    new_secret(fresh)
    before = journal_bytes(fresh)
    r = run(fresh, "--resume", expect=None)
    assert r.code in (0, 4), r.err
    assert journal_bytes(fresh) == before
    assert inspect(run_folder(fresh))["round"] == 2


@test
def a_chain_of_small_changes_refills_nothing(folder):
    """Data that are changed, used a little, moved, used: every run that counted
    for one of them counts for all."""
    make_sites(folder, NAMES, rows=(24,))
    set_limits(folder, "a", "{epsilon: 2.2}")
    job(folder, "epsilon: 1.9", rounds=2)
    run(folder, "-q", out="one")
    change_a_byte(folder)
    job(folder, "noise_multiplier: 20", rounds=1)
    run(folder, "-q", out="two")
    move_data(folder)
    job(folder, "epsilon: 1.9", rounds=2)
    before = journal_bytes(folder)
    run(folder, out="three", expect=4, says=["silo a", "limit"])
    assert journal_bytes(folder) == before


@test
def a_smaller_job_may_still_use_what_is_left(folder):
    base = spent_base(folder)
    z = multiplier_of(2, 3)
    # Gaussians add up: 1/s^2 = 3/z^2 + k/w^2.
    def both(w, k):
        return epsilon_of((3 / z**2 + k / w**2) ** -0.5, 1)
    w = 12.0
    fits = max(k for k in range(1, 60) if both(w, k) < 2.2 * (1 - SLACK))
    assert 1 <= fits < 60 and both(w, fits + 1) > 2.2 * (1 + SLACK)
    job(base, "noise_multiplier: 12", rounds=fits + 1)
    run(base, out="OTHER", expect=4, says=["silo a", "limit"])
    job(base, "noise_multiplier: 12", rounds=fits)
    run(base, "-q", out="OTHER")
    assert spent(base, "a") == 3 + fits
    job(base, "noise_multiplier: 12", rounds=fits + 1)
    run(base, "--resume", out="OTHER", expect=4, says=["silo a", "limit"])
    check_charged(base)


@test
def a_checkpoint_that_was_made_to_say_less(folder):
    """Its ledger or its noise, with valid checksums: the sites know better."""
    make_sites(folder, NAMES, rows=(24,))
    base = os.path.join(folder, "base")
    os.makedirs(base)
    shutil.move(os.path.join(folder, "sites"), base)
    cap = (epsilon_of(2, 3) + epsilon_of(2, 4)) / 2
    what = "noise_multiplier: 2, epsilon: %.4f" % cap
    job(base, what, rounds=3)
    run(base, "-q")
    job(base, what, rounds=9)

    def quieter(f):
        ledger = f["privacy/ledger"][()]
        ledger["noise_multiplier"] = 200.0
        f["privacy/ledger"][...] = ledger

    def shorter(f):
        ledger = f["privacy/ledger"][()]
        ledger["steps"] = 1
        f["privacy/ledger"][...] = ledger

    def less_noise(f):
        f["privacy"].attrs.modify("noise_multiplier", 0.001)

    def more_noise(f):
        f["privacy"].attrs.modify("noise_multiplier", 2000.0)

    for harm in (quieter, shorter, less_noise, more_noise):
        case = copy(base, harm.__name__)
        for path in glob.glob(os.path.join(case, "RUN", "*.h5")):
            if os.path.basename(path) != "run.h5":
                os.unlink(path)
        path = os.path.join(case, "RUN", "run.h5")
        with h5py.File(path, "r+") as f:
            harm(f)
        seal(path)
        before = journal_bytes(case)
        r = run(case, "--resume", expect=None)
        assert journal_bytes(case) == before, (harm.__name__, r.err)
        assert r.code in (0, 4, 6), r.err
        assert harm is shorter or r.code == 6, (harm.__name__, r.err)
    # Without a cap nothing but the noise is there to be looked at.
    job(base, "noise_multiplier: 2", rounds=3)
    run(base, "-q", out="FREE")
    job(base, "noise_multiplier: 2", rounds=9)
    path = os.path.join(base, "FREE", "run.h5")
    with h5py.File(path, "r+") as f:
        less_noise(f)
    seal(path)
    before = journal_bytes(base)
    run(base, "--resume", out="FREE", expect=6,
        says=["not the one that this silo computed"])
    assert journal_bytes(base) == before


# ---- two at once ----------------------------------------------------------------------


@test
def two_runs_at_once(folder):
    make_sites(folder, NAMES, rows=(24,))
    job(folder, "noise_multiplier: 2", rounds=100000)
    first = launch(folder, "-q", out="FIRST")
    assert wait_until(first, lambda: os.path.exists(
        os.path.join(folder, "FIRST", "run.h5")))
    for more in ([], ["--resume"]):
        r = run(folder, *more, out="SECOND", expect=3,
                says=["silo a", "another run of this silo is under way"])
        assert first.poll() is None
        assert not os.path.exists(os.path.join(folder, "SECOND"))
    first.send_signal(signal.SIGUSR1)
    r = finish(first)
    assert r.code == 75, (r.code, r.err)
    done = inspect(run_folder(folder, "FIRST"))["round"]
    assert [spent(folder, n) for n in NAMES] == [done] * 3
    check_charged(folder)
    check_agreement(folder)
    job(folder, "noise_multiplier: 2", rounds=3)
    run(folder, "-q", out="SECOND")


@test
def journal_moved_under_a_run(folder):
    """Nothing more is sent, nobody waits, and the run goes on once it is back."""
    make_sites(folder, NAMES, rows=(24,))
    job(folder, "noise_multiplier: 2", rounds=100000)
    p = launch(folder, "-q")
    assert wait_until(p, lambda: os.path.exists(
        os.path.join(run_folder(folder), "run.h5")))
    path = journal_path(folder, "b")
    os.rename(path, path + ".old")
    r = finish(p)
    assert r.code == 3 and len(r.messages) == 1, r.err
    assert "silo b" in r.messages[0] and "journal was moved" in r.messages[0]
    assert "sites" not in r.messages[0]
    os.rename(path + ".old", path)
    done = inspect(run_folder(folder))["round"]
    job(folder, "noise_multiplier: 2", rounds=done + 2)
    run(folder, "-q", "--resume")
    check_charged(folder)
    check_agreement(folder)


# ---- journals that are gone, old or damaged -----------------------------------------------


@test
def journal_gone_or_old(folder):
    base = os.path.join(folder, "base")
    os.makedirs(base)
    make_sites(base, NAMES, rows=(24,))
    cap = (epsilon_of(2, 3) + epsilon_of(2, 4)) / 2
    for name in NAMES:
        set_limits(base, name, "{epsilon: %.4f}" % cap)
    job(base, "noise_multiplier: 2", rounds=1)
    run(base, "-q")
    old = journal_bytes(base)
    job(base, "noise_multiplier: 2", rounds=3)
    run(base, "-q", "--resume")

    def gone(case, name):
        os.unlink(journal_path(case, name))
        return "does not know this run"

    def older(case, name):
        with open(journal_path(case, name), "wb") as f:
            f.write(old[name])
        return "older than the checkpoint"

    for harm, left in ((gone, 3), (older, 2)):
        for name in ("a", "c"):
            case = copy(base, "%s-%s" % (harm.__name__, name))
            says = harm(case, name)
            files = {p: os.stat(p).st_mtime_ns for p in
                     glob.glob(os.path.join(case, "RUN", "*.h5"))}
            run(case, "--resume", expect=4,
                says=["silo " + name, says, "Restore the newest journal",
                      "another folder (--out)"])
            assert {p: os.stat(p).st_mtime_ns for p in files} == files
            assert spent(case, name) == 3 - left
            # A new run: the others have spent what they had, that site has not.
            for other in NAMES:
                if other != name:
                    set_limits(case, other, "")
            job(case, "noise_multiplier: 2", rounds=left + 1)
            run(case, out="OTHER", expect=4, says=["silo " + name, "limit"])
            job(case, "noise_multiplier: 2", rounds=left)
            run(case, "-q", out="OTHER")
            assert spent(case, name) == 3
            shutil.rmtree(case)


@test
def nothing_is_summed_before_a_journal_is_missed(folder):
    """Pooled means are masked sums as well, taken before the first round."""
    make_sites(folder, NAMES, rows=(24,))
    job(folder, None, data="standardize: pooled")
    run(folder, "-q")
    assert any(e["round"] == 0 for e in attempts(folder, "b"))
    os.unlink(journal_path(folder, "b"))
    before = journal_bytes(folder, ("a", "c"))
    run(folder, "--resume", expect=4, says=["silo b"])
    assert attempts(folder, "b") == []
    assert journal_bytes(folder, ("a", "c")) == before


@test
def some_silos_a_round_and_their_journals(folder):
    """A silo that was not drawn lately has nothing of that in its journal; that
    is no journal that is old."""
    names = ("a", "b", "c", "d", "e", "f")
    make_sites(folder, names, rows=(24,))
    kw = dict(names=names, training="  weights: equal\n  participation: 0.5\n")
    job(folder, "noise_multiplier: 2", rounds=5, **kw)
    run(folder, "-q", ranks=6)
    old = journal_bytes(folder, names)
    for rounds in range(6, 10):
        job(folder, "noise_multiplier: 2", rounds=rounds, **kw)
        run(folder, "-q", "--resume", ranks=6)
    assert len(epsilons(folder)[0]) == 9
    taken = {n: spent(folder, n) for n in names}
    assert sum(taken.values()) == 9 * 3 and len(set(taken.values())) > 1, taken
    assert {s["name"]: s["rounds"] for s in
            inspect(run_folder(folder))["silos"]} == taken
    check_charged(folder, names)
    # One that is old, of a silo that took part since.
    name = next(n for n in names if len(entries(journal_path(folder, n))) >
                old[n].count(b"\n") - 1 and
                attempts(folder, n)[-1]["round"] > 5)
    with open(journal_path(folder, name), "wb") as f:
        f.write(old[name])
    run(folder, "--resume", ranks=6, expect=4, says=["silo " + name])


@test
def journal_damaged(folder):
    base = os.path.join(folder, "base")
    os.makedirs(base)
    make_sites(base, NAMES, rows=(24,))
    job(base, "noise_multiplier: 2", rounds=2)
    run(base, "-q")
    job(base, "noise_multiplier: 2", rounds=3)
    text = journal_bytes(base)["b"]
    lines = text.split(b"\n")[:-1]
    assert len(lines) == 7  # the head; attempt, computed, signed, twice
    damaged = [text.replace(b"steps=1", b"steps=0", 1),
               text[:-60] + b"#" + text[-59:],
               b"\n".join(lines[:1] + lines[2:]) + b"\n",
               b"\n".join(lines[:1] + lines[3:1:-1] + lines[4:]) + b"\n",
               b"\n".join(lines[1:]) + b"\n",
               b"\n".join(lines + lines[-1:]) + b"\n",
               journal_bytes(base)["a"][:len(lines[0])] + text[len(lines[0]):]]
    for i, content in enumerate(damaged):
        assert content != text
        for out, more in (("RUN", ["--resume"]), ("OTHER", [])):
            with open(journal_path(base, "b"), "wb") as f:
                f.write(content)
            r = run(base, *more, out=out, expect=6, says=["silo b", "journal"])
            assert "sites" not in r.messages[0] and folder not in r.messages[0]
            with open(journal_path(base, "b"), "rb") as f:
                assert f.read() == content  # left for whoever looks into it
            assert not os.path.exists(os.path.join(base, "OTHER"))
            log = os.path.join(base, "sites", "state-b", "silo-b.log")
            with open(log) as f:  # the site is told where
                assert "silo-b.journal" in f.read()
    with open(journal_path(base, "b"), "wb") as f:
        f.write(text)
    run(base, "-q", "--resume")


main()

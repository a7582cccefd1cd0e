"""Runs under masks and with privacy, as users start them: the masked sum is the
integer sum bit for bit, what is told is what may be told, every mode trains."""
import os

import h5py
import numpy as np

from harness import (STRATEGIES, blobs, covey, inspect, job_text, main, mpirun,
                     parameters, test, write, write_csv)
from secure_sites import make_sites, secure_job, silos_text

NAMES = ("a", "b", "c", "d")


def run(folder, sites, name, ranks=4, more=(), expect=0, **kw):
    job = secure_job(folder, NAMES, name=name + ".yaml", **kw)
    out = os.path.join(folder, name)
    r = mpirun(ranks, "run", job, "--silo-dir", sites, "--out", out, *more,
               expect=expect)
    return out, r


def digest(out):
    return inspect(out)["model"]["digest"]


@test
def masked_is_the_integer_sum(folder):
    sites = make_sites(folder, NAMES)
    for strategy, kw in STRATEGIES.items():
        kw = dict(kw, strategy=strategy)
        masked, _ = run(folder, sites, "m-" + strategy, **kw)
        plain, _ = run(folder, sites, "p-" + strategy,
                       secure="{enabled: false}", **kw)
        assert digest(masked) == digest(plain), strategy
        # Another path altogether (a grid that follows the updates): close.
        free, _ = run(folder, sites, "f-" + strategy, secure=None, **kw)
        far = np.abs(parameters(masked) - parameters(free)).max()
        # FedNova's updates are divided by their steps before they are rounded.
        assert far < (5e-5 if strategy == "fednova" else 2e-6), (strategy, far)


@test
def weights_means_and_metrics_ride_masked(folder):
    sites = make_sites(folder, NAMES)
    kw = dict(training="  weights: rows\n",
              data="standardize: pooled, test_fraction: 0.25")
    masked, _ = run(folder, sites, "masked", **kw)
    two, _ = run(folder, sites, "two", ranks=2, **kw)
    plain, _ = run(folder, sites, "plain", secure="{enabled: false}", **kw)
    free, _ = run(folder, sites, "free", secure=None, **kw)
    assert digest(masked) == digest(plain) == digest(two)
    assert np.allclose(parameters(masked), parameters(free), atol=1e-4)
    a, b = inspect(masked), inspect(free)
    for key in ("train_loss", "test_loss", "test_accuracy"):
        assert abs(a["metrics"][key] - b["metrics"][key]) < 1e-4, key
    assert all(s["share"] is None for s in a["silos"])
    with h5py.File(os.path.join(masked, "run.h5")) as f, \
            h5py.File(os.path.join(free, "run.h5")) as g:
        assert np.allclose(f["data/shift"], g["data/shift"], rtol=1e-12)
        assert np.allclose(f["data/unit"], g["data/unit"], rtol=1e-12)


@test
def a_process_with_too_many_silos_is_refused(folder):
    sites = make_sites(folder, NAMES)
    _, r = run(folder, sites, "one", ranks=1, expect=4)
    assert "one operator" in r.messages[0]
    assert not os.path.exists(os.path.join(folder, "one", "run.h5"))


PRIVATE = {
    "record": "privacy: {unit: record, noise_multiplier: 1.0, clip: 1.0, "
              "sampling: 0.2}\n",
    "local": "privacy: {unit: record, noise: local, noise_multiplier: 1.0, "
             "clip: 1.0, sampling: 0.2}\n",
    "silo": "privacy: {unit: silo, noise_multiplier: 1.0, clip: 1.0}\n",
    "adaptive": "privacy: {unit: silo, noise_multiplier: 0.3, clip: 5.0, "
                "adaptive: {quantile: 0.5, rate: 0.4}}\n",
}


@test
def every_unit_and_noise(folder):
    sites = make_sites(folder, NAMES)
    x, y = blobs(60, seed=9)
    write_csv(os.path.join(folder, "public.csv"), x, y)
    for name, text in PRIVATE.items():
        for ranks in (4, 2, 6):
            out, _ = run(folder, sites, "%s-%d" % (name, ranks), ranks=ranks,
                         rest=text, data="test: public.csv")
            told = inspect(out)
            p = told["privacy"]
            assert p["epsilon"] <= p["epsilon_rdp"] + 1e-9
            assert p["steps"] == (3 if name in ("silo", "adaptive") else 12)
            # With two ranks, two silos each, an operator takes two with it.
            assert p["honest_silos"] == (1 if name == "local" else
                                         2 if ranks == 2 else 3)
            # On public rows; nothing that depends on the silos' own.
            assert told["metrics"]["test_accuracy"] is not None
            for line in told["history"]:
                assert line["train_loss"] is None
                assert all(v is None for k, v in line.items()
                           if k.startswith("seconds"))
            eps = [line["epsilon"] for line in told["history"]]
            assert eps == sorted(eps) and abs(eps[-1] - p["epsilon"]) < 1e-9
            with open(os.path.join(out, "covey.log")) as f:
                log = f.read()
            assert "seconds_data" not in log and "train_loss=nan" in log
    # The clip of 5 was too wide for these updates, and has come down.
    with h5py.File(os.path.join(folder, "adaptive-4", "run.h5")) as f:
        assert f["privacy"].attrs["clip"] < 5.0


@test
def with_next_to_no_noise_it_is_plain_training(folder):
    """Nothing clipped, everything drawn, hardly any noise: one full-batch step a
    round ends where masks alone, and no masks, do; in every mode."""
    sites = make_sites(folder, NAMES, rows=(60,))
    for steps in (1, 3):
        kw = dict(local="{steps: %d, batch: 60, learning_rate: 0.2}" % steps,
                  rounds=4)
        plain, _ = run(folder, sites, "plain%d" % steps, secure=None, **kw)
        for name, text in (
                ("record", "unit: record, sampling: 1, clip: 20"),
                ("local", "unit: record, noise: local, sampling: 1, clip: 20"),
                ("silo", "unit: silo, clip: 1"),
                ("adaptive", "unit: silo, adaptive: {rate: 1.0e-9}, clip: 1")):
            if steps > 1 and name == "record":
                continue  # common steps, where the others take their own
            out, _ = run(folder, sites, "%s%d" % (name, steps),
                         rest="privacy: {%s, noise_multiplier: 0.001}\n" % text, **kw)
            far = np.abs(parameters(out) - parameters(plain)).max()
            moved = np.abs(parameters(plain)).max()
            assert far < 0.02 * moved, (name, steps, far, moved)


@test
def records_with_gaps_add_nothing(folder):
    """A missing value is a record of no effect, under every noise; such rows alone
    leave the model where the noise takes it, and nothing is not a number."""
    sites = make_sites(folder, NAMES)
    for n in NAMES:
        path = os.path.join(sites, n + ".csv")
        with open(path) as f:
            lines = f.read().splitlines()
        lines[2] = "," + lines[2].split(",", 1)[1]
        lines[5] = lines[5].rsplit(",", 1)[0] + ","
        write(path, "\n".join(lines) + "\n")
    for name in ("record", "local", "silo"):
        out, _ = run(folder, sites, name, rest=PRIVATE[name],
                     data="missing: drop")
        assert np.isfinite(parameters(out)).all()


@test
def the_ledger_is_words_and_numbers(folder):
    sites = make_sites(folder, NAMES)
    out, r = run(folder, sites, "words",
                 rest="privacy: {unit: record, epsilon: 2.0, clip: 1.0, "
                      "sampling: 0.2}\n")
    assert "the budget allows 3 rounds" in r.err
    text = covey("inspect", out).out
    flat = " ".join(text.split())
    for word in ("a record: one row of one silo's data",
                 "replaced by nothing (null)", "discrete Gaussian noise",
                 "at delta 1e-05 for each record", "0 more rounds",
                 "holds against 1 colluding operator",
                 "not proved that a silo trained on true data"):
        assert word in flat, word
    p = inspect(out)["privacy"]
    assert 1.99 < p["epsilon"] <= 2.0 and p["rounds_left"] == 0
    # The same numbers from `covey privacy`, but for the terms of integers.
    said = covey("privacy", "--epsilon", "2", "--delta", "1e-5",
                 "--sampling", "0.2", "--steps", "12", "--json").out
    assert abs(__import__("json").loads(said)["noise_multiplier"] /
               p["noise_multiplier"] - 1.0) < 1e-3
    with h5py.File(os.path.join(out, "run.h5")) as f:
        a = dict(f["privacy"].attrs)
        assert a["unit"] == b"record" and a["silos"] == b"real"
        assert f["privacy/ledger"]["steps"].sum() == 12
        assert len(f["proofs"].attrs["record"]) == 64


@test
def simulated_silos_by_the_dozen(folder):
    """Above 32 silos masks follow a random graph; above 64 words are wide."""
    x, y = blobs(1600, seed=3)
    write_csv(os.path.join(folder, "all.csv"), x, y)
    for count in (40, 70):
        digests = set()
        for secure in ("{collusion: 2}", "{enabled: false}"):
            job = write(os.path.join(folder, "j.yaml"), job_text(
                silos="{count: %d}" % count, rounds=2,
                training="  weights: equal\n",
                rest="simulate: {source: all.csv}\n"
                     "secure_aggregation: %s\n" % secure))
            out = os.path.join(folder, "RUN%d%d" % (count, len(digests)))
            mpirun(3, "run", job, "--out", out)
            digests.add(digest(out))
        assert len(digests) == 1
    assert "SIMULATED" in covey("inspect", os.path.join(folder, "RUN400")).out


@test
def groups_without_noise_are_fixed(folder):
    """Without noise, sums over different overlapping sets of silos could be
    subtracted from one another."""
    x, y = blobs(900, seed=3)
    write_csv(os.path.join(folder, "all.csv"), x, y)
    job = write(os.path.join(folder, "j.yaml"), job_text(
        silos="{count: 9}", rounds=8,
        training="  weights: equal\n  participation: 0.33\n",
        rest="simulate: {source: all.csv}\n"
             "secure_aggregation: {collusion: 1}\ncheckpoint: {keep: 9}\n"))
    out = os.path.join(folder, "RUN")
    mpirun(3, "run", job, "--out", out)
    groups = set()
    for k in range(1, 9):
        with h5py.File(os.path.join(out, "round-%06d.h5" % k)) as f:
            groups.add(frozenset(np.flatnonzero(f["silos"]["status"] == 1)))
    assert 1 < len(groups) <= 3
    assert all(len(g) >= 3 for g in groups)
    assert sum(len(g) for g in groups) == len(frozenset().union(*groups))


@test
def nobody_joins_a_silo_without_its_secret(folder):
    """Ranks of a silo see its gradients before noise: a rank with a silo.yaml of
    its own making is not one of them."""
    sites = make_sites(folder, NAMES)
    job = secure_job(folder, NAMES, rest=PRIVATE["record"])
    evil = os.path.join(folder, "evil")
    os.makedirs(evil)
    os.link(os.path.join(sites, "b.csv"), os.path.join(evil, "b.csv"))
    write(os.path.join(evil, "b.yaml"),
          "silo: b\ndata: b.csv\nstate: state-of-mine\n")

    def launch(more, out, expect):
        from harness import command
        args = ["mpirun"]
        for yaml in [os.path.join(sites, n + ".yaml") for n in NAMES] + more:
            args += ([":"] if len(args) > 1 else []) + [
                "-n", "1", os.environ.get("COVEY", "build/covey"), "run", job,
                "--silo", yaml, "--out", os.path.join(folder, out)]
        return command(args, expect)
    launch([os.path.join(sites, "b.yaml")], "own", 0)
    r = launch([os.path.join(evil, "b.yaml")], "strange", 4)
    assert "silo b" in r.messages[0] and "secret" in r.messages[0]
    assert not os.path.exists(os.path.join(folder, "strange", "run.h5"))


@test
def sums_of_two_rosters_are_not_to_be_subtracted(folder):
    """Without noise: {a, b, c, d} and then {a, b, c} would show d."""
    sites = make_sites(folder, NAMES)
    run(folder, sites, "four")
    run(folder, sites, "again")  # the same sums
    three = NAMES[:3]
    job = secure_job(folder, three, name="three.yaml")
    out = os.path.join(folder, "three")
    r = mpirun(3, "run", job, "--silo-dir", sites, "--out", out, expect=4)
    assert "with other partners" in r.messages[0]
    # Pooled means, and one row more at one site.
    pooled = dict(data="standardize: pooled")
    run(folder, sites, "means", **pooled)
    with open(os.path.join(sites, "a.csv"), "a") as f:
        f.write("0,0,0,0,0,0,1\n")
    _, r = run(folder, sites, "means-again", expect=4, **pooled)
    assert "other rows" in r.messages[0] and "silo a" in r.messages[0]
    # With noise there is nothing to subtract.
    job = secure_job(folder, three, name="noised.yaml", rest=PRIVATE["silo"])
    mpirun(3, "run", job, "--silo-dir", sites, "--out",
           os.path.join(folder, "noised"))


@test
def check_at_the_site_finds_what_a_run_refuses(folder):
    sites = make_sites(folder, NAMES, limits="limits: {epsilon: 4, "
                       "delta: 1.0e-5}\n")
    kw = dict(rest="privacy: {unit: record, epsilon: 3.0, clip: 1.0, "
                   "sampling: 0.2}\n")
    job = secure_job(folder, NAMES, **kw)
    b = os.path.join(sites, "b.yaml")

    def check(expect, *words):
        r = covey("check", job, "--silo", b, expect=expect)
        told = " ".join((r.err if expect else r.out).split())
        for word in words:
            assert word in told, (word, told)
    check(0, "no journal", "epsilon 0.0000 spent in 0 runs", "limit 4")
    run(folder, sites, "first", **kw)
    check(4, "silo b", "above the site's 4")
    _, r = run(folder, sites, "second", expect=4, **kw)
    assert "lower privacy.epsilon" in r.messages[0]
    make_sites(folder, NAMES, data=False)
    check(0, "spent in 1 run", "no limit")
    with open(b) as f:
        good = f.read()
    for old, new, code, word in (
            ("key: b.key", "key: a.key", 4, "the job lists"),
            ("key: b.key\n", "", 2, "password_file"),
            ("password_file: pass\n", "", 2, "needs `password_file`"),
            ("key: b.key", "key: nowhere.key", 2, "its key file"),
            ("trusted:", "threads: 1 #", 4, "trusted: 3 partners")):
        assert old in good
        write(b, good.replace(old, new))
        check(code, word)
    write(b, good)
    write(os.path.join(sites, "pass"), "wrong\n")
    check(2, "its key file with its password_file")


@test
def claims_and_strangers(folder):
    """Each site starts its own part; a key that a site has not pinned counts as
    colluding."""
    sites = make_sites(folder, NAMES)
    job = secure_job(folder, NAMES)
    args = []
    for n in NAMES:
        args += ([":"] if args else []) + [
            "-n", "1", os.environ.get("COVEY", "build/covey"), "run", job,
            "--silo", os.path.join(sites, n + ".yaml"), "--out",
            os.path.join(folder, "claimed")]
    from harness import command
    command(["mpirun"] + args)
    make_sites(folder, NAMES, data=False,
               trusted=lambda n: [m for m in NAMES if m not in (n, "d")])
    out, _ = run(folder, sites, "one-stranger")  # d is the one that may collude
    make_sites(folder, NAMES, data=False,
               trusted=lambda n: ["a"] if n == "b" else
               [m for m in NAMES if m != n])
    _, r = run(folder, sites, "two-strangers", expect=4)
    assert "silo b" in r.messages[0] and "c, d" in r.messages[0]
    assert not os.path.exists(os.path.join(folder, "two-strangers", "run.h5"))


if __name__ == "__main__":
    main()

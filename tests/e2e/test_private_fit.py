"""Fits with differential privacy of records, against the fit without it."""
import os
import signal
import time

import h5py
import numpy as np

from harness import (covey, finish, inspect, main, mpirun, mpirun_args, start,
                     test, write)
from secure_sites import make_sites, silos_text

NAMES = ["north", "south", "west", "east"]
ROWS = 1500
FEATURES = ("{name: age, bounds: [20, 80]}, "
            "{name: sex, type: category, levels: [F, M]}, "
            "{name: bmi, bounds: [15, 45]}%s")
PLAIN = "{name: sex, type: category, levels: [F, M]}"
RESPONSE = ", {name: cost, bounds: [0, 100]}"
LINEAR = '{kind: glm, formula: "cost ~ age + sex + bmi"}'
LOGISTIC = '{kind: glm, family: binomial, formula: "event ~ age + sex + bmi"}'


def rows(rng, n):
    age, sex = rng.uniform(20, 80, n).round(1), rng.integers(0, 2, n)
    bmi = rng.normal(27, 4, n).clip(15, 45).round(2)
    eta = -3 + 0.05 * age + 0.8 * sex
    event = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    cost = (10 + 0.5 * age + 5 * sex + rng.normal(0, 6, n)).clip(0, 100)
    return "".join("%g,%s,%g,%d,%.3f\n" % (a, "FM"[s], b, e, c) for
                   a, s, b, e, c in zip(age, sex, bmi, event, cost))


def sites_of(folder, limits=""):
    rng = np.random.default_rng(7)
    sites = make_sites(folder, NAMES, data=False, limits=limits)
    for n in NAMES:
        write(os.path.join(sites, n + ".csv"),
              "age,sex,bmi,event,cost\n" + rows(rng, ROWS))
    return sites


def job(folder, model, privacy="epsilon: 2, delta: 1.0e-5, clip: 2, sampling: 1",
        rounds=8, name="job.yaml", features=None):
    if features is None:
        features = FEATURES % (RESPONSE if "cost" in model else "")
    return write(os.path.join(folder, name),
                 "covey: 1\nname: fit\nsilos: %s\n"
                 "data: {format: csv, features: [%s]}\nmodel: %s\n"
                 "training: {rounds: %d}\nsecure_aggregation: {collusion: 1}\n"
                 "%s" % (silos_text(NAMES), features, model, rounds,
                         "privacy: {%s}\n" % privacy if privacy else ""))


def fit(folder, path, sites, out, resume=False):
    out = os.path.join(folder, out)
    mpirun(4, "run", path, "--silo-dir", sites, "--out", out,
           *(["--resume"] if resume else []))
    return out


def found(out):
    with h5py.File(os.path.join(out, "run.h5"), "r") as f:
        p = f["model/params"]
        return p["coefficients"][:], p["standard_errors"][:]


def near_the_exact_fit(folder, model, epsilon, rounds):
    sites = sites_of(folder)
    exact = fit(folder, job(folder, model, privacy="", rounds=25,
                            name="exact.yaml", features=PLAIN), sites, "EXACT")
    out = fit(folder, job(folder, model), sites, "RUN")
    b, se = found(out)
    b0, se0 = found(exact)
    # Noise makes errors larger, and is in the errors that are told: five of
    # them are passed by chance once in two million.
    assert (se > se0).all(), (se, se0)
    assert (np.abs(b - b0) < 5 * np.sqrt(se ** 2 - 0.5 * se0 ** 2)).all(), \
        ((b - b0) / se)
    assert not np.array_equal(b, b0)
    j = inspect(out)
    assert j["round"] == rounds, j["round"]
    assert abs(j["privacy"]["epsilon"] - epsilon) < 0.01, j["privacy"]
    covey("verify", out)
    with h5py.File(os.path.join(out, "run.h5"), "r") as f:
        scalars = f["model/params/scalars"][:]
        ledger = f["privacy/ledger"][:]
        assert not np.isin(scalars, [ROWS * len(NAMES), ROWS]).any()
        assert int(ledger["steps"].sum()) == rounds, ledger
    return out


@test
def linear(folder):
    out = near_the_exact_fit(folder, LINEAR, 2.0, 1)
    text = covey("inspect", out).out
    assert "1 sum over all records" in text and "standard errors" in text, text


@test
def logistic(folder):
    near_the_exact_fit(folder, LOGISTIC, 2.0, 8)


@test
def noise_is_drawn_anew(folder):
    """Another run over the same data has other noise, and its cost is added up
    at the sites."""
    sites = sites_of(folder, "limits: {epsilon: 2.5, delta: 1.0e-5}\n")
    path = job(folder, LINEAR)
    a = found(fit(folder, path, sites, "A"))[0]
    q = mpirun(4, "run", path, "--silo-dir", sites, "--out",
               os.path.join(folder, "B"), expect=4)
    assert "limit" in q.messages[0] and "silo " in q.messages[0], q.messages
    path = job(folder, LINEAR, "epsilon: 0.5, delta: 1.0e-5, clip: 2, sampling: 1",
               name="small.yaml")
    b = found(fit(folder, path, sites, "C"))[0]
    assert not np.any(a == b)


@test
def a_run_that_is_stopped_goes_on(folder):
    """Rounds are not paid for twice when a run was stopped between them."""
    sites = sites_of(folder)
    path = job(folder, LOGISTIC, "noise_multiplier: 20, delta: 1.0e-5, clip: 2, "
               "sampling: 1", rounds=40)
    out = os.path.join(folder, "RUN")
    args = mpirun_args(4, "run", path, "--silo-dir", sites, "--out", out)
    p = start(args)
    while not os.path.exists(os.path.join(out, "run.h5")):
        assert p.poll() is None, finish(p)
        time.sleep(0.01)
    p.send_signal(signal.SIGUSR1)
    p.communicate(timeout=60)
    assert p.returncode == 75, p.returncode
    before = inspect(out)["round"]
    assert 1 <= before < 40, before
    mpirun(4, "run", path, "--silo-dir", sites, "--out", out, "--resume")
    assert inspect(out)["round"] == 40
    with h5py.File(os.path.join(out, "run.h5"), "r") as f:
        assert int(f["privacy/ledger"][:]["steps"].sum()) == 40
    covey("verify", out)


@test
def the_number_of_rounds_is_kept(folder):
    """What is averaged hangs on it: a fit does not go on with another."""
    sites = sites_of(folder)
    privacy = "noise_multiplier: 20, delta: 1.0e-5, clip: 2, sampling: 1"
    path = job(folder, LOGISTIC, privacy, rounds=40)
    out = os.path.join(folder, "RUN")
    p = start(mpirun_args(4, "run", path, "--silo-dir", sites, "--out", out))
    while not os.path.exists(os.path.join(out, "run.h5")):
        time.sleep(0.01)
    p.send_signal(signal.SIGUSR1)
    p.communicate(timeout=60)
    assert p.returncode == 75, p.returncode
    other = job(folder, LOGISTIC, privacy, rounds=30, name="other.yaml")
    q = mpirun(4, "run", other, "--silo-dir", sites, "--out", out, "--resume",
               expect=2)
    assert "40 rounds" in q.messages[0], q.messages


@test
def what_cannot_be_private_is_refused(folder):
    wrong = [
        ("bounds", job(folder, LOGISTIC, name="a.yaml",
                       features="{name: age}, {name: sex, type: category, "
                                "levels: [F, M]}, {name: bmi, bounds: [1, 9]}")),
        ("bounds", job(folder, LINEAR, name="b.yaml", features=FEATURES % "")),
        ("sampling", job(folder, LINEAR, "epsilon: 1, sampling: 0.1",
                         name="c.yaml")),
        ("privacy", job(folder, '{kind: glm, family: poisson, '
                        'formula: "event ~ age"}', name="d.yaml",
                        features="{name: age, bounds: [20, 80]}")),
        ("privacy", job(folder, '{kind: glm, strata: silo, family: binomial, '
                        'formula: "event ~ age"}', name="e.yaml",
                        features="{name: age, bounds: [20, 80]}")),
    ]
    for word, path in wrong:
        q = covey("check", path, expect=2)
        assert word in q.messages[0], (word, q.messages)


if __name__ == "__main__":
    main()

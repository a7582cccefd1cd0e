"""`covey privacy` against published values, exact formulas and itself."""
import csv
import json
import math
import os
import re

import numpy as np

from harness import COVEY, ROOT, command, covey, main, test

VECTORS = os.path.join(ROOT, "tests", "vectors")
KEYS = ["noise_multiplier", "sampling", "steps", "delta", "epsilon_rdp",
        "epsilon_pld"]


def rows(name):
    with open(os.path.join(VECTORS, name + ".csv")) as f:
        return list(csv.DictReader(f))


def ask(**options):
    args = [a for k, v in options.items() for a in ("--" + k, repr(v))]
    r = covey("privacy", *args, "--json")
    assert r.err == ""
    return json.loads(r.out)


def exact_epsilon(mu, delta):
    """Of the Gaussian mechanism with sensitivity mu sigma (Balle, Wang 2018,
    theorem 8): where delta falls to Phi(mu/2 - e/mu) - exp(e) Phi(-mu/2 - e/mu).
    """
    def phi(x):
        return 0.5 * math.erfc(-x / math.sqrt(2))

    def left(e):
        return phi(mu / 2 - e / mu) - math.exp(e) * phi(-mu / 2 - e / mu)

    low, high = 0.0, 300.0
    if left(0.0) <= delta:
        return 0.0
    for _ in range(200):
        mid = (low + high) / 2
        low, high = (mid, high) if left(mid) > delta else (low, mid)
    return high


def best_rdp(noise, q, steps, delta):
    """Epsilon by RDP at its best order (Mironov, Talwar, Zhang 2019; conversion of
    Canonne, Kamath, Steinke 2020), by plain integration."""
    def epsilon(order):  # (orders) -> (orders)
        z = np.arange(-12 * noise, order.max() + 12 * noise, noise / 8)
        ln_phi = -z * z / (2 * noise ** 2) - math.log(noise * math.sqrt(2 * math.pi))
        ratio = np.log1p(q * np.expm1(np.minimum((2 * z - 1) / (2 * noise ** 2), 600)))
        ln = ln_phi + order[:, None] * ratio
        top = ln.max(axis=1)
        a = top + np.log(np.exp(ln - top[:, None]).sum(axis=1) * noise / 8)
        return (steps * a / (order - 1) + np.log1p(-1 / order) -
                np.log(delta * order) / (order - 1))

    # The table's smallest noise has its best order near 3, its largest near 60.
    order = np.geomspace(1.3, min(100.0, 1 + 200 * noise * noise), 200)
    for _ in range(3):
        e = epsilon(order)
        i = min(max(int(e.argmin()), 1), len(order) - 2)
        order = np.linspace(order[i - 1], order[i + 1], 41)
    return e.min()


# ---- epsilon ------------------------------------------------------------------


@test
def every_reference_value(_):
    seen = exact = 0
    for row in rows("epsilon"):
        a = ask(noise=float(row["noise_multiplier"]),
                sampling=float(row["sampling_probability"]),
                steps=int(row["steps"]), delta=float(row["delta"]))
        assert list(a) == KEYS, a
        rdp, pld = a["epsilon_rdp"], a["epsilon_pld"]
        series = float(row["eps_rdp_exact_series"])
        # The table's orders have one decimal; ours are finer, and none beats the
        # best.
        best = best_rdp(a["noise_multiplier"], a["sampling"], a["steps"], a["delta"])
        assert best <= series + 1e-6, (row, best)
        assert best * (1 - 1e-7) <= rdp <= best * (1 + 5e-4), (row, a, best)
        assert rdp <= series + 1e-6, (row, a)
        assert abs(pld - float(row["eps_pld_pessimistic"])) <= 1e-4, (row, a)
        assert pld >= float(row["eps_pld_optimistic"]) - 1e-6, (row, a)
        if row["eps_exact_q1"]:
            assert pld >= float(row["eps_exact_q1"]) - 1e-6, (row, a)
            exact += 1
        assert a["noise_multiplier"] == float(row["noise_multiplier"])
        assert a["sampling"] == float(row["sampling_probability"])
        assert a["steps"] == int(row["steps"]) and a["delta"] == float(row["delta"])
        seen += 1
    assert seen == 84 and exact == 18, (seen, exact)


@test
def settings_of_no_table(_):
    # Without sampling the exact value is known.
    for noise, steps, delta in [(3.3, 17, 2e-7), (0.37, 1, 1e-3), (25.0, 999, 1e-9),
                                (1.0, 1, 0.2), (700.0, 123456, 3e-6)]:
        a = ask(noise=noise, steps=steps, delta=delta)
        exact = exact_epsilon(math.sqrt(steps) / noise, delta)
        assert exact - 1e-6 <= a["epsilon_pld"] <= exact + 1e-4, (a, exact)
        assert a["epsilon_rdp"] >= exact, (a, exact)
    # With it: never better than a rate of 0, never worse than of 1; and each
    # argument moves it the right way.
    base = dict(noise=0.93, sampling=0.037, steps=313, delta=3e-6)
    worse = [dict(noise=0.9), dict(noise=0.7), dict(sampling=0.04),
             dict(sampling=0.5), dict(sampling=1.0), dict(steps=320),
             dict(steps=5000), dict(delta=2e-6), dict(delta=1e-9)]
    a = ask(**base)
    assert 0.1 < a["epsilon_pld"] < a["epsilon_rdp"] < 20, a
    for change in worse:
        b = ask(**{**base, **change})
        assert b["epsilon_pld"] <= b["epsilon_rdp"], b
        for key in ("epsilon_pld", "epsilon_rdp"):
            assert b[key] > a[key] * 1.001, (key, a, b)
    for steps in (2, 30, 400):
        one, more = (ask(noise=1.7, sampling=0.2, steps=s, delta=1e-5)
                     for s in (1, steps))
        for key in ("epsilon_pld", "epsilon_rdp"):
            assert one[key] < more[key] < steps * one[key], (one, more)


@test
def no_noise_is_no_bound(_):
    for noise in (0.0, 1e-200):
        a = ask(noise=noise, delta=1e-5)
        assert a["epsilon_rdp"] is None and a["epsilon_pld"] is None, a
    assert covey("privacy", "--noise", "0", "--delta", "1e-5").out.count(
        "no bound") == 2
    a = ask(noise=1e9, delta=1e-5)
    assert a["epsilon_pld"] == 0 and a["epsilon_rdp"] == 0, a
    assert "no bound" not in covey("privacy", "--noise", "9", "--delta", "1e-5").out


# ---- noise --------------------------------------------------------------------


def calibrated(epsilon, **setting):
    """The answer; it keeps the budget, and a bit less noise does not."""
    a = ask(epsilon=epsilon, **setting)
    assert list(a) == KEYS[:4] + ["epsilon"] + KEYS[4:], a
    assert a["epsilon"] == epsilon
    assert a["epsilon_pld"] <= epsilon and a["epsilon_pld"] <= a["epsilon_rdp"], a
    again = ask(noise=a["noise_multiplier"], **setting)
    assert again == {k: a[k] for k in KEYS}, (a, again)
    less = ask(noise=a["noise_multiplier"] * (1 - 1e-4), **setting)
    assert less["epsilon_pld"] is None or less["epsilon_pld"] > epsilon, (a, less)
    return a["noise_multiplier"]


@test
def noise_for_a_budget(_):
    for row in rows("analytic_gaussian"):
        least = float(row["sigma_mpmath40"])
        noise = calibrated(float(row["eps"]), delta=float(row["delta"]))
        assert least * (1 - 1e-9) <= noise <= least * (1 + 1e-4), (row, noise)
    before = 0.0
    for epsilon in (20.0, 3.0, 1.0, 0.1):
        noise = calibrated(epsilon, sampling=0.01, steps=1000, delta=1e-5)
        assert noise > before * 1.1
        before = noise
    for setting in [dict(sampling=0.0042, steps=14062, delta=1e-5),
                    dict(sampling=0.31, steps=77, delta=1e-7),
                    dict(steps=2500, delta=1e-3)]:
        noise = calibrated(2.5, **setting)
        # RDP asks for more.
        assert ask(noise=noise, **setting)["epsilon_rdp"] > 2.5
        assert calibrated(2.5, **{**setting, "steps": 2 * setting["steps"]}) > noise


# ---- as a person meets it -----------------------------------------------------


@test
def text_for_people(_):
    args = ["--noise", "1.1", "--sampling", "0.01", "--steps", "10000", "--delta",
            "1e-5"]
    text = covey("privacy", *args).out
    a = json.loads(covey("privacy", *args, "--json").out)
    for word in ("noise multiplier    1.1\n", "0.01\n", "10,000\n", "1e-05\n",
                 "Gaussian mechanism", "Poisson", "record (or silo)",
                 "replaced by null"):
        assert word in text, (word, text)
    # Six digits, and never less than it is.
    for noise in ("0.9", "1.1", "1.3", "2.2", "4"):
        args[1] = noise
        text = covey("privacy", *args).out
        a = json.loads(covey("privacy", *args, "--json").out)
        for method in ("rdp", "pld"):
            shown = float(re.search(r"by %s +(\S+)" % method.upper(), text).group(1))
            value = a["epsilon_" + method]
            assert value <= shown <= value * (1 + 1e-5), (text, a)
    text = covey("privacy", "--epsilon", "3", "--delta", "1e-5").out
    a = json.loads(covey("privacy", "--epsilon", "3", "--delta", "1e-5",
                         "--json").out)
    assert a["sampling"] == 1 and a["steps"] == 1
    assert "%.10g" % a["noise_multiplier"] in text and "budget" in text, text
    # The numbers that are shown are the ones that hold.
    assert len("%.10g" % a["noise_multiplier"]) <= 8, a
    for asked in (["privacy", "--help"], ["help", "privacy"]):
        r = covey(*asked)
        for word in ("--noise", "--epsilon", "--sampling", "--steps", "--delta",
                     "--json"):
            assert word in r.out
    assert "privacy" in covey("--help").out


@test
def mistakes_are_named(_):
    ok = ["--noise", "1", "--delta", "1e-5"]
    for args, says in [
            ([], "--noise or --epsilon"),
            (["--delta", "1e-5"], "--noise or --epsilon"),
            (["--noise", "1"], "--delta"),
            (["--epsilon", "1"], "--delta"),
            (ok + ["--epsilon", "1"], "either --noise or --epsilon"),
            (["--noise", "-1", "--delta", "1e-5"], "--noise"),
            (["--noise", "nan", "--delta", "1e-5"], "nan"),
            (["--noise", "inf", "--delta", "1e-5"], "inf"),
            (["--noise", "1,1", "--delta", "1e-5"], "1,1"),
            (["--noise", "", "--delta", "1e-5"], "--noise"),
            (["--noise", "1e999", "--delta", "1e-5"], "1e999"),
            (["--epsilon", "0", "--delta", "1e-5"], "--epsilon"),
            (["--epsilon", "-3", "--delta", "1e-5"], "--epsilon"),
            (["--epsilon", "inf", "--delta", "1e-5"], "--epsilon"),
            (["--epsilon", "1e7", "--delta", "1e-5"], "million"),
            (["--noise", "1", "--delta", "0"], "--delta"),
            (["--noise", "1", "--delta", "1"], "between 0 and 1"),
            (["--noise", "1", "--delta", "-1e-5"], "--delta"),
            (ok + ["--sampling", "0"], "--sampling"),
            (ok + ["--sampling", "1.0001"], "1.0001"),
            (ok + ["--sampling", "-0.1"], "--sampling"),
            (ok + ["--steps", "0"], "--steps"),
            (ok + ["--steps", "-5"], "--steps"),
            (ok + ["--steps", "1.5"], "1.5"),
            (ok + ["--steps", "1e4"], "1e4"),
            (ok + ["--steps", "1125899906842625"], "--steps"),
            (ok + ["--steps", "99999999999999999999"], "--steps"),
            (ok + ["--steps"], "needs a value"),
            (ok + ["--samplin", "0.1", "--step", "2", "--stepps", "2"], "did you mean '--steps'"),
            (ok + ["-x"], "-x"),
            (ok + ["job.yaml"], "job.yaml")]:
        r = covey("privacy", *args, expect=2)
        assert r.out == "", (args, r.out)
        assert len(r.err.splitlines()) == len(r.messages) == 1, (args, r.err)
        assert says in r.messages[0], (args, r.err)
    # What no noise can do is refused for privacy.
    r = covey("privacy", "--epsilon", "1e-12", "--delta", "1e-300", expect=4)
    assert len(r.messages) == 1 and "no noise" in r.err, r.err


@test
def without_mpi(_):
    program = os.path.join(os.path.dirname(os.path.dirname(COVEY)), "build-nompi",
                           "covey")
    if not os.path.exists(program):
        print("no build-nompi: skipped")
        return
    args = ["privacy", "--epsilon", "2", "--sampling", "0.1", "--steps", "50",
            "--delta", "1e-6", "--json"]
    assert command([program] + args).out == covey(*args).out


main()

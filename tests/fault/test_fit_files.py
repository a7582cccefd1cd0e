"""Checkpoints of fits that somebody has changed: `covey verify` says what fails,
and nothing that a file says makes a reader of it crash or hang."""
import os
import random
import shutil

import h5py
import numpy as np

from faults import finish, start
from fit_sites import GLM, LOGIT, fit_job, fit_sites, rows_of, run_fit, site
from harness import COVEY, main, test, write
from kills import seal
from verify_runs import Forger, cheat, failing, file_of, listing, verify

NAMES = ("a", "b", "c", "d")
MEND = ("mend-model", "mend-records")
P = "/model/params/"
_made = {}


def fit_of(folder, name, model, masked=True):
    """A run of that name, and its sites."""
    home = os.path.join(folder, name)
    os.makedirs(home)
    sites = fit_sites(home, NAMES, [rows_of(60, k) for k in range(len(NAMES))],
                      masked)
    out = os.path.join(home, "RUN")
    run_fit(4, fit_job(home, NAMES, model, masked), sites, out)
    return out, sites


@test
def what_a_root_changes_in_a_fit(folder):
    out, _ = fit_of(folder, "glm", GLM % ("gaussian", "y ~ x1 + x2 + C(g)", ""))
    code, lines, err = verify(file_of(out))
    assert code == 0, (failing(lines), err)
    assert {"records", "model", "result", "history", "sums"} <= {
        what for what, _, _ in lines}, lines
    forge = Forger(folder, out, beside=("records.log",))
    code, lines, err = verify(forge(*MEND))
    assert code == 0, (failing(lines), err)
    numbers = [P + "coefficients - 1 2.5", P + "standard_errors - 1 1e-9",
               P + "covariance - 0 1", P + "scalars - 9 0.5",
               P + "scalars - 1 4000", P + "working - 0 0.25",
               P + "centre - 1 3", P + "unit - 1 2"]
    for n in numbers:
        # Not what the file's digest says; not what is signed; not what the
        # tables say.
        forge.refused({"error": "do not fit"}, "put " + n)
        forge.refused({"model": "newest record"}, "put " + n, "mend-model",
                      others=("result",))
        forge.refused({"signatures": "silo a"}, "put " + n, *MEND,
                      others=("result",))
    # The tables alone, which people read.
    for edit in ("put /result/coefficients estimate 1 2.5",
                 "put /result/coefficients std_error 2 1e-6",
                 "put /result/coefficients p_value 1 0.001",
                 "put /result/coefficients lower 1 0",
                 "put /result/coefficients name 1 x2",
                 "put /result/names - 1 x2", "put /result/covariance - 3 7",
                 "set-attr /result rows 4000", "set-attr /result aic 1",
                 "set-attr /result family poisson", "set-attr /result converged 0",
                 "set-attr /result formula y", "set-attr /result level 0.5",
                 "drop-attr /result deviance", "drop /result/covariance",
                 "drop-rows /result/coefficients 1 1",
                 "rename /result/coefficients estimate guess"):
        forge.refused({"result": "is not what /model/params comes to"}, edit)
    forge.refused({"rest": "/result"}, "add /result/extra x")
    forge.refused({"rest": "/result"}, "set-attr /result extra x")
    forge.refused({"rest": "/model/params"}, "add /model/params/more x")


@test
def a_job_of_another_formula(folder):
    out, _ = fit_of(folder, "job", LOGIT % ("x1 + x2", ""))
    forge = Forger(folder, out, beside=("records.log",))
    text = job_of(file_of(out))
    for k, (old, new, code) in enumerate((
            ("x1 + x2", "x2 + x1", 6), ("x1 + x2", "I(x1^2) + x2", 6),
            ("logit", "probit", 6), ("ridge: 0", "ridge: 1", 6),
            ("x1 + x2", "x1 * x2", 6), ("x1 + x2", "x1", 2),
            ("event ~", "count ~", 2), ("x1 + x2", "x1 + (", 2))):
        if old not in text:  # a default, which stands there where it is used
            old, new = "family: ", "ridge: 1\n  family: "
        assert old in text
        changed = text.replace(old, new)
        write(os.path.join(folder, "job%d" % k), changed)
        edit = "put-text /job %s" % os.path.join(folder, "job%d" % k)
        found, lines, err = verify(forge(edit))
        assert found == code, (new, code, lines, err)
        if code == 6 and "*" not in new:  # of other columns, it cannot be read
            found, lines, err = verify(forge(edit, "mend-job"))
            assert found == 6 and failing(lines), (new, lines, err)
        print("  %s: %s" % (new, (failing(lines) or err)[:2]))


def job_of(path):
    with h5py.File(path) as f:
        return f["/job"][()].decode()


# ---- files that no fit leaves -------------------------------------------------------

ASAN = os.environ.get("COVEY_ASAN", "")
PROGRAM = ASAN if os.path.exists(ASAN) else COVEY
KINDS = {"glm": LOGIT % ("x1 + x2 + C(g)", ""),
         "own": GLM % ("gaussian", "y ~ x1 + x2", ", strata: silo"),
         "cox": '{kind: cox, formula: "Surv(time, died) ~ x1 + x2", strata: '
                "silo}",
         "ridge": '{kind: ridge, formula: "y ~ x1 + x2", ridge: 1}',
         "kernel": '{kind: kernel_ridge, formula: "y ~ x1 + x2", ridge: 1, '
                   "features: 30}",
         "pca": '{kind: pca, formula: "~ x1 + x2 + x3", components: 2}'}


def survives(path, data, codes=(0, 1, 2, 6)):
    """Every reader of it ends by itself, and says one thing if it fails."""
    ends = []
    for args in (["inspect", path], ["inspect", path, "--json"],
                 ["verify", path],
                 ["predict", path, data, "-o", path + ".out"]):
        r = finish(start([PROGRAM] + args))
        shown = "%s: exit %d: %s" % (args, r.code, r.err[-2000:])
        assert r.code in codes, shown
        assert "Sanitizer" not in r.err and "runtime error" not in r.err, shown
        assert r.code in (0, 6) or len(r.messages) == 1, shown
        ends.append(r.code)
    return ends


def put_array(path, name, change):
    """change(values) -> what the file holds there instead, whole again."""
    with h5py.File(path, "r+") as f:
        old = f[name]
        attrs = dict(old.attrs)
        new = np.asarray(change(old[()]))
        del f[name]
        d = f.create_dataset(name, data=new)
        for k, v in attrs.items():
            d.attrs[k] = v
    seal(path)


ODD = (np.nan, np.inf, -np.inf, -1.0, 1e308, -1e308, 5e-324, 0.5, 2.0**62)


@test
def numbers_that_no_fit_leaves(folder):
    dice, seen = random.Random(5), {}
    for kind, model in KINDS.items():
        out, sites = fit_of(folder, kind, model, masked=False)
        data = site(sites, "a")
        path = os.path.join(folder, kind + ".h5")
        assert survives(file_of(out), data)[0] == 0
        cells = [(w, k) for w, a, _, n in listing(file_of(out)) if not a and
                 w.startswith(P) for k in range(n // 8)]
        few = {(w, k) for w, k in cells if w.endswith("/scalars")}
        picked = dice.sample(sorted(few), 6) + dice.sample(
            [c for c in cells if c not in few], 8)
        for w, k in picked:
            cheat(file_of(out), path, "put %s - %d %r" % (w, k, dice.choice(ODD)),
                  "mend-model")
            for code in survives(path, data):
                seen[code] = seen.get(code, 0) + 1
        # Every such number of the fit, where a summary is made from it.
        for k in range(32) if kind in ("own", "cox") else ():
            for v in ODD:
                cheat(file_of(out), path, "put %s - %d %r" % (
                    P + "scalars", k, v), "mend-model")
                r = finish(start([PROGRAM, "inspect", path, "--json"]))
                assert r.code in (0, 6), (k, v, r.err)
                assert "Sanitizer" not in r.err, (k, v, r.err)
                seen[r.code] = seen.get(r.code, 0) + 1
    print("   exits: %s" % seen)
    assert {0, 6} <= set(seen)


@test
def shapes_and_jobs_that_no_fit_leaves(folder):
    def other_type(v):
        return v.astype("<f4")
    shapes = (lambda v: v[:-1], lambda v: np.append(v.ravel(), 1.0),
              lambda v: np.zeros((0,)), lambda v: v.reshape(1, -1),
              lambda v: np.zeros(200000), other_type,
              lambda v: np.float64(3.0))
    for kind, model in KINDS.items():
        out, sites = fit_of(folder, kind, model, masked=False)
        data = site(sites, "a")
        path = os.path.join(folder, kind + ".h5")
        views = sorted({w for w, a, _, _ in listing(file_of(out)) if not a and
                        w.startswith(P)})
        dice = random.Random(6)
        for view in dice.sample(views, 3) + [P + "scalars"]:
            for change in dice.sample(shapes, 2):
                shutil.copy(file_of(out), path)
                put_array(path, view, change)
                ends = survives(path, data)
                assert set(ends) <= {2, 6} or change is other_type, (view, ends)
            cheat(file_of(out), path, "drop %s" % view)
            assert set(survives(path, data)) <= {2, 6}
        text = job_of(file_of(out))
        for k, (old, new) in enumerate((
                ("components: 2", "components: 2000000000"),
                ("components: 2", "components: -1"),
                ("features: 30", "features: 2000000000"),
                ("features: 30", "features: 65536"),
                ("gamma: 0", "gamma: 1e308"),
                ("kind: %s" % model.split()[1].strip(","), "kind: pca"),
                ("x1 + x2", " * ".join("x1 x2 g".split() * 20)),
                ("x1 + x2", "I(x1^1000000) + x2"),
                ("x1 + x2", "+".join(["x1"] * 5000)),
                ("x1 + x2", "x1 + x2 + C(x1)"))):
            if old not in text:
                continue
            write(os.path.join(folder, "job"), text.replace(old, new))
            cheat(file_of(out), path, "put-text /job " + os.path.join(
                folder, "job"))
            survives(path, data)
        with open(file_of(out), "rb") as f:
            whole = f.read()
        for _ in range(8):
            at = dice.randrange(len(whole))
            damaged = whole[:at] + bytes([dice.randrange(256)]) + whole[at + 1:]
            with open(path, "wb") as f:
                f.write(damaged if dice.random() < 0.7 else whole[:at])
            survives(path, data)


if __name__ == "__main__":
    main()

"""Rows that are strange for a fit: the answer of all rows together (numpy's), or one
message with the exit code that belongs to it; the same on all numbers of ranks, with
masks and without, and no hang."""
import os
import shutil

import numpy as np

from faults import together
from fit_sites import (COX, GLM, csv_text, fit_job, fit_sites, result_of, rows_of,
                       run_fit, simulated_job)
from fits import Found
from harness import main, test, write

FOUR = ("a", "b", "c", "d")
PCA = '{kind: pca, formula: "~ x1 + x2 + x3", components: 2}'
GAUSS = GLM % ("gaussian", "%s", "%s")


class Trial:
    """One job over these tables, wherever it can run."""

    def __init__(self, folder, name, tables, model, expect=0, words=(), masked=True,
                 ranks=(1, 2, 3), **kw):
        self.found, said = {}, set()
        names = FOUR[:len(tables)] if len(tables) <= 4 else [
            "s%02d" % k for k in range(len(tables))]
        places = [(False, n) for n in ranks if n <= len(names)]
        if masked:
            places += [(True, n) for n in (2, min(len(names), 4))
                       if len(names) - -(-len(names) // n) >= 2]
        def one(hidden, n):
            home = os.path.join(folder, "%s-%d-%d" % (name, hidden, n))
            os.makedirs(home)
            sites = fit_sites(home, names, tables, hidden)
            out = os.path.join(home, "RUN")
            r = run_fit(n, fit_job(home, names, model, hidden, **kw), sites, out,
                        expect=expect, words=words)
            said.add((r.code, r.messages[0] if r.messages else ""))
            if r.code == 0:
                self.found[hidden, n] = Found(out)
            shutil.rmtree(home)
        together([lambda p=p: one(*p) for p in places])
        assert len(said) == 1, said
        self.code, self.message = said.pop()
        digests = {h: {f.digest for (g, _), f in self.found.items() if g == h}
                   for h in (False, True)}
        assert all(len(d) <= 1 for d in digests.values()), digests
        view = "loadings" if "pca" in model else "coefficients"
        for f in self.found.values():
            assert np.allclose(f.params[view], self.any().params[view],
                               rtol=1e-9, atol=1e-12, equal_nan=True)
        print("  %-24s %s" % (name, self.message[14:] or "%d runs: %s" % (
            len(self.found), np.array2string(
                self.any().params[view].ravel()[:4], precision=4))), flush=True)

    def any(self):
        return next(iter(self.found.values()))

    def is_near(self, want, tolerance=1e-8):
        got = self.any().params["coefficients"]
        assert np.allclose(got, want, rtol=tolerance, atol=tolerance,
                           equal_nan=True), (got, want)


def tables_of(n=4, rows=40, **kw):
    return [rows_of(rows, 10 + k, **kw) for k in range(n)]


def pooled(tables, *columns):
    return np.column_stack([np.concatenate([np.asarray(t[c], float)
                                            for t in tables]) for c in columns])


def least_squares(tables, y, *columns, weights=None):
    x = pooled(tables, *columns)
    x = np.column_stack([np.ones(len(x)), x])
    w = np.sqrt(pooled(tables, weights)[:, 0]) if weights else np.ones(len(x))
    return np.linalg.lstsq(x * w[:, None], pooled(tables, y)[:, 0] * w,
                           rcond=None)[0]


# ---- silos that are not like the others ---------------------------------------------


@test
def a_silo_without_rows(folder):
    t = tables_of()
    t[2]["x1"] = np.full(40, np.nan)
    want = least_squares(t[:2] + t[3:], "y", "x1", "x2")
    Trial(folder, "none-usable", t, GAUSS % ("y ~ x1 + x2", "")).is_near(want)
    t = tables_of()
    t[2] = {k: v[:0] for k, v in t[2].items()}
    Trial(folder, "empty", t, GAUSS % ("y ~ x1 + x2", ""), 2,
          ["silo c: data: no rows after the header"])
    t[2] = {k: v[:40] for k, v in tables_of(3)[2].items()}
    t[2]["x1"] = np.full(40, np.nan)
    Trial(folder, "none-cox", t, COX % ("x1 + x2", ""))
    Trial(folder, "none-pca", t, PCA)
    Trial(folder, "none-strata", t, GAUSS % ("y ~ x1 + x2", ", strata: silo"))
    t = tables_of()
    t[2]["w"] = np.zeros(40)
    Trial(folder, "no-weight", t, GAUSS % ("y ~ x1 + x2", ", weights: w")) \
        .is_near(least_squares(t, "y", "x1", "x2", weights="w"))
    Trial(folder, "no-weight-cox", t, COX % ("x1 + x2", ", weights: w"))
    t = tables_of(3)  # two are left: one knows the other's part
    t[1]["x1"] = np.full(40, np.nan)
    Trial(folder, "two-left", t, GAUSS % ("y ~ x1 + x2", ""), 4,
          ["fewer than 3 silos"], ranks=())
    for d in t:
        d["x1"] = np.full(40, np.nan)
    Trial(folder, "nowhere", t, GAUSS % ("y ~ x1 + x2", ""), 2,
          ["no silo has a row without missing values"])
    # Some weights are 0: as if these rows were not there.
    t = tables_of()
    t[0]["w"][:30] = 0
    Trial(folder, "few-weights", t, GAUSS % ("y ~ x1 + x2", ", weights: w")) \
        .is_near(least_squares(t, "y", "x1", "x2", weights="w"))
    # Only one row of one silo is left.
    t = tables_of()
    t[2]["x1"][1:] = np.nan
    keep = [{k: v[:1] for k, v in d.items()} if k == 2 else d
            for k, d in enumerate(t)]
    Trial(folder, "one-row", t, GAUSS % ("y ~ x1 + x2", "")).is_near(
        least_squares(keep, "y", "x1", "x2"))


@test
def columns_and_levels_of_one_silo(folder):
    t = tables_of()
    t[1]["x1"] = np.full(40, 2.5)
    Trial(folder, "constant-in-one", t, GAUSS % ("y ~ x1 + x2", "")).is_near(
        least_squares(t, "y", "x1", "x2"))
    Trial(folder, "constant-strata", t, GAUSS % ("y ~ x1 + x2",
                                                 ", strata: silo"))
    Trial(folder, "constant-cox", t, COX % ("x1 + x2", ""))
    for d in t:  # ... in each another constant
        d["x1"] = np.full(40, d["x1"][0])
    Trial(folder, "constant-in-each", t, GAUSS % ("y ~ x1 + x2", "")).is_near(
        least_squares(t, "y", "x1", "x2"))
    # With an intercept for each silo nothing is left of it.
    strata = Trial(folder, "constant-in-each-strata", t, GAUSS % (
        "y ~ x1 + x2", ", strata: silo")).any()
    assert np.isnan(strata.params["coefficients"][0])
    # A level that one silo alone has, and a silo that has one level alone.
    t = tables_of()
    for k, d in enumerate(t):
        d["g"] = np.where(d["g"] == "w", "u", d["g"]) if k else d["g"]
    v, w = ([(d["g"] == l).astype(float) for d in t] for l in "vw")
    levels = [dict(d, v=v[k], w=w[k]) for k, d in enumerate(t)]
    want = least_squares(levels, "y", "x1", "v", "w")
    Trial(folder, "level-of-one", t, GAUSS % ("y ~ x1 + C(g)", ""),
          masked=False).is_near(want)
    Trial(folder, "level-of-one-masked", t, GAUSS % ("y ~ x1 + C(g)", ""), 4,
          ["column .C.g.=w.: .*fewer than 3 silos"], ranks=())
    t[3]["g"] = np.full(40, "u")
    Trial(folder, "silo-of-one-level", t, GAUSS % ("y ~ x1 + C(g)", ""),
          masked=False)
    # No silo has it.
    for d in t:
        d["g"] = np.where(d["g"] == "w", "u", d["g"])
    none = Trial(folder, "level-of-none", t, GAUSS % ("y ~ x1 + C(g)", ""),
                 {0, 4})
    assert none.code == 4 or np.isnan(none.any().coef()["C(g)w"])


# ---- few rows, and responses that do not vary ------------------------------------------


@test
def as_many_columns_as_rows(folder):
    t = [rows_of(2, 30 + k, cols=7) for k in range(4)]  # 8 rows
    names = ["x%d" % j for j in range(1, 8)]
    model = "y ~ " + " + ".join(names)
    full = Trial(folder, "gaussian", t, GAUSS % (model, ""), masked=False)
    full.is_near(least_squares(t, "y", *names), 1e-6)
    assert full.any().told["df_residual"] == 0
    assert all(c["p_value"] is None for c in full.any().told["coefficients"])
    more = Trial(folder, "more", t, GAUSS % (model + " + I(x1^2)", ""),
                 masked=False)
    assert np.isnan(more.any().params["coefficients"]).sum() == 1
    Trial(folder, "binomial", t, GLM % ("binomial", "event" + model[1:], ""), 1,
          ["no finite solution|does not converge"], masked=False)
    Trial(folder, "cox", t, COX % (" + ".join(names), ""), {0, 1}, masked=False)
    Trial(folder, "ridge", t, '{kind: ridge, formula: "%s", ridge: 1}' % model,
          masked=False)
    Trial(folder, "masked", t, GAUSS % (model, ""), {0, 4}, ranks=())


@test
def responses_that_do_not_vary(folder):
    def of(value, column="y"):
        t = tables_of()
        for d in t:
            d[column] = np.full(40, value)
        return t
    for value in (3.0, 0.0):
        Trial(folder, "gaussian-%g" % value, of(value), GAUSS % (
            "y ~ x1 + x2", "")).is_near([value, 0, 0])
        Trial(folder, "ridge-%g" % value, of(value),
              '{kind: ridge, formula: "y ~ x1 + x2", ridge: 1}').is_near(
                  [value, 0, 0])
        Trial(folder, "kernel-%g" % value, of(value), '{kind: kernel_ridge, '
              'formula: "y ~ x1 + x2", ridge: 1, features: 12}').is_near(
                  [value] + 12 * [0])
    for family, value, link in (("poisson", 3, np.log), ("gamma", 3.0,
                                                         lambda v: 1 / v)):
        Trial(folder, family, of(value), GLM % (family, "y ~ x1 + x2", "")) \
            .is_near([link(value), 0, 0])
    Trial(folder, "binomial-half", of(0.5), GLM % ("binomial", "y ~ x1 + x2",
                                                   "")).is_near([0, 0, 0])
    # No estimate: an infinite one.
    for family, value in (("binomial", 0), ("binomial", 1), ("poisson", 0)):
        Trial(folder, "%s-%d" % (family, value), of(value), GLM % (
            family, "y ~ x1 + x2", ""), 1, ["no finite|does not converge"])
    Trial(folder, "gamma-0", of(0.0), GLM % ("gamma", "y ~ x1 + x2", ""), 2,
          ["column 'y'"])
    Trial(folder, "strata", of(3.0), GAUSS % ("y ~ x1 + x2", ", strata: silo")) \
        .is_near([0, 0])
    Trial(folder, "no-events", of(0, "died"), COX % ("x1 + x2", ""), 2,
          ["no row of any silo has an event"])
    Trial(folder, "one-time", of(5, "time"), COX % ("x1 + x2", ""))
    t = tables_of()
    for d in t:
        for j in (1, 2):
            d["x%d" % j] = np.full(40, float(j))
    Trial(folder, "nothing-varies", t, GAUSS % ("y ~ x1 + x2", ""))
    Trial(folder, "nothing-varies-cox", t, COX % ("x1 + x2", ""), 1,
          ["no column of the formula varies"])


# ---- numbers of silos and ranks -----------------------------------------------------------


@test
def one_silo_and_sixty(folder):
    for model in (GAUSS % ("y ~ x1 + x2", ""), GAUSS % ("y ~ x1 + x2",
                                                        ", strata: silo")):
        t = tables_of(1)
        own = "strata" in model
        Trial(folder, "one-%d" % own, t, model, masked=False).is_near(
            least_squares(t, "y", "x1", "x2")[own:])
    t = tables_of(60, rows=12)
    Trial(folder, "sixty", t, GAUSS % ("y ~ x1 + x2", ""), ranks=(1, 2, 3)) \
        .is_near(least_squares(t, "y", "x1", "x2"))
    Trial(folder, "sixty-cox", t, COX % ("x1 + x2", ""), ranks=(2,))


@test
def simulated_silos(folder):
    d = rows_of(600, 50)
    del d["g"]
    source = write(os.path.join(folder, "all.csv"), csv_text(d))
    x = pooled([d], "x1", "x2", "x3")
    for name, model in (("glm", GAUSS % ("y ~ x1 + x2", "")), ("pca", PCA),
                        ("cox", COX % ("x1 + x2", ""))):
        results = {}
        for partition in ("iid", "modulo"):
            for secret in (0, 1):
                for ranks in (0, 2, 5):
                    home = os.path.join(folder, "%s-%s-%d-%d" % (
                        name, partition, secret, ranks))
                    os.makedirs(home)
                    out = os.path.join(home, "RUN")
                    run_fit(ranks, simulated_job(
                        home, model, 5, source, partition,
                        "secure_aggregation: {collusion: 1}\n" * secret), None,
                        out)
                    results.setdefault(partition, []).append(Found(out))
        for found in results.values():
            assert len({f.digest for f in found}) == 1, name
        one, two = (results[p][0].params for p in ("iid", "modulo"))
        if name == "glm":
            assert np.allclose(one["coefficients"], least_squares(
                [d], "y", "x1", "x2"), rtol=1e-9)
        if name == "pca":
            assert np.allclose(one["variances"], np.sort(np.linalg.eigvalsh(
                np.cov(x.T)))[::-1], rtol=1e-9)
        if name != "cox":  # whose risk sets are the silos'
            for view in ("coefficients", "variances", "loadings"):
                if view in one:
                    assert np.allclose(one[view], two[view], rtol=1e-9)
        else:
            assert results["iid"][0].digest != results["modulo"][0].digest
            assert np.allclose(one["coefficients"], two["coefficients"],
                               atol=0.2)


if __name__ == "__main__":
    main()

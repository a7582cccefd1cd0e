"""Fits over silos against R on the pooled rows, with and without masks, on 1, 2
and 4 ranks: every family and link, formulas; ridge, principal components and
kernels against numpy, R and scikit-learn."""
import os

import numpy as np
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from fits import Fit, Found, Reference, job, plain, run, silo_names, table
from harness import main, test

PLAIN, MASKED = 1e-8, 1e-6


def glm(fit, data, silos, formula, family, link="-", **kw):
    return Fit(fit, data, silos, "glm", formula, family, link, **kw)


FAMILIES = [
    glm("gaussian identity", "made", 3, "y ~ x1 + x2 + C(g)", "gaussian"),
    glm("gaussian log", "made", 4, "positive ~ x1 + x2 + C(g)", "gaussian",
        "log"),
    glm("gaussian inverse", "made", 5, "positive ~ x1 + x2", "gaussian",
        "inverse", weights="w"),
    glm("binomial logit", "made", 6, "event ~ x1 + x2 + C(g)", "binomial",
        "logit"),
    glm("binomial probit", "made", 7, "event ~ x1 * C(h) + x2", "binomial",
        "probit"),
    glm("binomial cauchit", "made", 8, "event ~ x1 + x2", "binomial", "cauchit"),
    glm("binomial cloglog", "made", 9, "part_of ~ x1 + x2 + C(g)", "binomial",
        "cloglog", weights="m"),
    glm("binomial log", "made", 10, "rare ~ x1 + x2", "binomial", "log",
        weights="m"),
    glm("binomial logit of shares", "made", 11,
        "part_of ~ x1 + x2 + C(g) + offset(lt)", "binomial", weights="m"),
    glm("poisson log", "made", 12, "count ~ x1 + x2 + C(g) + offset(lt)",
        "poisson"),
    glm("poisson log weighted", "made", 18,
        "count ~ x1 + C(h) + offset(lt)", "poisson", "log", weights="w"),
    glm("poisson identity", "made", 13, "many ~ x1 + x2", "poisson", "identity"),
    glm("poisson sqrt", "made", 14, "many ~ x1 * x2 + C(g)", "poisson", "sqrt"),
    glm("gamma inverse", "made", 15, "cost ~ x1 + x2", "gamma"),
    glm("gamma identity", "made", 16, "cost ~ x1 + x2", "gamma", "identity",
        weights="w"),
    glm("gamma log", "made", 17, "size ~ x1 + x2 + C(g)", "gamma", "log"),
]

FORMULAS = [
    glm("interactions", "made", 4, "y ~ (x1 + C(g) + C(h))^2", "gaussian"),
    glm("three way", "made", 5, "y ~ x1 * C(g) * C(h)", "gaussian"),
    glm("without margins", "made", 6, "event ~ x1:C(g) + C(h)", "binomial"),
    glm("no intercept", "made", 7, "y ~ C(g) + x1 - 1", "gaussian"),
    glm("no intercept, numbers", "made", 4, "y ~ 0 + x1 + x3", "gaussian"),
    glm("functions", "made", 8,
        "y ~ log(x2) + I(x1^2) + sqrt(x3) + exp(x1) + x1:log(x2)", "gaussian"),
    glm("factor()", "made", 9, "count ~ factor(h) + log1p(x2) + log10(x3)",
        "poisson"),
    glm("declared category", "made", 10, "event ~ g + h:x1", "binomial"),
    glm("terms twice and out", "made", 4, "y ~ x1 + x2 + x1 + x3 - x2",
        "gaussian"),
    glm("intercept alone", "made", 4, "count ~ 1 + offset(lt)", "poisson"),
    glm("missing rows", "lung", 6, "age ~ sex + ph.karno + wt.loss + meal.cal",
        "gaussian"),
]

ALL = FAMILIES + FORMULAS
_reference = []


def reference():
    if not _reference:
        _reference.append(Reference(ALL))
    return _reference[0]


@test
def families_and_links(folder):
    table(folder, reference(), FAMILIES)


@test
def formulas(folder):
    table(folder, reference(), FORMULAS)


def fit_once(folder, name, data, silos, model, masked=False, ranks=2,
             features=None):
    here = os.path.join(folder, name)
    os.makedirs(here)
    sites = reference().sites(here, data, silos, masked)
    path = job(os.path.join(here, "job.yaml"), silo_names(silos), model, masked,
               data, features)
    run(ranks, path, sites, os.path.join(here, "RUN"))
    return Found(os.path.join(here, "RUN"))


def matrix(rows, *columns):
    return np.column_stack([rows[c].astype(float) for c in columns])


@test
def ridge_is_the_closed_form(folder):
    rows = reference().rows("made")
    x, y = matrix(rows, "x1", "x2", "x3", "lt"), rows["y"].astype(float)
    for penalty in (0.0, 1.0, 250.0):
        xc, yc = x - x.mean(0), y - y.mean()
        b = np.linalg.solve(xc.T @ xc + penalty * np.eye(4), xc.T @ yc)
        b = np.append(y.mean() - x.mean(0) @ b, b)
        peer = Ridge(alpha=penalty, tol=1e-14).fit(x, y)
        assert np.allclose(b[1:], peer.coef_, rtol=1e-8)
        for masked, limit in ((False, PLAIN), (True, MASKED)):
            for ranks in (4,) if masked else (1, 2, 4):
                f = fit_once(folder, "%g-%d-%d" % (penalty, masked, ranks), "made",
                             7, '{kind: ridge, formula: "y ~ x1 + x2 + x3 + lt", '
                             "ridge: %g}" % penalty, masked, ranks)
                assert [plain(n) for n in f.names] == \
                    ["(Intercept)", "x1", "x2", "x3", "lt"]
                far = np.abs(f.params["coefficients"] / b - 1).max()
                assert far <= limit, (penalty, masked, ranks, far)


def penalised(x, y, penalty):
    """Logistic regression with penalty/2 |b|^2, the intercept free, by Newton."""
    x = np.column_stack([np.ones(len(x)), x])
    keep = np.diag([0.0] + [penalty] * (x.shape[1] - 1))
    b = np.zeros(x.shape[1])
    for _ in range(50):
        mu = 1 / (1 + np.exp(-x @ b))
        step = np.linalg.solve(x.T @ (x * (mu * (1 - mu))[:, None]) + keep,
                               x.T @ (y - mu) - keep @ b)
        b += step
    assert np.abs(step).max() < 1e-12
    return b


@test
def penalty_of_a_glm(folder):
    rows = reference().rows("made")
    x = matrix(rows, "x1", "x2", "x3")
    want = penalised(x, rows["event"].astype(float), 20.0)
    for masked, limit in ((False, PLAIN), (True, MASKED)):
        f = fit_once(folder, "glm%d" % masked, "made", 5,
                     '{kind: glm, family: binomial, formula: '
                     '"event ~ x1 + x2 + x3", ridge: 20}', masked, 4)
        far = np.abs(f.params["coefficients"] / want - 1).max()
        assert far <= limit, (masked, far)


@test
def every_other_column(folder):
    """`.` stands for the declared features, or else for all columns but the
    response."""
    r = reference()
    rows = r.rows("chem97")
    features = ", ".join("{name: %s}" % n for n in ("gcsescore", "age", "good"))
    f = fit_once(folder, "chem", "chem97", 5,
                 '{kind: ridge, formula: "score ~ .", ridge: 3}',
                 features=features + ", {name: gender, type: category, "
                 'levels: ["F", "M"]}')
    x = np.column_stack([matrix(rows, "gcsescore", "age", "good"),
                         rows["gender"] == "M"])
    assert [plain(n) for n in f.names] == \
        ["(Intercept)", "gcsescore", "age", "good", "genderM"], f.names
    peer = Ridge(alpha=3.0, solver="cholesky").fit(x, rows["score"])
    assert np.allclose(f.params["coefficients"][1:], peer.coef_, rtol=1e-7)
    assert abs(f.params["coefficients"][0] / peer.intercept_ - 1) < 1e-7
    f = fit_once(folder, "numbers", "lung", 4,
                 '{kind: ridge, formula: "age ~ .", ridge: 3}', features="")
    rows = r.rows("lung")
    names = [n for n in rows.dtype.names if n != "age"]
    x = np.column_stack([rows[n].astype(float) for n in names])
    whole = np.array(["NA" not in line for part in r.parts("lung")[1]
                      for line in part.splitlines()])
    peer = Ridge(alpha=3.0, solver="cholesky").fit(x[whole],
                                                   rows["age"][whole])
    assert len(f.names) == 1 + len(names)
    assert np.allclose(f.params["coefficients"][1:], peer.coef_, rtol=1e-7)


PCA = {"-": "false", "scale": "true"}


@test
def principal_components(folder):
    fits = [Fit("pca " + k, "made", 6, "pca", "~ x1 + x2 + x3 + lt + y", k)
            for k in PCA]
    r = reference()
    want = r.fit(fits)
    for fit in fits:
        ref = np.array(list(want[fit.fit]["coef"].values()))
        variances, loadings = ref[:5], ref[5:].reshape(5, 5)[:3]
        for masked, limit in ((False, PLAIN), (True, MASKED)):
            digests = set()
            for ranks in (4,) if masked else (1, 2, 4):
                f = fit_once(folder, "%s-%d-%d" % (fit.family, masked, ranks),
                             "made", 6, '{kind: pca, formula: "%s", components: 3,'
                             " scale: %s}" % (fit.formula, PCA[fit.family]),
                             masked, ranks)
                digests.add(f.digest)
                assert np.allclose(f.params["variances"], variances, rtol=limit)
                found = f.params["loadings"].reshape(3, 5)
                assert np.abs(found - loadings).max() <= limit, \
                    (fit.fit, masked, np.abs(found - loadings).max())
            assert len(digests) == 1


@test
def kernel_ridge_comes_near_the_kernel(folder):
    """Random features err as one over the root of their number."""
    import csv
    from harness import covey
    rows = reference().rows("made")
    # Scores below in units that suit one gamma.
    x, y = matrix(rows, "x1", "x2"), rows["y"].astype(float)
    y = y - y.mean()
    peer = KernelRidge(alpha=2.0, kernel="rbf", gamma=0.3).fit(x, y)
    want = peer.predict(x) + rows["y"].astype(float).mean()
    far = {}
    for features in (50, 4000):
        name = "k%d" % features
        fit_once(folder, name, "made", 5, '{kind: kernel_ridge, formula: '
                 '"y ~ x1 + x2", features: %d, gamma: 0.3, ridge: 2.0}' % features)
        header, parts = reference().parts("made")
        table = os.path.join(folder, name + ".csv")
        with open(table, "w") as f:
            f.write(header + "\n" + "".join(parts))
        out = os.path.join(folder, name + "-out.csv")
        covey("predict", os.path.join(folder, name, "RUN"), table, "-o", out)
        with open(out) as f:
            got = np.array([float(row["y"]) for row in csv.DictReader(f)])
        far[features] = np.sqrt(np.mean((got - want) ** 2)) / want.std()
    print("# kernel: root mean square distance over deviation: %s" % far)
    assert far[4000] < 0.05 and far[4000] < far[50], far


if __name__ == "__main__":
    main()

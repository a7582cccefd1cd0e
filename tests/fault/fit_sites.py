"""Sites with rows of all kinds of responses, jobs of fits over them, and runs that
end well or as they must; for the fault tests of fits."""
import os
import re
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "e2e"))
import fits
from faults import finish, run_args, start
from harness import COVEY, inspect, write
from secure_sites import make_sites, silos_text

LIFTED = fits.LIFTED
LOGIT = '{kind: glm, family: binomial, formula: "event ~ %s"%s}'
GLM = '{kind: glm, family: %s, formula: "%s"%s}'
COX = '{kind: cox, formula: "Surv(time, died) ~ %s", strata: silo%s}'
RIDGE = '{kind: ridge, formula: "y ~ .", ridge: %g}'
FIVE = ("a", "b", "c", "d", "e")


def rows_of(n, seed, cols=6):
    """{column: values}: x1.., and a response for every family; g is a level of
    three."""
    g = np.random.default_rng(seed)
    x = g.normal(size=(n, cols))
    eta = 0.3 + x[:, :4] @ np.array([0.5, -0.4, 0.2, 0.1])[:min(cols, 4)]
    d = {"x%d" % (j + 1): x[:, j] for j in range(cols)}
    d["g"] = g.choice(list("uvw"), n)
    d["y"] = eta + g.normal(size=n)
    d["event"] = (g.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    d["count"] = g.poisson(np.exp(0.5 * eta))
    d["cost"] = g.gamma(2.0, np.exp(0.3 * eta))
    d["time"] = np.ceil(100 * g.exponential(np.exp(-0.5 * eta))) + 1
    d["died"] = (g.random(n) < 0.7).astype(int)
    d["w"] = g.integers(1, 4, n)
    return d


def csv_text(d):
    columns = [["%.17g" % v if np.asarray(v).dtype.kind in "fiu" else str(v)
                for v in d[k]] for k in d]
    return ",".join(d) + "\n" + "".join(",".join(r) + "\n"
                                        for r in zip(*columns))


def site(sites, name):
    return os.path.join(sites, name + ".csv")


def fit_sites(folder, names, tables, masked=False):
    """FOLDER/sites with these tables; returns it."""
    sites = os.path.join(folder, "sites")
    if masked:
        make_sites(folder, names, data=False)
    else:
        os.makedirs(sites, exist_ok=True)
        for n in names:
            write(os.path.join(sites, n + ".yaml"),
                  "silo: %s\ndata: %s.csv\nstate: state-%s\n" % (n, n, n))
    for n, d in zip(names, tables):
        write(site(sites, n), csv_text(d))
    return sites


def fit_job(folder, names, model, masked=False, features=None, name="job.yaml",
            disclosure=LIFTED, rounds=25, rest=""):
    if features is None:
        features = "{name: g, type: category, levels: [u, v, w]}" \
            if "C(g)" in model else ""
    return fits.job(os.path.join(folder, name), names, model, masked, "made",
                    features, disclosure, rounds=rounds, tolerance="1.0e-12",
                    rest=rest)


def simulated_job(folder, model, silos, source, partition, rest="", **kw):
    """The same rows, dealt out by the program."""
    text = "".join(", %s: %s" % (k, v) for k, v in kw.items())
    return write(os.path.join(folder, "job.yaml"),
                 "covey: 1\nname: fit\nsilos: {count: %d, prefix: s}\n"
                 "data: {format: csv, missing: drop}\nmodel: %s\n"
                 "simulate: {source: %s, partition: %s%s}\n"
                 "training: {strategy: newton, rounds: 25, tolerance: 1.0e-12}\n"
                 "%s%s" % (silos, model, source, partition, text, LIFTED, rest))


WIDE = 2050  # columns: from 2,000 on the matrix is kept in parts


WIDE_RIDGE = RIDGE % 100.0


def wide_sites(folder, names, rows=60):
    """Masked sites of many columns."""
    tables = []
    for k in range(len(names)):
        g = np.random.default_rng(k)
        x = np.round(g.normal(size=(rows, WIDE)), 3)
        tables.append({"v%d" % j: x[:, j] for j in range(WIDE)})
        tables[-1]["y"] = x[:, :5].sum(axis=1) + g.normal(size=rows)
    return fit_sites(folder, names, tables, True)


def run_fit(ranks, job, sites, out, *more, expect=0, env=None, words=(),
            said=True, wrap=()):
    """To its end; wrap: words before the program's name; a failure has one message (or said=False), and no private path
    in it."""
    args = run_args(ranks, "run", job, "--out", out, "-q",
                    *(["--silo-dir", sites] if sites else []), *more)
    at = args.index(COVEY)
    r = finish(start(args[:at] + list(wrap) + args[at:], env=env))
    shown = "%s\nexit %s\n%s" % (" ".join(args), r.code, r.err[-3000:])
    codes = expect if isinstance(expect, (set, tuple)) else {expect}
    assert r.code in codes, "expected %s: %s" % (expect, shown)
    assert "Sanitizer" not in r.err, shown
    assert "state-" not in r.out + r.err, shown
    if r.code and said:
        assert len(r.messages) == 1, shown
        for word in words:
            assert re.search(word, r.messages[0]), "no %r in %s" % (word, shown)
    return r


def result_of(out):
    """What must not depend on kills and ranks."""
    report = inspect(out)
    history = [{k: v for k, v in h.items() if not k.startswith("seconds")}
               for h in report["history"]]
    return {"digest": report["model"]["digest"], "round": report["round"],
            "fit": report["fit"], "history": history}


__all__ = ["COX", "FIVE", "GLM", "LIFTED", "LOGIT", "RIDGE", "WIDE_RIDGE", "csv_text", "fit_job",
           "fit_sites", "result_of", "rows_of", "run_fit", "silos_text",
           "simulated_job", "site", "wide_sites"]

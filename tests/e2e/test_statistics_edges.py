"""Data that are hard on a fit: the right answer (R's), or one message that names
the column, and the silo where it is one silo's matter; the same on 1, 2 and 4
ranks, and no hang."""
import os
import re
from fractions import Fraction

import numpy as np

from fits import (LIFTED, Fit, Found, Reference, Worst, compare, forget, job,
                  relative, run, silo_names, together)
from harness import covey, main, test, write

RANKS = (1, 2, 4)


def glm(fit, data, silos, formula, family, **kw):
    return Fit(fit, data, silos, "glm", formula, family, **kw)


def cox(fit, data, silos, formula, **kw):
    return Fit(fit, data, silos, "cox", formula, strata="silo", **kw)


# What must come out as R has it.
RIGHT = [
    glm("constant column", "edges", 6, "y ~ x + one + z", "gaussian"),
    glm("sum of columns last", "edges", 6, "y ~ x + z + twice", "gaussian"),
    glm("sum of columns first", "edges", 4, "event ~ twice + x + z", "binomial"),
    glm("constant column, no intercept", "edges", 4, "y ~ one + x - 1",
        "gaussian"),
    glm("category and its levels", "edges", 6, "y ~ C(g) + x:C(g) + x",
        "gaussian"),
    cox("collinear in a hazard", "edges", 6,
        "Surv(time, event) ~ x + one + z + twice"),
    glm("silo of one class", "edges", 6, "mixed ~ x + z", "binomial"),
    glm("fewer rows than columns", "lung", 18,
        "age ~ sex + ph.ecog + ph.karno + pat.karno + meal.cal + wt.loss",
        "gaussian"),
    cox("silos of few events", "lung", 18,
        "Surv(time, status == 2) ~ age + sex + ph.ecog + pat.karno + meal.cal"),
    glm("levels that some silos lack", "edges", 6, "y ~ C(few) * x", "gaussian"),
    glm("levels that some silos lack, strata", "edges", 6, "count ~ C(few) + x",
        "poisson", strata="silo"),
    glm("scales", "edges", 6, "y ~ big + small + x + year", "gaussian"),
    glm("scales, no intercept", "edges", 4, "y ~ big + small - 1", "gaussian"),
    glm("scales, binomial", "edges", 6, "event ~ big + small + year", "binomial"),
    cox("scales in a hazard", "edges", 6,
        "Surv(time, event) ~ big + small + year"),
    glm("weights that vanish", "edges", 6, "sure ~ far", "binomial"),
    glm("counts of a million", "edges", 6, "millions ~ x + z", "poisson"),
    glm("missing values", "edges", 6, "y ~ gap + x", "gaussian"),
]
# The same of a table without the silo that does not count.
OTHERS = glm("others", "others", 5, "mixed ~ x + z", "binomial", strata="silo")
_reference = []


def reference():
    if not _reference:
        _reference.append(Reference(RIGHT + [OTHERS]))
    return _reference[0]


@test
def answers_are_as_r_has_them(folder):
    r, worst = reference(), Worst()
    for k, fit in enumerate(RIGHT):
        here = os.path.join(folder, str(k))
        os.makedirs(here)
        sites = r.sites(here, fit.data, fit.silos)
        path = job(os.path.join(here, "job.yaml"), silo_names(fit.silos),
                   fit.model(), data=fit.data)
        digests = set()
        for ranks in RANKS:
            out = os.path.join(here, "RUN%d" % ranks)
            run(ranks, path, sites, out)
            found = Found(out)
            digests.add(found.digest)
        compare(fit, r.found[fit.fit], found, worst)
        assert len(digests) == 1, fit.fit
    print("# largest error %.1e (%s)" % (worst.error, worst.where))
    assert worst.error <= 1e-8, worst.where


@test
def a_silo_of_one_class_with_an_intercept_of_its_own(folder):
    """Its intercept runs away, and takes its rows out of the fit."""
    r, worst = reference(), Worst()
    sites = r.sites(folder, "edges", 6)
    path = job(os.path.join(folder, "job.yaml"), silo_names(6),
               '{kind: glm, family: binomial, formula: "mixed ~ x + z", '
               'strata: silo}')
    for ranks in RANKS:
        out = os.path.join(folder, "RUN%d" % ranks)
        run(ranks, path, sites, out)
        found, want = Found(out), r.found["others"]
        for n, b in want["coef"].items():
            se = np.sqrt(want["vcov"]["%s %s" % (n, n)])
            worst.add(relative(found.coef()[n], b, se), n)
            worst.add(relative(found.params["standard_errors"][
                list(want["coef"]).index(n)], se, 0), "se " + n)
        worst.add(relative(float(found.result["loglik"]),
                           want["scalar"]["loglik"], 1), "loglik")
    assert worst.error <= 1e-7, (worst.error, worst.where)


def solve(a, b):
    """Exactly."""
    n = len(b)
    m = [row[:] + [v] for row, v in zip(a, b)]
    for i in range(n):
        pivot = next(k for k in range(i, n) if m[k][i] != 0)
        m[i], m[pivot] = m[pivot], m[i]
        m[i] = [v / m[i][i] for v in m[i]]
        for k in range(n):
            if k != i and m[k][i] != 0:
                m[k] = [u - m[k][i] * v for u, v in zip(m[k], m[i])]
    return [row[n] for row in m]


@test
def a_square_of_years_against_exact_numbers(folder):
    """year and year^2 differ by one part in a million from collinear: R itself
    loses digits, so the normal equations are solved in fractions."""
    r = reference()
    sites = r.sites(folder, "edges", 4)
    path = job(os.path.join(folder, "job.yaml"), silo_names(4),
               '{kind: glm, family: gaussian, formula: "y ~ year + I(year^2)"}')
    run(2, path, sites, os.path.join(folder, "RUN"))
    found = Found(os.path.join(folder, "RUN"))
    rows = r.rows("edges")
    x = [[Fraction(1), Fraction(int(t)), Fraction(int(t) ** 2)]
         for t in rows["year"]]
    y = [Fraction(float(v)) for v in rows["y"]]
    a = [[sum(u[i] * u[j] for u in x) for j in range(3)] for i in range(3)]
    b = solve(a, [sum(u[i] * v for u, v in zip(x, y)) for i in range(3)])
    far = [abs(float(Fraction(float(c)) / e - 1))
           for c, e in zip(found.params["coefficients"], b)]
    print("# year^2: errors %s" % far)
    assert max(far) < 1e-6, far


# name: (model, silos, words of the message, exit codes, data: for each silo a
# change of the text, or None)
B = '{kind: glm, family: binomial, formula: "%s"%s}'
G = '{kind: glm, family: gaussian, formula: "%s"%s}'
P = '{kind: glm, family: poisson, formula: "%s"%s}'
C = '{kind: cox, formula: "%s"%s}'


def drop_column(name):
    def change(text):
        lines = [l.split(",") for l in text.splitlines()]
        at = lines[0].index(name)
        return "".join(",".join(l[:at] + l[at + 1:]) + "\n" for l in lines)
    return change


def set_value(name, value):
    def change(text):
        lines = [l.split(",") for l in text.splitlines()]
        lines[3][lines[0].index(name)] = value
        return "".join(",".join(l) + "\n" for l in lines)
    return change


def no_rows(text):
    return text.splitlines()[0] + "\n"


REFUSED = {
    "separation": (B % ("apart ~ z", ""), ["z"], {1}, None),
    "separation by one of two": (B % ("apart ~ x + z", ""), ["z"], {1}, None),
    "separation, strata": (B % ("apart ~ x + z", ", strata: silo"), ["z"], {1},
                           None),
    "separation, probit": (B % ("apart ~ z", ", link: probit"), ["z"], {1}, None),
    "a hazard of nothing": (C % ("Surv(time, event_safe) ~ x + safe", ""),
                            ["safe"], {1}, None),
    "constant column": (G % ("y ~ x + one", ", collinear: refuse"), ["one"],
                        {1, 2}, None),
    "sum of columns": (G % ("y ~ x + z + twice", ", collinear: refuse"),
                       ["twice"], {1, 2}, None),
    "sum of columns in a hazard": (
        C % ("Surv(time, event) ~ x + z + twice", ", collinear: refuse"),
        ["twice"], {1, 2}, None),
    "missing": (G % ("y ~ gap + x", ""), ["gap"], {2}, None, "fail"),
    "log of nothing": (G % ("y ~ log(x)", ""), ["x", "log"], {2}, None),
    "negative weight": (G % ("y ~ z", ", weights: x"), ["x", "weights"], {2},
                        None),
    "negative count": (P % ("y ~ x", ""), ["y"], {2}, None),
    "no share": (B % ("count ~ x", ""), ["count"], {2}, None),
    "no event": (C % ("Surv(time, count) ~ x", ""), ["count"], {2}, None),
    "negative time": (C % ("Surv(z, event) ~ x", ""), ["z"], {2}, None),
    "category as a number": (G % ("y ~ x + g", ""), ["g"], {2}, None),
    "no such column": (G % ("y ~ x + nothing", ""), ["nothing"], {2}, None),
    # One silo's matter.
    "column missing in one": (G % ("y ~ x + z", ""), ["z", "silo s02"], {2},
                              drop_column("z")),
    "word in one": (G % ("y ~ x + z", ""), ["z", "silo s02"], {2},
                    set_value("z", "many")),
    "infinite in one": (G % ("y ~ x + z", ""), ["z", "silo s02"], {2},
                        set_value("z", "inf")),
    "strange level in one": (G % ("y ~ C(g) + x", ""), ["g", "silo s02"], {2},
                             set_value("g", "d")),
    "share in one": (B % ("event ~ x", ""), ["event", "silo s02"], {2},
                     set_value("event", "2")),
    "no rows in one": (G % ("y ~ x", ""), ["silo s02"], {2, 4}, no_rows),
}


def one_message(r, name):
    """Covey's own lines, once for all ranks."""
    assert len(r.messages) == 1, (name, r.messages, r.err[-2000:])
    return r.messages[0]


@test
def one_message_names_column_and_silo(folder):
    r = reference()

    def refuse(numbered):
        k, (name, case) = numbered
        model, words, codes, change = case[:4]
        missing = case[4] if len(case) > 4 else "drop"
        here = os.path.join(folder, str(k))
        os.makedirs(here)
        sites = r.sites(here, "edges", 6)
        if change:
            path = os.path.join(sites, "s02.csv")
            with open(path) as f:
                text = f.read()
            write(path, change(text))
        features = "" if name == "category as a number" else None
        path = job(os.path.join(here, "job.yaml"), silo_names(6), model,
                   data="edges", missing=missing, features=features)
        found = {}
        for ranks in RANKS:
            out = os.path.join(here, "RUN%d" % ranks)
            q = run(ranks, path, sites, out, expect=None)
            found[ranks] = (q.code, one_message(q, name))
            for word in words:
                assert re.search(r"(?<![\w.])%s(?![\w])" % re.escape(word),
                                 found[ranks][1]), (name, word, found[ranks])
        assert {c for c, _ in found.values()} <= codes, (name, found)
        assert len({c for c, _ in found.values()}) == 1, (name, found)
        return "# %s: exit %d, %s" % (name, found[1][0], found[1][1][14:174])
    print("\n".join(together(refuse, enumerate(REFUSED.items()))))


@test
def either_way_the_same_on_all_ranks(folder):
    """Whether these have an answer may be argued; a hang, or an answer that
    depends on the ranks, may not."""
    models = {
        "all zero": P % ("none ~ x", ""),
        "constant response": G % ("one ~ x", ""),
        "one class": B % ("none ~ x", ""),
        "no events": C % ("Surv(time, none) ~ x", ""),
        "nothing left": C % ("Surv(time, event) ~ one", ""),
        "no columns": G % ("y ~ 0", ""),
        "weights of zero": G % ("y ~ x", ", weights: none"),
        "far offset": P % ("count ~ x + offset(big)", ""),
    }
    r = reference()

    def fit(numbered):
        k, (name, model) = numbered
        here = os.path.join(folder, str(k))
        os.makedirs(here)
        sites = r.sites(here, "edges", 6)
        path = job(os.path.join(here, "job.yaml"), silo_names(6), model,
                   data="edges")
        seen = set()
        for ranks in RANKS:
            out = os.path.join(here, "RUN%d" % ranks)
            q = run(ranks, path, sites, out, expect=None)
            assert q.code in (0, 1, 2), (name, q.code, q.err[-2000:])
            seen.add((q.code, Found(out).digest if q.code == 0
                      else one_message(q, name)))
        assert len(seen) == 1, (name, seen)
        return "# %s: exit %d, %s" % (name, *seen.pop())
    print("\n".join(together(fit, enumerate(models.items()))))


@test
def masked_levels_are_declared(folder):
    """Under masks nobody tells which levels it has."""
    r = reference()
    sites = r.sites(folder, "edges", 4, masked=True)
    path = job(os.path.join(folder, "job.yaml"), silo_names(4),
               G % ("y ~ C(g) + x", ""), True, features="")
    q = covey("check", path, expect=2)
    assert "g" in q.messages[0] and "levels" in q.messages[0], q.messages
    q = run(4, path, sites, os.path.join(folder, "RUN"), expect=2)
    assert "levels" in one_message(q, "levels")


@test
def refusals_under_masks(folder):
    """The same cases say the same under masks."""
    r = reference()
    sites = r.sites(folder, "edges", 6, masked=True)
    for k, name in enumerate(("separation by one of two", "sum of columns",
                              "a hazard of nothing")):
        model, words, codes = REFUSED[name][:3]
        path = job(os.path.join(folder, "%d.yaml" % k), silo_names(6), model, True,
                   data="edges")
        seen = set()
        for ranks in (2, 4):
            forget(sites)
            q = run(ranks, path, sites, os.path.join(folder, "%d-%d" % (k, ranks)),
                    expect=None)
            assert words[0] in one_message(q, name), (name, q.messages)
            seen.add(q.code)
        assert len(seen) == 1 and seen <= codes, (name, seen)


@test
def formulas_that_cannot_be(folder):
    """`covey check` needs no data to refuse them."""
    for k, formula in enumerate((
            "y ~", "~ x", "y ~ x +", "y ~ (x", "y ~ x)", "y ~ x ^ 0.5",
            "y ~ sin(x)", "Surv(y, x) ~ z", "y ~ log(log(x))", "y ~ x:",
            "y ~ x | z", "y ~ C(x", "y ~ " + "(" * 5000, "y ~ I(x^99)",
            "y ~ (a+b+c+d+e+f+g+h)^8 * (i+j+k+l+m+n+o+p)^8")):
        path = job(os.path.join(folder, "%d.yaml" % k), silo_names(4),
                   G % (formula, ""), features="", disclosure=LIFTED)
        q = covey("check", path, expect=2)
        assert "formula" in one_message(q, formula), q.messages


if __name__ == "__main__":
    main()

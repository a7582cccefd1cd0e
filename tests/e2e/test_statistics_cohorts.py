"""Fits of cohorts against R on the pooled rows, with and without masks, on 1, 2
and 4 ranks: pupils of 131 authorities, lung cancer patients of 18 institutions;
intercepts of silos' own, and proportional hazards."""
from fits import Fit, Reference, table
from harness import main, test


def glm(fit, data, silos, formula, family, link="-", **kw):
    return Fit(fit, data, silos, "glm", formula, family, link, **kw)


def cox(fit, data, silos, formula, **kw):
    return Fit(fit, data, silos, "cox", formula, **kw)


LUNG = "Surv(time, status == 2) ~ age + sex + ph.ecog"
DIED = "Surv(time, died) ~ x1 + x2 + C(g)"
BINS = "0,30,60,90,180,270,360,540,720,1080"

CHEM = [
    glm("chem gaussian", "chem97", 18, "score ~ gcsescore + C(gender) + age",
        "gaussian"),
    glm("chem binomial", "chem97", 12, "good ~ gcsescore * C(gender) + age",
        "binomial"),
    glm("chem shares", "chem97", 7, "share ~ gcsescore + C(gender) + age",
        "binomial", "probit", weights="ten"),
    glm("chem poisson", "chem97", 5, "score ~ gcsescore + I(gcsescore^2) + age",
        "poisson"),
    glm("chem gaussian strata", "chem97", 18,
        "score ~ gcsescore + C(gender) + age", "gaussian", strata="silo"),
    glm("chem poisson strata", "chem97", 9, "score ~ gcsescore + age", "poisson",
        strata="silo"),
    glm("chem binomial strata", "chem97", 6, "good ~ gcsescore + C(gender)",
        "binomial", strata="silo"),
]

STRATA = [
    glm("made strata", "made", 18, "count ~ x1 + C(g) + offset(lt)", "poisson",
        strata="silo", weights="w"),
    glm("made strata probit", "made", 5, "event ~ x1 + x2", "binomial", "probit",
        strata="silo"),
    glm("made strata gamma", "made", 4, "size ~ x1 + x2", "gamma", "log",
        strata="silo"),
]

COX = [
    cox("lung efron", "lung", 18, LUNG, strata="silo"),
    cox("lung breslow", "lung", 18, LUNG, strata="silo", ties="breslow"),
    cox("lung three", "lung", 3, LUNG + " + ph.karno + wt.loss", strata="silo"),
    cox("lung three breslow", "lung", 3, LUNG, strata="silo", ties="breslow"),
    cox("lung weights, offset", "lung", 9, LUNG + " + offset(lt)", strata="silo",
        weights="w"),
    cox("lung weights, breslow", "lung", 6,
        "Surv(time, status == 2) ~ age * C(sex)", strata="silo", weights="w",
        ties="breslow"),
    cox("lung bins", "lung", 18, LUNG, bins=BINS),
    cox("lung bins breslow", "lung", 4, LUNG + " + offset(lt)", bins=BINS,
        ties="breslow", weights="w"),
    cox("made efron", "made", 18, DIED, strata="silo"),
    cox("made categories", "made", 4, "Surv(time, died) ~ C(g):C(h) + log(x2)",
        strata="silo"),
]

ALL = CHEM + STRATA + COX
_reference = []


def reference():
    if not _reference:
        _reference.append(Reference(ALL))
    return _reference[0]


@test
def pupils_of_131_authorities(folder):
    table(folder, reference(), CHEM)


@test
def intercepts_of_silos(folder):
    table(folder, reference(), STRATA)


@test
def proportional_hazards(folder):
    table(folder, reference(), COX)


if __name__ == "__main__":
    main()

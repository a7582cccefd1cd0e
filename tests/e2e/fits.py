"""Fits that R is the reference of: the table of them, its R side (r_data.R,
r_fits.R), jobs and sites for the real program, and what it found."""
import atexit
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np

from harness import inspect, mpirun, write
from secure_sites import make_sites, silos_text
from tap import FAST

HERE = os.path.dirname(os.path.abspath(__file__))
FIELDS = ("fit", "data", "silos", "kind", "family", "link", "strata", "weights",
          "ties", "bins", "formula")
# Levels, as masked silos must agree on them beforehand.
LEVELS = {"lung": {"sex": "12"}, "chem97": {"gender": "FM"},
          "made": {"g": "abcd", "h": "uv"}, "edges": {"g": "abc", "few": "abc"}}
NUMBERS = {"sex"}  # categories only where a formula says so
SCALARS = ("loglik", "deviance", "null_deviance", "aic", "dispersion",
           "df_residual", "rows", "concordance")


class Fit:
    """One line of a table: what both Covey and R are told."""

    def __init__(self, fit, data, silos, kind, formula, family="-", link="-",
                 strata="none", weights="-", ties="efron", bins="-", more="",
                 r_formula=None):
        self.fit, self.data, self.silos, self.kind = fit, data, silos, kind
        self.formula, self.family, self.link = formula, family, link
        self.strata, self.weights, self.ties = strata, weights, ties
        self.bins, self.more = bins, more
        self.r_formula = r_formula or formula

    def line(self):
        return "\t".join(str(getattr(self, f)) for f in FIELDS[:-1]) + "\t" + \
            self.r_formula + "\n"

    def model(self):
        """The job's section, as YAML."""
        parts = ["kind: " + self.kind, 'formula: "%s"' % self.formula]
        if self.kind in ("glm", "cox"):
            parts.append("strata: " + self.strata)
            if self.weights != "-":
                parts.append("weights: " + self.weights)
        if self.kind == "glm":
            parts.append("family: " + self.family)
            if self.link != "-":
                parts.append("link: " + self.link)
        if self.kind == "cox":
            parts.append("ties: " + self.ties)
            if self.bins != "-":
                parts.append("bins: [%s]" % ", ".join(
                    '"%s"' % b for b in self.bins.split(",")))
        if self.more:
            parts.append(self.more)
        return "{" + ", ".join(parts) + "}"


class Reference:
    """Data of r_data.R and R's fits; kept until the script ends."""

    def __init__(self, fits=()):
        self.folder = tempfile.mkdtemp(prefix="covey-r-")
        atexit.register(shutil.rmtree, self.folder, True)
        self.r("r_data.R", self.folder)
        self.found = self.fit(fits) if fits else {}

    @staticmethod
    def r(script, *args):
        p = subprocess.run(["Rscript", os.path.join(HERE, script)] + list(args),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=250)
        if p.returncode:
            raise RuntimeError("%s: %s" % (script, p.stdout.decode()[-3000:]))

    def fit(self, fits):
        """{fit: {coef: {name: number}, vcov: {(a, b): number}, scalar: ..}}"""
        table = write(os.path.join(self.folder, "table"),
                      "".join(f.line() for f in fits))
        out = os.path.join(self.folder, "found")
        self.r("r_fits.R", self.folder, table, out)
        found = {}
        with open(out) as f:
            for line in f:
                fit, what, name, value = line.rstrip("\n").split("\t")
                found.setdefault(fit, {}).setdefault(what, {})[name] = \
                    float(value.replace("NA", "nan"))
        missing = [f.fit for f in fits if f.fit not in found]
        assert not missing, missing
        return found

    def parts(self, data):
        """Texts of the parts: (header, [rows, ..])."""
        folder = os.path.join(self.folder, data)
        texts = [open(os.path.join(folder, n)).read().split("\n", 1)
                 for n in sorted(os.listdir(folder))]
        return texts[0][0], [t[1] for t in texts]

    def rows(self, data):
        """All rows, in the order of the parts, as a table of numpy."""
        header, parts = self.parts(data)
        return np.genfromtxt("".join(parts).splitlines(), delimiter=",",
                             names=header.split(","), dtype=None,
                             encoding="ascii", missing_values="NA")

    def sites(self, folder, data, silos, masked=False):
        """FOLDER/sites with the parts, dealt out in turn."""
        names = silo_names(silos)
        sites = os.path.join(folder, "sites")
        if masked:
            make_sites(folder, names, data=False)
        else:
            os.makedirs(sites)
            for n in names:
                write(os.path.join(sites, n + ".yaml"),
                      "silo: %s\ndata: %s.csv\nstate: state-%s\n" % (n, n, n))
        header, parts = self.parts(data)
        for i, n in enumerate(names):
            write(os.path.join(sites, n + ".csv"),
                  header + "\n" + "".join(parts[i::silos]))
        return sites


def silo_names(silos):
    return ["s%02d" % i for i in range(silos)]


LIFTED = "disclosure: {min_rows: 1, min_cell: 1, rows_per_parameter: 0}\n"


def job(path, names, model, masked=False, data="lung", features=None,
        disclosure=LIFTED, missing="drop", rounds=25, tolerance="1.0e-10",
        rest=""):
    """A job file of a fit; features None: the categories of `data`."""
    if features is None:
        features = ", ".join(
            "{name: %s, type: category, levels: [%s]}" %
            (n, ", ".join('"%s"' % v for v in values))
            for n, values in LEVELS[data].items()
            if re.search(r"\b%s\b" % n, model) and
            (n not in NUMBERS or "C(%s)" % n in model))
    return write(path, "covey: 1\nname: fit\nsilos: %s\n"
                 "data: {format: csv%s, missing: %s}\nmodel: %s\n"
                 "training: {strategy: newton, rounds: %d, tolerance: %s}\n"
                 "%s%s%s" % (
                     silos_text(names) if masked else
                     "[" + ", ".join("{name: %s}" % n for n in names) + "]",
                     ", features: [%s]" % features if features else "",
                     missing, model, rounds, tolerance, disclosure,
                     "secure_aggregation: {collusion: 1}\n" if masked else "",
                     rest))


def run(ranks, job_file, sites, out, expect=0):
    return mpirun(ranks, "run", job_file, "--silo-dir", sites, "--out", out,
                  expect=expect, env=FAST)


def together(f, items):
    """f(item) of each, four at a time: mpirun takes a second or two to notice
    that a rank has failed, and only waits meanwhile."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(f, items))


def forget(sites):
    """Journals hold fits of one data set together; tests of another matter
    start anew."""
    for n in os.listdir(sites):
        if n.startswith("state-"):
            shutil.rmtree(os.path.join(sites, n))


class Found:
    """What a run found."""

    def __init__(self, run):
        with h5py.File(os.path.join(run, "run.h5"), "r") as f:
            self.params = {k: np.array(d) for k, d in
                           f["/model/params"].items()}
            self.has_proofs = "proofs" in f
            self.result = dict(f["/result"].attrs)
            self.names = [n.decode() if isinstance(n, bytes) else n
                          for n in f["/result/names"][()]] \
                if "names" in f["/result"] else []
        told = inspect(run)
        self.digest = told["model"]["digest"]
        self.told = told["fit"]

    def coef(self):
        return dict(zip([plain(n) for n in self.names],
                        self.params["coefficients"]))


def plain(name):
    """A name as R has it: levels follow their factor without a sign. factor() is
    another word for C()."""
    return name.replace("=", "").replace("factor(", "C(")


class Worst:
    """The largest error so far, and where."""

    def __init__(self):
        self.error, self.where = 0.0, "-"

    def add(self, error, where):
        if not error <= self.error:
            self.error, self.where = error, where


def relative(a, b, least):
    """|a - b| relative to b, or to `least` where b is smaller."""
    if np.isnan(a) or np.isnan(b):
        return 0.0 if np.isnan(a) and np.isnan(b) else np.inf
    return abs(a - b) / max(abs(b), least)


def compare(fit, r, found, worst):
    """Errors of coefficients, standard errors, covariance and log-likelihood
    into worst; the rest of the numbers must be there and as close."""
    mine, coef = found.coef(), r["coef"]
    names = list(coef)
    assert list(mine) == [plain(n) for n in names], (fit.fit, mine, names)
    mine = dict(zip(names, mine.values()))
    se = {n: np.sqrt(r["vcov"]["%s %s" % (n, n)]) for n in names}
    for i, n in enumerate(names):
        assert np.isnan(mine[n]) == np.isnan(coef[n]), \
            (fit.fit, n, mine[n], coef[n])
        worst.add(relative(mine[n], coef[n], np.nan_to_num(se[n])),
                  "%s %s" % (fit.fit, n))
        worst.add(relative(found.params["standard_errors"][i], se[n], 0.0),
                  "%s se %s" % (fit.fit, n))
        for j, m in enumerate(names):
            v = r["vcov"]["%s %s" % (n, m)]
            worst.add(relative(found.params["covariance"][i, j], v,
                               np.nan_to_num(se[n] * se[m])),
                      "%s vcov %s %s" % (fit.fit, n, m))
    for what in SCALARS:
        if what not in r["scalar"] or (
                what == "null_deviance" and "offset" in fit.formula):
            continue  # R fits the null model with the offset, iterating
        if what in ("aic", "df_residual") and fit.kind == "cox":
            continue
        worst.add(relative(float(found.result[what]), r["scalar"][what], 1.0),
                  "%s %s" % (fit.fit, what))


def table(folder, reference, fits, plain_limit=1e-8, masked_limit=1e-6):
    """All fits: plain on 1, 2 and 4 ranks, masked on 4 (and 2), all with the same
    bytes, for the sums are of integers; and what R has.  Every other fit leaves
    one rank count out."""
    worst = {False: Worst(), True: Worst()}
    for k, fit in enumerate(fits):
        names, digests = silo_names(fit.silos), set()
        most = min(4, fit.silos)
        for masked in (False, True):
            here = os.path.join(folder, "%d-%d" % (k, masked))
            os.makedirs(here)
            sites = reference.sites(here, fit.data, fit.silos, masked)
            path = job(os.path.join(here, "job.yaml"), names, fit.model(),
                       masked, fit.data)
            # With three silos every operator needs a silo of its own.
            counts = ((1, 2, most), (1, most), (1, 2, most), (2, most))[k % 4]
            if masked:
                counts = (2, most) if fit.silos > 3 and k % 3 == 0 else (most,)
            for ranks in counts:
                out = os.path.join(here, "RUN%d" % ranks)
                forget(sites)
                run(ranks, path, sites, out)
                found = Found(out)
                assert found.has_proofs == masked, fit.fit
                digests.add(found.digest)
            compare(fit, reference.found[fit.fit], found, worst[masked])
        assert len(digests) == 1, (fit.fit, digests)
    for masked in (False, True):
        print("# %d fits, %s: largest error %.1e (%s)" % (
            len(fits), "masked" if masked else "plain", worst[masked].error,
            worst[masked].where), flush=True)
    for masked, limit in ((False, plain_limit), (True, masked_limit)):
        assert worst[masked].error <= limit, (masked, worst[masked].where)

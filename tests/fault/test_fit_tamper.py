"""Messages of masked fits that are changed on their way, a root that says that it
came to other coefficients, and a rank that solves another system than the one that
was summed: each run ends on all ranks together, with one message, or comes to what
it would have come to."""
import os
import re
import struct
import subprocess

import h5py
import numpy as np

from fit_sites import (GLM, LOGIT, WIDE, fit_job, fit_sites, rows_of, run_fit,
                       wide_sites)
from harness import finish, inspect, main, test
from faults import start
from tampering import (LIAR, NAMES, RANKS, Bench, ended_together, flip, followed,
                       refused, run_cases)
import tap

NOBODY = "every silo opened what it had committed to, so it was changed while " \
    "it was added up, by a rank, the network or the MPI library"
DIFFER = "round 2, attempt 1: silos [abcd] and [abcd] received different sums"
OTHER = "round %d: rank 0 came to other %s than this rank from the same sums"


class FitBench(Bench):
    """A masked fit of four sites, and its undisturbed run."""

    def make(self, model=LOGIT % ("x1 + x2 + C(g)", ""), tables=None):
        self.sites = fit_sites(self.folder, NAMES, tables or [
            rows_of(60, k) for k in range(len(NAMES))], True)
        self.job = fit_job(self.folder, NAMES, model, True)

    def vector(self):
        """{view: (offset in doubles, values)} of the reference, in order of the
        program's vector, and its length."""
        if not hasattr(self, "views"):
            with h5py.File(os.path.join(self.folder, "reference", "RUN",
                                        "run.h5")) as f:
                held = {k: d[()].ravel() for k, d in
                        f["/model/params"].items()}
            self.views, at = {}, 0
            for k in ORDER:
                if k in held:
                    self.views[k] = at, held[k]
                    at += len(held[k])
            assert set(held) == set(self.views), held.keys()
            self.length = at
        return self.views

    def broadcast(self, round, rank=1):
        """The call in which the root tells what it came to."""
        self.vector()
        calls = [c for c in self.calls[rank] if c.name == "Bcast" and
                 c.bytes == 8 * self.length]
        assert len(calls) == self.reference["round"], calls
        return calls[round - 1]

    def lie(self, round, view, at, value, ranks=(1,)):
        """Rules: these ranks hear another number from the root."""
        first, values = self.vector()[view]
        assert at < len(values)
        return [tap.rule(self.broadcast(round), r, "recv", "put",
                         8 * (first + at), struct.pack("<d", value).hex())
                for r in ranks]


# As jobs/fit_model.c lays it out.
ORDER = ("scalars", "coefficients", "standard_errors", "covariance", "working",
         "previous", "step", "centre", "unit", "dropped", "norm",
         "first_variance", "variances", "loadings", "newton")


# ---- sums ---------------------------------------------------------------------------


def word(bench, rank, side, at, value, step=2):
    c = bench.call("words", 2, step)
    return tap.rule(c, rank, side, "add61", at, str(value))


@test
def numbers_and_triangles(folder):
    bench = FitBench(folder)
    assert bench.call("words", 2, 2).bytes == 8 * 10  # above the diagonal of 5
    cases = {}
    for what, step in (("numbers", 1), ("triangle", 2)):
        one = "round 2, attempt 1: the %s of silo c"
        cases.update({
            what + "-at-one": ([word(bench, 3, "recv", 3, 1, step)], DIFFER, {}),
            what + "-at-all": ([word(bench, "*", "recv", 9, 2**60, step)],
                               NOBODY, {}),
            what + "-sent": ([word(bench, LIAR, "send", 0, 1, step)], NOBODY, {}),
            what + "-commitment": (
                [flip(bench, "commit", 3, step=step)], one % "commitment", {}),
            what + "-sum": ([flip(bench, "sum", 9, step=step)],
                            one % "signature of the sum", {}),
            what + "-check": ([flip(bench, "check", 9, step=step)],
                              one % "check value", {}),
            what + "-check-signature": (
                [flip(bench, "check", 70, step=step)], one % "check value", {})})
    run_cases(bench, cases)


# ---- what the leaders come to -------------------------------------------------------


def odd_scales(k):
    """A response of size 1e5 and columns of size 1e6 and 1e-6: coefficients, and
    numbers of the fit, of very different sizes."""
    d = rows_of(80, k)
    d["big"] = 1e6 * d["x1"]
    d["small"] = 1e-6 * d["x2"]
    d["wide"] = 1e5 * d["y"]
    return d


@test
def a_root_that_came_to_something_else(folder):
    bench = FitBench(folder, model=GLM % ("gaussian", "wide ~ big + small + x3",
                                          ""),
                     tables=[odd_scales(k) for k in range(len(NAMES))])
    last, views, cases = bench.reference["round"], bench.vector(), {}
    q = len(views["coefficients"][1])
    names = dict(round=last, saved=last - 1, resume=False)

    def case(name, view, at, factor, ranks=(1, 2, 3), plus=0.0):
        value = views[view][1][at]
        assert value != 0.0 or plus
        cases[name] = (bench.lie(last, view, at, value * factor + plus, ranks),
                       OTHER % (last, view), names)
    for j in range(q):  # the intercept, big, small, x3
        case("coefficient-%d" % j, "coefficients", j, 1.001)
        case("error-%d" % j, "standard_errors", j, 0.999)
    case("sign", "coefficients", 1, -1.0)
    case("one-rank", "coefficients", 1, 1.001, (2,))
    for at, name in ((6, "covariance"), (5, "covariance"), (10, "covariance")):
        case("%s-%d" % (name, at), name, at, 1.001)
    # Stage, rows, dispersion, rank, residual degrees of freedom, iterations,
    # whether it has converged.
    for at, plus in ((0, 1.0), (1, 1.0), (9, 0.0), (10, -1.0), (12, 5.0),
                     (13, 1.0), (15, -1.0)):
        case("scalar-%d" % at, "scalars", at, 1.001 if not plus else 1.0,
             plus=plus)
    case("working", "working", 1, 1.001)
    case("centre", "centre", 2, 1.001)
    case("unit", "unit", 2, 1.001)
    case("dropped", "dropped", 2, 1.0, plus=1.0)
    case("nan", "coefficients", 2, float("nan"))
    case("infinite", "standard_errors", 2, float("inf"))
    run_cases(bench, cases)


@test
def last_bits_are_the_roots_but_the_same_for_all(folder):
    bench = FitBench(folder)
    first, values = bench.vector()["coefficients"]
    last = bench.reference["round"]
    near = values[1] * (1 + 1e-12)
    # Told to one alone: its record is another one.
    refused(bench, "one", bench.lie(last, "coefficients", 1, near),
            "round %d: silo [abcd] has not signed the record that this rank "
            "computed" % last, round=last, saved=last, resume=False)
    r, out, record, lines = bench.start("all", bench.lie(
        last, "coefficients", 1, near, (1, 2, 3)) + [tap.rule(
            bench.broadcast(last), 0, "own", "put", 8 * (first + 1),
            struct.pack("<d", near).hex())])
    assert r.code == 0 and len(lines) == 4, r.err
    assert inspect(out)["model"]["digest"] != \
        bench.reference["model"]["digest"]


if __name__ == "__main__":
    main()

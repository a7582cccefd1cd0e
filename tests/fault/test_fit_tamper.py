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

from fit_sites import (GLM, LOGIT, WIDE_RIDGE, fit_job, fit_sites, rows_of, run_fit,
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

    def lie(self, round, view, at, value, rank=0):
        """A rule: the root comes to another number, or this rank alone hears
        one."""
        first, values = self.vector()[view]
        assert at < len(values)
        return [tap.rule(self.broadcast(round), rank, "recv" if rank else "own",
                         "put", 8 * (first + at), struct.pack("<d", value).hex())]


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

    def case(name, view, at, factor, rank=0, plus=0.0):
        value = views[view][1][at]
        assert value != 0.0 or plus
        cases[name] = (bench.lie(last, view, at, value * factor + plus, rank),
                       OTHER % (last, view), names)
    for j in range(q):  # the intercept, big, small, x3
        case("coefficient-%d" % j, "coefficients", j, 1.001)
        case("error-%d" % j, "standard_errors", j, 0.999)
    case("sign", "coefficients", 1, -1.0)
    case("one-rank", "coefficients", 1, 1.001, 2)
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
    values = bench.vector()["coefficients"][1]
    last = bench.reference["round"]
    near = values[1] * (1 + 1e-12)
    # Told to one alone: its record is another one.
    refused(bench, "one", bench.lie(last, "coefficients", 1, near, 1),
            "round %d: silo [abcd] has not signed the record that this rank "
            "computed" % last, round=last, saved=last, resume=False)
    r, out, record, lines = bench.start("all", bench.lie(
        last, "coefficients", 1, near))
    assert r.code == 0 and len(lines) == 1, r.err
    assert inspect(out)["model"]["digest"] != \
        bench.reference["model"]["digest"]


@test
def a_root_with_other_components(folder):
    bench = FitBench(folder, model='{kind: pca, formula: "~ x1 + x2 + x3 + x4 + '
                                   'x5 + x6", components: 3}')
    values = np.array(bench.vector()["variances"][1])
    loadings = np.array(bench.vector()["loadings"][1]).reshape(3, 6)
    rows = len(NAMES) * 60 - 1
    told = {}
    for what, size in (("values", 8 * 6), ("vectors", 8 * 18)):
        told[what] = [c for c in bench.calls[0] if c.name == "Bcast" and
                      c.bytes == size][-1]
    assert np.allclose(np.frombuffer(told["values"].data) / rows, values)
    assert np.array_equal(np.frombuffer(told["vectors"].data),
                          loadings.ravel())
    cases = {}

    def case(name, what, numbers, rank=0):
        data = np.ascontiguousarray(numbers, "<f8").tobytes()
        cases[name] = ([tap.rule(told[what], rank, "recv" if rank else "own",
                                 "put", 0, data.hex())],
                       OTHER % (2, "components"), {"resume": False})
    case("value", "values", values * rows * [1, 1 + 1e-6, 1, 1, 1, 1])
    case("small-value", "values", values * rows + [0, 0, 0, 0, 0, 1e-3])
    case("nan", "values", [np.nan] * 6)
    turn = np.array([[np.cos(1e-4), np.sin(1e-4)], [-np.sin(1e-4),
                                                    np.cos(1e-4)]])
    case("turned", "vectors", np.vstack([turn @ loadings[:2], loadings[2:]]))
    case("turned-for-one", "vectors", np.vstack(
        [turn @ loadings[:2], loadings[2:]]), 3)
    case("sign", "vectors", loadings * [[1], [-1], [1]])
    case("twice", "vectors", loadings[[0, 0, 2]])
    case("longer", "vectors", loadings * 1.0001)
    case("nan-vector", "vectors", np.full((3, 6), np.nan))
    run_cases(bench, cases)


# ---- a matrix in parts -----------------------------------------------------------------


class WideBench(FitBench):
    def make(self):
        self.sites = wide_sites(self.folder, NAMES)
        self.job = fit_job(self.folder, NAMES, WIDE_RIDGE, True)

    def panel(self, k=0, rank=LIAR):
        """The k-th scattered sum."""
        return [c for c in self.calls[rank] if c.name == "Reduce_scatter"][k]


@test
def parts_of_a_matrix(folder):
    bench, cases = WideBench(folder), {}
    parts = "round 2, attempt 1: the parts of the sum are not those of the " \
        "committed vectors"
    one = "round 2, attempt 1: the %s of silo c"
    panel, last = bench.panel(2), bench.panel(-1)
    assert panel.label == last.label == "words" and panel.step > 1
    other = {"resume": False}
    # The third panel is that of ranks 0 and 2.
    for name, c, rank, side, at in (
            ("part", panel, 2, "recv", 0), ("part-of-root", last, 0, "recv", 5),
            ("sent", panel, 3, "send", 77)):
        cases[name] = [tap.rule(c, rank, side, "add61", at, "1")], parts, other
    cases["part"] = cases["part"][:2] + ({},)  # and goes on
    cases["outside-the-field"] = (
        [tap.rule(panel, 2, "recv", "put", 8, "ff" * 8)],
        "the sum holds words outside the field", other)
    cases["digest"] = ([flip(bench, "sum", 3, step=panel.step)],
                       one % "signature of the sum", other)
    for at in (0, tap.CHECK["part"][0]):
        cases["value-%d" % at] = (
            [flip(bench, "check", at, step=panel.step)], one % "check value",
            other)
    cases["commitment"] = ([flip(bench, "commit", 1, step=panel.step)],
                           one % "commitment", other)
    run_cases(bench, cases)


@test
def a_rank_that_solves_another_system(folder):
    """Its part of the sum was checked; what it does with it shows in the next
    round, at coefficients that do not solve what was summed."""
    lib = os.path.join(folder, "other_system.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", lib, os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "other_system.c"), "-ldl"],
        check=True)
    sites = wide_sites(folder, NAMES)
    job = fit_job(folder, NAMES, WIDE_RIDGE, True)
    for k, (call, rank, by) in enumerate((
            ("pdpotrf", 1, 1e-3), ("pdpotrs", 0, 1e-3))):
        out, done = (os.path.join(folder, n + str(k)) for n in ("RUN", "done"))
        run_fit(4, job, sites, out, expect=6, env={
            "LD_PRELOAD": lib, "OTHER_RANK": str(rank), "OTHER_CALL": call,
            "OTHER_BY": str(by), "OTHER_DONE": done},
            words=["the coefficients do not solve the equations that the silos "
                   "have summed"])
        with open(done) as f:
            assert f.read() == call + "\n"
        assert inspect(out)["round"] == 2
    run_fit(4, job, sites, os.path.join(folder, "RUN"))


if __name__ == "__main__":
    main()

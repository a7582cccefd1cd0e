"""What a site refuses to tell: sums over few rows, events or cells, and sums that
could be subtracted from those told before."""
import os
import re

import numpy as np

from fits import LIFTED, Reference, job, run, silo_names
from harness import covey, inspect, main, test, write
from secure_sites import silos_text

MODEL = '{kind: glm, family: gaussian, formula: "%s"}'
LUNG = '{kind: cox, formula: "Surv(time, status == 2) ~ age + sex"}'
_reference = []


def reference():
    if not _reference:
        _reference.append(Reference())
    return _reference[0]


def site_limits(sites, name, text):
    with open(os.path.join(sites, name + ".yaml"), "a") as f:
        f.write("disclosure: {%s}\n" % text)


def rows_of(sites, name):
    with open(os.path.join(sites, name + ".csv")) as f:
        return len(f.read().splitlines()) - 1


def refused(r, sites, out, words):
    """One message, of a silo and a limit; no count of its rows."""
    assert len(r.messages) == 1, (r.messages, r.err[-2000:])
    message = r.messages[0]
    silo = re.search(r"silo (s\d\d)", message)
    assert silo, message
    for word in words:
        assert word in message, (word, message)
    # Not how many rows it has: neither the file's nor nearly.
    assert not re.search(r"(?<![\w.])%d(?![\w.])" % rows_of(sites, silo.group(1)),
                         message), message
    assert not os.path.exists(os.path.join(out, "run.h5"))
    return silo.group(1)


@test
def defaults_refuse_small_institutions(folder):
    r = reference()
    for masked in (False, True):
        here = os.path.join(folder, str(masked))
        os.makedirs(here)
        sites = r.sites(here, "lung", 18, masked)
        path = job(os.path.join(here, "job.yaml"), silo_names(18), LUNG, masked,
                   disclosure="")
        said = set()
        for ranks in (4,) if masked else (1, 2, 4):
            out = os.path.join(here, "RUN%d" % ranks)
            q = run(ranks, path, sites, out, expect=4)
            silo = refused(q, sites, out, ["min_rows", "10"])
            assert rows_of(sites, silo) < 10, silo
            said.add(q.messages[0])
        assert len(said) == 1, said
        # Before anything is sent: the journals tell of no sum.
        if masked:
            for name in silo_names(18):
                journal = os.path.join(sites, "state-" + name,
                                       "silo-%s.journal" % name)
                assert not os.path.exists(journal) or \
                    os.path.getsize(journal) < 4096, journal


@test
def six_larger_groups_pass_the_defaults(folder):
    r = reference()
    sites = r.sites(folder, "lung", 6)
    path = job(os.path.join(folder, "job.yaml"), silo_names(6), LUNG,
               disclosure="")
    run(2, path, sites, os.path.join(folder, "RUN"))


LIMITS = {
    "min_rows": ("min_rows: 100000", MODEL % "y ~ x1"),
    "min_cell": ("min_cell: 100000", MODEL % "y ~ x1 + C(g)"),
    "min_cell, binomial": (
        "min_cell: 100000",
        '{kind: glm, family: binomial, formula: "event ~ x1"}'),
    "min_cell, cox": ("min_cell: 100000",
                      '{kind: cox, formula: "Surv(time, died) ~ x1"}'),
    "rows_per_parameter": ("rows_per_parameter: 5000", MODEL % "y ~ x1"),
}


@test
def a_site_is_stricter_than_the_job(folder):
    r = reference()
    for k, (name, (limit, model)) in enumerate(LIMITS.items()):
        here = os.path.join(folder, str(k))
        os.makedirs(here)
        sites = r.sites(here, "made", 4)
        site_limits(sites, "s02", limit)
        path = job(os.path.join(here, "job.yaml"), silo_names(4), model,
                   data="made")
        seen = set()
        for ranks in (1, 2, 4):
            out = os.path.join(here, "RUN%d" % ranks)
            q = run(ranks, path, sites, out, expect=4)
            assert refused(q, sites, out, [limit.split(":")[0]]) == "s02", name
            seen.add(q.messages[0])
        assert len(seen) == 1, seen


@test
def the_job_is_stricter_than_nobody(folder):
    """A job's own limit stops a fit; a site may lift it for itself alone."""
    r = reference()
    for k, (name, (limit, model)) in enumerate(LIMITS.items()):
        here = os.path.join(folder, str(k))
        os.makedirs(here)
        sites = r.sites(here, "made", 4)
        path = job(os.path.join(here, "job.yaml"), silo_names(4), model,
                   data="made", disclosure="disclosure: {%s}\n" % limit)
        out = os.path.join(here, "RUN")
        q = run(2, path, sites, out, expect=4)
        refused(q, sites, out, [limit.split(":")[0]])
        for n in ("s00", "s01", "s03"):
            site_limits(sites, n, "min_rows: 1, min_cell: 1, rows_per_parameter: 0")
        q = run(2, path, sites, out, expect=4)
        assert refused(q, sites, out, [limit.split(":")[0]]) == "s02", name
        site_limits(sites, "s02", "min_rows: 1, min_cell: 1, rows_per_parameter: 0")
        run(2, path, sites, out)


@test
def a_cell_of_no_rows_is_no_cell(folder):
    """A silo that has none of a level, or no events, tells nothing about any."""
    r = reference()
    sites = r.sites(folder, "edges", 6)
    path = job(os.path.join(folder, "job.yaml"), silo_names(6),
               MODEL % "y ~ C(few) + x", data="edges",
               disclosure="disclosure: {min_rows: 1, min_cell: 3, "
                          "rows_per_parameter: 0}\n")
    run(2, path, sites, os.path.join(folder, "RUN"))


class Journals:
    """Masked fits of the same sites, one after the other."""

    def __init__(self, folder, silos=4):
        self.folder, self.names, self.n = folder, silo_names(silos), 0
        self.sites = reference().sites(folder, "made", silos, masked=True)
        self.kept = self.text("s01")

    def path(self, name):
        return os.path.join(self.sites, name + ".csv")

    def text(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def put(self, text):
        write(self.path("s01"), text)

    def fit(self, formula, names=None, expect=0, ranks=4):
        self.n += 1
        out = os.path.join(self.folder, "RUN%d" % self.n)
        path = job(os.path.join(self.folder, "%d.yaml" % self.n),
                   names or self.names, MODEL % formula, True, "made",
                   disclosure="")
        r = run(min(ranks, len(names or self.names)), path, self.sites, out,
                expect)
        if expect == 4:
            assert len(r.messages) == 1, (r.messages, r.err[-2000:])
            assert not os.path.exists(os.path.join(out, "run.h5"))
            return r.messages[0]
        return out


def without(text, *numbers):
    """The table without rows of these numbers (from 1)."""
    return "".join(l for i, l in enumerate(text.splitlines(True))
                   if i not in numbers)


@test
def other_formulas_over_the_same_rows(folder):
    j = Journals(folder)
    j.fit("y ~ x1 + x2")
    j.fit("y ~ x1 + C(h)")
    j.fit("positive ~ x1 * x2 + C(h)", ranks=2)
    j.fit("y ~ x1 + x2")
    # The order of the rows is no other data.
    lines = j.kept.splitlines(True)
    j.put(lines[0] + "".join(reversed(lines[1:])))
    j.fit("y ~ x2")


@test
def a_row_less_is_refused(folder):
    j = Journals(folder)
    j.fit("y ~ x1 + x2")
    for numbers in ((5,), (1,), (7, 20)):
        j.put(without(j.kept, *numbers))
        for formula in ("y ~ x1 + x2", "cost ~ x1"):
            message = j.fit(formula, expect=4)
            assert "silo s01" in message, message
    # A row changed is one that went and one that came.
    j.put(j.kept.replace("\n", "\n1", 1))
    assert "silo s01" in j.fit("y ~ x1", expect=4)
    # The rows as they were.
    j.put(j.kept)
    j.fit("y ~ x1")


@test
def many_rows_more_are_fine(folder):
    j = Journals(folder)
    j.fit("y ~ x1 + x2")
    g = np.random.default_rng(5)
    header = j.kept.splitlines()[0].split(",")
    lines = [l.split(",") for l in j.kept.splitlines()[1:]][:50]
    for l in lines:  # the same, with another x3
        l[header.index("x3")] = "%.17g" % g.normal(50, 10)
    more = j.kept + "".join(",".join(l) + "\n" for l in lines)
    j.put(more)
    j.fit("y ~ x1 + x2")
    # One row on top of those is as close to them as one less.
    j.put(more + ",".join(lines[0][:2] + ["12.5"] + lines[0][3:]) + "\n")
    assert "silo s01" in j.fit("y ~ x1", expect=4)
    j.put(without(more, 3))
    assert "silo s01" in j.fit("y ~ x1", expect=4)


@test
def other_partners_are_refused(folder):
    """The difference of two sums would be the silo that went."""
    j = Journals(folder, 5)
    j.fit("y ~ x1 + x2")
    for formula in ("y ~ x1 + x2", "y ~ x1", "cost ~ x1 + x3"):
        message = j.fit(formula, names=j.names[:4], expect=4)
        assert re.search(r"silo s0\d", message), message
    j.fit("y ~ x2")


@test
def without_masks_rows_are_known_as_well(folder):
    """Whoever reads the result sees sums, whether or not they were masked on
    their way."""
    r = reference()
    sites = r.sites(folder, "made", 4)
    model, path = MODEL % "y ~ x1", os.path.join(folder, "job.yaml")
    job(path, silo_names(4), model, data="made", disclosure="")
    run(2, path, sites, os.path.join(folder, "RUN1"))
    with open(os.path.join(sites, "s01.csv")) as f:
        text = f.read()
    write(os.path.join(sites, "s01.csv"), without(text, 4))
    for ranks in (1, 2, 4):
        q = run(ranks, path, sites, os.path.join(folder, "RUN2"), expect=4)
        refused(q, sites, os.path.join(folder, "RUN2"), ["silo s01", "min_rows"])
    # Limits that say one row may be seen let it be.
    job(path, silo_names(4), model, data="made")
    run(2, path, sites, os.path.join(folder, "RUN3"))


@test
def rounds_are_bounded(folder):
    for masked in (False, True):
        path = job(os.path.join(folder, "job.yaml"), silo_names(4),
                   MODEL % "y ~ x1", masked, "made", rounds=25)
        covey("check", path)
        path = job(os.path.join(folder, "job.yaml"), silo_names(4),
                   MODEL % "y ~ x1", masked, "made", rounds=26)
        q = covey("check", path, expect=2)
        assert "rounds" in q.messages[0] and "25" in q.messages[0], q.messages


@test
def nothing_of_a_silo_is_in_the_result(folder):
    """Masked: no rows, shares or intercepts of silos in run.h5 or the log."""
    import h5py
    r = reference()
    sites = r.sites(folder, "made", 4, masked=True)
    path = job(os.path.join(folder, "job.yaml"), silo_names(4),
               '{kind: glm, family: poisson, formula: "count ~ x1", '
               'strata: silo}', True, "made", disclosure="")
    out = os.path.join(folder, "RUN")
    run(4, path, sites, out)
    counts = {rows_of(sites, n) for n in silo_names(4)}
    assert len(counts) == 4
    numbers = []

    def look(name, d):
        # Bytes are signatures and digests.
        if isinstance(d, h5py.Dataset) and d.dtype.kind in "iuf" and \
                d.dtype.itemsize > 1:
            numbers.extend(float(v) for v in np.array(d).ravel())
        numbers.extend(float(v) for v in d.attrs.values()
                       if np.ndim(v) == 0 and np.asarray(v).dtype.kind in "iuf")
    with h5py.File(os.path.join(out, "run.h5"), "r") as f:
        f.visititems(look)
        assert 900.0 in numbers  # the rows of all of them
    assert not counts & set(numbers), counts & set(numbers)
    assert all(s["share"] is None for s in inspect(out)["silos"])


if __name__ == "__main__":
    main()

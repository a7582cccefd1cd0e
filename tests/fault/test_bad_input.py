"""Bad input: one clear message, the right exit code, nothing left behind, and
nothing of a silo but its name and the column in what the others see."""
import gzip
import os
import re
import struct

import h5py
import numpy as np

from faults import (COVEY, NAMES, PLACES, blobs, edit_lines, fails, finish,
                    job_text, make_sites, poke, run_args,
                    run_sites, site_log, snapshot, start, together, vault,
                    write, write_csv)
from harness import inspect, main, test

INPUT = 2
ROW = 37  # of the bad value; the 38th line of a CSV file


def bad_site(folder, ranks, silo, spoil, words, detail, code=INPUT, job="",
             hides=(), **sites):
    """One run in a folder of its own, with one silo's data spoilt: the message
    names the silo, the detail stands in its own log and nowhere else."""
    os.makedirs(folder)
    make_sites(folder, **sites)
    write(os.path.join(folder, "job.yaml"), job or job_text(NAMES))
    ext = sites.get("ext", "csv")
    spoil(vault(folder, silo, "rows." + ext))
    before = snapshot(folder, but=("state",))
    text = fails(run_sites(folder, ranks), code, ("silo %s: " % silo,) + words,
                 ("vault-",) + tuple(hides))
    assert not re.search(r"\b3[678]\b", text.replace(folder, "")), text
    after = snapshot(folder, but=["state"] + ["silo-%s.log" % n for n in NAMES])
    assert after == before, set(after) ^ set(before)
    for name in NAMES:
        log = site_log(folder, name)
        assert ("error" in log) == (name == silo), (name, log)
    for word in detail + (vault(folder, silo),):
        assert word in site_log(folder, silo), (word, site_log(folder, silo))


def bad_sites(folder, cases, places=PLACES, **sites):
    """Each case (spoil, words, detail, options) on several numbers of ranks."""
    jobs = []
    for i, (name, case) in enumerate(sorted(cases.items())):
        for ranks, silo in places[i % len(places)]:
            def one(name=name, case=case, ranks=ranks, silo=silo):
                spoil, words, detail = case[:3]
                more = dict(sites, **(case[3] if len(case) > 3 else {}))
                try:
                    bad_site(os.path.join(folder, "%s-%d" % (name, ranks)),
                             ranks, silo, spoil, words, detail, **more)
                except AssertionError as e:
                    raise AssertionError("%s, %d ranks, silo %s: %s" %
                                         (name, ranks, silo, e))
            jobs.append(one)
    together(jobs)


# ---- data of one silo ---------------------------------------------------------


def csv_poke(column, value, row=ROW):
    return lambda path: edit_lines(path, poke(row, column, value))


def csv_text(text):
    return lambda path: write(path, text)


def raw(data):
    def spoil(path):
        with open(path, "wb") as f:
            f.write(data)
    return spoil


def cut(share):
    def spoil(path):
        os.truncate(path, int(os.path.getsize(path) * share))
    return spoil


LEVELS = job_text(NAMES, data="features: [{name: f0}, {name: f1}, {name: f2, "
                              "type: category, levels: [x, y]}]")
FEATURES = job_text(NAMES, data="features: [{name: f0}, {name: pressure}]")


def with_levels(path, i):
    x, y = blobs(40, cols=3, seed=100 + i)
    write_csv(path, x, y)
    edit_lines(path, lambda lines: lines[:1] + [
        ",".join(l.split(",")[:2] + ["xy"[k % 2], l.split(",")[3]])
        for k, l in enumerate(lines[1:])])


def with_age(path, i):
    x, y = blobs(40, cols=2, seed=100 + i)
    write_csv(path, x, y, names=["f0", "pressure"])


CSV = {
    "missing": (os.remove, ("data: cannot open",), ()),
    "empty": (csv_text(""), ("data: the file is empty",), ()),
    "folder": (lambda p: (os.remove(p), os.mkdir(p)),
               ("data: expected a file",), ()),
    "header-only": (csv_text("f0,f1,f2,label\n"), ("data: no rows",), ()),
    "ragged": (lambda p: edit_lines(p, lambda l: l[:-3] + ["1,2"] + l[-3:]),
               ("data: expected 4 fields",), ("2 fields",)),
    "cut": (lambda p: edit_lines(p, lambda l: l[:ROW] + ["0.5,0.5"]),
            ("data: expected 4 fields",), ("line %d" % (ROW + 1),)),
    "text": (csv_poke(1, "quixotic"), ("column 'f1'", "found text"),
             ("quixotic", "line 38"), {"hides": ["quixotic"]}),
    "infinity": (csv_poke(2, "-inf"), ("column 'f2'", "infinite"),
                 ("-inf", "line 38")),
    "huge": (csv_poke(0, "1e300"), ("column 'f0'", "infinite or too large"),
             ("1e300", "line 38")),
    "nan": (csv_poke(0, "NaN"), ("column 'f0'", "missing"), ("line 38",)),
    "blank": (csv_poke(1, ""), ("column 'f1'", "missing"), ("line 38",)),
    "no-label": (csv_poke(3, ""), ("column 'label'", "missing"), ("line 38",)),
    "label-fraction": (csv_poke(3, "1.53125"), ("target 'label'", "classes"),
                       ("1.53125", "line 38"), {"hides": ["1.53125"]}),
    "label-negative": (csv_poke(3, "-7041"), ("target 'label'", "classes"),
                       ("-7041", "line 38"), {"hides": ["7041"]}),
    "label-large": (csv_poke(3, "70413"), ("target 'label'", "classes"),
                    ("70413", "line 38"), {"hides": ["70413"]}),
    "label-text": (csv_poke(3, "quixotic"), ("column 'label'",),
                   ("quixotic", "line 38"), {"hides": ["quixotic"]}),
    "no-feature": (lambda p: edit_lines(p, poke(0, 1, "presure")),
                   ("feature 'pressure'", "not in the file"),
                   ("did you mean 'presure'",),
                   {"job": FEATURES, "fill": with_age, "hides": ["presure"]}),
    # What stands in the first line may be a row: the silo alone sees it.
    "no-target": (lambda p: edit_lines(p, poke(0, 3, "isabel")),
                  ("target 'label'", "not in the file"),
                  ("did you mean 'isabel'",), {"hides": ["isabel"]}),
    "column-twice": (lambda p: edit_lines(p, poke(0, 1, "f0")), ("twice",), ()),
    "other-level": (csv_poke(2, "quixotic"), ("column 'f2'", "declared levels"),
                    ("quixotic", "line 38"),
                    {"job": LEVELS, "fill": with_levels, "hides": ["quixotic"]}),
    "binary": (raw(b"f0,f1,f2,label\n\0\1\2\3"), ("data: expected CSV text",),
               ()),
    "gzip": (lambda p: raw(gzip.compress(open(p, "rb").read()))(p),
             ("data: expected CSV text, found a gzip file",), ()),
}


@test
def csv_of_one_silo(folder):
    bad_sites(folder, CSV)


def write_hdf5(path, i, dtype="f4", rows=40, extra=None):
    x, y = blobs(rows, cols=3, seed=100 + i)
    with h5py.File(path, "w") as f:
        f["x"] = x.astype(dtype) if dtype != "u1" else (x * 9 + 99).astype("u1")
        f["x"].attrs["columns"] = ["f0", "f1", "f2"]
        f["y"] = y.astype("i4")
        f["y"].attrs["name"] = "label"
        if extra:
            extra(f)


def h5_edit(change):
    def spoil(path):
        with h5py.File(path, "r+") as f:
            change(f)
    return spoil


def h5_set(name, at, value):
    return h5_edit(lambda f: f[name].__setitem__(at, value))


def h5_drop(*names):
    return h5_edit(lambda f: [f.__delitem__(n) for n in names])


def h5_replace(name, data):
    def change(f):
        del f[name]
        f[name] = data
    return h5_edit(change)


H5 = {
    "missing": (os.remove, ("data: cannot open",), ()),
    "empty": (raw(b""), ("data: the file is empty",), ()),
    "cut": (cut(0.6), ("data: ", "truncated"), ()),
    "cut-head": (cut(0.02), ("data: ", "truncated"), ()),
    "text": (csv_text("f0,f1\n1,2\n"), ("data: ", "HDF5"), ()),
    "no-x": (h5_drop("x"), ("data: expected a data set /x",), ()),
    "no-y": (h5_drop("y"), ("target 'label'", "not a column"), ()),
    "short-y": (h5_replace("y", np.zeros(39, "i4")), ("/y has another number",),
                ()),
    "text-x": (h5_replace("x", [b"a"] * 40), ("expected /x of",), ()),
    "infinity": (h5_set("x", (ROW - 1, 2), np.inf), ("column 'f2'", "infinite"),
                 ("row 37",)),
    "nan": (h5_set("x", (ROW - 1, 1), np.nan), ("column 'f1'", "missing"),
            ("row 37",)),
    "label": (h5_set("y", ROW - 1, 70413), ("target 'label'", "classes"),
              ("70413", "row 37"), {"hides": ["70413"]}),
    "label-negative": (h5_set("y", ROW - 1, -7041), ("target 'label'",),
                       ("-7041", "row 37"), {"hides": ["7041"]}),
    "level": (h5_edit(lambda f: f.__setitem__("categories/f2", [b"x", b"y"])),
              ("column 'f2'", "level numbers"), ("row ",)),
}


@test
def hdf5_of_one_silo(folder):
    # Reading is the same code for all formats up to here: fewer runs of each.
    bad_sites(folder, H5, [p[i % 3:i % 3 + 1] + p[(i + 1) % 3:(i + 1) % 3 + 1]
                           for i, p in enumerate(PLACES)],
              ext="h5", fill=write_hdf5, job=job_text(NAMES, fmt="hdf5"))


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def write_idx(path, i, rows=40):
    g = np.random.default_rng(i)
    raw(struct.pack(">IIII", 0x803, rows, 2, 2) +
        g.integers(0, 256, rows * 4, dtype="u1").tobytes())(path)
    raw(struct.pack(">II", 0x801, rows) +
        g.integers(0, 3, rows, dtype="u1").tobytes())(labels_of(path))


def labels_of(path):
    return path.replace("images-idx3", "labels-idx1")


def idx_job(names=NAMES):
    return job_text(names, fmt="idx")


IDX = {
    "missing": (os.remove, ("data: cannot open",), ()),
    "empty": (raw(b""), ("data: the file is empty",), ()),
    "cut": (cut(0.5), ("data: the IDX file of images is truncated",), ()),
    "long": (lambda p: raw(open(p, "rb").read() + b"x")(p),
             ("images is longer",), ()),
    "magic": (raw(b"\0\0\x0d\x03" + bytes(400)), ("should start with",), ()),
    "labels-cut": (lambda p: cut(0.5)(labels_of(p)), ("labels is truncated",),
                   ()),
    "labels-other": (lambda p: raw(struct.pack(">II", 0x801, 39) + bytes(39))(
        labels_of(p)), ("labels has another number of rows",), ()),
    "no-labels": (lambda p: os.remove(labels_of(p)),
                  ("target 'label'", "not a column"), ()),
    "gzip-cut": (lambda p: raw(gzip.compress(open(p, "rb").read())[:-20])(p),
                 ("images is truncated",), ()),
}


@test
def idx_of_one_silo(folder):
    bad_sites(folder, IDX, [p[2 - i % 3:][:1] for i, p in enumerate(PLACES)],
              ext=IMAGES, fill=write_idx, job=idx_job())


@test
def missing_values_can_be_dropped_or_filled(folder):
    make_sites(folder)
    for name in NAMES:
        edit_lines(vault(folder, name, "rows.csv"), poke(5, 1, "NA"))
        edit_lines(vault(folder, name, "rows.csv"), poke(7, 0, ""))

    def one(missing, ranks):
        job = write(os.path.join(folder, missing + ".yaml"),
                    job_text(NAMES, rounds=1, data="missing: " + missing))
        out = os.path.join(folder, "%s-%d" % (missing, ranks))
        r = finish(start(run_args(ranks, "run", job, "--silo-dir",
                                  os.path.join(folder, "sites"), "--out", out)))
        assert r.code == 0, r.err
        return inspect(out)["model"]["digest"]

    found = {m: {one(m, n) for n in (1, 3)} for m in ("drop", "mean")}
    assert [len(v) for v in found.values()] == [1, 1], found
    assert found["drop"] != found["mean"]


# ---- silos that do not go together ---------------------------------------------


def pair(folder, ranks, spoil, words, job, silo="c", pair_of="silos a and c: ",
         **sites):
    os.makedirs(folder)
    make_sites(folder, **sites)
    write(os.path.join(folder, "job.yaml"), job)
    spoil(vault(folder, silo, "rows." + sites.get("ext", "csv")))
    before = snapshot(folder, but=("state",))
    fails(run_sites(folder, ranks), INPUT, (pair_of,) + words, ("vault-",))
    after = snapshot(folder, but=["state"] + ["silo-%s.log" % n for n in NAMES])
    assert after == before


@test
def silos_that_differ(folder):
    h5 = {"ext": "h5", "fill": write_hdf5, "job": job_text(NAMES, fmt="hdf5")}
    csv = {"job": job_text(NAMES)}
    cases = {
        "name": (lambda p: edit_lines(p, poke(0, 1, "g1")),
                 ("column 2 differs", "'f1'", "'g1'"), csv),
        "order": (lambda p: edit_lines(p, lambda l: ["f0,f2,f1,label"] + l[1:]),
                  ("column 2 differs", "'f1'", "'f2'"), csv),
        "number": (lambda p: edit_lines(p, lambda l: [
            l[0] + ",f3"] + [x + ",1" for x in l[1:]]),
            ("column 4 'f3' is not there in every silo",), csv),
        "type": (h5_edit(lambda f: (f.__setitem__("categories/f2",
                                                  [b"x", b"y"]),
                                    f["x"].__setitem__((slice(None), 2), 1))),
                 ("column 3 differs", "number", "category"), h5),
    }
    jobs = []
    for name, (spoil, words, more) in cases.items():
        for ranks in (1, 2, 4, 6):
            jobs.append(lambda name=name, spoil=spoil, words=words, more=more,
                        ranks=ranks: pair(
                            os.path.join(folder, "%s-%d" % (name, ranks)),
                            ranks, spoil, words, **more))

    def scale(ranks):
        u8 = dict(h5, fill=lambda p, i: write_hdf5(p, i, "u1"))
        pair(os.path.join(folder, "scale-%d" % ranks), ranks,
             h5_edit(lambda f: f["x"].attrs.__setitem__("scale", 1 / 255)),
             ("`scale` of /x differs",), pair_of="", **u8)

    def classes(ranks):
        pair(os.path.join(folder, "classes-%d" % ranks), ranks, lambda p: None,
             ("2 classes", "3"), pair_of="",
             job=job_text(NAMES, model="{kind: logistic}"))

    together(jobs + [lambda n=n: scale(n) for n in (1, 4)] +
             [lambda n=n: classes(n) for n in (1, 4)])


# ---- the other side: who owns the data is told everything ------------------------


@test
def owners_see_the_detail(folder):
    make_sites(folder)
    rows = vault(folder, "b", "rows.csv")
    job = write(os.path.join(folder, "job.yaml"), job_text(NAMES))
    run = os.path.join(folder, "GOOD")
    assert finish(start(run_args(0, "run", job, "--silo-dir",
                                 os.path.join(folder, "sites"), "--out",
                                 run))).code == 0
    edit_lines(rows, poke(ROW, 1, "quixotic"))
    all_of_it = ("column 'f1'", "quixotic", "line 38", rows)
    silo = os.path.join(folder, "sites", "b.yaml")
    out = os.path.join(folder, "out")
    before = snapshot(folder)
    for args in (["check", job, "--silo", silo],
                 ["check", job, "--silo-dir", os.path.join(folder, "sites")],
                 ["convert", rows, out],
                 ["predict", run, rows, "-o", out]):
        text = fails([COVEY] + args, INPUT, all_of_it)
        assert args[0] != "check" or "silo b" in text, text
    edit_lines(rows, poke(ROW, 1, ""))
    for args in (["check", job, "--silo", silo],
                 ["check", job, "--silo-dir", os.path.join(folder, "sites")]):
        fails([COVEY] + args, INPUT, ("column 'f1'", "missing", "line 38", rows))
    edit_lines(rows, poke(ROW, 1, "quixotic"))
    edit_lines(silo, lambda l: l + ["colour: quixotic"])
    fails([COVEY, "check", job, "--silo", silo], INPUT,
          ("colour", "b.yaml:4", "sites"))
    edit_lines(silo, lambda l: l[:-1])
    assert snapshot(folder) == before
    simulated = write(os.path.join(folder, "simulated.yaml"),
                      job_text("{count: 4}", rest="simulate: {source: %s}\n" %
                               os.path.relpath(rows, folder)))
    with_test = write(
        os.path.join(folder, "test.yaml"),
        job_text("{count: 4}", rest="simulate: {source: vault-a/rows.csv, test: "
                 "vault-b/rows.csv}\n"))
    together([lambda n=n, j=j: fails(
        run_args(n, "run", j, "--out", "%s-%d" % (j, n)), INPUT, all_of_it)
        for n in (1, 2, 4) for j in (simulated, with_test)])
    assert snapshot(folder, but=("simulated.yaml", "test.yaml")) == before


@test
def a_run_that_is_there_stays_as_it_is(folder):
    make_sites(folder)
    write(os.path.join(folder, "job.yaml"), job_text(NAMES))
    assert finish(start(run_sites(folder, 2))).code == 0
    rows = vault(folder, "d", "rows.csv")
    before = snapshot(os.path.join(folder, "RUN"), but=["covey.log"])
    fails(run_sites(folder, 2), INPUT, ("holds a run already", "--resume"))
    edit_lines(rows, poke(ROW, 1, "quixotic"))
    fails(run_sites(folder, 4), INPUT, ("holds a run already",))
    fails(run_sites(folder, 4, "--resume"), INPUT, ("silo d",), ("quixotic",))
    assert "quixotic" not in open(os.path.join(folder, "RUN", "covey.log")).read()
    os.rename(os.path.join(folder, "RUN", "run.h5"),
              os.path.join(folder, "RUN", "moved"))
    fails(run_sites(folder, 2), INPUT, ("holds a run already",))
    os.rename(os.path.join(folder, "RUN", "moved"),
              os.path.join(folder, "RUN", "run.h5"))
    assert snapshot(os.path.join(folder, "RUN"), but=["covey.log"]) == before


main()

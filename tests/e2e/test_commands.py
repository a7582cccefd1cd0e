"""Each command as a user meets it, on data of their own."""
import csv
import os
import shutil
import subprocess

import h5py
import numpy as np

import keyfile
from harness import (COVEY, command, covey, inspect, job_text, main, mpirun,
                     test, write, write_csv)
from secure_sites import secret_of, silos_text

NAMES = ("north", "south", "west")


def clinic(path, rows, seed, levels=("a", "b", "c"), holes=0.0):
    """age, sex, town -> outcome, with text categories."""
    g = np.random.default_rng(seed)
    with open(path, "w") as f:
        f.write("age,sex,town,outcome\r\n")
        for _ in range(rows):
            age, sex = g.normal(60, 10), g.choice(["f", "m"])
            town = g.choice(levels)
            score = 0.1 * (age - 60) + (sex == "m") + 2 * (town == "c") - 0.5
            y = "ill" if g.random() < 1 / (1 + np.exp(-score)) else "well"
            shown = "" if g.random() < holes else "%.3f" % age
            f.write('%s,%s,"%s",%s\r\n' % (shown, sex, town, y))
    return path


JOB = """covey: 1
name: clinics
silos: [{name: north}, {name: south}, {name: west}]
data:
  format: csv
  target: outcome
  features:
    - {name: age}
    - {name: sex, type: category}
    - {name: town, type: category}
  missing: mean
  standardize: pooled
  test_fraction: 0.25
model: {kind: logistic}
training: {rounds: 30, local: {epochs: 2, batch: 32, learning_rate: 0.5}}
"""


def clinics(folder):
    clinic(os.path.join(folder, "north.csv"), 300, 1, holes=0.1)
    clinic(os.path.join(folder, "south.csv"), 200, 2, levels=("a", "b"))
    clinic(os.path.join(folder, "west.csv"), 250, 3, levels=("b", "c"))
    for name in NAMES:
        write(os.path.join(folder, name + ".yaml"),
              "silo: %s\ndata: %s.csv\nstate: state-%s\n" % (name, name, name))
    return write(os.path.join(folder, "job.yaml"), JOB)


@test
def own_data_from_csv_to_predictions(folder):
    job, run = clinics(folder), os.path.join(folder, "RUN")
    plan = covey("check", job, "--silo-dir", folder).out
    for word in ("750 rows", "4 inputs", "2 classes", "is valid"):
        assert word in plan, plan
    mpirun(3, "run", job, "--silo-dir", folder, "--out", run)
    report = inspect(run)
    assert report["metrics"]["test_accuracy"] > 0.62
    assert report["model"]["parameters"] == 5
    new = clinic(os.path.join(folder, "new.csv"), 400, 9, holes=0.05)
    out = os.path.join(folder, "out.csv")
    r = covey("predict", os.path.join(run, "run.h5"), new, "-o", out)
    assert "accuracy" in r.err
    rows = list(csv.DictReader(open(out)))
    assert len(rows) == 400 and set(rows[0]) == {"row", "outcome", "p_ill",
                                                 "p_well"}
    truth = [r["outcome"] for r in csv.DictReader(open(new))]
    right = np.mean([a["outcome"] == b for a, b in zip(rows, truth)])
    assert right > 0.65
    assert "accuracy %.4g" % right in r.err or abs(
        right - float(r.err.split("accuracy ")[1].split()[0])) < 1e-5
    for row in rows:
        assert abs(float(row["p_ill"]) + float(row["p_well"]) - 1) < 1e-6
    # Without the target column the predictions are the same.
    blind = os.path.join(folder, "blind.csv")
    with open(new) as f, open(blind, "w") as g:
        for line in f:
            g.write(line.rsplit(",", 1)[0] + "\n")
    again = covey("predict", run, blind).out
    assert again == open(out).read()


@test
def check_explains_masks_and_privacy(folder):
    clinics(folder)
    keys = {n: keyfile.public_key(secret_of(n)) for n in NAMES}
    os.chmod(write(os.path.join(folder, "pass"), "open\n"), 0o600)
    for n in NAMES:
        keyfile.write(os.path.join(folder, n + ".key"), secret_of(n))
        with open(os.path.join(folder, n + ".yaml"), "a") as f:
            f.write("key: %s.key\npassword_file: pass\ntrusted: [%s]\n" % (
                n, ", ".join('"%s"' % keys[m] for m in NAMES if m != n)))
    data = (JOB.replace("silos: [{name: north}, {name: south}, {name: west}]",
                        "silos: " + silos_text(NAMES))
            .replace("{name: sex, type: category}",
                     "{name: sex, type: category, levels: [f, m]}")
            .replace("{name: town, type: category}",
                     "{name: town, type: category, levels: [a, b, c]}")
            .replace("  test_fraction: 0.25\n",
                     "  target_levels: [well, ill]\n  test: public.csv\n"))
    clinic(os.path.join(folder, "public.csv"), 70, 4, levels=("a",))
    job = os.path.join(folder, "masked.yaml")
    write(job, data + "secure_aggregation: {}\n")
    plan = covey("check", job, "--silo-dir", folder).out
    for word in ("750 rows", "; 70 test rows", "classes     well, ill\n",
                 "sums of 3 silos or more;\n", "up to 1 operator may collude;"
                 " clip 100\n"):
        assert word in plan, plan
    assert "privacy" not in plan
    data = (data.replace("missing: mean\n  standardize: pooled", "missing: drop")
            .replace("epochs: 2, batch: 32", "steps: 40, batch: 64")
            .replace("rounds: 30", "rounds: 30, weights: equal"))
    record = data + ("secure_aggregation: {}\n"
                     "privacy: {epsilon: 3, noise_multiplier: 1.5, sampling: 0.1}\n")
    plan = covey("check", write(job, record), "--silo-dir", folder).out
    for word in ("unit record, epsilon at most 3, delta 1e-05 (pld), clip 1\n",
                 "noise multiplier 1.5, made by all silos in shares\n",
                 "1,200 steps in all, sampling 0.1, expected batch 64\n"):
        assert word in plan, plan
    silo = data + ("secure_aggregation: {collusion: 0}\n"
                   "privacy: {unit: silo, epsilon: 8, adaptive: {}}\n")
    plan = covey("check", write(job, silo)).out
    for word in ("sums of 2 silos", "unit silo, epsilon at most 8", "at first\n",
                 "noise as that epsilon needs\n", "in each of 30 sums\n"):
        assert word in plan, plan
    # A label outside the job's classes is named to the site alone.
    write(job, record.replace("[well, ill]", "[well, dead]"))
    r = covey("check", job, "--silo-dir", folder, expect=2)
    assert "not one of the agreed classes: well, dead" in r.err, r.err
    write(job, record.replace("public.csv", "none.csv"))
    r = covey("check", job, expect=2)
    assert "data.test: cannot open" in r.err, r.err


@test
def sites_claim_their_ranks(folder):
    job, run = clinics(folder), os.path.join(folder, "RUN")
    args = ["mpirun"]
    for i, (name, ranks) in enumerate((("west", 1), ("north", 2), ("south", 1))):
        args += [":"] * (i > 0) + ["-n", str(ranks), COVEY, "run", job, "-q",
                                   "--silo", os.path.join(folder, name + ".yaml"),
                                   "--out", run]
    command(args)
    assert [s["name"] for s in inspect(run)["silos"]] == list(NAMES)
    other = os.path.join(folder, "RUN2")
    mpirun(3, "run", job, "--silo-dir", folder, "--out", other, "-q")
    assert abs(inspect(run)["metrics"]["test_loss"] -
               inspect(other)["metrics"]["test_loss"]) < 1e-3


@test
def checkpoints_explain_themselves(folder):
    job, run = clinics(folder), os.path.join(folder, "RUN")
    mpirun(2, "run", job, "--silo-dir", folder, "--out", run, "-q")
    assert sorted(os.listdir(run)) == [
        ".lock", "covey.log", "round-000028.h5", "round-000029.h5",
        "round-000030.h5", "run.h5"]
    with h5py.File(os.path.join(run, "run.h5")) as f:
        assert f.attrs["round"] == 30 and f.attrs["format_version"] == 1
        assert len(f.attrs["run_id"]) == 64
        job_text_saved = f["job"][()].decode()
        assert "kind: logistic" in job_text_saved
        assert f["history"].shape == (30,)
        assert set(f["history"].dtype.names) >= {
            "round", "silos", "train_loss", "test_loss", "test_accuracy",
            "seconds_train"}
        assert [n.decode() for n in f["silos"]["name"]] == list(NAMES)
        assert abs(f["silos"]["share"].sum() - 1) < 1e-12
        assert [c.decode() for c in f["data/columns"]] == [
            "age", "sex=m", "town=b", "town=c"]
        params = []
        f["model/params"].visititems(
            lambda n, d: params.append((d.name, np.array(d)))
            if isinstance(d, h5py.Dataset) else None)
        assert {p[0].rsplit("/", 1)[1] for p in params} == {"weight", "bias"}
    # The saved job is a job: it can be run again.
    again = write(os.path.join(folder, "again.yaml"), job_text_saved)
    covey("check", again)
    dump = command(["h5dump", "-H", os.path.join(run, "run.h5")]).out
    for word in ("history", "params", "test_accuracy", "schema"):
        assert word in dump
    units = command(["h5dump", "-A", os.path.join(run, "run.h5")]).out
    assert "description" in units


@test
def inspect_has_the_documented_keys(folder):
    job, run = clinics(folder), os.path.join(folder, "RUN")
    mpirun(2, "run", job, "--silo-dir", folder, "--out", run, "-q")
    report = inspect(os.path.join(run, "run.h5"))
    import hashlib
    with h5py.File(os.path.join(run, "run.h5")) as f:
        group = f["model/params"]
        raw = b""
        for layer in group:
            for part in ("weight", "bias"):
                raw += np.array(group[layer][part], dtype="<f4").tobytes()
    assert report["model"]["digest"] == hashlib.sha256(raw).hexdigest()
    assert report["round"] == 30 and report["rounds"] == 30
    assert report["model"]["kind"] == "logistic"
    assert set(report["seconds"]) == {"train", "sum", "evaluate", "save"}
    assert [s["rounds"] for s in report["silos"]] == [30, 30, 30]
    assert set(report["metrics"]) == {"train_loss", "test_loss",
                                      "test_accuracy"}
    text = covey("inspect", run).out
    for word in ("north", "took part", "test_accuracy", report["run_id"]):
        assert word in text


@test
def init_leads_to_a_run(folder):
    covey("init", cwd=folder)
    assert os.stat(os.path.join(folder, "silo.yaml")).st_mode & 0o777 == 0o600
    covey("check", "job.yaml", cwd=folder)
    before = open(os.path.join(folder, "job.yaml")).read()
    r = covey("init", cwd=folder, expect=2)
    assert len(r.messages) == 1
    assert open(os.path.join(folder, "job.yaml")).read() == before


@test
def convert_keeps_values(folder):
    g = np.random.default_rng(0)
    x, y = g.normal(size=(50, 3)), g.integers(0, 4, 50)
    write_csv(os.path.join(folder, "a.csv"), x, y)
    out = os.path.join(folder, "a.h5")
    covey("convert", os.path.join(folder, "a.csv"), out, "--target", "label")
    with h5py.File(out) as f:
        assert np.array_equal(f["x"][:], x.astype(np.float32)) or np.allclose(
            f["x"][:], x, rtol=1e-7)
        assert np.array_equal(f["y"][:], y)
        assert f["y"].attrs["name"] in ("label", b"label")
    # CSV and HDF5 give the same model.
    digests = []
    for fmt, data in (("csv", "a.csv"), ("hdf5", "a.h5")):
        job = write(os.path.join(folder, fmt + ".yaml"),
                    job_text("{count: 2}", fmt=fmt,
                             rest="simulate: {source: %s}" % data))
        run = os.path.join(folder, "RUN-" + fmt)
        covey("run", job, "--out", run, "-q")
        digests.append(inspect(run)["model"]["digest"])
    assert digests[0] == digests[1]


@test
def convert_refuses_columns_that_are_not_there(folder):
    path = clinic(os.path.join(folder, "a.csv"), 30, 1)
    out = os.path.join(folder, "o.h5")
    given = ["--category", "sex", "--category", "town"]
    for options, words in (
            (given + ["--target", "outcomee"],
             ("--target: no column 'outcomee' in", "did you mean 'outcome'?",
              "columns: age, sex, town, outcome")),
            (["--category", "sexx"],
             ("--category: no column 'sexx' in", "did you mean 'sex'?")),
            (["--target", "outcome"], ("'sex'", "give --category sex"))):
        r = covey("convert", path, out, *options, expect=2)
        for word in words:
            assert word in r.err, (word, r.err)
        assert not os.path.exists(out)
    covey("convert", path, out, "--target", "outcome", *given)
    r = covey("convert", out, os.path.join(folder, "p.h5"), "--target", "outcom",
              expect=2)
    assert "did you mean 'outcome'?" in r.err, r.err
    covey("convert", out, os.path.join(folder, "p.h5"), "--category", "sex",
          expect=2)


@test
def files_that_are_no_checkpoints(folder):
    path = clinic(os.path.join(folder, "a.csv"), 30, 1)
    other = os.path.join(folder, "other.h5")
    with h5py.File(other, "w", libver=("v108", "v108")) as f:
        f["x"] = 1
    old = os.path.join(folder, "old.h5")
    with h5py.File(old, "w", libver="earliest") as f:
        f["x"] = 1
    for args in (["inspect"], ["predict"]):
        for file, word in ((path, "not HDF5"), (other, "HDF5 file that is none"),
                           (old, "another program")):
            more = [path] if args == ["predict"] else []
            r = covey(*args, file, *more, expect=2)
            assert "expected a Covey checkpoint" in r.err, r.err
            assert word in r.err, r.err


@test
def more_classes_than_two(folder):
    path = clinic(os.path.join(folder, "a.csv"), 60, 1)
    with open(path, "a") as f:
        f.write("60,f,a,Ill\r\n")
    text = JOB.replace("data:\n", "simulate: {source: a.csv, partition: iid}\n"
                       "data:\n", 1)
    job = write(os.path.join(folder, "job.yaml"), text)
    for name in ("check", "run"):
        r = covey(name, job, expect=2)
        assert "'outcome' has 3: Ill, ill, well; a differently" in r.err, r.err


@test
def help_and_version(folder):
    assert covey("--version").out.startswith("covey ")
    listed = covey("--help").out
    for name in ("init", "check", "run", "inspect", "predict", "convert"):
        assert name in listed
        assert "usage: " in covey("help", name).out
        assert covey("help", name).out == covey(name, "--help").out
    r = covey("inspct", expect=2)
    assert "did you mean 'inspect'" in r.err and len(r.messages) == 1
    covey(expect=2)


@test
def installed_files(folder):
    build = os.path.dirname(COVEY)
    command(["cmake", "--install", build, "--prefix", folder])
    for name in ("bin/covey", "share/man/man1/covey.1",
                 "share/bash-completion/completions/covey"):
        assert os.path.exists(os.path.join(folder, name)), name
    if shutil.which("man"):
        man = command(["man", "--warnings", "-l",
                       os.path.join(folder, "share/man/man1/covey.1")],
                      expect=None)
        assert man.code != 0 or not man.err.strip(), man.err
    completed = subprocess.run(
        ["bash", "-c", ". %s/share/bash-completion/completions/covey; "
         "COMP_WORDS=(covey ins); COMP_CWORD=1; _covey; "
         "echo ${COMPREPLY[@]}" % folder], capture_output=True, text=True)
    assert completed.stdout.strip() == "inspect"


main()

"""Settings and data that are legal but odd, and what must come of them."""
import os
import shutil
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "e2e"))
from harness import (COVEY, blobs, command, covey, inspect, job_text, main,
                     mpirun, test, write, write_csv)

SIMULATE = "simulate: {source: d.%s, partition: %s}"


def simulated(folder, fmt="csv", partition="iid", rest="", **kw):
    source = SIMULATE % ({"hdf5": "h5"}.get(fmt, fmt), partition)
    return write(os.path.join(folder, "job.yaml"),
                 job_text("{count: 4}", fmt=fmt, rest=source + "\n" + rest,
                          **kw))


def run(folder, ranks=2, expect=0, out="RUN"):
    return mpirun(ranks, "run", os.path.join(folder, "job.yaml"), "--out",
                  os.path.join(folder, out), "-q", expect=expect)


def classes(folder, rows=300):
    x, y = blobs(rows, cols=3, classes=2, seed=3)
    write_csv(os.path.join(folder, "d.csv"), x, y)


@test
def a_constant_uint8_column_stays_harmless(folder):
    import h5py
    g = np.random.default_rng(1)
    x = g.integers(0, 256, (400, 60), dtype=np.uint8)
    x[:, :50] = np.arange(1, 251, 5)  # constants: rounding is not spread
    y = (x[:, 55] > 127).astype(np.uint8)
    with h5py.File(os.path.join(folder, "d.h5"), "w") as f:
        f["x"], f["y"] = x, y
        f["x"].attrs["scale"] = 1 / 255
        f["y"].attrs["name"] = "label"
    simulated(folder, "hdf5", model="{kind: softmax}",
              data="standardize: pooled", rounds=5)
    run(folder)
    assert inspect(os.path.join(folder, "RUN"))["metrics"]["train_loss"] < 1
    with h5py.File(os.path.join(folder, "RUN", "run.h5")) as f:
        assert np.array_equal(f["data/unit"][:50], np.ones(50))


@test
def scaffold_with_momentum_converges(folder):
    classes(folder)
    simulated(folder, partition="shards", model="{kind: logistic}",
              strategy="scaffold", rounds=20,
              local="{epochs: 5, batch: 8, learning_rate: 0.05, momentum: 0.9}")
    run(folder)
    history = inspect(os.path.join(folder, "RUN"))["history"]
    assert history[-1]["train_loss"] < history[0]["train_loss"] < 2


@test
def settings_that_cannot_work_are_refused(folder):
    classes(folder)
    for words, kw in (
            ("proximal", dict(strategy="fednova", local="{steps: 2, "
                              "learning_rate: 0.1, proximal: 30}")),
            ("min_silos", dict(training="  participation: 0.25\n"
                                        "  min_silos: 2\n")),
            ("bounds", dict(data="features: [{name: f0, bounds: "
                                 "[-1e308, 1e308]}], standardize: bounds"))):
        job = simulated(folder, **kw)
        r = covey("check", job, expect=2)
        assert len(r.messages) == 1 and words in r.err, r.err


@test
def counts_are_not_negative(folder):
    g = np.random.default_rng(2)
    x = g.normal(size=(100, 2))
    write_csv(os.path.join(folder, "d.csv"), x, -g.integers(3, 8, 100))
    simulated(folder, model="{kind: poisson}")
    r = run(folder, expect=2)
    assert len(r.messages) == 1 and "poisson" in r.err


@test
def tolerance_measures_the_model(folder):
    """fednova's normalised update is small while the model still moves."""
    classes(folder)
    rounds = {}
    for strategy in ("fedavg", "fednova"):
        simulated(folder, strategy=strategy, model="{kind: logistic}",
                  rounds=200, training="  tolerance: 0.005\n",
                  local="{steps: 50, batch: 10, learning_rate: 0.1}")
        run(folder, out=strategy)
        rounds[strategy] = inspect(os.path.join(folder, strategy))["round"]
    assert rounds["fedavg"] > 5
    assert abs(rounds["fedavg"] - rounds["fednova"]) <= 2, rounds


@test
def ranks_with_other_copies_of_the_data(folder):
    for name in ("one", "two"):
        os.mkdir(os.path.join(folder, name))
        classes(os.path.join(folder, name))
        simulated(os.path.join(folder, name))
    with open(os.path.join(folder, "two", "d.csv"), "a") as f:
        f.write("0,0,0,1\n")
    args = ["mpirun"]
    for name in ("one", "two"):
        args += [":"] * (name == "two") + [
            "-n", "1", COVEY, "run", os.path.join(folder, name, "job.yaml"),
            "--out", os.path.join(folder, "RUN"), "-q"]
    r = command(args, expect=2)
    assert len(r.messages) == 1 and "another copy" in r.err, r.err


@test
def a_server_step_that_blows_up(folder):
    classes(folder)
    simulated(folder, strategy="fedavgm", rounds=60,
              rest="checkpoint: {every: 50}",
              training="  server: {learning_rate: 1.0e+38}\n")
    r = run(folder, expect=None)
    assert r.code in (1, 5) and len(r.messages) == 1, r.err


@test
def output_that_cannot_be_written(folder):
    classes(folder)
    simulated(folder)
    run(folder)
    for args in (["inspect", "RUN"], ["inspect", "RUN", "--json"],
                 ["check", "job.yaml"]):
        r = command(["sh", "-c", "%s %s > /dev/full" %
                     (COVEY, " ".join(args))], cwd=folder, expect=3)
        assert len(r.messages) == 1
    shutil.rmtree(os.path.join(folder, "RUN"))


main()

"""model.transform: images go through a fixed map before they are learned."""
import csv
import os

import h5py
import numpy as np

from harness import covey, inspect, job_text, main, mpirun, parameters, test, \
    write

H, W = 12, 16
NAMES = ("a", "b", "c")
MODEL = "{kind: softmax, transform: scattering, image: [%d, %d]}" % (H, W)
LOCAL = "{epochs: 2, batch: 16, learning_rate: 0.01, momentum: 0.9}"


def stripes(rows, seed):
    """Stripes along or across at any place: a question of direction, which no
    linear function of the pixels answers. uint8."""
    g = np.random.default_rng(seed)
    y = g.integers(0, 2, rows)
    i, j = np.mgrid[0:H, 0:W]
    at = np.where(y[:, None, None] == 1, i[None], j[None])
    wave = np.sin(2 * np.pi * (at / 4 + g.random((rows, 1, 1))))
    x = 128 + 80 * wave + g.normal(size=(rows, H, W)) * 30
    return np.clip(x, 0, 255).astype(np.uint8).reshape(rows, -1), y


def write_u8(path, x, y):
    with h5py.File(path, "w") as f:
        f["x"] = x
        f["x"].attrs["scale"] = 1 / 256
        f["x"].attrs["columns"] = ["p%d" % k for k in range(x.shape[1])]
        f["y"] = y.astype(np.int32)
        f["y"].attrs["column"] = "label"


def write_f32(path, x, y):
    with h5py.File(path, "w") as f:
        f["x"] = x.astype(np.float32) / 256
        f["x"].attrs["columns"] = ["p%d" % k for k in range(x.shape[1])]
        f["y"] = y.astype(np.int32)
        f["y"].attrs["column"] = "label"


def simulated(folder, name="job.yaml", writer=write_u8, model=MODEL, rows=400,
              test_rows=1300):
    writer(os.path.join(folder, name + ".train.h5"), *stripes(rows, 1))
    writer(os.path.join(folder, name + ".test.h5"), *stripes(test_rows, 2))
    return write(os.path.join(folder, name), job_text(
        silos=NAMES, fmt="hdf5", model=model, local=LOCAL, rounds=2,
        rest="simulate: {source: %s.train.h5, test: %s.test.h5}" %
        (name, name)))


@test
def it_does_not_matter_who_hosts_or_measures(folder):
    job, seen = simulated(folder), []
    for ranks in (1, 2, 3, 5):
        run = os.path.join(folder, "RUN%d" % ranks)
        mpirun(ranks, "run", job, "--out", run, "-q")
        seen.append((parameters(run), inspect(run)["metrics"]))
    for w, metrics in seen[1:3]:
        assert np.array_equal(w, seen[0][0])
        assert metrics == seen[0][1]
    assert np.allclose(seen[3][0], seen[0][0], atol=1e-4)
    assert seen[0][0].size == 2 * (81 * 3 * 4 + 1)
    assert seen[0][1]["test_accuracy"] > 0.97
    plain = simulated(folder, "plain.yaml", model="{kind: softmax}")
    mpirun(1, "run", plain, "--out", os.path.join(folder, "P"), "-q")
    assert inspect(os.path.join(folder, "P"))["metrics"]["test_accuracy"] < 0.7


@test
def bytes_and_floats_are_the_same_images(folder):
    runs = []
    for name, writer in (("u8.yaml", write_u8), ("f32.yaml", write_f32)):
        runs.append(os.path.join(folder, name + ".run"))
        mpirun(2, "run", simulated(folder, name, writer), "--out", runs[-1],
               "-q")
    assert np.array_equal(parameters(runs[0]), parameters(runs[1]))


@test
def predict_maps_as_the_run_did(folder):
    job, run = simulated(folder), os.path.join(folder, "RUN")
    mpirun(2, "run", job, "--out", run, "-q")
    out = os.path.join(folder, "p.csv")
    r = covey("predict", run, job + ".test.h5", "-o", out)
    metrics = inspect(run)["metrics"]
    assert "accuracy %.6g " % metrics["test_accuracy"] in r.err
    assert "loss %.6g " % metrics["test_loss"] in r.err
    with open(out) as f:
        rows = list(csv.DictReader(f))
    _, y = stripes(1300, 2)
    right = np.mean([int(row["label"]) == k for row, k in zip(rows, y)])
    assert abs(right - metrics["test_accuracy"]) < 1e-12
    text = covey("inspect", run).out
    assert "%d inputs" % (H * W) in text and "scattering" in text
    assert inspect(run)["model"]["transform"] == "scattering"


@test
def silos_with_their_own_data(folder):
    """One file each, test rows of their own, ranks that share a silo."""
    x, y = stripes(300, 3)
    for i, name in enumerate(NAMES):
        part = slice(100 * i, 100 * i + 100)
        write_u8(os.path.join(folder, name + ".h5"), x[part], y[part])
        write(os.path.join(folder, name + ".yaml"),
              "silo: %s\ndata: %s.h5\nstate: state-%s\nthreads: 2\n" %
              (name, name, name))
    job = write(os.path.join(folder, "job.yaml"), job_text(
        silos=NAMES, fmt="hdf5", model=MODEL, local=LOCAL,
        data="test_fraction: 0.3"))
    seen = []
    for ranks in (1, 2, 4):
        run = os.path.join(folder, "RUN%d" % ranks)
        mpirun(ranks, "run", job, "--silo-dir", folder, "--out", run, "-q")
        seen.append((parameters(run), inspect(run)["metrics"]))
    assert np.array_equal(seen[0][0], seen[1][0])
    assert seen[0][1] == seen[1][1]
    assert np.allclose(seen[0][0], seen[2][0], atol=1e-4)
    assert seen[0][1]["test_accuracy"] > 0.9


@test
def check_counts_what_it_takes(folder):
    text = covey("check", simulated(folder)).out
    assert "972 features of scattering" in text
    assert "1,946 parameters" in text
    # 1,700 rows: bytes, features, target.
    mb = 1700 * (H * W + 81 * 12 * 4 + 4) / 1e6
    assert "%.1f MB of data" % mb in text, text


@test
def images_that_do_not_fit(folder):
    odd = "{kind: softmax, transform: scattering}"
    for model, words in (
            (MODEL.replace("16", "17"), ("model.image", "192", "12 x 17")),
            (odd, ("192", "square", "model.image")),
            (MODEL.replace("[12, 16]", "[6, 32]"), ("8 x 8", "6 x 32"))):
        job = simulated(folder, model=model)
        for r in (covey("check", job, expect=2),
                  mpirun(2, "run", job, "--out", os.path.join(folder, "R"),
                         expect=2)):
            assert len(r.messages) == 1, r.err
            for word in words:
                assert word in r.messages[0], r.messages[0]
    square = stripes(50, 1)[0][:, :144], stripes(50, 1)[1]
    write_u8(os.path.join(folder, "s.h5"), *square)
    job = write(os.path.join(folder, "s.yaml"), job_text(
        silos=NAMES, fmt="hdf5", model=odd, rest="simulate: {source: s.h5}"))
    assert "729 features" in covey("check", job).out
    job = write(os.path.join(folder, "c.yaml"), job_text(
        silos=NAMES, fmt="csv", model=odd, rest="simulate: {source: c.csv}",
        data="features: [{name: p, type: category}, {name: q}]"))
    write(os.path.join(folder, "c.csv"), "p,q,label\n" + "u,1,0\nv,2,1\n" * 20)
    r = covey("check", job, expect=2)
    assert "'p' is a category" in r.messages[0], r.err


main()

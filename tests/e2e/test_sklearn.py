"""Learning, compared with scikit-learn on the pooled rows."""
import os

import numpy as np
from sklearn.linear_model import (LinearRegression, LogisticRegression,
                                  PoissonRegressor)

from harness import (blobs, inspect, job_text, main, mpirun, test, write,
                     write_csv)

NAMES = ("a", "b", "c")
CUTS = (0, 150, 250, 600)


def train(folder, x, y, model, rate, rounds, extra=""):
    for i, name in enumerate(NAMES):
        part = slice(CUTS[i], CUTS[i + 1])
        write_csv(os.path.join(folder, name + ".csv"), x[part], y[part])
        write(os.path.join(folder, name + ".yaml"),
              "silo: %s\ndata: %s.csv\n" % (name, name))
    # One full-batch step a round: federated gradient descent on pooled rows.
    write(os.path.join(folder, "job.yaml"),
          job_text(NAMES, model="{kind: %s}" % model, rounds=rounds,
                   local="{steps: 1, batch: 100000, learning_rate: %g}" % rate,
                   rest="checkpoint: {every: 1000}\n", data=extra))
    out = os.path.join(folder, "run")
    mpirun(3, "run", os.path.join(folder, "job.yaml"), "--silo-dir", folder,
           "--out", out, "-q")
    return out


def coefficients(run):
    import h5py
    with h5py.File(os.path.join(run, "run.h5")) as f:
        found = {}
        f["/model/params"].visititems(
            lambda name, d: found.__setitem__(name, np.array(d, dtype=float))
            if isinstance(d, h5py.Dataset) else None)
    weight = [v for k, v in found.items() if k.endswith("weight")][0]
    bias = [v for k, v in found.items() if k.endswith("bias")][0]
    return weight, bias


@test
def linear_regression(folder):
    g = np.random.default_rng(1)
    x = g.normal(size=(600, 5))
    y = x @ [1.0, -2.0, 0.5, 0.0, 3.0] + 0.7 + 0.3 * g.normal(size=600)
    run = train(folder, x, y, "linear", 0.3, 150)
    ref = LinearRegression().fit(x, y)
    w, b = coefficients(run)
    assert np.allclose(w.ravel(), ref.coef_, atol=2e-4), (w, ref.coef_)
    assert np.allclose(b, ref.intercept_, atol=2e-4)


@test
def logistic_regression(folder):
    x, y = blobs(600, cols=4, classes=2, seed=5)
    run = train(folder, x, y, "logistic", 1.0, 1500)
    ref = LogisticRegression(penalty="none", max_iter=1000, tol=1e-10).fit(x, y)
    w, b = coefficients(run)
    assert np.allclose(w.ravel(), ref.coef_.ravel(), rtol=5e-3, atol=5e-3)
    assert np.allclose(b, ref.intercept_, rtol=5e-3, atol=5e-3)


@test
def softmax_regression(folder):
    x, y = blobs(600, cols=4, classes=3, seed=6)
    g = np.random.default_rng(7)  # wrong labels keep the optimum near
    y = np.where(g.random(600) < 0.4, g.integers(0, 3, 600), y)
    run = train(folder, x, y, "softmax", 0.5, 2000)
    ref = LogisticRegression(penalty="none", max_iter=5000, tol=1e-10).fit(x, y)
    w, b = coefficients(run)
    # A constant added to all classes changes nothing: compare contrasts.
    assert np.allclose(w - w[0], ref.coef_ - ref.coef_[0], rtol=2e-2, atol=1e-2)
    assert np.allclose(b - b[0], ref.intercept_ - ref.intercept_[0], atol=1e-2)


@test
def poisson_regression(folder):
    g = np.random.default_rng(2)
    x = g.normal(size=(600, 3)) * 0.5
    y = g.poisson(np.exp(x @ [0.5, -0.8, 0.2] + 0.4))
    run = train(folder, x, y, "poisson", 0.3, 600)
    ref = PoissonRegressor(alpha=0.0, max_iter=1000, tol=1e-10).fit(x, y)
    w, b = coefficients(run)
    assert np.allclose(w.ravel(), ref.coef_, atol=2e-3)
    assert np.allclose(b, ref.intercept_, atol=2e-3)


@test
def pooled_standardisation_is_that_of_the_pooled_rows(folder):
    g = np.random.default_rng(3)
    x = g.normal(size=(600, 3)) * [1.0, 50.0, 0.01] + [0.0, 1000.0, 5.0]
    y = x @ [1.0, 0.02, 30.0] + g.normal(size=600)
    run = train(folder, x, y, "linear", 0.3, 100, extra="standardize: pooled")
    import h5py
    with h5py.File(os.path.join(run, "run.h5")) as f:
        shift, unit = np.array(f["/data/shift"]), np.array(f["/data/unit"])
    x32 = x.astype(np.float32).astype(float)
    assert np.allclose(shift, x32.mean(0), rtol=1e-9)
    assert np.allclose(unit, x32.std(0), rtol=1e-7)
    w, b = coefficients(run)
    ref = LinearRegression().fit((x - x.mean(0)) / x.std(0), y)
    assert np.allclose(w.ravel(), ref.coef_, rtol=1e-3, atol=1e-3)


@test
def held_out_rows_are_not_trained_on(folder):
    """With labels of noise, test accuracy stays at chance while the training
    loss falls: a leak of test rows would show."""
    g = np.random.default_rng(4)
    x, y = g.normal(size=(600, 200)), g.integers(0, 2, 600)
    run = train(folder, x, y, "logistic", 0.5, 200, extra="test_fraction: 0.3")
    report = inspect(run)
    history = report["history"]
    assert history[-1]["train_loss"] < 0.4 < history[0]["train_loss"]
    assert abs(report["metrics"]["test_accuracy"] - 0.5) < 0.15


main()

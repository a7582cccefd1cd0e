"""Fits of statistical models.

(a) Logistic regression, 10^6 rows of 100 columns in double precision, two silos
    on two ranks of one thread, against scikit-learn's (lbfgs, two threads) and
    R's glm.fit on the same rows.  scikit-learn at its default tolerance; at the
    loosest that comes within 1e-6 of the answer, for which its lbfgs must be kept
    from stopping where the loss hardly falls (ftol of scipy, which it has no
    argument for); and its Newton solver, which is the same method as Covey's.  R gets the first 100,000 rows and its time is
    multiplied by ten (its cost is linear in rows); BENCH_FULL=1 gives it all.
(b) Ridge with 8,000 columns, 20,000 rows: seconds of factor and solve on 2 ranks
    (the bare pdpotrf and pdpotrs are bench_solver's), and peak memory of a rank on
    1, 2 and 4.

    bench_statistics.py [glm|ridge]       BENCH_ROWS, BENCH_FEATURES: other sizes
"""
import os
import re
import shutil
import subprocess
import sys
import time

import h5py
import numpy as np

import bench

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = int(os.environ.get("BENCH_ROWS", 1000000))
COLS, R_ROWS = 100, min(100000, ROWS)
FEATURES = int(os.environ.get("BENCH_FEATURES", 8000))
CLOSE = 1e-6
folder = bench.folder("statistics", fresh=False)


def save(path, x, y):
    """A data set as silos have it."""
    with h5py.File(path + ".tmp", "w") as f:
        f["x"] = x
        # Short, for run.h5 keeps the formula with all of them in one attribute.
        f["x"].attrs["columns"] = np.array(["c%x" % j for j in range(x.shape[1])],
                                           "S")
        f["y"] = y
        f["y"].attrs["name"] = np.bytes_("label")
    os.replace(path + ".tmp", path)


def job(name, silos, model):
    for s in silos:
        bench.write(os.path.join(folder, s + ".yaml"),
                    "silo: %s\ndata: %s.h5\nthreads: 1\n" % (s, s))
    return bench.write(os.path.join(folder, name + ".job"), """\
covey: 1
name: %s
silos: [%s]
data: {format: hdf5}
model: %s
training: {strategy: newton, rounds: 25, tolerance: 1.0e-10}
disclosure: {min_rows: 1, min_cell: 1, rows_per_parameter: 0}
""" % (name, ", ".join("{name: %s}" % s for s in silos), model))


def covey(ranks, path, run, around=()):
    """Seconds of the run from launch to end."""
    shutil.rmtree(run, ignore_errors=True)
    return bench.timed(bench.mpirun(ranks, *around, bench.COVEY, "run", path,
                                    "--silo-dir", folder, "--out", run, "-q"))


def log(run, event):
    """Lines of an event: [{key: value}]."""
    with open(os.path.join(run, "covey.log")) as f:
        found = [l for l in f if re.search(r"\b%s\b" % event, l)]
    return [dict(re.findall(r"(\w+)=(\S+)", l)) for l in found]


# ---- (a) ----------------------------------------------------------------------


def logistic_data():
    """silo files, and for the peers x.npy, y.npy and R's columns."""
    path = os.path.join(folder, "x%d.npy" % ROWS)
    if not os.path.exists(path):
        g = np.random.default_rng(0)
        x = g.normal(size=(ROWS, COLS))
        b = g.normal(size=COLS) / np.sqrt(COLS)
        y = (g.random(ROWS) < 1 / (1 + np.exp(-(x @ b - 0.3)))).astype(np.int32)
        np.save(os.path.join(folder, "y%d.npy" % ROWS), y)
        for r in {R_ROWS, ROWS if os.environ.get("BENCH_FULL") else R_ROWS}:
            with open(os.path.join(folder, "r%d.bin" % r), "wb") as f:
                for j in range(COLS):
                    np.ascontiguousarray(x[:r, j]).tofile(f)
                y[:r].astype(float).tofile(f)
        half = ROWS // 2
        save(os.path.join(folder, "north.h5"), x[:half], y[:half])
        save(os.path.join(folder, "south.h5"), x[half:], y[half:])
        np.save(path + ".tmp.npy", x)
        os.replace(path + ".tmp.npy", path)
    return path


def covey_glm():
    run = os.path.join(folder, "RUN")
    path = job("logistic", ("north", "south"),
               '{kind: glm, family: binomial, formula: "label ~ ."}')
    whole = covey(2, path, run)
    with h5py.File(os.path.join(run, "run.h5"), "r") as f:
        history = f["/history"]
        columns = [c for c in history.dtype.names if c.startswith("seconds_")] \
            if isinstance(history, h5py.Dataset) else \
            [c for c in history if c.startswith("seconds_")]
        rounds = sum(np.nansum(history[c]) for c in columns)
        number = len(history[columns[0]])
        coefficients = f["/model/params/coefficients"][()]
    return {"rounds": rounds, "number": number, "whole": whole,
            "coefficients": coefficients}


SKLEARN = """\
import sys, time, warnings
import numpy as np
from scipy import optimize
from sklearn.linear_model import LogisticRegression
usual = optimize.minimize
def exact(*args, **kw):
    kw["options"]["ftol"] = 1e-16
    return usual(*args, **kw)
warnings.simplefilter("ignore")
x, y = np.load(sys.argv[1]), np.load(sys.argv[2])
for run in sys.argv[4:]:
    solver, tol = run.split("@")
    optimize.minimize = exact if solver == "exact-lbfgs" else usual
    solver = solver.replace("exact-", "")
    m = LogisticRegression(penalty=None, solver=solver, tol=float(tol),
                           max_iter=10000)
    start = time.perf_counter()
    m.fit(x, y)
    seconds = time.perf_counter() - start
    np.save(sys.argv[3] + run + ".npy", np.append(m.intercept_, m.coef_))
    print("fit", run, seconds, m.n_iter_[0], flush=True)
"""


def sklearn_glm(runs):
    """{solver@tolerance: (seconds, iterations, coefficients)}, two threads."""
    out = os.path.join(folder, "sklearn-")
    env = dict(os.environ, OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2")
    text = subprocess.run(
        [bench.PYTHON, "-c", SKLEARN, os.path.join(folder, "x%d.npy" % ROWS),
         os.path.join(folder, "y%d.npy" % ROWS), out] + runs, env=env,
        check=True, stdout=subprocess.PIPE, timeout=1800).stdout.decode()
    return {run: (float(seconds), int(steps), np.load(out + run + ".npy"))
            for run, seconds, steps in re.findall(r"fit (\S+) (\S+) (\d+)", text)}


R = """\
args <- commandArgs(TRUE)
n <- as.integer(args[2]); p <- as.integer(args[3])
d <- readBin(args[1], "double", n * (p + 1))
y <- d[(n * p + 1):(n * (p + 1))]
x <- cbind(1, matrix(d[1:(n * p)], n, p))
rm(d); invisible(gc())
t <- system.time(fit <- glm.fit(x, y, family = binomial()))
cat("fit", t[["elapsed"]], fit$iter, "\\n")
"""


def r_glm(rows):
    script = bench.write(os.path.join(folder, "glm.R"), R)
    text = subprocess.check_output(
        ["Rscript", script, os.path.join(folder, "r%d.bin" % rows), str(rows),
         str(COLS)], timeout=3600).decode()
    seconds, steps = re.search(r"fit (\S+) (\d+)", text).groups()
    return float(seconds), int(steps)


def far(a, b):
    """Largest error relative to a coefficient, or to the usual one."""
    return (np.abs(a - b) / np.maximum(np.abs(b), np.abs(b).mean())).max()


DEFAULT, NEWTON = "lbfgs@1e-4", "newton-cholesky@1e-4"
LBFGS = ["exact-lbfgs@1e%d" % e for e in (0, -1, -2, -3, -4, -5)]


def glm():
    logistic_data()
    runs, best, peers = [DEFAULT] + LBFGS + [NEWTON], None, {}
    for turn in range(bench.times(3)):
        now = covey_glm()
        whole = min(now["whole"], best["whole"] if best else np.inf)
        if best is None or now["rounds"] < best["rounds"]:
            best = now
        best["whole"] = whole
        for r, found in sklearn_glm(runs).items():
            if r not in peers or found[0] < peers[r][0]:
                peers[r] = found
        if turn == 0:
            off = {r: far(peers[r][2], now["coefficients"]) for r in runs}
            for r in runs:
                bench.say("sklearn %s: %.2f s, %d iterations, coefficients %.1e "
                          "from Covey's" % (r, *peers[r][:2], off[r]))
            near = [r for r in LBFGS if off[r] <= CLOSE]
            close = near[0] if near else min(LBFGS, key=lambda r: off[r])
            # What is more than needed is measured once, to know which that is.
            runs = [DEFAULT, close, NEWTON]
    seconds, number = best["rounds"], best["number"]
    bench.say("covey: %d rounds in %.2f s; %.2f s from launch to end, of which "
              "%.2f s are not rounds (mostly reading)" % (
                  number, seconds, best["whole"], best["whole"] - seconds))
    size = "%g rows x %d" % (ROWS, COLS)
    for r in runs:
        bench.row("logistic regression, %s, 2 ranks" % size, "%.2f s" % seconds,
                  "sklearn %s (%.0e off): %.2f s" % (r, off[r], peers[r][0]),
                  seconds / peers[r][0], seconds <= peers[r][0])
    rows = ROWS if os.environ.get("BENCH_FULL") else R_ROWS
    if not shutil.which("Rscript"):
        bench.say("R is not installed: not measured")
        return
    took, steps = r_glm(rows)
    scaled = took * ROWS / rows
    bench.say("R glm.fit: %d rows, %d iterations, %.2f s%s" % (
        rows, steps, took, "" if rows == ROWS else
        "; taken as %.1f s for %d (cost is linear in rows)" % (scaled, ROWS)))
    bench.row("logistic regression, %s, 2 ranks" % size, "%.2f s" % seconds,
              "R glm.fit%s: %.1f s" % ("" if rows == ROWS else ", scaled",
                                       scaled), seconds / scaled,
              seconds <= scaled)


# ---- (b) ----------------------------------------------------------------------


SILOS, SILO_ROWS = ("r0", "r1", "r2", "r3"), 5000


def ridge():
    for k, s in enumerate(SILOS):
        path = os.path.join(folder, s + ".h5")
        if os.path.exists(path):
            with h5py.File(path, "r") as f:
                if f["x"].shape == (SILO_ROWS, FEATURES):
                    continue
        g = np.random.default_rng(k)
        x = g.standard_normal((SILO_ROWS, FEATURES), dtype=np.float32)
        y = x[:, :50].sum(1) + g.standard_normal(SILO_ROWS, dtype=np.float32)
        save(path, x, y)
    path = job("ridge", SILOS, '{kind: ridge, formula: "label ~ .", ridge: 10}')
    run, peaks, solve = os.path.join(folder, "RUN-ridge"), {}, {}
    for ranks in (1, 2, 4):
        start = time.monotonic()
        covey(ranks, path, run, (bench.PYTHON, os.path.join(HERE, "peak.py"),
                                 folder))
        whole = time.monotonic() - start
        peaks[ranks] = max(int(open(os.path.join(folder, "peak.%d" % r)).read())
                           for r in range(ranks)) / 1024.0
        lines = log(run, "fit_solve")
        solve[ranks] = float(lines[-1]["seconds"]) if lines else float("nan")
        bench.say("ridge, %d columns, %d ranks: %.1f s in all; fit_solve %s; "
                  "VmHWM of the largest rank %.0f MB" % (
                      FEATURES, ranks, whole, lines[-1:] or "not logged",
                      peaks[ranks]))
        for line in log(run, "fit_memory"):
            bench.say("    fit_memory " + " ".join("%s=%s" % kv
                                                   for kv in line.items()))
    flops = FEATURES ** 3 / 3 + 2 * FEATURES ** 2
    bench.say("ridge: factor and solve on 2 ranks %.2f s, %.1f Gflop/s; compare "
              "bench_solver" % (solve[2], flops / solve[2] / 1e9))
    # The matrix alone is 8 n^2 bytes, spread over the ranks.
    limit = peaks[1] / 2
    bench.row("ridge, %d columns, memory of a rank, 4 ranks" % FEATURES,
              "%.0f MB" % peaks[4], "half of that on 1: %.0f MB" % limit,
              peaks[4] / limit, peaks[4] <= limit)


want = sys.argv[1] if len(sys.argv) > 1 else ""
for part in (glm, ridge):
    if want in part.__name__:
        part()

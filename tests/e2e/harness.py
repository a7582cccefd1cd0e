"""Driving the real program: a scratch folder, jobs, data, mpirun, checks.

A test file registers functions with @test and ends with main().  COVEY names the
program (default build/covey).  Nothing here measures time; a hang is a failure.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COVEY = os.environ.get("COVEY", os.path.join(ROOT, "build", "covey"))
LIMIT = 120  # seconds until a command counts as hung
_tests = []


def test(f):
    _tests.append(f)
    return f


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def messages(self):
        """Covey's own error lines; mpirun adds lines of its own."""
        return [l for l in self.err.splitlines() if l.startswith("covey: error")]


def environment(extra=None):
    env = dict(os.environ)
    env.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
               OMPI_MCA_rmaps_base_oversubscribe="1",
               OMPI_MCA_hwloc_base_binding_policy="none",
               OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    env.update(extra or {})
    return env


def start(args, cwd=None, env=None):
    """A process in a group of its own, so that all of it can be ended."""
    return subprocess.Popen(args, cwd=cwd, env=environment(env),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True)


def finish(p, limit=LIMIT):
    try:
        out, err = p.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out, err = p.communicate()
        raise AssertionError("hung: %s\n%s" % (p.args, err.decode()[-3000:]))
    return Result(p.returncode, out.decode(), err.decode())


def command(args, expect=0, cwd=None, env=None):
    r = finish(start(args, cwd, env))
    if expect is not None and r.code != expect:
        raise AssertionError("%s: expected exit %s, found %s\n%s\n%s" %
                             (" ".join(args), expect, r.code, r.out[-2000:],
                              r.err[-4000:]))
    return r


def covey(*args, expect=0, cwd=None, env=None):
    return command([COVEY] + [str(a) for a in args], expect, cwd, env)


def mpirun_args(ranks, *args):
    return ["mpirun", "-n", str(ranks), COVEY] + [str(a) for a in args]


def mpirun(ranks, *args, expect=0, cwd=None, env=None):
    return command(mpirun_args(ranks, *args), expect, cwd, env)


def inspect(run):
    return json.loads(covey("inspect", run, "--json").out)


def parameters(run):
    """All of /model/params, one after the other."""
    import h5py
    parts = []
    with h5py.File(os.path.join(run, "run.h5")) as f:
        f["/model/params"].visititems(
            lambda _, d: parts.append(np.array(d).ravel())
            if isinstance(d, h5py.Dataset) else None)
    return np.concatenate(parts)


# ---- data ---------------------------------------------------------------------


def blobs(rows, cols=6, classes=3, seed=0):
    """Overlapping Gaussian classes."""
    g = np.random.default_rng(seed)
    centres = g.normal(size=(classes, cols)) * 1.2
    y = g.integers(0, classes, rows)
    return centres[y] + g.normal(size=(rows, cols)), y


def write_csv(path, x, y, target="label", names=None):
    names = names or ["f%d" % j for j in range(x.shape[1])]
    with open(path, "w") as f:
        f.write(",".join(names + [target]) + "\n")
        for row, label in zip(x, y):
            f.write(",".join("%.9g" % v for v in row) + ",%s\n" % label)


def write_silos(folder, names, rows=(90, 60, 150, 40), **kw):
    """CSV data and silo.yaml files for these silos; returns the folder."""
    for i, name in enumerate(names):
        x, y = blobs(rows[i % len(rows)], seed=100 + i, **kw)
        write_csv(os.path.join(folder, name + ".csv"), x, y)
        with open(os.path.join(folder, name + ".yaml"), "w") as f:
            f.write("silo: %s\ndata: %s.csv\nstate: state-%s\n" %
                    (name, name, name))
    return folder


def job_text(silos=("a", "b", "c", "d"), fmt="csv", model="{kind: softmax}",
             strategy="fedavg", rounds=3, local="", training="", data="",
             rest=""):
    """A job file; the free parts are YAML text."""
    local = local or "{epochs: 1, batch: 16, learning_rate: 0.1}"
    if isinstance(silos, str):
        listed = silos
    else:
        listed = "[" + ", ".join("{name: %s}" % s for s in silos) + "]"
    return ("covey: 1\nname: test\nsilos: %s\n"
            "data: {format: %s, target: label%s}\n"
            "model: %s\n"
            "training:\n  strategy: %s\n  rounds: %d\n  local: %s\n%s%s\n" %
            (listed, fmt, data and ", " + data, model, strategy, rounds, local,
             training, rest))


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


# What each strategy needs in a small run that moves but does not diverge.
STRATEGIES = {
    "fedavg": {}, "fedavgm": {},
    "fedprox": {"local": "{epochs: 1, batch: 16, learning_rate: 0.1, "
                         "proximal: 0.1}"},
    "fedadam": {}, "fedyogi": {}, "fedadagrad": {}, "scaffold": {},
    "fednova": {"local": "{epochs: 2, batch: 16, learning_rate: 0.05, "
                         "momentum: 0.9}"},
}


def main():
    want = sys.argv[1] if len(sys.argv) > 1 else ""
    failed = 0
    for f in _tests:
        if want not in f.__name__:
            continue
        folder = tempfile.mkdtemp(prefix="covey-")
        try:
            f(folder)
            print("ok", f.__name__, flush=True)
        except Exception:
            failed += 1
            print("FAIL", f.__name__, flush=True)
            traceback.print_exc()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)

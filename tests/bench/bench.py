"""What the benchmarks in Python share: scratch folder, runs of the program with
the time at which each line of its progress arrives, rows of the final table.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
COVEY = os.path.join(BUILD, "covey")
WORK = os.path.join(BUILD, "bench")  # scratch; data stay for the next run
PYTHON = "/usr/bin/python3"  # the one that Debian's packages belong to
LIMIT = 600  # seconds until a run counts as hung
FASHION = "/usr/share/datasets/fashion-mnist"

# Both sides of a comparison get one thread a rank.
ENV = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1",
           MKL_NUM_THREADS="1")


def times(default):
    """How often to measure: BENCH_TIMES, or the benchmark's own number."""
    return int(os.environ.get("BENCH_TIMES", default))


def row(what, measured, limit, ratio, reached):
    """One line of the table that run.sh prints at the end."""
    print("row\t%s\t%s\t%s\t%.2f\t%s" %
          (what, measured, limit, ratio, "yes" if reached else "no"))


def say(text):
    print(text, flush=True)


def skip(what, why):
    """Not measured: the table says so."""
    print("row\t%s\tnot measured\t%s\t-\t-" % (what, why))
    sys.exit(0)


def folder(name, fresh=True):
    """A folder below build/bench."""
    path = os.path.join(WORK, name)
    if fresh:
        shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path, exist_ok=True)
    return path


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def mpirun(ranks, *args):
    return ["mpirun", "-n", str(ranks)] + [str(a) for a in args]


def timed(args, **kw):
    """Seconds of a command from launch to end."""
    start = time.monotonic()
    p = subprocess.run(args, env=ENV, stdin=subprocess.DEVNULL, timeout=LIMIT,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **kw)
    if p.returncode:
        fail(args, p.returncode, p.stderr.decode())
    return time.monotonic() - start


def lines(args):
    """(seconds since launch, line) of all that a command prints."""
    start = time.monotonic()
    p = subprocess.Popen(args, env=ENV, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out = [(time.monotonic() - start, l.decode().rstrip()) for l in p.stdout]
    if p.wait():
        fail(args, p.returncode, "\n".join(l for _, l in out))
    return out


def fail(args, code, text):
    sys.exit("%s: exit %d\n%s" % (" ".join(args), code, text[-3000:]))


def covey_lines(ranks, job, run):
    """Lines of a fresh `covey run`."""
    shutil.rmtree(run, ignore_errors=True)
    return lines(mpirun(ranks, COVEY, "run", job, "--out", run, "--progress",
                        "log"))


def rounds(printed):
    """[(seconds since launch, round, accuracy)] of covey's round lines."""
    out = []
    for at, line in printed:
        m = re.match(r"round (\d+)/.*test_accuracy ([0-9.]+)", line)
        if m:
            out.append((at, int(m.group(1)), float(m.group(2))))
    return out


def first_round_starts(printed):
    """Seconds from launch to the line that comes before the first round."""
    for at, line in printed:
        if re.match(r"\S+: \d+ silos on \d+ ranks", line):
            return at
    sys.exit("no line of a run's start in:\n" + "\n".join(l for _, l in printed))


def history(run, *columns):
    """Columns of /history."""
    import h5py
    with h5py.File(os.path.join(run, "run.h5"), "r") as f:
        return [f["/history"][c] for c in columns]


def inspect(run):
    return json.loads(subprocess.check_output([COVEY, "inspect", run, "--json"]))


def convert(source, out):
    if not os.path.exists(out):
        subprocess.check_call([COVEY, "convert", source, out],
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    return out


def fashion():
    """Fashion-MNIST as HDF5; returns its folder."""
    if not os.path.isdir(FASHION):
        skip("Fashion-MNIST", "package dataset-fashion-mnist is not installed")
    path = folder("fashion", fresh=False)
    for part, out in (("train", "train.h5"), ("t10k", "test.h5")):
        convert(os.path.join(FASHION, part + "-images-idx3-ubyte.gz"),
                os.path.join(path, out))
    return path

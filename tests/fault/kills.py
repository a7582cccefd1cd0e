"""Ending the program at a chosen moment, and what it must leave behind."""
import glob
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "e2e"))
import harness
from harness import (COVEY, covey, finish, inspect, job_text, mpirun_args,
                     parameters, start, write, write_csv)

# Open MPI starts three times as fast when it need not look for networks; ranks
# that share a core should not spin; and mpirun should not wait for ranks that
# are to be ended.
FAST = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self,vader",
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "OMPI_MCA_odls_base_sigkill_timeout": "0"}
NAMES = ("a", "b", "c", "d")

# A killed process loses nothing that a disk would have kept: memory will do,
# and waits for no disk.
if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 1e8:
    tempfile.tempdir = "/dev/shm"


def run_args(folder, out, ranks, *more, data=True):
    """The command; ranks 0: alone, without mpirun. data: silos read their own;
    else the job simulates them."""
    args = ["run", os.path.join(folder, "job.yaml"), "--out", out, *more]
    if data:
        args += ["--silo-dir", folder]
    return mpirun_args(ranks, *args) if ranks else [COVEY] + args


def launch(folder, out, ranks, *more, data=True, env=None):
    # What killed ranks leave of their shared memory goes with the folder.
    return start(run_args(folder, out, ranks, *more, data=data),
                 env=dict(FAST, OMPI_MCA_btl_vader_backing_directory=folder,
                          **env or {}))


def run(folder, out, ranks, *more, expect=0, data=True, env=None):
    """To its end; expect: the exit code, None for any."""
    p = launch(folder, out, ranks, *more, data=data, env=env)
    r = finish(p)
    assert expect in (r.code, None), (p.args, "expected exit %d, found %d" %
                                      (expect, r.code), r.err[-3000:])
    return r


# ---- processes ------------------------------------------------------------------


def ranks_of(p):
    """{rank: pid} of the ranks below mpirun that are there already."""
    parent, found = {}, {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as f:
                text = f.read()
        except OSError:
            continue
        parent[int(path.split("/")[2])] = int(text.rsplit(")", 1)[1].split()[1])
    for pid in parent:
        above = parent[pid]
        while above not in (0, p.pid):
            above = parent.get(above, 0)
        if not above:
            continue
        try:
            with open("/proc/%d/environ" % pid) as f:
                env = dict(v.split("=", 1) for v in f.read().split("\0") if "=" in v)
        except OSError:
            continue
        rank = env.get("OMPI_COMM_WORLD_RANK", env.get("PMI_RANK"))
        if rank is not None:
            found[int(rank)] = pid
    return found


def wait_until(p, condition, limit=60):
    """False if the program ended before that."""
    end = time.monotonic() + limit
    while p.poll() is None:
        if condition():
            return True
        assert time.monotonic() < end, "hung: %s" % p.args
        time.sleep(0.001)
    return False


def log_size(out):
    try:
        return os.path.getsize(os.path.join(out, "covey.log"))
    except OSError:
        return 0


def rounds_since(out, size):
    """The newest round that has ended since the log had this size; -1 before
    the first start."""
    if log_size(out) <= size:
        return -1
    with open(os.path.join(out, "covey.log")) as f:
        f.seek(size)
        text = f.read()
    done = -1
    for line in text.splitlines():
        word = line.split()
        if len(word) > 1 and word[1] == "run_start":
            done = 0
        elif len(word) > 2 and word[1] == "round_end":
            done = int(word[2].split("=")[1])
    return done


def send(p, sig, rank, pids):
    """To one of the ranks that ranks_of found, or to mpirun (rank None)."""
    try:
        os.kill(p.pid if rank is None else pids[rank], sig)
    except ProcessLookupError:
        pass


def wait_for_ranks(p, ranks):
    """Their processes, once all are there; {0: the program} without mpirun."""
    if not ranks:
        return {0: p.pid}
    found = {}

    def complete():
        found.update(ranks_of(p))
        return len(found) == ranks

    wait_until(p, complete)
    return found


def has_ended(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def signalled(folder, out, ranks, sig, *more, rank=None, after=0, delay=0.0,
              data=True, env=None):
    """Start, wait for the end of round `after` (0: for the processes to be
    there) and a little longer, then signal one rank or mpirun (rank None).
    Returns how it ended."""
    size = log_size(out)
    p = launch(folder, out, ranks, "-q", *more, data=data, env=env)
    pids = wait_for_ranks(p, ranks)
    if after > 0:
        wait_until(p, lambda: rounds_since(out, size) >= after)
    time.sleep(delay)
    if rank is None or rank in pids:
        send(p, sig, rank, pids)
    try:
        r = finish(p, 60)
    except AssertionError as hung:
        # Open MPI 4.1: a rank that is killed before mpirun has its connection
        # ("rank 1 with PID 0") leaves mpirun waiting for itself. That is not
        # the program's doing, which had not come out of MPI_Init.
        if rank is None or after > 0 or "with PID 0" not in str(hung):
            raise
        return harness.Result(137, "", str(hung))
    end = time.monotonic() + 60
    while not all(has_ended(pid) for pid in pids.values()):
        assert time.monotonic() < end, "ranks outlived mpirun"
        time.sleep(0.001)
    return r


def killed(folder, out, ranks, *more, **kw):
    """The same with SIGKILL. False if the program was through before that."""
    r = signalled(folder, out, ranks, signal.SIGKILL, *more, **kw)
    whole(out)
    return r.code != 0


def whole(out):
    """run.h5 is not there yet, or can be read."""
    if os.path.exists(os.path.join(out, "run.h5")):
        covey("inspect", out, "--json")


def outcome(out):
    """What must not depend on kills, restarts and ranks."""
    report = inspect(out)
    history = [{k: v for k, v in h.items() if not k.startswith("seconds")}
               for h in report["history"]]
    return {"round": report["round"], "digest": report["model"]["digest"],
            "parameters": parameters(out).tobytes(), "silos": report["silos"],
            "history": history}


def same(out, reference):
    """The model's bytes, the history and the silos' tallies."""
    found = outcome(out)
    assert [h["round"] for h in found["history"]] == \
        list(range(1, found["round"] + 1)), found["history"]
    for key in reference:
        assert found[key] == reference[key], (key, found[key], reference[key])


# ---- every step on disk -----------------------------------------------------------


def step_library(folder):
    path = os.path.join(folder, "kill_at_step.so")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "kill_at_step.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", path, source, "-ldl"],
                   check=True)
    return path


def stepping(library, under, rank, at=0, trace=None):
    """Environment of a program that ends at its at-th step below a folder."""
    env = {"LD_PRELOAD": library, "KILL_UNDER": under, "KILL_AT": str(at),
           "KILL_RANK": "" if rank is None else str(rank)}
    if trace:
        env["KILL_TRACE"] = trace
    return env


# ---- jobs -----------------------------------------------------------------------


def diverging_late(folder, rounds=40, every=10, minimum=3):
    """A job whose silos c and d diverge some rounds into the run: the steps are
    too long for their data, but it takes a while until floats overflow."""
    rng = np.random.default_rng(4)
    for name, scale in zip(NAMES, (1.0, 1.0, 9.0, 11.0)):
        x = rng.normal(size=(16, 2)) * scale
        write_csv(os.path.join(folder, name + ".csv"), x,
                  x @ np.array([1.0, -2.0]) + 0.1 * rng.normal(size=16))
        write(os.path.join(folder, name + ".yaml"),
              "silo: %s\ndata: %s.csv\nstate: state-%s\n" % (name, name, name))
    write(os.path.join(folder, "job.yaml"),
          job_text(NAMES, model="{kind: linear}", rounds=rounds,
                   local="{epochs: 4, batch: 16, learning_rate: 0.1}",
                   training="  min_silos: %d\n  weights: equal\n" % minimum,
                   rest="checkpoint: {every: %d}\n" % every))


# ---- changing a checkpoint without damaging it ----------------------------------


def seal(path):
    """Write the content_digest that fits what the file holds now (see
    io/checkpoint_digest.c)."""
    import h5py
    kinds = {"<f4": "f32", "<f8": "f64", "<i4": "i32", "<i8": "i64", "|u1": "u8"}

    def kind(t):
        return "s%d" % t.itemsize if t.kind == "S" else kinds[t.str]

    def line(where, attr, t, shape, data):
        named = kind(t) if not t.names else "{%s}" % ",".join(
            "%s:%s" % (n, kind(t[n])) for n in t.names)
        return "%s\t%s\t%s\t(%s)\t%s\n" % (
            where, attr, named, ",".join(map(str, shape)),
            hashlib.sha256(data).hexdigest())

    with h5py.File(path, "r+") as f:
        nodes, lines = ["/"], []
        f.visit(lambda name: nodes.append("/" + name))
        for where in nodes:
            for attr in f[where].attrs:
                if attr != "content_digest":
                    value = np.asarray(f[where].attrs[attr])
                    t = f[where].attrs.get_id(attr).dtype
                    lines.append(line(where, attr, t, (),
                                      value.astype(t).tobytes()))
            if isinstance(f[where], h5py.Dataset):
                d = f[where]
                lines.append(line(where, "", d.dtype, d.shape,
                                  np.asarray(d[()]).astype(d.dtype).tobytes()))
        digest = hashlib.sha256("".join(
            sorted(lines, key=lambda s: s.encode())).encode()).hexdigest()
        old = f.attrs["content_digest"].decode()
        f.attrs.modify("content_digest", np.bytes_(digest))
    return old == digest

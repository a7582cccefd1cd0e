"""What the tests of budgets and replays share: private jobs, what the sites'
journals and the public ledger say, and an accountant of the tests' own."""
import glob
import math
import os
import shutil
import subprocess
import sys
from statistics import NormalDist

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "e2e"))
from harness import finish, mpirun_args, start
from kills import COVEY, FAST
from secure_sites import secure_job

NAMES = ("a", "b", "c")
PRIVATE = "privacy: {unit: silo, delta: 1.0e-5, clip: 1, %s}\n"
DELTA = 1e-5


# ---- runs ---------------------------------------------------------------------


def job(folder, what="", names=NAMES, **kw):
    """what: the rest of a privacy section of unit silo; None: masks alone."""
    rest = kw.pop("rest", "")
    if what is not None:
        rest = PRIVATE % what + rest
    return secure_job(folder, names, rest=rest, **kw)


def launch(folder, *more, ranks=len(NAMES), out="RUN", job="job.yaml",
           sites="sites", env=None):
    args = ["run", os.path.join(folder, job), "--out", os.path.join(folder, out),
            *more]
    if sites:
        args += ["--silo-dir", os.path.join(folder, sites)]
    args = mpirun_args(ranks, *args) if ranks else [COVEY] + args
    # What killed ranks leave of their shared memory goes with the folder.
    return start(args, env=dict(FAST, **env or {},
                                OMPI_MCA_btl_vader_backing_directory=folder))


def run(folder, *more, expect=0, says=(), **kw):
    """To its end. Each of `says` stands in the output; a failure has one message
    of Covey's own, and nobody's private folder is ever named."""
    r = finish(launch(folder, *more, **kw))
    shown = "exit %s\n%s\n%s" % (r.code, r.out[-2000:], r.err[-3000:])
    assert expect is None or r.code == expect, "expected %s: %s" % (expect, shown)
    assert expect in (0, None) or len(r.messages) == 1, shown
    assert "state-" not in r.out + r.err, "a private path got out: " + shown
    for words in says:
        assert words in r.err, "no %r: %s" % (words, shown)
    return r


def copy(folder, name):
    """A copy of everything: job, sites, states, run."""
    to = os.path.join(os.path.dirname(folder), name)
    shutil.copytree(folder, to)
    return to


def run_folder(folder, out="RUN"):
    return os.path.join(folder, out)


# ---- journals -------------------------------------------------------------------


def journal_path(folder, name):
    return os.path.join(folder, "sites", "state-" + name,
                        "silo-%s.journal" % name)


def journal_bytes(folder, names=NAMES):
    found = {}
    for name in names:
        if os.path.exists(journal_path(folder, name)):
            with open(journal_path(folder, name), "rb") as f:
                found[name] = f.read()
    return found


def entries(path):
    """Its lines as dictionaries, the first one left out, and so one that has no
    end."""
    with open(path) as f:
        lines = f.read().split("\n")[:-1]
    assert lines[0].startswith("covey journal 1 "), lines[0]
    found = []
    for line in lines[1:]:
        kind, *words = line.split()
        e = dict(w.split("=", 1) for w in words)
        e.update(kind=kind, **{k: int(e[k]) for k in ("round", "attempt", "draw")})
        e["steps"] = int(e.get("steps", 0))
        found.append(e)
    return found


def attempts(folder, name, run=None):
    return [e for e in entries(journal_path(folder, name))
            if e["kind"] == "attempt" and run in (None, e["run"])]


def spent(folder, name, run=None):
    """Noised sums that the silo has paid for."""
    return sum(e["steps"] for e in attempts(folder, name, run))


def check_charged(folder, names=NAMES):
    """Every noised vector that the journals know was charged, once; attempts at
    a round rise; what is drawn again was drawn before."""
    for name in names:
        seen, newest = set(), {}
        for e in attempts(folder, name):
            key = (e["run"], e["round"])
            assert e["attempt"] > newest.get(key, 0), (name, e)
            newest[key] = e["attempt"]
            if e["round"] == 0:
                continue
            fresh = e["vector"] not in seen
            assert e["steps"] == (1 if fresh else 0), (name, e)
            assert fresh == (e["draw"] == e["attempt"]), (name, e)
            seen.add(e["vector"])


def check_agreement(folder, names=NAMES, last=True):
    """Journals of silos that took part in everything tell the same; a silo may
    lack an attempt that ended before it was in all journals."""
    tables = [{(e["run"], e["round"], e["attempt"]):
               (e["draw"], e["model"], e["members"], e["job"])
               for e in attempts(folder, name)} for name in names]
    keys = [{} for _ in names]
    for table, newest in zip(tables, keys):
        for k, v in table.items():
            assert all(t.get(k, v) == v for t in tables), k
            newest[k[:2]] = max(newest.get(k[:2], 0), k[2])
    assert not last or all(k == keys[0] for k in keys), keys


# ---- arithmetic -----------------------------------------------------------------


def delta_of(epsilon, sigma):
    """Gaussian mechanism of sensitivity 1 (Balle and Wang 2018, theorem 8)."""
    phi = NormalDist().cdf
    return phi(0.5 / sigma - epsilon * sigma) - \
        math.exp(epsilon) * phi(-0.5 / sigma - epsilon * sigma)


def epsilon_of(multiplier, rounds, delta=DELTA):
    """Of so many sums in which a silo always takes part: T Gaussians of
    deviation z are one of z / sqrt(T)."""
    if rounds == 0:
        return 0.0
    sigma, low, high = multiplier / math.sqrt(rounds), 0.0, 1.0
    while delta_of(high, sigma) > delta:
        high *= 2
    for _ in range(200):
        mid = (low + high) / 2
        if delta_of(mid, sigma) > delta:
            low = mid
        else:
            high = mid
    return high


def multiplier_of(epsilon, rounds, delta=DELTA):
    """The least noise that keeps epsilon over so many rounds."""
    low, high = 1e-3, 1e6
    for _ in range(200):
        mid = math.sqrt(low * high)
        if epsilon_of(mid, rounds, delta) > epsilon:
            low = mid
        else:
            high = mid
    return high


# Discrete noise, rounding and buckets cost the program a little more than that.
SLACK = 2e-3


def check_epsilon(told, multiplier, rounds, delta=DELTA):
    exact = epsilon_of(multiplier, rounds, delta)
    assert exact * (1 - 1e-9) <= told <= exact * (1 + SLACK), (told, exact)


def saved(folder, out="RUN", file="run.h5"):
    """Attributes and ledger of /privacy."""
    import h5py
    with h5py.File(os.path.join(folder, out, file), "r") as f:
        found = {k: (v.decode() if isinstance(v, bytes) else v)
                 for k, v in f["privacy"].attrs.items()}
        found["ledger"] = [dict(zip(row.dtype.names, row))
                           for row in f["privacy/ledger"][()]]
    return found


# ---- kills at calls -----------------------------------------------------------


def call_library(folder):
    path = os.path.join(folder, "kill_at_call.so")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "kill_at_call.c")
    subprocess.run(["mpicc", "-shared", "-fPIC", "-O1", "-o", path, source,
                    "-ldl"], check=True)
    return path


def calling(library, under, rank, at=0, half=False, trace=None):
    """Environment of a program whose rank ends at its at-th call."""
    env = {"LD_PRELOAD": library, "KILL_UNDER": under, "KILL_AT": str(at),
           "KILL_RANK": str(rank)}
    if half:
        env["KILL_HALF"] = "1"
    if trace:
        env["KILL_TRACE"] = trace
    return env


def kept_rounds(folder, out="RUN"):
    return sorted(int(p[-9:-3]) for p in
                  glob.glob(os.path.join(folder, out, "round-*.h5")))

"""What the fault tests share: a job with four sites whose secrets must not get
out, runs that must fail well, and several runs at a time."""
import hashlib
import os
import re
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "e2e"))
import harness
from harness import (COVEY, blobs, job_text, mpirun_args, write, write_csv)
from kills import FAST

NAMES = ("a", "b", "c", "d")

# (ranks, failing silo): the first, a middle and the last silo, on the first, a
# middle and the last rank; ranks 0 is the program without mpirun, with 6 ranks
# two silos are shared.
PLACES = (((0, "c"), (2, "d"), (4, "a")),
          ((1, "a"), (2, "b"), (4, "d")),
          ((1, "d"), (2, "a"), (4, "b")),
          ((0, "b"), (3, "c"), (6, "a")))


def start(args, cwd=None, env=None):
    return harness.start(args, cwd, dict(FAST, **env or {}))


def finish(p, limit=60):
    return harness.finish(p, limit)


def run_args(ranks, *args):
    return mpirun_args(ranks, *args) if ranks else [COVEY] + list(args)


def snapshot(*folders, but=()):
    """Every path below the folders, with mode and content."""
    found = {}
    for top in folders:
        found[top] = os.path.isdir(top)
        for base, dirs, files in os.walk(top):
            for name in dirs + files:
                path = os.path.join(base, name)
                if name in but:
                    continue
                text = b""
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        text = hashlib.sha256(f.read()).digest()
                found[path] = (os.lstat(path).st_mode, text)
    return found


def fails(args, code, words, hides=(), cwd=None, env=None):
    """Run it: this exit code, and one message of Covey's own with these words
    (regular expressions); what it hides stands nowhere in the output."""
    r = finish(start(args, cwd, env))
    shown = "%s\nexit %s\n%s\n%s" % (" ".join(args), r.code, r.out[-2000:],
                                     r.err[-3000:])
    assert r.code == code, "expected exit %s: %s" % (code, shown)
    assert len(r.messages) == 1, "expected one message: %s" % shown
    assert "Sanitizer" not in r.err, shown
    for word in words:
        assert re.search(word, r.messages[0]), "no %r in: %s" % (word, shown)
    for secret in hides:
        assert secret not in r.out + r.err, "%r got out: %s" % (secret, shown)
    return r.messages[0]


def together(jobs, workers=3):
    """Call each of the functions, a few at a time; all must pass."""
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def make_sites(folder, names=NAMES, rows=40, ext="csv", fill=None):
    """sites/NAME.yaml, and vault-NAME/ with the data and the state of that
    site, whose name must never be seen by the others. fill(path, i) writes the
    data."""
    os.makedirs(os.path.join(folder, "sites"))
    for i, name in enumerate(names):
        vault = os.path.join(folder, "vault-" + name)
        os.makedirs(vault)
        path = os.path.join(vault, "rows." + ext)
        if fill:
            fill(path, i)
        else:
            x, y = blobs(rows, cols=3, seed=100 + i)
            write_csv(path, x, y)
        write(os.path.join(folder, "sites", name + ".yaml"),
              "silo: %s\ndata: %s\nstate: %s/state\n" % (name, path, vault))


def vault(folder, name, *more):
    return os.path.join(folder, "vault-" + name, *more)


def run_sites(folder, ranks, *more, out="RUN"):
    return run_args(ranks, "run", os.path.join(folder, "job.yaml"),
                    "--silo-dir", os.path.join(folder, "sites"), "--out",
                    os.path.join(folder, out), *more)


def site_log(folder, name):
    """The text of a site's own log, which is for its owner alone."""
    path = vault(folder, name, "state", "silo-%s.log" % name)
    if not os.path.exists(path):
        return ""
    assert stat.S_IMODE(os.lstat(path).st_mode) == 0o600
    with open(path) as f:
        return f.read()


def edit_lines(path, change):
    """change(list of lines) -> list of lines."""
    with open(path) as f:
        lines = f.read().splitlines()
    write(path, "\n".join(change(lines)) + "\n")


def poke(row, column, value):
    """A change for edit_lines: one field of a CSV row (header: row 0)."""
    def change(lines):
        fields = lines[row].split(",")
        fields[column] = value
        lines[row] = ",".join(fields)
        return lines
    return change


__all__ = ["COVEY", "NAMES", "PLACES", "blobs", "edit_lines", "fails", "finish",
           "job_text", "make_sites", "mpirun_args", "poke", "run_args",
           "run_sites", "site_log", "snapshot", "start", "together", "vault",
           "write", "write_csv"]

"""Runs for test_verify.py, and what `covey verify` says of them and of copies that
a cheating root has changed (tests/fault/cheat.c)."""
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "e2e"))
from harness import COVEY, blobs, covey, job_text, mpirun, write, write_csv
from secure_sites import make_sites, secure_job

CHEAT = os.path.join(os.path.dirname(COVEY), "tests", "fault", "cheat")
NAMES = ("a", "b", "c", "d")
FEDERATION = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
PAYEE = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
REWARDS = ('rewards: {token: "%s", sponsor: "%s", pool: "%%s", method: %%s%%s}' %
           (FEDERATION, PAYEE))
_top = []
_made = {}


def chain(method="equal", pool="1000.0", more=""):
    return ('chain: {network: local, federation: "%s", %s}\n' %
            (FEDERATION, REWARDS % (pool, method, more)))


def top():
    if not _top:
        _top.append(tempfile.mkdtemp(prefix="covey-verify-"))
        atexit.register(shutil.rmtree, _top[0], True)
        x, y = blobs(160, seed=1)
        write_csv(os.path.join(_top[0], "train.csv"), x, y)
        x, y = blobs(80, seed=2)
        write_csv(os.path.join(_top[0], "test.csv"), x, y)
    return _top[0]


SILOS = '[{name: a}, {name: b}, {name: c, payee: "%s"}, {name: d}]' % PAYEE


def simulated(name, rounds=6, rest="", secure="{collusion: 1}", silos=SILOS,
              training="", every=2, keep=0,
              local="{steps: 3, batch: 8, learning_rate: 0.1}",
              source="{source: train.csv, test: test.csv}", **kw):
    """A run of that name, made once: its folder."""
    if name not in _made:
        training = training or "  weights: equal\n"
        job = write(os.path.join(top(), name + ".yaml"), job_text(
            silos, rounds=rounds, local=local, training=training,
            rest="secure_aggregation: %s\nsimulate: %s\n"
                 "checkpoint: {every: %d, keep: %d}\n%s" %
                 (secure, source, every, keep, rest), **kw))
        _made[name] = os.path.join(top(), "run-" + name)
        covey("run", job, "--out", _made[name], "-q")
    return _made[name]


def real(name="sites", rest=None, rounds=4, **kw):
    """A run of four sites with identity keys that the job lists."""
    if name not in _made:
        home = os.path.join(top(), name)
        sites = make_sites(home, NAMES, rows=(40,))
        job = secure_job(home, NAMES, rounds=rounds, local="{steps: 2, batch: 8}",
                         rest=(chain("data_size", more=", cap: 0.4")
                               if rest is None else rest) +
                         "checkpoint: {every: 2, keep: 0}\n", **kw)
        _made[name] = os.path.join(home, "RUN")
        mpirun(4, "run", job, "--silo-dir", sites, "--out", _made[name], "-q")
    return _made[name]


RECORD = ("privacy: {unit: record, noise_multiplier: 1.0, clip: 1.0, sampling: 0.2, "
          "epsilon: 50}\n")


def base():
    return simulated("base", rest=chain())


def private():
    return simulated("record", rounds=4, rest=RECORD)


def adam():
    return simulated("fedadam", rounds=4, strategy="fedadam")


# ---- what verify says ---------------------------------------------------------------


def verify(path):
    """Exit code, lines (what, kind, text), message if there is no report."""
    r = covey("verify", path, "--json", expect=None)
    assert r.code in (0, 2, 6), (r.code, r.err)
    report = json.loads(r.out) if r.out.strip() else {"lines": []}
    assert ((r.code == 0) == (report.get("verdict") == "holds")) or not r.out
    lines = [(l["what"], l["kind"], l["text"]) for l in report["lines"]]
    return r.code, lines, r.err


def failing(lines):
    return [(what, text) for what, kind, text in lines if kind == "fails"]


def cheat(source, target, *edits):
    """source, with these edits, into target."""
    args = [CHEAT, source, target]
    for e in edits:
        args += e.split("\t") if "\t" in e else e.split(" ")
    r = subprocess.run(args, capture_output=True)
    assert r.returncode == 0, (args, r.stderr.decode())
    return target


def file_of(run):
    return os.path.join(run, "run.h5")


class Forger:
    """Copies of one run with edits, each in a folder of its own beside the run's
    outbox and log, as a root would hand them on."""

    def __init__(self, folder, run, beside=("outbox.db", "records.log")):
        self.folder, self.run, self.beside, self.n = folder, run, beside, 0

    def __call__(self, *edits, source=None):
        home = os.path.join(self.folder, "forged-%s-%d" %
                            (os.path.basename(self.run), self.n))
        self.n += 1
        os.makedirs(home)
        for name in self.beside:
            path = os.path.join(self.run, name)
            if os.path.exists(path):
                shutil.copy(path, home)
        return cheat(source or file_of(self.run), os.path.join(home, "run.h5"),
                     *edits)

    def refused(self, wants, *edits, source=None, others=()):
        """verify fails with these lines and no others: wants is {what: words}.
        `others`: lines that may fail along with them."""
        path = self(*edits, source=source)
        code, lines, err = verify(path)
        assert code == 6, ("verify says %d" % code, edits, err)
        found = failing(lines) or [("error", err)]
        for what, words in wants.items():
            texts = [t for w, t in found if w == what]
            assert texts and all(any(word in t for t in texts)
                                 for word in ([words] if isinstance(words, str)
                                              else words)), (edits, found)
        more = [f for f in found if f[0] not in wants and f[0] not in others]
        assert not more, ("these should hold", edits, more)
        print("  %s" % "; ".join("%s: %s" % f for f in found)[:180], flush=True)
        return path


def listing(path):
    """(path, attribute, kind, bytes) of everything in a file."""
    out = subprocess.run([CHEAT, "--list", path], capture_output=True, check=True)
    for line in out.stdout.decode().splitlines():
        where, name, kind, size = line.split("\t")
        yield where, name, int(kind), int(size)

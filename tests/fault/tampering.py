"""A masked job with messages that are changed on their way, and what must be true
when it has ended; for test_tamper.py."""
import os
import re
import shutil

from faults import finish, start, together
from harness import inspect
from secure_sites import make_sites, secure_job
import tap

NAMES = ("a", "b", "c", "d")
RANKS = range(len(NAMES))
LIAR = 2  # rank and silo that most cases are about: c


class Bench:
    """A job with sites, one undisturbed run of it, and its calls."""

    def __init__(self, folder, prepared=0, **kw):
        self.folder, self.prepared = folder, prepared
        self.make(**kw)
        self.lib = tap.library(folder)
        r, out, record, _ = self.start("reference", ())
        assert r.code == 0, r.err
        self.calls = [tap.read(record, k) for k in RANKS]
        self.reference = inspect(out)

    def make(self, **kw):
        """The sites and the job."""
        self.sites = make_sites(self.folder, NAMES, rows=(30,))
        self.job = secure_job(self.folder, NAMES, **kw)

    def start(self, name, rules, resume=False, ranks=4, sites=None):
        """Run it with sites of its own; returns result, run folder, record and
        what was followed."""
        home = os.path.join(self.folder, name)
        out, record, fired = (os.path.join(home, n)
                              for n in ("RUN", "rec", "fired"))
        if not resume:
            os.makedirs(home)
            shutil.copytree(self.sites, os.path.join(home, "sites"))
        for old in [fired] + ["%s.%d" % (record, k) for k in RANKS]:
            if os.path.exists(old):
                os.remove(old)
        args = tap.tapped_args(
            ranks, self.lib, "run", self.job, "--silo-dir",
            sites or os.path.join(home, "sites"), "--out", out, "-q",
            *(["--resume"] if resume else []), record=record, rules=rules,
            fired=fired)
        r = finish(start(args))
        assert "Sanitizer" not in r.err and "tap:" not in r.err, r.err
        lines = []
        if os.path.exists(fired):
            with open(fired) as f:
                lines = f.read().split("\n")[:-1]
        return r, out, record, lines

    def call(self, label, round=2, step=1, rank=LIAR):
        if label in ("join", "roster", "record"):
            step = None  # one a round
        return tap.find(self.calls[rank], label, round + self.prepared, step)


def followed(rules, lines):
    """Every rule, by every rank that it is about."""
    want = sorted("%d %d" % (rank, k) for k, rule in enumerate(rules)
                  for rank in RANKS if rule.split()[0] in ("*", str(rank)))
    assert sorted(lines) == want, (rules, lines)


def ended_together(record, round, quiet):
    """All ranks came to the end; quiet: none had sent masked words of this
    round."""
    for k in RANKS:
        calls = tap.read(record, k)
        assert calls[-1].name == "Finalize", "rank %d ended on its own" % k
        sent = [c for c in calls if c.label == "words" and c.round == round]
        assert not quiet or not sent, sent


def only_known_files(out, sites):
    for top in (out, sites):
        for base, _, files in os.walk(top):
            for f in files:
                assert re.fullmatch(
                    r"run\.h5|round-\d{6}\.h5|covey\.log|records\.log|"
                    r"pass|[abcd]\.(csv|yaml|key)|"
                    r"silo-[abcd]\.(log|secret|journal|rows)|\.lock|"
                    r"silo-[abcd](-\d{6})?\.h5", f), (base, f)


def readable_journals(sites, attempts):
    """Every line is whole, and so many attempts were spent in all."""
    for n in NAMES:
        path = os.path.join(sites, "state-" + n, "silo-%s.journal" % n)
        with open(path, "rb") as f:
            lines = f.read().decode("ascii").splitlines()
        assert lines[0].startswith("covey journal 1 silo")
        assert all(re.search(r" check=[0-9a-f]{32}$", v) for v in lines)
        spent = [v for v in lines if v.startswith("attempt ")]
        assert len(spent) == attempts, (n, attempts, spent)


def records_of(out):
    """Rounds whose records all silos have signed."""
    path = os.path.join(out, "records.log")
    if not os.path.exists(path):
        return []
    with open(path) as f:
        lines = f.read().splitlines()
    found = [re.fullmatch(
        r"round=(\d+) attempt=\d+ record=[0-9a-f]{64} supersedes=\S+ "
        r"silo=([abcd]) signature=[0-9a-f]{130}", v).groups() for v in lines]
    assert [s for _, s in found] == list(NAMES) * (len(found) // len(NAMES))
    return [int(r) for r, _ in found[::len(NAMES)]]


def refused(bench, name, rules, words, quiet=False, spent=True, saved=1,
            resume=True, round=2):
    """A run with these rules ends as it must. spent: the round was in the
    journals by then; saved: rounds in the checkpoint."""
    r, out, record, lines = bench.start(name, rules)
    shown = "%s: exit %d\n%s\n%s" % (name, r.code, "\n".join(rules), r.err)
    assert r.code == 6, shown
    assert len(r.messages) == 1, shown
    for word in [words] if isinstance(words, str) else words:
        assert re.search(word, r.messages[0]), "no %r in %s" % (word, shown)
    followed(rules, lines)
    ended_together(record, round + bench.prepared, quiet)
    sites = os.path.join(bench.folder, name, "sites")
    only_known_files(out, sites)
    readable_journals(sites, bench.prepared + round - 1 + (spent and 1))
    if not saved:
        assert not os.path.exists(os.path.join(out, "run.h5"))
        return r.messages[0]
    assert inspect(out)["round"] == saved, shown
    assert records_of(out) == list(range(1, round))
    if resume:
        goes_on(bench, name)
    return r.messages[0]


def goes_on(bench, name):
    """Without the rules, from where it stands."""
    r, out, _, _ = bench.start(name, (), resume=True)
    assert r.code == 0, "%s: resumed: %s" % (name, r.err)
    report = inspect(out)
    assert report["round"] == bench.reference["round"]
    assert report["model"]["digest"] == bench.reference["model"]["digest"], name
    assert set(records_of(out)) == set(range(1, report["round"] + 1))


def flip(bench, label, at, rank=LIAR, side="send", byte="01", round=2, step=1,
         peer=None):
    """One byte of a gathered message: of what `rank` sends, or (side recv) of
    what it receives from a peer."""
    c = bench.call(label, round, step, LIAR)
    offset = at if peer is None else peer * c.bytes + at
    return tap.rule(c, rank, side, "xor", offset, byte)


def add(bench, rank, side, word, value, round=2, step=1, size=4):
    c = bench.call("words", round, step)
    return tap.rule(c, rank, side, "add32" if size == 4 else "add61", word,
                    str(value))


def run_cases(bench, cases):
    """{name: (rules, words, options)}"""
    def one(name):
        rules, words, options = cases[name]
        said = refused(bench, name, rules, words, **options)
        print("  %-28s %s" % (name, said[len("covey: error: "):]), flush=True)
    together([lambda name=name: one(name) for name in cases])

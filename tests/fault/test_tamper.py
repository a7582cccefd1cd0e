"""Messages of a masked round that are changed, replaced or sent again on their
way (mpi_tap.c), and sites and jobs that do not fit: the run ends, on all ranks
together, with one message that says what is wrong and whose message it was; the
round leaves no checkpoint, nothing masked was sent where it was found out before,
and without the culprit the run goes on to the model that it would have had."""
import hashlib
import os
import re
import shutil
import struct

import h5py
import numpy as np

from faults import finish, start, together
from harness import inspect, main, test, write
from kills import seal
from secure_sites import make_sites, secret_of, secure_job
from tampering import (LIAR, NAMES, RANKS, Bench, add, ended_together, flip,
                       followed, goes_on, only_known_files, readable_journals,
                       refused, run_cases)
import keyfile
import tap

# ---- 1. key messages ------------------------------------------------------------------

BEFORE = {"quiet": True, "spent": False}  # found out before the round is spent
AFTER = {"quiet": True, "spent": True}    # spent, and nothing masked was sent


@test
def every_field_of_a_key_message(folder):
    bench, cases = Bench(folder), {}
    assert sum(n for _, n in tap.JOIN.values()) == tap.JOIN_BYTES
    does_not_hold = "key message of silo c does not hold"
    for field, (at, n) in tap.JOIN.items():
        for k in {0, n // 2, n - 1}:
            words = does_not_hold if field != "ephemeral" else \
                "key message of silo c"
            cases["%s-%d" % (field, k)] = (
                [flip(bench, "join", at + k)], words, BEFORE)
    run_cases(bench, cases)


@test
def key_messages_that_were_sent_before(folder):
    bench = Bench(folder)
    join = bench.call("join")
    run_cases(bench, {
        "seen-by-one": ([flip(bench, "join", 40, rank=0, side="recv",
                              peer=LIAR)],
                        "round 2: the key message of silo c does not hold",
                        BEFORE),
        "seen-by-the-last": ([flip(bench, "join", 40, rank=3, side="recv",
                                   peer=0)],
                             "round 2: the key message of silo a does not hold",
                             BEFORE),
        "of-round-1": ([tap.rule(join, LIAR, "send", "again", 0,
                                 str(join.nth - 1))],
                       "round 2: the key message of silo c does not hold",
                       BEFORE),
        "of-another-silo": (["* Allgatherv %d %d recv copy %d %d" % (
            join.bytes, join.nth, 2 * join.bytes, 3 * join.bytes)],
            "round 2: the key message of silo c does not hold", BEFORE)})


@test
def an_attempt_that_was_made_before(folder):
    """The round is tried again, and what a silo had signed in its first attempt
    (the same round, parent and model) turns up once more: the number of that
    attempt is in every journal by now."""
    bench = Bench(folder)
    first = flip(bench, "check", 0)

    def again(name, rank, side, words):
        refused(bench, name, [first], "check value of silo c", resume=False)
        record = os.path.join(bench.folder, name, "rec")
        old = tap.find(tap.read(record, LIAR), "join", 2)
        path = write(os.path.join(bench.folder, name, "old"), "")
        with open(path, "wb") as f:
            f.write(old.data)
        at = 0 if side == "send" else LIAR * old.bytes
        rule = "%s Allgatherv %d 1 %s file %d %s" % (rank, old.bytes, side, at,
                                                     path)
        r, out, record, lines = bench.start(name, [rule], resume=True)
        assert r.code == 6 and len(r.messages) == 1, r.err
        assert re.search(words, r.messages[0]), r.err
        print("  %-28s %s" % (name, r.messages[0][14:]), flush=True)
        followed([rule], lines)
        ended_together(record, 1, True)  # the first join of this run
        readable_journals(os.path.join(bench.folder, name, "sites"), 2)
        assert inspect(out)["round"] == 1
        goes_on(bench, name)

    together([
        # Its own rank knows what it had sent; one that does not, another roster.
        lambda: again("by-its-rank", LIAR, "send",
                      "key message of silo c was replaced on its way"),
        lambda: again("to-all-others", "*", "recv",
                      "key message of silo c was replaced on its way"),
        lambda: again("to-one", 0, "recv",
                      "silo [abcd] has not signed the roster that this rank "
                      "sees")])


# ---- 2. rosters -----------------------------------------------------------------------


@test
def signatures_of_a_roster(folder):
    bench = Bench(folder)
    roster = bench.call("roster")
    one = "round 2, attempt 1: silo c has not signed the roster"
    cases = {
        "nonce": ([flip(bench, "roster", 5)],
                  [one, "revealed another nonce"], BEFORE),
        "of-round-1": ([tap.rule(roster, LIAR, "send", "again", 0, str(
            bench.call("roster", 1).nth))], one, BEFORE),
        "seen-by-one": ([flip(bench, "roster", 40, rank=3, side="recv",
                              peer=LIAR)], one, BEFORE),
        "of-another-silo": (["* Allgatherv %d %d recv copy %d %d" % (
            roster.bytes, roster.nth, 2 * roster.bytes, roster.bytes)], one,
            BEFORE)}
    for k in (32, 63, 64, 95, 96):  # r, s, and which of two keys
        cases["signature-%d" % k] = [flip(bench, "roster", k)], one, BEFORE
    run_cases(bench, cases)


@test
def ranks_in_different_runs(folder):
    """One rank hears another run id: no key message holds there."""
    bench = Bench(folder)
    nonces = next(c for c in bench.calls[1] if c.name == "Allreduce" and
                  c.in_line and c.bytes == 32 * len(NAMES))
    run_cases(bench, {"run-id": ([tap.rule(nonces, 1, "recv", "xor", 7, "80")],
                                 "round 1: the key message of silo [ab] does not "
                                 "hold.*of another run",
                                 dict(BEFORE, round=1, saved=0))})


# ---- 4. commitments -------------------------------------------------------------------


@test
def commitments(folder):
    bench = Bench(folder)
    commit, one = bench.call("commit"), \
        "round 2, attempt 1: the commitment of silo c"
    other = "round 2, attempt 1: silo c was shown other commitments than this " \
        "rank; nothing was sent"
    cases = {
        "after-signing": ([flip(bench, "commit", 0)], one, AFTER),
        "seen-by-one": ([flip(bench, "commit", 31, rank=0, side="recv",
                              peer=LIAR)], one, AFTER),
        "seen-by-the-last": ([flip(bench, "commit", 31, rank=3, side="recv",
                                   peer=LIAR)], one, AFTER),
        "of-round-1": ([tap.rule(commit, LIAR, "send", "again", 0, str(
            bench.call("commit", 1).nth))], one, AFTER),
        "of-another-silo": (["* Allgatherv %d %d recv copy %d %d" % (
            commit.bytes, commit.nth, 2 * commit.bytes, 0)], one, AFTER),
        "echo": ([flip(bench, "echo", 3)], other, AFTER),
        "echo-seen-by-one": ([flip(bench, "echo", 31, rank=3, side="recv",
                                   peer=LIAR)], other, AFTER),
        "echo-of-round-1": ([tap.rule(bench.call("echo"), LIAR, "send", "again",
                                      0, "1")], other, AFTER)}
    for k in (32, 64, 96):
        cases["signature-%d" % k] = [flip(bench, "commit", k)], one, AFTER
    run_cases(bench, cases)


# ---- 5. the sum -----------------------------------------------------------------------

NOBODY = "every silo opened what it had committed to, so it was changed while " \
    "it was added up, by a rank, the network or the MPI library"


def opening(bench, silo, rank, side, action, at, text, salt=False):
    """A rule for what a silo opens: words, or the salt. Openings go from the
    first silo to the last; the undisturbed run has none."""
    size = 32 if salt else bench.call("words").bytes
    before = sum(c.name == "Bcast" and c.bytes == size
                 for c in bench.calls[0])
    return "%s Bcast %d %d %s %s %d %s" % (rank, size, before + silo + 1, side,
                                           action, at, text)


@test
def words_and_sums(folder):
    bench = Bench(folder)
    d = bench.call("words").bytes // 4
    differ = "round 2, attempt 1: silos [abcd] and [abcd] received different sums"
    run_cases(bench, {
        # A silo that sends other words than it committed to, and opens those
        # that it committed to.
        "word-sent": ([add(bench, LIAR, "send", 5, 1)], NOBODY, {}),
        "last-word-sent": ([add(bench, LIAR, "send", d - 1, 2**31)], NOBODY, {}),
        # ... and opens those that it sent.
        "word-sent-and-opened": (
            [add(bench, LIAR, "send", 5, 1),
             opening(bench, LIAR, LIAR, "send", "add32", 5, "1")],
            "silo c opened another vector than it had committed to$", {}),
        # ... or says that the salt was another one.
        "word-sent-other-salt": (
            [add(bench, LIAR, "send", 5, 1),
             opening(bench, LIAR, LIAR, "send", "xor", 0, "01", salt=True)],
            "silo c opened another vector than it had committed to$", {}),
        "two-liars": (
            [add(bench, 1, "send", 5, 1),
             opening(bench, 1, 1, "send", "add32", 5, "1"),
             opening(bench, 3, 3, "send", "add32", 0, "9")],
            "silo b opened another .* to; silo d opened another", {}),
        # The sum on its way to one rank, and to all.
        "sum-at-one": ([add(bench, 3, "recv", 0, 1)], differ, {}),
        "sum-at-the-first": ([add(bench, 0, "recv", d - 1, 7)], differ, {}),
        "sum-at-all": ([add(bench, "*", "recv", 3, 1)], NOBODY, {}),
        "sum-at-all-two-words": ([add(bench, "*", "recv", 3, 1),
                                  add(bench, "*", "recv", 4, 2**32 - 6)],
                                 NOBODY, {}),
        "sum-outside-the-field": (
            [tap.rule(bench.call("words"), "*", "recv", "put", 8, "feffffff")],
            "the sum holds words outside the field", {}),
        "swapped-words": (["* Allreduce %d %d recv put 0 %s" % (
            bench.call("words").bytes, bench.call("words").nth, "00" * 4 * d)],
            NOBODY, {})})


@test
def signatures_of_a_sum(folder):
    bench = Bench(folder)
    one = "round 2, attempt 1: the signature of the sum of silo c"
    cases = {"digest": ([flip(bench, "sum", 9)], one, {}),
             "digest-seen-by-one": ([flip(bench, "sum", 9, rank=1, side="recv",
                                          peer=LIAR)], one, {}),
             "of-round-1": ([tap.rule(bench.call("sum"), LIAR, "send", "again",
                                      0, str(bench.call("sum", 1).nth))], one,
                            {})}
    for k in (32, 64, 96):
        cases["signature-%d" % k] = [flip(bench, "sum", k)], one, {}
    run_cases(bench, cases)


# ---- 6. the check -----------------------------------------------------------------------


@test
def check_values(folder):
    bench = Bench(folder)
    one = "round 2, attempt 1: the check value of silo c"
    cases = {"seen-by-one": ([flip(bench, "check", 8, rank=3, side="recv",
                                   peer=LIAR)], one, {}),
             "of-another-silo": (["* Allgatherv %d %d recv copy %d %d" % (
                 tap.CHECK_BYTES, bench.call("check").nth,
                 2 * tap.CHECK_BYTES, 3 * tap.CHECK_BYTES)], one, {}),
             "of-round-1": ([tap.rule(bench.call("check"), LIAR, "send", "again",
                                      0, str(bench.call("check", 1).nth))], one,
                            {})}
    assert sum(n for _, n in tap.CHECK.values()) == tap.CHECK_BYTES
    for k in (0, 8, 16, 24, 31, 32, 63, 64, 96, 128):
        cases["byte-%d" % k] = [flip(bench, "check", k)], one, {}
    run_cases(bench, cases)


@test
def words_that_a_silo_chose_late(folder):
    """What the check cannot see (PROTOCOL, "Parties and trust"): a silo that sends
    other words than it had committed to, and speaks of those ever after. It has
    only changed its own input; an opening would show it."""
    bench = Bench(folder)
    r, out, _, lines = bench.start("late", [add(bench, LIAR, "own", 5, 1)])
    assert r.code == 0 and len(lines) == 1, r.err
    assert inspect(out)["model"]["digest"] != \
        bench.reference["model"]["digest"]
    # The very same silo, made to open because of somebody else.
    refused(bench, "opened", [add(bench, LIAR, "own", 5, 1),
                              add(bench, "*", "recv", 0, 1)],
            "silo c opened another vector than it had committed to$")


# ---- 8. records --------------------------------------------------------------------------


@test
def signatures_of_a_record(folder):
    """Signed once the checkpoint is there, so that stays; whoever goes on from it
    has it signed first."""
    bench = Bench(folder)
    one = "round 2: silo c has not signed the record that this rank computed"
    after = {"saved": 2}
    record = bench.call("record", 2)
    cases = {"supersedes": ([flip(bench, "record", 0)], one, after),
             "of-round-1": ([tap.rule(record, LIAR, "send", "again", 0, str(
                 bench.call("record", 1).nth))], one, after)}
    for k in (32, 64, 96):
        cases["signature-%d" % k] = ([flip(bench, "record", k)], one,
                                     after)
    run_cases(bench, cases)


# ---- votes -------------------------------------------------------------------------------


def vote(bench, before, size=4, rank=0, after=0):
    """The agreement (an allreduce of size bytes) that follows this message."""
    calls = bench.calls[rank]
    found = [c for c in calls[calls.index(before) + 1:]
             if c.name == "Allreduce" and c.bytes == size]
    return found[after]


NOT_LOST = "covey: error: .*agreement of the ranks came back without it"


def outvoted(bench, name, rules, words):
    """A rank that knows that something is wrong is not talked out of it: it ends
    the run at once, and for all."""
    r, out, record, lines = bench.start(name, rules)
    shown = "%s: exit %d\n%s" % (name, r.code, r.err)
    assert r.code == 6 and r.messages, shown
    for m in r.messages:
        assert re.search(NOT_LOST, m) and re.search(words, m), shown
    assert len(lines) >= 1, shown
    assert inspect(out)["round"] == 1
    only_known_files(out, os.path.join(bench.folder, name, "sites"))
    readable_journals(os.path.join(bench.folder, name, "sites"),
                      1 if name in ("join", "roster") else 2)
    print("  %-28s %s" % (name, r.messages[0][14:]), flush=True)
    goes_on(bench, name)


@test
def votes_that_are_lost(folder):
    """Whoever can change a sum on its way can change the ranks' agreement about
    it as well. 7fffffff: nobody has failed."""
    bench, cases = Bench(folder), {}
    fine = "ffffff7f"
    for label, rule, words in (
            ("join", flip(bench, "join", 40),
             "key message of silo c does not hold"),
            ("roster", flip(bench, "roster", 40), "has not signed the roster"),
            ("commit", flip(bench, "commit", 0), "commitment of silo c"),
            ("echo", flip(bench, "echo", 3), "shown other commitments"),
            ("sum", add(bench, 3, "recv", 0, 1), "received different sums")):
        agreed = vote(bench, bench.call(label, rank=0))
        cases[label] = [rule, tap.rule(agreed, "*", "recv", "put", 0, fine)], \
            words
    # The check has failed on all ranks: nobody has, or somebody in another way.
    check, wrong = vote(bench, bench.call("check", rank=0), 8), 2**26
    for name, said in (("check", "0000000000000000"),
                       ("check-as-signature", "0100000000000000")):
        cases[name] = [add(bench, "*", "recv", 3, wrong),
                       tap.rule(check, "*", "recv", "put", 0, said)], \
            "the sum is not that of the committed vectors"
    together([lambda n=n: outvoted(bench, n, *cases[n]) for n in cases])
    refused(bench, "check-and-signature", [
        add(bench, "*", "recv", 3, wrong),
        tap.rule(check, "*", "recv", "put", 0, "0100000001000000")],
        "the check of the sum failed, and no rank why")


# ---- other fields, other sums ------------------------------------------------------------


@test
def wide_words_preparation_and_metrics(folder):
    """The wide field; sums before the first round, and after the update."""
    bench = Bench(folder, prepared=1, training="  weights: rows\n",
                  data="standardize: pooled, test_fraction: 0.3")
    assert bench.call("words").size == 8
    d = bench.call("words").bytes // 8
    fresh = {"round": 0, "saved": 0}
    run_cases(bench, {
        "word-sent": ([add(bench, LIAR, "send", d - 1, 2**60, size=8)], NOBODY,
                      {}),
        "sum-at-one": ([add(bench, 1, "recv", 0, 1, size=8)],
                       "received different sums", {}),
        "sum-at-all": ([add(bench, "*", "recv", 0, 1, size=8)], NOBODY, {}),
        "outside": ([tap.rule(bench.call("words"), "*", "recv", "put", 0,
                              "ffffffffffffff1f")], "outside the field", {}),
        "metrics-sum": ([add(bench, "*", "recv", 2, 3, step=2, size=8)], NOBODY,
                        {}),
        "metrics-commitment": ([flip(bench, "commit", 7, step=2)],
                               "the commitment of silo c", {}),
        "metrics-words-of-step-1": ([tap.rule(
            bench.call("commit", step=2), LIAR, "send", "again", 0,
            str(bench.call("commit", step=1).nth))],
            "the commitment of silo c", {}),
        "moments-sum": ([add(bench, "*", "recv", 2, 3, round=0, size=8)],
                        "round 0, attempt 1.*" + NOBODY, fresh),
        "moments-join": ([flip(bench, "join", 40, round=0)],
                         "round 0: the key message of silo c",
                         dict(fresh, **BEFORE)),
        "second-moments": ([flip(bench, "sum", 3, round=0, step=2)],
                           "round 0, attempt 1: the signature of the sum",
                           fresh)})


@test
def several_chunks(folder):
    """The last word of the last of several reductions."""
    bench = Bench(folder, model="{kind: mlp, hidden: [520, 520]}", rounds=2)
    calls = [c for c in bench.calls[LIAR] if c.label == "words" and
             c.round == 2]
    assert len(calls) == 2 and calls[0].bytes == 1 << 20
    last, word = calls[1], calls[1].bytes // 4 - 1
    run_cases(bench, {
        "last": ([tap.rule(last, LIAR, "send", "add32", word, "1")], NOBODY, {}),
        "first": ([tap.rule(calls[0], "*", "recv", "add32", 0, "1")], NOBODY,
                  {}),
        "one": ([tap.rule(last, 3, "recv", "add32", word, "1")],
                "received different sums", {})})


# ---- with privacy ------------------------------------------------------------------------

PRIVACY = "privacy: {unit: %s, noise_multiplier: 2.0, clip: 1.0%s}\n"


def journal_lines(bench, name, silo, round):
    path = os.path.join(bench.folder, name, "sites", "state-" + silo,
                        "silo-%s.journal" % silo)
    with open(path) as f:
        return [dict(w.split("=", 1) for w in line.split()[1:])
                for line in f.read().splitlines()
                if line.startswith("attempt ") and " round=%d " % round in line]


@test
def a_spent_round_with_privacy(folder):
    """What was spent when somebody lied is free when the very same is sent
    again, with the same noise; the ledger does not grow."""
    bench = Bench(folder, rest=PRIVACY % ("silo", ""))
    epsilon = bench.reference["privacy"]["epsilon"]
    for name, rule in (("sum", add(bench, "*", "recv", 3, 1)),
                       ("commit", flip(bench, "commit", 3))):
        refused(bench, name, [rule], "round 2, attempt 1", resume=False)
        r, out, _, _ = bench.start(name, (), resume=True)
        assert r.code == 0, r.err
        assert abs(inspect(out)["privacy"]["epsilon"] - epsilon) < 1e-9
        for n in NAMES:
            one, two = journal_lines(bench, name, n, 2)
            assert (one["attempt"], one["draw"]) == ("1", "1")
            assert (two["attempt"], two["draw"]) == ("2", "1")
            assert one["vector"] == two["vector"] != "-"


@test
def steps_with_privacy(folder):
    """Record level: every step is a sum; a lost round is charged again."""
    bench = Bench(folder, rest=PRIVACY % ("record", ", sampling: 0.5"))
    epsilon = bench.reference["privacy"]["epsilon"]
    cases = {"commit": ([flip(bench, "commit", 3, step=3)], "commitment"),
             "commit-of-step-2": ([tap.rule(
                 bench.call("commit", step=3), LIAR, "send", "again", 0,
                 str(bench.call("commit", step=2).nth))],
                 "the commitment of silo c"),
             "sum": ([add(bench, "*", "recv", 3, 1, step=3)], NOBODY),
             "echo-of-step-2": ([tap.rule(
                 bench.call("echo", step=3), LIAR, "send", "again", 0,
                 str(bench.call("echo", step=2).nth))],
                 "shown other commitments")}

    def one(name):
        refused(bench, name, *cases[name], resume=False)
        r, out, _, _ = bench.start(name, (), resume=True)
        assert r.code == 0, r.err
        assert inspect(out)["privacy"]["epsilon"] > epsilon
        assert [v["draw"] for v in journal_lines(bench, name, "a", 2)] == \
            ["1", "2"]
    together([lambda n=n: one(n) for n in cases])


@test
def noise_that_rank_0_names(folder):
    """The job says how much noise there is: a smaller word of rank 0 is found out
    before anything is sent."""
    bench = Bench(folder, rest=PRIVACY % ("silo", ""))
    two, less = "0000000000000040", "000000000000f03e"  # 2, 2^-16
    named = [c for c in bench.calls[0] if c.name == "Bcast" and c.bytes == 8 and
             c.data.hex() == two]
    assert len(named) == 1, named
    rules = [tap.rule(named[0], "%d" % k, "recv", "put", 0, less)
             for k in (1, 2, 3)]
    words = "the job.s noise multiplier is 2, that of rank 0 is "
    refused(bench, "to-all", rules, words, quiet=True, spent=False, round=1,
            saved=0)
    refused(bench, "to-one", rules[1:2], words, quiet=True, spent=False,
            round=1, saved=0)


@test
def grid_and_clip_that_rank_0_names(folder):
    """One silo is told a finer grid, or a larger clip, than the others: their
    shares of the noise would be too small for it."""
    bench = Bench(folder, rest=PRIVACY % ("silo", ", adaptive: {quantile: "
                                          "0.5, rate: 0.2}"))
    calls = bench.calls[0]
    named = [c for c in calls[:calls.index(bench.call("join", 1, rank=0))]
             if c.name == "Bcast" and c.bytes == 4][-2]  # bits; wide
    bits = int.from_bytes(named.data, "little")
    assert 10 < bits < 30
    words = "round %d: the key message of silo [ab] does not hold.*or noise"
    for name, value in (("finer", bits + 4), ("coarser", bits - 4),
                        ("none", 1)):
        refused(bench, name, [tap.rule(named, 1, "recv", "put", 0, struct.pack(
            "<i", value).hex())], words % 1, round=1, saved=0, **BEFORE)
    clip = [c for c in calls[:calls.index(bench.call("join", 2, rank=0))]
            if c.name == "Bcast" and c.bytes == 8][-1]
    value, = struct.unpack("<d", clip.data)
    assert 0.05 < value < 20.0 and value != 1.0  # the bits are noised
    refused(bench, "clip", [tap.rule(clip, 1, "recv", "put", 0, struct.pack(
        "<d", 16 * value).hex())], "round 1: rank 0 gave another clip than the "
            "sum does", round=1, saved=0)


# ---- going on ------------------------------------------------------------------------------


def halted(bench, name):
    """A run whose newest checkpoint is that of round 2, signed by all."""
    refused(bench, name, [flip(bench, "join", 40, round=3)], "round 3", round=3,
            saved=2, resume=False, **BEFORE)
    return os.path.join(bench.folder, name, "RUN")


def ends_before_a_sum(bench, name, rules, words):
    r, out, record, lines = bench.start(name, rules, resume=True)
    assert r.code == 6 and len(r.messages) == 1, r.err
    assert re.search(words, r.messages[0]), r.err
    print("  %-28s %s" % (name, r.messages[0][14:]), flush=True)
    followed(rules, lines)
    for k in RANKS:
        calls = tap.read(record, k)
        assert calls[-1].name == "Finalize"
        assert not [c for c in calls if c.label == "words"]


@test
def a_checkpoint_with_another_model(folder):
    """Whole and consistent, but not what the silos have computed and signed; with
    the record that they did sign, and with one that is made up."""
    bench = Bench(folder)

    def one(name, record=None, attempt=None):
        path = os.path.join(halted(bench, name), "run.h5")
        with h5py.File(path, "r+") as f:
            parts = [f["/model/params/dense1/" + n] for n in ("weight", "bias")]
            for p in parts:
                p[...] = p[()] + 0.25
            w = np.concatenate([p[()].ravel() for p in parts]).astype("<f4")
            f["/model"].attrs.modify("digest", np.bytes_(
                hashlib.sha256(w.tobytes()).hexdigest()))
            if record:
                f["/proofs"].attrs.modify("record", np.bytes_(record))
            if attempt:
                f["/proofs"].attrs.modify("attempt", np.int64(attempt))
        seal(path)
        assert inspect(path)["round"] == 2
        ends_before_a_sum(bench, name, (), "silo a: the checkpoint of round 2 is "
                          "not the one that this silo computed")
    together([lambda: one("model"), lambda: one("record", "ab" * 32),
              lambda: one("attempt", "ab" * 32, 2),
              lambda: one("far-attempt", "ab" * 32, 7)])


@test
def what_rank_0_says_of_checkpoints(folder):
    """Numbers of candidates that would not fit its table."""
    bench = Bench(folder, strategy="scaffold")
    halted(bench, "base")
    for name, value in (("many", "e8030000"), ("none-at-all", "f6ffffff")):
        shutil.copytree(os.path.join(folder, "base"),
                        os.path.join(folder, name))
    bench.start("base", (), resume=True)
    calls = tap.read(os.path.join(folder, "base", "rec"), 1)
    first = next(k for k, c in enumerate(calls)
                 if c.name == "Bcast" and c.bytes == 8 * 64)
    number = [c for c in calls[:first] if c.name == "Bcast" and c.bytes == 4][-1]
    for name, value in (("many", "e8030000"), ("none-at-all", "f6ffffff")):
        ends_before_a_sum(bench, name, [tap.rule(number, 1, "recv", "put", 0,
                                                 value)],
                          "rank 0 found (1000|-10) checkpoints")


# ---- sites and jobs that do not fit --------------------------------------------------------


def stopped(args, code, *words):
    r = finish(start(args))
    shown = "%s\nexit %d\n%s" % (args, r.code, r.err)
    assert r.code == code and len(r.messages) == 1, shown
    for word in words:
        assert re.search(word, r.messages[0]), "no %r in %s" % (word, shown)
    print("  %s" % r.messages[0][14:], flush=True)


@test
def sites_that_do_not_fit(folder):
    lib = tap.library(folder)

    def case(name, code, words, ranks=4, key=None, silos=None, trusted=None,
             collusion=1, names=NAMES, **kw):
        home = os.path.join(folder, name)
        os.makedirs(home)
        sites = make_sites(home, names, rows=(30,), trusted=trusted)
        if key:
            path = os.path.join(sites, "c.key")
            os.remove(path)
            keyfile.write(path, key)
            os.chmod(path, 0o600)
        job = secure_job(home, names, secure="{collusion: %d}" % collusion,
                         silos=silos, **kw)
        out, record = os.path.join(home, "RUN"), os.path.join(home, "rec")
        stopped(tap.tapped_args(ranks, lib, "run", job, "--silo-dir", sites,
                                "--out", out, record=record), code, *words)
        for k in range(ranks):
            calls = tap.read(record, k)
            assert calls[-1].name == "Finalize"
            assert not any(c.label == "words" for c in calls)
        assert not os.path.exists(os.path.join(out, "run.h5"))

    other = secret_of("somebody else")
    unknown = keyfile.public_key(other)
    good = {n: keyfile.public_key(secret_of(n)) for n in NAMES}

    def listed(**changed):
        return "[" + ", ".join('{name: %s, public_key: "%s"}' % (
            n, changed.get(n, good[n])) for n in NAMES) + "]"

    # x = 5 is on no point of the curve: 5^3 + 7 is not a square.
    off = "0x02%064x" % 5
    assert pow(5**3 + 7, (keyfile.P - 1) // 2, keyfile.P) != 1
    together([
        lambda: case("other-key", 4, ("silo c: its key file holds another key",),
                     key=other),
        # The job names that key, and the partners had pinned the old one.
        lambda: case("key-not-pinned", 4,
                     ("silo [abd]: the keys of c.*not among `trusted`",
                      "1 operators|1 operator"), key=other,
                     silos=listed(c=unknown), collusion=0),
        lambda: case("two-strangers", 4,
                     ("silo a: the keys of c, d are not among",
                      "2 operators, where the job allows for 1"),
                     trusted=lambda n: ["b"] if n == "a" else
                     [m for m in NAMES if m != n]),
        lambda: case("trusts-nobody", 4, ("silo d: the keys of a, b, c",
                                          "3 operators"),
                     trusted=lambda n: [] if n == "d" else
                     [m for m in NAMES if m != n]),
        lambda: case("off-curve", 2, ("public_key",), silos=listed(b=off)),
        lambda: case("same-key-twice", 2, ("public_key",),
                     silos=listed(b=good["a"])),
        lambda: case("one-process", 4, ("silos of one process count as one",
                                        "0 of 4 silos would be left"), ranks=1),
        lambda: case("two-processes", 4, ("silos of one process count as one",
                                          "0 of 4"), ranks=2, collusion=2),
        lambda: case("three-processes", 4, ("silos of one process count as one",
                                            "1 of 4"), ranks=3, collusion=2),
        lambda: case("more-colluders-than-silos", 2, ("collusion|min_silos",),
                     collusion=3)])


if __name__ == "__main__":
    main()

"""`covey verify` against a root that cheats: everything that it can change in
run.h5, with digests mended as far as it can without the silos' keys, and the file
of another run or another time handed on.  Each must be refused, by the line that
it is about, and nothing else."""
import hashlib
import os
import random
import shutil
import struct

from verify_runs import (NAMES, Forger, adam, base, chain, cheat, failing, file_of,
                         listing, private, real, simulated, verify)
from harness import main, test, write
from secure_sites import secret_of

N = len(NAMES)
SIGNED, SIG, MEMBER, ATTESTER = 97, 65, 69, 150
SUM = 72 + 64 * N  # one sum: head, then a member at a time
MEND = ("mend-model", "mend-records")
CHAIN = MEND + ("mend-heads",)
OTHER = hashlib.sha256(b"another key").hexdigest()


def signature(row, silo):
    return (row * N + silo) * SIGNED + 32


def attestation(row, silo):
    return (row * N + silo) * SIG


def secret(i):
    return secret_of(NAMES[i]).hex()


def at_round(path, number):
    return os.path.join(path, "round-%06d.h5" % number)


# ---- honest ------------------------------------------------------------------------


@test
def what_no_one_has_changed_holds(folder):
    for run in (base(), private(), adam(), real(), simulated(
            "adaptive", rounds=3, rest="privacy: {unit: silo, noise_multiplier: "
            "0.3, clip: 5.0, adaptive: {quantile: 0.5, rate: 0.4}}\n"), simulated(
            "groups", silos="[%s]" % ", ".join("{name: s%d}" % i for i in range(6)),
            training="  weights: equal\n  participation: 0.5\n", rest=chain()),
            simulated("local", rounds=2, rest="privacy: {unit: record, noise: "
                      "local, noise_multiplier: 1.0, clip: 1.0, sampling: 0.2}\n"),
            simulated("mlp", rounds=2, model="{kind: mlp, hidden: [5]}",
                      training="  weights: rows\n"), simulated(
            "counts", rounds=2, source="{source: train.csv}",
            data="test_fraction: 0.2", rest=chain("validation",
                                                  more=", cap: 0.5"))):
        code, lines, err = verify(file_of(run))
        assert code == 0, (run, failing(lines), err)
        said = {what for what, _, _ in lines}
        assert {"job", "records", "signatures", "model", "data", "ledger", "labels",
                "history", "rosters", "silos", "sums", "rest"} <= said, said
    # Through the cheat's hands, with all that it mends: the same file.
    forge = Forger(folder, base())
    same = forge()
    code, lines, _ = verify(same)
    assert code == 0 and "attestations" in {what for what, _, _ in lines}
    with open(same, "rb") as f, open(forge(*CHAIN), "rb") as g:
        assert f.read() == g.read()
    # All silos are the root's in a simulated run, and it says so.
    assert any("SIMULATED" in text for _, _, text in lines)


@test
def older_checkpoints_hold_as_such(folder):
    shutil.copy(at_round(keep(), 4), folder)
    code, lines, err = verify(at_round(folder, 4))
    # Its own signatures were made after it was saved: they are in the log.
    assert code == 6 and [w for w, _ in failing(lines)] == [
        "signatures", "attestations"], (failing(lines), err)
    for name in ("records.log", "outbox.db"):
        shutil.copy(os.path.join(keep(), name), folder)
    code, lines, err = verify(at_round(folder, 4))
    assert code == 0, (failing(lines), err)


def keep():
    """A run that keeps its older checkpoints."""
    return simulated("keep", rest=chain(), keep=3)


# ---- model, data, state ---------------------------------------------------------------

W = "/model/params/dense1/weight"


@test
def model_and_data(folder):
    forge = Forger(folder, base())
    forge.refused({"error": "do not fit"}, "put %s - 0 0.5" % W)
    forge.refused({"model": "newest record"}, "put %s - 0 0.5" % W, "mend-model")
    forge.refused({"signatures": "silo a", "attestations": "head"},
                  "put %s - 0 0.5" % W, *MEND)
    forge.refused({"signatures": "silo a", "attestations": "attester"},
                  "put %s - 0 0.5" % W, *CHAIN)
    forge.refused({"data": "shift"}, "put /data/shift - 1 0.25")
    forge.refused({"data": "shift"}, "put /data/unit - 0 2")
    forge.refused({"data": "shift"}, "put /data/columns - 0 f1")
    forge.refused({"data": "shift"}, "put /data/classes - 0 2")
    schema = schema_of(forge)
    write(os.path.join(folder, "a"), schema.replace("shift\t0x0p+0",
                                                    "shift\t0x1p-2", 1))
    text = "put-text /data/schema %s" % os.path.join(folder, "a")
    forge.refused({"data": "newest record"}, text)
    forge.refused({"data": "newest record"}, text, "put /data/shift - 0 0.25")
    forge.refused({"signatures": "silo a", "attestations": "attester"}, text,
                  "put /data/shift - 0 0.25", *CHAIN)
    write(os.path.join(folder, "a"), schema.replace("0x1p+0", "0x1.0p+0", 1))
    forge.refused({"data": "as the program writes it"}, text)


def schema_of(forge):
    import h5py
    with h5py.File(file_of(forge.run)) as f:
        return f["/data/schema"][()].decode()


@test
def server_state(folder):
    forge = Forger(folder, adam())
    import h5py
    with h5py.File(file_of(forge.run)) as f:
        vectors = [k for k in f["/optimizer"] if k != "grid_exponent"]
    assert len(vectors) == 2
    for name in vectors:
        edit = "put /optimizer/%s - 3 0.125" % name
        forge.refused({"server": "fedadam"}, edit)
        forge.refused({"signatures": "silo a"}, edit, *MEND)
    forge.refused({"labels": "strategy"}, "set-attr /optimizer strategy fedavg")
    forge.refused({"rest": "/optimizer/extra"}, "add /optimizer/extra x")


# ---- rounds ---------------------------------------------------------------------------

ROUNDS = ("rounds record previous start_model start_state roster transcript leaves "
          "chain data model server ledger plan signatures heads attestations").split()


def cut(first, count, history=True, details=True, chain=True, sums=1):
    """Edits that cut these rounds out of everything."""
    edits = ["drop-rows /proofs/%s %d %d" % (name, first, count) for name in ROUNDS
             if chain or name not in ("heads", "attestations")]
    if history:
        edits.append("drop-rows /history %d %d" % (first, count))
    if details:
        edits += ["drop-rows /proofs/members %d %d" % (first * N * MEMBER,
                                                       count * N * MEMBER),
                  "drop-rows /proofs/sum_details %d %d" % (first * SUM * sums,
                                                           count * SUM * sums)]
    return edits


def renumber(n):
    return ["put /proofs/rounds round %d %d" % (i, i + 1) for i in range(n)] + [
        "put /history round %d %d" % (i, i + 1) for i in range(n)]


@test
def rounds_that_are_missing(folder):
    forge = Forger(folder, base())
    last = "set-attr / round 5"
    taken = ["put /silos rounds_taken %d 5" % i for i in range(N)]
    # Out of the middle: a gap, or all that follows renumbered.
    forge.refused({"error": "rounds holds numbers"}, *cut(2, 1))
    forge.refused({"records": "context", "signatures": "round",
                   "attestations": "head", "rosters": "round 3"}, *cut(2, 1),
                  *renumber(5), last, *taken, "put /proofs/rounds attested_from 4 5",
                  "put /proofs/rounds attested_from 3 3")
    forge.refused({"signatures": "round", "attestations": "attester"}, *cut(2, 1),
                  *renumber(5), last, *taken, "put /proofs/rounds attested_from 4 5",
                  "put /proofs/rounds attested_from 3 3", *CHAIN)
    # The newest.
    forge.refused({"error": "record is of round 5"}, *cut(5, 1))
    forge.refused({"records": "newest record", "model": "newest record",
                   "signatures": "no silo has signed", "attestations": "0 of 4"},
                  *cut(5, 1), last, *taken,
                  "set-attr /proofs record " + "0" * 64)
    # The first ones: told, and without a chain no more than told.
    forge.refused({"attestations": "from its first round"}, *cut(0, 2, history=False))
    code, lines, err = verify(Forger(folder, adam())(
        *cut(0, 2, history=False, chain=False)))
    assert code == 0 and any(
        kind == "not_checked" and "rounds before 3 have no records" in text
        for _, kind, text in lines), (err, lines)


@test
def old_and_new_mixed(folder):
    old = at_round(keep(), 4)
    new = file_of(keep())
    forge = Forger(folder, keep())
    # The model of round 4 with the history of round 6, and the other way.
    forge.refused({"model": "newest record"}, "take /model " + old)
    forge.refused({"model": "newest record"}, "take /model " + new, source=old)
    forge.refused({"error": "newest record"}, "take /history " + old)
    forge.refused({"error": "newest record"}, "take /history " + new, source=old)
    forge.refused({"error": "file says round 6"}, "take /history " + old,
                  "take /proofs " + old)
    forge.refused({"silos": "rounds"}, "take /silos " + old)
    forge.refused({"signatures": "round 5"},
                  "copy /proofs/signatures %d %d %d" %
                  (signature(5, 0) - 32, signature(4, 0) - 32, SIGNED * N))


# ---- history --------------------------------------------------------------------------


@test
def history(folder):
    forge = Forger(folder, base())
    for edit, round_ in (("test_accuracy 5 0.99", 6), ("test_loss 2 0.1", 3),
                         ("train_loss 0 0.1", 1), ("update 1 0.5", 2),
                         ("silos 3 3", 4)):
        wants = {"records": ["round %d" % round_, "metrics"]}
        if edit.startswith("silos"):
            wants["rosters"] = "number of silos"
        forge.refused(wants, "put /history " + edit)
    forge.refused({"signatures": "silo a", "attestations": "attester"},
                  "put /history test_accuracy 5 0.99", *CHAIN)
    forge.refused({"history": "wrong names"}, "rename /history test_loss test_x",
                  "rename /history test_accuracy test_loss",
                  "rename /history test_x test_accuracy")
    forge.refused({"history": "wrong names"},
                  "rename /history test_accuracy test_auc")
    forge.refused({"history": "count its rounds"}, "put /history round 2 7")
    forge.refused({"error": "/history"}, "drop-rows /history 0 1")


# ---- privacy --------------------------------------------------------------------------


@test
def ledger_and_epsilon(folder):
    forge = Forger(folder, private())
    steps = 4 * 3
    lower = ("set-attr /privacy epsilon 0.5", "put /history epsilon 3 0.5")
    forge.refused({"ledger": "newest record"}, "drop-rows /privacy/ledger 0 1")
    forge.refused({"ledger": "newest record"},
                  "put /privacy/ledger steps 0 %d" % (steps - 3))
    for column in ("noise_multiplier", "sampling", "sensitivity", "sampler"):
        forge.refused({"ledger": "newest record"},
                      "put /privacy/ledger %s 0 0.75" % column)
    for column in ("shares", "dimension"):
        forge.refused({"ledger": "newest record"}
                      if column == "dimension" else
                      {"ledger": "newest record", "labels": "honest"},
                      "put /privacy/ledger %s 0 1" % column)
    forge.refused({"ledger": "/privacy says"}, "set-attr /privacy epsilon 0.5")
    forge.refused({"ledger": "the history", "history": "falls"},
                  "put /history epsilon 3 0.5")
    forge.refused({"ledger": "/privacy says 0.5 and the history 0.5",
                   "history": "falls"}, *lower)
    forge.refused({"history": "falls"}, "put /history epsilon 1 900")
    forge.refused({"signatures": "silo a", "ledger": "steps are charged"},
                  "put /privacy/ledger steps 0 9", *MEND)
    for name in ("noise_multiplier 3", "clip 0.5", "sensitivity 7"):
        forge.refused({"ledger": "clip or grid"}, "set-attr /privacy " + name)
        forge.refused({"signatures": "silo a"} | # the clip is the job's as well
                      ({"ledger": "clip or grid"} if "clip" in name else {}),
                      "set-attr /privacy " + name, *MEND)
    for name in ("grid_bits 17", "grid_exponent -11", "field_bits 61"):
        forge.refused({"ledger": "clip or grid"}, "set-attr /privacy " + name)
    for name, value in (("delta", "1e-9"), ("epsilon_cap", "1"), ("unit", "silo"),
                        ("adjacency", "none"), ("mechanism", "perfect"),
                        ("noise", "local"), ("accountant", "rdp"),
                        ("silos", "real"), ("honest", "4"), ("honest", "2")):
        forge.refused({"labels": name}, "set-attr\t/privacy\t%s\t%s" % (name, value))
    forge.refused({"rest": "attribute 'audited' of /privacy"},
                  "set-attr /privacy audited yes")
    # Noise that is next to nothing: epsilon is infinite, and nothing else will do.
    forge = Forger(folder, loud())
    code, lines, err = verify(file_of(loud()))
    assert code == 0 and any("epsilon inf" in text for _, _, text in lines), lines
    forge.refused({"ledger": "/privacy says 0.5"}, "set-attr /privacy epsilon 0.5")
    forge.refused({"ledger": "the history 0.5", "history": "falls"},
                  "put /history epsilon 1 0.5")
    forge.refused({"ledger": "the history 0.5"}, *lower[:1],
                  "put /history epsilon 0 0.5", "put /history epsilon 1 0.5")


def loud():
    return simulated("loud", rounds=2, rest="privacy: {unit: silo, noise_multiplier: "
                     "0.01, clip: 1.0}\n")


# ---- records, rosters, sums --------------------------------------------------------------


@test
def records_and_what_they_hold(folder):
    forge = Forger(folder, base())
    part = {"transcript": "sums", "data": "data", "model": "model",
            "ledger": "ledger", "plan": "plan", "server": "server"}
    for name, leaf in part.items():
        size = {"plan": 64, "server": 96}.get(name, 32)
        wants = {"records": ["round 3", leaf + " is not what"]}
        if name == "transcript":
            wants["sums"] = "round 3"
        forge.refused(wants, "poke /proofs/%s %d 5a5a" % (name, 2 * size))
    forge.refused({"records": "roster", "rosters": "round 3", "sums": "round 3"},
                  "poke /proofs/roster 64 5a5a")
    for name in ("start_model", "start_state"):
        forge.refused({"records": "roster", "rosters": "round 3"},
                      "poke /proofs/%s 64 5a5a" % name)
    forge.refused({"records": "previous", "rosters": "round 3"},
                  "poke /proofs/previous 64 5a5a")
    forge.refused({"records": "data is not what"}, "poke /proofs/leaves %d 5a" %
                  (2 * 352 + 4 * 32))
    forge.refused({"records": "round 4: record is not", "signatures": "round 4"},
                  "poke /proofs/record 96 5a", others=("attestations",))
    # Each whole in itself, and not linked.
    for name, words in (("previous", "round 3 does not follow"),
                        ("start_model", "from another model")):
        # Round 3 has no signatures of its own: the link alone tells.
        forge.refused({"records": words, "attestations": "head"},
                      "poke /proofs/%s 64 5a5a" % name, "mend-unlinked")
    for column, extra in (("attempt", ()), ("draw", ()), ("field_bits", ("sums",))):
        forge.refused({"records": "context", "rosters": "round 3"},
                      "put /proofs/rounds %s 2 61" % column, others=extra)
    forge.refused({"error": "no run of Covey"}, "put /proofs/rounds field_bits 2 7")
    forge.refused({"records": "sums", "sums": "as many"},
                  "put /proofs/rounds sums 2 2")
    forge.refused({"labels": "attempt"}, "set-attr /proofs attempt 7")
    forge.refused({"labels": "collusion"}, "set-attr /proofs collusion 2")
    forge.refused({"records": "newest record"},
                  "set-attr /proofs record " + "0" * 64)


@test
def sums(folder):
    forge = Forger(folder, base())
    third = 2 * SUM
    places = {"length": third, "H(S)": third + 8, "f(S)": third + 40,
              "commitment": third + 72, "second commitment": third + 72 + 64,
              "inner product": third + 72 + 32}
    for name, at in places.items():
        forge.refused({"sums": "round 3"}, "poke /proofs/sum_details %d 5a5a" % at)
    # With the transcript and all that follows mended; where the inner products
    # add up, only the signatures are left to tell.
    for name, at in places.items():
        wants = {"signatures": "silo a"}
        if name in ("f(S)", "inner product"):
            wants["sums"] = "do not add up"
        forge.refused(wants, "poke /proofs/sum_details %d 5a5a" % at, *MEND,
                      others=("attestations",))
    forge.refused({"sums": "as many"}, "drop-rows /proofs/sum_details %d %d" %
                  (third, SUM), "put /proofs/rounds sum_bytes 2 0")
    forge.refused({"sums": "as many"}, "drop /proofs/sum_details",
                  *["put /proofs/rounds sum_bytes %d 0" % i for i in range(6)])


@test
def rosters(folder):
    forge = Forger(folder, base())
    third = 2 * N * MEMBER
    out = ["drop-rows /proofs/members %d %d" % (third + MEMBER, MEMBER),
           "put /proofs/rounds roster_bytes 2 %d" % (3 * MEMBER)]
    forge.refused({"rosters": "another number of silos", "sums": "round 3"}, *out,
                  others=("silos", "rewards"))
    out += ["put /history silos 2 3", "put /silos rounds_taken 1 5"]
    forge.refused({"records": "metrics", "rosters": "not the one that was signed",
                   "sums": "round 3"}, *out, others=("silos",))
    drop = "drop-rows /proofs/sum_details %d %d" % (2 * SUM + 72 + 64, 64)
    forge.refused({"signatures": "silo a", "sums": "do not add up",
                   "attestations": "attester"}, *out,
                  drop, "put /proofs/rounds sum_bytes 2 %d" % (SUM - 64), *CHAIN)
    for edit in ("poke /proofs/members %d 02000000" % (third + MEMBER),  # twice
                 "poke /proofs/members %d 09000000" % (third + MEMBER),
                 "poke /proofs/members %d 00000080" % third):
        forge.refused({"rosters": "each once"}, edit, others=("silos", "rewards"))
    for at in (4 + 5, 4 + 33):  # its mask key, its nonce's commitment
        forge.refused({"rosters": "not the one that was signed"},
                      "poke /proofs/members %d 5a5a" % (third + at))
    gone = ["drop-rows /proofs/members %d %d" % (third, N * MEMBER),
            "put /proofs/rounds roster_bytes 2 0",
            "drop-rows /proofs/sum_details %d %d" % (2 * SUM, SUM),
            "put /proofs/rounds sum_bytes 2 0"]
    forge.refused({"rosters": "taken out of the file"}, *gone)
    # Who took part, for people.
    forge.refused({"silos": "rounds"}, "put /silos rounds_taken 1 5")
    forge.refused({"silos": "last round"}, "put /silos status 2 0")
    forge.refused({"silos": "shares"}, "put /silos share 3 0.5")
    forge.refused({"silos": "silos and keys"}, "put /silos name 3 e")
    forge.refused({"silos": "silos and keys"}, "drop-rows /silos 3 1")
    forge = Forger(folder, real())
    forge.refused({"silos": "silos and keys"}, "put /silos public_key 1 0x02")


# ---- signatures ------------------------------------------------------------------------


@test
def signatures(folder):
    forge = Forger(folder, base())
    last, path = 5, "/proofs/signatures"

    def copy(source, target):
        return "copy %s %d %d %d" % (path, source - 32, target - 32, SIGNED)
    mine = signature(last, 1)
    words = {"signatures": ["round 6", "silo b"]}
    forge.refused(words, copy(signature(3, 1), mine))  # of another round
    forge.refused(words, copy(signature(last, 2), mine))  # of another silo
    forge.refused(words, "high-s %s %d" % (path, mine))  # the malleable twin
    forge.refused(words, "poke %s %d 5a" % (path, mine + 9))
    forge.refused(words, "poke %s %d 07" % (path, mine + 64))  # its parity
    forge.refused(words, "poke %s %d 5a" % (path, mine - 32))  # what it replaces
    forge.refused({"signatures": "round 4"}, "high-s %s %d" % (path, signature(3, 2)))
    none = "poke %s %d %s" % (path, mine - 32, "00" * SIGNED)
    forge.refused({"signatures": "3 of 4"}, none)
    everyone = "poke %s %d %s" % (path, signature(last, 0) - 32, "00" * SIGNED * N)
    forge.beside = ()
    forge.refused({"signatures": "no silo has signed"}, everyone)


@test
def identities(folder):
    forge = Forger(folder, real())
    new = "identity 1 " + OTHER
    forge.refused({"job": "silo b", "signatures": "silo b", "rosters": "signed"}, new,
                  others=("attestations",))
    forge.refused({"job": "silo b", "rosters": "signed", "attestations": "silo b"},
                  new, "sign 1 " + OTHER)
    forge.refused({"job": "silo b", "signatures": "silo a"}, new, *MEND,
                  "sign 1 " + OTHER, others=("attestations",))
    # The job's list changed with it: then it is another job.
    job = os.path.join(folder, "job")
    text = job_of(forge.run)
    import keyfile
    old = keyfile.public_key(secret_of("b"))
    assert old in text
    write(job, text.replace(old, keyfile.public_key(bytes.fromhex(OTHER))))
    forge.refused({"signatures": "silo a", "attestations": "silo b"}, new,
                  "put-text /job " + job, "mend-job", "put /silos public_key 1 " +
                  keyfile.public_key(bytes.fromhex(OTHER)), *MEND, "sign 1 " + OTHER)
    # A silo that helps the root signs what it likes: the others have not.
    for who in ("0", "1"):
        path = forge("put %s - 0 0.5" % W, *MEND, "sign %s %s" %
                     (who, secret(int(who))))
        code, lines, _ = verify(path)
        silo = "silo b" if who == "0" else "silo a"
        assert code == 6 and any(w == "signatures" and silo in t
                                 for w, t in failing(lines)), failing(lines)


def job_of(run):
    import h5py
    with h5py.File(file_of(run)) as f:
        return f["/job"][()].decode()


@test
def the_log_beside_the_file(folder):
    forge = Forger(folder, base())
    gone = "poke /proofs/signatures %d %s" % (signature(5, 0) - 32,
                                              "00" * SIGNED * N)
    path = forge(gone)
    code, lines, err = verify(path)
    assert code == 0, (failing(lines), err)
    log = os.path.join(os.path.dirname(path), "records.log")
    with open(log) as f:
        text = f.read()
    newest = [l for l in text.splitlines() if l.startswith("round=6 ")]
    assert len(newest) == N
    of_b = next(l for l in newest if "silo=b " in l)
    write(log, text + "".join(  # of other records, in whatever order
        l + "\n" for l in text.splitlines() if not l.startswith("round=6 ")))
    code, lines, err = verify(path)
    assert code == 0, (failing(lines), err)
    forged = of_b[:-20] + "00" + of_b[-18:]
    assert forged != of_b
    write(log, text + forged + "\n")
    code, lines, _ = verify(path)
    assert code == 6 and [w for w, _ in failing(lines)] == ["signatures"]
    for bad in ("", "garbage\n", text.replace(of_b + "\n", ""), "x" * 5000,
                text.replace("silo=b ", "silo=bb ")):
        write(log, bad)
        code, lines, _ = verify(path)
        assert code == 6 and [w for w, _ in failing(lines)] == ["signatures"], bad


# ---- job, labels, what no run writes --------------------------------------------------------


@test
def job(folder):
    forge, changed = Forger(folder, private()), os.path.join(folder, "job")
    text, edit = job_of(private()), "put-text /job " + changed
    assert "epsilon: 50\n" in text
    write(changed, text.replace("epsilon: 50\n", "epsilon: 60\n"))
    forge.refused({"job": "digest", "records": "context", "rosters": "signed",
                   "labels": "epsilon_cap"}, edit)
    forge.refused({"records": "context", "rosters": "signed"}, edit, "mend-job",
                  "set-attr /privacy epsilon_cap 60")
    forge.refused({"signatures": "silo a"}, edit, "mend-job",
                  "set-attr /privacy epsilon_cap 60", *MEND)
    write(changed, text + "# audited: epsilon is 0.1\n")
    forge.refused({"job": "digest does not cover"}, edit)
    forge.refused({"job": "digest"}, "set-attr / job_digest " + "0" * 64)
    forge = Forger(folder, base())
    text = job_of(base())
    payee = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    other = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
    write(changed, text.replace('payee: "%s"' % payee, 'payee: "%s"' % other))
    forge.refused({"job": "digest", "records": "context", "rosters": "signed",
                   "attestations": "opening"}, edit)
    forge.refused({"records": "context", "rosters": "signed",
                   "attestations": "opening"}, edit, "mend-job")
    forge.refused({"signatures": "silo a", "attestations": "opening"}, edit,
                  "mend-job", *CHAIN)
    # Another run, by its id.
    forge.refused({"records": "context", "rosters": "signed", "signatures": "silo a",
                   "attestations": "opening"}, "set-attr / run_id " + "ab" * 32)


@test
def labels_and_the_rest(folder):
    forge = Forger(folder, base())
    for path, name, value in (("/model", "kind", "mlp"),
                              ("/model", "parameters", "7"),
                              ("/data", "target", "f1")):
        forge.refused({"labels": name}, "set-attr %s %s %s" % (path, name, value))
    forge.refused({"rest": "/certificate"}, "add /certificate good")
    forge.refused({"rest": "/model/params/extra"}, "add /model/params/extra x")
    forge.refused({"error": "'silos' of '/privacy'"}, "add /privacy/ledger x")
    forge.refused({"rest": "'accuracy' of /model"}, "set-attr /model accuracy 0.99")
    forge.refused({"rest": "'checked by' of /"}, "set-attr\t/\tchecked by\tus")
    forge.refused({"rest": "/silly???"}, "add /silly\u20ac x")
    mlp = Forger(folder, simulated("mlp", rounds=2, model="{kind: mlp, hidden: [5]}",
                                   training="  weights: rows\n"))
    mlp.refused({"labels": "activation"}, "set-attr /model activation sine")
    mlp.refused({"silos": "shares"}, "put /silos share 0 0.25")


# ---- the chain ---------------------------------------------------------------------------


@test
def attestations(folder):
    forge = Forger(folder, real())
    n, path = 4, "/proofs/attestations"
    at = [attestation(n - 1, i) for i in range(N)]
    b = {"attestations": "silo b"}
    forge.refused(b, "poke /proofs/attesters %d 5a5a" % ATTESTER)
    forge.refused(b, "poke /proofs/attesters %d 5a5a" % (ATTESTER + 25))  # binding
    forge.refused(b, "poke /proofs/attesters %d 5a5a" % (ATTESTER + 90))  # opening
    # Replaced with the silo's own hand: the others opened the run with another.
    forge.refused({"attestations": "silo a: its attester has not signed"},
                  "attester 1 %s %s" % (secret(1), OTHER))
    forge.refused({"attestations": "silo b: its identity"},
                  "attester 1 %s %s" % (OTHER, OTHER))
    for place in (0, 32, 64):
        forge.refused({"attestations": ["round 2", "chain's head"]},
                      "poke /proofs/heads %d 5a5a" % (96 + place))
    forge.refused({"attestations": "head"}, "put /proofs/rounds attested_from 3 2")
    forge.refused(b, "copy %s %d %d %d" % (path, attestation(1, 1), at[1], SIG))
    forge.refused(b, "copy %s %d %d %d" % (path, at[2], at[1], SIG))
    forge.refused(b, "high-s %s %d" % (path, at[1]))
    gone = ["poke %s %d %s" % (path, a, "00" * SIG) for a in at]
    forge.refused({"attestations": "2 of 4"}, *gone[1:3])
    code, lines, err = verify(forge(gone[1]))  # a quorum is left
    assert code == 0 and any("3 of 4 attesters" in t for _, _, t in lines), err
    code, lines, err = verify(forge(*gone))  # the outbox has them
    assert code == 0 and any("4 of 4 attesters" in t for _, _, t in lines), err
    forge.beside = ("records.log",)
    forge.refused({"attestations": "0 of 4"}, *gone)
    forge.refused({"attestations": "from its first round"}, "drop /proofs/attesters")


@test
def rewards(folder):
    forge = Forger(folder, base())
    forge.refused({"rewards": "method equal"}, "put /rewards/silos basis 1 2")
    for edit in ("silo 1 c", "payee 1 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
                 "amount 1 300"):
        forge.refused({"rewards": "/rewards/silos shows"}, "put /rewards/silos " + edit)
    for edit in ("version 2",):
        forge.refused({"rewards": "quorum"}, "set-attr /rewards " + edit)
    forge.refused({"rewards": "epoch 1 alone"}, "set-attr /rewards epoch 2")
    forge.refused({"rewards": "newest round"}, "set-attr /rewards round 5")
    forge.refused({"rewards": "method equal"}, "poke /rewards/count_signatures 70 5a")
    path = "/rewards/signatures"
    forge.refused({"rewards": "1 of their signatures"}, "poke %s 70 5a5a" % path)
    forge.refused({"rewards": "quorum"}, "poke %s 70 5a5a" % path,
                  "poke %s 140 5a5a" % path)
    forge.refused({"rewards": "1 of their signatures"}, "copy %s 0 65 65" % path)
    forge.refused({"rest": "/rewards/coalitions"}, "add /rewards/coalitions x",
                  others=("rewards",))
    # Counts that silos tell of themselves.
    forge = Forger(folder, real())
    method = {"rewards": "method data_size"}
    forge.refused(method, "put /rewards/silos basis 1 1000")
    forge.refused(method, "poke /rewards/count_signatures 70 5a5a")
    forge.refused(method, "copy /rewards/count_signatures 0 65 65")
    # Signed anew by the silo: the amounts are others than the quorum signed.
    forge.refused({"rewards": "quorum"}, "put /rewards/silos basis 1 1000",
                  "sign-count 1 " + secret(1))


@test
def other_runs(folder):
    twin = simulated("twin", rest=chain())
    small = simulated("small", rounds=6, silos="[{name: a}, {name: b}, {name: c}]",
                      rest=chain())
    forge = Forger(folder, base())
    for run in (twin, small):
        path = forge("poke /proofs/attestations %d %s" %
                     (attestation(5, 0), "00" * SIG * N))
        home = os.path.dirname(path)
        shutil.copy(os.path.join(run, "outbox.db"), home)
        code, lines, _ = verify(path)
        assert code == 6 and [w for w, _ in failing(lines)] == ["attestations"]
        # Its signatures are not looked at: they are of other silos.
        assert "0 of 4 attesters" in failing(lines)[0][1], failing(lines)
        cheat(file_of(base()), path)
        code, lines, _ = verify(path)
        assert code == 6 and failing(lines) == [
            ("outbox", "outbox.db is that of another run")], failing(lines)
    write(os.path.join(home, "outbox.db"), "no database")
    code, lines, _ = verify(path)
    assert code == 6 and [w for w, _ in failing(lines)] == ["outbox"]
    # The proofs of another run of the same job.
    forge.refused({"records": "context", "signatures": "silo a", "rosters": "signed",
                   "attestations": "opening"}, "take /proofs " + file_of(twin),
                  others=("records", "outbox"))
    forge.refused({"error": "not of these rounds and silos"},
                  "take /proofs " + file_of(small))


# ---- any byte -----------------------------------------------------------------------------

# What the root alone says, and where a value may change without being another one.
FREE = ("created", "program", "description", "unit", "grid_exponent")


def same_value(path, name, kind, old, new):
    """NaNs are alike; epsilon is computed to 9 digits; hex has no case."""
    if kind == 1 and len(old) == 8:
        a, b = struct.unpack("<dd", old + new)
        if a != a and b != b:
            return True
        return name == "epsilon" and abs(a - b) <= 1e-9 * max(1, abs(a))
    return (path, name) == ("/proofs", "record") and old.lower() == new.lower()


@test
def no_byte_of_what_is_covered(folder):
    import h5py
    import numpy as np
    for run, seed in ((base(), 1), (private(), 2)):
        g, forge = random.Random(seed), Forger(folder, run)
        items = [(p, a, k, s) for p, a, k, s in listing(file_of(run))
                 if p.split("/")[1] in ("proofs", "history", "model", "privacy",
                                        "rewards", "silos", "data")
                 and s and a not in FREE and not a.startswith("unit:")]
        with h5py.File(file_of(run)) as f:
            tables = {p: f[p][...] for p, a, k, s in items if not a}
        held = 0
        for _ in range(250):
            path, name, kind, size = g.choice(items)
            if not name and g.random() < 0.5:  # arrays by their bytes
                weights = [0 if a else s for _, a, _, s in items]
                path, name, kind, size = g.choices(items, weights)[0]
            at, bit = g.randrange(size), 1 << g.randrange(8)
            if name:
                with h5py.File(file_of(run)) as f:
                    raw = np.asarray(f[path].attrs[name]).tobytes()
            else:
                raw = tables[path].tobytes()
            if at >= len(raw):
                continue
            byte = raw[at] ^ bit
            edit = "poke%s %s%s %d %02x" % ("-attr" if name else "", path,
                                            " " + name if name else "", at, byte)
            target = forge(edit)
            code, lines, err = verify(target)
            shutil.rmtree(os.path.dirname(target))
            if code:
                continue
            first, kind, column = (at - at % 8 if kind == 1 else at), kind, name
            if not name and tables[path].dtype.names:
                row = tables[path].dtype
                column, (field, start) = next(
                    (n, row.fields[n]) for n in row.names
                    if 0 <= at % row.itemsize - row.fields[n][1] <
                    row.fields[n][0].itemsize)
                first = at - at % row.itemsize + start
                kind = 1 if field.kind == "f" else kind
                if path == "/history" and (column.startswith("seconds_") or
                                           column == "epsilon"):
                    continue
            width = 8 if kind == 1 else 1
            old = raw[first:first + width]
            new = bytearray(raw)
            new[at] = byte
            assert same_value(path, column, kind, old,
                              bytes(new[first:first + width])), (
                "verify holds in spite of", edit)
            held += 1
        assert held < 25, held


if __name__ == "__main__":
    main()

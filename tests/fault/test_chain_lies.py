"""Hostile run folders and lying nodes, against the commands that spend money: each
ends with one message, without a crash (ASan and UBSan look on), and nothing is sent
that the contract of the real chain would not take."""
import json
import os
import random
import shutil
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..",
                                "e2e"))
import harness
from chain_fixture import World, make_key, selector, word
from fault_proxy import FaultProxy
from harness import main, test

ASAN = os.environ.get("COVEY_ASAN", harness.COVEY)
CRASHES = ("AddressSanitizer", "runtime error", "Sanitizer", "Assertion", "Aborted",
           "bug in covey")


def look(w, *args, url=None, key=None, code=(1, 2, 3, 5, 6)):
    """One message and no crash; returns it."""
    args = [ASAN] + [str(a) for a in args] + ["--rpc", url or w.node.url]
    if args[1] != "verify" and args[2] != "status":
        args += ["--key", key or w.key, "--password-file", w.pw]
    r = harness.finish(harness.start(args, env={
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}))
    for c in CRASHES:
        assert c not in r.err, (args, r.err[-3000:])
    assert r.code in code, (args, r.code, r.out[-500:], r.err[-1500:])
    if r.code and args[1] != "verify":
        assert len(r.messages) == 1, (args, r.err)
        assert all(32 <= ord(c) < 127 for c in r.messages[0]), r.messages
    return r


def commands(run):
    return [["chain", "status", run], ["chain", "register", run],
            ["settle", run, "--quiet"], ["rewards", run], ["rewards", run, "--fund"],
            ["rewards", run, "--claim"], ["rewards", run, "--refund"]]


class Ready(World):
    """With a run whose rewards are posted and claimable."""

    def __init__(self, folder):
        super().__init__(folder)
        self.run = self.new()
        self.register(self.run)
        self.settle(self.run)
        self.act(self.run, "fund")
        self.settle(self.run)
        self.later(2)

    def copy(self, name, *without):
        to = os.path.join(self.folder, name)
        shutil.rmtree(to, True)
        shutil.copytree(self.run, to)
        for n in without:
            os.unlink(os.path.join(to, n))
        return to


def change(run, *statements):
    db = sqlite3.connect(os.path.join(run, "outbox.db"))
    for s in statements:
        db.execute(*s) if isinstance(s, tuple) else db.execute(s)
    db.commit()
    db.close()


HUGE = 2**63 - 1
HARM = {
    "trigger": ["CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM run; END"],
    "trigger_on_epoch": ["CREATE TRIGGER t BEFORE UPDATE ON epoch BEGIN UPDATE epoch "
                         "SET payee = zeroblob(80); END"],
    "view": ["ALTER TABLE epoch RENAME TO e2",
             "CREATE VIEW epoch AS SELECT * FROM e2"],
    "endless_view": ["ALTER TABLE record RENAME TO r2",
                     "CREATE VIEW record AS WITH RECURSIVE c(round) AS (SELECT 1 "
                     "UNION ALL SELECT round + 1 FROM c) SELECT round, zeroblob(32) "
                     "AS record, 0 AS state FROM c"],
    "no_table": ["DROP TABLE silo"],
    "no_silos": ["DELETE FROM silo"],
    "twice_a_silo": ["UPDATE silo SET attester = (SELECT attester FROM silo WHERE i "
                     "= 0)"],
    "n_huge": ["UPDATE run SET n = %d" % HUGE],
    "n_zero": ["UPDATE run SET n = 0"],
    "n_negative": ["UPDATE run SET n = -1"],
    "collusion_huge": ["UPDATE run SET collusion = 4294967295"],
    "leaves_huge": ["UPDATE epoch SET leaves = 4294967295"],
    "leaves_more": ["UPDATE epoch SET leaves = 5, payee = zeroblob(100), amount = "
                    "zeroblob(160)"],
    "leaves_short": ["UPDATE epoch SET payee = zeroblob(7)"],
    "epoch_huge": ["UPDATE epoch SET epoch = %d" % HUGE],
    "version_huge": ["UPDATE epoch SET version = 4294967295"],
    "round_huge": ["UPDATE epoch SET round = %d" % HUGE],
    "total_huge": ["UPDATE epoch SET total = x'%s'" % ("ff" * 32)],
    "amounts_huge": ["UPDATE epoch SET amount = x'%s'" % ("ff" * 128)],
    "sigs": ["UPDATE epoch SET sigs = zeroblob(260)"],
    "sigs_long": ["UPDATE epoch SET sigs = zeroblob(100000000)"],
    "payee": ["UPDATE epoch SET payee = x'%s'" % ("66" * 80)],
    "name": [("UPDATE silo SET name = ? WHERE i = 0", ("\x1b[31m" + "x" * 5000,))],
    "name_nul": [("UPDATE silo SET name = ? WHERE i = 0", ("a\0b",))],
    "name_type": ["UPDATE silo SET name = '' WHERE i = 1"],
    "identity": ["UPDATE silo SET identity = zeroblob(33)"],
    "identity_short": ["UPDATE silo SET identity = zeroblob(3)"],
    "network": ["UPDATE run SET network = 'mars'"],
    "network_base": ["UPDATE run SET network = 'base', chain_id = 8453"],
    "contract": ["UPDATE run SET contract = x'%s'" % ("22" * 20)],
    "chain": ["UPDATE run SET chain_id = 1"],
    "state": ["UPDATE record SET state = 99", "UPDATE run SET state = -3"],
    "record": ["UPDATE record SET record = zeroblob(31)"],
    "rounds": ["UPDATE record SET round = round + 9000000000"],
    "attested": ["UPDATE attested SET first = 0", "UPDATE attested SET sigs = "
                 "zeroblob(1)"],
    "tx": ["UPDATE tx SET raw = zeroblob(3), nonce = %d, gas = -1" % HUGE],
    "user_version": ["PRAGMA user_version = 77"],
}


@test
def hostile_outbox(folder):
    """With run.h5 beside it, and without."""
    with Ready(folder) as w:
        money = w.balance(w.lead), w.balance(w.rewards)
        for name, statements in HARM.items():
            for without in ([], ["run.h5"]):
                run = w.copy("h-" + name, *without)
                change(run, *statements)
                for args in commands(run)[:None if without else 4]:
                    if args[-1] == "--claim":
                        continue  # of the true rewards: see below
                    look(w, *args, code=(0, 1, 2, 3, 6))
                shutil.rmtree(run)
        assert (w.balance(w.lead), w.balance(w.rewards)) == money
        # Whatever a file says, only what the silos signed is paid, to their payees.
        for name in ("payee", "leaves_more", "amounts_huge", "twice_a_silo", "sigs",
                     "total_huge"):
            run = w.copy("c-" + name, "run.h5")
            change(run, *HARM[name])
            look(w, "rewards", run, "--claim")
        assert w.balance(w.rewards) == money[1]
        # A damaged schema is named, but not repeated to the terminal.
        run = w.copy("schema", "run.h5")
        path = os.path.join(run, "outbox.db")
        data = open(path, "rb").read()
        with open(path, "wb") as f:
            f.write(data.replace(b"CREATE TABLE silo(i", b"CREATE TABLE \x1b[31m\x97"))
        look(w, "chain", "status", run, code=(6,))
        # That of another run, and none.
        other = w.new()
        run = w.copy("other")
        shutil.copy(os.path.join(other, "outbox.db"), run)
        for args in commands(run):
            if args[0] == "settle":
                continue
            r = look(w, *args, code=(6,))
            assert "another run" in r.err, r.err
        g = random.Random(1)
        data = open(os.path.join(w.run, "outbox.db"), "rb").read()
        for i in range(12):
            run = w.copy("noise", "run.h5")
            bad = bytearray(data)
            for _ in range(1 + 40 * (i % 3)):
                bad[g.randrange(len(bad))] = g.randrange(256)
            if i % 4 == 3:
                bad = bad[:g.randrange(len(bad))]
            with open(os.path.join(run, "outbox.db"), "wb") as f:
                f.write(bad)
            look(w, "chain", "status", run, code=(0, 1, 2, 3, 6))
            look(w, "rewards", run, code=(0, 1, 2, 3, 6))


@test
def hostile_run(folder):
    """run.h5 with datasets of other shapes and values, and noise."""
    import h5py
    import numpy as np
    with Ready(folder) as w:
        names = []
        with h5py.File(os.path.join(w.run, "run.h5")) as f:
            f.visititems(lambda n, d: names.append(n) if isinstance(d, h5py.Dataset)
                         and n.split("/")[0] in ("proofs", "rewards") else None)
        assert len(names) > 15

        def cases():
            for n in names:
                for kind in ("gone", "short", "ones", "other"):
                    yield n, kind

        g = random.Random(2)
        chosen = [c for c in cases() if c[0].startswith("rewards") or
                  c[0] in ("proofs/attesters", "proofs/identity", "proofs/heads",
                           "proofs/attestations", "proofs/rounds")
                  or g.random() < 0.15]
        for n, kind in chosen:
            run = w.copy("x")
            with h5py.File(os.path.join(run, "run.h5"), "r+") as f:
                data = f[n][()]
                del f[n]
                if kind == "short":
                    f[n] = data[:-1]
                elif kind == "ones" and data.dtype.kind in "iu":
                    f[n] = np.full_like(data, np.iinfo(data.dtype).max)
                elif kind == "ones" and data.dtype.names:
                    for c in data.dtype.names:
                        if data.dtype[c].kind in "iu":
                            data[c] = np.iinfo(data.dtype[c]).max
                    f[n] = data
                elif kind != "gone":
                    f[n] = np.arange(5.0)
            for command in (["chain", "status", run], ["rewards", run]):
                look(w, *command, code=(0, 2, 6))
        for attr, value in (("version", 2**62), ("epoch", 0), ("round", -5),
                            ("version", "x"), ("epoch", 2**63 - 1)):
            run = w.copy("x")
            with h5py.File(os.path.join(run, "run.h5"), "r+") as f:
                f["/rewards"].attrs[attr] = value
            look(w, "rewards", run, code=(0, 2, 6))
        data = open(os.path.join(w.run, "run.h5"), "rb").read()
        for i in range(10):
            run = w.copy("x", *(["outbox.db"] if i % 2 else []))
            bad = bytearray(data)
            for _ in range(1 + 60 * (i % 3)):
                bad[g.randrange(len(bad))] = g.randrange(256)
            with open(os.path.join(run, "run.h5"), "wb") as f:
                f.write(bad)
            look(w, "rewards", run, code=(0, 1, 2, 6))
            look(w, "chain", "status", run, code=(0, 1, 2, 6))


def say(value):
    return "say:" + json.dumps(value)


ZERO, ONES = "0x" + "00" * 32, "0x" + "ff" * 32
ANSWERS = ["0x", "0x00", ZERO, ONES, "0x" + "00" * 31 + "01", "0x" + "ff" * 320,
           "0x" + "00" * 1024, "0x" + word(32) + word(2**255), "0xzz", None, 7, [],
           {"a": 1}, "x" * 100000]


@test
def lying_node(folder):
    """eth_call answers something else, each in turn; so do the other calls."""
    with Ready(folder) as w, FaultProxy(w.node.url) as proxy:
        late = w.new()  # not registered, not settled
        money = w.balance(w.rewards)
        who = w.balance(w.lead)
        g = random.Random(3)
        orders = [["chain", "status", w.run], ["chain", "register", late],
                  ["rewards", w.run], ["rewards", late, "--fund"],
                  ["rewards", w.run, "--refund"], ["verify", w.run]]
        for answer in ANSWERS:
            for args in g.sample(orders, 2):
                skip = g.randrange(6)
                proxy.script(["pass"] * skip + [say(answer)] * 60, "eth_call")
                look(w, *args, url=proxy.url, code=(0, 1, 2, 3, 6))
        proxy.script([], "eth_call")
        for method in ("eth_getCode", "eth_chainId", "eth_getTransactionCount",
                       "eth_estimateGas", "eth_getBlockByNumber",
                       "eth_sendRawTransaction", "eth_getTransactionReceipt",
                       "eth_maxPriorityFeePerGas", "eth_getBalance"):
            for answer in g.sample(ANSWERS, 2) + [hex(2**64 - 1), ONES]:
                proxy.script([say(answer)] * 40, method)
                look(w, "chain", "status", w.run, url=proxy.url,
                     code=(0, 1, 2, 3, 6))
                if method in ("eth_chainId", "eth_estimateGas", "eth_getCode",
                              "eth_getBlockByNumber", "eth_getTransactionCount"):
                    look(w, "chain", "register", late, url=proxy.url,
                         code=(0, 1, 2, 3, 6))
                proxy.script([], method)
        assert w.balance(w.rewards) == money and w.balance(w.lead) == who


@test
def false_witnesses(folder):
    """Lies that fit: another owner, decimals, head, receipts of others."""
    with World(folder) as w, FaultProxy(w.node.url) as proxy:
        other, who = make_key(folder, "other")
        w.node.fund(who)
        run = w.new()

        def lie_about(signature, answer):
            """Only calls of this function are answered so."""
            real, select = proxy.ask, selector(signature)

            def ask(body):
                call = json.loads(body)
                if call["method"] == "eth_call" and \
                        call["params"][0].get("data", call["params"][0].get(
                            "input", "")).startswith(select):
                    return json.dumps({"jsonrpc": "2.0", "id": call["id"],
                                       "result": answer}).encode()
                return real(body)
            proxy.ask = ask
            return lambda: setattr(proxy, "ask", real)

        # "You own it": the contract says no, in words, before anything is sent.
        undo = lie_about("owner()", "0x" + word(who))
        count = w.node.rpc("eth_getTransactionCount", who, "latest")
        r = look(w, "chain", "register", run, url=proxy.url, key=other)
        assert "OwnableUnauthorizedAccount" in r.err, r.err
        assert count == w.node.rpc("eth_getTransactionCount", who, "latest")
        undo()
        # Another rewards contract.
        undo = lie_about("rewards()", "0x" + word(who))
        for args in (["chain", "register", run], ["chain", "status", run],
                     ["rewards", run, "--fund"]):
            r = look(w, *args, url=proxy.url, code=(6,))
            assert w.federation in r.err, r.err
        undo()
        w.register(run)
        w.settle(run)
        undo = lie_about("decimals()", "0x" + word(6))
        r = look(w, "rewards", run, "--fund", url=proxy.url, code=(2,))
        assert "6 decimals" in r.err, r.err
        undo()
        undo = lie_about("decimals()", ONES)
        look(w, "rewards", run, "--fund", url=proxy.url, code=(3, 6))
        undo()
        # "It has been claimed": nothing is sent; the truth can be asked elsewhere.
        w.act(run, "fund")
        w.settle(run)
        w.later(2)
        # A head that is not the run's.
        undo = lie_about("run(bytes32)", "0x" + word(1) + word(2) + word(3) +
                         word(4) + word(1) + word(3))
        r = look(w, "verify", run, "--json", url=proxy.url, code=(6,))
        assert '"fails"' in r.out, r.out
        undo()
        # A receipt of somebody else's transaction.
        mine = w.node.rpc("eth_getBlockByNumber", "latest", False)
        hashes = []
        for i in range(int(mine["number"], 16) + 1):
            hashes += w.node.rpc("eth_getBlockByNumber", hex(i), False)[
                "transactions"]
        receipt = w.node.receipt(hashes[0])
        proxy.script([say(receipt)] * 50, "eth_getTransactionReceipt")
        r = look(w, "rewards", run, "--claim", "--silo", "a", url=proxy.url,
                 code=(3, 6))
        proxy.script([], "eth_getTransactionReceipt")
        # It was sent and mined for all that; a second try finds it.
        w.act(run, "claim")
        assert w.balance(w.rewards) == 0


@test
def odd_arguments(folder):
    with World(folder) as w:
        run = w.new(rounds=1)
        for args in (["chain"], ["chain", "deploy"], ["chain", "deploy", "x"],
                     ["chain", "deploy", "--network", "none"],
                     ["chain", "deploy", "--network", "nowhere"],
                     ["chain", "deploy", "--network", "local", "--window", "0"],
                     ["chain", "deploy", "--network", "local", "--window", "-1"],
                     ["chain", "deploy", "--network", "local", "--window", "1e3"],
                     ["chain", "deploy", "--network", "local", "--window",
                      "99999999999999999999"],
                     ["chain", "deploy", "--network", "local", "--window",
                      "9223372036854775807"],
                     ["chain", "deploy", "--network", "local", "--claim-period",
                      "31536001"],
                     ["chain", "deploy", "--network", "local", "--owner", "0x12"],
                     ["chain", "deploy", "--network", "local", "--owner",
                      "0x" + "00" * 20],
                     ["chain", "deploy", "--network", "local", "--test-token", "x"],
                     ["chain", "deploy", "--network", "local", "--test-token",
                      "-5"],
                     ["chain", "deploy", "--network", "local", "--test-token",
                      "9" * 90],
                     ["chain", "register"], ["chain", "register", run, run],
                     ["chain", "status"], ["chain", "sell", run],
                     ["chain", "status", folder], ["chain", "status", "/dev/null"],
                     ["rewards"], ["rewards", run, run],
                     ["rewards", run, "--fund", "--claim"],
                     ["rewards", run, "--object", folder],
                     ["rewards", run, "--object", "/dev/null"],
                     ["rewards", folder], ["rewards", "/dev/null"],
                     ["rewards", run, "--claim", "--silo", ""],
                     ["rewards", run, "--silo"], ["rewards", run, "--rpc-file",
                                                  "/dev/null"],
                     ["rewards", run, "--rpc", "ftp://x"],
                     ["rewards", run, "--rpc", ""],
                     ["rewards", run, "--claims"]):
            block = w.node.number()
            r = harness.finish(harness.start(
                [ASAN] + args + ["--rpc", w.node.url, "--key", w.key,
                                 "--password-file", w.pw]))
            for c in CRASHES:
                assert c not in r.err, (args, r.err[-3000:])
            assert r.code in (2, 3) and len(r.messages) == 1, (args, r.code, r.err)
            assert w.node.number() == block, args


main()

"""Settling against a real node with the real contracts, and everything that can
go wrong on the way.  After each: the contract's head is the run's, and the events
have every round once and in order."""
import os
import shutil
import signal
import sqlite3
import time

import evm
from fault_proxy import FaultProxy
from harness import finish, main, start, test
from settle_fixture import Federation, report, settle, settle_args, wait_for

ROUNDS = 20


class Setting:
    """One node and federation for a test, and run folders with new runs."""

    def __init__(self, folder, *options, silos=3):
        self.folder, self.runs = folder, 0
        self.node = evm.Anvil(31337, *options).start()
        try:
            self.federation = Federation(self.node, folder, silos)
        except BaseException:
            self.node.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.node.stop()

    def new(self, rounds=ROUNDS, **options):
        self.runs += 1
        run = os.path.join(self.folder, "run%d" % self.runs)
        return run, self.federation.outbox(run, run=self.runs, rounds=rounds,
                                           **options)

    def pending(self):
        block = self.node.rpc("eth_getBlockByNumber", "pending", False)
        return block["transactions"]

    def pool(self):
        """Hashes of waiting transactions."""
        content = self.node.rpc("txpool_content")
        return [t["hash"] for kind in content.values() for by in kind.values()
                for t in by.values()]

    def begin(self, run, *more, url=None):
        return start(settle_args(run, url or self.node.url, *more))

    def end(self, p, expect=0):
        r = finish(p)
        assert r.code == expect, "exit %s\n%s\n%s" % (r.code, r.out, r.err)
        return r


@test
def once_and_again(folder):
    with Setting(folder) as s:
        run, about = s.new()
        r = report(run, s.node.url, "--batch", 10)
        s.federation.check(about, ROUNDS)
        assert s.federation.batches(about) == [(1, 10), (11, 20)]
        assert "0x" + r["head"] == about["head"] and r["rounds"] == ROUNDS
        assert r["transactions"] == {"built": 3, "sent": 3, "mined": 3,
                                     "reverted": 0, "replaced": 0, "dropped": 0}
        assert r["states"]["mined"] + r["states"]["safe"] + \
            r["states"]["final"] == ROUNDS
        gas = fees = 0
        for topic in ("opened_topic", "rounds_topic"):
            for e in s.federation.events(about[topic]):
                receipt = s.node.receipt(e["transactionHash"])
                gas += int(receipt["gasUsed"], 16)
                fees += int(receipt["gasUsed"], 16) * \
                    int(receipt["effectiveGasPrice"], 16)
        assert r["gas_used"] == gas and int(r["l2_fee_wei"]) == fees
        # Nothing is left to send: no key is needed, nothing is sent.
        block = s.node.number()
        again = report(run, s.node.url, key=False)
        assert again["transactions"] == r["transactions"]
        assert s.node.number() == block
        # More rounds: only they are sent.
        about = s.federation.outbox(run, run=1, rounds=30)
        report(run, s.node.url)
        s.federation.check(about, 30)
        assert s.federation.batches(about)[-1] == (21, 30)


@test
def finality(folder):
    with Setting(folder, "--slots-in-an-epoch", 1) as s:
        run, about = s.new()
        p = s.begin(run, "--watch", "--json")
        wait_for(lambda: s.federation.run(about)[1] == ROUNDS, "all rounds")
        s.node.mine(5)
        r = s.end(p)
        assert '"final":%d' % ROUNDS in r.out.replace(" ", ""), r.out
        s.federation.check(about, ROUNDS)


def killed_at_each_request(folder, mode):
    with Setting(folder) as s, FaultProxy(s.node.url) as proxy:
        for k in range(200):
            run, about = s.new(rounds=4, every=2)
            proxy.script(["pass"] * k + [mode])
            p = s.begin(run, "--batch", 2, url=proxy.url)
            wait_for(lambda: len(proxy.seen) > k or p.poll() is not None,
                     "request %d" % k)
            done = len(proxy.seen) <= k
            p.kill()
            p.communicate()
            r = report(run, s.node.url, "--batch", 2)
            s.federation.check(about, 4)
            # Each transaction on the chain is one that the outbox knows.
            assert r["transactions"]["mined"] == 3, (k, r)
            if done:
                break
        assert 20 < k < 199, k


@test
def killed_before_each_request(folder):
    killed_at_each_request(folder, "hang")


@test
def killed_while_each_request_is_under_way(folder):
    killed_at_each_request(folder, "delay")


@test
def killed_at_any_time(folder):
    with Setting(folder, "--block-time", 1) as s:
        run, about = s.new(rounds=40)
        for i in range(25):
            p = s.begin(run, "--batch", 5)
            time.sleep(0.05 + 0.037 * (i % 11))
            p.send_signal(signal.SIGKILL)
            p.communicate()
        settle(run, s.node.url, "--batch", 5)
        s.federation.check(about, 40)


@test
def stopped(folder):
    with Setting(folder) as s:
        run, about = s.new()
        s.node.automine(False)
        for sig in (signal.SIGINT, signal.SIGTERM):
            p = s.begin(run)
            wait_for(lambda: len(s.pool()) == 1, "the opening")
            p.stderr.readline()  # it is at work
            p.send_signal(sig)
            r = s.end(p, 75)
            assert "nothing is lost" in r.err, r.err
        s.node.automine(True)
        s.node.mine()
        settle(run, s.node.url)
        s.federation.check(about, ROUNDS)


@test
def two_in_one_folder(folder):
    with Setting(folder) as s:
        run, about = s.new()
        s.node.automine(False)
        p = s.begin(run)
        wait_for(lambda: len(s.pool()) == 1, "the first")
        r = settle(run, s.node.url, expect=3)
        assert "another `covey settle`" in r.err, r.err
        s.node.automine(True)
        s.node.mine()
        s.end(p)
        s.federation.check(about, ROUNDS)


@test
def on_two_machines(folder):
    """Copies of one folder, paid by one account and by two."""
    with Setting(folder, "--block-time", 1) as s:
        for payer in (0, 7):
            run, about = s.new()
            other = run + "-copy"
            shutil.copytree(run, other)
            if payer:
                os.unlink(os.path.join(other, "payer.json"))
                there = s.federation.outbox(other, run=s.runs, rounds=ROUNDS,
                                            payer=payer)
                s.node.fund(there["payer"])
            two = [s.begin(r, "--batch", 5) for r in (run, other)]
            for p in two:
                s.end(p)
            s.federation.check(about, ROUNDS)
            for r in (run, other):
                settle(r, s.node.url, key=False)


@test
def reorganised(folder):
    with Setting(folder) as s:
        run, about = s.new()
        settle(run, s.node.url, "--batch", 5)
        for depth in (1, 3, 5):
            s.node.reorganise(depth)
            assert s.federation.run(about)[1] < ROUNDS
            settle(run, s.node.url, "--batch", 5)
            s.federation.check(about, ROUNDS)


@test
def reorganised_while_it_watches(folder):
    with Setting(folder) as s:
        run, about = s.new()
        p = s.begin(run, "--batch", 5, "--watch", "--json")
        for depth in (2, 4):
            wait_for(lambda: s.federation.run(about)[1] == ROUNDS, "all rounds")
            s.node.reorganise(depth)
        wait_for(lambda: s.federation.run(about)[1] == ROUNDS, "all again")
        s.node.mine(80)
        r = s.end(p)
        assert "re-organised" in r.err, r.err
        s.federation.check(about, ROUNDS)


@test
def dropped_by_the_node(folder):
    with Setting(folder) as s:
        run, about = s.new()
        s.node.automine(False)
        p = s.begin(run)
        wait_for(lambda: len(s.pool()) == 1, "the opening")
        first = s.pool()[0]
        s.node.drop(first)
        wait_for(lambda: s.pool() == [first], "the same bytes again")
        s.node.automine(True)
        s.node.mine()
        r = s.end(p)
        assert "has lost transaction" in r.err, r.err
        s.federation.check(about, ROUNDS)


@test
def fees_rise(folder):
    with Setting(folder) as s:
        run, about = s.new()
        s.node.automine(False)
        # Not because it is old.
        p = s.begin(run, "--json", "--replace-after", 80000)
        wait_for(lambda: len(s.pool()) == 1, "the opening")
        first = s.pool()[0]
        s.node.base_fee(10**11)
        s.node.mine()
        assert s.federation.events(about["opened_topic"]) == []
        wait_for(lambda: s.pool() not in ([first], []), "a higher offer")
        # Above what is ever paid: it says so and waits.
        s.node.automine(True)
        s.node.mine()
        r = s.end(p)
        s.federation.check(about, ROUNDS)
        assert '"replaced": 1' in r.out or '"replaced":1' in r.out, r.out


@test
def fees_above_the_cap(folder):
    with Setting(folder) as s:
        run, about = s.new()
        s.node.base_fee(2 * 10**12)
        s.node.mine()
        p = s.begin(run)
        time.sleep(1.5)
        assert p.poll() is None and s.pool() == []
        s.node.base_fee(10**9)
        s.node.mine()
        r = s.end(p)
        assert "fees are too high" in r.err, r.err
        s.federation.check(about, ROUNDS)


@test
def waits_for_too_long(folder):
    with Setting(folder) as s:
        run, about = s.new()
        s.node.automine(False)
        p = s.begin(run, "--replace-after", 1)
        wait_for(lambda: len(s.pool()) == 1, "the opening")
        first = s.pool()[0]
        wait_for(lambda: s.pool() not in ([first], []), "a rival")
        s.node.automine(True)
        s.node.mine()
        r = s.end(p)
        assert "waits for too long" in r.err, r.err
        s.federation.check(about, ROUNDS)


def pay_elsewhere(s, payer, nonce, price):
    s.node.rpc("anvil_impersonateAccount", payer)
    return s.node.rpc("eth_sendTransaction", {
        "from": payer, "to": "0x" + "11" * 20, "value": "0x1", "gas": hex(21000),
        "nonce": hex(nonce), "maxFeePerGas": hex(price),
        "maxPriorityFeePerGas": hex(price)})


@test
def nonce_used_elsewhere(folder):
    with Setting(folder) as s:
        run, about = s.new()
        s.node.automine(False)
        p = s.begin(run, "--json")
        wait_for(lambda: len(s.pool()) == 1, "the opening")
        other = pay_elsewhere(s, about["payer"], 0, 10**11)
        s.node.mine()
        assert s.node.receipt(other)["status"] == "0x1"
        s.node.automine(True)
        r = s.end(p)
        assert "building anew" in r.err, r.err
        s.federation.check(about, ROUNDS)


@test
def account_used_between(folder):
    with Setting(folder) as s:
        run, about = s.new()
        settle(run, s.node.url)
        nonce = int(s.node.rpc("eth_getTransactionCount", about["payer"],
                               "latest"), 16)
        pay_elsewhere(s, about["payer"], nonce, 10**10)
        about = s.federation.outbox(run, run=1, rounds=30)
        settle(run, s.node.url)
        s.federation.check(about, 30)


@test
def network_faults(folder):
    with Setting(folder) as s, FaultProxy(s.node.url) as proxy:
        for mode in ("429", "503", "reset", "lost", "html", "truncated", "short",
                     "wrong_id", "limit"):
            run, about = s.new(rounds=4, every=2)
            proxy.script([mode] * 2, "eth_sendRawTransaction")
            proxy.script([mode], "eth_getTransactionReceipt")
            settle(run, proxy.url, "--batch", 2)
            s.federation.check(about, 4)
        run, about = s.new()
        proxy.chaos(0.15, seed=4)
        for _ in range(20):
            if settle(run, proxy.url, "--batch", 5, expect=None).code == 0:
                break
        s.federation.check(about, ROUNDS)


@test
def no_node(folder):
    with Setting(folder) as s:
        run, about = s.new()
        r = settle(run, "http://127.0.0.1:9", expect=3)
        assert len(r.messages) == 1, r.err
        settle(run, s.node.url)
        s.federation.check(about, ROUNDS)


@test
def too_few_signatures(folder):
    """Nothing is spent on what the contract would refuse."""
    with Setting(folder, silos=4) as s:
        # 4 attesters, quorum 3.
        run, about = s.new(signers=2)
        r = settle(run, s.node.url, expect=6)
        assert "expected the signatures of 3 of 4" in r.err, r.err
        assert s.federation.batches(about) == []
        assert int(s.node.rpc("eth_getTransactionCount", about["payer"],
                              "latest"), 16) == 1  # the opening
        run, about = s.new(signers=3)
        settle(run, s.node.url)
        s.federation.check(about, ROUNDS)
        # A checkpoint that one silo signed is covered by the next one.
        for weak in (1, 8, 15):
            run, about = s.new(weak=weak)
            settle(run, s.node.url, "--batch", 5)
            s.federation.check(about, ROUNDS)
        # Not so the last.
        run, about = s.new(weak=20)
        r = settle(run, s.node.url, "--batch", 5, expect=6)
        assert "rounds 16 to 20" in r.err, r.err
        assert s.federation.run(about)[1] == 15


@test
def another_history(folder):
    with Setting(folder) as s:
        run, about = s.new()
        settle(run, s.node.url)
        # The folder is put back, and the rounds come out otherwise.
        s.federation.outbox(run, run=1, rounds=30, salt_from=13, salt=2)
        r = settle(run, s.node.url, expect=6)
        assert "another record of round 20" in r.err, r.err
        s.federation.check(about, ROUNDS)
        # An older copy.
        run, about = s.new()
        old = run + "-old"
        s.federation.outbox(old, run=2, rounds=10)
        settle(run, s.node.url)
        r = settle(old, s.node.url, expect=6)
        assert "older copy" in r.err, r.err
        # One that begins later, when the chain has the others, and when not.
        late = run + "-late"
        more = s.federation.outbox(late, run=2, rounds=30, first=11)
        settle(late, s.node.url)
        s.federation.check(more, 30)
        run, _ = s.new(first=11)
        r = settle(run, s.node.url, expect=6)
        assert "are missing" in r.err, r.err


@test
def rounds_done_again_while_one_waits(folder):
    """What was sent and is not mined is outbid by what replaced it."""
    done_again(folder, "state")


@test
def rounds_done_again_after_a_kill(folder):
    """The same, killed between sending and writing that down."""
    done_again(folder, "0")


def done_again(folder, state):
    with Setting(folder) as s:
        run, about = s.new()
        settle(run, s.node.url)
        s.node.automine(False)
        s.federation.outbox(run, run=1, rounds=30)
        p = s.begin(run)
        wait_for(lambda: len(s.pool()) == 1, "rounds 21 to 30")
        p.kill()
        p.communicate()
        with sqlite3.connect(os.path.join(run, "outbox.db")) as db:
            db.execute("UPDATE tx SET state = %s WHERE first = 21" % state)
        db.close()
        about = s.federation.outbox(run, run=1, rounds=30, salt_from=25, salt=9)
        first = s.pool()
        p = s.begin(run)
        wait_for(lambda: s.pool() not in (first, []), "the new ones")
        s.node.automine(True)
        s.node.mine()
        s.end(p)
        s.federation.check(about, 30)


@test
def refused_before_it_costs(folder):
    with Setting(folder) as s:
        run, about = s.new(rounds=4)
        r = settle(run, s.node.url, expect=2, key=False)
        assert "--key" in r.err, r.err
        # Another chain, no contract, real money, damaged signatures.
        for options, code, says in (
                (dict(network="base-sepolia", chain=84532), 2, "test networks"),
                (dict(network="base-sepolia", chain=84532, simulated=0), 2,
                 "84532"),
                (dict(network="moon"), 6, "moon"),
                (dict(chain=1), 6, "chain 31337"),
                (dict(contract="0x" + "12" * 20), 2, "no contract"),
                (dict(silos=1), 6, "2 honest"),
                (dict(silos=4), 2, "NotSilo")):
            bad, _ = s.new(rounds=4, **options)
            r = settle(bad, s.node.url, expect=code)
            assert says in r.err, (says, r.err)
            assert len(r.messages) == 1, r.err
        # An account without money.
        run, about = s.new(rounds=4)
        s.node.rpc("anvil_setBalance", about["payer"], "0x10")
        r = settle(run, s.node.url, expect=3)
        assert about["payer"] in r.err, r.err
        assert s.node.rpc("eth_getTransactionCount", about["payer"],
                          "latest") == "0x0"


@test
def rewards(folder):
    with Setting(folder) as s:
        f = s.federation
        money = dict(epoch_at=10, token=f.token, sponsor=f.owner, total=900)
        # The run must be there before a sponsor can fund it.
        run, about = s.new(rounds=10)
        settle(run, s.node.url)
        f.fund(about, 1000)
        about = f.outbox(run, run=1, rounds=ROUNDS, **money)
        # Round 10 is on the chain and the epoch's turn is now.
        r = report(run, s.node.url)
        f.check(about, ROUNDS)
        assert r["epochs"] == r["epochs_settled"] == 1, r
        assert f.epoch_version(about) == 1
        posted = f.events(about["posted_topic"], about["rewards"])
        assert len(posted) == 1
        later = [e for e in f.events(about["rounds_topic"])
                 if int(e["data"][2:66], 16) > 10]
        assert int(posted[0]["blockNumber"], 16) < \
            int(later[0]["blockNumber"], 16)
        block = s.node.number()
        report(run, s.node.url, key=False)
        assert s.node.number() == block
        # Batches stop at an epoch; a pool without enough money stops nothing.
        for funded, says in ((0, "lacks the money"), (100, "lacks the money")):
            run, about = s.new(rounds=5)
            settle(run, s.node.url)
            if funded:
                f.fund(about, funded)
            about = f.outbox(run, run=s.runs, rounds=ROUNDS, **money)
            r = report(run, s.node.url)
            f.check(about, ROUNDS)
            assert f.batches(about) == [(1, 5), (6, 10), (11, 20)]
            assert says in r["note"], r
            assert r["epochs_settled"] == 0
        r = report(run, s.node.url)
        assert "later rounds were committed before it" in r["note"], r


if __name__ == "__main__":
    main()

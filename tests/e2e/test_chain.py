"""A run's whole life with a chain: deployed, trained, registered, settled, funded,
claimed and verified, on a real node; and what people do besides."""
import json
import os
from fractions import Fraction

import evm
import h5py
import numpy as np
from chain_fixture import (NAMES, World, ask, password, secret_of, shapley, split)
from harness import covey, main, mpirun, parameters, test, write, write_csv
from secure_sites import make_sites, secure_job, silos_text

UNIT = 10**18


def units(w, run):
    """What `covey rewards` says: {silo: (payee, units)}."""
    return {l["silo"]: (l["payee"], int(l["units"]))
            for l in w.rewards_of(run)["leaves"]}


def table(run):
    with h5py.File(os.path.join(run, "run.h5")) as f:
        rows = f["/rewards/silos"][()]
        value = f["/rewards/coalitions"][()] if "/rewards/coalitions" in f else None
    return [int(r["basis"]) for r in rows], value


def lines_of(r):
    return [(l["what"], l["kind"]) for l in json.loads(r.out)["lines"]]


def verify(w, run, expect=0):
    return covey("verify", run, "--rpc", w.node.url, "--json", expect=expect)


@test
def a_life(folder):
    """As a person does it, with a key that `covey keys` has made."""
    pw = password(folder)
    key = os.path.join(folder, "lead.json")
    covey("keys", "new", "--out", key, "--password-file", pw)
    lead = json.loads(covey("keys", "show", key, "--json").out)["address"]
    with evm.Anvil() as node:
        node.fund(lead)
        pay = ["--key", key, "--password-file", pw, "--rpc", node.url]
        r = covey("chain", "deploy", "--network", "local", "--test-token", "5000",
                  "--window", 1, *pay)
        made = dict(l.split() for l in r.out.splitlines())
        assert made["owner"] == lead and made["federation"] in r.out
        token = made["token"]
        sites = make_sites(folder, NAMES, rows=(40, 30, 50, 20))
        job = secure_job(folder, NAMES, rest=(
            'chain: {network: local, federation: "%s", rewards: {token: "%s", '
            'sponsor: "%s", pool: "1000.5"}}\n' % (made["federation"], token, lead)))
        run = os.path.join(folder, "RUN")
        mpirun(4, "run", job, "--silo-dir", sites, "--out", run, "-q")
        r = covey("chain", "status", run, "--rpc", node.url)
        assert "not opened; 3 rounds wait" in r.out and \
            r.out.count("not registered") == 4
        r = covey("chain", "register", run, *pay)
        assert r.out.count("registered now") == 4
        covey("settle", run, *pay)
        r = covey("rewards", run, "--fund", *pay)
        assert "funding: done" in r.err
        covey("settle", run, *pay)
        node.rpc("evm_increaseTime", "0x2")
        node.mine()
        covey("rewards", run, "--claim", *pay)
        shown = json.loads(covey("rewards", run, "--json", "--rpc", node.url).out)
        assert shown["total"] == "1000.5" and len(shown["leaves"]) == 4
        for l in shown["leaves"]:
            assert l["claimed"] == "yes" and l["amount"] == "250.125"
            assert ask(node, token, "balanceOf(address)", l["payee"]) == \
                2001 * UNIT // 8
        assert ask(node, token, "balanceOf(address)", lead) == \
            5000 * UNIT - 2001 * UNIT // 2
        r = covey("verify", run, "--rpc", node.url, "--json")
        assert {("chain", "told"), ("silos", "told"),
                ("payment", "told")} <= set(lines_of(r)), r.out
        # Asked for and not answered is not "holds".
        r = covey("verify", run, "--rpc", "http://127.0.0.1:1", expect=3)
        assert "chain was NOT checked" in r.out, r.out
        r = covey("chain", "status", run, "--rpc", node.url)
        assert "pool         0 free, 0 for rewards" in r.out, r.out
        assert "3 of 3 are on the chain" in r.out
        assert [l.split()[2:] for l in r.out.splitlines()
                if l.startswith("silo ")] == [["registered"]] * 4
        r = covey("chain", "status", job, "--rpc", node.url)
        assert lead in r.out and "silos        4" in r.out


@test
def objection(folder):
    """A site objects; the silos sign again; the second version is paid."""
    with World(folder) as w:
        sites = make_sites(folder, NAMES, rows=(40, 30, 50, 20))

        def job(more=""):
            return secure_job(folder, NAMES, rest=w.section("data_size", more=more))

        run = os.path.join(folder, "RUN")
        mpirun(4, "run", job(), "--silo-dir", sites, "--out", run, "-q")
        assert table(run)[0] == [40, 30, 50, 20]
        site = os.path.join(sites, "b.yaml")
        w.register(run)
        w.settle(run)
        r = w.act(run, "object", site, expect=2)
        assert "no rewards are posted" in r.err
        w.act(run, "fund")
        w.settle(run)
        other = os.path.join(make_sites(os.path.join(folder, "x"), ["z"]), "z.yaml")
        r = w.act(run, "object", other, expect=2)
        assert other in r.err and "a silo of this run" in r.err, r.err
        w.act(run, "object", site)
        r = w.act(run, "object", os.path.join(sites, "a.yaml"), expect=2)
        assert "frozen" in r.err, r.err
        w.later(2)
        r = w.act(run, "claim", expect=2)
        assert "objection" in r.err and "version 2" in r.err
        lines_of(verify(w, run))
        mpirun(4, "run", job(", version: 2"), "--silo-dir", sites, "--out", run,
               "--resume", "-q")
        assert w.rewards_of(run)["version"] == 2
        # Signed, and not posted yet.
        r = w.act(run, "claim", expect=2)
        w.settle(run)
        w.later(2)
        w.act(run, "claim")
        paid = split(1000 * UNIT, [40, 30, 50, 20])
        assert [w.balance(p) for p, _ in units(w, run).values()] == paid
        assert ("payment", "told") in lines_of(verify(w, run))
        # Too late.
        r = w.act(run, "object", site, expect=2)
        assert "time to object was over" in r.err, r.err


@test
def declared(folder):
    """Shares, a cap that bites, payees of their own, two silos with one payee."""
    payee = "0x" + "5A" * 20
    silos = ('[{name: a, share: 5}, {name: b, share: 2, payee: "%s"}, '
             '{name: c, share: 2, payee: "%s"}, {name: d}]' % (payee, payee))
    with World(folder) as w:
        for cap, basis in (("0.5", [5, 2, 2, 1]), ("1", [5, 2, 2, 1])):
            run = w.new(silos=silos.lower(), section=w.section(
                "declared", pool="0.000000000000000997", more=", cap: " + cap))
            want = split(997, basis, float(cap))
            got = units(w, run)
            assert table(run)[0] == basis
            assert [got[n][1] for n in NAMES] == want, (got, want)
            assert got["b"][0].lower() == payee.lower()
        w.pay(run)
        assert w.balance(payee) == want[1] + want[2]


@test
def counts(folder):
    """data_size and validation, compared with the data."""
    g = np.random.default_rng(5)
    rows = dict(a=60, b=40, c=50, d=20)
    with World(folder) as w:
        sites = make_sites(folder, NAMES, rows=(20,))
        for n, k in rows.items():
            y = g.integers(0, 3, k)
            x = np.eye(3)[y] * 4 + g.normal(size=(k, 3)) * 0.1
            if n == "d":
                y = (y + 1) % 3  # all wrong
            write_csv(os.path.join(sites, n + ".csv"), x, y)
        got = {}
        for method in ("data_size", "validation"):
            job = secure_job(folder, NAMES, rest=w.section(method),
                             data="test_fraction: 0.3", rounds=4,
                             local="{epochs: 4, batch: 8, learning_rate: 0.5}",
                             name=method + ".yaml")
            run = os.path.join(folder, method)
            mpirun(2, "run", job, "--silo-dir", sites, "--out", run, "-q")
            got[method] = table(run)[0]
        tests = [rows[n] - k for n, k in zip(NAMES, got["data_size"])]
        assert min(tests) > 0 and got["validation"] == tests[:3] + [0], got
        assert [u for _, u in units(w, run).values()] == \
            split(1000 * UNIT, got["validation"])[:3]
        # A silo that is paid nothing has no leaf; the names stay right.
        assert sorted(units(w, run)) == ["a", "b", "c"]
        w.pay(run)
        assert ("payment", "told") in lines_of(verify(w, run))


@test
def contributions(folder):
    """shapley: the model is the one of any other method, the basis what the
    coalitions' counts come to."""
    with World(folder) as w:
        for groups, n in ((2, 7), (3, 10)):
            silos = "{count: %d}" % n
            more = ", groups: %d" % groups
            kw = dict(silos=silos, rest="", ranks=2)
            plain = w.new(section=w.section("equal"), **kw)
            run = w.new(section=w.section("shapley", more=more), **kw)
            assert np.array_equal(parameters(plain), parameters(run))
            basis, value = table(run)
            members = [[i for i in range(n) if i * groups // n == g]
                       for g in range(groups)]
            gain = shapley(value, groups)
            each = [Fraction(max(gain[i * groups // n], 0)) /
                    len(members[i * groups // n]) for i in range(n)]
            assert [b * sum(each) for b in basis] == \
                [e * sum(basis) for e in each], (basis, each)
            want = [u for u in split(1000 * UNIT, each) if u]
            got = [u for _, u in units(w, run).values()]
            assert got == want, (got, want, basis, value)
            # The empty and the full coalition are models that others saw, too.
            with h5py.File(os.path.join(run, "run.h5")) as f:
                last = f["/proofs/coalitions"][()]
            assert np.array_equal(last, value) and len(value) == 2**groups
            for index, model in ((-1, run), (0, None)):
                if model is None:
                    model = w.new(section=w.section("equal"), rounds=2, **kw)
                r = covey("predict", model, os.path.join(folder, "test.csv"),
                          "-o", os.path.join(folder, "p.csv"))
                right = right_rows(folder)
                assert right == value[index], (right, value)
        w.pay(run)
        assert ("payment", "told") in lines_of(verify(w, run))


def right_rows(folder):
    """Rows of test.csv whose label p.csv has."""
    said = [l.split(",")[1] for l in open(os.path.join(folder, "p.csv"))][1:]
    true = [l.strip().split(",")[-1]
            for l in open(os.path.join(folder, "test.csv"))][1:]
    assert len(said) == len(true)
    return sum(a == b for a, b in zip(said, true))


@test
def again(folder):
    """Every command twice: nothing is sent the second time. One silo alone."""
    with World(folder) as w:
        run = w.new()
        names = [[w.register(run), "is registered"], [w.settle(run), ""],
                 [w.act(run, "fund"), "has what it needs"], [w.settle(run), ""]]
        w.later(2)
        block = w.node.number()
        w.act(run, "claim", "--silo", "c")
        assert w.node.number() == block + 1
        balances = {n: w.balance(p) for n, (p, _) in units(w, run).items()}
        assert balances == dict(a=0, b=0, c=250 * UNIT, d=0)
        r = w.act(run, "claim", "--silo", "e", expect=2)
        assert "'e'" in r.err
        w.act(run, "claim")
        block = w.node.number()
        for args in (["chain", "register", run], ["settle", run],
                     ["rewards", run, "--fund"], ["settle", run],
                     ["rewards", run, "--claim"],
                     ["rewards", run, "--claim", "--silo", "c"]):
            r = w.paid(*args)
            assert w.node.number() == block, (args, r.err)
        assert all(w.balance(p) == 250 * UNIT for p, _ in units(w, run).values())
        assert len(names) == 4


@test
def wrong_keys_and_places(folder):
    """Each refusal: one message that says what to do; no money is spent."""
    from chain_fixture import make_key
    with World(folder) as w, evm.Anvil(8453) as other:
        stranger, who = make_key(folder, "stranger")
        w.node.fund(who)
        run = w.new()
        empty = "0x" + "11" * 20

        def refused(says, *args, code=2, **kw):
            sent = int(w.node.rpc("eth_getTransactionCount", who, "latest"), 16)
            r = w.paid(*args, expect=code, **kw)
            assert len(r.messages) == 1 and len(r.err.splitlines()) == 1, r.err
            for s in says if isinstance(says, list) else [says]:
                assert s in r.err, r.err
            assert sent == int(w.node.rpc("eth_getTransactionCount", who,
                                          "latest"), 16)

        refused(["owner", w.lead], "chain", "register", run, key=stranger)
        refused(["31337", "8453"], "chain", "register", run, url=other.url)
        refused(["31337", "8453"], "rewards", run, "--fund", url=other.url)
        refused(["31337", "8453"], "settle", run, "--quiet", url=other.url)
        # settle before the silos are registered
        refused(["NotSilo", "owner adds silos"], "settle", run, "--quiet")
        refused("`covey settle` first", "rewards", run, "--fund")
        w.register(run)
        w.settle(run)
        refused([w.lead, who], "rewards", run, "--fund", key=stranger)
        refused("covey settle", "rewards", run, "--claim")
        refused("no.yaml", "rewards", run, "--object", folder + "/no.yaml")
        refused([w.lead, who], "rewards", run, "--refund", key=stranger)
        # Nothing is at the address; something else is.
        for where, words in ((empty, "no contract"), (w.token, None)):
            lost = w.new(section=w.section(federation=where))
            for args in (["chain", "register", lost], ["chain", "status", lost],
                         ["chain", "status", os.path.join(
                             folder, os.path.basename(lost) + ".yaml")],
                         ["rewards", lost, "--fund"], ["settle", lost]):
                r = w.paid(*args, expect=None)
                assert r.code in (2, 3, 6) and len(r.messages) == 1, (args, r.err)
                if words and args[0] != "settle":
                    assert words in r.err and "chain.federation" in r.err, \
                        (args, r.err)
        # Decimals that are not the token's.
        odd = w.new(section=w.section(more=", decimals: 6"))
        w.register(odd)
        w.settle(odd)
        refused(["18", "6", "chain.rewards.decimals"], "rewards", odd, "--fund")
        # More than the sponsor has.
        rich = w.new(section=w.section(pool="1000001"))
        w.register(rich)
        w.settle(rich)
        r = w.act(rich, "fund", expect=3)
        assert len(r.messages) == 1 and "the sponsor has 1000000;" in r.err, r.err
        # A token that is none, and one where nothing is.
        for token in (w.federation, empty):
            bad = w.new(section=w.section(token=token))
            w.register(bad)
            w.settle(bad)
            r = w.act(bad, "fund", expect=None)
            assert r.code in (2, 3, 6) and len(r.messages) == 1, r.err
        # A key without money.
        poor, _ = make_key(folder, "poor")
        lone = w.new()
        w.register(lone)
        r = w.settle(lone, key=poor, expect=3)
        assert "send it some" in r.err and len(r.messages) == 1, r.err


@test
def pool_too_small(folder):
    """Half the money is there from elsewhere: --fund adds what lacks."""
    with World(folder) as w:
        run = w.new()
        w.register(run)
        w.settle(run)
        node, half = w.node, 300 * UNIT
        node.rpc("anvil_impersonateAccount", w.lead)
        from chain_fixture import selector, word
        for to, call in (
                (w.token, selector("approve(address,uint256)") +
                 word(w.rewards) + word(half)),
                (w.rewards, selector("fund(bytes32,address,uint256)") +
                 w.run_id(run) + word(w.token) + word(half))):
            node.rpc("eth_sendTransaction", {"from": w.lead, "to": to,
                                             "data": call})
        node.rpc("anvil_stopImpersonatingAccount", w.lead)
        r = w.settled(run)
        assert r["epochs_settled"] == 0 and "epoch 1" in r["note"], r
        w.act(run, "fund")
        assert w.balance(w.rewards) == 1000 * UNIT
        w.settle(run)
        w.later(2)
        w.act(run, "claim")
        assert w.balance(w.rewards) == 0


@test
def refund(folder):
    with World(folder, claim_period=50) as w:
        run = w.new()
        w.register(run)
        w.settle(run)
        w.act(run, "fund")
        w.settle(run)
        w.later(2)
        w.act(run, "claim", "--silo", "a")
        r = w.act(run, "refund", expect=2)
        assert "another 4" in r.err and len(r.messages) == 1, r.err
        w.later(100)
        w.act(run, "refund")
        assert w.balance(w.lead) == (1000000 - 250) * UNIT
        r = w.act(run, "claim", expect=2)
        assert "sponsor has taken" in r.err, r.err
        assert "nothing to take back" in w.act(run, "refund").err
        assert verify(w, run, expect=None).code in (0, 6)



def again_with(w, run, expect=0, **kw):
    """The job of this run, changed, goes on."""
    job = w.job(name=os.path.basename(run), **kw)
    return w.train(job, run, 1, "--resume", expect=expect)


@test
def longer(folder):
    """More rounds after the rewards were signed: before they are posted, those of
    the longer run are paid; after that, those that were posted."""
    with World(folder) as w:
        run = w.new()
        w.register(run)
        w.settle(run)
        again_with(w, run, rounds=5)
        with h5py.File(os.path.join(run, "run.h5")) as f:
            assert f["/rewards"].attrs["round"] == 5
        w.pay(run)
        w.check_head(run)
        assert [w.balance(p) for p, _ in units(w, run).values()] == [250 * UNIT] * 4
        assert ("payment", "told") in lines_of(verify(w, run))
        # And once more.
        again_with(w, run, rounds=6)
        log = open(os.path.join(run, "covey.log")).read()
        assert "after round 5" in log and "not paid for" in log, log[-600:]
        w.settle(run)
        w.check_head(run)
        assert w.on_chain(run)[0] == 6
        block = w.node.number()
        for what in ("fund", "claim"):
            w.act(run, what)
        assert w.node.number() == block
        assert ("chain", "told") in lines_of(verify(w, run))


@test
def killed_and_resumed(folder):
    """The outbox may be lost at any time; an older run.h5 is refused."""
    with World(folder) as w:
        for lost in ([], ["outbox.db"], ["newest"], ["newest", "outbox.db"]):
            run = os.path.join(folder, "lost-" + "-".join(lost))
            w.train(w.job(rounds=4, every=2, name=os.path.basename(run)), run)
            old = os.path.join(run, "round-000002.h5")
            assert os.path.exists(old), os.listdir(run)
            if "newest" in lost:
                os.replace(old, os.path.join(run, "run.h5"))
            if "outbox.db" in lost:
                os.unlink(os.path.join(run, "outbox.db"))
            if "newest" in lost:
                # The silos remember what they have signed: no second history.
                r = again_with(w, run, rounds=6, every=2, expect=6)
                assert "has signed round 4" in r.err, r.err
                continue
            again_with(w, run, rounds=6, every=2)
            w.pay(run)
            w.check_head(run)
            assert w.on_chain(run)[0] == 6, lost
            assert ("payment", "told") in lines_of(verify(w, run))
            # The outbox is lost after all of it, and its blocks are safe.
            w.node.mine(70)
            block = w.node.number()
            for name in os.listdir(run):
                if name.startswith("outbox.db"):
                    os.unlink(os.path.join(run, name))
            for args in (["chain", "register", run], ["rewards", run, "--fund"],
                         ["settle", run], ["rewards", run, "--claim"]):
                w.paid(*args)
            assert w.node.number() == block, lost


@test
def killed_by_force(folder):
    """SIGKILL while it trains, again and again, with settle at work beside it."""
    import signal
    import time
    from harness import COVEY, finish, start
    with World(folder) as w:
        run = os.path.join(folder, "RUN")
        job = w.job(rounds=400, every=3, name="RUN")
        registered = False
        for i in range(4):
            p = start([COVEY, "run", job, "--out", run, "--resume", "-q"])
            h5 = os.path.join(run, "outbox.db")
            end = time.monotonic() + 60
            while not os.path.exists(h5) and time.monotonic() < end:
                time.sleep(0.05)
            time.sleep(0.3)
            p.send_signal(signal.SIGKILL)
            finish(p)
            if not registered:
                w.register(run)
                registered = True
            w.settle(run)
        w.train(w.job(rounds=401, every=3, name="RUN"), run, 1, "--resume")
        w.settle(run)
        w.check_head(run)
        assert w.on_chain(run)[0] == 401
        r = verify(w, run)
        assert ("chain", "told") in lines_of(r)


@test
def two_runs(folder):
    """In one federation, one of them with checkpoints every 3 rounds."""
    with World(folder) as w:
        one = w.new(rounds=8, every=3)
        two = w.new(rounds=2)
        for run in (one, two):
            w.register(run)
        for run in (two, one):
            w.settle(run)
        for run in (one, two):
            w.act(run, "fund")
            w.settle(run)
        w.later(2)
        for run in (two, one):
            w.act(run, "claim")
            w.check_head(run)
            assert [w.balance(p) for p, _ in units(w, run).values()] == \
                [250 * UNIT] * 4
            assert ("payment", "told") in lines_of(verify(w, run))
        assert w.on_chain(one)[0] == 8 and w.on_chain(two)[0] == 2
        assert w.balance(w.rewards) == 0


main()

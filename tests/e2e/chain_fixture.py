"""A node, a federation on it, its lead, and runs that settle there, all by the
real program."""
import hashlib
import json
import os
import sqlite3

import evm
import keyfile
from harness import blobs, covey, job_text, mpirun, write, write_csv

PHRASE = "a phrase that is seen nowhere"
NAMES = ("a", "b", "c", "d")


def secret_of(name):
    return hashlib.sha256(b"covey chain test " + name.encode()).digest()


def make_key(folder, name):
    """A funded person's key file with a cheap key derivation: (file, address)."""
    path = os.path.join(folder, name + ".key.json")
    keyfile.write(path, secret_of(name), PHRASE.encode())
    os.chmod(path, 0o600)
    pw = password(folder)
    shown = covey("keys", "show", path, "--password-file", pw, "--json").out
    return path, json.loads(shown)["address"]


def password(folder, text=PHRASE + "\n", name="pass"):
    path = write(os.path.join(folder, name), text)
    os.chmod(path, 0o600)
    return path


def word(value):
    return "%064x" % (int(value, 16) if isinstance(value, str) else value)


def selector(signature):
    return "0x" + keyfile.keccak256(signature.encode())[:4].hex()


def ask(node, to, signature, *words):
    """eth_call; the answer as a number."""
    answer = node.rpc("eth_call", {
        "to": to, "data": selector(signature) + "".join(word(w) for w in words)},
        "latest")
    return int(answer[2:66] or "0", 16)


class World:
    """A node with a federation whose window is one second, and a token."""

    def __init__(self, folder, chain_id=31337, claim_period=None, node=None):
        self.folder, self.runs = folder, 0
        self.own = node is None
        self.node = node or evm.Anvil(chain_id).start()
        try:
            self.key, self.lead = make_key(folder, "lead")
            self.pw = password(folder)
            self.node.fund(self.lead)
            more = ["--claim-period", claim_period] if claim_period else []
            made = json.loads(self.chain(
                "deploy", "--network", "local", "--test-token", "1000000",
                "--window", 1, *more, "--json").out)
            self.federation, self.token = made["federation"], made["token"]
            self.rewards = made["rewards"]
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.own:
            self.node.stop()

    # ---- jobs and runs ---------------------------------------------------------

    def section(self, method="equal", pool="1000", more="", rewards=True,
                **other):
        """The job's chain section."""
        f = dict(federation=self.federation, token=self.token, sponsor=self.lead)
        f.update(other)
        paid = (', rewards: {token: "%s", sponsor: "%s", pool: "%s", method: %s%s}'
                % (f["token"], f["sponsor"], pool, method, more))
        return 'chain: {network: local, federation: "%s"%s}\n' % (
            f["federation"], paid if rewards else "")

    def job(self, silos=NAMES, rounds=3, every=1, name="job", rest="", section="",
            data="", **kw):
        for file, rows, seed in (("train.csv", 40 * len(NAMES), 1),
                                 ("test.csv", 80, 2)):
            path = os.path.join(self.folder, file)
            if not os.path.exists(path):
                write_csv(path, *blobs(rows, seed=seed))
        if not isinstance(silos, str):
            silos = "[%s]" % ", ".join("{name: %s}" % s for s in silos)
        return write(os.path.join(self.folder, name + ".yaml"), job_text(
            silos, rounds=rounds, local="{steps: 3, batch: 8, learning_rate: 0.1}",
            training="  weights: equal\n", data=data,
            rest="secure_aggregation: {collusion: 1}\n"
                 "simulate: {source: train.csv, test: test.csv}\n"
                 "checkpoint: {every: %d, keep: 9}\n%s%s" %
                 (every, rest, section or self.section()), **kw))

    def new(self, ranks=1, out=None, **kw):
        """A run of simulated silos: its folder."""
        self.runs += 1
        out = out or os.path.join(self.folder, "run%d" % self.runs)
        self.train(self.job(name=os.path.basename(out), **kw), out, ranks)
        return out

    def train(self, job, out, ranks=1, *more, **kw):
        if ranks == 1:
            return covey("run", job, "--out", out, "-q", *more, **kw)
        return mpirun(ranks, "run", job, "--out", out, "-q", *more, **kw)

    # ---- commands --------------------------------------------------------------

    def paid(self, *args, key=None, url=None, **kw):
        return covey(*args, "--rpc", url or self.node.url, "--key",
                     key or self.key, "--password-file", self.pw, **kw)

    def chain(self, *args, **kw):
        return self.paid("chain", *args, **kw)

    def register(self, run, **kw):
        return self.chain("register", run, **kw)

    def settle(self, run, *more, **kw):
        return self.paid("settle", run, "--quiet", *more, **kw)

    def settled(self, run):
        return json.loads(self.settle(run, "--json").out)

    def rewards_of(self, run, *more, **kw):
        return json.loads(covey("rewards", run, "--json", *more, **kw).out)

    def act(self, run, what, *more, **kw):
        return self.paid("rewards", run, "--" + what, *more, **kw)

    def later(self, seconds):
        """Time passes."""
        self.node.rpc("evm_increaseTime", hex(seconds))
        self.node.mine()

    def pay(self, run):
        """Everything from a run that is done to rewards that are claimed."""
        self.register(run)
        self.settle(run)
        self.act(run, "fund")
        self.settle(run)
        self.later(2)
        self.act(run, "claim")

    # ---- what the chain says ---------------------------------------------------

    def balance(self, who):
        return ask(self.node, self.token, "balanceOf(address)", who)

    def run_id(self, run):
        """The contract's id of the run."""
        r = covey("chain", "status", run, "--rpc", self.node.url)
        for line in r.out.splitlines():
            if line.startswith("runId"):
                return line.split()[1]
        raise AssertionError("covey chain status shows no runId")

    def on_chain(self, run):
        """(last round, head) that the contract has."""
        answer = self.node.rpc("eth_call", {
            "to": self.federation, "data": selector("run(bytes32)") +
            self.run_id(run)}, "latest")[2:]
        return int(answer[128:192], 16), answer[64:128]

    def check_head(self, run):
        """The contract's head is what the records of run.h5 come to."""
        last, head = self.on_chain(run)
        rounds, want = head_of(run)
        assert (last, head) == (rounds, want), (last, head, rounds, want)


def head_of(run):
    """Last round and head, computed anew from the opening and the records."""
    import h5py
    with h5py.File(os.path.join(run, "run.h5")) as f:
        records = f["/proofs/record"][()]
        head = f["/proofs/heads"][0].tobytes()[:32]
    for i, record in enumerate(records):
        head = keyfile.keccak256(head + (i + 1).to_bytes(32, "big") +
                                 record.tobytes())
    return len(records), head.hex()


def split(pool, basis, cap=1):
    """Units of the pool to each: in proportion, at most cap of the pool, what
    rounding leaves to the largest remainders."""
    from fractions import Fraction
    most, amounts, capped = int(pool * Fraction(cap)), [0] * len(basis), set()
    while True:
        left = pool - most * len(capped)
        whole = sum(b for i, b in enumerate(basis) if i not in capped)
        exact = {i: Fraction(left * b) / whole for i, b in enumerate(basis)
                 if i not in capped and b}
        over = {i for i, e in exact.items() if int(e) > most}
        if not over:
            break
        capped |= over
    for i in capped:
        amounts[i] = most
    for i, e in exact.items():
        amounts[i] = int(e)
    for i in sorted(exact, key=lambda i: (int(exact[i]) - exact[i], i)):
        if sum(amounts) < pool and exact[i] != int(exact[i]) and \
                amounts[i] < most:
            amounts[i] += 1
    return amounts


def shapley(value, groups):
    """Each group's mean gain over all orders in which they may come."""
    from fractions import Fraction
    from itertools import permutations
    gain, orders = [Fraction(0)] * groups, list(permutations(range(groups)))
    for order in orders:
        there = 0
        for g in order:
            gain[g] += int(value[there | 1 << g]) - int(value[there])
            there |= 1 << g
    return [g / len(orders) for g in gain]

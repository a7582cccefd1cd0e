"""A federation on a real node, and run folders with an outbox for it."""
import json
import os
import subprocess
import time

from harness import COVEY, LIMIT, ROOT, finish, start

BUILD = os.path.dirname(COVEY)
MAKE = os.path.join(BUILD, "tests", "chain", "make_outbox")
CONTRACTS = os.path.join(ROOT, "chain", "contracts")


def word(v):
    if isinstance(v, str):
        v = int(v, 16)
    return "%064x" % v


def bytecode(name):
    with open(os.path.join(CONTRACTS, name + ".json")) as f:
        code = json.load(f)["bytecode"]
    code = code["object"] if isinstance(code, dict) else code
    return code if code.startswith("0x") else "0x" + code


class Federation:
    """A contract on a node whose blocks come with transactions, the silos of
    `seed` its members."""

    def __init__(self, node, folder, silos=3, seed=1):
        self.node, self.seed, self.silos = node, seed, silos
        self.owner = node.rpc("eth_accounts")[0]
        self.contract = self.send(
            None, bytecode("CoveyFederation") + word(self.owner) + word(3600) +
            word(86400))["contractAddress"]
        os.makedirs(folder, exist_ok=True)
        self.token = self.send(None, bytecode("CoveyTestToken") +
                               word(self.owner) + word(10**24))["contractAddress"]
        self.about = self.outbox(os.path.join(folder, "members"), rounds=0)
        for call in self.about["add_silo"]:
            self.send(self.contract, call)
        node.fund(self.about["payer"])

    def send(self, to, data):
        tx = {"from": self.owner, "data": data, "gas": hex(15000000)}
        if to:
            tx["to"] = to
        sent = self.node.rpc("eth_sendTransaction", tx)
        wait_for(lambda: self.node.receipt(sent), "a receipt")
        receipt = self.node.receipt(sent)
        assert receipt["status"] == "0x1", receipt
        return receipt

    def outbox(self, folder, /, **options):
        """Write FOLDER/outbox.db; returns what the run is and is to become."""
        os.makedirs(folder, exist_ok=True)
        args = dict(silos=self.silos, seed=self.seed, contract=self.contract,
                    chain=self.node.chain_id)
        args.update(options)
        out = subprocess.run([MAKE, folder] + ["%s=%s" % a for a in args.items()],
                             check=True, stdout=subprocess.PIPE).stdout
        return json.loads(out)

    def fund(self, about, amount):
        """The owner sponsors the run."""
        self.send(self.token, about["approve_call"] + word(about["rewards"]) +
                  word(amount))
        self.send(about["rewards"], about["fund_call"] + about["run_id"][2:] +
                  word(self.token) + word(amount))

    def run(self, about, tag="latest"):
        """(head, last round) by the contract."""
        answer = self.node.rpc("eth_call", {
            "to": self.contract, "data": about["run_call"] + about["run_id"][2:]},
            tag)[2:]
        return "0x" + answer[64:128], int(answer[128:192], 16)

    def epoch_version(self, about, epoch=1):
        answer = self.node.rpc("eth_call", {
            "to": about["rewards"], "data": about["epoch_call"] +
            about["run_id"][2:] + word(epoch)}, "latest")
        return int(answer[2:66], 16)

    def events(self, topic, address=None):
        return self.node.rpc("eth_getLogs", {
            "fromBlock": "0x0", "toBlock": "latest",
            "address": address or self.contract, "topics": [topic]})

    def batches(self, about):
        """[(first, last)] of this run's RoundsCommitted events, in order."""
        out = []
        for e in self.events(about["rounds_topic"]):
            if e["topics"][1] == about["run_id"]:
                out.append((int(e["data"][2:66], 16), int(e["data"][66:130], 16)))
        return out

    def check(self, about, rounds):
        """Every round is on the chain once, in order, and leads to the head."""
        head, last = self.run(about)
        assert last == rounds, (last, rounds)
        assert head == about["head"], (head, about["head"])
        covered = [r for a, b in self.batches(about) for r in range(a, b + 1)]
        assert covered == list(range(1, rounds + 1)), covered
        opened = [e for e in self.events(about["opened_topic"])
                  if e["topics"][1] == about["run_id"]]
        assert len(opened) == 1, opened


def settle_args(run, url, *more, key=True):
    args = [COVEY, "settle", run, "--rpc", url]
    if key:
        args += ["--key", os.path.join(run, "payer.json"), "--password-file",
                 os.path.join(run, "payer.pass")]
    return args + [str(m) for m in more]


def settle(run, url, *more, expect=0, key=True, limit=LIMIT):
    r = finish(start(settle_args(run, url, *more, key=key)), limit)
    assert expect is None or r.code == expect, (
        "expected exit %s, found %s\n%s\n%s" % (expect, r.code, r.out, r.err))
    return r


def report(run, url, *more, **kw):
    return json.loads(settle(run, url, "--json", *more, **kw).out)


def wait_for(condition, what, limit=LIMIT):
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "waited in vain for " + what
        time.sleep(0.02)

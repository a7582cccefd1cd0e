"""The contracts: what is committed is what the sources give, their own tests, and
a run with rewards on a real node, which signs typed data by its own code.

`test_contracts.py coverage` prints which lines the contracts' tests reach."""
import filecmp
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

from harness import LIMIT, ROOT, command, finish, main, start, test

HERE = os.path.join(ROOT, "chain", "contracts")
FORGE = os.path.join(HERE, "node_modules/@foundry-rs/forge-linux-amd64/bin/forge")
WINDOW, PERIOD = 3600, 86400
CHAIN = 84532


def tools():
    return command(["sh", os.path.join(ROOT, "tests/chain/tools.sh")]).out.strip()


def forge(*args, env=None):
    return command([FORGE] + list(args), cwd=HERE, env=env)


@test
def committed_code_is_of_the_sources(folder):
    tools()
    command(["sh", os.path.join(HERE, "build.sh"), folder])
    files = ["contracts.h", "contracts.c"] + [
        "contracts/%s.json" % c
        for c in ("CoveyFederation", "CoveyRewards", "CoveyTestToken")]
    for f in files:
        assert filecmp.cmp(os.path.join(folder, f),
                           os.path.join(ROOT, "chain", f), shallow=False), \
            "chain/%s is not what build.sh makes: run it and commit" % f
    assert set(os.listdir(folder)) == {"contracts.h", "contracts.c", "contracts"}


@test
def types_are_the_same_letter_for_letter(folder):
    def types(path):
        text = open(os.path.join(ROOT, "chain", path)).read()
        text = re.sub(r'"\s*\\?\s*"', "", text)
        return set(re.findall(
            r'"((?:Attester|Run|Rounds|Epoch|Objection)\([^"]*\))"', text))
    sources = types("contracts/src/CoveyFederation.sol") | \
        types("contracts/src/CoveyRewards.sol")
    assert len(sources) == 5
    assert sources == types("federation.h")


@test
def unit_fuzz_and_invariant_tests(folder):
    tools()
    # The gas of whole transactions is compared with chain/contracts/snapshots.
    out = forge("test", env={"FORGE_SNAPSHOT_CHECK": "true"}).out
    count = re.search(r"(\d+) tests passed, 0 failed, 0 skipped", out)
    assert count and int(count.group(1)) >= 66, out[-2000:]


@test
def sources_are_formatted(folder):
    tools()
    forge("fmt", "--check")


# ------------------------------------------------------------------ a real node

def word(x):
    if isinstance(x, str):
        x = bytes.fromhex(x[2:])
        return x.rjust(32, b"\0")  # an address, or 32 bytes
    return int(x).to_bytes(32, "big")


def encode(*args):
    """ABI: words; bytes for bytes; lists for arrays of words."""
    head, tail = [], b""
    for a in args:
        if isinstance(a, (bytes, list)):
            head.append(word(32 * len(args) + len(tail)))
            body = a + b"\0" * (-len(a) % 32) if isinstance(a, bytes) else \
                b"".join(word(x) for x in a)
            tail += word(len(a)) + body
        else:
            head.append(word(a))
    return b"".join(head) + tail


class Reverted(Exception):
    pass


class Node:
    def __init__(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.url = "http://127.0.0.1:%d" % port
        self.process = start([tools(), "--network", "optimism", "--chain-id",
                              str(CHAIN), "--host", "127.0.0.1", "--port",
                              str(port), "--quiet"])
        self.codes = {}
        for _ in range(LIMIT * 10):
            try:
                self.accounts = self.rpc("eth_accounts")
                return
            except OSError:
                assert self.process.poll() is None, "the node has ended"
                time.sleep(0.1)
        self.end()
        raise AssertionError("the node does not answer")

    def end(self):
        self.process.terminate()
        finish(self.process)

    def rpc(self, method, *params):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                           "params": params}).encode()
        request = urllib.request.Request(
            self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=LIMIT) as f:
            reply = json.load(f)
        if "error" in reply:
            raise Reverted(reply["error"].get("data", reply["error"]))
        return reply["result"]

    def keccak(self, data):
        return self.rpc("web3_sha3", "0x" + data.hex())

    def send(self, data, to=None, sender=0):
        tx = {"from": self.accounts[sender], "data": "0x" + data.hex(),
              "gas": hex(10_000_000)}
        if to:
            # The node mines what fails as well; a call says why.
            tx["to"] = to
            self.rpc("eth_call", tx, "latest")
        made = self.rpc("eth_sendTransaction", tx)
        # It is mined at once, but not before the answer.
        for _ in range(LIMIT * 50):
            receipt = self.rpc("eth_getTransactionReceipt", made)
            if receipt:
                assert receipt["status"] == "0x1", receipt
                return receipt
            time.sleep(0.02)
        raise AssertionError("not mined: %s" % made)

    def later(self, seconds):
        self.rpc("evm_increaseTime", hex(seconds))
        self.rpc("evm_mine")

    def sign(self, account, domain, where, kind, fields, message):
        names = ("name:string", "version:string", "chainId:uint256",
                 "verifyingContract:address")
        split = [f.split(":") for f in names]
        data = {"types": {"EIP712Domain": [{"name": n, "type": t}
                                           for n, t in split],
                          kind: [{"name": n, "type": t} for t, n in
                                 (f.split() for f in fields.split(","))]},
                "primaryType": kind, "message": message,
                "domain": {"name": domain, "version": "1", "chainId": CHAIN,
                           "verifyingContract": where}}
        made = self.rpc("eth_signTypedData_v4", self.accounts[account], data)
        return bytes.fromhex(made[2:])


class Contract:
    def __init__(self, node, name, where=None, args=b"", sender=0):
        made = json.load(open(os.path.join(HERE, name + ".json")))
        self.node, self.selectors = node, {}
        for f in made["abi"]:
            if f["type"] in ("function", "error"):
                signature = "%s(%s)" % (f["name"], ",".join(
                    map(self.kind, f["inputs"])))
                self.selectors[f["name"]] = node.keccak(signature.encode())[:10]
        if not where:
            code = bytes.fromhex(made["bytecode"][2:]) + args
            where = node.send(code, sender=sender)["contractAddress"]
        self.where = where

    def kind(self, i):
        if not i["type"].startswith("tuple"):
            return i["type"]
        return "(%s)" % ",".join(map(self.kind, i["components"]))

    def data(self, name, args):
        if isinstance(args, tuple):
            args = encode(*args)
        return bytes.fromhex(self.selectors[name][2:]) + args

    def send(self, name, args, sender=9):
        return self.node.send(self.data(name, args), self.where, sender)

    def call(self, name, *args):
        out = self.node.rpc("eth_call", {
            "to": self.where, "data": "0x" + self.data(name, args).hex()},
            "latest")[2:]
        return ["0x" + out[i:i + 64] for i in range(0, len(out), 64)]

    def refuses(self, error, name, args, sender=9):
        try:
            self.send(name, args, sender)
        except Reverted as e:
            assert str(e).startswith(self.selectors[error]), \
                "%s: expected %s, found %s" % (name, error, e)
            return
        raise AssertionError("%s was not refused" % name)


def fields(kind):
    text = open(os.path.join(ROOT, "chain", "federation.h")).read()
    text = re.sub(r'"\s*\\?\s*"', "", text)
    return re.search(r'"%s\(([^"]*)\)"' % kind, text).group(1)


def federation(node):
    """Silos 0..3: identities are accounts 1..4, attesters 5..8."""
    fed = Contract(node, "CoveyFederation",
                   args=encode(node.accounts[0], WINDOW, PERIOD))
    for i in range(4):
        silo, attester = node.accounts[1 + i], node.accounts[5 + i]
        s = node.sign(1 + i, "Covey Federation", fed.where, "Attester",
                      fields("Attester"),
                      {"silo": silo, "attester": attester, "nonce": 0})
        fed.send("addSilo", (silo, attester, s), sender=0)
    return fed


def everyone(node, who, *what):
    return b"".join(node.sign(5 + i, *what) for i in who)


def run_id(node, salt, job, attesters, collusion):
    """What the contract makes of an opening's terms."""
    return node.keccak(encode(salt, job, attesters, collusion))


def open_run(node, fed, salt, job):
    attesters = node.accounts[5:9]
    run = run_id(node, salt, job, attesters, 1)
    s = everyone(node, range(4), "Covey Federation", fed.where, "Run",
                 fields("Run"), {"runId": run, "jobDigest": job,
                                 "attesters": attesters, "collusion": 1})
    args = (salt, job, node.accounts[1:5], 1, s)
    fed.send("openRun", args)
    assert fed.call("run", run)[0] == job
    fed.refuses("RunExists", "openRun", args)
    return run


def open_first(node, fed, salt, job):
    """Two insiders open a run of their own under the salt of others."""
    run = run_id(node, salt, job, node.accounts[5:7], 0)
    s = everyone(node, range(2), "Covey Federation", fed.where, "Run",
                 fields("Run"), {"runId": run, "jobDigest": job,
                                 "attesters": node.accounts[5:7],
                                 "collusion": 0})
    fed.send("openRun", (salt, job, node.accounts[1:3], 0, s))
    assert fed.call("run", run)[0] == job


def commit(node, fed, run, job, count, who=(0, 1, 3)):
    _, head, last = fed.call("run", run)[:3]
    first = int(last, 16) + 1
    before, records = head, []
    for r in range(first, first + count):
        records.append(node.keccak(b"record %d" % r))
        head = node.keccak(word(head) + word(r) + word(records[-1]))
    s = everyone(node, who, "Covey Federation", fed.where, "Rounds",
                 fields("Rounds"),
                 {"runId": run, "jobDigest": job, "firstRound": first,
                  "lastRound": first + count - 1, "previousHead": before,
                  "newHead": head})
    return head, (run, before, records, first, s)


@test
def rounds_and_rewards_on_a_node(folder):
    node = Node()
    try:
        scenario(node)
    finally:
        node.end()


def scenario(node):
    salt, job = node.keccak(b"run"), node.keccak(b"job")
    fed = federation(node)
    rewards = Contract(node, "CoveyRewards",
                       "0x" + fed.call("rewards")[0][-40:])
    open_first(node, fed, salt, job)
    run = open_run(node, fed, salt, job)
    for k in range(2):
        head, args = commit(node, fed, run, job, 50)
        used = int(fed.send("commitRounds", args)["gasUsed"], 16)
        print("gas of 50 rounds, 3 of 4: %d, %d a round" % (used, used // 50))
        assert used / 50 <= 8000
        assert fed.call("run", run)[1] == head
        fed.refuses("StaleHead", "commitRounds", args)
    fed.refuses("NoQuorum", "commitRounds",
                commit(node, fed, run, job, 5, who=(0, 2))[1])
    fed.refuses("NotInOrder", "commitRounds",
                commit(node, fed, run, job, 5, who=(0, 2, 2))[1])

    token = Contract(node, "CoveyTestToken",
                     args=encode(node.accounts[0], 10 ** 24))
    token.send("approve", (rewards.where, 10 ** 24), sender=0)
    rewards.send("fund", (run, token.where, 10 ** 21), sender=0)
    payees = ["0x%040x" % (0xabc0 + i) for i in range(64)]
    amounts = [10 ** 18 + i for i in range(64)]
    leaves = [node.keccak(word(node.keccak(encode(
        CHAIN, rewards.where, run, 1, i, payees[i], amounts[i]))))
        for i in range(64)]
    root, proof = tree(node, leaves, 5)
    e = {"runId": run, "epoch": 1, "version": 1, "head": head,
         "sponsor": node.accounts[0], "token": token.where, "root": root,
         "total": str(sum(amounts)), "leaves": 64}
    s = everyone(node, (1, 2, 3), "Covey Rewards", rewards.where, "Epoch",
                 fields("Epoch"), e)
    names = [f.split()[1] for f in fields("Epoch").split(",")]
    rewards.send("postEpoch", encode(*[e[n] if n != "total" else sum(amounts)
                                       for n in names], s))
    claim = (run, 1, 5, payees[5], amounts[5], proof)
    rewards.refuses("TooEarly", "claim", claim)
    objection = node.sign(5, "Covey Rewards", rewards.where, "Objection",
                          fields("Objection"),
                          {"runId": run, "epoch": 1, "version": 1})
    rewards.send("object", (run, 1, 1, objection))
    node.later(WINDOW)
    rewards.refuses("Frozen", "claim", claim)
    e["version"] = 2
    s = everyone(node, (1, 2, 3), "Covey Rewards", rewards.where, "Epoch",
                 fields("Epoch"), e)
    rewards.send("postEpoch", encode(*[e[n] if n != "total" else sum(amounts)
                                       for n in names], s))
    node.later(WINDOW)
    used = int(rewards.send("claim", claim)["gasUsed"], 16)
    print("gas of a first claim, 64 leaves: %d" % used)
    assert used <= 110_000
    assert int(token.call("balanceOf", payees[5])[0], 16) == amounts[5]
    rewards.refuses("AlreadyClaimed", "claim", claim)
    rewards.refuses("TooEarly", "refund", (run, token.where), sender=0)
    node.later(PERIOD)
    rewards.send("refund", (run, token.where), sender=0)
    assert int(token.call("balanceOf", rewards.where)[0], 16) == 0


def tree(node, level, k):
    proof = []
    while len(level) > 1:
        proof.append(level[k ^ 1])
        level = [node.keccak(b"".join(sorted([word(a), word(b)])))
                 for a, b in zip(level[::2], level[1::2])]
        k //= 2
    return level[0], proof


if len(sys.argv) > 1 and sys.argv[1] == "coverage":
    tools()
    sys.exit(subprocess.call([FORGE, "coverage", "--no-match-coverage", "test/",
                              "--no-match-contract", "GasTest"], cwd=HERE))
main()

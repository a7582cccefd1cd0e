"""The node client against a real node, and against everything between them."""
import json
import os
import signal
import subprocess
import threading
import time

import evm
from fault_proxy import FaultProxy
from harness import COVEY, LIMIT, ROOT, environment, main, test

# With sanitizers where there is such a build.
PROBE = os.path.join(ROOT, "build-asan", "tests", "chain", "rpc_probe")
if not os.path.exists(PROBE):
    PROBE = os.path.join(os.path.dirname(COVEY), "tests", "chain", "rpc_probe")
TOKEN = "TOKEN0123456789"
NOBODY = "0x" + "00" * 18 + "beef"
HERE = "0x" + "c0" * 20
ORACLE = "0x420000000000000000000000000000000000000f"
FAST = ("pause=0.001", "longest=0.01", "call=10")

# Runtime code, by hand. PUSH1 60, PUSH4 63, PUSH32 7f, SHL 1b, MSTORE 52, MSTORE8
# 53, LOG1 a1, RETURN f3, REVERT fd.
REVERTS = "0x63deadbeef60e01b60005260046000fd"  # with the bytes deadbeef
TOPIC = "ab" * 32
LOGS = "0x602a6000527f" + TOPIC + "60206000a100"  # data: one word, 42
ANSWERS_4660 = "0x61123460005260206000f3"
RUNS_OUT = "0x5b600056"  # for ever


class Probe:
    """The client as a process: one line in, one line out."""

    def __init__(self, *args):
        env = environment({"ASAN_OPTIONS": "detect_leaks=1:exitcode=99"})
        self.p = subprocess.Popen(
            [PROBE] + [a.replace("://", "://user:%s@" % TOKEN) + "/?key=" + TOKEN
                       if "://" in a else a for a in args],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, preexec_fn=evm.end_with_parent)
        self.timer = threading.Timer(LIMIT, self.p.kill)  # a hang is a failure
        self.timer.start()

    def ask(self, *words):
        self.p.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        assert line, "the probe ended: %s" % self.p.stderr.read()
        assert TOKEN not in line, line
        assert line.isascii() and line[:-1].isprintable(), repr(line)
        return line.split()

    def ok(self, *words):
        answer = self.ask(*words)
        assert answer[0] == "ok", "%s: %s" % (words, " ".join(answer))
        return answer[1:]

    def error(self, fault, *words, code="-3"):
        """Returns the revert's bytes and the text."""
        answer = self.ask(*words)
        assert answer[:3] == ["error", code, fault], \
            "%s: expected error %s %s, found %s" % (words, code, fault,
                                                    " ".join(answer))
        return answer[3], " ".join(answer[4:])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            _, err = self.p.communicate(timeout=LIMIT)
        finally:
            self.timer.cancel()
            if self.p.poll() is None:
                self.p.kill()
        assert TOKEN not in err
        assert kind or self.p.returncode == 0, err


def sign(probe, node, secret=0, nonce=0, gas=100000, tip=100000,
         max_fee=20000000, to=NOBODY, value=0, data="0x"):
    return probe.ok("sign", evm.SECRETS[secret], node.chain_id, nonce, gas, tip,
                    max_fee, to, value, data)


def mined(probe, tx):
    """The receipt, once it is there: a busy node mines after it has answered."""
    until = time.monotonic() + LIMIT
    while True:
        r = probe.ok("receipt", tx)
        if r != ["none"] or time.monotonic() > until:
            return r
        time.sleep(0.05)


def account(probe, node, secret=0):
    """Address of a test key, with money."""
    address = probe.ok("address", evm.SECRETS[secret])[0]
    node.fund(address)
    return address


# ---- what a node says ------------------------------------------------------------


@test
def typed_calls_say_what_the_node_says(folder):
    with evm.Anvil() as node, Probe(*FAST, node.url) as p:
        p.ok("chain", 31337)
        who = account(p, node)
        node.mine(3)
        for found, tag in ((p.ok("block", "latest"), "latest"),
                           (p.ok("at", 2), "0x2")):
            b = node.rpc("eth_getBlockByNumber", tag, False)
            assert found == [str(int(b["number"], 16)), str(int(b["timestamp"], 16)),
                             b["hash"], str(int(b["baseFeePerGas"], 16))], (found, b)
        assert p.ok("at", 4) == ["none"]
        assert p.ok("at", 2**64 - 1) == ["none"]
        assert p.ok("block", "pending")[0] == "4"
        assert p.ok("nonce", who, "latest") == ["0"]
        assert p.ok("balance", who) == [str(10**20)]
        node.fund(who, 2**255)
        assert p.ok("balance", who) == [str(2**255)]
        assert p.ok("code", HERE) == ["0"]
        node.set_code(HERE, ANSWERS_4660)
        assert p.ok("code", HERE) == ["1"]
        assert p.ok("call", HERE, "0x") == ["0x%064x" % 4660]
        assert p.ok("call", NOBODY, "0x01020304") == ["0x"]
        assert int(p.ok("tip")[0]) == int(node.rpc("eth_maxPriorityFeePerGas"), 16)
        assert p.ok("knows", "0x" + "11" * 32) == ["0"]
        assert p.ok("receipt", "0x" + "11" * 32) == ["none"]
        gas = int(p.ok("estimate", who, NOBODY, "0x")[0])
        assert gas == int(node.rpc("eth_estimateGas", {"from": who, "to": NOBODY}), 16)


@test
def transactions_from_sending_to_receipt(folder):
    with evm.Anvil() as node, Probe(*FAST, node.url) as p:
        p.ok("chain", 31337)
        who = account(p, node)
        node.set_code(HERE, LOGS)
        node.automine(False)
        raw, tx = sign(p, node, to=HERE)
        assert p.ok("send", raw, tx) == ["none"]
        assert p.ok("knows", tx) == ["1"]
        assert p.ok("receipt", tx) == ["none"]
        assert p.ok("nonce", who, "latest") == ["0"]
        assert p.ok("nonce", who, "pending") == ["1"]
        assert p.ok("send", raw, tx) == ["known"]  # waiting
        node.mine()
        r = node.receipt(tx)
        assert mined(p, tx) == [
            "1", "1", r["blockHash"], str(int(r["gasUsed"], 16)),
            str(int(r["effectiveGasPrice"], 16)), "0", "0x", "log", HERE,
            "0x" + TOPIC, "data", "0x%064x" % 42]
        assert p.ok("nonce", who, "latest") == ["1"]
        assert p.ok("send", raw, tx) == ["known"]  # mined: "nonce too low"

        node.automine(True)
        raw, tx = sign(p, node, nonce=1, to="-", data="0x60006000f3")
        p.ok("send", raw, tx)
        made = mined(p, tx)
        assert made[0] == "1" and made[6] == node.receipt(tx)["contractAddress"]

        node.set_code(HERE, REVERTS)
        raw, tx = sign(p, node, nonce=2, to=HERE)
        p.ok("send", raw, tx)
        reverted = mined(p, tx)
        assert reverted[0] == "0" and "log" not in reverted


@test
def a_node_that_says_no_is_understood(folder):
    with evm.Anvil() as node, Probe(*FAST, node.url) as p:
        p.ok("chain", 31337)
        who = account(p, node)
        node.automine(False)
        p.ok("send", *sign(p, node))
        p.error("underpriced", "send", *sign(p, node, value=1))
        p.ok("send", *sign(p, node, value=1, tip=112500, max_fee=22500000))
        node.mine()
        p.error("nonce_low", "send", *sign(p, node, value=2))
        p.error("fee_low", "send", *sign(p, node, nonce=1, max_fee=100000))
        node.fund(who, 10**18)
        p.error("funds", "send", *sign(p, node, nonce=1, value=10**18))
        p.error("gas", "send", *sign(p, node, nonce=1, gas=20999))
        # Another secret: an account without money.
        p.error("funds", "send", *sign(p, node, secret=1))
        # A transaction for another chain.
        other = p.ok("sign", evm.SECRETS[0], 1, 1, 21000, 100000, 20000000, NOBODY,
                     0, "0x")
        p.error("other", "send", *other)
        # The hash that is kept with it is not its own: nothing is sent.
        raw, tx = sign(p, node, nonce=1)
        p.error("none", "send", raw, "0x" + "11" * 32, code="-6")
        assert p.ok("knows", tx) == ["0"]
        node.set_code(HERE, RUNS_OUT)
        p.error("gas", "estimate", who, HERE, "0x")


@test
def what_contracts_say_comes_through(folder):
    # Error bytes that are no text, as custom errors are; NULs among them.
    strange = bytes([0, 0xff, 0x1b, 0x0a])
    with evm.Anvil() as node, Probe(*FAST, node.url) as p:
        p.ok("chain", 31337)
        who = account(p, node)
        for expected in (bytes.fromhex("deadbeef"), strange):
            node.set_code(HERE, REVERTS.replace("deadbeef", expected.hex()))
            for words in (("call", HERE, "0x"), ("estimate", who, HERE, "0x")):
                found, text = p.error("revert", *words)
                assert found == "0x" + expected.hex(), (found, text)
                assert "reverted" in text
        # require(false, "already known"): the contract chooses no fault.
        reason = ("08c379a0" + "%064x" % 32 + "%064x" % 13 +
                  b"already known".hex().ljust(64, "0"))
        code = "".join("63%s60e01b60%02x52" % (reason[i:i + 8].ljust(8, "0"), i // 2)
                       for i in range(0, len(reason), 8))
        node.set_code(HERE, "0x%s60646000fd" % code)
        found, text = p.error("revert", "call", HERE, "0x")
        assert found == "0x" + reason and "already known" in text


@test
def safe_and_finalized(folder):
    with evm.Anvil(31337, "--slots-in-an-epoch", 1) as node, \
            Probe(*FAST, node.url) as p:
        p.ok("chain", 31337)
        node.mine(10)
        latest, safe, final = (p.ok("block", t) for t in
                               ("latest", "safe", "finalized"))
        assert latest[0] == "10"
        for tag, found in (("safe", safe), ("finalized", final)):
            b = node.rpc("eth_getBlockByNumber", tag, False)
            assert found[0] == str(int(b["number"], 16)) and found[2] == b["hash"]
        assert int(final[0]) < int(safe[0]) < 10


@test
def a_reorganised_receipt_is_gone(folder):
    with evm.Anvil() as node, Probe(*FAST, node.url) as p:
        p.ok("chain", 31337)
        account(p, node)
        raw, tx = sign(p, node)
        p.ok("send", raw, tx)
        node.mine(2)
        before = mined(p, tx)
        assert p.ok("at", before[1])[2] == before[2]
        node.reorganise(3)
        assert p.ok("receipt", tx) == ["none"]
        assert p.ok("at", before[1])[2] != before[2]


@test
def the_fee_for_l1_where_there_is_one(folder):
    with evm.Anvil() as node, Probe(*FAST, node.url) as p:
        p.ok("chain", 31337)
        assert p.ok("l1_fee", "0x02" + "ab" * 100) == ["0"]
        node.set_code(ORACLE, ANSWERS_4660)
        assert p.ok("l1_fee", "0x02" + "ab" * 100) == ["4660"]
        # The call is getL1Fee(bytes): its first word, 49948e0e..., comes back.
        node.set_code(ORACLE, "0x60003560005260206000f3")
        found = int(p.ok("l1_fee", "0x02")[0])
        assert found >> 224 == 0x49948e0e
        node.set_code(ORACLE, "0x601f6000f3")  # 31 bytes
        p.error("none", "l1_fee", "0x02", code="-6")


@test
def another_chain_is_refused(folder):
    with evm.Anvil(31337) as a, evm.Anvil(84532) as b:
        with Probe(*FAST, a.url) as p:
            _, text = p.error("none", "chain", 84532, code="-2")
            assert "84532" in text and "31337" in text
        # The right one goes away; answers of the other do not count.
        with FaultProxy(a.url) as right, FaultProxy(b.url) as wrong, \
                Probe("tries=4", *FAST, right.url, wrong.url) as p:
            p.ok("chain", 31337)
            a.fund(HERE, 5)
            assert p.ok("balance", HERE) == ["5"]
            right.script(["503"] * 100)
            answer = p.ask("balance", HERE)
            assert answer[0] == "error"
            assert wrong.count("eth_getBalance") == 0
            assert wrong.count("eth_chainId") > 0
            right.script([])
            assert p.ok("balance", HERE) == ["5"]


@test
def a_node_that_lies_is_found_out(folder):
    """Well-formed answers that cannot be, for each call."""
    other = '"0x%s"' % ("11" * 32)
    with evm.Anvil() as node, FaultProxy(node.url) as proxy, \
            Probe(*FAST, proxy.url) as p:
        who = account(p, node)
        node.mine(3)
        raw, tx = sign(p, node)
        block = json.dumps(node.rpc("eth_getBlockByNumber", "0x2", False))
        for words, says in (
                (("chain", 31337), ["null", '"31337"', "31337", '"0x"', "{}"]),
                (("at", 3), [block, "{}", '"0x3"', "[]"]),
                (("block", "latest"), ["null", "{}"]),
                (("nonce", who, "latest"), ["null", "0", '"0x00"', '"0x1%s"' % ("0" * 16)]),
                (("balance", who), ["null", "1e3", '"1"', '"0x1%s"' % ("0" * 64)]),
                (("code", HERE), ["null", '"0x1"', '"60"']),
                (("tip",), ["null", "1", '"0x01"']),
                (("l1_fee", "0x02"), ['"0x01"', '"0x%s"' % ("00" * 64)]),
                (("knows", tx), ["{}", "true", '{"hash":%s}' % other]),
                (("receipt", tx), ["{}", "[]", '{"transactionHash":%s}' % other])):
            for said in says:
                proxy.script(["say:" + said])
                p.error("none", *words, code="-6")
        for words, says in (
                (("call", HERE, "0x"), ["null", "1", '"0xabc"', '"abcd"']),
                (("estimate", who, NOBODY, "0x"), ["null", "21000", '"0x5207"', '"0x0"']),
                (("send", raw, tx), ["null", "true", other])):
            for said in says:
                proxy.script(["say:" + said])
                answer = p.ask(*words)
                assert answer[:2] == ["error", "-6"], answer


@test
def what_a_node_does_not_have(folder):
    with evm.Anvil() as node, FaultProxy(node.url) as proxy, \
            Probe(*FAST, proxy.url) as p:
        for text in ("safe block not found", "finalized block not found"):
            proxy.script(["fail:-32000:" + text])
            assert p.ok("block", "safe") == ["none"]
        proxy.script(["fail:-39001:Unknown block"])
        assert p.ok("block", "finalized") == ["none"]
        proxy.script(["say:null"])
        assert p.ok("block", "pending") == ["none"]
        proxy.script(["fail:-32601:the method does not exist/is not available"])
        assert p.ok("tip") == ["0"]
        # "Used already" by another transaction is no success.
        raw, tx = sign(p, node)
        for text, fault in (("nonce too low", "nonce_low"),
                            ("replacement transaction underpriced", "underpriced")):
            proxy.script(["fail:-32000:" + text])
            p.error(fault, "send", raw, tx)
            assert proxy.count("eth_getTransactionByHash") == 1


# ---- what comes between ------------------------------------------------------------

# What one try comes to, and whether another one helps.
FAULTS = {"429": "busy", "503": "unreachable", "500": "unreachable",
          "reset": "unreachable", "lost": "unreachable", "html": "malformed",
          "truncated": "malformed", "short": "unreachable",
          "oversized": "malformed", "wrong_id": "malformed", "limit": "busy",
          "hang": "unreachable"}
FOR_GOOD = {"401": "unreachable", "403": "unreachable", "404": "unreachable",
            "301": "unreachable", "garbage": "other"}


@test
def every_fault_has_its_name(folder):
    with evm.Anvil() as node, FaultProxy(node.url) as proxy, \
            Probe("tries=1", "max_reply=100000", *FAST[:2], "call=1", proxy.url) as p:
        node.set_code(HERE, ANSWERS_4660)
        for mode, fault in dict(FAULTS, **FOR_GOOD).items():
            # Twice: libcurl itself repeats what an old connection lost.
            proxy.script([mode] * 2)
            found, text = p.error(fault, "call", HERE, "0x")
            assert found == "0x" and proxy.url in text, text
            assert {m for _, m in proxy.seen} == {mode}
            # The next call is not confused by what is left of this one.
            proxy.script([])
            assert p.ok("call", HERE, "0x") == ["0x%064x" % 4660], mode


@test
def another_try_helps_where_it_can(folder):
    with evm.Anvil() as node, FaultProxy(node.url) as proxy, \
            Probe("tries=3", "max_reply=100000", *FAST[:2], "call=1", proxy.url) as p:
        node.set_code(HERE, ANSWERS_4660)
        for mode in FAULTS:
            proxy.script([mode, mode])
            assert p.ok("call", HERE, "0x") == ["0x%064x" % 4660], mode
            assert [m for _, m in proxy.seen] == [mode, mode, "pass"]
            if mode not in ("hang", "oversized"):
                proxy.script([mode] * 6)
                _, text = p.error(FAULTS[mode], "call", HERE, "0x")
                assert "3 tries" in text and len(proxy.seen) >= 3, text
        for mode, fault in FOR_GOOD.items():
            proxy.script([mode])
            p.error(fault, "call", HERE, "0x")
            assert len(proxy.seen) == 1


@test
def retry_after_is_honoured_up_to_the_longest_pause(folder):
    with evm.Anvil() as node, FaultProxy(node.url) as proxy:
        with Probe("pause=0.001", "longest=30", proxy.url) as p:
            proxy.script(["429:1"])
            p.ok("block", "latest")
            # Never too early; how late does not matter.
            assert proxy.times[1] - proxy.times[0] >= 1
        with Probe(*FAST, proxy.url) as p:
            proxy.script(["429:86400"])
            p.ok("block", "latest")  # today


@test
def sent_but_the_reply_was_lost(folder):
    """However it is lost, the transaction is there once, and the client knows."""
    with evm.Anvil() as node, FaultProxy(node.url) as proxy, \
            Probe("max_reply=100000", *FAST[:2], "call=1", proxy.url) as p:
        p.ok("chain", 31337)
        who = account(p, node)
        nonce = 0
        for automine in (True, False):
            node.automine(automine)
            for modes in (["lost"], ["truncated"], ["wrong_id", "lost"],
                          ["short", "503", "lost"], ["reset"], ["hang"]):
                raw, tx = sign(p, node, nonce=nonce)
                proxy.script(modes, "eth_sendRawTransaction")
                arrived = set(modes) & {"lost", "truncated", "short", "wrong_id"}
                expected = "known" if arrived else "none"
                assert p.ok("send", raw, tx) == [expected], (automine, modes)
                assert proxy.count("eth_sendRawTransaction") == len(modes) + 1
                nonce += 1
                if not automine:
                    node.mine()
                assert mined(p, tx)[0] == "1"
                assert p.ok("nonce", who, "latest") == [str(nonce)]


@test
def addresses_are_tried_in_turn(folder):
    dead = "http://127.0.0.1:%d" % evm.free_port()
    with evm.Anvil() as node, FaultProxy(node.url) as a, FaultProxy(node.url) as b:
        with Probe("tries=2", *FAST, dead, a.url) as p:
            p.ok("chain", 31337)
            p.ok("block", "latest")
        with Probe("tries=6", *FAST, a.url, b.url) as p:
            p.ok("chain", 31337)
            a.script(["503"] * 100)
            b.script([])
            for _ in range(5):
                p.ok("block", "latest")
            # It stays with the one that answers.
            assert len(a.seen) == 1 and b.count("eth_getBlockByNumber") == 5
            # An address without access is no reason to give up the other.
            a.script(["403"] * 100)
            b.script(["503", "pass"])
            p.ok("block", "latest")
            a.script(["403"] * 100)
            b.script(["401"] * 100)
            p.ask("block", "latest")
            assert len(a.seen) + len(b.seen) == 2


@test
def nobody_is_followed_to_another_place(folder):
    with evm.Anvil() as node, FaultProxy(node.url) as proxy, \
            Probe(*FAST, proxy.url) as p:
        for status in ("301", "302", "307", "308"):
            proxy.script([status])
            answer = p.ask("block", "latest")
            assert answer[0] == "error" and len(proxy.seen) == 1
            assert "redirects" in " ".join(answer)


@test
def a_signal_ends_a_call(folder):
    with evm.Anvil() as node, FaultProxy(node.url) as proxy, \
            Probe("call=600", proxy.url) as p:
        proxy.script(["hang"] * 100)
        p.p.stdin.write("block latest\n")
        p.p.stdin.flush()
        while not proxy.seen:
            time.sleep(0.01)
        p.p.send_signal(signal.SIGUSR1)
        answer = p.p.stdout.readline()
        assert "stopped on request" in answer, answer
        assert len(proxy.seen) == 1
        # Every later call ends at once, too.
        assert "stopped on request" in " ".join(p.ask("block", "latest"))
    with evm.Anvil() as node, FaultProxy(node.url) as proxy, \
            Probe("pause=1e6", "longest=1e6", proxy.url) as p:  # while it rests
        proxy.script(["429:1000000"] * 100)
        p.p.stdin.write("block latest\n")
        p.p.stdin.flush()
        while not proxy.seen:
            time.sleep(0.01)
        time.sleep(0.5)  # until it has read the answer
        p.p.send_signal(signal.SIGUSR1)
        assert "stopped on request" in p.p.stdout.readline()


@test
def bad_weather(folder):
    """Faults at random: every answer is right, every transaction there once."""
    for seed in range(3):
        with evm.Anvil() as node, FaultProxy(node.url) as proxy, \
                Probe("tries=40", *FAST, proxy.url) as p:
            who = account(p, node)
            node.set_code(HERE, LOGS)
            proxy.chaos(0.4, seed)
            p.ok("chain", 31337)
            for nonce in range(12):
                assert p.ok("nonce", who, "latest") == [str(nonce)]
                raw, tx = sign(p, node, nonce=nonce, to=HERE)
                assert p.ok("send", raw, tx)[0] in ("none", "known")
                r = mined(p, tx)
                assert r[0] == "1" and r[2] == node.receipt(tx)["blockHash"]
                assert p.ok("at", r[1])[2] == r[2]
            assert int(node.rpc("eth_getTransactionCount", who, "latest"), 16) == 12
            assert sum(m != "pass" for _, m in proxy.seen) > 10


main()

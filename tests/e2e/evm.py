"""A real Ethereum node for tests: anvil, as an OP chain, on 127.0.0.1.

    with evm.Anvil() as node:
        node.fund(address, 10**18)
        node.rpc("eth_blockNumber")

The node ends with the test, whatever becomes of it.
"""
import ctypes
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 60  # seconds until a node that does not answer has failed
# Everybody knows these keys: they are worth nothing on any chain.
SECRETS = ["%064x" % (0xC0DE + i) for i in range(8)]


class RpcError(Exception):
    def __init__(self, error):
        super().__init__("%s (code %s)" % (error.get("message"), error.get("code")))
        self.error = error


def tools():
    """Path of anvil; installs it when it is missing."""
    return subprocess.run(
        ["sh", os.path.join(ROOT, "tests", "chain", "tools.sh")], check=True,
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout.decode().strip()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end_with_parent():
    """In a child: be told when the parent dies, even if it is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def rpc(url, method, *params):
    """One call; no proxy of the environment is asked."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                       "params": list(params)}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE) as reply:
        answer = json.load(reply)
    if "error" in answer:
        raise RpcError(answer["error"])
    return answer["result"]


class Anvil:
    def __init__(self, chain_id=31337, *options):
        self.chain_id = chain_id
        self.options = [str(o) for o in options]
        self.process = None
        self.url = None

    def start(self):
        anvil = tools()
        for _ in range(5):  # somebody else may take the port first
            port = free_port()
            self.url = "http://127.0.0.1:%d" % port
            self.process = subprocess.Popen(
                [anvil, "--network", "optimism", "--chain-id", str(self.chain_id),
                 "--host", "127.0.0.1", "--port", str(port), "--quiet",
                 "--accounts", "1", "--block-base-fee-per-gas", "5000000"] +
                self.options, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, preexec_fn=end_with_parent)
            if self._answers():
                return self
            self.stop()
        raise AssertionError("anvil did not start: %s" % anvil)

    def _answers(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                return int(self.rpc("eth_chainId"), 16) == self.chain_id
            except OSError:
                time.sleep(0.05)
        return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # ---- calls -----------------------------------------------------------------

    def rpc(self, method, *params):
        return rpc(self.url, method, *params)

    def number(self):
        return int(self.rpc("eth_blockNumber"), 16)

    def fund(self, address, wei=10**20):
        self.rpc("anvil_setBalance", address, hex(wei))

    def set_code(self, address, code):
        self.rpc("anvil_setCode", address, code)

    def mine(self, blocks=1):
        self.rpc("anvil_mine", hex(blocks))

    def automine(self, on):
        """Off: transactions wait until mine() is called."""
        self.rpc("evm_setAutomine", on)

    def drop(self, tx_hash):
        self.rpc("anvil_dropTransaction", tx_hash)

    def reorganise(self, depth):
        """Replace the newest blocks by empty ones; what was in them is gone."""
        self.rpc("anvil_reorg", depth, [])

    def rollback(self, depth):
        self.rpc("anvil_rollback", depth)

    def base_fee(self, wei):
        """Of the next block."""
        self.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))

    def snapshot(self):
        return self.rpc("evm_snapshot")

    def revert(self, snapshot):
        self.rpc("evm_revert", snapshot)

    def receipt(self, tx_hash):
        return self.rpc("eth_getTransactionReceipt", tx_hash)

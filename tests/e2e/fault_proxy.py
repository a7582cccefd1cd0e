"""A proxy in front of a node that does what networks and hosted nodes do.

    with FaultProxy(node.url) as proxy:
        proxy.script(["503", "pass", "lost"])     # per request, then pass
        proxy.script(["lost"], "eth_sendRawTransaction")    # of one method
        proxy.chaos(0.3, seed=1)                  # else at random, repeatably
        proxy.seen                                # [(method, mode), ...]

Another process may do the same over HTTP: GET /_proxy shows what was seen,
POST /_proxy takes {"script": [...], "method": ...} or {"chaos": p, "seed": n}.
As a program: fault_proxy.py UPSTREAM-URL [PORT]; prints its URL.

Modes:
    pass              the node's answer
    429, 429:SECONDS  too many requests, with Retry-After
    STATUS            any other HTTP status, with a page: 503, 401, 301
    hang              no answer until the client gives up
    reset             the connection is cut before the node is asked
    lost              the node is asked, and the connection cut then
    html              a page with status 200
    truncated         the first half of the answer, with a length to match
    short             the first half, with the length of the whole
    oversized         an answer without an end
    wrong_id          the answer to another call
    limit             a JSON-RPC rate limit without an id, status 200
    garbage           an error nobody knows, with NULs and control characters
    delay             the node's answer, after a moment
    say:JSON          this result, whatever the node would say
    fail:CODE:TEXT    this error, whatever the node would say
"""
import http.server
import json
import random
import socket
import struct
import sys
import threading
import time
import urllib.request

PASSING = ["429", "503", "reset", "lost", "html", "truncated", "short",
           "wrong_id", "limit", "delay"]
PAGE = b"<!DOCTYPE html><html><body>\x1b[31mnot now\x00</body></html>"
GARBAGE = "no\u0000thing\u001b[2J\u202e known\n"


class FaultProxy:
    def __init__(self, upstream, port=0):
        self.upstream = upstream
        self.lock = threading.Lock()
        self.seen = []
        self.times = []  # monotonic, one for each request seen
        self.scripts = {}
        self.rate, self.random = 0.0, random.Random(0)
        self.modes = PASSING
        self.closing = threading.Event()
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def script(self, modes, method=None):
        """What becomes of the next requests (of this method); forgets what was
        seen."""
        with self.lock:
            self.scripts[method] = list(modes)
            self.seen.clear()
            self.times.clear()

    def chaos(self, rate, seed=0, modes=None):
        with self.lock:
            self.rate, self.random = rate, random.Random(seed)
            self.modes = list(modes or PASSING)

    def choose(self, method):
        with self.lock:
            mode = "pass"
            for key in (method, None):
                if self.scripts.get(key):
                    mode = self.scripts[key].pop(0)
                    break
            else:
                if self.random.random() < self.rate:
                    mode = self.random.choice(self.modes)
            self.seen.append((method, mode))
            self.times.append(time.monotonic())
            return mode

    def count(self, method):
        with self.lock:
            return sum(1 for m, _ in self.seen if m == method)

    def ask(self, body):
        request = urllib.request.Request(
            self.upstream, body, {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as reply:
            return reply.read()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # 40 ms an answer
    owner = None

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=(), length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def cut(self):
        """A reset, not an orderly end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def do_GET(self):
        with self.owner.lock:
            body = json.dumps({"seen": self.owner.seen}).encode()
        self.answer(200, body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            if self.path == "/_proxy":
                self.control(json.loads(body))
            else:
                self.relay(body)
        except OSError:  # the client has gone
            self.close_connection = True

    def control(self, order):
        if "script" in order:
            self.owner.script(order["script"], order.get("method"))
        if "chaos" in order:
            self.owner.chaos(order["chaos"], order.get("seed", 0), order.get("modes"))
        self.answer(200, b"{}")

    def relay(self, body):
        call = json.loads(body)
        mode = self.owner.choose(call["method"])
        word, _, argument = mode.partition(":")
        if word.isdigit():
            headers = [("Content-Type", "text/html")]
            if word == "429":
                headers.append(("Retry-After", argument or "0"))
            if word[0] == "3":
                headers.append(("Location", self.owner.upstream))
            return self.answer(int(word), PAGE, headers)
        if word == "say":
            return self.reply(id=call["id"], result=json.loads(argument))
        if word == "fail":
            code, _, text = argument.partition(":")
            return self.reply(id=call["id"], error={"code": int(code), "message": text})
        return getattr(self, "mode_" + word)(call, body)

    def mode_pass(self, call, body):
        self.answer(200, self.owner.ask(body))

    def mode_delay(self, call, body):
        time.sleep(0.05)
        self.mode_pass(call, body)

    def mode_hang(self, call, body):
        self.owner.closing.wait(120)
        self.cut()

    def mode_reset(self, call, body):
        self.cut()

    def mode_lost(self, call, body):
        self.owner.ask(body)
        self.cut()

    def mode_html(self, call, body):
        self.answer(200, PAGE, [("Content-Type", "text/html")])

    def mode_truncated(self, call, body):
        whole = self.owner.ask(body)
        self.answer(200, whole[:len(whole) // 2])

    def mode_short(self, call, body):
        whole = self.owner.ask(body)
        self.answer(200, whole[:len(whole) // 2], length=len(whole))
        self.close_connection = True

    def mode_oversized(self, call, body):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(b'{"jsonrpc":"2.0","id":%d,"result":"0x' % call["id"])
        while not self.owner.closing.is_set():
            self.wfile.write(b"00" * 32768)

    def reply(self, **members):
        self.answer(200, json.dumps(dict(jsonrpc="2.0", **members)).encode())

    def mode_wrong_id(self, call, body):
        whole = json.loads(self.owner.ask(body))
        whole["id"] = call["id"] - 1
        self.answer(200, json.dumps(whole).encode())

    def mode_limit(self, call, body):
        self.reply(id=None, error={"code": -32016, "message": "over rate limit"})

    def mode_garbage(self, call, body):
        self.reply(id=call["id"], error={"code": -32000, "message": GARBAGE})


def main():
    proxy = FaultProxy(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    proxy.start()
    print(proxy.url, flush=True)
    proxy.thread.join()


if __name__ == "__main__":
    main()

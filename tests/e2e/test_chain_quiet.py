"""What a chain never does: get in the way of training, or let a secret out."""
import glob
import hashlib
import hmac
import os
import re
import resource
import shutil
import signal
import subprocess
import time

import keyfile
import secure_sites
from chain_fixture import NAMES, PHRASE, World, make_key, password, secret_of
from fault_proxy import FaultProxy
from harness import (COVEY, LIMIT, covey, environment, inspect, main, mpirun, start,
                     test, write)
from secure_sites import make_sites, secure_job

NOWHERE = "0x" + "11" * 20
SITE_PHRASE = "another phrase that is seen nowhere"


class Quiet(World):
    """Jobs with a chain, and no node anywhere."""

    def __init__(self, folder):
        self.folder, self.runs = folder, 0
        self.federation = self.token = self.lead = NOWHERE


def connections(folder, job, name):
    """Internet addresses that a run connects to."""
    trace = os.path.join(folder, name + ".trace")
    p = subprocess.run(
        ["strace", "-f", "-e", "trace=connect,sendto,sendmsg", "-o", trace, COVEY,
         "run", job, "--out", os.path.join(folder, name), "-q"],
        env=environment(), stdin=subprocess.DEVNULL, capture_output=True)
    assert p.returncode == 0, p.stderr
    text = open(trace).read()
    assert "exited with 0" in text
    return re.findall(r'sin6?_port=htons\((\d+)\).*inet_(?:addr|pton)\(.*?"([^"]+)"',
                      text)


@test
def no_connections(folder):
    """Neither a node nor anything else is asked: what connections there are, MPI
    makes them on this machine, with and without a chain."""
    w = Quiet(folder)
    if shutil.which("strace"):
        plain = connections(folder, w.job(section="\n"), "plain")
        with_chain = connections(folder, w.job(), "chain")
        assert len(plain) == len(with_chain), (plain, with_chain)
        assert {a for _, a in with_chain} <= {"127.0.0.1", "::1"}, with_chain
        assert "8545" not in {p for p, _ in with_chain}
        assert os.path.exists(os.path.join(folder, "chain", "outbox.db"))
    alone = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run(alone + ["true"], capture_output=True).returncode == 0:
        out = os.path.join(folder, "alone")
        p = subprocess.run(
            alone + ["mpirun", "-n", "2", COVEY, "run", w.job(), "--out", out, "-q"],
            env=environment(), stdin=subprocess.DEVNULL, capture_output=True)
        assert p.returncode == 0, p.stderr
        assert os.path.exists(os.path.join(out, "outbox.db"))


@test
def outbox_is_in_nobodys_way(folder):
    """An outbox that cannot be written, or is another run's, or is none: a warning,
    and the run is what it would have been."""
    w = Quiet(folder)
    job = w.job()
    good = w.new()
    model = inspect(good)["model"]["digest"]
    other = open(os.path.join(good, "outbox.db"), "rb").read()

    def folder_there(path):
        os.mkdir(path)

    def no_file(path):
        os.symlink("/proc/1/nothing", path)

    def damaged(path):
        write(path, "this is no database\n" * 300)

    def anothers(path):
        open(path, "wb").write(other)

    def cut(path):
        open(path, "wb").write(other[:len(other) // 2])

    def empty(path):
        open(path, "wb").close()

    def full(path):
        os.symlink("/dev/full", path)

    for harm in (folder_there, no_file, damaged, anothers, cut, full):
        run = os.path.join(folder, harm.__name__)
        # The folder belongs to a run that began; its outbox comes to harm.
        w.train(w.job(rounds=1, name="short"), run)
        outbox = os.path.join(run, "outbox.db")
        for name in glob.glob(outbox + "*"):
            os.unlink(name)
        harm(outbox)
        r = w.train(job, run, 1, "--resume")
        log = open(os.path.join(run, "covey.log")).read()
        assert re.search(r" outbox .*training goes on", log), (harm, log[-500:])
        assert inspect(run)["model"]["digest"] == model, harm
        r = covey("verify", run, expect=None)
        assert r.code in (0, 6), r.err
        # With the harm undone, everything is there again, out of run.h5.
        shutil.rmtree(outbox) if os.path.isdir(outbox) and \
            not os.path.islink(outbox) else os.unlink(outbox)
        assert w.rewards_of(run)["version"] == 1
    run = os.path.join(folder, "empty")
    w.train(w.job(rounds=1, name="short"), run)
    for name in glob.glob(os.path.join(run, "outbox.db*")):
        os.unlink(name)
    empty(os.path.join(run, "outbox.db"))
    w.train(job, run, 1, "--resume")
    assert w.rewards_of(run)["version"] == 1


# ---- secrets --------------------------------------------------------------------


def hkdf(secret, salt, info):
    key = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def tagged(tag, *parts):
    def length(n):
        return n.to_bytes(8, "little")
    return hashlib.sha256(
        length(len(tag)) + tag + length(len(parts)) +
        b"".join(length(len(p)) + p for p in parts)).digest()


def attestation_secret(identity, chain_id, contract):
    """As chain/binding.c says it, anew."""
    context = chain_id.to_bytes(8, "little") + bytes.fromhex(contract[2:])
    return hkdf(identity, b"covey key derivation v1",
                tagged(b"covey attestation key v1", context, bytes(4)))


def forms(secret):
    """Ways in which 32 bytes might be written."""
    return [secret, secret[::-1], secret.hex().encode(),
            secret.hex().upper().encode(), str(int.from_bytes(secret, "big")).encode()]


def writable_memory(pid):
    """What the process has written to, if we may look."""
    found = b""
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb") as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if m:
                low, high = (int(x, 16) for x in m.groups())
                try:
                    mem.seek(low)
                    found += mem.read(high - low)
                except OSError:
                    pass
    return found


def waiting_settle(w, run, proxy, **kw):
    """A settle that has opened its key and waits for a node that hangs."""
    proxy.script(["hang"] * 9)
    p = subprocess.Popen(
        [COVEY, "settle", run, "--key", w.key, "--password-file", w.pw, "--rpc",
         proxy.url], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment(), **kw)
    end = time.monotonic() + LIMIT
    while not proxy.seen and p.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert proxy.seen and p.poll() is None, p.communicate()
    return p


@test
def secrets_stay(folder):
    with World(folder) as w, FaultProxy(w.node.url) as proxy:
        sites = make_sites(folder, NAMES, rows=(40, 30, 50, 20))
        for n in NAMES:
            keyfile.write(os.path.join(sites, n + ".key"),
                          secure_sites.secret_of(n), SITE_PHRASE.encode())
        password(sites, SITE_PHRASE + "\n")
        job = secure_job(folder, NAMES, rest=w.section("data_size"))
        run = os.path.join(folder, "RUN")
        said = b""

        def hear(r):
            nonlocal said
            said += (r.out + r.err).encode()

        hear(mpirun(4, "run", job, "--silo-dir", sites, "--out", run, "-vv"))
        hear(w.register(run))
        seen = [b""]
        p = waiting_settle(w, run, proxy)
        for where in ("cmdline", "environ", "stat", "status", "maps"):
            seen.append(open("/proc/%d/%s" % (p.pid, where), "rb").read())
        memory = b""
        try:
            memory = writable_memory(p.pid)
        except PermissionError:
            pass  # it is sealed, and we are not root
        p.terminate()
        seen += p.communicate()
        for what in ([], ["fund"], [], ["object"]):
            hear(w.act(run, *what, *([os.path.join(sites, "a.yaml")]
                                     if what == ["object"] else []))
                 if what else w.settle(run))
        hear(mpirun(4, "run", write(job, open(job).read().replace(
            "method: data_size", "method: data_size, version: 2")), "--silo-dir",
            sites, "--out", run, "--resume", "-q"))
        hear(w.settle(run))
        w.later(2)
        hear(w.act(run, "claim"))
        hear(covey("verify", run, "--rpc", w.node.url, "--json"))
        hear(covey("rewards", run, "--json"))

        identity = {n: secure_sites.secret_of(n) for n in NAMES}
        attest = {n: attestation_secret(s, 31337, w.federation)
                  for n, s in identity.items()}
        # These are the keys indeed: their public keys are there.
        import h5py
        with h5py.File(os.path.join(run, "run.h5")) as f:
            rows = f["/proofs/attesters"][()].tobytes()
            assert bytes.fromhex(keyfile.public_key(identity["a"])[2:]) in \
                f["/proofs/identity"][()].tobytes()
        assert all(address(s) in rows for s in attest.values())
        secrets = [f for s in [secret_of("lead"), *identity.values(),
                               *attest.values()] for f in forms(s)]
        phrases = [PHRASE.encode(), SITE_PHRASE.encode()]
        allowed = {w.pw, os.path.join(sites, "pass")}
        files = 0
        for top, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(top, name)
                data = open(path, "rb").read()
                files += 1
                for s in secrets + ([] if path in allowed else phrases):
                    assert s not in data, (path, s)
        assert files > 30
        for text in [said] + seen:
            for s in secrets + phrases:
                assert s not in text, s
        # Pass phrase and derived keys are wiped when they have served.
        if memory:
            assert len(memory) > 100000
            for s in phrases:
                assert s not in memory, s


def address(secret):
    """Twenty bytes of an account, from the curve and Keccak-256 in Python."""
    k, point, base = int.from_bytes(secret, "big"), None, keyfile.G
    while k:
        if k & 1:
            point = keyfile._add(point, base)
        base = keyfile._add(base, base)
        k >>= 1
    raw = point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")
    return keyfile.keccak256(raw)[12:]


def dumps_core(p):
    """Was there a core dump when it was aborted?"""
    p.send_signal(signal.SIGABRT)
    _, status = os.waitpid(p.pid, 0)
    p.returncode = -os.WTERMSIG(status)
    return os.WCOREDUMP(status)


def unlimited():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)


@test
def no_core(folder):
    """Nor anything to read by others of the same user."""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY and \
            os.getuid() != 0:
        print("no core dumps here: left out")
        return
    here = os.path.join(folder, "cores")
    os.mkdir(here)
    os.chmod(folder, 0o755)
    os.chmod(here, 0o777)
    sleeper = subprocess.Popen(["sleep", "1000"], cwd=here, preexec_fn=unlimited)
    time.sleep(0.2)
    plain = dumps_core(sleeper)
    with World(folder) as w, FaultProxy(w.node.url) as proxy:
        run = w.new()
        p = waiting_settle(w, run, proxy, cwd=here, preexec_fn=unlimited)
        assert not dumps_core(p)
        p.stdout.close()
        p.stderr.close()
        if plain:
            assert not [c for c in os.listdir(here) if secret_of("lead") in
                        open(os.path.join(here, c), "rb").read()]
        if os.getuid() == 0:  # as somebody else, who reads their own processes
            nobody = 65534
            program = shutil.copy(COVEY, folder)
            for top, dirs, names in os.walk(folder):
                for n in dirs + names:
                    os.chown(os.path.join(top, n), nobody, nobody)
            os.chown(folder, nobody, nobody)

            def become():
                os.setgroups([])
                os.setgid(nobody)
                os.setuid(nobody)

            def readable(pid):
                return subprocess.run(
                    ["head", "-c", "1", "/proc/%d/environ" % pid],
                    preexec_fn=become, capture_output=True).returncode == 0

            sleeper = subprocess.Popen(["sleep", "1000"], preexec_fn=become)
            time.sleep(0.2)
            assert readable(sleeper.pid)
            sleeper.kill()
            sleeper.wait()
            covey_before = globals()["COVEY"]
            globals()["COVEY"] = program
            try:
                p = waiting_settle(w, run, proxy, preexec_fn=become)
            finally:
                globals()["COVEY"] = covey_before
            assert not readable(p.pid)
            p.kill()
            p.communicate()


@test
def spoken_secrets(folder):
    """On the command line a pass phrase or a key is refused, and not repeated."""
    key, _ = make_key(folder, "lead")
    raw = secret_of("lead").hex()
    run = os.path.join(folder, "none")
    for command in (["settle", run], ["rewards", run, "--claim"],
                    ["rewards", run, "--fund"], ["chain", "register", run],
                    ["chain", "deploy", "--network", "local"],
                    ["chain", "status", run]):
        for spoken in (["--password", "hunter2"], ["--password=hunter2"],
                       ["--passphrase", "hunter2"], ["--pass=hunter2"],
                       ["--key", raw], ["--key=" + raw], ["--key=0x" + raw],
                       ["--key", "0x" + raw.upper()], [raw], ["--private-key", raw],
                       ["--private-key=" + raw]):
            r = covey(*command, *spoken, expect=2)
            assert len(r.messages) == 1 and "never given" in r.err, (spoken, r.err)
            assert "hunter" not in r.err + r.out and \
                raw not in (r.err + r.out).lower(), r.err


main()

"""`covey keys`: files, prompts at a terminal, and what must not be seen."""
import fcntl
import json
import os
import re
import select
import signal
import stat
import subprocess
import termios
import time

from harness import COVEY, LIMIT, command, covey, environment, main, test, write

PHRASE = "correct horse battery staple"
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
PUBLIC = re.compile(r"0x0[23][0-9a-f]{64}")


def password(folder, text=PHRASE + "\n", name="pw"):
    path = write(os.path.join(folder, name), text)
    os.chmod(path, 0o600)
    return path


@test
def new_show_list(folder):
    pw = password(folder)
    key = os.path.join(folder, "north.key.json")
    made = covey("keys", "new", "--out", key, "--password-file", pw)
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    assert sorted(os.listdir(folder)) == ["north.key.json", "pw"]
    address = ADDRESS.search(made.out).group()
    public = PUBLIC.search(made.out).group()
    content = json.load(open(key))
    assert content["version"] == 3
    assert content["address"] == address[2:].lower()
    assert content["crypto"]["kdfparams"]["n"] == 262144

    assert covey("keys", "show", key).out == made.out
    assert covey("keys", "show", key, "--password-file", pw).out == made.out
    shown = json.loads(covey("keys", "show", key, "--json").out)
    assert shown == {"file": key, "address": address, "public_key": public}

    write(os.path.join(folder, "job.json"), '{"hunter2": 1}')
    listed = covey("keys", "list", folder).out
    assert address in listed and public in listed
    assert "job.json" in listed and "hunter2" not in listed
    rows = json.loads(covey("keys", "list", folder, "--json").out)
    assert [r.get("address") for r in rows] == [None, address]
    assert "error" in rows[0]

    # A file without our member says less until it is opened.
    del content["covey"]
    plain = write(os.path.join(folder, "plain.json"), json.dumps(content))
    assert covey("keys", "show", plain, "--password-file", pw).out == made.out
    r = covey("keys", "show", plain, expect=2)
    assert "no terminal" in r.err and "--password-file" in r.err
    for out in (made.out, made.err, listed, open(key).read()):
        assert PHRASE not in out


@test
def mistakes_are_named(folder):
    pw = password(folder)
    key = os.path.join(folder, "k.json")
    before = covey("keys", "new", "--out", key, "--password-file", pw).out
    text = open(key).read()
    wrong = password(folder, "hunter2\n", "wrong")
    empty = password(folder, "\n", "empty")
    two = password(folder, "hunter2\nhunter3\n", "two")
    bad = write(os.path.join(folder, "bad.json"),
                text.replace('"iv": "', '"iv": "00')[:-1])
    damaged = write(os.path.join(folder, "damaged.json"), re.sub(
        '"mac": "(.)', lambda m: '"mac": "%s' % ("1" if m[1] == "0" else "0"),
        text))
    other = os.path.join(folder, "other.json")
    for args, says in [
            (["new", "--out", key, "--password-file", pw], "left alone"),
            (["new", "--out", other, "--password-file", empty], "empty"),
            (["new", "--out", other, "--password-file", two], "one line"),
            (["new", "--out", other, "--password-file", folder + "/no"],
             "No such file"),
            (["new", "--out", other], "no terminal"),
            (["new", other], "usage"),
            (["new", "--password", "hunter2"], "never given"),
            (["new", "--password=hunter2"], "never given"),
            (["new", "--pass", "hunter2"], "never given"),
            (["new", "--password-files", "hunter2"], "never given"),
            (["new", "--password-file"], "needs a value"),
            (["new", "--outt", "x"], "unknown option"),
            (["show", key, "--password-file", wrong], "wrong pass phrase"),
            (["show", bad], "cipherparams.iv"),
            (["show", damaged], "damaged"),
            (["show", pw], "key file"),
            (["show", folder + "/no.json"], "No such file"),
            (["show"], "usage"),
            (["list", folder + "/no"], "folder"),
            (["list", folder, folder], "usage"),
            (["lost"], "lost"),
            ([], "new|show|list")]:
        r = covey("keys", *args, expect=2)
        assert len(r.messages) == 1 and says in r.messages[0], (args, r.err)
        assert "hunter" not in r.err + r.out and PHRASE not in r.err, r.err
        assert not os.path.exists(other)
    assert open(key).read() == text
    assert covey("keys", "show", key, "--password-file", pw).out == before
    # A pass phrase from a pipe, as <(command) gives it.
    r = command(["sh", "-c", '"$0" keys show "$1" --password-file /dev/fd/3 '
                 '3<"$2"', COVEY, key, pw])
    assert r.out == before
    os.chmod(pw, 0o644)
    r = covey("keys", "show", key, "--password-file", pw)
    assert "password_file_open_to_others" in r.err


class Terminal:
    """A program at a terminal of its own; we are the one who types."""

    def __init__(self, *args):
        self.master, self.slave = os.openpty()

        def attach():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.p = subprocess.Popen(args, stdin=self.slave, stdout=self.slave,
                                  stderr=self.slave, preexec_fn=attach,
                                  env=environment())
        self.seen = ""

    def read_until(self, text):
        end = time.monotonic() + LIMIT
        while text not in self.seen:
            ready = select.select([self.master], [], [], 1)[0]
            if ready:
                self.seen += os.read(self.master, 4096).decode()
            assert time.monotonic() < end and (ready or self.p.poll() is None), \
                "no %r in %r" % (text, self.seen)

    def echo(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def ask(self, prompt):
        """Wait for the prompt, and for the echo to be off."""
        self.read_until(prompt)
        end = time.monotonic() + LIMIT
        while self.echo():
            assert time.monotonic() < end, "the echo stays on"
            time.sleep(0.01)
        self.seen = ""

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        code = self.p.wait(LIMIT)
        while select.select([self.master], [], [], 0.2)[0]:
            self.seen += os.read(self.master, 4096).decode()
        echo = self.echo()
        os.close(self.master)
        os.close(self.slave)
        assert echo, "the echo was not switched on again"
        return code


@test
def prompts_do_not_echo(folder):
    key = os.path.join(folder, "k.json")
    t = Terminal(COVEY, "keys", "new", "--out", key)
    t.ask("New pass phrase for %s: " % key)
    limits = open("/proc/%d/limits" % t.p.pid).read()
    soft = re.search(r"Max core file size\s+(\S+)", limits).group(1)
    assert soft in ("0", "1"), soft
    for where in ("cmdline", "environ"):
        assert PHRASE.encode() not in open("/proc/%d/%s" % (t.p.pid, where),
                                           "rb").read()
    t.type(PHRASE + "\n")
    t.read_until("The same again: ")
    seen = t.seen
    t.ask("The same again: ")
    t.type(PHRASE + "\n")
    assert t.end() == 0, t.seen
    assert PHRASE not in seen + t.seen and "public_key" in t.seen
    made = ADDRESS.search(t.seen).group()
    r = covey("keys", "show", key, "--password-file", password(folder))
    assert made in r.out


@test
def prompts_can_fail_and_be_left(folder):
    key = os.path.join(folder, "k.json")

    def new():
        t = Terminal(COVEY, "keys", "new", "--out", key)
        t.ask("New pass phrase")
        return t

    t = new()
    t.type(PHRASE + "\n")
    t.ask("The same again: ")
    t.type(PHRASE + "x\n")
    assert t.end() == 2 and "differ" in t.seen
    t = new()
    t.type("\n")
    assert t.end() == 2 and "empty" in t.seen
    t = new()
    t.type("\x04")  # Ctrl-D
    assert t.end() == 2 and "end of the input" in t.seen
    t = new()
    t.type("y" * 1025 + "\n")
    assert t.end() == 2 and "at most 1024" in t.seen
    t = new()
    t.type("half a phr\x03")  # Ctrl-C
    assert t.end() == -signal.SIGINT
    for sig in (signal.SIGTERM, signal.SIGHUP):
        t = new()
        t.p.send_signal(sig)
        assert t.end() == -sig
    t = new()
    t.type("half\x1a\n")  # Ctrl-Z is no stop here
    t.ask("The same again: ")
    t.type("half\x1a\n")
    assert t.end() == 0


main()

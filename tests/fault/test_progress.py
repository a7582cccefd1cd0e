"""What a person sees while a run goes on: one line a round in a log, one line
redrawn on a terminal, nothing with -q; and standard output stays empty."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios

from kills import FAST, NAMES, diverging_late, run, run_args
from harness import (LIMIT, environment, job_text, main, test, write,
                     write_silos)

ROUNDS = 5


def prepare(folder, **kw):
    write_silos(folder, NAMES, rows=(30, 20, 40, 16), classes=3)
    write(os.path.join(folder, "job.yaml"),
          job_text(NAMES, model="{kind: softmax}", rounds=ROUNDS,
                   data="test_fraction: 0.2", **kw))


def round_lines(text):
    return [l for l in text.splitlines() if re.match(r"round \d+/%d " % ROUNDS, l)]


def at_terminal(args, rows=40, cols=80):
    """What the command writes to a terminal, and its exit code."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    p = subprocess.Popen(args, stdin=child, stdout=child, stderr=child,
                         env=environment(dict(FAST, TERM="xterm")),
                         start_new_session=True)
    os.close(child)
    seen = b""
    while True:
        ready, _, _ = select.select([parent], [], [], LIMIT)
        assert ready, "hung: %s\n%r" % (args, seen)
        try:
            more = os.read(parent, 65536)
        except OSError:  # all who had it open have closed it
            break
        if not more:
            break
        seen += more
    os.close(parent)
    return seen.decode().replace("\r\n", "\n"), p.wait()


def check_log(r):
    lines = round_lines(r.err)
    assert [int(l.split()[1].split("/")[0]) for l in lines] == \
        list(range(1, ROUNDS + 1)), r.err
    for line in lines:
        assert re.search(r"train_loss \d+\.\d+  test_\w+ \d+\.\d+ .*silos 4/4 ",
                         line), line
    assert all(" left" in l for l in lines[:-1]), r.err
    assert "\r" not in r.err and "\033" not in r.err, r.err
    assert r.out == "", r.out


def check_live(text, cols=80):
    """Every round shown, each in place of the one before: one line in the end,
    which fits the terminal."""
    assert len(re.findall(r"\rround \d+/%d " % ROUNDS, text)) == ROUNDS, text
    assert "\n\rround 1/" in text and text.count("\n\rround") == 1, text
    assert "\033[K" in text, text
    assert re.search(r"round %d/%d [^\n]*\n" % (ROUNDS, ROUNDS), text), text
    shown = [re.sub(r"\033\[K", "", l).split("\r")[-1] for l in text.split("\n")]
    assert len([l for l in shown if l.startswith("round ")]) == 1, shown
    for line in re.findall(r"\r(round [^\r\n\033]*)", text):
        assert len(line) < cols, line
        assert re.match(r"round \d+/%d  train_loss \S+" % ROUNDS, line), line
        if cols >= 80:
            assert "test_accuracy" in line, line
            assert " left" in line or line.startswith("round %d/" % ROUNDS), line


@test
def a_line_a_round(folder):
    prepare(folder)
    for i, (ranks, mode) in enumerate(((4, ("--progress", "log")),
                                       (0, ("--progress", "log")),
                                       (2, ()), (0, ("--progress", "auto")))):
        check_log(run(folder, os.path.join(folder, "run-%d" % i), ranks, *mode))


@test
def one_line_redrawn_at_a_terminal(folder):
    prepare(folder)
    for i, (ranks, cols, mode) in enumerate(
            ((0, 80, ()), (4, 80, ()), (1, 120, ()), (2, 40, ()),
             (0, 40, ("--progress", "live")))):
        out = os.path.join(folder, "run-%d" % i)
        text, code = at_terminal(run_args(folder, out, ranks, *mode), cols=cols)
        assert code == 0, text
        check_live(text, cols)


@test
def log_lines_at_a_terminal_when_asked(folder):
    prepare(folder)
    for ranks in (0, 2):
        text, code = at_terminal(run_args(
            folder, os.path.join(folder, "run-%d" % ranks), ranks,
            "--progress", "log"))
        assert code == 0 and len(round_lines(text)) == ROUNDS, text
        assert "\r" not in text and "\033" not in text, text


@test
def live_into_a_pipe_when_asked(folder):
    prepare(folder)
    r = run(folder, os.path.join(folder, "run"), 2, "--progress", "live")
    check_live(r.err)
    assert r.out == ""


@test
def only_the_terminal_of_stderr_counts(folder):
    """covey run job.yaml 2>log at a terminal: the log gets lines."""
    prepare(folder)
    for ranks in (0, 2):
        out = os.path.join(folder, "run-%d" % ranks)
        log = os.path.join(folder, "log-%d" % ranks)
        text, code = at_terminal(
            ["sh", "-c", '"$@" 2>"$0"', log] + run_args(folder, out, ranks))
        assert code == 0 and text == "", text
        with open(log) as f:
            written = f.read()
        assert len(round_lines(written)) == ROUNDS and "\r" not in written


@test
def warnings_do_not_tear_the_live_line(folder):
    """The live line makes room for one, and comes back below it."""
    diverging_late(folder, rounds=14, minimum=1)
    text, code = at_terminal(run_args(folder, os.path.join(folder, "run"), 0))
    assert code == 0, text
    plain = [l.split("\r")[-1].replace("\033[K", "") for l in text.split("\n")]
    warnings = [i for i, l in enumerate(plain) if "silo_sits_out" in l]
    assert warnings, plain
    assert all(plain[i].startswith("20") for i in warnings), plain
    assert "\rround 1/" in text[:text.index("silo_sits_out")]
    assert len([l for l in plain if l.startswith("round ")]) == 1, plain


@test
def quiet(folder):
    prepare(folder)
    for ranks in (0, 4):
        out = os.path.join(folder, "run-%d" % ranks)
        r = run(folder, out, ranks, "-q")
        assert (r.out, r.err) == ("", ""), r.err
        r = run(folder, out, ranks, "-q", expect=2)  # there is a run already
        assert r.out == "" and len(r.messages) == 1, r.err
        if not ranks:
            assert r.err.strip() == r.messages[0], r.err
    text, code = at_terminal(run_args(folder, os.path.join(folder, "t"), 2, "-q"))
    assert (text, code) == ("", 0)


@test
def an_unknown_mode(folder):
    prepare(folder)
    r = run(folder, os.path.join(folder, "run"), 0, "--progress", "fancy",
            expect=2)
    assert len(r.messages) == 1 and "'fancy'" in r.messages[0], r.err
    assert not os.path.exists(os.path.join(folder, "run"))


main()

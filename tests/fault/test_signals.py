"""Stopping on request: a checkpoint at the end of the round, exit 75, one
message, and a run that goes on with --resume to the same bytes."""
import fcntl
import os
import pty
import signal
import subprocess
import termios

from kills import (COVEY, FAST, NAMES, launch, outcome, rounds_since, run, same,
                   signalled, wait_until, whole)
from harness import (environment, finish, inspect, job_text, main, test, write,
                     write_silos)

ROUNDS = 250
REQUEUE = 75
_reference = None


def prepare(folder, rest=""):
    """The job, and what a run of it that nobody stops ends with (the same for
    every test: the rhythm of checkpoints changes nothing)."""
    global _reference
    write_silos(folder, NAMES, rows=(30, 20, 40, 16))
    text = job_text(NAMES, model="{kind: mlp, hidden: [4]}", rounds=ROUNDS,
                    local="{epochs: 80, batch: 4, learning_rate: 0.01}",
                    strategy="scaffold", rest=rest)
    write(os.path.join(folder, "job.yaml"), text)
    if not _reference:
        once = os.path.join(folder, "once")
        run(folder, once, 4, "-q")
        _reference = outcome(once)
    return _reference


def take_terminal():
    """In the child: a session of its own, with the pty as its terminal."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def check_requeue(r, out, at_least):
    assert r.code == REQUEUE, (r.code, r.err)
    assert len(r.messages) == 1, r.err
    assert "on request" in r.messages[0] and "--resume" in r.messages[0]
    done = inspect(out)["round"]
    assert "round %d of" % done in r.messages[0], (done, r.messages)
    assert at_least <= done < ROUNDS
    return done


@test
def usr1_to_mpirun_and_to_any_rank(folder):
    # Saved nowhere but at the stops: each must write its own checkpoint.
    reference = prepare(folder, "checkpoint: {every: 1000}\n")
    out, done = os.path.join(folder, "run"), 0
    for ranks, rank in ((4, None), (4, 0), (2, 1), (4, 3), (0, None)):
        r = signalled(folder, out, ranks, signal.SIGUSR1,
                      *(["--resume"] if done else []), rank=rank, after=done + 5)
        done = check_requeue(r, out, done + 5)
    run(folder, out, 2, "--resume", "-q")
    same(out, reference)


@test
def usr1_during_set_up(folder):
    reference = prepare(folder)
    out = os.path.join(folder, "run")
    p = launch(folder, out, 2, "-q")
    # The run folder is made after the handlers are in place.
    wait_until(p, lambda: os.path.exists(os.path.join(out, ".lock")))
    p.send_signal(signal.SIGUSR1)
    check_requeue(finish(p), out, 1)
    run(folder, out, 1, "--resume", "-q")
    same(out, reference)


@test
def usr1_during_the_last_round_or_later_is_too_late(folder):
    reference = prepare(folder)
    out = os.path.join(folder, "run")
    p = launch(folder, out, 0, "-q")
    if wait_until(p, lambda: rounds_since(out, 0) >= ROUNDS):
        p.send_signal(signal.SIGUSR1)
    r = finish(p)
    # After MPI_Finalize the default action may still end the process.
    assert r.code in (0, -signal.SIGUSR1), (r.code, r.err)
    same(out, reference)


@test
def term_and_int_alone(folder):
    reference = prepare(folder)
    out, done = os.path.join(folder, "run"), 0
    for sig in (signal.SIGTERM, signal.SIGINT):
        r = signalled(folder, out, 0, sig, *(["--resume"] if done else []),
                      after=done + 5)
        done = check_requeue(r, out, done + 5)
    run(folder, out, 4, "--resume", "-q")
    same(out, reference)


@test
def ctrl_c_at_a_terminal(folder):
    """The whole foreground group gets it, helpers of MPI included."""
    prepare(folder)
    out = os.path.join(folder, "run")
    parent, child = pty.openpty()
    p = subprocess.Popen([COVEY, "run", os.path.join(folder, "job.yaml"),
                          "--silo-dir", folder, "--out", out, "-q"],
                         env=environment(FAST), stdin=child,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         preexec_fn=take_terminal)
    os.close(child)
    assert wait_until(p, lambda: rounds_since(out, 0) >= 5)
    os.write(parent, b"\x03")
    r = finish(p)
    check_requeue(r, out, 5)
    os.close(parent)


@test
def term_to_mpirun(folder):
    """mpirun may give its ranks no time to save; resume copes with either."""
    reference = prepare(folder)
    out = os.path.join(folder, "run")
    for i, (ranks, patience) in enumerate(((4, "0"), (2, "2"))):
        r = signalled(folder, out, ranks, signal.SIGTERM,
                      *(["--resume"] if i else []), after=5 + 60 * i,
                      env={"OMPI_MCA_odls_base_sigkill_timeout": patience})
        assert r.code != 0, r.err
        assert len(r.messages) <= 1, r.err
        whole(out)
    run(folder, out, 2, "--resume", "-q")
    same(out, reference)


main()

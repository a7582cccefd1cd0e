"""Folders that cannot be written, full disks, folders in use, checkpoints that
are damaged or another job's: one clear message, the right exit code, what was
saved stays whole, and the run goes on once the cause is gone."""
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time

import h5py

from faults import (COVEY, NAMES, blobs, edit_lines, fails, finish, job_text,
                    make_sites, poke, run_args, run_sites, site_log, snapshot,
                    start, together, vault, write, write_csv)
from harness import inspect, main, test

INPUT, ENV, VERIFY = 2, 3, 6


def run(folder, ranks, *more, out="RUN"):
    r = finish(start(run_sites(folder, ranks, *more, out=out)))
    assert r.code == 0, r.err
    return r


def digest(folder, out="RUN"):
    report = inspect(os.path.join(folder, out))
    return report["round"], report["model"]["digest"]


@contextlib.contextmanager
def mounted(path, options):
    """A small file system of its own; yields None where that is not allowed."""
    os.makedirs(path, exist_ok=True)
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path],
                       stderr=subprocess.DEVNULL)
    try:
        yield path if r.returncode == 0 else None
    finally:
        if r.returncode == 0:
            subprocess.run(["umount", "-l", path], check=True)


@contextlib.contextmanager
def unwritable(path):
    """A folder that this user cannot write to; None if there is no way."""
    os.makedirs(path, exist_ok=True)
    if os.geteuid() != 0:
        os.chmod(path, 0o555)
        yield path
        os.chmod(path, 0o755)
    else:
        with mounted(path, "ro,size=64k") as where:
            yield where


def skip(why):
    print("   (left out: %s)" % why, flush=True)


# ---- folders -------------------------------------------------------------------


@test
def folders_that_cannot_be_written(folder):
    make_sites(folder)
    job = write(os.path.join(folder, "job.yaml"), job_text(NAMES))
    sites = ["--silo-dir", os.path.join(folder, "sites")]
    file = write(os.path.join(folder, "file"), "mine\n")
    before = snapshot(folder, but=["state"])

    def bad(ranks, out, *words):
        fails(run_args(ranks, "run", job, *sites, "--out", out), ENV,
              (out,) + words)

    together([lambda n=n: bad(n, file, "expected a folder")
              for n in (0, 2, 4)] +
             [lambda: bad(2, os.path.join(file, "RUN"), "Not a directory")])
    with unwritable(os.path.join(folder, "locked")) as locked:
        if not locked:
            skip("no folder is unwritable for this user")
        for n in (1, 2, 4) if locked else ():
            bad(n, os.path.join(locked, "RUN"), "cannot make the folder")
            bad(n, locked, "cannot open the lock file")
    os.rmdir(os.path.join(folder, "locked"))
    # The last folder of three can be made, and is taken away again.
    edit_lines(vault(folder, "a", "rows.csv"), poke(3, 0, "x"))
    fails(run_args(2, "run", job, *sites, "--out",
                   os.path.join(folder, "x/y/z")), INPUT, ("silo a",))
    edit_lines(vault(folder, "a", "rows.csv"), poke(3, 0, "0.5"))
    made = set(snapshot(folder)) - set(before)
    assert made <= set(
        [vault(folder, n, "state") for n in NAMES] +
        [vault(folder, n, "state", "silo-%s.log" % n) for n in NAMES]), made


@test
def a_site_without_room_for_its_state(folder):
    make_sites(folder)
    write(os.path.join(folder, "job.yaml"), job_text(NAMES))

    def bad(ranks, silo, *words):
        out = "RUN-%s-%d" % (silo, ranks)
        fails(run_sites(folder, ranks, out=out), ENV, ("silo %s: " % silo,) +
              words, ("vault-",))
        assert not os.path.exists(os.path.join(folder, out))

    # A file in the way, of the folder and of the log in it.
    write(vault(folder, "c", "state"), "mine\n")
    for ranks in (1, 2, 4):
        bad(ranks, "c", "expected a folder")
    os.remove(vault(folder, "c", "state"))
    os.mkdir(vault(folder, "c", "state"))
    os.mkdir(vault(folder, "c", "state", "silo-c.log"))
    bad(4, "c", "own log")
    os.rmdir(vault(folder, "c", "state", "silo-c.log"))
    shutil.rmtree(vault(folder, "b", "state"))
    with unwritable(vault(folder, "b", "state")) as locked:
        if locked:
            bad(6, "b", "own log")


# ---- full disks ------------------------------------------------------------------

# 28,003 parameters: 121 kB a checkpoint.
LARGE = dict(model="{kind: mlp, hidden: [4000]}", data="target_type: category",
             local="{epochs: 1, batch: 40, learning_rate: 0.01}")


def limited(blocks, folder, *more):
    """One rank whose files have at most so many blocks of 512 bytes. The limit
    is for the rank: mpirun has files of its own."""
    args = run_sites(folder, 1, *more)
    at = args.index(COVEY)
    return args[:at] + ["sh", "-c", 'ulimit -f %d; exec "$@"' % blocks,
                        "sh"] + args[at:]


@test
def no_file_may_grow_as_large_as_a_checkpoint(folder):
    make_sites(folder)
    job = os.path.join(folder, "job.yaml")
    write(job, job_text(NAMES, rounds=4, **LARGE))
    run(folder, 0, out="whole")
    write(job, job_text(NAMES, rounds=2, **LARGE))
    alone = {"OMPI_MCA_btl": "self"}
    fails(limited(100, folder), ENV, ("RUN/run.h5", "cannot"), env=alone)
    assert not [n for n in os.listdir(os.path.join(folder, "RUN"))
                if n.endswith(".h5") or ".tmp" in n]
    run(folder, 0)
    before = snapshot(os.path.join(folder, "RUN"), but=["covey.log"])
    write(job, job_text(NAMES, rounds=4, **LARGE))
    fails(limited(100, folder, "--resume"), ENV, ("RUN/run.h5",), env=alone)
    assert snapshot(os.path.join(folder, "RUN"), but=["covey.log"]) == before
    run(folder, 0, "--resume")
    assert digest(folder) == digest(folder, "whole")


@test
def a_full_disk(folder):
    make_sites(folder)
    write(os.path.join(folder, "job.yaml"), job_text(NAMES, rounds=6, **LARGE))
    run(folder, 2, out="whole")
    disk = os.path.join(folder, "disk")
    for ranks in (1, 4):
        with mounted(disk, "size=64k") as small:
            if not small:
                return skip("no file system can be mounted here")
            # The first checkpoint finds no room.
            fails(run_sites(folder, ranks, out="disk/RUN"), ENV,
                  ("RUN/run.h5", "no space", "free some"))
            left = os.listdir(os.path.join(small, "RUN"))
            assert set(left) <= {"covey.log", ".lock"}, left
            subprocess.run(["mount", "-o", "remount,size=420k", small],
                           check=True)
            # A later one: four files of 121 kB do not fit.
            fails(run_sites(folder, ranks, "-q", out="disk/RUN"), ENV,
                  ("RUN/run.h5", "no space", "free some"))
            left = os.listdir(os.path.join(small, "RUN"))
            assert not [n for n in left if ".tmp" in n], left
            done, _ = digest(folder, "disk/RUN")
            assert 1 <= done < 6
            subprocess.run(["mount", "-o", "remount,size=4m", small], check=True)
            run(folder, ranks, "--resume", out="disk/RUN")
            assert digest(folder, "disk/RUN") == digest(folder, "whole")


@test
def a_full_disk_at_a_site(folder):
    make_sites(folder)
    write(os.path.join(folder, "job.yaml"),
          job_text(NAMES, rounds=6, strategy="scaffold", **LARGE))
    run(folder, 2, out="whole")
    for n in NAMES:
        shutil.rmtree(vault(folder, n, "state"))
    with mounted(vault(folder, "c", "state"), "size=300k") as small:
        if not small:
            return skip("no file system can be mounted here")
        fails(run_sites(folder, 4, "-q"), ENV,
              ("silo c: local state: ", "no space"), ("vault-",))
        before = digest(folder)
        assert 1 <= before[0] < 6
        subprocess.run(["mount", "-o", "remount,size=4m", small], check=True)
        run(folder, 4, "--resume")
        assert digest(folder) == digest(folder, "whole")


@test
def other_commands_on_a_full_disk(folder):
    make_sites(folder)
    write(os.path.join(folder, "job.yaml"), job_text(NAMES, rounds=1))
    run(folder, 1)
    x, y = blobs(4000, cols=3)
    rows = os.path.join(folder, "many.csv")
    write_csv(rows, x, y)
    with mounted(os.path.join(folder, "disk"), "size=16k") as small:
        if not small:
            return skip("no file system can be mounted here")
        kept = write(os.path.join(small, "kept"), "mine\n")
        fails([COVEY, "convert", rows, kept], ENV, ("disk/kept",))
        fails([COVEY, "predict", os.path.join(folder, "RUN"), rows, "-o", kept],
              ENV, ("disk/kept", "No space"))
        assert os.listdir(small) == ["kept"]
        assert open(kept).read() == "mine\n"


# ---- a folder in use ---------------------------------------------------------------


def wait_for(what, p):
    for _ in range(600):
        if what():
            return
        assert p.poll() is None, p.communicate()
        time.sleep(0.05)
    raise AssertionError("nothing happened")


def wait_until_free(lock):
    """The ranks see that mpirun is gone, and end a moment later."""
    for _ in range(600):
        with open(lock, "r+") as f, contextlib.suppress(OSError):
            fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.05)
    raise AssertionError("still locked: " + lock)


@test
def a_folder_in_use(folder):
    make_sites(folder)
    write(os.path.join(folder, "job.yaml"),
          job_text(NAMES, rounds=1000000, rest="checkpoint: {every: 10}\n"))
    log = os.path.join(folder, "RUN", "covey.log")

    def starts():
        with contextlib.suppress(FileNotFoundError):
            return open(log).read().count("run_start")
        return 0

    for attempt, more in enumerate(((), ("--resume",))):
        p = start(run_sites(folder, 2, "-q", *more))
        try:
            wait_for(lambda: starts() > attempt, p)
            wait_for(lambda: os.path.exists(log.replace("covey.log", "run.h5")),
                     p)
            for ranks, again in ((0, ()), (2, ("--resume",)), (4, ())):
                fails(run_sites(folder, ranks, *again), ENV,
                      ("RUN: in use by another run", "--out"))
            assert p.poll() is None
            text = open(log).read()
            assert text.count("run_start") == attempt + 1
            assert "run_failed" not in text
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(p.pid, signal.SIGKILL)
            p.communicate()
            wait_until_free(os.path.join(folder, "RUN", ".lock"))
        assert inspect(os.path.join(folder, "RUN"))["round"] > 0


# ---- checkpoints -------------------------------------------------------------------


def damage_cut(path):
    os.truncate(path, os.path.getsize(path) // 2)


def damage_empty(path):
    os.truncate(path, 0)


def damage_text(path):
    write(path, "not a checkpoint\n" * 300)


def damage_bits(path):
    """One bit of a parameter, as a bad disk would turn it."""
    with h5py.File(path) as f:
        found = []
        f["/model/params"].visititems(
            lambda _, d: found.append(d) if isinstance(d, h5py.Dataset)
            else None)
        at = found[0].id.get_offset()
    with open(path, "r+b") as f:
        f.seek(at + 1)
        byte = f.read(1)[0]
        f.seek(at + 1)
        f.write(bytes([byte ^ 4]))


DAMAGE = (damage_cut, damage_empty, damage_text, damage_bits)


def copy_run(folder, out):
    shutil.copytree(os.path.join(folder, "RUN"), os.path.join(folder, out))
    return os.path.join(folder, out)


def warnings(r):
    return [l for l in r.err.splitlines()
            if l.split(" ")[1:2] and l.split(" ")[1].startswith("checkpoint_")]


@test
def damaged_checkpoints(folder):
    make_sites(folder)
    write(os.path.join(folder, "job.yaml"), job_text(NAMES, rounds=6))
    run(folder, 2, "-q")
    good = digest(folder)

    def newest(i, damage, ranks):
        """run.h5 alone: its kept copy serves."""
        out = "newest-%d-%d" % (i, ranks)
        where = copy_run(folder, out)
        damage(os.path.join(where, "run.h5"))
        fails([COVEY, "inspect", where], VERIFY, ("run.h5",))
        fails([COVEY, "predict", where, vault(folder, "a", "rows.csv")],
              VERIFY, ("run.h5",))
        r = run(folder, ranks, "--resume", out=out)
        said = warnings(r)
        assert len(said) == 1, r.err
        assert "run.h5" in said[0] and "round-000006.h5" in said[0], said
        assert digest(folder, out) == good

    def linked(i, damage, ranks):
        """What a bad disk does to run.h5 it does to its second name."""
        out = "linked-%d-%d" % (i, ranks)
        where = copy_run(folder, out)
        damage(os.path.join(where, "run.h5"))
        damage(os.path.join(where, "round-000006.h5"))
        r = run(folder, ranks, "--resume", out=out)
        said = warnings(r)
        assert len(said) == 1, r.err
        assert "run.h5" in said[0] and "round-000005.h5" in said[0], said
        assert digest(folder, out) == good
        with h5py.File(os.path.join(where, "round-000006.h5")) as f:
            assert f.attrs["round"] == 6

    def none(i, damage, ranks):
        out = "none-%d-%d" % (i, ranks)
        where = copy_run(folder, out)
        for name in os.listdir(where):
            if name.endswith(".h5"):
                damage(os.path.join(where, name))
        before = snapshot(where, but=["covey.log"])
        fails(run_sites(folder, ranks, "--resume", out=out), VERIFY,
              ("run.h5", "no other checkpoint", "--out"))
        assert snapshot(where, but=["covey.log"]) == before

    together([lambda i=i, d=d: newest(i, d, (0, 1, 3, 4)[i])
              for i, d in enumerate(DAMAGE)] +
             [lambda i=i, d=d: linked(i, d, (4, 2, 1, 3)[i])
              for i, d in enumerate(DAMAGE)] +
             [lambda i=i, d=d: none(i, d, (2, 4, 0, 1)[i])
              for i, d in enumerate(DAMAGE)])
    # Without run.h5, and with nothing at all.
    where = copy_run(folder, "gone")
    os.remove(os.path.join(where, "run.h5"))
    run(folder, 2, "--resume", out="gone")
    assert digest(folder, "gone") == good
    run(folder, 2, "--resume", out="new")
    assert digest(folder, "new") == good


@test
def damaged_state_of_a_silo(folder):
    make_sites(folder)
    write(os.path.join(folder, "job.yaml"),
          job_text(NAMES, rounds=5, strategy="scaffold"))
    run(folder, 4, "-q")
    good = digest(folder)
    top = vault(folder, "c", "state")
    where = os.path.join(top, [n for n in os.listdir(top) if "." not in n][0])
    damage_cut(os.path.join(where, "silo-c-000005.h5"))
    r = run(folder, 2, "--resume")
    said = warnings(r)
    assert len(said) == 1 and "silo c" in said[0], r.err
    assert "round-000004.h5" in said[0] and "vault" not in r.err, said
    assert digest(folder) == good
    os.rename(where, where + "-away")
    before = snapshot(os.path.join(folder, "RUN"), but=["covey.log"])
    together([lambda n=n: fails(
        run_sites(folder, n, "--resume", out=os.path.basename(
            shutil.copytree(os.path.join(folder, "RUN"),
                            os.path.join(folder, "RUN-%d" % n)))), VERIFY,
        ("no checkpoint", "silo c", "state folder"), ("vault-",))
        for n in (1, 2, 4)])
    assert where in site_log(folder, "c"), site_log(folder, "c")
    assert snapshot(os.path.join(folder, "RUN"), but=["covey.log"]) == before


@test
def another_job_or_other_data(folder):
    make_sites(folder)
    job = os.path.join(folder, "job.yaml")
    text = job_text(NAMES, rounds=3, data="standardize: pooled")
    write(job, text)
    run(folder, 2)
    run_dir = os.path.join(folder, "RUN")
    before = snapshot(run_dir, but=["covey.log"])

    def resume(words, ranks=(1, 2, 4)):
        for n in ranks:
            fails(run_sites(folder, n, "--resume"), INPUT,
                  ("RUN/run.h5",) + words, ("vault-",))
        assert snapshot(run_dir, but=["covey.log"]) == before

    write(job, text.replace("strategy: fedavg", "strategy: fedadam"))
    resume(("another job", "--out"))
    write(job, text.replace("learning_rate: 0.1", "learning_rate: 0.2"))
    resume(("another job", "--out"), (2,))
    write(job, text)
    rows = vault(folder, "b", "rows.csv")
    saved = open(rows).read()
    changed = ("data have changed", "--out")
    edit_lines(rows, lambda l: l[:-1])  # a row less
    resume(changed)
    write(rows, saved)
    edit_lines(rows, poke(5, 0, "9.5"))  # another value, another mean
    resume(changed, (2,))
    write(rows, saved)
    edit_lines(rows, poke(5, 3, "5"))  # a class more, another shape
    resume(changed, (4,))
    for name in NAMES:  # other columns everywhere
        edit_lines(vault(folder, name, "rows.csv"), lambda l: [
            x.split(",", 1)[1] for x in l])
    resume(changed, (4,))
    for i, name in enumerate(NAMES):
        x, y = blobs(40, cols=3, seed=100 + i)
        write_csv(vault(folder, name, "rows.csv"), x, y)
    # The right data, and more rounds: that is what --resume is for.
    write(job, text.replace("rounds: 3", "rounds: 5"))
    run(folder, 4, "--resume")
    write(job, text.replace("rounds: 3", "rounds: 5"))
    run(folder, 1, out="whole")
    assert digest(folder) == digest(folder, "whole")


main()

"""Bad starts: silo files, claims, job files and command lines that are wrong,
too few silos: one clear message, the right exit code, nothing left behind."""
import os
import re

from faults import (COVEY, NAMES, blobs, edit_lines, fails, finish, job_text,
                    make_sites, run_args, run_sites, snapshot, start, together,
                    vault, write, write_csv)
from harness import main, test

INPUT, SILOS = 2, 5

# ---- silo files and who claims what ----------------------------------------------


def mpmd(*parts):
    """mpirun -n N covey run ... : -n N covey run ..."""
    args = ["mpirun"]
    for i, (n, more) in enumerate(parts):
        args += [":"] * (i > 0) + ["-n", str(n), COVEY, "run"] + list(more)
    return args


@test
def silo_files(folder):
    make_sites(folder)
    job = write(os.path.join(folder, "job.yaml"), job_text(NAMES))
    sites = os.path.join(folder, "sites")
    before = snapshot(folder)
    one = os.path.join(sites, "c.yaml")
    text = open(one).read()

    def both(words, hides=("vault-",)):
        together([lambda n=n: fails(run_sites(folder, n, out="RUN-%d" % n),
                                    INPUT, words, hides) for n in (1, 2, 4)])

    os.remove(one)
    both(("--silo-dir", "'silo: c'", "found: "), ("vault-", sites))
    write(one, text)
    write(os.path.join(sites, "again.yaml"), text)
    both(("--silo-dir", "'silo: c'", "again.yaml and c.yaml"), ("vault-", sites))
    os.remove(os.path.join(sites, "again.yaml"))
    write(one, text + "colour: quixotic\n")
    both(("c.yaml:4", "silo c", "covey check"), ("vault-", "quixotic", sites))
    write(one, text.replace("data:", "date:"))
    both(("c.yaml", "silo c", "covey check"), ("vault-", "date", sites))
    write(one, "silo: [c\n")
    both(("--silo-dir", "'silo: c'", "1 of [0-9] files could not be read"))
    write(one, text)
    fails(run_args(2, "run", job, "--silo-dir", sites + "-not", "--out",
                   os.path.join(folder, "RUN")), INPUT,
          ("--silo-dir", "No such file"))
    fails(run_args(2, "run", job, "--out", os.path.join(folder, "RUN")), INPUT,
          ("job.yaml", "no data", "--silo-dir", "simulate"))
    assert snapshot(folder, but=["state"] + [
        "silo-%s.log" % n for n in NAMES]) == before


@test
def claims(folder):
    names = ("a", "b")
    make_sites(folder, names)
    write(os.path.join(folder, "c.csv"), "f0,f1,f2,label\n1,2,3,0\n4,5,6,1\n")
    job = write(os.path.join(folder, "job.yaml"), job_text(names))
    silo = {n: ["--silo", os.path.join(folder, "sites", n + ".yaml")]
            for n in names}
    where = os.path.join(folder, "private")
    os.mkdir(where)
    for name, text in (("west", "silo: west\ndata: x.csv\n"),
                       ("other", "silo: a\ndata: ../vault-b/rows.csv\n"),
                       ("narrow", "silo: a\ndata: narrow.csv\n"),
                       ("broken", "silo: a\ndata: {}\n")):
        write(os.path.join(where, name + ".yaml"), text)
        silo[name] = ["--silo", os.path.join(where, name + ".yaml")]
    x, y = blobs(40, cols=2)
    write_csv(os.path.join(where, "narrow.csv"), x, y)
    silo["gone"] = ["--silo", os.path.join(where, "gone.yaml")]
    dir_ = ["--silo-dir", os.path.join(folder, "sites")]
    run = [job, "--out", os.path.join(folder, "RUN")]
    before = snapshot(folder)

    def bad(parts, *words):
        out = ["--out", os.path.join(folder, re.sub(r"\W", "-", str(words)))]
        fails(mpmd(*[(n, [job] + more + out) for n, more in parts]), INPUT,
              words, ("vault-", where))

    together([
        lambda: bad([(1, silo["a"]), (1, silo["west"])], "rank 1",
                    "'west' is not in"),
        lambda: bad([(1, silo["west"]), (1, silo["b"])], "rank 0",
                    "'west' is not in"),
        lambda: bad([(1, silo["a"]), (1, silo["a"])], "silo b has no rank"),
        lambda: bad([(1, silo["b"])], "silo a has no rank"),
        lambda: bad([(1, silo["a"]), (1, [])], "rank 1", "without --silo"),
        lambda: bad([(1, []), (1, silo["b"])], "rank 0", "without --silo"),
        lambda: bad([(1, silo["a"]), (1, dir_)], "rank 1", "without --silo"),
        lambda: bad([(1, silo["a"]), (1, silo["gone"])], "rank 1", "gone.yaml",
                    "covey check"),
        lambda: bad([(1, silo["broken"]), (1, silo["b"])], "rank 0",
                    "broken.yaml:2"),
        lambda: bad([(2, silo["a"]), (1, silo["b"] + dir_)],
                    "--silo or --silo-dir, not both"),
        # Two sites that both say they are a: the second has other rows.
        lambda: bad([(1, silo["a"]), (1, silo["b"]), (1, silo["other"])],
                    "silo a: ", "different rows", "two sites"),
        lambda: bad([(1, silo["a"]), (1, silo["b"]), (1, silo["narrow"])],
                    "silo a, claimed twice: ", "column"),
        lambda: bad([(1, silo["a"]), (1, silo["b"] + ["--resume"])],
                    "--resume", "all or to none"),
    ])
    assert snapshot(folder, but=["state", "covey-state", "silo-a.log",
                                 "silo-b.log"]) == before
    r = finish(start(mpmd((1, run + silo["a"]), (2, run + silo["b"]))))
    assert r.code == 0, r.err


# ---- the job and the command line ---------------------------------------------------


@test
def job_files(folder):
    make_sites(folder)
    good = job_text(NAMES)
    cases = {
        "gone": (None, ("gone.yaml", "No such file")),
        "empty": ("", ("empty.yaml",)),
        "binary": ("\0\1\2", ("binary.yaml",)),
        "syntax": (good + "x: [1\n", ("syntax.yaml:",)),
        "key": (good.replace("strategy:", "stratgy:"),
                ("key.yaml:7: ", "stratgy", "'strategy'")),
        "kind": (good.replace("softmax", "sofmax"),
                 ("kind.yaml:5: ", "sofmax", "'softmax'")),
        "rounds": (good.replace("rounds: 3", "rounds: -3"),
                   ("rounds.yaml:8: ", "rounds", "-3")),
        "min": (good + "", None),
        "twice": (good + "model: {kind: linear}\n", ("twice.yaml:", "model")),
        "silos": (good.replace("{name: b}", "{name: a}"), ("silos.yaml:3: ",)),
        "count": (job_text("{count: 4}"), ("count.yaml:3: ", "simulate")),
    }
    cases["min"] = (good.replace("  rounds:", "  min_silos: 5\n  rounds:"),
                    ("min.yaml:", "min_silos", "found 5"))
    for name, (text, _) in cases.items():
        if text is not None:
            write(os.path.join(folder, name + ".yaml"), text)
    before = snapshot(folder)
    together([lambda n=n, name=name, w=w: fails(
        run_args(n, "run", os.path.join(folder, name + ".yaml"), "--silo-dir",
                 os.path.join(folder, "sites"), "--out",
                 os.path.join(folder, "%s-%d" % (name, n))), INPUT, w)
        for k, (name, (_, w)) in enumerate(sorted(cases.items()))
        for n in ((1, 4), (2,))[k % 2]])
    assert snapshot(folder) == before


@test
def different_job_files(folder):
    make_sites(folder)
    text = job_text(NAMES)
    job = write(os.path.join(folder, "job.yaml"), text)
    same = write(os.path.join(folder, "same.yaml"), "# a comment\n" + text)
    other = write(os.path.join(folder, "other.yaml"),
                  text.replace("rounds: 3", "rounds: 4"))
    wrong = write(os.path.join(folder, "wrong.yaml"), text + "colour: red\n")
    more = ["--silo-dir", os.path.join(folder, "sites"), "--out",
            os.path.join(folder, "RUN")]
    before = snapshot(folder)

    def bad(parts, *words):  # known before the run folder is touched
        fails(mpmd(*[(n, [j] + more) for n, j in parts]), INPUT, words)

    together([
        lambda: bad([(1, job), (1, other)], "rank 1", "another job file"),
        lambda: bad([(1, other), (1, job)], "rank 1", "another job file"),
        lambda: bad([(3, job), (1, other)], "rank 3", "another job file"),
        lambda: bad([(1, job), (1, other), (2, job)], "rank 1", "another job"),
        lambda: bad([(1, job), (3, wrong)], "wrong.yaml:", "colour"),
    ])
    assert snapshot(folder) == before
    gone = os.path.join(folder, "gone.yaml")  # a node that does not see it
    r = finish(start(mpmd((1, [job] + more), (1, [same] + more),
                          (1, [gone] + more))))
    assert r.code == 0, r.err


@test
def command_lines(folder):
    make_sites(folder)
    job = write(os.path.join(folder, "job.yaml"), job_text(NAMES))
    simulated = write(os.path.join(folder, "sim.yaml"),
                      job_text("{count: 4}",
                               rest="simulate: {source: vault-a/rows.csv}\n"))
    sites = ["--silo-dir", os.path.join(folder, "sites")]
    before = snapshot(folder)
    runs = [
        (["--sile", "x", job], ("'--sile'", "'--silo'", "covey help run")),
        ([job, "--resum3"], ("'--resum3'", "'--resume'")),
        ([job, "-x"], ("'-x'", "covey help run")),
        ([job, "--out"], ("'--out' needs a value",)),
        ([job] + sites + ["--out", ""], ("--out", "empty")),
        ([job, "--progress", "often"], ("--progress", "auto, live or log",
                                        "often")),
        ([], ("one job file",)),
        ([job, job], ("one job file",)),
        ([simulated] + sites, ("sim.yaml", "simulates", "--silo-dir")),
    ]
    together([lambda n=n, a=a, w=w: fails(
        run_args(n, "run", *a), INPUT, w, cwd=folder)
        for k, (a, w) in enumerate(runs) for n in ((0, 3), (2,))[k % 2]])
    for args, words in (
            (["rnu", job], ("'rnu'", "'run'")),
            (["check"], ("covey check",)),
            (["check", job, "--slio", "x"], ("'--slio'", "'--silo'")),
            (["check", job, "--silo"], ("needs a value",)),
            (["inspect", "--jsn"], ("'--jsn'", "'--json'")),
            (["inspect", "nothing"], ("nothing",)),
            (["predict", "x"], ("covey predict",)),
            (["predict", "nothing", "x"], ("nothing",)),
            (["predict", "-o"], ("needs a value",)),
            (["convert", "x"], ("covey convert",)),
            (["convert", "--targte", "x"], ("'--targte'", "'--target'")),
            (["convert", "nothing.csv", "out.h5"], ("nothing.csv",)),
            (["init", "x"], ("covey init",))):
        fails([COVEY] + args, INPUT, words, cwd=folder)
    assert snapshot(folder) == before


# ---- too few silos ------------------------------------------------------------------


@test
def too_few_silos(folder):
    def one(ranks, tag, text, *words):
        out = os.path.join(folder, "%s-%d" % (tag, ranks))
        job = write(out + ".yaml", text)
        fails(run_args(ranks, "run", job, "--silo-dir",
                       os.path.join(folder, "sites"), "--out", out, "-q"),
              SILOS, words)
        assert not os.path.exists(os.path.join(out, "run.h5"))

    make_sites(folder)
    edit_lines(vault(folder, "b", "rows.csv"), lambda l: l[:6])
    few = job_text(NAMES, training="  min_silos: 4\n",
                   rest="disclosure: {min_rows: 10}\n")
    burst = job_text(NAMES, model="{kind: mlp, hidden: [5]}",
                     local="{epochs: 1, batch: 4, learning_rate: 1.0e+30}")
    together([lambda n=n: one(n, "few", few, "round 1", "at least 4 silos",
                              "3 were ready") for n in (1, 2, 4, 6)] +
             [lambda n=n: one(n, "burst", burst, "round 1", "0 were ready")
              for n in (0, 3, 6)])


main()

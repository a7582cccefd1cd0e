"""A silo that diverges or has too few rows sits the round out, is named, and the
run goes on; with too few silos left it stops with the last good model saved."""
import os

import numpy as np

from kills import NAMES, diverging_late, outcome, run, same
from harness import (blobs, inspect, job_text, main, parameters, test, write,
                     write_csv)

FEW_SILOS = 5


def silos(folder, huge=(), few=(), names=NAMES):
    """`huge`: their features are far outside what floats can square; `few`:
    three rows."""
    for i, name in enumerate(names):
        x, y = blobs(3 if name in few else 40, seed=60 + i)
        if name in huge:
            x = x * 1e25
        write_csv(os.path.join(folder, name + ".csv"), x, y)
        write(os.path.join(folder, name + ".yaml"),
              "silo: %s\ndata: %s.csv\nstate: state-%s\n" % (name, name, name))


def job(folder, rounds=6, training="", rest="disclosure: {min_rows: 5}\n", **kw):
    write(os.path.join(folder, "job.yaml"),
          job_text(NAMES, model="{kind: softmax}", rounds=rounds,
                   data="standardize: none", training=training, rest=rest, **kw))


def sat_out(r):
    """{silo: reason} of the warnings; each silo is named once."""
    found = {}
    for line in r.err.splitlines():
        if " silo_sits_out " in line:
            name = line.split("silo=")[1].split()[0]
            assert name not in found, r.err
            found[name] = line.split('reason="')[1].rstrip('"')
    return found


def by_name(out):
    return {s["name"]: (s["rounds"], s["status"]) for s in inspect(out)["silos"]}


@test
def the_run_goes_on_without_them(folder):
    silos(folder, huge=["b"], few=["d"])
    for strategy, all_ranks in (("fedavg", (0, 2, 4, 8)),
                                ("scaffold", (0, 4, 8)), ("fednova", (0, 3))):
        job(folder, strategy=strategy)
        first = None
        for ranks in all_ranks:
            out = os.path.join(folder, "%s-%d" % (strategy, ranks))
            r = run(folder, out, ranks, "--progress", "log")
            assert sat_out(r) == {"b": "diverged", "d": "too few rows"}, r.err
            assert by_name(out) == {
                "a": (6, "took part"), "b": (0, "diverged"),
                "c": (6, "took part"), "d": (0, "too few rows")}
            report = inspect(out)
            assert {h["silos"] for h in report["history"]} == {2}
            assert np.isfinite(report["metrics"]["train_loss"])
            assert "silos 2/4" in r.err
            first = first or outcome(out)
            if ranks <= 4:
                same(out, first)


@test
def the_model_is_that_of_the_others_alone(folder):
    """Weights are shares of those who took part; rounding differs, for sums run
    on a grid that follows from the weights."""
    silos(folder, huge=["c"], few=["d"])
    job(folder)
    run(folder, os.path.join(folder, "four"), 2, "-q")
    write(os.path.join(folder, "job.yaml"),
          job_text(("a", "b"), model="{kind: softmax}", rounds=6))
    run(folder, os.path.join(folder, "two"), 2, "-q")
    four, two = (parameters(os.path.join(folder, n)) for n in ("four", "two"))
    assert np.abs(two).max() > 0.1
    assert np.allclose(four, two, rtol=1e-4, atol=1e-6), (four, two)


@test
def one_that_comes_and_goes(folder):
    """A silo that is not drawn neither diverges nor is named again."""
    silos(folder, huge=["b"])
    job(folder, rounds=8, training="  participation: 0.5\n")
    out = os.path.join(folder, "run")
    first = None
    for ranks in (0, 4):
        out = os.path.join(folder, "run-%d" % ranks)
        r = run(folder, out, ranks)
        named = {l.split("silo=")[1].split()[0] for l in r.err.splitlines()
                 if "silo_sits_out" in l}
        assert named == {"b"}, r.err
        first = first or outcome(out)
        same(out, first)
    tally = by_name(out)
    assert tally["b"][0] == 0
    assert {h["silos"] for h in first["history"]} == {1, 2}


@test
def too_few_from_the_first_round(folder):
    """There is no model yet, and none is claimed."""
    silos(folder, huge=["b"], few=["d"])
    job(folder, training="  min_silos: 3\n")
    for ranks in (1, 2, 4, 8):
        out = os.path.join(folder, "run-%d" % ranks)
        r = run(folder, out, ranks, "-q", expect=FEW_SILOS)
        assert len(r.messages) == 1, r.err
        text = r.messages[0]
        assert "at least 3" in text and "2 were ready" in text, text
        assert "b: diverged" in text and "d: too few rows" in text, text
        assert "is saved" not in text, text
        assert not os.path.exists(os.path.join(out, "run.h5"))


@test
def too_few_later_on(folder):
    """The last good model is saved, whatever the rhythm of checkpoints; the
    same on any number of ranks; resuming stops again and changes nothing."""
    for every, all_ranks in ((1, (0, 8)), (10, (0, 2, 4, 8)), (1000, (0, 3))):
        diverging_late(folder, every=every)
        first = None
        for ranks in all_ranks:
            out = os.path.join(folder, "run-%d-%d" % (every, ranks))
            r = run(folder, out, ranks, "-q", expect=FEW_SILOS)
            assert len(r.messages) == 1, r.err
            report = inspect(out)
            done = report["round"]
            assert 2 <= done < 40, (done, r.err)
            assert "round %d:" % (done + 1) in r.messages[0], r.messages
            assert "is saved" in r.messages[0]
            found = outcome(out)
            assert np.isfinite(np.frombuffer(found["parameters"],
                                             np.float32)).all()
            status = {s["name"]: s["status"] for s in report["silos"]}
            assert "diverged" in (status["c"], status["d"]), status
            for name, what in status.items():
                if what == "diverged":
                    assert "%s: diverged" % name in r.messages[0], r.messages
            if ranks <= 4:
                first = first or found
                same(out, first)
            if ranks == 2:
                r = run(folder, out, 0, "--resume", "-q", expect=FEW_SILOS)
                assert len(r.messages) == 1, r.err
                same(out, first)


@test
def many_are_named_in_the_log_and_a_few_on_the_screen(folder):
    x, y = blobs(90, seed=1)
    write_csv(os.path.join(folder, "all.csv"), x, y)
    write(os.path.join(folder, "job.yaml"),
          job_text("{count: 40, prefix: s}", model="{kind: softmax}", rounds=3,
                   training="  min_silos: 1\n",
                   rest="simulate: {source: all.csv, partition: dirichlet}\n"
                        "disclosure: {min_rows: 3}\n"))
    out = os.path.join(folder, "run")
    r = run(folder, out, 2, data=False)
    few = [n for n, (_, status) in by_name(out).items() if status != "took part"]
    assert len(few) > 10, few
    assert len([l for l in r.err.splitlines() if " silo_sits_out " in l]) == 10
    assert "and %d more" % (len(few) - 10) in r.err
    with open(os.path.join(out, "covey.log")) as f:
        assert len([l for l in f if " silo_sits_out " in l]) == len(few)


main()

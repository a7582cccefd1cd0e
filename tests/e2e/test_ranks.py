"""The global model has the same bytes whatever hosts the silos or sums them."""
import os

import numpy as np

from harness import (STRATEGIES, covey, inspect, job_text, main, mpirun,
                     parameters, test, write, write_silos)

NAMES = ("a", "b", "c", "d")


def digest(folder, ranks, tag, env=None):
    out = os.path.join(folder, "run-" + tag)
    mpirun(ranks, "run", os.path.join(folder, "job.yaml"), "--silo-dir", folder,
           "--out", out, "-q", env=env)
    return inspect(out)["model"]["digest"]


@test
def every_strategy_any_number_of_ranks(folder):
    write_silos(folder, NAMES)
    for strategy, options in STRATEGIES.items():
        write(os.path.join(folder, "job.yaml"),
              job_text(NAMES, model="{kind: mlp, hidden: [7]}", data="target_type: category",
                       strategy=strategy, **options))
        found = {digest(folder, n, "%s-%d" % (strategy, n)) for n in (1, 3, 4)}
        assert len(found) == 1, (strategy, found)


@test
def any_algorithm_sums_the_same(folder):
    write_silos(folder, NAMES)
    write(os.path.join(folder, "job.yaml"),
          job_text(NAMES, model="{kind: mlp, hidden: [300]}", data="target_type: category", rounds=2))
    found = {digest(folder, 2, "default")}
    for algorithm in range(1, 7):
        found.add(digest(folder, 4, "alg%d" % algorithm, env={
            "OMPI_MCA_coll_tuned_use_dynamic_rules": "1",
            "OMPI_MCA_coll_tuned_allreduce_algorithm": str(algorithm),
            "OMPI_MCA_coll": "basic,libnbc,tuned,self"}))
    assert len(found) == 1, found


@test
def a_shared_silo_differs_by_rounding_only(folder):
    write_silos(folder, NAMES)
    write(os.path.join(folder, "job.yaml"),
          job_text(NAMES, model="{kind: mlp, hidden: [7]}", data="target_type: category", rounds=4))
    digest(folder, 4, "4")
    reference = parameters(os.path.join(folder, "run-4"))
    for ranks in (6, 8):
        digest(folder, ranks, str(ranks))
        other = parameters(os.path.join(folder, "run-%d" % ranks))
        assert np.allclose(other, reference, rtol=1e-3, atol=1e-5)
        assert np.abs(other - reference).max() < 1e-3


@test
def many_silos_sum_in_wide_words(folder):
    names = ["s%02d" % i for i in range(70)]
    write_silos(folder, names, rows=(12, 20, 9))
    write(os.path.join(folder, "job.yaml"), job_text(names, rounds=2))
    found = {digest(folder, n, str(n)) for n in (1, 2, 3)}
    assert len(found) == 1, found


@test
def a_part_of_the_silos_is_drawn(folder):
    write_silos(folder, NAMES)
    write(os.path.join(folder, "job.yaml"),
          job_text(NAMES, rounds=6, strategy="scaffold",
                   training="  participation: 0.5\n"))
    found = {digest(folder, n, str(n)) for n in (1, 2, 4)}
    assert len(found) == 1, found
    report = inspect(os.path.join(folder, "run-4"))
    assert sum(s["rounds"] for s in report["silos"]) == 12
    assert {h["silos"] for h in report["history"]} == {2}


@test
def alone_without_mpirun(folder):
    write_silos(folder, NAMES)
    write(os.path.join(folder, "job.yaml"), job_text(NAMES, rounds=2))
    one = digest(folder, 2, "2")
    out = os.path.join(folder, "alone")
    covey("run", os.path.join(folder, "job.yaml"), "--silo-dir", folder,
          "--out", out, "-q")
    assert inspect(out)["model"]["digest"] == one


@test
def another_seed_another_model(folder):
    write_silos(folder, NAMES)
    path = os.path.join(folder, "job.yaml")
    write(path, job_text(NAMES, rounds=1, training="  seed: 1\n"))
    one = digest(folder, 2, "1")
    write(path, job_text(NAMES, rounds=1, training="  seed: 2\n"))
    assert digest(folder, 2, "2") != one


main()

"""Runs that go on, or begin again, in a way that would show or spend what the
journals know of: a checkpoint put back to before its first round, other weights or
groups over the same data, rounds that were signed and are done again."""
import os
import shutil

from verify_runs import cheat, verify
from harness import blobs, main, mpirun, test, write_csv
from secure_sites import make_sites, secure_job, silos_text

N4 = ("a", "b", "c", "d")
CHAIN = ("chain: {network: local, federation: "
         "\"0x5FbDB2315678afecb367f032d93F642f64180aa3\"%s}\n")
REWARDS = (", rewards: {token: \"0x5FbDB2315678afecb367f032d93F642f64180aa3\", "
           "sponsor: \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\", "
           "pool: \"10\", method: shapley, groups: %d}")


def run(ranks, job, sites, out, *more, expect=0):
    return mpirun(ranks, "run", job, "--silo-dir", sites, "--out", out, "-q", *more,
                  expect=expect)


@test
def a_checkpoint_from_before_the_first_round(folder):
    """It would switch off what journals hold a checkpoint against."""
    sites = make_sites(folder, N4)
    out = os.path.join(folder, "run")
    run(4, secure_job(folder, N4, rounds=2), sites, out)
    path = os.path.join(out, "run.h5")
    empty = ["drop-rows /history 0 2", "set-attr / round 0",
             "set-attr /proofs record " + "0" * 64]
    empty += ["put /silos rounds_taken %d 0" % i for i in range(4)]
    # The kept ones would be taken instead: only this one is left.
    for name in os.listdir(out):
        if name.startswith("round-"):
            os.remove(os.path.join(out, name))
    cheat(path, path + ".new", *empty)
    os.replace(path + ".new", path)
    r = run(4, secure_job(folder, N4, rounds=3), sites, out, "--resume", expect=6)
    assert "checkpoint" in r.err, r.err
    assert "done after" not in r.out + r.err


@test
def a_checkpoint_that_is_gone(folder):
    """The folder knows its run, and no checkpoint of it can be used."""
    sites = make_sites(folder, N4)
    out = os.path.join(folder, "run")
    run(4, secure_job(folder, N4, rounds=2, strategy="scaffold"), sites, out)
    for name in N4:
        shutil.rmtree(os.path.join(sites, "state-" + name))
    r = run(4, secure_job(folder, N4, rounds=3, strategy="scaffold"), sites, out,
            "--resume", expect=4)
    assert "journal" in r.err, r.err


@test
def other_weights_over_the_same_data(folder):
    """The difference of the two sums would be one silo's update."""
    sites = make_sites(folder, N4)

    def job(weight):
        return secure_job(
            folder, N4, rounds=1, training="  weights: declared\n",
            silos=silos_text(N4).replace("name: d,", "name: d, weight: %g," % weight))
    run(4, job(1), sites, os.path.join(folder, "one"))
    r = run(4, job(2), sites, os.path.join(folder, "two"), expect=4)
    assert "weights" in r.err and "summed before" in r.err, r.err
    # The very same sum may be made again.
    run(4, job(1), sites, os.path.join(folder, "three"))


@test
def other_groups_of_the_same_silos(folder):
    names = tuple("abcdefghi")
    write_csv(os.path.join(folder, "test.csv"), *blobs(60, seed=99))
    sites = make_sites(folder, names, rows=(40,) * 9)

    def job(groups):
        return secure_job(folder, names, rounds=1, data="test: test.csv",
                          rest=CHAIN % (REWARDS % groups))
    run(9, job(2), sites, os.path.join(folder, "two"))
    r = run(9, job(3), sites, os.path.join(folder, "three"), expect=4)
    assert "groups" in r.err and "summed before" in r.err, r.err


@test
def signed_rounds_that_are_done_again_are_named(folder):
    """With checkpoints further apart than the round that is lost."""
    sites = make_sites(folder, N4)
    out = os.path.join(folder, "run")

    def job(rounds):
        return secure_job(folder, N4, rounds=rounds,
                          rest="checkpoint: {every: 5, keep: 9}\n" + CHAIN % "")
    run(4, job(5), sites, out)
    run(4, job(6), sites, out, "--resume")
    with open(os.path.join(out, "records.log")) as f:
        lost = [line.split("record=")[1][:64] for line in f if line.startswith("round=6 ")]
    assert len(lost) == 4
    shutil.copy(os.path.join(out, "round-000005.h5"), os.path.join(out, "run.h5"))
    os.remove(os.path.join(out, "round-000006.h5"))
    run(4, job(10), sites, out, "--resume")
    with open(os.path.join(out, "records.log")) as f:
        after = [line for line in f if line.startswith("round=10 ")]
    assert len(after) == 4 and all("supersedes=" + lost[0] in line for line in after)
    code, lines, err = verify(os.path.join(out, "run.h5"))
    assert code == 0, (lines, err)


main()

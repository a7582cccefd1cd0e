"""The build with MPICH gives the same bytes as the one with Open MPI."""
import os

from harness import (ROOT, command, inspect, job_text, main, mpirun, test,
                     write, write_silos)

MPICH = os.environ.get("COVEY_MPICH", os.path.join(ROOT, "build-mpich", "covey"))
NAMES = ("a", "b", "c", "d")


@test
def mpich_and_open_mpi_agree(folder):
    linked = command(["ldd", MPICH]).out
    assert "libmpich" in linked and "libmpi.so.40" not in linked, linked
    write_silos(folder, NAMES)
    job = write(os.path.join(folder, "job.yaml"),
                job_text(NAMES, model="{kind: mlp, hidden: [7]}",
                         data="target_type: category", strategy="scaffold"))
    one, other = os.path.join(folder, "open"), os.path.join(folder, "mpich")
    mpirun(4, "run", job, "--silo-dir", folder, "--out", one, "-q")
    for ranks in (3, 6):
        out = other + str(ranks)
        command(["mpiexec.mpich", "-n", str(ranks), MPICH, "run", job,
                 "--silo-dir", folder, "--out", out, "-q"])
    assert (inspect(one)["model"]["digest"] ==
            inspect(other + "3")["model"]["digest"])
    # An error is one message there as well.
    r = command(["mpiexec.mpich", "-n", "3", MPICH, "run", job, "--silo-dir",
                 folder, "--out", one, "-q"], expect=2)
    assert len(r.messages) == 1, r.err


main()

"""Run a program under mpirun and note its peak resident memory:

    mpirun -n 4 peak.py FOLDER PROGRAM ARGUMENTS...

Each rank writes its VmHWM in kB to FOLDER/peak.RANK."""
import os
import sys

rank = next(os.environ[v] for v in ("OMPI_COMM_WORLD_RANK", "PMI_RANK",
                                    "SLURM_PROCID") if v in os.environ)
child = os.fork()
if child == 0:
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(child, 0)
with open(os.path.join(sys.argv[1], "peak." + rank), "w") as f:
    f.write("%d\n" % usage.ru_maxrss)
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128)

"""What the ranks send each other: tests/fault/mpi_tap.c around the real program,
its records, and rules that change a message on its way."""
import os
import struct
import subprocess

import harness

FAULT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fault")

# As in tests/fault/kills.py: Open MPI need not look for networks.
FAST = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self,vader",
        "OMPI_MCA_mpi_yield_when_idle": "1"}

# The program's calls into MPI. Those that carry data are recorded; the others
# carry none (MPI_Comm_split: who shares a silo).
TAPPED = {"MPI_Allreduce", "MPI_Allgather", "MPI_Allgatherv", "MPI_Bcast",
          "MPI_Reduce_scatter", "MPI_Send", "MPI_Recv", "MPI_Init",
          "MPI_Finalize"}
SILENT = {"MPI_Comm_dup", "MPI_Comm_free", "MPI_Comm_rank", "MPI_Comm_size",
          "MPI_Comm_split", "MPI_Op_create", "MPI_Abort"}

# Messages that silos sign, and what stands in them (offset, bytes).
JOIN = {"status": (0, 1), "has_last": (1, 1), "ephemeral": (2, 33),
        "nonce_commitment": (35, 32), "last_attempt": (67, 8),
        "draw": (75, 8), "members": (83, 32), "model": (115, 32),
        "signature": (147, 65)}
# The check: a silo's values, those of its leader's part of a sum that is scattered,
# the signature.
CHECK = {"value": (0, 32), "part": (32, 32), "signature": (64, 65)}
JOIN_BYTES, SIGNED_BYTES, CHECK_BYTES, ECHO_BYTES = 212, 97, 129, 32


def library(folder):
    """Build it; and refuse a program with calls that it does not know."""
    found = {line.split()[-1].split("@")[0] for line in subprocess.run(
        ["nm", "-D", "--undefined-only", harness.COVEY], check=True,
        stdout=subprocess.PIPE).stdout.decode().splitlines()
        if " MPI_" in line or " PMPI_" in line}
    assert found & TAPPED, "the program does not call MPI from a library"
    assert found <= TAPPED | SILENT, \
        "calls that are not tapped: %s" % sorted(found - TAPPED - SILENT)
    path = os.path.join(folder, "mpi_tap.so")
    subprocess.run(["mpicc", "-shared", "-fPIC", "-O1", "-o", path,
                    os.path.join(FAULT, "mpi_tap.c")], check=True)
    return path


def tapped_args(ranks, lib, *args, record=None, rules=(), fired=None):
    """mpirun with the library around every rank, and not around mpirun."""
    env = ["LD_PRELOAD=" + lib]
    if record:
        env.append("TAP_RECORD=" + record)
    if rules:
        env.append("TAP_RULES=" + ";".join(rules))
    if fired:
        env.append("TAP_FIRED=" + fired)
    return ["mpirun", "-n", str(ranks), "env"] + env + [harness.COVEY] + \
        [str(a) for a in args]


class Call:
    """One call of one rank: name, bytes of the message, nth of its kind, ranks of
    the communicator, size of an element, and what this rank sent in it."""

    HEAD = struct.Struct("<16s6I")

    def __init__(self, head, data):
        name, self.bytes, _, self.size, self.ranks, self.in_line, self.nth = \
            head
        self.name, self.data = name.rstrip(b"\0").decode(), data
        self.label = ""

    def __repr__(self):
        return "%s/%d#%d%s" % (self.name, self.bytes, self.nth,
                               self.label and " " + self.label)


def read(record, rank):
    """The calls of a rank, in order; the last is Finalize if it got there."""
    with open("%s.%d" % (record, rank), "rb") as f:
        text = f.read()
    calls, at = [], 0
    while at < len(text):
        head = Call.HEAD.unpack_from(text, at)
        at += Call.HEAD.size
        calls.append(Call(head, text[at:at + head[2]]))
        assert len(calls[-1].data) == head[2], "cut short"
        at += head[2]
    return label(calls)


def label(calls):
    """Name the messages of PROTOCOL: all are gathers of a few sizes, told apart
    by what comes before and after.  A sum is commit, echo, words, sum, check; a
    round begins with join and roster; what is left of that size are records.
    `round` counts joins, `step` the sums since."""
    gathers = [i for i, c in enumerate(calls) if c.name == "Allgatherv"]
    rounds = step = 0
    for k, i in enumerate(gathers):
        c = calls[i]
        later = [calls[j] for j in gathers[k + 1:k + 2]]
        before = calls[gathers[k - 1]].label if k else ""
        if c.bytes == JOIN_BYTES:
            c.label, step, rounds = "join", 0, rounds + 1
        elif c.bytes == ECHO_BYTES:
            c.label = "echo"
        elif c.bytes == CHECK_BYTES and before == "sum":
            c.label = "check"
        elif c.bytes != SIGNED_BYTES:
            continue
        elif before == "join":
            c.label = "roster"
        elif later and later[0].bytes == ECHO_BYTES:
            c.label, step = "commit", step + 1
        elif before == "echo":
            c.label = "sum"
        else:
            c.label = "record"
        c.round, c.step = rounds, step
    echo = None
    for c in calls:
        if c.name == "Allgatherv":
            echo = c if c.label == "echo" else None
        elif echo and c.bytes > 16 and not c.in_line and \
                c.name in ("Allreduce", "Reduce_scatter"):
            c.label, c.round, c.step = "words", echo.round, echo.step
    return calls


def find(calls, label, round=1, step=None):
    """The one call, or the chunks of words, with this label."""
    found = [c for c in calls if c.label == label and c.round == round and
             (step is None or c.step == step)]
    assert found, "no %s of round %d in %s" % (label, round, calls)
    return found[0]


def rule(call, rank, side, action, at, text):
    return "%s %s %d %d %s %s %d %s" % (rank, call.name, call.bytes, call.nth,
                                        side, action, at, text)

"""Federated averaging of an MLP on MNIST with PyTorch and mpi4py: the work of
bench_mnist.py, as one would write it by hand.

    mpirun -n 4 /usr/bin/python3 peer_torch.py IDX_FOLDER ROUNDS SEED GOAL

Rank k of n takes rows i with i mod n = k; batch 32, SGD 0.1, one epoch a round,
the mean of all models after it (all hold the same number of rows).  Rows are
drawn by index, without a DataLoader.  Rank 0 prints `start` before the first
round and `round R ACCURACY` after each, and all stop at the goal.
"""
import os
import sys

import numpy as np
import torch
from mpi4py import MPI

BATCH, RATE = 32, 0.1


def load(folder, part):
    def idx(kind, skip):
        path = os.path.join(folder, "%s-%s-ubyte" % (part, kind))
        return np.fromfile(path, np.uint8)[skip:]
    y = torch.from_numpy(idx("labels-idx1", 8).astype(np.int64))
    x = torch.from_numpy(idx("images-idx3", 16).reshape(len(y), 784))
    return x.float().div_(255.0), y


def epoch(model, loss_of, optimizer, x, y):
    order = torch.randperm(len(y))
    for at in range(0, len(y), BATCH):
        rows = order[at:at + BATCH]
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(x[rows]), y[rows]).backward()
        optimizer.step()


def average(comm, model):
    """All parameters become the mean over the ranks."""
    flat = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    total = flat.numpy()
    comm.Allreduce(MPI.IN_PLACE, total, MPI.SUM)
    total /= comm.size
    torch.nn.utils.vector_to_parameters(flat, model.parameters())


def accuracy(comm, model, x, y):
    """On all test rows, which the ranks share out."""
    with torch.no_grad():
        hits = (model(x[comm.rank::comm.size]).argmax(1) ==
                y[comm.rank::comm.size]).sum().item()
    return comm.allreduce(hits) / len(y)


def main():
    folder, rounds, seed, goal = sys.argv[1:5]
    comm = MPI.COMM_WORLD
    torch.set_num_threads(1)
    torch.manual_seed(int(seed)) # the same initial model everywhere
    model = torch.nn.Sequential(torch.nn.Linear(784, 200), torch.nn.ReLU(),
                                torch.nn.Linear(200, 10))
    torch.manual_seed(1000 * int(seed) + comm.rank) # other batches on each rank
    x, y = load(folder, "train")
    x, y = x[comm.rank::comm.size].clone(), y[comm.rank::comm.size].clone()
    test_x, test_y = load(folder, "t10k")
    loss_of = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    comm.Barrier()
    if comm.rank == 0:
        print("start", flush=True)
    for r in range(1, int(rounds) + 1):
        epoch(model, loss_of, optimizer, x, y)
        average(comm, model)
        reached = accuracy(comm, model, test_x, test_y)
        if comm.rank == 0:
            print("round %d %.4f" % (r, reached), flush=True)
        if reached >= float(goal):
            break


main()

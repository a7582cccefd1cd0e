"""The loop of bench_train.c in PyTorch: MLP 784-200-10, plain SGD, one thread.

    bench_train.py [SECONDS]

Rows are bytes in memory; each batch is drawn by index, converted, scaled and
trained on, without a DataLoader. Times are the thread's own CPU time, as in
bench_train.c. Output: lines of "key value".
"""

import sys
import time

import numpy as np
import torch

ROWS, COLS, HIDDEN, CLASSES = 60000, 784, 200, 10


def epoch(model, loss_of, optimizer, x, y, batch):
    order = torch.randperm(ROWS)
    for at in range(0, ROWS, batch):
        rows = order[at : at + batch]
        inputs = x[rows].float().mul_(1.0 / 255.0)
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(inputs), y[rows]).backward()
        optimizer.step()


def rate(x, y, batch, momentum, seconds):
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Linear(COLS, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)
    loss_of = torch.nn.CrossEntropyLoss()
    best, rounds, end = 0.0, 0, time.perf_counter() + seconds
    while rounds < 2 or time.perf_counter() < end:
        start = time.thread_time()
        epoch(model, loss_of, optimizer, x, y, batch)
        best = max(best, ROWS / (time.thread_time() - start))
        rounds += 1
    return best


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.integers(0, 256, (ROWS, COLS), dtype=np.uint8))
    y = torch.from_numpy(rng.integers(0, CLASSES, ROWS))
    print("torch", torch.__version__)
    for batch in (256, 32):
        print(f"samples_{batch} {rate(x, y, batch, 0.0, seconds):.0f}")
        print(f"momentum_{batch} {rate(x, y, batch, 0.9, seconds / 3):.0f}")


if __name__ == "__main__":
    main()

"""Federations in float64, from the papers: what solver/ must come out with.

    reference_strategies.py FOLDER

FOLDER/NN holds one case of test_strategy_reference.c: case.json, the silos'
rows x0.f32 y0.f32 ..., the parameters before (initial.f32) and after
(final.f32). Prints one line a case; exit 1 if one differs.
"""

import json
import sys
from pathlib import Path

import numpy as np

TOLERANCE = 1e-5


class Model:
    """Softmax regression, or one tanh layer under it; cross entropy, mean."""

    def __init__(self, n_in, hidden, n_out):
        widths = [n_in, hidden, n_out] if hidden else [n_in, n_out]
        self.shapes = list(zip(widths[1:], widths[:-1]))

    def split(self, w):
        layers, at = [], 0
        for rows, cols in self.shapes:
            weight = w[at : at + rows * cols].reshape(rows, cols)
            at += rows * cols
            layers.append((weight, w[at : at + rows]))
            at += rows
        return layers

    def gradient(self, w, x, y):
        layers = self.split(w)
        inputs = [x]
        for weight, bias in layers[:-1]:
            inputs.append(np.tanh(inputs[-1] @ weight.T + bias))
        weight, bias = layers[-1]
        scores = inputs[-1] @ weight.T + bias
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(y)), y] -= 1
        d = p / len(y)
        parts = []
        for (weight, _), h in zip(reversed(layers), reversed(inputs)):
            parts.append(np.concatenate([(d.T @ h).ravel(), d.sum(axis=0)]))
            d = (d @ weight) * (1 - h * h)
        return np.concatenate(parts[::-1])


def local_training(model, local, steps, w0, x, y, correction):
    w, v = w0.copy(), np.zeros_like(w0)
    for _ in range(steps):
        g = model.gradient(w, x, y) + correction
        g += local["weight_decay"] * w + local["proximal"] * (w - w0)
        v = local["momentum"] * v + g
        w = w - local["learning_rate"] * v
    return w


def nova_norm(local, steps):
    """|a_i|_1: a_i[k] is the weight of the k-th gradient in the change.

    Momentum and proximal term make one linear recursion of (change, velocity);
    its matrix powers give each gradient's weight.
    """
    rho, mu, lr = local["momentum"], local["proximal"], local["learning_rate"]
    # velocity' = rho velocity + 1 - lr mu change;  change' = change + velocity'
    step = np.array([[1 - lr * mu, rho], [-lr * mu, rho]])
    inject = np.array([1.0, 1.0])
    weights = [
        (np.linalg.matrix_power(step, steps - 1 - k) @ inject)[0] for k in range(steps)
    ]
    return sum(weights)


def adaptive(server, kind, m, v, d):
    """Reddi et al. 2021, Algorithm 2."""
    b1, b2 = server["beta1"], server["beta2"]
    m = b1 * m + (1 - b1) * d
    if kind == "fedadagrad":
        v = v + d**2
    elif kind == "fedyogi":
        v = v - (1 - b2) * d**2 * np.sign(v - d**2)
    else:
        v = b2 * v + (1 - b2) * d**2
    return m, v, server["learning_rate"] * m / (np.sqrt(v) + server["tau"])


def federation(case, w, xs, ys):
    local, server, kind = case["local"], case["server"], case["strategy"]
    model = Model(case["n_in"], case["hidden"], 3)
    shares = np.array(case["rows"]) / sum(case["rows"])
    control = np.zeros_like(w)
    controls = [np.zeros_like(w) for _ in shares]
    m, v = np.zeros_like(w), np.full_like(w, server["tau"] ** 2)
    for roster in case["roster"]:
        p = shares[roster] / shares[roster].sum()
        changes, moves = [], np.zeros_like(w)
        for i in roster:
            k = case["steps"][i]
            correction = control - controls[i] if kind == "scaffold" else 0
            end = local_training(model, local, k, w, xs[i], ys[i], correction)
            changes.append(end - w)
            if kind == "scaffold":
                # option II: c_i' = c_i - c + (x - y_i) / (K lr)
                new = controls[i] - control + (w - end) / (k * local["learning_rate"])
                moves += shares[i] * (new - controls[i])
                controls[i] = new
        if kind == "fednova":
            norms = [nova_norm(local, case["steps"][i]) for i in roster]
            tau = np.dot(p, norms)
            mean = tau * sum(pi * d / a for pi, d, a in zip(p, changes, norms))
        else:
            mean = sum(pi * d for pi, d in zip(p, changes))
        if kind in ("fedadam", "fedyogi", "fedadagrad"):
            m, v, move = adaptive(server, kind, m, v, mean)
        elif kind == "fedavgm":
            m = server["momentum"] * m + mean
            move = server["learning_rate"] * m
        else:
            move = server["learning_rate"] * mean
        w = w + move
        control = control + moves
    return w


def read(folder, name):
    return np.fromfile(folder / f"{name}.f32", "<f4").astype(float)


def main():
    failed, folders = 0, sorted(Path(sys.argv[1]).iterdir())
    for folder in folders:
        case = json.loads((folder / "case.json").read_text())
        silos = range(len(case["rows"]))
        xs = [read(folder, f"x{i}").reshape(-1, case["n_in"]) for i in silos]
        ys = [read(folder, f"y{i}").astype(int) for i in silos]
        want = federation(case, read(folder, "initial"), xs, ys)
        got = read(folder, "final")
        off = np.abs(got - want).max() / np.abs(want).max()
        moved = np.abs(want - read(folder, "initial")).max()
        ok = off < TOLERANCE and moved > 0.01
        failed += not ok
        print(
            f"{case['strategy']:10} hidden {case['hidden']} {case['local']}: "
            f"off by {off:.1e} {'ok' if ok else 'DIFFERS'}"
        )
    return 1 if failed or not folders else 0


if __name__ == "__main__":
    sys.exit(main())

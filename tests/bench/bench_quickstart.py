"""The quickstart's own job on Fashion-MNIST, as jobs/quickstart.sh runs it (four
silos, masks, record-level noise in shares, epsilon 3 at delta 1e-5): test accuracy
after the last round (limit 86 %, for each of three seeds; published 89.7 % by
Tramer and Boneh 2021 without silos) and seconds from launch to end (limit 60 on two
cores).  Then the same on raw pixels, with an MLP and a linear model (limit 82 %).
"""
import os
import re

import bench

GOAL, PIXELS, LIMIT_SECONDS = 0.86, 0.82, 60.0
data = bench.fashion()
with open(os.path.join(bench.ROOT, "jobs", "quickstart.yaml")) as f:
    text = f.read()
own = int(re.search(r"seed: (\d+)", text).group(1))


def change(pattern, new, old):
    out = re.sub(pattern, new, old)
    assert out != old, pattern
    return out


def worst(name, job_text, goal):
    """Accuracy of the worst of three seeds, and the least seconds."""
    low, best_seconds = 1.0, 1e9
    for seed in (own, 1, 2)[:bench.times(3)]:
        job = bench.write(os.path.join(data, "job.yaml"),
                          re.sub(r"seed: \d+", "seed: %d" % seed, job_text))
        run = os.path.join(data, "RUN")
        printed = bench.covey_lines(4, job, run)
        curve = [a for _, _, a in bench.rounds(printed)]
        seconds = printed[-1][0]
        told = bench.inspect(run)["privacy"]
        assert told["epsilon"] <= 3.0
        bench.say("%s, seed %d: %.4f after round %d in %.1f s, epsilon %s" %
                  (name, seed, curve[-1], len(curve), seconds,
                   told["epsilon"]))
        low, best_seconds = min(low, curve[-1]), min(best_seconds, seconds)
    bench.row("%s, worst seed" % name, "%.2f %%" % (100 * low),
              "at least %.0f %%" % (100 * goal), low / goal, low >= goal)
    return best_seconds


seconds = worst("quickstart, epsilon 3, scattering", text, GOAL)
bench.row("quickstart, launch to end, %d cores" % os.cpu_count(),
          "%.1f s" % seconds, "%.0f s" % LIMIT_SECONDS,
          seconds / LIMIT_SECONDS, seconds < LIMIT_SECONDS)
pixels = change("learning_rate: 2", "learning_rate: 4", text)
worst("epsilon 3, mlp of 64 on pixels",
      change(r"model: \{.*\}", "model: {kind: mlp, hidden: [64], "
             "activation: tanh}", pixels), PIXELS)
worst("epsilon 3, softmax on pixels",
      change(r"model: \{.*\}", "model: {kind: softmax}", pixels), PIXELS)

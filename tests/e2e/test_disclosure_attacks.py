"""Jobs by which a lead would learn of one silo, or one row, under masks and with
the limits as they are: every one is refused by the sites. After each refusal its
harmless neighbour runs, so that it is the attack that is refused."""
import os

import numpy as np

from harness import main, mpirun, test, write
from secure_sites import make_sites, silos_text

NAMES = ["a", "b", "c", "d"]
ROWS = 80
HEADER = "x,y,g,h,site,w,v,o,note\n"


def table(rng, k, n=ROWS):
    """Rows as lists of text: g and h categories, site names the silo, w, v
    weights, o an offset, note of no meaning."""
    x, e = rng.normal(size=n).round(6), rng.normal(size=n).round(6)
    g, h = rng.integers(0, 2, n), rng.integers(0, 2, n)
    return [["%r" % x[i], "%r" % round(x[i] + e[i], 6), "uv"[g[i]], "st"[h[i]],
             NAMES[k], "%r" % (1 + 0.01 * i), "%r" % (1 + 0.01 * i), "%r" %
             round(0.1 * x[i], 6), "n%d" % i] for i in range(n)]


class Site:
    def __init__(self, folder, names=NAMES):
        rng = np.random.default_rng(3)
        self.folder, self.names = folder, names
        self.sites = make_sites(folder, names, data=False)
        self.rows = {n: table(rng, k) for k, n in enumerate(names)}
        self.runs = 0
        for n in names:
            self.save(n)

    def save(self, name, file=None):
        write(os.path.join(self.sites, file or name + ".csv"), HEADER +
              "".join(",".join(r) + "\n" for r in self.rows[name]))

    def fit(self, formula, expect=0, names=None, more="", features=""):
        """(messages) of a masked gaussian fit."""
        names = names or self.names
        self.runs += 1
        path = write(os.path.join(self.folder, "job%d.yaml" % self.runs),
                     "covey: 1\nname: fit\nsilos: %s\n"
                     "data: {format: csv%s}\n"
                     "model: {kind: glm, formula: \"%s\"%s}\n"
                     "training: {rounds: 25}\n"
                     "secure_aggregation: {collusion: 1}\n" % (
                         silos_text(names),
                         ", features: [%s]" % features if features else "",
                         formula, more))
        r = mpirun(len(names), "run", path, "--silo-dir", self.sites, "--out",
                   os.path.join(self.folder, "RUN%d" % self.runs), expect=expect)
        return r.messages


CATEGORIES = ("{name: g, type: category, levels: [u, v]}, "
              "{name: h, type: category, levels: [s, t]}")
SITE = "{name: site, type: category, levels: [a, b, c, d]}"


@test
def a_column_that_names_the_site(folder):
    s = Site(folder)
    m = s.fit("y ~ C(site)", 4, features=SITE)
    assert "fewer than 3 silos" in m[0] and "C(site)" in m[0], m
    s.fit("y ~ x")


@test
def a_column_that_one_silo_has(folder):
    s = Site(folder)
    for n in NAMES:
        for r in s.rows[n]:
            r[7] = r[7] if n == "b" else "0"
        s.save(n)
    m = s.fit("y ~ x + o", 4)
    assert "'o'" in m[0] and "fewer than 3 silos" in m[0], m
    s.fit("y ~ x")


@test
def rows_that_one_silo_has(folder):
    s = Site(folder)
    for n in NAMES:
        for r in s.rows[n]:
            r[0] = r[0] if n == "b" else "NA"
        s.save(n)
    write(os.path.join(folder, "drop.yaml"),
          "covey: 1\nname: fit\nsilos: %s\ndata: {format: csv, missing: drop}\n"
          "model: {kind: glm, formula: y ~ x}\ntraining: {rounds: 25}\n"
          "secure_aggregation: {collusion: 1}\n" % silos_text(NAMES))
    m = mpirun(4, "run", os.path.join(folder, "drop.yaml"), "--silo-dir",
               s.sites, "--out", os.path.join(folder, "RUN"), expect=4).messages
    assert "fewer than 3 silos" in m[0], m


@test
def a_cell_of_two_categories(folder):
    s = Site(folder)
    for r in s.rows["a"]:  # one row alone in the reference cell
        if r[2] == "u" and r[3] == "s":
            r[3] = "t"
    s.rows["a"][0][2:4] = ["u", "s"]
    s.save("a")
    m = s.fit("y ~ C(g)*C(h)", 4, features=CATEGORIES)
    assert "silo a" in m[0] and "min_cell" in m[0], m
    s.fit("y ~ C(g) + C(h)", features=CATEGORIES)


@test
def a_weight_or_offset_that_one_row_has(folder):
    s = Site(folder)
    for n in NAMES:
        for r in s.rows[n]:
            r[5], r[7] = "1", "0"
    s.rows["a"][6][5], s.rows["a"][6][7] = "0", "1"
    for n in NAMES:
        s.save(n)
    m = s.fit("y ~ x + offset(o)", 4)
    assert "silo a" in m[0], m
    s.fit("y ~ x")
    m = s.fit("y ~ x", 4, more=", weights: w")
    assert "silo a" in m[0], m


@test
def weights_that_differ_in_one_row(folder):
    s = Site(folder)
    s.rows["a"][6][6] = "7.5"
    s.save("a")
    s.fit("y ~ x", more=", weights: w")
    m = s.fit("y ~ x", 4, more=", weights: v")
    assert "silo a" in m[0] and "earlier fit" in m[0], m
    s.fit("y ~ x")  # without any: all rows differ


@test
def a_row_less_among_rows_that_were_edited(folder):
    s = Site(folder)
    s.fit("y ~ x")
    del s.rows["a"][6]
    for r in s.rows["a"][:6]:
        r[8] = "edited"
    s.save("a")
    m = s.fit("y ~ x", 4)
    assert "silo a" in m[0] and "earlier fit" in m[0], m


@test
def other_partners_after_a_new_export(folder):
    """Another file name, another order of rows: the rows are the same."""
    s = Site(folder)
    s.fit("y ~ x")
    for n in NAMES:
        s.rows[n].reverse()
        s.save(n, n + "-new.csv")
        path = os.path.join(s.sites, n + ".yaml")
        with open(path) as f:
            text = f.read()
        write(path, text.replace("data: %s.csv" % n, "data: %s-new.csv" % n))
    m = s.fit("y ~ x", 4, names=NAMES[:3])
    assert "other partners" in m[0], m
    s.fit("y ~ x + o")


@test
def bounds_do_not_aim(folder):
    s = Site(folder)
    m = s.fit("y ~ x", 2, features="{name: x, bounds: [0.5, 0.500001]}")
    assert "bounds are used only with privacy" in m[0], m


@test
def a_lead_cannot_use_up_rows(folder):
    """What a fit that another site refuses would have used is not noted."""
    s = Site(folder)
    kept = s.rows["d"]
    s.rows["d"] = kept[:5]
    s.save("d")
    assert "silo d" in s.fit("y ~ x", 4)[0]
    s.rows["d"] = kept
    s.save("d")
    del s.rows["a"][3]
    s.save("a")
    s.fit("y ~ x")


if __name__ == "__main__":
    main()

"""The sum is the only thing that leaves a silo: everything that four ranks send
one another is recorded (tap.py) and searched for what it must not hold.  Each
search is also made where it has to find something: in the same job without
masks, or without secure_aggregation."""
import math
import os
import re

import numpy as np

import tap
from harness import blobs, command, inspect, main, parameters, test, write_csv
from secure_sites import make_sites, secret_of, secure_job

NAMES = ("a", "b", "c", "d")
P32, P61 = 2**32 - 5, 2**61 - 1
CLIP = 16.0
RANKS = range(len(NAMES))
NUMBERS = 4 * 12  # words at the end of a round's vector: weights, loss, rows
PLAIN = "{enabled: false, clip: %g}" % CLIP
MASKED = "{collusion: 1, clip: %g}" % CLIP


class Run:
    """A recorded run: calls of every rank, and what it left."""

    def __init__(self, folder, name, job, sites):
        self.out, self.record = (os.path.join(folder, name + suffix)
                                 for suffix in ("", ".rec"))
        lib = os.path.join(folder, "mpi_tap.so")
        if not os.path.exists(lib):
            tap.library(folder)
        r = command(tap.tapped_args(len(NAMES), lib, "run", job, "--silo-dir",
                                    sites, "--out", self.out, "-v",
                                    record=self.record), env=tap.FAST)
        self.screen = r.out + r.err
        self.calls = [tap.read(self.record, k) for k in RANKS]
        for calls in self.calls:
            assert calls[-1].name == "Finalize"
            assert all(c.ranks == len(NAMES) for c in calls[:-1])

    def sent(self, rank):
        """Everything, with a gap between calls so that nothing is found that
        was not sent in one piece."""
        return b"\xa5\x5a\xa5".join(c.data for c in self.calls[rank])

    def words(self, rank, round=1, size=4, step=1):
        """The field's words of one sum; without masks there is no label, and
        the sums are the reductions that are not in place."""
        calls = self.calls[rank]
        found = [c for c in calls if c.label == "words" and c.round == round and
                 c.step == step]
        if not found:
            sums, last = [], 0
            for c in calls:
                if c.name == "Allreduce" and not c.in_line and c.bytes > 64:
                    if not last:
                        sums.append([])
                    sums[-1].append(c)
                last = c.bytes >= 1 << 20
            found = sums[round - 1]
        data = b"".join(c.data for c in found)
        return np.frombuffer(data, "<u%d" % size)

    def digest(self):
        return inspect(self.out)["model"]["digest"]


# ---- searching --------------------------------------------------------------------


def holds_near(data, values, kind, near):
    """Do four neighbours of `values` stand anywhere in these bytes, as numbers of
    this kind? near(array, value) -> which of them are close to it."""
    size = np.dtype(kind).itemsize
    for shift in range(size):
        n = (len(data) - shift) // size
        if n < 4:
            continue
        a = np.frombuffer(data, kind, n, shift)
        with np.errstate(all="ignore"):
            hit = [near(a, v) for v in values]
        for k in range(len(values) - 3):
            if np.any(hit[k][:-3] & hit[k + 1][1:-2] & hit[k + 2][2:-1] &
                      hit[k + 3][3:]):
                return True
    return False


def close_float(a, v):
    return np.abs(a - a.dtype.type(v)) <= 1e-3 * abs(v)


def close_integer(p, slack):
    """Modulo p, whatever it is stored in."""
    def near(a, v):
        r = (a.astype(np.int64) - int(v)) % p
        return (r <= slack) | (r >= p - slack)
    return near


def windows(data, size=16):
    """All runs of that many bytes that are not nearly constant."""
    a = np.frombuffer(data, np.uint8)
    v = np.lib.stride_tricks.sliding_window_view(a, size)
    s = np.sort(v, axis=1)
    v = v[(np.diff(s, axis=1) != 0).sum(axis=1) >= 5]
    return {row.tobytes() for row in v}


def representations(q):
    """Of integers, and of their negatives: both fields, two's complement, and
    floats."""
    found = []
    for x in (q, -q):
        found += [(x % P32).astype("<u4"), x.astype("<i4"),
                  (x % P32).astype("<u8"), (x % P61).astype("<u8"),
                  x.astype("<i8"), x.astype("<f8"), x.astype("<f4"),
                  (x % P32).astype(">u4"), x.astype(">i8")]
    return [f.tobytes() for f in found]


# ---- what every silo computes -------------------------------------------------------


def softmax_update(w, x, y, rate):
    """local - start of one step over all rows; w (classes, columns + 1)."""
    z = np.hstack([x, np.ones((len(x), 1))]) @ w.T
    e = np.exp(z - z.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    e[np.arange(len(y)), y] -= 1.0
    return -rate * (e.T @ np.hstack([x, np.ones((len(x), 1))])) / len(y)


def flat(w):
    """As the program lays it out: weights, then biases."""
    return np.concatenate([w[:, :-1].ravel(), w[:, -1]])


@test
def no_update_leaves_a_silo(folder):
    """Two rounds of one full step each, from zero; found again in numpy."""
    rows, cols, rate = (90, 61, 150, 43), 40, 0.5
    sites = make_sites(folder, NAMES, rows=rows, cols=cols)
    kw = dict(rounds=2, local="{steps: 1, batch: 200, learning_rate: %g}" %
              rate, data="standardize: none")
    plain = Run(folder, "plain", secure_job(folder, NAMES, secure=PLAIN, **kw),
                sites)
    masked = Run(folder, "masked", secure_job(folder, NAMES, secure=MASKED,
                                              **kw), sites)
    data = [blobs(rows[i], cols=cols, seed=100 + i) for i in RANKS]
    data = [(np.float32(["%.9g" % v for v in x.ravel()]).reshape(x.shape)
             .astype(float), y) for x, y in data]
    grid = CLIP / 2.0**(30 - 2)
    w = np.zeros((3, cols + 1))
    for round in (1, 2):
        update = [softmax_update(w, x, y, rate) for x, y in data]
        for i in RANKS:
            u, local = flat(update[i]), flat(w + update[i])
            assert np.linalg.norm(u) < 0.9 * CLIP
            q = np.rint(u / grid).astype(np.int64)
            slack = 3 + int(1e-6 * np.abs(u).max() / grid)
            words = plain.words(i, round).astype(np.int64)
            off = (words[:len(q)] - q) % P32
            assert np.all((off <= slack) | (off >= P32 - slack)), \
                "numpy and the program do not agree on the update"
            exact = words[:len(q)] - P32 * (words[:len(q)] > P32 // 2)
            runs = set().union(*(windows(r) for r in representations(exact)))
            big = [k for k in range(len(u)) if abs(q[k]) > 1000 * slack]
            assert len(big) > 0.9 * len(u)
            for r in RANKS:
                seen = masked.sent(r)
                assert not (windows(seen) & runs), (round, i, r)
                for v in (u, -u, local, -local, u * CLIP, u / grid):
                    for kind in ("<f4", "<f8"):
                        assert not holds_near(seen, v[big], kind, close_float)
                for v in (q, -q):
                    for kind, p in (("<u4", P32), ("<u8", P32), ("<u8", P61),
                                    ("<i4", 2**32), ("<i8", 2**62)):
                        assert not holds_near(seen, v[big] % p, kind,
                                              close_integer(p, slack))
            # The searches find what is there: the silo's own rank sends it.
            seen = plain.sent(i)
            assert windows(seen) & runs
            assert holds_near(seen, q[big], "<u4", close_integer(P32, slack))
            planted = masked.sent(i) + b"x" + u.astype("<f4").tobytes()[4:24]
            assert holds_near(planted, u, "<f4", close_float)
        w = w + np.mean(update, axis=0)
    assert plain.digest() == masked.digest()
    found = parameters(plain.out)  # biases first: names in order
    assert np.allclose(found, np.concatenate([w[:, -1], w[:, :-1].ravel()]),
                       atol=1e-5)


# ---- masked words are noise -----------------------------------------------------------

DOUBT = 7.0  # standard deviations: 1e-11 a test, some hundred tests


def off_uniform(byte):
    """Chi-square of bytes against the uniform, as standard deviations of a
    normal (Wilson and Hilferty)."""
    seen = np.bincount(byte, minlength=256)
    k, mean = 255.0, len(byte) / 256.0
    x = float(((seen - mean)**2).sum() / mean)
    return ((x / k)**(1 / 3) - (1 - 2 / (9 * k))) / math.sqrt(2 / (9 * k))


def correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum()) *
                 math.sqrt(len(a)))


def bytes_of(words, bits):
    return {"high": (words >> np.uint64(bits - 8)).astype(np.int64) & 255,
            "low": words.astype(np.int64) & 255}


def oddities(words, other, p, bits):
    """What is not as it is of uniform words that have nothing to do with the
    other ones: a list of names, empty if there is nothing."""
    words, other = words.astype(np.uint64), other.astype(np.uint64)
    found = []
    if not np.all(words < p):
        found.append("not below p")
    apart = (words + np.uint64(p) - other) % np.uint64(p)
    for what, v in (("", words), ("difference ", apart)):
        for name, byte in bytes_of(v, bits).items():
            if abs(off_uniform(byte)) > DOUBT:
                found.append(what + name)
    u = words.astype(float)
    for lag in (1, 2, 3, 16):
        if abs(correlation(u[:-lag], u[lag:])) > DOUBT:
            found.append("serial %d" % lag)
    if not apart.any() or abs(correlation(u, other.astype(float))) > DOUBT:
        found.append("repeated")
    return found


def look_at_words(folder, weights, size, p, bits):
    sites = make_sites(folder, NAMES)
    kw = dict(model="{kind: mlp, hidden: [520, 520]}", rounds=2,
              training="  weights: %s\n" % weights,
              local="{steps: 2, batch: 16, learning_rate: 0.1}")
    job = secure_job(folder, NAMES, secure=MASKED, **kw)
    one, two = (Run(folder, "masked%d" % k, job, sites) for k in (1, 2))
    plain = Run(folder, "plain", secure_job(folder, NAMES, secure=PLAIN, **kw),
                sites)
    assert one.digest() == two.digest() == plain.digest()
    for round in (1, 2):
        y = [one.words(r, round, size) for r in RANKS]
        assert all(v.size == y[0].size > 250000 for v in y)
        q = [plain.words(r, round, size) for r in RANKS]
        assert y[0].size == q[0].size
        # Masks cancel: the sum of what is sent is that of the same integers, but
        # for numbers that ride along, whose limbs are shared out anew each time.
        n = len(y[0]) - NUMBERS
        assert np.array_equal(sum(v[:n].astype(object) for v in y) % p,
                              sum(v[:n].astype(object) for v in q) % p)
        for r in RANKS:
            again = two.words(r, round, size)
            assert oddities(y[r], again, p, bits) == [], (round, r)
            next_silo = y[(r + 1) % len(NAMES)]
            assert oddities(y[r], next_silo, p, bits) == [], (round, r)
            assert oddities(y[r], one.words(r, 3 - round, size), p,
                            bits) == [], (round, r)
            # The mask alone as well.
            m = (y[r].astype(np.uint64) + np.uint64(p) -
                 q[r].astype(np.uint64)) % np.uint64(p)
            assert oddities(m, again, p, bits) == []
            bare = oddities(q[r], q[r], p, bits)
            assert {"high", "difference low", "repeated"} <= set(bare), bare


@test
def masked_words_are_uniform(folder):
    look_at_words(folder, "equal", 4, P32, 32)


@test
def masked_wide_words_are_uniform(folder):
    look_at_words(folder, "rows", 8, P61, 61)


@test
def masks_are_new_in_every_step(folder):
    """Of one round and one key agreement: noisy steps of a record-level job."""
    sites = make_sites(folder, NAMES)
    job = secure_job(folder, NAMES, model="{kind: mlp, hidden: [300, 300]}",
                     secure="{collusion: 1}", rounds=1, rest="privacy: {unit: "
                     "record, noise_multiplier: 1.0, clip: 1.0, sampling: 0.2}"
                     "\n", local="{steps: 4, batch: 16, learning_rate: 0.1}")
    run = Run(folder, "private", job, sites)
    for r in RANKS:
        y = [run.words(r, 1, step=k) for k in (1, 2, 3, 4)]
        assert len(y[0]) > 90000
        for k in range(4):
            assert oddities(y[k], y[k - 1], P32, 32) == [], (r, k)


# ---- rows, losses, labels -------------------------------------------------------------

ROWS = (7919, 6521, 9241, 5477)
COLS = 3
LOCAL = "{steps: 1, batch: 10000, learning_rate: 0.1}"


def make_silos(folder):
    """Sites, and their rows and labels."""
    sites = make_sites(folder, NAMES, data=False)
    data = []
    for i, n in enumerate(NAMES):
        x, y = blobs(ROWS[i], cols=COLS, seed=50 + i)
        x += 0.1 * i
        write_csv(os.path.join(sites, n + ".csv"), x, y)
        data.append((x, y))
    return sites, data


def tables(run, rank, columns):
    """Tables of doubles, a row a silo, that a rank fills its own row of and adds
    up with the others' (in a job without secure_aggregation)."""
    return [np.frombuffer(c.data, "<f8").reshape(len(NAMES), columns)
            for c in run.calls[rank] if c.name == "Allreduce" and c.in_line and
            c.size == 8 and c.bytes == 8 * len(NAMES) * columns]


def reports(run):
    """(rows, loss) of the first round, as every rank tells the others."""
    found = [tables(run, r, 6)[0][r] for r in RANKS]
    return [(int(v[2]), float(v[1])) for v in found]


def own_numbers(data, test_rows, told):
    """What a silo may not tell: {what: (number, kinds)}. (Its mean loss at zero
    is ln 3, as anybody knows.)"""
    whole, real, found = ("<i4", "<f4", "<f8"), ("<f4", "<f8"), {}
    for i, n in enumerate(NAMES):
        rows, loss = told[i]
        found[n + ": training rows"] = rows, whole
        found[n + ": loss"] = loss, real
        found[n + ": rows"] = len(data[i][1]), whole
        if test_rows:
            found[n + ": test rows"] = test_rows[i], whole
        for k in range(3):
            found["%s: labels %d" % (n, k)] = int((data[i][1] == k).sum()), \
                whole
    return found


def patterns(numbers, size=0):
    """{what as kind: bytes}; <i8 begins with <i4."""
    return {"%s as %s" % (name, kind): np.array([v]).astype(kind).tobytes()
            for name, (v, kinds) in numbers.items() for kind in kinds
            if size in (0, np.dtype(kind).itemsize)}


def held_by_all(runs, wanted):
    """Which of them stand in the traffic of every one of these runs. Four bytes
    can be there by chance in one, 2^-14 or so; not in three."""
    for run in runs:
        wanted = {k: v for k, v in wanted.items()
                  if any(v in run.sent(r) for r in RANKS)}
    return set(wanted)


def row_runs(data):
    """Bytes of four values next to each other, and of 24 labels among which all
    are common, wherever rows stand in the order of the file."""
    found = set()
    for x, y in data:
        for kind, n in (("<f4", 4), ("<f8", 3)):
            size = np.dtype(kind).itemsize
            text = x.astype(kind).tobytes()
            found |= {text[k:k + n * size]
                      for k in range(0, len(text) - n * size, size)}
        for k in range(len(y) - 24):
            if np.bincount(y[k:k + 24], minlength=3).min() >= 4:
                found |= {y[k:k + 24].astype(kind).tobytes()
                          for kind in ("u1", "<i4", "<f4", "<f8")}
    return found


def holds_rows(seen, runs):
    return any(seen[k:k + size] in runs for size in {len(v) for v in runs}
               for k in range(len(seen) - size + 1))


def holds_moments(seen, data):
    """Sums, means and other moments of a silo's columns, as doubles?"""
    v = np.concatenate([f(x, axis=0) for x, _ in data for f in (
        np.sum, np.mean, np.std, np.var, np.min, np.max)] +
        [(x * x).sum(axis=0) for x, _ in data])
    for shift in range(8):
        a = np.frombuffer(seen, "<f8", (len(seen) - shift) // 8, shift)
        with np.errstate(all="ignore"):
            if any(np.any(np.abs(a - k) <= 1e-10 * abs(k)) for k in v):
                return True
    return False


def files_of(run):
    yield "screen", run.screen.encode()
    for base, _, files in os.walk(run.out):
        for f in files:
            with open(os.path.join(base, f), "rb") as h:
                yield os.path.join(base, f), h.read()


def nothing_of_the_rows(runs, data, numbers):
    """In these runs: traffic, run folder, screen."""
    held = held_by_all(runs, patterns(numbers))
    assert not held, held
    known = row_runs(data)
    for run in runs:
        for r in RANKS:
            seen = run.sent(r)
            assert not holds_rows(seen, known)
            assert not holds_moments(seen, data)
        for path, text in files_of(run):
            for name, v in patterns(numbers, 8).items():
                assert v not in text, (path, name)
            for name, (v, kinds) in numbers.items():
                shown = b"%d" % v if "<i4" in kinds else b"%.6g" % v
                assert path.endswith(".h5") or not re.search(
                    rb"(?<![0-9a-f.])%s(?![0-9a-f])" % shown, text), \
                    (path, name)
    x, y = data[2]
    for planted in (x[100:103].astype("<f4"), y[50:150].astype("u1"),
                    y[50:150].astype("<f4")):
        assert holds_rows(b"some" + planted.tobytes() + b"more", known)
    assert holds_moments(b"some" + x.sum(axis=0).tobytes() + b"more", data)


@test
def rows_and_losses_stay_where_they_are(folder):
    sites, data = make_silos(folder)
    kw = dict(rounds=2, local=LOCAL, training="  weights: rows\n",
              data="standardize: pooled, test_fraction: 0.2")
    plain = Run(folder, "plain", secure_job(folder, NAMES, secure="", **kw),
                sites)
    counts = [[int(v) for v in tables(plain, r, 2)[0][r]] for r in RANKS]
    told = reports(plain)
    for r in RANKS:
        assert sum(counts[r]) == ROWS[r] and counts[r][0] == told[r][0]
        assert abs(told[r][1] / told[r][0] - math.log(3)) < 1e-6  # from zero
    numbers = own_numbers(data, [c[1] for c in counts], told)
    held = held_by_all([plain], patterns(numbers))
    for n in NAMES:
        assert {n + ": training rows as <f8", n + ": test rows as <f8",
                n + ": loss as <f8"} <= held
    job = secure_job(folder, NAMES, secure=MASKED, **kw)
    runs = [Run(folder, "masked%d" % k, job, sites) for k in range(3)]
    nothing_of_the_rows(runs, data, numbers)
    # The same numbers are in the sums: without masks they are seen there.
    bare = Run(folder, "bare", secure_job(folder, NAMES, secure=PLAIN, **kw),
               sites)
    for r in RANKS:  # two sums before were pooled moments
        assert told[r][0] in bare.words(r, 3, 8)[-NUMBERS:]
    for run in runs:
        assert run.digest() == bare.digest()
        assert [h["test_accuracy"] for h in inspect(run.out)["history"]] == \
            [h["test_accuracy"] for h in inspect(bare.out)["history"]]
    no_secrets(runs, sites)


@test
def under_privacy_nothing_depends_on_rows(folder):
    sites, data = make_silos(folder)
    kw = dict(local=LOCAL, data="standardize: none")
    plain = Run(folder, "plain", secure_job(
        folder, NAMES, secure="", training="  weights: rows\n", **kw), sites)
    told = reports(plain)
    assert [rows for rows, _ in told] == list(ROWS)
    job = secure_job(folder, NAMES, secure="{collusion: 1}", rest="privacy: "
                     "{unit: silo, noise_multiplier: 2.0, clip: 1.0}\n", **kw)
    runs = [Run(folder, "private%d" % k, job, sites) for k in range(3)]
    nothing_of_the_rows(runs, data, own_numbers(data, None, told))
    for run in runs:
        for h in inspect(run.out)["history"]:
            for key, value in h.items():
                if "loss" in key or "seconds" in key:
                    assert value is None or not math.isfinite(value), (key, h)
    # Noise is drawn anew: three runs, three models.
    assert len({run.digest() for run in runs}) == 3
    no_secrets(runs, sites)


# ---- secrets ---------------------------------------------------------------------------


def no_secrets(runs, sites):
    """Identity keys and the silos' secrets, as bytes or in hexadecimal, are in no
    message, no file but their own, and not on the screen."""
    secrets = {}
    for n in NAMES:
        own = os.path.join(sites, "state-" + n, "silo-%s.secret" % n)
        assert os.stat(own).st_mode & 0o777 == 0o600
        with open(own, "rb") as f:
            secrets[own] = f.read()
        assert len(secrets[own]) == 32
        secrets["key of " + n] = secret_of(n)
    assert len(set(secrets.values())) == 2 * len(NAMES)
    places = []
    for run in runs:
        places += [("rank %d" % r, run.sent(r)) for r in RANKS]
        places += list(files_of(run))
    for base, _, files in os.walk(sites):
        for f in files:
            path = os.path.join(base, f)
            assert not f.startswith("core") and ".tmp" not in f, path
            with open(path, "rb") as h:
                places.append((path, h.read()))
    for who, secret in secrets.items():
        found = [p for p, text in places
                 if secret[:16] in text or secret[16:] in text or
                 secret.hex().encode() in text.lower() or
                 secret[::-1] in text]
        assert found == ([who] if who.endswith(".secret") else []), (who, found)


if __name__ == "__main__":
    main()

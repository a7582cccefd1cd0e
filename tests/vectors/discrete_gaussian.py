#!/usr/bin/env python3
"""Masses and distances of the discrete Gaussian at 90 digits, computed without
any of Covey's code.  Run in tests/vectors; writes two files.

discrete_gaussian_mass.csv, for a variance num/den: mass[m] is 2^127 P(|X| = m)
rounded to the nearest integer for m >= 1, mass[0] is 2^127 minus the others;
top is the last m whose mass is not 0; digest is the SHA-256 of mass[0..top],
each as 16 bytes, little-endian; tail is P(|X| > top); distance is half the sum
of |mass[m] / 2^127 - P(|X| = m)|; then some masses in hexadecimal.

discrete_gaussian_sum.csv, for a variance num/den and a multiplier k: the
statistical distance between X + k Y and the discrete Gaussian of that
variance, X and Y independent and exact, of variance num/den / (1 + k^2), and
the largest relative deviation of a probability.
"""
import hashlib
from decimal import Decimal, getcontext

getcontext().prec = 90

VARIANCES = [(1, 16), (1, 2), (3, 1), (16, 1), (10007, 101), (65536, 1),
             (1 << 20, 1), (729000000, 12101)]
SUMS = [(25, 1), (144, 1), (484, 1), (1400, 1)]


def rho(num, den, least):
    """exp(-m^2 / (2 v)), m = 0, 1, .. until it is below least."""
    scale = -Decimal(den) / (2 * Decimal(num))
    values = [Decimal(1)]
    while values[-1] > least:
        values.append((scale * len(values) ** 2).exp())
    return values


def mass_row(num, den):
    weight = rho(num, den, Decimal(10) ** -70)
    z = 1 + 2 * sum(weight[1:])
    unit = Decimal(2) ** 127
    exact = [1 / z] + [2 * value / z for value in weight[1:]]
    mass = [0]
    for value in exact[1:]:
        mass.append(int(value * unit + Decimal("0.5")))
        # 90 digits decide the rounding
        assert abs(value * unit % 1 - Decimal("0.5")) > Decimal(10) ** -10
    top = max(m for m in range(len(mass)) if mass[m] or m == 0)
    mass = mass[:top + 1]
    mass[0] = (1 << 127) - sum(mass)
    tail = sum(exact[top + 1:])
    distance = (tail + sum(abs(m / unit - p) for m, p in zip(mass, exact))) / 2
    digest = hashlib.sha256(
        b"".join(m.to_bytes(16, "little") for m in mass)).hexdigest()
    some = [mass[0], mass[min(1, top)], mass[top // 2], mass[top]]
    return [num, den, top, digest, "%.12e" % tail, "%.12e" % distance] + \
        ["%x" % m for m in some]


def multiplier(num, den):
    """The largest k with sigma / (1 + k^2) >= 2.2."""
    k = 1
    while (Decimal(num) / den).sqrt() / (1 + (k + 1) ** 2) >= Decimal("2.2"):
        k += 1
    return k


def sum_row(num, den):
    k = multiplier(num, den)
    least = Decimal(10) ** -80
    target = rho(num, den, least)
    part = rho(num, den * (1 + k * k), least)
    z_target = 1 + 2 * sum(target[1:])
    z_part = 1 + 2 * sum(part[1:])
    n = len(part) - 1
    distance = Decimal(0)
    worst = Decimal(0)
    for w in range(len(target)):
        p = Decimal(0)
        for y in range(-n, n + 1):
            x = w - k * y
            if abs(x) <= n:
                p += part[abs(x)] * part[abs(y)]
        p /= z_part ** 2
        q = target[w] / z_target
        distance += abs(p - q) * (1 if w == 0 else 2)
        if q > Decimal(10) ** -30:  # where the cut of part does not show
            worst = max(worst, abs(p / q - 1))
    return [num, den, k, "%.12e" % (distance / 2), "%.12e" % worst]


with open("discrete_gaussian_mass.csv", "w") as out:
    print("num,den,top,digest,tail,distance,mass_0,mass_1,mass_half_top,"
          "mass_top", file=out)
    for v in VARIANCES:
        print(*mass_row(*v), sep=",", file=out)
with open("discrete_gaussian_sum.csv", "w") as out:
    print("num,den,k,distance,largest_ratio_minus_1", file=out)
    for v in SUMS:
        print(*sum_row(*v), sep=",", file=out)

"""Makes rewards.csv: pools shared out in Python's integers.

    python3 tests/vectors/rewards.py > tests/vectors/rewards.csv

A row: n, pool, cap in millionths, n numbers of the silos, n amounts."""
import random
from fractions import Fraction


def split(pool, basis, cap_ppm):
    """In proportion, at most the cap; what a cap takes goes to the others, again
    and again; then a unit each to the largest remainders, first silo first."""
    cap, n = pool * cap_ppm // 1000000, len(basis)
    fixed = {}
    while True:
        weight = sum(b for i, b in enumerate(basis) if i not in fixed)
        left = pool - sum(fixed.values())
        share = {i: Fraction(left * b, weight) for i, b in enumerate(basis)
                 if i not in fixed and b}
        over = [i for i, s in share.items() if s // 1 > cap]
        if not over:
            break
        fixed.update({i: cap for i in over})
    amount = [fixed.get(i, int(share.get(i, 0) // 1)) for i in range(n)]
    rest = pool - sum(amount)
    for i in sorted(share, key=lambda i: (-(share[i] % 1), i)):
        if rest and share[i] % 1 and amount[i] < cap:
            amount[i] += 1
            rest -= 1
    return amount


def main():
    g = random.Random(20240)
    print("# n, pool, cap in millionths, numbers, amounts: by rewards.py")
    for _ in range(120):
        n = g.randint(1, 8)
        pool = g.choice((g.randint(1, 50), g.randint(1, 10**6),
                         g.randint(1, 10**9) * 10**18, 2**200 - g.randint(0, 99)))
        top = 2**62 // n if pool < 2**190 else 2**40
        basis = [g.choice((0, 1, g.randint(1, 9), g.randint(1, 1000),
                           g.randint(1, top))) for _ in range(n)]
        basis[g.randrange(n)] = g.randint(1, 9)
        cap = g.choice((1000000, 1000000, 500000, 333333, 250000,
                        g.randint(1, 1000000)))
        print(",".join(map(str, [n, pool, cap] + basis + split(pool, basis, cap))))


if __name__ == "__main__":
    main()

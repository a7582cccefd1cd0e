#!/usr/bin/env python3
"""Writes u256_vectors.h: what Python's integers say about 256-bit ones.

    python3 tests/chain/make_u256_vectors.py >tests/chain/u256_vectors.h
"""
import random

MAX = 2**256 - 1
draw = random.Random(1)


def quoted(text):
    """In pieces that fit a line."""
    pieces = [text[i:i + 66] for i in range(0, len(text), 66)]
    return "\n     ".join('"%s"' % p for p in pieces)


def word(v):
    return quoted("%064x" % v) if 0 <= v <= MAX else "NULL"


def units(v, decimals):
    """The shortest text of v / 10^decimals."""
    whole, rest = divmod(v, 10**decimals)
    text = "%0*d" % (decimals, rest) if decimals else ""
    text = text.rstrip("0")
    return "%d.%s" % (whole, text) if text else str(whole)


def some(bits):
    return draw.getrandbits(draw.randint(1, bits))


edges = [0, 1, 255, 256, 2**64 - 1, 2**64, 2**128 - 1, 2**255, MAX - 1, MAX]
pairs = [(a, b) for a in edges for b in (1, 2**64, MAX)]
pairs += [(some(256), some(256)) for _ in range(12)]
factors = [0, 1, 10, 2**64 - 1]

print("""/** Made by make_u256_vectors.py from Python's integers. */
#ifndef COVEY_TESTS_U256_VECTORS_H
#define COVEY_TESTS_U256_VECTORS_H

#include <stdint.h>

/* clang-format off */
/* NULL: not in [0, 2^256) */
static const struct {
    const char *a, *b, *sum, *difference;
} sums[] = {""")
for a, b in pairs:
    print("    {%s,\n     %s,\n     %s,\n     %s}," %
          (word(a), word(b), word(a + b), word(a - b)))
print("""};

static const struct {
    const char *a;
    uint64_t m;
    const char *product, *quotient; /* by m, if that is not 0 */
    uint64_t rest;
} products[] = {""")
for a, m in [(a, m) for a in edges for m in factors] + [
        (some(256), some(64)) for _ in range(12)]:
    q, r = divmod(a, m) if m else (-1, 0)
    print("    {%s,\n     UINT64_C(%d),\n     %s,\n     %s,\n     UINT64_C(%d)}," %
          (word(a), m, word(a * m), word(q), r))
print("""};

static const struct {
    const char *a;
    int decimals;
    const char *quantity, *text;
} texts[] = {""")
for a, d in [(a, d) for a in edges + [10**18, 10**77, 5 * 10**17]
             for d in (0, 18, 77)] + [
        (some(256), draw.randint(0, 77)) for _ in range(12)]:
    print("    {%s, %d,\n     %s,\n     %s}," %
          (word(a), d, quoted("%#x" % a), quoted(units(a, d))))
print("""};
/* clang-format on */

#endif""")

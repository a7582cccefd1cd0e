#include "privacy/limbs.h"

#include <math.h>
#include <string.h>

#include "core/err.h"

enum { UNIT = -126, TOP = 104 };
#define MASK ((UINT64_C(1) << CV_LIMB_BITS) - 1)

/* Two's complement. */
static void negate(uint64_t limb[CV_LIMBS])
{
    uint64_t carry = 1;
    for (int k = 0; k < CV_LIMBS; k++) {
        uint64_t t = (~limb[k] & MASK) + carry;
        limb[k] = t & MASK;
        carry = t >> CV_LIMB_BITS;
    }
}

void cv_limbs_add(uint64_t acc[CV_LIMBS], const uint64_t x[CV_LIMBS])
{
    uint64_t carry = 0;
    for (int k = 0; k < CV_LIMBS; k++) {
        uint64_t t = acc[k] + x[k] + carry;
        acc[k] = t & MASK;
        carry = t >> CV_LIMB_BITS;
    }
}

void cv_limbs_sub(uint64_t acc[CV_LIMBS], const uint64_t x[CV_LIMBS])
{
    uint64_t minus[CV_LIMBS];
    memcpy(minus, x, sizeof minus);
    negate(minus);
    cv_limbs_add(acc, minus);
}

int cv_limbs_put(uint64_t out[CV_LIMBS], double v)
{
    int e;
    memset(out, 0, CV_LIMBS * sizeof *out);
    if (!isfinite(v) || fabs(v) >= ldexp(1.0, TOP))
        return CV_ERR_NUMERIC;
    double m = frexp(fabs(v), &e); /* |v| = m 2^e, m in [1/2, 1) */
    int shift = e - 53 - UNIT;
    /* Less than a unit is left of the last bits: round them off. */
    uint64_t whole = (uint64_t)rint(ldexp(m, shift < 0 ? 53 + shift : 53));
    if (shift < 0)
        shift = 0;
    for (int k = shift / CV_LIMB_BITS, at = shift % CV_LIMB_BITS;
         whole && k < CV_LIMBS; k++, at = 0) {
        out[k] = (whole << at) & MASK;
        whole >>= CV_LIMB_BITS - at;
    }
    if (v < 0.0)
        negate(out);
    return 0;
}

double cv_limbs_get(const uint64_t in[CV_LIMBS])
{
    uint64_t limb[CV_LIMBS], carry = 0, sticky = 0;
    for (int k = 0; k < CV_LIMBS; k++) {
        uint64_t t = in[k] + carry;
        limb[k] = t & MASK;
        carry = t >> CV_LIMB_BITS;
    }
    int negative = (int)(limb[CV_LIMBS - 1] >> (CV_LIMB_BITS - 1)), top;
    if (negative)
        negate(limb);
    for (top = CV_LIMBS - 1; top > 0 && !limb[top]; top--)
        ;
    /* Five limbs hold 105 bits, the first of them in the topmost one: enough
     * for a double, and the rest only says on which side of a tie. */
    int low = top >= 4 ? top - 4 : 0;
    unsigned __int128 head = 0;
    for (int k = top; k >= low; k--)
        head = (head << CV_LIMB_BITS) | limb[k];
    for (int k = 0; k < low; k++)
        sticky |= limb[k];
    head = (head << 1) | (sticky != 0);
    double v = ldexp((double)head, low * CV_LIMB_BITS - 1 + UNIT);
    return negative ? -v : v;
}

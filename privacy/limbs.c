#include "privacy/limbs.h"

#include <math.h>
#include <string.h>

#include "core/err.h"
#include "privacy/field.h"

#define LIMB ((INT64_C(1) << CV_LIMB_BITS) - 1)

/* Centred words are below 2^60, their sum with weights 2^(21 k) below 2^166:
 * nine digits of 21 bits and a sign. */
enum { DIGITS = 9 };

static int cut(int64_t limb[CV_LIMBS], double v, int exponent)
{
    CV_CHECK(exponent >= -900 && exponent <= 800);
    memset(limb, 0, CV_LIMBS * sizeof *limb);
    /* Exact, or an infinity, or so small that it rounds to 0. */
    double q = nearbyint(ldexp(v, -exponent));
    if (!(fabs(q) < 0x1p125)) /* also NaN */
        return CV_ERR_NUMERIC;
    __int128 rest = (__int128)q;
    for (int k = 0; k < CV_LIMBS - 1; k++) {
        limb[k] = (int64_t)(rest & LIMB);
        rest >>= CV_LIMB_BITS;
    }
    limb[CV_LIMBS - 1] = (int64_t)rest;
    return 0;
}

int cv_limbs_put32(uint32_t out[CV_LIMBS], double v, int exponent)
{
    int64_t limb[CV_LIMBS];
    int rc = cut(limb, v, exponent);
    for (int k = 0; k < CV_LIMBS; k++)
        out[k] = (uint32_t)(limb[k] < 0 ? limb[k] + (int64_t)CV_P32 : limb[k]);
    return rc;
}

int cv_limbs_put64(uint64_t out[CV_LIMBS], double v, int exponent)
{
    int64_t limb[CV_LIMBS];
    int rc = cut(limb, v, exponent);
    for (int k = 0; k < CV_LIMBS; k++)
        out[k] = (uint64_t)(limb[k] < 0 ? limb[k] + (int64_t)CV_P61 : limb[k]);
    return rc;
}

/* Digits in [0, 2^21) of |sum|; returns 1 if the sum is negative. */
static int magnitude(int64_t digit[DIGITS], const int64_t sum[CV_LIMBS])
{
    int64_t carry = 0;
    for (int k = 0; k < DIGITS; k++) {
        int64_t t = carry + (k < CV_LIMBS ? sum[k] : 0);
        digit[k] = t & LIMB;
        carry = t >> CV_LIMB_BITS; /* rounds down */
    }
    if (!carry)
        return 0;
    carry = 1; /* two's complement */
    for (int k = 0; k < DIGITS; k++) {
        int64_t t = carry + (digit[k] ^ LIMB);
        digit[k] = t & LIMB;
        carry = t >> CV_LIMB_BITS;
    }
    return 1;
}

/* The four highest digits hold 64 bits or more; whether anything is left below
 * them goes into their last bit, which decides ties and nothing else. */
static double put_together(const int64_t sum[CV_LIMBS], int exponent)
{
    int64_t digit[DIGITS];
    int negative = magnitude(digit, sum), low = DIGITS - 4;
    while (low > 0 && !digit[low + 3])
        low--;
    unsigned __int128 top = 0;
    for (int k = low + 3; k >= low; k--)
        top = top << CV_LIMB_BITS | (unsigned __int128)digit[k];
    for (int k = 0; k < low; k++)
        top |= digit[k] != 0;
    double v = ldexp((double)top, low * CV_LIMB_BITS + exponent);
    return negative ? -v : v;
}

double cv_limbs_get32(const uint32_t in[CV_LIMBS], int exponent)
{
    int64_t sum[CV_LIMBS];
    for (int k = 0; k < CV_LIMBS; k++)
        sum[k] = cv_f32_centre(in[k]);
    return put_together(sum, exponent);
}

double cv_limbs_get64(const uint64_t in[CV_LIMBS], int exponent)
{
    int64_t sum[CV_LIMBS];
    for (int k = 0; k < CV_LIMBS; k++)
        sum[k] = cv_f61_centre(in[k]);
    return put_together(sum, exponent);
}

#include "chain/u256.h"

#include <string.h>

#include "core/bytes.h"
#include "core/err.h"

typedef unsigned __int128 u128;

cv_u256 cv_u256_of(uint64_t v)
{
    cv_u256 out = {{0}};
    for (int i = 31; i >= 24; i--, v >>= 8)
        out.b[i] = (uint8_t)v;
    return out;
}

int cv_u256_to_u64(uint64_t *out, const cv_u256 *v)
{
    uint64_t low = 0;
    for (int i = 0; i < 24; i++)
        if (v->b[i])
            return -1;
    for (int i = 24; i < 32; i++)
        low = low << 8 | v->b[i];
    *out = low;
    return 0;
}

int cv_u256_is_zero(const cv_u256 *v)
{
    static const cv_u256 zero;
    return memcmp(v, &zero, sizeof zero) == 0;
}

int cv_u256_cmp(const cv_u256 *a, const cv_u256 *b)
{
    return memcmp(a->b, b->b, sizeof a->b);
}

int cv_u256_add(cv_u256 *out, const cv_u256 *a, const cv_u256 *b)
{
    cv_u256 sum;
    unsigned carry = 0;
    for (int i = 31; i >= 0; i--) {
        carry += (unsigned)a->b[i] + b->b[i];
        sum.b[i] = (uint8_t)carry;
        carry >>= 8;
    }
    if (carry)
        return -1;
    *out = sum;
    return 0;
}

int cv_u256_sub(cv_u256 *out, const cv_u256 *a, const cv_u256 *b)
{
    cv_u256 rest;
    unsigned borrow = 0;
    for (int i = 31; i >= 0; i--) {
        unsigned d = 256u + a->b[i] - b->b[i] - borrow;
        rest.b[i] = (uint8_t)d;
        borrow = d < 256;
    }
    if (borrow)
        return -1;
    *out = rest;
    return 0;
}

int cv_u256_mul(cv_u256 *out, const cv_u256 *a, uint64_t m)
{
    cv_u256 product;
    u128 carry = 0; /* stays below 2^64 between the bytes */
    for (int i = 31; i >= 0; i--) {
        carry += (u128)a->b[i] * m;
        product.b[i] = (uint8_t)carry;
        carry >>= 8;
    }
    if (carry)
        return -1;
    *out = product;
    return 0;
}

uint64_t cv_u256_div(cv_u256 *out, const cv_u256 *a, uint64_t d)
{
    CV_CHECK(d > 0);
    u128 rest = 0;
    for (int i = 0; i < 32; i++) {
        rest = rest << 8 | a->b[i];
        out->b[i] = (uint8_t)(rest / d); /* below 256, for rest was below d */
        rest %= d;
    }
    return (uint64_t)rest;
}

int cv_u256_from_quantity(cv_u256 *out, const char *text)
{
    if (text[0] != '0' || text[1] != 'x')
        return -1;
    const char *digits = text + 2;
    size_t n = strnlen(digits, 65);
    if (n == 0 || n > 64 || (n > 1 && digits[0] == '0'))
        return -1;
    /* cv_unhex wants whole bytes and would pass over a second 0x. */
    char padded[67] = "0x";
    memset(padded + 2, '0', 64 - n);
    memcpy(padded + 66 - n, digits, n + 1);
    cv_u256 v;
    if (cv_unhex(v.b, padded, sizeof v.b) != 0)
        return -1;
    *out = v;
    return 0;
}

void cv_u256_quantity(char out[CV_QUANTITY_TEXT], const cv_u256 *v)
{
    char hex[65];
    cv_hex(hex, v->b, sizeof v->b);
    size_t skip = strspn(hex, "0");
    if (skip == 64)
        skip = 63;
    memcpy(out, "0x", 2);
    memcpy(out + 2, hex + skip, 65 - skip);
}

/* v = 10 v + digit. Returns 0 or -1. */
static int append_digit(cv_u256 *v, char digit)
{
    cv_u256 d = cv_u256_of((uint64_t)(digit - '0'));
    return cv_u256_mul(v, v, 10) || cv_u256_add(v, v, &d) ? -1 : 0;
}

int cv_u256_from_units(cv_u256 *out, const char *text, int decimals,
                       cv_err *err)
{
    CV_CHECK(decimals >= 0 && decimals <= 77);
    static const char digits[] = "0123456789";
    size_t whole = strspn(text, digits), fraction = 0;
    const char *point = text + whole, *end = point;
    if (*point == '.') {
        fraction = strspn(point + 1, digits);
        end = point + 1 + fraction;
    }
    if (*end || !whole || (*point && !fraction))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected an amount in digits, like 1000 or 0.25, "
                          "found \"%.60s\"",
                          text);
    if (fraction > (size_t)decimals)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected an amount with at most %d decimals, for "
                          "the token has no more, found %zu in \"%.60s\"",
                          decimals, fraction, text);
    cv_u256 v = {{0}};
    int too_large = 0;
    for (const char *s = text; s < end; s++)
        if (s != point)
            too_large |= append_digit(&v, *s);
    for (size_t i = fraction; i < (size_t)decimals; i++)
        too_large |= append_digit(&v, '0');
    if (too_large)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected an amount below 2^256 in the token's "
                          "smallest unit (%d decimals), found \"%.60s\"",
                          decimals, text);
    *out = v;
    return 0;
}

void cv_u256_units(char out[CV_UNITS_TEXT], const cv_u256 *v, int decimals)
{
    CV_CHECK(decimals >= 0 && decimals <= 77);
    char reverse[80]; /* 2^256 has 78 digits */
    cv_u256 rest = *v;
    int n = 0, at = 0, zeros = 0;
    while (n <= decimals || !cv_u256_is_zero(&rest))
        reverse[n++] = (char)('0' + cv_u256_div(&rest, &rest, 10));
    while (zeros < decimals && reverse[zeros] == '0')
        zeros++;
    for (int i = n - 1; i >= zeros; i--) {
        if (i == decimals - 1)
            out[at++] = '.';
        out[at++] = reverse[i];
    }
    out[at] = '\0';
}

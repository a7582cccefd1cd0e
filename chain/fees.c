#include "chain/fees.h"

static cv_u256 larger(const cv_u256 *a, const cv_u256 *b)
{
    return cv_u256_cmp(a, b) >= 0 ? *a : *b;
}

/* An eighth more, rounded up. Returns 0, or -1 if that is 2^256 or more. */
static int bumped(cv_u256 *out, const cv_u256 *v)
{
    cv_u256 eighth, one = cv_u256_of(1);
    if (cv_u256_div(&eighth, v, 8) != 0)
        cv_u256_add(&eighth, &eighth, &one); /* at most 2^253: fits */
    return cv_u256_add(out, v, &eighth);
}

int cv_fees_choose(cv_fees *out, const cv_network *net, const cv_u256 *base_fee,
                   const cv_u256 *advice, const cv_fees *before)
{
    cv_u256 floor = cv_u256_of(net->tip_floor), cap = cv_u256_of(net->tip_cap);
    cv_u256 limit = cv_u256_of(net->fee_cap), least_tip, least_fee;
    cv_fees fees;
    fees.tip = cv_u256_cmp(advice, &cap) > 0 ? cap : *advice;
    fees.tip = larger(&fees.tip, &floor);
    /* A replacement may have to offer more than the tip cap: nodes take no
     * smaller step, and the fee cap still holds. */
    if (before) {
        if (bumped(&least_tip, &before->tip) ||
            bumped(&least_fee, &before->max_fee))
            return 1;
        fees.tip = larger(&fees.tip, &least_tip);
    }
    if (cv_u256_mul(&fees.max_fee, base_fee, 2) ||
        cv_u256_add(&fees.max_fee, &fees.max_fee, &fees.tip))
        return 1;
    if (before)
        fees.max_fee = larger(&fees.max_fee, &least_fee);
    if (cv_u256_cmp(&fees.max_fee, &limit) > 0)
        return 1;
    *out = fees;
    return 0;
}

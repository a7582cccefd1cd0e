/* Numbers through limbs: exact sums of anything, of any sign and size. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/rand.h"
#include "privacy/limbs.h"

static double round_trip(double v)
{
    uint64_t limb[CV_LIMBS];
    assert_int_equal(cv_limbs_put(limb, v), 0);
    for (int k = 0; k < CV_LIMBS; k++)
        assert_true(limb[k] < (UINT64_C(1) << CV_LIMB_BITS));
    return cv_limbs_get(limb);
}

static void single_numbers_come_back(void **state)
{
    (void)state;
    for (int e = -73; e < 104; e++)
        for (int s = -1; s <= 1; s += 2) {
            double low = s * ldexp(1.0, e), high = s * ldexp(2.0 - 0x1p-52, e);
            assert_true(round_trip(low) == low);
            assert_true(round_trip(s * ldexp(1.0 + 0x1p-52, e)) ==
                        s * ldexp(1.0 + 0x1p-52, e));
            assert_true(e == 103 || round_trip(high) == high);
        }
    assert_true(round_trip(0.0) == 0.0);
    assert_true(round_trip(0x1p-126) == 0x1p-126);
    assert_true(round_trip(-0x1p-126) == -0x1p-126);
    assert_true(round_trip(0x1p-129) == 0.0); /* below the unit */
    assert_true(round_trip(1.0 / 3.0) == 1.0 / 3.0);
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    static const double bad[] = {INFINITY, -INFINITY, NAN, 0x1p104, -1e40};
    uint64_t limb[CV_LIMBS];
    for (int i = 0; i < 5; i++) {
        assert_int_equal(cv_limbs_put(limb, bad[i]), CV_ERR_NUMERIC);
        assert_true(cv_limbs_get(limb) == 0.0);
    }
}

/* Whole numbers below 2^110 in all: __int128 knows the sum. */
static void sums_are_exact(void **state)
{
    (void)state;
    cv_stream s;
    cv_stream_open(&s, 1, "limbs", 0, 0);
    for (int t = 0; t < 300; t++) {
        __int128 want = 0;
        uint64_t sum[CV_LIMBS] = {0}, limb[CV_LIMBS];
        int n = 1 + t * 3;
        for (int i = 0; i < n; i++) {
            int shift = (int)cv_stream_below(&s, 48);
            int64_t m = (int64_t)(cv_stream_u64(&s) >> 11); /* 53 bits */
            m = cv_stream_u32(&s) & 1 ? m : -m;
            want += (__int128)m * ((__int128)1 << shift);
            assert_int_equal(cv_limbs_put(limb, ldexp((double)m, shift)), 0);
            for (int k = 0; k < CV_LIMBS; k++)
                sum[k] += limb[k];
        }
        assert_true(cv_limbs_get(sum) == (double)want);
    }
    cv_stream_close(&s);
}

/* The large ones cancel, and the small one is still there. */
static void small_next_to_large(void **state)
{
    (void)state;
    static const double part[] = {1e30, 3.0e-21, -1e30, 5e20, -5e20};
    uint64_t sum[CV_LIMBS] = {0}, limb[CV_LIMBS];
    for (int i = 0; i < 5; i++) {
        assert_int_equal(cv_limbs_put(limb, part[i]), 0);
        for (int k = 0; k < CV_LIMBS; k++)
            sum[k] += limb[k];
    }
    assert_true(fabs(cv_limbs_get(sum) / 3.0e-21 - 1.0) < 1e-15);
    /* Ties are seen in the limbs that no double reaches. */
    memset(sum, 0, sizeof sum);
    double tie[] = {0x1p60 + 0x1p8, 0x1p7, -0x1p-100};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cv_limbs_put(limb, tie[i]), 0);
        for (int k = 0; k < CV_LIMBS; k++)
            sum[k] += limb[k];
    }
    assert_true(cv_limbs_get(sum) == 0x1p60 + 0x1p8);
}

/* Three numbers under pairwise random limbs: every limb looks like any other,
 * and the sum is what it was. */
static void masks_cancel_and_hide(void **state)
{
    (void)state;
    enum { SILOS = 3, TIMES = 4000 };
    cv_stream s;
    uint64_t ones[CV_LIMBS] = {0};
    double mean = 0.0;
    cv_stream_open(&s, 2, "limbs", 0, 0);
    for (int t = 0; t < TIMES; t++) {
        static const double v[SILOS] = {-1.5, 0x1p-60, 7e9};
        uint64_t limb[SILOS][CV_LIMBS], sum[CV_LIMBS] = {0};
        for (int i = 0; i < SILOS; i++)
            assert_int_equal(cv_limbs_put(limb[i], v[i]), 0);
        for (int i = 0; i < SILOS; i++)
            for (int j = 0; j < i; j++) {
                uint64_t m[CV_LIMBS];
                for (int k = 0; k < CV_LIMBS; k++)
                    m[k] = cv_stream_u32(&s) & ((1u << CV_LIMB_BITS) - 1);
                cv_limbs_add(limb[i], m);
                cv_limbs_sub(limb[j], m);
            }
        for (int i = 0; i < SILOS; i++)
            for (int k = 0; k < CV_LIMBS; k++) {
                assert_true(limb[i][k] < (1u << CV_LIMB_BITS));
                sum[k] += limb[i][k];
                ones[k] += i == 0 && (limb[i][k] & 1);
            }
        mean += (double)sum[CV_LIMBS - 1] / TIMES;
        assert_true(cv_limbs_get(sum) == -1.5 + 7e9);
    }
    cv_stream_close(&s);
    for (int k = 0; k < CV_LIMBS; k++) /* 7 standard deviations */
        assert_true(fabs((double)ones[k] - TIMES / 2) < 3.5 * sqrt(TIMES));
    /* Of three uniform top limbs, not of how many numbers are negative. */
    assert_true(fabs(mean / (1 << CV_LIMB_BITS) - 1.5) < 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_numbers_come_back),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(sums_are_exact),
        cmocka_unit_test(small_next_to_large),
        cmocka_unit_test(masks_cancel_and_hide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

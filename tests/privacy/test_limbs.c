/* Numbers through a field: sums are those of 128-bit integers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/rand.h"
#include "privacy/field.h"
#include "privacy/limbs.h"

/* Sums of both fields, and the integer they stand for. */
typedef struct {
    uint32_t narrow[CV_LIMBS];
    uint64_t wide[CV_LIMBS];
    __int128 exact; /* units */
} sums;

static void add(sums *s, double v, int exponent)
{
    uint32_t a[CV_LIMBS];
    uint64_t b[CV_LIMBS];
    assert_int_equal(cv_limbs_put32(a, v, exponent), 0);
    assert_int_equal(cv_limbs_put64(b, v, exponent), 0);
    assert_true(cv_f32_canonical(a, CV_LIMBS));
    assert_true(cv_f61_canonical(b, CV_LIMBS));
    cv_f32_add_all(s->narrow, a, CV_LIMBS);
    cv_f61_add_all(s->wide, b, CV_LIMBS);
    s->exact += (__int128)nearbyint(ldexp(v, -exponent));
}

/* By the compiler's own conversion, which rounds once. */
static void check(const sums *s, int exponent, int narrow)
{
    double want = ldexp((double)s->exact, exponent);
    if (narrow)
        assert_true(cv_limbs_get32(s->narrow, exponent) == want);
    assert_true(cv_limbs_get64(s->wide, exponent) == want);
}

/* Magnitudes from the unit to 2^118, of both signs, so that large ones cancel
 * and small ones are left. */
static void sums_of_mixed_magnitudes_are_exact(void **state)
{
    (void)state;
    static const int exponents[] = {CV_LIMBS_EXPONENT, -900, 0, 300};
    for (size_t c = 0; c < sizeof exponents / sizeof *exponents; c++) {
        int e = exponents[c], negative = 0, small = 0;
        cv_stream r;
        cv_stream_open(&r, 11, "limbs", c, 0);
        for (int round = 0; round < 400; round++) {
            sums s = {{0}, {0}, 0};
            int n = 1 + (int)cv_stream_below(&r, 64);
            double last = 0.0;
            for (int i = 0; i < n; i++) {
                int top = (int)cv_stream_below(&r, 118);
                double v = ldexp(2.0 * cv_stream_uniform(&r) - 1.0, e + top);
                if (i % 2) /* what came before, and a little more */
                    v = -last + ldexp(v, -30);
                last = v;
                add(&s, v, e);
                check(&s, e, 1);
            }
            negative += s.exact < 0;
            small +=
                s.exact < ((__int128)1 << 60) && s.exact > -((__int128)1 << 60);
        }
        assert_true(negative > 100 && negative < 300 && small > 30);
        cv_stream_close(&r);
    }
}

/* Integers about a tie of the rounding to 53 bits, however far down the digit
 * stands that decides it. */
static void the_sum_is_rounded_once(void **state)
{
    (void)state;
    for (int top = 54; top < 118; top++)
        for (int low = 0; low < top - 53; low++)
            for (int sign = -1; sign <= 1; sign += 2)
                for (int odd = 0; odd < 2; odd++) {
                    sums s = {{0}, {0}, 0};
                    add(&s, sign * ldexp(1.0, top), 0);
                    add(&s, sign * ldexp(1.0, top - 53), 0);
                    add(&s, sign * odd * ldexp(1.0, top - 52), 0);
                    check(&s, 0, 1);
                    add(&s, ldexp(1.0, low), 0);
                    check(&s, 0, 1);
                    add(&s, -ldexp(2.0, low), 0);
                    check(&s, 0, 1);
                }
}

static void extreme_numbers_of_many_silos(void **state)
{
    (void)state;
    const double most = ldexp(nextafter(0x1p125, 0.0), CV_LIMBS_EXPONENT);
    for (int sign = -1; sign <= 1; sign += 2) {
        uint32_t a[CV_LIMBS], s32[CV_LIMBS] = {0};
        uint64_t b[CV_LIMBS], s64[CV_LIMBS] = {0};
        for (int i = 1; i <= 1000000; i++) {
            double v = sign * most;
            assert_int_equal(cv_limbs_put64(b, v, CV_LIMBS_EXPONENT), 0);
            cv_f61_add_all(s64, b, CV_LIMBS);
            if (i <= 64) {
                assert_int_equal(cv_limbs_put32(a, v, CV_LIMBS_EXPONENT), 0);
                cv_f32_add_all(s32, a, CV_LIMBS);
            }
        }
        /* most has 53 ones: 64 times it is a double, 10^6 times it is not */
        assert_true(cv_limbs_get32(s32, CV_LIMBS_EXPONENT) ==
                    64.0 * sign * most);
        assert_true(cv_limbs_get64(s64, CV_LIMBS_EXPONENT) ==
                    1000000.0 * sign * most);
    }
}

static void what_cannot_be_held_is_refused(void **state)
{
    (void)state;
    static const double bad[] = {NAN,     INFINITY, -INFINITY, 0x1p65,
                                 -0x1p65, 1e300,    -1e300};
    static const double good[] = {0.0, -0.0, 0x1p64, -0x1p64, 1e-300, -1e-300};
    uint32_t a[CV_LIMBS];
    uint64_t b[CV_LIMBS];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const uint64_t zero[CV_LIMBS] = {0};
        memset(a, 1, sizeof a);
        memset(b, 1, sizeof b);
        assert_int_equal(cv_limbs_put32(a, bad[i], CV_LIMBS_EXPONENT),
                         CV_ERR_NUMERIC);
        assert_int_equal(cv_limbs_put64(b, bad[i], CV_LIMBS_EXPONENT),
                         CV_ERR_NUMERIC);
        assert_memory_equal(a, zero, sizeof a);
        assert_memory_equal(b, zero, sizeof b);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double want = fabs(good[i]) < 1.0 ? 0.0 : good[i];
        assert_int_equal(cv_limbs_put32(a, good[i], CV_LIMBS_EXPONENT), 0);
        assert_int_equal(cv_limbs_put64(b, good[i], CV_LIMBS_EXPONENT), 0);
        assert_true(cv_limbs_get32(a, CV_LIMBS_EXPONENT) == want);
        assert_true(cv_limbs_get64(b, CV_LIMBS_EXPONENT) == want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_mixed_magnitudes_are_exact),
        cmocka_unit_test(the_sum_is_rounded_once),
        cmocka_unit_test(extreme_numbers_of_many_silos),
        cmocka_unit_test(what_cannot_be_held_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

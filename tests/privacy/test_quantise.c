/* Integer sums: order, head-room, rounding, the grid's hysteresis. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"
#include "privacy/quantise.h"

enum { N = 1003, SILOS = 7 };

static void fill(float v[SILOS][N], double scale)
{
    cv_stream s;
    cv_stream_open(&s, 11, "quantise", 0, 0);
    for (int k = 0; k < SILOS; k++)
        for (int i = 0; i < N; i++)
            v[k][i] = (float)(cv_stream_normal(&s) * scale);
    cv_stream_close(&s);
}

static float v[SILOS][N];

static double top_of(void)
{
    double top = 0.0;
    for (int k = 0; k < SILOS; k++) {
        double t = (double)cv_max_abs(v[k], N);
        top = t > top ? t : top;
    }
    return top;
}

static void max_abs_sees_everything(void **state)
{
    (void)state;
    float x[5] = {1.0f, -3.5f, 2.0f, -0.0f, 1e-40f};
    assert_true(cv_max_abs(x, 5) == 3.5f);
    assert_true(cv_max_abs(x, 0) == 0.0f);
    for (int i = 0; i < 5; i++) {
        float keep = x[i];
        x[i] = NAN;
        assert_true(isinf(cv_max_abs(x, 5)));
        x[i] = -INFINITY;
        assert_true(isinf(cv_max_abs(x, 5)));
        x[i] = keep;
    }
}

/* The sum is within half a grid unit per silo of the true one, for scales from
 * tiny to huge, and the same whatever the order. */
static void sums_are_exact_and_have_no_order(void **state)
{
    (void)state;
    static const double scales[] = {1e-30, 1e-6, 1.0, 12345.0, 1e25};
    for (size_t c = 0; c < sizeof scales / sizeof scales[0]; c++) {
        fill(v, scales[c]);
        double top = top_of() * 0.25;
        int e32 = cv_grid_exponent(CV_NO_EXPONENT, top, SILOS, 0);
        int e64 = cv_grid_exponent(CV_NO_EXPONENT, top, SILOS, 1);
        assert_true(cv_grid_fits(e32, top, SILOS, 0));
        assert_true(cv_grid_fits(e64, top, SILOS, 1));
        uint32_t a[N] = {0}, b[N] = {0};
        uint64_t wide[N] = {0};
        float out[N], out64[N];
        for (int k = 0; k < SILOS; k++) {
            cv_quantise_add_u32(a, v[k], N, 0.25, e32);
            cv_quantise_add_u32(b, v[SILOS - 1 - k], N, 0.25, e32);
            cv_quantise_add_u64(wide, v[k], N, 0.25, e64);
        }
        assert_memory_equal(a, b, sizeof a);
        cv_decode_u32(out, a, N, e32, 2.0);
        cv_decode_u64(out64, wide, N, e64, 2.0);
        for (int i = 0; i < N; i++) {
            double want = 0.0;
            for (int k = 0; k < SILOS; k++)
                want += (double)v[k][i] * 0.25;
            want /= 2.0;
            double ulp = fabs(want) * 0x1p-24;
            assert_true(fabs((double)out[i] - want) <=
                        SILOS * ldexp(0.5, e32) / 2.0 + ulp);
            assert_true(fabs((double)out64[i] - want) <=
                        SILOS * ldexp(0.5, e64) / 2.0 + 2 * ulp);
        }
    }
}

/* All silos at the largest magnitude: the sum must not wrap. */
static void head_room_holds_at_the_limit(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 3, 4, 5, 63, 64, 65, 1000, 10000};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (int wide = 0; wide < 2; wide++) {
            int n = counts[c], e = -7;
            float top = 1.0f; /* the largest float that fits */
            while (cv_grid_fits(e, (double)(top * 2.0f), n, wide))
                top *= 2.0f;
            for (float step = top / 2.0f; step > 0.0f; step /= 2.0f)
                if (top + step > top &&
                    cv_grid_fits(e, (double)(top + step), n, wide))
                    top += step;
            for (float sign = -1.0f; sign < 2.0f; sign += 2.0f) {
                float x = sign * top, out;
                uint32_t a = 0;
                uint64_t b = 0;
                for (int k = 0; k < n && wide; k++)
                    cv_quantise_add_u64(&b, &x, 1, 1.0, e);
                for (int k = 0; k < n && !wide; k++)
                    cv_quantise_add_u32(&a, &x, 1, 1.0, e);
                if (wide)
                    cv_decode_u64(&out, &b, 1, e, (double)n);
                else
                    cv_decode_u32(&out, &a, 1, e, (double)n);
                assert_true(fabs((double)out / (double)x - 1.0) < 1e-6);
            }
        }
}

static void rounds_to_nearest_even(void **state)
{
    (void)state;
    static const float in[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 0.49f, -0.51f};
    static const int want[] = {0, 2, 2, 0, -2, 0, -1};
    for (int i = 0; i < 7; i++) {
        uint32_t a = 0;
        uint64_t b = 0;
        cv_quantise_add_u32(&a, &in[i], 1, 1.0, 0);
        cv_quantise_add_u64(&b, &in[i], 1, 1.0, 0);
        assert_int_equal((int32_t)a, want[i]);
        assert_int_equal((int64_t)b, want[i]);
    }
    uint32_t a = 0;
    float big = 1e30f; /* saturates: no undefined conversion */
    cv_quantise_add_u32(&a, &big, 1, 1.0, 0);
    assert_int_equal((int32_t)a, INT32_MAX);
}

/* Growth moves the grid at once; a slow decline only after a few bits. */
static void the_grid_has_hysteresis(void **state)
{
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        int e = cv_grid_exponent(CV_NO_EXPONENT, 1.0, 4, wide);
        assert_int_equal(cv_grid_exponent(e, 1.9, 4, wide), e);
        assert_int_equal(cv_grid_exponent(e, 0.3, 4, wide), e);
        double big = wide ? 1e5 : 100.0, small = wide ? 1e-7 : 0.01;
        assert_true(cv_grid_exponent(e, big, 4, wide) > e);
        assert_true(cv_grid_exponent(e, small, 4, wide) < e);
        assert_int_equal(cv_grid_exponent(e, 0.0, 4, wide), e);
        /* at least 20 bits of the largest magnitude remain */
        for (double m = 1.0; m > 1e-9; m *= 0.83) {
            e = cv_grid_exponent(e, m, 4, wide);
            assert_true(m / ldexp(1.0, e) >= 0x1p20);
            assert_true(cv_grid_fits(e, m, 4, wide));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(max_abs_sees_everything),
        cmocka_unit_test(sums_are_exact_and_have_no_order),
        cmocka_unit_test(head_room_holds_at_the_limit),
        cmocka_unit_test(rounds_to_nearest_even),
        cmocka_unit_test(the_grid_has_hysteresis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

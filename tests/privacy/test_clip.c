/* Clipping of updates: exact norms afterwards, and what one silo can change. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "privacy/clip.h"
#include "privacy/field.h"

/* Squares of floats are exact in long double, and sums good to 2^-60. */
static double exact_norm(const float *v, size_t n)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (long double)v[i] * (long double)v[i];
    return (double)sqrtl(sum);
}

static void fill(float *v, size_t n, double scale, uint64_t seed)
{
    cv_stream s;
    cv_stream_open(&s, seed, "clip", n, 0);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(scale * cv_stream_normal(&s));
    cv_stream_close(&s);
}

static void norms_end_at_the_clip(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 15, 16, 17, 4095, 4096, 4097, 70001};
    static const double scales[] = {1e-42, 1e-30, 1e-3, 1, 1e5, 1e30, 1e37};
    static const double clips[] = {1e-30, 1e-6, 0.1, 1, 100, 1e30};
    for (size_t a = 0; a < sizeof sizes / sizeof *sizes; a++)
        for (size_t b = 0; b < 7; b++)
            for (size_t c = 0; c < 6; c++) {
                size_t n = sizes[a];
                float *v = CV_NEW(n, float), *old = CV_NEW(n, float);
                double norm;
                fill(v, n, scales[b], a);
                memcpy(old, v, n * sizeof *v);
                double before = exact_norm(v, n);
                assert_int_equal(cv_clip(&norm, v, n, clips[c], NULL), 0);
                assert_true(fabs(norm - before) <= 1e-12 * before);
                double after = exact_norm(v, n);
                assert_true(after <= clips[c]);
                if (before <= clips[c] * (1 - 1e-6))
                    assert_memory_equal(v, old, n * sizeof *v);
                else if (clips[c] > 1e-20) /* no less than needed */
                    assert_true(after > clips[c] * (1 - 2e-6));
                for (size_t i = 0; i < n && after > 1e-20; i += 1 + n / 50)
                    assert_true(fabs((double)v[i] / after -
                                     (double)old[i] / before) < 1e-6);
                free(v);
                free(old);
            }
}

static void edges(void **state)
{
    (void)state;
    float v[5] = {3, 0, 4, 0, 0}, zero[3] = {0};
    double norm = -1;
    assert_int_equal(cv_clip(&norm, v, 5, 5.1, NULL), 0);
    assert_true(norm == 5 && v[0] == 3 && v[2] == 4);
    assert_int_equal(cv_clip(NULL, v, 5, 1, NULL), 0);
    assert_true(fabs((double)v[0] - 0.6) < 1e-5 && v[1] == 0);
    assert_true(fabs((double)v[2] - 0.8) < 1e-5);
    assert_int_equal(cv_clip(&norm, zero, 3, 1, NULL), 0);
    assert_true(norm == 0 && zero[0] == 0);
    assert_int_equal(cv_clip(&norm, v, 0, 1, NULL), 0);
    assert_true(norm == 0);
    static const float bad[] = {INFINITY, -INFINITY, NAN};
    for (int i = 0; i < 3; i++) {
        float w[3] = {1e30f, bad[i], 2}, old[3];
        cv_err err;
        memcpy(old, w, sizeof w);
        assert_int_equal(cv_clip(&norm, w, 3, 1, &err), CV_ERR_NUMERIC);
        assert_int_equal(err.code, CV_ERR_NUMERIC);
        assert_memory_equal(w, old, sizeof w);
        assert_true(isinf(norm));
    }
}

/* Several vectors are one long one. */
static void joint_clip_is_that_of_the_whole(void **state)
{
    (void)state;
    enum { N = 3 * 4096, HALF = N / 3 };
    static float all[N], parts[N];
    fill(all, N, 1, 5);
    memcpy(parts, all, sizeof all);
    float *vectors[] = {parts, parts + HALF, parts + 2 * HALF};
    double norm, joint;
    assert_int_equal(cv_clip(&norm, all, N, 2.5, NULL), 0);
    assert_int_equal(cv_clip_joint(&joint, vectors, 3, HALF, 2.5, NULL), 0);
    assert_true(norm == joint);
    assert_memory_equal(all, parts, sizeof all);
    parts[N - 1] = NAN;
    memcpy(all, parts, sizeof all);
    assert_int_equal(cv_clip_joint(&joint, vectors, 3, HALF, 0.5, NULL),
                     CV_ERR_NUMERIC);
    assert_memory_equal(all, parts, sizeof all);
}

static double integer_norm(const float *v, size_t n, double factor,
                           int exponent)
{
    uint32_t *words = CV_NEW(n, uint32_t);
    long double sum = 0;
    cv_f32_encode(words, v, NULL, n, factor, exponent);
    for (size_t i = 0; i < n; i++)
        sum += (long double)cv_f32_centre(words[i]) *
               (long double)cv_f32_centre(words[i]);
    free(words);
    return (double)sqrtl(sum);
}

static void one_silo_changes_no_more_than_said(void **state)
{
    (void)state;
    double best = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        size_t n = 1 + seed * 7;
        int exponent = -(int)(seed % 20);
        float *v = CV_NEW(n, float);
        fill(v, n, seed % 3 ? 1 : 0.01, seed);
        assert_int_equal(cv_clip(NULL, v, n, 1.0, NULL), 0);
        double bound = cv_silo_sensitivity(1.0, n, exponent);
        for (int f = 0; f < 3; f++) {
            double got = integer_norm(v, n, f ? 0.3 * f : 1.0, exponent);
            assert_true(got <= bound);
            best = got / bound > best ? got / bound : best;
        }
        free(v);
    }
    assert_true(best > 0.99);
    /* All coordinates round up: odd multiples of half a unit, each upwards. */
    enum { N = 400 };
    float v[N];
    for (int i = 0; i < N; i++)
        v[i] = 3.5f; /* to 4, even */
    double clip = 3.5 * 20;
    assert_int_equal(cv_clip(NULL, v, N, clip * (1 + 2e-6), NULL), 0);
    assert_true(v[0] == 3.5f);
    double got = integer_norm(v, N, 1.0, 0);
    assert_true(got == 80 && got <= cv_silo_sensitivity(clip, N, 0));
    assert_true(cv_silo_sensitivity(clip, N, 0) < 80 * (1 + 1e-12));
    /* (2 / 2^-10) + sqrt(10000) / 2 */
    assert_true(fabs(cv_silo_sensitivity(2.0, 10000, -10) - 2098) < 1e-9);
}

static void adaptive_clip(void **state)
{
    (void)state;
    assert_int_equal(cv_clip_bit(1.0, 1.0), 1);
    assert_int_equal(cv_clip_bit(1.0 + 1e-15, 1.0), -1);
    assert_int_equal(cv_clip_bit((double)NAN, 1.0), -1);
    assert_int_equal(cv_clip_bit((double)INFINITY, 1.0), -1);
    assert_true(cv_clip_fraction(-4, 8) == 0.25);
    assert_true(cv_clip_fraction(8, 8) == 1.0);
    /* exp(-0.2 (0.8 - 0.5)) = 0.94176453358424868... */
    assert_true(fabs(cv_clip_next(10, 0.8, 0.5, 0.2) - 9.4176453358424868) <
                1e-14);
    assert_true(fabs(cv_clip_next(10, 0.2, 0.5, 0.2) - 10.618365465453596) <
                1e-14);
    assert_true(cv_clip_next(3, 0.5, 0.5, 0.2) == 3);
    assert_true(fabs(cv_clip_joint_sensitivity(3, 8) - 5) < 1e-14);
    assert_true(cv_clip_joint_sensitivity(3, 8) >= 5);
    /* It finds the quantile: norms 1..100, half of them within. */
    double clip = 0.1;
    for (int round = 0; round < 200; round++) {
        int sum = 0;
        for (int i = 1; i <= 100; i++)
            sum += cv_clip_bit(i, clip);
        clip = cv_clip_next(clip, cv_clip_fraction(sum, 100), 0.5, 0.2);
    }
    assert_true(clip > 49 && clip < 52);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms_end_at_the_clip),
        cmocka_unit_test(edges),
        cmocka_unit_test(joint_clip_is_that_of_the_whole),
        cmocka_unit_test(one_silo_changes_no_more_than_said),
        cmocka_unit_test(adaptive_clip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

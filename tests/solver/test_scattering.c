#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "core/rand.h"
#include "solver/blas.h"
#include "solver/params.h"
#include "solver/scattering.h"
#include "solver/transform.h"
#include "tests/solver/reference_scattering.h"

/* Rectangles and rings on grey, a bit of noise: something with edges. */
static void paint(float *x, int h, int w, uint64_t seed)
{
    cv_stream s;
    cv_stream_open(&s, seed, "test scattering", (uint64_t)h, (uint64_t)w);
    int y0 = (int)cv_stream_below(&s, (uint64_t)h / 2), x0 = w / 4;
    double cy = h * cv_stream_uniform(&s), cx = w * cv_stream_uniform(&s);
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            double v = 0.2 + 0.1 * cv_stream_uniform(&s);
            if (i >= y0 && i < y0 + h / 3 && j >= x0 && j < x0 + w / 2)
                v += 0.5;
            if (fabs(hypot(i - cy, j - cx) - h / 4.0) < 1.5)
                v += 0.2;
            x[i * w + j] = (float)v;
        }
    cv_stream_close(&s);
}

typedef struct {
    cv_scattering *s;
    cv_scattering_work *work;
    int n_in, n_out;
} map;

static map make(int h, int w)
{
    map m = {.n_in = h * w};
    assert_int_equal(cv_scattering_create(h, w, &m.s, NULL), 0);
    m.work = cv_scattering_work_create(m.s);
    m.n_out = cv_scattering_n_out(m.s);
    assert_int_equal(m.n_out, 81 * (h / 4) * (w / 4));
    return m;
}

static void destroy(map *m)
{
    cv_scattering_work_destroy(&m->work);
    cv_scattering_destroy(&m->s);
    assert_null(m->s);
}

static float *apply(const map *m, const float *x, int rows, int normalise)
{
    float *out = CV_NEW((size_t)rows * (size_t)m->n_out, float);
    cv_scattering_rows(m->s, m->work, x, rows, normalise, out);
    return out;
}

static double distance(const float *a, const float *b, int n)
{
    double d = 0;
    for (int i = 0; i < n; i++)
        d += pow((double)a[i] - (double)b[i], 2);
    return sqrt(d);
}

/* ---- against the definition ---- */

static const int sizes[][2] = {{28, 28}, {32, 32}, {8, 8},  {12, 21},
                               {31, 9},  {10, 40}, {18, 28}};
enum { N_SIZES = sizeof sizes / sizeof *sizes, IMAGES = 2 };

static void check_size(int h, int w)
{
    map m = make(h, w);
    ref_scattering ref = ref_scattering_make(h, w);
    float *x = CV_NEW(IMAGES * m.n_in, float);
    double *want = CV_NEW(m.n_out, double);
    for (int i = 0; i < IMAGES; i++)
        paint(x + i * m.n_in, h, w, (uint64_t)i);
    for (int normalise = 0; normalise < 2; normalise++) {
        float *y = apply(&m, x, IMAGES, normalise);
        for (int i = 0; i < IMAGES; i++) {
            ref_scatter(&ref, x + i * m.n_in, want);
            if (normalise)
                ref_normalise(want, m.n_out);
            for (int k = 0; k < m.n_out; k++) {
                double d = fabs((double)y[i * m.n_out + k] - want[k]);
                /* A group of tiny numbers is magnified up to 300 times. */
                if (!(d < (normalise ? 3e-5 : 5e-7)))
                    fail_msg("%d x %d, image %d, feature %d: %g, not %g", h, w,
                             i, k, (double)y[i * m.n_out + k], want[k]);
            }
        }
        free(y);
    }
    free(want);
    free(x);
    ref_scattering_free(&ref);
    destroy(&m);
}

static void test_definition(void **state)
{
    (void)state;
    for (int i = 0; i < N_SIZES; i++)
        check_size(sizes[i][0], sizes[i][1]);
}

/* ---- what a scattering transform is for ---- */

static void test_constant(void **state)
{
    (void)state;
    map m = make(28, 28);
    float x[28 * 28];
    for (int i = 0; i < m.n_in; i++)
        x[i] = 0.75f;
    float *y = apply(&m, x, 1, 0);
    for (int i = 0; i < m.n_out; i++)
        assert_true(fabs((double)y[i] - (i < 49 ? 0.75 : 0.0)) < 1e-6);
    free(y);
    destroy(&m);
}

/* Moved by as many pixels as an output stands for, the outputs move. */
static void test_shift_of_4(void **state)
{
    (void)state;
    map m = make(32, 32);
    float x[2][32 * 32] = {{0}}, blob[8 * 8];
    paint(blob, 8, 8, 3);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            x[0][(i + 12) * 32 + j + 8] = blob[i * 8 + j];
            x[1][(i + 8) * 32 + j + 12] = blob[i * 8 + j];
        }
    float *y = apply(&m, x[0], 2, 0), most = 0;
    for (int c = 0; c < 81; c++)
        for (int i = 1; i < 8; i++)
            for (int j = 0; j < 7; j++) {
                float a = y[c * 64 + i * 8 + j];
                float b = y[m.n_out + c * 64 + (i - 1) * 8 + j + 1];
                assert_true(fabsf(a - b) < 1e-6f);
                most = fmaxf(most, a);
            }
    assert_true(most > 0.1f);
    free(y);
    destroy(&m);
}

/* Moved by one pixel, features change less than pixels do. */
static void test_shift_of_1(void **state)
{
    (void)state;
    map m = make(28, 28);
    float x[2][28 * 28] = {{0}}, zero[28 * 28] = {0};
    for (int i = 4; i < 24; i++)
        for (int j = 4; j < 24; j++) {
            float v = (i / 3 + j / 3) % 2 ? 1.0f : 0.0f;
            x[0][i * 28 + j] = v;
            x[1][i * 28 + j + 1] = v;
        }
    float *y = apply(&m, x[0], 2, 0), *none = apply(&m, zero, 1, 0);
    double pixels = distance(x[0], x[1], m.n_in) / distance(x[0], zero, m.n_in);
    double features =
        distance(y, y + m.n_out, m.n_out) / distance(y, none, m.n_out);
    assert_true(features < 0.4 * pixels);
    free(y);
    free(none);
    destroy(&m);
}

/* max |phi|^2 + sum of |psi|^2 over both signs of a frequency, / 2. */
static double frame_bound(const ref_scattering *s)
{
    int m = s->m, n = s->n;
    double most = 0;
    for (int p = 0; p < m; p++)
        for (int q = 0; q < n; q++) {
            double complex phi_y = 0, phi_x = 0;
            double sum = 0;
            for (int i = 0; i < m; i++)
                phi_y += s->phi_y[0][i] * cexp(-2 * I * REF_PI * p * i / m);
            for (int i = 0; i < n; i++)
                phi_x += s->phi_x[0][i] * cexp(-2 * I * REF_PI * q * i / n);
            for (int f = 0; f < REF_J * REF_L; f++) {
                double complex a = 0, b = 0;
                for (int i = 0; i < m * n; i++) {
                    double t =
                        2 * REF_PI *
                        (p * (i / n) / (double)m + q * (i % n) / (double)n);
                    double complex v = s->psi[f / REF_L][f % REF_L][i];
                    a += v * cexp(-I * t);
                    b += v * cexp(I * t);
                }
                sum += (pow(cabs(a), 2) + pow(cabs(b), 2)) / 2;
            }
            most = fmax(most, pow(cabs(phi_y * phi_x), 2) + sum);
        }
    return most;
}

/* Each layer moves two images apart by no more than the filters' frame bound,
 * and the modulus by nothing; two layers. */
static void test_not_expansive(void **state)
{
    (void)state;
    enum { H = 12, W = 16, PAIRS = 8 };
    map m = make(H, W);
    ref_scattering ref = ref_scattering_make(H, W);
    double bound = fmax(1.0, frame_bound(&ref)); /* of squares, one layer */
    float x[2][H * W];
    assert_true(bound < 1.5);
    for (int i = 0; i < PAIRS; i++) {
        paint(x[0], H, W, (uint64_t)i);
        paint(x[1], H, W, (uint64_t)(i % 2 ? i : i + 100));
        for (int k = 0; i % 2 && k < H * W; k++) /* a small change, a rough one
                                                  */
            x[1][k] += k % 2 ? 1e-3f : -1e-3f;
        float *y = apply(&m, x[0], 2, 0);
        double *a = ref_pad(&ref, x[0]), *b = ref_pad(&ref, x[1]), d = 0;
        for (int k = 0; k < ref.m * ref.n; k++)
            d += pow(a[k] - b[k], 2);
        assert_true(d > 0);
        assert_true(distance(y, y + m.n_out, m.n_out) <= bound * sqrt(d));
        free(a);
        free(b);
        free(y);
    }
    ref_scattering_free(&ref);
    destroy(&m);
}

static void test_normalised(void **state)
{
    (void)state;
    map m = make(28, 28);
    float x[28 * 28];
    paint(x, 28, 28, 9);
    float *y = apply(&m, x, 1, 1), *raw = apply(&m, x, 1, 0);
    int n = m.n_out / 27;
    for (int g = 0; g < 27; g++) {
        double sum = 0, square = 0, mean = 0, variance = 0;
        for (int i = 0; i < n; i++) {
            sum += (double)y[g * n + i];
            square += pow((double)y[g * n + i], 2);
            mean += (double)raw[g * n + i] / n;
        }
        for (int i = 0; i < n; i++)
            variance += pow((double)raw[g * n + i] - mean, 2) / n;
        assert_true(fabs(sum / n) < 1e-5);
        assert_true(fabs(square / n - variance / (variance + 1e-5)) < 1e-5);
    }
    free(raw);
    free(y);
    destroy(&m);
}

/* ---- bytes ---- */

/* An image's features are its own: alone, or among others at any place. */
static void test_rows_are_independent(void **state)
{
    (void)state;
    map m = make(28, 28);
    float *x = CV_NEW(16 * m.n_in, float);
    for (int i = 0; i < 16; i++)
        paint(x + i * m.n_in, 28, 28, (uint64_t)i);
    float *all = apply(&m, x, 16, 1);
    for (int i = 0; i < 16; i += 3) {
        float *one = apply(&m, x + i * m.n_in, 1, 1);
        assert_memory_equal(one, all + i * m.n_out,
                            (size_t)m.n_out * sizeof *one);
        free(one);
    }
    free(x);
    free(all);
    destroy(&m);
}

/* The same bytes whatever the CPU and the compiler's vectors. */
static void test_bytes(void **state)
{
    (void)state;
    static const char *const want[] = {
        "feb02682455d3899ebc94b80e3402042cf7bcc976b10446fe8649b2c41a53757",
        "dd62c2e285367e0234bf70fd7464cd12e1bc62baf16fc3576476498a77e5ec9b",
    };
    static const int size[][2] = {{28, 28}, {13, 22}};
    for (int k = 0; k < 2; k++) {
        int h = size[k][0], w = size[k][1];
        map m = make(h, w);
        float *x = CV_NEW(3 * m.n_in, float);
        uint8_t digest[32];
        char hex[65];
        for (int i = 0; i < 3 * m.n_in; i++)
            x[i] = (float)((i * 7919 + i / w * 104729) % 256) / 256.0f;
        float *y = apply(&m, x, 3, 1);
        cv_params_digest(digest, y, 3 * (size_t)m.n_out);
        cv_hex(hex, digest, 32);
        assert_string_equal(hex, want[k]);
        free(x);
        free(y);
        destroy(&m);
    }
}

/* ---- solver/transform ---- */

enum { ROWS = 101, H = 9, W = 12 };

/* uint8 rows with a scale are what float rows would be; blocks, threads and
 * the first row make no difference. */
static void test_transform_rows(void **state)
{
    (void)state;
    map m = make(H, W);
    static uint8_t u8[ROWS * H * W];
    static float f32[ROWS * H * W], mul[H * W], add[H * W];
    for (int k = 0; k < H * W; k++) {
        mul[k] = 1.0f / (float)(200 + k);
        add[k] = (float)(k % 7) / 16.0f;
    }
    for (int i = 0; i < ROWS * H * W; i++) {
        u8[i] = (uint8_t)(i * 37 + i / 50);
        f32[i] = (float)u8[i] * mul[i % (H * W)] + add[i % (H * W)];
    }
    cv_samples bytes = {ROWS, H * W, 1, u8, NULL, mul, add};
    cv_transform *t;
    assert_int_equal(cv_transform_create("scattering", H, W, &t, NULL), 0);
    assert_int_equal(cv_transform_n_out(t), m.n_out);
    float *all = CV_NEW(ROWS * m.n_out, float);
    for (int threads = 1; threads <= 2; threads++) {
        cv_blas_set_threads(threads);
        memset(all, 0xff, (size_t)(ROWS * m.n_out) * sizeof *all);
        cv_transform_rows(t, &bytes, 1, ROWS - 1, all);
        for (int i = 1; i < ROWS; i++) {
            float *one = apply(&m, f32 + i * H * W, 1, 1);
            assert_memory_equal(one, all + (i - 1) * m.n_out,
                                (size_t)m.n_out * sizeof *one);
            free(one);
        }
    }
    cv_blas_set_threads(1);
    cv_transform_rows(t, &bytes, ROWS, 0, all); /* none */
    cv_transform_destroy(&t);
    assert_null(t);

    assert_int_equal(cv_transform_create("none", H, W, &t, NULL), 0);
    assert_int_equal(cv_transform_n_out(t), H * W);
    cv_transform_rows(t, &bytes, 2, ROWS - 2, all);
    assert_memory_equal(all, f32 + 2 * H * W, (ROWS - 2) * H * W * sizeof *all);
    cv_transform_destroy(&t);
    free(all);
    destroy(&m);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int h, w;
        const char *says;
    } cases[] = {
        {"scattering", 7, 28, "7 x 28"},  {"scattering", 28, 7, "28 x 7"},
        {"scattering", 28, 1025, "1025"}, {"scattering", 0, 0, "0 x 0"},
        {"none", -1, 5, "-1 x 5"},        {"fourier", 28, 28, "fourier"},
        {"none", 65536, 65536, "65536"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_transform *t = (cv_transform *)1;
        cv_err err = {0};
        assert_int_equal(cv_transform_create(cases[i].name, cases[i].h,
                                             cases[i].w, &t, &err),
                         CV_ERR_INPUT);
        assert_null(t);
        assert_non_null(strstr(err.text, cases[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_constant),
        cmocka_unit_test(test_shift_of_4),
        cmocka_unit_test(test_shift_of_1),
        cmocka_unit_test(test_not_expansive),
        cmocka_unit_test(test_normalised),
        cmocka_unit_test(test_rows_are_independent),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_transform_rows),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

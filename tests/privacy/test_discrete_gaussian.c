/* Discrete Gaussian, what can be said exactly: masses and distances against
 * 90-digit ones, every threshold, variances, epsilon. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/hash.h"
#include "core/mem.h"
#include "privacy/discrete_gaussian.h"

typedef unsigned __int128 u128;

static FILE *open_vector(const char *name)
{
    char path[1024], line[512];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof path, "%.*s/../vectors/%s",
             (int)(slash ? slash - __FILE__ : 1), slash ? __FILE__ : ".", name);
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("cannot open %s", path);
    assert_non_null(fgets(line, sizeof line, f)); /* column names */
    return f;
}

static cv_dgauss *make(cv_variance v, int levels)
{
    cv_dgauss *d = NULL;
    cv_err err;
    assert_int_equal(cv_dgauss_create(v, levels, &d, &err), 0);
    return d;
}

static u128 mass_of(const cv_dgauss *d, int64_t x)
{
    uint64_t hi, lo;
    cv_dgauss_mass(d, x, &hi, &lo);
    return (u128)hi << 64 | lo;
}

/* 2^127 P(|X| = m) */
static u128 magnitude_mass(const cv_dgauss *d, int64_t m)
{
    return m ? mass_of(d, m) : mass_of(d, 0) >> 1;
}

static void expect_hex(u128 mass, const char *hex)
{
    char found[40];
    uint64_t hi = (uint64_t)(mass >> 64), lo = (uint64_t)mass;
    if (hi)
        snprintf(found, sizeof found, "%llx%016llx", (unsigned long long)hi,
                 (unsigned long long)lo);
    else
        snprintf(found, sizeof found, "%llx", (unsigned long long)lo);
    assert_string_equal(found, hex);
}

typedef struct {
    cv_variance v;
    uint32_t top;
    char digest[65], mass[4][33];
    double tail, distance;
} row;

static int next_row(FILE *f, row *r)
{
    char line[512];
    unsigned long long num, den;
    if (!fgets(line, sizeof line, f))
        return 0;
    assert_int_equal(
        sscanf(line,
               "%llu,%llu,%u,%64[0-9a-f],%lf,%lf,%32[0-9a-f],%32[0-9a-f],"
               "%32[0-9a-f],%32[0-9a-f]",
               &num, &den, &r->top, r->digest, &r->tail, &r->distance,
               r->mass[0], r->mass[1], r->mass[2], r->mass[3]),
        10);
    r->v = (cv_variance){num, den};
    return 1;
}

static void masses_are_those_of_90_digits(void **state)
{
    (void)state;
    FILE *f = open_vector("discrete_gaussian_mass.csv");
    row r;
    int rows = 0;
    for (; next_row(f, &r); rows++) {
        cv_dgauss *d = make(r.v, 1);
        assert_int_equal(cv_dgauss_inspect(d).top, r.top);
        expect_hex(magnitude_mass(d, 0), r.mass[0]);
        expect_hex(magnitude_mass(d, 1 < r.top ? 1 : r.top), r.mass[1]);
        expect_hex(magnitude_mass(d, r.top / 2), r.mass[2]);
        expect_hex(magnitude_mass(d, r.top), r.mass[3]);
        cv_sha256 *h = cv_sha256_create();
        uint8_t digest[32];
        char hex[65];
        for (uint32_t m = 0; m <= r.top; m++) {
            uint8_t bytes[16];
            u128 mass = magnitude_mass(d, m);
            cv_put_le64(bytes, (uint64_t)mass);
            cv_put_le64(bytes + 8, (uint64_t)(mass >> 64));
            cv_sha256_add(h, bytes, sizeof bytes);
        }
        cv_sha256_end(h, digest);
        cv_sha256_destroy(&h);
        cv_hex(hex, digest, sizeof digest);
        assert_string_equal(hex, r.digest);
        cv_dgauss_destroy(&d);
    }
    fclose(f);
    assert_int_equal(rows, 8);
}

static void masses_are_symmetric_and_add_up_to_one(void **state)
{
    (void)state;
    static const double sigmas[] = {0.25, 0.3, 1.0, 4.0, 100.3, 256.0, 2000.0};
    for (size_t i = 0; i < sizeof sigmas / sizeof sigmas[0]; i++) {
        cv_dgauss *d = make(cv_variance_at_least(sigmas[i]), 1);
        int64_t top = cv_dgauss_max(d);
        u128 sum = mass_of(d, 0), last = sum;
        assert_true(sum > 0);
        for (int64_t x = 1; x <= top; x++) {
            u128 m = mass_of(d, x);
            assert_true(m == mass_of(d, -x));
            assert_true(m > 0 && (x == 1 || m <= last));
            sum += 2 * m;
            last = m;
        }
        assert_true(sum == 0); /* 2^128, modulo 2^128 */
        assert_true(mass_of(d, top + 1) == 0 && mass_of(d, -top - 1) == 0);
        cv_dgauss_destroy(&d);
    }
}

/* The reported distance covers the true one and is not far above it; the mass
 * beyond the end of the table is part of it. */
static void distances_cover_the_true_ones(void **state)
{
    (void)state;
    FILE *f = open_vector("discrete_gaussian_mass.csv");
    row r;
    while (next_row(f, &r)) {
        cv_dgauss *d = make(r.v, 1);
        cv_dgauss_info info = cv_dgauss_inspect(d);
        double reported = cv_dgauss_distance(d);
        assert_true(reported == info.table_distance);
        assert_true(info.tail_mass >= r.tail * (1.0 - 1e-11));
        assert_true(info.tail_mass <= r.tail * 1.35);
        assert_true(reported >= r.distance * (1.0 - 1e-11));
        assert_true(reported >= info.tail_mass + info.top * 0x1p-128);
        assert_true(reported <= r.distance * 10.0 && reported < 0x1p-112);
        cv_dgauss_destroy(&d);
    }
    fclose(f);

    f = open_vector("discrete_gaussian_sum.csv");
    unsigned long long num, den;
    unsigned k;
    double distance, ratio;
    char line[256];
    int rows = 0;
    for (; fgets(line, sizeof line, f); rows++) {
        assert_int_equal(sscanf(line, "%llu,%llu,%u,%lf,%lf", &num, &den, &k,
                                &distance, &ratio),
                         5);
        cv_dgauss *d = make((cv_variance){num, den}, 2);
        cv_dgauss_info info = cv_dgauss_inspect(d);
        assert_int_equal(info.mult[1], k);
        assert_int_equal(info.table.num, num);
        assert_int_equal(info.table.den, den * (1 + k * k));
        assert_true(info.smooth_distance[1] >= distance * (1.0 - 1e-11));
        assert_true(info.smooth_distance[1] <= distance * 4.0);
        assert_true(info.smooth_distance[1] >= ratio * 0.5 * (1.0 - 1e-11));
        assert_true(cv_dgauss_distance(d) >=
                    2.0 * info.table_distance + info.smooth_distance[1]);
        cv_dgauss_destroy(&d);
    }
    fclose(f);
    assert_int_equal(rows, 4);
}

static void multipliers_keep_the_variance_and_the_smoothing(void **state)
{
    (void)state;
    for (double sigma = 0.25; sigma < 0x1p30; sigma *= 1.37) {
        cv_variance v = cv_variance_at_least(sigma);
        cv_dgauss *d = make(v, 0);
        cv_dgauss_info info = cv_dgauss_inspect(d);
        u128 all = 0;
        double square = 0.0, part = (double)info.table.num / info.table.den;
        for (int l = 0; l < info.levels; l++) {
            u128 k = info.mult[l];
            all += k * k;
            if (l) {
                /* t = s1 s2 / sigma for what is there and the new level */
                double t =
                    sqrt(square * part / (square + part * (double)(k * k)));
                assert_true(fabs(t / info.smooth[l] - 1.0) < 1e-9);
                assert_true(t > 2.1999999);
            }
            square += part * (double)(k * k);
        }
        assert_int_equal(info.mult[0], 1);
        assert_true(info.table.num == v.num);
        assert_true(info.table.den == v.den * all);
        assert_true(cv_dgauss_distance(d) < 0x1p-111);
        double max = (double)cv_dgauss_max(d);
        assert_true(max > 7.4 * sigma && max < 14.1 * sqrt(3.0) * sigma + 4.0);
        if (sigma <= 0x1p26)
            assert_true(max <= INT32_MAX);
        cv_dgauss_destroy(&d);
    }
}

static int32_t draw_at(const cv_dgauss *d, u128 u, int minus)
{
    uint8_t more[16];
    u128 low = u & (((u128)1 << 112) - 1);
    cv_put_le64(more, (uint64_t)low);
    cv_put_le64(more + 8, (uint64_t)(low >> 64));
    more[14] = 0xa5; /* not used */
    more[15] = 0x5a;
    return cv_dgauss_draw(d, (uint16_t)((uint32_t)(u >> 112) << 1 | minus),
                          more);
}

/* U = T - 1 and U = T differ in the 127th bit at most: this is the case in
 * which the first 64 bits are equal and the others decide. */
static void every_threshold_is_met_exactly(void **state)
{
    (void)state;
    static const double sigmas[] = {0.25, 0.7, 4.0, 256.0, 1024.0};
    for (size_t i = 0; i < sizeof sigmas / sizeof sigmas[0]; i++) {
        cv_dgauss *d = make(cv_variance_at_least(sigmas[i]), 1);
        int32_t top = (int32_t)cv_dgauss_max(d);
        u128 t = 0;
        for (int32_t m = 0; m <= top; m++) {
            assert_int_equal(draw_at(d, t, 0), m);
            assert_int_equal(draw_at(d, t, 1), -m);
            /* the same first 64 bits, the last 63 at their largest */
            u128 far = t | (((u128)1 << 63) - 1);
            t += magnitude_mass(d, m);
            if (far < t)
                assert_int_equal(draw_at(d, far, 0), m);
            assert_int_equal(draw_at(d, t - 1, 0), m);
            assert_int_equal(draw_at(d, t - 1, 1), -m);
        }
        assert_true(t == (u128)1 << 127);
        cv_dgauss_destroy(&d);
    }
}

static void variances_are_never_rounded_down(void **state)
{
    (void)state;
    assert_int_equal(cv_variance_at_least(256.0).num, 65536);
    assert_int_equal(cv_variance_at_least(256.0).den, 1);
    for (double sigma = 0.25; sigma < 0x1p30; sigma *= 1.0123) {
        cv_variance v = cv_variance_at_least(sigma);
        assert_true(v.num < UINT64_C(1) << 62 && v.den < UINT64_C(1) << 62);
        /* sigma^2 has up to 106 bits: exact + lost; num / den is exact in the
         * 64 bits of a long double, den being a power of two */
        long double exact = (long double)sigma * sigma;
        long double lost = fmal(sigma, sigma, -exact); /* the rest */
        long double ratio = (long double)v.num / v.den;
        assert_true(ratio - exact >= lost);
        assert_true(ratio - exact <= exact * 0x1p-52L);
        for (uint64_t parts = 1; parts < 100000; parts = parts * 7 + 1) {
            cv_variance s = cv_variance_share(v, parts);
            u128 left = (u128)s.num * parts, right = v.num;
            /* s.num parts / s.den >= v.num / v.den */
            if (s.den == (u128)v.den * parts) {
                assert_true(s.num == v.num);
            } else {
                assert_true(s.den == v.den && left >= right);
                assert_true(left - right < parts);
            }
        }
    }
}

static void what_cannot_be_drawn_is_refused(void **state)
{
    (void)state;
    static const struct {
        cv_variance v;
        int levels;
    } cases[] = {
        {{0, 1}, 0},
        {{1, 0}, 0},
        {{1, 17}, 0},
        {{UINT64_C(1) << 60, 1}, 0},
        {{UINT64_C(1) << 62, 1000}, 0},
        {{1000, UINT64_C(1) << 62}, 0},
        {{16, 1}, 2},                /* sigma 4: too small for two levels */
        {{UINT64_C(1) << 40, 1}, 1}, /* too large for one table */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cv_dgauss *d = (cv_dgauss *)1;
        cv_err err;
        assert_int_equal(
            cv_dgauss_create(cases[i].v, cases[i].levels, &d, &err),
            CV_ERR_INPUT);
        assert_null(d);
        assert_int_equal(err.code, CV_ERR_INPUT);
        cv_dgauss_destroy(&d);
    }
}

/* ---- epsilon from the table's masses, against dp_accounting ---- */

/* delta(eps) of T steps with sensitivity 1: the sum S of T samples decides the
 * privacy loss, (T - 2 S) / (2 sigma^2). */
static double delta_of(const double *p, int half, int steps, double sigma,
                       double eps)
{
    double sum = 0.0;
    for (int s = -half; s <= half; s++) {
        double loss = (steps - 2.0 * s) / (2.0 * sigma * sigma);
        if (loss > eps)
            sum += p[s + half] * -expm1(eps - loss);
    }
    return sum;
}

static double epsilon_of(double sigma, int steps, double delta)
{
    cv_dgauss *d = make(cv_variance_at_least(sigma), 1);
    int top = (int)cv_dgauss_max(d), half = 0;
    double *p = CV_NEW(2 * top * steps + 1, double);
    double *next = CV_NEW(2 * top * steps + 1, double);
    p[0] = 1.0;
    for (int t = 0; t < steps; t++, half += top) {
        memset(next, 0, (size_t)(2 * top * steps + 1) * sizeof *next);
        for (int x = -top; x <= top; x++) {
            uint64_t hi, lo;
            cv_dgauss_mass(d, x, &hi, &lo);
            double q = (double)hi * 0x1p-64 + (double)lo * 0x1p-128;
            for (int s = 0; s <= 2 * half; s++)
                next[s + x + top] += q * p[s];
        }
        double *swap = p;
        p = next;
        next = swap;
    }
    double low = 0.0, high = 100.0;
    for (int i = 0; i < 60; i++) {
        double mid = 0.5 * (low + high);
        if (delta_of(p, half, steps, sigma, mid) > delta)
            low = mid;
        else
            high = mid;
    }
    free(p);
    free(next);
    cv_dgauss_destroy(&d);
    return high;
}

static void epsilon_of_the_masses_is_the_reference(void **state)
{
    (void)state;
    FILE *f = open_vector("discrete_gaussian.csv");
    char line[256];
    int rows = 0;
    for (; fgets(line, sizeof line, f); rows++) {
        double sigma, sensitivity, delta, rdp, order, pld;
        int steps;
        assert_int_equal(sscanf(line, "%lf,%lf,%d,%lf,%lf,%lf,%lf", &sigma,
                                &sensitivity, &steps, &delta, &rdp, &order,
                                &pld),
                         7);
        assert_true(sensitivity == 1.0);
        double eps = epsilon_of(sigma, steps, delta);
        assert_true(eps < rdp);
        assert_true(fabs(eps - pld) < 2e-6);
    }
    fclose(f);
    assert_int_equal(rows, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masses_are_those_of_90_digits),
        cmocka_unit_test(masses_are_symmetric_and_add_up_to_one),
        cmocka_unit_test(distances_cover_the_true_ones),
        cmocka_unit_test(multipliers_keep_the_variance_and_the_smoothing),
        cmocka_unit_test(every_threshold_is_met_exactly),
        cmocka_unit_test(variances_are_never_rounded_down),
        cmocka_unit_test(what_cannot_be_drawn_is_refused),
        cmocka_unit_test(epsilon_of_the_masses_is_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

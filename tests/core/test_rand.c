/* Keyed streams: fixed values, independence of names, distributions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/rand.h"

static void first_bytes(uint8_t out[16], uint64_t seed, const char *purpose,
                        uint64_t a, uint64_t b)
{
    cv_stream s;
    cv_stream_open(&s, seed, purpose, a, b);
    cv_stream_bytes(&s, out, 16);
    cv_stream_close(&s);
}

/* NIST SP 800-38A F.5.5 uses another counter block; with a zero one the key
 * stream's first block is AES-256(key, 0): FIPS 197's key on a zero block,
 * computed with openssl enc -aes-256-ecb. */
static void the_key_stream_is_aes_256_ctr(void **state)
{
    (void)state;
    uint8_t key[32], out[16];
    char hex[33];
    for (int i = 0; i < 32; i++)
        key[i] = (uint8_t)i;
    cv_stream s;
    cv_stream_open_key(&s, key);
    cv_stream_bytes(&s, out, 16);
    cv_stream_close(&s);
    cv_hex(hex, out, 16);
    assert_string_equal(hex, "f29000b62a499fd0a9f39a6add2e7780");
}

static void streams_are_named_apart(void **state)
{
    (void)state;
    uint8_t a[16], b[16];
    first_bytes(a, 42, "batches", 3, 7);
    first_bytes(b, 42, "batches", 3, 7);
    assert_memory_equal(a, b, 16);
    first_bytes(b, 43, "batches", 3, 7);
    assert_memory_not_equal(a, b, 16);
    first_bytes(b, 42, "batch", 3, 7);
    assert_memory_not_equal(a, b, 16);
    first_bytes(b, 42, "batches", 7, 3);
    assert_memory_not_equal(a, b, 16);
    first_bytes(b, 42, "batches", 3, 8);
    assert_memory_not_equal(a, b, 16);
}

static void reads_of_any_size_give_one_stream(void **state)
{
    (void)state;
    enum { N = 3000 };
    uint8_t whole[N], parts[N];
    cv_stream s;
    cv_stream_open(&s, 1, "x", 0, 0);
    cv_stream_bytes(&s, whole, N);
    cv_stream_close(&s);
    cv_stream_open(&s, 1, "x", 0, 0);
    for (size_t at = 0, k = 1; at < N; at += k, k = k % 97 + 1) {
        k = at + k > N ? N - at : k;
        cv_stream_bytes(&s, parts + at, k);
    }
    cv_stream_close(&s);
    assert_memory_equal(whole, parts, N);
}

static void below_is_uniform(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {1, 2, 3, 10, 1000003, UINT64_C(1) << 33};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        cv_stream s;
        cv_stream_open(&s, 5, "below", i, 0);
        double sum = 0.0, n = 20000.0, top = (double)bounds[i];
        for (int k = 0; k < 20000; k++) {
            uint64_t v = cv_stream_below(&s, bounds[i]);
            assert_true(v < bounds[i]);
            sum += (double)v;
        }
        cv_stream_close(&s);
        /* five standard errors of the mean of a uniform */
        double sd = sqrt((top * top - 1.0) / 12.0 / n);
        assert_true(fabs(sum / n - (top - 1.0) / 2.0) <= 5.0 * sd);
    }
}

static void moments(double mean[2], double (*draw)(cv_stream *), uint64_t id)
{
    cv_stream s;
    cv_stream_open(&s, 9, "moments", id, 0);
    double sum = 0.0, square = 0.0, n = 100000.0;
    for (int i = 0; i < 100000; i++) {
        double v = draw(&s);
        sum += v;
        square += v * v;
    }
    cv_stream_close(&s);
    mean[0] = sum / n;
    mean[1] = square / n - mean[0] * mean[0];
}

static double draw_normal(cv_stream *s)
{
    return cv_stream_normal(s);
}
static double draw_gamma(cv_stream *s)
{
    return cv_stream_gamma(s, 0.5);
}
static double draw_gamma3(cv_stream *s)
{
    return cv_stream_gamma(s, 3.0);
}

static void distributions_have_their_moments(void **state)
{
    (void)state;
    double m[2];
    moments(m, draw_normal, 0);
    assert_true(fabs(m[0]) < 0.016 && fabs(m[1] - 1.0) < 0.03);
    moments(m, draw_gamma, 1); /* mean and variance = shape */
    assert_true(fabs(m[0] - 0.5) < 0.012 && fabs(m[1] - 0.5) < 0.05);
    moments(m, draw_gamma3, 2);
    assert_true(fabs(m[0] - 3.0) < 0.03 && fabs(m[1] - 3.0) < 0.12);
}

static void shuffles_are_permutations(void **state)
{
    (void)state;
    enum { N = 1000 };
    uint32_t idx[N];
    uint8_t seen[N] = {0};
    cv_stream s;
    cv_stream_open(&s, 3, "shuffle", 0, 0);
    for (uint32_t i = 0; i < N; i++)
        idx[i] = i;
    cv_stream_shuffle(&s, idx, N);
    cv_stream_close(&s);
    int fixed = 0;
    for (uint32_t i = 0; i < N; i++) {
        assert_true(idx[i] < N && !seen[idx[i]]);
        seen[idx[i]] = 1;
        fixed += idx[i] == i;
    }
    assert_true(fixed < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_stream_is_aes_256_ctr),
        cmocka_unit_test(streams_are_named_apart),
        cmocka_unit_test(reads_of_any_size_give_one_stream),
        cmocka_unit_test(below_is_uniform),
        cmocka_unit_test(distributions_have_their_moments),
        cmocka_unit_test(shuffles_are_permutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

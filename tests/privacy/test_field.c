/* Field arithmetic against 128-bit integers; encoding; the linear check; the
 * commitment tree. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/rand.h"
#include "privacy/commit.h"
#include "privacy/field.h"
#include "privacy/lincheck.h"
#include "privacy/quantise.h"

static const uint64_t edges32[] = {
    0,          1,          2,          4,          5,
    6,          65535,      65536,      0x7ffffffc, 0x7ffffffd,
    0x7ffffffe, 0x80000000, 0xfffffff8, 0xfffffff9, 0xfffffffa};
static const uint64_t edges61[] = {0,
                                   1,
                                   2,
                                   UINT64_C(1) << 32,
                                   (UINT64_C(1) << 60) - 1,
                                   UINT64_C(1) << 60,
                                   CV_P61 - 2,
                                   CV_P61 - 1};

static uint64_t mod(unsigned __int128 v, uint64_t p)
{
    return (uint64_t)(v % p);
}

static void check_pair(uint64_t a, uint64_t b, int wide)
{
    uint64_t p = wide ? CV_P61 : CV_P32;
    unsigned __int128 x = a, y = b;
    if (wide) {
        assert_true(cv_f61_add(a, b) == mod(x + y, p));
        assert_true(cv_f61_sub(a, b) == mod(x + p - y, p));
        assert_true(cv_f61_mul(a, b) == mod(x * y, p));
    } else {
        uint32_t s = (uint32_t)a, t = (uint32_t)b;
        assert_true(cv_f32_add(s, t) == mod(x + y, p));
        assert_true(cv_f32_sub(s, t) == mod(x + p - y, p));
        assert_true(cv_f32_mul(s, t) == mod(x * y, p));
    }
}

static void arithmetic_is_modular(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof edges32 / 8; i++)
        for (size_t k = 0; k < sizeof edges32 / 8; k++)
            check_pair(edges32[i], edges32[k], 0);
    for (size_t i = 0; i < sizeof edges61 / 8; i++)
        for (size_t k = 0; k < sizeof edges61 / 8; k++)
            check_pair(edges61[i], edges61[k], 1);
    cv_stream s;
    cv_stream_open(&s, 1, "field", 0, 0);
    for (int i = 0; i < 100000; i++) {
        check_pair(cv_stream_below(&s, CV_P32), cv_stream_below(&s, CV_P32), 0);
        check_pair(cv_stream_below(&s, CV_P61), cv_stream_below(&s, CV_P61), 1);
    }
    cv_stream_close(&s);
}

static void vectors_agree_with_elements(void **state)
{
    (void)state;
    enum { N = 999 };
    uint32_t a[N], b[N], c[N];
    uint64_t x[N], y[N], z[N];
    cv_stream s;
    cv_stream_open(&s, 2, "field", 0, 0);
    for (int i = 0; i < N; i++) {
        a[i] = (uint32_t)cv_stream_below(&s, CV_P32);
        b[i] = (uint32_t)cv_stream_below(&s, CV_P32);
        x[i] = cv_stream_below(&s, CV_P61);
        y[i] = cv_stream_below(&s, CV_P61);
    }
    cv_stream_close(&s);
    memcpy(c, a, sizeof a);
    memcpy(z, x, sizeof x);
    cv_f32_add_all(c, b, N);
    cv_f61_add_all(z, y, N);
    for (int i = 0; i < N; i++)
        assert_true(c[i] == cv_f32_add(a[i], b[i]) &&
                    z[i] == cv_f61_add(x[i], y[i]));
    cv_f32_sub_all(c, b, N);
    cv_f61_sub_all(z, y, N);
    assert_memory_equal(c, a, sizeof a);
    assert_memory_equal(z, x, sizeof x);
    assert_true(cv_f32_canonical(a, N) && cv_f61_canonical(x, N));
    for (int i = 0; i < N; i += 100) {
        uint32_t k32 = a[i];
        uint64_t k64 = x[i];
        a[i] = CV_P32;
        x[i] = CV_P61;
        assert_false(cv_f32_canonical(a, N));
        assert_false(cv_f61_canonical(x, N));
        a[i] = k32;
        x[i] = k64;
    }
}

/* Field sums of encoded values are the integer sums of quantise.h. */
static void field_sums_are_integer_sums(void **state)
{
    (void)state;
    enum { N = 501, SILOS = 5 };
    float v[N], out[N], plain[N];
    uint32_t sum[N] = {0}, word[N], want[N] = {0};
    uint64_t sum61[N] = {0}, word61[N], want64[N] = {0};
    int32_t noise[N];
    int64_t noise64[N];
    cv_stream s;
    cv_stream_open(&s, 3, "field", 0, 0);
    for (int k = 0; k < SILOS; k++) {
        for (int i = 0; i < N; i++) {
            v[i] = (float)cv_stream_normal(&s);
            noise[i] = (int32_t)cv_stream_below(&s, 20001) - 10000;
            noise64[i] = noise[i];
        }
        cv_f32_encode(word, v, noise, N, 0.5, -20);
        cv_f32_add_all(sum, word, N);
        cv_f61_encode(word61, v, noise64, N, 0.5, -40);
        cv_f61_add_all(sum61, word61, N);
        cv_quantise_add_u32(want, v, N, 0.5, -20);
        cv_quantise_add_u64(want64, v, N, 0.5, -40);
        for (int i = 0; i < N; i++) {
            want[i] += (uint32_t)noise[i];
            want64[i] += (uint64_t)noise64[i];
        }
    }
    cv_stream_close(&s);
    for (int i = 0; i < N; i++) {
        assert_true(cv_f32_centre(sum[i]) == (int32_t)want[i]);
        assert_true(cv_f61_centre(sum61[i]) == (int64_t)want64[i]);
    }
    cv_f32_decode(out, sum, N, -20, 3.0);
    cv_decode_u32(plain, want, N, -20, 3.0);
    assert_memory_equal(out, plain, sizeof out);
    cv_f61_decode(out, sum61, N, -40, 3.0);
    cv_decode_u64(plain, want64, N, -40, 3.0);
    assert_memory_equal(out, plain, sizeof out);
}

/* Noise takes a value anywhere in (-2^32, 2^32): the word is its remainder. */
static void encoding_saturates_and_noise_wraps(void **state)
{
    (void)state;
    static const float v[] = {0.0f,         1.0f,  -1.0f,  2147483392.0f,
                              2147483648.f, 1e30f, -1e30f, -2147483648.f,
                              2.5f,         -3.5f};
    static const int32_t noise[] = {0,         1,          -1,        4, -4,
                                    INT32_MAX, -INT32_MAX, INT32_MIN, 5, -5};
    enum { N = sizeof v / sizeof *v, M = sizeof noise / sizeof *noise };
    uint32_t word[N * M], plain[N * M];
    float x[N * M];
    int32_t z[N * M];
    for (int i = 0; i < N * M; i++) {
        x[i] = v[i / M];
        z[i] = noise[i % M];
    }
    cv_f32_encode(word, x, z, N * M, 1.0, 0);
    cv_f32_encode(plain, x, NULL, N * M, 1.0, 0);
    for (int i = 0; i < N * M; i++) {
        double q = nearbyint(fmin(fmax((double)x[i], -0x1p31 + 1), 0x1p31 - 1));
        int64_t want = (int64_t)q, p = (int64_t)CV_P32;
        assert_true(plain[i] == (uint64_t)((want % p + p) % p));
        want += z[i];
        assert_true(word[i] == (uint64_t)((want % p + p) % p));
    }
}

static void the_centre_is_nearest_zero(void **state)
{
    (void)state;
    static const int64_t q[] = {0, 1, -1, 2147483645, -2147483645, 77, -77};
    for (size_t i = 0; i < sizeof q / sizeof q[0]; i++) {
        uint32_t w = (uint32_t)(q[i] < 0 ? q[i] + (int64_t)CV_P32 : q[i]);
        uint64_t x = (uint64_t)(q[i] < 0 ? q[i] + (int64_t)CV_P61 : q[i]);
        float out;
        assert_true(cv_f32_centre(w) == q[i]);
        assert_true(cv_f61_centre(x) == q[i]);
        cv_f32_decode(&out, &w, 1, 0, 1.0);
        assert_true(out == (float)q[i]);
    }
}

/* ---- the linear check -------------------------------------------------- */

/* f_k by the definition, from the drawn (u, v) of unit vectors: f of the unit
 * vector at (a, b) is u_a v_b, so linearity and coverage are both visible. */
static void the_check_is_linear_and_sees_every_word(void **state)
{
    (void)state;
    enum { N = 90 };
    for (int wide = 0; wide < 2; wide++) {
        uint8_t challenge[32] = {9, (uint8_t)wide};
        cv_lincheck *c = cv_lincheck_create(challenge, N, wide);
        int n = wide ? CV_CHECK_WIDE : CV_CHECK_NARROW;
        uint64_t p = wide ? CV_P61 : CV_P32;
        uint32_t x32[N];
        uint64_t x64[N], total[4] = {0}, f[4];
        cv_stream s;
        cv_stream_open(&s, 4, "check", 0, 0);
        for (int i = 0; i < N; i++) {
            x64[i] = cv_stream_below(&s, p);
            x32[i] = (uint32_t)x64[i];
        }
        cv_stream_close(&s);
        for (int i = 0; i < N; i++) { /* sum of x_i f(e_i) */
            uint32_t e32[N] = {0};
            uint64_t e64[N] = {0};
            e32[i] = 1;
            e64[i] = 1;
            wide ? cv_lincheck_u64(c, f, e64) : cv_lincheck_u32(c, f, e32);
            for (int k = 0; k < n; k++) {
                assert_true(f[k] != 0 && f[k] < p);
                total[k] = mod(total[k] + (unsigned __int128)x64[i] * f[k], p);
            }
        }
        wide ? cv_lincheck_u64(c, f, x64) : cv_lincheck_u32(c, f, x32);
        for (int k = 0; k < n; k++)
            assert_true(f[k] == total[k]);
        cv_lincheck_destroy(&c);
    }
}

/* f by its definition, from the same draws. */
static void by_definition(uint64_t f[4], const uint8_t challenge[32],
                          const uint32_t *x, size_t n)
{
    size_t cols = 1;
    while (cols * cols < n)
        cols++;
    size_t rows = (n + cols - 1) / cols;
    uint32_t *uv = CV_NEW(rows + cols, uint32_t);
    cv_stream s;
    cv_stream_open_key(&s, challenge);
    for (int k = 0; k < 4; k++) {
        for (size_t i = 0; i < rows + cols; i++)
            do
                uv[i] = cv_stream_u32(&s);
            while (uv[i] >= CV_P32);
        unsigned __int128 total = 0;
        for (size_t a = 0; a < rows; a++) {
            unsigned __int128 row = 0;
            for (size_t b = 0; b < cols && a * cols + b < n; b++)
                row += (uint64_t)uv[rows + b] * x[a * cols + b];
            total += mod(row, CV_P32) * uv[a];
        }
        f[k] = mod(total, CV_P32);
    }
    cv_stream_close(&s);
    free(uv);
}

/* Matrices of every shape of the last rows and columns, and one whose columns
 * go in several blocks; words random, and as large as they can be. */
static void the_check_follows_its_definition(void **state)
{
    (void)state;
    static const size_t large[] = {1000, 10007, 4099 * 4099 + 17};
    for (size_t i = 0; i < 90 + sizeof large / sizeof *large; i++) {
        size_t n = i < 90 ? i + 1 : large[i - 90];
        uint8_t challenge[32] = {3, (uint8_t)i};
        uint32_t *x = CV_NEW(n, uint32_t);
        uint64_t f[4], want[4];
        cv_lincheck *c = cv_lincheck_create(challenge, n, 0);
        for (int top = 0; top < 2; top++) {
            for (size_t j = 0; j < n; j++)
                x[j] =
                    top ? CV_P32 - 1
                        : (uint32_t)((j * UINT64_C(0x9e3779b97f4a7c15) >> 32) %
                                     CV_P32);
            cv_lincheck_u32(c, f, x);
            by_definition(want, challenge, x, n);
            assert_memory_equal(f, want, sizeof want);
        }
        cv_lincheck_destroy(&c);
        free(x);
    }
}

/* Extreme words over a long row: nothing overflows on the way. */
static void long_rows_do_not_overflow(void **state)
{
    (void)state;
    size_t n = 5000000;
    uint8_t challenge[32] = {1};
    uint32_t *x = CV_NEW(n, uint32_t);
    for (size_t i = 0; i < n; i++)
        x[i] = CV_P32 - 1; /* = -1: f(x) = -f(ones) */
    cv_lincheck *c = cv_lincheck_create(challenge, n, 0);
    uint64_t f[4], g[4];
    cv_lincheck_u32(c, f, x);
    for (size_t i = 0; i < n; i++)
        x[i] = 1;
    cv_lincheck_u32(c, g, x);
    for (int k = 0; k < 4; k++)
        assert_true((f[k] + g[k]) % CV_P32 == 0);
    cv_lincheck_destroy(&c);
    free(x);
}

static void a_wrong_sum_is_found(void **state)
{
    (void)state;
    enum { N = 1000, SILOS = 3 };
    for (int wide = 0; wide < 2; wide++) {
        uint8_t challenge[32] = {5};
        int n = wide ? CV_CHECK_WIDE : CV_CHECK_NARROW;
        uint64_t p = wide ? CV_P61 : CV_P32, f[SILOS * 4], top[4];
        uint64_t x[SILOS][N], sum[N] = {0};
        uint32_t y[SILOS][N], sum32[N] = {0};
        cv_lincheck *c = cv_lincheck_create(challenge, N, wide);
        cv_stream s;
        cv_stream_open(&s, 6, "check", 0, 0);
        for (int i = 0; i < SILOS; i++) {
            for (int j = 0; j < N; j++) {
                x[i][j] = cv_stream_below(&s, p);
                y[i][j] = (uint32_t)x[i][j];
            }
            cv_f61_add_all(sum, x[i], N);
            cv_f32_add_all(sum32, y[i], N);
            wide ? cv_lincheck_u64(c, f + i * n, x[i])
                 : cv_lincheck_u32(c, f + i * n, y[i]);
        }
        cv_stream_close(&s);
        wide ? cv_lincheck_u64(c, top, sum) : cv_lincheck_u32(c, top, sum32);
        assert_true(cv_lincheck_holds(f, SILOS, top, wide));
        for (int j = 0; j < N; j += 37) {
            /* an error of half the modulus, and one of one unit */
            sum[j] = cv_f61_add(sum[j], j % 2 ? CV_P61 / 2 : 1);
            sum32[j] = cv_f32_add(sum32[j], j % 2 ? CV_P32 / 2 : 1);
            wide ? cv_lincheck_u64(c, top, sum)
                 : cv_lincheck_u32(c, top, sum32);
            assert_false(cv_lincheck_holds(f, SILOS, top, wide));
            sum[j] = cv_f61_sub(sum[j], j % 2 ? CV_P61 / 2 : 1);
            sum32[j] = cv_f32_sub(sum32[j], j % 2 ? CV_P32 / 2 : 1);
        }
        wide ? cv_lincheck_u64(c, top, sum) : cv_lincheck_u32(c, top, sum32);
        f[0] += p; /* the same value, not canonical: refused */
        assert_false(cv_lincheck_holds(f, SILOS, top, wide));
        cv_lincheck_destroy(&c);
    }
}

/* ---- commitments --------------------------------------------------------- */

static void the_tree_is_as_documented(void **state)
{
    (void)state;
    static const size_t lengths[] = {1,
                                     100,
                                     CV_LEAF_BYTES,
                                     CV_LEAF_BYTES + 4,
                                     3 * CV_LEAF_BYTES + 8,
                                     CV_COMMIT_PIECE,
                                     CV_COMMIT_PIECE + 9 * CV_LEAF_BYTES,
                                     2 * CV_COMMIT_PIECE + 7 * CV_LEAF_BYTES +
                                         12};
    for (size_t c = 0; c < sizeof lengths / sizeof lengths[0]; c++) {
        size_t n = lengths[c], leaves = (n + CV_LEAF_BYTES - 1) / CV_LEAF_BYTES;
        uint8_t *data = cv_calloc(n, 1), want[32], got[32];
        uint8_t *part = cv_calloc(CV_LEAF_BYTES + 9, 1);
        uint8_t *top = cv_calloc(9 + 32 * leaves, 1);
        for (size_t i = 0; i < n; i++)
            data[i] =
                (uint8_t)(i * 31 + (i >> 16) * 5); /* no two leaves alike */
        for (size_t k = 0; k < leaves; k++) {
            size_t m = n - k * CV_LEAF_BYTES;
            m = m < CV_LEAF_BYTES ? m : CV_LEAF_BYTES;
            part[0] = 0;
            cv_put_le64(part + 1, k);
            memcpy(part + 9, data + k * CV_LEAF_BYTES, m);
            cv_sha256_of(top + 9 + 32 * k, part, 9 + m);
        }
        top[0] = 1;
        cv_put_le64(top + 1, n);
        cv_sha256_of(want, top, 9 + 32 * leaves);
        for (size_t step = n < 1000000 ? 1 : 2000; step < 6000000;
             step = step * 13 + 1) {
            cv_commit *t = cv_commit_create();
            for (size_t at = 0; at < n; at += step)
                cv_commit_add(t, data + at, n - at < step ? n - at : step);
            cv_commit_root(t, got);
            cv_commit_destroy(&t);
            assert_memory_equal(got, want, 32);
        }
        free(data);
        free(part);
        free(top);
    }
}

/* encode_add is encode, then add; also where values saturate, for factors that
 * are no power of two, and for scales beyond float. */
static void encoding_into_a_sum(void **state)
{
    (void)state;
    enum { N = 1003 };
    static const double factors[] = {1.0, 0.5, 0.3, 0.999999};
    static const int exponents[] = {-140, -40, -20, -3, 0, 20, 120, 140};
    static float v[N];
    static uint32_t sum[N], word[N], want[N];
    static uint64_t sum61[N], word61[N], want61[N];
    cv_stream s;
    cv_stream_open(&s, 11, "field", 0, 0);
    for (int k = 0; k < 8; k++)
        for (int f = 0; f < 4; f++) {
            for (int i = 0; i < N; i++) {
                double x = cv_stream_normal(&s) * ldexp(1.0, i % 45);
                v[i] = (float)ldexp(i % 5 ? x : floor(x) + 0.5, exponents[k]);
                sum[i] = want[i] = (uint32_t)cv_stream_below(&s, CV_P32);
                sum61[i] = want61[i] = cv_stream_below(&s, CV_P61);
            }
            const float edge[] = {2147483520.0f,  2147483648.0f, -2147483520.0f,
                                  -2147483648.0f, 0.0f,          -0.0f};
            for (int i = 0; i < 6; i++)
                v[i] = (float)ldexp((double)edge[i], exponents[k]);
            for (int i = 0; i < N; i++)
                v[i] = isfinite(v[i]) ? v[i] : 3e38f;
            cv_f32_encode(word, v, NULL, N, factors[f], exponents[k]);
            cv_f32_add_all(want, word, N);
            cv_f32_encode_add(sum, v, N, factors[f], exponents[k]);
            assert_memory_equal(sum, want, sizeof sum);
            cv_f61_encode(word61, v, NULL, N, factors[f], exponents[k]);
            cv_f61_add_all(want61, word61, N);
            cv_f61_encode_add(sum61, v, N, factors[f], exponents[k]);
            assert_memory_equal(sum61, want61, sizeof sum61);
        }
    cv_stream_close(&s);
}

static void signed_integers_are_added_modulo_p(void **state)
{
    (void)state;
    static const int32_t edges[] = {0, 1, -1, 4, -5, INT32_MAX, INT32_MIN};
    for (size_t a = 0; a < sizeof edges32 / 8; a++)
        for (size_t b = 0; b < sizeof edges / 4; b++) {
            uint32_t word = (uint32_t)edges32[a];
            __int128 x = (__int128)word + edges[b] + CV_P32;
            cv_f32_add_signed(&word, &edges[b], 1);
            assert_true(word == (uint64_t)(x % CV_P32));
        }
    for (size_t a = 0; a < sizeof edges61 / 8; a++)
        for (int b = 0; b < 61; b++)
            for (int sign = -1; sign <= 1; sign++) {
                int64_t add = sign * ((INT64_C(1) << b) - (b == 60));
                uint64_t word = edges61[a];
                __int128 x = (__int128)word + add + CV_P61;
                cv_f61_add_signed(&word, &add, 1);
                assert_true(word == (uint64_t)(x % CV_P61));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_is_modular),
        cmocka_unit_test(vectors_agree_with_elements),
        cmocka_unit_test(field_sums_are_integer_sums),
        cmocka_unit_test(encoding_into_a_sum),
        cmocka_unit_test(signed_integers_are_added_modulo_p),
        cmocka_unit_test(encoding_saturates_and_noise_wraps),
        cmocka_unit_test(the_centre_is_nearest_zero),
        cmocka_unit_test(the_check_is_linear_and_sees_every_word),
        cmocka_unit_test(the_check_follows_its_definition),
        cmocka_unit_test(long_rows_do_not_overflow),
        cmocka_unit_test(a_wrong_sum_is_found),
        cmocka_unit_test(the_tree_is_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Discrete Gaussian, vectors: the layout of the random bits, known answers, and
 * the statistics of both samplers with fixed seeds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "core/bytes.h"
#include "core/hash.h"
#include "core/mem.h"
#include "privacy/discrete_gaussian.h"
#include "privacy/discrete_gaussian_table.h"

static cv_dgauss *make(cv_variance v, int levels)
{
    cv_dgauss *d = NULL;
    cv_err err;
    assert_int_equal(cv_dgauss_create(v, levels, &d, &err), 0);
    return d;
}

/* ---- layout of the random bits, written a second time ---- */

static void aes_block(uint8_t out[16], const uint8_t key[32], uint32_t kind,
                      int level, uint64_t position)
{
    uint8_t in[16] = {0};
    in[3] = (uint8_t)kind;
    in[7] = (uint8_t)level;
    for (int i = 0; i < 8; i++)
        in[15 - i] = (uint8_t)(position >> 8 * i);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;
    assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_ecb(), NULL, key, NULL),
                     1);
    assert_int_equal(EVP_EncryptUpdate(c, out, &n, in, 16), 1);
    EVP_CIPHER_CTX_free(c);
}

static void expected_noise(const cv_dgauss *d, int64_t *out, size_t n,
                           const uint8_t key[32])
{
    static const uint8_t zeros[16] = {0};
    uint8_t ones[16], block[16], more[16];
    memset(ones, 0xff, sizeof ones);
    cv_dgauss_info info = cv_dgauss_inspect(d);
    for (int l = 0; l < info.levels; l++) {
        uint64_t rank = 0;
        for (size_t i = 0; i < n; i++) {
            rank = i % CV_DGAUSS_BLOCK ? rank : i;
            if (i % 8 == 0)
                aes_block(block, key, 0, l, i / 8);
            uint16_t word =
                (uint16_t)(block[i % 8 * 2] | block[i % 8 * 2 + 1] << 8);
            memcpy(more, zeros, sizeof more);
            if (cv_dgauss_draw(d, word, zeros) != cv_dgauss_draw(d, word, ones))
                aes_block(more, key, 1, l, rank++);
            out[i] += (int64_t)info.mult[l] * cv_dgauss_draw(d, word, more);
        }
    }
}

static void vectors_follow_the_layout(void **state)
{
    (void)state;
    enum { N = 2 * CV_DGAUSS_BLOCK + 1001 };
    static const struct {
        double sigma;
        int levels;
    } cases[] = {{4.0, 0}, {256.0, 0}, {2300.0, 1}, {27000.0, 0}, {1e6, 0}};
    uint8_t key[32];
    for (int i = 0; i < 32; i++)
        key[i] = (uint8_t)(3 * i + 1);
    int64_t *want = CV_NEW(N, int64_t), *got = CV_NEW(N, int64_t);
    int32_t *got32 = CV_NEW(N, int32_t);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        cv_dgauss *d =
            make(cv_variance_at_least(cases[c].sigma), cases[c].levels);
        for (int i = 0; i < N; i++)
            got[i] = want[i] = got32[i] = i - 7;
        expected_noise(d, want, N, key);
        cv_dgauss_add_i64(d, got, N, key, 0);
        cv_dgauss_add_i32(d, got32, N, key, 0);
        for (int i = 0; i < N; i++) {
            assert_int_equal(got[i], want[i]);
            assert_int_equal(got32[i], want[i]);
        }
        cv_dgauss_destroy(&d);
    }
    free(want);
    free(got);
    free(got32);
}

/* Known answers: the bytes of a replay may not change, whatever the CPU, the
 * compiler or the version. */
static void noise_is_the_same_everywhere(void **state)
{
    (void)state;
    enum { N = 100000 };
    static const struct {
        double sigma;
        const char *digest;
    } cases[] = {
        {4.0,
         "8adc4501100c0461c1d48221be19036a46456c2ae0648e0726e16ca0f9e45549"},
        {256.0,
         "5cf67cf04eea69869cdeb99e43577b71eae620c0e7ffdb8fa6919a59e8416dee"},
        {1024.0,
         "9f50dec7ac066da1e51d9852b6a69051ac8a01e7b81897752c39267b77bd26b2"},
        {27000.0,
         "231a20c27c882a3071bcdf6135f83a801a93fe9ba5a990dace5765daad74edcd"},
        {1e6,
         "2a1a734cb6a81541965f2bfac37bd58de72f0bdb4ed9ce16d39cb32ba7aebb15"},
    };
    uint8_t key[32], digest[32];
    char hex[65];
    cv_sha256_of(key, "noise", 5);
    int32_t *v = CV_NEW(N, int32_t);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        cv_dgauss *d = make(cv_variance_at_least(cases[c].sigma), 0);
        memset(v, 0, N * sizeof *v);
        cv_dgauss_add_i32(d, v, N, key, 0);
        for (int i = 0; i < N; i++)
            cv_put_le32((uint8_t *)&v[i], (uint32_t)v[i]);
        cv_sha256_of(digest, v, N * sizeof *v);
        cv_hex(hex, digest, sizeof digest);
        assert_string_equal(hex, cases[c].digest);
        cv_dgauss_destroy(&d);
    }
    free(v);
}

/* Whatever this CPU can do gives what the plain loop gives, for all words. */
static void fast_looks_agree_with_the_plain_one(void **state)
{
    (void)state;
    enum { N = 65536 };
    uint16_t *word = CV_NEW(N, uint16_t);
    uint16_t *open = CV_NEW(N, uint16_t), *want_open = CV_NEW(N, uint16_t);
    uint32_t *sum = CV_NEW(N, uint32_t), *want = CV_NEW(N, uint32_t);
    static const double sigmas[] = {0.5, 40.0, 2300.0};
    for (uint32_t i = 0; i < N; i++)
        word[i] = (uint16_t)(i * 40503);
    for (int k = 0; k < 3; k++) {
        cv_dgauss *d = make(cv_variance_at_least(sigmas[k]), 1);
        for (uint32_t i = 0; i < N; i++)
            want[i] = i * 2654435761u;
        size_t left =
            cv_dgauss_look_plain(want, want_open, word, N, d->direct, 123457);
        for (int which = 0; which < CV_DGAUSS_FAST; which++) {
            cv_dgauss_look *look = cv_dgauss_look_fast(which);
            for (uint32_t i = 0; i < N; i++)
                sum[i] = i * 2654435761u;
            if (!look) {
                print_message("no fast look %d here\n", which);
                continue;
            }
            assert_int_equal(look(sum, open, word, N, d->direct, 123457), left);
            assert_memory_equal(sum, want, N * sizeof *sum);
            assert_memory_equal(open, want_open, left * sizeof *open);
        }
        cv_dgauss_destroy(&d);
    }
    free(word);
    free(open);
    free(want_open);
    free(sum);
    free(want);
}

static void vectors_may_be_split(void **state)
{
    (void)state;
    enum { N = 5 * CV_DGAUSS_BLOCK + 3 };
    uint8_t key[32] = {1}, other[32] = {2};
    int32_t *whole = CV_NEW(N, int32_t), *part = CV_NEW(N, int32_t);
    cv_dgauss *d = make(cv_variance_at_least(27000.0), 0);
    cv_dgauss_add_i32(d, whole, N, key, 0);
    size_t cut = 3 * CV_DGAUSS_BLOCK;
    cv_dgauss_add_i32(d, part + cut, N - cut, key, cut);
    cv_dgauss_add_i32(d, part, cut, key, 0);
    assert_memory_equal(whole, part, N * sizeof *whole);
    /* a shorter vector is a prefix, and nothing is written past its end */
    for (size_t n = 0; n < 40; n++) {
        memset(part, 0, N * sizeof *part);
        cv_dgauss_add_i32(d, part, n, key, 0);
        assert_memory_equal(whole, part, n * sizeof *whole);
        for (size_t i = n; i < n + 64; i++)
            assert_int_equal(part[i], 0);
    }
    memset(part, 0, N * sizeof *part);
    cv_dgauss_add_i32(d, part, N, other, 0);
    int same = 0;
    for (int i = 0; i < N; i++)
        same += part[i] == whole[i];
    assert_true(same < 10);
    /* wraps like the field's words do, without complaint */
    int32_t edge[1] = {INT32_MAX};
    cv_dgauss_add_i32(d, edge, 1, key, 0);
    assert_int_equal((uint32_t)edge[0],
                     (uint32_t)INT32_MAX + (uint32_t)whole[0]);
    cv_dgauss_destroy(&d);
    free(whole);
    free(part);
}

/* ---- statistics, with fixed seeds ---- */

typedef struct {
    double *p, *count; /* one per bin; the last collects the rest */
    int bins;
    int64_t width, low; /* bin b holds low + b width .. + width - 1 */
} histogram;

/* P(first <= X < end), from exp alone and not from the tables. For a large
 * sigma the rounded continuous Gaussian is the same to 1e-8. */
static double p_between(int64_t first, int64_t end, double variance, double z)
{
    double p = 0.0, root = sqrt(2.0 * variance);
    if (variance > 1e7)
        return 0.5 * (erfc(((double)first - 0.5) / root) -
                      erfc(((double)end - 0.5) / root));
    for (int64_t x = first; x < end; x++)
        p += exp(-(double)x * (double)x / (2.0 * variance)) / z;
    return p;
}

/* Bins out to where a range of that width is still expected 20 times in n. */
static histogram open_histogram(double variance, size_t n)
{
    double sigma = sqrt(variance), z = sigma * sqrt(2.0 * acos(-1.0));
    int64_t reach = (int64_t)ceil(9.5 * sigma);
    histogram h = {.width = sigma < 300.0 ? 1 : (int64_t)(sigma / 16.0)};
    if (variance < 1e7)
        z = p_between(-reach, reach + 1, variance, 1.0);
    while (reach > 0 &&
           (double)n * p_between(reach, reach + h.width, variance, z) < 20.0)
        reach -= h.width;
    h.low = -reach;
    h.bins = (int)((2 * reach + h.width) / h.width) + 1;
    h.p = CV_NEW(h.bins, double);
    h.count = CV_NEW(h.bins, double);
    double rest = 1.0;
    for (int b = 0; b < h.bins - 1; b++) {
        int64_t first = h.low + b * h.width;
        h.p[b] = p_between(first, first + h.width, variance, z);
        rest -= h.p[b];
    }
    h.p[h.bins - 1] = rest;
    return h;
}

static void add_to(histogram *h, int64_t x)
{
    int64_t b = x < h->low ? h->bins - 1 : (x - h->low) / h->width;
    h->count[b < h->bins - 1 ? b : h->bins - 1] += 1.0;
}

static void close_histogram(histogram *h)
{
    free(h->p);
    free(h->count);
}

/* Wilson and Hilferty: chi-square as a standard normal. */
static double normal_score(double chi2, double df)
{
    double c = 2.0 / (9.0 * df);
    return (cbrt(chi2 / df) - (1.0 - c)) / sqrt(c);
}

static double score_against_p(const histogram *h, double n)
{
    double chi2 = 0.0;
    int used = 0;
    for (int b = 0; b < h->bins; b++) {
        double e = n * h->p[b];
        if (e < 5.0) {
            /* a rest that is hardly ever met */
            assert_true(h->count[b] < 30.0);
            continue;
        }
        chi2 += (h->count[b] - e) * (h->count[b] - e) / e;
        used++;
    }
    return normal_score(chi2, used - 1.0);
}

static double score_of_two(const histogram *a, const histogram *b, double na,
                           double nb)
{
    double chi2 = 0.0, r = sqrt(nb / na);
    int used = 0;
    for (int i = 0; i < a->bins; i++) {
        double sum = a->count[i] + b->count[i];
        double diff = a->count[i] * r - b->count[i] / r;
        if (sum < 10.0)
            continue;
        chi2 += diff * diff / sum;
        used++;
    }
    return normal_score(chi2, used - 1.0);
}

static void expect_score(double score, const char *what, double sigma)
{
    if (!(fabs(score) < 4.5))
        fail_msg("%s at sigma %g: %.2f standard deviations", what, sigma,
                 score);
}

static int64_t *fast_samples(cv_variance v, int levels, size_t n, uint8_t seed)
{
    uint8_t key[32] = {seed, 0x77};
    cv_dgauss *d = make(v, levels);
    int64_t *x = CV_NEW(n, int64_t);
    cv_dgauss_add_i64(d, x, n, key, 0);
    cv_dgauss_destroy(&d);
    return x;
}

static const struct {
    cv_variance v;
    int levels;
} shapes[] = {
    {{1, 16}, 0},
    {{1, 2}, 0},
    {{16, 1}, 0},
    {{10007, 101}, 0},
    {{65536, 1}, 0},
    {{65536, 1}, 2},
    {{65536, 1}, 3},
    {{1 << 20, 1}, 1},
    {{1 << 20, 1}, 2},
    {{729000000, 1}, 2},
    {{729000000, 1}, 3},
    {{UINT64_C(1000000000000), 1}, 2},
    {{UINT64_C(1000000000000), 1}, 3},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static void both_samplers_follow_the_probabilities(void **state)
{
    (void)state;
    enum { FAST = 1000000, EXACT = 100000 };
    for (size_t i = 0; i < SHAPES; i++) {
        cv_variance v = shapes[i].v;
        double variance = (double)v.num / (double)v.den;
        histogram fast = open_histogram(variance, EXACT);
        histogram exact = open_histogram(variance, EXACT);
        histogram fine = open_histogram(variance, FAST);
        int64_t *x = fast_samples(v, shapes[i].levels, FAST, (uint8_t)i);
        for (size_t k = 0; k < FAST; k++) {
            add_to(&fast, x[k]);
            add_to(&fine, x[k]);
        }
        free(x);
        const uint8_t key[32] = {(uint8_t)i, 0x33};
        cv_stream s;
        cv_stream_open_key(&s, key);
        for (size_t k = 0; k < EXACT; k++)
            add_to(&exact, cv_dgauss_exact(v, &s));
        cv_stream_close(&s);
        double sigma = sqrt(variance);
        expect_score(score_against_p(&fine, FAST), "fast", sigma);
        expect_score(score_against_p(&exact, EXACT), "exact", sigma);
        expect_score(score_of_two(&fast, &exact, FAST, EXACT),
                     "fast against exact", sigma);
        close_histogram(&fast);
        close_histogram(&exact);
        close_histogram(&fine);
    }
}

static void moments_are_those_of_a_gaussian(void **state)
{
    (void)state;
    enum { N = 1000000 };
    const double n = N;
    for (size_t i = 0; i < SHAPES; i++) {
        double variance = (double)shapes[i].v.num / (double)shapes[i].v.den;
        if (variance < 4.0)
            continue; /* not those of the continuous one */
        int64_t *x =
            fast_samples(shapes[i].v, shapes[i].levels, N, (uint8_t)(100 + i));
        double m[5] = {0.0};
        for (int k = 0; k < N; k++) {
            double z = (double)x[k] / sqrt(variance), power = 1.0;
            for (int j = 0; j < 5; j++, power *= z)
                m[j] += power / n;
        }
        free(x);
        double sigma = sqrt(variance);
        expect_score(m[1] * sqrt(n), "mean", sigma);
        expect_score((m[2] - 1.0) * sqrt(n / 2.0), "variance", sigma);
        expect_score(m[3] * sqrt(n / 15.0), "third moment", sigma);
        expect_score((m[4] / (m[2] * m[2]) - 3.0) * sqrt(n / 24.0), "kurtosis",
                     sigma);
    }
}

/* Sums of levels: no residue modulo a multiplier is more likely than another,
 * and neighbours, signs and positions are independent. */
static void samples_are_independent(void **state)
{
    (void)state;
    enum { N = 1000000 };
    for (size_t i = 0; i < SHAPES; i++) {
        cv_variance v = shapes[i].v;
        double variance = (double)v.num / (double)v.den, sigma = sqrt(variance);
        int64_t *x = fast_samples(v, shapes[i].levels, N, (uint8_t)(50 + i));
        double lag[4] = {0.0}, zero = 0.0, plus = 0.0, minus = 0.0;
        for (int k = 0; k < N; k++) {
            zero += x[k] == 0;
            plus += x[k] > 0;
            minus += x[k] < 0;
            for (int j = 1; j < 4; j++)
                lag[j] += k < j ? 0.0 : (double)x[k] * (double)x[k - j];
        }
        expect_score((plus - minus) / sqrt(N - zero), "sign", sigma);
        for (int j = 1; j < 4; j++)
            if (variance > 1.0)
                expect_score(lag[j] / variance / sqrt(N), "lag", sigma);
        cv_dgauss *d = make(v, shapes[i].levels);
        cv_dgauss_info info = cv_dgauss_inspect(d);
        cv_dgauss_destroy(&d);
        for (int l = 1; l < info.levels; l++) {
            int64_t k = info.mult[l];
            if (k < 2 || k > 5000)
                continue;
            double *count = CV_NEW(k, double), chi2 = 0.0, e = N / (double)k;
            for (int r = 0; r < N; r++)
                count[(x[r] % k + k) % k] += 1.0;
            for (int64_t r = 0; r < k; r++)
                chi2 += (count[r] - e) * (count[r] - e) / e;
            expect_score(normal_score(chi2, (double)k - 1.0), "residue", sigma);
            free(count);
        }
        free(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_follow_the_layout),
        cmocka_unit_test(noise_is_the_same_everywhere),
        cmocka_unit_test(fast_looks_agree_with_the_plain_one),
        cmocka_unit_test(vectors_may_be_split),
        cmocka_unit_test(both_samplers_follow_the_probabilities),
        cmocka_unit_test(moments_are_those_of_a_gaussian),
        cmocka_unit_test(samples_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

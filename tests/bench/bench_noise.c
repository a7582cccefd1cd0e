/* Discrete Gaussian samples a second of one core's time, added into an int32
 * vector: the median of several runs, and the best.
 *   build/tests/bench/bench_noise [million samples per run]
 * Limit: 130 million a second at sigma 256. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/mem.h"
#include "privacy/discrete_gaussian.h"

enum { REPEAT = 11 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Millions a second: the median, and the best. */
static void rate(double out[2], const cv_dgauss *d, int32_t *v, size_t n)
{
    double t[REPEAT];
    uint8_t key[32] = {7};
    for (int r = 0; r < REPEAT; r++) {
        key[1] = (uint8_t)r;
        t[r] = now();
        cv_dgauss_add_i32(d, v, n, key, 0);
        t[r] = now() - t[r];
    }
    qsort(t, REPEAT, sizeof t[0], by_value);
    out[0] = (double)n / t[REPEAT / 2] * 1e-6;
    out[1] = (double)n / t[0] * 1e-6;
}

static double exact_rate(cv_variance v)
{
    const uint8_t key[32] = {9};
    const int n = 200000;
    cv_stream s;
    cv_stream_open_key(&s, key);
    double t = now();
    int64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += cv_dgauss_exact(v, &s);
    t = now() - t;
    cv_stream_close(&s);
    return sum == INT64_MAX ? 0.0 : n / t * 1e-6;
}

static double key_stream_rate(void)
{
    enum { SIZE = 16384, N = 20000 };
    uint8_t key[32] = {1}, *buf = cv_calloc(SIZE, 1);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int len, ok = c && EVP_EncryptInit_ex(c, EVP_aes_256_ctr(), NULL, key, key);
    double t = now();
    for (int i = 0; i < N && ok; i++)
        ok = EVP_EncryptUpdate(c, buf, &len, buf, SIZE);
    t = now() - t;
    EVP_CIPHER_CTX_free(c);
    free(buf);
    return ok ? (double)SIZE * N / t * 1e-9 : 0.0;
}

/* One line per sigma; force > 0 shows the other choices of levels as well. */
static void line(double sigma, int force, int32_t *v, size_t n)
{
    cv_dgauss *d;
    cv_err err;
    double r[2], t = now();
    cv_variance var = cv_variance_at_least(sigma);
    if (cv_dgauss_create(var, force, &d, &err))
        return;
    t = now() - t;
    rate(r, d, v, n);
    cv_dgauss_info info = cv_dgauss_inspect(d);
    printf("sigma %8.0f  levels %d%s %7.1f M/s (best %.1f)", sigma, info.levels,
           force ? "," : ":", r[0], r[1]);
    if (!force)
        printf("  exact %.2f M/s  tables %.1f ms  distance %.2e",
               exact_rate(var), 1e3 * t, cv_dgauss_distance(d));
    printf("%s\n", !force && sigma == 256.0 ? "  (limit 130)" : "");
    cv_dgauss_destroy(&d);
}

int main(int argc, char **argv)
{
    static const double sigmas[] = {4, 256, 1024, 8192, 27000, 1e6, 16777216.0};
    size_t n = (size_t)(argc > 1 ? atoi(argv[1]) : 10) * 1000000;
    int levels = argc > 2 && !strcmp(argv[2], "levels");
    int32_t *v = CV_NEW(n, int32_t);
    printf("AES-256-CTR: %.2f GB/s\n", key_stream_rate());
    for (size_t i = 0; i < sizeof sigmas / sizeof sigmas[0]; i++) {
        line(sigmas[i], 0, v, n);
        for (int l = 1; levels && l <= CV_DGAUSS_LEVELS; l++)
            line(sigmas[i], l, v, n);
    }
    free(v);
    return 0;
}

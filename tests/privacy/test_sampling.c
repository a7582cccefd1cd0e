/* Poisson samples against their definition, and their statistics. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "privacy/sampling.h"

enum { ROWS = 9000 }; /* more than two chunks, and a short group */

/* The 64 bits that decide about a row, from AES blocks. */
static uint64_t bits_of(const uint8_t key[32], uint32_t row)
{
    uint64_t position[2] = {row / 8, row};
    uint8_t out[2][16];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_ecb(), NULL, key, NULL),
                     1);
    for (int k = 0; k < 2; k++) {
        uint8_t in[16] = {0};
        int n;
        in[7] = (uint8_t)k;
        for (int i = 0; i < 8; i++)
            in[15 - i] = (uint8_t)(position[k] >> 8 * i);
        assert_int_equal(EVP_EncryptUpdate(c, out[k], &n, in, 16), 1);
    }
    EVP_CIPHER_CTX_free(c);
    uint64_t lead = out[0][row % 8 * 2] | out[0][row % 8 * 2 + 1] << 8;
    return lead << 48 | (cv_get_le64(out[1]) & ((UINT64_C(1) << 48) - 1));
}

/* In 16 lines: keep if bits < floor(q 2^64). */
static void check(const uint8_t key[32], const uint64_t *bits, double q)
{
    static uint32_t idx[ROWS + 1];
    idx[ROWS] = 12345;
    int64_t n = cv_poisson_sample(idx, ROWS, q, key), at = 0;
    for (uint32_t i = 0; i < ROWS; i++)
        if (q == 1.0 || bits[i] < (uint64_t)(q * 0x1p64)) {
            assert_true(at < n);
            assert_int_equal(idx[at], i);
            at++;
        }
    assert_int_equal(at, n);
    assert_int_equal(idx[ROWS], 12345);
}

static void samples_follow_the_definition(void **state)
{
    (void)state;
    static const double rates[] = {0.0,    1e-30, 0x1p-64, 1e-4, 0.0043, 0.01,
                                   1 / 3., 0.5,   0.75,    0.99, 1.0};
    static uint64_t bits[ROWS];
    for (int k = 0; k < 4; k++) {
        uint8_t key[32] = {(uint8_t)k, 7};
        for (uint32_t i = 0; i < ROWS; i++)
            bits[i] = bits_of(key, i);
        for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
            check(key, bits, rates[r]);
        /* Rates that tie with a row's leading bits, on both sides of it. */
        for (uint32_t i = 0; i < ROWS; i += 17) {
            double q = (double)(bits[i] >> 11) * 0x1p-53;
            check(key, bits, q);
            check(key, bits, q + 0x1p-53);
        }
    }
}

/* A row's coin does not depend on how many rows there are. */
static void more_rows_change_nothing(void **state)
{
    (void)state;
    static uint32_t all[ROWS], some[ROWS];
    const uint8_t key[32] = {3};
    int64_t n = cv_poisson_sample(all, ROWS, 0.2, key);
    for (int64_t rows = 0; rows < ROWS; rows += 37) {
        int64_t k = cv_poisson_sample(some, rows, 0.2, key);
        assert_true(k <= n && (k == n || all[k] >= rows));
        assert_memory_equal(some, all, (size_t)k * sizeof *all);
    }
    uint8_t other[32] = {4};
    int64_t k = cv_poisson_sample(some, ROWS, 0.2, other);
    assert_true(k != n || memcmp(some, all, (size_t)n * sizeof *all));
}

/* Counts are binomial, rows and neighbours independent, over 4000 keys. */
static void counts_are_binomial(void **state)
{
    (void)state;
    enum { KEYS = 4000, N = 1000 };
    static uint32_t idx[N], hits[N];
    const double q = 0.1;
    double sum = 0, squares = 0, pairs = 0, chi = 0;
    for (int k = 0; k < KEYS; k++) {
        uint8_t key[32] = {0};
        cv_put_le32(key, (uint32_t)k);
        int64_t n = cv_poisson_sample(idx, N, q, key);
        sum += (double)n;
        squares += ((double)n - N * q) * ((double)n - N * q);
        for (int64_t i = 0; i < n; i++) {
            hits[idx[i]]++;
            pairs += i > 0 && idx[i] == idx[i - 1] + 1;
        }
    }
    double var = N * q * (1 - q), cells = KEYS * q * (1 - q);
    assert_true(fabs(sum - KEYS * N * q) < 5 * sqrt(KEYS * var));
    assert_true(fabs(squares / KEYS / var - 1) < 5 * sqrt(2.0 / KEYS));
    double expected = KEYS * (N - 1) * q * q;
    assert_true(fabs(pairs - expected) < 6 * sqrt(expected));
    for (int i = 0; i < N; i++)
        chi += (hits[i] - KEYS * q) * (hits[i] - KEYS * q) / cells;
    assert_true(fabs(chi - N) < 5 * sqrt(2.0 * N));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_follow_the_definition),
        cmocka_unit_test(more_rows_change_nothing),
        cmocka_unit_test(counts_are_binomial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

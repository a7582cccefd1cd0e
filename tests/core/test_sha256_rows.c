/* SHA-256 of many messages at once: what libcrypto gives for each. */
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
#include "core/rand.h"
#include "core/sha256_rows.h"

static void check_rows(size_t rows, size_t n_head, size_t n)
{
    uint8_t *head = cv_calloc(rows * n_head, 1), *data = cv_calloc(rows * n, 1);
    uint8_t *out = cv_calloc(rows + 1, 32), *whole = cv_calloc(n_head + n, 1);
    uint8_t want[32], none[32] = {0};
    cv_stream s;
    cv_stream_open(&s, 5, "rows", rows, n);
    cv_stream_bytes(&s, head, rows * n_head);
    cv_stream_bytes(&s, data, rows * n);
    cv_stream_close(&s);
    cv_sha256_rows(out, head, n_head, data, n, rows);
    for (size_t r = 0; r < rows; r++) {
        memcpy(whole, head + r * n_head, n_head);
        memcpy(whole + n_head, data + r * n, n);
        cv_sha256_of(want, whole, n_head + n);
        assert_memory_equal(out + 32 * r, want, 32);
    }
    assert_memory_equal(out + 32 * rows, none, 32); /* nothing behind them */
    free(head);
    free(data);
    free(out);
    free(whole);
}

/* Lengths around every edge of a block and of its padding, with a head and
 * without. */
static void all_lengths_agree_with_libcrypto(void **state)
{
    (void)state;
    static const size_t heads[] = {0, 1, 9, 55};
    for (size_t h = 0; h < sizeof heads / sizeof heads[0]; h++)
        for (size_t n = 0; n < 270; n++)
            check_rows(16, heads[h], n);
    check_rows(16, 9, 65536);
    check_rows(16, 0, 65537);
}

static void all_numbers_of_rows_agree_with_libcrypto(void **state)
{
    (void)state;
    for (size_t rows = 0; rows < 50; rows++)
        check_rows(rows, 9, 1000);
}

/* FIPS 180-4's own examples, in a crowd. */
static void published_digests(void **state)
{
    (void)state;
    static const struct {
        const char *text, *digest;
    } c[] = {
        {"abc",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        size_t n = strlen(c[i].text);
        uint8_t data[20 * 64], out[20 * 32], want[32];
        for (size_t r = 0; r < 20; r++)
            memcpy(data + r * n, c[i].text, n);
        assert_int_equal(cv_unhex(want, c[i].digest, 32), 0);
        cv_sha256_rows(out, NULL, 0, data, n, 20);
        for (size_t r = 0; r < 20; r++)
            assert_memory_equal(out + 32 * r, want, 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_lengths_agree_with_libcrypto),
        cmocka_unit_test(all_numbers_of_rows_agree_with_libcrypto),
        cmocka_unit_test(published_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

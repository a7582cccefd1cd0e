/** Bytes as hexadecimal text, for tables of vectors. */
#ifndef COVEY_TESTS_HEX_FIXTURE_H
#define COVEY_TESTS_HEX_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"

/* The caller frees; exactly n bytes, so that sanitizers see a read too far. */
static inline uint8_t *bytes_of(const char *hex, size_t *n)
{
    size_t digits = strlen(hex);
    assert_int_equal(digits % 2, 0);
    *n = digits / 2;
    uint8_t *b = malloc(*n ? *n : 1);
    assert_non_null(b);
    assert_int_equal(cv_unhex(b, hex, *n), 0);
    return b;
}

static inline void assert_hex(const void *found, size_t n, const char *expected)
{
    char *hex = malloc(2 * n + 1);
    assert_non_null(hex);
    cv_hex(hex, found, n);
    assert_string_equal(hex, expected);
    free(hex);
}

#endif

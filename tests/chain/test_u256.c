/* 256-bit integers against Python's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chain/u256.h"
#include "tests/chain/hex_fixture.h"
#include "tests/chain/u256_vectors.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static cv_u256 number(const char *hex)
{
    cv_u256 v;
    assert_int_equal(cv_unhex(v.b, hex, 32), 0);
    return v;
}

/* The result, or that there is none and nothing was written. */
static void assert_result(int rc, const cv_u256 *found, const cv_u256 *before,
                          const char *expected)
{
    assert_int_equal(rc, expected ? 0 : -1);
    if (expected)
        assert_hex(found->b, 32, expected);
    else
        assert_memory_equal(found, before, sizeof *before);
}

static void sums_and_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sums); i++) {
        cv_u256 a = number(sums[i].a), b = number(sums[i].b), x = b, y = b;
        assert_result(cv_u256_add(&x, &a, &b), &x, &b, sums[i].sum);
        assert_result(cv_u256_sub(&y, &a, &b), &y, &b, sums[i].difference);
        x = y = b; /* out is an operand */
        assert_result(cv_u256_add(&x, &a, &x), &x, &b, sums[i].sum);
        assert_result(cv_u256_sub(&y, &a, &y), &y, &b, sums[i].difference);
        int order = strcmp(sums[i].a, sums[i].b), c = cv_u256_cmp(&a, &b);
        assert_true(order < 0 ? c < 0 : order > 0 ? c > 0 : c == 0);
    }
}

static void products_and_quotients(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(products); i++) {
        cv_u256 a = number(products[i].a), x = a;
        uint64_t m = products[i].m;
        assert_result(cv_u256_mul(&x, &a, m), &x, &a, products[i].product);
        x = a;
        assert_result(cv_u256_mul(&x, &x, m), &x, &a, products[i].product);
        if (m == 0)
            continue;
        assert_true(cv_u256_div(&x, &a, m) == products[i].rest);
        assert_hex(x.b, 32, products[i].quotient);
        x = a;
        assert_true(cv_u256_div(&x, &x, m) == products[i].rest);
        assert_hex(x.b, 32, products[i].quotient);
    }
}

static void texts_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        cv_u256 v = number(texts[i].a), back = {{0}};
        char quantity[CV_QUANTITY_TEXT], text[CV_UNITS_TEXT];
        cv_err err = {0};
        cv_u256_quantity(quantity, &v);
        assert_string_equal(quantity, texts[i].quantity);
        assert_int_equal(cv_u256_from_quantity(&back, quantity), 0);
        assert_memory_equal(&back, &v, sizeof v);
        cv_u256_units(text, &v, texts[i].decimals);
        assert_string_equal(text, texts[i].text);
        memset(&back, 0, sizeof back);
        if (cv_u256_from_units(&back, text, texts[i].decimals, &err) != 0)
            fail_msg("%s: %s", text, err.text);
        assert_memory_equal(&back, &v, sizeof v);
    }
}

static void words_of_64_bits(void **state)
{
    (void)state;
    static const uint64_t small[] = {0, 1, 256, UINT64_C(0x0123456789abcdef),
                                     UINT64_MAX};
    for (size_t i = 0; i < COUNT(small); i++) {
        cv_u256 v = cv_u256_of(small[i]);
        uint64_t back = 77;
        char hex[65];
        snprintf(hex, sizeof hex, "%064llx", (unsigned long long)small[i]);
        assert_hex(v.b, 32, hex);
        assert_int_equal(cv_u256_is_zero(&v), small[i] == 0);
        assert_int_equal(cv_u256_to_u64(&back, &v), 0);
        assert_true(back == small[i]);
    }
    for (size_t i = 0; i < 24; i++) {
        cv_u256 v = cv_u256_of(5);
        uint64_t out = 77;
        v.b[i] = 1;
        assert_int_equal(cv_u256_to_u64(&out, &v), -1);
        assert_int_equal(out, 77);
        assert_false(cv_u256_is_zero(&v));
    }
}

static void strange_quantities_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "0", "0x", "0X1", "1f", "0x01", "0x00", "0x0x1", "0x1g", "0x 1",
        " 0x1", "0x1 ", "-0x1", "0x-1", "x1", "0x+1", "0x1.0", "0x1\n", "0x0x0",
        "0xx0x0",
        /* 65 digits */
        "0x1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        cv_u256 v = cv_u256_of(77), before = v;
        if (cv_u256_from_quantity(&v, bad[i]) != -1)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_memory_equal(&v, &before, sizeof v);
    }
    cv_u256 lower, upper;
    assert_int_equal(cv_u256_from_quantity(&lower, "0xabcdef"), 0);
    assert_int_equal(cv_u256_from_quantity(&upper, "0xABCDEF"), 0);
    assert_memory_equal(&lower, &upper, sizeof lower);
}

static void amounts_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int decimals;
        const char *is, *says;
    } table[] = {
        {"1000.0", 18, "1000000000000000000000", NULL},
        {"0.000000000000000001", 18, "1", NULL},
        {"007", 0, "7", NULL},
        {"0", 77, "0", NULL},
        {"0.0", 1, "0", NULL},
        {"1.15792089237316195423570985008687907853269984665640564039457584007"
         "913129639935",
         77,
         "115792089237316195423570985008687907853269984665640564039457584007913"
         "1"
         "29639935",
         NULL},
        {"1.15792089237316195423570985008687907853269984665640564039457584007"
         "913129639936",
         77, NULL, "below 2^256"},
        {"115792089237316195423570985008687907853269984665640564039457584007913"
         "1"
         "29639936",
         0, NULL, "below 2^256"},
        {"2", 77, NULL, "below 2^256"},
        {"99999999999999999999999999999999999999999999999999999999999999999999"
         "9999999999999999999999999",
         0, NULL, "below 2^256"},
        {"0.0000000000000000001", 18, NULL, "at most 18 decimals"},
        {"1.0", 0, NULL, "at most 0 decimals"},
        {"1.00", 1, NULL, "found 2"},
        {"", 18, NULL, "in digits"},
        {".", 18, NULL, "in digits"},
        {"1.", 18, NULL, "in digits"},
        {".5", 18, NULL, "in digits"},
        {"1.2.3", 18, NULL, "in digits"},
        {"1..2", 18, NULL, "in digits"},
        {"1,5", 18, NULL, "in digits"},
        {"1e3", 18, NULL, "in digits"},
        {"-1", 18, NULL, "in digits"},
        {"+1", 18, NULL, "in digits"},
        {" 1", 18, NULL, "in digits"},
        {"1 ", 18, NULL, "in digits"},
        {"0x1", 18, NULL, "in digits"},
        {"inf", 18, NULL, "in digits"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        cv_u256 v = cv_u256_of(77), before = v;
        cv_err err = {0};
        char text[CV_UNITS_TEXT];
        int rc = cv_u256_from_units(&v, table[i].text, table[i].decimals, &err);
        if (table[i].is) {
            assert_int_equal(rc, 0);
            cv_u256_units(text, &v, 0);
            assert_string_equal(text, table[i].is);
            continue;
        }
        if (rc != CV_ERR_INPUT || !strstr(err.text, table[i].says))
            fail_msg("\"%s\": %d %s", table[i].text, rc, err.text);
        assert_memory_equal(&v, &before, sizeof v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_differences),
        cmocka_unit_test(products_and_quotients),
        cmocka_unit_test(texts_there_and_back),
        cmocka_unit_test(words_of_64_bits),
        cmocka_unit_test(strange_quantities_are_refused),
        cmocka_unit_test(amounts_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Networks, and what a transaction on them may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "chain/fees.h"

static const cv_network net = {
    .name = "test", .tip_floor = 100, .tip_cap = 1000, .fee_cap = 10000};

static int choose(uint64_t *tip, uint64_t *max_fee, uint64_t base,
                  uint64_t advice, const cv_fees *before)
{
    cv_fees out = {cv_u256_of(7), cv_u256_of(7)};
    cv_u256 b = cv_u256_of(base), a = cv_u256_of(advice);
    int rc = cv_fees_choose(&out, &net, &b, &a, before);
    assert_int_equal(cv_u256_to_u64(tip, &out.tip), 0);
    assert_int_equal(cv_u256_to_u64(max_fee, &out.max_fee), 0);
    if (rc) /* untouched */
        assert_true(*tip == 7 && *max_fee == 7);
    return rc;
}

static void first_offers(void **state)
{
    (void)state;
    static const struct {
        uint64_t base, advice, tip, max_fee; /* tip 0: wait */
    } table[] = {
        {0, 0, 100, 100},          {50, 0, 100, 200},
        {50, 99, 100, 200},        {50, 100, 100, 200},
        {50, 101, 101, 201},       {50, 1000, 1000, 1100},
        {50, 1001, 1000, 1100},    {50, UINT64_MAX, 1000, 1100},
        {4950, 0, 100, 10000},     {4951, 0, 0, 0},
        {4500, 1000, 1000, 10000}, {4501, 1000, 0, 0},
        {UINT64_MAX, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint64_t tip, max_fee;
        int rc = choose(&tip, &max_fee, table[i].base, table[i].advice, NULL);
        assert_int_equal(rc, table[i].tip == 0);
        if (!rc) {
            assert_int_equal(tip, table[i].tip);
            assert_int_equal(max_fee, table[i].max_fee);
        }
    }
}

static void replacements_offer_an_eighth_more(void **state)
{
    (void)state;
    static const struct {
        uint64_t old_tip, old_fee, base, advice, tip, max_fee;
    } table[] = {
        {800, 8000, 0, 0, 900, 9000},    /* both exact */
        {801, 8001, 0, 0, 902, 9002},    /* both rounded up */
        {100, 200, 50, 0, 113, 225},     /* 112.5; 225 > 2 x 50 + 113 */
        {100, 200, 500, 0, 113, 1113},   /* the market has moved more */
        {100, 200, 500, 300, 300, 1300}, /* so has the advice */
        {1000, 2000, 0, 0, 1125, 2250},  /* above the tip cap */
        {1, 1, 0, 0, 100, 100},          /* the floor holds */
        {800, 8888, 0, 0, 900, 9999},
        {800, 8889, 0, 0, 0, 0}, /* 10,001: above the fee cap */
        {8888, 8888, 0, 0, 9999, 9999},
        {8888, 8888, 1, 0, 0, 0}, /* 2 + 9,999 */
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_fees before = {cv_u256_of(table[i].old_tip),
                          cv_u256_of(table[i].old_fee)};
        uint64_t tip, max_fee;
        int rc =
            choose(&tip, &max_fee, table[i].base, table[i].advice, &before);
        assert_int_equal(rc, table[i].tip == 0);
        if (!rc) {
            assert_int_equal(tip, table[i].tip);
            assert_int_equal(max_fee, table[i].max_fee);
        }
    }
}

/* No operand of 256 bits may wrap round into something cheap. */
static void huge_values_mean_wait(void **state)
{
    (void)state;
    cv_u256 huge, zero = cv_u256_of(0), half = {{0x80}};
    memset(huge.b, 0xff, sizeof huge.b);
    cv_fees out, at_half = {zero, half}, at_end = {zero, huge},
                 tip_end = {huge, zero};
    assert_int_equal(cv_fees_choose(&out, &net, &huge, &zero, NULL), 1);
    assert_int_equal(cv_fees_choose(&out, &net, &half, &zero, NULL), 1);
    assert_int_equal(cv_fees_choose(&out, &net, &zero, &zero, &at_half), 1);
    assert_int_equal(cv_fees_choose(&out, &net, &zero, &zero, &at_end), 1);
    assert_int_equal(cv_fees_choose(&out, &net, &zero, &zero, &tip_end), 1);
    /* Hostile advice alone is only cut. */
    assert_int_equal(cv_fees_choose(&out, &net, &zero, &huge, NULL), 0);
}

static void the_table_of_networks(void **state)
{
    (void)state;
    size_t n = 0;
    for (; cv_network_names[n]; n++) {
        const cv_network *a = cv_network_find(cv_network_names[n]);
        assert_non_null(a);
        assert_string_equal(a->name, cv_network_names[n]);
        assert_true(a->tip_floor <= a->tip_cap && a->tip_cap <= a->fee_cap);
        assert_true(
            a->chain_id == 0 ||
            (a->confirmations >= 0 && a->block_seconds > 0 && a->tip_floor > 0));
        /* Simulated runs must not reach money. */
        assert_int_equal(a->test_money, strcmp(a->name, "local") == 0);
    }
    assert_int_equal(n, 4);
    assert_int_equal(cv_network_find("none")->chain_id, 0);
    assert_int_equal(cv_network_find("local")->chain_id, 31337);
    assert_int_equal(cv_network_find("base-sepolia")->chain_id, 84532);
    assert_int_equal(cv_network_find("base")->chain_id, 8453);
    assert_null(cv_network_find("base-sepoli"));
    assert_null(cv_network_find("Base"));
    assert_null(cv_network_find(""));
}

/* Base's least base fee: the floor is what is offered, at any advice of 0. */
static void base_in_a_quiet_hour(void **state)
{
    (void)state;
    cv_u256 base = cv_u256_of(5000000), none = cv_u256_of(0);
    uint64_t tip, max_fee;
    cv_fees out;
    assert_int_equal(
        cv_fees_choose(&out, cv_network_find("base"), &base, &none, NULL), 0);
    assert_int_equal(cv_u256_to_u64(&tip, &out.tip), 0);
    assert_int_equal(cv_u256_to_u64(&max_fee, &out.max_fee), 0);
    assert_int_equal(tip, 100000);
    assert_int_equal(max_fee, 10100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_offers),
        cmocka_unit_test(replacements_offer_an_eighth_more),
        cmocka_unit_test(huge_values_mean_wait),
        cmocka_unit_test(the_table_of_networks),
        cmocka_unit_test(base_in_a_quiet_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

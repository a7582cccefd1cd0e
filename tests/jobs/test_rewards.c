/* Sharing out: exact, by largest remainder, with caps; Shapley values against
 * all orders of joining.  tests/vectors/rewards.csv is from rewards.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/rand.h"
#include "jobs/rewards.h"

enum { MOST = 8 };

static cv_u256 units(const char *text)
{
    cv_u256 v;
    cv_err err = {0};
    assert_int_equal(cv_u256_from_units(&v, text, 0, &err), 0);
    return v;
}

static void is(const cv_u256 *v, const char *want)
{
    char text[CV_UNITS_TEXT];
    cv_u256_units(text, v, 0);
    assert_string_equal(text, want);
}

static void split_is(const char *pool, const int64_t *basis, int n,
                     uint32_t cap, const char *const *want)
{
    cv_u256 amount[MOST], all = units(pool);
    cv_err err = {0};
    assert_int_equal(cv_rewards_split(amount, &all, basis, n, cap, &err), 0);
    for (int i = 0; i < n; i++)
        is(&amount[i], want[i]);
}

#define SPLIT(pool, cap, basis, ...)                                           \
    split_is(pool, basis, (int)(sizeof(basis) / sizeof(int64_t)), cap,         \
             (const char *const[]){__VA_ARGS__})

static void by_largest_remainder(void **state)
{
    (void)state;
    SPLIT("100", 1000000, ((const int64_t[]){1, 1, 1}), "34", "33", "33");
    SPLIT("101", 1000000, ((const int64_t[]){1, 1, 1}), "34", "34", "33");
    SPLIT("10", 1000000, ((const int64_t[]){1, 2, 4}), "1", "3", "6");
    SPLIT("7", 1000000, ((const int64_t[]){0, 5, 0}), "0", "7", "0");
    SPLIT("2", 1000000, ((const int64_t[]){1, 1, 1, 1}), "1", "1", "0", "0");
    SPLIT("0", 1000000, ((const int64_t[]){1, 1}), "0", "0");
    SPLIT("1", 1000000, ((const int64_t[]){1, 3}), "0", "1");
}

static void caps(void **state)
{
    (void)state;
    /* What one loses to its cap goes to the others. */
    SPLIT("100", 500000, ((const int64_t[]){8, 1, 1}), "50", "25", "25");
    /* And may bring the next to its cap: two rounds, then three. */
    SPLIT("100", 400000, ((const int64_t[]){80, 15, 5}), "40", "40", "20");
    SPLIT("1000", 300000, ((const int64_t[]){800, 150, 30, 10}), "300", "300",
          "300", "100");
    /* All at the cap: the rest is paid to nobody. */
    SPLIT("100", 300000, ((const int64_t[]){1, 1, 1}), "30", "30", "30");
    /* A cap below one unit is nothing. */
    SPLIT("3", 300000, ((const int64_t[]){1, 1, 1, 1}), "0", "0", "0", "0");
    /* The cap is rounded down, and no remainder goes over it. */
    SPLIT("10", 340000, ((const int64_t[]){1, 1, 1}), "3", "3", "3");
    SPLIT("100", 0, ((const int64_t[]){1, 2}), "0", "0");
}

static void refuses(void **state)
{
    (void)state;
    cv_u256 amount[3], pool = units("100");
    cv_err err = {0};
    const int64_t none[] = {0, 0, 0}, below[] = {1, -1, 1},
                  large[] = {INT64_MAX, 1, 0};
    assert_int_equal(cv_rewards_split(amount, &pool, none, 3, 1000000, &err),
                     CV_ERR_NUMERIC);
    assert_int_equal(cv_rewards_split(amount, &pool, below, 3, 1000000, &err),
                     CV_ERR_NUMERIC);
    assert_int_equal(cv_rewards_split(amount, &pool, large, 3, 1000000, &err),
                     CV_ERR_NUMERIC);
    memset(pool.b, 0xff, sizeof pool.b);
    const int64_t two[] = {1, 1};
    assert_int_equal(cv_rewards_split(amount, &pool, two, 2, 1000000, &err),
                     CV_ERR_NUMERIC);
    /* Room for the cap, none for so large numbers. */
    pool.b[0] = pool.b[1] = pool.b[2] = 0;
    assert_int_equal(cv_rewards_split(amount, &pool, two, 2, 1000000, &err), 0);
    const int64_t many[] = {INT64_C(1) << 40, 1};
    assert_int_equal(cv_rewards_split(amount, &pool, many, 2, 1000000, &err),
                     CV_ERR_NUMERIC);
}

/* pool;cap;basis...;amount... of a plain implementation in Python's integers. */
static void as_python_has_it(void **state)
{
    (void)state;
    char path[600], line[2000];
    int rows = 0;
    snprintf(path, sizeof path, "%.*s/../vectors/rewards.csv",
             (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char *save = NULL, *field = strtok_r(line, ",\n", &save);
        char *want[MOST];
        int64_t basis[MOST];
        cv_u256 amount[MOST], pool, sum = cv_u256_of(0);
        cv_err err = {0};
        if (!field || *field == '#')
            continue;
        int n = atoi(field);
        assert_in_range(n, 1, MOST);
        pool = units(strtok_r(NULL, ",\n", &save));
        uint32_t cap = (uint32_t)atol(strtok_r(NULL, ",\n", &save));
        for (int i = 0; i < n; i++)
            basis[i] = atoll(strtok_r(NULL, ",\n", &save));
        for (int i = 0; i < n; i++)
            assert_non_null(want[i] = strtok_r(NULL, ",\n", &save));
        assert_int_equal(cv_rewards_split(amount, &pool, basis, n, cap, &err),
                         0);
        for (int i = 0; i < n; i++) {
            is(&amount[i], want[i]);
            assert_int_equal(cv_u256_add(&sum, &sum, &amount[i]), 0);
            for (int k = 0; k < n; k++) /* who counts more gets no less */
                if (basis[i] > basis[k])
                    assert_true(cv_u256_cmp(&amount[i], &amount[k]) >= 0);
        }
        assert_true(cv_u256_cmp(&sum, &pool) <= 0);
        if (cap == 1000000)
            assert_int_equal(cv_u256_cmp(&sum, &pool), 0);
        rows++;
    }
    fclose(f);
    assert_true(rows > 100);
}

/* ---- groups, Shapley ---------------------------------------------------------------- */

static void groups_are_as_equal_as_can_be(void **state)
{
    (void)state;
    for (int n = 1; n <= 40; n++)
        for (int groups = 1; groups <= n && groups <= 8; groups++) {
            int size[8] = {0}, last = 0;
            for (int i = 0; i < n; i++) {
                int g = cv_rewards_group(i, n, groups);
                assert_in_range(g, last, last + 1); /* consecutive */
                assert_in_range(g, 0, groups - 1);
                last = g;
                size[g]++;
            }
            for (int g = 0; g < groups; g++)
                assert_in_range(size[g], n / groups, (n + groups - 1) / groups);
        }
}

/* What each adds when it joins, over all orders of joining, one by one. */
static void walk(int64_t *sum, const int64_t *value, int groups, int *order,
                 int at, int in)
{
    if (at == groups) {
        int now = 0;
        for (int k = 0; k < groups; k++) {
            sum[order[k]] += value[now | 1 << order[k]] - value[now];
            now |= 1 << order[k];
        }
        return;
    }
    for (int g = 0; g < groups; g++)
        if (!(in >> g & 1)) {
            order[at] = g;
            walk(sum, value, groups, order, at + 1, in | 1 << g);
        }
}

static void against_all_orders(void **state)
{
    (void)state;
    cv_stream stream;
    cv_stream_open(&stream, 7, "shapley", 0, 0);
    for (int groups = 2; groups <= 5; groups++)
        for (int trial = 0; trial < 40; trial++) {
            int64_t value[32], want[5] = {0}, basis[5], total = 0, sum = 0;
            int64_t orders = 1;
            int order[5], below = 0;
            for (int s = 0; s < 1 << groups; s++)
                value[s] =
                    (int64_t)cv_stream_below(&stream, 1000) +
                    (trial % 2 ? 0 : 1000 * __builtin_popcount((unsigned)s));
            for (int k = 2; k <= groups; k++)
                orders *= k;
            walk(want, value, groups, order, 0, 0);
            cv_rewards_shapley(basis, value, groups, groups);
            for (int g = 0; g < groups; g++) {
                below |= want[g] < 0;
                assert_int_equal(basis[g], want[g] > 0 ? want[g] : 0);
                sum += basis[g];
            }
            total = orders * (value[(1 << groups) - 1] - value[0]);
            if (!below)
                assert_int_equal(sum, total); /* efficiency */
        }
    cv_stream_close(&stream);
}

static void symmetry_and_dummies(void **state)
{
    (void)state;
    /* Groups 0 and 1 add the same to everything, group 2 nothing. */
    int64_t value[8], basis[3];
    for (int s = 0; s < 8; s++)
        value[s] = 10 + 5 * (s & 1) + 5 * (s >> 1 & 1) + 3 * ((s & 3) == 3);
    cv_rewards_shapley(basis, value, 3, 3);
    assert_int_equal(basis[0], basis[1]);
    assert_int_equal(basis[2], 0);
    assert_int_equal(basis[0] + basis[1], 6 * 13);
}

/* Members of a group get equal parts, and a group its value, whatever its size. */
static void a_group_is_shared_equally(void **state)
{
    (void)state;
    const int64_t value[4] = {0, 30, 30, 60};
    for (int n = 2; n <= 13; n++) {
        int64_t basis[13], part[2] = {0};
        cv_rewards_shapley(basis, value, n, 2);
        for (int i = 0; i < n; i++) {
            int g = cv_rewards_group(i, n, 2);
            part[g] += basis[i];
            for (int k = 0; k < n; k++)
                if (cv_rewards_group(k, n, 2) == g)
                    assert_int_equal(basis[i], basis[k]);
        }
        assert_true(part[0] > 0);
        assert_int_equal(part[0], part[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_largest_remainder),
        cmocka_unit_test(caps),
        cmocka_unit_test(refuses),
        cmocka_unit_test(as_python_has_it),
        cmocka_unit_test(groups_are_as_equal_as_can_be),
        cmocka_unit_test(against_all_orders),
        cmocka_unit_test(symmetry_and_dummies),
        cmocka_unit_test(a_group_is_shared_equally),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

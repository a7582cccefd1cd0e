#include "io/level_map.h"
#include "tests/io/data_fixture.h"

static void test_by_value(void **state)
{
    (void)state;
    static const struct {
        int wide;
        double v;
        int32_t level;
    } cases[] = {
        {0, (double)0.1f, 0}, {0, (double)2.5f, 1}, {0, 16777216, 2},
        {0, 3, -1},           {1, 0.1, 0},          {1, (double)0.1f, 0},
        {1, 0.10000001, -1},  {1, 2.5, 1},          {1, 16777217, 2},
        {1, 16777216, -1}, /* another one: no float for both */
        {1, 1e300, -1},       {1, -1, -1}};
    char *levels[] = {"0.1", "2.5", "16777217", "text"};
    cv_feature agreed = {
        .type = CV_FEATURE_CATEGORY, .n_levels = 4, .levels = levels};
    cv_column numbers = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_level_map map;
        cv_level_map_make(&map, &numbers, &agreed, cases[i].wide);
        int32_t found = cv_level_map_find(&map, cases[i].v);
        if (found != cases[i].level)
            print_message("%zu: %d\n", i, found);
        assert_int_equal(found, cases[i].level);
        cv_level_map_free(&map);
    }
}

/* "0", "1", ... need no search, and other values are none of them. */
static void test_identity(void **state)
{
    (void)state;
    char *levels[] = {"0", "1", "2"};
    cv_feature agreed = {
        .type = CV_FEATURE_CATEGORY, .n_levels = 3, .levels = levels};
    cv_column numbers = {0};
    for (int wide = 0; wide < 2; wide++) {
        cv_level_map map;
        cv_level_map_make(&map, &numbers, &agreed, wide);
        assert_true(map.identity);
        assert_int_equal(cv_level_map_find(&map, 2), 2);
        assert_int_equal(cv_level_map_find(&map, 1.5), -1);
        assert_int_equal(cv_level_map_find(&map, 3), -1);
        assert_int_equal(cv_level_map_find(&map, 1e300), -1);
        cv_level_map_free(&map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_value),
                                       cmocka_unit_test(test_identity)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

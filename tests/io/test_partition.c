#include "io/partition.h"
#include "tests/io/data_fixture.h"

enum { ROWS = 60000, CLASSES = 10 };

/* Labels as in a shuffled file. */
static float *labels(void)
{
    float *y = CV_NEW(ROWS, float);
    uint64_t s = 5;
    for (int i = 0; i < ROWS; i++)
        y[i] = (float)(next_random(&s) >> 32) / 4294967296.0f < 0.5f
                   ? (float)(i % CLASSES)
                   : (float)((i * 7) % CLASSES);
    return y;
}

static void test_every_row_once_and_the_same_again(void **state)
{
    (void)state;
    static const int silos[] = {1, 2, 4, 10000, 60000, 70000};
    float *y = labels();
    int32_t *a = CV_NEW(ROWS, int32_t), *b = CV_NEW(ROWS, int32_t);
    for (int kind = 0; kind <= CV_PARTITION_SHARDS; kind++)
        for (size_t k = 0; k < sizeof silos / sizeof *silos; k++) {
            memset(a, 0xff, ROWS * sizeof *a);
            memset(b, 0xff, ROWS * sizeof *b);
            cv_partition_rows(a, y, ROWS, silos[k], kind, 0.5, 42);
            cv_partition_rows(b, y, ROWS, silos[k], kind, 0.5, 42);
            assert_memory_equal(a, b, ROWS * sizeof *a);
            for (int i = 0; i < ROWS; i++)
                assert_true(a[i] >= 0 && a[i] < silos[k]);
            cv_partition_rows(b, y, ROWS, silos[k], kind, 0.5, 43);
            if (kind == CV_PARTITION_MODULO || silos[k] == 1)
                assert_memory_equal(a, b, ROWS * sizeof *a);
            else
                assert_memory_not_equal(a, b, ROWS * sizeof *a);
        }
    cv_partition_rows(a, y, 0, 4, CV_PARTITION_IID, 0.5, 1);
    cv_partition_rows(a, y, 0, 4, CV_PARTITION_DIRICHLET, 0.5, 1);
    cv_partition_rows(a, y, 0, 4, CV_PARTITION_SHARDS, 0.5, 1);
    free(a);
    free(b);
    free(y);
}

static void test_modulo_and_iid(void **state)
{
    (void)state;
    int32_t *silo = CV_NEW(ROWS, int32_t);
    cv_partition_rows(silo, NULL, ROWS, 7, CV_PARTITION_MODULO, 0, 1);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(silo[i], i % 7);
    cv_partition_rows(silo, NULL, ROWS, 7, CV_PARTITION_IID, 0, 1);
    int count[7] = {0}, together = 0;
    for (int i = 0; i < ROWS; i++)
        count[silo[i]]++;
    for (int k = 0; k < 7; k++)
        assert_in_range(count[k], ROWS / 7, ROWS / 7 + 1);
    for (int i = 1; i < ROWS;
         i++) /* neighbours are no more alike than chance */
        together += silo[i] == silo[i - 1];
    assert_in_range(together, ROWS / 7 - 500, ROWS / 7 + 500);
    free(silo);
}

/* Share of the largest class in each silo, averaged over silos. */
static double skew(const int32_t *silo, const float *y, int n_silos)
{
    double sum = 0;
    for (int s = 0; s < n_silos; s++) {
        int count[CLASSES] = {0}, total = 0, most = 0;
        for (int i = 0; i < ROWS; i++)
            if (silo[i] == s) {
                count[(int)y[i]]++;
                total++;
            }
        for (int c = 0; c < CLASSES; c++)
            most = count[c] > most ? count[c] : most;
        sum += total ? (double)most / total : 0;
    }
    return sum / n_silos;
}

static void test_dirichlet_skews_labels(void **state)
{
    (void)state;
    float *y = labels();
    int32_t *silo = CV_NEW(ROWS, int32_t);
    static const double alpha[] = {1e6, 0.5, 0.05, 1e-300};
    double s[4];
    for (int k = 0; k < 4; k++) {
        cv_partition_rows(silo, y, ROWS, 4, CV_PARTITION_DIRICHLET, alpha[k],
                          42);
        s[k] = skew(silo, y, 4);
    }
    assert_true(s[0] < 0.13);               /* as good as iid */
    assert_true(s[1] > 0.18 && s[1] < 0.6); /* alpha 0.5, 4 silos: about 0.27 */
    assert_true(s[2] > s[1]);
    /* alpha -> 0: each class in one silo only */
    int at[CLASSES], one = 1;
    memset(at, 0xff, sizeof at);
    for (int i = 0; i < ROWS; i++) {
        int c = (int)y[i];
        one &= at[c] < 0 || at[c] == silo[i];
        at[c] = silo[i];
    }
    assert_true(one);
    free(silo);
    free(y);
}

/* The law: for symmetric Dirichlet(a) over n silos a share has mean 1/n and
 * variance (n - 1) / (n^2 (n a + 1)). */
static void test_dirichlet_moments(void **state)
{
    (void)state;
    enum { N = 2000, SILOS = 4, SEEDS = 2000 };
    static const double alpha[] = {0.5, 2.0};
    float *y = CV_NEW(N, float);
    int32_t *silo = CV_NEW(N, int32_t);
    for (int k = 0; k < 2; k++) {
        double sum = 0, squares = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            int n = 0;
            cv_partition_rows(silo, y, N, SILOS, CV_PARTITION_DIRICHLET,
                              alpha[k], (uint64_t)seed);
            for (int i = 0; i < N; i++)
                n += silo[i] == 1;
            sum += (double)n / N;
            squares += (double)n / N * n / N;
        }
        double mean = sum / SEEDS, var = squares / SEEDS - mean * mean;
        double expect = 3.0 / 16.0 / (SILOS * alpha[k] + 1.0);
        assert_true(fabs(mean - 0.25) < 0.02);
        assert_true(fabs(var / expect - 1.0) < 0.15);
    }
    free(silo);
    free(y);
}

static void test_shards(void **state)
{
    (void)state;
    enum { SILOS = 100 };
    float *y = labels();
    int32_t *silo = CV_NEW(ROWS, int32_t);
    cv_partition_rows(silo, y, ROWS, SILOS, CV_PARTITION_SHARDS, 0, 42);
    int count[SILOS] = {0}, classes[SILOS] = {0};
    char has[SILOS][CLASSES] = {{0}};
    for (int i = 0; i < ROWS; i++) {
        count[silo[i]]++;
        classes[silo[i]] += !has[silo[i]][(int)y[i]];
        has[silo[i]][(int)y[i]] = 1;
    }
    double mean = 0;
    for (int s = 0; s < SILOS; s++) {
        assert_int_equal(count[s], ROWS / SILOS);
        assert_in_range(classes[s], 1, 4); /* two shards, two classes at most */
        mean += classes[s] / (double)SILOS;
    }
    assert_true(mean < 2.4);
    free(silo);
    free(y);
}

/* Values that are not 0..K-1, negative ones, NaN: distinct values are classes.
 */
static void test_odd_labels(void **state)
{
    (void)state;
    static const float value[] = {-1e30f, -2.5f, -0.0f, 0.0f, 1e-40f, 7, NAN};
    enum { N = 7000 };
    float *y = CV_NEW(N, float);
    int32_t *silo = CV_NEW(N, int32_t);
    for (int i = 0; i < N; i++)
        y[i] = value[i % 7];
    cv_partition_rows(silo, y, N, 3, CV_PARTITION_SHARDS, 0, 9);
    int order = 0; /* 6 shards of 1,166 over classes of 1,000, zeros as one */
    for (int i = 0; i + 7 < N; i++)
        order += silo[i] != silo[i + 7];
    assert_in_range(order, 1, 12);
    for (uint64_t seed = 0; seed < 10; seed++) {
        cv_partition_rows(silo, y, N, 3, CV_PARTITION_DIRICHLET, 1e-300, seed);
        for (int i = 0; i + 7 < N; i++)
            assert_int_equal(silo[i], silo[i + 7]);
        assert_int_equal(silo[2], silo[3]); /* -0 and 0 are one class */
    }
    free(silo);
    free(y);
}

/* A regression here would break `covey run --resume` of simulated jobs. */
static void test_known_partition(void **state)
{
    (void)state;
    float y[8] = {0, 1, 0, 1, 0, 1, 0, 1};
    int32_t iid[8], dirichlet[8], shards[8];
    cv_partition_rows(iid, y, 8, 3, CV_PARTITION_IID, 0, 42);
    cv_partition_rows(dirichlet, y, 8, 3, CV_PARTITION_DIRICHLET, 2.0, 42);
    cv_partition_rows(shards, y, 8, 2, CV_PARTITION_SHARDS, 0, 42);
    static const int32_t expect[3][8] = {{1, 0, 1, 2, 0, 0, 2, 1},
                                         {2, 1, 2, 1, 0, 2, 2, 1},
                                         {1, 0, 1, 0, 0, 1, 0, 1}};
    const int32_t *found[3] = {iid, dirichlet, shards};
    for (int k = 0; k < 3; k++)
        assert_memory_equal(found[k], expect[k], sizeof expect[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_once_and_the_same_again),
        cmocka_unit_test(test_modulo_and_iid),
        cmocka_unit_test(test_dirichlet_skews_labels),
        cmocka_unit_test(test_dirichlet_moments),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_odd_labels),
        cmocka_unit_test(test_known_partition)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

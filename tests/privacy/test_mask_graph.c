/* The mask graph: complete when small, symmetric, dense enough, and connected
 * however the colluding ones are placed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "privacy/mask_graph.h"

static void small_rosters_are_complete(void **state)
{
    (void)state;
    uint8_t seed[32] = {1};
    int peers[32];
    for (int n = 2; n <= 32; n++) {
        assert_true(cv_mask_graph_p(n, n - 1 < 2 ? 2 : n - 1) == 1.0);
        for (int i = 0; i < n; i++) {
            assert_int_equal(cv_mask_graph_peers(peers, n, i, 1.0, seed),
                             n - 1);
            for (int k = 0; k < n - 1; k++)
                assert_int_equal(peers[k], k < i ? k : k + 1);
        }
    }
}

/* Isolated members dominate: h (1 - p)^(h - 1) is most of the bound. */
static void edges_are_as_many_as_needed(void **state)
{
    (void)state;
    static const int n[] = {33, 50, 100, 1000, 10000};
    for (int k = 0; k < 5; k++)
        for (int t = 0; t <= n[k] / 3; t += n[k] / 3) {
            int h = n[k] - t;
            double p = cv_mask_graph_p(n[k], h);
            double alone = log2((double)h) + (h - 1) * log1p(-p) / M_LN2;
            assert_true(alone <= -60.0);
            assert_true(alone > -61.5);
            printf("n %d, honest %d: %.1f masks each\n", n[k], h,
                   p * (n[k] - 1));
        }
}

static int find(int *root, int i)
{
    while (root[i] != i)
        i = root[i] = root[root[i]];
    return i;
}

static void graphs_are_symmetric_random_and_connected(void **state)
{
    (void)state;
    enum { N = 200, T = 60 };
    static uint8_t edge[N][N];
    double p = cv_mask_graph_p(N, N - T);
    size_t total = 0;
    uint8_t last[N] = {0};
    int same_as_last = 0;
    for (int g = 0; g < 50; g++) {
        uint8_t seed[32] = {(uint8_t)g, 7};
        int peers[N], root[N];
        memset(edge, 0, sizeof edge);
        for (int i = 0; i < N; i++) {
            int k = cv_mask_graph_peers(peers, N, i, p, seed);
            total += (size_t)k;
            for (int a = 0; a < k; a++) {
                assert_true(peers[a] != i && (!a || peers[a] > peers[a - 1]));
                edge[i][peers[a]] = 1;
            }
        }
        for (int i = 0; i < N; i++) {
            root[i] = i;
            for (int j = 0; j < N; j++)
                assert_int_equal(edge[i][j], edge[j][i]);
        }
        same_as_last += memcmp(last, edge[0], N) == 0;
        memcpy(last, edge[0], N);
        for (int i = T; i < N; i++) /* the first T collude */
            for (int j = T; j < N; j++)
                if (edge[i][j])
                    root[find(root, i)] = find(root, j);
        for (int i = T; i < N; i++)
            assert_int_equal(find(root, i), find(root, T));
    }
    double mean = (double)total / (50.0 * N), want = p * (N - 1);
    assert_true(fabs(mean - want) < 6.0 * sqrt(want / (50.0 * N)) + 0.05);
    assert_int_equal(same_as_last, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_rosters_are_complete),
        cmocka_unit_test(edges_are_as_many_as_needed),
        cmocka_unit_test(graphs_are_symmetric_random_and_connected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

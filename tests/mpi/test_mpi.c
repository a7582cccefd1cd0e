/* Communicators, agreement and sums; run under mpirun with 1 to 4 ranks. */
#include <math.h>
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "mpi/agree.h"
#include "mpi/fed.h"
#include "mpi/messages.h"
#include "mpi/reduce.h"

static int g_rank, g_size;

/* ---- who hosts what: pure ------------------------------------------------ */

static void check_places(const cv_fed_place *p, int size, int n_silos)
{
    int *seen = calloc((size_t)n_silos, sizeof *seen);
    for (int r = 0; r < size; r++) {
        assert_true(p[r].n_hosted >= 1 && p[r].n_parts >= 1);
        assert_true(p[r].part >= 0 && p[r].part < p[r].n_parts);
        assert_true(p[r].n_hosted == 1 || p[r].n_parts == 1);
        if (p[r].part == 0)
            for (int s = 0; s < p[r].n_hosted; s++)
                seen[p[r].first + s]++;
    }
    for (int s = 0; s < n_silos; s++)
        assert_int_equal(seen[s], 1); /* one leader each */
    assert_int_equal(p[0].part, 0);   /* rank 0 is the root: a leader */
    free(seen);
}

static void every_silo_has_one_leader(void **state)
{
    (void)state;
    cv_err e;
    cv_fed_place p[40];
    for (int size = 1; size <= 20; size++)
        for (int n = 1; n <= 25; n++) {
            assert_int_equal(cv_fed_assign(p, size, n, NULL, NULL, NULL, &e),
                             0);
            check_places(p, size, n);
        }
}

static void wishes_come_first(void **state)
{
    (void)state;
    cv_err e;
    cv_fed_place p[8];
    const int wish[] = {1, 3, 1};
    assert_int_equal(cv_fed_assign(p, 5, 3, wish, NULL, NULL, &e), 0);
    check_places(p, 5, 3);
    assert_int_equal(p[0].n_parts, 1);
    assert_int_equal(p[1].n_parts, 3);
    assert_int_equal(p[4].n_parts, 1);
    assert_int_equal(cv_fed_assign(p, 8, 3, wish, NULL, NULL, &e), 0);
    check_places(p, 8, 3);
    assert_int_equal(p[0].n_parts, 2); /* what is left goes round */
}

static void claims_are_all_or_none(void **state)
{
    (void)state;
    cv_err e;
    cv_fed_place p[4];
    const char *const names[] = {"north", "south"};
    const int ok[] = {1, 0, 1}, hole[] = {1, -1, 0}, missing[] = {1, 1, 1};
    assert_int_equal(cv_fed_assign(p, 3, 2, NULL, ok, names, &e), 0);
    check_places(p, 3, 2);
    assert_int_equal(p[0].first, 1);
    assert_int_equal(p[2].part, 1);
    assert_int_equal(cv_fed_assign(p, 3, 2, NULL, hole, names, &e),
                     CV_ERR_INPUT);
    assert_non_null(strstr(e.text, "rank 1"));
    assert_int_equal(cv_fed_assign(p, 3, 2, NULL, missing, names, &e),
                     CV_ERR_INPUT);
    assert_non_null(strstr(e.text, "north"));
}

/* ---- collective ------------------------------------------------------------
 */

static void the_world_is_split_as_assigned(void **state)
{
    (void)state;
    for (int n = 1; n <= 6; n++) {
        cv_fed fed;
        cv_err e;
        assert_int_equal(
            cv_fed_create_all(&fed, MPI_COMM_WORLD, n, NULL, -1, NULL, &e), 0);
        int size, leader = cv_fed_is_leader(&fed), leaders = 0, hosted;
        MPI_Comm_size(fed.silo, &size);
        assert_int_equal(size, fed.n_parts);
        assert_true((fed.leaders != MPI_COMM_NULL) == leader);
        MPI_Allreduce(&leader, &leaders, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
        assert_int_equal(leaders, n < g_size ? n : g_size);
        int mine = leader ? fed.n_hosted : 0;
        MPI_Allreduce(&mine, &hosted, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
        assert_int_equal(hosted, n);
        cv_fed_destroy_all(&fed);
    }
}

static void messages_reach_every_leader(void **state)
{
    (void)state;
    for (int n = 1; n <= 6; n++) {
        cv_fed fed;
        cv_err e;
        uint8_t mine[6][3], all[6][3];
        assert_int_equal(
            cv_fed_create_all(&fed, MPI_COMM_WORLD, n, NULL, -1, NULL, &e), 0);
        for (int s = 0; s < fed.n_hosted; s++)
            for (int k = 0; k < 3; k++)
                mine[s][k] = (uint8_t)(10 * (fed.first + s) + k);
        if (cv_fed_is_leader(&fed)) {
            cv_gather_messages_all(&fed, all, mine, 3);
            for (int i = 0; i < n; i++)
                for (int k = 0; k < 3; k++)
                    assert_int_equal(all[i][k], 10 * i + k);
        }
        cv_fed_destroy_all(&fed);
    }
    /* Claimed the other way round: by number of the silo, not of the rank. */
    cv_fed fed;
    cv_err e;
    int claim = g_size - 1 - g_rank, all[8];
    assert_int_equal(
        cv_fed_create_all(&fed, MPI_COMM_WORLD, g_size, NULL, claim, NULL, &e),
        0);
    cv_gather_messages_all(&fed, all, &claim, sizeof claim);
    for (int i = 0; i < g_size; i++)
        assert_int_equal(all[i], i);
    cv_fed_destroy_all(&fed);
}

static void the_lowest_failing_rank_is_heard(void **state)
{
    (void)state;
    for (int from = 0; from < g_size; from++) {
        cv_err e = {0};
        int rc = 0;
        if (g_rank >= from) {
            rc = cv_err_set(&e, g_rank == from ? CV_ERR_ENV : CV_ERR_INPUT,
                            "file", 7, "rank %d failed", g_rank);
            cv_err_site(&e, "secret %d", g_rank);
        }
        assert_int_equal(cv_agree_all(MPI_COMM_WORLD, rc, &e), CV_ERR_ENV);
        char want[40];
        snprintf(want, sizeof want, "rank %d failed", from);
        assert_string_equal(e.text, want);
        assert_int_equal(e.rank, from);
        assert_int_equal(e.line, 7);
        assert_string_equal(e.site, ""); /* never travels */
    }
    cv_err e = {0};
    assert_int_equal(cv_agree_all(MPI_COMM_WORLD, 0, &e), 0);
}

static void a_digest_that_differs_is_found(void **state)
{
    (void)state;
    uint8_t d[32] = {1, 2, 3};
    assert_int_equal(cv_same_digest_all(MPI_COMM_WORLD, d), 0);
    if (g_size < 2)
        return;
    d[31] = g_rank == g_size - 1;
    assert_int_equal(cv_same_digest_all(MPI_COMM_WORLD, d), g_size);
}

static void texts_of_any_length_travel(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, CV_CHUNK_BYTES - 1, CV_CHUNK_BYTES,
                                     3 * CV_CHUNK_BYTES + 5};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t n = lengths[i];
        char *want = cv_calloc(n + 1, 1), **all;
        memset(want, 'a' + (int)i, n);
        char *text = g_rank == 0 ? cv_strdup(want) : NULL;
        cv_bcast_text_all(MPI_COMM_WORLD, &text, 0);
        assert_string_equal(text, want);
        cv_gather_text_all(MPI_COMM_WORLD, text, &all, 0);
        if (g_rank == 0) {
            for (int r = 0; r < g_size; r++) {
                assert_string_equal(all[r], want);
                free(all[r]);
            }
            free(all);
        } else {
            assert_null(all);
        }
        free(text);
        free(want);
    }
}

static void sums_cross_chunk_borders(void **state)
{
    (void)state;
    static const size_t lengths[] = {0,
                                     1,
                                     CV_CHUNK_BYTES / 4 - 1,
                                     CV_CHUNK_BYTES / 4,
                                     CV_CHUNK_BYTES / 4 + 1,
                                     CV_CHUNK_BYTES};
    for (size_t c = 0; c < sizeof lengths / sizeof lengths[0]; c++) {
        size_t n = lengths[c];
        uint32_t *a = CV_NEW(n, uint32_t);
        uint64_t *b = CV_NEW(n, uint64_t);
        for (size_t i = 0; i < n; i++) {
            a[i] = (uint32_t)(i * 2654435761u) + (uint32_t)g_rank;
            b[i] = (uint64_t)a[i] << 31;
        }
        cv_sum_u32_all(MPI_COMM_WORLD, a, n);
        cv_sum_u64_all(MPI_COMM_WORLD, b, n);
        for (size_t i = 0; i < n; i++) {
            uint32_t want = 0;
            uint64_t want64 = 0;
            for (int r = 0; r < g_size; r++) {
                uint32_t x = (uint32_t)(i * 2654435761u) + (uint32_t)r;
                want += x;
                want64 += (uint64_t)x << 31;
            }
            assert_true(a[i] == want && b[i] == want64);
        }
        free(a);
        free(b);
    }
}

/* The sum over silos is one set of bytes, whoever hosts them: compared with
 * the same call on a communicator of one rank. */
static void silo_sums_do_not_depend_on_hosting(void **state)
{
    (void)state;
    enum { SILOS = 9, K = 5 };
    double all[SILOS * K], want[K], got[K], gathered[SILOS * K];
    cv_stream s;
    cv_stream_open(&s, 21, "silo sums", 0, 0);
    for (int i = 0; i < SILOS * K; i++)
        all[i] = cv_stream_normal(&s) * pow(10.0, 3 * (i % K) - 6);
    cv_stream_close(&s);
    all[3 * K + 4] = 0.0;
    cv_fed one, fed;
    cv_err e;
    cv_fed_create_all(&one, MPI_COMM_SELF, SILOS, NULL, -1, NULL, &e);
    cv_sum_silos_all(&one, want, all, K);
    for (int j = 0; j < K; j++) {
        double plain = 0.0, size = 0.0;
        for (int i = 0; i < SILOS; i++) {
            plain += all[i * K + j];
            size = fmax(size, fabs(all[i * K + j]));
        }
        assert_true(fabs(plain - want[j]) <= 1e-15 * SILOS * size);
    }
    cv_fed_create_all(&fed, MPI_COMM_WORLD, SILOS, NULL, -1, NULL, &e);
    cv_sum_silos_all(&fed, got, all + fed.first * K, K);
    assert_memory_equal(want, got, sizeof want);
    cv_gather_silos_all(&fed, gathered, all + fed.first * K, K);
    assert_memory_equal(gathered, all, sizeof all);
    all[7 * K + 2] = NAN; /* a column that cannot be summed says so */
    cv_sum_silos_all(&fed, got, all + fed.first * K, K);
    assert_true(isnan(got[2]) && got[1] == want[1]);
    cv_fed_destroy_all(&one);
    cv_fed_destroy_all(&fed);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &g_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &g_size);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_silo_has_one_leader),
        cmocka_unit_test(wishes_come_first),
        cmocka_unit_test(claims_are_all_or_none),
        cmocka_unit_test(the_world_is_split_as_assigned),
        cmocka_unit_test(messages_reach_every_leader),
        cmocka_unit_test(the_lowest_failing_rank_is_heard),
        cmocka_unit_test(a_digest_that_differs_is_found),
        cmocka_unit_test(texts_of_any_length_travel),
        cmocka_unit_test(sums_cross_chunk_borders),
        cmocka_unit_test(silo_sums_do_not_depend_on_hosting),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}

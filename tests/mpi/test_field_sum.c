/* Field sums over ranks; run under mpirun with 1 to 4 ranks. */
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "mpi/reduce.h"
#include "privacy/field.h"

static int g_rank, g_size;

/* Words of any rank, so that every rank can do the sum by itself; some as
 * large as they can be. */
static void fill(void *x, int rank, size_t n, int wide)
{
    uint32_t *a = x;
    uint64_t *b = x;
    cv_stream s;
    cv_stream_open(&s, 12, "field sum", (uint64_t)rank, (uint64_t)wide);
    for (size_t i = 0; i < n; i++) {
        uint64_t p = wide ? CV_P61 : CV_P32;
        uint64_t w = i % 7 ? cv_stream_below(&s, p) : p - 1;
        if (wide)
            b[i] = w;
        else
            a[i] = (uint32_t)w;
    }
    cv_stream_close(&s);
}

typedef struct {
    const uint8_t *sum, *want;
    size_t size, next, calls;
} pieces;

/* Pieces come in order, without gaps, and hold their sum already. */
static void take(void *context, size_t first, size_t n)
{
    pieces *p = context;
    assert_int_equal(first, p->next);
    assert_true(n > 0 && n * p->size <= CV_PIECE_BYTES);
    assert_memory_equal(p->sum + first * p->size, p->want + first * p->size,
                        n * p->size);
    p->next += n;
    p->calls++;
}

static void check_length(size_t n, int wide)
{
    size_t size = wide ? 8 : 4, bytes = n * size;
    cv_add_fn add = wide ? cv_f61_sum : cv_f32_sum;
    uint8_t *mine = cv_calloc(n, size), *kept = cv_calloc(n, size);
    uint8_t *want = cv_calloc(n, size), *got = cv_calloc(n, size);
    for (int r = 0; r < g_size; r++) {
        fill(kept, r, n, wide);
        add(want, kept, n);
    }
    fill(mine, g_rank, n, wide);
    memcpy(kept, mine, bytes);

    memset(got, 0xee, bytes);
    cv_sum_words_all(MPI_COMM_WORLD, got, mine, n, size, add);
    assert_memory_equal(got, want, bytes);
    assert_memory_equal(mine, kept, bytes);
    assert_true(wide ? cv_f61_canonical((uint64_t *)(void *)got, n)
                     : cv_f32_canonical((uint32_t *)(void *)got, n));

    memset(got, 0xee, bytes);
    pieces p = {got, want, size, 0, 0};
    cv_sum_pieces_all(MPI_COMM_WORLD, got, mine, n, size, add, take, &p);
    assert_int_equal(p.next, n);
    assert_int_equal(p.calls, (bytes + CV_PIECE_BYTES - 1) / CV_PIECE_BYTES);
    assert_memory_equal(mine, kept, bytes);

    cv_sum_words_all(MPI_COMM_WORLD, mine, mine, n, size, add); /* in place */
    assert_memory_equal(mine, want, bytes);
    free(mine);
    free(kept);
    free(want);
    free(got);
}

static void field_sums_are_local_sums(void **state)
{
    (void)state;
    static const size_t bytes[] = {0,
                                   8,
                                   CV_CHUNK_BYTES - 8,
                                   CV_CHUNK_BYTES,
                                   CV_CHUNK_BYTES + 8,
                                   CV_PIECE_BYTES + 8,
                                   2 * CV_PIECE_BYTES + 3 * CV_CHUNK_BYTES +
                                       24};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        for (int wide = 0; wide < 2; wide++)
            check_length(bytes[i] / (wide ? 8 : 4), wide);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &g_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &g_size);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(field_sums_are_local_sums),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}

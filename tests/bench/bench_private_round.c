/* A private round without training, against a bare MPI_Allreduce of as many
 * 32-bit words, taken in turns:
 *     mpirun -n 4 build/tests/bench/bench_private_round [n]
 * One silo per rank. A row adds to the one before: masks; commitment, H(S) and
 * linear check; noise.
 *
 * What is timed is the communication part of a round, from the trained update
 * to the new model: grid, encode, masks of all peers, field sum, canonical test,
 * decode, server step and the checks of the model. Not in it: the key agreement
 * and the roster, signatures. Their place is held by an MPI_Allgather of 128
 * bytes a rank where the protocol has one: commitments, H(S), values of the
 * check. */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/rand.h"
#include "mpi/reduce.h"
#include "privacy/commit.h"
#include "privacy/discrete_gaussian.h"
#include "privacy/field.h"
#include "privacy/lincheck.h"
#include "privacy/mask.h"
#include "privacy/masked.h"
#include "privacy/quantise.h"
#include "solver/params.h"
#include "solver/strategy.h"
#include "tests/bench/ranks.h"

enum { REPEAT = 11, MESSAGE = 128, MAX_RANKS = 64 };

enum { P_MASK, P_SUM, P_CHECK, P_STEP, PARTS };
static const char *const part_names[PARTS] = {"grid and masking", "sum",
                                              "check", "decode and step"};

typedef struct {
    const char *name;
    int check;
    double sigma; /* grid units; 0: no noise */
    int ahead;    /* noise drawn before the clock starts */
    int record;   /* the round's proof: digest of the new model */
    double limit; /* 0: none */
} row;

static const row rows[] = {
    {"masks only", 0, 0.0, 0, 0, 3.0},
    {"masks + check", 1, 0.0, 0, 0, 4.0},
    {"masks + check + record", 1, 0.0, 0, 1, 0.0},
    {"masks + check + noise 256", 1, 256.0, 0, 0, 5.0},
    {"masks + check + noise 27,000", 1, 27000.0, 0, 0, 8.0},
    {"the same, noise drawn ahead", 1, 27000.0, 1, 0, 0.0},
};
enum { ROWS = sizeof rows / sizeof *rows };

typedef struct {
    float *w, *delta, *mean;
    uint32_t *y, *sum;
    int32_t *noise;
    size_t n;
    int rank, size;
    cv_mask_peer peer[MAX_RANKS];
    uint8_t noise_key[32];
} round_buffers;

typedef struct {
    double best, part[PARTS]; /* s, of the slowest rank; of rank 0 */
} timing;

/* A message of every silo, at every silo. */
static void exchange(uint8_t all[MAX_RANKS][MESSAGE], const void *mine,
                     size_t n)
{
    uint8_t message[MESSAGE] = {0};
    memcpy(message, mine, n);
    MPI_Allgather(message, MESSAGE, MPI_BYTE, all, MESSAGE, MPI_BYTE,
                  MPI_COMM_WORLD);
}

static int grid(const round_buffers *b, double weight, double sigma)
{
    double top = (double)cv_max_abs(b->delta, b->n) * weight;
    cv_max_f64_all(MPI_COMM_WORLD, &top, 1);
    int e = cv_grid_exponent(CV_NO_EXPONENT, top, b->size, 0);
    return sigma > 0.0 ? e + 1 : e; /* room for the noise */
}

static cv_dgauss *sampler(double sigma)
{
    cv_dgauss *d;
    cv_err err;
    CV_CHECK(cv_dgauss_create(cv_variance_at_least(sigma), 0, &d, &err) == 0);
    return d;
}

static void draw_ahead(const round_buffers *b, double sigma)
{
    cv_dgauss *d = sampler(sigma);
    memset(b->noise, 0, b->n * sizeof *b->noise);
    cv_dgauss_add_i32(d, b->noise, b->n, b->noise_key, 0);
    cv_dgauss_destroy(&d);
}

/* y = q + noise + masks, and its commitment. */
static void mask(const round_buffers *b, const row *r, int e, uint8_t root[32])
{
    cv_dgauss *d = r->sigma > 0.0 && !r->ahead ? sampler(r->sigma) : NULL;
    cv_masking m = {.factor = 1.0 / b->size,
                    .exponent = e,
                    .noise = d,
                    .noise_key = b->noise_key,
                    .masker = cv_masker_create(b->peer, b->size - 1),
                    .masked = r->check ? cv_commit_create() : NULL};
    cv_masked_u32(&m, b->y, b->delta, r->ahead ? b->noise : NULL, b->n);
    if (r->check)
        cv_commit_root(m.masked, root);
    cv_commit_destroy(&m.masked);
    cv_masker_destroy(&m.masker);
    cv_dgauss_destroy(&d);
}

typedef struct {
    const uint32_t *sum;
    cv_commit *digest; /* H(S), or NULL */
    int canonical;
} arrival;

static void receive(void *context, size_t first, size_t n)
{
    arrival *a = context;
    a->canonical &= cv_f32_canonical(a->sum + first, n);
    if (a->digest)
        cv_commit_add(a->digest, a->sum + first, n * sizeof *a->sum);
}

static void sum(const round_buffers *b, const row *r, uint8_t digest[32])
{
    arrival a = {b->sum, r->check ? cv_commit_create() : NULL, 1};
    cv_sum_pieces_all(MPI_COMM_WORLD, b->sum, b->y, b->n, sizeof *b->y,
                      cv_f32_sum, receive, &a);
    CV_CHECK(a.canonical);
    if (r->check)
        cv_commit_root(a.digest, digest);
    cv_commit_destroy(&a.digest);
}

/* The challenge follows all commitments and H(S). */
static void check(const round_buffers *b, uint8_t commitments[][MESSAGE],
                  const uint8_t digest[32])
{
    uint8_t all[MAX_RANKS][MESSAGE], c[32];
    uint64_t mine[CV_CHECK_NARROW], top[CV_CHECK_NARROW];
    uint64_t values[MAX_RANKS * CV_CHECK_NARROW];
    exchange(all, digest, 32);
    cv_sha256 *h = cv_sha256_create();
    cv_sha256_add(h, commitments, (size_t)b->size * MESSAGE);
    cv_sha256_add(h, digest, 32);
    cv_sha256_end(h, c);
    cv_sha256_destroy(&h);
    cv_lincheck *f = cv_lincheck_create(c, b->n, 0);
    cv_lincheck_u32(f, mine, b->y);
    cv_lincheck_u32(f, top, b->sum);
    cv_lincheck_destroy(&f);
    for (int i = 0; i < b->size; i++)
        CV_CHECK(!memcmp(all[i], digest, 32));
    exchange(all, mine, sizeof mine);
    for (int i = 0; i < b->size; i++)
        memcpy(values + i * CV_CHECK_NARROW, all[i], sizeof mine);
    CV_CHECK(cv_lincheck_holds(values, b->size, top, 0));
}

/* The server step, and the check that all ranks hold the same model. */
static void step(const round_buffers *b, const row *r, int e)
{
    cv_server_config c = {1.0, 0.9, 0.9, 0.99, 1e-3};
    cv_f32_decode(b->mean, b->sum, b->n, e, 1.0);
    volatile float update = cv_max_abs(b->mean, b->n);
    cv_strategy_find("fedavg")->step(&c, b->w, NULL,
                                     (const float *const *)&b->mean, 1.0, b->n);
    uint8_t root[32]; /* what jobs/round.c compares: with a record, its root */
    if (r->record)
        cv_params_root(root, b->w, b->n);
    double sum =
        r->record ? (double)cv_get_le32(root)
                  : (double)(uint32_t)cv_checksum64(b->w, b->n * sizeof *b->w);
    double all[2] = {sum, -sum};
    cv_max_f64_all(MPI_COMM_WORLD, all, 2);
    CV_CHECK(all[0] == -all[1] && isfinite(update));
    CV_CHECK(isfinite(cv_max_abs(b->w, b->n)));
}

static void round_once(const round_buffers *b, const row *r, timing *t)
{
    double at[PARTS + 1];
    uint8_t root[32] = {0}, digest[32] = {0}, all[MAX_RANKS][MESSAGE];
    if (r->ahead)
        draw_ahead(b, r->sigma);
    MPI_Barrier(MPI_COMM_WORLD);
    at[0] = MPI_Wtime();
    int e = grid(b, 1.0 / b->size, r->sigma);
    mask(b, r, e, root);
    exchange(all, root, sizeof root);
    at[1] = MPI_Wtime();
    sum(b, r, digest);
    at[2] = MPI_Wtime();
    if (r->check)
        check(b, all, digest);
    at[3] = MPI_Wtime();
    step(b, r, e);
    at[4] = MPI_Wtime();
    double whole = slowest(at[PARTS] - at[0]);
    if (whole >= t->best)
        return;
    t->best = whole;
    for (int i = 0; i < PARTS; i++)
        t->part[i] = at[i + 1] - at[i];
}

static void tell(const row *r, const timing *t, size_t n, int size,
                 double bare_best)
{
    double ratio = t->best / bare_best;
    printf("%s, rank 0:", r->name);
    for (int i = 0; i < PARTS; i++)
        printf(" %s %.4f s", part_names[i], t->part[i]);
    printf("\nrow\tprivate round, %zu parameters, %d ranks, %s\t%.4f s\t", n,
           size, r->name, t->best);
    if (r->limit > 0.0)
        printf("%.1f x Allreduce %.4f s\t%.2f\t%s\n", r->limit, bare_best,
               ratio, ratio <= r->limit ? "yes" : "no");
    else
        printf("Allreduce %.4f s\t%.2f\t-\n", bare_best, ratio);
}

static void set_keys(round_buffers *b)
{
    b->noise_key[0] = (uint8_t)b->rank;
    for (int j = 0, k = 0; j < b->size; j++) {
        if (j == b->rank)
            continue;
        cv_mask_peer *p = &b->peer[k++];
        int lo = j < b->rank ? j : b->rank, hi = j < b->rank ? b->rank : j;
        *p = (cv_mask_peer){.key = {1, (uint8_t)lo, (uint8_t)hi},
                            .redraw = {2, (uint8_t)lo, (uint8_t)hi},
                            .sign = j > b->rank ? 1 : -1};
    }
}

static void fill(round_buffers *b)
{
    b->w = CV_NEW(b->n, float);
    b->delta = CV_NEW(b->n, float);
    b->mean = CV_NEW(b->n, float);
    b->y = CV_NEW(b->n, uint32_t);
    b->sum = CV_NEW(b->n, uint32_t);
    b->noise = CV_NEW(b->n, int32_t);
    cv_stream s;
    cv_stream_open(&s, 1, "bench", (uint64_t)b->rank, 0);
    for (size_t i = 0; i < b->n; i++)
        b->delta[i] = (float)(cv_stream_uniform(&s) - 0.5);
    cv_stream_close(&s);
    set_keys(b);
}

int main(int argc, char **argv)
{
    timing t[ROWS];
    round_buffers b = {.n = argc > 1 ? (size_t)atol(argv[1]) : 10000000};
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &b.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &b.size);
    CV_CHECK(b.size <= MAX_RANKS);
    fill(&b);
    double best = 1e9;
    for (int i = 0; i < ROWS; i++)
        t[i].best = 1e9;
    for (int k = 0; k < REPEAT; k++) {
        best = fmin(best, bare(b.delta, b.sum, b.n));
        for (int i = 0; i < ROWS; i++)
            round_once(&b, &rows[i], &t[i]);
    }
    for (int i = 0; i < ROWS && b.rank == 0; i++)
        tell(&rows[i], &t[i], b.n, b.size, best);
    if (b.rank == 0) /* what the proof of a round costs: rows 2 over 0 */
        printf("row\tproof of a masked round (commitment, H(S), check, model's "
               "root)\t%.4f s\t1.6 x masks only %.4f s\t%.2f\t%s\n",
               t[2].best, t[0].best, t[2].best / t[0].best,
               t[2].best <= 1.6 * t[0].best ? "yes" : "no");
    free(b.w);
    free(b.delta);
    free(b.mean);
    free(b.y);
    free(b.sum);
    free(b.noise);
    MPI_Finalize();
    return 0;
}

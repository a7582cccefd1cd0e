/* Masked sums of a fit: numbers as limbs, exactly; triangles as fixed-point words
 * in the wide field.
 *
 * Head-room of a triangle.  Entry (i, j) of silo k's matrix H_k, positive
 * semidefinite, is scaled by the pooled diagonal D = sum_k diag H_k, which all
 * know: q = round(2^57 H_k,ij / sqrt(D_i D_j)).  By Cauchy and Schwarz
 *
 *     sum_k |H_k,ij| <= sum_k sqrt(H_k,ii H_k,jj) <= sqrt(D_i D_j),
 *
 * so the words of all silos together are at most 2^57 (1 + rounding) + n / 2 in
 * magnitude, below p/2 = 2^60 for any number of silos; and a unit is 2^-57 of an
 * entry's natural size, finer than a double of it.  A silo's own word is cut off
 * at 2^58, whatever it computed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/fit.h"
#include "jobs/masked.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "privacy/field.h"

static const double SCALE = 0x1p57;
enum {
    TRIANGLE_WORDS = 1 << 19, /* summed at once: 4 MiB */
    LEAST_WORDS = 12288
};

int cv_fit_is_distributed(const cv_run *run)
{
    return run->fit->q >= CV_DIST_MIN && run->fed.n_leaders > 1 &&
           !run->fit->edges && !cv_fit_is(run, "cox");
}

void cv_fit_make_room(cv_run *run)
{
    cv_secure *sec = run->secure;
    size_t q = (size_t)run->fit->q;
    size_t words = q * (q + 1) / 2;
    if (run->job->privacy.enabled)
        words = cv_private_fit_words(&run->fit->secret);
    if (!cv_fed_is_leader(&run->fed))
        return;
    if (run->job->privacy.enabled)
        ; /* one sum has them all */
    else if (cv_fit_is_distributed(run))
        words = q * (size_t)cv_dist_choose(run->fed.n_leaders, (int64_t)q).nb;
    else if (words > TRIANGLE_WORDS)
        words = TRIANGLE_WORDS;
    if (words < LEAST_WORDS)
        words = LEAST_WORDS;
    CV_CHECK(sec->wide);
    sec->room = words;
    sec->y = CV_NEW(run->fed.n_hosted, void *);
    for (int s = 0; s < run->fed.n_hosted; s++)
        sec->y[s] = cv_calloc(words, 8);
    sec->sum = cv_calloc(words, 8);
}

int cv_fit_numbers_all(cv_run *run, cv_attempt *at, double *total,
                       const double *mine, size_t k, cv_err *err)
{
    int rc = cv_masked_numbers_all(run, at, total, mine, k, err);
    cv_bcast_bytes_all(run->fed.silo, total, k * sizeof *total, 0);
    return rc;
}

/* 2^57 v / sqrt(D_i D_j), as a word of the field. */
static uint64_t encode(double v, double ri, double rj)
{
    double q = v * ri * rj * SCALE;
    if (!(fabs(q) < 2.0 * SCALE))
        q = q > 0.0 ? 2.0 * SCALE : q < 0.0 ? -2.0 * SCALE : 0.0;
    int64_t n = (int64_t)rint(q);
    return cv_f61_reduce((uint64_t)(n < 0 ? n + (int64_t)CV_P61 : n));
}

/* 1 / sqrt(D), 0 for a column of zeros. */
static double *reciprocal_roots(const double *diag, size_t q)
{
    double *r = CV_NEW(q, double);
    for (size_t j = 0; j < q; j++)
        r[j] = diag[j] > 0.0 ? 1.0 / sqrt(diag[j]) : 0.0;
    return r;
}

/* ---- small matrices: whole, on every leader --------------------------------
 */

typedef struct {
    size_t i, j;
} place;

/* The entry after (i, j) above the diagonal, row by row. */
static place next_place(place at, size_t q)
{
    return at.j + 1 < q ? (place){at.i, at.j + 1} : (place){at.i + 1, at.i + 2};
}

static void encode_piece(const cv_run *run, int s, place at, size_t n,
                         const double *root)
{
    size_t q = (size_t)run->fit->q;
    uint64_t *y = run->secure->y[s];
    const double *info = run->fit->rows[s].info;
    for (size_t k = 0; k < n; k++, at = next_place(at, q))
        y[k] = encode(info[at.i * q + at.j], root[at.i], root[at.j]);
}

static place decode_piece(const cv_run *run, place at, size_t n,
                          const double *diag)
{
    size_t q = (size_t)run->fit->q;
    const uint64_t *sum = run->secure->sum;
    for (size_t k = 0; k < n; k++, at = next_place(at, q))
        run->fit->info[at.i * q + at.j] = (double)cv_f61_centre(sum[k]) /
                                          SCALE * sqrt(diag[at.i]) *
                                          sqrt(diag[at.j]);
    return at;
}

static place skip_places(place at, size_t n, size_t q)
{
    while (n-- > 0)
        at = next_place(at, q);
    return at;
}

static int sum_whole_all(cv_run *run, cv_attempt *at, const double *diag,
                         cv_err *err)
{
    cv_fit *fit = run->fit;
    size_t q = (size_t)fit->q, total = q * (q - 1) / 2;
    int leader = cv_fed_is_leader(&run->fed), rc = 0;
    uint64_t room = leader ? run->secure->room : 0;
    double *root = reciprocal_roots(diag, q);
    place from = {0, 1};
    cv_bcast_bytes_all(run->fed.silo, &room, sizeof room, 0);
    if (leader && !fit->info)
        fit->info = CV_NEW(q * q, double);
    for (size_t j = 0; j < q && leader; j++)
        fit->info[j * q + j] = diag[j];
    for (size_t first = 0; first < total && !rc; first += room) {
        size_t n = total - first < room ? total - first : room;
        for (int s = 0; s < run->fed.n_hosted && leader; s++)
            encode_piece(run, s, from, n, root);
        rc = cv_masked_sum_all(run, at, n, err);
        if (!rc && leader)
            from = decode_piece(run, from, n, diag);
        else if (!leader)
            from = skip_places(from, n, q);
    }
    free(root);
    return rc;
}

/* ---- large ones: by panels, to whoever keeps the block ---------------------
 */

typedef struct {
    int64_t j0, j1;  /* columns */
    int64_t *place;  /* (j1, j1 - j0) in the packed panel, or -1 */
    int *counts;     /* (n_leaders) */
    double *product; /* (j1, nb) of one silo */
    double *scratch;
    double *mine; /* this leader's part, decoded */
} panel;

/* The panel of one silo: its own rows, or those of the ranks that share it. */
static void build_panel(cv_run *run, int s, const panel *p)
{
    cv_fit_rows *r = &run->fit->rows[s];
    const cv_fed *fed = &run->fed;
    size_t q = (size_t)run->fit->q;
    const double *x = r->mapped ? r->mapped : r->frame->x;
    int shared = fed->n_parts > 1 && run->job->model.strata != CV_STRATA_SILO;
    int64_t n = r->frame->n;
    int64_t first = shared ? n * fed->part / fed->n_parts : 0;
    int64_t last = shared ? n * (fed->part + 1) / fed->n_parts : n;
    x += (size_t)first * q;
    if (r->mean)
        cv_glm_profile_panel(x, last - first, (int)q, r->work, r->mean,
                             (int)p->j0, (int)p->j1, p->product, p->scratch);
    else /* the weights of a part are its own: they begin at 0 */
        cv_gram_panel(x, last - first, (int)q, r->work, (int)p->j0, (int)p->j1,
                      p->product, p->scratch);
    if (shared)
        cv_sum_f64_all(fed->silo, p->product,
                       (size_t)p->j1 * (size_t)(p->j1 - p->j0));
}

static void encode_panel(const cv_run *run, int s, const panel *p,
                         const double *root)
{
    uint64_t *y = run->secure->y[s];
    int64_t wide = p->j1 - p->j0;
    for (int64_t i = 0; i < p->j1; i++)
        for (int64_t j = 0; j < wide; j++)
            if (p->place[i * wide + j] >= 0)
                y[p->place[i * wide + j]] =
                    encode(p->product[i * wide + j], root[i], root[p->j0 + j]);
}

/* Components are those of the matrix itself; a system that is to be solved stays
 * scaled to a unit diagonal. */
static void unscale_part(const cv_run *run, panel *p, const double *root,
                         size_t mine)
{
    int64_t wide = p->j1 - p->j0, first = 0;
    int me;
    MPI_Comm_rank(run->fed.leaders, &me);
    for (int r = 0; r < me; r++)
        first += p->counts[r];
    for (int64_t i = 0; i < p->j1; i++)
        for (int64_t j = 0; j < wide; j++) {
            int64_t at = p->place[i * wide + j] - first;
            double ri = root[i], rj = root[p->j0 + j];
            if (at >= 0 && at < (int64_t)mine && ri > 0.0 && rj > 0.0)
                p->mine[at] /= ri * rj;
        }
}

static int sum_panel_all(cv_run *run, cv_attempt *at, panel *p,
                         const double *root, cv_err *err)
{
    cv_fit *fit = run->fit;
    int leader = cv_fed_is_leader(&run->fed);
    size_t words = 0, mine = 0;
    for (int s = 0; s < run->fed.n_hosted; s++) {
        if (!leader && run->fed.n_parts == 1)
            break;
        build_panel(run, s, p);
        if (leader && s == 0) {
            words = (size_t)cv_dist_panel_words(fit->dist, p->j0);
            cv_dist_panel_counts(fit->dist, p->j0, p->counts);
            cv_dist_panel_order(fit->dist, p->j0, p->place);
        }
        if (leader)
            encode_panel(run, s, p, root);
    }
    int rc = cv_secure_scatter_all(run, at, run->secure->y, words, p->counts,
                                   run->secure->sum, &mine, err);
    if (rc || !leader)
        return rc;
    const uint64_t *sum = run->secure->sum;
    for (size_t k = 0; k < mine; k++)
        p->mine[k] = (double)cv_f61_centre(sum[k]) / SCALE;
    if (cv_fit_is(run, "pca"))
        unscale_part(run, p, root, mine);
    cv_dist_panel_put(fit->dist, p->j0, p->mine);
    return 0;
}

static int sum_panels_all(cv_run *run, cv_attempt *at, const double *diag,
                          cv_err *err)
{
    cv_fit *fit = run->fit;
    size_t q = (size_t)fit->q;
    int leader = cv_fed_is_leader(&run->fed), rc = 0;
    int nb = cv_dist_choose(run->fed.n_leaders, (int64_t)q).nb;
    double *root = reciprocal_roots(diag, q);
    size_t cells = q * (size_t)nb;
    panel p = {.place = CV_NEW(leader ? cells : 1, int64_t),
               .counts = CV_NEW(run->fed.n_leaders, int),
               .product = CV_NEW(cells, double),
               .scratch = CV_NEW(cv_gram_scratch((int)q), double),
               .mine = CV_NEW(leader ? cells : 1, double)};
    if (leader && fit->dist)
        cv_dist_destroy_all(&fit->dist);
    if (leader)
        rc = cv_dist_create_all(run->fed.leaders, (int64_t)q, &fit->dist, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    for (int64_t j = 0; j < (int64_t)q && !rc; j += nb) {
        p.j0 = j;
        p.j1 = j + nb < (int64_t)q ? j + nb : (int64_t)q;
        rc = sum_panel_all(run, at, &p, root, err);
    }
    free(p.place);
    free(p.counts);
    free(p.product);
    free(p.scratch);
    free(p.mine);
    free(root);
    return rc;
}

int cv_fit_info_all(cv_run *run, cv_attempt *at, const double *diag,
                    cv_err *err)
{
    return cv_fit_is_distributed(run) ? sum_panels_all(run, at, diag, err)
                                      : sum_whole_all(run, at, diag, err);
}

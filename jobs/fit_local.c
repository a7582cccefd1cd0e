/* What one silo adds to the sums of a fit. Ranks that share a silo take a part of
 * its rows each. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/fit.h"
#include "mpi/reduce.h"
#include "solver/fourier.h"

/* ---- parts of a silo -------------------------------------------------------
 */

/* Fits that need a silo's rows together are its leader's alone. */
static int is_shared(const cv_run *run)
{
    return run->fed.n_parts > 1 && !cv_fit_is(run, "cox") &&
           run->job->model.strata != CV_STRATA_SILO;
}

/* Rows [*first, *first + n) of a silo are this rank's. */
static int64_t part_of(const cv_run *run, int64_t n, int64_t *first)
{
    const cv_fed *fed = &run->fed;
    if (!is_shared(run)) {
        *first = 0;
        return cv_fed_is_leader(fed) ? n : 0;
    }
    *first = n * fed->part / fed->n_parts;
    return n * (fed->part + 1) / fed->n_parts - *first;
}

/* Adds up what the ranks of a silo have; the leader's is what counts. */
static void join_parts(const cv_run *run, double *v, size_t n)
{
    if (is_shared(run))
        cv_sum_f64_all(run->fed.silo, v, n);
}

/* ---- round 1 ---------------------------------------------------------------
 */

size_t cv_fit_n_moments(const cv_run *run)
{
    return CV_M_FIXED + 2 * (size_t)run->fit->model->p;
}

static double weight_of(const cv_frame *f, int64_t i)
{
    return f->weights ? f->weights[i] : 1.0;
}

static void add_moments(const cv_frame *f, int64_t first, int64_t n, double *m)
{
    double *sum = m + CV_M_FIXED, *square = sum + f->p;
    for (int64_t i = first; i < first + n; i++) {
        const double *x = f->x + (size_t)i * (size_t)f->p;
        double w = weight_of(f, i);
        m[CV_M_ROWS] += 1.0;
        m[CV_M_POSITIVE] += w > 0.0;
        m[CV_M_WEIGHT] += w;
        m[CV_M_WEIGHTED_Y] += f->y ? w * f->y[i] : 0.0;
        m[CV_M_EVENTS] += f->event ? f->event[i] && w > 0.0 : 0.0;
        for (int j = 0; j < f->p; j++) {
            sum[j] += x[j];
            square[j] += x[j] * x[j];
        }
    }
}

static void add_outcomes(const cv_run *run, const cv_frame *f, double *m)
{
    int binomial = run->fit->family.kind == CV_FAMILY_BINOMIAL;
    for (int64_t i = 0; i < f->n; i++) {
        if (!(weight_of(f, i) > 0.0))
            continue;
        int yes = f->event ? f->event[i] : !f->y || f->y[i] != 0.0;
        int no = f->event ? !f->event[i] : !binomial || f->y[i] < 1.0;
        m[CV_P_ROWS] = 1.0;
        m[CV_P_YES] = yes ? 1.0 : m[CV_P_YES];
        m[CV_P_NO] = no ? 1.0 : m[CV_P_NO];
    }
}

/* In how many silos a column says anything: has (p) 1 where this silo has rows in
 * which it is not zero, lacks (p) where it has rows in which a level's column is.
 * Where a silo's constant takes up what is the same in all its rows, both mean:
 * it varies. */
static void add_presence(const cv_run *run, const cv_frame *f, double *has,
                         double *lacks)
{
    const cv_frame_plan *plan = run->fit->model->plan;
    int own = run->job->model.strata == CV_STRATA_SILO;
    size_t p = (size_t)f->p;
    for (size_t j = 0; j < p; j++) {
        int is_level = plan->n_factor[j] > 0, zero = 0, other = 0, change = 0;
        for (int k = 0; k < plan->n_factor[j]; k++)
            is_level &= plan->factor[j][k].level >= 0;
        /* Most columns are known after a row or two. */
        for (int64_t i = 0; i < f->n; i++) {
            double v = f->x[(size_t)i * p + j];
            if (!(weight_of(f, i) > 0.0))
                continue;
            zero |= v == 0.0;
            other |= v != 0.0;
            change |= v != f->x[j];
            if (own ? change : other && (zero || !is_level))
                break;
        }
        has[j] = own ? change : other;
        lacks[j] = own ? change : !is_level || zero;
    }
}

size_t cv_fit_n_presence(const cv_run *run)
{
    return CV_P_FIXED + 2 * (size_t)run->fit->model->p;
}

void cv_fit_presence(cv_run *run, double *mine)
{
    size_t k = cv_fit_n_presence(run);
    memset(mine, 0, (size_t)run->fed.n_hosted * k * sizeof *mine);
    for (int s = 0; s < run->fed.n_hosted && cv_fed_is_leader(&run->fed); s++) {
        const cv_frame *f = run->fit->rows[s].frame;
        double *m = mine + (size_t)s * k;
        add_outcomes(run, f, m);
        add_presence(run, f, m + CV_P_FIXED, m + CV_P_FIXED + f->p);
    }
}

void cv_fit_moments(cv_run *run, double *mine)
{
    size_t k = cv_fit_n_moments(run);
    memset(mine, 0, (size_t)run->fed.n_hosted * k * sizeof *mine);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        const cv_frame *f = run->fit->rows[s].frame;
        int64_t first, n = part_of(run, f->n, &first);
        add_moments(f, first, n, mine + (size_t)s * k);
        join_parts(run, mine + (size_t)s * k, k);
    }
}

/* ---- working units ---------------------------------------------------------
 */

static void map_features(cv_run *run, cv_fit_rows *r)
{
    const cv_job *job = run->job;
    int p = run->fit->model->p, q = run->fit->q;
    int64_t n = r->frame->n;
    double gamma = job->model.gamma > 0.0 ? job->model.gamma : 1.0 / p;
    cv_fourier *map = cv_fourier_create(p, q - 1, gamma, job->training.seed);
    double *z = CV_NEW((size_t)n * (size_t)(q - 1), double);
    cv_fourier_map(map, r->frame->x, n, z);
    r->mapped = CV_NEW((size_t)n * (size_t)q, double);
    for (int64_t i = 0; i < n; i++) {
        double *out = r->mapped + (size_t)i * (size_t)q;
        out[0] = 1.0;
        memcpy(out + 1, z + (size_t)i * (size_t)(q - 1),
               (size_t)(q - 1) * sizeof *z);
    }
    free(z);
    cv_fourier_destroy(&map);
}

void cv_fit_to_working(cv_run *run)
{
    cv_fit *fit = run->fit;
    const double *centre = cv_fit_of(run, "centre");
    const double *unit = cv_fit_of(run, "unit");
    if (fit->is_working)
        return;
    fit->is_working = 1;
    double *scale = CV_NEW(fit->model->p, double);
    for (int j = 0; j < fit->model->p; j++)
        scale[j] = 1.0 / unit[j];
    for (int s = 0; s < run->fed.n_hosted; s++) {
        cv_fit_rows *r = &fit->rows[s];
        cv_frame *f = r->frame;
        for (int64_t i = 0; i < f->n; i++) {
            double *x = f->x + (size_t)i * (size_t)f->p;
            for (int j = 0; j < f->p; j++)
                x[j] = (x[j] - centre[j]) * scale[j];
        }
        if (cv_fit_is(run, "kernel_ridge"))
            map_features(run, r);
        if (cv_fit_is(run, "cox"))
            r->cox = cv_cox_create(
                f->x, f->n, f->p, f->time, f->event, f->weights, f->offset,
                strcmp(run->job->model.ties, "breslow") == 0 ? CV_TIES_BRESLOW
                                                             : CV_TIES_EFRON);
    }
    free(scale);
}

/* ---- later rounds ----------------------------------------------------------
 */

size_t cv_fit_n_numbers(const cv_run *run, int with_info)
{
    size_t q = (size_t)run->fit->q;
    if (run->fit->edges) /* what the bins hold makes the rest */
        return CV_E_FIXED + (size_t)(run->job->model.n_bins - 1) *
                                cv_cox_bin_size(run->fit->q);
    return CV_E_FIXED + q + (with_info ? q : 0);
}

static cv_glm_rows glm_rows(const cv_run *run, int s, int64_t first, int64_t n)
{
    const cv_fit_rows *r = &run->fit->rows[s];
    const cv_frame *f = r->frame;
    const double *x = r->mapped ? r->mapped : f->x;
    return (cv_glm_rows){.family = run->fit->family,
                         .n = n,
                         .p = run->fit->q,
                         .x = x + (size_t)first * (size_t)run->fit->q,
                         .y = f->y + first,
                         .weights = f->weights ? f->weights + first : NULL,
                         .offset = f->offset ? f->offset + first : NULL,
                         .own_intercept =
                             run->job->model.strata == CV_STRATA_SILO};
}

/* The deviance without any column: R's null model, one mean for all silos even
 * where each has an intercept of its own. */
static double null_deviance(const cv_run *run, const cv_glm_rows *g)
{
    double mean = cv_fit_scalars(run)[CV_FIT_RESPONSE_MEAN], d = 0.0;
    int intercept = run->fit->model->formula->intercept;
    enum { BLOCK = 512 };
    double mu[BLOCK], eta[BLOCK], slope[BLOCK];
    for (int64_t at = 0; at < g->n; at += BLOCK) {
        size_t n = (size_t)(g->n - at < BLOCK ? g->n - at : BLOCK);
        for (size_t i = 0; i < n; i++) {
            mu[i] = mean;
            eta[i] = g->offset ? g->offset[at + (int64_t)i] : 0.0;
        }
        if (!intercept)
            cv_link_inverse(&g->family, eta, mu, slope, n);
        d += cv_family_deviance(&g->family, g->y + at, mu,
                                g->weights ? g->weights + at : NULL, n);
    }
    return d;
}

/* Diagonal of a matrix that is built in panels; of a silo with an intercept of
 * its own about its weighted means. */
static void panel_diagonal(cv_fit_rows *r, const cv_glm_rows *g, double *diag)
{
    if (g->own_intercept && !r->mean)
        r->mean = CV_NEW(g->p, double);
    if (g->own_intercept)
        cv_glm_profile_means(g->x, g->n, g->p, r->work, r->mean);
    for (int64_t i = 0; i < g->n; i++)
        for (int j = 0; j < g->p; j++) {
            double v = g->x[(size_t)i * (size_t)g->p + (size_t)j];
            v -= r->mean ? r->mean[j] : 0.0;
            diag[j] += r->work[i] * v * v;
        }
}

static void take_family(double *m, const cv_glm_sums *g)
{
    m[CV_E_DEVIANCE] = g->deviance;
    m[CV_E_PEARSON] = g->pearson;
    m[CV_E_EXTREME] = g->extreme;
    memcpy(m + CV_E_FAMILY, g->family, sizeof g->family);
}

static void evaluate_glm(cv_run *run, int s, double *m, int with_info)
{
    cv_fit *fit = run->fit;
    cv_fit_rows *r = &fit->rows[s];
    size_t q = (size_t)fit->q;
    int64_t first, n = part_of(run, r->frame->n, &first);
    int first_time = cv_fit_scalars(run)[CV_FIT_ITERATIONS] == 0.0;
    int panels = cv_fit_is_distributed(run);
    cv_glm_rows g = glm_rows(run, s, first, n);
    cv_glm_sums sums = {0};
    double *score = m + CV_E_FIXED, *diag = score + q;
    if (panels && !r->work)
        r->work = CV_NEW(r->frame->n, double);
    else if (!panels && with_info && !r->info)
        r->info = CV_NEW(q * q, double);
    cv_glm_pass(&g, first_time ? NULL : cv_fit_of(run, "working"), &sums, score,
                panels || !with_info ? NULL : r->info, panels ? r->work : NULL,
                NULL);
    take_family(m, &sums);
    if (first_time)
        m[CV_E_NULL] = null_deviance(run, &g);
    if (panels && with_info)
        panel_diagonal(r, &g, diag);
    m[CV_E_BAD] = sums.bad;
    join_parts(run, m, CV_E_FIXED + q + (panels && with_info ? q : 0));
    if (!panels && with_info) {
        join_parts(run, r->info, q * q);
        for (size_t j = 0; j < q; j++)
            diag[j] = r->info[j * q + j];
    }
}

static void evaluate_cox(cv_run *run, int s, double *m)
{
    cv_fit *fit = run->fit;
    cv_fit_rows *r = &fit->rows[s];
    size_t q = (size_t)fit->q;
    const double *b = cv_fit_of(run, "working");
    cv_cox_sums sums = {0};
    if (!cv_fed_is_leader(&run->fed))
        return;
    if (fit->edges) {
        int64_t out =
            cv_cox_bin_sums(r->cox, b, 0.0, fit->edges,
                            run->job->model.n_bins - 1, m + CV_E_FIXED);
        CV_CHECK(out == 0); /* checked when the rows were read */
        return;
    }
    if (!r->info)
        r->info = CV_NEW(q * q, double);
    cv_cox_pass(r->cox, b, &sums, m + CV_E_FIXED, r->info);
    m[CV_E_DEVIANCE] = -2.0 * sums.loglik;
    m[CV_E_BAD] = sums.bad;
    for (size_t j = 0; j < q; j++)
        m[CV_E_FIXED + q + j] = r->info[j * q + j];
}

/* Cross-products of centred columns; the response does not matter. */
static void evaluate_pca(cv_run *run, int s, double *m)
{
    cv_fit *fit = run->fit;
    cv_fit_rows *r = &fit->rows[s];
    size_t q = (size_t)fit->q;
    int64_t first, n = part_of(run, r->frame->n, &first);
    const double *x = r->frame->x + (size_t)first * q;
    double *diag = m + CV_E_FIXED + q;
    for (int64_t i = 0; i < n; i++)
        for (size_t j = 0; j < q; j++)
            diag[j] += x[(size_t)i * q + j] * x[(size_t)i * q + j];
    join_parts(run, m, CV_E_FIXED + 2 * q);
    if (cv_fit_is_distributed(run))
        return;
    double *scratch = CV_NEW(cv_gram_scratch((int)q), double);
    if (!r->info)
        r->info = CV_NEW(q * q, double);
    cv_gram_panel(x, n, (int)q, NULL, 0, (int)q, r->info, scratch);
    join_parts(run, r->info, q * q);
    free(scratch);
}

/* A silo whose numbers mean nothing says that, and nothing else. */
static void keep_if_good(double *m, size_t k)
{
    int bad = !(m[CV_E_BAD] == 0.0);
    for (size_t i = 0; i < k && !bad; i++)
        bad = !(fabs(m[i]) < 0x1p104);
    if (!bad)
        return;
    memset(m, 0, k * sizeof *m);
    m[CV_E_BAD] = 1.0;
}

void cv_fit_evaluate(cv_run *run, double *mine, int with_info)
{
    size_t k = cv_fit_n_numbers(run, with_info);
    memset(mine, 0, (size_t)run->fed.n_hosted * k * sizeof *mine);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        double *m = mine + (size_t)s * k;
        if (cv_fit_is(run, "pca"))
            evaluate_pca(run, s, m);
        else if (cv_fit_is(run, "cox"))
            evaluate_cox(run, s, m);
        else
            evaluate_glm(run, s, m, with_info);
        keep_if_good(m, k);
    }
}

void cv_fit_concordance(cv_run *run, double *mine)
{
    memset(mine, 0, (size_t)run->fed.n_hosted * CV_CONCORDANCE * sizeof *mine);
    for (int s = 0; s < run->fed.n_hosted && cv_fed_is_leader(&run->fed); s++)
        cv_cox_concordance(run->fit->rows[s].cox, cv_fit_of(run, "working"),
                           mine + (size_t)s * CV_CONCORDANCE);
}

#include "solver/glm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/simd.h"
#include "solver/blas.h"
#include "solver/glm_parts.h"

/* Rows a thread must have to be worth starting. */
enum { ROWS_A_LANE = 4096 };

/* ---- lanes ---- */

/* The first lane sums into the caller's arrays. */
static size_t carve(cv_glm_job *job, double *score, double *info)
{
    size_t p = (size_t)job->rows->p, m = (size_t)job->block, used = 0;
    double *at = job->arena;
    for (int t = 0; t < job->n_lanes; t++) {
        cv_glm_lane *k = job->lanes + t;
        struct {
            double **to, *given;
            size_t n;
        } parts[] = {
            {&k->eta, NULL, m},
            {&k->mu, NULL, m},
            {&k->d, NULL, m},
            {&k->v, NULL, m},
            {&k->work, NULL, m},
            {&k->resid, NULL, m},
            {&k->scaled, NULL, job->want_info ? m * p : 0},
            {&k->centred, NULL, job->rows->own_intercept ? m * p : 0},
            {&k->lift, NULL, p},
            {&k->score, t ? NULL : score, job->want_score ? p : 0},
            {&k->info, t ? NULL : info, job->want_info ? p * p : 0},
        };
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            if (at)
                *parts[i].to = parts[i].given ? parts[i].given : at + used;
            used += parts[i].given ? 0 : (parts[i].n + 7) / 8 * 8;
        }
    }
    return used;
}

static void make_lanes(cv_glm_job *job, double *score, double *info)
{
    const cv_glm_rows *g = job->rows;
    int wide = g->p > CV_GLM_NARROW;
    int64_t n = g->n / ROWS_A_LANE, threads = cv_blas_threads();
    /* BLAS shares wide products better than lanes, each with its own triangle.
     */
    n = wide || n < 1 ? 1 : n < threads ? n : threads;
    job->block = wide ? CV_GLM_ROWS_WIDE : CV_GLM_ROWS;
    job->n_lanes = (int)n;
    job->lanes = CV_NEW(n, cv_glm_lane);
    job->arena = CV_NEW(carve(job, score, info), double);
    carve(job, score, info);
    for (int64_t t = 0; t < n; t++) {
        job->lanes[t].from = g->n / n * t;
        job->lanes[t].to = t + 1 < n ? g->n / n * (t + 1) : g->n;
    }
    if (g->own_intercept) {
        job->base = CV_NEW(g->n, double);
        job->centre = CV_NEW(g->p, double);
    }
}

void cv_glm_lanes(cv_glm_job *job, void (*f)(cv_glm_job *, cv_glm_lane *))
{
    if (job->n_lanes == 1) {
        f(job, job->lanes);
        return;
    }
    cv_blas_alone(1);
#pragma omp parallel for num_threads(job->n_lanes) schedule(static)
    for (int t = 0; t < job->n_lanes; t++)
        f(job, job->lanes + t);
    cv_blas_alone(0);
}

/* ---- what lanes do ---- */

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* eta = offset + x b. */
static void linear(const cv_glm_job *job, int64_t i0, int64_t m, double *eta)
{
    const cv_glm_rows *g = job->rows;
    size_t size = (size_t)m * sizeof *eta;
    if (g->offset)
        memcpy(eta, g->offset + i0, size);
    else
        memset(eta, 0, size);
    if (g->p && !job->first)
        cv_blas_dgemv(0, m, g->p, 1.0, g->x + i0 * g->p, g->p, job->b, 1.0,
                      eta);
}

/* With an intercept of the silo's own: its base, and means of the columns that
 * will do to centre them (the right ones need W, which needs the intercept). */
static void first_look(cv_glm_job *job, cv_glm_lane *k)
{
    const cv_glm_rows *g = job->rows;
    for (int64_t i = k->from; i < k->to; i += job->block) {
        int64_t m = min_i64(job->block, k->to - i);
        linear(job, i, m, job->base + i);
        for (int64_t r = 0; r < m; r++) {
            k->work[r] = g->weights ? g->weights[i + r] : 1.0;
            k->total_work += k->work[r];
        }
        if (g->p)
            cv_blas_dgemv(1, m, g->p, 1.0, g->x + i * g->p, g->p, k->work, 1.0,
                          k->lift);
    }
}

CV_HOT static void centre_rows(const double *x, const double *centre, int64_t m,
                               int64_t p, double *out)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < p; j++)
            out[i * p + j] = x[i * p + j] - centre[j];
}

CV_HOT static void scale_rows(const double *x, const double *work, int64_t m,
                              int64_t p, double *out)
{
    for (int64_t i = 0; i < m; i++) {
        double s = sqrt(work[i]);
        for (int64_t j = 0; j < p; j++)
            out[i * p + j] = s * x[i * p + j];
    }
}

static void add_products(const cv_glm_job *job, cv_glm_lane *k, int64_t i0,
                         int64_t m)
{
    int64_t p = job->rows->p;
    const double *x = job->rows->x + i0 * p;
    if (job->centre) {
        centre_rows(x, job->centre, m, p, k->centred);
        x = k->centred;
        cv_blas_dgemv(1, m, p, 1.0, x, p, k->work, 1.0, k->lift);
    }
    if (job->want_score)
        cv_blas_dgemv(1, m, p, 1.0, x, p, k->resid, 1.0, k->score);
    if (job->want_info) {
        scale_rows(x, k->work, m, p, k->scaled);
        cv_blas_dsyrk(1, p, m, 1.0, k->scaled, p, 1.0, k->info, p);
    }
}

static void main_look(cv_glm_job *job, cv_glm_lane *k)
{
    const cv_glm_rows *g = job->rows;
    for (int64_t i = k->from; i < k->to && k->sums.bad == 0.0;
         i += job->block) {
        int64_t m = min_i64(job->block, k->to - i);
        if (!job->base && !job->first)
            linear(job, i, m, k->eta);
        for (int64_t r = 0; job->base && !job->first && r < m; r++)
            k->eta[r] = job->base[i + r] + job->intercept;
        cv_glm_eval(g, job->first, g->offset ? g->offset + i : NULL, 1, i, m,
                    k);
        for (int64_t r = 0; r < m; r++) {
            k->total_work += k->work[r];
            k->total_resid += k->resid[r];
        }
        if (g->p)
            add_products(job, k, i, m);
        size_t size = (size_t)m * sizeof(double);
        if (job->work)
            memcpy(job->work + i, k->work, size);
        if (job->resid)
            memcpy(job->resid + i, k->resid, size);
    }
}

/* ---- the pass ---- */

static void add(double *to, const double *from, size_t n)
{
    for (size_t i = 0; to && i < n; i++)
        to[i] += from[i];
}

/* All lanes into the first, in their order. */
static void join(cv_glm_job *job)
{
    size_t p = (size_t)job->rows->p;
    cv_glm_lane *k = job->lanes;
    for (int t = 1; t < job->n_lanes; t++) {
        const cv_glm_lane *o = k + t;
        k->sums.deviance += o->sums.deviance;
        k->sums.pearson += o->sums.pearson;
        k->sums.extreme += o->sums.extreme;
        k->sums.bad = fmax(k->sums.bad, o->sums.bad);
        add(k->sums.family, o->sums.family, CV_FAMILY_SUMS);
        k->total_work += o->total_work;
        k->total_resid += o->total_resid;
        add(k->lift, o->lift, p);
        if (job->want_score)
            add(k->score, o->score, p);
        if (job->want_info)
            add(k->info, o->info, p * p);
    }
}

static void set_centre(cv_glm_job *job)
{
    size_t p = (size_t)job->rows->p;
    join(job);
    cv_glm_lane *k = job->lanes;
    for (size_t j = 0; j < p && k->total_work > 0.0; j++)
        job->centre[j] = k->lift[j] / k->total_work;
    for (int t = 0; t < job->n_lanes; t++) {
        memset(job->lanes[t].lift, 0, p * sizeof(double));
        job->lanes[t].total_work = 0.0;
    }
}

/* From sums about the centre to those of the profile. */
static void profile(const cv_glm_job *job)
{
    size_t p = (size_t)job->rows->p;
    const cv_glm_lane *k = job->lanes;
    if (!(k->total_work > 0.0))
        return;
    for (size_t i = 0; i < p; i++) {
        double shift = k->lift[i] / k->total_work;
        if (job->want_score)
            k->score[i] -= shift * k->total_resid;
        for (size_t j = i; job->want_info && j < p; j++)
            k->info[i * p + j] -= shift * k->lift[j];
    }
}

static int all_finite(const double *x, size_t n)
{
    int finite = 1;
    for (size_t i = 0; x && i < n; i++)
        finite &= isfinite(x[i]) != 0;
    return finite;
}

static void run(cv_glm_job *job)
{
    cv_glm_lane *k = job->lanes;
    if (job->rows->own_intercept) {
        cv_glm_lanes(job, first_look);
        set_centre(job);
        if (!job->first && cv_glm_own_intercept(job)) {
            k->sums.bad = 1.0;
            return;
        }
    }
    cv_glm_lanes(job, main_look);
    join(job);
    if (job->rows->own_intercept)
        profile(job);
    k->sums.intercept = job->intercept;
}

static void clear(double *x, size_t n)
{
    if (x)
        memset(x, 0, n * sizeof *x);
}

void cv_glm_pass(const cv_glm_rows *rows, const double *b, cv_glm_sums *sums,
                 double *score, double *info, double *work, double *resid)
{
    size_t p = (size_t)rows->p, n = (size_t)rows->n;
    cv_glm_job job = {.rows = rows,
                      .b = b,
                      .first = !b,
                      .want_score = score != NULL,
                      .want_info = info != NULL,
                      .work = work,
                      .resid = resid};
    int side = rows->own_intercept ? cv_glm_one_class(rows) : 0;
    *sums = (cv_glm_sums){.intercept = side ? side * (double)INFINITY : 0.0};
    clear(score, p);
    clear(info, p * p);
    if (side == 0) {
        make_lanes(&job, score, info);
        run(&job);
        *sums = job.lanes->sums;
        free(job.lanes);
        free(job.arena);
        free(job.base);
        free(job.centre);
        if (!all_finite(score, p) || !all_finite(info, p * p))
            sums->bad = 1.0;
    }
    if (sums->bad != 0.0) {
        *sums = (cv_glm_sums){.bad = 1.0};
        clear(score, p);
        clear(info, p * p);
    }
    if (side || sums->bad != 0.0) {
        clear(work, n);
        clear(resid, n);
    }
}

/* From files to the rows of a fit: double precision, the columns of the formula,
 * limits of disclosure held against them before anything is sent. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/text.h"
#include "io/names.h"
#include "io/partition.h"
#include "jobs/disclosure.h"
#include "jobs/fit.h"
#include "jobs/prepare.h"
#include "jobs/saved.h"
#include "jobs/site.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "solver/blas.h"

/* Nothing is trained: no payload, no state, no server step. */
const cv_strategy cv_newton = {.name = "newton"};

int cv_fit_is(const cv_run *run, const char *kind)
{
    return strcmp(run->job->model.kind, kind) == 0;
}

double *cv_fit_of(const cv_run *run, const char *view)
{
    return cv_fit_view(run->fit->model, run->fit->v, view);
}

double *cv_fit_scalars(const cv_run *run)
{
    return cv_fit_of(run, "scalars");
}

/* ---- simulated silos -------------------------------------------------------
 */

#define MOVE_ROWS(member, width)                                               \
    do {                                                                       \
        if (whole->member)                                                     \
            for (int64_t i = 0; i < n; i++)                                    \
                memcpy(out->member + (size_t)i * (size_t)(width),              \
                       whole->member + (size_t)take[i] * (size_t)(width),      \
                       (size_t)(width) * sizeof *out->member);                 \
    } while (0)

/* Rows of one silo out of a frame of all of them. */
static cv_frame *frame_of(const cv_frame *whole, const int64_t *take, int64_t n)
{
    cv_frame *out = CV_NEW(1, cv_frame);
    out->n = n;
    out->p = whole->p;
    out->x = CV_NEW((size_t)n * (size_t)whole->p, double);
    out->y = whole->y ? CV_NEW(n, double) : NULL;
    out->time = whole->time ? CV_NEW(n, double) : NULL;
    out->event = whole->event ? CV_NEW(n, uint8_t) : NULL;
    out->weights = whole->weights ? CV_NEW(n, double) : NULL;
    out->offset = whole->offset ? CV_NEW(n, double) : NULL;
    out->row = CV_NEW(n, int64_t);
    out->content = CV_NEW(n, uint64_t);
    MOVE_ROWS(x, whole->p);
    MOVE_ROWS(y, 1);
    MOVE_ROWS(time, 1);
    MOVE_ROWS(event, 1);
    MOVE_ROWS(weights, 1);
    MOVE_ROWS(offset, 1);
    MOVE_ROWS(row, 1);
    MOVE_ROWS(content, 1);
    return out;
}

static void deal_frames(cv_run *run, const cv_frame *whole,
                        const int32_t *silo_of)
{
    int64_t *take = CV_NEW(whole->n, int64_t);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        int64_t n = 0;
        for (int64_t i = 0; i < whole->n; i++)
            if (silo_of[whole->row[i]] == s)
                take[n++] = i;
        run->fit->rows[s].frame = frame_of(whole, take, n);
    }
    free(take);
}

/* ---- frames ----------------------------------------------------------------
 */

static cv_frame_roles roles_of(const cv_run *run)
{
    return (cv_frame_roles){.weights = run->job->model.weights};
}

static int build_frames(cv_run *run, cv_sources *src, cv_err *err)
{
    cv_fit *fit = run->fit;
    cv_frame_roles roles = roles_of(run);
    int rc = 0;
    for (int i = 0; i < src->n && !rc; i++) {
        cv_frame *frame = NULL;
        rc = cv_frame_build(&src->table[i], fit->model->formula, run->schema,
                            fit->model->plan, &roles, 1, &frame, err);
        if (rc)
            cv_site_data_error(run, &run->hosted[i], err);
        else if (src->silo_of[i])
            deal_frames(run, frame, src->silo_of[i]);
        else
            fit->rows[i].frame = frame;
        if (rc || src->silo_of[i])
            cv_frame_destroy(&frame);
    }
    for (int s = 0; s < run->fed.n_hosted && !rc; s++)
        run->hosted[s].n_train = fit->rows[s].frame->n;
    return rc;
}

/* Values that no distribution of the family takes. */
static int check_response(const cv_run *run, int s, cv_err *err)
{
    const cv_frame *f = run->fit->rows[s].frame;
    for (int64_t i = 0; i < f->n && f->y; i++) {
        const char *fault = cv_family_fault(&run->fit->family, f->y[i],
                                            f->weights ? f->weights[i] : 1.0);
        if (!fault)
            continue;
        cv_err_set(err, CV_ERR_INPUT, NULL, 0, "column '%s': %s of family %s",
                   run->job->data.target, fault,
                   cv_family_name(&run->fit->family));
        cv_err_site(err, "row %lld: %.17g", (long long)f->row[i] + 1, f->y[i]);
        return cv_site_data_error(run, &run->hosted[s], err);
    }
    return 0;
}

static int check_times(const cv_run *run, int s, cv_err *err)
{
    const cv_frame *f = run->fit->rows[s].frame;
    int n = run->job->model.n_bins;
    const double *edge = run->fit->edges;
    for (int64_t i = 0; i < f->n && n > 0; i++)
        if (!(f->time[i] > edge[0] && f->time[i] <= edge[n - 1])) {
            cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                       "column '%s': a time lies outside of model.bins, which "
                       "end at %s and %s; give bins that hold all times",
                       run->job->data.target, run->job->model.bins[0],
                       run->job->model.bins[n - 1]);
            cv_err_site(err, "row %lld: %.17g", (long long)f->row[i] + 1,
                        f->time[i]);
            return cv_site_data_error(run, &run->hosted[s], err);
        }
    return 0;
}

static int check_rows(cv_run *run, cv_err *err)
{
    int rc = 0;
    for (int s = 0; s < run->fed.n_hosted && !rc; s++) {
        rc = check_response(run, s, err);
        if (!rc && run->fit->edges)
            rc = check_times(run, s, err);
        cv_disclosure_view v = {
            .job = run->job,
            .silo = run->hosted[s].name,
            .limits = cv_disclosure_of(run->job, run->hosted[s].site),
            .frame = run->fit->rows[s].frame,
            .formula = run->fit->model->formula,
            .plan = run->fit->model->plan,
            .q = run->fit->q,
            .edges = run->fit->edges};
        if (!rc)
            rc = cv_disclosure_check(&v, err);
    }
    return rc;
}

/* ---- the whole -------------------------------------------------------------
 */

static int read_edges(cv_run *run)
{
    const cv_job *job = run->job;
    if (!job->model.n_bins)
        return 0;
    run->fit->edges = CV_NEW(job->model.n_bins, double);
    for (int i = 0; i < job->model.n_bins; i++)
        CV_CHECK(cv_number(&run->fit->edges[i], job->model.bins[i],
                           strlen(job->model.bins[i])) >= 0);
    return 0;
}

/* Matrices of q x q where they are not spread over the ranks: that of each hosted
 * silo, the sum, and a few that are made from it. */
static int check_memory(const cv_run *run, cv_err *err)
{
    double q = run->fit->q, copies = run->fed.n_hosted + 5.0;
    double have =
        (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    double need = cv_fit_is_distributed(run) ? 8.0 * q * q / run->fed.n_leaders
                                             : 8.0 * q * q * copies;
    char a[32], b[32];
    if (need <= have)
        return 0;
    cv_format_bytes(a, sizeof a, need);
    cv_format_bytes(b, sizeof b, have);
    return cv_err_set(err, CV_ERR_INPUT, run->job->file, 0,
                      "%d coefficients take %s on this rank, and the machine "
                      "has %s; take fewer columns (or model.features), or more "
                      "ranks",
                      run->fit->q, a, b);
}

static int make_fit(cv_run *run, cv_err *err)
{
    const cv_job *job = run->job;
    cv_fit *fit = run->fit = CV_NEW(1, cv_fit);
    fit->rows = CV_NEW(run->fed.n_hosted, cv_fit_rows);
    cv_family_find(&fit->family,
                   job->model.family ? job->model.family : "gaussian",
                   job->model.link);
    read_edges(run);
    int rc = cv_fit_model_make(job, run->schema, &fit->model, err);
    if (rc)
        return rc;
    fit->q = fit->model->q;
    rc = check_memory(run, err);
    if (rc)
        return rc;
    fit->v = CV_NEW(fit->model->params.n, double);
    if (job->privacy.enabled)
        fit->secret = cv_fit_private(fit->model, job);
    run->n = fit->model->params.n;
    run->strategy = &cv_newton;
    return 0;
}

/* A silo's share is that of its rows, which it does not tell. */
static void hide_weights(cv_run *run)
{
    run->weight = CV_NEW(run->fed.n_silos, double);
    for (int i = 0; i < run->fed.n_silos; i++)
        run->weight[i] = (double)NAN;
}

/* Ranks that share a silo split its rows, so they must hold the same ones. */
static int check_shared_all(const cv_run *run, cv_err *err)
{
    const cv_fed *fed = &run->fed;
    int rc = 0;
    if (fed->n_parts > 1) {
        const cv_frame *f = run->fit->rows[0].frame;
        uint64_t mine[2] = {(uint64_t)f->n, 0}, first[2];
        for (int64_t i = 0; i < f->n; i++)
            mine[1] = mine[1] * 0x9e3779b97f4a7c15u + f->content[i];
        memcpy(first, mine, sizeof first);
        cv_bcast_bytes_all(fed->silo, first, sizeof first, 0);
        if (memcmp(first, mine, sizeof first) != 0)
            rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                            "silo %s: ranks that share it read different rows; "
                            "do two sites claim it, or do nodes hold different "
                            "files?",
                            run->hosted[0].name);
    }
    return cv_agree_all(fed->world, rc, err);
}

int cv_fit_rows_all(cv_run *run, cv_sources *src, cv_err *err)
{
    int rc = make_fit(run, err); /* the same on all ranks, for the schema is */
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc)
        rc = cv_agree_all(run->fed.world, build_frames(run, src, err), err);
    if (!rc)
        rc = check_shared_all(run, err);
    if (!rc)
        rc = cv_agree_all(run->fed.world, check_rows(run, err), err);
    if (rc)
        return rc;
    run->threads = cv_blas_set_threads(run->threads);
    hide_weights(run);
    return 0;
}

void cv_fit_close_all(cv_run *run)
{
    cv_fit *fit = run->fit;
    if (!fit)
        return;
    if (fit->dist)
        cv_dist_destroy_all(&fit->dist);
    for (int s = 0; fit->rows && s < run->fed.n_hosted; s++) {
        cv_fit_rows *r = &fit->rows[s];
        cv_frame_destroy(&r->frame);
        cv_cox_destroy(&r->cox);
        free(r->mapped);
        free(r->mean);
        free(r->work);
        free(r->info);
    }
    free(fit->rows);
    cv_fit_model_destroy(&fit->model);
    free(fit->v);
    free(fit->edges);
    free(fit->numbers);
    free(fit->info);
    free(fit->penalty);
    CV_FREE(run->fit);
}

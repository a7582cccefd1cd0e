#include "jobs/disclosure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"

cv_disclosure cv_disclosure_of(const cv_job *job, const cv_silo *site)
{
    cv_disclosure d = {job->disclosure.min_rows, job->disclosure.min_cell,
                       job->disclosure.rows_per_parameter};
    if (!site)
        return d;
    if (site->disclosure.min_rows > 0)
        d.min_rows = site->disclosure.min_rows;
    if (site->disclosure.min_cell > 0)
        d.min_cell = site->disclosure.min_cell;
    if (site->disclosure.given && site->disclosure.rows_per_parameter >= 0)
        d.rows_per_parameter = site->disclosure.rows_per_parameter;
    return d;
}

static int refuse(const cv_disclosure_view *v, const char *what, cv_err *err)
{
    return cv_err_set(
        err, CV_ERR_PRIVACY, NULL, 0,
        "silo %s: %s; nothing was sent. Leave the silo out of the job, make "
        "the "
        "model coarser, or have the site lower its limit (`disclosure` in its "
        "silo.yaml)",
        v->silo, what);
}

static int refuse_cell(const cv_disclosure_view *v, const char *column,
                       cv_err *err)
{
    char what[300];
    snprintf(what, sizeof what,
             "%.200s: it has a group of fewer rows than disclosure.min_cell %d",
             column, v->limits.min_cell);
    return refuse(v, what, err);
}

/* A group that is there, but small. */
static int is_small(int64_t n, int min_cell)
{
    return n > 0 && n < min_cell;
}

/* Rows of weight 0 do not count. */
static int counts(const cv_frame *f, int64_t i)
{
    return !f->weights || f->weights[i] > 0.0;
}

/* A column of two values splits the rows in two groups, whether it is a level's
 * or not. */
static int check_column(const cv_frame *f, int j, int min_cell)
{
    double first = NAN, second = NAN;
    int64_t n[2] = {0, 0};
    for (int64_t i = 0; i < f->n; i++) {
        double v = f->x[(size_t)i * (size_t)f->p + (size_t)j];
        if (!counts(f, i))
            continue;
        if (n[0] == 0)
            first = v;
        if (v == first) {
            n[0]++;
        } else if (n[1] == 0 || v == second) {
            second = v;
            n[1]++;
        } else {
            return 0; /* a third value: not a column of groups */
        }
    }
    return is_small(n[0], min_cell) || is_small(n[1], min_cell);
}

/* The reference level has no column of its own: it is where all of its term's
 * columns are 0. */
static int check_references(const cv_frame *f, const cv_frame_plan *plan,
                            int min_cell)
{
    for (int j = 0; j < plan->p; j++) {
        int last = j, term = plan->term[j];
        if (plan->n_factor[j] != 1 || plan->factor[j][0].level < 0 ||
            (j > 0 && plan->term[j - 1] == term))
            continue;
        while (last + 1 < plan->p && plan->term[last + 1] == term)
            last++;
        int64_t n = 0;
        for (int64_t i = 0; i < f->n; i++) {
            const double *x = f->x + (size_t)i * (size_t)f->p;
            int zero = counts(f, i);
            for (int k = j; k <= last && zero; k++)
                zero = x[k] == 0.0;
            n += zero;
        }
        if (is_small(n, min_cell))
            return j;
    }
    return -1;
}

static int check_outcomes(const cv_disclosure_view *v)
{
    const cv_frame *f = v->frame;
    const char *family = v->job->model.family ? v->job->model.family : "";
    int binomial = strcmp(family, "binomial") == 0, events = f->event != NULL;
    int64_t yes = 0, no = 0;
    if (!events && !binomial && strcmp(family, "poisson") != 0)
        return 0;
    for (int64_t i = 0; i < f->n; i++) {
        if (!counts(f, i))
            continue;
        int hit = events ? f->event[i] : f->y[i] > 0.0;
        yes += hit;
        /* A proportion is outcomes of both kinds. */
        no += binomial ? f->y[i] < 1.0 : !hit;
    }
    return is_small(yes, v->limits.min_cell) ||
           is_small(no, v->limits.min_cell);
}

static int bin_of(const double *edge, int n_bins, double time)
{
    int lo = 0, hi = n_bins - 1;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (time <= edge[mid + 1])
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static int check_bins(const cv_disclosure_view *v)
{
    const cv_frame *f = v->frame;
    int n = v->edges ? v->job->model.n_bins - 1 : 0, small = 0;
    int64_t *events = CV_NEW(n, int64_t), *rows = CV_NEW(n, int64_t);
    for (int64_t i = 0; i < f->n && n; i++) {
        int k = bin_of(v->edges, n, f->time[i]);
        rows[k] += counts(f, i);
        events[k] += counts(f, i) && f->event[i];
    }
    for (int k = 0; k < n; k++)
        small |= is_small(events[k], v->limits.min_cell) ||
                 is_small(rows[k], v->limits.min_cell);
    free(events);
    free(rows);
    return small;
}

static int check_cells(const cv_disclosure_view *v, cv_err *err)
{
    const cv_frame *f = v->frame;
    const cv_frame_plan *plan = v->plan;
    char column[260];
    for (int j = 0; j < f->p; j++)
        if (check_column(f, j, v->limits.min_cell)) {
            snprintf(column, sizeof column, "column %.200s", plan->name[j]);
            return refuse_cell(v, column, err);
        }
    int j = check_references(f, plan, v->limits.min_cell);
    if (j >= 0) {
        snprintf(column, sizeof column,
                 "the reference level beside column %.200s", plan->name[j]);
        return refuse_cell(v, column, err);
    }
    if (check_outcomes(v))
        return refuse_cell(v, f->event ? "events" : "the outcome", err);
    return check_bins(v) ? refuse_cell(v, "model.bins", err) : 0;
}

/* Kish: as many rows of equal weight would say as much. A few heavy rows are a
 * small group, whatever the number of light ones. */
static double effective_rows(const cv_frame *f)
{
    double sum = 0.0, squares = 0.0;
    if (!f->weights)
        return (double)f->n;
    for (int64_t i = 0; i < f->n; i++) {
        sum += f->weights[i];
        squares += f->weights[i] * f->weights[i];
    }
    return squares > 0.0 ? sum * sum / squares : 0.0;
}

int cv_disclosure_check(const cv_disclosure_view *v, cv_err *err)
{
    const cv_frame *f = v->frame;
    const cv_disclosure *d = &v->limits;
    int64_t n = 0;
    char what[200];
    if (v->job->privacy.enabled)
        return 0;
    for (int64_t i = 0; i < f->n; i++)
        n += counts(f, i);
    if (n == 0) { /* shows nothing, like a group that is not there */
        cv_log(
            CV_LOG_WARN, "no_rows",
            "silo=%s no row is left for the fit: a value is missing in each, "
            "or its weight is 0",
            v->silo);
        return 0;
    }
    if (n < d->min_rows) {
        snprintf(what, sizeof what,
                 "it has fewer rows than disclosure.min_rows %d", d->min_rows);
        return refuse(v, what, err);
    }
    if (effective_rows(f) < d->min_rows) {
        snprintf(what, sizeof what,
                 "model.weights leaves it fewer effective rows than "
                 "disclosure.min_rows %d",
                 d->min_rows);
        return refuse(v, what, err);
    }
    if ((double)n < d->rows_per_parameter * v->q) {
        snprintf(what, sizeof what,
                 "it has fewer rows than disclosure.rows_per_parameter %g for "
                 "each of %d coefficients",
                 d->rows_per_parameter, v->q);
        return refuse(v, what, err);
    }
    return check_cells(v, err);
}

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
        "the model coarser, or have the site lower its limit (`disclosure` in "
        "its silo.yaml)",
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

/* Groups that a column cuts the rows into: those in which it is not zero, and of
 * one with two values the rows of each. */
static int check_values(const cv_frame *f, const double *v, size_t stride,
                        int min_cell)
{
    double first = NAN, second = NAN;
    int64_t n[2] = {0, 0}, others = 0;
    int values = 0;
    for (int64_t i = 0; i < f->n; i++) {
        double x = v[(size_t)i * stride];
        if (!counts(f, i))
            continue;
        others += x != 0.0;
        if (values == 0) {
            first = x;
            values = 1;
        }
        if (x == first) {
            n[0]++;
        } else if (values == 1 || x == second) {
            second = x;
            values = values == 1 ? 2 : values;
            n[1]++;
        } else {
            values = 3; /* and so no longer a column of two groups */
        }
        if (values == 3 && others >= min_cell)
            return 0;
    }
    if (is_small(others, min_cell))
        return 1;
    return values == 2 &&
           (is_small(n[0], min_cell) || is_small(n[1], min_cell));
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Does the column show levels alone, and of variables that term t has? */
static int shows_cell(const cv_frame_plan *plan, const cv_formula *formula,
                      int j, int t)
{
    const cv_formula_term *term = &formula->terms[t];
    for (int k = 0; k < plan->n_factor[j]; k++) {
        int found = 0;
        for (int v = 0; v < term->order; v++)
            found |= term->var[v] == plan->factor[j][k].var;
        if (!found || plan->factor[j][k].level < 0)
            return 0;
    }
    return plan->n_factor[j] > 0;
}

static uint64_t cell_of(const cv_frame *f, int64_t row, const int *column,
                        int n)
{
    uint64_t h = 0;
    const double *x = f->x + (size_t)row * (size_t)f->p;
    for (int k = 0; k < n; k++)
        h = (h ^ (x[column[k]] != 0.0)) * 0x9e3779b97f4a7c15u + (uint64_t)k + 1;
    return h;
}

/* Cells of the cross-tabulation of a term's categories, reference levels included:
 * a cell is what its columns of levels come to. column (n): those. */
static int check_cross(const cv_disclosure_view *v, const int *column, int n)
{
    const cv_frame *f = v->frame;
    uint64_t *cell = CV_NEW(f->n, uint64_t);
    int64_t rows = 0, same = 0;
    int small = 0;
    for (int64_t i = 0; i < f->n; i++)
        if (counts(f, i))
            cell[rows++] = cell_of(f, i, column, n);
    qsort(cell, (size_t)rows, sizeof *cell, by_value);
    for (int64_t i = 0; i < rows; i++) {
        same = i > 0 && cell[i] == cell[i - 1] ? same + 1 : 1;
        if (i + 1 == rows || cell[i + 1] != cell[i])
            small |= is_small(same, v->limits.min_cell);
    }
    free(cell);
    return small;
}

static int check_terms(const cv_disclosure_view *v)
{
    const cv_frame_plan *plan = v->plan;
    int *level = CV_NEW(plan->p, int), *column = CV_NEW(plan->p, int);
    int n_levels = 0, small = 0;
    for (int j = 0; j < plan->p; j++) {
        int is_level = plan->n_factor[j] > 0;
        for (int k = 0; k < plan->n_factor[j]; k++)
            is_level &= plan->factor[j][k].level >= 0;
        if (is_level)
            level[n_levels++] = j;
    }
    for (int t = 0; t < v->formula->n_terms && n_levels && !small; t++) {
        int n = 0;
        for (int k = 0; k < n_levels; k++)
            if (shows_cell(plan, v->formula, level[k], t))
                column[n++] = level[k];
        small = n > 0 && check_cross(v, column, n);
    }
    free(level);
    free(column);
    return small;
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
    int min_cell = v->limits.min_cell;
    char column[260];
    for (int j = 0; j < f->p; j++)
        if (check_values(f, f->x + j, (size_t)f->p, min_cell)) {
            snprintf(column, sizeof column, "column %.200s", v->plan->name[j]);
            return refuse_cell(v, column, err);
        }
    if (check_terms(v))
        return refuse_cell(v, "a level, or a cell of levels", err);
    if (f->y && check_values(f, f->y, 1, min_cell))
        return refuse_cell(v, "the outcome", err);
    if (check_outcomes(v))
        return refuse_cell(v, f->event ? "events" : "the outcome", err);
    if (f->offset && check_values(f, f->offset, 1, min_cell))
        return refuse_cell(v, "offset()", err);
    if (f->weights && check_values(f, f->weights, 1, min_cell))
        return refuse_cell(v, "model.weights", err);
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

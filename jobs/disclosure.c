#include "jobs/disclosure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/fit.h"

cv_disclosure cv_disclosure_of(const cv_run *run, const cv_hosted *h)
{
    const cv_job *job = run->job;
    cv_disclosure d = {job->disclosure.min_rows, job->disclosure.min_cell,
                       job->disclosure.rows_per_parameter};
    if (!h->site)
        return d;
    if (h->site->disclosure.min_rows > 0)
        d.min_rows = h->site->disclosure.min_rows;
    if (h->site->disclosure.min_cell > 0)
        d.min_cell = h->site->disclosure.min_cell;
    if (h->site->disclosure.rows_per_parameter >= 0)
        d.rows_per_parameter = h->site->disclosure.rows_per_parameter;
    return d;
}

static int refuse(const cv_hosted *h, const char *what, cv_err *err)
{
    return cv_err_set(
        err, CV_ERR_PRIVACY, NULL, 0,
        "silo %s: %s; nothing was sent. Leave the silo out of the job, make "
        "the "
        "model coarser, or have the site lower its limit (`disclosure` in its "
        "silo.yaml)",
        h->name, what);
}

static int refuse_cell(const cv_hosted *h, const char *column, int min_cell,
                       cv_err *err)
{
    char what[300];
    snprintf(what, sizeof what,
             "%.200s: it has a group of fewer rows than disclosure.min_cell %d",
             column, min_cell);
    return refuse(h, what, err);
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

static int check_outcomes(const cv_run *run, const cv_frame *f, int min_cell)
{
    int64_t yes = 0, no = 0;
    int events = f->event != NULL;
    if (!events && run->fit->family.kind != CV_FAMILY_BINOMIAL &&
        run->fit->family.kind != CV_FAMILY_POISSON)
        return 0;
    for (int64_t i = 0; i < f->n; i++) {
        if (!counts(f, i))
            continue;
        int hit = events ? f->event[i] : f->y[i] > 0.0;
        /* A proportion is several outcomes: both. */
        yes += hit;
        no += events                                        ? !hit
              : run->fit->family.kind == CV_FAMILY_BINOMIAL ? f->y[i] < 1.0
                                                            : !hit;
    }
    return is_small(yes, min_cell) || is_small(no, min_cell);
}

static int check_bins(const cv_run *run, const cv_frame *f, int min_cell)
{
    const double *edge = run->fit->edges;
    int n = edge ? run->job->model.n_bins - 1 : 0, small = 0;
    int64_t *events = CV_NEW(n, int64_t), *rows = CV_NEW(n, int64_t);
    for (int64_t i = 0; i < f->n && n; i++) {
        int lo = 0, hi = n - 1;
        while (lo < hi) {
            int mid = (lo + hi) / 2;
            if (f->time[i] <= edge[mid + 1])
                hi = mid;
            else
                lo = mid + 1;
        }
        rows[lo] += counts(f, i);
        events[lo] += counts(f, i) && f->event[i];
    }
    for (int k = 0; k < n; k++)
        small |= is_small(events[k], min_cell) || is_small(rows[k], min_cell);
    free(events);
    free(rows);
    return small;
}

static int check_cells(const cv_run *run, int s, int min_cell, cv_err *err)
{
    const cv_frame *f = run->fit->rows[s].frame;
    const cv_frame_plan *plan = run->fit->model->plan;
    const cv_hosted *h = &run->hosted[s];
    for (int j = 0; j < f->p; j++)
        if (check_column(f, j, min_cell)) {
            char column[220];
            snprintf(column, sizeof column, "column %.200s", plan->name[j]);
            return refuse_cell(h, column, min_cell, err);
        }
    int j = check_references(f, plan, min_cell);
    if (j >= 0) {
        char column[260];
        snprintf(column, sizeof column,
                 "the reference level beside column %.200s", plan->name[j]);
        return refuse_cell(h, column, min_cell, err);
    }
    if (check_outcomes(run, f, min_cell))
        return refuse_cell(h, f->event ? "events" : "outcome", min_cell, err);
    if (check_bins(run, f, min_cell))
        return refuse_cell(h, "model.bins", min_cell, err);
    return 0;
}

int cv_disclosure_check(const cv_run *run, int hosted, cv_err *err)
{
    const cv_hosted *h = &run->hosted[hosted];
    const cv_frame *f = run->fit->rows[hosted].frame;
    cv_disclosure d = cv_disclosure_of(run, h);
    int64_t n = 0;
    char what[200];
    if (run->job->privacy.enabled)
        return 0;
    for (int64_t i = 0; i < f->n; i++)
        n += counts(f, i);
    if (n < d.min_rows) {
        snprintf(what, sizeof what,
                 "it has fewer rows than disclosure.min_rows %d", d.min_rows);
        return refuse(h, what, err);
    }
    if ((double)n < d.rows_per_parameter * run->fit->q) {
        snprintf(what, sizeof what,
                 "it has fewer rows than disclosure.rows_per_parameter %g for "
                 "each of %d coefficients",
                 d.rows_per_parameter, run->fit->q);
        return refuse(h, what, err);
    }
    return check_cells(run, hosted, d.min_cell, err);
}

/* A fit in a checkpoint: the vector below /model/params, what it comes to below
 * /result. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/fit_result.h"
#include "jobs/saved.h"

/* ---- the vector --------------------------------------------------------------------- */

static const char *note_of(const char *view)
{
    static const char *const notes[][2] = {
        {"scalars", "counts, deviances and the state of the fit; "
                    "/result names those that people read"},
        {"coefficients",
         "on the scale of the data, as /result/names; NaN: left "
         "out, collinear"},
        {"standard_errors", "of coefficients"},
        {"covariance", "of coefficients"},
        {"working", "coefficients of centred and scaled columns, where the "
                    "iterations go on from"},
        {"previous", "working coefficients before the last step"},
        {"step", "last Newton step, of working coefficients"},
        {"centre", "working column = (column - centre) / unit"},
        {"unit", "working column = (column - centre) / unit"},
        {"dropped", "1: the column is collinear with those before"},
        {"norm", "diagonal of the first information matrix"},
        {"first_variance", "diagonal of its inverse"},
        {"variances", "of each component, largest first"},
        {"loadings", "a row a component"}};
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (strcmp(notes[i][0], view) == 0)
            return notes[i][1];
    return NULL;
}

int cv_fit_save(cv_h5_writer *w, const cv_fit_model *m, const cv_job *job,
                const double *v, cv_err *err)
{
    int rc = 0;
    for (int i = 0; i < m->params.n_views && !rc; i++) {
        const cv_view *view = &m->params.views[i];
        char *path = cv_asprintf("/model/params/%s", view->name);
        rc = cv_h5_put(w, path, CV_H5_F64, view->rank, view->dims,
                       v + view->offset, NULL, note_of(view->name), err);
        free(path);
    }
    return rc ? rc : cv_fit_result_save(w, m, job, v, err);
}

/* What a number of a view may be. */
typedef enum { FINITE, POSITIVE, NOT_NEGATIVE, FLAG, OR_NAN } rule;

static int follows(rule what, double x)
{
    switch (what) {
    case FINITE:
        return isfinite(x);
    case POSITIVE:
        return isfinite(x) && x > 0.0;
    case NOT_NEGATIVE:
        return isfinite(x) && x >= 0.0;
    case FLAG:
        return x == 0.0 || x == 1.0;
    default:
        return isnan(x) || isfinite(x);
    }
}

static int wrong(const char *view, const char *what, cv_err *err)
{
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                      "/model/params/%s: %s, which no fit leaves", view, what);
}

static int check_view(const cv_view *view, const double *v, int stage,
                      cv_err *err)
{
    static const struct {
        const char *view;
        rule what;
    } rules[] = {{"working", FINITE},        {"previous", FINITE},
                 {"step", FINITE},           {"centre", FINITE},
                 {"unit", POSITIVE},         {"norm", FINITE},
                 {"first_variance", FINITE}, {"dropped", FLAG},
                 {"coefficients", OR_NAN},   {"standard_errors", OR_NAN},
                 {"covariance", OR_NAN},     {"variances", FINITE},
                 {"loadings", FINITE}};
    rule what = OR_NAN;
    size_t n = (size_t)view->dims[0];
    if (view->rank == 2)
        n *= (size_t)view->dims[1];
    if (strcmp(view->name, "scalars") == 0)
        return 0;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].view, view->name) == 0)
            what = rules[i].what;
    if (what == POSITIVE && stage == 0) /* not known yet */
        what = NOT_NEGATIVE;
    for (size_t i = 0; i < n; i++)
        if (!follows(what, v[view->offset + i]))
            return wrong(view->name,
                         what == FLAG       ? "a flag that is neither 0 nor 1"
                         : what == POSITIVE ? "a unit that is not above 0"
                                            : "a number that is not finite",
                         err);
    return 0;
}

static int is_count(double x, double most)
{
    return x >= 0.0 && x <= most && x == trunc(x);
}

static int check_scalars(const cv_fit_model *m, const double *v, cv_err *err)
{
    const double *s = cv_fit_const(m, v, "scalars");
    if (!is_count(s[CV_FIT_STAGE], 3.0))
        return wrong("scalars", "a stage that is none", err);
    if (!follows(FLAG, s[CV_FIT_CONVERGED]) ||
        !is_count(s[CV_FIT_ITERATIONS], INT32_MAX) ||
        !is_count(s[CV_FIT_HALVINGS], INT32_MAX) ||
        !is_count(s[CV_FIT_RANK], m->q) ||
        !is_count(s[CV_FIT_INTERCEPTS], INT32_MAX))
        return wrong("scalars", "a count or flag that is none", err);
    return 0;
}

/* Of a fit that is done, a coefficient is a number or left out. */
static int check_coefficients(const cv_fit_model *m, const double *v,
                              cv_err *err)
{
    const double *s = cv_fit_const(m, v, "scalars");
    if (m->kind == CV_FIT_PCA || s[CV_FIT_STAGE] < 3.0)
        return 0;
    const double *b = cv_fit_const(m, v, "coefficients");
    const double *dropped = cv_fit_const(m, v, "dropped");
    for (int j = 0; j < m->q; j++)
        if (isnan(b[j]) != (dropped[j] != 0.0))
            return wrong("coefficients",
                         "NaN of a column that is not left out, or a number of "
                         "one that is",
                         err);
    return 0;
}

int cv_fit_load(cv_h5_reader *r, const cv_fit_model *m, double *v, cv_err *err)
{
    const cv_params *p = &m->params;
    int rc = cv_check_params(r, p, err);
    for (int i = 0; i < p->n_views && !rc; i++) {
        const cv_view *view = &p->views[i];
        size_t n = (size_t)view->dims[0];
        if (view->rank == 2)
            n *= (size_t)view->dims[1];
        char *path = cv_asprintf("/model/params/%s", view->name);
        rc = cv_h5_get(r, path, CV_H5_F64, v + view->offset, n, err);
        free(path);
    }
    if (!rc)
        rc = check_scalars(m, v, err);
    for (int i = 0; i < p->n_views && !rc; i++)
        rc = check_view(&p->views[i], v,
                        (int)cv_fit_const(m, v, "scalars")[CV_FIT_STAGE], err);
    return rc ? rc : check_coefficients(m, v, err);
}

/* ---- /result: written -------------------------------------------------------------- */

static int put_text(void *arg, const char *name, const char *v, cv_err *err)
{
    return cv_h5_attr_string(arg, "/result", name, v, err);
}

static int put_whole(void *arg, const char *name, int64_t v, cv_err *err)
{
    return cv_h5_attr_i64(arg, "/result", name, v, err);
}

static int put_number(void *arg, const char *name, double v, cv_err *err)
{
    return cv_h5_attr_f64(arg, "/result", name, v, err);
}

static int put_names(void *arg, const char *path, const char *const *v,
                     size_t n, const char *note, cv_err *err)
{
    return cv_h5_put_strings(arg, path, v, n, note, err);
}

static int put_array(void *arg, const char *path, int rank, const int64_t *dims,
                     const double *v, const char *note, cv_err *err)
{
    return cv_h5_put(arg, path, CV_H5_F64, rank, dims, v, NULL, note, err);
}

static int put_table(void *arg, const char *path, const cv_h5_column *cols,
                     int n_cols, int64_t n_rows, const char *note, cv_err *err)
{
    return cv_h5_put_table(arg, path, note, cols, n_cols, n_rows, err);
}

int cv_fit_result_save(cv_h5_writer *w, const cv_fit_model *m,
                       const cv_job *job, const double *v, cv_err *err)
{
    const cv_fit_sink sink = {.arg = w,
                              .text = put_text,
                              .whole = put_whole,
                              .number = put_number,
                              .names = put_names,
                              .array = put_array,
                              .table = put_table};
    return cv_fit_result(m, job, v, &sink, err);
}

/* ---- /result: compared --------------------------------------------------------------- */

/* Another machine's libm may round otherwise. */
static int near(double a, double b)
{
    return (isnan(a) && isnan(b)) || a == b ||
           fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b)) + DBL_MIN;
}

static int differs(int same, const char *what, const char *name, cv_err *err)
{
    return same ? 0
                : cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                             "%s%s is not what /model/params comes to", what,
                             name);
}

static int same_text(void *arg, const char *name, const char *v, cv_err *err)
{
    char *have = NULL;
    cv_err ignored;
    int same =
        cv_h5_get_attr_string(arg, "/result", name, &have, &ignored) == 0 &&
        strcmp(have, v) == 0;
    free(have);
    return differs(same, "/result: ", name, err);
}

static int same_whole(void *arg, const char *name, int64_t v, cv_err *err)
{
    int64_t have;
    cv_err ignored;
    return differs(cv_h5_get_attr_i64(arg, "/result", name, &have, &ignored) ==
                           0 &&
                       have == v,
                   "/result: ", name, err);
}

static int same_number(void *arg, const char *name, double v, cv_err *err)
{
    double have;
    cv_err ignored;
    return differs(cv_h5_get_attr_f64(arg, "/result", name, &have, &ignored) ==
                           0 &&
                       near(have, v),
                   "/result: ", name, err);
}

static int same_list(char **have, size_t n_have, const char *const *v, size_t n)
{
    int same = n == n_have;
    for (size_t i = 0; i < n && same; i++)
        same = strcmp(have[i], v[i]) == 0;
    return same;
}

static int same_names(void *arg, const char *path, const char *const *v,
                      size_t n, const char *note, cv_err *err)
{
    char **have = NULL;
    size_t n_have = 0;
    cv_err ignored;
    (void)note;
    int same = cv_h5_get_strings(arg, path, &have, &n_have, &ignored) == 0 &&
               same_list(have, n_have, v, n);
    cv_strings_free(&have, n_have);
    return differs(same, "", path, err);
}

static int same_array(void *arg, const char *path, int rank,
                      const int64_t *dims, const double *v, const char *note,
                      cv_err *err)
{
    int have_rank = 0;
    int64_t have_dims[4] = {0};
    size_t n = 1;
    cv_err ignored;
    (void)note;
    int same = cv_h5_shape(arg, path, &have_rank, have_dims, &ignored) == 0 &&
               have_rank == rank;
    for (int k = 0; k < rank && same; k++) {
        same = have_dims[k] == dims[k];
        n *= (size_t)dims[k];
    }
    if (same) {
        double *have = CV_NEW(n, double);
        same = cv_h5_get(arg, path, CV_H5_F64, have, n, &ignored) == 0;
        for (size_t i = 0; i < n && same; i++)
            same = near(have[i], v[i]);
        free(have);
    }
    return differs(same, "", path, err);
}

static int same_column(cv_h5_reader *r, const char *path,
                       const cv_h5_column *col, int64_t n)
{
    cv_err ignored;
    int same;
    if (col->is_string) {
        char **have = NULL;
        same = cv_h5_get_column_strings(r, path, col->name, &have, n,
                                        &ignored) == 0;
        same = same && same_list(have, (size_t)n, col->data, (size_t)n);
        cv_strings_free(&have, have ? (size_t)n : 0);
        return same;
    }
    const double *v = col->data;
    double *have = CV_NEW(n, double);
    same =
        cv_h5_get_column(r, path, col->name, CV_H5_F64, have, n, &ignored) == 0;
    for (int64_t i = 0; i < n && same; i++)
        same = near(have[i], v[i]);
    free(have);
    return same;
}

static int same_table(void *arg, const char *path, const cv_h5_column *cols,
                      int n_cols, int64_t n_rows, const char *note, cv_err *err)
{
    char **name = NULL;
    size_t n = 0;
    int64_t rows = -1;
    cv_err ignored;
    (void)note;
    int same = cv_h5_table_rows(arg, path, &rows, &ignored) == 0 &&
               rows == n_rows &&
               cv_h5_table_columns(arg, path, &name, &n, &ignored) == 0 &&
               n == (size_t)n_cols;
    for (int c = 0; c < n_cols && same; c++)
        same = strcmp(name[c], cols[c].name) == 0 &&
               same_column(arg, path, &cols[c], n_rows);
    cv_strings_free(&name, n);
    return differs(same, "", path, err);
}

int cv_fit_result_check(cv_h5_reader *r, const cv_fit_model *m,
                        const cv_job *job, const double *v, cv_err *err)
{
    const cv_fit_sink sink = {.arg = r,
                              .text = same_text,
                              .whole = same_whole,
                              .number = same_number,
                              .names = same_names,
                              .array = same_array,
                              .table = same_table};
    return cv_fit_result(m, job, v, &sink, err);
}

/* A fitted model for machines. */
#include <math.h>
#include <stddef.h>

#include "jobs/fit_result.h"
#include "jobs/inspect_fit.h"
#include "jobs/json.h"

/* What /result holds as attributes, under the same names. */
static int add_text(void *b, const char *name, const char *v, cv_err *err)
{
    (void)err;
    cv_json_string(b, name, v);
    return 0;
}

static int add_whole(void *b, const char *name, int64_t v, cv_err *err)
{
    (void)err;
    cv_json_i64(b, name, v);
    return 0;
}

static int add_number(void *b, const char *name, double v, cv_err *err)
{
    (void)err;
    cv_json_f64(b, name, v);
    return 0;
}

static int add_names(void *b, const char *path, const char *const *v, size_t n,
                     const char *note, cv_err *err)
{
    (void)note;
    (void)err;
    cv_json_open(b, path + sizeof "/result", '[');
    for (size_t i = 0; i < n; i++)
        cv_json_string(b, NULL, v[i]);
    cv_json_close(b, ']');
    return 0;
}

static int add_array(void *b, const char *path, int rank, const int64_t *dims,
                     const double *v, const char *note, cv_err *err)
{
    int64_t n = rank == 2 ? dims[1] : dims[0];
    (void)note;
    (void)err;
    cv_json_open(b, path + sizeof "/result", '[');
    for (int64_t i = 0; i < (rank == 2 ? dims[0] : 1); i++) {
        if (rank == 2)
            cv_json_open(b, NULL, '[');
        for (int64_t j = 0; j < n; j++)
            cv_json_f64(b, NULL, v[i * n + j]);
        if (rank == 2)
            cv_json_close(b, ']');
    }
    cv_json_close(b, ']');
    return 0;
}

/* Objects instead of columns: who reads JSON reads a coefficient at a time. */
static int add_table(void *b, const char *path, const cv_h5_column *cols,
                     int n_cols, int64_t n_rows, const char *note, cv_err *err)
{
    (void)note;
    (void)err;
    cv_json_open(b, path + sizeof "/result", '[');
    for (int64_t i = 0; i < n_rows; i++) {
        cv_json_open(b, NULL, '{');
        for (int c = 0; c < n_cols; c++)
            if (cols[c].is_string)
                cv_json_string(b, cols[c].name,
                               ((const char *const *)cols[c].data)[i]);
            else
                cv_json_f64(b, cols[c].name, ((const double *)cols[c].data)[i]);
        cv_json_close(b, '}');
    }
    cv_json_close(b, ']');
    return 0;
}

void cv_inspect_fit_json(cv_buf *b, const cv_saved *s)
{
    static const char *const stages[] = {"not begun", "moments", "iterating",
                                         "done"};
    const cv_fit_sink sink = {.arg = b,
                              .text = add_text,
                              .whole = add_whole,
                              .number = add_number,
                              .names = add_names,
                              .array = add_array,
                              .table = add_table};
    const double *scalar = cv_fit_const(s->fit, s->v, "scalars");
    cv_err none;
    cv_json_open(b, "fit", '{');
    cv_json_string(b, "stage", stages[(int)scalar[CV_FIT_STAGE]]);
    cv_fit_result(s->fit, s->job, s->v, &sink, &none);
    cv_json_close(b, '}');
}

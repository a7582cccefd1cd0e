/* What a checkpoint says of a fitted model in words and tables: all of it follows
 * from the vector that silos sign. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/fit_result.h"
#include "jobs/verify.h"

void cv_verify_result(cv_verify *v)
{
    const cv_saved *s = &v->saved;
    cv_err err = {0};
    if (!s->fit || cv_fit_const(s->fit, s->v, "scalars")[CV_FIT_STAGE] < 3.0)
        return;
    if (cv_fit_result_check(s->file, s->fit, s->job, s->v, &err))
        cv_verify_error(v, "result", &err);
    else
        cv_verify_say(v, CV_LINE_RECOMPUTED, "result",
                      "/result is what the model's parameters come to");
}

/* ---- what belongs there -------------------------------------------------------------- */

typedef struct {
    char **name;
    size_t n;
} list;

static void add(list *l, char *name)
{
    l->name = cv_realloc(l->name, l->n + 1, sizeof *l->name);
    l->name[l->n++] = name;
}

static int add_attribute(list *l, const char *name)
{
    add(l, cv_asprintf("/result" CV_VERIFY_ATTRIBUTE "%s", name));
    return 0;
}

static int text(void *l, const char *name, const char *v, cv_err *err)
{
    (void)v;
    (void)err;
    return add_attribute(l, name);
}

static int whole(void *l, const char *name, int64_t v, cv_err *err)
{
    (void)v;
    (void)err;
    return add_attribute(l, name);
}

static int number(void *l, const char *name, double v, cv_err *err)
{
    (void)v;
    (void)err;
    return add_attribute(l, name);
}

static int names(void *l, const char *path, const char *const *v, size_t n,
                 const char *note, cv_err *err)
{
    (void)v;
    (void)n;
    (void)note;
    (void)err;
    add(l, cv_strdup(path));
    return 0;
}

static int array(void *l, const char *path, int rank, const int64_t *dims,
                 const double *v, const char *note, cv_err *err)
{
    (void)rank;
    (void)dims;
    (void)v;
    (void)note;
    (void)err;
    add(l, cv_strdup(path));
    return 0;
}

static int table(void *l, const char *path, const cv_h5_column *cols,
                 int n_cols, int64_t n_rows, const char *note, cv_err *err)
{
    (void)cols;
    (void)n_cols;
    (void)n_rows;
    (void)note;
    (void)err;
    add(l, cv_strdup(path));
    return 0;
}

char **cv_verify_result_names(const cv_verify *v, size_t *n)
{
    const cv_saved *s = &v->saved;
    list l = {0};
    const cv_fit_sink sink = {.arg = &l,
                              .text = text,
                              .whole = whole,
                              .number = number,
                              .names = names,
                              .array = array,
                              .table = table};
    cv_err none;
    if (s->fit)
        cv_fit_result(s->fit, s->job, s->v, &sink, &none);
    *n = l.n;
    return l.name;
}

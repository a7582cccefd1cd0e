/* `covey predict`: the saved model with its saved preprocessing. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "io/table.h"
#include "jobs/commands.h"
#include "jobs/output.h"
#include "jobs/predict_fit.h"
#include "jobs/saved.h"
#include "jobs/scale.h"
#include "solver/blas.h"

enum { BLOCK = 512 };

static int holds_column(const cv_table *t, const char *name)
{
    for (int i = 0; i < t->n_cols; i++)
        if (strcmp(t->cols[i].name, name) == 0)
            return 1;
    return t->y && t->target.name && strcmp(t->target.name, name) == 0;
}

/* Rows of the file, encoded and standardised. with_target: those whose target
 * is known, or none (*design NULL) if the file does not hold it. */
static int read_rows(const cv_saved *s, const char *path, int with_target,
                     cv_design **design, cv_err *err)
{
    cv_format format;
    cv_table *table = NULL;
    const char *target = s->schema->target.name;
    int rc = cv_table_guess_format(path, &format, err);
    if (!rc)
        rc = cv_table_read_for(CV_ADVISE_MODEL, path, format, "data",
                               &(cv_row_filter){.declared_only = 1},
                               s->schema->features, s->schema->n_features,
                               target, &table, err);
    if (!rc && (!with_target || holds_column(table, target)))
        rc = cv_design_encode(&table, s->schema, with_target, design, err);
    cv_table_destroy(&table);
    if (rc) { /* the data are the reader's own */
        cv_err_merge_site(err);
        if (!strstr(err->text, path))
            cv_err_prefix(err, "%s", path);
    }
    return rc;
}

static void print_header(FILE *out, const cv_saved *s)
{
    const cv_feature *t = &s->schema->target;
    fputs("row,", out);
    cv_csv_field(out, t->name);
    for (int k = 0; k < t->n_levels; k++) {
        char *name = cv_asprintf("p_%s", t->levels[k]);
        fputc(',', out);
        cv_csv_field(out, name);
        free(name);
    }
    fputc('\n', out);
}

static void print_row(FILE *out, const cv_saved *s, int64_t row, const float *p)
{
    const cv_feature *t = &s->schema->target;
    fprintf(out, "%lld,", (long long)row + 1);
    if (!t->n_levels) {
        fprintf(out, "%.9g\n", (double)p[0]);
        return;
    }
    float both[2] = {1.0f - p[0], p[0]};
    if (cv_model_n_out(s->model) == 1) /* logistic: of the second class */
        p = both;
    int best = 0;
    for (int k = 1; k < t->n_levels; k++)
        if (p[k] > p[best])
            best = k;
    cv_csv_field(out, t->levels[best]);
    for (int k = 0; k < t->n_levels; k++)
        fprintf(out, ",%.9g", (double)p[k]);
    fputc('\n', out);
}

/* What the model sees of rows [first, first + n). x (n, inputs). */
static void model_input(const cv_saved *s, const cv_samples *rows,
                        int64_t first, int n, float *x)
{
    if (s->transform)
        cv_transform_rows(s->transform, rows, first, n, x);
    else
        cv_samples_gather(rows, NULL, first, n, x, NULL);
}

static void predict_rows(FILE *out, const cv_saved *s, const cv_design *d,
                         const cv_samples *rows, cv_model_work *work)
{
    float *p = CV_NEW((size_t)BLOCK * (size_t)cv_model_n_out(s->model), float);
    int n_out = cv_model_n_out(s->model);
    for (int64_t first = 0; first < rows->n_rows; first += BLOCK) {
        int64_t left = rows->n_rows - first;
        int n = left < BLOCK ? (int)left : BLOCK;
        float *x = cv_model_work_input(work);
        model_input(s, rows, first, n, x);
        cv_model_predict(s->model, work, s->w, x, n, p);
        for (int i = 0; i < n; i++)
            print_row(out, s, d->kept[first + i], p + i * n_out);
    }
    free(p);
}

/* What model and rows have in common while they are worked on. */
typedef struct {
    cv_samples rows;
    float *mul, *add;
    cv_model_work *work;
} scaled;

static void scaled_open(scaled *x, const cv_saved *s, const cv_design *d)
{
    size_t c = (size_t)s->schema->n_cols;
    x->rows = (cv_samples){.n_rows = d->n_rows,
                           .n_cols = d->n_cols,
                           .is_u8 = d->type == CV_TYPE_U8,
                           .x = d->x,
                           .y = d->y};
    x->mul = CV_NEW(c, float);
    x->add = CV_NEW(c, float);
    x->work = cv_model_work_create(s->model, BLOCK);
    cv_scale_tables(s->schema, d->scale, x->mul, x->add);
    cv_scale_rows(s->schema, &x->rows, x->mul, x->add);
}

static void scaled_close(scaled *x)
{
    cv_model_work_destroy(&x->work);
    free(x->mul);
    free(x->add);
}

static int write_predictions(const cv_saved *s, const cv_design *d,
                             const char *path, cv_err *err)
{
    char *tmp = NULL;
    FILE *out = cv_output_open(path, &tmp);
    int rc = 0;
    if (!out) {
        rc = cv_err_set(err, CV_ERR_ENV, path, 0, "cannot write: %s",
                        strerror(errno));
        goto out;
    }
    scaled x;
    scaled_open(&x, s, d);
    print_header(out, s);
    predict_rows(out, s, d, &x.rows, x.work);
    scaled_close(&x);
    rc = cv_output_close(out, path, tmp, err);
    if (rc && tmp)
        unlink(tmp);
out:
    free(tmp);
    return rc;
}

/* Where the data hold the target too, say how well it was met. */
static int print_metrics(const cv_saved *s, const char *path, cv_err *err)
{
    double sums[CV_MAX_METRICS] = {0}, values[CV_MAX_METRICS];
    const char *names[CV_MAX_METRICS];
    cv_design *d = NULL;
    int rc = read_rows(s, path, 1, &d, err);
    if (rc || !d || !d->n_rows) {
        cv_design_destroy(&d);
        return rc;
    }
    scaled x;
    scaled_open(&x, s, d);
    for (int64_t first = 0; first < d->n_rows; first += BLOCK) {
        int64_t left = d->n_rows - first;
        int n = left < BLOCK ? (int)left : BLOCK;
        float *in = cv_model_work_input(x.work);
        model_input(s, &x.rows, first, n, in);
        cv_model_add_sums(s->model, x.work, s->w, in, x.rows.y + first, n,
                          sums);
    }
    scaled_close(&x);
    int n = cv_model_metrics(s->model, sums, values, names);
    for (int i = 0; i < n; i++)
        fprintf(stderr, "%s%s %.6g", i ? "  " : "", names[i], values[i]);
    fprintf(stderr, "  (%lld rows)\n", (long long)d->n_rows);
    cv_design_destroy(&d);
    return 0;
}

int cv_cmd_predict(int argc, char **argv, cv_err *err)
{
    static const struct option longs[] = {
        {"output", required_argument, NULL, 'o'}, {NULL, 0, NULL, 0}};
    const char *path = NULL;
    int c;
    while ((c = getopt_long(argc, argv, ":o:", longs, NULL)) != -1) {
        if (c != 'o')
            return cv_bad_option("predict", c, argv, longs, err);
        path = optarg;
    }
    if (optind + 2 != argc)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "usage: covey predict RUN/run.h5 data [-o out.csv]");
    cv_saved s;
    cv_design *d = NULL;
    cv_blas_set_threads(1);
    int rc = cv_saved_open(argv[optind], &s, err);
    if (rc)
        return rc;
    if (s.fit) {
        rc = cv_predict_fit(&s, argv[optind + 1], path, err);
        cv_saved_close(&s);
        return rc;
    }
    rc = read_rows(&s, argv[optind + 1], 0, &d, err);
    if (!rc && d->n_dropped)
        fprintf(stderr, "covey: %lld rows left out: a value is missing\n",
                (long long)d->n_dropped);
    if (!rc)
        rc = write_predictions(&s, d, path, err);
    if (!rc)
        rc = print_metrics(&s, argv[optind + 1], err);
    cv_design_destroy(&d);
    cv_saved_close(&s);
    return rc;
}

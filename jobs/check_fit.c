#include "jobs/check_fit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/names.h"
#include "io/silo.h"
#include "io/table.h"
#include "jobs/disclosure.h"
#include "jobs/fit_model.h"
#include "jobs/saved.h"
#include "jobs/site_ledger.h"

/* Tables are read twice: levels first, for all silos use the same columns. */
typedef struct {
    const cv_job *job;
    cv_schema *schema; /* NULL: no data in sight */
    cv_fit_model *model;
    double *edges;
    int64_t rows, missing;
} sight;

static int read_table(const sight *v, const char *path, cv_table **table,
                      cv_err *err)
{
    const cv_job *job = v->job;
    return cv_table_read(
        path, job->data.format,
        job->simulate.enabled ? "simulate.source" : "data",
        &(cv_row_filter){.declared_only = job->data.n_features > 0, .f64 = 1},
        job->data.features, job->data.n_features, job->data.target, table, err);
}

static int add_schema(sight *v, const char *path, cv_err *err)
{
    cv_table *table = NULL;
    cv_schema *schema = NULL;
    int rc = read_table(v, path, &table, err);
    if (!rc)
        rc = cv_schema_of_table(table, v->job, cv_target_of_job(v->job),
                                &schema, err);
    if (!rc && v->schema)
        rc = cv_schema_merge(v->schema, schema, err);
    if (!rc && !v->schema) {
        v->schema = schema;
        schema = NULL;
    }
    cv_schema_destroy(&schema);
    cv_table_destroy(&table);
    return rc;
}

static int add_rows(sight *v, const char *path, const cv_silo *site,
                    cv_err *err)
{
    cv_table *table = NULL;
    cv_frame *frame = NULL;
    cv_frame_roles roles = {.weights = v->job->model.weights};
    int rc = read_table(v, path, &table, err);
    if (!rc)
        rc = cv_frame_build(&table, v->model->formula, v->schema,
                            v->model->plan, &roles, 1, &frame, err);
    if (rc)
        return rc;
    v->rows += frame->n;
    v->missing += frame->n_missing;
    cv_disclosure_view look = {.job = v->job,
                               .silo = site ? site->silo : "",
                               .limits = cv_disclosure_of(v->job, site),
                               .frame = frame,
                               .formula = v->model->formula,
                               .plan = v->model->plan,
                               .q = v->model->q,
                               .edges = v->edges};
    /* Simulated silos are cut from these rows: what each gets is not known. */
    if (site)
        rc = cv_disclosure_check(&look, err);
    if (!rc && site)
        rc = cv_site_check(site, v->job, frame->n, err);
    cv_frame_destroy(&frame);
    return rc;
}

/* ---- files -----------------------------------------------------------------
 */

typedef struct {
    cv_silo **site; /* (n) NULL where the silos are simulated */
    char **path;    /* (n) data files */
    int n;
} files;

static int add_site(files *f, const cv_job *job, const char *path, cv_err *err)
{
    cv_silo *silo = NULL;
    int rc = cv_silo_load(path, &silo, err);
    if (!rc && cv_job_silo_index(job, silo->silo) < 0)
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0, "silo %s is not in %s",
                        silo->silo, job->file);
    if (rc) {
        cv_silo_destroy(&silo);
        return rc;
    }
    f->site[f->n] = silo;
    f->path[f->n++] = cv_strdup(silo->data);
    return 0;
}

static int find_files(files *f, const cv_job *job, const char *silo,
                      const char *silo_dir, cv_err *err)
{
    int rc = 0;
    f->site = CV_NEW(job->n_silos + 1, cv_silo *);
    f->path = CV_NEW(job->n_silos + 1, char *);
    if (job->simulate.enabled) {
        char *dir = cv_fs_dirname(job->file);
        f->path[f->n++] =
            cv_fs_join(strcmp(dir, ".") ? dir : NULL, job->simulate.source);
        free(dir);
    } else if (silo) {
        rc = add_site(f, job, silo, err);
    }
    for (int i = 0; silo_dir && i < job->n_silos && !rc; i++) {
        char *path = NULL;
        rc = cv_silo_find(silo_dir, job->silos[i].name, &path, err);
        if (!rc)
            rc = add_site(f, job, path, err);
        free(path);
    }
    return rc;
}

static void free_files(files *f)
{
    for (int i = 0; i < f->n; i++) {
        cv_silo_destroy(&f->site[i]);
        free(f->path[i]);
    }
    free(f->site);
    free(f->path);
}

/* ---- the plan --------------------------------------------------------------
 */

static void print_columns(const cv_fit_model *m)
{
    enum { SHOW = 12 };
    printf("columns    ");
    for (int j = 0; j < m->p && j < SHOW; j++)
        printf("%s %s", j ? "," : "", m->plan->name[j]);
    printf(m->p > SHOW ? ", ... (%d)\n" : "\n", m->p);
}

static void print_fit(const sight *v)
{
    const cv_job *job = v->job;
    char rows[32], bytes[32];
    printf("model       %s", job->model.kind);
    if (job->model.family)
        printf(", %s (%s link)", job->model.family, job->model.link);
    if (job->model.ties)
        printf(", %s ties", job->model.ties);
    if (job->model.strata == CV_STRATA_SILO)
        printf(", strata: silo");
    if (job->model.ridge > 0.0)
        printf(", ridge %g", job->model.ridge);
    printf("\nformula     %s\n", job->model.formula);
    if (!v->schema) {
        printf("data        not in sight: give --silo FILE or --silo-dir DIR "
               "to check them too\n");
        return;
    }
    double q = v->model->q;
    cv_format_count(rows, sizeof rows, v->rows);
    printf("data        %s rows", rows);
    if (v->missing)
        printf(", %lld left out for missing values", (long long)v->missing);
    printf("\n");
    print_columns(v->model);
    cv_format_bytes(bytes, sizeof bytes, 8.0 * q * (q + 1.0) / 2.0);
    printf("a round     each silo sends and receives about %s; at most %d "
           "rounds\n",
           bytes, job->training.rounds);
}

static void print_disclosure(const cv_job *job)
{
    if (job->privacy.enabled)
        return;
    printf("disclosure  a silo refuses with fewer than %d rows, %g rows for "
           "each\n            coefficient, or %d in a group; its silo.yaml may "
           "say otherwise\n",
           job->disclosure.min_rows, job->disclosure.rows_per_parameter,
           job->disclosure.min_cell);
}

int cv_check_fit(const cv_job *job, const char *silo, const char *silo_dir,
                 cv_err *err)
{
    files f = {0};
    sight v = {.job = job, .edges = CV_NEW(job->model.n_bins, double)};
    for (int i = 0; i < job->model.n_bins; i++)
        (void)cv_number(&v.edges[i], job->model.bins[i],
                        strlen(job->model.bins[i]));
    if (!job->model.n_bins)
        CV_FREE(v.edges);
    int rc = find_files(&f, job, silo, silo_dir, err);
    for (int i = 0; i < f.n && !rc; i++)
        rc = add_schema(&v, f.path[i], err);
    if (!rc && v.schema)
        rc = cv_fit_model_make(job, v.schema, &v.model, err);
    for (int i = 0; i < f.n && !rc; i++)
        rc = add_rows(&v, f.path[i], f.site[i], err);
    if (rc)
        cv_err_merge_site(err); /* whoever runs `check` owns the data */
    else
        print_fit(&v);
    if (!rc)
        print_disclosure(job);
    cv_fit_model_destroy(&v.model);
    cv_schema_destroy(&v.schema);
    free(v.edges);
    free_files(&f);
    return rc;
}

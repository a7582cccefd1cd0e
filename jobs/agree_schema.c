/* The silos agree on what their columns are: each merges the schemas of its own
 * tables, the root those of all ranks. */
#include <stdlib.h>

#include "core/mem.h"
#include "jobs/prepare.h"
#include "jobs/saved.h"
#include "jobs/site.h"
#include "mpi/agree.h"

/* Every data set's schema: (src->n). */
static int local_schemas(cv_run *run, const cv_sources *src, cv_schema **schema,
                         cv_err *err)
{
    int classes = cv_target_of_job(run->job), rc = 0;
    for (int i = 0; i < src->n && !rc; i++) {
        rc = cv_schema_of_table(src->table[i], run->job, classes, &schema[i],
                                err);
        if (rc)
            cv_site_data_error(run, &run->hosted[i], err);
    }
    return rc;
}

/* Merge the rank's schemas with that of the root's first silo, against which
 * all are measured, so that the odd one out is the same on any number of
 * ranks. */
static int merge_local(const cv_run *run, const cv_sources *src,
                       cv_schema *const *schema, const char *first,
                       int first_silo, cv_schema **merged, cv_err *err)
{
    const cv_job_silo *silos = run->job->silos;
    int rc = cv_schema_from_text(first, merged, err);
    for (int i = 0; i < src->n && !rc; i++) {
        int s = run->fed.first + i;
        rc = cv_schema_merge(*merged, schema[i], err);
        if (rc && s == first_silo)
            cv_err_prefix(err, "silo %s, claimed twice", silos[s].name);
        else if (rc)
            cv_err_prefix(err, "silos %s and %s", silos[first_silo].name,
                          silos[s].name);
    }
    return rc;
}

/* Root merges what the ranks offer, in rank order. */
static int merge_ranks(const cv_run *run, char **texts, char **merged,
                       cv_err *err)
{
    cv_schema *all = NULL;
    int rc = cv_schema_from_text(texts[0], &all, err);
    for (int r = 1; r < run->fed.size && !rc; r++) {
        cv_schema *s = NULL;
        rc = cv_schema_from_text(texts[r], &s, err);
        if (!rc)
            rc = cv_schema_merge(all, s, err);
        cv_schema_destroy(&s);
    }
    if (!rc)
        *merged = cv_schema_to_text(all);
    cv_schema_destroy(&all);
    return rc;
}

/* The root's first schema, at every rank. */
static void share_first_all(const cv_run *run, cv_schema *const *schema,
                            char **text, int *silo)
{
    *silo = run->fed.first;
    *text = run->fed.rank == 0 ? cv_schema_to_text(schema[0]) : NULL;
    MPI_Bcast(silo, 1, MPI_INT, 0, run->fed.world);
    cv_bcast_text_all(run->fed.world, text, 0);
}

int cv_agree_schema_all(cv_run *run, const cv_sources *src, int local_rc,
                        cv_err *err)
{
    MPI_Comm world = run->fed.world;
    cv_schema **each = CV_NEW(src->n, cv_schema *), *mine = NULL;
    char *first = NULL, *text = NULL, **texts = NULL, *merged = NULL;
    int first_silo;
    int rc = local_rc ? local_rc : local_schemas(run, src, each, err);
    rc = cv_agree_all(world, rc, err);
    if (rc)
        goto out;
    share_first_all(run, each, &first, &first_silo);
    rc = merge_local(run, src, each, first, first_silo, &mine, err);
    rc = cv_agree_all(world, rc, err);
    if (rc)
        goto out;
    text = cv_schema_to_text(mine);
    cv_gather_text_all(world, text, &texts, 0);
    if (run->fed.rank == 0)
        rc = merge_ranks(run, texts, &merged, err);
    rc = cv_agree_all(world, rc, err);
    if (rc)
        goto out;
    cv_bcast_text_all(world, &merged, 0);
    rc = cv_schema_from_text(merged, &run->schema, err);
    rc = cv_agree_all(world, rc, err);
out:
    for (int r = 0; texts && r < run->fed.size; r++)
        free(texts[r]);
    for (int i = 0; i < src->n; i++)
        cv_schema_destroy(&each[i]);
    free(each);
    free(texts);
    free(first);
    free(text);
    free(merged);
    cv_schema_destroy(&mine);
    return rc;
}

#include "jobs/site.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/silo.h"
#include "jobs/site_ledger.h"

/* ---- what may leave ------------------------------------------------------ */

static void name_file(cv_err *err, const char *file)
{
    memset(err->file, 0, sizeof err->file);
    snprintf(err->file, sizeof err->file, "%s", file);
}

/* The site's detail, with the file it is about in front. */
static void site_file(cv_err *err, const char *file, int line)
{
    char detail[sizeof err->site], number[16] = "";
    memcpy(detail, err->site, sizeof detail);
    if (line)
        snprintf(number, sizeof number, ":%d", line);
    cv_err_site(err, "%s%s%s%s", file, number, detail[0] ? ": " : "", detail);
}

static int open_log(const cv_hosted *h, cv_err *err)
{
    char *path = cv_asprintf("%s/silo-%s.log", h->state_dir, h->name);
    int rc = 0;
    if (cv_log_open_site(path))
        rc = cv_err_set(err, CV_ERR_ENV, path, 0,
                        "cannot write the site's own log: %s", strerror(errno));
    free(path);
    return rc;
}

int cv_site_error(const cv_run *run, const cv_hosted *h, cv_err *err)
{
    if (run->job->simulate.enabled) {
        cv_err_merge_site(err);
        return err->code;
    }
    if (err->file[0])
        site_file(err, err->file, (int)err->line);
    name_file(err, "");
    err->line = 0;
    cv_err_prefix(err, "silo %s", h->name);
    cv_log_open_site(NULL); /* never into another silo's log */
    if (h->state_dir)
        (void)open_log(h, NULL);
    return err->code;
}

int cv_site_data_error(const cv_run *run, const cv_hosted *h, cv_err *err)
{
    if (h->data && !strstr(err->site, h->data))
        site_file(err, h->data, 0);
    return cv_site_error(run, h, err);
}

/* ---- silo.yaml ----------------------------------------------------------- */

int cv_site_claim(const cv_run *run, int *claim, cv_err *err)
{
    const cv_job *job = run->job;
    cv_silo *silo = NULL;
    int rank;
    *claim = -1;
    if (!run->options->silo)
        return 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    int rc = cv_silo_load(run->options->silo, &silo, err);
    if (rc) {
        cv_err_prefix(err, "--silo of rank %d", rank);
        return rc;
    }
    *claim = cv_job_silo_index(job, silo->silo);
    if (*claim < 0) {
        const char **names = CV_NEW(job->n_silos, const char *);
        for (int i = 0; i < job->n_silos; i++)
            names[i] = job->silos[i].name;
        const char *near = cv_closest(silo->silo, names, (size_t)job->n_silos);
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "--silo of rank %d: silo '%s' is not in %s%s%s%s", rank,
                        silo->silo, job->file, near ? "; did you mean '" : "",
                        near ? near : "", near ? "'?" : "");
        free(names);
    }
    cv_silo_destroy(&silo);
    return rc;
}

static int find_silo(const cv_run_options *opt, const cv_hosted *h, char **path,
                     cv_silo **silo, cv_err *err)
{
    int rc = 0;
    if (opt->silo)
        *path = cv_strdup(opt->silo);
    else
        rc = cv_silo_find(opt->silo_dir, h->name, path, err);
    if (rc) {
        name_file(err, "--silo-dir");
        return rc;
    }
    rc = cv_silo_load(*path, silo, err);
    if (rc)
        cv_err_prefix(err, "silo %s", h->name);
    else if (strcmp((*silo)->silo, h->name) != 0)
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "silo %s: its silo file changed while it was read",
                        h->name);
    return rc;
}

static int open_state(cv_hosted *h, const cv_silo *silo, cv_err *err)
{
    h->state_dir = cv_site_state_dir(silo);
    int rc = cv_fs_mkdir(h->state_dir, 0700, err);
    return rc ? rc : open_log(h, err);
}

/* Without noise nothing bounds what a job tells. */
static int check_noise(const cv_run *run, const cv_hosted *h, cv_err *err)
{
    if (h->site->limits.min_silos > 0 && !run->job->secure_aggregation.enabled)
        return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                          "silo %s: its silo.yaml takes part in masked sums "
                          "only (limits.min_silos); the job has no "
                          "secure_aggregation section",
                          h->name);
    if (run->job->privacy.enabled ||
        (h->site->limits.epsilon <= 0.0 && h->site->limits.delta <= 0.0))
        return 0;
    return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                      "silo %s: its silo.yaml takes part in jobs with "
                      "differential privacy only (limits.epsilon or "
                      "limits.delta); the job has no privacy section",
                      h->name);
}

int cv_site_open(cv_run *run, cv_hosted *h, cv_err *err)
{
    char *path = NULL;
    const cv_run_options *opt = run->options;
    if (run->job->simulate.enabled)
        return 0;
    if (!opt->silo && !opt->silo_dir)
        return cv_err_set(err, CV_ERR_INPUT, run->job->file, 0,
                          "no data: expected --silo-dir DIR or --silo FILE "
                          "(or a `simulate` section in the job)");
    int rc = find_silo(opt, h, &path, &h->site, err);
    free(path);
    if (!rc)
        rc = check_noise(run, h, err);
    if (rc)
        return rc;
    run->threads = h->site->threads;
    rc = open_state(h, h->site, err);
    if (rc)
        cv_site_error(run, h, err);
    return rc;
}

int cv_site_read(cv_run *run, cv_hosted *h, cv_table **table, cv_err *err)
{
    const cv_job *job = run->job;
    h->data = cv_strdup(h->site->data);
    int rc = cv_table_read(
        h->data, job->data.format, "data",
        &(cv_row_filter){.declared_only = job->data.n_features > 0,
                         .f64 = cv_job_is_fit(job)},
        job->data.features, job->data.n_features, job->data.target, table, err);
    if (rc)
        cv_site_data_error(run, h, err);
    return rc;
}

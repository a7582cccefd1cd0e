/* `covey check` at a site: what a run would refuse, before anybody waits for it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/mem.h"
#include "jobs/site_ledger.h"

static int check_limits(const cv_silo *site, const cv_job *job, cv_err *err)
{
    if (site->limits.min_silos > job->training.min_silos ||
        (site->limits.min_silos > 0 && !job->secure_aggregation.enabled))
        return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                          "limits.min_silos: takes part in masked sums of %d "
                          "silos and more; the job has %s",
                          site->limits.min_silos,
                          job->secure_aggregation.enabled
                              ? "a smaller training.min_silos"
                              : "no secure_aggregation");
    if (!job->privacy.enabled &&
        (site->limits.epsilon > 0.0 || site->limits.delta > 0.0))
        return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                          "limits: takes part in jobs with privacy only; the "
                          "job has no privacy section");
    return 0;
}

static int check_key(const cv_silo *site, const cv_job *job, cv_err *err)
{
    cv_seckey *key = NULL;
    cv_pubkey pub;
    char text[CV_PUBKEY_TEXT];
    int rc = cv_site_unlock(site, &key, err);
    if (rc)
        return rc;
    cv_seckey_pubkey(key, &pub);
    cv_seckey_destroy(&key);
    cv_pubkey_text(text, &pub);
    const char *want =
        job->silos[cv_job_silo_index(job, site->silo)].public_key;
    if (strcmp(text, want) == 0)
        return 0;
    return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                      "its key file holds %s, the job lists %s; use the key "
                      "that belongs to the job, or have the job changed",
                      text, want);
}

static int check_partners(const cv_silo *site, const cv_job *job, cv_err *err)
{
    int strangers = 0, t = job->secure_aggregation.collusion;
    char who[300] = "";
    for (int i = 0; i < job->n_silos; i++) {
        int known = strcmp(job->silos[i].name, site->silo) == 0;
        for (int k = 0; k < site->n_trusted && !known; k++)
            known = strcmp(site->trusted[k], job->silos[i].public_key) == 0;
        size_t at = strlen(who);
        if (known)
            continue;
        strangers++;
        snprintf(who + at, sizeof who - at, "%s%s", at ? ", " : "",
                 job->silos[i].name);
    }
    if (strangers)
        printf("  %-9s keys of %s are not pinned (trusted) and count as "
               "colluding\n",
               site->silo, who);
    if (strangers <= t)
        return 0;
    return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                      "trusted: %d partners are not pinned (%s), the job "
                      "allows %d to collude; pin the keys of partners you know",
                      strangers, who, t);
}

/* ---- budget --------------------------------------------------------------------- */

/* A whole run of the job, without the small terms for integers. */
static int plan(const cv_job *job, cv_segment *s, cv_err *err)
{
    int record = job->privacy.unit == CV_UNIT_RECORD;
    cv_account_method m = job->privacy.accountant == CV_ACCOUNTANT_RDP
                              ? CV_ACCOUNT_RDP
                              : CV_ACCOUNT_PLD;
    *s = (cv_segment){.noise_multiplier = job->privacy.noise_multiplier,
                      .sampling = record ? job->privacy.sampling : 1.0,
                      .steps = cv_job_noisy_sums(job)};
    if (s->noise_multiplier > 0.0)
        return 0;
    return cv_accountant_noise(NULL, &s->noise_multiplier, s, m,
                               job->privacy.epsilon, job->privacy.delta, err);
}

/* What the journal knows, if there is one yet. */
static int add_journal(const cv_silo *site, cv_accountant *a, int64_t *runs,
                       cv_err *err)
{
    uint8_t data[32], place[32];
    cv_journal *j = NULL;
    char *dir = cv_site_state_dir(site);
    char *path = cv_asprintf("%s/silo-%s.journal", dir, site->silo);
    int rc = cv_site_identify_data(site->data, data, place, err);
    if (!rc && cv_fs_exists(path))
        rc = cv_journal_read(path, &j, err);
    if (!rc && j)
        rc = cv_site_spent(j, data, place, a, runs, err);
    else if (!rc)
        printf("  %-9s no journal at %s yet: a run begins with an empty one\n",
               site->silo, path);
    cv_journal_close(&j);
    free(path);
    free(dir);
    return rc;
}

static int check_budget(const cv_silo *site, const cv_job *job, cv_err *err)
{
    double epsilon, delta = job->privacy.delta;
    int64_t runs = 0;
    int limited = cv_site_limit(site, job, &epsilon, &delta);
    cv_accountant *a;
    cv_segment s;
    cv_spent before, after;
    if (!limited)
        delta = job->privacy.delta;
    cv_accountant_create(&a);
    int rc = add_journal(site, a, &runs, err);
    cv_accountant_epsilon(a, &before, CV_ACCOUNT_PLD, delta);
    if (!rc)
        rc = plan(job, &s, err);
    if (!rc)
        rc = cv_accountant_add(a, &s, err);
    cv_accountant_epsilon(a, &after, CV_ACCOUNT_PLD, delta);
    cv_accountant_destroy(&a);
    if (rc)
        return rc;
    printf("  %-9s budget at delta %g: epsilon %.4f spent in %lld run%s on "
           "these data,\n            %.4f with a whole run of this job; ",
           site->silo, delta, before.epsilon, (long long)runs,
           runs == 1 ? "" : "s", after.epsilon);
    if (limited)
        printf("limit %g\n", epsilon);
    else
        printf("no limit\n");
    if (!limited || after.epsilon <= epsilon * (1.0 + 1e-6))
        return 0;
    return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                      "limits: a whole run of this job would bring the loss "
                      "over all runs to epsilon %.4f at delta %g, above the "
                      "site's %g (a run that goes on needs only the rest)",
                      after.epsilon, delta, epsilon);
}

/* The batch is a public number; how well it fits is for the site alone to see. */
static void tell_batch(const cv_silo *site, const cv_job *job, int64_t rows)
{
    double drawn = job->privacy.sampling * (double)rows;
    double batch = job->training.local.batch;
    if (job->privacy.unit != CV_UNIT_RECORD || rows == 0 || cv_job_is_fit(job))
        return;
    if (drawn < 0.5 * batch || drawn > 2.0 * batch)
        printf("  %-9s draws about %.0f of its rows a step, where the batch "
               "says %.0f\n",
               site->silo, drawn, batch);
    if (job->privacy.delta * (double)rows > 0.1)
        printf("  %-9s delta %g is large for its rows; well below 1 / rows is "
               "usual\n",
               site->silo, job->privacy.delta);
}

int cv_site_check(const cv_silo *site, const cv_job *job, int64_t rows,
                  cv_err *err)
{
    int rc = check_limits(site, job, err);
    if (!rc && job->secure_aggregation.enabled)
        rc = check_key(site, job, err);
    if (!rc && job->secure_aggregation.enabled)
        rc = check_partners(site, job, err);
    if (!rc && job->privacy.enabled)
        rc = check_budget(site, job, err);
    if (!rc && job->privacy.enabled)
        tell_batch(site, job, rows);
    return rc;
}

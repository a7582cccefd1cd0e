#include "jobs/restore.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "jobs/budget.h"
#include "jobs/rewards.h"
#include "jobs/saved.h"
#include "jobs/saved_privacy.h"
#include "mpi/reduce.h"

/* Test counts of the groups' models, from the last round of a run whose rewards
 * go by them. */
static int restore_coalitions(cv_h5_reader *r, cv_run *run, cv_err *err)
{
    cv_secure *sec = run->secure;
    CV_FREE(sec->coalition);
    sec->n_coalitions = 0;
    if (!cv_h5_has(r, "/proofs/coalitions"))
        return 0;
    int n = 1 << cv_rewards_groups(run->job);
    sec->coalition = CV_NEW(n, int64_t);
    sec->n_coalitions = n;
    return cv_h5_get(r, "/proofs/coalitions", CV_H5_I64, sec->coalition,
                     (size_t)n, err);
}

/* The ledger, and what the noise and the chain of records go on from. */
int cv_restore_privacy(cv_h5_reader *r, cv_run *run, cv_err *err)
{
    cv_saved_privacy p;
    if (!run->secure)
        return 0;
    cv_budget *b = cv_budget_create(run);
    int rc = cv_saved_privacy_load(r, &p, err);
    if (!rc && run->secure->masks != p.masked)
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0, "/proofs is missing");
    if (!rc && run->job->privacy.enabled && !p.n)
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "/privacy: the ledger is empty");
    for (int64_t i = 0; i < p.n && !rc; i++)
        rc = cv_accountant_add(b->spent, &p.segment[i], err);
    if (!rc && p.masked) {
        cv_proofs *proofs = &run->secure->proofs;
        (void)cv_unhex(run->secure->head, p.record, 32);
        cv_proofs_free(proofs); /* of a checkpoint that did not hold */
        proofs->n_silos = run->fed.n_silos;
        rc = cv_proofs_load(r, proofs, err);
        run->secure->unsaved = !rc && proofs->n > 0 &&
                               !cv_proofs_has_signatures(proofs, proofs->n - 1);
    }
    if (!rc && run->job->privacy.enabled) {
        b->multiplier = p.multiplier;
        b->clip = p.clip;
        b->bits = p.bits;
        run->secure->wide = p.wide;
    }
    if (!rc)
        rc = restore_coalitions(r, run, err);
    run->secure->attempt = p.attempt;
    if (run->job->privacy.enabled)
        run->secure->left_out = run->fed.n_silos - p.honest;
    cv_saved_privacy_free(&p);
    return rc;
}

void cv_restore_share_privacy_all(cv_run *run)
{
    MPI_Comm world = run->fed.world;
    size_t n = 0;
    if (!run->secure)
        return;
    if (!run->budget)
        cv_budget_create(run);
    cv_budget *b = run->budget;
    const cv_segment *have = cv_accountant_segments(b->spent, &n);
    uint64_t count = n;
    cv_bcast_bytes_all(world, &count, sizeof count, 0);
    cv_segment *all = CV_NEW(count, cv_segment);
    if (run->fed.rank == 0 && n > 0)
        memcpy(all, have, n * sizeof *all);
    cv_bcast_bytes_all(world, all, count * sizeof *all, 0);
    for (uint64_t i = 0; i < count && run->fed.rank != 0; i++)
        CV_CHECK(cv_accountant_add(b->spent, &all[i], NULL) == 0);
    free(all);
    cv_bcast_bytes_all(world, &b->multiplier, sizeof b->multiplier, 0);
    cv_bcast_bytes_all(world, &b->clip, sizeof b->clip, 0);
    cv_bcast_bytes_all(world, &b->bits, sizeof b->bits, 0);
    cv_bcast_bytes_all(world, &run->secure->wide, sizeof run->secure->wide, 0);
    cv_bcast_bytes_all(world, run->secure->head, 32, 0);
    int n_values = run->secure->n_coalitions;
    cv_bcast_bytes_all(world, &n_values, sizeof n_values, 0);
    if (n_values != 1 << cv_rewards_groups(run->job)) /* none, or no number that
                                                      * can be: then the state
                                                      * is not what was noted */
        n_values = run->secure->n_coalitions = 0;
    if (run->fed.rank != 0) {
        free(run->secure->coalition);
        run->secure->coalition = CV_NEW(n_values, int64_t);
        run->secure->n_coalitions = n_values;
    }
    cv_bcast_bytes_all(world, run->secure->coalition,
                       (size_t)n_values * sizeof(int64_t), 0);
    cv_bcast_bytes_all(world, &run->secure->attempt,
                       sizeof run->secure->attempt, 0);
}

/* ---- which run is this? --------------------------------------------------- */

/* At the root: run.h5, or else the newest kept round that is whole. */
static void peek_id(cv_run *run)
{
    int64_t *rounds = NULL;
    size_t n = 0;
    cv_err ignored;
    char *path = cv_asprintf("%s/run.h5", run->dir);
    (void)cv_h5_list(run->dir, "round", &rounds, &n, &ignored);
    for (size_t i = 0; i <= n && !run->has_id; i++) {
        cv_h5_reader *r = NULL;
        char *id = NULL;
        if (cv_h5_open(path, CV_FORMAT_VERSION, &r, &ignored) == 0 &&
            cv_h5_get_attr_string(r, "/", "run_id", &id, &ignored) == 0)
            run->has_id = cv_unhex(run->run_id, id, 32) == 0;
        cv_h5_close(&r);
        free(id);
        free(path);
        path = i < n ? cv_asprintf("%s/round-%06lld.h5", run->dir,
                                   (long long)rounds[i])
                     : NULL;
    }
    free(path);
    free(rounds);
}

int cv_restore_id_all(cv_run *run, cv_err *err)
{
    (void)err;
    if (run->fed.rank == 0)
        peek_id(run);
    cv_bcast_bytes_all(run->fed.world, &run->has_id, sizeof run->has_id, 0);
    cv_bcast_bytes_all(run->fed.world, run->run_id, sizeof run->run_id, 0);
    run->old_id = run->has_id;
    return 0;
}

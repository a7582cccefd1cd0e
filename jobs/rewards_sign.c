/* The end of a run: every silo computes the rewards and signs their root. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/attest.h"
#include "jobs/rewards_sign.h"
#include "jobs/run_outbox.h"
#include "mpi/agree.h"
#include "mpi/messages.h"
#include "mpi/reduce.h"

typedef struct {
    uint8_t count[8], sig[CV_SIG_BYTES];
} count_msg;

/* ---- what the methods count ------------------------------------------------------- */

/* Test rows of a hosted silo that the model gets right. Collective on
 * fed.silo. */
static int64_t right_rows_all(cv_run *run, const cv_hosted *h)
{
    double sums[CV_MAX_METRICS] = {0};
    cv_evaluate_silo_all(run, h, sums);
    return (int64_t)sums[2]; /* solver/head.c: rows, loss, right ones */
}

static void count_public(const cv_run *run, cv_rewards *r)
{
    cv_reward_method m = run->job->chain.rewards.method;
    for (int i = 0; i < r->n; i++)
        r->basis[i] = run->taken[i] == 0        ? 0
                      : m == CV_REWARD_DECLARED ? run->job->silos[i].share
                                                : 1;
}

/* Every silo's count, signed by its identity. */
static int gather_counts(cv_run *run, cv_rewards *r, const int64_t *mine,
                         cv_err *err)
{
    cv_reward_method m = run->job->chain.rewards.method;
    count_msg *send = CV_NEW(run->fed.n_hosted, count_msg);
    count_msg *all = CV_NEW(r->n, count_msg);
    uint8_t digest[32];
    int rc = 0;
    for (int s = 0; s < run->fed.n_hosted; s++) {
        cv_sig sig;
        cv_rewards_count_digest(digest, run->run_id, m, run->round, mine[s]);
        cv_seckey_sign(run->secure->party[s].key, &sig, digest);
        cv_put_le64(send[s].count, (uint64_t)mine[s]);
        memcpy(send[s].sig, sig.b, sizeof sig.b);
    }
    cv_gather_messages_all(&run->fed, all, send, sizeof *send);
    for (int i = 0; i < r->n && !rc; i++) {
        r->basis[i] = (int64_t)cv_get_le64(all[i].count);
        memcpy(r->count_sig[i].b, all[i].sig, CV_SIG_BYTES);
        cv_rewards_count_digest(digest, run->run_id, m, run->round,
                                r->basis[i]);
        rc = cv_sig_verify(&r->count_sig[i], &run->secure->identity[i], digest,
                           err);
        if (rc)
            cv_err_prefix(err, "silo %s: the count for its rewards",
                          run->job->silos[i].name);
        /* One that cannot be is worth nothing, and takes nobody's part away. */
        if (r->basis[i] < 0 || r->basis[i] > CV_REWARD_MAX_COUNT) {
            r->basis[i] = 0;
            memset(&r->count_sig[i], 0, sizeof r->count_sig[i]);
        }
    }
    free(send);
    free(all);
    return rc;
}

static int count_all(cv_run *run, cv_rewards *r, cv_err *err)
{
    cv_reward_method m = run->job->chain.rewards.method;
    int rc = 0;
    if (m == CV_REWARD_SHAPLEY) {
        const cv_secure *sec = run->secure;
        if (!sec->n_coalitions) /* the same on all ranks */
            return cv_err_set(err, CV_ERR_SILOS, NULL, 0,
                              "the run ended before its last round, in which "
                              "contributions are measured: there are no "
                              "rewards");
        r->n_values = sec->n_coalitions;
        r->value = CV_NEW(r->n_values, int64_t);
        memcpy(r->value, sec->coalition,
               (size_t)r->n_values * sizeof *r->value);
        cv_rewards_shapley(r->basis, r->value, r->n,
                           run->job->chain.rewards.groups);
    } else if (!cv_rewards_declares(m)) {
        count_public(run, r);
    }
    int64_t *mine = CV_NEW(run->fed.n_hosted, int64_t);
    for (int s = 0; s < run->fed.n_hosted && m == CV_REWARD_VALIDATION; s++)
        mine[s] = right_rows_all(run, &run->hosted[s]);
    for (int s = 0; s < run->fed.n_hosted && m == CV_REWARD_DATA_SIZE; s++)
        mine[s] = run->hosted[s].n_train;
    if (cv_rewards_declares(m) && cv_fed_is_leader(&run->fed))
        rc = gather_counts(run, r, mine, err);
    free(mine);
    return cv_agree_all(run->fed.world, rc, err);
}

/* ---- the epoch ----------------------------------------------------------------------- */

static int fill(cv_run *run, cv_rewards *r, cv_err *err)
{
    const cv_attest *a = run->secure->attest;
    int rc = 0;
    for (int i = 0; i < r->n && !rc; i++)
        rc = cv_chain_payee(run->job, i, &run->secure->identity[i],
                            &r->payee[i], err);
    r->round = run->round;
    return rc ? rc
              : cv_rewards_fill(r, &a->terms, a->on_chain, a->head,
                                (uint32_t)run->job->chain.rewards.version, err);
}

static int sign_epoch(cv_run *run, cv_rewards *r, cv_err *err)
{
    const cv_attest *a = run->secure->attest;
    cv_sig *mine = CV_NEW(run->fed.n_hosted, cv_sig);
    uint8_t digest[32];
    int rc = 0;
    cv_epoch_digest(digest, &a->terms.federation, &r->epoch);
    for (int s = 0; s < run->fed.n_hosted; s++)
        cv_seckey_sign(a->key[s], &mine[s], digest);
    cv_gather_messages_all(&run->fed, r->sig, mine, sizeof *mine);
    char who_not[200] = "";
    uint32_t good = 0, quorum = cv_federation_quorum(
                           (uint32_t)r->n, (uint32_t)run->secure->collusion);
    for (int i = 0; i < r->n; i++) { /* a quorum is enough */
        cv_address who;
        cv_err ignored;
        if (cv_sig_recover_address(&r->sig[i], &who, digest, &ignored) == 0 &&
            memcmp(who.b, a->silo[i].attester.b, sizeof who.b) == 0) {
            good++;
            continue;
        }
        memset(&r->sig[i], 0, sizeof r->sig[i]);
        snprintf(who_not, sizeof who_not, "%s", run->job->silos[i].name);
    }
    free(mine);
    if (who_not[0] && run->fed.rank == 0)
        cv_log(CV_LOG_WARN, "rewards",
               "silo=%s has not signed the rewards that the others computed",
               who_not);
    if (good < quorum)
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "%u of %d silos have signed the same rewards, %u are "
                        "needed; silo %s has not",
                        good, r->n, quorum, who_not);
    return rc;
}

static void put_epoch(cv_run *run, const cv_rewards *r)
{
    cv_outbox *outbox = cv_attest_outbox(run);
    cv_outbox_epoch there;
    cv_err why = {0};
    int found = 0, rc;
    if (!outbox)
        return;
    rc = cv_outbox_put_rewards(outbox, r, &why);
    if (!rc)
        rc = cv_outbox_load_epoch(outbox, &there, &found, r->epoch.epoch, &why);
    if (rc)
        cv_log(CV_LOG_WARN, "outbox", "%s", why.text);
    else if (found && there.round != (uint64_t)r->round)
        cv_log(CV_LOG_WARN, "rewards",
               "those that were signed after round %llu have been sent to the "
               "chain; the rounds since then are not paid for",
               (unsigned long long)there.round);
    if (found)
        cv_outbox_epoch_free(&there);
}

int cv_rewards_sign_all(cv_run *run, cv_err *err)
{
    cv_secure *sec = run->secure;
    if (!sec || !sec->attest || !sec->attest->terms.has_rewards ||
        run->round == 0)
        return 0;
    cv_rewards r;
    cv_rewards_create(&r, run->fed.n_silos);
    int rc = count_all(run, &r, err);
    if (!rc && cv_fed_is_leader(&run->fed)) {
        rc = cv_agree_all(run->fed.leaders, fill(run, &r, err), err);
        if (!rc)
            rc = sign_epoch(run, &r, err);
    }
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc == CV_ERR_NUMERIC || rc == CV_ERR_SILOS) { /* an outcome */
        if (run->fed.rank == 0)
            cv_log(CV_LOG_WARN, "rewards", "nobody is paid: %s", err->text);
        cv_rewards_free(&r);
        return 0;
    }
    if (!rc && run->fed.rank == 0) {
        put_epoch(run, &r);
        cv_rewards_free(&sec->rewards);
        sec->rewards = r;
        sec->unsaved = 1;
        return 0;
    }
    cv_rewards_free(&r);
    return rc;
}

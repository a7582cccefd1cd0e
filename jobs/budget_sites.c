/* What the sites know of spending, from their journals: their own limits over all
 * runs, what a run has spent that its checkpoint does not know, and whether the
 * checkpoint tells the truth. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "jobs/budget.h"
#include "jobs/site.h"
#include "jobs/site_ledger.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"

/* ---- the sites' limits -----------------------------------------------------------------
 */

/* Rounds that are still to be paid for: those that the job's own cap allows, and
 * that no lost attempt has paid for already. */
static int64_t rounds_to_pay(const cv_run *run)
{
    const cv_budget *b = run->budget;
    int64_t want = run->job->training.rounds - run->round - b->paid;
    want = want < b->allowed ? want : b->allowed;
    return want > 0 ? want : 0;
}

/* The site's own limit, over all runs: does it allow the rounds to come? */
static int check_site(const cv_run *run, const cv_hosted *h, const cv_party *p,
                      const cv_segment *round, cv_err *err)
{
    const cv_job *job = run->job;
    double epsilon, delta;
    int64_t steps = 0, want = rounds_to_pay(run);
    if (!cv_site_limit(h->site, job, &epsilon, &delta))
        return 0;
    cv_accountant *a;
    cv_accountant_create(&a);
    int rc = cv_site_spent(p->journal, p->data, p->place, a, NULL, err);
    if (!rc)
        rc = cv_accountant_steps(a, &steps, round, cv_budget_method(job),
                                 epsilon, delta, err);
    cv_accountant_destroy(&a);
    if (rc || steps / run->budget->steps >= want)
        return rc;
    cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
               "its own limit on privacy loss, over all runs on its data, does "
               "not allow the %lld round%s to come; lower %s, or have the site "
               "raise `limits` in its silo.yaml (`covey check` there shows "
               "what is left)",
               (long long)want, want == 1 ? "" : "s",
               job->privacy.noise_multiplier > 0.0
                   ? "training.rounds, raise noise_multiplier"
                   : "privacy.epsilon");
    /* What it has spent elsewhere is the site's business. */
    cv_err_site(err,
                "epsilon %g at delta %g allows %lld of %lld rounds after what "
                "the journal knows",
                epsilon, delta, (long long)(steps / run->budget->steps),
                (long long)want);
    return cv_site_error(run, h, err);
}

int cv_budget_check_sites(const cv_run *run, const cv_segment *round,
                          cv_err *err)
{
    int rc = 0;
    if (run->job->simulate.enabled || !cv_fed_is_leader(&run->fed))
        return 0;
    for (int s = 0; s < run->fed.n_hosted && !rc; s++)
        rc = check_site(run, &run->hosted[s], &run->secure->party[s], round,
                        err);
    return rc;
}

/* ---- attempts that were lost ---------------------------------------------------
 */

/* The journal that speaks for a hosted silo, NULL where another rank has it. */
static const cv_journal *journal_of(const cv_run *run, int s)
{
    const cv_secure *sec = run->secure;
    return run->job->simulate.enabled ? sec->journal : sec->party[s].journal;
}

static int64_t charged_steps(const cv_journal *j, const uint8_t run_id[32])
{
    size_t n;
    int64_t steps = 0;
    const cv_journal_entry *e = cv_journal_entries(j, &n);
    for (size_t i = 0; i < n; i++)
        if (memcmp(e[i].run_id, run_id, 32) == 0)
            steps += e[i].cost.steps;
    return steps;
}

/* Rounds after the checkpoint's that the journal has an attempt of, without a
 * gap: each may be repeated for nothing. */
static int64_t repeatable(const cv_run *run, const cv_journal *j)
{
    int64_t n = 0;
    while (cv_journal_last(j, run->run_id, run->round + n + 1))
        n++;
    return n;
}

/* Is the checkpoint's ledger at least what this silo has paid for in the run,
 * and its noise what the silo has used? By RDP, which is quick. */
static int check_ledger(const cv_run *run, const char *name,
                        const cv_journal *j, cv_err *err)
{
    const cv_budget *b = run->budget;
    size_t n;
    int rc = 0;
    cv_accountant *a;
    cv_spent paid, told;
    double multiplier = b->multiplier;
    const cv_journal_entry *e = cv_journal_entries(j, &n);
    cv_accountant_create(&a);
    for (size_t i = 0; i < n && !rc; i++) {
        cv_segment s;
        if (e[i].cost.steps == 0 || memcmp(e[i].run_id, run->run_id, 32) != 0)
            continue;
        s = cv_site_segment(&e[i].cost);
        multiplier = s.noise_multiplier;
        rc = cv_accountant_add(a, &s, err);
    }
    cv_accountant_epsilon(a, &paid, CV_ACCOUNT_RDP, run->job->privacy.delta);
    cv_accountant_epsilon(b->spent, &told, CV_ACCOUNT_RDP,
                          run->job->privacy.delta);
    cv_accountant_destroy(&a);
    if (!rc && (multiplier != b->multiplier ||
                paid.epsilon > told.epsilon * (1.0 + 1e-6)))
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "silo %s: the checkpoint tells of %s than the silo's "
                        "journal, so it is not what the run has saved; restore "
                        "the newest checkpoint, or begin a new run",
                        name,
                        multiplier != b->multiplier ? "other noise"
                                                    : "less spending");
    return rc;
}

static int check_ledgers(const cv_run *run, cv_err *err)
{
    int rc = 0;
    for (int s = 0; s < run->fed.n_hosted && !rc; s++)
        if (journal_of(run, s))
            rc =
                check_ledger(run, run->hosted[s].name, journal_of(run, s), err);
    return rc;
}

int cv_budget_lost_all(cv_run *run, cv_err *err)
{
    cv_budget *b = run->budget;
    const cv_job *job = run->job;
    double most[2] = {0.0, -CV_MAX_STEPS}; /* charged; less to be repeated */
    size_t n;
    if (!job->privacy.enabled)
        return 0;
    for (int s = 0; s < run->fed.n_hosted; s++) {
        const cv_journal *j = journal_of(run, s);
        if (!j)
            continue;
        most[0] = fmax(most[0], (double)charged_steps(j, run->run_id));
        most[1] = fmax(most[1], -(double)repeatable(run, j));
    }
    cv_max_f64_all(run->fed.world, most, 2);
    int64_t lost = (int64_t)most[0];
    const cv_segment *s = cv_accountant_segments(b->spent, &n);
    CV_CHECK(n > 0); /* of a checkpoint */
    for (size_t i = 0; i < n; i++)
        lost -= s[i].steps;
    cv_segment again = s[n - 1];
    again.steps = lost;
    int rc = lost > 0 ? cv_accountant_add(b->spent, &again, err) : 0;
    if (lost > 0)
        cv_log(CV_LOG_INFO, "attempts_charged_again", "steps=%lld",
               (long long)lost);
    /* A round of many sums is never repeated as it was. */
    if (!cv_budget_is_stepped(job) && most[1] < 0.0)
        b->paid = (int64_t)-most[1];
    if (!rc)
        rc = check_ledgers(run, err);
    return cv_agree_all(run->fed.world, rc, err);
}

int cv_budget_again_all(cv_run *run, const cv_attempt *at, cv_err *err)
{
    cv_budget *b = run->budget;
    const cv_job *job = run->job;
    cv_segment round;
    int rc = 0;
    b->paid = 0;
    cv_budget_round(run, at, &round);
    if (b->allowed < 1)
        rc = cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                        "round %lld was sent before, and cannot be sent again "
                        "as it was (a silo, its secret or the number of ranks "
                        "has changed); anew it would pass the budget of "
                        "epsilon %g at delta %g, so the run ends with round "
                        "%lld",
                        (long long)at->round, job->privacy.epsilon,
                        job->privacy.delta, (long long)run->round);
    if (!rc)
        rc = cv_budget_check_sites(run, &round, err);
    return cv_agree_all(run->fed.world, rc, err);
}

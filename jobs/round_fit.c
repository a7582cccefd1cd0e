/* A round of a fit: who takes part, the sums, the step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/hash.h"
#include "core/mem.h"
#include "jobs/disclosure_rows.h"
#include "jobs/fit.h"
#include "jobs/masked.h"
#include "jobs/round.h"
#include "mpi/agree.h"

/* The roster of a fit is all silos of the job, in every round: sums over other
 * sets could be subtracted from one another. */
static int begin_all(cv_run *run, cv_attempt *at, cv_err *err)
{
    int rc = run->fit->is_noted ? 0 : cv_disclosure_note_rows_all(run, err);
    run->fit->is_noted = 1;
    if (rc)
        return rc;
    for (int i = 0; i < run->fed.n_silos; i++)
        run->status[i] = CV_SILO_READY;
    rc = cv_attempt_begin_all(run, at, run->round + 1, run->status, 0, err);
    if (!rc && at->n != run->fed.n_silos)
        rc = cv_err_set(err, CV_ERR_SILOS, NULL, 0,
                        "a fit is over all silos of the job, %d; %d were "
                        "ready",
                        run->fed.n_silos, at->n);
    rc = cv_agree_all(run->fed.world, rc, err);
    return rc ? rc : cv_attempt_spend_all(run, at, NULL, NULL, err);
}

/* Before anything else is summed: in how many silos there is anything to sum. */
static int presence_all(cv_run *run, cv_attempt *at, cv_err *err)
{
    cv_fit *fit = run->fit;
    size_t k = cv_fit_n_presence(run);
    double *mine = CV_NEW((size_t)run->fed.n_hosted * k, double);
    free(fit->numbers);
    fit->numbers = CV_NEW(k, double);
    cv_fit_presence(run, mine);
    int rc = cv_fit_numbers_all(run, at, fit->numbers, mine, k, err);
    free(mine);
    if (!rc && cv_fed_is_leader(&run->fed))
        rc = cv_fit_check_presence(run, err);
    return cv_agree_all(run->fed.world, rc, err);
}

static int moments_all(cv_run *run, cv_attempt *at, cv_err *err)
{
    cv_fit *fit = run->fit;
    size_t k = cv_fit_n_moments(run);
    int rc = presence_all(run, at, err);
    if (rc)
        return rc;
    double *mine = CV_NEW((size_t)run->fed.n_hosted * k, double);
    free(fit->numbers);
    fit->numbers = CV_NEW(k, double);
    cv_fit_moments(run, mine);
    rc = cv_fit_numbers_all(run, at, fit->numbers, mine, k, err);
    free(mine);
    if (!rc && cv_fed_is_leader(&run->fed))
        rc = cv_fit_take_moments(run, err);
    return cv_agree_all(run->fed.world, rc, err);
}

/* One step of a linear model is the solution: what follows needs no matrix. */
static int needs_info(const cv_run *run)
{
    int linear = cv_fit_is(run, "ridge") || cv_fit_is(run, "kernel_ridge");
    return !linear || cv_fit_scalars(run)[CV_FIT_ITERATIONS] == 0.0;
}

static int concordance_all(cv_run *run, cv_attempt *at, cv_err *err)
{
    double *mine = CV_NEW((size_t)run->fed.n_hosted * CV_CONCORDANCE, double);
    double total[CV_CONCORDANCE] = {0};
    cv_fit_concordance(run, mine);
    int rc = cv_fit_numbers_all(run, at, total, mine, CV_CONCORDANCE, err);
    if (!rc)
        memcpy(cv_fit_scalars(run) + CV_FIT_CONCORDANT, total, sizeof total);
    free(mine);
    return rc;
}

static int evaluate_all(cv_run *run, cv_attempt *at, double seconds[2],
                        cv_err *err)
{
    cv_fit *fit = run->fit;
    int with_info = needs_info(run), rc;
    size_t k = cv_fit_n_numbers(run, with_info);
    double *mine = CV_NEW((size_t)run->fed.n_hosted * k, double);
    double t0 = cv_now();
    cv_fit_to_working(run);
    free(fit->numbers);
    fit->numbers = CV_NEW(k, double);
    cv_fit_evaluate(run, mine, with_info);
    double t1 = cv_now();
    rc = cv_fit_numbers_all(run, at, fit->numbers, mine, k, err);
    free(mine);
    int good = !rc && fit->numbers[CV_E_BAD] == 0.0;
    if (good && with_info && !fit->edges)
        rc = cv_fit_info_all(run, at, fit->numbers + CV_E_FIXED + fit->q, err);
    if (!rc && cv_fed_is_leader(&run->fed))
        rc = cv_fit_step_all(run, with_info, err);
    seconds[0] = t1 - t0;
    seconds[1] = cv_now() - t1;
    return cv_agree_all(run->fed.world, rc, err);
}

/* The mean loss of a row, and how far the fit is from its end. */
static cv_history_row *record(cv_run *run, const cv_attempt *at,
                              const double seconds[2])
{
    const double *s = cv_fit_scalars(run);
    double phases[CV_N_PHASES] = {seconds[0], seconds[1]};
    /* The first sums are taken at the data, not at a model. */
    double loss = s[CV_FIT_ITERATIONS] > (cv_fit_is(run, "cox") ? 0.0 : 1.0)
                      ? 0.5 * s[CV_FIT_DEVIANCE] / s[CV_FIT_ROWS]
                      : (double)NAN;
    double decrement =
        s[CV_FIT_ITERATIONS] > 1.0 ? s[CV_FIT_DECREMENT] : (double)NAN;
    cv_history_row *h = cv_round_record(run, at->n, loss, decrement, phases);
    for (int j = 0; j < CV_MAX_METRICS; j++)
        h->metrics[j] = NAN;
    return h;
}

int cv_round_fit_all(cv_run *run, cv_err *err)
{
    if (run->job->privacy.enabled)
        return cv_round_fit_private_all(run, err);
    cv_attempt at = {0};
    double seconds[2] = {0}, t0 = cv_now();
    double *before = CV_NEW(run->n, double);
    memcpy(before, run->fit->v, run->n * sizeof *before);
    int rc = begin_all(run, &at, err);
    int first = cv_fit_scalars(run)[CV_FIT_STAGE] == 0.0;
    if (!rc && first)
        rc = moments_all(run, &at, err);
    else if (!rc)
        rc = evaluate_all(run, &at, seconds, err);
    if (!rc)
        rc = cv_fit_agree_all(run, err);
    if (!rc && cv_fit_is(run, "cox") && !run->fit->edges &&
        cv_fit_scalars(run)[CV_FIT_STAGE] == 3.0)
        rc = concordance_all(run, &at, err);
    if (!rc) {
        if (first)
            seconds[1] = cv_now() - t0;
        cv_history_row *h = record(run, &at, seconds);
        cv_masked_end_round(run, &at, h);
    } else { /* a checkpoint that follows is that of the round before */
        memcpy(run->fit->v, before, run->n * sizeof *before);
    }
    free(before);
    cv_attempt_end(&at);
    return rc;
}

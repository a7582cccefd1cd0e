#include "jobs/tell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/text.h"
#include "jobs/budget.h"
#include "jobs/fit.h"
#include "solver/blas.h"

static void add_number(cv_buf *b, const char *label, const char *name, double v)
{
    if (!isnan(v))
        cv_buf_printf(b, fabs(v) < 1e5 ? "  %s%s %.4f" : "  %s%s %.4g", label,
                      name, v);
}

/* How many iterations there will be is not known: no time is left to tell. */
static void format_fit(cv_buf *b, const cv_run *run)
{
    const double *s = cv_fit_scalars(run);
    cv_buf_printf(b, "round %lld, at most %d", (long long)run->round,
                  run->job->training.rounds);
    if (run->round == 1 && !run->job->privacy.enabled)
        cv_buf_printf(b, "  means of %d columns", run->fit->model->p);
    else if (s[CV_FIT_ITERATIONS] > 0.0 && s[CV_FIT_DEVIANCE] > 0.0)
        cv_buf_printf(b, "  deviance %.8g", s[CV_FIT_DEVIANCE]);
    add_number(b, "", "epsilon", run->history[run->n_history - 1].epsilon);
    cv_buf_printf(b, "  silos %d", run->fed.n_silos);
}

/* A live line has to fit a terminal: less of it, and time left before the
 * rest. */
static void format_round(cv_buf *b, const cv_run *run, double started,
                         int64_t first)
{
    const cv_history_row *h = &run->history[run->n_history - 1];
    int live = run->options->progress == CV_PROGRESS_LIVE;
    int64_t total = run->job->training.rounds;
    double per = (cv_now() - started) / (double)(run->round - first);
    char left[48];
    cv_format_seconds(left, sizeof left, per * (double)(total - run->round));
    cv_buf_printf(b, "round %lld/%lld", (long long)run->round,
                  (long long)total);
    add_number(b, "", "train_loss", h->train_loss);
    for (int m = live && run->n_metrics > 1; m < run->n_metrics && m < 2; m++)
        add_number(b, "test_", run->metric_names[m], h->metrics[m]);
    if (live && run->round < total)
        cv_buf_printf(b, "  %s left", left);
    add_number(b, "", "epsilon", h->epsilon);
    cv_buf_printf(b, "  silos %lld/%d  %.2f s/round", (long long)h->n_silos,
                  run->fed.n_silos, per);
    if (!live && run->round < total)
        cv_buf_printf(b, "  %s left", left);
}

/* What will be spent, before anything is. */
static void tell_privacy(const cv_run *run)
{
    const cv_job *job = run->job;
    const cv_budget *b = run->budget;
    char text[300], cap[80] = "", rounds[80] = "";
    if (!run->secure || !run->secure->masks)
        return;
    if (!job->privacy.enabled) {
        snprintf(text, sizeof text,
                 "sums are masked and checked, up to %d operator%s may "
                 "collude; no differential privacy",
                 run->secure->collusion,
                 run->secure->collusion == 1 ? "" : "s");
    } else {
        if (job->privacy.epsilon > 0.0)
            snprintf(cap, sizeof cap, ", epsilon at most %g at delta %g",
                     job->privacy.epsilon, job->privacy.delta);
        if (b->allowed != CV_MAX_STEPS)
            snprintf(rounds, sizeof rounds, "; the budget allows %lld %srounds",
                     (long long)(b->allowed + b->paid),
                     run->round ? "further " : "");
        snprintf(text, sizeof text,
                 "privacy of each %s: noise multiplier %.4f%s%s",
                 job->privacy.unit == CV_UNIT_SILO ? "silo" : "record",
                 b->multiplier, cap, rounds);
    }
    cv_progress_show(text);
    cv_progress_end();
    cv_log(CV_LOG_INFO, "privacy", "%s", text);
}

void cv_tell_start(const cv_run *run)
{
    char count[32], id[17];
    size_t n = run->fit ? (size_t)run->fit->q : run->n;
    cv_format_count(count, sizeof count, (int64_t)n);
    cv_hex(id, run->run_id, 8);
    cv_log(CV_LOG_INFO, "run_start",
           "name=%s run_id=%s silos=%d ranks=%d strategy=%s model=%s "
           "parameters=%s blas=%s threads=%d round=%lld",
           run->job->name, id, run->fed.n_silos, run->fed.size,
           run->strategy->name, run->job->model.kind, count, cv_blas_core(),
           run->threads, (long long)run->round);
    if (run->options->progress == CV_PROGRESS_OFF)
        return;
    char text[200];
    snprintf(text, sizeof text, "%s: %d silos on %d ranks, %s, %s %s%s",
             run->job->name, run->fed.n_silos, run->fed.size,
             run->job->model.kind, count, run->fit ? "columns" : "parameters",
             run->round ? ", resumed" : "");
    cv_progress_show(text);
    cv_progress_end();
    tell_privacy(run);
}

void cv_tell_set_up(const cv_run *run)
{
    const double *at = run->set_up;
    cv_log(CV_LOG_DEBUG, "set_up",
           "seconds_mpi=%.3f seconds_job=%.3f seconds_data=%.3f "
           "seconds_model=%.3f",
           at[CV_AT_MPI] - at[CV_AT_LAUNCH], at[CV_AT_JOB] - at[CV_AT_MPI],
           at[CV_AT_DATA] - at[CV_AT_JOB], at[CV_AT_MODEL] - at[CV_AT_DATA]);
}

void cv_tell_round(const cv_run *run, double started, int64_t first)
{
    const cv_history_row *h = &run->history[run->n_history - 1];
    cv_buf text = {0};
    if (run->fit)
        format_fit(&text, run);
    else
        format_round(&text, run, started, first);
    cv_progress_show(cv_buf_text(&text));
    cv_buf_free(&text);
    cv_log(
        CV_LOG_DEBUG, "round_end",
        "round=%lld silos=%lld train_loss=%.9g update=%.9g seconds_train=%.3f "
        "seconds_sum=%.3f seconds_evaluate=%.3f seconds_save=%.3f",
        (long long)h->round, (long long)h->n_silos, h->train_loss, h->update,
        h->seconds[0], h->seconds[1], h->seconds[2], h->seconds[3]);
}

void cv_tell_end(const cv_run *run)
{
    cv_progress_end();
    cv_log(CV_LOG_INFO, "run_end", "round=%lld converged=%d",
           (long long)run->round, run->converged);
    if (run->options->progress == CV_PROGRESS_OFF)
        return;
    int idle = 0;
    for (int i = 0; i < run->fed.n_silos; i++)
        idle += run->taken[i] == 0;
    if (idle)
        fprintf(stderr, "note: %d of %d silos took part in no round\n", idle,
                run->fed.n_silos);
    if (cv_budget_spent(run) && !run->converged &&
        run->round < run->job->training.rounds)
        fprintf(stderr,
                "note: one more round would pass the budget of epsilon %g at "
                "delta %g; %d were planned\n",
                run->job->privacy.epsilon, run->job->privacy.delta,
                run->job->training.rounds);
    if (run->fit && !run->converged)
        fprintf(stderr,
                "warning: the fit has not converged after %lld rounds; raise "
                "training.rounds and go on with --resume, or look for columns "
                "that nearly follow from others\n",
                (long long)run->round);
    fprintf(stderr, "%s after round %lld; model in %s/run.h5\n",
            run->converged && !run->job->privacy.enabled ? "converged" : "done",
            (long long)run->round, run->dir);
}

/* Said before MPI_Finalize: the first rank that ends with an error may be the
 * end of all others. */
void cv_tell_error(cv_err *err, int rc)
{
    char text[1100];
    cv_progress_end();
    cv_err_format(err, text, sizeof text);
    cv_log(CV_LOG_DEBUG, "run_failed", "code=%d %s", rc, text);
    fprintf(stderr, "%s\n", text);
    fflush(stderr);
}

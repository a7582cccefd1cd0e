#include "jobs/inspect_privacy.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/json.h"
#include "jobs/paragraph.h"

static int is_record(const cv_job *job)
{
    return job->privacy.unit == CV_UNIT_RECORD;
}

static int is_local(const cv_job *job)
{
    return is_record(job) && job->privacy.noise == CV_NOISE_LOCAL;
}

/* ---- what the ledger comes to ---------------------------------------------- */

static int add_up(const cv_job *job, cv_privacy_report *p, int with_rest,
                  cv_err *err)
{
    cv_accountant *a;
    cv_spent rdp, pld;
    int64_t steps = CV_MAX_STEPS;
    int by_rdp = job->privacy.accountant == CV_ACCOUNTANT_RDP, rc = 0;
    cv_accountant_create(&a);
    for (int64_t i = 0; i < p->saved.n && !rc; i++) {
        rc = cv_accountant_add(a, &p->saved.segment[i], err);
        p->steps += p->saved.segment[i].steps;
    }
    if (rc) {
        cv_err_prefix(err, "/privacy/ledger");
        err->code = rc = CV_ERR_VERIFY;
        goto out;
    }
    cv_accountant_epsilon(a, &rdp, CV_ACCOUNT_RDP, job->privacy.delta);
    cv_accountant_epsilon(a, &pld, CV_ACCOUNT_PLD, job->privacy.delta);
    p->epsilon_rdp = rdp.epsilon;
    p->epsilon_pld = pld.epsilon;
    p->epsilon = by_rdp ? rdp.epsilon : pld.epsilon;
    p->rounds_left = -1;
    if (with_rest && job->privacy.epsilon > 0.0 && p->saved.n > 0) {
        int64_t round = is_record(job) && !cv_job_is_fit(job)
                            ? job->training.local.steps
                            : 1;
        rc = cv_accountant_steps(a, &steps, &p->saved.segment[p->saved.n - 1],
                                 by_rdp ? CV_ACCOUNT_RDP : CV_ACCOUNT_PLD,
                                 job->privacy.epsilon, job->privacy.delta, err);
        p->rounds_left = steps == CV_MAX_STEPS ? -1 : steps / round;
    }
out:
    cv_accountant_destroy(&a);
    return rc;
}

int cv_privacy_report_load(const cv_saved *s, cv_privacy_report *out,
                           int with_rest, cv_err *err)
{
    *out = (cv_privacy_report){0};
    int rc = cv_saved_privacy_load(s->file, &out->saved, err);
    if (!rc && s->job->privacy.enabled && out->saved.n)
        rc = add_up(s->job, out, with_rest, err);
    return rc;
}

void cv_privacy_report_free(cv_privacy_report *p)
{
    cv_saved_privacy_free(&p->saved);
}

/* ---- for people --------------------------------------------------------------- */

/* A labelled paragraph, broken at 80 columns. */
static void say(const char *label, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void say(const char *label, const char *fmt, ...)
{
    enum { INDENT = 13, WIDTH = 80 };
    char text[1200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    int at = printf("  %-*s", INDENT - 2, label);
    cv_print_words(at, INDENT, WIDTH, text);
}

static void say_masks(const cv_saved *s, const cv_saved_privacy *p)
{
    int t = p->collusion;
    say("sums",
        "every silo's %s masked; what the others saw of %s is the sum "
        "over at least %d silos, which each of them checked against the silos' "
        "commitments (%s)",
        s->fit ? "sums were" : "update was", s->fit ? "them" : "it",
        s->fit                               ? s->job->n_silos
        : s->job->training.min_silos > t + 2 ? s->job->training.min_silos
                                             : t + 2,
        p->simulated || s->job->simulate.enabled
            ? "silos are SIMULATED: one party holds all data and keys"
            : "their signatures are for `covey verify` to check");
    say("collusion",
        "up to %d operator%s may pool what they see without learning more of "
        "another silo than the sum of the rest",
        t, t == 1 ? "" : "s");
    say("not proved",
        "that a silo %s true data%s: each site vouches for its own program%s",
        s->fit ? "summed" : "trained on",
        !s->fit                   ? ", clipped, or added its noise as it should"
        : s->job->privacy.enabled ? ", or added its noise as it should"
                                  : "",
        s->job->privacy.enabled
            ? ""
            : ". Masks hide updates; what the model itself tells about single "
              "records is not bounded, for there is no differential privacy");
}

static void say_mechanism(const cv_saved *s, const cv_privacy_report *p)
{
    const cv_job *job = s->job;
    const cv_saved_privacy *v = &p->saved;
    if (s->fit)
        say("mechanism",
            "%lld sum%s over all records, each record's part bounded to L2 "
            "norm "
            "%.4g (by public bounds of the columns and privacy.clip), and "
            "discrete Gaussian noise of at least %.4f times that added to the "
            "sum over all silos, each giving a share",
            (long long)p->steps, p->steps == 1 ? "" : "s", v->clip,
            v->multiplier);
    else if (is_record(job))
        say("mechanism",
            "%lld steps; in each, every silo draws each of its records with "
            "probability %g, clips the record's gradient to L2 norm %g, and "
            "discrete Gaussian noise of at least %.4f times that is added %s",
            (long long)p->steps, job->privacy.sampling, job->privacy.clip,
            v->multiplier,
            is_local(job) ? "at the silo, before anything leaves it"
                          : "to the sum over all silos, each giving a share");
    else
        say("mechanism",
            "%lld sums; in each, every silo's update is clipped to L2 norm "
            "%g%s, and discrete Gaussian noise of at least %.4f times that is "
            "added to the sum, each silo giving a share",
            (long long)p->steps, v->clip,
            job->privacy.adaptive.enabled
                ? " by now (it adapts, which is charged)"
                : "",
            v->multiplier);
}

static void say_guarantee(const cv_saved *s, const cv_privacy_report *p)
{
    const cv_job *job = s->job;
    const char *unit = is_record(job) ? "record" : "silo";
    say("unit", is_record(job)
                    ? "a record: one row of one silo's data; a person with "
                      "several rows, or in several silos, is protected less"
                    : "a silo: all rows of one institution together");
    say("adjacency", "the %s is replaced by nothing (null)", unit);
    say_mechanism(s, p);
    say("guarantee",
        "epsilon %.4f at delta %g for each %s, by %s, over all rounds and all "
        "attempts that were charged; other runs on the same data add to it",
        p->epsilon, job->privacy.delta, unit,
        job->privacy.accountant == CV_ACCOUNTANT_RDP ? "RDP" : "PLD");
    if (job->privacy.epsilon > 0.0)
        say("budget",
            "epsilon %g at delta %g for this run: %.4f left, %lld more round%s;"
            " each site's own budget over all runs is in its journal",
            job->privacy.epsilon, job->privacy.delta,
            fmax(0.0, job->privacy.epsilon - p->epsilon),
            (long long)(p->rounds_left < 0 ? 0 : p->rounds_left),
            p->rounds_left == 1 ? "" : "s");
    else
        say("budget", "no cap in the job; each site's own limit holds");
    long long left_out = (long long)job->n_silos - p->saved.honest;
    if (is_local(job))
        return;
    if (p->saved.collusion == 0)
        say("colluders", "the guarantee counts the noise of every silo: it "
                         "holds if no operator colludes");
    else
        say("colluders",
            "the guarantee leaves out the noise of %lld silo%s of every sum, "
            "so "
            "it holds against %d colluding operator%s",
            left_out, left_out == 1 ? "" : "s", p->saved.collusion,
            p->saved.collusion == 1 ? "" : "s");
}

void cv_privacy_report_print(const cv_saved *s, const cv_privacy_report *p)
{
    if (!p->saved.masked)
        return;
    printf("\nprivacy\n");
    if (s->job->privacy.enabled) {
        say_guarantee(s, p);
        say("not hidden", "how long things take, and errors in data before "
                          "training; columns with - are not told");
    }
    say_masks(s, &p->saved);
}

/* ---- for machines --------------------------------------------------------------- */

void cv_privacy_report_json(cv_buf *b, const cv_saved *s,
                            const cv_privacy_report *p)
{
    const cv_job *job = s->job;
    const cv_saved_privacy *v = &p->saved;
    if (!v->masked)
        return;
    cv_json_open(b, "secure_aggregation", '{');
    cv_json_i64(b, "collusion", v->collusion);
    cv_json_string(b, "record", v->record);
    cv_json_string(b, "silos", job->simulate.enabled ? "SIMULATED" : "real");
    cv_json_close(b, '}');
    if (!job->privacy.enabled)
        return;
    cv_json_open(b, "privacy", '{');
    cv_json_string(b, "unit", is_record(job) ? "record" : "silo");
    cv_json_string(b, "adjacency", "replaced by null");
    cv_json_string(b, "mechanism", "discrete Gaussian");
    cv_json_string(b, "noise", is_local(job) ? "local" : "distributed");
    cv_json_f64(b, "noise_multiplier", v->multiplier);
    cv_json_f64(b, "clip", v->clip);
    cv_json_f64(b, "sampling", is_record(job) ? job->privacy.sampling : 1.0);
    cv_json_i64(b, "steps", p->steps);
    cv_json_f64(b, "delta", job->privacy.delta);
    cv_json_f64(b, "epsilon", p->epsilon);
    cv_json_f64(b, "epsilon_rdp", p->epsilon_rdp);
    cv_json_f64(b, "epsilon_pld", p->epsilon_pld);
    cv_json_f64(b, "epsilon_cap",
                job->privacy.epsilon > 0.0 ? job->privacy.epsilon
                                           : (double)NAN);
    if (p->rounds_left >= 0)
        cv_json_i64(b, "rounds_left", p->rounds_left);
    cv_json_i64(b, "honest_silos", is_local(job) ? 1 : v->honest);
    cv_json_close(b, '}');
}

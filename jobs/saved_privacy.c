#include "jobs/saved_privacy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"

static const char LEDGER_NOTE[] =
    "what was spent, one row per mechanism: Gaussian noise of noise_multiplier "
    "x sensitivity on a sum in which a record is with probability sampling, "
    "so many steps; sensitivity in grid units; shares: draws of integers that "
    "make up the noise; sampler: statistical distance of a draw";

/* ---- saving --------------------------------------------------------------------
 */

enum { N_WORDS = 6 };
static const char *const word_names[N_WORDS] = {
    "unit", "adjacency", "mechanism", "noise", "accountant", "silos"};

static const char *word_of(const cv_job *job, int k)
{
    int record = job->privacy.unit == CV_UNIT_RECORD;
    const char *const words[N_WORDS] = {
        record ? "record" : "silo",
        record ? "a record is replaced by null"
               : "all records of a silo are replaced by null",
        record ? "discrete Gaussian on sums of clipped gradients of a Poisson "
                 "sample"
               : "discrete Gaussian on the sum of clipped updates",
        record && job->privacy.noise == CV_NOISE_LOCAL ? "local"
                                                       : "distributed",
        job->privacy.accountant == CV_ACCOUNTANT_RDP ? "rdp" : "pld",
        job->simulate.enabled ? "SIMULATED" : "real"};
    return words[k];
}

static int save_words(cv_h5_writer *w, const cv_job *job, cv_err *err)
{
    int rc = 0;
    for (int k = 0; k < N_WORDS && !rc; k++)
        rc = cv_h5_attr_string(w, "/privacy", word_names[k], word_of(job, k),
                               err);
    return rc;
}

static int save_numbers(cv_h5_writer *w, const cv_saved_privacy *p,
                        const cv_job *job, cv_err *err)
{
    const struct {
        const char *name;
        double v;
    } number[] = {{"noise_multiplier", p->multiplier},
                  {"clip", p->clip},
                  {"delta", job->privacy.delta},
                  {"epsilon_cap", job->privacy.epsilon},
                  {"epsilon", p->epsilon},
                  {"sensitivity", p->sensitivity}};
    const struct {
        const char *name;
        int64_t v;
    } whole[] = {{"grid_bits", p->bits},
                 {"grid_exponent", p->exponent},
                 {"field_bits", p->wide ? 61 : 32},
                 {"honest", p->honest}};
    int rc = 0;
    for (size_t i = 0; i < sizeof number / sizeof *number && !rc; i++)
        rc = cv_h5_attr_f64(w, "/privacy", number[i].name, number[i].v, err);
    for (size_t i = 0; i < sizeof whole / sizeof *whole && !rc; i++)
        rc = cv_h5_attr_i64(w, "/privacy", whole[i].name, whole[i].v, err);
    return rc;
}

/* Columns of the ledger: four reals, three whole numbers. */
enum { N_REAL = 4, N_WHOLE = 3 };
static const char *const real_names[N_REAL] = {"noise_multiplier", "sampling",
                                               "sensitivity", "sampler"};
static const char *const whole_names[N_WHOLE] = {"steps", "shares",
                                                 "dimension"};

static double *real_of(cv_segment *s, int k)
{
    double *member[N_REAL] = {&s->noise_multiplier, &s->sampling,
                              &s->integers.sensitivity, &s->integers.sampler};
    return member[k];
}

static int64_t *whole_of(cv_segment *s, int k)
{
    int64_t *member[N_WHOLE] = {&s->steps, &s->integers.shares,
                                &s->integers.dimension};
    return member[k];
}

static int save_ledger(cv_h5_writer *w, const cv_saved_privacy *p, cv_err *err)
{
    size_t n = (size_t)p->n;
    double *real = CV_NEW(N_REAL * n, double);
    int64_t *whole = CV_NEW(N_WHOLE * n, int64_t);
    cv_h5_column col[N_REAL + N_WHOLE];
    for (int k = 0; k < N_REAL; k++) {
        for (size_t i = 0; i < n; i++)
            real[(size_t)k * n + i] = *real_of(&p->segment[i], k);
        col[k] = (cv_h5_column){.name = real_names[k],
                                .type = CV_H5_F64,
                                .data = real + (size_t)k * n};
    }
    for (int k = 0; k < N_WHOLE; k++) {
        for (size_t i = 0; i < n; i++)
            whole[(size_t)k * n + i] = *whole_of(&p->segment[i], k);
        col[N_REAL + k] = (cv_h5_column){.name = whole_names[k],
                                         .type = CV_H5_I64,
                                         .data = whole + (size_t)k * n};
    }
    int rc = cv_h5_put_table(w, "/privacy/ledger", LEDGER_NOTE, col,
                             N_REAL + N_WHOLE, p->n, err);
    free(real);
    free(whole);
    return rc;
}

int cv_saved_privacy_save(cv_h5_writer *w, const cv_saved_privacy *p,
                          const cv_job *job, cv_err *err)
{
    int rc = 0;
    if (p->masked) {
        rc = cv_h5_attr_string(w, "/proofs", "record", p->record, err);
        if (!rc)
            rc = cv_h5_attr_i64(w, "/proofs", "attempt", p->attempt, err);
        if (!rc)
            rc = cv_h5_attr_i64(w, "/proofs", "collusion", p->collusion, err);
        if (!rc)
            rc = cv_h5_attr_string(
                w, "/proofs", "description",
                "record: digest of the newest round, linked to those before; "
                "its signatures are in signatures, and in records.log",
                err);
    }
    if (rc || !job->privacy.enabled)
        return rc;
    rc = save_words(w, job, err);
    if (!rc)
        rc = save_numbers(w, p, job, err);
    return rc ? rc : save_ledger(w, p, err);
}

/* ---- loading ---------------------------------------------------------------------
 */

static int load_ledger(cv_h5_reader *r, cv_saved_privacy *out, cv_err *err)
{
    int rc = cv_h5_table_rows(r, "/privacy/ledger", &out->n, err);
    if (rc)
        return rc;
    if (out->n > 100000) /* segments of equal rounds are one row */
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "/privacy/ledger has %lld rows, more than any run "
                          "can have",
                          (long long)out->n);
    size_t n = (size_t)out->n;
    out->segment = CV_NEW(n, cv_segment);
    double *real = CV_NEW(n, double);
    int64_t *whole = CV_NEW(n, int64_t);
    for (int k = 0; k < N_REAL && !rc; k++) {
        rc = cv_h5_get_column(r, "/privacy/ledger", real_names[k], CV_H5_F64,
                              real, out->n, err);
        for (size_t i = 0; i < n && !rc; i++)
            *real_of(&out->segment[i], k) = real[i];
    }
    for (int k = 0; k < N_WHOLE && !rc; k++) {
        rc = cv_h5_get_column(r, "/privacy/ledger", whole_names[k], CV_H5_I64,
                              whole, out->n, err);
        for (size_t i = 0; i < n && !rc; i++)
            *whole_of(&out->segment[i], k) = whole[i];
    }
    free(real);
    free(whole);
    return rc;
}

static int load_numbers(cv_h5_reader *r, cv_saved_privacy *out, cv_err *err)
{
    int64_t whole[4];
    static const char *const names[4] = {"grid_bits", "grid_exponent",
                                         "field_bits", "honest"};
    const struct {
        const char *name;
        double *v;
    } number[] = {{"noise_multiplier", &out->multiplier},
                  {"clip", &out->clip},
                  {"epsilon", &out->epsilon},
                  {"sensitivity", &out->sensitivity}};
    int rc = 0;
    for (size_t i = 0; i < sizeof number / sizeof *number && !rc; i++)
        rc =
            cv_h5_get_attr_f64(r, "/privacy", number[i].name, number[i].v, err);
    for (int i = 0; i < 4 && !rc; i++)
        rc = cv_h5_get_attr_i64(r, "/privacy", names[i], &whole[i], err);
    if (rc)
        return rc;
    if (!(out->multiplier > 0.0 && out->multiplier < 1e9) ||
        !(out->clip > 0.0 && out->clip < 1e30) || whole[0] < 1 ||
        whole[0] > 60 || whole[1] < -200 || whole[1] > 200 || whole[3] < 0 ||
        whole[3] > INT32_MAX || (whole[2] != 61 && whole[2] != 32))
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "/privacy holds numbers that no run of Covey can "
                          "have saved");
    out->bits = (int)whole[0];
    out->exponent = (int)whole[1];
    out->wide = whole[2] == 61;
    out->honest = (int)whole[3];
    return 0;
}

int cv_saved_privacy_load(cv_h5_reader *r, cv_saved_privacy *out, cv_err *err)
{
    char *text = NULL;
    int64_t collusion = 0;
    int rc = 0;
    *out = (cv_saved_privacy){0};
    if (cv_h5_has(r, "/proofs")) {
        uint8_t digest[32];
        rc = cv_h5_get_attr_string(r, "/proofs", "record", &text, err);
        if (!rc && cv_unhex(digest, text, 32))
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "/proofs: record is damaged");
        if (!rc)
            cv_hex(out->record, digest, 32);
        free(text);
        if (!rc)
            rc =
                cv_h5_get_attr_i64(r, "/proofs", "attempt", &out->attempt, err);
        if (!rc)
            rc = cv_h5_get_attr_i64(r, "/proofs", "collusion", &collusion, err);
        out->collusion = (int)collusion;
        out->masked = 1;
    }
    if (rc || !cv_h5_has(r, "/privacy"))
        return rc;
    rc = cv_h5_get_attr_string(r, "/privacy", "silos", &text, err);
    if (!rc) {
        out->simulated = strcmp(text, "SIMULATED") == 0;
        free(text);
        rc = load_numbers(r, out, err);
    }
    return rc ? rc : load_ledger(r, out, err);
}

const char *cv_saved_privacy_wrong(cv_h5_reader *r, const cv_job *job)
{
    const struct {
        const char *name;
        double v;
    } number[] = {{"delta", job->privacy.delta},
                  {"epsilon_cap", job->privacy.epsilon}};
    cv_err ignored;
    for (int k = 0; k < N_WORDS; k++) {
        char *text = NULL;
        int same = cv_h5_get_attr_string(r, "/privacy", word_names[k], &text,
                                         &ignored) == 0 &&
                   strcmp(text, word_of(job, k)) == 0;
        free(text);
        if (!same)
            return word_names[k];
    }
    for (size_t k = 0; k < sizeof number / sizeof *number; k++) {
        double v;
        if (cv_h5_get_attr_f64(r, "/privacy", number[k].name, &v, &ignored) ||
            v != number[k].v)
            return number[k].name;
    }
    return NULL;
}

void cv_saved_privacy_free(cv_saved_privacy *p)
{
    CV_FREE(p->segment);
    p->n = 0;
}

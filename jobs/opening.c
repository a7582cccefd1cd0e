/* When the check of a sum fails: every member opens its masked vector, and each
 * is held against what its silo had committed to and said (PROTOCOL, step 7).
 * Masked vectors are uniform given their sum, so opening them shows nothing;
 * masks and their seeds are never opened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "jobs/secure.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "privacy/field.h"
#include "privacy/lincheck.h"

typedef struct {
    cv_run *run;
    const cv_attempt *at;
    const cv_openings *o;
    void *words; /* (d) of the silo being opened */
    void *total; /* (d) of all so far */
    int liars;
    char who[300];
} hearing;

static size_t word_size(const hearing *h)
{
    return h->run->secure->wide ? 8 : 4;
}

/* Rank among the leaders that hosts a silo. */
static int host_of(const cv_fed *fed, int silo)
{
    for (int r = 0; r < fed->n_leaders; r++)
        if (silo >= fed->lead_first[r] &&
            silo < fed->lead_first[r] + fed->lead_hosted[r])
            return r;
    CV_CHECK(!"silo without a host");
    return -1;
}

static void blame(hearing *h, int silo, const char *why)
{
    size_t at = strlen(h->who);
    const char *name = h->run->job->silos[silo].name;
    h->liars++;
    snprintf(h->who + at, sizeof h->who - at, "%ssilo %s %s", at ? "; " : "",
             name, why);
    cv_log(CV_LOG_ERROR, "opening", "round=%lld attempt=%lld silo=%s %s",
           (long long)h->at->round, (long long)h->at->attempt, name, why);
}

static void open_one(hearing *h, int silo)
{
    const cv_openings *o = h->o;
    cv_fed *fed = &h->run->fed;
    int mine = silo - fed->first, host = host_of(fed, silo);
    int wide = h->run->secure->wide;
    uint8_t salt[32] = {0}, root[32], c[32];
    if (mine >= 0 && mine < fed->n_hosted) {
        memcpy(h->words, o->y[mine], o->d * word_size(h));
        memcpy(salt, o->salts + 32 * mine, 32);
    }
    cv_bcast_bytes_all(fed->leaders, h->words, o->d * word_size(h), host);
    cv_bcast_bytes_all(fed->leaders, salt, 32, host);
    cv_words_root(h->run->secure, root, h->words, o->d);
    cv_commitment(c, o->step_ctx, salt, root);
    if (memcmp(c, o->commitment + 32 * silo, 32) != 0) {
        blame(h, silo, "opened another vector than it had committed to");
        return;
    }
    uint64_t f[CV_CHECK_MAX] = {0};
    int canonical = wide ? cv_f61_canonical(h->words, o->d)
                         : cv_f32_canonical(h->words, o->d);
    if (!canonical) {
        blame(h, silo, "committed to words outside the field");
        return;
    }
    if (wide) {
        cv_lincheck_u64(o->functions, f, h->words);
        cv_f61_add_all(h->total, h->words, o->d);
    } else {
        cv_lincheck_u32(o->functions, f, h->words);
        cv_f32_add_all(h->total, h->words, o->d);
    }
    if (memcmp(f, o->values + (size_t)silo * CV_CHECK_MAX, sizeof f) != 0)
        blame(h, silo, "signed check values that its vector does not have");
}

int cv_open_all(cv_run *run, const cv_attempt *at, const cv_openings *o,
                cv_err *err)
{
    hearing h = {.run = run, .at = at, .o = o};
    h.words = cv_calloc(o->d, word_size(&h));
    h.total = cv_calloc(o->d, word_size(&h));
    for (int k = 0; k < at->n; k++)
        open_one(&h, at->member[k]);
    int same = memcmp(h.total, o->sum, o->d * word_size(&h)) == 0;
    int rc = cv_err_set(
        err, CV_ERR_VERIFY, NULL, 0,
        "round %lld, attempt %lld: the sum is not that of the committed "
        "vectors: %s",
        (long long)at->round, (long long)at->attempt,
        h.liars ? h.who
        : same  ? "yet the openings agree with it; a rank lied about the check"
                : "every silo opened what it had committed to, so it was "
                  "changed while it was added up, by a rank, the network or "
                  "the MPI library");
    free(h.words);
    free(h.total);
    return cv_agree_all(run->fed.leaders, rc, err);
}

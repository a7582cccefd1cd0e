/* The check of a masked sum: PROTOCOL, "One attempt of a round", step 6. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "jobs/secure_sum.h"
#include "mpi/messages.h"
#include "privacy/field.h"
#include "privacy/lincheck.h"

/* part: of the leader's own part of the sum, where it is scattered. */
typedef struct {
    uint8_t value[CV_CHECK_MAX][8], part[CV_CHECK_MAX][8], sig[CV_SIG_BYTES];
} check_msg;

static void evaluate(const cv_summing *m, uint64_t f[CV_CHECK_MAX],
                     const void *x)
{
    memset(f, 0, CV_CHECK_MAX * sizeof *f);
    if (m->run->secure->wide)
        cv_lincheck_u64(m->functions, f, x);
    else
        cv_lincheck_u32(m->functions, f, x);
}

static void draw_challenge(cv_summing *m)
{
    cv_challenge(m->challenge, m->ctx, m->all_commitments, m->sum_digest);
    m->functions = cv_lincheck_create(m->challenge, m->d, m->run->secure->wide);
}

/* What is signed: the challenge, the silo's values, and those of its leader's
 * part of the sum (of a sum that all hold: zeros). */
enum { CHECK_SIGNED = 32 + 2 * CV_CHECK_MAX * 8 };

static void check_text(const cv_summing *m, const check_msg *msg,
                       uint8_t out[CHECK_SIGNED])
{
    memcpy(out, m->challenge, 32);
    memcpy(out + 32, msg->value, sizeof msg->value);
    memcpy(out + 32 + sizeof msg->value, msg->part, sizeof msg->part);
}

static void sign_values(const cv_summing *m, int s, check_msg *out)
{
    uint64_t f[CV_CHECK_MAX];
    uint8_t text[CHECK_SIGNED];
    evaluate(m, f, m->y[s]);
    for (int k = 0; k < CV_CHECK_MAX; k++) {
        cv_put_le64(out->value[k], f[k]);
        if (m->counts)
            cv_put_le64(out->part[k], m->total[k]);
    }
    check_text(m, out, text);
    cv_summing_sign(m, s, out->sig, "covey check v2", text, sizeof text);
}

/* The functions of this leader's part: of a vector that is zero elsewhere. */
static void evaluate_part(cv_summing *m)
{
    size_t size = cv_summing_word(m->run->secure);
    char *whole = cv_calloc(m->d, size);
    memcpy(whole + m->first * size, m->sum, m->n_part * size);
    evaluate(m, m->total, whole);
    free(whole);
}

/* The functions of the sum, from those of its parts: the first member that a
 * leader hosts speaks for it, and its others must say the same. */
static int add_parts(cv_summing *m, const check_msg *all, cv_err *err)
{
    const cv_fed *fed = &m->run->fed;
    int wide = m->run->secure->wide,
        used = wide ? CV_CHECK_WIDE : CV_CHECK_NARROW;
    uint64_t p = wide ? CV_P61 : CV_P32;
    memset(m->total, 0, sizeof m->total);
    for (int r = 0; r < fed->n_leaders; r++) {
        const check_msg *first = NULL;
        for (int s = 0; s < fed->lead_hosted[r]; s++) {
            int i = fed->lead_first[r] + s;
            if (!cv_attempt_has(m->at, i))
                continue;
            if (first && memcmp(first->part, all[i].part, sizeof first->part))
                return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                                  "round %lld, attempt %lld: silo %s says "
                                  "another value of its part of the sum than "
                                  "the silo beside it",
                                  (long long)m->at->round,
                                  (long long)m->at->attempt,
                                  cv_summing_name(m, i));
            first = first ? first : &all[i];
        }
        for (int k = 0; first && k < used; k++) {
            uint64_t v = cv_get_le64(first->part[k]);
            if (v >= p)
                return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                                  "round %lld, attempt %lld: a value of a part "
                                  "of the sum is outside the field",
                                  (long long)m->at->round,
                                  (long long)m->at->attempt);
            m->total[k] = (m->total[k] + v) % p;
        }
    }
    return 0;
}

/* 0, an error, or 1: the values do not add up. */
int cv_summing_check(cv_summing *m, cv_err *err)
{
    cv_run *run = m->run;
    int n = run->fed.n_silos, rc = 0;
    int wide = run->secure->wide, used = wide ? CV_CHECK_WIDE : CV_CHECK_NARROW;
    check_msg *mine = CV_NEW(run->fed.n_hosted, check_msg);
    check_msg *all = CV_NEW(n, check_msg);
    uint64_t *said = CV_NEW((size_t)m->at->n * CV_CHECK_MAX, uint64_t);
    draw_challenge(m);
    if (m->counts)
        evaluate_part(m);
    else
        evaluate(m, m->total, m->sum);
    for (int s = 0; s < run->fed.n_hosted; s++)
        if (cv_summing_is_member(m, s))
            sign_values(m, s, &mine[s]);
    cv_gather_messages_all(&run->fed, all, mine, sizeof *mine);
    for (int k = 0; k < m->at->n; k++) {
        int i = m->at->member[k];
        uint8_t text[CHECK_SIGNED];
        check_text(m, &all[i], text);
        if (!rc)
            rc = cv_summing_verify(m, i, all[i].sig, "covey check v2", text,
                                   sizeof text, "check value", err);
        for (int j = 0; j < CV_CHECK_MAX; j++)
            m->value[i * CV_CHECK_MAX + j] = cv_get_le64(all[i].value[j]);
        for (int j = 0; j < used; j++)
            said[k * used + j] = m->value[i * CV_CHECK_MAX + j];
    }
    if (!rc && m->counts)
        rc = add_parts(m, all, err);
    if (!rc && !cv_lincheck_holds(said, m->at->n, m->total, wide))
        rc = 1;
    free(said);
    free(mine);
    free(all);
    return rc;
}

static void add_values(cv_buf *out, const uint64_t f[CV_CHECK_MAX])
{
    uint8_t word[8];
    for (int k = 0; k < CV_CHECK_MAX; k++) {
        cv_put_le64(word, f[k]);
        cv_buf_add(out, word, sizeof word);
    }
}

/* What the round's record says of this sum. */
void cv_summing_note(cv_summing *m)
{
    cv_proof *p = &m->at->proof;
    cv_buf sum = {0};
    uint8_t d[8];
    cv_put_le64(d, m->d);
    cv_buf_add(&sum, d, sizeof d);
    cv_buf_add(&sum, m->sum_digest, 32);
    add_values(&sum, m->total);
    for (int k = 0; k < m->at->n; k++) {
        int i = m->at->member[k];
        cv_buf_add(&sum, m->commitment + 32 * i, 32);
        add_values(&sum, m->value + (size_t)i * CV_CHECK_MAX);
    }
    cv_transcript_add(p->transcript, m->ctx, m->challenge, sum.data, sum.len);
    p->n_sums++;
    if (m->run->fed.rank == 0 && p->sums.len <= CV_PROOFS_SUMS)
        cv_buf_add(&p->sums, sum.data, sum.len);
    cv_buf_free(&sum);
}

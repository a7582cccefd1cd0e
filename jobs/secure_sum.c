/* One masked sum, and the proof that it is the sum of what was committed to:
 * PROTOCOL, "One attempt of a round", steps 3 to 5; step 6 is secure_check.c. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/hkdf.h"
#include "core/mem.h"
#include "core/secret.h"
#include "core/tagged.h"
#include "jobs/secure_sum.h"
#include "mpi/agree.h"
#include "mpi/messages.h"
#include "mpi/reduce.h"
#include "privacy/commit.h"
#include "privacy/field.h"
#include "privacy/lincheck.h"
#include "privacy/masked.h"

typedef struct {
    uint8_t commitment[32], sig[CV_SIG_BYTES];
} commit_msg;

typedef struct {
    uint8_t digest[32], sig[CV_SIG_BYTES];
} sum_msg;

size_t cv_summing_word(const cv_secure *sec)
{
    return sec->wide ? sizeof(uint64_t) : sizeof(uint32_t);
}

int cv_summing_is_member(const cv_summing *m, int s)
{
    return cv_attempt_has(m->at, m->run->hosted[s].index);
}

const char *cv_summing_name(const cv_summing *m, int silo)
{
    return m->run->job->silos[silo].name;
}

/* ---- 3. masks ---------------------------------------------------------------
 */

/* The key of a pair for this step, from what both can derive. */
static void mask_key(const cv_summing *m, const cv_pairs *pairs, int k,
                     cv_mask_peer *out)
{
    uint8_t info[32], ends[2][8], okm[64];
    int a = pairs->slot, b = pairs->peer[k];
    cv_put_le64(ends[0], (uint64_t)(a < b ? a : b));
    cv_put_le64(ends[1], (uint64_t)(a < b ? b : a));
    cv_part part[] = {{m->ctx, 32}, {ends, sizeof ends}};
    cv_tagged_hash(info, "covey mask v1", part, 2);
    cv_hkdf_expand(okm, sizeof okm, pairs->secret + 32 * k, info, 32);
    memcpy(out->key, okm, 32);
    memcpy(out->redraw, okm + 32, 32);
    out->sign = b > a ? 1 : -1;
    cv_wipe(okm, sizeof okm);
}

/* Masks and the root of the hash tree, in one pass. */
static void mask_and_hash(cv_summing *m, int s, uint8_t root[32])
{
    const cv_pairs *pairs = &m->at->pairs[s];
    size_t bytes = (size_t)(pairs->n ? pairs->n : 1) * sizeof(cv_mask_peer);
    cv_mask_peer *peer = cv_secret_alloc(bytes);
    for (int k = 0; k < pairs->n; k++)
        mask_key(m, pairs, k, &peer[k]);
    cv_masking all = {.masker = cv_masker_create(peer, pairs->n),
                      .masked = cv_commit_create()};
    cv_secret_free(peer);
    if (m->run->secure->wide)
        cv_masked_u64(&all, m->y[s], NULL, NULL, m->d);
    else
        cv_masked_u32(&all, m->y[s], NULL, NULL, m->d);
    cv_commit_root(all.masked, root);
    cv_commit_destroy(&all.masked);
    cv_masker_destroy(&all.masker);
}

/* ---- 4. commitments -----------------------------------------------------------
 */

void cv_words_root(const cv_secure *sec, uint8_t root[32], const void *words,
                   size_t d)
{
    cv_commit *c = cv_commit_create();
    cv_commit_add(c, words, d * cv_summing_word(sec));
    cv_commit_root(c, root);
    cv_commit_destroy(&c);
}

void cv_commitment(uint8_t out[32], const uint8_t step_ctx[32],
                   const uint8_t salt[32], const uint8_t root[32])
{
    cv_part part[] = {{step_ctx, 32}, {salt, 32}, {root, 32}};
    cv_tagged_hash(out, "covey commitment v1", part, 3);
}

void cv_summing_sign(const cv_summing *m, int s, uint8_t out[CV_SIG_BYTES],
                     const char *tag, const void *data, size_t n)
{
    uint8_t digest[32];
    cv_sig sig;
    cv_part part[] = {{m->ctx, 32}, {data, n}};
    cv_tagged_hash(digest, tag, part, 2);
    cv_seckey_sign(m->run->secure->party[s].key, &sig, digest);
    memcpy(out, sig.b, sizeof sig.b);
}

int cv_summing_verify(const cv_summing *m, int silo,
                      const uint8_t sig[CV_SIG_BYTES], const char *tag,
                      const void *data, size_t n, const char *what, cv_err *err)
{
    uint8_t digest[32];
    cv_sig copy;
    cv_part part[] = {{m->ctx, 32}, {data, n}};
    cv_tagged_hash(digest, tag, part, 2);
    memcpy(copy.b, sig, sizeof copy.b);
    int rc = cv_sig_verify(&copy, &m->run->secure->identity[silo], digest, err);
    if (rc)
        cv_err_prefix(err, "round %lld, attempt %lld: the %s of silo %s",
                      (long long)m->at->round, (long long)m->at->attempt, what,
                      cv_summing_name(m, silo));
    return rc;
}

/* Signed commitments of all, in roster order; and that all have seen the same
 * ones, before anything masked is sent. */
static int commit(cv_summing *m, cv_err *err)
{
    cv_run *run = m->run;
    int n = run->fed.n_silos, rc = 0;
    commit_msg *mine = CV_NEW(run->fed.n_hosted, commit_msg);
    commit_msg *all = CV_NEW(n, commit_msg);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        if (!cv_summing_is_member(m, s))
            continue;
        uint8_t root[32];
        mask_and_hash(m, s, root);
        cv_entropy(m->salt + 32 * s, 32);
        cv_commitment(mine[s].commitment, m->ctx, m->salt + 32 * s, root);
        cv_summing_sign(m, s, mine[s].sig, "covey commitment signature v1",
                        mine[s].commitment, 32);
    }
    cv_gather_messages_all(&run->fed, all, mine, sizeof *mine);
    const uint8_t **at = CV_NEW(m->at->n, const uint8_t *);
    for (int k = 0; k < m->at->n; k++) {
        int i = m->at->member[k];
        memcpy(m->commitment + 32 * i, all[i].commitment, 32);
        at[k] = m->commitment + 32 * i;
        if (!rc)
            rc = cv_summing_verify(m, i, all[i].sig,
                                   "covey commitment signature v1",
                                   all[i].commitment, 32, "commitment", err);
    }
    cv_commitments_digest(m->all_commitments, m->ctx, at, (size_t)m->at->n);
    free(at);
    free(mine);
    free(all);
    return rc;
}

static int echo(cv_summing *m, cv_err *err)
{
    cv_run *run = m->run;
    uint8_t *mine = CV_NEW(32 * (size_t)run->fed.n_hosted, uint8_t);
    uint8_t *all = CV_NEW(32 * (size_t)run->fed.n_silos, uint8_t);
    int rc = 0;
    for (int s = 0; s < run->fed.n_hosted; s++)
        memcpy(mine + 32 * s, m->all_commitments, 32);
    cv_gather_messages_all(&run->fed, all, mine, 32);
    for (int k = 0; k < m->at->n && !rc; k++)
        if (memcmp(all + 32 * m->at->member[k], m->all_commitments, 32) != 0)
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "round %lld, attempt %lld: silo %s was shown other "
                            "commitments than this rank; nothing was sent",
                            (long long)m->at->round, (long long)m->at->attempt,
                            cv_summing_name(m, m->at->member[k]));
    free(mine);
    free(all);
    return rc;
}

/* ---- 5. the sum -----------------------------------------------------------------
 */

static void add_words(const cv_secure *sec, void *acc, const void *x, size_t d)
{
    if (sec->wide)
        cv_f61_add_all(acc, x, d);
    else
        cv_f32_add_all(acc, x, d);
}

/* Pieces of the sum are hashed and looked at while they are in the cache. */
static void take_piece(void *ctx, size_t first, size_t n)
{
    cv_summing *m = ctx;
    const uint8_t *words =
        (const uint8_t *)m->sum + first * cv_summing_word(m->run->secure);
    m->canonical &= m->run->secure->wide
                        ? cv_f61_canonical((const uint64_t *)words, n)
                        : cv_f32_canonical((const uint32_t *)words, n);
    cv_commit_add(m->hash, words, n * cv_summing_word(m->run->secure));
}

static void scatter_words(cv_summing *m, const void *send)
{
    const cv_secure *sec = m->run->secure;
    void *part = cv_calloc(m->n_part + 1, cv_summing_word(sec));
    cv_scatter_words_all(m->run->fed.leaders, part, send, m->counts,
                         cv_summing_word(sec),
                         sec->wide ? cv_f61_sum : cv_f32_sum);
    memcpy(m->sum, part, m->n_part * cv_summing_word(sec));
    free(part);
    m->canonical = sec->wide ? cv_f61_canonical(m->sum, m->n_part)
                             : cv_f32_canonical(m->sum, m->n_part);
    m->hash = cv_commit_create();
    cv_commit_add(m->hash, m->sum, m->n_part * cv_summing_word(sec));
    cv_commit_root(m->hash, m->sum_digest);
    cv_commit_destroy(&m->hash);
}

static void sum_words(cv_summing *m)
{
    cv_run *run = m->run;
    const cv_secure *sec = run->secure;
    const void *send = NULL;
    int members = 0;
    for (int s = 0; s < run->fed.n_hosted; s++)
        if (cv_summing_is_member(m, s)) {
            members++;
            send = m->y[s];
        }
    if (members != 1) { /* what a rank sends is the sum of its silos; there is
                         * room for all words of it, even where a part comes
                         * back */
        memset(m->sum, 0, m->d * cv_summing_word(sec));
        for (int s = 0; s < run->fed.n_hosted; s++)
            if (cv_summing_is_member(m, s))
                add_words(sec, m->sum, m->y[s], m->d);
        send = m->sum;
    }
    if (m->counts) {
        scatter_words(m, send);
        return;
    }
    m->canonical = 1;
    m->hash = cv_commit_create();
    cv_sum_pieces_all(run->fed.leaders, m->sum, send, m->d,
                      cv_summing_word(sec), sec->wide ? cv_f61_sum : cv_f32_sum,
                      sec->masks ? take_piece : NULL, m);
    cv_commit_root(m->hash, m->sum_digest);
    cv_commit_destroy(&m->hash);
}

/* One digest for all parts of a scattered sum, in roster order: silos of one
 * leader have signed the same. */
static void digest_of_parts(cv_summing *m, const sum_msg *all)
{
    cv_part *part = CV_NEW(m->at->n, cv_part);
    for (int k = 0; k < m->at->n; k++)
        part[k] = (cv_part){all[m->at->member[k]].digest, 32};
    cv_tagged_hash(m->sum_digest, "covey sum parts v1", part, (size_t)m->at->n);
    free(part);
}

/* Every member signs the digest of the sum it holds; all must be the same. */
static int compare_sums(cv_summing *m, cv_err *err)
{
    cv_run *run = m->run;
    int rc = 0;
    sum_msg *mine = CV_NEW(run->fed.n_hosted, sum_msg);
    sum_msg *all = CV_NEW(run->fed.n_silos, sum_msg);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        uint8_t both[64];
        if (!cv_summing_is_member(m, s))
            continue;
        memcpy(mine[s].digest, m->sum_digest, 32);
        memcpy(both, m->all_commitments, 32);
        memcpy(both + 32, m->sum_digest, 32);
        cv_summing_sign(m, s, mine[s].sig, "covey sum v1", both, 64);
    }
    cv_gather_messages_all(&run->fed, all, mine, sizeof *mine);
    for (int k = 0; k < m->at->n && !rc; k++) {
        int i = m->at->member[k];
        uint8_t both[64];
        memcpy(both, m->all_commitments, 32);
        memcpy(both + 32, all[i].digest, 32);
        rc = cv_summing_verify(m, i, all[i].sig, "covey sum v1", both, 64,
                               "signature of the sum", err);
        if (!rc && !m->counts && memcmp(all[i].digest, m->sum_digest, 32) != 0)
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "round %lld, attempt %lld: silos %s and %s "
                            "received different sums; the network or the MPI "
                            "library changed one of them",
                            (long long)m->at->round, (long long)m->at->attempt,
                            run->hosted[0].name, cv_summing_name(m, i));
    }
    if (!rc && !m->canonical)
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "round %lld, attempt %lld: the sum holds words outside "
                        "the field",
                        (long long)m->at->round, (long long)m->at->attempt);
    if (m->counts) /* from here on that of all parts */
        digest_of_parts(m, all);
    free(mine);
    free(all);
    return rc;
}

/* ---- all of it ---------------------------------------------------------------------
 */

static int sum_on_leader(cv_summing *m, cv_err *err)
{
    MPI_Comm leaders = m->run->fed.leaders;
    cv_step_context(m->ctx, m->at->proof.roster, m->at->step, m->d);
    int rc = cv_agree_all(leaders, commit(m, err), err);
    if (!rc)
        rc = cv_agree_all(leaders, echo(m, err), err);
    if (rc)
        return rc; /* nothing masked has been sent */
    sum_words(m);
    rc = cv_agree_all(leaders, compare_sums(m, err), err);
    if (rc)
        return rc;
    rc = cv_summing_check(m, err);
    /* Names come from the openings, unless a signature failed already. */
    int any[2] = {rc<0, rc> 0};
    if (rc > 0)
        cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                   "round %lld, attempt %lld: the sum is not that of the "
                   "committed vectors",
                   (long long)m->at->round, (long long)m->at->attempt);
    cv_vote_all(leaders, any, 2, err);
    if (any[0]) {
        rc = cv_agree_all(leaders, rc < 0 ? rc : 0, err);
        return rc ? rc
                  : cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                               "round %lld, attempt %lld: a rank said that "
                               "the check of the sum failed, and no rank why",
                               (long long)m->at->round,
                               (long long)m->at->attempt);
    }
    if (any[1] && m->counts)
        return cv_agree_all(
            leaders,
            cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                       "round %lld, attempt %lld: the parts of the sum are not "
                       "those of the committed vectors; a rank, the network or "
                       "the MPI library changed one of them",
                       (long long)m->at->round, (long long)m->at->attempt),
            err);
    if (any[1])
        return cv_open_all(m->run, m->at,
                           &(cv_openings){(const void *const *)m->y, m->salt,
                                          m->commitment, m->value, m->sum,
                                          m->functions, m->ctx, m->d},
                           err);
    cv_summing_note(m); /* every rank's own check was among those that held */
    return 0;
}

static int sum_all(cv_summing *m, cv_err *err)
{
    cv_run *run = m->run;
    int rc = 0;
    if (cv_fed_is_leader(&run->fed)) {
        if (run->secure->masks) {
            m->salt = CV_NEW(32 * (size_t)run->fed.n_hosted, uint8_t);
            m->commitment = CV_NEW(32 * (size_t)run->fed.n_silos, uint8_t);
            m->value =
                CV_NEW((size_t)run->fed.n_silos * CV_CHECK_MAX, uint64_t);
            rc = sum_on_leader(m, err);
            cv_wipe(m->salt, 32 * (size_t)run->fed.n_hosted);
            free(m->salt);
            free(m->commitment);
            free(m->value);
            cv_lincheck_destroy(&m->functions);
        } else {
            sum_words(m);
        }
        m->at->step++;
    }
    /* The other ranks of shared silos wait for the outcome. */
    return run->fed.size > run->fed.n_leaders
               ? cv_agree_all(run->fed.world, rc, err)
               : rc;
}

int cv_secure_sum_all(cv_run *run, cv_attempt *at, void *const *y, size_t d,
                      void *sum, cv_err *err)
{
    cv_summing m = {.run = run, .at = at, .y = y, .sum = sum, .d = d};
    return sum_all(&m, err);
}

int cv_secure_scatter_all(cv_run *run, cv_attempt *at, void *const *y, size_t d,
                          const int *counts, void *part, size_t *n_part,
                          cv_err *err)
{
    cv_summing m = {
        .run = run, .at = at, .y = y, .sum = part, .d = d, .counts = counts};
    if (cv_fed_is_leader(&run->fed)) {
        int me, total = 0;
        MPI_Comm_rank(run->fed.leaders, &me);
        for (int r = 0; r < run->fed.n_leaders; r++) {
            m.first += r < me ? (size_t)counts[r] : 0;
            total += counts[r];
        }
        CV_CHECK((size_t)total == d);
        *n_part = m.n_part = (size_t)counts[me];
    }
    return sum_all(&m, err);
}

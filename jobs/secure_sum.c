/* One masked sum, and the proof that it is the sum of what was committed to:
 * PROTOCOL, "One attempt of a round", steps 3 to 6. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/hkdf.h"
#include "core/mem.h"
#include "core/secret.h"
#include "core/tagged.h"
#include "jobs/secure.h"
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

typedef struct {
    uint8_t value[CV_CHECK_MAX][8], sig[CV_SIG_BYTES];
} check_msg;

/* One sum in the making, on a leader. */
typedef struct {
    cv_run *run;
    cv_attempt *at;
    void *const *y; /* (n_hosted) */
    void *sum;
    size_t d;
    cv_commit *hash;             /* of the sum, piece by piece */
    int canonical;               /* 1: all its words are below p */
    uint8_t ctx[32];             /* of this step */
    uint8_t *salt;               /* (n_hosted, 32) */
    uint8_t *commitment;         /* (n_silos, 32) */
    uint8_t all_commitments[32]; /* digest of them */
    uint8_t sum_digest[32], challenge[32];
    uint64_t *value;              /* (n_silos, CV_CHECK_MAX) f_k(y_i) */
    uint64_t total[CV_CHECK_MAX]; /* f_k(S) */
    cv_lincheck *functions;
} summing;

static size_t word_size(const cv_secure *sec)
{
    return sec->wide ? sizeof(uint64_t) : sizeof(uint32_t);
}

static int is_member(const summing *m, int s)
{
    return cv_attempt_has(m->at, m->run->hosted[s].index);
}

static const char *name_of(const summing *m, int silo)
{
    return m->run->job->silos[silo].name;
}

/* ---- 3. masks ---------------------------------------------------------------
 */

/* The key of a pair for this step, from what both can derive. */
static void mask_key(const summing *m, const cv_pairs *pairs, int k,
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
static void mask_and_hash(summing *m, int s, uint8_t root[32])
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
    cv_commit_add(c, words, d * word_size(sec));
    cv_commit_root(c, root);
    cv_commit_destroy(&c);
}

void cv_commitment(uint8_t out[32], const uint8_t step_ctx[32],
                   const uint8_t salt[32], const uint8_t root[32])
{
    cv_part part[] = {{step_ctx, 32}, {salt, 32}, {root, 32}};
    cv_tagged_hash(out, "covey commitment v1", part, 3);
}

static void sign(const summing *m, int s, uint8_t out[CV_SIG_BYTES],
                 const char *tag, const void *data, size_t n)
{
    uint8_t digest[32];
    cv_sig sig;
    cv_part part[] = {{m->ctx, 32}, {data, n}};
    cv_tagged_hash(digest, tag, part, 2);
    cv_seckey_sign(m->run->secure->party[s].key, &sig, digest);
    memcpy(out, sig.b, sizeof sig.b);
}

static int verify(const summing *m, int silo, const uint8_t sig[CV_SIG_BYTES],
                  const char *tag, const void *data, size_t n, const char *what,
                  cv_err *err)
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
                      name_of(m, silo));
    return rc;
}

/* Signed commitments of all, in roster order; and that all have seen the same
 * ones, before anything masked is sent. */
static int commit(summing *m, cv_err *err)
{
    cv_run *run = m->run;
    int n = run->fed.n_silos, rc = 0;
    commit_msg *mine = CV_NEW(run->fed.n_hosted, commit_msg);
    commit_msg *all = CV_NEW(n, commit_msg);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        if (!is_member(m, s))
            continue;
        uint8_t root[32];
        mask_and_hash(m, s, root);
        cv_entropy(m->salt + 32 * s, 32);
        cv_commitment(mine[s].commitment, m->ctx, m->salt + 32 * s, root);
        sign(m, s, mine[s].sig, "covey commitment signature v1",
             mine[s].commitment, 32);
    }
    cv_gather_messages_all(&run->fed, all, mine, sizeof *mine);
    const uint8_t **at = CV_NEW(m->at->n, const uint8_t *);
    for (int k = 0; k < m->at->n; k++) {
        int i = m->at->member[k];
        memcpy(m->commitment + 32 * i, all[i].commitment, 32);
        at[k] = m->commitment + 32 * i;
        if (!rc)
            rc = verify(m, i, all[i].sig, "covey commitment signature v1",
                        all[i].commitment, 32, "commitment", err);
    }
    cv_commitments_digest(m->all_commitments, m->ctx, at, (size_t)m->at->n);
    free(at);
    free(mine);
    free(all);
    return rc;
}

static int echo(summing *m, cv_err *err)
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
                            name_of(m, m->at->member[k]));
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
    summing *m = ctx;
    const uint8_t *words =
        (const uint8_t *)m->sum + first * word_size(m->run->secure);
    m->canonical &= m->run->secure->wide
                        ? cv_f61_canonical((const uint64_t *)words, n)
                        : cv_f32_canonical((const uint32_t *)words, n);
    cv_commit_add(m->hash, words, n * word_size(m->run->secure));
}

static void sum_words(summing *m)
{
    cv_run *run = m->run;
    const cv_secure *sec = run->secure;
    const void *send = NULL;
    int members = 0;
    for (int s = 0; s < run->fed.n_hosted; s++)
        if (is_member(m, s)) {
            members++;
            send = m->y[s];
        }
    if (members != 1) { /* what a rank sends is the sum of its silos */
        memset(m->sum, 0, m->d * word_size(sec));
        for (int s = 0; s < run->fed.n_hosted; s++)
            if (is_member(m, s))
                add_words(sec, m->sum, m->y[s], m->d);
        send = m->sum;
    }
    m->canonical = 1;
    m->hash = cv_commit_create();
    cv_sum_pieces_all(run->fed.leaders, m->sum, send, m->d, word_size(sec),
                      sec->wide ? cv_f61_sum : cv_f32_sum,
                      sec->masks ? take_piece : NULL, m);
    cv_commit_root(m->hash, m->sum_digest);
    cv_commit_destroy(&m->hash);
}

/* Every member signs the digest of the sum it holds; all must be the same. */
static int compare_sums(summing *m, cv_err *err)
{
    cv_run *run = m->run;
    int rc = 0;
    sum_msg *mine = CV_NEW(run->fed.n_hosted, sum_msg);
    sum_msg *all = CV_NEW(run->fed.n_silos, sum_msg);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        uint8_t both[64];
        if (!is_member(m, s))
            continue;
        memcpy(mine[s].digest, m->sum_digest, 32);
        memcpy(both, m->all_commitments, 32);
        memcpy(both + 32, m->sum_digest, 32);
        sign(m, s, mine[s].sig, "covey sum v1", both, 64);
    }
    cv_gather_messages_all(&run->fed, all, mine, sizeof *mine);
    for (int k = 0; k < m->at->n && !rc; k++) {
        int i = m->at->member[k];
        uint8_t both[64];
        memcpy(both, m->all_commitments, 32);
        memcpy(both + 32, all[i].digest, 32);
        rc = verify(m, i, all[i].sig, "covey sum v1", both, 64,
                    "signature of the sum", err);
        if (!rc && memcmp(all[i].digest, m->sum_digest, 32) != 0)
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "round %lld, attempt %lld: silos %s and %s "
                            "received different sums; the network or the MPI "
                            "library changed one of them",
                            (long long)m->at->round, (long long)m->at->attempt,
                            run->hosted[0].name, name_of(m, i));
    }
    if (!rc && !m->canonical)
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "round %lld, attempt %lld: the sum holds words outside "
                        "the field",
                        (long long)m->at->round, (long long)m->at->attempt);
    free(mine);
    free(all);
    return rc;
}

/* ---- 6. the check -----------------------------------------------------------------
 */

static void evaluate(const summing *m, uint64_t f[CV_CHECK_MAX], const void *x)
{
    memset(f, 0, CV_CHECK_MAX * sizeof *f);
    if (m->run->secure->wide)
        cv_lincheck_u64(m->functions, f, x);
    else
        cv_lincheck_u32(m->functions, f, x);
}

static void draw_challenge(summing *m)
{
    cv_challenge(m->challenge, m->ctx, m->all_commitments, m->sum_digest);
    m->functions = cv_lincheck_create(m->challenge, m->d, m->run->secure->wide);
}

static void sign_values(const summing *m, int s, check_msg *out)
{
    uint64_t f[CV_CHECK_MAX];
    evaluate(m, f, m->y[s]);
    for (int k = 0; k < CV_CHECK_MAX; k++)
        cv_put_le64(out->value[k], f[k]);
    uint8_t both[32 + sizeof out->value];
    memcpy(both, m->challenge, 32);
    memcpy(both + 32, out->value, sizeof out->value);
    sign(m, s, out->sig, "covey check v1", both, sizeof both);
}

/* 0, an error, or 1: the values do not add up. */
static int check_sum(summing *m, cv_err *err)
{
    cv_run *run = m->run;
    int n = run->fed.n_silos, rc = 0;
    int wide = run->secure->wide, used = wide ? CV_CHECK_WIDE : CV_CHECK_NARROW;
    check_msg *mine = CV_NEW(run->fed.n_hosted, check_msg);
    check_msg *all = CV_NEW(n, check_msg);
    uint64_t *said = CV_NEW((size_t)m->at->n * CV_CHECK_MAX, uint64_t);
    draw_challenge(m);
    for (int s = 0; s < run->fed.n_hosted; s++)
        if (is_member(m, s))
            sign_values(m, s, &mine[s]);
    evaluate(m, m->total, m->sum);
    cv_gather_messages_all(&run->fed, all, mine, sizeof *mine);
    for (int k = 0; k < m->at->n; k++) {
        int i = m->at->member[k];
        uint8_t both[32 + sizeof mine->value];
        memcpy(both, m->challenge, 32);
        memcpy(both + 32, all[i].value, sizeof all[i].value);
        if (!rc)
            rc = verify(m, i, all[i].sig, "covey check v1", both, sizeof both,
                        "check value", err);
        for (int j = 0; j < CV_CHECK_MAX; j++)
            m->value[i * CV_CHECK_MAX + j] = cv_get_le64(all[i].value[j]);
        for (int j = 0; j < used; j++)
            said[k * used + j] = m->value[i * CV_CHECK_MAX + j];
    }
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
static void note_transcript(summing *m)
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

/* ---- all of it ---------------------------------------------------------------------
 */

static int sum_on_leader(summing *m, cv_err *err)
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
    rc = check_sum(m, err);
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
    if (any[1])
        return cv_open_all(m->run, m->at,
                           &(cv_openings){(const void *const *)m->y, m->salt,
                                          m->commitment, m->value, m->sum,
                                          m->functions, m->ctx, m->d},
                           err);
    note_transcript(m); /* every rank's own check was among those that held */
    return 0;
}

int cv_secure_sum_all(cv_run *run, cv_attempt *at, void *const *y, size_t d,
                      void *sum, cv_err *err)
{
    int rc = 0;
    if (cv_fed_is_leader(&run->fed)) {
        summing m = {.run = run, .at = at, .y = y, .sum = sum, .d = d};
        if (run->secure->masks) {
            m.salt = CV_NEW(32 * (size_t)run->fed.n_hosted, uint8_t);
            m.commitment = CV_NEW(32 * (size_t)run->fed.n_silos, uint8_t);
            m.value = CV_NEW((size_t)run->fed.n_silos * CV_CHECK_MAX, uint64_t);
            rc = sum_on_leader(&m, err);
            cv_wipe(m.salt, 32 * (size_t)run->fed.n_hosted);
            free(m.salt);
            free(m.commitment);
            free(m.value);
            cv_lincheck_destroy(&m.functions);
        } else {
            sum_words(&m);
        }
        at->step++;
    }
    /* The other ranks of shared silos wait for the outcome. */
    return run->fed.size > run->fed.n_leaders
               ? cv_agree_all(run->fed.world, rc, err)
               : rc;
}

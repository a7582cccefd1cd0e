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

/* part: of the leader's own part of the sum, where it is scattered. */
typedef struct {
    uint8_t value[CV_CHECK_MAX][8], part[CV_CHECK_MAX][8], sig[CV_SIG_BYTES];
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
    const int *counts; /* (n_leaders) of a sum that is scattered, else NULL */
    size_t first, n_part; /* this leader's words of it, in sum */
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

static void scatter_words(summing *m, const void *send)
{
    const cv_secure *sec = m->run->secure;
    void *part = cv_calloc(m->n_part + 1, word_size(sec));
    cv_scatter_words_all(m->run->fed.leaders, part, send, m->counts,
                         word_size(sec), sec->wide ? cv_f61_sum : cv_f32_sum);
    memcpy(m->sum, part, m->n_part * word_size(sec));
    free(part);
    m->canonical = sec->wide ? cv_f61_canonical(m->sum, m->n_part)
                             : cv_f32_canonical(m->sum, m->n_part);
    m->hash = cv_commit_create();
    cv_commit_add(m->hash, m->sum, m->n_part * word_size(sec));
    cv_commit_root(m->hash, m->sum_digest);
    cv_commit_destroy(&m->hash);
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
    if (members != 1) { /* what a rank sends is the sum of its silos; there is
                         * room for all words of it, even where a part comes
                         * back */
        memset(m->sum, 0, m->d * word_size(sec));
        for (int s = 0; s < run->fed.n_hosted; s++)
            if (is_member(m, s))
                add_words(sec, m->sum, m->y[s], m->d);
        send = m->sum;
    }
    if (m->counts) {
        scatter_words(m, send);
        return;
    }
    m->canonical = 1;
    m->hash = cv_commit_create();
    cv_sum_pieces_all(run->fed.leaders, m->sum, send, m->d, word_size(sec),
                      sec->wide ? cv_f61_sum : cv_f32_sum,
                      sec->masks ? take_piece : NULL, m);
    cv_commit_root(m->hash, m->sum_digest);
    cv_commit_destroy(&m->hash);
}

/* One digest for all parts of a scattered sum, in roster order: silos of one
 * leader have signed the same. */
static void digest_of_parts(summing *m, const sum_msg *all)
{
    cv_part *part = CV_NEW(m->at->n, cv_part);
    for (int k = 0; k < m->at->n; k++)
        part[k] = (cv_part){all[m->at->member[k]].digest, 32};
    cv_tagged_hash(m->sum_digest, "covey sum parts v1", part, (size_t)m->at->n);
    free(part);
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
        if (!rc && !m->counts && memcmp(all[i].digest, m->sum_digest, 32) != 0)
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
    if (m->counts) /* from here on that of all parts */
        digest_of_parts(m, all);
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

/* What is signed: the challenge, the silo's values, and those of its leader's
 * part of the sum (of a sum that all hold: zeros). */
enum { CHECK_SIGNED = 32 + 2 * CV_CHECK_MAX * 8 };

static void check_text(const summing *m, const check_msg *msg,
                       uint8_t out[CHECK_SIGNED])
{
    memcpy(out, m->challenge, 32);
    memcpy(out + 32, msg->value, sizeof msg->value);
    memcpy(out + 32 + sizeof msg->value, msg->part, sizeof msg->part);
}

static void sign_values(const summing *m, int s, check_msg *out)
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
    sign(m, s, out->sig, "covey check v2", text, sizeof text);
}

/* The functions of this leader's part: of a vector that is zero elsewhere. */
static void evaluate_part(summing *m)
{
    size_t size = word_size(m->run->secure);
    char *whole = cv_calloc(m->d, size);
    memcpy(whole + m->first * size, m->sum, m->n_part * size);
    evaluate(m, m->total, whole);
    free(whole);
}

/* The functions of the sum, from those of its parts: the first member that a
 * leader hosts speaks for it, and its others must say the same. */
static int add_parts(summing *m, const check_msg *all, cv_err *err)
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
                                  (long long)m->at->attempt, name_of(m, i));
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
static int check_sum(summing *m, cv_err *err)
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
        if (is_member(m, s))
            sign_values(m, s, &mine[s]);
    cv_gather_messages_all(&run->fed, all, mine, sizeof *mine);
    for (int k = 0; k < m->at->n; k++) {
        int i = m->at->member[k];
        uint8_t text[CHECK_SIGNED];
        check_text(m, &all[i], text);
        if (!rc)
            rc = verify(m, i, all[i].sig, "covey check v2", text, sizeof text,
                        "check value", err);
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
    note_transcript(m); /* every rank's own check was among those that held */
    return 0;
}

static int sum_all(summing *m, cv_err *err)
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
    summing m = {.run = run, .at = at, .y = y, .sum = sum, .d = d};
    return sum_all(&m, err);
}

int cv_secure_scatter_all(cv_run *run, cv_attempt *at, void *const *y, size_t d,
                          const int *counts, void *part, size_t *n_part,
                          cv_err *err)
{
    summing m = {
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

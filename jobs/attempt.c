/* Who takes part, under which keys: PROTOCOL, "One attempt of a round", steps 1
 * and 2, and "Attempts, crashes, replays". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/binding.h"
#include "core/bytes.h"
#include "core/hkdf.h"
#include "core/mem.h"
#include "core/secret.h"
#include "core/tagged.h"
#include "jobs/secure.h"
#include "jobs/site.h"
#include "mpi/agree.h"
#include "mpi/messages.h"
#include "mpi/reduce.h"
#include "privacy/mask_graph.h"

/* What a silo says when it joins, on the wire. The fields are bytes, so that
 * there is no padding and no order of bytes to agree on. */
typedef struct {
    uint8_t status, has_last;
    uint8_t ephemeral[CV_PUBKEY_BYTES];
    uint8_t nonce_commitment[32];
    uint8_t last_attempt[8]; /* of this round, in the silo's journal */
    uint8_t last_round[8];   /* newest round in the journal */
    uint8_t draw[8], members[32], model[32]; /* of that last attempt */
    uint8_t sig[CV_SIG_BYTES];
} join_msg;

typedef struct {
    uint8_t nonce[32];
    uint8_t sig[CV_SIG_BYTES];
} roster_msg;

enum { ATTEMPT_MAX = 1 << 30 }; /* a larger one is nobody's honest count */

/* Everything of an attempt in the making. */
typedef struct {
    cv_run *run;
    cv_attempt *at;
    cv_seckey **ephemeral; /* (n_hosted) */
    uint8_t *nonce;        /* (n_hosted, 32) */
    join_msg *mine, *all;  /* (n_hosted), (n_silos) */
    roster_msg *signed_;   /* (n_silos) */
} joining;

static const char *name_of(const cv_run *run, int silo)
{
    return run->job->silos[silo].name;
}

/* ---- 1. join ----------------------------------------------------------------
 */

static void join_context(const cv_run *run, uint8_t out[32], int64_t round,
                         int silo, const join_msg *m)
{
    uint8_t r[8], i[8];
    cv_put_le64(r, (uint64_t)round);
    cv_put_le64(i, (uint64_t)silo);
    uint8_t flags[2] = {m->status, m->has_last};
    cv_part part[] = {{run->run_id, 32},
                      {run->job->digest, 32},
                      {run->secure->head, 32},
                      {run->secure->model, 32},
                      {r, 8},
                      {i, 8},
                      {flags, 2},
                      {m->nonce_commitment, 32},
                      {m->last_attempt, 8},
                      {m->last_round, 8},
                      {m->draw, 8},
                      {m->members, 32},
                      {m->model, 32}};
    cv_tagged_hash(out, "covey join v1", part, sizeof part / sizeof *part);
}

static void commit_nonce(uint8_t out[32], const uint8_t nonce[32])
{
    cv_part part[] = {{nonce, 32}};
    cv_tagged_hash(out, "covey mask graph nonce v1", part, 1);
}

static cv_journal *journal_of(const cv_run *run, int s)
{
    const cv_secure *sec = run->secure;
    if (!run->job->simulate.enabled)
        return sec->party[s].journal;
    return s == 0 ? sec->journal : NULL; /* NULL but at the root */
}

/* Last attempt at this very round; 0 is the preparation. */
static const cv_journal_entry *last_of(const cv_journal *j,
                                       const uint8_t run_id[32], int64_t round)
{
    size_t n = 0;
    const cv_journal_entry *e = j ? cv_journal_entries(j, &n) : NULL;
    while (n-- > 0)
        if (e[n].kind == CV_JOURNAL_ATTEMPT && e[n].round == round &&
            memcmp(e[n].run_id, run_id, 32) == 0)
            return &e[n];
    return NULL;
}

static void write_join(joining *j, int s, int64_t round, int status)
{
    cv_run *run = j->run;
    join_msg *m = &j->mine[s];
    cv_pubkey pub;
    cv_sig sig;
    uint8_t ctx[32];
    int silo = run->hosted[s].index;
    cv_seckey_generate(&j->ephemeral[s]);
    cv_seckey_pubkey(j->ephemeral[s], &pub);
    cv_entropy(j->nonce + 32 * s, 32);
    m->status = (uint8_t)status;
    memcpy(m->ephemeral, pub.b, sizeof m->ephemeral);
    commit_nonce(m->nonce_commitment, j->nonce + 32 * s);
    const cv_journal *journal = journal_of(run, s);
    const cv_journal_entry *last =
        journal ? cv_journal_last(journal, run->run_id, 0) : NULL;
    cv_put_le64(m->last_round, last ? (uint64_t)last->round : 0);
    last = last_of(journal, run->run_id, round);
    if (last) {
        m->has_last = 1;
        cv_put_le64(m->last_attempt, (uint64_t)last->attempt);
        cv_put_le64(m->draw, (uint64_t)last->draw);
        memcpy(m->members, last->members, 32);
        memcpy(m->model, last->model, 32);
    }
    join_context(run, ctx, round, silo, m);
    cv_binding_sign(run->secure->party[s].key, &sig, CV_USE_AGREEMENT, &pub,
                    ctx, sizeof ctx);
    memcpy(m->sig, sig.b, sizeof m->sig);
}

/* Is it what the silo's identity signed, for this run, round and place? */
static int check_join(const joining *j, int64_t round, int silo, cv_err *err)
{
    const cv_run *run = j->run;
    const join_msg *m = &j->all[silo];
    cv_pubkey pub;
    cv_sig sig;
    uint8_t ctx[32];
    int rc = cv_pubkey_from_bytes(&pub, m->ephemeral, sizeof m->ephemeral, err);
    if (rc) {
        cv_err_prefix(err, "key message of silo %s", name_of(run, silo));
        err->code = CV_ERR_VERIFY;
        return CV_ERR_VERIFY;
    }
    memcpy(sig.b, m->sig, sizeof m->sig);
    join_context(run, ctx, round, silo, m);
    rc = cv_binding_verify(&sig, &run->secure->identity[silo], CV_USE_AGREEMENT,
                           &pub, ctx, sizeof ctx, err);
    if (!rc && (m->status > CV_SILO_FEW_ROWS ||
                cv_get_le64(m->last_attempt) > ATTEMPT_MAX ||
                cv_get_le64(m->draw) > ATTEMPT_MAX ||
                cv_get_le64(m->last_round) > INT32_MAX))
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "numbers that no honest silo sends");
    if (rc)
        cv_err_prefix(err,
                      "round %lld: the key message of silo %s does not hold "
                      "(tampered with, of another run, round or model, or "
                      "signed by a key that is not the job's)",
                      (long long)round, name_of(run, silo));
    return rc;
}

/* What arrived under the names of our own silos must be what we sent: an old
 * message of theirs, sent again, would hold as well. */
static int check_own(const joining *j, cv_err *err)
{
    for (int s = 0; s < j->run->fed.n_hosted; s++) {
        int silo = j->run->hosted[s].index;
        if (memcmp(&j->all[silo], &j->mine[s], sizeof *j->mine) != 0)
            return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                              "the key message of silo %s was replaced on its "
                              "way (an older one sent again?)",
                              name_of(j->run, silo));
    }
    return 0;
}

/* Keys of two silos that are the same would mask nothing. */
static int check_twice(const joining *j, cv_err *err)
{
    int n = j->run->fed.n_silos;
    for (int a = 0; a < n && n <= CV_MASK_GRAPH_COMPLETE; a++)
        for (int b = 0; b < a; b++)
            if (memcmp(j->all[a].ephemeral, j->all[b].ephemeral,
                       CV_PUBKEY_BYTES) == 0)
                return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                                  "silos %s and %s sent the same key",
                                  name_of(j->run, b), name_of(j->run, a));
    return 0;
}

static int join(joining *j, int64_t round, const int32_t *status, cv_err *err)
{
    cv_run *run = j->run;
    int rc = 0;
    for (int s = 0; s < run->fed.n_hosted; s++)
        write_join(j, s, round, status[run->hosted[s].index]);
    cv_gather_messages_all(&run->fed, j->all, j->mine, sizeof *j->mine);
    for (int i = 0; i < run->fed.n_silos && !rc; i++)
        rc = check_join(j, round, i, err);
    if (!rc)
        rc = check_own(j, err);
    if (!rc)
        rc = check_twice(j, err);
    return rc;
}

/* ---- who is in ----------------------------------------------------------------
 */

static int larger_first(const void *a, const void *b)
{
    return *(const int *)b - *(const int *)a;
}

/* Members less those of the t largest operators. */
static int count_honest(const cv_run *run, const cv_attempt *at)
{
    const cv_secure *sec = run->secure;
    int *size = CV_NEW(run->fed.n_silos, int), honest = at->n;
    for (int k = 0; k < at->n; k++)
        size[sec->operator_of[at->member[k]]]++;
    qsort(size, (size_t)run->fed.n_silos, sizeof *size, larger_first);
    for (int k = 0; k < sec->collusion && k < run->fed.n_silos; k++)
        honest -= size[k];
    free(size);
    return honest;
}

static int check_members(const cv_run *run, const cv_attempt *at, cv_err *err)
{
    int t = run->secure->collusion;
    if (at->n < run->job->training.min_silos)
        return cv_err_set(err, CV_ERR_SILOS, NULL, 0,
                          "round %lld: expected at least %d silos, %d were "
                          "ready",
                          (long long)at->round, run->job->training.min_silos,
                          at->n);
    if (at->n < t + 2)
        return cv_err_set(err, CV_ERR_SILOS, NULL, 0,
                          "round %lld: a masked sum needs at least %d silos "
                          "(secure_aggregation.collusion %d, and 2), %d were "
                          "ready",
                          (long long)at->round, t + 2, t, at->n);
    if (at->honest < 2)
        return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                          "round %lld: silos of one process count as one "
                          "operator; if %d operator%s colluded, %d of %d silos "
                          "would be left, and 2 are needed; give each site a "
                          "rank of its own",
                          (long long)at->round, t, t == 1 ? "" : "s",
                          at->honest > 0 ? at->honest : 0, at->n);
    return 0;
}

/* The attempt's number and its members follow from what all have said. */
static void count_members(joining *j, int32_t *status)
{
    const cv_run *run = j->run;
    cv_attempt *at = j->at;
    int n = run->fed.n_silos;
    at->member = CV_NEW(n, int);
    for (int i = 0; i < n; i++) {
        int64_t last = (int64_t)cv_get_le64(j->all[i].last_attempt);
        int64_t newest = (int64_t)cv_get_le64(j->all[i].last_round);
        status[i] = j->all[i].status;
        at->attempt = last > at->attempt ? last : at->attempt;
        at->last_round = newest > at->last_round ? newest : at->last_round;
        if (status[i] == CV_SILO_READY)
            at->member[at->n++] = i;
    }
    at->draw = ++at->attempt;
    cv_part *part = CV_NEW(at->n + 1, cv_part);
    for (int k = 0; k < at->n; k++)
        part[k] =
            (cv_part){run->secure->identity[at->member[k]].b, CV_PUBKEY_BYTES};
    cv_tagged_hash(at->members, "covey members v1", part, (size_t)at->n);
    free(part);
    at->honest = count_honest(run, at);
}

/* Did all members that keep a journal spend the same attempt last? */
static int same_last(const joining *j, const join_msg **last)
{
    *last = NULL;
    for (int k = 0; k < j->at->n; k++) {
        const join_msg *m = &j->all[j->at->member[k]];
        if (!m->has_last && j->run->job->simulate.enabled)
            continue; /* the root's journal stands for all */
        if (!m->has_last)
            return 0;
        if (!*last)
            *last = m;
        if (memcmp((*last)->last_attempt, m->last_attempt, 8) ||
            memcmp((*last)->draw, m->draw, 8) ||
            memcmp((*last)->members, m->members, 32) ||
            memcmp((*last)->model, m->model, 32))
            return 0;
    }
    return *last != NULL;
}

/* A round that was spent before: with privacy the same noise may be used again
 * by the same members from the same model; without, another roster would show
 * the difference of two sums, so the roster must stay. */
static int follow_last(joining *j, int replay, cv_err *err)
{
    cv_attempt *at = j->at;
    const join_msg *last;
    int same =
        same_last(j, &last) && memcmp(last->members, at->members, 32) == 0;
    if (replay && same && memcmp(last->model, j->run->secure->model, 32) == 0)
        at->draw = (int64_t)cv_get_le64(last->draw);
    if (j->run->job->privacy.enabled)
        return 0;
    for (int k = 0; k < at->n; k++) {
        const join_msg *m = &j->all[at->member[k]];
        if (m->has_last && memcmp(m->members, at->members, 32) != 0)
            return cv_err_set(
                err, CV_REQUEUE, NULL, 0,
                "round %lld was summed before over other silos; without "
                "privacy noise the difference of two sums would show single "
                "silos. Run again with --resume when the same silos are ready",
                (long long)at->round);
    }
    return 0;
}

/* ---- 2. roster ----------------------------------------------------------------
 */

static void roster_digest(joining *j)
{
    const cv_run *run = j->run;
    cv_attempt *at = j->at;
    uint8_t number[4][8];
    cv_put_le64(number[0], (uint64_t)at->round);
    cv_put_le64(number[1], (uint64_t)at->attempt);
    cv_put_le64(number[2], (uint64_t)at->draw);
    cv_put_le64(number[3], run->secure->wide ? 61 : 32);
    cv_part *part = CV_NEW(9 + 2 * (size_t)at->n, cv_part);
    size_t n = 0;
    part[n++] = (cv_part){run->run_id, 32};
    part[n++] = (cv_part){run->job->digest, 32};
    part[n++] = (cv_part){run->secure->head, 32};
    part[n++] = (cv_part){run->secure->model, 32};
    part[n++] = (cv_part){at->members, 32};
    for (int k = 0; k < 4; k++)
        part[n++] = (cv_part){number[k], 8};
    for (int k = 0; k < at->n; k++) {
        const join_msg *m = &j->all[at->member[k]];
        part[n++] = (cv_part){m->ephemeral, CV_PUBKEY_BYTES};
        part[n++] = (cv_part){m->nonce_commitment, 32};
    }
    cv_tagged_hash(at->roster, "covey roster v1", part, n);
    free(part);
}

static void roster_signing(const cv_attempt *at, uint8_t out[32],
                           const uint8_t nonce[32])
{
    cv_part part[] = {{at->roster, 32}, {nonce, 32}};
    cv_tagged_hash(out, "covey roster signature v1", part, 2);
}

static int sign_roster(joining *j, cv_err *err)
{
    cv_run *run = j->run;
    cv_attempt *at = j->at;
    roster_msg *mine = CV_NEW(run->fed.n_hosted, roster_msg);
    uint8_t digest[32], check[32];
    cv_sig sig;
    int rc = 0;
    for (int s = 0; s < run->fed.n_hosted; s++) {
        if (!cv_attempt_has(at, run->hosted[s].index))
            continue;
        memcpy(mine[s].nonce, j->nonce + 32 * s, 32);
        roster_signing(at, digest, mine[s].nonce);
        cv_seckey_sign(run->secure->party[s].key, &sig, digest);
        memcpy(mine[s].sig, sig.b, sizeof sig.b);
    }
    cv_gather_messages_all(&run->fed, j->signed_, mine, sizeof *mine);
    for (int k = 0; k < at->n && !rc; k++) {
        int i = at->member[k];
        const roster_msg *m = &j->signed_[i];
        commit_nonce(check, m->nonce);
        if (memcmp(check, j->all[i].nonce_commitment, 32) != 0)
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "silo %s revealed another nonce than it had "
                            "committed to",
                            name_of(run, i));
        memcpy(sig.b, m->sig, sizeof sig.b);
        roster_signing(at, digest, m->nonce);
        if (!rc)
            rc = cv_sig_verify(&sig, &run->secure->identity[i], digest, err);
        if (rc)
            cv_err_prefix(err,
                          "round %lld, attempt %lld: silo %s has not signed "
                          "the roster that this rank sees",
                          (long long)at->round, (long long)at->attempt,
                          name_of(run, i));
    }
    free(mine);
    return rc;
}

/* ---- pair keys ----------------------------------------------------------------
 */

static int slot_of(const cv_attempt *at, int silo)
{
    int lo = 0, hi = at->n;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (at->member[mid] < silo)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < at->n && at->member[lo] == silo ? lo : -1;
}

int cv_attempt_has(const cv_attempt *at, int silo)
{
    return slot_of(at, silo) >= 0;
}

static void graph_seed(const joining *j, uint8_t seed[32])
{
    const cv_attempt *at = j->at;
    cv_part *part = CV_NEW(at->n + 1, cv_part);
    part[0] = (cv_part){at->roster, 32};
    for (int k = 0; k < at->n; k++)
        part[k + 1] = (cv_part){j->signed_[at->member[k]].nonce, 32};
    cv_tagged_hash(seed, "covey mask graph v1", part, (size_t)at->n + 1);
    free(part);
}

static int agree_pairs(joining *j, int s, double p, const uint8_t seed[32],
                       cv_err *err)
{
    cv_run *run = j->run;
    cv_attempt *at = j->at;
    cv_pairs *pairs = &at->pairs[s];
    int slot = slot_of(at, run->hosted[s].index), rc = 0;
    if (slot < 0)
        return 0;
    pairs->peer = CV_NEW(at->n, int);
    pairs->n = cv_mask_graph_peers(pairs->peer, at->n, slot, p, seed);
    pairs->slot = slot;
    pairs->secret = cv_secret_alloc(32 * (size_t)(pairs->n ? pairs->n : 1));
    uint8_t *shared = cv_secret_alloc(32);
    for (int k = 0; k < pairs->n && !rc; k++) {
        cv_pubkey pub;
        memcpy(pub.b, j->all[at->member[pairs->peer[k]]].ephemeral,
               sizeof pub.b);
        rc = cv_seckey_agree(j->ephemeral[s], shared, &pub, err);
        cv_hkdf_extract(pairs->secret + 32 * k, shared, 32, at->roster, 32);
    }
    cv_secret_free(shared);
    return rc;
}

static int make_pairs(joining *j, cv_err *err)
{
    cv_attempt *at = j->at;
    uint8_t seed[32];
    int rc = 0;
    double p = cv_mask_graph_p(at->n, at->honest);
    graph_seed(j, seed);
    at->n_pairs = j->run->fed.n_hosted;
    at->pairs = CV_NEW(at->n_pairs, cv_pairs);
    for (int s = 0; s < j->run->fed.n_hosted && !rc; s++)
        rc = agree_pairs(j, s, p, seed, err);
    return rc;
}

/* ---- the whole ----------------------------------------------------------------
 */

static int begin_on_leader(joining *j, int64_t round, int32_t *status,
                           int replay, cv_err *err)
{
    cv_run *run = j->run;
    int rc = join(j, round, status, err);
    /* Whoever fails alone must not leave the others waiting in the next
     * gather. */
    rc = cv_agree_all(run->fed.leaders, rc, err);
    if (rc)
        return rc;
    count_members(j, status);
    rc = check_members(run, j->at, err);
    if (!rc)
        rc = follow_last(j, replay, err);
    if (rc)
        return rc; /* from what all have gathered: the same everywhere */
    roster_digest(j);
    rc = sign_roster(j, err);
    rc = cv_agree_all(run->fed.leaders, rc, err);
    return rc ? rc : make_pairs(j, err);
}

static void begin_unmasked(cv_run *run, cv_attempt *at, int32_t *status)
{
    int n = run->fed.n_silos;
    uint8_t *mine = CV_NEW(run->fed.n_hosted, uint8_t);
    uint8_t *all = CV_NEW(n, uint8_t);
    for (int s = 0; s < run->fed.n_hosted; s++)
        mine[s] = (uint8_t)status[run->hosted[s].index];
    cv_gather_messages_all(&run->fed, all, mine, 1);
    at->member = CV_NEW(n, int);
    for (int i = 0; i < n; i++) {
        status[i] = all[i];
        if (status[i] == CV_SILO_READY)
            at->member[at->n++] = i;
    }
    at->honest = at->n;
    free(mine);
    free(all);
}

/* The other ranks of a shared silo train with it. */
static void share_attempt_all(const cv_run *run, cv_attempt *at,
                              int32_t *status)
{
    int64_t v[5] = {at->attempt, at->draw, at->n, at->honest, at->last_round};
    size_t n = (size_t)run->fed.n_silos;
    cv_bcast_bytes_all(run->fed.silo, v, sizeof v, 0);
    if (!at->member)
        at->member = CV_NEW(n, int);
    at->attempt = v[0];
    at->draw = v[1];
    at->n = (int)v[2];
    at->honest = (int)v[3];
    at->last_round = v[4];
    cv_bcast_bytes_all(run->fed.silo, at->member, n * sizeof *at->member, 0);
    cv_bcast_bytes_all(run->fed.silo, status, n * sizeof *status, 0);
}

int cv_attempt_begin_all(cv_run *run, cv_attempt *at, int64_t round,
                         int32_t *status, int replay, cv_err *err)
{
    int hosted = run->fed.n_hosted, n = run->fed.n_silos, rc = 0;
    int leader = cv_fed_is_leader(&run->fed);
    *at = (cv_attempt){.round = round};
    if (leader && !run->secure->masks) {
        begin_unmasked(run, at, status);
        rc = at->n < run->job->training.min_silos || at->n < 1
                 ? cv_err_set(err, CV_ERR_SILOS, NULL, 0,
                              "round %lld: expected at least %d silos, %d were "
                              "ready",
                              (long long)round, run->job->training.min_silos,
                              at->n)
                 : 0;
    } else if (leader) {
        joining j = {.run = run,
                     .at = at,
                     .ephemeral = CV_NEW(hosted, cv_seckey *),
                     .nonce = CV_NEW(32 * (size_t)hosted, uint8_t),
                     .mine = CV_NEW(hosted, join_msg),
                     .all = CV_NEW(n, join_msg),
                     .signed_ = CV_NEW(n, roster_msg)};
        rc = begin_on_leader(&j, round, status, replay, err);
        for (int s = 0; s < hosted; s++)
            cv_seckey_destroy(&j.ephemeral[s]);
        free(j.ephemeral);
        free(j.nonce);
        free(j.mine);
        free(j.all);
        free(j.signed_);
    }
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc && run->fed.n_parts > 1)
        share_attempt_all(run, at, status);
    return rc;
}

/* ---- the journals -------------------------------------------------------------
 */

static void fill_entry(const cv_run *run, const cv_attempt *at,
                       const cv_party *p, cv_journal_entry *e)
{
    *e = (cv_journal_entry){.kind = CV_JOURNAL_ATTEMPT,
                            .round = at->round,
                            .attempt = at->attempt,
                            .draw = at->draw};
    memcpy(e->run_id, run->run_id, 32);
    memcpy(e->job_digest, run->job->digest, 32);
    memcpy(e->data, p->data, 32);
    memcpy(e->place, p->place, 32);
    memcpy(e->model, run->secure->model, 32);
    memcpy(e->members, at->members, 32);
}

/* Simulated: the digest of all silos' vectors, in their order. */
static void pool_vectors(const cv_run *run, const uint8_t *vectors,
                         uint8_t out[32])
{
    int n = run->fed.n_silos;
    uint8_t *all = CV_NEW(32 * (size_t)n, uint8_t);
    cv_gather_messages_all(&run->fed, all, vectors, 32);
    cv_part part[] = {{all, 32 * (size_t)n}};
    cv_tagged_hash(out, "covey simulated vectors v1", part, 1);
    free(all);
}

int cv_attempt_spend_all(cv_run *run, const cv_attempt *at,
                         const cv_journal_cost *cost, const uint8_t *vectors,
                         cv_err *err)
{
    int simulated = run->job->simulate.enabled, rc = 0;
    int leader = cv_fed_is_leader(&run->fed) && run->secure->masks;
    uint8_t pooled[32] = {0};
    if (leader && simulated && vectors)
        pool_vectors(run, vectors, pooled);
    for (int s = 0; leader && s < run->fed.n_hosted && !rc; s++) {
        cv_journal *journal = journal_of(run, s);
        cv_journal_entry e;
        if (!journal ||
            (!simulated && !cv_attempt_has(at, run->hosted[s].index)))
            continue;
        fill_entry(run, at, &run->secure->party[s], &e);
        if (cost && at->draw == at->attempt)
            e.cost = *cost;
        if (vectors)
            memcpy(e.vector, simulated ? pooled : vectors + 32 * s, 32);
        rc = cv_journal_append(journal, &e, err);
        if (rc)
            cv_site_error(run, &run->hosted[s], err);
    }
    return cv_agree_all(run->fed.world, rc, err);
}

int cv_attempt_same_vectors_all(cv_run *run, const cv_attempt *at,
                                const uint8_t *vectors)
{
    int differ = 0, any = 0;
    int leader = cv_fed_is_leader(&run->fed), simulated;
    simulated = run->job->simulate.enabled;
    uint8_t pooled[32] = {0};
    if (leader && simulated)
        pool_vectors(run, vectors, pooled);
    for (int s = 0; leader && s < run->fed.n_hosted; s++) {
        const cv_journal *journal = journal_of(run, s);
        const cv_journal_entry *e = last_of(journal, run->run_id, at->round);
        if (!journal ||
            (!simulated && !cv_attempt_has(at, run->hosted[s].index)))
            continue;
        differ |= !e || memcmp(e->vector, simulated ? pooled : vectors + 32 * s,
                               32) != 0;
    }
    MPI_Allreduce(&differ, &any, 1, MPI_INT, MPI_MAX, run->fed.world);
    return !any;
}

void cv_attempt_end(cv_attempt *at)
{
    for (int s = 0; s < at->n_pairs; s++) {
        cv_secret_free(at->pairs[s].secret);
        free(at->pairs[s].peer);
    }
    free(at->pairs);
    free(at->member);
    *at = (cv_attempt){0};
}

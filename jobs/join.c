/* What silos say before they sum anything: a fresh key each, then one roster
 * that all have signed (PROTOCOL, "One attempt of a round", steps 1 and 2). */
#include "jobs/join.h"

#include <stdlib.h>
#include <string.h>

#include "chain/binding.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "core/secret.h"
#include "core/tagged.h"
#include "mpi/messages.h"

enum { ATTEMPT_MAX = 1 << 30, FARTHEST = 1000 };

static const char *name_of(const cv_run *run, int silo)
{
    return run->job->silos[silo].name;
}

/* ---- 1. join ----------------------------------------------------------------
 */

static void join_context(const cv_run *run, uint8_t out[32], int64_t round,
                         int silo, const cv_join_msg *m)
{
    uint8_t r[8], i[8];
    cv_put_le64(r, (uint64_t)round);
    cv_put_le64(i, (uint64_t)silo);
    uint8_t flags[2] = {m->status, m->has_last};
    cv_part part[] = {{run->run_id, 32},
                      {run->job->digest, 32},
                      {run->secure->head, 32},
                      {run->secure->model, 32},
                      {run->secure->state, 32},
                      {r, 8},
                      {i, 8},
                      {flags, 2},
                      {m->nonce_commitment, 32},
                      {m->last_attempt, 8},
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

static void write_join(cv_joining *j, int s, int64_t round, int status)
{
    cv_run *run = j->run;
    cv_join_msg *m = &j->mine[s];
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
    const cv_journal *journal = cv_attempt_journal(run, s);
    const cv_journal_entry *last = cv_attempt_last(journal, run->run_id, round);
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
static int check_join(const cv_joining *j, int64_t round, int silo, cv_err *err)
{
    const cv_run *run = j->run;
    const cv_join_msg *m = &j->all[silo];
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
                cv_get_le64(m->draw) > ATTEMPT_MAX))
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "numbers that no honest silo sends");
    if (rc)
        cv_err_prefix(err,
                      "round %lld: the key message of silo %s does not hold "
                      "(tampered with, of another run, round, model, ledger "
                      "or noise, or signed by a key that is not the job's)",
                      (long long)round, name_of(run, silo));
    return rc;
}

/* An attempt is one more than the largest that anybody claims: nobody may claim
 * so much more than we know of that numbers run out. */
static int check_claim(const cv_joining *j, int silo, cv_err *err)
{
    uint64_t own = 0, said = cv_get_le64(j->all[silo].last_attempt);
    if (j->run->job->simulate.enabled) /* the root's journal stands for all */
        return 0;
    for (int s = 0; s < j->run->fed.n_hosted; s++) {
        uint64_t a = cv_get_le64(j->mine[s].last_attempt);
        own = a > own ? a : own;
    }
    if (said <= own + FARTHEST)
        return 0;
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                      "silo %s claims %llu attempts at this round, where silo "
                      "%s knows of %llu",
                      name_of(j->run, silo), (unsigned long long)said,
                      j->run->hosted[0].name, (unsigned long long)own);
}

/* What arrived under the names of our own silos must be what we sent: an old
 * message of theirs, sent again, would hold as well. */
static int check_own(const cv_joining *j, cv_err *err)
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

static int by_key(const void *a, const void *b)
{
    const cv_join_msg *const *x = a, *const *y = b;
    return memcmp((*x)->ephemeral, (*y)->ephemeral, CV_PUBKEY_BYTES);
}

/* Keys of two silos that are the same would mask nothing. */
static int check_twice(const cv_joining *j, cv_err *err)
{
    int n = j->run->fed.n_silos, rc = 0;
    const cv_join_msg **sorted = CV_NEW(n, const cv_join_msg *);
    for (int i = 0; i < n; i++)
        sorted[i] = &j->all[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_key);
    for (int i = 1; i < n && !rc; i++)
        if (by_key(&sorted[i - 1], &sorted[i]) == 0)
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "silos %s and %s sent the same key",
                            name_of(j->run, (int)(sorted[i - 1] - j->all)),
                            name_of(j->run, (int)(sorted[i] - j->all)));
    free(sorted);
    return rc;
}

int cv_join(cv_joining *j, int64_t round, const int32_t *status, cv_err *err)
{
    cv_run *run = j->run;
    int rc = 0;
    for (int s = 0; s < run->fed.n_hosted; s++)
        write_join(j, s, round, status[run->hosted[s].index]);
    cv_gather_messages_all(&run->fed, j->all, j->mine, sizeof *j->mine);
    for (int i = 0; i < run->fed.n_silos && !rc; i++) {
        rc = check_join(j, round, i, err);
        if (!rc)
            rc = check_claim(j, i, err);
    }
    if (!rc)
        rc = check_own(j, err);
    if (!rc)
        rc = check_twice(j, err);
    return rc;
}

/* ---- 2. roster ----------------------------------------------------------------
 */

void cv_roster_digest(cv_joining *j)
{
    const cv_run *run = j->run;
    cv_attempt *at = j->at;
    cv_proof *p = &at->proof;
    p->round = at->round;
    p->attempt = at->attempt;
    p->draw = at->draw;
    p->wide = run->secure->wide;
    memcpy(p->previous, run->secure->head, 32);
    memcpy(p->start_model, run->secure->model, 32);
    memcpy(p->start_state, run->secure->state, 32);
    for (int k = 0; k < at->n; k++) {
        const cv_join_msg *m = &j->all[at->member[k]];
        uint8_t silo[4];
        cv_put_le32(silo, (uint32_t)at->member[k]);
        cv_buf_add(&p->members, silo, sizeof silo);
        cv_buf_add(&p->members, m->ephemeral, CV_PUBKEY_BYTES);
        cv_buf_add(&p->members, m->nonce_commitment, 32);
    }
    cv_roster_digest_of(p->roster, p, run->run_id, run->job->digest,
                        at->members, p->members.data, (size_t)at->n);
    if (run->fed.rank != 0)
        cv_buf_free(&p->members);
}

static void roster_signing(const cv_attempt *at, uint8_t out[32],
                           const uint8_t nonce[32])
{
    cv_part part[] = {{at->proof.roster, 32}, {nonce, 32}};
    cv_tagged_hash(out, "covey roster signature v1", part, 2);
}

int cv_roster_sign(cv_joining *j, cv_err *err)
{
    cv_run *run = j->run;
    cv_attempt *at = j->at;
    cv_roster_msg *mine = CV_NEW(run->fed.n_hosted, cv_roster_msg);
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
        const cv_roster_msg *m = &j->signed_[i];
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

/* What a root that has changed something makes right again: digests, records,
 * links, heads; and signatures, where it has a key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/binding.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "jobs/chain_terms.h"
#include "jobs/rewards.h"
#include "jobs/saved.h"
#include "jobs/saved_privacy.h"
#include "jobs/saved_proofs.h"
#include "tests/fault/cheat.h"

static void must(int rc, const cv_err *err)
{
    if (rc)
        give_up("%s", err->text);
}

static cv_seckey *key_of(const char *secret)
{
    uint8_t bytes[32];
    cv_seckey *key;
    cv_err err = {0};
    if (cv_unhex(bytes, secret, 32))
        give_up("a secret has 64 digits");
    must(cv_seckey_from_bytes(bytes, &key, &err), &err);
    return key;
}

/* ---- model, job ------------------------------------------------------------------ */

static const char PARAMS[] = "/model/params/";

static int is_parameter(const item *it)
{
    return !it->is_group && strncmp(it->path, PARAMS, strlen(PARAMS)) == 0;
}

/* A fit's vector: its views as jobs/fit_model.c lays them out. */
static void add_fit(document *d, cv_buf *v)
{
    static const char *const views[] = {
        "scalars",    "coefficients", "standard_errors",
        "covariance", "working",      "previous",
        "step",       "centre",       "unit",
        "dropped",    "norm",         "first_variance",
        "newton",     "variances",    "loadings"};
    for (size_t k = 0; k < sizeof views / sizeof *views; k++)
        for (size_t i = 0; i < d->n; i++)
            if (is_parameter(&d->item[i]) &&
                strcmp(d->item[i].path + strlen(PARAMS), views[k]) == 0)
                cv_buf_add(v, d->item[i].data, d->item[i].bytes);
}

void mend_model(document *d)
{
    cv_buf w = {0};
    uint8_t digest[32];
    char hex[65];
    add_fit(d, &w);
    if (w.len) {
        cv_params_digest_f64(digest, (const double *)(const void *)w.data,
                             w.len / sizeof(double));
    } else {
        for (size_t i = 0; i < d->n; i++)
            if (is_parameter(&d->item[i]))
                cv_buf_add(&w, d->item[i].data, d->item[i].bytes);
        cv_params_digest(digest, (const float *)(const void *)cv_buf_text(&w),
                         w.len / sizeof(float));
    }
    cv_hex(hex, digest, 32);
    set_attr(find(d, "/model"), "digest", hex);
    cv_buf_free(&w);
}

/* The text as the program writes it, and its digest. */
void mend_job(document *d)
{
    item *it = find(d, "/job");
    cv_job *job;
    cv_err err = {0};
    char hex[65];
    must(cv_job_parse((const char *)it->data, "job", &job, &err), &err);
    cv_hex(hex, job->digest, 32);
    set_attr(find(d, "/"), "job_digest", hex);
    free(it->data);
    it->bytes = it->layout.size = strlen(job->text);
    it->data = CV_NEW(it->bytes + 1, uint8_t);
    memcpy(it->data, job->text, it->bytes);
    cv_job_destroy(&job);
}

/* ---- records --------------------------------------------------------------------- */

typedef struct {
    cv_saved saved;
    cv_saved_privacy privacy;
    cv_proofs proofs;
    uint8_t run_id[32];
    cv_pubkey *identity;
} claims;

/* The document as the program reads it. */
static void load_claims(document *d, claims *c)
{
    cv_err err = {0};
    *c = (claims){0};
    write_all(d);
    must(cv_saved_open(d->out, &c->saved, &err), &err);
    must(cv_saved_privacy_load(c->saved.file, &c->privacy, &err), &err);
    c->proofs.n_silos = c->saved.job->n_silos;
    must(cv_proofs_load(c->saved.file, &c->proofs, &err), &err);
    if (cv_unhex(c->run_id, c->saved.run_id, 32))
        give_up("run_id");
    c->identity = (cv_pubkey *)(void *)find(d, "/proofs/identity")->data;
}

static void free_claims(claims *c)
{
    cv_proofs_free(&c->proofs);
    cv_saved_privacy_free(&c->privacy);
    cv_saved_close(&c->saved);
}

static void put_row(document *d, const char *name, int64_t row,
                    const void *value, size_t n)
{
    char path[64];
    snprintf(path, sizeof path, "/proofs/%s", name);
    memcpy(bytes_at(d, path, (size_t)row * n, n), value, n);
}

/* Roster and transcript from what is left of the details. */
static void mend_details(claims *c, cv_proof *p)
{
    size_t n = p->members.len / CV_ROSTER_BYTES;
    size_t bytes = CV_SUM_HEAD + n * CV_SUM_MEMBER;
    int *member = CV_NEW(n + 1, int);
    const uint8_t **commitment = CV_NEW(n + 1, const uint8_t *);
    uint8_t who[32], ctx[32], all[32], challenge[32];
    for (size_t k = 0; k < n; k++)
        member[k] = (int)cv_get_le32((const uint8_t *)p->members.data +
                                     k * CV_ROSTER_BYTES);
    cv_members_digest(who, c->saved.job, c->identity, member, (int)n, 1);
    if (n)
        cv_roster_digest_of(p->roster, p, c->run_id, c->saved.job->digest, who,
                            p->members.data, n);
    if (n && p->sums.len)
        memset(p->transcript, 0, 32);
    for (size_t at = 0; n && at + bytes <= p->sums.len; at += bytes) {
        const uint8_t *sum = (const uint8_t *)p->sums.data + at;
        for (size_t k = 0; k < n; k++)
            commitment[k] = sum + CV_SUM_HEAD + k * CV_SUM_MEMBER;
        cv_step_context(ctx, p->roster, at / bytes, cv_get_le64(sum));
        cv_commitments_digest(all, ctx, commitment, n);
        cv_challenge(challenge, ctx, all, sum + 8);
        cv_transcript_add(p->transcript, ctx, challenge, sum, bytes);
    }
    free(member);
    free(commitment);
}

/* What chain and rewards go on from, by the file's tables. */
static void mend_paid(claims *c, cv_proof *p)
{
    int n = c->proofs.n_silos;
    int64_t *taken = CV_NEW(n, int64_t);
    cv_err err = {0};
    must(cv_h5_get_column(c->saved.file, "/silos", "rounds_taken", CV_H5_I64,
                          taken, n, &err),
         &err);
    cv_chain_state s = {&c->proofs.attested[c->proofs.n - 1].span, taken, n,
                        NULL, 0};
    if (cv_h5_has(c->saved.file, "/proofs/heads"))
        cv_paid_digest(p->paid, &s);
    free(taken);
}

/* What the newest record says of the file. */
static void mend_newest(claims *c, cv_proof *p)
{
    const cv_saved_privacy *s = &c->privacy;
    const cv_strategy *st = cv_strategy_find(c->saved.job->training.strategy);
    const double real[3] = {s->multiplier, s->clip, s->sensitivity};
    size_t n = cv_saved_params(&c->saved)->n;
    float *x = CV_NEW(n, float);
    char path[80];
    cv_err err = {0};
    char *schema = cv_schema_to_text(c->saved.schema);
    cv_data_digest(p->data, schema);
    free(schema);
    cv_saved_root(&c->saved, p->model);
    for (int k = 0; st && k < st->n_server; k++) {
        snprintf(path, sizeof path, "/optimizer/%s", st->server_names[k]);
        must(cv_h5_get(c->saved.file, path, CV_H5_F32, x, n, &err), &err);
        cv_params_root(p->server[k], x, n);
    }
    free(x);
    mend_paid(c, p);
    cv_ledger_digest(p->ledger, s->segment, (size_t)s->n);
    for (int k = 0; k < 3 && c->saved.job->privacy.enabled; k++) {
        uint64_t bits;
        memcpy(&bits, &real[k], sizeof bits);
        cv_put_le64(p->plan + 8 * k, bits);
    }
}

void mend_records(document *d, int link)
{
    claims c;
    char hex[65];
    load_claims(d, &c);
    for (int64_t i = 0; i < c.proofs.n; i++) {
        cv_proof *p = &c.proofs.proof[i];
        if (link && i == 0 && p->round == 1)
            memset(p->previous, 0, 32);
        if (link && i > 0) {
            memcpy(p->previous, p[-1].record, 32);
            memcpy(p->start_model, p[-1].model, 32);
        }
        if (i == c.proofs.n - 1)
            mend_newest(&c, p);
        mend_details(&c, p);
        cv_proof_leaves(p->leaves, p, c.run_id, c.saved.job->digest);
        cv_proof_root(p->record, (const uint8_t(*)[32])p->leaves);
        put_row(d, "previous", i, p->previous, 32);
        put_row(d, "start_model", i, p->start_model, 32);
        put_row(d, "roster", i, p->roster, 32);
        put_row(d, "transcript", i, p->transcript, 32);
        put_row(d, "data", i, p->data, 32);
        put_row(d, "model", i, p->model, 32);
        put_row(d, "server", i, p->server, sizeof p->server);
        put_row(d, "ledger", i, p->ledger, 32);
        put_row(d, "chain", i, p->paid, 32);
        put_row(d, "plan", i, p->plan, sizeof p->plan);
        put_row(d, "leaves", i, p->leaves, sizeof p->leaves);
        put_row(d, "record", i, p->record, 32);
    }
    cv_hex(hex, c.proofs.proof[c.proofs.n - 1].record, 32);
    set_attr(find(d, "/proofs"), "record", hex);
    free_claims(&c);
}

/* ---- signatures ------------------------------------------------------------------- */

static int is_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return 0;
    return 1;
}

void sign_records(document *d, int silo, const char *secret)
{
    claims c;
    cv_seckey *key = key_of(secret);
    load_claims(d, &c);
    for (int64_t i = 0; i < c.proofs.n; i++) {
        size_t row = (size_t)i * (size_t)c.proofs.n_silos + (size_t)silo;
        uint8_t *at = bytes_at(d, "/proofs/signatures", row * CV_SIGNED_BYTES,
                               CV_SIGNED_BYTES);
        uint8_t digest[32];
        cv_sig sig;
        if (is_zero(at, CV_SIGNED_BYTES))
            continue;
        cv_record_signing(digest, c.run_id, c.proofs.proof[i].round,
                          c.proofs.proof[i].record, at);
        cv_seckey_sign(key, &sig, digest);
        memcpy(at + 32, sig.b, sizeof sig.b);
    }
    cv_seckey_destroy(&key);
    free_claims(&c);
}

void put_identity(document *d, int silo, const char *secret)
{
    cv_seckey *key = key_of(secret);
    cv_pubkey self;
    cv_seckey_pubkey(key, &self);
    memcpy(bytes_at(d, "/proofs/identity", (size_t)silo * CV_PUBKEY_BYTES,
                    CV_PUBKEY_BYTES),
           self.b, CV_PUBKEY_BYTES);
    cv_seckey_destroy(&key);
}

void sign_count(document *d, int silo, const char *secret)
{
    claims c;
    cv_rewards r;
    cv_err err = {0};
    cv_seckey *key = key_of(secret);
    uint8_t digest[32];
    cv_sig sig;
    load_claims(d, &c);
    must(cv_rewards_load(c.saved.file, &r, c.saved.job->n_silos, &err), &err);
    if (r.n == 0)
        give_up("no rewards");
    cv_rewards_count_digest(digest, c.run_id, c.saved.job->chain.rewards.method,
                            r.round, r.basis[silo]);
    cv_seckey_sign(key, &sig, digest);
    memcpy(bytes_at(d, "/rewards/count_signatures", (size_t)silo * CV_SIG_BYTES,
                    CV_SIG_BYTES),
           sig.b, CV_SIG_BYTES);
    cv_seckey_destroy(&key);
    cv_rewards_free(&r);
    free_claims(&c);
}

/* ---- the chain -------------------------------------------------------------------- */

enum { ATTESTER_ROW = CV_ADDRESS_BYTES + 2 * CV_SIG_BYTES };

static void opening_of(document *d, const claims *c, const cv_chain_terms *t,
                       uint8_t digest[32])
{
    int n = c->saved.job->n_silos;
    cv_address *who = CV_NEW(n, cv_address);
    cv_run_terms run = {
        .attesters = who,
        .n = (uint32_t)n,
        .collusion = (uint32_t)c->saved.job->secure_aggregation.collusion};
    for (int i = 0; i < n; i++)
        memcpy(who[i].b,
               bytes_at(d, "/proofs/attesters", (size_t)i * ATTESTER_ROW,
                        ATTESTER_ROW),
               CV_ADDRESS_BYTES);
    memcpy(run.salt, c->run_id, 32);
    memcpy(run.job, c->saved.job->digest, 32);
    cv_opening_digest(digest, &t->federation, &run);
    free(who);
}

static void terms_of(const claims *c, cv_chain_terms *t)
{
    cv_err err = {0};
    if (cv_chain_terms_of(c->saved.job, t, &err) != 1)
        give_up("the job has no chain");
}

void mend_heads(document *d)
{
    enum { ROW = 96 };
    claims c;
    cv_chain_terms t;
    uint8_t head[32];
    load_claims(d, &c);
    terms_of(&c, &t);
    opening_of(d, &c, &t, head);
    for (int64_t i = 0; i < c.proofs.n; i++) {
        uint8_t *at = bytes_at(d, "/proofs/heads", (size_t)i * ROW, ROW);
        int64_t first =
            cv_proofs_at(&c.proofs, c.proofs.attested[i].span.first);
        memcpy(at, head, 32);
        if (first >= 0 && first <= i)
            memcpy(at + 32,
                   bytes_at(d, "/proofs/heads", (size_t)first * ROW, 32), 32);
        cv_head_step(head, (uint64_t)c.proofs.proof[i].round,
                     c.proofs.proof[i].record);
        memcpy(at + 64, head, 32);
    }
    free_claims(&c);
}

void put_attester(document *d, int silo, const char *identity,
                  const char *secret)
{
    claims c;
    cv_chain_terms t;
    cv_seckey *self = key_of(identity), *key = key_of(secret);
    cv_address owner, attester;
    cv_sig sig;
    uint8_t digest[32];
    uint8_t *row = bytes_at(d, "/proofs/attesters", (size_t)silo * ATTESTER_ROW,
                            ATTESTER_ROW);
    load_claims(d, &c);
    terms_of(&c, &t);
    cv_seckey_address(self, &owner);
    cv_seckey_address(key, &attester);
    memcpy(row, attester.b, CV_ADDRESS_BYTES);
    cv_attester_digest(digest, &t.federation, &owner, &attester, 0);
    cv_seckey_sign(self, &sig, digest);
    memcpy(row + CV_ADDRESS_BYTES, sig.b, CV_SIG_BYTES);
    opening_of(d, &c, &t, digest);
    cv_seckey_sign(key, &sig, digest);
    memcpy(row + CV_ADDRESS_BYTES + CV_SIG_BYTES, sig.b, CV_SIG_BYTES);
    for (int64_t i = 0; i < c.proofs.n; i++) {
        const cv_attested *a = &c.proofs.attested[i];
        size_t at = ((size_t)i * (size_t)c.proofs.n_silos + (size_t)silo) *
                    CV_SIG_BYTES;
        uint8_t *old = bytes_at(d, "/proofs/attestations", at, CV_SIG_BYTES);
        if (is_zero(old, CV_SIG_BYTES))
            continue;
        cv_rounds_digest(digest, &t.federation, c.run_id, c.saved.job->digest,
                         (uint64_t)a->span.first,
                         (uint64_t)c.proofs.proof[i].round,
                         a->span.first_before, a->after);
        cv_seckey_sign(key, &sig, digest);
        memcpy(old, sig.b, CV_SIG_BYTES);
    }
    cv_seckey_destroy(&self);
    cv_seckey_destroy(&key);
    free_claims(&c);
}

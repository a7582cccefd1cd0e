#include "jobs/run_outbox.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/saved.h"

static const uint8_t no_sig[CV_SIG_BYTES];

int cv_outbox_put_attested(cv_outbox *o, const cv_proofs *p, int64_t at,
                           cv_err *err)
{
    const cv_attested *t = &p->attested[at];
    int64_t first = cv_proofs_at(p, t->span.first);
    size_t silos = (size_t)p->n_silos;
    const uint8_t *row = p->attestation + (size_t)at * silos * CV_SIG_BYTES;
    if (first < 0 || first > at || memcmp(row, no_sig, sizeof no_sig) == 0)
        return 0;
    cv_outbox_rounds r = {.first = (uint64_t)t->span.first,
                          .last = (uint64_t)p->proof[at].round};
    size_t n = (size_t)(at - first + 1);
    r.records = CV_NEW(32 * n, uint8_t);
    r.sigs = CV_NEW(silos, cv_sig);
    for (size_t i = 0; i < n; i++)
        memcpy(r.records + 32 * i, p->proof[first + (int64_t)i].record, 32);
    for (size_t i = 0; i < silos; i++)
        memcpy(r.sigs[i].b, row + i * CV_SIG_BYTES, CV_SIG_BYTES);
    memcpy(r.before, t->span.first_before, 32);
    memcpy(r.after, t->after, 32);
    int rc = cv_outbox_put_rounds(o, &r, err);
    free(r.records);
    free(r.sigs);
    return rc;
}

int cv_outbox_put_rewards(cv_outbox *o, const cv_rewards *r, cv_err *err)
{
    cv_outbox_epoch e = {.epoch = r->epoch,
                         .payee = CV_NEW(r->n, cv_address),
                         .amount = CV_NEW(r->n, cv_u256),
                         .sigs = r->sig,
                         .round = (uint64_t)r->round};
    size_t at = 0;
    for (int i = 0; i < r->n; i++) {
        if (cv_u256_is_zero(&r->amount[i]))
            continue;
        e.payee[at] = r->payee[i];
        e.amount[at++] = r->amount[i];
    }
    int rc = cv_outbox_put_epoch(o, &e, err);
    free(e.payee);
    free(e.amount);
    return rc;
}

int cv_load_attesters(cv_h5_reader *r, const cv_job *job,
                      const cv_pubkey *identity, cv_outbox_silo *silo,
                      cv_err *err)
{
    enum { ROW = CV_ADDRESS_BYTES + 2 * CV_SIG_BYTES };
    size_t n = (size_t)job->n_silos;
    uint8_t *rows = CV_NEW(n * ROW, uint8_t), *at = rows;
    int rc = cv_h5_get(r, "/proofs/attesters", CV_H5_U8, rows, n * ROW, err);
    for (size_t i = 0; i < n && !rc; i++, at += ROW) {
        cv_outbox_silo *o = &silo[i];
        strcpy(o->name, job->silos[i].name); /* at most 64, by the job */
        o->identity = identity[i];
        memcpy(o->attester.b, at, CV_ADDRESS_BYTES);
        memcpy(o->binding.b, at + CV_ADDRESS_BYTES, CV_SIG_BYTES);
        memcpy(o->opening.b, at + CV_ADDRESS_BYTES + CV_SIG_BYTES,
               CV_SIG_BYTES);
    }
    free(rows);
    return rc;
}

/* ---- the whole of a checkpoint ------------------------------------------------------ */

/* on_chain: the contract's id of it. */
static int put_run(cv_outbox *o, const cv_saved *s, const cv_chain_terms *terms,
                   uint8_t on_chain[32], cv_err *err)
{
    size_t n = (size_t)s->job->n_silos;
    cv_pubkey *identity = CV_NEW(n, cv_pubkey);
    cv_outbox_run run = {.federation = terms->federation,
                         .n = (uint32_t)n,
                         .collusion =
                             (uint32_t)s->job->secure_aggregation.collusion,
                         .simulated = s->job->simulate.enabled,
                         .silos = CV_NEW(n, cv_outbox_silo)};
    int rc = cv_h5_get(s->file, "/proofs/identity", CV_H5_U8, identity,
                       n * CV_PUBKEY_BYTES, err);
    if (!rc)
        rc = cv_load_attesters(s->file, s->job, identity, run.silos, err);
    if (!rc && cv_unhex(run.run_id, s->run_id, 32))
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0, "run_id is damaged");
    memcpy(run.job, s->job->digest, 32);
    strncpy(run.network, terms->network->name, sizeof run.network - 1);
    if (!rc)
        rc = cv_outbox_put_run(o, &run, err);
    cv_address *attesters = CV_NEW(n, cv_address);
    cv_run_terms all;
    cv_outbox_terms(&all, attesters, &run);
    cv_chain_run_id(on_chain, &all);
    free(attesters);
    free(run.silos);
    free(identity);
    return rc;
}

static int put_rewards(cv_outbox *o, const cv_saved *s,
                       const cv_chain_terms *terms, const cv_proofs *p,
                       const uint8_t on_chain[32], cv_err *err)
{
    cv_rewards r;
    int rc = cv_rewards_load(s->file, &r, s->job->n_silos, err);
    size_t n = (size_t)s->job->n_silos;
    cv_pubkey *identity = CV_NEW(n, cv_pubkey);
    if (!rc)
        rc = cv_h5_get(s->file, "/proofs/identity", CV_H5_U8, identity,
                       n * CV_PUBKEY_BYTES, err);
    for (int i = 0; i < r.n && !rc; i++)
        rc = cv_chain_payee(s->job, i, &identity[i], &r.payee[i], err);
    if (!rc && r.n) {
        uint32_t version = r.epoch.version;
        rc = cv_rewards_fill(&r, terms, on_chain, p->attested[p->n - 1].after,
                             version, err);
        cv_err why = {0};
        if (!rc && cv_outbox_put_rewards(o, &r, &why)) /* rounds go on */
            cv_log(CV_LOG_WARN, "rewards", "%s", why.text);
    }
    cv_rewards_free(&r);
    free(identity);
    return rc;
}

static int fill(cv_outbox *o, const cv_saved *s, const cv_chain_terms *terms,
                cv_err *err)
{
    cv_proofs p = {.n_silos = s->job->n_silos};
    uint8_t on_chain[32];
    int rc = cv_proofs_load(s->file, &p, err);
    if (!rc)
        rc = put_run(o, s, terms, on_chain, err);
    for (int64_t i = 0; i < p.n && !rc; i++)
        rc = cv_outbox_put_attested(o, &p, i, err);
    if (!rc && p.n && terms->has_rewards)
        rc = put_rewards(o, s, terms, &p, on_chain, err);
    cv_proofs_free(&p);
    return rc;
}

int cv_run_outbox_open(const char *run_dir, cv_outbox **o, cv_job **job,
                       cv_err *err)
{
    char *path = cv_fs_join(run_dir, "outbox.db");
    char *run = cv_fs_join(run_dir, "run.h5");
    cv_chain_terms terms;
    cv_saved s = {0};
    int has_run = cv_fs_exists(run), rc = 0;
    if (job)
        *job = NULL;
    if (!has_run && !cv_fs_exists(path))
        rc = cv_err_set(err, CV_ERR_INPUT, run_dir, 0,
                        "expected a run folder with run.h5 or outbox.db, found "
                        "neither");
    if (!rc && has_run)
        rc = cv_saved_open(run, &s, err);
    if (!rc && has_run) {
        rc = cv_chain_terms_of(s.job, &terms, err);
        if (rc == 0)
            rc = cv_err_set(err, CV_ERR_INPUT, run, 0,
                            "this run has nothing for a chain; `chain` in the "
                            "job says where proofs go");
        rc = rc < 0 ? rc : 0;
    }
    if (!rc)
        rc = cv_outbox_open(path, 1, o, err);
    if (!rc && has_run) {
        rc = fill(*o, &s, &terms, err);
        if (rc)
            cv_outbox_close(o);
        else if (job)
            (void)cv_job_parse(s.job->text, run, job, err);
    }
    if (has_run)
        cv_saved_close(&s);
    free(run);
    free(path);
    return rc;
}

int cv_run_outbox_load(const char *run_dir, cv_outbox **o, cv_outbox_run *run,
                       cv_job **job, cv_err *err)
{
    int found = 0;
    int rc = cv_run_outbox_open(run_dir, o, job, err);
    if (!rc)
        rc = cv_outbox_load_run(*o, run, &found, err);
    if (!rc && !found)
        rc = cv_err_set(err, CV_ERR_INPUT, run_dir, 0,
                        "its outbox is empty: the run has no checkpoint yet");
    return rc;
}

#include "jobs/attest.h"

#include <stdlib.h>
#include <string.h>

#include "chain/binding.h"
#include "core/bytes.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/run_outbox.h"
#include "mpi/agree.h"
#include "mpi/messages.h"
#include "mpi/reduce.h"

static const uint8_t no_sig[CV_SIG_BYTES];

/* ---- whose key signs -------------------------------------------------------------- */

typedef struct {
    uint8_t attester[CV_ADDRESS_BYTES], binding[CV_SIG_BYTES];
} hello_msg;

static int check_signer(const cv_run *run, int silo, const cv_sig *sig,
                        const cv_address *signer, const uint8_t digest[32],
                        const char *what, cv_err *err)
{
    cv_address who;
    int rc = cv_sig_recover_address(sig, &who, digest, err);
    if (!rc && memcmp(who.b, signer->b, sizeof who.b) != 0)
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "another key has signed it");
    if (rc)
        cv_err_prefix(err, "silo %s: its signature of %s",
                      run->job->silos[silo].name, what);
    return rc;
}

/* Every silo's attestation key, for which its identity vouches as the contract
 * wants it. */
static int learn_attesters(cv_run *run, cv_err *err)
{
    cv_attest *a = run->secure->attest;
    const cv_federation *f = &a->terms.federation;
    int n = run->fed.n_silos, rc = 0;
    hello_msg *mine = CV_NEW(run->fed.n_hosted, hello_msg);
    hello_msg *all = CV_NEW(n, hello_msg);
    uint8_t digest[32];
    cv_address self, attester;
    for (int s = 0; s < run->fed.n_hosted; s++) {
        const cv_seckey *identity = run->secure->party[s].key;
        uint8_t context[8 + CV_ADDRESS_BYTES];
        cv_chain_attester_context(f, context);
        cv_seckey_derive_attestation(identity, &a->key[s], context,
                                     sizeof context);
        cv_seckey_address(identity, &self);
        cv_seckey_address(a->key[s], &attester);
        memcpy(mine[s].attester, attester.b, sizeof attester.b);
        cv_attester_digest(digest, f, &self, &attester, 0);
        cv_sig sig;
        cv_seckey_sign(identity, &sig, digest);
        memcpy(mine[s].binding, sig.b, sizeof sig.b);
    }
    cv_gather_messages_all(&run->fed, all, mine, sizeof *mine);
    for (int i = 0; i < n && !rc; i++) {
        cv_outbox_silo *o = &a->silo[i];
        strcpy(o->name, run->job->silos[i].name); /* at most 64, by the job */
        o->identity = run->secure->identity[i];
        memcpy(o->attester.b, all[i].attester, sizeof o->attester.b);
        memcpy(o->binding.b, all[i].binding, sizeof o->binding.b);
        rc = cv_pubkey_address(&self, &o->identity, err);
        cv_attester_digest(digest, f, &self, &o->attester, 0);
        if (!rc)
            rc = check_signer(run, i, &o->binding, &self, digest,
                              "its attestation key", err);
        for (int k = 0; k < i && !rc; k++)
            if (memcmp(a->silo[k].attester.b, o->attester.b,
                       sizeof o->attester.b) == 0)
                rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                                "silos %s and %s have the same attestation key",
                                a->silo[k].name, o->name);
    }
    free(mine);
    free(all);
    return rc;
}

static int sign_opening(cv_run *run, cv_err *err)
{
    cv_attest *a = run->secure->attest;
    int n = run->fed.n_silos, rc = 0;
    cv_run_terms terms = {.n = (uint32_t)n,
                          .collusion = (uint32_t)run->secure->collusion};
    cv_address *attesters = CV_NEW(n, cv_address);
    cv_sig *mine = CV_NEW(run->fed.n_hosted, cv_sig), *all = CV_NEW(n, cv_sig);
    for (int i = 0; i < n; i++)
        attesters[i] = a->silo[i].attester;
    terms.attesters = attesters;
    memcpy(terms.salt, run->run_id, 32);
    memcpy(terms.job, run->job->digest, 32);
    cv_chain_run_id(a->on_chain, &terms);
    cv_opening_digest(a->head, &a->terms.federation, &terms);
    for (int s = 0; s < run->fed.n_hosted; s++)
        cv_seckey_sign(a->key[s], &mine[s], a->head);
    cv_gather_messages_all(&run->fed, all, mine, sizeof *mine);
    for (int i = 0; i < n && !rc; i++) {
        a->silo[i].opening = all[i];
        rc = check_signer(run, i, &all[i], &a->silo[i].attester, a->head,
                          "the run's opening", err);
    }
    a->span.first = 1;
    memcpy(a->span.before, a->head, 32);
    memcpy(a->span.first_before, a->head, 32);
    free(attesters);
    free(mine);
    free(all);
    return rc;
}

/* ---- the outbox -------------------------------------------------------------------- */

/* What is not kept here is in run.h5: `covey settle` takes it from there. */
static void outbox_failed(cv_attest *a, const cv_err *err)
{
    a->no_outbox = 1;
    cv_log(CV_LOG_WARN, "outbox",
           "%s; training goes on, and `covey settle` will read run.h5",
           err->text);
    cv_outbox_close(&a->outbox);
}

/* On first use: a run that fails before its first checkpoint leaves none. */
cv_outbox *cv_attest_outbox(cv_run *run)
{
    cv_attest *a = run->secure->attest;
    if (a->outbox || a->no_outbox)
        return a->outbox;
    cv_err why = {0};
    char *path = cv_fs_join(run->dir, "outbox.db");
    cv_outbox_run about = {.federation = a->terms.federation,
                           .n = (uint32_t)run->fed.n_silos,
                           .collusion = (uint32_t)run->secure->collusion,
                           .simulated = run->job->simulate.enabled,
                           .silos = a->silo};
    memcpy(about.run_id, run->run_id, 32);
    memcpy(about.job, run->job->digest, 32);
    strncpy(about.network, a->terms.network->name, sizeof about.network - 1);
    int rc = cv_outbox_open(path, 1, &a->outbox, &why);
    if (!rc)
        rc = cv_outbox_put_run(a->outbox, &about, &why);
    if (rc)
        outbox_failed(a, &why);
    free(path);
    return a->outbox;
}

static void put_rounds(cv_run *run, int64_t at)
{
    cv_outbox *o = cv_attest_outbox(run);
    cv_err why = {0};
    if (o && cv_outbox_put_attested(o, &run->secure->proofs, at, &why))
        outbox_failed(run->secure->attest, &why);
}

/* ---- the life of a run ---------------------------------------------------------------- */

int cv_attest_open_all(cv_run *run, cv_err *err)
{
    cv_secure *sec = run->secure;
    cv_chain_terms terms;
    if (!sec || !sec->masks)
        return 0;
    int rc = cv_chain_terms_of(run->job, &terms, err);
    if (rc <= 0)
        return cv_agree_all(run->fed.world, rc, err);
    cv_attest *a = sec->attest = CV_NEW(1, cv_attest);
    a->terms = terms;
    a->key = CV_NEW(run->fed.n_hosted, cv_seckey *);
    a->silo = CV_NEW(run->fed.n_silos, cv_outbox_silo);
    rc = 0;
    if (cv_fed_is_leader(&run->fed)) {
        rc = cv_agree_all(run->fed.leaders, learn_attesters(run, err), err);
        if (!rc)
            rc = sign_opening(run, err);
    }
    return cv_agree_all(run->fed.world, rc, err);
}

void cv_attest_close(cv_run *run)
{
    cv_attest *a = run->secure ? run->secure->attest : NULL;
    if (!a)
        return;
    for (int s = 0; s < run->fed.n_hosted; s++)
        cv_seckey_destroy(&a->key[s]);
    cv_outbox_close(&a->outbox);
    free(a->key);
    free(a->silo);
    CV_FREE(run->secure->attest);
}

const cv_chain_span *cv_attest_span(const cv_run *run)
{
    return run->secure->attest ? &run->secure->attest->span : NULL;
}

void cv_attest_round(cv_run *run)
{
    cv_attest *a = run->secure->attest;
    if (a)
        memcpy(a->span.before, a->head, 32);
}

void cv_attest_record(cv_run *run, const uint8_t record[32])
{
    cv_attest *a = run->secure->attest;
    if (a)
        cv_head_step(a->head, (uint64_t)run->round, record);
}

static int sign_rounds(cv_run *run, cv_err *err)
{
    cv_attest *a = run->secure->attest;
    int n = run->fed.n_silos, rc = 0;
    uint8_t digest[32];
    cv_sig *mine = CV_NEW(run->fed.n_hosted, cv_sig), *all = CV_NEW(n, cv_sig);
    cv_rounds_digest(digest, &a->terms.federation, a->on_chain,
                     run->job->digest, (uint64_t)a->span.first,
                     (uint64_t)run->round, a->span.first_before, a->head);
    for (int s = 0; s < run->fed.n_hosted; s++)
        cv_seckey_sign(a->key[s], &mine[s], digest);
    cv_gather_messages_all(&run->fed, all, mine, sizeof *mine);
    for (int i = 0; i < n && !rc; i++)
        rc = check_signer(run, i, &all[i], &a->silo[i].attester, digest,
                          "the rounds up to the checkpoint", err);
    int64_t at = cv_proofs_at(&run->secure->proofs, run->round);
    if (!rc && run->fed.rank == 0 && at >= 0) {
        uint8_t *row = run->secure->proofs.attestation +
                       (size_t)at * (size_t)n * CV_SIG_BYTES;
        if (memcmp(row, no_sig, sizeof no_sig) == 0)
            run->secure->unsaved = 1;
        for (int i = 0; i < n; i++)
            memcpy(row + (size_t)i * CV_SIG_BYTES, all[i].b, CV_SIG_BYTES);
        put_rounds(run, at);
    }
    free(mine);
    free(all);
    return rc;
}

int cv_attest_rounds_all(cv_run *run, cv_err *err)
{
    cv_attest *a = run->secure->attest;
    int rc = 0;
    if (!a)
        return 0;
    if (a->span.first > run->round) /* signed when it was saved first */
        return 0;
    if (cv_fed_is_leader(&run->fed))
        rc = sign_rounds(run, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc)
        return rc;
    a->span.first = run->round + 1;
    memcpy(a->span.first_before, a->head, 32);
    return 0;
}

/* The outbox may have been lost, or be behind: everything that run.h5 has. */
static void fill_outbox(cv_run *run)
{
    for (int64_t i = 0; i < run->secure->proofs.n; i++)
        put_rounds(run, i);
}

int cv_attest_resume_all(cv_run *run, cv_err *err)
{
    cv_attest *a = run->secure ? run->secure->attest : NULL;
    uint8_t said[32 + sizeof(cv_chain_span)] = {0};
    int rc = 0;
    if (!a || run->round == 0)
        return 0;
    if (run->fed.rank == 0) {
        const cv_proofs *p = &run->secure->proofs;
        int64_t at = cv_proofs_at(p, run->round);
        if (at < 0)
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "/proofs has no record of round %lld, from which "
                            "the run would go on",
                            (long long)run->round);
        else
            memcpy(said, &p->attested[at], sizeof(cv_chain_span) + 32);
    }
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc)
        return rc;
    cv_bcast_bytes_all(run->fed.world, said, sizeof said, 0);
    memcpy(&a->span, said, sizeof a->span);
    memcpy(a->head, a->span.before, 32);
    cv_attest_record(run, run->secure->head);
    if (run->fed.rank == 0)
        fill_outbox(run);
    return 0;
}

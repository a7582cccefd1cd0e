/* What the contracts say of a run, as a node tells it. */
#include <stdio.h>
#include <string.h>

#include "chain/views.h"
#include "core/bytes.h"
#include "jobs/verify.h"

/* Head after a round, the opening's for 0. */
static const uint8_t *head_at(const cv_verify *v, uint64_t round)
{
    int64_t at = cv_proofs_at(&v->proofs, (int64_t)round);
    return round == 0 ? v->genesis
           : at >= 0  ? v->proofs.attested[at].after
                      : NULL;
}

static int same_run(const cv_verify *v, const cv_view_run *run)
{
    return memcmp(run->job, v->saved.job->digest, 32) == 0 &&
           run->attesters == (uint32_t)v->n &&
           run->collusion == (uint32_t)v->collusion;
}

static void say_head(cv_verify *v, const cv_view_run *run)
{
    const uint8_t *want = head_at(v, run->last);
    uint64_t round = (uint64_t)v->saved.round;
    if (run->last > round)
        cv_verify_say(v, CV_LINE_FAILS, "chain",
                      "the contract has rounds up to %llu of this run, the "
                      "file ends at %llu: it was put back, or there is a newer "
                      "one",
                      (unsigned long long)run->last, (unsigned long long)round);
    else if (!want || memcmp(want, run->head, 32) != 0)
        cv_verify_say(v, CV_LINE_FAILS, "chain",
                      "round %llu: the contract has another head than this "
                      "file, so another record of this run was committed (a "
                      "fork)",
                      (unsigned long long)run->last);
    else if (run->last < round)
        cv_verify_say(v, CV_LINE_UNCHECKED, "chain",
                      "rounds up to %llu of %llu are on the chain, with this "
                      "file's head; `covey settle` commits the rest",
                      (unsigned long long)run->last, (unsigned long long)round);
    else
        cv_verify_say(v, CV_LINE_TOLD, "chain",
                      "%s: the contract's head after round %llu is this file's",
                      v->terms.network->name, (unsigned long long)run->last);
}

/* How far the same head has come towards being final. */
static void say_finality(cv_verify *v, cv_rpc *rpc, const cv_view_run *now)
{
    static const struct {
        cv_block_tag tag;
        const char *word;
    } tags[] = {{CV_BLOCK_FINALIZED, "finalized"}, {CV_BLOCK_SAFE, "safe"}};
    cv_err err = {0};
    for (int i = 0; i < 2; i++) {
        cv_view_run run;
        cv_block block;
        int found = 0;
        if (cv_node_block(rpc, &block, &found, tags[i].tag, &err) || !found ||
            block.number == 0 ||
            cv_view_run_at(rpc, &run, &v->terms.federation, v->contract_id,
                           tags[i].tag, &err))
            continue;
        if (run.last == now->last && memcmp(run.head, now->head, 32) == 0) {
            cv_verify_say(v, CV_LINE_TOLD, "finality",
                          "that head is in the %s block", tags[i].word);
            return;
        }
    }
    cv_verify_say(v, CV_LINE_UNCHECKED, "finality",
                  "that head is mined, and neither safe nor final yet");
}

/* The contract's frozen attesters, and that its silos are the job's. */
static int check_silos(cv_verify *v, cv_rpc *rpc, cv_err *err)
{
    int rc = 0, gone = 0;
    for (int i = 0; i < v->n && !rc; i++) {
        cv_address attester, self;
        cv_view_silo silo;
        rc = cv_view_attester(rpc, &attester, &v->terms.federation,
                              v->contract_id, (uint32_t)i, err);
        if (!rc)
            rc = cv_pubkey_address(&self, &v->identity[i], err);
        if (!rc)
            rc = cv_view_silo_of(rpc, &silo, &v->terms.federation, &self, err);
        if (rc)
            break;
        if (memcmp(attester.b, v->silo[i].attester.b, sizeof attester.b) != 0) {
            cv_verify_say(v, CV_LINE_FAILS, "silos",
                          "the contract has another attester for silo %s than "
                          "this file",
                          v->saved.job->silos[i].name);
            return 0;
        }
        gone += !silo.active;
    }
    if (!rc)
        cv_verify_say(v, CV_LINE_TOLD, "silos",
                      "the contract's attesters are this file's; %d of %d "
                      "silos are registered now",
                      v->n - gone, v->n);
    return rc;
}

static int check_rewards(cv_verify *v, cv_rpc *rpc, cv_err *err)
{
    cv_view_epoch e;
    const cv_epoch *want = &v->rewards.epoch;
    if (v->rewards.n == 0)
        return 0;
    int rc = cv_view_epoch_of(rpc, &e, &v->terms.federation, v->contract_id,
                              want->epoch, CV_BLOCK_LATEST, err);
    if (rc)
        return rc;
    if (e.version == 0)
        cv_verify_say(v, CV_LINE_UNCHECKED, "payment",
                      "the rewards are not posted yet");
    else if (memcmp(e.root, want->root, 32) != 0 ||
             cv_u256_cmp(&e.total, &want->total) != 0 ||
             memcmp(e.token.b, want->token.b, sizeof e.token.b) != 0 ||
             memcmp(e.sponsor.b, want->sponsor.b, sizeof e.sponsor.b) != 0 ||
             e.leaves != want->leaves)
        cv_verify_say(v, CV_LINE_FAILS, "payment",
                      "the contract was posted other rewards (version %u) than "
                      "this file's; if the run was extended after they were "
                      "posted, they are those of an earlier round",
                      e.version);
    else if (e.void_)
        cv_verify_say(v, CV_LINE_UNCHECKED, "payment",
                      "posted, and what was not claimed in time went back to "
                      "the sponsor");
    else
        cv_verify_say(v, CV_LINE_TOLD, "payment",
                      "the contract pays by this file's root%s",
                      e.frozen ? "; an objection has frozen it" : "");
    return 0;
}

void cv_verify_node(cv_verify *v, cv_rpc *rpc)
{
    const cv_federation *f = &v->terms.federation;
    cv_view_run run;
    cv_err err = {0};
    int has_code = 0;
    int rc = cv_node_check_chain(rpc, f->chain_id, &err);
    if (!rc)
        rc = cv_node_has_code(rpc, &has_code, &f->contract, &err);
    if (!rc && !has_code)
        rc = cv_err_set(&err, CV_ERR_VERIFY, NULL, 0,
                        "there is no contract at the job's chain.federation");
    if (!rc)
        rc = cv_view_check_rewards(rpc, f, &err);
    if (!rc)
        rc =
            cv_view_run_at(rpc, &run, f, v->contract_id, CV_BLOCK_LATEST, &err);
    v->no_answer = rc && rc != CV_ERR_VERIFY;
    if (rc) {
        cv_verify_say(v,
                      rc == CV_ERR_VERIFY ? CV_LINE_FAILS : CV_LINE_UNCHECKED,
                      "chain", "%s", err.text);
        return;
    }
    if (!run.opened) {
        cv_verify_say(v, CV_LINE_UNCHECKED, "chain",
                      "the contract does not know the run yet; `covey settle` "
                      "opens it");
        return;
    }
    if (!same_run(v, &run)) {
        cv_verify_say(v, CV_LINE_FAILS, "chain",
                      "the contract has this run with another job, or with "
                      "other silos");
        return;
    }
    say_head(v, &run);
    say_finality(v, rpc, &run);
    rc = check_silos(v, rpc, &err);
    if (!rc)
        rc = check_rewards(v, rpc, &err);
    if (rc) {
        v->no_answer = 1;
        cv_verify_say(v, CV_LINE_UNCHECKED, "chain", "%s", err.text);
    }
}

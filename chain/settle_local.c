/* What settle knows without asking anybody: the outbox, its signatures, the
 * heads of its rounds. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/settle_parts.h"
#include "core/mem.h"

static int check_network(cv_settler *s, cv_err *err)
{
    const cv_outbox_run *run = &s->run;
    s->net = cv_network_find(run->network);
    if (!s->net || !s->net->chain_id)
        return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                          "expected a network that this covey knows, found "
                          "'%s'",
                          run->network);
    if (s->net->chain_id != run->federation.chain_id)
        return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                          "network %s is chain %llu, but what was signed is "
                          "for chain %llu",
                          s->net->name, (unsigned long long)s->net->chain_id,
                          (unsigned long long)run->federation.chain_id);
    if (run->simulated && !s->net->test_money)
        return cv_err_set(err, CV_ERR_INPUT, s->path, 0,
                          "a simulated run (simulate: in its job) settles on "
                          "test networks only, not on %s: its silos are one "
                          "person's",
                          s->net->name);
    return 0;
}

/* Every attester has signed the opening, as the contract will ask. */
static int check_opening(cv_settler *s, cv_err *err)
{
    const cv_outbox_run *run = &s->run;
    for (uint32_t i = 0; i < run->n; i++) {
        cv_address who = {{0}};
        if (cv_sig_recover_address(&run->silos[i].opening, &who, s->opening,
                                   NULL) ||
            memcmp(&who, &s->attester[i], sizeof who) != 0)
            return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                              "silo %s: its attester's signature on the "
                              "opening of the run does not hold",
                              run->silos[i].name);
    }
    return 0;
}

int cv_settle_load_run(cv_settler *s, cv_err *err)
{
    cv_outbox_run *run = &s->run;
    int found, rc = cv_outbox_load_run(s->o, run, &found, err);
    if (!rc && !found)
        return cv_err_set(err, CV_ERR_INPUT, s->path, 0,
                          "nothing is in this outbox yet: the run has not "
                          "begun");
    if (!rc)
        rc = check_network(s, err);
    if (rc)
        return rc;
    if (run->n < 2 || run->collusion + 2 > run->n)
        return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                          "%u silos of which %u may collude: the contract "
                          "takes at least 2 honest ones",
                          run->n, run->collusion);
    s->attester = CV_NEW(run->n, cv_address);
    s->silo = CV_NEW(run->n, cv_address);
    for (uint32_t i = 0; i < run->n; i++) {
        if (cv_pubkey_address(&s->silo[i], &run->silos[i].identity, NULL))
            return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                              "silo %s: its identity is not a public key",
                              run->silos[i].name);
    }
    cv_run_terms terms;
    cv_outbox_terms(&terms, s->attester, run);
    cv_opening_digest(s->opening, &run->federation, &terms);
    cv_federation_rewards(&s->rewards, &run->federation);
    s->quorum = cv_federation_quorum(run->n, run->collusion);
    return check_opening(s, err);
}

/* Where the outbox begins, and the head before that: the opening, or what the
 * first checkpoint says (true only if the chain says so too). */
static int begin(cv_settler *s, uint64_t *first, uint8_t head[32], cv_err *err)
{
    cv_outbox_rounds r;
    int found;
    /* No state is above final: the lowest round of all. */
    int rc = cv_outbox_first_below(s->o, first,
                                   (cv_outbox_state)(CV_OUTBOX_FINAL + 1), err);
    if (rc || *first <= 1) {
        *first = 1;
        memcpy(head, s->opening, 32);
        return rc;
    }
    rc = cv_outbox_load_rounds(s->o, &r, &found, *first, err);
    if (!rc && (!found || r.first != *first))
        rc = cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                        "round %llu is the first here, but no checkpoint "
                        "begins with it",
                        (unsigned long long)*first);
    if (!rc)
        memcpy(head, r.before, 32);
    if (found)
        cv_outbox_rounds_free(&r);
    return rc;
}

int cv_settle_load_heads(cv_settler *s, cv_err *err)
{
    int64_t version;
    int rc = cv_outbox_version(s->o, &version, err);
    if (rc || (s->heads.len && version == s->seen_version))
        return rc;
    uint8_t head[32];
    uint64_t first;
    cv_buf records = {0};
    cv_buf_free(&s->heads);
    rc = begin(s, &first, head, err);
    if (!rc)
        rc = cv_outbox_last_round(s->o, &s->last, err);
    if (!rc && s->last >= first)
        rc = cv_outbox_records(s->o, &records, first, s->last, err);
    if (!rc) {
        s->base = first - 1;
        if (s->last < s->base)
            s->last = s->base;
        cv_buf_add(&s->heads, head, 32);
        for (uint64_t r = first; r <= s->last; r++) {
            cv_head_step(head, r,
                         (const uint8_t *)records.data + (r - first) * 32);
            cv_buf_add(&s->heads, head, 32);
        }
        s->seen_version = version;
        s->marked = 0;
        s->moved = 1;
        s->report->rounds = s->last;
    }
    cv_buf_free(&records);
    return rc;
}

const uint8_t *cv_settle_head(const cv_settler *s, uint64_t round)
{
    if (round < s->base || round > s->last || !s->heads.len)
        return NULL;
    return (const uint8_t *)s->heads.data + (round - s->base) * 32;
}

int cv_settle_signatures(const cv_settler *s, cv_buf *out, const cv_sig *sigs,
                         const uint8_t digest[32], const char *what,
                         cv_err *err)
{
    static const cv_sig none;
    uint32_t good = 0, bad = 0;
    for (uint32_t i = 0; i < s->run.n && good < s->quorum; i++) {
        cv_address who;
        uint8_t v[65];
        if (memcmp(&sigs[i], &none, sizeof none) == 0)
            continue;
        if (cv_sig_recover_address(&sigs[i], &who, digest, NULL) ||
            memcmp(&who, &s->attester[i], sizeof who) != 0) {
            bad++;
            continue;
        }
        cv_sig_to_contract(v, &sigs[i]);
        cv_buf_add(out, v, sizeof v);
        good++;
    }
    if (good == s->quorum)
        return 0;
    return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                      "%s: expected the signatures of %u of %u attesters, "
                      "found %u%s; the silos sign at the next checkpoint of "
                      "the run",
                      what, s->quorum, s->run.n, good,
                      bad ? " and others that do not hold" : "");
}

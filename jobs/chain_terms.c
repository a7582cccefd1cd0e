#include "jobs/chain_terms.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"

static int address_of(const cv_job *job, const char *key, const char *text,
                      cv_address *out, cv_err *err)
{
    int rc = cv_address_parse(out, text, err);
    if (rc) {
        cv_err_prefix(err, "%s", key);
        snprintf(err->file, sizeof err->file, "%s", job->file);
    }
    return rc;
}

static int rewards_of(const cv_job *job, cv_chain_terms *out, cv_err *err)
{
    int rc = address_of(job, "chain.rewards.token", job->chain.rewards.token,
                        &out->token, err);
    if (!rc)
        rc = address_of(job, "chain.rewards.sponsor",
                        job->chain.rewards.sponsor, &out->sponsor, err);
    if (rc)
        return rc;
    rc = cv_u256_from_units(&out->pool, job->chain.rewards.pool,
                            job->chain.rewards.decimals, err);
    if (!rc && cv_u256_is_zero(&out->pool))
        rc = cv_err_set(err, CV_ERR_INPUT, job->file, 0,
                        "expected more than nothing, found %s",
                        job->chain.rewards.pool);
    if (rc)
        cv_err_prefix(err, "chain.rewards.pool");
    out->cap_ppm = (uint32_t)lround(job->chain.rewards.cap * 1e6);
    out->has_rewards = 1;
    return rc;
}

int cv_chain_terms_of(const cv_job *job, cv_chain_terms *out, cv_err *err)
{
    *out = (cv_chain_terms){0};
    if (!job->chain.enabled || !job->chain.federation)
        return 0;
    out->network = cv_network_find(job->chain.network);
    if (!out->network || out->network->chain_id == 0)
        return 0;
    out->federation.chain_id = out->network->chain_id;
    int rc = address_of(job, "chain.federation", job->chain.federation,
                        &out->federation.contract, err);
    if (!rc && job->chain.rewards.enabled)
        rc = rewards_of(job, out, err);
    for (int i = 0; i < job->n_silos && !rc; i++) {
        cv_address ignored;
        if (job->silos[i].payee)
            rc = address_of(job, "silos: payee", job->silos[i].payee, &ignored,
                            err);
    }
    return rc ? rc : 1;
}

int cv_chain_payee(const cv_job *job, int i, const cv_pubkey *identity,
                   cv_address *out, cv_err *err)
{
    return job->silos[i].payee
               ? address_of(job, "silos: payee", job->silos[i].payee, out, err)
               : cv_pubkey_address(out, identity, err);
}

void cv_chain_attester_context(const cv_federation *f,
                               uint8_t out[8 + CV_ADDRESS_BYTES])
{
    cv_put_le64(out, f->chain_id);
    memcpy(out + 8, f->contract.b, CV_ADDRESS_BYTES);
}

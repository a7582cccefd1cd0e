/** The job's `chain` section, checked and typed. Local, without MPI. */
#ifndef COVEY_JOBS_CHAIN_TERMS_H
#define COVEY_JOBS_CHAIN_TERMS_H

#include "chain/federation.h"
#include "chain/network.h"
#include "io/job.h"

typedef struct {
    const cv_network *network;
    cv_federation federation;
    int has_rewards;
    cv_address token, sponsor;
    cv_u256 pool;     /* in the token's smallest units */
    uint32_t cap_ppm; /* largest share of a silo, in millionths */
} cv_chain_terms;

/** 1 and the terms if the job settles on a chain; 0 if it does not; CV_ERR_INPUT
 *  for an address whose checksum does not hold, or an amount that is none. */
int cv_chain_terms_of(const cv_job *job, cv_chain_terms *out, cv_err *err);

/** Who is paid for silo i: its `payee`, else the address of its identity. */
int cv_chain_payee(const cv_job *job, int i, const cv_pubkey *identity,
                   cv_address *out, cv_err *err);

/** Where a silo's attestation key comes from: one key a federation. */
void cv_chain_attester_context(const cv_federation *f,
                               uint8_t out[8 + CV_ADDRESS_BYTES]);

#endif

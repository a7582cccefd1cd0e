/** What people and contracts sign: typed structured data (EIP-712), personal
 *  messages (EIP-191), and signatures in Ethereum's form.
 */
#ifndef COVEY_CHAIN_TYPED_DATA_H
#define COVEY_CHAIN_TYPED_DATA_H

#include "chain/key.h"

/** Who a signature is for: replay on another chain or contract fails. */
typedef struct {
    const char *name, *version;
    uint64_t chain_id;
    cv_address contract;
} cv_domain;

void cv_domain_separator(uint8_t out[32], const cv_domain *d);

/** hashStruct of a struct whose members are words already: numbers and
 *  addresses padded on the left, bytes32 as they are, arrays and strings as
 *  their Keccak-256.
 *  In: type   "Rounds(bytes32 runId,uint64 firstRound)";  words (n, 32) */
void cv_struct_hash(uint8_t out[32], const char *type, const uint8_t *words,
                    size_t n);

/** Keccak-256(0x19 0x01, separator, struct hash): what is signed. */
void cv_typed_digest(uint8_t out[32], const cv_domain *d,
                     const uint8_t struct_hash[32]);

/** "\x19Ethereum Signed Message:\n" and so on (EIP-191, version 0x45). */
void cv_personal_digest(uint8_t out[32], const void *message, size_t n);

/** r, s, v with v = 27 or 28, as contracts want it; and back.
 *  cv_sig_from_contract: CV_ERR_VERIFY for another v. */
void cv_sig_to_contract(uint8_t out[65], const cv_sig *sig);
int cv_sig_from_contract(cv_sig *out, const uint8_t in[65], cv_err *err);

/** Whose address made this signature? CV_ERR_VERIFY if nobody's. */
int cv_sig_recover_address(const cv_sig *sig, cv_address *out,
                           const uint8_t digest[32], cv_err *err);

/** Words for cv_struct_hash and hashes. */
void cv_word_of_u64(uint8_t out[32], uint64_t v);
void cv_word_of_address(uint8_t out[32], const cv_address *a);

#endif

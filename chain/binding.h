/** One identity, several keys: the identity key vouches for the others.
 *
 *  A silo is known by its identity key, which signs little.  Keys for agreeing
 *  on masks are fresh for every attempt (cv_seckey_generate) and forgotten after
 *  it; the key that attests rounds towards the chain is made from the identity
 *  key, so that a site keeps one file.  Neither is ever the identity key itself:
 *  what one key is used for must not help against another.
 *
 *  A binding does not prove that the identity holds the other key's secret.
 *  Whoever collects bindings refuses a key that is there twice.
 */
#ifndef COVEY_CHAIN_BINDING_H
#define COVEY_CHAIN_BINDING_H

#include <stddef.h>

#include "chain/key.h"

typedef enum {
    CV_USE_AGREEMENT = 1,  /* masks; context = the attempt's ctx */
    CV_USE_ATTESTATION = 2 /* signatures towards the chain */
} cv_key_use;

/** Make the attestation key of an identity: HKDF over its secret, with context
 *  (may be empty) in `info`.  The same inputs always give the same key; the
 *  identity's secret cannot be had from it. */
void cv_seckey_derive_attestation(const cv_seckey *identity, cv_seckey **out,
                                  const void *context, size_t context_len);

/** What the identity signs: H("covey key binding v1", use, identity, key,
 *  context). */
void cv_binding_digest(uint8_t digest[32], const cv_pubkey *identity,
                       cv_key_use use, const cv_pubkey *key,
                       const void *context, size_t context_len);

/** Vouch for key. Binding the identity to itself is a bug. */
void cv_binding_sign(const cv_seckey *identity, cv_sig *out, cv_key_use use,
                     const cv_pubkey *key, const void *context,
                     size_t context_len);

/** Does identity vouch for key, for this use and context?
 *  Returns 0; CV_ERR_INPUT if key is not on the curve; CV_ERR_VERIFY if it
 *  does not, or if key is the identity key. */
int cv_binding_verify(const cv_sig *sig, const cv_pubkey *identity,
                      cv_key_use use, const cv_pubkey *key, const void *context,
                      size_t context_len, cv_err *err);

#endif

/** Secret keys of secp256k1: signatures and key agreement.
 *
 *  A secret key is opaque, sits in memory of its own (core/secret.h), is never
 *  printed, and is wiped when destroyed.
 */
#ifndef COVEY_CHAIN_KEY_H
#define COVEY_CHAIN_KEY_H

#include <stdint.h>

#include "chain/pubkey.h"
#include "core/err.h"

typedef struct cv_seckey cv_seckey;

enum { CV_SIG_BYTES = 65 };

/** r and s, big-endian, then the parity (0 or 1) that recovers the key.
 *  s is in the lower half, so that a digest and a key have one signature
 *  only, and nobody can make a second out of the first. */
typedef struct {
    uint8_t b[CV_SIG_BYTES];
} cv_sig;

/** A fresh key from the kernel's randomness. */
void cv_seckey_generate(cv_seckey **out);

/** Returns 0; CV_ERR_INPUT if secret is 0 or not below the group order. The
 *  caller wipes its copy. */
int cv_seckey_from_bytes(const uint8_t secret[32], cv_seckey **out,
                         cv_err *err);

/** Wipes. NULL-safe. */
void cv_seckey_destroy(cv_seckey **key);

void cv_seckey_pubkey(const cv_seckey *key, cv_pubkey *out);
void cv_seckey_address(const cv_seckey *key, cv_address *out);

/** The secret itself, for key files and derivation. The caller wipes it. */
void cv_seckey_export(const cv_seckey *key, uint8_t secret[32]);

/** Sign a digest (core/tagged.h, or Keccak-256 of typed data).
 *  Source: RFC 6979 with HMAC-SHA-256: the nonce needs no randomness. */
void cv_seckey_sign(const cv_seckey *key, cv_sig *out,
                    const uint8_t digest[32]);

/** Who signed this?
 *  Returns 0; CV_ERR_VERIFY for a parity that is not 0 or 1, r or s out of
 *  range, s in the upper half, or no such key. */
int cv_sig_recover(const cv_sig *sig, cv_pubkey *out, const uint8_t digest[32],
                   cv_err *err);

/** Is this signer's one signature of digest? All 65 bytes count.
 *  Returns 0; CV_ERR_VERIFY as above, or if somebody else signed, or something
 *  else was signed. */
int cv_sig_verify(const cv_sig *sig, const cv_pubkey *signer,
                  const uint8_t digest[32], cv_err *err);

/** Key agreement: SHA-256 of the shared point in compressed form (33 bytes,
 *  as libsecp256k1 does it).  Not a key yet: pass it through cv_hkdf with both
 *  public keys and the purpose in `info`.  The caller wipes it.
 *  Returns 0; CV_ERR_INPUT if peer is not on the curve. */
int cv_seckey_agree(const cv_seckey *key, uint8_t shared[32],
                    const cv_pubkey *peer, cv_err *err);

#endif

/** Public keys of secp256k1 and the Ethereum addresses that belong to them. */
#ifndef COVEY_CHAIN_PUBKEY_H
#define COVEY_CHAIN_PUBKEY_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

enum { CV_PUBKEY_BYTES = 33, CV_ADDRESS_BYTES = 20 };
enum { CV_PUBKEY_TEXT = 69, CV_ADDRESS_TEXT = 43 }; /* with 0x and the NUL */

/** A compressed point: 02 or 03, then x, big-endian. One key has one form, so
 *  keys are compared and hashed as bytes. Plain data: may be sent and stored;
 *  whoever takes one from outside passes it through cv_pubkey_from_bytes. */
typedef struct {
    uint8_t b[CV_PUBKEY_BYTES];
} cv_pubkey;

typedef struct {
    uint8_t b[CV_ADDRESS_BYTES];
} cv_address;

/** Take a key from outside.
 *
 *  Scope:    local
 *  Out:      out   unchanged on error
 *  In:       bytes, n   must be 33 bytes of a point of the curve
 *  Returns:  0; CV_ERR_INPUT, with what is wrong: the length, the first byte
 *            (an uncompressed or hybrid key), or an x that is on no point
 */
int cv_pubkey_from_bytes(cv_pubkey *out, const void *bytes, size_t n,
                         cv_err *err);

/** The same from "0x02.." (66 hex digits; "0x" may be missing). */
int cv_pubkey_parse(cv_pubkey *out, const char *text, cv_err *err);

/** "0x02..", lower case. */
void cv_pubkey_text(char out[CV_PUBKEY_TEXT], const cv_pubkey *key);

int cv_pubkey_same(const cv_pubkey *a, const cv_pubkey *b);

/** Ethereum address: the last 20 bytes of Keccak-256 over x and y.
 *  Returns 0; CV_ERR_INPUT if key is not a point. */
int cv_pubkey_address(cv_address *out, const cv_pubkey *key, cv_err *err);

/** "0x5aAe..", the case of the letters being the checksum of EIP-55. */
void cv_address_text(char out[CV_ADDRESS_TEXT], const cv_address *a);

/** An address a person wrote: 40 hex digits, "0x" may be missing. In mixed
 *  case the checksum must hold; all lower or all upper case carries none.
 *  Returns 0 or CV_ERR_INPUT. */
int cv_address_parse(cv_address *out, const char *text, cv_err *err);

#endif

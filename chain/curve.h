/** Inside chain/ only: the library's context and its form of a public key. */
#ifndef COVEY_CHAIN_CURVE_H
#define COVEY_CHAIN_CURVE_H

#include <secp256k1.h>

#include "chain/pubkey.h"

/** One context for the process, made on first use and blinded with fresh
 *  randomness, so that the time and power of a signature say nothing about
 *  the key.  Never changed afterwards, hence safe in threads. */
const secp256k1_context *cv_curve(void);

/** A checked point from key's bytes. Returns 0 or CV_ERR_INPUT. */
int cv_curve_load(secp256k1_pubkey *out, const cv_pubkey *key, cv_err *err);

/** The bytes of a point. */
void cv_curve_store(cv_pubkey *out, const secp256k1_pubkey *point);

#endif

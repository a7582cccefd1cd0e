/** Unsigned integers of 256 bits: amounts, fees, words of the chain.
 *
 *  Big-endian bytes, as the chain writes them; plain data, compared and hashed
 *  as bytes.  Nothing here rounds, and nothing wraps round: what does not fit
 *  is an error.  Token amounts are texts in files ("1000.0"), never doubles.
 */
#ifndef COVEY_CHAIN_U256_H
#define COVEY_CHAIN_U256_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef struct {
    uint8_t b[32];
} cv_u256;

enum { CV_QUANTITY_TEXT = 67, CV_UNITS_TEXT = 100 };

cv_u256 cv_u256_of(uint64_t v);
/** 0, or -1 if it needs more than 64 bits (out unchanged). */
int cv_u256_to_u64(uint64_t *out, const cv_u256 *v);
int cv_u256_is_zero(const cv_u256 *v);
/** Like memcmp. */
int cv_u256_cmp(const cv_u256 *a, const cv_u256 *b);

/** out may be one of the operands. 0, or -1 if the result is not in
 *  [0, 2^256) (out unchanged). */
int cv_u256_add(cv_u256 *out, const cv_u256 *a, const cv_u256 *b);
int cv_u256_sub(cv_u256 *out, const cv_u256 *a, const cv_u256 *b);
int cv_u256_mul(cv_u256 *out, const cv_u256 *a, uint64_t m);
/** Quotient into out, returns the remainder; d > 0. */
uint64_t cv_u256_div(cv_u256 *out, const cv_u256 *a, uint64_t d);

/** A JSON-RPC quantity: "0x0", "0x1f"; no leading zeros, lower or upper case.
 *  Returns 0 or -1. */
int cv_u256_from_quantity(cv_u256 *out, const char *text);
void cv_u256_quantity(char out[CV_QUANTITY_TEXT], const cv_u256 *v);

/** A decimal text in units of 10^decimals: "1000.0" with 18 decimals is 10^21.
 *  Digits, at most one point with digits on both sides, nothing else; more
 *  decimals than the token has are refused, not rounded. decimals <= 77.
 *  Returns 0 or CV_ERR_INPUT. */
int cv_u256_from_units(cv_u256 *out, const char *text, int decimals,
                       cv_err *err);
/** The shortest such text: "1000", "0.5". */
void cv_u256_units(char out[CV_UNITS_TEXT], const cv_u256 *v, int decimals);

#endif

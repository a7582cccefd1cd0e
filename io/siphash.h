/** SipHash-2-4: a keyed 64-bit hash.
 *
 *  Source: Aumasson and Bernstein 2012, "SipHash: a fast short-input PRF".
 */
#ifndef COVEY_IO_SIPHASH_H
#define COVEY_IO_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t cv_siphash(const uint8_t key[16], const void *data, size_t n);

#endif

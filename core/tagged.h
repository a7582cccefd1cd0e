/** A digest that says what it is of: H(tag, part, part, ...).
 *
 *  Everything that is signed, committed to or turned into a key is hashed
 *  through this, so that bytes made for one purpose mean nothing for another,
 *  and no two lists of parts give the same input:
 *
 *      SHA-256( le64(length of tag) tag  le64(number of parts)
 *               le64(length) part  le64(length) part ... )
 */
#ifndef COVEY_CORE_TAGGED_H
#define COVEY_CORE_TAGGED_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const void *data;
    size_t len;
} cv_part;

/** Digest of parts under a tag, e.g. "covey commitment v1". Numbers go in as
 *  little-endian words of a fixed width. */
void cv_tagged_hash(uint8_t out[32], const char *tag, const cv_part *parts,
                    size_t n_parts);

#endif

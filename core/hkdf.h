/** HKDF with SHA-256 (RFC 5869), HMAC from libcrypto.
 *
 *  Every key that is used for two things is two keys: one secret, one `info`
 *  per use.  `info` must name the use and everything it depends on without
 *  ambiguity; core/tagged.h makes 32 bytes that do.
 */
#ifndef COVEY_CORE_HKDF_H
#define COVEY_CORE_HKDF_H

#include <stddef.h>
#include <stdint.h>

/** Longest output, 255 blocks. */
#define CV_HKDF_MAX (255 * 32)

/** Extract, then expand.
 *
 *  Scope:   local
 *  Out:     okm    uint8_t[okm_len], okm_len <= CV_HKDF_MAX
 *  In:      ikm    input key material;  salt  may be NULL with length 0 (then
 *                  32 zero bytes, as the RFC says);  info  the use
 *  Source:  RFC 5869, sections 2.2 and 2.3
 */
void cv_hkdf(uint8_t *okm, size_t okm_len, const void *ikm, size_t ikm_len,
             const void *salt, size_t salt_len, const void *info,
             size_t info_len);

/** The two halves, for one secret with many uses. */
void cv_hkdf_extract(uint8_t prk[32], const void *ikm, size_t ikm_len,
                     const void *salt, size_t salt_len);
void cv_hkdf_expand(uint8_t *okm, size_t okm_len, const uint8_t prk[32],
                    const void *info, size_t info_len);

#endif

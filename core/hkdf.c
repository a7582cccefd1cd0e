#include "core/hkdf.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/secret.h"

/* HMAC() and not EVP_KDF: it is there in OpenSSL 1.1 as well, which many
 * clusters still run. */
static void hmac(uint8_t out[32], const void *key, size_t key_len,
                 const void *data, size_t n)
{
    CV_CHECK(key_len <= INT32_MAX);
    CV_CHECK(HMAC(EVP_sha256(), key, (int)key_len, data, n, out, NULL));
}

void cv_hkdf_extract(uint8_t prk[32], const void *ikm, size_t ikm_len,
                     const void *salt, size_t salt_len)
{
    static const uint8_t zeros[32];
    if (salt_len == 0) {
        salt = zeros;
        salt_len = sizeof zeros;
    }
    hmac(prk, salt, salt_len, ikm_len ? ikm : "", ikm_len);
}

void cv_hkdf_expand(uint8_t *okm, size_t okm_len, const uint8_t prk[32],
                    const void *info, size_t info_len)
{
    CV_CHECK(okm_len <= CV_HKDF_MAX);
    /* T(i) = HMAC(prk, T(i - 1) | info | i), T(0) empty: t holds the three
     * side by side, and the first block starts behind the place of T. */
    uint8_t *t = cv_secret_alloc(32 + info_len + 1);
    if (info_len)
        memcpy(t + 32, info, info_len);
    for (size_t at = 0, i = 1; at < okm_len; at += 32, i++) {
        t[32 + info_len] = (uint8_t)i;
        size_t skip = i == 1 ? 32 : 0;
        hmac(t, prk, 32, t + skip, 32 - skip + info_len + 1);
        size_t n = okm_len - at < 32 ? okm_len - at : 32;
        memcpy(okm + at, t, n);
    }
    cv_secret_free(t);
}

void cv_hkdf(uint8_t *okm, size_t okm_len, const void *ikm, size_t ikm_len,
             const void *salt, size_t salt_len, const void *info,
             size_t info_len)
{
    uint8_t prk[32];
    cv_hkdf_extract(prk, ikm, ikm_len, salt, salt_len);
    cv_hkdf_expand(okm, okm_len, prk, info, info_len);
    cv_wipe(prk, sizeof prk);
}

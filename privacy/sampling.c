/* A row is kept if a uniform number of 64 bits is below floor(q 2^64). Its
 * leading 16 bits settle that for all rows but one in 65,536, and only for those
 * the other 48 are looked at: two bytes of key stream a row instead of eight.
 *
 * Layout (AES-256-CTR; counter block = stream as 8 bytes, then position as 8
 * bytes, both big-endian):
 *   stream 0  row i takes bytes 2i and 2i + 1, little-endian: the leading bits
 *   stream 1  row i owns AES block i; its first 6 bytes, little-endian, are the
 *             other 48 bits
 * so the decision for a row is a function of 64 bits that no other row uses. */
#include "privacy/sampling.h"

#include <math.h>
#include <openssl/evp.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/simd.h"

enum { CHUNK = 4096, GROUP = 32 }; /* rows */

typedef struct {
    EVP_CIPHER_CTX *cipher;
    const uint8_t *key;
    uint64_t threshold;
    uint16_t lead[CHUNK]; /* key stream: leading bits */
    uint16_t found[CHUNK];
} sampler;

static const uint8_t zeros[2 * CHUNK];

/* Leading bits of the next n rows. */
static void key_stream(sampler *s, int n)
{
    int len = 0;
    CV_CHECK(EVP_EncryptUpdate(s->cipher, (uint8_t *)s->lead, &len, zeros,
                               2 * n) == 1);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    for (int i = 0; i < n; i++)
        s->lead[i] = (uint16_t)(s->lead[i] >> 8 | s->lead[i] << 8);
#endif
}

/* Rows whose leading bits tie with the threshold's: too few for speed. */
static int below_with_rest(const sampler *s, uint32_t row)
{
    uint8_t iv[16] = {0}, rest[16];
    iv[7] = 1;
    for (int i = 0; i < 4; i++)
        iv[15 - i] = (uint8_t)(row >> 8 * i);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int len = 0;
    CV_CHECK(c &&
             EVP_EncryptInit_ex(c, EVP_aes_256_ctr(), NULL, s->key, iv) == 1);
    CV_CHECK(EVP_EncryptUpdate(c, rest, &len, zeros, sizeof rest) == 1);
    EVP_CIPHER_CTX_free(c);
    const uint64_t low = (UINT64_C(1) << 48) - 1;
    uint64_t own = cv_get_le64(rest) & low;
    cv_wipe(rest, sizeof rest);
    return own < (s->threshold & low);
}

/* Rows of [first, first + n) with leading bits not above top, in ascending
 * order. Few are: groups without any are passed over in a step or two. */
CV_HOT static int candidates(uint16_t *out, const uint16_t *lead, int n,
                             uint16_t top)
{
    int count = 0;
    for (int at = 0; at < n; at += GROUP) {
        uint16_t any = 0;
        for (int i = at; i < at + GROUP; i++)
            any = (uint16_t)(any | (lead[i] <= top ? 0xffff : 0));
        for (int i = at; any && i < n && i < at + GROUP; i++) {
            out[count] = (uint16_t)i;
            count += lead[i] <= top;
        }
    }
    return count;
}

static int64_t take(sampler *s, uint32_t *idx, uint32_t first, int n)
{
    const uint16_t top = (uint16_t)(s->threshold >> 48);
    int64_t count = 0;
    int found = candidates(s->found, s->lead, n, top);
    for (int k = 0; k < found; k++) {
        uint32_t i = s->found[k], row = first + i;
        if (s->lead[i] < top || below_with_rest(s, row))
            idx[count++] = row;
    }
    return count;
}

int64_t cv_poisson_sample(uint32_t *idx, int64_t n_rows, double q,
                          const uint8_t key[32])
{
    CV_CHECK(n_rows >= 0 && n_rows <= UINT32_MAX && q >= 0.0 && q <= 1.0);
    int64_t count = 0;
    if (q == 1.0) {
        for (int64_t i = 0; i < n_rows; i++)
            idx[i] = (uint32_t)i;
        return n_rows;
    }
    sampler s = {.cipher = EVP_CIPHER_CTX_new(),
                 .key = key,
                 .threshold = (uint64_t)ldexp(q, 64)};
    CV_CHECK(s.cipher && EVP_EncryptInit_ex(s.cipher, EVP_aes_256_ctr(), NULL,
                                            key, zeros) == 1);
    for (int64_t at = 0; at < n_rows; at += CHUNK) {
        int n = n_rows - at < CHUNK ? (int)(n_rows - at) : CHUNK;
        key_stream(&s, n);
        count += take(&s, idx + count, (uint32_t)at, n);
    }
    EVP_CIPHER_CTX_free(s.cipher);
    cv_wipe(&s, sizeof s);
    return count;
}

/* Drawing vectors of discrete Gaussian noise; the tables and the bounds are in
 * discrete_gaussian_table.c.
 *
 * Layout of the random bits of a key (AES-256-CTR; counter block = stream as
 * 8 bytes, then position as 8 bytes, both big-endian):
 *   stream level          sample i takes bytes 2i and 2i + 1, little-endian:
 *                         bit 0 is the sign, the others the leading 15 bits of
 *                         the magnitude's 127
 *   stream 2^32 + level   the r-th sample (from 0) of block b whose 15 bits do
 *                         not settle the magnitude takes AES block
 *                         b CV_DGAUSS_BLOCK + r: its other 112 bits
 * Most samples cost two bytes of key stream and one look into a 64 KiB table;
 * about sigma / 10,000 of them, those whose cell of 2^-15 holds a threshold,
 * need all 128 bits. Both streams may be entered at any block, so a vector can
 * be drawn in pieces and by several threads, with the same result.
 */
#include "privacy/discrete_gaussian.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "core/simd.h"
#include "privacy/discrete_gaussian_table.h"

enum { BLOCK = CV_DGAUSS_BLOCK, AES = 16, CHUNK = 512, EXTENSION = 1 };

typedef struct {
    EVP_CIPHER_CTX *cipher;
    cv_dgauss_look *fast;
    uint16_t word[BLOCK];      /* key stream */
    uint16_t open[BLOCK];      /* samples that are not resolved */
    uint32_t draws[BLOCK];     /* of one level, for sums of 64 bits */
    uint8_t more[CHUNK * AES]; /* key stream */
} workspace;

static const uint8_t zeros[BLOCK * 2];

static workspace *open_workspace(const uint8_t key[32])
{
    workspace *w = CV_NEW(1, workspace);
    w->cipher = EVP_CIPHER_CTX_new();
    CV_CHECK(w->cipher && EVP_EncryptInit_ex(w->cipher, EVP_aes_256_ctr(), NULL,
                                             key, zeros) == 1);
    for (int i = 0; i < CV_DGAUSS_FAST && !w->fast; i++)
        w->fast = cv_dgauss_look_fast(i);
    return w;
}

static void close_workspace(workspace *w)
{
    EVP_CIPHER_CTX_free(w->cipher);
    cv_wipe(w, sizeof *w);
    free(w);
}

static void seek(workspace *w, uint32_t kind, int level, uint64_t position)
{
    uint8_t iv[16] = {0};
    iv[3] = (uint8_t)kind;
    iv[7] = (uint8_t)level;
    for (int i = 0; i < 8; i++)
        iv[15 - i] = (uint8_t)(position >> 8 * i);
    CV_CHECK(EVP_EncryptInit_ex(w->cipher, NULL, NULL, NULL, iv) == 1);
}

static void key_stream(workspace *w, void *out, size_t bytes)
{
    int n = 0;
    CV_CHECK(EVP_EncryptUpdate(w->cipher, out, &n, zeros, (int)bytes) == 1);
}

static cv_u128 whole(uint32_t cell, const uint8_t more[AES])
{
    const int rest = 127 - CELL_BITS;
    cv_u128 low = (cv_u128)cv_get_le64(more + 8) << 64 | cv_get_le64(more);
    return (cv_u128)cell << rest | (low & (((cv_u128)1 << rest) - 1));
}

/* Key stream words are little-endian on every machine. */
static void to_native(uint16_t *word, size_t n)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    for (size_t i = 0; i < n; i++)
        word[i] = (uint16_t)(word[i] >> 8 | word[i] << 8);
#else
    (void)word;
    (void)n;
#endif
}

size_t cv_dgauss_look_plain(uint32_t *inout, uint16_t *open,
                            const uint16_t *word, size_t n,
                            const uint16_t *direct, uint32_t mult)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t m = direct[word[i] >> 1], minus = 0u - (word[i] & 1u);
        if (m == UNRESOLVED)
            open[count++] = (uint16_t)i;
        else
            inout[i] += mult * ((m ^ minus) - minus);
    }
    return count;
}

static size_t look(const cv_dgauss *d, workspace *w, uint32_t *inout, size_t n,
                   uint32_t mult)
{
    size_t most = w->fast ? n / 16 * 16 : 0, count = 0;
    if (most)
        count = w->fast(inout, w->open, w->word, most, d->direct, mult);
    size_t rest =
        cv_dgauss_look_plain(inout + most, w->open + count, w->word + most,
                             n - most, d->direct, mult);
    for (size_t i = count; i < count + rest; i++)
        w->open[i] = (uint16_t)(w->open[i] + most);
    return count + rest;
}

static void resolve(const cv_dgauss *d, workspace *w, uint32_t *inout,
                    size_t count, uint32_t mult)
{
    for (size_t at = 0; at < count; at += CHUNK) {
        size_t k = count - at < CHUNK ? count - at : CHUNK;
        key_stream(w, w->more, k * AES);
        for (size_t r = 0; r < k; r++) {
            size_t i = w->open[at + r];
            uint32_t cell = w->word[i] >> 1, minus = 0u - (w->word[i] & 1u);
            uint32_t m =
                cv_dgauss_search(d, cell, whole(cell, w->more + r * AES));
            inout[i] += mult * ((m ^ minus) - minus);
        }
    }
}

/* inout += mult * draws of one level, for one block. */
static void add_block(const cv_dgauss *d, workspace *w, uint32_t *inout,
                      size_t n, int level, uint32_t mult, uint64_t first)
{
    seek(w, 0, level, first / (AES / 2));
    key_stream(w, w->word, 2 * n);
    to_native(w->word, n);
    size_t count = look(d, w, inout, n, mult);
    if (count) {
        seek(w, EXTENSION, level, first);
        resolve(d, w, inout, count, mult);
    }
}

void cv_dgauss_add_i32(const cv_dgauss *d, int32_t *inout, size_t n,
                       const uint8_t key[32], uint64_t first)
{
    /* So a multiplier times a draw is below 2^31. */
    CV_CHECK(first % BLOCK == 0 && cv_dgauss_max(d) <= INT32_MAX);
    workspace *w = open_workspace(key);
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t k = n - at < BLOCK ? n - at : BLOCK;
        for (int l = 0; l < d->levels; l++)
            add_block(d, w, (uint32_t *)inout + at, k, l, d->mult[l],
                      first + at);
    }
    close_workspace(w);
}

CV_HOT static void add_i64(uint64_t *restrict inout,
                           const uint32_t *restrict draws, size_t n,
                           int64_t mult)
{
    for (size_t i = 0; i < n; i++)
        inout[i] += (uint64_t)(mult * (int32_t)draws[i]);
}

void cv_dgauss_add_i64(const cv_dgauss *d, int64_t *inout, size_t n,
                       const uint8_t key[32], uint64_t first)
{
    CV_CHECK(first % BLOCK == 0);
    workspace *w = open_workspace(key);
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t k = n - at < BLOCK ? n - at : BLOCK;
        for (int l = 0; l < d->levels; l++) {
            memset(w->draws, 0, k * sizeof *w->draws);
            add_block(d, w, w->draws, k, l, 1, first + at);
            add_i64((uint64_t *)inout + at, w->draws, k, d->mult[l]);
        }
    }
    close_workspace(w);
}

int32_t cv_dgauss_draw(const cv_dgauss *d, uint16_t word,
                       const uint8_t more[16])
{
    uint32_t cell = word >> 1, m = d->direct[cell];
    if (m == UNRESOLVED)
        m = cv_dgauss_search(d, cell, whole(cell, more));
    return word & 1 ? -(int32_t)m : (int32_t)m;
}

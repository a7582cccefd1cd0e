#include "privacy/mask.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/simd.h"
#include "privacy/field.h"

enum { BLOCK = 16384 }; /* bytes: words, ciphertext and keys stay in L1/L2 */

typedef struct {
    EVP_CIPHER_CTX *words, *redraw;
    int sign;
} stream;

struct cv_masker {
    int n;
    stream *peer;
    uint64_t next; /* word that comes next */
    _Alignas(64) uint8_t block[BLOCK];
};

static void stream_open(stream *s, const cv_mask_peer *peer)
{
    static const uint8_t zero[16];
    s->words = EVP_CIPHER_CTX_new();
    s->redraw = EVP_CIPHER_CTX_new();
    s->sign = peer->sign;
    CV_CHECK(s->words && s->redraw);
    CV_CHECK(EVP_EncryptInit_ex(s->words, EVP_aes_256_ctr(), NULL, peer->key,
                                zero) == 1);
    CV_CHECK(EVP_EncryptInit_ex(s->redraw, EVP_aes_256_ecb(), NULL,
                                peer->redraw, NULL) == 1);
}

static void stream_close(stream *s)
{
    EVP_CIPHER_CTX_free(s->words); /* cleanses the key schedule */
    EVP_CIPHER_CTX_free(s->redraw);
}

static void stream_bytes(stream *s, uint8_t *out, size_t n)
{
    static const uint8_t zero[BLOCK];
    int got = 0;
    CV_CHECK(EVP_EncryptUpdate(s->words, out, &got, zero, (int)n) == 1 &&
             got == (int)n);
}

/* 64 uniform bits of the second stream, at (index, try). */
static uint64_t redraw(stream *s, uint64_t index, uint64_t try)
{
    uint8_t in[16], out[16];
    int got = 0;
    cv_put_le64(in, index);
    cv_put_le64(in + 8, try);
    CV_CHECK(EVP_EncryptUpdate(s->redraw, out, &got, in, 16) == 1 && got == 16);
    return cv_get_le64(out);
}

CV_HOT static int any_from_u32(const uint32_t *w, size_t n, uint32_t limit)
{
    uint32_t top = 0;
    for (size_t i = 0; i < n; i++)
        top = w[i] > top ? w[i] : top;
    return top >= limit;
}

/* Words [first, first + n) of a peer, all < limit. n words fit a block. */
static void draw_u32(stream *s, uint32_t *w, uint64_t first, size_t n,
                     uint32_t limit)
{
    stream_bytes(s, (uint8_t *)w, n * sizeof *w);
    if (!any_from_u32(w, n, limit))
        return;
    for (size_t i = 0; i < n; i++)
        for (uint64_t try = 0; w[i] >= limit; try++)
            w[i] = (uint32_t)redraw(s, first + i, try);
}

static void draw_u64(stream *s, uint64_t *w, uint64_t first, size_t n,
                     uint64_t limit)
{
    /* Keep as many bits as limit has: 61 for p, which rejects one value. */
    uint64_t keep = UINT64_MAX >> __builtin_clzll(limit);
    stream_bytes(s, (uint8_t *)w, n * sizeof *w);
    for (size_t i = 0; i < n; i++) {
        w[i] &= keep;
        for (uint64_t try = 0; w[i] >= limit; try++)
            w[i] = redraw(s, first + i, try) & keep;
    }
}

cv_masker *cv_masker_create(const cv_mask_peer *peers, int n_peers)
{
    cv_masker *m = CV_NEW(1, cv_masker);
    m->n = n_peers;
    m->peer = CV_NEW(n_peers, stream);
    for (int i = 0; i < n_peers; i++)
        stream_open(&m->peer[i], &peers[i]);
    return m;
}

void cv_masker_destroy(cv_masker **m)
{
    if (!*m)
        return;
    for (int i = 0; i < (*m)->n; i++)
        stream_close(&(*m)->peer[i]);
    free((*m)->peer);
    cv_wipe(*m, sizeof **m);
    CV_FREE(*m);
}

void cv_masker_add_u32(cv_masker *m, uint32_t *y, uint64_t first, size_t n)
{
    CV_CHECK(first == m->next); /* a word is masked once */
    m->next += n;
    uint32_t *w = (uint32_t *)(void *)m->block;
    for (size_t at = 0; at < n; at += BLOCK / 4) {
        size_t k = n - at < BLOCK / 4 ? n - at : BLOCK / 4;
        for (int p = 0; p < m->n; p++) {
            draw_u32(&m->peer[p], w, first + at, k, CV_P32);
            if (m->peer[p].sign > 0)
                cv_f32_add_all(y + at, w, k);
            else
                cv_f32_sub_all(y + at, w, k);
        }
    }
}

void cv_masker_add_u64(cv_masker *m, uint64_t *y, uint64_t first, size_t n)
{
    CV_CHECK(first == m->next);
    m->next += n;
    uint64_t *w = (uint64_t *)(void *)m->block;
    for (size_t at = 0; at < n; at += BLOCK / 8) {
        size_t k = n - at < BLOCK / 8 ? n - at : BLOCK / 8;
        for (int p = 0; p < m->n; p++) {
            draw_u64(&m->peer[p], w, first + at, k, CV_P61);
            if (m->peer[p].sign > 0)
                cv_f61_add_all(y + at, w, k);
            else
                cv_f61_sub_all(y + at, w, k);
        }
    }
}

void cv_mask_words_u32(const cv_mask_peer *peer, uint32_t *out, size_t n,
                       uint32_t limit)
{
    stream s;
    stream_open(&s, peer);
    for (size_t at = 0; at < n; at += BLOCK / 4)
        draw_u32(&s, out + at, at, n - at < BLOCK / 4 ? n - at : BLOCK / 4,
                 limit);
    stream_close(&s);
}

void cv_mask_words_u64(const cv_mask_peer *peer, uint64_t *out, size_t n,
                       uint64_t limit)
{
    stream s;
    stream_open(&s, peer);
    for (size_t at = 0; at < n; at += BLOCK / 8)
        draw_u64(&s, out + at, at, n - at < BLOCK / 8 ? n - at : BLOCK / 8,
                 limit);
    stream_close(&s);
}

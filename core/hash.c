#include "core/hash.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/simd.h"

struct cv_sha256 {
    EVP_MD_CTX *md;
};

cv_sha256 *cv_sha256_create(void)
{
    cv_sha256 *h = CV_NEW(1, cv_sha256);
    h->md = EVP_MD_CTX_new();
    CV_CHECK(h->md && EVP_DigestInit_ex(h->md, EVP_sha256(), NULL) == 1);
    return h;
}

void cv_sha256_add(cv_sha256 *h, const void *data, size_t n)
{
    CV_CHECK(EVP_DigestUpdate(h->md, data, n) == 1);
}

void cv_sha256_end(cv_sha256 *h, uint8_t out[32])
{
    CV_CHECK(EVP_DigestFinal_ex(h->md, out, NULL) == 1);
}

void cv_sha256_destroy(cv_sha256 **h)
{
    if (!*h)
        return;
    EVP_MD_CTX_free((*h)->md);
    CV_FREE(*h);
}

void cv_sha256_of(uint8_t out[32], const void *data, size_t n)
{
    CV_CHECK(EVP_Digest(data, n, out, NULL, EVP_sha256(), NULL) == 1);
}

/* Eight independent lanes keep the multiplier busy; each step is a bijection
 * of its lane, so any single changed word changes the result. */
CV_HOT static void mix_lanes(uint64_t h[8], const uint8_t *p, size_t blocks)
{
    for (size_t i = 0; i < blocks; i++) {
        uint64_t w[8];
        memcpy(w, p + 64 * i, sizeof w);
        for (int k = 0; k < 8; k++) {
            h[k] = (h[k] ^ w[k]) * 0x9e3779b97f4a7c15u;
            h[k] ^= h[k] >> 29;
        }
    }
}

uint64_t cv_checksum64(const void *data, size_t n)
{
    uint64_t h[8], sum = n;
    for (int k = 0; k < 8; k++)
        h[k] = 0xd6e8feb86659fd93u + (uint64_t)k;
    mix_lanes(h, data, n / 64);
    if (n % 64) {
        uint8_t tail[64] = {0};
        memcpy(tail, (const uint8_t *)data + n / 64 * 64, n % 64);
        mix_lanes(h, tail, 1);
    }
    for (int k = 0; k < 8; k++) {
        sum = (sum ^ h[k]) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 32;
    }
    return sum;
}

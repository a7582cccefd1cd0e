#include "core/hash.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/mem.h"

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

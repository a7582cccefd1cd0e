#include "core/rand.h"

#include <math.h>
#include <openssl/evp.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/mem.h"

void cv_stream_open(cv_stream *s, uint64_t seed, const char *purpose,
                    uint64_t a, uint64_t b)
{
    static const char tag[] = "covey stream";
    uint8_t text[sizeof tag + 3 * 8 + 64] = {0}, key[32];
    size_t n = strlen(purpose);
    CV_CHECK(n < 64);
    memcpy(text, tag, sizeof tag);
    cv_put_le64(text + sizeof tag, seed);
    cv_put_le64(text + sizeof tag + 8, a);
    cv_put_le64(text + sizeof tag + 16, b);
    memcpy(text + sizeof tag + 24, purpose, n);
    cv_sha256_of(key, text, sizeof text);
    cv_stream_open_key(s, key);
    cv_wipe(key, sizeof key);
}

void cv_stream_open_key(cv_stream *s, const uint8_t key[32])
{
    static const uint8_t zero_iv[16];
    memset(s, 0, sizeof *s);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    CV_CHECK(c &&
             EVP_EncryptInit_ex(c, EVP_aes_256_ctr(), NULL, key, zero_iv) == 1);
    s->cipher = c;
    s->at = CV_STREAM_BUF;
}

void cv_stream_close(cv_stream *s)
{
    if (s->cipher)
        EVP_CIPHER_CTX_free(s->cipher);
    cv_wipe(s, sizeof *s);
}

static void refill(cv_stream *s)
{
    int n = 0;
    memset(s->buf, 0, sizeof s->buf);
    CV_CHECK(EVP_EncryptUpdate(s->cipher, s->buf, &n, s->buf, sizeof s->buf) ==
             1);
    s->at = 0;
}

void cv_stream_bytes(cv_stream *s, void *out, size_t n)
{
    uint8_t *p = out;
    while (n) {
        if (s->at == CV_STREAM_BUF)
            refill(s);
        size_t k = CV_STREAM_BUF - s->at < n ? CV_STREAM_BUF - s->at : n;
        memcpy(p, s->buf + s->at, k);
        s->at += k;
        p += k;
        n -= k;
    }
}

uint64_t cv_stream_u64(cv_stream *s)
{
    uint8_t b[8];
    cv_stream_bytes(s, b, sizeof b);
    return cv_get_le64(b);
}

uint32_t cv_stream_u32(cv_stream *s)
{
    if (s->has_spare) {
        s->has_spare = 0;
        return (uint32_t)(s->spare >> 32);
    }
    s->spare = cv_stream_u64(s);
    s->has_spare = 1;
    return (uint32_t)s->spare;
}

uint64_t cv_stream_below(cv_stream *s, uint64_t n)
{
    CV_CHECK(n > 0);
    if (n <= UINT32_MAX) {
        uint64_t m = (uint64_t)cv_stream_u32(s) * n;
        if ((uint32_t)m < n) {
            uint32_t floor = (uint32_t)(-(uint32_t)n % (uint32_t)n);
            while ((uint32_t)m < floor)
                m = (uint64_t)cv_stream_u32(s) * n;
        }
        return m >> 32;
    }
    unsigned __int128 m = (unsigned __int128)cv_stream_u64(s) * n;
    uint64_t floor = -n % n;
    while ((uint64_t)m < floor)
        m = (unsigned __int128)cv_stream_u64(s) * n;
    return (uint64_t)(m >> 64);
}

double cv_stream_uniform(cv_stream *s)
{
    return (double)(cv_stream_u64(s) >> 11) * 0x1p-53;
}

double cv_stream_normal(cv_stream *s)
{
    for (;;) {
        double u = 2.0 * cv_stream_uniform(s) - 1.0;
        double v = 2.0 * cv_stream_uniform(s) - 1.0;
        double q = u * u + v * v;
        if (q > 0.0 && q < 1.0)
            return u * sqrt(-2.0 * log(q) / q);
    }
}

double cv_stream_gamma(cv_stream *s, double shape)
{
    CV_CHECK(shape > 0.0);
    if (shape < 1.0) {
        double u = cv_stream_uniform(s);
        return cv_stream_gamma(s, shape + 1.0) * pow(u, 1.0 / shape);
    }
    double d = shape - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = cv_stream_normal(s), v = 1.0 + c * x;
        if (v <= 0.0)
            continue;
        v = v * v * v;
        double u = cv_stream_uniform(s);
        if (u > 0.0 && log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

void cv_stream_shuffle(cv_stream *s, uint32_t *idx, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)cv_stream_below(s, i);
        uint32_t t = idx[i - 1];
        idx[i - 1] = idx[j];
        idx[j] = t;
    }
}

#include "chain/scrypt.h"

#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "core/secret.h"

static inline uint32_t rotl(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static inline void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *b ^= rotl(*a + *d, 7);
    *c ^= rotl(*b + *a, 9);
    *d ^= rotl(*c + *b, 13);
    *a ^= rotl(*d + *c, 18);
}

/* Salsa20/8 core: four column and row rounds, then the input is added. */
static void salsa8(uint32_t b[16])
{
    uint32_t x[16];
    memcpy(x, b, sizeof x);
    for (int i = 0; i < 4; i++) {
        quarter(&x[0], &x[4], &x[8], &x[12]);
        quarter(&x[5], &x[9], &x[13], &x[1]);
        quarter(&x[10], &x[14], &x[2], &x[6]);
        quarter(&x[15], &x[3], &x[7], &x[11]);
        quarter(&x[0], &x[1], &x[2], &x[3]);
        quarter(&x[5], &x[6], &x[7], &x[4]);
        quarter(&x[10], &x[11], &x[8], &x[9]);
        quarter(&x[15], &x[12], &x[13], &x[14]);
    }
    for (int i = 0; i < 16; i++)
        b[i] += x[i];
}

/* scryptBlockMix: 2 r blocks of 16 words; even results go to the front half,
 * odd ones to the back. */
static void block_mix(uint32_t *out, const uint32_t *in, size_t r)
{
    uint32_t x[16];
    memcpy(x, in + (2 * r - 1) * 16, sizeof x);
    for (size_t i = 0; i < 2 * r; i++) {
        for (size_t k = 0; k < 16; k++)
            x[k] ^= in[16 * i + k];
        salsa8(x);
        memcpy(out + ((i & 1) * r + i / 2) * 16, x, sizeof x);
    }
}

/* scryptROMix: fill v with n states, then n reads at places that the state
 * itself names. */
static void rom_mix(uint32_t *b, size_t n, size_t r, uint32_t *v, uint32_t *t)
{
    size_t words = 32 * r;
    for (size_t i = 0; i < n; i++) {
        memcpy(v + i * words, b, words * 4);
        block_mix(t, b, r);
        memcpy(b, t, words * 4);
    }
    for (size_t i = 0; i < n; i++) {
        size_t j = b[(2 * r - 1) * 16] & (n - 1);
        for (size_t k = 0; k < words; k++)
            t[k] = b[k] ^ v[j * words + k];
        block_mix(b, t, r);
    }
}

int cv_scrypt_check(const cv_scrypt_cost *cost, cv_err *err)
{
    uint64_t n = cost->n, r = cost->r, p = cost->p;
    if (n < 2 || (n & (n - 1)) != 0 || r == 0 || p == 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected an scrypt cost with n a power of two and "
                          "r and p at least 1, found n=%llu r=%llu p=%llu: "
                          "damaged, or never right",
                          (unsigned long long)n, (unsigned long long)r,
                          (unsigned long long)p);
    /* Divisions, because products of three hostile numbers overflow: r p has
     * at most 64 bits, and n + p fits once n is known to be small. */
    if (n > CV_SCRYPT_MAX_BYTES || n + p > CV_SCRYPT_MAX_BYTES / 128 / r ||
        r * p > CV_SCRYPT_MAX_WORK / n)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected an scrypt cost of at most %llu MiB and "
                          "n r p at most %llu, found n=%llu r=%llu p=%llu: a "
                          "damaged or hostile file; export the key with a "
                          "lower cost if it is yours",
                          (unsigned long long)(CV_SCRYPT_MAX_BYTES >> 20),
                          (unsigned long long)CV_SCRYPT_MAX_WORK,
                          (unsigned long long)n, (unsigned long long)r,
                          (unsigned long long)p);
    return 0;
}

static void pbkdf2(uint8_t *out, size_t out_len, const void *pass,
                   size_t pass_len, const uint8_t *salt, size_t salt_len)
{
    CV_CHECK(PKCS5_PBKDF2_HMAC(pass_len ? pass : "", (int)pass_len, salt,
                               (int)salt_len, 1, EVP_sha256(), (int)out_len,
                               out) == 1);
}

int cv_scrypt(uint8_t *key, size_t key_len, const void *pass, size_t pass_len,
              const void *salt, size_t salt_len, const cv_scrypt_cost *cost,
              cv_err *err)
{
    int rc = cv_scrypt_check(cost, err);
    if (rc)
        return rc;
    CV_CHECK(pass_len < INT32_MAX && salt_len < INT32_MAX &&
             key_len < INT32_MAX);
    size_t n = (size_t)cost->n, r = cost->r, p = cost->p;
    size_t v_bytes = 128 * n * r, b_bytes = 128 * r * p;
    CV_CHECK(b_bytes < INT32_MAX); /* as the memory limit is 2^30 */
    void *v = mmap(NULL, v_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (v == MAP_FAILED)
        return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                          "the pass phrase of a key file needs %zu MiB of "
                          "memory for a moment, and there is not as much; "
                          "raise the memory limit (ulimit -v)",
                          v_bytes >> 20);
    (void)madvise(v, v_bytes, MADV_DONTDUMP);
    uint8_t *b = cv_secret_alloc(b_bytes);
    uint32_t *x = cv_secret_alloc(256 * r);
    pbkdf2(b, b_bytes, pass, pass_len, salt, salt_len);
    for (size_t i = 0; i < p; i++) {
        uint8_t *block = b + 128 * r * i;
        for (size_t k = 0; k < 32 * r; k++)
            x[k] = cv_get_le32(block + 4 * k);
        rom_mix(x, n, r, v, x + 32 * r);
        for (size_t k = 0; k < 32 * r; k++)
            cv_put_le32(block + 4 * k, x[k]);
    }
    pbkdf2(key, key_len, pass, pass_len, b, b_bytes);
    cv_secret_free(x);
    cv_secret_free(b);
    munmap(v, v_bytes); /* the kernel zeroes the pages before reuse */
    return 0;
}

#include "chain/keccak.h"

#include <nettle/sha3.h>
#include <string.h>

#include "core/mem.h"

enum { RATE = 136 }; /* 1600 bits less twice the digest, in bytes */

static void permute(cv_keccak *k)
{
    struct sha3_state s;
    memcpy(s.a, k->state, sizeof s.a);
    sha3_permute(&s);
    memcpy(k->state, s.a, sizeof s.a);
    cv_wipe(&s, sizeof s);
    k->at = 0;
}

/* Lanes are little-endian whatever the machine is. */
static void absorb(cv_keccak *k, uint8_t byte, size_t at)
{
    k->state[at / 8] ^= (uint64_t)byte << (8 * (at % 8));
}

void cv_keccak_add(cv_keccak *k, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) {
        absorb(k, p[i], k->at++);
        if (k->at == RATE)
            permute(k);
    }
}

void cv_keccak_end(cv_keccak *k, uint8_t out[32])
{
    absorb(k, 0x01, k->at); /* SHA-3 has 0x06 here */
    absorb(k, 0x80, RATE - 1);
    permute(k);
    for (size_t i = 0; i < 32; i++)
        out[i] = (uint8_t)(k->state[i / 8] >> (8 * (i % 8)));
    cv_wipe(k, sizeof *k);
}

void cv_keccak_of(uint8_t out[32], const void *data, size_t n)
{
    cv_keccak k = {0};
    cv_keccak_add(&k, data, n);
    cv_keccak_end(&k, out);
}

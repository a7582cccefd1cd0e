#include "privacy/mask_graph.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/mem.h"

/* Some set of k of the h honest ones has no edge to the other h - k: the union
 * bound over all sets, as a base-2 logarithm. */
static double log2_disconnected(int h, double p)
{
    double stay = log1p(-p) / M_LN2, total = 0.0;
    for (int k = 1; 2 * k <= h; k++) {
        double sets = (lgamma(h + 1.0) - lgamma(k + 1.0) -
                       lgamma((double)(h - k) + 1.0)) /
                      M_LN2;
        total += exp2(sets + stay * k * (double)(h - k));
    }
    return log2(total);
}

double cv_mask_graph_p(int n, int honest)
{
    CV_CHECK(honest >= 2 && honest <= n);
    if (n <= CV_MASK_GRAPH_COMPLETE)
        return 1.0;
    uint64_t lo = 0, hi = (uint64_t)1 << 32; /* p = 1 never disconnects */
    while (hi - lo > 1) {
        uint64_t mid = lo + (hi - lo) / 2;
        double total = log2_disconnected(honest, ldexp((double)mid, -32));
        if (total <= -60.0)
            hi = mid;
        else
            lo = mid;
    }
    return ldexp((double)hi, -32);
}

/* The word of the pair (lo, hi): AES-256 of the two numbers. */
int cv_mask_graph_peers(int *peers, int n, int i, double p,
                        const uint8_t seed[32])
{
    int count = 0, got = 0;
    if (p >= 1.0) {
        for (int j = 0; j < n; j++)
            if (j != i)
                peers[count++] = j;
        return count;
    }
    uint64_t limit = (uint64_t)ldexp(p, 32);
    uint8_t *block = CV_NEW(16 * (size_t)n, uint8_t);
    for (int j = 0; j < n; j++) {
        cv_put_le64(block + 16 * j, (uint64_t)(i < j ? i : j));
        cv_put_le64(block + 16 * j + 8, (uint64_t)(i < j ? j : i));
    }
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    CV_CHECK(
        c && EVP_EncryptInit_ex(c, EVP_aes_256_ecb(), NULL, seed, NULL) == 1 &&
        EVP_CIPHER_CTX_set_padding(c, 0) == 1 &&
        EVP_EncryptUpdate(c, block, &got, block, 16 * n) == 1 && got == 16 * n);
    EVP_CIPHER_CTX_free(c);
    for (int j = 0; j < n; j++)
        if (j != i && cv_get_le32(block + 16 * j) < limit)
            peers[count++] = j;
    free(block);
    return count;
}

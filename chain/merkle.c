#include "chain/merkle.h"

#include <stdlib.h>
#include <string.h>

#include "chain/keccak.h"
#include "core/mem.h"

/* out may be one of the two. */
static void join(uint8_t out[32], const uint8_t *a, const uint8_t *b)
{
    int in_order = memcmp(a, b, 32) <= 0;
    cv_keccak k = {0};
    cv_keccak_add(&k, in_order ? a : b, 32);
    cv_keccak_add(&k, in_order ? b : a, 32);
    cv_keccak_end(&k, out);
}

/* The level above, in place; returns how many nodes it has. */
static size_t go_up(uint8_t *level, size_t n)
{
    for (size_t i = 0; i + 1 < n; i += 2)
        join(level + 16 * i, level + 32 * i, level + 32 * (i + 1));
    if (n % 2)
        memmove(level + 16 * (n - 1), level + 32 * (n - 1), 32);
    return n / 2 + n % 2;
}

static uint8_t *copy_of(const uint8_t *leaves, size_t n)
{
    CV_CHECK(n > 0 && n <= (size_t)1 << CV_MERKLE_DEPTH);
    uint8_t *level = CV_NEW(32 * n, uint8_t);
    memcpy(level, leaves, 32 * n);
    return level;
}

void cv_merkle_root(uint8_t out[32], const uint8_t *leaves, size_t n)
{
    uint8_t *level = copy_of(leaves, n);
    while (n > 1)
        n = go_up(level, n);
    memcpy(out, level, 32);
    free(level);
}

void cv_merkle_proof(const uint8_t *leaves, size_t n, size_t index,
                     uint8_t *proof, size_t *count)
{
    CV_CHECK(index < n);
    uint8_t *level = copy_of(leaves, n);
    *count = 0;
    for (; n > 1; n = go_up(level, n), index /= 2) {
        size_t sibling = index ^ 1;
        if (sibling < n)
            memcpy(proof + 32 * (*count)++, level + 32 * sibling, 32);
    }
    free(level);
}

int cv_merkle_verify(const uint8_t root[32], const uint8_t leaf[32],
                     const uint8_t *proof, size_t count, cv_err *err)
{
    uint8_t node[32];
    memcpy(node, leaf, sizeof node);
    for (size_t i = 0; i < count; i++)
        join(node, node, proof + 32 * i);
    if (memcmp(node, root, sizeof node) == 0)
        return 0;
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                      "expected a leaf of the tree with this root, found one "
                      "whose proof of %zu steps leads to another root; the "
                      "leaf, the proof or the root was changed",
                      count);
}

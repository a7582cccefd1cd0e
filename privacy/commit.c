#include "privacy/commit.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/sha256_rows.h"

struct cv_commit {
    uint64_t leaves, bytes;
    cv_buf digests; /* until the length is known */
    size_t held;    /* bytes of an unfinished leaf */
    uint8_t leaf[CV_LEAF_BYTES];
};

cv_commit *cv_commit_create(void)
{
    return CV_NEW(1, cv_commit);
}

/* Digests of the next `leaves` leaves of n bytes each. */
static void hash_leaves(cv_commit *c, const uint8_t *data, size_t n,
                        size_t leaves)
{
    enum { HEAD = 9, MANY = CV_SHA256_LANES };
    uint8_t head[MANY * HEAD] = {0}, digest[MANY * 32];
    while (leaves) {
        size_t k = leaves < MANY ? leaves : MANY;
        for (size_t i = 0; i < k; i++)
            cv_put_le64(head + i * HEAD + 1, c->leaves + i);
        cv_sha256_rows(digest, head, HEAD, data, n, k);
        cv_buf_add(&c->digests, digest, 32 * k);
        c->leaves += k;
        data += n * k;
        leaves -= k;
    }
}

void cv_commit_add(cv_commit *c, const void *data, size_t n)
{
    const uint8_t *p = data;
    c->bytes += n;
    while (n) {
        if (!c->held && n >= CV_LEAF_BYTES) {
            size_t leaves = n / CV_LEAF_BYTES, bytes = leaves * CV_LEAF_BYTES;
            hash_leaves(c, p, CV_LEAF_BYTES, leaves);
            p += bytes;
            n -= bytes;
            continue;
        }
        size_t k = CV_LEAF_BYTES - c->held;
        k = n < k ? n : k;
        memcpy(c->leaf + c->held, p, k);
        c->held += k;
        p += k;
        n -= k;
        if (c->held == CV_LEAF_BYTES) {
            hash_leaves(c, c->leaf, CV_LEAF_BYTES, 1);
            c->held = 0;
        }
    }
}

void cv_commit_root(cv_commit *c, uint8_t root[32])
{
    uint8_t head[9] = {0x01};
    if (c->held)
        hash_leaves(c, c->leaf, c->held, 1);
    c->held = 0;
    cv_put_le64(head + 1, c->bytes);
    cv_sha256 *h = cv_sha256_create();
    cv_sha256_add(h, head, sizeof head);
    cv_sha256_add(h, c->digests.data, c->digests.len);
    cv_sha256_end(h, root);
    cv_sha256_destroy(&h);
}

void cv_commit_destroy(cv_commit **c)
{
    if (!*c)
        return;
    cv_buf_free(&(*c)->digests);
    cv_wipe(*c, sizeof **c);
    CV_FREE(*c);
}

#include "privacy/commit.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/hash.h"
#include "core/mem.h"

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

static void hash_leaf(cv_commit *c, const uint8_t *data, size_t n)
{
    uint8_t head[9] = {0x00}, digest[32];
    cv_put_le64(head + 1, c->leaves++);
    cv_sha256 *h = cv_sha256_create();
    cv_sha256_add(h, head, sizeof head);
    cv_sha256_add(h, data, n);
    cv_sha256_end(h, digest);
    cv_sha256_destroy(&h);
    cv_buf_add(&c->digests, digest, sizeof digest);
}

void cv_commit_add(cv_commit *c, const void *data, size_t n)
{
    const uint8_t *p = data;
    c->bytes += n;
    while (n) {
        if (!c->held && n >= CV_LEAF_BYTES) {
            hash_leaf(c, p, CV_LEAF_BYTES);
            p += CV_LEAF_BYTES;
            n -= CV_LEAF_BYTES;
            continue;
        }
        size_t k = CV_LEAF_BYTES - c->held;
        k = n < k ? n : k;
        memcpy(c->leaf + c->held, p, k);
        c->held += k;
        p += k;
        n -= k;
        if (c->held == CV_LEAF_BYTES) {
            hash_leaf(c, c->leaf, CV_LEAF_BYTES);
            c->held = 0;
        }
    }
}

void cv_commit_root(cv_commit *c, uint8_t root[32])
{
    uint8_t head[9] = {0x01};
    if (c->held)
        hash_leaf(c, c->leaf, c->held);
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

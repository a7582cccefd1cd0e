#include "solver/params.h"

#include <string.h>

#include "core/err.h"
#include "core/hash.h"
#include "privacy/commit.h"

size_t cv_params_add(cv_params *p, const char *name, int64_t rows, int64_t cols)
{
    CV_CHECK(p->n_views < CV_MAX_VIEWS && rows >= 0 && cols >= 0);
    cv_view *v = &p->views[p->n_views++];
    CV_CHECK(strlen(name) < sizeof v->name);
    memset(v, 0, sizeof *v);
    strcpy(v->name, name);
    v->offset = p->n;
    v->rank = cols > 0 ? 2 : 1;
    v->dims[0] = rows;
    v->dims[1] = cols;
    size_t size = (size_t)rows;
    CV_CHECK(!cols || !__builtin_mul_overflow(size, (size_t)cols, &size));
    CV_CHECK(!__builtin_add_overflow(p->n, size, &p->n));
    return v->offset;
}

/* n words of 4 or 8 bytes, little-endian. */
static void digest_words(uint8_t out[32], const void *words, size_t n,
                         size_t size)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    cv_sha256_of(out, words, n * size);
#else
    cv_sha256 *h = cv_sha256_create();
    for (size_t i = 0; i < n; i++) {
        const uint8_t *word = (const uint8_t *)words + i * size;
        uint8_t bytes[8];
        for (size_t k = 0; k < size; k++)
            bytes[k] = word[size - 1 - k];
        cv_sha256_add(h, bytes, size);
    }
    cv_sha256_end(h, out);
    cv_sha256_destroy(&h);
#endif
}

static void root_of(uint8_t out[32], const void *bytes, size_t n)
{
    cv_commit *tree = cv_commit_create();
    cv_commit_add(tree, bytes, n);
    cv_commit_root(tree, out);
    cv_commit_destroy(&tree);
}

void cv_params_digest(uint8_t out[32], const float *w, size_t n)
{
    digest_words(out, w, n, sizeof *w);
}

void cv_params_digest_f64(uint8_t out[32], const double *v, size_t n)
{
    digest_words(out, v, n, sizeof *v);
}

void cv_params_root(uint8_t out[32], const float *w, size_t n)
{
    root_of(out, w, n * sizeof *w);
}

void cv_params_root_f64(uint8_t out[32], const double *v, size_t n)
{
    root_of(out, v, n * sizeof *v);
}

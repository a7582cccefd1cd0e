/* The pieces and steps below, with three peers and commitment on one Sapphire
 * Rapids core: see tests/bench/README.md, "private". */
#include "privacy/masked.h"

#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "privacy/field.h"

/* Words are made, masked and hashed in pieces of PIECE bytes, which cv_commit
 * hashes at its best; their noise is drawn STEP bytes at a time. */
enum { PIECE = CV_COMMIT_PIECE, STEP = PIECE / 4 };

static size_t at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

/* Noise of words [first, first + n) of the vector. */
static void draw(const cv_masking *m, void *noise, uint64_t first, size_t n,
                 int wide)
{
    memset(noise, 0, n * (wide ? 8 : 4));
    if (wide)
        cv_dgauss_add_i64(m->noise, noise, n, m->noise_key, first);
    else
        cv_dgauss_add_i32(m->noise, noise, n, m->noise_key, first);
}

/* y = q + noise, from v or from the q that y holds. */
static void encode(const cv_masking *m, void *y, const float *v,
                   const void *noise, size_t n, int wide)
{
    if (v && wide)
        cv_f61_encode(y, v, noise, n, m->factor, m->exponent);
    else if (v)
        cv_f32_encode(y, v, noise, n, m->factor, m->exponent);
    else if (noise && wide)
        cv_f61_add_signed(y, noise, n);
    else if (noise)
        cv_f32_add_signed(y, noise, n);
}

static void mask(const cv_masking *m, void *y, size_t n, int wide)
{
    if (wide)
        cv_masker_add_u64(m->masker, y, m->done, n);
    else
        cv_masker_add_u32(m->masker, y, m->done, n);
}

/* One piece: n words at y. */
static void make_piece(cv_masking *m, uint8_t *y, const float *v,
                       const uint8_t *drawn, void *room, size_t n, int wide)
{
    size_t size = wide ? 8 : 4;
    for (size_t at = 0; at < n; at += STEP / size) {
        size_t k = at_most(n - at, STEP / size);
        if (m->noise)
            draw(m, room, m->done + at, k, wide);
        encode(m, y + at * size, v ? v + at : NULL,
               m->noise ? room
               : drawn  ? drawn + at * size
                        : NULL,
               k, wide);
    }
    if (m->noised)
        cv_commit_add(m->noised, y, n * size);
    if (m->masker)
        mask(m, y, n, wide);
    if (m->masked)
        cv_commit_add(m->masked, y, n * size);
    m->done += n;
}

static void make_words(cv_masking *m, uint8_t *y, const float *v,
                       const uint8_t *drawn, size_t n, int wide)
{
    CV_CHECK(!(m->noise && drawn));
    size_t size = wide ? 8 : 4;
    void *room = m->noise ? cv_calloc(STEP, 1) : NULL;
    for (size_t at = 0; at < n; at += PIECE / size)
        make_piece(m, y + at * size, v ? v + at : NULL,
                   drawn ? drawn + at * size : NULL, room,
                   at_most(n - at, PIECE / size), wide);
    if (room)
        cv_wipe(room, STEP);
    free(room);
}

void cv_masked_u32(cv_masking *m, uint32_t *y, const float *v,
                   const int32_t *drawn, size_t n)
{
    make_words(m, (uint8_t *)y, v, (const uint8_t *)drawn, n, 0);
}

void cv_masked_u64(cv_masking *m, uint64_t *y, const float *v,
                   const int64_t *drawn, size_t n)
{
    make_words(m, (uint8_t *)y, v, (const uint8_t *)drawn, n, 1);
}

#include "privacy/noise.h"

#include <string.h>

#include "core/mem.h"
#include "core/simd.h"
#include "privacy/field.h"

/* Blocks of noise stay in L1. */
enum { BLOCK = CV_DGAUSS_BLOCK };

CV_HOT static void add_i32(uint32_t *restrict words,
                           const int32_t *restrict noise, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* z + p for a negative z, modulo 2^32: z - 5. */
        uint32_t z = (uint32_t)noise[i];
        words[i] = cv_f32_add(words[i], noise[i] < 0 ? z - 5u : z);
    }
}

CV_HOT static void add_i64(uint64_t *restrict words,
                           const int64_t *restrict noise, size_t n)
{
    for (size_t i = 0; i < n; i++)
        words[i] = cv_f61_add(
            words[i],
            (uint64_t)(noise[i] < 0 ? noise[i] + (int64_t)CV_P61 : noise[i]));
}

void cv_noise_add_words(const cv_dgauss *d, int wide, void *words, size_t n,
                        const uint8_t key[32])
{
    union {
        int32_t narrow[BLOCK];
        int64_t wide[BLOCK];
    } noise;
    CV_CHECK(cv_dgauss_max(d) <= (wide ? (int64_t)1 << 60 : INT32_MAX));
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t k = n - at < BLOCK ? n - at : BLOCK;
        if (wide) {
            memset(noise.wide, 0, k * sizeof *noise.wide);
            cv_dgauss_add_i64(d, noise.wide, k, key, at);
            add_i64((uint64_t *)words + at, noise.wide, k);
        } else {
            memset(noise.narrow, 0, k * sizeof *noise.narrow);
            cv_dgauss_add_i32(d, noise.narrow, k, key, at);
            add_i32((uint32_t *)words + at, noise.narrow, k);
        }
    }
    cv_wipe(&noise, sizeof noise);
}

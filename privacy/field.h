/** Sums in a prime field: exact masks, and sums that can be checked linearly.
 *
 *  narrow  p = 2^32 - 5, words of 32 bits;  wide  p = 2^61 - 1, of 64 bits.
 *  Elements are canonical (< p).  A signed integer q with |q| < p/2 is stored as
 *  q mod p and decoded to the representative nearest zero.
 *
 *  Head-room, to be proved before anything is masked: with n silos whose words
 *  are at most b in magnitude, n b < p/2.
 *
 *  Source: PROTOCOL, "Field". Sums modulo 2^k would not do: a random linear
 *  check modulo 2^k misses an error of 2^(k-1) half the time.
 */
#ifndef COVEY_PRIVACY_FIELD_H
#define COVEY_PRIVACY_FIELD_H

#include <stddef.h>
#include <stdint.h>

#define CV_P32 UINT32_C(4294967291)
#define CV_P61 ((UINT64_C(1) << 61) - 1)

static inline uint32_t cv_f32_add(uint32_t a, uint32_t b)
{
    uint32_t t = a + b;
    /* 2^32 = 5 (mod p): a carry and an overshoot are mended alike. */
    return (t < a) | (t >= CV_P32) ? t + 5u : t;
}

static inline uint32_t cv_f32_sub(uint32_t a, uint32_t b)
{
    uint32_t t = a - b;
    return a < b ? t - 5u : t;
}

static inline uint64_t cv_f61_reduce(uint64_t t) /* t < 2^62 */
{
    t = (t & CV_P61) + (t >> 61);
    return t >= CV_P61 ? t - CV_P61 : t;
}

static inline uint64_t cv_f61_add(uint64_t a, uint64_t b)
{
    return cv_f61_reduce(a + b);
}

static inline uint64_t cv_f61_sub(uint64_t a, uint64_t b)
{
    return cv_f61_reduce(a + CV_P61 - b);
}

static inline uint32_t cv_f32_mul(uint32_t a, uint32_t b)
{
    return (uint32_t)((uint64_t)a * b % CV_P32);
}

static inline uint64_t cv_f61_mul(uint64_t a, uint64_t b)
{
    unsigned __int128 t = (unsigned __int128)a * b;
    return cv_f61_reduce((uint64_t)(t & CV_P61) + (uint64_t)(t >> 61));
}

/** acc += x, element by element; both canonical. */
void cv_f32_add_all(uint32_t *acc, const uint32_t *x, size_t n);
void cv_f61_add_all(uint64_t *acc, const uint64_t *x, size_t n);
/** The same, for cv_sum_words_all (mpi/reduce.h). */
void cv_f32_sum(void *acc, const void *x, size_t n);
void cv_f61_sum(void *acc, const void *x, size_t n);
/** acc -= x. */
void cv_f32_sub_all(uint32_t *acc, const uint32_t *x, size_t n);
void cv_f61_sub_all(uint64_t *acc, const uint64_t *x, size_t n);

/** 1 if every word is < p: words of other ranks are hostile until this held. */
int cv_f32_canonical(const uint32_t *x, size_t n);
int cv_f61_canonical(const uint64_t *x, size_t n);

/** out = round(v * factor / 2^exponent) + noise, mod p.
 *
 *  In:  v (n) finite floats;  noise (n) integers, or NULL
 *  The quantised value saturates at +-(2^31 - 1) (narrow), +-(2^60 - 1) (wide)
 *  before the noise is added; head-room keeps sums below p/2.
 */
void cv_f32_encode(uint32_t *out, const float *v, const int32_t *noise,
                   size_t n, double factor, int exponent);
void cv_f61_encode(uint64_t *out, const float *v, const int64_t *noise,
                   size_t n, double factor, int exponent);

/** acc += round(v * factor / 2^exponent), mod p; saturating as above. */
void cv_f32_encode_add(uint32_t *acc, const float *v, size_t n, double factor,
                       int exponent);
void cv_f61_encode_add(uint64_t *acc, const float *v, size_t n, double factor,
                       int exponent);

/** acc += x mod p, signed integers: any (narrow), |x| < 2^60 (wide). */
void cv_f32_add_signed(uint32_t *acc, const int32_t *x, size_t n);
void cv_f61_add_signed(uint64_t *acc, const int64_t *x, size_t n);

/** out = centred(x) * (2^exponent / divisor), rounded to float. */
void cv_f32_decode(float *out, const uint32_t *x, size_t n, int exponent,
                   double divisor);
void cv_f61_decode(float *out, const uint64_t *x, size_t n, int exponent,
                   double divisor);

/** The representative of x nearest zero. */
static inline int64_t cv_f32_centre(uint32_t x)
{
    return x > CV_P32 / 2 ? (int64_t)x - (int64_t)CV_P32 : (int64_t)x;
}

static inline int64_t cv_f61_centre(uint64_t x)
{
    return x > CV_P61 / 2 ? (int64_t)x - (int64_t)CV_P61 : (int64_t)x;
}

#endif

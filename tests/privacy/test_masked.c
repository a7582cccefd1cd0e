/* One pass gives what its parts give one after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "privacy/field.h"
#include "privacy/masked.h"

enum { PEERS = 3 };

static const uint8_t key[32] = {7, 7};

/* What a case has: bits. */
enum { MASKS = 1, NOISE = 2, DRAWN = 4, IN_PLACE = 8, WIDE = 16, CASES = 32 };

typedef struct {
    size_t n;
    int wide;
    float *v;
    void *y, *noise; /* (n) of 4 or 8 bytes */
    cv_dgauss *d;
    cv_mask_peer peer[PEERS];
    uint8_t noised[32], masked[32];
} vector;

static size_t bytes(const vector *x)
{
    return x->n * (x->wide ? 8 : 4);
}

static void open_vector(vector *x, size_t n, int wide)
{
    cv_err err;
    memset(x, 0, sizeof *x);
    x->n = n;
    x->wide = wide;
    x->v = CV_NEW(n, float);
    x->y = cv_calloc(bytes(x), 1);
    x->noise = cv_calloc(bytes(x), 1);
    cv_stream s;
    cv_stream_open(&s, 8, "masked", n, (uint64_t)wide);
    for (size_t i = 0; i < n; i++)
        x->v[i] = (float)cv_stream_normal(&s);
    for (int p = 0; p < PEERS; p++) {
        cv_stream_bytes(&s, x->peer[p].key, 32);
        cv_stream_bytes(&s, x->peer[p].redraw, 32);
        x->peer[p].sign = p == 1 ? -1 : 1;
    }
    cv_stream_close(&s);
    assert_int_equal(
        cv_dgauss_create(cv_variance_at_least(300.0), 0, &x->d, &err), 0);
    if (wide)
        cv_dgauss_add_i64(x->d, x->noise, n, key, 0);
    else
        cv_dgauss_add_i32(x->d, x->noise, n, key, 0);
}

static void close_vector(vector *x)
{
    free(x->v);
    free(x->y);
    free(x->noise);
    cv_dgauss_destroy(&x->d);
}

static void root_of(uint8_t root[32], const void *data, size_t n)
{
    cv_commit *c = cv_commit_create();
    cv_commit_add(c, data, n);
    cv_commit_root(c, root);
    cv_commit_destroy(&c);
}

static void encode(vector *x, int noisy)
{
    if (x->wide)
        cv_f61_encode(x->y, x->v, noisy ? x->noise : NULL, x->n, 0.5, -30);
    else
        cv_f32_encode(x->y, x->v, noisy ? x->noise : NULL, x->n, 0.5, -24);
}

/* One step after the other, each over the whole vector. */
static void by_parts(vector *x, int what)
{
    encode(x, what & (NOISE | DRAWN));
    root_of(x->noised, x->y, bytes(x));
    cv_masker *m = cv_masker_create(x->peer, what & MASKS ? PEERS : 0);
    if (x->wide)
        cv_masker_add_u64(m, x->y, 0, x->n);
    else
        cv_masker_add_u32(m, x->y, 0, x->n);
    cv_masker_destroy(&m);
    root_of(x->masked, x->y, bytes(x));
}

static void in_one_pass(vector *x, int what, size_t first_part)
{
    cv_masking m = {.factor = 0.5,
                    .exponent = x->wide ? -30 : -24,
                    .noise = what & NOISE ? x->d : NULL,
                    .noise_key = key,
                    .noised = cv_commit_create(),
                    .masked = cv_commit_create()};
    if (what & MASKS)
        m.masker = cv_masker_create(x->peer, PEERS);
    if (what & IN_PLACE)
        encode(x, 0);
    for (size_t at = 0, k; at < x->n; at += k) {
        k = at ? x->n - at : first_part;
        const float *v = what & IN_PLACE ? NULL : x->v + at;
        if (x->wide)
            cv_masked_u64(&m, (uint64_t *)x->y + at, v,
                          what & DRAWN ? (int64_t *)x->noise + at : NULL, k);
        else
            cv_masked_u32(&m, (uint32_t *)x->y + at, v,
                          what & DRAWN ? (int32_t *)x->noise + at : NULL, k);
    }
    assert_int_equal(m.done, x->n);
    cv_commit_root(m.noised, x->noised);
    cv_commit_root(m.masked, x->masked);
    cv_commit_destroy(&m.noised);
    cv_commit_destroy(&m.masked);
    cv_masker_destroy(&m.masker);
}

static void one_pass_is_all_the_steps(void **state)
{
    (void)state;
    static const struct {
        size_t n, first_part; /* the first a multiple of CV_DGAUSS_BLOCK */
    } length[] = {{1, 1},
                  {1000, 1000},
                  {CV_DGAUSS_BLOCK + 3, CV_DGAUSS_BLOCK},
                  {400007, 400007},
                  {600001, 73 * CV_DGAUSS_BLOCK}};
    for (size_t l = 0; l < sizeof length / sizeof *length; l++)
        for (int what = 0; what < CASES; what++) {
            vector a, b;
            if ((what & NOISE) && (what & DRAWN))
                continue;
            open_vector(&a, length[l].n, (what & WIDE) != 0);
            open_vector(&b, length[l].n, (what & WIDE) != 0);
            by_parts(&a, what);
            in_one_pass(&b, what, length[l].first_part);
            assert_memory_equal(a.y, b.y, bytes(&a));
            assert_memory_equal(a.noised, b.noised, 32);
            assert_memory_equal(a.masked, b.masked, 32);
            assert_true(!(what & MASKS) == !memcmp(b.noised, b.masked, 32));
            close_vector(&a);
            close_vector(&b);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_pass_is_all_the_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

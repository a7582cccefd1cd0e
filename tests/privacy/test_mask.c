/* Masks: uniform, independent, cancelling, and drawn again where they must. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "privacy/field.h"
#include "privacy/mask.h"

static void pair_key(cv_mask_peer *p, int i, int j)
{
    cv_stream s;
    cv_stream_open(&s, 77, "pair", (uint64_t)(i < j ? i : j),
                   (uint64_t)(i < j ? j : i));
    cv_stream_bytes(&s, p->key, 32);
    cv_stream_bytes(&s, p->redraw, 32);
    cv_stream_close(&s);
    p->sign = j > i ? 1 : -1;
}

/* Sums of masked vectors are the sums of the plain ones, for any roster; one
 * mask left out and they are not. */
static void masks_cancel(void **state)
{
    (void)state;
    enum { N = 20000 };
    for (int silos = 2; silos <= 5; silos++)
        for (int left_out = 0; left_out < 2; left_out++) {
            uint32_t *sum = CV_NEW(N, uint32_t), *y = CV_NEW(N, uint32_t);
            uint64_t *sum61 = CV_NEW(N, uint64_t), *z = CV_NEW(N, uint64_t);
            for (int i = 0; i < silos; i++) {
                cv_mask_peer peers[5];
                int n = 0;
                for (int j = 0; j < silos; j++)
                    if (j != i && !(left_out && i == 0 && j == 1))
                        pair_key(&peers[n++], i, j);
                for (int k = 0; k < N; k++) {
                    y[k] = (uint32_t)(k + i);
                    z[k] = (uint64_t)(k + i);
                }
                cv_masker *m = cv_masker_create(peers, n);
                for (uint64_t at = 0; at < N; at += 3000)
                    cv_masker_add_u32(m, y + at, at,
                                      N - at < 3000 ? N - at : 3000);
                cv_masker_destroy(&m);
                m = cv_masker_create(peers, n);
                cv_masker_add_u64(m, z, 0, N);
                cv_masker_destroy(&m);
                cv_f32_add_all(sum, y, N);
                cv_f61_add_all(sum61, z, N);
            }
            int wrong = 0;
            for (int k = 0; k < N; k++) {
                uint64_t want = 0;
                for (int i = 0; i < silos; i++)
                    want += (uint64_t)(k + i);
                wrong += sum[k] != want;
                wrong += sum61[k] != want;
            }
            if (left_out)
                assert_true(wrong > N);
            else
                assert_int_equal(wrong, 0);
            free(sum);
            free(y);
            free(sum61);
            free(z);
        }
}

/* With a limit far from a power of two, most words are drawn again: they must
 * still be uniform below it, and a word must not depend on the others. */
static void words_drawn_again_are_uniform(void **state)
{
    (void)state;
    enum { N = 400000, BINS = 64 };
    cv_mask_peer peer;
    pair_key(&peer, 3, 9);
    uint32_t limit = 0x50000001u;
    uint64_t limit64 = UINT64_C(0x1000000000000001);
    uint32_t *w = CV_NEW(N, uint32_t);
    uint64_t *x = CV_NEW(N, uint64_t);
    cv_mask_words_u32(&peer, w, N, limit);
    cv_mask_words_u64(&peer, x, N, limit64);
    double bins[2][BINS] = {{0}};
    for (int i = 0; i < N; i++) {
        assert_true(w[i] < limit && x[i] < limit64);
        bins[0][(uint64_t)w[i] * BINS / limit]++;
        bins[1][(uint64_t)((unsigned __int128)x[i] * BINS / limit64)]++;
    }
    for (int b = 0; b < 2; b++) {
        double chi = 0.0, want = (double)N / BINS;
        for (int k = 0; k < BINS; k++)
            chi += (bins[b][k] - want) * (bins[b][k] - want) / want;
        assert_true(chi < 63 + 5 * sqrt(2.0 * 63)); /* 5 sigma */
        assert_true(chi > 63 - 5 * sqrt(2.0 * 63));
    }
    /* Words accepted at once do not change with the limit. */
    uint32_t *v = CV_NEW(N, uint32_t);
    cv_mask_words_u32(&peer, v, N, CV_P32);
    int same = 0;
    for (int i = 0; i < N; i++) {
        if (v[i] < limit)
            assert_int_equal(v[i], w[i]);
        same += v[i] == w[i];
    }
    assert_true(same > N / 4 && same < N / 2);
    free(w);
    free(x);
    free(v);
}

/* Bytes under another secret look uniform: bit frequencies, and no bit in
 * common with those of a pair that differs in one member. */
static void streams_of_different_pairs_are_unrelated(void **state)
{
    (void)state;
    enum { N = 100000 };
    cv_mask_peer a, b;
    pair_key(&a, 1, 2);
    pair_key(&b, 1, 3);
    uint32_t *x = CV_NEW(N, uint32_t), *y = CV_NEW(N, uint32_t);
    cv_mask_words_u32(&a, x, N, CV_P32);
    cv_mask_words_u32(&b, y, N, CV_P32);
    for (int bit = 0; bit < 32; bit++) {
        int ones = 0, equal = 0;
        for (int i = 0; i < N; i++) {
            ones += x[i] >> bit & 1;
            equal += !((x[i] ^ y[i]) >> bit & 1);
        }
        assert_true(abs(ones - N / 2) < 5 * (int)sqrt(N / 4.0));
        assert_true(abs(equal - N / 2) < 5 * (int)sqrt(N / 4.0));
    }
    free(x);
    free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_cancel),
        cmocka_unit_test(words_drawn_again_are_uniform),
        cmocka_unit_test(streams_of_different_pairs_are_unrelated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

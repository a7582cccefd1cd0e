#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/hash.h"
#include "core/mem.h"
#include "io/design.h"
#include "io/siphash.h"

/* Target, then the row. NaN has many patterns; one is used. */
static void row_bytes(const cv_design *d, int64_t i, uint8_t *out)
{
    size_t n = (size_t)d->n_cols;
    float y = d->y ? d->y[i] : 0.0f;
    memcpy(out, &y, sizeof y);
    out += sizeof y;
    if (d->type == CV_TYPE_U8) {
        memcpy(out, (const uint8_t *)d->x + (size_t)i * n, n);
        return;
    }
    const float *x = (const float *)d->x + (size_t)i * n;
    for (size_t j = 0; j < n; j++) {
        float v = x[j] != x[j] ? NAN : x[j];
        memcpy(out + j * sizeof v, &v, sizeof v);
    }
}

/* SipHash rather than SHA-256 per row: nothing is hidden (seed and silo are
 * public), and it is three to four times as fast. */
void cv_design_split(const cv_design *d, double test_fraction, uint64_t seed,
                     const char *silo, uint8_t *is_test)
{
    static const char tag[] = "covey split";
    size_t cell = d->type == CV_TYPE_U8 ? 1 : sizeof(float);
    size_t len = sizeof(float) + (size_t)d->n_cols * cell;
    uint8_t *row = CV_NEW(len, uint8_t), seed_le[8], key[32];
    cv_sha256 *h = cv_sha256_create();
    cv_put_le64(seed_le, seed);
    cv_sha256_add(h, tag, sizeof tag);
    cv_sha256_add(h, seed_le, sizeof seed_le);
    cv_sha256_add(h, silo, strlen(silo));
    cv_sha256_end(h, key);
    cv_sha256_destroy(&h);
    for (int64_t i = 0; i < d->n_rows; i++) {
        row_bytes(d, i, row);
        double u = (double)(cv_siphash(key, row, len) >> 11) * 0x1p-53;
        is_test[i] = u < test_fraction;
    }
    free(row);
}

/* libFuzzer target: IDX files, plain or gzip. The first byte says where the
 * labels begin, in units of 8 bytes (0: none). */
#include <stdlib.h>
#include <string.h>

#include "io/table_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cv_source src = {.path = "f", .role = "data", .target = "label"};
    cv_row_filter wide = {.f64 = 1};
    cv_table *t = NULL;
    cv_err err;
    if (size == 0)
        return 0;
    size_t at = (size_t)data[0] * 8, n = size - 1;
    at = at == 0 || at > n ? n : at;
    uint8_t *images = malloc(at), *labels = malloc(n - at);
    memcpy(images, data + 1, at);
    memcpy(labels, data + 1 + at, n - at);
    for (int k = 0; k < 3; k++) {
        src.target_only = k == 1;
        src.filter = k == 2 ? &wide : NULL;
        cv_idx_parse(&src, images, at, at < n ? labels : NULL, n - at, &t,
                     &err);
        cv_table_destroy(&t);
    }
    free(images);
    free(labels);
    return 0;
}

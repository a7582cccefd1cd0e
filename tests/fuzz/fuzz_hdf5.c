/* libFuzzer target: HDF5 data files. The macro that comes with -fsanitize=fuzzer
 * switches the header checksums off. */
#include <stdlib.h>
#include <string.h>

#include "io/table_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const targets[] = {NULL, "sex"};
    cv_row_filter wide = {.f64 = 1};
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    for (int k = 0; k < 3; k++) {
        cv_source src = {.path = "f",
                         .role = "data",
                         .target = targets[k == 1],
                         .filter = k == 2 ? &wide : NULL,
                         .target_only = k == 1};
        cv_table *t = NULL;
        cv_err err;
        cv_hdf5_parse(&src, copy, size, &t, &err);
        cv_table_destroy(&t);
    }
    free(copy);
    return 0;
}

/* libFuzzer target: CSV text as a data file. */
#include <stdlib.h>
#include <string.h>

#include "io/table_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *levels[] = {"m", "f"};
    cv_feature features[] = {{.name = "sex", .type = CV_FEATURE_CATEGORY},
                             {.name = "ward",
                              .type = CV_FEATURE_CATEGORY,
                              .n_levels = 2,
                              .levels = levels},
                             {.name = "age", .type = CV_FEATURE_NUMBER}};
    cv_row_filter only = {.declared_only = 1};
    cv_row_filter wide[] = {{.f64 = 1}, {.f64 = 1, .declared_only = 1}};
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    for (int k = 0; k < 5; k++) {
        cv_source src = {.path = "f",
                         .role = "data",
                         .target = "y",
                         .features = features,
                         .n_features = 3,
                         .filter = k == 1   ? &only
                                   : k >= 3 ? &wide[k - 3]
                                            : NULL,
                         .target_only = k == 2};
        cv_table *t = NULL;
        cv_err err;
        if (cv_csv_parse(&src, text, size, &t, &err) == 0 &&
            cv_table_check_values(&src, t, &err) != 0)
            abort();
        cv_table_destroy(&t);
    }
    free(text);
    return 0;
}

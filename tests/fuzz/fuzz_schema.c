/* libFuzzer target: the schema text of another rank. What is accepted must come
 * back the same, and merge with itself. */
#include <stdlib.h>
#include <string.h>

#include "io/design.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    cv_schema *a = NULL, *b = NULL;
    cv_err err;
    if (cv_schema_from_text(text, &a, &err) == 0) {
        char *once = cv_schema_to_text(a);
        if (cv_schema_from_text(once, &b, &err) != 0)
            abort();
        char *twice = cv_schema_to_text(b);
        if (strcmp(once, twice) != 0 || cv_schema_merge(a, b, &err) != 0)
            abort();
        free(once);
        free(twice);
    }
    cv_schema_destroy(&a);
    cv_schema_destroy(&b);
    free(text);
    return 0;
}

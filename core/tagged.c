#include "core/tagged.h"

#include <string.h>

#include "core/bytes.h"
#include "core/hash.h"

static void add_length(cv_sha256 *h, size_t n)
{
    uint8_t word[8];
    cv_put_le64(word, n);
    cv_sha256_add(h, word, sizeof word);
}

void cv_tagged_hash(uint8_t out[32], const char *tag, const cv_part *parts,
                    size_t n_parts)
{
    cv_sha256 *h = cv_sha256_create();
    size_t n = strlen(tag);
    add_length(h, n);
    cv_sha256_add(h, tag, n);
    add_length(h, n_parts);
    for (size_t i = 0; i < n_parts; i++) {
        add_length(h, parts[i].len);
        cv_sha256_add(h, parts[i].data, parts[i].len);
    }
    cv_sha256_end(h, out);
    cv_sha256_destroy(&h);
}

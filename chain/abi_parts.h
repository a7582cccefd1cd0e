/** Inside chain/ only: the types of the contract ABI that are known here. */
#ifndef COVEY_CHAIN_ABI_PARTS_H
#define COVEY_CHAIN_ABI_PARTS_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    CV_ABI_UINT,
    CV_ABI_BOOL,
    CV_ABI_ADDRESS,
    CV_ABI_FIXED, /* bytes1 to bytes32 */
    CV_ABI_BYTES, /* bytes, string: of any length */
} cv_abi_kind;

typedef struct {
    cv_abi_kind kind;
    size_t size;  /* bytes of a word that are in use; CV_ABI_BYTES: 0 */
    int is_array; /* T[] */
} cv_abi_type;

/** The type at *at, which moves behind it and its comma. A text that is no type
 *  of ours is a bug (CV_CHECK), for all of them are written in the program. */
cv_abi_type cv_abi_next_type(const char **at);

/** Bytes of the head of all types from `at`, which is behind the parenthesis:
 *  32 each. */
size_t cv_abi_head_size(const char *at);

static inline int cv_abi_is_dynamic(const cv_abi_type *t)
{
    return t->is_array || t->kind == CV_ABI_BYTES;
}

/** What is wrong with a word of this static type; NULL: nothing. */
const char *cv_abi_word_fault(const cv_abi_type *t, const uint8_t word[32]);

#endif

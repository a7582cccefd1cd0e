/* The reading half of chain/abi.h. */
#include <string.h>

#include "chain/abi.h"
#include "chain/abi_parts.h"

void cv_abi_open(cv_abi_reader *r, const char *types, const void *data,
                 size_t n)
{
    CV_CHECK(types[0] == '(');
    size_t head_size = cv_abi_head_size(types + 1);
    *r = (cv_abi_reader){.data = data,
                         .n = n,
                         .tail = head_size,
                         .head_size = head_size,
                         .type = types + 1};
    if (n < head_size)
        r->fault = "fewer bytes than it has values";
}

/* The head's next word, for a value of this sort; NULL after a fault. */
static const uint8_t *next_word(cv_abi_reader *r, cv_abi_type *t)
{
    CV_CHECK(*r->type != ')'); /* a value too many is asked for */
    *t = cv_abi_next_type(&r->type);
    const uint8_t *word = r->fault ? NULL : r->data + r->head;
    r->head += 32;
    return word;
}

static const uint8_t *take_static(cv_abi_reader *r, cv_abi_kind kind)
{
    static const uint8_t zero[32];
    cv_abi_type t;
    const uint8_t *word = next_word(r, &t);
    CV_CHECK(t.kind == kind && !t.is_array);
    if (word)
        r->fault = cv_abi_word_fault(&t, word);
    return r->fault ? zero : word;
}

void cv_abi_take_u256(cv_abi_reader *r, cv_u256 *out)
{
    memcpy(out->b, take_static(r, CV_ABI_UINT), sizeof out->b);
}

uint64_t cv_abi_take_u64(cv_abi_reader *r)
{
    cv_u256 wide;
    uint64_t v = 0;
    cv_abi_take_u256(r, &wide);
    if (cv_u256_to_u64(&v, &wide) != 0)
        r->fault = "a number above 2^64 - 1";
    return v;
}

int cv_abi_take_bool(cv_abi_reader *r)
{
    return take_static(r, CV_ABI_BOOL)[31];
}

void cv_abi_take_address(cv_abi_reader *r, cv_address *out)
{
    memcpy(out->b, take_static(r, CV_ABI_ADDRESS) + 12, sizeof out->b);
}

void cv_abi_take_bytes32(cv_abi_reader *r, uint8_t out[32])
{
    memcpy(out, take_static(r, CV_ABI_FIXED), 32);
}

/* A place in the tail and the length there, times size, rounded up to whole
 * words: what a writer would have put, or a fault. */
static const uint8_t *take_tail(cv_abi_reader *r, const uint8_t *place,
                                size_t size, size_t *n)
{
    cv_u256 word;
    uint64_t v;
    *n = 0;
    if (r->fault)
        return NULL;
    memcpy(word.b, place, sizeof word.b);
    if (cv_u256_to_u64(&v, &word) != 0 || v != r->tail) {
        r->fault = "an offset that leads elsewhere than to the next value";
        return NULL;
    }
    size_t rest = r->n - r->tail;
    if (rest < 32) {
        r->fault = "an end where a length should be";
        return NULL;
    }
    memcpy(word.b, r->data + r->tail, sizeof word.b);
    rest = (rest - 32) / 32 * 32; /* whole words */
    if (cv_u256_to_u64(&v, &word) != 0 || v > rest / size) {
        r->fault = "a length beyond the end";
        return NULL;
    }
    const uint8_t *payload = r->data + r->tail + 32;
    *n = (size_t)v;
    r->tail += 32 + (*n * size + 31) / 32 * 32;
    return payload;
}

void cv_abi_take_bytes(cv_abi_reader *r, const uint8_t **out, size_t *n)
{
    cv_abi_type t;
    const uint8_t *place = next_word(r, &t);
    CV_CHECK(t.kind == CV_ABI_BYTES);
    const uint8_t *payload = take_tail(r, place, 1, n);
    for (size_t i = *n; !r->fault && i % 32; i++)
        if (payload[i])
            r->fault = "padding that is not zero";
    if (r->fault)
        *n = 0;
    *out = r->fault ? (const uint8_t *)"" : payload;
}

void cv_abi_take_words(cv_abi_reader *r, const uint8_t **out, size_t *n)
{
    cv_abi_type t;
    const uint8_t *place = next_word(r, &t);
    CV_CHECK(t.is_array);
    const uint8_t *payload = take_tail(r, place, 32, n);
    for (size_t i = 0; !r->fault && i < *n; i++)
        r->fault = cv_abi_word_fault(&t, payload + 32 * i);
    if (r->fault)
        *n = 0;
    *out = r->fault ? (const uint8_t *)"" : payload;
}

int cv_abi_close(cv_abi_reader *r, const char *what, cv_err *err)
{
    CV_CHECK(*r->type == ')'); /* a value was not taken */
    if (!r->fault && r->tail != r->n)
        r->fault = "bytes after the last value";
    if (!r->fault)
        return 0;
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                      "%s: expected the values that this contract gives, found "
                      "%s; the contract at this address is another one, or the "
                      "node does not tell what is there",
                      what, r->fault);
}

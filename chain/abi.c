#include "chain/abi.h"

#include <string.h>

#include "chain/abi_parts.h"
#include "chain/keccak.h"

void cv_abi_topic(uint8_t out[32], const char *signature)
{
    cv_keccak_of(out, signature, strlen(signature));
}

void cv_abi_selector(uint8_t out[4], const char *signature)
{
    uint8_t topic[32];
    cv_abi_topic(topic, signature);
    memcpy(out, topic, 4);
}

/* ---- types ------------------------------------------------------------------
 */

/* A number without leading zeros at *at, which moves behind it. */
static unsigned number_at(const char **at)
{
    unsigned n = 0;
    CV_CHECK(**at >= '1' && **at <= '9');
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        n = 10 * n + (unsigned)(**at - '0');
        CV_CHECK(n <= 256);
    }
    return n;
}

static int skip_word(const char **at, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0)
        return 0;
    *at += n;
    return 1;
}

cv_abi_type cv_abi_next_type(const char **at)
{
    cv_abi_type t = {0};
    if (skip_word(at, "uint")) {
        unsigned bits = number_at(at);
        CV_CHECK(bits % 8 == 0);
        t = (cv_abi_type){.kind = CV_ABI_UINT, .size = bits / 8};
    } else if (skip_word(at, "bool")) {
        t = (cv_abi_type){.kind = CV_ABI_BOOL, .size = 1};
    } else if (skip_word(at, "address")) {
        t = (cv_abi_type){.kind = CV_ABI_ADDRESS, .size = 20};
    } else if (skip_word(at, "string")) {
        t = (cv_abi_type){.kind = CV_ABI_BYTES};
    } else {
        CV_CHECK(skip_word(at, "bytes"));
        t = (cv_abi_type){.kind = CV_ABI_BYTES};
        if (**at >= '0' && **at <= '9')
            t = (cv_abi_type){.kind = CV_ABI_FIXED, .size = number_at(at)};
        CV_CHECK(t.size <= 32);
    }
    t.is_array = skip_word(at, "[]");
    CV_CHECK(!t.is_array || t.kind != CV_ABI_BYTES);
    if (**at != ',') {
        CV_CHECK(strcmp(*at, ")") == 0);
        return t;
    }
    ++*at;
    CV_CHECK(**at != ')');
    return t;
}

size_t cv_abi_head_size(const char *at)
{
    size_t n = 0;
    while (*at != ')') {
        cv_abi_next_type(&at);
        n += 32;
    }
    CV_CHECK(at[1] == '\0');
    return n;
}

const char *cv_abi_word_fault(const cv_abi_type *t, const uint8_t word[32])
{
    size_t from = t->kind == CV_ABI_FIXED ? t->size : 0;
    size_t to = t->kind == CV_ABI_FIXED ? 32 : 32 - t->size;
    for (size_t i = from; i < to; i++)
        if (word[i])
            return "a word with more in it than its type may have";
    if (t->kind == CV_ABI_BOOL && word[31] > 1)
        return "a bool that is neither 0 nor 1";
    return NULL;
}

/* ---- writing ----------------------------------------------------------------
 */

void cv_abi_begin(cv_abi_writer *w, const char *signature)
{
    const char *open = strchr(signature, '(');
    CV_CHECK(open);
    *w = (cv_abi_writer){.type = open + 1, .selector = open != signature};
    w->head_size = cv_abi_head_size(w->type);
    if (w->selector)
        cv_abi_selector(w->first, signature);
}

static cv_abi_type next_argument(cv_abi_writer *w)
{
    CV_CHECK(*w->type != ')'); /* an argument too many */
    return cv_abi_next_type(&w->type);
}

/* The word of an argument's place in the tail, and its length there. */
static void begin_tail(cv_abi_writer *w, size_t n)
{
    cv_u256 offset = cv_u256_of(w->head_size + w->tail.len);
    cv_u256 length = cv_u256_of(n);
    cv_buf_add(&w->head, offset.b, 32);
    cv_buf_add(&w->tail, length.b, 32);
}

static void put_static(cv_abi_writer *w, cv_abi_kind kind,
                       const uint8_t word[32])
{
    cv_abi_type t = next_argument(w);
    CV_CHECK(t.kind == kind && !t.is_array);
    CV_CHECK(!cv_abi_word_fault(&t, word));
    cv_buf_add(&w->head, word, 32);
}

void cv_abi_put_u64(cv_abi_writer *w, uint64_t v)
{
    cv_u256 wide = cv_u256_of(v);
    put_static(w, CV_ABI_UINT, wide.b);
}

void cv_abi_put_u256(cv_abi_writer *w, const cv_u256 *v)
{
    put_static(w, CV_ABI_UINT, v->b);
}

void cv_abi_put_bool(cv_abi_writer *w, int v)
{
    cv_u256 word = cv_u256_of(v != 0);
    put_static(w, CV_ABI_BOOL, word.b);
}

void cv_abi_put_address(cv_abi_writer *w, const cv_address *a)
{
    uint8_t word[32] = {0};
    memcpy(word + 12, a->b, sizeof a->b);
    put_static(w, CV_ABI_ADDRESS, word);
}

void cv_abi_put_bytes32(cv_abi_writer *w, const uint8_t v[32])
{
    put_static(w, CV_ABI_FIXED, v);
}

void cv_abi_put_bytes(cv_abi_writer *w, const void *data, size_t n)
{
    static const uint8_t zero[32];
    cv_abi_type t = next_argument(w);
    CV_CHECK(t.kind == CV_ABI_BYTES);
    begin_tail(w, n);
    cv_buf_add(&w->tail, data, n);
    cv_buf_add(&w->tail, zero, (32 - n % 32) % 32);
}

void cv_abi_put_words(cv_abi_writer *w, const uint8_t *v, size_t n)
{
    cv_abi_type t = next_argument(w);
    CV_CHECK(t.is_array);
    begin_tail(w, n);
    for (size_t i = 0; i < n; i++)
        CV_CHECK(!cv_abi_word_fault(&t, v + 32 * i));
    cv_buf_add(&w->tail, v, 32 * n);
}

void cv_abi_put_bytes32s(cv_abi_writer *w, const uint8_t *v, size_t n)
{
    const char *at = w->type;
    cv_abi_type t = cv_abi_next_type(&at);
    CV_CHECK(t.kind == CV_ABI_FIXED && t.size == 32);
    cv_abi_put_words(w, v, n);
}

void cv_abi_put_addresses(cv_abi_writer *w, const cv_address *a, size_t n)
{
    cv_abi_type t = next_argument(w);
    uint8_t word[32] = {0};
    CV_CHECK(t.kind == CV_ABI_ADDRESS && t.is_array);
    begin_tail(w, n);
    for (size_t i = 0; i < n; i++) {
        memcpy(word + 12, a[i].b, sizeof a[i].b);
        cv_buf_add(&w->tail, word, sizeof word);
    }
}

void cv_abi_end(cv_abi_writer *w, cv_buf *out)
{
    CV_CHECK(*w->type == ')'); /* an argument is missing */
    cv_buf_add(out, w->first, w->selector ? sizeof w->first : 0);
    cv_buf_add(out, w->head.data, w->head.len);
    cv_buf_add(out, w->tail.data, w->tail.len);
    cv_buf_free(&w->head);
    cv_buf_free(&w->tail);
}

/* libFuzzer target: answers of contracts. What is accepted has one form only, so
 * it is written again as it was.
 *
 * The first byte says how many types there are, the next ones which; the rest
 * is the answer.  If the first byte is odd, the rest is what an answer is made
 * of, and after a quarter of it a list of (place, byte) that changes that: so
 * that an empty corpus gets past the offsets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/abi.h"
#include "core/mem.h"

enum { MOST = 7 };
typedef enum { NUMBER, WIDE, TRUTH, ADDRESS, WORD, BYTES, WORDS } sort;

typedef struct {
    char name[16];
    sort sort;
    size_t width; /* bytes in use of a word, or of an array's word */
    int at_left;
} type;

typedef struct {
    cv_u256 word;
    const uint8_t *data;
    size_t n;
} value;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static type type_of(uint8_t byte)
{
    unsigned width = 1 + byte % 32u;
    type t = {.width = width};
    switch (byte / 32) {
    case 0:
    case 1:
        t.sort = width <= 8 ? NUMBER : WIDE;
        snprintf(t.name, sizeof t.name, "uint%u", 8 * width);
        return t;
    case 2:
        t.sort = WORD;
        t.at_left = 1;
        snprintf(t.name, sizeof t.name, "bytes%u", width);
        return t;
    case 3:
        t.sort = WORDS;
        snprintf(t.name, sizeof t.name, "uint%u[]", 8 * width);
        return t;
    case 4:
        t.sort = WORDS;
        t.at_left = 1;
        snprintf(t.name, sizeof t.name, "bytes%u[]", width);
        return t;
    default:
        break;
    }
    static const type others[] = {
        {"bool", TRUTH, 1, 0},   {"address", ADDRESS, 20, 0},
        {"bytes", BYTES, 0, 0},  {"string", BYTES, 0, 0},
        {"bool[]", WORDS, 1, 0}, {"address[]", WORDS, 20, 0}};
    return others[byte % 6];
}

static void take(cv_abi_reader *r, const type *t, value *v)
{
    cv_address a;
    switch (t->sort) {
    case NUMBER:
        v->word = cv_u256_of(cv_abi_take_u64(r));
        break;
    case WIDE:
        cv_abi_take_u256(r, &v->word);
        break;
    case TRUTH:
        v->word = cv_u256_of((uint64_t)cv_abi_take_bool(r));
        break;
    case ADDRESS:
        cv_abi_take_address(r, &a);
        memset(v->word.b, 0, 12);
        memcpy(v->word.b + 12, a.b, sizeof a.b);
        break;
    case WORD:
        cv_abi_take_bytes32(r, v->word.b);
        break;
    case BYTES:
        cv_abi_take_bytes(r, &v->data, &v->n);
        break;
    case WORDS:
        cv_abi_take_words(r, &v->data, &v->n);
        break;
    }
    CV_CHECK(!r->fault || (cv_u256_is_zero(&v->word) && v->n == 0));
}

static void put(cv_abi_writer *w, const type *t, const value *v)
{
    cv_address a;
    uint64_t small = 0;
    switch (t->sort) {
    case NUMBER:
        CV_CHECK(cv_u256_to_u64(&small, &v->word) == 0);
        cv_abi_put_u64(w, small);
        break;
    case WIDE:
        cv_abi_put_u256(w, &v->word);
        break;
    case TRUTH:
        cv_abi_put_bool(w, v->word.b[31]);
        break;
    case ADDRESS:
        memcpy(a.b, v->word.b + 12, sizeof a.b);
        cv_abi_put_address(w, &a);
        break;
    case WORD:
        cv_abi_put_bytes32(w, v->word.b);
        break;
    case BYTES:
        cv_abi_put_bytes(w, v->data, v->n);
        break;
    case WORDS:
        cv_abi_put_words(w, v->data, v->n);
        break;
    }
}

static int check_answer(const char *types, const type *t, size_t n_types,
                        const uint8_t *data, size_t n)
{
    cv_abi_reader r;
    cv_abi_writer w;
    cv_err err = {0};
    value v[MOST] = {0};
    cv_abi_open(&r, types, data, n);
    for (size_t i = 0; i < n_types; i++)
        take(&r, &t[i], &v[i]);
    int rc = cv_abi_close(&r, "answer", &err);
    CV_CHECK(!rc || (rc == CV_ERR_VERIFY && err.text[0]));
    if (rc)
        return rc;
    cv_buf again = {0};
    cv_abi_begin(&w, types);
    for (size_t i = 0; i < n_types; i++)
        put(&w, &t[i], &v[i]);
    cv_abi_end(&w, &again);
    CV_CHECK(again.len == n && (!n || memcmp(again.data, data, n) == 0));
    cv_buf_free(&again);
    return 0;
}

/* A word that its type may have, from the next bytes. */
static void next_word(uint8_t out[32], const type *t, const uint8_t **at,
                      const uint8_t *end)
{
    memset(out, 0, 32);
    size_t n = t->width < (size_t)(end - *at) ? t->width : (size_t)(end - *at);
    memcpy(t->at_left ? out : out + 32 - t->width, *at, n);
    *at += n;
    if (strncmp(t->name, "bool", 4) == 0)
        out[31] &= 1;
}

static void made_answer(cv_buf *out, const char *types, const type *t,
                        size_t n_types, const uint8_t *at, const uint8_t *end)
{
    cv_abi_writer w;
    cv_abi_begin(&w, types);
    for (size_t i = 0; i < n_types; i++) {
        uint8_t words[4][32];
        value v = {.data = words[0]};
        next_word(v.word.b, &t[i], &at, end);
        v.n = at < end ? *at++ % 5u : 0; /* words */
        for (size_t k = 0; k < v.n; k++)
            next_word(words[k], &t[i], &at, end);
        if (t[i].sort == BYTES) {
            v.n = v.n * 32 < (size_t)(end - at) ? v.n * 32 : (size_t)(end - at);
            v.data = at;
            at += v.n;
        }
        put(&w, &t[i], &v);
    }
    cv_abi_end(&w, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    type t[MOST];
    char types[16 * MOST + 3] = "(";
    if (size == 0)
        return 0;
    size_t n_types = data[0] / 2 % (MOST + 1u), made = data[0] % 2;
    if (size < 1 + n_types)
        return 0;
    for (size_t i = 0; i < n_types; i++) {
        t[i] = type_of(data[1 + i]);
        strcat(types, i ? "," : "");
        strcat(types, t[i].name);
    }
    strcat(types, ")");
    data += 1 + n_types;
    size -= 1 + n_types;
    if (!made) {
        check_answer(types, t, n_types, data, size);
        return 0;
    }
    cv_buf answer = {0};
    size_t quarter = size / 4;
    made_answer(&answer, types, t, n_types, data, data + quarter);
    uint8_t *copy = malloc(answer.len ? answer.len : 1);
    if (answer.len)
        memcpy(copy, answer.data, answer.len);
    CV_CHECK(check_answer(types, t, n_types, copy, answer.len) == 0);
    for (size_t i = quarter; answer.len && i + 3 <= size; i += 3)
        copy[(data[i] | (size_t)data[i + 1] << 8) % answer.len] = data[i + 2];
    check_answer(types, t, n_types, copy, answer.len);
    free(copy);
    cv_buf_free(&answer);
    return 0;
}

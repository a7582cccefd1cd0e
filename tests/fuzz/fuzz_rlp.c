/* libFuzzer target: RLP and signed transactions from anybody. What is accepted
 * has one form only, so it is written again as it was.
 *
 * An input that begins with '+' is a list of (place, byte) that changes one of
 * the tests' transactions, one with '*' is put in place of one of its fields: so
 * that an empty corpus gets past the lengths.
 */
#include <stdlib.h>
#include <string.h>

#include "chain/rlp.h"
#include "chain/transaction.h"
#include "core/mem.h"
#include "tests/chain/tx_vectors.h"

enum { N_VECTORS = sizeof tx_vectors / sizeof tx_vectors[0], DEPTH = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const cv_buf *found, const void *data, size_t n)
{
    CV_CHECK(found->len == n && (!n || memcmp(found->data, data, n) == 0));
}

static void check_integer(const cv_rlp_item *item)
{
    cv_err err = {0};
    cv_buf bytes = {0}, again = {0};
    uint64_t small;
    cv_u256 wide;
    int rc = cv_rlp_to_u256(&wide, item, &err);
    CV_CHECK(!rc || (rc == CV_ERR_VERIFY && err.text[0]));
    if (!rc) {
        cv_rlp_put_bytes(&bytes, item->data, item->n);
        cv_rlp_put_u256(&again, &wide);
        check_same(&again, bytes.data, bytes.len);
        cv_buf_free(&again);
    }
    CV_CHECK((cv_rlp_to_u64(&small, item, &err) == 0) ==
             (!rc && item->n <= sizeof small));
    if (!rc && item->n <= sizeof small) {
        cv_rlp_put_u64(&again, small);
        check_same(&again, bytes.data, bytes.len);
    }
    cv_buf_free(&bytes);
    cv_buf_free(&again);
}

/* Append the items of [at, end) as they are read. Lists below DEPTH are copied
 * as they are. Returns 0, or -1 if one is refused. */
static int copy_items(cv_buf *out, const uint8_t *at, const uint8_t *end,
                      int depth)
{
    int rc = 0;
    while (!rc && at < end) {
        cv_rlp_item item;
        cv_err err = {0};
        const uint8_t *start = at;
        if (cv_rlp_next(&item, &at, end, &err) != 0) {
            CV_CHECK(err.code == CV_ERR_VERIFY && err.text[0] && at == start);
            return -1;
        }
        CV_CHECK(item.data >= start && item.data + item.n == at && at <= end);
        check_integer(&item);
        cv_buf inner = {0};
        if (!item.is_list) {
            cv_rlp_put_bytes(out, item.data, item.n);
            continue;
        }
        if (depth < DEPTH)
            rc = copy_items(&inner, item.data, at, depth + 1);
        else
            cv_buf_add(&inner, item.data, item.n);
        cv_rlp_put_list(out, &inner);
        cv_buf_free(&inner);
    }
    return rc;
}

/* The fields that are signed come from cv_tx_unsigned, the signature from its
 * place behind them. */
static void check_transaction(const uint8_t *data, size_t n)
{
    cv_tx tx;
    cv_address sender;
    cv_err err = {0};
    int rc = cv_tx_read(&tx, &sender, data, n, &err);
    CV_CHECK(!rc || (rc == CV_ERR_VERIFY && err.text[0]));
    if (rc)
        return;
    CV_CHECK(tx.gas > 0 && tx.gas <= CV_TX_MAX_GAS);
    CV_CHECK(cv_u256_cmp(&tx.tip, &tx.max_fee) <= 0);
    cv_buf text = {0}, fields = {0}, raw = {0};
    cv_rlp_item list, signed_list, part;
    cv_tx_unsigned(&text, &tx);
    const uint8_t *at = data + 1, *from = (const uint8_t *)text.data + 1;
    CV_CHECK(cv_rlp_next(&list, &at, data + n, NULL) == 0);
    CV_CHECK(cv_rlp_next(&signed_list, &from,
                         (const uint8_t *)text.data + text.len, NULL) == 0);
    CV_CHECK(signed_list.n < list.n);
    cv_buf_add(&fields, signed_list.data, signed_list.n);
    at = list.data + signed_list.n;
    for (int i = 0; i < 3; i++) {
        cv_u256 v;
        CV_CHECK(cv_rlp_next(&part, &at, list.data + list.n, NULL) == 0);
        CV_CHECK(cv_rlp_to_u256(&v, &part, NULL) == 0);
        cv_rlp_put_u256(&fields, &v);
    }
    cv_buf_add(&raw, "\x02", 1);
    cv_rlp_put_list(&raw, &fields);
    check_same(&raw, data, n);
    cv_buf_free(&text);
    cv_buf_free(&fields);
    cv_buf_free(&raw);
}

static void changed_transaction(const uint8_t *data, size_t size)
{
    const char *hex = tx_vectors[size ? data[0] % N_VECTORS : 0].raw;
    size_t n = strlen(hex) / 2;
    uint8_t *raw = malloc(n); /* exactly, for the sanitizer */
    CV_CHECK(raw && cv_unhex(raw, hex, n) == 0);
    for (size_t i = 1; i + 3 <= size; i += 3)
        raw[(data[i] | (size_t)data[i + 1] << 8) % n] = data[i + 2];
    check_transaction(raw, n);
    free(raw);
}

/* The rest of the input instead of field data[1]. */
static void changed_field(const uint8_t *data, size_t size)
{
    if (size < 2)
        return;
    const char *hex = tx_vectors[data[0] % N_VECTORS].raw;
    size_t n = strlen(hex) / 2;
    uint8_t *raw = cv_calloc(n, 1);
    CV_CHECK(cv_unhex(raw, hex, n) == 0);
    const uint8_t *at = raw + 1;
    cv_rlp_item list, item;
    cv_buf fields = {0}, out = {0};
    CV_CHECK(cv_rlp_next(&list, &at, raw + n, NULL) == 0);
    at = list.data;
    for (int i = 0; at < list.data + list.n; i++) {
        const uint8_t *start = at;
        CV_CHECK(cv_rlp_next(&item, &at, list.data + list.n, NULL) == 0);
        if (i == data[1] % 12)
            cv_buf_add(&fields, data + 2, size - 2);
        else
            cv_buf_add(&fields, start, (size_t)(at - start));
    }
    cv_buf_add(&out, "\x02", 1);
    cv_rlp_put_list(&out, &fields);
    check_transaction((const uint8_t *)out.data, out.len);
    cv_buf_free(&fields);
    cv_buf_free(&out);
    free(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && data[0] == '*') {
        changed_field(data + 1, size - 1);
        return 0;
    }
    if (size && data[0] == '+') {
        changed_transaction(data + 1, size - 1);
        return 0;
    }
    cv_buf out = {0};
    if (copy_items(&out, data, data + size, 0) == 0)
        check_same(&out, data, size);
    cv_buf_free(&out);
    check_transaction(data, size);
    return 0;
}

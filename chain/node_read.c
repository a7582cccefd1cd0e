/* Blocks and receipts, member by member. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "chain/node_parts.h"
#include "core/mem.h"

/* The text of v, or NULL: no text, or one with a NUL within. */
static const char *text_of(const json_t *v)
{
    const char *s = json_string_value(v);
    return s && strlen(s) == json_string_length(v) ? s : NULL;
}

int cv_json_u256(cv_u256 *out, const json_t *v)
{
    const char *s = text_of(v);
    return s ? cv_u256_from_quantity(out, s) : -1;
}

int cv_json_u64(uint64_t *out, const json_t *v)
{
    cv_u256 wide;
    return cv_json_u256(&wide, v) ? -1 : cv_u256_to_u64(out, &wide);
}

int cv_json_fixed(uint8_t *out, size_t n, const json_t *v)
{
    const char *s = text_of(v);
    /* cv_unhex does not ask for the 0x. */
    return s && s[0] == '0' && s[1] == 'x' ? cv_unhex(out, s, n) : -1;
}

int cv_json_bytes(cv_buf *out, const json_t *v)
{
    size_t n = json_string_length(v);
    if (n < 2 || n % 2)
        return -1;
    uint8_t *bytes = CV_NEW(n / 2, uint8_t);
    int rc = cv_json_fixed(bytes, n / 2 - 1, v);
    if (rc == 0)
        cv_buf_add(out, bytes, n / 2 - 1);
    free(bytes);
    return rc;
}

static int wrong(cv_err *err, const char *what, const char *member,
                 const char *expected)
{
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                      "the node's answer cannot be: expected %s in member %s "
                      "of a %s; use another node",
                      expected, member, what);
}

/* ---- blocks -----------------------------------------------------------------
 */

int cv_node_read_block(cv_block *out, int pending, const json_t *v, cv_err *err)
{
    const json_t *hash = json_object_get(v, "hash");
    memset(out, 0, sizeof *out);
    if (cv_json_u64(&out->number, json_object_get(v, "number")))
        return wrong(err, "block", "number", "a quantity below 2^64");
    if (cv_json_u64(&out->time, json_object_get(v, "timestamp")))
        return wrong(err, "block", "timestamp", "a quantity below 2^64");
    if (!(pending && json_is_null(hash)) && cv_json_fixed(out->hash, 32, hash))
        return wrong(err, "block", "hash", "32 bytes");
    if (cv_json_u256(&out->base_fee, json_object_get(v, "baseFeePerGas")))
        return wrong(err, "block", "baseFeePerGas", "a quantity");
    return 0;
}

/* ---- receipts ---------------------------------------------------------------
 */

/* A member that repeats what the receipt says: absent, or the same. */
static int repeats(const json_t *entry, const char *member,
                   const uint8_t expected[32])
{
    const json_t *v = json_object_get(entry, member);
    uint8_t found[32];
    return !v || (cv_json_fixed(found, 32, v) == 0 &&
                  memcmp(found, expected, 32) == 0);
}

static int read_log(cv_log_entry *log, const cv_receipt *r, const json_t *v,
                    cv_err *err)
{
    const json_t *topics = json_object_get(v, "topics");
    cv_buf data = {0};
    if (cv_json_fixed(log->contract.b, CV_ADDRESS_BYTES,
                      json_object_get(v, "address")))
        return wrong(err, "log", "address", "20 bytes");
    if (!json_is_array(topics) || json_array_size(topics) > 4)
        return wrong(err, "log", "topics", "up to four topics");
    for (size_t i = 0; i < json_array_size(topics); i++)
        if (cv_json_fixed(log->topic[i], 32, json_array_get(topics, i)))
            return wrong(err, "log", "topics", "32 bytes each");
    log->n_topics = (int)json_array_size(topics);
    if (!repeats(v, "transactionHash", r->tx_hash))
        return wrong(err, "log", "transactionHash", "that of the receipt");
    if (!repeats(v, "blockHash", r->block_hash))
        return wrong(err, "log", "blockHash", "that of the receipt");
    if (json_is_true(json_object_get(v, "removed")))
        return wrong(err, "log", "removed", "false");
    if (cv_json_bytes(&data, json_object_get(v, "data")))
        return wrong(err, "log", "data", "bytes in hexadecimal");
    log->data = (uint8_t *)data.data;
    log->n_data = data.len;
    return 0;
}

static int read_logs(cv_receipt *r, const json_t *v, cv_err *err)
{
    if (!json_is_array(v))
        return wrong(err, "receipt", "logs", "a list");
    /* What a reverted transaction did is undone, its logs included. */
    if (!r->status && json_array_size(v) > 0)
        return wrong(err, "receipt", "logs",
                     "none, for the transaction was reverted,");
    r->log = CV_NEW(json_array_size(v), cv_log_entry);
    int rc = 0;
    for (size_t i = 0; !rc && i < json_array_size(v); i++, r->n_logs++)
        rc = read_log(&r->log[i], r, json_array_get(v, i), err);
    return rc;
}

/* The members that say where, and what it cost. */
static int read_place(cv_receipt *r, const json_t *v, cv_err *err)
{
    const json_t *l1_fee = json_object_get(v, "l1Fee");
    const json_t *contract = json_object_get(v, "contractAddress");
    uint64_t status = 0;
    if (cv_json_fixed(r->block_hash, 32, json_object_get(v, "blockHash")))
        return wrong(err, "receipt", "blockHash", "32 bytes");
    if (cv_json_u64(&r->block_number, json_object_get(v, "blockNumber")))
        return wrong(err, "receipt", "blockNumber", "a quantity below 2^64");
    if (cv_json_u64(&status, json_object_get(v, "status")) || status > 1)
        return wrong(err, "receipt", "status", "0x0 or 0x1");
    r->status = (int)status;
    if (cv_json_u64(&r->gas_used, json_object_get(v, "gasUsed")))
        return wrong(err, "receipt", "gasUsed", "a quantity below 2^64");
    if (cv_json_u256(&r->gas_price, json_object_get(v, "effectiveGasPrice")))
        return wrong(err, "receipt", "effectiveGasPrice", "a quantity");
    if (l1_fee && !json_is_null(l1_fee) && cv_json_u256(&r->l1_fee, l1_fee))
        return wrong(err, "receipt", "l1Fee", "a quantity");
    r->made_contract = contract && !json_is_null(contract);
    if (r->made_contract &&
        cv_json_fixed(r->contract.b, CV_ADDRESS_BYTES, contract))
        return wrong(err, "receipt", "contractAddress", "20 bytes or null");
    return 0;
}

int cv_node_read_receipt(cv_receipt *out, const uint8_t hash[32],
                         const json_t *v, cv_err *err)
{
    memset(out, 0, sizeof *out);
    if (json_is_null(v))
        return 0;
    if (!json_is_object(v))
        return wrong(err, "call", "result", "a receipt or null");
    if (cv_json_fixed(out->tx_hash, 32, json_object_get(v, "transactionHash")))
        return wrong(err, "receipt", "transactionHash", "32 bytes");
    if (memcmp(out->tx_hash, hash, 32) != 0)
        return wrong(err, "receipt", "transactionHash",
                     "the transaction that was asked for");
    /* Some nodes make receipts of what only waits. */
    if (json_is_null(json_object_get(v, "blockHash")))
        return 0;
    int rc = read_place(out, v, err);
    if (!rc)
        rc = read_logs(out, json_object_get(v, "logs"), err);
    out->found = !rc;
    return rc;
}

void cv_receipt_free(cv_receipt *r)
{
    for (size_t i = 0; i < r->n_logs; i++)
        free(r->log[i].data);
    free(r->log);
    memset(r, 0, sizeof *r);
}

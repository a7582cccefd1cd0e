#include "chain/node.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "chain/abi.h"
#include "chain/keccak.h"
#include "chain/node_parts.h"
#include "core/mem.h"

/* Where OP chains keep their GasPriceOracle. */
static const cv_address oracle = {
    {0x42, [19] = 0x0f},
};

/* Less gas than any transaction uses. */
#define LEAST_GAS 21000

/* ---- parameters -------------------------------------------------------------
 */

static json_t *hex_json(const void *data, size_t n)
{
    char *text = CV_NEW(2 * n + 3, char);
    memcpy(text, "0x", 2);
    cv_hex(text + 2, data, n);
    json_t *v = json_string(text);
    free(text);
    return v;
}

static json_t *address_json(const cv_address *a)
{
    return hex_json(a->b, sizeof a->b);
}

static const char *tag_name(cv_block_tag tag)
{
    switch (tag) {
    case CV_BLOCK_SAFE:
        return "safe";
    case CV_BLOCK_FINALIZED:
        return "finalized";
    case CV_BLOCK_PENDING:
        return "pending";
    default:
        return "latest";
    }
}

/* What eth_call and eth_estimateGas ask about. */
static json_t *call_json(const cv_address *from, const cv_address *to,
                         const void *data, size_t n)
{
    json_t *v = json_object();
    if (from)
        json_object_set_new(v, "from", address_json(from));
    if (to)
        json_object_set_new(v, "to", address_json(to));
    json_object_set_new(v, "data", hex_json(data, n));
    return v;
}

static int wrong(cv_err *err, const char *method, const char *expected)
{
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                      "the node's answer to %s cannot be: expected %s; use "
                      "another node",
                      method, expected);
}

/* An error that is an answer after all. */
static int forgive(cv_err *err)
{
    if (err)
        memset(err, 0, sizeof *err);
    return 0;
}

/* ---- blocks -----------------------------------------------------------------
 */

int cv_node_check_chain(cv_rpc *rpc, uint64_t chain_id, cv_err *err)
{
    json_t *v = NULL;
    uint64_t found = 0;
    int rc = cv_rpc_call(rpc, "eth_chainId", json_array(), &v, NULL, NULL, err);
    if (!rc && cv_json_u64(&found, v))
        rc = wrong(err, "eth_chainId", "a quantity below 2^64");
    if (!rc && found != chain_id)
        rc =
            cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                       "expected a node of chain %llu, found one of chain "
                       "%llu; give the address of a node of the job's network",
                       (unsigned long long)chain_id, (unsigned long long)found);
    if (!rc)
        cv_rpc_expect_chain(rpc, chain_id);
    json_decref(v);
    return rc;
}

/* which: a tag or a number, taken over. */
static int get_block(cv_rpc *rpc, cv_block *out, int *found, json_t *which,
                     int pending, cv_err *err)
{
    json_t *v = NULL;
    cv_fault fault = CV_FAULT_NONE;
    memset(out, 0, sizeof *out);
    *found = 0;
    int rc = cv_rpc_call(rpc, "eth_getBlockByNumber",
                         json_pack("[o, b]", which, 0), &v, &fault, NULL, err);
    if (rc && fault == CV_FAULT_NO_BLOCK)
        return forgive(err);
    if (!rc && !json_is_null(v)) {
        rc = cv_node_read_block(out, pending, v, err);
        *found = !rc;
    }
    json_decref(v);
    return rc;
}

int cv_node_block(cv_rpc *rpc, cv_block *out, int *found, cv_block_tag tag,
                  cv_err *err)
{
    int rc = get_block(rpc, out, found, json_string(tag_name(tag)),
                       tag == CV_BLOCK_PENDING, err);
    if (!rc && !*found && tag == CV_BLOCK_LATEST)
        rc = wrong(err, "eth_getBlockByNumber", "a newest block");
    return rc;
}

int cv_node_block_at(cv_rpc *rpc, cv_block *out, int *found, uint64_t number,
                     cv_err *err)
{
    char text[CV_QUANTITY_TEXT];
    cv_u256 wide = cv_u256_of(number);
    cv_u256_quantity(text, &wide);
    int rc = get_block(rpc, out, found, json_string(text), 0, err);
    if (!rc && *found && out->number != number) {
        *found = 0;
        rc = wrong(err, "eth_getBlockByNumber", "the block with that number");
    }
    return rc;
}

/* ---- state ------------------------------------------------------------------
 */

int cv_node_call(cv_rpc *rpc, cv_buf *out, const cv_address *from,
                 const cv_address *to, const void *data, size_t n,
                 cv_block_tag tag, cv_fault *fault, cv_buf *revert, cv_err *err)
{
    json_t *v = NULL;
    int rc = cv_rpc_call(
        rpc, "eth_call",
        json_pack("[o, s]", call_json(from, to, data, n), tag_name(tag)), &v,
        fault, revert, err);
    if (!rc && cv_json_bytes(out, v))
        rc = wrong(err, "eth_call", "bytes in hexadecimal");
    json_decref(v);
    return rc;
}

int cv_node_estimate(cv_rpc *rpc, uint64_t *gas, const cv_address *from,
                     const cv_address *to, const void *data, size_t n,
                     cv_block_tag tag, cv_fault *fault, cv_buf *revert,
                     cv_err *err)
{
    json_t *v = NULL;
    /* Nodes differ in which block they mean if none is named. */
    int rc = cv_rpc_call(
        rpc, "eth_estimateGas",
        json_pack("[o, s]", call_json(from, to, data, n), tag_name(tag)), &v,
        fault, revert, err);
    if (!rc && (cv_json_u64(gas, v) || *gas < LEAST_GAS))
        rc = wrong(err, "eth_estimateGas", "a quantity from 21,000 on");
    json_decref(v);
    return rc;
}

int cv_node_nonce(cv_rpc *rpc, uint64_t *out, const cv_address *who,
                  cv_block_tag tag, cv_err *err)
{
    json_t *v = NULL;
    int rc = cv_rpc_call(rpc, "eth_getTransactionCount",
                         json_pack("[o, s]", address_json(who), tag_name(tag)),
                         &v, NULL, NULL, err);
    if (!rc && cv_json_u64(out, v))
        rc = wrong(err, "eth_getTransactionCount", "a quantity below 2^64");
    json_decref(v);
    return rc;
}

int cv_node_balance(cv_rpc *rpc, cv_u256 *out, const cv_address *who,
                    cv_err *err)
{
    json_t *v = NULL;
    int rc = cv_rpc_call(rpc, "eth_getBalance",
                         json_pack("[o, s]", address_json(who), "latest"), &v,
                         NULL, NULL, err);
    if (!rc && cv_json_u256(out, v))
        rc = wrong(err, "eth_getBalance", "a quantity");
    json_decref(v);
    return rc;
}

int cv_node_has_code(cv_rpc *rpc, int *out, const cv_address *where,
                     cv_err *err)
{
    json_t *v = NULL;
    cv_buf code = {0};
    int rc = cv_rpc_call(rpc, "eth_getCode",
                         json_pack("[o, s]", address_json(where), "latest"), &v,
                         NULL, NULL, err);
    if (!rc && cv_json_bytes(&code, v))
        rc = wrong(err, "eth_getCode", "bytes in hexadecimal");
    if (!rc)
        *out = code.len > 0;
    cv_buf_free(&code);
    json_decref(v);
    return rc;
}

/* ---- fees -------------------------------------------------------------------
 */

int cv_node_tip(cv_rpc *rpc, cv_u256 *out, cv_err *err)
{
    json_t *v = NULL;
    cv_fault fault = CV_FAULT_NONE;
    int rc = cv_rpc_call(rpc, "eth_maxPriorityFeePerGas", json_array(), &v,
                         &fault, NULL, err);
    if (rc && fault == CV_FAULT_METHOD) {
        *out = cv_u256_of(0);
        rc = forgive(err);
    } else if (!rc && cv_json_u256(out, v)) {
        rc = wrong(err, "eth_maxPriorityFeePerGas", "a quantity");
    }
    json_decref(v);
    return rc;
}

int cv_node_l1_fee(cv_rpc *rpc, cv_u256 *out, const void *unsigned_tx, size_t n,
                   cv_err *err)
{
    cv_abi_writer w;
    cv_abi_reader r;
    cv_buf call = {0}, answer = {0};
    cv_abi_begin(&w, "getL1Fee(bytes)");
    cv_abi_put_bytes(&w, unsigned_tx, n);
    cv_abi_end(&w, &call);
    int rc = cv_node_call(rpc, &answer, NULL, &oracle, call.data, call.len,
                          CV_BLOCK_LATEST, NULL, NULL, err);
    *out = cv_u256_of(0);
    /* No contract, no answer: a chain without an L1 below it. */
    if (!rc && answer.len > 0) {
        cv_abi_open(&r, "(uint256)", answer.data, answer.len);
        cv_abi_take_u256(&r, out);
        rc = cv_abi_close(&r, "L1 fee", err);
    }
    cv_buf_free(&call);
    cv_buf_free(&answer);
    return rc;
}

/* ---- transactions -----------------------------------------------------------
 */

/* After an error that may only mean that an earlier try arrived and its answer
 * was lost. */
static int is_there(cv_rpc *rpc, cv_fault fault, const uint8_t hash[32])
{
    int known = 0;
    if (fault == CV_FAULT_KNOWN)
        return 1;
    if (fault != CV_FAULT_NONCE_LOW && fault != CV_FAULT_UNDERPRICED)
        return 0;
    return cv_node_knows(rpc, &known, hash, NULL) == 0 && known;
}

int cv_node_send(cv_rpc *rpc, const void *raw, size_t n, const uint8_t hash[32],
                 cv_fault *fault, cv_err *err)
{
    json_t *v = NULL;
    uint8_t own[32], found[32];
    cv_fault what = CV_FAULT_NONE;
    cv_keccak_of(own, raw, n);
    if (fault)
        *fault = CV_FAULT_NONE;
    if (memcmp(own, hash, 32) != 0)
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "expected a transaction with the hash that is kept "
                          "with it, found another one; it was not sent");
    int rc =
        cv_rpc_call(rpc, "eth_sendRawTransaction",
                    json_pack("[o]", hex_json(raw, n)), &v, &what, NULL, err);
    if (rc && is_there(rpc, what, hash)) {
        what = CV_FAULT_KNOWN;
        rc = forgive(err);
    } else if (!rc && (cv_json_fixed(found, 32, v) || memcmp(found, hash, 32)))
        rc = wrong(err, "eth_sendRawTransaction", "the hash of what was sent");
    if (fault)
        *fault = what;
    json_decref(v);
    return rc;
}

int cv_node_knows(cv_rpc *rpc, int *out, const uint8_t hash[32], cv_err *err)
{
    json_t *v = NULL;
    uint8_t found[32];
    int rc =
        cv_rpc_call(rpc, "eth_getTransactionByHash",
                    json_pack("[o]", hex_json(hash, 32)), &v, NULL, NULL, err);
    if (!rc && !json_is_null(v) &&
        (cv_json_fixed(found, 32, json_object_get(v, "hash")) ||
         memcmp(found, hash, 32) != 0))
        rc = wrong(err, "eth_getTransactionByHash",
                   "the transaction that was asked for, or null");
    if (!rc)
        *out = !json_is_null(v);
    json_decref(v);
    return rc;
}

int cv_node_receipt(cv_rpc *rpc, cv_receipt *out, const uint8_t hash[32],
                    cv_err *err)
{
    json_t *v = NULL;
    memset(out, 0, sizeof *out);
    int rc =
        cv_rpc_call(rpc, "eth_getTransactionReceipt",
                    json_pack("[o]", hex_json(hash, 32)), &v, NULL, NULL, err);
    if (!rc)
        rc = cv_node_read_receipt(out, hash, v, err);
    if (rc)
        cv_receipt_free(out);
    json_decref(v);
    return rc;
}

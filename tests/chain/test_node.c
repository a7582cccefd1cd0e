/* Blocks and receipts as a node writes them, and everything that is wrong with
 * others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "chain/node_parts.h"
#include "core/bytes.h"
#include "tests/chain/node_answers.h"

static json_t *json_of(const char *text)
{
    json_t *v = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!v)
        fail_msg("the test's own JSON: %s", text);
    return v;
}

/* ---- quantities and bytes ---------------------------------------------------
 */

static void quantities(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int rc64, rc256;
        uint64_t value;
    } table[] = {
        {"\"0x0\"", 0, 0, 0},
        {"\"0x1f\"", 0, 0, 31},
        {"\"0xffffffffffffffff\"", 0, 0, UINT64_MAX},
        {"\"0x10000000000000000\"", -1, 0, 0},
        {"\"0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
         "\"",
         -1, 0, 0},
        {"\"0x1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
         "\"",
         -1, -1, 0},
        {"\"0x\"", -1, -1, 0},
        {"\"0x01\"", -1, -1, 0},
        {"\"0x00\"", -1, -1, 0},
        {"\"1f\"", -1, -1, 0},
        {"\"31\"", -1, -1, 0},
        {"\"0x-1\"", -1, -1, 0},
        {"\" 0x1\"", -1, -1, 0},
        {"\"0x1 \"", -1, -1, 0},
        {"\"0x1\\u0000\"", -1, -1, 0},
        {"\"0x1\\u00002\"", -1, -1, 0},
        {"\"\"", -1, -1, 0},
        {"31", -1, -1, 0},
        {"31.0", -1, -1, 0},
        {"null", -1, -1, 0},
        {"true", -1, -1, 0},
        {"[\"0x1\"]", -1, -1, 0},
        {"{}", -1, -1, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        json_t *v = json_of(table[i].json);
        uint64_t small = 99;
        cv_u256 wide = cv_u256_of(99), expected = cv_u256_of(99);
        if (cv_json_u64(&small, v) != table[i].rc64 ||
            cv_json_u256(&wide, v) != table[i].rc256)
            fail_msg("%s", table[i].json);
        assert_true(small == (table[i].rc64 ? 99 : table[i].value));
        if (table[i].rc256)
            assert_memory_equal(&wide, &expected, sizeof wide);
        json_decref(v);
    }
    uint64_t u = 0;
    assert_int_equal(cv_json_u64(&u, NULL), -1);
}

static void bytes(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int n; /* bytes, -1: refused */
    } table[] = {
        {"\"0x\"", 0},    {"\"0xab\"", 1},   {"\"0xAbCd\"", 2},
        {"\"0xa\"", -1},  {"\"0xabc\"", -1}, {"\"ab\"", -1},
        {"\"abcd\"", -1}, {"\"0Xab\"", -1},  {"\"0x0xab\"", -1},
        {"\"0xgg\"", -1}, {"\"0xab \"", -1}, {"\"0xab\\u0000\\u0000\"", -1},
        {"\"\"", -1},     {"\"0\"", -1},     {"12", -1},
        {"null", -1},     {"[]", -1},        {"\"0x\\u0000\\u0000\"", -1},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        json_t *v = json_of(table[i].json);
        cv_buf b = {0};
        uint8_t two[2];
        cv_buf_add(&b, "x", 1);
        int rc = cv_json_bytes(&b, v);
        if (rc != (table[i].n < 0 ? -1 : 0) ||
            b.len != 1 + (size_t)(table[i].n < 0 ? 0 : table[i].n))
            fail_msg("%s", table[i].json);
        assert_int_equal(cv_json_fixed(two, 2, v), table[i].n == 2 ? 0 : -1);
        cv_buf_free(&b);
        json_decref(v);
    }
    cv_buf b = {0};
    assert_int_equal(cv_json_bytes(&b, NULL), -1);
}

/* ---- blocks -----------------------------------------------------------------
 */

static void a_block(void **state)
{
    (void)state;
    json_t *v = json_of(block_answer);
    cv_block b;
    uint64_t fee = 0;
    char hex[65];
    cv_err err = {0};
    assert_int_equal(cv_node_read_block(&b, 0, v, &err), 0);
    assert_int_equal(b.number, 0x1b4);
    assert_int_equal(b.time, 0x6925e1a0);
    assert_int_equal(cv_u256_to_u64(&fee, &b.base_fee), 0);
    assert_int_equal(fee, 5000000);
    cv_hex(hex, b.hash, 32);
    assert_string_equal(hex, BLOCK_HASH);
    /* A block in the making has no hash; any other one must. */
    json_object_set_new(v, "hash", json_null());
    assert_int_equal(cv_node_read_block(&b, 1, v, &err), 0);
    assert_int_equal(b.hash[0] | b.hash[31], 0);
    assert_int_equal(cv_node_read_block(&b, 0, v, &err), CV_ERR_VERIFY);
    json_decref(v);
}

/* Each member missing, or of another kind, or another size. */
static void check_members(const char *answer, const char *const *members,
                          int (*read)(json_t *, cv_err *), int may_miss)
{
    static const char *const wrongs[] = {
        "7",
        "-1",
        "1.5",
        "true",
        "[]",
        "{}",
        "\"\"",
        "\"0x\"",
        "\"0x0g\"",
        "\"latest\"",
        "\"0x1\\u0000\"",
        "\"0x11111111111111111111111111111111111111111111111111111111111111111"
        "\"",
        NULL};
    for (size_t m = 0; members[m]; m++) {
        for (size_t i = 0; wrongs[i]; i++) {
            json_t *v = json_of(answer);
            cv_err err = {0};
            json_object_set_new(v, members[m], json_of(wrongs[i]));
            int rc = read(v, &err);
            if (rc != CV_ERR_VERIFY || !strstr(err.text, members[m]))
                fail_msg("%s: %s: %d %s", members[m], wrongs[i], rc, err.text);
            json_decref(v);
        }
        json_t *v = json_of(answer);
        cv_err err = {0};
        json_object_del(v, members[m]);
        int rc = read(v, &err);
        if (rc != (may_miss ? 0 : CV_ERR_VERIFY))
            fail_msg("%s missing: %d %s", members[m], rc, err.text);
        json_decref(v);
    }
}

static int read_a_block(json_t *v, cv_err *err)
{
    cv_block b;
    return cv_node_read_block(&b, 0, v, err);
}

static void blocks_that_cannot_be(void **state)
{
    (void)state;
    static const char *const members[] = {"number", "timestamp", "hash",
                                          "baseFeePerGas", NULL};
    check_members(block_answer, members, read_a_block, 0);
    static const char *const others[] = {"null", "[]", "\"0x1\"", "1", "{}"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        json_t *v = json_of(others[i]);
        cv_err err = {0};
        assert_int_equal(read_a_block(v, &err), CV_ERR_VERIFY);
        json_decref(v);
    }
}

/* ---- receipts ---------------------------------------------------------------
 */

static int read_a_receipt(json_t *v, cv_err *err)
{
    cv_receipt r;
    uint8_t hash[32];
    cv_unhex(hash, TX_HASH, 32);
    int rc = cv_node_read_receipt(&r, hash, v, err);
    assert_true(rc == 0 || !r.found);
    cv_receipt_free(&r);
    assert_null(r.log);
    return rc;
}

static void a_receipt(void **state)
{
    (void)state;
    json_t *v = json_of(receipt_answer);
    cv_receipt r;
    uint8_t hash[32];
    uint64_t price = 0, l1 = 0;
    char hex[65];
    cv_err err = {0};
    cv_unhex(hash, TX_HASH, 32);
    assert_int_equal(cv_node_read_receipt(&r, hash, v, &err), 0);
    assert_int_equal(r.found, 1);
    assert_int_equal(r.status, 1);
    assert_int_equal(r.block_number, 0x1b4);
    assert_int_equal(r.gas_used, 0xb41c);
    cv_u256_to_u64(&price, &r.gas_price);
    cv_u256_to_u64(&l1, &r.l1_fee);
    assert_int_equal(price, 5100000);
    assert_int_equal(l1, 0x2faf080);
    assert_memory_equal(r.tx_hash, hash, 32);
    cv_hex(hex, r.block_hash, 32);
    assert_string_equal(hex, BLOCK_HASH);
    assert_int_equal(r.made_contract, 0);
    assert_int_equal(r.n_logs, 2);
    assert_int_equal(r.log[0].n_topics, 2);
    assert_int_equal(r.log[0].topic[1][31], 0x22);
    assert_int_equal(r.log[0].contract.b[19], 0xcc);
    assert_int_equal(r.log[0].n_data, 3);
    assert_memory_equal(r.log[0].data, "\x01\x02\x03", 3);
    assert_int_equal(r.log[1].n_topics, 0);
    assert_int_equal(r.log[1].n_data, 0);
    cv_receipt_free(&r);

    json_object_set_new(
        v, "contractAddress",
        json_string("0x00000000000000000000000000000000000000Fe"));
    json_object_set_new(v, "l1Fee", json_null());
    assert_int_equal(cv_node_read_receipt(&r, hash, v, &err), 0);
    assert_int_equal(r.made_contract, 1);
    assert_int_equal(r.contract.b[19], 0xfe);
    assert_true(cv_u256_is_zero(&r.l1_fee));
    cv_receipt_free(&r);
    json_decref(v);
}

static void no_receipt_yet(void **state)
{
    (void)state;
    cv_receipt r;
    uint8_t hash[32];
    cv_err err = {0};
    cv_unhex(hash, TX_HASH, 32);
    json_t *v = json_null();
    assert_int_equal(cv_node_read_receipt(&r, hash, v, &err), 0);
    assert_int_equal(r.found, 0);
    v = json_of(receipt_answer);
    json_object_set_new(v, "blockHash", json_null());
    assert_int_equal(cv_node_read_receipt(&r, hash, v, &err), 0);
    assert_int_equal(r.found, 0);
    json_decref(v);
}

static void receipts_that_cannot_be(void **state)
{
    (void)state;
    static const char *const needed[] = {
        "transactionHash", "blockHash",         "blockNumber", "status",
        "gasUsed",         "effectiveGasPrice", NULL};
    static const char *const may_miss[] = {"l1Fee", "contractAddress", NULL};
    check_members(receipt_answer, needed, read_a_receipt, 0);
    check_members(receipt_answer, may_miss, read_a_receipt, 1);

    static const struct {
        const char *member, *json;
    } table[] = {
        /* another transaction's */
        {"transactionHash", "\"0x" BLOCK_HASH "\""},
        {"status", "\"0x2\""},
        {"status", "\"0x01\""},
        {"status", "\"0x0\""}, /* reverted, and yet with logs */
        {"logs", "null"},
        {"logs", "{}"},
        {"logs", "\"0x\""},
        {"logs", "[null]"},
        {"logs", "[[]]"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        json_t *v = json_of(receipt_answer);
        cv_err err = {0};
        json_object_set_new(v, table[i].member, json_of(table[i].json));
        if (read_a_receipt(v, &err) != CV_ERR_VERIFY)
            fail_msg("%s: %s taken", table[i].member, table[i].json);
        json_decref(v);
    }
    static const char *const others[] = {"[]", "\"0x1\"", "1", "{}", "true"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        json_t *v = json_of(others[i]);
        cv_err err = {0};
        assert_int_equal(read_a_receipt(v, &err), CV_ERR_VERIFY);
        json_decref(v);
    }
    /* A whole receipt of another transaction, without logs that tell. */
    json_t *v = json_of(receipt_answer);
    cv_err err = {0};
    json_object_set_new(v, "logs", json_array());
    assert_int_equal(read_a_receipt(v, &err), 0);
    json_object_set_new(v, "transactionHash", json_string("0x" BLOCK_HASH));
    assert_int_equal(read_a_receipt(v, &err), CV_ERR_VERIFY);
    json_decref(v);
}

static void logs_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        const char *member, *json; /* NULL: left out */
    } table[] = {
        {"address", NULL},
        {"address", "\"0xcc\""},
        {"address", "\"0x" TX_HASH "\""},
        {"topics", NULL},
        {"topics", "{}"},
        {"topics", "[\"0x22\"]"},
        {"topics", "[null]"},
        {"topics", "[7]"},
        {"topics", "[\"0x" TX_HASH "\",\"0x" TX_HASH "\",\"0x" TX_HASH
                   "\",\"0x" TX_HASH "\",\"0x" TX_HASH "\"]"},
        {"data", NULL},
        {"data", "\"0x1\""},
        {"data", "\"010203\""},
        {"data", "[]"},
        {"transactionHash", "\"0x" BLOCK_HASH "\""},
        {"blockHash", "\"0x" TX_HASH "\""},
        {"blockHash", "null"},
        {"removed", "true"},
    };
    for (size_t which = 0; which < 2; which++)
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
            json_t *v = json_of(receipt_answer);
            json_t *log = json_array_get(json_object_get(v, "logs"), which);
            cv_err err = {0};
            if (table[i].json)
                json_object_set_new(log, table[i].member,
                                    json_of(table[i].json));
            else
                json_object_del(log, table[i].member);
            if (read_a_receipt(v, &err) != CV_ERR_VERIFY)
                fail_msg("%s: %s taken", table[i].member,
                         table[i].json ? table[i].json : "nothing");
            json_decref(v);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantities),
        cmocka_unit_test(bytes),
        cmocka_unit_test(a_block),
        cmocka_unit_test(blocks_that_cannot_be),
        cmocka_unit_test(a_receipt),
        cmocka_unit_test(no_receipt_yet),
        cmocka_unit_test(receipts_that_cannot_be),
        cmocka_unit_test(logs_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

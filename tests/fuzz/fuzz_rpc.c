/* libFuzzer target: what a node answers, from the bytes of a reply to blocks,
 * receipts and logs.
 *
 * Build and run from the repository root:
 *
 *   clang -g -O1 -std=gnu17 -D_GNU_SOURCE -DCOVEY_VERSION='"fuzz"' -I. \
 *       -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *       tests/fuzz/fuzz_rpc.c chain/rpc*.c chain/node_read.c chain/u256.c \
 *       core/[a-z]*.c -lcurl -ljansson -lcrypto -lm -o /tmp/fuzz_rpc
 *   mkdir -p /tmp/fuzz_rpc.corpus
 *   /tmp/fuzz_rpc -max_len=4096 -max_total_time=60 /tmp/fuzz_rpc.corpus
 *
 * The first byte chooses: the rest as it is, or a list of (place, byte) that
 * changes a good block or receipt, so that an empty corpus gets past the
 * required members.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "chain/node_parts.h"
#include "core/mem.h"
#include "tests/chain/node_answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *mixed(const char *answer, const uint8_t *data, size_t size,
                   size_t *len)
{
    char *text =
        cv_asprintf("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":%s}", answer);
    *len = strlen(text);
    for (size_t i = 0; i + 3 <= size; i += 3)
        text[(data[i] | (size_t)data[i + 1] << 8) % *len] = (char)data[i + 2];
    return text;
}

/* What was read must be what the text said: no more than it could hold. */
static void read_all(const json_t *v, size_t size)
{
    uint8_t hash[32];
    cv_err err = {0};
    cv_block block;
    cv_receipt r;
    cv_buf b = {0};
    uint64_t u;
    cv_u256 wide;
    cv_unhex(hash, TX_HASH, 32);
    int rc = cv_node_read_block(&block, size % 2, v, &err);
    CV_CHECK(rc == 0 || (rc == CV_ERR_VERIFY && err.text[0]));
    rc = cv_node_read_receipt(&r, hash, v, &err);
    CV_CHECK(rc == 0 || (rc == CV_ERR_VERIFY && err.text[0] && !r.found));
    CV_CHECK(!r.found || (r.status == 0 || r.status == 1));
    CV_CHECK(!r.found || memcmp(r.tx_hash, hash, 32) == 0);
    CV_CHECK(r.n_logs * 2 < size && (r.status || !r.n_logs));
    for (size_t i = 0; i < r.n_logs; i++)
        CV_CHECK(r.log[i].n_topics >= 0 && r.log[i].n_topics <= 4 &&
                 2 * r.log[i].n_data < size);
    cv_receipt_free(&r);
    if (cv_json_u64(&u, v) == 0)
        CV_CHECK(cv_json_u256(&wide, v) == 0);
    cv_json_bytes(&b, v);
    CV_CHECK(2 * b.len < size);
    cv_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t len = size - 1;
    char *text = NULL;
    if (data[0] < 64)
        text = mixed(block_answer, data + 1, size - 1, &len);
    else if (data[0] < 160)
        text = mixed(receipt_answer, data + 1, size - 1, &len);
    json_t *result = NULL;
    cv_fault fault = CV_FAULT_OTHER;
    cv_buf revert = {0};
    char message[100];
    int rc = cv_rpc_parse(text ? text : (const char *)data + 1, len, 7, &result,
                          &fault, &revert, message, sizeof message);
    CV_CHECK((rc == 0) == (result != NULL));
    CV_CHECK((rc == 0) == (fault == CV_FAULT_NONE));
    CV_CHECK(rc == 0 || message[0]);
    CV_CHECK(revert.len == 0 || fault == CV_FAULT_REVERT);
    for (const char *s = message; *s; s++)
        CV_CHECK(*s >= ' ' && *s <= '~');
    if (rc == 0)
        read_all(result, len);
    json_decref(result);
    cv_buf_free(&revert);
    free(text);
    return 0;
}

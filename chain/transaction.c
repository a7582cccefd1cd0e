#include "chain/transaction.h"

#include <string.h>

#include "chain/keccak.h"
#include "chain/rlp.h"
#include "chain/typed_data.h"

enum { TYPE = 2 };

/* What is signed, without the list's header. */
static void put_fields(cv_buf *out, const cv_tx *tx)
{
    static const cv_buf no_access_list;
    cv_rlp_put_u64(out, tx->chain_id);
    cv_rlp_put_u64(out, tx->nonce);
    cv_rlp_put_u256(out, &tx->tip);
    cv_rlp_put_u256(out, &tx->max_fee);
    cv_rlp_put_u64(out, tx->gas);
    cv_rlp_put_bytes(out, tx->to.b, tx->has_to ? sizeof tx->to.b : 0);
    cv_rlp_put_u256(out, &tx->value);
    cv_rlp_put_bytes(out, tx->data, tx->n_data);
    cv_rlp_put_list(out, &no_access_list);
}

static void put_typed(cv_buf *out, const cv_buf *fields)
{
    static const uint8_t type = TYPE;
    cv_buf_add(out, &type, 1);
    cv_rlp_put_list(out, fields);
}

void cv_tx_unsigned(cv_buf *out, const cv_tx *tx)
{
    cv_buf fields = {0};
    put_fields(&fields, tx);
    put_typed(out, &fields);
    cv_buf_free(&fields);
}

static void tx_digest(uint8_t out[32], const cv_tx *tx)
{
    cv_buf text = {0};
    cv_tx_unsigned(&text, tx);
    cv_keccak_of(out, text.data, text.len);
    cv_buf_free(&text);
}

/* What no chain takes, or Base does not. */
static int check(const cv_tx *tx, int code, cv_err *err)
{
    if (tx->chain_id == 0)
        return cv_err_set(err, code, NULL, 0,
                          "expected a transaction for a chain, found chain id "
                          "0, which is valid on many");
    if (tx->nonce == UINT64_MAX)
        return cv_err_set(err, code, NULL, 0,
                          "expected a nonce below 2^64 - 1 (EIP-2681), found "
                          "that");
    if (tx->gas == 0 || tx->gas > CV_TX_MAX_GAS)
        return cv_err_set(err, code, NULL, 0,
                          "expected a transaction with 1 to %llu gas, found "
                          "%llu; split what it does",
                          (unsigned long long)CV_TX_MAX_GAS,
                          (unsigned long long)tx->gas);
    if (cv_u256_cmp(&tx->tip, &tx->max_fee) > 0) {
        char tip[CV_UNITS_TEXT], fee[CV_UNITS_TEXT];
        cv_u256_units(tip, &tx->tip, 0);
        cv_u256_units(fee, &tx->max_fee, 0);
        return cv_err_set(err, code, NULL, 0,
                          "expected a tip of at most the highest fee, %s wei "
                          "a gas, found %s",
                          fee, tip);
    }
    return 0;
}

int cv_tx_sign(const cv_tx *tx, const cv_seckey *key, cv_buf *raw,
               uint8_t hash[32], cv_err *err)
{
    int rc = check(tx, CV_ERR_INPUT, err);
    if (rc)
        return rc;
    uint8_t digest[32];
    cv_sig sig;
    cv_address self, sender;
    tx_digest(digest, tx);
    cv_seckey_sign(key, &sig, digest);
    /* A wrong parity recovers another sender, and nodes then speak of missing
     * funds. */
    cv_seckey_address(key, &self);
    CV_CHECK(cv_sig_recover_address(&sig, &sender, digest, NULL) == 0);
    CV_CHECK(memcmp(&self, &sender, sizeof self) == 0);

    cv_u256 r, s;
    memcpy(r.b, sig.b, 32);
    memcpy(s.b, sig.b + 32, 32);
    cv_buf fields = {0};
    size_t start = raw->len;
    put_fields(&fields, tx);
    cv_rlp_put_u64(&fields, sig.b[64]);
    cv_rlp_put_u256(&fields, &r);
    cv_rlp_put_u256(&fields, &s);
    put_typed(raw, &fields);
    cv_keccak_of(hash, raw->data + start, raw->len - start);
    cv_buf_free(&fields);
    return 0;
}

static int refuse(cv_err *err, const char *expected)
{
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                      "expected %s in a signed transaction, found something "
                      "else",
                      expected);
}

static int next_u64(uint64_t *out, const uint8_t **at, const uint8_t *end,
                    cv_err *err)
{
    cv_rlp_item item;
    int rc = cv_rlp_next(&item, at, end, err);
    return rc ? rc : cv_rlp_to_u64(out, &item, err);
}

static int next_u256(cv_u256 *out, const uint8_t **at, const uint8_t *end,
                     cv_err *err)
{
    cv_rlp_item item;
    int rc = cv_rlp_next(&item, at, end, err);
    return rc ? rc : cv_rlp_to_u256(out, &item, err);
}

/* to, value, data and the access list. */
static int read_call(cv_tx *tx, const uint8_t **at, const uint8_t *end,
                     cv_err *err)
{
    cv_rlp_item item;
    int rc = cv_rlp_next(&item, at, end, err);
    if (rc)
        return rc;
    if (item.is_list || (item.n != 0 && item.n != sizeof tx->to.b))
        return refuse(err, "an address of 20 bytes or none");
    tx->has_to = item.n != 0;
    memcpy(tx->to.b, item.data, item.n);
    if ((rc = next_u256(&tx->value, at, end, err)) ||
        (rc = cv_rlp_next(&item, at, end, err)))
        return rc;
    if (item.is_list)
        return refuse(err, "bytes of data");
    tx->data = item.data;
    tx->n_data = item.n;
    if ((rc = cv_rlp_next(&item, at, end, err)))
        return rc;
    if (!item.is_list || item.n != 0)
        return refuse(err, "an empty access list");
    return 0;
}

static int read_sig(cv_sig *sig, const uint8_t **at, const uint8_t *end,
                    cv_err *err)
{
    uint64_t parity;
    cv_u256 r, s;
    int rc = next_u64(&parity, at, end, err);
    if (rc || (rc = next_u256(&r, at, end, err)) ||
        (rc = next_u256(&s, at, end, err)))
        return rc;
    if (parity > 1)
        return refuse(err, "a parity of 0 or 1");
    if (*at != end)
        return refuse(err, "the end of the list after s");
    memcpy(sig->b, r.b, 32);
    memcpy(sig->b + 32, s.b, 32);
    sig->b[64] = (uint8_t)parity;
    return 0;
}

int cv_tx_read(cv_tx *tx, cv_address *sender, const uint8_t *raw, size_t n,
               cv_err *err)
{
    const uint8_t *at = raw + 1, *end = raw + n;
    cv_rlp_item list;
    cv_tx found = {0};
    cv_sig sig;
    uint8_t digest[32];
    if (n == 0 || raw[0] != TYPE)
        return refuse(err, "type 2 (EIP-1559)");
    int rc = cv_rlp_next(&list, &at, end, err);
    if (rc)
        return rc;
    if (!list.is_list || at != end)
        return refuse(err, "one list and nothing after it");
    at = list.data;
    if ((rc = next_u64(&found.chain_id, &at, end, err)) ||
        (rc = next_u64(&found.nonce, &at, end, err)) ||
        (rc = next_u256(&found.tip, &at, end, err)) ||
        (rc = next_u256(&found.max_fee, &at, end, err)) ||
        (rc = next_u64(&found.gas, &at, end, err)) ||
        (rc = read_call(&found, &at, end, err)) ||
        (rc = read_sig(&sig, &at, end, err)) ||
        (rc = check(&found, CV_ERR_VERIFY, err)))
        return rc;
    tx_digest(digest, &found);
    if ((rc = cv_sig_recover_address(&sig, sender, digest, err)))
        return rc;
    *tx = found;
    return 0;
}

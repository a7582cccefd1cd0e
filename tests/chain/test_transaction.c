/* Transactions: the example of EIP-155, those of two other libraries, and bytes
 * that a node should never see or send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chain/keccak.h"
#include "chain/rlp.h"
#include "chain/transaction.h"
#include "tests/chain/hex_fixture.h"
#include "tests/chain/key_fixture.h"
#include "tests/chain/tx_vectors.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static cv_u256 wei(const char *digits)
{
    cv_u256 v;
    assert_int_equal(cv_u256_from_units(&v, digits, 0, NULL), 0);
    return v;
}

/* ---- EIP-155 ----------------------------------------------------------------
 */

/* The old form is not offered: it is built here to test RLP and signing. */
static void put_legacy(cv_buf *out, uint64_t v, const cv_u256 *r,
                       const cv_u256 *s)
{
    cv_buf items = {0};
    uint8_t to[20];
    cv_u256 value = wei("1000000000000000000");
    memset(to, 0x35, sizeof to);
    cv_rlp_put_u64(&items, 9);
    cv_rlp_put_u64(&items, UINT64_C(20000000000));
    cv_rlp_put_u64(&items, 21000);
    cv_rlp_put_bytes(&items, to, sizeof to);
    cv_rlp_put_u256(&items, &value);
    cv_rlp_put_bytes(&items, "", 0);
    cv_rlp_put_u64(&items, v);
    cv_rlp_put_u256(&items, r);
    cv_rlp_put_u256(&items, s);
    cv_rlp_put_list(out, &items);
    cv_buf_free(&items);
}

static void the_example_of_eip155(void **state)
{
    (void)state;
    cv_buf text = {0}, raw = {0};
    cv_u256 r = {{0}}, s = {{0}};
    uint8_t digest[32];
    cv_sig sig;
    put_legacy(&text, 1, &r, &s); /* chain 1, 0, 0 is what is signed */
    assert_hex(
        text.data, text.len,
        "ec098504a817c800825208943535353535353535353535353535353535353535"
        "880de0b6b3a764000080018080");
    cv_keccak_of(digest, text.data, text.len);
    assert_hex(
        digest, 32,
        "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
    cv_seckey *key = key_of(key_eip155);
    cv_seckey_sign(key, &sig, digest);
    memcpy(r.b, sig.b, 32);
    memcpy(s.b, sig.b + 32, 32);
    assert_int_equal(sig.b[64], 0);
    put_legacy(&raw, UINT64_C(35) + 2 * 1 + sig.b[64], &r, &s);
    assert_hex(
        raw.data, raw.len,
        "f86c098504a817c800825208943535353535353535353535353535353535353535"
        "880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d"
        "3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9"
        "f3dc64214b297fb1966a3b6d83");
    /* It is no transaction of type 2. */
    cv_tx tx;
    cv_address who;
    cv_err err = {0};
    assert_int_equal(
        cv_tx_read(&tx, &who, (const uint8_t *)raw.data, raw.len, &err),
        CV_ERR_VERIFY);
    assert_non_null(strstr(err.text, "type 2"));
    cv_seckey_destroy(&key);
    cv_buf_free(&text);
    cv_buf_free(&raw);
}

/* ---- type 2 -----------------------------------------------------------------
 */

/* data is the caller's to free. */
static cv_tx tx_of(const tx_vector *v, uint8_t **data)
{
    cv_tx tx = {.chain_id = v->chain_id,
                .nonce = v->nonce,
                .gas = v->gas,
                .tip = wei(v->tip),
                .max_fee = wei(v->max_fee),
                .value = wei(v->value),
                .has_to = v->to != NULL};
    if (v->to)
        assert_int_equal(cv_address_parse(&tx.to, v->to, NULL), 0);
    tx.data = *data = bytes_of(v->data, &tx.n_data);
    return tx;
}

static void assert_same_tx(const cv_tx *a, const cv_tx *b)
{
    assert_true(a->chain_id == b->chain_id && a->nonce == b->nonce &&
                a->gas == b->gas && a->has_to == b->has_to &&
                a->n_data == b->n_data);
    assert_memory_equal(&a->tip, &b->tip, sizeof a->tip);
    assert_memory_equal(&a->max_fee, &b->max_fee, sizeof a->max_fee);
    assert_memory_equal(&a->value, &b->value, sizeof a->value);
    assert_memory_equal(&a->to, &b->to, sizeof a->to);
    assert_true(a->n_data == 0 || memcmp(a->data, b->data, a->n_data) == 0);
}

static void transactions_of_two_libraries(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(tx_vectors); i++) {
        const tx_vector *v = &tx_vectors[i];
        uint8_t *data, hash[32];
        cv_tx tx = tx_of(v, &data), back;
        cv_seckey *key = key_of(v->secret);
        cv_address self, sender;
        cv_err err = {0};
        cv_buf raw = {0};
        cv_buf_add(&raw, "before", 6); /* raw is appended to */
        if (cv_tx_sign(&tx, key, &raw, hash, &err) != 0)
            fail_msg("%s: %s", v->name, err.text);
        assert_memory_equal(raw.data, "before", 6);
        assert_hex(raw.data + 6, raw.len - 6, v->raw);
        assert_hex(hash, 32, v->hash);
        const uint8_t *b = (const uint8_t *)raw.data + 6;
        if (cv_tx_read(&back, &sender, b, raw.len - 6, &err) != 0)
            fail_msg("%s: %s", v->name, err.text);
        assert_same_tx(&back, &tx);
        cv_seckey_address(key, &self);
        assert_memory_equal(&sender, &self, sizeof self);
        cv_buf_free(&raw);
        cv_seckey_destroy(&key);
        free(data);
    }
}

/* The unsigned form has the signed one's fields. */
static void the_unsigned_form(void **state)
{
    (void)state;
    uint8_t *data;
    cv_tx tx = tx_of(&tx_vectors[0], &data);
    cv_buf out = {0};
    cv_tx_unsigned(&out, &tx);
    /* ethers 6.17.0, unsignedSerialized */
    assert_hex(
        out.data, out.len,
        "02f083014a3409830f424083a7d8c0825208943535353535353535353535353535"
        "353535353535880de0b6b3a764000080c0");
    cv_buf_free(&out);
    free(data);
}

static void what_no_chain_takes_is_not_signed(void **state)
{
    (void)state;
    static const struct {
        uint64_t chain_id, nonce, gas;
        const char *tip, *max_fee, *says;
    } table[] = {
        {0, 0, 21000, "1", "1", "chain id 0"},
        {1, UINT64_MAX, 21000, "1", "1", "below 2^64 - 1"},
        {1, 0, 0, "1", "1", "gas, found 0"},
        {1, 0, CV_TX_MAX_GAS + 1, "1", "1",
         "expected a transaction with 1 to 16777216 gas, found 16777217"},
        {1, 0, 21000, "2", "1", "1 wei a gas, found 2"},
        {1, 0, 21000,
         "115792089237316195423570985008687907853269984665640564039457584007913"
         "1"
         "29639935",
         "115792089237316195423570985008687907853269984665640564039457584007913"
         "1"
         "29639934",
         "29639934 wei a gas, found 1157"},
    };
    cv_seckey *key = key_of(one);
    for (size_t i = 0; i < COUNT(table); i++) {
        cv_tx tx = {.chain_id = table[i].chain_id,
                    .nonce = table[i].nonce,
                    .gas = table[i].gas,
                    .tip = wei(table[i].tip),
                    .max_fee = wei(table[i].max_fee)};
        cv_buf raw = {0};
        uint8_t hash[32];
        cv_err err = {0};
        assert_int_equal(cv_tx_sign(&tx, key, &raw, hash, &err), CV_ERR_INPUT);
        if (!strstr(err.text, table[i].says))
            fail_msg("%s", err.text);
        assert_int_equal(raw.len, 0);
    }
    cv_seckey_destroy(&key);
}

/* ---- strictness -------------------------------------------------------------
 */

/* A flipped bit gives another sender, or nothing. */
static void every_changed_bit_is_noticed(void **state)
{
    (void)state;
    size_t n;
    uint8_t *raw = bytes_of(tx_vectors[0].raw, &n);
    cv_tx tx;
    cv_address self, who;
    int taken = 0;
    assert_int_equal(cv_tx_read(&tx, &self, raw, n, NULL), 0);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (cv_tx_read(&tx, &who, raw, n, NULL) == 0) {
            taken++;
            assert_memory_not_equal(&who, &self, sizeof self);
        }
        raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_in_range(taken, 1, 8 * n - 1);
    free(raw);
}

static void cut_and_longer_texts_are_refused(void **state)
{
    (void)state;
    size_t n;
    uint8_t *raw = bytes_of(tx_vectors[0].raw, &n);
    cv_tx tx;
    cv_address who;
    cv_err err = {0};
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, raw, cut);
        assert_int_equal(cv_tx_read(&tx, &who, part, cut, &err), CV_ERR_VERIFY);
        free(part);
    }
    uint8_t *longer = calloc(1, n + 1);
    memcpy(longer, raw, n);
    assert_int_equal(cv_tx_read(&tx, &who, longer, n + 1, &err), CV_ERR_VERIFY);
    assert_non_null(strstr(err.text, "nothing after"));
    free(longer);
    free(raw);
}

/* The nine fields of the first vector, encoded. */
static const char *const fields[] = {
    "83014a34",
    "09",
    "830f4240",
    "83a7d8c0",
    "825208",
    "943535353535353535353535353535353535353535",
    "880de0b6b3a7640000",
    "80",
    "c0"};

/* A transaction of which one field is replaced, signed properly all the same,
 * or with one field of the signature replaced. */
static int read_with(size_t which, const char *hex, cv_err *err)
{
    cv_buf items = {0}, text = {0}, raw = {0};
    uint8_t digest[32];
    cv_sig sig;
    size_t n;
    for (size_t i = 0; i < COUNT(fields); i++) {
        uint8_t *b = bytes_of(i == which ? hex : fields[i], &n);
        cv_buf_add(&items, b, n);
        free(b);
    }
    cv_buf_add(&text, "\x02", 1);
    cv_rlp_put_list(&text, &items);
    cv_keccak_of(digest, text.data, text.len);
    cv_seckey *key = key_of(key_eip155);
    cv_seckey_sign(key, &sig, digest);
    cv_seckey_destroy(&key);
    for (size_t i = 9; i < 13; i++) {
        cv_u256 v = {{0}};
        if (i == which) {
            uint8_t *b = bytes_of(hex, &n);
            cv_buf_add(&items, b, n);
            free(b);
        } else if (i == 9) {
            cv_rlp_put_u64(&items, sig.b[64]);
        } else if (i < 12) {
            memcpy(v.b, sig.b + 32 * (i - 10), 32);
            cv_rlp_put_u256(&items, &v);
        }
    }
    cv_buf_add(&raw, "\x02", 1);
    cv_rlp_put_list(&raw, &items);
    cv_tx tx;
    cv_address who;
    int rc = cv_tx_read(&tx, &who, (const uint8_t *)raw.data, raw.len, err);
    cv_buf_free(&items);
    cv_buf_free(&text);
    cv_buf_free(&raw);
    return rc;
}

static void every_field_is_strict(void **state)
{
    (void)state;
    /* 12: behind s; "taken": must be read, so that the others are refused for
     * what they say and not for how they are built. */
    static const struct {
        size_t which;
        const char *hex, *says;
    } table[] = {
        {99, "", "taken"},
        {0, "80", "chain id 0"},
        {0, "89010000000000000000", "more bytes"},
        {1, "80", "taken"},
        {1, "00", "leading zero"},
        {1, "8109", "needs none"},
        {1, "88ffffffffffffffff", "EIP-2681"},
        {1, "c0", "a list where"},
        {2, "80", "taken"},
        {2, "84ffffffff", "at most the highest fee"},
        {2, "8400000001", "leading zero"},
        {3, "80", "at most the highest fee"},
        {3,
         "a1010000000000000000000000000000000000000000000000000000000000000000",
         "more bytes"},
        {4, "80", "gas, found 0"},
        {4, "8401000000", "taken"},
        {4, "8401000001", "found 16777217"},
        {5, "80", "taken"},
        {5, "9335353535353535353535353535353535353535", "20 bytes or none"},
        {5, "953535353535353535353535353535353535353535ff", "20 bytes or none"},
        {5, "00", "20 bytes or none"},
        {5, "d43535353535353535353535353535353535353535", "20 bytes or none"},
        {6, "8100", "needs none"},
        {6, "00", "leading zero"},
        {7, "00", "taken"},
        {7, "c0", "bytes of data"},
        {7, "b80100", "short length"},
        {8, "80", "empty access list"},
        {8, "c1c0", "empty access list"},
        {8, "", "something else"},
        {9, "02", "parity"},
        {9, "00", "leading zero"},
        {9, "1b", "parity"},
        {9, "c0", "a list where"},
        {10, "80", "belong to no key"},
        {10,
         "a0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
         "below the group order"},
        {10, "c0", "a list where"},
        {10,
         "a1000000000000000000000000000000000000000000000000000000000000000001",
         "more bytes"},
        {11, "80", "belong to no key"},
        {11,
         "a0fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
         "upper"},
        {11, "", "an end where"},
        {12, "80", "the end of the list after s"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        cv_err err = {0};
        int rc = read_with(table[i].which, table[i].hex, &err);
        int taken = strcmp(table[i].says, "taken") == 0;
        if (taken ? rc != 0
                  : rc != CV_ERR_VERIFY || !strstr(err.text, table[i].says))
            fail_msg("field %zu = %s: %d %s", table[i].which, table[i].hex, rc,
                     err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_eip155),
        cmocka_unit_test(transactions_of_two_libraries),
        cmocka_unit_test(the_unsigned_form),
        cmocka_unit_test(what_no_chain_takes_is_not_signed),
        cmocka_unit_test(every_changed_bit_is_noticed),
        cmocka_unit_test(cut_and_longer_texts_are_refused),
        cmocka_unit_test(every_field_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

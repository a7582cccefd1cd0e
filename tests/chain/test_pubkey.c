/* Public keys of secp256k1 and Ethereum addresses, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chain/binding.h"
#include "tests/chain/key_fixture.h"

static void secret_keys_have_a_range(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        /* the order, and more */
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t b[32];
        cv_seckey *key = NULL;
        cv_err err = {0};
        cv_unhex(b, bad[i], 32);
        assert_int_equal(cv_seckey_from_bytes(b, &key, &err), CV_ERR_INPUT);
        assert_null(key);
        assert_null(strstr(err.text, bad[i])); /* never printed */
    }
    cv_seckey *key = key_of(order_less_1);
    cv_seckey_destroy(&key);
    assert_null(key);
    cv_seckey_destroy(&key);
}

static void addresses_of_known_keys(void **state)
{
    (void)state;
    static const struct {
        const char *secret, *address, *pubkey;
    } table[] = {
        {one, "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
         "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f8179"
         "8"},
        /* EIP-155's example */
        {"4646464646464646464646464646464646464646464646464646464646464646",
         "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F", NULL},
        /* the first account of every test node */
        {"ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
         "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_seckey *key = key_of(table[i].secret);
        cv_address a;
        char text[CV_ADDRESS_TEXT], hex[CV_PUBKEY_TEXT];
        cv_pubkey p = pubkey_of(key), back;
        cv_seckey_address(key, &a);
        cv_address_text(text, &a);
        assert_string_equal(text, table[i].address);
        cv_pubkey_text(hex, &p);
        if (table[i].pubkey)
            assert_string_equal(hex, table[i].pubkey);
        assert_int_equal(cv_pubkey_parse(&back, hex, NULL), 0);
        assert_true(cv_pubkey_same(&back, &p));
        assert_int_equal(cv_pubkey_parse(&back, hex + 2, NULL), 0);
        cv_seckey_destroy(&key);
    }
}

static void bad_public_keys_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } table[] = {
        /* x = 5 and x = 0 are on no point */
        {"0x020000000000000000000000000000000000000000000000000000000000000005",
         "not on the curve"},
        {"0x030000000000000000000000000000000000000000000000000000000000000000",
         "not on the curve"},
        /* x is the field's prime plus 1: 1 would be on the curve */
        {"0x02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30",
         "not on the curve"},
        {"0x0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
         "found 04"},
        {"0x0679be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
         "found 06"},
        {"0x0079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
         "found 00"},
        {"0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f817",
         "66 hexadecimal digits, found 66 characters"},
        {"0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f817zz",
         "not all digits"},
        {"", "found 0 characters"},
        {"0x", "found 2 characters"},
        {"north", "found 5 characters"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_pubkey p, before;
        cv_err err = {0};
        memset(&p, 0x77, sizeof p);
        before = p;
        assert_int_equal(cv_pubkey_parse(&p, table[i].text, &err),
                         CV_ERR_INPUT);
        if (!strstr(err.text, table[i].says))
            fail_msg("%s: %s", table[i].text, err.text);
        assert_memory_equal(&p, &before, sizeof p);
    }
    cv_pubkey p;
    cv_err err = {0};
    uint8_t b[65] = {2};
    for (size_t n = 0; n <= 65; n++)
        if (n != 33)
            assert_int_equal(cv_pubkey_from_bytes(&p, b, n, &err),
                             CV_ERR_INPUT);
}

/* Bytes that nobody checked must not get further. */
static void unchecked_points_are_refused(void **state)
{
    (void)state;
    cv_seckey *key = key_of(one);
    cv_pubkey bad = {{2}};
    cv_address a;
    uint8_t shared[32], digest[32] = {1};
    cv_sig sig;
    cv_err err = {0};
    bad.b[32] = 5;
    assert_int_equal(cv_pubkey_address(&a, &bad, &err), CV_ERR_INPUT);
    assert_int_equal(cv_seckey_agree(key, shared, &bad, &err), CV_ERR_INPUT);
    assert_non_null(strstr(err.text, "not on the curve"));
    cv_seckey_sign(key, &sig, digest);
    assert_int_equal(cv_sig_verify(&sig, &bad, digest, &err), CV_ERR_VERIFY);
    cv_binding_sign(key, &sig, CV_USE_AGREEMENT, &bad, NULL, 0);
    cv_pubkey self = pubkey_of(key);
    assert_int_equal(
        cv_binding_verify(&sig, &self, CV_USE_AGREEMENT, &bad, NULL, 0, &err),
        CV_ERR_INPUT);
    cv_seckey_destroy(&key);
}

static void eip55_addresses(void **state)
{
    (void)state;
    /* The examples of EIP-55. */
    static const char *const right[] = {
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        cv_address a, b;
        char text[CV_ADDRESS_TEXT], other[CV_ADDRESS_TEXT];
        cv_err err = {0};
        assert_int_equal(cv_address_parse(&a, right[i], &err), 0);
        cv_address_text(text, &a);
        assert_string_equal(text, right[i]);
        assert_int_equal(cv_address_parse(&b, right[i] + 2, &err), 0);
        assert_memory_equal(&a, &b, sizeof a);
        if (i < 4)
            continue;
        /* Any one letter in the other case is found. */
        for (size_t k = 2; right[i][k]; k++) {
            char c = right[i][k];
            if (c >= '0' && c <= '9')
                continue;
            snprintf(other, sizeof other, "%s", right[i]);
            other[k] ^= 0x20;
            assert_int_equal(cv_address_parse(&b, other, &err), CV_ERR_INPUT);
            assert_non_null(strstr(err.text, right[i]));
        }
        for (size_t k = 2; text[k]; k++)
            if (text[k] >= 'A' && text[k] <= 'F')
                text[k] ^= 0x20;
        assert_int_equal(cv_address_parse(&b, text, &err), 0);
        assert_memory_equal(&a, &b, sizeof a);
    }
    static const char *const wrong[] = {
        "",
        "0x",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAedd",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg",
        "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAedx"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cv_address a;
        cv_err err = {0};
        assert_int_equal(cv_address_parse(&a, wrong[i], &err), CV_ERR_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_keys_have_a_range),
        cmocka_unit_test(addresses_of_known_keys),
        cmocka_unit_test(bad_public_keys_are_named),
        cmocka_unit_test(unchecked_points_are_refused),
        cmocka_unit_test(eip55_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

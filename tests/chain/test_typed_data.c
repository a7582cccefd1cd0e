/* What is signed: EIP-191, EIP-712, signatures for contracts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chain/keccak.h"
#include "chain/typed_data.h"
#include "tests/chain/hex_fixture.h"
#include "tests/chain/key_fixture.h"

/* The secret key of EIP-712's example: Keccak-256 of "cow". */
static cv_seckey *key_of_cow(void)
{
    uint8_t secret[32];
    cv_seckey *key = NULL;
    cv_keccak_of(secret, "cow", 3);
    assert_int_equal(cv_seckey_from_bytes(secret, &key, NULL), 0);
    return key;
}

static cv_address address_of(const char *text)
{
    cv_address a;
    assert_int_equal(cv_address_parse(&a, text, NULL), 0);
    return a;
}

/* ---- EIP-712 ----------------------------------------------------------------
 */

static cv_domain ether_mail(void)
{
    return (cv_domain){
        .name = "Ether Mail",
        .version = "1",
        .chain_id = 1,
        .contract = address_of("0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC")};
}

static void person(uint8_t out[32], const char *name, const char *wallet)
{
    uint8_t word[2][32];
    cv_address a = address_of(wallet);
    cv_keccak_of(word[0], name, strlen(name));
    cv_word_of_address(word[1], &a);
    cv_struct_hash(out, "Person(string name,address wallet)",
                   (const uint8_t *)word, 2);
}

static void mail(uint8_t out[32])
{
    uint8_t word[3][32];
    person(word[0], "Cow", "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826");
    assert_hex(
        word[0], 32,
        "fc71e5fa27ff56c350aa531bc129ebdf613b772b6604664f5d8dbe21b85eb0c8");
    person(word[1], "Bob", "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB");
    assert_hex(
        word[1], 32,
        "cd54f074a4af31b4411ff6a60c9719dbd559c221c8ac3492d9d872b041d703d1");
    cv_keccak_of(word[2], "Hello, Bob!", 11);
    assert_hex(
        word[2], 32,
        "b5aadf3154a261abdd9086fc627b61efca26ae5702701d05cd2305f7c52a2fc8");
    cv_struct_hash(out,
                   "Mail(Person from,Person to,string contents)"
                   "Person(string name,address wallet)",
                   (const uint8_t *)word, 3);
}

/* Every value that EIP-712's Example.js asserts. */
static void the_mail_of_eip712(void **state)
{
    (void)state;
    cv_domain d = ether_mail();
    uint8_t hash[32], digest[32];
    cv_domain_separator(hash, &d);
    assert_hex(
        hash, 32,
        "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f");
    mail(hash);
    assert_hex(
        hash, 32,
        "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e");
    cv_typed_digest(digest, &d, hash);
    assert_hex(
        digest, 32,
        "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");

    cv_seckey *key = key_of_cow();
    cv_sig sig, back;
    cv_address who;
    cv_err err = {0};
    uint8_t contract[65];
    cv_seckey_sign(key, &sig, digest);
    cv_sig_to_contract(contract, &sig);
    assert_hex(contract, 65, /* v = 28 */
               "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c"
               "9d07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b9"
               "15621c");
    assert_int_equal(cv_sig_from_contract(&back, contract, &err), 0);
    assert_memory_equal(&back, &sig, sizeof sig);
    assert_int_equal(cv_sig_recover_address(&back, &who, digest, &err), 0);
    cv_address cow = address_of("0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826");
    assert_memory_equal(&who, &cow, sizeof who);
    cv_seckey_destroy(&key);
}

/* Each part of a domain counts. */
static void another_domain_is_another_digest(void **state)
{
    (void)state;
    cv_domain d[5];
    uint8_t hash[32], digest[5][32];
    for (int i = 0; i < 5; i++)
        d[i] = ether_mail();
    d[1].name = "Ether mail";
    d[2].version = "2";
    d[3].chain_id = UINT64_C(1) << 32 | 1;
    d[4].contract.b[19] ^= 1;
    mail(hash);
    for (int i = 0; i < 5; i++) {
        cv_typed_digest(digest[i], &d[i], hash);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(digest[i], digest[k], 32);
    }
}

/* ---- EIP-191 ----------------------------------------------------------------
 */

static void personal_messages(void **state)
{
    (void)state;
    char *thousand = cv_calloc(1000, 1);
    memset(thousand, 'x', 1000);
    /* ethers 6.17.0, hashMessage */
    const struct {
        const char *message;
        size_t n;
        const char *digest;
    } table[] = {
        {"hello", 5,
         "50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750"},
        {"", 0,
         "5f35dce98ba4fba25530a026ed80b2cecdaa31091ba4958b99b52ea1d068adad"},
        {thousand, 1000,
         "6a37e0b91509decb144d44cf932ba38dd926594952faf4817922845f01fa2908"},
        {"Example `personal_sign` message", 31,
         "af1dee894786c304604a039b041463c9ab8defb393403ea03cf2c85b1eb8cbfd"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t digest[32];
        cv_personal_digest(digest, table[i].message, table[i].n);
        assert_hex(digest, 32, table[i].digest);
    }
    free(thousand);

    cv_seckey *key = key_of_cow();
    cv_sig sig;
    uint8_t digest[32], contract[65];
    cv_personal_digest(digest, "Hello, Bob!", 11);
    cv_seckey_sign(key, &sig, digest);
    cv_sig_to_contract(contract, &sig);
    assert_hex(contract, 65, /* v = 27 */
               "d088abb597a29a536423146c15e05a9f18af763823eb041bbb6dea6f6e560f"
               "5c45ad634d5594f14191f5f978f7745331fce28c53a348a06ecca512fbc06f"
               "65d41b");
    cv_seckey_destroy(&key);
}

/* ---- signatures of contracts ------------------------------------------------
 */

static void only_27_and_28_end_a_signature(void **state)
{
    (void)state;
    uint8_t in[65] = {1};
    for (int v = 0; v < 256; v++) {
        cv_sig sig, before;
        cv_err err = {0};
        memset(&sig, 0x77, sizeof sig);
        before = sig;
        in[64] = (uint8_t)v;
        int rc = cv_sig_from_contract(&sig, in, &err);
        if (v == 27 || v == 28) {
            assert_int_equal(rc, 0);
            assert_int_equal(sig.b[64], v - 27);
            continue;
        }
        char found[24];
        snprintf(found, sizeof found, "found %d", v);
        assert_int_equal(rc, CV_ERR_VERIFY);
        assert_non_null(strstr(err.text, found));
        assert_memory_equal(&sig, &before, sizeof sig);
    }
}

static void a_signature_of_nobody_is_refused(void **state)
{
    (void)state;
    cv_sig sig = {{0}};
    cv_address who;
    uint8_t digest[32] = {1};
    cv_err err = {0};
    assert_int_equal(cv_sig_recover_address(&sig, &who, digest, &err),
                     CV_ERR_VERIFY);
    assert_true(err.text[0]);
}

static void words_are_padded_on_the_left(void **state)
{
    (void)state;
    uint8_t word[32];
    cv_address a;
    memset(word, 0x77, sizeof word);
    cv_word_of_u64(word, UINT64_C(0x0123456789abcdef));
    assert_hex(
        word, 32,
        "0000000000000000000000000000000000000000000000000123456789abcdef");
    memset(word, 0x77, sizeof word);
    memset(&a, 0xab, sizeof a);
    cv_word_of_address(word, &a);
    assert_hex(
        word, 32,
        "000000000000000000000000abababababababababababababababababababab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mail_of_eip712),
        cmocka_unit_test(another_domain_is_another_digest),
        cmocka_unit_test(personal_messages),
        cmocka_unit_test(only_27_and_28_end_a_signature),
        cmocka_unit_test(a_signature_of_nobody_is_refused),
        cmocka_unit_test(words_are_padded_on_the_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

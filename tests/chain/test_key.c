/* Secret keys: signatures, agreement, bindings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include "chain/binding.h"
#include "core/hash.h"
#include "tests/chain/key_fixture.h"

/* ---- signatures -------------------------------------------------------------
 */

static void signatures_are_those_of_rfc6979(void **state)
{
    (void)state;
    /* The vectors that go round for secp256k1 with SHA-256 (low s). */
    static const struct {
        const char *secret, *message, *rs;
    } table[] = {
        {one, "Satoshi Nakamoto",
         "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
         "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"},
        {one,
         "All those moments will be lost in time, like tears in rain. Time to "
         "die...",
         "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b"
         "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21"},
        {order_less_1, "Satoshi Nakamoto",
         "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0"
         "6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5"},
        {key_a, "Alan Turing",
         "7063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c"
         "58dfcc1e00a35e1572f366ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea"},
        {key_b,
         "There is a computer disease that anybody who works with computers "
         "knows about. It's a very serious disease and it interferes "
         "completely with the work. The trouble with computers is that you "
         "'play' with them!",
         "b552edd27580141f3b2a5463048cb7cd3e047b97c9f98076c32dbdf85a68718b"
         "279fa72dd19bfae05577e06c7c0c1900c371fcd5893f7e1d56a37d30174671f6"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_seckey *key = key_of(table[i].secret);
        cv_pubkey p = pubkey_of(key), who;
        uint8_t digest[32];
        char hex[129];
        cv_sig sig;
        cv_err err = {0};
        cv_sha256_of(digest, table[i].message, strlen(table[i].message));
        cv_seckey_sign(key, &sig, digest);
        cv_hex(hex, sig.b, 64);
        assert_string_equal(hex, table[i].rs);
        assert_int_equal(cv_sig_verify(&sig, &p, digest, &err), 0);
        assert_int_equal(cv_sig_recover(&sig, &who, digest, &err), 0);
        assert_true(cv_pubkey_same(&who, &p));
        cv_seckey_destroy(&key);
    }
}

static void the_signature_of_eip155(void **state)
{
    (void)state;
    uint8_t digest[32];
    char hex[131];
    cv_sig sig;
    cv_seckey *key = key_of(
        "4646464646464646464646464646464646464646464646464646464646464646");
    cv_unhex(digest,
             "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53",
             32);
    cv_seckey_sign(key, &sig, digest);
    cv_hex(hex, sig.b, 65);
    /* v = 37 = 35 + 2 x chain 1 + parity 0 */
    assert_string_equal(
        hex, "28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
             "67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
             "00");
    cv_seckey_destroy(&key);
}

/* Any of the 520 bits of a signature, any bit of the digest, another key. */
static void every_changed_bit_is_found(void **state)
{
    (void)state;
    cv_seckey *key = key_of(key_a), *other = key_of(key_b);
    cv_pubkey p = pubkey_of(key), q = pubkey_of(other);
    uint8_t digest[32];
    cv_sig sig;
    cv_err err = {0};
    cv_sha256_of(digest, "m", 1);
    cv_seckey_sign(key, &sig, digest);
    assert_int_equal(cv_sig_verify(&sig, &p, digest, &err), 0);
    for (size_t bit = 0; bit < 8 * sizeof sig.b; bit++) {
        cv_sig bad = sig;
        bad.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(cv_sig_verify(&bad, &p, digest, &err), CV_ERR_VERIFY);
    }
    for (size_t bit = 0; bit < 256; bit++) {
        digest[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(cv_sig_verify(&sig, &p, digest, &err), CV_ERR_VERIFY);
        digest[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(cv_sig_verify(&sig, &q, digest, &err), CV_ERR_VERIFY);
    char text[CV_PUBKEY_TEXT];
    cv_pubkey_text(text, &q);
    assert_non_null(strstr(err.text, text));
    cv_seckey_destroy(&key);
    cv_seckey_destroy(&other);
}

static void signed_s_is_low_and_a_high_one_is_named(void **state)
{
    (void)state;
    cv_seckey *key = key_of(key_b);
    cv_pubkey p = pubkey_of(key), who;
    cv_err err = {0};
    BIGNUM *n = BN_new(), *s = BN_new(), *half = BN_new();
    int parity[2] = {0, 0};
    BN_hex2bn(&n, order_less_1);
    BN_add_word(n, 1);
    BN_rshift1(half, n);
    for (int i = 0; i < 200; i++) {
        uint8_t digest[32];
        cv_sig sig;
        cv_sha256_of(digest, &i, sizeof i);
        cv_seckey_sign(key, &sig, digest);
        parity[sig.b[64]]++;
        BN_bin2bn(sig.b + 32, 32, s);
        assert_true(BN_cmp(s, half) <= 0);
        assert_int_equal(cv_sig_verify(&sig, &p, digest, &err), 0);
        /* (r, n - s) is valid mathematics, with the other parity. */
        BN_sub(s, n, s);
        assert_int_equal(BN_bn2binpad(s, sig.b + 32, 32), 32);
        sig.b[64] ^= 1;
        assert_int_equal(cv_sig_verify(&sig, &p, digest, &err), CV_ERR_VERIFY);
        assert_non_null(strstr(err.text, "lower half"));
        assert_int_equal(cv_sig_recover(&sig, &who, digest, &err),
                         CV_ERR_VERIFY);
    }
    assert_true(parity[0] > 50 && parity[1] > 50);
    BN_free(n);
    BN_free(s);
    BN_free(half);
    cv_seckey_destroy(&key);
}

static void malformed_signatures_are_named(void **state)
{
    (void)state;
    cv_seckey *key = key_of(key_a);
    cv_pubkey p = pubkey_of(key);
    uint8_t digest[32] = {9};
    cv_sig good, bad;
    cv_err err = {0};
    cv_seckey_sign(key, &good, digest);
    for (int v = 2; v < 256; v++) { /* 27 and 28 too: one form only */
        bad = good;
        bad.b[64] = (uint8_t)v;
        assert_int_equal(cv_sig_verify(&bad, &p, digest, &err), CV_ERR_VERIFY);
        assert_non_null(strstr(err.text, "ends in 0 or 1"));
    }
    memset(&bad, 0, sizeof bad);
    assert_int_equal(cv_sig_verify(&bad, &p, digest, &err), CV_ERR_VERIFY);
    assert_non_null(strstr(err.text, "belong to no key"));
    for (int half = 0; half < 2; half++) {
        bad = good;
        memset(bad.b + 32 * half, 0, 32);
        assert_int_equal(cv_sig_verify(&bad, &p, digest, &err), CV_ERR_VERIFY);
        bad = good;
        memset(bad.b + 32 * half, 0xff, 32);
        assert_int_equal(cv_sig_verify(&bad, &p, digest, &err), CV_ERR_VERIFY);
        assert_non_null(strstr(err.text, "below the group order"));
    }
    cv_seckey_destroy(&key);
}

/* ---- agreement --------------------------------------------------------------
 */

/* SHA-256 of the compressed shared point, by libcrypto's arithmetic. */
static void agree_by_openssl(uint8_t out[32], const char *secret,
                             const cv_pubkey *peer)
{
    EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_secp256k1);
    EC_POINT *point = EC_POINT_new(g), *product = EC_POINT_new(g);
    BIGNUM *k = NULL;
    uint8_t b[33];
    BN_hex2bn(&k, secret);
    assert_int_equal(EC_POINT_oct2point(g, point, peer->b, 33, NULL), 1);
    assert_int_equal(EC_POINT_mul(g, product, NULL, point, k, NULL), 1);
    assert_int_equal(EC_POINT_point2oct(g, product, POINT_CONVERSION_COMPRESSED,
                                        b, 33, NULL),
                     33);
    cv_sha256_of(out, b, 33);
    BN_free(k);
    EC_POINT_free(point);
    EC_POINT_free(product);
    EC_GROUP_free(g);
}

static void both_sides_agree(void **state)
{
    (void)state;
    cv_seckey *a = key_of(key_a), *b = key_of(key_b);
    cv_pubkey pa = pubkey_of(a), pb = pubkey_of(b);
    uint8_t ab[32], ba[32], expected[32];
    char hex[65];
    assert_int_equal(cv_seckey_agree(a, ab, &pb, NULL), 0);
    assert_int_equal(cv_seckey_agree(b, ba, &pa, NULL), 0);
    assert_memory_equal(ab, ba, 32);
    cv_hex(hex, ab, 32);
    /* From the curve's equation in Python. */
    assert_string_equal(
        hex,
        "0698e2c1dcc0d021070086866a3c9636815502e97843085fc214220c50eb8f40");
    cv_seckey_destroy(&b);
    for (int i = 0; i < 20; i++) {
        uint8_t secret[32];
        cv_seckey_generate(&b);
        cv_seckey_export(b, secret);
        pb = pubkey_of(b);
        cv_hex(hex, secret, 32);
        assert_int_equal(cv_seckey_agree(b, ba, &pa, NULL), 0);
        agree_by_openssl(expected, hex, &pa);
        assert_memory_equal(ba, expected, 32);
        assert_int_equal(cv_seckey_agree(a, ab, &pb, NULL), 0);
        assert_memory_equal(ab, expected, 32);
        cv_seckey_destroy(&b);
    }
    cv_seckey_destroy(&a);
}

static void fresh_keys_are_fresh(void **state)
{
    (void)state;
    cv_pubkey p[50];
    for (size_t i = 0; i < 50; i++) {
        cv_seckey *key = NULL;
        cv_seckey_generate(&key);
        p[i] = pubkey_of(key);
        assert_int_equal(cv_pubkey_from_bytes(&p[i], p[i].b, 33, NULL), 0);
        for (size_t j = 0; j < i; j++)
            assert_false(cv_pubkey_same(&p[i], &p[j]));
        cv_seckey_destroy(&key);
    }
}

/* ---- bindings ---------------------------------------------------------------
 */

static void attestation_keys_come_from_the_identity(void **state)
{
    (void)state;
    /* Python: hmac and hashlib, from RFC 5869 and core/tagged.h. */
    static const struct {
        const char *context, *secret;
    } table[] = {
        {"",
         "7042cfc61cc28f8e228b6cd4872a5c00697a5813b781bb5d4ab93fda5b47ecaa"},
        {"chain 8453",
         "6227fe86fbbaf0575b2226b8fb5ec85bf31e10eb4a66269ba8fd49f00dd95628"},
    };
    cv_seckey *identity = key_of(one), *other = key_of(key_a);
    for (size_t i = 0; i < 2; i++) {
        cv_seckey *key = NULL, *foreign = NULL;
        uint8_t secret[32];
        char hex[65];
        size_t n = strlen(table[i].context);
        cv_seckey_derive_attestation(identity, &key, table[i].context, n);
        cv_seckey_export(key, secret);
        cv_hex(hex, secret, 32);
        assert_string_equal(hex, table[i].secret);
        cv_seckey_derive_attestation(other, &foreign, table[i].context, n);
        cv_pubkey p = pubkey_of(key), q = pubkey_of(foreign);
        assert_false(cv_pubkey_same(&p, &q));
        cv_seckey_destroy(&key);
        cv_seckey_destroy(&foreign);
    }
    cv_seckey_destroy(&identity);
    cv_seckey_destroy(&other);
}

static void bindings_hold_for_what_they_name_only(void **state)
{
    (void)state;
    cv_seckey *identity = key_of(one), *other = key_of(key_a), *key = NULL;
    uint8_t two[32] = {0}, digest[32];
    char hex[65];
    two[31] = 2;
    assert_int_equal(cv_seckey_from_bytes(two, &key, NULL), 0);
    cv_pubkey id = pubkey_of(identity), k = pubkey_of(key),
              o = pubkey_of(other);
    cv_sig sig, forged;
    cv_err err = {0};
    cv_binding_digest(digest, &id, CV_USE_ATTESTATION, &k, "run 7", 5);
    cv_hex(hex, digest, 32);
    assert_string_equal(
        hex,
        "dfb203c569a13273edf02c6732b19e834783aa2cf5a5213421afcb03008b0f96");
    cv_binding_sign(identity, &sig, CV_USE_ATTESTATION, &k, "run 7", 5);
    cv_binding_sign(other, &forged, CV_USE_ATTESTATION, &k, "run 7", 5);
    const struct {
        const cv_sig *sig;
        const cv_pubkey *identity;
        cv_key_use use;
        const cv_pubkey *key;
        const char *context;
        int rc;
    } table[] = {
        {&sig, &id, CV_USE_ATTESTATION, &k, "run 7", 0},
        {&sig, &id, CV_USE_AGREEMENT, &k, "run 7", CV_ERR_VERIFY},
        {&sig, &id, CV_USE_ATTESTATION, &k, "run 8", CV_ERR_VERIFY},
        {&sig, &id, CV_USE_ATTESTATION, &k, "", CV_ERR_VERIFY},
        {&sig, &id, CV_USE_ATTESTATION, &o, "run 7", CV_ERR_VERIFY},
        {&sig, &o, CV_USE_ATTESTATION, &k, "run 7", CV_ERR_VERIFY},
        {&forged, &id, CV_USE_ATTESTATION, &k, "run 7", CV_ERR_VERIFY},
        {&forged, &o, CV_USE_ATTESTATION, &k, "run 7", 0},
        {&sig, &id, CV_USE_ATTESTATION, &id, "run 7", CV_ERR_VERIFY},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_int_equal(cv_binding_verify(table[i].sig, table[i].identity,
                                           table[i].use, table[i].key,
                                           table[i].context,
                                           strlen(table[i].context), &err),
                         table[i].rc);
    assert_non_null(strstr(err.text, "identity key itself"));
    cv_seckey_destroy(&identity);
    cv_seckey_destroy(&other);
    cv_seckey_destroy(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_rfc6979),
        cmocka_unit_test(the_signature_of_eip155),
        cmocka_unit_test(every_changed_bit_is_found),
        cmocka_unit_test(signed_s_is_low_and_a_high_one_is_named),
        cmocka_unit_test(malformed_signatures_are_named),
        cmocka_unit_test(both_sides_agree),
        cmocka_unit_test(fresh_keys_are_fresh),
        cmocka_unit_test(attestation_keys_come_from_the_identity),
        cmocka_unit_test(bindings_hold_for_what_they_name_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

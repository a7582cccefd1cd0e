/* Keccak-256, and scrypt beside it: what chain/ computes itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "chain/keccak.h"
#include "chain/scrypt.h"
#include "core/bytes.h"
#include "core/rand.h"

static void assert_hex(const uint8_t *found, size_t n, const char *expected)
{
    char text[2 * 64 + 1];
    assert_true(n <= 64);
    cv_hex(text, found, n);
    assert_string_equal(text, expected);
}

static void keccak_gives_the_published_digests(void **state)
{
    (void)state;
    static const struct {
        const char *text, *digest;
    } table[] = {
        {"",
         "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
        {"abc",
         "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"},
        {"testing",
         "5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02"},
        {"The quick brown fox jumps over the lazy dog",
         "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15"},
        {"The quick brown fox jumps over the lazy dog.",
         "578951e24efd62a3d63a86f7cd19aaa53c898fe287d2552133220370240b572d"},
        /* ShortMsgKAT_256 of the submission, length 8 */
        {"\xcc",
         "eead6dbfc7340a56caedc044696a168870549a6a7f6f56961e84a54bd9970b8a"},
        /* begins with ERC-20's selector a9059cbb */
        {"transfer(address,uint256)",
         "a9059cbb2ab09eb219583f4a59a5d0623ade346d962bcd4e46b11da047c9049b"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t d[32];
        cv_keccak_of(d, table[i].text, strlen(table[i].text));
        assert_hex(d, 32, table[i].digest);
    }
}

/* Around the block length of 136, in one piece; digests from PyCryptodome. */
static void keccak_pads_full_blocks(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        const char *digest;
    } table[] = {
        {135,
         "34367dc248bbd832f4e3e69dfaac2f92638bd0bbd18f2912ba4ef454919cf446"},
        {136,
         "a6c4d403279fe3e0af03729caada8374b5ca54d8065329a3ebcaeb4b60aa386e"},
        {137,
         "d869f639c7046b4929fc92a4d988a8b22c55fbadb802c0c66ebcd484f1915f39"},
        {1000000,
         "fadae6b49f129bbb812be8407b7b2894f34aecf6dbd1f9b0f0c7e9853098fc96"},
    };
    uint8_t *a = malloc(1000000), d[32];
    memset(a, 'a', 1000000);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_keccak_of(d, a, table[i].n);
        assert_hex(d, 32, table[i].digest);
    }
    free(a);
}

/* Every length up to 600 in one chain, H = K(H | message); the end was computed
 * with PyCryptodome. Each message is also fed in two pieces. */
static void keccak_chain_over_all_lengths(void **state)
{
    (void)state;
    uint8_t m[32 + 600], h[32], again[32];
    size_t have = 0;
    for (size_t n = 0; n <= 600; n++) {
        for (size_t i = 0; i < n; i++)
            m[have + i] = (uint8_t)(7 * i + n);
        cv_keccak_of(h, m, have + n);
        cv_keccak k = {0};
        size_t cut = (n * 31) % (have + n + 1);
        cv_keccak_add(&k, m, cut);
        cv_keccak_add(&k, m + cut, have + n - cut);
        cv_keccak_end(&k, again);
        assert_memory_equal(h, again, 32);
        memcpy(m, h, 32);
        have = 32;
    }
    assert_hex(h, 32,
               "99c2a9463036b9271dea929b3bdd469ef7e5746c3fad039ab9bc78803ae1a5"
               "61");
}

static void keccak_is_not_sha3(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    cv_keccak_of(a, "abc", 3);
    assert_int_equal(EVP_Digest("abc", 3, b, NULL, EVP_sha3_256(), NULL), 1);
    assert_memory_not_equal(a, b, 32);
}

static void scrypt_gives_the_rfc_vectors(void **state)
{
    (void)state;
    /* RFC 7914, section 12; the fourth takes more than the limit. */
    static const struct {
        const char *pass, *salt;
        cv_scrypt_cost cost;
        const char *key;
    } table[] = {
        {"",
         "",
         {16, 1, 1},
         "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
         "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"},
        {"password",
         "NaCl",
         {1024, 8, 16},
         "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
         "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"},
        {"pleaseletmein",
         "SodiumChloride",
         {16384, 8, 1},
         "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
         "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t key[64];
        cv_err err = {0};
        assert_int_equal(cv_scrypt(key, 64, table[i].pass,
                                   strlen(table[i].pass), table[i].salt,
                                   strlen(table[i].salt), &table[i].cost, &err),
                         0);
        assert_hex(key, 64, table[i].key);
    }
}

/* Against libsodium at every cost, and libcrypto where it accepts one. */
static void scrypt_equals_two_libraries(void **state)
{
    (void)state;
    cv_stream s;
    cv_stream_open(&s, 7, "scrypt test", 0, 0);
    int by_openssl = 0;
    for (int i = 0; i < 60; i++) {
        uint8_t pass[40], salt[40], a[70], b[70];
        size_t np = cv_stream_below(&s, 40), ns = cv_stream_below(&s, 40);
        size_t nk = 1 + cv_stream_below(&s, 70);
        cv_scrypt_cost c = {UINT64_C(2) << cv_stream_below(&s, 9),
                            1 + (uint32_t)cv_stream_below(&s, 12),
                            1 + (uint32_t)cv_stream_below(&s, 5)};
        cv_stream_bytes(&s, pass, sizeof pass);
        cv_stream_bytes(&s, salt, sizeof salt);
        assert_int_equal(cv_scrypt(a, nk, pass, np, salt, ns, &c, NULL), 0);
        assert_int_equal(crypto_pwhash_scryptsalsa208sha256_ll(
                             pass, np, salt, ns, c.n, c.r, c.p, b, nk),
                         0);
        assert_memory_equal(a, b, nk);
        if (EVP_PBE_scrypt((char *)pass, np, salt, ns, c.n, c.r, c.p, 1 << 26,
                           b, nk) == 1) {
            assert_memory_equal(a, b, nk);
            by_openssl++;
        }
    }
    assert_true(by_openssl > 30);
    cv_stream_close(&s);
}

static void scrypt_costs_are_bounded(void **state)
{
    (void)state;
    static const struct {
        cv_scrypt_cost cost;
        int ok;
    } table[] = {
        {{2, 1, 1}, 1},
        {{1 << 18, 8, 1}, 1},
        {{1 << 18, 1, 8}, 1},
        {{1 << 19, 15, 1}, 1},
        {{1 << 20, 8, 1}, 0}, /* a block above 1 GiB */
        {{1 << 19, 8, 8}, 1}, /* all the work that is allowed */
        {{1 << 19, 8, 9}, 0},
        {{0, 8, 1}, 0},
        {{1, 8, 1}, 0},
        {{3, 8, 1}, 0},
        {{262143, 8, 1}, 0},
        {{1 << 18, 0, 1}, 0},
        {{1 << 18, 8, 0}, 0},
        {{UINT64_C(1) << 63, 8, 1}, 0},
        {{UINT64_C(1) << 62, 1, 1}, 0},
        {{UINT64_MAX, 8, 1}, 0},
        {{2, UINT32_MAX, 1}, 0},
        {{2, 1, UINT32_MAX}, 0},
        {{2, UINT32_MAX, UINT32_MAX}, 0},
        {{UINT64_C(1) << 63, UINT32_MAX, UINT32_MAX}, 0},
        {{UINT64_C(1) << 57, 128, 1}, 0}, /* 128 n r is 2^71 */
        {{UINT64_C(1) << 32, UINT32_C(1) << 31, 2}, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_err err = {0};
        int rc = cv_scrypt_check(&table[i].cost, &err);
        assert_int_equal(rc, table[i].ok ? 0 : CV_ERR_INPUT);
        assert_int_equal(err.text[0] == '\0', table[i].ok);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keccak_gives_the_published_digests),
        cmocka_unit_test(keccak_pads_full_blocks),
        cmocka_unit_test(keccak_chain_over_all_lengths),
        cmocka_unit_test(keccak_is_not_sha3),
        cmocka_unit_test(scrypt_gives_the_rfc_vectors),
        cmocka_unit_test(scrypt_equals_two_libraries),
        cmocka_unit_test(scrypt_costs_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a federation signs. The digests were made with ethers 6.17.0
 * (TypedDataEncoder, AbiCoder, getCreateAddress) and again, the typed ones, with
 * viem 2.57. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chain/federation.h"
#include "chain/keccak.h"
#include "tests/chain/hex_fixture.h"

static const uint8_t *filled(uint8_t byte)
{
    static uint8_t pool[8][32];
    static int at;
    at = (at + 1) % 8;
    memset(pool[at], byte, 32);
    return pool[at];
}

static cv_address place(uint8_t byte)
{
    cv_address a;
    memset(&a, byte, sizeof a);
    return a;
}

static cv_federation federation(void)
{
    cv_federation f = {.chain_id = 84532};
    assert_int_equal(
        cv_address_parse(&f.contract,
                         "0x5fbdb2315678afecb367f032d93f642f64180aa3", NULL),
        0);
    return f;
}

static void the_rewards_contract_is_the_first_one_made(void **state)
{
    (void)state;
    cv_federation f = federation();
    cv_address a;
    char text[CV_ADDRESS_TEXT];
    cv_federation_rewards(&a, &f);
    cv_address_text(text, &a);
    assert_string_equal(text, "0xa16E02E87b7454126E5E10d957A927A7F5B5d2be");
}

static void a_quorum_is_more_than_half_of_n_and_t(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= CV_MAX_ATTESTERS; n++)
        for (uint32_t t = 0; t < n; t++) {
            uint32_t q = cv_federation_quorum(n, t);
            assert_true(2 * q > n + t);
            assert_true(2 * (q - 1) <= n + t);
        }
    assert_int_equal(cv_federation_quorum(3, 1), 3);
    assert_int_equal(cv_federation_quorum(4, 1), 3);
    assert_int_equal(cv_federation_quorum(UINT32_MAX, UINT32_MAX - 2),
                     UINT32_MAX);
}

static void attesters(void **state)
{
    (void)state;
    cv_federation f = federation();
    cv_address silo = place(0x11), attester = place(0x22);
    uint8_t digest[32];
    cv_attester_digest(digest, &f, &silo, &attester,
                       UINT64_C(0x123456789abcdef0));
    assert_hex(
        digest, 32,
        "af74ef81c2a8bf3f56f4c879eb58628cbb932be593896c69f8509903f3419249");
}

/* The job and the attesters of FederationTest in chain/contracts/test, which has
 * the contract itself make this id of the salt "two". */
static void the_id_is_the_one_that_the_contract_makes(void **state)
{
    (void)state;
    static const char *const who[4] = {
        "0xa2186681B93E3C835D75233D0c7c26Af1aD9b1A1",
        "0xC02c2DF2e6ab1d3E7815458Fda0Dd9004eC057f6",
        "0xF4A6122550da2224dc51C0ABc17E58340Dbccb5A",
        "0x15409fb321A4de4e29CB6B2854F2DD18D9423A9C"};
    cv_address attester[4];
    cv_run_terms run = {
        .salt = "two", .attesters = attester, .n = 4, .collusion = 1};
    uint8_t id[32];
    for (int i = 0; i < 4; i++)
        assert_int_equal(cv_address_parse(&attester[i], who[i], NULL), 0);
    cv_keccak_of(run.job, "job", 3);
    cv_chain_run_id(id, &run);
    assert_hex(
        id, 32,
        "c314d9ba3b35c8da5a58642012a5c0817cbfb0388a237845e2ec19f38f62b683");
}

static void every_term_is_in_the_id(void **state)
{
    (void)state;
    cv_address attester[3] = {place(1), place(2), place(3)};
    cv_address other[3] = {place(2), place(1), place(3)};
    cv_run_terms run = {.attesters = attester, .n = 3, .collusion = 1};
    uint8_t id[7][32];
    cv_run_terms v[7];
    for (int i = 0; i < 7; i++)
        v[i] = run;
    v[1].salt[31] ^= 1;
    v[2].job[0] ^= 1;
    v[3].attesters = other;
    v[4].n = 2;
    v[5].collusion = 0;
    v[6].attesters = attester + 1, v[6].n = 2;
    for (int i = 0; i < 7; i++) {
        cv_chain_run_id(id[i], &v[i]);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(id[i], id[k], 32);
    }
}

static void openings(void **state)
{
    (void)state;
    static const struct {
        uint32_t n;
        const char *id, *digest;
    } table[] = {
        {0, "cb1eca07df80e612d5197e15fbe48115ddb0073f45461a420d5bd783540f7711",
         "a36317f73c16623b4bd788b54d1e6534ba5858027fbd46f6ea30b5c62db27c3e"},
        {1, "748ba21d7fdd7f7e43ff61f8bd63744f6f59d5f268cba2470062f6984e6c7860",
         "6ba75a61f6f56d2c62b0069c9767c757c14c7b4ee55965cc5ec579a8c1880fbc"},
        {3, "8af40cf421f13ecbd1a19b940e484545fa2908ca611269b7ee285527fbae7ff4",
         "bd6728be364eeba0e9a4f18f0df14c90ef485478b64aad40f19ca0b94f86d4b5"},
        {255,
         "52607a5f56389887c032c1428e3feb6a12a91b7be45329ea2c7420f28fb66116",
         "5aa97daedd16a699c8acd5c66126d2c712bfb8c3c84302d96548f0b531fad9ec"},
    };
    cv_federation f = federation();
    cv_address attester[255];
    for (int i = 0; i < 255; i++)
        attester[i] = place((uint8_t)(i + 1));
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_run_terms run = {
            .attesters = attester, .n = table[i].n, .collusion = table[i].n};
        uint8_t digest[32];
        memset(run.salt, 0xa1, 32);
        memset(run.job, 0xb2, 32);
        cv_chain_run_id(digest, &run);
        assert_hex(digest, 32, table[i].id);
        cv_opening_digest(digest, &f, &run);
        assert_hex(digest, 32, table[i].digest);
    }
}

static void heads_and_rounds(void **state)
{
    (void)state;
    cv_federation f = federation();
    uint8_t head[32], digest[32];
    memset(head, 0xc3, 32);
    cv_head_step(head, 7, filled(0xf6));
    assert_hex(
        head, 32,
        "6f999c54d3b1083a24f0bdeeb05fe1e70b60548b94e9419ece333061ebd57f69");
    cv_rounds_digest(digest, &f, filled(0xa1), filled(0xb2), 7, UINT64_MAX,
                     filled(0xc3), filled(0xd4));
    assert_hex(
        digest, 32,
        "396b4b18f7dc82d83d8190e3410f9bed9ba0393bea234a6ae5139cdf4ad73c05");
}

static void epochs_and_objections(void **state)
{
    (void)state;
    cv_federation f = federation();
    cv_epoch e = {.epoch = 5,
                  .version = 2,
                  .leaves = 4000000000,
                  .sponsor = place(0x33),
                  .token = place(0x44)};
    uint8_t digest[32];
    memset(e.run_id, 0xa1, 32);
    memset(e.head, 0xd4, 32);
    memset(e.root, 0xe5, 32);
    assert_int_equal(cv_u256_from_units(&e.total, "1000.0", 18, NULL), 0);
    cv_epoch_digest(digest, &f, &e);
    assert_hex(
        digest, 32,
        "65387c91989072846dcf692cc3b08c40fb22884f444afc083fa013339c24e180");
    cv_objection_digest(digest, &f, e.run_id, 5, 2);
    assert_hex(
        digest, 32,
        "6f67224e2cbdf7f3972b96d07908a53f32947746982012cd85b7beb85b314c9d");
}

static void reward_leaves(void **state)
{
    (void)state;
    cv_federation f = federation();
    cv_address payee = place(0x55), last = place(0xff);
    cv_u256 amount, most;
    uint8_t leaf[32];
    assert_int_equal(cv_u256_from_units(&amount, "250", 18, NULL), 0);
    cv_reward_leaf(leaf, &f, filled(0xa1), 5, 3, &payee, &amount);
    assert_hex(
        leaf, 32,
        "1300515d1a769a6fb6cc640a02028be02ee82556156cc5019c50878acc49f1e0");
    memset(&most, 0xff, sizeof most);
    cv_reward_leaf(leaf, &f, filled(0xa1), 5, UINT64_MAX, &last, &most);
    assert_hex(
        leaf, 32,
        "4c3e7fa083919ec97dfe3f59b17581357f1550f08130ad4cd5aab6639dbb8d31");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rewards_contract_is_the_first_one_made),
        cmocka_unit_test(a_quorum_is_more_than_half_of_n_and_t),
        cmocka_unit_test(attesters),
        cmocka_unit_test(the_id_is_the_one_that_the_contract_makes),
        cmocka_unit_test(every_term_is_in_the_id),
        cmocka_unit_test(openings),
        cmocka_unit_test(heads_and_rounds),
        cmocka_unit_test(epochs_and_objections),
        cmocka_unit_test(reward_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

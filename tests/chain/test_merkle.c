/* Merkle trees: by hand, against another program, and their properties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chain/keccak.h"
#include "chain/merkle.h"
#include "tests/chain/hex_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

enum { MOST = 33 };

/* Leaf i is the Keccak-256 of the word of i. */
static void make_leaves(uint8_t leaf[MOST][32])
{
    for (int i = 0; i < MOST; i++) {
        uint8_t word[32] = {0};
        word[31] = (uint8_t)i;
        cv_keccak_of(leaf[i], word, 32);
    }
}

/* The definition once more, one pair at a time. */
static void parent(uint8_t out[32], const uint8_t *a, const uint8_t *b)
{
    uint8_t both[64];
    int swap = memcmp(a, b, 32) > 0;
    memcpy(both, swap ? b : a, 32);
    memcpy(both + 32, swap ? a : b, 32);
    cv_keccak_of(out, both, 64);
}

static void five_leaves_by_hand(void **state)
{
    (void)state;
    uint8_t leaf[MOST][32], ab[32], cd[32], abcd[32], root[32], found[32];
    uint8_t proof[CV_MERKLE_DEPTH][32];
    size_t n;
    make_leaves(leaf);
    parent(ab, leaf[0], leaf[1]);
    parent(cd, leaf[2], leaf[3]);
    parent(abcd, ab, cd);
    parent(root, abcd, leaf[4]); /* the fifth goes up twice as it is */
    cv_merkle_root(found, leaf[0], 5);
    assert_memory_equal(found, root, 32);
    cv_merkle_proof(leaf[0], 5, 4, proof[0], &n);
    assert_int_equal(n, 1);
    assert_memory_equal(proof[0], abcd, 32);
    cv_merkle_proof(leaf[0], 5, 2, proof[0], &n);
    assert_int_equal(n, 3);
    assert_memory_equal(proof[0], leaf[3], 32);
    assert_memory_equal(proof[1], ab, 32);
    assert_memory_equal(proof[2], leaf[4], 32);
}

static void roots_of_another_program(void **state)
{
    (void)state;
    /* Made with the Keccak-256 of ethers 6.17.0. */
    static const struct {
        size_t n;
        const char *root;
    } table[] = {
        {1, "290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563"},
        {2, "891370df4fadf33f50e41f7c8a791e680c0655695ea3404385a909c8f5e13fb4"},
        {3, "038a2f0e22b3057e8442080dd34c298001ff0796b494235f125d681d5507068c"},
        {5, "c96cb43f0149b257acfbc3ebf2822b945c02a7874dccbd55312bd44589068e0a"},
        {33,
         "97b697424f10ef60eb7d3c4e97098012bbef70433c22e4329d7d19e386a72556"},
    };
    uint8_t leaf[MOST][32], root[32];
    make_leaves(leaf);
    for (size_t i = 0; i < COUNT(table); i++) {
        cv_merkle_root(root, leaf[0], table[i].n);
        assert_hex(root, 32, table[i].root);
    }
}

static size_t height_of(size_t n)
{
    size_t height = 0;
    while ((size_t)1 << height < n)
        height++;
    return height;
}

/* Each leaf is proved, by its own proof alone, and by none that was touched. */
static void proofs_hold_for_their_leaf(void **state)
{
    (void)state;
    uint8_t leaf[MOST][32], before[MOST][32], root[32];
    uint8_t proof[CV_MERKLE_DEPTH][32] = {{0}};
    make_leaves(leaf);
    memcpy(before, leaf, sizeof leaf);
    for (size_t n = 1; n <= MOST; n++) {
        cv_merkle_root(root, leaf[0], n);
        for (size_t i = 0; i < n; i++) {
            size_t len;
            cv_err err = {0};
            cv_merkle_proof(leaf[0], n, i, proof[0], &len);
            assert_true(len <= height_of(n));
            assert_int_equal(
                cv_merkle_verify(root, leaf[i], proof[0], len, &err), 0);
            for (size_t k = 0; k < MOST; k++)
                if (k != i)
                    assert_int_equal(
                        cv_merkle_verify(root, leaf[k], proof[0], len, &err),
                        CV_ERR_VERIFY);
            for (size_t k = 0; k < len; k++) {
                proof[k][k % 32] ^= 1;
                assert_int_equal(
                    cv_merkle_verify(root, leaf[i], proof[0], len, &err),
                    CV_ERR_VERIFY);
                proof[k][k % 32] ^= 1;
            }
            if (len > 0)
                assert_int_equal(
                    cv_merkle_verify(root, leaf[i], proof[0], len - 1, &err),
                    CV_ERR_VERIFY);
            assert_int_equal(
                cv_merkle_verify(root, leaf[i], proof[0], len + 1, &err),
                CV_ERR_VERIFY);
        }
    }
    assert_memory_equal(leaf, before, sizeof leaf); /* only read */
}

/* One leaf changed, added or exchanged changes the root; within a pair the order
 * does not count. */
static void roots_depend_on_every_leaf(void **state)
{
    (void)state;
    uint8_t leaf[MOST][32], root[MOST + 1][32], other[32], spare[32];
    make_leaves(leaf);
    for (size_t n = 1; n <= MOST; n++) {
        cv_merkle_root(root[n], leaf[0], n);
        for (size_t k = 1; k < n; k++)
            assert_memory_not_equal(root[n], root[k], 32);
        for (size_t i = 0; i < n; i++) {
            leaf[i][31] ^= 1;
            cv_merkle_root(other, leaf[0], n);
            assert_memory_not_equal(other, root[n], 32);
            leaf[i][31] ^= 1;
        }
    }
    memcpy(spare, leaf[0], 32);
    memcpy(leaf[0], leaf[1], 32);
    memcpy(leaf[1], spare, 32);
    cv_merkle_root(other, leaf[0], MOST);
    assert_memory_equal(other, root[MOST], 32);
    /* not even where only the last byte tells them apart */
    uint8_t twins[4][32];
    memset(twins, 7, sizeof twins);
    twins[0][31] = twins[3][31] = 8;
    cv_merkle_root(other, twins[0], 2);
    cv_merkle_root(spare, twins[2], 2);
    assert_memory_equal(other, spare, 32);
    memcpy(spare, leaf[2], 32);
    memcpy(leaf[2], leaf[1], 32);
    memcpy(leaf[1], spare, 32);
    cv_merkle_root(other, leaf[0], MOST);
    assert_memory_not_equal(other, root[MOST], 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_leaves_by_hand),
        cmocka_unit_test(roots_of_another_program),
        cmocka_unit_test(proofs_hold_for_their_leaf),
        cmocka_unit_test(roots_depend_on_every_leaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "chain/federation.h"

#include <string.h>

#include "chain/abi.h"
#include "chain/keccak.h"
#include "chain/rlp.h"

void cv_federation_rewards(cv_address *out, const cv_federation *f)
{
    /* CREATE: Keccak-256 of the RLP of maker and nonce (Yellow Paper, 7). */
    cv_buf items = {0}, list = {0};
    uint8_t digest[32];
    cv_rlp_put_bytes(&items, f->contract.b, sizeof f->contract.b);
    cv_rlp_put_u64(&items, 1);
    cv_rlp_put_list(&list, &items);
    cv_keccak_of(digest, list.data, list.len);
    memcpy(out->b, digest + 12, sizeof out->b);
    cv_buf_free(&items);
    cv_buf_free(&list);
}

uint32_t cv_federation_quorum(uint32_t attesters, uint32_t collusion)
{
    return (uint32_t)(((uint64_t)attesters + collusion) / 2 + 1);
}

/* What is signed for the federation's contract: a struct of n words. */
static void federation_digest(uint8_t out[32], const cv_federation *f,
                              const char *type, const uint8_t *words, size_t n)
{
    cv_domain d = {.name = "Covey Federation",
                   .version = "1",
                   .chain_id = f->chain_id,
                   .contract = f->contract};
    uint8_t hash[32];
    cv_struct_hash(hash, type, words, n);
    cv_typed_digest(out, &d, hash);
}

/* The same for its rewards contract. */
static void rewards_digest(uint8_t out[32], const cv_federation *f,
                           const char *type, const uint8_t *words, size_t n)
{
    cv_domain d = {
        .name = "Covey Rewards", .version = "1", .chain_id = f->chain_id};
    uint8_t hash[32];
    cv_federation_rewards(&d.contract, f);
    cv_struct_hash(hash, type, words, n);
    cv_typed_digest(out, &d, hash);
}

void cv_attester_digest(uint8_t out[32], const cv_federation *f,
                        const cv_address *silo, const cv_address *attester,
                        uint64_t nonce)
{
    uint8_t word[3][32];
    cv_word_of_address(word[0], silo);
    cv_word_of_address(word[1], attester);
    cv_word_of_u64(word[2], nonce);
    federation_digest(out, f, CV_TYPE_ATTESTER, word[0], 3);
}

void cv_chain_run_id(uint8_t out[32], const cv_run_terms *run)
{
    static const char types[] = "(bytes32,bytes32,address[],uint32)";
    cv_abi_writer w;
    cv_buf words = {0};
    CV_CHECK(run->n <= CV_MAX_ATTESTERS);
    cv_abi_begin(&w, types);
    cv_abi_put_bytes32(&w, run->salt);
    cv_abi_put_bytes32(&w, run->job);
    cv_abi_put_addresses(&w, run->attesters, run->n);
    cv_abi_put_u64(&w, run->collusion);
    cv_abi_end(&w, &words);
    cv_keccak_of(out, words.data, words.len);
    cv_buf_free(&words);
}

void cv_opening_digest(uint8_t out[32], const cv_federation *f,
                       const cv_run_terms *run)
{
    CV_CHECK(run->n <= CV_MAX_ATTESTERS);
    uint8_t word[4][32];
    cv_keccak k = {0};
    cv_chain_run_id(word[0], run);
    memcpy(word[1], run->job, 32);
    for (uint32_t i = 0; i < run->n; i++) {
        cv_word_of_address(word[2], &run->attesters[i]);
        cv_keccak_add(&k, word[2], 32);
    }
    cv_keccak_end(&k, word[2]); /* EIP-712: an array is the hash of its words */
    cv_word_of_u64(word[3], run->collusion);
    federation_digest(out, f, CV_TYPE_RUN, word[0], 4);
}

void cv_head_step(uint8_t head[32], uint64_t round, const uint8_t record[32])
{
    uint8_t word[3][32];
    memcpy(word[0], head, 32);
    cv_word_of_u64(word[1], round);
    memcpy(word[2], record, 32);
    cv_keccak_of(head, word, sizeof word);
}

void cv_rounds_digest(uint8_t out[32], const cv_federation *f,
                      const uint8_t run_id[32], const uint8_t job[32],
                      uint64_t first, uint64_t last, const uint8_t before[32],
                      const uint8_t after[32])
{
    uint8_t word[6][32];
    memcpy(word[0], run_id, 32);
    memcpy(word[1], job, 32);
    cv_word_of_u64(word[2], first);
    cv_word_of_u64(word[3], last);
    memcpy(word[4], before, 32);
    memcpy(word[5], after, 32);
    federation_digest(out, f, CV_TYPE_ROUNDS, word[0], 6);
}

void cv_epoch_digest(uint8_t out[32], const cv_federation *f, const cv_epoch *e)
{
    uint8_t word[9][32];
    memcpy(word[0], e->run_id, 32);
    cv_word_of_u64(word[1], e->epoch);
    cv_word_of_u64(word[2], e->version);
    memcpy(word[3], e->head, 32);
    cv_word_of_address(word[4], &e->sponsor);
    cv_word_of_address(word[5], &e->token);
    memcpy(word[6], e->root, 32);
    memcpy(word[7], e->total.b, 32);
    cv_word_of_u64(word[8], e->leaves);
    rewards_digest(out, f, CV_TYPE_EPOCH, word[0], 9);
}

void cv_objection_digest(uint8_t out[32], const cv_federation *f,
                         const uint8_t run_id[32], uint64_t epoch,
                         uint32_t version)
{
    uint8_t word[3][32];
    memcpy(word[0], run_id, 32);
    cv_word_of_u64(word[1], epoch);
    cv_word_of_u64(word[2], version);
    rewards_digest(out, f, CV_TYPE_OBJECTION, word[0], 3);
}

void cv_reward_leaf(uint8_t out[32], const cv_federation *f,
                    const uint8_t run_id[32], uint64_t epoch, uint64_t index,
                    const cv_address *payee, const cv_u256 *amount)
{
    uint8_t word[7][32], once[32];
    cv_address rewards;
    cv_federation_rewards(&rewards, f);
    cv_word_of_u64(word[0], f->chain_id);
    cv_word_of_address(word[1], &rewards);
    memcpy(word[2], run_id, 32);
    cv_word_of_u64(word[3], epoch);
    cv_word_of_u64(word[4], index);
    cv_word_of_address(word[5], payee);
    memcpy(word[6], amount->b, 32);
    cv_keccak_of(once, word, sizeof word);
    cv_keccak_of(out, once, sizeof once);
}

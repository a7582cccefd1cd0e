#include "jobs/rewards.h"

#include <stdlib.h>
#include <string.h>

#include "chain/merkle.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "core/tagged.h"

void cv_rewards_create(cv_rewards *r, int n)
{
    *r = (cv_rewards){.n = n,
                      .payee = CV_NEW(n, cv_address),
                      .basis = CV_NEW(n, int64_t),
                      .amount = CV_NEW(n, cv_u256),
                      .count_sig = CV_NEW(n, cv_sig),
                      .sig = CV_NEW(n, cv_sig)};
}

void cv_rewards_free(cv_rewards *r)
{
    free(r->payee);
    free(r->basis);
    free(r->amount);
    free(r->count_sig);
    free(r->sig);
    free(r->value);
    *r = (cv_rewards){0};
}

/* ---- sharing out ------------------------------------------------------------------ */

typedef struct {
    uint64_t remainder;
    int silo;
} leftover;

static int larger_first(const void *a, const void *b)
{
    const leftover *x = a, *y = b;
    if (x->remainder != y->remainder)
        return x->remainder < y->remainder ? 1 : -1;
    return x->silo - y->silo;
}

/* pool basis / weight of those that are not at the cap; 1 if one of them has
 * come to it. */
static int proportion(cv_u256 *amount, leftover *over, uint8_t *capped,
                      const cv_u256 *pool, const cv_u256 *cap,
                      const int64_t *basis, int n, uint64_t weight)
{
    int found = 0;
    for (int i = 0; i < n; i++) {
        if (capped[i] || basis[i] == 0)
            continue;
        cv_u256 product;
        CV_CHECK(cv_u256_mul(&product, pool, (uint64_t)basis[i]) == 0);
        over[i] = (leftover){cv_u256_div(&amount[i], &product, weight), i};
        if (cv_u256_cmp(&amount[i], cap) > 0) {
            amount[i] = *cap;
            over[i].remainder = 0;
            capped[i] = 1;
            found = 1;
        }
    }
    return found;
}

/* Units that rounding down has left, one each to the largest remainders. */
static void hand_out_rest(cv_u256 *amount, leftover *over, cv_u256 *left,
                          const uint8_t *capped, const cv_u256 *cap, int n)
{
    const cv_u256 one = cv_u256_of(1);
    qsort(over, (size_t)n, sizeof *over, larger_first);
    for (int k = 0; k < n && !cv_u256_is_zero(left); k++) {
        int i = over[k].silo;
        if (over[k].remainder == 0 || capped[i] ||
            cv_u256_cmp(&amount[i], cap) >= 0)
            continue;
        CV_CHECK(cv_u256_add(&amount[i], &amount[i], &one) == 0);
        CV_CHECK(cv_u256_sub(left, left, &one) == 0);
    }
}

int cv_rewards_split(cv_u256 *amount, const cv_u256 *pool, const int64_t *basis,
                     int n, uint32_t cap_ppm, cv_err *err)
{
    uint8_t *capped = CV_NEW(n, uint8_t);
    leftover *over = CV_NEW(n, leftover);
    cv_u256 cap, left = *pool;
    uint64_t weight = 0;
    int rc = 0, again = 1;
    for (int i = 0; i < n; i++) {
        over[i].silo = i;
        amount[i] = cv_u256_of(0);
        if (basis[i] < 0 || (weight += (uint64_t)basis[i]) > INT64_MAX)
            rc = cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                            "rewards: the silos' numbers are below 0, or "
                            "above 2^63 together");
    }
    /* No product below is larger than one of these. */
    if (!rc &&
        (cv_u256_mul(&cap, pool, weight) || cv_u256_mul(&cap, pool, cap_ppm)))
        rc = cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                        "rewards: the pool has too many units to be shared "
                        "out");
    if (!rc && weight == 0)
        rc = cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                        "rewards: no silo has anything to be paid for");
    if (rc)
        goto out;
    (void)cv_u256_div(&cap, &cap, 1000000);
    while (again && weight > 0) {
        again = proportion(amount, over, capped, &left, &cap, basis, n, weight);
        left = *pool;
        weight = 0;
        for (int i = 0; i < n; i++) {
            if (capped[i])
                CV_CHECK(cv_u256_sub(&left, &left, &amount[i]) == 0);
            else
                weight += (uint64_t)basis[i];
        }
    }
    for (int i = 0; i < n; i++)
        if (!capped[i])
            CV_CHECK(cv_u256_sub(&left, &left, &amount[i]) == 0);
    hand_out_rest(amount, over, &left, capped, &cap, n);
out:
    free(capped);
    free(over);
    return rc;
}

/* ---- Shapley ------------------------------------------------------------------------- */

int cv_rewards_groups(const cv_job *job)
{
    return job->chain.rewards.enabled &&
                   job->chain.rewards.method == CV_REWARD_SHAPLEY
               ? job->chain.rewards.groups
               : 1;
}

int cv_rewards_group(int i, int n_silos, int groups)
{
    return (int)((int64_t)i * groups / n_silos);
}

static int64_t factorial(int k)
{
    return k <= 1 ? 1 : k * factorial(k - 1);
}

/* Source: Shapley (1953); over groups of silos whose updates only their sum
 * shows: Ma et al., "Transparent contribution evaluation for secure federated
 * learning on blockchain" (2021). */
void cv_rewards_shapley(int64_t *basis, const int64_t *value, int n_silos,
                        int groups)
{
    for (int i = 0; i < n_silos; i++)
        basis[i] = 0;
    for (int g = 0; g < groups; g++) {
        int64_t sum = 0;
        int members = 0, all = 1 << groups;
        for (int s = 0; s < all; s++) {
            if (s >> g & 1)
                continue;
            int size = __builtin_popcount((unsigned)s);
            sum += factorial(size) * factorial(groups - size - 1) *
                   (value[s | 1 << g] - value[s]);
        }
        for (int i = 0; i < n_silos; i++)
            members += cv_rewards_group(i, n_silos, groups) == g;
        /* In parts that are whole for every size of group. */
        int64_t unit = 1;
        for (int k = 0; k < groups; k++) {
            int size = 0;
            for (int i = 0; i < n_silos; i++)
                size += cv_rewards_group(i, n_silos, groups) == k;
            unit = size > unit ? size : unit;
        }
        /* Groups differ by one member at most: unit (unit - 1) has both. */
        int64_t common = unit > 1 ? unit * (unit - 1) : 1;
        for (int i = 0; i < n_silos; i++)
            if (cv_rewards_group(i, n_silos, groups) == g && sum > 0)
                basis[i] = sum * (common / members);
    }
}

/* ---- leaves and root ------------------------------------------------------------------ */

void cv_rewards_leaves(const cv_rewards *r, const cv_federation *f,
                       uint8_t **leaves, int **silo)
{
    uint64_t at = 0;
    *leaves = CV_NEW(32 * (size_t)r->n, uint8_t);
    *silo = CV_NEW(r->n, int);
    for (int i = 0; i < r->n; i++) {
        if (cv_u256_is_zero(&r->amount[i]))
            continue;
        cv_reward_leaf(*leaves + 32 * at, f, r->epoch.run_id, r->epoch.epoch,
                       at, &r->payee[i], &r->amount[i]);
        (*silo)[at++] = i;
    }
}

int cv_rewards_fill(cv_rewards *r, const cv_chain_terms *terms,
                    const uint8_t on_chain[32], const uint8_t head[32],
                    uint32_t version, cv_err *err)
{
    uint8_t *leaves;
    int *silo;
    int rc = cv_rewards_split(r->amount, &terms->pool, r->basis, r->n,
                              terms->cap_ppm, err);
    if (rc)
        return rc;
    r->epoch = (cv_epoch){.epoch = 1,
                          .version = version,
                          .sponsor = terms->sponsor,
                          .token = terms->token,
                          .total = cv_u256_of(0)};
    memcpy(r->epoch.run_id, on_chain, 32);
    memcpy(r->epoch.head, head, 32);
    for (int i = 0; i < r->n; i++) {
        r->epoch.leaves += !cv_u256_is_zero(&r->amount[i]);
        CV_CHECK(cv_u256_add(&r->epoch.total, &r->epoch.total, &r->amount[i]) ==
                 0);
    }
    if (r->epoch.leaves == 0)
        return cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                          "rewards: the pool has fewer units than silos to "
                          "pay");
    cv_rewards_leaves(r, &terms->federation, &leaves, &silo);
    cv_merkle_root(r->epoch.root, leaves, r->epoch.leaves);
    free(leaves);
    free(silo);
    return 0;
}

int cv_rewards_declares(cv_reward_method method)
{
    return method == CV_REWARD_DATA_SIZE || method == CV_REWARD_VALIDATION;
}

void cv_rewards_count_digest(uint8_t out[32], const uint8_t run_id[32],
                             cv_reward_method method, int64_t round,
                             int64_t count)
{
    uint8_t word[3][8];
    cv_put_le64(word[0], (uint64_t)method);
    cv_put_le64(word[1], (uint64_t)round);
    cv_put_le64(word[2], (uint64_t)count);
    cv_part part[] = {{run_id, 32}, {word, sizeof word}};
    cv_tagged_hash(out, "covey reward count v1", part, 2);
}

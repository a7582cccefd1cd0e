#include "jobs/round_groups.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/budget.h"
#include "jobs/rewards.h"
#include "mpi/reduce.h"
#include "privacy/field.h"

int cv_groups_of_round(const cv_run *run)
{
    return run->round + 1 == run->job->training.rounds
               ? cv_rewards_groups(run->job)
               : 1;
}

static int larger_first(const void *a, const void *b)
{
    return *(const int *)b - *(const int *)a;
}

/* Members of a group, and those of them that are left without the silos of the
 * t largest operators. */
static int count_group(const cv_run *run, const cv_attempt *at, int g,
                       int groups, int *honest)
{
    const cv_secure *sec = run->secure;
    int n = run->fed.n_silos, members = 0;
    int *size = CV_NEW(n, int);
    for (int k = 0; k < at->n; k++)
        if (cv_rewards_group(at->member[k], n, groups) == g) {
            size[sec->operator_of[at->member[k]]]++;
            members++;
        }
    qsort(size, (size_t)n, sizeof *size, larger_first);
    *honest = members;
    for (int k = 0; k < sec->collusion && k < n; k++)
        *honest -= size[k];
    free(size);
    return members;
}

int cv_groups_check(const cv_run *run, const cv_attempt *at, int groups,
                    cv_err *err)
{
    int least = run->secure->collusion + 2;
    for (int g = 0; g < groups && groups > 1; g++) {
        int honest, members = count_group(run, at, g, groups, &honest);
        if (members < least || honest < 2)
            return cv_err_set(
                err, CV_ERR_SILOS, NULL, 0,
                "round %lld: group %d of chain.rewards has %d silos, %d of "
                "them left without the largest operators; its sum is shown "
                "only with %d or more and 2 left. Run again with --resume when "
                "more of them are ready",
                (long long)at->round, g + 1, members, honest > 0 ? honest : 0,
                least);
    }
    return 0;
}

static void add_block(const cv_run *run, void *acc, const void *sum,
                      size_t from, size_t n)
{
    if (run->secure->wide)
        cv_f61_add_all(acc, (const uint64_t *)sum + from, n);
    else
        cv_f32_add_all(acc, (const uint32_t *)sum + from, n);
}

void cv_groups_fold(const cv_run *run, int groups, void *sum, size_t block,
                    size_t n)
{
    for (int g = 1; g < groups; g++)
        add_block(run, sum, sum, (size_t)g * block, n);
}

/* The model that the groups in `set` come to, into run->w; on leaders. */
static void coalition_model(cv_run *run, int groups, int set, const void *sum,
                            size_t block, const double *weight,
                            const float *start, void *words)
{
    const float *mean[CV_MAX_PAYLOAD] = {run->payload[0]};
    float *state[CV_MAX_STATE] = {0};
    double w = 0.0;
    memset(words, 0, run->n * (run->secure->wide ? 8 : 4));
    for (int g = 0; g < groups; g++)
        if (set >> g & 1) {
            add_block(run, words, sum, (size_t)g * block, run->n);
            w += weight[g];
        }
    if (run->secure->wide)
        cv_f61_decode(run->payload[0], words, run->n,
                      run->budget->update_exponent, w);
    else
        cv_f32_decode(run->payload[0], words, run->n,
                      run->budget->update_exponent, w);
    memcpy(run->w, start, run->n * sizeof *start);
    run->strategy->step(&run->server, run->w, state, mean, 1.0, run->n);
}

void cv_groups_value_all(cv_run *run, int groups, const void *sum, size_t block,
                         const double *weight)
{
    int all = 1 << groups, leader = cv_fed_is_leader(&run->fed);
    float *start = CV_NEW(run->n, float);
    void *words = cv_calloc(leader ? run->n : 0, run->secure->wide ? 8 : 4);
    int64_t *value = CV_NEW(all, int64_t);
    memcpy(start, run->w, run->n * sizeof *start);
    for (int set = 0; set < all; set++) {
        double sums[CV_MAX_METRICS] = {0};
        if (leader && set > 0)
            coalition_model(run, groups, set, sum, block, weight, start, words);
        cv_bcast_bytes_all(run->fed.silo, run->w, run->n * sizeof *run->w, 0);
        cv_evaluate_public_all(run, sums);
        value[set] = (int64_t)sums[2]; /* rows, loss, right ones */
    }
    memcpy(run->w, start, run->n * sizeof *start);
    free(run->secure->coalition);
    run->secure->coalition = value;
    run->secure->n_coalitions = all;
    free(start);
    free(words);
}

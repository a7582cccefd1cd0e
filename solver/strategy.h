/** Server strategies: what silos send and what the server makes of the sum.
 *
 *  Each strategy is a row of one table (solver/strategy.c):
 *
 *  fedavg      McMahan et al. 2017
 *  fedprox     Li et al. 2020 (MLSys): proximal term, fedavg's server
 *  fedavgm     Hsu, Qi, Brown 2019: server momentum
 *  fedadagrad, fedyogi, fedadam    Reddi et al. 2021, Algorithm 2
 *  scaffold    Karimireddy et al. 2020, option II, weighted by p_i
 *  fednova     Wang et al. 2020, normalised averaging
 *
 *  With p_i the weight of silo i (over all silos they sum to 1), S the roster
 *  and D_i = local - start:
 *      mean      = sum_S p_i D_i / sum_S p_i
 *      scaffold  x += lr mean;  c += sum_S p_i (c_i' - c_i),
 *                c_i' = c_i - c - D_i / (a_i lr_local), a_i as in fednova: K_i
 *                steps without momentum
 *      fednova   mean of D_i / a_i, times tau_eff = sum_S p_i a_i / sum_S p_i,
 *                a_i from steps, momentum and proximal term (paper, section 4)
 *
 *  All vectors are float32 (n); server steps are element-wise, in one fixed
 *  order, without fused multiply-add, so every rank computes the same bytes.
 */
#ifndef COVEY_SOLVER_STRATEGY_H
#define COVEY_SOLVER_STRATEGY_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "solver/train.h"

enum { CV_MAX_STATE = 3, CV_MAX_PAYLOAD = 2 };

typedef struct {
    double learning_rate, momentum, beta1, beta2, tau; /* server */
} cv_server_config;

typedef struct {
    const char *name;
    int n_server; /* model-sized server vectors */
    const char *server_names[CV_MAX_STATE];
    int n_payload; /* model-sized vectors a silo sends: 1, scaffold 2 */
    int n_silo;    /* model-sized vectors a silo keeps: scaffold 1 */
    const char *silo_names[CV_MAX_STATE];
    /** Server state before the first round (already zero). NULL: zero. */
    void (*init)(const cv_server_config *c, float *const *state, size_t n);
    /** Divide D_i by this before weighting: a_i of fednova, else 1 (also for
     *  fednova without steps, where D_i is zero). */
    double (*scale)(const cv_train_config *t, int64_t steps);
    /** Vector to add to each local gradient, into out (n); NULL: none. */
    void (*correct)(float *out, const float *const *server,
                    const float *const *silo, size_t n);
    /** After local training: payload[1..] and the silo's next state, from
     *  delta = D_i. NULL: nothing to do. next (n_silo vectors) may be silo. */
    void (*report)(const cv_train_config *t, int64_t steps, const float *delta,
                   const float *const *server, const float *const *silo,
                   float *const *payload, float *const *next, size_t n);
    /** Server step on elements [0, n): w += ..., state updated.
     *  mean[0] = weighted mean of payload 0 over the roster;
     *  mean[1] = sum_S p_i payload_1 (scaffold);
     *  factor = tau_eff (fednova) or 1. Element-wise: may be called on slices.
     */
    void (*step)(const cv_server_config *c, float *w, float *const *state,
                 const float *const *mean, double factor, size_t n);
} cv_strategy;

/** By name, or NULL; the names, for messages. */
const cv_strategy *cv_strategy_find(const char *name);
const char *const *cv_strategy_names(size_t *n);

#endif

/** `covey chain`, between its files. Local. */
#ifndef COVEY_JOBS_CHAIN_CMD_H
#define COVEY_JOBS_CHAIN_CMD_H

#include "chain/network.h"
#include "jobs/node_options.h"

typedef struct {
    cv_node_options node;
    const char *network, *owner, *test_token;
    int64_t window, claim_period;
    cv_rpc *rpc;
    const cv_network *net;
} cv_chain_options;

/** A node of this network, which must be on its chain; into o->rpc. */
int cv_chain_connect(cv_chain_options *o, const cv_network *net, cv_err *err);

/** `covey chain status RUN|job.yaml` (chain_status.c). */
int cv_chain_status(cv_chain_options *o, int n_args, char **args, cv_err *err);

#endif

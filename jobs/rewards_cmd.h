/** Inside `covey rewards`: what is signed, what is shown, and what is sent. */
#ifndef COVEY_JOBS_REWARDS_CMD_H
#define COVEY_JOBS_REWARDS_CMD_H

#include "chain/outbox.h"
#include "chain/send_one.h"
#include "io/job.h"
#include "jobs/node_options.h"

typedef struct {
    cv_node_options node;
    const char *only, *object;
    int fund, claim, refund;
} cv_rewards_options;

/* The rewards of a run, as its outbox has them. */
typedef struct {
    const cv_rewards_options *o;
    cv_outbox_run run;
    cv_outbox_epoch e;
    cv_job *job; /* NULL without run.h5 */
    int decimals;
    int *silo;       /* (leaves) whose leaf */
    uint8_t *leaves; /* (leaves, 32) */
    cv_rpc *rpc;     /* NULL: no node is asked */
    cv_sender sender;
} cv_paying;

/** Name of the silo that a leaf pays, or "-". */
const char *cv_paying_name(const cv_paying *p, uint32_t leaf);
/** Is the leaf one that --silo means? */
int cv_paying_selected(const cv_paying *p, uint32_t leaf);

/** Fund, object, claim or refund, as the options say, with p->sender. */
int cv_rewards_act(const cv_paying *p, cv_err *err);

#endif

/** The rewards of a run that is done: counted, shared out, signed by every silo,
 *  and put into outbox and checkpoint. Collective on fed.world; nothing happens
 *  without chain.rewards. */
#ifndef COVEY_JOBS_REWARDS_SIGN_H
#define COVEY_JOBS_REWARDS_SIGN_H

#include "jobs/rewards.h"
#include "jobs/run.h"

int cv_rewards_sign_all(cv_run *run, cv_err *err);

#endif

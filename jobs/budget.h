/** What a private run may spend, spends and has spent: noise, grid, ledger.
 *
 *  The budget of the run is public and stands in the checkpoint; each site keeps
 *  its own over all runs, in its journal, and holds a job against it.
 */
#ifndef COVEY_JOBS_BUDGET_H
#define COVEY_JOBS_BUDGET_H

#include "jobs/secure.h"
#include "privacy/accountant.h"
#include "privacy/discrete_gaussian.h"

typedef struct cv_budget {
    size_t d;     /* words of a sum that get noise */
    double clip;  /* of the next round; L2, parameter units */
    int bits;     /* clip / grid is in (2^(bits-1), 2^bits] */
    int exponent; /* grid 2^exponent */
    double
        update_clip; /* the same of a silo's masked update: other than clip */
    int update_exponent; /* where the noise is local */
    double sensitivity;  /* of the sum to one unit, L2, grid units */
    double multiplier;   /* noise deviation over sensitivity */
    int64_t steps;       /* sums with noise in a round */
    int64_t allowed;     /* rounds that may still be paid; CV_MAX_STEPS: any */
    int64_t paid; /* rounds after the checkpoint that were paid for before
                         * a restart, and may be repeated for nothing */
    cv_accountant *spent; /* by the run so far: the public ledger */
    double epsilon;       /* of that at the job's delta; at the root */
} cv_budget;

/** An empty ledger for this run, into run->budget. */
cv_budget *cv_budget_create(cv_run *run);

/** After a restore: grid and sensitivity from what the checkpoint has brought, which
 *  is checked. Local. */
int cv_budget_go_on(cv_run *run, cv_err *err);

/** Before the first round: choose grid and noise multiplier (unless a checkpoint
 *  has brought it), count the rounds that the job's cap and every site's own
 *  limit allow.  Without privacy: the grid of the masked sums alone.
 *  Collective. CV_ERR_PRIVACY names the silo whose limit is too low. */
int cv_budget_open_all(cv_run *run, cv_err *err);
void cv_budget_close(cv_run *run);

/** Follow a new clip (adaptive): grid and sensitivity. Local. */
void cv_budget_set_clip(cv_run *run, double clip);

/** Height of the bit "my update was within the clip" (it is + or - half of
 *  that), in grid units. */
double cv_budget_bit(const cv_run *run, int exponent);

/** What a round over these members costs. */
void cv_budget_round(const cv_run *run, const cv_attempt *at, cv_segment *out);
/** The same as an entry of the journals. */
cv_journal_cost cv_budget_cost(const cv_run *run, const cv_segment *s);
/** The round has been taken: for its cost, or for nothing. */
void cv_budget_charge(cv_run *run, const cv_segment *s);
void cv_budget_repeated(cv_run *run);

/** Would one more round cost more than the job allows? Local, the same on all
 *  ranks. */
int cv_budget_spent(const cv_run *run);

/** Deviation of one member's share of the noise (distributed), or of the whole
 *  noise of each member (local), in grid units, as a variance. */
cv_variance cv_budget_share(const cv_run *run, const cv_attempt *at);

cv_account_method cv_budget_method(const cv_job *job);
/** Is a round many sums with noise? */
int cv_budget_is_stepped(const cv_job *job);

/* ---- budget_sites.c ---- */

/** Does every hosted site's own limit, over all runs, allow the rounds to come?
 *  Local. CV_ERR_PRIVACY names the silo. */
int cv_budget_check_sites(const cv_run *run, const cv_segment *round,
                          cv_err *err);

/** Steps that journals know and the checkpoint does not (attempts that were
 *  lost) are charged as well. Collective; after a restore. CV_ERR_VERIFY if a
 *  journal tells of more spending or other noise than the checkpoint. */
int cv_budget_lost_all(cv_run *run, cv_err *err);

/** A round that was paid for cannot be repeated: may it be paid for again?
 *  Collective. CV_ERR_PRIVACY if not. */
int cv_budget_again_all(cv_run *run, const cv_attempt *at, cv_err *err);

#endif

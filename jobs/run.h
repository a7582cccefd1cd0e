/** A run: everything one rank holds while the federation trains.
 *
 *  run.c sets it up and loops; prepare.c loads the silos' data; round.c is one
 *  round; evaluate.c measures; state.c saves and restore.c continues.
 */
#ifndef COVEY_JOBS_RUN_H
#define COVEY_JOBS_RUN_H

#include <stdint.h>

#include "core/err.h"
#include "core/progress.h"
#include "io/design.h"
#include "io/job.h"
#include "io/silo.h"
#include "mpi/fed.h"
#include "solver/model.h"
#include "solver/strategy.h"
#include "solver/train.h"

typedef struct {
    const char *job_path;
    const char *out;      /* run folder */
    const char *silo;     /* silo.yaml of the one silo this rank claims */
    const char *silo_dir; /* folder with one file per silo */
    int resume;
    cv_progress_mode progress;
} cv_run_options;

/** What became of a silo in a round: an outcome, not an error. */
typedef enum {
    CV_SILO_NOT_DRAWN = 0,
    CV_SILO_READY = 1,
    CV_SILO_DIVERGED = 2,
    CV_SILO_FEW_ROWS = 3
} cv_silo_status;

/** Test rows are measured in blocks of so many, which the ranks that hold the
 *  rows share out: block b goes to rank b mod their number. */
enum { CV_TEST_BLOCK = 512 };

/** A silo that this rank hosts. */
typedef struct {
    int index;        /* in the job */
    const char *name; /* the job's */
    char *data;       /* path of its data set; never leaves the site */
    char *state_dir;  /* the site's folder for local state */
    cv_silo *site;    /* its silo.yaml; NULL if the silo is simulated */
    int64_t n_train, n_test;
    cv_samples train, test;     /* views into cv_rows */
    float *state[CV_MAX_STATE]; /* (n) strategy's own vectors */
    float *next[CV_MAX_STATE];  /* (n) the same after the round under way */
} cv_hosted;

/** Encoded rows of one file, cut into silos: owner of what the views show. */
typedef struct {
    void *x;
    float *y;
} cv_rows;

enum {
    CV_PHASE_TRAIN,
    CV_PHASE_SUM,
    CV_PHASE_EVALUATE,
    CV_PHASE_SAVE,
    CV_N_PHASES
};
extern const char *const cv_phase_names[CV_N_PHASES];

/** Moments of the set-up, in their order. */
enum {
    CV_AT_LAUNCH,
    CV_AT_MPI,  /* MPI_Init has returned */
    CV_AT_JOB,  /* the job is shared, the run folder open */
    CV_AT_DATA, /* rows are ready */
    CV_AT_MODEL,
    CV_N_SET_UP
};

/** One line of /history. */
typedef struct {
    int64_t round;                  /* 1, 2, ... */
    int64_t n_silos;                /* in the roster */
    double train_loss;              /* mean over rows seen; NaN if none */
    double metrics[CV_MAX_METRICS]; /* on test rows; NaN without any */
    double seconds[CV_N_PHASES];    /* save: of the checkpoint before */
    double update;                  /* largest |change| of a parameter */
    double epsilon; /* spent so far, at the root; NaN without privacy */
} cv_history_row;

typedef struct {
    const cv_run_options *options;
    cv_job *job;
    cv_fed fed;
    char *dir;          /* run folder */
    uint8_t run_id[32]; /* H(job digest, a nonce of every silo) */

    /* data */
    cv_schema *schema;
    cv_rows *rows; /* (n_rows_owned) */
    int n_rows_owned;
    cv_hosted *hosted;      /* (fed.n_hosted) */
    float *mul, *add;       /* (n_cols) standardisation, or NULL */
    cv_samples public_test; /* simulate.test; n_rows 0 without. Mapped rows:
                             * this rank's test blocks only */
    int64_t n_test_rows;    /* in all silos, or public */
    double *weight;         /* (n_silos) p_i, sum 1 */
    double *train_rows;     /* (n_silos) */
    int threads;

    /* model and training */
    cv_model *model;
    cv_model_work *work; /* evaluation */
    const cv_strategy *strategy;
    cv_train_config train;
    cv_server_config server;
    cv_trainer *trainer;
    size_t n;                          /* parameters */
    float *w;                          /* (n) global model */
    float *server_state[CV_MAX_STATE]; /* (n) on leaders */
    float *payload[CV_MAX_PAYLOAD];    /* (n) local model, then delta, then
                                        * the mean; SCAFFOLD's correction,
                                        * then its second vector */
    void *sum[CV_MAX_PAYLOAD];         /* (n) words, on leaders; a rank with
                                        * one silo has one */
    int wide;                          /* 64-bit words */
    int32_t exponent[CV_MAX_PAYLOAD];  /* grid of the last round */

    /* progress of the run */
    double set_up[CV_N_SET_UP]; /* moments on cv_now's clock */
    int64_t round;              /* rounds done */
    int64_t *taken;             /* (n_silos) rounds each silo took part in */
    int32_t *status;            /* (n_silos) of the last round */
    cv_history_row *history;
    int64_t n_history, cap_history;
    int n_metrics;
    const char *metric_names[CV_MAX_METRICS];
    double seconds_saving; /* of the newest checkpoint */
    int converged;

    struct cv_fit
        *fit; /* a model that is fitted (jobs/fit.h): then model, work,
                         * trainer and w are NULL, and n counts doubles */

    /* masks and privacy; NULL without the sections of the job */
    struct cv_secure *secure;
    struct cv_budget *budget;
    int old_id;                                 /* run_id is that of a run
                                                 * that goes on */
    int has_id;                                 /* run_id is known */
    struct cv_private_grad *private_grad;       /* record level */
    struct cv_private_trainer *private_trainer; /* with noise: local */
    float *velocity; /* (n) of common steps with momentum; on leaders */

    int behind; /* run.h5 is not what the run was resumed from */
} cv_run;

/** Load data of the hosted silos, agree on the schema, standardise.
 *  Collective on fed.world. */
int cv_prepare_all(cv_run *run, cv_err *err);

/** One round; collective. CV_ERR_SILOS if too few silos were ready: then the
 *  model is that of the round before. */
int cv_round_all(cv_run *run, cv_err *err);

/** Root of the tree over the global model's bytes, which silos sign; and the
 *  plain digest that files carry. Local. */
void cv_run_model_root(const cv_run *run, uint8_t root[32]);
void cv_run_model_digest(const cv_run *run, uint8_t digest[32]);

/** Metrics of the global model on all test rows; collective. */
void cv_evaluate_all(cv_run *run, double metrics[CV_MAX_METRICS]);

/** Metric sums over the public test rows, added to sums[CV_MAX_METRICS];
 *  collective. */
void cv_evaluate_public_all(cv_run *run, double *sums);

/** Add the metric sums of one hosted silo's test rows; collective on fed.silo.
 */
void cv_evaluate_silo_all(cv_run *run, const cv_hosted *h, double *sums);

/** Checkpoint: silo state first, then run.h5; collective. */
int cv_save_all(cv_run *run, cv_err *err);

/** Once more at the end: the signatures of the last round, which could only be
 *  made when its checkpoint was durable, into run.h5. Collective. */
int cv_save_signed_all(cv_run *run, cv_err *err);

/** The run id of the newest whole checkpoint, if there is one, into run->run_id;
 *  sets run->has_id. Collective. */
int cv_restore_id_all(cv_run *run, cv_err *err);

/** Continue from the newest round that the run folder and all silos hold;
 *  run->round stays 0 if there is none. Collective. */
int cv_restore_all(cv_run *run, cv_err *err);

#endif

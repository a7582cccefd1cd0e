/** The job file: read once, checked, and from then on constant.
 *
 *  `job.yaml` is the consortium's one public document.  The root reads it,
 *  broadcasts its canonical text, and every rank parses that text, so all ranks
 *  work from the same struct (jobs/run.c).  Each key, its type, default, range
 *  and meaning stands in one table in io/job_keys.c; the canonical text, the
 *  digest, `covey check` and the error messages all come from that table.
 */
#ifndef COVEY_IO_JOB_H
#define COVEY_IO_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

enum {
    CV_MAX_HIDDEN = 16,
    CV_FIT_MAX_ROUNDS = 25 /* of a fit without noise (PROTOCOL, "What else
                            * leaves a silo") */
};

typedef enum { CV_FORMAT_HDF5, CV_FORMAT_CSV, CV_FORMAT_IDX } cv_format;
typedef enum { CV_FEATURE_NUMBER, CV_FEATURE_CATEGORY } cv_feature_type;
typedef enum {
    CV_TARGET_AUTO,
    CV_TARGET_NUMBER,
    CV_TARGET_CATEGORY
} cv_target_type;
typedef enum { CV_MISSING_DROP, CV_MISSING_MEAN, CV_MISSING_FAIL } cv_missing;
typedef enum {
    CV_STANDARDIZE_NONE,
    CV_STANDARDIZE_POOLED,
    CV_STANDARDIZE_BOUNDS
} cv_standardize;
typedef enum {
    CV_PARTITION_IID,
    CV_PARTITION_MODULO,    /* row i goes to silo i mod n */
    CV_PARTITION_DIRICHLET, /* label skew, Hsu et al. 2019 */
    CV_PARTITION_SHARDS     /* two label-sorted shards each, McMahan 2017 */
} cv_partition;
typedef enum {
    CV_WEIGHTS_ROWS,
    CV_WEIGHTS_EQUAL,
    CV_WEIGHTS_DECLARED
} cv_weights;

typedef enum { CV_STRATA_NONE, CV_STRATA_SILO } cv_strata;
typedef enum { CV_COLLINEAR_DROP, CV_COLLINEAR_REFUSE } cv_collinear;
typedef enum { CV_UNIT_RECORD, CV_UNIT_SILO } cv_privacy_unit;
typedef enum {
    CV_REWARD_EQUAL,      /* the same to every silo that took part */
    CV_REWARD_DECLARED,   /* silos[].share */
    CV_REWARD_DATA_SIZE,  /* training rows, as silos say */
    CV_REWARD_VALIDATION, /* test rows that the model gets right, as they say */
    CV_REWARD_SHAPLEY     /* by fixed groups, on public test rows */
} cv_reward_method;
typedef enum {
    CV_FINALITY_MINED,
    CV_FINALITY_SAFE,
    CV_FINALITY_FINALIZED
} cv_finality;
typedef enum { CV_NOISE_DISTRIBUTED, CV_NOISE_LOCAL } cv_privacy_noise;
typedef enum { CV_ACCOUNTANT_PLD, CV_ACCOUNTANT_RDP } cv_job_accountant;

typedef struct {
    char *name;       /* unique; letters, digits, '-', '_', '.' */
    char *public_key; /* "0x02..", or NULL */
    int ranks;        /* wished number of ranks, >= 1 */
    double weight;    /* for weights: declared, > 0 */
    char *payee;      /* address that rewards go to, or NULL: the key's own */
    int share;        /* for rewards by declared shares, >= 1 */
} cv_job_silo;

typedef struct {
    char *name;
    cv_feature_type type;
    int has_bounds;
    double lo, hi; /* bounds, lo < hi */
    int n_levels;  /* 0: found in the data */
    char **levels;
} cv_feature;

typedef struct {
    char *file;  /* as the user named it, for messages */
    int version; /* covey: 1 */
    char *name;
    int n_silos;
    cv_job_silo *silos;
    int *silos_by_name; /* (n_silos) silo numbers, sorted by name */
    int silos_counted;  /* silos: {count, prefix} was given: its count; the
                         * names are prefix + number from 0, zero-padded */
    char *silos_prefix; /* NULL if not counted */

    struct {
        cv_format format;
        char *target;
        cv_target_type target_type; /* AUTO unless mlp */
        int n_features;             /* 0: every column but the target */
        cv_feature *features;
        cv_missing missing;
        cv_standardize standardize;
        double test_fraction;
        int n_target_levels;  /* 0: found in the data */
        char **target_levels; /* the target's classes, in the model's order */
        char *test; /* public hold-out table, relative to the job file's
                     * folder, or NULL */
    } data;

    struct {
        int enabled;
        char *source; /* relative to the job file's folder */
        char *test;   /* or NULL */
        cv_partition partition;
        double alpha;
    } simulate;

    struct {
        char *kind; /* trained: linear | logistic | softmax | poisson | mlp;
                     * fitted: glm | cox | ridge | kernel_ridge | pca */
        int n_hidden;
        int hidden[CV_MAX_HIDDEN];
        char *activation; /* relu | tanh | sigmoid; NULL unless mlp */
        char *transform;  /* none | scattering: a fixed feature map in front
                           * of a linear model */
        int n_image;      /* 2, or 0: a square image */
        int image[2];     /* height, width; only with scattering */
        /* Of fitted kinds; NULL or 0 where the kind has no use for it. */
        char *formula;    /* in normal form */
        char *family;     /* glm: gaussian | binomial | poisson | gamma */
        char *link;       /* glm; the family's canonical one by default */
        cv_strata strata; /* glm, cox */
        char *ties;       /* cox: efron | breslow */
        int n_bins;       /* cox: edges of agreed time bins; 0: none */
        char **bins;      /* (n_bins) ascending numbers as texts */
        double ridge;     /* penalty on coefficients; not for pca */
        char *weights;    /* glm, cox: column of prior weights, or NULL */
        cv_collinear collinear;
        int features; /* kernel_ridge: random Fourier features */
        double gamma; /* kernel_ridge: of the Gaussian kernel; 0: 1 / columns */
        int components; /* pca */
        int scale;      /* pca: of the correlation matrix */
    } model;

    struct {
        char *strategy;
        int rounds;
        double participation; /* share of silos drawn each round, (0, 1] */
        int min_silos; /* with secure_aggregation at least collusion + 2 */
        cv_weights weights;
        uint64_t seed;
        double tolerance;
        struct {
            int epochs; /* exactly one of epochs, steps is > 0 */
            int steps;
            int batch;
            char *optimizer; /* sgd */
            double learning_rate, momentum, weight_decay, proximal;
        } local;
        struct { /* 0 where the strategy does not use it */
            double learning_rate, momentum, beta1, beta2, tau;
        } server;
    } training;

    struct {
        int every; /* rounds between checkpoints */
        int keep;  /* round-NNNNNN.h5 files kept beside run.h5 */
    } checkpoint;

    struct {
        int min_rows; /* a silo with fewer training rows sits out; of a fit
                       * it refuses */
        /* Of fits alone; else 0. */
        int min_cell; /* fewest rows (events) of a level, outcome or time bin
                       * that a silo has any of */
        double rows_per_parameter; /* fewest rows for each coefficient */
    } disclosure;

    struct {
        int given; /* the section is there */
        int enabled;
        int collusion; /* operators that may pool what they see */
        double clip;   /* L2 bound of a silo's update before weighting; 0 with
                        * privacy, which has its own */
    } secure_aggregation;

    struct {
        int enabled; /* the section is there */
        cv_privacy_unit unit;
        double epsilon;          /* cap of the whole run; 0: not given */
        double noise_multiplier; /* noise deviation / clip; 0: not given, then
                                  * the least that keeps epsilon */
        double delta, clip;
        double sampling; /* chance of a record in a step; 0 for unit silo */
        cv_privacy_noise noise; /* DISTRIBUTED and unused for unit silo */
        cv_job_accountant accountant;
        struct {
            int enabled; /* the section is there */
            double quantile, rate;
        } adaptive; /* clip; unit silo only */
    } privacy;

    struct {
        int enabled;      /* the section is there */
        char *network;    /* none | local | base-sepolia | base */
        char *federation; /* address of its contract; NULL with none */
        struct {
            int batch; /* rounds in a transaction */
            cv_finality finality;
        } settle;
        struct {
            int enabled; /* the section is there */
            cv_reward_method method;
            char *token, *sponsor; /* addresses */
            char *pool;            /* "1000.0": a double would lose units */
            int decimals;          /* of the token */
            double cap;            /* largest share of one silo */
            int groups;            /* of shapley */
            int version;           /* raised to sign anew after an objection */
        } rewards;
    } chain;

    char *text;         /* canonical YAML: sorted keys, defaults filled in */
    uint8_t digest[32]; /* SHA-256 of the canonical text without rounds,
                         * checkpoint, chain.settle (and later slurm,
                         * exchange.timeout), so that a run can be extended */
} cv_job;

/** Read and check a job file.
 *
 *  Scope:    local
 *  In:       path   job file;  Out: *job, to be freed with cv_job_destroy
 *  Returns:  CV_ERR_INPUT with err->file, err->line, what was expected, what
 *            was found and the closest word for a wrong key or value
 */
int cv_job_load(const char *path, cv_job **job, cv_err *err);

/** The same from text (the canonical text of a broadcast or a checkpoint);
 *  `file` is the name used in messages. */
int cv_job_parse(const char *text, const char *file, cv_job **job, cv_err *err);

void cv_job_destroy(cv_job **job);

/** Is the model fitted by Newton's method (glm, cox, ridge, kernel_ridge, pca),
 *  not trained? */
int cv_job_is_fit(const cv_job *job);

/** Index of the silo called name, or -1. */
int cv_job_silo_index(const cv_job *job, const char *name);

/** The words that the key at path may have ("model.kind"), for lists that
 *  must agree with those of other rooms; for an enum, word i is value i. */
const char *const *cv_job_words(const char *path, size_t *n);

#endif

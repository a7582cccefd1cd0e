/* `covey run`: set up, train round by round, save, report. */
#include "jobs/run.h"

#include <getopt.h>
#include <math.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/text.h"
#include "jobs/attest.h"
#include "jobs/budget.h"
#include "jobs/commands.h"
#include "jobs/fit.h"
#include "jobs/folder.h"
#include "jobs/masked.h"
#include "jobs/rewards_sign.h"
#include "jobs/saved.h"
#include "jobs/site.h"
#include "jobs/tell.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "privacy/quantise.h"
#include "solver/blas.h"
#include "solver/private_gradient.h"
#include "solver/private_train.h"

const char *const cv_phase_names[CV_N_PHASES] = {"train", "sum", "evaluate",
                                                 "save"};

/* ---- arguments -------------------------------------------------------------
 */

static int parse_args(int argc, char **argv, cv_run_options *opt, cv_err *err)
{
    static const struct option longs[] = {
        {"out", required_argument, NULL, 'o'},
        {"silo", required_argument, NULL, 's'},
        {"silo-dir", required_argument, NULL, 'd'},
        {"resume", no_argument, NULL, 'r'},
        {"progress", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0}};
    static const char *const modes[] = {"auto", "live", "log"};
    *opt = (cv_run_options){.out = "RUN", .progress = CV_PROGRESS_AUTO};
    int c, quiet = 0;
    while ((c = getopt_long(argc, argv, ":o:qv", longs, NULL)) != -1) {
        int mode;
        switch (c) {
        case 'o':
            opt->out = optarg;
            break;
        case 's':
            opt->silo = optarg;
            break;
        case 'd':
            opt->silo_dir = optarg;
            break;
        case 'r':
            opt->resume = 1;
            break;
        case 'p':
            mode = cv_word_index(optarg, modes, 3);
            if (mode < 0)
                return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                                  "--progress: expected auto, live or log, "
                                  "found '%s'",
                                  optarg);
            opt->progress = (cv_progress_mode)mode;
            break;
        case 'q':
            quiet = 1;
            cv_log_set_level(CV_LOG_ERROR);
            break;
        case 'v':
            cv_log_set_level(cv_log_get_level() + 1);
            break;
        default:
            return cv_bad_option("run", c, argv, longs, err);
        }
    }
    if (quiet)
        opt->progress = CV_PROGRESS_OFF;
    if (optind + 1 != argc)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected one job file; usage: covey run job.yaml "
                          "[--out DIR] [--resume]");
    opt->job_path = argv[optind];
    if (opt->silo && opt->silo_dir)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "give --silo or --silo-dir, not both");
    if (!opt->out[0])
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "--out: expected a folder, found an empty name");
    return 0;
}

/* ---- stopping on request ----------------------------------------------------
 */

static volatile sig_atomic_t g_stop;

static void on_signal(int sig)
{
    g_stop = 1;
    if (sig == SIGINT) /* a second Ctrl-C ends at once */
        signal(SIGINT, SIG_DFL);
}

static void catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a full quota is an error, not a death */
    signal(SIGPIPE, SIG_IGN);
}

/* ---- set-up
 * ------------------------------------------------------------------ */

/* Every rank that finds the job file must have found the same one; the others
 * take the root's. */
static int share_job_all(cv_run *run, cv_err *err)
{
    int rank, rc = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const char *path = run->options->job_path;
    cv_job *mine = NULL;
    if (rank == 0 || cv_fs_exists(path))
        rc = cv_job_load(path, &mine, err);
    else if (run->options->silo) /* a site knows which job it runs */
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                        "rank %d claims a silo, but has no such job file; each "
                        "site needs its own copy of the job",
                        rank);
    rc = cv_agree_all(MPI_COMM_WORLD, rc, err);
    if (rc) {
        cv_job_destroy(&mine);
        return rc;
    }
    char *text = rank == 0 ? cv_strdup(mine->text) : NULL;
    cv_bcast_text_all(MPI_COMM_WORLD, &text, 0);
    if (mine && strcmp(text, mine->text))
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                        "rank %d was started with another job file than rank "
                        "0; give all ranks the same one",
                        rank);
    if (!rc && mine) {
        run->job = mine;
        mine = NULL;
    } else if (!rc) {
        rc = cv_job_parse(text, path, &run->job, err);
    }
    cv_job_destroy(&mine);
    free(text);
    return cv_agree_all(MPI_COMM_WORLD, rc, err);
}

/* Options that would part the ranks' ways, or that the job has no use for. */
static int check_options_all(const cv_run *run, cv_err *err)
{
    const cv_run_options *opt = run->options;
    int mine[2] = {opt->resume, !opt->resume}, any[2], rc = 0;
    MPI_Allreduce(mine, any, 2, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    if (any[0] && any[1])
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "--resume was given to some ranks and not to others; "
                        "give it to all or to none");
    else if (run->job->simulate.enabled && (opt->silo || opt->silo_dir))
        rc = cv_err_set(err, CV_ERR_INPUT, run->job->file, 0,
                        "the job simulates its silos, so %s has no use; remove "
                        "it, or remove `simulate` from the job",
                        opt->silo ? "--silo" : "--silo-dir");
    return cv_agree_all(MPI_COMM_WORLD, rc, err);
}

static int split_world_all(cv_run *run, cv_err *err)
{
    int n = run->job->n_silos, claim;
    int rc = cv_site_claim(run, &claim, err);
    rc = cv_agree_all(MPI_COMM_WORLD, rc, err);
    if (rc)
        return rc;
    int *wish = CV_NEW(n, int);
    const char **names = CV_NEW(n, const char *);
    for (int i = 0; i < n; i++) {
        wish[i] = run->job->silos[i].ranks;
        names[i] = run->job->silos[i].name;
    }
    rc = cv_fed_create_all(&run->fed, MPI_COMM_WORLD, n, wish, claim, names,
                           err);
    free(wish);
    free(names);
    if (rc)
        return rc;
    run->hosted = CV_NEW(run->fed.n_hosted, cv_hosted);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        run->hosted[s].index = run->fed.first + s;
        run->hosted[s].name = run->job->silos[run->fed.first + s].name;
    }
    return 0;
}

/* Each site's silo.yaml and state; then, with masks, its key and journal: what
 * is wrong there is said before any data are read. */
static int open_sites_all(cv_run *run, cv_err *err)
{
    int rc = 0;
    for (int s = 0; s < run->fed.n_hosted && !rc; s++)
        rc = cv_site_open(run, &run->hosted[s], err);
    rc = cv_agree_all(run->fed.world, rc, err);
    return rc ? rc : cv_secure_open_all(run, err);
}

/* The root's folder is everyone's: a rank started elsewhere, or with another
 * --out, must not write anywhere else. */
static int open_folder_all(cv_run *run, cv_folder *folder, cv_err *err)
{
    int rc = 0, root = run->fed.rank == 0;
    run->dir = root ? cv_strdup(run->options->out) : NULL;
    cv_bcast_text_all(run->fed.world, &run->dir, 0);
    if (root)
        rc = cv_folder_open(folder, run->dir, run->options->resume, err);
    return cv_agree_all(run->fed.world, rc, err);
}

static void fill_configs(cv_run *run)
{
    const cv_job *job = run->job;
    run->train =
        (cv_train_config){.epochs = job->training.local.epochs,
                          .steps = job->training.local.steps,
                          .batch = job->training.local.batch,
                          .learning_rate = job->training.local.learning_rate,
                          .momentum = job->training.local.momentum,
                          .weight_decay = job->training.local.weight_decay,
                          .proximal = job->training.local.proximal,
                          .seed = job->training.seed};
    run->server =
        (cv_server_config){.learning_rate = job->training.server.learning_rate,
                           .momentum = job->training.server.momentum,
                           .beta1 = job->training.server.beta1,
                           .beta2 = job->training.server.beta2,
                           .tau = job->training.server.tau};
}

static void sum_gradients(void *ctx, float *v, size_t n)
{
    cv_sum_f32_all(*(MPI_Comm *)ctx, v, n);
}

static int build_model(cv_run *run, cv_err *err)
{
    const cv_job *job = run->job;
    run->taken = CV_NEW(run->fed.n_silos, int64_t);
    run->status = CV_NEW(run->fed.n_silos, int32_t);
    if (run->fit) { /* made with its rows */
        for (int k = 0; k < CV_MAX_PAYLOAD; k++)
            run->exponent[k] = CV_NO_EXPONENT;
        return 0;
    }
    int rc = cv_model_for_job(job, run->schema, &run->model, err);
    if (rc)
        return rc;
    run->strategy = cv_strategy_find(job->training.strategy);
    CV_CHECK(run->strategy);
    const cv_strategy *st = run->strategy;
    size_t n = run->n = cv_model_params(run->model)->n;
    run->wide = run->fed.n_silos > CV_NARROW_MAX_SILOS;
    run->w = CV_NEW(n, float);
    cv_model_init(run->model, run->w, job->training.seed);
    for (int k = 0; k < st->n_payload; k++) {
        run->payload[k] = CV_NEW(n, float);
        run->exponent[k] = CV_NO_EXPONENT;
    }
    CV_CHECK(!st->correct || st->n_payload > 1);
    if (cv_fed_is_leader(&run->fed)) {
        for (int k = 0; k < st->n_server; k++)
            run->server_state[k] = CV_NEW(n, float);
        if (st->init)
            st->init(&run->server, run->server_state, n);
        int sums = run->fed.n_hosted > 1 ? st->n_payload : 1;
        for (int k = 0; k < sums && !run->secure; k++)
            run->sum[k] = cv_calloc(n, run->wide ? 8 : 4);
    }
    for (int s = 0; cv_fed_is_leader(&run->fed) && s < run->fed.n_hosted; s++)
        for (int k = 0; k < st->n_silo; k++) {
            run->hosted[s].state[k] = CV_NEW(n, float);
            run->hosted[s].next[k] = CV_NEW(n, float);
        }
    run->work = cv_model_work_create(run->model, 512);
    run->trainer = cv_trainer_create(
        run->model, &run->train, run->fed.part, run->fed.n_parts,
        run->fed.n_parts > 1 ? sum_gradients : NULL, &run->fed.silo);
    double none[CV_MAX_METRICS];
    double sums[CV_MAX_METRICS] = {0};
    run->n_metrics =
        cv_model_metrics(run->model, sums, none, run->metric_names);
    return 0;
}

/* run id = H(job digest, a nonce of every silo): nobody chooses it alone. */
static int make_run_id_all(cv_run *run, cv_err *err)
{
    size_t n = (size_t)run->fed.n_silos, k = 4;
    double *mine = CV_NEW((size_t)run->fed.n_hosted * k, double);
    double *all = CV_NEW(n * k, double);
    int rc = 0;
    size_t bytes = (size_t)run->fed.n_hosted * k * sizeof *mine;
    for (size_t at = 0; at < bytes && !rc; at += 256) {
        size_t step = bytes - at < 256 ? bytes - at : 256;
        if (getrandom((char *)mine + at, step, 0) != (ssize_t)step)
            rc = cv_err_set(err, CV_ERR_ENV, NULL, 0, "getrandom failed");
    }
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc) {
        cv_gather_silos_all(&run->fed, all, mine, k);
        if (cv_fed_is_leader(&run->fed) &&
            memcmp(all + (size_t)run->fed.first * k, mine, bytes) != 0)
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "the nonce of silo %s was replaced on its way",
                            run->hosted[0].name);
        rc = cv_agree_all(run->fed.world, rc, err);
        cv_sha256 *h = cv_sha256_create();
        cv_sha256_add(h, "covey run", 9);
        cv_sha256_add(h, run->job->digest, 32);
        cv_sha256_add(h, all, n * k * sizeof *all);
        cv_sha256_end(h, run->run_id);
        cv_sha256_destroy(&h);
        run->has_id = 1;
    }
    free(mine);
    free(all);
    return rc;
}

/* Masks are bound to the run's id, so a run that has masks knows it before it
 * sums anything. */
static int know_run_all(cv_run *run, cv_err *err)
{
    int rc = 0;
    if (run->options->resume)
        rc = cv_restore_id_all(run, err);
    if (!rc && run->has_id)
        return cv_secure_same_data_all(run, err);
    if (!rc && run->options->resume && run->fed.rank == 0) {
        char *path = cv_fs_join(run->dir, "records.log");
        if (cv_fs_exists(path))
            cv_log(CV_LOG_WARN, "no_checkpoint",
                   "folder=%s a new run begins; what earlier rounds have spent "
                   "stays charged at the sites",
                   run->dir);
        free(path);
    }
    return rc ? rc : make_run_id_all(run, err);
}

/* What masks and noise need, once model and checkpoint are there. */
static int open_privacy_all(cv_run *run, cv_err *err)
{
    const cv_job *job = run->job;
    if (!run->secure)
        return 0;
    int rc = cv_secure_resume_all(run, err);
    if (!rc && run->round > 0)
        rc = cv_budget_lost_all(run, err);
    if (!rc)
        rc = cv_budget_open_all(run, err);
    if (rc)
        return rc;
    if (run->fit)
        cv_fit_make_room(run);
    else
        cv_masked_make_room(run);
    cv_record_state(run);
    char *schema = cv_schema_to_text(run->schema);
    cv_data_digest(run->secure->data, schema);
    free(schema);
    if (!job->privacy.enabled || job->privacy.unit != CV_UNIT_RECORD)
        return run->round > 0 ? cv_sign_record_all(run, err) : 0;
    if (job->privacy.noise == CV_NOISE_LOCAL)
        run->private_trainer = cv_private_trainer_create(
            run->model, &run->train, job->privacy.clip, run->budget->exponent,
            run->secure->wide, run->fed.part, run->fed.n_parts,
            run->fed.n_parts > 1 ? cv_masked_sum_silo_all : NULL, run);
    else
        run->private_grad =
            cv_private_grad_create(run->model, job->privacy.clip,
                                   run->budget->exponent, run->secure->wide);
    if (job->training.local.momentum > 0.0 && cv_fed_is_leader(&run->fed))
        run->velocity = CV_NEW(run->n, float);
    return run->round > 0 ? cv_sign_record_all(run, err) : 0;
}

/* ---- the loop
 * ------------------------------------------------------------------ */

static int stop_asked_all(const cv_run *run)
{
    int mine = g_stop != 0, any = 0;
    MPI_Allreduce(&mine, &any, 1, MPI_INT, MPI_MAX, run->fed.world);
    return any;
}

static void check_converged(cv_run *run)
{
    double tol = run->job->training.tolerance;
    if (run->fit) {
        run->converged = cv_fit_scalars(run)[CV_FIT_CONVERGED] != 0.0;
        return;
    }
    double size = (double)cv_max_abs(run->w, run->n);
    const cv_history_row *h = &run->history[run->n_history - 1];
    run->converged = tol > 0.0 && h->update <= tol * (size + tol);
}

static int train_all(cv_run *run, cv_err *err)
{
    const cv_job *job = run->job;
    int64_t first = run->round, saved = run->round;
    double started = cv_now();
    int rc = 0, stop = 0;
    if (first > 0) /* killed after its last save, or started once more */
        check_converged(run);
    while (run->round < job->training.rounds && !stop && !run->converged &&
           !cv_budget_spent(run)) {
        rc = cv_round_all(run, err);
        if (rc == CV_ERR_SILOS && run->round > 0) { /* also says who sat out */
            cv_err second;
            int rc2 = cv_save_all(run, &second);
            if (rc2) {
                *err = second;
                return rc2;
            }
        }
        if (rc == CV_ERR_NUMERIC) {
            size_t at = strlen(err->text);
            snprintf(err->text + at, sizeof err->text - at,
                     "; the newest checkpoint is that of round %lld",
                     (long long)saved);
        }
        if (rc)
            return rc;
        if (run->fed.rank == 0)
            cv_tell_round(run, started, first);
        check_converged(run);
        stop = stop_asked_all(run);
        int last = run->round == job->training.rounds || run->converged ||
                   cv_budget_spent(run);
        if (run->round % job->checkpoint.every == 0 || last || stop) {
            rc = cv_save_all(run, err);
            if (rc)
                return rc;
            saved = run->round;
        }
    }
    if (stop && run->round < job->training.rounds && !run->converged)
        return cv_err_set(err, CV_REQUEUE, run->dir, 0,
                          "stopped on request after round %lld of %d; the "
                          "checkpoint is saved, continue with --resume",
                          (long long)run->round, job->training.rounds);
    return 0;
}

static void free_run(cv_run *run)
{
    cv_fit_close_all(run);
    cv_secure_close(run);
    cv_budget_close(run);
    cv_private_grad_destroy(&run->private_grad);
    cv_private_trainer_destroy(&run->private_trainer);
    free(run->velocity);
    for (int s = 0; run->hosted && s < run->fed.n_hosted; s++) {
        cv_silo_destroy(&run->hosted[s].site);
        free(run->hosted[s].data);
        free(run->hosted[s].state_dir);
        for (int k = 0; k < CV_MAX_STATE; k++) {
            free(run->hosted[s].state[k]);
            free(run->hosted[s].next[k]);
        }
    }
    free(run->hosted);
    for (int i = 0; i < run->n_rows_owned; i++) {
        free(run->rows[i].x);
        free(run->rows[i].y);
    }
    free(run->rows);
    for (int k = 0; k < CV_MAX_STATE; k++)
        free(run->server_state[k]);
    for (int k = 0; k < CV_MAX_PAYLOAD; k++) {
        free(run->payload[k]);
        free(run->sum[k]);
    }
    free(run->w);
    free(run->mul);
    free(run->add);
    free(run->weight);
    free(run->train_rows);
    free(run->taken);
    free(run->status);
    free(run->history);
    free(run->dir);
    cv_trainer_destroy(&run->trainer);
    cv_model_work_destroy(&run->work);
    cv_model_destroy(&run->model);
    cv_schema_destroy(&run->schema);
    cv_job_destroy(&run->job);
    cv_fed_destroy_all(&run->fed);
}

static int run_all(cv_run *run, cv_folder *folder, int *started, cv_err *err)
{
    run->threads = 1;
    int rc = share_job_all(run, err);
    if (!rc)
        rc = check_options_all(run, err);
    if (!rc)
        rc = split_world_all(run, err);
    if (!rc)
        rc = open_folder_all(run, folder, err);
    if (!rc)
        rc = open_sites_all(run, err);
    if (!rc && run->secure)
        rc = know_run_all(run, err);
    if (!rc)
        rc = cv_attest_open_all(run, err);
    if (rc)
        return rc;
    run->set_up[CV_AT_JOB] = cv_now();
    fill_configs(run);
    rc = cv_prepare_all(run, err);
    if (rc)
        return rc;
    run->set_up[CV_AT_DATA] = cv_now();
    rc = cv_agree_all(run->fed.world, build_model(run, err), err);
    if (!rc && run->options->resume)
        rc = cv_restore_all(run, err);
    if (!rc)
        rc = open_privacy_all(run, err);
    if (!rc && run->behind)
        rc = cv_save_all(run, err);
    if (!rc && run->round == 0 && !run->has_id)
        rc = make_run_id_all(run, err);
    if (rc)
        return rc;
    *started = 1;
    run->set_up[CV_AT_MODEL] = cv_now();
    if (run->fed.rank == 0) {
        cv_tell_start(run);
        if (!run->job->privacy.enabled) /* times tell how many rows there are */
            cv_tell_set_up(run);
    }
    rc = train_all(run, err);
    int whole = rc == 0 || rc == CV_REQUEUE; /* its last round is signed */
    if (!rc)
        rc = cv_rewards_sign_all(run, err);
    if (whole) {
        cv_err second;
        int saved = cv_save_signed_all(run, &second);
        if (saved && !rc) {
            *err = second;
            rc = saved;
        }
    }
    if (!rc && run->fed.rank == 0)
        cv_tell_end(run);
    return rc;
}

int cv_cmd_run(int argc, char **argv, cv_err *err)
{
    cv_run_options opt;
    cv_run run = {.fed = {.silo = MPI_COMM_NULL, .leaders = MPI_COMM_NULL}};
    cv_folder folder = {.lock = -1};
    int rank = 0, started = 0, rc;
    catch_signals();
    /* MPI_Init gives even a lone process the marks of one that mpirun began. */
    cv_progress_mode automatic = cv_progress_init(CV_PROGRESS_AUTO);
    run.set_up[CV_AT_LAUNCH] = cv_now();
    MPI_Init(&argc, &argv);
    run.set_up[CV_AT_MPI] = cv_now();
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    rc = parse_args(argc, argv, &opt, err);
    rc = cv_agree_all(MPI_COMM_WORLD, rc, err);
    if (!rc) {
        run.options = &opt;
        if (opt.progress == CV_PROGRESS_AUTO)
            opt.progress = automatic;
        cv_progress_init(opt.progress);
        if (rank != 0)
            cv_log_set_level(CV_LOG_ERROR);
        rc = run_all(&run, &folder, &started, err);
    }
    if (rc && rank == 0)
        cv_tell_error(err, rc);
    free_run(&run);
    cv_folder_close(&folder, !started);
    MPI_Finalize();
    err->text[0] = '\0'; /* said already, once for all ranks */
    return rc;
}

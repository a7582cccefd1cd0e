/* `covey check`: is the job valid, and what will it take? */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/silo.h"
#include "io/table.h"
#include "jobs/chain_terms.h"
#include "jobs/check_fit.h"
#include "jobs/commands.h"
#include "jobs/saved.h"
#include "jobs/site_ledger.h"
#include "privacy/quantise.h"
#include "solver/strategy.h"

typedef struct {
    const char *job, *silo, *silo_dir;
} check_options;

/* What can be seen from here: the simulated source, or the sites' files that
 * were named. */
typedef struct {
    cv_schema *schema; /* NULL: no data in sight */
    int64_t rows, test_rows;
    double bytes; /* of encoded rows, and of mapped ones */
} view;

static int look_at(const cv_job *job, const char *path, const char *role,
                   view *v, cv_err *err)
{
    cv_table *table = NULL;
    cv_schema *schema = NULL;
    cv_design *d = NULL;
    cv_transform *map = NULL;
    int rc = cv_table_read(
        path, job->data.format, role,
        &(cv_row_filter){.declared_only = job->data.n_features > 0},
        job->data.features, job->data.n_features, job->data.target, &table,
        err);
    if (!rc)
        rc =
            cv_schema_of_table(table, job, cv_target_of_job(job), &schema, err);
    if (!rc && v->schema)
        rc = cv_schema_merge(v->schema, schema, err);
    if (!rc && !v->schema) {
        v->schema = schema;
        schema = NULL;
    }
    if (!rc)
        rc = cv_design_encode(&table, v->schema, 1, &d, err);
    if (!rc)
        rc = cv_transform_for_job(job, v->schema, &map, err);
    if (!rc) {
        double item = d->type == CV_TYPE_U8 ? 1.0 : 4.0, n = (double)d->n_rows;
        v->rows += d->n_rows;
        v->bytes += n * ((double)d->n_cols * item + sizeof(float));
        if (map)
            v->bytes += n * (double)cv_transform_n_out(map) * sizeof(float);
    }
    cv_transform_destroy(&map);
    cv_design_destroy(&d);
    cv_schema_destroy(&schema);
    cv_table_destroy(&table);
    if (rc) { /* whoever runs `check` owns the data */
        cv_err_merge_site(err);
        if (!strstr(err->text, path))
            cv_err_prefix(err, "%s", path);
    }
    return rc;
}

static int look_at_silo(const cv_job *job, const char *path, view *v,
                        cv_err *err)
{
    cv_silo *silo = NULL;
    int rc = cv_silo_load(path, &silo, err);
    if (!rc && cv_job_silo_index(job, silo->silo) < 0)
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0, "silo %s is not in %s",
                        silo->silo, job->file);
    if (!rc) {
        int64_t before = v->rows;
        rc = look_at(job, silo->data, "data", v, err);
        if (!rc)
            rc = cv_site_check(silo, job, v->rows - before, err);
        if (rc)
            cv_err_prefix(err, "silo %s", silo->silo);
    }
    cv_err_merge_site(err);
    cv_silo_destroy(&silo);
    return rc;
}

static char *beside(const char *file, const char *name)
{
    char *dir = cv_fs_dirname(file);
    char *path = cv_fs_join(strcmp(dir, ".") ? dir : NULL, name);
    free(dir);
    return path;
}

/* The public test rows, which follow the schema of the others. */
static int look_at_test(const cv_job *job, const char *file, const char *role,
                        view *v, cv_err *err)
{
    view test = {.schema = v->schema};
    char *path = beside(job->file, file);
    int rc = look_at(job, path, role, &test, err);
    v->test_rows = test.rows;
    v->bytes += test.bytes;
    if (!v->schema) /* of the test rows alone: no plan is made from it */
        cv_schema_destroy(&test.schema);
    free(path);
    return rc;
}

static int look(const cv_job *job, const check_options *opt, view *v,
                cv_err *err)
{
    int rc = 0;
    if (job->simulate.enabled) {
        char *path = beside(job->file, job->simulate.source);
        rc = look_at(job, path, "simulate.source", v, err);
        free(path);
        if (!rc && job->simulate.test)
            rc = look_at_test(job, job->simulate.test, "simulate.test", v, err);
        return rc;
    } else if (opt->silo) {
        rc = look_at_silo(job, opt->silo, v, err);
    }
    for (int i = 0; opt->silo_dir && i < job->n_silos && !rc; i++) {
        char *path = NULL;
        rc = cv_silo_find(opt->silo_dir, job->silos[i].name, &path, err);
        if (!rc)
            rc = look_at_silo(job, path, v, err);
        free(path);
    }
    if (!rc && job->data.test)
        rc = look_at_test(job, job->data.test, "data.test", v, err);
    return rc;
}

/* ---- the plan
 * ---------------------------------------------------------------- */

static void print_silos(const cv_job *job)
{
    static const char *const partition[] = {"iid", "modulo", "dirichlet",
                                            "shards"};
    printf("silos       %d", job->n_silos);
    if (job->simulate.enabled) {
        printf(", SIMULATED from %s (%s", job->simulate.source,
               partition[job->simulate.partition]);
        if (job->simulate.partition == CV_PARTITION_DIRICHLET)
            printf(", alpha %g", job->simulate.alpha);
        printf(")\n");
        return;
    }
    for (int i = 0; i < job->n_silos && i < 8; i++)
        printf("%s %s", i ? "," : ":", job->silos[i].name);
    printf(job->n_silos > 8 ? ", ...\n" : "\n");
}

/* Levels as they will be used: a misspelled one is seen here. */
static void print_levels(const char *what, const cv_feature *f)
{
    enum { SHOW = 12 };
    printf("%-11s", what);
    for (int i = 0; i < f->n_levels && i < SHOW; i++)
        printf("%s %s", i ? "," : "", f->levels[i]);
    printf(f->n_levels > SHOW ? ", ...\n" : "\n");
}

static void print_inputs(const cv_schema *s)
{
    enum { SHOW = 8 };
    int numbers = 0;
    char name[80];
    for (int i = 0; i < s->n_features; i++)
        if (s->features[i].type == CV_FEATURE_CATEGORY) {
            snprintf(name, sizeof name, "  %s", s->features[i].name);
            print_levels(name, &s->features[i]);
        } else {
            numbers++;
        }
    printf("  numbers  ");
    for (int i = 0, shown = 0; i < s->n_features && shown < SHOW; i++)
        if (s->features[i].type == CV_FEATURE_NUMBER)
            printf("%s %s", shown++ ? "," : "", s->features[i].name);
    printf(numbers > SHOW ? ", ... (%d)\n" : "\n", numbers);
}

static void print_data(const cv_job *job, const view *v)
{
    char rows[32], test[32];
    if (!v->schema) {
        printf("data        not in sight: give --silo FILE or --silo-dir DIR "
               "to check them too\n");
        return;
    }
    cv_format_count(rows, sizeof rows, v->rows);
    cv_format_count(test, sizeof test, v->test_rows);
    printf("data        %s rows, %d inputs, target %s", rows, v->schema->n_cols,
           v->schema->target.name);
    if (v->schema->target.n_levels)
        printf(" with %d classes", v->schema->target.n_levels);
    else
        printf(" (a number)");
    if (job->simulate.test || job->data.test)
        printf("; %s test rows", test);
    printf("\n");
    if (v->schema->target.n_levels)
        print_levels("classes", &v->schema->target);
    print_inputs(v->schema);
}

static void print_training(const cv_job *job)
{
    printf("training    %s, %d rounds, ", job->training.strategy,
           job->training.rounds);
    if (job->training.local.steps)
        printf("%d steps", job->training.local.steps);
    else
        printf("%d epochs", job->training.local.epochs);
    printf(" of batch %d a round, learning rate %g\n",
           job->training.local.batch, job->training.local.learning_rate);
}

static void print_masks(const cv_job *job)
{
    int t = job->secure_aggregation.collusion;
    if (!job->secure_aggregation.given)
        return;
    if (cv_job_is_fit(job) && job->secure_aggregation.enabled) {
        printf("masks       only sums over all %d silos are seen;\n"
               "            up to %d operator%s may collude\n",
               job->n_silos, t, t == 1 ? "" : "s");
        return;
    }
    if (!job->secure_aggregation.enabled) {
        printf("masks       none (secure_aggregation.enabled is false)\n");
        return;
    }
    printf("masks       updates are seen only in sums of %d silos or more;\n"
           "            up to %d operator%s may collude",
           job->training.min_silos, t, t == 1 ? "" : "s");
    if (!job->privacy.enabled)
        printf("; clip %g", job->secure_aggregation.clip);
    printf("\n");
}

/* How much may be lost, and in how many steps. */
static void print_privacy(const cv_job *job)
{
    int record = job->privacy.unit == CV_UNIT_RECORD;
    int local = job->privacy.noise == CV_NOISE_LOCAL;
    int pld = job->privacy.accountant == CV_ACCOUNTANT_PLD;
    char steps[32];
    if (!job->privacy.enabled)
        return;
    printf("privacy     unit %s, ", record ? "record" : "silo");
    if (job->privacy.epsilon > 0.0)
        printf("epsilon at most %g, ", job->privacy.epsilon);
    printf("delta %g (%s), clip %g%s\n", job->privacy.delta,
           pld ? "pld" : "rdp", job->privacy.clip,
           job->privacy.adaptive.enabled ? " at first" : "");
    if (job->privacy.noise_multiplier > 0.0)
        printf("            noise multiplier %g",
               job->privacy.noise_multiplier);
    else
        printf("            noise as that epsilon needs");
    if (record)
        printf(local ? ", made by each silo" : ", made by all silos in shares");
    cv_format_count(steps, sizeof steps, cv_job_noisy_sums(job));
    printf("\n            %s steps in all", steps);
    if (cv_job_is_fit(job))
        printf(", in each all records");
    else if (record)
        printf(", sampling %g, expected batch %d", job->privacy.sampling,
               job->training.local.batch);
    else
        printf(", noise in each of %d sums", job->training.rounds);
    printf("\n");
}

/* Where proofs go, who is paid by what, and what that shows. */
static int print_chain(const cv_job *job, cv_err *err)
{
    static const char *const shown[] = {
        "who took part", "who took part",
        "each silo's number of training rows, its own word",
        "how many test rows of its own the model gets right, by its own word",
        "the last round's sums of fixed groups of silos"};
    cv_chain_terms terms;
    char a[CV_ADDRESS_TEXT], b[CV_ADDRESS_TEXT];
    size_t n;
    int rc = cv_chain_terms_of(job, &terms, err);
    if (rc <= 0)
        return rc;
    cv_address_text(a, &terms.federation.contract);
    printf("chain       %s, federation %s\n", terms.network->name, a);
    if (!terms.has_rewards)
        return 0;
    cv_address_text(a, &terms.token);
    cv_address_text(b, &terms.sponsor);
    printf("rewards     %s tokens (%s)\n            from %s, by %s%s;\n"
           "            shows %s\n",
           job->chain.rewards.pool, a, b,
           cv_job_words("chain.rewards.method", &n)[job->chain.rewards.method],
           terms.cap_ppm < 1000000 ? ", capped" : "",
           shown[job->chain.rewards.method]);
    return 0;
}

static void print_costs(const cv_job *job, const cv_model *model, const view *v)
{
    const cv_strategy *st = cv_strategy_find(job->training.strategy);
    char text[5][32];
    double n = (double)cv_model_params(model)->n, f = n * 4.0;
    double word = job->n_silos > CV_NARROW_MAX_SILOS ? 8.0 : 4.0;
    double momentum = job->training.local.momentum > 0.0 ? f : 0.0;
    /* One silo a rank; a rank with several has a sum for each payload. */
    double buffers = f + st->n_payload * f + n * word + momentum;
    double state = f * st->n_server;
    double work = (double)cv_model_work_bytes(model, 512) +
                  (double)cv_model_work_bytes(model, job->training.local.batch);
    cv_format_count(text[0], sizeof text[0], (int64_t)n);
    cv_format_bytes(text[1], sizeof text[1], f);
    printf("model       %s, %s parameters (%s)", job->model.kind, text[0],
           text[1]);
    if (strcmp(job->model.transform, "none") != 0)
        printf(" on the %d features of %s", cv_model_n_in(model),
               job->model.transform);
    printf("\n");
    double sums = job->privacy.enabled && job->privacy.unit == CV_UNIT_RECORD &&
                          job->privacy.noise == CV_NOISE_DISTRIBUTED
                      ? job->training.local.steps
                      : 1.0;
    cv_format_bytes(text[0], sizeof text[0], n * word * st->n_payload * sums);
    printf("a round     each silo sends and receives %s (%.0f-bit integers",
           text[0], 8.0 * word);
    if (sums > 1.0)
        printf(", %.0f sums", sums);
    printf(")\n");
    cv_format_bytes(text[0], sizeof text[0], buffers + state);
    cv_format_bytes(text[1], sizeof text[1], work);
    cv_format_bytes(text[2], sizeof text[2], v->bytes);
    cv_format_bytes(text[3], sizeof text[3], 2.0 * f * st->n_silo);
    printf("memory      %s for model and sums, %s for activations on each "
           "rank;\n            %s of data over all of them",
           text[0], text[1], text[2]);
    if (st->n_silo)
        printf("; %s for each silo's own state", text[3]);
    cv_format_bytes(text[4], sizeof text[4], f * (1 + st->n_server));
    printf("\ncheckpoint  %s, every %d rounds, %d kept\n", text[4],
           job->checkpoint.every, job->checkpoint.keep);
}

static int print_plan(const cv_job *job, const check_options *opt,
                      const view *v, cv_err *err)
{
    cv_model *model = NULL;
    char hex[65];
    cv_hex(hex, job->digest, 32);
    if (v->schema) {
        int rc = cv_model_for_job(job, v->schema, &model, err);
        if (rc)
            return rc;
    }
    printf("job         %s, digest %.16s\n", job->name, hex);
    print_silos(job);
    int rc = 0;
    if (cv_job_is_fit(job)) {
        rc = cv_check_fit(job, opt->silo, opt->silo_dir, err);
    } else {
        print_data(job, v);
        print_training(job);
    }
    if (rc)
        return rc;
    print_masks(job);
    print_privacy(job);
    rc = print_chain(job, err);
    if (!rc && model)
        print_costs(job, model, v);
    if (!rc)
        printf("%s is valid\n", job->file);
    cv_model_destroy(&model);
    return rc;
}

int cv_cmd_check(int argc, char **argv, cv_err *err)
{
    static const struct option longs[] = {
        {"silo", required_argument, NULL, 's'},
        {"silo-dir", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0}};
    check_options opt = {0};
    int c;
    while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
        if (c == 's')
            opt.silo = optarg;
        else if (c == 'd')
            opt.silo_dir = optarg;
        else
            return cv_bad_option("check", c, argv, longs, err);
    }
    if (optind + 1 != argc)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "usage: covey check job.yaml [--silo FILE | "
                          "--silo-dir DIR]");
    cv_job *job = NULL;
    view v = {0};
    int rc = cv_job_load(argv[optind], &job, err);
    if (!rc && !cv_job_is_fit(job))
        rc = look(job, &opt, &v, err);
    if (!rc)
        rc = print_plan(job, &opt, &v, err);
    cv_schema_destroy(&v.schema);
    cv_job_destroy(&job);
    return rc;
}

/* `covey settle`: bring a run's proofs and rewards to the chain. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/settle.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "core/progress.h"
#include "core/text.h"
#include "jobs/commands.h"
#include "jobs/funded_key.h"
#include "jobs/json.h"
#include "jobs/node_options.h"
#include "jobs/run_outbox.h"
#include "jobs/stop.h"

typedef struct {
    cv_node_options node;
    const char *run;
    int watch, quiet;
    uint64_t batch;
    double patience;
    cv_outbox_state until;
} options;

static void say(void *ctx, const char *text)
{
    (void)ctx;
    cv_progress_clear();
    fprintf(stderr, "%s\n", text);
}

static void show(void *ctx, const char *text)
{
    (void)ctx;
    cv_progress_show(text);
}

static void print_json(const cv_settle_report *r)
{
    char head[65], fee[CV_UNITS_TEXT];
    cv_buf b = {0};
    cv_hex(head, r->head, 32);
    cv_json_open(&b, NULL, '{');
    cv_json_string(&b, "network", r->network);
    cv_json_string(&b, "opening", cv_outbox_state_name(r->opening));
    cv_json_i64(&b, "rounds", (int64_t)r->rounds);
    cv_json_open(&b, "states", '{');
    for (int i = 0; i <= CV_OUTBOX_FINAL; i++)
        cv_json_i64(&b, cv_outbox_state_name((cv_outbox_state)i),
                    (int64_t)r->count[i]);
    cv_json_close(&b, '}');
    cv_json_i64(&b, "rounds_on_chain", (int64_t)r->on_chain);
    cv_json_string(&b, "head", head);
    cv_json_i64(&b, "epochs", (int64_t)r->epochs);
    cv_json_i64(&b, "epochs_settled", (int64_t)r->epochs_settled);
    cv_json_open(&b, "transactions", '{');
    cv_json_i64(&b, "built", (int64_t)r->built);
    cv_json_i64(&b, "sent", (int64_t)r->sent);
    cv_json_i64(&b, "mined", (int64_t)r->mined);
    cv_json_i64(&b, "reverted", (int64_t)r->reverted);
    cv_json_i64(&b, "replaced", (int64_t)r->replaced);
    cv_json_i64(&b, "dropped", (int64_t)r->dropped);
    cv_json_close(&b, '}');
    cv_json_i64(&b, "gas_used", (int64_t)r->gas_used);
    /* In wei; as text, for it may be more than a number of JSON holds. */
    cv_u256_units(fee, &r->l2_fee, 0);
    cv_json_string(&b, "l2_fee_wei", fee);
    cv_u256_units(fee, &r->l1_fee, 0);
    cv_json_string(&b, "l1_fee_wei", fee);
    cv_json_string(&b, "note", r->note);
    cv_json_close(&b, '}');
    puts(cv_buf_text(&b));
    cv_buf_free(&b);
}

static void print_text(const cv_settle_report *r)
{
    char fee[CV_UNITS_TEXT], l1[CV_UNITS_TEXT];
    printf("network       %s\nopening       %s\nrounds        %" PRIu64
           ", on the chain up to %" PRIu64 "\nstates       ",
           r->network[0] ? r->network : "-", cv_outbox_state_name(r->opening),
           r->rounds, r->on_chain);
    for (int i = CV_OUTBOX_FINAL; i >= 0; i--)
        printf(" %" PRIu64 " %s%s", r->count[i],
               cv_outbox_state_name((cv_outbox_state)i), i ? "," : "\n");
    if (r->epochs)
        printf("epochs        %" PRIu64 ", %" PRIu64 " on the chain\n",
               r->epochs, r->epochs_settled);
    printf("transactions  %" PRIu64 " sent, %" PRIu64 " mined, %" PRIu64
           " refused, %" PRIu64 " replaced, %" PRIu64 " dropped\n",
           r->sent, r->mined, r->reverted, r->replaced, r->dropped);
    cv_u256_units(fee, &r->l2_fee, 18);
    cv_u256_units(l1, &r->l1_fee, 18);
    printf("paid          %s + %s (L1 data) ETH, for %" PRIu64 " gas\n", fee,
           l1, r->gas_used);
    if (r->note[0])
        printf("note          %s\n", r->note);
}

/* What is mined and not final is the chain's business, but people should know
 * that asking again later costs nothing. */
static void tell_rest(const options *o, const cv_settle_report *r)
{
    uint64_t rest = r->rounds - r->count[CV_OUTBOX_FINAL];
    if (o->quiet || o->until == CV_OUTBOX_FINAL || !rest ||
        strcmp(r->network, "local") ==
            0) /* its blocks come with what is sent */
        return;
    fprintf(stderr,
            "%" PRIu64 " rounds are mined and not final yet; `covey settle %s "
            "--finality final` waits for that\n",
            rest, o->run);
}

/* Batches and finality are the job's, unless the command line says otherwise. */
static void take_from_job(options *o, const cv_job *job)
{
    static const cv_outbox_state states[] = {CV_OUTBOX_MINED, CV_OUTBOX_SAFE,
                                             CV_OUTBOX_FINAL};
    if (!o->until && o->watch)
        o->until = job ? states[job->chain.settle.finality] : CV_OUTBOX_FINAL;
    if (!o->until)
        o->until = CV_OUTBOX_MINED;
    if (!o->batch && job)
        o->batch = (uint64_t)job->chain.settle.batch;
}

/* What run.h5 has and the outbox lacks, first. */
static int fill_outbox(options *o, cv_err *err)
{
    cv_outbox *box = NULL;
    cv_job *job = NULL;
    int rc = cv_run_outbox_open(o->run, &box, &job, err);
    cv_outbox_close(&box);
    if (!rc)
        take_from_job(o, job);
    cv_job_destroy(&job);
    return rc;
}

static int settle(options *o, cv_err *err)
{
    cv_settle_report report = {0};
    cv_seckey *key = NULL;
    int rc = fill_outbox(o, err);
    if (!rc && o->node.key)
        rc = cv_funded_key_open(o->node.key, o->node.password_file, &key, err);
    if (rc)
        return rc;
    cv_rpc_config rpc = {.urls = (const char *const *)o->node.urls.url,
                         .n_urls = o->node.urls.n,
                         .stop = cv_stop_flag()};
    cv_settle_config config = {.rpc = &rpc,
                               .key = key,
                               .batch = o->batch,
                               .until = o->until,
                               .watch = o->watch,
                               .patience = o->patience,
                               .say = o->quiet ? NULL : say,
                               .show = o->quiet ? NULL : show};
    cv_stop_on_signals();
    cv_progress_init(CV_PROGRESS_AUTO);
    rc = cv_settle(o->run, &config, &report, err);
    cv_progress_end();
    cv_seckey_destroy(&key);
    if (o->node.json)
        print_json(&report);
    else if (!rc || rc == CV_REQUEUE)
        print_text(&report);
    if (!rc)
        tell_rest(o, &report);
    if (rc == CV_REQUEUE)
        rc = cv_err_set(err, CV_REQUEUE, NULL, 0,
                        "stopped; nothing is lost, settle again to go on");
    return rc;
}

static int parse_number(const char *option, double *out, double low,
                        double high, cv_err *err)
{
    if (cv_parse_f64(out, optarg) == 0 && *out >= low && *out <= high)
        return 0;
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "%s: expected a number from %g to %g, found '%s'", option,
                      low, high, optarg);
}

static int parse(int c, options *o, cv_err *err)
{
    int taken = cv_node_option(&o->node, c, err);
    if (taken)
        return taken < 0 ? taken : 0;
    static const char *const names[] = {"mined", "safe", "final", "finalized"};
    double v = 0;
    int i, rc = 0;
    switch (c) {
    case 'w':
        o->watch = 1;
        return 0;
    case 'q':
        o->quiet = 1;
        return 0;
    case 'b':
        rc = parse_number("--batch", &v, 1, 1024, err);
        o->batch = (uint64_t)v;
        return rc;
    case 'P':
        return parse_number("--replace-after", &o->patience, 1, 86400, err);
    default:
        break;
    }
    i = cv_word_index(optarg, names, 4);
    if (i < 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "--finality: expected mined, safe or final, found "
                          "'%s'",
                          optarg);
    o->until = i == 0   ? CV_OUTBOX_MINED
               : i == 1 ? CV_OUTBOX_SAFE
                        : CV_OUTBOX_FINAL;
    return 0;
}

int cv_cmd_settle(int argc, char **argv, cv_err *err)
{
    static const struct option longs[] = {
        CV_NODE_OPTIONS,
        {"finality", required_argument, NULL, 'f'},
        {"batch", required_argument, NULL, 'b'},
        {"replace-after", required_argument, NULL, 'P'},
        {"watch", no_argument, NULL, 'w'},
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0}};
    options o = {0};
    int c, rc = cv_refuse_spoken_secret(argc, argv, err);
    while (!rc && (c = getopt_long(argc, argv, ":q", longs, NULL)) != -1)
        rc = c == '?' || c == ':' ? cv_bad_option("settle", c, argv, longs, err)
                                  : parse(c, &o, err);
    if (!rc && argc - optind != 1)
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "usage: covey settle RUN --key KEYSTORE [options]; see "
                        "`covey help settle`");
    if (!rc) {
        o.run = argv[optind];
        rc = settle(&o, err);
    }
    cv_rpc_options_free(&o.node.urls);
    return rc;
}

/* `covey settle`: bring a run's proofs and rewards to the chain. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/keystore.h"
#include "chain/settle.h"
#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/progress.h"
#include "core/secret.h"
#include "core/text.h"
#include "jobs/commands.h"
#include "jobs/json.h"

enum { MAX_URLS = 16 };

typedef struct {
    const char *run, *key, *password_file, *rpc_file;
    const char *urls[MAX_URLS];
    size_t n_urls;
    char *url_text; /* owned: the lines of rpc_file */
    int json, watch, quiet;
    uint64_t batch;
    double patience;
    cv_outbox_state until;
} options;

static int stop; /* chain/ looks at it between its steps */

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

/* Not restarted: a wait ends at once. A second signal ends the process, which
 * loses nothing either. */
static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal,
                          .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

static int add_url(options *o, const char *url, cv_err *err)
{
    if (o->n_urls == MAX_URLS)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected at most %d RPC addresses", MAX_URLS);
    o->urls[o->n_urls++] = url;
    return 0;
}

/* One address a line; blank lines and those that begin with # do not count. */
static int read_urls(options *o, cv_err *err)
{
    size_t n;
    int rc = cv_fs_read(o->rpc_file, 65536, &o->url_text, &n, err);
    if (rc)
        return rc;
    char *save = NULL;
    for (char *line = strtok_r(o->url_text, "\r\n", &save); line && !rc;
         line = strtok_r(NULL, "\r\n", &save)) {
        line += strspn(line, " \t");
        line[strcspn(line, " \t")] = '\0';
        if (*line && *line != '#')
            rc = add_url(o, line, err);
    }
    if (!rc && !o->n_urls)
        rc = cv_err_set(err, CV_ERR_INPUT, o->rpc_file, 0,
                        "expected one RPC address a line, found none");
    return rc;
}

static int open_key(const options *o, cv_seckey **key, cv_err *err)
{
    cv_keystore *ks = NULL;
    cv_passphrase pass = {0};
    int rc = cv_keystore_load(o->key, &ks, err);
    if (rc)
        return rc;
    if (o->password_file) {
        /* Sealing first would hide /dev/fd, and with it <(command). */
        rc = cv_passphrase_read(o->password_file, &pass, err);
        cv_secret_seal_process();
    } else {
        cv_secret_seal_process();
        char *label = cv_asprintf("Pass phrase for %s", o->key);
        rc = cv_passphrase_ask(label, &pass, err);
        free(label);
    }
    if (!rc)
        rc = cv_keystore_unlock(ks, &pass, key, err);
    cv_passphrase_wipe(&pass);
    cv_keystore_destroy(&ks);
    return rc;
}

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
    printf("paid          %s + %s (L1 data), for %" PRIu64 " gas\n", fee, l1,
           r->gas_used);
    if (r->note[0])
        printf("note          %s\n", r->note);
}

/* What is mined and not final is the chain's business, but people should know
 * that asking again later costs nothing. */
static void tell_rest(const options *o, const cv_settle_report *r)
{
    uint64_t rest = r->rounds - r->count[CV_OUTBOX_FINAL];
    if (o->quiet || o->until == CV_OUTBOX_FINAL || !rest)
        return;
    fprintf(stderr,
            "%" PRIu64 " rounds are mined and not final yet; `covey settle %s "
            "--finality final` waits for that\n",
            rest, o->run);
}

static int settle(options *o, cv_err *err)
{
    cv_settle_report report;
    cv_seckey *key = NULL;
    int rc = 0;
    if (o->rpc_file)
        rc = read_urls(o, err);
    if (!rc && o->key)
        rc = open_key(o, &key, err);
    if (rc)
        return rc;
    cv_rpc_config rpc = {.urls = o->urls, .n_urls = o->n_urls, .stop = &stop};
    cv_settle_config config = {.rpc = &rpc,
                               .key = key,
                               .batch = o->batch,
                               .until = o->until,
                               .watch = o->watch,
                               .patience = o->patience,
                               .say = o->quiet ? NULL : say,
                               .show = o->quiet ? NULL : show};
    catch_signals();
    cv_progress_init(CV_PROGRESS_AUTO);
    rc = cv_settle(o->run, &config, &report, err);
    cv_progress_end();
    cv_seckey_destroy(&key);
    if (o->json)
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
    static const char *const names[] = {"mined", "safe", "final", "finalized"};
    double v = 0;
    int i, rc = 0;
    switch (c) {
    case 'r':
        return add_url(o, optarg, err);
    case 'R':
        o->rpc_file = optarg;
        return 0;
    case 'k':
        o->key = optarg;
        return 0;
    case 'p':
        o->password_file = optarg;
        return 0;
    case 'w':
        o->watch = 1;
        return 0;
    case 'j':
        o->json = 1;
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
        {"rpc", required_argument, NULL, 'r'},
        {"rpc-file", required_argument, NULL, 'R'},
        {"key", required_argument, NULL, 'k'},
        {"password-file", required_argument, NULL, 'p'},
        {"finality", required_argument, NULL, 'f'},
        {"batch", required_argument, NULL, 'b'},
        {"replace-after", required_argument, NULL, 'P'},
        {"watch", no_argument, NULL, 'w'},
        {"json", no_argument, NULL, 'j'},
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0}};
    options o = {0};
    int c, rc = cv_refuse_spoken_passphrase(argc, argv, err);
    while (!rc && (c = getopt_long(argc, argv, ":q", longs, NULL)) != -1)
        rc = c == '?' || c == ':' ? cv_bad_option("settle", c, argv, longs, err)
                                  : parse(c, &o, err);
    if (!rc && argc - optind != 1)
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "usage: covey settle RUN --key KEYSTORE [options]; see "
                        "`covey help settle`");
    if (!rc) {
        o.run = argv[optind];
        if (!o.until)
            o.until = o.watch ? CV_OUTBOX_FINAL : CV_OUTBOX_MINED;
        rc = settle(&o, err);
    }
    free(o.url_text);
    return rc;
}

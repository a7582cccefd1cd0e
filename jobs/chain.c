/* `covey chain`: the contracts of a federation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/abi.h"
#include "chain/contracts.h"
#include "chain/send_one.h"
#include "chain/views.h"
#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/text.h"
#include "jobs/chain_cmd.h"
#include "jobs/chain_terms.h"
#include "jobs/commands.h"
#include "jobs/funded_key.h"
#include "jobs/json.h"
#include "jobs/node_options.h"
#include "jobs/run_outbox.h"
#include "jobs/stop.h"

typedef cv_chain_options options;

int cv_chain_connect(cv_chain_options *o, const cv_network *net, cv_err *err)
{
    o->net = net;
    int rc =
        cv_rpc_options_open(&o->node.urls, net, cv_stop_flag(), &o->rpc, err);
    return rc ? rc : cv_node_check_chain(o->rpc, net->chain_id, err);
}

/* ---- deploy ---------------------------------------------------------------------- */

static int make_contract(const options *o, const cv_seckey *key,
                         const uint8_t *code, size_t n_code,
                         cv_abi_writer *arguments, const char *what,
                         cv_address *out, cv_err *err)
{
    cv_sender s = {o->rpc, o->net, key, cv_stop_flag()};
    cv_receipt receipt;
    cv_buf data = {0};
    cv_buf_add(&data, code, n_code);
    cv_abi_end(arguments, &data);
    int rc = cv_send_one(&s, NULL, data.data, data.len, what, &receipt, err);
    if (!rc && !receipt.made_contract)
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "%s: the node's receipt names no contract", what);
    if (!rc)
        *out = receipt.contract;
    cv_receipt_free(&receipt);
    cv_buf_free(&data);
    return rc;
}

static int deploy_federation(const options *o, const cv_seckey *key,
                             cv_federation *f, cv_err *err)
{
    cv_address owner;
    cv_abi_writer w;
    int rc = 0;
    cv_seckey_address(key, &owner);
    if (o->owner)
        rc = cv_address_parse(&owner, o->owner, err);
    if (rc)
        return rc;
    cv_abi_begin(&w, "(address,uint64,uint64)");
    cv_abi_put_address(&w, &owner);
    cv_abi_put_u64(&w, (uint64_t)o->window);
    cv_abi_put_u64(&w, (uint64_t)o->claim_period);
    f->chain_id = o->net->chain_id;
    rc = make_contract(o, key, cv_federation_code, sizeof cv_federation_code,
                       &w, "deploying the federation", &f->contract, err);
    return rc ? rc : cv_view_check_rewards(o->rpc, f, err);
}

/* Before anything is sent. */
static int check_test_token(const options *o, cv_u256 *amount, cv_err *err)
{
    if (!o->test_token)
        return 0;
    if (!o->net->test_money)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "--test-token is for a local network, not for %s",
                          o->net->name);
    int rc = cv_u256_from_units(amount, o->test_token, 18, err);
    if (rc)
        cv_err_prefix(err, "--test-token");
    return rc;
}

static int deploy_token(const options *o, const cv_seckey *key,
                        const cv_u256 *amount, cv_address *token, cv_err *err)
{
    cv_address holder;
    cv_abi_writer w;
    cv_seckey_address(key, &holder);
    cv_abi_begin(&w, "(address,uint256)");
    cv_abi_put_address(&w, &holder);
    cv_abi_put_u256(&w, amount);
    return make_contract(o, key, cv_test_token_code, sizeof cv_test_token_code,
                         &w, "deploying the test token", token, err);
}

static void print_address(const options *o, cv_buf *b, const char *name,
                          const cv_address *a)
{
    char text[CV_ADDRESS_TEXT];
    cv_address_text(text, a);
    if (o->node.json)
        cv_json_string(b, name, text);
    else
        printf("%-12s %s\n", name, text);
}

static int deploy(options *o, int n_args, char **args, cv_err *err)
{
    (void)args;
    const cv_network *net = cv_network_find(o->network ? o->network : "");
    cv_seckey *key = NULL;
    cv_federation f;
    cv_address rewards, token, owner;
    cv_u256 amount = cv_u256_of(0);
    if (n_args || !net || net->chain_id == 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "usage: covey chain deploy --network local|"
                          "base-sepolia|base --key FILE [--rpc URL]");
    o->net = net;
    int rc = check_test_token(o, &amount, err);
    if (!rc)
        rc = cv_chain_connect(o, net, err);
    if (!rc)
        rc = cv_funded_key_open(o->node.key, o->node.password_file, &key, err);
    if (!rc)
        rc = deploy_federation(o, key, &f, err);
    if (!rc && o->test_token)
        rc = deploy_token(o, key, &amount, &token, err);
    if (!rc) {
        cv_buf b = {0};
        cv_federation_rewards(&rewards, &f);
        cv_seckey_address(key, &owner);
        if (o->owner)
            (void)cv_address_parse(&owner, o->owner, err);
        if (o->node.json)
            cv_json_open(&b, NULL, '{');
        print_address(o, &b, "federation", &f.contract);
        print_address(o, &b, "rewards", &rewards);
        print_address(o, &b, "owner", &owner);
        if (o->test_token)
            print_address(o, &b, "token", &token);
        if (o->node.json) {
            cv_json_close(&b, '}');
            puts(cv_buf_text(&b));
        } else {
            fprintf(stderr,
                    "the federation's address goes into the job (chain: "
                    "{network: %s, federation: ..})\n",
                    net->name);
        }
        cv_buf_free(&b);
    }
    cv_seckey_destroy(&key);
    return rc;
}

/* ---- register ----------------------------------------------------------------------- */

static int register_one(const options *o, const cv_seckey *key,
                        const cv_outbox_run *run, const cv_outbox_silo *silo,
                        cv_err *err)
{
    cv_address self;
    cv_view_silo now;
    cv_receipt receipt;
    cv_buf data = {0};
    uint8_t sig[65];
    cv_abi_writer w;
    int rc = cv_pubkey_address(&self, &silo->identity, err);
    if (!rc)
        rc = cv_view_silo_of(o->rpc, &now, &run->federation, &self, err);
    if (rc)
        return rc;
    if (now.active &&
        memcmp(now.attester.b, silo->attester.b, sizeof now.attester.b) == 0) {
        printf("%-24s is registered\n", silo->name);
        return 0;
    }
    if (now.nonce != 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "silo %s: the contract has known this identity with "
                          "another attester, or has removed it; a silo that "
                          "was removed joins again with a new identity key",
                          silo->name);
    cv_sig_to_contract(sig, &silo->binding);
    cv_abi_begin(&w, "addSilo(address,address,bytes)");
    cv_abi_put_address(&w, &self);
    cv_abi_put_address(&w, &silo->attester);
    cv_abi_put_bytes(&w, sig, sizeof sig);
    cv_abi_end(&w, &data);
    cv_sender s = {o->rpc, o->net, key, cv_stop_flag()};
    char *what = cv_asprintf("registering silo %s", silo->name);
    rc = cv_send_one(&s, &run->federation.contract, data.data, data.len, what,
                     &receipt, err);
    cv_receipt_free(&receipt);
    cv_buf_free(&data);
    free(what);
    if (!rc)
        printf("%-24s registered now\n", silo->name);
    return rc;
}

static int check_owner(const options *o, const cv_seckey *key,
                       const cv_federation *f, cv_err *err)
{
    cv_address owner, mine;
    char text[CV_ADDRESS_TEXT];
    int rc = cv_view_owner(o->rpc, &owner, f, err);
    cv_seckey_address(key, &mine);
    if (rc || memcmp(owner.b, mine.b, sizeof owner.b) == 0)
        return rc;
    cv_address_text(text, &owner);
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "only the federation's owner, %s, takes in silos; the "
                      "key given is another's",
                      text);
}

static int do_register(options *o, int n_args, char **args, cv_err *err)
{
    cv_outbox *box = NULL;
    cv_outbox_run run = {0};
    cv_seckey *key = NULL;
    if (n_args != 1)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "usage: covey chain register RUN --key FILE "
                          "[--rpc URL]");
    int rc = cv_run_outbox_load(args[0], &box, &run, NULL, err);
    if (!rc)
        rc = cv_chain_connect(o, cv_network_find(run.network), err);
    if (!rc)
        rc = cv_funded_key_open(o->node.key, o->node.password_file, &key, err);
    if (!rc)
        rc = cv_view_check_federation(o->rpc, &run.federation, err);
    if (!rc)
        rc = check_owner(o, key, &run.federation, err);
    for (uint32_t i = 0; i < run.n && !rc; i++)
        rc = register_one(o, key, &run, &run.silos[i], err);
    cv_seckey_destroy(&key);
    cv_outbox_run_free(&run);
    cv_outbox_close(&box);
    return rc;
}

/* ---- the command ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    int (*run)(options *o, int n_args, char **args, cv_err *err);
} verbs[] = {
    {"deploy", deploy}, {"register", do_register}, {"status", cv_chain_status}};

static int seconds_of(const char *name, const char *text, int64_t *out,
                      cv_err *err)
{
    if (cv_parse_i64(out, text) == 0 && *out > 0)
        return 0;
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "%s: expected a number of seconds above 0, found '%s'",
                      name, text);
}

static int parse(int argc, char **argv, options *o, cv_err *err)
{
    static const struct option longs[] = {
        CV_NODE_OPTIONS,
        {"network", required_argument, NULL, 'n'},
        {"owner", required_argument, NULL, 'o'},
        {"window", required_argument, NULL, 'w'},
        {"claim-period", required_argument, NULL, 'c'},
        {"test-token", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0}};
    int c, rc = cv_refuse_spoken_secret(argc, argv, err);
    while (!rc && (c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
        rc = cv_node_option(&o->node, c, err);
        if (rc) { /* 1: taken */
            rc = rc < 0 ? rc : 0;
            continue;
        }
        switch (c) {
        case 'n':
            o->network = optarg;
            break;
        case 'o':
            o->owner = optarg;
            break;
        case 't':
            o->test_token = optarg;
            break;
        case 'w':
            rc = seconds_of("--window", optarg, &o->window, err);
            break;
        case 'c':
            rc = seconds_of("--claim-period", optarg, &o->claim_period, err);
            break;
        default:
            return cv_bad_option("chain", c, argv, longs, err);
        }
    }
    return rc;
}

int cv_cmd_chain(int argc, char **argv, cv_err *err)
{
    /* A day to object, and three months to claim. */
    options o = {.window = 86400, .claim_period = 90 * 86400};
    int rc = parse(argc, argv, &o, err), known = 0;
    cv_stop_on_signals();
    if (!rc && optind >= argc)
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "usage: covey chain deploy|register|status; see `covey "
                        "help chain`");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0] && !rc && !known; i++)
        if (strcmp(argv[optind], verbs[i].name) == 0) {
            rc = verbs[i].run(&o, argc - optind - 1, argv + optind + 1, err);
            known = 1;
        }
    if (!rc && !known)
        rc =
            cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                       "expected `covey chain deploy`, `register` or `status`, "
                       "found '%s'",
                       argv[optind]);
    cv_rpc_destroy(&o.rpc);
    cv_rpc_options_free(&o.node.urls);
    return rc;
}

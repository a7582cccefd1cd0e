/* `covey rewards`: what each silo is paid; funding, objecting, claiming. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/merkle.h"
#include "chain/views.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "jobs/chain_terms.h"
#include "jobs/commands.h"
#include "jobs/funded_key.h"
#include "jobs/json.h"
#include "jobs/rewards_cmd.h"
#include "jobs/run_outbox.h"
#include "jobs/stop.h"

/* ---- what was signed ------------------------------------------------------------- */

static int check_signatures(const cv_paying *p, cv_err *err)
{
    uint8_t digest[32];
    uint32_t good = 0,
             quorum = cv_federation_quorum(p->run.n, p->run.collusion);
    cv_epoch_digest(digest, &p->run.federation, &p->e.epoch);
    for (uint32_t i = 0; i < p->run.n; i++) {
        cv_address who;
        cv_err ignored;
        good += cv_sig_recover_address(&p->e.sigs[i], &who, digest, &ignored) ==
                    0 &&
                memcmp(who.b, p->run.silos[i].attester.b, sizeof who.b) == 0;
    }
    return good >= quorum
               ? 0
               : cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "%u of %u attesters have signed these rewards, "
                            "%u are needed",
                            good, p->run.n, quorum);
}

/* Leaves from payees and amounts; their root must be the one that was signed. */
static int make_leaves(cv_paying *p, cv_err *err)
{
    const cv_epoch *e = &p->e.epoch;
    uint8_t root[32];
    p->leaves = CV_NEW(32 * (size_t)e->leaves, uint8_t);
    p->silo = CV_NEW(e->leaves, int);
    for (uint32_t i = 0; i < e->leaves; i++) {
        cv_reward_leaf(p->leaves + 32 * (size_t)i, &p->run.federation,
                       e->run_id, e->epoch, i, &p->e.payee[i], &p->e.amount[i]);
        p->silo[i] = -1;
    }
    cv_merkle_root(root, p->leaves, e->leaves);
    if (memcmp(root, e->root, 32) != 0)
        return cv_err_set(
            err, CV_ERR_VERIFY, NULL, 0,
            "the outbox's payees and amounts do not have the root "
            "that was signed");
    return check_signatures(p, err);
}

/* Names of the payees' silos. Two silos may have one payee, so leaves, which are
 * in the order of the silos, are matched from the first on. */
static int name_leaves(cv_paying *p, cv_err *err)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < p->run.n && at < p->e.epoch.leaves; i++) {
        cv_address payee;
        int rc =
            p->job ? cv_chain_payee(p->job, (int)i, &p->run.silos[i].identity,
                                    &payee, err)
                   : cv_pubkey_address(&payee, &p->run.silos[i].identity, err);
        if (rc)
            return rc;
        if (memcmp(payee.b, p->e.payee[at].b, sizeof payee.b) == 0)
            p->silo[at++] = (int)i;
    }
    return 0;
}

static int load(cv_paying *p, const char *dir, cv_err *err)
{
    cv_outbox *box = NULL;
    int found = 0;
    int rc = cv_run_outbox_open(dir, &box, &p->job, err);
    if (!rc)
        rc = cv_outbox_load_run(box, &p->run, &found, err);
    if (!rc && found)
        rc = cv_outbox_load_epoch(box, &p->e, &found, 1, err);
    cv_outbox_close(&box);
    if (!rc && !found)
        rc = cv_err_set(err, CV_ERR_INPUT, dir, 0,
                        "it has no rewards: they are signed when a run with "
                        "chain.rewards is done");
    p->decimals = p->job ? p->job->chain.rewards.decimals : 18;
    if (!rc)
        rc = make_leaves(p, err);
    return rc ? rc : name_leaves(p, err);
}

/* ---- showing ------------------------------------------------------------------------ */

const char *cv_paying_name(const cv_paying *p, uint32_t leaf)
{
    return p->silo[leaf] < 0 ? "-" : p->run.silos[p->silo[leaf]].name;
}

int cv_paying_selected(const cv_paying *p, uint32_t leaf)
{
    return !p->o->only || strcmp(p->o->only, cv_paying_name(p, leaf)) == 0;
}

/* -1 where no node was asked. */
static int claimed(const cv_paying *p, uint32_t leaf, cv_err *err, int *rc)
{
    int is = -1;
    if (p->rpc && !*rc)
        *rc = cv_view_claimed(p->rpc, &is, &p->run.federation, p->run.on_chain,
                              p->e.epoch.epoch, leaf, err);
    return is;
}

static void print_text(const cv_paying *p, uint32_t i, int is_claimed)
{
    char who[CV_ADDRESS_TEXT], money[CV_UNITS_TEXT];
    cv_address_text(who, &p->e.payee[i]);
    cv_u256_units(money, &p->e.amount[i], p->decimals);
    printf("%-24s %s %28s%s\n", cv_paying_name(p, i), who, money,
           is_claimed < 0 ? ""
           : is_claimed   ? "  claimed"
                          : "  not claimed");
}

static void print_json(const cv_paying *p, cv_buf *b, uint32_t i,
                       int is_claimed)
{
    uint8_t proof[CV_MERKLE_DEPTH * 32];
    size_t count = 0;
    char who[CV_ADDRESS_TEXT], money[CV_UNITS_TEXT], hex[67] = "0x";
    cv_address_text(who, &p->e.payee[i]);
    cv_u256_units(money, &p->e.amount[i], p->decimals);
    cv_merkle_proof(p->leaves, p->e.epoch.leaves, i, proof, &count);
    cv_json_open(b, NULL, '{');
    cv_json_string(b, "silo", cv_paying_name(p, i));
    cv_json_i64(b, "index", i);
    cv_json_string(b, "payee", who);
    cv_json_string(b, "amount", money);
    cv_u256_units(money, &p->e.amount[i], 0);
    cv_json_string(b, "units", money);
    if (is_claimed >= 0)
        cv_json_string(b, "claimed", is_claimed ? "yes" : "no");
    cv_json_open(b, "proof", '[');
    for (size_t k = 0; k < count; k++) {
        cv_hex(hex + 2, proof + 32 * k, 32);
        cv_json_string(b, NULL, hex);
    }
    cv_json_close(b, ']');
    cv_json_close(b, '}');
}

/* Where the rewards are, as the contract has them; "" where no node was asked. */
static int state_of(const cv_paying *p, const char **state, cv_err *err)
{
    const cv_epoch *e = &p->e.epoch;
    cv_view_epoch v;
    cv_block now;
    int found = 0;
    *state = "";
    if (!p->rpc)
        return 0;
    int rc = cv_view_epoch_of(p->rpc, &v, &p->run.federation, e->run_id,
                              e->epoch, CV_BLOCK_LATEST, err);
    if (!rc)
        rc = cv_node_block(p->rpc, &now, &found, CV_BLOCK_LATEST, err);
    if (rc)
        return rc;
    *state = v.version == 0 ? "not posted: fund them, then `covey settle`"
             : memcmp(v.root, e->root, 32) != 0
                 ? "the contract was posted others than these"
             : v.void_  ? "over: the sponsor has taken back what was left"
             : v.frozen ? "frozen by an objection: the silos have to sign again"
             : found && now.time < v.claimable_from
                 ? "posted, and open to objections"
                 : "posted, and may be claimed";
    return 0;
}

static int show(const cv_paying *p, cv_err *err)
{
    char total[CV_UNITS_TEXT], root[67] = "0x";
    int rc = 0;
    cv_buf b = {0};
    const char *state;
    rc = state_of(p, &state, err);
    if (rc)
        return rc;
    cv_u256_units(total, &p->e.epoch.total, p->decimals);
    cv_hex(root + 2, p->e.epoch.root, 32);
    if (p->o->node.json) {
        cv_json_open(&b, NULL, '{');
        cv_json_i64(&b, "epoch", (int64_t)p->e.epoch.epoch);
        cv_json_i64(&b, "version", p->e.epoch.version);
        cv_json_string(&b, "total", total);
        cv_json_string(&b, "root", root);
        if (state[0])
            cv_json_string(&b, "state", state);
        cv_json_open(&b, "leaves", '[');
    } else {
        printf("epoch %llu, version %u, after round %llu: %s tokens\n"
               "root %s\n%s%s\n",
               (unsigned long long)p->e.epoch.epoch, p->e.epoch.version,
               (unsigned long long)p->e.round, total, root, state,
               state[0] ? "\n" : "");
    }
    for (uint32_t i = 0; i < p->e.epoch.leaves && !rc; i++) {
        int is = claimed(p, i, err, &rc);
        if (!cv_paying_selected(p, i) || rc)
            continue;
        if (p->o->node.json)
            print_json(p, &b, i, is);
        else
            print_text(p, i, is);
    }
    if (p->o->node.json) {
        cv_json_close(&b, ']');
        cv_json_close(&b, '}');
        if (!rc)
            puts(cv_buf_text(&b));
    }
    cv_buf_free(&b);
    return rc;
}

/* ---- the command -------------------------------------------------------------------------- */

static int parse(int argc, char **argv, cv_rewards_options *o, cv_err *err)
{
    static const struct option longs[] = {
        CV_NODE_OPTIONS,
        {"silo", required_argument, NULL, 's'},
        {"object", required_argument, NULL, 'o'},
        {"fund", no_argument, NULL, 'F'},
        {"claim", no_argument, NULL, 'C'},
        {"refund", no_argument, NULL, 'R'},
        {NULL, 0, NULL, 0}};
    int c, rc = cv_refuse_spoken_secret(argc, argv, err);
    while (!rc && (c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
        rc = cv_node_option(&o->node, c, err);
        if (rc) { /* 1: taken */
            rc = rc < 0 ? rc : 0;
            continue;
        }
        switch (c) {
        case 's':
            o->only = optarg;
            break;
        case 'o':
            o->object = optarg;
            break;
        case 'F':
            o->fund = 1;
            break;
        case 'C':
            o->claim = 1;
            break;
        case 'R':
            o->refund = 1;
            break;
        default:
            return cv_bad_option("rewards", c, argv, longs, err);
        }
    }
    if (!rc && (optind + 1 != argc ||
                o->fund + o->claim + o->refund + (o->object != NULL) > 1))
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "usage: covey rewards RUN [--fund | --claim | --object "
                        "silo.yaml | --refund] [--silo NAME] [--key FILE] "
                        "[--rpc URL]");
    return rc;
}

static int act(cv_paying *p, cv_err *err)
{
    const cv_rewards_options *o = p->o;
    cv_seckey *key = NULL;
    int acts = o->fund || o->claim || o->refund || o->object;
    if (!acts && !o->node.urls.n)
        return show(p, err);
    const cv_network *net = cv_network_find(p->run.network);
    int rc =
        cv_rpc_options_open(&o->node.urls, net, cv_stop_flag(), &p->rpc, err);
    if (!rc)
        rc = cv_node_check_chain(p->rpc, net->chain_id, err);
    if (!rc)
        rc = cv_view_check_federation(p->rpc, &p->run.federation, err);
    if (!rc && acts)
        rc = cv_funded_key_open(o->node.key, o->node.password_file, &key, err);
    p->sender = (cv_sender){p->rpc, net, key, cv_stop_flag()};
    if (!rc)
        rc = acts ? cv_rewards_act(p, err) : show(p, err);
    cv_seckey_destroy(&key);
    return rc;
}

int cv_cmd_rewards(int argc, char **argv, cv_err *err)
{
    cv_rewards_options o = {0};
    cv_paying p = {.o = &o};
    cv_stop_on_signals();
    int rc = parse(argc, argv, &o, err);
    if (!rc)
        rc = load(&p, argv[optind], err);
    if (!rc)
        rc = act(&p, err);
    cv_rpc_destroy(&p.rpc);
    cv_rpc_options_free(&o.node.urls);
    cv_outbox_epoch_free(&p.e);
    cv_outbox_run_free(&p.run);
    cv_job_destroy(&p.job);
    free(p.leaves);
    free(p.silo);
    return rc;
}

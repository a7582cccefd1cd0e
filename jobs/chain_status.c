/* `covey chain status`: what the contracts have of a federation, and of a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/views.h"
#include "core/bytes.h"
#include "core/fs.h"
#include "jobs/chain_cmd.h"
#include "jobs/chain_terms.h"
#include "jobs/run_outbox.h"

typedef cv_chain_options options;

static int print_federation(const options *o, const cv_federation *f,
                            cv_err *err)
{
    cv_address owner, rewards, silo;
    cv_u256 balance;
    uint64_t count = 0, window, claim;
    char text[CV_ADDRESS_TEXT], money[CV_UNITS_TEXT];
    int rc = cv_view_check_federation(o->rpc, f, err);
    if (!rc)
        rc = cv_view_owner(o->rpc, &owner, f, err);
    if (!rc)
        rc = cv_view_silo_count(o->rpc, &count, f, err);
    if (!rc)
        rc = cv_view_window(o->rpc, &window, &claim, f, err);
    if (!rc)
        rc = cv_node_balance(o->rpc, &balance, &owner, err);
    if (rc)
        return rc;
    cv_federation_rewards(&rewards, f);
    cv_address_text(text, &f->contract);
    printf("network      %s, chain %llu\nfederation   %s\n", o->net->name,
           (unsigned long long)f->chain_id, text);
    cv_address_text(text, &rewards);
    printf("rewards      %s (objections for %llu s, claims for %llu s)\n", text,
           (unsigned long long)window, (unsigned long long)claim);
    cv_address_text(text, &owner);
    cv_u256_units(money, &balance, 18);
    printf("owner        %s (%s ETH)\n", text, money);
    printf("silos        %llu\n", (unsigned long long)count);
    for (uint64_t i = 0; i < count && i < CV_MAX_ATTESTERS && !rc; i++) {
        rc = cv_view_silo_at(o->rpc, &silo, f, i, err);
        cv_address_text(text, &silo);
        if (!rc)
            printf("             %s\n", text);
    }
    return rc;
}

/* The sponsor's pool for the run: what is in it, and from when it may go back. */
static int print_pool(const options *o, const cv_outbox_run *run,
                      cv_outbox *box, cv_err *err)
{
    cv_outbox_epoch e = {0};
    cv_view_pool pool;
    int found = 0, decimals = 0;
    char has[CV_UNITS_TEXT], promised[CV_UNITS_TEXT], token[CV_ADDRESS_TEXT];
    int rc = cv_outbox_load_epoch(box, &e, &found, 1, err);
    if (rc || !found)
        return rc;
    cv_address_text(token, &e.epoch.token);
    rc = cv_view_decimals(o->rpc, &decimals, &e.epoch.token, err);
    if (!rc)
        rc = cv_view_pool_of(o->rpc, &pool, &run->federation, run->on_chain,
                             &e.epoch.token, &e.epoch.sponsor, err);
    if (rc)
        cv_err_prefix(err, "chain.rewards.token %s", token);
    cv_outbox_epoch_free(&e);
    if (rc || decimals < 0 || decimals > 77)
        return rc;
    cv_u256_units(has, &pool.free, decimals);
    cv_u256_units(promised, &pool.allocated, decimals);
    printf("pool         %s free, %s for rewards that are posted (token %s)\n",
           has, promised, token);
    return 0;
}

static int print_run(const options *o, const cv_outbox_run *run, cv_outbox *box,
                     cv_err *err)
{
    cv_view_run now;
    uint64_t last = 0;
    char hex[65];
    int rc = cv_view_run_at(o->rpc, &now, &run->federation, run->on_chain,
                            CV_BLOCK_LATEST, err);
    if (!rc)
        rc = cv_outbox_last_round(box, &last, err);
    if (rc)
        return rc;
    cv_hex(hex, run->run_id, 32);
    printf("run          %s\n", hex);
    cv_hex(hex, run->on_chain, 32);
    printf("runId        %s\n", hex); /* as the contract's events have it */
    if (!now.opened) {
        printf("             not opened; %llu rounds wait in the outbox\n",
               (unsigned long long)last);
    } else {
        cv_hex(hex, now.head, 32);
        printf("rounds       %llu of %llu are on the chain\nhead         %s\n",
               (unsigned long long)now.last, (unsigned long long)last, hex);
    }
    for (uint32_t i = 0; i < run->n && !rc; i++) {
        cv_address self;
        cv_view_silo silo;
        rc = cv_pubkey_address(&self, &run->silos[i].identity, err);
        if (!rc)
            rc = cv_view_silo_of(o->rpc, &silo, &run->federation, &self, err);
        if (!rc)
            printf("silo         %-24s %s\n", run->silos[i].name,
                   !silo.active ? "not registered"
                   : memcmp(silo.attester.b, run->silos[i].attester.b,
                            sizeof silo.attester.b)
                       ? "registered with another attester"
                       : "registered");
    }
    return rc ? rc : print_pool(o, run, box, err);
}

static int is_folder_of_run(const char *path)
{
    char *h5 = cv_fs_join(path, "run.h5"), *db = cv_fs_join(path, "outbox.db");
    int is = cv_fs_exists(h5) || cv_fs_exists(db);
    free(h5);
    free(db);
    return is;
}

static int status_of_job(options *o, const char *path, cv_err *err)
{
    cv_job *job = NULL;
    cv_chain_terms terms;
    int rc = cv_job_load(path, &job, err);
    if (rc)
        return rc;
    rc = cv_chain_terms_of(job, &terms, err);
    if (rc == 0)
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                        "expected a `chain` section with a federation, found "
                        "none");
    else if (rc > 0)
        rc = cv_chain_connect(o, terms.network, err);
    if (!rc)
        rc = print_federation(o, &terms.federation, err);
    cv_job_destroy(&job);
    return rc;
}

int cv_chain_status(options *o, int n_args, char **args, cv_err *err)
{
    cv_outbox *box = NULL;
    cv_outbox_run run = {0};
    if (n_args != 1)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "usage: covey chain status RUN|job.yaml [--rpc URL]");
    if (!is_folder_of_run(args[0]))
        return status_of_job(o, args[0], err);
    int rc = cv_run_outbox_load(args[0], &box, &run, NULL, err);
    if (!rc)
        rc = cv_chain_connect(o, cv_network_find(run.network), err);
    if (!rc)
        rc = print_federation(o, &run.federation, err);
    if (!rc)
        rc = print_run(o, &run, box, err);
    cv_outbox_run_free(&run);
    cv_outbox_close(&box);
    return rc;
}

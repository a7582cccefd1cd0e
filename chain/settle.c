#include "chain/settle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chain/settle_parts.h"
#include "core/fs.h"
#include "core/mem.h"

/* The same sentence is not said again within this many seconds. */
enum { QUIET_SECONDS = 60 };

void cv_settle_say(cv_settler *s, const char *fmt, ...)
{
    char text[sizeof s->said];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    double now = cv_now();
    if (!s->c->say ||
        (strcmp(text, s->said) == 0 && now - s->said_at < QUIET_SECONDS))
        return;
    memcpy(s->said, text, sizeof text);
    s->said_at = now;
    s->c->say(s->c->ctx, text);
}

int cv_settle_stopped(const cv_settler *s)
{
    const volatile int *stop = s->c->rpc->stop;
    return stop && *stop;
}

double cv_settle_patience(const cv_settler *s)
{
    double blocks = 15.0 * s->net->block_seconds;
    if (s->c->patience > 0)
        return s->c->patience;
    return blocks < 30 ? 30 : blocks;
}

static void wait_seconds(const cv_settler *s, double seconds)
{
    double until = cv_now() + seconds;
    for (;;) {
        double left = until - cv_now();
        if (left <= 0 || cv_settle_stopped(s))
            return;
        double nap = left < 0.05 ? left : 0.05;
        struct timespec t = {0, (long)(nap * 1e9)};
        nanosleep(&t, NULL);
    }
}

static void show(cv_settler *s)
{
    char text[200];
    if (!s->c->show)
        return;
    snprintf(text, sizeof text,
             "settle  round %llu of %llu on chain, %llu mined, %llu safe, %llu "
             "final%s",
             (unsigned long long)s->now.last, (unsigned long long)s->last,
             (unsigned long long)s->level[2], (unsigned long long)s->level[1],
             (unsigned long long)s->level[0],
             s->outstanding ? ", 1 transaction under way" : "");
    if (strcmp(text, s->shown) == 0)
        return;
    snprintf(s->shown, sizeof s->shown, "%s", text);
    s->c->show(s->c->ctx, text);
}

/* Look, follow, send, write down. */
static int pass(cv_settler *s, int *idle, cv_err *err)
{
    s->moved = 0;
    *idle = 0;
    int rc = cv_settle_load_heads(s, err);
    if (!rc)
        rc = cv_settle_look(s, err);
    if (!rc)
        rc = cv_settle_track(s, err);
    /* What was just mined is not in what was seen before. */
    if (!rc && !s->outstanding && !s->moved)
        rc = cv_settle_next(s, idle, err);
    if (!rc)
        rc = cv_settle_mark(s, err);
    if (!rc)
        show(s);
    return rc;
}

/* All that can be there has come as far as was asked for. */
static int finished(const cv_settler *s)
{
    uint64_t level = s->c->until == CV_OUTBOX_FINAL  ? s->level[0]
                     : s->c->until == CV_OUTBOX_SAFE ? s->level[1]
                                                     : s->level[2];
    return s->report->opening >= s->c->until && level >= s->now.last &&
           !s->epochs_open;
}

/* A node that does not answer, too little money: with watch, later. */
static int survives(cv_settler *s, int rc, const cv_err *err)
{
    if (rc != CV_ERR_ENV || !s->c->watch || cv_settle_stopped(s))
        return 0;
    cv_settle_say(s, "%s; trying again", err->text);
    wait_seconds(s, 10);
    s->slow_at = 0;
    return 1;
}

static int work(cv_settler *s, cv_err *err)
{
    double pause = 0.01, longest = s->net->block_seconds / 2.0;
    int idle, rc = cv_settle_check_node(s, err);
    while (rc && survives(s, rc, err))
        rc = cv_settle_check_node(s, err);
    while (!rc) {
        if (cv_settle_stopped(s))
            return CV_REQUEUE;
        rc = pass(s, &idle, err);
        if (rc && survives(s, rc, err)) {
            rc = 0;
            continue;
        }
        if (rc)
            break;
        int done = idle && finished(s);
        if (done && s->blocked.code && !s->c->watch) {
            *err = s->blocked;
            return err->code;
        }
        if (done && !s->blocked.code)
            return 0;
        if (done)
            cv_settle_say(s, "%s", s->blocked.text);
        if (s->moved) {
            pause = 0.01;
            continue;
        }
        wait_seconds(s, pause);
        pause = pause * 2 < longest ? pause * 2 : longest;
    }
    return rc && cv_settle_stopped(s) ? CV_REQUEUE : rc;
}

static int sum_fees(cv_settle_report *r, const cv_outbox_tx *t)
{
    cv_u256 l2;
    return cv_u256_mul(&l2, &t->gas_price, t->gas_used) ||
           cv_u256_add(&r->l2_fee, &r->l2_fee, &l2) ||
           cv_u256_add(&r->l1_fee, &r->l1_fee, &t->l1_fee);
}

static int fill_report(cv_outbox *o, cv_settle_report *r, cv_err *err)
{
    uint64_t after = 0;
    int rc = cv_outbox_last_round(o, &r->rounds, err);
    if (!rc)
        rc = cv_outbox_count(o, r->count, err);
    if (!rc)
        rc = cv_outbox_run_state(o, &r->opening, err);
    r->built = r->sent = r->mined = r->reverted = r->replaced = r->dropped = 0;
    r->gas_used = 0;
    r->l2_fee = r->l1_fee = cv_u256_of(0);
    while (!rc) {
        cv_outbox_tx t;
        int found;
        rc = cv_outbox_tx_next(o, &t, &found, after, 1, err);
        if (rc || !found)
            break;
        after = t.id;
        r->built++;
        r->sent += t.sent != 0;
        r->mined += t.block && t.state <= CV_TX_FINAL;
        r->reverted += t.state == CV_TX_REVERTED;
        r->replaced += t.replaced_by != 0;
        r->dropped += t.state == CV_TX_DROPPED && !t.replaced_by;
        r->gas_used += t.gas_used;
        if (sum_fees(r, &t))
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "the outbox has fees that cannot be");
        cv_outbox_tx_free(&t);
    }
    return rc;
}

static int lock_folder(const char *folder, int *fd, cv_err *err)
{
    char *path = cv_fs_join(folder, ".settle.lock");
    int rc = cv_fs_lock(path, fd, NULL);
    if (rc)
        rc = cv_err_set(err, CV_ERR_ENV, path, 0,
                        "another `covey settle` is at work in this run folder "
                        "(or the file cannot be locked); it does all there is, "
                        "so wait for it");
    free(path);
    return rc;
}

static int connect(cv_settler *s, cv_err *err)
{
    cv_rpc_config c = *s->c->rpc;
    if (!c.n_urls && !s->net->url)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "network %s has no address of its own: name a node "
                          "with --rpc URL",
                          s->net->name);
    if (!c.n_urls) {
        c.urls = &s->net->url;
        c.n_urls = 1;
    }
    return cv_rpc_create(&c, &s->rpc, err);
}

static void clear(cv_settler *s)
{
    cv_settle_forget_tx(s);
    cv_outbox_run_free(&s->run);
    cv_buf_free(&s->heads);
    cv_rpc_destroy(&s->rpc);
    free(s->attester);
    free(s->silo);
}

int cv_settle(const char *folder, const cv_settle_config *config,
              cv_settle_report *report, cv_err *err)
{
    cv_settler s = {.c = config, .report = report};
    char *path = cv_fs_join(folder, "outbox.db");
    cv_err local = {0};
    int fd = -1, rc;
    memset(report, 0, sizeof *report);
    CV_CHECK(config->until >= CV_OUTBOX_MINED);
    s.path = path;
    s.batch = config->batch ? config->batch : 50;
    if (s.batch > CV_SETTLE_MAX_BATCH)
        s.batch = CV_SETTLE_MAX_BATCH;
    if (config->key)
        cv_seckey_address(config->key, &s.sender);
    rc = cv_outbox_open(path, 0, &s.o, &local);
    if (!rc)
        rc = lock_folder(folder, &fd, &local);
    if (!rc)
        rc = cv_settle_load_run(&s, &local);
    if (!rc)
        snprintf(report->network, sizeof report->network, "%s", s.net->name);
    if (!rc)
        rc = connect(&s, &local);
    if (!rc)
        rc = cv_settle_load_tx(&s, &local);
    if (!rc)
        rc = work(&s, &local);
    if (s.o) {
        int filled = fill_report(s.o, report, rc ? NULL : &local);
        rc = rc ? rc : filled;
    }
    clear(&s);
    cv_outbox_close(&s.o);
    if (fd >= 0)
        close(fd);
    free(path);
    if (rc && err)
        *err = local;
    return rc;
}

int cv_settle_load_report(const char *folder, cv_settle_report *report,
                          cv_err *err)
{
    char *path = cv_fs_join(folder, "outbox.db");
    cv_outbox *o = NULL;
    memset(report, 0, sizeof *report);
    int rc = cv_outbox_open(path, 0, &o, err);
    if (!rc)
        rc = fill_report(o, report, err);
    cv_outbox_close(&o);
    free(path);
    return rc;
}

/* The outbox: what goes in comes out, once; damaged and hostile files; two
 * writers; a writer that is killed. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "chain/outbox.h"
#include "chain/outbox_tx.h"
#include "core/fs.h"
#include "core/mem.h"
#include "tests/chain/outbox_fixture.h"

#ifdef __SANITIZE_ADDRESS__
enum { N_DAMAGES = 300 };
#else
enum { N_DAMAGES = 1500 };
#endif

static char folder[64], file[96];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/covey-outbox-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/outbox.db", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char journal[128];
    snprintf(journal, sizeof journal, "%s-journal", file);
    unlink(file);
    unlink(journal);
    return rmdir(folder);
}

static cv_outbox *open_new(void)
{
    cv_outbox *o = NULL;
    cv_err err = {0};
    int rc = cv_outbox_open(file, 1, &o, &err);
    if (rc)
        print_error("%s\n", err.text);
    assert_int_equal(rc, 0);
    return o;
}

#define OK(call)                                                               \
    do {                                                                       \
        cv_err err_ = {0}, *err = &err_;                                       \
        int rc_ = (call);                                                      \
        if (rc_)                                                               \
            print_error("%s\n", err_.text);                                    \
        assert_int_equal(rc_, 0);                                              \
    } while (0)
/* Fails with this code, and the message has this text. */
#define FAILS(code, has, call)                                                 \
    do {                                                                       \
        cv_err err_ = {0}, *err = &err_;                                       \
        assert_int_equal((call), code);                                        \
        if (!strstr(err_.text, has))                                           \
            fail_msg("expected '%s' in: %s", has, err_.text);                  \
        assert_non_null(strstr(err_.file, "outbox.db"));                       \
    } while (0)

static void put(cv_outbox *o, uint32_t n, uint64_t first, uint64_t last,
                uint32_t seed)
{
    cv_outbox_rounds r = some_rounds(n, first, last, seed);
    OK(cv_outbox_put_rounds(o, &r, err));
    cv_outbox_rounds_free(&r);
}

static void expect_rounds(cv_outbox *o, uint32_t n, uint64_t round,
                          uint64_t first, uint64_t last, uint32_t seed)
{
    cv_outbox_rounds want = some_rounds(n, first, last, seed), got;
    int found;
    OK(cv_outbox_load_rounds(o, &got, &found, round, err));
    assert_int_equal(found, 1);
    assert_int_equal(got.first, first);
    assert_int_equal(got.last, last);
    assert_memory_equal(got.before, want.before, 32);
    assert_memory_equal(got.after, want.after, 32);
    assert_memory_equal(got.records, want.records, (last - first + 1) * 32);
    assert_memory_equal(got.sigs, want.sigs, n * sizeof *want.sigs);
    cv_outbox_rounds_free(&got);
    cv_outbox_rounds_free(&want);
}

static uint64_t last_of(cv_outbox *o)
{
    uint64_t last;
    OK(cv_outbox_last_round(o, &last, err));
    return last;
}

static void comes_back(void **state)
{
    (void)state;
    cv_outbox *o = open_new();
    cv_outbox_run run = a_run(3, 1), got;
    int found;
    uint64_t count[CV_OUTBOX_FINAL + 1];
    struct stat st;
    OK(cv_outbox_load_run(o, &got, &found, err));
    assert_int_equal(found, 0);
    for (int again = 0; again < 2; again++) {
        OK(cv_outbox_put_run(o, &run, err));
        put(o, 3, 1, 4, 1);
        put(o, 3, 5, 5, 1);
        cv_outbox_close(&o);
        o = open_new();
    }
    OK(cv_outbox_load_run(o, &got, &found, err));
    assert_int_equal(found, 1);
    assert_memory_equal(got.run_id, run.run_id, 32);
    assert_memory_equal(got.on_chain, run.on_chain, 32);
    assert_memory_not_equal(got.on_chain, run.run_id, 32);
    assert_memory_equal(got.job, run.job, 32);
    assert_int_equal(got.federation.chain_id, 84532);
    assert_memory_equal(&got.federation.contract, &run.federation.contract, 20);
    assert_string_equal(got.network, "base-sepolia");
    assert_int_equal(got.n, 3);
    assert_int_equal(got.collusion, 1);
    assert_int_equal(got.simulated, 1);
    assert_memory_equal(got.silos, run.silos, 3 * sizeof *run.silos);
    expect_rounds(o, 3, 1, 1, 4, 1);
    expect_rounds(o, 3, 4, 1, 4, 1);
    expect_rounds(o, 3, 5, 5, 5, 1);
    assert_int_equal(last_of(o), 5);
    cv_outbox_rounds none;
    for (uint64_t r = 0; r <= 6; r += 6) {
        OK(cv_outbox_load_rounds(o, &none, &found, r, err));
        assert_int_equal(found, 0);
    }
    OK(cv_outbox_count(o, count, err));
    assert_int_equal(count[CV_OUTBOX_QUEUED], 5);
    assert_int_equal(count[CV_OUTBOX_FINAL], 0);
    cv_outbox_close(&o);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0133, 0);
    cv_outbox_run_free(&got);
    cv_outbox_run_free(&run);
}

static void another_run(void **state)
{
    (void)state;
    cv_outbox *o = open_new();
    cv_outbox_run run = a_run(3, 1), other = a_run(3, 2);
    cv_outbox_rounds r = some_rounds(3, 1, 2, 1);
    cv_outbox_epoch e = an_epoch(&other, 1, 0, 1, 2);
    FAILS(CV_ERR_VERIFY, "empty outbox", cv_outbox_put_rounds(o, &r, err));
    FAILS(CV_ERR_VERIFY, "empty outbox", cv_outbox_put_epoch(o, &e, err));
    OK(cv_outbox_put_run(o, &run, err));
    FAILS(CV_ERR_VERIFY, "that of another run",
          cv_outbox_put_run(o, &other, err));
    FAILS(CV_ERR_VERIFY, "that of another run",
          cv_outbox_put_epoch(o, &e, err));
    /* Any one byte of any silo makes it another. */
    cv_outbox_run changed = a_run(3, 1);
    changed.silos[2].opening.b[64] ^= 1;
    FAILS(CV_ERR_VERIFY, "other silos", cv_outbox_put_run(o, &changed, err));
    OK(cv_outbox_put_run(o, &run, err));
    cv_outbox_close(&o);
    cv_outbox_run_free(&run);
    cv_outbox_run_free(&other);
    cv_outbox_run_free(&changed);
    cv_outbox_rounds_free(&r);
    cv_outbox_epoch_free(&e);
}

/* Rounds that were lost and done again replace what follows them, and only
 * that; a checkpoint that does not follow is refused. */
static void lost_rounds(void **state)
{
    (void)state;
    cv_outbox *o = open_new();
    cv_outbox_run run = a_run(2, 1);
    cv_outbox_epoch e = an_epoch(&run, 1, 0, 3, 1);
    int found;
    uint64_t count[CV_OUTBOX_FINAL + 1];
    OK(cv_outbox_put_run(o, &run, err));
    put(o, 2, 1, 3, 1);
    put(o, 2, 4, 6, 1);
    put(o, 2, 7, 9, 1);
    OK(cv_outbox_put_epoch(o, &e, err));
    e.round = 9;
    e.epoch.epoch = 2;
    OK(cv_outbox_put_epoch(o, &e, err));
    static const uint64_t mined[4] = {0, 0, 9, 9};
    OK(cv_outbox_mark_levels(o, CV_OUTBOX_MINED, mined, 0, err));

    /* The same again: nothing changes, not even their state. */
    put(o, 2, 4, 6, 1);
    assert_int_equal(last_of(o), 9);
    OK(cv_outbox_count(o, count, err));
    assert_int_equal(count[CV_OUTBOX_MINED], 9);

    /* Rounds 5 and 6 with other records: 7 to 9 go as well, and epoch 2. */
    cv_outbox_rounds r = some_rounds(2, 4, 6, 1);
    r.records[32] ^= 1;
    r.after[0] ^= 1;
    OK(cv_outbox_put_rounds(o, &r, err));
    assert_int_equal(last_of(o), 6);
    expect_rounds(o, 2, 3, 1, 3, 1);
    OK(cv_outbox_count(o, count, err));
    assert_int_equal(count[CV_OUTBOX_MINED], 4);
    assert_int_equal(count[CV_OUTBOX_QUEUED], 2);
    cv_outbox_epoch_free(&e);
    OK(cv_outbox_load_epoch(o, &e, &found, 2, err));
    assert_int_equal(found, 0);
    cv_outbox_epoch_free(&e);
    OK(cv_outbox_load_epoch(o, &e, &found, 1, err));
    assert_int_equal(found, 1);

    /* A hole, and another past. */
    cv_outbox_rounds gap = some_rounds(2, 8, 9, 1);
    FAILS(CV_ERR_VERIFY, "those between are lost",
          cv_outbox_put_rounds(o, &gap, err));
    cv_outbox_rounds past = some_rounds(2, 7, 9, 1);
    FAILS(CV_ERR_VERIFY, "does not follow",
          cv_outbox_put_rounds(o, &past, err));
    assert_int_equal(last_of(o), 6);
    memcpy(past.before, r.after, 32);
    OK(cv_outbox_put_rounds(o, &past, err));
    assert_int_equal(last_of(o), 9);
    cv_outbox_close(&o);
    cv_outbox_rounds_free(&r);
    cv_outbox_rounds_free(&gap);
    cv_outbox_rounds_free(&past);
    cv_outbox_epoch_free(&e);
    cv_outbox_run_free(&run);
}

/* The same rounds cut otherwise; signatures that come later. */
static void other_cuts(void **state)
{
    (void)state;
    cv_outbox *o = open_new();
    cv_outbox_run run = a_run(3, 1);
    OK(cv_outbox_put_run(o, &run, err));
    put(o, 3, 1, 4, 1);
    put(o, 3, 5, 8, 1);
    put(o, 3, 3, 6, 1);
    assert_int_equal(last_of(o), 8);
    expect_rounds(o, 3, 4, 1, 4, 1);
    expect_rounds(o, 3, 5, 3, 6, 1);
    expect_rounds(o, 3, 7, 5, 8, 1);
    cv_outbox_rounds r = some_rounds(3, 9, 9, 1), got;
    cv_sig whole[3];
    int found;
    memcpy(whole, r.sigs, sizeof whole);
    memset(&r.sigs[1], 0, sizeof r.sigs[1]);
    OK(cv_outbox_put_rounds(o, &r, err));
    memcpy(r.sigs, whole, sizeof whole);
    memset(&r.sigs[0], 0, sizeof r.sigs[0]);
    OK(cv_outbox_put_rounds(o, &r, err));
    OK(cv_outbox_load_rounds(o, &got, &found, 9, err));
    assert_memory_equal(got.sigs, whole, sizeof whole);
    cv_outbox_rounds_free(&got);
    cv_outbox_rounds_free(&r);
    cv_outbox_close(&o);
    cv_outbox_run_free(&run);
}

static void levels(void **state)
{
    (void)state;
    cv_outbox *o = open_new();
    cv_outbox_run run = a_run(2, 1);
    cv_outbox_state s;
    uint64_t count[CV_OUTBOX_FINAL + 1], round;
    OK(cv_outbox_put_run(o, &run, err));
    put(o, 2, 1, 15, 1);
    OK(cv_outbox_mark_levels(o, CV_OUTBOX_SAFE, (uint64_t[4]){1, 3, 6, 10}, 0,
                             err));
    OK(cv_outbox_count(o, count, err));
    for (int i = 0; i <= CV_OUTBOX_FINAL; i++)
        assert_int_equal(count[i], 5 - i);
    OK(cv_outbox_run_state(o, &s, err));
    assert_int_equal(s, CV_OUTBOX_SAFE);
    OK(cv_outbox_first_below(o, &round, CV_OUTBOX_MINED, err));
    assert_int_equal(round, 7);
    /* Back after a reorganisation; what is final stays. */
    OK(cv_outbox_mark_levels(o, CV_OUTBOX_SENT, (uint64_t[4]){0, 0, 2, 2}, 1,
                             err));
    OK(cv_outbox_count(o, count, err));
    assert_int_equal(count[CV_OUTBOX_FINAL], 1);
    assert_int_equal(count[CV_OUTBOX_MINED], 1);
    assert_int_equal(count[CV_OUTBOX_QUEUED], 13);
    cv_outbox_close(&o);
    cv_outbox_run_free(&run);
}

/* Where batches may end. */
static void attested(void **state)
{
    (void)state;
    cv_outbox *o = open_new();
    cv_outbox_run run = a_run(2, 1);
    uint64_t last;
    cv_buf records = {0};
    OK(cv_outbox_put_run(o, &run, err));
    put(o, 2, 1, 4, 1);
    put(o, 2, 5, 8, 1);
    put(o, 2, 9, 30, 1);
    static const uint64_t table[][5] = {
        /* from, low, high, up, last */
        {1, 1, 3, 0, 0},   {1, 1, 4, 0, 4},  {1, 1, 7, 0, 4},
        {1, 1, 29, 0, 8},  {1, 4, 99, 1, 4}, {1, 5, 99, 1, 8},
        {1, 5, 99, 0, 30}, {3, 3, 9, 0, 8},  {3, 3, 99, 1, 8},
        {9, 9, 99, 1, 30}, {10, 1, 99, 0, 0}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        OK(cv_outbox_attested(o, &last, table[i][0], table[i][1], table[i][2],
                              (int)table[i][3], err));
        assert_int_equal(last, table[i][4]);
    }
    OK(cv_outbox_records(o, &records, 4, 9, err));
    assert_int_equal(records.len, 6 * 32);
    FAILS(CV_ERR_VERIFY, "round 31 is missing",
          cv_outbox_records(o, &records, 30, 31, err));
    cv_buf_free(&records);
    cv_outbox_close(&o);
    cv_outbox_run_free(&run);
}

/* A run whose first rounds are on the chain already, from a folder that lost
 * its outbox. */
static void begins_later(void **state)
{
    (void)state;
    cv_outbox *o = open_new();
    cv_outbox_run run = a_run(1, 1);
    OK(cv_outbox_put_run(o, &run, err));
    put(o, 1, 11, 12, 1);
    expect_rounds(o, 1, 11, 11, 12, 1);
    cv_outbox_rounds none;
    int found;
    OK(cv_outbox_load_rounds(o, &none, &found, 10, err));
    assert_int_equal(found, 0);
    cv_outbox_close(&o);
    cv_outbox_run_free(&run);
}

static void epochs(void **state)
{
    (void)state;
    cv_outbox *o = open_new();
    cv_outbox_run run = a_run(3, 1);
    cv_outbox_epoch e = an_epoch(&run, 4, 0, 9, 5), got;
    int found;
    uint64_t number;
    cv_outbox_state s;
    OK(cv_outbox_put_run(o, &run, err));
    OK(cv_outbox_put_epoch(o, &e, err));
    OK(cv_outbox_mark_epoch(o, 4, 0, CV_OUTBOX_SAFE, err));
    OK(cv_outbox_put_epoch(o, &e, err));
    OK(cv_outbox_next_epoch(o, &number, &s, &found, 0, err));
    assert_int_equal(number, 4);
    assert_int_equal(s, CV_OUTBOX_SAFE);
    e.amount[4].b[31] ^= 1;
    FAILS(CV_ERR_VERIFY, "other content", cv_outbox_put_epoch(o, &e, err));
    e.epoch.version = 1;
    OK(cv_outbox_put_epoch(o, &e, err));
    OK(cv_outbox_load_epoch(o, &got, &found, 4, err));
    assert_int_equal(found, 1);
    assert_memory_equal(got.epoch.run_id, run.on_chain, 32);
    assert_int_equal(got.epoch.version, 1);
    assert_int_equal(got.round, 9);
    assert_memory_equal(got.epoch.head, e.epoch.head, 32);
    assert_memory_equal(got.epoch.root, e.epoch.root, 32);
    assert_memory_equal(&got.epoch.sponsor, &e.epoch.sponsor, 20);
    assert_memory_equal(&got.epoch.token, &e.epoch.token, 20);
    assert_memory_equal(&got.epoch.total, &e.epoch.total, 32);
    assert_int_equal(got.epoch.leaves, 5);
    assert_memory_equal(got.payee, e.payee, 5 * sizeof *e.payee);
    assert_memory_equal(got.amount, e.amount, 5 * sizeof *e.amount);
    assert_memory_equal(got.sigs, e.sigs, 3 * sizeof *e.sigs);
    OK(cv_outbox_next_epoch(o, &number, &s, &found, 5, err));
    assert_int_equal(found, 0);
    OK(cv_outbox_next_epoch(o, &number, &s, &found, 0, err));
    assert_int_equal(s, CV_OUTBOX_QUEUED);
    cv_outbox_close(&o);
    cv_outbox_epoch_free(&e);
    cv_outbox_epoch_free(&got);
    cv_outbox_run_free(&run);
}

static cv_outbox_tx a_tx(uint64_t nonce)
{
    cv_outbox_tx t = {.kind = CV_TX_ROUNDS,
                      .first = 1,
                      .last = 50,
                      .nonce = nonce,
                      .gas = 378000,
                      .n_raw = 300,
                      .created = 1700000000,
                      .raw = CV_NEW(300, uint8_t)};
    fill(t.raw, 300, (uint32_t)nonce);
    fill(t.hash, 32, (uint32_t)nonce + 1);
    fill(&t.sender, 20, 3);
    fill(&t.tip, 32, 4);
    fill(&t.max_fee, 32, 5);
    return t;
}

static void transactions(void **state)
{
    (void)state;
    cv_outbox *o = open_new();
    cv_outbox_tx a = a_tx(7), b = a_tx(7), got;
    int found;
    b.raw[0] ^= 1;
    OK(cv_outbox_tx_add(o, &a, 0, err));
    OK(cv_outbox_tx_add(o, &b, a.id, err));
    assert_int_not_equal(a.id, b.id);
    b.state = CV_TX_MINED;
    b.block = 99;
    fill(b.block_hash, 32, 6);
    b.gas_used = 377000;
    b.gas_price = cv_u256_of(5000000);
    b.l1_fee = cv_u256_of(12);
    b.sent = 1700000001;
    OK(cv_outbox_tx_update(o, &b, err));
    cv_outbox_close(&o);
    o = open_new();
    OK(cv_outbox_tx_next(o, &got, &found, 0, 0, err));
    assert_int_equal(found, 1);
    assert_int_equal(got.id, a.id);
    assert_int_equal(got.replaced_by, b.id);
    assert_int_equal(got.state, CV_TX_BUILT);
    assert_memory_equal(got.raw, a.raw, a.n_raw);
    cv_outbox_tx_free(&got);
    OK(cv_outbox_tx_next(o, &got, &found, a.id, 0, err));
    assert_int_equal(got.state, CV_TX_MINED);
    assert_int_equal(got.kind, CV_TX_ROUNDS);
    assert_int_equal(got.first, 1);
    assert_int_equal(got.last, 50);
    assert_int_equal(got.nonce, 7);
    assert_int_equal(got.gas, 378000);
    assert_int_equal(got.block, 99);
    assert_memory_equal(got.block_hash, b.block_hash, 32);
    assert_memory_equal(got.hash, b.hash, 32);
    assert_memory_equal(&got.sender, &b.sender, 20);
    assert_memory_equal(&got.tip, &b.tip, 32);
    assert_memory_equal(&got.max_fee, &b.max_fee, 32);
    assert_int_equal(got.gas_used, 377000);
    assert_memory_equal(&got.gas_price, &b.gas_price, 32);
    assert_memory_equal(&got.l1_fee, &b.l1_fee, 32);
    assert_int_equal(got.sent, 1700000001);
    got.state = CV_TX_FINAL;
    OK(cv_outbox_tx_update(o, &got, err));
    cv_outbox_tx_free(&got);
    OK(cv_outbox_tx_next(o, &got, &found, a.id, 0, err));
    assert_int_equal(found, 0);
    OK(cv_outbox_tx_next(o, &got, &found, a.id, 1, err));
    assert_int_equal(found, 1);
    cv_outbox_tx_free(&got);
    cv_outbox_close(&o);
    cv_outbox_tx_free(&a);
    cv_outbox_tx_free(&b);
}

/* The run goes on after its rewards were signed. */
static void epochs_of_longer_runs(void **state)
{
    (void)state;
    cv_outbox *o = open_new();
    cv_outbox_run run = a_run(2, 1);
    cv_outbox_epoch e = an_epoch(&run, 1, 1, 3, 2), later, got;
    int found;
    OK(cv_outbox_put_run(o, &run, err));
    put(o, 2, 1, 3, 1);
    OK(cv_outbox_put_epoch(o, &e, err));
    put(o, 2, 4, 6, 1);
    later = an_epoch(&run, 1, 1, 6, 2);
    later.epoch.head[0] ^= 1;
    OK(cv_outbox_put_epoch(o, &later, err));
    /* The older file's rewards do not come back. */
    OK(cv_outbox_put_epoch(o, &e, err));
    OK(cv_outbox_load_epoch(o, &got, &found, 1, err));
    assert_int_equal(got.round, 6);
    cv_outbox_epoch_free(&got);
    /* What was built, sent or posted stays; what was dropped does not. */
    cv_outbox_tx t = a_tx(0);
    t.kind = CV_TX_EPOCH;
    t.first = t.last = 1;
    for (uint64_t i = 1; i <= 6; i++) {
        OK(cv_outbox_mark_epoch(
            o, 1, 1, i <= CV_OUTBOX_FINAL ? (cv_outbox_state)i : 0, err));
        if (i == 5)
            OK(cv_outbox_tx_add(o, &t, 0, err));
        t.state = CV_TX_DROPPED;
        if (i == 6)
            OK(cv_outbox_tx_update(o, &t, err));
        t.state = CV_TX_BUILT;
        e.round = 6 + i;
        put(o, 2, e.round, e.round, 1);
        OK(cv_outbox_put_epoch(o, &e, err));
        OK(cv_outbox_load_epoch(o, &got, &found, 1, err));
        assert_int_equal(got.round, i == 6 ? e.round : 6);
        cv_outbox_epoch_free(&got);
    }
    cv_outbox_tx_free(&t);
    cv_outbox_close(&o);
    cv_outbox_epoch_free(&e);
    cv_outbox_epoch_free(&later);
    cv_outbox_run_free(&run);
}

/* ---- files from outside -------------------------------------------------- */

static void make_file(void)
{
    cv_outbox *o = open_new();
    cv_outbox_run run = a_run(3, 1);
    cv_outbox_epoch e = an_epoch(&run, 1, 0, 4, 3);
    cv_outbox_tx t = a_tx(0);
    OK(cv_outbox_put_run(o, &run, err));
    put(o, 3, 1, 2, 1);
    put(o, 3, 3, 4, 1);
    OK(cv_outbox_put_epoch(o, &e, err));
    OK(cv_outbox_tx_add(o, &t, 0, err));
    cv_outbox_close(&o);
    cv_outbox_tx_free(&t);
    cv_outbox_epoch_free(&e);
    cv_outbox_run_free(&run);
}

/* Open it and read all; the first failure is returned. */
static int read_all(cv_err *err)
{
    cv_outbox *o = NULL;
    cv_outbox_run run = {0};
    cv_outbox_rounds r;
    cv_outbox_epoch e;
    cv_outbox_tx t;
    uint64_t last = 0, count[CV_OUTBOX_FINAL + 1], epoch, round;
    cv_outbox_state s;
    int found = 0, rc = cv_outbox_open(file, 0, &o, err);
    if (rc)
        return rc;
    rc = cv_outbox_load_run(o, &run, &found, err);
    cv_outbox_run_free(&run);
    if (!rc)
        rc = cv_outbox_last_round(o, &last, err);
    for (round = 1; round <= 5 && !rc; round++) {
        rc = cv_outbox_load_rounds(o, &r, &found, round, err);
        cv_outbox_rounds_free(&r);
    }
    if (!rc)
        rc = cv_outbox_next_epoch(o, &epoch, &s, &found, 0, err);
    if (!rc)
        rc = cv_outbox_load_epoch(o, &e, &found, 1, err);
    if (!rc)
        cv_outbox_epoch_free(&e);
    if (!rc)
        rc = cv_outbox_tx_next(o, &t, &found, 0, 1, err);
    if (!rc)
        cv_outbox_tx_free(&t);
    if (!rc)
        rc = cv_outbox_count(o, count, err);
    if (!rc)
        rc = cv_outbox_first_below(o, &round, CV_OUTBOX_FINAL, err);
    cv_outbox_close(&o);
    return rc;
}

static void change(const char *sql)
{
    sqlite3 *db;
    char *said = NULL;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &said) != SQLITE_OK)
        fail_msg("%s: %s", sql, said);
    sqlite3_close(db);
}

static void hostile(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *has;
    } table[] = {
        {"CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM record; "
         "END",
         "another table, view or trigger"},
        {"CREATE VIEW v AS SELECT 1", "another table, view or trigger"},
        {"ALTER TABLE record RENAME TO r; CREATE VIEW record AS SELECT * FROM "
         "r",
         "another table, view or trigger"},
        {"CREATE TABLE extra(x)", "another table, view or trigger"},
        {"CREATE INDEX i ON record(record)", "another table, view or trigger"},
        {"DROP TABLE tx", "expected 6 tables, found 5"},
        {"ALTER TABLE tx ADD COLUMN x INTEGER",
         "another table, view or trigger"},
        {"PRAGMA application_id=7", "something else"},
        {"PRAGMA user_version=2", "version 2"},
        {"PRAGMA journal_mode=WAL", "WAL"},
        {"UPDATE run SET run_id=x'00'", "table run"},
        {"UPDATE run SET n=0", "table run"},
        {"UPDATE run SET n=256", "table run"},
        {"UPDATE run SET n=4", "expected 4 silos"},
        {"UPDATE run SET n=2", "more silos"},
        {"UPDATE run SET chain_id=-1", "table run"},
        {"UPDATE run SET network='a network with a name that is too long'",
         "table run"},
        {"UPDATE run SET network='a' || char(10) || 'b'", "table run"},
        {"UPDATE silo SET name='' WHERE i=1", "table silo"},
        {"UPDATE silo SET i=7 WHERE i=1", "table silo"},
        {"UPDATE silo SET identity=zeroblob(32) WHERE i=1", "table silo"},
        {"DELETE FROM record WHERE round=2", "round 2 is missing"},
        {"UPDATE record SET record=zeroblob(31) WHERE round=3", "table record"},
        {"UPDATE record SET state=9 WHERE round=3", "table record"},
        {"UPDATE record SET state=-1 WHERE round=3", "table record"},
        {"UPDATE attested SET first=0 WHERE last=2", "table attested"},
        {"UPDATE attested SET first=3 WHERE last=2", "table attested"},
        {"UPDATE attested SET last=9223372036854775807 WHERE last=4",
         "table attested"},
        {"UPDATE attested SET first=1,last=1099511627776 WHERE last=4",
         "table attested"},
        {"UPDATE attested SET sigs=zeroblob(194)", "table attested"},
        {"UPDATE attested SET sigs=zeroblob(50000000)", "table attested"},
        {"UPDATE epoch SET leaves=2000000000", "table epoch"},
        {"UPDATE epoch SET payee=zeroblob(59)", "table epoch"},
        {"UPDATE epoch SET version=4294967296", "table epoch"},
        {"UPDATE tx SET raw=x''", "empty transaction"},
        {"UPDATE tx SET raw=zeroblob(300000)", "table tx"},
        {"UPDATE tx SET kind=4", "table tx"},
        {"UPDATE tx SET hash=zeroblob(20)", "table tx"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_err err = {0};
        unlink(file);
        make_file();
        assert_int_equal(read_all(&err), 0);
        change(table[i].sql);
        int rc = read_all(&err);
        if (rc != CV_ERR_VERIFY)
            fail_msg("%s: %d %s", table[i].sql, rc, err.text);
        if (!strstr(err.text, table[i].has))
            fail_msg("%s: expected '%s' in: %s", table[i].sql, table[i].has,
                     err.text);
    }
}

static void not_an_outbox(void **state)
{
    (void)state;
    cv_outbox *o = NULL;
    FAILS(CV_ERR_INPUT, "is not there", cv_outbox_open(file, 0, &o, err));
    assert_int_equal(cv_fs_exists(file), 0);
    OK(cv_fs_write(file, "", 0, 0644, err));
    FAILS(CV_ERR_VERIFY, "empty file", cv_outbox_open(file, 0, &o, err));
    OK(cv_fs_write(file, "covey: 1\nname: not a data base, but longer\n", 43,
                   0644, err));
    FAILS(CV_ERR_VERIFY, "another kind", cv_outbox_open(file, 1, &o, err));
    assert_null(o);
    unlink(file);
    change("CREATE TABLE a(b)");
    FAILS(CV_ERR_VERIFY, "something else", cv_outbox_open(file, 1, &o, err));
    FAILS(CV_ERR_VERIFY, "something else", cv_outbox_open(file, 0, &o, err));
}

/* Damaged bytes: an error that says so or a whole answer, never a crash. */
static void damaged(void **state)
{
    (void)state;
    cv_err said = {0};
    char *whole;
    size_t n, refused = 0;
    uint32_t x = 12345;
    make_file();
    OK(cv_fs_read(file, 1 << 22, &whole, &n, err));
    uint8_t *copy = CV_NEW(n, uint8_t);
    for (int i = 0; i < N_DAMAGES; i++) {
        size_t len = n;
        memcpy(copy, whole, n);
        for (int j = 0; j <= i % 3; j++) {
            x = x * 1664525u + 1013904223u;
            copy[(x >> 8) % (i % 2 ? n : 200)] ^= (uint8_t)(1u << (x >> 29));
        }
        if (i % 10 == 9)
            len = (x >> 5) % n;
        OK(cv_fs_write(file, copy, len, 0644, err));
        int rc = read_all(&said);
        refused += rc != 0;
        if (rc && rc != CV_ERR_VERIFY && rc != CV_ERR_ENV)
            fail_msg("damage %d: %d %s", i, rc, said.text);
    }
    assert_true(refused > N_DAMAGES / 4);
    free(copy);
    free(whole);
}

/* ---- two processes, and one that dies ------------------------------------ */

enum { CHECKPOINTS = 40 };

static void writer(uint32_t n)
{
    cv_outbox *o = NULL;
    cv_err err = {0};
    cv_outbox_run run = a_run(n, 1);
    int rc = cv_outbox_open(file, 1, &o, &err);
    if (!rc)
        rc = cv_outbox_put_run(o, &run, &err);
    for (uint64_t i = 0; i < CHECKPOINTS && !rc; i++) {
        cv_outbox_rounds r = some_rounds(n, 5 * i + 1, 5 * i + 5, 1);
        rc = cv_outbox_put_rounds(o, &r, &err);
        cv_outbox_rounds_free(&r);
    }
    if (rc)
        fprintf(stderr, "writer: %s\n", err.text);
    cv_outbox_close(&o);
    cv_outbox_run_free(&run);
    _exit(rc ? 1 : 0);
}

static void two_writers(void **state)
{
    (void)state;
    pid_t child[2];
    for (int i = 0; i < 2; i++)
        if ((child[i] = fork()) == 0)
            writer(4);
    for (int i = 0; i < 2; i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    cv_outbox *o = open_new();
    assert_int_equal(last_of(o), 5 * CHECKPOINTS);
    for (uint64_t i = 0; i < CHECKPOINTS; i++)
        expect_rounds(o, 4, 5 * i + 3, 5 * i + 1, 5 * i + 5, 1);
    cv_outbox_close(&o);
}

/* Killed at any moment, the outbox holds whole checkpoints and goes on. */
static void killed(void **state)
{
    (void)state;
    for (int i = 0; i < 25; i++) {
        pid_t child = fork();
        if (child == 0)
            writer(4);
        usleep((useconds_t)(1 + 997 * i % 40) * 1000);
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        cv_outbox *o = open_new();
        uint64_t last = last_of(o);
        assert_int_equal(last % 5, 0);
        for (uint64_t r = 1; r <= last; r += 5)
            expect_rounds(o, 4, r, r, r + 4, 1);
        cv_outbox_close(&o);
        if (last == 5 * CHECKPOINTS)
            unlink(file);
    }
    pid_t child = fork();
    if (child == 0)
        writer(4);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    cv_outbox *o = open_new();
    assert_int_equal(last_of(o), 5 * CHECKPOINTS);
    cv_outbox_close(&o);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(comes_back),   T(another_run),  T(lost_rounds),
        T(other_cuts),   T(begins_later), T(levels),
        T(attested),     T(epochs),       T(epochs_of_longer_runs),
        T(transactions), T(hostile),      T(not_an_outbox),
        T(damaged),      T(two_writers),  T(killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

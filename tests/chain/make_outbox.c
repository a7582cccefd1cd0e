/* Writes an outbox as a run would, with keys made from a seed, for tests of
 * settle.  Prints JSON with what the contract needs and what is to come out.
 *
 *   make_outbox FOLDER contract=0x.. [silos=3] [collusion=0] [rounds=20]
 *       [every=5] [first=1] [seed=1] [run=0] [payer=0] [salt_from=R salt=S] [signers=N]
 *       [weak=R] [epoch_at=R token=0x.. sponsor=0x.. total=N] [simulated=1]
 *       [chain=31337] [network=local]
 *
 * salt: records from round salt_from on are others, as after a resume that
 * came out differently.  signers: how many sign each checkpoint; weak: the
 * checkpoint with this round has a single signature. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/abi.h"
#include "chain/keystore.h"
#include "chain/merkle.h"
#include "chain/outbox.h"
#include "core/bytes.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/mem.h"

typedef struct {
    int n_args;
    char **args;
} arguments;

static const char *text(const arguments *a, const char *key, const char *other)
{
    size_t n = strlen(key);
    for (int i = 0; i < a->n_args; i++)
        if (strncmp(a->args[i], key, n) == 0 && a->args[i][n] == '=')
            return a->args[i] + n + 1;
    return other;
}

static uint64_t number(const arguments *a, const char *key, uint64_t other)
{
    const char *t = text(a, key, NULL);
    return t ? strtoull(t, NULL, 10) : other;
}

static cv_address address(const arguments *a, const char *key)
{
    cv_address out = {{0}};
    const char *t = text(a, key, NULL);
    CV_CHECK(!t || cv_address_parse(&out, t, NULL) == 0);
    return out;
}

static void digest_of(uint8_t out[32], const char *what, uint64_t a, uint64_t b)
{
    char t[128];
    snprintf(t, sizeof t, "%s %llu %llu", what, (unsigned long long)a,
             (unsigned long long)b);
    cv_sha256_of(out, t, strlen(t));
}

static cv_seckey *key_of(const char *what, uint64_t a, uint64_t b)
{
    uint8_t secret[32];
    cv_seckey *key = NULL;
    digest_of(secret, what, a, b);
    CV_CHECK(cv_seckey_from_bytes(secret, &key, NULL) == 0);
    return key;
}

static void check(int rc, const cv_err *err)
{
    if (!rc)
        return;
    fprintf(stderr, "make_outbox: %s\n", err->text);
    exit(1);
}

typedef struct {
    cv_outbox_run run;
    cv_seckey **attester;
    cv_address *attesters;
    uint64_t seed;
} fixture;

static void print_hex(const char *key, const void *data, size_t n,
                      const char *end)
{
    char *hex = CV_NEW(2 * n + 1, char);
    cv_hex(hex, data, n);
    printf("\"%s\": \"0x%s\"%s", key, hex, end);
    free(hex);
}

static void make_silos(fixture *f)
{
    cv_outbox_run *run = &f->run;
    printf("\"add_silo\": [");
    for (uint32_t i = 0; i < run->n; i++) {
        cv_outbox_silo *s = &run->silos[i];
        cv_seckey *identity = key_of("identity", f->seed, i);
        cv_address silo;
        uint8_t digest[32], v[65];
        cv_abi_writer w;
        cv_buf call = {0};
        f->attester[i] = key_of("attester", f->seed, i);
        snprintf(s->name, sizeof s->name, "silo-%u", i);
        cv_seckey_pubkey(identity, &s->identity);
        cv_seckey_address(identity, &silo);
        cv_seckey_address(f->attester[i], &s->attester);
        f->attesters[i] = s->attester;
        cv_attester_digest(digest, &run->federation, &silo, &s->attester, 0);
        cv_seckey_sign(identity, &s->binding, digest);
        cv_sig_to_contract(v, &s->binding);
        cv_abi_begin(&w, "addSilo(address,address,bytes)");
        cv_abi_put_address(&w, &silo);
        cv_abi_put_address(&w, &s->attester);
        cv_abi_put_bytes(&w, v, sizeof v);
        cv_abi_end(&w, &call);
        char *hex = CV_NEW(2 * call.len + 1, char);
        cv_hex(hex, (const uint8_t *)call.data, call.len);
        printf("%s\"0x%s\"", i ? ", " : "", hex);
        free(hex);
        cv_buf_free(&call);
        cv_seckey_destroy(&identity);
    }
    printf("],\n");
}

static void make_run(fixture *f, const arguments *a, uint8_t head[32])
{
    cv_outbox_run *run = &f->run;
    f->seed = number(a, "seed", 1);
    run->n = (uint32_t)number(a, "silos", 3);
    run->collusion = (uint32_t)number(a, "collusion", 0);
    run->simulated = (int)number(a, "simulated", 1);
    run->federation.chain_id = number(a, "chain", 31337);
    run->federation.contract = address(a, "contract");
    snprintf(run->network, sizeof run->network, "%s",
             text(a, "network", "local"));
    digest_of(run->run_id, "run", f->seed, number(a, "run", 0));
    digest_of(run->job, "job", f->seed, 0);
    run->silos = CV_NEW(run->n, cv_outbox_silo);
    f->attester = CV_NEW(run->n, cv_seckey *);
    f->attesters = CV_NEW(run->n, cv_address);
    make_silos(f);
    cv_run_terms terms;
    cv_outbox_terms(&terms, f->attesters, run);
    cv_chain_run_id(run->on_chain, &terms);
    cv_opening_digest(head, &run->federation, &terms);
    for (uint32_t i = 0; i < run->n; i++)
        cv_seckey_sign(f->attester[i], &run->silos[i].opening, head);
}

static void put_rounds(fixture *f, const arguments *a, cv_outbox *o,
                       uint64_t first, uint64_t last, uint8_t head[32])
{
    cv_err err = {0};
    uint64_t from = number(a, "salt_from", UINT64_MAX);
    uint64_t weak = number(a, "weak", 0);
    uint64_t signers = number(a, "signers", f->run.n);
    cv_outbox_rounds r = {.first = first, .last = last};
    uint8_t digest[32];
    r.records = CV_NEW((last - first + 1) * 32, uint8_t);
    r.sigs = CV_NEW(f->run.n, cv_sig);
    memcpy(r.before, head, 32);
    for (uint64_t i = first; i <= last; i++) {
        uint8_t *record = r.records + (i - first) * 32;
        digest_of(record, "record", i, i >= from ? number(a, "salt", 1) : 0);
        cv_head_step(head, i, record);
    }
    memcpy(r.after, head, 32);
    if (weak >= first && weak <= last)
        signers = 1;
    cv_rounds_digest(digest, &f->run.federation, f->run.on_chain, f->run.job,
                     first, last, r.before, r.after);
    /* The last ones sign: order and gaps are met as well. */
    for (uint64_t i = f->run.n - signers; i < f->run.n; i++)
        cv_seckey_sign(f->attester[i], &r.sigs[i], digest);
    if (first >= number(a, "first", 1))
        check(cv_outbox_put_rounds(o, &r, &err), &err);
    cv_outbox_rounds_free(&r);
}

static void put_epoch(fixture *f, const arguments *a, cv_outbox *o,
                      uint64_t round, const uint8_t head[32])
{
    cv_err err = {0};
    cv_outbox_epoch e = {.round = round};
    uint32_t n = f->run.n;
    uint64_t total = number(a, "total", 900);
    uint8_t digest[32], *leaf = CV_NEW(n * 32, uint8_t);
    e.payee = CV_NEW(n, cv_address);
    e.amount = CV_NEW(n, cv_u256);
    e.sigs = CV_NEW(n, cv_sig);
    memcpy(e.epoch.run_id, f->run.on_chain, 32);
    memcpy(e.epoch.head, head, 32);
    e.epoch.epoch = 1;
    e.epoch.version = 1;
    e.epoch.leaves = n;
    e.epoch.sponsor = address(a, "sponsor");
    e.epoch.token = address(a, "token");
    e.epoch.total = cv_u256_of(total);
    for (uint32_t i = 0; i < n; i++) {
        e.payee[i] = f->attesters[i];
        e.amount[i] = cv_u256_of(total / n);
        cv_reward_leaf(leaf + 32 * i, &f->run.federation, f->run.on_chain, 1, i,
                       &e.payee[i], &e.amount[i]);
    }
    cv_merkle_root(e.epoch.root, leaf, n);
    cv_epoch_digest(digest, &f->run.federation, &e.epoch);
    for (uint32_t i = 0; i < n; i++)
        cv_seckey_sign(f->attester[i], &e.sigs[i], digest);
    check(cv_outbox_put_epoch(o, &e, &err), &err);
    cv_outbox_epoch_free(&e);
    free(leaf);
}

/* What people pay with: a key file that opens in no time. */
static void write_payer(const char *folder, uint64_t seed, uint64_t who_pays)
{
    static const cv_kdf light = {.kind = CV_KDF_SCRYPT, .scrypt = {2, 8, 1}};
    static char word[] = "payer";
    cv_passphrase pass = {word, 5};
    cv_seckey *key = key_of("payer", seed, who_pays);
    cv_address who;
    char t[CV_ADDRESS_TEXT], *path = cv_fs_join(folder, "payer.json");
    cv_err err = {0};
    if (!cv_fs_exists(path))
        check(cv_keystore_save(path, key, &pass, &light, &err), &err);
    free(path);
    path = cv_fs_join(folder, "payer.pass");
    check(cv_fs_write(path, "payer\n", 6, 0600, &err), &err);
    free(path);
    cv_seckey_address(key, &who);
    cv_address_text(t, &who);
    printf("\"payer\": \"%s\",\n", t);
    cv_seckey_destroy(&key);
}

static void print_names(void)
{
    static const char *const events[][2] = {
        {"rounds_topic",
         "RoundsCommitted(bytes32,uint64,uint64,bytes32,bytes32[])"},
        {"opened_topic", "RunOpened(bytes32,bytes32,bytes32,address[],uint32)"},
        {"posted_topic", "EpochPosted(bytes32,uint64,uint32,address,address,"
                         "bytes32,uint256,uint32,uint64)"}};
    static const char *const calls[][2] = {
        {"run_call", "run(bytes32)"},
        {"epoch_call", "epochState(bytes32,uint64)"},
        {"fund_call", "fund(bytes32,address,uint256)"},
        {"approve_call", "approve(address,uint256)"}};
    for (size_t i = 0; i < 3; i++) {
        uint8_t topic[32];
        cv_abi_topic(topic, events[i][1]);
        print_hex(events[i][0], topic, 32, ",\n");
    }
    for (size_t i = 0; i < 4; i++) {
        uint8_t selector[4];
        cv_abi_selector(selector, calls[i][1]);
        print_hex(calls[i][0], selector, 4, ",\n");
    }
}

int main(int argc, char **argv)
{
    fixture f = {0};
    cv_err err = {0};
    cv_outbox *o = NULL;
    uint8_t head[32];
    if (argc < 3)
        return 2;
    arguments a = {argc - 2, argv + 2};
    char *path = cv_fs_join(argv[1], "outbox.db");
    uint64_t rounds = number(&a, "rounds", 20), every = number(&a, "every", 5);
    uint64_t epoch_at = number(&a, "epoch_at", 0);
    cv_address rewards;
    char text_of[CV_ADDRESS_TEXT];
    printf("{");
    make_run(&f, &a, head);
    write_payer(argv[1], f.seed, number(&a, "payer", 0));
    check(cv_outbox_open(path, 1, &o, &err), &err);
    check(cv_outbox_put_run(o, &f.run, &err), &err);
    for (uint64_t r = 1; r <= rounds; r += every) {
        uint64_t last = r + every - 1 < rounds ? r + every - 1 : rounds;
        put_rounds(&f, &a, o, r, last, head);
        if (epoch_at == last)
            put_epoch(&f, &a, o, last, head);
    }
    cv_outbox_close(&o);
    print_names();
    cv_federation_rewards(&rewards, &f.run.federation);
    cv_address_text(text_of, &rewards);
    printf("\"rewards\": \"%s\",\n", text_of);
    print_hex("salt", f.run.run_id, 32, ",\n");
    print_hex("run_id", f.run.on_chain, 32, ",\n");
    print_hex("head", head, 32, "}\n");
    for (uint32_t i = 0; i < f.run.n; i++)
        cv_seckey_destroy(&f.attester[i]);
    free(f.attester);
    free(f.attesters);
    cv_outbox_run_free(&f.run);
    free(path);
    return 0;
}

/* Drives the node client from a script: tests/e2e/test_rpc.py.
 *
 *   rpc_probe [option=value ...] URL ... < commands
 *
 * Options: tries, call (seconds), pause, longest (seconds), max_reply (bytes).
 * One command a line; one line of answer each: "ok VALUES", or
 * "error CODE FAULT REVERT-BYTES TEXT".  SIGUSR1 sets the stop flag.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/node.h"
#include "chain/transaction.h"
#include "core/bytes.h"
#include "core/mem.h"

enum { MAX_WORDS = 12 };

typedef struct {
    cv_rpc *rpc;
    char *word[MAX_WORDS];
    int n;
    cv_err err;
    cv_fault fault;
    cv_buf out, revert, bytes;
} probe;

static int stop;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

static void die(const char *what)
{
    fprintf(stderr, "rpc_probe: %s\n", what);
    exit(2);
}

static const char *word(const probe *p, int i)
{
    if (i >= p->n)
        die("a word is missing");
    return p->word[i];
}

static uint64_t number(const probe *p, int i)
{
    return strtoull(word(p, i), NULL, 10);
}

static cv_address address(const probe *p, int i)
{
    cv_address a;
    if (cv_unhex(a.b, word(p, i), sizeof a.b))
        die("not an address");
    return a;
}

/* Hex of any length; replaces what was there. */
static void bytes_of(probe *p, int i)
{
    const char *s = word(p, i);
    size_t n = strlen(s) >= 2 ? (strlen(s) - 2) / 2 : 0;
    uint8_t *b = CV_NEW(n, uint8_t);
    if (cv_unhex(b, s, n))
        die("not hexadecimal");
    cv_buf_free(&p->bytes);
    cv_buf_add(&p->bytes, b, n);
    free(b);
}

static cv_block_tag tag(const probe *p, int i)
{
    const char *s = word(p, i);
    return strcmp(s, "safe") == 0        ? CV_BLOCK_SAFE
           : strcmp(s, "finalized") == 0 ? CV_BLOCK_FINALIZED
           : strcmp(s, "pending") == 0   ? CV_BLOCK_PENDING
                                         : CV_BLOCK_LATEST;
}

static void put_hex(probe *p, const void *data, size_t n)
{
    char *hex = CV_NEW(2 * n + 1, char);
    cv_hex(hex, data, n);
    cv_buf_printf(&p->out, " 0x%s", hex);
    free(hex);
}

static void put_u256(probe *p, const cv_u256 *v)
{
    char text[CV_UNITS_TEXT];
    cv_u256_units(text, v, 0);
    cv_buf_printf(&p->out, " %s", text);
}

static void put_u64(probe *p, uint64_t v)
{
    cv_buf_printf(&p->out, " %llu", (unsigned long long)v);
}

static void put_block(probe *p, int found, const cv_block *b)
{
    if (!found) {
        cv_buf_printf(&p->out, " none");
        return;
    }
    put_u64(p, b->number);
    put_u64(p, b->time);
    put_hex(p, b->hash, 32);
    put_u256(p, &b->base_fee);
}

static void put_receipt(probe *p, const cv_receipt *r)
{
    if (!r->found) {
        cv_buf_printf(&p->out, " none");
        return;
    }
    put_u64(p, (uint64_t)r->status);
    put_u64(p, r->block_number);
    put_hex(p, r->block_hash, 32);
    put_u64(p, r->gas_used);
    put_u256(p, &r->gas_price);
    put_u256(p, &r->l1_fee);
    put_hex(p, r->contract.b, r->made_contract ? 20 : 0);
    for (size_t i = 0; i < r->n_logs; i++) {
        cv_buf_printf(&p->out, " log");
        put_hex(p, r->log[i].contract.b, 20);
        for (int t = 0; t < r->log[i].n_topics; t++)
            put_hex(p, r->log[i].topic[t], 32);
        cv_buf_printf(&p->out, " data");
        put_hex(p, r->log[i].data, r->log[i].n_data);
    }
}

/* ---- commands ---------------------------------------------------------------
 */

static int run_chain(probe *p)
{
    return cv_node_check_chain(p->rpc, number(p, 1), &p->err);
}

static int run_block(probe *p)
{
    cv_block b;
    int found = 0;
    int rc = cv_node_block(p->rpc, &b, &found, tag(p, 1), &p->err);
    put_block(p, found, &b);
    return rc;
}

static int run_at(probe *p)
{
    cv_block b;
    int found = 0;
    int rc = cv_node_block_at(p->rpc, &b, &found, number(p, 1), &p->err);
    put_block(p, found, &b);
    return rc;
}

static int run_nonce(probe *p)
{
    cv_address a = address(p, 1);
    uint64_t v = 0;
    int rc = cv_node_nonce(p->rpc, &v, &a, tag(p, 2), &p->err);
    put_u64(p, v);
    return rc;
}

static int run_balance(probe *p)
{
    cv_address a = address(p, 1);
    cv_u256 v = {{0}};
    int rc = cv_node_balance(p->rpc, &v, &a, &p->err);
    put_u256(p, &v);
    return rc;
}

static int run_code(probe *p)
{
    cv_address a = address(p, 1);
    int v = 0;
    int rc = cv_node_has_code(p->rpc, &v, &a, &p->err);
    put_u64(p, (uint64_t)v);
    return rc;
}

static int run_tip(probe *p)
{
    cv_u256 v = {{0}};
    int rc = cv_node_tip(p->rpc, &v, &p->err);
    put_u256(p, &v);
    return rc;
}

static int run_call(probe *p)
{
    cv_address to = address(p, 1);
    cv_buf answer = {0};
    bytes_of(p, 2);
    int rc =
        cv_node_call(p->rpc, &answer, NULL, &to, p->bytes.data, p->bytes.len,
                     CV_BLOCK_LATEST, &p->fault, &p->revert, &p->err);
    put_hex(p, cv_buf_text(&answer), answer.len);
    cv_buf_free(&answer);
    return rc;
}

static int run_estimate(probe *p)
{
    cv_address from = address(p, 1), to = address(p, 2);
    uint64_t gas = 0;
    bytes_of(p, 3);
    int rc =
        cv_node_estimate(p->rpc, &gas, &from, &to, p->bytes.data, p->bytes.len,
                         CV_BLOCK_LATEST, &p->fault, &p->revert, &p->err);
    put_u64(p, gas);
    return rc;
}

/* sign SECRET CHAIN NONCE GAS TIP MAX_FEE TO|- VALUE DATA: raw and hash */
static int run_sign(probe *p)
{
    uint8_t secret[32], hash[32];
    cv_seckey *key = NULL;
    cv_buf raw = {0};
    cv_tx tx = {.chain_id = number(p, 2),
                .nonce = number(p, 3),
                .gas = number(p, 4),
                .tip = cv_u256_of(number(p, 5)),
                .max_fee = cv_u256_of(number(p, 6)),
                .has_to = strcmp(word(p, 7), "-") != 0,
                .value = cv_u256_of(number(p, 8))};
    if (tx.has_to)
        tx.to = address(p, 7);
    bytes_of(p, 9);
    tx.data = (const uint8_t *)p->bytes.data;
    tx.n_data = p->bytes.len;
    if (cv_unhex(secret, word(p, 1), 32))
        die("not a secret");
    int rc = cv_seckey_from_bytes(secret, &key, &p->err);
    if (!rc)
        rc = cv_tx_sign(&tx, key, &raw, hash, &p->err);
    if (!rc) {
        put_hex(p, raw.data, raw.len);
        put_hex(p, hash, 32);
    }
    cv_buf_free(&raw);
    cv_seckey_destroy(&key);
    return rc;
}

/* address SECRET */
static int run_address(probe *p)
{
    uint8_t secret[32];
    cv_seckey *key = NULL;
    cv_pubkey pub;
    cv_address a;
    if (cv_unhex(secret, word(p, 1), 32))
        die("not a secret");
    int rc = cv_seckey_from_bytes(secret, &key, &p->err);
    if (!rc) {
        cv_seckey_pubkey(key, &pub);
        rc = cv_pubkey_address(&a, &pub, &p->err);
    }
    if (!rc)
        put_hex(p, a.b, sizeof a.b);
    cv_seckey_destroy(&key);
    return rc;
}

static int run_send(probe *p)
{
    uint8_t hash[32];
    bytes_of(p, 1);
    if (cv_unhex(hash, word(p, 2), 32))
        die("not a hash");
    int rc = cv_node_send(p->rpc, p->bytes.data, p->bytes.len, hash, &p->fault,
                          &p->err);
    cv_buf_printf(&p->out, " %s", cv_fault_name(p->fault));
    return rc;
}

static int run_knows(probe *p)
{
    uint8_t hash[32];
    int v = 0;
    if (cv_unhex(hash, word(p, 1), 32))
        die("not a hash");
    int rc = cv_node_knows(p->rpc, &v, hash, &p->err);
    put_u64(p, (uint64_t)v);
    return rc;
}

static int run_receipt(probe *p)
{
    uint8_t hash[32];
    cv_receipt r;
    if (cv_unhex(hash, word(p, 1), 32))
        die("not a hash");
    int rc = cv_node_receipt(p->rpc, &r, hash, &p->err);
    put_receipt(p, &r);
    cv_receipt_free(&r);
    return rc;
}

static int run_l1_fee(probe *p)
{
    cv_u256 v = {{0}};
    bytes_of(p, 1);
    int rc = cv_node_l1_fee(p->rpc, &v, p->bytes.data, p->bytes.len, &p->err);
    put_u256(p, &v);
    return rc;
}

static const struct {
    const char *name;
    int (*run)(probe *);
} commands[] = {
    {"chain", run_chain},
    {"block", run_block},
    {"at", run_at},
    {"nonce", run_nonce},
    {"balance", run_balance},
    {"code", run_code},
    {"tip", run_tip},
    {"call", run_call},
    {"estimate", run_estimate},
    {"sign", run_sign},
    {"send", run_send},
    {"knows", run_knows},
    {"address", run_address},
    {"receipt", run_receipt},
    {"l1_fee", run_l1_fee},
};

static void run_line(probe *p, char *line)
{
    size_t which = 0;
    p->n = 0;
    for (char *s = strtok(line, " \n"); s && p->n < MAX_WORDS;
         s = strtok(NULL, " \n"))
        p->word[p->n++] = s;
    if (p->n == 0)
        return;
    while (which < sizeof commands / sizeof commands[0] &&
           strcmp(commands[which].name, p->word[0]) != 0)
        which++;
    if (which == sizeof commands / sizeof commands[0])
        die("unknown command");
    memset(&p->err, 0, sizeof p->err);
    p->fault = CV_FAULT_NONE;
    int rc = commands[which].run(p);
    if (rc == 0) {
        printf("ok%s\n", cv_buf_text(&p->out));
    } else {
        cv_buf_free(&p->out);
        put_hex(p, cv_buf_text(&p->revert), p->revert.len);
        printf("error %d %s%s %s\n", rc, cv_fault_name(p->fault),
               cv_buf_text(&p->out), p->err.text);
    }
    fflush(stdout);
    cv_buf_free(&p->out);
    cv_buf_free(&p->revert);
}

static int set_option(cv_rpc_config *c, const char *arg)
{
    const char *value = strchr(arg, '=');
    if (!value || strstr(arg, "://"))
        return 0;
    double v = strtod(value + 1, NULL);
    if (strncmp(arg, "tries=", 6) == 0)
        c->tries = (int)v;
    else if (strncmp(arg, "call=", 5) == 0)
        c->call_seconds = v;
    else if (strncmp(arg, "pause=", 6) == 0)
        c->pause_seconds = v;
    else if (strncmp(arg, "longest=", 8) == 0)
        c->longest_pause = v;
    else if (strncmp(arg, "max_reply=", 10) == 0)
        c->max_reply = (size_t)v;
    else
        die("unknown option");
    return 1;
}

int main(int argc, char **argv)
{
    const char **urls = CV_NEW(argc, const char *);
    cv_rpc_config c = {.urls = urls, .stop = &stop};
    probe p = {0};
    char *line = NULL;
    size_t room = 0;
    for (int i = 1; i < argc; i++)
        if (!set_option(&c, argv[i]))
            urls[c.n_urls++] = argv[i];
    if (c.n_urls == 0)
        die("no URL");
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &act, NULL);
    if (cv_rpc_create(&c, &p.rpc, &p.err))
        die(p.err.text);
    while (getline(&line, &room, stdin) >= 0)
        run_line(&p, line);
    cv_buf_free(&p.bytes);
    cv_rpc_destroy(&p.rpc);
    free(line);
    free(urls);
    return 0;
}

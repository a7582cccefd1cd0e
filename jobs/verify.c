#include "jobs/verify.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"
#include "jobs/commands.h"
#include "jobs/json.h"
#include "jobs/paragraph.h"
#include "jobs/rpc_options.h"

/* ---- lines --------------------------------------------------------------------------- */

static cv_line *add_line(cv_verify *v, cv_line_kind kind, const char *what)
{
    if (v->n_lines == v->cap) {
        v->cap = v->cap ? 2 * v->cap : 16;
        v->line = cv_realloc(v->line, (size_t)v->cap, sizeof *v->line);
    }
    cv_line *line = &v->line[v->n_lines++];
    *line = (cv_line){.kind = kind, .of_node = v->asking};
    snprintf(line->what, sizeof line->what, "%s", what);
    return line;
}

void cv_verify_say(cv_verify *v, cv_line_kind kind, const char *what,
                   const char *fmt, ...)
{
    cv_line *line = add_line(v, kind, what);
    va_list args;
    va_start(args, fmt);
    vsnprintf(line->text, sizeof line->text, fmt, args);
    va_end(args);
}

void cv_verify_attested(cv_verify *v, const char *what, const char *fmt, ...)
{
    cv_line *line = add_line(v, CV_LINE_ATTESTED, what);
    va_list args;
    line->of = v->signed_by;
    line->n = v->n;
    va_start(args, fmt);
    vsnprintf(line->text, sizeof line->text, fmt, args);
    va_end(args);
}

void cv_verify_error(cv_verify *v, const char *what, const cv_err *err)
{
    cv_verify_say(v, CV_LINE_FAILS, what, "%s", err->text);
}

static const char *kind_word(const cv_line *line, char *room, size_t size)
{
    switch (line->kind) {
    case CV_LINE_RECOMPUTED:
        return "recomputed";
    case CV_LINE_TOLD:
        return "told by the node";
    case CV_LINE_UNCHECKED:
        return "not checked";
    case CV_LINE_FAILS:
        return "FAILS";
    case CV_LINE_ATTESTED:
        break;
    }
    snprintf(room, size, "attested by %d of %d", line->of, line->n);
    return room;
}

/* A paragraph behind two labels. */
static void print_line(const cv_line *line)
{
    enum { WIDTH = 100, INDENT = 36 };
    char room[40], text[sizeof line->text];
    int at =
        printf("%-13s %-20s  ", line->what, kind_word(line, room, sizeof room));
    snprintf(text, sizeof text, "%s", line->text);
    cv_print_words(at, INDENT, WIDTH, text);
}

/* Lines that fail, about the file itself. */
static int count_false(const cv_verify *v)
{
    int count = 0;
    for (int i = 0; i < v->n_lines; i++)
        count += v->line[i].kind == CV_LINE_FAILS && !v->line[i].of_node;
    return count;
}

static int count_kind(const cv_verify *v, cv_line_kind kind)
{
    int count = 0;
    for (int i = 0; i < v->n_lines; i++)
        count += v->line[i].kind == kind;
    return count;
}

static void print_report(const cv_verify *v)
{
    int failed = count_kind(v, CV_LINE_FAILS);
    printf("%s, round %lld of %d%s\n\n", v->saved.job->name,
           (long long)v->saved.round, v->saved.job->training.rounds,
           v->saved.job->simulate.enabled ? ", silos SIMULATED" : "");
    for (int i = 0; i < v->n_lines; i++)
        print_line(&v->line[i]);
    printf("\n");
    if (count_false(v))
        printf("%d of %d lines FAIL: this file is not what the silos signed\n",
               failed, v->n_lines);
    else if (failed)
        printf("the file holds, but the chain does not say the same: %d of %d "
               "lines FAIL\n",
               failed, v->n_lines);
    else if (v->no_answer)
        printf(
            "the file holds; the chain was NOT checked, for the node did not "
            "answer what was asked\n");
    else
        printf("everything that can be checked here holds; %s\n",
               v->saved.job->simulate.enabled
                   ? "silos are SIMULATED: whoever ran it holds all keys, so "
                     "this file agrees with itself"
                   : "it rests on one honest silo in every roster");
    printf("verify cannot see: noise that a silo left out, false data, rows "
           "that are not there, a fork that was never shown\n");
}

static void print_json(const cv_verify *v)
{
    static const char *const kinds[] = {"recomputed", "attested", "told",
                                        "not_checked", "fails"};
    cv_buf b = {0};
    cv_json_open(&b, NULL, '{');
    cv_json_string(&b, "name", v->saved.job->name);
    cv_json_string(&b, "run_id", v->saved.run_id);
    cv_json_i64(&b, "round", v->saved.round);
    cv_json_string(&b, "verdict",
                   count_kind(v, CV_LINE_FAILS) ? "fails"
                   : v->no_answer               ? "chain not checked"
                                                : "holds");
    cv_json_open(&b, "lines", '[');
    for (int i = 0; i < v->n_lines; i++) {
        const cv_line *line = &v->line[i];
        cv_json_open(&b, NULL, '{');
        cv_json_string(&b, "what", line->what);
        cv_json_string(&b, "kind", kinds[line->kind]);
        if (line->kind == CV_LINE_ATTESTED) {
            cv_json_i64(&b, "attested_by", line->of);
            cv_json_i64(&b, "of", line->n);
        }
        cv_json_string(&b, "text", line->text);
        cv_json_close(&b, '}');
    }
    cv_json_close(&b, ']');
    cv_json_close(&b, '}');
    printf("%s\n", cv_buf_text(&b));
    cv_buf_free(&b);
}

/* ---- what is checked ------------------------------------------------------------------- */

static int load(cv_verify *v, cv_err *err)
{
    int rc = cv_saved_privacy_load(v->saved.file, &v->privacy, err);
    if (rc)
        return rc;
    if (!v->privacy.masked)
        return cv_err_set(err, CV_ERR_INPUT, v->path, 0,
                          "this run has no secure_aggregation, so its silos "
                          "have signed nothing; there is nothing to verify but "
                          "that the file is whole, which it is");
    v->n = v->saved.job->n_silos;
    v->collusion = v->saved.job->secure_aggregation.collusion;
    v->proofs.n_silos = v->n;
    if (cv_unhex(v->run_id, v->saved.run_id, 32))
        return cv_err_set(err, CV_ERR_VERIFY, v->path, 0, "run_id is damaged");
    rc = cv_proofs_load(v->saved.file, &v->proofs, err);
    if (!rc && v->proofs.n == 0)
        rc = cv_err_set(err, CV_ERR_VERIFY, v->path, 0,
                        "it has no proof records: it was written by an older "
                        "program; `covey run --resume` adds those of rounds to "
                        "come");
    if (!rc && v->proofs.proof[v->proofs.n - 1].round != v->saved.round)
        rc = cv_err_set(err, CV_ERR_VERIFY, v->path, 0,
                        "the file says round %lld, its newest record is of "
                        "round %lld",
                        (long long)v->saved.round,
                        (long long)v->proofs.proof[v->proofs.n - 1].round);
    v->identity = CV_NEW(v->n, cv_pubkey);
    if (!rc)
        rc = cv_h5_get(v->saved.file, "/proofs/identity", CV_H5_U8, v->identity,
                       (size_t)v->n * CV_PUBKEY_BYTES, err);
    for (int i = 0; i < v->n && !rc; i++) {
        cv_pubkey checked;
        rc = cv_pubkey_from_bytes(&checked, v->identity[i].b, CV_PUBKEY_BYTES,
                                  err);
        if (rc) {
            cv_err_prefix(err, "/proofs/identity, silo %s",
                          v->saved.job->silos[i].name);
            err->code = rc = CV_ERR_VERIFY;
        }
    }
    if (rc)
        return rc;
    rc = cv_chain_terms_of(v->saved.job, &v->terms, err);
    v->on_chain = rc > 0;
    return rc < 0 ? rc : 0;
}

static void check_chain(cv_verify *v, cv_rpc *rpc)
{
    cv_verify_attestations(v);
    if (v->chain_holds)
        cv_verify_rewards(v);
    if (v->chain_holds)
        cv_verify_outbox(v);
    v->asking = v->chain_holds && rpc;
    if (v->asking)
        cv_verify_node(v, rpc);
    else
        cv_verify_say(v, CV_LINE_UNCHECKED, "chain",
                      rpc ? "what the contract says: the file's own "
                            "attestations do not hold"
                          : "what the contract says; give a node with --rpc");
}

/* Each line stands on those before it: a record that does not hold says nothing
 * about the rest. */
static void check_all(cv_verify *v, cv_rpc *rpc)
{
    cv_verify_job(v);
    cv_verify_records(v);
    cv_verify_signatures(v);
    cv_verify_model(v);
    cv_verify_result(v);
    cv_verify_data(v);
    cv_verify_server(v);
    cv_verify_ledger(v);
    cv_verify_labels(v);
    cv_verify_history(v);
    cv_verify_rosters(v);
    cv_verify_silos(v);
    cv_verify_sums(v);
    if (v->on_chain)
        check_chain(v, rpc);
    cv_verify_rest(v);
}

static void free_verify(cv_verify *v)
{
    cv_saved_privacy_free(&v->privacy);
    cv_proofs_free(&v->proofs);
    cv_rewards_free(&v->rewards);
    free(v->identity);
    free(v->taken);
    free(v->silo);
    free(v->line);
    cv_saved_close(&v->saved);
}

/* A run folder stands for its run.h5. */
static char *file_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode)
               ? cv_fs_join(path, "run.h5")
               : cv_strdup(path);
}

int cv_cmd_verify(int argc, char **argv, cv_err *err)
{
    static const struct option longs[] = {
        {"rpc", required_argument, NULL, 'r'},
        {"rpc-file", required_argument, NULL, 'f'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0}};
    cv_rpc_options rpc_options = {0};
    cv_rpc *rpc = NULL;
    int c, json = 0, rc = 0;
    while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1 && !rc) {
        if (c == 'r')
            rc = cv_rpc_options_add(&rpc_options, optarg, err);
        else if (c == 'f')
            rc = cv_rpc_options_read(&rpc_options, optarg, err);
        else if (c == 'j')
            json = 1;
        else
            rc = cv_bad_option("verify", c, argv, longs, err);
    }
    if (!rc && optind + 1 != argc)
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "usage: covey verify RUN/run.h5 [--rpc URL] [--json]");
    cv_verify v = {0};
    char *path = rc ? NULL : file_of(argv[optind]);
    v.path = path;
    if (!rc)
        rc = cv_saved_open(path, &v.saved, err);
    if (!rc) {
        rc = load(&v, err);
        if (!rc && rpc_options.n && v.on_chain)
            rc = cv_rpc_options_open(&rpc_options, v.terms.network, NULL, &rpc,
                                     err);
        if (!rc) {
            check_all(&v, rpc);
            json ? print_json(&v) : print_report(&v);
            rc = count_kind(&v, CV_LINE_FAILS) ? CV_ERR_VERIFY
                 : v.no_answer                 ? CV_ERR_ENV
                                               : 0;
            err->text[0] = '\0'; /* said, line by line */
        }
        free_verify(&v);
    }
    cv_rpc_destroy(&rpc);
    cv_rpc_options_free(&rpc_options);
    free(path);
    return rc;
}

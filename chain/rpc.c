/* Calls: which URL, how often, and what is said when none answers. */
#include "chain/rpc.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain/rpc_parts.h"
#include "chain/u256.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/secret.h"

typedef struct {
    char *url;     /* may hold a token */
    char *shown;   /* may be printed */
    int local;     /* on this machine */
    int has_chain; /* its chain was asked for, and is the expected one */
} node;

struct cv_rpc {
    cv_http *http;
    node *nodes; /* (n) */
    size_t n, at;
    int tries;
    double pause, longest_pause;
    const int *stop;
    int64_t last_id;
    int expects_chain;
    cv_u256 chain;
};

/* What one try came to. */
typedef enum {
    ANSWERED, /* a result */
    SAID_NO,  /* the node's error, which stays if it is asked again */
    PASSING,  /* it may go well next time */
    REFUSED,  /* it will not at this URL */
    STOPPED
} outcome;

typedef struct {
    json_t *result;
    cv_fault fault;
    cv_buf *data; /* the caller's; may be NULL */
    double retry_after;
    char why[480]; /* printable */
} answer;

/* ---- one try ----------------------------------------------------------------
 */

static char *request_text(int64_t id, const char *method, json_t *params)
{
    json_t *root =
        json_pack("{s:s, s:I, s:s, s:O}", "jsonrpc", "2.0", "id",
                  (json_int_t)id, "method", method, "params", params);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    CV_CHECK(text); /* out of memory, or a text that is no UTF-8 */
    json_decref(root);
    return text;
}

/* An HTTP status other than 200, where the body says nothing more. */
static outcome judge_status(long status, answer *a)
{
    snprintf(a->why, sizeof a->why, "HTTP status %ld%s", status,
             status == 401 || status == 403 ? " (is the access token right?)"
             : status / 100 == 3            ? " (redirects are not followed)"
                                            : "");
    a->fault = status == 429 ? CV_FAULT_BUSY : CV_FAULT_UNREACHABLE;
    int passes = status == 429 || status == 408 || status == 425 ||
                 status / 100 == 5 || status / 100 == 2;
    return passes ? PASSING : REFUSED;
}

/* What a whole reply means. */
static outcome judge(const cv_http_reply *reply, int64_t id, answer *a)
{
    cv_buf data = {0};
    outcome o = PASSING;
    int rc = cv_rpc_parse(cv_buf_text(&reply->body), reply->body.len, id,
                          &a->result, &a->fault, &data, a->why, sizeof a->why);
    if (rc == 0 && reply->status == 200) {
        o = ANSWERED;
    } else if (rc == 0) {
        json_decref(a->result);
        a->result = NULL;
        o = judge_status(reply->status, a);
    } else if (a->fault == CV_FAULT_BUSY) {
        o = PASSING;
    } else if (a->fault == CV_FAULT_MALFORMED || a->fault == CV_FAULT_OTHER) {
        /* Errors with a status of their own: the status says more than an
         * error that nobody knows. */
        if (reply->status != 200 &&
            (a->fault == CV_FAULT_MALFORMED || reply->status != 400))
            o = judge_status(reply->status, a);
        else
            o = a->fault == CV_FAULT_OTHER ? SAID_NO : PASSING;
    } else {
        o = SAID_NO;
    }
    if (o == SAID_NO && a->data)
        cv_buf_add(a->data, cv_buf_text(&data), data.len);
    cv_buf_free(&data);
    return o;
}

static outcome ask(cv_rpc *rpc, const node *to, const char *method,
                   json_t *params, answer *a)
{
    cv_http_reply reply;
    /* A new number every time, so that a late reply is not taken for one. */
    int64_t id = ++rpc->last_id;
    char *text = request_text(id, method, params);
    outcome o = PASSING;
    if (cv_http_post(rpc->http, to->url, to->local, text, strlen(text),
                     &reply) == 0) {
        o = judge(&reply, id, a);
        a->retry_after = reply.retry_after;
    } else if (reply.stopped) {
        o = STOPPED;
    } else if (reply.too_long) {
        a->fault = CV_FAULT_MALFORMED;
        snprintf(a->why, sizeof a->why, "the reply is longer than the limit");
    } else {
        a->fault = CV_FAULT_UNREACHABLE;
        snprintf(a->why, sizeof a->why, "%s", reply.why);
        o = reply.untrusted ? REFUSED : PASSING;
    }
    cv_buf_free(&reply.body);
    free(text);
    return o;
}

/* Is this node on the expected chain? */
static outcome ask_chain(cv_rpc *rpc, node *to, answer *a)
{
    json_t *params = json_array();
    cv_u256 chain = {{0}};
    outcome o = ask(rpc, to, "eth_chainId", params, a);
    json_decref(params);
    if (o != ANSWERED)
        return o;
    const char *text = json_string_value(a->result);
    to->has_chain = text && cv_u256_from_quantity(&chain, text) == 0 &&
                    cv_u256_cmp(&chain, &rpc->chain) == 0;
    json_decref(a->result);
    a->result = NULL;
    if (to->has_chain)
        return ANSWERED;
    a->fault = CV_FAULT_UNREACHABLE;
    char expected[CV_UNITS_TEXT], found[CV_UNITS_TEXT];
    cv_u256_units(expected, &rpc->chain, 0);
    cv_u256_units(found, &chain, 0);
    snprintf(a->why, sizeof a->why, "expected chain %s, found chain %s",
             expected, found);
    return REFUSED;
}

static outcome visit(cv_rpc *rpc, node *to, const char *method, json_t *params,
                     answer *a)
{
    outcome o = ANSWERED;
    if (rpc->expects_chain && !to->has_chain)
        o = ask_chain(rpc, to, a);
    if (o == ANSWERED)
        o = ask(rpc, to, method, params, a);
    return o;
}

/* ---- several tries ----------------------------------------------------------
 */

/* Sleep in short pieces. Returns 1 if it was cut short by the stop flag. */
static int rest(const cv_rpc *rpc, double seconds)
{
    while (seconds > 0 && !cv_rpc_stopped(rpc->stop)) {
        double piece = fmin(seconds, 0.05);
        struct timespec t = {0, (long)(piece * 1e9)};
        nanosleep(&t, NULL);
        seconds -= piece;
    }
    return cv_rpc_stopped(rpc->stop);
}

/* Full jitter, so that several sites do not come back together; as long as a
 * node has asked for, within reason. */
static double pause_of(const cv_rpc *rpc, int round, double asked)
{
    uint32_t r;
    cv_entropy(&r, sizeof r);
    double most =
        fmin(ldexp(rpc->pause, round < 30 ? round : 30), rpc->longest_pause);
    return fmax(most * (r / 4294967296.0), fmin(asked, rpc->longest_pause));
}

static int report(const cv_rpc *rpc, outcome o, const node *last,
                  const char *method, int tries, const answer *a, cv_err *err)
{
    if (o == STOPPED)
        return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                          "stopped on request while %s was asked for %s",
                          last->shown, method);
    if (o == SAID_NO)
        return cv_err_set(err, CV_ERR_ENV, NULL, 0, "%s, %s: %s", last->shown,
                          method, a->why);
    return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                      "%s, %s: expected an answer, found none in %d %s%s; the "
                      "last time: %s; check the address of the node, or try "
                      "later",
                      last->shown, method, tries, tries == 1 ? "try" : "tries",
                      rpc->n > 1 ? " at several addresses" : "", a->why);
}

int cv_rpc_call(cv_rpc *rpc, const char *method, json_t *params,
                json_t **result, cv_fault *fault, cv_buf *data, cv_err *err)
{
    answer a = {.data = data};
    outcome o = PASSING;
    node *to = NULL;
    size_t refused = 0;
    double asked = 0;
    int done = 0;
    *result = NULL;
    CV_CHECK(json_is_array(params));
    for (;;) {
        to = &rpc->nodes[rpc->at];
        o = cv_rpc_stopped(rpc->stop) ? STOPPED
                                      : visit(rpc, to, method, params, &a);
        done++;
        refused = o == REFUSED ? refused + 1 : 0;
        if ((o != PASSING && o != REFUSED) || refused == rpc->n ||
            done >= rpc->tries)
            break;
        cv_log(CV_LOG_DEBUG, "rpc_again", "node=%s method=%s why=\"%s\"",
               to->shown, method, a.why);
        rpc->at = (rpc->at + 1) % rpc->n;
        asked = fmax(asked, a.retry_after);
        a.retry_after = 0;
        /* The others are asked at once; then all rest. */
        if ((size_t)done % rpc->n == 0) {
            rest(rpc, pause_of(rpc, done / (int)rpc->n - 1, asked));
            asked = 0;
        }
    }
    json_decref(params);
    if (fault)
        *fault = o == ANSWERED  ? CV_FAULT_NONE
                 : o == STOPPED ? CV_FAULT_UNREACHABLE
                                : a.fault;
    if (o != ANSWERED)
        return report(rpc, o, to, method, done, &a, err);
    *result = a.result;
    return 0;
}

/* ---- making one -------------------------------------------------------------
 */

int cv_rpc_create(const cv_rpc_config *config, cv_rpc **out, cv_err *err)
{
    cv_rpc_config c = *config;
    CV_CHECK(c.n_urls > 0);
    c.connect_seconds = c.connect_seconds > 0 ? c.connect_seconds : 5;
    c.call_seconds = c.call_seconds > 0 ? c.call_seconds : 20;
    c.max_reply = c.max_reply ? c.max_reply : (size_t)8 << 20;
    int least = c.n_urls > 6 ? (int)c.n_urls : 6;
    cv_rpc *rpc = CV_NEW(1, cv_rpc);
    rpc->nodes = CV_NEW(c.n_urls, node);
    rpc->tries = c.tries > 0 ? c.tries : least;
    rpc->pause = c.pause_seconds > 0 ? c.pause_seconds : 0.25;
    rpc->longest_pause = c.longest_pause > 0 ? c.longest_pause : 8;
    rpc->stop = c.stop;
    int rc = cv_http_create(&c, &rpc->http, err);
    for (size_t i = 0; !rc && i < c.n_urls; i++) {
        node *to = &rpc->nodes[rpc->n++];
        to->url = cv_strdup(c.urls[i]);
        if (cv_http_check(to->url, &to->shown, &to->local) != 0)
            /* It is not shown: it may hold a token all the same. */
            rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                            "expected the address of a node like "
                            "https://host or http://127.0.0.1:8545, found "
                            "something else in address %zu of %zu",
                            i + 1, c.n_urls);
    }
    if (rc)
        cv_rpc_destroy(&rpc);
    *out = rpc;
    return rc;
}

void cv_rpc_destroy(cv_rpc **rpc)
{
    if (!*rpc)
        return;
    for (size_t i = 0; i < (*rpc)->n; i++) {
        if ((*rpc)->nodes[i].url)
            cv_wipe((*rpc)->nodes[i].url, strlen((*rpc)->nodes[i].url));
        free((*rpc)->nodes[i].url);
        free((*rpc)->nodes[i].shown);
    }
    free((*rpc)->nodes);
    cv_http_destroy(&(*rpc)->http);
    CV_FREE(*rpc);
}

void cv_rpc_expect_chain(cv_rpc *rpc, uint64_t chain_id)
{
    rpc->expects_chain = 1;
    rpc->chain = cv_u256_of(chain_id);
    for (size_t i = 0; i < rpc->n; i++)
        rpc->nodes[i].has_chain = 0;
}

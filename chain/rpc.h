/** JSON-RPC 2.0 over HTTP to an Ethereum node that nobody trusts.
 *
 *  libcurl, with TLS verified, time-outs, a limit on the size of a reply, no
 *  redirects, http and https only; several URLs are tried in turn.  A call that
 *  fails for a passing reason (no connection, time-out, 429, 5xx, an HTML page)
 *  is tried again with exponential back-off and jitter, honouring Retry-After
 *  up to the longest pause.  All calls that Covey makes may be repeated:
 *  sending the same raw transaction twice is one transaction.
 *
 *  URLs may hold an access token: messages and logs show scheme and host alone.
 *  Scope: local; one thread at a time.
 */
#ifndef COVEY_CHAIN_RPC_H
#define COVEY_CHAIN_RPC_H

#include <stddef.h>
#include <stdint.h>

#include "core/bytes.h"
#include "core/err.h"

struct json_t; /* jansson */

/** What went wrong, by the one table in rpc_fault.c (nodes word their messages
 *  differently). */
typedef enum {
    CV_FAULT_NONE = 0,
    CV_FAULT_UNREACHABLE, /* no answer of a node, after all tries */
    CV_FAULT_BUSY,        /* rate limit, "try again" */
    CV_FAULT_MALFORMED,   /* not JSON-RPC, another id, too long */
    CV_FAULT_KNOWN,       /* already known / imported: as good as sent */
    CV_FAULT_NONCE_LOW,   /* nonce too low: used already */
    CV_FAULT_NONCE_HIGH,  /* a gap before it */
    CV_FAULT_UNDERPRICED, /* replacement or pool minimum */
    CV_FAULT_FEE_LOW,     /* max fee below the base fee */
    CV_FAULT_FUNDS,       /* insufficient funds */
    CV_FAULT_GAS,         /* intrinsic gas, gas limit, out of gas */
    CV_FAULT_REVERT,      /* the contract said no; data holds its error */
    CV_FAULT_METHOD,      /* method not found or not supported */
    CV_FAULT_NO_BLOCK,    /* no such block, or not yet */
    CV_FAULT_OTHER
} cv_fault;

const char *cv_fault_name(cv_fault fault);

/** Classify a node's error: JSON-RPC code and message. */
cv_fault cv_fault_of(int64_t code, const char *message);

typedef struct {
    const char *const *urls; /* (n_urls), tried in turn */
    size_t n_urls;
    double connect_seconds, call_seconds; /* 0: 5, 20 */
    int tries;            /* over all URLs; 0: 6, or once each */
    double pause_seconds; /* first pause; 0: 0.25, doubled */
    double longest_pause; /* 0: 8 */
    size_t max_reply;     /* bytes; 0: 8 MiB */
    const int *stop; /* set by a signal handler: give up soon; may be NULL */
} cv_rpc_config;

typedef struct cv_rpc cv_rpc;

/** Returns 0; CV_ERR_INPUT for a URL that is not http or https. */
int cv_rpc_create(const cv_rpc_config *config, cv_rpc **out, cv_err *err);
void cv_rpc_destroy(cv_rpc **rpc);

/** From now on an answer counts only from a URL whose node says that it is on
 *  this chain: each is asked once, before its first answer is taken.  (Several
 *  URLs are one more way to end up on a wrong chain.) */
void cv_rpc_expect_chain(cv_rpc *rpc, uint64_t chain_id);

/** One call.
 *  In:       params   a JSON array, taken over whatever happens
 *  Out:      result   new reference; NULL on error
 *            fault    what went wrong (may be NULL)
 *            data     on CV_FAULT_REVERT the contract's error bytes, appended
 *                     (may be NULL)
 *  Returns:  0; CV_ERR_ENV with method, host and the node's own words (cut and
 *            made printable), or that config.stop was set
 */
int cv_rpc_call(cv_rpc *rpc, const char *method, struct json_t *params,
                struct json_t **result, cv_fault *fault, cv_buf *data,
                cv_err *err);

/** Take a reply apart: the part that meets hostile bytes, for the fuzzer.
 *
 *  Strict JSON-RPC 2.0: one object with this id and either a result or an
 *  error; no key twice, no number that does not fit, no more nesting and no
 *  more parts than any answer has.  An error without an id (the node, or what
 *  is in front of it, did not read the call) is believed if it says "busy".
 *
 *  Out:      result   new reference; NULL on error
 *            fault    CV_FAULT_NONE on success
 *            data     as in cv_rpc_call
 *            message  (message_size > 0) printable ASCII, what is wrong
 *  Returns:  0, or -1 with fault and message
 */
int cv_rpc_parse(const char *text, size_t n, int64_t id, struct json_t **result,
                 cv_fault *fault, cv_buf *data, char *message,
                 size_t message_size);

#endif

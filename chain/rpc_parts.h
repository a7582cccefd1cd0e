/** Inside of the JSON-RPC client: one exchange over HTTP. For chain/rpc*.c. */
#ifndef COVEY_CHAIN_RPC_PARTS_H
#define COVEY_CHAIN_RPC_PARTS_H

#include "chain/rpc.h"

typedef struct cv_http cv_http;

typedef struct {
    long status;        /* HTTP's, 0 if there was no answer */
    double retry_after; /* seconds, 0 if not told */
    cv_buf body;        /* owned */
    int too_long;       /* there was more than the limit */
    int stopped;        /* the stop flag was set */
    int untrusted;      /* its TLS certificate does not hold */
    char why[160];      /* without an answer: what went wrong */
} cv_http_reply;

/** Is this an http or https address with a host?
 *  Out:      shown   "scheme://host[:port]", without user, path and query,
 *                    where access tokens are; fresh, NULL on error
 *            local   1 if it is this machine's
 *  Returns:  0 or -1
 */
int cv_http_check(const char *url, char **shown, int *local);

/** config's zeros are filled in already. */
int cv_http_create(const cv_rpc_config *config, cv_http **out, cv_err *err);
void cv_http_destroy(cv_http **http);

/** POST n bytes of JSON; local: through no proxy, whatever the environment
 *  says. Returns 0 with status and body, or -1 with why.  Free reply->body in
 *  both cases. */
int cv_http_post(cv_http *http, const char *url, int local, const void *data,
                 size_t n, cv_http_reply *reply);

/** Has somebody asked to stop? */
int cv_rpc_stopped(const int *stop);

/** in (n bytes) as printable ASCII: everything else becomes a blank, several
 *  blanks become one, and the end is cut. */
void cv_rpc_printable(char *out, size_t size, const char *in, size_t n);

#endif

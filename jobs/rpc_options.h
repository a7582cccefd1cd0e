/** --rpc URL and --rpc-file FILE: which nodes a command asks. URLs may hold
 *  access tokens, which others can read from a command line: hence the file, of
 *  one URL a line, '#' beginning a comment. */
#ifndef COVEY_JOBS_RPC_OPTIONS_H
#define COVEY_JOBS_RPC_OPTIONS_H

#include "chain/network.h"
#include "chain/rpc.h"

typedef struct {
    char **url; /* (n) */
    size_t n;
} cv_rpc_options;

int cv_rpc_options_add(cv_rpc_options *o, const char *url, cv_err *err);
int cv_rpc_options_read(cv_rpc_options *o, const char *path, cv_err *err);
/** The network's own URL where none was given. stop may be NULL (rpc.h). */
int cv_rpc_options_open(const cv_rpc_options *o, const cv_network *net,
                        const int *stop, cv_rpc **rpc, cv_err *err);
void cv_rpc_options_free(cv_rpc_options *o);

#endif

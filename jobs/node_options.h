/** Options of the commands that ask a node, and pay: which node, which key, for
 *  whom the output is. Local. */
#ifndef COVEY_JOBS_NODE_OPTIONS_H
#define COVEY_JOBS_NODE_OPTIONS_H

#include <getopt.h>

#include "jobs/rpc_options.h"

typedef struct {
    const char *key, *password_file;
    cv_rpc_options urls;
    int json;
} cv_node_options;

enum {
    CV_OPT_KEY = 1000, /* no letter stands for them */
    CV_OPT_PASSWORD_FILE,
    CV_OPT_RPC,
    CV_OPT_RPC_FILE,
    CV_OPT_JSON
};

/** Rows for getopt_long. */
#define CV_NODE_OPTIONS                                                        \
    {"key", required_argument, NULL, CV_OPT_KEY},                              \
        {"password-file", required_argument, NULL, CV_OPT_PASSWORD_FILE},      \
        {"rpc", required_argument, NULL, CV_OPT_RPC},                          \
        {"rpc-file", required_argument, NULL, CV_OPT_RPC_FILE},                \
    {                                                                          \
        "json", no_argument, NULL, CV_OPT_JSON                                 \
    }

/** Take what getopt_long returned: 1 if it is one of these, 0 if not, or a
 *  negative code. */
int cv_node_option(cv_node_options *o, int c, cv_err *err);

#endif

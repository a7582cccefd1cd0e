#include "jobs/node_options.h"

int cv_node_option(cv_node_options *o, int c, cv_err *err)
{
    int rc = 0;
    switch (c) {
    case CV_OPT_KEY:
        o->key = optarg;
        break;
    case CV_OPT_PASSWORD_FILE:
        o->password_file = optarg;
        break;
    case CV_OPT_RPC:
        rc = cv_rpc_options_add(&o->urls, optarg, err);
        break;
    case CV_OPT_RPC_FILE:
        rc = cv_rpc_options_read(&o->urls, optarg, err);
        break;
    case CV_OPT_JSON:
        o->json = 1;
        break;
    default:
        return 0;
    }
    return rc ? rc : 1;
}

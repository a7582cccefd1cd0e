#include "jobs/rpc_options.h"

#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/mem.h"

enum { MAX_URLS = 16 };

int cv_rpc_options_add(cv_rpc_options *o, const char *url, cv_err *err)
{
    if (o->n == MAX_URLS)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected at most %d nodes", MAX_URLS);
    o->url = cv_realloc(o->url, o->n + 1, sizeof *o->url);
    o->url[o->n++] = cv_strdup(url);
    return 0;
}

int cv_rpc_options_read(cv_rpc_options *o, const char *path, cv_err *err)
{
    char *text = NULL, *save = NULL;
    size_t len = 0, before = o->n;
    int rc = cv_fs_read(path, 65536, &text, &len, err);
    for (char *line = rc ? NULL : strtok_r(text, "\r\n", &save); line && !rc;
         line = strtok_r(NULL, "\r\n", &save)) {
        line += strspn(line, " \t");
        line[strcspn(line, " \t#")] = '\0';
        if (*line)
            rc = cv_rpc_options_add(o, line, err);
    }
    if (!rc && o->n == before)
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                        "expected a URL a line, found none");
    if (text)
        cv_wipe(text, len);
    free(text);
    return rc;
}

int cv_rpc_options_open(const cv_rpc_options *o, const cv_network *net,
                        const int *stop, cv_rpc **rpc, cv_err *err)
{
    const char *own[] = {net ? net->url : NULL};
    cv_rpc_config config = {
        .urls = (const char *const *)o->url, .n_urls = o->n, .stop = stop};
    if (!net || net->chain_id == 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "the run is of a network that this program does not "
                          "know");
    if (o->n == 0 && !net->url)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected a node of %s: --rpc URL, or --rpc-file "
                          "FILE with one URL a line",
                          net->name);
    if (o->n == 0) {
        config.urls = own;
        config.n_urls = 1;
    }
    return cv_rpc_create(&config, rpc, err);
}

void cv_rpc_options_free(cv_rpc_options *o)
{
    for (size_t i = 0; i < o->n; i++) {
        cv_wipe(o->url[i], strlen(o->url[i]));
        free(o->url[i]);
    }
    free(o->url);
    *o = (cv_rpc_options){0};
}

/* libcurl, and nothing about Ethereum. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "chain/rpc_parts.h"
#include "core/mem.h"

struct cv_http {
    CURL *curl;
    struct curl_slist *headers;
    size_t max_reply;
    const int *stop;
};

typedef struct {
    const cv_http *http;
    cv_http_reply *reply;
} transfer;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global = CURLE_FAILED_INIT;

static void init_once(void)
{
    global = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int cv_rpc_stopped(const int *stop)
{
    /* A signal handler writes it. */
    return stop && *(const volatile int *)stop;
}

int cv_http_check(const char *url, char **shown, int *local)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    int rc = -1;
    /* curl forgives a slash too few or too many, and would take a path, which
     * may hold a token, for the host. */
    size_t colon = strncasecmp(url, "https", 5) == 0 ? 5 : 4;
    *shown = NULL;
    CV_CHECK(u);
    if (strnlen(url, colon) < colon || strncmp(url + colon, "://", 3) != 0 ||
        url[colon + 3] == '/')
        goto out;
    if (curl_url_set(u, CURLUPART_URL, url, 0) ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) || !host[0] ||
        (strcasecmp(scheme, "http") && strcasecmp(scheme, "https")))
        goto out;
    char text[300];
    if (curl_url_get(u, CURLUPART_PORT, &port, 0) == CURLUE_OK)
        snprintf(text, sizeof text, "%s://%s:%s", scheme, host, port);
    else
        snprintf(text, sizeof text, "%s://%s", scheme, host);
    cv_rpc_printable(text, sizeof text, text, strlen(text));
    *shown = cv_strdup(text);
    *local = !strcasecmp(host, "localhost") || !strncmp(host, "127.", 4) ||
             !strcmp(host, "[::1]");
    rc = 0;
out:
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
    return rc;
}

static size_t take(char *data, size_t size, size_t n, void *user)
{
    transfer *t = user;
    if (n > t->http->max_reply - t->reply->body.len) {
        t->reply->too_long = 1;
        return 0; /* fewer than n: curl ends the transfer */
    }
    cv_buf_add(&t->reply->body, data, size * n);
    return n;
}

/* Called at least once a second. */
static int watch(void *user, curl_off_t a, curl_off_t b, curl_off_t c,
                 curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    const transfer *t = user;
    return cv_rpc_stopped(t->http->stop);
}

static long milliseconds(double seconds)
{
    double ms = seconds * 1000;
    return ms < 1 ? 1 : ms > 1e9 ? 1000000000L : (long)ms;
}

int cv_http_create(const cv_rpc_config *config, cv_http **out, cv_err *err)
{
    pthread_once(&once, init_once);
    cv_http *http = CV_NEW(1, cv_http);
    CURL *c = global ? NULL : curl_easy_init();
    http->curl = c;
    http->max_reply = config->max_reply;
    http->stop = config->stop;
    static const char *const lines[] = {"Content-Type: application/json",
                                        "Accept: application/json",
                                        "Expect:"}; /* no wait for a 100 */
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        http->headers = curl_slist_append(http->headers, lines[i]);
    /* TLS is verified and redirects are not followed by default; both are
     * said, because so much rests on them. */
    if (!c || !http->headers ||
        curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") ||
        curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) ||
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) ||
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) ||
        curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) ||
        curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L) ||
        curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                         milliseconds(config->connect_seconds)) ||
        curl_easy_setopt(c, CURLOPT_TIMEOUT_MS,
                         milliseconds(config->call_seconds)) ||
        curl_easy_setopt(c, CURLOPT_USERAGENT, "covey/" COVEY_VERSION) ||
        curl_easy_setopt(c, CURLOPT_HTTPHEADER, http->headers) ||
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take) ||
        curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, watch) ||
        curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L)) {
        cv_http_destroy(&http);
        return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                          "libcurl could not be set up: expected one with "
                          "HTTP and TLS, found %s",
                          curl_version());
    }
    *out = http;
    return 0;
}

void cv_http_destroy(cv_http **http)
{
    if (!*http)
        return;
    curl_easy_cleanup((*http)->curl);
    curl_slist_free_all((*http)->headers);
    CV_FREE(*http);
}

/* Why there was no answer.  Not from curl's error buffer, which may quote. */
static void explain(CURL *c, CURLcode code, cv_http_reply *reply)
{
    long os = 0;
    curl_easy_getinfo(c, CURLINFO_OS_ERRNO, &os);
    int has_os = code == CURLE_COULDNT_CONNECT && os != 0;
    snprintf(reply->why, sizeof reply->why, "%s%s%s%s",
             curl_easy_strerror(code), has_os ? " (" : "",
             has_os ? strerror((int)os) : "", has_os ? ")" : "");
}

int cv_http_post(cv_http *http, const char *url, int local, const void *data,
                 size_t n, cv_http_reply *reply)
{
    CURL *c = http->curl;
    transfer t = {http, reply};
    curl_off_t wait = 0;
    memset(reply, 0, sizeof *reply);
    CURLcode code = curl_easy_setopt(c, CURLOPT_URL, url);
    /* "": none; NULL: what the environment says. */
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_PROXY, local ? "" : NULL);
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_POSTFIELDS, data);
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_WRITEDATA, &t);
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_XFERINFODATA, &t);
    if (!code)
        code = curl_easy_perform(c);
    /* Nothing of this call may be touched by the next one. */
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, NULL);
    reply->stopped = code == CURLE_ABORTED_BY_CALLBACK;
    reply->untrusted = code == CURLE_PEER_FAILED_VERIFICATION;
    if (code) {
        explain(c, code, reply);
        return -1;
    }
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &reply->status);
    curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &wait);
    reply->retry_after = wait > 0 ? (double)wait : 0;
    return 0;
}

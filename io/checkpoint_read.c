/* Reading a checkpoint: open, verify, look around. Values are in
 * checkpoint_get.c. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/mem.h"
#include "io/checkpoint_reader.h"

int cv_h5_verify(cv_h5_reader *r, cv_err *err)
{
    cv_h5_manifest m = {0};
    const cv_h5_attribute *said =
        cv_h5_find_attr(&r->nodes[0], CV_H5_DIGEST_ATTR);
    uint8_t sum[32];
    char hex[65];
    int rc = 0;
    if (!said || said->kind != CV_H5_STRING || said->size != 64)
        return cv_h5_damaged(
            r, err,
            "expected 64 digits in the root attribute " CV_H5_DIGEST_ATTR);
    for (size_t i = 0; !rc && i < r->n; i++) {
        const cv_h5_node *node = &r->nodes[i];
        for (int k = 0; k < node->n_attrs; k++) {
            const cv_h5_attribute *a = &node->attrs[k];
            cv_h5_layout l = {.kind = a->kind, .size = a->size};
            if (a == said)
                continue;
            cv_sha256_of(sum, a->value, a->size);
            cv_h5_manifest_add(&m, node->path, a->name, &l, sum);
        }
        if (node->is_group)
            continue;
        cv_h5_hash *h = cv_h5_hash_start(NULL, r->fd, node->addr, node->bytes);
        int e = cv_h5_hash_end(&h, sum);
        if (e)
            rc = cv_h5_env_error(err, r->path, "cannot read", e);
        cv_h5_manifest_add(&m, node->path, NULL, &node->layout, sum);
    }
    cv_h5_manifest_digest(&m, hex);
    if (!rc && memcmp(hex, said->value, 64) != 0)
        rc = cv_h5_damaged(r, err,
                           "its content does not match its " CV_H5_DIGEST_ATTR);
    cv_h5_manifest_free(&m);
    return rc;
}

static int open_file(cv_h5_reader *r, cv_err *err)
{
    struct stat st;
    /* Not to be held up by a pipe of that name. */
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->fd < 0)
        return cv_err_set(err, errno == ENOENT ? CV_ERR_INPUT : CV_ERR_ENV,
                          r->path, 0, "cannot open: %s", strerror(errno));
    if (fstat(r->fd, &st) != 0)
        return cv_h5_env_error(err, r->path, "cannot open", errno);
    if (!S_ISREG(st.st_mode))
        return cv_err_set(err, CV_ERR_INPUT, r->path, 0,
                          "expected a file, found something else");
    r->size = st.st_size;
    return 0;
}

int cv_h5_open(const char *path, int64_t max_version, cv_h5_reader **out,
               cv_err *err)
{
    cv_h5_reader *r = CV_NEW(1, cv_h5_reader);
    int64_t root;
    r->path = cv_strdup(path);
    r->max_version = max_version;
    int rc = open_file(r, err);
    if (!rc)
        rc = cv_h5_superblock(r, &root, err);
    if (!rc)
        rc = cv_h5_parse(r, root, err);
    if (!rc)
        rc = cv_h5_verify(r, err);
    if (rc)
        cv_h5_close(&r);
    *out = r;
    return rc;
}

void cv_h5_close(cv_h5_reader **pr)
{
    cv_h5_reader *r = *pr;
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++) {
        cv_h5_node *node = &r->nodes[i];
        for (int k = 0; k < node->n_attrs; k++) {
            free(node->attrs[k].name);
            free(node->attrs[k].value);
        }
        free(node->attrs);
        free(node->path);
        cv_h5_layout_free(&node->layout);
    }
    free(r->nodes);
    if (r->fd >= 0)
        close(r->fd);
    free(r->path);
    CV_FREE(*pr);
}

cv_h5_node *cv_h5_find(cv_h5_reader *r, const char *path)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->nodes[i].path, path) == 0)
            return &r->nodes[i];
    return NULL;
}

cv_h5_attribute *cv_h5_find_attr(const cv_h5_node *n, const char *name)
{
    for (int i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) == 0)
            return &n->attrs[i];
    return NULL;
}

int cv_h5_has(cv_h5_reader *r, const char *path)
{
    return cv_h5_find(r, path) != NULL;
}

int cv_h5_members(cv_h5_reader *r, const char *group, char ***names, size_t *n,
                  cv_err *err)
{
    const cv_h5_node *g = cv_h5_find(r, group);
    *names = NULL;
    *n = 0;
    if (!g || !g->is_group)
        return cv_err_set(err, CV_ERR_VERIFY, r->path, 0,
                          "expected the group '%.200s', found none", group);
    size_t count = 0;
    for (size_t i = 0; i < r->n; i++)
        count += r->nodes[i].parent == g - r->nodes;
    *names = CV_NEW(count, char *);
    for (size_t i = 0; i < r->n; i++)
        if (r->nodes[i].parent == g - r->nodes)
            (*names)[(*n)++] = cv_strdup(r->nodes[i].name);
    return 0;
}

int cv_h5_attributes(cv_h5_reader *r, const char *path, char ***names,
                     size_t *n, cv_err *err)
{
    const cv_h5_node *node = cv_h5_find(r, path);
    *names = NULL;
    *n = 0;
    if (!node)
        return cv_err_set(err, CV_ERR_VERIFY, r->path, 0,
                          "expected '%.200s', found none", path);
    *names = CV_NEW(node->n_attrs, char *);
    for (int i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, CV_H5_DIGEST_ATTR) != 0 ||
            node != r->nodes)
            (*names)[(*n)++] = cv_strdup(node->attrs[i].name);
    return 0;
}

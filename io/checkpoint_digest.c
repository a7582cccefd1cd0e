/* Layouts, names and the content digest (see checkpoint_parts.h). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/hash.h"
#include "core/mem.h"
#include "io/checkpoint_parts.h"

size_t cv_h5_type_size(int kind)
{
    static const size_t size[] = {4, 8, 4, 8, 1};
    CV_CHECK(kind >= CV_H5_F32 && kind <= CV_H5_U8);
    return size[kind];
}

int cv_h5_layout_count(const cv_h5_layout *l, int64_t *count, size_t *bytes)
{
    int64_t n = 1, b;
    for (int i = 0; i < l->rank; i++)
        if (l->dims[i] < 0 || __builtin_mul_overflow(n, l->dims[i], &n))
            return -1;
    if (__builtin_mul_overflow(n, (int64_t)l->size, &b))
        return -1;
    *count = n;
    *bytes = (size_t)b;
    return 0;
}

void cv_h5_layout_free(cv_h5_layout *l)
{
    for (int i = 0; i < l->n_fields; i++)
        free(l->fields[i].name);
    CV_FREE(l->fields);
    l->n_fields = 0;
}

int cv_h5_name_ok(const char *s, size_t len)
{
    if (len == 0 || len > CV_H5_MAX_NAME)
        return 0;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return 0;
    return 1;
}

static void add_type(cv_buf *b, int kind, size_t size)
{
    static const char *const name[] = {"f32", "f64", "i32", "i64", "u8"};
    if (kind == CV_H5_STRING)
        cv_buf_printf(b, "s%zu", size);
    else
        cv_buf_printf(b, "%s", name[kind]);
}

void cv_h5_manifest_add(cv_h5_manifest *m, const char *path, const char *attr,
                        const cv_h5_layout *l, const uint8_t sha256[32])
{
    cv_buf b = {0};
    cv_buf_printf(&b, "%s\t%s\t", path, attr ? attr : "");
    if (l->kind == CV_H5_TABLE) {
        for (int i = 0; i < l->n_fields; i++) {
            cv_buf_printf(&b, "%s%s:", i ? "," : "{", l->fields[i].name);
            add_type(&b, l->fields[i].kind, l->fields[i].size);
        }
        cv_buf_printf(&b, "}");
    } else {
        add_type(&b, l->kind, l->size);
    }
    cv_buf_printf(&b, "\t(");
    for (int i = 0; i < l->rank; i++)
        cv_buf_printf(&b, "%s%" PRId64, i ? "," : "", l->dims[i]);
    char hex[65];
    cv_hex(hex, sha256, 32);
    cv_buf_printf(&b, ")\t%s\n", hex);

    if (m->n == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 64;
        m->lines = cv_realloc(m->lines, m->cap, sizeof *m->lines);
    }
    m->lines[m->n++] = cv_strdup(cv_buf_text(&b));
    cv_buf_free(&b);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void cv_h5_manifest_digest(cv_h5_manifest *m, char hex[65])
{
    if (m->n)
        qsort(m->lines, m->n, sizeof *m->lines, by_bytes);
    cv_sha256 *h = cv_sha256_create();
    for (size_t i = 0; i < m->n; i++)
        cv_sha256_add(h, m->lines[i], strlen(m->lines[i]));
    uint8_t sum[32];
    cv_sha256_end(h, sum);
    cv_sha256_destroy(&h);
    cv_hex(hex, sum, 32);
}

void cv_h5_manifest_free(cv_h5_manifest *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->lines[i]);
    CV_FREE(m->lines);
    m->n = m->cap = 0;
}

int cv_h5_env_error(cv_err *err, const char *path, const char *what, int errnum)
{
    if (errnum == ENOSPC)
        return cv_err_set(err, CV_ERR_ENV, path, 0,
                          "%s: no space left on device; free some and start "
                          "again",
                          what);
    if (errnum == EDQUOT)
        return cv_err_set(err, CV_ERR_ENV, path, 0,
                          "%s: no space left on device for this user (disk "
                          "quota); free some and start again",
                          what);
    return cv_err_set(err, CV_ERR_ENV, path, 0, "%s: %s", what,
                      strerror(errnum));
}

void cv_strings_free(char ***text, size_t n)
{
    if (!*text)
        return;
    for (size_t i = 0; i < n; i++)
        free((*text)[i]);
    CV_FREE(*text);
}

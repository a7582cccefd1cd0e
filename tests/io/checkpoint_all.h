/** Read everything a checkpoint holds, in every way the interface offers: for
 *  files that nobody vouches for. Shared by the damage test and the fuzzer.
 */
#ifndef COVEY_TESTS_CHECKPOINT_ALL_H
#define COVEY_TESTS_CHECKPOINT_ALL_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "io/checkpoint_reader.h"

/* Larger arrays are left alone: the caller of the interface chooses how much
 * memory it gives. */
#define ALL_MOST 100000

static inline void all_of_table(cv_h5_reader *r, const char *path, void *buf)
{
    int64_t rows = 0;
    size_t n;
    char **names, **text;
    cv_err err;
    CV_CHECK(cv_h5_table_rows(r, path, &rows, &err) == 0);
    CV_CHECK(cv_h5_table_columns(r, path, &names, &n, &err) == 0);
    for (size_t i = 0; i < n && rows <= ALL_MOST; i++) {
        (void)cv_h5_get_column(r, path, names[i], CV_H5_F64, buf, rows, &err);
        if (cv_h5_get_column_strings(r, path, names[i], &text, rows, &err) == 0)
            cv_strings_free(&text, (size_t)rows);
    }
    cv_strings_free(&names, n);
}

static inline void all_of_array(cv_h5_reader *r, const cv_h5_node *node,
                                void *buf)
{
    int rank;
    int64_t dims[4];
    size_t n;
    char **text, *one;
    cv_err err;
    CV_CHECK(cv_h5_shape(r, node->path, &rank, dims, &err) == 0);
    CV_CHECK(rank >= 0 && rank <= 4);
    if (node->count > ALL_MOST)
        return;
    for (int t = CV_H5_F32; t <= CV_H5_U8; t++)
        (void)cv_h5_get(r, node->path, (cv_h5_type)t, buf, (size_t)node->count,
                        &err);
    if (cv_h5_get_strings(r, node->path, &text, &n, &err) == 0)
        cv_strings_free(&text, n);
    if (cv_h5_get_string(r, node->path, &one, &err) == 0)
        free(one);
    if (node->layout.kind == CV_H5_TABLE)
        all_of_table(r, node->path, buf);
}

static inline void all_of(cv_h5_reader *r)
{
    void *buf = cv_calloc(ALL_MOST, 8);
    for (size_t i = 0; i < r->n; i++) {
        const cv_h5_node *node = &r->nodes[i];
        char **names, *text;
        size_t n;
        int64_t v;
        double f;
        cv_err err;
        CV_CHECK(cv_h5_has(r, node->path));
        for (int k = 0; k < node->n_attrs; k++) {
            const char *name = node->attrs[k].name;
            if (cv_h5_get_attr_string(r, node->path, name, &text, &err) == 0)
                free(text);
            (void)cv_h5_get_attr_i64(r, node->path, name, &v, &err);
            (void)cv_h5_get_attr_f64(r, node->path, name, &f, &err);
        }
        if (cv_h5_members(r, node->path, &names, &n, &err) == 0)
            cv_strings_free(&names, n);
        /* Two links of one name: the first is found, whatever it is. */
        if (!node->is_group && cv_h5_find(r, node->path) == node)
            all_of_array(r, node, buf);
    }
    free(buf);
}

/* As cv_h5_open, but whatever the content digest says: who makes a hostile file
 * makes its digest too. */
static inline int all_unverified(const char *path, cv_err *err)
{
    struct stat st;
    int64_t root;
    cv_h5_reader *r = CV_NEW(1, cv_h5_reader);
    r->path = cv_strdup(path);
    r->max_version = 1;
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    CV_CHECK(r->fd >= 0 && fstat(r->fd, &st) == 0);
    r->size = st.st_size;
    int rc = cv_h5_superblock(r, &root, err);
    if (!rc)
        rc = cv_h5_parse(r, root, err);
    if (!rc) {
        (void)cv_h5_verify(r, err);
        all_of(r);
    }
    cv_h5_close(&r);
    return rc;
}

#endif

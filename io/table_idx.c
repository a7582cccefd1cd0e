#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/fs.h"
#include "core/mem.h"
#include "io/table_internal.h"

enum { MAGIC_LABELS = 0x0801, MAGIC_IMAGES = 0x0803 };

/* Deflate cannot do better than 1 : 1032. */
enum { DEFLATE_RATIO = 1032 };

/* Bytes of a plain or gzip file in memory, in order. */
typedef struct {
    const cv_source *src;
    const char *what; /* "images" or "labels" */
    const uint8_t *at, *end;
    size_t most; /* bytes that can come out at all */
    int packed, ended;
    z_stream z;
} idx_bytes;

static int fail(const idx_bytes *b, cv_err *err, const char *what)
{
    return cv_source_fail(b->src, err, "the IDX file of %s %s", b->what, what);
}

static int open_bytes(idx_bytes *b, const cv_source *src, const char *what,
                      const uint8_t *data, size_t n, cv_err *err)
{
    *b = (idx_bytes){
        .src = src, .what = what, .at = data, .end = data + n, .most = n};
    if (n < 2 || data[0] != 0x1f || data[1] != 0x8b)
        return 0;
    b->packed = 1;
    b->most = n > SIZE_MAX / DEFLATE_RATIO ? SIZE_MAX : n * DEFLATE_RATIO;
    if (inflateInit2(&b->z, 16 + MAX_WBITS) != Z_OK)
        return cv_err_set(err, CV_ERR_ENV, NULL, 0, "%s: zlib does not start",
                          src->role);
    return 0;
}

static void close_bytes(idx_bytes *b)
{
    if (b->packed)
        inflateEnd(&b->z);
}

/* At the end of a member: is there another one? */
static int next_member(idx_bytes *b)
{
    if (b->end - b->at < 2 || b->at[0] != 0x1f || b->at[1] != 0x8b)
        return 0;
    return inflateReset(&b->z) == Z_OK;
}

/* Up to n bytes; *got < n only at a proper end. */
static int inflate_some(idx_bytes *b, uint8_t *out, size_t n, size_t *got,
                        cv_err *err)
{
    *got = 0;
    while (*got < n && !b->ended) {
        size_t in = (size_t)(b->end - b->at), room = n - *got;
        b->z.next_in = (Bytef *)(uintptr_t)b->at; /* zlib does not write it */
        b->z.avail_in = in > INT_MAX ? INT_MAX : (uInt)in;
        b->z.next_out = out + *got;
        b->z.avail_out = room > INT_MAX ? INT_MAX : (uInt)room;
        uInt avail = b->z.avail_out;
        int rc = inflate(&b->z, Z_NO_FLUSH);
        b->at = b->z.next_in;
        *got += avail - b->z.avail_out;
        if (rc == Z_STREAM_END) {
            if (!next_member(b))
                b->ended = 1;
        } else if (rc != Z_OK) {
            return fail(b, err,
                        b->at == b->end ? "is truncated"
                                        : "is a damaged gzip file");
        }
    }
    return 0;
}

/* Exactly n bytes. */
static int take(idx_bytes *b, uint8_t *out, size_t n, cv_err *err)
{
    size_t got = 0;
    if (b->packed) {
        int rc = inflate_some(b, out, n, &got, err);
        if (rc)
            return rc;
    } else {
        got = (size_t)(b->end - b->at) < n ? (size_t)(b->end - b->at) : n;
        if (got)
            memcpy(out, b->at, got);
        b->at += got;
    }
    return got == n ? 0 : fail(b, err, "is truncated");
}

/* Nothing may follow; for gzip this is also where the checksum is read. */
static int expect_end(idx_bytes *b, cv_err *err)
{
    uint8_t extra;
    size_t got = 0;
    if (b->packed) {
        int rc = inflate_some(b, &extra, 1, &got, err);
        if (rc)
            return rc;
    }
    if (got || b->at != b->end)
        return fail(b, err, "is longer than its header says");
    return 0;
}

static int read_magic(idx_bytes *b, uint32_t magic, cv_err *err)
{
    uint8_t head[4];
    int rc = take(b, head, sizeof head, err);
    if (rc)
        return rc;
    uint32_t found = cv_get_be32(head);
    if (found != magic)
        return cv_source_fail(b->src, err,
                              "the IDX file of %s should start with %08x "
                              "(unsigned bytes in %u dimensions), found %08x",
                              b->what, magic, magic & 0xff, found);
    return 0;
}

static int read_dims(idx_bytes *b, uint32_t *dims, int n, cv_err *err)
{
    uint8_t head[4];
    for (int i = 0; i < n; i++) {
        int rc = take(b, head, sizeof head, err);
        if (rc)
            return rc;
        dims[i] = cv_get_be32(head);
    }
    return 0;
}

/* Kept rows in blocks; without a filter straight into x. */
static int read_images(idx_bytes *b, cv_table *t, int64_t n_rows, size_t width,
                       cv_err *err)
{
    int filtered = b->src->filter && b->src->filter->keep;
    if (!filtered)
        return take(b, t->x, (size_t)n_rows * width, err);
    int64_t block = (int64_t)((1 << 20) / width) + 1;
    block = block < n_rows ? block : n_rows;
    uint8_t *rows = CV_NEW((size_t)block * width, uint8_t), *to = t->x;
    int rc = 0;
    for (int64_t i = 0; i < n_rows && !rc; i += block) {
        int64_t n = n_rows - i < block ? n_rows - i : block;
        rc = take(b, rows, (size_t)n * width, err);
        for (int64_t k = 0; k < n && !rc; k++)
            if (cv_source_keeps(b->src, i + k)) {
                memcpy(to, rows + (size_t)k * width, width);
                to += width;
            }
    }
    free(rows);
    return rc;
}

static int parse_images(const cv_source *src, const uint8_t *data, size_t n,
                        int64_t *n_rows, cv_table **table, cv_err *err)
{
    idx_bytes b;
    uint32_t dims[3];
    int64_t n_kept = 0;
    int rc = open_bytes(&b, src, "images", data, n, err);
    if (rc)
        return rc;
    rc = read_magic(&b, MAGIC_IMAGES, err);
    if (!rc)
        rc = read_dims(&b, dims, 3, err);
    if (rc)
        goto out;
    uint64_t area = (uint64_t)dims[1] * dims[2];
    int64_t width = area <= CV_COLUMNS_MAX ? (int64_t)area : CV_COLUMNS_MAX + 1;
    *n_rows = dims[0];
    if (width <= CV_COLUMNS_MAX && (uint64_t)*n_rows * area > b.most)
        rc = fail(&b, err, "is truncated");
    if (!rc)
        rc = cv_source_room(src, *n_rows, width, 1, err);
    if (!rc)
        rc = cv_source_filter(src, *n_rows, &n_kept, err);
    if (rc)
        goto out;
    if (src->target_only) { /* the number of rows was what it had to say */
        *table = cv_table_alloc(*n_rows, 0, CV_TYPE_U8);
        goto out;
    }
    cv_table *t = cv_table_alloc(n_kept, (int32_t)width, CV_TYPE_U8);
    *table = t;
    t->scale = 1.0 / 255.0;
    for (int32_t j = 0; j < t->n_cols; j++)
        t->cols[j].name = cv_asprintf("p%d", j);
    rc = read_images(&b, t, *n_rows, (size_t)width, err);
    if (!rc)
        rc = expect_end(&b, err);
out:
    close_bytes(&b);
    return rc;
}

static int parse_labels(const cv_source *src, const uint8_t *data, size_t n,
                        int64_t n_rows, cv_table *t, cv_err *err)
{
    idx_bytes b;
    uint32_t count;
    uint8_t *labels = NULL;
    int rc = open_bytes(&b, src, "labels", data, n, err);
    if (rc)
        return rc;
    rc = read_magic(&b, MAGIC_LABELS, err);
    if (!rc)
        rc = read_dims(&b, &count, 1, err);
    if (!rc && (int64_t)count != n_rows)
        rc = fail(&b, err, "has another number of rows than that of images");
    if (!rc && count > b.most)
        rc = fail(&b, err, "is truncated");
    if (rc)
        goto out;
    labels = CV_NEW(count, uint8_t);
    rc = take(&b, labels, count, err);
    if (!rc)
        rc = expect_end(&b, err);
    if (rc)
        goto out;
    t->y = CV_NEW(t->n_rows, float);
    t->y_whole = 1;
    int64_t to = 0;
    for (int64_t i = 0; i < n_rows; i++)
        if (cv_source_keeps(src, i))
            t->y[to++] = labels[i];
    t->target.name = cv_strdup(src->target ? src->target : "label");
out:
    free(labels);
    close_bytes(&b);
    return rc;
}

/* A table of doubles instead; labels become the last column. The bytes are an
 * eighth of it and soon gone. */
static int widen(const cv_source *src, cv_table **table, cv_err *err)
{
    cv_table *t = *table;
    int32_t width = t->n_cols, n_cols = width + (t->y != NULL);
    int rc = cv_source_room(src, t->n_rows ? t->n_rows : 1, n_cols,
                            sizeof(double), err);
    if (rc)
        return rc;
    cv_table *w = cv_table_alloc(t->n_rows, n_cols, CV_TYPE_F64);
    uint8_t *row = CV_NEW(n_cols, uint8_t);
    double *to = w->x;
    for (int64_t i = 0; i < t->n_rows; i++, to += n_cols) {
        memcpy(row, (uint8_t *)t->x + (size_t)i * (size_t)width, (size_t)width);
        for (int32_t j = 0; j < width; j++)
            to[j] = row[j] * t->scale;
        if (t->y) {
            to[width] = (double)t->y[i];
            row[width] = (uint8_t)t->y[i];
        }
        w->content[i] = cv_row_content(row, (size_t)n_cols);
    }
    free(row);
    for (int32_t j = 0; j < width; j++) {
        w->cols[j] = t->cols[j];
        t->cols[j] = (cv_column){0};
    }
    if (t->y) {
        w->y_col = width;
        w->y_whole = t->y_whole;
        w->cols[width] = t->target;
        t->target = (cv_column){0};
    }
    cv_table_destroy(table);
    *table = w;
    return 0;
}

int cv_idx_parse(const cv_source *src, const uint8_t *images, size_t n_images,
                 const uint8_t *labels, size_t n_labels, cv_table **table,
                 cv_err *err)
{
    int64_t n_rows = 0;
    cv_table *t = NULL;
    int rc = parse_images(src, images, n_images, &n_rows, &t, err);
    if (!rc && labels)
        rc = parse_labels(src, labels, n_labels, n_rows, t, err);
    if (!rc)
        rc = cv_table_check_names(src, t, err);
    if (!rc && cv_source_f64(src))
        rc = widen(src, &t, err);
    if (!rc) {
        *table = t;
        t = NULL;
    }
    cv_table_destroy(&t);
    return rc;
}

/* .../train-images-idx3-ubyte.gz -> .../train-labels-idx1-ubyte.gz, packed or
 * not; NULL if the name does not follow the custom or there is no such file. */
static char *find_labels(const char *path)
{
    static const char *const from[] = {"images-idx3", "images.idx3"};
    static const char *const to[] = {"labels-idx1", "labels.idx1"};
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    for (int k = 0; k < 2; k++) {
        const char *at = strstr(base, from[k]);
        if (!at)
            continue;
        const char *rest = at + strlen(from[k]);
        size_t n = strlen(rest);
        int packed = n >= 3 && strcmp(rest + n - 3, ".gz") == 0;
        for (int other = 0; other < 2; other++) {
            int cut = packed && other ? 3 : 0;
            char *labels =
                cv_asprintf("%.*s%s%.*s%s", (int)(at - path), path, to[k],
                            (int)n - cut, rest, !packed && other ? ".gz" : "");
            if (cv_fs_exists(labels))
                return labels;
            free(labels);
        }
    }
    return NULL;
}

int cv_table_read_idx(const cv_source *src, cv_table **table, cv_err *err)
{
    char *images = NULL, *labels = NULL, *labels_path = find_labels(src->path);
    size_t n_images = 0, n_labels = 0;
    int rc = cv_source_load(src, &images, &n_images, err);
    if (!rc && src->target_only && !labels_path)
        rc = cv_source_fail(src, err,
                            "no file of labels beside it: expected a name like "
                            "train-labels-idx1-ubyte beside "
                            "train-images-idx3-ubyte");
    if (!rc && labels_path) {
        cv_source other = *src;
        other.path = labels_path;
        rc = cv_source_load(&other, &labels, &n_labels, err);
    }
    if (!rc)
        rc = cv_idx_parse(src, (const uint8_t *)images, n_images,
                          (const uint8_t *)labels, n_labels, table, err);
    free(images);
    free(labels);
    free(labels_path);
    return rc;
}

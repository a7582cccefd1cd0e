/* What goes into a checkpoint: arrays, texts, tables, attributes. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/mem.h"
#include "io/checkpoint_writer.h"

#define SLICE ((size_t)4 << 20)

static hid_t number_type(int kind)
{
    switch (kind) {
    case CV_H5_F32:
        return H5T_IEEE_F32LE;
    case CV_H5_F64:
        return H5T_IEEE_F64LE;
    case CV_H5_I32:
        return H5T_STD_I32LE;
    case CV_H5_I64:
        return H5T_STD_I64LE;
    default:
        CV_CHECK(kind == CV_H5_U8);
        return H5T_STD_U8LE;
    }
}

/* Text has a fixed size: variable-length text would lie in HDF5's global heap,
 * which has no checksums. Padded with zeros, as numpy does. */
static hid_t simple_type(int kind, size_t size)
{
    hid_t t = H5Tcopy(kind == CV_H5_STRING ? H5T_C_S1 : number_type(kind));
    CV_CHECK(t >= 0);
    if (kind == CV_H5_STRING) {
        H5Tset_size(t, size);
        H5Tset_strpad(t, H5T_STR_NULLPAD);
        H5Tset_cset(t, H5T_CSET_UTF8);
    }
    return t;
}

static hid_t layout_type(const cv_h5_layout *l)
{
    if (l->kind != CV_H5_TABLE)
        return simple_type(l->kind, l->size);
    hid_t t = H5Tcreate(H5T_COMPOUND, l->size);
    for (int i = 0; t >= 0 && i < l->n_fields; i++) {
        const cv_h5_field *f = &l->fields[i];
        hid_t m = simple_type(f->kind, f->size);
        if (H5Tinsert(t, f->name, f->offset, m) < 0) {
            H5Tclose(t);
            t = -1;
        }
        H5Tclose(m);
    }
    return t;
}

static int bad_name(cv_h5_writer *w, const char *what, const char *name,
                    cv_err *e)
{
    return cv_err_set(e, CV_ERR_INPUT, w->path, 0,
                      "cannot store the %s '%.200s': expected a name of 1 to "
                      "%d bytes without control characters",
                      what, name, CV_H5_MAX_NAME);
}

static int check_path(cv_h5_writer *w, const char *path, cv_err *e)
{
    int depth = 0;
    const char *p = path;
    CV_CHECK(*p == '/');
    while (*p == '/' && depth < CV_H5_MAX_DEPTH) {
        size_t len = strcspn(p + 1, "/");
        if (!cv_h5_name_ok(p + 1, len) || (len == 1 && p[1] == '.'))
            return bad_name(w, "array", path, e);
        p += 1 + len;
        depth++;
    }
    if (*p || strlen(path) > CV_H5_MAX_PATH)
        return cv_err_set(e, CV_ERR_INPUT, w->path, 0,
                          "cannot store '%.200s': expected at most %d names of "
                          "%d bytes in all",
                          path, CV_H5_MAX_DEPTH, CV_H5_MAX_PATH);
    return 0;
}

/* The reader accepts twice as many, so the few more that one call adds after
 * asking do no harm. */
static int check_room(cv_h5_writer *w, cv_err *e)
{
    if (w->n_nodes < CV_H5_MAX_NODES && w->manifest.n < CV_H5_MAX_ITEMS)
        return 0;
    return cv_err_set(e, CV_ERR_INPUT, w->path, 0,
                      "expected at most %d groups and %d arrays and attributes",
                      CV_H5_MAX_NODES, CV_H5_MAX_ITEMS);
}

/* Make the groups of path's first len bytes, one by one: HDF5's own
 * intermediate groups would not remember the order of their members. */
static int make_groups(cv_h5_writer *w, const char *path, size_t len, cv_err *e)
{
    char *p = cv_strdup(path);
    int rc = 0;
    p[len] = '\0';
    for (char *s = p; !rc && s && *s;) {
        s = strchr(s + 1, '/');
        if (s)
            *s = '\0';
        htri_t there = H5Lexists(w->file, p, H5P_DEFAULT);
        if (there == 0) {
            hid_t g =
                H5Gcreate2(w->file, p, H5P_DEFAULT, w->group, H5P_DEFAULT);
            there = g < 0 || H5Gclose(g) < 0 ? -1 : 1;
            w->n_nodes++;
        }
        if (there < 0)
            rc = cv_h5_hdf5_error(w, "cannot store a group", e);
        if (s)
            *s = '/';
    }
    free(p);
    return rc;
}

int cv_h5_attr_put(cv_h5_writer *w, hid_t object, const char *path,
                   const char *name, int kind, size_t size, const void *value,
                   cv_err *e)
{
    if (!cv_h5_name_ok(name, strlen(name)))
        return bad_name(w, "attribute", name, e);
    if (size > CV_H5_MAX_ATTR)
        return cv_err_set(e, CV_ERR_INPUT, w->path, 0,
                          "attribute '%.200s' of '%.200s': expected at most %d "
                          "bytes, found %zu",
                          name, path, CV_H5_MAX_ATTR, size);
    int rc = 0;
    hid_t type = simple_type(kind, size), space = H5Screate(H5S_SCALAR);
    hid_t a = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (a < 0 || H5Awrite(a, type, value) < 0)
        rc = cv_h5_hdf5_error(w, "cannot store an attribute", e);
    if (a >= 0 && H5Aclose(a) < 0 && !rc)
        rc = cv_h5_hdf5_error(w, "cannot store an attribute", e);
    H5Sclose(space);
    H5Tclose(type);
    if (rc || strcmp(name, CV_H5_DIGEST_ATTR) == 0)
        return rc;
    uint8_t sum[32];
    cv_sha256_of(sum, value, size);
    cv_h5_layout l = {.kind = kind, .size = size};
    cv_h5_manifest_add(&w->manifest, path, name, &l, sum);
    return 0;
}

/* H5T_STRING of size 0 does not exist: "" is one zero byte. */
static int put_text_attr(cv_h5_writer *w, hid_t object, const char *path,
                         const char *name, const char *text, cv_err *e)
{
    size_t len = strlen(text);
    return cv_h5_attr_put(w, object, path, name, CV_H5_STRING, len ? len : 1,
                          text, e);
}

/* Write and hash at once. HDF5 only says where (the space is allocated when the
 * data set is made): written in slices with writeback asked for after each, the
 * disk works from the start and the fsync at the end finds little to do. */
static int write_data(cv_h5_writer *w, hid_t set, const uint8_t *data,
                      size_t bytes, uint8_t sum[32], cv_err *e)
{
    haddr_t addr = bytes ? H5Dget_offset(set) : 0;
    if (addr == HADDR_UNDEF)
        return cv_h5_hdf5_error(w, "cannot write", e);
    int rc = 0;
    cv_h5_hash *hash = cv_h5_hash_start(data, -1, 0, bytes);
    for (size_t at = 0; at < bytes && !rc; at += SLICE) {
        size_t n = bytes - at < SLICE ? bytes - at : SLICE;
        int64_t to = (int64_t)(addr + at);
        int errnum = cv_h5_disk_write(&w->disk, to, data + at, n);
        if (errnum)
            rc = cv_h5_env_error(e, w->path, "cannot write", errnum);
        else if (bytes >= SLICE)
            (void)sync_file_range(w->disk.fd, to, (off_t)n,
                                  SYNC_FILE_RANGE_WRITE);
    }
    (void)cv_h5_hash_end(&hash, sum);
    return rc;
}

static hid_t make_set(cv_h5_writer *w, const char *path, const cv_h5_layout *l,
                      hid_t type, cv_err *e)
{
    hsize_t dims[4] = {0};
    for (int i = 0; i < l->rank; i++)
        dims[i] = (hsize_t)l->dims[i];
    if (H5Lexists(w->file, path, H5P_DEFAULT) > 0) {
        cv_err_set(e, CV_ERR_OTHER, w->path, 0,
                   "'%.200s' is already in the file", path);
        return -1;
    }
    hid_t space =
        l->rank ? H5Screate_simple(l->rank, dims, NULL) : H5Screate(H5S_SCALAR);
    hid_t set = H5Dcreate2(w->file, path, type, space, H5P_DEFAULT, w->dataset,
                           H5P_DEFAULT);
    if (set < 0)
        cv_h5_hdf5_error(w, "cannot store an array", e);
    if (space >= 0)
        H5Sclose(space);
    return set;
}

/* One data set. unit may be NULL, and so may note. */
static int put(cv_h5_writer *w, const char *path, const cv_h5_layout *l,
               const void *data, const char *unit, const char *note, cv_err *e)
{
    int64_t count;
    size_t bytes;
    uint8_t sum[32];
    hid_t type = -1, set = -1;
    if (w->failed)
        return CV_ERR_OTHER; /* cv_h5_done knows why */
    CV_CHECK(cv_h5_layout_count(l, &count, &bytes) == 0);
    int rc = check_path(w, path, e);
    if (!rc)
        rc = check_room(w, e);
    if (!rc && l->kind >= CV_H5_STRING &&
        (count > CV_H5_MAX_STRINGS || l->size > CV_H5_MAX_SIZE))
        rc =
            cv_err_set(e, CV_ERR_INPUT, w->path, 0,
                       "cannot store '%.200s': expected at most %d texts or "
                       "rows of %d bytes, found %" PRId64 " of %zu",
                       path, CV_H5_MAX_STRINGS, CV_H5_MAX_SIZE, count, l->size);
    if (!rc)
        rc = make_groups(w, path, (size_t)(strrchr(path, '/') - path), e);
    if (rc)
        return rc;
    type = layout_type(l);
    if (type < 0)
        return cv_h5_hdf5_error(w, "cannot describe a table", e);
    set = make_set(w, path, l, type, e);
    if (set < 0) {
        rc = e->code;
        goto out;
    }
    rc = write_data(w, set, data, bytes, sum, e);
    if (rc)
        goto out;
    cv_h5_manifest_add(&w->manifest, path, NULL, l, sum);
    w->n_nodes++;
    if (unit)
        rc = put_text_attr(w, set, path, "unit", unit, e);
    if (!rc && note)
        rc = put_text_attr(w, set, path, "description", note, e);
out:
    if (set >= 0 && H5Dclose(set) < 0 && !rc)
        rc = cv_h5_hdf5_error(w, "cannot write", e);
    H5Tclose(type);
    return rc;
}

int cv_h5_put(cv_h5_writer *w, const char *path, cv_h5_type type, int rank,
              const int64_t *dims, const void *data, const char *unit,
              const char *note, cv_err *err)
{
    cv_err e = {0};
    CV_CHECK(rank >= 0 && rank <= 4);
    cv_h5_layout l = {
        .kind = (int)type, .size = cv_h5_type_size((int)type), .rank = rank};
    for (int i = 0; i < rank; i++)
        l.dims[i] = dims[i];
    return cv_h5_done(w, put(w, path, &l, data, unit, note, &e), &e, err);
}

static size_t longest(const char *const *text, size_t n)
{
    size_t max = 1;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(text[i]);
        max = len > max ? len : max;
    }
    return max;
}

int cv_h5_put_strings(cv_h5_writer *w, const char *path,
                      const char *const *text, size_t n, const char *note,
                      cv_err *err)
{
    cv_err e = {0};
    cv_h5_layout l = {.kind = CV_H5_STRING,
                      .size = longest(text, n),
                      .rank = 1,
                      .dims = {(int64_t)n}};
    char *rows = CV_NEW(n * l.size, char);
    for (size_t i = 0; i < n; i++)
        memcpy(rows + i * l.size, text[i], strlen(text[i]));
    int rc = put(w, path, &l, rows, NULL, note, &e);
    free(rows);
    return cv_h5_done(w, rc, &e, err);
}

int cv_h5_put_string(cv_h5_writer *w, const char *path, const char *text,
                     const char *note, cv_err *err)
{
    cv_err e = {0};
    cv_h5_layout l = {.kind = CV_H5_STRING, .size = longest(&text, 1)};
    return cv_h5_done(w, put(w, path, &l, text, NULL, note, &e), &e, err);
}

static int put_attr(cv_h5_writer *w, const char *path, const char *name,
                    int kind, size_t size, const void *value, cv_err *err)
{
    cv_err e = {0};
    int rc = w->failed ? CV_ERR_OTHER : check_room(w, &e);
    /* The digest is the writer's own. */
    CV_CHECK(strcmp(name, CV_H5_DIGEST_ATTR) != 0);
    if (!rc && strcmp(path, "/") != 0) {
        rc = check_path(w, path, &e);
        if (!rc && H5Lexists(w->file, path, H5P_DEFAULT) <= 0)
            rc = make_groups(w, path, strlen(path), &e);
    }
    hid_t object = rc ? -1 : H5Oopen(w->file, path, H5P_DEFAULT);
    if (!rc && object < 0)
        rc = cv_h5_hdf5_error(w, "cannot store an attribute", &e);
    if (!rc)
        rc = cv_h5_attr_put(w, object, path, name, kind, size, value, &e);
    if (object >= 0)
        H5Oclose(object);
    return cv_h5_done(w, rc, &e, err);
}

int cv_h5_attr_string(cv_h5_writer *w, const char *path, const char *name,
                      const char *text, cv_err *err)
{
    size_t len = strlen(text);
    return put_attr(w, path, name, CV_H5_STRING, len ? len : 1, text, err);
}

int cv_h5_attr_f64(cv_h5_writer *w, const char *path, const char *name,
                   double v, cv_err *err)
{
    return put_attr(w, path, name, CV_H5_F64, sizeof v, &v, err);
}

int cv_h5_attr_i64(cv_h5_writer *w, const char *path, const char *name,
                   int64_t v, cv_err *err)
{
    return put_attr(w, path, name, CV_H5_I64, sizeof v, &v, err);
}

static void layout_table(cv_h5_layout *l, const cv_h5_column *cols, int n_cols,
                         int64_t n_rows)
{
    *l = (cv_h5_layout){.kind = CV_H5_TABLE,
                        .n_fields = n_cols,
                        .fields = CV_NEW(n_cols, cv_h5_field),
                        .rank = 1,
                        .dims = {n_rows}};
    for (int i = 0; i < n_cols; i++) {
        cv_h5_field *f = &l->fields[i];
        f->name = cv_strdup(cols[i].name);
        f->kind = cols[i].is_string ? CV_H5_STRING : (int)cols[i].type;
        f->size = cols[i].is_string ? longest((const char *const *)cols[i].data,
                                              (size_t)n_rows)
                                    : cv_h5_type_size(f->kind);
        f->offset = l->size;
        l->size += f->size;
    }
}

static char *pack_rows(const cv_h5_layout *l, const cv_h5_column *cols,
                       size_t n_rows)
{
    char *rows = cv_calloc(n_rows, l->size);
    for (int i = 0; i < l->n_fields; i++) {
        const cv_h5_field *f = &l->fields[i];
        const char *from = cols[i].data;
        const char *const *text = cols[i].data;
        char *to = rows + f->offset;
        for (size_t k = 0; k < n_rows; k++, to += l->size)
            if (f->kind == CV_H5_STRING)
                memcpy(to, text[k], strlen(text[k]));
            else
                memcpy(to, from + k * f->size, f->size);
    }
    return rows;
}

int cv_h5_put_table(cv_h5_writer *w, const char *path, const char *note,
                    const cv_h5_column *cols, int n_cols, int64_t n_rows,
                    cv_err *err)
{
    cv_err e = {0};
    cv_h5_layout l;
    CV_CHECK(n_cols > 0 && n_rows >= 0);
    layout_table(&l, cols, n_cols, n_rows);
    int rc = 0;
    for (int i = 0; !rc && i < n_cols; i++)
        if (!cv_h5_name_ok(cols[i].name, strlen(cols[i].name)))
            rc =
                cv_h5_done(w, bad_name(w, "column", cols[i].name, &e), &e, err);
    if (rc)
        goto out;
    char *rows = pack_rows(&l, cols, (size_t)n_rows);
    rc = put(w, path, &l, rows, NULL, note, &e);
    rc = cv_h5_done(w, rc, &e, err);
    free(rows);
    for (int i = 0; !rc && i < n_cols; i++)
        if (cols[i].unit) {
            char *name = cv_asprintf("unit:%s", cols[i].name);
            rc = cv_h5_attr_string(w, path, name, cols[i].unit, err);
            free(name);
        }
out:
    cv_h5_layout_free(&l);
    return rc;
}

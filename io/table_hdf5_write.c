#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/fs.h"
#include "core/mem.h"
#include "io/table_internal.h"

/* Names that take more than an attribute in a header can hold (64 KB) become a
 * data set /columns. */
enum { ATTRIBUTE_MOST = 60000 };

static size_t longest(const char *const *text, size_t n)
{
    size_t most = 1;
    for (size_t i = 0; i < n; i++)
        most = strlen(text[i]) > most ? strlen(text[i]) : most;
    return most;
}

/* n strings of fixed length, UTF-8, as an attribute of id or as a data set below
 * it; n = 0 for a single string in text[0]. */
static int write_names(hid_t id, int as_attribute, const char *name,
                       const char *const *text, size_t n)
{
    size_t count = n ? n : 1, size = longest(text, count);
    hsize_t dims[1] = {n};
    hid_t type = H5Tcopy(H5T_C_S1), object = -1;
    hid_t space = n ? H5Screate_simple(1, dims, NULL) : H5Screate(H5S_SCALAR);
    char *raw = cv_calloc(count, size);
    int rc = -1;
    if (type < 0 || space < 0 || H5Tset_size(type, size) < 0 ||
        H5Tset_strpad(type, H5T_STR_NULLPAD) < 0 ||
        H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        goto out;
    for (size_t i = 0; i < count; i++)
        memcpy(raw + i * size, text[i], strlen(text[i]));
    object = as_attribute
                 ? H5Acreate2(id, name, type, space, H5P_DEFAULT, H5P_DEFAULT)
                 : H5Dcreate2(id, name, type, space, H5P_DEFAULT, H5P_DEFAULT,
                              H5P_DEFAULT);
    if (object < 0)
        goto out;
    herr_t e = as_attribute
                   ? H5Awrite(object, type, raw)
                   : H5Dwrite(object, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw);
    rc = e < 0 ? -1 : 0;
out:
    if (object >= 0 && (as_attribute ? H5Aclose(object) : H5Dclose(object)) < 0)
        rc = -1;
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    free(raw);
    return rc;
}

/* Contiguous: the file is read far more often than it is written, and an
 * unpacked one is read at the speed of the disk. */
static hid_t write_array(hid_t file, const char *name, hid_t type, int rank,
                         const hsize_t *dims, const void *data)
{
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t d = space < 0 ? -1
                        : H5Dcreate2(file, name, type, space, H5P_DEFAULT,
                                     H5P_DEFAULT, H5P_DEFAULT);
    if (d >= 0 && H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        H5Dclose(d);
        d = -1;
    }
    if (space >= 0)
        H5Sclose(space);
    return d;
}

static int write_text(hid_t id, const char *name, const char *text)
{
    return write_names(id, 1, name, &text, 0);
}

static int write_scale(hid_t x, double scale)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t a = space < 0 ? -1
                        : H5Acreate2(x, "scale", H5T_IEEE_F64LE, space,
                                     H5P_DEFAULT, H5P_DEFAULT);
    int rc = a < 0 || H5Awrite(a, H5T_NATIVE_DOUBLE, &scale) < 0 ? -1 : 0;
    if (a >= 0)
        H5Aclose(a);
    if (space >= 0)
        H5Sclose(space);
    return rc;
}

static int write_x(hid_t file, const cv_table *t)
{
    hsize_t dims[2] = {(hsize_t)t->n_rows, (hsize_t)t->n_cols};
    int u8 = t->type == CV_TYPE_U8;
    hid_t type = u8                       ? H5T_NATIVE_UINT8
                 : t->type == CV_TYPE_F32 ? H5T_NATIVE_FLOAT
                                          : H5T_NATIVE_DOUBLE;
    hid_t d = write_array(file, "x", type, 2, dims, t->x);
    if (d < 0)
        return -1;
    const char **names = CV_NEW(t->n_cols, const char *);
    for (int32_t j = 0; j < t->n_cols; j++)
        names[j] = t->cols[j].name;
    size_t n = (size_t)t->n_cols;
    int fits = n * longest(names, n) <= ATTRIBUTE_MOST;
    int rc = write_names(fits ? d : file, fits, "columns", names, n);
    if (!rc && u8)
        rc = write_scale(d, t->scale);
    if (!rc)
        rc = write_text(d, "description",
                        u8 ? "records by columns; value = number * scale; "
                             "columns in /categories hold level numbers"
                           : "records by columns; NaN = missing; columns in "
                             "/categories hold level numbers");
    free((void *)names);
    return H5Dclose(d) < 0 ? -1 : rc;
}

/* Labels stay the integers they were, in the narrowest type; a missing one
 * needs a float. */
static hid_t write_y_values(hid_t file, const cv_table *t)
{
    hsize_t dims[1] = {(hsize_t)t->n_rows};
    int whole = t->y_whole || t->target.n_levels > 0, byte = 1;
    for (int64_t i = 0; i < t->n_rows; i++) {
        float v = t->y[i];
        whole &= fabsf(v) <= 0x1p24f && v == floorf(v);
        byte &= v >= 0.0f && v <= 255.0f;
    }
    if (!whole)
        return write_array(file, "y", H5T_NATIVE_FLOAT, 1, dims, t->y);
    int32_t *wide = CV_NEW(t->n_rows, int32_t);
    uint8_t *narrow = (uint8_t *)wide;
    for (int64_t i = 0; i < t->n_rows; i++)
        if (byte)
            narrow[i] = (uint8_t)t->y[i];
        else
            wide[i] = (int32_t)t->y[i];
    hid_t d = write_array(file, "y", byte ? H5T_NATIVE_UINT8 : H5T_NATIVE_INT32,
                          1, dims, wide);
    free(wide);
    return d;
}

static int write_y(hid_t file, const cv_table *t)
{
    if (!t->y)
        return 0;
    hid_t d = write_y_values(file, t);
    if (d < 0)
        return -1;
    int rc = write_text(d, "name", t->target.name);
    if (!rc)
        rc = write_text(d, "description",
                        t->target.n_levels
                            ? "target: level number, names in /categories"
                            : "target of each record");
    return H5Dclose(d) < 0 ? -1 : rc;
}

/* A column name that cannot be a link's goes into an attribute. */
static int write_levels(hid_t group, const cv_column *c, int number)
{
    char link[32];
    const char *name = c->name;
    int plain = !strchr(name, '/') && strcmp(name, ".") != 0;
    snprintf(link, sizeof link, "column %d", number);
    if (write_names(group, 0, plain ? name : link,
                    (const char *const *)c->levels, (size_t)c->n_levels))
        return -1;
    hid_t d = H5Dopen2(group, plain ? name : link, H5P_DEFAULT);
    if (d < 0)
        return -1;
    int rc = plain ? 0 : write_text(d, "column", name);
    if (!rc)
        rc = write_text(d, "description", "level names, by level number");
    return H5Dclose(d) < 0 ? -1 : rc;
}

static int write_categories(hid_t file, const cv_table *t)
{
    int any = t->y && t->target.n_levels > 0, rc = 0;
    for (int32_t j = 0; j < t->n_cols; j++)
        any |= t->cols[j].n_levels > 0;
    if (!any)
        return 0;
    hid_t group =
        H5Gcreate2(file, "categories", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (group < 0)
        return -1;
    for (int32_t j = 0; j < t->n_cols && !rc; j++)
        if (t->cols[j].n_levels > 0)
            rc = write_levels(group, &t->cols[j], j);
    if (!rc && t->y && t->target.n_levels > 0)
        rc = write_levels(group, &t->target, t->n_cols);
    return H5Gclose(group) < 0 ? -1 : rc;
}

static int write_all(const char *path, const cv_table *t)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    /* The format of HDF5 1.8: headers have checksums. */
    hid_t file = access < 0 || H5Pset_libver_bounds(access, H5F_LIBVER_V18,
                                                    H5F_LIBVER_V18) < 0
                     ? -1
                     : H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (access >= 0)
        H5Pclose(access);
    if (file < 0)
        return -1;
    int rc = write_text(file, "description",
                        "data of one silo: records /x, target /y, level names "
                        "/categories");
    if (!rc)
        rc = write_x(file, t);
    if (!rc)
        rc = write_y(file, t);
    if (!rc)
        rc = write_categories(file, t);
    if (!rc && H5Fflush(file, H5F_SCOPE_GLOBAL) < 0)
        rc = -1;
    return H5Fclose(file) < 0 ? -1 : rc;
}

/* HDF5 does not say why a file cannot be made; the system does. */
static int can_create(const char *path, const char *tmp, cv_err *err)
{
    FILE *f = fopen(tmp, "wb");
    if (!f)
        return cv_err_set(err, CV_ERR_ENV, path, 0, "cannot write: %m");
    fclose(f);
    return 0;
}

int cv_table_write_hdf5(const char *path, const cv_table *table, cv_err *err)
{
    if (table->n_rows < 1 || table->n_cols < 1)
        return cv_err_set(err, CV_ERR_INPUT, path, 0,
                          "expected at least one row and one column to write");
    char *tmp = cv_asprintf("%s.tmp.%d", path, (int)getpid());
    int rc = can_create(path, tmp, err);
    if (rc)
        goto out;
    if (write_all(tmp, table))
        rc = cv_err_set(err, CV_ERR_ENV, path, 0,
                        "cannot write the data as HDF5; is the disk full?");
    if (!rc)
        rc = cv_fs_sync_file(tmp, err);
    if (!rc)
        rc = cv_fs_rename(tmp, path, err);
    if (rc)
        unlink(tmp);
out:
    free(tmp);
    return rc;
}

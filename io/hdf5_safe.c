#include "io/hdf5_safe.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/names.h"

/* The best ratio deflate reaches; other filters are not trusted with more. */
enum { MOST_RATIO = 1032 };

hid_t cv_hdf5_open_input(const char *path)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0)
        return -1;
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(access, 1, 1);
#endif
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return file;
}

int cv_hdf5_has(hid_t place, const char *name)
{
    H5L_info_t info;
    return H5Lexists(place, name, H5P_DEFAULT) > 0 &&
           H5Lget_info(place, name, &info, H5P_DEFAULT) >= 0 &&
           info.type == H5L_TYPE_HARD;
}

/* Anything but the standard formats (odd widths, biases, bit fields) is left to
 * people who convert it themselves: HDF5's general converter is not needed. */
static cv_hdf5_kind kind_of(hid_t type)
{
    const hid_t integers[] = {H5T_STD_I8LE,  H5T_STD_I8BE,  H5T_STD_I16LE,
                              H5T_STD_I16BE, H5T_STD_U16LE, H5T_STD_U16BE,
                              H5T_STD_I32LE, H5T_STD_I32BE, H5T_STD_U32LE,
                              H5T_STD_U32BE, H5T_STD_I64LE, H5T_STD_I64BE,
                              H5T_STD_U64LE, H5T_STD_U64BE};
    const hid_t floats[] = {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE,
                            H5T_IEEE_F64BE};
    if (H5Tequal(type, H5T_STD_U8LE) > 0 || H5Tequal(type, H5T_STD_U8BE) > 0)
        return CV_HDF5_U8;
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        if (H5Tequal(type, integers[i]) > 0)
            return CV_HDF5_INTEGER;
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        if (H5Tequal(type, floats[i]) > 0)
            return CV_HDF5_FLOAT;
    return CV_HDF5_OTHER;
}

static int within_file(double bytes, hsize_t stored, int packed)
{
    return bytes <= (double)stored * (packed ? MOST_RATIO : 1);
}

/* Chunks are read whole, so their size counts as well. */
static int chunk_ok(hid_t plist, int rank, size_t cell, int64_t file_size)
{
    hsize_t chunk[H5S_MAX_RANK];
    double bytes = (double)cell;
    if (H5Pget_chunk(plist, rank, chunk) != rank)
        return 0;
    for (int i = 0; i < rank; i++)
        bytes *= (double)chunk[i];
    return within_file(bytes, (hsize_t)file_size, H5Pget_nfilters(plist) > 0);
}

static int stored_ok(hid_t dataset, hid_t space, size_t cell, int64_t file_size)
{
    hid_t plist = H5Dget_create_plist(dataset);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    hsize_t stored = H5Dget_storage_size(dataset);
    int rank = H5Sget_simple_extent_ndims(space), ok = 0;
    if (plist < 0 || count < 0 || stored > (hsize_t)file_size)
        goto out;
    H5D_layout_t layout = H5Pget_layout(plist);
    ok = (layout == H5D_COMPACT || layout == H5D_CONTIGUOUS ||
          layout == H5D_CHUNKED) &&
         H5Pget_external_count(plist) == 0 &&
         within_file((double)count * (double)cell, stored,
                     H5Pget_nfilters(plist) > 0) &&
         (layout != H5D_CHUNKED || chunk_ok(plist, rank, cell, file_size));
out:
    if (plist >= 0)
        H5Pclose(plist);
    return ok;
}

int cv_hdf5_open_array(hid_t place, const char *name, int64_t file_size,
                       hid_t *dataset, cv_hdf5_kind *kind, int *rank,
                       hsize_t dims[2])
{
    hid_t d =
        cv_hdf5_has(place, name) ? H5Dopen2(place, name, H5P_DEFAULT) : -1;
    hid_t space = d >= 0 ? H5Dget_space(d) : -1;
    hid_t type = d >= 0 ? H5Dget_type(d) : -1;
    int rc = -1;
    if (space < 0 || type < 0)
        goto out;
    *kind = kind_of(type);
    *rank = H5Sget_simple_extent_ndims(space);
    if (*rank < 0 || *rank > 2 ||
        H5Sget_simple_extent_dims(space, dims, NULL) != *rank ||
        !stored_ok(d, space, H5Tget_size(type), file_size))
        goto out;
    *dataset = d;
    d = -1;
    rc = 0;
out:
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (d >= 0)
        H5Dclose(d);
    return rc;
}

int cv_hdf5_read_number(hid_t id, const char *name, double *v)
{
    htri_t there = H5Aexists(id, name);
    if (there <= 0)
        return there == 0 ? 1 : -1;
    hid_t a = H5Aopen(id, name, H5P_DEFAULT);
    hid_t space = a >= 0 ? H5Aget_space(a) : -1;
    hid_t type = a >= 0 ? H5Aget_type(a) : -1;
    int rc = -1;
    if (space >= 0 && type >= 0 && kind_of(type) != CV_HDF5_OTHER &&
        H5Sget_simple_extent_npoints(space) == 1 &&
        H5Aread(a, H5T_NATIVE_DOUBLE, v) >= 0)
        rc = 0;
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (a >= 0)
        H5Aclose(a);
    return rc;
}

/* A fixed-length string may be padded with zeros or blanks. */
static size_t padded_length(const char *s, size_t size, H5T_str_t pad)
{
    size_t n = strnlen(s, size);
    while (pad == H5T_STR_SPACEPAD && n && s[n - 1] == ' ')
        n--;
    return n;
}

static char *cut_copy(const char *s, size_t len)
{
    size_t n = len <= CV_NAME_MAX ? len : CV_NAME_MAX + 1;
    char *copy = cv_realloc(NULL, n + 1, 1);
    if (n)
        memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

static herr_t read_raw(hid_t id, int is_attribute, hid_t type, void *out)
{
    return is_attribute ? H5Aread(id, type, out)
                        : H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
}

static int read_fixed(hid_t id, int is_attribute, hid_t type, hid_t memory,
                      char **text, size_t n)
{
    size_t size = H5Tget_size(type);
    H5T_str_t pad = H5Tget_strpad(type);
    char *raw = cv_calloc(n, size);
    int rc = -1;
    if (pad < 0 || H5Tset_size(memory, size) < 0 ||
        H5Tset_strpad(memory, pad) < 0 ||
        read_raw(id, is_attribute, memory, raw) < 0)
        goto out;
    for (size_t i = 0; i < n; i++)
        text[i] =
            cut_copy(raw + i * size, padded_length(raw + i * size, size, pad));
    rc = 0;
out:
    free(raw);
    return rc;
}

static int read_variable(hid_t id, int is_attribute, hid_t space, hid_t memory,
                         char **text, size_t n)
{
    char **raw = CV_NEW(n, char *);
    int rc = -1;
    if (H5Tset_size(memory, H5T_VARIABLE) >= 0 &&
        read_raw(id, is_attribute, memory, (void *)raw) >= 0) {
        for (size_t i = 0; i < n; i++)
            text[i] =
                cut_copy(raw[i] ? raw[i] : "", raw[i] ? strlen(raw[i]) : 0);
        rc = 0;
    }
    H5Dvlen_reclaim(memory, space, H5P_DEFAULT, raw);
    free((void *)raw);
    return rc;
}

int cv_hdf5_read_names(hid_t id, int is_attribute, int64_t file_size,
                       size_t most, char ***text, size_t *n)
{
    hid_t type = is_attribute ? H5Aget_type(id) : H5Dget_type(id);
    hid_t space = is_attribute ? H5Aget_space(id) : H5Dget_space(id);
    hid_t memory = H5Tcopy(H5T_C_S1);
    size_t size = type >= 0 ? H5Tget_size(type) : 0;
    hssize_t count = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    int rc = -1;
    if (type < 0 || memory < 0 || H5Tget_class(type) != H5T_STRING ||
        size == 0 || H5Sget_simple_extent_ndims(space) > 1)
        goto out;
    if (count < 0 || (size_t)count > most ||
        !(is_attribute
              ? within_file((double)size * (double)count, (hsize_t)file_size, 0)
              : stored_ok(id, space, size, file_size)))
        goto out;
    H5T_cset_t cset = H5Tget_cset(type);
    if (cset < 0 || H5Tset_cset(memory, cset) < 0)
        goto out;
    *n = (size_t)count;
    *text = CV_NEW(*n, char *);
    if (H5Tis_variable_str(type) > 0)
        rc = read_variable(id, is_attribute, space, memory, *text, *n);
    else
        rc = read_fixed(id, is_attribute, type, memory, *text, *n);
    if (rc) {
        free((void *)*text);
        *text = NULL;
    }
out:
    if (memory >= 0)
        H5Tclose(memory);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return rc;
}

int cv_hdf5_write_names(hid_t id, int as_attribute, const char *name,
                        const char *const *text, size_t n)
{
    size_t count = n ? n : 1, size = 1;
    for (size_t i = 0; i < count; i++)
        size = strlen(text[i]) > size ? strlen(text[i]) : size;
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
    if (object >= 0)
        rc |= (as_attribute ? H5Aclose(object) : H5Dclose(object)) < 0 ? -1 : 0;
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    free(raw);
    return rc;
}

/* Writing a checkpoint: the file itself. What goes into it is in
 * checkpoint_put.c, the choice of checksum in checkpoint_parts.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "io/checkpoint_writer.h"

static herr_t innermost(unsigned n, const H5E_error2_t *e, void *arg)
{
    const char **text = arg;
    (void)n;
    if (!*text && e->desc && e->desc[0])
        *text = e->desc; /* lives as long as the stack */
    return 0;
}

int cv_h5_hdf5_error(const cv_h5_writer *w, const char *what, cv_err *e)
{
    const char *text = NULL;
    if (w->disk.errnum)
        return cv_h5_env_error(e, w->path, what, w->disk.errnum);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &text);
    return cv_err_set(e, CV_ERR_OTHER, w->path, 0, "%s: HDF5 says \"%s\"", what,
                      text ? text : "");
}

int cv_h5_done(cv_h5_writer *w, int rc, cv_err *e, cv_err *err)
{
    if (rc == 0 && w->disk.errnum)
        rc = cv_h5_env_error(e, w->path, "cannot write", w->disk.errnum);
    if (rc == 0)
        return 0;
    if (!w->failed) {
        w->failed = 1;
        w->first = *e;
    }
    if (err)
        *err = w->first;
    return w->first.code;
}

/* Version 1.8 of the format: checksums in all headers, and every HDF5 since
 * 2008 reads it. No times, so that equal contents give equal bytes. */
static int make_file(cv_h5_writer *w, cv_err *e)
{
    int rc = 0;
    /* Set for every file: it is per thread, and whoever calls may have set
     * something else. */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t create = H5Pcreate(H5P_FILE_CREATE);
    w->driver = cv_h5_disk_driver();
    w->group = H5Pcreate(H5P_GROUP_CREATE);
    w->dataset = H5Pcreate(H5P_DATASET_CREATE);
    CV_CHECK(access >= 0 && create >= 0 && w->group >= 0 && w->dataset >= 0);
    cv_h5_disk *disk = &w->disk;
    H5Pset_driver(access, w->driver, &disk);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    hid_t object[] = {create, w->group, w->dataset};
    for (int i = 0; i < 3; i++) {
        H5Pset_obj_track_times(object[i], 0);
        /* The reader knows attributes in object headers only. */
        H5Pset_attr_phase_change(object[i], 65535, 0);
        if (i < 2)
            H5Pset_link_creation_order(object[i], H5P_CRT_ORDER_TRACKED);
    }
    H5Pset_layout(w->dataset, H5D_CONTIGUOUS);
    /* Space without content: checkpoint_put.c writes the data. */
    H5Pset_alloc_time(w->dataset, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(w->dataset, H5D_FILL_TIME_NEVER);
    w->file = H5Fcreate(w->tmp, H5F_ACC_TRUNC, create, access);
    if (w->file < 0)
        rc = cv_h5_hdf5_error(w, "cannot start the file", e);
    H5Pclose(access);
    H5Pclose(create);
    return rc;
}

static int start(cv_h5_writer *w, int mode, cv_err *e)
{
    cv_h5_clean_tmp(w->path);
    /* Made here and not by HDF5, so that a private file is private from its
     * first moment on. */
    w->disk.fd = open(w->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (w->disk.fd < 0)
        return cv_h5_env_error(e, w->path, "cannot start the file", errno);
    return make_file(w, e);
}

static void release(cv_h5_writer **pw)
{
    cv_h5_writer *w = *pw;
    if (w->group >= 0)
        H5Pclose(w->group);
    if (w->dataset >= 0)
        H5Pclose(w->dataset);
    if (w->driver >= 0)
        H5FDunregister(w->driver);
    if (w->disk.fd >= 0)
        close(w->disk.fd);
    cv_h5_manifest_free(&w->manifest);
    free(w->path);
    free(w->tmp);
    CV_FREE(*pw);
}

int cv_h5_create(const char *path, int mode, cv_h5_writer **out, cv_err *err)
{
    cv_err e = {0};
    cv_h5_writer *w = CV_NEW(1, cv_h5_writer);
    w->path = cv_strdup(path);
    w->tmp = cv_h5_tmp_name(path);
    w->disk.fd = -1;
    w->file = w->group = w->dataset = w->driver = -1;
    int rc = cv_h5_done(w, start(w, mode, &e), &e, err);
    if (rc)
        cv_h5_abort(&w);
    *out = w;
    return rc;
}

static int is_ours(const cv_h5_writer *w)
{
    struct stat a, b;
    return fstat(w->disk.fd, &a) == 0 && lstat(w->tmp, &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int close_file(cv_h5_writer *w, cv_err *e)
{
    int rc = 0;
    char hex[65];
    cv_h5_manifest_digest(&w->manifest, hex);
    hid_t root = H5Oopen(w->file, "/", H5P_DEFAULT);
    if (root < 0)
        return cv_h5_hdf5_error(w, "cannot finish the file", e);
    rc = cv_h5_attr_put(w, root, "/", CV_H5_DIGEST_ATTR, CV_H5_STRING, 64, hex,
                        e);
    H5Oclose(root);
    if (rc)
        return rc;
    herr_t closed = H5Fclose(w->file);
    w->file = -1;
    if (closed < 0 || w->disk.errnum)
        return cv_h5_hdf5_error(w, "cannot write", e);
    /* Neither H5Fflush nor H5Fclose waits for the disk. */
    if (fsync(w->disk.fd) != 0)
        return cv_h5_env_error(e, w->path, "cannot write", errno);
    return 0;
}

int cv_h5_commit(cv_h5_writer **pw, cv_err *err)
{
    cv_h5_writer *w = *pw;
    cv_err e = {0};
    if (w->failed) {
        e = w->first;
        goto fail;
    }
    if (close_file(w, &e) != 0)
        goto fail;
    if (!is_ours(w)) {
        cv_err_set(&e, CV_ERR_ENV, w->path, 0,
                   "the temporary file was removed or replaced while it was "
                   "being written; is another run writing to this folder?");
        goto fail;
    }
    if (cv_fs_rename(w->tmp, w->path, &e) != 0)
        goto fail;
    release(pw);
    return 0;
fail:
    if (err)
        *err = e;
    cv_h5_abort(pw);
    return e.code;
}

void cv_h5_abort(cv_h5_writer **pw)
{
    cv_h5_writer *w = *pw;
    if (!w)
        return;
    if (w->disk.fd >= 0 && is_ours(w))
        unlink(w->tmp);
    if (w->file >= 0)
        H5Fclose(w->file);
    release(pw);
}

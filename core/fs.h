/** Files: whole reads with a limit, durable renames, folders, run locks.
 *
 *  Scope: local. All return 0 or a negative cv_code with err filled
 *  (CV_ERR_INPUT for a file the user named and that is not there,
 *  CV_ERR_ENV for the rest).
 */
#ifndef COVEY_CORE_FS_H
#define COVEY_CORE_FS_H

#include <stddef.h>

#include "core/err.h"

/** Read a whole file into *out (malloc'd, one extra 0 byte), at most max
 *  bytes. Caller frees. */
int cv_fs_read(const char *path, size_t max, char **out, size_t *len,
               cv_err *err);

/** Write a whole file durably: temporary beside it, fsync, rename, fsync of
 *  the folder. mode as for open. */
int cv_fs_write(const char *path, const void *data, size_t len, int mode,
                cv_err *err);

/** The same, but a file that is there already is left alone and is
 *  CV_ERR_INPUT; path appears whole or not at all. */
int cv_fs_write_new(const char *path, const void *data, size_t len, int mode,
                    cv_err *err);

/** fsync of an open file's path / of the folder that holds path. */
int cv_fs_sync_file(const char *path, cv_err *err);
int cv_fs_sync_dir_of(const char *path, cv_err *err);

/** Rename over `to`, then fsync the folder. */
int cv_fs_rename(const char *from, const char *to, cv_err *err);

/** mkdir -p with mode for every folder that is made. */
int cv_fs_mkdir(const char *path, int mode, cv_err *err);

int cv_fs_exists(const char *path);

/** Add a file's length and content to a running SHA-256 of fingerprints (fast
 *  checksums of its megabytes): do two nodes hold the same file? */
struct cv_sha256;
int cv_fs_fingerprint(const char *path, struct cv_sha256 *h, cv_err *err);

/** dir + "/" + name, malloc'd. An absolute name is returned as it is; dir ""
 *  or NULL means the working directory. */
char *cv_fs_join(const char *dir, const char *name);

/** The folder part of path, malloc'd ("." if there is none). */
char *cv_fs_dirname(const char *path);

/** Take an exclusive lock on path (made if missing), held until *fd is closed
 *  or the process ends however it ends. A lock held by another process is
 *  CV_ERR_ENV with a message that says so. */
int cv_fs_lock(const char *path, int *fd, cv_err *err);

/** Seconds on the monotonic clock. */
double cv_now(void);

#endif

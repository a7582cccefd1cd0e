#include "core/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/mem.h"
#include "core/secret.h"

static int fail(cv_err *err, int code, const char *path, const char *what)
{
    int e = errno;
    return cv_err_set(err, code, path, 0, "%s: %s", what, strerror(e));
}

static int open_code(void)
{
    return errno == ENOENT || errno == EISDIR || errno == ENOTDIR ||
                   errno == EACCES
               ? CV_ERR_INPUT
               : CV_ERR_ENV;
}

int cv_fs_read(const char *path, size_t max, char **out, size_t *len,
               cv_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    if (fd < 0)
        return fail(err, open_code(), path, "cannot open");
    struct stat st;
    char *buf = NULL;
    size_t at = 0;
    if (fstat(fd, &st) != 0) {
        rc = fail(err, CV_ERR_ENV, path, "cannot stat");
        goto out;
    }
    if (S_ISDIR(st.st_mode)) {
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                        "expected a file, found a folder");
        goto out;
    }
    if (st.st_size > 0 && (size_t)st.st_size > max) {
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                        "expected at most %zu bytes, found %lld", max,
                        (long long)st.st_size);
        goto out;
    }
    size_t cap = st.st_size > 0 ? (size_t)st.st_size + 1 : 4096;
    buf = cv_realloc(NULL, cap, 1);
    for (;;) {
        if (at + 1 >= cap) {
            cap *= 2;
            buf = cv_realloc(buf, cap, 1);
        }
        ssize_t n = read(fd, buf + at, cap - at - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = fail(err, open_code(), path, "cannot read");
            goto out;
        }
        if (n == 0)
            break;
        at += (size_t)n;
        if (at > max) {
            rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                            "expected at most %zu bytes, found more", max);
            goto out;
        }
    }
    buf[at] = '\0';
    *out = buf;
    *len = at;
    buf = NULL;
out:
    free(buf);
    close(fd);
    return rc;
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -1;
        p += k;
        n -= (size_t)k;
    }
    return 0;
}

/* A whole file at tmp, on the disk; messages name path. */
static int write_tmp(const char *tmp, const char *path, int flags,
                     const void *data, size_t len, int mode, cv_err *err)
{
    int fd = open(tmp, O_WRONLY | O_CREAT | O_CLOEXEC | flags, mode);
    if (fd < 0)
        return fail(err, CV_ERR_ENV, path, "cannot write");
    int bad = write_all(fd, data, len) != 0 || fsync(fd) != 0;
    int e = errno;
    if (close(fd) != 0 && !bad) {
        bad = 1;
        e = errno;
    }
    if (!bad)
        return 0;
    unlink(tmp);
    errno = e;
    return fail(err, CV_ERR_ENV, path, "cannot write");
}

int cv_fs_write(const char *path, const void *data, size_t len, int mode,
                cv_err *err)
{
    char *tmp = cv_asprintf("%s.tmp.%d", path, (int)getpid());
    int rc = write_tmp(tmp, path, O_TRUNC, data, len, mode, err);
    if (!rc) {
        rc = cv_fs_rename(tmp, path, err);
        if (rc)
            unlink(tmp);
    }
    free(tmp);
    return rc;
}

/* Move tmp to path unless path exists (then -1 and EEXIST). NFS does not know
 * the flag, and some other file systems know no hard links. */
static int rename_new(const char *tmp, const char *path)
{
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (link(tmp, path) != 0)
        return -1;
    unlink(tmp);
    return 0;
}

int cv_fs_write_new(const char *path, const void *data, size_t len, int mode,
                    cv_err *err)
{
    /* What a killed process left must not stand in the way of a later one that
     * has its number, as in containers, where all have the same few. */
    uint32_t nonce;
    cv_entropy(&nonce, sizeof nonce);
    char *tmp =
        cv_asprintf("%s.tmp.%d.%08x", path, (int)getpid(), (unsigned)nonce);
    int rc = write_tmp(tmp, path, O_EXCL | O_NOFOLLOW, data, len, mode, err);
    if (rc)
        goto out;
    if (rename_new(tmp, path) == 0) {
        rc = cv_fs_sync_dir_of(path, err);
        goto out;
    }
    rc = errno == EEXIST
             ? cv_err_set(err, CV_ERR_INPUT, path, 0,
                          "is there already and was left alone; move it away "
                          "or choose another name")
             : fail(err, CV_ERR_ENV, path, "cannot move into place");
    unlink(tmp);
out:
    free(tmp);
    return rc;
}

static int sync_path(const char *path, int flags, cv_err *err)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return fail(err, CV_ERR_ENV, path, "cannot open to sync");
    int rc = 0;
    /* Some network file systems do not sync folders: EINVAL is their answer. */
    if (fsync(fd) != 0 && errno != EINVAL)
        rc = fail(err, CV_ERR_ENV, path, "cannot sync");
    close(fd);
    return rc;
}

int cv_fs_sync_file(const char *path, cv_err *err)
{
    return sync_path(path, O_RDONLY, err);
}

int cv_fs_sync_dir_of(const char *path, cv_err *err)
{
    char *dir = cv_fs_dirname(path);
    int rc = sync_path(dir, O_RDONLY | O_DIRECTORY, err);
    free(dir);
    return rc;
}

int cv_fs_rename(const char *from, const char *to, cv_err *err)
{
    if (rename(from, to) != 0)
        return fail(err, CV_ERR_ENV, to, "cannot rename into place");
    return cv_fs_sync_dir_of(to, err);
}

int cv_fs_mkdir(const char *path, int mode, cv_err *err)
{
    char *p = cv_strdup(path);
    int rc = 0;
    for (char *s = p + 1;; s++) {
        if (*s && *s != '/')
            continue;
        char keep = *s;
        *s = '\0';
        if (mkdir(p, (mode_t)mode) != 0 && errno != EEXIST) {
            rc = fail(err, CV_ERR_ENV, p, "cannot make the folder");
            break;
        }
        *s = keep;
        if (!keep)
            break;
    }
    struct stat st;
    if (!rc && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
        rc = cv_err_set(err, CV_ERR_ENV, path, 0,
                        "expected a folder, found something else");
    free(p);
    return rc;
}

int cv_fs_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

int cv_fs_fingerprint(const char *path, struct cv_sha256 *h, cv_err *err)
{
    enum { PIECE = 1 << 20 };
    FILE *f = fopen(path, "rb");
    if (!f)
        return fail(err, open_code(), path, "cannot open");
    char *buf = cv_calloc(PIECE, 1);
    size_t n;
    while ((n = fread(buf, 1, PIECE, f)) > 0) {
        uint64_t sum = cv_checksum64(buf, n);
        cv_sha256_add(h, &sum, sizeof sum);
    }
    int rc = ferror(f) ? fail(err, CV_ERR_ENV, path, "cannot read") : 0;
    fclose(f);
    free(buf);
    return rc;
}

char *cv_fs_join(const char *dir, const char *name)
{
    if (name[0] == '/' || !dir || !dir[0])
        return cv_strdup(name);
    return cv_asprintf("%s/%s", dir, name);
}

char *cv_fs_dirname(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return cv_strdup(".");
    if (slash == path)
        return cv_strdup("/");
    char *d = cv_strdup(path);
    d[slash - path] = '\0';
    return d;
}

/* Does path still name the file that fd has open? */
static int same_file(const char *path, int fd)
{
    struct stat a, b;
    return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

int cv_fs_lock(const char *path, int *fd, cv_err *err)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    for (;;) {
        *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (*fd < 0)
            return fail(err, CV_ERR_ENV, path, "cannot open the lock file");
        /* Open-file-description locks work over NFS and end with the process.
         */
        if (fcntl(*fd, F_OFD_SETLK, &fl) != 0)
            break;
        if (same_file(path, *fd))
            return 0;
        close(*fd); /* whoever held it removed the file on leaving */
    }
    int rc = errno == EAGAIN || errno == EACCES
                 ? cv_err_set(err, CV_ERR_ENV, path, 0,
                              "in use by another run; wait for it to end, or "
                              "choose another folder with --out")
                 : fail(err, CV_ERR_ENV, path, "cannot lock");
    close(*fd);
    *fd = -1;
    return rc;
}

double cv_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

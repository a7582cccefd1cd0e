/* Rolling checkpoints: kept names, pruning, temporary files.
 *
 * Every step may be the last one before a kill: names appear by rename, files
 * go one by one, and doing it all again gives the same folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/checkpoint_parts.h"

#define TMP ".tmp."

char *cv_h5_tmp_name(const char *path)
{
    return cv_asprintf("%s" TMP "%d", path, (int)getpid());
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Digits only, no sign or blanks; -1 if s is not that. */
static int64_t read_digits(const char *s)
{
    int64_t v;
    if (!s[0] || strspn(s, "0123456789") != strlen(s) || cv_parse_i64(&v, s))
        return -1;
    return v;
}

/* A killed process whose parent does not look after it stays a zombie: that is
 * dead as well. */
static int has_ended(pid_t pid)
{
    char name[32], text[512];
    if (kill(pid, 0) != 0)
        return errno == ESRCH;
    snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(name, "r");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *state = strrchr(text, ')'); /* "pid (name) state ..." */
    return state && (state[2] == 'Z' || state[2] == 'X');
}

/* Is ".tmp.PID" at s, of a process that has ended or of this one? */
static int is_stale(const char *s)
{
    if (strncmp(s, TMP, strlen(TMP)) != 0)
        return 0;
    int64_t pid = read_digits(s + strlen(TMP));
    if (pid <= 0 || pid > INT32_MAX)
        return 0;
    return pid == getpid() || has_ended((pid_t)pid);
}

/* Number of "<stem>-NNNNNN.h5<rest>", -1 if name is not that. */
static int64_t kept_number(const char *name, const char *stem,
                           const char **rest)
{
    size_t n = strlen(stem);
    if (strncmp(name, stem, n) != 0 || name[n] != '-')
        return -1;
    const char *digits = name + n + 1, *dot = strstr(digits, ".h5");
    if (!dot)
        return -1;
    char *text = cv_asprintf("%.*s", (int)(dot - digits), digits);
    int64_t v = read_digits(text);
    /* Only as cv_h5_keep spells it: six digits, or more if needed. */
    size_t len = strlen(text);
    free(text);
    *rest = dot + strlen(".h5");
    return v >= 0 && (len == 6 || (len > 6 && digits[0] != '0')) ? v : -1;
}

void cv_h5_clean_tmp(const char *path)
{
    char *dir = cv_fs_dirname(path);
    const char *base = base_of(path);
    size_t n = strlen(base);
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strncmp(e->d_name, base, n) == 0 && is_stale(e->d_name + n))
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    free(dir);
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static int is_file(DIR *d, const char *name)
{
    struct stat st;
    return fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode);
}

int cv_h5_list(const char *dir, const char *stem, int64_t **numbers, size_t *n,
               cv_err *err)
{
    DIR *d = opendir(dir);
    size_t cap = 16;
    *numbers = NULL;
    *n = 0;
    if (!d)
        return cv_err_set(err, errno == ENOENT ? CV_ERR_INPUT : CV_ERR_ENV, dir,
                          0, "cannot list the folder: %s", strerror(errno));
    *numbers = cv_realloc(NULL, cap, sizeof **numbers);
    for (struct dirent *e; (e = readdir(d));) {
        const char *rest;
        int64_t v = kept_number(e->d_name, stem, &rest);
        if (v < 0 || *rest || !is_file(d, e->d_name))
            continue;
        if (*n == cap) {
            cap *= 2;
            *numbers = cv_realloc(*numbers, cap, sizeof **numbers);
        }
        (*numbers)[(*n)++] = v;
    }
    closedir(d);
    qsort(*numbers, *n, sizeof **numbers, newest_first);
    return 0;
}

static int copy_bytes(int from, int to)
{
    static const size_t size = (size_t)1 << 20;
    char *buf = cv_calloc(size, 1);
    int rc = 0;
    for (;;) {
        ssize_t n = read(from, buf, size), done = 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rc = n < 0 ? -1 : 0;
            break;
        }
        while (done < n && rc == 0) {
            ssize_t k = write(to, buf + done, (size_t)(n - done));
            if (k >= 0)
                done += k;
            else if (errno != EINTR)
                rc = -1;
        }
        if (rc)
            break;
    }
    int e = errno;
    free(buf);
    errno = e;
    return rc;
}

/* path's bytes under the name tmp, on disk. */
static int copy_file(const char *path, const char *tmp, cv_err *err)
{
    struct stat st;
    int rc = 0, to = -1;
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from >= 0 && fstat(from, &st) == 0)
        to = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                  st.st_mode & 0777);
    if (to < 0 || copy_bytes(from, to) != 0 || fsync(to) != 0)
        rc = cv_h5_env_error(err, path, "cannot keep a copy", errno);
    if (to >= 0 && close(to) != 0 && !rc)
        rc = cv_h5_env_error(err, path, "cannot keep a copy", errno);
    if (from >= 0)
        close(from);
    return rc;
}

static int keep_as(const char *path, const char *target, cv_err *err)
{
    char *tmp = cv_h5_tmp_name(target);
    int rc = 0;
    unlink(tmp);
    if (link(path, tmp) != 0) {
        if (errno == ENOENT)
            rc = cv_h5_env_error(err, path, "cannot keep", errno);
        else /* no hard links here, or too many */
            rc = copy_file(path, tmp, err);
    }
    if (!rc && rename(tmp, target) != 0)
        rc = cv_h5_env_error(err, target, "cannot rename into place", errno);
    /* rename does nothing if target is this file already. */
    unlink(tmp);
    free(tmp);
    return rc;
}

/* Remove left-over temporary files, numbers above the one just kept (of work
 * that was lost and is done again) and all but the newest `keep`; never path
 * itself. */
static int prune(const char *path, const char *stem, int64_t number, int keep,
                 cv_err *err)
{
    char *dir = cv_fs_dirname(path);
    int64_t *all = NULL;
    size_t n = 0, later = 0;
    int rc = cv_h5_list(dir, stem, &all, &n, err);
    while (later < n && all[later] > number)
        later++;
    DIR *d = rc ? NULL : opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        const char *rest, *name = e->d_name;
        int64_t v = kept_number(name, stem, &rest);
        if (v < 0 || strcmp(name, base_of(path)) == 0)
            continue;
        int old =
            *rest == '\0' && is_file(d, name) &&
            (keep == 0 || v > number ||
             ((size_t)keep < n - later && v < all[later + (size_t)keep - 1]));
        if (!old && !is_stale(rest))
            continue;
        if (unlinkat(dirfd(d), name, 0) != 0 && errno != ENOENT && !rc)
            rc = cv_h5_env_error(err, path, "cannot remove an old checkpoint",
                                 errno);
    }
    if (d)
        closedir(d);
    free(all);
    free(dir);
    return rc;
}

int cv_h5_keep(const char *path, const char *stem, int64_t number, int keep,
               cv_err *err)
{
    CV_CHECK(number >= 0 && keep >= 0 && stem[0] && !strchr(stem, '/'));
    int rc = 0;
    if (keep > 0) {
        char *dir = cv_fs_dirname(path);
        char *target = cv_asprintf("%s/%s-%06" PRId64 ".h5", dir, stem, number);
        rc = keep_as(path, target, err);
        free(target);
        free(dir);
    }
    if (!rc)
        rc = prune(path, stem, number, keep, err);
    if (!rc)
        rc = cv_fs_sync_dir_of(path, err);
    return rc;
}

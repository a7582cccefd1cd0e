/** A disk that fails and a process that is killed, for the tests of
 *  io/checkpoint: the system calls below take the place of libc's for the whole
 *  program, and fail or kill when told to. Also a folder to work in.
 *
 *  To be included once, after cmocka.h.
 */
#ifndef COVEY_TESTS_FAULTY_DISK_H
#define COVEY_TESTS_FAULTY_DISK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/io/checkpoint_sample.h"

enum {
    WRITES = 1,
    SYNCS = 2,
    RENAMES = 4,
    LINKS = 8,
    UNLINKS = 16,
    READS = 32
};

static struct {
    int calls;  /* which ones */
    int at;     /* fail from this one on, -1 never */
    int once;   /* or only this one */
    int errnum; /* 0: kill the process instead */
    int n;      /* calls so far */
} fault = {.at = -1};

static int faulty(int call)
{
    if (!(fault.calls & call) || fault.at < 0)
        return 0;
    int n = fault.n++;
    if (fault.once ? n != fault.at : n < fault.at)
        return 0;
    if (fault.errnum == 0)
        _exit(99); /* like kill -9: nothing is flushed or cleaned up */
    errno = fault.errnum;
    return 1;
}

ssize_t write(int fd, const void *buf, size_t n)
{
    return faulty(WRITES) ? -1 : syscall(SYS_write, fd, buf, n);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
    return faulty(WRITES) ? -1 : syscall(SYS_pwrite64, fd, buf, n, at);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t at)
{
    return faulty(WRITES) ? -1 : syscall(SYS_pwrite64, fd, buf, n, at);
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    return faulty(READS) ? -1 : syscall(SYS_pread64, fd, buf, n, at);
}

int ftruncate(int fd, off_t n)
{
    return faulty(WRITES) ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}

int ftruncate64(int fd, off64_t n)
{
    return faulty(WRITES) ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}

int fsync(int fd)
{
    return faulty(SYNCS) ? -1 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    return faulty(RENAMES)
               ? -1
               : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int link(const char *from, const char *to)
{
    return faulty(LINKS)
               ? -1
               : (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int fd, const char *path, int flags)
{
    return faulty(UNLINKS) ? -1 : (int)syscall(SYS_unlinkat, fd, path, flags);
}

static void fail_from(int calls, int at, int once, int errnum)
{
    fault.calls = calls;
    fault.at = at;
    fault.once = once;
    fault.errnum = errnum;
    fault.n = 0;
}

static void fail_never(void)
{
    fault.at = -1;
}

static char root[] = "/tmp/test_checkpoint.XXXXXX";
static char *dir, *file; /* root/run, and run.h5 in it */

/* dir, there and empty. */
static void wipe(void)
{
    assert_true(mkdir(dir, 0755) == 0 || errno == EEXIST);
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char *path = cv_fs_join(dir, e->d_name);
        if (e->d_name[0] != '.')
            assert_int_equal(remove(path), 0);
        free(path);
    }
    closedir(d);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(root))
        return -1;
    dir = cv_fs_join(root, "run");
    file = cv_fs_join(dir, "run.h5");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)umount2(dir, MNT_DETACH); /* of a test that broke off */
    char *command = cv_asprintf("rm -rf %s", root);
    int rc = system(command);
    free(command);
    free(dir);
    free(file);
    return rc;
}

/* Of the last call. */
static cv_err err;

#define OK(call)                                                               \
    do {                                                                       \
        err = (cv_err){0};                                                     \
        if ((call) != 0)                                                       \
            fail_msg("%s: %s: %s", #call, err.file, err.text);                 \
    } while (0)

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in dir, sorted, with blanks between. */
static const char *listing(void)
{
    static char text[4096];
    char *names[200];
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; n < 200 && (e = readdir(d));)
        if (e->d_name[0] != '.')
            names[n++] = cv_strdup(e->d_name);
    closedir(d);
    qsort(names, n, sizeof *names, by_name);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (i)
            strcat(text, " ");
        strcat(text, names[i]);
        free(names[i]);
    }
    return text;
}

static inline void put_text(const char *name)
{
    char *path = cv_fs_join(dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("text", f);
    assert_int_equal(fclose(f), 0);
    free(path);
}

/* The sample and 5 MB more. */
static int write_large(const char *path, uint64_t seed, cv_err *e)
{
    static float x[1200000];
    int64_t n = sizeof x / sizeof *x;
    cv_h5_writer *w;
    int rc = cv_h5_create(path, 0644, &w, e);
    if (!rc)
        rc = sample_fill(w, seed, e);
    if (!rc)
        rc = cv_h5_put(w, "/model/large", CV_H5_F32, 1, &n, x, NULL, NULL, e);
    if (!rc)
        return cv_h5_commit(&w, e);
    cv_h5_abort(&w);
    return rc;
}

#endif

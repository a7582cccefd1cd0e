/* io/checkpoint on a disk that fails and in a process that is killed: path
 * holds the old file or the new one, whole; nothing else is left behind.
 *
 * The system calls below take the place of libc's for this program, libhdf5
 * included, and fail or kill when told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
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

static void put_text(const char *name)
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

static void test_failing_calls(void **state)
{
    (void)state;
    static const struct {
        int calls, once, errnum;
        const char *says;
    } c[] = {
        {WRITES, 0, ENOSPC, "no space left on device"},
        {WRITES, 1, ENOSPC, "no space left on device"},
        {WRITES, 0, EDQUOT, "quota"},
        {WRITES, 1, EIO, "Input/output error"},
        {SYNCS, 0, EIO, "Input/output error"},
        {SYNCS, 1, EIO, "Input/output error"},
        {RENAMES, 0, EIO, "Input/output error"},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        int at = 0;
        for (;; at++) {
            wipe();
            OK(sample_write(file, 1, &err));
            fail_from(c[i].calls, at, c[i].once, c[i].errnum);
            int rc = i % 2 ? write_large(file, 2, &err)
                           : sample_write(file, 2, &err);
            fail_never();
            assert_string_equal(listing(), "run.h5");
            if (rc == 0)
                break;
            assert_int_equal(rc, CV_ERR_ENV);
            assert_non_null(strstr(err.file, "run"));
            if (!strstr(err.text, c[i].says))
                fail_msg("case %zu, call %d: %s", i, at, err.text);
            /* The folder is synced last, when the new file is in place. */
            uint64_t seed = c[i].calls == SYNCS && at == 1 ? 2 : 1;
            OK(sample_read(file, seed, &err));
        }
        OK(sample_read(file, 2, &err));
        assert_true(at >= 1);
        if (c[i].calls == SYNCS) /* the file, and the folder */
            assert_int_equal(at, 2);
        print_message("case %zu: %d calls\n", i, at);
    }
}

static void test_failing_reads(void **state)
{
    (void)state;
    wipe();
    OK(sample_write(file, 1, &err));
    for (int at = 0;; at++) {
        fail_from(READS, at, at % 2, at % 3 ? EIO : EINTR);
        /* Interrupted calls are made again, so only one of them. */
        fault.once |= fault.errnum == EINTR;
        int rc = sample_read(file, 1, &err);
        fail_never();
        if (fault.n <= at) {
            assert_true(at > 50);
            break;
        }
        assert_int_equal(rc, fault.errnum == EINTR ? 0 : CV_ERR_ENV);
        if (rc)
            assert_non_null(strstr(err.text, "Input/output error"));
    }
    /* Cut by somebody while it is open. */
    cv_h5_reader *r;
    OK(cv_h5_open(file, 1, &r, &err));
    assert_int_equal(truncate(file, 1000), 0);
    assert_int_equal(sample_check(r, 1, &err), CV_ERR_VERIFY);
    assert_non_null(strstr(err.text, "damaged file"));
    cv_h5_close(&r);
}

/* 64 kB of room: the sample fits, the large file does not. */
static void fill_up(const char *path)
{
    OK(sample_write(path, 1, &err));
    int rc = write_large(path, 2, &err);
    assert_int_equal(rc, CV_ERR_ENV);
    print_message("%s\n", err.text);
    OK(sample_read(path, 1, &err));
}

static void test_full_disk(void **state)
{
    (void)state;
    wipe();
    if (mount("none", dir, "tmpfs", 0, "size=64k") != 0) {
        print_message("cannot mount (%s): skipped\n", strerror(errno));
        skip();
    }
    fill_up(file);
    assert_int_equal(write_large(file, 2, &err), CV_ERR_ENV);
    assert_non_null(strstr(err.text, "no space left on device"));
    assert_string_equal(listing(), "run.h5");
    OK(sample_write(file, 3, &err));
    OK(sample_read(file, 3, &err));
    assert_int_equal(umount(dir), 0);
}

static void test_file_size_limit(void **state)
{
    (void)state;
    wipe();
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {65536, 65536};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        int rc = sample_write(file, 1, &err);
        rc = rc ? 1 : write_large(file, 2, &err) != CV_ERR_ENV;
        _exit(rc || !strstr(err.text, "File too large"));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_string_equal(listing(), "run.h5");
    OK(sample_read(file, 1, &err));
}

static void test_folders(void **state)
{
    (void)state;
    cv_h5_writer *w = (cv_h5_writer *)&err;
    wipe();
    /* No such folder. */
    char *path = cv_asprintf("%s/none/run.h5", dir);
    assert_int_equal(cv_h5_create(path, 0644, &w, &err), CV_ERR_ENV);
    assert_null(w);
    assert_non_null(strstr(err.text, "No such file"));
    free(path);
    /* A folder in the file's place. */
    assert_int_equal(mkdir(file, 0755), 0);
    assert_int_equal(sample_write(file, 1, &err), CV_ERR_ENV);
    assert_non_null(strstr(err.text, "Is a directory"));
    assert_string_equal(listing(), "run.h5");
    assert_int_equal(rmdir(file), 0);
    /* Not ours to write; root may, so as somebody else. */
    OK(sample_write(file, 1, &err));
    assert_int_equal(chmod(root, 0755) | chmod(dir, 0555), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(1);
        int rc = cv_h5_create(file, 0644, &w, &err);
        _exit(rc != CV_ERR_ENV || !strstr(err.text, "Permission denied"));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(dir, 0755), 0);
    OK(sample_read(file, 1, &err));
}

static int seed_of(const char *path, uint64_t *seed)
{
    cv_h5_reader *r;
    int64_t v = -1;
    if (cv_h5_open(path, 1, &r, &err) != 0)
        fail_msg("%s", err.text);
    int rc = cv_h5_get_attr_i64(r, "/", "seed", &v, &err);
    cv_h5_close(&r);
    *seed = (uint64_t)v;
    return rc;
}

static void test_kill(void **state)
{
    (void)state;
    cv_stream s;
    uint64_t seed, last = 0;
    wipe();
    OK(sample_write(file, 0, &err));
    cv_stream_open(&s, 3, "kill", 0, 0);
    for (int i = 0; i < 60; i++) {
        int done[2];
        char byte;
        assert_int_equal(pipe(done), 0);
        pid_t pid = fork();
        if (pid == 0)
            for (uint64_t k = last + 1;; k++)
                if ((k % 3 ? sample_write(file, k, NULL)
                           : write_large(file, k, NULL)) != 0 ||
                    cv_h5_keep(file, "round", (int64_t)k, 2, NULL) != 0 ||
                    write(done[1], "x", 1) != 1)
                    _exit(1);
        /* After 0 to 2 files, and a moment more. */
        for (uint64_t k = cv_stream_below(&s, 3); k > 0; k--)
            assert_int_equal(read(done[0], &byte, 1), 1);
        usleep((useconds_t)cv_stream_below(&s, 10000));
        kill(pid, SIGKILL);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(close(done[0]) | close(done[1]), 0);
        assert_int_equal(seed_of(file, &seed), 0);
        assert_true(seed >= last);
        OK(sample_read(file, seed, &err));
        last = seed;
    }
    cv_stream_close(&s);
    print_message("%d files written, whole after every kill\n", (int)last);
    assert_true(last > 30);
    /* The next writer clears up. */
    OK(sample_write(file, last + 1, &err));
    OK(cv_h5_keep(file, "round", (int64_t)last + 1, 2, &err));
    int64_t *numbers;
    size_t n;
    OK(cv_h5_list(dir, "round", &numbers, &n, &err));
    assert_true(n >= 1 && n <= 2 && numbers[0] == (int64_t)last + 1);
    for (size_t i = 0; i < n; i++) {
        char *path = cv_asprintf("%s/round-%06d.h5", dir, (int)numbers[i]);
        OK(sample_read(path, (uint64_t)numbers[i], &err));
        free(path);
    }
    assert_null(strstr(listing(), "tmp"));
    free(numbers);
}

/* Killed at each call that changes the folder, then done again. */
static void test_kill_in_keep(void **state)
{
    (void)state;
    const int all = WRITES | SYNCS | RENAMES | LINKS | UNLINKS;
    for (int at = 0;; at++) {
        wipe();
        for (int i = 1; i <= 4; i++) {
            OK(sample_write(file, (uint64_t)i, &err));
            OK(cv_h5_keep(file, "round", i, 9, &err));
        }
        OK(sample_write(file, 5, &err));
        pid_t pid = fork();
        if (pid == 0) {
            fail_from(all, at, 0, 0);
            _exit(cv_h5_keep(file, "round", 5, 2, NULL) != 0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        OK(sample_read(file, 5, &err));
        OK(cv_h5_keep(file, "round", 5, 2, &err));
        assert_string_equal(listing(), "round-000004.h5 round-000005.h5 "
                                       "run.h5");
        char *path = cv_fs_join(dir, "round-000005.h5");
        OK(sample_read(path, 5, &err));
        free(path);
        if (status == 0) {
            assert_true(at > 4);
            return;
        }
        assert_int_equal(WEXITSTATUS(status), 99);
    }
}

static void test_stale(void **state)
{
    (void)state;
    wipe();
    pid_t dead = fork();
    if (dead == 0)
        _exit(0);
    waitpid(dead, NULL, 0);
    char *name[] = {cv_asprintf("run.h5.tmp.%d", (int)dead),
                    cv_asprintf("run.h5.tmp.%d", (int)getpid()),
                    cv_asprintf("run.h5.tmp.%d", (int)getppid()),
                    cv_asprintf("run.h5.tmp.%d.bak", (int)dead),
                    cv_asprintf("other.h5.tmp.%d", (int)dead),
                    cv_strdup("run.h5.tmp."),
                    cv_strdup("run.h5.tmp.-1"),
                    cv_strdup("run.h5.tmp.99999999999999999999")};
    for (int i = 0; i < 8; i++)
        put_text(name[i]);
    OK(sample_write(file, 1, &err));
    OK(sample_read(file, 1, &err));
    for (int i = 0; i < 8; i++) {
        char *path = cv_fs_join(dir, name[i]);
        /* Only the first two: of a dead process, and of this one. */
        assert_int_equal(cv_fs_exists(path), i >= 2);
        free(path);
        free(name[i]);
    }
}

/* A second writer of the same path takes over; the first must not commit the
 * second one's half-written file. */
static void test_two_writers(void **state)
{
    (void)state;
    cv_h5_writer *a = NULL, *b = NULL;
    wipe();
    OK(cv_h5_create(file, 0644, &a, &err));
    OK(sample_fill(a, 1, &err));
    OK(cv_h5_create(file, 0644, &b, &err));
    assert_int_equal(cv_h5_commit(&a, &err), CV_ERR_ENV);
    assert_null(a);
    assert_false(cv_fs_exists(file));
    OK(sample_fill(b, 2, &err));
    OK(cv_h5_commit(&b, &err));
    OK(sample_read(file, 2, &err));
    assert_string_equal(listing(), "run.h5");
}

static void test_keep(void **state)
{
    (void)state;
    static const char *const foreign[] = {
        "round-1.h5",      "round-0000001.h5", "round-000001.h5.bak",
        "round-00000a.h5", "round--00001.h5",  "round-000001.hdf5",
        "silo-000001.h5",  "round-.h5",        "xround-000001.h5"};
    static const struct {
        int64_t number;
        int keep;
        const char *left;
    } c[] = {
        {1, 3, "round-000001.h5"},
        {2, 3, "round-000001.h5 round-000002.h5"},
        {2, 3, "round-000001.h5 round-000002.h5"},
        {3, 3, "round-000001.h5 round-000002.h5 round-000003.h5"},
        {10, 3, "round-000002.h5 round-000003.h5 round-000010.h5"},
        {1000000, 2, "round-000010.h5 round-1000000.h5"},
        /* Resumed from an older round: later ones are void. */
        {4, 2, "round-000004.h5"},
        {5, 2, "round-000004.h5 round-000005.h5"},
        {4, 2, "round-000004.h5"},
        {5, 0, ""},
        {6, 1, "round-000006.h5"},
    };
    for (int copies = 0; copies < 2; copies++) {
        wipe();
        for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
            char *expected =
                cv_asprintf("%s%srun.h5", c[i].left, c[i].left[0] ? " " : "");
            OK(sample_write(file, i, &err));
            fail_from(LINKS, copies ? 0 : -1, 0, EPERM);
            OK(cv_h5_keep(file, "round", c[i].number, c[i].keep, &err));
            fail_never();
            assert_string_equal(listing(), expected);
            free(expected);
            OK(sample_read(file, i, &err));
            char *path =
                cv_asprintf("%s/round-%06lld.h5", dir, (long long)c[i].number);
            if (c[i].keep)
                OK(sample_read(path, i, &err));
            free(path);
        }
    }
    wipe();
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        put_text(foreign[i]);
    char *sub = cv_fs_join(dir, "round-000000.h5");
    assert_int_equal(mkdir(sub, 0755), 0); /* a folder of that name */
    OK(sample_write(file, 1, &err));
    OK(cv_h5_keep(file, "round", 7, 1, &err));
    OK(cv_h5_keep(file, "round", 8, 0, &err));
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        char *path = cv_fs_join(dir, foreign[i]);
        assert_true(cv_fs_exists(path));
        free(path);
    }
    assert_true(cv_fs_exists(sub));
    free(sub);
    int64_t *numbers;
    size_t n;
    OK(cv_h5_list(dir, "round", &numbers, &n, &err));
    assert_int_equal(n, 0);
    free(numbers);
}

static void test_keep_fails(void **state)
{
    (void)state;
    static const struct {
        int calls, errnum;
    } c[] = {{LINKS | WRITES, ENOSPC},
             {RENAMES, EIO},
             {SYNCS, EIO},
             {UNLINKS, EACCES}};
    wipe();
    assert_int_equal(cv_h5_keep(file, "round", 1, 1, &err), CV_ERR_ENV);
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        wipe();
        OK(sample_write(file, 1, &err));
        OK(cv_h5_keep(file, "round", 1, 1, &err));
        OK(sample_write(file, 2, &err));
        fail_from(c[i].calls, 0, 0, c[i].errnum);
        assert_int_equal(cv_h5_keep(file, "round", 2, 1, &err), CV_ERR_ENV);
        fail_never();
        assert_true(err.text[0]);
        OK(sample_read(file, 2, &err));
        assert_null(strstr(listing(), "tmp"));
        OK(cv_h5_keep(file, "round", 2, 1, &err));
        assert_string_equal(listing(), "round-000002.h5 run.h5");
    }
    int64_t *numbers;
    size_t n;
    char *none = cv_fs_join(dir, "none");
    assert_int_equal(cv_h5_list(none, "round", &numbers, &n, &err),
                     CV_ERR_INPUT);
    assert_null(numbers);
    free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failing_calls),
        cmocka_unit_test(test_failing_reads),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_file_size_limit),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_kill_in_keep),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_two_writers),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_keep_fails),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

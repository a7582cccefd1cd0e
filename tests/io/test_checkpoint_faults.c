/* io/checkpoint on a disk that fails: path holds the old file or the new one,
 * whole; nothing else is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/resource.h>

#include "tests/io/faulty_disk.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failing_calls),
        cmocka_unit_test(test_failing_reads),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_file_size_limit),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_two_writers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

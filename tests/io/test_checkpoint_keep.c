/* io/checkpoint in a process that is killed, and the files it keeps: path holds
 * the old file or the new one, whole, and doing it again clears up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/io/faulty_disk.h"

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
        assert_int_equal(close(done[1]), 0);
        /* After 0 to 2 files, and a moment more. */
        for (uint64_t k = cv_stream_below(&s, 3); k > 0; k--)
            assert_int_equal(read(done[0], &byte, 1), 1);
        usleep((useconds_t)cv_stream_below(&s, 10000));
        kill(pid, SIGKILL);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(close(done[0]), 0);
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
        cmocka_unit_test(test_kill),       cmocka_unit_test(test_kill_in_keep),
        cmocka_unit_test(test_stale),      cmocka_unit_test(test_keep),
        cmocka_unit_test(test_keep_fails),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* io/journal on a disk that fails and in a process that is killed: every
 * append that returned is there, one that failed is not, and no file is left
 * that the next run could not open. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <time.h>

#include "core/rand.h"
#include "tests/io/faulty_calls.h"
#include "tests/io/journal_fixture.h"

/* Journal of n entries, open. */
static cv_journal *opened(size_t n)
{
    cv_journal *j = NULL;
    make(n);
    OK(cv_journal_open(file, &j, &err));
    return j;
}

/* As on the disk: n entries, size bytes. */
static void assert_file(size_t n, size_t size)
{
    cv_journal *j = NULL;
    size_t len;
    free(content(&len));
    assert_int_equal(len, size);
    OK(cv_journal_read(file, &j, &err));
    assert_true(holds(j, n));
    cv_journal_close(&j);
}

static void a_failed_append_leaves_nothing(void **state)
{
    (void)state;
    static const struct {
        int calls, errnum;
        const char *says;
    } c[] = {{WRITES, ENOSPC, "No space left"},
             {WRITES, EDQUOT, "quota"},
             {WRITES, EROFS, "Read-only"},
             {SYNCS, EIO, "Input/output error"},
             {SYNCS, ENOSPC, "No space left"}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        cv_journal *j = opened(5);
        cv_journal_entry e = entry_of(5);
        size_t size;
        free(content(&size));
        for (int again = 0; again < 3; again++) {
            fail_from(c[i].calls, 0, 1, c[i].errnum);
            int rc = cv_journal_append(j, &e, &err);
            fail_never();
            assert_int_equal(rc, CV_ERR_ENV);
            assert_string_equal(err.file, file);
            assert_non_null(strstr(err.text, c[i].says));
            assert_true(holds(j, 5));
            assert_file(5, size);
        }
        OK(cv_journal_append(j, &e, &err));
        assert_true(holds(j, 6));
        cv_journal_close(&j);
        OK(cv_journal_open(file, &j, &err));
        assert_true(holds(j, 6));
        cv_journal_close(&j);
    }
}

/* A write that comes to its end, and one that stops after some bytes. */
static void short_writes(void **state)
{
    (void)state;
    cv_journal *j = opened(1);
    cv_journal_entry e = entry_of(1);
    size_t before, after;
    free(content(&before));
    OK(cv_journal_append(j, &e, &err));
    free(content(&after));
    int line = (int)(after - before);
    cv_journal_close(&j);
    for (int part = 1; part < line; part++) {
        make(1);
        OK(cv_journal_open(file, &j, &err));
        fail_from(WRITES, 0, 1, EINTR); /* only the first, and it did some */
        fault.part = part;
        int rc = cv_journal_append(j, &e, &err);
        assert_int_equal(fault.n, 2);
        fail_never();
        assert_int_equal(rc, 0);
        assert_file(2, after);
        cv_journal_close(&j);
    }
    /* The rest finds no room; nor can it be taken back. */
    for (int part = 1; part < line; part += 7) {
        make(1);
        OK(cv_journal_open(file, &j, &err));
        fail_from(WRITES, 0, 0, ENOSPC);
        fault.part = part;
        assert_int_equal(cv_journal_append(j, &e, &err), CV_ERR_ENV);
        fail_never();
        assert_true(holds(j, 1));
        assert_int_equal(cv_journal_append(j, &e, &err), CV_ERR_ENV);
        assert_non_null(strstr(err.text, "earlier entry"));
        cv_journal_close(&j);
        OK(cv_journal_open(file, &j, &err)); /* torn */
        assert_true(holds(j, 1));
        OK(cv_journal_append(j, &e, &err));
        cv_journal_close(&j);
        assert_file(2, after);
    }
}

static void interrupted_calls_are_made_again(void **state)
{
    (void)state;
    static const int calls[] = {WRITES, SYNCS, READS};
    for (int i = 0; i < 3; i++)
        for (int at = 0; at < 8; at++) {
            cv_journal *j = NULL;
            cv_journal_entry e = entry_of(2);
            if (calls[i] == SYNCS && at == 1)
                continue; /* of the folder: core's */
            make(3);
            size_t len;
            char *text = content(&len);
            replace(text, len - 1); /* to be cut: all calls are made */
            free(text);
            fail_from(calls[i], at, 1, EINTR);
            OK(cv_journal_open(file, &j, &err));
            OK(cv_journal_append(j, &e, &err));
            fail_never();
            assert_true(holds(j, 3));
            cv_journal_close(&j);
        }
}

/* When even the way back fails, nothing more is taken; what the disk then
 * holds is the old entries, or those and the new one. */
static void a_disk_that_is_gone(void **state)
{
    (void)state;
    for (int at = 0; at < 2; at++) {
        cv_journal *j = opened(3);
        cv_journal_entry e = entry_of(3);
        fail_from(WRITES | SYNCS, at, 0, EIO);
        assert_int_equal(cv_journal_append(j, &e, &err), CV_ERR_ENV);
        assert_non_null(strstr(err.text, "Input/output error"));
        fail_never();
        assert_true(holds(j, 3));
        assert_int_equal(cv_journal_append(j, &e, &err), CV_ERR_ENV);
        assert_non_null(strstr(err.text, "earlier entry"));
        cv_journal_close(&j);
        OK(cv_journal_open(file, &j, &err));
        assert_true(holds(j, at == 0 ? 3 : 4));
        cv_journal_close(&j);
    }
}

static void opening_on_a_failing_disk(void **state)
{
    (void)state;
    static const int calls[] = {READS, SYNCS, WRITES};
    for (int i = 0; i < 3; i++) {
        int at = 0;
        for (;; at++) {
            cv_journal *j = (cv_journal *)&err;
            make(100);
            size_t len;
            char *text = content(&len);
            replace(text, len - 3);
            free(text);
            fail_from(calls[i], at, at % 2, EIO);
            int rc = cv_journal_open(file, &j, &err);
            int n = fault.n;
            fail_never();
            if (n <= at) {
                OK(rc);
                assert_true(holds(j, 99));
                cv_journal_close(&j);
                break;
            }
            assert_int_equal(rc, CV_ERR_ENV);
            assert_null(j);
            assert_non_null(strstr(err.text, "Input/output error"));
            OK(cv_journal_open(file, &j, &err));
            assert_true(holds(j, 99));
            cv_journal_close(&j);
        }
        /* Entries and folder are synced; the line is cut. */
        assert_int_equal(at, i == 0 ? at : i == 1 ? 2 : 1);
        assert_true(at >= 1);
    }
}

/* The file appears whole or not at all. */
static void making_on_a_failing_disk(void **state)
{
    (void)state;
    static const int calls[] = {WRITES, SYNCS, RENAMES};
    for (int i = 0; i < 3; i++)
        for (int at = 0;; at++) {
            cv_journal *j = (cv_journal *)&err;
            unlink(file);
            fail_from(calls[i], at, 1, ENOSPC);
            int rc = cv_journal_open(file, &j, &err);
            int n = fault.n;
            fail_never();
            if (n <= at) {
                OK(rc);
                cv_journal_close(&j);
                assert_true(at >= 1);
                break;
            }
            assert_int_equal(rc, CV_ERR_ENV);
            assert_null(j);
            OK(cv_journal_open(file, &j, &err));
            assert_true(holds(j, 0));
            cv_journal_close(&j);
        }
}

static void a_full_disk(void **state)
{
    (void)state;
    char *dir = cv_fs_join(root, "full"), *before = file;
    assert_int_equal(mkdir(dir, 0700), 0);
    if (mount("none", dir, "tmpfs", 0, "size=16k") != 0) {
        print_message("cannot mount (%s): skipped\n", strerror(errno));
        free(dir);
        skip();
    }
    file = cv_fs_join(dir, "silo-north.journal");
    cv_journal *j = opened(0);
    size_t n = 0, size = 0;
    for (int rc = 0; !rc;) {
        cv_journal_entry e = entry_of(n);
        free(content(&size));
        rc = cv_journal_append(j, &e, &err);
        n += rc == 0;
        assert_true(n < 100);
    }
    assert_non_null(strstr(err.text, "No space left"));
    assert_true(n >= 8);
    assert_true(holds(j, n));
    assert_file(n, size);
    cv_journal_close(&j);
    OK(cv_journal_open(file, &j, &err));
    assert_true(holds(j, n));
    cv_journal_close(&j);
    assert_int_equal(umount(dir), 0);
    free(file);
    file = before;
    free(dir);
}

/* Room for some entries and a part of one. */
static void a_limit_on_the_size(void **state)
{
    (void)state;
    make(4);
    size_t size;
    free(content(&size));
    for (size_t more = 0; more < 600; more += 37) {
        make(4);
        pid_t pid = fork();
        if (pid == 0) {
            struct rlimit limit = {size + more, size + more};
            cv_journal *j = NULL;
            cv_journal_entry e = entry_of(4);
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &limit);
            if (cv_journal_open(file, &j, &err) != 0)
                _exit(1);
            for (int i = 0; i < 2; i++)
                if (cv_journal_append(j, &e, &err) != CV_ERR_ENV ||
                    !strstr(err.text, "File too large") || !holds(j, 4))
                    _exit(2);
            _exit(0);
        }
        assert_int_equal(exit_code(pid), 0);
        assert_file(4, size);
    }
}

/* ---- killed --------------------------------------------------------------- */

/* Appends from entry n on until it is killed, and says so after each. */
static void append_and_tell(size_t n, int tell)
{
    size_t end = n + 20000; /* less than the pipe holds: no hang */
    cv_journal *j = NULL;
    if (cv_journal_open(file, &j, &err) != 0)
        _exit(1);
    for (; n < end; n++) {
        cv_journal_entry e = entry_of(n);
        if (cv_journal_append(j, &e, &err) != 0)
            _exit(2);
        if (syscall(SYS_write, tell, "x", 1) != 1)
            _exit(3);
    }
    _exit(4);
}

/* Entries that the child told of. */
static size_t told(int fd)
{
    char buf[4096];
    size_t n = 0;
    for (ssize_t k; (k = read(fd, buf, sizeof buf)) > 0;)
        n += (size_t)k;
    close(fd);
    return n;
}

/* What is there: all that was told of, and at most one more. */
static size_t survivors(size_t before, size_t n_told)
{
    cv_journal *j = NULL;
    size_t n;
    OK(cv_journal_open(file, &j, &err));
    (void)cv_journal_entries(j, &n);
    if (n < before + n_told || n > before + n_told + 1 || !holds(j, n))
        fail_msg("%zu entries, %zu told of", n, before + n_told);
    cv_journal_close(&j);
    return n;
}

/* A reader beside the writer finds whole entries, in order. */
static void look_on(size_t before)
{
    cv_journal *j = NULL;
    size_t n;
    if (!cv_fs_exists(file))
        return;
    OK(cv_journal_read(file, &j, &err));
    (void)cv_journal_entries(j, &n);
    assert_true(n >= before && holds(j, n));
    cv_journal_close(&j);
}

static void killed_at_any_time(void **state)
{
    (void)state;
    cv_stream s;
    size_t n = 0, most = 0;
    cv_stream_open(&s, 5, "kill", 0, 0);
    unlink(file);
    for (int i = 0; i < 150; i++) {
        int tell[2];
        assert_int_equal(pipe(tell), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(tell[0]);
            append_and_tell(n, tell[1]);
        }
        close(tell[1]);
        struct timespec wait = {
            0, (long)(cv_stream_uniform(&s) * (i % 3 ? 3e6 : 8e5))};
        nanosleep(&wait, NULL);
        look_on(n);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(exit_code(pid), 1000 + SIGKILL);
        size_t k = told(tell[0]);
        n = survivors(n, k);
        most = k > most ? k : most;
    }
    cv_stream_close(&s);
    print_message("%zu entries, at most %zu between two kills\n", n, most);
    assert_true(most >= 1);
}

/* Killed in the middle of each system call: bytes of the line are there. */
static void killed_in_a_call(void **state)
{
    (void)state;
    size_t n = 0;
    make(0);
    for (int i = 0; i < 200; i++) {
        int tell[2];
        assert_int_equal(pipe(tell), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(tell[0]);
            fail_from(i % 4 == 3 ? SYNCS : WRITES, i % 7, 0, 0);
            fault.part = (i * 37) % 1100;
            append_and_tell(n, tell[1]);
        }
        close(tell[1]);
        assert_int_equal(exit_code(pid), 99);
        n = survivors(n, told(tell[0]));
    }
    assert_true(n > 200);
}

/* Killed while it is made: nothing, or a whole one; and no later process is
 * kept from making it. */
static void killed_while_it_is_made(void **state)
{
    (void)state;
    static const int calls[] = {WRITES, SYNCS, RENAMES};
    for (int i = 0; i < 3; i++)
        for (int at = 0; at < 3; at++)
            for (int part = 0; part < 60; part += 20) {
                unlink(file);
                pid_t pid = fork();
                if (pid == 0) {
                    cv_journal *j = NULL;
                    fail_from(calls[i], at, 0, 0);
                    fault.part = part;
                    _exit(cv_journal_open(file, &j, &err) != 0);
                }
                int code = exit_code(pid);
                assert_true(code == 99 || code == 0);
                survivors(0, 0);
            }
}

static int tear_down_disk(void **state)
{
    char *dir = cv_fs_join(root, "full");
    (void)umount2(dir, MNT_DETACH); /* of a test that broke off */
    free(dir);
    return tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_append_leaves_nothing),
        cmocka_unit_test(short_writes),
        cmocka_unit_test(interrupted_calls_are_made_again),
        cmocka_unit_test(a_disk_that_is_gone),
        cmocka_unit_test(opening_on_a_failing_disk),
        cmocka_unit_test(making_on_a_failing_disk),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(a_limit_on_the_size),
        cmocka_unit_test(killed_at_any_time),
        cmocka_unit_test(killed_in_a_call),
        cmocka_unit_test(killed_while_it_is_made),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down_disk);
}

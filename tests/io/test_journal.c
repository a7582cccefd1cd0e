/* io/journal: what is written is read back, one run at a time, who may read
 * it. */
#include <float.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/hash.h"
#include "core/log.h"
#include "tests/io/journal_fixture.h"

#define MANY  ((int64_t)1 << 53)
#define STEPS ((int64_t)1 << 50)
#define PARTY ((int64_t)1 << 31)

static void entries_come_back(void **state)
{
    (void)state;
    cv_journal *j = NULL;
    enum { N = 300 }; /* more than one piece of the file */
    make(N);
    OK(cv_journal_open(file, &j, &err));
    assert_true(holds(j, N));
    cv_journal_entry e = entry_of(N);
    OK(cv_journal_append(j, &e, &err));
    assert_true(holds(j, N + 1));
    cv_journal_close(&j);
    OK(cv_journal_read(file, &j, &err));
    assert_true(holds(j, N + 1));
    cv_journal_close(&j);
    cv_journal_close(&j);
}

static void extreme_numbers_come_back(void **state)
{
    (void)state;
    static const cv_journal_cost cost[] = {
        {0},
        {DBL_MAX, 1.0, STEPS, DBL_MAX, PARTY, MANY, 1.0, PARTY, 1},
        {DBL_MIN, DBL_MIN, 1, DBL_TRUE_MIN, 1, 1, DBL_TRUE_MIN, 1, 0},
        {0.1, 1.0 / 3.0, MANY / 8, 0.1 + 0.2, PARTY - 1, MANY - 1, DBL_EPSILON,
         0, 1},
        {1.0 + DBL_EPSILON, 1.0 - DBL_EPSILON / 2, STEPS - 1, 0x1.fffffp+30, 0,
         0, 5e-324, 7, 1},
        {-0.0, 0x1.23456789abcdep-1000, 0, 123456789.123456789, 2, 3,
         2.2250738585072011e-308, 1, 0}};
    enum { N = sizeof cost / sizeof cost[0] };
    cv_journal *j = NULL;
    cv_journal_entry e[2 * N];
    size_t n;
    make(0);
    OK(cv_journal_open(file, &j, &err));
    for (int i = 0; i < 2 * N; i++) {
        e[i] = (cv_journal_entry){.kind = i < N ? CV_JOURNAL_ATTEMPT
                                                : CV_JOURNAL_SIGNED,
                                  .round = i % 2 ? MANY : 0,
                                  .attempt = i % 3 ? MANY : MANY - 1,
                                  .draw = i % 3 ? i : MANY - 1};
        memset(e[i].run_id, i % 2 ? 255 : 0, 32);
        memset(e[i].vector, i % 3 ? 0 : 255, 32);
        e[i].place[31] = 1;
        e[i].data[0] = 0x0a; /* would be a line end */
        if (i < N)
            e[i].cost = cost[i];
        else
            memset(e[i].head, i, 32);
        OK(cv_journal_append(j, e + i, &err));
    }
    cv_journal_close(&j);
    OK(cv_journal_read(file, &j, &err));
    const cv_journal_entry *found = cv_journal_entries(j, &n);
    assert_int_equal(n, 2 * N);
    for (int i = 0; i < 2 * N; i++)
        if (!same(found + i, e + i))
            fail_msg("entry %d", i);
    cv_journal_close(&j);
}

static void entries_out_of_range_are_refused(void **state)
{
    (void)state;
    cv_journal *j = NULL;
    size_t before, after;
    make(2);
    free(content(&before));
    OK(cv_journal_open(file, &j, &err));
    for (int i = 0;; i++) {
        cv_journal_entry e = entry_of(1), s = entry_of(3), *p = &e;
        switch (i) {
        case 0:
            e.kind = 0;
            break;
        case 1:
            e.kind = 3;
            break;
        case 2:
            e.round = -1;
            break;
        case 3:
            e.round = MANY + 1;
            break;
        case 4:
            e.attempt = INT64_MAX;
            break;
        case 5:
            e.draw = e.attempt + 1;
            break;
        case 6:
            e.draw = INT64_MIN;
            break;
        case 7:
            e.cost.noise_multiplier = -1.0;
            break;
        case 8:
            e.cost.noise_multiplier = 1.0 / 0.0;
            break;
        case 9:
            e.cost.sensitivity = 0.0 / 0.0;
            break;
        case 10:
            e.cost.sampling = 1.0 + DBL_EPSILON;
            break;
        case 11:
            e.cost.sampler = 2.0;
            break;
        case 12:
            e.cost.steps = STEPS + 1;
            break;
        case 13:
            e.cost.shares = PARTY + 1;
            break;
        case 14:
            e.cost.dimension = -1;
            break;
        case 15:
            e.cost.collusion = PARTY + 1;
            break;
        case 16:
            e.cost.unit = 2;
            break;
        case 17:
            e.cost.unit = -1;
            break;
        case 18:
            e.head[31] = 1;
            break;
        case 19:
            e.supersedes[0] = 1;
            break;
        case 20:
            s.cost.steps = 1;
            p = &s;
            break;
        case 21:
            s.cost.sampler = 1e-30;
            p = &s;
            break;
        case 22:
            s.cost.unit = 1;
            p = &s;
            break;
        default:
            p = NULL;
            break;
        }
        if (!p) {
            assert_int_equal(i, 23);
            break;
        }
        if (cv_journal_append(j, p, &err) != CV_ERR_BUG)
            fail_msg("case %d was taken", i);
    }
    assert_true(holds(j, 2));
    free(content(&after));
    assert_int_equal(before, after);
    cv_journal_close(&j);
}

/* The format, computed here once more. */
static void lines_are_the_documented_ones(void **state)
{
    (void)state;
    make(2);
    size_t len;
    char *text = content(&len), *save = NULL, *line = text;
    uint8_t before[16] = {0};
    assert_non_null(strstr(text, "covey journal 1 silo north made=2"));
    assert_ptr_equal(strstr(text, "covey journal 1"), text);
    assert_non_null(strstr(text, "\nattempt run=01"));
    assert_non_null(strstr(
        text, " round=1 attempt=2 draw=2 noise_multiplier=1.2 sampling=0.01 "
              "steps=21 sensitivity=65536.33333333333 shares=3 "
              "dimension=159010 sampler=1.925929944387236e-34 collusion=1 "
              "unit=silo data="));
    assert_non_null(strstr(text, " vector=- check="));
    assert_null(strstr(text, "head="));
    int lines = 0;
    for (line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        char *check = strstr(line, " check="), hex[33];
        uint8_t digest[32], *both = malloc(16 + (size_t)(check - line));
        memcpy(both, before, 16);
        memcpy(both + 16, line, (size_t)(check - line));
        cv_sha256_of(digest, both, 16 + (size_t)(check - line));
        free(both);
        cv_hex(hex, digest, 16);
        assert_string_equal(check + 7, hex);
        memcpy(before, digest, 16);
        lines++;
    }
    assert_int_equal(lines, 3);
    free(text);
}

/* ---- who has it ----------------------------------------------------------- */

static void one_run_at_a_time(void **state)
{
    (void)state;
    cv_journal *j = NULL, *second = NULL, *reader = NULL;
    make(3);
    OK(cv_journal_open(file, &j, &err));
    assert_int_equal(cv_journal_open(file, &second, &err), CV_ERR_ENV);
    assert_null(second);
    assert_non_null(strstr(err.text, "another run of this silo"));
    OK(cv_journal_read(file, &reader, &err));
    assert_true(holds(reader, 3));
    cv_journal_close(&reader);
    pid_t pid = fork();
    if (pid == 0) {
        int rc = cv_journal_open(file, &second, &err);
        _exit(rc != CV_ERR_ENV || !strstr(err.text, "another run") ||
              cv_journal_read(file, &reader, &err) != 0 || !holds(reader, 3));
    }
    assert_int_equal(exit_code(pid), 0);
    cv_journal_close(&j);
    /* Held by another process, until it is killed. */
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        if (cv_journal_open(file, &j, &err) == 0 && write(ready[1], "x", 1))
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(cv_journal_open(file, &second, &err), CV_ERR_ENV);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(exit_code(pid), 1000 + SIGKILL);
    OK(cv_journal_open(file, &second, &err));
    assert_true(holds(second, 3));
    cv_journal_close(&second);
    close(ready[0]);
    close(ready[1]);
}

/* Many at once, and no file yet: one of them gets it, whole. */
static void makers_do_not_meet(void **state)
{
    (void)state;
    enum { N = 8 };
    for (int round = 0; round < 20; round++) {
        int go[2], got = 0;
        char byte;
        pid_t pid[N];
        unlink(file);
        assert_int_equal(pipe(go), 0);
        for (int i = 0; i < N; i++) {
            pid[i] = fork();
            if (pid[i] == 0) {
                cv_journal *j = NULL;
                cv_journal_entry e = entry_of(0);
                close(go[1]);
                (void)!read(go[0], &byte, 1);
                int rc = cv_journal_open(file, &j, &err);
                if (rc == CV_ERR_ENV && strstr(err.text, "another run"))
                    _exit(0);
                size_t n = 0;
                if (rc == 0)
                    (void)cv_journal_entries(j, &n);
                if (rc == 0 && n == 0)
                    rc = cv_journal_append(j, &e, &err);
                _exit(rc ? 2 : 1);
            }
        }
        close(go[0]);
        close(go[1]);
        for (int i = 0; i < N; i++) {
            int code = exit_code(pid[i]);
            assert_in_range(code, 0, 1);
            got += code;
        }
        assert_true(got >= 1);
        cv_journal *j = NULL;
        OK(cv_journal_open(file, &j, &err));
        assert_true(holds(j, 1));
        cv_journal_close(&j);
    }
}

static void a_file_taken_away_is_noticed(void **state)
{
    (void)state;
    char *aside = cv_fs_join(root, "aside"), *text;
    size_t len;
    cv_journal_entry e = entry_of(2);
    for (int i = 0; i < 4; i++) {
        cv_journal *j = NULL;
        make(2);
        text = content(&len);
        OK(cv_journal_open(file, &j, &err));
        assert_int_equal(rename(file, aside), 0);
        if (i == 1)
            replace(text, len); /* a copy in its place */
        if (i == 2)
            assert_int_equal(symlink(aside, file), 0);
        if (i == 3) { /* longer than it should be */
            assert_int_equal(rename(aside, file), 0);
            assert_int_equal(truncate(file, (off_t)len + 1), 0);
        }
        assert_int_equal(cv_journal_append(j, &e, &err), CV_ERR_ENV);
        assert_non_null(strstr(err.text, "moved, removed or changed"));
        assert_true(holds(j, 2));
        if (i == 0) { /* put back */
            assert_int_equal(rename(aside, file), 0);
            OK(cv_journal_append(j, &e, &err));
            assert_true(holds(j, 3));
        }
        cv_journal_close(&j);
        unlink(file);
        free(text);
    }
    free(aside);
}

/* ---- permissions ---------------------------------------------------------- */

static int mode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

/* Lines of the log with this event, while the journal is opened and closed. */
static int warnings(const char *event)
{
    char *log = cv_fs_join(root, "log"), *text = NULL;
    size_t n;
    cv_journal *j = NULL;
    int count = 0;
    unlink(log);
    cv_log_set_level(CV_LOG_ERROR);
    assert_int_equal(cv_log_open(log, 0600), 0);
    OK(cv_journal_open(file, &j, &err));
    cv_journal_close(&j);
    assert_int_equal(cv_log_open(NULL, 0), 0);
    cv_log_set_level(CV_LOG_WARN);
    OK(cv_fs_read(log, 100000, &text, &n, &err));
    assert_null(strstr(text, root)); /* a private path */
    for (char *p = text; (p = strstr(p, event)); p++)
        count++;
    free(text);
    free(log);
    return count;
}

static void only_the_owner_may_read_it(void **state)
{
    (void)state;
    mode_t mask = umask(0);
    make(1);
    umask(mask);
    assert_int_equal(mode_of(file), 0600);
    assert_int_equal(warnings("journal_"), 0);
    static const int open_modes[] = {0640, 0604, 0620, 0666, 0610};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(chmod(file, (mode_t)open_modes[i]), 0);
        assert_int_equal(warnings("journal_open_to_others"), 1);
    }
    assert_int_equal(chmod(file, 0600), 0);
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(file, 65534, 65534), 0);
    assert_int_equal(warnings("journal_of_another_user"), 1);
    assert_int_equal(warnings("journal_open_to_others"), 0);
    /* Somebody else, who may not read it. */
    assert_int_equal(chown(file, 0, 0), 0);
    assert_int_equal(chmod(root, 0755), 0);
    pid_t pid = fork();
    if (pid == 0) {
        cv_journal *j = NULL;
        if (setuid(65534) != 0)
            _exit(1);
        if (cv_journal_open(file, &j, &err) != CV_ERR_ENV ||
            !strstr(err.text, "Permission denied"))
            _exit(2);
        if (cv_journal_read(file, &j, &err) != CV_ERR_ENV)
            _exit(3);
        char *other = cv_fs_join(root, "silo-other.journal");
        _exit(cv_journal_open(other, &j, &err) != CV_ERR_ENV ||
              !strstr(err.text, "Permission denied"));
    }
    assert_int_equal(exit_code(pid), 0);
    /* Root's file that others may read, but not write. */
    assert_int_equal(chmod(file, 0644), 0);
    pid = fork();
    if (pid == 0) {
        cv_journal *j = NULL;
        cv_log_set_level(CV_LOG_ERROR);
        _exit(setuid(65534) != 0 || cv_journal_read(file, &j, &err) != 0 ||
              !holds(j, 1));
    }
    assert_int_equal(exit_code(pid), 0);
}

static void only_a_file_will_do(void **state)
{
    (void)state;
    char *other = cv_fs_join(root, "other");
    cv_journal *j = (cv_journal *)&err;
    /* not there */
    unlink(file);
    assert_int_equal(cv_journal_read(file, &j, &err), CV_ERR_INPUT);
    assert_null(j);
    assert_false(cv_fs_exists(file));
    /* links, to a journal and to nothing */
    make(1);
    assert_int_equal(rename(file, other), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(symlink(i ? "nothing" : other, file), 0);
        assert_int_equal(cv_journal_open(file, &j, &err), CV_ERR_ENV);
        assert_non_null(strstr(err.text, "symbolic link"));
        assert_int_equal(cv_journal_read(file, &j, &err), CV_ERR_ENV);
        assert_int_equal(unlink(file), 0);
    }
    assert_false(cv_fs_exists("nothing"));
    /* a folder, a pipe (nobody at its other end) */
    assert_int_equal(mkdir(file, 0700), 0);
    assert_int_equal(cv_journal_open(file, &j, &err), CV_ERR_ENV);
    assert_int_equal(cv_journal_read(file, &j, &err), CV_ERR_ENV);
    assert_int_equal(rmdir(file), 0);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_int_equal(cv_journal_open(file, &j, &err), CV_ERR_ENV);
    assert_non_null(strstr(err.text, "not a file"));
    assert_int_equal(cv_journal_read(file, &j, &err), CV_ERR_ENV);
    assert_int_equal(unlink(file), 0);
    /* no folder */
    char *deep = cv_fs_join(root, "no/silo-x.journal");
    assert_int_equal(cv_journal_open(deep, &j, &err), CV_ERR_ENV);
    assert_non_null(strstr(err.text, "No such file"));
    assert_null(j);
    free(deep);
    free(other);
}

/* The first line is one line of plain text whatever the file is called. */
static void any_name_will_do(void **state)
{
    (void)state;
    static const struct {
        const char *file, *says;
    } c[] = {{"silo-a.b.journal", "silo a.b made"},
             {"silo-a b\n\xc3\xbc.journal", "silo a_b___ made"},
             {"ledger", "silo ledger made"},
             {".journal", "silo .journal made"},
             {"silo-.journal", "silo .journal made"}};
    char *here = getcwd(NULL, 0), *text;
    size_t len;
    assert_non_null(here);
    assert_int_equal(chdir(root), 0); /* and relative paths */
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        cv_journal *j = NULL;
        cv_journal_entry e = entry_of(0);
        OK(cv_journal_open(c[i].file, &j, &err));
        OK(cv_journal_append(j, &e, &err));
        cv_journal_close(&j);
        OK(cv_journal_open(c[i].file, &j, &err));
        assert_true(holds(j, 1));
        cv_journal_close(&j);
        OK(cv_fs_read(c[i].file, 4096, &text, &len, &err));
        if (!strstr(text, c[i].says))
            fail_msg("%s: %s", c[i].file, text);
        free(text);
    }
    assert_int_equal(chdir(here), 0);
    free(here);
}

/* ---- looking up ----------------------------------------------------------- */

static void the_last_ones_are_found(void **state)
{
    (void)state;
    cv_journal *j = NULL;
    uint8_t a[32], b[32], none[32] = {0};
    fill(a, 0, 1);
    fill(b, 1, 1);
    make(0);
    OK(cv_journal_open(file, &j, &err));
    assert_null(cv_journal_last(j, a, 0));
    assert_null(cv_journal_last_signed(j, a));
    for (uint64_t i = 0; i < 16; i++) { /* 0-7: a; 8-15: b */
        cv_journal_entry e = entry_of(i);
        OK(cv_journal_append(j, &e, &err));
    }
    for (int again = 0; again < 2; again++) {
        /* attempt = i + 1, round = i % 5, signed: i = 3, 7, 11, 15 */
        assert_int_equal(cv_journal_last(j, a, 0)->attempt, 7);
        assert_int_equal(cv_journal_last(j, a, -1)->attempt, 7);
        assert_int_equal(cv_journal_last(j, b, 0)->attempt, 15);
        assert_int_equal(cv_journal_last(j, a, 1)->attempt, 7);
        assert_int_equal(cv_journal_last(j, a, 2)->attempt, 3);
        assert_int_equal(cv_journal_last(j, a, 4)->attempt, 5);
        assert_null(cv_journal_last(j, a, 3)); /* only signed */
        assert_null(cv_journal_last(j, b, 5));
        assert_int_equal(cv_journal_last_signed(j, a)->attempt, 8);
        assert_int_equal(cv_journal_last_signed(j, b)->attempt, 16);
        assert_null(cv_journal_last(j, none, 0));
        assert_null(cv_journal_last_signed(j, none));
        cv_journal_close(&j);
        OK(cv_journal_open(file, &j, &err));
    }
    cv_journal_close(&j);
}

static void neither_moving_nor_changing_refills(void **state)
{
    (void)state;
    cv_journal_entry e = entry_of(0);
    uint8_t data[32], place[32];
    fill(data, 7, 3);
    fill(place, 7, 4);
    assert_true(cv_journal_same_data(&e, e.data, e.place));
    assert_true(cv_journal_same_data(&e, data, e.place));
    assert_true(cv_journal_same_data(&e, e.data, place));
    assert_false(cv_journal_same_data(&e, data, place));
    assert_false(cv_journal_same_data(&e, e.place, e.data));
    for (int i = 0; i < 32; i++) {
        memcpy(data, e.data, 32);
        data[i] ^= 1;
        assert_false(cv_journal_same_data(&e, data, place));
        memcpy(place, e.place, 32);
        place[i] ^= 1;
        assert_false(cv_journal_same_data(&e, data, place));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back),
        cmocka_unit_test(extreme_numbers_come_back),
        cmocka_unit_test(entries_out_of_range_are_refused),
        cmocka_unit_test(lines_are_the_documented_ones),
        cmocka_unit_test(one_run_at_a_time),
        cmocka_unit_test(makers_do_not_meet),
        cmocka_unit_test(a_file_taken_away_is_noticed),
        cmocka_unit_test(only_the_owner_may_read_it),
        cmocka_unit_test(only_a_file_will_do),
        cmocka_unit_test(any_name_will_do),
        cmocka_unit_test(the_last_ones_are_found),
        cmocka_unit_test(neither_moving_nor_changing_refills),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* io/journal: a torn line is cut off, any other damage is refused with its
 * line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/hash.h"
#include "io/journal_parts.h"
#include "tests/io/journal_fixture.h"

/* Start of line i (from 0); i = lines: the end. */
static size_t start_of(const char *text, size_t len, int line)
{
    size_t at = 0;
    for (int i = 0; i < line; i++)
        at = (size_t)((char *)memchr(text + at, '\n', len - at) - text) + 1;
    return at;
}

static char said[800];

/* Refused by both, with this line, and not touched. */
static void assert_refused(const char *text, size_t len, int line,
                           const char *what, size_t where)
{
    cv_journal *j = (cv_journal *)&err;
    size_t now;
    replace(text, len);
    for (int i = 0; i < 2; i++) {
        int rc = i ? cv_journal_read(file, &j, &err)
                   : cv_journal_open(file, &j, &err);
        if (rc != CV_ERR_VERIFY || err.line != line || j)
            fail_msg("%s at %zu: code %d, line %d (expected %d): %s", what,
                     where, rc, (int)err.line, line, err.text);
        assert_string_equal(err.file, file);
        strcpy(said, err.text);
    }
    char *after = content(&now);
    assert_int_equal(now, len);
    assert_memory_equal(after, text, len);
    free(after);
}

static void a_torn_line_is_cut_off(void **state)
{
    (void)state;
    enum { N = 7 };
    make(N);
    size_t len, now;
    char *text = content(&len);
    size_t last = start_of(text, len, N);
    for (size_t keep = last; keep < len; keep++) {
        cv_journal *j = NULL;
        replace(text, keep);
        OK(cv_journal_read(file, &j, &err));
        assert_true(holds(j, N - 1));
        cv_journal_close(&j);
        free(content(&now));
        assert_int_equal(now, keep);
        OK(cv_journal_open(file, &j, &err));
        assert_true(holds(j, N - 1));
        free(content(&now));
        assert_int_equal(now, last);
        cv_journal_entry e = entry_of(N - 1);
        OK(cv_journal_append(j, &e, &err));
        cv_journal_close(&j);
        char *again = content(&now);
        assert_int_equal(now, len);
        assert_memory_equal(again, text, len);
        free(again);
    }
    free(text);
}

/* After a power cut whole sectors of the last line may be zeros. */
static void a_torn_line_may_have_holes(void **state)
{
    (void)state;
    enum { N = 4, SECTOR = 512 };
    make(N);
    size_t len;
    char *text = content(&len), *bad = cv_calloc(len + 1, 1);
    size_t last = start_of(text, len, N), before = start_of(text, len, N - 1);
    size_t edge = (last / SECTOR + 1) * SECTOR;
    assert_true(edge < len); /* the line is in two */
    for (int lost = 1; lost < 4; lost++) {
        cv_journal *j = NULL;
        memcpy(bad, text, len);
        if (lost & 1)
            memset(bad + last, 0, edge - last);
        if (lost & 2)
            memset(bad + edge, 0, len - edge);
        replace(bad, len);
        OK(cv_journal_open(file, &j, &err));
        assert_true(holds(j, N - 1));
        cv_journal_close(&j);
    }
    /* Zeros that are no sector, or are in an entry that others follow. */
    for (int i = 0; i < 4; i++) {
        size_t from[] = {last, last + 1, edge, before}, at = from[i];
        memcpy(bad, text, len);
        memset(bad + at, 0, i == 1 ? edge - at : 10);
        if (i == 3)
            memset(bad + at, 0, SECTOR - at % SECTOR);
        assert_refused(bad, len, i == 3 ? N : N + 1, "hole", at);
    }
    free(bad);
    free(text);
}

static void a_changed_byte_is_refused(void **state)
{
    (void)state;
    enum { N = 6 };
    make(N);
    size_t len;
    char *text = content(&len);
    /* Of the first line, one in the middle, and the last. */
    for (int line = 0; line <= N; line += N / 2) {
        size_t end = start_of(text, len, line + 1);
        for (size_t i = start_of(text, len, line); i < end; i++) {
            char good = text[i];
            if (line == N && i == len - 1)
                continue; /* without its end it is torn, or see below */
            for (int bit = 0; bit < 8; bit++) {
                text[i] = (char)(good ^ (1 << bit));
                assert_refused(text, len, line + 1, "flipped bit", i);
            }
            text[i] = (char)(good ^ 0x33);
            assert_refused(text, len, line + 1, "flipped byte", i);
            text[i] = good;
        }
    }
    text[len - 1] = 'x';
    assert_refused(text, len, N + 1, "flipped end", len);
    free(text);
}

static void other_orders_of_lines_are_refused(void **state)
{
    (void)state;
    enum { N = 6 };
    make(N);
    size_t len, n;
    char *text = content(&len), *bad = cv_calloc(2 * len, 1);
    for (int line = 0; line < N; line++) {
        size_t a = start_of(text, len, line);
        size_t b = start_of(text, len, line + 1);
        size_t c = start_of(text, len, line + 2);
        /* removed */
        memcpy(bad, text, a);
        memcpy(bad + a, text + b, len - b);
        assert_refused(bad, len - (b - a), line + 1, "removed", a);
        /* twice */
        memcpy(bad, text, b);
        memcpy(bad + b, text + a, len - a);
        assert_refused(bad, len + (b - a), line + 2, "twice", a);
        /* changed places with the next */
        memcpy(bad, text, a);
        memcpy(bad + a, text + b, c - b);
        memcpy(bad + a + (c - b), text + a, b - a);
        memcpy(bad + c, text + c, len - c);
        assert_refused(bad, len, line + 1, "swapped", a);
        /* an empty line before */
        memcpy(bad, text, a);
        bad[a] = '\n';
        memcpy(bad + a + 1, text + a, len - a);
        assert_refused(bad, len + 1, line + 1, "empty line", a);
        /* without its end */
        memcpy(bad, text, b - 1);
        memcpy(bad + b - 1, text + b, len - b);
        assert_refused(bad, len - 1, line + 1, "joined", a);
    }
    /* A line of another journal of the same silo. */
    size_t a = start_of(text, len, 3), b = start_of(text, len, 4);
    char *line = cv_calloc(b - a, 1);
    memcpy(line, text + a, b - a);
    free(text);
    make(N);
    text = content(&n);
    assert_int_equal(n, len);
    memcpy(text + a, line, b - a);
    assert_refused(text, len, 4, "of another journal", a);
    free(line);
    free(text);
    free(bad);
}

/* Lines that have their check but are not entries of ours. */
static void hostile_lines_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to; /* one time in line 2 */
    } c[] = {{"attempt ", "attempts "},
             {"attempt ", "spent "},
             {"round=1", "round=01"},
             {"round=1", "round=-1"},
             {"round=1", "round="},
             {"round=1", "round= 1"},
             {"round=1", "round=9007199254740993"},
             {"round=1", "round=99999999999999999999999"},
             {"round=1", "round=1.0"},
             {"round=1",
              "round=1000000000000000000000000000000000000000000000000000000000"
              "00000000000000000000000000000000000000000000000000000000000000"},
             {" round=1", ""},
             {"round=1", "round=1 round=1"},
             {"draw=2", "draw=3"},
             {"sampling=0.01", "sampling=1.01"},
             {"sampling=0.01", "sampling=-0.01"},
             {"sampling=0.01", "sampling=nan"},
             {"sampling=0.01", "sampling=0x1p-3"},
             {"sampling=0.01", "sampling=1e-"},
             {"sensitivity=", "sensitivity=1e999+"},
             {"noise_multiplier=1.2", "noise_multiplier=1e999"},
             {"noise_multiplier=1.2", "noise_multiplier=inf"},
             {"unit=silo", "unit=site"},
             {"unit=silo", "unit=silo "},
             {"vector=", "vector=0"},
             {" vector=", " vector=-\n vector="},
             {"job=0", "job=G"},
             {"run=01", "run=0A"},
             {" check=", "  check="},
             {" check=", " more=1 check="}};
    cv_journal *j = NULL;
    cv_journal_entry e = entry_of(1);
    make(0);
    OK(cv_journal_open(file, &j, &err));
    OK(cv_journal_append(j, &e, &err));
    cv_journal_close(&j);
    size_t len;
    char *text = content(&len);
    size_t start = start_of(text, len, 1);
    uint8_t before[16];
    text[start - 1] = '\0';
    assert_int_equal(cv_unhex(before, text + start - 33, 16), 0);
    text[start - 1] = '\n';
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        cv_buf b = {0}, all = {0};
        const char *at = strstr(text + start, c[i].from);
        assert_non_null(at);
        cv_buf_add(&b, before, 16);
        cv_buf_add(&b, text + start, (size_t)(at - text) - start);
        cv_buf_printf(&b, "%s%s", c[i].to, at + strlen(c[i].from));
        char *seal = strstr(b.data + 16, " check=");
        uint8_t digest[32];
        char hex[33];
        cv_sha256_of(digest, b.data, (size_t)(seal - b.data));
        cv_hex(hex, digest, 16);
        cv_buf_add(&all, text, start);
        cv_buf_add(&all, b.data + 16, (size_t)(seal - b.data) - 16);
        cv_buf_printf(&all, " check=%s\n", hex);
        assert_refused(all.data, all.len, 2, c[i].to, i);
        cv_buf_free(&b);
        cv_buf_free(&all);
    }
    free(text);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    char *big = cv_calloc(200000, 1);
    memset(big, 'x', 200000);
    assert_refused("", 0, 1, "empty", 0);
    assert_refused("covey jour", 10, 1, "torn first line", 0);
    assert_refused("hello\nworld\n", 12, 1, "other text", 0);
    assert_refused(big, 200000, 1, "long line", 0);
    memset(big, 0, 200000);
    assert_refused(big, 200000, 1, "zeros", 0);
    memset(big, '\n', 200000);
    assert_refused(big, 200000, 1, "line ends", 0);
    assert_refused("covey journal 2 silo north check=00\n", 36, 1, "version",
                   0);
    assert_non_null(strstr(said, "version 1"));
    free(big);
}

static void its_size_has_a_limit(void **state)
{
    (void)state;
    cv_journal *j = NULL;
    cv_journal_entry e = entry_of(1);
    size_t size;
    make(1);
    free(content(&size));
    /* A file of holes. */
    assert_int_equal(truncate(file, CV_JOURNAL_BYTES + 1), 0);
    assert_int_equal(cv_journal_open(file, &j, &err), CV_ERR_VERIFY);
    assert_null(j);
    assert_non_null(strstr(err.text, "at most 1073741824 bytes"));
    assert_int_equal(truncate(file, (off_t)size), 0);
    /* As if it were full: nothing is added that could not be read. */
    OK(cv_journal_open(file, &j, &err));
    j->size = CV_JOURNAL_BYTES - 100;
    assert_int_equal(cv_journal_append(j, &e, &err), CV_ERR_ENV);
    assert_non_null(strstr(err.text, "is full"));
    j->size = (int64_t)size;
    OK(cv_journal_append(j, &e, &err));
    assert_true(holds(j, 2));
    cv_journal_close(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_torn_line_is_cut_off),
        cmocka_unit_test(a_torn_line_may_have_holes),
        cmocka_unit_test(a_changed_byte_is_refused),
        cmocka_unit_test(other_orders_of_lines_are_refused),
        cmocka_unit_test(hostile_lines_are_refused),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(its_size_has_a_limit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* Pass phrase files. (The prompt: tests/e2e/test_keys.py, at a terminal.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "chain/passphrase.h"
#include "core/fs.h"
#include "core/mem.h"

static void one_line_and_its_end(void **state)
{
    (void)state;
    static char full[CV_PASSPHRASE_MAX + 3], over[CV_PASSPHRASE_MAX + 4],
        huge[100000];
    memset(full, 'f', CV_PASSPHRASE_MAX);
    memcpy(full + CV_PASSPHRASE_MAX, "\r\n", 3);
    memset(over, 'o', CV_PASSPHRASE_MAX + 1);
    memset(huge, 'h', sizeof huge - 1);
    const struct {
        const char *content;
        size_t n;
        int ok;
        size_t len;
    } table[] = {
        {"correct horse", 13, 1, 13},
        {"correct horse\n", 14, 1, 13},
        {"correct horse\r\n", 15, 1, 13},
        {" spaces stay ", 13, 1, 13},
        {"p\xc3\xa4ss", 5, 1, 5},
        {"", 0, 1, 0},
        {"\n", 1, 1, 0},
        {full, CV_PASSPHRASE_MAX, 1, CV_PASSPHRASE_MAX},
        {full, CV_PASSPHRASE_MAX + 2, 1, CV_PASSPHRASE_MAX},
        {over, CV_PASSPHRASE_MAX + 1, 0, 0},
        {huge, sizeof huge - 1, 0, 0},
        {"two\nlines", 9, 0, 0},
        {"two\n\n", 5, 0, 0},
        {"z\0ro", 4, 0, 0},
        {"zero\0", 5, 0, 0},
    };
    char dir[] = "/tmp/covey-passphrase-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = cv_fs_join(dir, "pw");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_passphrase p = {0};
        cv_err err = {0};
        assert_int_equal(
            cv_fs_write(path, table[i].content, table[i].n, 0600, &err), 0);
        int rc = cv_passphrase_read(path, &p, &err);
        assert_int_equal(rc, table[i].ok ? 0 : CV_ERR_INPUT);
        if (table[i].ok) {
            assert_int_equal(p.len, table[i].len);
            assert_memory_equal(p.text, table[i].content, p.len);
            assert_int_equal(p.text[p.len], 0);
        } else {
            assert_null(p.text);
            assert_string_equal(err.file, path);
            assert_null(strstr(err.text, "two"));
        }
        cv_passphrase_wipe(&p);
        assert_null(p.text);
        cv_passphrase_wipe(&p);
    }
    unlink(path);
    cv_passphrase p = {0};
    cv_err err = {0};
    assert_int_equal(cv_passphrase_read(path, &p, &err), CV_ERR_INPUT);
    assert_int_equal(cv_passphrase_read(dir, &p, &err), CV_ERR_INPUT);
    assert_null(p.text);
    free(path);
    rmdir(dir);
}

static void same_means_the_same_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int same;
    } table[] = {{"", "", 1},    {"a", "a", 1},  {"a", "b", 0},
                 {"a", "ab", 0}, {"ab", "a", 0}, {"", "a", 0}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_passphrase a = {(char *)table[i].a, strlen(table[i].a)};
        cv_passphrase b = {(char *)table[i].b, strlen(table[i].b)};
        assert_int_equal(cv_passphrase_same(&a, &b), table[i].same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_and_its_end),
        cmocka_unit_test(same_means_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

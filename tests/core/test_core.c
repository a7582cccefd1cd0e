/* The ground floor: errors, bytes, hashing, text, files. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/progress.h"
#include "core/text.h"

static void errors_carry_place_and_text(void **state)
{
    (void)state;
    cv_err e;
    char text[1100];
    assert_int_equal(cv_err_set(&e, CV_ERR_INPUT, "job.yaml", 12,
                                "expected %d, found '%s'", 3, "x"),
                     CV_ERR_INPUT);
    cv_err_format(&e, text, sizeof text);
    assert_string_equal(text,
                        "covey: error: job.yaml:12: expected 3, found 'x'");
    cv_err_prefix(&e, "silo %s", "north");
    assert_string_equal(e.text, "silo north: expected 3, found 'x'");
    cv_err_site(&e, "row %d", 7);
    cv_err_format(&e, text, sizeof text);
    assert_null(strstr(text, "row 7")); /* stays at the site ... */
    cv_err_merge_site(&e);
    assert_non_null(strstr(e.text, "(row 7)")); /* ... until merged */
    assert_int_equal(e.site[0], 0);
    cv_err_set(&e, CV_ERR_ENV, NULL, 0, "plain");
    cv_err_format(&e, text, sizeof text);
    assert_string_equal(text, "covey: error: plain");
}

static void errors_never_overflow(void **state)
{
    (void)state;
    cv_err e;
    char big[5000], text[1100];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    cv_err_set(&e, CV_ERR_ENV, big, 1, "%s", big);
    cv_err_prefix(&e, "%s", big);
    cv_err_site(&e, "%s", big);
    cv_err_merge_site(&e);
    cv_err_format(&e, text, sizeof text);
    assert_true(strlen(text) < sizeof text);
    assert_int_equal(cv_err_set(NULL, CV_ERR_ENV, NULL, 0, "x"), CV_ERR_ENV);
}

static void exit_codes_are_the_documented_ones(void **state)
{
    (void)state;
    static const int table[][2] = {
        {CV_OK, 0},         {CV_ERR_OTHER, 1},   {CV_ERR_INPUT, 2},
        {CV_ERR_ENV, 3},    {CV_ERR_PRIVACY, 4}, {CV_ERR_SILOS, 5},
        {CV_ERR_VERIFY, 6}, {CV_ERR_NUMERIC, 1}, {CV_ERR_BUG, 70},
        {CV_REQUEUE, 75},   {-12345, 1}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_int_equal(cv_exit_code(table[i][0]), table[i][1]);
}

static void hex_both_ways(void **state)
{
    (void)state;
    uint8_t b[3];
    char text[7];
    assert_int_equal(cv_unhex(b, "0x00fFa1", 3), 0);
    cv_hex(text, b, 3);
    assert_string_equal(text, "00ffa1");
    static const char *const bad[] = {"",       "00ff",   "00ffa1a",
                                      "00ffag", "0x00ff", "00 fa1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(cv_unhex(b, bad[i], 3), -1);
    uint8_t w[8];
    cv_put_le64(w, 0x0102030405060708u);
    assert_int_equal(w[0], 8);
    assert_true(cv_get_le64(w) == 0x0102030405060708u);
    assert_true(cv_get_be32(w) == 0x08070605u);
}

static void buffers_grow(void **state)
{
    (void)state;
    cv_buf b = {0};
    assert_string_equal(cv_buf_text(&b), "");
    for (int i = 0; i < 1000; i++)
        cv_buf_printf(&b, "%d,", i % 10);
    assert_int_equal(b.len, 2000);
    assert_int_equal(b.data[2000], 0);
    cv_buf_free(&b);
    assert_null(b.data);
}

static void sha256_of_fips_180_4(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"abc",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"",
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    for (size_t i = 0; i < 3; i++) {
        uint8_t d[32];
        char hex[65];
        size_t n = strlen(table[i][0]);
        cv_sha256_of(d, table[i][0], n);
        cv_hex(hex, d, 32);
        assert_string_equal(hex, table[i][1]);
        cv_sha256 *h = cv_sha256_create();
        cv_sha256_add(h, table[i][0], n / 2);
        cv_sha256_add(h, table[i][0] + n / 2, n - n / 2);
        cv_sha256_end(h, d);
        cv_sha256_destroy(&h);
        cv_hex(hex, d, 32);
        assert_string_equal(hex, table[i][1]);
    }
}

static void checksum_sees_every_bit(void **state)
{
    (void)state;
    uint8_t v[200];
    for (size_t i = 0; i < sizeof v; i++)
        v[i] = (uint8_t)(i * 7);
    uint64_t whole = cv_checksum64(v, sizeof v);
    for (size_t i = 0; i < sizeof v * 8; i++) {
        v[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_true(cv_checksum64(v, sizeof v) != whole);
        v[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_true(cv_checksum64(v, sizeof v) == whole);
    uint8_t longer[201] = {0}; /* zero padding is not the same length */
    memcpy(longer, v, sizeof v);
    assert_true(cv_checksum64(longer, 201) != whole);
}

static void numbers_are_strict(void **state)
{
    (void)state;
    int64_t i;
    double d;
    assert_int_equal(cv_parse_i64(&i, " -42 "), 0);
    assert_true(i == -42);
    static const char *const bad[] = {"",    " ",   "4x",
                                      "1.0", "--1", "99999999999999999999"};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
        assert_int_equal(cv_parse_i64(&i, bad[k]), -1);
    assert_int_equal(cv_parse_f64(&d, "1e-3"), 0);
    assert_true(d == 1e-3);
    assert_int_equal(cv_parse_f64(&d, "nan"), 0);
    assert_true(isnan(d));
    assert_int_equal(cv_parse_f64(&d, "1,5"), -1);
    assert_int_equal(cv_parse_f64(&d, ""), -1);
    assert_int_equal(cv_parse_f64(&d, "1e999"), -1);
}

static void closest_word(void **state)
{
    (void)state;
    static const char *const words[] = {"learning_rate", "momentum", "batch"};
    assert_string_equal(cv_closest("lerning_rate", words, 3), "learning_rate");
    assert_string_equal(cv_closest("bacth", words, 3), "batch");
    assert_string_equal(cv_closest("BATCH", words, 3), "batch");
    assert_null(cv_closest("zebra", words, 3));
    assert_null(cv_closest("", words, 3));
    assert_int_equal(cv_word_index("batch", words, 3), 2);
    assert_int_equal(cv_word_index("batc", words, 3), -1);
}

static void numbers_for_people(void **state)
{
    (void)state;
    char t[48];
    cv_format_count(t, sizeof t, 12345678);
    assert_string_equal(t, "12,345,678");
    cv_format_count(t, sizeof t, -1234);
    assert_string_equal(t, "-1,234");
    cv_format_count(t, sizeof t, 0);
    assert_string_equal(t, "0");
    cv_format_bytes(t, sizeof t, 636040);
    assert_string_equal(t, "636.0 kB");
    cv_format_seconds(t, sizeof t, 185);
    assert_string_equal(t, "3 min 05 s");
}

/* ---- files --------------------------------------------------------------- */

static char g_dir[] = "/tmp/covey-test-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(g_dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char cmd[100];
    snprintf(cmd, sizeof cmd, "rm -rf %s", g_dir);
    return system(cmd);
}

static void whole_files(void **state)
{
    (void)state;
    cv_err e;
    char *path = cv_fs_join(g_dir, "a"), *text;
    size_t n;
    struct stat st;
    assert_int_equal(cv_fs_write(path, "hello", 5, 0600, &e), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(cv_fs_read(path, 100, &text, &n, &e), 0);
    assert_int_equal(n, 5);
    assert_string_equal(text, "hello");
    free(text);
    assert_int_equal(cv_fs_read(path, 4, &text, &n, &e), CV_ERR_INPUT);
    assert_int_equal(cv_fs_read(g_dir, 100, &text, &n, &e), CV_ERR_INPUT);
    assert_int_equal(cv_fs_read("/nowhere/x", 100, &text, &n, &e),
                     CV_ERR_INPUT);
    assert_int_equal(cv_fs_write("/nowhere/x", "a", 1, 0600, &e), CV_ERR_ENV);
    free(path);
}

static void folders(void **state)
{
    (void)state;
    cv_err e;
    char *path = cv_fs_join(g_dir, "x/y/z"), *d;
    assert_int_equal(cv_fs_mkdir(path, 0755, &e), 0);
    assert_int_equal(cv_fs_mkdir(path, 0755, &e), 0);
    assert_true(cv_fs_exists(path));
    d = cv_fs_dirname("/a");
    assert_string_equal(d, "/");
    free(d);
    d = cv_fs_dirname("a");
    assert_string_equal(d, ".");
    free(d);
    d = cv_fs_join("dir", "/abs");
    assert_string_equal(d, "/abs");
    free(d);
    char *file = cv_fs_join(g_dir, "f");
    assert_int_equal(cv_fs_write(file, "", 0, 0644, &e), 0);
    assert_int_equal(cv_fs_mkdir(file, 0755, &e), CV_ERR_ENV);
    free(file);
    free(path);
}

static void a_lock_excludes_another_process(void **state)
{
    (void)state;
    cv_err e;
    char *path = cv_fs_join(g_dir, ".lock");
    int fd, status;
    assert_int_equal(cv_fs_lock(path, &fd, &e), 0);
    pid_t child = fork();
    if (child == 0) {
        int other;
        _exit(cv_fs_lock(path, &other, &e) == CV_ERR_ENV ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 0);
    close(fd);
    child = fork();
    if (child == 0) {
        int other;
        _exit(cv_fs_lock(path, &other, &e) == 0 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 0);
    free(path);
}

static void site_details_stay_at_the_site(void **state)
{
    (void)state;
    char *run = cv_fs_join(g_dir, "covey.log"), *text;
    char *site = cv_fs_join(g_dir, "silo.log");
    size_t n;
    cv_err e;
    struct stat st;
    assert_int_equal(cv_log_open(run, 0644), 0);
    assert_int_equal(cv_log_open_site(site), 0);
    cv_log(CV_LOG_DEBUG, "round_end", "round=%d", 3);
    cv_log_site("error", "value=%s\nsecond line", "42.5");
    cv_log_open(NULL, 0);
    cv_log_open_site(NULL);
    assert_int_equal(cv_fs_read(run, 10000, &text, &n, &e), 0);
    assert_non_null(strstr(text, " round_end round=3\n"));
    assert_null(strstr(text, "42.5"));
    free(text);
    assert_int_equal(cv_fs_read(site, 10000, &text, &n, &e), 0);
    assert_non_null(strstr(text, "value=42.5 second line\n"));
    free(text);
    assert_int_equal(stat(site, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    free(run);
    free(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_carry_place_and_text),
        cmocka_unit_test(errors_never_overflow),
        cmocka_unit_test(exit_codes_are_the_documented_ones),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(buffers_grow),
        cmocka_unit_test(sha256_of_fips_180_4),
        cmocka_unit_test(checksum_sees_every_bit),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(closest_word),
        cmocka_unit_test(numbers_for_people),
        cmocka_unit_test(whole_files),
        cmocka_unit_test(folders),
        cmocka_unit_test(a_lock_excludes_another_process),
        cmocka_unit_test(site_details_stay_at_the_site),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

/* io/checkpoint: what is written is what is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "io/checkpoint_parts.h"
#include "tests/io/checkpoint_sample.h"
#define FOLDER_FILE "run.h5"
#include "tests/io/folder_fixture.h"

/* An error of that code with a message that names the file. */
#define FAILS(code_, call)                                                     \
    do {                                                                       \
        err = (cv_err){0};                                                     \
        assert_int_equal((call), (code_));                                     \
        assert_int_equal(err.code, (code_));                                   \
        assert_true(err.text[0] && strstr(err.file, "run.h5"));                \
    } while (0)

static cv_h5_writer *begin(void)
{
    cv_h5_writer *w = NULL;
    OK(cv_h5_create(file, 0644, &w, &err));
    OK(cv_h5_attr_i64(w, "/", "format_version", 1, &err));
    return w;
}

static cv_h5_reader *end(cv_h5_writer *w)
{
    cv_h5_reader *r = NULL;
    OK(cv_h5_commit(&w, &err));
    assert_null(w);
    OK(cv_h5_open(file, 1, &r, &err));
    return r;
}

static void test_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        OK(sample_write(file, seed, &err));
        int rc = sample_read(file, seed, &err);
        if (rc)
            fail_msg("seed %d: %d %s", (int)seed, rc, err.text);
        /* The comparison itself must notice another seed. */
        assert_true(sample_read(file, seed + 1, &err) > 0);
    }
}

/* Rounds are replayed: equal contents must give equal bytes. */
static void test_equal_bytes(void **state)
{
    (void)state;
    char *first, *second;
    size_t n, m;
    OK(sample_write(file, 3, &err));
    OK(cv_fs_read(file, 1 << 20, &first, &n, &err));
    OK(sample_write(file, 3, &err));
    OK(cv_fs_read(file, 1 << 20, &second, &m, &err));
    assert_int_equal(n, m);
    assert_memory_equal(first, second, n);
    free(first);
    free(second);
}

static void test_large(void **state)
{
    (void)state;
    /* Around the blocks of the digest and the slices of the writer. */
    static const size_t sizes[] = {CV_H5_BLOCK - 4, CV_H5_BLOCK,
                                   CV_H5_BLOCK + 4, 3 * CV_H5_BLOCK,
                                   9 * CV_H5_BLOCK + 12};
    float *x = CV_NEW(9 * CV_H5_BLOCK / 4 + 3, float);
    float *y = CV_NEW(9 * CV_H5_BLOCK / 4 + 3, float);
    cv_stream s;
    cv_stream_open(&s, 5, "large", 0, 0);
    cv_stream_bytes(&s, x, 9 * CV_H5_BLOCK + 12);
    cv_stream_close(&s);
    cv_h5_writer *w = begin();
    for (int i = 0; i < 5; i++) {
        char path[] = "/large/0";
        int64_t dims[2] = {2, (int64_t)sizes[i] / 8};
        path[7] = (char)('0' + i);
        if (sizes[i] % 8) {
            dims[0] = 1;
            dims[1] = (int64_t)sizes[i] / 4;
        }
        OK(cv_h5_put(w, path, CV_H5_F32, 2, dims, x, NULL, NULL, &err));
    }
    cv_h5_reader *r = end(w);
    for (int i = 0; i < 5; i++) {
        char path[] = "/large/0";
        path[7] = (char)('0' + i);
        memset(y, 0, sizes[i]);
        OK(cv_h5_get(r, path, CV_H5_F32, y, sizes[i] / 4, &err));
        assert_memory_equal(x, y, sizes[i]);
    }
    cv_h5_close(&r);
    free(x);
    free(y);
}

static void test_long_table(void **state)
{
    (void)state;
    enum { ROWS = 10000 };
    char **name = CV_NEW(ROWS, char *);
    int32_t *id = CV_NEW(ROWS, int32_t), *got = CV_NEW(ROWS, int32_t);
    for (int i = 0; i < ROWS; i++) {
        name[i] = cv_asprintf("silo-%d%s", i * 7, i % 3 ? "" : " é");
        id[i] = i * i;
    }
    cv_h5_column cols[] = {{"name", NULL, CV_H5_U8, 1, name},
                           {"id", "1", CV_H5_I32, 0, id}};
    cv_h5_writer *w = begin();
    OK(cv_h5_put_table(w, "/silos", NULL, cols, 2, ROWS, &err));
    cv_h5_reader *r = end(w);
    char **text, **columns;
    size_t n;
    OK(cv_h5_get_column(r, "/silos", "id", CV_H5_I32, got, ROWS, &err));
    OK(cv_h5_get_column_strings(r, "/silos", "name", &text, ROWS, &err));
    OK(cv_h5_table_columns(r, "/silos", &columns, &n, &err));
    assert_int_equal(n, 2);
    assert_string_equal(columns[0], "name");
    assert_string_equal(columns[1], "id");
    cv_strings_free(&columns, n);
    assert_memory_equal(id, got, ROWS * sizeof *id);
    for (int i = 0; i < ROWS; i++)
        assert_string_equal(text[i], name[i]);
    cv_strings_free(&text, ROWS);
    cv_strings_free(&name, ROWS);
    cv_h5_close(&r);
    free(id);
    free(got);
}

/* Member i of a group of n, with names of any length. */
static void member_path(char *path, size_t size, int n, int i)
{
    static const char filler[] = "abcdefghijklmnopqrstuvwxyz";
    int at = snprintf(path, size, "/g%d/%c", n, 'a' + i * 7 % 26);
    for (int k = i * 37 % (i % 50 ? 40 : 900); k > 0; k--)
        path[at++] = filler[k % 26];
    snprintf(path + at, size - (size_t)at, "%d%s", i, i % 9 ? "" : "/inner");
}

/* Many members, in the order they were made: in the header up to eight, then in
 * one block, in a block of blocks, and deeper. */
static void test_members(void **state)
{
    (void)state;
    static const int count[] = {1, 7, 8, 9, 10, 50, 400, 20000};
    char path[1100], **names;
    size_t n;
    cv_h5_writer *w = begin();
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < count[k]; i++) {
            int32_t v = i;
            member_path(path, sizeof path, count[k], i);
            OK(cv_h5_put(w, path, CV_H5_I32, 0, NULL, &v, NULL, NULL, &err));
        }
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "attribute %d", i);
        OK(cv_h5_attr_i64(w, "/g8", path, i, &err));
    }
    cv_h5_reader *r = end(w);
    for (int k = 0; k < 8; k++) {
        snprintf(path, sizeof path, "/g%d", count[k]);
        OK(cv_h5_members(r, path, &names, &n, &err));
        assert_int_equal(n, count[k]);
        for (int i = 0; i < count[k]; i++) {
            int32_t v = -1;
            size_t at = (size_t)snprintf(path, sizeof path, "/g%d/", count[k]);
            member_path(path, sizeof path, count[k], i);
            assert_memory_equal(names[i], path + at, strlen(names[i]));
            if (i % 100 < 10) { /* finding one takes its time */
                OK(cv_h5_get(r, path, CV_H5_I32, &v, 1, &err));
                assert_int_equal(v, i);
            }
        }
        cv_strings_free(&names, n);
    }
    for (int i = 0; i < 100; i++) {
        int64_t v;
        snprintf(path, sizeof path, "attribute %d", i);
        OK(cv_h5_get_attr_i64(r, "/g8", path, &v, &err));
        assert_int_equal(v, i);
    }
    cv_h5_close(&r);
}

static void test_convert(void **state)
{
    (void)state;
    static const struct {
        cv_h5_type stored;
        double value;
        cv_h5_type wanted;
        int fits;
    } c[] = {
        {CV_H5_F64, 1.5, CV_H5_F32, 1},      {CV_H5_F64, 0.1, CV_H5_F32, 1},
        {CV_H5_F64, 1e39, CV_H5_F32, 0},     {CV_H5_F64, -1e39, CV_H5_F32, 0},
        {CV_H5_F64, INFINITY, CV_H5_F32, 1}, {CV_H5_F64, NAN, CV_H5_F32, 1},
        {CV_H5_F64, 1.5, CV_H5_I64, 0},      {CV_H5_F64, -7, CV_H5_I64, 1},
        {CV_H5_F64, NAN, CV_H5_I32, 0},      {CV_H5_F64, 0x1p63, CV_H5_I64, 0},
        {CV_H5_F64, -0x1p63, CV_H5_I64, 1},  {CV_H5_F64, 256, CV_H5_U8, 0},
        {CV_H5_F64, 255, CV_H5_U8, 1},       {CV_H5_F64, -1, CV_H5_U8, 0},
        {CV_H5_F32, 3, CV_H5_F64, 1},        {CV_H5_F32, 0x1p31, CV_H5_I32, 0},
        {CV_H5_I64, 0x1p31, CV_H5_I32, 0},   {CV_H5_I64, -0x1p31, CV_H5_I32, 1},
        {CV_H5_I64, 0x1p53, CV_H5_F64, 1},   {CV_H5_I64, 0x1p54, CV_H5_F64, 0},
        {CV_H5_I32, 0x1p24, CV_H5_F32, 1},   {CV_H5_I32, 0x1p25, CV_H5_F32, 0},
        {CV_H5_I32, -5, CV_H5_I64, 1},       {CV_H5_I32, -5, CV_H5_U8, 0},
        {CV_H5_U8, 200, CV_H5_F32, 1},       {CV_H5_U8, 200, CV_H5_I32, 1},
    };
    cv_h5_writer *w = begin();
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        char path[20];
        float f = (float)c[i].value;
        int is_int = c[i].stored >= CV_H5_I32;
        int64_t v64 = is_int ? (int64_t)c[i].value : 0;
        int32_t v32 = (int32_t)v64;
        uint8_t v8 = (uint8_t)v64;
        const void *v[] = {&f, &c[i].value, &v32, &v64, &v8};
        snprintf(path, sizeof path, "/%zu", i);
        OK(cv_h5_put(w, path, c[i].stored, 0, NULL, v[c[i].stored], NULL, NULL,
                     &err));
    }
    cv_h5_reader *r = end(w);
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        char path[20];
        float f = 0;
        double f64 = 0;
        int32_t v32 = 0;
        int64_t v64 = 0;
        uint8_t v8 = 0;
        void *v[] = {&f, &f64, &v32, &v64, &v8};
        snprintf(path, sizeof path, "/%zu", i);
        if (!c[i].fits) {
            FAILS(CV_ERR_VERIFY,
                  cv_h5_get(r, path, c[i].wanted, v[c[i].wanted], 1, &err));
            continue;
        }
        OK(cv_h5_get(r, path, c[i].wanted, v[c[i].wanted], 1, &err));
        double got = (double)f + f64 + v32 + (double)v64 + v8;
        double expected =
            c[i].wanted == CV_H5_F32 ? (double)(float)c[i].value : c[i].value;
        if (!(got == expected || (isnan(got) && isnan(expected))))
            fail_msg("case %zu: %g, expected %g", i, got, expected);
    }
    cv_h5_close(&r);
}

static void test_wrong_requests(void **state)
{
    (void)state;
    cv_h5_reader *r = NULL;
    char **text, *one;
    size_t n;
    int64_t i64, dims[4];
    int rank;
    double buf[SAMPLE_MAX];
    OK(sample_write(file, 1, &err));
    OK(cv_h5_open(file, 1, &r, &err));
    const int v = CV_ERR_VERIFY;
    assert_true(cv_h5_has(r, "/model") && cv_h5_has(r, "/model/scale"));
    assert_true(cv_h5_has(r, "/") && !cv_h5_has(r, "/modem"));
    assert_true(!cv_h5_has(r, "model") && !cv_h5_has(r, ""));
    FAILS(v, cv_h5_get(r, "/none", CV_H5_F32, buf, 1, &err));
    FAILS(v, cv_h5_get(r, "/model", CV_H5_F32, buf, 1, &err));
    FAILS(v, cv_h5_get(r, "/model/scale", CV_H5_F64, buf, 2, &err));
    FAILS(v, cv_h5_get(r, "/model/scale", CV_H5_F64, buf, 0, &err));
    FAILS(v, cv_h5_get(r, "/job", CV_H5_U8, buf, 7, &err));
    FAILS(v, cv_h5_get(r, "/history", CV_H5_U8, buf, 25, &err));
    FAILS(v, cv_h5_shape(r, "/data", &rank, dims, &err));
    FAILS(v, cv_h5_get_string(r, "/data/names", &one, &err));
    FAILS(v, cv_h5_get_string(r, "/model/scale", &one, &err));
    FAILS(v, cv_h5_get_strings(r, "/job", &text, &n, &err));
    FAILS(v, cv_h5_get_strings(r, "/data/image", &text, &n, &err));
    FAILS(v, cv_h5_get_attr_string(r, "/", "seed", &one, &err));
    FAILS(v, cv_h5_get_attr_string(r, "/", "none", &one, &err));
    FAILS(v, cv_h5_get_attr_string(r, "/none", "seed", &one, &err));
    FAILS(v, cv_h5_get_attr_i64(r, "/", "third", &i64, &err));
    FAILS(v, cv_h5_get_attr_i64(r, "/model", "kind", &i64, &err));
    FAILS(v, cv_h5_get_attr_f64(r, "/model", "kind", buf, &err));
    FAILS(v, cv_h5_table_rows(r, "/job", &i64, &err));
    FAILS(v, cv_h5_table_columns(r, "/data", &text, &n, &err));
    FAILS(v, cv_h5_get_column(r, "/history", "x", CV_H5_F64, buf, 25, &err));
    FAILS(v,
          cv_h5_get_column(r, "/history", "round", CV_H5_F64, buf, 24, &err));
    FAILS(v, cv_h5_get_column(r, "/history", "silo/who", CV_H5_F64, buf, 25,
                              &err));
    FAILS(v, cv_h5_get_column_strings(r, "/history", "round", &text, 25, &err));
    FAILS(v, cv_h5_members(r, "/job", &text, &n, &err));
    FAILS(v, cv_h5_members(r, "/none", &text, &n, &err));
    /* A caller may not care for the reason. */
    assert_int_equal(cv_h5_get(r, "/none", CV_H5_F32, buf, 1, NULL), v);
    cv_h5_close(&r);
    cv_h5_close(&r);
}

static void test_version(void **state)
{
    (void)state;
    static const struct {
        int kind; /* 0 none, 1 integer, 2 float, 3 text */
        int64_t v;
        const char *says; /* NULL: accepted */
    } c[] = {
        {1, 1, NULL},     {1, 3, NULL},
        {1, 4, "newer"},  {1, INT64_MAX, "newer"},
        {1, 0, "damage"}, {1, -2, "damage"},
        {0, 0, "damage"}, {2, 1, "damage"},
        {3, 0, "damage"},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        cv_h5_writer *w = NULL;
        cv_h5_reader *r = NULL;
        cv_err e = {0};
        OK(cv_h5_create(file, 0644, &w, &err));
        if (c[i].kind == 1)
            OK(cv_h5_attr_i64(w, "/", "format_version", c[i].v, &err));
        if (c[i].kind == 2)
            OK(cv_h5_attr_f64(w, "/", "format_version", 1.0, &err));
        if (c[i].kind == 3)
            OK(cv_h5_attr_string(w, "/", "format_version", "1", &err));
        OK(cv_h5_commit(&w, &err));
        int rc = cv_h5_open(file, 3, &r, &e);
        assert_int_equal(rc, c[i].says ? CV_ERR_VERIFY : 0);
        if (c[i].says) {
            assert_null(r);
            assert_non_null(strstr(e.text, c[i].says));
        }
        cv_h5_close(&r);
    }
}

static void test_open_others(void **state)
{
    (void)state;
    static const char *const content[] = {"", "x", "round 3\nloss 0.5\n"};
    cv_h5_reader *r = (cv_h5_reader *)&r;
    unlink(file);
    FAILS(CV_ERR_INPUT, cv_h5_open(file, 1, &r, &err));
    assert_null(r);
    for (int i = 0; i < 3; i++) {
        OK(cv_fs_write(file, content[i], strlen(content[i]), 0644, &err));
        FAILS(CV_ERR_VERIFY, cv_h5_open(file, 1, &r, &err));
    }
    unlink(file);
    assert_int_equal(mkdir(file, 0755), 0);
    FAILS(CV_ERR_INPUT, cv_h5_open(file, 1, &r, &err));
    assert_int_equal(rmdir(file), 0);
    assert_int_equal(mkfifo(file, 0644), 0);
    FAILS(CV_ERR_INPUT, cv_h5_open(file, 1, &r, &err));
    unlink(file);
}

typedef struct {
    char *long_name, *long_text; /* 3000 and 70,000 bytes */
    double v;
} refusals;

/* Refused call i, or 1 if there are no more. */
static int refused_call(cv_h5_writer *w, int i, const refusals *f, cv_err *e)
{
    const char *bad[] = {"//a",
                         "/a//b",
                         "/a/",
                         "/./a",
                         "/a\nb",
                         "/a\x7f",
                         "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q",
                         "/x",     /* is there */
                         "/x/y",   /* in an array */
                         "/x/y/z", /* likewise */
                         "/g",     /* a group */
                         f->long_name};
    cv_h5_column twice[] = {{"a", NULL, CV_H5_F64, 0, &f->v},
                            {"b", NULL, CV_H5_F64, 0, &f->v},
                            {"a", NULL, CV_H5_F64, 0, &f->v}};
    cv_h5_column tab[] = {{"a\tb", NULL, CV_H5_F64, 0, &f->v}};
    const int paths = sizeof bad / sizeof *bad;
    switch (i - paths) {
    case 0:
        return cv_h5_put_table(w, "/t", NULL, twice, 3, 1, e);
    case 1:
        return cv_h5_put_table(w, "/t", NULL, tab, 1, 1, e);
    case 2:
        return cv_h5_attr_string(w, "/", "a\nb", "x", e);
    case 3:
        return cv_h5_attr_string(w, "/", "long", f->long_text, e);
    case 4:
        return cv_h5_attr_string(w, "/", "format_version", "again", e);
    case 5:
        return cv_h5_attr_string(w, "/x/y", "a", "b", e);
    case 6:
        return cv_h5_put(w, "/n", CV_H5_F64, 0, NULL, &f->v, f->long_text, NULL,
                         e);
    default:
        return i < paths ? cv_h5_put(w, bad[i], CV_H5_F64, 0, NULL, &f->v, NULL,
                                     NULL, e)
                         : 1;
    }
}

/* Everything that cannot be stored spoils the file: it must not appear with a
 * part missing. */
static void test_refused(void **state)
{
    (void)state;
    refusals f = {CV_NEW(3001, char), CV_NEW(70001, char), 1};
    int i = 0;
    memset(f.long_name, 'n', 3000);
    memset(f.long_text, 't', 70000);
    f.long_name[0] = '/';
    OK(sample_write(file, 4, &err));
    for (;; i++) {
        cv_err e = {0}, later = {0};
        cv_h5_writer *w = begin();
        OK(cv_h5_put(w, "/x", CV_H5_F64, 0, NULL, &f.v, NULL, NULL, &err));
        OK(cv_h5_attr_i64(w, "/g", "n", 1, &err));
        int rc = refused_call(w, i, &f, &e);
        if (rc == 1) {
            cv_h5_abort(&w);
            break;
        }
        if (rc != CV_ERR_INPUT && rc != CV_ERR_OTHER)
            fail_msg("case %d: %d %s", i, rc, e.text);
        assert_true(e.code == rc && e.text[0]);
        /* Once failed, it stays so, with the same reason. */
        assert_int_equal(cv_h5_attr_i64(w, "/", "b", 1, &later), rc);
        assert_string_equal(later.text, e.text);
        assert_int_equal(
            cv_h5_put(w, "/y", CV_H5_F64, 0, NULL, &f.v, NULL, NULL, &later),
            rc);
        assert_int_equal(cv_h5_commit(&w, &later), rc);
        assert_string_equal(later.text, e.text);
        assert_null(w);
        OK(sample_read(file, 4, &err));
    }
    assert_int_equal(i, 19);
    free(f.long_name);
    free(f.long_text);
}

static void test_abort_and_mode(void **state)
{
    (void)state;
    struct stat st;
    cv_h5_writer *w = NULL;
    cv_h5_abort(&w);
    OK(sample_write(file, 6, &err));
    w = begin();
    char *tmp = cv_h5_tmp_name(file);
    assert_true(cv_fs_exists(tmp));
    cv_h5_abort(&w);
    assert_null(w);
    assert_false(cv_fs_exists(tmp));
    OK(sample_read(file, 6, &err));
    /* Private from the first moment on. */
    OK(cv_h5_create(file, 0600, &w, &err));
    assert_int_equal(stat(tmp, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    OK(cv_h5_attr_i64(w, "/", "format_version", 1, &err));
    OK(cv_h5_commit(&w, &err));
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    free(tmp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_equal_bytes),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_long_table),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_wrong_requests),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_open_others),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_abort_and_mode),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

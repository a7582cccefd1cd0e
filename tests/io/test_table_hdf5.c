#include <hdf5.h>

#include "tests/io/data_fixture.h"

static int read_all(const char *path, const char *target, cv_table **t,
                    cv_err *err)
{
    *t = NULL;
    return cv_table_read(path, CV_FORMAT_HDF5, "data", NULL, NULL, 0, target, t,
                         err);
}

static cv_table *must_read(const char *path, const char *target)
{
    cv_table *t;
    cv_err err = {0};
    int rc = read_all(path, target, &t, &err);
    if (rc)
        print_message("%s (%s)\n", err.text, err.site);
    assert_int_equal(rc, 0);
    return t;
}

/* No file, data set or type of HDF5 is left open by what was tested. */
static void assert_all_closed(void)
{
    assert_int_equal(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

static char **names(int n, const char *const *text)
{
    char **copy = CV_NEW(n, char *);
    for (int i = 0; i < n; i++)
        copy[i] = cv_strdup(text[i]);
    return copy;
}

/* 3 x 3: a number, a category, a category with a name that is no link's. */
static cv_table *small_table(void)
{
    static const char *const cols[] = {"age", "sex", "a/b"};
    static const char *const sex[] = {"m", "f"};
    static const char *const ab[] = {"\xc3\xa9t\xc3\xa9", "x y", "z"};
    static const char *const y[] = {"no", "yes"};
    static const float x[] = {1.5f, 1, 2, NAN, 0, NAN, -3, NAN, 0};
    cv_table *t = cv_table_alloc(3, 3, CV_TYPE_F32);
    memcpy(t->x, x, sizeof x);
    for (int j = 0; j < 3; j++)
        t->cols[j].name = cv_strdup(cols[j]);
    t->cols[1].levels = names(t->cols[1].n_levels = 2, sex);
    t->cols[2].levels = names(t->cols[2].n_levels = 3, ab);
    t->y = CV_NEW(3, float);
    t->y[1] = 1.0f;
    t->target.name = cv_strdup("ill");
    t->target.levels = names(t->target.n_levels = 2, y);
    return t;
}

static cv_table *byte_table(int64_t n_rows, int32_t n_cols)
{
    cv_table *t = cv_table_alloc(n_rows, n_cols, CV_TYPE_U8);
    t->scale = 1.0 / 255.0;
    for (int64_t i = 0; i < n_rows * n_cols; i++)
        ((uint8_t *)t->x)[i] = (uint8_t)(i * 7);
    for (int32_t j = 0; j < n_cols; j++)
        t->cols[j].name = cv_asprintf("p%d", j);
    t->y = CV_NEW(n_rows, float);
    for (int64_t i = 0; i < n_rows; i++)
        t->y[i] = (float)(i % 10);
    t->y_whole = 1;
    t->target.name = cv_strdup("label");
    return t;
}

static void assert_same_column(const cv_column *a, const cv_column *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->n_levels, b->n_levels);
    for (int k = 0; k < a->n_levels; k++)
        assert_string_equal(a->levels[k], b->levels[k]);
}

static void assert_same_table(const cv_table *a, const cv_table *b)
{
    assert_int_equal(a->n_rows, b->n_rows);
    assert_int_equal(a->n_cols, b->n_cols);
    assert_int_equal(a->type, b->type);
    assert_true(a->scale == b->scale);
    size_t cell = a->type == CV_TYPE_U8 ? 1 : sizeof(float);
    assert_memory_equal(a->x, b->x, (size_t)(a->n_rows * a->n_cols) * cell);
    for (int32_t j = 0; j < a->n_cols; j++)
        assert_same_column(&a->cols[j], &b->cols[j]);
    assert_int_equal(a->y == NULL, b->y == NULL);
    if (!a->y)
        return;
    assert_same_column(&a->target, &b->target);
    for (int64_t i = 0; i < a->n_rows; i++)
        assert_true(a->y[i] == b->y[i] || (isnan(a->y[i]) && isnan(b->y[i])));
}

static void test_round_trip(void **state)
{
    (void)state;
    cv_err err = {0};
    const char *path = in_dir("round.h5");
    for (int kind = 0; kind < 6; kind++) {
        cv_table *t = kind == 0 ? byte_table(700, 33) : small_table();
        if (kind == 2)
            t->y[2] = NAN; /* a missing label: float */
        if (kind == 3) {   /* no target */
            CV_FREE(t->y);
            CV_FREE(t->target.name);
            free(t->target.levels[0]);
            free(t->target.levels[1]);
            CV_FREE(t->target.levels);
            t->target.n_levels = 0;
        }
        if (kind >= 4) { /* numbers that need more than a byte */
            free(t->target.levels[0]);
            free(t->target.levels[1]);
            CV_FREE(t->target.levels);
            t->target.n_levels = 0;
            t->y_whole = kind == 5;
            t->y[0] = kind == 5 ? -70000.0f : 0.25f;
        }
        assert_int_equal(cv_table_write_hdf5(path, t, &err), 0);
        cv_table *back = must_read(path, NULL);
        assert_same_table(t, back);
        if (t->y)
            assert_int_equal(back->y_whole,
                             kind == 0 || kind == 1 || kind == 5);
        cv_table_destroy(&t);
        cv_table_destroy(&back);
    }
    cv_format format;
    assert_int_equal(cv_table_guess_format(path, &format, &err), 0);
    assert_int_equal(format, CV_FORMAT_HDF5);
    assert_all_closed();
}

static void test_many_columns(void **state)
{
    (void)state; /* names take more than the 64 KB of an old attribute */
    cv_err err = {0};
    cv_table *t = byte_table(2, 30000);
    assert_int_equal(cv_table_write_hdf5(in_dir("wide.h5"), t, &err), 0);
    cv_table *back = must_read(in_dir("wide.h5"), NULL);
    assert_same_table(t, back);
    cv_table_destroy(&t);
    cv_table_destroy(&back);
}

static void test_write_is_atomic(void **state)
{
    (void)state;
    cv_err err = {0};
    cv_table *t = byte_table(2, 2);
    assert_int_equal(cv_table_write_hdf5(in_dir("no/such.h5"), t, &err),
                     CV_ERR_ENV);
    assert_non_null(strstr(err.text, "cannot write"));
    t->n_rows = 0;
    assert_int_equal(cv_table_write_hdf5(in_dir("none.h5"), t, &err),
                     CV_ERR_INPUT);
    t->n_rows = 2;
    /* a link that cannot be made: HDF5 fails half-way */
    assert_int_equal(cv_table_write_hdf5(in_dir("a.h5"), t, &err), 0);
    size_t n;
    uint8_t *before = read_bytes(in_dir("a.h5"), &n), *after;
    static const char *const twice[] = {"same", "same"};
    for (int j = 0; j < 2; j++) {
        free(t->cols[j].name);
        t->cols[j].name = cv_strdup("same");
        t->cols[j].levels = names(t->cols[j].n_levels = 2, twice);
    }
    assert_int_equal(cv_table_write_hdf5(in_dir("a.h5"), t, &err), CV_ERR_ENV);
    after = read_bytes(in_dir("a.h5"), &n);
    assert_memory_equal(before, after, n);
    DIR *d = opendir(test_dir);
    for (struct dirent *e; (e = readdir(d));)
        assert_null(strstr(e->d_name, ".tmp."));
    closedir(d);
    free(before);
    free(after);
    cv_table_destroy(&t);
    assert_all_closed();
}

static void test_filter(void **state)
{
    (void)state;
    enum { ROWS = 20000, COLS = 700 }; /* several blocks of 4 MB */
    cv_err err = {0};
    cv_table *t = byte_table(ROWS, COLS), *back = NULL;
    assert_int_equal(cv_table_write_hdf5(in_dir("f.h5"), t, &err), 0);
    uint8_t *keep = CV_NEW(ROWS, uint8_t);
    for (int kind = 0; kind < 4; kind++) {
        for (int64_t i = 0; i < ROWS; i++)
            keep[i] = kind == 0   ? i % 3 == 1
                      : kind == 1 ? i < 9000
                      : kind == 2 ? i == ROWS - 1
                                  : 0;
        cv_row_filter f = {.keep = keep, .n_rows = ROWS};
        assert_int_equal(cv_table_read(in_dir("f.h5"), CV_FORMAT_HDF5, "data",
                                       &f, NULL, 0, "label", &back, &err),
                         0);
        int64_t k = 0;
        for (int64_t i = 0; i < ROWS; i++)
            if (keep[i]) {
                assert_memory_equal((uint8_t *)back->x + k * COLS,
                                    (uint8_t *)t->x + i * COLS, COLS);
                assert_true(back->y[k++] == t->y[i]);
            }
        assert_int_equal(back->n_rows, k);
        cv_table_destroy(&back);
    }
    cv_row_filter wrong = {.keep = keep, .n_rows = ROWS - 1};
    assert_input_error(cv_table_read(in_dir("f.h5"), CV_FORMAT_HDF5, "data",
                                     &wrong, NULL, 0, NULL, &back, &err),
                       &err, "has changed", NULL);
    free(keep);
    cv_table_destroy(&t);
}

static void test_read_target(void **state)
{
    (void)state;
    cv_err err = {0};
    int64_t n = 0;
    float *y = NULL;
    cv_table *t = byte_table(50, 4);
    assert_int_equal(cv_table_write_hdf5(in_dir("b.h5"), t, &err), 0);
    static const char *const target[] = {"label", "p2", NULL};
    for (int k = 0; k < 3; k++) {
        assert_int_equal(cv_table_read_target(in_dir("b.h5"), CV_FORMAT_HDF5,
                                              "simulate.source", target[k],
                                              NULL, 0, &n, &y, &err),
                         0);
        assert_int_equal(n, 50);
        for (int64_t i = 0; i < n; i++)
            assert_true(y[i] == (k == 1 ? (float)at(t, i, 2) : t->y[i]));
        free(y);
    }
    assert_input_error(cv_table_read_target(in_dir("b.h5"), CV_FORMAT_HDF5,
                                            "simulate.source", "other", NULL, 0,
                                            &n, &y, &err),
                       &err, "simulate.source: target 'other'", in_dir("b.h5"));
    cv_table_destroy(&t);
    t = small_table();
    assert_int_equal(cv_table_write_hdf5(in_dir("b.h5"), t, &err), 0);
    assert_int_equal(cv_table_read_target(in_dir("b.h5"), CV_FORMAT_HDF5,
                                          "data", "sex", NULL, 0, &n, &y, &err),
                     0);
    assert_true(y[0] == 1 && y[1] == 0 && isnan(y[2]));
    free(y);
    cv_table_destroy(&t);
    assert_all_closed();
}

/* Files as others write them. */
typedef struct {
    hid_t x_type, y_type; /* on disk */
    int rank;             /* of x: 2 */
    hsize_t rows, cols, y_rows;
    hsize_t chunk, chunk_cols; /* 0: contiguous; all columns */
    int deflate, shuffle, fletcher;
    int modern;         /* 1: format of HDF5 1.8; 2: the newest */
    hsize_t user_block; /* bytes before the file proper */
    const void *x;      /* doubles; NULL: never written */
    const double *y;
    const char *const *columns; /* variable-length strings, or NULL */
    int n_columns;
    const char *y_name;
    double scale; /* 0: none */
} foreign;

static void put_strings(hid_t d, const char *name, const char *const *text,
                        int n, int fixed)
{
    hsize_t dims[1] = {(hsize_t)n};
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, dims, NULL);
    H5Tset_size(type, fixed ? (size_t)fixed : H5T_VARIABLE);
    if (fixed)
        H5Tset_strpad(type, H5T_STR_SPACEPAD);
    hid_t a = H5Acreate2(d, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    char *flat = CV_NEW(n * (fixed + 1), char);
    memset(flat, ' ', (size_t)(n * (fixed + 1)));
    for (int i = 0; i < n && fixed; i++)
        memcpy(flat + i * fixed, text[i], strlen(text[i]));
    assert_true(H5Awrite(a, type, fixed ? (void *)flat : (void *)text) >= 0);
    free(flat);
    H5Aclose(a);
    H5Sclose(space);
    H5Tclose(type);
}

static void write_foreign(const char *path, const foreign *f)
{
    hsize_t dims[3] = {f->rows, f->cols, 1};
    hsize_t chunk[3] = {f->chunk, f->chunk_cols ? f->chunk_cols : f->cols, 1};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS),
          make = H5Pcreate(H5P_FILE_CREATE);
    if (f->modern)
        H5Pset_libver_bounds(access,
                             f->modern > 1 ? H5F_LIBVER_LATEST : H5F_LIBVER_V18,
                             H5F_LIBVER_LATEST);
    H5Pset_userblock(make, f->user_block);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, make, access);
    H5Pclose(access);
    H5Pclose(make);
    hid_t space = H5Screate_simple(f->rank, dims, NULL);
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    if (f->chunk)
        H5Pset_chunk(plist, f->rank, chunk);
    if (f->shuffle)
        H5Pset_shuffle(plist);
    if (f->deflate)
        H5Pset_deflate(plist, 6);
    if (f->fletcher)
        H5Pset_fletcher32(plist);
    hid_t x = H5Dcreate2(file, "x", f->x_type, space, H5P_DEFAULT, plist,
                         H5P_DEFAULT);
    assert_true(x >= 0);
    if (f->x)
        assert_true(H5Dwrite(x, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL,
                             H5P_DEFAULT, f->x) >= 0);
    if (f->columns)
        put_strings(x, "columns", f->columns, f->n_columns, 0);
    if (f->scale != 0) {
        hid_t s = H5Screate(H5S_SCALAR);
        hid_t a =
            H5Acreate2(x, "scale", H5T_IEEE_F32LE, s, H5P_DEFAULT, H5P_DEFAULT);
        H5Awrite(a, H5T_NATIVE_DOUBLE, &f->scale);
        H5Aclose(a);
        H5Sclose(s);
    }
    H5Dclose(x);
    H5Sclose(space);
    H5Pclose(plist);
    if (f->y) {
        hid_t s = H5Screate_simple(1, &f->y_rows, NULL);
        hid_t y = H5Dcreate2(file, "y", f->y_type, s, H5P_DEFAULT, H5P_DEFAULT,
                             H5P_DEFAULT);
        H5Dwrite(y, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, f->y);
        if (f->y_name)
            put_strings(y, "name", &f->y_name, 1, 9);
        H5Dclose(y);
        H5Sclose(s);
    }
    assert_true(H5Fclose(file) >= 0);
}

static const double values[] = {0, 1, 2, 3, 4, 200};
static const double labels[] = {1, 0, 2};

static foreign usual(void)
{
    return (foreign){.x_type = H5T_IEEE_F32LE,
                     .y_type = H5T_STD_I64LE,
                     .rank = 2,
                     .rows = 3,
                     .cols = 2,
                     .y_rows = 3,
                     .x = values,
                     .y = labels};
}

static void test_foreign_types(void **state)
{
    (void)state;
    const hid_t types[] = {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE,
                           H5T_STD_U8LE,   H5T_STD_I16BE,  H5T_STD_I32LE,
                           H5T_STD_U64LE,  H5T_STD_I64BE};
    static const char *const columns[] = {"age", "blood pressure"};
    for (size_t i = 0; i < 4 * sizeof types / sizeof *types; i++) {
        foreign f = usual();
        f.x_type = types[i / 4];
        f.y_type = types[7 - i / 4];
        f.chunk = i & 1 ? 2 : 0;
        f.deflate = (i & 3) == 3;
        if (i & 2) {
            f.columns = columns;
            f.n_columns = 2;
            f.y_name = "ill";
        }
        write_foreign(in_dir("foreign.h5"), &f);
        cv_table *t = must_read(in_dir("foreign.h5"), NULL);
        int u8 = i / 4 == 3, y_float = i / 4 >= 5;
        assert_int_equal(t->type, u8 ? CV_TYPE_U8 : CV_TYPE_F32);
        assert_int_equal(t->y_whole, !y_float);
        assert_true(t->scale == 1.0);
        for (int k = 0; k < 6; k++)
            assert_true(at(t, k / 2, k % 2) == values[k]);
        for (int k = 0; k < 3; k++)
            assert_true(t->y[k] == (float)labels[k]);
        assert_string_equal(t->cols[1].name, i & 2 ? columns[1] : "x1");
        assert_string_equal(t->target.name, i & 2 ? "ill" : "label");
        cv_table_destroy(&t);
    }
    assert_all_closed();
}

static void put_levels(hid_t file, const char *path, const char *const *text,
                       hsize_t n)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &n, NULL);
    H5Tset_size(type, H5T_VARIABLE);
    hid_t d = H5Dcreate2(file, path, type, space, H5P_DEFAULT, H5P_DEFAULT,
                         H5P_DEFAULT);
    H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text);
    H5Dclose(d);
    H5Sclose(space);
    H5Tclose(type);
}

/* Everything a usual writer may do to the same numbers. */
static void test_stored_in_many_ways(void **state)
{
    (void)state;
    enum { ROWS = 37, COLS = 11 };
    double x[ROWS * COLS], y[ROWS];
    for (int i = 0; i < ROWS * COLS; i++)
        x[i] = i * 1.25;
    for (int i = 0; i < ROWS; i++)
        y[i] = i;
    int n = 0;
    for (int modern = 0; modern < 2; modern++)
        for (hsize_t user = 0; user <= 1024; user += 512)
            for (hsize_t rows = 0; rows <= 40; rows += 8)
                for (hsize_t cols = 3; cols <= 11; cols += 4)
                    for (int filters = 0; filters < 8; filters++, n++) {
                        foreign f = usual();
                        f.x_type = n & 1 ? H5T_IEEE_F64BE : H5T_IEEE_F32LE;
                        f.rows = f.y_rows = ROWS;
                        f.cols = COLS;
                        f.chunk = rows > ROWS ? ROWS : rows;
                        f.chunk_cols = cols;
                        f.x = x;
                        f.y = y;
                        f.modern = modern;
                        f.user_block = user;
                        f.deflate = rows && filters & 1;
                        f.shuffle = rows && filters & 2;
                        f.fletcher = rows && filters & 4;
                        write_foreign(in_dir("many.h5"), &f);
                        cv_table *t = must_read(in_dir("many.h5"), NULL);
                        for (int i = 0; i < ROWS * COLS; i++)
                            assert_true(((float *)t->x)[i] == (float)x[i]);
                        cv_table_destroy(&t);
                        if (rows == 0)
                            filters = 8;
                    }
    /* a chunk that no longer matches its checksum */
    foreign f = usual();
    f.chunk = 3;
    f.fletcher = 1;
    write_foreign(in_dir("many.h5"), &f);
    size_t len;
    uint8_t *data = read_bytes(in_dir("many.h5"), &len);
    static const float stored[] = {0, 1, 2, 3, 4, 200};
    uint8_t *at_ = memmem(data, len, stored, sizeof stored);
    assert_non_null(at_);
    at_[5] ^= 1;
    write_bytes(in_dir("many.h5"), data, len);
    free(data);
    cv_table *t;
    cv_err err = {0};
    assert_input_error(read_all(in_dir("many.h5"), NULL, &t, &err), &err,
                       "checksum of a chunk", NULL);
}

/* What is not read is refused with advice. */
static void test_newest_format(void **state)
{
    (void)state;
    cv_table *t;
    cv_err err = {0};
    foreign f = usual();
    f.modern = 2;
    write_foreign(in_dir("new.h5"), &f);
    t = must_read(in_dir("new.h5"), NULL);
    assert_true(at(t, 2, 1) == 200);
    cv_table_destroy(&t);
    f.chunk = 2;
    write_foreign(in_dir("new.h5"), &f);
    assert_input_error(read_all(in_dir("new.h5"), NULL, &t, &err), &err,
                       "h5repack", NULL);
}

/* Names of variable length over many heaps, many members of a group. */
static void test_many_names(void **state)
{
    (void)state;
    enum { COLS = 2500 };
    char **columns = CV_NEW(COLS, char *);
    double *x = CV_NEW(2 * COLS, double);
    for (int j = 0; j < COLS; j++)
        columns[j] = cv_asprintf("%.*s%d", j * 7 % 60,
                                 "long name of a column "
                                 "in some laboratory or hospital, unit mmol/l",
                                 j);
    foreign f = usual();
    f.rows = f.y_rows = 2;
    f.cols = COLS;
    f.x = x;
    f.columns = (const char *const *)columns;
    f.n_columns = COLS;
    write_foreign(in_dir("names.h5"), &f);
    static const char *const levels[] = {"a", "b"};
    hid_t file = H5Fopen(in_dir("names.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    H5Gclose(
        H5Gcreate2(file, "categories", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    int n = 0;
    for (int j = 0; j < 300; j++) {
        char path[128];
        snprintf(path, sizeof path, "/categories/%s", columns[j]);
        if (strchr(columns[j], '/'))
            continue;
        put_levels(file, path, levels, 2);
        n++;
    }
    H5Fclose(file);
    cv_table *t = must_read(in_dir("names.h5"), NULL);
    for (int j = 0; j < COLS; j++) {
        assert_string_equal(t->cols[j].name, columns[j]);
        n -= t->cols[j].n_levels == 2;
    }
    assert_int_equal(n, 0);
    cv_table_destroy(&t);
    for (int j = 0; j < COLS; j++)
        free(columns[j]);
    free(columns);
    free(x);
}

static void test_wrong_layouts(void **state)
{
    (void)state;
    static const char *const twice[] = {"a", "a"}, *const odd[] = {"a", "b\n"};
    static const char *const ab[] = {"a", "b"}, *const three[] = {"a", "b",
                                                                  "c"};
    static const double infinite[] = {0, 1, 2, 3, INFINITY, 5};
    static const double large[] = {0, 1, 2, 1e39, 4, 5};
    static const double bad_y[] = {1, -INFINITY, 2};
    const foreign base = usual();
    struct {
        foreign f;
        const char *text, *site;
    } c[24];
    int n = 0;
#define CASE(message, where, ...)                                              \
    do {                                                                       \
        c[n].f = base;                                                         \
        foreign *f = &c[n].f;                                                  \
        __VA_ARGS__;                                                           \
        c[n].text = message;                                                   \
        c[n++].site = where;                                                   \
    } while (0)
    CASE("2 dimensions", NULL, f->rank = 1);
    CASE("2 dimensions", NULL, f->rank = 3, f->x = NULL);
    CASE("less data", NULL, f->x = NULL); /* nothing stored */
    CASE("less data", NULL, f->x = NULL, f->rows = 1u << 30, f->cols = 1000,
         f->chunk = 100);
    CASE("less data", NULL, f->x = NULL, f->rows = 1ull << 62,
         f->cols = 1ull << 62 >> 61, f->chunk = 1);
    CASE("no rows", NULL, f->rows = 0, f->y_rows = 0);
    CASE("columns", NULL, f->cols = 0, f->x = NULL);
    CASE("another number of rows", NULL, f->y_rows = 2);
    CASE("expected 2 names, found 3", NULL, f->columns = three,
         f->n_columns = 3);
    CASE("'a' is there twice", NULL, f->columns = twice, f->n_columns = 2);
    CASE("control character", NULL, f->columns = odd, f->n_columns = 2);
    CASE("'b' is there twice", NULL, f->columns = ab, f->n_columns = 2,
         f->y_name = "b");
    CASE("'x0': a value is infinite", "row 3", f->x = infinite);
    CASE("'x1': a value is infinite", "row 2", f->x = large,
         f->x_type = H5T_IEEE_F64LE);
    CASE("'label': a value is infinite", "row 2", f->y = bad_y,
         f->y_type = H5T_IEEE_F64LE);
    CASE("scale", NULL, f->scale = -1, f->x_type = H5T_STD_U8LE);
    CASE("scale", NULL, f->scale = NAN, f->x_type = H5T_STD_U8LE);
    CASE("uint8 only", NULL, f->scale = 0.5);
    CASE("another type", NULL, f->x_type = H5T_STD_B8LE, f->x = NULL);
    hid_t odd_int = H5Tcopy(H5T_STD_I16LE), odd_float = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_precision(odd_int, 12);
    H5Tset_ebias(odd_float, 120);
    CASE("another type", NULL, f->x_type = odd_int);
    CASE("another type", NULL, f->x_type = odd_float);
#undef CASE
    for (int i = 0; i < n; i++) {
        cv_err err = {0};
        cv_table *t;
        write_foreign(in_dir("wrong.h5"), &c[i].f);
        assert_input_error(read_all(in_dir("wrong.h5"), NULL, &t, &err), &err,
                           c[i].text, c[i].site);
        assert_null(t);
    }
    H5Tclose(odd_int);
    H5Tclose(odd_float);
    assert_all_closed();
}

/* Change a good file. */
static hid_t reopen(const char *path)
{
    cv_err err = {0};
    cv_table *t = small_table();
    assert_int_equal(cv_table_write_hdf5(path, t, &err), 0);
    cv_table_destroy(&t);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

static void test_wrong_categories(void **state)
{
    (void)state;
    static const char *const good[] = {"u", "v", "w"};
    static const char *const twice[] = {"u", "u"}, *const empty[] = {"u", ""};
    static const struct {
        const char *unlink, *link;
        const char *const *levels;
        hsize_t n;
        const char *text, *site;
    } cases[] = {
        {NULL, "/categories/nobody", good, 3, "not there: 'nobody'", NULL},
        {"/categories/sex", "/categories/sex", good, 1,
         "'sex': a value is not one of its level numbers 0 to 0", "row 1"},
        {NULL, "/categories/age", good, 3, "'age': a value is not", "row 1"},
        {"/categories/ill", "/categories/ill", good, 1, "'ill': a value",
         "row 2"},
        {"/categories/sex", "/categories/sex", twice, 2, "twice", NULL},
        {"/categories/sex", "/categories/sex", empty, 2, "empty", NULL},
        {NULL, "/categories/a\\b", good, 3, "not there", NULL},
        {"/categories/sex", NULL, NULL, 0, NULL, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_err err = {0};
        cv_table *t;
        hid_t file = reopen(in_dir("c.h5"));
        if (cases[i].unlink)
            H5Ldelete(file, cases[i].unlink, H5P_DEFAULT);
        if (cases[i].link)
            put_levels(file, cases[i].link, cases[i].levels, cases[i].n);
        H5Fclose(file);
        int rc = read_all(in_dir("c.h5"), NULL, &t, &err);
        if (cases[i].text) {
            assert_input_error(rc, &err, cases[i].text, cases[i].site);
        } else { /* without names they are numbers */
            assert_int_equal(rc, 0);
            assert_int_equal(t->cols[1].n_levels, 0);
            cv_table_destroy(&t);
        }
    }
    assert_all_closed();
}

/* What is not in the file itself is not followed. */
static void test_links_and_outside_data(void **state)
{
    (void)state;
    cv_err err = {0};
    cv_table *t;
    foreign f = usual();
    write_foreign(in_dir("other.h5"), &f);
    for (int kind = 0; kind < 5; kind++) {
        hid_t file =
            H5Fcreate(in_dir("l.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        hsize_t dims[2] = {3, 2};
        hid_t space = H5Screate_simple(2, dims, NULL), d = -1;
        hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
        if (kind == 0)
            H5Lcreate_external(in_dir("other.h5"), "/x", file, "x", H5P_DEFAULT,
                               H5P_DEFAULT);
        else if (kind == 1)
            H5Lcreate_soft("/gone", file, "x", H5P_DEFAULT, H5P_DEFAULT);
        else if (kind == 2)
            H5Pset_external(plist, "/etc/passwd", 0, 24);
        else if (kind == 3)
            H5Pset_virtual(plist, space, in_dir("other.h5"), "/x", space);
        else
            d = H5Gcreate2(file, "x", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        if (kind == 2 || kind == 3)
            d = H5Dcreate2(file, "x", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist,
                           H5P_DEFAULT);
        if (kind == 4)
            H5Gclose(d);
        else if (d >= 0)
            H5Dclose(d);
        H5Pclose(plist);
        H5Sclose(space);
        H5Fclose(file);
        assert_input_error(read_all(in_dir("l.h5"), NULL, &t, &err), &err,
                           kind < 2    ? "found none"
                           : kind == 2 ? "another file"
                           : kind == 3 ? "not read here"
                                       : "another shape",
                           NULL);
    }
    assert_all_closed();
}

static void test_not_hdf5(void **state)
{
    (void)state;
    cv_err err = {0};
    cv_table *t;
    assert_input_error(read_all(in_dir("missing.h5"), NULL, &t, &err), &err,
                       "data: cannot open", "missing.h5");
    write_bytes(in_dir("text.h5"), "a,b\n1,2\n", 8);
    assert_input_error(read_all(in_dir("text.h5"), NULL, &t, &err), &err,
                       "looks like text; for CSV set data.format: csv", NULL);
    write_bytes(in_dir("text.h5"), "", 0);
    assert_input_error(read_all(in_dir("text.h5"), NULL, &t, &err), &err,
                       "is empty", NULL);
}

/* From heap memory of just that size, so that ASan sees every read past it. */
static void read_damaged(const uint8_t *data, size_t n, int must_fail)
{
    uint8_t *copy = malloc(n);
    memcpy(copy, data, n);
    for (int target_only = 0; target_only < 2; target_only++) {
        cv_source src = {.path = "f",
                         .role = "data",
                         .target = "sex",
                         .target_only = target_only};
        cv_err err = {0};
        cv_table *t = NULL;
        int rc = cv_hdf5_parse(&src, copy, n, &t, &err);
        if (must_fail || rc)
            assert_int_equal(rc, CV_ERR_INPUT);
        assert_true(rc ? err.text[0] && !t : t != NULL);
        cv_table_destroy(&t);
    }
    free(copy);
}

static void test_every_truncation(void **state)
{
    (void)state;
    cv_err err = {0};
    cv_table *t = small_table();
    assert_int_equal(cv_table_write_hdf5(in_dir("whole.h5"), t, &err), 0);
    cv_table_destroy(&t);
    size_t n;
    uint8_t *data = read_bytes(in_dir("whole.h5"), &n);
    for (size_t k = 0; k < n; k++)
        read_damaged(data, k, 1);
    for (size_t k = 1; k < n; k += 97) { /* and as files */
        write_bytes(in_dir("cut.h5"), data, k);
        assert_input_error(read_all(in_dir("cut.h5"), NULL, &t, &err), &err,
                           "HDF5", NULL);
    }
    free(data);
    assert_all_closed();
}

static void append_more(const char *path)
{
    static const double more[100];
    hsize_t n = 100;
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, &n, NULL);
    hid_t d = H5Dcreate2(file, "more", H5T_IEEE_F64LE, space, H5P_DEFAULT,
                         H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, more);
    H5Dclose(d);
    H5Sclose(space);
    H5Fclose(file);
}

/* A file that is cut where nothing is missed: its superblock knows. */
static void test_cut_in_an_unused_part(void **state)
{
    (void)state;
    for (int modern = 0; modern < 2; modern++) {
        foreign f = usual();
        f.modern = modern;
        write_foreign(in_dir("cut.h5"), &f);
        append_more(in_dir("cut.h5"));
        size_t len;
        free(read_bytes(in_dir("cut.h5"), &len));
        assert_int_equal(truncate(in_dir("cut.h5"), (off_t)len - 1), 0);
        cv_table *t;
        cv_err err = {0};
        assert_input_error(read_all(in_dir("cut.h5"), NULL, &t, &err), &err,
                           "is truncated", NULL);
    }
}

/* The shape is larger than what is stored for it, the file is not. */
static void test_shape_beyond_the_data(void **state)
{
    (void)state;
    static const uint64_t shape[] = {3, 2, 3, 2}, larger[] = {4, 2, 4, 2};
    for (int chunk = 0; chunk < 2; chunk++) {
        foreign f = usual();
        f.y = NULL;
        f.chunk = (hsize_t)chunk;
        write_foreign(in_dir("shape.h5"), &f);
        append_more(in_dir("shape.h5"));
        size_t len;
        uint8_t *data = read_bytes(in_dir("shape.h5"), &len);
        uint8_t *dims = memmem(data, len, shape, sizeof shape);
        assert_non_null(dims);
        memcpy(dims, larger, sizeof larger);
        write_bytes(in_dir("shape.h5"), data, len);
        free(data);
        cv_table *t;
        cv_err err = {0};
        assert_input_error(read_all(in_dir("shape.h5"), NULL, &t, &err), &err,
                           "less data than its shape", NULL);
    }
}

static void flip_bytes(const char *from, int n_files, uint64_t seed)
{
    size_t n;
    uint8_t *data = read_bytes(from, &n), *bad = malloc(n);
    for (int i = 0; i < n_files; i++) {
        memcpy(bad, data, n);
        for (int k = 0; k < 1 + i % 5; k++) {
            uint64_t r = next_random(&seed);
            size_t p = (size_t)(r >> 16) % n;
            bad[p] = i & 1 ? (uint8_t)r : (uint8_t)(bad[p] ^ 1u << (r & 7));
        }
        read_damaged(bad, n, 0);
    }
    free(bad);
    free(data);
}

static void test_byte_flips(void **state)
{
    (void)state;
    cv_err err = {0};
    cv_table *t = small_table();
    assert_int_equal(cv_table_write_hdf5(in_dir("whole.h5"), t, &err), 0);
    cv_table_destroy(&t);
    flip_bytes(in_dir("whole.h5"), 20000, 11);
    static const char *const columns[] = {"age", "blood pressure"};
    foreign f = usual();
    f.columns = columns;
    f.n_columns = 2;
    f.y_name = "ill";
    f.chunk = 2;
    f.deflate = 1;
    write_foreign(in_dir("whole.h5"), &f);
    flip_bytes(in_dir("whole.h5"), 20000, 12);
    f.chunk = f.deflate = 0;
    write_foreign(in_dir("whole.h5"), &f);
    flip_bytes(in_dir("whole.h5"), 20000, 13);
    assert_all_closed();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_many_columns),
        cmocka_unit_test(test_write_is_atomic),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_read_target),
        cmocka_unit_test(test_foreign_types),
        cmocka_unit_test(test_stored_in_many_ways),
        cmocka_unit_test(test_newest_format),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_wrong_layouts),
        cmocka_unit_test(test_wrong_categories),
        cmocka_unit_test(test_links_and_outside_data),
        cmocka_unit_test(test_not_hdf5),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_cut_in_an_unused_part),
        cmocka_unit_test(test_shape_beyond_the_data),
        cmocka_unit_test(test_byte_flips)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

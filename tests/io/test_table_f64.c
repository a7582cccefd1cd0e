#include <hdf5.h>

#include "io/names.h"
#include "io/siphash.h"
#include "tests/io/data_fixture.h"

static const cv_row_filter wide = {.f64 = 1};

static int parse_csv(const char *text, const char *target,
                     const cv_feature *features, int n_features,
                     const cv_row_filter *filter, cv_table **t, cv_err *err)
{
    cv_source src = {.path = "/private/north.csv",
                     .role = "data",
                     .target = target,
                     .features = features,
                     .n_features = n_features,
                     .filter = filter,
                     .advice = CV_ADVISE_MODEL};
    size_t len = strlen(text);
    char *copy = malloc(len + 1);
    memcpy(copy, text, len + 1);
    *t = NULL;
    int rc = cv_csv_parse(&src, copy, len, t, err);
    free(copy);
    return rc;
}

static cv_table *must_csv(const char *text, const char *target,
                          const cv_feature *features, int n_features,
                          const cv_row_filter *filter)
{
    cv_table *t;
    cv_err err = {0};
    if (parse_csv(text, target, features, n_features, filter, &t, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_non_null(t);
    assert_int_equal(t->type, CV_TYPE_F64);
    assert_true(!t->y && !t->target.name && t->scale == 1.0 && t->content);
    return t;
}

static uint64_t hash(const void *bytes, size_t n)
{
    return cv_siphash((const uint8_t[16]){0}, bytes, n);
}

static void assert_bits(double found, double expected)
{
    if (memcmp(&found, &expected, sizeof found) != 0)
        print_message("%.17g is not %.17g\n", found, expected);
    assert_memory_equal(&found, &expected, sizeof found);
}

/* None of these is a float; the target neither. */
static void test_csv(void **state)
{
    (void)state;
    static const double expect[] = {0.1,  16777217,         1e300,
                                    -0.0, 9007199254740991, 4.9e-324};
    cv_table *t = must_csv("a,y,b\n0.1,16777217,1e300\n"
                           "-0,9007199254740991,4.9e-324\n,NA,nan\n",
                           "y", NULL, 0, &wide);
    assert_int_equal(t->n_rows, 3);
    assert_int_equal(t->n_cols, 3);
    assert_string_equal(t->cols[1].name, "y");
    assert_int_equal(t->y_col, -1);
    for (int k = 0; k < 6; k++)
        assert_bits(((double *)t->x)[k], expect[k]);
    for (int k = 6; k < 9; k++)
        assert_true(isnan(((double *)t->x)[k]));
    assert_true(t->lines[2] == 4);
    cv_table_destroy(&t);
}

/* Levels that are found get their place in the sorted list, of the target as of
 * a feature. */
static void test_csv_levels(void **state)
{
    (void)state;
    cv_feature sex = {.name = "sex", .type = CV_FEATURE_CATEGORY};
    cv_table *t = must_csv("sex,y,a\nm,yes,1\nf,no,2\n,,3\nm,no,4\n", "y", &sex,
                           1, &wide);
    static const double expect[4][2] = {{1, 1}, {0, 0}, {NAN, NAN}, {1, 0}};
    assert_string_equal(t->cols[0].levels[0], "f");
    assert_string_equal(t->cols[1].levels[1], "yes");
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 2; j++)
            assert_true(at(t, i, j) == expect[i][j] ||
                        (isnan(at(t, i, j)) && isnan(expect[i][j])));
    cv_table_destroy(&t);
}

/* A row's content is its text: columns that are left out are in it, its line
 * end is not. */
static void test_csv_content(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *rows[4];
    } cases[] = {
        {"a,b,y\n1,x,2\n1,z,2\n", {"1,x,2", "1,z,2"}},
        {"a,b,y\r\n1,x,2\r\n1,x,3", {"1,x,2", "1,x,3"}},
        {"a,b,y\n\n1,x,2\n\n\n1,x,3\r", {"1,x,2", "1,x,3"}},
        {"\xef\xbb\xbf"
         "a;b;y\n1;\"x;\r\n\"\"\";2\n1;x;2\n",
         {"1;\"x;\r\n\"\"\";2", "1;x;2"}},
        {"a,b,y\n1.0,x,2\n1,x,2\n 1,x,\n", {"1.0,x,2", "1,x,2", " 1,x,"}}};
    cv_feature a = {.name = "a", .type = CV_FEATURE_NUMBER};
    cv_row_filter filter = {.f64 = 1, .declared_only = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_table *t = must_csv(cases[i].text, "y", &a, 1, &filter);
        assert_int_equal(t->n_cols, 2);
        int n = 0;
        for (; cases[i].rows[n]; n++)
            assert_int_equal(t->content[n],
                             hash(cases[i].rows[n], strlen(cases[i].rows[n])));
        assert_int_equal(t->n_rows, n);
        cv_table_destroy(&t);
    }
    static const uint8_t keep[] = {0, 1, 0, 1};
    cv_row_filter some = {.f64 = 1, .keep = keep, .n_rows = 4};
    cv_table *t = must_csv("a,y\n1,2\n3,4\n5,6\n7,8\n", "y", NULL, 0, &some);
    assert_int_equal(t->n_rows, 2);
    assert_true(at(t, 1, 0) == 7 && at(t, 1, 1) == 8);
    assert_int_equal(t->content[0], hash("3,4", 3));
    assert_int_equal(t->content[1], hash("7,8", 3));
    cv_table_destroy(&t);
}

static void test_csv_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message, *site;
    } cases[] = {{"a,y\n1e400,1\n", "too large for a 64-bit float", "line 2"},
                 {"a,y\n1,-inf\n", "'y': a value is infinite", "line 2"},
                 {"a,y\nx,1\n", "expected a number", "line 2, column 'a': 'x'"},
                 {"a,y\n1,1\n1\n", "expected 2 fields", "line 3"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_table *t;
        cv_err err = {0};
        int rc = parse_csv(cases[i].text, "y", NULL, 0, &wide, &t, &err);
        assert_input_error(rc, &err, cases[i].message, cases[i].site);
        assert_null(strstr(err.text, "32-bit"));
        assert_null(t);
    }
}

static void put_attribute(hid_t object, const char *name, const char *text,
                          double number)
{
    hid_t type = text ? H5Tcopy(H5T_C_S1) : H5Tcopy(H5T_NATIVE_DOUBLE);
    hid_t space = H5Screate(H5S_SCALAR);
    if (text)
        H5Tset_size(type, strlen(text));
    hid_t a = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(a, type, text ? (const void *)text : &number) >= 0);
    H5Aclose(a);
    H5Sclose(space);
    H5Tclose(type);
}

typedef struct {
    hid_t x_type, y_type; /* y_type 0: no /y; as the arrays are */
    hsize_t rows, cols;
    const void *x, *y;
    double scale;     /* 0: none */
    int level_column; /* 1: x0 is a category u, v, w */
    hsize_t chunk;
} stored;

static hid_t put_set(hid_t file, const char *name, hid_t type, int rank,
                     const hsize_t *dims, hsize_t chunk, const void *data)
{
    hid_t s = H5Screate_simple(rank, dims, NULL), p = H5P_DEFAULT;
    hsize_t c[2] = {chunk, 1};
    if (chunk) {
        p = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_chunk(p, rank, c);
        H5Pset_deflate(p, 3);
    }
    hid_t d = H5Dcreate2(file, name, type, s, H5P_DEFAULT, p, H5P_DEFAULT);
    assert_true(H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Sclose(s);
    if (chunk)
        H5Pclose(p);
    return d;
}

static const char *write_stored(const stored *f)
{
    const char *path = in_dir("wide.h5");
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hsize_t dims[2] = {f->rows, f->cols}, three = 3;
    hid_t d = put_set(file, "x", f->x_type, 2, dims, f->chunk, f->x);
    if (f->scale)
        put_attribute(d, "scale", NULL, f->scale);
    H5Dclose(d);
    if (f->y_type) {
        d = put_set(file, "y", f->y_type, 1, dims, f->chunk, f->y);
        put_attribute(d, "name", "dose", 0);
        H5Dclose(d);
    }
    if (f->level_column) {
        hid_t g = H5Gcreate2(file, "categories", H5P_DEFAULT, H5P_DEFAULT,
                             H5P_DEFAULT);
        hid_t type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, 1);
        H5Dclose(put_set(g, "x0", type, 1, &three, 0, "uvw"));
        H5Tclose(type);
        H5Gclose(g);
    }
    assert_true(H5Fclose(file) >= 0);
    return path;
}

static int read_h5(const char *path, const cv_row_filter *filter, cv_table **t,
                   cv_err *err)
{
    return cv_table_read(path, CV_FORMAT_HDF5, "data", filter, NULL, 0, "dose",
                         t, err);
}

static cv_table *must_h5(const stored *f, const cv_row_filter *filter)
{
    cv_table *t = NULL;
    cv_err err = {0};
    if (read_h5(write_stored(f), filter, &t, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_non_null(t);
    assert_int_equal(t->type, CV_TYPE_F64);
    assert_true(!t->y && !t->target.name && t->scale == 1.0 && t->content);
    return t;
}

static void test_hdf5_doubles(void **state)
{
    (void)state;
    static const double x[] = {0.1, -1e300, 16777217, NAN, 1.0 / 3, 5};
    static const double y[] = {0.7, NAN, 123456789.125};
    for (int kind = 0; kind < 4; kind++) {
        stored f = {.x_type = H5T_IEEE_F64LE,
                    .y_type = kind & 1 ? H5T_IEEE_F64LE : 0,
                    .rows = 3,
                    .cols = 2,
                    .x = x,
                    .y = y,
                    .chunk = kind & 2 ? 2 : 0};
        cv_table *t = must_h5(&f, &wide);
        int n = kind & 1 ? 3 : 2;
        assert_int_equal(t->n_cols, n);
        assert_int_equal(t->y_col, kind & 1 ? 2 : -1);
        assert_int_equal(t->y_whole, 0);
        for (int i = 0; i < 3; i++) {
            uint8_t row[24];
            memcpy(row, x + 2 * i, 16);
            memcpy(row + 16, y + i, 8);
            assert_int_equal(t->content[i], hash(row, kind & 1 ? 24 : 16));
            for (int j = 0; j < n; j++)
                assert_bits(at(t, i, j), j < 2 ? x[2 * i + j] : y[i]);
        }
        if (kind & 1)
            assert_string_equal(t->cols[2].name, "dose");
        cv_table_destroy(&t);
    }
}

/* Every type that is read, both byte orders: the same numbers, and the content
 * of what is stored. */
static void test_hdf5_types(void **state)
{
    (void)state;
    const hid_t types[] = {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64BE,
                           H5T_STD_I8LE,   H5T_STD_U8LE,   H5T_STD_I16BE,
                           H5T_STD_U32LE,  H5T_STD_I64BE,  H5T_STD_U64LE};
    static const double values[] = {0, 1, 2, 3, 100, 7}, y[] = {1, 0, 2};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t size = H5Tget_size(types[i]);
        uint8_t x_raw[48], y_raw[48];
        memcpy(x_raw, values, sizeof values);
        memcpy(y_raw, y, sizeof y);
        H5Tconvert(H5T_NATIVE_DOUBLE, types[i], 6, x_raw, NULL, H5P_DEFAULT);
        H5Tconvert(H5T_NATIVE_DOUBLE, types[i], 3, y_raw, NULL, H5P_DEFAULT);
        stored f = {.x_type = types[i],
                    .y_type = types[i],
                    .rows = 3,
                    .cols = 2,
                    .x = x_raw,
                    .y = y_raw};
        cv_table *t = must_h5(&f, &wide);
        assert_int_equal(t->y_whole, i >= 3);
        for (int k = 0; k < 3; k++) {
            uint8_t row[24];
            memcpy(row, x_raw + 2 * size * (size_t)k, 2 * size);
            memcpy(row + 2 * size, y_raw + size * (size_t)k, size);
            assert_int_equal(t->content[k], hash(row, 3 * size));
            assert_true(at(t, k, 0) == values[2 * k]);
            assert_true(at(t, k, 1) == values[2 * k + 1]);
            assert_true(at(t, k, 2) == y[k]);
        }
        cv_table_destroy(&t);
    }
}

static void test_hdf5_scale(void **state)
{
    (void)state;
    static const uint8_t x[] = {0, 255, 2, 77, 1, 3}, y[] = {9, 200, 0};
    stored f = {.x_type = H5T_STD_U8LE,
                .y_type = H5T_STD_U8LE,
                .rows = 3,
                .cols = 2,
                .x = x,
                .y = y,
                .scale = 1.0 / 255.0,
                .level_column = 1};
    stored plain = f;
    plain.level_column = 0;
    cv_table *t = must_h5(&plain, &wide);
    for (int k = 0; k < 6; k++)
        assert_bits(at(t, k / 2, k % 2), x[k] * (1.0 / 255.0));
    for (int k = 0; k < 3; k++)
        assert_bits(at(t, k, 2), y[k]);
    cv_table_destroy(&t);
    static const uint8_t levels[] = {0, 255, 2, 77, 1, 3};
    f.x = levels;
    t = must_h5(&f, &wide);
    assert_int_equal(t->cols[0].n_levels, 3);
    for (int k = 0; k < 3; k++) {
        assert_bits(at(t, k, 0), levels[2 * k]);
        assert_bits(at(t, k, 1), levels[2 * k + 1] * (1.0 / 255.0));
    }
    cv_table_destroy(&t);
    static const uint8_t bad[] = {3, 0, 0, 0, 0, 0}; /* no level 3 */
    f.x = bad;
    cv_err err = {0};
    assert_input_error(read_h5(write_stored(&f), &wide, &t, &err), &err,
                       "'x0': a value is not one of its level", "row 1");
}

/* 2^53 is the last integer below which all are doubles. */
static void test_hdf5_large_integers(void **state)
{
    (void)state;
    static const int64_t most = (int64_t)1 << 53;
    const struct {
        hid_t type;
        int64_t value;
        int fits;
    } cases[] = {{H5T_STD_I64LE, most, 1},      {H5T_STD_I64LE, most + 1, 0},
                 {H5T_STD_I64LE, -most, 1},     {H5T_STD_I64LE, -most - 1, 0},
                 {H5T_STD_I64LE, INT64_MIN, 0}, {H5T_STD_I64LE, INT64_MAX, 0},
                 {H5T_STD_U64LE, most, 1},      {H5T_STD_U64LE, most + 2, 0},
                 {H5T_STD_U64LE, -1, 0}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        int in_y = i & 1;
        int64_t x[4] = {0, 1, 2, 3}, y[2] = {5, 6};
        *(in_y ? &y[1] : &x[3]) = cases[i / 2].value;
        stored f = {.x_type = cases[i / 2].type,
                    .y_type = cases[i / 2].type,
                    .rows = 2,
                    .cols = 2,
                    .x = x,
                    .y = y};
        if (cases[i / 2].fits) {
            cv_table *t = must_h5(&f, &wide);
            assert_bits(at(t, 1, in_y ? 2 : 1), (double)cases[i / 2].value);
            cv_table_destroy(&t);
            continue;
        }
        cv_table *t = NULL;
        cv_err err = {0};
        int rc = read_h5(write_stored(&f), &wide, &t, &err);
        assert_input_error(rc, &err,
                           in_y ? "column 'dose': an integer is larger than"
                                : "column 'x1': an integer is larger than",
                           "row 2");
        assert_null(t);
    }
}

static void test_hdf5_errors(void **state)
{
    (void)state;
    double x[] = {1, 2, 3, INFINITY};
    double y[] = {1, -INFINITY};
    stored f = {.x_type = H5T_IEEE_F64LE,
                .y_type = H5T_IEEE_F64LE,
                .rows = 2,
                .cols = 2,
                .x = x,
                .y = y};
    for (int k = 0; k < 2; k++) {
        cv_table *t = NULL;
        cv_err err = {0};
        int rc = read_h5(write_stored(&f), &wide, &t, &err);
        assert_input_error(rc, &err,
                           k ? "'dose': a value is infinite;"
                             : "'x1': a value is infinite;",
                           "row 2");
        assert_null(strstr(err.text, "32-bit"));
        assert_null(t);
        x[3] = 4; /* now it is up to y */
    }
}

/* Several blocks of 4 MB, of which not all are kept. */
static void test_hdf5_filter(void **state)
{
    (void)state;
    enum { ROWS = 9000, COLS = 150 };
    double *x = CV_NEW(ROWS * COLS, double);
    int32_t *y = CV_NEW(ROWS, int32_t);
    uint8_t *keep = CV_NEW(ROWS, uint8_t), row[8 * COLS + 4];
    for (int k = 0; k < ROWS * COLS; k++)
        x[k] = k / 3.0;
    for (int i = 0; i < ROWS; i++)
        y[i] = -i;
    stored f = {.x_type = H5T_IEEE_F64LE,
                .y_type = H5T_STD_I32LE,
                .rows = ROWS,
                .cols = COLS,
                .x = x,
                .y = y};
    for (int kind = 0; kind < 4; kind++) {
        for (int i = 0; i < ROWS; i++)
            keep[i] = kind == 0   ? i % 3 == 1
                      : kind == 1 ? i > 8000
                      : kind == 2 ? 1
                                  : 0;
        cv_row_filter filter = {.f64 = 1, .keep = keep, .n_rows = ROWS};
        cv_table *t = must_h5(&f, &filter);
        int64_t k = 0;
        for (int i = 0; i < ROWS; i++) {
            if (!keep[i])
                continue;
            assert_memory_equal((double *)t->x + k * (COLS + 1), x + i * COLS,
                                8 * COLS);
            assert_true(at(t, k, COLS) == y[i]);
            memcpy(row, x + i * COLS, 8 * COLS);
            memcpy(row + 8 * COLS, &y[i], 4);
            assert_int_equal(t->content[k++], hash(row, sizeof row));
        }
        assert_int_equal(t->n_rows, k);
        assert_int_equal(t->y_whole, 1);
        cv_table_destroy(&t);
    }
    free(x);
    free(y);
    free(keep);
}

/* A table of doubles is written as such. */
static void test_round_trip(void **state)
{
    (void)state;
    cv_feature sex = {.name = "sex", .type = CV_FEATURE_CATEGORY};
    cv_table *t = must_csv("sex,y,a\nm,0.1,1e300\nf,,3\n", "y", &sex, 1, &wide);
    cv_table *back = NULL;
    cv_err err = {0};
    assert_int_equal(cv_table_write_hdf5(in_dir("wide.h5"), t, &err), 0);
    assert_int_equal(read_h5(in_dir("wide.h5"), &wide, &back, &err), 0);
    assert_int_equal(back->n_cols, 3);
    assert_string_equal(back->cols[0].levels[1], "m");
    assert_string_equal(back->cols[1].name, "y");
    assert_memory_equal(back->x, t->x, 6 * sizeof(double));
    cv_table_destroy(&back);
    cv_table_destroy(&t);
}

static void test_idx(void **state)
{
    (void)state;
    uint8_t images[16 + 12] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2};
    uint8_t labels[8 + 3] = {0, 0, 8, 1, 0, 0, 0, 3, 4, 255, 0};
    for (int i = 0; i < 12; i++)
        images[16 + i] = (uint8_t)(21 * i);
    static const uint8_t keep[] = {0, 1, 1};
    for (int kind = 0; kind < 4; kind++) {
        int labelled = kind & 1, from = kind & 2 ? 1 : 0;
        cv_row_filter filter = {
            .f64 = 1, .keep = from ? keep : NULL, .n_rows = 3};
        cv_source src = {
            .path = "i", .role = "data", .target = "digit", .filter = &filter};
        cv_table *t = NULL;
        cv_err err = {0};
        assert_int_equal(cv_idx_parse(&src, images, sizeof images,
                                      labelled ? labels : NULL, sizeof labels,
                                      &t, &err),
                         0);
        assert_int_equal(t->type, CV_TYPE_F64);
        assert_int_equal(t->n_rows, 3 - from);
        assert_int_equal(t->n_cols, 4 + labelled);
        assert_true(!t->y && !t->target.name && t->scale == 1.0);
        assert_int_equal(t->y_col, labelled ? 4 : -1);
        assert_int_equal(t->y_whole, labelled);
        assert_string_equal(t->cols[labelled ? 4 : 3].name,
                            labelled ? "digit" : "p3");
        for (int i = 0; i < t->n_rows; i++) {
            uint8_t row[5];
            memcpy(row, images + 16 + 4 * (i + from), 4);
            row[4] = labels[8 + i + from];
            assert_int_equal(t->content[i], hash(row, labelled ? 5 : 4));
            for (int j = 0; j < 4; j++)
                assert_bits(at(t, i, j), row[j] * (1.0 / 255.0));
            if (labelled)
                assert_true(at(t, i, 4) == row[4]);
        }
        cv_table_destroy(&t);
    }
}

/* Declared and found levels of numbers, as doubles. */
static void test_levels_of_numbers(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } names[] = {{0, "0"},
                 {-3, "-3"},
                 {20000001, "20000001"},
                 {9007199254740991, "9007199254740991"},
                 {0.1, "0.1"},
                 {(double)0.1f, "0.1"}, /* a float32 file */
                 {0.5, "0.5"},
                 {1.0 / 3, "0.3333333333333333"},
                 {1e300, "1e+300"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[32];
        cv_level_of_double(text, sizeof text, names[i].v);
        assert_string_equal(text, names[i].text);
    }
    cv_feature g = {.name = "g", .type = CV_FEATURE_CATEGORY};
    cv_job job = {0};
    job.data.features = &g;
    job.data.n_features = 1;
    float x[] = {0.1f, 0.2f, 0.1f, -0.0f}; /* read as float32 of HDF5 */
    stored f = {
        .x_type = H5T_IEEE_F32LE, .rows = 4, .cols = 1, .x = x, .y = NULL};
    cv_table *t = must_h5(&f, &wide);
    cv_schema *s;
    cv_err err = {0};
    t->cols[0].name[0] = 'g';
    t->cols[0].name[1] = '\0';
    assert_int_equal(cv_schema_of_table(t, &job, 0, &s, &err), 0);
    assert_int_equal(s->features[0].n_levels, 3);
    assert_string_equal(s->features[0].levels[0], "0");
    assert_string_equal(s->features[0].levels[2], "0.2");
    cv_schema_destroy(&s);
    cv_table_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_csv_levels),
        cmocka_unit_test(test_csv_content),
        cmocka_unit_test(test_csv_errors),
        cmocka_unit_test(test_hdf5_doubles),
        cmocka_unit_test(test_hdf5_types),
        cmocka_unit_test(test_hdf5_scale),
        cmocka_unit_test(test_hdf5_large_integers),
        cmocka_unit_test(test_hdf5_errors),
        cmocka_unit_test(test_hdf5_filter),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_idx),
        cmocka_unit_test(test_levels_of_numbers)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

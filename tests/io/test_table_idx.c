#include <zlib.h>

#include "tests/io/data_fixture.h"

static void put_be32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

enum {
    ROWS = 5,
    H = 3,
    W = 2,
    N_IMAGES = 16 + ROWS * H * W,
    N_LABELS = 8 + ROWS
};

static void make_images(uint8_t out[N_IMAGES])
{
    put_be32(out, 0x803);
    put_be32(out + 4, ROWS);
    put_be32(out + 8, H);
    put_be32(out + 12, W);
    for (int i = 0; i < ROWS * H * W; i++)
        out[16 + i] = (uint8_t)(i * 9);
}

static void make_labels(uint8_t out[N_LABELS])
{
    put_be32(out, 0x801);
    put_be32(out + 4, ROWS);
    for (int i = 0; i < ROWS; i++)
        out[8 + i] = (uint8_t)(i % 3);
}

static size_t pack(uint8_t *out, size_t room, const uint8_t *in, size_t n)
{
    z_stream z = {0};
    assert_int_equal(
        deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
        Z_OK);
    z.next_in = (Bytef *)in;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

/* From heap memory of just that size, so that ASan sees every read past it. */
static int parse(const uint8_t *images, size_t n_images, const uint8_t *labels,
                 size_t n_labels, const cv_row_filter *filter, cv_table **t,
                 cv_err *err)
{
    cv_source src = {.path = "/private/x-images-idx3-ubyte",
                     .role = "data",
                     .target = "digit",
                     .filter = filter};
    uint8_t *a = malloc(n_images), *b = malloc(n_labels);
    memcpy(a, images, n_images);
    if (labels)
        memcpy(b, labels, n_labels);
    *t = NULL;
    int rc =
        cv_idx_parse(&src, a, n_images, labels ? b : NULL, n_labels, t, err);
    free(a);
    free(b);
    return rc;
}

static void check_table(const cv_table *t)
{
    assert_int_equal(t->n_rows, ROWS);
    assert_int_equal(t->n_cols, H * W);
    assert_int_equal(t->type, CV_TYPE_U8);
    assert_true(t->scale == 1.0 / 255.0);
    assert_string_equal(t->cols[0].name, "p0");
    assert_string_equal(t->cols[5].name, "p5");
    for (int i = 0; i < ROWS * H * W; i++)
        assert_int_equal(((uint8_t *)t->x)[i], (uint8_t)(i * 9));
    for (int i = 0; t->y && i < ROWS; i++)
        assert_true(t->y[i] == (float)(i % 3));
}

static void test_plain_and_packed(void **state)
{
    (void)state;
    uint8_t images[N_IMAGES], labels[N_LABELS], zi[300], zl[300];
    make_images(images);
    make_labels(labels);
    size_t ni = pack(zi, sizeof zi, images, sizeof images);
    size_t nl = pack(zl, sizeof zl, labels, sizeof labels);
    cv_err err = {0};
    for (int k = 0; k < 4; k++) {
        cv_table *t;
        assert_int_equal(parse(k & 1 ? zi : images, k & 1 ? ni : sizeof images,
                               k & 2 ? zl : labels, k & 2 ? nl : sizeof labels,
                               NULL, &t, &err),
                         0);
        check_table(t);
        assert_string_equal(t->target.name, "digit");
        assert_int_equal(t->y_whole, 1);
        cv_table_destroy(&t);
    }
    /* two gzip members, as some packers write */
    uint8_t two[600];
    size_t n = pack(two, sizeof two, images, 20);
    n += pack(two + n, sizeof two - n, images + 20, sizeof images - 20);
    cv_table *t;
    assert_int_equal(parse(two, n, NULL, 0, NULL, &t, &err), 0);
    check_table(t);
    assert_null(t->y);
    assert_null(t->target.name);
    cv_table_destroy(&t);
}

static void test_filter(void **state)
{
    (void)state;
    uint8_t images[N_IMAGES], labels[N_LABELS];
    static const uint8_t keep[ROWS] = {0, 1, 0, 0, 1};
    make_images(images);
    make_labels(labels);
    cv_err err = {0};
    cv_table *t;
    cv_row_filter f = {.keep = keep, .n_rows = ROWS};
    assert_int_equal(
        parse(images, sizeof images, labels, sizeof labels, &f, &t, &err), 0);
    assert_int_equal(t->n_rows, 2);
    assert_memory_equal(t->x, images + 16 + H * W, H * W);
    assert_memory_equal((uint8_t *)t->x + H * W, images + 16 + 4 * H * W,
                        H * W);
    assert_true(t->y[0] == 1 && t->y[1] == 1);
    cv_table_destroy(&t);
    f.n_rows = ROWS - 1;
    assert_input_error(parse(images, sizeof images, NULL, 0, &f, &t, &err),
                       &err, "has changed", NULL);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        int in_labels, at;
        uint32_t value;
        const char *text;
    } cases[] = {{0, 0, 0x801, "should start with 00000803"},
                 {0, 0, 0xd03, "found 00000d03"},
                 {1, 0, 0x803, "should start with 00000801"},
                 {0, 4, 0, "no rows"},
                 {0, 4, ROWS + 1, "images is truncated"},
                 {0, 4, ROWS - 1, "images is longer"},
                 {0, 4, 0xffffffff, "images is truncated"},
                 {0, 8, 0, "columns"},
                 {0, 12, 0xffffffff, "columns"},
                 {0, 8, 500000, "images is truncated"},
                 {1, 4, ROWS + 1, "another number of rows"},
                 {1, 4, ROWS - 1, "another number of rows"},
                 {1, 4, 0xffffffff, "another number of rows"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int packed = 0; packed < 2; packed++) {
            uint8_t images[N_IMAGES], labels[N_LABELS], zi[300], zl[300];
            make_images(images);
            make_labels(labels);
            put_be32((cases[i].in_labels ? labels : images) + cases[i].at,
                     cases[i].value);
            size_t ni = pack(zi, sizeof zi, images, sizeof images);
            size_t nl = pack(zl, sizeof zl, labels, sizeof labels);
            cv_err err = {0};
            cv_table *t;
            int rc = packed ? parse(zi, ni, zl, nl, NULL, &t, &err)
                            : parse(images, sizeof images, labels,
                                    sizeof labels, NULL, &t, &err);
            assert_input_error(rc, &err, cases[i].text, "/private/");
            assert_null(t);
        }
}

static void test_every_truncation(void **state)
{
    (void)state;
    uint8_t images[N_IMAGES], labels[N_LABELS], zi[300], zl[300];
    make_images(images);
    make_labels(labels);
    size_t ni = pack(zi, sizeof zi, images, sizeof images);
    size_t nl = pack(zl, sizeof zl, labels, sizeof labels);
    const struct {
        const uint8_t *data;
        size_t n;
        int is_labels;
    } files[] = {{images, sizeof images, 0},
                 {labels, sizeof labels, 1},
                 {zi, ni, 0},
                 {zl, nl, 1}};
    for (int k = 0; k < 4; k++)
        for (size_t n = 0; n < files[k].n; n++) {
            cv_err err = {0};
            cv_table *t;
            int rc = files[k].is_labels
                         ? parse(images, sizeof images, files[k].data, n, NULL,
                                 &t, &err)
                         : parse(files[k].data, n, labels, sizeof labels, NULL,
                                 &t, &err);
            assert_int_equal(rc, CV_ERR_INPUT);
            assert_true(err.text[0] && !t);
        }
}

static void test_byte_flips(void **state)
{
    (void)state;
    uint8_t images[N_IMAGES], labels[N_LABELS], zi[300], bad[300];
    make_images(images);
    make_labels(labels);
    size_t ni = pack(zi, sizeof zi, images, sizeof images);
    uint64_t s = 3;
    for (int i = 0; i < 20000; i++) {
        size_t n = i & 1 ? ni : sizeof images;
        memcpy(bad, i & 1 ? zi : images, n);
        for (int k = 0; k < 1 + i % 4; k++) {
            uint64_t r = next_random(&s);
            size_t p = (size_t)(r >> 16) % (r & 1 && i % 2 == 0 ? 16 : n);
            bad[p] = (uint8_t)(r >> 8);
        }
        cv_err err = {0};
        cv_table *t;
        int rc = parse(bad, n, labels, sizeof labels, NULL, &t, &err);
        assert_true(rc == 0 || (rc == CV_ERR_INPUT && err.text[0]));
        assert_true((rc == 0) == (t != NULL));
        cv_table_destroy(&t);
    }
}

/* 100 bytes that unpack to a million must not be believed to be more. */
static void test_gzip_bomb(void **state)
{
    (void)state;
    uint8_t *raw = calloc(1, 1 << 20), packed[4000];
    put_be32(raw, 0x803);
    put_be32(raw + 4, 100000);
    put_be32(raw + 8, 1000);
    put_be32(raw + 12, 1000);
    size_t n = pack(packed, sizeof packed, raw, 1 << 20);
    cv_err err = {0};
    cv_table *t;
    int rc = parse(packed, n, NULL, 0, NULL, &t, &err);
    assert_int_equal(rc, CV_ERR_INPUT);
    free(raw);
}

static void test_files_by_name(void **state)
{
    (void)state;
    uint8_t images[N_IMAGES], labels[N_LABELS], zi[300], zl[300];
    make_images(images);
    make_labels(labels);
    size_t ni = pack(zi, sizeof zi, images, sizeof images);
    size_t nl = pack(zl, sizeof zl, labels, sizeof labels);
    static const struct {
        const char *images, *labels;
        int packed_images, packed_labels;
    } cases[] = {{"a-images-idx3-ubyte", "a-labels-idx1-ubyte", 0, 0},
                 {"b-images-idx3-ubyte.gz", "b-labels-idx1-ubyte.gz", 1, 1},
                 {"c-images-idx3-ubyte.gz", "c-labels-idx1-ubyte", 1, 0},
                 {"d-images-idx3-ubyte", "d-labels-idx1-ubyte.gz", 0, 1},
                 {"e-images.idx3-ubyte", "e-labels.idx1-ubyte", 0, 0},
                 {"f-images-idx3-ubyte", NULL, 0, 0},
                 {"other", NULL, 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int pi = cases[i].packed_images, pl = cases[i].packed_labels;
        write_bytes(in_dir(cases[i].images), pi ? zi : images,
                    pi ? ni : sizeof images);
        if (cases[i].labels)
            write_bytes(in_dir(cases[i].labels), pl ? zl : labels,
                        pl ? nl : sizeof labels);
        cv_err err = {0};
        cv_table *t = NULL;
        cv_format format;
        assert_int_equal(
            cv_table_guess_format(in_dir(cases[i].images), &format, &err), 0);
        assert_int_equal(format, CV_FORMAT_IDX);
        assert_int_equal(cv_table_read(in_dir(cases[i].images), CV_FORMAT_IDX,
                                       "data", NULL, NULL, 0, NULL, &t, &err),
                         0);
        check_table(t);
        assert_int_equal(t->y != NULL, cases[i].labels != NULL);
        if (t->y)
            assert_string_equal(t->target.name, "label");
        cv_table_destroy(&t);
        int64_t n = 0;
        float *y = NULL;
        int rc = cv_table_read_target(in_dir(cases[i].images), CV_FORMAT_IDX,
                                      "data", "digit", NULL, 0, &n, &y, &err);
        if (!cases[i].labels) {
            assert_input_error(rc, &err, "no file of labels", NULL);
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(n, ROWS);
        assert_true(y[4] == 1);
        free(y);
    }
}

/* Known sums, computed with numpy. */
static void test_fashion_mnist(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int64_t rows;
        uint64_t sum;
        unsigned first; /* sum of the first image */
        int per_class;
        float labels[10];
    } files[] = {
        {"/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz",
         60000,
         3431114169u,
         76247,
         6000,
         {9, 0, 0, 3, 0, 2, 7, 2, 5, 5}},
        {"/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz",
         10000,
         573469082u,
         33456,
         1000,
         {9, 2, 1, 1, 6, 1, 4, 6, 5, 7}}};
    for (int k = 0; k < 2; k++) {
        cv_err err = {0};
        cv_table *t = NULL;
        if (access(files[k].path, R_OK) != 0) {
            print_message("%s is not installed: skipped\n", files[k].path);
            skip();
        }
        assert_int_equal(cv_table_read(files[k].path, CV_FORMAT_IDX, "data",
                                       NULL, NULL, 0, "label", &t, &err),
                         0);
        assert_int_equal(t->n_rows, files[k].rows);
        assert_int_equal(t->n_cols, 784);
        const uint8_t *x = t->x;
        uint64_t sum = 0;
        unsigned first = 0;
        int per_class[10] = {0};
        for (int64_t i = 0; i < t->n_rows * 784; i++)
            sum += x[i];
        for (int i = 0; i < 784; i++)
            first += x[i];
        for (int64_t i = 0; i < t->n_rows; i++)
            per_class[(int)t->y[i]]++;
        assert_int_equal(sum, files[k].sum);
        assert_int_equal(first, files[k].first);
        for (int c = 0; c < 10; c++) {
            assert_int_equal(per_class[c], files[k].per_class);
            assert_true(t->y[c] == files[k].labels[c]);
        }
        cv_table_destroy(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain_and_packed),
                                       cmocka_unit_test(test_filter),
                                       cmocka_unit_test(test_errors),
                                       cmocka_unit_test(test_every_truncation),
                                       cmocka_unit_test(test_byte_flips),
                                       cmocka_unit_test(test_gzip_bomb),
                                       cmocka_unit_test(test_files_by_name),
                                       cmocka_unit_test(test_fashion_mnist)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

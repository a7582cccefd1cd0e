/* io/checkpoint, reading files that are not what was written: exactly the
 * written data or an error, never other data, never a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "tests/io/checkpoint_all.h"
#include "tests/io/checkpoint_sample.h"

#define SEED 11

static char dir[] = "/tmp/test_checkpoint.XXXXXX";
static char *file;
static uint8_t *whole, *work; /* the sample's bytes, and room to change them */
static size_t size;

static int set_up(void **state)
{
    (void)state;
    cv_err err = {0};
    if (!mkdtemp(dir))
        return -1;
    file = cv_fs_join(dir, "run.h5");
    if (sample_write(file, SEED, &err) != 0 ||
        cv_fs_read(file, 1 << 20, (char **)&whole, &size, &err) != 0)
        return -1;
    work = CV_NEW(2 * size, uint8_t);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(whole);
    free(work);
    unlink(file);
    free(file);
    return rmdir(dir);
}

/* Not truncated first: ext4 then waits for the disk at every close. */
static void put_file(const uint8_t *bytes, size_t n)
{
    int fd = open(file, O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, 0), n);
    assert_int_equal(ftruncate(fd, (off_t)n), 0);
    assert_int_equal(close(fd), 0);
}

/* 1 if refused, 0 if it still reads as written. */
static int refused(const uint8_t *bytes, size_t n, const char *what, size_t at)
{
    cv_err err = {0};
    put_file(bytes, n);
    int rc = sample_read(file, SEED, &err);
    if (rc > 0)
        fail_msg("%s at byte %zu: other data (line %d)", what, at, rc);
    if (rc < 0) {
        assert_int_equal(rc, CV_ERR_VERIFY);
        assert_non_null(strstr(err.text, "damaged file"));
        assert_non_null(strstr(err.file, "run.h5"));
    }
    return rc < 0;
}

static void test_flips(void **state)
{
    (void)state;
    cv_stream s;
    cv_stream_open(&s, 1, "flips", 0, 0);
    int n = 0;
    for (int i = 0; i < 2000; i++) {
        size_t at = cv_stream_below(&s, size);
        uint8_t x = (uint8_t)(i % 2 ? 1u << cv_stream_below(&s, 8)
                                    : 1 + cv_stream_below(&s, 255));
        memcpy(work, whole, size);
        work[at] ^= x;
        n += refused(work, size, "flip", at);
    }
    cv_stream_close(&s);
    /* What is left is room that nothing uses. */
    print_message("%d of 2000 flips refused\n", n);
    assert_true(n > 1000);
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t n = 0; n < size; n += n < 200 || size - n < 200 ? 1 : 13)
        assert_true(refused(whole, n, "cut", n));
    memcpy(work, whole, size);
    memset(work + size, 0, size);
    assert_true(refused(work, size + 1, "longer", size));
    assert_true(refused(work, 2 * size, "longer", size));
    assert_false(refused(whole, size, "nothing", 0));
}

/* What a disk does: blocks of zeros, or in each other's place. */
static void test_blocks(void **state)
{
    (void)state;
    for (size_t at = 0; at + 512 <= size; at += 512) {
        memcpy(work, whole, size);
        memset(work + at, 0, 512);
        (void)refused(work, size, "zeros", at);
        size_t other = (at + 1024) % (size / 512 * 512);
        memcpy(work, whole, size);
        memcpy(work + at, whole + other, 512);
        memcpy(work + other, whole + at, 512);
        assert_true(refused(work, size, "swap", at));
    }
}

typedef struct {
    size_t at, n; /* bytes that are summed */
    size_t sum;   /* where their checksum is: behind them, or within as zeros */
} block;

static uint32_t sum_of(const uint8_t *file_bytes, const block *b)
{
    uint8_t *copy = CV_NEW(b->n, uint8_t);
    memcpy(copy, file_bytes + b->at, b->n);
    if (b->sum < b->at + b->n)
        memset(copy + (b->sum - b->at), 0, 4);
    uint32_t sum = cv_h5_lookup3(copy, b->n);
    free(copy);
    return sum;
}

/* Superblock, headers and heaps; their lengths are found by trying. */
static size_t find_blocks(block *b, size_t most)
{
    static const char *const magic[] = {"\211HDF", "OHDR\2", "OCHK",
                                        "FRHP",    "FHIB",   "FHDB"};
    size_t n = 0;
    for (size_t at = 0; at + 8 <= size && n < most; at++)
        for (int m = 0; m < 6; m++) {
            if (memcmp(whole + at, magic[m], strlen(magic[m])) != 0)
                continue;
            for (size_t k = 8; at + k + (m < 5 ? 4 : 0) <= size; k++) {
                block x = {at, k, m == 5 ? at + 17 : at + k};
                if ((m < 5 || k >= 512) &&
                    sum_of(whole, &x) == cv_get_le32(whole + x.sum)) {
                    b[n++] = x;
                    break;
                }
            }
        }
    return n;
}

static void change(uint8_t *p, size_t n, cv_stream *s)
{
    static const uint64_t value[] = {
        0,          1,          0xff,      0xffff,     0x7fffffff, 0xffffffff,
        1ull << 32, 1ull << 40, INT64_MAX, UINT64_MAX, 48,         0x1000};
    uint8_t b[8];
    size_t at = cv_stream_below(s, n), k = (size_t)1 << cv_stream_below(s, 4);
    cv_put_le64(b, cv_stream_below(s, 3)
                       ? value[cv_stream_below(s, sizeof value / 8)]
                       : cv_stream_u64(s));
    memcpy(p + at, b, k < n - at ? k : n - at);
}

/* An attacker mends the checksums: the reader must stand any header. What it
 * returns then is what the file says, so only a crash (or a sanitizer) fails. */
static void test_mended(void **state)
{
    (void)state;
    static block b[100];
    size_t n = find_blocks(b, 100);
    cv_stream s;
    cv_err err = {0};
    int read = 0;
    print_message("%zu blocks with checksums\n", n);
    assert_true(n > 50);
    cv_stream_open(&s, 2, "mended", 0, 0);
    for (int i = 0; i < 6000; i++) {
        memcpy(work, whole, size);
        for (uint64_t k = 1 + cv_stream_below(&s, 3); k > 0; k--) {
            const block *c = &b[cv_stream_below(&s, n)];
            change(work + c->at + 4, c->n - 4, &s);
            cv_put_le32(work + c->at + c->n, cv_h5_lookup3(work + c->at, c->n));
        }
        put_file(work, size);
        cv_h5_reader *r = NULL;
        int rc = cv_h5_open(file, 1, &r, &err);
        assert_true(rc ? rc == CV_ERR_VERIFY && !r : r != NULL);
        cv_h5_close(&r);
        read += all_unverified(file, &err) == 0;
    }
    cv_stream_close(&s);
    print_message("%d of 6000 get past the headers\n", read);
    assert_true(read > 100 && read < 5000);
}

/* Make all links in blocks of that kind lead to one header. */
static int redirect(const block *b, size_t n, const char *kind, size_t to)
{
    int links = 0;
    memcpy(work, whole, size);
    for (size_t i = 0; i < n; i++) {
        if (memcmp(whole + b[i].at, kind, 4) != 0)
            continue;
        for (size_t at = b[i].at + 4; at + 8 <= b[i].at + b[i].n; at++)
            for (size_t k = 0; k < n; k++)
                if (memcmp(whole + b[k].at, "OHDR", 4) == 0 &&
                    cv_get_le64(whole + at) == b[k].at) {
                    cv_put_le64(work + at, to);
                    links++;
                }
        cv_put_le32(work + b[i].sum, sum_of(work, &b[i]));
    }
    put_file(work, size);
    return links;
}

/* Groups that hold themselves, and groups that hold one group many times over:
 * with checksums mended, the second could go on for 24^16 groups. */
static void test_loops(void **state)
{
    (void)state;
    static block b[100];
    size_t n = find_blocks(b, 100);
    cv_err err = {0};
    assert_true(redirect(b, n, "OHDR", b[1].at) > 5); /* the root */
    assert_int_equal(all_unverified(file, &err), CV_ERR_VERIFY);
    assert_non_null(strstr(err.text, "too many groups"));
    assert_int_equal(redirect(b, n, "FHDB", b[2].at), SAMPLE_MANY); /* /model */
    assert_int_equal(all_unverified(file, &err), CV_ERR_VERIFY);
    assert_non_null(strstr(err.text, "overlap"));
}

/* One byte changed in a known place, and its checksum mended. */
static void test_lies(void **state)
{
    (void)state;
    static const struct {
        const char *after; /* the byte behind this text, plus `skip` */
        size_t n, skip;
        uint8_t value;
        const char *says;
    } c[] = {
        {"\x60\x09\0\0\0\0\0", 7, 0, 1, "shape and size"}, /* 2400 bytes */
        {"kind", 4, 0, '!', "does not write"},          /* no end of a name */
        {"loss (mean)", 12, 0, 9, "does not write"},    /* place in a row */
        {"loss (mean)", 12, 2, 0x21, "does not write"}, /* its type's bits */
        {"FRHP", 4, 66, SAMPLE_MANY - 1, "group's members"},
        {"FRHP", 4, 106, 3, "group's members"}, /* width of the heap */
        {"FHDB", 4, 1, 0, "group's members"},   /* another heap's block */
        {"FHIB", 4, 0, 1, "group's members"},   /* another version */
        {"OCHK", 0, 0, 'X', "no header goes on"},
    };
    static block b[100];
    size_t n = find_blocks(b, 100);
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        cv_err err = {0};
        uint8_t *found = memmem(whole, size, c[i].after, c[i].n ? c[i].n : 4);
        assert_non_null(found);
        size_t at = (size_t)(found - whole) + c[i].n + c[i].skip;
        memcpy(work, whole, size);
        assert_int_not_equal(work[at], c[i].value);
        work[at] = c[i].value;
        for (size_t k = 0; k < n; k++)
            if (at >= b[k].at && at < b[k].at + b[k].n)
                cv_put_le32(work + b[k].sum, sum_of(work, &b[k]));
        put_file(work, size);
        int rc = all_unverified(file, &err);
        if (rc != CV_ERR_VERIFY || !strstr(err.text, c[i].says))
            fail_msg("case %zu: %d %s", i, rc, err.text);
    }
}

/* Equal contents give equal bytes: no header has times in it. */
static void test_no_times(void **state)
{
    (void)state;
    static block b[100];
    size_t n = find_blocks(b, 100);
    for (size_t i = 0; i < n; i++)
        if (memcmp(whole + b[i].at, "OHDR", 4) == 0)
            assert_int_equal(whole[b[i].at + 5] & 0x20, 0);
}

/* "Four score..." is the vector of lookup3.c itself. */
static void test_lookup3(void **state)
{
    (void)state;
    static const uint8_t text[] = "Four score and seven years ago";
    assert_int_equal(cv_h5_lookup3(text, 30), 0x17770551u);
    assert_int_equal(cv_h5_lookup3(text, 0), 0xdeadbeefu);
}

/* Files of other programs: well-formed, but not ours. */
static void test_other_hdf5(void **state)
{
    (void)state;
#define NEW                                                                    \
    "f = h5py.File(p, 'w', libver=('v108', 'v108'), track_order=True); "       \
    "f.attrs['format_version'] = 1; "
    static const struct {
        const char *script, *says;
    } c[] = {
        {"h5py.File(p, 'w').create_dataset('x', data=[1, 2])", "superblock"},
        {"h5py.File(p, 'w', libver='latest')['x'] = [1, 2]", "superblock"},
        {"h5py.File(p, 'w', userblock_size=512)['x'] = 1", "does not begin"},
        {NEW, "content_digest"},
        {NEW "f['x'] = h5py.SoftLink('/y')", "does not write"},
        {NEW "f['x'] = h5py.ExternalLink('/etc/passwd', '/')",
         "does not write"},
        {NEW "f['a'] = 1; f['b'] = f['a']", "does not write"},
        {NEW "f['x'] = numpy.dtype('f4')", "neither a group nor"},
        {NEW "f.create_dataset('x', data=range(99), chunks=(9,))",
         "does not write"},
        {NEW "f.create_dataset('x', data=range(99), compression=1)",
         "does not write"},
        {NEW "f.create_dataset('x', (9,), 'u1', "
             "external=[('/etc/passwd', 0, 9)])",
         "does not write"},
        {NEW "f['x'] = 'text'", "does not write"},
        {NEW "f['x'] = numpy.zeros(3, 'f2')", "does not write"},
        {NEW "f['x'] = numpy.zeros(3, '>f4')", "does not write"},
        {NEW "f['x'] = numpy.zeros((1,) * 5)", "does not write"},
        {NEW "f['x'] = numpy.zeros(3, numpy.dtype('u1,f8', align=True))",
         "does not write"},
        {NEW "f['x'] = numpy.zeros((2, 2), numpy.dtype('u1,f8'))",
         "shape and size"},
        {NEW "f.attrs['x'] = [1, 2, 3]", "does not write"},
        {NEW "f.attrs['x'] = 'text'", "does not write"},
        /* One of ours, changed. */
        {"f = h5py.File(p, 'r+'); f['model/scale'][()] = 5", "match"},
        {"f = h5py.File(p, 'r+'); f.attrs['seed'] = 12", "match"},
        {"f = h5py.File(p, 'r+'); f['model'].attrs['note'] = 1.0", "match"},
        {"f = h5py.File(p, 'r+'); del f['model/scale']", "match"},
        {"f = h5py.File(p, 'r+'); f.move('job', 'jobs')", "damaged"},
        {"f = h5py.File(p, 'r+'); del f.attrs['content_digest']",
         "content_digest"},
    };
#undef NEW
    if (system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
        print_message("no h5py: skipped\n");
        skip();
    }
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        cv_err err = {0};
        cv_h5_reader *r = NULL;
        put_file(whole, size);
        char *command = cv_asprintf("/usr/bin/python3 -c \"import h5py, numpy;"
                                    "p = '%s'; %s\"",
                                    file, c[i].script);
        assert_int_equal(system(command), 0);
        free(command);
        int rc = cv_h5_open(file, 1, &r, &err);
        if (rc != CV_ERR_VERIFY || r || !strstr(err.text, "damaged") ||
            !strstr(err.text, c[i].says))
            fail_msg("%s: %d %s", c[i].script, rc, err.text);
        (void)all_unverified(file, &err);
    }
    put_file(whole, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup3),    cmocka_unit_test(test_flips),
        cmocka_unit_test(test_truncated),  cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_mended),     cmocka_unit_test(test_loops),
        cmocka_unit_test(test_no_times),   cmocka_unit_test(test_lies),
        cmocka_unit_test(test_other_hdf5),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

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
            for (size_t k = 8; at + k + 4 <= size; k++) {
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
    static const char *const script[] = {
        "h5py.File(p, 'w').create_dataset('x', data=[1, 2])",
        "h5py.File(p, 'w', libver='latest').create_dataset('x', data=[1, 2])",
        "f = h5py.File(p, 'w', libver=('v108', 'v108'), track_order=True); "
        "f.attrs['format_version'] = 1; f['x'] = h5py.SoftLink('/y')",
        "f = h5py.File(p, 'w', libver=('v108', 'v108'), track_order=True); "
        "f.attrs['format_version'] = 1; "
        "f['x'] = h5py.ExternalLink('/etc/passwd', '/')",
        "f = h5py.File(p, 'w', libver=('v108', 'v108'), track_order=True); "
        "f.attrs['format_version'] = 1; "
        "f.create_dataset('x', data=range(99), chunks=(9,), compression=1)",
        "f = h5py.File(p, 'w', libver=('v108', 'v108'), track_order=True); "
        "f.attrs['format_version'] = 1; f['x'] = 'text'",
        "f = h5py.File(p, 'w', libver=('v108', 'v108'), track_order=True); "
        "f.attrs['format_version'] = 1; f['f2'] = numpy.zeros(3, 'f2')",
        "f = h5py.File(p, 'w', libver=('v108', 'v108'), track_order=True); "
        "f.attrs['format_version'] = 1; f['be'] = numpy.zeros(3, '>f4')",
        "f = h5py.File(p, 'w', libver=('v108', 'v108'), track_order=True); "
        "f.attrs['format_version'] = 1; "
        "f.create_dataset('x', (9,), 'u1', external=[('/etc/passwd', 0, 9)])",
        "f = h5py.File(p, 'w', libver=('v108', 'v108'), track_order=True); "
        "f.attrs['format_version'] = 1; f['r'] = numpy.zeros((1,) * 5)",
        /* One of ours, changed. */
        "f = h5py.File(p, 'r+'); f['model/scale'][()] = 5",
        "f = h5py.File(p, 'r+'); f.attrs['seed'] = 12",
        "f = h5py.File(p, 'r+'); f['model'].attrs['note'] = 1.0",
        "f = h5py.File(p, 'r+'); del f['model/scale']",
        "f = h5py.File(p, 'r+'); f.move('job', 'jobs')",
        "f = h5py.File(p, 'r+'); del f.attrs['content_digest']",
    };
    if (system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
        print_message("no h5py: skipped\n");
        skip();
    }
    for (size_t i = 0; i < sizeof script / sizeof *script; i++) {
        cv_err err = {0};
        cv_h5_reader *r = NULL;
        put_file(whole, size);
        char *command = cv_asprintf("/usr/bin/python3 -c \"import h5py, numpy;"
                                    "p = '%s'; %s\"",
                                    file, script[i]);
        assert_int_equal(system(command), 0);
        free(command);
        int rc = cv_h5_open(file, 1, &r, &err);
        if (rc != CV_ERR_VERIFY || r || !strstr(err.text, "damaged"))
            fail_msg("%s: %d %s", script[i], rc, err.text);
        (void)all_unverified(file, &err);
    }
    put_file(whole, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup3),   cmocka_unit_test(test_flips),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_mended),    cmocka_unit_test(test_other_hdf5),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

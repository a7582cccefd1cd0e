/* libFuzzer target: a checkpoint from anybody.
 *
 * The macro that comes with -fsanitize=fuzzer switches off the checksums of
 * headers. The first run puts a sample into an empty corpus by itself (below).
 */
#include <sys/mman.h>

#include "tests/io/checkpoint_all.h"
#include "tests/io/checkpoint_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[40];
    if (fd < 0) {
        fd = memfd_create("checkpoint", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    CV_CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
    CV_CHECK(pwrite(fd, data, size, 0) == (ssize_t)size);

    cv_err err = {0};
    cv_h5_reader *r = NULL;
    int rc = cv_h5_open(path, 1, &r, &err);
    CV_CHECK(rc ? !r && err.code == CV_ERR_VERIFY && err.text[0] : r != NULL);
    cv_h5_close(&r);
    (void)all_unverified(path, &err);
    return 0;
}

/* An empty input becomes a sample; the size in the superblock is kept right,
 * or hardly any change would get past the first check. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned int seed)
{
    if (size < 48) {
        char path[] = "/tmp/fuzz_checkpoint.XXXXXX";
        cv_err err;
        char *bytes;
        int fd = mkstemp(path);
        CV_CHECK(fd >= 0 && close(fd) == 0);
        CV_CHECK(sample_write(path, seed % 5, &err) == 0);
        CV_CHECK(cv_fs_read(path, (size_t)1 << 20, &bytes, &size, &err) == 0);
        unlink(path);
        size = size < max_size ? size : max_size;
        memcpy(data, bytes, size);
        free(bytes);
    } else {
        size = LLVMFuzzerMutate(data, size, max_size);
    }
    if (size >= 48 && seed % 16)
        for (int i = 0; i < 8; i++)
            data[28 + i] = (uint8_t)((uint64_t)size >> (8 * i));
    return size;
}

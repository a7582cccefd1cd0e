/* Rate of a checkpoint of 10^7 float32, committed, against write() + fsync of
 * the same bytes into the same folder; both into new files.
 *
 *   bench_checkpoint [FOLDER]       (default: the working directory)
 *
 * "replacing": the checkpoint takes the place of an older one, as in a run; the
 * file system then frees the old one's blocks within rename(). Ends with 1 if
 * the ratio is below the limit. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/rand.h"
#include "io/checkpoint.h"

#define N     10000000
#define TRIES 15
#define LIMIT 0.70

static void must(int rc, const cv_err *err)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_checkpoint: %s: %s\n", err->file, err->text);
    exit(1);
}

/* No more than that: a new file, no rename, no fsync of the folder. */
static double plain(const char *path, const float *x)
{
    const char *p = (const char *)x;
    size_t left = N * sizeof *x;
    double start = cv_now();
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    while (fd >= 0 && left) {
        ssize_t n = write(fd, p, left);
        if (n <= 0)
            break;
        p += n;
        left -= (size_t)n;
    }
    if (fd < 0 || left || fsync(fd) != 0 || close(fd) != 0) {
        perror("bench_checkpoint");
        exit(1);
    }
    double t = cv_now() - start;
    unlink(path);
    return t;
}

static double checkpoint(const char *path, const float *x, cv_err *err)
{
    int64_t n = N;
    cv_h5_writer *w;
    double start = cv_now();
    must(cv_h5_create(path, 0644, &w, err), err);
    must(cv_h5_attr_i64(w, "/", "format_version", 1, err), err);
    must(cv_h5_put(w, "/x", CV_H5_F32, 1, &n, x, NULL, NULL, err), err);
    must(cv_h5_commit(&w, err), err);
    return cv_now() - start;
}

static double reading(const char *path, float *x, cv_err *err)
{
    cv_h5_reader *r;
    double start = cv_now();
    must(cv_h5_open(path, 1, &r, err), err);
    must(cv_h5_get(r, "/x", CV_H5_F32, x, N, err), err);
    cv_h5_close(&r);
    return cv_now() - start;
}

static void measure(const char *dir, float *x, double best[4], cv_err *err)
{
    char *a = cv_asprintf("%s/bench_checkpoint.%d.bin", dir, (int)getpid());
    char *b = cv_asprintf("%s/bench_checkpoint.%d.h5", dir, (int)getpid());
    for (int i = 0; i < TRIES; i++) {
        double t[4];
        t[0] = plain(a, x);
        t[1] = checkpoint(b, x, err);
        t[2] = checkpoint(b, x, err);
        t[3] = reading(b, x, err);
        unlink(b);
        for (int k = 0; k < 4; k++)
            best[k] = t[k] < best[k] ? t[k] : best[k];
    }
    free(a);
    free(b);
}

int main(int argc, char **argv)
{
    static const char *const name[] = {"write + fsync", "checkpoint",
                                       "  replacing", "open + read"};
    float *x = CV_NEW(N, float);
    double best[4] = {1e9, 1e9, 1e9, 1e9};
    cv_err err = {0};
    cv_stream s;
    cv_stream_open(&s, 1, "bench", 0, 0);
    cv_stream_bytes(&s, x, N * sizeof *x);
    cv_stream_close(&s);
    measure(argc > 1 ? argv[1] : ".", x, best, &err);
    free(x);
    for (int k = 0; k < 4; k++)
        printf("%-14s %7.1f MB/s %6.1f ms\n", name[k],
               1e-6 * N * sizeof *x / best[k], 1e3 * best[k]);
    double ratio = best[0] / best[1];
    printf("ratio %.2f, limit %.2f\n", ratio, LIMIT);
    return ratio < LIMIT;
}

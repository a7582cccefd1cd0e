/* Rate of a checkpoint of 10^7 float32, committed, against write() + fsync of
 * the same bytes into the same folder.
 *
 *   bench_checkpoint [FOLDER]       (default: the working directory)
 *
 * Ends with 1 if the ratio is below the limit. */
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

static double plain(const char *path, const float *x, cv_err *err)
{
    double start = cv_now();
    must(cv_fs_write(path, x, N * sizeof *x, 0644, err), err);
    return cv_now() - start;
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

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : ".";
    char *a = cv_asprintf("%s/bench_checkpoint.%d.bin", dir, (int)getpid());
    char *b = cv_asprintf("%s/bench_checkpoint.%d.h5", dir, (int)getpid());
    float *x = CV_NEW(N, float);
    double best[3] = {1e9, 1e9, 1e9};
    cv_err err = {0};
    cv_stream s;
    cv_stream_open(&s, 1, "bench", 0, 0);
    cv_stream_bytes(&s, x, N * sizeof *x);
    cv_stream_close(&s);
    /* Both overwrite a file of the same name, as the rounds of a run do. */
    for (int i = 0; i < TRIES; i++) {
        double t[3] = {plain(a, x, &err), checkpoint(b, x, &err),
                       reading(b, x, &err)};
        for (int k = 0; k < 3; k++)
            best[k] = t[k] < best[k] ? t[k] : best[k];
    }
    unlink(a);
    unlink(b);
    double mb = 1e-6 * N * sizeof *x, ratio = best[0] / best[1];
    printf("write + fsync   %7.1f MB/s\n", mb / best[0]);
    printf("checkpoint      %7.1f MB/s\n", mb / best[1]);
    printf("open + read     %7.1f MB/s\n", mb / best[2]);
    printf("ratio %.2f, limit %.2f\n", ratio, LIMIT);
    free(x);
    free(a);
    free(b);
    return ratio < LIMIT;
}

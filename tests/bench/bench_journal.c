/* What an entry of the site's journal costs: microseconds of an append, in
 * turns with a plain write + fdatasync of as many bytes; and of reading one
 * when the journal is opened.
 *   bench_journal [FOLDER]          (default: the working directory)
 * Peer: the plain write, 1.2 times of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "io/journal.h"

enum { N = 1000 };

static const double LIMIT = 1.2;

static void must(int rc, const cv_err *err)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_journal: %s: %s\n", err->file, err->text);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *t)
{
    qsort(t, N, sizeof *t, by_value);
    return t[N / 2];
}

static cv_journal_entry entry_of(int i)
{
    cv_journal_entry e = {
        .kind = CV_JOURNAL_ATTEMPT,
        .round = i,
        .attempt = i + 1,
        .draw = i + 1,
        .cost = {1.1, 0.01, 20, 65536.1, 3, 159010, 0x1p-112, 1, 0}};
    memset(e.run_id, 1, 32);
    memset(e.job_digest, 2, 32);
    memset(e.data, 3, 32);
    memset(e.place, 4, 32);
    memset(e.model, 5, 32);
    memset(e.members, 6, 32);
    memset(e.vector, 7, 32);
    return e;
}

static double plain(int fd, size_t n)
{
    static const char line[4096];
    double start = cv_now();
    if (write(fd, line, n) != (ssize_t)n || fdatasync(fd) != 0) {
        perror("bench_journal");
        exit(1);
    }
    return cv_now() - start;
}

/* Bytes of an entry: of two journals, one with an entry more. */
static size_t line_length(const char *path, cv_err *err)
{
    size_t len[2];
    char *text;
    cv_journal *j;
    for (int i = 0; i < 2; i++) {
        must(cv_journal_open(path, &j, err), err);
        cv_journal_entry e = entry_of(N / 2);
        if (i)
            must(cv_journal_append(j, &e, err), err);
        cv_journal_close(&j);
        must(cv_fs_read(path, 1 << 20, &text, &len[i], err), err);
        free(text);
    }
    return len[1] - len[0];
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : ".";
    char *path = cv_asprintf("%s/silo-%d.journal", dir, (int)getpid());
    char *other = cv_asprintf("%s/bench_journal.%d", dir, (int)getpid());
    double a[N], b[N], start, open_time = 1e9;
    cv_err err = {0};
    cv_journal *j;
    size_t n = line_length(path, &err);
    int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(cv_journal_open(path, &j, &err), &err);
    for (int i = 0; i < N; i++) {
        cv_journal_entry e = entry_of(i);
        start = cv_now();
        must(cv_journal_append(j, &e, &err), &err);
        a[i] = cv_now() - start;
        b[i] = plain(fd, n);
    }
    cv_journal_close(&j);
    close(fd);
    for (int i = 0; i < 5; i++) {
        start = cv_now();
        must(cv_journal_read(path, &j, &err), &err);
        double t = cv_now() - start;
        open_time = t < open_time ? t : open_time;
        cv_journal_close(&j);
    }
    unlink(path);
    unlink(other);
    double append = median(a), write_time = median(b);
    printf("append           %7.1f us (median of %d, %zu bytes)\n",
           1e6 * append, N, n);
    printf("plain write+sync %7.1f us\n", 1e6 * write_time);
    printf("reading          %7.2f us an entry\n", 1e6 * open_time / N);
    printf("row\tjournal: an append, us\t%.1f\t%.1f plain write + fdatasync"
           "\t%.2f\t%s\n",
           1e6 * append, 1e6 * write_time, append / write_time / LIMIT,
           append <= LIMIT * write_time ? "yes" : "no");
    free(path);
    free(other);
    return 0;
}

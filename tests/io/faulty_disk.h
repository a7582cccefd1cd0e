/** A disk that fails and a process that is killed (faulty_calls.h), for the
 *  tests of io/checkpoint, with a folder to work in.
 *
 *  To be included once, after cmocka.h.
 */
#ifndef COVEY_TESTS_FAULTY_DISK_H
#define COVEY_TESTS_FAULTY_DISK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/io/checkpoint_sample.h"
#include "tests/io/faulty_calls.h"

static char root[] = "/tmp/test_checkpoint.XXXXXX";
static char *dir, *file; /* root/run, and run.h5 in it */

/* dir, there and empty. */
static void wipe(void)
{
    assert_true(mkdir(dir, 0755) == 0 || errno == EEXIST);
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char *path = cv_fs_join(dir, e->d_name);
        if (e->d_name[0] != '.')
            assert_int_equal(remove(path), 0);
        free(path);
    }
    closedir(d);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(root))
        return -1;
    dir = cv_fs_join(root, "run");
    file = cv_fs_join(dir, "run.h5");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)umount2(dir, MNT_DETACH); /* of a test that broke off */
    char *command = cv_asprintf("rm -rf %s", root);
    int rc = system(command);
    free(command);
    free(dir);
    free(file);
    return rc;
}

/* Of the last call. */
static cv_err err;

#define OK(call)                                                               \
    do {                                                                       \
        err = (cv_err){0};                                                     \
        if ((call) != 0)                                                       \
            fail_msg("%s: %s: %s", #call, err.file, err.text);                 \
    } while (0)

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in dir, sorted, with blanks between. */
static const char *listing(void)
{
    static char text[4096];
    char *names[200];
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; n < 200 && (e = readdir(d));)
        if (e->d_name[0] != '.')
            names[n++] = cv_strdup(e->d_name);
    closedir(d);
    qsort(names, n, sizeof *names, by_name);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (i)
            strcat(text, " ");
        strcat(text, names[i]);
        free(names[i]);
    }
    return text;
}

static inline void put_text(const char *name)
{
    char *path = cv_fs_join(dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("text", f);
    assert_int_equal(fclose(f), 0);
    free(path);
}

/* The sample and 5 MB more. */
static int write_large(const char *path, uint64_t seed, cv_err *e)
{
    static float x[1200000];
    int64_t n = sizeof x / sizeof *x;
    cv_h5_writer *w;
    int rc = cv_h5_create(path, 0644, &w, e);
    if (!rc)
        rc = sample_fill(w, seed, e);
    if (!rc)
        rc = cv_h5_put(w, "/model/large", CV_H5_F32, 1, &n, x, NULL, NULL, e);
    if (!rc)
        return cv_h5_commit(&w, e);
    cv_h5_abort(&w);
    return rc;
}

#endif

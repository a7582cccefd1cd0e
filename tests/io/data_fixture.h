/** A temporary folder, files in it, and jobs by hand, for the data tests. */
#ifndef COVEY_TESTS_IO_DATA_FIXTURE_H
#define COVEY_TESTS_IO_DATA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/mem.h"
#include "io/design.h"
#include "io/table.h"
#include "io/table_internal.h"

static char test_dir[64];

static inline int make_dir(void **state)
{
    (void)state;
    strcpy(test_dir, "/tmp/covey-data-XXXXXX");
    return mkdtemp(test_dir) ? 0 : -1;
}

static inline int remove_dir(void **state)
{
    (void)state;
    DIR *d = opendir(test_dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", test_dir, e->d_name);
        if (e->d_name[0] != '.')
            unlink(path);
    }
    if (d)
        closedir(d);
    return rmdir(test_dir);
}

/** A path in the folder; the text is good until four more calls. */
static inline const char *in_dir(const char *name)
{
    static char path[4][128];
    static int k;
    k = (k + 1) % 4;
    snprintf(path[k], sizeof path[k], "%s/%s", test_dir, name);
    return path[k];
}

static inline void write_bytes(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline uint8_t *read_bytes(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = cv_realloc(NULL, *n + 1, 1);
    assert_int_equal(fread(data, 1, *n, f), *n);
    data[*n] = 0;
    fclose(f);
    return data;
}

/** Value of x with the scale, whatever the type. */
static inline double at(const cv_table *t, int64_t row, int32_t col)
{
    return cv_table_value(t, row, col);
}

/** xorshift64*, for test data. */
static inline uint64_t next_random(uint64_t *s)
{
    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return *s * 2685821657736338717u;
}

/** The error is input, and its message and the site's detail hold these words;
 *  neither the path nor what belongs to the site is in the message. */
static inline void assert_input_error(int rc, const cv_err *err,
                                      const char *text, const char *site)
{
    if (rc != CV_ERR_INPUT || !strstr(err->text, text) ||
        (site && !strstr(err->site, site)))
        print_message("rc %d, text \"%s\", site \"%s\"\nexpected \"%s\", "
                      "\"%s\"\n",
                      rc, err->text, err->site, text, site ? site : "");
    assert_int_equal(rc, CV_ERR_INPUT);
    assert_int_equal(err->code, CV_ERR_INPUT);
    assert_non_null(strstr(err->text, text));
    assert_null(strstr(err->text, test_dir));
    assert_string_equal(err->file, "");
    if (site)
        assert_non_null(strstr(err->site, site));
}

#endif

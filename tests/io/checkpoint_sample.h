/** A small checkpoint with everything in it, for the tests of io/checkpoint:
 *  written from a seed, and read back and compared with that seed.
 *
 *  Not cmocka assertions, because children and the fuzzer use it too.
 */
#ifndef COVEY_TESTS_CHECKPOINT_SAMPLE_H
#define COVEY_TESTS_CHECKPOINT_SAMPLE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/rand.h"
#include "io/checkpoint.h"

#define SAMPLE_MAX  600 /* values of the largest array */
#define SAMPLE_ROWS 25

typedef struct {
    const char *path;
    cv_h5_type type;
    int rank;
    int64_t dims[4];
    const char *unit, *note;
} sample_array;

static const sample_array sample_arrays[] = {
    {"/model/params/dense1/weight", CV_H5_F32, 2, {20, 30}, "1", "weights"},
    {"/model/params/dense1/bias", CV_H5_F32, 1, {30}, NULL, NULL},
    {"/model/scale", CV_H5_F64, 0, {0}, "mmol/l", ""},
    {"/optimizer/steps", CV_H5_I64, 3, {2, 3, 4}, NULL, "a b\nc"},
    {"/optimizer/seen", CV_H5_I32, 4, {1, 2, 3, 4}, "", NULL},
    {"/data/image", CV_H5_U8, 2, {7, 9}, "1/255", "größe: µ"},
    {"/data/none", CV_H5_F32, 1, {0}, "s", "no values"},
    {"/data/empty", CV_H5_I64, 3, {4, 0, 2}, NULL, NULL},
};
#define SAMPLE_ARRAYS (sizeof sample_arrays / sizeof *sample_arrays)

static inline size_t sample_size(cv_h5_type t)
{
    static const size_t size[] = {4, 8, 4, 8, 1};
    return size[t];
}

static inline int64_t sample_count(const sample_array *a)
{
    int64_t n = 1;
    for (int i = 0; i < a->rank; i++)
        n *= a->dims[i];
    return n;
}

/* Bytes of array k under this seed; any bit pattern is a value. */
static inline void sample_bytes(uint8_t *out, uint64_t seed, uint64_t k)
{
    cv_stream s;
    cv_stream_open(&s, seed, "sample", k, 0);
    cv_stream_bytes(&s, out, SAMPLE_MAX * 8);
    cv_stream_close(&s);
}

static inline char *sample_text(uint64_t seed, int64_t i)
{
    static const char *const word[] = {"", "nord", "süd", "a b", "x"};
    return i % 5 == 0 ? cv_strdup("")
                      : cv_asprintf("%s-%llu-%lld", word[i % 5],
                                    (unsigned long long)seed, (long long)i);
}

/* More members than a header holds (checkpoint_heap.c). */
#define SAMPLE_MANY 24

static inline void sample_many_path(char path[80], int i)
{
    snprintf(path, 80, "/many/%d%.*s", i * 7 % SAMPLE_MANY, i * 17 % 60,
             "_a_name_that_is_longer_or_shorter_and_has_some_sixty_letters");
}

static inline int sample_put_table(cv_h5_writer *w, uint64_t seed, cv_err *err)
{
    int64_t round[SAMPLE_ROWS];
    double loss[SAMPLE_ROWS];
    char *who[SAMPLE_ROWS];
    for (int i = 0; i < SAMPLE_ROWS; i++) {
        round[i] = (int64_t)seed + i;
        loss[i] = i == 3 ? (double)NAN : 1.0 / (double)(seed + 1) + i;
        who[i] = sample_text(seed, i);
    }
    cv_h5_column cols[] = {
        {"round", NULL, CV_H5_I64, 0, round},
        {"loss (mean)", "nats", CV_H5_F64, 0, loss},
        {"silo/who", NULL, CV_H5_U8, 1, who},
    };
    int rc = cv_h5_put_table(w, "/history", "one row per round", cols, 3,
                             SAMPLE_ROWS, err);
    if (!rc)
        rc = cv_h5_put_table(w, "/no_rows", NULL, cols, 3, 0, err);
    for (int i = 0; i < SAMPLE_ROWS; i++)
        free(who[i]);
    return rc;
}

/* All of it into w. */
static inline int sample_fill(cv_h5_writer *w, uint64_t seed, cv_err *err)
{
    static uint8_t bytes[SAMPLE_MAX * 8];
    int rc = cv_h5_attr_i64(w, "/", "format_version", 1, err);
    if (!rc)
        rc = cv_h5_attr_i64(w, "/", "seed", (int64_t)seed, err);
    if (!rc)
        rc = cv_h5_attr_f64(w, "/", "third", (double)seed / 3, err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/model", "kind", "mlp", err);
    for (size_t k = 0; !rc && k < SAMPLE_ARRAYS; k++) {
        const sample_array *a = &sample_arrays[k];
        sample_bytes(bytes, seed, k);
        rc = cv_h5_put(w, a->path, a->type, a->rank, a->dims, bytes, a->unit,
                       a->note, err);
    }
    for (int i = 0; !rc && i < SAMPLE_MANY; i++) {
        char path[80];
        double v = (double)seed + i;
        sample_many_path(path, i);
        rc = cv_h5_put(w, path, CV_H5_F64, 0, NULL, &v, NULL, NULL, err);
    }
    char *text[10];
    for (int i = 0; i < 10; i++)
        text[i] = sample_text(seed, i);
    if (!rc)
        rc = cv_h5_put_strings(w, "/data/names", (const char *const *)text, 10,
                               "feature names", err);
    if (!rc)
        rc = cv_h5_put_strings(w, "/data/nobody", NULL, 0, NULL, err);
    if (!rc)
        rc = cv_h5_put_string(w, "/job", text[3], "the job", err);
    if (!rc)
        rc = cv_h5_put_string(w, "/nothing", "", NULL, err);
    if (!rc)
        rc = sample_put_table(w, seed, err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/data/image", "colour", "", err);
    for (int i = 0; i < 10; i++)
        free(text[i]);
    return rc;
}

static inline int sample_write(const char *path, uint64_t seed, cv_err *err)
{
    cv_h5_writer *w;
    int rc = cv_h5_create(path, 0644, &w, err);
    if (rc)
        return rc;
    rc = sample_fill(w, seed, err);
    if (rc) {
        cv_h5_abort(&w);
        return rc;
    }
    return cv_h5_commit(&w, err);
}

/* In the functions below: 0 equal, negative an error, positive (the line)
 * different from what was written. */
#define SAMPLE_TRY(call)                                                       \
    do {                                                                       \
        int rc_ = (call);                                                      \
        if (rc_)                                                               \
            return rc_;                                                        \
    } while (0)
#define SAMPLE_SAME(cond)                                                      \
    do {                                                                       \
        if (!(cond))                                                           \
            return __LINE__;                                                   \
    } while (0)

static inline int sample_same_text(char *got, const char *expected)
{
    int same = got && strcmp(got, expected) == 0;
    free(got);
    return same;
}

static inline int sample_check_attr(cv_h5_reader *r, const char *path,
                                    const char *name, const char *expected,
                                    cv_err *err)
{
    char *text;
    int rc = cv_h5_get_attr_string(r, path, name, &text, err);
    if (!expected) {
        free(text);
        return rc < 0 ? 0 : __LINE__;
    }
    SAMPLE_TRY(rc);
    SAMPLE_SAME(sample_same_text(text, expected));
    return 0;
}

static inline int sample_check_array(cv_h5_reader *r, uint64_t seed, size_t k,
                                     cv_err *err)
{
    static uint8_t expected[SAMPLE_MAX * 8], got[SAMPLE_MAX * 8];
    const sample_array *a = &sample_arrays[k];
    int64_t dims[4], n = sample_count(a);
    int rank;
    sample_bytes(expected, seed, k);
    SAMPLE_TRY(cv_h5_shape(r, a->path, &rank, dims, err));
    SAMPLE_SAME(rank == a->rank);
    for (int i = 0; i < rank; i++)
        SAMPLE_SAME(dims[i] == a->dims[i]);
    SAMPLE_TRY(cv_h5_get(r, a->path, a->type, got, (size_t)n, err));
    SAMPLE_SAME(memcmp(got, expected, (size_t)n * sample_size(a->type)) == 0);
    SAMPLE_TRY(sample_check_attr(r, a->path, "unit", a->unit, err));
    return sample_check_attr(r, a->path, "description", a->note, err);
}

static inline int sample_same_list(char ***text, size_t n, uint64_t seed)
{
    int same = 1;
    for (size_t i = 0; i < n; i++) {
        char *expected = sample_text(seed, (int64_t)i);
        same = same && strcmp((*text)[i], expected) == 0;
        free(expected);
    }
    cv_strings_free(text, n);
    return same;
}

static inline int sample_check_texts(cv_h5_reader *r, uint64_t seed,
                                     cv_err *err)
{
    char **text, *one;
    size_t n;
    SAMPLE_TRY(cv_h5_get_strings(r, "/data/names", &text, &n, err));
    if (n != 10)
        cv_strings_free(&text, n);
    SAMPLE_SAME(n == 10 && sample_same_list(&text, n, seed));
    SAMPLE_TRY(cv_h5_get_strings(r, "/data/nobody", &text, &n, err));
    cv_strings_free(&text, n);
    SAMPLE_SAME(n == 0);
    SAMPLE_TRY(cv_h5_get_string(r, "/nothing", &one, err));
    SAMPLE_SAME(sample_same_text(one, ""));
    SAMPLE_TRY(cv_h5_get_string(r, "/job", &one, err));
    char *expected = sample_text(seed, 3);
    int same = sample_same_text(one, expected);
    free(expected);
    SAMPLE_SAME(same);
    return 0;
}

static inline int sample_check_table(cv_h5_reader *r, uint64_t seed,
                                     cv_err *err)
{
    int64_t n, round[SAMPLE_ROWS];
    double loss[SAMPLE_ROWS];
    char **who;
    SAMPLE_TRY(cv_h5_table_rows(r, "/no_rows", &n, err));
    SAMPLE_SAME(n == 0);
    SAMPLE_TRY(cv_h5_table_rows(r, "/history", &n, err));
    SAMPLE_SAME(n == SAMPLE_ROWS);
    SAMPLE_TRY(
        cv_h5_get_column(r, "/history", "round", CV_H5_I64, round, n, err));
    SAMPLE_TRY(cv_h5_get_column(r, "/history", "loss (mean)", CV_H5_F64, loss,
                                n, err));
    for (int i = 0; i < SAMPLE_ROWS; i++) {
        SAMPLE_SAME(round[i] == (int64_t)seed + i);
        SAMPLE_SAME(i == 3 ? isnan(loss[i])
                           : loss[i] == 1.0 / (double)(seed + 1) + i);
    }
    SAMPLE_TRY(
        cv_h5_get_column_strings(r, "/history", "silo/who", &who, n, err));
    SAMPLE_SAME(sample_same_list(&who, (size_t)n, seed));
    SAMPLE_TRY(
        sample_check_attr(r, "/history", "unit:loss (mean)", "nats", err));
    return sample_check_attr(r, "/history", "unit:round", NULL, err);
}

static inline int sample_check_members(cv_h5_reader *r, uint64_t seed,
                                       cv_err *err)
{
    static const char *const top[] = {"model",   "optimizer", "data",
                                      "many",    "job",       "nothing",
                                      "history", "no_rows"};
    char **names, path[80];
    size_t n;
    double v;
    SAMPLE_TRY(cv_h5_members(r, "/", &names, &n, err));
    int same = n == 8;
    for (size_t i = 0; same && i < n; i++)
        same = strcmp(names[i], top[i]) == 0;
    cv_strings_free(&names, n);
    SAMPLE_SAME(same);
    SAMPLE_TRY(cv_h5_members(r, "/many", &names, &n, err));
    same = n == SAMPLE_MANY;
    for (int i = 0; same && i < SAMPLE_MANY; i++) {
        sample_many_path(path, i);
        same = strcmp(names[i], path + strlen("/many/")) == 0;
    }
    cv_strings_free(&names, n);
    SAMPLE_SAME(same);
    for (int i = 0; i < SAMPLE_MANY; i++) {
        sample_many_path(path, i);
        SAMPLE_TRY(cv_h5_get(r, path, CV_H5_F64, &v, 1, err));
        SAMPLE_SAME(v == (double)seed + i);
    }
    return 0;
}

static inline int sample_check(cv_h5_reader *r, uint64_t seed, cv_err *err)
{
    int64_t v;
    double f;
    SAMPLE_TRY(cv_h5_get_attr_i64(r, "/", "seed", &v, err));
    SAMPLE_SAME(v == (int64_t)seed);
    SAMPLE_TRY(cv_h5_get_attr_f64(r, "/", "third", &f, err));
    SAMPLE_SAME(f == (double)seed / 3);
    SAMPLE_TRY(sample_check_attr(r, "/model", "kind", "mlp", err));
    SAMPLE_TRY(sample_check_attr(r, "/data/image", "colour", "", err));
    SAMPLE_TRY(sample_check_members(r, seed, err));
    for (size_t k = 0; k < SAMPLE_ARRAYS; k++)
        SAMPLE_TRY(sample_check_array(r, seed, k, err));
    SAMPLE_TRY(sample_check_texts(r, seed, err));
    return sample_check_table(r, seed, err);
}

static inline int sample_read(const char *path, uint64_t seed, cv_err *err)
{
    cv_h5_reader *r;
    int rc = cv_h5_open(path, 1, &r, err);
    if (rc)
        return rc;
    rc = sample_check(r, seed, err);
    cv_h5_close(&r);
    return rc;
}

#endif

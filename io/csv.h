/** RFC 4180 fields out of a text in memory. */
#ifndef COVEY_IO_CSV_H
#define COVEY_IO_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "core/bytes.h"

typedef struct {
    const char *at, *end; /* *end == 0 */
    char sep;
    int64_t line;        /* of `at`, from 1 */
    cv_buf joined;       /* a quoted field with "" in it */
    const char *problem; /* after -1: "a quote ...", constant text */
} cv_csv;

typedef struct {
    const char *text; /* not terminated; until the next call */
    size_t len;
    int64_t line; /* where it starts */
    int last;     /* of its line */
} cv_csv_field;

/** Start on a text; passes over a byte order mark and finds the separator in
 *  the header line. Free with cv_csv_close. */
void cv_csv_open(cv_csv *c, const char *text, size_t len);
/** Pass over empty lines. Is there another line? */
int cv_csv_more(cv_csv *c);
/** The next field. 0, or -1 with `problem`; only after cv_csv_more said yes or
 *  a field that was not the last. */
int cv_csv_next(cv_csv *c, cv_csv_field *f);
void cv_csv_close(cv_csv *c);

#endif

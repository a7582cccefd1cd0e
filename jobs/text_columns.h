/** Numbers under headings, as R aligns them: right-aligned columns behind names.
 *  Local. */
#ifndef COVEY_JOBS_TEXT_COLUMNS_H
#define COVEY_JOBS_TEXT_COLUMNS_H

#include <stddef.h>
#include <stdio.h>

enum { CV_CELL_TEXT = 24 };

/** cell (n_rows, n_cols): "" leaves one blank. */
typedef struct {
    int n_rows, n_cols;
    const char *const *name; /* (n_rows) */
    char (*head)[CV_CELL_TEXT];
    char (*cell)[CV_CELL_TEXT];
} cv_text_columns;

/** Free with cv_text_columns_free. name is borrowed. */
cv_text_columns cv_text_columns_create(int n_rows, int n_cols,
                                       const char *const *name);
void cv_text_columns_free(cv_text_columns *t);
char *cv_text_cell(const cv_text_columns *t, int row, int col);
/** At most `width` columns of a terminal: a name that leaves too little space
 *  has a line of its own. Control characters become '?'. */
void cv_text_columns_print(FILE *out, const cv_text_columns *t, int width);

/** How R's format() writes a column of numbers: fixed, with as many decimals as
 *  the smallest of them needs for `digits` digits (and at most `most`), or, where
 *  that is wider than 11 places, each with an exponent. NaN: "NA". */
typedef struct {
    int decimals; /* -1: with exponents */
    int digits;
} cv_number_format;
cv_number_format cv_number_format_of(const double *v, size_t n, int digits,
                                     int most);
/** The format that fits both. */
cv_number_format cv_number_format_both(cv_number_format a, cv_number_format b);
void cv_number_text(char out[CV_CELL_TEXT], double v, cv_number_format f);

/** p-values as R's format.pval: 3 digits, "<2e-16" below 2.2e-16. f: of those
 *  from 0.001 on (cv_p_format_of). */
cv_number_format cv_p_format_of(const double *p, size_t n);
void cv_p_text(char out[CV_CELL_TEXT], double p, cv_number_format f);

#endif

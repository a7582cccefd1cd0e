/** From a table to the numbers a model sees: columns chosen by name, categories
 *  as indicators, missing values handled, rows split into train and test.
 *
 *  The schema is agreed by all silos before anything is encoded, and is saved
 *  in the checkpoint so that `covey predict` does exactly the same.
 */
#ifndef COVEY_IO_DESIGN_H
#define COVEY_IO_DESIGN_H

#include <stdint.h>

#include "core/err.h"
#include "io/table.h"

typedef struct {
    int n_features;
    cv_feature *features; /* every one with its final levels */
    cv_feature target;    /* CATEGORY: classes, in order of class number;
                           * name NULL: a model without a response */
    uint8_t *declared;    /* (n_features) 1: its levels stand in the job */
    int target_declared;  /* 1: so do the classes */
    int n_cols;           /* encoded: 1 per number, n_levels - 1 per category
                       * (the first level is the reference) */
    char **col_names;     /* (n_cols): "age", "sex=m" */
    cv_missing missing;
    cv_standardize standardize;
    /* Filled in by jobs/ after pooling; encoded = (value - shift) / unit.
     * NULL until then, except that standardize: bounds sets shift and unit
     * from the start: (value - lo) / (hi - lo), indicators stay 0 and 1. */
    double *shift; /* (n_cols) */
    double *unit;  /* (n_cols), > 0 */
    double *fill;  /* (n_cols) value for a missing number (missing: mean) */
} cv_schema;

/** The schema this silo's table offers under the job: declared features, or
 *  every column but the target; levels as declared, or as found. A declared
 *  feature with the target's name describes the target (its levels, or the
 *  bounds of a number) and is no feature. Without data.target it is a table's
 *  y; where there is no y, as in tables of doubles, there is no target.
 *
 *  needs_classes  0: the target is a number.
 *                 1: it is a class; its levels are the names, or "0".."K-1" for
 *                    whole numbers 0..K-1 found in it (K <= 65536), or the
 *                    values found where the job declares it a category.
 *                 2: it is a class if the job or the file says so (levels, or a
 *                    target stored as integers), else a number.
 *  data.target_levels, where given, are the classes (not with 0): words match
 *  by name, numbers by value; other values are errors of cv_design_encode.
 *
 *  Errors: CV_ERR_INPUT, names the column that is not there or does not fit, or
 *  whose levels the job does not give although sums are masked.
 */
int cv_schema_of_table(const cv_table *table, const cv_job *job,
                       int needs_classes, cv_schema **schema, cv_err *err);

/** One line per feature, target first ("no target" without one): what is compared and merged between
 *  silos, broadcast, and saved. Fields are separated by tabs; \\, \t, \n, \r
 *  and \xHH stand for what would break a line. shift, unit and fill follow, as
 *  exact hexadecimal numbers, if they are set. malloc'd. */
char *cv_schema_to_text(const cv_schema *schema);
/** Errors: CV_ERR_INPUT with the line of the text. Trusts nothing in it. */
int cv_schema_from_text(const char *text, cv_schema **schema, cv_err *err);

/** Merge `other` into `schema`: same features in the same order and of the
 *  same type, levels united, or CV_ERR_INPUT naming the first column that
 *  differs (schema unchanged). Declared levels are never extended. Found levels
 *  keep their order where all silos found the same, and are sorted otherwise,
 *  numbers by value before texts by bytes; so the order of merging does not
 *  matter. shift, unit and fill start anew where levels were added. */
int cv_schema_merge(cv_schema *schema, const cv_schema *other, cv_err *err);

void cv_schema_destroy(cv_schema **schema);

/** Encoded rows. */
typedef struct {
    int64_t n_rows;
    int n_cols;
    cv_type type; /* U8 only when the table was U8 and nothing was missing */
    void *x;      /* (n_rows, n_cols), owned; not yet standardised: value =
                   * x * scale; NaN = missing number (missing: mean) */
    double scale; /* 1 for F32 */
    float *y;     /* (n_rows) class number or value, owned */
    int64_t n_dropped; /* rows left out because a value was missing */
    int64_t *kept;     /* (n_rows) row number in the table, owned */
} cv_design;

/** Encode a table under an agreed schema. Takes over the table's x without a
 *  copy where it can, and so consumes and frees *table either way.
 *
 *  Numbers with declared bounds are clamped into them, whatever standardize
 *  says: no record counts for more than the bounds allow.
 *  Missing values: `drop` leaves the row out; `fail` is an error; `mean` keeps
 *  the row with NaN for the number, but leaves out rows whose category or
 *  target is missing, as there is no mean of those.
 *  flags: without CV_DESIGN_TARGET (predict), and without a target in the
 *  schema, it is not looked at, y is NULL. With CV_DESIGN_NULL a row that would be left out stays, with NaN in
 *  every column and target 0: a record of no effect that keeps its number
 *  (record-level privacy); only where x is not uint8.
 *  Errors: CV_ERR_INPUT: column not there, level unknown, label out of range,
 *  missing value under missing: fail, all with the column's name.
 */
enum { CV_DESIGN_TARGET = 1, CV_DESIGN_NULL = 2 };
int cv_design_encode(cv_table **table, const cv_schema *schema, int flags,
                     cv_design **design, cv_err *err);

void cv_design_destroy(cv_design **design);

/** Which rows are test rows: a hash of the row's encoded content, keyed by
 *  (seed, silo name), decides each row on its own, so adding a record moves no
 *  other. Rows with the same content go the same way. Sets is_test[i] to 0
 *  or 1. */
void cv_design_split(const cv_design *design, double test_fraction,
                     uint64_t seed, const char *silo, uint8_t *is_test);

#endif

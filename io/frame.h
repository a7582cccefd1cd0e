/** From a table to what a regression works on: R's model frame and model matrix,
 *  in double precision.
 *
 *  cv_frame_plan says which columns the matrix has: it needs formula and schema,
 *  not data, and is the same at every silo and in `covey predict`.  Categories
 *  are coded as R does with treatment contrasts: the first level is the
 *  reference; where a term's margin without a category is not in the model, that
 *  category has a column for each of its levels.  R's rule to the letter: the
 *  margin is in the model if it is empty or a term before holds all of it; of a
 *  formula without an intercept the first category of the first term that has
 *  one has all its levels.
 *  Names: "(Intercept)", "age", "log(age)", "C(sex)=m", "age:C(sex)=m"; a column
 *  of the data that is a category without being written C() is "sex=m".
 *
 *  Scope: local.
 *  Source: R, ?model.matrix, ?terms (contrasts by marginality); Chambers and
 *  Hastie (1992), section 2.4.1.
 */
#ifndef COVEY_IO_FRAME_H
#define COVEY_IO_FRAME_H

#include <stdint.h>

#include "core/err.h"
#include "io/design.h"
#include "io/formula.h"

enum { CV_FRAME_MAX_COLUMNS = 65536 };

/** One factor of a column of the matrix. */
typedef struct {
    int var;   /* of the formula */
    int level; /* of a category: 1 where the row has this level, else 0; -1: the
                * variable's value */
} cv_frame_factor;

typedef struct {
    int p;         /* columns, the intercept first */
    char **name;   /* (p) */
    int *n_factor; /* (p) */
    cv_frame_factor (*factor)[CV_FORMULA_MAX_ORDER]; /* (p) */
    int *term;    /* (p) number of the term, -1 the intercept */
    int *feature; /* (n_vars) of the schema */
} cv_frame_plan;

/** hide_intercept: codes categories as the formula's intercept asks, but leaves
 *  its column out (baseline hazards and silos' own intercepts take its place).
 *  Errors: CV_ERR_INPUT naming the variable that the schema does not have, a
 *  category inside a function, a category of one level where contrasts leave
 *  nothing (named), or too many columns. */
int cv_frame_plan_make(const cv_formula *f, const cv_schema *schema,
                       int hide_intercept, cv_frame_plan **out, cv_err *err);
void cv_frame_plan_destroy(cv_frame_plan **plan);

/** Roles of columns beside the formula's. NULL: none. */
typedef struct {
    const char *weights; /* prior weights, >= 0 */
} cv_frame_roles;

typedef struct {
    int64_t n; /* rows in which nothing is missing */
    int p;
    double *x;       /* (n, p) row-major, 64-byte aligned */
    double *y;       /* (n) response, or the class 0, 1, .. of a category; of a
                       * survival formula NULL */
    double *time;    /* (n) or NULL */
    uint8_t *event;  /* (n) 0 or 1, or NULL */
    double *weights; /* (n) or NULL: all 1 */
    double *offset;  /* (n) sum of the offsets, or NULL: all 0 */
    int64_t *row;    /* (n) number of the row in the table */
    uint64_t *content; /* (n) hash of the whole row as it is in the file; NULL
                        * if the table has none */
    int64_t n_missing; /* rows left out because a value was missing */
} cv_frame;

/** Build the frame of one silo; consumes *table (read with filter.f64) either
 *  way, and takes over its memory for x where both are about as wide (x is then
 *  longer than n * p). with_response 0: response, event and weights are not
 *  looked at (predict).
 *
 *  Bounds of the schema, of the target too, hold for terms, offsets, weights and
 *  the response: numbers are clamped into them before any function.
 *
 *  Missing values: schema->missing DROP leaves the row out, FAIL is an error;
 *  MEAN is an error. What is missing in columns that the formula and the roles
 *  do not use does not matter, and rows that are left out are not looked at
 *  further.
 *  Errors: CV_ERR_INPUT with the column's name (rows and values in err->site):
 *  level unknown, log of a number <= 0 (and other functions out of their
 *  domain or not finite), event neither 0 nor 1, time not > 0 (0 is allowed),
 *  negative weight, column not there.
 */
int cv_frame_build(cv_table **table, const cv_formula *f,
                   const cv_schema *schema, const cv_frame_plan *plan,
                   const cv_frame_roles *roles, int with_response,
                   cv_frame **out, cv_err *err);
void cv_frame_destroy(cv_frame **frame);

#endif

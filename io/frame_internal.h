/** What the parts of io/frame*.c share; for those only. */
#ifndef COVEY_IO_FRAME_INTERNAL_H
#define COVEY_IO_FRAME_INTERNAL_H

#include "io/frame.h"
#include "io/level_map.h"

/** A column of the table as the frame uses it. */
typedef struct {
    const char *name;          /* of the column */
    const char *label;         /* as the formula has it */
    const cv_feature *feature; /* as agreed; NULL: nothing is */
    int32_t col;               /* of the table's x */
    int category;
    cv_formula_fn fn;
    int power;
    double lo, hi;    /* infinite without bounds */
    cv_level_map map; /* of a category */
} cv_frame_source;

/** How a stretch of the matrix's columns comes about. */
typedef struct {
    enum { CV_STEP_ONE, CV_STEP_COPY, CV_STEP_LEVELS, CV_STEP_PRODUCT } kind;
    int to, n;    /* columns [to, to + n) */
    int32_t from; /* COPY: columns [from, from + n) of the table */
    int clamps;   /* COPY: some of them have bounds */
    int var;      /* LEVELS: 1 where the row has level first + i */
    int first;
} cv_frame_step;

typedef struct {
    cv_table *table;
    const cv_formula *f;
    const cv_schema *schema;
    const cv_frame_plan *plan;
    cv_err *err;
    int with_response;
    cv_frame_source *vars;    /* (n_vars) */
    cv_frame_source *offsets; /* (n_offsets) */
    cv_frame_source response, event, weights;
    int has_response, has_event, has_weights;
    int n_used;
    const cv_frame_source **used; /* (n_used) no value may be missing */
    int n_evaluated;
    int *evaluated; /* (n_evaluated) variables of products and levels */
    int n_steps;
    cv_frame_step *steps;
    double *lo, *hi; /* (p) of columns that are copied */
} cv_frame_binding;

/** Find every column, and plan the steps. CV_ERR_INPUT. Free either way. */
int cv_frame_bind(cv_frame_binding *b, const cv_frame_roles *roles);
void cv_frame_unbind(cv_frame_binding *b);

#endif

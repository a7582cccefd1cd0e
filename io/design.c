#include "io/design.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/level_map.h"
#include "io/schema_internal.h"
#include "io/table_internal.h"

/* One feature: where it comes from and where it goes. */
typedef struct {
    const char *name;
    int category;
    int32_t col; /* of the table's x; -1: y */
    int to;      /* first encoded column */
    int width;
    float lo, hi; /* infinite without bounds */
    cv_level_map map;
} slot;

typedef struct {
    cv_table *table;
    const cv_schema *schema;
    cv_design *design;
    cv_err *err;
    slot *slots; /* (n_features) */
    slot target; /* unused without need_target */
    int need_target, keep_null;
    int clamps;   /* some value of the table's type can be out of bounds */
    int in_order; /* the features are the columns of x, all of them numbers */
} encoder;

static int fail(encoder *e, const char *name, const char *what)
{
    return cv_err_set(e->err, CV_ERR_INPUT, NULL, 0, "column '%s': %s", name,
                      what);
}

static int fail_row(encoder *e, const char *name, const char *what, int64_t row)
{
    char where[40];
    fail(e, name, what);
    cv_table_where(where, sizeof where, e->table, row);
    return cv_err_site(e->err, "%s", where);
}

/* Rounded towards the inside, so that no float is out of the double bounds. */
static void set_bounds(slot *s, const cv_feature *f)
{
    s->lo = -INFINITY;
    s->hi = INFINITY;
    if (!f->has_bounds)
        return;
    s->lo = (float)f->lo;
    s->hi = (float)f->hi;
    if ((double)s->lo < f->lo)
        s->lo = nextafterf(s->lo, INFINITY);
    if ((double)s->hi > f->hi)
        s->hi = nextafterf(s->hi, -INFINITY);
    if (s->hi < s->lo)
        s->hi = s->lo;
}

static int can_leave_bounds(const cv_table *t, const slot *s)
{
    if (t->type != CV_TYPE_U8)
        return isfinite(s->lo) || isfinite(s->hi);
    return s->lo > 0.0f || (double)s->hi < 255.0 * t->scale;
}

static int bind_slot(encoder *e, slot *s, const cv_feature *f, int32_t col)
{
    const cv_table *t = e->table;
    const cv_column *c = col < 0 ? &t->target : &t->cols[col];
    s->name = f->name;
    s->category = f->type == CV_FEATURE_CATEGORY;
    s->col = col;
    s->width = cv_feature_width(f);
    set_bounds(s, f);
    if (!s->category && c->n_levels)
        return fail(e, f->name,
                    "expected a number as agreed, found a "
                    "category");
    if (s->category)
        cv_level_map_make(&s->map, c, f, 0);
    return 0;
}

static void name_columns(cv_name_set *set, const cv_table *t)
{
    for (int32_t j = 0; j < t->n_cols; j++)
        cv_name_set_add(set, t->cols[j].name, strlen(t->cols[j].name), NULL);
}

static int bind_features(encoder *e)
{
    const cv_schema *s = e->schema;
    const cv_table *t = e->table;
    cv_name_set columns = {0};
    int to = 0, rc = 0;
    e->slots = CV_NEW(s->n_features, slot);
    e->in_order = s->n_features == t->n_cols;
    for (int i = 0; i < s->n_features && !rc; i++) {
        const cv_feature *f = &s->features[i];
        int64_t col = i;
        if (i >= t->n_cols || strcmp(t->cols[i].name, f->name) != 0) {
            e->in_order = 0;
            if (columns.n == 0)
                name_columns(&columns, t);
            col = cv_name_set_find(&columns, f->name, strlen(f->name));
        }
        if (col < 0) {
            rc = fail(e, f->name,
                      "expected it in the data, found no such "
                      "column");
            break;
        }
        slot *o = &e->slots[i];
        rc = bind_slot(e, o, f, (int32_t)col);
        o->to = to;
        to += o->width;
        e->in_order &= !o->category;
        e->clamps |= !o->category && can_leave_bounds(t, o);
    }
    cv_name_set_free(&columns);
    CV_CHECK(rc || to == s->n_cols);
    return rc;
}

static int bind_target(encoder *e)
{
    const cv_feature *f = &e->schema->target;
    const cv_table *t = e->table;
    if (!e->need_target)
        return 0;
    int32_t col = -1;
    if (!t->y || strcmp(t->target.name, f->name) != 0) {
        col = cv_table_find(t, f->name);
        if (col < 0)
            return fail(e, f->name,
                        "expected the target in the data, found no "
                        "such column");
    }
    return bind_slot(e, &e->target, f, col);
}

static float value(const cv_table *t, int64_t row, int32_t col)
{
    return col < 0 ? t->y[row] : (float)cv_table_value(t, row, col);
}

/* The agreed levels are known to all silos; the value is not. */
static int unknown_level(encoder *e, const slot *s, int64_t row, float v)
{
    int is_target = s == &e->target;
    const cv_feature *f =
        is_target ? &e->schema->target : &e->schema->features[s - e->slots];
    const cv_column *c =
        s->col < 0 ? &e->table->target : &e->table->cols[s->col];
    char list[320], what[420], where[40], number[32];
    const char *text = number;
    cv_names_list(list, sizeof list, (const char *const *)f->levels,
                  (size_t)f->n_levels, 20);
    snprintf(what, sizeof what, "%s: %s",
             is_target ? "a label is not one of the agreed classes"
                       : "a value is not one of the agreed levels",
             list);
    if (v >= 0.0f && v < (float)c->n_levels)
        text = c->levels[(int)v];
    else
        snprintf(number, sizeof number, "%.9g", (double)v);
    fail(e, s->name, what);
    cv_table_where(where, sizeof where, e->table, row);
    return cv_err_site(e->err, "%s: '%.60s'", where, text);
}

/* 0: *out is set; 1: missing; negative: error. */
static int encode_level(encoder *e, const slot *s, int64_t row, int32_t *level)
{
    float v = value(e->table, row, s->col);
    if (isnan(v))
        return 1;
    *level = cv_level_map_find(&s->map, (double)v);
    if (*level >= 0)
        return 0;
    return unknown_level(e, s, row, v);
}

/* A value is missing: drop the row (1), or an error. */
static int missing(encoder *e, const slot *s, int64_t row)
{
    if (e->schema->missing != CV_MISSING_FAIL)
        return 1;
    return fail_row(e, s->name,
                    e->need_target
                        ? "a value is missing; set data.missing to drop or "
                          "mean (now fail)"
                        : "a value is missing; the model was trained with "
                          "missing: fail, so fill it in or leave the row out",
                    row);
}

/* 0: y is set; 1: leave the row out; negative: error. */
static int encode_target(encoder *e, int64_t row, float *y)
{
    int32_t level;
    int rc;
    if (!e->need_target)
        return 0;
    if (e->target.category) {
        rc = encode_level(e, &e->target, row, &level);
        *y = rc == 0 ? (float)level : NAN;
    } else {
        float v = value(e->table, row, e->target.col);
        rc = isnan(v);
        *y = v < e->target.lo   ? e->target.lo
             : v > e->target.hi ? e->target.hi
                                : v;
    }
    return rc > 0 ? missing(e, &e->target, row) : rc;
}

static int encode_row(encoder *e, int64_t row, float *x)
{
    const cv_table *t = e->table;
    for (int i = 0; i < e->schema->n_features; i++) {
        const slot *s = &e->slots[i];
        int32_t level;
        int rc;
        if (s->category) {
            rc = encode_level(e, s, row, &level);
            for (int k = 0; k < s->width && !rc; k++)
                x[s->to + k] = level == k + 1 ? 1.0f : 0.0f;
        } else {
            float v = value(t, row, s->col);
            x[s->to] = v < s->lo ? s->lo : v > s->hi ? s->hi : v;
            rc = isnan(v) && e->schema->missing != CV_MISSING_MEAN;
        }
        if (rc)
            return rc > 0 ? missing(e, s, row) : rc;
    }
    return 0;
}

/* Features are the columns of x as they lie there: clamp, look for NaN. */
static int check_row(encoder *e, int64_t row, float *x)
{
    int32_t n = e->table->n_cols;
    unsigned any = 0;
    for (int32_t j = 0; j < n; j++)
        any |= x[j] != x[j] ? 1u : 0u;
    for (int32_t j = 0; e->clamps && j < n; j++) {
        const slot *s = &e->slots[j];
        x[j] = x[j] < s->lo ? s->lo : x[j] > s->hi ? s->hi : x[j];
    }
    if (!any || e->schema->missing == CV_MISSING_MEAN)
        return 0;
    int32_t j = 0;
    while (!isnan(x[j]))
        j++;
    return missing(e, &e->slots[j], row);
}

static void gather_u8(encoder *e, int64_t row, uint8_t *x)
{
    const cv_table *t = e->table;
    const uint8_t *from =
        (const uint8_t *)t->x + (size_t)row * (size_t)t->n_cols;
    for (int i = 0; i < e->schema->n_features; i++)
        x[i] = from[e->slots[i].col];
}

/* Where the encoded rows lie: in x itself if that can be. */
static void place(encoder *e)
{
    cv_table *t = e->table;
    cv_design *d = e->design;
    int numbers = 1;
    for (int i = 0; i < e->schema->n_features; i++)
        numbers &= !e->slots[i].category;
    int stays_u8 = t->type == CV_TYPE_U8 && numbers && !e->clamps;
    d->n_cols = e->schema->n_cols;
    d->type = stays_u8 ? CV_TYPE_U8 : CV_TYPE_F32;
    d->scale = stays_u8 ? t->scale : 1.0;
    e->in_order &= t->type == d->type;
    if (e->in_order)
        d->x = t->x; /* moved out of the table at the end */
    else
        d->x = cv_calloc((size_t)t->n_rows * (size_t)d->n_cols,
                         stays_u8 ? 1 : sizeof(float));
    d->kept = CV_NEW(t->n_rows, int64_t);
    if (e->need_target)
        d->y = CV_NEW(t->n_rows, float);
}

static void make_null(float *x, int n_cols)
{
    for (int j = 0; j < n_cols; j++)
        x[j] = NAN;
}

static int encode_rows(encoder *e)
{
    const cv_table *t = e->table;
    cv_design *d = e->design;
    int u8 = d->type == CV_TYPE_U8;
    size_t size = (size_t)d->n_cols * (u8 ? 1 : sizeof(float));
    uint8_t *x = d->x;
    int64_t n = 0;
    for (int64_t i = 0; i < t->n_rows; i++) {
        float y = 0.0f;
        void *to = x + (size_t)n * size;
        int rc = encode_target(e, i, &y);
        if (!rc && e->in_order) {
            uint8_t *from = x + (size_t)i * size;
            rc = u8 ? 0 : check_row(e, i, (float *)(void *)from);
            if (!rc && from != to)
                memcpy(to, from, size);
        } else if (!rc && u8) {
            gather_u8(e, i, to);
        } else if (!rc) {
            rc = encode_row(e, i, to);
        }
        if (rc < 0)
            return rc;
        if (rc > 0 && (u8 || !e->keep_null))
            continue;
        if (rc > 0) {
            make_null(to, d->n_cols);
            y = 0.0f;
        }
        if (d->y)
            d->y[n] = y;
        d->kept[n++] = i;
    }
    d->n_rows = n;
    d->n_dropped = t->n_rows - n;
    return 0;
}

int cv_design_encode(cv_table **table, const cv_schema *schema, int flags,
                     cv_design **design, cv_err *err)
{
    encoder e = {.table = *table,
                 .schema = schema,
                 .err = err,
                 .need_target = flags & CV_DESIGN_TARGET && schema->target.name,
                 .keep_null = flags & CV_DESIGN_NULL};
    int rc = bind_features(&e);
    if (!rc)
        rc = bind_target(&e);
    if (!rc) {
        e.design = CV_NEW(1, cv_design);
        place(&e);
        rc = encode_rows(&e);
        if (e.in_order)
            e.table->x = NULL;
    }
    if (rc)
        cv_design_destroy(&e.design);
    *design = e.design;
    for (int i = 0; e.slots && i < schema->n_features; i++)
        cv_level_map_free(&e.slots[i].map);
    cv_level_map_free(&e.target.map);
    free(e.slots);
    cv_table_destroy(table);
    return rc;
}

void cv_design_destroy(cv_design **design)
{
    cv_design *d = *design;
    if (!d)
        return;
    free(d->x);
    free(d->y);
    free(d->kept);
    CV_FREE(*design);
}

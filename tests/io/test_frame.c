#include "core/bytes.h"
#include "io/frame.h"
#include "tests/io/data_fixture.h"
#include "tests/io/frame_reference.h"

enum { MOST = 16 };

/* A formula by hand: variables as they are written, terms as the digits of
 * their variables. */
typedef struct {
    cv_formula f;
    cv_formula_var vars[MOST], offsets[2];
    cv_formula_term terms[MOST];
    char columns[MOST][16];
} formula;

static cv_formula_var variable(const char *label, char *column)
{
    static const struct {
        const char *head;
        cv_formula_fn fn;
        int category;
    } heads[] = {{"log(", CV_FN_LOG, 0},     {"log10(", CV_FN_LOG10, 0},
                 {"log1p(", CV_FN_LOG1P, 0}, {"sqrt(", CV_FN_SQRT, 0},
                 {"exp(", CV_FN_EXP, 0},     {"I(", CV_FN_POWER, 0},
                 {"C(", CV_FN_NONE, 1},      {"factor(", CV_FN_NONE, 1}};
    cv_formula_var v = {.column = column, .label = (char *)label};
    strcpy(column, label);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t n = strlen(heads[i].head);
        if (strncmp(label, heads[i].head, n) != 0)
            continue;
        strcpy(column, label + n);
        v.fn = heads[i].fn;
        v.category = heads[i].category;
        const char *power = strchr(label, '^');
        v.power = power ? atoi(power + 1) : 0;
        column[strcspn(column, "^)")] = '\0';
    }
    return v;
}

static void formula_init(formula *o, int intercept, const char *const *vars,
                         const char *const *terms)
{
    *o = (formula){.f.intercept = intercept};
    o->f.vars = o->vars;
    o->f.terms = o->terms;
    o->f.offsets = o->offsets;
    for (; vars[o->f.n_vars]; o->f.n_vars++)
        o->vars[o->f.n_vars] =
            variable(vars[o->f.n_vars], o->columns[o->f.n_vars]);
    for (; terms[o->f.n_terms]; o->f.n_terms++)
        for (const char *c = terms[o->f.n_terms]; *c; c++) {
            cv_formula_term *t = &o->terms[o->f.n_terms];
            t->var[t->order++] = *c - '0';
        }
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void respond(formula *o, const char *label)
{
    o->f.has_response = 1;
    o->f.response = variable(label, o->columns[MOST - 1]);
}

typedef struct {
    cv_job job;
    cv_feature features[8];
} test_job;

static void job_init(test_job *j, const char *target)
{
    *j = (test_job){0};
    j->job.data.target = (char *)target;
    j->job.data.features = j->features;
    j->job.data.missing = CV_MISSING_DROP;
}

static cv_feature *declare(test_job *j, const char *name, cv_feature_type type)
{
    cv_feature *f = &j->features[j->job.data.n_features++];
    f->name = (char *)name;
    f->type = type;
    return f;
}

static void bound(cv_feature *f, double lo, double hi)
{
    f->has_bounds = 1;
    f->lo = lo;
    f->hi = hi;
}

static cv_table *csv(const char *text, const test_job *j)
{
    cv_row_filter wide = {.f64 = 1};
    cv_source src = {.path = "t.csv",
                     .role = "data",
                     .filter = &wide,
                     .target = j->job.data.target,
                     .features = j->job.data.features,
                     .n_features = j->job.data.n_features,
                     .advice = CV_ADVISE_MODEL};
    cv_table *t = NULL;
    cv_err err = {0};
    if (cv_csv_parse(&src, text, strlen(text), &t, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_non_null(t);
    return t;
}

static cv_schema *schema_of(const cv_table *t, const test_job *j, int classes)
{
    cv_schema *s;
    cv_err err = {0};
    if (cv_schema_of_table(t, &j->job, classes, &s, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_non_null(s);
    return s;
}

static cv_frame_plan *must_plan(const formula *f, const cv_schema *s, int hide)
{
    cv_frame_plan *p;
    cv_err err = {0};
    if (cv_frame_plan_make(&f->f, s, hide, &p, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_non_null(p);
    return p;
}

/* Consumes the table. */
static cv_frame *must_build(cv_table *t, const formula *f, const cv_schema *s,
                            const cv_frame_plan *p, const char *weights,
                            int with_response)
{
    cv_frame_roles roles = {.weights = weights};
    cv_frame *d;
    cv_err err = {0};
    if (cv_frame_build(&t, &f->f, s, p, &roles, with_response, &d, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_null(t);
    assert_non_null(d);
    assert_int_equal((uintptr_t)d->x % 64, 0);
    assert_int_equal(d->p, p->p);
    return d;
}

static void assert_names(const cv_frame_plan *p, const char *const *names)
{
    for (int k = 0; k < p->p; k++) {
        assert_non_null(names[k]);
        assert_string_equal(p->name[k], names[k]);
    }
    assert_null(names[p->p]);
}

static void declare_reference(test_job *j)
{
    job_init(j, NULL);
    declare(j, "hand", CV_FEATURE_CATEGORY);
    declare(j, "x", CV_FEATURE_NUMBER);
    declare(j, "ward", CV_FEATURE_CATEGORY);
    declare(j, "z", CV_FEATURE_NUMBER);
    declare(j, "sex", CV_FEATURE_CATEGORY);
}

static void test_against_r(void **state)
{
    (void)state;
    test_job j;
    declare_reference(&j);
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        formula f;
        formula_init(&f, references[i].intercept, references[i].vars,
                     references[i].terms);
        cv_table *t = csv(reference_csv, &j);
        cv_schema *s = schema_of(t, &j, 0);
        assert_null(s->target.name);
        cv_frame_plan *p = must_plan(&f, s, 0);
        if (p->p != references[i].p)
            print_message("%s: %d columns\n", references[i].formula, p->p);
        assert_int_equal(p->p, references[i].p);
        for (int k = 0; k < p->p; k++)
            assert_string_equal(p->name[k], references[i].names[k]);
        cv_frame *d = must_build(t, &f, s, p, NULL, 1);
        assert_int_equal(d->n, 9);
        assert_int_equal(d->n_missing, 0);
        assert_true(!d->y && !d->time && !d->event && !d->weights &&
                    !d->offset);
        for (int k = 0; k < 9 * p->p; k++) {
            double expect = references[i].x[k];
            if (!(fabs(d->x[k] - expect) <= 2e-15 * fabs(expect)))
                print_message("%s: row %d, %s: %.17g, R has %.17g\n",
                              references[i].formula, k / p->p,
                              p->name[k % p->p], d->x[k], expect);
            assert_true(fabs(d->x[k] - expect) <= 2e-15 * fabs(expect));
        }
        cv_frame_destroy(&d);
        cv_frame_plan_destroy(&p);
        cv_schema_destroy(&s);
    }
}

static void test_hidden_intercept(void **state)
{
    (void)state;
    test_job j;
    declare_reference(&j);
    cv_table *t = csv(reference_csv, &j);
    cv_schema *s = schema_of(t, &j, 0);
    static const char *const expect[2][4] = {{"x", "sex=f", "sex=m"},
                                             {"x", "sex=m"}};
    for (int intercept = 0; intercept < 2; intercept++) {
        formula f;
        formula_init(&f, intercept, LIST("x", "sex"), LIST("0", "1"));
        cv_frame_plan *p = must_plan(&f, s, 1);
        assert_names(p, expect[intercept]);
        assert_int_equal(p->term[0], 0);
        assert_int_equal(p->term[1], 1);
        cv_frame_plan_destroy(&p);
    }
    formula f; /* nothing is left */
    formula_init(&f, 1, (const char *[]){NULL}, (const char *[]){NULL});
    cv_frame_plan *p = must_plan(&f, s, 1);
    assert_int_equal(p->p, 0);
    cv_frame *d = must_build(t, &f, s, p, NULL, 1);
    assert_int_equal(d->n, 9);
    cv_frame_destroy(&d);
    cv_frame_plan_destroy(&p);
    cv_schema_destroy(&s);
}

static void test_plan_errors(void **state)
{
    (void)state;
    static const struct {
        const char *vars[4], *terms[2];
        const char *text, *site;
    } cases[] = {
        {{"xx"}, {"0"}, "'xx': the formula names it", "x, sex"},
        {{"y"}, {"0"}, "'y': it is the response", NULL},
        {{"x", "log(sex)"}, {"0", "1"}, "'sex': log(sex) is a function", NULL},
        {{"C(x)"}, {"0"}, "'x': the formula makes it a category", NULL},
        {{"one"}, {"0"}, "'one': a category with one level", NULL},
        {{"x", "one"}, {"0", "01"}, "'one': a category with one", NULL},
        {{"none"}, {"0"}, "'none': a category without levels", NULL},
        {{"many", "more"}, {"01"}, "more than 65536 columns; 'more'", NULL}};
    test_job j;
    job_init(&j, "y");
    declare(&j, "x", CV_FEATURE_NUMBER);
    for (int k = 0; k < 5; k++)
        declare(&j, LIST("sex", "one", "none", "many", "more")[k],
                CV_FEATURE_CATEGORY);
    cv_buf text = {0};
    cv_buf_printf(&text, "x,sex,one,none,many,more,y\n");
    for (int k = 0; k < 300; k++)
        cv_buf_printf(&text, "1,%d,a,,%d,%d,1\n", k % 2, k, k);
    cv_table *t = csv(text.data, &j);
    cv_schema *s = schema_of(t, &j, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        formula f;
        cv_frame_plan *p = NULL;
        cv_err err = {0};
        formula_init(&f, 1, cases[i].vars,
                     LIST(cases[i].terms[0], cases[i].terms[1]));
        int rc = cv_frame_plan_make(&f.f, s, 0, &p, &err);
        assert_input_error(rc, &err, cases[i].text, cases[i].site);
        assert_null(p);
    }
    cv_schema_destroy(&s);
    cv_table_destroy(&t);
    cv_buf_free(&text);
}

/* In a narrow and in a wide table: in a memory of its own, and in place. */
static void test_missing_rows(void **state)
{
    (void)state;
    static const char *const text[] = {
        "a,b,g,o,w,y,spare,more,rest\n"
        "1,2,u,1,1,5,,9,9\n"   /* missing elsewhere: stays */
        ",2,u,1,1,5,9,9,9\n"   /* a term */
        "3,2,,1,1,5,9,9,9\n"   /* a category */
        "4,2,u,NA,1,5,9,9,9\n" /* the offset */
        "5,2,u,1,NaN,5,9,9,9\n"
        "6,2,u,1,1,,9,9,9\n"
        "7,-0,v,2,3,4,9,9,9\n",
        "a,b,g,o,w,y\n1,2,u,1,1,5\n,2,u,1,1,5\n3,2,,1,1,5\n4,2,u,NA,1,5\n"
        "5,2,u,1,NaN,5\n6,2,u,1,1,\n7,-0,v,2,3,4\n"};
    static const double expect[2][4] = {{1, 1, 2, 0}, {1, 7, 0, 1}};
    for (int kind = 0; kind < 2; kind++) {
        test_job j;
        job_init(&j, "y");
        if (kind == 0) /* an undeclared column is a feature only with others */
            for (int k = 0; k < 2; k++)
                declare(&j, k ? "b" : "a", CV_FEATURE_NUMBER);
        declare(&j, "g", CV_FEATURE_CATEGORY);
        if (kind == 1)
            for (int k = 0; k < 2; k++)
                declare(&j, k ? "b" : "a", CV_FEATURE_NUMBER);
        cv_table *t = csv(text[kind], &j);
        cv_schema *s = schema_of(t, &j, 0);
        formula f;
        formula_init(&f, 1, LIST("a", "b", "g"), LIST("0", "1", "2"));
        respond(&f, "y");
        f.f.n_offsets = 1;
        f.offsets[0] = variable("o", f.columns[MOST - 2]);
        cv_frame_plan *p = must_plan(&f, s, 0);
        void *x = t->x;
        uint64_t content[] = {t->content[0], t->content[6]};
        cv_frame *d = must_build(t, &f, s, p, "w", 1);
        assert_int_equal(d->x == x, kind == 1);
        assert_int_equal(d->n, 2);
        assert_int_equal(d->n_missing, 5);
        assert_int_equal(d->row[0], 0);
        assert_int_equal(d->row[1], 6);
        assert_memory_equal(d->content, content, sizeof content);
        for (int k = 0; k < 8; k++)
            assert_true(d->x[k] == expect[k / 4][k % 4]);
        assert_true(d->y[0] == 5 && d->y[1] == 4);
        assert_true(d->offset[0] == 1 && d->offset[1] == 2);
        assert_true(d->weights[0] == 1 && d->weights[1] == 3);
        cv_frame_destroy(&d);
        /* predict does not miss y and w */
        t = csv(text[kind], &j);
        d = must_build(t, &f, s, p, "w", 0);
        assert_int_equal(d->n, 4);
        assert_true(!d->y && !d->weights && d->offset);
        cv_frame_destroy(&d);
        t = csv(text[kind], &j);
        s->missing = CV_MISSING_FAIL;
        cv_err err = {0};
        int rc = cv_frame_build(&t, &f.f, s, p, NULL, 1, &d, &err);
        assert_input_error(rc, &err, "column 'a': a value is missing",
                           "line 3");
        assert_true(!t && !d);
        t = csv("a,b,g,o,w,y\n1,2,u,1,1,5\n", &j);
        s->missing = CV_MISSING_MEAN;
        rc = cv_frame_build(&t, &f.f, s, p, NULL, 1, &d, &err);
        assert_input_error(rc, &err, "mean is not for", NULL);
        assert_true(!t && !d);
        cv_frame_plan_destroy(&p);
        cv_schema_destroy(&s);
    }
}

/* Bounds hold for what the columns are used for, before any function. */
static void test_bounds(void **state)
{
    (void)state;
    test_job j;
    job_init(&j, "y");
    bound(declare(&j, "a", CV_FEATURE_NUMBER), 1, 8);
    declare(&j, "b", CV_FEATURE_NUMBER);
    bound(declare(&j, "o", CV_FEATURE_NUMBER), -1, 1);
    bound(declare(&j, "w", CV_FEATURE_NUMBER), 0, 2);
    bound(declare(&j, "y", CV_FEATURE_NUMBER), -10, 10);
    cv_table *t =
        csv("a,b,o,w,y\n0,1e9,5,7,11\n9,-1e9,-5,1,-11\n2,0,0,0,3\n", &j);
    cv_schema *s = schema_of(t, &j, 0);
    assert_int_equal(s->n_features, 4);
    formula f;
    formula_init(&f, 1, LIST("a", "b", "I(a^2)"), LIST("0", "1", "2", "01"));
    respond(&f, "y");
    f.f.n_offsets = 2;
    f.offsets[0] = variable("o", f.columns[MOST - 2]);
    f.offsets[1] = variable("I(a^3)", f.columns[MOST - 3]);
    cv_frame_plan *p = must_plan(&f, s, 0);
    cv_frame *d = must_build(t, &f, s, p, "w", 1);
    static const double expect[3][5] = {
        {1, 1, 1e9, 1, 1e9}, {1, 8, -1e9, 64, -8e9}, {1, 2, 0, 4, 0}};
    for (int k = 0; k < 15; k++)
        assert_true(d->x[k] == expect[k / 5][k % 5]);
    assert_true(d->offset[0] == 2 && d->offset[1] == 511 && d->offset[2] == 8);
    assert_true(d->weights[0] == 2 && d->weights[1] == 1 && d->weights[2] == 0);
    assert_true(d->y[0] == 10 && d->y[1] == -10 && d->y[2] == 3);
    cv_frame_destroy(&d);
    cv_frame_plan_destroy(&p);
    cv_schema_destroy(&s);
}

static void test_survival(void **state)
{
    (void)state;
    test_job j;
    job_init(&j, "time");
    cv_table *t = csv("time,status,x\n0,0,1\n2.5,1,2\n7,1,3\n", &j);
    cv_schema *s = schema_of(t, &j, 0);
    formula f;
    formula_init(&f, 1, LIST("x"), LIST("0"));
    respond(&f, "time");
    f.f.event = "status";
    for (int is = 0; is < 2; is++) {
        f.f.event_is = is;
        f.f.event_value = 2;
        if (is) { /* any numbers will do then */
            cv_schema_destroy(&s);
            t = csv("time,status,x\n0,1,1\n2.5,2,2\n7,2,3\n", &j);
            s = schema_of(t, &j, 0);
        }
        cv_frame_plan *p = must_plan(&f, s, 1);
        assert_names(p, LIST("x"));
        cv_frame *d = must_build(t, &f, s, p, NULL, 1);
        assert_null(d->y);
        assert_true(d->time[0] == 0 && d->time[1] == 2.5 && d->time[2] == 7);
        assert_true(d->event[0] == 0 && d->event[1] == 1 && d->event[2] == 1);
        assert_true(d->x[0] == 1 && d->x[1] == 2 && d->x[2] == 3);
        cv_frame_destroy(&d);
        cv_frame_plan_destroy(&p);
    }
    cv_schema_destroy(&s);
}

/* A class's number is that of the schema, whatever the silo's file has. */
static void test_classes(void **state)
{
    (void)state;
    static const char *const texts[] = {"x,y\n1,no\n2,yes\n3,no\n",
                                        "x,y\n1,no\n2,yes\n3,no\n4,\n"};
    char *levels[] = {"yes", "no"}, *numbers[] = {"7", "1"};
    for (int kind = 0; kind < 3; kind++) {
        test_job j;
        job_init(&j, "y");
        j.job.data.target_levels = kind < 2 ? levels : numbers;
        j.job.data.n_target_levels = 2;
        cv_table *t = csv(kind < 2 ? texts[kind] : "x,y\n1,1\n2,7\n3,1\n", &j);
        cv_schema *s = schema_of(t, &j, 2);
        assert_int_equal(s->target.type, CV_FEATURE_CATEGORY);
        formula f;
        formula_init(&f, 1, LIST("x"), LIST("0"));
        respond(&f, "y");
        cv_frame_plan *p = must_plan(&f, s, 0);
        cv_frame *d = must_build(t, &f, s, p, NULL, 1);
        assert_int_equal(d->n, 3);
        assert_true(d->y[0] == 1 && d->y[1] == 0 && d->y[2] == 1);
        cv_frame_destroy(&d);
        cv_frame_plan_destroy(&p);
        cv_schema_destroy(&s);
    }
}

/* Levels of the table are matched to the schema's by name, numbers by value;
 * two identifiers that are one float stay two. */
static void test_levels_of_silos(void **state)
{
    (void)state;
    test_job j;
    job_init(&j, NULL);
    declare(&j, "g", CV_FEATURE_CATEGORY);
    declare(&j, "x", CV_FEATURE_NUMBER);
    cv_table *t = csv("g,x\nb,1\nc,2\n", &j), *u = csv("g,x\nc,1\na,2\n", &j);
    cv_schema *s = schema_of(t, &j, 0), *other = schema_of(u, &j, 0);
    cv_err err = {0};
    assert_int_equal(cv_schema_merge(s, other, &err), 0);
    formula f;
    formula_init(&f, 1, LIST("g"), LIST("0"));
    cv_frame_plan *p = must_plan(&f, s, 0);
    assert_names(p, LIST("(Intercept)", "g=b", "g=c"));
    cv_frame *d = must_build(u, &f, s, p, NULL, 1);
    static const double expect[] = {1, 0, 1, 1, 0, 0};
    for (int k = 0; k < 6; k++)
        assert_true(d->x[k] == expect[k]);
    cv_frame_destroy(&d);
    cv_frame_plan_destroy(&p);
    cv_schema_destroy(&s);
    cv_schema_destroy(&other);
    cv_table_destroy(&t);

    test_job plain; /* the table has numbers, the job says category */
    job_init(&plain, NULL);
    t = csv("g,x\n20000001,1\n20000002,2\n20000001,1\n", &plain);
    s = schema_of(t, &j, 0);
    p = must_plan(&f, s, 0);
    assert_names(p, LIST("(Intercept)", "g=20000002"));
    d = must_build(t, &f, s, p, NULL, 1);
    assert_true(d->x[1] == 0 && d->x[3] == 1 && d->x[5] == 0);
    cv_frame_destroy(&d);
    cv_frame_plan_destroy(&p);
    cv_schema_destroy(&s);
}

static void test_value_errors(void **state)
{
    (void)state;
    static const struct {
        const char *var, *text, *message, *site;
        const char *response, *weights, *offset;
        int survival;
    } cases[] = {
        {"log(x)", "x\n1\n0\n", "'x': log(x) is not defined", "line 3: 0",
         .survival = 0},
        {"log10(x)", "x\n1\n-2\n", "log10(x) is not", "line 3: -2",
         .survival = 0},
        {"log1p(x)", "x\n-1\n", "log1p(x) is not defined", "line 2: -1",
         .survival = 0},
        {"sqrt(x)", "x\n-1\n", "sqrt(x) is not defined", NULL, .survival = 0},
        {"exp(x)", "x\n710\n", "exp(x) is too large", "line 2: 710",
         .survival = 0},
        {"I(x^9)", "x\n1e40\n", "I(x^9) is too large", NULL, .survival = 0},
        {"g", "g,x\nq,1\n",
         "'g': a value is not one of the agreed levels: u, v", "line 2: 'q'",
         .survival = 0},
        {"x", "z\n1\n", "'x': expected it in the data", NULL, .survival = 0},
        {"x", "x\n1\n", "'y': expected it in the data", NULL, .response = "y"},
        {"x", "x,y\n1,a\n", "'y': expected a number as agreed", NULL,
         .response = "y"},
        {"x", "x,y\n1,-2\n", "'y': log(y) is not", NULL, .response = "log(y)"},
        {"x", "x,y\n1,2\n", "'y': the formula makes the resp", NULL,
         .response = "C(y)"},
        {"x", "x\n1\n", "'w': expected it in the data", NULL, .weights = "w"},
        {"x", "x,w\n1,-0.5\n", "'w': expected weights", "line 2: -0.5",
         .weights = "w"},
        {"x", "x\n1\n", "'o': expected it in the data", NULL, .offset = "o"},
        {"x", "x,o\n1,0\n", "'o': log(o) is not", NULL, .offset = "log(o)"},
        {"x", "x,g\n1,u\n", "'g': the offset must be a number", NULL,
         .offset = "g"},
        {"x", "x,y,e\n1,-1,0\n", "'y': expected times", "line 2: -1",
         .response = "y", .survival = 1},
        {"x", "x,y,e\n1,1,2\n", "'e': expected events 0 and 1", "line 2: 2",
         .response = "y", .survival = 1},
        {"x", "x,y\n1,1\n", "'e': expected it in the data", NULL,
         .response = "y", .survival = 1}};
    test_job j, in;
    char *levels[] = {"u", "v"};
    job_init(&j, NULL);
    cv_feature *g = declare(&j, "g", CV_FEATURE_CATEGORY);
    g->levels = levels;
    g->n_levels = 2;
    declare(&j, "x", CV_FEATURE_NUMBER);
    cv_table *t = csv("x,g\n1,u\n", &j);
    cv_schema *s = schema_of(t, &j, 0);
    cv_table_destroy(&t);
    job_init(&in, "y");
    declare(&in, "g", CV_FEATURE_CATEGORY);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        formula f;
        formula_init(&f, 1, LIST(cases[i].var), LIST("0"));
        if (cases[i].response)
            respond(&f, cases[i].response);
        if (cases[i].survival)
            f.f.event = "e";
        f.f.n_offsets = cases[i].offset != NULL;
        if (cases[i].offset)
            f.offsets[0] = variable(cases[i].offset, f.columns[MOST - 2]);
        cv_frame_plan *p = must_plan(&f, s, 0);
        t = csv(cases[i].text, &in);
        cv_frame_roles roles = {.weights = cases[i].weights};
        cv_frame *d = NULL;
        cv_err err = {0};
        int rc = cv_frame_build(&t, &f.f, s, p, &roles, 1, &d, &err);
        assert_input_error(rc, &err, cases[i].message, cases[i].site);
        assert_true(!t && !d);
        if (cases[i].response) { /* predict does not look at those */
            t = csv(cases[i].text, &in);
            d = must_build(t, &f, s, p, NULL, 0);
            assert_true(d->n == 1 && !d->y && !d->time && !d->event);
            cv_frame_destroy(&d);
        }
        cv_frame_plan_destroy(&p);
    }
    formula f;
    formula_init(&f, 1, LIST("x", "I(x^3)"), LIST("01"));
    cv_frame_plan *p = must_plan(&f, s, 0);
    t = csv("x\n-1e100\n", &in);
    cv_frame *d;
    cv_err err = {0};
    assert_input_error(cv_frame_build(&t, &f.f, s, p, NULL, 1, &d, &err), &err,
                       "'x:I(x^3)': a product is too large", "line 2");
    cv_frame_plan_destroy(&p);
    cv_schema_destroy(&s);
}

/* A category that the silo's file has as a number, and the other way round. */
static void test_types_of_silos(void **state)
{
    (void)state;
    test_job j;
    job_init(&j, NULL);
    cv_table *t = csv("x,z\n1,1\n", &j), *u;
    cv_schema *s = schema_of(t, &j, 0);
    cv_table_destroy(&t);
    formula f;
    formula_init(&f, 1, LIST("x"), LIST("0"));
    cv_frame_plan *p = must_plan(&f, s, 0);
    declare(&j, "x", CV_FEATURE_CATEGORY);
    u = csv("x,z\na,1\n", &j);
    cv_frame *d;
    cv_err err = {0};
    assert_input_error(cv_frame_build(&u, &f.f, s, p, NULL, 1, &d, &err), &err,
                       "'x': expected a number as agreed, found a category",
                       NULL);
    cv_frame_plan_destroy(&p);
    cv_schema_destroy(&s);
}

/* Rows as wide as the table are rebuilt in place: every value must have been
 * read before it is written over. Columns in an order that would show it. */
static void test_in_place(void **state)
{
    (void)state;
    enum { ROWS = 50, COLS = 9 };
    uint64_t seed = 5;
    test_job j;
    job_init(&j, NULL);
    cv_buf text = {0};
    double value[ROWS][COLS];
    cv_buf_printf(&text, "a,b,c,d,e,f,g,h,i\n");
    for (int k = 0; k < ROWS * COLS; k++) {
        value[k / COLS][k % COLS] = (double)(next_random(&seed) >> 11) / 3.0;
        cv_buf_printf(&text, "%.17g%c", value[k / COLS][k % COLS],
                      k % COLS == COLS - 1 ? '\n' : ',');
    }
    static const char *const vars[] = {"i", "h", "b", "c", "d", "a", "e", NULL};
    static const int from[] = {8, 7, 1, 2, 3, 0, 4};
    for (int n_terms = 3; n_terms <= 8; n_terms++) {
        cv_table *t = csv(text.data, &j);
        cv_schema *s = schema_of(t, &j, 0);
        formula f;
        formula_init(&f, 1, vars,
                     LIST("0", "1", "2", "3", "4", "5", "6", "06"));
        f.f.n_terms = n_terms;
        cv_frame_plan *p = must_plan(&f, s, 0);
        void *x = t->x;
        cv_frame *d = must_build(t, &f, s, p, NULL, 1);
        assert_int_equal(d->x == x, n_terms + 1 > COLS / 2);
        for (int i = 0; i < ROWS; i++) {
            const double *row = d->x + i * d->p;
            assert_true(row[0] == 1.0);
            for (int k = 0; k < n_terms && k < 7; k++)
                assert_true(row[k + 1] == value[i][from[k]]);
            if (n_terms == 8)
                assert_true(row[8] == value[i][8] * value[i][4]);
        }
        cv_frame_destroy(&d);
        cv_frame_plan_destroy(&p);
        cv_schema_destroy(&s);
    }
    cv_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_r),
                                       cmocka_unit_test(test_hidden_intercept),
                                       cmocka_unit_test(test_plan_errors),
                                       cmocka_unit_test(test_missing_rows),
                                       cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_survival),
                                       cmocka_unit_test(test_classes),
                                       cmocka_unit_test(test_levels_of_silos),
                                       cmocka_unit_test(test_value_errors),
                                       cmocka_unit_test(test_types_of_silos),
                                       cmocka_unit_test(test_in_place)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "solver/model.h"
#include "tests/solver/reference.h"

enum { MAX_ROWS = 70 };

static const int wide[] = {9}, two[] = {5, 21}, three[] = {17, 33, 4};

/* Every kind, head, activation and 0 to 3 hidden layers. */
static const cv_model_spec specs[] = {
    {"linear", NULL, 7, 0, 0, NULL},      {"linear", "relu", 1, 0, 0, NULL},
    {"logistic", "relu", 12, 2, 0, NULL}, {"softmax", "relu", 7, 2, 0, NULL},
    {"softmax", "relu", 30, 11, 0, NULL}, {"poisson", "relu", 4, 0, 0, NULL},
    {"mlp", NULL, 6, 3, 0, NULL},         {"mlp", NULL, 6, 0, 0, NULL},
    {"mlp", "relu", 6, 3, 1, wide},       {"mlp", "tanh", 6, 3, 1, wide},
    {"mlp", "sigmoid", 6, 3, 1, wide},    {"mlp", "relu", 6, 0, 1, wide},
    {"mlp", "tanh", 6, 0, 1, wide},       {"mlp", "sigmoid", 6, 0, 1, wide},
    {"mlp", "relu", 13, 2, 2, two},       {"mlp", "tanh", 13, 2, 2, two},
    {"mlp", "sigmoid", 13, 2, 2, two},    {"mlp", "relu", 13, 0, 2, two},
    {"mlp", "relu", 19, 5, 3, three},     {"mlp", "tanh", 19, 5, 3, three},
    {"mlp", "sigmoid", 19, 5, 3, three},  {"mlp", "tanh", 19, 0, 3, three},
};
enum { N_SPECS = sizeof specs / sizeof *specs };

static const int row_counts[] = {1, 5, 16, 33, 66};
enum { N_COUNTS = sizeof row_counts / sizeof *row_counts };

typedef struct {
    ref_model ref;
    cv_model *model;
    cv_model_work *work;
    size_t n;
    float *w, *x, *y;
} fixture;

static fixture make(const cv_model_spec *spec)
{
    fixture f = {.ref = ref_make(spec)};
    cv_err err;
    assert_int_equal(cv_model_create(spec, &f.model, &err), 0);
    f.n = cv_model_params(f.model)->n;
    assert_int_equal(f.n, ref_n(&f.ref));
    assert_int_equal(cv_model_n_in(f.model), spec->n_in);
    assert_int_equal(cv_model_n_out(f.model), f.ref.width[f.ref.n_layers]);
    f.work = cv_model_work_create(f.model, MAX_ROWS);
    f.w = CV_NEW(f.n, float);
    f.x = CV_NEW(MAX_ROWS * spec->n_in, float);
    f.y = CV_NEW(MAX_ROWS, float);
    ref_params(&f.ref, f.w, 1);
    ref_data(&f.ref, f.x, f.y, MAX_ROWS, 2);
    return f;
}

static void drop(fixture *f)
{
    cv_model_work_destroy(&f->work);
    cv_model_destroy(&f->model);
    free(f->w);
    free(f->x);
    free(f->y);
}

static double *widen(const float *w, size_t n)
{
    double *v = CV_NEW(n, double);
    for (size_t i = 0; i < n; i++)
        v[i] = (double)w[i];
    return v;
}

/* Central differences of the float64 loss, one parameter at a time. */
static void difference(const fixture *f, double *g, int rows)
{
    double *w = widen(f->w, f->n), h = 1e-6;
    for (size_t i = 0; i < f->n; i++) {
        double at = w[i];
        w[i] = at + h;
        double up = ref_loss(&f->ref, w, f->x, f->y, rows);
        w[i] = at - h;
        double down = ref_loss(&f->ref, w, f->x, f->y, rows);
        w[i] = at;
        g[i] = (up - down) / (2 * h);
    }
    free(w);
}

static void test_gradient(void **state)
{
    (void)state;
    for (int i = 0; i < N_SPECS * N_COUNTS; i++) {
        fixture f = make(&specs[i / N_COUNTS]);
        int rows = row_counts[i % N_COUNTS];
        double *want = CV_NEW(f.n, double), *w = widen(f.w, f.n), loss;
        double *chain = CV_NEW(f.n, double);
        float *got = CV_NEW(f.n, float);
        difference(&f, want, rows);
        for (int r = 0; r < rows; r++)
            ref_add_gradient(&f.ref, chain, w, f.x + r * f.ref.width[0],
                             f.y[r]);
        cv_model_gradient(f.model, f.work, f.w, f.x, f.y, rows, 1, 0, got,
                          &loss);
        for (size_t j = 0; j < f.n; j++) {
            double bound = 2e-5 * (fabs(want[j]) + rows);
            if (!(fabs((double)got[j] - want[j]) < bound))
                fail_msg("%s %s, %d hidden, %d rows: gradient %zu is %g, "
                         "expected %g",
                         specs[i / N_COUNTS].kind,
                         specs[i / N_COUNTS].activation,
                         specs[i / N_COUNTS].n_hidden, rows, j, (double)got[j],
                         want[j]);
            /* The tests of training lean on this one. */
            assert_true(fabs(chain[j] - want[j]) < 1e-6 * (1 + fabs(want[j])));
        }
        double right = ref_loss(&f.ref, w, f.x, f.y, rows);
        assert_true(fabs(loss - right) < 1e-5 * (fabs(right) + rows));
        free(want);
        free(chain);
        free(got);
        free(w);
        drop(&f);
    }
}

/* Writing over the weights gives the bytes that writing beside them gives. */
static void test_in_place(void **state)
{
    (void)state;
    for (int i = 0; i < N_SPECS * N_COUNTS; i++) {
        fixture f = make(&specs[i / N_COUNTS]);
        int rows = row_counts[i % N_COUNTS];
        float *beside = CV_NEW(f.n, float);
        double loss, again;
        memcpy(beside, f.w, f.n * sizeof *beside);
        cv_model_gradient(f.model, f.work, f.w, f.x, f.y, rows, -0.07f, 0.99f,
                          beside, &loss);
        cv_model_gradient(f.model, f.work, f.w, f.x, f.y, rows, -0.07f, 0.99f,
                          f.w, &again);
        assert_memory_equal(beside, f.w, f.n * sizeof *beside);
        assert_true(loss == again);
        free(beside);
        drop(&f);
    }
}

static void test_alpha_beta(void **state)
{
    (void)state;
    for (int i = 0; i < N_SPECS; i++) {
        fixture f = make(&specs[i]);
        float *g = CV_NEW(f.n, float), *out = CV_NEW(f.n, float);
        double loss;
        for (size_t j = 0; j < f.n; j++)
            g[j] = NAN; /* beta = 0 does not read */
        cv_model_gradient(f.model, f.work, f.w, f.x, f.y, 20, 1, 0, g, &loss);
        for (size_t j = 0; j < f.n; j++)
            out[j] = (float)j;
        cv_model_gradient(f.model, f.work, f.w, f.x, f.y, 20, -0.5f, 0.25f, out,
                          &loss);
        for (size_t j = 0; j < f.n; j++) {
            double want = 0.25 * (double)j - 0.5 * (double)g[j];
            assert_true(fabs((double)out[j] - want) <
                        2e-6 * (1 + fabs(want) + fabs((double)g[j])));
        }
        free(g);
        free(out);
        drop(&f);
    }
}

/* A row's prediction does not depend on its neighbours, nor on the addresses:
 * the same bytes for any batch size. */
static void test_predict(void **state)
{
    (void)state;
    for (int i = 0; i < N_SPECS; i++) {
        fixture f = make(&specs[i]);
        int n_out = cv_model_n_out(f.model), n_in = specs[i].n_in;
        float *all = CV_NEW(MAX_ROWS * n_out, float);
        float *one = CV_NEW(n_out, float);
        double *w = widen(f.w, f.n), p[REF_MAX_WIDTH];
        double h[CV_MODEL_MAX_LAYERS + 1][REF_MAX_WIDTH];
        cv_model_predict(f.model, f.work, f.w, f.x, MAX_ROWS, all);
        for (int r = 0; r < MAX_ROWS; r++) {
            cv_model_predict(f.model, f.work, f.w, f.x + r * n_in, 1, one);
            assert_memory_equal(one, all + r * n_out,
                                (size_t)n_out * sizeof *one);
            ref_forward(&f.ref, w, f.x + r * n_in, h);
            ref_head(&f.ref, h[f.ref.n_layers], f.y[r], p);
            for (int j = 0; j < n_out; j++)
                assert_true(fabs((double)one[j] - p[j]) <
                            1e-5 * (1 + fabs(p[j])));
        }
        free(all);
        free(one);
        free(w);
        drop(&f);
    }
}

static double metric(const fixture *f, const double *sums, const char *name)
{
    double values[CV_MAX_METRICS];
    const char *names[CV_MAX_METRICS];
    int n = cv_model_metrics(f->model, sums, values, names);
    assert_string_equal(names[0], "loss");
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return values[i];
    fail_msg("no metric %s", name);
    return 0;
}

static void close_to(double got, double want)
{
    if (!(fabs(got - want) < 1e-5 * (1 + fabs(want))))
        fail_msg("%g, expected %g", got, want);
}

/* Metrics from their definitions, on predictions in float64. */
static void check_metrics(const fixture *f, const double *sums)
{
    double h[CV_MODEL_MAX_LAYERS + 1][REF_MAX_WIDTH], p[REF_MAX_WIDTH];
    double *w = widen(f->w, f->n), n = MAX_ROWS, mean = 0;
    double loss = 0, right = 0, square = 0, absolute = 0, spread = 0, dev = 0;
    int n_out = cv_model_n_out(f->model);
    for (int r = 0; r < MAX_ROWS; r++)
        mean += (double)f->y[r] / n;
    for (int r = 0; r < MAX_ROWS; r++) {
        double y = (double)f->y[r];
        ref_forward(&f->ref, w, f->x + r * f->ref.width[0], h);
        loss += ref_head(&f->ref, h[f->ref.n_layers], f->y[r], p);
        int best = 0;
        for (int j = 1; j < n_out; j++)
            best = p[j] > p[best] ? j : best;
        right += n_out == 1 ? (p[0] > 0.5) == (y > 0.5) : best == (int)y;
        square += (p[0] - y) * (p[0] - y);
        absolute += fabs(p[0] - y);
        spread += (y - mean) * (y - mean);
        dev += 2 * ((y > 0 ? y * log(y / p[0]) : 0) - (y - p[0]));
    }
    close_to(metric(f, sums, "loss"), loss / n);
    if (f->ref.spec.n_classes) {
        close_to(metric(f, sums, "accuracy"), right / n);
    } else if (strcmp(f->ref.spec.kind, "poisson") == 0) {
        close_to(metric(f, sums, "deviance"), dev / n);
    } else {
        close_to(metric(f, sums, "rmse"), sqrt(square / n));
        close_to(metric(f, sums, "mae"), absolute / n);
        close_to(metric(f, sums, "r2"), 1 - square / spread);
    }
    free(w);
}

static void test_metrics(void **state)
{
    (void)state;
    for (int i = 0; i < N_SPECS; i++) {
        fixture f = make(&specs[i]);
        double sums[CV_MAX_METRICS] = {0}, values[CV_MAX_METRICS];
        const char *names[CV_MAX_METRICS];
        assert_true(cv_model_n_sums(f.model) <= CV_MAX_METRICS);
        int n = cv_model_metrics(f.model, sums, values, names);
        for (int j = 0; j < n; j++)
            assert_true(isnan(values[j]));
        /* In two pieces: sums add up. */
        cv_model_add_sums(f.model, f.work, f.w, f.x, f.y, 23, sums);
        cv_model_add_sums(f.model, f.work, f.w, f.x + 23 * specs[i].n_in,
                          f.y + 23, MAX_ROWS - 23, sums);
        check_metrics(&f, sums);
        drop(&f);
    }
}

static void test_init(void **state)
{
    (void)state;
    for (int i = 0; i < N_SPECS; i++) {
        fixture f = make(&specs[i]);
        float *again = CV_NEW(f.n, float);
        cv_model_init(f.model, f.w, 7);
        cv_model_init(f.model, again, 7);
        assert_memory_equal(f.w, again, f.n * sizeof *again);
        cv_model_init(f.model, again, 8);
        int mlp = strcmp(specs[i].kind, "mlp") == 0;
        assert_int_equal(memcmp(f.w, again, f.n * sizeof *again) != 0, mlp);
        const cv_params *p = cv_model_params(f.model);
        for (int v = 0; v < p->n_views; v++) {
            /* Bias follows weight and has its bound. */
            double bound = 1 / sqrt((double)p->views[v & ~1].dims[1]);
            double most = 0;
            int64_t size = p->views[v].dims[0] *
                           (p->views[v].rank == 2 ? p->views[v].dims[1] : 1);
            for (int64_t j = 0; j < size; j++)
                most = fmax(most, fabs((double)f.w[p->views[v].offset + j]));
            assert_true(mlp ? most <= bound * 1.0000001 : most == 0);
            assert_true(!mlp || size < 30 || most > 0.8 * bound);
        }
        assert_string_equal(p->views[0].name, "dense1/weight");
        assert_string_equal(p->views[1].name, "dense1/bias");
        free(again);
        drop(&f);
    }
}

static void test_nan_shows(void **state)
{
    (void)state;
    for (int i = 0; i < N_SPECS; i++) {
        fixture f = make(&specs[i]);
        double loss;
        f.w[0] = NAN;
        f.x[0] = 1;
        cv_model_gradient(f.model, f.work, f.w, f.x, f.y, 3, 1, 1, f.w, &loss);
        assert_true(!isfinite(loss));
        drop(&f);
    }
    /* Far too large scores: losses stay finite where they are. */
    fixture f = make(&specs[4]);
    double loss;
    for (size_t j = 0; j < f.n; j++)
        f.w[j] *= 1e6f;
    cv_model_gradient(f.model, f.work, f.w, f.x, f.y, MAX_ROWS, 1, 1, f.w,
                      &loss);
    assert_true(isfinite(loss) && loss > 1e6);
    drop(&f);
}

static void test_refused(void **state)
{
    (void)state;
    static const int huge[] = {2000000000, 2000000000}, none[] = {0};
    static const struct {
        cv_model_spec spec;
        const char *part;
    } cases[] = {
        {{"lgistic", "relu", 3, 2, 0, NULL}, "did you mean 'logistic'"},
        {{NULL, "relu", 3, 2, 0, NULL}, "linear, logistic, softmax, poisson"},
        {{"linear", "relu", 3, 2, 0, NULL}, "needs a number"},
        {{"poisson", "relu", 3, 4, 0, NULL}, "needs a number"},
        {{"softmax", "relu", 3, 0, 0, NULL}, "needs a target of classes"},
        {{"logistic", "relu", 3, 0, 0, NULL}, "needs a target of classes"},
        {{"logistic", "relu", 3, 3, 0, NULL}, "2 classes"},
        {{"softmax", "relu", 3, 1, 0, NULL}, "at least 2"},
        {{"mlp", "relu", 3, -1, 0, NULL}, "at least 2"},
        {{"mlp", "relu", 0, 2, 0, NULL}, "at least one feature"},
        {{"softmax", "relu", 3, 2, 1, wide}, "no hidden layers"},
        {{"mlp", "rleu", 3, 2, 1, wide}, "did you mean 'relu'"},
        {{"mlp", "relu", 3, 2, 1, none}, "at least 1"},
        {{"mlp", "relu", 3, 2, 17, NULL}, "0 to 16"},
        {{"mlp", "relu", 3, 2, -1, NULL}, "0 to 16"},
        {{"mlp", "relu", 3, 2, 2, huge}, "parameters"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_model *model = (cv_model *)1;
        cv_err err;
        assert_int_equal(cv_model_create(&cases[i].spec, &model, &err),
                         CV_ERR_INPUT);
        assert_null(model);
        if (!strstr(err.text, cases[i].part))
            fail_msg("'%s' has no '%s'", err.text, cases[i].part);
    }
    assert_int_equal(cv_model_needs_classes("linear"), 0);
    assert_int_equal(cv_model_needs_classes("softmax"), 1);
    assert_int_equal(cv_model_needs_classes("mlp"), 2);
    assert_int_equal(cv_model_needs_classes("cox"), -1);
    size_t n;
    assert_string_equal(cv_model_kinds(&n)[n - 1], "mlp");
    assert_string_equal(cv_model_activations(&n)[n - 1], "sigmoid");
}

/* A label out of range is a bug upstream and must not write out of bounds. */
static void test_label(void **state)
{
    (void)state;
    static const float bad[] = {-1, 3, 0.5f, NAN, INFINITY, 1e30f};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture f = make(&specs[9]);
        f.y[2] = bad[i];
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            struct rlimit no_core = {0, 0};
            setrlimit(RLIMIT_CORE, &no_core);
            signal(SIGABRT, SIG_DFL);
            fclose(stderr);
            double loss;
            cv_model_gradient(f.model, f.work, f.w, f.x, f.y, 3, 1, 1, f.w,
                              &loss);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        drop(&f);
    }
}

static void test_bytes_of_work(void **state)
{
    (void)state;
    fixture f = make(&specs[18]);
    size_t small = cv_model_work_bytes(f.model, 1);
    size_t large = cv_model_work_bytes(f.model, 1000);
    assert_true(large > small);
    /* At least the inputs and all outputs. */
    assert_true(large >= 1000 * 4 * (19 + 17 + 33 + 4 + 5));
    assert_non_null(cv_model_work_input(f.work));
    drop(&f);
    cv_model_work *none = NULL;
    cv_model_work_destroy(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),   cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_alpha_beta), cmocka_unit_test(test_predict),
        cmocka_unit_test(test_metrics),    cmocka_unit_test(test_init),
        cmocka_unit_test(test_nan_shows),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_label),      cmocka_unit_test(test_bytes_of_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

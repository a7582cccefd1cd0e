/* Clipped gradients on the integers: exact norms, values, and what one record
 * can change. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "privacy/field.h"
#include "solver/blas.h"
#include "solver/gemm.h"
#include "solver/model_parts.h"
#include "solver/private_gradient.h"
#include "solver/private_pass.h"
#include "tests/solver/fixture.h"

static const int one[] = {7}, three[] = {12, 5, 9}, wide[] = {40, 33};
static const cv_model_spec specs[] = {
    {"linear", "relu", 6, 0, 0, NULL},    {"logistic", "relu", 9, 2, 0, NULL},
    {"softmax", "relu", 8, 5, 0, NULL},   {"poisson", "relu", 4, 0, 0, NULL},
    {"mlp", "relu", 10, 4, 1, one},       {"mlp", "tanh", 11, 3, 3, three},
    {"mlp", "sigmoid", 5, 0, 3, three},   {"mlp", "relu", 50, 10, 2, wide},
    {"mlp", "tanh", 17, 0, 0, NULL},      {"mlp", "sigmoid", 33, 2, 1, one},
    {"softmax", "relu", 60, 64, 0, NULL},
};
enum { N_SPECS = sizeof specs / sizeof *specs };

static uint32_t *all_rows(int n)
{
    uint32_t *idx = CV_NEW(n, uint32_t);
    for (int i = 0; i < n; i++)
        idx[i] = (uint32_t)i;
    return idx;
}

/* ---- exact norms ---- */

/* Rows [0, n) of f into the pass, forward, backward and clipped. */
static void run_pass(const fixture *f, cv_private_pass *p, int n)
{
    memcpy(p->x, f->x, (size_t)n * (size_t)f->data.n_cols * sizeof *p->x);
    memcpy(p->y, f->y, (size_t)n * sizeof *p->y);
    cv_private_pass_run(p, f->start, n);
    cv_private_pass_clip(p, n);
}

/* Norm of what d and the inputs of record j stand for: products of floats are
 * exact in long double, their sums good to 2^-50. NaN if not finite. */
static double exact_norm(const cv_private_pass *p, int rows, int j)
{
    const cv_model *m = p->model;
    int64_t ld = cv_model_stride(rows);
    long double sum = 0;
    for (int l = 0; l < m->n_layers; l++) {
        long double a2 = 1, d2 = 0;
        for (int i = 0; i < m->layers[l].n_in; i++) {
            float a =
                l ? p->h[l - 1][i * ld + j] : p->x[j * m->layers[0].n_in + i];
            a2 += (long double)a * (long double)a;
        }
        for (int i = 0; i < m->layers[l].n_out; i++) {
            long double d = (long double)p->d[l][i * ld + j];
            d2 += d * d;
        }
        sum += a2 * d2;
    }
    return (double)sqrtl(sum);
}

/* What data of hostile silos, and models that diverge, may hold. */
static void disturb(fixture *f, int rows, uint64_t seed)
{
    static const float odd[] = {1e30f,  1e38f, -3e38f,   1e-42f, 1e-30f,
                                0.0f,   1e10f, INFINITY, NAN,    -INFINITY,
                                1e-38f, 1e19f, 2e-19f};
    enum { ODD = sizeof odd / sizeof *odd };
    cv_stream s;
    cv_stream_open(&s, seed, "odd", 0, 0);
    for (int r = 0; r < rows; r++) {
        float *x = f->x + r * f->data.n_cols;
        int what = (int)cv_stream_below(&s, 6);
        float v = odd[cv_stream_below(&s, ODD)];
        for (int j = 0; j < f->data.n_cols; j++) {
            if (what == 1) /* the whole row */
                x[j] = v;
            else if (what == 2 && j == r % f->data.n_cols)
                x[j] = v;
            else if (what == 3) /* all different */
                x[j] = odd[cv_stream_below(&s, ODD)];
            else if (what == 4)
                x[j] = 0;
            else if (what == 5) /* large, but well */
                x[j] *= 1e4f;
        }
        if (f->ref.spec.n_classes == 0 && cv_stream_below(&s, 4) == 0)
            f->y[r] = odd[cv_stream_below(&s, ODD)];
    }
    cv_stream_close(&s);
}

static void exact_norms_are_within_the_clip(void **state)
{
    (void)state;
    enum { ROWS = 200 };
    static const double clips[] = {1e-25, 1e-6, 0.01, 1, 100, 1e20};
    static const float scales[] = {1, 1e-20f, 1e-38f, 1e6f, 1e15f, 1e30f};
    int clipped = 0, bad = 0, within = 0;
    for (int i = 0; i < N_SPECS * 6 * 7; i++) {
        fixture f = make(&specs[i % N_SPECS], ROWS);
        double clip = clips[i / N_SPECS % 6];
        int how = i / N_SPECS / 6;
        if (how > 0)
            disturb(&f, ROWS, (uint64_t)i);
        for (size_t k = 0; k < f.n && how > 1; k++)
            f.start[k] *= scales[how - 1];
        cv_private_pass *p = cv_private_pass_create(f.model, clip);
        run_pass(&f, p, ROWS);
        for (int j = 0; j < ROWS; j++) {
            double norm = exact_norm(p, ROWS, j), before = p->norm[j];
            assert_true(norm <= clip);
            if (!isfinite(before)) {
                assert_true(norm == 0);
                bad++;
            } else if (before <= clip * (1 - 1e-6)) {
                assert_true(p->scale[j] == 1);
                within++;
            } else if (how == 0 && clip > 1e-20) {
                assert_true(norm > clip * (1 - 2e-6));
                clipped++;
            }
        }
        cv_private_pass_destroy(&p);
        drop(&f);
    }
    assert_true(clipped > 5000 && bad > 5000 && within > 5000);
}

/* Step 1 of the proof: what is computed for a record does not depend on who
 * else is in the leaf, on its place there, or on the kernels. */
static void records_do_not_see_each_other(void **state)
{
    (void)state;
    enum { ROWS = 70 };
    static const char *const kernels[] = {"avx512", "avx2", "plain", "blas"};
    for (int i = 0; i < N_SPECS * 3; i++) {
        fixture f = make(&specs[i % N_SPECS], ROWS);
        if (i >= N_SPECS)
            disturb(&f, ROWS, (uint64_t)i);
        const cv_model *m = f.model;
        cv_private_pass *p = cv_private_pass_create(m, 0.7);
        cv_private_pass *q = cv_private_pass_create(m, 0.7);
        cv_gemm_use("plain");
        run_pass(&f, p, ROWS);
        for (int j = 0; j < ROWS; j += 3) {
            int rows = 1 + j % 23, at = j % rows;
            if (cv_gemm_use(kernels[j % 4]))
                continue;
            for (int r = 0; r < rows; r++) {
                int from = r == at ? j : (j + r + 1) % ROWS;
                memcpy(q->x + r * f.data.n_cols, f.x + from * f.data.n_cols,
                       (size_t)f.data.n_cols * sizeof *q->x);
                q->y[r] = f.y[from];
            }
            cv_private_pass_run(q, f.start, rows);
            cv_private_pass_clip(q, rows);
            int64_t ldp = cv_model_stride(ROWS), ldq = cv_model_stride(rows);
            assert_memory_equal(&q->scale[at], &p->scale[j], sizeof(float));
            for (int l = 0; l < m->n_layers; l++)
                for (int k = 0; k < m->layers[l].n_out; k++)
                    assert_memory_equal(&q->d[l][k * ldq + at],
                                        &p->d[l][k * ldp + j], sizeof(float));
        }
        cv_private_pass_destroy(&p);
        cv_private_pass_destroy(&q);
        drop(&f);
    }
    assert_int_equal(cv_gemm_use("avx512") && cv_gemm_use("avx2") &&
                         cv_gemm_use("plain"),
                     0);
}

/* ---- values ---- */

/* The sum of clipped gradients, one record after the other. */
static void one_by_one(const fixture *f, const uint32_t *idx, int n,
                       double clip, double *sum)
{
    cv_model_work *work = cv_model_work_create(f->model, 1);
    float *g = CV_NEW(f->n, float);
    memset(sum, 0, f->n * sizeof *sum);
    for (int k = 0; k < n; k++) {
        const float *x = f->x + idx[k] * (size_t)f->data.n_cols;
        double loss, norm = 0;
        cv_model_gradient(f->model, work, f->start, x, f->y + idx[k], 1, 1, 0,
                          g, &loss);
        for (size_t i = 0; i < f->n; i++)
            norm += (double)g[i] * (double)g[i];
        norm = sqrt(norm);
        for (size_t i = 0; i < f->n && isfinite(norm); i++)
            sum[i] += (double)g[i] * (norm > clip ? clip / norm : 1);
    }
    cv_model_work_destroy(&work);
    free(g);
}

static double centred(const void *acc, size_t i, int is_wide)
{
    return is_wide ? (double)cv_f61_centre(((const uint64_t *)acc)[i])
                   : (double)cv_f32_centre(((const uint32_t *)acc)[i]);
}

static void sums_are_those_of_clipped_gradients(void **state)
{
    (void)state;
    enum { ROWS = 700 };
    static const int sizes[] = {0, 1, 17, 255, 256, 257, 600};
    static const double clips[] = {0.05, 1, 1000};
    for (int i = 0; i < N_SPECS * 7 * 2; i++) {
        fixture f = make(&specs[i % N_SPECS], ROWS);
        int n = sizes[i / N_SPECS % 7], is_wide = i / N_SPECS / 7;
        double clip = clips[i % 3], factor = i % 4 ? 1 : 0.4;
        int exponent = (is_wide ? -40 : -18) + (int)ceil(log2(clip));
        uint32_t idx[ROWS];
        for (int k = 0; k < n; k++)
            idx[k] = (uint32_t)(k * (ROWS - 1) / (n > 1 ? n - 1 : 1));
        double *want = CV_NEW(f.n, double), bound = clip * 2e-6 * (n + 1);
        uint64_t *acc = CV_NEW(f.n, uint64_t);
        one_by_one(&f, idx, n, clip, want);
        cv_private_grad *p =
            cv_private_grad_create(f.model, clip, exponent, is_wide);
        cv_private_grad_add(p, &f.data, idx, n, f.start, factor, 0, 1, acc);
        for (size_t k = 0; k < f.n; k++) {
            double got = ldexp(centred(acc, k, is_wide), exponent);
            assert_true(fabs(got - factor * want[k]) <=
                        bound + ldexp(1.5, exponent));
        }
        cv_private_grad_destroy(&p);
        free(want);
        free(acc);
        drop(&f);
    }
}

/* Records that are not finite are as good as not there. */
static void bad_records_add_nothing(void **state)
{
    (void)state;
    enum { ROWS = 40 };
    for (int i = 0; i < N_SPECS; i++) {
        fixture f = make(&specs[i], ROWS);
        uint32_t *idx = all_rows(ROWS), good[ROWS];
        int n_good = 0;
        for (int r = 0; r < ROWS; r++) {
            static const float bad[] = {INFINITY, NAN, -INFINITY, 3e38f};
            float *x = f.x + r * f.data.n_cols;
            if (r % 3 == 0)
                x[r % f.data.n_cols] = bad[r % 4 == 3 ? 0 : r % 4];
            else if (r % 3 == 1 && f.ref.spec.n_classes == 0)
                f.y[r] = bad[r % 3];
            else
                good[n_good++] = (uint32_t)r;
        }
        uint32_t *got = CV_NEW(f.n, uint32_t), *want = CV_NEW(f.n, uint32_t);
        cv_private_grad *p = cv_private_grad_create(f.model, 0.5, -12, 0);
        cv_private_grad_add(p, &f.data, idx, ROWS, f.start, 1, 0, 1, got);
        cv_private_grad_add(p, &f.data, good, n_good, f.start, 1, 0, 1, want);
        /* Float sums of biases may be rounded in another order. */
        for (size_t k = 0; k < f.n; k++)
            assert_true(fabs(centred(got, k, 0) - centred(want, k, 0)) <= 1);
        /* With a model that has diverged nobody adds anything. */
        for (size_t k = 0; k < f.n; k++)
            f.start[k] = k % 2 ? NAN : INFINITY;
        memset(got, 0, f.n * sizeof *got);
        cv_private_grad_add(p, &f.data, idx, ROWS, f.start, 1, 0, 1, got);
        for (size_t k = 0; k < f.n; k++)
            assert_int_equal(got[k], 0);
        cv_private_grad_destroy(&p);
        free(got);
        free(want);
        free(idx);
        drop(&f);
    }
}

/* A score of minus infinity leaves a finite gradient, but not a finite loss. */
static void a_score_that_is_not_finite_adds_nothing(void **state)
{
    (void)state;
    cv_model_spec spec = {"softmax", "relu", 3, 3, 0, NULL};
    fixture f = make(&spec, 1);
    uint32_t idx[] = {0}, acc[12] = {0};
    memset(f.start, 0, f.n * sizeof *f.start);
    f.x[0] = 1e30f;
    f.x[1] = f.x[2] = f.y[0] = 1;
    f.start[0] = -1; /* score -1e30 */
    cv_private_grad *p = cv_private_grad_create(f.model, 0.5, -12, 0);
    cv_private_grad_add(p, &f.data, idx, 1, f.start, 1, 0, 1, acc);
    assert_true(acc[3] != 0);
    memset(acc, 0, sizeof acc);
    f.start[0] = -1e10f;
    cv_private_grad_add(p, &f.data, idx, 1, f.start, 1, 0, 1, acc);
    for (size_t k = 0; k < f.n; k++)
        assert_int_equal(acc[k], 0);
    cv_private_grad_destroy(&p);
    drop(&f);
}

static void parts_add_up_to_the_whole(void **state)
{
    (void)state;
    enum { ROWS = 2500 };
    for (int i = 0; i < N_SPECS; i++) {
        fixture f = make(&specs[i], ROWS);
        uint32_t *idx = all_rows(ROWS);
        uint32_t *want = CV_NEW(f.n, uint32_t), *sum = CV_NEW(f.n, uint32_t);
        uint32_t *one_part = CV_NEW(f.n, uint32_t);
        cv_private_grad *p = cv_private_grad_create(f.model, 1, -16, 0);
        int n = i % 2 ? ROWS : 900;
        cv_private_grad_add(p, &f.data, idx, n, f.start, 1, 0, 1, want);
        for (int n_parts = 2; n_parts <= 4; n_parts++) {
            memset(sum, 0, f.n * sizeof *sum);
            for (int part = 0; part < n_parts; part++) {
                memset(one_part, 0, f.n * sizeof *sum);
                cv_blas_set_threads(1 + part % 2);
                cv_private_grad_add(p, &f.data, idx, n, f.start, 1, part,
                                    n_parts, one_part);
                cv_f32_add_all(sum, one_part, f.n);
                assert_memory_not_equal(one_part, want, f.n * sizeof *sum);
            }
            assert_memory_equal(sum, want, f.n * sizeof *sum);
        }
        cv_blas_set_threads(1);
        cv_private_grad_destroy(&p);
        free(idx);
        free(want);
        free(sum);
        free(one_part);
        drop(&f);
    }
}

/* ---- sensitivity ---- */

typedef struct {
    fixture *f;
    cv_private_grad *p;
    int is_wide;
    double factor;
    void *with, *without;
} meter;

/* L2 distance of the sums over idx with and without idx[k]. */
static double change(meter *m, const uint32_t *idx, int n, int k)
{
    size_t bytes = m->f->n * sizeof(uint64_t);
    uint32_t *others = CV_NEW(n, uint32_t);
    memcpy(others, idx, (size_t)k * sizeof *idx);
    memcpy(others + k, idx + k + 1, (size_t)(n - k - 1) * sizeof *idx);
    memset(m->without, 0, bytes);
    cv_private_grad_add(m->p, &m->f->data, others, n - 1, m->f->start,
                        m->factor, 0, 1, m->without);
    free(others);
    long double sum = 0;
    for (size_t i = 0; i < m->f->n; i++) {
        long double z = (long double)centred(m->with, i, m->is_wide) -
                        (long double)centred(m->without, i, m->is_wide);
        sum += z * z;
    }
    return (double)sqrtl(sum);
}

/* Largest change over records, as a share of the bound; fails above 1. */
static double largest(fixture *f, const uint32_t *idx, int n, double clip,
                      int exponent, int is_wide, double factor)
{
    double bound = cv_private_sensitivity(f->model, clip, exponent), top = 0;
    meter m = {f,
               cv_private_grad_create(f->model, clip, exponent, is_wide),
               is_wide,
               factor,
               CV_NEW(f->n, uint64_t),
               CV_NEW(f->n, uint64_t)};
    cv_private_grad_add(m.p, &f->data, idx, n, f->start, factor, 0, 1, m.with);
    for (int k = 0; k<n; k += n> 300 ? 7 : n > 60 ? 3 : 1) {
        double got = change(&m, idx, n, k) / bound;
        if (!(got <= 1))
            fail_msg("%s: record %d of %d changes %g of the bound %g",
                     f->ref.spec.kind, k, n, got, bound);
        top = got > top ? got : top;
    }
    cv_private_grad_destroy(&m.p);
    free(m.with);
    free(m.without);
    return top;
}

static void one_record_changes_no_more_than_said(void **state)
{
    (void)state;
    enum { ROWS = 1100 };
    static const int sizes[] = {1, 2, 40, 256, 257, 258, 513, 1000};
    /* Grids: nothing but the clip counts; half and half; rounding rules. */
    static const double grids[] = {0x1p18, 30, 0.6};
    double best[3] = {0};
    for (int i = 0; i < N_SPECS * 8; i++)
        for (int g = 0; g < 3; g++) {
            fixture f = make(&specs[i % N_SPECS], ROWS);
            if (i % 5 == 4)
                disturb(&f, ROWS, (uint64_t)i);
            int n = sizes[i / N_SPECS], exponent = i % 7 - 3;
            double clip = ldexp(grids[g], exponent) * (i % 3 ? 1 : 0.7);
            uint32_t idx[ROWS];
            int step = i % 2 ? 1 : ROWS / n;
            for (int k = 0; k < n; k++)
                idx[k] = (uint32_t)(k * step);
            /* Gradients must reach the clip, whatever it is. */
            for (int r = 0; r < ROWS; r++)
                for (int k = 0; k < f.data.n_cols && i % 5 != 4; k++)
                    f.x[r * f.data.n_cols + k] *= (float)(3 * clip);
            double got = largest(&f, idx, n, clip, exponent, i % 3 == 0,
                                 i % 4 == 3 ? 0.7 : 1);
            best[g] = got > best[g] ? got : best[g];
            drop(&f);
        }
    print_message("largest change / bound: %.4f %.4f %.4f\n", best[0], best[1],
                  best[2]);
    assert_true(best[0] > 0.98 && best[1] > 0.5 && best[2] > 0.3);
}

/* With many leaves and a coarse grid, where nothing but rounding counts: the
 * leaves that do not hold the record must stay as they are. */
static void other_leaves_do_not_change(void **state)
{
    (void)state;
    enum { ROWS = 9000 };
    for (int i = 0; i < 4; i++) {
        fixture f = make(&specs[i < 2 ? 2 : 7], ROWS);
        uint32_t *idx = all_rows(ROWS);
        int n = 0;
        for (int r = 0; r < ROWS; r++) /* gaps, and leaves of many sizes */
            if (i % 2 || r * 31 % 97 > r * 40 / ROWS)
                idx[n++] = (uint32_t)r;
        double clip = 0.15 * sqrt((double)f.n);
        double bound = cv_private_sensitivity(f.model, clip, 0);
        meter m = {&f,
                   cv_private_grad_create(f.model, clip, 0, 0),
                   0,
                   1,
                   CV_NEW(f.n, uint64_t),
                   CV_NEW(f.n, uint64_t)};
        cv_private_grad_add(m.p, &f.data, idx, n, f.start, 1, 0, 1, m.with);
        for (int k = 0; k < n; k += 501)
            assert_true(change(&m, idx, n, k) <= bound);
        cv_private_grad_destroy(&m.p);
        free(m.with);
        free(m.without);
        free(idx);
        drop(&f);
    }
}

/* A linear model at zero with rows of ones: the gradient of a record is -y for
 * every parameter, so leaf sums are what is asked for. 256 records make half a
 * unit, which rounds to 0; one more of more than half a unit makes two leaves
 * that both round to 1. The bound is all but reached. */
static void the_bound_is_reached(void **state)
{
    (void)state;
    enum { COLS = 399, ROWS = 257 };
    const float e = 0x1p-12f;
    cv_model_spec spec = {"linear", "relu", COLS, 0, 0, NULL};
    fixture f = make(&spec, ROWS);
    uint32_t *idx = all_rows(ROWS);
    memset(f.start, 0, f.n * sizeof *f.start);
    memset(f.y, 0, ROWS * sizeof *f.y);
    for (int i = 0; i < COLS * ROWS; i++)
        f.x[i] = 1;
    f.y[0] = -(0.5f + 2 * e);
    f.y[1] = e;
    f.y[256] = -(0.5f + e);
    double clip = 20 * (0.5 + 2 * (double)e) * (1 + 2e-6);
    meter m = {&f,
               cv_private_grad_create(f.model, clip, 0, 0),
               0,
               1,
               CV_NEW(f.n, uint64_t),
               CV_NEW(f.n, uint64_t)};
    cv_private_grad_add(m.p, &f.data, idx, ROWS, f.start, 1, 0, 1, m.with);
    double got = change(&m, idx, ROWS, 0);
    double bound = cv_private_sensitivity(f.model, clip, 0);
    assert_true(got == 40);
    assert_true(got <= bound && got > 0.995 * bound);
    cv_private_grad_destroy(&m.p);
    free(m.with);
    free(m.without);
    free(idx);
    drop(&f);
}

static void sensitivity_is_the_formula(void **state)
{
    (void)state;
    int hidden = 200;
    cv_model_spec spec = {"mlp", "relu", 784, 10, 1, &hidden};
    cv_model *model;
    assert_int_equal(cv_model_create(&spec, &model, NULL), 0);
    double d = 159010, e = 0;
    assert_true((double)cv_model_params(model)->n == d);
    for (int m = 1; m <= 256; m++)
        e += 2 * (m + 4) * 0x1p-24 / (1 - (m + 4) * 0x1p-24);
    e += 5 * 0x1p-24 / (1 - 5 * 0x1p-24);
    double units = 262144, want = units * (1 + e) + 1.5 * sqrt(d);
    double got = cv_private_sensitivity(model, 1, -18);
    assert_true(got >= want && got < want * (1 + 1e-11));
    /* Only clip / grid counts, as long as nothing is subnormal. */
    assert_true(cv_private_sensitivity(model, 8, -15) == got);
    assert_true(cv_private_sensitivity(model, 1, -17) < got);
    /* Grids at the end of float's range pay for flushed numbers. */
    assert_true(cv_private_sensitivity(model, 0x1p-95, -113) < got + 50);
    assert_true(cv_private_sensitivity(model, 0x1p-95, -113) > got);
    cv_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_norms_are_within_the_clip),
        cmocka_unit_test(records_do_not_see_each_other),
        cmocka_unit_test(sums_are_those_of_clipped_gradients),
        cmocka_unit_test(bad_records_add_nothing),
        cmocka_unit_test(a_score_that_is_not_finite_adds_nothing),
        cmocka_unit_test(parts_add_up_to_the_whole),
        cmocka_unit_test(one_record_changes_no_more_than_said),
        cmocka_unit_test(other_leaves_do_not_change),
        cmocka_unit_test(the_bound_is_reached),
        cmocka_unit_test(sensitivity_is_the_formula),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

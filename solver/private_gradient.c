/* How much one record can change the sum.
 *
 * Notation: C = clip, g = 2^exponent, f = factor <= 1, u = 2^-24, d = number of
 * parameters; norms are L2. A leaf is a set of records; for a leaf A,
 *   s(A)   the exact sum of its clipped gradients, |G_k| <= C each;
 *   fl(A)  the float sum that is computed;
 *   q(A)   the integers: fl(A) f / g, rounded to nearest.
 * The released sum is the sum of q over all leaves, modulo p. Let r be the
 * record that is there or not.
 *
 * 1. The other records' G_k do not change. Row numbers do not (null keeps its
 *    row), sampling of a row does not look at others, and what the pass computes
 *    for a record is a function of (w, x_k, y_k): products by cv_gemm_chain make
 *    column k from column k alone, all else is element-wise, and vector code and
 *    its scalar rest give the same bytes (nothing is contracted or
 *    reassociated), on every CPU: a leaf may move to another rank of the silo
 *    when leaves before it are cut. G_k is what d_k and its inputs stand for exactly, after
 *    clipping (private_pass.c): |G_k| <= C, no rounding in it.
 *
 * 2. The other leaves do not change. A range with more than 256 sampled rows is
 *    cut, with one row more as well. On the way from the root to r there is one
 *    range that is a leaf, or empty, without r: A. If |A| < 256, A + r is a leaf
 *    in its place. If |A| = 256, its range is cut until both halves hold rows:
 *    A + r = B + C, two leaves, |B| + |C| = 257, neither empty. Ranges beside
 *    the way are as they were.
 *
 * 3. Float sums. The k-th record of a leaf (from 0) passes at most |A| - k + 4
 *    roundings, so with gamma_m = m u / (1 - m u), for every element
 *        |fl(A) - s(A)| <= sum_k gamma_{|A|-k+4} |G_k| + |A| t,
 *    and in L2 over the elements
 *        |fl(A) - s(A)| <= C E(|A|) + |A| t sqrt(d),
 *        E(n) = sum_{m=1..n} gamma_{m+4},
 *    where t is for products and sums in the subnormal range: at most 2^-150
 *    each, 2^-126 should the processor flush them to zero. Partial sums are at
 *    most 256 C in magnitude and do not overflow. E is convex, so of all
 *    |B| + |C| = 257 the largest E(|B|) + E(|C|) is E(256) + E(1), and
 *        E(|A|) + E(|A| + 1)          <= 2 E(256)           (no cut),
 *        E(256) + E(|B|) + E(|C|)     <= 2 E(256) + E(1)    (cut).
 *
 * 4. Rounding. q(A) = fl(A) f / g + rho, |rho_i| <= 1/2 plus the rounding of the
 *    double product, 2^-53 of the element and in L2 at most 2^-53 257 C / g.
 *    (Within the range that cv_private_grad_create demands nothing saturates.)
 *
 * Together, with s(A + r) - s(A) = G_r, or s(B) + s(C) - s(A) = G_r:
 *    no cut:  |q(A + r) - q(A)|      <= (C / g)(1 + 2 E(256)) + 2 sqrt(d) / 2
 *    cut:     |q(B) + q(C) - q(A)|   <= (C / g)(1 + 2 E(256) + E(1))
 *                                       + 3 sqrt(d) / 2
 * and so
 *    Delta_int = (C / g)(1 + e_gemm) + 1.5 sqrt(d) + 3 * 256 t sqrt(d) / g,
 *    e_gemm = 2 E(256) + E(1) = 0.00405: 2 (256 * 257 / 2 + 4 * 256) u, nearly.
 *
 * Three leaves can take part in every coordinate, so 1.5 sqrt(d) cannot be less
 * for all data: with fl(B) f / g = b + 1/2, fl(C) f / g = c + 1/2 and G_r f / g
 * half an integer the roundings add up. (For a coordinate that r changes by less
 * than 1/2 the integer change is at most 1.) 256 rows a leaf balance e_gemm,
 * which grows with their square, against passes over the d words.
 *
 * The change modulo p is the same vector modulo p: noise is added in the field,
 * and sums that wrap around cost utility only. */
#include "solver/private_gradient.h"

#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "privacy/field.h"
#include "solver/private_pass.h"

struct cv_private_grad {
    cv_private_pass *pass;
    size_t n;
    float *gradient; /* (n) of one leaf */
    int exponent, wide;
};

/* What one call of cv_private_grad_add works on. */
typedef struct {
    cv_private_grad *p;
    const cv_samples *data;
    const uint32_t *idx;
    int64_t n;
    const float *w;
    double factor;
    int part, n_parts;
    void *acc;
    int64_t leaf; /* how many there were */
} task;

cv_private_grad *cv_private_grad_create(const cv_model *model, double clip,
                                        int exponent, int wide)
{
    CV_CHECK(clip > 0x1p-100 && clip < 0x1p100);
    CV_CHECK(ldexp(clip, -exponent) <= (wide ? 0x1p51 : 0x1p22));
    cv_private_grad *p = CV_NEW(1, cv_private_grad);
    p->pass = cv_private_pass_create(model, clip);
    p->n = cv_model_params(model)->n;
    p->gradient = CV_NEW(p->n, float);
    p->exponent = exponent;
    p->wide = wide;
    return p;
}

void cv_private_grad_destroy(cv_private_grad **p)
{
    if (!*p)
        return;
    cv_private_pass_destroy(&(*p)->pass);
    free((*p)->gradient);
    CV_FREE(*p);
}

size_t cv_private_grad_bytes(const cv_model *model)
{
    return sizeof(cv_private_grad) + cv_private_pass_bytes(model) +
           cv_model_params(model)->n * sizeof(float);
}

static void add_leaf(task *k, int64_t from, int64_t to)
{
    if (k->leaf++ % k->n_parts != k->part)
        return;
    cv_private_grad *p = k->p;
    int rows = (int)(to - from);
    cv_samples_gather(k->data, k->idx + from, 0, rows, p->pass->x, p->pass->y);
    /* Rows of the next leaf arrive during the products. */
    cv_samples_prefetch(k->data, k->idx + to,
                        k->n - to < CV_LEAF_ROWS ? k->n - to : CV_LEAF_ROWS);
    cv_private_pass_run(p->pass, k->w, rows);
    cv_private_pass_clip(p->pass, rows);
    cv_private_pass_sum(p->pass, p->gradient, rows);
    if (p->wide)
        cv_f61_encode_add(k->acc, p->gradient, p->n, k->factor, p->exponent);
    else
        cv_f32_encode_add(k->acc, p->gradient, p->n, k->factor, p->exponent);
}

/* First position in [from, to) with a row number of at least `row`. */
static int64_t lower_bound(const uint32_t *idx, int64_t from, int64_t to,
                           uint64_t row)
{
    while (from < to) {
        int64_t mid = from + (to - from) / 2;
        if (idx[mid] < row)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

/* Sampled rows [from, to) of the row numbers [first, first + 2^bits). */
static void add_range(task *k, int64_t from, int64_t to, uint64_t first,
                      int bits)
{
    if (from == to)
        return;
    if (to - from <= CV_LEAF_ROWS) {
        add_leaf(k, from, to);
        return;
    }
    CV_CHECK(bits > 0); /* else idx holds a row twice */
    uint64_t middle = first + (UINT64_C(1) << (bits - 1));
    int64_t cut = lower_bound(k->idx, from, to, middle);
    add_range(k, from, cut, first, bits - 1);
    add_range(k, cut, to, middle, bits - 1);
}

void cv_private_grad_add(cv_private_grad *p, const cv_samples *data,
                         const uint32_t *idx, int64_t n, const float *w,
                         double factor, int part, int n_parts, void *acc)
{
    CV_CHECK(factor > 0.0 && factor <= 1.0);
    CV_CHECK(part >= 0 && part < n_parts);
    CV_CHECK(data->n_cols == cv_model_n_in(p->pass->model));
    for (int64_t i = 1; i < n; i++)
        CV_CHECK(idx[i - 1] < idx[i]);
    task k = {p, data, idx, n, w, factor, part, n_parts, acc, 0};
    add_range(&k, 0, n, 0, 32);
}

/* E(n), rounded up. */
static double float_sum_error(int n)
{
    double sum = 0.0;
    for (int m = 1; m <= n; m++) {
        double mu = (m + 4) * 0x1p-24;
        sum += mu / (1.0 - mu);
    }
    return sum * (1.0 + 0x1p-40);
}

double cv_private_sensitivity(const cv_model *model, double clip, int exponent)
{
    double d = (double)cv_model_params(model)->n;
    double units = ldexp(clip, -exponent);
    double gemm = 2.0 * float_sum_error(CV_LEAF_ROWS) + float_sum_error(1);
    double flushed = ldexp(3.0 * CV_LEAF_ROWS * sqrt(d), -126 - exponent);
    /* 2^-40 is for the double roundings of step 4 and of this very line. */
    return (units * (1.0 + gemm) + 1.5 * sqrt(d) + flushed) * (1.0 + 0x1p-40);
}

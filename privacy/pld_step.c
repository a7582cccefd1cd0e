#include "privacy/pld_step.h"

#include <math.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/mem.h"
#include "privacy/rdp.h"

/* A point of the line, x, as the two normals see it: N(0, noise^2) and
 * N(1, noise^2). On the left the mass below it, on the right minus the mass
 * above it: differences of these are exact to the last bits in either tail. */
typedef struct {
    double s0, s1;
    int right0, right1;
} edge;

static edge edge_at(double noise, double x)
{
    double a = x / noise, b = (x - 1.0) / noise;
    edge e = {0.5 * erfc(fabs(a) * M_SQRT1_2), 0.5 * erfc(fabs(b) * M_SQRT1_2),
              a >= 0.0, b >= 0.0};
    e.s0 = e.right0 ? -e.s0 : e.s0;
    e.s1 = e.right1 ? -e.s1 : e.s1;
    return e;
}

static double mass0(const edge *a, const edge *b)
{
    return fmax(b->s0 - a->s0 + (double)(b->right0 - a->right0), 0.0);
}

static double mass1(const edge *a, const edge *b)
{
    return fmax(b->s1 - a->s1 + (double)(b->right1 - a->right1), 0.0);
}

/* The x at which the loss (of removing) is l; -infinity if none is so low. */
static double x_of(double noise, double q, double l)
{
    if (q >= 1.0)
        return noise * noise * l + 0.5;
    double y;
    if (l > 600.0) {
        y = l - log(q);
    } else {
        double r = expm1(l) / q;
        y = r > -1.0 ? log1p(r) : -INFINITY;
    }
    return noise * noise * y + 0.5;
}

typedef struct {
    double lo, hi;  /* x kept */
    int64_t i0, i1; /* edges of the removal loss, in h */
} range;

static range range_of(double noise, double q, double reach, double h)
{
    range r = {.lo = -reach * noise, .hi = 1.0 + reach * noise};
    r.i0 = (int64_t)floor(cv_privacy_loss(noise, q, r.lo) / h);
    r.i1 = (int64_t)ceil(cv_privacy_loss(noise, q, r.hi) / h);
    if (r.i1 <= r.i0)
        r.i1 = r.i0 + 1;
    return r;
}

double cv_loss_grid_size(double noise, double q, double reach, double h)
{
    double lo = cv_privacy_loss(noise, q, -reach * noise);
    double hi = cv_privacy_loss(noise, q, 1.0 + reach * noise);
    return (hi - lo) / h + 3.0;
}

static double clamp(double v, double p)
{
    return v < 0.0 ? 0.0 : v < p ? v : p;
}

/* One bucket, removal losses in [e, e + h], masses m0 and m1 under the two
 * normals. Its mass P goes to the two ends so that Q(bucket) = sum exp(-loss) P
 * holds as well: the hockey stick of the result joins that of the mechanism at
 * the grid points by chords, and it is convex, so it never lies below.
 * Returns the share of the upper end; *p is the mass to share out.
 *
 * Rounding: errors of the tails at an edge enter two neighbours with opposite
 * signs, so they move mass by a bucket or two and hardly move the mean. */
static double share_removed(double *p, double e, double h, double q, double m0,
                            double m1)
{
    *p = (1.0 - q) * m0 + q * m1;
    if (e > 600.0)
        return *p;
    double d = e < -0.5 ? exp(e) - (1.0 - q) : expm1(e) + q;
    return clamp((q * m1 - d * m0) / -expm1(-h), *p);
}

/* The same for adding: losses in [-e - h, -e], P and Q swapped. */
static double share_added(double *p, double e, double h, double q, double m0,
                          double m1)
{
    double down = exp(-e - h);
    *p = m0;
    if (e < -600.0)
        return *p;
    double v = ((1.0 - (1.0 - q) * down) * m0 - down * q * m1) / -expm1(-h);
    return clamp(v, *p);
}

void cv_loss_grid_create(cv_loss_grid *g, cv_direction dir, double noise,
                         double q, double h, double reach)
{
    range r = range_of(noise, q, reach, h);
    size_t n = (size_t)(r.i1 - r.i0); /* buckets */
    int add = dir == CV_ADD;
    *g = (cv_loss_grid){.first = add ? -r.i1 : r.i0, .n = n + 1};
    g->p = CV_NEW(n + 1, double);
    edge none = {0}, all = {.right0 = 1, .right1 = 1};
    double e0 = (double)r.i0 * h;
    edge a = edge_at(noise, x_of(noise, q, e0)), left = a;
    for (size_t i = 0; i < n; i++) {
        double e = (double)(r.i0 + (int64_t)i) * h, p, up;
        edge b =
            edge_at(noise, x_of(noise, q, (double)(r.i0 + (int64_t)i + 1) * h));
        double m0 = mass0(&a, &b), m1 = mass1(&a, &b);
        if (add) {
            up = share_added(&p, e, h, q, m0, m1);
            g->p[n - i] += up; /* loss -e */
            g->p[n - i - 1] += p - up;
        } else {
            up = share_removed(&p, e, h, q, m0, m1);
            g->p[i + 1] += up;
            g->p[i] += p - up;
        }
        a = b;
    }
    /* What is left on either side: up to the lowest loss, or to infinity. */
    double l0 = mass0(&none, &left), l1 = mass1(&none, &left);
    double r0 = mass0(&a, &all), r1 = mass1(&a, &all);
    if (add) {
        g->infinite = l0;
        g->p[0] += r0;
    } else {
        g->infinite = (1.0 - q) * r0 + q * r1;
        g->p[0] += (1.0 - q) * l0 + q * l1;
    }
}

void cv_loss_grid_free(cv_loss_grid *g)
{
    CV_FREE(g->p);
}

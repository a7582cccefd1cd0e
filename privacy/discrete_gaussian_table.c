/* Tables of the discrete Gaussian, and what they cost in distance.
 *
 * One table.  Write rho(m) = exp(-m^2 / (2 v)), Z = sum over all integers,
 * a_0 = rho(0) / Z, a_m = 2 rho(m) / Z: the masses of the magnitude. The table
 * holds A_m = round(2^127 a_m) for m >= 1 up to the last one that is not 0
 * (`top`, near 13 sigma), and A_0 = 2^127 minus the rest. A draw takes the
 * magnitude from 127 uniform bits and a sign from one more (0 with either sign
 * is 0), so P(x) = A_|x| 2^-128 (twice that for x = 0): exactly symmetric, and
 * the masses add up to exactly 1.
 *
 * Arithmetic, in units u = 2^-256 (wide.h). With g = exp(-1 / (2 v)):
 * rho(m+1) = rho(m) r(m), r(m+1) = r(m) g^2, r(0) = g.
 *  - g by Taylor's series at x 2^-h < 1/16 after h halvings, then h squarings.
 *    1/(2v) <= 8, so h <= 8. Each of the at most 45 terms is off by at most
 *    3 u and x by u, so the series by less than 2^8 u; a squaring at most
 *    doubles an error and adds u: err(g) < 2^17 u = 2^-239, and 2^-248 when
 *    h = 0, that is, for v > 8.
 *  - All factors are at most 1, so an error is carried on at most as it is:
 *    err(r(m)) <= (2m + 1)(err(g) + u), err(rho(m)) <= m^2 (err(g) + 2 u).
 *    m ends where rho(m) < 2^-190, below 17 sigma: m < 2^16 for the largest
 *    table (MAX_TABLE), m < 48 when h > 0. So err(rho) < 2^-216.
 *  - Z = 1 + 2 sum rho(m), cut where rho < 2^-190: off by less than 2^-170
 *    (2^17 terms, and a tail of at most sigma 2^-190 < 2^-178). Z >= 1, hence
 *    a_m is off by less than 2^-168 = 2^-41 units of the table. (*)
 *  - A_m is therefore within 1/2 + 2^-41 of 2^127 a_m, m >= 1.
 *
 * Distance of one draw: half the sum of |A_m 2^-127 - a_m|.  The terms m in
 * 1..top give at most top (1/2 + 2^-41) 2^-127, m > top gives the tail, and A_0
 * is off by no more than all of these together. So
 *     distance <= top (1/2 + 2^-41) 2^-127 + tail,
 *     tail = sum_{m > top} a_m <= a_{top+1} / (1 - r(top+1)),
 * because rho(m+1)/rho(m) = r(m) falls with m.
 *
 * Several draws.  X from D(s1), Y from D(s2) independent, k >= 1 an integer,
 * W = X + k Y. With sigma^2 = s1^2 + k^2 s2^2, t = s1 s2 / sigma and
 * mu = k s2^2 w / sigma^2, completing the square in y gives
 *     P(W = w) prop. to exp(-w^2 / (2 sigma^2)) sum_y exp(-(y-mu)^2 / (2 t^2)).
 * By Poisson's summation formula the last sum is
 *     t sqrt(2 pi) (1 + 2 sum_{j>=1} exp(-2 pi^2 t^2 j^2) cos(2 pi j mu)),
 * constant up to a factor in [1 - e, 1 + e], e = 2 q / (1 - q),
 * q = exp(-2 pi^2 t^2). After normalising, P(W = w) / D(sigma)(w) lies within
 * [(1 - e)/(1 + e), (1 + e)/(1 - e)], and the distance of W from D(sigma) is at
 * most e / (1 - e). Demanding t >= 2.2 (SMOOTH) makes q < 2^-137.
 *
 * All levels draw from one table of variance s^2 = v / (1 + k1^2 + k2^2), an
 * exact rational. Two levels: t = sigma / (1 + k1^2). Three: W1 = X + k1 Y as
 * above with t1 = s / sqrt(1 + k1^2), and W = W1 + k2 Y' with
 * t2 = sigma sqrt(1 + k1^2) / (1 + k1^2 + k2^2). Distances add up:
 *     levels * distance of one draw + sum_l e_l / (1 - e_l).
 * The doubles below only choose k (by operations that IEEE 754 rounds
 * correctly, so every machine chooses the same) and report; the bounds leave
 * room for their rounding.
 *
 * (*) Checked against masses of 90 digits: tests/vectors/discrete_gaussian.py.
 */
#include "privacy/discrete_gaussian_table.h"

#include <math.h>
#include <stdlib.h>

#include "core/mem.h"

/* Largest sigma of a table, and where one level, then two, stop being the
 * fastest choice (tests/bench/bench_noise.c). The noise that belongs to a key
 * depends on these numbers: changing them breaks replays. */
#define MAX_TABLE  2400.0
#define ONE_LEVEL  1100.0
#define TWO_LEVELS 100000.0
#define SMOOTH     2.2

static double variance_double(cv_variance v)
{
    return (double)v.num / (double)v.den;
}

/* exp(-num / (2 den)) for num / den <= 16. */
static cv_wide exp_minus_half(uint64_t num, uint64_t den)
{
    cv_wide x = cv_wide_of(0), sum = cv_fix_one(), term = cv_fix_one();
    x.w[4] = num;
    x = cv_wide_div(&x, den);
    x = cv_wide_div(&x, 2);
    int halvings = 0;
    for (; x.w[4] || x.w[3] >> 60; halvings++)
        x = cv_wide_div(&x, 2);
    for (uint64_t j = 1; !cv_wide_is_zero(&term); j++) {
        term = cv_fix_mul(&term, &x);
        term = cv_wide_div(&term, j);
        if (j % 2)
            cv_wide_sub(&sum, &term);
        else
            cv_wide_add(&sum, &term);
    }
    for (; halvings; halvings--)
        sum = cv_fix_mul(&sum, &sum);
    return sum;
}

/* rho[m] until it is below 2^-190; returns the count, fills 2 / Z. */
static uint32_t fill_rho(cv_wide *rho, uint32_t room, cv_wide *two_by_z,
                         const cv_wide *g)
{
    cv_wide r = *g, step = cv_fix_mul(g, g), z = cv_fix_one();
    uint32_t n = 1;
    rho[0] = cv_fix_one();
    for (;; n++) {
        CV_CHECK(n < room);
        rho[n] = cv_fix_mul(&rho[n - 1], &r);
        if (!(rho[n].w[4] | rho[n].w[3] | rho[n].w[2] | rho[n].w[1] >> 2))
            break;
        cv_wide_add(&z, &rho[n]);
        cv_wide_add(&z, &rho[n]);
        r = cv_fix_mul(&r, &step);
    }
    *two_by_z = cv_fix_inverse(&z);
    cv_wide twice = *two_by_z;
    cv_wide_add(two_by_z, &twice);
    return n;
}

/* Masses, from m = 1 on; returns top. mass[0] is not set. */
static uint32_t fill_mass(cv_u128 *mass, double *next, const cv_wide *rho,
                          uint32_t n, const cv_wide *two_by_z)
{
    uint32_t top = 0;
    *next = 0.0;
    for (uint32_t m = 1; m <= n; m++) {
        cv_wide a = cv_fix_mul(&rho[m], two_by_z);
        CV_CHECK(a.w[4] == 0);
        cv_u128 twice = (cv_u128)a.w[3] << 64 | a.w[2];
        mass[m] = (twice >> 1) + (twice & 1);
        if (!mass[m]) {
            *next = cv_fix_double(&a);
            break;
        }
        top = m;
    }
    CV_CHECK(top < n && top < UNRESOLVED);
    return top;
}

static void fill_cells(cv_dgauss *d)
{
    uint32_t m = 0;
    for (uint32_t c = 0; c <= CELLS; c++) {
        cv_u128 start = (cv_u128)c << (127 - CELL_BITS);
        while (m < d->top && d->threshold[m] <= start)
            m++;
        d->first[c] = (uint16_t)m;
    }
    for (uint32_t c = 0; c < CELLS; c++)
        d->direct[c] =
            d->first[c] == d->first[c + 1] ? d->first[c] : (uint16_t)UNRESOLVED;
}

/* 1 - exp(-(2m + 1) / (2 v)), from below: 1 - exp(-x) >= x / (1 + x). */
static double fall_below(cv_variance v, uint32_t m)
{
    double x = (2.0 * m + 1.0) / (2.0 * variance_double(v));
    return x / (1.0 + x) * (1.0 - 0x1p-40);
}

static void build(cv_dgauss *d)
{
    double sigma = sqrt(variance_double(d->table));
    uint32_t room = (uint32_t)(17.0 * sigma) + 16;
    cv_wide *rho = CV_NEW(room, cv_wide), two_by_z;
    cv_u128 *mass = CV_NEW(room, cv_u128);
    cv_wide g = exp_minus_half(d->table.den, d->table.num);
    uint32_t n = fill_rho(rho, room, &two_by_z, &g);
    double next;
    d->top = fill_mass(mass, &next, rho, n, &two_by_z);

    mass[0] = (cv_u128)1 << 127;
    for (uint32_t m = 1; m <= d->top; m++)
        mass[0] -= mass[m];
    CV_CHECK(mass[0] >> 127 == 0);
    d->threshold = CV_NEW(d->top + 1, cv_u128);
    cv_u128 sum = 0;
    for (uint32_t m = 0; m < d->top; m++)
        d->threshold[m] = sum += mass[m];
    fill_cells(d);

    d->tail = next / fall_below(d->table, d->top + 1) * (1.0 + 0x1p-40);
    d->table_distance = d->top * 0x1.00001p-128 + d->tail;
    free(mass);
    free(rho);
}

/* e / (1 - e) of a level with smoothing parameter t, rounded up. */
static double smoothing_distance(double t)
{
    const double pi2 = 9.8696044010893; /* pi^2, rounded down */
    double q = exp(-2.0 * pi2 * t * t * (1.0 - 0x1p-40));
    double e = 2.0 * q / (1.0 - q);
    return e / (1.0 - e) * (1.0 + 0x1p-30);
}

static uint32_t floor_root(double x)
{
    return x < 1.0 ? 0 : (uint32_t)sqrt(x);
}

/* Multipliers for a number of levels; 0 if sigma is too small for it. */
static int choose_multipliers(cv_dgauss *d, double sigma, int levels)
{
    uint32_t k1 = 0, k2 = 0;
    double x = sigma / SMOOTH;
    if (levels == 2)
        k1 = floor_root(x - 1.0);
    for (uint32_t k = 1; levels == 3; k++) {
        double a = 1.0 + (double)k * k;
        uint32_t next = floor_root(x * sqrt(a) - a);
        double all = a + (double)next * next;
        if (!next || sigma / sqrt(a * all) < SMOOTH)
            break;
        k1 = k;
        k2 = next;
    }
    if (levels > 1 && !k1)
        return 0;
    double a = 1.0 + (double)k1 * k1, all = a + (double)k2 * k2;
    d->levels = levels;
    d->mult[0] = 1;
    d->mult[1] = k1;
    d->mult[2] = k2;
    d->smooth[1] = levels > 1 ? sigma / sqrt(all * a) : 0.0;
    d->smooth[2] = levels > 2 ? sigma * sqrt(a) / all : 0.0;
    return 1;
}

/* Find multipliers and the table's variance; 0 if there are none. */
static int plan(cv_dgauss *d, cv_variance v, int levels)
{
    double sigma = sqrt(variance_double(v));
    if (!levels)
        levels = sigma <= ONE_LEVEL ? 1 : sigma <= TWO_LEVELS ? 2 : 3;
    if (!choose_multipliers(d, sigma, levels))
        return 0;
    uint64_t all = 1 + (uint64_t)d->mult[1] * d->mult[1] +
                   (uint64_t)d->mult[2] * d->mult[2];
    cv_u128 den = (cv_u128)v.den * all;
    /* den = num / s^2, and s > 1 where there is more than one level */
    CV_CHECK(den >> 62 == 0);
    d->table = (cv_variance){v.num, (uint64_t)den};
    return sqrt(variance_double(d->table)) <= MAX_TABLE;
}

static int in_range(cv_variance v)
{
    const uint64_t limit = UINT64_C(1) << 62;
    return v.num && v.den && v.num < limit && v.den < limit &&
           (cv_u128)v.num * 16 >= v.den && v.num >> 60 < v.den;
}

int cv_dgauss_create(cv_variance v, int levels, cv_dgauss **out, cv_err *err)
{
    *out = NULL;
    CV_CHECK(levels >= 0 && levels <= CV_DGAUSS_LEVELS);
    if (!in_range(v))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "noise: expected a standard deviation of 1/4 to 2^30 "
                          "grid units, found a variance of %llu/%llu; change "
                          "the clip norm, the noise or the grid",
                          (unsigned long long)v.num, (unsigned long long)v.den);
    cv_dgauss *d = CV_NEW(1, cv_dgauss);
    if (!plan(d, v, levels)) {
        free(d);
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "noise: a variance of %llu/%llu cannot be drawn with "
                          "%d levels of tables; let the program choose",
                          (unsigned long long)v.num, (unsigned long long)v.den,
                          levels);
    }
    build(d);
    d->distance = d->levels * d->table_distance;
    for (int l = 1; l < d->levels; l++) {
        d->smooth_distance[l] = smoothing_distance(d->smooth[l]);
        d->distance += d->smooth_distance[l];
    }
    *out = d;
    return 0;
}

void cv_dgauss_destroy(cv_dgauss **d)
{
    if (!*d)
        return;
    free((*d)->threshold);
    CV_FREE(*d);
}

double cv_dgauss_distance(const cv_dgauss *d)
{
    return d->distance;
}

int64_t cv_dgauss_max(const cv_dgauss *d)
{
    int64_t sum = 0;
    for (int l = 0; l < d->levels; l++)
        sum += d->mult[l];
    return sum * (int64_t)d->top;
}

cv_dgauss_info cv_dgauss_inspect(const cv_dgauss *d)
{
    cv_dgauss_info info = {.table = d->table,
                           .top = d->top,
                           .levels = d->levels,
                           .table_distance = d->table_distance,
                           .tail_mass = d->tail};
    uint32_t unresolved = 0;
    for (uint32_t c = 0; c < CELLS; c++)
        unresolved += d->direct[c] == UNRESOLVED;
    info.unresolved = unresolved / (double)CELLS;
    for (int l = 0; l < CV_DGAUSS_LEVELS; l++) {
        info.mult[l] = d->mult[l];
        info.smooth[l] = d->smooth[l];
        info.smooth_distance[l] = d->smooth_distance[l];
    }
    return info;
}

void cv_dgauss_mass(const cv_dgauss *d, int64_t x, uint64_t *hi, uint64_t *lo)
{
    uint64_t m = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    cv_u128 below = 0, above = (cv_u128)1 << 127;
    if (m > d->top) {
        *hi = *lo = 0;
        return;
    }
    if (m)
        below = d->threshold[m - 1];
    if (m < d->top)
        above = d->threshold[m];
    cv_u128 mass = (above - below) << (m == 0);
    *hi = (uint64_t)(mass >> 64);
    *lo = (uint64_t)mass;
}

#include "solver/block_cyclic.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "mpi/reduce.h"
#include "solver/blas.h"
#include "solver/scalapack.h"

typedef enum { VALUES, FACTOR, SPENT } contents;

struct cv_dist {
    MPI_Comm comm; /* own */
    int rank;
    cv_scalapack_grid grid;
    cv_scalapack_matrix a;
    contents what; /* a call in the wrong order is a bug, and would give numbers
                    * all the same */
};

/* Largest block. With larger ones the unblocked part on the diagonal counts,
 * with smaller ones the messages. */
enum { BLOCK_MAX = 128, BLOCK_UNIT = 8, BLOCKS_EACH = 4 };

cv_dist_grid cv_dist_choose(int ranks, int64_t n)
{
    CV_CHECK(ranks >= 1 && n >= 0);
    cv_dist_grid g = {1, ranks, BLOCK_MAX};
    for (int r = 1; (int64_t)r * r <= ranks; r++)
        if (ranks % r == 0)
            g.rows = r;
    g.cols = ranks / g.rows;
    /* A few blocks for every place of a grid row: else some of them wait. */
    int64_t unit = (int64_t)BLOCK_UNIT * BLOCKS_EACH * g.cols;
    int64_t nb = (n + unit - 1) / unit * BLOCK_UNIT;
    if (nb < g.nb)
        g.nb = nb > BLOCK_UNIT ? (int)nb : BLOCK_UNIT;
    return g;
}

/* Rows or columns of n on place 0, which has most. */
static int64_t most(int64_t n, int nb, int places)
{
    int64_t blocks = (n + nb - 1) / nb, rounds = blocks / places;
    if (blocks % places)
        return (rounds + 1) * nb < n ? (rounds + 1) * nb : n;
    return rounds * nb;
}

int cv_dist_create_all(MPI_Comm comm, int64_t n, cv_dist **out, cv_err *err)
{
    *out = NULL;
    int ranks;
    MPI_Comm_size(comm, &ranks);
    if (n < 1)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "a matrix has at least one column, not %lld",
                          (long long)n);
    cv_dist_grid g = cv_dist_choose(ranks, n);
    /* ScaLAPACK counts a rank's elements, and MPI a panel's, in int. */
    if (n > INT_MAX / g.nb ||
        most(n, g.nb, g.rows) > INT_MAX / most(n, g.nb, g.cols))
        return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                          "a matrix of %lld columns does not fit on %d ranks: "
                          "use more ranks, or fewer columns",
                          (long long)n, ranks);
    cv_blas_threads(); /* before the first product */
    cv_dist *d = CV_NEW(1, cv_dist);
    MPI_Comm_dup(comm, &d->comm);
    MPI_Comm_rank(comm, &d->rank);
    d->grid = cv_scalapack_grid_all(d->comm, g.rows, g.cols);
    d->a = cv_scalapack_shape(&d->grid, (int)n, (int)n, g.nb, g.nb);
    d->a.local = cv_calloc(cv_dist_bytes(d), 1);
    *out = d;
    return 0;
}

void cv_dist_destroy_all(cv_dist **d)
{
    if (!*d)
        return;
    cv_scalapack_grid_free_all(&(*d)->grid);
    MPI_Comm_free(&(*d)->comm);
    free((*d)->a.local);
    CV_FREE(*d);
}

int64_t cv_dist_n(const cv_dist *d)
{
    return d->a.rows;
}

cv_dist_grid cv_dist_grid_of(const cv_dist *d)
{
    cv_dist_grid g = {d->grid.rows, d->grid.cols, d->a.nb};
    return g;
}

size_t cv_dist_bytes(const cv_dist *d)
{
    return (size_t)d->a.local_rows * (size_t)d->a.local_cols * sizeof(double);
}

/* A panel: block column J, w columns. Packed, each rank of its grid column has
 * its columns one after another, as they lie in its local part: of each the rows
 * of its blocks above block row J, and if it has that one (place `last`), the
 * rows down to the diagonal. */
typedef struct {
    int64_t j0;
    int w, J, col, last;
} panel;

static panel panel_at(const cv_dist *d, int64_t j0)
{
    int nb = d->a.nb;
    CV_CHECK(j0 >= 0 && j0 < d->a.cols && j0 % nb == 0);
    panel p = {.j0 = j0, .J = (int)(j0 / nb)};
    p.w = d->a.cols - j0 < nb ? (int)(d->a.cols - j0) : nb;
    p.col = p.J % d->grid.cols;
    p.last = p.J % d->grid.rows;
    return p;
}

/* Rows that grid row r has above the panel's last block. */
static int64_t rows_above(const cv_dist *d, const panel *p, int r)
{
    int R = d->grid.rows;
    return (int64_t)(p->J / R + (r < p->J % R)) * d->a.nb;
}

/* Where column jj of grid row r's part of the panel begins, within that part. */
static int64_t column_at(const cv_dist *d, const panel *p, int r, int64_t jj)
{
    int64_t at = rows_above(d, p, r) * jj;
    return r == p->last ? at + jj * (jj + 1) / 2 : at;
}

int64_t cv_dist_panel_words(const cv_dist *d, int64_t j0)
{
    panel p = panel_at(d, j0);
    return p.j0 * p.w + (int64_t)p.w * (p.w + 1) / 2;
}

void cv_dist_panel_counts(const cv_dist *d, int64_t j0, int *counts)
{
    panel p = panel_at(d, j0);
    int R = d->grid.rows, C = d->grid.cols;
    memset(counts, 0, (size_t)R * (size_t)C * sizeof *counts);
    for (int r = 0; r < R; r++)
        counts[r * C + p.col] = (int)column_at(d, &p, r, p.w);
}

void cv_dist_panel_order(const cv_dist *d, int64_t j0, int64_t *place)
{
    panel p = panel_at(d, j0);
    int R = d->grid.rows, nb = d->a.nb;
    /* The parts stand in the order of ranks, and so of grid rows. */
    int64_t base = 0;
    for (int r = 0; r < R; r++) {
        for (int64_t I = r; I <= p.J; I += R)
            for (int64_t i = I * nb; i < (I + 1) * nb && i < j0 + p.w; i++)
                for (int64_t jj = 0; jj < p.w; jj++)
                    place[i * p.w + jj] = i > j0 + jj
                                              ? -1
                                              : base + column_at(d, &p, r, jj) +
                                                    I / R * nb + i % nb;
        base += column_at(d, &p, r, p.w);
    }
}

/* The local column of a global one that this rank has. */
static double *local_column(const cv_dist *d, int64_t j)
{
    int64_t nb = d->a.nb;
    int64_t at = j / (nb * d->grid.cols) * nb + j % nb;
    return d->a.local + at * d->a.local_rows;
}

void cv_dist_panel_put(cv_dist *d, int64_t j0, const double *mine)
{
    panel p = panel_at(d, j0);
    d->what = VALUES;
    if (d->grid.col != p.col)
        return;
    for (int64_t jj = 0; jj < p.w; jj++) {
        int64_t from = column_at(d, &p, d->grid.row, jj);
        int64_t to = rows_above(d, &p, d->grid.row);
        if (d->grid.row == p.last)
            to += jj + 1;
        memcpy(local_column(d, j0 + jj), mine + from,
               (size_t)to * sizeof *mine);
    }
}

/* Element (i, i) if this rank has it, else NULL. */
static double *diagonal(const cv_dist *d, int64_t i)
{
    int64_t nb = d->a.nb, block = i / nb;
    if (block % d->grid.rows != d->grid.row ||
        block % d->grid.cols != d->grid.col)
        return NULL;
    return local_column(d, i) + block / d->grid.rows * nb + i % nb;
}

void cv_dist_add_diagonal(cv_dist *d, const double *v)
{
    CV_CHECK(d->what == VALUES);
    for (int64_t i = 0; i < d->a.rows; i++) {
        double *a = diagonal(d, i);
        if (a)
            *a += v[i];
    }
}

static void min_all(MPI_Comm comm, int64_t *v)
{
    MPI_Allreduce(MPI_IN_PLACE, v, 1, MPI_INT64_T, MPI_MIN, comm);
}

int cv_dist_factor_all(cv_dist *d, int64_t *column, cv_err *err)
{
    CV_CHECK(d->what == VALUES);
    int64_t n = d->a.rows, first = n;
    int info = cv_scalapack_potrf_all(&d->a);
    if (info > 0)
        first = info - 1;
    /* The library compares with 0 only: NaN passes, and so does infinity. */
    for (int64_t i = 0; i < first; i++) {
        const double *a = diagonal(d, i);
        if (a && !(isfinite(*a) && *a > 0))
            first = i;
    }
    min_all(d->comm, &first);
    d->what = first < n ? SPENT : FACTOR;
    if (column)
        *column = first < n ? first : -1;
    if (first < n)
        return cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                          "a matrix of %lld columns is not positive definite: "
                          "column %lld, counted from 0, is a combination of "
                          "those before it, or is not finite",
                          (long long)n, (long long)first);
    return 0;
}

/* Every element of v (n) is set on one rank and 0 on the others; a sum of their
 * bits has no rounding: the same bytes everywhere. */
static void gather_all(MPI_Comm comm, double *v, size_t n)
{
    cv_sum_u64_all(comm, (uint64_t *)(void *)v, n);
}

/* Copy what this rank has of full (n, k), column by column, to its part, or
 * back. */
static void copy_part(const cv_scalapack_matrix *m, double *full, int back)
{
    const cv_scalapack_grid *g = m->grid;
    for (int64_t j = 0; j < m->local_cols; j++) {
        int64_t J = j / m->nb * g->cols + g->col;
        double *column = full + (J * m->nb + j % m->nb) * m->rows;
        double *local = m->local + j * m->local_rows;
        for (int64_t i = 0; i < m->local_rows; i += m->mb) {
            int64_t left = m->local_rows - i;
            size_t bytes = (size_t)(left < m->mb ? left : m->mb) * sizeof *full;
            double *rows = column + (i / m->mb * g->rows + g->row) * m->mb;
            memcpy(back ? rows : local + i, back ? local + i : rows, bytes);
        }
    }
}

void cv_dist_solve_all(cv_dist *d, double *b, int k)
{
    CV_CHECK(d->what == FACTOR && k >= 0);
    if (k == 0)
        return;
    /* Every grid column gets its share of right-hand sides. */
    int nb = (k - 1) / d->grid.cols + 1;
    cv_scalapack_matrix x =
        cv_scalapack_shape(&d->grid, d->a.rows, k, d->a.nb, nb);
    CV_CHECK(x.local_cols <= INT_MAX / d->a.rows);
    size_t words = (size_t)x.local_rows * (size_t)x.local_cols;
    x.local = CV_NEW(words, double);
    copy_part(&x, b, 0);
    cv_scalapack_potrs_all(&d->a, &x);
    size_t all = (size_t)d->a.rows * (size_t)k;
    memset(b, 0, all * sizeof *b);
    copy_part(&x, b, 1);
    free(x.local);
    gather_all(d->comm, b, all);
}

int cv_dist_inverse_diagonal_all(cv_dist *d, double *diag, cv_err *err)
{
    CV_CHECK(d->what == FACTOR);
    int64_t n = d->a.rows, bad = n;
    int info = cv_scalapack_potri_all(&d->a);
    CV_CHECK(info == 0); /* a factor has no 0 on its diagonal */
    d->what = SPENT;
    for (int64_t i = 0; i < n; i++) {
        const double *a = diagonal(d, i);
        diag[i] = a ? *a : 0;
    }
    gather_all(d->comm, diag, (size_t)n);
    for (int64_t i = n; i-- > 0;)
        if (!(isfinite(diag[i]) && diag[i] > 0))
            bad = i;
    if (bad < n)
        return cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                          "the inverse of a matrix of %lld columns is not "
                          "finite: its columns are nearly combinations of each "
                          "other (column %lld, counted from 0)",
                          (long long)n, (long long)bad);
    return 0;
}

/* Trace and sum of squares of the whole matrix: the sums of its eigenvalues and
 * of their squares. */
typedef struct {
    double trace, squares;
} moments;

static moments moments_all(const cv_dist *d)
{
    double sums[2] = {0, 0};
    for (int64_t j0 = 0; j0 < d->a.cols; j0 += d->a.nb) {
        panel p = panel_at(d, j0);
        if (p.col != d->grid.col)
            continue;
        for (int64_t jj = 0; jj < p.w; jj++) {
            const double *a = local_column(d, j0 + jj);
            int64_t rows = rows_above(d, &p, d->grid.row);
            int has = d->grid.row == p.last;
            for (int64_t i = 0; i < rows + (has ? jj : 0); i++)
                sums[1] += 2 * a[i] * a[i];
            if (has) {
                sums[0] += a[rows + jj];
                sums[1] += a[rows + jj] * a[rows + jj];
            }
        }
    }
    cv_sum_f64_all(d->comm, sums, 2);
    moments m = {sums[0], sums[1]};
    return m;
}

/* Do the eigenvalues belong to a matrix with these moments, up to rounding? The
 * library drops the errors of some of its steps. */
static int plausible(const double *values, int64_t n, moments want)
{
    moments m = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        m.trace += values[i];
        m.squares += values[i] * values[i];
    }
    double slack = 1e-10 * (double)n;
    return fabs(m.trace - want.trace) <= slack * sqrt(want.squares) &&
           fabs(m.squares - want.squares) <= slack * want.squares;
}

/* The sign of a vector is anybody's choice: the first of its largest elements is
 * positive. */
static void fix_sign(double *v, int64_t n)
{
    int64_t top = 0;
    for (int64_t i = 1; i < n; i++)
        if (fabs(v[i]) > fabs(v[top]))
            top = i;
    if (v[top] < 0)
        for (int64_t i = 0; i < n; i++)
            v[i] = -v[i];
}

/* The last k columns of z (n, n), last first, in the rows of v (k, n). */
static void gather_vectors_all(const cv_dist *d, const cv_scalapack_matrix *z,
                               double *v, int k)
{
    int64_t n = z->rows;
    memset(v, 0, (size_t)k * (size_t)n * sizeof *v);
    for (int64_t j = 0; j < z->local_cols; j++) {
        int64_t J = j / z->nb * d->grid.cols + d->grid.col;
        int64_t row = n - 1 - (J * z->nb + j % z->nb);
        if (row >= k)
            continue;
        for (int64_t i = 0; i < z->local_rows; i++) {
            int64_t I = i / z->mb * d->grid.rows + d->grid.row;
            v[row * n + I * z->mb + i % z->mb] =
                z->local[j * z->local_rows + i];
        }
    }
    gather_all(d->comm, v, (size_t)k * (size_t)n);
    for (int64_t row = 0; row < k; row++)
        fix_sign(v + row * n, n);
}

int cv_dist_eigen_all(cv_dist *d, double *values, double *v, int k, cv_err *err)
{
    int64_t n = d->a.rows;
    CV_CHECK(d->what == VALUES && k >= 0 && k <= n);
    if (cv_scalapack_syevd_work(&d->a) >= INT_MAX)
        return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                          "eigenvectors of %lld columns do not fit on %d "
                          "ranks: use more ranks, or fewer columns",
                          (long long)n, d->grid.rows * d->grid.cols);
    moments want = moments_all(d);
    int64_t ok = isfinite(want.squares) && isfinite(want.trace);
    min_all(d->comm, &ok);
    if (!ok)
        return cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                          "a matrix of %lld columns has a value that is not "
                          "finite, or too large to square",
                          (long long)n);
    cv_scalapack_matrix z = d->a;
    z.local = cv_calloc(cv_dist_bytes(d), 1);
    ok = cv_scalapack_syevd_all(&d->a, values, &z) == 0;
    d->what = SPENT;
    /* Ranks may differ in them, by rounding or altogether. */
    cv_bcast_bytes_all(d->comm, values, (size_t)n * sizeof *values, 0);
    ok = ok && plausible(values, n, want);
    min_all(d->comm, &ok);
    if (ok) {
        for (int64_t i = 0; i < n / 2; i++) {
            double t = values[i];
            values[i] = values[n - 1 - i];
            values[n - 1 - i] = t;
        }
        gather_vectors_all(d, &z, v, k);
    }
    free(z.local);
    if (!ok)
        return cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                          "the eigenvalues of a matrix of %lld columns were "
                          "not found",
                          (long long)n);
    return 0;
}

#include "solver/blas.h"

#include <cblas.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/err.h"
#include "core/text.h"

/* Set before the first parallel work, read from then on. */
static _Atomic int granted;

const char *cv_blas_core(void)
{
    return openblas_get_corename();
}

/* A positive number in the environment, or otherwise. */
static int from_env(const char *name, int otherwise)
{
    int64_t n;
    const char *text = getenv(name);
    if (!text || cv_parse_i64(&n, text) || n < 1 || n > INT_MAX)
        return otherwise;
    return (int)n;
}

static int allowed_cpus(void)
{
    /* The mask of a machine with more than 1024 processors does not fit. */
    cpu_set_t mask;
    int all = (int)sysconf(_SC_NPROCESSORS_ONLN), n = all;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0)
        n = CPU_COUNT(&mask);
    /* Not bound: the other ranks of this node (Open MPI, MPICH) see the same
     * processors. */
    if (n == all)
        n /= from_env("OMPI_COMM_WORLD_LOCAL_SIZE",
                      from_env("MPI_LOCALNRANKS", 1));
    int slurm = from_env("SLURM_CPUS_PER_TASK", INT_MAX);
    n = slurm < n ? slurm : n;
    return n > 0 ? n : 1;
}

int cv_blas_set_threads(int asked)
{
    int limit = allowed_cpus();
    int n = asked < 1 ? 1 : asked < limit ? asked : limit;
    openblas_set_num_threads(n);
    granted = n;
    return n;
}

int cv_blas_threads(void)
{
    if (!granted)
        cv_blas_set_threads(1);
    return granted;
}

static blasint dim(int64_t n)
{
    CV_CHECK(n >= 0 && n <= INT_MAX);
    return (blasint)n;
}

void cv_blas_sgemm(int a_t, int b_t, int64_t m, int64_t n, int64_t k,
                   float alpha, const float *a, int64_t lda, const float *b,
                   int64_t ldb, float beta, float *c, int64_t ldc)
{
    cv_blas_threads();
    cblas_sgemm(CblasRowMajor, a_t ? CblasTrans : CblasNoTrans,
                b_t ? CblasTrans : CblasNoTrans, dim(m), dim(n), dim(k), alpha,
                a, dim(lda), b, dim(ldb), beta, c, dim(ldc));
}

void cv_blas_dgemm(int a_t, int b_t, int64_t m, int64_t n, int64_t k,
                   double alpha, const double *a, int64_t lda, const double *b,
                   int64_t ldb, double beta, double *c, int64_t ldc)
{
    cv_blas_threads();
    cblas_dgemm(CblasRowMajor, a_t ? CblasTrans : CblasNoTrans,
                b_t ? CblasTrans : CblasNoTrans, dim(m), dim(n), dim(k), alpha,
                a, dim(lda), b, dim(ldb), beta, c, dim(ldc));
}

void cv_blas_dsyrk(int a_t, int64_t n, int64_t k, double alpha, const double *a,
                   int64_t lda, double beta, double *c, int64_t ldc)
{
    cv_blas_threads();
    cblas_dsyrk(CblasRowMajor, CblasUpper, a_t ? CblasTrans : CblasNoTrans,
                dim(n), dim(k), alpha, a, dim(lda), beta, c, dim(ldc));
}

void cv_blas_dgemv(int a_t, int64_t m, int64_t n, double alpha, const double *a,
                   int64_t lda, const double *x, double beta, double *y)
{
    cv_blas_threads();
    cblas_dgemv(CblasRowMajor, a_t ? CblasTrans : CblasNoTrans, dim(m), dim(n),
                alpha, a, dim(lda), x, 1, beta, y, 1);
}

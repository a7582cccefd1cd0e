/* The accountant's Fourier transforms, against sums and, where it is
 * installed, against FFTW. */
#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "privacy/fft.h"

static void fill(double *x, size_t n, uint64_t seed)
{
    cv_stream s;
    cv_stream_open(&s, seed, "test", 0, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = cv_stream_normal(&s);
    cv_stream_close(&s);
}

/* The bound of the header. */
static double bound(const double *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += fabs(x[i]);
    return 8.0 * 0x1p-53 * log2((double)n) * sum;
}

static void forward_is_the_sum(void **state)
{
    (void)state;
    for (size_t n = 4; n <= 512; n *= 2) {
        cv_fft *f = cv_fft_create(n);
        double *x = CV_NEW(n, double), e = 0.0;
        cv_complex *y = CV_NEW(n / 2 + 1, cv_complex);
        fill(x, n, n);
        cv_fft_forward(f, y, x);
        for (size_t k = 0; k <= n / 2; k++) {
            long double re = 0.0L, im = 0.0L;
            for (size_t j = 0; j < n; j++) {
                long double a =
                    -2.0L * 3.141592653589793238462643L * (j * k % n) / n;
                re += x[j] * cosl(a);
                im += x[j] * sinl(a);
            }
            e = fmax(e, hypot((double)(y[k].re - re), (double)(y[k].im - im)));
        }
        assert_true(e <= bound(x, n));
        free(x);
        free(y);
        cv_fft_destroy(&f);
        assert_null(f);
    }
}

static void inverse_takes_it_back(void **state)
{
    (void)state;
    for (size_t n = 4; n <= ((size_t)1 << 19); n *= 2) {
        cv_fft *f = cv_fft_create(n);
        double *x = CV_NEW(n, double), *z = CV_NEW(n, double), e = 0.0;
        cv_complex *y = CV_NEW(n / 2 + 1, cv_complex);
        fill(x, n, n);
        cv_fft_forward(f, y, x);
        assert_true(y[0].im == 0.0 && y[n / 2].im == 0.0);
        cv_fft_inverse(f, z, y);
        for (size_t i = 0; i < n; i++)
            e = fmax(e, fabs(z[i] - x[i]));
        assert_true(e < 1e-13);
        memcpy(y, x, n * sizeof *x); /* n/2 complex points */
        cv_fft_complex(f, y, 0);
        cv_fft_complex(f, y, 1);
        e = 0.0;
        for (size_t i = 0; i < n / 2; i++)
            e = fmax(e, hypot(y[i].re - x[2 * i], y[i].im - x[2 * i + 1]));
        assert_true(e < 1e-13);
        free(x);
        free(y);
        free(z);
        cv_fft_destroy(&f);
    }
}

/* Products of spectra are circular convolutions. */
static void convolves(void **state)
{
    (void)state;
    enum { N = 64 };
    double x[N] = {0}, y[N] = {0}, z[N];
    x[3] = 0.25, x[60] = 0.75;
    y[10] = 0.5, y[1] = 0.5;
    cv_fft *f = cv_fft_create(N);
    cv_complex a[N / 2 + 1], b[N / 2 + 1];
    cv_fft_forward(f, a, x);
    cv_fft_forward(f, b, y);
    for (int k = 0; k <= N / 2; k++)
        a[k] = (cv_complex){a[k].re * b[k].re - a[k].im * b[k].im,
                            a[k].re * b[k].im + a[k].im * b[k].re};
    cv_fft_inverse(f, z, a);
    for (int i = 0; i < N; i++) {
        double want = i == 4 || i == 13   ? 0.125
                      : i == 61 || i == 6 ? 0.375
                                          : 0.0;
        assert_true(fabs(z[i] - want) < 1e-16);
    }
    cv_fft_destroy(&f);
}

typedef void *(*plan_fn)(int, double *, cv_complex *, unsigned);
typedef void (*run_fn)(void *);

static void agrees_with_fftw(void **state)
{
    (void)state;
    void *lib = dlopen("libfftw3.so.3", RTLD_NOW | RTLD_LOCAL);
    if (lib == NULL)
        skip();
    plan_fn make;
    run_fn execute, drop;
    void (*clean)(void);
    *(void **)&make = dlsym(lib, "fftw_plan_dft_r2c_1d");
    *(void **)&execute = dlsym(lib, "fftw_execute");
    *(void **)&drop = dlsym(lib, "fftw_destroy_plan");
    *(void **)&clean = dlsym(lib, "fftw_cleanup");
    assert_true(make != NULL && execute != NULL && drop != NULL &&
                clean != NULL);
    for (size_t n = 4; n <= ((size_t)1 << 18); n *= 2) {
        cv_fft *f = cv_fft_create(n);
        double *x = CV_NEW(n, double), e = 0.0;
        cv_complex *y = CV_NEW(n / 2 + 1, cv_complex),
                   *z = CV_NEW(n / 2 + 1, cv_complex);
        void *p = make((int)n, x, z, 1u << 6); /* FFTW_ESTIMATE */
        fill(x, n, n);
        cv_fft_forward(f, y, x);
        execute(p);
        for (size_t k = 0; k <= n / 2; k++)
            e = fmax(e, hypot(y[k].re - z[k].re, y[k].im - z[k].im));
        /* Typical errors grow with the root of n. */
        assert_true(e < 2e-15 * sqrt((double)n) * log2((double)n));
        drop(p);
        free(x);
        free(y);
        free(z);
        cv_fft_destroy(&f);
    }
    clean();
    dlclose(lib);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_sum),
        cmocka_unit_test(inverse_takes_it_back),
        cmocka_unit_test(convolves),
        cmocka_unit_test(agrees_with_fftw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/** Power-of-two Fourier transforms in double, for the accountant.
 *
 *  Forward: X_k = sum_j x_j exp(-2 pi i j k / n). The inverse divides by n.
 *  Rounding: every output is within 8 u log2(n) sum |x_j| of the exact value
 *  (u = 2^-53); typical errors are far smaller.
 */
#ifndef COVEY_PRIVACY_FFT_H
#define COVEY_PRIVACY_FFT_H

#include <stddef.h>

/** Not C's own complex: its product tests for infinities. */
typedef struct {
    double re, im;
} cv_complex;

typedef struct cv_fft cv_fft;

/** Tables and work space for real transforms of length n = 2^k >= 4 and
 *  complex ones of length n/2; about 36 n bytes.
 *
 *  Scope:  local; one plan must not be used by two threads at once
 */
cv_fft *cv_fft_create(size_t n);
void cv_fft_destroy(cv_fft **f);

/** Real to half spectrum.
 *
 *  In:   in   double[n]
 *  Out:  out  cv_complex[n/2 + 1]; out[0] and out[n/2] are real
 */
void cv_fft_forward(cv_fft *f, cv_complex *out, const double *in);

/** Half spectrum to real; the inverse of cv_fft_forward.
 *
 *  In:   in   cv_complex[n/2 + 1]; imaginary parts of the ends are ignored
 *  Out:  out  double[n]
 */
void cv_fft_inverse(cv_fft *f, double *out, const cv_complex *in);

/** Complex transform of n/2 points, in place.
 *
 *  In/Out:  x  cv_complex[n/2];  In: inverse  0 or 1
 */
void cv_fft_complex(cv_fft *f, cv_complex *x, int inverse);

#endif

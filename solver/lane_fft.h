/** Fourier transforms of 16 signals at once.
 *
 *  Small transforms leave a vector unit no long loops, but many signals of one
 *  size do: a point holds the real parts of 16 signals, then their imaginary
 *  parts, and every operation is a loop over the signals.  Each signal sees the
 *  same operations in the same order whatever the CPU.
 *
 *  Any size that is not prime: radices 2, 3, 4, 5 and, for other primes, the definition.
 *  Scope: local.
 *  Source: Stockham's autosort algorithm, e.g. Van Loan 1992, section 1.7.
 */
#ifndef COVEY_SOLVER_LANE_FFT_H
#define COVEY_SOLVER_LANE_FFT_H

#include <stddef.h>

enum {
    CV_LANES = 16,
    CV_POINT = 2 * CV_LANES, /* floats: real parts, imaginary parts */
    CV_FFT_STAGES = 32
};

typedef struct {
    int n, n_stages;
    int radix[CV_FFT_STAGES];
    float *twiddle[CV_FFT_STAGES]; /* (n of the stage / radix, radix - 1, 2) */
    float *root[CV_FFT_STAGES];    /* (radix, 2): exp(-2 pi i k / radix) */
} cv_lane_fft;

/** n > 4, not prime. Free with cv_lane_fft_free. */
void cv_lane_fft_init(cv_lane_fft *f, int n);
void cv_lane_fft_free(cv_lane_fft *f);

/** In place, not normalised: X_k = sum_j x_j exp(-+2 pi i j k / n) along both
 *  axes, with + if `inverse`.
 *
 *  In/Out: x     (rows->n, columns->n) points, 64-byte aligned
 *  Scratch: room (2 max(rows->n, columns->n)) points
 */
void cv_lane_fft_2d(const cv_lane_fft *rows, const cv_lane_fft *columns,
                    float *x, int inverse, float *room);

#endif

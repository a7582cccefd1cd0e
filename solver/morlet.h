/** Filters of the scattering transform on a torus of pixels.
 *
 *  Wavelet: psi(u) = g(u) (exp(i xi . u) - K), g a Gaussian window of standard
 *  deviation sigma_j = 0.8 2^j along the direction of xi and sigma_j / slant
 *  across it, slant = 4 / L; |xi| = 3 pi / 4 / 2^j, at the angle
 *  (L / 2 - 1 - angle) pi / L from the axis of rows; K such that psi has mean 0.
 *  Low-pass: phi, a Gaussian of standard deviation 0.8 2^(J-1).  Both windows
 *  have integral 1.  Sampled at whole pixels and wrapped round the torus.
 *
 *  Scope: local.
 *  Source: Bruna and Mallat 2013 (Morlet wavelets); parameters of Oyallon and
 *  Mallat 2015 and of Kymatio's Scattering2D.
 */
#ifndef COVEY_SOLVER_MORLET_H
#define COVEY_SOLVER_MORLET_H

enum { CV_MORLET_SCALES = 2, CV_MORLET_ANGLES = 8 }; /* J, L */

/** The wavelet's Fourier transform, which is real, times `factor`.
 *  out (height, width): frequencies 2 pi row / height, 2 pi column / width. */
void cv_morlet(float *out, int height, int width, int scale, int angle,
               double factor);

/** phi along one axis of n pixels, for signals of which every 2^scale-th pixel
 *  is kept: its Fourier transform is cut to their frequencies.
 *  out (n / 2^scale), circular; out[0] is the middle. */
void cv_morlet_low_pass(double *out, int n, int scale);

#endif

/** The privacy loss of one step on a grid: connect the dots. Used by pld.c. */
#ifndef COVEY_PRIVACY_PLD_STEP_H
#define COVEY_PRIVACY_PLD_STEP_H

#include <stddef.h>
#include <stdint.h>

typedef enum { CV_REMOVE = 0, CV_ADD = 1 } cv_direction;

typedef struct {
    int64_t first;   /* p[i] is the mass at loss (first + i) h */
    size_t n;        /* points */
    double *p;       /* owned */
    double infinite; /* mass at +infinity */
} cv_loss_grid;

/** Largest number of points that cv_loss_grid_create makes at spacing h. */
double cv_loss_grid_size(double noise, double q, double reach, double h);

/** A distribution that dominates the privacy loss of one step.
 *
 *  Scope:    local
 *  In:       noise > 0, q in (0, 1];  h > 0 grid spacing
 *            reach  noise further out than reach sigmas counts as a loss of
 *                   +infinity (or moves up to the lowest loss kept)
 *  Out:      g      free with cv_loss_grid_free
 *  Source:   Doroshenko, Ghazi, Kamath, Kumar, Manurangsi 2022, algorithm 1
 */
void cv_loss_grid_create(cv_loss_grid *g, cv_direction dir, double noise,
                         double q, double h, double reach);
void cv_loss_grid_free(cv_loss_grid *g);

#endif

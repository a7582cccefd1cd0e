/** Split one data set into simulated silos. */
#ifndef COVEY_IO_PARTITION_H
#define COVEY_IO_PARTITION_H

#include <stdint.h>

#include "io/job.h"

/** silo_of[i] = silo of row i; every rank computes the same.
 *
 *  In:  y (n_rows) target: classes are its distinct values, used by dirichlet
 *       and shards; may be NULL for iid and modulo
 *  dirichlet: for each class, proportions over silos ~ Dirichlet(alpha)
 *       (Hsu, Qi, Brown 2019); shards: rows sorted by class, cut into 2n
 * shards, two for each silo (McMahan et al. 2017)
 */
void cv_partition_rows(int32_t *silo_of, const float *y, int64_t n_rows,
                       int n_silos, cv_partition kind, double alpha,
                       uint64_t seed);

#endif

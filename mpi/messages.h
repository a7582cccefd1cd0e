/** Messages of fixed size that silos show to one another.
 *
 *  What arrives is what somebody sent: nothing here checks it.
 */
#ifndef COVEY_MPI_MESSAGES_H
#define COVEY_MPI_MESSAGES_H

#include <stddef.h>

#include "mpi/fed.h"

/** Every silo's message, at every leader.
 *
 *  Scope:  collective on fed->leaders (k must match)
 *  In:     mine  (n_hosted, k) bytes, one message for each of this rank's silos
 *  Out:    all   (n_silos, k) bytes, by number of the silo
 */
void cv_gather_messages_all(const cv_fed *fed, void *all, const void *mine,
                            size_t k);

#endif

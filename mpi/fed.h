/** The federation: which rank hosts which silos, and the communicators.
 *
 *  With fewer ranks than silos a rank hosts several silos, one after the other;
 *  with more, the extra ranks join a silo and share its batches.  The first
 *  rank of a silo is its leader; world rank 0 is always a leader and the root.
 */
#ifndef COVEY_MPI_FED_H
#define COVEY_MPI_FED_H

#include <mpi.h>
#include <stdint.h>

#include "core/err.h"

typedef struct {
    MPI_Comm world; /* every rank */
    int rank, size;
    MPI_Comm silo; /* the ranks that share this rank's silo(s) */
    int part, n_parts;
    MPI_Comm leaders;    /* MPI_COMM_NULL on a rank that is not a leader */
    int n_silos;         /* of the job */
    int first, n_hosted; /* this rank has silos [first, first + n_hosted) */
    int n_leaders;
    int *lead_first, *lead_hosted; /* (n_leaders) silos of each leader, in the
                                    * order of `leaders` */
} cv_fed;

typedef struct {
    int first, n_hosted; /* silos of a rank */
    int part, n_parts;   /* its place among the ranks of that silo */
} cv_fed_place;

/** Who hosts what: a pure function, the same on every rank.
 *
 *  Scope:  local
 *  In:     size ranks;  n_silos;  wish (n_silos) wished ranks, or NULL;
 *          claims (size) silo claimed by each rank or -1, or NULL;
 *          names (n_silos) for messages, or NULL
 *  Out:    place (size)
 *  Spare ranks first fill the wishes, one silo after another, then go round.
 *  Errors: CV_ERR_INPUT if only some ranks claim, or a silo is claimed by none
 */
int cv_fed_assign(cv_fed_place *place, int size, int n_silos, const int *wish,
                  const int *claims, const char *const *names, cv_err *err);

/** Split world. Collective on world; n_silos and wish must match; claim is this
 *  rank's claimed silo or -1. Free with cv_fed_destroy (collective). */
int cv_fed_create_all(cv_fed *fed, MPI_Comm world, int n_silos, const int *wish,
                      int claim, const char *const *names, cv_err *err);
void cv_fed_destroy_all(cv_fed *fed);

static inline int cv_fed_is_leader(const cv_fed *fed)
{
    return fed->part == 0;
}

#endif

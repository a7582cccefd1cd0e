/** Agreement: all ranks learn of one rank's error, or that there is none.
 *
 *  An early return on one rank hangs the others.  So code reads: local phase,
 *  cv_agree_all, collective phase; and cv_agree_all returns the same code and
 *  the same text everywhere.
 */
#ifndef COVEY_MPI_AGREE_H
#define COVEY_MPI_AGREE_H

#include <mpi.h>
#include <stdint.h>

#include "core/err.h"

/** Scope:   collective on comm
 *  In:      rc    this rank's result, 0 or a negative cv_code
 *  In/Out:  err   this rank's error if rc < 0; on return the error of the
 *                 lowest failing rank. err->site never travels: the failing
 *                 rank writes it to its own log.
 *  Returns: that error's code, or 0 if no rank failed
 *
 *  Others can add a failure, never take one back: a rank that failed and is told
 *  that none did says so and ends the job (MPI_Abort), for then the messages
 *  between ranks are being changed.
 */
int cv_agree_all(MPI_Comm comm, int rc, cv_err *err);

/** Is `mine` true on any rank? Collective. A rank's own yes counts whatever the
 *  others seem to say, as above; what: the sentence to end with. */
int cv_any_all(MPI_Comm comm, int mine, const char *what);

/** Is a 32-byte digest the same on all ranks? Collective.
 *  Returns 0, or 1 + the lowest rank whose digest differs from rank 0's. */
int cv_same_digest_all(MPI_Comm comm, const uint8_t digest[32]);

/** Broadcast a text of any length from root; on the other ranks *text is
 *  malloc'd. Collective. */
void cv_bcast_text_all(MPI_Comm comm, char **text, int root);

/** Gather every rank's text at root: texts (size) malloc'd there, NULL
 *  elsewhere. Collective. */
void cv_gather_text_all(MPI_Comm comm, const char *text, char ***texts,
                        int root);

#endif

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
 *  What other ranks, the network or the MPI library make of it is not believed
 *  blindly: if this rank failed and the agreement says that none did, or none
 *  below the rank, the program ends here and at once, on all ranks
 *  (MPI_Abort, exit code 6).
 */
int cv_agree_all(MPI_Comm comm, int rc, cv_err *err);

/** Is something so on any rank? vote (n): 0 or 1; on return 1 where any rank's
 *  was. Collective. As above, a vote of this rank that is lost ends the program;
 *  why: what it was about. */
void cv_vote_all(MPI_Comm comm, int *vote, int n, const cv_err *why);

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

/** Memory for secrets, and randomness to make them from.
 *
 *  A secret lives on pages of its own that are kept out of swap (as far as
 *  the limit on locked memory allows), out of core dumps and out of forked
 *  children (who find zeros), and that are wiped when they are given back.
 * While one is alive the process writes no core dump at all, because copies may
 * sit in registers and on the stack of a library.
 */
#ifndef COVEY_CORE_SECRET_H
#define COVEY_CORE_SECRET_H

#include <stddef.h>

/** n zeroed bytes, 64-byte aligned; never NULL (exhaustion aborts). */
void *cv_secret_alloc(size_t n);

/** Wipe and give back; NULL-safe. */
void cv_secret_free(void *p);

/** Bytes from the kernel's generator, for keys, salts and nonces. Blocks until
 *  it is seeded; aborts when there is none. */
void cv_entropy(void *out, size_t n);

/** Let no other process of the same user attach to this one or read its
 *  memory (PR_SET_DUMPABLE 0), until it ends.  Not for a process that runs
 *  under MPI: ranks of one node copy straight from each other's memory, and the
 *  kernel asks for the same permission there. */
void cv_secret_seal_process(void);

#endif

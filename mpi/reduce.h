/** Sums over ranks, in chunks.
 *
 *  MPI counts are int and one large MPI_Allreduce is slower than several of a
 *  megabyte in place (64 MB on two ranks: 61 against 32 ms), so every call here
 *  is cut into chunks. All are collective; n must match on all ranks.
 */
#ifndef COVEY_MPI_REDUCE_H
#define COVEY_MPI_REDUCE_H

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#include "mpi/fed.h"

enum { CV_CHUNK_BYTES = 1 << 20, CV_PIECE_BYTES = 1 << 20 };

/** Integer sums modulo 2^32 and 2^64, in place: no rounding and no order. */
void cv_sum_u32_all(MPI_Comm comm, uint32_t *v, size_t n);
void cv_sum_u64_all(MPI_Comm comm, uint64_t *v, size_t n);
/** acc += x, n words: the addition of cv_sum_words_all, commutative and
 *  associative. Words of other ranks may be anything. */
typedef void (*cv_add_fn)(void *acc, const void *x, size_t n);

/** What to do with words [first, first + n) of a sum as soon as they are there,
 *  while they are in the cache. Local. */
typedef void (*cv_piece_fn)(void *context, size_t first, size_t n);

/** recv = sum over comm of send (n words of `size` bytes), by any addition.
 *
 *  Scope:  collective on comm: n, size and add must match
 *  Out:    recv  (n); may be send itself, else send is kept
 *  In:     size  4 or 8
 *          each  called for every CV_PIECE_BYTES of recv, in order, each after
 *                its sum and before the next one's; NULL: nothing
 *  Neither re-entrant nor for several threads at once: MPI hands an addition no
 *  context.
 */
void cv_sum_words_all(MPI_Comm comm, void *recv, const void *send, size_t n,
                      size_t size, cv_add_fn add);
void cv_sum_pieces_all(MPI_Comm comm, void *recv, const void *send, size_t n,
                       size_t size, cv_add_fn add, cv_piece_fn each,
                       void *context);

/** Reduce-scatter: words are in the order of the ranks, counts (ranks of comm) of
 *  each; recv (counts[rank]) gets this rank's part of the sum. */
void cv_scatter_words_all(MPI_Comm comm, void *recv, const void *send,
                          const int *counts, size_t size, cv_add_fn add);

/** Floating-point sums, in place; they depend on the number of ranks. */
void cv_sum_f32_all(MPI_Comm comm, float *v, size_t n);
void cv_sum_f64_all(MPI_Comm comm, double *v, size_t n);
void cv_max_f64_all(MPI_Comm comm, double *v, size_t n);

void cv_bcast_bytes_all(MPI_Comm comm, void *data, size_t n, int root);

/** Every silo's numbers, at every rank: collective on fed->world.
 *
 *  In:   mine  (n_hosted, k) doubles of this rank's silos; read on leaders
 *  Out:  all   (n_silos, k); the bytes that the leaders gave, whoever hosts
 * what
 */
void cv_gather_silos_all(const cv_fed *fed, double *all, const double *mine,
                         size_t k);

/** out (k) = sum over all silos of their rows in `mine` (n_hosted, k), the same
 *  bytes whatever rank hosts which silo: the sum runs over integers on a grid
 *  that follows each column's largest magnitude (2^-62 of it, less head-room).
 *  A column with a value that is not finite gives NaN. Collective on
 *  fed->world; without a round trip per silo and without (n_silos, k) memory.
 */
void cv_sum_silos_all(const cv_fed *fed, double *out, const double *mine,
                      size_t k);

#endif

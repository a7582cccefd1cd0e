/** Merkle trees of rewards, as OpenZeppelin's MerkleProof checks them.
 *
 *  A node is Keccak-256 of its two children, the smaller first, so that a proof
 *  needs no sides.  The last node of a level with an odd number goes up as it
 *  is.  Leaves are hashes already, of something that is not 64 bytes long or
 *  hashed twice (chain/federation.h), so that no inner node passes for a leaf.
 *
 *  Source: OpenZeppelin Contracts 5, utils/cryptography/MerkleProof.sol.
 */
#ifndef COVEY_CHAIN_MERKLE_H
#define COVEY_CHAIN_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

enum { CV_MERKLE_DEPTH = 32 }; /* up to 2^32 leaves */

/** Root over leaves (n, 32), n > 0; one leaf is its own root. */
void cv_merkle_root(uint8_t out[32], const uint8_t *leaves, size_t n);

/** The siblings of a leaf from the bottom up: proof (CV_MERKLE_DEPTH, 32), of
 *  which count are set; one leaf has none. index < n. */
void cv_merkle_proof(const uint8_t *leaves, size_t n, size_t index,
                     uint8_t *proof, size_t *count);

/** Is the leaf in the tree? Returns 0 or CV_ERR_VERIFY. */
int cv_merkle_verify(const uint8_t root[32], const uint8_t leaf[32],
                     const uint8_t *proof, size_t count, cv_err *err);

#endif

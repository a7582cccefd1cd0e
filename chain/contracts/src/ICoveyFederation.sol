// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// What other contracts may ask a federation.  Stake, roles and votes attach
/// here: they read runs and attesters, and need no right of their own.
interface ICoveyFederation {
    /// @return jobDigest digest of the job that all attesters agreed to
    /// @return head what the run has come to; 0 if it was never opened
    /// @return lastRound 0 before the first
    /// @return attesters how many are frozen for this run
    /// @return collusion how many of them may lie together
    /// @return quorum signatures that a statement of this run needs
    function run(bytes32 runId)
        external
        view
        returns (
            bytes32 jobDigest,
            bytes32 head,
            uint64 lastRound,
            uint32 attesters,
            uint32 collusion,
            uint32 quorum
        );

    /// Position of an attester in its run; reverts if it is none of it.
    function attesterIndex(bytes32 runId, address attester)
        external
        view
        returns (uint256);

    /// Reverts unless a quorum of the run's attesters signed the digest.
    /// @param signatures 65 bytes each (r, s, v), in strictly increasing order
    /// of the signers' positions
    function checkQuorum(
        bytes32 runId,
        bytes32 digest,
        bytes calldata signatures
    ) external view;
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CoveyRewards} from "../src/CoveyRewards.sol";
import {Fixture} from "./Fixture.sol";

/// Epochs with payees, whose leaves are kept here.
abstract contract RewardsFixture is Fixture {
    function payee(uint256 i) internal pure returns (address) {
        return VM.addr(uint256(keccak256(abi.encode("payee", i))));
    }

    /// Leaf i pays amounts[i] to payee(i).
    function leavesOf(uint64 epoch, uint256[] memory amounts)
        internal
        view
        returns (bytes32[] memory leaves)
    {
        leaves = new bytes32[](amounts.length);
        for (uint256 i = 0; i < amounts.length; ++i) {
            leaves[i] = leafOf(rewards, RUN, epoch, i, payee(i), amounts[i]);
        }
    }

    function split3(uint256 a, uint256 b, uint256 c)
        internal
        pure
        returns (uint256[] memory amounts)
    {
        amounts = new uint256[](3);
        (amounts[0], amounts[1], amounts[2]) = (a, b, c);
    }

    function sum(uint256[] memory amounts)
        internal
        pure
        returns (uint256 total)
    {
        for (uint256 i = 0; i < amounts.length; ++i) {
            total += amounts[i];
        }
    }

    function epochOf(uint64 epoch, uint32 version, uint256[] memory amounts)
        internal
        view
        returns (CoveyRewards.Epoch memory e)
    {
        e.runId = RUN;
        e.epoch = epoch;
        e.version = version;
        e.head = headOf(RUN);
        e.sponsor = address(this);
        e.token = address(token);
        (e.root,) = tree(leavesOf(epoch, amounts), 0);
        e.total = sum(amounts);
        e.leaves = uint32(amounts.length);
    }

    function quorum(CoveyRewards.Epoch memory e)
        internal
        view
        returns (bytes memory)
    {
        return signedBy(three(0, 1, 3), epochDigest(rewards, e));
    }

    function post(uint64 epoch, uint32 version, uint256[] memory amounts)
        internal
    {
        CoveyRewards.Epoch memory e = epochOf(epoch, version, amounts);
        bytes memory s = quorum(e);
        rewards.postEpoch(e, s);
    }

    function object(uint256 i, uint64 epoch, uint32 version) internal {
        bytes memory s = objection(rewards, i, RUN, epoch, version);
        rewards.object(RUN, epoch, version, s);
    }

    function claim(uint64 epoch, uint256[] memory amounts, uint256 i) internal {
        (, bytes32[] memory proof) = tree(leavesOf(epoch, amounts), i);
        rewards.claim(RUN, epoch, i, payee(i), amounts[i], proof);
    }

    function free() internal view returns (uint256 f) {
        (f,,) = rewards.pool(RUN, address(token), address(this));
    }

    function allocated() internal view returns (uint256 a) {
        (, a,) = rewards.pool(RUN, address(token), address(this));
    }

    function refundableFrom() internal view returns (uint64 t) {
        (,, t) = rewards.pool(RUN, address(token), address(this));
    }

    function error1(bytes4 selector, uint256 a)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(selector, a);
    }

    function error2(bytes4 selector, uint256 a, uint256 b)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(selector, a, b);
    }
}

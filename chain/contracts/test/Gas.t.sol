// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CoveyRewards} from "../src/CoveyRewards.sol";
import {RewardsFixture} from "./RewardsFixture.sol";

/// What whole transactions cost; the numbers are kept in snapshots/.
contract GasTest is RewardsFixture {
    function used(string memory name, uint256 most) private {
        uint256 gas = VM.snapshotGasLastCall(name);
        if (gas > most) revert Differs(gas, most);
        require(gas > 21_000, "not a whole transaction");
    }

    function testOpening() public {
        open(fed, "two", 4, 1);
        used("open a run of 4", 500_000);
    }

    /// At most 8000 a round in batches of 50.
    function testRounds() public {
        commit(50);
        used("commit 50 rounds, 3 of 4, first", 400_000);
        commit(50);
        used("commit 50 rounds, 3 of 4", 400_000);
        commit(1);
        used("commit 1 round, 3 of 4", 120_000);
    }

    function testRewards() public {
        rewards.fund(RUN, address(token), 1e21);
        used("fund, first", 150_000);
        commit(50);
        uint256[] memory a = new uint256[](64);
        for (uint256 i = 0; i < 64; ++i) {
            a[i] = 1e18 + i;
        }
        CoveyRewards.Epoch memory e = epochOf(1, 1, a);
        bytes memory s = quorum(e);
        rewards.postEpoch(e, s);
        used("post an epoch, 3 of 4", 300_000);
        VM.warp(block.timestamp + WINDOW);
        claim(1, a, 5);
        used("claim, first of 64, new holder", 110_000);
        claim(1, a, 6);
        used("claim, next of 64, new holder", 110_000);
        token.transfer(payee(7), 1);
        claim(1, a, 7);
        used("claim, next of 64, holder", 110_000);
        VM.warp(block.timestamp + PERIOD);
        rewards.refund(RUN, address(token));
        used("refund", 110_000);
    }
}

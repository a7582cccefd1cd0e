// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CoveyFederation} from "../src/CoveyFederation.sol";
import {CoveyRewards} from "../src/CoveyRewards.sol";
import {RewardsFixture} from "./RewardsFixture.sol";

/// Funding, epochs, objections.
contract RewardsTest is RewardsFixture {
    uint256[] private _a;

    function setUp() public override {
        super.setUp();
        _a = split3(50, 30, 20);
        rewards.fund(RUN, address(token), 1000);
        commit(10);
    }

    function testPeriodsAreBounded() public {
        uint64 month = 30 days;
        uint64 year = 365 days;
        new CoveyRewards(month, year);
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyRewards.PeriodOutside.selector, month + 1, 1, month
            )
        );
        new CoveyRewards(month + 1, year);
        VM.expectPartialRevert(CoveyRewards.PeriodOutside.selector);
        new CoveyRewards(month, year + 1);
        VM.expectPartialRevert(CoveyRewards.PeriodOutside.selector);
        new CoveyRewards(0, 1);
        VM.expectPartialRevert(CoveyRewards.PeriodOutside.selector);
        new CoveyFederation(address(this), 1, 0);
    }

    // ------------------------------------------------------------- funding

    function testFunded() public {
        VM.expectEmit(address(rewards));
        emit CoveyRewards.Funded(RUN, address(token), address(this), 5);
        rewards.fund(RUN, address(token), 5);
        eq(free(), 1005);
        eq(token.balanceOf(address(rewards)), 1005);
        eq(refundableFrom(), block.timestamp + PERIOD);
    }

    function testFundRefused() public {
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyRewards.UnknownRun.selector, bytes32("none")
            )
        );
        rewards.fund("none", address(token), 5);
        VM.expectPartialRevert(CoveyRewards.NothingReceived.selector);
        rewards.fund(RUN, address(token), 0);
        // No code there: not a token.
        VM.expectRevert();
        rewards.fund(RUN, address(0xbeef), 5);
        // Without an allowance nobody's money moves.
        VM.prank(address(0xbeef));
        VM.expectRevert();
        rewards.fund(RUN, address(token), 5);
    }

    function testPoolsAreApart() public {
        token.transfer(payee(7), 500);
        VM.prank(payee(7));
        token.approve(address(rewards), 500);
        VM.prank(payee(7));
        rewards.fund(RUN, address(token), 500);
        eq(free(), 1000);
        _a[0] = 951;
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        bytes memory s = quorum(e);
        VM.expectRevert(error2(CoveyRewards.PoolTooSmall.selector, 1000, 1001));
        rewards.postEpoch(e, s);
        VM.warp(block.timestamp + PERIOD);
        rewards.refund(RUN, address(token));
        eq(token.balanceOf(address(rewards)), 500);
    }

    // -------------------------------------------------------------- epochs

    function testPosted() public {
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        bytes memory s = quorum(e);
        eq(rewards.epochDigest(e), epochDigest(rewards, e));
        uint64 from = uint64(block.timestamp) + WINDOW;
        VM.expectEmit(address(rewards));
        emit CoveyRewards.EpochPosted(
            RUN, 1, 1, address(this), address(token), e.root, 100, 3, from
        );
        VM.prank(address(0xbeef));
        rewards.postEpoch(e, s);
        eq(free(), 900);
        eq(allocated(), 100);
        eq(rewards.lastEpoch(RUN), 1);
        (uint32 v, uint64 t, bool frozen, bool void_, uint256 left) =
            rewards.epochState(RUN, 1);
        require(v == 1 && t == from && !frozen && !void_ && left == 100);
        (address sponsor, address tok, bytes32 root, uint256 total, uint32 n) =
            rewards.epochTerms(RUN, 1);
        require(sponsor == address(this) && tok == address(token));
        require(root == e.root && total == 100 && n == 3);
        // Once.
        VM.expectRevert(error2(CoveyRewards.WrongVersion.selector, 1, 2));
        rewards.postEpoch(e, s);
        post(2, 1, _a);
        eq(allocated(), 200);
    }

    function testPostNeedsQuorum() public {
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        bytes32 d = epochDigest(rewards, e);
        bytes memory two =
            bytes.concat(signed(attesterKey(0), d), signed(attesterKey(1), d));
        VM.expectRevert(error2(CoveyFederation.NoQuorum.selector, 2, 3));
        rewards.postEpoch(e, two);
        bytes memory s = bytes.concat(two, signed(attesterKey(1), d));
        VM.expectPartialRevert(CoveyFederation.NotInOrder.selector);
        rewards.postEpoch(e, s);
        s = bytes.concat(two, highS(signed(attesterKey(2), d)));
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        rewards.postEpoch(e, s);
        s = quorum(e);
        CoveyRewards.Epoch[6] memory changed;
        for (uint256 i = 0; i < 6; ++i) {
            changed[i] = epochOf(1, 1, _a);
        }
        changed[0].root = JOB;
        changed[1].total = 101;
        changed[2].leaves = 4;
        changed[3].sponsor = payee(1);
        changed[4].token = payee(1);
        changed[5].total = 1;
        for (uint256 i = 0; i < 6; ++i) {
            VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
            rewards.postEpoch(changed[i], s);
        }
        VM.chainId(99);
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        rewards.postEpoch(e, s);
    }

    function testPostIsBoundToTheHead() public {
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        bytes memory s = quorum(e);
        commit(1);
        bytes32 head = headOf(RUN);
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyRewards.WrongHead.selector, e.head, head
            )
        );
        rewards.postEpoch(e, s);
    }

    function testEpochsComeInOrder() public {
        CoveyRewards.Epoch memory e = epochOf(2, 1, _a);
        bytes memory s = quorum(e);
        VM.expectRevert(error2(CoveyRewards.WrongEpoch.selector, 2, 1));
        rewards.postEpoch(e, s);
        e = epochOf(0, 1, _a);
        s = quorum(e);
        VM.expectRevert(error2(CoveyRewards.WrongEpoch.selector, 0, 1));
        rewards.postEpoch(e, s);
        e = epochOf(1, 2, _a);
        s = quorum(e);
        VM.expectRevert(error2(CoveyRewards.WrongVersion.selector, 2, 1));
        rewards.postEpoch(e, s);
        e = epochOf(1, 1, _a);
        e.leaves = 0;
        s = quorum(e);
        VM.expectPartialRevert(CoveyRewards.NoLeaves.selector);
        rewards.postEpoch(e, s);
    }

    function testAllOfThePoolAndNoMore() public {
        _a[0] = 951;
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        bytes memory s = quorum(e);
        VM.expectRevert(error2(CoveyRewards.PoolTooSmall.selector, 1000, 1001));
        rewards.postEpoch(e, s);
        e.total = type(uint256).max;
        s = quorum(e);
        VM.expectPartialRevert(CoveyRewards.PoolTooSmall.selector);
        rewards.postEpoch(e, s);
        _a[0] = 950;
        post(1, 1, _a);
        eq(free(), 0);
        e = epochOf(2, 1, split3(1, 0, 0));
        s = quorum(e);
        VM.expectRevert(error2(CoveyRewards.PoolTooSmall.selector, 0, 1));
        rewards.postEpoch(e, s);
    }

    // ---------------------------------------------------------- objections

    function testObjectionFreezesUntilReplaced() public {
        post(1, 1, _a);
        bytes memory s = objection(rewards, 2, RUN, 1, 1);
        VM.expectEmit(address(rewards));
        emit CoveyRewards.Objected(RUN, 1, 1, attester(2));
        VM.prank(address(0xbeef));
        rewards.object(RUN, 1, 1, s);
        VM.warp(block.timestamp + WINDOW);
        (, bytes32[] memory proof) = tree(leavesOf(1, _a), 0);
        VM.expectRevert(
            abi.encodeWithSelector(CoveyRewards.Frozen.selector, RUN, 1)
        );
        rewards.claim(RUN, 1, 0, payee(0), 50, proof);

        // More than before, from what was given back as well.
        uint256[] memory b = split3(970, 20, 10);
        post(1, 2, b);
        eq(free(), 0);
        eq(allocated(), 1000);
        VM.expectRevert(
            error1(CoveyRewards.TooEarly.selector, block.timestamp + WINDOW)
        );
        rewards.claim(RUN, 1, 0, payee(0), 50, proof);
        VM.warp(block.timestamp + WINDOW);
        VM.expectPartialRevert(CoveyRewards.NotInTree.selector);
        rewards.claim(RUN, 1, 0, payee(0), 50, proof);
        for (uint256 i = 0; i < 3; ++i) {
            claim(1, b, i);
        }
        eq(token.balanceOf(payee(0)), 970);
    }

    function testObjectionRefused() public {
        bytes memory s = objection(rewards, 2, RUN, 1, 1);
        VM.expectRevert(
            abi.encodeWithSelector(CoveyRewards.UnknownEpoch.selector, RUN, 1)
        );
        rewards.object(RUN, 1, 1, s);
        post(1, 1, _a);
        bytes memory two = objection(rewards, 2, RUN, 1, 2);
        VM.expectRevert(error2(CoveyRewards.WrongVersion.selector, 2, 1));
        rewards.object(RUN, 1, 2, two);
        bytes[4] memory bad = [
            two,
            highS(s),
            objection(rewards, 9, RUN, 1, 1),
            bytes.concat(s, hex"00")
        ];
        for (uint256 i = 0; i < 4; ++i) {
            VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
            rewards.object(RUN, 1, 1, bad[i]);
        }
        VM.chainId(99);
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        rewards.object(RUN, 1, 1, s);
        VM.chainId(31337);
        VM.warp(block.timestamp + WINDOW);
        VM.expectRevert(
            error1(CoveyRewards.WindowOver.selector, block.timestamp)
        );
        rewards.object(RUN, 1, 1, s);
    }

    /// One attester delays an epoch once, and all of them n times.
    function testObjectionsAreBounded() public {
        for (uint32 v = 1; v <= 4; ++v) {
            post(1, v, _a);
            for (uint256 i = 0; i + 1 < v; ++i) {
                bytes memory s = objection(rewards, i, RUN, 1, v);
                VM.expectRevert(
                    abi.encodeWithSelector(
                        CoveyRewards.ObjectedBefore.selector, attester(i)
                    )
                );
                rewards.object(RUN, 1, v, s);
            }
            object(v - 1, 1, v);
            bytes memory next = objection(rewards, v % 4, RUN, 1, v);
            VM.expectRevert(
                abi.encodeWithSelector(CoveyRewards.Frozen.selector, RUN, 1)
            );
            rewards.object(RUN, 1, v, next);
        }
        post(1, 5, _a);
        VM.warp(block.timestamp + WINDOW);
        claim(1, _a, 0);
        // Another epoch is another matter.
        post(2, 1, _a);
        object(0, 2, 1);
    }

    function testOnlyAFrozenEpochIsReplaced() public {
        post(1, 1, _a);
        CoveyRewards.Epoch memory e = epochOf(1, 2, _a);
        bytes memory s = quorum(e);
        VM.expectRevert(
            abi.encodeWithSelector(CoveyRewards.NotFrozen.selector, RUN, 1)
        );
        rewards.postEpoch(e, s);
        object(0, 1, 1);
        e.sponsor = payee(1);
        s = quorum(e);
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyRewards.PoolChanged.selector, address(this), address(token)
            )
        );
        rewards.postEpoch(e, s);
        // Dropped: a replacement may be worth nothing.
        post(1, 2, split3(0, 0, 0));
        eq(free(), 1000);
        eq(allocated(), 0);
    }

    // ------------------------------------------------------------ deadlines

    function testRefundWaitsForFundingAndEpochs() public {
        uint256 start = block.timestamp;
        VM.expectRevert(error1(CoveyRewards.TooEarly.selector, start + PERIOD));
        rewards.refund(RUN, address(token));
        VM.warp(start + 20 days);
        rewards.fund(RUN, address(token), 1);
        eq(refundableFrom(), start + 20 days + PERIOD);
        VM.warp(start + 40 days);
        post(1, 1, _a);
        uint256 end = start + 40 days + WINDOW + PERIOD;
        eq(refundableFrom(), end);
        VM.warp(end - 1);
        VM.expectRevert(error1(CoveyRewards.TooEarly.selector, end));
        rewards.refund(RUN, address(token));
        claim(1, _a, 1);
        VM.warp(end);
        claim(1, _a, 2);
        uint256 before = token.balanceOf(address(this));
        VM.expectEmit(address(rewards));
        emit CoveyRewards.Refunded(RUN, address(token), address(this), 951);
        rewards.refund(RUN, address(token));
        eq(token.balanceOf(address(this)) - before, 951);
        eq(token.balanceOf(address(rewards)), 0);
        VM.expectPartialRevert(CoveyRewards.NothingToRefund.selector);
        rewards.refund(RUN, address(token));
        VM.prank(payee(1));
        VM.expectPartialRevert(CoveyRewards.NothingToRefund.selector);
        rewards.refund(RUN, address(token));
    }

    function testRefundVoidsItsEpochs() public {
        post(1, 1, _a);
        object(1, 1, 1);
        post(2, 1, _a);
        VM.warp(refundableFrom());
        rewards.refund(RUN, address(token));
        rewards.fund(RUN, address(token), 100);
        (, bytes32[] memory proof) = tree(leavesOf(2, _a), 0);
        VM.expectRevert(
            abi.encodeWithSelector(CoveyRewards.EpochVoid.selector, RUN, 2)
        );
        rewards.claim(RUN, 2, 0, payee(0), 50, proof);
        (,,, bool void_, uint256 left) = rewards.epochState(RUN, 2);
        require(void_ && left == 0);
        // What a void epoch held is not given back twice.
        post(1, 2, _a);
        eq(free(), 0);
        eq(allocated(), 100);
        VM.warp(block.timestamp + WINDOW);
        for (uint256 i = 0; i < 3; ++i) {
            claim(1, _a, i);
        }
        eq(token.balanceOf(address(rewards)), 0);
    }

    /// Attesters who go on and on cannot hold the money for ever.
    function testLimit() public {
        uint256 start = block.timestamp;
        uint64 epoch = 0;
        while (block.timestamp + WINDOW + PERIOD <= start + LIMIT) {
            post(++epoch, 1, split3(1, 0, 0));
            VM.warp(block.timestamp + 20 days);
        }
        CoveyRewards.Epoch memory e = epochOf(epoch + 1, 1, split3(1, 0, 0));
        bytes memory s = quorum(e);
        VM.expectRevert(
            error2(
                CoveyRewards.PoolTooOld.selector,
                block.timestamp + WINDOW + PERIOD,
                start + LIMIT
            )
        );
        rewards.postEpoch(e, s);
        require(refundableFrom() <= start + LIMIT);
        VM.warp(start + LIMIT);
        rewards.refund(RUN, address(token));
    }

    /// Whatever is accepted, whenever, leaves the whole time for claims.
    function testFuzzClaimsHaveTheirTime(uint256 later, uint256 more) public {
        uint256 start = block.timestamp;
        later %= LIMIT + 1 - WINDOW - PERIOD;
        VM.warp(start + later);
        post(1, 1, _a);
        uint256 end = refundableFrom();
        require(end >= block.timestamp + WINDOW + PERIOD);
        require(end >= start + PERIOD && end <= start + LIMIT);
        more %= end - start - later;
        VM.warp(start + later + more);
        VM.expectRevert(error1(CoveyRewards.TooEarly.selector, end));
        rewards.refund(RUN, address(token));
        if (more >= WINDOW) claim(1, _a, 0);
    }
}

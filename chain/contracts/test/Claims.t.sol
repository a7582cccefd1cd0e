// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    ReentrancyGuardTransient
} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {CoveyFederation} from "../src/CoveyFederation.sol";
import {CoveyRewards} from "../src/CoveyRewards.sol";
import {CoveyTestToken} from "../src/CoveyTestToken.sol";
import {RewardsFixture} from "./RewardsFixture.sol";

/// A token that returns nothing, as some old ones do, and takes a fee.
contract OddToken {
    mapping(address => uint256) public balanceOf;
    uint256 private immutable _fee;

    constructor(uint256 fee) {
        _fee = fee;
        balanceOf[msg.sender] = 1e6;
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount - amount * _fee / 100;
    }
}

/// A token that calls somewhere in the middle of a transfer.
contract CallingToken is ERC20("Calling", "CALL") {
    address private _target;
    bytes private _call;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function callNext(address target, bytes calldata data) external {
        _target = target;
        _call = data;
    }

    function _update(address from, address to, uint256 amount)
        internal
        override
    {
        super._update(from, to, amount);
        address target = _target;
        if (target == address(0)) return;
        _target = address(0);
        (bool ok, bytes memory data) = target.call(_call);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(data, 32), mload(data))
            }
        }
    }
}

/// A token that says no to one holder.
contract BlockingToken is CoveyTestToken {
    address private immutable _blocked;

    constructor(address holder, address blocked) CoveyTestToken(holder, 1e6) {
        _blocked = blocked;
    }

    function _update(address from, address to, uint256 amount)
        internal
        override
    {
        require(to != _blocked, "blocked");
        super._update(from, to, amount);
    }
}

/// Claims, and tokens that do not behave.
contract ClaimsTest is RewardsFixture {
    uint256[] private _a;

    function setUp() public override {
        super.setUp();
        _a = split3(50, 30, 20);
        rewards.fund(RUN, address(token), 1000);
    }

    function posted() private returns (bytes32[] memory proof) {
        post(1, 1, _a);
        VM.warp(block.timestamp + WINDOW);
        (, proof) = tree(leavesOf(1, _a), 0);
    }

    function testClaimed() public {
        bytes32[] memory proof = posted();
        eq(
            rewards.leafOf(RUN, 1, 0, payee(0), 50),
            leafOf(rewards, RUN, 1, 0, payee(0), 50)
        );
        require(!rewards.isClaimed(RUN, 1, 0));
        VM.expectEmit(address(rewards));
        emit CoveyRewards.Claimed(RUN, 1, 0, payee(0), 50);
        VM.prank(address(0xbeef));
        rewards.claim(RUN, 1, 0, payee(0), 50, proof);
        eq(token.balanceOf(payee(0)), 50);
        eq(token.balanceOf(address(0xbeef)), 0);
        require(rewards.isClaimed(RUN, 1, 0) && !rewards.isClaimed(RUN, 1, 1));
        (,,,, uint256 left) = rewards.epochState(RUN, 1);
        eq(left, 50);
        VM.expectRevert(error1(CoveyRewards.AlreadyClaimed.selector, 0));
        rewards.claim(RUN, 1, 0, payee(0), 50, proof);
        claim(1, _a, 1);
        claim(1, _a, 2);
        eq(allocated(), 0);
        eq(free(), 900);
    }

    function testClaimRefused() public {
        bytes32[] memory none = new bytes32[](0);
        VM.expectRevert(
            abi.encodeWithSelector(CoveyRewards.UnknownEpoch.selector, RUN, 1)
        );
        rewards.claim(RUN, 1, 0, payee(0), 50, none);
        bytes32[] memory proof = posted();
        VM.warp(block.timestamp - 1);
        VM.expectRevert(
            error1(CoveyRewards.TooEarly.selector, block.timestamp + 1)
        );
        rewards.claim(RUN, 1, 0, payee(0), 50, proof);
        VM.warp(block.timestamp + 1);
        bytes4 no = CoveyRewards.NotInTree.selector;
        VM.expectPartialRevert(no);
        rewards.claim(RUN, 1, 0, payee(0), 51, proof);
        VM.expectPartialRevert(no);
        rewards.claim(RUN, 1, 0, payee(1), 50, proof);
        VM.expectPartialRevert(no);
        rewards.claim(RUN, 1, 1, payee(0), 50, proof);
        VM.expectPartialRevert(no);
        rewards.claim(RUN, 1, 0, payee(0), 50, none);
        VM.expectRevert(error2(CoveyRewards.IndexOutside.selector, 3, 3));
        rewards.claim(RUN, 1, 3, payee(0), 50, proof);
        VM.expectPartialRevert(CoveyRewards.IndexOutside.selector);
        rewards.claim(RUN, 1, 1 << 64, payee(0), 50, proof);
        VM.chainId(99);
        VM.expectPartialRevert(no);
        rewards.claim(RUN, 1, 0, payee(0), 50, proof);
    }

    /// A tree made for another epoch, run or contract pays nothing here.
    function testLeavesAreBound() public {
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        CoveyRewards other = federation(0).rewards();
        bytes32[4] memory roots = [
            leafOf(other, RUN, 1, 0, payee(0), 50),
            leafOf(rewards, JOB, 1, 0, payee(0), 50),
            leafOf(rewards, RUN, 9, 0, payee(0), 50),
            keccak256(
                abi.encode(
                    block.chainid, rewards, RUN, uint64(4), 0, payee(0), 50
                )
            )
        ];
        for (uint64 i = 0; i < 4; ++i) {
            (e.epoch, e.root) = (i + 1, roots[i]);
            rewards.postEpoch(e, quorum(e));
        }
        VM.warp(block.timestamp + WINDOW);
        for (uint64 i = 0; i < 4; ++i) {
            VM.expectPartialRevert(CoveyRewards.NotInTree.selector);
            rewards.claim(RUN, i + 1, 0, payee(0), 50, new bytes32[](0));
        }
    }

    /// A quorum that signs more leaves than money pays the money once.
    function testAboveTotal() public {
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        e.total = 79;
        rewards.postEpoch(e, quorum(e));
        VM.warp(block.timestamp + WINDOW);
        claim(1, _a, 0);
        (, bytes32[] memory proof) = tree(leavesOf(1, _a), 1);
        VM.expectRevert(error2(CoveyRewards.AboveTotal.selector, 30, 29));
        rewards.claim(RUN, 1, 1, payee(1), 30, proof);
        claim(1, _a, 2);
        eq(allocated(), 9);
    }

    /// An amount that does not fit is not cut.
    function testHugeAmounts() public {
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        uint256 amount = (1 << 112) + 1;
        e.root = leafOf(rewards, RUN, 1, 0, payee(0), amount);
        rewards.postEpoch(e, quorum(e));
        VM.warp(block.timestamp + WINDOW);
        VM.expectRevert(error2(CoveyRewards.AboveTotal.selector, amount, 100));
        rewards.claim(RUN, 1, 0, payee(0), amount, new bytes32[](0));

        uint256 most = type(uint112).max;
        CoveyTestToken t = new CoveyTestToken(address(this), most + 2);
        t.approve(address(rewards), most + 2);
        rewards.fund(RUN, address(t), 2);
        VM.expectRevert(
            error2(CoveyRewards.PoolTooLarge.selector, most - 1, most - 2)
        );
        rewards.fund(RUN, address(t), most - 1);
        rewards.fund(RUN, address(t), most - 2);
        e = epochOf(2, 1, _a);
        (e.token, e.total) = (address(t), most + 1);
        bytes memory s = quorum(e);
        VM.expectRevert(
            error2(CoveyRewards.PoolTooSmall.selector, most, most + 1)
        );
        rewards.postEpoch(e, s);
        e.total = most;
        rewards.postEpoch(e, quorum(e));
    }

    function testPayeesThatCannotBePaid() public {
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        e.root = leafOf(rewards, RUN, 1, 0, address(0), 50);
        rewards.postEpoch(e, quorum(e));
        e = epochOf(2, 1, _a);
        e.root = leafOf(rewards, RUN, 2, 0, address(rewards), 50);
        rewards.postEpoch(e, quorum(e));
        VM.warp(block.timestamp + WINDOW);
        bytes32[] memory none = new bytes32[](0);
        VM.expectPartialRevert(CoveyRewards.PayeeInvalid.selector);
        rewards.claim(RUN, 1, 0, address(0), 50, none);
        VM.expectPartialRevert(CoveyRewards.PayeeInvalid.selector);
        rewards.claim(RUN, 2, 0, address(rewards), 50, none);
    }

    /// Trees of any size; all of each is paid, in any order, once.
    function testFuzzTrees(uint256 seed, uint8 size) public {
        uint256 n = 1 + size % 40;
        uint256[] memory a = new uint256[](n);
        for (uint256 i = 0; i < n; ++i) {
            a[i] = uint256(keccak256(abi.encode(seed, i))) % 1e20;
        }
        rewards.fund(RUN, address(token), 1e22);
        post(1, 1, a);
        VM.warp(block.timestamp + WINDOW);
        for (uint256 k = 0; k < n; ++k) {
            uint256 i = (k + seed % n) % n;
            claim(1, a, i);
            eq(token.balanceOf(payee(i)), a[i]);
        }
        eq(allocated(), 0);
        (, bytes32[] memory proof) = tree(leavesOf(1, a), seed % n);
        VM.expectPartialRevert(CoveyRewards.AlreadyClaimed.selector);
        rewards.claim(RUN, 1, seed % n, payee(seed % n), a[seed % n], proof);
    }

    /// No inner node of a tree passes for a leaf.
    function testFuzzForgedProofs(bytes32[] calldata proof, uint256 amount)
        public
    {
        posted();
        VM.expectPartialRevert(CoveyRewards.NotInTree.selector);
        rewards.claim(RUN, 1, 0, address(this), amount, proof);
    }

    // --------------------------------------------------------------- tokens

    function testTokenWithoutReturnValueAndWithFee() public {
        OddToken odd = new OddToken(10);
        rewards.fund(RUN, address(odd), 1000);
        (uint256 got,,) = rewards.pool(RUN, address(odd), address(this));
        eq(got, 900);
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        e.token = address(odd);
        rewards.postEpoch(e, quorum(e));
        VM.warp(block.timestamp + WINDOW);
        claim(1, _a, 0);
        eq(odd.balanceOf(payee(0)), 45);
        eq(odd.balanceOf(address(rewards)), 850);
        VM.warp(block.timestamp + PERIOD);
        rewards.refund(RUN, address(odd));
        eq(odd.balanceOf(address(rewards)), 0);
    }

    function testOneBlockedPayeeBlocksNobodyElse() public {
        BlockingToken t = new BlockingToken(address(this), payee(0));
        t.approve(address(rewards), 100);
        rewards.fund(RUN, address(t), 100);
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        e.token = address(t);
        rewards.postEpoch(e, quorum(e));
        VM.warp(block.timestamp + WINDOW);
        (, bytes32[] memory proof) = tree(leavesOf(1, _a), 0);
        VM.expectRevert("blocked");
        rewards.claim(RUN, 1, 0, payee(0), 50, proof);
        require(!rewards.isClaimed(RUN, 1, 0));
        claim(1, _a, 1);
        VM.warp(block.timestamp + PERIOD);
        rewards.refund(RUN, address(t));
        eq(t.balanceOf(address(this)), 1e6 - 30);
    }

    function testNoReentrance() public {
        CallingToken t = new CallingToken();
        t.mint(address(this), 1000);
        t.mint(address(t), 1000);
        t.approve(address(rewards), 1000);
        rewards.fund(RUN, address(t), 500);
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        e.token = address(t);
        rewards.postEpoch(e, quorum(e));
        VM.warp(block.timestamp + WINDOW);

        (, bytes32[] memory proof) = tree(leavesOf(1, _a), 1);
        CoveyRewards.Epoch memory next = epochOf(2, 1, _a);
        next.token = address(t);
        bytes[5] memory calls = [
            abi.encodeCall(rewards.postEpoch, (next, quorum(next))),
            abi.encodeCall(rewards.claim, (RUN, 1, 1, payee(1), 30, proof)),
            abi.encodeCall(rewards.fund, (RUN, address(t), 10)),
            abi.encodeCall(rewards.refund, (RUN, address(t))),
            abi.encodeCall(
                rewards.object, (RUN, 1, 1, objection(rewards, 0, RUN, 1, 1))
            )
        ];
        (, proof) = tree(leavesOf(1, _a), 0);
        bytes4 no =
            ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;
        for (uint256 i = 0; i < 5; ++i) {
            t.callNext(address(rewards), calls[i]);
            VM.expectRevert(abi.encodeWithSelector(no));
            rewards.claim(RUN, 1, 0, payee(0), 50, proof);
            VM.expectRevert(abi.encodeWithSelector(no));
            rewards.fund(RUN, address(t), 10);
        }
        t.callNext(address(0), "");
        rewards.claim(RUN, 1, 0, payee(0), 50, proof);
        VM.warp(block.timestamp + PERIOD);
        t.callNext(address(rewards), calls[2]);
        VM.expectRevert(abi.encodeWithSelector(no));
        rewards.refund(RUN, address(t));
        t.callNext(address(0), "");
        rewards.refund(RUN, address(t));
        eq(t.balanceOf(address(rewards)), 0);
    }

    /// A run with the same id in another federation has its own money.
    function testForks() public {
        CoveyFederation f = federation(4);
        open(f, SALT, 4, 1);
        CoveyRewards w = f.rewards();
        token.approve(address(w), 1000);
        w.fund(RUN, address(token), 1000);
        CoveyRewards.Epoch memory e = epochOf(1, 1, _a);
        rewards.postEpoch(e, quorum(e));
        bytes memory s = quorum(e);
        VM.expectPartialRevert(CoveyRewards.WrongHead.selector);
        w.postEpoch(e, s);
        (, e.head,,,,) = f.run(RUN);
        s = quorum(e);
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        w.postEpoch(e, s);
    }
}

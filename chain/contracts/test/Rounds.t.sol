// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CoveyFederation} from "../src/CoveyFederation.sol";
import {Fixture} from "./Fixture.sol";

/// How a run moves.
contract RoundsTest is Fixture {
    bytes32[] private _r;
    bytes32 private _head;
    bytes32 private _end;
    bytes32 private _digest;

    function setUp() public override {
        super.setUp();
        _head = headOf(RUN);
        _r = records(1, 5);
        _end = walk(_head, 1, _r);
        _digest = roundsDigest(fed, RUN, 1, 5, _head, _end);
    }

    function testCommitted() public {
        bytes memory s = signedBy(three(0, 2, 3), _digest);
        VM.expectEmit(address(fed));
        emit CoveyFederation.RoundsCommitted(RUN, 1, 5, _end, _r);
        VM.prank(address(0xbeef));
        fed.commitRounds(RUN, _head, _r, 1, s);
        eq(headOf(RUN), _end);
        eq(lastOf(RUN), 5);
        // Once: a replay and a fork are both behind.
        bytes memory stale =
            abi.encodeWithSelector(CoveyFederation.StaleHead.selector, _end, 5);
        VM.expectRevert(stale);
        fed.commitRounds(RUN, _head, _r, 1, s);
        VM.expectPartialRevert(CoveyFederation.FirstAttestedOutside.selector);
        fed.commitRounds(RUN, _end, _r, 1, s);
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        fed.commitRounds(RUN, _end, _r, 6, s);
        commit(2);
        eq(lastOf(RUN), 7);
    }

    function testAllMaySign() public {
        fed.commitRounds(RUN, _head, _r, 1, signedBy(all(4), _digest));
        eq(headOf(RUN), _end);
    }

    function testQuorumMinusOne() public {
        bytes memory s = bytes.concat(
            signed(attesterKey(0), _digest), signed(attesterKey(1), _digest)
        );
        VM.expectRevert(
            abi.encodeWithSelector(CoveyFederation.NoQuorum.selector, 2, 3)
        );
        fed.commitRounds(RUN, _head, _r, 1, s);
        VM.expectPartialRevert(CoveyFederation.NoQuorum.selector);
        fed.commitRounds(RUN, _head, _r, 1, "");
    }

    function testSignaturesThatDoNotCount() public {
        bytes memory two = bytes.concat(
            signed(attesterKey(0), _digest), signed(attesterKey(1), _digest)
        );
        bytes memory s = bytes.concat(two, signed(attesterKey(1), _digest));
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.NotInOrder.selector, 2, attester(1)
            )
        );
        fed.commitRounds(RUN, _head, _r, 1, s);
        s = signedBy(three(0, 3, 1), _digest);
        VM.expectPartialRevert(CoveyFederation.NotInOrder.selector);
        fed.commitRounds(RUN, _head, _r, 1, s);
        s = bytes.concat(two, highS(signed(attesterKey(2), _digest)));
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.NotAttester.selector, RUN, address(0)
            )
        );
        fed.commitRounds(RUN, _head, _r, 1, s);
        s = bytes.concat(two, signed(attesterKey(9), _digest));
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.NotAttester.selector, RUN, attester(9)
            )
        );
        fed.commitRounds(RUN, _head, _r, 1, s);
        s = bytes.concat(two, signed(identityKey(2), _digest));
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        fed.commitRounds(RUN, _head, _r, 1, s);
        s = bytes.concat(two, signed(attesterKey(2), _end));
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        fed.commitRounds(RUN, _head, _r, 1, s);
        s = bytes.concat(two, new bytes(65));
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        fed.commitRounds(RUN, _head, _r, 1, s);
    }

    function testEveryByteOfASignatureCounts() public {
        bytes memory s = signedBy(three(0, 1, 2), _digest);
        for (uint256 i = 0; i < s.length; i += 13) {
            s[i] ^= 0x10;
            VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
            fed.commitRounds(RUN, _head, _r, 1, s);
            s[i] ^= 0x10;
        }
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.SignaturesLength.selector, 196, 195
            )
        );
        fed.commitRounds(RUN, _head, _r, 1, bytes.concat(s, hex"00"));
        // 64 bytes each, the compact form.
        VM.expectPartialRevert(CoveyFederation.SignaturesLength.selector);
        fed.commitRounds(RUN, _head, _r, 1, new bytes(192));
        fed.commitRounds(RUN, _head, _r, 1, s);
    }

    function testRecordsAreBound() public {
        bytes memory s = signedBy(three(0, 1, 2), _digest);
        bytes32[] memory other = _r;
        other[2] = _end;
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        fed.commitRounds(RUN, _head, other, 1, s);
        (other[2], other[3]) = (_r[3], _r[2]);
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        fed.commitRounds(RUN, _head, other, 1, s);
    }

    function testBatchLengths() public {
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.BatchLength.selector, 0, 1024
            )
        );
        fed.commitRounds(RUN, _head, new bytes32[](0), 1, "");
        VM.expectPartialRevert(CoveyFederation.BatchLength.selector);
        fed.commitRounds(RUN, _head, new bytes32[](1025), 1, "");
        commit(1024);
        require(VM.lastCallGas().gasTotalUsed < 16_777_216);
        eq(lastOf(RUN), 1024);
    }

    /// The same silos in another federation, on another chain, in another run.
    function testNotReplayedElsewhere() public {
        bytes memory s = signedBy(three(0, 1, 2), _digest);
        CoveyFederation f = federation(4);
        open(f, SALT, 4, 1);
        (, bytes32 fork,,,,) = f.run(RUN);
        require(fork != _head, "forks have the same head");
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        f.commitRounds(RUN, fork, _r, 1, s);
        bytes32 id = open(fed, "two", 4, 1);
        bytes32 two = headOf(id);
        require(two != _head);
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        fed.commitRounds(id, two, _r, 1, s);
        VM.chainId(99);
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        fed.commitRounds(RUN, _head, _r, 1, s);
    }

    function testFirstAttestedIsInTheBatch() public {
        bytes memory s = signedBy(three(0, 1, 2), _digest);
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.FirstAttestedOutside.selector, 0, 1, 5
            )
        );
        fed.commitRounds(RUN, _head, _r, 0, s);
        VM.expectPartialRevert(CoveyFederation.FirstAttestedOutside.selector);
        fed.commitRounds(RUN, _head, _r, 6, s);
        VM.expectPartialRevert(CoveyFederation.NotAttester.selector);
        fed.commitRounds(RUN, _head, _r, 2, s);
    }

    /// Batches of any length, attested from anywhere in them.
    function testFuzzBatches(uint256 seed) public {
        bytes32 head = _head;
        uint64 next = 1;
        for (uint256 k = 0; k < 3; ++k) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint64 n = uint64(1 + seed % 40);
            uint64 from = next + uint64((seed >> 64) % n);
            bytes32[] memory r = records(next, n);
            bytes32 before = walk(head, next, records(next, from - next));
            bytes32 end = walk(head, next, r);
            bytes32 d = roundsDigest(fed, RUN, from, next + n - 1, before, end);
            fed.commitRounds(RUN, head, r, from, signedBy(three(0, 1, 2), d));
            next += n;
            head = end;
            eq(headOf(RUN), head);
            eq(lastOf(RUN), next - 1);
        }
    }

    /// Any set of attesters, in order: enough of them or not.
    function testFuzzQuorumOfAnySet(uint8 set) public {
        bytes memory s;
        uint256 n = 0;
        for (uint256 i = 0; i < 4; ++i) {
            if (set & (1 << i) == 0) continue;
            s = bytes.concat(s, signed(attesterKey(i), _digest));
            ++n;
        }
        if (n < 3) {
            VM.expectRevert(
                abi.encodeWithSelector(CoveyFederation.NoQuorum.selector, n, 3)
            );
        }
        fed.commitRounds(RUN, _head, _r, 1, s);
        eq(headOf(RUN), n < 3 ? _head : _end);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {CoveyFederation} from "../src/CoveyFederation.sol";
import {Fixture} from "./Fixture.sol";

/// Silos and how runs are opened.
contract FederationTest is Fixture {
    uint256 private constant OTHER = uint256(keccak256("another attester"));
    /// By ethers: salt "two", JOB, attesters 0 to 3, one colluder.
    bytes32 private constant ID_OF_TWO =
        0xc314d9ba3b35c8da5a58642012a5c0817cbfb0388a237845e2ec19f38f62b683;

    function testRewardsIsTheFirstCreation() public view {
        bytes32 h =
            keccak256(abi.encodePacked(hex"d694", address(fed), hex"01"));
        eq(address(rewards), address(uint160(uint256(h))));
        eq(address(rewards.federation()), address(fed));
        eq(rewards.challengeWindow(), WINDOW);
        eq(rewards.claimPeriod(), PERIOD);
    }

    // -------------------------------------------------------------- silos

    function testSilosAreListed() public view {
        eq(fed.siloCount(), 4);
        for (uint256 i = 0; i < 4; ++i) {
            (address a, uint64 nonce, bool active) = fed.silo(fed.siloAt(i));
            eq(fed.siloAt(i), silo(i));
            eq(a, attester(i));
            eq(nonce, 1);
            require(active);
            eq(fed.siloOf(attester(i)), silo(i));
        }
        (, uint64 none, bool is_) = fed.silo(silo(9));
        require(none == 0 && !is_);
    }

    function testOnlyOwnerAddsAndRemoves() public {
        bytes memory s = binding(fed, 5, attesterKey(5), 0);
        bytes memory refusal = abi.encodeWithSelector(
            Ownable.OwnableUnauthorizedAccount.selector, silo(5)
        );
        VM.prank(silo(5));
        VM.expectRevert(refusal);
        fed.addSilo(silo(5), attester(5), s);
        VM.prank(silo(5));
        VM.expectRevert(refusal);
        fed.removeSilo(silo(0));
    }

    function testOwnershipNeedsAcceptance() public {
        fed.transferOwnership(silo(7));
        eq(fed.owner(), address(this));
        VM.prank(silo(7));
        fed.acceptOwnership();
        eq(fed.owner(), silo(7));
    }

    function testOwnerCannotSpeakForSilo() public {
        bytes memory s = binding(fed, 5, OTHER, 0);
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.addSilo(silo(5), attester(5), s);
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.addSilo(silo(6), VM.addr(OTHER), s);
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.WrongSigner.selector, 0, silo(5), address(0)
            )
        );
        fed.addSilo(silo(5), VM.addr(OTHER), "");
        // An identity of 0 is who signs what nobody has signed.
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.addSilo(address(0), VM.addr(OTHER), new bytes(65));
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.addSilo(silo(5), VM.addr(OTHER), highS(s));
        fed.addSilo(silo(5), VM.addr(OTHER), s);
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.AlreadySilo.selector, silo(5)
            )
        );
        fed.addSilo(silo(5), VM.addr(OTHER), s);
    }

    function testAnyoneRelaysANewAttester() public {
        bytes memory s = binding(fed, 0, OTHER, 1);
        VM.expectEmit(address(fed));
        emit CoveyFederation.AttesterSet(silo(0), VM.addr(OTHER), 1);
        VM.prank(address(0xbeef));
        fed.setAttester(silo(0), VM.addr(OTHER), s);
        (address a, uint64 nonce,) = fed.silo(silo(0));
        eq(a, VM.addr(OTHER));
        eq(nonce, 2);
        eq(fed.siloOf(attester(0)), address(0));
        // The open run keeps the old one.
        eq(fed.attesterAt(RUN, 0), attester(0));
        commit(1);
    }

    function testBindingsAreNotReplayed() public {
        bytes memory old = binding(fed, 0, attesterKey(0), 0);
        bytes memory s = binding(fed, 0, OTHER, 1);
        fed.setAttester(silo(0), VM.addr(OTHER), s);
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.setAttester(silo(0), attester(0), old);
        VM.expectPartialRevert(CoveyFederation.AttesterTaken.selector);
        fed.setAttester(silo(0), VM.addr(OTHER), s);
        // Nor into another membership.
        fed.removeSilo(silo(0));
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.addSilo(silo(0), attester(0), old);
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.addSilo(silo(0), VM.addr(OTHER), s);
        fed.addSilo(silo(0), attester(0), binding(fed, 0, attesterKey(0), 2));
        // Nor into another federation, nor another chain.
        CoveyFederation f = federation(0);
        bytes memory here = binding(fed, 8, OTHER, 0);
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        f.addSilo(silo(8), VM.addr(OTHER), here);
        VM.chainId(99);
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.addSilo(silo(8), VM.addr(OTHER), here);
    }

    function testOneAttesterServesOneSilo() public {
        bytes memory s = binding(fed, 5, attesterKey(0), 0);
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.AttesterTaken.selector, attester(0), silo(0)
            )
        );
        fed.addSilo(silo(5), attester(0), s);
        // Whoever took a partner's attester loses it with the membership.
        fed.removeSilo(silo(0));
        fed.addSilo(silo(5), attester(0), s);
        eq(fed.siloOf(attester(0)), silo(5));
    }

    function testIdentityIsNoAttester() public {
        bytes memory s = binding(fed, 5, identityKey(5), 0);
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.AttesterInvalid.selector, silo(5)
            )
        );
        fed.addSilo(silo(5), silo(5), s);
        VM.expectPartialRevert(CoveyFederation.AttesterInvalid.selector);
        fed.addSilo(silo(5), address(0), s);
    }

    function testRemovedSilo() public {
        fed.removeSilo(silo(1));
        eq(fed.siloCount(), 3);
        (address a, uint64 nonce, bool active) = fed.silo(silo(1));
        require(a == address(0) && nonce == 1 && !active);
        bytes memory s = binding(fed, 1, OTHER, 1);
        bytes memory no =
            abi.encodeWithSelector(CoveyFederation.NotSilo.selector, silo(1));
        VM.expectRevert(no);
        fed.setAttester(silo(1), VM.addr(OTHER), s);
        VM.expectRevert(no);
        fed.removeSilo(silo(1));
        s = signedBy(all(4), openingDigest(fed, "two", 4, 1));
        VM.expectRevert(no);
        fed.openRun("two", JOB, silos(4), 1, s);
        // Its run goes on, and it attests there.
        commit(3);
    }

    // --------------------------------------------------------------- runs

    function testOpenedRun() public {
        bytes32 id = idOf("two", 4, 2);
        bytes32 digest = openingDigest(fed, "two", 4, 2);
        address[] memory attesters = new address[](4);
        for (uint256 i = 0; i < 4; ++i) {
            attesters[i] = attester(i);
        }
        bytes memory s = signedBy(all(4), digest);
        VM.expectEmit(address(fed));
        emit CoveyFederation.RunOpened(id, JOB, digest, attesters, 4);
        VM.prank(address(0xbeef));
        fed.openRun("two", JOB, silos(4), 2, s);
        (bytes32 job, bytes32 head, uint64 last, uint32 n, uint32 t, uint32 q) =
            fed.run(id);
        eq(job, JOB);
        eq(head, digest);
        require(last == 0 && n == 4 && t == 2 && q == 4);
        for (uint256 i = 0; i < 4; ++i) {
            eq(fed.attesterAt(id, i), attester(i));
            eq(fed.attesterIndex(id, attester(i)), i);
        }
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.NotAttester.selector, id, silo(0)
            )
        );
        fed.attesterIndex(id, silo(0));
    }

    function testUnknownRun() public {
        bytes memory no = abi.encodeWithSelector(
            CoveyFederation.UnknownRun.selector, bytes32("none")
        );
        (, bytes32 head,,,, uint32 quorum) = fed.run("none");
        require(head == 0 && quorum == 0);
        VM.expectRevert(no);
        fed.attesterAt("none", 0);
        VM.expectRevert(no);
        fed.attesterIndex("none", attester(0));
        VM.expectRevert(no);
        fed.checkQuorum("none", JOB, "");
        VM.expectRevert(no);
        fed.commitRounds("none", 0, new bytes32[](1), 1, "");
    }

    function testOpeningNeedsEveryone() public {
        bytes32 d = openingDigest(fed, "two", 4, 1);
        bytes memory s = signedBy(three(0, 1, 2), d);
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.SignaturesLength.selector, 195, 260
            )
        );
        fed.openRun("two", JOB, silos(4), 1, s);
        // One signs twice, another not; a stranger; a wrong order; high s.
        bytes[4] memory last = [
            signed(attesterKey(2), d),
            signed(attesterKey(9), d),
            signed(identityKey(3), d),
            highS(signed(attesterKey(3), d))
        ];
        for (uint256 i = 0; i < 4; ++i) {
            VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
            fed.openRun("two", JOB, silos(4), 1, bytes.concat(s, last[i]));
        }
        s = bytes.concat(signedBy(three(1, 0, 2), d), signed(attesterKey(3), d));
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.WrongSigner.selector,
                0,
                attester(0),
                attester(1)
            )
        );
        fed.openRun("two", JOB, silos(4), 1, s);
    }

    /// The id is the documented digest of the terms; tests/chain has this one
    /// as well.
    function testIdIsADigestOfTheTerms() public {
        address[] memory attesters = new address[](4);
        for (uint256 i = 0; i < 4; ++i) {
            attesters[i] = attester(i);
        }
        bytes32 id =
            keccak256(abi.encode(bytes32("two"), JOB, attesters, uint32(1)));
        eq(id, ID_OF_TWO);
        eq(headOf(id), 0);
        open(fed, "two", 4, 1);
        eq(headOf(id), openingDigest(fed, "two", 4, 1));
    }

    function testFuzzIds(bytes32 salt, uint256 n, uint32 t) public {
        n = 2 + n % 3;
        t = t % uint32(n - 1);
        salt = keccak256(abi.encode(salt)); // not SALT, whose run is open
        bytes32 id = open(fed, salt, n, t);
        eq(headOf(id), openingDigest(fed, salt, n, t));
    }

    /// Salts are known to all members before their run is opened; whoever is
    /// first with one takes nothing from the others.
    function testNobodyTakesAnothersId() public {
        bytes memory s = signedBy(all(4), openingDigest(fed, "two", 4, 1));
        bytes32 theirs = open(fed, "two", 2, 0);
        fed.openRun("two", JOB, silos(4), 1, s);
        bytes32 id = idOf("two", 4, 1);
        bytes32 head = headOf(id);
        eq(head, openingDigest(fed, "two", 4, 1));
        require(id != theirs && head != headOf(theirs));
        bytes32[] memory r = records(1, 3);
        bytes32 end = walk(head, 1, r);
        s = signedBy(three(0, 1, 3), roundsDigest(fed, id, 1, 3, head, end));
        fed.commitRounds(id, head, r, 1, s);
        eq(headOf(id), end);
        eq(lastOf(theirs), 0);
        // The insiders' signatures move their own run alone.
        head = headOf(theirs);
        end = walk(head, 1, r);
        s = bytes.concat(
            signed(attesterKey(0), roundsDigest(fed, theirs, 1, 3, head, end)),
            signed(attesterKey(1), roundsDigest(fed, theirs, 1, 3, head, end))
        );
        VM.expectPartialRevert(CoveyFederation.StaleHead.selector);
        fed.commitRounds(id, head, r, 1, s);
        fed.commitRounds(theirs, head, r, 1, s);
        eq(headOf(theirs), end);
        eq(lastOf(id), 3);
    }

    /// One salt may serve many runs; the same opening comes once.
    function testOnlyTheSameOpeningExists() public {
        bytes memory s = signedBy(all(4), openingDigest(fed, "two", 4, 1));
        fed.openRun("two", JOB, silos(4), 1, s);
        bytes memory no = abi.encodeWithSelector(
            CoveyFederation.RunExists.selector, idOf("two", 4, 1)
        );
        VM.expectRevert(no);
        fed.openRun("two", JOB, silos(4), 1, s);
        commit(1);
        VM.prank(address(0xbeef));
        VM.expectRevert(no);
        fed.openRun("two", JOB, silos(4), 1, s);
        // Other terms, other ids: they fail for want of signatures alone.
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.openRun("two", JOB, silos(4), 2, s);
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.openRun("two", RUN, silos(4), 1, s);
        open(fed, "two", 4, 0);
        open(fed, "two", 4, 2);
        open(fed, "two", 3, 1);
        open(fed, "three", 4, 1);
        // A silo with another attester is another run.
        fed.setAttester(silo(0), VM.addr(OTHER), binding(fed, 0, OTHER, 1));
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.openRun("two", JOB, silos(4), 1, s);
    }

    function testOpeningBindsItsTerms() public {
        bytes memory s = signedBy(all(4), openingDigest(fed, "two", 4, 1));
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.openRun("three", JOB, silos(4), 1, s);
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.openRun("two", RUN, silos(4), 1, s);
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.openRun("two", JOB, silos(4), 2, s);
        CoveyFederation f = federation(4);
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        f.openRun("two", JOB, silos(4), 1, s);
        VM.chainId(99);
        VM.expectPartialRevert(CoveyFederation.WrongSigner.selector);
        fed.openRun("two", JOB, silos(4), 1, s);
    }

    function testNumbersOfSilos() public {
        address[] memory many = new address[](256);
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.NumberOfSilos.selector, 256, 2, 255
            )
        );
        fed.openRun("two", JOB, many, 0, "");
        VM.expectPartialRevert(CoveyFederation.NumberOfSilos.selector);
        fed.openRun("two", JOB, silos(1), 0, new bytes(65));
        VM.expectPartialRevert(CoveyFederation.NumberOfSilos.selector);
        fed.openRun("two", JOB, silos(0), 0, "");
        bytes memory s = signedBy(all(4), openingDigest(fed, "two", 4, 3));
        VM.expectRevert(
            abi.encodeWithSelector(
                CoveyFederation.CollusionTooHigh.selector, 3, 2
            )
        );
        fed.openRun("two", JOB, silos(4), 3, s);
        VM.expectPartialRevert(CoveyFederation.CollusionTooHigh.selector);
        fed.openRun("two", JOB, silos(4), type(uint32).max, s);
        address[] memory twice = silos(4);
        twice[3] = silo(1);
        VM.expectRevert(
            abi.encodeWithSelector(CoveyFederation.SiloTwice.selector, silo(1))
        );
        fed.openRun("two", JOB, twice, 1, s);
        open(fed, "two", 2, 0);
    }

    /// Two quorums share one who does not lie, and a quorum can be had.
    function testFuzzQuorum(uint256 n, uint256 t) public view {
        n = 2 + n % 254;
        t = t % (n - 1);
        uint256 q = fed.quorumOf(n, t);
        require(q <= n && 2 * q > n + t && 2 * (q - 1) <= n + t);
    }

    /// The largest run fits in a transaction of the networks.
    function testLargestRun() public {
        CoveyFederation f = federation(255);
        bytes32 id = open(f, SALT, 255, 84);
        uint256 gas = VM.lastCallGas().gasTotalUsed;
        require(gas < 16_777_216, "opening does not fit");
        (,,, uint32 n,, uint32 quorum) = f.run(id);
        require(n == 255 && quorum == 170);
        eq(f.attesterIndex(id, attester(254)), 254);
        bytes memory s = signedBy(all(170), JOB);
        f.checkQuorum(id, JOB, s);
        s = signedBy(all(169), JOB);
        VM.expectRevert(
            abi.encodeWithSelector(CoveyFederation.NoQuorum.selector, 169, 170)
        );
        f.checkQuorum(id, JOB, s);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CoveyFederation} from "../src/CoveyFederation.sol";
import {CoveyRewards} from "../src/CoveyRewards.sol";
import {CoveyTestToken} from "../src/CoveyTestToken.sol";
import {Vm} from "./Vm.sol";

/// Four silos, a run with one colluder (quorum 3), a token; and everything
/// that is signed, computed apart from the contracts.
abstract contract Fixture {
    Vm internal constant VM = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    bytes32 internal constant SALT = keccak256("run");
    bytes32 internal constant JOB = keccak256("job");
    /// The id of SALT with attesters 0 to 3 and one colluder.
    bytes32 internal immutable RUN = idOf(SALT, 4, 1);
    uint64 internal constant WINDOW = 1 days;
    uint64 internal constant PERIOD = 30 days;
    uint64 internal constant LIMIT = 730 days;
    uint256 internal constant ORDER =
        0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    CoveyFederation internal fed;
    CoveyRewards internal rewards;
    CoveyTestToken internal token;

    function setUp() public virtual {
        VM.warp(1_750_000_000);
        fed = federation(4);
        rewards = fed.rewards();
        token = new CoveyTestToken(address(this), 1e30);
        token.approve(address(rewards), type(uint256).max);
        open(fed, SALT, 4, 1);
    }

    // ------------------------------------------------------------- parts

    function federation(uint256 n) internal returns (CoveyFederation f) {
        f = new CoveyFederation(address(this), WINDOW, PERIOD);
        for (uint256 i = 0; i < n; ++i) {
            f.addSilo(silo(i), attester(i), binding(f, i, attesterKey(i), 0));
        }
    }

    function open(CoveyFederation f, bytes32 salt, uint256 n, uint32 t)
        internal
        returns (bytes32 id)
    {
        bytes32 digest = openingDigest(f, salt, n, t);
        f.openRun(salt, JOB, silos(n), t, signedBy(all(n), digest));
        return idOf(salt, n, t);
    }

    /// A run's id, its encoding written out word by word.
    function idOf(bytes32 salt, uint256 n, uint32 t)
        internal
        pure
        returns (bytes32)
    {
        bytes memory words = bytes.concat(
            salt, JOB, bytes32(uint256(4 * 32)), bytes32(uint256(t)), bytes32(n)
        );
        for (uint256 i = 0; i < n; ++i) {
            words = bytes.concat(words, bytes32(uint256(uint160(attester(i)))));
        }
        return keccak256(words);
    }

    function identityKey(uint256 i) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("identity", i))) % ORDER;
    }

    function attesterKey(uint256 i) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("attester", i))) % ORDER;
    }

    function silo(uint256 i) internal pure returns (address) {
        return VM.addr(identityKey(i));
    }

    function attester(uint256 i) internal pure returns (address) {
        return VM.addr(attesterKey(i));
    }

    function silos(uint256 n) internal pure returns (address[] memory a) {
        a = new address[](n);
        for (uint256 i = 0; i < n; ++i) {
            a[i] = silo(i);
        }
    }

    // -------------------------------------------------------- signatures

    function signed(uint256 key, bytes32 digest)
        internal
        pure
        returns (bytes memory)
    {
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// The other signature that ecrecover takes for the same.
    function highS(bytes memory signature)
        internal
        pure
        returns (bytes memory)
    {
        (bytes32 r, bytes32 s, uint8 v) = split(signature);
        return abi.encodePacked(r, bytes32(ORDER - uint256(s)), v ^ 7);
    }

    function split(bytes memory signature)
        internal
        pure
        returns (bytes32 r, bytes32 s, uint8 v)
    {
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
    }

    function all(uint256 n) internal pure returns (uint256[] memory who) {
        who = new uint256[](n);
        for (uint256 i = 0; i < n; ++i) {
            who[i] = i;
        }
    }

    function three(uint256 a, uint256 b, uint256 c)
        internal
        pure
        returns (uint256[] memory who)
    {
        who = new uint256[](3);
        (who[0], who[1], who[2]) = (a, b, c);
    }

    function signedBy(uint256[] memory who, bytes32 digest)
        internal
        pure
        returns (bytes memory out)
    {
        for (uint256 i = 0; i < who.length; ++i) {
            out = bytes.concat(out, signed(attesterKey(who[i]), digest));
        }
    }

    // ----------------------------------------------------------- digests

    function typed(address where, string memory name, bytes32 structHash)
        internal
        view
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256(bytes(name)),
                keccak256("1"),
                block.chainid,
                where
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function binding(CoveyFederation f, uint256 i, uint256 key, uint64 nonce)
        internal
        view
        returns (bytes memory)
    {
        bytes32 h = keccak256(
            abi.encode(
                keccak256(
                    "Attester(address silo,address attester,uint64 nonce)"
                ),
                silo(i),
                VM.addr(key),
                nonce
            )
        );
        return signed(identityKey(i), typed(address(f), "Covey Federation", h));
    }

    function openingDigest(CoveyFederation f, bytes32 salt, uint256 n, uint32 t)
        internal
        view
        returns (bytes32)
    {
        bytes memory packed;
        for (uint256 i = 0; i < n; ++i) {
            packed = bytes.concat(packed, abi.encode(attester(i)));
        }
        bytes32 h = keccak256(
            abi.encode(
                keccak256(
                    "Run(bytes32 runId,bytes32 jobDigest,address[] attesters,uint32 collusion)"
                ),
                idOf(salt, n, t),
                JOB,
                keccak256(packed),
                t
            )
        );
        return typed(address(f), "Covey Federation", h);
    }

    function roundsDigest(
        CoveyFederation f,
        bytes32 id,
        uint64 first,
        uint64 last,
        bytes32 before,
        bytes32 end
    ) internal view returns (bytes32) {
        bytes32 h = keccak256(
            abi.encode(
                keccak256(
                    "Rounds(bytes32 runId,bytes32 jobDigest,uint64 firstRound,uint64 lastRound,bytes32 previousHead,bytes32 newHead)"
                ),
                id,
                JOB,
                first,
                last,
                before,
                end
            )
        );
        return typed(address(f), "Covey Federation", h);
    }

    function epochDigest(CoveyRewards w, CoveyRewards.Epoch memory e)
        internal
        view
        returns (bytes32)
    {
        bytes32 h = keccak256(
            abi.encode(
                keccak256(
                    "Epoch(bytes32 runId,uint64 epoch,uint32 version,bytes32 head,address sponsor,address token,bytes32 root,uint256 total,uint32 leaves)"
                ),
                e.runId,
                e.epoch,
                e.version,
                e.head,
                e.sponsor,
                e.token,
                e.root,
                e.total,
                e.leaves
            )
        );
        return typed(address(w), "Covey Rewards", h);
    }

    function objection(
        CoveyRewards w,
        uint256 i,
        bytes32 id,
        uint64 epoch,
        uint32 version
    ) internal view returns (bytes memory) {
        bytes32 h = keccak256(
            abi.encode(
                keccak256(
                    "Objection(bytes32 runId,uint64 epoch,uint32 version)"
                ),
                id,
                epoch,
                version
            )
        );
        return signed(attesterKey(i), typed(address(w), "Covey Rewards", h));
    }

    // ------------------------------------------------------------ rounds

    function records(uint64 first, uint256 n)
        internal
        pure
        returns (bytes32[] memory r)
    {
        r = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            r[i] = keccak256(abi.encode("record", first + i));
        }
    }

    function step(bytes32 head, uint256 round, bytes32 record)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(bytes.concat(head, bytes32(round), record));
    }

    function walk(bytes32 head, uint64 first, bytes32[] memory r)
        internal
        pure
        returns (bytes32)
    {
        for (uint256 i = 0; i < r.length; ++i) {
            head = step(head, first + i, r[i]);
        }
        return head;
    }

    function headOf(bytes32 id) internal view returns (bytes32 head) {
        (, head,,,,) = fed.run(id);
    }

    function lastOf(bytes32 id) internal view returns (uint64 last) {
        (,, last,,,) = fed.run(id);
    }

    /// The next n rounds of RUN, signed by attesters 0, 1 and 3.
    function commit(uint256 n) internal {
        (bytes32 head, uint64 first) = (headOf(RUN), lastOf(RUN) + 1);
        bytes32[] memory r = records(first, n);
        bytes32 end = walk(head, first, r);
        bytes32 digest =
            roundsDigest(fed, RUN, first, first + uint64(n) - 1, head, end);
        fed.commitRounds(RUN, head, r, first, signedBy(three(0, 1, 3), digest));
    }

    // ------------------------------------------------------------- trees

    function leafOf(
        CoveyRewards w,
        bytes32 id,
        uint64 epoch,
        uint256 index,
        address payee,
        uint256 amount
    ) internal view returns (bytes32) {
        bytes32 inner = keccak256(
            abi.encode(
                block.chainid, address(w), id, epoch, index, payee, amount
            )
        );
        return keccak256(abi.encode(inner));
    }

    function node(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return
            a < b
                ? keccak256(bytes.concat(a, b))
                : keccak256(bytes.concat(b, a));
    }

    /// Root, and the proof of one leaf; an odd node goes up as it is.
    function tree(bytes32[] memory leaves, uint256 k)
        internal
        pure
        returns (bytes32 root, bytes32[] memory proof)
    {
        bytes32[] memory level = leaves;
        bytes32[] memory found = new bytes32[](32);
        uint256 count = 0;
        while (level.length > 1) {
            if (k ^ 1 < level.length) found[count++] = level[k ^ 1];
            bytes32[] memory up = new bytes32[]((level.length + 1) / 2);
            for (uint256 i = 0; i < up.length; ++i) {
                up[i] = 2 * i + 1 < level.length
                    ? node(level[2 * i], level[2 * i + 1])
                    : level[2 * i];
            }
            level = up;
            k /= 2;
        }
        proof = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            proof[i] = found[i];
        }
        root = level[0];
    }

    // -------------------------------------------------------- assertions

    function eq(uint256 found, uint256 expected) internal pure {
        if (found != expected) revert Differs(found, expected);
    }

    function eq(bytes32 found, bytes32 expected) internal pure {
        eq(uint256(found), uint256(expected));
    }

    function eq(address found, address expected) internal pure {
        eq(uint160(found), uint160(expected));
    }

    error Differs(uint256 found, uint256 expected);
}

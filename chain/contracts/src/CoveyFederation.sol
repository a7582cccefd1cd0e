// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {
    EnumerableSet
} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {CoveyRewards} from "./CoveyRewards.sol";
import {ICoveyFederation} from "./ICoveyFederation.sol";

/// @title Silos of a consortium, the runs they train, and where each run is
/// @notice The owner says who is a silo, and nothing else: it cannot open a
/// run, move one, or touch money.  A run is opened by all its attesters, who
/// are frozen from then on, and moved by a quorum of them.  Whoever pays for
/// the transaction has no say: everything is signed.
/// @dev The owner may be a person, a multisig or a governor; votes attach
/// there.  Stake and roles attach to (silo, attester), which others can read.
contract CoveyFederation is ICoveyFederation, EIP712, Ownable2Step {
    using EnumerableSet for EnumerableSet.AddressSet;

    bytes32 public constant ATTESTER_TYPE =
        keccak256("Attester(address silo,address attester,uint64 nonce)");
    bytes32 public constant RUN_TYPE = keccak256(
        "Run(bytes32 runId,bytes32 jobDigest,address[] attesters,uint32 collusion)"
    );
    bytes32 public constant ROUNDS_TYPE = keccak256(
        "Rounds(bytes32 runId,bytes32 jobDigest,uint64 firstRound,uint64 lastRound,bytes32 previousHead,bytes32 newHead)"
    );
    uint256 public constant MAX_ATTESTERS = 255;
    /// Rounds in one transaction: keeps it far below the networks' gas caps.
    uint256 public constant MAX_BATCH = 1024;
    uint256 private constant SIGNATURE_BYTES = 65;

    struct Silo {
        address attester; // signs for the silo; 0 if it is not active
        uint64 nonce; // bindings accepted so far, also of earlier memberships
    }

    struct Run {
        bytes32 jobDigest;
        bytes32 head;
        uint64 lastRound;
        uint32 collusion;
        uint32 quorum;
        address[] attesters;
        mapping(address attester => uint256) position; // plus 1; 0: none
    }

    /// Made by the constructor before anything else, so that its address
    /// follows from this one's (CREATE, nonce 1).
    CoveyRewards public immutable rewards;

    EnumerableSet.AddressSet private _silos;
    mapping(address silo => Silo) private _silo;
    /// Whom an attester signs for at present; 0: nobody.
    mapping(address attester => address silo) public siloOf;
    mapping(bytes32 runId => Run) private _runs;

    event SiloAdded(address indexed silo);
    event SiloRemoved(address indexed silo);
    event AttesterSet(
        address indexed silo, address indexed attester, uint64 nonce
    );
    event RunOpened(
        bytes32 indexed runId,
        bytes32 jobDigest,
        bytes32 head,
        address[] attesters,
        uint32 quorum
    );
    event RoundsCommitted(
        bytes32 indexed runId,
        uint64 firstRound,
        uint64 lastRound,
        bytes32 head,
        bytes32[] records
    );

    error AlreadySilo(address silo);
    error NotSilo(address silo);
    error AttesterInvalid(address attester);
    error AttesterTaken(address attester, address silo);
    /// A signature is not of whom it should be; `found` is 0 if it is not a
    /// valid signature at all.
    error WrongSigner(uint256 position, address expected, address found);
    error SiloTwice(address silo);
    error RunExists(bytes32 runId);
    error UnknownRun(bytes32 runId);
    error NumberOfSilos(uint256 found, uint256 least, uint256 most);
    error CollusionTooHigh(uint32 collusion, uint256 most);
    error SignaturesLength(uint256 found, uint256 expected);
    error StaleHead(bytes32 head, uint64 lastRound);
    error BatchLength(uint256 found, uint256 most);
    error FirstAttestedOutside(uint64 found, uint64 first, uint64 last);
    error NotAttester(bytes32 runId, address found);
    error NotInOrder(uint256 position, address found);
    error NoQuorum(uint256 found, uint256 quorum);

    /// @param challengeWindow seconds in which an attester may object to an
    /// epoch of rewards
    /// @param claimPeriod seconds that sponsors must leave for claims
    constructor(address owner, uint64 challengeWindow, uint64 claimPeriod)
        EIP712("Covey Federation", "1")
        Ownable(owner)
    {
        rewards = new CoveyRewards(challengeWindow, claimPeriod);
    }

    // ------------------------------------------------------------- silos

    /// Take in a silo.  Its identity key signs whom it lets attest, so that the
    /// owner cannot speak for it.
    function addSilo(address silo_, address attester, bytes calldata signature)
        external
        onlyOwner
    {
        if (!_silos.add(silo_)) revert AlreadySilo(silo_);
        emit SiloAdded(silo_);
        _bind(silo_, attester, signature);
    }

    /// Change a silo's attester; runs that are open keep theirs.
    function setAttester(
        address silo_,
        address attester,
        bytes calldata signature
    ) external {
        if (!_silos.contains(silo_)) revert NotSilo(silo_);
        _bind(silo_, attester, signature);
    }

    /// No new runs with this silo.  Its attester is free for another, so that
    /// one who binds a partner's attester to itself gains nothing lasting.
    function removeSilo(address silo_) external onlyOwner {
        if (!_silos.remove(silo_)) revert NotSilo(silo_);
        delete siloOf[_silo[silo_].attester];
        _silo[silo_].attester = address(0);
        emit SiloRemoved(silo_);
    }

    function silo(address silo_)
        external
        view
        returns (address attester, uint64 nonce, bool active)
    {
        Silo storage s = _silo[silo_];
        return (s.attester, s.nonce, s.attester != address(0));
    }

    function siloCount() external view returns (uint256) {
        return _silos.length();
    }

    /// Active silos; a removal may change the order.
    function siloAt(uint256 i) external view returns (address) {
        return _silos.at(i);
    }

    // -------------------------------------------------------------- runs

    /// Open a run.  The attesters of these silos are frozen in this order, and
    /// every one of them has signed the opening.  The run's id is a digest of
    /// its terms, so nobody can take it but by this very opening:
    ///   runId = keccak256(abi.encode(salt, jobDigest, attesters, collusion))
    /// @param salt what tells this run from others on the same terms
    /// @param signatures 65 bytes of each, in the order of `silos`
    function openRun(
        bytes32 salt,
        bytes32 jobDigest,
        address[] calldata silos,
        uint32 collusion,
        bytes calldata signatures
    ) external {
        uint256 n = silos.length;
        if (n < 2 || n > MAX_ATTESTERS) {
            revert NumberOfSilos(n, 2, MAX_ATTESTERS);
        }
        if (collusion > n - 2) revert CollusionTooHigh(collusion, n - 2);
        if (signatures.length != n * SIGNATURE_BYTES) {
            revert SignaturesLength(signatures.length, n * SIGNATURE_BYTES);
        }

        address[] memory attesters = _attestersOf(silos);
        bytes32 runId =
            keccak256(abi.encode(salt, jobDigest, attesters, collusion));
        Run storage r = _runs[runId];
        if (r.head != 0) revert RunExists(runId);
        _freeze(r, attesters, silos);
        bytes32 head = _hashTypedDataV4(
            keccak256(
                abi.encode(
                    RUN_TYPE,
                    runId,
                    jobDigest,
                    keccak256(abi.encodePacked(attesters)),
                    collusion
                )
            )
        );
        for (uint256 i = 0; i < n; ++i) {
            _checkSigner(i, attesters[i], head, _signature(signatures, i));
        }
        r.jobDigest = jobDigest;
        r.head = head;
        r.collusion = collusion;
        r.quorum = SafeCast.toUint32(quorumOf(n, collusion));
        emit RunOpened(runId, jobDigest, head, attesters, r.quorum);
    }

    /// More than half of the attesters and those who may lie: two quorums share
    /// one who does not.  With collusion + 2 <= n it is never above n.
    function quorumOf(uint256 n, uint256 collusion)
        public
        pure
        returns (uint256 quorum)
    {
        quorum = (n + collusion) / 2 + 1;
        assert(collusion + 2 > n || quorum <= n);
    }

    /// Rounds that follow the last one.  Signed is a part of the chain of heads
    /// that ends with this batch; a head binds all before it, so the signers
    /// may have begun anywhere in the batch.
    /// @param previousHead where the sender believes the run to be
    /// @param records digests of the rounds' records, in order
    /// @param firstAttested first round of the signed statement, in this batch
    function commitRounds(
        bytes32 runId,
        bytes32 previousHead,
        bytes32[] calldata records,
        uint64 firstAttested,
        bytes calldata signatures
    ) external {
        Run storage r = _existing(runId);
        bytes32 head = r.head;
        uint64 first = r.lastRound + 1;
        if (previousHead != head) revert StaleHead(head, first - 1);
        if (records.length == 0 || records.length > MAX_BATCH) {
            revert BatchLength(records.length, MAX_BATCH);
        }
        uint64 last = first + uint64(records.length) - 1;
        if (firstAttested < first || firstAttested > last) {
            revert FirstAttestedOutside(firstAttested, first, last);
        }

        bytes32 before;
        (before, head) = _walk(head, first, records, firstAttested);
        bytes32 digest = _hashTypedDataV4(
            keccak256(
                abi.encode(
                    ROUNDS_TYPE,
                    runId,
                    r.jobDigest,
                    firstAttested,
                    last,
                    before,
                    head
                )
            )
        );
        _checkQuorum(runId, r, digest, signatures);
        r.head = head;
        r.lastRound = last;
        emit RoundsCommitted(runId, first, last, head, records);
    }

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
        )
    {
        Run storage r = _runs[runId];
        return (
            r.jobDigest,
            r.head,
            r.lastRound,
            uint32(r.attesters.length),
            r.collusion,
            r.quorum
        );
    }

    function attesterAt(bytes32 runId, uint256 index)
        external
        view
        returns (address)
    {
        return _existing(runId).attesters[index];
    }

    /// @inheritdoc ICoveyFederation
    function attesterIndex(bytes32 runId, address attester)
        external
        view
        returns (uint256)
    {
        uint256 position = _existing(runId).position[attester];
        if (position == 0) revert NotAttester(runId, attester);
        return position - 1;
    }

    /// @inheritdoc ICoveyFederation
    function checkQuorum(
        bytes32 runId,
        bytes32 digest,
        bytes calldata signatures
    ) external view {
        _checkQuorum(runId, _existing(runId), digest, signatures);
    }

    // ------------------------------------------------------------- inside

    function _existing(bytes32 runId) private view returns (Run storage r) {
        r = _runs[runId];
        if (r.head == 0) revert UnknownRun(runId);
    }

    function _bind(address silo_, address attester, bytes calldata signature)
        private
    {
        Silo storage s = _silo[silo_];
        bytes32 digest = _hashTypedDataV4(
            keccak256(abi.encode(ATTESTER_TYPE, silo_, attester, s.nonce))
        );
        // An identity is not used for anything else than identities.
        if (attester == address(0) || attester == silo_) {
            revert AttesterInvalid(attester);
        }
        if (siloOf[attester] != address(0)) {
            revert AttesterTaken(attester, siloOf[attester]);
        }
        _checkSigner(0, silo_, digest, signature);
        delete siloOf[s.attester];
        siloOf[attester] = silo_;
        s.attester = attester;
        emit AttesterSet(silo_, attester, s.nonce);
        ++s.nonce;
    }

    function _attestersOf(address[] calldata silos)
        private
        view
        returns (address[] memory attesters)
    {
        attesters = new address[](silos.length);
        for (uint256 i = 0; i < silos.length; ++i) {
            address attester = _silo[silos[i]].attester;
            if (attester == address(0)) revert NotSilo(silos[i]);
            attesters[i] = attester;
        }
    }

    function _freeze(
        Run storage r,
        address[] memory attesters,
        address[] calldata silos
    ) private {
        for (uint256 i = 0; i < attesters.length; ++i) {
            // One attester serves one silo, so this finds every repetition.
            if (r.position[attesters[i]] != 0) revert SiloTwice(silos[i]);
            r.position[attesters[i]] = i + 1;
        }
        r.attesters = attesters;
    }

    function _walk(
        bytes32 head,
        uint64 first,
        bytes32[] calldata records,
        uint64 firstAttested
    ) private pure returns (bytes32 before, bytes32 last) {
        for (uint256 i = 0; i < records.length; ++i) {
            uint256 round = first + i;
            if (round == firstAttested) before = head;
            head = keccak256(abi.encode(head, round, records[i]));
        }
        return (before, head);
    }

    function _checkQuorum(
        bytes32 runId,
        Run storage r,
        bytes32 digest,
        bytes calldata signatures
    ) private view {
        uint256 n = signatures.length / SIGNATURE_BYTES;
        if (signatures.length != n * SIGNATURE_BYTES) {
            revert SignaturesLength(signatures.length, n * SIGNATURE_BYTES);
        }
        if (n < r.quorum) revert NoQuorum(n, r.quorum);
        uint256 before = 0;
        for (uint256 i = 0; i < n; ++i) {
            address signer = _signer(digest, _signature(signatures, i));
            uint256 position = r.position[signer];
            if (position == 0) revert NotAttester(runId, signer);
            if (position <= before) revert NotInOrder(i, signer);
            before = position;
        }
    }

    function _checkSigner(
        uint256 position,
        address expected,
        bytes32 digest,
        bytes calldata signature
    ) private pure {
        address found = _signer(digest, signature);
        if (found != expected || found == address(0)) {
            revert WrongSigner(position, expected, found);
        }
    }

    /// 0 if it is not a signature: then nobody is found under it.
    function _signer(bytes32 digest, bytes calldata signature)
        private
        pure
        returns (address signer)
    {
        (signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
    }

    function _signature(bytes calldata signatures, uint256 i)
        private
        pure
        returns (bytes calldata)
    {
        return signatures[i * SIGNATURE_BYTES:(i + 1) * SIGNATURE_BYTES];
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {
    SafeERC20
} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {
    ReentrancyGuardTransient
} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {
    MerkleProof
} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {ICoveyFederation} from "./ICoveyFederation.sol";

/// @title What sponsors pay for runs, and who has got it
/// @notice Nobody owns this contract.  A sponsor funds a run that is open; a
/// quorum of the run's attesters says how an amount is split, as the root of a
/// tree of (index, payee, amount); any attester may object in time, and then
/// the quorum has to sign again; after that each payee gets what its leaf
/// says, once.
///
/// A pool is the money of one sponsor in one token for one run.  Deadlines:
///  - A pool may be refunded from the later of (last funding + claimPeriod) and
///    (last epoch accepted on it + challengeWindow + claimPeriod).
///  - An epoch is accepted only if challengeWindow + claimPeriod end within
///    LIMIT of the last funding.  So whatever is accepted, and not objected to, can be claimed
///    for at least claimPeriod; and attesters, however many collude, cannot
///    hold money longer than LIMIT.
///  - A refund takes all that is left of the pool and voids its epochs; until
///    then claims go on.  Money that comes later is for later epochs.
/// @dev Stake attaches as another sponsor or payee; a slashing contract would
/// read `Objected` and `EpochPosted`.  Tokens whose balances change by
/// themselves are not for this contract: each pool would still be paid what it
/// was given, as long as there is any.
contract CoveyRewards is EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;
    using BitMaps for BitMaps.BitMap;

    bytes32 public constant EPOCH_TYPE = keccak256(
        "Epoch(bytes32 runId,uint64 epoch,uint32 version,bytes32 head,address sponsor,address token,bytes32 root,uint256 total,uint32 leaves)"
    );
    bytes32 public constant OBJECTION_TYPE =
        keccak256("Objection(bytes32 runId,uint64 epoch,uint32 version)");
    /// How long a funding can be held, whoever colludes; more than the two
    /// periods together can be.
    uint64 public constant LIMIT = 730 days;
    uint64 public constant MAX_WINDOW = 30 days;
    uint64 public constant MAX_CLAIM_PERIOD = 365 days;

    /// A statement of the quorum; the fields of EPOCH_TYPE, in its order.
    struct Epoch {
        bytes32 runId;
        uint64 epoch; // 1, 2, ... of this run
        uint32 version; // 1, 2, ... of this epoch
        bytes32 head; // the run's, when it is accepted
        address sponsor;
        address token;
        bytes32 root;
        uint256 total; // not less than the sum of the amounts
        uint32 leaves;
    }

    struct Pool {
        uint112 free; // in no epoch
        uint112 allocated; // in epochs, not claimed
        uint32 generation; // refunds so far: older epochs are void
        uint64 fundedAt;
        uint64 acceptedAt;
    }

    /// An epoch as it is kept; what a claim reads is packed.
    struct Account {
        bytes32 root;
        uint112 total;
        uint112 left; // not claimed; never 0 before a claim of something
        uint32 generation;
        address sponsor;
        uint64 claimableFrom;
        uint32 version; // 0: not posted
        address token;
        uint32 leaves;
        bool frozen;
        uint256 objectors; // bit i: attester i has objected to this epoch
        BitMaps.BitMap claimed; // by index
    }

    ICoveyFederation public immutable federation;
    uint64 public immutable challengeWindow;
    uint64 public immutable claimPeriod;

    mapping(
        bytes32 runId
            => mapping(address token => mapping(address sponsor => Pool))
    ) private _pools;
    mapping(bytes32 runId => mapping(uint64 epoch => Account)) private
        _accounts;
    mapping(bytes32 runId => uint64) public lastEpoch;

    event Funded(
        bytes32 indexed runId,
        address indexed token,
        address indexed sponsor,
        uint256 amount
    );
    event EpochPosted(
        bytes32 indexed runId,
        uint64 indexed epoch,
        uint32 version,
        address sponsor,
        address token,
        bytes32 root,
        uint256 total,
        uint32 leaves,
        uint64 claimableFrom
    );
    event Objected(
        bytes32 indexed runId,
        uint64 indexed epoch,
        uint32 version,
        address attester
    );
    event Claimed(
        bytes32 indexed runId,
        uint64 indexed epoch,
        uint256 index,
        address indexed payee,
        uint256 amount
    );
    event Refunded(
        bytes32 indexed runId,
        address indexed token,
        address indexed sponsor,
        uint256 amount
    );

    error PeriodOutside(uint64 found, uint64 least, uint64 most);
    error UnknownRun(bytes32 runId);
    error NothingReceived(address token);
    error PoolTooLarge(uint256 found, uint256 most);
    error WrongHead(bytes32 found, bytes32 expected);
    error WrongEpoch(uint64 found, uint64 expected);
    error WrongVersion(uint32 found, uint32 expected);
    error NoLeaves();
    error PoolChanged(address sponsor, address token);
    error PoolTooSmall(uint256 found, uint256 total);
    error PoolTooOld(uint64 claimsEnd, uint64 limit);
    error NotFrozen(bytes32 runId, uint64 epoch);
    error Frozen(bytes32 runId, uint64 epoch);
    error UnknownEpoch(bytes32 runId, uint64 epoch);
    error WindowOver(uint64 since);
    error ObjectedBefore(address attester);
    error TooEarly(uint64 from);
    error EpochVoid(bytes32 runId, uint64 epoch);
    error PayeeInvalid(address payee);
    error IndexOutside(uint256 index, uint32 leaves);
    error AlreadyClaimed(uint256 index);
    error AboveTotal(uint256 amount, uint256 left);
    error NotInTree(bytes32 leaf);
    error NothingToRefund(bytes32 runId, address token, address sponsor);

    /// The maker is the federation whose runs are paid here.
    constructor(uint64 challengeWindow_, uint64 claimPeriod_)
        EIP712("Covey Rewards", "1")
    {
        if (challengeWindow_ == 0 || challengeWindow_ > MAX_WINDOW) {
            revert PeriodOutside(challengeWindow_, 1, MAX_WINDOW);
        }
        if (claimPeriod_ == 0 || claimPeriod_ > MAX_CLAIM_PERIOD) {
            revert PeriodOutside(claimPeriod_, 1, MAX_CLAIM_PERIOD);
        }
        federation = ICoveyFederation(msg.sender);
        challengeWindow = challengeWindow_;
        claimPeriod = claimPeriod_;
    }

    // ----------------------------------------------------------- sponsors

    /// Give money to a run.  What arrives counts, not what was sent.
    function fund(bytes32 runId, address token, uint256 amount)
        external
        nonReentrant
    {
        // Whoever opens a run says who shares in it: not after the money.
        (, bytes32 head,,,,) = federation.run(runId);
        if (head == 0) revert UnknownRun(runId);

        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received == 0) revert NothingReceived(token);

        Pool storage p = _pools[runId][token][msg.sender];
        // Together, so that epochs and refunds can move it between the two.
        uint256 most = type(uint112).max - p.free - p.allocated;
        if (received > most) revert PoolTooLarge(received, most);
        p.free += received.toUint112();
        p.fundedAt = _now();
        emit Funded(runId, token, msg.sender, received);
    }

    /// Take back what is left of the sender's own pool, after its deadline.
    function refund(bytes32 runId, address token) external nonReentrant {
        Pool storage p = _pools[runId][token][msg.sender];
        uint256 amount = uint256(p.free) + p.allocated;
        if (amount == 0) revert NothingToRefund(runId, token, msg.sender);
        uint64 from = _refundableFrom(p);
        if (_now() < from) revert TooEarly(from);

        p.free = 0;
        p.allocated = 0;
        ++p.generation;
        emit Refunded(runId, token, msg.sender, amount);
        IERC20(token).safeTransfer(msg.sender, amount);
    }

    // ---------------------------------------------------------- attesters

    /// Split money of a pool: version 1 of the next epoch, or the next version
    /// of one that was objected to.  It is bound to where the run is now.
    function postEpoch(Epoch calldata e, bytes calldata signatures)
        external
        nonReentrant
    {
        Account storage a = _accounts[e.runId][e.epoch];
        _checkTurn(a, e);
        if (e.leaves == 0) revert NoLeaves();
        (, bytes32 head,,,,) = federation.run(e.runId);
        if (e.head != head) revert WrongHead(e.head, head);
        federation.checkQuorum(e.runId, epochDigest(e), signatures);

        Pool storage p = _pools[e.runId][e.token][e.sponsor];
        _allocate(p, a, e.total);
        a.root = e.root;
        a.sponsor = e.sponsor;
        a.token = e.token;
        a.leaves = e.leaves;
        a.version = e.version;
        a.frozen = false;
        a.claimableFrom = _now() + challengeWindow;
        p.acceptedAt = _now();
        emit EpochPosted(
            e.runId,
            e.epoch,
            e.version,
            e.sponsor,
            e.token,
            e.root,
            e.total,
            e.leaves,
            a.claimableFrom
        );
    }

    /// Stop an epoch until the quorum signs again: each attester once per
    /// epoch, so that a few cannot stop it for ever.
    function object(
        bytes32 runId,
        uint64 epoch,
        uint32 version,
        bytes calldata signature
    ) external nonReentrant {
        Account storage a = _posted(runId, epoch);
        if (version != a.version) revert WrongVersion(version, a.version);
        if (a.frozen) revert Frozen(runId, epoch);
        if (_now() >= a.claimableFrom) revert WindowOver(a.claimableFrom);

        bytes32 digest = _hashTypedDataV4(
            keccak256(abi.encode(OBJECTION_TYPE, runId, epoch, version))
        );
        // 0 if it is not a signature, and 0 is not an attester.
        (address attester,,) = ECDSA.tryRecoverCalldata(digest, signature);
        uint256 bit = 1 << federation.attesterIndex(runId, attester);
        if (a.objectors & bit != 0) revert ObjectedBefore(attester);
        a.objectors |= bit;
        a.frozen = true;
        emit Objected(runId, epoch, version, attester);
    }

    // -------------------------------------------------------------- payees

    /// Pay what a leaf says to whom it says; anyone may bring it.
    function claim(
        bytes32 runId,
        uint64 epoch,
        uint256 index,
        address payee,
        uint256 amount,
        bytes32[] calldata proof
    ) external nonReentrant {
        Account storage a = _posted(runId, epoch);
        if (a.frozen) revert Frozen(runId, epoch);
        if (_now() < a.claimableFrom) revert TooEarly(a.claimableFrom);
        if (payee == address(0) || payee == address(this)) {
            revert PayeeInvalid(payee);
        }
        if (index >= a.leaves) revert IndexOutside(index, a.leaves);
        bytes32 leaf = leafOf(runId, epoch, index, payee, amount);
        if (!MerkleProof.verifyCalldata(proof, a.root, leaf)) {
            revert NotInTree(leaf);
        }
        if (a.claimed.get(index)) revert AlreadyClaimed(index);
        a.claimed.set(index);
        if (amount > a.left) revert AboveTotal(amount, a.left);
        address token = a.token;
        Pool storage p = _pools[runId][token][a.sponsor];
        if (p.generation != a.generation) revert EpochVoid(runId, epoch);

        // It is at most a.left, and so is within p.allocated.
        a.left -= amount.toUint112();
        p.allocated -= amount.toUint112();
        emit Claimed(runId, epoch, index, payee, amount);
        IERC20(token).safeTransfer(payee, amount);
    }

    // --------------------------------------------------------------- views

    /// @return free money in no epoch
    /// @return allocated money in epochs that was not claimed yet
    /// @return refundableFrom when the sponsor may take all of it; an epoch that
    /// is accepted or a funding moves it
    function pool(bytes32 runId, address token, address sponsor)
        external
        view
        returns (uint256 free, uint256 allocated, uint64 refundableFrom)
    {
        Pool storage p = _pools[runId][token][sponsor];
        return (p.free, p.allocated, p.fundedAt == 0 ? 0 : _refundableFrom(p));
    }

    /// @return version 0 if it was never posted
    /// @return claimableFrom claims begin unless it is frozen
    /// @return frozen objected to, and not signed again
    /// @return void_ its money went back to the sponsor
    /// @return left not claimed yet
    function epochState(bytes32 runId, uint64 epoch)
        external
        view
        returns (
            uint32 version,
            uint64 claimableFrom,
            bool frozen,
            bool void_,
            uint256 left
        )
    {
        Account storage a = _accounts[runId][epoch];
        Pool storage p = _pools[runId][a.token][a.sponsor];
        void_ = p.generation != a.generation;
        return (a.version, a.claimableFrom, a.frozen, void_, void_ ? 0 : a.left);
    }

    /// What was posted, as far as it is kept.
    function epochTerms(bytes32 runId, uint64 epoch)
        external
        view
        returns (
            address sponsor,
            address token,
            bytes32 root,
            uint256 total,
            uint32 leaves
        )
    {
        Account storage a = _accounts[runId][epoch];
        return (a.sponsor, a.token, a.root, a.total, a.leaves);
    }

    function isClaimed(bytes32 runId, uint64 epoch, uint256 index)
        external
        view
        returns (bool)
    {
        return _accounts[runId][epoch].claimed.get(index);
    }

    function epochDigest(Epoch calldata e) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(EPOCH_TYPE, e)));
    }

    /// Hashed twice, so that no inner node of a tree is a leaf.
    function leafOf(
        bytes32 runId,
        uint64 epoch,
        uint256 index,
        address payee,
        uint256 amount
    ) public view returns (bytes32) {
        return keccak256(
            bytes.concat(
                keccak256(
                    abi.encode(
                        block.chainid,
                        address(this),
                        runId,
                        epoch,
                        index,
                        payee,
                        amount
                    )
                )
            )
        );
    }

    // --------------------------------------------------------------- inside

    function _now() private view returns (uint64) {
        return uint64(block.timestamp);
    }

    function _posted(bytes32 runId, uint64 epoch)
        private
        view
        returns (Account storage a)
    {
        a = _accounts[runId][epoch];
        if (a.version == 0) revert UnknownEpoch(runId, epoch);
    }

    /// Never above fundedAt + LIMIT: no epoch is accepted that would move it
    /// there, and claimPeriod alone is shorter.
    function _refundableFrom(Pool storage p) private view returns (uint64) {
        uint64 from = p.fundedAt + claimPeriod;
        uint64 other = p.acceptedAt + challengeWindow + claimPeriod;
        return other > from ? other : from;
    }

    /// Is it the turn of this epoch in this version?
    function _checkTurn(Account storage a, Epoch calldata e) private {
        if (e.version != a.version + 1) {
            revert WrongVersion(e.version, a.version + 1);
        }
        if (a.version == 0) {
            uint64 next = lastEpoch[e.runId] + 1;
            if (e.epoch != next) revert WrongEpoch(e.epoch, next);
            lastEpoch[e.runId] = next;
            return;
        }
        if (!a.frozen) revert NotFrozen(e.runId, e.epoch);
        // The next epoch may use another pool; this one gives total 0 then.
        if (e.sponsor != a.sponsor || e.token != a.token) {
            revert PoolChanged(a.sponsor, a.token);
        }
    }

    /// Move money from the pool to an epoch, after what an older version of it
    /// holds was given back.
    function _allocate(Pool storage p, Account storage a, uint256 total)
        private
    {
        uint64 end = _now() + challengeWindow + claimPeriod;
        uint64 limit = p.fundedAt + LIMIT;
        if (end > limit) revert PoolTooOld(end, limit);
        uint256 free = p.free;
        uint256 allocated = p.allocated;
        // A version that was replaced was never claimed from.
        if (a.generation == p.generation) {
            free += a.left;
            allocated -= a.left;
        }
        if (total > free) revert PoolTooSmall(free, total);
        p.free = (free - total).toUint112();
        p.allocated = (allocated + total).toUint112();
        a.generation = p.generation;
        a.total = total.toUint112();
        a.left = total.toUint112();
    }
}

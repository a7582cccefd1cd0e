// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CoveyRewards} from "../src/CoveyRewards.sol";
import {CoveyTestToken} from "../src/CoveyTestToken.sol";
import {RewardsFixture} from "./RewardsFixture.sol";

/// Everything that may happen to one run with two sponsors, in any order, and
/// the books that are kept of it apart from the contract.
contract Handler is RewardsFixture {
    struct Posted {
        uint256[] amounts;
        uint256 total;
        uint256 claimed;
        uint256 acceptedAt;
        uint32 version;
        uint8 sponsor;
        bool frozen;
        bool void_;
    }

    address[2] public sponsors = [address(0xa11ce), address(0xb0b)];
    uint256[2] public funded;
    uint256[2] public claimed;
    uint256[2] public refunded;
    bytes32 public head;
    uint64 public last;
    Posted[] private _posted;
    // What was let through, or refused, and should not have been.
    string public wrong;
    // Of each action, how often it came to something.
    uint256[9] public done;

    constructor() {
        setUp();
        head = headOf(RUN);
        for (uint256 i = 0; i < 2; ++i) {
            token.transfer(sponsors[i], 1e25);
            VM.prank(sponsors[i]);
            token.approve(address(rewards), type(uint256).max);
        }
    }

    function actions() external pure returns (bytes4[] memory a) {
        a = new bytes4[](9);
        a[0] = this.doFund.selector;
        a[1] = this.doPost.selector;
        a[2] = this.doObject.selector;
        a[3] = this.doReplace.selector;
        a[4] = this.doClaim.selector;
        a[5] = this.doRefund.selector;
        a[6] = this.doWarp.selector;
        a[7] = this.doCommit.selector;
        a[8] = this.doForge.selector;
    }

    function parts()
        external
        view
        returns (CoveyRewards, CoveyTestToken, bytes32, uint64, uint256)
    {
        return (rewards, token, headOf(RUN), lastOf(RUN), _posted.length);
    }

    /// Of one sponsor: what the live epochs have left.
    function left(uint256 sponsor) external view returns (uint256 sum_) {
        for (uint256 i = 0; i < _posted.length; ++i) {
            Posted storage p = _posted[i];
            if (p.sponsor == sponsor && !p.void_) sum_ += p.total - p.claimed;
        }
    }

    function overdrawn() external view returns (bool) {
        for (uint256 i = 0; i < _posted.length; ++i) {
            if (_posted[i].claimed > _posted[i].total) return true;
        }
        return false;
    }

    function poolOf(uint256 i)
        public
        view
        returns (uint256 free_, uint256 allocated_, uint64 from)
    {
        return rewards.pool(RUN, address(token), sponsors[i]);
    }

    // ------------------------------------------------------------- actions

    function doFund(uint8 who, uint96 amount) external {
        uint256 i = who % 2;
        uint256 n = 1e19 + uint256(amount) % 1e20;
        VM.prank(sponsors[i]);
        rewards.fund(RUN, address(token), n);
        funded[i] += n;
        ++done[0];
    }

    function doPost(uint8 who, uint256 seed, uint8 leaves) external {
        _post(uint64(_posted.length) + 1, 1, who % 2, seed, leaves);
    }

    function doObject(uint256 which, uint8 who) external {
        if (_posted.length == 0) return;
        uint64 k = uint64(which % _posted.length);
        Posted storage p = _posted[k];
        uint256 i = who % 4;
        bytes memory s = objection(rewards, i, RUN, k + 1, p.version);
        try rewards.object(RUN, k + 1, p.version, s) {
            if (p.frozen) wrong = "objection to a frozen epoch";
            if (block.timestamp >= p.acceptedAt + WINDOW) {
                wrong = "objection after the window";
            }
            p.frozen = true;
            ++done[2];
        } catch {}
    }

    function doReplace(uint256 which, uint256 seed, uint8 leaves) external {
        if (_posted.length == 0) return;
        uint64 k = uint64(which % _posted.length);
        Posted storage p = _posted[k];
        _post(k + 1, p.version + 1, p.sponsor, seed, leaves);
    }

    function doClaim(uint256 which, uint256 leaf) external {
        if (_posted.length == 0) return;
        uint64 k = uint64(which % _posted.length);
        Posted storage p = _posted[k];
        uint256 i = leaf % p.amounts.length;
        (, bytes32[] memory proof) = tree(leavesOf(k + 1, p.amounts), i);
        bool again = rewards.isClaimed(RUN, k + 1, i);
        uint256 before = token.balanceOf(payee(i));
        try rewards.claim(RUN, k + 1, i, payee(i), p.amounts[i], proof) {
            if (again) wrong = "claimed twice";
            if (p.frozen || p.void_) wrong = "claimed from a dead epoch";
            if (block.timestamp < p.acceptedAt + WINDOW) {
                wrong = "claimed within the window";
            }
            if (token.balanceOf(payee(i)) - before != p.amounts[i]) {
                wrong = "the payee got something else";
            }
            ++done[4];
            p.claimed += p.amounts[i];
            claimed[p.sponsor] += p.amounts[i];
        } catch {
            if (
                !again && !p.frozen && !p.void_
                    && block.timestamp >= p.acceptedAt + WINDOW
                    && p.amounts[i] <= p.total - p.claimed
            ) {
                wrong = "a good claim was refused";
            }
        }
    }

    function doRefund(uint8 who) external {
        uint256 i = who % 2;
        uint256 before = token.balanceOf(sponsors[i]);
        VM.prank(sponsors[i]);
        try rewards.refund(RUN, address(token)) {
            ++done[5];
            refunded[i] += token.balanceOf(sponsors[i]) - before;
            for (uint256 k = 0; k < _posted.length; ++k) {
                Posted storage p = _posted[k];
                if (p.sponsor != i || p.void_) continue;
                if (block.timestamp < p.acceptedAt + WINDOW + PERIOD) {
                    wrong = "refunded before claims had their time";
                }
                p.void_ = true;
            }
        } catch {}
    }

    function doWarp(uint32 seconds_) external {
        VM.warp(block.timestamp + seconds_ % 40 days);
        ++done[6];
    }

    function doCommit(uint8 n) external {
        uint256 k = 1 + n % 20;
        bytes32[] memory r = records(last + 1, k);
        head = walk(head, last + 1, r);
        last += uint64(k);
        commit(k);
        ++done[7];
    }

    /// Rounds that too few have signed, or that do not follow the head.
    function doForge(uint8 n, bool stale) external {
        bytes32[] memory r = records(last + 1, 1 + n % 5);
        bytes32 from = stale ? keccak256(abi.encode(head)) : head;
        bytes32 d = roundsDigest(
            fed,
            RUN,
            last + 1,
            last + uint64(r.length),
            from,
            walk(from, last + 1, r)
        );
        bytes memory s =
            stale ? signedBy(three(0, 1, 2), d) : signedBy(three(0, 1, 1), d);
        try fed.commitRounds(RUN, from, r, last + 1, s) {
            wrong = "forged rounds";
        } catch {
            ++done[8];
        }
    }

    function _post(
        uint64 epoch,
        uint32 version,
        uint8 sponsor,
        uint256 seed,
        uint8 leaves
    ) private {
        uint256[] memory amounts = new uint256[](1 + leaves % 6);
        for (uint256 i = 0; i < amounts.length; ++i) {
            amounts[i] = uint256(keccak256(abi.encode(seed, i))) % 2e19;
        }
        CoveyRewards.Epoch memory e = epochOf(epoch, version, amounts);
        e.sponsor = sponsors[sponsor];
        // Some totals are below the sum of the leaves, as a liar's would be.
        if (seed % 4 == 0) e.total /= 2;
        (uint256 free_,,) = poolOf(sponsor);
        try rewards.postEpoch(e, quorum(e)) {
            if (version == 1) {
                _posted.push();
                if (e.total > free_) wrong = "more than there was";
            } else if (!_posted[epoch - 1].frozen) {
                wrong = "replaced without an objection";
            }
            ++done[version == 1 ? 1 : 3];
            Posted storage p = _posted[epoch - 1];
            if (p.claimed != 0) wrong = "replaced after claims";
            (p.amounts, p.total) = (amounts, e.total);
            (p.acceptedAt, p.version) = (block.timestamp, version);
            (p.sponsor, p.frozen, p.void_) = (sponsor, false, false);
        } catch {}
    }
}

contract InvariantTest {
    error Never(uint256 action);

    Handler private _h;

    function setUp() public {
        _h = new Handler();
    }

    function targetContracts() public view returns (address[] memory t) {
        t = new address[](1);
        t[0] = address(_h);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() public view returns (FuzzSelector[] memory t) {
        t = new FuzzSelector[](1);
        t[0] = FuzzSelector(address(_h), _h.actions());
    }

    function invariantBooks() public view {
        (
            CoveyRewards rewards,
            CoveyTestToken token,
            bytes32 head,
            uint64 last,
        ) = _h.parts();
        require(bytes(_h.wrong()).length == 0, _h.wrong());
        uint256 owed = 0;
        for (uint256 i = 0; i < 2; ++i) {
            (uint256 free_, uint256 allocated_, uint64 from) = _h.poolOf(i);
            uint256 out = _h.claimed(i) + _h.refunded(i);
            require(out <= _h.funded(i), "more came out than went in");
            require(free_ + allocated_ + out == _h.funded(i), "books differ");
            require(allocated_ == _h.left(i), "allocations differ");
            require(from <= block.timestamp + 730 days, "no limit");
            owed += free_ + allocated_;
        }
        require(!_h.overdrawn(), "an epoch paid above its total");
        require(token.balanceOf(address(rewards)) == owed, "owes more");
        require(head == _h.head() && last == _h.last(), "not an attested head");
    }

    /// The actions are not refused all the time.
    function testEveryActionComesToSomething() public {
        bytes4[] memory actions = _h.actions();
        for (uint256 i = 0; i < 1500; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            (bool ok,) = address(_h)
                .call(
                    abi.encodePacked(
                        actions[seed % actions.length],
                        // Arguments that fit every action: small numbers.
                        (seed >> 32) % 2,
                        (seed >> 64) % 2,
                        (seed >> 96) % 2
                    )
                );
            require(ok, "an action failed");
            if (i % 7 == 0) _h.doWarp(8 hours);
            if (i % 300 == 299) {
                _h.doWarp(40 days - 1);
                _h.doRefund(uint8(i / 300));
            }
        }
        invariantBooks();
        for (uint256 k = 0; k < actions.length; ++k) {
            if (_h.done(k) == 0) revert Never(k);
        }
    }
}

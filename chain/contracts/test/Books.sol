// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// The books of CoveyRewards for one pool and one epoch of it, without
/// signatures, trees and tokens, so that a solver can look at every order of
/// events (prove.js): each step, from any state in which the books hold, ends in
/// one in which they hold.  The steps are those of the contract.
contract Books {
    uint256 private _funded;
    uint256 private _claimed;
    uint256 private _refunded;
    uint256 private _free;
    uint256 private _allocated;
    uint256 private _left; // of the epoch, while it is alive
    uint256 private _others; // of other epochs, alive
    bool private _alive;
    bool private _frozen;

    /// Nothing is lost, nothing is paid twice, whatever came before.
    function holds() private view returns (bool) {
        return _free + _allocated + _claimed + _refunded == _funded
            && _allocated == _left + _others && _funded <= type(uint128).max
            && _claimed + _refunded <= _funded && (_alive || _left == 0);
    }

    modifier step() {
        require(holds());
        _;
        assert(holds());
    }

    constructor() {
        assert(holds());
    }

    function fund(uint256 amount) external step {
        require(amount <= type(uint112).max - _free - _allocated);
        require(_funded + amount <= type(uint128).max);
        _free += amount;
        _funded += amount;
    }

    function post(uint256 total, bool other) external step {
        if (other) {
            require(total <= _free);
            _others += total;
            _free -= total;
            _allocated += total;
        } else {
            require(!_alive || _frozen);
            uint256 free = _free;
            uint256 allocated = _allocated;
            if (_alive) {
                free += _left;
                allocated -= _left;
            }
            require(total <= free);
            _free = free - total;
            _allocated = allocated + total;
            _left = total;
            _alive = true;
            _frozen = false;
        }
    }

    function object() external step {
        _frozen = true;
    }

    function claim(uint256 amount, bool other) external step {
        if (other) {
            require(amount <= _others);
            _others -= amount;
        } else {
            require(_alive && !_frozen && amount <= _left);
            _left -= amount;
        }
        _allocated -= amount;
        _claimed += amount;
    }

    function refund() external step {
        _refunded += _free + _allocated;
        _free = 0;
        _allocated = 0;
        _left = 0;
        _others = 0;
        _alive = false;
    }

    /// Two quorums share one who does not lie, and a quorum can be had.
    function quorum(uint256 n, uint256 collusion) external pure {
        require(n >= 2 && n <= 255 && collusion <= n - 2);
        uint256 q = (n + collusion) / 2 + 1;
        assert(q <= n);
        assert(2 * q > n + collusion);
    }

    /// What is accepted can be claimed for the whole claim period, and the
    /// sponsor waits no longer than the limit.
    function deadlines(
        uint256 funded,
        uint256 accepted,
        uint256 window,
        uint256 period
    ) external pure {
        uint256 limit = funded + 730 days;
        require(window <= 30 days && period <= 365 days);
        require(funded <= accepted && funded < 1 << 62);
        require(accepted + window + period <= limit);
        uint256 from = funded + period;
        uint256 other = accepted + window + period;
        if (other > from) from = other;
        assert(from >= accepted + window + period);
        assert(from >= funded + period);
        assert(from <= limit);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// A token for local networks and tests; it is worth nothing.
contract CoveyTestToken is ERC20 {
    constructor(address holder, uint256 amount)
        ERC20("Covey Test Token", "COVEYTEST")
    {
        _mint(holder, amount);
    }
}

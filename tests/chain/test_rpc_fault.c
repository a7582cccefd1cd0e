/* The table of node messages, as nodes write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chain/rpc.h"

static void messages_as_nodes_write_them(void **state)
{
    (void)state;
    static const struct {
        int64_t code;
        const char *message;
        cv_fault fault;
    } table[] = {
        /* geth, op-geth */
        {-32000, "already known", CV_FAULT_KNOWN},
        {-32000, "nonce too low: next nonce 8, tx nonce 7", CV_FAULT_NONCE_LOW},
        {-32000, "nonce too high", CV_FAULT_NONCE_HIGH},
        {-32000, "replacement transaction underpriced", CV_FAULT_UNDERPRICED},
        {-32000,
         "transaction underpriced: gas tip cap 1, minimum needed 1000000",
         CV_FAULT_UNDERPRICED},
        {-32000,
         "max fee per gas less than block base fee: address 0x20f3, "
         "maxFeePerGas: 10, baseFee: 765625000",
         CV_FAULT_FEE_LOW},
        {-32000,
         "insufficient funds for gas * price + value: balance 0, tx cost "
         "21000, "
         "overshot 21000",
         CV_FAULT_FUNDS},
        {-32000, "intrinsic gas too low: gas 20000, minimum needed 21000",
         CV_FAULT_GAS},
        {-32000, "exceeds block gas limit", CV_FAULT_GAS},
        {-32000, "transaction gas limit too high (cap: 16777216, tx: 16777217)",
         CV_FAULT_GAS},
        {-32000, "gas required exceeds allowance (0)", CV_FAULT_GAS},
        {-32000, "insufficient gas for floor data gas cost", CV_FAULT_GAS},
        {-32000, "out of gas", CV_FAULT_GAS},
        {3, "execution reverted: NotEnough", CV_FAULT_REVERT},
        {-32000, "execution reverted", CV_FAULT_REVERT},
        {-32601, "the method eth_foo does not exist/is not available",
         CV_FAULT_METHOD},
        {-32000, "txpool is full", CV_FAULT_BUSY},
        {-32000, "header not found", CV_FAULT_BUSY},
        {-32000, "safe block not found", CV_FAULT_NO_BLOCK},
        {-32000, "finalized block not found", CV_FAULT_NO_BLOCK},
        {-32002, "request timed out", CV_FAULT_BUSY},
        {-32000, "in-flight transaction limit reached for delegated accounts",
         CV_FAULT_BUSY},
        /* Erigon */
        {-32000, "INTERNAL_ERROR: existing tx with same hash", CV_FAULT_KNOWN},
        {-32000, "ALREADY_EXISTS: already known", CV_FAULT_KNOWN},
        {-32000, "INTERNAL_ERROR: nonce too low", CV_FAULT_NONCE_LOW},
        {-32000, "INTERNAL_ERROR: could not replace existing tx",
         CV_FAULT_UNDERPRICED},
        /* Nethermind */
        {-32010, "AlreadyKnown", CV_FAULT_KNOWN},
        {-32010, "OldNonce", CV_FAULT_NONCE_LOW},
        {-32010, "OldNonce, Current nonce: 8, nonce of rejected tx: 7",
         CV_FAULT_NONCE_LOW},
        {-32010, "NonceGap, Future nonce. Expected nonce: 3",
         CV_FAULT_NONCE_HIGH},
        {-32010, "FeeTooLowToCompete", CV_FAULT_UNDERPRICED},
        {-32010, "InsufficientFunds, Account balance: 0", CV_FAULT_FUNDS},
        {-32010, "GasLimitExceeded, Gas limit: 30000000", CV_FAULT_GAS},
        {-32015, "VM execution error.", CV_FAULT_REVERT},
        {-32015, "revert", CV_FAULT_REVERT},
        /* reth, anvil */
        {-32003, "transaction already imported", CV_FAULT_KNOWN},
        {-32003, "nonce too low", CV_FAULT_NONCE_LOW},
        {-32003, "Insufficient funds for gas * price + value", CV_FAULT_FUNDS},
        {-32003, "Out of gas: gas required exceeds allowance: 30000",
         CV_FAULT_GAS},
        {-32003, "max fee per gas less than block base fee", CV_FAULT_FEE_LOW},
        /* Besu, Hardhat, Parity */
        {-32000, "Known transaction", CV_FAULT_KNOWN},
        {-32009, "Gas price below current base fee", CV_FAULT_FEE_LOW},
        {-32004, "Upfront cost exceeds account balance", CV_FAULT_FUNDS},
        {-32000, "Replacement transaction underpriced", CV_FAULT_UNDERPRICED},
        {-32603,
         "Error: VM Exception while processing transaction: reverted with "
         "reason string 'no'",
         CV_FAULT_REVERT},
        {-32000, "Sender doesn't have enough funds to send tx", CV_FAULT_FUNDS},
        {-32010, "Transaction with the same hash was already imported.",
         CV_FAULT_KNOWN},
        {-32010, "Transaction nonce is too low. Try incrementing the nonce.",
         CV_FAULT_NONCE_LOW},
        {-32010,
         "Transaction gas price 12 is too low. There is another transaction "
         "with same nonce in the queue.",
         CV_FAULT_UNDERPRICED},
        /* in front of nodes */
        {429,
         "Your app has exceeded its compute units per second capacity. If you "
         "have retries enabled, you can safely ignore this message.",
         CV_FAULT_BUSY},
        {-32005, "project ID request rate exceeded", CV_FAULT_BUSY},
        {-32005, "daily request count exceeded, request rate limited",
         CV_FAULT_BUSY},
        {-32007, "25/second request limit reached", CV_FAULT_BUSY},
        {-32016, "over rate limit", CV_FAULT_BUSY},
        {-32017, "sender is over rate limit", CV_FAULT_BUSY},
        {-32011, "no backend is currently healthy to serve traffic",
         CV_FAULT_BUSY},
        {-32019, "block is out of range", CV_FAULT_NO_BLOCK},
        {-32005, "", CV_FAULT_BUSY},
        {-32000, "Too Many Requests, reason: call rate limit exhausted",
         CV_FAULT_BUSY},
        {-32001, "rpc method is not whitelisted", CV_FAULT_METHOD},
        /* nobody's */
        {-32000, "something new", CV_FAULT_OTHER},
        {-32602, "invalid params", CV_FAULT_OTHER},
        {-32603, "", CV_FAULT_OTHER},
        {0, NULL, CV_FAULT_OTHER},
        {INT64_MIN, "\xff", CV_FAULT_OTHER},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_fault found = cv_fault_of(table[i].code, table[i].message);
        if (found != table[i].fault)
            fail_msg("\"%s\": expected %s, found %s", table[i].message,
                     cv_fault_name(table[i].fault), cv_fault_name(found));
    }
}

/* What comes after the node's own words is the contract's, and may be anything.
 */
static void a_contract_cannot_choose_the_fault(void **state)
{
    (void)state;
    static const char *const reasons[] = {
        "already known",    "nonce too low", "insufficient funds", "rate limit",
        "method not found", "out of gas",    "underpriced"};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        char text[80];
        snprintf(text, sizeof text, "execution reverted: %s", reasons[i]);
        assert_int_equal(cv_fault_of(3, text), CV_FAULT_REVERT);
        assert_int_equal(cv_fault_of(-32000, text), CV_FAULT_REVERT);
        assert_int_equal(cv_fault_of(3, reasons[i]), CV_FAULT_REVERT);
    }
}

/* "already sent" spares a send: nothing near it may be taken for it. */
static void other_words_are_not_known(void **state)
{
    (void)state;
    static const char *const others[] = {"unknown transaction",
                                         "unknown transaction type",
                                         "UNKNOWN TRANSACTION: retry",
                                         "transaction not known",
                                         "not already kno",
                                         ""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_not_equal(cv_fault_of(-32000, others[i]), CV_FAULT_KNOWN);
}

static void every_fault_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = CV_FAULT_NONE; a <= CV_FAULT_OTHER; a++) {
        assert_true(strlen(cv_fault_name((cv_fault)a)) > 2);
        for (int b = CV_FAULT_NONE; b < a; b++)
            assert_string_not_equal(cv_fault_name((cv_fault)a),
                                    cv_fault_name((cv_fault)b));
    }
    assert_string_equal(cv_fault_name((cv_fault)99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_as_nodes_write_them),
        cmocka_unit_test(a_contract_cannot_choose_the_fault),
        cmocka_unit_test(other_words_are_not_known),
        cmocka_unit_test(every_fault_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "chain/revert.h"

#include <stdio.h>
#include <string.h>

#include "chain/abi.h"

/* Names of the arguments stand between the types, so that one line of the
 * Solidity source is one line here; the selector is of the types alone. */
static const struct {
    const char *name, *args, *words;
} errors[] = {
    {"StaleHead", "bytes32 head,uint64 lastRound",
     "the run is at another head by now"},
    {"RunExists", "bytes32 runId", "the run was opened already"},
    {"UnknownRun", "bytes32 runId", "the run was never opened"},
    {"NotSilo", "address silo",
     "not a member of the federation; its owner adds silos with `covey chain "
     "register`"},
    {"SiloTwice", "address silo", "a silo is there twice"},
    {"NumberOfSilos", "uint256 found,uint256 least,uint256 most",
     "too few or too many silos"},
    {"CollusionTooHigh", "uint32 collusion,uint256 most",
     "too many colluding silos for so few"},
    {"WrongSigner", "uint256 position,address expected,address found",
     "a signature is not of whom the contract has as attester; has a silo "
     "changed its attester?"},
    {"SignaturesLength", "uint256 found,uint256 expected",
     "signatures of the wrong length"},
    {"BatchLength", "uint256 found,uint256 most", "too many rounds at once"},
    {"FirstAttestedOutside", "uint64 found,uint64 first,uint64 last",
     "the attestation does not begin in the batch"},
    {"NotAttester", "bytes32 runId,address found",
     "signed by somebody who is no attester of the run"},
    {"NotInOrder", "uint256 position,address found",
     "signatures are not in the attesters' order"},
    {"NoQuorum", "uint256 found,uint256 quorum", "too few signatures"},
    {"AlreadySilo", "address silo", "a member already"},
    {"AttesterInvalid", "address attester", "not an attester"},
    {"AttesterTaken", "address attester,address silo",
     "the attester signs for another silo"},
    {"WrongHead", "bytes32 found,bytes32 expected",
     "the run has gone on since the epoch was signed"},
    {"WrongEpoch", "uint64 found,uint64 expected",
     "another epoch is the next one"},
    {"WrongVersion", "uint32 found,uint32 expected",
     "another version is the next one"},
    {"NoLeaves", "", "nobody is paid"},
    {"PoolChanged", "address sponsor,address token",
     "a new version must keep the sponsor and the token"},
    {"PoolTooSmall", "uint256 found,uint256 total",
     "the sponsor's pool has too little money"},
    {"PoolTooOld", "uint64 claimsEnd,uint64 limit",
     "the sponsor's pool was never funded, or too long ago for the claims"},
    {"NotFrozen", "bytes32 runId,uint64 epoch",
     "nobody has objected to the version that is there"},
    {"InsufficientBalance", "uint256 balance,uint256 needed",
     "too little money"},
    {"ReentrancyGuardReentrantCall", "", "called from within itself"},
    {"UnknownEpoch", "bytes32 runId,uint64 epoch", "it was never posted"},
    {"EpochVoid", "bytes32 runId,uint64 epoch",
     "the sponsor has taken back what was left"},
    {"Frozen", "bytes32 runId,uint64 epoch",
     "frozen by an objection until the silos sign again"},
    {"TooEarly", "uint64 from", "not before that time"},
    {"WindowOver", "uint64 since", "the time to object is over"},
    {"ObjectedBefore", "address attester",
     "this silo has objected to the epoch once, and may not again"},
    {"AlreadyClaimed", "uint256 index", "it has been paid"},
    {"NotInTree", "bytes32 leaf", "not what the silos have signed"},
    {"AboveTotal", "uint256 amount,uint256 left",
     "more than is left of the epoch"},
    {"PayeeInvalid", "address payee", "nobody can be paid there"},
    {"NothingToRefund", "bytes32 runId,address token,address sponsor",
     "the pool is empty"},
    {"NothingReceived", "address token", "the token has moved nothing"},
    {"PoolTooLarge", "uint256 found,uint256 most", "too many units"},
    {"PeriodOutside", "uint64 found,uint64 least,uint64 most",
     "a number of seconds that the contract does not take"},
    {"OwnableUnauthorizedAccount", "address account",
     "only the federation's owner may"},
    {"OwnableInvalidOwner", "address owner", "nobody can own it there"},
    {"ERC20InsufficientBalance",
     "address sender,uint256 balance,uint256 needed", "too few tokens"},
    {"ERC20InsufficientAllowance",
     "address spender,uint256 allowance,uint256 needed",
     "the contract may not take that many tokens"},
    {"ERC20InvalidReceiver", "address receiver", "nobody can be paid there"},
    {"SafeERC20FailedOperation", "address token",
     "the token has refused to move"},
    {"Panic", "uint256 code", "an assertion of the contract failed"},
};
enum { N_ERRORS = sizeof errors / sizeof errors[0] };

/* "uint64 a,bytes32 b" -> "(uint64,bytes32)". */
static void types_of(char *out, size_t size, const char *args)
{
    size_t n = 0;
    int in_name = 0;
    out[n++] = '(';
    for (; *args && n + 2 < size; args++) {
        if (*args == ' ')
            in_name = 1;
        else if (*args == ',')
            in_name = 0;
        if (!in_name)
            out[n++] = *args;
    }
    out[n++] = ')';
    out[n] = '\0';
}

static int find(const uint8_t *data, size_t n)
{
    for (int i = 0; i < N_ERRORS && n >= 4; i++) {
        char types[128], signature[200];
        uint8_t selector[4];
        types_of(types, sizeof types, errors[i].args);
        snprintf(signature, sizeof signature, "%s%s", errors[i].name, types);
        cv_abi_selector(selector, signature);
        if (memcmp(selector, data, 4) == 0)
            return i;
    }
    return -1;
}

const char *cv_revert_name(const void *data, size_t n)
{
    int i = find(data, n);
    return i < 0 ? "" : errors[i].name;
}

static void add_value(cv_buf *b, const char *type, cv_abi_reader *r)
{
    char text[CV_UNITS_TEXT];
    uint8_t word[32];
    cv_address a;
    cv_u256 v;
    if (strncmp(type, "address", 7) == 0) {
        cv_abi_take_address(r, &a);
        cv_address_text(text, &a);
    } else if (strncmp(type, "bytes32", 7) == 0) {
        cv_abi_take_bytes32(r, word);
        memcpy(text, "0x", 2);
        cv_hex(text + 2, word, 32);
    } else {
        if (strncmp(type, "uint256", 7) == 0)
            cv_abi_take_u256(r, &v);
        else
            v = cv_u256_of(cv_abi_take_u64(r));
        cv_u256_units(text, &v, 0);
    }
    cv_buf_printf(b, "%s", text);
}

/* The error's arguments with their names; 0, or -1 if they are not that. */
static int add_arguments(cv_buf *b, int which, const uint8_t *data, size_t n)
{
    char types[128];
    cv_abi_reader r;
    const char *at = errors[which].args;
    types_of(types, sizeof types, at);
    cv_abi_open(&r, types, data, n);
    for (int first = 1; *at; first = 0) {
        const char *name = strchr(at, ' ') + 1;
        size_t length = strcspn(name, ",");
        cv_buf_printf(b, "%s%.*s ", first ? ": " : ", ", (int)length, name);
        add_value(b, at, &r);
        at = name + length + (name[length] == ',');
    }
    return cv_abi_close(&r, "an error", NULL);
}

static int add_reason(cv_buf *b, const uint8_t *data, size_t n)
{
    uint8_t selector[4];
    cv_abi_reader r;
    const uint8_t *text;
    size_t len;
    cv_abi_selector(selector, "Error(string)");
    if (n < 4 || memcmp(selector, data, 4) != 0)
        return -1;
    cv_abi_open(&r, "(string)", data + 4, n - 4);
    cv_abi_take_bytes(&r, &text, &len);
    if (cv_abi_close(&r, "a reason", NULL))
        return -1;
    cv_buf_printf(b, "\"");
    for (size_t i = 0; i < len && i < 200; i++)
        cv_buf_printf(b, "%c",
                      text[i] >= 0x20 && text[i] <= 0x7e ? text[i] : '?');
    cv_buf_printf(b, "\"");
    return 0;
}

void cv_revert_words(char *out, size_t size, const void *data, size_t n)
{
    cv_buf b = {0};
    const uint8_t *bytes = data;
    int which = n ? find(bytes, n) : -1;
    if (which >= 0) {
        cv_buf_printf(&b, "%s (%s)", errors[which].name, errors[which].words);
        if (add_arguments(&b, which, bytes + 4, n - 4))
            cv_buf_printf(&b, ", with arguments that do not fit");
    } else if (!n) {
        cv_buf_printf(&b, "no reason given");
    } else if (add_reason(&b, bytes, n)) {
        char hex[2 * 36 + 1];
        size_t shown = n < 36 ? n : 36;
        cv_hex(hex, bytes, shown);
        cv_buf_printf(&b, "an error that is not known here, 0x%s%s", hex,
                      shown < n ? ".." : "");
    }
    snprintf(out, size, "%s", cv_buf_text(&b));
    cv_buf_free(&b);
}

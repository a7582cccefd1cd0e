/* How nodes word their errors: the only place that knows.
 *
 * Sources: the error texts of geth and op-geth (core/txpool, core/state
 * transition, rpc), Erigon, Nethermind (AcceptTxResult), reth, Besu, anvil,
 * Hardhat; proxyd in front of OP nodes; the limits of hosted nodes; EIP-1474
 * and the JSON-RPC specification for the codes. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "chain/rpc.h"

/* Read from the top, the first row that fits wins: what a contract says comes
 * after "execution reverted" and may be anything, and "gas limit" must not be
 * taken for a limit of requests. */
static const struct {
    const char *words; /* at the start of a word, in any case */
    cv_fault fault;
} texts[] = {
    {"execution reverted", CV_FAULT_REVERT},
    {"vm execution error", CV_FAULT_REVERT},
    {"vm exception while processing", CV_FAULT_REVERT},
    {"transaction reverted", CV_FAULT_REVERT},
    {"always failing transaction", CV_FAULT_REVERT},
    {"invalid opcode", CV_FAULT_REVERT},

    {"already known", CV_FAULT_KNOWN},
    {"already imported", CV_FAULT_KNOWN},
    {"already in the pool", CV_FAULT_KNOWN},
    {"already in mempool", CV_FAULT_KNOWN},
    {"alreadyknown", CV_FAULT_KNOWN},
    {"known transaction", CV_FAULT_KNOWN},
    {"existing tx with same hash", CV_FAULT_KNOWN},
    {"transaction already exists", CV_FAULT_KNOWN},

    {"nonce too low", CV_FAULT_NONCE_LOW},
    {"nonce is too low", CV_FAULT_NONCE_LOW},
    {"oldnonce", CV_FAULT_NONCE_LOW},
    {"nonce has already been used", CV_FAULT_NONCE_LOW},
    {"nonce below", CV_FAULT_NONCE_LOW},

    {"nonce too high", CV_FAULT_NONCE_HIGH},
    {"nonce is too high", CV_FAULT_NONCE_HIGH},
    {"nonce gap", CV_FAULT_NONCE_HIGH},
    {"noncegap", CV_FAULT_NONCE_HIGH},
    {"noncetoofarinfuture", CV_FAULT_NONCE_HIGH},
    {"nonce is too distant", CV_FAULT_NONCE_HIGH},
    {"gapped-nonce", CV_FAULT_NONCE_HIGH},
    {"gapped nonce", CV_FAULT_NONCE_HIGH},
    {"future transaction tries to replace pending", CV_FAULT_NONCE_HIGH},

    {"less than block base fee", CV_FAULT_FEE_LOW},
    {"lower than the block base fee", CV_FAULT_FEE_LOW},
    {"below current base fee", CV_FAULT_FEE_LOW},
    {"less than the base fee", CV_FAULT_FEE_LOW},
    {"below the base fee", CV_FAULT_FEE_LOW},
    {"maxfeepergas too low", CV_FAULT_FEE_LOW},
    {"max fee per gas too low", CV_FAULT_FEE_LOW},
    {"transaction is outdated", CV_FAULT_FEE_LOW},

    {"underpriced", CV_FAULT_UNDERPRICED},
    {"replacement fee too low", CV_FAULT_UNDERPRICED},
    {"could not replace existing tx", CV_FAULT_UNDERPRICED},
    {"another transaction with same nonce", CV_FAULT_UNDERPRICED},
    {"replacementnotallowed", CV_FAULT_UNDERPRICED},
    {"ownnoncealreadyused", CV_FAULT_UNDERPRICED},
    {"feetoolow", CV_FAULT_UNDERPRICED},
    {"fee too low", CV_FAULT_UNDERPRICED},
    {"gas price too low", CV_FAULT_UNDERPRICED},
    {"gas price is too low", CV_FAULT_UNDERPRICED},
    {"gas price below", CV_FAULT_UNDERPRICED},
    {"priority fee below", CV_FAULT_UNDERPRICED},

    {"insufficient funds", CV_FAULT_FUNDS},
    {"insufficientfunds", CV_FAULT_FUNDS},
    {"insufficient balance", CV_FAULT_FUNDS},
    {"not enough funds", CV_FAULT_FUNDS},
    {"doesn't have enough funds", CV_FAULT_FUNDS},
    {"lack of funds", CV_FAULT_FUNDS},
    {"upfront cost exceeds", CV_FAULT_FUNDS},

    {"intrinsic gas", CV_FAULT_GAS},
    {"gas limit", CV_FAULT_GAS}, /* exceeds the block's, the transaction's */
    {"gaslimit", CV_FAULT_GAS},
    {"gas too low", CV_FAULT_GAS},
    {"gas too high", CV_FAULT_GAS},
    {"gas required exceeds", CV_FAULT_GAS},
    {"gas cost exceeds", CV_FAULT_GAS},
    {"floor data gas", CV_FAULT_GAS},
    {"out of gas", CV_FAULT_GAS},
    {"outofgas", CV_FAULT_GAS},
    {"gas uint64 overflow", CV_FAULT_GAS},
    {"callgascostmorethangaslimit", CV_FAULT_GAS},

    {"block not found", CV_FAULT_NO_BLOCK},
    {"unknown block", CV_FAULT_NO_BLOCK},
    {"block is out of range", CV_FAULT_NO_BLOCK},

    /* A node behind others that has not seen the newest block yet. */
    {"header not found", CV_FAULT_BUSY},
    {"missing trie node", CV_FAULT_BUSY},
    {"rate limit", CV_FAULT_BUSY},
    {"rate-limit", CV_FAULT_BUSY},
    {"ratelimit", CV_FAULT_BUSY},
    {"rate exceeded", CV_FAULT_BUSY},
    {"request limit", CV_FAULT_BUSY},
    {"request count exceeded", CV_FAULT_BUSY},
    {"too many requests", CV_FAULT_BUSY},
    {"compute units per second", CV_FAULT_BUSY},
    {"quota", CV_FAULT_BUSY},
    {"limit exceeded", CV_FAULT_BUSY},
    {"txpool is full", CV_FAULT_BUSY},
    {"too many transactions in the queue", CV_FAULT_BUSY},
    {"in-flight transaction limit", CV_FAULT_BUSY},
    {"no backend", CV_FAULT_BUSY},
    {"not healthy to serve", CV_FAULT_BUSY},
    {"temporarily", CV_FAULT_BUSY},
    {"service unavailable", CV_FAULT_BUSY},
    {"overloaded", CV_FAULT_BUSY},
    {"try again", CV_FAULT_BUSY},
    {"retry", CV_FAULT_BUSY},
    {"timeout", CV_FAULT_BUSY},
    {"timed out", CV_FAULT_BUSY},

    {"method not found", CV_FAULT_METHOD},
    {"method not supported", CV_FAULT_METHOD},
    {"unsupported method", CV_FAULT_METHOD},
    {"does not exist/is not available", CV_FAULT_METHOD},
    {"is not whitelisted", CV_FAULT_METHOD},
};

/* Codes that say more than the text, and codes for where no text fits.  -32000
 * and -32003 stand for anything. */
static const struct {
    int64_t code;
    cv_fault fault;
} first[] = {{3, CV_FAULT_REVERT}, {-32601, CV_FAULT_METHOD}},
  last[] = {
      {-32015, CV_FAULT_REVERT}, {-32004, CV_FAULT_METHOD},
      {-32005, CV_FAULT_BUSY},   {-32007, CV_FAULT_BUSY},
      {-32016, CV_FAULT_BUSY},   {-32017, CV_FAULT_BUSY},
      {-32002, CV_FAULT_BUSY},   {-39001, CV_FAULT_NO_BLOCK},
      {429, CV_FAULT_BUSY},      {502, CV_FAULT_BUSY},
      {503, CV_FAULT_BUSY},      {504, CV_FAULT_BUSY},
};

#define N_OF(a) (sizeof(a) / sizeof(a)[0])

/* words within text, at the start of a word: "unknown transaction" is not a
 * "known transaction". */
static int says(const char *text, const char *words)
{
    size_t n = strlen(words);
    for (const char *s = text; *s; s++)
        if ((s == text || !isalnum((unsigned char)s[-1])) &&
            strncasecmp(s, words, n) == 0)
            return 1;
    return 0;
}

cv_fault cv_fault_of(int64_t code, const char *message)
{
    for (size_t i = 0; i < N_OF(first); i++)
        if (first[i].code == code)
            return first[i].fault;
    for (size_t i = 0; message && i < N_OF(texts); i++)
        if (says(message, texts[i].words))
            return texts[i].fault;
    for (size_t i = 0; i < N_OF(last); i++)
        if (last[i].code == code)
            return last[i].fault;
    return CV_FAULT_OTHER;
}

const char *cv_fault_name(cv_fault fault)
{
    static const char *const names[] = {
        [CV_FAULT_NONE] = "none",
        [CV_FAULT_UNREACHABLE] = "unreachable",
        [CV_FAULT_BUSY] = "busy",
        [CV_FAULT_MALFORMED] = "malformed",
        [CV_FAULT_KNOWN] = "known",
        [CV_FAULT_NONCE_LOW] = "nonce_low",
        [CV_FAULT_NONCE_HIGH] = "nonce_high",
        [CV_FAULT_UNDERPRICED] = "underpriced",
        [CV_FAULT_FEE_LOW] = "fee_low",
        [CV_FAULT_FUNDS] = "funds",
        [CV_FAULT_GAS] = "gas",
        [CV_FAULT_REVERT] = "revert",
        [CV_FAULT_METHOD] = "method",
        [CV_FAULT_NO_BLOCK] = "no_block",
        [CV_FAULT_OTHER] = "other",
    };
    return (size_t)fault < N_OF(names) ? names[fault] : "?";
}

/** What a contract said when it refused: its custom errors, in words. */
#ifndef COVEY_CHAIN_REVERT_H
#define COVEY_CHAIN_REVERT_H

#include <stddef.h>

/** The name of the error with these bytes, "" for none that is known. Names are
 *  those of chain/contracts/src and of the library below it. */
const char *cv_revert_name(const void *data, size_t n);

/** "StaleHead (the run is at another head): head 0x12..ab, lastRound 50" into
 *  out, always terminated and printable.  Solidity's own Error(string) and
 *  Panic(uint256) are known as well; other bytes are shown as hex, cut. */
void cv_revert_words(char *out, size_t size, const void *data, size_t n);

#endif

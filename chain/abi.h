/** Calls of contracts, and what they answer: the contract ABI.
 *
 *  Source: Solidity documentation, "Contract ABI Specification" (strict mode).
 *  Selectors and topics are computed from signatures, e.g.
 *  "transfer(address,uint256)", never written down.  Types: uint8..uint256,
 *  bool, address, bytes1..bytes32, bytes, string, and T[] of a static T.
 */
#ifndef COVEY_CHAIN_ABI_H
#define COVEY_CHAIN_ABI_H

#include "chain/pubkey.h"
#include "chain/u256.h"
#include "core/bytes.h"

void cv_abi_selector(uint8_t out[4], const char *signature);
void cv_abi_topic(uint8_t out[32], const char *signature);

/** A call or a list of constructor arguments in the making.  Each argument is
 *  held against its type in the signature; another type, or a value that its
 *  type cannot hold, is a bug (CV_CHECK). */
typedef struct {
    cv_buf head, tail;
    const char *type; /* of the next argument, within the signature */
    int selector;     /* 1: the result begins with first */
    uint8_t first[4];
    size_t head_size;
} cv_abi_writer;

/** signature "name(type,...)": a call; "(type,...)": arguments alone. It must
 *  outlive the writer. */
void cv_abi_begin(cv_abi_writer *w, const char *signature);
/** One word: any uint; bool; address; bytesN, with zeros behind its bytes. */
void cv_abi_put_u64(cv_abi_writer *w, uint64_t v);
void cv_abi_put_u256(cv_abi_writer *w, const cv_u256 *v);
void cv_abi_put_bool(cv_abi_writer *w, int v);
void cv_abi_put_address(cv_abi_writer *w, const cv_address *a);
void cv_abi_put_bytes32(cv_abi_writer *w, const uint8_t v[32]);
/** bytes or string. */
void cv_abi_put_bytes(cv_abi_writer *w, const void *data, size_t n);
/** bytes32[] (n, 32); address[]; any T[] as its encoded words (n, 32). */
void cv_abi_put_bytes32s(cv_abi_writer *w, const uint8_t *v, size_t n);
void cv_abi_put_addresses(cv_abi_writer *w, const cv_address *a, size_t n);
void cv_abi_put_words(cv_abi_writer *w, const uint8_t *v, size_t n);
/** Appends the result to out and frees the writer's parts. */
void cv_abi_end(cv_abi_writer *w, cv_buf *out);

/** Reading an answer or the data of a log, strictly: padding must be zero,
 *  offsets must be those that a writer makes, nothing may be left over. The
 *  first fault is kept; values after it are zero. */
typedef struct {
    const uint8_t *data;
    size_t n, head, tail, head_size;
    const char *type;
    const char *fault; /* NULL so far */
} cv_abi_reader;

/** types "(uint64,bytes32[])". data must outlive the reader. */
void cv_abi_open(cv_abi_reader *r, const char *types, const void *data,
                 size_t n);
uint64_t cv_abi_take_u64(cv_abi_reader *r);
void cv_abi_take_u256(cv_abi_reader *r, cv_u256 *out);
int cv_abi_take_bool(cv_abi_reader *r);
void cv_abi_take_address(cv_abi_reader *r, cv_address *out);
void cv_abi_take_bytes32(cv_abi_reader *r, uint8_t out[32]);
/** bytes or string, and any T[] (n words of 32 bytes, an address in the last
 *  20): pointers into the data. */
void cv_abi_take_bytes(cv_abi_reader *r, const uint8_t **out, size_t *n);
void cv_abi_take_words(cv_abi_reader *r, const uint8_t **out, size_t *n);
/** Returns 0; CV_ERR_VERIFY with what is wrong, `what` being what was read. */
int cv_abi_close(cv_abi_reader *r, const char *what, cv_err *err);

#endif

/** Answers of an OP node, shortened, for tests and the fuzzer.  Members that
 *  Covey does not read keep the odd kinds that such nodes give them. */
#ifndef COVEY_TESTS_NODE_ANSWERS_H
#define COVEY_TESTS_NODE_ANSWERS_H

#define TX_HASH                                                                \
    "5f4e2b1d0c9a8877665544332211ffeeddccbbaa99887766554433221100a1b2"
#define BLOCK_HASH                                                             \
    "0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9fa"
#define TOPIC                                                                  \
    "\"0x1111111111111111111111111111111111111111111111111111111111111111\""
#define TOPIC_22                                                               \
    "\"0x0000000000000000000000000000000000000000000000000000000000000022\""
#define EMITTER "\"0x00000000000000000000000000000000000000cc\""

static const char block_answer[] =
    "{\"number\":\"0x1b4\",\"hash\":\"0x" BLOCK_HASH "\","
    "\"timestamp\":\"0x6925e1a0\",\"baseFeePerGas\":\"0x4c4b40\","
    "\"gasLimit\":\"0x1c9c380\",\"size\":1234,\"transactions\":[\"0x" TX_HASH
    "\"],\"withdrawals\":[]}";

#define LOG_PLACE                                                              \
    "\"transactionHash\":\"0x" TX_HASH "\",\"blockHash\":\"0x" BLOCK_HASH      \
    "\",\"blockNumber\":\"0x1b4\",\"logIndex\":\"0x0\",\"removed\":false,"     \
    "\"blockTimestamp\":1764090272"

static const char receipt_answer[] =
    "{\"transactionHash\":\"0x" TX_HASH "\",\"blockHash\":\"0x" BLOCK_HASH
    "\",\"blockNumber\":\"0x1b4\",\"status\":\"0x1\",\"gasUsed\":\"0xb41c\","
    "\"effectiveGasPrice\":\"0x4dd1e0\",\"l1Fee\":\"0x2faf080\","
    "\"l1FeeScalar\":0.7,\"contractAddress\":null,\"blockTimestamp\":"
    "1764090272,"
    "\"type\":\"0x2\",\"logs\":[{\"address\":" EMITTER ",\"topics\":[" TOPIC
    "," TOPIC_22 "],\"data\":\"0x010203\"," LOG_PLACE "},{\"address\":" EMITTER
    ",\"topics\":[],\"data\":\"0x\"," LOG_PLACE "}]}";

#endif

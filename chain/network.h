/** The chains that Covey knows: one table. */
#ifndef COVEY_CHAIN_NETWORK_H
#define COVEY_CHAIN_NETWORK_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name;   /* none, local, base-sepolia, base */
    uint64_t chain_id;  /* 0: none */
    int confirmations;  /* blocks on top before a receipt counts as mined */
    const char *url;    /* used without --rpc; NULL: it must be given */
    uint64_t tip_floor; /* wei a gas: lowest tip that is offered */
    uint64_t tip_cap;   /* highest */
    uint64_t fee_cap;   /* highest max fee; above it settle waits */
    int test_money;     /* simulated runs may settle here */
    int block_seconds;  /* expected, for waiting */
} cv_network;

/** By name; NULL if there is none. */
const cv_network *cv_network_find(const char *name);
/** All names, NULL at the end (the job's words are compared with them). */
extern const char *const cv_network_names[];

#endif

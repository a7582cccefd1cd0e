#include "chain/network.h"

#include <string.h>

#define GWEI UINT64_C(1000000000)

/* Fees: Base asks at least 0.005 gwei as base fee, and a tip of 0.0001 gwei is
 * enough whenever its blocks are not full; the caps keep a node's advice, or a
 * rush, from spending more than was meant.  Only `local` holds money that is
 * worth nothing by construction: simulated runs settle nowhere else. */
static const cv_network networks[] = {
    {.name = "none"},
    {.name = "local",
     .chain_id = 31337,
     .confirmations = 0, /* a node that mines on demand has nothing on top */
     .url = "http://127.0.0.1:8545",
     .tip_floor = GWEI / 10000,
     .tip_cap = GWEI,
     .fee_cap = 1000 * GWEI,
     .test_money = 1,
     .block_seconds = 1},
    {.name = "base-sepolia",
     .chain_id = 84532,
     .confirmations = 2,
     .url = NULL, /* whoever asks chooses whom */
     .tip_floor = GWEI / 1000,
     .tip_cap = GWEI,
     .fee_cap = 10 * GWEI,
     .block_seconds = 2},
    {.name = "base",
     .chain_id = 8453,
     .confirmations = 3,
     .url = NULL,
     .tip_floor = GWEI / 10000,
     .tip_cap = GWEI,
     .fee_cap = 10 * GWEI,
     .block_seconds = 2},
};

const char *const cv_network_names[] = {"none", "local", "base-sepolia", "base",
                                        NULL};

const cv_network *cv_network_find(const char *name)
{
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++)
        if (strcmp(networks[i].name, name) == 0)
            return &networks[i];
    return NULL;
}

/* The events of a transaction must be what it was made for: a node that shows
 * a receipt without them shows another contract, or lies. */
#include <string.h>

#include "chain/settle_parts.h"

/* The one entry of this contract with this topic and first index. */
static const cv_log_entry *find(const cv_receipt *r, const cv_address *where,
                                const char *signature, const uint8_t id[32])
{
    const cv_log_entry *one = NULL;
    uint8_t topic[32];
    cv_abi_topic(topic, signature);
    for (size_t i = 0; i < r->n_logs; i++) {
        const cv_log_entry *l = &r->log[i];
        if (memcmp(&l->contract, where, sizeof *where) != 0 ||
            l->n_topics < 2 || memcmp(l->topic[0], topic, 32) != 0 ||
            memcmp(l->topic[1], id, 32) != 0)
            continue;
        if (one)
            return NULL;
        one = l;
    }
    return one;
}

static int opened(const cv_settler *s, const cv_receipt *r)
{
    cv_abi_reader a;
    uint8_t job[32], head[32];
    const uint8_t *who;
    size_t n;
    const cv_log_entry *l = find(
        r, &s->run.federation.contract,
        "RunOpened(bytes32,bytes32,bytes32,address[],uint32)", s->run.on_chain);
    if (!l)
        return 0;
    cv_abi_open(&a, "(bytes32,bytes32,address[],uint32)", l->data, l->n_data);
    cv_abi_take_bytes32(&a, job);
    cv_abi_take_bytes32(&a, head);
    cv_abi_take_words(&a, &who, &n);
    uint64_t quorum = cv_abi_take_u64(&a);
    if (cv_abi_close(&a, "RunOpened", NULL) || n != s->run.n ||
        quorum != s->quorum || memcmp(job, s->run.job, 32) != 0 ||
        memcmp(head, s->opening, 32) != 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (memcmp(who + 32 * i + 12, s->attester[i].b, 20) != 0)
            return 0;
    return 1;
}

static int committed(const cv_settler *s, const cv_outbox_tx *tx,
                     const cv_receipt *r)
{
    cv_abi_reader a;
    uint8_t head[32], walked[32];
    const uint8_t *records, *before = cv_settle_head(s, tx->first - 1),
                            *after = cv_settle_head(s, tx->last);
    size_t n;
    const cv_log_entry *l =
        find(r, &s->run.federation.contract,
             "RoundsCommitted(bytes32,uint64,uint64,bytes32,bytes32[])",
             s->run.on_chain);
    if (!l || !before || !after)
        return 0;
    cv_abi_open(&a, "(uint64,uint64,bytes32,bytes32[])", l->data, l->n_data);
    uint64_t first = cv_abi_take_u64(&a), last = cv_abi_take_u64(&a);
    cv_abi_take_bytes32(&a, head);
    cv_abi_take_words(&a, &records, &n);
    if (cv_abi_close(&a, "RoundsCommitted", NULL) || first != tx->first ||
        last != tx->last || n != last - first + 1 ||
        memcmp(head, after, 32) != 0)
        return 0;
    memcpy(walked, before, 32);
    for (size_t i = 0; i < n; i++)
        cv_head_step(walked, first + i, records + 32 * i);
    return memcmp(walked, after, 32) == 0;
}

static int posted(const cv_settler *s, const cv_outbox_tx *tx,
                  const cv_receipt *r)
{
    uint8_t number[32];
    const cv_log_entry *l =
        find(r, &s->rewards,
             "EpochPosted(bytes32,uint64,uint32,address,address,bytes32,"
             "uint256,uint32,uint64)",
             s->run.on_chain);
    cv_word_of_u64(number, tx->first);
    return l && l->n_topics == 3 && memcmp(l->topic[2], number, 32) == 0 &&
           l->n_data >= 32 && tx->last == cv_get_be32(l->data + 28);
}

int cv_settle_check_logs(cv_settler *s, const cv_outbox_tx *tx,
                         const cv_receipt *r, cv_err *err)
{
    int good = tx->kind == CV_TX_OPEN     ? opened(s, r)
               : tx->kind == CV_TX_ROUNDS ? committed(s, tx, r)
               : tx->kind == CV_TX_EPOCH  ? posted(s, tx, r)
                                          : 1;
    if (good)
        return 0;
    return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                      "the receipt of transaction %llu (%s) has no event of "
                      "the contract that says what was sent: the rounds in the "
                      "outbox were changed since, or the node is not to be "
                      "trusted; ask another one (--rpc)",
                      (unsigned long long)tx->id,
                      cv_outbox_tx_kind_name(tx->kind));
}

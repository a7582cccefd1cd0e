/* What is to be sent next: the opening, an epoch whose turn it is, a batch of
 * rounds that ends with an attested checkpoint. */
#include <stdio.h>
#include <string.h>

#include "chain/revert.h"
#include "chain/settle_parts.h"
#include "core/fs.h"

static void open_call(const cv_settler *s, cv_buf *out)
{
    cv_abi_writer w;
    cv_buf sigs = {0};
    for (uint32_t i = 0; i < s->run.n; i++) {
        uint8_t v[65];
        cv_sig_to_contract(v, &s->run.silos[i].opening);
        cv_buf_add(&sigs, v, sizeof v);
    }
    cv_abi_begin(&w, "openRun(bytes32,bytes32,address[],uint32,bytes)");
    cv_abi_put_bytes32(&w, s->run.run_id); /* the salt */
    cv_abi_put_bytes32(&w, s->run.job);
    cv_abi_put_addresses(&w, s->silo, s->run.n);
    cv_abi_put_u64(&w, s->run.collusion);
    cv_abi_put_bytes(&w, sigs.data, sigs.len);
    cv_abi_end(&w, out);
    cv_buf_free(&sigs);
}

/* The simulation says no. Somebody else may be faster: nodes simulate on top of
 * what waits in their pool, so this shows before the chain does. Anything else
 * will not go away. */
static int refused(cv_settler *s, const char *what, const cv_buf *said,
                   cv_err *err)
{
    char why[400];
    const char *name = cv_revert_name(said->data, said->len);
    if (strcmp(name, "StaleHead") == 0 || strcmp(name, "RunExists") == 0) {
        if (!s->overtaken_at)
            s->overtaken_at = cv_now();
        if (cv_now() - s->overtaken_at < 2 * cv_settle_patience(s))
            return 0;
    }
    cv_revert_words(why, sizeof why, said->data, said->len);
    /* A silo that nobody has taken in yet is a step that was left out. */
    return cv_err_set(
        err, strcmp(name, "NotSilo") == 0 ? CV_ERR_INPUT : CV_ERR_VERIFY,
        s->path, 0,
        "%s: the contract would refuse it, so nothing was sent: "
        "%s",
        what, why);
}

static int open_run(cv_settler *s, cv_sending *how, cv_err *err)
{
    cv_buf data = {0}, said = {0};
    cv_outbox_tx like = {.kind = CV_TX_OPEN};
    open_call(s, &data);
    int rc = cv_settle_send(s, how, &s->run.federation.contract, &data, &like,
                            &said, err);
    if (!rc && *how == CV_SENDING_TOO_BIG)
        rc = cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                        "opening the run takes more gas than a transaction "
                        "may");
    if (!rc && *how == CV_SENDING_REFUSED)
        rc = refused(s, "opening the run", &said, err);
    cv_buf_free(&data);
    cv_buf_free(&said);
    return rc;
}

/* Call data for rounds first..last, and what attests them. CV_ERR_VERIFY if no
 * quorum does. */
static int rounds_call(cv_settler *s, cv_buf *out, uint64_t first,
                       uint64_t last, cv_err *err)
{
    cv_abi_writer w;
    cv_buf sigs = {0}, records = {0};
    cv_outbox_rounds r;
    uint8_t digest[32];
    char what[80];
    int found, rc = cv_outbox_load_rounds(s->o, &r, &found, last, err);
    if (rc)
        return rc;
    /* The trainer may have put other rounds meanwhile: look again. */
    if (!found || r.last != last || r.first < first) {
        s->moved = 1;
        goto out;
    }
    snprintf(what, sizeof what, "rounds %llu to %llu",
             (unsigned long long)r.first, (unsigned long long)last);
    cv_rounds_digest(digest, &s->run.federation, s->run.on_chain, s->run.job,
                     r.first, last, cv_settle_head(s, r.first - 1),
                     cv_settle_head(s, last));
    rc = cv_settle_signatures(s, &sigs, r.sigs, digest, what, err);
    if (!rc)
        rc = cv_outbox_records(s->o, &records, first, last, err);
    if (rc)
        goto out;
    cv_abi_begin(&w, "commitRounds(bytes32,bytes32,bytes32[],uint64,bytes)");
    cv_abi_put_bytes32(&w, s->run.on_chain);
    cv_abi_put_bytes32(&w, cv_settle_head(s, first - 1));
    cv_abi_put_bytes32s(&w, (const uint8_t *)records.data, last - first + 1);
    cv_abi_put_u64(&w, r.first);
    cv_abi_put_bytes(&w, sigs.data, sigs.len);
    cv_abi_end(&w, out);
out:
    if (found)
        cv_outbox_rounds_free(&r);
    cv_buf_free(&sigs);
    cv_buf_free(&records);
    return rc;
}

/* A batch from `first` on: the largest up to `upto` that a quorum attests, else
 * the smallest above it. data is empty if there is none, with why. */
static int choose_batch(cv_settler *s, cv_buf *data, uint64_t *last,
                        uint64_t first, uint64_t upto, uint64_t limit,
                        cv_err *why, cv_err *err)
{
    uint64_t low = first, high = upto;
    int up = 0;
    for (;;) {
        int rc = cv_outbox_attested(s->o, last, first, low, high, up, err);
        if (rc)
            return rc;
        if (!*last && up)
            return 0;
        if (!*last) {
            up = 1;
            low = upto + 1;
            high = limit;
            if (low > high)
                return 0;
            continue;
        }
        rc = *last > s->last ? 0 : rounds_call(s, data, first, *last, why);
        if (!rc || rc != CV_ERR_VERIFY) {
            if (rc)
                *err = *why;
            return rc;
        }
        if (up)
            low = *last + 1;
        else
            high = *last - 1;
    }
}

static int commit(cv_settler *s, cv_sending *how, uint64_t upto, cv_err *err)
{
    uint64_t first = s->now.last + 1, last, size = s->batch;
    cv_err why = {0};
    int rc = 0;
    *how = CV_SENDING_REFUSED;
    if (upto > s->last)
        upto = s->last;
    uint64_t limit = first + CV_SETTLE_MAX_BATCH - 1;
    if (limit > upto)
        limit = upto;
    for (;;) {
        cv_buf data = {0}, said = {0};
        uint64_t want = first + size - 1;
        rc = choose_batch(s, &data, &last, first, want < limit ? want : limit,
                          limit, &why, err);
        if (!rc && data.len) {
            cv_outbox_tx like = {
                .kind = CV_TX_ROUNDS, .first = first, .last = last};
            rc = cv_settle_send(s, how, &s->run.federation.contract, &data,
                                &like, &said, err);
        }
        if (!rc && data.len && *how == CV_SENDING_REFUSED)
            rc = refused(s, "the next rounds", &said, err);
        int nothing = !rc && !data.len;
        cv_buf_free(&data);
        cv_buf_free(&said);
        if (nothing && !s->moved) {
            s->blocked = why;
            if (!why.code)
                cv_err_set(
                    &s->blocked, CV_ERR_VERIFY, s->path, 0,
                    "rounds %llu to %llu: no checkpoint that begins "
                    "after round %llu and has at most %d rounds was "
                    "attested; the silos sign at the next checkpoint of "
                    "the run",
                    (unsigned long long)first, (unsigned long long)s->last,
                    (unsigned long long)s->now.last, CV_SETTLE_MAX_BATCH);
        }
        if (rc || *how != CV_SENDING_TOO_BIG)
            return rc;
        if (last == first || size == 1)
            return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                              "rounds %llu to %llu are one checkpoint and take "
                              "more gas than a transaction may; train with a "
                              "checkpoint more often",
                              (unsigned long long)first,
                              (unsigned long long)last);
        size = (last - first + 1) / 2;
    }
}

int cv_settle_next(cv_settler *s, int *idle, cv_err *err)
{
    cv_sending how = CV_SENDING_REFUSED;
    uint64_t upto = UINT64_MAX;
    int rc = 0;
    *idle = 0;
    s->blocked.code = 0;
    if (!s->now.opened)
        return open_run(s, &how, err);
    rc = cv_settle_epoch(s, &how, &upto, err);
    if (rc || how != CV_SENDING_REFUSED)
        return rc;
    if (s->last > s->now.last) {
        rc = commit(s, &how, upto, err);
        *idle = !rc && s->blocked.code && !s->moved;
        return rc;
    }
    *idle = !s->moved;
    return 0;
}

#include "jobs/proof.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/tagged.h"
#include "jobs/rewards.h"

void cv_proof_free(cv_proof *p)
{
    cv_buf_free(&p->members);
    cv_buf_free(&p->sums);
}

/* ---- digests that records and runs share ------------------------------------ */

void cv_members_digest(uint8_t out[32], const cv_job *job,
                       const cv_pubkey *identity, const int *member, int n,
                       int groups)
{
    enum { KEY = CV_PUBKEY_BYTES, ROW = KEY + 16 };
    uint8_t *row = CV_NEW((size_t)n * ROW, uint8_t);
    uint8_t mode[16];
    for (int k = 0; k < n; k++) {
        int i = member[k];
        double weight = job->training.weights == CV_WEIGHTS_DECLARED
                            ? job->silos[i].weight
                            : 1.0;
        uint64_t bits;
        memcpy(&bits, &weight, sizeof bits);
        memcpy(row + k * ROW, identity[i].b, KEY);
        cv_put_le64(row + k * ROW + KEY, bits);
        cv_put_le64(row + k * ROW + KEY + 8,
                    (uint64_t)cv_rewards_group(i, job->n_silos, groups));
    }
    cv_put_le64(mode, (uint64_t)job->training.weights);
    cv_put_le64(mode + 8, (uint64_t)groups);
    cv_part part[] = {{mode, sizeof mode}, {row, (size_t)n * ROW}};
    cv_tagged_hash(out, "covey members v2", part, 2);
    free(row);
}

void cv_roster_digest_of(uint8_t out[32], const cv_proof *p,
                         const uint8_t run_id[32], const uint8_t job[32],
                         const uint8_t who[32], const void *members, size_t n)
{
    const uint8_t *m = members;
    uint8_t number[4][8];
    cv_put_le64(number[0], (uint64_t)p->round);
    cv_put_le64(number[1], (uint64_t)p->attempt);
    cv_put_le64(number[2], (uint64_t)p->draw);
    cv_put_le64(number[3], p->wide ? 61 : 32);
    cv_part *part = CV_NEW(10 + 2 * n, cv_part);
    size_t at = 0;
    part[at++] = (cv_part){run_id, 32};
    part[at++] = (cv_part){job, 32};
    part[at++] = (cv_part){p->previous, 32};
    part[at++] = (cv_part){p->start_model, 32};
    part[at++] = (cv_part){p->start_state, 32};
    part[at++] = (cv_part){who, 32};
    for (int k = 0; k < 4; k++)
        part[at++] = (cv_part){number[k], 8};
    for (size_t k = 0; k < n; k++, m += CV_ROSTER_BYTES) {
        part[at++] = (cv_part){m + CV_ROSTER_KEY, CV_PUBKEY_BYTES};
        part[at++] = (cv_part){m + CV_ROSTER_NONCE, 32};
    }
    cv_tagged_hash(out, "covey roster v1", part, at);
    free(part);
}

/* Every digest of a step names the roster (and with it run, job, round, attempt,
 * parent record and field), the step and the length. */
void cv_step_context(uint8_t out[32], const uint8_t roster[32], uint64_t step,
                     uint64_t d)
{
    uint8_t word[2][8];
    cv_put_le64(word[0], step);
    cv_put_le64(word[1], d);
    cv_part part[] = {{roster, 32}, {word[0], 8}, {word[1], 8}};
    cv_tagged_hash(out, "covey step v1", part, 3);
}

void cv_commitments_digest(uint8_t out[32], const uint8_t step_ctx[32],
                           const uint8_t *const *at, size_t n)
{
    cv_part *part = CV_NEW(n + 1, cv_part);
    part[0] = (cv_part){step_ctx, 32};
    for (size_t k = 0; k < n; k++)
        part[k + 1] = (cv_part){at[k], 32};
    cv_tagged_hash(out, "covey commitments v1", part, n + 1);
    free(part);
}

void cv_challenge(uint8_t out[32], const uint8_t step_ctx[32],
                  const uint8_t commitments[32], const uint8_t sum[32])
{
    cv_part part[] = {{step_ctx, 32}, {commitments, 32}, {sum, 32}};
    cv_tagged_hash(out, "covey challenge v1", part, 3);
}

void cv_transcript_add(uint8_t transcript[32], const uint8_t step_ctx[32],
                       const uint8_t challenge[32], const void *sum, size_t n)
{
    cv_part part[] = {
        {transcript, 32}, {step_ctx, 32}, {challenge, 32}, {sum, n}};
    cv_tagged_hash(transcript, "covey transcript v2", part, 4);
}

void cv_data_digest(uint8_t out[32], const char *schema)
{
    cv_part part[] = {{schema, strlen(schema)}};
    cv_tagged_hash(out, "covey schema v1", part, 1);
}

void cv_ledger_digest(uint8_t out[32], const cv_segment *s, size_t n)
{
    uint8_t(*word)[7][8] = cv_calloc(n, sizeof *word);
    for (size_t i = 0; i < n; i++) {
        const double v[4] = {s[i].noise_multiplier, s[i].sampling,
                             s[i].integers.sensitivity, s[i].integers.sampler};
        for (int k = 0; k < 4; k++) {
            uint64_t bits;
            memcpy(&bits, &v[k], sizeof bits);
            cv_put_le64(word[i][k], bits);
        }
        cv_put_le64(word[i][4], (uint64_t)s[i].steps);
        cv_put_le64(word[i][5], (uint64_t)s[i].integers.shares);
        cv_put_le64(word[i][6], (uint64_t)s[i].integers.dimension);
    }
    cv_part part[] = {{word, n * sizeof *word}};
    cv_tagged_hash(out, "covey ledger v1", part, 1);
    free(word);
}

/* Counts as le64 words; the caller frees them. */
static cv_part count_part(const int64_t *v, int n)
{
    uint8_t *word = CV_NEW(8 * (size_t)n, uint8_t);
    for (int i = 0; i < n; i++)
        cv_put_le64(word + 8 * i, (uint64_t)v[i]);
    return (cv_part){word, 8 * (size_t)n};
}

void cv_paid_digest(uint8_t out[32], const cv_chain_state *s)
{
    uint8_t first[8];
    cv_part taken = count_part(s->taken, s->n_silos);
    cv_part values = count_part(s->coalition, s->n_coalitions);
    cv_put_le64(first, (uint64_t)s->span->first);
    cv_part part[] = {{s->span->before, 32},
                      {first, 8},
                      {s->span->first_before, 32},
                      taken,
                      values};
    cv_tagged_hash(out, "covey chain state v1", part, 5);
    free((void *)taken.data);
    free((void *)values.data);
}

void cv_state_digest(uint8_t out[32], const uint8_t server[CV_MAX_STATE][32],
                     const uint8_t ledger[32],
                     const uint8_t plan[CV_PLAN_BYTES], const uint8_t *paid)
{
    cv_part part[] = {{server, 32 * CV_MAX_STATE},
                      {ledger, 32},
                      {plan, CV_PLAN_BYTES},
                      {paid, 32}};
    cv_tagged_hash(out, "covey state v1", part, paid ? 4 : 3);
}

void cv_record_signing(uint8_t out[32], const uint8_t run_id[32], int64_t round,
                       const uint8_t record[32], const uint8_t supersedes[32])
{
    uint8_t word[8];
    cv_put_le64(word, (uint64_t)round);
    cv_part part[] = {{run_id, 32}, {word, 8}, {record, 32}, {supersedes, 32}};
    cv_tagged_hash(out, "covey record signature v1", part, 4);
}

/* ---- the tree ------------------------------------------------------------------ */

const char *const cv_proof_part_names[CV_PROOF_PARTS] = {
    "context", "previous", "roster", "sums",    "data", "model",
    "server",  "ledger",   "plan",   "metrics", "chain"};

static void leaf(uint8_t out[32], int which, const void *value, size_t n)
{
    const char *name = cv_proof_part_names[which];
    cv_part part[] = {{name, strlen(name)}, {value, n}};
    cv_tagged_hash(out, "covey proof leaf v1", part, 2);
}

void cv_proof_root(uint8_t out[32], const uint8_t (*leaves)[32])
{
    uint8_t node[CV_PROOF_PARTS][32];
    int n = CV_PROOF_PARTS;
    memcpy(node, leaves, sizeof node);
    while (n > 1) {
        int up = 0;
        for (int i = 0; i < n; i += 2, up++) {
            if (i + 1 == n) {
                memmove(node[up], node[i], 32);
                continue;
            }
            cv_part part[] = {{node[i], 32}, {node[i + 1], 32}};
            uint8_t parent[32];
            cv_tagged_hash(parent, "covey proof node v1", part, 2);
            memcpy(node[up], parent, 32);
        }
        n = up;
    }
    memcpy(out, node[0], 32);
}

/* One NaN has one form, whatever made it. */
static void put_real(uint8_t out[8], double v)
{
    uint64_t bits = UINT64_C(0x7ff8000000000000);
    if (!isnan(v))
        memcpy(&bits, &v, sizeof bits);
    cv_put_le64(out, bits);
}

static void context_leaf(uint8_t out[32], const cv_proof *p,
                         const uint8_t run_id[32], const uint8_t job[32])
{
    uint8_t v[64 + 4 * 8];
    memcpy(v, run_id, 32);
    memcpy(v + 32, job, 32);
    cv_put_le64(v + 64, (uint64_t)p->round);
    cv_put_le64(v + 72, (uint64_t)p->attempt);
    cv_put_le64(v + 80, (uint64_t)p->draw);
    cv_put_le64(v + 88, p->wide ? 61 : 32);
    leaf(out, 0, v, sizeof v);
}

static void metrics_leaf(uint8_t out[32], const cv_proof *p)
{
    uint8_t v[(3 + CV_MAX_METRICS) * 8];
    cv_put_le64(v, (uint64_t)p->n_silos);
    put_real(v + 8, p->train_loss);
    put_real(v + 16, p->update);
    for (int k = 0; k < CV_MAX_METRICS; k++)
        put_real(v + 24 + 8 * k, p->metrics[k]);
    leaf(out, 9, v, sizeof v);
}

void cv_proof_leaves(uint8_t (*node)[32], const cv_proof *p,
                     const uint8_t run_id[32], const uint8_t job[32])
{
    uint8_t roster[96], sums[40];
    memcpy(roster, p->roster, 32);
    memcpy(roster + 32, p->start_model, 32);
    memcpy(roster + 64, p->start_state, 32);
    cv_put_le64(sums, (uint64_t)p->n_sums);
    memcpy(sums + 8, p->transcript, 32);
    context_leaf(node[0], p, run_id, job);
    leaf(node[1], 1, p->previous, 32);
    leaf(node[2], 2, roster, sizeof roster);
    leaf(node[3], 3, sums, sizeof sums);
    leaf(node[4], 4, p->data, 32);
    leaf(node[5], 5, p->model, 32);
    leaf(node[6], 6, p->server, sizeof p->server);
    leaf(node[7], 7, p->ledger, 32);
    leaf(node[8], 8, p->plan, sizeof p->plan);
    metrics_leaf(node[9], p);
    leaf(node[10], 10, p->paid, 32);
}

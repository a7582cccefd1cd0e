/* Records: every field is in its leaf and in no other, the tree, the digests that
 * a sum and a roster come to. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/tagged.h"
#include "jobs/proof.h"

static uint8_t run_id[32], job[32];

static void fill(cv_proof *p)
{
    memset(p, 0, sizeof *p);
    memset(run_id, 1, 32);
    memset(job, 2, 32);
    p->round = 3;
    p->attempt = 4;
    p->draw = 5;
    p->n_sums = 6;
    p->n_silos = 7;
    p->train_loss = 0.5;
    p->update = 0.25;
    p->metrics[0] = 0.75;
    p->metrics[1] = (double)NAN;
}

static void leaves_of(uint8_t (*out)[32], const cv_proof *p)
{
    cv_proof_leaves(out, p, run_id, job);
}

static void only_leaf_changes(int which, cv_proof *p, void *field)
{
    uint8_t before[CV_PROOF_PARTS][32], after[CV_PROOF_PARTS][32];
    uint8_t *byte = field, root[2][32];
    leaves_of(before, p);
    *byte ^= 1;
    leaves_of(after, p);
    *byte ^= 1;
    for (int k = 0; k < CV_PROOF_PARTS; k++)
        if ((memcmp(before[k], after[k], 32) != 0) != (k == which))
            fail_msg("leaf %s", cv_proof_part_names[k]);
    cv_proof_root(root[0], (const uint8_t(*)[32])before);
    cv_proof_root(root[1], (const uint8_t(*)[32])after);
    assert_memory_not_equal(root[0], root[1], 32);
}

static void each_field_is_in_its_leaf(void **state)
{
    (void)state;
    enum {
        CONTEXT,
        PREVIOUS,
        ROSTER,
        SUMS,
        DATA,
        MODEL,
        SERVER,
        LEDGER,
        PLAN,
        METRICS,
        PAID
    };
    static const char *const names[CV_PROOF_PARTS] = {
        "context", "previous", "roster", "sums",    "data", "model",
        "server",  "ledger",   "plan",   "metrics", "chain"};
    cv_proof p;
    fill(&p);
    const struct {
        int leaf;
        void *field;
    } all[] = {{CONTEXT, run_id},
               {CONTEXT, run_id + 31},
               {CONTEXT, job},
               {CONTEXT, &p.round},
               {CONTEXT, &p.attempt},
               {CONTEXT, &p.draw},
               {CONTEXT, &p.wide},
               {PREVIOUS, p.previous},
               {PREVIOUS, p.previous + 31},
               {ROSTER, p.roster},
               {ROSTER, p.start_model},
               {ROSTER, p.start_state + 31},
               {SUMS, &p.n_sums},
               {SUMS, p.transcript + 31},
               {DATA, p.data},
               {MODEL, p.model},
               {SERVER, p.server[0]},
               {SERVER, p.server[CV_MAX_STATE - 1] + 31},
               {LEDGER, p.ledger},
               {PLAN, p.plan},
               {PLAN, p.plan + CV_PLAN_BYTES - 1},
               {METRICS, &p.n_silos},
               {METRICS, &p.train_loss},
               {METRICS, &p.update},
               {METRICS, &p.metrics[0]},
               {METRICS, &p.metrics[CV_MAX_METRICS - 1]},
               {PAID, p.paid},
               {PAID, p.paid + 31}};
    for (int k = 0; k < CV_PROOF_PARTS; k++)
        assert_string_equal(cv_proof_part_names[k], names[k]);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        only_leaf_changes(all[i].leaf, &p, all[i].field);
}

static void what_hangs_on_it_is_in_no_leaf(void **state)
{
    (void)state;
    uint8_t before[CV_PROOF_PARTS][32], after[CV_PROOF_PARTS][32];
    cv_proof p;
    fill(&p);
    leaves_of(before, &p);
    memset(p.leaves, 9, sizeof p.leaves);
    memset(p.record, 9, sizeof p.record);
    leaves_of(after, &p);
    assert_memory_equal(before, after, sizeof before);
}

/* An independent reading of the leaf's definition. */
static void a_leaf_is_its_name_and_value(void **state)
{
    (void)state;
    uint8_t leaves[CV_PROOF_PARTS][32], value[40] = {6}, want[32];
    cv_proof p;
    fill(&p);
    memset(p.transcript, 8, 32);
    memcpy(value + 8, p.transcript, 32);
    leaves_of(leaves, &p);
    cv_part sums[] = {{"sums", 4}, {value, 40}};
    cv_tagged_hash(want, "covey proof leaf v1", sums, 2);
    assert_memory_equal(leaves[3], want, 32);
    /* Equal values under other names are other leaves. */
    memset(p.data, 3, 32);
    memset(p.model, 3, 32);
    memset(p.ledger, 3, 32);
    leaves_of(leaves, &p);
    assert_memory_not_equal(leaves[4], leaves[5], 32);
    assert_memory_not_equal(leaves[5], leaves[7], 32);
}

static void node(uint8_t out[32], const uint8_t *a, const uint8_t *b)
{
    cv_part part[] = {{a, 32}, {b, 32}};
    cv_tagged_hash(out, "covey proof node v1", part, 2);
}

/* Eleven leaves: five nodes and the odd leaf, three nodes, one and the odd one,
 * the root. */
static void an_odd_node_goes_up_as_it_is(void **state)
{
    (void)state;
    uint8_t leaf[CV_PROOF_PARTS][32], two[5][32], four[3][32], eight[32];
    uint8_t want[32], have[32];
    for (int k = 0; k < CV_PROOF_PARTS; k++)
        memset(leaf[k], k + 1, 32);
    for (int k = 0; k < 5; k++)
        node(two[k], leaf[2 * k], leaf[2 * k + 1]);
    for (int k = 0; k < 2; k++)
        node(four[k], two[2 * k], two[2 * k + 1]);
    node(four[2], two[4], leaf[10]);
    node(eight, four[0], four[1]);
    node(want, eight, four[2]);
    cv_proof_root(have, (const uint8_t(*)[32])leaf);
    assert_memory_equal(have, want, 32);
    /* The order counts. */
    memset(leaf[8], 10, 32);
    memset(leaf[9], 9, 32);
    cv_proof_root(have, (const uint8_t(*)[32])leaf);
    assert_memory_not_equal(have, want, 32);
}

static void nan_has_one_form(void **state)
{
    (void)state;
    uint8_t a[CV_PROOF_PARTS][32], b[CV_PROOF_PARTS][32];
    const uint64_t odd = UINT64_C(0xfff8000000001234);
    cv_proof p;
    fill(&p);
    p.train_loss = (double)NAN;
    leaves_of(a, &p);
    memcpy(&p.train_loss, &odd, sizeof odd);
    memcpy(&p.metrics[1], &odd, sizeof odd);
    leaves_of(b, &p);
    assert_memory_equal(a, b, sizeof a);
    /* Zeros are told apart, and so is infinity. */
    p.train_loss = 0.0;
    leaves_of(a, &p);
    p.train_loss = -0.0;
    leaves_of(b, &p);
    assert_memory_not_equal(a[9], b[9], 32);
    p.train_loss = (double)INFINITY;
    leaves_of(b, &p);
    assert_memory_not_equal(a[9], b[9], 32);
}

static void transcript_of(uint8_t t[32], const uint8_t *ctx,
                          const uint8_t *challenge, const void *sum, size_t n)
{
    memset(t, 0, 32);
    cv_transcript_add(t, ctx, challenge, sum, n);
}

static void a_transcript_is_of_all_sums_in_order(void **state)
{
    (void)state;
    uint8_t ctx[32] = {1}, other[32] = {2}, c[32] = {3}, s[2][8] = {{4}, {5}};
    uint8_t t[4][32];
    transcript_of(t[0], ctx, c, s[0], 8);
    transcript_of(t[1], other, c, s[0], 8);
    transcript_of(t[2], ctx, other, s[0], 8);
    transcript_of(t[3], ctx, c, s[1], 8);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(t[i], t[k], 32);
    /* First one, then the other; and the other way. */
    cv_transcript_add(t[0], ctx, c, s[1], 8);
    cv_transcript_add(t[3], ctx, c, s[0], 8);
    assert_memory_not_equal(t[0], t[3], 32);
    /* In one piece is something else. */
    transcript_of(t[1], ctx, c, s, 16);
    assert_memory_not_equal(t[0], t[1], 32);
}

static void steps_and_challenges(void **state)
{
    (void)state;
    uint8_t roster[32] = {1}, sum[2][32] = {{1}, {2}}, a[32], b[32], c[2][32];
    const uint8_t first[32] = {7}, second[32] = {8};
    const uint8_t *one[] = {first, second}, *two[] = {second, first},
                  *twice[] = {first, first};
    cv_step_context(a, roster, 0, 10);
    cv_step_context(b, roster, 10, 0);
    assert_memory_not_equal(a, b, 32);
    cv_step_context(b, roster, 1, 10);
    assert_memory_not_equal(a, b, 32);
    cv_commitments_digest(c[0], a, one, 2);
    cv_commitments_digest(c[1], a, two, 2);
    assert_memory_not_equal(c[0], c[1], 32); /* whose is whose */
    cv_commitments_digest(c[1], a, twice, 2);
    assert_memory_not_equal(c[0], c[1], 32);
    cv_commitments_digest(c[1], a, one, 1);
    assert_memory_not_equal(c[0], c[1], 32);
    cv_challenge(b, a, c[0], sum[0]);
    cv_challenge(roster, a, c[0], sum[1]);
    assert_memory_not_equal(b, roster, 32);
    cv_challenge(roster, a, c[1], sum[0]);
    assert_memory_not_equal(b, roster, 32);
}

static void a_roster_is_all_of_it(void **state)
{
    (void)state;
    uint8_t members[3 * CV_ROSTER_BYTES], who[32] = {1}, want[32], have[32];
    cv_proof p;
    fill(&p);
    for (size_t i = 0; i < sizeof members; i++)
        members[i] = (uint8_t)(i * 7 + 1);
    cv_roster_digest_of(want, &p, run_id, job, who, members, 3);
    uint8_t *bytes[] = {run_id,
                        job,
                        who,
                        p.previous,
                        p.start_model,
                        p.start_state,
                        (uint8_t *)&p.round,
                        (uint8_t *)&p.attempt,
                        (uint8_t *)&p.draw,
                        (uint8_t *)&p.wide,
                        members + CV_ROSTER_KEY,
                        members + CV_ROSTER_NONCE,
                        members + 2 * CV_ROSTER_BYTES + CV_ROSTER_NONCE + 31};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        *bytes[i] ^= 1;
        cv_roster_digest_of(have, &p, run_id, job, who, members, 3);
        *bytes[i] ^= 1;
        assert_memory_not_equal(have, want, 32);
    }
    cv_roster_digest_of(have, &p, run_id, job, who, members, 2);
    assert_memory_not_equal(have, want, 32);
}

static void signing_names_round_and_what_it_replaces(void **state)
{
    (void)state;
    uint8_t record[32] = {1}, old[32] = {0}, want[32], have[32];
    cv_record_signing(want, run_id, 2, record, old);
    cv_record_signing(have, run_id, 3, record, old);
    assert_memory_not_equal(have, want, 32);
    cv_record_signing(have, run_id, 2, old, record);
    assert_memory_not_equal(have, want, 32);
    old[0] = 1;
    cv_record_signing(have, run_id, 2, record, old);
    assert_memory_not_equal(have, want, 32);
    cv_record_signing(have, job, 2, record, old);
    assert_memory_not_equal(have, want, 32);
}

static void state_and_ledger(void **state)
{
    (void)state;
    uint8_t server[CV_MAX_STATE][32] = {{1}}, ledger[32] = {2};
    uint8_t plan[CV_PLAN_BYTES] = {3}, want[32], have[32];
    cv_chain_span span = {.first = 4};
    cv_segment s[2] = {{.noise_multiplier = 1, .sampling = 0.5, .steps = 3},
                       {.noise_multiplier = 2, .sampling = 1, .steps = 4}};
    int64_t counts[4] = {5, 6, 7, 8}, taken[2] = {9, 10};
    cv_chain_state s_all = {&span, taken, 2, counts, 4}, less = s_all;
    uint8_t paid[32], other[32];
    cv_paid_digest(paid, &s_all);
    cv_state_digest(want, server, ledger, plan, NULL);
    cv_state_digest(have, server, ledger, plan, paid);
    assert_memory_not_equal(have, want, 32);
    cv_state_digest(want, server, ledger, plan, paid);
    less.n_coalitions = 3;
    cv_paid_digest(other, &less);
    assert_memory_not_equal(other, paid, 32);
    less = s_all;
    less.n_silos = 1;
    cv_paid_digest(other, &less);
    assert_memory_not_equal(other, paid, 32);
    uint8_t *bytes[] = {server[CV_MAX_STATE - 1] + 31,
                        ledger,
                        plan + 63,
                        span.before,
                        (uint8_t *)&span.first,
                        (uint8_t *)&counts[3],
                        (uint8_t *)&taken[1],
                        span.first_before + 31};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        *bytes[i] ^= 1;
        cv_paid_digest(other, &s_all);
        cv_state_digest(have, server, ledger, plan, other);
        *bytes[i] ^= 1;
        assert_memory_not_equal(have, want, 32);
    }
    cv_ledger_digest(want, s, 2);
    cv_ledger_digest(have, s, 1);
    assert_memory_not_equal(have, want, 32);
    cv_ledger_digest(have, NULL, 0);
    assert_memory_not_equal(have, want, 32);
    double *real[] = {&s[1].noise_multiplier, &s[1].sampling,
                      &s[1].integers.sensitivity, &s[1].integers.sampler};
    for (int k = 0; k < 4; k++) {
        *real[k] += 0.25;
        cv_ledger_digest(have, s, 2);
        *real[k] -= 0.25;
        assert_memory_not_equal(have, want, 32);
    }
    s[0].steps++;
    cv_ledger_digest(have, s, 2);
    assert_memory_not_equal(have, want, 32);
    s[0].steps--;
    s[1].integers.shares++;
    cv_ledger_digest(have, s, 2);
    assert_memory_not_equal(have, want, 32);
    s[1].integers.shares--;
    s[1].integers.dimension++;
    cv_ledger_digest(have, s, 2);
    assert_memory_not_equal(have, want, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_is_in_its_leaf),
        cmocka_unit_test(what_hangs_on_it_is_in_no_leaf),
        cmocka_unit_test(a_leaf_is_its_name_and_value),
        cmocka_unit_test(an_odd_node_goes_up_as_it_is),
        cmocka_unit_test(nan_has_one_form),
        cmocka_unit_test(a_transcript_is_of_all_sums_in_order),
        cmocka_unit_test(steps_and_challenges),
        cmocka_unit_test(a_roster_is_all_of_it),
        cmocka_unit_test(signing_names_round_and_what_it_replaces),
        cmocka_unit_test(state_and_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
